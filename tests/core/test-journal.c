/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The redo journal: transactions that are killed after their instructions and at random, and whose disk loses its power at any system
 * call. Each transaction writes its number into all blocks of a file, so that one that was made in part is seen.
 *
 * A power cut is what a disk may have then: of each sector, what was last synced, or what was written since. fdatasync(), pwrite() and
 * pwritev2() are stood in front of, to know when something was synced, and to cut the power in between.
 */
#include "core/ipc-journal.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test-step.h"
#include "ipc-test.h"

#define BLOCK 1200u             /* three sectors, or a part of them */
#define N_BLOCKS 8u
#define DISTANCE 5000u
#define N_RANGES (N_BLOCKS + 2)
#define COUNTER (N_BLOCKS * DISTANCE)
#define FILLER (COUNTER + 8)
#define MAX_FILLER 3000u        /* so that a record of a generation does not begin where one of the last did */
#define DATA_SIZE (FILLER + MAX_FILLER)
#define JOURNAL_SIZE 65536u     /* of five transactions, so that generations end */
#define SECTOR 512u
#define LIVE_AT 2048u           /* where the page cache is vouched for, */
#define TAIL_AT (LIVE_AT + 32)  /* and the next record goes */
#define SECOND 1000000000u

/* ── A file with a journal ── */

typedef struct
{
  int directory_fd;
  int fd;
  guint8 *map;
  IpcJournal *journal;
} Table;

static void
table_open (Table *table, const char *directory)
{
  IpcFault fault = { 0 };

  table->directory_fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  table->fd = openat (table->directory_fd, "x", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  g_assert_no_errno (ftruncate (table->fd, DATA_SIZE));
  table->map = mmap (NULL, DATA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, table->fd, 0);
  g_assert_true (table->map != MAP_FAILED);
  table->journal = ipc_journal_open (table->directory_fd, "x", table->fd, JOURNAL_SIZE, &fault);
  if (table->journal == NULL)
    g_error ("%s", fault.message);
}

static void
table_close (Table *table)
{
  ipc_journal_close (table->journal);
  munmap (table->map, DATA_SIZE);
  close (table->fd);
  close (table->directory_fd);
}

static void
lock_and_recover (Table *table)
{
  IpcFault fault = { 0 };

  if (!ipc_journal_lock (table->journal, 10ull * SECOND, &fault) || !ipc_journal_recover (table->journal, table->fd, &fault))
    g_error ("%s", fault.message);
}

static guint64
get_counter (const Table *table)
{
  guint64 value;

  memcpy (&value, table->map + COUNTER, sizeof value);
  return value;
}

static void
fill (guint8 block[BLOCK], guint64 number)
{
  for (guint i = 0; i < BLOCK; i += 8)
    memcpy (block + i, &number, 8);
}

static gboolean
append (Table *table, guint64 number, gboolean durable, guint8 block[BLOCK], IpcJournalRange ranges[N_RANGES], IpcFault *fault)
{
  static const guint8 filler[MAX_FILLER];

  fill (block, number);
  for (guint i = 0; i < N_BLOCKS; i++)
    ranges[i] = (IpcJournalRange){ (guint64) i * DISTANCE, BLOCK, block };
  ranges[N_BLOCKS] = (IpcJournalRange){ COUNTER, 8, block };
  ranges[N_BLOCKS + 1] = (IpcJournalRange){ FILLER, number * 2654435761u % MAX_FILLER, filler };
  return ipc_journal_append (table->journal, table->fd, ranges, N_RANGES, DATA_SIZE, durable, fault);
}

static void cut_maybe (void);

/* With the lock. */
static void
transact (Table *table, guint64 number, gboolean durable)
{
  IpcJournalRange ranges[N_RANGES];
  guint8 block[BLOCK];
  IpcFault fault = { 0 };

  if (!append (table, number, durable, block, ranges, &fault))
    g_error ("%s", fault.message);
  for (guint i = 0; i < N_RANGES; i++)
    {
      cut_maybe ();
      memcpy (table->map + ranges[i].offset, ranges[i].data, ranges[i].length);
    }
  cut_maybe ();
  ipc_journal_finish (table->journal);
}

/* All blocks have the number that is returned. */
static guint64
check_whole (const Table *table)
{
  guint64 first, number;

  memcpy (&first, table->map, sizeof first);
  for (guint i = 0; i < N_BLOCKS; i++)
    for (guint at = 0; at < BLOCK; at += 8)
      {
        memcpy (&number, table->map + i * DISTANCE + at, sizeof number);
        g_assert_cmpuint (number, ==, first);
      }
  return first;
}

/* ── One at a time ── */

static void
test_transactions (IpcTest *test)
{
  Table table, other;

  table_open (&table, test->directory);
  for (guint64 i = 1; i <= 40; i++)
    {
      lock_and_recover (&table);
      g_assert_true (ipc_journal_is_settled (table.journal));
      transact (&table, i, i % 3 != 0);
      ipc_journal_unlock (table.journal);
      g_assert_cmpuint (check_whole (&table), ==, i);
    }
  g_assert_true (ipc_journal_has_records (table.journal));
  table_open (&other, test->directory);
  lock_and_recover (&other);
  g_assert_cmpuint (check_whole (&other), ==, 40);
  ipc_journal_unlock (other.journal);
  table_close (&other);
  table_close (&table);
}

static void
test_lock (IpcTest *test)
{
  Table table, other;
  IpcFault fault = { 0 };

  table_open (&table, test->directory);
  table_open (&other, test->directory);
  lock_and_recover (&table);
  g_assert_false (ipc_journal_lock (other.journal, SECOND / 100, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_TIMED_OUT);
  ipc_journal_unlock (table.journal);
  lock_and_recover (&other);
  ipc_journal_unlock (other.journal);
  /* Who removes it takes nobody's lock for another's, once the others have noticed. */
  g_assert_no_errno (unlinkat (table.directory_fd, ".x.journal", 0));
  while (ipc_journal_lock (other.journal, SECOND, &fault))
    ipc_journal_unlock (other.journal);
  g_assert_cmpint (fault.code, ==, IPC_FAULT_NOT_FOUND);
  table_close (&other);
  table_close (&table);
}

/* Whoever goes with the lock has died, and whoever comes after that is another one. */
static void
test_lock_of_dead (IpcTest *test)
{
  Table table, other, next;
  IpcFault fault = { 0 };

  table_open (&table, test->directory);
  table_open (&other, test->directory);
  lock_and_recover (&table);
  g_assert_true (ipc_journal_is_locked (table.journal));
  g_assert_true (ipc_journal_is_locked (other.journal));
  table_close (&table);
  g_assert_false (ipc_journal_is_locked (other.journal));
  lock_and_recover (&other);
  ipc_journal_unlock (other.journal);
  g_assert_false (ipc_journal_is_locked (other.journal));
  table_open (&table, test->directory);
  lock_and_recover (&table);
  table_close (&table);
  table_open (&next, test->directory);
  g_assert_false (ipc_journal_is_locked (other.journal));
  g_assert_true (ipc_journal_lock (other.journal, SECOND / 100, &fault));
  g_assert_false (ipc_journal_lock (next.journal, SECOND / 100, &fault));
  ipc_journal_unlock (other.journal);
  lock_and_recover (&next);
  ipc_journal_unlock (next.journal);
  table_close (&next);
  table_close (&other);
}

static void
test_large_record (IpcTest *test)
{
  g_autofree guint8 *bytes = g_malloc (3 * JOURNAL_SIZE);
  IpcJournalRange range = { 0, 3 * JOURNAL_SIZE, bytes };
  IpcFault fault = { 0 };
  Table table;

  memset (bytes, 7, 3 * JOURNAL_SIZE);
  table_open (&table, test->directory);
  lock_and_recover (&table);
  g_assert_true (ipc_journal_append (table.journal, table.fd, &range, 1, 3 * JOURNAL_SIZE, true, &fault));
  ipc_journal_unlock (table.journal);
  /* Nobody has written it into the file, which is too short, too. */
  lock_and_recover (&table);
  ipc_journal_unlock (table.journal);
  for (guint i = 0; i < DATA_SIZE; i++)
    g_assert_cmpuint (table.map[i], ==, 7);
  g_assert_cmpint (lseek (table.fd, 0, SEEK_END), ==, 3 * JOURNAL_SIZE);
  table_close (&table);
}

/* Who has just looked at the journal finds a record all the same for which another one has made it longer, and died. */
static void
test_large_record_of_dead (IpcTest *test)
{
  g_autofree guint8 *bytes = g_malloc (DATA_SIZE);
  Table table, other;

  table_open (&other, test->directory);
  for (guint8 i = 1; i <= 20; i++)
    {
      const IpcJournalRange ranges[] = { { 0, DATA_SIZE, bytes }, { 0, DATA_SIZE, bytes }, { 0, i * 1000u, bytes } };

      memset (bytes, i, DATA_SIZE);
      table_open (&table, test->directory);
      lock_and_recover (&other);
      ipc_journal_unlock (other.journal);
      lock_and_recover (&table);
      g_assert_true (ipc_journal_append (table.journal, table.fd, ranges, G_N_ELEMENTS (ranges), DATA_SIZE, false, NULL));
      table_close (&table);
      lock_and_recover (&other);
      ipc_journal_unlock (other.journal);
      g_assert_cmpmem (other.map, DATA_SIZE, bytes, DATA_SIZE);
    }
  table_close (&other);
}

/* Somebody who may write to the journal writes nonsense, after it was found to be in order: nothing is written anywhere. */
static void
test_scribbled (IpcTest *test)
{
  const guint64 tails[] = { 0, 1, 4095, 4097, JOURNAL_SIZE + 8, G_MAXINT64 - 7, G_MAXUINT64 - 7, G_MAXUINT64 };
  IpcJournalRange ranges[N_RANGES];
  guint8 block[BLOCK];
  Table table;
  int fd;

  table_open (&table, test->directory);
  fd = openat (table.directory_fd, ".x.journal", O_RDWR | O_CLOEXEC);
  g_assert_no_errno (fd);
  for (guint i = 0; i < 2 * G_N_ELEMENTS (tails); i++)
    {
      IpcFault fault = { 0 };

      lock_and_recover (&table);
      g_assert_cmpint (pwrite (fd, &tails[i / 2], sizeof tails[0], TAIL_AT), ==, sizeof tails[0]);
      g_assert_false (append (&table, 5, i % 2 != 0, block, ranges, &fault));
      g_assert_cmpint (fault.code, ==, IPC_FAULT_CORRUPT);
      ipc_journal_unlock (table.journal);
    }
  /* It is mended by who comes next. */
  lock_and_recover (&table);
  transact (&table, 6, false);
  ipc_journal_unlock (table.journal);
  g_assert_cmpuint (check_whole (&table), ==, 6);
  close (fd);
  table_close (&table);
}

/* A file that takes the place of another one has nothing to do with its journal. */
static void
test_other_file (IpcTest *test)
{
  IpcJournalRange ranges[N_RANGES];
  guint8 block[BLOCK];
  IpcFault fault = { 0 };
  Table table;

  table_open (&table, test->directory);
  lock_and_recover (&table);
  g_assert_true (append (&table, 5, true, block, ranges, &fault));
  ipc_journal_unlock (table.journal);
  g_assert_no_errno (unlinkat (table.directory_fd, "x", 0));
  /* So that it does not get the same inode. */
  close (openat (table.directory_fd, "y", O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  table_close (&table);
  table_open (&table, test->directory);
  lock_and_recover (&table);
  g_assert_cmpuint (check_whole (&table), ==, 0);
  transact (&table, 6, true);
  ipc_journal_unlock (table.journal);
  g_assert_cmpuint (check_whole (&table), ==, 6);
  table_close (&table);
}

/* ── What is in its place ── */

static void
assert_not_opened (IpcTest *test, IpcFaultCode code)
{
  int directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int fd = openat (directory_fd, "x", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  IpcFault fault = { 0 };
  IpcJournal *journal = ipc_journal_open (directory_fd, "x", fd, JOURNAL_SIZE, &fault);

  if (journal != NULL)
    g_assert_false (ipc_journal_lock (journal, SECOND, &fault));
  g_assert_cmpint (fault.code, ==, code);
  ipc_journal_close (journal);
  close (fd);
  close (directory_fd);
}

static void
test_foreign (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, ".x.journal");
  g_autofree char *zeros = g_malloc0 (JOURNAL_SIZE);
  IpcJournalHeader header = { .generation = 1, .first_sequence = 1 };

  g_assert_no_errno (mkdir (path, 0700));
  assert_not_opened (test, IPC_FAULT_WRONG_TYPE);
  g_assert_no_errno (rmdir (path));
  g_assert_no_errno (symlink ("x", path));
  assert_not_opened (test, IPC_FAULT_UNSAFE_PATH);
  g_assert_no_errno (unlink (path));
  g_assert_true (g_file_set_contents (path, "hello", 5, NULL));
  g_assert_no_errno (chmod (path, 0600));
  assert_not_opened (test, IPC_FAULT_CORRUPT);
  g_assert_true (g_file_set_contents (path, zeros, JOURNAL_SIZE, NULL));
  g_assert_no_errno (chmod (path, 0600));
  assert_not_opened (test, IPC_FAULT_CORRUPT);
  g_assert_no_errno (chmod (path, 0666));
  assert_not_opened (test, IPC_FAULT_UNSAFE_PATH);
  ipc_journal_header_seal (&header);
  header.version = 99;
  memcpy (zeros, &header, sizeof header);
  g_assert_true (g_file_set_contents (path, zeros, JOURNAL_SIZE, NULL));
  g_assert_no_errno (chmod (path, 0600));
  assert_not_opened (test, IPC_FAULT_VERSION);
}

/* ── Power cuts ── */

typedef struct
{
  const char *name;
  guint8 *synced;
  gsize size;                   /* of SYNCED */
} Disk;

static Disk disks[] = { { "x", NULL, 0 }, { ".x.journal", NULL, 0 } };
static struct
{
  const char *directory;        /* NULL: nobody looks */
  char *image;
  GRand *rand;
  guint64 promised;             /* the last transaction that was committed */
  guint64 begun;                /* that somebody has begun */
  guint64 counter;              /* what COUNTER had when it was last synced, or committed */
  guint n_cuts;
  guint n_new;                  /* where the one that was begun was there */
  guint n_wanted;
  gboolean is_paused;
} power;

static guint8 *
load (const char *directory, const char *name, gsize *size)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  char *bytes = NULL;

  if (!g_file_get_contents (path, &bytes, size, NULL))
    *size = 0;
  return (guint8 *) bytes;
}

/* (nullable) */
static Disk *
find_disk (int fd)
{
  char link[64];
  g_autofree char *path = NULL;

  g_snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  path = g_file_read_link (link, NULL);
  for (guint i = 0; path != NULL && i < G_N_ELEMENTS (disks); i++)
    if (g_str_has_suffix (path, disks[i].name) && g_str_has_prefix (path, power.directory) &&
        strlen (path) == strlen (power.directory) + 1 + strlen (disks[i].name))
      return &disks[i];
  return NULL;
}

static void
note_synced (int fd)
{
  Disk *disk = find_disk (fd);

  if (disk == NULL)
    return;
  g_free (disk->synced);
  disk->synced = load (power.directory, disk->name, &disk->size);
}

/* Of nothing else is it known. */
static void
note_bytes_synced (int fd, const void *bytes, gsize size, gsize offset)
{
  Disk *disk = find_disk (fd);

  if (disk == NULL)
    return;
  g_assert_cmpuint (offset + size, <=, disk->size);
  memcpy (disk->synced + offset, bytes, size);
}

/* Of each sector, what was synced or what was written; how often which, differs from cut to cut. */
static void
save_torn (Disk *disk, gdouble chance)
{
  g_autofree char *path = g_build_filename (power.image, disk->name, NULL);
  gsize size;
  g_autofree guint8 *present = load (power.directory, disk->name, &size);

  for (gsize at = 0; at < MIN (size, disk->size); at += SECTOR)
    if (g_rand_double (power.rand) < chance)
      memcpy (present + at, disk->synced + at, MIN (SECTOR, MIN (size, disk->size) - at));
  g_assert_true (g_file_set_contents (path, (const char *) present, (gssize) size, NULL));
  g_assert_no_errno (chmod (path, 0600));
}

/* The copy is another file, and the machine was started anew. */
static void
adopt_image (void)
{
  g_autofree char *data = g_build_filename (power.image, "x", NULL);
  g_autofree char *journal = g_build_filename (power.image, ".x.journal", NULL);
  int fd = open (journal, O_RDWR | O_CLOEXEC);
  struct statx file;
  guint8 boot[16];

  g_assert_no_errno (statx (AT_FDCWD, data, 0, STATX_INO | STATX_BTIME, &file));
  for (off_t at = 0; at <= 1024; at += 1024)
    {
      IpcJournalHeader header;

      g_assert_cmpint (pread (fd, &header, sizeof header, at), ==, sizeof header);
      if (ipc_journal_header_judge (&header) != IPC_JOURNAL_HEADER_GOOD)
        continue;
      header.inode = file.stx_ino;
      header.birth_s = (file.stx_mask & STATX_BTIME) != 0 ? file.stx_btime.tv_sec : 0;
      header.birth_ns = (file.stx_mask & STATX_BTIME) != 0 ? file.stx_btime.tv_nsec : 0;
      ipc_journal_header_seal (&header);
      g_assert_cmpint (pwrite (fd, &header, sizeof header, at), ==, sizeof header);
    }
  g_assert_cmpint (pread (fd, boot, sizeof boot, LIVE_AT), ==, sizeof boot);
  boot[0] ^= 1;
  g_assert_cmpint (pwrite (fd, boot, sizeof boot, LIVE_AT), ==, sizeof boot);
  close (fd);
}

static void
check_image (void)
{
  guint64 number;
  Table table;

  table_open (&table, power.image);
  lock_and_recover (&table);
  number = check_whole (&table);
  g_assert_cmpuint (number, >=, power.promised);
  g_assert_cmpuint (number, <=, power.begun);
  g_assert_cmpuint (get_counter (&table), >=, power.counter);
  power.n_new += number > power.promised ? 1 : 0;
  /* And it goes on. */
  transact (&table, number + 1, true);
  ipc_journal_unlock (table.journal);
  g_assert_cmpuint (check_whole (&table), ==, number + 1);
  table_close (&table);
}

static void
cut (void)
{
  static const gdouble chances[] = { 0, 0.1, 0.5, 0.9, 1 };
  const char *directory = power.directory;
  gdouble chance = chances[g_rand_int_range (power.rand, 0, G_N_ELEMENTS (chances))];

  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    save_torn (&disks[i], chance);
  power.directory = NULL;
  adopt_image ();
  check_image ();
  power.directory = directory;
  power.n_cuts++;
}

static void
cut_maybe (void)
{
  if (power.directory != NULL && !power.is_paused && power.n_cuts < power.n_wanted && g_rand_int_range (power.rand, 0, 8) == 0)
    cut ();
}

/* In front of the C library's. Where the disk is made up, nobody waits for the real one. */
int
fsync (int fd)
{
  return power.image != NULL ? 0 : (int) syscall (SYS_fsync, fd);
}

int
fdatasync (int fd)
{
  int result;

  cut_maybe ();
  result = power.image != NULL ? 0 : (int) syscall (SYS_fdatasync, fd);
  if (power.directory != NULL)
    note_synced (fd);
  cut_maybe ();
  return result;
}

ssize_t
pwrite (int fd, const void *bytes, size_t size, off_t offset)
{
  ssize_t n;

  cut_maybe ();
  n = syscall (SYS_pwrite64, fd, bytes, size, offset);
  cut_maybe ();
  return n;
}

/* What is written and synced at once. */
ssize_t
pwritev2 (int fd, const struct iovec *pieces, int n_pieces, off_t offset, int flags)
{
  ssize_t n;

  g_assert_cmpint (n_pieces, ==, 1);
  g_assert_cmpint (flags, ==, RWF_DSYNC);
  n = pwrite (fd, pieces->iov_base, pieces->iov_len, offset);
  if (power.image == NULL)
    g_assert_no_errno ((int) syscall (SYS_fdatasync, fd));
  if (n > 0 && power.directory != NULL)
    note_bytes_synced (fd, pieces->iov_base, (gsize) n, (gsize) offset);
  cut_maybe ();
  return n;
}

static guint
get_wanted (guint usual)
{
  const char *wanted = g_getenv ("IPC_TEST_KILLS");

  return wanted != NULL ? (guint) atoi (wanted) : usual;
}

/* As who syncs the file does. */
static void
sync_all (Table *table)
{
  IpcFault fault = { 0 };

  g_assert_no_errno (fdatasync (table->fd));
  g_assert_true (ipc_journal_clear (table->journal, true, &fault));
}

static void
test_power_cuts (IpcTest *test)
{
  guint64 counter = 0;
  Table table;

  ipc_test_set_deadline (600);
  power.rand = ipc_test_rand_new ();
  power.image = ipc_test_path (test, "image");
  g_assert_no_errno (mkdir (power.image, 0700));
  table_open (&table, test->directory);
  g_assert_no_errno (fsync (table.fd));
  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    disks[i].synced = load (test->directory, disks[i].name, &disks[i].size);
  power.n_wanted = get_wanted (500);
  power.directory = test->directory;
  for (guint64 i = 1; power.n_cuts < power.n_wanted; i++)
    {
      power.begun = i;
      lock_and_recover (&table);
      /* What is not a transaction is only promised when it was synced. */
      counter = MAX (counter, i - 1) + (guint64) g_rand_int_range (power.rand, 0, 2);
      memcpy (table.map + COUNTER, &counter, sizeof counter);
      if (g_rand_int_range (power.rand, 0, 8) == 0)
        {
          sync_all (&table);
          power.counter = counter;
        }
      counter = i;
      /* Of what is not promised, the cut may leave some; but what is promised after that is of no use without it. */
      power.is_paused = g_rand_int_range (power.rand, 0, 4) == 0;
      if (power.is_paused)
        transact (&table, i, false);
      transact (&table, i, true);
      power.is_paused = FALSE;
      power.promised = i;
      power.counter = i;
      cut_maybe ();
      ipc_journal_unlock (table.journal);
      g_assert_cmpuint (check_whole (&table), ==, i);
    }
  power.directory = NULL;
  g_test_message ("%u power cuts during %" G_GUINT64_FORMAT " transactions; after %u, the one that was not done yet was there", power.n_cuts,
                  power.begun, power.n_new);
  table_close (&table);
  for (guint i = 0; i < G_N_ELEMENTS (disks); i++)
    g_clear_pointer (&disks[i].synced, g_free);
  g_clear_pointer (&power.image, g_free);
  g_rand_free (power.rand);
}

/* ── Kills ── */

/* In the child: transactions, until it is killed. */
static void
transact_for_ever (const char *directory, gboolean durable, guint64 *done)
{
  Table table;

  table_open (&table, directory);
  for (;;)
    {
      lock_and_recover (&table);
      transact (&table, check_whole (&table) + 1, durable);
      ipc_journal_unlock (table.journal);
      __atomic_fetch_add (done, 1, __ATOMIC_SEQ_CST);
    }
}

static void
kill_at_random (IpcTest *test, gboolean durable, guint usual)
{
  guint64 *done = mmap (NULL, sizeof *done, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  GRand *rand = ipc_test_rand_new ();
  guint n = get_wanted (usual), n_redone = 0;
  Table table;

  ipc_test_set_deadline (600);
  table_open (&table, test->directory);
  for (guint i = 0; i < n; i++)
    {
      pid_t pid = fork ();
      guint64 before = *done;

      if (pid == 0)
        transact_for_ever (test->directory, durable, done);
      while (__atomic_load_n (done, __ATOMIC_SEQ_CST) == before)
        g_usleep (20);
      g_usleep ((gulong) g_rand_int_range (rand, 0, 300));
      kill (pid, SIGKILL);
      g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
      g_assert_true (ipc_journal_lock (table.journal, 10ull * SECOND, NULL));
      n_redone += ipc_journal_is_settled (table.journal) ? 0 : 1;
      g_assert_true (ipc_journal_recover (table.journal, table.fd, NULL));
      ipc_journal_unlock (table.journal);
      g_assert_cmpuint (check_whole (&table), >=, *done);
      g_assert_cmpuint (check_whole (&table), <=, *done + 1);
      *done = check_whole (&table);
    }
  g_test_message ("%u processes killed during %" G_GUINT64_FORMAT " transactions, %u of them in the middle of one", n, *done, n_redone);
  g_assert_cmpuint (n_redone, >, 0);
  table_close (&table);
  munmap (done, sizeof *done);
  g_rand_free (rand);
}

static void
test_killed_durable (IpcTest *test)
{
  kill_at_random (test, TRUE, 50);
}

static void
test_killed_normal (IpcTest *test)
{
  kill_at_random (test, FALSE, 450);
}

#ifdef IPC_TEST_CAN_STEP

#define STEPPED_KILLS 60u

static const char *walked_directory;
static Table walked;
static guint8 walked_block[16];

static void
prepare_cb (gpointer data)
{
  table_open (&walked, walked_directory);
  memset (walked_block, GPOINTER_TO_INT (data), sizeof walked_block);
}

/* Two small writes, far from each other. */
static void
walk_cb (gpointer data)
{
  const IpcJournalRange ranges[] = { { 0, sizeof walked_block, walked_block }, { COUNTER - 16, sizeof walked_block, walked_block } };
  gboolean durable = GPOINTER_TO_INT (data) % 2 == 0;

  if (!ipc_journal_lock (walked.journal, SECOND, NULL) || !ipc_journal_recover (walked.journal, walked.fd, NULL) ||
      !ipc_journal_append (walked.journal, walked.fd, ranges, 2, DATA_SIZE, durable, NULL))
    _exit (2);
  for (guint i = 0; i < 2; i++)
    memcpy (walked.map + ranges[i].offset, walked_block, sizeof walked_block);
  ipc_journal_finish (walked.journal);
  ipc_journal_unlock (walked.journal);
}

static guint8
check_both (const Table *table)
{
  for (guint i = 0; i < 16; i++)
    {
      g_assert_cmpuint (table->map[i], ==, table->map[0]);
      g_assert_cmpuint (table->map[COUNTER - 16 + i], ==, table->map[0]);
    }
  return table->map[0];
}

static void
recover_cb (gpointer data)
{
  if (!ipc_journal_lock (walked.journal, SECOND, NULL) || !ipc_journal_recover (walked.journal, walked.fd, NULL))
    _exit (2);
  ipc_journal_unlock (walked.journal);
}

static guint
count_steps (IpcTestStepFunc walk, gpointer data)
{
  pid_t pid = ipc_test_step_start (prepare_cb, walk, data);
  guint n = 0;

  while (!ipc_test_step_on (pid, 1))
    n++;
  ipc_test_step_kill (pid);
  return n;
}

/* Who comes next is killed as well, while he recovers; the one after that completes it. */
static void
kill_recovery (GRand *rand)
{
  pid_t pid = ipc_test_step_start (prepare_cb, recover_cb, NULL);

  ipc_test_step_on (pid, (guint) g_rand_int_range (rand, 1, 2000));
  ipc_test_step_kill (pid);
}

static void
test_step_killed (IpcTest *test)
{
  GRand *rand = ipc_test_rand_new ();
  guint n = get_wanted (STEPPED_KILLS), n_new = 0, n_steps;
  guint8 value = 1;
  Table table;

  ipc_test_set_deadline (600);
  walked_directory = test->directory;
  table_open (&table, test->directory);
  n_steps = count_steps (walk_cb, GINT_TO_POINTER (value));
  for (guint i = 0; i < n; i++)
    {
      guint8 next = (guint8) (value % 200 + 1);
      guint at = (guint) (((guint64) i * n_steps + (guint64) g_rand_int_range (rand, 0, (gint32) n_steps)) / n) + 1;
      pid_t pid = ipc_test_step_start (prepare_cb, walk_cb, GINT_TO_POINTER (next));

      ipc_test_step_on (pid, at);
      ipc_test_step_kill (pid);
      if (i % 4 == 0)
        kill_recovery (rand);
      lock_and_recover (&table);
      ipc_journal_unlock (table.journal);
      n_new += check_both (&table) == next ? 1 : 0;
      g_assert_true (check_both (&table) == next || check_both (&table) == value);
      value = check_both (&table);
    }
  g_test_message ("killed after %u of %u instructions: %u times it was done", n, n_steps, n_new);
  g_assert_cmpuint (n_new, >, 0);
  g_assert_cmpuint (n_new, <, n);
  table_close (&table);
  g_rand_free (rand);
}
#endif

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/journal/transactions", test_transactions);
  ipc_test_add ("/core/journal/lock", test_lock);
  ipc_test_add ("/core/journal/lock-of-dead", test_lock_of_dead);
  ipc_test_add ("/core/journal/large-record", test_large_record);
  ipc_test_add ("/core/journal/large-record-of-dead", test_large_record_of_dead);
  ipc_test_add ("/core/journal/scribbled", test_scribbled);
  ipc_test_add ("/core/journal/other-file", test_other_file);
  ipc_test_add ("/core/journal/foreign", test_foreign);
  ipc_test_add ("/core/journal/power-cuts", test_power_cuts);
  ipc_test_add ("/core/journal/killed/durable", test_killed_durable);
  ipc_test_add ("/core/journal/killed/normal", test_killed_normal);
#ifdef IPC_TEST_CAN_STEP
  ipc_test_add ("/core/journal/step-killed", test_step_killed);
#endif
  return ipc_test_run ();
}
