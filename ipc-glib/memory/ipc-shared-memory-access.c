/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing, as wholes (core/ipc-section.h), and views. What is not quick is somewhere else: all that is done here for a few
 * bytes is to see that the process is the right one, that they are there, and that nobody has made the file shorter.
 */
#include "ipc-shared-memory.h"

#include "base/ipc-error-private.h"
#include "memory/ipc-shared-memory-private.h"

const char *
ipc_shared_memory_describe (IpcSharedMemory *self)
{
  return self->name != NULL ? self->name : "(anonymous)";
}

void
ipc_shared_memory_set_corrupt (IpcSharedMemory *self, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "segment \"%s\": its file was truncated by another process",
               ipc_shared_memory_describe (self));
}

/* ---- where it is ---- */

static gboolean
fail_access (IpcSharedMemory *self, IpcAccess wanted, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "segment \"%s\" is not open for %s", ipc_shared_memory_describe (self),
               (wanted & ~self->access & IPC_ACCESS_READ) != 0 ? "reading" : "writing");
  return FALSE;
}

static gboolean
fail_bounds (IpcSharedMemory *self, gsize offset, gsize length, guint64 size, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_OUT_OF_BOUNDS,
               "segment \"%s\": offset %" G_GSIZE_FORMAT ", length %" G_GSIZE_FORMAT ", of %" G_GUINT64_FORMAT " bytes",
               ipc_shared_memory_describe (self), offset, length, size);
  return FALSE;
}

gboolean
ipc_shared_memory_locate (IpcSharedMemory *self, IpcAccess access, gsize offset, gsize length, IpcSegment **segment, IpcMap **map,
                          IpcSectionData *data, GError **error)
{
  guint64 size;

  *segment = ipc_shared_memory_attach (self, error);
  if (G_UNLIKELY (*segment == NULL))
    return FALSE;
  if (G_UNLIKELY ((self->access & access) != access))
    return fail_access (self, access, error);
  size = ipc_segment_get_size (*segment);
  if (G_UNLIKELY (offset > size || length > size - offset))
    return fail_bounds (self, offset, length, size, error);
  *map = ipc_segment_get_map (*segment, size, error);
  if (G_UNLIKELY (*map == NULL))
    {
      g_prefix_error (error, "segment \"%s\": ", ipc_shared_memory_describe (self));
      return FALSE;
    }
  *data = (IpcSectionData){ .bytes = (*map)->bytes, .length = MIN (size, (*map)->reserved), .writable = (*map)->writable };
  return TRUE;
}

/* ---- what the section says ---- */

static gboolean
fail_torn (IpcSharedMemory *self, IpcSegment *segment, gsize offset, gsize length, GError **error)
{
  guint64 begin = 0, end = 0;

  /* Somebody may have mended it just now. */
  if (!ipc_section_get_torn (&segment->section, &begin, &end))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_OWNER_DIED,
               "segment \"%s\", offset %" G_GSIZE_FORMAT ", length %" G_GSIZE_FORMAT ": a process was killed while it wrote bytes %" G_GUINT64_FORMAT
               " to %" G_GUINT64_FORMAT, ipc_shared_memory_describe (self), offset, length, begin, end);
  return FALSE;
}

static gboolean
fail_busy (IpcSharedMemory *self, IpcSegment *segment, GError **error)
{
  IpcOwner writer = ipc_section_get_writer (&segment->section);
  char label[IPC_PRESENCE_LABEL] = "";

  if (writer != 0)
    ipc_presence_get_label (segment->object.presence, writer, label);
  g_set_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT, "segment \"%s\": another process%s%s%s has been writing for more than %d ms",
               ipc_shared_memory_describe (self), label[0] != '\0' ? " (" : "", label, label[0] != '\0' ? ")" : "",
               (int) (segment->section.patience / 1000000));
  return FALSE;
}

/* What is settled over and over again is no crash. */
static gboolean
fail_endless (IpcSharedMemory *self, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "segment \"%s\": another process changes what keeps reads and writes whole all the time",
               ipc_shared_memory_describe (self));
  return FALSE;
}

gboolean
ipc_shared_memory_resolve (IpcSharedMemory *self, IpcSegment *segment, IpcSectionOutcome outcome, gsize offset, gsize length, guint *n_tries,
                           GError **error)
{
  if (++*n_tries > IPC_SHARED_MEMORY_MAX_TRIES)
    return fail_endless (self, error);
  switch (outcome)
    {
    case IPC_SECTION_TORN:
      return fail_torn (self, segment, offset, length, error);
    case IPC_SECTION_BUSY:
      return fail_busy (self, segment, error);
    case IPC_SECTION_GROWN:
      return ipc_segment_map (segment, ipc_segment_get_size (segment), error) != NULL;
    case IPC_SECTION_READ_ONLY:
      return ipc_segment_settle (segment, error);
    case IPC_SECTION_SEALED:
      g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "segment \"%s\" is sealed", ipc_shared_memory_describe (self));
      return FALSE;
    case IPC_SECTION_UNSUPPORTED:
      g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "segment \"%s\" belongs to processes of another scope, and can only be read here",
                   ipc_shared_memory_describe (self));
      return FALSE;
    case IPC_SECTION_DONE:
    default:
      g_assert_not_reached ();
    }
}

/* ---- reading and writing ---- */

/* What is done for little where nothing is in the way is in line; here is the rest, which knows why. */
G_GNUC_NO_INLINE static gboolean
read_carefully (IpcSharedMemory *self, gsize offset, gpointer buffer, gsize length, GError **error)
{
  IpcSegment *segment;
  IpcSectionOutcome outcome;
  guint n_tries = 0;

  do
    {
      IpcMap *map;
      IpcSectionData data;

      if (!ipc_shared_memory_locate (self, IPC_ACCESS_READ, offset, length, &segment, &map, &data, error))
        return FALSE;
      /* There may be nothing to copy them to. */
      if (length == 0)
        return TRUE;
      outcome = ipc_section_read (&segment->section, &data, offset, buffer, length);
      if (!ipc_segment_is_intact (segment, map))
        {
          ipc_shared_memory_set_corrupt (self, error);
          return FALSE;
        }
      if (outcome == IPC_SECTION_DONE)
        return TRUE;
    }
  while (ipc_shared_memory_resolve (self, segment, outcome, offset, length, &n_tries, error));
  return FALSE;
}

G_GNUC_NO_INLINE static gboolean
write_carefully (IpcSharedMemory *self, gsize offset, gconstpointer from, gsize length, GError **error)
{
  IpcSegment *segment;
  IpcSectionOutcome outcome;
  guint n_tries = 0;

  do
    {
      IpcMap *map;
      IpcSectionData data;

      if (!ipc_shared_memory_locate (self, IPC_ACCESS_WRITE, offset, length, &segment, &map, &data, error))
        return FALSE;
      if (length == 0)
        return TRUE;
      outcome = ipc_section_write (&segment->section, &data, offset, from, length);
      if (!ipc_segment_is_intact (segment, map))
        {
          ipc_shared_memory_set_corrupt (self, error);
          return FALSE;
        }
      if (outcome == IPC_SECTION_DONE)
        return TRUE;
    }
  while (ipc_shared_memory_resolve (self, segment, outcome, offset, length, &n_tries, error));
  return FALSE;
}

/**
 * ipc_shared_memory_read_into: (skip)
 * @self: the segment
 * @offset: where, in bytes
 * @buffer: room for @length bytes
 * @length: how many
 * @error: return location for an error
 *
 * Reads bytes into memory of one's own. What is read is what one write left there; see [class@Ipc.SharedMemory].
 *
 * Errors: those of [method@Ipc.SharedMemory.read]. What is in @buffer then is not defined.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_read_into (IpcSharedMemory *self, gsize offset, gpointer buffer, gsize length, GError **error)
{
  IpcSegment *segment;
  IpcMap *map;

  g_return_val_if_fail (ipc_shared_memory_check (self), FALSE);
  g_return_val_if_fail (buffer != NULL || length == 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (G_LIKELY (ipc_shared_memory_find (self, IPC_ACCESS_READ, offset, length, &segment, &map) &&
                ipc_section_read_quickly (&segment->section, map->bytes, offset, buffer, length) && ipc_segment_is_intact (segment, map)))
    return TRUE;
  return read_carefully (self, offset, buffer, length, error);
}

/**
 * ipc_shared_memory_write_data: (skip)
 * @self: the segment
 * @offset: where, in bytes
 * @data: what to write
 * @length: how many bytes
 * @error: return location for an error
 *
 * Writes bytes. Nobody sees a part of them; see [class@Ipc.SharedMemory].
 *
 * Errors: those of [method@Ipc.SharedMemory.write].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_write_data (IpcSharedMemory *self, gsize offset, gconstpointer from, gsize length, GError **error)
{
  IpcSegment *segment;
  IpcMap *map;

  g_return_val_if_fail (ipc_shared_memory_check (self), FALSE);
  g_return_val_if_fail (from != NULL || length == 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (G_LIKELY (ipc_shared_memory_find (self, IPC_ACCESS_WRITE, offset, length, &segment, &map) &&
                ipc_section_write_quickly (&segment->section, map->bytes, offset, from, length) && ipc_segment_is_intact (segment, map)))
    return TRUE;
  return write_carefully (self, offset, from, length, error);
}

/**
 * ipc_shared_memory_read:
 * @self: the segment
 * @offset: where, in bytes
 * @length: how many bytes
 * @error: return location for an error
 *
 * Reads bytes: a copy of what is there. It is what one write left there, and never half of two, whatever other threads and
 * processes write meanwhile.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_PERMISSION_DENIED if it is not open for reading;
 * %IPC_ERROR_OWNER_DIED if a process was killed while it wrote any of these bytes (see [method@Ipc.SharedMemory.mark_consistent]);
 * %IPC_ERROR_TIMED_OUT if one has been writing for two seconds, because it was stopped; %IPC_ERROR_CORRUPT if another process has truncated
 * the file; %IPC_ERROR_FORKED; and, where the segment is from the list of a manager and was not used yet, those of
 * [method@Ipc.SharedMemoryManager.open_segment], and %IPC_ERROR_DELETED.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set
 *
 * Since: 0.1
 */
GBytes *
ipc_shared_memory_read (IpcSharedMemory *self, gsize offset, gsize length, GError **error)
{
  IpcSegment *segment;
  IpcMap *map;
  IpcSectionData data;
  gpointer copy;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  /* First, so that no memory is asked for that nobody will read into. */
  if (!ipc_shared_memory_locate (self, IPC_ACCESS_READ, offset, length, &segment, &map, &data, error))
    return NULL;
  copy = g_try_malloc (length);
  if (copy == NULL && length > 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE, "segment \"%s\": no memory for %" G_GSIZE_FORMAT " bytes",
                   ipc_shared_memory_describe (self), length);
      return NULL;
    }
  if (ipc_shared_memory_read_into (self, offset, copy, length, error))
    return g_bytes_new_take (copy, length);
  g_free (copy);
  return NULL;
}

/**
 * ipc_shared_memory_write:
 * @self: the segment
 * @offset: where, in bytes
 * @bytes: what to write
 * @error: return location for an error
 *
 * Writes bytes. Whoever reads sees all of them or none, also if this process is killed in the middle: up to 4096 bytes are
 * then completed by whoever comes next; of more, reading them is an error (%IPC_ERROR_OWNER_DIED) until they are written again.
 *
 * Nobody is told; that is what [method@Ipc.SharedMemory.notify_changed] is for.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_PERMISSION_DENIED if it is not open for writing, or sealed;
 * %IPC_ERROR_TIMED_OUT if another process has been writing for two seconds, because it was stopped; %IPC_ERROR_CORRUPT if another process
 * has truncated the file; %IPC_ERROR_UNSUPPORTED for a segment that came from a process of another scope; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set, and nothing was written; but with %IPC_ERROR_CORRUPT, it may have been where the file still is
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_write (IpcSharedMemory *self, gsize offset, GBytes *bytes, GError **error)
{
  gconstpointer from;
  gsize length;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (bytes != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  from = g_bytes_get_data (bytes, &length);
  return ipc_shared_memory_write_data (self, offset, from, length, error);
}

/* ---- views ---- */

/**
 * ipc_shared_memory_get_bytes:
 * @self: the segment
 * @offset: where, in bytes
 * @length: how many bytes
 * @error: return location for an error
 *
 * Looks at bytes where they lie, without a copy.
 *
 * The memory stays mapped for as long as the bytes are referenced, also when the segment is dropped or deleted. What is in it
 * changes when others write, also in the middle of being looked at: it is for what does not change any more (see
 * [method@Ipc.SharedMemory.seal]), or where a torn value does no harm. If another process truncates the file, it reads as zero.
 *
 * Errors: %IPC_ERROR_OUT_OF_BOUNDS; %IPC_ERROR_PERMISSION_DENIED if it is not open for reading; %IPC_ERROR_CORRUPT; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the bytes, or %NULL with @error set
 *
 * Since: 0.1
 */
GBytes *
ipc_shared_memory_get_bytes (IpcSharedMemory *self, gsize offset, gsize length, GError **error)
{
  IpcSegment *segment;
  IpcMap *map;
  IpcSectionData data;

  g_return_val_if_fail (ipc_shared_memory_check (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (G_UNLIKELY (!ipc_shared_memory_find (self, IPC_ACCESS_READ, offset, length, &segment, &map) &&
                  !ipc_shared_memory_locate (self, IPC_ACCESS_READ, offset, length, &segment, &map, &data, error)))
    return NULL;
  return g_bytes_new_with_free_func (map->bytes + offset, length, ipc_map_unref, ipc_map_ref (map));
}

/**
 * ipc_shared_memory_peek: (skip)
 * @self: the segment
 * @size: (out) (optional): how many bytes there are
 *
 * Gets where the bytes lie. It is for atomic operations of one's own, and for what is larger than one likes to copy; nothing
 * keeps what is read or written there whole.
 *
 * It stays valid while @self lives, also when it grows: what was there is at both places then. To write there is only allowed
 * where the segment is open for writing, and not sealed.
 *
 * Returns: (transfer none) (nullable): the first byte; %NULL in a forked child, or if there is nothing to be had
 *
 * Since: 0.1
 */
gpointer
ipc_shared_memory_peek (IpcSharedMemory *self, gsize *size)
{
  IpcSegment *segment;
  IpcMap *map;
  IpcSectionData data;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), NULL);

  if (!ipc_shared_memory_locate (self, 0, 0, 0, &segment, &map, &data, NULL))
    return NULL;
  if (size != NULL)
    *size = data.length;
  return data.bytes;
}
