/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_SEMAPHORE_HOLDER (ipc_semaphore_holder_get_type ())

IPC_AVAILABLE_IN_0_1
GType               ipc_semaphore_holder_get_type  (void);

IPC_AVAILABLE_IN_0_1
IpcSemaphoreHolder *ipc_semaphore_holder_copy      (IpcSemaphoreHolder *self);
IPC_AVAILABLE_IN_0_1
void                ipc_semaphore_holder_free      (IpcSemaphoreHolder *self);

IPC_AVAILABLE_IN_0_1
const char         *ipc_semaphore_holder_get_label (IpcSemaphoreHolder *self);
IPC_AVAILABLE_IN_0_1
gint64              ipc_semaphore_holder_get_since (IpcSemaphoreHolder *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcSemaphoreHolder, ipc_semaphore_holder_free)

G_END_DECLS
