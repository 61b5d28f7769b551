/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the properties of a segment say: read from shared memory when somebody asks, nothing of it is kept.
 */
#include "ipc-shared-memory.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/ipc-scope-private.h"
#include "memory/ipc-shared-memory-private.h"

static gboolean
is_consistent (IpcSegment *segment)
{
  guint64 begin, end;

  return atomic_load (ipc_segment_get_state (segment)) != IPC_SEGMENT_IN_DOUBT && !ipc_section_get_torn (&segment->section, &begin, &end);
}

/* Of one that somebody has sent, what is written in it proves nothing. */
static gboolean
is_sealed (IpcSharedMemory *self)
{
  int seals;

  if (self->name != NULL || self->generation != ipc_fork_generation ())
    return ipc_section_is_sealed (&self->view->section);
  seals = fcntl (self->view->object.file.fd, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

static guint64
count_changes_of_others (IpcSharedMemory *self)
{
  guint64 n;

  g_mutex_lock (&self->mutex);
  n = ipc_segment_count_changes (self->view) - self->own_changes;
  g_mutex_unlock (&self->mutex);
  return n;
}

void
ipc_shared_memory_count (IpcSharedMemory *self, IpcSharedMemoryCounts *counts)
{
  IpcSegment *segment = self->view;
  IpcSectionStatistics statistics;

  ipc_section_count (&segment->section, &statistics);
  *counts = (IpcSharedMemoryCounts){
    .size = ipc_segment_get_size (segment),
    .access_count = statistics.n_reads + statistics.n_writes,
    .last_accessed = ipc_shared_object_get_last_accessed (&segment->object),
    .changes = count_changes_of_others (self),
    .is_deleted = ipc_shared_file_is_deleted (&segment->object.file),
    .is_sealed = is_sealed (self),
    .is_consistent = is_consistent (segment),
  };
}

/**
 * ipc_shared_memory_get_id: (get-property id)
 * @self: the segment
 *
 * Gets what tells it from any other one, also from one that has its name later.
 *
 * Returns: a UUID
 *
 * Since: 0.1
 */
const char *
ipc_shared_memory_get_id (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), NULL);

  return self->id;
}

/**
 * ipc_shared_memory_get_name: (get-property name)
 * @self: the segment
 *
 * Gets its name in the scope.
 *
 * Returns: (nullable): the name; %NULL if it has none
 *
 * Since: 0.1
 */
const char *
ipc_shared_memory_get_name (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), NULL);

  return self->name;
}

/**
 * ipc_shared_memory_get_size: (get-property size)
 * @self: the segment
 *
 * Gets how many bytes there are. It may grow at any time; see [method@Ipc.SharedMemory.resize].
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
gsize
ipc_shared_memory_get_size (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  return ipc_segment_get_size (self->view);
}

/**
 * ipc_shared_memory_get_access: (get-property access)
 * @self: the segment
 *
 * Gets what this object may do with it.
 *
 * Returns: reading, writing, or both
 *
 * Since: 0.1
 */
IpcAccess
ipc_shared_memory_get_access (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  return self->access;
}

/**
 * ipc_shared_memory_get_created_at: (get-property created-at)
 * @self: the segment
 *
 * Gets when it was made.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_shared_memory_get_created_at (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  return self->view->object.file.info.created_at;
}

/**
 * ipc_shared_memory_get_last_accessed: (get-property last-accessed)
 * @self: the segment
 *
 * Gets when a process last opened it, left it, read or wrote. Of eight writes, and of eight reads on
 * one processor, the time of one is written down. To read its properties, and to look through a view, is no access.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_shared_memory_get_last_accessed (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  return ipc_shared_object_get_last_accessed (&self->view->object);
}

/**
 * ipc_shared_memory_get_access_count: (get-property access-count)
 * @self: the segment
 *
 * Gets how often it was read or written, by all processes since it was made.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_shared_memory_get_access_count (IpcSharedMemory *self)
{
  IpcSectionStatistics statistics;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  ipc_section_count (&self->view->section, &statistics);
  return statistics.n_reads + statistics.n_writes;
}

/* Who only looks keeps no descriptor. */
static guint
count_by_name (IpcSharedMemory *self)
{
  int folder_fd = ipc_scope_open_folder (self->scope, IPC_SCOPE_BULK_FOLDER, FALSE, NULL);
  guint n;

  if (folder_fd < 0)
    return 0;
  n = ipc_shared_object_count_attached (&self->view->object, folder_fd, self->name);
  close (folder_fd);
  return n;
}

/**
 * ipc_shared_memory_get_n_attached: (get-property n-attached)
 * @self: the segment
 *
 * Gets how many processes have it open now, as the kernel knows them: one that was killed does not count. Of one that is only
 * listed and was deleted, that cannot be found out.
 *
 * Returns: their number; 0 in a forked child
 *
 * Since: 0.1
 */
guint
ipc_shared_memory_get_n_attached (IpcSharedMemory *self)
{
  IpcSegment *segment;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  if (self->generation != ipc_fork_generation ())
    return 0;
  segment = atomic_load (&self->attached);
  return segment != NULL ? ipc_attachment_count (segment->object.file.fd) : count_by_name (self);
}

/**
 * ipc_shared_memory_get_generation: (get-property generation)
 * @self: the segment
 *
 * Gets a number that is larger than that of any segment which was there in this scope before this one was begun; so of two of the same
 * name, the later one has the larger number. No two have the same. Only of those that several processes make of one name at the same time,
 * and delete, the order is not told by it.
 *
 * Returns: the number; 0 for a memfd of another library
 *
 * Since: 0.1
 */
guint64
ipc_shared_memory_get_generation (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), 0);

  return self->view->is_foreign ? 0 : ipc_segment_get_generation (self->view);
}

/**
 * ipc_shared_memory_get_is_deleted: (get-property is-deleted)
 * @self: the segment
 *
 * Whether its name was taken away.
 *
 * Returns: %TRUE if it was
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_get_is_deleted (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);

  return ipc_shared_file_is_deleted (&self->view->object.file);
}

/**
 * ipc_shared_memory_get_is_sealed: (get-property is-sealed)
 * @self: the segment
 *
 * Whether nobody can write into it any more; see [method@Ipc.SharedMemory.seal]. Of one without a name, it is the kernel that says so,
 * whoever has sent it.
 *
 * Returns: %TRUE if so
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_get_is_sealed (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);

  return is_sealed (self);
}

/**
 * ipc_shared_memory_get_is_consistent: (get-property is-consistent)
 * @self: the segment
 *
 * Whether nobody is known to have died while changing it; see [method@Ipc.SharedMemory.mark_consistent]. A death is known when somebody
 * takes the lock, reads or writes after it.
 *
 * Returns: %FALSE if somebody has
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_get_is_consistent (IpcSharedMemory *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);

  return is_consistent (self->view);
}
