/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A live copy of all that is published, to whom it may concern: at most once, and nothing is kept for who is not there.
 */
#include "ipc-subscription.h"

#include "queue/ipc-message-queue-private.h"

/**
 * IpcSubscription:
 *
 * Gets a copy of each message that is published in a queue, beside all others that subscribe, and beside the consumers.
 *
 * [method@Ipc.MessageQueue.subscribe] makes one. It goes on until [method@Ipc.Subscription.stop], also when nobody has a reference
 * to it.
 *
 * ## Threads
 *
 * Its callback runs in the thread-default main context of whoever made the manager, and so does what belongs to it.
 *
 * ## When a process dies
 *
 * What it was not told of is lost to it: copies are delivered at most once.
 *
 * ## Caveats
 *
 * - A main context that does not run misses the oldest copies when there are more than 65,536.
 *
 * Since: 0.1
 */
struct _IpcSubscription
{
  GObject parent_instance;

  IpcMessageQueue *queue;       /* (owned) (nullable) until it is stopped */
  char *queue_name;             /* (owned) */
  guint64 id;
  gint64 created_at;
  gint64 last_message;
  guint64 message_count;
  IpcSubscriptionFunc callback;
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

G_DEFINE_FINAL_TYPE (IpcSubscription, ipc_subscription, G_TYPE_OBJECT)

IpcSubscription *
ipc_subscription_new (IpcMessageQueue *queue, IpcSubscriptionFunc callback, gpointer user_data, GDestroyNotify destroy)
{
  static gint64 last_id;
  IpcSubscription *self = g_object_new (IPC_TYPE_SUBSCRIPTION, NULL);

  self->queue = g_object_ref (queue);
  self->queue_name = g_strdup (queue->name);
  self->id = (guint64) __atomic_add_fetch (&last_id, 1, __ATOMIC_RELAXED);
  self->created_at = g_get_real_time ();
  self->callback = callback;
  self->user_data = user_data;
  self->destroy = destroy;
  return self;
}

/* It may be stopped in the callback, and in one before. */
void
ipc_subscription_give (IpcSubscription *self, IpcMessage *message)
{
  G_GNUC_UNUSED g_autoptr(IpcSubscription) keep = g_object_ref (self);
  g_autoptr(IpcMessageQueue) queue = NULL;

  if (self->queue == NULL)
    return;
  queue = g_object_ref (self->queue);
  self->message_count++;
  self->last_message = g_get_real_time ();
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGE_COUNT]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LAST_MESSAGE]);
  self->callback (queue, message, self->user_data);
}

/**
 * ipc_subscription_stop:
 * @self: the subscription
 *
 * Gets no more messages. To stop it twice does nothing.
 *
 * Since: 0.1
 */
void
ipc_subscription_stop (IpcSubscription *self)
{
  G_GNUC_UNUSED g_autoptr(IpcSubscription) keep = NULL;
  g_autoptr(IpcMessageQueue) queue = NULL;
  GDestroyNotify destroy;

  g_return_if_fail (IPC_IS_SUBSCRIPTION (self));

  keep = g_object_ref (self);
  queue = g_steal_pointer (&self->queue);
  if (queue == NULL)
    return;
  ipc_message_queue_remove_subscription (queue, self);
  destroy = g_steal_pointer (&self->destroy);
  if (destroy != NULL)
    destroy (self->user_data);
}

static void
ipc_subscription_finalize (GObject *object)
{
  IpcSubscription *self = IPC_SUBSCRIPTION (object);

  g_clear_object (&self->queue);
  g_free (self->queue_name);
  G_OBJECT_CLASS (ipc_subscription_parent_class)->finalize (object);
}

static void
ipc_subscription_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcSubscription *self = IPC_SUBSCRIPTION (object);

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
ipc_subscription_class_init (IpcSubscriptionClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = ipc_subscription_finalize;
  object_class->get_property = ipc_subscription_get_property;

  /**
   * IpcSubscription:id:
   *
   * A number that no other one of this process has.
   *
   * Since: 0.1
   */
  properties[PROP_ID] = g_param_spec_uint64 ("id", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSubscription:queue-name:
   *
   * The name of the queue.
   *
   * Since: 0.1
   */
  properties[PROP_QUEUE_NAME] = g_param_spec_string ("queue-name", NULL, NULL, NULL, readable);

  /**
   * IpcSubscription:created-at:
   *
   * When it began, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcSubscription:last-message:
   *
   * When it got the last message, in microseconds since 1970, UTC; 0 if there was none.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_MESSAGE] = g_param_spec_int64 ("last-message", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcSubscription:message-count:
   *
   * How many messages it got.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGE_COUNT] = g_param_spec_uint64 ("message-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_subscription_init (IpcSubscription *self)
{
}

/**
 * ipc_subscription_get_id: (get-property id)
 * @self: the subscription
 *
 * Gets a number that no other one of this process has.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_subscription_get_id (IpcSubscription *self)
{
  g_return_val_if_fail (IPC_IS_SUBSCRIPTION (self), 0);

  return self->id;
}

/**
 * ipc_subscription_get_queue_name: (get-property queue-name)
 * @self: the subscription
 *
 * Gets the name of the queue.
 *
 * Returns: the name
 *
 * Since: 0.1
 */
const char *
ipc_subscription_get_queue_name (IpcSubscription *self)
{
  g_return_val_if_fail (IPC_IS_SUBSCRIPTION (self), NULL);

  return self->queue_name;
}

/**
 * ipc_subscription_get_created_at: (get-property created-at)
 * @self: the subscription
 *
 * Gets when it began.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_subscription_get_created_at (IpcSubscription *self)
{
  g_return_val_if_fail (IPC_IS_SUBSCRIPTION (self), 0);

  return self->created_at;
}

/**
 * ipc_subscription_get_last_message: (get-property last-message)
 * @self: the subscription
 *
 * Gets when it got the last message.
 *
 * Returns: microseconds since 1970, UTC; 0 if there was none
 *
 * Since: 0.1
 */
gint64
ipc_subscription_get_last_message (IpcSubscription *self)
{
  g_return_val_if_fail (IPC_IS_SUBSCRIPTION (self), 0);

  return self->last_message;
}

/**
 * ipc_subscription_get_message_count: (get-property message-count)
 * @self: the subscription
 *
 * Gets how many messages it got.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_subscription_get_message_count (IpcSubscription *self)
{
  g_return_val_if_fail (IPC_IS_SUBSCRIPTION (self), 0);

  return self->message_count;
}
