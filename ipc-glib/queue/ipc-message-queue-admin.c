/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to a queue as a whole: looking, emptying, dead letters.
 */
#include "ipc-message-queue.h"

#include "base/ipc-task-private.h"
#include "queue/ipc-message-queue-private.h"

/* (transfer full): objects for items. Takes ITEMS. */
static GPtrArray *
wrap (IpcMessageQueue *self, GPtrArray *items, gboolean dead)
{
  GPtrArray *all;

  if (items == NULL)
    return NULL;
  all = g_ptr_array_new_with_free_func (g_object_unref);
  for (guint i = 0; i < items->len; i++)
    {
      IpcQueueItem *item = items->pdata[i];

      if (dead)
        g_ptr_array_add (all, ipc_dead_letter_new (self->name, item));
      else
        {
          item->lease = 0;
          g_ptr_array_add (all, ipc_delivery_new (self, ipc_queue_item_ref (item), NULL));
        }
    }
  g_ptr_array_unref (items);
  return all;
}

static gboolean
may_begin (IpcMessageQueue *self, GCancellable *cancellable, GError **error)
{
  return ipc_message_queue_check (self, error) && (cancellable == NULL || !g_cancellable_set_error_if_cancelled (cancellable, error));
}

static GPtrArray *
peek_now (IpcMessageQueue *self, guint64 max, GCancellable *cancellable, GError **error)
{
  if (!may_begin (self, cancellable, error))
    return NULL;
  return wrap (self, STORE_CALL (self, peek) (STORE (self), self->name, (guint) max, error), FALSE);
}

static GPtrArray *
list_dead_now (IpcMessageQueue *self, guint64 max, GCancellable *cancellable, GError **error)
{
  if (!may_begin (self, cancellable, error))
    return NULL;
  return wrap (self, STORE_CALL (self, list_dead) (STORE (self), self->name, (guint) max, error), TRUE);
}

static gint64
purge_now (IpcMessageQueue *self, guint64 unused, GCancellable *cancellable, GError **error)
{
  gint64 n = may_begin (self, cancellable, error) ? STORE_CALL (self, purge) (STORE (self), self->name, error) : -1;

  if (n > 0)
    ipc_message_queue_changed (self);
  return n;
}

static gint64
redrive_now (IpcMessageQueue *self, guint64 id, GCancellable *cancellable, GError **error)
{
  return may_begin (self, cancellable, error) ? STORE_CALL (self, redrive) (STORE (self), self->name, id, error) : -1;
}

/* ---- without blocking ---- */

static void
return_array (GTask *task, GPtrArray *array, GError *error)
{
  if (array != NULL)
    g_task_return_pointer (task, array, (GDestroyNotify) g_ptr_array_unref);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

static void
return_number (GTask *task, gint64 number, GError *error)
{
  if (number >= 0)
    g_task_return_int (task, (gssize) number);
  else
    g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * ipc_message_queue_peek:
 * @self: the queue
 * @max: how many at most
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Looks at messages without taking them, in the order in which they would be delivered; those that wait for their time come last. They cannot
 * be settled.
 *
 * Errors: %IPC_ERROR_NOT_FOUND if the queue was deleted; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer container) (element-type IpcDelivery): the messages, or %NULL with @error set
 *
 * Since: 0.1
 */
GPtrArray *
ipc_message_queue_peek (IpcMessageQueue *self, guint max, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return peek_now (self, max, cancellable, error);
}

/**
 * ipc_message_queue_peek_async:
 * @self: the queue
 * @max: how many at most
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.MessageQueue.peek], without blocking.
 *
 * Since: 0.1
 */
void
ipc_message_queue_peek_async (IpcMessageQueue *self, guint max, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  GError *error = NULL;
  GPtrArray *array;

  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  array = peek_now (self, max, cancellable, &error);
  return_array (ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_peek_async), array, error);
}

/**
 * ipc_message_queue_peek_finish:
 * @self: the queue
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MessageQueue.peek_async].
 *
 * Returns: (transfer container) (element-type IpcDelivery): the messages, or %NULL with @error set
 *
 * Since: 0.1
 */
GPtrArray *
ipc_message_queue_peek_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_message_queue_peek_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * ipc_message_queue_list_dead:
 * @self: the queue
 * @max: how many at most
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Lists the dead letters of the queue, the oldest first.
 *
 * Errors: %IPC_ERROR_NOT_FOUND if the queue was deleted; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer container) (element-type IpcDeadLetter): the dead letters, or %NULL with @error set
 *
 * Since: 0.1
 */
GPtrArray *
ipc_message_queue_list_dead (IpcMessageQueue *self, guint max, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return list_dead_now (self, max, cancellable, error);
}

/**
 * ipc_message_queue_list_dead_async:
 * @self: the queue
 * @max: how many at most
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.MessageQueue.list_dead], without blocking.
 *
 * Since: 0.1
 */
void
ipc_message_queue_list_dead_async (IpcMessageQueue *self, guint max, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  GError *error = NULL;
  GPtrArray *array;

  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  array = list_dead_now (self, max, cancellable, &error);
  return_array (ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_list_dead_async), array, error);
}

/**
 * ipc_message_queue_list_dead_finish:
 * @self: the queue
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MessageQueue.list_dead_async].
 *
 * Returns: (transfer container) (element-type IpcDeadLetter): the dead letters, or %NULL with @error set
 *
 * Since: 0.1
 */
GPtrArray *
ipc_message_queue_list_dead_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_message_queue_list_dead_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

/**
 * ipc_message_queue_purge:
 * @self: the queue
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Removes all messages that nobody has taken. Dead letters stay.
 *
 * Errors: %IPC_ERROR_NOT_FOUND if the queue was deleted; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: how many there were, or -1 with @error set
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_purge (IpcMessageQueue *self, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), -1);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  return purge_now (self, 0, cancellable, error);
}

/**
 * ipc_message_queue_purge_async:
 * @self: the queue
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.MessageQueue.purge], without blocking.
 *
 * Since: 0.1
 */
void
ipc_message_queue_purge_async (IpcMessageQueue *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  GError *error = NULL;
  gint64 number;

  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  number = purge_now (self, 0, cancellable, &error);
  return_number (ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_purge_async), number, error);
}

/**
 * ipc_message_queue_purge_finish:
 * @self: the queue
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MessageQueue.purge_async].
 *
 * Returns: how many there were, or -1 with @error set
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_purge_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), -1);
  g_return_val_if_fail (g_task_is_valid (result, self), -1);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_message_queue_purge_async), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  return g_task_propagate_int (G_TASK (result), error);
}

/**
 * ipc_message_queue_redrive:
 * @self: the queue
 * @id: that of a dead letter, or 0 for all
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Puts dead letters back into the queue, as if they had never been delivered; they do not expire any more.
 *
 * Errors: %IPC_ERROR_NOT_FOUND if the queue was deleted, or there is no such dead letter; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: how many, or -1 with @error set
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_redrive (IpcMessageQueue *self, guint64 id, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), -1);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  return redrive_now (self, id, cancellable, error);
}

/**
 * ipc_message_queue_redrive_async:
 * @self: the queue
 * @id: that of a dead letter, or 0 for all
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.MessageQueue.redrive], without blocking.
 *
 * Since: 0.1
 */
void
ipc_message_queue_redrive_async (IpcMessageQueue *self, guint64 id, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  GError *error = NULL;
  gint64 number;

  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  number = redrive_now (self, id, cancellable, &error);
  return_number (ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_redrive_async), number, error);
}

/**
 * ipc_message_queue_redrive_finish:
 * @self: the queue
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MessageQueue.redrive_async].
 *
 * Returns: how many, or -1 with @error set
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_redrive_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), -1);
  g_return_val_if_fail (g_task_is_valid (result, self), -1);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_message_queue_redrive_async), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  return g_task_propagate_int (G_TASK (result), error);
}
