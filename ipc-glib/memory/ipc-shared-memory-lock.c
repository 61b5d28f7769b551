/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock for what takes more than one read or write. It is a permit (core/ipc-slots.h), so that no crash keeps it, and a word
 * that says whether somebody died with it: it is set by who has got the lock, and put back before it is given away.
 */
#include "ipc-shared-memory.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "memory/ipc-shared-memory-private.h"

/* ---- having it ---- */

/* The slot is ours. FALSE with OWNER_DIED: so is the lock. */
static gboolean
take (IpcSharedMemory *self, IpcSegment *segment, GError **error)
{
  _Atomic guint32 *state = ipc_segment_get_state (segment);
  gboolean in_doubt = atomic_load (state) != IPC_SEGMENT_AT_REST;

  if (!ipc_shared_file_is_intact (&segment->object.file))
    {
      ipc_slots_release (&segment->lock, 0);
      ipc_shared_memory_set_corrupt (self, error);
      return FALSE;
    }
  atomic_store (state, in_doubt ? IPC_SEGMENT_IN_DOUBT : IPC_SEGMENT_IN_HAND);
  g_atomic_int_set (&self->has_lock, TRUE);
  if (!in_doubt)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_OWNER_DIED,
               "segment \"%s\": a process died with its lock, which is ours now; what it was about to change may be half done",
               ipc_shared_memory_describe (self));
  return FALSE;
}

/* FALSE: it does not have it. */
static gboolean
give_back (IpcSharedMemory *self)
{
  IpcSegment *segment = atomic_load (&self->attached);
  _Atomic guint32 *state;

  if (!g_atomic_int_compare_and_exchange (&self->has_lock, TRUE, FALSE))
    return FALSE;
  state = ipc_segment_get_state (segment);
  if (atomic_load (state) == IPC_SEGMENT_IN_HAND)
    atomic_store (state, IPC_SEGMENT_AT_REST);
  ipc_slots_release (&segment->lock, 0);
  return TRUE;
}

void
ipc_shared_memory_drop_lock (IpcSharedMemory *self)
{
  if (self->generation == ipc_fork_generation ())
    give_back (self);
}

/* What is to be said of an outcome that is not ACQUIRED. */
static void
set_error (IpcSharedMemory *self, IpcSlotsOutcome outcome, gint timeout, GError **error)
{
  const char *name = ipc_shared_memory_describe (self);

  switch (outcome)
    {
    case IPC_SLOTS_TIMED_OUT:
      g_set_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT, "segment \"%s\": its lock was not to be had within %d ms", name,
                   timeout == IPC_TIMEOUT_DEFAULT ? IPC_SHARED_MEMORY_DEFAULT_TIMEOUT : timeout);
      break;
    case IPC_SLOTS_CANCELLED:
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "segment \"%s\": waiting for its lock was cancelled", name);
      break;
    case IPC_SLOTS_DELETED:
      g_set_error (error, IPC_ERROR, IPC_ERROR_DELETED, "segment \"%s\" was deleted, and somebody has its lock", name);
      break;
    case IPC_SLOTS_TOO_MANY:
      g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "segment \"%s\": %u wait for its lock already, the limit is %u", name,
                   self->view->lock.n_waiters, self->view->lock.n_waiters);
      break;
    case IPC_SLOTS_ACQUIRED:
    default:
      g_assert_not_reached ();
    }
}

/* (nullable) (transfer none): attached, and among processes that know one another. */
static IpcSegment *
attach (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment = ipc_shared_memory_attach (self, error);

  if (segment == NULL || segment->section.locks)
    return segment;
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "segment \"%s\" is only open for reading here, or belongs to processes of another scope",
               ipc_shared_memory_describe (self));
  return NULL;
}

/* Never waits. */
static gboolean
try_slot (IpcSegment *segment)
{
  unsigned slot;

  return ipc_slots_try (&segment->lock, &slot) || (ipc_slots_recover (&segment->lock) > 0 && ipc_slots_try (&segment->lock, &slot));
}

/**
 * ipc_shared_memory_try_lock:
 * @self: the segment
 * @error: return location for an error
 *
 * Takes the lock of the segment if nobody has it. It never waits.
 *
 * Errors: those of [method@Ipc.SharedMemory.lock]. With %IPC_ERROR_OWNER_DIED the lock is taken.
 *
 * Returns: %TRUE if it was taken; %FALSE if somebody has it, or with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_try_lock (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  segment = attach (self, error);
  return segment != NULL && try_slot (segment) && take (self, segment, error);
}

/**
 * ipc_shared_memory_lock:
 * @self: the segment
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for 30 seconds
 * @cancellable: (nullable): cancels waiting, from another thread
 * @error: return location for an error
 *
 * Takes the lock of the segment, and waits until it can be had. It blocks the thread and does not run its main context.
 *
 * It is for changes that are more than one write. It keeps nobody from reading and writing who does not take it. It belongs
 * to this object: who takes it a second time waits for himself.
 *
 * If the one who had it died, this fails with %IPC_ERROR_OWNER_DIED, *and the lock is taken*: look at what the dead process may have left
 * half done, repair it, call [method@Ipc.SharedMemory.mark_consistent], and [method@Ipc.SharedMemory.unlock]. Who unlocks without
 * that leaves the matter to the next one, who is told the same.
 *
 * Errors: %IPC_ERROR_OWNER_DIED; %IPC_ERROR_TIMED_OUT; %G_IO_ERROR_CANCELLED; %IPC_ERROR_DELETED if the segment is deleted while another
 * one has the lock; %IPC_ERROR_LIMIT_EXCEEDED if 1024 wait for it; %IPC_ERROR_INVALID_ARGUMENT for a timeout below -2;
 * %IPC_ERROR_UNSUPPORTED for a segment of somebody else that can only be read; %IPC_ERROR_CORRUPT; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_lock (IpcSharedMemory *self, gint timeout, GCancellable *cancellable, GError **error)
{
  IpcSegment *segment;
  IpcSlotsOutcome outcome;
  gint64 deadline;
  unsigned slot;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  segment = attach (self, error);
  if (segment == NULL || !ipc_timeout_to_deadline (timeout, IPC_SHARED_MEMORY_DEFAULT_TIMEOUT, &deadline, error))
    return FALSE;
  if (try_slot (segment))
    return take (self, segment, error);
  outcome = timeout == 0 ? IPC_SLOTS_TIMED_OUT : ipc_slot_acquire (&segment->lock, deadline, cancellable, &slot);
  if (outcome == IPC_SLOTS_ACQUIRED)
    return take (self, segment, error);
  set_error (self, outcome, timeout, error);
  return FALSE;
}

/* ---- without blocking ---- */

static gpointer
take_cb (gpointer owner, unsigned slot, GError **error)
{
  IpcSharedMemory *self = owner;

  return take (self, atomic_load (&self->attached), error) ? g_object_ref (self) : NULL;
}

static GError *
fail_cb (gpointer owner, IpcSlotsOutcome outcome, gint timeout)
{
  GError *error = NULL;

  set_error (owner, outcome, timeout, &error);
  return error;
}

/* Nobody wanted to know that it was taken. */
static void
drop_result (gpointer result)
{
  ipc_shared_memory_drop_lock (result);
  g_object_unref (result);
}

static const IpcSlotWaitFuncs funcs = {
  IPC_SLOT_WAIT (drop_result),
  .take = take_cb,
  .fail = fail_cb,
};

/**
 * ipc_shared_memory_lock_async:
 * @self: the segment
 * @timeout: in milliseconds; -1 for ever, 0 not to wait, %IPC_TIMEOUT_DEFAULT for 30 seconds
 * @cancellable: (nullable): cancels waiting
 * @callback: (scope async) (nullable): called when the lock is taken, or there is an error
 * @user_data: (closure): for @callback
 *
 * Takes the lock of the segment without blocking. Waiting costs no thread.
 *
 * Errors, in [method@Ipc.SharedMemory.lock_finish]: those of [method@Ipc.SharedMemory.lock].
 *
 * Since: 0.1
 */
void
ipc_shared_memory_lock_async (IpcSharedMemory *self, gint timeout, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  IpcSegment *segment;
  GError *error = NULL;
  GTask *task;

  g_return_if_fail (IPC_IS_SHARED_MEMORY (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_shared_memory_lock_async);
  if (g_task_return_error_if_cancelled (task))
    {
      g_object_unref (task);
      return;
    }
  /* What it says when it is complete is so: an owner that died is told of together with the lock. */
  g_task_set_check_cancellable (task, FALSE);
  segment = attach (self, &error);
  if (segment != NULL)
    {
      ipc_slot_acquire_async (&segment->lock, &self->waiters, timeout, IPC_SHARED_MEMORY_DEFAULT_TIMEOUT, task, self, &funcs);
      return;
    }
  g_task_return_error (task, error);
  g_object_unref (task);
}

/**
 * ipc_shared_memory_lock_finish:
 * @self: the segment
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.SharedMemory.lock_async].
 *
 * Returns: %FALSE with @error set; with %IPC_ERROR_OWNER_DIED the lock is taken
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_lock_finish (IpcSharedMemory *self, GAsyncResult *result, GError **error)
{
  IpcSharedMemory *taken;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_shared_memory_lock_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  taken = g_task_propagate_pointer (G_TASK (result), error);
  if (taken == NULL)
    return FALSE;
  g_object_unref (taken);
  return TRUE;
}

/* ---- giving it back ---- */

/**
 * ipc_shared_memory_unlock:
 * @self: the segment
 * @error: return location for an error
 *
 * Gives the lock back. Any thread may do so. It goes back by itself when @self is finalized.
 *
 * Errors: %IPC_ERROR_NOT_HELD if this object does not have it; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_unlock (IpcSharedMemory *self, GError **error)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_error_check_fork (self->generation, "the segment", error))
    return FALSE;
  if (give_back (self))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD, "segment \"%s\": its lock is not held by this object", ipc_shared_memory_describe (self));
  return FALSE;
}

/* ---- after a death ---- */

/* Without the lock, for as long as it takes. */
static gboolean
borrow_slot (IpcSharedMemory *self, IpcSegment *segment, GError **error)
{
  if (g_atomic_int_get (&self->has_lock) || try_slot (segment))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD, "segment \"%s\": somebody else has its lock", ipc_shared_memory_describe (self));
  return FALSE;
}

static gboolean
accept_torn (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;
  IpcSectionOutcome outcome;
  guint n_tries = 0;

  do
    {
      IpcMap *map;
      IpcSectionData data;

      if (!ipc_shared_memory_locate (self, IPC_ACCESS_WRITE, 0, 0, &segment, &map, &data, error))
        return FALSE;
      outcome = ipc_section_accept (&segment->section, &data);
    }
  while (outcome != IPC_SECTION_DONE && ipc_shared_memory_resolve (self, segment, outcome, 0, 0, &n_tries, error));
  return outcome == IPC_SECTION_DONE;
}

/**
 * ipc_shared_memory_mark_consistent:
 * @self: the segment
 * @error: return location for an error
 *
 * Says that what is in the segment is as it should be, after a process has died in the middle of changing it.
 *
 * [method@Ipc.SharedMemory.lock] does not fail with %IPC_ERROR_OWNER_DIED any more after that, nor does
 * [method@Ipc.SharedMemory.read]. Bytes that a process was writing when it was killed are then whatever there is; to write all
 * of them anew makes them whole without this.
 *
 * Call it with the lock, so that nobody else repairs meanwhile. Without, it works while nobody has the lock.
 *
 * Errors: %IPC_ERROR_NOT_HELD if somebody else has the lock; %IPC_ERROR_PERMISSION_DENIED if it is not open for writing;
 * %IPC_ERROR_CORRUPT; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_mark_consistent (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;
  gboolean done, had_lock;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  segment = attach (self, error);
  if (segment == NULL)
    return FALSE;
  had_lock = g_atomic_int_get (&self->has_lock);
  if (!borrow_slot (self, segment, error))
    return FALSE;
  done = accept_torn (self, error);
  if (done)
    atomic_store (ipc_segment_get_state (segment), had_lock ? IPC_SEGMENT_IN_HAND : IPC_SEGMENT_AT_REST);
  if (!had_lock)
    ipc_slots_release (&segment->lock, 0);
  return done;
}
