/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-ledger-private.h"

#define INTERVAL_MS 100u
#define GUARD_MS 100u

IpcLedger *
ipc_ledger_new (gpointer owner, GMainContext *context, gsize budget, IpcLedgerTick tick, IpcLedgerAsk ask, IpcLedgerRelieve relieve)
{
  IpcLedger *self = g_new0 (IpcLedger, 1);

  self->ref_count = 1;
  self->context = g_main_context_ref (context);
  self->tick = tick;
  self->ask = ask;
  self->relieve = relieve;
  ipc_budget_init (&self->budget, budget);
  self->whom = owner;
  g_weak_ref_init (&self->owner, owner);
  g_mutex_init (&self->lock);
  return self;
}

IpcLedger *
ipc_ledger_ref (IpcLedger *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
ipc_ledger_unref (IpcLedger *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  ipc_budget_clear (&self->budget);
  g_weak_ref_clear (&self->owner);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  g_free (self);
}

static gboolean
tick_cb (gpointer data)
{
  IpcLedger *self = data;
  g_autoptr (GObject) owner = g_weak_ref_get (&self->owner);

  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->timer, g_source_unref);
  self->last_look = g_get_monotonic_time ();
  g_mutex_unlock (&self->lock);
  /* What changes from here on is told the next time. */
  g_atomic_int_set (&self->armed, FALSE);
  if (owner != NULL && self->ask (owner))
    self->tick (owner);
  return G_SOURCE_REMOVE;
}

static void
arm_locked (IpcLedger *self)
{
  self->timer = g_timeout_source_new (INTERVAL_MS);
  g_source_set_static_name (self->timer, "[ipc-glib] statistics");
  g_source_set_callback (self->timer, tick_cb, ipc_ledger_ref (self), (GDestroyNotify) ipc_ledger_unref);
  g_source_attach (self->timer, self->context);
}

/* Whether anybody observes is only asked now and then. Where it was asked a moment ago the timer asks again, so that
 * somebody who has begun to observe meanwhile is not left with an old value. The owner needs no reference: it cannot
 * pass ipc_ledger_close() while the lock is held. */
void
ipc_ledger_look (IpcLedger *self)
{
  gint64 now = g_get_monotonic_time ();
  gboolean recently;

  g_mutex_lock (&self->lock);
  recently = now - self->last_look < INTERVAL_MS * G_TIME_SPAN_MILLISECOND;
  self->last_look = now;
  if (self->whom != NULL && self->timer == NULL && (recently || self->ask (self->whom)))
    {
      g_atomic_int_set (&self->armed, TRUE);
      arm_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

/* ---- the budget ---- */

static void
stop (GSource *source)
{
  if (source == NULL)
    return;
  g_source_destroy (source);
  g_source_unref (source);
}

static GSource *
start (IpcLedger *self, GSource *source, const char *name, GSourceFunc func)
{
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, name);
  g_source_set_callback (source, func, ipc_ledger_ref (self), (GDestroyNotify) ipc_ledger_unref);
  g_source_attach (source, self->context);
  return source;
}

static gboolean
guard_cb (gpointer data)
{
  IpcLedger *self = data;
  g_autoptr (GObject) owner = g_weak_ref_get (&self->owner);
  GSource *guard = NULL;

  if (owner != NULL && self->relieve (owner))
    return G_SOURCE_CONTINUE;
  g_mutex_lock (&self->lock);
  guard = g_steal_pointer (&self->guard);
  g_mutex_unlock (&self->lock);
  stop (guard);
  return G_SOURCE_REMOVE;
}

static gboolean
relief_cb (gpointer data)
{
  IpcLedger *self = data;
  g_autoptr (GObject) owner = g_weak_ref_get (&self->owner);
  gboolean again;

  g_mutex_lock (&self->lock);
  g_clear_pointer (&self->relief, g_source_unref);
  g_mutex_unlock (&self->lock);
  again = owner != NULL && self->relieve (owner);
  g_mutex_lock (&self->lock);
  if (again && self->guard == NULL && self->whom != NULL)
    self->guard = start (self, g_timeout_source_new (GUARD_MS), "[ipc-glib] tight budget", guard_cb);
  g_mutex_unlock (&self->lock);
  return G_SOURCE_REMOVE;
}

void
ipc_ledger_call_relief (IpcLedger *self)
{
  g_mutex_lock (&self->lock);
  if (self->relief == NULL && self->whom != NULL)
    self->relief = start (self, g_idle_source_new (), "[ipc-glib] budget", relief_cb);
  g_mutex_unlock (&self->lock);
}

void
ipc_ledger_close (IpcLedger *self)
{
  GSource *sources[3];

  g_mutex_lock (&self->lock);
  self->whom = NULL;
  sources[0] = g_steal_pointer (&self->timer);
  sources[1] = g_steal_pointer (&self->relief);
  sources[2] = g_steal_pointer (&self->guard);
  g_mutex_unlock (&self->lock);
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    stop (sources[i]);
}
