/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who wants to hear when something in shared memory has changed: main loops of processes, each with a bell (core/ipc-bell.h).
 *
 * Whoever changes something rings. One that was rung is not rung again before it has been there and has armed itself anew, so
 * that many changes are one wake-up, and a change while nobody listens costs a load. A listener arms first, and looks afterwards:
 * what changed before it looked it sees, what changes later rings. For that, what is looked at is changed by a
 * sequentially consistent operation, or else to arm is a barrier for all processes (core/ipc-barrier.h).
 *
 * A process that dies leaves its entries to whoever needs one. Nothing is lost by ringing for the dead.
 */
#pragma once

#include <stdatomic.h>

#include "core/ipc-barrier.h"
#include "core/ipc-presence.h"

#define IPC_LISTENERS_NONE UINT32_MAX

/* What is in the memory: this, and behind it the entries. */
typedef struct
{
  _Alignas (64) _Atomic uint32_t high;  /* entries in use lie below it; only grows */
} IpcListenersHead;

typedef struct
{
  _Atomic IpcOwner owner;       /* 0: free */
  _Atomic uint32_t bell;
  _Atomic uint32_t armed;
} IpcListenersEntry;

typedef struct
{
  IpcListenersHead *head;
  IpcListenersEntry *entries;
  unsigned n;
  IpcPresence *presence;
  IpcOwner me;
  bool rings_lightly;           /* who changes something says so by ipc_listeners_ring_elsewhere() only */
} IpcListeners;

size_t ipc_listeners_get_size (unsigned n);
/* MEMORY is zeroed, of that size, aligned to 64, the caller's. */
void   ipc_listeners_init     (IpcListeners *self, uint8_t *memory, unsigned n, IpcPresence *presence);

/* BELL is one of this process. Not armed yet. False: there is no room. */
bool   ipc_listeners_add      (IpcListeners *self, unsigned bell, unsigned *entry);
/* Not in a forked child. */
void   ipc_listeners_remove   (IpcListeners *self, unsigned entry);
void   ipc_listeners_arm      (IpcListeners *self, unsigned entry);
/* False: it was rung since. */
bool   ipc_listeners_is_armed (const IpcListeners *self, unsigned entry);
/* From any process and thread; never waits. All but the entry EXCEPT, which may be IPC_LISTENERS_NONE. */
void   ipc_listeners_ring     (IpcListeners *self, unsigned except);
/* The same for those of other processes, and without a barrier: it is for what is changed very often, by plain stores, where to arm may
 * cost more (rings_lightly). */
void   ipc_listeners_ring_elsewhere (IpcListeners *self);

/* ---- where every nanosecond counts ---- */

/* What others write is not trusted to be in range. */
static inline unsigned
ipc_listeners_get_high (const IpcListeners *self)
{
  uint32_t high = atomic_load (&self->head->high);

  return high < self->n ? high : self->n;
}

/* Whether ipc_listeners_ring_elsewhere() would ring anybody. */
static inline bool
ipc_listeners_is_any_armed_elsewhere (const IpcListeners *self)
{
  unsigned high;

  ipc_barrier_light ();
  high = ipc_listeners_get_high (self);
  for (unsigned i = 0; i < high; i++)
    if (atomic_load (&self->entries[i].armed) != 0 && atomic_load (&self->entries[i].owner) != self->me)
      return true;
  return false;
}
