/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is read from a journal, which others may have written anything into. The first byte says what comes: a whole file; or one that has a
 * good header, and records whose numbers are the input's and whose sums are right. Whatever can be recovered is written into a
 * file, and then a transaction is made, which has to be there.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ipc-dirty.h"
#include "core/ipc-journal.h"

#define NAME "x"
#define JOURNAL ".x.journal"
#define RECORDS_AT 4096u
#define MAX_JOURNAL 65536u

static char *folder;            /* (owned) for the life of the program */
static int folder_fd = -1;

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_autoptr(GError) error = NULL;

  folder = g_dir_make_tmp ("ipc-fuzz-XXXXXX", &error);
  g_assert_no_error (error);
  folder_fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return 0;
}

/* As long as the program runs cleanly, nothing is left. */
__attribute__ ((destructor)) static void
clean_up (void)
{
  if (folder == NULL)
    return;
  unlinkat (folder_fd, NAME, 0);
  unlinkat (folder_fd, JOURNAL, 0);
  g_rmdir (folder);
}

/* ---- making the journal ---- */

static void
make_header (uint8_t *journal, int data_fd, uint8_t how, IpcJournalHeader *header)
{
  struct statx file;

  statx (data_fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &file);
  *header = (IpcJournalHeader){ .generation = 7, .salt = how, .first_sequence = 3, .inode = file.stx_ino };
  if ((file.stx_mask & STATX_BTIME) != 0)
    {
      header->birth_s = file.stx_btime.tv_sec;
      header->birth_ns = file.stx_btime.tv_nsec;
    }
  ipc_journal_header_seal (header);
  memcpy (journal + 1024, header, sizeof *header);
}

/* What the records say of themselves is the input's; their sum is made right, by trying what a reader would find. */
static void
make_records (uint8_t *journal, size_t size, const uint8_t *data, size_t n, const IpcJournalHeader *header)
{
  uint8_t *at = journal + RECORDS_AT;
  IpcJournalRange range = { 0, 0, data };

  if (n >= 4)
    range = (IpcJournalRange){ (uint64_t) data[0] << 8 | data[1], MIN (n - 4, 256), data + 4 };
  if (RECORDS_AT + 512 < size)
    ipc_journal_record_write (at, &range, 1, header->first_sequence, n >= 4 ? (uint64_t) data[2] << 8 | data[3] : 0,
                              ipc_journal_header_get_seed (header));
  /* And something follows. */
  if (RECORDS_AT + 1024 + n <= size)
    memcpy (journal + RECORDS_AT + 512, data, n);
}

static void
write_journal (const uint8_t *data, size_t size, int data_fd)
{
  g_autofree uint8_t *journal = g_malloc0 (MAX_JOURNAL);
  size_t length = 2 * RECORDS_AT;
  IpcJournalHeader header;
  int fd = openat (folder_fd, JOURNAL, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  if (size > 0 && (data[0] & 1) == 0)
    {
      make_header (journal, data_fd, data[0], &header);
      make_records (journal, length, data + 1, MIN (size - 1, 2048), &header);
      /* Anything may be wrong with it. */
      if ((data[0] & 2) != 0 && size > 3)
        journal[((size_t) data[1] << 8 | data[2]) % length] ^= data[3];
    }
  else if (size > 0)
    {
      length = MIN (size - 1, MAX_JOURNAL);
      memcpy (journal, data + 1, length);
    }
  g_assert_cmpint (write (fd, journal, length), ==, (gssize) length);
  close (fd);
}

/* ---- using it ---- */

static void
check_works (IpcJournal *journal, int data_fd)
{
  const IpcJournalRange range = { 10, 5, "hello" };
  IpcFault fault;

  g_assert_true (ipc_journal_is_settled (journal));
  if (ipc_journal_append (journal, data_fd, &range, 1, 4096, false, &fault))
    {
      g_assert_cmpint (pwrite (data_fd, "hello", 5, 10), ==, 5);
      ipc_journal_finish (journal);
    }
  g_assert_true (ipc_journal_is_settled (journal));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  int data_fd = openat (folder_fd, NAME, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  struct stat status;
  IpcJournal *journal;
  IpcFault fault;

  write_journal (data, size, data_fd);
  journal = ipc_journal_open (folder_fd, NAME, data_fd, 0, &fault);
  if (journal != NULL && ipc_journal_lock (journal, 0, &fault))
    {
      if (ipc_journal_recover (journal, data_fd, &fault))
        check_works (journal, data_fd);
      ipc_journal_unlock (journal);
    }
  ipc_journal_close (journal);
  g_assert_cmpint (fstat (data_fd, &status), ==, 0);
  g_assert_cmpint (status.st_size, <=, (gint64) IPC_DIRTY_MAX);
  close (data_fd);
  return 0;
}
