/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_MAPPED_FILE (ipc_mapped_file_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcMappedFile, ipc_mapped_file, IPC, MAPPED_FILE, GObject)

IPC_AVAILABLE_IN_0_1
const char    *ipc_mapped_file_get_id            (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
const char    *ipc_mapped_file_get_path          (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
gsize          ipc_mapped_file_get_size          (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
IpcAccess      ipc_mapped_file_get_access        (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_get_is_mapped     (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_get_is_dirty      (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_mapped_file_get_dirty_bytes   (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
gint64         ipc_mapped_file_get_created_at    (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
gint64         ipc_mapped_file_get_last_accessed (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
gint64         ipc_mapped_file_get_last_modified (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_mapped_file_get_access_count  (IpcMappedFile        *self);

IPC_AVAILABLE_IN_0_1
IpcDurability  ipc_mapped_file_get_durability    (IpcMappedFile        *self);
IPC_AVAILABLE_IN_0_1
void           ipc_mapped_file_set_durability    (IpcMappedFile        *self,
                                                  IpcDurability         durability);

IPC_AVAILABLE_IN_0_1
GBytes        *ipc_mapped_file_read              (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_write             (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  GBytes               *bytes,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
GBytes        *ipc_mapped_file_get_bytes         (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_read_into         (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gpointer              buffer,
                                                  gsize                 length,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_write_data        (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gconstpointer         data,
                                                  gsize                 length,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
gpointer       ipc_mapped_file_peek              (IpcMappedFile        *self,
                                                  gsize                *size);
IPC_AVAILABLE_IN_0_1
int            ipc_mapped_file_dup_fd            (IpcMappedFile        *self,
                                                  GError              **error);

IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_mark_dirty        (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_sync              (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  GCancellable         *cancellable,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
void           ipc_mapped_file_sync_async        (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  GCancellable         *cancellable,
                                                  GAsyncReadyCallback   callback,
                                                  gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_sync_finish       (IpcMappedFile        *self,
                                                  GAsyncResult         *result,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_resize            (IpcMappedFile        *self,
                                                  gsize                 size,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_unmap             (IpcMappedFile        *self,
                                                  GError              **error);

IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_lock_range        (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  IpcAccess             access,
                                                  gint                  timeout,
                                                  GCancellable         *cancellable,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
void           ipc_mapped_file_lock_range_async  (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  IpcAccess             access,
                                                  gint                  timeout,
                                                  GCancellable         *cancellable,
                                                  GAsyncReadyCallback   callback,
                                                  gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_lock_range_finish (IpcMappedFile        *self,
                                                  GAsyncResult         *result,
                                                  GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_unlock_range      (IpcMappedFile        *self,
                                                  gsize                 offset,
                                                  gsize                 length,
                                                  GError              **error);

IPC_AVAILABLE_IN_0_1
IpcMappedFileTransaction *
               ipc_mapped_file_begin             (IpcMappedFile        *self,
                                                  GError              **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
