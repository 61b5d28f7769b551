/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What concerns a mapped file as a whole: syncing, resizing, unmapping.
 */
#include "ipc-mapped-file.h"

#include "base/ipc-error-private.h"
#include "base/ipc-task-private.h"
#include "file/ipc-mapped-file-private.h"

/* ---- syncing ---- */

typedef struct
{
  guint64 begin;
  guint64 end;
} Range;

/* A length of 0 is up to the end. */
static gboolean
get_range (IpcMappedFile *self, gsize offset, gsize length, Range *range, GError **error)
{
  guint64 known;

  if (!ipc_mapped_file_check_usable (self, error))
    return FALSE;
  known = atomic_load (&self->map->known);
  if (offset > known || length > known - offset)
    {
      ipc_file_map_fail_bounds (self->map, offset, length, error);
      return FALSE;
    }
  *range = (Range){ offset, length != 0 ? offset + length : known };
  return TRUE;
}

static gboolean
sync_range (IpcMappedFile *self, const Range *range, GError **error)
{
  g_autoptr(GError) reason = NULL;

  if (ipc_file_map_sync (self->map, range->begin, range->end, &reason))
    return TRUE;
  ipc_mapped_file_tell_failed (self, reason);
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

/**
 * ipc_mapped_file_sync:
 * @self: the file
 * @offset: where, in bytes
 * @length: how many bytes; 0 for all up to the end
 * @cancellable: (nullable): cancels before it has begun
 * @error: return location for an error
 *
 * Brings what this process has written there to the disk, and returns when it is: it survives a power cut then. It blocks for as
 * long as the disk takes. If nothing there is dirty, nothing is done.
 *
 * If it fails, what could not be written stays dirty, and is written anew the next time.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_CORRUPT if another process has truncated the file, and dirty bytes were lost by that; what
 * the disk says (%G_IO_ERROR_FAILED and so on, %IPC_ERROR_NO_SPACE); %G_IO_ERROR_CANCELLED; %IPC_ERROR_CLOSED; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_sync (IpcMappedFile *self, gsize offset, gsize length, GCancellable *cancellable, GError **error)
{
  Range range;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (cancellable != NULL && g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  return get_range (self, offset, length, &range, error) && sync_range (self, &range, error);
}

static void
sync_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  GError *error = NULL;

  if (g_task_return_error_if_cancelled (task))
    return;
  if (sync_range (source, data, &error))
    g_task_return_boolean (task, TRUE);
  else
    g_task_return_error (task, error);
}

/**
 * ipc_mapped_file_sync_async:
 * @self: the file
 * @offset: where, in bytes
 * @length: how many bytes; 0 for all up to the end
 * @cancellable: (nullable): cancels waiting for it
 * @callback: (scope async) (nullable): called when it is done
 * @user_data: (closure): for @callback
 *
 * Does what [method@Ipc.MappedFile.sync] does without blocking: in a thread.
 *
 * Errors, in [method@Ipc.MappedFile.sync_finish]: those of [method@Ipc.MappedFile.sync].
 *
 * Since: 0.1
 */
void
ipc_mapped_file_sync_async (IpcMappedFile *self, gsize offset, gsize length, GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr(GTask) task = NULL;
  GError *error = NULL;
  Range range;

  g_return_if_fail (IPC_IS_MAPPED_FILE (self));
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_mapped_file_sync_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  if (!get_range (self, offset, length, &range, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  g_task_set_task_data (task, g_memdup2 (&range, sizeof range), g_free);
  g_task_run_in_thread (task, sync_thread);
}

/**
 * ipc_mapped_file_sync_finish:
 * @self: the file
 * @result: what the callback was given
 * @error: return location for an error
 *
 * Ends [method@Ipc.MappedFile.sync_async].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_sync_finish (IpcMappedFile *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, ipc_mapped_file_sync_async), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- resizing ---- */

/**
 * ipc_mapped_file_resize:
 * @self: the file
 * @size: how many bytes it is to have
 * @error: return location for an error
 *
 * Makes the file longer or shorter. What is new is zero, and has a place on the disk.
 *
 * Longer ones are mapped anew; views and pointers from before stay. It only becomes shorter if this process has no view of it; other
 * processes that have it mapped get [signal@Ipc.MappedFile::truncated], as if somebody else had done that.
 *
 * Errors: %IPC_ERROR_INVALID_ARGUMENT for a size of 0; %IPC_ERROR_LIMIT_EXCEEDED over [property@Ipc.MappedFileManager:max-file-size];
 * %IPC_ERROR_TOO_LARGE; %IPC_ERROR_NO_SPACE; %G_IO_ERROR_BUSY if there are views of what would go;
 * %IPC_ERROR_PERMISSION_DENIED if it is not mapped for writing; %IPC_ERROR_CLOSED; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set, and it is as long as before
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_resize (IpcMappedFile *self, gsize size, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gboolean locked, done;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_mapped_file_check_access (self, IPC_ACCESS_WRITE, error))
    return FALSE;
  if (size == 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "file \"%s\": a size of 0, at least 1 byte is needed",
                   ipc_mapped_file_describe (self));
      return FALSE;
    }
  /* So that no transaction makes it longer again. */
  locked = ipc_file_map_lock_journal (self->map, FALSE, &reason);
  done = reason == NULL && (!locked || size >= atomic_load (&self->map->size) || ipc_file_map_checkpoint (self->map, &reason)) &&
         ipc_file_map_resize (self->map, size, atomic_load (&self->limits->max_size), &reason);
  if (locked)
    ipc_file_map_unlock_journal (self->map);
  if (done)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

/* ---- unmapping ---- */

/**
 * ipc_mapped_file_unmap:
 * @self: the file
 * @error: return location for an error
 *
 * Ends the use of the file by this object: what is dirty is synced, locks are given back, and all methods fail with %IPC_ERROR_CLOSED from
 * now on. The addresses are let go with the last reference, and the last view.
 *
 * To do it a second time is fine, and does nothing.
 *
 * Errors: those of [method@Ipc.MappedFile.sync]; the file stays mapped then.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_unmap (IpcMappedFile *self, GError **error)
{
  G_GNUC_UNUSED g_autoptr(IpcMappedFile) keep = NULL;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  keep = g_object_ref (self);
  if (!ipc_error_check_fork (self->forks, "the mapped file", error))
    return FALSE;
  if (g_atomic_int_get (&self->is_unmapped))
    return TRUE;
  if ((self->access & IPC_ACCESS_WRITE) != 0 && !ipc_mapped_file_sync (self, 0, 0, NULL, error))
    return FALSE;
  if (!g_atomic_int_compare_and_exchange (&self->is_unmapped, FALSE, TRUE))
    return TRUE;
  g_mutex_lock (&self->mutex);
  ipc_mapped_file_close_locks (self);
  g_mutex_unlock (&self->mutex);
  ipc_mapped_file_tell_unmapped (self);
  return TRUE;
}
