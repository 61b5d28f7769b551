/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way to a process that serves queues: a client, and a thread that runs it and does what is not waited for, in the order in which it
 * came. The connection comes back by itself.
 */
#pragma once

#include "ipc-client.h"
#include "queue/ipc-queue-store-private.h"

typedef struct _IpcQueueLink IpcQueueLink;

/* All in the thread of the link. */
typedef struct
{
  void (*event)   (gpointer owner, GVariant *event);
  /* It is open again, or not any more. */
  void (*changed) (gpointer owner, gboolean is_open);
} IpcQueueLinkFuncs;

/* Waits until it is open. OWNER is a GObject, not owned: it is not called any more once it is gone. NULL with ERROR. */
IpcQueueLink *ipc_queue_link_open     (const char *address, gpointer owner, const IpcQueueLinkFuncs *funcs, GError **error);
/* Closes it; any thread, also its own. */
void          ipc_queue_link_close    (IpcQueueLink *self);
void          ipc_queue_link_dispatch (IpcQueueLink *self, IpcQueueWork *work);
/* Asks, and waits for the answer: any thread. Takes ARGUMENTS (floating). (transfer full): of type REPLY; NULL with ERROR. */
GVariant     *ipc_queue_link_call     (IpcQueueLink *self, const char *request, GVariant *arguments, const char *reply, GError **error);
/* Where it is not known what the other side has done: what it holds for us goes back. */
void          ipc_queue_link_break    (IpcQueueLink *self);
