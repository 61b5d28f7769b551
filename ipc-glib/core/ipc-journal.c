/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/ipc-journal-state.h"

static bool
make_room (IpcJournal *self, int data_fd, uint64_t length, IpcFault *fault)
{
  IpcJournalLive *live = ipc_journal_get_live (self);
  int problem;

  if (length <= self->size - atomic_load (&live->tail))
    return true;
  /* What nobody has promised to keep needs no sync. */
  if (atomic_load (&live->is_promised) != 0 && !ipc_journal_sync_data (data_fd))
    return ipc_fault_set_errno (fault, errno, "cannot sync the file of \"%s\"", self->name);
  if (ipc_journal_has_records (self) && !ipc_journal_clear (self, false, fault))
    return false;
  if (length <= self->size - IPC_JOURNAL_RECORDS_AT)
    return true;
  do
    problem = posix_fallocate (self->fd, 0, (off_t) (IPC_JOURNAL_RECORDS_AT + length));
  while (problem == EINTR);
  errno = problem;
  if (problem != 0)
    return ipc_journal_fault_errno (self, "enlarge", fault);
  self->size = IPC_JOURNAL_RECORDS_AT + length;
  return true;
}

/* It is never to be found. */
static void
wipe (IpcJournal *self, uint64_t tail)
{
  static const IpcJournalRecordHead nothing;

  if (ipc_journal_write_all (self->fd, &nothing, sizeof nothing, tail))
    atomic_store (&ipc_journal_get_live (self)->is_busy, 0);
}

static bool
write_record (IpcJournal *self, const uint8_t *record, uint64_t length, bool durable, IpcFault *fault)
{
  IpcJournalLive *live = ipc_journal_get_live (self);
  uint64_t tail = atomic_load (&live->tail);

  if (durable)
    atomic_store (&live->is_promised, 1);
  atomic_store (&live->is_busy, 1);
  if (!ipc_journal_write_all (self->fd, record, length, tail))
    ipc_journal_fault_errno (self, "write", fault);
  else if (durable && !ipc_journal_sync_data (self->fd))
    ipc_journal_fault_errno (self, "sync", fault);
  else if (ipc_guard_is_broken (self->head->guard))
    ipc_journal_fault_corrupt (self, "was truncated", fault);
  else
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
  uint64_t length = ipc_journal_record_measure (ranges, n);
  uint8_t *record;
  bool written;

  if (length == 0)
    return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "\"%s\": %zu ranges are too much for one record", self->name, n);
  if (!make_room (self, data_fd, length, fault))
    return false;
  record = malloc ((size_t) length);
  if (record == NULL)
    return ipc_fault_set_errno (fault, ENOMEM, "\"%s\": a record of %" PRIu64 " bytes", self->name, length);
  ipc_journal_record_write (record, ranges, n, atomic_load (&ipc_journal_get_live (self)->sequence) + 1, file_size,
                            ipc_journal_header_get_seed (&self->header));
  written = write_record (self, record, length, durable, fault);
  free (record);
  return written;
}

void
ipc_journal_finish (IpcJournal *self)
{
  IpcJournalLive *live = ipc_journal_get_live (self);

  atomic_fetch_add (&live->sequence, 1);
  atomic_fetch_add (&live->tail, self->appended);
  atomic_store (&live->is_busy, 0);
}
