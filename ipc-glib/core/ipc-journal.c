/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/ipc-journal-state.h"

/* ---- room ---- */

static bool
fault_too_large (const IpcJournal *self, size_t n, IpcFault *fault)
{
  return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "\"%s\": %zu ranges are too much for one record", self->name, n);
}

static bool
enlarge (IpcJournal *self, uint64_t size, IpcFault *fault)
{
  int problem;

  do
    problem = posix_fallocate (self->fd, 0, (off_t) size);
  while (problem == EINTR);
  errno = problem;
  if (problem != 0)
    return ipc_journal_fault_errno (self, "enlarge", fault);
  self->size = size;
  return true;
}

/* Where there is room: what others write is looked at once, and not trusted to be in range. */
static bool
make_room (IpcJournal *self, int data_fd, uint64_t length, uint64_t *tail, IpcFault *fault)
{
  IpcJournalLive *live = ipc_journal_get_live (self);
  bool is_promised = atomic_load (&live->is_promised) != 0;

  *tail = atomic_load (&live->tail);
  if (*tail < IPC_JOURNAL_RECORDS_AT || *tail > self->size || *tail % 8 != 0)
    return ipc_journal_fault_corrupt (self, "does not know where it ends", fault);
  if (length <= self->size - *tail)
    return true;
  /* What nobody has promised to keep needs no sync. Otherwise the new generation is to be known before the first of its records is there:
   * after a power cut, some of the old ones would be written over what later ones have written. */
  if (is_promised && !ipc_journal_sync_data (data_fd))
    return ipc_fault_set_errno (fault, errno, "cannot sync the file of \"%s\"", self->name);
  if (ipc_journal_has_records (self) && !ipc_journal_clear (self, is_promised, fault))
    return false;
  *tail = IPC_JOURNAL_RECORDS_AT;
  return length <= self->size - IPC_JOURNAL_RECORDS_AT || enlarge (self, IPC_JOURNAL_RECORDS_AT + length, fault);
}

bool
ipc_journal_make_room (IpcJournal *self, int data_fd, const IpcJournalRange *ranges, size_t n, IpcFault *fault)
{
  uint64_t length = ipc_journal_record_measure (ranges, n), tail;

  return length == 0 ? fault_too_large (self, n, fault) : make_room (self, data_fd, length, &tail, fault);
}

/* ---- appending ---- */

/* It is never to be found. */
static void
wipe (IpcJournal *self, uint64_t tail)
{
  static const IpcJournalRecordHead nothing;

  if (ipc_journal_write_all (self->fd, &nothing, sizeof nothing, tail))
    atomic_store (&ipc_journal_get_live (self)->is_busy, 0);
}

/* Only what is behind TAIL is missing on the disk, or more is. */
static bool
write_durably (IpcJournal *self, const uint8_t *record, uint64_t length, uint64_t tail, IpcFault *fault)
{
  _Atomic uint64_t *synced = &ipc_journal_get_live (self)->synced;
  bool is_next = atomic_load (synced) == tail;

  atomic_store (&ipc_journal_get_live (self)->is_promised, 1);
  /* After a failure, nobody knows what is on the disk. */
  atomic_store (synced, 0);
  if (is_next ? !ipc_journal_write_synced (self->fd, record, length, tail) : !ipc_journal_write_all (self->fd, record, length, tail))
    return ipc_journal_fault_errno (self, "write", fault);
  if (!is_next && !ipc_journal_sync_data (self->fd))
    return ipc_journal_fault_errno (self, "sync", fault);
  atomic_store (synced, tail + length);
  return true;
}

static bool
write_record (IpcJournal *self, const uint8_t *record, uint64_t length, uint64_t tail, bool durable, IpcFault *fault)
{
  if (durable)
    return write_durably (self, record, length, tail, fault);
  return ipc_journal_write_all (self->fd, record, length, tail) || ipc_journal_fault_errno (self, "write", fault);
}

/* A record that is not to be synced is made where it belongs. */
static bool
is_made_in_place (const IpcJournal *self, uint64_t length, uint64_t tail, bool durable)
{
  return !durable && length <= self->map->reserved && tail <= self->map->reserved - length;
}

static bool
append (IpcJournal *self, uint8_t *record, uint64_t tail, const IpcJournalRange *ranges, size_t n, uint64_t file_size, bool durable, IpcFault *fault)
{
  IpcJournalLive *live = ipc_journal_get_live (self);
  uint64_t length = ipc_journal_record_measure (ranges, n);

  atomic_store (&live->is_busy, 1);
  ipc_journal_record_write (record != NULL ? record : self->map->bytes + tail, ranges, n, atomic_load (&live->sequence) + 1, file_size,
                            ipc_journal_header_get_seed (&self->header));
  if ((record == NULL || write_record (self, record, length, tail, durable, fault)) &&
      (!ipc_guard_is_broken (self->map->guard) || ipc_journal_fault_corrupt (self, "was truncated", fault)))
    {
      self->appended = length;
      return true;
    }
  wipe (self, tail);
  return false;
}

bool
ipc_journal_append (IpcJournal *self, int data_fd, const IpcJournalRange *ranges, size_t n, uint64_t file_size, bool durable, IpcFault *fault)
{
  uint64_t length = ipc_journal_record_measure (ranges, n), tail;
  uint8_t *record;
  bool appended;

  if (length == 0)
    return fault_too_large (self, n, fault);
  if (!make_room (self, data_fd, length, &tail, fault))
    return false;
  if (is_made_in_place (self, length, tail, durable))
    return append (self, NULL, tail, ranges, n, file_size, false, fault);
  record = malloc ((size_t) length);
  if (record == NULL)
    return ipc_fault_set_errno (fault, ENOMEM, "\"%s\": a record of %" PRIu64 " bytes", self->name, length);
  appended = append (self, record, tail, ranges, n, file_size, durable, fault);
  free (record);
  return appended;
}

void
ipc_journal_finish (IpcJournal *self)
{
  IpcJournalLive *live = ipc_journal_get_live (self);

  atomic_fetch_add (&live->sequence, 1);
  atomic_fetch_add (&live->tail, self->appended);
  atomic_store (&live->is_busy, 0);
}
