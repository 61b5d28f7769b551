/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making, opening and deleting queues.
 */
#include "queue/ipc-queue-manager-private.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "core/ipc-name.h"
#include "queue/ipc-queue-call-private.h"

IpcMessageQueue *
ipc_queue_manager_hand_out (IpcQueueManager *self, const char *name)
{
  IpcMessageQueue *queue = ipc_handed_out_get (self->center->queues, name);

  /* One that was deleted stays so. */
  if (queue != NULL && !g_atomic_int_get (&queue->is_deleted))
    return queue;
  g_clear_object (&queue);
  queue = ipc_message_queue_new (self->center, name);
  ipc_handed_out_add (self->center->queues, name, queue);
  return queue;
}

static gboolean
may_begin (IpcQueueManager *self, const char *name, GCancellable *cancellable, GError **error)
{
  IpcFault fault = { 0 };

  if (!ipc_error_check_fork (self->generation, "the manager", error) ||
      (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error)))
    return FALSE;
  if (ipc_name_check (name, &fault))
    return TRUE;
  ipc_error_set_fault (error, &fault, "queue");
  return FALSE;
}

static gboolean
create (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcQueueStore *store = IPC_QUEUE_MANAGER (source)->center->store;

  return IPC_QUEUE_STORE_GET_IFACE (store)->create_queue (store, call->text, error);
}

static gboolean
open_existing (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcQueueStore *store = IPC_QUEUE_MANAGER (source)->center->store;

  return IPC_QUEUE_STORE_GET_IFACE (store)->has_queue (store, call->text, error);
}

static gboolean
delete (gpointer source, IpcQueueCall *call, GError **error)
{
  IpcQueueStore *store = IPC_QUEUE_MANAGER (source)->center->store;

  return IPC_QUEUE_STORE_GET_IFACE (store)->delete_queue (store, call->text, error);
}

static gboolean
prepare (IpcQueueManager *self, IpcQueueCallFunc func, const char *name, GCancellable *cancellable, IpcQueueCall *call, GError **error)
{
  guint position;

  if (!may_begin (self, name, cancellable, error) ||
      (func == create && !ipc_queue_manager_find (self, name, &position) && !ipc_manager_check_room (IPC_MANAGER (self), error)))
    return FALSE;
  *call = (IpcQueueCall){ .func = func, .cancellable = cancellable, .text = g_strdup (name) };
  return TRUE;
}

/* The list agrees with the store before the object is handed out. */
static IpcMessageQueue *
list_and_hand_out (IpcQueueManager *self, const char *name)
{
  ipc_queue_manager_set_listed (self, name, TRUE);
  /* Whoever begins to listen to it in this turn is heard of. */
  if (ipc_queue_manager_supports (self, IPC_QUEUE_FEATURE_SHARED))
    ipc_queue_center_wake (self->center);
  return ipc_queue_manager_hand_out (self, name);
}

static void
forget (IpcQueueManager *self, const char *name)
{
  g_autoptr(IpcMessageQueue) queue = ipc_handed_out_get (self->center->queues, name);

  /* Before another one of that name is made. */
  ipc_queue_center_expect_echo (self->center, name);
  if (queue != NULL)
    {
      g_atomic_int_set (&queue->is_deleted, TRUE);
      ipc_queue_center_note_gone (self->center, queue);
    }
  ipc_queue_manager_set_listed (self, name, FALSE);
}

static gboolean
run (IpcQueueManager *self, IpcQueueCallFunc func, const char *name, GCancellable *cancellable, GError **error)
{
  g_auto(IpcQueueCall) call = { 0 };

  return prepare (self, func, name, cancellable, &call, error) && ipc_queue_call_run (&call, self, self->center->store, error);
}

/* Takes TASK. */
static void
start (IpcQueueManager *self, IpcQueueCallFunc func, const char *name, GTask *task)
{
  g_auto(IpcQueueCall) call = { 0 };
  GError *error = NULL;

  if (prepare (self, func, name, g_task_get_cancellable (task), &call, &error))
    ipc_queue_call_start (&call, task, self->center);
  else
    ipc_task_fail (task, error);
}

/**
 * ipc_queue_manager_create_queue:
 * @self: the manager
 * @name: its name
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Makes a queue, and opens it.
 *
 * Errors: %IPC_ERROR_EXISTS; %IPC_ERROR_INVALID_NAME; %IPC_ERROR_LIMIT_EXCEEDED if there are [property@Ipc.Manager:max-items]
 * queues; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the queue, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMessageQueue *
ipc_queue_manager_create_queue (IpcQueueManager *self, const char *name, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return run (self, create, name, cancellable, error) ? list_and_hand_out (self, name) : NULL;
}

/**
 * ipc_queue_manager_create_queue_async:
 * @self: the manager
 * @name: its name
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.QueueManager.create_queue], without blocking.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_create_queue_async (IpcQueueManager *self, const char *name, GCancellable *cancellable, GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, create, name, ipc_task_new (self, cancellable, callback, user_data, ipc_queue_manager_create_queue_async));
}

/**
 * ipc_queue_manager_create_queue_finish:
 * @self: the manager
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.QueueManager.create_queue_async].
 *
 * Returns: (transfer full): the queue, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMessageQueue *
ipc_queue_manager_create_queue_finish (IpcQueueManager *self, GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = NULL;

  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_queue_manager_create_queue_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  call = ipc_queue_call_finish (result, error);
  return call != NULL ? list_and_hand_out (self, call->text) : NULL;
}

/**
 * ipc_queue_manager_open_queue:
 * @self: the manager
 * @name: its name
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Opens a queue that exists. As long as somebody has it, this manager returns the same object.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the queue, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMessageQueue *
ipc_queue_manager_open_queue (IpcQueueManager *self, const char *name, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return run (self, open_existing, name, cancellable, error) ? list_and_hand_out (self, name) : NULL;
}

/**
 * ipc_queue_manager_open_queue_async:
 * @self: the manager
 * @name: its name
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.QueueManager.open_queue], without blocking.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_open_queue_async (IpcQueueManager *self, const char *name, GCancellable *cancellable, GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, open_existing, name, ipc_task_new (self, cancellable, callback, user_data, ipc_queue_manager_open_queue_async));
}

/**
 * ipc_queue_manager_open_queue_finish:
 * @self: the manager
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.QueueManager.open_queue_async].
 *
 * Returns: (transfer full): the queue, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMessageQueue *
ipc_queue_manager_open_queue_finish (IpcQueueManager *self, GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = NULL;

  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_queue_manager_open_queue_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  call = ipc_queue_call_finish (result, error);
  return call != NULL ? list_and_hand_out (self, call->text) : NULL;
}

/**
 * ipc_queue_manager_delete_queue:
 * @self: the manager
 * @name: its name
 * @cancellable: (nullable): cancels it before it has begun
 * @error: return location for an error
 *
 * Deletes a queue, and all its messages. Who waits for one of them fails with %IPC_ERROR_DELETED.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %G_IO_ERROR_CANCELLED; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_queue_manager_delete_queue (IpcQueueManager *self, const char *name, GCancellable *cancellable, GError **error)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!run (self, delete, name, cancellable, error))
    return FALSE;
  forget (self, name);
  return TRUE;
}

/**
 * ipc_queue_manager_delete_queue_async:
 * @self: the manager
 * @name: its name
 * @cancellable: (nullable): cancels it before it has begun
 * @callback: (scope async) (nullable): called when it is done, or there is an error
 * @user_data: (closure): for @callback
 *
 * The same as [method@Ipc.QueueManager.delete_queue], without blocking.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_delete_queue_async (IpcQueueManager *self, const char *name, GCancellable *cancellable, GAsyncReadyCallback callback,
                                   gpointer user_data)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  start (self, delete, name, ipc_task_new (self, cancellable, callback, user_data, ipc_queue_manager_delete_queue_async));
}

/**
 * ipc_queue_manager_delete_queue_finish:
 * @self: the manager
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.QueueManager.delete_queue_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_queue_manager_delete_queue_finish (IpcQueueManager *self, GAsyncResult *result, GError **error)
{
  g_autoptr(IpcQueueCall) call = NULL;

  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_queue_manager_delete_queue_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  call = ipc_queue_call_finish (result, error);
  if (call == NULL)
    return FALSE;
  forget (self, call->text);
  return TRUE;
}
