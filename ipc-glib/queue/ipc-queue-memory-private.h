/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One queue in memory. No locking of its own, no GObject: the store has the lock, and calls.
 *
 * Messages that can be taken are in a list a priority, in the order of their ids. Those that wait for their time, those that are leased,
 * and those that expire have a timer in a heap each, so that what is due is found wherever in the queue it is.
 */
#pragma once

#include "base/ipc-timer-queue-private.h"
#include "queue/ipc-queue-store-private.h"

typedef struct
{
  char *name;                   /* (owned) */
  const IpcQueueLimits *limits;
  GQueue ready[IPC_PRIORITY_CRITICAL];  /* of entries, by priority - 1 */
  IpcTimerQueue delays;
  IpcTimerQueue leases;
  IpcTimerQueue expiries;
  GHashTable *leased;           /* (owned) id → entry */
  GHashTable *dedup;            /* (owned) dedup id → memory of it */
  GQueue dedup_order;           /* of the same */
  GQueue dead;                  /* (element-type IpcQueueItem) */
  guint64 *last_id;             /* of the store */
  IpcQueueCounts counts;

  void (*event) (gpointer data, IpcQueueEvent event, const char *queue, IpcQueueItem *item);
  gpointer event_data;
} IpcQueueMemory;

IpcQueueMemory *ipc_queue_memory_new     (const char *name, const IpcQueueLimits *limits, guint64 *last_id);
void            ipc_queue_memory_free    (IpcQueueMemory *self);

/* Does what is due. When something will be (monotonic, µs); 0: nothing. */
gint64          ipc_queue_memory_tend    (IpcQueueMemory *self);

/* As of IpcQueueStoreInterface. */
gboolean        ipc_queue_memory_publish (IpcQueueMemory *self, IpcQueueItem *item, gint64 ttl, gint64 delay, GError **error);
IpcQueueItem   *ipc_queue_memory_take    (IpcQueueMemory *self, gint64 *next_at);
gboolean        ipc_queue_memory_ack     (IpcQueueMemory *self, const IpcQueueItem *item, GError **error);
gboolean        ipc_queue_memory_nack    (IpcQueueMemory *self, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error);
gboolean        ipc_queue_memory_reject  (IpcQueueMemory *self, const IpcQueueItem *item, const char *reason, GError **error);
gboolean        ipc_queue_memory_extend  (IpcQueueMemory *self, const IpcQueueItem *item, gint64 duration, GError **error);
GPtrArray      *ipc_queue_memory_peek    (IpcQueueMemory *self, guint max);
gint64          ipc_queue_memory_purge   (IpcQueueMemory *self);
GPtrArray      *ipc_queue_memory_list_dead (IpcQueueMemory *self, guint max);
gint64          ipc_queue_memory_redrive (IpcQueueMemory *self, guint64 id, GError **error);
