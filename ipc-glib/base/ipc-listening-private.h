/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hearing of changes in shared memory in a main context: an object's place among the listeners of a file (core/ipc-listeners.h), which
 * others ring through the bell that everything of the context shares (base/ipc-waiter-private.h).
 *
 * One that was rung hears nothing more until it is armed anew: who arms it looks afterwards what has changed.
 */
#pragma once

#include "base/ipc-waiter-private.h"
#include "core/ipc-listeners.h"

/* Part of the owner. */
typedef struct
{
  GWeakRef owner;
  void (*rung) (GObject *owner);
  IpcListeners *listeners;
  IpcWaiter *waiter;            /* (owned) (nullable) (atomic) NULL: not listening; the last one to be set */
  guint entry;
  GList link;                   /* (mutex waiter) */
  unsigned generation;
} IpcListening;

/* RUNG is called in CONTEXT when somebody rang since it was armed; armed from now on. LISTENERS stays until it stops. FALSE: there are too
 * many listeners, or no descriptors. */
gboolean ipc_listening_start    (IpcListening *self, GMainContext *context, IpcPresence *presence, IpcListeners *listeners, GObject *owner,
                                 void (*rung) (GObject *owner));
/* From finalize, in any thread; also where it was never started. */
void     ipc_listening_stop     (IpcListening *self);
void     ipc_listening_arm      (IpcListening *self);
/* All that listen but this one. Any thread. */
void     ipc_listening_ring_others (IpcListening *self, IpcListeners *listeners);

/* For the waiter: calls those of LISTENINGS that were rung. */
void     ipc_listenings_tell    (GQueue *listenings, GMutex *lock);
