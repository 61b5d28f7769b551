/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server does with messages: handlers by type, and sending to one client or to all.
 */
#include "messaging/ipc-plain-private.h"
#include "messaging/ipc-server-private.h"

/**
 * ipc_server_add_handler:
 * @self: the server
 * @message_type: (nullable): the type, or %NULL for every type that has no handler of its own
 * @handler: (scope notified) (closure user_data) (destroy destroy): handles the messages
 * @user_data: for @handler
 * @destroy: (nullable): frees @user_data
 *
 * Has messages of a type handled, in place of the handler before.
 *
 * A request that nobody handles is answered with %IPC_ERROR_UNKNOWN_TYPE. Types that start with `ipc.` are the
 * library's own, and it is a programming error to add a handler for one.
 *
 * Since: 0.1
 */
void
ipc_server_add_handler (IpcServer *self, const char *message_type, IpcMessageHandler handler, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (IPC_IS_SERVER (self));
  g_return_if_fail (handler != NULL);
  g_return_if_fail (message_type == NULL || !g_str_has_prefix (message_type, "ipc."));

  ipc_handler_table_add (&self->handlers, message_type, handler, user_data, destroy);
}

/**
 * ipc_server_remove_handler:
 * @self: the server
 * @message_type: (nullable): the type, or %NULL
 *
 * Removes the handler of a type.
 *
 * Returns: %TRUE if there was one
 *
 * Since: 0.1
 */
gboolean
ipc_server_remove_handler (IpcServer *self, const char *message_type)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), FALSE);

  return ipc_handler_table_remove (&self->handlers, message_type);
}

/**
 * ipc_server_get_client:
 * @self: the server
 * @id: an [property@Ipc.Connection:id]
 *
 * Finds a client.
 *
 * Returns: (transfer none) (nullable): the client, or %NULL if there is none of that id
 *
 * Since: 0.1
 */
IpcConnection *
ipc_server_get_client (IpcServer *self, guint64 id)
{
  IpcConnection *connection;

  g_return_val_if_fail (IPC_IS_SERVER (self), NULL);

  g_mutex_lock (&self->lock);
  connection = g_hash_table_lookup (self->by_id, &id);
  g_mutex_unlock (&self->lock);
  return connection;
}

/**
 * ipc_server_send_to:
 * @self: the server
 * @id: an [property@Ipc.Connection:id]
 * @message: the message
 * @error: where to put an error
 *
 * Sends an event to one client, from any thread; see [method@Ipc.Connection.send].
 *
 * Returns: %TRUE if it was queued; %FALSE with %IPC_ERROR_NOT_FOUND if there is no client of that id
 *
 * Since: 0.1
 */
gboolean
ipc_server_send_to (IpcServer *self, guint64 id, IpcMessage *message, GError **error)
{
  g_autoptr (IpcConnection) connection = NULL;

  g_return_val_if_fail (IPC_IS_SERVER (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  g_mutex_lock (&self->lock);
  connection = g_hash_table_lookup (self->by_id, &id);
  if (connection != NULL)
    g_object_ref (connection);
  g_mutex_unlock (&self->lock);
  if (connection != NULL)
    return ipc_connection_send (connection, message, error);
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "server \"%s\" has no client %" G_GUINT64_FORMAT, self->address, id);
  return FALSE;
}

#define FEW_CLIENTS 2u          /* each gets a copy */

/* The frame that all get, at the end of the log. 0: each has to be sent its own. */
static gsize
write_shared_locked (IpcServer *self, IpcMessage *message)
{
  gsize size = IPC_FRAME_HEADER_SIZE + ipc_binary_get_length (message);

  if (g_hash_table_size (self->by_id) <= FEW_CLIENTS || message->fd_list != NULL || message->payload_size > IPC_OUTBOX_INLINE_MAX ||
      self->limits.overflow_policy == IPC_OVERFLOW_POLICY_DROP_OLDEST)
    return 0;
  ipc_binary_put_plain (ipc_out_log_add (&self->log, size), message, IPC_FRAME_EVENT, 0, 0);
  return size;
}

static IpcSendOutcome
send_to_one_locked (IpcServer *self, IpcConnection *connection, IpcMessage *message, gsize shared_size)
{
  IpcSendOutcome outcome = shared_size > 0 ? ipc_connection_send_shared (connection, message, self->log.sheet, shared_size)
                                           : ipc_connection_send_event (connection, message, NULL);

  if (outcome == IPC_SEND_FAILED)
    ipc_connection_count_dropped (connection, message);
  return outcome;
}

/**
 * ipc_server_broadcast:
 * @self: the server
 * @message: the message
 * @n_dropped: (out) (optional): for how many clients it was not queued
 *
 * Sends an event to all clients, from any thread.
 *
 * It is not queued for a client that takes only smaller messages, that is about to go, or whose queue is full; in the
 * last case [property@Ipc.Server:overflow-policy] has the say: with %IPC_OVERFLOW_POLICY_DROP_OLDEST it is queued, and
 * older ones are dropped. [signal@Ipc.Server::message-dropped] tells which clients did not get it.
 *
 * Returns: for how many clients it was queued
 *
 * Since: 0.1
 */
guint
ipc_server_broadcast (IpcServer *self, IpcMessage *message, guint *n_dropped)
{
  guint queued = 0, dropped = 0;
  GHashTableIter iter;
  gpointer connection;
  gboolean sendable;
  gsize shared_size;

  g_return_val_if_fail (IPC_IS_SERVER (self), 0);
  g_return_val_if_fail (message != NULL, 0);

  sendable = ipc_error_check_fork (self->generation, self->address, NULL) && ipc_message_check (message, FALSE, NULL);
  g_mutex_lock (&self->lock);
  shared_size = sendable ? write_shared_locked (self, message) : 0;
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &connection))
    {
      IpcSendOutcome outcome = sendable ? send_to_one_locked (self, connection, message, shared_size) : IPC_SEND_DROPPED;

      if (outcome == IPC_SEND_QUEUED)
        queued++;
      else
        dropped++;
    }
  g_mutex_unlock (&self->lock);
  if (n_dropped != NULL)
    *n_dropped = dropped;
  return queued;
}
