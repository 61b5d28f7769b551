/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-slot-wait-private.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"

#define MAX_WAITERS 8u          /* kept */

/* ---- waiters ---- */

void
ipc_slot_waiters_init (IpcSlotWaiters *self)
{
  g_mutex_init (&self->lock);
  self->waiters = g_ptr_array_new ();
}

void
ipc_slot_waiters_clear (IpcSlotWaiters *self, gboolean forked)
{
  for (guint i = 0; !forked && i < self->waiters->len; i++)
    ipc_waiter_release (self->waiters->pdata[i]);
  g_ptr_array_unref (self->waiters);
  g_mutex_clear (&self->lock);
}

static gboolean
is_kept_locked (IpcSlotWaiters *self, IpcWaiter *waiter)
{
  for (guint i = 0; i < self->waiters->len; i++)
    if (self->waiters->pdata[i] == waiter)
      return TRUE;
  return FALSE;
}

/* Threads with contexts of their own may come and go, so only the last few are kept. */
IpcWaiter *
ipc_slot_waiters_get (IpcSlotWaiters *self, GMainContext *context, IpcPresence *presence, GError **error)
{
  IpcWaiter *waiter = ipc_waiter_get (context, presence, error), *oldest = NULL;

  if (waiter == NULL)
    return NULL;
  g_mutex_lock (&self->lock);
  if (!is_kept_locked (self, waiter))
    {
      if (self->waiters->len == MAX_WAITERS)
        oldest = g_ptr_array_steal_index (self->waiters, 0);
      g_ptr_array_add (self->waiters, ipc_waiter_keep (waiter));
    }
  g_mutex_unlock (&self->lock);
  if (oldest != NULL)
    ipc_waiter_release (oldest);
  return waiter;
}

/* ---- in a thread ---- */

typedef struct
{
  IpcSlots *slots;
  _Atomic guint32 cancelled;
} Blocked;

static void
cancelled_cb (GCancellable *cancellable, gpointer data)
{
  Blocked *blocked = data;

  atomic_store (&blocked->cancelled, 1);
  ipc_slots_wake (blocked->slots, false);
}

IpcSlotsOutcome
ipc_slot_acquire (IpcSlots *slots, gint64 deadline, GCancellable *cancellable, unsigned *slot)
{
  Blocked blocked = { .slots = slots };
  gulong handler = cancellable != NULL ? g_cancellable_connect (cancellable, G_CALLBACK (cancelled_cb), &blocked, NULL) : 0;
  IpcSlotsOutcome outcome = ipc_slots_acquire (slots, deadline * 1000, &blocked.cancelled, slot);

  g_cancellable_disconnect (cancellable, handler);
  return outcome;
}

/* ---- in a main context ---- */

typedef struct
{
  IpcWait wait;                 /* first, so that it leads here */
  IpcSlots *slots;
  IpcSlotsWaiter waiter;
  const IpcSlotWaitFuncs *funcs;
  gpointer owner;
  gint timeout;
} Waiting;

gboolean
ipc_slot_wait_attempt (IpcWait *wait, gint64 *wake_at, gpointer *result, GError **error)
{
  Waiting *self = (Waiting *) wait;
  unsigned slot;

  if (ipc_slots_wait_try (self->slots, &self->waiter, &slot, wake_at))
    *result = self->funcs->take (self->owner, slot, error);
  else if (atomic_load (self->slots->deleted) != 0)
    g_propagate_error (error, self->funcs->fail (self->owner, IPC_SLOTS_DELETED, self->timeout));
  else
    return FALSE;
  ipc_slots_wait_end (self->slots, &self->waiter);
  return TRUE;
}

GError *
ipc_slot_wait_give_up (IpcWait *wait)
{
  Waiting *self = (Waiting *) wait;

  ipc_slots_wait_end (self->slots, &self->waiter);
  return self->funcs->fail (self->owner, IPC_SLOTS_TIMED_OUT, self->timeout);
}

gboolean
ipc_slot_wait_is_woken (IpcWait *wait)
{
  Waiting *self = (Waiting *) wait;

  return ipc_slots_is_woken (self->slots, &self->waiter);
}

guint
ipc_slot_wait_watch (IpcWait *wait, IpcFutexWait *waits_for, guint max, gboolean *missed)
{
  Waiting *self = (Waiting *) wait;
  bool has_missed;
  guint n = ipc_slots_watch (self->slots, &self->waiter, waits_for, 0, max, &has_missed);

  *missed = has_missed;
  return n;
}

static void
start (IpcSlots *slots, IpcWaiter *waiter, gint timeout, gint64 deadline, GTask *task, gpointer owner, const IpcSlotWaitFuncs *funcs)
{
  Waiting *waiting = g_new0 (Waiting, 1);

  waiting->slots = slots;
  waiting->funcs = funcs;
  waiting->owner = owner;
  waiting->timeout = timeout;
  g_task_set_task_data (task, waiting, g_free);
  if (ipc_slots_wait_begin (slots, &waiting->waiter, ipc_waiter_get_bell (waiter)))
    {
      ipc_waiter_add (waiter, &waiting->wait, &funcs->wait, task, deadline);
      return;
    }
  g_task_return_error (task, funcs->fail (owner, IPC_SLOTS_TOO_MANY, timeout));
  g_object_unref (task);
}

static void
return_at_once (GTask *task, gpointer owner, unsigned slot, const IpcSlotWaitFuncs *funcs)
{
  GError *error = NULL;
  gpointer result = funcs->take (owner, slot, &error);

  if (result != NULL)
    g_task_return_pointer (task, result, funcs->wait.free_result);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

void
ipc_slot_acquire_async (IpcSlots *slots, IpcSlotWaiters *waiters, gint timeout, gint default_timeout, GTask *task, gpointer owner,
                        const IpcSlotWaitFuncs *funcs)
{
  GError *error = NULL;
  IpcWaiter *waiter;
  gint64 deadline;
  unsigned slot;

  if (timeout >= IPC_TIMEOUT_DEFAULT && ipc_slots_try (slots, &slot))
    {
      return_at_once (task, owner, slot, funcs);
      return;
    }
  if (!ipc_timeout_to_deadline (timeout, default_timeout, &deadline, &error) ||
      (waiter = ipc_slot_waiters_get (waiters, g_task_get_context (task), slots->presence, &error)) == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  start (slots, waiter, timeout, deadline, task, owner, funcs);
  ipc_waiter_release (waiter);
}
