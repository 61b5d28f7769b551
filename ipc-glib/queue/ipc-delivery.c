/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A message that was taken from a queue, and has to be settled: acknowledged, given back, or rejected. One that is dropped without that
 * is given back, from whatever thread drops it.
 */
#include "ipc-delivery.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "ipc-enums.h"
#include "queue/ipc-message-queue-private.h"
#include "queue/ipc-queue-call-private.h"

/**
 * IpcDelivery:
 *
 * A message that was taken from a queue, until it is settled.
 *
 * Settle it when you are done: [method@Ipc.Delivery.ack] removes it from the queue; [method@Ipc.Delivery.nack] gives it back, to be
 * delivered again later; [method@Ipc.Delivery.reject] puts it aside as a dead letter. A delivery that is dropped without that is
 * given back at once. After more than [property@Ipc.QueueManager:max-retries] further attempts, a message becomes a dead letter.
 *
 * A delivery is a lease of five minutes. Who needs longer asks for it in time with [method@Ipc.Delivery.extend]; after that
 * somebody else gets the message, and settling this delivery fails with %IPC_ERROR_LEASE_LOST.
 *
 * ## Threads
 *
 * It may be settled in any thread.
 *
 * ## When a process dies
 *
 * What it had not settled is delivered again, and says so ([property@Ipc.Delivery:redelivered]): messages come at least once.
 *
 * ## Caveats
 *
 * - In JavaScript, a delivery that is only dropped is given back when it is collected, which may take long.
 * - Those of [method@Ipc.MessageQueue.peek] were not taken, and cannot be settled (%IPC_ERROR_NOT_HELD).
 *
 * Since: 0.1
 */
struct _IpcDelivery
{
  GObject parent_instance;

  IpcMessageQueue *queue;       /* (owned) */
  IpcQueueItem *item;           /* (owned) */
  IpcConsumer *consumer;        /* (owned) (nullable) */
  guint max_retries;
  unsigned generation;          /* of forks */
  gint settled;                 /* (atomic) */
  gint has_left;                /* (atomic) its consumer does not count it any more */
};

enum
{
  PROP_0,
  PROP_MESSAGE,
  PROP_ID,
  PROP_QUEUE_NAME,
  PROP_CREATED_AT,
  PROP_MAX_RETRIES,
  PROP_PRIORITY,
  PROP_ATTEMPT,
  PROP_REDELIVERED,
  PROP_EXPIRES_AT,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcDelivery, ipc_delivery, G_TYPE_OBJECT)

IpcDelivery *
ipc_delivery_new (IpcMessageQueue *queue, IpcQueueItem *item, IpcConsumer *consumer)
{
  IpcDelivery *self = g_object_new (IPC_TYPE_DELIVERY, NULL);

  self->queue = g_object_ref (queue);
  self->item = item;
  self->consumer = consumer != NULL ? g_object_ref (consumer) : NULL;
  self->max_retries = (guint) g_atomic_int_get (&queue->center->max_retries);
  self->generation = ipc_fork_generation ();
  self->settled = item->lease == 0;
  return self;
}

#define CALL(self, func, ...) STORE_CALL ((self)->queue, func) (STORE ((self)->queue), (self)->queue->name, (self)->item, __VA_ARGS__)

/* ---- settling ---- */

static gboolean
ack (gpointer self, IpcQueueCall *call, GError **error)
{
  return CALL (IPC_DELIVERY (self), ack, error);
}

static gboolean
nack (gpointer self, IpcQueueCall *call, GError **error)
{
  return CALL (IPC_DELIVERY (self), nack, call->delay, TRUE, error);
}

static gboolean
reject (gpointer self, IpcQueueCall *call, GError **error)
{
  return CALL (IPC_DELIVERY (self), reject, call->text, error);
}

static gboolean
extend (gpointer self, IpcQueueCall *call, GError **error)
{
  return CALL (IPC_DELIVERY (self), extend, call->delay, error);
}

/* Takes the right to settle it. */
static gboolean
begin (IpcDelivery *self, GCancellable *cancellable, GError **error)
{
  if (!ipc_error_check_fork (self->generation, "the delivery", error) || g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (g_atomic_int_compare_and_exchange (&self->settled, FALSE, TRUE))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD, "queue \"%s\": message %" G_GUINT64_FORMAT " %s", self->queue->name, self->item->id,
               self->item->lease == 0 ? "was only looked at" : "was settled before");
  return FALSE;
}

/* Its consumer can have another one. */
static void
leave (IpcDelivery *self)
{
  if (self->consumer != NULL && g_atomic_int_compare_and_exchange (&self->has_left, FALSE, TRUE))
    ipc_consumer_make_room (self->consumer);
}

static void
come_back (IpcDelivery *self)
{
  if (self->consumer != NULL && g_atomic_int_compare_and_exchange (&self->has_left, TRUE, FALSE))
    ipc_consumer_take_room (self->consumer);
}

static void
tell_settled (IpcDelivery *self)
{
  leave (self);
  ipc_message_queue_changed (self->queue);
}

/* Nobody can settle it any more. */
static gboolean
is_lost (const GError *error)
{
  return g_error_matches (error, IPC_ERROR, IPC_ERROR_LEASE_LOST) || g_error_matches (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
}

/* Also where somebody else has it by now. Where the store could not do it, it may be tried again. */
static void
settled (gpointer source, IpcQueueCall *call, const GError *error)
{
  IpcDelivery *self = source;

  if (error == NULL || is_lost (error))
    tell_settled (self);
  else
    {
      come_back (self);
      g_atomic_int_set (&self->settled, FALSE);
    }
}

/* It is still to be settled. */
static void
extended (gpointer source, IpcQueueCall *call, const GError *error)
{
  g_atomic_int_set (&IPC_DELIVERY (source)->settled, FALSE);
}

static gboolean
check_nack (IpcDelivery *self, gint64 delay, GError **error)
{
  if (delay >= -1)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "queue \"%s\": a delay of %" G_GINT64_FORMAT " ms: allowed are -1 (longer each time), 0 and more",
               self->queue->name, delay);
  return FALSE;
}

static gboolean
check_extend (IpcDelivery *self, gint64 duration, GError **error)
{
  if (duration > 0)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "queue \"%s\": to extend by %" G_GINT64_FORMAT " ms, at least 1", self->queue->name, duration);
  return FALSE;
}

/* FUNC is one of the four above. */
static gboolean
prepare (IpcDelivery *self, IpcQueueCallFunc func, gint64 delay, const char *text, GCancellable *cancellable, IpcQueueCall *call, GError **error)
{
  if ((func == nack && !check_nack (self, delay, error)) || (func == extend && !check_extend (self, delay, error)) ||
      !begin (self, cancellable, error))
    return FALSE;
  *call = (IpcQueueCall){
    .func = func,
    .end = func == extend ? extended : settled,
    .cancellable = cancellable,
    .delay = delay,
    .text = g_strdup (text),
  };
  return TRUE;
}

static gboolean
settle (IpcDelivery *self, IpcQueueCallFunc func, gint64 delay, const char *text, GCancellable *cancellable, GError **error)
{
  g_auto(IpcQueueCall) call = { 0 };

  return prepare (self, func, delay, text, cancellable, &call, error) && ipc_queue_call_run (&call, self, STORE (self->queue), error);
}

/* Takes TASK. */
static void
settle_async (IpcDelivery *self, IpcQueueCallFunc func, gint64 delay, const char *text, GTask *task)
{
  g_auto(IpcQueueCall) call = { 0 };
  GError *error = NULL;

  if (!prepare (self, func, delay, text, g_task_get_cancellable (task), &call, &error))
    {
      ipc_task_fail (task, error);
      return;
    }
  if (func == ack && call.cancellable == NULL)
    {
      call.work.acked = self->item;
      call.work.queue = self->queue->name;
    }
  /* A store does what it is asked for in that order, so the next one can be asked for now, and comes in the same batch. */
  if (func != extend)
    leave (self);
  ipc_queue_call_start (&call, task, self->queue->center);
}

static gboolean
settle_finish (GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = ipc_queue_call_finish (result, error);

  return call != NULL;
}

/**
 * ipc_delivery_ack:
 * @self: the delivery
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Acknowledges the message: it is done, and is removed from the queue.
 *
 * Errors: %IPC_ERROR_LEASE_LOST if somebody else has it by now; %IPC_ERROR_NOT_HELD if it was settled before; %IPC_ERROR_NOT_FOUND if
 * the queue was deleted; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED; %IPC_ERROR_NO_SPACE; %IPC_ERROR_UNCERTAIN if it is done, and could not be
 * synced.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_ack (IpcDelivery *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle (self, ack, 0, NULL, cancellable, error);
}

/**
 * ipc_delivery_ack_async:
 * @self: the delivery
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.Delivery.ack], without blocking.
 *
 * Since: 0.1
 */
void
ipc_delivery_ack_async (IpcDelivery *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_return_if_fail (IPC_IS_DELIVERY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  settle_async (self, ack, 0, NULL, ipc_task_new (self, cancellable, callback, user_data, ipc_delivery_ack_async));
}

/**
 * ipc_delivery_ack_finish:
 * @self: the delivery
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.Delivery.ack_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_ack_finish (IpcDelivery *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_delivery_ack_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle_finish (result, error);
}

/**
 * ipc_delivery_nack:
 * @self: the delivery
 * @delay: in milliseconds, before it is delivered again; -1 for a delay that is longer after each attempt
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Gives the message back, to be delivered again. It counts as an attempt that failed: after more than
 * [property@Ipc.QueueManager:max-retries] further ones it becomes a dead letter.
 *
 * Errors: %IPC_ERROR_LEASE_LOST if somebody else has it by now; %IPC_ERROR_NOT_HELD if it was settled before; %IPC_ERROR_NOT_FOUND if
 * the queue was deleted; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED; %IPC_ERROR_INVALID_ARGUMENT.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_nack (IpcDelivery *self, gint64 delay, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle (self, nack, delay, NULL, cancellable, error);
}

/**
 * ipc_delivery_nack_async:
 * @self: the delivery
 * @delay: in milliseconds, before it is delivered again; -1 for a delay that is longer after each attempt
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.Delivery.nack], without blocking.
 *
 * Since: 0.1
 */
void
ipc_delivery_nack_async (IpcDelivery *self, gint64 delay, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_return_if_fail (IPC_IS_DELIVERY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  settle_async (self, nack, delay, NULL, ipc_task_new (self, cancellable, callback, user_data, ipc_delivery_nack_async));
}

/**
 * ipc_delivery_nack_finish:
 * @self: the delivery
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.Delivery.nack_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_nack_finish (IpcDelivery *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_delivery_nack_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle_finish (result, error);
}

/**
 * ipc_delivery_reject:
 * @self: the delivery
 * @reason: (nullable): why, for people
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Puts the message aside, as a dead letter: it makes no sense, and would not the next time.
 *
 * Errors: %IPC_ERROR_LEASE_LOST if somebody else has it by now; %IPC_ERROR_NOT_HELD if it was settled before; %IPC_ERROR_NOT_FOUND if
 * the queue was deleted; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_reject (IpcDelivery *self, const char *reason, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle (self, reject, 0, reason, cancellable, error);
}

/**
 * ipc_delivery_reject_async:
 * @self: the delivery
 * @reason: (nullable): why, for people
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.Delivery.reject], without blocking.
 *
 * Since: 0.1
 */
void
ipc_delivery_reject_async (IpcDelivery *self, const char *reason, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_return_if_fail (IPC_IS_DELIVERY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  settle_async (self, reject, 0, reason, ipc_task_new (self, cancellable, callback, user_data, ipc_delivery_reject_async));
}

/**
 * ipc_delivery_reject_finish:
 * @self: the delivery
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.Delivery.reject_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_reject_finish (IpcDelivery *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_delivery_reject_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle_finish (result, error);
}

/**
 * ipc_delivery_extend:
 * @self: the delivery
 * @duration: in milliseconds, from now on
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Asks for more time: nobody else gets the message before it has passed.
 *
 * Errors: %IPC_ERROR_LEASE_LOST if somebody else has it by now; %IPC_ERROR_NOT_HELD if it was settled before; %IPC_ERROR_NOT_FOUND if
 * the queue was deleted; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED; %IPC_ERROR_INVALID_ARGUMENT.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_extend (IpcDelivery *self, gint64 duration, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle (self, extend, duration, NULL, cancellable, error);
}

/**
 * ipc_delivery_extend_async:
 * @self: the delivery
 * @duration: in milliseconds, from now on
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.Delivery.extend], without blocking.
 *
 * Since: 0.1
 */
void
ipc_delivery_extend_async (IpcDelivery *self, gint64 duration, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_return_if_fail (IPC_IS_DELIVERY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  settle_async (self, extend, duration, NULL, ipc_task_new (self, cancellable, callback, user_data, ipc_delivery_extend_async));
}

/**
 * ipc_delivery_extend_finish:
 * @self: the delivery
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.Delivery.extend_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_extend_finish (IpcDelivery *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_delivery_extend_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return settle_finish (result, error);
}

/* ---- the object ---- */

/* It makes notes for others, and calls nobody. */
static void
ipc_delivery_finalize (GObject *object)
{
  IpcDelivery *self = IPC_DELIVERY (object);

  if (self->generation == ipc_fork_generation () && g_atomic_int_compare_and_exchange (&self->settled, FALSE, TRUE))
    {
      ipc_queue_center_give_back (self->queue->center, self->queue->name, self->item, TRUE);
      tell_settled (self);
    }
  g_clear_object (&self->consumer);
  g_clear_pointer (&self->item, ipc_queue_item_unref);
  g_clear_object (&self->queue);
  G_OBJECT_CLASS (ipc_delivery_parent_class)->finalize (object);
}

static void
ipc_delivery_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcDelivery *self = IPC_DELIVERY (object);

  switch (prop_id)
    {
    case PROP_MESSAGE:
      g_value_set_boxed (value, self->item->message);
      break;
    case PROP_ID:
      g_value_set_uint64 (value, self->item->id);
      break;
    case PROP_QUEUE_NAME:
      g_value_set_string (value, self->queue->name);
      break;
    case PROP_CREATED_AT:
      g_value_set_int64 (value, self->item->created_at);
      break;
    case PROP_MAX_RETRIES:
      g_value_set_uint (value, self->max_retries);
      break;
    case PROP_PRIORITY:
      g_value_set_enum (value, self->item->priority);
      break;
    case PROP_ATTEMPT:
      g_value_set_uint (value, self->item->attempt);
      break;
    case PROP_REDELIVERED:
      g_value_set_boolean (value, self->item->attempt > 1);
      break;
    case PROP_EXPIRES_AT:
      g_value_set_int64 (value, self->item->expires_at);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_delivery_class_init (IpcDeliveryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  object_class->finalize = ipc_delivery_finalize;
  object_class->get_property = ipc_delivery_get_property;

  /**
   * IpcDelivery:message:
   *
   * The message.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGE] = g_param_spec_boxed ("message", NULL, NULL, IPC_TYPE_MESSAGE, readable);

  /**
   * IpcDelivery:id:
   *
   * Its id in the store.
   *
   * Since: 0.1
   */
  properties[PROP_ID] = g_param_spec_uint64 ("id", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcDelivery:queue-name:
   *
   * The name of the queue.
   *
   * Since: 0.1
   */
  properties[PROP_QUEUE_NAME] = g_param_spec_string ("queue-name", NULL, NULL, NULL, readable);

  /**
   * IpcDelivery:created-at:
   *
   * When it was published, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcDelivery:max-retries:
   *
   * How often it is delivered again before it becomes a dead letter.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_RETRIES] = g_param_spec_uint ("max-retries", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcDelivery:priority:
   *
   * Its priority.
   *
   * Since: 0.1
   */
  properties[PROP_PRIORITY] = g_param_spec_enum ("priority", NULL, NULL, IPC_TYPE_PRIORITY, IPC_PRIORITY_NORMAL, readable);

  /**
   * IpcDelivery:attempt:
   *
   * Which attempt this is, from 1 on.
   *
   * Since: 0.1
   */
  properties[PROP_ATTEMPT] = g_param_spec_uint ("attempt", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcDelivery:redelivered:
   *
   * Whether it was delivered before, and may have been acted upon.
   *
   * Since: 0.1
   */
  properties[PROP_REDELIVERED] = g_param_spec_boolean ("redelivered", NULL, NULL, FALSE, readable);

  /**
   * IpcDelivery:expires-at:
   *
   * When it expires, in microseconds since 1970, UTC; 0 if never.
   *
   * Since: 0.1
   */
  properties[PROP_EXPIRES_AT] = g_param_spec_int64 ("expires-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_delivery_init (IpcDelivery *self)
{
}

/**
 * ipc_delivery_get_message: (get-property message)
 * @self: the delivery
 *
 * Gets the message.
 *
 * Returns: (transfer none): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_delivery_get_message (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), NULL);

  return self->item->message;
}

/**
 * ipc_delivery_get_id: (get-property id)
 * @self: the delivery
 *
 * Gets its id in the store.
 *
 * Returns: the id
 *
 * Since: 0.1
 */
guint64
ipc_delivery_get_id (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), 0);

  return self->item->id;
}

/**
 * ipc_delivery_get_queue_name: (get-property queue-name)
 * @self: the delivery
 *
 * Gets the name of the queue.
 *
 * Returns: the name
 *
 * Since: 0.1
 */
const char *
ipc_delivery_get_queue_name (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), NULL);

  return self->queue->name;
}

/**
 * ipc_delivery_get_created_at: (get-property created-at)
 * @self: the delivery
 *
 * Gets when it was published.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_delivery_get_created_at (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), 0);

  return self->item->created_at;
}

/**
 * ipc_delivery_get_max_retries: (get-property max-retries)
 * @self: the delivery
 *
 * Gets how often it is delivered again before it becomes a dead letter.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint
ipc_delivery_get_max_retries (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), 0);

  return self->max_retries;
}

/**
 * ipc_delivery_get_priority: (get-property priority)
 * @self: the delivery
 *
 * Gets its priority.
 *
 * Returns: the priority
 *
 * Since: 0.1
 */
IpcPriority
ipc_delivery_get_priority (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), IPC_PRIORITY_NORMAL);

  return self->item->priority;
}

/**
 * ipc_delivery_get_attempt: (get-property attempt)
 * @self: the delivery
 *
 * Gets which attempt this is, from 1 on.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint
ipc_delivery_get_attempt (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), 0);

  return self->item->attempt;
}

/**
 * ipc_delivery_get_redelivered: (get-property redelivered)
 * @self: the delivery
 *
 * Whether it was delivered before.
 *
 * Returns: %TRUE if it was
 *
 * Since: 0.1
 */
gboolean
ipc_delivery_get_redelivered (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), FALSE);

  return self->item->attempt > 1;
}

/**
 * ipc_delivery_get_expires_at: (get-property expires-at)
 * @self: the delivery
 *
 * Gets when it expires.
 *
 * Returns: microseconds since 1970, UTC; 0 if never
 *
 * Since: 0.1
 */
gint64
ipc_delivery_get_expires_at (IpcDelivery *self)
{
  g_return_val_if_fail (IPC_IS_DELIVERY (self), 0);

  return self->item->expires_at;
}
