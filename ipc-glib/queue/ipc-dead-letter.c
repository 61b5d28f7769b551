/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc-dead-letter.h"

#include "ipc-enums.h"
#include "queue/ipc-message-queue-private.h"

/**
 * IpcDeadLetter:
 *
 * A message that a queue does not deliver any more: it was rejected, or not acknowledged too often.
 *
 * [method@Ipc.MessageQueue.list_dead] lists them; [method@Ipc.MessageQueue.redrive] puts them back.
 *
 * ## Threads
 *
 * It never changes, and can be used in any thread.
 *
 * ## When a process dies
 *
 * It is kept where its queue is kept.
 *
 * ## Caveats
 *
 * - A queue keeps the last 10,000 dead letters.
 *
 * Since: 0.1
 */
struct _IpcDeadLetter
{
  GObject parent_instance;

  char *queue;                  /* (owned) */
  IpcQueueItem *item;           /* (owned) */
};

enum
{
  PROP_0,
  PROP_MESSAGE,
  PROP_ID,
  PROP_QUEUE_NAME,
  PROP_REASON,
  PROP_ATTEMPTS,
  PROP_PRIORITY,
  PROP_CREATED_AT,
  PROP_DIED_AT,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcDeadLetter, ipc_dead_letter, G_TYPE_OBJECT)

IpcDeadLetter *
ipc_dead_letter_new (const char *queue, IpcQueueItem *item)
{
  IpcDeadLetter *self = g_object_new (IPC_TYPE_DEAD_LETTER, NULL);

  self->queue = g_strdup (queue);
  self->item = ipc_queue_item_ref (item);
  return self;
}

static void
ipc_dead_letter_finalize (GObject *object)
{
  IpcDeadLetter *self = IPC_DEAD_LETTER (object);

  g_free (self->queue);
  g_clear_pointer (&self->item, ipc_queue_item_unref);
  G_OBJECT_CLASS (ipc_dead_letter_parent_class)->finalize (object);
}

static void
ipc_dead_letter_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcDeadLetter *self = IPC_DEAD_LETTER (object);

  switch (prop_id)
    {
    case PROP_MESSAGE:
      g_value_set_boxed (value, self->item->message);
      break;
    case PROP_ID:
      g_value_set_uint64 (value, self->item->id);
      break;
    case PROP_QUEUE_NAME:
      g_value_set_string (value, self->queue);
      break;
    case PROP_REASON:
      g_value_set_string (value, self->item->reason);
      break;
    case PROP_ATTEMPTS:
      g_value_set_uint (value, self->item->attempt);
      break;
    case PROP_PRIORITY:
      g_value_set_enum (value, self->item->priority);
      break;
    case PROP_CREATED_AT:
      g_value_set_int64 (value, self->item->created_at);
      break;
    case PROP_DIED_AT:
      g_value_set_int64 (value, self->item->died_at);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_dead_letter_class_init (IpcDeadLetterClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = ipc_dead_letter_finalize;
  object_class->get_property = ipc_dead_letter_get_property;

  /**
   * IpcDeadLetter:message:
   *
   * The message.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGE] = g_param_spec_boxed ("message", NULL, NULL, IPC_TYPE_MESSAGE, readable);

  /**
   * IpcDeadLetter:id:
   *
   * Its id in the store.
   *
   * Since: 0.1
   */
  properties[PROP_ID] = g_param_spec_uint64 ("id", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcDeadLetter:queue-name:
   *
   * The name of the queue.
   *
   * Since: 0.1
   */
  properties[PROP_QUEUE_NAME] = g_param_spec_string ("queue-name", NULL, NULL, NULL, readable);

  /**
   * IpcDeadLetter:reason:
   *
   * Why it is not delivered any more, for people.
   *
   * Since: 0.1
   */
  properties[PROP_REASON] = g_param_spec_string ("reason", NULL, NULL, NULL, readable);

  /**
   * IpcDeadLetter:attempts:
   *
   * How often it was delivered.
   *
   * Since: 0.1
   */
  properties[PROP_ATTEMPTS] = g_param_spec_uint ("attempts", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcDeadLetter:priority:
   *
   * Its priority.
   *
   * Since: 0.1
   */
  properties[PROP_PRIORITY] = g_param_spec_enum ("priority", NULL, NULL, IPC_TYPE_PRIORITY, IPC_PRIORITY_NORMAL, readable);

  /**
   * IpcDeadLetter:created-at:
   *
   * When it was published, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcDeadLetter:died-at:
   *
   * When it was given up, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_DIED_AT] = g_param_spec_int64 ("died-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_dead_letter_init (IpcDeadLetter *self)
{
}

/**
 * ipc_dead_letter_get_message: (get-property message)
 * @self: the dead letter
 *
 * Gets the message.
 *
 * Returns: (transfer none): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_dead_letter_get_message (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), NULL);

  return self->item->message;
}

/**
 * ipc_dead_letter_get_id: (get-property id)
 * @self: the dead letter
 *
 * Gets its id in the store.
 *
 * Returns: the id
 *
 * Since: 0.1
 */
guint64
ipc_dead_letter_get_id (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), 0);

  return self->item->id;
}

/**
 * ipc_dead_letter_get_queue_name: (get-property queue-name)
 * @self: the dead letter
 *
 * Gets the name of the queue.
 *
 * Returns: the name
 *
 * Since: 0.1
 */
const char *
ipc_dead_letter_get_queue_name (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), NULL);

  return self->queue;
}

/**
 * ipc_dead_letter_get_reason: (get-property reason)
 * @self: the dead letter
 *
 * Gets why it is not delivered any more.
 *
 * Returns: a text for people
 *
 * Since: 0.1
 */
const char *
ipc_dead_letter_get_reason (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), NULL);

  return self->item->reason;
}

/**
 * ipc_dead_letter_get_attempts: (get-property attempts)
 * @self: the dead letter
 *
 * Gets how often it was delivered.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint
ipc_dead_letter_get_attempts (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), 0);

  return self->item->attempt;
}

/**
 * ipc_dead_letter_get_priority: (get-property priority)
 * @self: the dead letter
 *
 * Gets its priority.
 *
 * Returns: the priority
 *
 * Since: 0.1
 */
IpcPriority
ipc_dead_letter_get_priority (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), IPC_PRIORITY_NORMAL);

  return self->item->priority;
}

/**
 * ipc_dead_letter_get_created_at: (get-property created-at)
 * @self: the dead letter
 *
 * Gets when it was published.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_dead_letter_get_created_at (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), 0);

  return self->item->created_at;
}

/**
 * ipc_dead_letter_get_died_at: (get-property died-at)
 * @self: the dead letter
 *
 * Gets when it was given up.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_dead_letter_get_died_at (IpcDeadLetter *self)
{
  g_return_val_if_fail (IPC_IS_DEAD_LETTER (self), 0);

  return self->item->died_at;
}
