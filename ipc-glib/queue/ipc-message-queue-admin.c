/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is done to a queue as a whole: looking, emptying, dead letters.
 */
#include "ipc-message-queue.h"

#include "base/ipc-task-private.h"
#include "queue/ipc-message-queue-private.h"
#include "queue/ipc-queue-call-private.h"

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
peek (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcMessageQueue *self = source;

  call->found = wrap (self, STORE_CALL (self, peek) (STORE (self), self->name, (guint) call->number, error), FALSE);
  return call->found != NULL;
}

static gboolean
list_dead (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcMessageQueue *self = source;

  call->found = wrap (self, STORE_CALL (self, list_dead) (STORE (self), self->name, (guint) call->number, error), TRUE);
  return call->found != NULL;
}

static gboolean
set_result (IpcQueueCall *call, gint64 n)
{
  if (n < 0)
    return FALSE;
  call->result = (guint64) n;
  return TRUE;
}

static gboolean
purge (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcMessageQueue *self = source;

  return set_result (call, STORE_CALL (self, purge) (STORE (self), self->name, error));
}

static gboolean
redrive (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcMessageQueue *self = source;

  return set_result (call, STORE_CALL (self, redrive) (STORE (self), self->name, call->number, error));
}

static void
purged (gpointer source, IpcQueueCall *call, const GError *error)
{
  if (error == NULL && call->result > 0)
    ipc_message_queue_changed (source);
}

/* ---- how they are called ---- */

/* FALSE with ERROR; else *CALL is to be cleared. */
static gboolean
run (IpcMessageQueue *self, IpcQueueCall *call, GCancellable *cancellable, GError **error)
{
  call->cancellable = cancellable;
  return ipc_message_queue_check (self, error) && ipc_queue_call_run (call, self, STORE (self), error);
}

static GPtrArray *
run_for_array (IpcMessageQueue *self, IpcQueueCallFunc func, guint64 number, GCancellable *cancellable, GError **error)
{
  g_auto(IpcQueueCall) call = { .func = func, .number = number };

  return run (self, &call, cancellable, error) ? g_steal_pointer (&call.found) : NULL;
}

static gint64
run_for_number (IpcMessageQueue *self, IpcQueueCallFunc func, IpcQueueEndFunc end, guint64 number, GCancellable *cancellable, GError **error)
{
  g_auto(IpcQueueCall) call = { .func = func, .end = end, .number = number };

  return run (self, &call, cancellable, error) ? (gint64) call.result : -1;
}

/* Takes TASK. */
static void
start (IpcMessageQueue *self, IpcQueueCallFunc func, IpcQueueEndFunc end, guint64 number, GTask *task)
{
  g_auto(IpcQueueCall) call = { .func = func, .end = end, .number = number };
  GError *error = NULL;

  if (ipc_message_queue_check (self, &error))
    ipc_queue_call_start (&call, task, self->center);
  else
    ipc_task_fail (task, error);
}

static GPtrArray *
finish_array (GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = ipc_queue_call_finish (result, error);

  return call != NULL ? g_steal_pointer (&call->found) : NULL;
}

static gint64
finish_number (GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = ipc_queue_call_finish (result, error);

  return call != NULL ? (gint64) call->result : -1;
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

  return run_for_array (self, peek, max, cancellable, error);
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
  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, peek, NULL, max, ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_peek_async));
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

  return finish_array (result, error);
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

  return run_for_array (self, list_dead, max, cancellable, error);
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
  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, list_dead, NULL, max, ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_list_dead_async));
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

  return finish_array (result, error);
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

  return run_for_number (self, purge, purged, 0, cancellable, error);
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
  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, purge, purged, 0, ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_purge_async));
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

  return finish_number (result, error);
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

  return run_for_number (self, redrive, NULL, id, cancellable, error);
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
  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, redrive, NULL, id, ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_redrive_async));
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

  return finish_number (result, error);
}
