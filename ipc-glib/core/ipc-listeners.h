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

#include "core/ipc-presence.h"

#define IPC_LISTENERS_NONE UINT32_MAX

typedef struct
{
  uint8_t *memory;
  unsigned n;
  IpcPresence *presence;
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
