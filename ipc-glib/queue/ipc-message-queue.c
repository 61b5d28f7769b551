/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The object: its properties and signals. To publish is in ipc-message-queue-publish.c, to take in ipc-message-queue-consume.c, what
 * is done to it as a whole in ipc-message-queue-admin.c. What is in it, the store knows.
 */
#include "ipc-message-queue.h"

#include "base/ipc-error-private.h"
#include "base/ipc-notify-private.h"
#include "queue/ipc-message-queue-private.h"

/**
 * IpcMessageQueue:
 *
 * Messages that wait for somebody who takes them.
 *
 * Each message goes to one of those that take them, the most important first, and those of the same priority in the order in which
 * they were published. Who has taken one settles it ([class@Ipc.Delivery]); what is not settled is delivered again.
 *
 * Queues come from a [class@Ipc.QueueManager].
 *
 * ```c
 * g_autoptr(IpcQueueManager) manager = ipc_queue_manager_new (NULL);
 * g_autoptr(IpcMessageQueue) jobs = ipc_queue_manager_create_queue (manager, "jobs", NULL, &error);
 *
 * ipc_message_queue_publish (jobs, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error);
 * delivery = ipc_message_queue_consume (jobs, -1, NULL, &error);
 * …
 * ipc_delivery_ack (delivery, NULL, &error);
 * ```
 *
 * [method@Ipc.MessageQueue.start_consuming] takes messages again and again; [method@Ipc.MessageQueue.subscribe] gets copies of all that
 * is published, beside whoever takes them.
 *
 * ## Threads
 *
 * Messages may be published, taken and settled in any thread. Callbacks of consumers and subscriptions, and signals, come in the
 * thread-default main context of whoever made the manager.
 *
 * ## When a process dies
 *
 * Queues in memory are gone with it. What a store does that keeps them, it says itself.
 *
 * ## Caveats
 *
 * - Messages come at least once: who was slow to acknowledge one may get it a second time.
 * - A queue that is deleted takes its messages with it. Who waits for one fails with %IPC_ERROR_DELETED.
 *
 * Since: 0.1
 */

enum
{
  PROP_0,
  PROP_NAME,
  PROP_N_MESSAGES,
  PROP_N_READY,
  PROP_N_DELAYED,
  PROP_N_UNACKED,
  PROP_N_DEAD,
  PROP_TOTAL_MESSAGES,
  PROP_CREATED_AT,
  PROP_LAST_ACCESSED,
  N_PROPS
};

enum
{
  SIGNAL_MESSAGE_AVAILABLE,
  SIGNAL_MESSAGE_EXPIRED,
  SIGNAL_MESSAGE_DEAD,
  SIGNAL_DELETED,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (IpcMessageQueue, ipc_message_queue, G_TYPE_OBJECT)

IpcMessageQueue *
ipc_message_queue_new (IpcQueueCenter *center, const char *name)
{
  IpcMessageQueue *self = g_object_new (IPC_TYPE_MESSAGE_QUEUE, NULL);

  self->name = g_strdup (name);
  self->center = g_object_ref (center);
  return self;
}

/* Another one may have its name by now, which is nothing to this one. */
gboolean
ipc_message_queue_check (IpcMessageQueue *self, GError **error)
{
  if (!ipc_error_check_fork (self->generation, "the queue", error))
    return FALSE;
  if (!g_atomic_int_get (&self->is_deleted))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "queue \"%s\" was deleted", self->name);
  return FALSE;
}

static void
count (IpcMessageQueue *self, IpcQueueCounts *counts)
{
  *counts = (IpcQueueCounts){ 0 };
  if (self->generation == ipc_fork_generation ())
    STORE_CALL (self, count) (STORE (self), self->name, counts, NULL);
}

/* ---- what happened ---- */

static void
notify_changes (IpcMessageQueue *self, const IpcQueueCounts *before, const IpcQueueCounts *after)
{
  const struct
  {
    int prop;
    gboolean changed;
  } what[] = {
    { PROP_N_MESSAGES, before->ready + before->delayed + before->unacked != after->ready + after->delayed + after->unacked },
    { PROP_N_READY, before->ready != after->ready },
    { PROP_N_DELAYED, before->delayed != after->delayed },
    { PROP_N_UNACKED, before->unacked != after->unacked },
    { PROP_N_DEAD, before->dead != after->dead },
    { PROP_TOTAL_MESSAGES, before->total != after->total },
    { PROP_LAST_ACCESSED, before->last_accessed != after->last_accessed },
  };

  for (guint i = 0; i < G_N_ELEMENTS (what); i++)
    if (what[i].changed)
      g_object_notify_by_pspec (G_OBJECT (self), properties[what[i].prop]);
}

static gboolean
has_listeners (IpcMessageQueue *self)
{
  if (ipc_notify_is_observed (self))
    return TRUE;
  for (guint i = 0; i < N_SIGNALS; i++)
    if (ipc_notify_has_handler (self, signals[i]))
      return TRUE;
  return FALSE;
}

void
ipc_message_queue_handle (IpcMessageQueue *self, IpcQueueEvent event, IpcQueueItem *item)
{
  switch (event)
    {
    case IPC_QUEUE_EVENT_AVAILABLE:
      if (ipc_message_queue_get_n_ready (self) > 0)
        g_signal_emit (self, signals[SIGNAL_MESSAGE_AVAILABLE], 0);
      break;
    case IPC_QUEUE_EVENT_PUBLISHED:
      ipc_message_queue_give_copies (self, item);
      break;
    case IPC_QUEUE_EVENT_EXPIRED:
      g_signal_emit (self, signals[SIGNAL_MESSAGE_EXPIRED], 0, item->message);
      break;
    case IPC_QUEUE_EVENT_DEAD:
      {
        g_autoptr(IpcDeadLetter) letter = ipc_dead_letter_new (self->name, item);

        g_signal_emit (self, signals[SIGNAL_MESSAGE_DEAD], 0, letter);
      }
      break;
    case IPC_QUEUE_EVENT_DELETED:
      if (self->is_told)
        break;
      g_atomic_int_set (&self->is_deleted, TRUE);
      self->is_told = TRUE;
      ipc_message_queue_fail_waits (self);
      g_signal_emit (self, signals[SIGNAL_DELETED], 0);
      break;
    case IPC_QUEUE_EVENT_CREATED:
    default:
      break;
    }
}

/* Counting also does what is due, so that somebody who only listens is told in time. */
gint64
ipc_message_queue_serve (IpcMessageQueue *self)
{
  IpcQueueCounts before = self->notified, after;
  gint64 next;

  if (g_atomic_int_get (&self->is_deleted))
    return 0;
  next = ipc_message_queue_pump (self);
  if (!has_listeners (self))
    return next;
  if (IPC_QUEUE_STORE_GET_IFACE (STORE (self))->arm != NULL)
    STORE_CALL (self, arm) (STORE (self));
  g_atomic_int_set (&self->center->is_watched, TRUE);
  count (self, &after);
  self->notified = after;
  notify_changes (self, &before, &after);
  return after.next_at != 0 && (next == 0 || after.next_at < next) ? after.next_at : next;
}

/* ---- the object ---- */

static void
ipc_message_queue_finalize (GObject *object)
{
  IpcMessageQueue *self = IPC_MESSAGE_QUEUE (object);

  ipc_message_queue_give_all_back (self);
  g_ptr_array_unref (self->consumers);
  g_ptr_array_unref (self->subscriptions);
  g_clear_object (&self->center);
  g_free (self->name);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (ipc_message_queue_parent_class)->finalize (object);
}

static void
ipc_message_queue_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcMessageQueue *self = IPC_MESSAGE_QUEUE (object);

  switch (prop_id)
    {
    case PROP_NAME:
      g_value_set_string (value, self->name);
      break;
    case PROP_N_MESSAGES:
      g_value_set_uint (value, ipc_message_queue_get_n_messages (self));
      break;
    case PROP_N_READY:
      g_value_set_uint (value, ipc_message_queue_get_n_ready (self));
      break;
    case PROP_N_DELAYED:
      g_value_set_uint (value, ipc_message_queue_get_n_delayed (self));
      break;
    case PROP_N_UNACKED:
      g_value_set_uint (value, ipc_message_queue_get_n_unacked (self));
      break;
    case PROP_N_DEAD:
      g_value_set_uint (value, ipc_message_queue_get_n_dead (self));
      break;
    case PROP_TOTAL_MESSAGES:
      g_value_set_uint64 (value, ipc_message_queue_get_total_messages (self));
      break;
    case PROP_CREATED_AT:
      g_value_set_int64 (value, ipc_message_queue_get_created_at (self));
      break;
    case PROP_LAST_ACCESSED:
      g_value_set_int64 (value, ipc_message_queue_get_last_accessed (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  /**
   * IpcMessageQueue:name:
   *
   * Its name in the store.
   *
   * Since: 0.1
   */
  properties[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, readable);

  /**
   * IpcMessageQueue:n-messages:
   *
   * How many messages there are: those that can be taken, that wait for their time, and that were taken and not settled.
   *
   * Since: 0.1
   */
  properties[PROP_N_MESSAGES] = g_param_spec_uint ("n-messages", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcMessageQueue:n-ready:
   *
   * How many messages can be taken.
   *
   * Since: 0.1
   */
  properties[PROP_N_READY] = g_param_spec_uint ("n-ready", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcMessageQueue:n-delayed:
   *
   * How many messages wait for their time.
   *
   * Since: 0.1
   */
  properties[PROP_N_DELAYED] = g_param_spec_uint ("n-delayed", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcMessageQueue:n-unacked:
   *
   * How many messages were taken and are not settled.
   *
   * Since: 0.1
   */
  properties[PROP_N_UNACKED] = g_param_spec_uint ("n-unacked", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcMessageQueue:n-dead:
   *
   * How many dead letters there are.
   *
   * Since: 0.1
   */
  properties[PROP_N_DEAD] = g_param_spec_uint ("n-dead", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcMessageQueue:total-messages:
   *
   * How many messages were ever published.
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_MESSAGES] = g_param_spec_uint64 ("total-messages", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcMessageQueue:created-at:
   *
   * When the queue was made, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcMessageQueue:last-accessed:
   *
   * When a message was last published or taken, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_ACCESSED] = g_param_spec_int64 ("last-accessed", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_message_queue_class_init (IpcMessageQueueClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  ipc_connected_learn ();
  object_class->finalize = ipc_message_queue_finalize;
  object_class->get_property = ipc_message_queue_get_property;
  install_properties (object_class);

  /**
   * IpcMessageQueue::message-available:
   * @self: the queue
   *
   * There are more messages that can be taken than before. Several that come close together may be one emission.
   *
   * Since: 0.1
   */
  signals[SIGNAL_MESSAGE_AVAILABLE] =
    g_signal_new ("message-available", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * IpcMessageQueue::message-expired:
   * @self: the queue
   * @message: the message
   *
   * A message was removed before anybody had settled it: its time was over, or the overflow policy gave it up.
   *
   * Since: 0.1
   */
  signals[SIGNAL_MESSAGE_EXPIRED] = g_signal_new ("message-expired", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                  G_TYPE_NONE, 1, IPC_TYPE_MESSAGE);

  /**
   * IpcMessageQueue::message-dead:
   * @self: the queue
   * @letter: the dead letter
   *
   * A message was put aside: it was rejected, or not acknowledged too often.
   *
   * Since: 0.1
   */
  signals[SIGNAL_MESSAGE_DEAD] =
    g_signal_new ("message-dead", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, IPC_TYPE_DEAD_LETTER);

  /**
   * IpcMessageQueue::deleted:
   * @self: the queue
   *
   * The queue was deleted, and its messages with it.
   *
   * Since: 0.1
   */
  signals[SIGNAL_DELETED] =
    g_signal_new ("deleted", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
ipc_message_queue_init (IpcMessageQueue *self)
{
  g_mutex_init (&self->lock);
  self->generation = ipc_fork_generation ();
  self->consumers = g_ptr_array_new_with_free_func (g_object_unref);
  self->subscriptions = g_ptr_array_new_with_free_func (g_object_unref);
}

/**
 * ipc_message_queue_get_name: (get-property name)
 * @self: the queue
 *
 * Gets its name in the store.
 *
 * Returns: the name
 *
 * Since: 0.1
 */
const char *
ipc_message_queue_get_name (IpcMessageQueue *self)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);

  return self->name;
}

/**
 * ipc_message_queue_get_n_messages: (get-property n-messages)
 * @self: the queue
 *
 * Gets how many messages there are: those that can be taken, that wait for their time, and that were taken and not settled.
 *
 * Returns: their number; 0 if the queue was deleted
 *
 * Since: 0.1
 */
guint
ipc_message_queue_get_n_messages (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.ready + counts.delayed + counts.unacked;
}

/**
 * ipc_message_queue_get_n_ready: (get-property n-ready)
 * @self: the queue
 *
 * Gets how many messages can be taken.
 *
 * Returns: their number; 0 if the queue was deleted
 *
 * Since: 0.1
 */
guint
ipc_message_queue_get_n_ready (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.ready;
}

/**
 * ipc_message_queue_get_n_delayed: (get-property n-delayed)
 * @self: the queue
 *
 * Gets how many messages wait for their time.
 *
 * Returns: their number; 0 if the queue was deleted
 *
 * Since: 0.1
 */
guint
ipc_message_queue_get_n_delayed (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.delayed;
}

/**
 * ipc_message_queue_get_n_unacked: (get-property n-unacked)
 * @self: the queue
 *
 * Gets how many messages were taken and are not settled.
 *
 * Returns: their number; 0 if the queue was deleted
 *
 * Since: 0.1
 */
guint
ipc_message_queue_get_n_unacked (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.unacked;
}

/**
 * ipc_message_queue_get_n_dead: (get-property n-dead)
 * @self: the queue
 *
 * Gets how many dead letters there are.
 *
 * Returns: their number; 0 if the queue was deleted
 *
 * Since: 0.1
 */
guint
ipc_message_queue_get_n_dead (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.dead;
}

/**
 * ipc_message_queue_get_total_messages: (get-property total-messages)
 * @self: the queue
 *
 * Gets how many messages were ever published.
 *
 * Returns: their number; 0 if the queue was deleted
 *
 * Since: 0.1
 */
guint64
ipc_message_queue_get_total_messages (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.total;
}

/**
 * ipc_message_queue_get_created_at: (get-property created-at)
 * @self: the queue
 *
 * Gets when the queue was made, in microseconds since 1970, UTC.
 *
 * Returns: microseconds; 0 if the queue was deleted
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_get_created_at (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.created_at;
}

/**
 * ipc_message_queue_get_last_accessed: (get-property last-accessed)
 * @self: the queue
 *
 * Gets when a message was last published or taken, in microseconds since 1970, UTC.
 *
 * Returns: microseconds; 0 if the queue was deleted
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_get_last_accessed (IpcMessageQueue *self)
{
  IpcQueueCounts counts;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);

  count (self, &counts);
  return counts.last_accessed;
}
