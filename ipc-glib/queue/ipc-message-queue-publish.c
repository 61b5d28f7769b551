/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Publishing, one and many. */
#include "ipc-message-queue.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "messaging/ipc-message-private.h"
#include "queue/ipc-message-queue-private.h"
#include "queue/ipc-queue-call-private.h"

static gboolean
check_arguments (IpcMessageQueue *self, IpcPriority *priority, gint64 ttl, gint64 delay, GError **error)
{
  if (*priority == 0)
    *priority = IPC_PRIORITY_NORMAL;
  if (*priority < IPC_PRIORITY_LOW || *priority > IPC_PRIORITY_CRITICAL)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "queue \"%s\": priority %d, allowed are %d to %d", self->name, *priority,
                 IPC_PRIORITY_LOW, IPC_PRIORITY_CRITICAL);
  else if (ttl < -1)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT,
                 "queue \"%s\": a ttl of %" G_GINT64_FORMAT " ms: allowed are -1 (for ever), 0 (the default) and more", self->name, ttl);
  else if (delay < 0)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "queue \"%s\": a delay of %" G_GINT64_FORMAT " ms, at least 0", self->name, delay);
  else
    return TRUE;
  return FALSE;
}

static gboolean
check_message (IpcMessageQueue *self, IpcMessage *message, GError **error)
{
  if (!ipc_message_check (message, FALSE, error))
    return FALSE;
  if (ipc_message_get_fd_list (message) == NULL)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "queue \"%s\" does not keep descriptors", self->name);
  return FALSE;
}

/* ---- one ---- */

static gboolean
publish (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcMessageQueue *self = source;
  guint n_done = 0;

  if (!STORE_CALL (self, publish) (STORE (self), self->name, &call->item, 1, call->ttl, call->delay, &n_done, error))
    return FALSE;
  call->result = call->item->id;
  return TRUE;
}

/* Whoever listens to the signals is not counted. */
static void
published (gpointer source, IpcQueueCall *call, const GError *error)
{
  IpcMessageQueue *self = source;

  if (error == NULL && !ipc_connected_is_never (self))
    ipc_queue_center_note_available (self->center, self->name);
}

static IpcQueueItem *
make_item (IpcMessage *message, IpcPriority priority, const char *dedup_id)
{
  IpcQueueItem *item = ipc_queue_item_new (message, priority);

  item->dedup_id = g_strdup (dedup_id);
  return item;
}

/* Fills in CALL. */
static gboolean
prepare (IpcMessageQueue *self, IpcMessage *message, IpcPriority priority, gint64 ttl, gint64 delay, const char *dedup_id, IpcQueueCall *call,
         GError **error)
{
  if (!ipc_message_queue_check (self, error) || !check_arguments (self, &priority, ttl, delay, error) || !check_message (self, message, error))
    return FALSE;
  *call = (IpcQueueCall){
    .func = publish,
    .end = published,
    .ttl = ttl,
    .delay = delay,
    .item = make_item (message, priority, dedup_id),
  };
  return TRUE;
}

/**
 * ipc_message_queue_publish:
 * @self: the queue
 * @message: the message, without descriptors
 * @priority: its priority
 * @ttl: how long it is worth delivering, in milliseconds; 0 for [property@Ipc.QueueManager:message-ttl], -1 for ever
 * @delay: how long nobody gets it, in milliseconds
 * @dedup_id: (nullable): what tells it from others: one that has the same within five minutes is not published again
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Puts a message into the queue.
 *
 * Errors: %IPC_ERROR_FULL; %IPC_ERROR_NOT_FOUND if the queue was deleted; %IPC_ERROR_INVALID_ARGUMENT for a priority, ttl or delay that
 * makes no sense; %IPC_ERROR_INVALID_DATA for a message that cannot be sent; %IPC_ERROR_UNSUPPORTED for one with descriptors;
 * %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED; %IPC_ERROR_NO_SPACE; %IPC_ERROR_UNCERTAIN if it was published, and could not be synced.
 *
 * Returns: its id, or that of the one that it is a duplicate of; 0 with @error set, and nothing was published but with
 * %IPC_ERROR_UNCERTAIN
 *
 * Since: 0.1
 */
guint64
ipc_message_queue_publish (IpcMessageQueue *self, IpcMessage *message, IpcPriority priority, gint64 ttl, gint64 delay, const char *dedup_id,
                           GCancellable *cancellable, GError **error)
{
  g_auto(IpcQueueCall) call = { 0 };

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);
  g_return_val_if_fail (message != NULL, 0);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), 0);
  g_return_val_if_fail (error == NULL || *error == NULL, 0);

  if (!prepare (self, message, priority, ttl, delay, dedup_id, &call, error))
    return 0;
  call.cancellable = cancellable;
  return ipc_queue_call_run (&call, self, STORE (self), error) ? call.result : 0;
}

/**
 * ipc_message_queue_publish_async:
 * @self: the queue
 * @message: the message, without descriptors
 * @priority: its priority
 * @ttl: how long it is worth delivering, in milliseconds; 0 for [property@Ipc.QueueManager:message-ttl], -1 for ever
 * @delay: how long nobody gets it, in milliseconds
 * @dedup_id: (nullable): what tells it from others
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is in the queue, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.MessageQueue.publish], without blocking.
 *
 * Since: 0.1
 */
void
ipc_message_queue_publish_async (IpcMessageQueue *self, IpcMessage *message, IpcPriority priority, gint64 ttl, gint64 delay,
                                 const char *dedup_id, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_auto(IpcQueueCall) call = { 0 };
  GError *error = NULL;
  GTask *task;

  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (message != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_publish_async);
  if (prepare (self, message, priority, ttl, delay, dedup_id, &call, &error))
    ipc_queue_call_start (&call, task, self->center);
  else
    ipc_task_fail (task, error);
}

/**
 * ipc_message_queue_publish_finish:
 * @self: the queue
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MessageQueue.publish_async].
 *
 * Returns: its id; 0 with @error set
 *
 * Since: 0.1
 */
guint64
ipc_message_queue_publish_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = NULL;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), 0);
  g_return_val_if_fail (g_task_is_valid (result, self), 0);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_message_queue_publish_async), 0);
  g_return_val_if_fail (error == NULL || *error == NULL, 0);

  call = ipc_queue_call_finish (result, error);
  return call != NULL ? call->result : 0;
}

/* ---- many ---- */

static gboolean
publish_many (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcMessageQueue *self = source;
  guint n_done = 0;

  if (STORE_CALL (self, publish) (STORE (self), self->name, (IpcQueueItem *const *) call->items->pdata, call->items->len, call->ttl, call->delay,
                                  &n_done, error))
    {
      call->result = n_done;
      return TRUE;
    }
  g_prefix_error (error, "%u of %u messages were published: ", n_done, call->items->len);
  return FALSE;
}

static gboolean
prepare_many (IpcMessageQueue *self, GPtrArray *messages, IpcPriority priority, gint64 ttl, gint64 delay, IpcQueueCall *call, GError **error)
{
  if (!ipc_message_queue_check (self, error) || !check_arguments (self, &priority, ttl, delay, error))
    return FALSE;
  for (guint i = 0; i < messages->len; i++)
    if (!check_message (self, messages->pdata[i], error))
      return FALSE;
  *call = (IpcQueueCall){
    .func = publish_many,
    .end = published,
    .ttl = ttl,
    .delay = delay,
    .items = g_ptr_array_new_full (messages->len, (GDestroyNotify) ipc_queue_item_unref),
  };
  for (guint i = 0; i < messages->len; i++)
    g_ptr_array_add (call->items, make_item (messages->pdata[i], priority, NULL));
  return TRUE;
}

/**
 * ipc_message_queue_publish_many:
 * @self: the queue
 * @messages: (element-type IpcMessage): the messages, without descriptors
 * @priority: their priority
 * @ttl: how long they are worth delivering, in milliseconds; 0 for [property@Ipc.QueueManager:message-ttl], -1 for ever
 * @delay: how long nobody gets them, in milliseconds
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Puts messages into the queue, in their order. If one of them cannot be sent, none is published; if the queue becomes full, those
 * before are in it, and the error says how many.
 *
 * Errors: those of [method@Ipc.MessageQueue.publish].
 *
 * Returns: how many, or -1 with @error set
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_publish_many (IpcMessageQueue *self, GPtrArray *messages, IpcPriority priority, gint64 ttl, gint64 delay,
                                GCancellable *cancellable, GError **error)
{
  g_auto(IpcQueueCall) call = { 0 };

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), -1);
  g_return_val_if_fail (messages != NULL, -1);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  if (!prepare_many (self, messages, priority, ttl, delay, &call, error))
    return -1;
  call.cancellable = cancellable;
  return ipc_queue_call_run (&call, self, STORE (self), error) ? (gint64) call.result : -1;
}

/**
 * ipc_message_queue_publish_many_async:
 * @self: the queue
 * @messages: (element-type IpcMessage): the messages, without descriptors
 * @priority: their priority
 * @ttl: how long they are worth delivering, in milliseconds; 0 for [property@Ipc.QueueManager:message-ttl], -1 for ever
 * @delay: how long nobody gets them, in milliseconds
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when they are in the queue, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.MessageQueue.publish_many], without blocking.
 *
 * Since: 0.1
 */
void
ipc_message_queue_publish_many_async (IpcMessageQueue *self, GPtrArray *messages, IpcPriority priority, gint64 ttl, gint64 delay,
                                      GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_auto(IpcQueueCall) call = { 0 };
  GError *error = NULL;
  GTask *task;

  g_return_if_fail (IPC_IS_MESSAGE_QUEUE (self));
  g_return_if_fail (messages != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_message_queue_publish_many_async);
  if (prepare_many (self, messages, priority, ttl, delay, &call, &error))
    ipc_queue_call_start (&call, task, self->center);
  else
    ipc_task_fail (task, error);
}

/**
 * ipc_message_queue_publish_many_finish:
 * @self: the queue
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MessageQueue.publish_many_async].
 *
 * Returns: how many, or -1 with @error set
 *
 * Since: 0.1
 */
gint64
ipc_message_queue_publish_many_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = NULL;

  g_return_val_if_fail (IPC_IS_MESSAGE_QUEUE (self), -1);
  g_return_val_if_fail (g_task_is_valid (result, self), -1);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_message_queue_publish_many_async), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  call = ipc_queue_call_finish (result, error);
  return call != NULL ? (gint64) call->result : -1;
}
