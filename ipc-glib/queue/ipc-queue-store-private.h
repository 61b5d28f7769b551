/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a store does for the managers and queues above it. All may be called in any thread; none waits for messages to come. What waits is
 * above, and is told by the store when there may be something.
 */
#pragma once

#include "queue/ipc-queue-item-private.h"
#include "ipc-queue-store.h"

/*
 * Something that calls the store and is not waited for. A store that can make its callers wait has a thread for it.
 */
typedef struct _IpcQueueWork IpcQueueWork;

struct _IpcQueueWork
{
  /* It may be called a second time, where what it did came to nothing. */
  gboolean (*run)  (IpcQueueWork *self, GError **error);
  /* What it did is there for good; or ERROR (transfer full) says why not. */
  void     (*done) (IpcQueueWork *self, GError *error);
  gboolean may_fade;            /* it is no error if it may not survive a power cut, though it should */
  const IpcQueueItem *acked;    /* (nullable): all that run() does is to acknowledge this one, */
  const char *queue;            /* of that queue; several may be done at once, without run() */

  /* for the store while it has it */
  gboolean is_gathered;         /* done() need wake nobody: the listener is told of IPC_QUEUE_EVENT_DONE afterwards */
  GList link;
  GError *error;
};

/* What holds for all queues of a manager. */
typedef struct
{
  guint max_messages;
  guint64 max_bytes;
  gint64 message_ttl;           /* ms; 0: never */
  guint max_retries;
  IpcOverflowPolicy overflow_policy;
} IpcQueueLimits;

typedef struct
{
  guint ready;
  guint delayed;
  guint unacked;
  guint dead;
  guint64 total;                /* ever published */
  guint64 bytes;
  gint64 created_at;            /* µs UTC */
  gint64 last_accessed;         /* µs UTC */
  gint64 next_at;               /* when something is due by itself (monotonic, µs); 0: nothing */
} IpcQueueCounts;

typedef enum
{
  IPC_QUEUE_EVENT_AVAILABLE,    /* there may be something to take; ITEM is NULL */
  IPC_QUEUE_EVENT_PUBLISHED,
  IPC_QUEUE_EVENT_EXPIRED,
  IPC_QUEUE_EVENT_DEAD,
  IPC_QUEUE_EVENT_DELETED,      /* ITEM is NULL */
  IPC_QUEUE_EVENT_CREATED,      /* ITEM is NULL */
  IPC_QUEUE_EVENT_DONE,         /* so is work, of any queues: both are NULL */
} IpcQueueEvent;

/* In any thread, in the middle of a call of the store or not; it only makes a note of it. */
typedef void (*IpcQueueListener) (gpointer data, IpcQueueEvent event, const char *queue, IpcQueueItem *item);

#define IPC_QUEUE_STORE(store) (G_TYPE_CHECK_INSTANCE_CAST ((store), IPC_TYPE_QUEUE_STORE, IpcQueueStore))
#define IPC_QUEUE_STORE_GET_IFACE(store) (G_TYPE_INSTANCE_GET_INTERFACE ((store), IPC_TYPE_QUEUE_STORE, IpcQueueStoreInterface))

typedef struct
{
  GTypeInterface parent_iface;

  gboolean      (*supports)     (IpcQueueStore *self, IpcQueueFeature feature);
  /* In place of the one before. NULL: none any more, and none is running when this returns. */
  void          (*listen)       (IpcQueueStore *self, IpcQueueListener listener, gpointer data);
  void          (*set_limits)   (IpcQueueStore *self, const IpcQueueLimits *limits);
  /* (nullable) */
  void          (*set_durability) (IpcQueueStore *self, IpcDurability durability);
  /* (nullable): in a thread of its own, in the order in which they come. Where there is none, calls take no time. */
  void          (*dispatch)     (IpcQueueStore *self, IpcQueueWork *work);
  /* (nullable): from now on the listener is told when another process has changed something, once. take() does so where there is nothing. */
  void          (*arm)          (IpcQueueStore *self);
  /* (nullable): the listener is to be told of what is published by other processes, too. */
  void          (*subscribe)    (IpcQueueStore *self, const char *name, gboolean subscribed);

  /* EXISTS; NOT_FOUND */
  gboolean      (*create_queue) (IpcQueueStore *self, const char *name, GError **error);
  gboolean      (*has_queue)    (IpcQueueStore *self, const char *name, GError **error);
  gboolean      (*delete_queue) (IpcQueueStore *self, const char *name, GError **error);
  /* (transfer full), sorted */
  char        **(*list_queues)  (IpcQueueStore *self, GError **error);
  gboolean      (*count)        (IpcQueueStore *self, const char *name, IpcQueueCounts *counts, GError **error);

  /* TTL and DELAY in ms; TTL 0: that of the limits, -1: never. Each item gets its id, or that of the one that had its dedup id before. FULL:
   * *N_DONE of them are there. */
  gboolean      (*publish)      (IpcQueueStore *self, const char *name, IpcQueueItem *const *items, guint n, gint64 ttl, gint64 delay,
                                 guint *n_done, GError **error);
  /* (transfer full): up to MAX, leased; how many. 0 without an error: there is none. *NEXT_AT: when there will be one (monotonic, µs);
   * 0: when somebody publishes. */
  guint         (*take)         (IpcQueueStore *self, const char *name, IpcQueueItem **items, guint max, gint64 *next_at, GError **error);
  /* LEASE_LOST */
  gboolean      (*ack)          (IpcQueueStore *self, const char *name, const IpcQueueItem *item, GError **error);
  /* DELAY in ms; -1: longer each time. COUNTS: it is an attempt, or else it was never looked at. */
  gboolean      (*nack)         (IpcQueueStore *self, const char *name, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error);
  gboolean      (*reject)       (IpcQueueStore *self, const char *name, const IpcQueueItem *item, const char *reason, GError **error);
  gboolean      (*extend)       (IpcQueueStore *self, const char *name, const IpcQueueItem *item, gint64 duration, GError **error);

  /* (transfer full) (element-type IpcQueueItem): up to MAX, in the order in which they would be taken, delayed ones last. */
  GPtrArray    *(*peek)         (IpcQueueStore *self, const char *name, guint max, GError **error);
  /* Those that are not leased. -1 on error. */
  gint64        (*purge)        (IpcQueueStore *self, const char *name, GError **error);
  GPtrArray    *(*list_dead)    (IpcQueueStore *self, const char *name, guint max, GError **error);
  /* ID 0: all. -1 on error. */
  gint64        (*redrive)      (IpcQueueStore *self, const char *name, guint64 id, GError **error);
} IpcQueueStoreInterface;

/* Has it done, now or later. */
void   ipc_queue_store_dispatch (IpcQueueStore *self, IpcQueueWork *work);

/* ms until the next attempt after ATTEMPT of them: a second, doubled each time up to five minutes, a quarter more or less. */
gint64 ipc_queue_backoff        (guint attempt);
