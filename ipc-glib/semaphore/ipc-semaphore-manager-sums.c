/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all semaphores of a scope have together, read when somebody asks.
 */
#include "semaphore/ipc-semaphore-manager-private.h"

void
ipc_semaphore_manager_sum_up (IpcSemaphoreManager *self, IpcSemaphoreSums *sums)
{
  GListModel *items = ipc_manager_get_items (IPC_MANAGER (self));
  guint n_items = g_list_model_get_n_items (items);

  *sums = (IpcSemaphoreSums){ 0 };
  for (guint i = 0; i < n_items; i++)
    {
      g_autoptr(IpcSemaphore) semaphore = g_list_model_get_item (items, i);
      IpcSemaphoreCounts counts;

      ipc_semaphore_count (semaphore, &counts);
      sums->total += ipc_semaphore_get_total_permits (semaphore);
      sums->available += counts.available;
      sums->waiters += counts.waiters;
    }
}

gdouble
ipc_semaphore_sums_get_utilization (const IpcSemaphoreSums *sums)
{
  return sums->total > 0 ? (gdouble) (sums->total - sums->available) / sums->total : 0;
}

/**
 * ipc_semaphore_manager_get_total_permits: (get-property total-permits)
 * @self: the manager
 *
 * Gets how many permits all semaphores of the scope have together.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_manager_get_total_permits (IpcSemaphoreManager *self)
{
  IpcSemaphoreSums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  ipc_semaphore_manager_sum_up (self, &sums);
  return sums.total;
}

/**
 * ipc_semaphore_manager_get_available_permits: (get-property available-permits)
 * @self: the manager
 *
 * Gets how many of the permits of all semaphores of the scope no living process holds.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_manager_get_available_permits (IpcSemaphoreManager *self)
{
  IpcSemaphoreSums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  ipc_semaphore_manager_sum_up (self, &sums);
  return sums.available;
}

/**
 * ipc_semaphore_manager_get_total_waiters: (get-property total-waiters)
 * @self: the manager
 *
 * Gets how many wait for a permit of any semaphore of the scope, in all processes.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_manager_get_total_waiters (IpcSemaphoreManager *self)
{
  IpcSemaphoreSums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  ipc_semaphore_manager_sum_up (self, &sums);
  return sums.waiters;
}

/**
 * ipc_semaphore_manager_get_utilization: (get-property utilization)
 * @self: the manager
 *
 * Gets which share of all permits is held.
 *
 * Returns: from 0 to 1; 0 if there are none
 *
 * Since: 0.1
 */
gdouble
ipc_semaphore_manager_get_utilization (IpcSemaphoreManager *self)
{
  IpcSemaphoreSums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  ipc_semaphore_manager_sum_up (self, &sums);
  return ipc_semaphore_sums_get_utilization (&sums);
}
