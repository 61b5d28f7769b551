/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-manager.h"
#include "ipc-mapped-file.h"

G_BEGIN_DECLS

#define IPC_TYPE_MAPPED_FILE_MANAGER (ipc_mapped_file_manager_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcMappedFileManager, ipc_mapped_file_manager, IPC, MAPPED_FILE_MANAGER, IpcManager)

IPC_AVAILABLE_IN_0_1
IpcMappedFileManager *ipc_mapped_file_manager_new                    (IpcScope              *scope) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
IpcMappedFile        *ipc_mapped_file_manager_map_file               (IpcMappedFileManager  *self,
                                                                      const char            *path,
                                                                      gsize                  size,
                                                                      IpcAccess              access,
                                                                      GError               **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
gboolean              ipc_mapped_file_manager_sync_all               (IpcMappedFileManager  *self,
                                                                      GCancellable          *cancellable,
                                                                      GError               **error);
IPC_AVAILABLE_IN_0_1
void                  ipc_mapped_file_manager_sync_all_async         (IpcMappedFileManager  *self,
                                                                      GCancellable          *cancellable,
                                                                      GAsyncReadyCallback    callback,
                                                                      gpointer               user_data);
IPC_AVAILABLE_IN_0_1
gboolean              ipc_mapped_file_manager_sync_all_finish        (IpcMappedFileManager  *self,
                                                                      GAsyncResult          *result,
                                                                      GError               **error);

IPC_AVAILABLE_IN_0_1
gsize                 ipc_mapped_file_manager_get_default_file_size  (IpcMappedFileManager  *self);
IPC_AVAILABLE_IN_0_1
void                  ipc_mapped_file_manager_set_default_file_size  (IpcMappedFileManager  *self,
                                                                      gsize                  default_file_size);
IPC_AVAILABLE_IN_0_1
gsize                 ipc_mapped_file_manager_get_max_file_size      (IpcMappedFileManager  *self);
IPC_AVAILABLE_IN_0_1
void                  ipc_mapped_file_manager_set_max_file_size      (IpcMappedFileManager  *self,
                                                                      gsize                  max_file_size);
IPC_AVAILABLE_IN_0_1
gboolean              ipc_mapped_file_manager_get_auto_sync          (IpcMappedFileManager  *self);
IPC_AVAILABLE_IN_0_1
void                  ipc_mapped_file_manager_set_auto_sync          (IpcMappedFileManager  *self,
                                                                      gboolean               auto_sync);
IPC_AVAILABLE_IN_0_1
gint64                ipc_mapped_file_manager_get_sync_interval      (IpcMappedFileManager  *self);
IPC_AVAILABLE_IN_0_1
void                  ipc_mapped_file_manager_set_sync_interval      (IpcMappedFileManager  *self,
                                                                      gint64                 sync_interval);

IPC_AVAILABLE_IN_0_1
guint64               ipc_mapped_file_manager_get_total_size         (IpcMappedFileManager  *self);
IPC_AVAILABLE_IN_0_1
guint                 ipc_mapped_file_manager_get_dirty_files        (IpcMappedFileManager  *self);
IPC_AVAILABLE_IN_0_1
guint64               ipc_mapped_file_manager_get_total_access_count (IpcMappedFileManager  *self);
IPC_AVAILABLE_IN_0_1
gdouble               ipc_mapped_file_manager_get_average_file_size  (IpcMappedFileManager  *self);

G_END_DECLS
