/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's handlers, and the calls that it hands on to its connection.
 */
#include "base/ipc-task-private.h"
#include "messaging/ipc-client-private.h"

IpcConnection *
ipc_client_ref_connection (IpcClient *self, GError **error)
{
  IpcConnection *connection = NULL;

  if (!ipc_error_check_fork (self->generation, self->address, error))
    return NULL;
  g_mutex_lock (&self->lock);
  if (self->connection != NULL)
    connection = g_object_ref (self->connection);
  g_mutex_unlock (&self->lock);
  if (connection == NULL)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "client of \"%s\": not open", self->address);
  return connection;
}

/**
 * ipc_client_add_handler:
 * @self: the client
 * @message_type: (nullable): the type, or %NULL for every type that has no handler of its own
 * @handler: (scope notified) (closure user_data) (destroy destroy): handles the messages; its server is %NULL
 * @user_data: for @handler
 * @destroy: (nullable): frees @user_data
 *
 * Has messages of a type that the server sends handled, in place of the handler before.
 *
 * Since: 0.1
 */
void
ipc_client_add_handler (IpcClient *self, const char *message_type, IpcMessageHandler handler, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (IPC_IS_CLIENT (self));
  g_return_if_fail (handler != NULL);

  ipc_handler_table_add (&self->handlers, message_type, handler, user_data, destroy);
}

/**
 * ipc_client_remove_handler:
 * @self: the client
 * @message_type: (nullable): the type, or %NULL
 *
 * Removes the handler of a type.
 *
 * Returns: %TRUE if there was one
 *
 * Since: 0.1
 */
gboolean
ipc_client_remove_handler (IpcClient *self, const char *message_type)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), FALSE);

  return ipc_handler_table_remove (&self->handlers, message_type);
}

/**
 * ipc_client_send:
 * @self: the client
 * @message: the message
 * @error: where to put an error
 *
 * Sends an event to the server, from any thread; see [method@Ipc.Connection.send].
 *
 * Returns: %TRUE if it was queued
 *
 * Since: 0.1
 */
gboolean
ipc_client_send (IpcClient *self, IpcMessage *message, GError **error)
{
  g_autoptr (IpcConnection) connection = NULL;

  g_return_val_if_fail (IPC_IS_CLIENT (self), FALSE);

  connection = ipc_client_ref_connection (self, error);
  return connection != NULL && ipc_connection_send (connection, message, error);
}

static void
sent (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GError *error = NULL;

  if (ipc_connection_send_finish (IPC_CONNECTION (source), result, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/**
 * ipc_client_send_async:
 * @self: the client
 * @message: the message
 * @cancellable: (nullable): stops waiting
 * @callback: (scope async): called when the message was queued
 * @user_data: for @callback
 *
 * Sends an event to the server, waiting for room; see [method@Ipc.Connection.send_async].
 *
 * Since: 0.1
 */
void
ipc_client_send_async (IpcClient *self, IpcMessage *message, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (IpcConnection) connection = NULL;
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (IPC_IS_CLIENT (self));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_client_send_async);
  connection = ipc_client_ref_connection (self, &error);
  if (connection != NULL)
    ipc_connection_send_async (connection, message, cancellable, sent, g_steal_pointer (&task));
  else
    g_task_return_error (task, error);
}

/**
 * ipc_client_send_finish:
 * @self: the client
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Client.send_async].
 *
 * Returns: %TRUE if the message was queued
 *
 * Since: 0.1
 */
gboolean
ipc_client_send_finish (IpcClient *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * ipc_client_request:
 * @self: the client
 * @message: the request
 * @timeout: in milliseconds; -1 for ever, [const@Ipc.TIMEOUT_DEFAULT] for the default
 * @cancellable: (nullable): cancels it
 * @error: where to put an error
 *
 * Asks the server and waits for the answer in this thread; see [method@Ipc.Connection.request].
 *
 * Returns: (transfer full): the reply, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMessage *
ipc_client_request (IpcClient *self, IpcMessage *message, gint timeout, GCancellable *cancellable, GError **error)
{
  g_autoptr (IpcConnection) connection = NULL;

  g_return_val_if_fail (IPC_IS_CLIENT (self), NULL);

  connection = ipc_client_ref_connection (self, error);
  return connection != NULL ? ipc_connection_request (connection, message, timeout, cancellable, error) : NULL;
}

/**
 * ipc_client_request_async:
 * @self: the client
 * @message: the request
 * @timeout: in milliseconds; -1 for ever, [const@Ipc.TIMEOUT_DEFAULT] for the default
 * @cancellable: (nullable): cancels it
 * @callback: (scope async): called when the answer is there
 * @user_data: for @callback
 *
 * Asks the server; see [method@Ipc.Connection.request_async].
 *
 * Since: 0.1
 */
void
ipc_client_request_async (IpcClient *self, IpcMessage *message, gint timeout, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (IpcConnection) connection = NULL;
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (IPC_IS_CLIENT (self));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_client_request_async);
  connection = ipc_client_ref_connection (self, &error);
  if (connection != NULL)
    ipc_connection_request_for_task (connection, message, timeout, g_steal_pointer (&task));
  else
    g_task_return_error (task, error);
}

/**
 * ipc_client_request_finish:
 * @self: the client
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Client.request_async]; see [method@Ipc.Connection.request_finish] for the errors.
 *
 * Returns: (transfer full): the reply, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMessage *
ipc_client_request_finish (IpcClient *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
