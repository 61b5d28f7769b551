/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a manager, its queues and their deliveries share: the store, and the one source in the manager's context in which everything
 * happens that a store tells of, or that has its time.
 */
#pragma once

#include "base/ipc-handed-out-private.h"
#include "queue/ipc-queue-store-private.h"

#define IPC_TYPE_QUEUE_CENTER (ipc_queue_center_get_type ())
G_DECLARE_FINAL_TYPE (IpcQueueCenter, ipc_queue_center, IPC, QUEUE_CENTER, GObject)

typedef struct _IpcQueueCall IpcQueueCall;

/* A queue was made or deleted: in the context, what a manager does about it. */
typedef void (*IpcQueueCenterFunc) (gpointer manager, IpcQueueEvent event, const char *queue);

/* The same for all events, and those of which somebody has counted himself in. */
typedef void (*IpcQueueCenterObserver) (gpointer data, IpcQueueEvent event, const char *queue, IpcQueueItem *item);

struct _IpcQueueCenter
{
  GObject parent_instance;

  IpcQueueStore *store;         /* (owned) */
  GMainContext *context;        /* (owned) */
  unsigned generation;          /* of forks */
  IpcHandedOut *queues;         /* (owned) (element-type IpcMessageQueue) in the context */
  gpointer manager;             /* (nullable) (not owned) until ipc_queue_center_forget() */
  IpcQueueCenterFunc func;
  IpcQueueCenterObserver observer;      /* (nullable) in the context: who serves the queues to others */
  gpointer observer_data;
  GSource *source;              /* (owned) */

  gint n_interested;            /* (atomic) who wants to know that something is available */
  gint is_watched;              /* (atomic) somebody listens to a queue */
  gint n_subscribed;            /* (atomic) who wants to have what is published */
  gint default_timeout;         /* (atomic) ms */
  gint max_retries;             /* (atomic) for deliveries to tell */

  GMutex lock;
  GCond cond;                   /* threads that wait for something to be available */
  guint64 sequence;             /* (mutex lock) how often something was */
  guint n_sleepers;             /* (mutex lock) */
  GQueue completed;             /* (mutex lock) of IpcQueueCall.work.link */
  GQueue telling;               /* the same, in the context: their tasks are being told */
  GQueue notes;                 /* (mutex lock) of events that were not handled yet */
  GHashTable *available;        /* (owned) (mutex lock) names of queues that something is in */
  GHashTable *echoes;           /* (owned) (mutex lock) names of queues that were deleted here → until when that may be told */
};

/* Takes STORE. */
IpcQueueCenter *ipc_queue_center_new    (IpcQueueStore *store, GMainContext *context, gpointer manager, IpcQueueCenterFunc func);
/* The manager goes; queues go on. */
void            ipc_queue_center_forget (IpcQueueCenter *self);
/* Has the queues serve those who wait, soon. Any thread. */
void            ipc_queue_center_wake  (IpcQueueCenter *self);
/* Something is in QUEUE, and somebody may want to know. Any thread. */
void            ipc_queue_center_note_available (IpcQueueCenter *self, const char *queue);

/* The store may tell later that the queue NAME, which this process has just deleted, was deleted: it is about no other one. Any thread. */
void            ipc_queue_center_expect_echo (IpcQueueCenter *self, const char *name);
/* The queue of this object was deleted, whatever has its name by now. Any thread. */
void            ipc_queue_center_note_gone (IpcQueueCenter *self, IpcMessageQueue *queue);
/* Has ITEM, which was taken from QUEUE, put back, and does not wait for it. COUNTS as of the store's nack(). Any thread. */
void            ipc_queue_center_give_back (IpcQueueCenter *self, const char *queue, IpcQueueItem *item, gboolean counts);

/* Takes CALL, whose task is told in the context. Any thread. */
void            ipc_queue_center_complete (IpcQueueCenter *self, IpcQueueCall *call);

/* For threads that wait: the number to be given to wait(), before the store is asked. */
guint64         ipc_queue_center_get_sequence   (IpcQueueCenter *self);
/* Waits until there is another number, or UNTIL (monotonic, µs; 0: for ever), or ipc_queue_center_rouse(). */
void            ipc_queue_center_wait           (IpcQueueCenter *self, guint64 sequence, gint64 until);
/* All that wait look again. */
void            ipc_queue_center_rouse          (IpcQueueCenter *self);
