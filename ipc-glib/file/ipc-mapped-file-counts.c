/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the properties of a mapped file say.
 */
#include "ipc-mapped-file.h"

#include <sys/stat.h>
#include <time.h>

#include "file/ipc-mapped-file-private.h"

void
ipc_mapped_file_stamp_time (IpcMappedFile *self, gboolean modified)
{
  struct timespec now;
  gint64 time;

  clock_gettime (CLOCK_REALTIME_COARSE, &now);
  time = (gint64) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000;
  atomic_store_explicit (&self->last_accessed, time, memory_order_relaxed);
  if (modified)
    atomic_store_explicit (&self->last_modified, time, memory_order_relaxed);
}

/**
 * ipc_mapped_file_get_id: (get-property id)
 * @self: the file
 *
 * Gets what tells this object from any other one.
 *
 * Returns: a UUID
 *
 * Since: 0.1
 */
const char *
ipc_mapped_file_get_id (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), NULL);

  return self->id;
}

/**
 * ipc_mapped_file_get_path: (get-property path)
 * @self: the file
 *
 * Gets the path that it was mapped by.
 *
 * Returns: (type filename): the path, absolute
 *
 * Since: 0.1
 */
const char *
ipc_mapped_file_get_path (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), NULL);

  return self->map->opened.path;
}

/**
 * ipc_mapped_file_get_size: (get-property size)
 * @self: the file
 *
 * Gets how many bytes there are, as this process knows it: what another one has added is seen when it is read.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
gsize
ipc_mapped_file_get_size (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), 0);

  return atomic_load (&self->map->size);
}

/**
 * ipc_mapped_file_get_access: (get-property access)
 * @self: the file
 *
 * Gets what this object may do with it.
 *
 * Returns: flags
 *
 * Since: 0.1
 */
IpcAccess
ipc_mapped_file_get_access (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), 0);

  return self->access;
}

/**
 * ipc_mapped_file_get_is_mapped: (get-property is-mapped)
 * @self: the file
 *
 * Gets whether it can be used: [method@Ipc.MappedFile.unmap] was not called, and it was not cleaned up.
 *
 * Returns: %TRUE if it can
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_get_is_mapped (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);

  return !g_atomic_int_get (&self->is_unmapped);
}

/**
 * ipc_mapped_file_get_is_dirty: (get-property is-dirty)
 * @self: the file
 *
 * Gets whether this process has written something, by this object or another one of the file, that is not known to be on the disk.
 *
 * Returns: %TRUE if it has
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_get_is_dirty (IpcMappedFile *self)
{
  return ipc_mapped_file_get_dirty_bytes (self) != 0;
}

/**
 * ipc_mapped_file_get_dirty_bytes: (get-property dirty-bytes)
 * @self: the file
 *
 * Gets how much of the file this process has written that is not known to be on the disk, in whole pages of 4096 bytes.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
guint64
ipc_mapped_file_get_dirty_bytes (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), 0);

  return ipc_file_map_count_dirty (self->map);
}

/**
 * ipc_mapped_file_get_created_at: (get-property created-at)
 * @self: the file
 *
 * Gets when it was mapped.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_mapped_file_get_created_at (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), 0);

  return self->created_at;
}

/**
 * ipc_mapped_file_get_last_accessed: (get-property last-accessed)
 * @self: the file
 *
 * Gets when this object was last used to read or write.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_mapped_file_get_last_accessed (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), 0);

  return atomic_load (&self->last_accessed);
}

/**
 * ipc_mapped_file_get_last_modified: (get-property last-modified)
 * @self: the file
 *
 * Gets when this object was last used to write, or the file was last known to be written to by others, whichever was later.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_mapped_file_get_last_modified (IpcMappedFile *self)
{
  struct stat status;
  gint64 own, others = 0;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), 0);

  own = atomic_load (&self->last_modified);
  /* In a forked child, the descriptor is closed. */
  if (self->forks == ipc_fork_generation () && fstat (self->map->opened.fd, &status) == 0)
    others = (gint64) status.st_mtim.tv_sec * G_USEC_PER_SEC + status.st_mtim.tv_nsec / 1000;
  return MAX (own, others);
}

/**
 * ipc_mapped_file_get_access_count: (get-property access-count)
 * @self: the file
 *
 * Gets how often this object was used to read or write. Where threads do so at the same moment, some may not be counted.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_mapped_file_get_access_count (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), 0);

  return atomic_load (&self->access_count);
}

/**
 * ipc_mapped_file_get_durability: (get-property durability)
 * @self: the file
 *
 * Gets what a transaction survives when it was committed.
 *
 * Returns: the setting
 *
 * Since: 0.1
 */
IpcDurability
ipc_mapped_file_get_durability (IpcMappedFile *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), IPC_DURABILITY_FULL);

  return (IpcDurability) g_atomic_int_get (&self->durability);
}
