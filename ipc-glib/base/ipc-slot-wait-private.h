/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for a slot of a table of permits (core/ipc-slots.h), in a thread or in a main context: what semaphores and locks of
 * segments have in common.
 */
#pragma once

#include "base/ipc-waiter-private.h"
#include "core/ipc-slots.h"

/* Waiters of the main contexts that have waited, a few of which are kept for the next time. */
typedef struct
{
  GMutex lock;
  GPtrArray *waiters;           /* (owned) (mutex lock) (element-type IpcWaiter) */
} IpcSlotWaiters;

/* Begins with IPC_SLOT_WAIT. */
typedef struct
{
  IpcWaitFuncs wait;
  /* SLOT was acquired: what the task returns, or NULL with an error. */
  gpointer (*take) (gpointer owner, unsigned slot, GError **error);
  /* It was not; TIMEOUT as it was given. */
  GError  *(*fail) (gpointer owner, IpcSlotsOutcome outcome, gint timeout);
} IpcSlotWaitFuncs;

#define IPC_SLOT_WAIT(free_func) \
  .wait = { ipc_slot_wait_attempt, ipc_slot_wait_give_up, ipc_slot_wait_is_woken, ipc_slot_wait_watch, free_func }

gboolean ipc_slot_wait_attempt  (IpcWait *wait, gint64 *wake_at, gpointer *result, GError **error);
GError  *ipc_slot_wait_give_up  (IpcWait *wait);
gboolean ipc_slot_wait_is_woken (IpcWait *wait);
guint    ipc_slot_wait_watch    (IpcWait *wait, IpcFutexWait *waits_for, guint max, gboolean *missed);

void            ipc_slot_waiters_init  (IpcSlotWaiters *self);
/* In a forked child they are only forgotten. */
void            ipc_slot_waiters_clear (IpcSlotWaiters *self, gboolean forked);
/* That of CONTEXT, to be released. Any thread. */
IpcWaiter      *ipc_slot_waiters_get   (IpcSlotWaiters *self, GMainContext *context, IpcPresence *presence, GError **error);

/* In the calling thread. DEADLINE in µs, 0 for never. */
IpcSlotsOutcome ipc_slot_acquire       (IpcSlots *slots, gint64 deadline, GCancellable *cancellable, unsigned *slot);
/* In the context of TASK, which it takes; OWNER is its source object, or lives as long. DEFAULT_TIMEOUT in ms. */
void            ipc_slot_acquire_async (IpcSlots *slots, IpcSlotWaiters *waiters, gint timeout, gint default_timeout, GTask *task,
                                        gpointer owner, const IpcSlotWaitFuncs *funcs);
