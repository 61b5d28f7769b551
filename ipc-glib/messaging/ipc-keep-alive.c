/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keep-alive: whether a peer that says nothing is still there.
 *
 * A busy connection pays nothing: what it counts anyway is looked at once an
 * interval. A peer from which nothing has come for one is sent a PING; if nothing
 * comes for another one, not even PONG, it is dropped. What counts is that bytes
 * move, not which: a large message that comes slowly is a sign of life, and so is
 * room in a pipe that was full.
 */
#include <poll.h>

#include "core/ipc-frame.h"
#include "messaging/ipc-connection-private.h"

static gint64
get_interval (IpcConnection *self)
{
  return (gint64) self->limits.keep_alive_interval * 1000;
}

/* Peers that speak JSON know no PING. */
void
ipc_keep_alive_begin_locked (IpcConnection *self)
{
  if (self->limits.keep_alive_interval <= 0 || self->wire_format != IPC_WIRE_FORMAT_BINARY || self->watch.hub == NULL)
    return;
  IPC_WRITE_ONCE (self->alive.due, g_get_monotonic_time () + get_interval (self));
  ipc_hub_attend_at (&self->watch, self->alive.due);
}

/* Since it was last looked at. */
static gboolean
has_moved_locked (IpcConnection *self)
{
  guint64 received = IPC_READ_ONCE (self->bytes_received);
  guint64 sent = ipc_outbox_total_out (&self->outbox);
  gboolean moved = received != self->alive.received || (self->alive.was_blocked && sent != self->alive.sent);

  self->alive.received = received;
  self->alive.sent = sent;
  self->alive.was_blocked = self->write_blocked;
  return moved;
}

/* While nothing is read from it because this side has not answered, its silence is ours. */
static gboolean
is_our_silence_locked (IpcConnection *self)
{
  return (self->read_paused || self->input_paused) && !self->write_blocked;
}

/* A main loop that was blocked may have slept through the answer; or the peer is in the same loop. */
static gboolean
may_have_answered_locked (IpcConnection *self, gint64 now)
{
  struct pollfd fd = { .fd = self->fd, .events = POLLIN };

  return now - self->alive.due > get_interval (self) / 4 || poll (&fd, 1, 0) > 0;
}

/* What cannot be written does not get there sooner with a PING behind it. */
static void
ping_locked (IpcConnection *self)
{
  self->alive.n_pings++;
  self->alive.is_doubtful = TRUE;
  if (self->write_blocked)
    return;
  ipc_binary_write_control_locked (self, IPC_FRAME_PING, self->alive.n_pings, 0);
  ipc_connection_schedule_flush_locked (self);
}

/* TRUE: it is dead. */
static gboolean
look_locked (IpcConnection *self, gint64 now)
{
  gint64 interval = get_interval (self);
  gint64 silent_for = 0;

  if (has_moved_locked (self))
    {
      self->alive.is_doubtful = FALSE;
      silent_for = CLAMP (g_get_real_time () - IPC_READ_ONCE (self->last_activity), 0, interval);
    }
  else if (!is_our_silence_locked (self))
    {
      if (self->alive.is_doubtful && !may_have_answered_locked (self, now))
        return TRUE;
      if (!self->alive.is_doubtful)
        ping_locked (self);
    }
  IPC_WRITE_ONCE (self->alive.due, now + interval - silent_for);
  return FALSE;
}

void
ipc_keep_alive_attend (IpcConnection *self, gint64 now)
{
  gboolean dead = FALSE;

  g_mutex_lock (&self->lock);
  if (self->state == IPC_CONNECTION_OPEN && self->alive.due != 0)
    {
      dead = now >= self->alive.due && look_locked (self, now);
      ipc_hub_attend_at (&self->watch, self->alive.due);
    }
  g_mutex_unlock (&self->lock);
  if (dead)
    ipc_connection_drop (self, g_error_new (IPC_ERROR, IPC_ERROR_TIMED_OUT,
                                            "%s: nothing came from the peer within the keep-alive interval of %d ms, nor within another one",
                                            self->peer_name, self->limits.keep_alive_interval));
}
