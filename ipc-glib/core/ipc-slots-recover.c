/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Permits of the dead, and who has which. */
#include "core/ipc-slots-table.h"

#define KNOWN 8u

/* A sweep asks once about each owner. */
typedef struct
{
  unsigned n;
  IpcOwner owners[KNOWN];
  bool alive[KNOWN];
} Known;

static bool
is_alive (IpcSlots *self, Known *known, IpcOwner owner)
{
  bool alive;

  for (unsigned i = 0; i < known->n; i++)
    if (known->owners[i] == owner)
      return known->alive[i];
  alive = ipc_presence_is_alive (self->presence, owner);
  if (known->n < KNOWN)
    {
      known->owners[known->n] = owner;
      known->alive[known->n++] = alive;
    }
  return alive;
}

/* A grant that nobody will take: who granted it was killed before it could see that the waiter had left. */
static bool
is_orphan (IpcSlots *self, IpcOwner value)
{
  return (value & GRANTED) != 0 && !ipc_slots_anybody_waits (self, OWNER_OF (value));
}

/* False: somebody else was quicker. */
static bool
free_slot (IpcSlots *self, Slot *slot, IpcOwner value)
{
  while (!ipc_slots_pass_on (self, slot, value))
    {
      IpcOwner now = atomic_load (&slot->owner);

      /* Maybe it has only been marked. */
      if (now == value || (now | WAITED) != (value | WAITED))
        return false;
      value = now;
    }
  return true;
}

unsigned
ipc_slots_recover (IpcSlots *self)
{
  Known known = { 0 };
  unsigned n_recovered = 0;

  ipc_slots_sweep_entries (self);
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      Slot *slot = ipc_slots_get_slot (self, i);
      IpcOwner value = atomic_load (&slot->owner);
      bool dead = value != 0 && OWNER_OF (value) != self->me && !is_alive (self, &known, OWNER_OF (value));

      if (value == 0 || (!dead && !is_orphan (self, value)))
        continue;
      n_recovered += free_slot (self, slot, value) && dead;
    }
  if (n_recovered > 0)
    atomic_fetch_add (&ipc_slots_get_head (self)->recovered, n_recovered);
  return n_recovered;
}

unsigned
ipc_slots_count_free (IpcSlots *self)
{
  unsigned n = 0;

  for (unsigned i = 0; i < self->n_slots; i++)
    n += atomic_load_explicit (&ipc_slots_get_slot (self, i)->owner, memory_order_relaxed) == 0;
  return n;
}

void
ipc_slots_count (IpcSlots *self, IpcSlotsStatistics *statistics)
{
  *statistics = (IpcSlotsStatistics){
    .recovered = atomic_load (&ipc_slots_get_head (self)->recovered),
    .waiters = ipc_slots_count_waiters (self),
  };
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      Slot *slot = ipc_slots_get_slot (self, i);

      statistics->acquired += atomic_load_explicit (&slot->n_acquired, memory_order_relaxed);
      statistics->held += atomic_load_explicit (&slot->owner, memory_order_relaxed) != 0;
    }
}

IpcOwner
ipc_slots_get_holder (IpcSlots *self, unsigned index, int64_t *since)
{
  IpcOwner value = atomic_load (&ipc_slots_get_slot (self, index)->owner);

  *since = atomic_load (&ipc_slots_get_slot (self, index)->since);
  return OWNER_OF (value);
}

_Atomic int64_t *
ipc_slots_get_stamp (const IpcSlots *self, unsigned index)
{
  return &ipc_slots_get_slot (self, index)->since;
}

void
ipc_slots_stamp (IpcSlots *self, unsigned index, int64_t since)
{
  atomic_store_explicit (ipc_slots_get_stamp (self, index), since, memory_order_relaxed);
}
