/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Permits in shared memory that no crash can lose: one slot a permit, which holds 0 or the id of its owner.
 *
 * To acquire is one compare-and-swap from 0 to the own id, to release is one back to 0. Nothing else says who has what, and
 * nothing is counted, so a process that is killed between any two instructions leaves each permit free, or with an owner whose
 * death can be proved (core/ipc-presence.h). Neither path makes a system call, or looks at anything else, while nobody waits.
 *
 * Who waits has an entry in a second table, with a ticket, and sleeps on a word of that entry, or in a main loop that others
 * wake with a bell (core/ipc-bell.h). It marks the slots that it cannot have; whoever releases one that is marked wakes one
 * sleeper, the one that has waited longest. Whoever comes by may be quicker; but one that has waited for a millisecond starves,
 * and is given the permit: the slot goes from the owner to the waiter's process, marked as granted, and the waiter
 * takes that mark away. A grant that nobody takes, because the waiter has just left, goes to the next one, or back.
 *
 * Where a permit is had for no longer than a locked instruction takes, giving it back is a plain store (ipc_slots_set_light()). It may
 * overwrite a mark that was made at the same moment; so those who wait also set a word in the head, which whoever releases looks
 * at after the store. That none of them overlooks the other takes a barrier on both sides, and it is those who wait that pay for both
 * (core/ipc-barrier.h).
 *
 * What a crash can spoil are wake-ups, marks and entries. Sleepers therefore look again from time to time,
 * and sleep on the life words of the owners, too.
 */
#pragma once

#include <stddef.h>

#include "core/ipc-barrier.h"
#include "core/ipc-futex.h"
#include "core/ipc-presence.h"

#define IPC_SLOTS_MAX 4096u
#define IPC_SLOTS_MAX_WAITERS 4096u
#define IPC_SLOTS_PATIENCE_NS 1000000   /* so long others may be quicker */
#define IPC_SLOTS_SWEEP_NS 50000000     /* so often a sleeper looks for owners that are gone */

/* Each has a cache line, so that those who have different ones do not wait for each other. They follow a head of one line;
 * see core/ipc-slots-table.h. */
typedef struct
{
  _Alignas (64) _Atomic IpcOwner owner;         /* with its marks */
  _Atomic uint64_t n_acquired;  /* only written by the owner */
  _Atomic int64_t since;        /* the same */
} IpcSlot;

typedef struct
{
  _Alignas (64) _Atomic uint64_t last_ticket;
  _Atomic uint32_t high;        /* entries in use lie below it; only grows */
  _Atomic uint32_t wanted;      /* not 0: whoever releases lightly is to wake somebody */
  _Atomic uint64_t recovered;
  _Atomic uint32_t asymmetric;  /* not 0: somebody does it without a barrier of its own */
} IpcSlotsHead;

/* One process's view of the table. The memory is the caller's. */
typedef struct
{
  uint8_t *memory;
  unsigned n_slots;
  unsigned n_waiters;
  IpcPresence *presence;
  IpcOwner me;
  _Atomic uint32_t *deleted;    /* not 0: nobody waits any more */
  _Atomic uint32_t hint;        /* where to look first */
  _Atomic int64_t next_sweep;   /* of this process; monotonic, ns */
  int64_t patience;             /* IPC_SLOTS_PATIENCE_NS; with less, waiting for less makes starve */
  int64_t spin;                 /* so long one that waits looks before it sleeps, in ns */
  bool light;
} IpcSlots;

typedef struct
{
  uint64_t acquired;            /* how often ever */
  uint64_t recovered;           /* how often from the dead */
  unsigned held;
  unsigned waiters;
} IpcSlotsStatistics;

/* One that waits. */
typedef struct
{
  unsigned entry;
  unsigned n_looks;             /* how often for the proof of a death that was hinted at */
  bool rests;                   /* it only looks again soon, and has marked nothing */
} IpcSlotsWaiter;

typedef enum
{
  IPC_SLOTS_ACQUIRED,
  IPC_SLOTS_TIMED_OUT,
  IPC_SLOTS_CANCELLED,
  IPC_SLOTS_DELETED,
  IPC_SLOTS_TOO_MANY,           /* the table of waiters is full */
} IpcSlotsOutcome;

size_t   ipc_slots_get_size   (unsigned n_slots, unsigned n_waiters);
/* MEMORY is zeroed, of that size, and aligned to 64. */
void     ipc_slots_init       (IpcSlots *self, uint8_t *memory, unsigned n_slots, unsigned n_waiters, IpcPresence *presence,
                               _Atomic uint32_t *deleted);
/* For a table of one permit, before it is used, and in all processes. */
void     ipc_slots_set_light  (IpcSlots *self);

/* ---- taking and giving back ---- */

/* What the inline functions below leave to do. */
bool     ipc_slots_try_all    (IpcSlots *self, unsigned *slot);
IpcSlotsOutcome ipc_slots_acquire_slowly (IpcSlots *self, int64_t deadline, const _Atomic uint32_t *cancelled, unsigned *slot);
bool     ipc_slots_release_waited (IpcSlots *self, unsigned slot, IpcOwner value);
void     ipc_slots_wake_oldest    (IpcSlots *self);

static inline IpcSlotsHead *
ipc_slots_get_head (const IpcSlots *self)
{
  return (IpcSlotsHead *) self->memory;
}

static inline IpcSlot *
ipc_slots_get_slot (const IpcSlots *self, unsigned index)
{
  return (IpcSlot *) (self->memory + sizeof (IpcSlotsHead)) + index;
}

static inline void
ipc_slots_note_acquired (IpcSlots *self, IpcSlot *slot, unsigned index)
{
  /* Nobody else writes it while the slot is ours. */
  atomic_store_explicit (&slot->n_acquired, atomic_load_explicit (&slot->n_acquired, memory_order_relaxed) + 1, memory_order_relaxed);
  /* A release waits until all stores before it are done, so none is made for nothing. */
  if (atomic_load_explicit (&self->hint, memory_order_relaxed) != index)
    atomic_store_explicit (&self->hint, index, memory_order_relaxed);
}

/* The one that was had last is free again, as a rule. A call takes as long as a good part of this, so there is none. */
static inline bool
ipc_slots_try_hinted (IpcSlots *self, unsigned *index)
{
  unsigned hint = atomic_load_explicit (&self->hint, memory_order_relaxed);
  IpcSlot *slot = ipc_slots_get_slot (self, hint);
  IpcOwner nobody = 0;

  if (atomic_load_explicit (&slot->owner, memory_order_relaxed) != 0 || !atomic_compare_exchange_strong (&slot->owner, &nobody, self->me))
    return false;
  ipc_slots_note_acquired (self, slot, hint);
  *index = hint;
  return true;
}

/* Never waits. False: none is free. What the dead held is found, if the kernel has told of their death. */
static inline bool
ipc_slots_try (IpcSlots *self, unsigned *slot)
{
  return ipc_slots_try_hinted (self, slot) || ipc_slots_try_all (self, slot);
}

/* DEADLINE as of core/ipc-futex.h. Gives up soon after *CANCELLED (may be NULL) is not 0 and ipc_slots_wake() was called. */
static inline IpcSlotsOutcome
ipc_slots_acquire (IpcSlots *self, int64_t deadline, const _Atomic uint32_t *cancelled, unsigned *slot)
{
  return ipc_slots_try_hinted (self, slot) ? IPC_SLOTS_ACQUIRED : ipc_slots_acquire_slowly (self, deadline, cancelled, slot);
}

/* False: this process does not hold it. */
static inline bool
ipc_slots_release (IpcSlots *self, unsigned slot)
{
  IpcOwner value = self->me;

  return slot < self->n_slots &&
         (atomic_compare_exchange_strong (&ipc_slots_get_slot (self, slot)->owner, &value, 0) || ipc_slots_release_waited (self, slot, value));
}

/* The same two for a table that is light: not counted, and without a look around. */
static inline bool
ipc_slots_try_light (IpcSlots *self)
{
  _Atomic IpcOwner *owner = &ipc_slots_get_slot (self, 0)->owner;
  IpcOwner nobody = 0;

  return atomic_load_explicit (owner, memory_order_relaxed) == 0 && atomic_compare_exchange_strong (owner, &nobody, self->me);
}

/* This process holds it. */
static inline void
ipc_slots_release_light (IpcSlots *self)
{
  _Atomic IpcOwner *owner = &ipc_slots_get_slot (self, 0)->owner;

  if (__builtin_expect (atomic_load_explicit (owner, memory_order_relaxed) != self->me, false))
    {
      ipc_slots_release (self, 0);
      return;
    }
  atomic_store_explicit (owner, 0, memory_order_release);
  ipc_barrier_light ();
  if (__builtin_expect (atomic_load_explicit (&ipc_slots_get_head (self)->wanted, memory_order_relaxed) != 0, false))
    ipc_slots_wake_oldest (self);
}

/* ---- waiting ---- */

/* The same in steps, for those who must not sleep here. Begin; try until it is acquired; end in any case.
 * BELL is what wakes the waiter, one of this process; 0: it sleeps on the word. False: there are too many waiters. */
bool     ipc_slots_wait_begin (IpcSlots *self, IpcSlotsWaiter *waiter, unsigned bell);
/* *WAKE_AT: when to try again if nobody wakes it before. */
bool     ipc_slots_wait_try   (IpcSlots *self, IpcSlotsWaiter *waiter, unsigned *slot, int64_t *wake_at);
void     ipc_slots_wait_end   (IpcSlots *self, IpcSlotsWaiter *waiter);
/* To be asked before one sleeps, after it has tried in vain, where the table is light. False: try again, as the mark may have been lost. */
bool     ipc_slots_may_sleep  (IpcSlots *self, const IpcSlotsWaiter *waiter);
/* Whether it was woken since it last tried. */
bool     ipc_slots_is_woken   (const IpcSlots *self, const IpcSlotsWaiter *waiter);
/* Writes up to MAX words down whose change tells of an owner's death, from waits_for[N] on; the new N. No word twice.
 * *MISSED: one has died already, so do not sleep for long. */
unsigned ipc_slots_watch      (IpcSlots *self, const IpcSlotsWaiter *waiter, IpcFutexWait *waits_for, unsigned n, unsigned max, bool *missed);

/* ---- the rest ---- */

/* Wakes all waiters of this process, or of all. */
void     ipc_slots_wake       (IpcSlots *self, bool all);
/* Frees what the dead hold; how many permits. */
unsigned ipc_slots_recover    (IpcSlots *self);
unsigned ipc_slots_count_free (IpcSlots *self);
void     ipc_slots_count      (IpcSlots *self, IpcSlotsStatistics *statistics);
/* Who holds SLOT, and since when as it was stamped; 0: nobody. */
IpcOwner ipc_slots_get_holder (IpcSlots *self, unsigned slot, int64_t *since);
/* Where who holds SLOT writes down since when. */
_Atomic int64_t *ipc_slots_get_stamp (const IpcSlots *self, unsigned slot);
void     ipc_slots_stamp      (IpcSlots *self, unsigned slot, int64_t since);
