/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the properties of a semaphore say: read from shared memory when somebody asks, nothing of it is kept.
 */
#include "ipc-semaphore.h"

#include "semaphore/ipc-semaphore-private.h"

/* In a forked child nobody can be asked whether the owners live. */
static guint
count_held (IpcSemaphore *self, const IpcSlotsStatistics *statistics)
{
  if (statistics->held == 0 || self->generation != ipc_fork_generation ())
    return statistics->held;
  return MIN (ipc_semaphore_file_count_held (self->view), self->view->n_permits);
}

void
ipc_semaphore_count (IpcSemaphore *self, IpcSemaphoreCounts *counts)
{
  IpcSlotsStatistics statistics;
  guint64 not_released;

  ipc_slots_count (&self->view->slots, &statistics);
  not_released = statistics.held + statistics.recovered;
  *counts = (IpcSemaphoreCounts){
    .available = self->view->n_permits - MIN (count_held (self, &statistics), self->view->n_permits),
    .waiters = statistics.waiters,
    .acquired = statistics.acquired,
    .released = statistics.acquired - MIN (not_released, statistics.acquired),
    .recovered = statistics.recovered,
    .last_accessed = ipc_semaphore_file_get_last_accessed (self->view),
    .is_deleted = ipc_shared_file_is_deleted (&self->view->object.file),
  };
}

/**
 * ipc_semaphore_get_total_permits: (get-property total-permits)
 * @self: the semaphore
 *
 * Gets how many permits there are.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_get_total_permits (IpcSemaphore *self)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  return self->view->n_permits;
}

/**
 * ipc_semaphore_get_available_permits: (get-property available-permits)
 * @self: the semaphore
 *
 * Gets how many permits no living process holds. By the time that the caller looks at it, it may be another number: to
 * find out whether one can be had, try to acquire it.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_get_available_permits (IpcSemaphore *self)
{
  IpcSemaphoreCounts counts;

  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  ipc_semaphore_count (self, &counts);
  return counts.available;
}

/**
 * ipc_semaphore_get_waiters: (get-property waiters)
 * @self: the semaphore
 *
 * Gets how many wait for a permit, in all processes.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_get_waiters (IpcSemaphore *self)
{
  IpcSlotsStatistics statistics;

  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  ipc_slots_count (&self->view->slots, &statistics);
  return statistics.waiters;
}

/**
 * ipc_semaphore_get_acquired_count: (get-property acquired-count)
 * @self: the semaphore
 *
 * Gets how often a permit was acquired, by all processes since the semaphore was made.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_semaphore_get_acquired_count (IpcSemaphore *self)
{
  IpcSlotsStatistics statistics;

  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  ipc_slots_count (&self->view->slots, &statistics);
  return statistics.acquired;
}

/**
 * ipc_semaphore_get_released_count: (get-property released-count)
 * @self: the semaphore
 *
 * Gets how often a permit was given back by who held it. While processes acquire and release, the number may be off by the
 * few that do so just now.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_semaphore_get_released_count (IpcSemaphore *self)
{
  IpcSemaphoreCounts counts;

  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  ipc_semaphore_count (self, &counts);
  return counts.released;
}

/**
 * ipc_semaphore_get_recovered_count: (get-property recovered-count)
 * @self: the semaphore
 *
 * Gets how often a permit was taken back from a process that had died.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_semaphore_get_recovered_count (IpcSemaphore *self)
{
  IpcSlotsStatistics statistics;

  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  ipc_slots_count (&self->view->slots, &statistics);
  return statistics.recovered;
}

/**
 * ipc_semaphore_get_created_at: (get-property created-at)
 * @self: the semaphore
 *
 * Gets when it was made.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_semaphore_get_created_at (IpcSemaphore *self)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  return self->view->object.file.info.created_at;
}

/**
 * ipc_semaphore_get_last_accessed: (get-property last-accessed)
 * @self: the semaphore
 *
 * Gets when a process last opened it, left it, or acquired a permit. To read its properties is no access.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_semaphore_get_last_accessed (IpcSemaphore *self)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), 0);

  return ipc_semaphore_file_get_last_accessed (self->view);
}

/**
 * ipc_semaphore_get_is_deleted: (get-property is-deleted)
 * @self: the semaphore
 *
 * Whether it was deleted.
 *
 * Returns: %TRUE if it was
 *
 * Since: 0.1
 */
gboolean
ipc_semaphore_get_is_deleted (IpcSemaphore *self)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), FALSE);

  return ipc_shared_file_is_deleted (&self->view->object.file);
}
