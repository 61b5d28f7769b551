/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal-state.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
ipc_journal_is_settled (const IpcJournal *self)
{
  IpcJournalLive *live = ipc_journal_get_live (self);
  uint64_t tail = atomic_load (&live->tail);

  return ipc_journal_is_of_file (self, &self->header) && ipc_journal_is_of_this_boot (self) && atomic_load (&live->is_busy) == 0 &&
         tail >= IPC_JOURNAL_RECORDS_AT && tail <= self->size && tail % 8 == 0;
}

/* (transfer full): record SEQUENCE at POSITION; NULL: there is none, unless *FAILED. */
static uint8_t *
read_record (const IpcJournal *self, uint64_t position, uint64_t sequence, bool *failed)
{
  IpcJournalRecordHead head;
  uint8_t *record;

  if (position > self->size - sizeof head)
    return NULL;
  *failed = !ipc_journal_read_all (self->fd, &head, sizeof head, position);
  if (*failed || !ipc_journal_record_is_head (&head, sequence, self->size - position))
    return NULL;
  record = malloc ((size_t) head.length);
  *failed = record == NULL || !ipc_journal_read_all (self->fd, record, head.length, position);
  /* Somebody may have changed it after the head was judged. */
  if (!*failed && memcmp (record, &head, sizeof head) == 0 && ipc_journal_record_is_whole (record, ipc_journal_header_get_seed (&self->header)))
    return record;
  free (record);
  return NULL;
}

/* A file that was not synced may be shorter than it was. */
static bool
restore_size (int data_fd, uint64_t size)
{
  struct stat status;

  return fstat (data_fd, &status) == 0 && ((uint64_t) status.st_size >= size || TEMP_FAILURE_RETRY (ftruncate (data_fd, (off_t) size)) == 0);
}

static bool
redo (const uint8_t *record, int data_fd)
{
  IpcJournalRecordHead head;
  uint64_t position = 0;

  memcpy (&head, record, sizeof head);
  if (!restore_size (data_fd, head.file_size))
    return false;
  for (uint32_t i = 0; i < head.n_ranges; i++)
    {
      IpcJournalRange range;

      ipc_journal_record_get (record, i, &range, &position);
      if (!ipc_journal_write_all (data_fd, range.data, range.length, range.offset))
        return false;
    }
  return true;
}

/* All behind the one with the number APPLIED. *TAIL and *SEQUENCE are those of the next one. */
static bool
redo_all (IpcJournal *self, int data_fd, uint64_t applied, uint64_t *tail, uint64_t *sequence, IpcFault *fault)
{
  bool failed = false;
  uint8_t *record;

  *tail = IPC_JOURNAL_RECORDS_AT;
  *sequence = self->header.first_sequence;
  while ((record = read_record (self, *tail, *sequence, &failed)) != NULL)
    {
      failed = *sequence > applied && !redo (record, data_fd);
      *tail += ((const IpcJournalRecordHead *) record)->length;
      *sequence += 1;
      free (record);
      if (failed)
        return ipc_fault_set_errno (fault, errno, "cannot write what is in \"%s\" into its file", self->name);
    }
  return !failed || ipc_journal_fault_errno (self, "read", fault);
}

bool
ipc_journal_recover (IpcJournal *self, int data_fd, IpcFault *fault)
{
  uint64_t tail, sequence;

  if (ipc_journal_is_settled (self))
    return true;
  if (!ipc_journal_is_of_file (self, &self->header))
    return ipc_journal_begin_generation (self, 1, false, fault);
  if (ipc_journal_is_of_this_boot (self))
    {
      if (!redo_all (self, data_fd, atomic_load (&ipc_journal_get_live (self)->sequence), &tail, &sequence, fault))
        return false;
      ipc_journal_set_live (self, sequence - 1, tail);
      return true;
    }
  if (!redo_all (self, data_fd, 0, &tail, &sequence, fault))
    return false;
  if (tail != IPC_JOURNAL_RECORDS_AT && !ipc_journal_sync_data (data_fd))
    return ipc_fault_set_errno (fault, errno, "cannot sync the file of \"%s\"", self->name);
  return ipc_journal_begin_generation (self, sequence, tail != IPC_JOURNAL_RECORDS_AT, fault);
}
