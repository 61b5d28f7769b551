/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "core/ipc-map.h"
#include "core/ipc-new-file.h"
#include "core/ipc-safe-path.h"

#define HEADER_DISTANCE 1024    /* from the one place to the other */
#define LIVE_AT 2048
#define BOOT_ID_LENGTH 36       /* a UUID as text */
#define RECORDS_AT 4096u

#define SHORTEST_NAP_NS 20000
#define LONGEST_NAP_NS 1000000

/* What is only good as long as the machine runs. */
typedef struct
{
  uint8_t boot[16];
  _Atomic uint64_t generation;
  _Atomic uint64_t sequence;    /* of the last record that is in the file */
  _Atomic uint64_t tail;        /* where the next record goes */
  _Atomic uint32_t is_busy;     /* a record is being appended, or written into the file */
  _Atomic uint32_t is_promised; /* there are records that were synced */
} Live;

struct _IpcJournal
{
  int fd;                       /* fork-guarded */
  unsigned forks;
  char name[NAME_MAX + 1];
  IpcMap *head;                 /* (owned) the first page */
  struct statx file;            /* what it is of */
  uint8_t boot[16];

  /* As of the lock. */
  uint64_t size;
  IpcJournalHeader header;      /* generation 0: not read yet */
  uint64_t appended;            /* bytes that are to be finished */
};

static Live *
get_live (const IpcJournal *self)
{
  return (Live *) (self->head->bytes + LIVE_AT);
}

static bool
fault_errno (const IpcJournal *self, const char *what, IpcFault *fault)
{
  return ipc_fault_set_errno (fault, errno, "cannot %s \"%s\"", what, self->name);
}

static bool
fault_corrupt (const IpcJournal *self, const char *why, IpcFault *fault)
{
  return ipc_fault_set (fault, IPC_FAULT_CORRUPT, "\"%s\" %s", self->name, why);
}

/* ---- bytes ---- */

static bool
write_all (int fd, const void *bytes, uint64_t size, uint64_t offset)
{
  for (uint64_t done = 0; done < size;)
    {
      ssize_t n = pwrite (fd, (const uint8_t *) bytes + done, (size_t) (size - done), (off_t) (offset + done));

      if (n < 0 && errno != EINTR)
        return false;
      done += n > 0 ? (uint64_t) n : 0;
    }
  return true;
}

static bool
read_all (int fd, void *bytes, uint64_t size, uint64_t offset)
{
  for (uint64_t done = 0; done < size;)
    {
      ssize_t n = pread (fd, (uint8_t *) bytes + done, (size_t) (size - done), (off_t) (offset + done));

      if (n == 0)
        errno = EIO;
      if (n == 0 || (n < 0 && errno != EINTR))
        return false;
      done += n > 0 ? (uint64_t) n : 0;
    }
  return true;
}

static bool
sync_data (int fd)
{
  int result;

  do
    result = fdatasync (fd);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/* ---- who and when ---- */

static int
get_digit (char c)
{
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Without it, nobody knows what the page cache is worth. */
static bool
read_boot (uint8_t boot[16], IpcFault *fault)
{
  char text[BOOT_ID_LENGTH];
  int fd = TEMP_FAILURE_RETRY (open ("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  bool is_read = fd >= 0 && read_all (fd, text, sizeof text, 0);
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

static uint64_t
make_salt (void)
{
  struct timespec now;
  uint64_t salt;

  if (getrandom (&salt, sizeof salt, GRND_NONBLOCK) == (ssize_t) sizeof salt)
    return salt;
  clock_gettime (CLOCK_REALTIME, &now);
  return (uint64_t) now.tv_sec * 1000000007u ^ (uint64_t) now.tv_nsec << 20 ^ (uint64_t) getpid ();
}

static bool
is_of_file (const IpcJournal *self, const IpcJournalHeader *header)
{
  bool has_birth = (self->file.stx_mask & STATX_BTIME) != 0;

  return header->inode == self->file.stx_ino && header->birth_s == (has_birth ? self->file.stx_btime.tv_sec : 0) &&
         header->birth_ns == (has_birth ? self->file.stx_btime.tv_nsec : 0);
}

/* ---- generations ---- */

static bool
write_header (IpcJournal *self, uint64_t generation, uint64_t first_sequence)
{
  bool has_birth = (self->file.stx_mask & STATX_BTIME) != 0;
  IpcJournalHeader header = {
    .generation = generation,
    .salt = make_salt (),
    .first_sequence = first_sequence,
    .inode = self->file.stx_ino,
    .birth_s = has_birth ? self->file.stx_btime.tv_sec : 0,
    .birth_ns = has_birth ? self->file.stx_btime.tv_nsec : 0,
  };

  ipc_journal_header_seal (&header);
  if (!write_all (self->fd, &header, sizeof header, generation % 2 * HEADER_DISTANCE))
    return false;
  self->header = header;
  return true;
}

static bool
read_header (IpcJournal *self, IpcFault *fault)
{
  IpcJournalHeader best = { 0 };

  for (uint64_t i = 0; i < 2; i++)
    {
      IpcJournalHeader header;

      if (!read_all (self->fd, &header, sizeof header, i * HEADER_DISTANCE))
        return fault_errno (self, "read", fault);
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
  return best.generation != 0 || fault_corrupt (self, "is not a journal, or is damaged", fault);
}

static bool
is_of_this_boot (const IpcJournal *self)
{
  const Live *live = get_live (self);

  return memcmp (live->boot, self->boot, sizeof self->boot) == 0 && atomic_load (&((Live *) live)->generation) == self->header.generation;
}

static void
set_live (IpcJournal *self, uint64_t sequence, uint64_t tail)
{
  Live *live = get_live (self);

  atomic_store (&live->sequence, sequence);
  atomic_store (&live->tail, tail);
  memcpy (live->boot, self->boot, sizeof self->boot);
  atomic_store (&live->generation, self->header.generation);
  atomic_store (&live->is_busy, 0);
}

/* From FIRST_SEQUENCE on. If it is killed between the two, the next one finds no record in the new one. */
static bool
begin_generation (IpcJournal *self, uint64_t first_sequence, bool durable, IpcFault *fault)
{
  if (!write_header (self, self->header.generation + 1, first_sequence) || (durable && !sync_data (self->fd)))
    return fault_errno (self, "write", fault);
  atomic_store (&get_live (self)->is_promised, 0);
  set_live (self, first_sequence - 1, RECORDS_AT);
  return true;
}

bool
ipc_journal_has_records (const IpcJournal *self)
{
  return atomic_load (&get_live (self)->tail) != RECORDS_AT;
}

bool
ipc_journal_clear (IpcJournal *self, bool durable, IpcFault *fault)
{
  return begin_generation (self, atomic_load (&get_live (self)->sequence) + 1, durable, fault);
}

/* ---- making and opening ---- */

static bool
fill_new (IpcJournal *self, uint64_t size)
{
  static const uint8_t zeros[65536];

  /* What was written once can be written again without the file system having to note it. */
  for (uint64_t at = 0; at < size; at += sizeof zeros)
    if (!write_all (self->fd, zeros, size - at < sizeof zeros ? size - at : sizeof zeros, at))
      return false;
  return fchmod (self->fd, 0600) == 0 && write_header (self, 1, 1) && TEMP_FAILURE_RETRY (fsync (self->fd)) == 0;
}

/* It is there afterwards, whoever made it. */
static bool
make (IpcJournal *self, int directory_fd, uint64_t size, IpcFault *fault)
{
  IpcNewFile new;
  bool made;

  if (!ipc_new_file_open (&new, directory_fd, self->name))
    return fault_errno (self, "make", fault);
  self->fd = new.fd;
  made = fill_new (self, size) && (ipc_new_file_link (&new, self->name) ? ipc_new_file_sync_directory (directory_fd) : errno == EEXIST);
  if (!made)
    fault_errno (self, "make", fault);
  ipc_new_file_end (&new);
  ipc_fork_close (new.fd);
  self->fd = -1;
  self->header.generation = 0;
  return made;
}

static bool
check_file (IpcJournal *self, IpcFault *fault)
{
  struct stat status;

  if (fstat (self->fd, &status) != 0)
    return fault_errno (self, "look at", fault);
  if (!S_ISREG (status.st_mode))
    return ipc_fault_set (fault, IPC_FAULT_WRONG_TYPE, "\"%s\" is not a regular file", self->name);
  if (status.st_uid != geteuid () || (status.st_mode & 022) != 0 || status.st_nlink > 1)
    return ipc_fault_set (fault, IPC_FAULT_UNSAFE_PATH, "\"%s\": owner %u, mode %04o, %lu names; expected %u, writable by it alone, and 1",
                          self->name, (unsigned) status.st_uid, (unsigned) status.st_mode & 07777, (unsigned long) status.st_nlink,
                          (unsigned) geteuid ());
  if ((uint64_t) status.st_size <= RECORDS_AT)
    return fault_corrupt (self, "is too short for a journal", fault);
  return true;
}

static bool
open_file (IpcJournal *self, int directory_fd, IpcFault *fault)
{
  bool exists;

  if (!ipc_directory_check_entry (directory_fd, self->name, S_IFREG, &exists, NULL, NULL, fault))
    return false;
  if (exists)
    self->fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (directory_fd, self->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)));
  if (!exists || (self->fd < 0 && errno == ENOENT))
    return ipc_fault_set (fault, IPC_FAULT_NOT_FOUND, "there is no \"%s\"", self->name);
  if (self->fd < 0)
    return fault_errno (self, "open", fault);
  if (!check_file (self, fault))
    return false;
  self->head = ipc_map_new (mmap (NULL, RECORDS_AT, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0), RECORDS_AT, true);
  return self->head != NULL || fault_errno (self, "map", fault);
}

static bool
identify (IpcJournal *self, const char *basename, int data_fd, IpcFault *fault)
{
  int length = snprintf (self->name, sizeof self->name, ".%s.journal", basename);

  if (length >= (int) sizeof self->name)
    return ipc_fault_set (fault, IPC_FAULT_TOO_LARGE, "a name of %zu bytes, the limit beside a journal is %zu", strlen (basename),
                          strlen (basename) - (size_t) length + NAME_MAX);
  if (statx (data_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &self->file) != 0)
    return ipc_fault_set_errno (fault, errno, "cannot look at \"%s\"", basename);
  return read_boot (self->boot, fault);
}

static bool
open_or_make (IpcJournal *self, int directory_fd, uint64_t size, IpcFault *fault)
{
  IpcFault reason = { 0 };

  if (open_file (self, directory_fd, &reason))
    return true;
  if (reason.code == IPC_FAULT_NOT_FOUND && size > 0)
    return make (self, directory_fd, size < 2 * RECORDS_AT ? 2 * RECORDS_AT : size, fault) && open_file (self, directory_fd, fault);
  if (fault != NULL)
    *fault = reason;
  return false;
}

IpcJournal *
ipc_journal_open (int directory_fd, const char *basename, int data_fd, uint64_t size, IpcFault *fault)
{
  IpcJournal *self = calloc (1, sizeof *self);

  if (self == NULL)
    {
      ipc_fault_set_errno (fault, ENOMEM, "cannot open the journal of \"%s\"", basename);
      return NULL;
    }
  self->fd = -1;
  self->forks = ipc_fork_generation ();
  if (identify (self, basename, data_fd, fault) && open_or_make (self, directory_fd, size, fault))
    return self;
  ipc_journal_close (self);
  return NULL;
}

void
ipc_journal_close (IpcJournal *self)
{
  if (self == NULL)
    return;
  ipc_map_unref (self->head);
  if (self->fd >= 0 && self->forks == ipc_fork_generation ())
    ipc_fork_close (self->fd);
  free (self);
}

/* ---- the lock ---- */

static uint64_t
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static bool
set_lock (IpcJournal *self, short type)
{
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };
  int result;

  do
    result = fcntl (self->fd, F_OFD_SETLK, &lock);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/* Those who have it are quick, or stopped. */
static bool
take_lock (IpcJournal *self, uint64_t timeout_ns, IpcFault *fault)
{
  uint64_t start = 0;
  struct timespec nap = { .tv_nsec = SHORTEST_NAP_NS };

  while (!set_lock (self, F_WRLCK))
    {
      uint64_t now = get_time ();

      if (errno != EAGAIN && errno != EACCES)
        return fault_errno (self, "lock", fault);
      start = start == 0 ? now : start;
      if (now - start >= timeout_ns)
        return ipc_fault_set (fault, IPC_FAULT_TIMED_OUT, "\"%s\": another process has had its lock for %" PRIu64 " ms", self->name,
                              timeout_ns / 1000000);
      nanosleep (&nap, NULL);
      nap.tv_nsec = nap.tv_nsec * 2 < LONGEST_NAP_NS ? nap.tv_nsec * 2 : LONGEST_NAP_NS;
    }
  return true;
}

static bool
look (IpcJournal *self, IpcFault *fault)
{
  struct stat status;

  if (fstat (self->fd, &status) != 0)
    return fault_errno (self, "look at", fault);
  if (status.st_nlink == 0)
    return ipc_fault_set (fault, IPC_FAULT_NOT_FOUND, "\"%s\" was removed", self->name);
  self->size = (uint64_t) status.st_size;
  if (self->size <= RECORDS_AT || ipc_guard_is_broken (self->head->guard))
    return fault_corrupt (self, "was truncated", fault);
  return (self->header.generation != 0 && is_of_this_boot (self)) || read_header (self, fault);
}

bool
ipc_journal_lock (IpcJournal *self, uint64_t timeout_ns, IpcFault *fault)
{
  if (!take_lock (self, timeout_ns, fault))
    return false;
  if (look (self, fault))
    return true;
  ipc_journal_unlock (self);
  return false;
}

void
ipc_journal_unlock (IpcJournal *self)
{
  set_lock (self, F_UNLCK);
}

/* ---- after a crash ---- */

bool
ipc_journal_is_settled (const IpcJournal *self)
{
  Live *live = get_live (self);
  uint64_t tail = atomic_load (&live->tail);

  return is_of_file (self, &self->header) && is_of_this_boot (self) && atomic_load (&live->is_busy) == 0 && tail >= RECORDS_AT &&
         tail <= self->size && tail % 8 == 0;
}

/* (transfer full): record SEQUENCE at POSITION; NULL: there is none, unless *FAILED. */
static uint8_t *
read_record (const IpcJournal *self, uint64_t position, uint64_t sequence, bool *failed)
{
  IpcJournalRecordHead head;
  uint8_t *record;

  if (position > self->size - sizeof head)
    return NULL;
  *failed = !read_all (self->fd, &head, sizeof head, position);
  if (*failed || !ipc_journal_record_is_head (&head, sequence, self->size - position))
    return NULL;
  record = malloc ((size_t) head.length);
  *failed = record == NULL || !read_all (self->fd, record, head.length, position);
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
      if (!write_all (data_fd, range.data, range.length, range.offset))
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

  *tail = RECORDS_AT;
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
  return !failed || fault_errno (self, "read", fault);
}

bool
ipc_journal_recover (IpcJournal *self, int data_fd, IpcFault *fault)
{
  uint64_t tail, sequence;

  if (ipc_journal_is_settled (self))
    return true;
  if (!is_of_file (self, &self->header))
    return begin_generation (self, 1, false, fault);
  if (is_of_this_boot (self))
    {
      if (!redo_all (self, data_fd, atomic_load (&get_live (self)->sequence), &tail, &sequence, fault))
        return false;
      set_live (self, sequence - 1, tail);
      return true;
    }
  if (!redo_all (self, data_fd, 0, &tail, &sequence, fault))
    return false;
  if (tail != RECORDS_AT && !sync_data (data_fd))
    return ipc_fault_set_errno (fault, errno, "cannot sync the file of \"%s\"", self->name);
  return begin_generation (self, sequence, tail != RECORDS_AT, fault);
}

/* ---- appending ---- */

static bool
make_room (IpcJournal *self, int data_fd, uint64_t length, IpcFault *fault)
{
  Live *live = get_live (self);
  int problem;

  if (length <= self->size - atomic_load (&live->tail))
    return true;
  /* What nobody has promised to keep needs no sync. */
  if (atomic_load (&live->is_promised) != 0 && !sync_data (data_fd))
    return ipc_fault_set_errno (fault, errno, "cannot sync the file of \"%s\"", self->name);
  if (ipc_journal_has_records (self) && !ipc_journal_clear (self, false, fault))
    return false;
  if (length <= self->size - RECORDS_AT)
    return true;
  do
    problem = posix_fallocate (self->fd, 0, (off_t) (RECORDS_AT + length));
  while (problem == EINTR);
  errno = problem;
  if (problem != 0)
    return fault_errno (self, "enlarge", fault);
  self->size = RECORDS_AT + length;
  return true;
}

/* It is never to be found. */
static void
wipe (IpcJournal *self, uint64_t tail)
{
  static const IpcJournalRecordHead nothing;

  if (write_all (self->fd, &nothing, sizeof nothing, tail))
    atomic_store (&get_live (self)->is_busy, 0);
}

static bool
write_record (IpcJournal *self, const uint8_t *record, uint64_t length, bool durable, IpcFault *fault)
{
  Live *live = get_live (self);
  uint64_t tail = atomic_load (&live->tail);

  if (durable)
    atomic_store (&live->is_promised, 1);
  atomic_store (&live->is_busy, 1);
  if (!write_all (self->fd, record, length, tail))
    fault_errno (self, "write", fault);
  else if (durable && !sync_data (self->fd))
    fault_errno (self, "sync", fault);
  else if (ipc_guard_is_broken (self->head->guard))
    fault_corrupt (self, "was truncated", fault);
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
  ipc_journal_record_write (record, ranges, n, atomic_load (&get_live (self)->sequence) + 1, file_size,
                            ipc_journal_header_get_seed (&self->header));
  written = write_record (self, record, length, durable, fault);
  free (record);
  return written;
}

void
ipc_journal_finish (IpcJournal *self)
{
  Live *live = get_live (self);

  atomic_fetch_add (&live->sequence, 1);
  atomic_fetch_add (&live->tail, self->appended);
  atomic_store (&live->is_busy, 0);
}
