/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names: `[A-Za-z0-9._-]{1,64}`, not starting with `.` or `-`. */
#pragma once

#include "core/ipc-fault.h"

#define IPC_NAME_MAX 64

/* NAME may be NULL. The fault quotes the value, escaped. */
bool ipc_name_check (const char *name, IpcFault *fault);
