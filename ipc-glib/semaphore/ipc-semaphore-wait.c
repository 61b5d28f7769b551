/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acquiring without blocking: waits that a main loop has pending (base/ipc-slot-wait-private.h). */
#include "ipc-semaphore.h"

#include "base/ipc-slot-wait-private.h"
#include "base/ipc-task-private.h"
#include "semaphore/ipc-semaphore-private.h"

static gpointer
take (gpointer owner, unsigned slot, GError **error)
{
  IpcSemaphore *self = owner;

  return ipc_permit_take (self, atomic_load (&self->attached), slot, error);
}

static GError *
fail (gpointer owner, IpcSlotsOutcome outcome, gint timeout)
{
  GError *error = NULL;

  ipc_semaphore_set_error (owner, outcome, timeout, &error);
  return error;
}

static const IpcSlotWaitFuncs funcs = {
  IPC_SLOT_WAIT ((GDestroyNotify) ipc_permit_unref),
  .take = take,
  .fail = fail,
};

/**
 * ipc_semaphore_acquire_async:
 * @self: the semaphore
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for
 *   [property@Ipc.SemaphoreManager:default-timeout]
 * @cancellable: (nullable): cancels waiting
 * @callback: (scope async) (nullable): called when there is a permit, or an error
 * @user_data: (closure): for @callback
 *
 * Acquires a permit without blocking.
 *
 * Waiting costs no thread, and less than 1 KiB of memory; a thousand waits may be pending. Those of a process are served
 * in the order in which they began, and so are those of different processes that have waited for a millisecond.
 * The permit may be there at once; @callback is called later all the same, in the thread-default main context of
 * the caller.
 *
 * A permit that is this process's turn is kept for it until the main context runs: whoever waits should not block it.
 *
 * Errors, in [method@Ipc.Semaphore.acquire_finish]: those of [method@Ipc.Semaphore.acquire].
 *
 * Since: 0.1
 */
void
ipc_semaphore_acquire_async (IpcSemaphore *self, gint timeout, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  IpcSemaphoreState *state;
  GError *error = NULL;
  GTask *task;

  g_return_if_fail (IPC_IS_SEMAPHORE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_semaphore_acquire_async);
  if (g_task_return_error_if_cancelled (task))
    g_object_unref (task);
  else if ((state = ipc_semaphore_attach (self, &error)) != NULL)
    ipc_slot_acquire_async (&state->file.slots, &state->waiters, timeout, g_atomic_int_get (&self->defaults->default_timeout), task, self,
                            &funcs);
  else
    {
      g_task_return_error (task, error);
      g_object_unref (task);
    }
}

/**
 * ipc_semaphore_acquire_finish:
 * @self: the semaphore
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.Semaphore.acquire_async].
 *
 * Returns: (transfer full): a permit, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcPermit *
ipc_semaphore_acquire_finish (IpcSemaphore *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), NULL);
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_semaphore_acquire_async), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}
