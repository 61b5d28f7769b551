/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the processes that have a database of queues open share beside it: whose turn it is to write, so that nobody has to try again and
 * again; who wants to hear of changes, so that nobody has to look again and again; and which of them are alive, so that
 * what a dead one had is given to others.
 *
 * It is a folder `DATABASE.processes`, with one below it for the time since the machine was started: what is in shared memory files means
 * nothing after that. See core/ipc-presence.h, core/ipc-slots.h and core/ipc-listeners.h.
 */
#pragma once

#include "base/ipc-shared-object-private.h"
#include "core/ipc-bell.h"
#include "core/ipc-listeners.h"
#include "core/ipc-slots.h"

typedef struct
{
  IpcSharedObject object;
  IpcSlots writer;              /* one permit */
  IpcListeners messages;        /* of messages that were put into a queue, or given back */
  IpcListeners queues;          /* of queues that were made or deleted */
  IpcBell bell;
  unsigned messages_entry;
  unsigned queues_entry;
  unsigned slot;                /* of the permit, while this has the turn */
  char boot[40];                /* tells one start of the machine from another */
  char epoch[80];               /* the same, and one table of processes from another: what owner ids mean */
} IpcQueueDoorbell;

/* That of the database at PATH. */
gboolean ipc_queue_doorbell_open    (IpcQueueDoorbell *self, const char *path, GError **error);
/* Also in a forked child. */
void     ipc_queue_doorbell_close   (IpcQueueDoorbell *self);

/* Waits for the turn to write. TIMED_OUT. */
gboolean ipc_queue_doorbell_enter   (IpcQueueDoorbell *self, GError **error);
void     ipc_queue_doorbell_leave   (IpcQueueDoorbell *self);

/* Tells others. QUEUES: of queues, or else of messages. */
void     ipc_queue_doorbell_ring    (IpcQueueDoorbell *self, gboolean queues);
/* From now on, once, the bell rings for it; look afterwards. */
void     ipc_queue_doorbell_arm     (IpcQueueDoorbell *self, gboolean queues);
/* It rang since. */
gboolean ipc_queue_doorbell_was_rung (IpcQueueDoorbell *self, gboolean queues);

IpcOwner ipc_queue_doorbell_get_me  (const IpcQueueDoorbell *self);
gboolean ipc_queue_doorbell_is_alive (IpcQueueDoorbell *self, IpcOwner owner);
/* The bell rings when OWNER dies. FALSE: it has died already, or nobody will tell. */
gboolean ipc_queue_doorbell_watch   (IpcQueueDoorbell *self, IpcOwner owner);
