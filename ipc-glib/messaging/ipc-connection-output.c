/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing what is queued: when, how much, and who is told that it went or that it did not.
 */
#include <errno.h>

#include "messaging/ipc-connection-private.h"

#define STATISTICS_INTERVAL_US 100000

void
ipc_connection_update_events_locked (IpcConnection *self)
{
  gboolean want_out = self->write_blocked && self->fds_retry_due == 0;
  guint events = 0;

  if (!self->read_paused && !self->input_paused && !self->eof && self->state != IPC_CONNECTION_CLOSING)
    events |= EPOLLIN;
  if (self->out_watch.hub != NULL)
    ipc_hub_modify (&self->out_watch, want_out ? EPOLLOUT : 0);
  else if (want_out)
    events |= EPOLLOUT;
  if (self->is_channel && events != 0)
    events |= EPOLLET;          /* its writers come and go, and being gone is no event that is to last */
  if (self->watch.hub != NULL)
    ipc_hub_modify (&self->watch, events);
}

/* The statistics change: whoever observes them is told, but not more often than they can look. With nobody to be
 * told there is no timer: a thousand busy connections would keep the loop busy with theirs. */
void
ipc_connection_note_statistics_locked (IpcConnection *self)
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

void
ipc_connection_fail_writing_locked (IpcConnection *self)
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
  ipc_connection_note_statistics_locked (self);
  if (self->ledger != NULL)
    ipc_ledger_touch (self->ledger);
}

/* Whether all was written. */
static gboolean
write_locked (IpcConnection *self, gboolean *progress)
{
  gboolean is_full = FALSE;

  while (self->outbox.queued > 0)
    {
      gssize written;

      /* To try again would only say so. */
      if (is_full)
        return FALSE;
      written = ipc_connection_write_front_locked (self, &is_full);

      if (written < 0 && errno == EINTR)
        continue;
      if (written < 0 && errno == EAGAIN)
        return FALSE;
      if (written < 0)
        {
          ipc_connection_fail_writing_locked (self);
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
      ipc_connection_fail_writing_locked (self);
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
    ipc_connection_note_statistics_locked (self);      /* otherwise what is written tells of it */
  if (ipc_outbox_get_load (&self->outbox) < IPC_PRESSING)
    return;
  ipc_connection_charge_locked (self);
  if (ipc_outbox_get_load (&self->outbox) >= ipc_connection_get_queue_limit_locked (self))
    ipc_connection_update_pressure_locked (self);
}
