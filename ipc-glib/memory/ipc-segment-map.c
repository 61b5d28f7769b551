/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a segment, as they are mapped. Where a segment has grown, it is mapped anew, with room for it to grow to twice as much:
 * addresses cost nothing, and may lie behind the end of the file as long as nobody goes there. The maps before stay as they are
 * until the segment is closed, because somebody may be reading through them; they are of the same pages, and few.
 */
#include "memory/ipc-segment-private.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/ipc-error-private.h"

/* ---- one map ---- */

static int
get_protection (gboolean writable)
{
  return writable ? PROT_READ | PROT_WRITE : PROT_READ;
}

/* What is sealed cannot be mapped as shared where the kernel is older than 6.7. */
static void *
map_bytes (const IpcSegment *self, gsize size)
{
  int flags = ipc_section_is_sealed (&self->section) && !self->writable ? MAP_PRIVATE : MAP_SHARED;
  void *bytes = mmap (NULL, size, get_protection (self->writable), flags, self->object.file.fd, (off_t) self->data_offset);

  if (bytes == MAP_FAILED && !self->writable && errno == EPERM)
    bytes = mmap (NULL, size, PROT_READ, MAP_PRIVATE, self->object.file.fd, (off_t) self->data_offset);
  return bytes;
}

static IpcMap *
map_new (const IpcSegment *self, gsize size, GError **error)
{
  IpcMap *map = ipc_map_new (map_bytes (self, size), size, self->writable);

  if (map == NULL)
    ipc_error_set_errno (error, errno, "cannot map %" G_GSIZE_FORMAT " bytes of a segment", size);
  return map;
}

/* ---- all that is wanted ---- */

gboolean
ipc_segment_check_file (const IpcSegment *self, guint64 size, GError **error)
{
  struct stat status;

  if (fstat (self->object.file.fd, &status) != 0)
    {
      ipc_error_set_errno (error, errno, "cannot look at a segment");
      return FALSE;
    }
  if (size > 0 && size <= IPC_SEGMENT_MAX_SIZE && (guint64) status.st_size >= self->data_offset + size)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
               "a segment says that it has %" G_GUINT64_FORMAT " bytes, in a file of %" G_GINT64_FORMAT " from %" G_GUINT64_FORMAT " on", size,
               (gint64) status.st_size, self->data_offset);
  return FALSE;
}

/* The first map is as large as the segment, as most never grow. */
static IpcMap *
map_locked (IpcSegment *self, guint64 size, GError **error)
{
  IpcMap *newest = atomic_load (&self->map);
  IpcMap *map = NULL;

  if (newest != NULL && size <= newest->reserved)
    return newest;
  if (!ipc_segment_check_file (self, size, error))
    return NULL;
  if (newest != NULL)
    map = map_new (self, size * 2, NULL);
  if (map == NULL)
    map = map_new (self, size, error);
  if (map == NULL)
    return NULL;
  map->older = newest;
  atomic_store_explicit (&self->map, map, memory_order_release);
  return map;
}

IpcMap *
ipc_segment_map (IpcSegment *self, guint64 size, GError **error)
{
  IpcMap *map;

  g_mutex_lock (&self->mutex);
  map = map_locked (self, size, error);
  g_mutex_unlock (&self->mutex);
  return map;
}

/* ---- sealing ---- */

/* At the same addresses, so that nobody who reads there notices. */
static gboolean
map_again (const IpcSegment *self, void *at, gsize size, int protection, gboolean private, guint64 offset, GError **error)
{
  int flags = (private ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED;

  if (mmap (at, size, protection, flags, self->object.file.fd, (off_t) offset) != MAP_FAILED)
    return TRUE;
  ipc_error_set_errno (error, errno, "cannot map a segment again");
  return FALSE;
}

gboolean
ipc_segment_make_private (IpcSegment *self, gboolean private, GError **error)
{
  const IpcSharedFile *file = &self->object.file;
  gboolean done = TRUE;

  g_mutex_lock (&self->mutex);
  for (IpcMap *map = atomic_load (&self->map); map != NULL && done; map = map->older)
    done = map_again (self, map->bytes, map->reserved, get_protection (!private && map->writable), private, self->data_offset, error);
  /* What is only of use among processes goes on, for this one. */
  if (done && !self->is_foreign)
    done = map_again (self, file->map, file->info.size, PROT_READ | PROT_WRITE, private, 0, error);
  g_mutex_unlock (&self->mutex);
  return done;
}

/* ---- what a dead writer left ---- */

gboolean
ipc_segment_settle (IpcSegment *self, GError **error)
{
  guint64 size = ipc_segment_get_size (self);
  IpcSectionData data = { .length = size, .writable = TRUE };
  IpcGuard *guard;

  if (!ipc_segment_check_file (self, size, error))
    return FALSE;
  data.bytes = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->object.file.fd, (off_t) self->data_offset);
  guard = data.bytes != MAP_FAILED ? ipc_guard_map (data.bytes, size) : NULL;
  /* What cannot be done now, whoever comes next does. */
  if (guard != NULL && ipc_section_lock (&self->section, &data) == IPC_SECTION_DONE)
    ipc_section_unlock (&self->section);
  if (guard == NULL)
    ipc_error_set_errno (error, errno, "cannot map %" G_GUINT64_FORMAT " bytes of a segment", size);
  ipc_guard_unmap (guard);
  if (data.bytes != MAP_FAILED)
    munmap (data.bytes, size);
  return guard != NULL;
}
