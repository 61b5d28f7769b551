/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all segments of a scope have together, read when somebody asks.
 */
#include "memory/ipc-shared-memory-manager-private.h"

void
ipc_shared_memory_manager_sum_up (IpcSharedMemoryManager *self, IpcSharedMemorySums *sums)
{
  GListModel *items = ipc_manager_get_items (IPC_MANAGER (self));

  *sums = (IpcSharedMemorySums){ .n = g_list_model_get_n_items (items) };
  for (guint i = 0; i < sums->n; i++)
    {
      g_autoptr(IpcSharedMemory) segment = g_list_model_get_item (items, i);

      sums->size += ipc_shared_memory_get_size (segment);
      sums->access_count += ipc_shared_memory_get_access_count (segment);
    }
}

gdouble
ipc_shared_memory_sums_get_average (const IpcSharedMemorySums *sums)
{
  return sums->n > 0 ? (gdouble) sums->size / sums->n : 0;
}

/**
 * ipc_shared_memory_manager_get_total_size: (get-property total-size)
 * @self: the manager
 *
 * Gets how many bytes all segments of the scope have together.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
guint64
ipc_shared_memory_manager_get_total_size (IpcSharedMemoryManager *self)
{
  IpcSharedMemorySums sums;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), 0);

  ipc_shared_memory_manager_sum_up (self, &sums);
  return sums.size;
}

/**
 * ipc_shared_memory_manager_get_total_access_count: (get-property total-access-count)
 * @self: the manager
 *
 * Gets how often the segments of the scope were read or written, by all processes since they were made.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_shared_memory_manager_get_total_access_count (IpcSharedMemoryManager *self)
{
  IpcSharedMemorySums sums;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), 0);

  ipc_shared_memory_manager_sum_up (self, &sums);
  return sums.access_count;
}

/**
 * ipc_shared_memory_manager_get_average_segment_size: (get-property average-segment-size)
 * @self: the manager
 *
 * Gets how many bytes a segment of the scope has on average.
 *
 * Returns: bytes; 0 if there are none
 *
 * Since: 0.1
 */
gdouble
ipc_shared_memory_manager_get_average_segment_size (IpcSharedMemoryManager *self)
{
  IpcSharedMemorySums sums;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), 0);

  ipc_shared_memory_manager_sum_up (self, &sums);
  return ipc_shared_memory_sums_get_average (&sums);
}
