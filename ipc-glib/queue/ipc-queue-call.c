/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-call-private.h"

void
ipc_queue_call_clear (IpcQueueCall *call)
{
  g_clear_object (&call->task);
  g_clear_pointer (&call->text, g_free);
  g_clear_pointer (&call->item, ipc_queue_item_unref);
  g_clear_pointer (&call->items, g_ptr_array_unref);
  g_clear_pointer (&call->found, g_ptr_array_unref);
}

void
ipc_queue_call_free (IpcQueueCall *call)
{
  ipc_queue_call_clear (call);
  g_free (call);
}

static void
begin_anew (IpcQueueCall *call)
{
  call->result = 0;
  g_clear_pointer (&call->found, g_ptr_array_unref);
}

gboolean
ipc_queue_call_run (IpcQueueCall *call, gpointer source, IpcQueueStore *store, GError **error)
{
  GError *reason = NULL;

  if (!g_cancellable_set_error_if_cancelled (call->cancellable, &reason))
    call->func (source, call, &reason);
  if (call->end != NULL)
    call->end (source, call, reason);
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, reason);
  return FALSE;
}

/* ---- not waited for ---- */

static gboolean
run (IpcQueueWork *work, GError **error)
{
  IpcQueueCall *call = (IpcQueueCall *) work;

  begin_anew (call);
  return !g_cancellable_set_error_if_cancelled (call->cancellable, error) && call->func (g_task_get_source_object (call->task), call, error);
}

void
ipc_queue_call_tell (IpcQueueCall *call)
{
  g_autoptr(GTask) task = g_steal_pointer (&call->task);
  GError *error = g_steal_pointer (&call->work.error);

  if (error == NULL)
    g_task_return_pointer (task, call, (GDestroyNotify) ipc_queue_call_free);
  else
    {
      ipc_queue_call_free (call);
      g_task_return_error (task, error);
    }
}

static gboolean
tell_in_context (gpointer call)
{
  ipc_queue_call_tell (call);
  return G_SOURCE_REMOVE;
}

/* A task of a context of its own. It may be this thread's, which is in the middle of something. */
static void
tell_elsewhere (IpcQueueCall *call)
{
  g_autoptr(GSource) source = g_idle_source_new ();

  g_source_set_priority (source, g_task_get_priority (call->task));
  g_source_set_callback (source, tell_in_context, call, NULL);
  g_source_attach (source, g_task_get_context (call->task));
}

/* To tell a task from another thread costs a source and a wake-up each. The center tells all of its context that are done at once. */
static void
done (IpcQueueWork *work, GError *error)
{
  IpcQueueCall *call = (IpcQueueCall *) work;

  if (call->end != NULL)
    call->end (g_task_get_source_object (call->task), call, error);
  work->error = error;
  if (IPC_QUEUE_STORE_GET_IFACE (call->center->store)->dispatch == NULL)
    ipc_queue_call_tell (call);
  else if (g_task_get_context (call->task) == call->center->context)
    ipc_queue_center_complete (call->center, call);
  else
    tell_elsewhere (call);
}

void
ipc_queue_call_start (IpcQueueCall *call, GTask *task, IpcQueueCenter *center)
{
  IpcQueueCall *copy = g_memdup2 (call, sizeof *call);

  *call = (IpcQueueCall){ 0 };
  /* What has been done is told, also to whom has cancelled it meanwhile. */
  g_task_set_check_cancellable (task, FALSE);
  copy->task = task;
  copy->center = center;
  copy->cancellable = g_task_get_cancellable (task);
  copy->work.run = run;
  copy->work.done = done;
  ipc_queue_store_dispatch (center->store, &copy->work);
}

IpcQueueCall *
ipc_queue_call_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
