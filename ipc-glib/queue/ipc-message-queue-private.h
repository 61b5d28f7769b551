/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-connected-private.h"
#include "core/ipc-fork.h"
#include "ipc-consumer.h"
#include "ipc-dead-letter.h"
#include "ipc-delivery.h"
#include "ipc-message-queue.h"
#include "ipc-subscription.h"
#include "queue/ipc-queue-center-private.h"

#define IPC_QUEUE_TAKE_MAX 128  /* at once */

/* What is being taken for those who wait in the main context. */
typedef struct
{
  IpcQueueWork work;
  gboolean is_pending;          /* (mutex queue) the store is asked */
  gboolean is_starting;         /* (mutex queue) by the context, which looks afterwards */
  guint max;
  guint64 sequence;             /* as it was before the store was asked */
  guint n;
  IpcQueueItem *items[IPC_QUEUE_TAKE_MAX];
  gboolean was_empty;           /* (mutex queue) as of SEQUENCE */
  gint64 next_at;               /* (mutex queue) monotonic, µs: when there may be more; 0: when somebody says so */
  GQueue taken;                 /* (mutex queue) (element-type IpcQueueItem) to be given */
  GError *error;                /* (owned) (nullable) (mutex queue) */
} IpcQueueTake;

struct _IpcMessageQueue
{
  GObject parent_instance;

  char *name;                   /* (owned) */
  IpcQueueCenter *center;       /* (owned) */
  unsigned generation;          /* of forks */
  gint is_deleted;              /* (atomic) */
  gboolean is_told;             /* in the context: everybody knows that it was deleted */
  IpcQueueCounts notified;      /* as of the last notification, in the context */

  IpcQueueTake take;
  GMutex lock;
  GQueue waits;                 /* (mutex lock) those of consume_async(), the oldest first */
  GPtrArray *consumers;         /* (owned) (mutex lock) (element-type IpcConsumer) */
  guint next_consumer;          /* (mutex lock) whose turn it is */
  GPtrArray *subscriptions;     /* (owned) (mutex lock) (element-type IpcSubscription) */
};

#define STORE(queue) ((queue)->center->store)
#define STORE_CALL(queue, func) (IPC_QUEUE_STORE_GET_IFACE (STORE (queue))->func)

/* ---- for managers ---- */

IpcMessageQueue *ipc_message_queue_new    (IpcQueueCenter *center, const char *name);

/* ---- for the center, in the context ---- */

void             ipc_message_queue_handle (IpcMessageQueue *self, IpcQueueEvent event, IpcQueueItem *item);
gint64           ipc_message_queue_serve  (IpcMessageQueue *self);

/* ---- ipc-message-queue-consume.c ---- */

/* Gives what there is to those who wait. When something is due by itself (monotonic, µs); 0: nothing. */
gint64           ipc_message_queue_pump   (IpcMessageQueue *self);
/* It was deleted: they all fail. */
void             ipc_message_queue_fail_waits (IpcMessageQueue *self);
void             ipc_message_queue_give_copies (IpcMessageQueue *self, IpcQueueItem *item);
void             ipc_message_queue_remove_consumer (IpcMessageQueue *self, IpcConsumer *consumer);
void             ipc_message_queue_remove_subscription (IpcMessageQueue *self, IpcSubscription *subscription);
/* What was taken and not given goes back. */
void             ipc_message_queue_give_all_back (IpcMessageQueue *self);
gboolean         ipc_message_queue_check  (IpcMessageQueue *self, GError **error);

/* Its counts are others now, and somebody may listen. Any thread. */
static inline void
ipc_message_queue_changed (IpcMessageQueue *self)
{
  if (!ipc_connected_is_never (self))
    ipc_queue_center_wake (self->center);
}

/* ---- deliveries ---- */

/* (transfer full): takes ITEM. CONSUMER is who has one less when it is settled. */
IpcDelivery     *ipc_delivery_new         (IpcMessageQueue *queue, IpcQueueItem *item, IpcConsumer *consumer);
IpcDeadLetter   *ipc_dead_letter_new      (const char *queue, IpcQueueItem *item);

/* ---- consumers and subscriptions ---- */

IpcConsumer     *ipc_consumer_new         (IpcMessageQueue *queue, guint prefetch, IpcDeliveryFunc callback, gpointer user_data, GDestroyNotify destroy);
/* How many more it may be given. Any thread, with the lock of the queue. */
guint            ipc_consumer_get_room    (IpcConsumer *self);
void             ipc_consumer_give        (IpcConsumer *self, IpcQueueItem *item);
/* Any thread: one that it was given is settled, or will be before another one is taken; and that came to nothing. */
void             ipc_consumer_make_room   (IpcConsumer *self);
void             ipc_consumer_take_room   (IpcConsumer *self);

IpcSubscription *ipc_subscription_new     (IpcMessageQueue *queue, IpcSubscriptionFunc callback, gpointer user_data, GDestroyNotify destroy);
void             ipc_subscription_give    (IpcSubscription *self, IpcMessage *message);
