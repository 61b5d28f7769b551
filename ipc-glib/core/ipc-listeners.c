/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-listeners.h"

#include "core/ipc-barrier.h"
#include "core/ipc-bell.h"

typedef struct
{
  _Alignas (64) _Atomic uint32_t high;  /* entries in use lie below it; only grows */
} Head;

typedef struct
{
  _Atomic IpcOwner owner;       /* 0: free */
  _Atomic uint32_t bell;
  _Atomic uint32_t armed;
} Entry;

_Static_assert (sizeof (Head) == 64 && sizeof (Entry) == 16, "the layout is shared between processes");

static Head *
get_head (const IpcListeners *self)
{
  return (Head *) self->memory;
}

static Entry *
get_entry (const IpcListeners *self, unsigned index)
{
  return (Entry *) (self->memory + sizeof (Head)) + index;
}

/* What others write is not trusted to be in range. */
static unsigned
get_high (const IpcListeners *self)
{
  uint32_t high = atomic_load (&get_head (self)->high);

  return high < self->n ? high : self->n;
}

size_t
ipc_listeners_get_size (unsigned n)
{
  return (sizeof (Head) + n * sizeof (Entry) + 63) & ~(size_t) 63;
}

void
ipc_listeners_init (IpcListeners *self, uint8_t *memory, unsigned n, IpcPresence *presence)
{
  ipc_barrier_init ();
  *self = (IpcListeners){ .memory = memory, .n = n, .presence = presence };
}

static bool
take (IpcListeners *self, unsigned index, IpcOwner from, unsigned bell)
{
  Head *head = get_head (self);
  Entry *entry = get_entry (self, index);
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
        IpcOwner owner = atomic_load (&get_entry (self, i)->owner);

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
  atomic_store (&get_entry (self, entry)->armed, 0);
  atomic_store (&get_entry (self, entry)->owner, 0);
}

void
ipc_listeners_arm (IpcListeners *self, unsigned entry)
{
  atomic_store (&get_entry (self, entry)->armed, 1);
  /* Who has just seen that nobody is armed has also written what is looked at now. */
  if (self->rings_lightly)
    ipc_barrier_heavy_everywhere ();
}

bool
ipc_listeners_is_armed (const IpcListeners *self, unsigned entry)
{
  return atomic_load (&get_entry (self, entry)->armed) != 0;
}

static void
ring (IpcListeners *self, Entry *entry)
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
  unsigned high = get_high (self);

  for (unsigned i = 0; i < high; i++)
    if (i != except && atomic_load (&get_entry (self, i)->armed) != 0)
      ring (self, get_entry (self, i));
}

void
ipc_listeners_ring_elsewhere (IpcListeners *self)
{
  unsigned high;

  ipc_barrier_light ();
  high = get_high (self);
  for (unsigned i = 0; i < high; i++)
    {
      Entry *entry = get_entry (self, i);

      if (atomic_load (&entry->armed) != 0 && atomic_load (&entry->owner) != ipc_presence_get_me (self->presence))
        ring (self, entry);
    }
}
