/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a thread waits for something on a connection without a main loop: it takes
 * the read turn and polls the descriptor itself. If another thread has the turn,
 * it waits until that one has brought what it waits for, or gives the turn back.
 *
 * Frames that are nobody's business but the application's are put aside and
 * dispatched later in the connection's context.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/ipc-task-private.h"
#include "core/ipc-fork.h"
#include "messaging/ipc-connection-private.h"

#define RETRY_US 20000

typedef struct
{
  GCancellable *cancellable;    /* (nullable) */
  GPollFD cancel_fd;
  gulong cancel_id;
} Interruption;

/* GCond makes a system call of each broadcast, whether or not anybody waits. */
void
ipc_connection_wake_followers_locked (IpcConnection *self)
{
  if (self->n_followers > 0)
    g_cond_broadcast (&self->changed);
}

static gint64
earlier (gint64 deadline, gint64 other)
{
  return deadline == 0 ? other : MIN (deadline, other);
}

/* Whoever has the turn does not know of what was queued since it began to poll. */
static void
follow_locked (IpcConnection *self, gint64 deadline)
{
  if (self->outbox.queued > 0 && !self->write_blocked)
    ipc_connection_flush_locked (self);
  if (self->outbox.queued > 0)
    deadline = earlier (deadline, g_get_monotonic_time () + RETRY_US);
  self->n_followers++;
  if (deadline != 0)
    g_cond_wait_until (&self->changed, &self->lock, deadline);
  else
    g_cond_wait (&self->changed, &self->lock);
  self->n_followers--;
}

static void
wake_followers (GCancellable *cancellable, gpointer data)
{
  IpcConnection *self = data;

  g_mutex_lock (&self->lock);
  ipc_connection_wake_followers_locked (self);
  g_mutex_unlock (&self->lock);
}

static void
interruption_begin (Interruption *self, IpcConnection *connection, GCancellable *cancellable)
{
  *self = (Interruption){ cancellable, { -1, 0, 0 }, 0 };
  if (cancellable == NULL)
    return;
  if (!g_cancellable_make_pollfd (cancellable, &self->cancel_fd))
    self->cancel_fd.fd = -1;
  self->cancel_id = g_cancellable_connect (cancellable, G_CALLBACK (wake_followers), connection, NULL);
}

static void
interruption_end (Interruption *self)
{
  if (self->cancellable == NULL)
    return;
  g_cancellable_disconnect (self->cancellable, self->cancel_id);
  if (self->cancel_fd.fd >= 0)
    g_cancellable_release_fd (self->cancellable);
}

/* Objects of JSON are all the application's business; and there are times when nothing is read. */
static gboolean
can_read (IpcConnection *self)
{
  return IPC_READ_ONCE (self->wire_format) != IPC_WIRE_FORMAT_JSON && !IPC_READ_ONCE (self->read_paused) &&
         IPC_READ_ONCE (self->state) < IPC_CONNECTION_CLOSING;
}

static gboolean
is_pair (IpcConnection *self)
{
  return self->out_fd != self->fd;
}

/* Over a pair: who could not say HELLO is never answered, and no end of the input tells of that. */
static gboolean
is_unheard_locked (IpcConnection *self)
{
  return is_pair (self) && self->write_failed && self->state == IPC_CONNECTION_HANDSHAKE;
}

/* With the turn, without the lock. */
static void
poll_and_read (IpcConnection *self, gboolean want_in, gboolean want_out, gint64 deadline, Interruption *interruption)
{
  short out = want_out ? POLLOUT : 0;
  struct pollfd fds[3] = {
    { .fd = self->fd, .events = (short) ((want_in ? POLLIN : 0) | (is_pair (self) ? 0 : out)) },
    { .fd = interruption->cancel_fd.fd, .events = POLLIN },
    { .fd = IPC_READ_ONCE (self->write_failed) ? -1 : self->out_fd, .events = out },
  };

  if (poll (fds, is_pair (self) ? 3 : 2, ipc_deadline_to_poll (deadline)) <= 0)
    return;
  if (((fds[0].revents | fds[2].revents) & POLLOUT) != 0 || fds[2].revents != 0)
    {
      g_mutex_lock (&self->lock);
      if ((fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        ipc_connection_fail_writing_locked (self);
      else
        ipc_connection_flush_locked (self);
      g_mutex_unlock (&self->lock);
    }
  /* Who does not read any more is most often gone. */
  fds[0].revents |= fds[2].revents & (POLLERR | POLLHUP);
  if ((fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
    {
      self->readable = TRUE;
      IPC_WRITE_ONCE (self->last_activity, g_get_real_time ());
      ipc_connection_run_input (self, TRUE);
    }
}

static gboolean
check_still_waiting_locked (IpcConnection *self, gint64 started, gint64 deadline, const char *what, GCancellable *cancellable, GError **error)
{
  if (self->state == IPC_CONNECTION_CLOSED)
    {
      if (self->error != NULL)
        g_propagate_error (error, g_error_copy (self->error));
      else
        g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s: the connection is closed", self->peer_name);
      return FALSE;
    }
  if (is_unheard_locked (self))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "%s: the server cannot be told of us, it went away", self->peer_name);
      return FALSE;
    }
  if (self->input_over)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s: the peer closed the connection", self->peer_name);
      return FALSE;
    }
  if (ipc_connection_has_put_aside_enough (self))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_FULL, "%s: %" G_GSIZE_FORMAT " bytes and %u descriptors of other messages wait for the main loop",
                   self->peer_name, self->deferred_bytes, self->deferred_fds.n);
      return FALSE;
    }
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (deadline != 0 && g_get_monotonic_time () >= deadline)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT, "%s: %s within %" G_GINT64_FORMAT " ms, the timeout", self->peer_name, what,
                   (deadline - started + 500) / 1000);
      return FALSE;
    }
  return TRUE;
}

/*
 * What is already in the inbox may be what is waited for; and output has to go before an answer comes. Closing wakes
 * the poll by what can be read: what is wanted is found out under the lock under which it may be closed, and where a
 * pair of pipes is not read from, the poll looks up by itself.
 */
static void
turn_locked (IpcConnection *self, IpcWaitFunc done, gpointer data, gint64 deadline, Interruption *interruption)
{
  gboolean want_in, want_out;

  if (self->outbox.queued > 0)
    ipc_connection_flush_locked (self);
  want_out = self->outbox.queued > 0 && self->fds_retry_due == 0;
  if (self->fds_retry_due != 0)
    deadline = earlier (deadline, self->fds_retry_due);
  g_mutex_unlock (&self->lock);
  ipc_connection_run_input (self, TRUE);
  g_mutex_lock (&self->lock);
  if (done (self, data) || self->state == IPC_CONNECTION_CLOSED || is_unheard_locked (self))
    return;
  want_in = can_read (self);
  g_mutex_unlock (&self->lock);
  if (!want_in && is_pair (self))
    deadline = earlier (deadline, g_get_monotonic_time () + RETRY_US);
  poll_and_read (self, want_in, want_out, deadline, interruption);
  g_mutex_lock (&self->lock);
}

gboolean
ipc_connection_wait (IpcConnection *self, IpcWaitFunc done, gpointer data, gint64 deadline,
                     const char *what, GCancellable *cancellable, GError **error)
{
  gint64 started = deadline != 0 ? g_get_monotonic_time () : 0;
  Interruption interruption;
  gboolean success;

  interruption_begin (&interruption, self, cancellable);
  g_mutex_lock (&self->lock);
  while (!(success = done (self, data)) && check_still_waiting_locked (self, started, deadline, what, cancellable, error))
    {
      if (self->wire_format != IPC_WIRE_FORMAT_JSON && ipc_connection_take_read_turn_locked (self))
        {
          turn_locked (self, done, data, deadline, &interruption);
          ipc_connection_give_read_turn_locked (self);
        }
      else
        follow_locked (self, deadline);
    }
  if (self->state < IPC_CONNECTION_CLOSING)
    ipc_hub_attend (&self->watch);      /* for what was put aside, and what was left in the inbox */
  g_mutex_unlock (&self->lock);
  interruption_end (&interruption);
  return success;
}

gboolean
ipc_connection_check_may_block (IpcConnection *self, GError **error)
{
  gboolean stuck;

  if (!ipc_error_check_fork (self->generation, self->peer_name, error))
    return FALSE;
  if (self->peer_context == NULL)
    return TRUE;
  stuck = g_main_context_is_owner (self->peer_context);
  if (!stuck)
    {
      /* Nobody runs it, and if it is ours to run, nobody will. The default one is the main thread's: for another
       * thread, that nobody runs it now may just be a moment between two iterations. */
      GMainContext *mine = g_main_context_get_thread_default ();

      if (mine == NULL && getpid () == gettid ())
        mine = g_main_context_default ();
      if (mine == self->peer_context && g_main_context_acquire (mine))
        {
          stuck = TRUE;
          g_main_context_release (mine);
        }
    }
  if (stuck)
    g_set_error (error, IPC_ERROR, IPC_ERROR_FAILED,
                 "%s: the server runs in the main context that waiting would block; use the asynchronous call", self->peer_name);
  return !stuck;
}
