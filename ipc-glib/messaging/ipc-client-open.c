/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a client gets from closed to open and back, on its main loop.
 *
 * Opening is one GTask: try to reach the server; while it is not there, wait for
 * its file to appear (wait-for-server); start the connection and wait for HELLO.
 * Reconnecting is the same without a task, after a connection was lost: it goes
 * on until it is open again, fails in a way that does not pass, or is closed.
 */
#include <unistd.h>

#include "base/ipc-task-private.h"
#include "core/ipc-fork.h"
#include "messaging/ipc-client-private.h"
#include "messaging/ipc-credentials-private.h"

#define BUSY_RETRY_US 5000

GError *
ipc_client_new_closed_error (IpcClient *self)
{
  return g_error_new (IPC_ERROR, IPC_ERROR_CLOSED, "client of \"%s\": closed while opening", self->address);
}

/* ---- the end of opening, and of reconnecting ---- */

/* ERROR (nullable) (transfer full). */
static void
finish_opening (IpcClient *self, GError *error)
{
  g_autoptr (GTask) task = g_steal_pointer (&self->opening);

  ipc_client_stop_waiting (self);
  /* What would cancel it holds the task, and so the client. */
  if (g_task_get_task_data (task) != NULL)
    g_source_destroy (g_task_get_task_data (task));
  if (error != NULL)
    {
      ipc_client_set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
      g_task_return_error (task, error);
    }
  else
    g_task_return_boolean (task, TRUE);
}

/* There will be no other attempt. ERROR is NULL if it was closed. */
static void
finish_reconnecting (IpcClient *self, const GError *error)
{
  self->reconnecting = FALSE;
  ipc_client_stop_waiting (self);
  ipc_client_set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
  g_signal_emit (self, ipc_client_signals[IPC_CLIENT_SIGNAL_CLOSED], 0, error);
}

/* close() was called, and there is no connection that would tell of it. */
static void
finish_closing (IpcClient *self)
{
  if (self->opening != NULL)
    finish_opening (self, ipc_client_new_closed_error (self));
  else if (self->reconnecting)
    finish_reconnecting (self, NULL);
}

/* ---- between two attempts ---- */

static void
wait_for_next_attempt (IpcClient *self, gint64 delay)
{
  if (delay >= 0)
    ipc_client_retry_in (self, delay);
  if (!ipc_client_set_state (self, IPC_CLIENT_STATE_WAITING, NULL))
    finish_closing (self);
}

/* A server that was reached may take us the next time, without anything to be seen of that in its directory. */
static void
opening_failed (IpcClient *self, GError *error, gboolean in_handshake)
{
  if (!ipc_client_may_wait (self, error, in_handshake))
    {
      finish_opening (self, error);
      return;
    }
  g_clear_error (&error);
  if (in_handshake)
    ipc_client_watch (self, NULL);
  wait_for_next_attempt (self, in_handshake ? ipc_backoff_next (&self->backoff) : -1);
}

static void
reconnecting_failed (IpcClient *self, GError *error, gboolean in_handshake)
{
  g_autoptr (GError) reason = error;

  if (!ipc_client_may_reconnect (self, reason, in_handshake))
    {
      finish_reconnecting (self, reason);
      return;
    }
  self->server_is_absent = g_error_matches (reason, IPC_ERROR, IPC_ERROR_NO_SERVER);
  ipc_client_watch (self, NULL);
  wait_for_next_attempt (self, self->retry != NULL ? -1 : ipc_backoff_next (&self->backoff));
}

/* ERROR (transfer full). */
static void
attempt_failed (IpcClient *self, GError *error, gboolean in_handshake)
{
  if (self->opening != NULL)
    opening_failed (self, error, in_handshake);
  else
    reconnecting_failed (self, error, in_handshake);
}

/* An open connection is over; everybody but the client has been told. */
static void
connection_lost (IpcClient *self, const GError *error)
{
  gboolean lasted;

  g_mutex_lock (&self->lock);
  lasted = g_get_monotonic_time () - self->opened_at >= self->lasting;
  g_mutex_unlock (&self->lock);
  if (lasted)
    ipc_backoff_reset (&self->backoff);
  self->reconnecting = self->reconnect && !ipc_client_is_close_wanted (self);
  if (self->reconnecting)
    {
      self->n_refusals = 0;
      self->server_is_absent = TRUE;
      ipc_client_watch (self, NULL);
      ipc_client_retry_in (self, ipc_backoff_next (&self->backoff));
    }
  if (!ipc_client_set_state (self, self->reconnecting ? IPC_CLIENT_STATE_WAITING : IPC_CLIENT_STATE_CLOSED, NULL))
    {
      self->reconnecting = FALSE;
      ipc_client_stop_waiting (self);
      ipc_client_set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
    }
  g_signal_emit (self, ipc_client_signals[IPC_CLIENT_SIGNAL_CLOSED], 0, error);
}

/* ---- the connection ---- */

static gboolean
is_admissible (IpcClient *self, IpcConnection *connection, GError **error)
{
  uid_t uid;

  if (connection->is_own_user && self->server_uid == geteuid ())
    return TRUE;
  if (connection->is_own_user)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "%s: the server is of our own user %u, expected %u, and a pipe knows no other",
                   self->address, (guint) geteuid (), self->server_uid);
      return FALSE;
    }
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

IpcConnection *
ipc_client_reach (IpcClient *self, GError **error)
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

  /* If it is to be closed, the end of the connection comes next. */
  if (IPC_READ_ONCE (self->connection) != connection || !ipc_client_set_state (self, IPC_CLIENT_STATE_OPEN, connection))
    return;
  self->reconnecting = FALSE;
  ipc_client_stop_waiting (self);
  if (self->opening != NULL)
    finish_opening (self, NULL);
}

static void
connection_closed (gpointer owner, IpcConnection *connection, const GError *error)
{
  IpcClient *self = owner;
  gboolean is_mine, is_waited_for, was_opened;

  g_mutex_lock (&self->lock);
  is_mine = self->connection == connection;
  was_opened = IPC_READ_ONCE (connection->was_opened);
  is_waited_for = self->interrupt != NULL && !was_opened;
  g_mutex_unlock (&self->lock);
  if (!is_mine || is_waited_for)        /* whoever waits for it sees to it */
    return;
  if (was_opened && self->opening == NULL)
    connection_lost (self, error);
  else if (ipc_client_is_close_wanted (self))
    finish_closing (self);
  else
    attempt_failed (self, error != NULL ? g_error_copy (error) : ipc_client_new_closed_error (self), TRUE);
}

static gboolean
connection_message (gpointer owner, IpcConnection *connection, IpcMessage *message)
{
  IpcClient *self = owner;
  gboolean taken = ipc_emit_message_received (self, ipc_client_signals[IPC_CLIENT_SIGNAL_MESSAGE_RECEIVED], &connection->owner_hearing,
                                              NULL, message);

  return ipc_handler_run (ipc_handler_table_find_for (&self->handlers, connection, message), NULL, connection, message) || taken;
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
ipc_client_adopt (IpcClient *self, IpcConnection *connection)
{
  ipc_connection_set_owner (connection, self, &owner_funcs);
}

void
ipc_client_abandon (IpcClient *self, IpcConnection *connection)
{
  ipc_connection_disown (connection);
  ipc_connection_close (connection);
}

/* ---- one attempt ---- */

static void
start_connection (IpcClient *self, IpcConnection *connection)
{
  GError *error = NULL;

  self->busy_since = 0;
  ipc_client_stop_waiting (self);
  ipc_client_adopt (self, connection);
  if (!ipc_client_set_state (self, IPC_CLIENT_STATE_OPENING, connection))
    finish_closing (self);
  else if (!ipc_connection_start (connection, &error))
    attempt_failed (self, error, FALSE);
}

void
ipc_client_attempt (IpcClient *self)
{
  g_autoptr (IpcClient) alive G_GNUC_UNUSED = g_object_ref (self);
  g_autoptr (IpcConnection) connection = NULL;
  GError *error = NULL;

  if ((self->opening == NULL && !self->reconnecting) || IPC_READ_ONCE (self->connection) != NULL)
    return;
  /* Watched before it is looked for, so that it cannot appear in between. */
  if (!ipc_client_watch (self, self->opening != NULL ? &error : NULL) && self->opening != NULL)
    {
      finish_opening (self, error);
      return;
    }
  connection = ipc_client_reach (self, &error);
  if (connection != NULL)
    start_connection (self, connection);
  else if (self->opening != NULL && ipc_client_is_busy (self, &error))
    {
      g_clear_error (&error);
      ipc_client_retry_in (self, BUSY_RETRY_US);
    }
  else
    attempt_failed (self, error, FALSE);
}

/* ---- opening ---- */

static gboolean
opening_cancelled (GCancellable *cancellable, gpointer user_data)
{
  GTask *task = user_data;
  IpcClient *self = g_task_get_source_object (task);
  g_autoptr (IpcConnection) connection = ipc_client_ref_connection (self, NULL);

  if (self->opening != task)
    return G_SOURCE_REMOVE;
  if (connection != NULL)
    ipc_client_abandon (self, connection);
  finish_opening (self, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "client of \"%s\": opening was cancelled", self->address));
  return G_SOURCE_REMOVE;
}

/* In the client's own context, whatever context the caller is in. */
static gboolean
open_in_context (gpointer user_data)
{
  GTask *task = user_data;
  IpcClient *self = g_task_get_source_object (task);
  GCancellable *cancellable = g_task_get_cancellable (task);

  self->opening = g_object_ref (task);
  ipc_client_reset_attempts (self);
  ipc_client_tell (self, IPC_CLIENT_CHANGED_STATE);
  if (cancellable != NULL)
    {
      g_autoptr (GSource) source = g_cancellable_source_new (cancellable);

      g_source_set_static_name (source, "[ipc-glib] open cancelled");
      g_source_set_callback (source, G_SOURCE_FUNC (opening_cancelled), g_object_ref (task), g_object_unref);
      g_source_attach (source, self->context);
      g_task_set_task_data (task, g_source_ref (source), (GDestroyNotify) g_source_unref);
    }
  if (ipc_client_is_close_wanted (self))
    finish_closing (self);
  else
    ipc_client_attempt (self);
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
 * With [property@Ipc.Client:wait-for-server], waits for as long as it takes until there is one. A server that goes
 * away before it has let the client in is waited for again.
 *
 * This is about being open for the first time. [property@Ipc.Client:reconnect] begins after that: it does not make
 * opening wait, and after @callback was called with success it brings back a connection that is lost, without
 * another call of @callback.
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
  if (!ipc_client_begin_opening (self, NULL, &error))
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
 * Errors: %IPC_ERROR_NO_SERVER, also if the server went away before it had let the client in;
 * %IPC_ERROR_PERMISSION_DENIED if the server does not admit this process, or is
 * not of the expected user; %IPC_ERROR_CLOSED if the client was closed meanwhile; %IPC_ERROR_FULL if the server has too many clients; %IPC_ERROR_VERSION;
 * %IPC_ERROR_TIMED_OUT if the server does not answer, or has no room among those that wait to be taken;
 * %IPC_ERROR_ALREADY; and those of a bad address, see [method@Ipc.Server.start].
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

/* ---- closing ---- */

static gboolean
finish_closing_cb (gpointer data)
{
  if (ipc_client_is_close_wanted (data))
    finish_closing (data);
  return G_SOURCE_REMOVE;
}

/* Where there is no connection to close, or was none a moment ago. */
static gboolean
close_in_context (gpointer data)
{
  IpcClient *self = data;
  g_autoptr (IpcConnection) connection = NULL;
  g_autoptr (GSource) source = NULL;

  if (!ipc_client_is_close_wanted (self))
    return G_SOURCE_REMOVE;
  connection = ipc_client_ref_connection (self, NULL);
  if (connection != NULL)
    ipc_connection_close (connection);
  else if (self->opening != NULL || !ipc_client_has_handlers (self))
    finish_closing (self);
  else if (self->reconnecting)
    {
      /* `closed` is never emitted from within close(). */
      ipc_client_stop_waiting (self);
      source = g_idle_source_new ();
      g_source_set_priority (source, G_PRIORITY_DEFAULT);
      g_source_set_static_name (source, "[ipc-glib] client closed");
      g_source_set_callback (source, finish_closing_cb, g_object_ref (self), g_object_unref);
      g_source_attach (source, self->context);
    }
  return G_SOURCE_REMOVE;
}

/**
 * ipc_client_close:
 * @self: the client
 *
 * Closes the connection, or stops opening it or reconnecting; any thread. See [method@Ipc.Connection.close].
 *
 * [signal@Ipc.Client::closed] comes later, from the main loop. A thread that waits in [method@Ipc.Client.open] or
 * [method@Ipc.Client.request] waits no longer. Closing a closed client does nothing.
 *
 * Since: 0.1
 */
void
ipc_client_close (IpcClient *self)
{
  g_autoptr (IpcConnection) connection = NULL;
  g_autoptr (GCancellable) interrupt = NULL;
  gboolean is_open;

  g_return_if_fail (IPC_IS_CLIENT (self));

  if (self->generation != ipc_fork_generation ())
    return;
  g_mutex_lock (&self->lock);
  if (self->state == IPC_CLIENT_STATE_CLOSED)
    {
      g_mutex_unlock (&self->lock);
      return;
    }
  self->close_wanted = TRUE;
  is_open = self->state == IPC_CLIENT_STATE_OPEN;
  connection = self->connection != NULL ? g_object_ref (self->connection) : NULL;
  interrupt = self->interrupt != NULL ? g_object_ref (self->interrupt) : NULL;
  g_mutex_unlock (&self->lock);
  if (interrupt != NULL)
    g_cancellable_cancel (interrupt);   /* the thread that waits sees to the rest */
  else if (is_open && !ipc_client_has_handlers (self))
    {
      /* With nobody to be told there need not be a main loop. */
      ipc_client_abandon (self, connection);
      ipc_client_set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
    }
  else if (connection != NULL)
    ipc_connection_close (connection);
  else
    g_main_context_invoke_full (self->context, G_PRIORITY_DEFAULT, close_in_context, g_object_ref (self), g_object_unref);
}
