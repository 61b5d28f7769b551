/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all files of a manager have together, read when somebody asks.
 */
#include "file/ipc-mapped-file-manager-private.h"

void
ipc_mapped_file_manager_sum_up (IpcMappedFileManager *self, IpcMappedFileSums *sums)
{
  GListModel *items = G_LIST_MODEL (self->items);

  *sums = (IpcMappedFileSums){ .n = g_list_model_get_n_items (items) };
  for (guint i = 0; i < sums->n; i++)
    {
      g_autoptr(IpcMappedFile) file = g_list_model_get_item (items, i);

      sums->size += ipc_mapped_file_get_size (file);
      sums->n_dirty += ipc_mapped_file_get_is_dirty (file) ? 1 : 0;
      sums->access_count += ipc_mapped_file_get_access_count (file);
    }
}

gdouble
ipc_mapped_file_sums_get_average (const IpcMappedFileSums *sums)
{
  return sums->n > 0 ? (gdouble) sums->size / sums->n : 0;
}

/**
 * ipc_mapped_file_manager_get_total_size: (get-property total-size)
 * @self: the manager
 *
 * Gets how many bytes all files that are mapped have together.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
guint64
ipc_mapped_file_manager_get_total_size (IpcMappedFileManager *self)
{
  IpcMappedFileSums sums;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), 0);

  ipc_mapped_file_manager_sum_up (self, &sums);
  return sums.size;
}

/**
 * ipc_mapped_file_manager_get_dirty_files: (get-property dirty-files)
 * @self: the manager
 *
 * Gets how many of the files that are mapped are dirty.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint
ipc_mapped_file_manager_get_dirty_files (IpcMappedFileManager *self)
{
  IpcMappedFileSums sums;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), 0);

  ipc_mapped_file_manager_sum_up (self, &sums);
  return sums.n_dirty;
}

/**
 * ipc_mapped_file_manager_get_total_access_count: (get-property total-access-count)
 * @self: the manager
 *
 * Gets how often the files that are mapped were read or written through their objects.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_mapped_file_manager_get_total_access_count (IpcMappedFileManager *self)
{
  IpcMappedFileSums sums;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), 0);

  ipc_mapped_file_manager_sum_up (self, &sums);
  return sums.access_count;
}

/**
 * ipc_mapped_file_manager_get_average_file_size: (get-property average-file-size)
 * @self: the manager
 *
 * Gets how many bytes a file that is mapped has on average.
 *
 * Returns: bytes; 0 if there are none
 *
 * Since: 0.1
 */
gdouble
ipc_mapped_file_manager_get_average_file_size (IpcMappedFileManager *self)
{
  IpcMappedFileSums sums;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), 0);

  ipc_mapped_file_manager_sum_up (self, &sums);
  return ipc_mapped_file_sums_get_average (&sums);
}
