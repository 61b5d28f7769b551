/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal-state.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define HEADER_DISTANCE 1024    /* from the one place to the other */
#define BOOT_ID_LENGTH 36       /* a UUID as text */

/* ---- who and when ---- */

static int
get_digit (char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Without it, nobody knows what the page cache is worth. */
bool
ipc_journal_read_boot (uint8_t boot[16], IpcFault *fault)
{
  char text[BOOT_ID_LENGTH];
  int fd = TEMP_FAILURE_RETRY (open ("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  bool is_read = fd >= 0 && ipc_journal_read_all (fd, text, sizeof text, 0);
  int n_digits = 0;

  if (fd >= 0)
    close (fd);
  memset (boot, 0, 16);
  for (size_t i = 0; is_read && i < sizeof text && n_digits < 32; i++)
    if (get_digit (text[i]) >= 0)
      {
        boot[n_digits / 2] = (uint8_t) (boot[n_digits / 2] << 4 | get_digit (text[i]));
        n_digits++;
      }
  return n_digits == 32 || ipc_fault_set_errno (fault, is_read ? EIO : errno, "cannot read /proc/sys/kernel/random/boot_id");
}

uint64_t
ipc_journal_make_salt (void)
{
  struct timespec now;
  uint64_t salt;

  if (getrandom (&salt, sizeof salt, GRND_NONBLOCK) == (ssize_t) sizeof salt)
    return salt;
  clock_gettime (CLOCK_REALTIME, &now);
  return (uint64_t) now.tv_sec * 1000000007u ^ (uint64_t) now.tv_nsec << 20 ^ (uint64_t) getpid ();
}

bool
ipc_journal_is_of_file (const IpcJournal *self, const IpcJournalHeader *header)
{
  bool has_birth = (self->file.stx_mask & STATX_BTIME) != 0;

  return header->inode == self->file.stx_ino && header->birth_s == (has_birth ? self->file.stx_btime.tv_sec : 0) &&
         header->birth_ns == (has_birth ? self->file.stx_btime.tv_nsec : 0);
}

/* ---- headers ---- */

bool
ipc_journal_write_header (IpcJournal *self, uint64_t generation, uint64_t first_sequence, bool durable)
{
  bool has_birth = (self->file.stx_mask & STATX_BTIME) != 0;
  IpcJournalHeader header = {
    .generation = generation,
    .salt = ipc_journal_make_salt (),
    .first_sequence = first_sequence,
    .inode = self->file.stx_ino,
    .birth_s = has_birth ? self->file.stx_btime.tv_sec : 0,
    .birth_ns = has_birth ? self->file.stx_btime.tv_nsec : 0,
  };

  ipc_journal_header_seal (&header);
  if (durable ? !ipc_journal_write_synced (self->fd, &header, sizeof header, generation % 2 * HEADER_DISTANCE)
              : !ipc_journal_write_all (self->fd, &header, sizeof header, generation % 2 * HEADER_DISTANCE))
    return false;
  self->header = header;
  return true;
}

bool
ipc_journal_read_header (IpcJournal *self, IpcFault *fault)
{
  IpcJournalHeader best = { 0 };

  for (uint64_t i = 0; i < 2; i++)
    {
      IpcJournalHeader header;

      if (!ipc_journal_read_all (self->fd, &header, sizeof header, i * HEADER_DISTANCE))
        return ipc_journal_fault_errno (self, "read", fault);
      switch (ipc_journal_header_judge (&header))
        {
        case IPC_JOURNAL_HEADER_NEWER:
          return ipc_fault_set (fault, IPC_FAULT_VERSION, "\"%s\" has version %u, known is %u", self->name, header.version, IPC_JOURNAL_VERSION);
        case IPC_JOURNAL_HEADER_GOOD:
          if (header.generation > best.generation)
            best = header;
          break;
        case IPC_JOURNAL_HEADER_NONE:
        default:
          break;
        }
    }
  self->header = best;
  return best.generation != 0 || ipc_journal_fault_corrupt (self, "is not a journal, or is damaged", fault);
}

bool
ipc_journal_is_of_this_boot (const IpcJournal *self)
{
  const IpcJournalLive *live = ipc_journal_get_live (self);

  return memcmp (live->boot, self->boot, sizeof self->boot) == 0 && atomic_load (&((IpcJournalLive *) live)->generation) == self->header.generation;
}

void
ipc_journal_set_live (IpcJournal *self, uint64_t sequence, uint64_t tail)
{
  IpcJournalLive *live = ipc_journal_get_live (self);

  atomic_store (&live->sequence, sequence);
  atomic_store (&live->tail, tail);
  memcpy (live->boot, self->boot, sizeof self->boot);
  atomic_store (&live->generation, self->header.generation);
  atomic_store (&live->is_busy, 0);
}

/* From FIRST_SEQUENCE on. If it is killed between the two, the next one finds no record in the new one. */
bool
ipc_journal_begin_generation (IpcJournal *self, uint64_t first_sequence, bool durable, IpcFault *fault)
{
  if (!ipc_journal_write_header (self, self->header.generation + 1, first_sequence, durable))
    return ipc_journal_fault_errno (self, "write", fault);
  atomic_store (&ipc_journal_get_live (self)->is_promised, 0);
  atomic_store (&ipc_journal_get_live (self)->synced, durable ? IPC_JOURNAL_RECORDS_AT : 0);
  ipc_journal_set_live (self, first_sequence - 1, IPC_JOURNAL_RECORDS_AT);
  return true;
}

bool
ipc_journal_has_records (const IpcJournal *self)
{
  return atomic_load (&ipc_journal_get_live (self)->tail) != IPC_JOURNAL_RECORDS_AT;
}

bool
ipc_journal_clear (IpcJournal *self, bool durable, IpcFault *fault)
{
  return ipc_journal_begin_generation (self, atomic_load (&ipc_journal_get_live (self)->sequence) + 1, durable, fault);
}
