/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a table of permits lies in shared memory, and what its parts do for one another; core/ipc-slots.h is what others use.
 *
 * A slot holds 0, or who has the permit, with two marks:
 *
 *   WAITED    somebody waits, and has looked at this slot: whoever releases it looks who is to have it
 *   GRANTED   it was given to a process that waits, which has not taken it yet
 *
 * So nobody who acquires or releases has to look at anything but the slot while nobody waits.
 *
 * All operations on words that order something between processes are sequentially consistent. The pairs that rely on it:
 *
 *   a waiter sets its entry, then marks the slots       a release changes the slot, then looks at the entries
 *   a waiter leaves its entry, then looks for a grant   who grants sets the slot, then looks at the entry
 *
 * Of a table that is light, the first pair is:
 *
 *   a waiter sets its entry, marks the slot, then       a release changes the slot, then looks at WANTED, with nothing in
 *   WANTED, has a barrier everywhere, then looks        between but what the compiler has to keep
 *   whether the mark is still there, and may sleep
 *
 * Many are woken before they have to sleep, and pay nothing for it. WANTED is a mark that no plain store can overwrite. Who takes it away
 * wakes somebody, as with one on a slot.
 */
#pragma once

#include "core/ipc-slots.h"

#define GRANTED ((IpcOwner) 1 << 63)    /* an owner's index has 12 bits from bit 48 on */
#define WAITED ((IpcOwner) 1 << 62)
#define OWNER_OF(value) ((value) & ~(GRANTED | WAITED))

typedef IpcSlotsHead Head;
typedef IpcSlot Slot;

/* One that waits. */
typedef struct
{
  _Atomic IpcOwner owner;       /* 0: free */
  _Atomic uint64_t ticket;      /* 0: not drawn yet */
  _Atomic int64_t since;        /* of the monotonic clock */
  _Atomic uint32_t woken;       /* the futex */
  _Atomic uint32_t bell;        /* 0: sleeps on the futex; else rings this one (core/ipc-bell.h) */
} Entry;

_Static_assert (sizeof (Head) == 64 && sizeof (Slot) == 64 && sizeof (Entry) == 32, "the layout is shared between processes");

/* Negative: it began later than now. What others wrote may be any number, so this must not overflow. */
static inline int64_t
ipc_slots_get_waited (Entry *entry, int64_t now)
{
  return (int64_t) ((uint64_t) now - (uint64_t) atomic_load (&entry->since));
}

static inline Entry *
ipc_slots_get_entry (const IpcSlots *self, unsigned index)
{
  return (Entry *) (self->memory + sizeof (Head) + self->n_slots * sizeof (Slot)) + index;
}

/* ---- ipc-slots-waiters.c: the entries ---- */

bool   ipc_slots_take_entry    (IpcSlots *self, unsigned bell, unsigned *index);
void   ipc_slots_leave_entry   (IpcSlots *self, unsigned index);
/* Whether somebody does. OWNER 0: of whatever process. */
bool   ipc_slots_anybody_waits (IpcSlots *self, IpcOwner owner);
/* The one with the lowest ticket; NULL: none. */
Entry *ipc_slots_find_oldest   (IpcSlots *self, IpcOwner owner, bool asleep);
/* The oldest, if it starves and lives, its process and its ticket. */
Entry *ipc_slots_find_heir     (IpcSlots *self, IpcOwner *heir, uint64_t *ticket);
void   ipc_slots_wake_entry    (IpcSlots *self, Entry *entry);
/* Those who release are to see that somebody waits; before the slot is looked at for the last time. */
void   ipc_slots_want          (IpcSlots *self);
/* Frees the entries of the dead. */
void   ipc_slots_sweep_entries (IpcSlots *self);
unsigned ipc_slots_count_waiters (IpcSlots *self);

/* ---- ipc-slots.c ---- */

/* A slot that nobody else can change, because it is ours or its owner is dead, goes to the one who starves, or is free.
 * False: it does not hold VALUE any more. */
bool   ipc_slots_pass_on       (IpcSlots *self, Slot *slot, IpcOwner value);
