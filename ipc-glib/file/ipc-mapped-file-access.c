/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing, and views. What is not quick is somewhere else: all that is done here for a few bytes is to see that the
 * process is the right one, that they are there, that nobody has made the file shorter, and that no transaction is being written.
 */
#include "ipc-mapped-file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "file/ipc-mapped-file-private.h"

#define MAX_CHANGES 8u          /* that a read waits out */

/* ---- where it is ---- */

gboolean
ipc_mapped_file_check_usable (IpcMappedFile *self, GError **error)
{
  if (!ipc_error_check_fork (self->forks, "the mapped file", error))
    return FALSE;
  if (!g_atomic_int_get (&self->is_unmapped))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CLOSED, "file \"%s\" was unmapped", ipc_mapped_file_describe (self));
  return FALSE;
}

gboolean
ipc_mapped_file_check_access (IpcMappedFile *self, IpcAccess access, GError **error)
{
  if (!ipc_mapped_file_check_usable (self, error))
    return FALSE;
  if ((self->access & access) == access)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "file \"%s\" is not mapped for %s", ipc_mapped_file_describe (self),
               (access & ~self->access & IPC_ACCESS_READ) != 0 ? "reading" : "writing");
  return FALSE;
}

static gboolean
is_within (guint64 offset, guint64 length, guint64 size)
{
  return offset <= size && length <= size - offset;
}

gboolean
ipc_mapped_file_check_range (IpcMappedFile *self, IpcAccess access, guint64 offset, guint64 length, GError **error)
{
  if (!ipc_mapped_file_check_access (self, access, error) || !ipc_file_map_refresh (self->map, error))
    return FALSE;
  if (is_within (offset, length, atomic_load (&self->map->size)))
    return TRUE;
  ipc_mapped_file_stir (self);
  if (is_within (offset, length, atomic_load (&self->map->known)))
    ipc_file_map_fail_truncated (self->map, offset, length, error);
  else
    ipc_file_map_fail_bounds (self->map, offset, length, error);
  return FALSE;
}

static inline gboolean
is_intact (const IpcMap *bytes)
{
  return G_LIKELY (!ipc_guard_is_broken (bytes->guard));
}

static inline gboolean
is_located (IpcMappedFile *self, IpcAccess access, gsize offset, gsize length, const IpcMap *bytes)
{
  return G_LIKELY (self->forks == ipc_fork_generation () && !IPC_READ_ONCE (self->is_unmapped) && (self->access & access) == access &&
                   is_within (offset, length, atomic_load_explicit (&self->map->size, memory_order_acquire)) && is_intact (bytes));
}

/* Where LENGTH bytes from OFFSET on are. Here is only what holds nearly always; what does not goes the long way, which knows why. */
static inline gboolean
locate (IpcMappedFile *self, IpcAccess access, gsize offset, gsize length, IpcMap **bytes, GError **error)
{
  *bytes = atomic_load_explicit (&self->map->map, memory_order_acquire);
  if (is_located (self, access, offset, length, *bytes))
    return TRUE;
  if (!ipc_mapped_file_check_range (self, access, offset, length, error))
    return FALSE;
  *bytes = atomic_load_explicit (&self->map->map, memory_order_acquire);
  return TRUE;
}

/* The file is long enough, but somebody has made a hole in it. */
static gboolean
check_holes (IpcMappedFile *self, gsize offset, gsize length, GError **error)
{
  return !self->map->writable || ipc_file_fill_holes (self->map->opened.fd, self->map->opened.path, offset, length, error);
}

/* Bytes were touched that are not there any more. TRUE: they are again. */
static gboolean
check_again (IpcMappedFile *self, IpcAccess access, gsize offset, gsize length, guint *n_tries, GError **error)
{
  if (!ipc_mapped_file_check_range (self, access, offset, length, error) || !check_holes (self, offset, length, error))
    return FALSE;
  if (++*n_tries <= IPC_MAPPED_FILE_MAX_TRIES)
    return TRUE;
  ipc_file_map_fail_truncated (self->map, offset, length, error);
  return FALSE;
}

/* ---- reading and writing ---- */

/* FALSE: a transaction was written meanwhile, or bytes are gone. */
static inline gboolean
try_read (IpcFileMap *map, const IpcMap *bytes, gsize offset, gpointer buffer, gsize length)
{
  guint32 sequence = ipc_file_map_begin_look (map);

  if (!ipc_file_map_is_at_rest (sequence) && (sequence % IPC_FILE_STATES != IPC_FILE_RECORDING || !ipc_file_map_settle (map, NULL)))
    return FALSE;
  ipc_racy_copy (buffer, bytes->bytes + offset, length);
  return is_intact (bytes) && ipc_file_map_end_look (map, sequence);
}

/* Of a file that is long enough, and cannot be mapped all the same: there is a hole, for which the disk has no room. To read that needs none. */
static gboolean
try_read_hole (IpcFileMap *map, gsize offset, gpointer buffer, gsize length)
{
  guint32 sequence = ipc_file_map_begin_look (map);

  return ipc_file_map_is_at_rest (sequence) &&
         TEMP_FAILURE_RETRY (pread (map->opened.fd, buffer, length, (off_t) offset)) == (gssize) length && ipc_file_map_end_look (map, sequence);
}

/* Where others write one transaction after the other: not while this reads. */
static gboolean
read_undisturbed (IpcMappedFile *self, const IpcMap *bytes, gsize offset, gpointer buffer, gsize length, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gboolean locked = ipc_file_map_lock_journal (self->map, FALSE, &reason);

  if (reason != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  ipc_racy_copy (buffer, bytes->bytes + offset, length);
  if (locked)
    ipc_file_map_unlock_journal (self->map);
  if (is_intact (bytes))
    return TRUE;
  ipc_file_map_fail_truncated (self->map, offset, length, error);
  return FALSE;
}

/**
 * ipc_mapped_file_read_into: (skip)
 * @self: the file
 * @offset: where, in bytes
 * @buffer: room for @length bytes
 * @length: how many
 * @error: return location for an error
 *
 * Reads bytes into memory of one's own.
 *
 * Errors: those of [method@Ipc.MappedFile.read]. What is in @buffer then is not defined.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_read_into (IpcMappedFile *self, gsize offset, gpointer buffer, gsize length, GError **error)
{
  IpcMap *bytes;
  guint n_tries = 0, n_changes = 0;

  g_return_val_if_fail (ipc_mapped_file_check (self), FALSE);
  g_return_val_if_fail (buffer != NULL || length == 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!locate (self, IPC_ACCESS_READ, offset, length, &bytes, error))
    return FALSE;
  while (length > 0 && !try_read (self->map, bytes, offset, buffer, length))
    {
      if (!ipc_file_map_settle (self->map, error) ||
          (!is_intact (bytes) && !check_again (self, IPC_ACCESS_READ, offset, length, &n_tries, error)))
        return FALSE;
      /* Who may not write cannot fill it. */
      if (n_tries > 1 && !self->map->writable && try_read_hole (self->map, offset, buffer, length))
        break;
      if (++n_changes > MAX_CHANGES)
        {
          if (!read_undisturbed (self, bytes, offset, buffer, length, error))
            return FALSE;
          break;
        }
    }
  ipc_mapped_file_stamp (self, FALSE);
  return TRUE;
}

/* The bytes are there. */
static G_GNUC_NO_INLINE gboolean
end_write (IpcMappedFile *self, gsize offset, gsize length)
{
  ipc_dirty_mark (&self->map->dirty, offset, length);
  ipc_listeners_ring_elsewhere (&self->map->board.listeners);
  ipc_mapped_file_stamp (self, TRUE);
  return TRUE;
}

static G_GNUC_NO_INLINE gboolean
write_anyhow (IpcMappedFile *self, gsize offset, gconstpointer data, gsize length, GError **error)
{
  IpcMap *bytes;
  guint n_tries = 0;

  g_return_val_if_fail (ipc_mapped_file_check (self), FALSE);
  g_return_val_if_fail (data != NULL || length == 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!locate (self, IPC_ACCESS_WRITE, offset, length, &bytes, error))
    return FALSE;
  if (length == 0)
    return TRUE;
  do
    {
      /* What a dead process has left of a transaction would be written over this later. */
      if (!ipc_file_map_is_at_rest (ipc_file_map_begin_look (self->map)) && !ipc_file_map_settle (self->map, error))
        return FALSE;
      ipc_racy_copy (bytes->bytes + offset, data, length);
      if (G_LIKELY (is_intact (bytes)))
        return end_write (self, offset, length);
    }
  while (check_again (self, IPC_ACCESS_WRITE, offset, length, &n_tries, error));
  return FALSE;
}

/* A little, where nothing is in the way. FALSE: nothing is written, or the bytes are gone. */
static inline gboolean
write_little (IpcMappedFile *self, gsize offset, gconstpointer data, gsize length)
{
  const IpcMap *bytes = atomic_load_explicit (&self->map->map, memory_order_acquire);

  if (!is_located (self, IPC_ACCESS_WRITE, offset, length, bytes) || !ipc_file_map_is_at_rest (ipc_file_map_begin_look (self->map)))
    return FALSE;
  ipc_racy_copy_little (bytes->bytes + offset, data, length);
  return is_intact (bytes);
}

/**
 * ipc_mapped_file_write_data: (skip)
 * @self: the file
 * @offset: where, in bytes
 * @data: what to write
 * @length: how many bytes
 * @error: return location for an error
 *
 * Writes bytes.
 *
 * Errors: those of [method@Ipc.MappedFile.write].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_write_data (IpcMappedFile *self, gsize offset, gconstpointer data, gsize length, GError **error)
{
  gboolean is_little = ipc_mapped_file_is_usual (self) && data != NULL && length > 0 && length <= IPC_RACY_LITTLE && (error == NULL || *error == NULL);

  /* A store that misses the cache is in a queue of the processor until it is done, and some dozens fit into that. So that many of them are
   * under way at the same time, there is next to no other store here, not even for a call. */
  if (!is_little || !write_little (self, offset, data, length))
    return write_anyhow (self, offset, data, length, error);
  if (!ipc_dirty_is_marked (&self->map->dirty, offset, length) || ipc_listeners_is_any_armed_elsewhere (&self->map->board.listeners))
    return end_write (self, offset, length);
  ipc_mapped_file_stamp (self, TRUE);
  return TRUE;
}

/**
 * ipc_mapped_file_read:
 * @self: the file
 * @offset: where, in bytes
 * @length: how many bytes
 * @error: return location for an error
 *
 * Reads bytes: a copy of what is there now, whichever process has written it. It is never half of a transaction; a write of another
 * thread or process that happens meanwhile may be there in part.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_PERMISSION_DENIED if it is not mapped for reading; %IPC_ERROR_CORRUPT if another process has
 * truncated the file, and what is asked for is gone; %IPC_ERROR_TIMED_OUT if a process was stopped while it wrote a transaction;
 * %IPC_ERROR_NO_SPACE if there is no memory for so much, or no space for a hole that somebody has made in the file; %IPC_ERROR_CLOSED
 * after [method@Ipc.MappedFile.unmap]; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set
 *
 * Since: 0.1
 */
GBytes *
ipc_mapped_file_read (IpcMappedFile *self, gsize offset, gsize length, GError **error)
{
  IpcMap *bytes;
  gpointer copy;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  /* First, so that no memory is asked for that nobody will read into. */
  if (!locate (self, IPC_ACCESS_READ, offset, length, &bytes, error))
    return NULL;
  copy = g_try_malloc (length);
  if (copy == NULL && length > 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE, "file \"%s\": no memory for %" G_GSIZE_FORMAT " bytes", ipc_mapped_file_describe (self),
                   length);
      return NULL;
    }
  if (ipc_mapped_file_read_into (self, offset, copy, length, error))
    return g_bytes_new_take (copy, length);
  g_free (copy);
  return NULL;
}

/**
 * ipc_mapped_file_write:
 * @self: the file
 * @offset: where, in bytes
 * @bytes: what to write
 * @error: return location for an error
 *
 * Writes bytes. Other processes see them at once, and hear of it if they use this library. If this process is killed they stay,
 * or a part of them if it is killed in the middle; after a power cut they are there if they were synced.
 * For more than that, there are transactions ([method@Ipc.MappedFile.begin]).
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_PERMISSION_DENIED if it is not mapped for writing; %IPC_ERROR_CORRUPT if another process has
 * truncated the file; %IPC_ERROR_NO_SPACE if there is none for a hole that somebody has made in the file; %IPC_ERROR_TIMED_OUT if a process
 * was stopped while it wrote a transaction; %IPC_ERROR_CLOSED; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set, and nothing was written; but with %IPC_ERROR_CORRUPT and %IPC_ERROR_NO_SPACE, it may have been in part
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_write (IpcMappedFile *self, gsize offset, GBytes *bytes, GError **error)
{
  gconstpointer data;
  gsize length;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (bytes != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  data = g_bytes_get_data (bytes, &length);
  return ipc_mapped_file_write_data (self, offset, data, length, error);
}

/* ---- views ---- */

/**
 * ipc_mapped_file_get_bytes:
 * @self: the file
 * @offset: where, in bytes
 * @length: how many bytes
 * @error: return location for an error
 *
 * Looks at bytes where they lie, without a copy.
 *
 * The file stays mapped for as long as the bytes are referenced, also when it is unmapped. What is in them changes when anybody
 * writes, also in the middle of being looked at. If another process truncates the file, what is gone reads as zero.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_PERMISSION_DENIED if it is not mapped for reading; %IPC_ERROR_CORRUPT; %IPC_ERROR_CLOSED;
 * %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set
 *
 * Since: 0.1
 */
GBytes *
ipc_mapped_file_get_bytes (IpcMappedFile *self, gsize offset, gsize length, GError **error)
{
  IpcMap *bytes;

  g_return_val_if_fail (ipc_mapped_file_check (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!locate (self, IPC_ACCESS_READ, offset, length, &bytes, error))
    return NULL;
  ipc_mapped_file_stamp (self, FALSE);
  return g_bytes_new_with_free_func (bytes->bytes + offset, length, ipc_map_unref, ipc_map_ref (bytes));
}

/**
 * ipc_mapped_file_peek: (skip)
 * @self: the file
 * @size: (out) (optional): how many bytes there are
 *
 * Gets where the bytes lie. It is for what is larger than one likes to copy.
 *
 * It stays valid while @self lives, also when the file grows: what was there is at both places then. To write there is only allowed
 * where the file is mapped for writing; call [method@Ipc.MappedFile.mark_dirty] afterwards.
 *
 * Returns: (transfer none) (nullable): the first byte; %NULL in a forked child, after [method@Ipc.MappedFile.unmap], and where there is
 *   nothing to be had
 *
 * Since: 0.1
 */
gpointer
ipc_mapped_file_peek (IpcMappedFile *self, gsize *size)
{
  IpcMap *bytes;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), NULL);

  if (!locate (self, 0, 0, 0, &bytes, NULL))
    return NULL;
  if (size != NULL)
    *size = atomic_load (&self->map->size);
  return bytes->bytes;
}

/**
 * ipc_mapped_file_dup_fd:
 * @self: the file
 * @error: return location for an error
 *
 * Gets a descriptor of the file, to be mapped by other means; who writes into that map calls [method@Ipc.MappedFile.mark_dirty] afterwards.
 * It is open for writing if the file is mapped for that.
 *
 * Errors: %IPC_ERROR_CLOSED; %IPC_ERROR_FORKED; what the system says.
 *
 * Returns: a descriptor, which the caller closes; -1 with @error set
 *
 * Since: 0.1
 */
int
ipc_mapped_file_dup_fd (IpcMappedFile *self, GError **error)
{
  int fd;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  if (!ipc_mapped_file_check_usable (self, error))
    return -1;
  fd = fcntl (self->map->opened.fd, F_DUPFD_CLOEXEC, 3);
  if (fd < 0)
    ipc_error_set_errno (error, errno, "file \"%s\": cannot duplicate its descriptor", ipc_mapped_file_describe (self));
  return fd;
}

/* What was written through a view where the file had no bytes went nowhere, and nobody knows what that was: so that is told of once. */
static gboolean
check_lost (IpcMappedFile *self, gsize offset, gsize length, GError **error)
{
  guint n_broken = atomic_load (&self->map->n_broken);

  if (atomic_exchange (&self->n_broken, n_broken) == n_broken)
    return TRUE;
  if (check_holes (self, offset, length, error))
    g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
                 "file \"%s\": what was written by other means is lost: another process has truncated it, or made a hole in it, meanwhile",
                 ipc_mapped_file_describe (self));
  return FALSE;
}

/**
 * ipc_mapped_file_mark_dirty:
 * @self: the file
 * @offset: where, in bytes
 * @length: how many bytes
 * @error: return location for an error
 *
 * Says that bytes were written by other means than the methods of this object: through [method@Ipc.MappedFile.peek], or a map of one's own.
 * They are synced with the others then, and other processes hear of it.
 *
 * It asks the system how long the file is. Where another process has truncated it meanwhile, bytes that were written behind its end are lost,
 * also if it is as long as before again: write once more then.
 *
 * Errors: those of [method@Ipc.MappedFile.write]; %IPC_ERROR_CORRUPT and %IPC_ERROR_NO_SPACE also if something that was written since the
 * last call may be lost.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_mark_dirty (IpcMappedFile *self, gsize offset, gsize length, GError **error)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_mapped_file_check_range (self, IPC_ACCESS_WRITE, offset, length, error))
    return FALSE;
  return length == 0 || (check_lost (self, offset, length, error) && end_write (self, offset, length));
}
