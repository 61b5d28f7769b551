/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_SHARED_MEMORY (ipc_shared_memory_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcSharedMemory, ipc_shared_memory, IPC, SHARED_MEMORY, GObject)

IPC_AVAILABLE_IN_0_1
IpcSharedMemory *ipc_shared_memory_new_anonymous     (gsize                 size,
                                                      GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcSharedMemory *ipc_shared_memory_new_from_fd       (int                   fd,
                                                      GError              **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
const char      *ipc_shared_memory_get_id            (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
const char      *ipc_shared_memory_get_name          (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
gsize            ipc_shared_memory_get_size          (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
IpcAccess        ipc_shared_memory_get_access        (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
gint64           ipc_shared_memory_get_created_at    (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
gint64           ipc_shared_memory_get_last_accessed (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
guint64          ipc_shared_memory_get_access_count  (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
guint            ipc_shared_memory_get_n_attached    (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
guint64          ipc_shared_memory_get_generation    (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_get_is_deleted    (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_get_is_sealed     (IpcSharedMemory      *self);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_get_is_consistent (IpcSharedMemory      *self);

IPC_AVAILABLE_IN_0_1
GBytes          *ipc_shared_memory_read              (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gsize                 length,
                                                      GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_write             (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      GBytes               *bytes,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
GBytes          *ipc_shared_memory_get_bytes         (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gsize                 length,
                                                      GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_read_into         (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gpointer              buffer,
                                                      gsize                 length,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_write_data        (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gconstpointer         data,
                                                      gsize                 length,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gpointer         ipc_shared_memory_peek              (IpcSharedMemory      *self,
                                                      gsize                *size);

IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_read_int64        (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gint64               *value,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_write_int64       (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gint64                value,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_add_int64         (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gint64                summand,
                                                      gint64               *value,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_read_double       (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gdouble              *value,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_write_double      (IpcSharedMemory      *self,
                                                      gsize                 offset,
                                                      gdouble               value,
                                                      GError              **error);

IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_lock              (IpcSharedMemory      *self,
                                                      gint                  timeout,
                                                      GCancellable         *cancellable,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_try_lock          (IpcSharedMemory      *self,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
void             ipc_shared_memory_lock_async        (IpcSharedMemory      *self,
                                                      gint                  timeout,
                                                      GCancellable         *cancellable,
                                                      GAsyncReadyCallback   callback,
                                                      gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_lock_finish       (IpcSharedMemory      *self,
                                                      GAsyncResult         *result,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_unlock            (IpcSharedMemory      *self,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_mark_consistent   (IpcSharedMemory      *self,
                                                      GError              **error);

IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_notify_changed    (IpcSharedMemory      *self,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_resize            (IpcSharedMemory      *self,
                                                      gsize                 size,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean         ipc_shared_memory_seal              (IpcSharedMemory      *self,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
int              ipc_shared_memory_dup_fd            (IpcSharedMemory      *self,
                                                      GError              **error);
IPC_AVAILABLE_IN_0_1
gsize            ipc_shared_memory_get_fd_offset     (IpcSharedMemory      *self);

G_END_DECLS
