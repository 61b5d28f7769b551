/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The life of a connection on the hub: its beginning, its events, its messages, and the end.
 *
 * The end comes once, in ipc_connection_shut(). The descriptor is closed there,
 * or by whoever has the read turn when that is given back.
 */
#include "core/ipc-fork.h"
#include "messaging/ipc-connection-private.h"

/* ---- events ---- */

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
  ipc_connection_note_statistics_locked (self);
  g_mutex_unlock (&self->lock);
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
          ipc_connection_fail_writing_locked (self);
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
  guint64 before;

  g_mutex_lock (&self->lock);
  turn = self->state < IPC_CONNECTION_CLOSING && ipc_connection_take_read_turn_locked (self);
  g_mutex_unlock (&self->lock);
  if (!turn)
    return FALSE;
  /* A read that brings less than there is room for is not the end of it. */
  do
    {
      before = IPC_READ_ONCE (self->bytes_received);
      self->readable = TRUE;
      while (ipc_connection_run_input (self, FALSE))
        ;
    }
  while (IPC_READ_ONCE (self->bytes_received) != before && IPC_READ_ONCE (self->state) < IPC_CONNECTION_CLOSING);
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

/* Of a pair of pipes: the one that it writes to. */
static gboolean
output_io (IpcHubWatch *watch, guint events)
{
  IpcConnection *self = IPC_CONNECTION (watch->owner);

  g_mutex_lock (&self->lock);
  if ((events & (EPOLLERR | EPOLLHUP)) != 0)
    {
      ipc_hub_remove (watch);   /* it would say so for ever */
      ipc_connection_fail_writing_locked (self);
    }
  else
    ipc_connection_flush_locked (self);
  g_mutex_unlock (&self->lock);
  return FALSE;
}

static void
do_nothing (IpcHubWatch *watch)
{
}

static const IpcHubFuncs output_hub_funcs = { output_io, do_nothing, do_nothing };
static const IpcHubFuncs connection_hub_funcs = { connection_io, connection_flush, connection_attend };

/* ---- the beginning ---- */

gboolean
ipc_connection_watch_output_locked (IpcConnection *self, GError **error)
{
  /* Another thread may have closed it meanwhile, and taken it off the hub. */
  if (self->out_fd == self->fd || self->state == IPC_CONNECTION_CLOSED)
    return TRUE;
  ipc_hub_watch_init (&self->out_watch, &output_hub_funcs, G_OBJECT (self));
  return ipc_hub_add (self->context, &self->out_watch, self->out_fd, self->write_blocked ? EPOLLOUT : 0, error);
}

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
  if (!ipc_hub_add (self->context, &self->watch, self->fd, EPOLLIN | (self->is_channel ? EPOLLET : 0), error) ||
      !ipc_connection_watch_output_locked (self, error))
    {
      g_prefix_error (error, "%s: ", self->peer_name);
      ipc_hub_remove (&self->watch);
      IPC_WRITE_ONCE (self->state, IPC_CONNECTION_CLOSED);
      ipc_connection_close_fd_locked (self);
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
    IPC_CONNECTION_GET_CLASS (self)->shutdown (self, FALSE);
  g_queue_clear_full (&self->deferred, (GDestroyNotify) g_bytes_unref);
  ipc_hub_remove (&self->watch);
  ipc_hub_remove (&self->out_watch);
  if (self->reader == NULL)
    ipc_connection_close_fd_locked (self);
  ipc_connection_wake_followers_locked (self);
  g_mutex_unlock (&self->lock);

  if (!notify)
    return;
  if (in_context && !self->quiet)
    notify_closed (self);
  else if (somebody_listens (self))
    notify_closed_later (self);
}

void
ipc_connection_refuse (IpcConnection *self)
{
  IPC_CONNECTION_GET_CLASS (self)->refuse (self);
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
