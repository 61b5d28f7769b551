/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_SEMAPHORE (ipc_semaphore_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcSemaphore, ipc_semaphore, IPC, SEMAPHORE, GObject)

IPC_AVAILABLE_IN_0_1
IpcPermit  *ipc_semaphore_try_acquire           (IpcSemaphore  *self,
                                                 GError       **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcPermit  *ipc_semaphore_acquire               (IpcSemaphore  *self,
                                                 gint           timeout,
                                                 GCancellable  *cancellable,
                                                 GError       **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
void        ipc_semaphore_acquire_async         (IpcSemaphore  *self,
                                                 gint           timeout,
                                                 GCancellable  *cancellable,
                                                 GAsyncReadyCallback callback,
                                                 gpointer       user_data);
IPC_AVAILABLE_IN_0_1
IpcPermit  *ipc_semaphore_acquire_finish        (IpcSemaphore  *self,
                                                 GAsyncResult  *result,
                                                 GError       **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
GPtrArray  *ipc_semaphore_list_holders          (IpcSemaphore  *self,
                                                 GError       **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
const char *ipc_semaphore_get_name              (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
guint       ipc_semaphore_get_total_permits     (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
guint       ipc_semaphore_get_available_permits (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
guint       ipc_semaphore_get_waiters           (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
guint64     ipc_semaphore_get_acquired_count    (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
guint64     ipc_semaphore_get_released_count    (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
guint64     ipc_semaphore_get_recovered_count   (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
gint64      ipc_semaphore_get_created_at        (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
gint64      ipc_semaphore_get_last_accessed     (IpcSemaphore  *self);
IPC_AVAILABLE_IN_0_1
gboolean    ipc_semaphore_get_is_deleted        (IpcSemaphore  *self);

G_END_DECLS
