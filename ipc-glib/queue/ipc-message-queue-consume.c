/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking messages: in a thread that waits, in the main context, and again and again. Who waits in the main context is served there, first
 * those that wait for one message, in the order in which they came, then the consumers, in turn.
 */
#include "ipc-message-queue.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "queue/ipc-message-queue-private.h"

#define REFILL 32u              /* given before more are asked for */
#define RETRY_US (1 * G_USEC_PER_SEC)   /* after the store has failed */
#define TURN_US 2000                    /* then other sources of the main loop get their turn */

/* One of consume_async(); the data of its task. */
typedef struct
{
  GTask *task;                  /* (owned) while it waits */
  gint64 deadline;              /* monotonic, µs; 0: none */
  gint timeout;
  gulong cancelled_id;
} Wait;

static GError *
make_timed_out (IpcMessageQueue *self, gint timeout)
{
  if (timeout == IPC_TIMEOUT_DEFAULT)
    timeout = g_atomic_int_get (&self->center->default_timeout);
  return g_error_new (IPC_ERROR, IPC_ERROR_TIMED_OUT, "queue \"%s\": no message came within %d ms", self->name, timeout);
}

static gint64
earlier (gint64 a, gint64 b)
{
  if (a == 0 || b == 0)
    return MAX (a, b);
  return MIN (a, b);
}

/* ---- in a thread ---- */

static void
cancelled_cb (GCancellable *cancellable, gpointer data)
{
  ipc_queue_center_rouse (data);
}

/* (transfer full) (nullable) */
static IpcQueueItem *
take (IpcMessageQueue *self, gint64 *next_at, GError **error)
{
  IpcQueueItem *item;

  if (STORE_CALL (self, take) (STORE (self), self->name, &item, 1, next_at, error) == 0)
    return NULL;
  ipc_message_queue_changed (self);
  return item;
}

/* (transfer full) (nullable) */
static IpcQueueItem *
take_or_wait (IpcMessageQueue *self, gint64 deadline, gint timeout, GCancellable *cancellable, GError **error)
{
  for (;;)
    {
      guint64 sequence = ipc_queue_center_get_sequence (self->center);
      g_autoptr(GError) reason = NULL;
      gint64 next_at = 0;
      IpcQueueItem *item;

      if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
        return NULL;
      item = take (self, &next_at, &reason);
      if (item != NULL)
        return item;
      if (reason == NULL && (timeout == 0 || (deadline != 0 && g_get_monotonic_time () >= deadline)))
        reason = make_timed_out (self, timeout);
      if (reason != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return NULL;
        }
      ipc_queue_center_wait (self->center, sequence, earlier (deadline, next_at));
    }
}

/**
 * ipc_message_queue_consume:
 * @self: the queue
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for 30 seconds
 * @cancellable: (nullable): cancels waiting, from another thread
 * @error: return location for an error
 *
 * Takes the next message, and waits until there is one. It blocks the thread and does not run its main context.
 *
 * Errors: %IPC_ERROR_TIMED_OUT; %G_IO_ERROR_CANCELLED; %IPC_ERROR_NOT_FOUND if the queue was deleted; %IPC_ERROR_INVALID_ARGUMENT for a
 * timeout below -2; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the message, to be settled, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcDelivery *
ipc_message_queue_consume (IpcMessageQueue *self, gint timeout, GCancellable *cancellable, GError **error)
{
  IpcQueueItem *item;
  gint64 deadline;
  gulong handler = 0;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!ipc_message_queue_check (self, error) ||
      !ipc_timeout_to_deadline (timeout, g_atomic_int_get (&self->center->default_timeout), &deadline, error))
    return NULL;
  if (cancellable != NULL)
    handler = g_cancellable_connect (cancellable, G_CALLBACK (cancelled_cb), g_object_ref (self->center), g_object_unref);
  item = take_or_wait (self, deadline, timeout, cancellable, error);
  g_cancellable_disconnect (cancellable, handler);
  return item != NULL ? ipc_delivery_new (self, item, NULL) : NULL;
}

/* ---- those that wait ---- */

/* (transfer full): it waits no more. */
static GTask *
end_wait (IpcMessageQueue *self, Wait *wait)
{
  GTask *task = g_steal_pointer (&wait->task);

  g_atomic_int_add (&self->center->n_interested, -1);
  g_cancellable_disconnect (g_task_get_cancellable (task), wait->cancelled_id);
  wait->cancelled_id = 0;
  return task;
}

static void
fail_wait (IpcMessageQueue *self, Wait *wait, GError *error)
{
  GTask *task = end_wait (self, wait);

  g_task_return_error (task, error);
  g_object_unref (task);
}

/* One that does not want to wait at all has had its turn when the store was found to be empty. */
static gboolean
is_over_locked (IpcMessageQueue *self, const Wait *wait, gint64 now, gboolean has_looked)
{
  if (g_cancellable_is_cancelled (g_task_get_cancellable (wait->task)))
    return TRUE;
  if (wait->timeout == 0)
    return has_looked && self->take.was_empty && !self->take.is_pending;
  return wait->deadline != 0 && wait->deadline <= now;
}

/* (transfer none) (nullable) */
static Wait *
pop_over (IpcMessageQueue *self, gint64 now, gboolean has_looked)
{
  Wait *found = NULL;

  g_mutex_lock (&self->lock);
  for (GList *link = self->waits.head; link != NULL && found == NULL; link = link->next)
    if (is_over_locked (self, link->data, now, has_looked))
      {
        found = link->data;
        g_queue_delete_link (&self->waits, link);
        break;
      }
  g_mutex_unlock (&self->lock);
  return found;
}

static void
end_those_that_are_over (IpcMessageQueue *self, gboolean has_looked)
{
  gint64 now = g_get_monotonic_time ();
  Wait *wait;

  while ((wait = pop_over (self, now, has_looked)) != NULL)
    if (g_cancellable_is_cancelled (g_task_get_cancellable (wait->task)))
      fail_wait (self, wait, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "queue \"%s\": waiting for a message was cancelled", self->name));
    else
      fail_wait (self, wait, make_timed_out (self, wait->timeout));
}

void
ipc_message_queue_fail_waits (IpcMessageQueue *self)
{
  Wait *wait;

  do
    {
      g_mutex_lock (&self->lock);
      wait = g_queue_pop_head (&self->waits);
      g_mutex_unlock (&self->lock);
      if (wait != NULL)
        fail_wait (self, wait, g_error_new (IPC_ERROR, IPC_ERROR_DELETED, "queue \"%s\" was deleted", self->name));
    }
  while (wait != NULL);
}

static gint64
get_first_deadline (IpcMessageQueue *self)
{
  gint64 first = 0;

  g_mutex_lock (&self->lock);
  for (GList *link = self->waits.head; link != NULL; link = link->next)
    if (((Wait *) link->data)->timeout != 0)
      first = earlier (first, ((Wait *) link->data)->deadline);
  g_mutex_unlock (&self->lock);
  return first;
}

/* ---- serving them ---- */

/* (transfer full) (nullable): the next one that has room. */
static IpcConsumer *
next_consumer_locked (IpcMessageQueue *self)
{
  for (guint i = 0; i < self->consumers->len; i++)
    {
      IpcConsumer *consumer = self->consumers->pdata[(self->next_consumer + i) % self->consumers->len];

      if (ipc_consumer_get_room (consumer) == 0)
        continue;
      self->next_consumer = (self->next_consumer + i + 1) % self->consumers->len;
      return g_object_ref (consumer);
    }
  return NULL;
}

/* How many would be given at once, beyond those that are there. */
static guint
count_wanted_locked (IpcMessageQueue *self)
{
  guint wanted = self->waits.length;

  for (guint i = 0; i < self->consumers->len && wanted < IPC_QUEUE_TAKE_MAX; i++)
    wanted += MIN (ipc_consumer_get_room (self->consumers->pdata[i]), IPC_QUEUE_TAKE_MAX);
  wanted -= MIN (wanted, self->take.taken.length);
  return MIN (wanted, IPC_QUEUE_TAKE_MAX);
}

/* Takes ITEM. */
static void
give (IpcMessageQueue *self, IpcQueueItem *item)
{
  g_autoptr(IpcConsumer) consumer = NULL;
  Wait *wait;

  g_mutex_lock (&self->lock);
  wait = g_queue_pop_head (&self->waits);
  if (wait == NULL)
    consumer = next_consumer_locked (self);
  g_mutex_unlock (&self->lock);
  if (wait != NULL)
    {
      GTask *task = end_wait (self, wait);

      g_task_return_pointer (task, ipc_delivery_new (self, item, NULL), g_object_unref);
      g_object_unref (task);
    }
  else if (consumer != NULL)
    ipc_consumer_give (consumer, item);
  else
    {
      /* Nobody wants it any more. */
      ipc_queue_center_give_back (self->center, self->name, item, FALSE);
      ipc_queue_item_unref (item);
    }
}

static IpcQueueItem *
pop_taken (IpcMessageQueue *self)
{
  IpcQueueItem *item;

  g_mutex_lock (&self->lock);
  item = g_queue_pop_head (&self->take.taken);
  g_mutex_unlock (&self->lock);
  return item;
}

void
ipc_message_queue_give_all_back (IpcMessageQueue *self)
{
  IpcQueueItem *item;

  while ((item = pop_taken (self)) != NULL)
    {
      ipc_queue_center_give_back (self->center, self->name, item, FALSE);
      ipc_queue_item_unref (item);
    }
  g_clear_error (&self->take.error);
}

/* ---- asking the store for them ---- */

static IpcMessageQueue *
queue_of_take (IpcQueueWork *work)
{
  return (IpcMessageQueue *) ((guint8 *) work - G_STRUCT_OFFSET (IpcMessageQueue, take.work));
}

static void
drop_items (IpcQueueTake *self)
{
  for (guint i = 0; i < self->n; i++)
    ipc_queue_item_unref (self->items[i]);
  self->n = 0;
}

static gboolean
take_run (IpcQueueWork *work, GError **error)
{
  IpcMessageQueue *self = queue_of_take (work);
  GError *reason = NULL;

  drop_items (&self->take);
  self->take.n = STORE_CALL (self, take) (STORE (self), self->name, self->take.items, self->take.max, &self->take.next_at, &reason);
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, reason);
  return FALSE;
}

/* There is nothing, and nobody has said since that there may be. */
static gboolean
is_known_empty_locked (IpcMessageQueue *self, guint64 sequence)
{
  const IpcQueueTake *take = &self->take;

  return take->was_empty && take->sequence == sequence && (take->next_at == 0 || take->next_at > g_get_monotonic_time ());
}

static void take_done (IpcQueueWork *work, GError *error);

/* TRUE: the store is to be asked. */
static gboolean
prepare_to_take_locked (IpcMessageQueue *self, guint64 sequence)
{
  IpcQueueTake *take = &self->take;

  if (take->is_pending)
    return FALSE;
  take->max = count_wanted_locked (self);
  if (take->max == 0 || is_known_empty_locked (self, sequence))
    return FALSE;
  take->is_pending = TRUE;
  take->sequence = sequence;
  take->next_at = 0;
  take->work = (IpcQueueWork){ take_run, take_done, .may_fade = TRUE };
  return TRUE;
}

static void
ask_store (IpcMessageQueue *self)
{
  g_object_ref (self);
  ipc_queue_store_dispatch (STORE (self), &self->take.work);
}

static gboolean
works_aside (IpcMessageQueue *self)
{
  return STORE_CALL (self, dispatch) != NULL;
}

/* A store that works in a thread of its own goes on with the next ones, if there is room, while these are given. */
static void
take_done (IpcQueueWork *work, GError *error)
{
  g_autoptr(IpcMessageQueue) self = queue_of_take (work);
  guint64 sequence = ipc_queue_center_get_sequence (self->center);
  IpcQueueTake *take = &self->take;
  gboolean is_gathered = work->is_gathered;
  gboolean wake, again;

  if (error != NULL)
    drop_items (take);
  g_mutex_lock (&self->lock);
  for (guint i = 0; i < take->n; i++)
    g_queue_push_tail (&take->taken, take->items[i]);
  take->was_empty = take->n < take->max;
  take->n = 0;
  if (error != NULL)
    take->next_at = g_get_monotonic_time () + RETRY_US;
  g_clear_error (&take->error);
  take->error = error;
  take->is_pending = FALSE;
  wake = !take->is_starting && !is_gathered;
  again = error == NULL && works_aside (self) && prepare_to_take_locked (self, sequence);
  g_mutex_unlock (&self->lock);
  if (again)
    ask_store (self);
  if (wake)
    ipc_queue_center_wake (self->center);
}

/* TRUE: some were taken already. */
static gboolean
start_to_take (IpcMessageQueue *self)
{
  guint64 sequence = ipc_queue_center_get_sequence (self->center);
  IpcQueueTake *take = &self->take;
  gboolean start, any = FALSE;

  g_mutex_lock (&self->lock);
  start = prepare_to_take_locked (self, sequence);
  take->is_starting = start;
  g_mutex_unlock (&self->lock);
  if (!start)
    return FALSE;
  ask_store (self);
  g_mutex_lock (&self->lock);
  take->is_starting = FALSE;
  any = take->taken.length > 0;
  g_mutex_unlock (&self->lock);
  return any;
}

/* Where a store works in a thread of its own, it brings more while these are given. FALSE: the turn is over before that. */
static gboolean
give_taken (IpcMessageQueue *self, gint64 end)
{
  IpcQueueItem *item;

  for (guint n = 1; (item = pop_taken (self)) != NULL; n++)
    {
      give (self, item);
      if (n % REFILL == 0 && works_aside (self))
        start_to_take (self);
      if (g_get_monotonic_time () >= end)
        return FALSE;
    }
  return TRUE;
}

/* A consumer is given what there is later; who waits for one message is told. */
static void
tell_error (IpcMessageQueue *self)
{
  g_autoptr(GError) error = NULL;
  GQueue waits = G_QUEUE_INIT;
  Wait *wait;

  g_mutex_lock (&self->lock);
  error = g_steal_pointer (&self->take.error);
  if (error != NULL)
    {
      waits = self->waits;
      g_queue_init (&self->waits);
    }
  g_mutex_unlock (&self->lock);
  while ((wait = g_queue_pop_head (&waits)) != NULL)
    fail_wait (self, wait, g_error_copy (error));
}

gint64
ipc_message_queue_pump (IpcMessageQueue *self)
{
  gint64 end = g_get_monotonic_time () + TURN_US;
  gboolean goes_on;
  gint64 next_at;

  do
    {
      end_those_that_are_over (self, FALSE);
      tell_error (self);
      goes_on = give_taken (self, end);
    }
  while (goes_on && start_to_take (self));
  if (!goes_on)
    ipc_queue_center_wake (self->center);
  tell_error (self);
  end_those_that_are_over (self, TRUE);
  g_mutex_lock (&self->lock);
  next_at = self->take.is_pending ? 0 : self->take.next_at;
  g_mutex_unlock (&self->lock);
  return earlier (next_at, get_first_deadline (self));
}

/* ---- waiting in the main context ---- */

static void
wait_cancelled_cb (GCancellable *cancellable, gpointer data)
{
  ipc_queue_center_wake (data);
}

static void
start_wait (IpcMessageQueue *self, GTask *task, gint timeout, gint64 deadline)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  Wait *wait = g_new0 (Wait, 1);

  wait->task = task;
  wait->deadline = deadline;
  wait->timeout = timeout;
  g_task_set_task_data (task, wait, g_free);
  if (cancellable != NULL)
    wait->cancelled_id = g_cancellable_connect (cancellable, G_CALLBACK (wait_cancelled_cb), g_object_ref (self->center), g_object_unref);
  g_atomic_int_inc (&self->center->n_interested);
  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->waits, wait);
  if (timeout == 0)
    self->take.was_empty = FALSE;
  g_mutex_unlock (&self->lock);
  ipc_queue_center_wake (self->center);
}

/**
 * ipc_message_queue_consume_async:
 * @self: the queue
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for 30 seconds
 * @cancellable: (nullable): cancels waiting
 * @callback: (scope async) (nullable): called when there is a message, or an error
 * @user_data: (closure): for @callback
 *
 * Takes the next message without blocking. Waiting costs no thread. Those that wait are served in the order in which they began.
 *
 * Errors, in [method@Ipc.MessageQueue.consume_finish]: those of [method@Ipc.MessageQueue.consume], and %IPC_ERROR_DELETED.
 *
 * Since: 0.1
 */
void
ipc_message_queue_consume_async (IpcMessageQueue *self, gint timeout, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  gint64 deadline;
  GError *error = NULL;
  GTask *task;

  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_consume_async);
  /* What was taken is not given back because it was cancelled a moment later: that would be an attempt. */
  g_task_set_check_cancellable (task, FALSE);
  if (g_task_return_error_if_cancelled (task))
    g_object_unref (task);
  else if (!ipc_message_queue_check (self, &error) ||
           !ipc_timeout_to_deadline (timeout, g_atomic_int_get (&self->center->default_timeout), &deadline, &error))
    ipc_task_fail (task, error);
  else
    start_wait (self, task, timeout, deadline);
}

/**
 * ipc_message_queue_consume_finish:
 * @self: the queue
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MessageQueue.consume_async].
 *
 * Returns: (transfer full): the message, to be settled, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcDelivery *
ipc_message_queue_consume_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_message_queue_consume_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/* ---- again and again ---- */

/**
 * ipc_message_queue_start_consuming:
 * @self: the queue
 * @prefetch: how many messages it may have that are not settled, at least 1
 * @callback: (scope notified) (closure user_data) (destroy destroy): gets them
 * @user_data: for @callback
 * @destroy: (nullable): frees @user_data
 *
 * Takes messages until it is stopped. All consumers of a queue share its messages: each goes to one of them, in turn, as long as it
 * has fewer than @prefetch to settle.
 *
 * Returns: (transfer full): the consumer, to be stopped
 *
 * Since: 0.1
 */
IpcConsumer *
ipc_message_queue_start_consuming (IpcMessageQueue *self, guint prefetch, IpcDeliveryFunc callback, gpointer user_data, GDestroyNotify destroy)
{
  IpcConsumer *consumer;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (callback != NULL, NULL);

  consumer = ipc_consumer_new (self, prefetch, callback, user_data, destroy);
  g_atomic_int_inc (&self->center->n_interested);
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->consumers, g_object_ref (consumer));
  g_mutex_unlock (&self->lock);
  ipc_queue_center_wake (self->center);
  return consumer;
}

void
ipc_message_queue_remove_consumer (IpcMessageQueue *self, IpcConsumer *consumer)
{
  gboolean removed;

  g_mutex_lock (&self->lock);
  removed = g_ptr_array_remove (self->consumers, consumer);
  g_mutex_unlock (&self->lock);
  if (removed)
    g_atomic_int_add (&self->center->n_interested, -1);
}

/* ---- live copies ---- */

/* A store of several processes is told that copies of what the others publish are wanted. */
static void
set_subscribed (IpcMessageQueue *self, gboolean subscribed)
{
  if (STORE_CALL (self, subscribe) != NULL)
    STORE_CALL (self, subscribe) (STORE (self), self->name, subscribed);
}

/**
 * ipc_message_queue_subscribe:
 * @self: the queue
 * @callback: (scope notified) (closure user_data) (destroy destroy): gets the messages
 * @user_data: for @callback
 * @destroy: (nullable): frees @user_data
 *
 * Gets a copy of each message that is published from now on, as do all others that subscribe. Nothing is taken from the queue.
 *
 * Returns: (transfer full): the subscription, to be stopped
 *
 * Since: 0.1
 */
IpcSubscription *
ipc_message_queue_subscribe (IpcMessageQueue *self, IpcSubscriptionFunc callback, gpointer user_data, GDestroyNotify destroy)
{
  IpcSubscription *subscription;
  gboolean is_first;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (callback != NULL, NULL);

  subscription = ipc_subscription_new (self, callback, user_data, destroy);
  g_atomic_int_inc (&self->center->n_subscribed);
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->subscriptions, g_object_ref (subscription));
  is_first = self->subscriptions->len == 1;
  g_mutex_unlock (&self->lock);
  if (is_first)
    set_subscribed (self, TRUE);
  return subscription;
}

void
ipc_message_queue_remove_subscription (IpcMessageQueue *self, IpcSubscription *subscription)
{
  gboolean removed, is_last;

  g_mutex_lock (&self->lock);
  removed = g_ptr_array_remove (self->subscriptions, subscription);
  is_last = self->subscriptions->len == 0;
  g_mutex_unlock (&self->lock);
  if (!removed)
    return;
  g_atomic_int_add (&self->center->n_subscribed, -1);
  if (is_last)
    set_subscribed (self, FALSE);
}

void
ipc_message_queue_give_copies (IpcMessageQueue *self, IpcQueueItem *item)
{
  g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func (g_object_unref);

  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->subscriptions->len; i++)
    g_ptr_array_add (all, g_object_ref (self->subscriptions->pdata[i]));
  g_mutex_unlock (&self->lock);
  for (guint i = 0; i < all->len; i++)
    ipc_subscription_give (all->pdata[i], item->message);
}
