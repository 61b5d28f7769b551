/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening a client in a thread that waits: the same as ipc-client-open.c, with
 * poll() in place of the main loop.
 *
 * While a thread is in here, `interrupt` is set: close() fires it, and whatever
 * the main loop hears of the connection is left to this thread.
 */
#include <poll.h>

#include "base/ipc-task-private.h"
#include "messaging/ipc-client-private.h"

#define BUSY_RETRY_MS 5

typedef struct
{
  IpcClient *client;            /* (unowned) */
  GCancellable *cancellable;    /* (nullable) (unowned) the caller's */
  GCancellable *interrupt;      /* (unowned) what close() fires */
  GMainContext *nowhere;        /* (nullable) (owned) that nobody runs: this thread polls what is attached to it */
  IpcDirectoryWatch *watch;     /* (nullable) (owned) */
  gboolean watch_is_over;
} Opening;

static void
opening_clear (Opening *self)
{
  g_clear_pointer (&self->watch, ipc_directory_watch_free);
  g_clear_pointer (&self->nowhere, g_main_context_unref);
}

static void
note_event (const char *name, gboolean gone, gpointer opening)
{
  ((Opening *) opening)->watch_is_over |= gone;
}

static gboolean
check_goes_on (Opening *self, GError **error)
{
  if (g_cancellable_set_error_if_cancelled (self->cancellable, error))
    return FALSE;
  if (!g_cancellable_is_cancelled (self->interrupt))
    return TRUE;
  g_propagate_error (error, ipc_client_new_closed_error (self->client));
  return FALSE;
}

/* TIMEOUT in ms, -1: until something happens. */
static gboolean
wait_for_event (Opening *self, int timeout, GError **error)
{
  GPollFD cancel_fd = { -1, 0, 0 }, interrupt_fd = { -1, 0, 0 };
  struct pollfd fds[3] = { { .fd = -1, .events = POLLIN }, { .fd = -1, .events = POLLIN }, { .fd = -1, .events = POLLIN } };

  if (self->watch != NULL)
    fds[0].fd = ipc_directory_watch_get_fd (self->watch);
  if (g_cancellable_make_pollfd (self->cancellable, &cancel_fd))
    fds[1].fd = cancel_fd.fd;
  if (g_cancellable_make_pollfd (self->interrupt, &interrupt_fd))
    fds[2].fd = interrupt_fd.fd;
  poll (fds, G_N_ELEMENTS (fds), timeout);
  if (cancel_fd.fd >= 0)
    g_cancellable_release_fd (self->cancellable);
  if (interrupt_fd.fd >= 0)
    g_cancellable_release_fd (self->interrupt);
  if (self->watch != NULL && (fds[0].revents & POLLIN) != 0)
    ipc_directory_watch_dispatch (self->watch);
  return check_goes_on (self, error);
}

static gboolean
watch_directory (Opening *self, GError **error)
{
  if (self->watch_is_over)
    g_clear_pointer (&self->watch, ipc_directory_watch_free);
  self->watch_is_over = FALSE;
  if (!self->client->wait_for_server || self->watch != NULL)
    return TRUE;
  if (self->nowhere == NULL)
    self->nowhere = g_main_context_new ();
  self->watch = IPC_CLIENT_GET_CLASS (self->client)->watch (self->client, self->nowhere, note_event, self, error);
  return self->watch != NULL;
}

/* ERROR (transfer full): whether there is to be another attempt, after waiting for it. */
static gboolean
wait_after (Opening *self, GError *reason, gboolean in_handshake, GError **error)
{
  IpcClient *client = self->client;
  int timeout = -1;

  if (!check_goes_on (self, error))
    {
      g_error_free (reason);
      return FALSE;
    }
  if (ipc_client_is_busy (client, &reason))
    timeout = BUSY_RETRY_MS;
  else if (!ipc_client_may_wait (client, reason, in_handshake))
    {
      g_propagate_error (error, reason);
      return FALSE;
    }
  else
    ipc_client_set_state (client, IPC_CLIENT_STATE_WAITING, NULL);
  g_error_free (reason);
  if (in_handshake)
    timeout = (int) (ipc_backoff_next (&client->backoff) / 1000);
  return wait_for_event (self, timeout, error);
}

static gboolean
is_open (IpcConnection *connection, gpointer data)
{
  return connection->state == IPC_CONNECTION_OPEN;
}

static void
close_connection (GCancellable *interrupt, gpointer connection)
{
  ipc_connection_close (connection);
}

static gboolean
shake_hands (Opening *self, IpcConnection *connection, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + (gint64) connection->limits.handshake_timeout * 1000;
  gboolean success;
  gulong id;

  self->client->busy_since = 0;
  ipc_client_adopt (self->client, connection);
  if (!ipc_client_set_state (self->client, IPC_CLIENT_STATE_OPENING, connection))
    {
      g_propagate_error (error, ipc_client_new_closed_error (self->client));
      return FALSE;
    }
  if (!ipc_connection_check_may_block (connection, error) || !ipc_connection_start (connection, error))
    return FALSE;
  id = g_cancellable_connect (self->interrupt, G_CALLBACK (close_connection), connection, NULL);
  success = ipc_connection_wait (connection, is_open, NULL, deadline, "no HELLO", self->cancellable, error);
  g_cancellable_disconnect (self->interrupt, id);
  return success;
}

/* The connection, once it is open. */
static IpcConnection *
open_connection (Opening *self, GError **error)
{
  for (;;)
    {
      g_autoptr (IpcConnection) connection = NULL;
      GError *reason = NULL;

      if (!watch_directory (self, error))
        return NULL;
      connection = ipc_client_reach (self->client, &reason);
      if (connection != NULL && shake_hands (self, connection, &reason))
        return g_steal_pointer (&connection);
      if (connection != NULL)
        ipc_client_abandon (self->client, connection);
      if (!wait_after (self, reason, connection != NULL, error))
        return NULL;
    }
}

/* What the main loop hears from now on is its own business. FALSE: closed just before. */
static gboolean
finish (IpcClient *self, IpcConnection *connection)
{
  g_autoptr (GCancellable) interrupt = NULL;
  gboolean is_mine, closed;

  g_mutex_lock (&self->lock);
  interrupt = g_steal_pointer (&self->interrupt);
  closed = self->close_wanted;
  /* If it is lost by now, whoever runs the main loop has seen to it. */
  is_mine = connection != NULL && self->connection == connection && !closed;
  if (is_mine)
    {
      self->state = IPC_CLIENT_STATE_OPEN;
      self->opened_at = g_get_monotonic_time ();
    }
  g_mutex_unlock (&self->lock);
  if (is_mine)
    ipc_client_tell (self, IPC_CLIENT_CHANGED_STATE);
  return !closed;
}

/**
 * ipc_client_open:
 * @self: the client
 * @cancellable: (nullable): cancels it
 * @error: where to put an error
 *
 * Connects to the server, waiting in this thread; see [method@Ipc.Client.open_finish] for the errors.
 *
 * [method@Ipc.Client.close] in another thread ends it with %IPC_ERROR_CLOSED. What
 * [property@Ipc.Client:reconnect] does afterwards, it does from the main loop.
 *
 * Returns: %TRUE if it is open
 *
 * Since: 0.1
 */
gboolean
ipc_client_open (IpcClient *self, GCancellable *cancellable, GError **error)
{
  g_autoptr (GCancellable) interrupt = NULL;
  g_autoptr (IpcConnection) connection = NULL;
  Opening opening = { self, cancellable, NULL, NULL, NULL, FALSE };

  g_return_val_if_fail (IPC_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  interrupt = g_cancellable_new ();
  if (!ipc_client_begin_opening (self, g_object_ref (interrupt), error))
    return FALSE;
  opening.interrupt = interrupt;
  ipc_client_reset_attempts (self);
  ipc_client_tell (self, IPC_CLIENT_CHANGED_STATE);
  connection = open_connection (&opening, error);
  opening_clear (&opening);
  if (finish (self, connection) && connection != NULL)
    return TRUE;
  if (connection != NULL)
    {
      ipc_client_abandon (self, connection);
      g_propagate_error (error, ipc_client_new_closed_error (self));
    }
  ipc_client_set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
  return FALSE;
}
