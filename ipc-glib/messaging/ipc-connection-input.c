/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading, and handling what was read: whose turn it is, and how much of it one turn is.
 *
 * Whoever has the read turn owns the inbox. The descriptor is closed when the turn is given back, so that nobody reads
 * from a number that has become another file.
 */
#include <errno.h>

#include "core/ipc-fork.h"
#include "messaging/ipc-connection-private.h"

#define FRAMES_PER_TURN 32u
#define FRAMES_IN_A_CROWD 4u    /* where many have something to say, so that nobody waits long for its first turn */
#define TRICKLE 16384           /* a read that brings less does not announce another one */
#define FEW 4u                  /* so many that have something to say fit into the cache with all of it */
#define READS_PER_TURN 1u       /* a read brings up to 256 KiB */

/* ---- the read turn ---- */

gboolean
ipc_connection_take_read_turn_locked (IpcConnection *self)
{
  GThread *me = g_thread_self ();

  if (self->reader != NULL && self->reader != me)
    return FALSE;
  self->reader = me;
  self->reader_depth++;
  return TRUE;
}

void
ipc_connection_close_fd_locked (IpcConnection *self)
{
  if (self->fd < 0)
    return;
  if (self->generation == ipc_fork_generation ())
    {
      if (self->out_fd != self->fd && self->out_fd >= 0)
        ipc_fork_close (self->out_fd);
      ipc_fork_close (self->fd);
    }
  self->fd = self->out_fd = -1;
  ipc_fd_queue_clear (&self->fds);
  ipc_fd_queue_clear (&self->deferred_fds);
}

void
ipc_connection_give_read_turn_locked (IpcConnection *self)
{
  if (--self->reader_depth > 0)
    return;
  if (self->is_drain_due && self->watch.hub != NULL)
    ipc_hub_attend (&self->watch);
  self->is_drain_due = FALSE;
  self->reader = NULL;
  if (self->state == IPC_CONNECTION_CLOSED)
    ipc_connection_close_fd_locked (self);
  ipc_connection_wake_followers_locked (self);
}

/* ---- reading ---- */

/* What the first byte tells. */
static IpcStep
step_first_byte (IpcConnection *self)
{
  gsize size;
  const guint8 *bytes = ipc_inbox_peek (&self->inbox, &size);
  IpcWireFormat format;

  if (size == 0)
    return IPC_STEP_MORE;
  switch (bytes[0])
    {
    case 0x00:
      format = IPC_WIRE_FORMAT_BINARY;
      break;
    case '{':
    case ' ':
    case '\t':
    case '\r':
    case '\n':
      format = IPC_WIRE_FORMAT_JSON;
      break;
    default:
      {
        char shown[64];

        ipc_fault_escape (shown, sizeof shown, bytes, MIN (size, 8));
        ipc_connection_shut (self, g_error_new (IPC_ERROR, IPC_ERROR_INVALID_DATA, "%s: bad magic \"%s\"", self->peer_name, shown), TRUE);
        return IPC_STEP_END;
      }
    }
  g_mutex_lock (&self->lock);
  IPC_WRITE_ONCE (self->wire_format, format);
  g_mutex_unlock (&self->lock);
  if (self->refusal != NULL)
    {
      ipc_connection_drop (self, g_error_copy (self->refusal));
      return IPC_STEP_END;
    }
  if (format == IPC_WIRE_FORMAT_JSON)
    ipc_connection_opened (self);
  return IPC_STEP_DONE;
}

static IpcStep
step (IpcConnection *self, gboolean defer)
{
  if (IPC_READ_ONCE (self->state) >= IPC_CONNECTION_CLOSING)
    return IPC_STEP_END;
  switch (IPC_READ_ONCE (self->wire_format))
    {
    case IPC_WIRE_FORMAT_BINARY:
      return ipc_binary_step (self, defer);
    case IPC_WIRE_FORMAT_JSON:
      return defer ? IPC_STEP_END : ipc_json_step (self, defer);
    case IPC_WIRE_FORMAT_LINES:
      return IPC_CONNECTION_GET_CLASS (self)->step (self);
    case IPC_WIRE_FORMAT_UNKNOWN:
    default:
      return step_first_byte (self);
    }
}

static GError *
end_of_input (IpcConnection *self, int read_errno)
{
  gsize size;
  const char *part = self->inbox.wanted > 0 || self->got_hello ? "frame" : "first frame";

  ipc_inbox_peek (&self->inbox, &size);
  if (IPC_READ_ONCE (self->wire_format) == IPC_WIRE_FORMAT_JSON)
    return ipc_json_end_of_input (self);
  if (size > 0)
    return g_error_new (IPC_ERROR, IPC_ERROR_CLOSED, "%s: the peer closed inside a %s, after %" G_GSIZE_FORMAT " of %" G_GSIZE_FORMAT " bytes",
                        self->peer_name, part, size, MAX (self->inbox.wanted, IPC_FRAME_HEADER_SIZE));
  /* Who refuses takes what we have sent before it closes; the kernel, who closes for the dead, does not. */
  if (IPC_READ_ONCE (self->state) == IPC_CONNECTION_HANDSHAKE && !self->is_server_side && read_errno == 0)
    return g_error_new (IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "%s: the server closed the connection without a HELLO; it does not admit us", self->peer_name);
  if (IPC_READ_ONCE (self->state) == IPC_CONNECTION_HANDSHAKE && !self->is_server_side)
    return g_error_new (IPC_ERROR, IPC_ERROR_NO_SERVER, "%s: the server went away before it said HELLO: %s", self->peer_name, g_strerror (read_errno));
  if (read_errno != 0 && read_errno != ECONNRESET && read_errno != EPIPE)
    return g_error_new (G_IO_ERROR, g_io_error_from_errno (read_errno), "%s: cannot read: %s", self->peer_name, g_strerror (read_errno));
  return NULL;
}

static void
handle_end_of_input (IpcConnection *self, int read_errno)
{
  GError *error;

  if (read_errno == 0 && IPC_CONNECTION_GET_CLASS (self)->pause != NULL)
    {
      IPC_CONNECTION_GET_CLASS (self)->pause (self);
      return;
    }
  if (self->quiet && !g_queue_is_empty (&self->deferred))
    {
      /* The hub dispatches those, and meets the end itself. */
      g_mutex_lock (&self->lock);
      self->input_over = TRUE;
      g_mutex_unlock (&self->lock);
      return;
    }
  error = end_of_input (self, read_errno);
  if (error != NULL && IPC_READ_ONCE (self->wire_format) == IPC_WIRE_FORMAT_JSON)
    {
      ipc_connection_drop (self, error);
      return;
    }
  if (IPC_READ_ONCE (self->wire_format) != IPC_WIRE_FORMAT_JSON || read_errno != 0)
    {
      ipc_connection_shut (self, error, TRUE);
      return;
    }
  /* A half-close is not a disconnect: what is pending is answered first. */
  g_mutex_lock (&self->lock);
  IPC_WRITE_ONCE (self->eof, TRUE);
  ipc_connection_update_events_locked (self);
  g_mutex_unlock (&self->lock);
  ipc_connection_check_drained (self);
}

/* One read. FALSE: there was nothing, or it was the end. */
static gboolean
read_once (IpcConnection *self)
{
  GError *lost = NULL;
  guint n_fds = self->fds.n;
  gpointer into;
  gsize room;
  gssize got;
  int read_errno = 0;

  self->inbox.is_modest = !self->quiet && ipc_hub_count_ready (&self->watch) > FEW;
  into = ipc_inbox_get_room (&self->inbox, &room);
  room = ipc_connection_limit_read (self, room);
  do
    got = self->fd_capacity == 0 ? IPC_CONNECTION_GET_CLASS (self)->read (self, into, room, NULL)
                                 : ipc_connection_read_with_fds (self, into, room, &lost);
  while (got < 0 && errno == EINTR);
  if (got < 0)
    read_errno = errno;
  /* A read ends where descriptors were sent, whatever comes behind them. */
  self->readable = got == (gssize) room || self->fds.n > n_fds;
  if (lost != NULL)
    {
      ipc_connection_drop (self, lost);
      return FALSE;
    }
  if (got > 0)
    {
      ipc_inbox_add (&self->inbox, (gsize) got);
      IPC_ADD_ONCE (self->bytes_received, (guint64) got);
      self->trickles = got <= TRICKLE;
      return TRUE;
    }
  if (got == 0 || read_errno != EAGAIN)
    handle_end_of_input (self, read_errno);
  return FALSE;
}

static GBytes *
pop_deferred (IpcConnection *self)
{
  GBytes *frame;

  g_mutex_lock (&self->lock);
  frame = g_queue_pop_head (&self->deferred);
  if (frame != NULL)
    {
      self->deferred_bytes -= g_bytes_get_size (frame);
      ipc_connection_charge_locked (self);
    }
  g_mutex_unlock (&self->lock);
  return frame;
}

gboolean
ipc_connection_has_put_aside_enough (IpcConnection *self)
{
  return self->deferred_bytes > (gsize) self->limits.max_queued_bytes + self->limits.max_message_size ||
         self->deferred_fds.n >= IPC_MAX_FDS_IN_FLIGHT;
}

/* What a synchronous call of a handler put aside is in front of what it left. */
static gboolean
may_step (IpcConnection *self, gboolean defer)
{
  return !IPC_READ_ONCE (self->read_paused) && (defer ? !ipc_connection_has_put_aside_enough (self) : g_queue_is_empty (&self->deferred));
}

/* Handles up to *LEFT frames that are there: first those that a synchronous call left aside. */
static IpcStep
run_steps (IpcConnection *self, gboolean defer, guint *left)
{
  IpcStep outcome = IPC_STEP_DONE;
  /* A handler may run the loop, which reads more into the inbox: what is being handled has to stay where it is. */
  IpcBuffer *hold = ipc_inbox_hold (&self->inbox);
  /* In a crowd large replies make a turn long as well. */
  guint64 enough = *left <= FRAMES_IN_A_CROWD ? IPC_READ_ONCE (self->bytes_sent) + IPC_EAGER_FLUSH : G_MAXUINT64;

  while (*left > 0 && !defer && !g_queue_is_empty (&self->deferred) && IPC_READ_ONCE (self->state) < IPC_CONNECTION_CLOSING)
    {
      g_autoptr (GBytes) frame = pop_deferred (self);

      if (frame != NULL)
        ipc_binary_dispatch_deferred (self, frame);
      (*left)--;
    }
  while (*left > 0 && outcome == IPC_STEP_DONE && may_step (self, defer))
    {
      if (!defer && self->got_hello && ipc_binary_run_plain (self, left, enough))
        continue;
      outcome = step (self, defer);
      if (!defer)
        *left = IPC_READ_ONCE (self->bytes_sent) < enough ? *left - 1 : 0;
    }
  ipc_buffer_release (hold);
  return outcome;
}

static gboolean
run_turn (IpcConnection *self, gboolean defer)
{
  /* A thread that waits in a call keeps nobody waiting, and does not keep the hub alive: it must not look at it. */
  guint left = !defer && ipc_hub_is_crowded (&self->watch) ? FRAMES_IN_A_CROWD : FRAMES_PER_TURN;
  guint reads_left = READS_PER_TURN;

  if (!defer && ipc_connection_has_to_wait (self))
    return TRUE;
  for (;;)
    {
      if (run_steps (self, defer, &left) == IPC_STEP_END)
        {
          self->readable = FALSE;
          return FALSE;
        }
      if (left == 0 || IPC_READ_ONCE (self->read_paused) || (IPC_READ_ONCE (self->input_paused) && !defer) || !self->readable || IPC_READ_ONCE (self->eof))
        break;
      if (defer && ipc_connection_has_put_aside_enough (self))
        break;
      if (!defer && reads_left-- == 0)
        break;
      if (!read_once (self))
        {
          self->readable = FALSE;
          break;
        }
    }
  ipc_connection_settle_input (self, left == 0 && !IPC_READ_ONCE (self->read_paused));
  ipc_connection_watch_pending_fds (self);
  return (left == 0 || (self->readable && !IPC_READ_ONCE (self->input_paused))) && !IPC_READ_ONCE (self->read_paused) && !IPC_READ_ONCE (self->eof) &&
         IPC_READ_ONCE (self->state) < IPC_CONNECTION_CLOSING;
}

/* Asked for at most once a turn, and not at all in a turn that only brings replies. */
GObject *
ipc_connection_get_owner (IpcConnection *self)
{
  if (self->owner_now == NULL && !self->quiet)
    self->owner_now = g_weak_ref_get (&self->owner);
  return self->owner_now;
}

gboolean
ipc_connection_run_input (IpcConnection *self, gboolean defer)
{
  GObject *outer = g_steal_pointer (&self->owner_now);
  gboolean outer_quiet = self->quiet;
  gboolean more;

  self->quiet = defer;
  self->hearing = self->owner_hearing = IPC_HEARING_UNKNOWN;
  more = run_turn (self, defer);
  self->quiet = outer_quiet;
  g_clear_object (&self->owner_now);
  self->owner_now = outer;
  return more;
}

void
ipc_connection_feed (IpcConnection *self, GBytes *bytes)
{
  gsize size = g_bytes_get_size (bytes);
  gboolean turn;
  gsize room;

  g_mutex_lock (&self->lock);
  turn = self->state < IPC_CONNECTION_CLOSING && ipc_connection_take_read_turn_locked (self);
  g_mutex_unlock (&self->lock);
  if (!turn)
    return;
  memcpy (ipc_inbox_get_room (&self->inbox, &room), g_bytes_get_data (bytes, NULL), size);
  ipc_inbox_add (&self->inbox, size);
  IPC_ADD_ONCE (self->bytes_received, size);
  ipc_connection_run_input (self, FALSE);
  g_mutex_lock (&self->lock);
  ipc_connection_give_read_turn_locked (self);
  g_mutex_unlock (&self->lock);
}
