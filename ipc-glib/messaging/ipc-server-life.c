/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a server: which peers it lets in, how they come and go, and how it
 * starts and stops.
 */
#include "base/ipc-task-private.h"
#include "core/ipc-fork.h"
#include "messaging/ipc-server-private.h"

#define MAX_UNOPENED 64u        /* peers that have not said what they want yet */
#define PATIENCE_US G_USEC_PER_SEC      /* so long they are waited for while others want in */

/* ---- peers ---- */

static void
clear_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
finish_stop_if_done (IpcServer *self)
{
  if (self->stopping == NULL || g_hash_table_size (self->by_id) > 0 || g_hash_table_size (self->unopened) > 0)
    return;
  clear_source (&self->stop_timeout);
  clear_source (&self->stop_cancelled);
  g_task_return_boolean (self->stopping, TRUE);
  g_clear_object (&self->stopping);
}

static void
tell_peer_changed (IpcServer *self)
{
  if (IPC_SERVER_GET_CLASS (self)->peer_changed != NULL)
    IPC_SERVER_GET_CLASS (self)->peer_changed (self);
}

static void
peer_opened (gpointer owner, IpcConnection *connection)
{
  IpcServer *self = owner;

  if (!g_hash_table_remove (self->unopened, connection))
    return;
  tell_peer_changed (self);
  g_mutex_lock (&self->lock);
  g_hash_table_insert (self->by_id, &connection->id, g_object_ref (connection));
  g_mutex_unlock (&self->lock);
  g_list_store_append (self->connections, connection);
  g_object_notify (G_OBJECT (self), "n-clients");
  g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_CLIENT_CONNECTED], 0, connection);
}

static void
peer_closed (gpointer owner, IpcConnection *connection, const GError *error)
{
  IpcServer *self = owner;
  gboolean was_open;
  guint position;

  g_mutex_lock (&self->lock);
  was_open = g_hash_table_contains (self->by_id, &connection->id);
  if (was_open)
    ipc_server_keep_statistics_locked (self, connection);
  g_hash_table_remove (self->by_id, &connection->id);
  g_mutex_unlock (&self->lock);
  if (was_open)
    {
      if (g_list_store_find (self->connections, connection, &position))
        g_list_store_remove (self->connections, position);
      g_object_notify (G_OBJECT (self), "n-clients");
    }
  else if (!g_hash_table_remove (self->unopened, connection))
    return;
  ipc_server_count_out (self, connection);
  tell_peer_changed (self);
  /* Somebody who just went away before saying anything is no news. */
  if (was_open || (error != NULL && connection->refusal == NULL))
    g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_CLIENT_DISCONNECTED], 0, connection, error);
  finish_stop_if_done (self);
}

static gboolean
peer_message (gpointer owner, IpcConnection *connection, IpcMessage *message)
{
  IpcServer *self = owner;
  gboolean taken = ipc_emit_message_received (self, ipc_server_signals[IPC_SERVER_SIGNAL_MESSAGE_RECEIVED], &connection->owner_hearing,
                                              connection, message);

  return ipc_handler_run (ipc_handler_table_find_for (&self->handlers, connection, message), self, connection, message) || taken;
}

static gboolean
peer_handles (gpointer owner, const char *message_type)
{
  return ipc_server_has_builtin (message_type) || ipc_handler_table_find (&((IpcServer *) owner)->handlers, message_type) != NULL;
}

static const IpcConnectionOwnerFuncs owner_funcs = {
  .opened = peer_opened,
  .builtin = ipc_server_answer_builtin,
  .message = peer_message,
  .handles = peer_handles,
  .closed = peer_closed,
  .dropped = ipc_server_note_dropped,
};

/* ---- a channel ---- */

static void
channel_opened (gpointer owner, IpcConnection *channel)
{
}

static void
channel_closed (gpointer owner, IpcConnection *channel, const GError *error)
{
}

static const IpcConnectionOwnerFuncs channel_funcs = {
  .opened = channel_opened,
  .message = peer_message,
  .handles = peer_handles,
  .closed = channel_closed,
};

gboolean
ipc_server_take_channel (IpcServer *self, IpcConnection *channel, GError **error)
{
  channel->is_channel = TRUE;
  channel->limits.keep_alive_interval = 0;
  ipc_connection_set_context (channel, self->context);
  ipc_connection_set_owner (channel, self, &channel_funcs);
  ipc_connection_set_ledger (channel, self->ledger);
  if (!ipc_connection_start (channel, error))
    {
      g_object_unref (channel);
      return FALSE;
    }
  ipc_connection_opened (channel);
  g_mutex_lock (&self->lock);
  self->channel = channel;
  g_mutex_unlock (&self->lock);
  return TRUE;
}

/* What came through it stays counted. */
static void
close_channel (IpcServer *self)
{
  IpcConnection *channel = self->channel;

  if (channel == NULL)
    return;
  g_mutex_lock (&self->lock);
  ipc_server_keep_statistics_locked (self, channel);
  self->channel = NULL;
  g_mutex_unlock (&self->lock);
  ipc_connection_disown (channel);
  ipc_connection_shut (channel, NULL, FALSE);
  g_object_unref (channel);
}

/* ---- admission ---- */

/* Those that will be clients as soon as they introduce themselves. */
static guint
count_admitted (IpcServer *self)
{
  GHashTableIter iter;
  gpointer peer;
  guint n = 0;

  g_hash_table_iter_init (&iter, self->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    if (((IpcConnection *) peer)->refusal == NULL)
      n++;
  return n;
}

static gint64
get_handshake_start (IpcConnection *connection)
{
  return connection->calls_due - (gint64) connection->limits.handshake_timeout * 1000;
}

/* Who has had time enough to say something, and has had it for the longest. */
static IpcConnection *
find_silent (IpcServer *self)
{
  gint64 oldest = g_get_monotonic_time () - PATIENCE_US;
  IpcConnection *silent = NULL;
  GHashTableIter iter;
  gpointer peer;

  g_hash_table_iter_init (&iter, self->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    {
      IpcConnection *connection = peer;

      if (connection->state != IPC_CONNECTION_HANDSHAKE || get_handshake_start (connection) > oldest)
        continue;
      oldest = get_handshake_start (connection);
      silent = connection;
    }
  return silent;
}

gboolean
ipc_server_has_room (IpcServer *self)
{
  return g_hash_table_size (self->unopened) < MAX_UNOPENED || find_silent (self) != NULL;
}

/* Peers that say nothing must not keep those out who do. FALSE: none has been silent for so long. */
static gboolean
make_room (IpcServer *self)
{
  IpcConnection *silent;

  if (g_hash_table_size (self->unopened) < MAX_UNOPENED)
    return TRUE;
  silent = find_silent (self);
  if (silent == NULL)
    return FALSE;
  ipc_connection_shut (silent, g_error_new (IPC_ERROR, IPC_ERROR_TIMED_OUT, "%s: no HELLO within %d s, and others wait", self->address,
                                            (int) (PATIENCE_US / G_USEC_PER_SEC)), TRUE);
  return self->is_running && g_hash_table_size (self->unopened) < MAX_UNOPENED;
}

void
ipc_server_take (IpcServer *self, IpcConnection *connection)
{
  g_autoptr (IpcConnection) taken G_GNUC_UNUSED = connection;
  g_autoptr (GError) error = NULL;

  /* A handler may have stopped the server, or have kept the connection: it is closed in any case. */
  if (!ipc_server_is_authorized (self, connection) || !self->is_running)
    {
      g_debug ("%s: a peer was not let in", self->address);
      self->clients_refused++;
      if (self->is_running)
        ipc_connection_refuse (connection);
      ipc_connection_close (connection);
      return;
    }
  if (!make_room (self))
    {
      self->clients_refused++;
      ipc_connection_close (connection);
      g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_OVERLOADED], 0);
      return;
    }
  if (g_hash_table_size (self->by_id) + count_admitted (self) >= self->max_clients)
    {
      self->clients_refused++;
      connection->refusal = g_error_new (IPC_ERROR, IPC_ERROR_FULL, "%s: the limit of %u clients is reached", self->address, self->max_clients);
      g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_OVERLOADED], 0);
    }
  else if (!ipc_server_count_in (self, connection, &connection->refusal))
    {
      g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_OVERLOADED], 0);
    }
  ipc_connection_set_context (connection, self->context);
  ipc_connection_set_owner (connection, self, &owner_funcs);
  ipc_connection_set_ledger (connection, self->ledger);
  g_hash_table_add (self->unopened, g_object_ref (connection));
  if (!ipc_connection_start (connection, &error))
    {
      g_debug ("%s: %s", self->address, error->message);
      ipc_server_count_out (self, connection);
      g_hash_table_remove (self->unopened, connection);
    }
}

/* ---- starting and stopping ---- */

void
ipc_server_forget_peers (IpcServer *self)
{
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer peer;

  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    g_ptr_array_add (peers, g_object_ref (peer));
  g_hash_table_iter_init (&iter, self->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    g_ptr_array_add (peers, g_object_ref (peer));
  for (guint i = 0; i < peers->len; i++)
    ipc_connection_close (g_ptr_array_index (peers, i));
}

void
ipc_server_unlisten (IpcServer *self)
{
  if (!self->is_running)
    return;
  self->is_running = FALSE;
  if (self->generation == ipc_fork_generation ())
    IPC_SERVER_GET_CLASS (self)->unlisten (self);
  close_channel (self);
}

/**
 * ipc_server_start:
 * @self: the server
 * @error: where to put an error
 *
 * Lets clients in from now on.
 *
 * Errors: %IPC_ERROR_INVALID_NAME, %IPC_ERROR_INVALID_ARGUMENT or %IPC_ERROR_UNSUPPORTED for a bad address or
 * mode; %IPC_ERROR_ADDRESS_IN_USE, naming the owner, if another server has the address; %IPC_ERROR_UNSAFE_PATH and
 * %IPC_ERROR_WRONG_TYPE for what is at the path or on the way to it, which is left alone;
 * %IPC_ERROR_ALREADY if it runs.
 *
 * Returns: %TRUE if it runs
 *
 * Since: 0.1
 */
gboolean
ipc_server_start (IpcServer *self, GError **error)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_error_check_fork (self->generation, self->address, error))
    return FALSE;
  if (self->is_running || self->stopping != NULL)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_ALREADY, "server \"%s\" %s", self->address, self->is_running ? "runs already" : "is about to stop");
      return FALSE;
    }
  if (self->mode > 0777)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "server \"%s\": mode %#o, allowed are 0 to 0777", self->address, self->mode);
      return FALSE;
    }
  if (!IPC_SERVER_GET_CLASS (self)->listen (self, error))
    return FALSE;
  self->is_running = TRUE;
  self->started = g_get_monotonic_time ();
  g_object_notify (G_OBJECT (self), "is-running");
  return TRUE;
}

/**
 * ipc_server_stop:
 * @self: the server
 *
 * Lets no more clients in and closes all connections. What is queued is still written.
 *
 * [signal@Ipc.Server::client-disconnected] comes later, from the main loop. Stopping a server that does not run
 * does nothing.
 *
 * Since: 0.1
 */
void
ipc_server_stop (IpcServer *self)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  if (!self->is_running && self->stopping == NULL)
    return;
  if (self->is_running)
    {
      ipc_server_unlisten (self);
      g_object_notify (G_OBJECT (self), "is-running");
    }
  ipc_server_forget_peers (self);
}

static gboolean
stop_now (gpointer data)
{
  ipc_server_forget_peers (IPC_SERVER (data));
  return G_SOURCE_REMOVE;
}

static gboolean
stop_cancelled (GCancellable *cancellable, gpointer self)
{
  ipc_server_forget_peers (self);
  return G_SOURCE_REMOVE;
}

static void
arm_stop_timeout (IpcServer *self)
{
  if (self->limits.request_timeout < 0)
    return;
  self->stop_timeout = g_timeout_source_new ((guint) self->limits.request_timeout);
  g_source_set_static_name (self->stop_timeout, "[ipc-glib] stop");
  g_source_set_callback (self->stop_timeout, stop_now, self, NULL);
  g_source_attach (self->stop_timeout, self->context);
}

/**
 * ipc_server_stop_async:
 * @self: the server
 * @cancellable: (nullable): stops waiting, and closes all connections at once
 * @callback: (scope async): called when all connections are closed
 * @user_data: for @callback
 *
 * Stops in an orderly way: lets no more clients in, tells those that are there
 * to send no more requests, waits until all requests that have come are
 * answered and all replies written, for at most [property@Ipc.Server:request-timeout], and closes the connections.
 *
 * Requests that cross the message that says so are not handled: they fail at the client with
 * %IPC_ERROR_NOT_CONNECTED, which makes them safe to repeat, and not with %IPC_ERROR_UNCERTAIN. Events still go both ways
 * while there is something to wait for. This side makes no new requests either; those that it has made are not waited for.
 * A client that speaks JSON is told with an error object of code `closed`.
 *
 * Since: 0.1
 */
void
ipc_server_stop_async (IpcServer *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer peer;

  g_return_if_fail (IPC_IS_SERVER (self));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_server_stop_async);
  if (self->stopping != NULL)
    {
      g_task_return_new_error (task, IPC_ERROR, IPC_ERROR_ALREADY, "server \"%s\" is about to stop already", self->address);
      return;
    }
  if (g_cancellable_is_cancelled (cancellable))
    {
      ipc_server_stop (self);
      g_task_return_error_if_cancelled (task);
      return;
    }
  if (self->is_running)
    {
      ipc_server_unlisten (self);
      g_object_notify (G_OBJECT (self), "is-running");
    }
  self->stopping = g_steal_pointer (&task);
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    g_ptr_array_add (peers, g_object_ref (peer));
  for (guint i = 0; i < peers->len; i++)
    ipc_connection_drain (g_ptr_array_index (peers, i));
  g_ptr_array_set_size (peers, 0);
  g_hash_table_iter_init (&iter, self->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    g_ptr_array_add (peers, g_object_ref (peer));
  for (guint i = 0; i < peers->len; i++)
    ipc_connection_close (g_ptr_array_index (peers, i));
  arm_stop_timeout (self);
  if (cancellable != NULL)
    {
      self->stop_cancelled = g_cancellable_source_new (cancellable);
      g_source_set_static_name (self->stop_cancelled, "[ipc-glib] stop cancelled");
      g_source_set_callback (self->stop_cancelled, G_SOURCE_FUNC (stop_cancelled), self, NULL);
      g_source_attach (self->stop_cancelled, self->context);
    }
  finish_stop_if_done (self);
}

/**
 * ipc_server_stop_finish:
 * @self: the server
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Server.stop_async].
 *
 * Returns: %TRUE if the server stopped
 *
 * Since: 0.1
 */
gboolean
ipc_server_stop_finish (IpcServer *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
