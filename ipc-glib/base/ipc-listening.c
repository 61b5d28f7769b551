/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-listening-private.h"

#include "core/ipc-fork.h"

gboolean
ipc_listening_start (IpcListening *self, GMainContext *context, IpcPresence *presence, IpcListeners *listeners, GObject *owner,
                     void (*rung) (GObject *owner))
{
  g_autoptr(GError) error = NULL;
  IpcWaiter *waiter = ipc_waiter_get (context, presence, &error);
  unsigned entry;

  if (waiter == NULL || !ipc_listeners_add (listeners, ipc_waiter_get_bell (waiter), &entry))
    {
      g_debug ("changes in shared memory are only looked for from time to time: %s", error != NULL ? error->message : "too many listen");
      g_clear_pointer (&waiter, ipc_waiter_release);
      return FALSE;
    }
  g_weak_ref_init (&self->owner, owner);
  self->rung = rung;
  self->listeners = listeners;
  self->entry = entry;
  self->link.data = self;
  self->generation = ipc_fork_generation ();
  g_atomic_pointer_set (&self->waiter, waiter);
  ipc_waiter_add_listening (waiter, &self->link);
  ipc_listening_arm (self);
  return TRUE;
}

void
ipc_listening_stop (IpcListening *self)
{
  IpcWaiter *waiter = g_steal_pointer (&self->waiter);

  if (waiter == NULL)
    return;
  /* In a forked child, the waiter is dead, and its lock may be taken by a thread that is not there. */
  if (self->generation == ipc_fork_generation ())
    {
      ipc_waiter_remove_listening (waiter, &self->link);
      ipc_listeners_remove (self->listeners, self->entry);
      ipc_waiter_release (waiter);
    }
  g_weak_ref_clear (&self->owner);
}

void
ipc_listening_arm (IpcListening *self)
{
  if (g_atomic_pointer_get (&self->waiter) != NULL && self->generation == ipc_fork_generation ())
    ipc_listeners_arm (self->listeners, self->entry);
}

void
ipc_listening_ring_others (IpcListening *self, IpcListeners *listeners)
{
  ipc_listeners_ring (listeners, g_atomic_pointer_get (&self->waiter) != NULL ? self->entry : IPC_LISTENERS_NONE);
}

/* ---- for the waiter ---- */

static gboolean
is_rung (const IpcListening *self)
{
  return !ipc_listeners_is_armed (self->listeners, self->entry);
}

/* (transfer full): the owners of those that were rung. The pair, as an owner may listen to more than one thing. */
typedef struct
{
  GObject *owner; /* (owned) */
  void (*rung) (GObject *owner);
} Rung;

void
ipc_listenings_tell (GQueue *listenings, GMutex *lock)
{
  g_autoptr(GArray) all = g_array_new (FALSE, FALSE, sizeof (Rung));

  g_mutex_lock (lock);
  for (GList *link = listenings->head; link != NULL; link = link->next)
    {
      IpcListening *self = link->data;
      Rung rung = { .rung = self->rung };

      if (!is_rung (self) || (rung.owner = g_weak_ref_get (&self->owner)) == NULL)
        continue;
      g_array_append_val (all, rung);
    }
  g_mutex_unlock (lock);
  for (guint i = 0; i < all->len; i++)
    {
      Rung *rung = &g_array_index (all, Rung, i);

      rung->rung (rung->owner);
      g_object_unref (rung->owner);
    }
}
