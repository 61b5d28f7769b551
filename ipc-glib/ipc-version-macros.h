/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include <glib.h>

/* Everything is hidden unless it is marked with one of these. */
#ifndef _IPC_EXTERN
#define _IPC_EXTERN __attribute__ ((visibility ("default"))) extern
#endif

#define IPC_AVAILABLE_IN_ALL _IPC_EXTERN
#define IPC_AVAILABLE_IN_0_1 _IPC_EXTERN
