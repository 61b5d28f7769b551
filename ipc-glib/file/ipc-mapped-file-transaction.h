/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_MAPPED_FILE_TRANSACTION (ipc_mapped_file_transaction_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcMappedFileTransaction, ipc_mapped_file_transaction, IPC, MAPPED_FILE_TRANSACTION, GObject)

IPC_AVAILABLE_IN_0_1
IpcMappedFile *ipc_mapped_file_transaction_get_file      (IpcMappedFileTransaction  *self);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_transaction_get_is_open   (IpcMappedFileTransaction  *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_mapped_file_transaction_get_n_bytes   (IpcMappedFileTransaction  *self);

IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_transaction_write         (IpcMappedFileTransaction  *self,
                                                          gsize                      offset,
                                                          GBytes                    *bytes,
                                                          GError                   **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_transaction_write_data    (IpcMappedFileTransaction  *self,
                                                          gsize                      offset,
                                                          gconstpointer              data,
                                                          gsize                      length,
                                                          GError                   **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_transaction_commit        (IpcMappedFileTransaction  *self,
                                                          GCancellable              *cancellable,
                                                          GError                   **error);
IPC_AVAILABLE_IN_0_1
void           ipc_mapped_file_transaction_commit_async  (IpcMappedFileTransaction  *self,
                                                          GCancellable              *cancellable,
                                                          GAsyncReadyCallback        callback,
                                                          gpointer                   user_data);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_mapped_file_transaction_commit_finish (IpcMappedFileTransaction  *self,
                                                          GAsyncResult              *result,
                                                          GError                   **error);
IPC_AVAILABLE_IN_0_1
void           ipc_mapped_file_transaction_abort         (IpcMappedFileTransaction  *self);

G_END_DECLS
