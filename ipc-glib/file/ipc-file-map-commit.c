/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making the writes of a transaction: into the journal first, and then into the file.
 */
#include "file/ipc-file-map-private.h"

#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-racy-copy.h"

#define MAX_CALLS 16u

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

/* FALSE: not all of them. */
static gboolean
write_ranges (IpcFileMap *self, const IpcJournalRange *ranges, gsize n)
{
  for (gsize i = 0; i < n; i++)
    if (TEMP_FAILURE_RETRY (pwrite (self->opened.fd, ranges[i].data, ranges[i].length, (off_t) ranges[i].offset)) != (gssize) ranges[i].length)
      return FALSE;
  return TRUE;
}

/* What is durable is synced from time to time, and then the first store to a page of the map is a fault, which takes ten times as long as to
 * write to it by a call. */
static void
copy_ranges (IpcFileMap *self, const IpcMap *bytes, const IpcJournalRange *ranges, gsize n, gboolean durable)
{
  gboolean written = durable && n <= MAX_CALLS && write_ranges (self, ranges, n);

  for (gsize i = 0; i < n; i++)
    {
      if (!written)
        ipc_racy_copy (bytes->bytes + ranges[i].offset, ranges[i].data, ranges[i].length);
      ipc_dirty_mark (&self->dirty, ranges[i].offset, ranges[i].length);
    }
}

/* Nobody reads meanwhile. */
static gboolean
apply (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, gboolean durable, GError **error)
{
  IpcMap *bytes = atomic_load (&self->map);
  IpcFault fault = { 0 };

  copy_ranges (self, bytes, ranges, n, durable);
  if (!ipc_guard_is_broken (bytes->guard))
    ipc_journal_finish (self->journal);
  /* Somebody has truncated it just now; it is in the journal, and makes the file as long again. */
  else if (!ipc_journal_recover (self->journal, self->opened.fd, &fault))
    {
      /* It stays as it is, so that whoever reads tries that once more first. */
      ipc_error_set_fault (error, &fault, self->opened.path);
      return FALSE;
    }
  ipc_file_map_rest (self);
  return TRUE;
}

/* If this process is killed, whoever looks next finds that it is not at rest, and the journal busy, and does what is in that. Others read and
 * write while a record is being synced; when it need not be, that is not worth telling of. */
static gboolean
record_and_apply (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, gboolean durable, GError **error)
{
  _Atomic guint32 *sequence = self->board.sequence;
  IpcFault fault = { 0 };

  atomic_fetch_add (sequence, durable ? IPC_FILE_RECORDING : IPC_FILE_WRITING);
  if (ipc_journal_append (self->journal, self->opened.fd, ranges, n, atomic_load (&self->size), durable, &fault))
    {
      if (durable)
        atomic_fetch_add (sequence, IPC_FILE_WRITING - IPC_FILE_RECORDING);
      return apply (self, ranges, n, durable, error);
    }
  ipc_file_map_rest (self);
  ipc_error_set_fault (error, &fault, self->opened.path);
  return FALSE;
}

static gboolean
commit_locked (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, gboolean durable, GError **error)
{
  IpcFault fault = { 0 };

  if (!check_ranges (self, ranges, n, error))
    return FALSE;
  if (ipc_journal_make_room (self->journal, self->opened.fd, ranges, n, &fault))
    return record_and_apply (self, ranges, n, durable, error);
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
