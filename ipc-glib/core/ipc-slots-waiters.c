/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Those who wait for a permit: their entries, their order, and how they are woken. */
#include "core/ipc-slots-table.h"

#include "core/ipc-barrier.h"
#include "core/ipc-bell.h"

/* What others write is not trusted to be in range. */
static unsigned
get_high (const IpcSlots *self)
{
  uint32_t high = atomic_load (&ipc_slots_get_head (self)->high);

  return high < self->n_waiters ? high : self->n_waiters;
}

bool
ipc_slots_take_entry (IpcSlots *self, unsigned bell, unsigned *index)
{
  Head *head = ipc_slots_get_head (self);

  for (unsigned i = 0; i < self->n_waiters; i++)
    {
      Entry *entry = ipc_slots_get_entry (self, i);
      IpcOwner nobody = 0;
      uint32_t high = atomic_load (&head->high);

      if (atomic_load (&entry->owner) != 0)
        continue;
      /* First of all, so that an entry whose owner is killed is found. */
      while (high < i + 1 && !atomic_compare_exchange_weak (&head->high, &high, i + 1))
        ;
      if (!atomic_compare_exchange_strong (&entry->owner, &nobody, self->me))
        continue;
      /* What its last user left, which may have been killed. Without a ticket nobody looks at it yet. */
      atomic_store (&entry->ticket, 0);
      atomic_store (&entry->bell, bell);
      atomic_store (&entry->woken, 0);
      /* Who has less patience counts as one that has waited before. */
      atomic_store (&entry->since, ipc_futex_now () - (self->patience < IPC_SLOTS_PATIENCE_NS ? IPC_SLOTS_PATIENCE_NS - self->patience : 0));
      atomic_store (&entry->ticket, atomic_fetch_add (&head->last_ticket, 1) + 1);
      *index = i;
      return true;
    }
  return false;
}

void
ipc_slots_leave_entry (IpcSlots *self, unsigned index)
{
  Entry *entry = ipc_slots_get_entry (self, index);

  /* Without a ticket first, so that the next one who has the entry is not taken for this one. */
  atomic_store (&entry->ticket, 0);
  atomic_store (&entry->owner, 0);
}

bool
ipc_slots_anybody_waits (IpcSlots *self, IpcOwner owner)
{
  unsigned high = get_high (self);

  for (unsigned i = 0; i < high; i++)
    {
      IpcOwner its_owner = atomic_load (&ipc_slots_get_entry (self, i)->owner);

      if (owner == 0 ? its_owner != 0 : its_owner == owner)
        return true;
    }
  return false;
}

Entry *
ipc_slots_find_oldest (IpcSlots *self, IpcOwner owner, bool asleep)
{
  unsigned high = get_high (self);
  uint64_t lowest = UINT64_MAX;
  Entry *oldest = NULL;

  for (unsigned i = 0; i < high; i++)
    {
      Entry *entry = ipc_slots_get_entry (self, i);
      IpcOwner its_owner = atomic_load (&entry->owner);
      uint64_t ticket = atomic_load (&entry->ticket);

      if (its_owner == 0 || ticket == 0 || ticket >= lowest || (owner != 0 && its_owner != owner) ||
          (asleep && atomic_load (&entry->woken) != 0))
        continue;
      lowest = ticket;
      oldest = entry;
    }
  return oldest;
}

/* The clocks of containers may differ: who seems to have begun later than now is not let wait for it. */
static bool
starves (const IpcSlots *self, Entry *entry)
{
  int64_t waited = ipc_slots_get_waited (entry, ipc_futex_now ());

  return waited < 0 || waited >= self->patience;
}

Entry *
ipc_slots_find_heir (IpcSlots *self, IpcOwner *heir, uint64_t *ticket)
{
  Entry *entry;

  while ((entry = ipc_slots_find_oldest (self, 0, false)) != NULL && starves (self, entry))
    {
      *heir = atomic_load (&entry->owner);
      *ticket = atomic_load (&entry->ticket);
      if (*heir != 0 && ipc_presence_seems_alive (self->presence, *heir))
        return entry;
      if (*heir != 0)
        atomic_compare_exchange_strong (&entry->owner, heir, 0);
    }
  return NULL;
}

/* False: nobody is there who could hear it, or it is awake already. */
static bool
call (IpcSlots *self, Entry *entry, IpcOwner owner)
{
  unsigned bell = atomic_load (&entry->bell);

  return bell == 0 ? ipc_futex_wake (&entry->woken, 1) > 0 : ipc_bell_ring (self->presence, owner, bell);
}

void
ipc_slots_wake_entry (IpcSlots *self, Entry *entry)
{
  IpcOwner owner = atomic_load (&entry->owner);

  if (atomic_exchange (&entry->woken, 1) == 0)
    call (self, entry, owner);
}

/* As long as nobody releases without a barrier, one here is enough. */
void
ipc_slots_want (IpcSlots *self)
{
  Head *head = ipc_slots_get_head (self);

  atomic_store (&head->wanted, 1);
  ipc_racy_fence (memory_order_seq_cst);
  if (atomic_load (&head->asymmetric) != 0)
    ipc_barrier_heavy_everywhere ();
}

/* Wakes one that sleeps and is there. */
void
ipc_slots_wake_oldest (IpcSlots *self)
{
  Head *head = ipc_slots_get_head (self);
  Entry *entry;

  /* First, so that whoever wants it from now on is either found, or wants it again. */
  if (atomic_load (&head->wanted) != 0)
    atomic_store (&head->wanted, 0);
  while ((entry = ipc_slots_find_oldest (self, 0, true)) != NULL)
    {
      IpcOwner owner = atomic_load (&entry->owner);

      if (atomic_exchange (&entry->woken, 1) != 0)
        continue;
      if (call (self, entry, owner) || owner == 0 || ipc_presence_is_alive (self->presence, owner))
        return;
      atomic_compare_exchange_strong (&entry->owner, &owner, 0);
    }
}

void
ipc_slots_wake (IpcSlots *self, bool all)
{
  unsigned high = get_high (self);

  for (unsigned i = 0; i < high; i++)
    {
      IpcOwner owner = atomic_load (&ipc_slots_get_entry (self, i)->owner);

      if (owner != 0 && (all || owner == self->me))
        ipc_slots_wake_entry (self, ipc_slots_get_entry (self, i));
    }
}

void
ipc_slots_sweep_entries (IpcSlots *self)
{
  unsigned high = get_high (self);
  IpcOwner alive = self->me;    /* the last one that was */

  for (unsigned i = 0; i < high; i++)
    {
      IpcOwner owner = atomic_load (&ipc_slots_get_entry (self, i)->owner);

      if (owner == 0 || owner == alive)
        continue;
      if (ipc_presence_is_alive (self->presence, owner))
        alive = owner;
      else
        atomic_compare_exchange_strong (&ipc_slots_get_entry (self, i)->owner, &owner, 0);
    }
}

unsigned
ipc_slots_count_waiters (IpcSlots *self)
{
  unsigned high = get_high (self), n = 0;

  for (unsigned i = 0; i < high; i++)
    n += atomic_load_explicit (&ipc_slots_get_entry (self, i)->owner, memory_order_relaxed) != 0;
  return n;
}
