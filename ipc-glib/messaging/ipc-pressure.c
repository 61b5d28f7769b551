/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How much a connection may hold, of what it has to write and of what it has read; when it stops reading; and what the
 * budget of its server has to say in both.
 */
#include "messaging/ipc-connection-private.h"

#define HELD_HIGH 1024u         /* requests that wait for an answer */
#define HELD_LOW 512u
#define LEAST_READ 4096u
#define TRIM_AFTER_US (100 * G_TIME_SPAN_MILLISECOND)

static IpcBudget *
get_tight_budget (IpcConnection *self)
{
  IpcBudget *budget = self->ledger != NULL ? &self->ledger->budget : NULL;

  return budget != NULL && g_atomic_int_get (&budget->is_tight) ? budget : NULL;
}

static gsize
get_output_locked (IpcConnection *self)
{
  return ipc_outbox_get_load (&self->outbox) + self->held_bytes + self->deferred_bytes;
}

gsize
ipc_connection_get_queue_limit_locked (IpcConnection *self)
{
  IpcBudget *budget = get_tight_budget (self);

  return budget != NULL ? MIN (ipc_budget_get_share (budget), self->limits.max_queued_bytes) : self->limits.max_queued_bytes;
}

/* A server reads nothing more from a peer that does not take its replies, or that asks more than is answered. A
 * client goes on reading, so that two sides with much to say cannot wait for each other for ever. */
static gboolean
must_pause_locked (IpcConnection *self)
{
  gsize load = ipc_outbox_get_load (&self->outbox);
  IpcBudget *budget;

  if (!self->is_server_side)
    return FALSE;
  if (load >= self->limits.max_queued_bytes || ipc_serial_table_size (&self->held) >= HELD_HIGH)
    return TRUE;
  budget = get_tight_budget (self);
  if (budget != NULL)
    return get_output_locked (self) > ipc_budget_get_share (budget);
  if (load <= self->limits.max_queued_bytes / 2 && ipc_serial_table_size (&self->held) <= HELD_LOW)
    return FALSE;
  return self->read_paused;
}

/* Of those who hold much of what is not whole, one goes on, lest nobody ever gets to the end of a message. */
static gboolean
must_pause_input_locked (IpcConnection *self)
{
  IpcBudget *budget = get_tight_budget (self);

  return budget != NULL && self->inbox_size > ipc_budget_get_share (budget) &&
         __atomic_load_n (&budget->favoured, __ATOMIC_RELAXED) != self->id;
}

void
ipc_connection_update_pressure_locked (IpcConnection *self)
{
  gboolean paused = must_pause_locked (self);
  gboolean input_paused = must_pause_input_locked (self);

  if (self->is_congested && ipc_outbox_get_load (&self->outbox) <= ipc_connection_get_queue_limit_locked (self) / 2 &&
      self->outbox.n_fds <= IPC_MAX_FDS_IN_FLIGHT / 2)
    {
      self->is_congested = FALSE;
      self->drained_pending = TRUE;
      ipc_hub_attend (&self->watch);
    }
  if (paused == self->read_paused && input_paused == self->input_paused)
    return;
  IPC_WRITE_ONCE (self->read_paused, paused);
  IPC_WRITE_ONCE (self->input_paused, input_paused);
  ipc_connection_update_events_locked (self);
  if (!paused)
    ipc_hub_attend (&self->watch);      /* for what is in the inbox already */
}

/* ---- the budget ---- */

/* What is referenced the outbox tells the budget of. */
void
ipc_connection_charge_locked (IpcConnection *self)
{
  gsize now;

  if (!self->is_counted)
    return;
  now = self->outbox.allocated + self->inbox_size + self->held_bytes + self->deferred_bytes;
  if (now == self->charged && (self->outbox.queued == 0 || ipc_budget_is_low (&self->ledger->budget)))
    return;
  if (ipc_budget_add (&self->ledger->budget, (gssize) (now - self->charged)))
    ipc_ledger_call_relief (self->ledger);
  self->charged = now;
  if (get_tight_budget (self) != NULL)
    ipc_connection_update_pressure_locked (self);
}

void
ipc_connection_discharge_locked (IpcConnection *self)
{
  IpcBudget *budget = self->ledger != NULL ? &self->ledger->budget : NULL;

  if (!self->is_counted)
    return;
  self->is_counted = FALSE;
  ipc_budget_add (budget, -(gssize) self->charged);
  self->charged = 0;
  g_atomic_int_add (&budget->n_holders, -1);
  if (__atomic_load_n (&budget->favoured, __ATOMIC_RELAXED) == self->id)
    ipc_ledger_call_relief (self->ledger);
}

/* Where there is room, large blocks are worth theirs: whoever sends much is stalled all the time. */
void
ipc_connection_note_stalled_locked (IpcConnection *self)
{
  self->outbox.is_stalled = self->write_blocked && get_tight_budget (self) != NULL;
  if (self->outbox.is_stalled)
    ipc_outbox_trim (&self->outbox);
}

gboolean
ipc_connection_has_to_wait (IpcConnection *self)
{
  IpcBudget *budget = self->ledger != NULL ? &self->ledger->budget : NULL;

  return budget != NULL && g_atomic_int_get (&budget->is_over) && !self->write_failed &&
         ipc_budget_get_held (budget) > ipc_budget_get_limit (budget) / 4 * 5;
}

gsize
ipc_connection_get_weight (IpcConnection *self, gsize *input)
{
  gsize weight;

  g_mutex_lock (&self->lock);
  *input = self->inbox_size;
  weight = get_output_locked (self) + self->inbox_size;
  g_mutex_unlock (&self->lock);
  return weight;
}

void
ipc_connection_relieve (IpcConnection *self)
{
  g_mutex_lock (&self->lock);
  if (self->state < IPC_CONNECTION_CLOSED)
    {
      ipc_connection_note_stalled_locked (self);
      ipc_connection_charge_locked (self);
      ipc_connection_update_pressure_locked (self);
      if (!g_queue_is_empty (&self->waiters) || (IPC_READ_ONCE (self->trim_due) != 0 && get_tight_budget (self) != NULL))
        ipc_hub_attend (&self->watch);
    }
  g_mutex_unlock (&self->lock);
}

/* ---- input ---- */

/* Where others hold much already, nobody reads more at a time than its share. */
gsize
ipc_connection_limit_read (IpcConnection *self, gsize room)
{
  IpcBudget *budget;
  gsize share;

  if (self->ledger == NULL)
    return room;
  budget = &self->ledger->budget;
  if (ipc_budget_get_held (budget) <= ipc_budget_get_limit (budget) / 4 || __atomic_load_n (&budget->favoured, __ATOMIC_RELAXED) == self->id)
    return room;
  share = ipc_budget_get_share (budget);
  return MIN (room, MAX (share, LEAST_READ));
}

static void
trim_later (IpcConnection *self)
{
  IPC_WRITE_ONCE (self->trim_due, g_get_monotonic_time () + TRIM_AFTER_US);
  g_mutex_lock (&self->lock);
  if (self->watch.hub != NULL)
    ipc_hub_attend_at (&self->watch, IPC_READ_ONCE (self->trim_due));
  g_mutex_unlock (&self->lock);
}

/* What is left of a quick sender's message is not copied, as the rest comes at once; unless it does not. Nor is what is
 * about to be handled. */
void
ipc_connection_settle_input (IpcConnection *self, gboolean goes_on)
{
  gboolean thrifty = (self->trickles && !goes_on) || get_tight_budget (self) != NULL ||
                     (IPC_READ_ONCE (self->trim_due) != 0 && g_get_monotonic_time () >= IPC_READ_ONCE (self->trim_due));

  ipc_inbox_settle (&self->inbox, thrifty);
  if (thrifty)
    IPC_WRITE_ONCE (self->trim_due, 0);
  else if (IPC_READ_ONCE (self->trim_due) == 0 && ipc_inbox_is_loose (&self->inbox))
    trim_later (self);
  if (!self->is_counted || ipc_inbox_get_size (&self->inbox) == self->inbox_size)
    return;
  g_mutex_lock (&self->lock);
  self->inbox_size = ipc_inbox_get_size (&self->inbox);
  ipc_connection_charge_locked (self);
  if (self->inbox_size == 0 && __atomic_load_n (&self->ledger->budget.favoured, __ATOMIC_RELAXED) == self->id)
    ipc_ledger_call_relief (self->ledger);
  g_mutex_unlock (&self->lock);
}
