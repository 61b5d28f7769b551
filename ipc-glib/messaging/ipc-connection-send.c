/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sending: what is checked before a message is queued, and how to wait for room
 * in the queue, or for the queue to be written.
 */
#include "base/ipc-task-private.h"
#include "messaging/ipc-plain-private.h"

gboolean
ipc_connection_check_open_locked (IpcConnection *self, GError **error)
{
  if (self->state == IPC_CONNECTION_OPEN && !self->is_channel)
    return TRUE;
  if (self->is_channel)
    g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "%s: whoever writes lines cannot be sent anything", self->peer_name);
  else if (self->state >= IPC_CONNECTION_CLOSING)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s: the connection is closed%s%s", self->peer_name,
                 self->error != NULL ? ": " : "", self->error != NULL ? self->error->message : "");
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "%s: the connection is not open yet", self->peer_name);
  return FALSE;
}

gboolean
ipc_connection_check_size_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  gsize length = ipc_binary_get_length (message);
  guint limit = MIN (self->peer_max_message_size, self->limits.max_message_size);

  if (message->fd_list != NULL && !ipc_connection_check_fds_locked (self, message, error))
    return FALSE;
  if (length <= limit)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE, "%s: message \"%s\" of %" G_GSIZE_FORMAT " bytes exceeds the limit of %u",
               self->peer_name, message->type, length, limit);
  return FALSE;
}

static gboolean
has_room_locked (IpcConnection *self, gsize length)
{
  return self->outbox.queued == 0 || ipc_outbox_get_load (&self->outbox) + length <= ipc_connection_get_queue_limit_locked (self);
}

static void
set_full_error (IpcConnection *self, gsize length, GError **error)
{
  gsize limit = ipc_connection_get_queue_limit_locked (self);
  gsize load = ipc_outbox_get_load (&self->outbox);

  if (limit == self->limits.max_queued_bytes)
    g_set_error (error, IPC_ERROR, IPC_ERROR_FULL, "%s: %" G_GSIZE_FORMAT " bytes wait to be sent, and %" G_GSIZE_FORMAT " more exceed the limit of %u",
                 self->peer_name, load, length, self->limits.max_queued_bytes);
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_FULL, "%s: %" G_GSIZE_FORMAT " bytes wait to be sent, and %" G_GSIZE_FORMAT " more exceed %" G_GSIZE_FORMAT
                 ", its share while all clients hold %" G_GSIZE_FORMAT " of at most %" G_GSIZE_FORMAT " bytes", self->peer_name, load, length, limit,
                 ipc_budget_get_held (&self->ledger->budget), ipc_budget_get_limit (&self->ledger->budget));
}

gboolean
ipc_connection_check_room_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  gsize length = IPC_FRAME_HEADER_SIZE + ipc_binary_get_length (message);

  if (!ipc_connection_check_size_locked (self, message, error))
    return FALSE;
  if (!has_room_locked (self, length) && !self->write_blocked)
    ipc_connection_flush_locked (self);
  if (!has_room_locked (self, length))
    set_full_error (self, length, error);
  else if (message->fd_list == NULL || ipc_connection_check_room_for_fds_locked (self, message, error))
    return TRUE;
  if (!self->is_congested)
    {
      self->is_congested = TRUE;
      self->congested_pending = TRUE;
      ipc_hub_attend (&self->watch);
    }
  return FALSE;
}

static gboolean
send_any_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  IpcEnvelope envelope = { IPC_FRAME_EVENT, 0, 0, NULL };
  guint64 before = self->outbox.total_in;
  guint n_cargos;

  if (!ipc_connection_check_open_locked (self, error) || !ipc_connection_check_room_locked (self, message, error))
    return FALSE;
  n_cargos = self->outbox.n_cargos;
  if (self->wire_format == IPC_WIRE_FORMAT_BINARY ? !ipc_binary_write_message_locked (self, message, &envelope, error)
                                                  : !ipc_json_write_message_locked (self, message, &envelope, error))
    return FALSE;
  /* What has descriptors is not taken out again. */
  if (self->limits.overflow_policy == IPC_OVERFLOW_POLICY_DROP_OLDEST && self->outbox.n_cargos == n_cargos)
    ipc_outbox_mark_event (&self->outbox, (gsize) (self->outbox.total_in - before));
  ipc_connection_note_sent_locked (self);
  return TRUE;
}

gboolean
ipc_connection_send_locked (IpcConnection *self, IpcMessage *message, GError **error)
{
  return ipc_connection_send_plain_locked (self, message) || send_any_locked (self, message, error);
}

/**
 * ipc_connection_send:
 * @self: the connection
 * @message: the message
 * @error: where to put an error
 *
 * Queues an event, from any thread. It does not block.
 *
 * A client that does not take what is sent to it is full as soon as more than `max-queued-bytes` wait. What happens
 * then is up to [property@Ipc.Server:overflow-policy]: by default this fails; with the policies that drop events it
 * succeeds, and [signal@Ipc.Server::message-dropped] tells what was dropped; or the client is disconnected. On the
 * side of the client it always fails.
 *
 * Errors: %IPC_ERROR_NOT_CONNECTED; %IPC_ERROR_FULL, with nothing queued, if more than `max-queued-bytes` wait
 * (use [method@Ipc.Connection.send_async] to wait for room); %IPC_ERROR_TOO_LARGE if the message is larger than
 * either side's `max-message-size`, %IPC_ERROR_LIMIT_EXCEEDED if it has more descriptors than either side's `max-fds`,
 * and %IPC_ERROR_UNSUPPORTED if it has some and the peer speaks JSON; %IPC_ERROR_INVALID_ARGUMENT or %IPC_ERROR_INVALID_DATA if it is malformed.
 *
 * Returns: %TRUE if it was queued, or dropped as the policy has it
 *
 * Since: 0.1
 */
gboolean
ipc_connection_send (IpcConnection *self, IpcMessage *message, GError **error)
{
  gboolean sent;

  g_return_val_if_fail (ipc_connection_is_one (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_error_check_fork (self->generation, self->peer_name, error) || !ipc_message_check (message, FALSE, error))
    return FALSE;
  g_mutex_lock (&self->lock);
  sent = ipc_connection_send_plain_locked (self, message);
  g_mutex_unlock (&self->lock);
  return sent || ipc_connection_send_event (self, message, error) != IPC_SEND_FAILED;
}

/* ---- waiting for room, or for the queue to go ---- */

static void
waiter_free (IpcSendWaiter *waiter)
{
  g_clear_pointer (&waiter->message, ipc_message_unref);
  g_object_unref (waiter->task);
  g_free (waiter);
}

static void
waiter_finish (IpcSendWaiter *waiter, GError *error)
{
  GCancellable *cancellable = g_task_get_cancellable (waiter->task);

  if (cancellable != NULL)
    g_cancellable_disconnect (cancellable, waiter->cancel_id);
  if (error != NULL)
    g_task_return_error (waiter->task, error);
  else
    g_task_return_boolean (waiter->task, TRUE);
  waiter_free (waiter);
}

/* Whether the waiter at the front is done with. *ERROR is how, NULL for well. */
static gboolean
try_waiter_locked (IpcConnection *self, IpcSendWaiter *waiter, GError **error)
{
  GCancellable *cancellable = g_task_get_cancellable (waiter->task);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return TRUE;
  if (waiter->message == NULL && self->state >= IPC_CONNECTION_CLOSED && self->total_out_at_end >= waiter->target)
    return TRUE;
  if (waiter->message == NULL && self->state < IPC_CONNECTION_CLOSED)
    return ipc_outbox_total_out (&self->outbox) >= waiter->target;
  if (waiter->message == NULL)
    {
      ipc_connection_check_open_locked (self, error);
      return TRUE;
    }
  if (ipc_connection_send_locked (self, waiter->message, error))
    return TRUE;
  if (!g_error_matches (*error, IPC_ERROR, IPC_ERROR_FULL))
    return TRUE;
  g_clear_error (error);
  return FALSE;
}

/* In the order in which they came; a message that waits does not let a later one pass. */
void
ipc_connection_serve_waiters (IpcConnection *self)
{
  GQueue done = G_QUEUE_INIT;
  GQueue errors = G_QUEUE_INIT;
  gboolean full = FALSE;

  g_mutex_lock (&self->lock);
  for (GList *link = self->waiters.head, *next; link != NULL; link = next)
    {
      IpcSendWaiter *waiter = link->data;
      GError *error = NULL;

      next = link->next;
      if (full && waiter->message != NULL && !g_cancellable_is_cancelled (g_task_get_cancellable (waiter->task)))
        continue;
      if (!try_waiter_locked (self, waiter, &error))
        {
          full |= waiter->message != NULL;
          continue;
        }
      g_queue_delete_link (&self->waiters, link);
      g_queue_push_tail (&done, waiter);
      g_queue_push_tail (&errors, error);
    }
  g_mutex_unlock (&self->lock);
  while (!g_queue_is_empty (&done))
    waiter_finish (g_queue_pop_head (&done), g_queue_pop_head (&errors));
}

static void
attend_cb (GCancellable *cancellable, gpointer data)
{
  IpcConnection *self = data;

  g_mutex_lock (&self->lock);
  if (self->state < IPC_CONNECTION_CLOSED)
    ipc_hub_attend (&self->watch);
  g_mutex_unlock (&self->lock);
}

/* Takes over TASK. */
static void
add_waiter_locked (IpcConnection *self, GTask *task, IpcMessage *message)
{
  IpcSendWaiter *waiter = g_new0 (IpcSendWaiter, 1);

  waiter->task = task;
  waiter->message = message != NULL ? ipc_message_ref (message) : NULL;
  waiter->target = self->outbox.total_in;
  g_queue_push_tail (&self->waiters, waiter);
  ipc_hub_attend (&self->watch);
}

/* Connected without the lock, because the callback takes it; the waiter may be gone by then. */
static void
watch_waiter (IpcConnection *self, GTask *task)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  gulong id;

  if (cancellable == NULL)
    return;
  id = g_cancellable_connect (cancellable, G_CALLBACK (attend_cb), g_object_ref (self), g_object_unref);
  g_mutex_lock (&self->lock);
  for (GList *link = self->waiters.head; link != NULL; link = link->next)
    if (((IpcSendWaiter *) link->data)->task == task)
      {
        ((IpcSendWaiter *) link->data)->cancel_id = id;
        id = 0;
      }
  g_mutex_unlock (&self->lock);
  if (id != 0)
    g_cancellable_disconnect (cancellable, id);
}

/**
 * ipc_connection_send_async:
 * @self: the connection
 * @message: the message
 * @cancellable: (nullable): stops waiting; what was queued stays queued
 * @callback: (scope async): called when the message was queued
 * @user_data: for @callback
 *
 * Queues an event, waiting for room where [method@Ipc.Connection.send] fails with %IPC_ERROR_FULL. It waits
 * whatever [property@Ipc.Server:overflow-policy] is, and drops nothing; but once queued, the event may be dropped for
 * one that is newer.
 *
 * Since: 0.1
 */
void
ipc_connection_send_async (IpcConnection *self, IpcMessage *message, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;
  gboolean sent;

  g_return_if_fail (IPC_IS_CONNECTION (self));
  g_return_if_fail (message != NULL);

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_connection_send_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (!ipc_error_check_fork (self->generation, self->peer_name, &error) || !ipc_message_check (message, FALSE, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  g_mutex_lock (&self->lock);
  sent = g_queue_is_empty (&self->waiters) && ipc_connection_send_locked (self, message, &error);
  if (!sent && (error == NULL || g_error_matches (error, IPC_ERROR, IPC_ERROR_FULL)))
    {
      g_clear_error (&error);
      add_waiter_locked (self, g_object_ref (task), message);
      g_mutex_unlock (&self->lock);
      watch_waiter (self, task);
      return;
    }
  g_mutex_unlock (&self->lock);
  if (sent)
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/**
 * ipc_connection_send_finish:
 * @self: the connection
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Connection.send_async].
 *
 * Returns: %TRUE if the message was queued
 *
 * Since: 0.1
 */
gboolean
ipc_connection_send_finish (IpcConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * ipc_connection_flush_async:
 * @self: the connection
 * @cancellable: (nullable): stops waiting
 * @callback: (scope async): called when it is done
 * @user_data: for @callback
 *
 * Waits until all that is queued now has been handed to the kernel.
 *
 * Since: 0.1
 */
void
ipc_connection_flush_async (IpcConnection *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (IPC_IS_CONNECTION (self));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_connection_flush_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (!ipc_error_check_fork (self->generation, self->peer_name, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  g_mutex_lock (&self->lock);
  if (self->state != IPC_CONNECTION_CLOSING && !ipc_connection_check_open_locked (self, &error))
    {
      g_mutex_unlock (&self->lock);
      g_task_return_error (task, error);
      return;
    }
  ipc_connection_flush_locked (self);
  add_waiter_locked (self, g_object_ref (task), NULL);
  g_mutex_unlock (&self->lock);
  watch_waiter (self, task);
}

/**
 * ipc_connection_flush_finish:
 * @self: the connection
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Connection.flush_async].
 *
 * Returns: %TRUE if everything was written
 *
 * Since: 0.1
 */
gboolean
ipc_connection_flush_finish (IpcConnection *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static gboolean
is_written (IpcConnection *self, gpointer data)
{
  if (self->write_failed || self->state == IPC_CONNECTION_CLOSED)
    return self->total_out_at_end >= *(guint64 *) data;
  return ipc_outbox_total_out (&self->outbox) >= *(guint64 *) data;
}

/**
 * ipc_connection_flush:
 * @self: the connection
 * @cancellable: (nullable): stops waiting
 * @error: where to put an error
 *
 * Waits in this thread until all that is queued now has been handed to the kernel.
 *
 * Returns: %TRUE if everything was written
 *
 * Since: 0.1
 */
gboolean
ipc_connection_flush (IpcConnection *self, GCancellable *cancellable, GError **error)
{
  guint64 target;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), FALSE);

  if (!ipc_connection_check_may_block (self, error))
    return FALSE;
  g_mutex_lock (&self->lock);
  if (!ipc_connection_check_open_locked (self, error))
    {
      g_mutex_unlock (&self->lock);
      return FALSE;
    }
  ipc_connection_flush_locked (self);
  target = self->outbox.total_in;
  g_mutex_unlock (&self->lock);
  return ipc_connection_wait (self, is_written, &target, 0, "not flushed", cancellable, error);
}
