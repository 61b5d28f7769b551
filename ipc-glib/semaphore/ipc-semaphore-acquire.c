/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Acquiring, in the calling thread. While a permit is free, all there is beside the one instruction that takes it is to see
 * that the process is the right one, and to write down the time.
 */
#include "ipc-semaphore.h"

#include "base/ipc-error-private.h"
#include "base/ipc-once-private.h"
#include "base/ipc-slot-wait-private.h"
#include "base/ipc-task-private.h"
#include "semaphore/ipc-semaphore-private.h"

void
ipc_semaphore_set_error (IpcSemaphore *self, IpcSlotsOutcome outcome, gint timeout, GError **error)
{
  switch (outcome)
    {
    case IPC_SLOTS_TIMED_OUT:
      if (timeout == IPC_TIMEOUT_DEFAULT)
        timeout = g_atomic_int_get (&self->defaults->default_timeout);
      g_set_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT, "semaphore \"%s\": none of %u permits was to be had within %d ms",
                   self->name, self->view->n_permits, timeout);
      break;
    case IPC_SLOTS_CANCELLED:
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "semaphore \"%s\": waiting for a permit was cancelled", self->name);
      break;
    case IPC_SLOTS_DELETED:
      g_set_error (error, IPC_ERROR, IPC_ERROR_DELETED, "semaphore \"%s\" was deleted, and none of its %u permits is free",
                   self->name, self->view->n_permits);
      break;
    case IPC_SLOTS_TOO_MANY:
      g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "semaphore \"%s\": %u wait for a permit already, the limit is %u",
                   self->name, self->view->slots.n_waiters, self->view->slots.n_waiters);
      break;
    case IPC_SLOTS_ACQUIRED:
    default:
      g_assert_not_reached ();
    }
}

void
ipc_semaphore_set_broken (IpcSemaphore *self, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "semaphore \"%s\": its file was truncated by another process", self->name);
}

/* What the dead hold is free. Most deaths are hinted at, and ipc_slots_try() looks for those; this asks about each owner. */
static gboolean
recover_and_try (IpcSemaphoreState *state, unsigned *slot)
{
  return ipc_slots_recover (&state->file.slots) > 0 && ipc_slots_try (&state->file.slots, slot);
}

/* Who tries all the time does not ask the kernel each time. */
static gboolean
try_harder (IpcSemaphoreState *state, unsigned *slot)
{
  gint64 now = ipc_futex_now ();

  if (now < atomic_load_explicit (&state->next_sweep, memory_order_relaxed))
    return FALSE;
  atomic_store_explicit (&state->next_sweep, now + IPC_SLOTS_SWEEP_NS, memory_order_relaxed);
  return recover_and_try (state, slot);
}

/**
 * ipc_semaphore_try_acquire:
 * @self: the semaphore
 * @error: return location for an error
 *
 * Acquires a permit if one is free. It never waits.
 *
 * Free permits that are about to go to those who wait are not free for who comes by.
 *
 * Errors: %IPC_ERROR_FORKED; %IPC_ERROR_CORRUPT if another process has truncated the file;
 * and, where the semaphore is from the list of a manager and was not acquired yet, those of
 * [method@Ipc.SemaphoreManager.open_semaphore], and %IPC_ERROR_DELETED.
 *
 * Returns: (transfer full) (nullable): a permit; %NULL if none is free, or with @error set
 *
 * Since: 0.1
 */
IpcPermit *
ipc_semaphore_try_acquire (IpcSemaphore *self, GError **error)
{
  IpcSemaphoreState *state;
  unsigned slot;

  g_return_val_if_fail (ipc_semaphore_check (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  state = ipc_semaphore_attach (self, error);
  if (G_UNLIKELY (state == NULL))
    return NULL;
  if (G_LIKELY (ipc_slots_try (&state->file.slots, &slot)) || try_harder (state, &slot))
    return ipc_permit_take (self, state, slot, error);
  return NULL;
}

/* ---- waiting ---- */

/* TIMEOUT 0: nobody is put into the queue. */
static IpcSlotsOutcome
look_for_slot (IpcSemaphoreState *state, unsigned *slot)
{
  if (recover_and_try (state, slot))
    return IPC_SLOTS_ACQUIRED;
  return ipc_shared_file_is_deleted (&state->file.object.file) ? IPC_SLOTS_DELETED : IPC_SLOTS_TIMED_OUT;
}

/**
 * ipc_semaphore_acquire:
 * @self: the semaphore
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for
 *   [property@Ipc.SemaphoreManager:default-timeout]
 * @cancellable: (nullable): cancels waiting, from another thread
 * @error: return location for an error
 *
 * Acquires a permit, and waits until there is one. It blocks the thread and does not run its main context.
 *
 * Errors: %IPC_ERROR_TIMED_OUT; %G_IO_ERROR_CANCELLED; %IPC_ERROR_DELETED if the semaphore is deleted while none is free;
 * %IPC_ERROR_LIMIT_EXCEEDED if 4096 wait already, in all processes; %IPC_ERROR_INVALID_ARGUMENT for a timeout below -2; %IPC_ERROR_FORKED;
 * %IPC_ERROR_CORRUPT if another process has truncated the file; and, where the semaphore is from the list of a manager and was not acquired yet, those of
 * [method@Ipc.SemaphoreManager.open_semaphore].
 *
 * Returns: (transfer full): a permit, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcPermit *
ipc_semaphore_acquire (IpcSemaphore *self, gint timeout, GCancellable *cancellable, GError **error)
{
  IpcSemaphoreState *state;
  IpcSlotsOutcome outcome;
  gint64 deadline;
  unsigned slot;

  g_return_val_if_fail (ipc_semaphore_check (self), NULL);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return NULL;
  state = ipc_semaphore_attach (self, error);
  if (G_UNLIKELY (state == NULL))
    return NULL;
  if (G_LIKELY (timeout >= IPC_TIMEOUT_DEFAULT && ipc_slots_try (&state->file.slots, &slot)))
    return ipc_permit_take (self, state, slot, error);
  if (!ipc_timeout_to_deadline (timeout, g_atomic_int_get (&self->defaults->default_timeout), &deadline, error))
    return NULL;
  outcome = timeout == 0 ? look_for_slot (state, &slot) : ipc_slot_acquire (&state->file.slots, deadline, cancellable, &slot);
  if (outcome == IPC_SLOTS_ACQUIRED)
    return ipc_permit_take (self, state, slot, error);
  ipc_semaphore_set_error (self, outcome, timeout, error);
  return NULL;
}
