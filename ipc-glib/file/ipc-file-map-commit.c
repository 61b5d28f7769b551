/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making the writes of a transaction: into the journal first, and then into the file.
 */
#include "file/ipc-file-map-private.h"

#include "base/ipc-error-private.h"
#include "core/ipc-racy-copy.h"

/* With the lock of the journal, so that it does not become shorter by this library. */
static gboolean
check_ranges (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, GError **error)
{
  guint64 size;

  if (!ipc_file_map_refresh (self, error))
    return FALSE;
  size = atomic_load (&self->size);
  for (gsize i = 0; i < n; i++)
    if (ranges[i].offset > size || ranges[i].length > size - ranges[i].offset)
      {
        ipc_file_map_fail_bounds (self, ranges[i].offset, ranges[i].length, error);
        return FALSE;
      }
  return TRUE;
}

static void
copy_ranges (IpcFileMap *self, const IpcMap *bytes, const IpcJournalRange *ranges, gsize n)
{
  for (gsize i = 0; i < n; i++)
    {
      ipc_racy_copy (bytes->bytes + ranges[i].offset, ranges[i].data, ranges[i].length);
      ipc_dirty_mark (&self->dirty, ranges[i].offset, ranges[i].length);
    }
}

/* While the number is odd, nobody reads. If this process is killed meanwhile, whoever comes next finds the journal busy, and does it. */
static gboolean
apply (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, GError **error)
{
  _Atomic guint32 *sequence = ipc_file_board_get_sequence (&self->board);
  IpcMap *bytes = atomic_load (&self->map);
  IpcFault fault = { 0 };

  atomic_fetch_add (sequence, 1);
  copy_ranges (self, bytes, ranges, n);
  if (!ipc_guard_is_broken (bytes->guard))
    ipc_journal_finish (self->journal);
  /* Somebody has truncated it just now; it is in the journal, and makes the file as long again. */
  else if (!ipc_journal_recover (self->journal, self->opened.fd, &fault))
    {
      /* The number stays odd, so that whoever reads tries that once more first. */
      ipc_error_set_fault (error, &fault, self->opened.path);
      return FALSE;
    }
  atomic_fetch_add (sequence, 1);
  return TRUE;
}

static gboolean
commit_locked (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, gboolean durable, GError **error)
{
  IpcFault fault = { 0 };

  if (!check_ranges (self, ranges, n, error))
    return FALSE;
  if (ipc_journal_append (self->journal, self->opened.fd, ranges, n, atomic_load (&self->size), durable, &fault))
    return apply (self, ranges, n, error);
  ipc_error_set_fault (error, &fault, self->opened.path);
  return FALSE;
}

gboolean
ipc_file_map_commit (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, gboolean durable, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gboolean done = FALSE;

  if (ipc_file_map_lock_journal (self, TRUE, &reason))
    {
      done = commit_locked (self, ranges, n, durable, &reason);
      ipc_file_map_unlock_journal (self);
    }
  if (!done)
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  ipc_listeners_ring_elsewhere (&self->board.listeners);
  return TRUE;
}
