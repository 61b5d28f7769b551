/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-listeners.h"

#include "core/ipc-bell.h"

_Static_assert (sizeof (IpcListenersHead) == 64 && sizeof (IpcListenersEntry) == 16, "the layout is shared between processes");

size_t
ipc_listeners_get_size (unsigned n)
{
  return (sizeof (IpcListenersHead) + n * sizeof (IpcListenersEntry) + 63) & ~(size_t) 63;
}

void
ipc_listeners_init (IpcListeners *self, uint8_t *memory, unsigned n, IpcPresence *presence)
{
  ipc_barrier_init ();
  *self = (IpcListeners){
    .head = (IpcListenersHead *) memory,
    .entries = (IpcListenersEntry *) (memory + sizeof (IpcListenersHead)),
    .n = n,
    .presence = presence,
    .me = presence != NULL ? ipc_presence_get_me (presence) : 0,
  };
}

static bool
take (IpcListeners *self, unsigned index, IpcOwner from, unsigned bell)
{
  IpcListenersHead *head = self->head;
  IpcListenersEntry *entry = &self->entries[index];
  uint32_t high = atomic_load (&head->high);

  while (high < index + 1 && !atomic_compare_exchange_weak (&head->high, &high, index + 1))
    ;
  if (!atomic_compare_exchange_strong (&entry->owner, &from, ipc_presence_get_me (self->presence)))
    return false;
  atomic_store (&entry->armed, 0);
  atomic_store (&entry->bell, bell);
  return true;
}

bool
ipc_listeners_add (IpcListeners *self, unsigned bell, unsigned *index)
{
  for (int sweeps = 0; sweeps < 2; sweeps++)
    for (unsigned i = 0; i < self->n; i++)
      {
        IpcOwner owner = atomic_load (&self->entries[i].owner);

        /* The dead are only asked about where there is no other room. */
        if (owner != 0 && (sweeps == 0 || ipc_presence_is_alive (self->presence, owner)))
          continue;
        if (take (self, i, owner, bell))
          {
            *index = i;
            return true;
          }
      }
  return false;
}

void
ipc_listeners_remove (IpcListeners *self, unsigned entry)
{
  atomic_store (&self->entries[entry].armed, 0);
  atomic_store (&self->entries[entry].owner, 0);
}

void
ipc_listeners_arm (IpcListeners *self, unsigned entry)
{
  atomic_store (&self->entries[entry].armed, 1);
  /* Who has just seen that nobody is armed has also written what is looked at now. */
  if (self->rings_lightly)
    ipc_barrier_heavy_everywhere ();
}

bool
ipc_listeners_is_armed (const IpcListeners *self, unsigned entry)
{
  return atomic_load (&self->entries[entry].armed) != 0;
}

static void
ring (IpcListeners *self, IpcListenersEntry *entry)
{
  IpcOwner owner;

  if (atomic_exchange (&entry->armed, 0) == 0)
    return;
  owner = atomic_load (&entry->owner);
  if (owner != 0)
    ipc_bell_ring (self->presence, owner, atomic_load (&entry->bell));
}

void
ipc_listeners_ring (IpcListeners *self, unsigned except)
{
  unsigned high = ipc_listeners_get_high (self);

  for (unsigned i = 0; i < high; i++)
    if (i != except && atomic_load (&self->entries[i].armed) != 0)
      ring (self, &self->entries[i]);
}

void
ipc_listeners_ring_elsewhere (IpcListeners *self)
{
  unsigned high = ipc_listeners_is_any_armed_elsewhere (self) ? ipc_listeners_get_high (self) : 0;

  for (unsigned i = 0; i < high; i++)
    if (atomic_load (&self->entries[i].armed) != 0 && atomic_load (&self->entries[i].owner) != self->me)
      ring (self, &self->entries[i]);
}
