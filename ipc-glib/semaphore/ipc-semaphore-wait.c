/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Acquiring without blocking: waits that a main loop has pending, any number of them, on one bell (base/ipc-waiter-private.h). */
#include "ipc-semaphore.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "base/ipc-waiter-private.h"
#include "semaphore/ipc-semaphore-private.h"

#define MAX_WAITERS 8u          /* kept */

typedef struct
{
  IpcWait wait;                 /* first, so that it leads here */
  IpcSemaphore *semaphore;      /* (unowned): the task has it */
  IpcSemaphoreState *state;
  IpcSlotsWaiter waiter;
  gint timeout;
} Waiting;

static GError *
get_error (Waiting *self, IpcSlotsOutcome outcome)
{
  GError *error = NULL;

  ipc_semaphore_set_error (self->semaphore, outcome, self->timeout, &error);
  return error;
}

static gboolean
attempt (IpcWait *wait, gint64 *wake_at, gpointer *result, GError **error)
{
  Waiting *self = (Waiting *) wait;
  IpcSlots *slots = &self->state->file.slots;
  unsigned slot;

  if (ipc_slots_wait_try (slots, &self->waiter, &slot, wake_at))
    *result = ipc_permit_take (self->semaphore, self->state, slot, error);
  else if (ipc_shared_file_is_deleted (&self->state->file.object.file))
    g_propagate_error (error, get_error (self, IPC_SLOTS_DELETED));
  else
    return FALSE;
  ipc_slots_wait_end (slots, &self->waiter);
  return TRUE;
}

static GError *
give_up (IpcWait *wait)
{
  Waiting *self = (Waiting *) wait;

  ipc_slots_wait_end (&self->state->file.slots, &self->waiter);
  return get_error (self, IPC_SLOTS_TIMED_OUT);
}

static gboolean
is_woken (IpcWait *wait)
{
  Waiting *self = (Waiting *) wait;

  return ipc_slots_is_woken (&self->state->file.slots, &self->waiter);
}

static guint
watch (IpcWait *wait, IpcFutexWait *waits_for, guint max, gboolean *missed)
{
  Waiting *self = (Waiting *) wait;
  bool has_missed;
  guint n = ipc_slots_watch (&self->state->file.slots, &self->waiter, waits_for, 0, max, &has_missed);

  *missed = has_missed;
  return n;
}

static const IpcWaitFuncs funcs = {
  .attempt = attempt,
  .give_up = give_up,
  .is_woken = is_woken,
  .watch = watch,
  .free_result = (GDestroyNotify) ipc_permit_unref,
};

static gboolean
is_kept (IpcSemaphoreState *state, IpcWaiter *waiter)
{
  for (guint i = 0; i < state->waiters->len; i++)
    if (state->waiters->pdata[i] == waiter)
      return TRUE;
  return FALSE;
}

/* That of CONTEXT, to be released; it is kept for the next wait, too. Threads with contexts of their own may come and go, so only
 * those of the last few are. */
static IpcWaiter *
get_waiter (IpcSemaphoreState *state, GMainContext *context, GError **error)
{
  IpcWaiter *waiter = ipc_waiter_get (context, state->file.object.presence, error), *oldest = NULL;

  if (waiter == NULL)
    return NULL;
  g_mutex_lock (&state->lock);
  if (!is_kept (state, waiter))
    {
      if (state->waiters->len == MAX_WAITERS)
        oldest = g_ptr_array_steal_index (state->waiters, 0);
      g_ptr_array_add (state->waiters, ipc_waiter_keep (waiter));
    }
  g_mutex_unlock (&state->lock);
  if (oldest != NULL)
    ipc_waiter_release (oldest);
  return waiter;
}

static void
return_permit (IpcSemaphore *self, IpcSemaphoreState *state, unsigned slot, GTask *task)
{
  GError *error = NULL;
  IpcPermit *permit = ipc_permit_take (self, state, slot, &error);

  if (permit != NULL)
    g_task_return_pointer (task, permit, (GDestroyNotify) ipc_permit_unref);
  else
    g_task_return_error (task, error);
}

static void
wait_for_permit (IpcSemaphore *self, IpcSemaphoreState *state, gint timeout, GTask *task)
{
  IpcSlots *slots = &state->file.slots;
  GError *error = NULL;
  IpcWaiter *waiter;
  Waiting *waiting;
  gint64 deadline;

  if (!ipc_timeout_to_deadline (timeout, g_atomic_int_get (&self->defaults->default_timeout), &deadline, &error) ||
      (waiter = get_waiter (state, g_task_get_context (task), &error)) == NULL)
    {
      g_task_return_error (task, error);
      g_object_unref (task);
      return;
    }
  waiting = g_new0 (Waiting, 1);
  waiting->semaphore = self;
  waiting->state = state;
  waiting->timeout = timeout;
  g_task_set_task_data (task, waiting, g_free);
  if (ipc_slots_wait_begin (slots, &waiting->waiter, ipc_waiter_get_bell (waiter)))
    ipc_waiter_add (waiter, &waiting->wait, &funcs, task, deadline);
  else
    {
      g_task_return_error (task, get_error (waiting, IPC_SLOTS_TOO_MANY));
      g_object_unref (task);
    }
  ipc_waiter_release (waiter);
}

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
  unsigned slot;
  GTask *task;

  g_return_if_fail (IPC_IS_SEMAPHORE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_semaphore_acquire_async);
  if (!g_task_return_error_if_cancelled (task))
    {
      state = ipc_semaphore_attach (self, &error);
      if (state == NULL)
        g_task_return_error (task, error);
      else if (timeout >= IPC_TIMEOUT_DEFAULT && ipc_slots_try (&state->file.slots, &slot))
        return_permit (self, state, slot, task);
      else
        {
          wait_for_permit (self, state, timeout, task);
          return;
        }
    }
  g_object_unref (task);
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
