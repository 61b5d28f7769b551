/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_PERMIT (ipc_permit_get_type ())

IPC_AVAILABLE_IN_0_1
GType         ipc_permit_get_type        (void);

IPC_AVAILABLE_IN_0_1
IpcPermit    *ipc_permit_ref             (IpcPermit  *self);
IPC_AVAILABLE_IN_0_1
void          ipc_permit_unref           (IpcPermit  *self);

IPC_AVAILABLE_IN_0_1
gboolean      ipc_permit_release         (IpcPermit  *self,
                                          GError    **error);

IPC_AVAILABLE_IN_0_1
IpcSemaphore *ipc_permit_get_semaphore   (IpcPermit  *self);
IPC_AVAILABLE_IN_0_1
gboolean      ipc_permit_get_is_held     (IpcPermit  *self);
IPC_AVAILABLE_IN_0_1
gint64        ipc_permit_get_acquired_at (IpcPermit  *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcPermit, ipc_permit_unref)

G_END_DECLS
