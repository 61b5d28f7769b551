/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Taking, waiting for and giving back permits. */
#include "core/ipc-slots-table.h"

#define NAP_WORDS 16u           /* the own one, and owners' */
#define REST_NS 50000
#define FIRST_LOOK_NS 5000
#define MAX_LOOKS 14u           /* each after twice the time: for 80 ms in all */

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
    .hint = ipc_presence_get_index (presence) % n_slots,
    .patience = IPC_SLOTS_PATIENCE_NS,
  };
}

void
ipc_slots_set_light (IpcSlots *self)
{
  ipc_barrier_init ();
  self->light = true;
  if (ipc_barrier_is_asymmetric && atomic_load (&ipc_slots_get_head (self)->asymmetric) == 0)
    atomic_store (&ipc_slots_get_head (self)->asymmetric, 1);
}

/* ---- acquiring ---- */

static bool
take_free (IpcSlots *self, unsigned *index)
{
  unsigned at = atomic_load_explicit (&self->hint, memory_order_relaxed);

  for (unsigned i = 0; i < self->n_slots; i++)
    {
      Slot *slot = ipc_slots_get_slot (self, at);
      IpcOwner nobody = 0;

      if (atomic_load_explicit (&slot->owner, memory_order_relaxed) == 0 && atomic_compare_exchange_strong (&slot->owner, &nobody, self->me))
        {
          ipc_slots_note_acquired (self, slot, at);
          *index = at;
          return true;
        }
      if (++at == self->n_slots)
        at = 0;
    }
  return false;
}

/* What one gets who has waited stays marked, for the sake of the others who do. With MARK, so is what is not free. */
static bool
take_waited (IpcSlots *self, bool mark, unsigned *index)
{
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      Slot *slot = ipc_slots_get_slot (self, i);
      IpcOwner value = atomic_load (&slot->owner);

      while (value == 0 || (mark && (value & WAITED) == 0))
        {
          if (!atomic_compare_exchange_weak (&slot->owner, &value, (value == 0 ? self->me : value) | WAITED))
            continue;
          if (value != 0)
            break;
          ipc_slots_note_acquired (self, slot, i);
          *index = i;
          return true;
        }
    }
  return false;
}

/* Only the oldest waiter of the process takes what was granted to the process. */
static bool
take_granted (IpcSlots *self, const IpcSlotsWaiter *waiter, unsigned *index)
{
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      Slot *slot = ipc_slots_get_slot (self, i);
      IpcOwner value = atomic_load (&slot->owner);

      if ((value & ~WAITED) != (self->me | GRANTED) ||
          ipc_slots_find_oldest (self, self->me, false) != ipc_slots_get_entry (self, waiter->entry) ||
          !atomic_compare_exchange_strong (&slot->owner, &value, value & ~GRANTED))
        continue;
      ipc_slots_note_acquired (self, slot, i);
      *index = i;
      return true;
    }
  return false;
}

/* The kernel has told that an owner is dead. */
static bool
has_dead_owner (IpcSlots *self)
{
  IpcOwner alive = self->me;    /* the last one that was */

  for (unsigned i = 0; i < self->n_slots; i++)
    {
      IpcOwner owner = OWNER_OF (atomic_load (&ipc_slots_get_slot (self, i)->owner));

      if (owner == 0 || owner == alive)
        continue;
      if (!ipc_presence_seems_alive (self->presence, owner))
        return true;
      alive = owner;
    }
  return false;
}

bool
ipc_slots_try_all (IpcSlots *self, unsigned *slot)
{
  return take_free (self, slot) || (has_dead_owner (self) && ipc_slots_recover (self) > 0 && take_free (self, slot));
}

/* ---- waiting ---- */

bool
ipc_slots_wait_begin (IpcSlots *self, IpcSlotsWaiter *waiter, unsigned bell)
{
  if (!ipc_slots_take_entry (self, bell, &waiter->entry))
    {
      ipc_slots_sweep_entries (self);
      if (!ipc_slots_take_entry (self, bell, &waiter->entry))
        return false;
    }
  waiter->n_looks = 0;
  return true;
}

static bool
take_now (IpcSlots *self, const IpcSlotsWaiter *waiter, bool mark, unsigned *slot)
{
  return take_granted (self, waiter, slot) || take_waited (self, mark, slot);
}

/* It was woken, and somebody else was quicker. Who comes by that often will do so again, and to be woken for it
 * each time slows down both; so it only looks again a little later, but is there when it starves. */
static bool
may_rest (IpcSlots *self, Entry *entry, int64_t now)
{
  return atomic_exchange (&entry->woken, 0) != 0 && atomic_load (&entry->bell) == 0 &&
         ipc_slots_get_waited (entry, now) < self->patience - 2 * REST_NS;
}

/* The proof of a death comes a little after the hint. After some time it is left to the sweep. */
static bool
recover_now (IpcSlots *self, IpcSlotsWaiter *waiter, int64_t now)
{
  int64_t next_sweep = atomic_load (&self->next_sweep);
  bool dead = waiter->n_looks < MAX_LOOKS && has_dead_owner (self);

  if (dead)
    waiter->n_looks++;
  /* One of those of this process who wait does it for all of them. */
  if (now >= next_sweep && atomic_compare_exchange_strong (&self->next_sweep, &next_sweep, now + IPC_SLOTS_SWEEP_NS))
    {
      waiter->n_looks = dead;
      dead = true;
    }
  return dead && ipc_slots_recover (self) > 0;
}

bool
ipc_slots_wait_try (IpcSlots *self, IpcSlotsWaiter *waiter, unsigned *slot, int64_t *wake_at)
{
  int64_t now = ipc_futex_now ();
  unsigned n_looks = waiter->n_looks;
  bool rests = may_rest (self, ipc_slots_get_entry (self, waiter->entry), now);

  waiter->rests = rests;
  if (take_now (self, waiter, !rests, slot))
    return true;
  *wake_at = now + REST_NS;
  if (rests)
    return false;
  if (recover_now (self, waiter, now) && take_now (self, waiter, true, slot))
    return true;
  *wake_at = atomic_load (&self->next_sweep);
  if (waiter->n_looks != n_looks && waiter->n_looks > 0)
    *wake_at = now + ((int64_t) FIRST_LOOK_NS << (waiter->n_looks - 1));
  return false;
}

bool
ipc_slots_may_sleep (IpcSlots *self, const IpcSlotsWaiter *waiter)
{
  if (!self->light || waiter->rests)
    return true;
  ipc_slots_want (self);
  return (atomic_load (&ipc_slots_get_slot (self, 0)->owner) & WAITED) != 0;
}

/* With its waiter gone, a grant goes to another waiter of the process, or on. The others are relied on to have what they
 * may have been woken for seen by somebody: what is held is marked for them, what is free wakes one. */
void
ipc_slots_wait_end (IpcSlots *self, IpcSlotsWaiter *waiter)
{
  bool others, any_free = false, any_marked = false;

  ipc_slots_leave_entry (self, waiter->entry);
  others = ipc_slots_anybody_waits (self, 0);
  for (unsigned i = 0; i < self->n_slots; i++)
    {
      Slot *slot = ipc_slots_get_slot (self, i);
      IpcOwner value = atomic_load (&slot->owner);

      if ((value & ~WAITED) == (self->me | GRANTED))
        {
          Entry *other = ipc_slots_find_oldest (self, self->me, false);

          if (other != NULL)
            ipc_slots_wake_entry (self, other);
          else
            ipc_slots_pass_on (self, slot, value);
        }
      else if (others)
        {
          while (value != 0 && (value & WAITED) == 0 && !atomic_compare_exchange_weak (&slot->owner, &value, value | WAITED))
            ;
          any_free |= value == 0;
          any_marked |= value != 0 && (value & WAITED) == 0;
        }
    }
  waiter->rests = false;
  if (any_free || (any_marked && !ipc_slots_may_sleep (self, waiter)))
    ipc_slots_wake_oldest (self);
}

bool
ipc_slots_is_woken (const IpcSlots *self, const IpcSlotsWaiter *waiter)
{
  return atomic_load (&ipc_slots_get_entry (self, waiter->entry)->woken) != 0;
}

unsigned
ipc_slots_watch (IpcSlots *self, const IpcSlotsWaiter *waiter, IpcFutexWait *waits_for, unsigned n, unsigned max, bool *missed)
{
  IpcOwner last = self->me;

  *missed = false;
  for (unsigned i = 0; i < self->n_slots && n < max; i++)
    {
      IpcOwner owner = OWNER_OF (atomic_load (&ipc_slots_get_slot (self, i)->owner));
      bool known = owner == 0 || owner == last;

      if (known)
        continue;
      last = owner;
      waits_for[n].word = ipc_presence_watch (self->presence, owner, &waits_for[n].expected);
      /* Once it is known, the next look is at its time. */
      if (waits_for[n].word == NULL && waiter->n_looks == 0)
        *missed |= !ipc_presence_seems_alive (self->presence, owner);
      for (unsigned k = 0; k < n && !known; k++)
        known = waits_for[k].word == waits_for[n].word;
      if (waits_for[n].word != NULL && !known)
        n++;
    }
  return n;
}

/* Where what one waits for takes no longer than to fall asleep and to wake up. */
static bool
spin (const IpcSlots *self, const IpcSlotsWaiter *waiter)
{
  int64_t until = ipc_futex_now () + self->spin;

  do
    for (int i = 0; i < 64; i++)
      {
        if (ipc_slots_is_woken (self, waiter))
          return true;
        ipc_relax ();
      }
  while (ipc_futex_now () < until);
  return false;
}

static void
nap (IpcSlots *self, IpcSlotsWaiter *waiter, int64_t wake_at)
{
  IpcFutexWait waits_for[NAP_WORDS];
  unsigned n;
  bool missed;

  if ((self->spin > 0 && spin (self, waiter)) || !ipc_slots_may_sleep (self, waiter))
    return;
  waits_for[0] = (IpcFutexWait){ .word = &ipc_slots_get_entry (self, waiter->entry)->woken, .expected = 0 };
  n = ipc_slots_watch (self, waiter, waits_for, 1, NAP_WORDS, &missed);
  if (!missed)
    ipc_futex_wait_any (waits_for, n, wake_at);
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
ipc_slots_acquire_slowly (IpcSlots *self, int64_t deadline, const _Atomic uint32_t *cancelled, unsigned *slot)
{
  IpcSlotsOutcome outcome;
  IpcSlotsWaiter waiter;

  if (take_free (self, slot))
    return IPC_SLOTS_ACQUIRED;
  if (!ipc_slots_wait_begin (self, &waiter, 0))
    return IPC_SLOTS_TOO_MANY;
  outcome = wait_for_slot (self, &waiter, deadline, cancelled, slot);
  ipc_slots_wait_end (self, &waiter);
  return outcome;
}

/* ---- releasing ---- */

bool
ipc_slots_pass_on (IpcSlots *self, Slot *slot, IpcOwner value)
{
  bool passed = false;

  for (;;)
    {
      IpcOwner heir, granted;
      uint64_t ticket;
      Entry *entry = ipc_slots_find_heir (self, &heir, &ticket);

      if (entry == NULL)
        {
          if (!atomic_compare_exchange_strong (&slot->owner, &value, 0))
            return passed;
          ipc_slots_wake_oldest (self);
          return true;
        }
      granted = heir | GRANTED | WAITED;
      if (!atomic_compare_exchange_strong (&slot->owner, &value, granted))
        return passed;
      passed = true;
      if (atomic_load (&entry->owner) == heir && atomic_load (&entry->ticket) == ticket)
        {
          ipc_slots_wake_entry (self, entry);
          return true;
        }
      /* It had left, with the permit, or maybe before it could see the grant. Then it is still there, and goes to the next one. */
      value = granted;
    }
}

/* VALUE: what the slot holds instead of our own id alone. */
bool
ipc_slots_release_waited (IpcSlots *self, unsigned index, IpcOwner value)
{
  return value == (self->me | WAITED) && ipc_slots_pass_on (self, ipc_slots_get_slot (self, index), value);
}
