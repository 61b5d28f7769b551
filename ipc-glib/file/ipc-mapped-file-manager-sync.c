/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Syncing all files of a manager: when it is asked to, and by itself from time to time.
 */
#include "file/ipc-mapped-file-manager-private.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"

/* (transfer full) (element-type IpcMappedFile): those that may be written. */
static GPtrArray *
snapshot (IpcMappedFileManager *self)
{
  GPtrArray *files = g_ptr_array_new_with_free_func (g_object_unref);
  guint n = g_list_model_get_n_items (G_LIST_MODEL (self->items));

  for (guint i = 0; i < n; i++)
    {
      IpcMappedFile *file = g_list_model_get_item (G_LIST_MODEL (self->items), i);

      if (ipc_mapped_file_get_access (file) & IPC_ACCESS_WRITE)
        g_ptr_array_add (files, file);
      else
        g_object_unref (file);
    }
  return files;
}

/* One that fails does not keep the others from it; the first error is reported. */
static gboolean
sync_files (GPtrArray *files, GCancellable *cancellable, GError **error)
{
  g_autoptr(GError) first = NULL;

  for (guint i = 0; i < files->len; i++)
    {
      g_autoptr(GError) reason = NULL;

      /* It may be unmapped meanwhile, and is synced then. */
      if (ipc_mapped_file_sync (files->pdata[i], 0, 0, cancellable, &reason) || g_error_matches (reason, IPC_ERROR, IPC_ERROR_CLOSED))
        continue;
      if (first == NULL)
        first = g_steal_pointer (&reason);
    }
  if (first == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&first));
  return FALSE;
}

/**
 * ipc_mapped_file_manager_sync_all:
 * @self: the manager
 * @cancellable: (nullable): cancels what has not begun
 * @error: return location for an error
 *
 * Brings what this process has written into the files that are mapped to the disk; see [method@Ipc.MappedFile.sync]. It blocks.
 *
 * A file that cannot be synced does not keep the others from it; the first error is then reported.
 *
 * Errors: those of [method@Ipc.MappedFile.sync].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_manager_sync_all (IpcMappedFileManager *self, GCancellable *cancellable, GError **error)
{
  g_autoptr(GPtrArray) files = NULL;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  files = snapshot (self);
  return sync_files (files, cancellable, error);
}

static void
sync_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;

  if (sync_files (data, cancellable, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/**
 * ipc_mapped_file_manager_sync_all_async:
 * @self: the manager
 * @cancellable: (nullable): cancels what has not begun
 * @callback: (scope async) (nullable): called when it is done
 * @user_data: (closure): for @callback
 *
 * Does what [method@Ipc.MappedFileManager.sync_all] does without blocking: in a thread.
 *
 * Errors, in [method@Ipc.MappedFileManager.sync_all_finish]: those of [method@Ipc.MappedFile.sync].
 *
 * Since: 0.1
 */
void
ipc_mapped_file_manager_sync_all_async (IpcMappedFileManager *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr(GTask) task = NULL;

  g_return_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_mapped_file_manager_sync_all_async);
  g_task_set_task_data (task, snapshot (self), (GDestroyNotify) g_ptr_array_unref);
  g_task_run_in_thread (task, sync_thread);
}

/**
 * ipc_mapped_file_manager_sync_all_finish:
 * @self: the manager
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MappedFileManager.sync_all_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_manager_sync_all_finish (IpcMappedFileManager *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_mapped_file_manager_sync_all_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- by itself ---- */

/* Who cares about errors listens to sync-failed of the files. */
static void
synced_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (source);
  g_autoptr(GError) error = NULL;

  self->is_syncing = FALSE;
  if (!ipc_mapped_file_manager_sync_all_finish (self, result, &error))
    g_debug ("mapped files could not be synced: %s", error->message);
}

static gboolean
timer_cb (gpointer data)
{
  IpcMappedFileManager *self = data;

  /* A slow disk is not helped by more of it. */
  if (self->is_syncing || ipc_mapped_file_manager_get_dirty_files (self) == 0)
    return G_SOURCE_CONTINUE;
  self->is_syncing = TRUE;
  ipc_mapped_file_manager_sync_all_async (self, NULL, synced_cb, NULL);
  return G_SOURCE_CONTINUE;
}

void
ipc_mapped_file_manager_restart_timer (IpcMappedFileManager *self)
{
  if (self->sync_timer != NULL)
    g_source_destroy (self->sync_timer);
  g_clear_pointer (&self->sync_timer, g_source_unref);
  if (!self->auto_sync)
    return;
  self->sync_timer = g_timeout_source_new ((guint) MIN (self->sync_interval, G_MAXUINT));
  g_source_set_callback (self->sync_timer, timer_cb, self, NULL);
  g_source_set_static_name (self->sync_timer, "ipc-mapped-file-sync");
  g_source_attach (self->sync_timer, self->context);
}
