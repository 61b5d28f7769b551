/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-message.h"

G_BEGIN_DECLS

#define IPC_TYPE_CONNECTION (ipc_connection_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcConnection, ipc_connection, IPC, CONNECTION, GObject)

/**
 * IpcReplyFunc:
 * @self: the connection
 * @reply: (nullable): the reply, lent for the time of the call, or %NULL
 * @error: (nullable): why there is no reply, lent for the time of the call
 * @user_data: what was passed with the function
 *
 * Gets the reply to [method@Ipc.Connection.request_with_callback], or the error.
 *
 * Take a reference with [method@Ipc.Message.ref] to keep the reply.
 *
 * Since: 0.1
 */
typedef void (*IpcReplyFunc) (IpcConnection *self,
                              IpcMessage    *reply,
                              const GError  *error,
                              gpointer       user_data);

IPC_AVAILABLE_IN_0_1
guint64        ipc_connection_get_id                (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
GCredentials  *ipc_connection_get_credentials       (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
int            ipc_connection_get_peer_pidfd        (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_connection_get_is_open           (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
IpcWireFormat  ipc_connection_get_wire_format       (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
IpcTransport   ipc_connection_get_transport         (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_connection_get_queued_bytes      (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_connection_get_messages_received (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_connection_get_messages_sent     (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_connection_get_messages_dropped  (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_connection_get_bytes_received    (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
guint64        ipc_connection_get_bytes_sent        (IpcConnection        *self);
IPC_AVAILABLE_IN_0_1
gint64         ipc_connection_get_last_activity     (IpcConnection        *self);

IPC_AVAILABLE_IN_0_1
gboolean       ipc_connection_send                  (IpcConnection        *self,
                                                     IpcMessage           *message,
                                                     GError              **error);
IPC_AVAILABLE_IN_0_1
void           ipc_connection_send_async            (IpcConnection        *self,
                                                     IpcMessage           *message,
                                                     GCancellable         *cancellable,
                                                     GAsyncReadyCallback   callback,
                                                     gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_connection_send_finish           (IpcConnection        *self,
                                                     GAsyncResult         *result,
                                                     GError              **error);

IPC_AVAILABLE_IN_0_1
IpcMessage    *ipc_connection_request               (IpcConnection        *self,
                                                     IpcMessage           *message,
                                                     gint                  timeout,
                                                     GCancellable         *cancellable,
                                                     GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
void           ipc_connection_request_async         (IpcConnection        *self,
                                                     IpcMessage           *message,
                                                     gint                  timeout,
                                                     GCancellable         *cancellable,
                                                     GAsyncReadyCallback   callback,
                                                     gpointer              user_data);
IPC_AVAILABLE_IN_0_1
IpcMessage    *ipc_connection_request_finish        (IpcConnection        *self,
                                                     GAsyncResult         *result,
                                                     GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
void           ipc_connection_request_with_callback (IpcConnection        *self,
                                                     IpcMessage           *message,
                                                     gint                  timeout,
                                                     GCancellable         *cancellable,
                                                     IpcReplyFunc          callback,
                                                     gpointer              user_data);

IPC_AVAILABLE_IN_0_1
gboolean       ipc_connection_reply                 (IpcConnection        *self,
                                                     IpcMessage           *request,
                                                     IpcMessage           *message,
                                                     GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_connection_reply_error           (IpcConnection        *self,
                                                     IpcMessage           *request,
                                                     const GError         *reason,
                                                     GError              **error);

IPC_AVAILABLE_IN_0_1
gboolean       ipc_connection_flush                 (IpcConnection        *self,
                                                     GCancellable         *cancellable,
                                                     GError              **error);
IPC_AVAILABLE_IN_0_1
void           ipc_connection_flush_async           (IpcConnection        *self,
                                                     GCancellable         *cancellable,
                                                     GAsyncReadyCallback   callback,
                                                     gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean       ipc_connection_flush_finish          (IpcConnection        *self,
                                                     GAsyncResult         *result,
                                                     GError              **error);

IPC_AVAILABLE_IN_0_1
void           ipc_connection_close                 (IpcConnection        *self);

G_END_DECLS
