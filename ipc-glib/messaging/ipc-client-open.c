/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a client gets from closed to open and back.
 *
 * Opening is one GTask: try to reach the server; while it is not there, wait for
 * its file to appear (wait-for-server); start the connection and wait for HELLO.
 */
#include <poll.h>

#include "base/ipc-task-private.h"
#include "core/ipc-fork.h"
#include "messaging/ipc-client-private.h"
#include "messaging/ipc-credentials-private.h"

#define BUSY_RETRY_MS 5

/* ---- state ---- */

static gboolean
notify_state (gpointer data)
{
  g_object_notify (data, "state");
  g_object_notify (data, "connection");
  return G_SOURCE_REMOVE;
}

/* Somebody is to be told of what happens. A program that only blocks has no main loop to tell it in. */
static gboolean
has_handlers (IpcClient *self)
{
  return g_signal_handler_find (self, G_SIGNAL_MATCH_ID, g_signal_lookup ("notify", G_TYPE_OBJECT), 0, NULL, NULL, NULL) != 0 ||
         g_signal_handler_find (self, G_SIGNAL_MATCH_ID, ipc_client_signals[IPC_CLIENT_SIGNAL_CLOSED], 0, NULL, NULL, NULL) != 0;
}

static void
notify_state_later (IpcClient *self)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_static_name (source, "[ipc-glib] client state");
  g_source_set_callback (source, notify_state, g_object_ref (self), g_object_unref);
  g_source_attach (source, self->context);
}

static void
tell_state (IpcClient *self)
{
  if (!has_handlers (self))
    return;
  if (g_main_context_is_owner (self->context))
    notify_state (self);
  else
    notify_state_later (self);
}

/* Takes a reference to CONNECTION (nullable). Notifies in the client's context: at once if that is this one. */
static void
set_state (IpcClient *self, IpcClientState state, IpcConnection *connection)
{
  IpcConnection *before;
  gboolean changed;

  g_mutex_lock (&self->lock);
  changed = self->state != state || self->connection != connection;
  before = self->connection;
  self->state = state;
  self->connection = connection != NULL ? g_object_ref (connection) : NULL;
  g_mutex_unlock (&self->lock);
  g_clear_object (&before);
  if (changed)
    tell_state (self);
}

/* ---- opening ---- */

static void try_to_open (IpcClient *self);

void
ipc_client_stop_waiting (IpcClient *self)
{
  g_clear_pointer (&self->watch, ipc_directory_watch_free);
  if (self->retry != NULL)
    g_source_destroy (self->retry);
  g_clear_pointer (&self->retry, g_source_unref);
}

/* ERROR (nullable) (transfer full). */
static void
finish_opening (IpcClient *self, GError *error)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->opening);

  ipc_client_stop_waiting (self);
  if (task == NULL)
    {
      g_clear_error (&error);
      return;
    }
  /* What would cancel it holds the task, and so the client. */
  if (g_task_get_task_data (task) != NULL)
    g_source_destroy (g_task_get_task_data (task));
  if (error != NULL)
    {
      set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
      g_task_return_error (task, error);
    }
  else
    g_task_return_boolean (task, TRUE);
}

static void
server_appeared (const char *name, gboolean gone, gpointer user_data)
{
  IpcClient *self = user_data;

  /* Nothing more would come from it; the next attempt looks for the directory anew. */
  if (gone)
    g_clear_pointer (&self->watch, ipc_directory_watch_free);
  try_to_open (self);
}

static gboolean
retry_cb (gpointer user_data)
{
  try_to_open (user_data);
  return G_SOURCE_REMOVE;
}

static void
retry_soon (IpcClient *self)
{
  if (self->retry != NULL)
    g_source_destroy (self->retry);
  g_clear_pointer (&self->retry, g_source_unref);
  self->retry = g_timeout_source_new (BUSY_RETRY_MS);
  g_source_set_static_name (self->retry, "[ipc-glib] busy server");
  g_source_set_callback (self->retry, retry_cb, self, NULL);
  g_source_attach (self->retry, self->context);
}

static gboolean
is_admissible (IpcClient *self, IpcConnection *connection, GError **error)
{
  uid_t uid;

  if (!ipc_credentials_are_known (connection->credentials))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "%s: the kernel does not say who the server is", self->address);
      return FALSE;
    }
  uid = g_credentials_get_unix_user (connection->credentials, NULL);
  if (uid == self->server_uid)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "%s: the server has uid %u, expected %u", self->address, uid, self->server_uid);
  return FALSE;
}

static IpcConnection *
reach (IpcClient *self, GError **error)
{
  g_autoptr (IpcConnection) connection = NULL;

  connection = IPC_CLIENT_GET_CLASS (self)->reach (self, error);
  if (connection == NULL || !is_admissible (self, connection, error))
    return NULL;
  ipc_connection_set_context (connection, self->context);
  return g_steal_pointer (&connection);
}

static void
connection_opened (gpointer owner, IpcConnection *connection)
{
  IpcClient *self = owner;

  if (self->connection != connection)
    return;
  set_state (self, IPC_CLIENT_STATE_OPEN, connection);
  finish_opening (self, NULL);
}

static void
connection_closed (gpointer owner, IpcConnection *connection, const GError *error)
{
  IpcClient *self = owner;

  if (self->connection != connection)
    return;
  if (self->opening != NULL)
    {
      finish_opening (self, error != NULL ? g_error_copy (error)
                                          : g_error_new (IPC_ERROR, IPC_ERROR_CLOSED, "client of \"%s\": closed while opening", self->address));
      return;
    }
  set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
  if (connection->was_opened)
    g_signal_emit (self, ipc_client_signals[IPC_CLIENT_SIGNAL_CLOSED], 0, error);
}

static gboolean
connection_message (gpointer owner, IpcConnection *connection, IpcMessage *message)
{
  IpcClient *self = owner;
  gboolean taken = ipc_emit_message_received (self, ipc_client_signals[IPC_CLIENT_SIGNAL_MESSAGE_RECEIVED], NULL, message);

  return ipc_handler_run (ipc_handler_table_find (&self->handlers, message->type), NULL, connection, message) || taken;
}

static gboolean
connection_handles (gpointer owner, const char *message_type)
{
  return ipc_handler_table_find (&((IpcClient *) owner)->handlers, message_type) != NULL;
}

static const IpcConnectionOwnerFuncs owner_funcs = {
  .opened = connection_opened,
  .message = connection_message,
  .handles = connection_handles,
  .closed = connection_closed,
};

void
ipc_client_abandon (IpcClient *self, IpcConnection *connection)
{
  ipc_connection_set_owner (connection, NULL, &owner_funcs);
  ipc_connection_close (connection);
}

static gboolean
may_wait (IpcClient *self, const GError *error)
{
  return self->wait_for_server && (g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SERVER));
}

static void
start_connection (IpcClient *self, IpcConnection *connection)
{
  GError *error = NULL;

  ipc_client_stop_waiting (self);
  ipc_connection_set_owner (connection, self, &owner_funcs);
  set_state (self, IPC_CLIENT_STATE_OPENING, connection);
  if (!ipc_connection_start (connection, &error))
    finish_opening (self, error);
}

static void
try_to_open (IpcClient *self)
{
  g_autoptr (IpcClient) alive G_GNUC_UNUSED = g_object_ref (self);
  g_autoptr (IpcConnection) connection = NULL;
  GError *error = NULL;

  if (self->opening == NULL)
    return;
  /* Watched before it is looked for, so that it cannot appear in between. */
  if (self->wait_for_server && self->watch == NULL)
    {
      self->watch = IPC_CLIENT_GET_CLASS (self)->watch (self, self->context, server_appeared, self, &error);
      if (self->watch == NULL)
        {
          finish_opening (self, error);
          return;
        }
    }
  connection = reach (self, &error);
  if (connection != NULL)
    start_connection (self, connection);
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BUSY))
    {
      g_clear_error (&error);
      retry_soon (self);
    }
  else if (may_wait (self, error))
    {
      g_clear_error (&error);
      set_state (self, IPC_CLIENT_STATE_WAITING, NULL);
    }
  else
    finish_opening (self, error);
}

static gboolean
opening_cancelled (GCancellable *cancellable, gpointer user_data)
{
  GTask *task = user_data;
  IpcClient *self = g_task_get_source_object (task);
  g_autoptr (IpcConnection) connection = self->connection != NULL ? g_object_ref (self->connection) : NULL;

  if (self->opening != task)
    return G_SOURCE_REMOVE;
  if (connection != NULL)
    {
      ipc_client_abandon (self, connection);
    }
  finish_opening (self, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "client of \"%s\": opening was cancelled", self->address));
  return G_SOURCE_REMOVE;
}

static gboolean
begin_opening (IpcClient *self, GError **error)
{
  gboolean busy;

  if (!ipc_error_check_fork (self->generation, self->address, error))
    return FALSE;
  g_mutex_lock (&self->lock);
  busy = self->state != IPC_CLIENT_STATE_CLOSED;
  if (!busy)
    self->state = IPC_CLIENT_STATE_OPENING;
  g_mutex_unlock (&self->lock);
  if (!busy)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_ALREADY, "client of \"%s\": open already, or opening", self->address);
  return FALSE;
}

/* In the client's own context, whatever context the caller is in. */
static gboolean
open_in_context (gpointer user_data)
{
  GTask *task = user_data;
  IpcClient *self = g_task_get_source_object (task);
  GCancellable *cancellable = g_task_get_cancellable (task);

  self->opening = g_object_ref (task);
  g_object_notify (G_OBJECT (self), "state");
  if (cancellable != NULL)
    {
      g_autoptr (GSource) source = g_cancellable_source_new (cancellable);

      g_source_set_static_name (source, "[ipc-glib] open cancelled");
      g_source_set_callback (source, G_SOURCE_FUNC (opening_cancelled), g_object_ref (task), g_object_unref);
      g_source_attach (source, self->context);
      g_task_set_task_data (task, g_source_ref (source), (GDestroyNotify) g_source_unref);
    }
  try_to_open (self);
  return G_SOURCE_REMOVE;
}

/**
 * ipc_client_open_async:
 * @self: the client
 * @cancellable: (nullable): cancels it
 * @callback: (scope async): called when it is open
 * @user_data: for @callback
 *
 * Connects to the server.
 *
 * With [property@Ipc.Client:wait-for-server], waits for as long as it takes until there is one.
 *
 * Since: 0.1
 */
void
ipc_client_open_async (IpcClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (IPC_IS_CLIENT (self));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_client_open_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  /* Cancelling closes what is being opened; once it is open it is too late. */
  g_task_set_check_cancellable (task, FALSE);
  if (!begin_opening (self, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  g_main_context_invoke_full (self->context, G_PRIORITY_DEFAULT, open_in_context, g_object_ref (task), g_object_unref);
}

/**
 * ipc_client_open_finish:
 * @self: the client
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Client.open_async].
 *
 * Errors: %IPC_ERROR_NO_SERVER; %IPC_ERROR_PERMISSION_DENIED if the server does not admit this process, or is
 * not of the expected user; %IPC_ERROR_FULL if the server has too many clients; %IPC_ERROR_VERSION;
 * %IPC_ERROR_TIMED_OUT; %IPC_ERROR_ALREADY; and those of a bad address, see [method@Ipc.Server.start].
 *
 * Returns: %TRUE if it is open
 *
 * Since: 0.1
 */
gboolean
ipc_client_open_finish (IpcClient *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- opening in the calling thread ---- */

static void
note_event (const char *name, gboolean gone, gpointer watch_is_over)
{
  *(gboolean *) watch_is_over |= gone;
}

static gboolean
wait_for_event (IpcDirectoryWatch *watch, int timeout, GCancellable *cancellable, GError **error)
{
  GPollFD cancel_fd = { -1, 0, 0 };
  struct pollfd fds[2] = { { .fd = watch != NULL ? ipc_directory_watch_get_fd (watch) : -1, .events = POLLIN }, { .fd = -1, .events = POLLIN } };

  if (g_cancellable_make_pollfd (cancellable, &cancel_fd))
    fds[1].fd = cancel_fd.fd;
  poll (fds, 2, timeout);
  if (cancel_fd.fd >= 0)
    g_cancellable_release_fd (cancellable);
  if (watch != NULL && (fds[0].revents & POLLIN) != 0)
    ipc_directory_watch_dispatch (watch);
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static IpcConnection *
reach_sync (IpcClient *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (GMainContext) nowhere = NULL;
  IpcDirectoryWatch *watch = NULL;
  gboolean watch_is_over = FALSE;
  IpcConnection *connection;

  /* Attached to a context that nobody runs: this thread polls it. */
  if (self->wait_for_server)
    nowhere = g_main_context_new ();
  for (;;)
    {
      g_autoptr (GError) reason = NULL;
      gboolean busy;

      if (watch_is_over)
        g_clear_pointer (&watch, ipc_directory_watch_free);
      watch_is_over = FALSE;
      if (nowhere != NULL && watch == NULL)
        watch = IPC_CLIENT_GET_CLASS (self)->watch (self, nowhere, note_event, &watch_is_over, error);
      if (nowhere != NULL && watch == NULL)
        return NULL;
      connection = reach (self, &reason);
      busy = g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_BUSY);
      if (connection == NULL && (busy || may_wait (self, reason)))
        {
          if (!busy)
            set_state (self, IPC_CLIENT_STATE_WAITING, NULL);
          if (wait_for_event (watch, busy ? BUSY_RETRY_MS : -1, cancellable, error))
            continue;
        }
      else if (connection == NULL)
        g_propagate_error (error, g_steal_pointer (&reason));
      break;
    }
  g_clear_pointer (&watch, ipc_directory_watch_free);
  return connection;
}

static gboolean
is_open (IpcConnection *connection, gpointer data)
{
  return connection->state == IPC_CONNECTION_OPEN;
}

static gboolean
open_connection_sync (IpcClient *self, IpcConnection *connection, GCancellable *cancellable, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + IPC_HANDSHAKE_TIMEOUT_US;

  ipc_connection_set_owner (connection, self, &owner_funcs);
  set_state (self, IPC_CLIENT_STATE_OPENING, connection);
  return ipc_connection_check_may_block (connection, error) &&
         ipc_connection_start (connection, error) &&
         ipc_connection_wait (connection, is_open, NULL, deadline, "no HELLO", cancellable, error);
}

/**
 * ipc_client_open:
 * @self: the client
 * @cancellable: (nullable): cancels it
 * @error: where to put an error
 *
 * Connects to the server, waiting in this thread; see [method@Ipc.Client.open_finish] for the errors.
 *
 * Returns: %TRUE if it is open
 *
 * Since: 0.1
 */
gboolean
ipc_client_open (IpcClient *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (IpcConnection) connection = NULL;

  g_return_val_if_fail (IPC_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) || !begin_opening (self, error))
    return FALSE;
  connection = reach_sync (self, cancellable, error);
  if (connection != NULL && open_connection_sync (self, connection, cancellable, error))
    {
      /* If it is closed by now, whoever runs the main loop says so. */
      g_mutex_lock (&self->lock);
      if (self->connection == connection)
        self->state = IPC_CLIENT_STATE_OPEN;
      g_mutex_unlock (&self->lock);
      tell_state (self);
      return TRUE;
    }
  if (connection != NULL)
    {
      ipc_client_abandon (self, connection);
    }
  set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
  return FALSE;
}

/**
 * ipc_client_close:
 * @self: the client
 *
 * Closes the connection, or stops opening it; see [method@Ipc.Connection.close].
 *
 * [signal@Ipc.Client::closed] comes later, from the main loop. Closing a closed client does nothing.
 *
 * Since: 0.1
 */
void
ipc_client_close (IpcClient *self)
{
  g_autoptr (IpcConnection) connection = NULL;

  g_return_if_fail (IPC_IS_CLIENT (self));

  if (self->generation != ipc_fork_generation ())
    return;
  g_mutex_lock (&self->lock);
  if (self->connection != NULL)
    connection = g_object_ref (self->connection);
  g_mutex_unlock (&self->lock);
  if (connection != NULL && self->opening == NULL && !has_handlers (self))
    {
      /* With nobody to be told there need not be a main loop. */
      ipc_client_abandon (self, connection);
      set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
    }
  else if (connection != NULL)
    ipc_connection_close (connection);
  else if (self->opening != NULL)
    finish_opening (self, g_error_new (IPC_ERROR, IPC_ERROR_CLOSED, "client of \"%s\": closed while opening", self->address));
}
