/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One of several that share the messages of a queue. It has at most PREFETCH that are not settled; whoever has room is given the next
 * one in its turn.
 */
#include "ipc-consumer.h"

#include "queue/ipc-message-queue-private.h"

/**
 * IpcConsumer:
 *
 * Gets messages of a queue, one after the other, and shares them with the other consumers of the queue.
 *
 * [method@Ipc.MessageQueue.start_consuming] makes one. It goes on until [method@Ipc.Consumer.stop], also when nobody has a reference
 * to it.
 *
 * ## Threads
 *
 * Its callback runs in the thread-default main context of whoever made the manager, and so does what belongs to it.
 *
 * ## When a process dies
 *
 * What it was given and did not acknowledge goes to another consumer.
 *
 * ## Caveats
 *
 * - Messages that it was given, and are not settled, stay its own when it is stopped.
 *
 * Since: 0.1
 */
struct _IpcConsumer
{
  GObject parent_instance;

  IpcMessageQueue *queue;       /* (owned) (nullable) until it is stopped */
  IpcQueueCenter *center;       /* (owned) */
  char *queue_name;             /* (owned) */
  guint64 id;
  guint prefetch;
  gint n_unsettled;             /* (atomic) */
  gint64 created_at;
  gint64 last_message;
  guint64 message_count;
  IpcDeliveryFunc callback;
  gpointer user_data;
  GDestroyNotify destroy;
};

enum
{
  PROP_0,
  PROP_ID,
  PROP_QUEUE_NAME,
  PROP_CREATED_AT,
  PROP_LAST_MESSAGE,
  PROP_MESSAGE_COUNT,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcConsumer, ipc_consumer, G_TYPE_OBJECT)

IpcConsumer *
ipc_consumer_new (IpcMessageQueue *queue, guint prefetch, IpcDeliveryFunc callback, gpointer user_data, GDestroyNotify destroy)
{
  static gint64 last_id;
  IpcConsumer *self = g_object_new (IPC_TYPE_CONSUMER, NULL);

  self->queue = g_object_ref (queue);
  self->center = g_object_ref (queue->center);
  self->queue_name = g_strdup (queue->name);
  self->id = (guint64) __atomic_add_fetch (&last_id, 1, __ATOMIC_RELAXED);
  self->prefetch = MAX (prefetch, 1);
  self->created_at = g_get_real_time ();
  self->callback = callback;
  self->user_data = user_data;
  self->destroy = destroy;
  return self;
}

guint
ipc_consumer_get_room (IpcConsumer *self)
{
  guint n_unsettled = (guint) g_atomic_int_get (&self->n_unsettled);

  return g_atomic_pointer_get (&self->queue) != NULL && n_unsettled < self->prefetch ? self->prefetch - n_unsettled : 0;
}

/* It may be stopped in the callback. */
void
ipc_consumer_give (IpcConsumer *self, IpcQueueItem *item)
{
  g_autoptr(IpcConsumer) keep = g_object_ref (self);
  g_autoptr(IpcMessageQueue) queue = g_object_ref (self->queue);
  g_autoptr(IpcDelivery) delivery = NULL;

  g_atomic_int_inc (&self->n_unsettled);
  self->message_count++;
  self->last_message = g_get_real_time ();
  delivery = ipc_delivery_new (queue, item, keep);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGE_COUNT]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LAST_MESSAGE]);
  self->callback (queue, delivery, self->user_data);
}

void
ipc_consumer_make_room (IpcConsumer *self)
{
  g_atomic_int_add (&self->n_unsettled, -1);
  ipc_queue_center_wake (self->center);
}

void
ipc_consumer_take_room (IpcConsumer *self)
{
  g_atomic_int_inc (&self->n_unsettled);
}

/**
 * ipc_consumer_stop:
 * @self: the consumer
 *
 * Gets no more messages. What it has already may still be acknowledged. To stop it twice does nothing.
 *
 * Since: 0.1
 */
void
ipc_consumer_stop (IpcConsumer *self)
{
  G_GNUC_UNUSED g_autoptr(IpcConsumer) keep = NULL;
  g_autoptr(IpcMessageQueue) queue = NULL;
  GDestroyNotify destroy;

  g_return_if_fail (IPC_IS_CONSUMER (self));

  keep = g_object_ref (self);
  /* The store's thread may look for room just now. */
  queue = g_atomic_pointer_exchange (&self->queue, NULL);
  if (queue == NULL)
    return;
  ipc_message_queue_remove_consumer (queue, self);
  destroy = g_steal_pointer (&self->destroy);
  if (destroy != NULL)
    destroy (self->user_data);
}

static void
ipc_consumer_finalize (GObject *object)
{
  IpcConsumer *self = IPC_CONSUMER (object);

  g_clear_object (&self->queue);
  g_clear_object (&self->center);
  g_free (self->queue_name);
  G_OBJECT_CLASS (ipc_consumer_parent_class)->finalize (object);
}

static void
ipc_consumer_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcConsumer *self = IPC_CONSUMER (object);

  switch (prop_id)
    {
    case PROP_ID:
      g_value_set_uint64 (value, self->id);
      break;
    case PROP_QUEUE_NAME:
      g_value_set_string (value, self->queue_name);
      break;
    case PROP_CREATED_AT:
      g_value_set_int64 (value, self->created_at);
      break;
    case PROP_LAST_MESSAGE:
      g_value_set_int64 (value, self->last_message);
      break;
    case PROP_MESSAGE_COUNT:
      g_value_set_uint64 (value, self->message_count);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_consumer_class_init (IpcConsumerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = ipc_consumer_finalize;
  object_class->get_property = ipc_consumer_get_property;

  /**
   * IpcConsumer:id:
   *
   * A number that no other one of this process has.
   *
   * Since: 0.1
   */
  properties[PROP_ID] = g_param_spec_uint64 ("id", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcConsumer:queue-name:
   *
   * The name of the queue.
   *
   * Since: 0.1
   */
  properties[PROP_QUEUE_NAME] = g_param_spec_string ("queue-name", NULL, NULL, NULL, readable);

  /**
   * IpcConsumer:created-at:
   *
   * When it began, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcConsumer:last-message:
   *
   * When it got the last message, in microseconds since 1970, UTC; 0 if there was none.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_MESSAGE] = g_param_spec_int64 ("last-message", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcConsumer:message-count:
   *
   * How many messages it got.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGE_COUNT] = g_param_spec_uint64 ("message-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_consumer_init (IpcConsumer *self)
{
}

/**
 * ipc_consumer_get_id: (get-property id)
 * @self: the consumer
 *
 * Gets a number that no other one of this process has.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_consumer_get_id (IpcConsumer *self)
{
  g_return_val_if_fail (IPC_IS_CONSUMER (self), 0);

  return self->id;
}

/**
 * ipc_consumer_get_queue_name: (get-property queue-name)
 * @self: the consumer
 *
 * Gets the name of the queue.
 *
 * Returns: the name
 *
 * Since: 0.1
 */
const char *
ipc_consumer_get_queue_name (IpcConsumer *self)
{
  g_return_val_if_fail (IPC_IS_CONSUMER (self), NULL);

  return self->queue_name;
}

/**
 * ipc_consumer_get_created_at: (get-property created-at)
 * @self: the consumer
 *
 * Gets when it began.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_consumer_get_created_at (IpcConsumer *self)
{
  g_return_val_if_fail (IPC_IS_CONSUMER (self), 0);

  return self->created_at;
}

/**
 * ipc_consumer_get_last_message: (get-property last-message)
 * @self: the consumer
 *
 * Gets when it got the last message.
 *
 * Returns: microseconds since 1970, UTC; 0 if there was none
 *
 * Since: 0.1
 */
gint64
ipc_consumer_get_last_message (IpcConsumer *self)
{
  g_return_val_if_fail (IPC_IS_CONSUMER (self), 0);

  return self->last_message;
}

/**
 * ipc_consumer_get_message_count: (get-property message-count)
 * @self: the consumer
 *
 * Gets how many messages it got.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_consumer_get_message_count (IpcConsumer *self)
{
  g_return_val_if_fail (IPC_IS_CONSUMER (self), 0);

  return self->message_count;
}
