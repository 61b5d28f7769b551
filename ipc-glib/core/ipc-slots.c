/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All operations on words that order something between processes are sequentially consistent. The pairs that rely on it:
 *
 *   a waiter sets its entry and the flag, then looks at the slots      a release frees the slot, then looks at the flag
 *   a waiter leaves its entry, then looks for a grant                  who grants sets the slot, then looks at the entry
 *   a waiter that leaves clears the flags, then looks at the entries   a new waiter sets its entry, then the flags
 */
#include "core/ipc-slots.h"

#include <limits.h>
#include <string.h>

#include "core/ipc-futex.h"

#define GRANTED ((IpcOwner) 1 << 63)    /* an owner's index has 12 bits from bit 48 on */
#define FLAG_WAITERS 1u         /* somebody may sleep */
#define FLAG_STARVING 2u        /* somebody has waited for too long: nobody is quicker now */
#define KNOWN 8u

typedef struct
{
  _Alignas (64) _Atomic uint32_t flags;
  _Atomic uint32_t high;        /* entries in use lie below it; only grows */
  _Alignas (64) _Atomic uint64_t last_ticket;
  _Atomic uint64_t recovered;
} Head;

typedef struct
{
  _Atomic IpcOwner owner;
  _Atomic uint64_t n_acquired;  /* only written by the owner */
  _Atomic int64_t since;        /* the same */
  uint64_t room;
} Slot;

typedef struct
{
  _Atomic IpcOwner owner;       /* 0: free */
  _Atomic uint64_t ticket;      /* 0: not drawn yet */
  _Atomic uint32_t woken;       /* the futex */
  _Atomic uint32_t starving;
  uint64_t room;
} Entry;

_Static_assert (sizeof (Head) == 128 && sizeof (Slot) == 32 && sizeof (Entry) == 32, "the layout is shared between processes");

static Head *
get_head (const IpcSlots *self)
{
  return (Head *) self->memory;
}

static Slot *
get_slot (const IpcSlots *self, unsigned index)
{
  return (Slot *) (self->memory + sizeof (Head)) + index;
}

static Entry *
get_entry (const IpcSlots *self, unsigned index)
{
  return (Entry *) (self->memory + sizeof (Head) + self->n_slots * sizeof (Slot)) + index;
}

size_t
ipc_slots_get_size (unsigned n_slots, unsigned n_waiters)
{
  return sizeof (Head) + n_slots * sizeof (Slot) + n_waiters * sizeof (Entry);
}

void
ipc_slots_init (IpcSlots *self, uint8_t *memory, unsigned n_slots, unsigned n_waiters, IpcPresence *presence, _Atomic uint32_t *deleted)
{
  *self = (IpcSlots){
    .memory = memory,
    .n_slots = n_slots,
    .n_waiters = n_waiters,
    .presence = presence,
    .me = ipc_presence_get_me (presence),
    .deleted = deleted,
    .hint = (uint32_t) (ipc_presence_get_me (presence) >> 48) % n_slots,
  };
}

/* What others write is not trusted to be in range. */
static unsigned
get_high (const IpcSlots *self)
{
  uint32_t high = atomic_load (&get_head (self)->high);

  return high < self->n_waiters ? high : self->n_waiters;
}

/* ---- who is dead ---- */

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

/* ---- waiters ---- */

static bool
waits (IpcSlots *self, IpcOwner owner)
{
  unsigned high = get_high (self);

  for (unsigned i = 0; i < high; i++)
    if (atomic_load (&get_entry (self, i)->owner) == owner)
      return true;
  return false;
}

/* The one with the lowest ticket that passes; NULL: none. */
static Entry *
find_oldest (IpcSlots *self, IpcOwner owner, bool starving, bool asleep)
{
  unsigned high = get_high (self);
  uint64_t lowest = UINT64_MAX;
  Entry *oldest = NULL;

  for (unsigned i = 0; i < high; i++)
    {
      Entry *entry = get_entry (self, i);
      IpcOwner its_owner = atomic_load (&entry->owner);
      uint64_t ticket = atomic_load (&entry->ticket);

      if (its_owner == 0 || ticket == 0 || ticket >= lowest || (owner != 0 && its_owner != owner) ||
          (starving && atomic_load (&entry->starving) == 0) || (asleep && atomic_load (&entry->woken) != 0))
        continue;
      lowest = ticket;
      oldest = entry;
    }
  return oldest;
}

static void
wake_entry (Entry *entry)
{
  if (atomic_exchange (&entry->woken, 1) == 0)
    ipc_futex_wake (&entry->woken, 1);
}

/* Wakes one sleeper that is there. Where nobody sleeps on the word, its waiter is awake already, or dead. */
static void
wake_oldest (IpcSlots *self)
{
  Entry *entry;

  while ((entry = find_oldest (self, 0, false, true)) != NULL)
    {
      IpcOwner owner = atomic_load (&entry->owner);

      if (atomic_exchange (&entry->woken, 1) != 0)
        continue;
      if (ipc_futex_wake (&entry->woken, 1) > 0 || owner == 0 || ipc_presence_is_alive (self->presence, owner))
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
      IpcOwner owner = atomic_load (&get_entry (self, i)->owner);

      if (owner != 0 && (all || owner == self->me))
        wake_entry (get_entry (self, i));
    }
}

static bool
any_free (IpcSlots *self)
{
  for (unsigned i = 0; i < self->n_slots; i++)
    if (atomic_load (&get_slot (self, i)->owner) == 0)
      return true;
  return false;
}

/* Sets the flags to what the entries say. */
static void
update_flags (IpcSlots *self)
{
  unsigned high = get_high (self);
  uint32_t flags = 0;

  atomic_fetch_and (&get_head (self)->flags, ~(FLAG_WAITERS | FLAG_STARVING));
  for (unsigned i = 0; i < high; i++)
    if (atomic_load (&get_entry (self, i)->owner) != 0)
      flags |= FLAG_WAITERS | (atomic_load (&get_entry (self, i)->starving) != 0 ? FLAG_STARVING : 0);
  if (flags == 0)
    return;
  atomic_fetch_or (&get_head (self)->flags, flags);
  /* A release in between has woken nobody. */
  if (any_free (self))
    wake_oldest (self);
}

/* Frees the entries of the dead. */
static void
sweep_entries (IpcSlots *self, Known *known)
{
  unsigned high = get_high (self);
  bool freed = false;

  for (unsigned i = 0; i < high; i++)
    {
      IpcOwner owner = atomic_load (&get_entry (self, i)->owner);

      if (owner != 0 && owner != self->me && !is_alive (self, known, owner))
        freed |= atomic_compare_exchange_strong (&get_entry (self, i)->owner, &owner, 0);
    }
  if (freed)
    update_flags (self);
}

/* ---- recovering ---- */

/* A grant that nobody will take: who granted it was killed before it could see that the waiter had left. */
static bool
is_orphan (IpcSlots *self, IpcOwner value)
{
  return (value & GRANTED) != 0 && !waits (self, value & ~GRANTED);
}

unsigned
ipc_slots_recover (IpcSlots *self)
{
  Known known = { 0 };
  unsigned n_recovered = 0, n_freed = 0;

  sweep_entries (self, &known);
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      IpcOwner value = atomic_load (&get_slot (self, i)->owner);
      bool dead = value != 0 && (value & ~GRANTED) != self->me && !is_alive (self, &known, value & ~GRANTED);

      if (value == 0 || (!dead && !is_orphan (self, value)))
        continue;
      if (!atomic_compare_exchange_strong (&get_slot (self, i)->owner, &value, 0))
        continue;
      n_recovered += dead;
      n_freed++;
    }
  if (n_recovered > 0)
    atomic_fetch_add (&get_head (self)->recovered, n_recovered);
  for (unsigned i = 0; i < n_freed; i++)
    wake_oldest (self);
  return n_recovered;
}

/* ---- acquiring ---- */

static void
note_acquired (IpcSlots *self, unsigned index)
{
  Slot *slot = get_slot (self, index);

  /* Nobody else writes it while the slot is ours. */
  atomic_store_explicit (&slot->n_acquired, atomic_load_explicit (&slot->n_acquired, memory_order_relaxed) + 1, memory_order_relaxed);
  atomic_store_explicit (&self->hint, index, memory_order_relaxed);
}

static bool
take_free (IpcSlots *self, unsigned *index)
{
  unsigned at = atomic_load_explicit (&self->hint, memory_order_relaxed);

  for (unsigned i = 0; i < self->n_slots; i++)
    {
      Slot *slot = get_slot (self, at);
      IpcOwner nobody = 0;

      if (atomic_load (&slot->owner) == 0 && atomic_compare_exchange_strong (&slot->owner, &nobody, self->me))
        {
          note_acquired (self, at);
          *index = at;
          return true;
        }
      if (++at == self->n_slots)
        at = 0;
    }
  return false;
}

/* Whether this waiter is the one who is to have what is free while somebody starves. The dead stand in nobody's way. */
static bool
is_first (IpcSlots *self, const IpcSlotsWaiter *waiter)
{
  Entry *entry = get_entry (self, waiter->entry);
  Known known = { 0 };

  if (!waiter->is_starving)
    return false;
  if (find_oldest (self, 0, true, false) == entry)
    return true;
  if (!any_free (self))
    return false;
  sweep_entries (self, &known);
  return find_oldest (self, 0, true, false) == entry;
}

/* Only the oldest waiter of the process takes what was granted to the process. */
static bool
take_granted (IpcSlots *self, const IpcSlotsWaiter *waiter, unsigned *index)
{
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      IpcOwner granted = self->me | GRANTED;

      if (atomic_load (&get_slot (self, i)->owner) != granted || find_oldest (self, self->me, false, false) != get_entry (self, waiter->entry) ||
          !atomic_compare_exchange_strong (&get_slot (self, i)->owner, &granted, self->me))
        continue;
      note_acquired (self, i);
      *index = i;
      return true;
    }
  return false;
}

bool
ipc_slots_try (IpcSlots *self, unsigned *slot)
{
  if ((atomic_load (&get_head (self)->flags) & FLAG_STARVING) != 0)
    {
      /* The flag may be that of somebody who was killed. */
      Known known = { 0 };

      sweep_entries (self, &known);
      update_flags (self);
      if ((atomic_load (&get_head (self)->flags) & FLAG_STARVING) != 0)
        return false;
    }
  return take_free (self, slot);
}

/* ---- waiting ---- */

static bool
take_entry (IpcSlots *self, unsigned *index)
{
  for (unsigned i = 0; i < self->n_waiters; i++)
    {
      Entry *entry = get_entry (self, i);
      IpcOwner nobody = 0;
      uint32_t high = atomic_load (&get_head (self)->high);

      if (atomic_load (&entry->owner) != 0)
        continue;
      /* First of all, so that an entry whose owner is killed is found. */
      while (high < i + 1 && !atomic_compare_exchange_weak (&get_head (self)->high, &high, i + 1))
        ;
      if (!atomic_compare_exchange_strong (&entry->owner, &nobody, self->me))
        continue;
      /* What its last user left, which may have been killed. Without a ticket nobody looks at it yet. */
      atomic_store (&entry->ticket, 0);
      atomic_store (&entry->starving, 0);
      atomic_store (&entry->woken, 0);
      *index = i;
      return true;
    }
  return false;
}

bool
ipc_slots_wait_begin (IpcSlots *self, IpcSlotsWaiter *waiter)
{
  Known known = { 0 };

  if (!take_entry (self, &waiter->entry))
    {
      sweep_entries (self, &known);
      if (!take_entry (self, &waiter->entry))
        return false;
    }
  atomic_store (&get_entry (self, waiter->entry)->ticket, atomic_fetch_add (&get_head (self)->last_ticket, 1) + 1);
  waiter->is_starving = false;
  waiter->since = ipc_futex_now ();
  waiter->next_sweep = waiter->since + IPC_SLOTS_SWEEP_NS;
  return true;
}

static void
starve (IpcSlots *self, IpcSlotsWaiter *waiter)
{
  waiter->is_starving = true;
  atomic_store (&get_entry (self, waiter->entry)->starving, 1);
}

bool
ipc_slots_wait_try (IpcSlots *self, IpcSlotsWaiter *waiter, unsigned *slot, int64_t *wake_at)
{
  Entry *entry = get_entry (self, waiter->entry);
  int64_t now = ipc_futex_now ();
  uint32_t flags;

  if (!waiter->is_starving && now >= waiter->since + IPC_SLOTS_PATIENCE_NS)
    starve (self, waiter);
  atomic_store (&entry->woken, 0);
  flags = atomic_fetch_or (&get_head (self)->flags, FLAG_WAITERS | (waiter->is_starving ? FLAG_STARVING : 0));
  if (now >= waiter->next_sweep)
    {
      ipc_slots_recover (self);
      waiter->next_sweep = now + IPC_SLOTS_SWEEP_NS;
    }
  if (take_granted (self, waiter, slot))
    return true;
  /* While somebody starves, what is free goes to the oldest who does. */
  if (((flags & FLAG_STARVING) == 0 || is_first (self, waiter)) && take_free (self, slot))
    return true;
  *wake_at = waiter->next_sweep;
  if (!waiter->is_starving && waiter->since + IPC_SLOTS_PATIENCE_NS < *wake_at)
    *wake_at = waiter->since + IPC_SLOTS_PATIENCE_NS;
  return false;
}

/* With its waiter gone, a grant goes to another waiter of the process, or back. */
static void
return_grants (IpcSlots *self)
{
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      IpcOwner granted = self->me | GRANTED;
      Entry *other;

      if (atomic_load (&get_slot (self, i)->owner) != granted)
        continue;
      other = find_oldest (self, self->me, false, false);
      if (other != NULL)
        wake_entry (other);
      else if (atomic_compare_exchange_strong (&get_slot (self, i)->owner, &granted, 0))
        wake_oldest (self);
    }
}

void
ipc_slots_wait_end (IpcSlots *self, IpcSlotsWaiter *waiter)
{
  /* Without a ticket first, so that the next one who has the entry is not taken for this one. */
  atomic_store (&get_entry (self, waiter->entry)->ticket, 0);
  atomic_store (&get_entry (self, waiter->entry)->owner, 0);
  return_grants (self);
  update_flags (self);
}

/* Whom to sleep on beside the own entry: the owners, whose death frees something. */
static unsigned
watch_owners (IpcSlots *self, IpcFutexWait *waits_for)
{
  IpcOwner seen[IPC_FUTEX_MAX_WORDS];
  unsigned n = 1;

  for (unsigned i = 0; i < self->n_slots && n < IPC_FUTEX_MAX_WORDS; i++)
    {
      IpcOwner owner = atomic_load (&get_slot (self, i)->owner) & ~GRANTED;
      bool known = owner == 0 || owner == self->me;

      for (unsigned k = 1; k < n && !known; k++)
        known = seen[k] == owner;
      if (known)
        continue;
      waits_for[n].word = ipc_presence_watch (self->presence, owner, &waits_for[n].expected);
      if (waits_for[n].word == NULL)
        continue;
      seen[n++] = owner;
    }
  return n;
}

/* Somebody has died: the proof comes a little after the hint. */
static bool
has_death (const IpcFutexWait *waits_for, unsigned n)
{
  for (unsigned i = 1; i < n; i++)
    if (atomic_load (waits_for[i].word) != waits_for[i].expected)
      return true;
  return false;
}

static void
nap (IpcSlots *self, IpcSlotsWaiter *waiter, int64_t wake_at)
{
  IpcFutexWait waits_for[IPC_FUTEX_MAX_WORDS] = { { &get_entry (self, waiter->entry)->woken, 0 } };
  unsigned n = watch_owners (self, waits_for);

  ipc_futex_wait_any (waits_for, n, wake_at);
  if (n > 1 && has_death (waits_for, n))
    {
      _Atomic uint32_t never = 0;

      /* At growing distances, up to 5 ms in all; after that it is for the sweep. */
      for (int64_t pause = 5000; pause < 2560000 && ipc_slots_recover (self) == 0; pause *= 2)
        ipc_futex_wait (&never, 0, ipc_futex_now () + pause);
    }
}

static IpcSlotsOutcome
wait_for_slot (IpcSlots *self, IpcSlotsWaiter *waiter, int64_t deadline, const _Atomic uint32_t *cancelled, unsigned *slot)
{
  for (;;)
    {
      int64_t wake_at;

      if (ipc_slots_wait_try (self, waiter, slot, &wake_at))
        return IPC_SLOTS_ACQUIRED;
      if (atomic_load (self->deleted) != 0)
        return IPC_SLOTS_DELETED;
      if (cancelled != NULL && atomic_load (cancelled) != 0)
        return IPC_SLOTS_CANCELLED;
      if (deadline != 0 && ipc_futex_now () >= deadline)
        return IPC_SLOTS_TIMED_OUT;
      nap (self, waiter, deadline != 0 && deadline < wake_at ? deadline : wake_at);
    }
}

IpcSlotsOutcome
ipc_slots_acquire (IpcSlots *self, int64_t deadline, const _Atomic uint32_t *cancelled, unsigned *slot)
{
  IpcSlotsOutcome outcome;
  IpcSlotsWaiter waiter;

  if ((atomic_load (&get_head (self)->flags) & FLAG_STARVING) == 0 && take_free (self, slot))
    return IPC_SLOTS_ACQUIRED;
  if (!ipc_slots_wait_begin (self, &waiter))
    return IPC_SLOTS_TOO_MANY;
  outcome = wait_for_slot (self, &waiter, deadline, cancelled, slot);
  ipc_slots_wait_end (self, &waiter);
  return outcome;
}

/* ---- releasing ---- */

/* Who starves and has waited longest; a dead one is taken out. *HEIR is its process. NULL: there is none any more. */
static Entry *
find_heir (IpcSlots *self, IpcOwner *heir, uint64_t *ticket)
{
  Entry *entry;

  while ((entry = find_oldest (self, 0, true, false)) != NULL)
    {
      *heir = atomic_load (&entry->owner);
      *ticket = atomic_load (&entry->ticket);
      if (*heir != 0 && ipc_presence_is_alive (self->presence, *heir))
        return entry;
      if (*heir != 0)
        atomic_compare_exchange_strong (&entry->owner, heir, 0);
    }
  return NULL;
}

/* Gives the slot, which is ours, to the oldest who starves. False: there is none any more. */
static bool
hand_over (IpcSlots *self, Slot *slot)
{
  IpcOwner heir, granted, me = self->me;
  uint64_t ticket;
  Entry *entry = find_heir (self, &heir, &ticket);

  if (entry == NULL)
    return false;
  granted = heir | GRANTED;
  if (!atomic_compare_exchange_strong (&slot->owner, &me, granted))
    return true;
  if (atomic_load (&entry->owner) == heir && atomic_load (&entry->ticket) == ticket)
    wake_entry (entry);
  else if (atomic_compare_exchange_strong (&slot->owner, &granted, 0))
    wake_oldest (self);         /* it had left before it could see the grant */
  return true;
}

bool
ipc_slots_release (IpcSlots *self, unsigned index)
{
  Slot *slot;
  IpcOwner me = self->me;

  if (index >= self->n_slots)
    return false;
  slot = get_slot (self, index);
  if ((atomic_load (&get_head (self)->flags) & FLAG_STARVING) != 0)
    {
      if (atomic_load (&slot->owner) != me)
        return false;
      if (hand_over (self, slot))
        return true;
    }
  if (!atomic_compare_exchange_strong (&slot->owner, &me, 0))
    return false;
  if ((atomic_load (&get_head (self)->flags) & FLAG_WAITERS) != 0)
    wake_oldest (self);
  return true;
}

/* ---- looking ---- */

unsigned
ipc_slots_count_free (IpcSlots *self)
{
  unsigned n = 0;

  for (unsigned i = 0; i < self->n_slots; i++)
    n += atomic_load_explicit (&get_slot (self, i)->owner, memory_order_relaxed) == 0;
  return n;
}

void
ipc_slots_count (IpcSlots *self, IpcSlotsStatistics *statistics)
{
  unsigned high = get_high (self);

  *statistics = (IpcSlotsStatistics){ .recovered = atomic_load (&get_head (self)->recovered) };
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      statistics->acquired += atomic_load_explicit (&get_slot (self, i)->n_acquired, memory_order_relaxed);
      statistics->held += atomic_load_explicit (&get_slot (self, i)->owner, memory_order_relaxed) != 0;
    }
  for (unsigned i = 0; i < high; i++)
    statistics->waiters += atomic_load_explicit (&get_entry (self, i)->owner, memory_order_relaxed) != 0;
}

IpcOwner
ipc_slots_get_holder (IpcSlots *self, unsigned index, int64_t *since)
{
  IpcOwner owner = atomic_load (&get_slot (self, index)->owner);

  *since = atomic_load (&get_slot (self, index)->since);
  return owner & ~GRANTED;
}

void
ipc_slots_stamp (IpcSlots *self, unsigned index, int64_t since)
{
  atomic_store_explicit (&get_slot (self, index)->since, since, memory_order_relaxed);
}
