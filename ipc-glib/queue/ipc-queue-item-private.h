/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A message in a queue, with what the queue knows of it. Once it is handed out it does not change any more.
 */
#pragma once

#include "ipc-message.h"

typedef struct
{
  gint ref_count;               /* (atomic) */
  guint64 id;                   /* below 2^53, growing within a store */
  IpcMessage *message;          /* (owned) */
  gsize bytes;                  /* what it counts as */
  IpcPriority priority;
  gint64 created_at;            /* µs UTC */
  gint64 expires_at;            /* µs UTC, for people; 0: never */
  guint attempt;                /* how often it was delivered, this time included */
  char *dedup_id;               /* (owned) (nullable) */
  guint64 lease;                /* tells one delivery from the next */
  char *reason;                 /* (owned) (nullable): of a dead letter */
  gint64 died_at;               /* µs UTC */
} IpcQueueItem;

/* (transfer full) */
IpcQueueItem *ipc_queue_item_new   (IpcMessage *message, IpcPriority priority);
IpcQueueItem *ipc_queue_item_ref   (IpcQueueItem *self);
void          ipc_queue_item_unref (IpcQueueItem *self);
/* (transfer full): as it is now, to be handed out. */
IpcQueueItem *ipc_queue_item_copy  (const IpcQueueItem *self);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcQueueItem, ipc_queue_item_unref)
