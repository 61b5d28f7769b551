/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-connection.h"

G_BEGIN_DECLS

#define IPC_TYPE_SERVER (ipc_server_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcServer, ipc_server, IPC, SERVER, GObject)

/**
 * IpcMessageHandler:
 * @server: (nullable): the server, or %NULL on a client
 * @connection: the connection that the message came through
 * @request: the message, lent for the time of the call
 * @user_data: what was passed with the function
 * @error: where to put an error
 *
 * Handles the messages of one type; see [method@Ipc.Server.add_handler].
 *
 * What it returns is sent as the reply. If it returns %NULL with @error set, the
 * error is sent at once. If it returns %NULL without an error, the request is
 * answered later, with [method@Ipc.Connection.reply] or
 * [method@Ipc.Connection.reply_error]: take a reference to @request with
 * [method@Ipc.Message.ref] until then. A request whose last reference goes
 * without an answer is answered with an error.
 *
 * The result is ignored when @request is not a request
 * ([method@Ipc.Message.get_is_request]).
 *
 * Returns: (transfer full) (nullable): the reply
 *
 * Since: 0.1
 */
typedef IpcMessage *(*IpcMessageHandler) (IpcServer      *server,
                                          IpcConnection  *connection,
                                          IpcMessage     *request,
                                          gpointer        user_data,
                                          GError        **error);

IPC_AVAILABLE_IN_0_1
GListModel    *ipc_server_get_connections      (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
const char    *ipc_server_get_address          (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
IpcScope      *ipc_server_get_scope            (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_server_get_is_running       (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
guint          ipc_server_get_n_clients        (IpcServer            *self);

IPC_AVAILABLE_IN_0_1
guint          ipc_server_get_max_clients      (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_max_clients      (IpcServer            *self,
                                                guint                 max_clients);
IPC_AVAILABLE_IN_0_1
guint          ipc_server_get_max_clients_per_uid
                                               (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_max_clients_per_uid
                                               (IpcServer            *self,
                                                guint                 max_clients_per_uid);
IPC_AVAILABLE_IN_0_1
guint          ipc_server_get_max_message_size (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_max_message_size (IpcServer            *self,
                                                guint                 max_message_size);
IPC_AVAILABLE_IN_0_1
guint          ipc_server_get_max_queued_bytes (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_max_queued_bytes (IpcServer            *self,
                                                guint                 max_queued_bytes);
IPC_AVAILABLE_IN_0_1
guint          ipc_server_get_max_fds          (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_max_fds          (IpcServer            *self,
                                                guint                 max_fds);
IPC_AVAILABLE_IN_0_1
gint           ipc_server_get_request_timeout  (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_request_timeout  (IpcServer            *self,
                                                gint                  request_timeout);
IPC_AVAILABLE_IN_0_1
gint            ipc_server_get_keep_alive_interval (IpcServer          *self);
IPC_AVAILABLE_IN_0_1
void            ipc_server_set_keep_alive_interval (IpcServer          *self,
                                                   gint               keep_alive_interval);
IPC_AVAILABLE_IN_0_1
guint          ipc_server_get_mode             (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_mode             (IpcServer            *self,
                                                guint                 mode);
IPC_AVAILABLE_IN_0_1
const char    *ipc_server_get_group            (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_group            (IpcServer            *self,
                                                const char           *group);

IPC_AVAILABLE_IN_0_1
IpcOverflowPolicy ipc_server_get_overflow_policy (IpcServer           *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_overflow_policy  (IpcServer            *self,
                                                IpcOverflowPolicy     overflow_policy);

IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_max_total_bytes  (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_set_max_total_bytes  (IpcServer            *self,
                                                guint64               max_total_bytes);
IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_total_bytes      (IpcServer            *self);

IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_messages_received (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_messages_sent    (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_messages_dropped (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_bytes_received   (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_bytes_sent       (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_server_get_queued_bytes     (IpcServer            *self);

IPC_AVAILABLE_IN_0_1
gboolean       ipc_server_start                (IpcServer            *self,
                                                GError              **error);
IPC_AVAILABLE_IN_0_1
void           ipc_server_stop                 (IpcServer            *self);
IPC_AVAILABLE_IN_0_1
void           ipc_server_stop_async           (IpcServer            *self,
                                                GCancellable         *cancellable,
                                                GAsyncReadyCallback   callback,
                                                gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_server_stop_finish          (IpcServer            *self,
                                                GAsyncResult         *result,
                                                GError              **error);

IPC_AVAILABLE_IN_0_1
void           ipc_server_add_handler          (IpcServer            *self,
                                                const char           *message_type,
                                                IpcMessageHandler     handler,
                                                gpointer              user_data,
                                                GDestroyNotify        destroy);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_server_remove_handler       (IpcServer            *self,
                                                const char           *message_type);

IPC_AVAILABLE_IN_0_1
IpcConnection *ipc_server_get_client           (IpcServer            *self,
                                                guint64               id);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_server_send_to              (IpcServer            *self,
                                                guint64               id,
                                                IpcMessage           *message,
                                                GError              **error);
IPC_AVAILABLE_IN_0_1
guint          ipc_server_broadcast            (IpcServer            *self,
                                                IpcMessage           *message,
                                                guint                *n_dropped);

G_END_DECLS
