/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bringing what was written to the disk. What is dirty is known page by page, and flushed by one call: a call for each piece takes
 * ten times as long.
 */
#include "file/ipc-file-map-private.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/ipc-error-private.h"

guint64
ipc_file_map_count_dirty (IpcFileMap *self)
{
  guint64 size = atomic_load (&self->size);

  return MIN (ipc_dirty_count (&self->dirty, size) * IPC_DIRTY_PAGE, size);
}

/* ---- after a failure ---- */

/* After the kernel has failed to write a page, it takes it for clean, and would say that all is well the next time: so each is
 * written to once more, without changing it, whoever writes there meanwhile. */
static void
rewrite_byte (guint8 *byte)
{
  guint8 value = __atomic_load_n (byte, __ATOMIC_RELAXED);

  while (!__atomic_compare_exchange_n (byte, &value, value, FALSE, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
    ;
}

static void
rewrite (IpcFileMap *self, guint64 begin, guint64 end)
{
  IpcMap *map = atomic_load (&self->map);
  guint64 offset = begin & ~(IPC_DIRTY_PAGE - 1);

  end = MIN (end, atomic_load (&self->size));
  for (; ipc_dirty_find (&self->dirty, &offset, end); offset += IPC_DIRTY_PAGE)
    rewrite_byte (map->bytes + offset);
}

/* ---- flushing ---- */

static gboolean
fail (IpcFileMap *self, const char *what, GError **error)
{
  ipc_error_set_errno (error, errno, "file \"%s\": %s failed, what was written may not be on the disk", self->opened.path, what);
  return FALSE;
}

static gboolean
flush_all (IpcFileMap *self, GError **error)
{
  int result;

  do
    result = fdatasync (self->opened.fd);
  while (result != 0 && errno == EINTR);
  return result == 0 || fail (self, "fdatasync", error);
}

static gboolean
flush_range (IpcFileMap *self, guint64 begin, guint64 end, GError **error)
{
  IpcMap *map = atomic_load (&self->map);
  guint64 page = (guint64) sysconf (_SC_PAGESIZE);

  begin &= ~(page - 1);
  return msync (map->bytes + begin, end - begin, MS_SYNC) == 0 || fail (self, "msync", error);
}

/* What is synced now is not to be overwritten by what was synced before. */
gboolean
ipc_file_map_checkpoint (IpcFileMap *self, GError **error)
{
  IpcFault fault = { 0 };

  if (!flush_all (self, error))
    return FALSE;
  if (!ipc_journal_has_records (self->journal) || ipc_journal_clear (self->journal, true, &fault))
    return TRUE;
  ipc_error_set_fault (error, &fault, self->opened.path);
  return FALSE;
}

static gboolean
flush (IpcFileMap *self, guint64 begin, guint64 end, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gboolean done;

  if (ipc_file_map_lock_journal (self, FALSE, &reason))
    {
      done = ipc_file_map_checkpoint (self, error);
      ipc_file_map_unlock_journal (self);
      return done;
    }
  if (reason != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  return begin == 0 && end >= atomic_load (&self->size) ? flush_all (self, error) : flush_range (self, begin, end, error);
}

/* ---- all together ---- */

/* What was written behind the end that the file has now is lost, and told of once. */
static gboolean
check_size (IpcFileMap *self, guint64 begin, guint64 end, GError **error)
{
  guint64 size, lost;

  if (!ipc_file_map_refresh (self, error))
    return FALSE;
  size = atomic_load (&self->size);
  lost = (size + IPC_DIRTY_PAGE - 1) & ~(IPC_DIRTY_PAGE - 1);
  if (size >= end || !ipc_dirty_find (&self->dirty, &lost, end))
    return TRUE;
  ipc_dirty_take (&self->dirty, lost, end);
  ipc_dirty_settle (&self->dirty, lost, end, true);
  ipc_file_map_fail_truncated (self, begin, end - begin, error);
  return FALSE;
}

static gboolean
sync_locked (IpcFileMap *self, guint64 begin, guint64 end, GError **error)
{
  guint64 first = begin & ~(IPC_DIRTY_PAGE - 1);
  gboolean done;

  if (!ipc_dirty_find (&self->dirty, &first, end))
    return TRUE;
  if (!check_size (self, begin, end, error))
    return FALSE;
  end = MIN (end, atomic_load (&self->size));
  if (self->must_rewrite)
    rewrite (self, begin, end);
  ipc_dirty_take (&self->dirty, begin, end);
  done = flush (self, begin, end, error);
  ipc_dirty_settle (&self->dirty, begin, end, done);
  self->must_rewrite = self->must_rewrite || !done;
  /* What failed may be outside of what is synced now. */
  if (done && ipc_file_map_count_dirty (self) == 0)
    self->must_rewrite = FALSE;
  return done;
}

gboolean
ipc_file_map_sync (IpcFileMap *self, guint64 begin, guint64 end, GError **error)
{
  gboolean done;

  g_mutex_lock (&self->sync_mutex);
  done = sync_locked (self, begin, end, error);
  g_mutex_unlock (&self->sync_mutex);
  return done;
}
