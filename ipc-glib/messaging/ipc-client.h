/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-server.h"

G_BEGIN_DECLS

#define IPC_TYPE_CLIENT (ipc_client_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcClient, ipc_client, IPC, CLIENT, GObject)

IPC_AVAILABLE_IN_0_1
const char     *ipc_client_get_address          (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
IpcScope       *ipc_client_get_scope            (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
IpcClientState  ipc_client_get_state            (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
IpcConnection  *ipc_client_get_connection       (IpcClient            *self);

IPC_AVAILABLE_IN_0_1
gboolean        ipc_client_get_wait_for_server  (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_wait_for_server  (IpcClient            *self,
                                                 gboolean              wait_for_server);
IPC_AVAILABLE_IN_0_1
gboolean        ipc_client_get_reconnect        (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_reconnect        (IpcClient            *self,
                                                 gboolean              reconnect);
IPC_AVAILABLE_IN_0_1
guint           ipc_client_get_server_uid       (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_server_uid       (IpcClient            *self,
                                                 guint                 server_uid);
IPC_AVAILABLE_IN_0_1
guint           ipc_client_get_max_message_size (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_max_message_size (IpcClient            *self,
                                                 guint                 max_message_size);
IPC_AVAILABLE_IN_0_1
guint           ipc_client_get_max_queued_bytes (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_max_queued_bytes (IpcClient            *self,
                                                 guint                 max_queued_bytes);
IPC_AVAILABLE_IN_0_1
guint           ipc_client_get_max_fds          (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_max_fds          (IpcClient            *self,
                                                 guint                 max_fds);
IPC_AVAILABLE_IN_0_1
gint            ipc_client_get_request_timeout  (IpcClient            *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_request_timeout  (IpcClient            *self,
                                                 gint                  request_timeout);
IPC_AVAILABLE_IN_0_1
gint            ipc_client_get_keep_alive_interval (IpcClient          *self);
IPC_AVAILABLE_IN_0_1
void            ipc_client_set_keep_alive_interval (IpcClient          *self,
                                                   gint               keep_alive_interval);

IPC_AVAILABLE_IN_0_1
gboolean        ipc_client_open                 (IpcClient            *self,
                                                 GCancellable         *cancellable,
                                                 GError              **error);
IPC_AVAILABLE_IN_0_1
void            ipc_client_open_async           (IpcClient            *self,
                                                 GCancellable         *cancellable,
                                                 GAsyncReadyCallback   callback,
                                                 gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean        ipc_client_open_finish          (IpcClient            *self,
                                                 GAsyncResult         *result,
                                                 GError              **error);
IPC_AVAILABLE_IN_0_1
void            ipc_client_close                (IpcClient            *self);

IPC_AVAILABLE_IN_0_1
void            ipc_client_add_handler          (IpcClient            *self,
                                                 const char           *message_type,
                                                 IpcMessageHandler     handler,
                                                 gpointer              user_data,
                                                 GDestroyNotify        destroy);
IPC_AVAILABLE_IN_0_1
gboolean        ipc_client_remove_handler       (IpcClient            *self,
                                                 const char           *message_type);

IPC_AVAILABLE_IN_0_1
gboolean        ipc_client_send                 (IpcClient            *self,
                                                 IpcMessage           *message,
                                                 GError              **error);
IPC_AVAILABLE_IN_0_1
void            ipc_client_send_async           (IpcClient            *self,
                                                 IpcMessage           *message,
                                                 GCancellable         *cancellable,
                                                 GAsyncReadyCallback   callback,
                                                 gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean        ipc_client_send_finish          (IpcClient            *self,
                                                 GAsyncResult         *result,
                                                 GError              **error);
IPC_AVAILABLE_IN_0_1
IpcMessage     *ipc_client_request              (IpcClient            *self,
                                                 IpcMessage           *message,
                                                 gint                  timeout,
                                                 GCancellable         *cancellable,
                                                 GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
void            ipc_client_request_async        (IpcClient            *self,
                                                 IpcMessage           *message,
                                                 gint                  timeout,
                                                 GCancellable         *cancellable,
                                                 GAsyncReadyCallback   callback,
                                                 gpointer              user_data);
IPC_AVAILABLE_IN_0_1
IpcMessage     *ipc_client_request_finish       (IpcClient            *self,
                                                 GAsyncResult         *result,
                                                 GError              **error) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
