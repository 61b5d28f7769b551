/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a connection on the hub: reading, writing, and the end.
 *
 * The end comes once, in ipc_connection_shut(). The descriptor is closed there,
 * or by whoever has the read turn when that is given back, so that nobody reads
 * from a number that has become another file.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "messaging/ipc-connection-private.h"

#define FRAMES_PER_TURN 32u
#define FRAMES_IN_A_CROWD 4u    /* where many have something to say, so that nobody waits long for its first turn */
#define TRICKLE 16384           /* a read that brings less does not announce another one */
#define FEW 4u                  /* so many that have something to say fit into the cache with all of it */
#define READS_PER_TURN 1u       /* a read brings up to 256 KiB */
#define STATISTICS_INTERVAL_US 100000

/* ---- writing ---- */

void
ipc_connection_update_events_locked (IpcConnection *self)
{
  guint events = 0;

  if (!self->read_paused && !self->input_paused && !self->eof && self->state != IPC_CONNECTION_CLOSING)
    events |= EPOLLIN;
  if (self->write_blocked && self->fds_retry_due == 0)
    events |= EPOLLOUT;
  if (self->watch.hub != NULL)
    ipc_hub_modify (&self->watch, events);
}

/* The statistics change: whoever observes them is told, but not more often than they can look. With nobody to be
 * told there is no timer: a thousand busy connections would keep the loop busy with theirs. */
static void
note_statistics_locked (IpcConnection *self)
{
  if (self->statistics_due != 0 || self->unobserved || self->watch.hub == NULL)
    return;
  /* Asking GObject costs more than sending a message: once a turn is often enough. */
  self->unobserved = !ipc_connection_has_observers (self);
  if (self->unobserved)
    return;
  IPC_WRITE_ONCE (self->statistics_due, g_get_monotonic_time () + STATISTICS_INTERVAL_US);
  ipc_hub_attend_at (&self->watch, self->statistics_due);
}

static void
fail_writing_locked (IpcConnection *self)
{
  if (!self->write_failed)
    {
      /* What the peer has sent is still to be read, and so is the end of it. */
      IPC_WRITE_ONCE (self->write_failed, TRUE);
      if (self->total_out_at_end == 0)
        self->total_out_at_end = ipc_outbox_total_out (&self->outbox);
      ipc_hub_attend (&self->watch);
    }
  ipc_outbox_clear (&self->outbox);
  self->write_blocked = FALSE;
  ipc_connection_update_pressure_locked (self);
  ipc_connection_update_events_locked (self);
}

/* After something was written, for those who wait for that. */
static void
note_progress_locked (IpcConnection *self)
{
  ipc_connection_update_pressure_locked (self);
  if (!g_queue_is_empty (&self->waiters))
    ipc_hub_attend (&self->watch);
  ipc_connection_wake_followers_locked (self);
  note_statistics_locked (self);
  if (self->ledger != NULL)
    ipc_ledger_touch (self->ledger);
}

/* Whether all was written. */
static gboolean
write_locked (IpcConnection *self, gboolean *progress)
{
  while (self->outbox.queued > 0)
    {
      gssize written = ipc_connection_write_front_locked (self);

      if (written < 0 && errno == EINTR)
        continue;
      if (written < 0 && errno == EAGAIN)
        return FALSE;
      if (written < 0)
        {
          fail_writing_locked (self);
          break;
        }
      ipc_outbox_written (&self->outbox, (gsize) written);
      IPC_ADD_ONCE (self->bytes_sent, (guint64) written);
      *progress = TRUE;
    }
  return TRUE;
}

void
ipc_connection_flush_locked (IpcConnection *self)
{
  gboolean progress = FALSE;
  gboolean waits_for_fds = self->fds_retry_due != 0;
  gboolean blocked;

  if (self->fd < 0 || self->write_failed)
    {
      fail_writing_locked (self);
      return;
    }
  self->fds_retry_due = 0;
  blocked = !write_locked (self, &progress);
  if (blocked != self->write_blocked || waits_for_fds != (self->fds_retry_due != 0))
    {
      self->write_blocked = blocked;
      ipc_connection_note_stalled_locked (self);
      ipc_connection_update_events_locked (self);
    }
  ipc_connection_charge_locked (self);
  if (progress || self->write_failed)
    note_progress_locked (self);
  if (!blocked && (self->state == IPC_CONNECTION_CLOSING || self->eof || self->said_goodbye))
    ipc_hub_attend (&self->watch);
}

void
ipc_connection_see_to_flush_locked (IpcConnection *self)
{
  if (self->watch.hub == NULL)
    return;
  if (self->outbox.queued >= IPC_EAGER_FLUSH && !self->write_blocked)
    ipc_connection_flush_locked (self);
  else if (!IPC_READ_ONCE (self->watch.in_flush) && !self->write_blocked)
    ipc_hub_queue_flush (&self->watch);
  else if (self->write_blocked)
    note_statistics_locked (self);      /* otherwise what is written tells of it */
  if (ipc_outbox_get_load (&self->outbox) < IPC_PRESSING)
    return;
  ipc_connection_charge_locked (self);
  if (ipc_outbox_get_load (&self->outbox) >= ipc_connection_get_queue_limit_locked (self))
    ipc_connection_update_pressure_locked (self);
}

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

static void
close_fd_locked (IpcConnection *self)
{
  if (self->fd < 0)
    return;
  if (self->generation == ipc_fork_generation ())
    {
      ipc_fork_close (self->fd);
    }
  self->fd = -1;
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
    close_fd_locked (self);
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

static void
note_activity (IpcConnection *self)
{
  IPC_WRITE_ONCE (self->last_activity, g_get_real_time ());
  if (self->ledger != NULL)
    ipc_ledger_touch (self->ledger);
  if (IPC_READ_ONCE (self->statistics_due) != 0)
    return;
  g_mutex_lock (&self->lock);
  self->unobserved = FALSE;
  note_statistics_locked (self);
  g_mutex_unlock (&self->lock);
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
  ipc_connection_settle_input (self);
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

static gboolean
connection_io (IpcHubWatch *watch, guint events)
{
  IpcConnection *self = IPC_CONNECTION (watch->owner);
  gboolean more = FALSE;

  g_mutex_lock (&self->lock);
  if ((events & EPOLLOUT) != 0)
    ipc_connection_flush_locked (self);
  if (self->state >= IPC_CONNECTION_CLOSING || !ipc_connection_take_read_turn_locked (self))
    {
      gboolean lingers = self->state == IPC_CONNECTION_CLOSING;

      g_mutex_unlock (&self->lock);
      if (lingers && (events & (EPOLLERR | EPOLLHUP)) != 0)
        ipc_connection_shut (self, NULL, TRUE);
      return FALSE;
    }
  g_mutex_unlock (&self->lock);

  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
    {
      self->readable = TRUE;
      note_activity (self);
      /* With the peer gone altogether there is nobody left to wait for. */
      if (IPC_READ_ONCE (self->eof) && (events & (EPOLLHUP | EPOLLERR)) != 0)
        ipc_connection_shut (self, NULL, TRUE);
      else if (IPC_READ_ONCE (self->read_paused) && (events & (EPOLLHUP | EPOLLERR)) != 0)
        {
          g_mutex_lock (&self->lock);
          fail_writing_locked (self);
          g_mutex_unlock (&self->lock);
        }
      else if ((events & (EPOLLHUP | EPOLLERR)) != 0)
        IPC_WRITE_ONCE (self->input_paused, FALSE);     /* what is left is little, and cannot be left for later */
    }
  more = ipc_connection_run_input (self, FALSE);

  g_mutex_lock (&self->lock);
  ipc_connection_give_read_turn_locked (self);
  g_mutex_unlock (&self->lock);
  return more;
}

static void
connection_flush (IpcHubWatch *watch)
{
  IpcConnection *self = IPC_CONNECTION (watch->owner);

  g_mutex_lock (&self->lock);
  self->unobserved = FALSE;
  if (!self->write_blocked)
    ipc_connection_flush_locked (self);
  g_mutex_unlock (&self->lock);
}

static gboolean
must_read_to_the_end (IpcConnection *self)
{
  gboolean turn;

  g_mutex_lock (&self->lock);
  turn = self->state < IPC_CONNECTION_CLOSING && ipc_connection_take_read_turn_locked (self);
  g_mutex_unlock (&self->lock);
  if (!turn)
    return FALSE;
  self->readable = TRUE;
  while (ipc_connection_run_input (self, FALSE))
    ;
  g_mutex_lock (&self->lock);
  ipc_connection_give_read_turn_locked (self);
  turn = self->state < IPC_CONNECTION_CLOSING;
  g_mutex_unlock (&self->lock);
  return turn;
}

static void
go_on_later (IpcConnection *self)
{
  g_mutex_lock (&self->lock);
  if (self->state < IPC_CONNECTION_CLOSED)
    ipc_hub_go_on (&self->watch);
  g_mutex_unlock (&self->lock);
}

static void
connection_attend (IpcHubWatch *watch)
{
  IpcConnection *self = IPC_CONNECTION (watch->owner);
  gint64 now = g_get_monotonic_time ();
  gboolean congested, drained, finished, late, unwritable;
  gint64 statistics_due, trim_due;
  GError *stuck;

  g_mutex_lock (&self->lock);
  late = self->state == IPC_CONNECTION_HANDSHAKE && now >= self->calls_due;
  congested = self->congested_pending;
  drained = self->drained_pending;
  self->congested_pending = self->drained_pending = FALSE;
  finished = self->state == IPC_CONNECTION_CLOSING && (self->outbox.queued == 0 || now >= self->calls_due);
  unwritable = self->write_failed && self->state < IPC_CONNECTION_CLOSING;
  g_mutex_unlock (&self->lock);

  if (finished)
    {
      ipc_connection_shut (self, NULL, TRUE);
      return;
    }
  if (late)
    {
      ipc_connection_shut (self, g_error_new (IPC_ERROR, IPC_ERROR_TIMED_OUT, "%s: no HELLO within %g s", self->peer_name,
                                              self->limits.handshake_timeout / 1000.0), TRUE);
      return;
    }
  if (unwritable && must_read_to_the_end (self))
    {
      ipc_connection_shut (self, NULL, TRUE);
      return;
    }
  stuck = ipc_connection_attend_fds (self, now);
  if (stuck != NULL)
    {
      ipc_connection_drop (self, stuck);
      return;
    }
  if (IPC_READ_ONCE (self->alive.due) != 0)
    ipc_keep_alive_attend (self, now);
  ipc_request_attend (self, now);
  ipc_connection_serve_waiters (self);
  if (congested)
    ipc_connection_emit_congested (self);
  if (drained)
    ipc_connection_emit_drained (self);
  statistics_due = IPC_READ_ONCE (self->statistics_due);
  if (statistics_due != 0 && now >= statistics_due)
    {
      IPC_WRITE_ONCE (self->statistics_due, 0);
      if (ipc_connection_has_observers (self))
        ipc_connection_notify_statistics (self);
    }
  else if (statistics_due != 0)
    {
      g_mutex_lock (&self->lock);
      if (self->watch.hub != NULL)
        ipc_hub_attend_at (&self->watch, statistics_due);
      g_mutex_unlock (&self->lock);
    }
  trim_due = IPC_READ_ONCE (self->trim_due);
  if (trim_due != 0 && now < trim_due)
    {
      g_mutex_lock (&self->lock);
      if (self->watch.hub != NULL)
        ipc_hub_attend_at (&self->watch, trim_due);
      g_mutex_unlock (&self->lock);
    }
  if (connection_io (watch, 0))
    go_on_later (self);
  if (IPC_READ_ONCE (self->eof) || IPC_READ_ONCE (self->said_goodbye))
    ipc_connection_check_drained (self);
}

static const IpcHubFuncs connection_hub_funcs = { connection_io, connection_flush, connection_attend };

/* ---- the beginning ---- */

static gboolean
start_locked (IpcConnection *self, GError **error)
{
  if (self->state != IPC_CONNECTION_NEW)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_CLOSED, "%s: closed before it was open", self->peer_name);
      return FALSE;
    }
  ipc_hub_watch_init (&self->watch, &connection_hub_funcs, G_OBJECT (self));
  IPC_WRITE_ONCE (self->state, IPC_CONNECTION_HANDSHAKE);
  ipc_connection_expect_fds (self);
  if (!ipc_hub_add (self->context, &self->watch, self->fd, EPOLLIN, error))
    {
      g_prefix_error (error, "%s: ", self->peer_name);
      IPC_WRITE_ONCE (self->state, IPC_CONNECTION_CLOSED);
      close_fd_locked (self);
      return FALSE;
    }
  self->calls_due = g_get_monotonic_time () + (gint64) self->limits.handshake_timeout * 1000;
  ipc_hub_attend_at (&self->watch, self->calls_due);
  if (!self->is_server_side)
    {
      IPC_WRITE_ONCE (self->wire_format, IPC_WIRE_FORMAT_BINARY);
      ipc_binary_send_hello_locked (self);
      ipc_connection_flush_locked (self);
    }
  return TRUE;
}

/* Another thread may close it at any moment: it is on the hub, or was never there. */
gboolean
ipc_connection_start (IpcConnection *self, GError **error)
{
  gboolean started;

  g_mutex_lock (&self->lock);
  started = start_locked (self, error);
  g_mutex_unlock (&self->lock);
  return started;
}

/* HELLO has come, or the first byte of JSON. */
void
ipc_connection_opened (IpcConnection *self)
{
  g_autoptr (GObject) owner = NULL;

  g_mutex_lock (&self->lock);
  if (self->state != IPC_CONNECTION_HANDSHAKE)
    {
      g_mutex_unlock (&self->lock);
      return;
    }
  IPC_WRITE_ONCE (self->state, IPC_CONNECTION_OPEN);
  self->calls_due = 0;
  ipc_keep_alive_begin_locked (self);
  ipc_connection_wake_followers_locked (self);
  g_mutex_unlock (&self->lock);
  IPC_WRITE_ONCE (self->was_opened, TRUE);
  if (self->quiet)
    return;                     /* whoever waits for it tells the owner */
  owner = g_weak_ref_get (&self->owner);
  if (owner != NULL)
    self->owner_funcs->opened (owner, self);
}

/* ---- messages ---- */

void
ipc_connection_deliver (IpcConnection *self, IpcMessage *message, IpcRequestToken *token)
{
  GObject *owner = self->owner_now != NULL ? self->owner_now : ipc_connection_get_owner (self);
  gboolean taken;

  IPC_ADD_ONCE (self->messages_received, 1);
  if (message->type[0] == 'i' && message->is_request && owner != NULL && self->owner_funcs->builtin != NULL &&
      self->owner_funcs->builtin (owner, self, message))
    return;
  taken = ipc_emit_message_received (self, ipc_connection_message_received, &self->hearing, NULL, message);
  if (owner != NULL)
    taken |= self->owner_funcs->message (owner, self, message);
  if (token == NULL || g_atomic_int_get (&message->token->answered))
    return;
  if (message->kept != NULL)
    ipc_request_hold (self, message->token);
  else if (token->must_answer || !taken)
    {
      g_autoptr (GError) error = NULL;

      if (taken)
        error = g_error_new (IPC_ERROR, IPC_ERROR_REMOTE, "the request \"%s\" was dropped without an answer", message->type);
      else
        error = g_error_new (IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE, "unknown message type: %s", message->type);
      ipc_request_answer_error (self, token, error);
    }
}

/* ---- the end ---- */

static gboolean
notify_closed (gpointer data)
{
  IpcConnection *self = data;
  g_autoptr (GObject) owner = g_weak_ref_get (&self->owner);

  ipc_request_fail_all (self);
  ipc_connection_serve_waiters (self);
  ipc_connection_emit_closed (self, self->error);
  if (owner != NULL)
    self->owner_funcs->closed (owner, self, self->error);
  return G_SOURCE_REMOVE;
}

/* A program that only blocks has no main loop; what waits for one would pile up. */
static gboolean
somebody_listens (IpcConnection *self)
{
  g_autoptr (GObject) owner = g_weak_ref_get (&self->owner);
  gboolean somebody;

  g_mutex_lock (&self->lock);
  somebody = owner != NULL || !g_queue_is_empty (&self->waiters) || ipc_serial_table_size (&self->calls) > 0;
  g_mutex_unlock (&self->lock);
  return somebody || ipc_connection_has_observers (self);
}

static void
notify_closed_later (IpcConnection *self)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[ipc-glib] connection closed");
  g_source_set_callback (source, notify_closed, g_object_ref (self), g_object_unref);
  g_source_attach (source, self->context);
}

void
ipc_connection_shut (IpcConnection *self, GError *reason, gboolean in_context)
{
  g_autoptr (IpcConnection) alive G_GNUC_UNUSED = g_object_ref (self);
  gboolean notify;

  g_mutex_lock (&self->lock);
  if (self->state == IPC_CONNECTION_CLOSED)
    {
      g_mutex_unlock (&self->lock);
      g_clear_error (&reason);
      return;
    }
  notify = self->state != IPC_CONNECTION_NEW;
  IPC_WRITE_ONCE (self->state, IPC_CONNECTION_CLOSED);
  if (self->error == NULL)
    self->error = reason;
  else
    g_clear_error (&reason);
  if (self->total_out_at_end == 0)
    self->total_out_at_end = ipc_outbox_total_out (&self->outbox);
  ipc_outbox_clear (&self->outbox);
  ipc_connection_discharge_locked (self);
  if (self->fd >= 0 && self->generation == ipc_fork_generation ())
    shutdown (self->fd, SHUT_RDWR);
  g_queue_clear_full (&self->deferred, (GDestroyNotify) g_bytes_unref);
  ipc_hub_remove (&self->watch);
  if (self->reader == NULL)
    close_fd_locked (self);
  ipc_connection_wake_followers_locked (self);
  g_mutex_unlock (&self->lock);

  if (!notify)
    return;
  if (in_context && !self->quiet)
    notify_closed (self);
  else if (somebody_listens (self))
    notify_closed_later (self);
}

/* Closing with bytes unread would reset the peer's end, as if this process had died. After the shutdown nothing more
 * comes, so there is an end to what is thrown away; descriptors go with it. */
void
ipc_connection_refuse (IpcConnection *self)
{
  char waste[4096];

  shutdown (self->fd, SHUT_RDWR);
  while (recv (self->fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
    ;
  ipc_connection_close (self);
}

void
ipc_connection_drop (IpcConnection *self, GError *reason)
{
  g_mutex_lock (&self->lock);
  if (self->wire_format == IPC_WIRE_FORMAT_JSON && self->state < IPC_CONNECTION_CLOSING)
    {
      ipc_json_write_error_locked (self, NULL, reason);
      ipc_connection_flush_locked (self);
    }
  else if (self->wire_format == IPC_WIRE_FORMAT_BINARY && self->state < IPC_CONNECTION_CLOSING)
    {
      /* A server has said nothing before it answers HELLO; the peer needs the preamble to understand the error. */
      if (self->is_server_side && !self->got_hello)
        memcpy (ipc_outbox_add (&self->outbox, IPC_PREAMBLE_SIZE), ipc_preamble, IPC_PREAMBLE_SIZE);
      ipc_binary_write_error_locked (self, 0, reason);
      ipc_connection_flush_locked (self);
    }
  g_mutex_unlock (&self->lock);
  ipc_connection_shut (self, reason, TRUE);
}

/* All that was accepted is answered and written. */
static gboolean
is_drained_locked (IpcConnection *self)
{
  return self->outbox.queued == 0 && ipc_serial_table_size (&self->held) == 0 && g_queue_is_empty (&self->deferred);
}

void
ipc_connection_check_drained (IpcConnection *self)
{
  gboolean finished;

  g_mutex_lock (&self->lock);
  finished = (self->eof || self->said_goodbye) && self->state == IPC_CONNECTION_OPEN && ipc_serial_table_size (&self->held) == 0;
  /* In a turn of this very thread there may be a request that is neither answered nor kept yet. */
  if (finished && self->reader == g_thread_self ())
    {
      self->is_drain_due = TRUE;
      finished = FALSE;
    }
  if (finished)
    {
      ipc_connection_flush_locked (self);
      finished = is_drained_locked (self);
    }
  g_mutex_unlock (&self->lock);
  if (finished)
    ipc_connection_shut (self, NULL, TRUE);
}

void
ipc_connection_drain (IpcConnection *self)
{
  g_mutex_lock (&self->lock);
  if (self->state == IPC_CONNECTION_OPEN && !self->said_goodbye)
    {
      IPC_WRITE_ONCE (self->said_goodbye, TRUE);
      if (self->wire_format == IPC_WIRE_FORMAT_BINARY)
        ipc_binary_write_control_locked (self, IPC_FRAME_GOODBYE, 0, self->last_request_serial);
      ipc_connection_schedule_flush_locked (self);
    }
  g_mutex_unlock (&self->lock);
}
