/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file-crash.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/ipc-journal.h"

#define SIZE FILE_CRASH_SIZE
#define LARGE (5 * SIZE)
#define BLOCK 2000u
#define N_BLOCKS 3u
#define DISTANCE 9000u
#define GAP_AT 4000u
#define GAP 4097u
#define OLD FILE_CRASH_OLD
#define NEW FILE_CRASH_NEW

#define LIVE_AT 2048u           /* where the page cache is vouched for: the boot, */
#define TAIL_AT (LIVE_AT + 32u) /* and where the next record goes */

FileCrash file_crash;

/* ── What is in the file ── */

static IpcMappedFileTransaction *
begin (IpcMappedFile *file, guint8 value)
{
  IpcMappedFileTransaction *transaction = ipc_mapped_file_begin (file, NULL);
  guint8 block[BLOCK];

  memset (block, value, BLOCK);
  for (guint i = 0; i < N_BLOCKS; i++)
    g_assert_true (ipc_mapped_file_transaction_write_data (transaction, i * DISTANCE, block, BLOCK, NULL));
  return transaction;
}

void
file_crash_transact (IpcMappedFile *file, guint8 value)
{
  g_autoptr(IpcMappedFileTransaction) transaction = begin (file, value);
  g_autoptr(GError) error = NULL;

  ipc_mapped_file_transaction_commit (transaction, NULL, &error);
  g_assert_no_error (error);
}

guint8
file_crash_check (IpcMappedFile *file)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = ipc_mapped_file_read (file, 0, SIZE, &error);
  const guint8 *data;

  g_assert_no_error (error);
  data = g_bytes_get_data (bytes, NULL);
  for (guint i = 0; i < N_BLOCKS; i++)
    for (guint at = 0; at < BLOCK; at++)
      g_assert_cmpuint (data[i * DISTANCE + at], ==, data[0]);
  for (guint at = 0; at < GAP; at++)
    g_assert_cmpuint (data[GAP_AT + at], ==, file_crash.gap);
  return data[0];
}

gboolean
file_crash_map (gsize size, GError **error)
{
  if (file_crash.manager == NULL)
    file_crash.manager = file_test_manager_new (file_crash.directory);
  file_crash.file = ipc_mapped_file_manager_map_file (file_crash.manager, file_crash.path, size, 0, error);
  return file_crash.file != NULL;
}

static void
map (void)
{
  g_autoptr(GError) error = NULL;

  file_crash_map (0, &error);
  g_assert_no_error (error);
}

void
file_crash_drop (void)
{
  g_clear_object (&file_crash.transaction);
  g_clear_object (&file_crash.file);
  g_clear_object (&file_crash.manager);
}

/* ── Making it ── */

static void
remove_both (void)
{
  g_unlink (file_crash.path);
  g_unlink (file_crash.journal);
  file_crash.gap = 0;
}

static void
ready_manager (void)
{
  file_crash.manager = file_test_manager_new (file_crash.directory);
}

static gboolean
walk_map (GError **error)
{
  return file_crash_map (SIZE, error);
}

/* ── Committing ── */

static void
ready_commit (void)
{
  map ();
  file_crash.transaction = begin (file_crash.file, NEW);
}

static void
ready_commit_normal (void)
{
  ready_commit ();
  ipc_mapped_file_set_durability (file_crash.file, IPC_DURABILITY_NORMAL);
}

static gboolean
walk_commit (GError **error)
{
  return ipc_mapped_file_transaction_commit (file_crash.transaction, NULL, error);
}

static void
remove_journal (void)
{
  g_unlink (file_crash.journal);
}

/* There is no room for one more record, and what is in it was promised: the file is synced, and a generation begins. */
static void
ready_full_journal (void)
{
  guint64 tail;
  int fd;

  map ();
  file_crash_transact (file_crash.file, OLD);
  ipc_mapped_file_set_durability (file_crash.file, IPC_DURABILITY_NORMAL);
  fd = open (file_crash.journal, O_RDONLY | O_CLOEXEC);
  do
    {
      file_crash_transact (file_crash.file, OLD);
      g_assert_cmpint (pread (fd, &tail, sizeof tail, TAIL_AT), ==, sizeof tail);
    }
  while (tail + N_BLOCKS * BLOCK <= IPC_JOURNAL_SIZE);
  close (fd);
  file_crash.transaction = begin (file_crash.file, NEW);
}

static IpcJournal *
open_journal (int *directory_fd, int *fd, guint64 size)
{
  IpcFault fault = { 0 };
  IpcJournal *journal;

  *directory_fd = open (file_crash.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  *fd = openat (*directory_fd, "x", O_RDWR | O_CLOEXEC);
  journal = ipc_journal_open (*directory_fd, "x", *fd, size, &fault);
  if (journal == NULL || !ipc_journal_lock (journal, G_USEC_PER_SEC, &fault) || !ipc_journal_recover (journal, *fd, &fault))
    g_error ("%s", fault.message);
  return journal;
}

static void
close_journal (IpcJournal *journal, int directory_fd, int fd)
{
  ipc_journal_unlock (journal);
  ipc_journal_close (journal);
  close (fd);
  close (directory_fd);
}

/* It has to be enlarged for one record. */
static void
make_small_journal (void)
{
  int directory_fd, fd;
  IpcJournal *journal;

  g_unlink (file_crash.journal);
  journal = open_journal (&directory_fd, &fd, 1);
  close_journal (journal, directory_fd, fd);
}

/* ── Doing what a crash has left undone ── */

/* In the journal, and not in the file, as of a process that was killed in between. */
static void
leave_undone (void)
{
  int directory_fd, fd;
  IpcJournal *journal = open_journal (&directory_fd, &fd, IPC_JOURNAL_SIZE);
  guint8 block[BLOCK];
  IpcJournalRange ranges[N_BLOCKS];
  IpcFault fault = { 0 };

  memset (block, NEW, BLOCK);
  for (guint i = 0; i < N_BLOCKS; i++)
    ranges[i] = (IpcJournalRange){ i * DISTANCE, BLOCK, block };
  if (!ipc_journal_append (journal, fd, ranges, N_BLOCKS, SIZE, true, &fault))
    g_error ("%s", fault.message);
  close_journal (journal, directory_fd, fd);
}

/* And then the power was cut, and the file did not get its size either. */
static void
leave_undone_and_cut (void)
{
  guint8 boot;
  int fd;

  leave_undone ();
  fd = open (file_crash.journal, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (pread (fd, &boot, 1, LIVE_AT), ==, 1);
  boot ^= 1;
  g_assert_cmpint (pwrite (fd, &boot, 1, LIVE_AT), ==, 1);
  close (fd);
  file_test_truncate (file_crash.path, DISTANCE);
}

/* ── The file as a whole ── */

/* It is dirty, and there are records in its journal. */
static void
ready_dirty (void)
{
  map ();
  ipc_mapped_file_set_durability (file_crash.file, IPC_DURABILITY_NORMAL);
  file_test_write_value (file_crash.file, GAP_AT, ++file_crash.gap, GAP);
  file_crash_transact (file_crash.file, NEW);
}

/* There is no journal to look after. */
static void
ready_gap (void)
{
  map ();
  file_test_write_value (file_crash.file, GAP_AT, ++file_crash.gap, GAP);
}

static gboolean
walk_sync (GError **error)
{
  return ipc_mapped_file_sync (file_crash.file, 0, 0, NULL, error);
}

static gboolean
walk_sync_page (GError **error)
{
  return ipc_mapped_file_sync (file_crash.file, GAP_AT, GAP, NULL, error);
}

static gboolean
walk_grow (GError **error)
{
  return ipc_mapped_file_resize (file_crash.file, LARGE, error);
}

static gboolean
walk_shrink (GError **error)
{
  return ipc_mapped_file_resize (file_crash.file, SIZE, error);
}

static void
prepare_large (void)
{
  file_test_truncate (file_crash.path, LARGE);
}

static gboolean
walk_unmap (GError **error)
{
  return ipc_mapped_file_unmap (file_crash.file, error);
}

/* Somebody else has made it longer meanwhile. */
static void
ready_grown (void)
{
  map ();
  file_test_truncate (file_crash.path, LARGE);
}

static gboolean
walk_write (GError **error)
{
  return ipc_mapped_file_write_data (file_crash.file, LARGE - 1, "x", 1, error);
}

static gboolean
walk_lock (GError **error)
{
  return ipc_mapped_file_lock_range (file_crash.file, 0, 1, IPC_ACCESS_WRITE, 0, NULL, error) &&
         ipc_mapped_file_unlock_range (file_crash.file, 0, 1, error);
}

/* ── All of them ── */

const FileCrashOperation file_crash_operations[] = {
  { .name = "make", .prepare = remove_both, .ready = ready_manager, .walk = walk_map, .is_made = TRUE, .is_alone = TRUE },
  { .name = "commit-first", .prepare = remove_journal, .ready = ready_commit, .walk = walk_commit, .is_commit = TRUE },
  { .name = "commit-full", .ready = ready_commit, .walk = walk_commit, .is_commit = TRUE },
  { .name = "commit-normal", .ready = ready_commit_normal, .walk = walk_commit, .is_commit = TRUE },
  { .name = "commit-full-journal", .ready = ready_full_journal, .walk = walk_commit, .is_commit = TRUE },
  { .name = "commit-small-journal", .prepare = make_small_journal, .ready = ready_commit, .walk = walk_commit, .is_commit = TRUE },
  { .name = "replay", .prepare = leave_undone, .ready = ready_manager, .walk = walk_map, .is_there = TRUE, .is_alone = TRUE },
  { .name = "replay-cut", .prepare = leave_undone_and_cut, .ready = ready_manager, .walk = walk_map, .is_there = TRUE, .is_alone = TRUE },
  { .name = "sync", .ready = ready_dirty, .walk = walk_sync, .is_there = TRUE, .is_alone = TRUE, .writes_gap = TRUE, .is_sync = TRUE },
  { .name = "sync-page", .prepare = remove_journal, .ready = ready_gap, .walk = walk_sync_page, .is_alone = TRUE, .writes_gap = TRUE, .is_sync = TRUE },
  { .name = "grow", .ready = ready_dirty, .walk = walk_grow, .is_there = TRUE, .is_alone = TRUE, .writes_gap = TRUE,
    .other_size = LARGE },
  { .name = "shrink", .prepare = prepare_large, .ready = ready_dirty, .walk = walk_shrink, .is_there = TRUE, .is_alone = TRUE,
    .writes_gap = TRUE, .other_size = LARGE },
  { .name = "unmap", .ready = ready_dirty, .walk = walk_unmap, .is_there = TRUE, .is_alone = TRUE, .writes_gap = TRUE, .is_sync = TRUE },
  { .name = "write-grown", .ready = ready_grown, .walk = walk_write, .is_alone = TRUE, .other_size = LARGE },
  { .name = "lock", .ready = map, .walk = walk_lock, .is_alone = TRUE },
  { .name = NULL },
};

void
file_crash_use_memory (void)
{
  if (access ("/dev/shm", W_OK | X_OK) == 0)
    g_setenv ("TMPDIR", "/dev/shm", TRUE);
}

void
file_crash_start (IpcTest *test)
{
  g_autoptr(GError) error = NULL;

  file_crash = (FileCrash){ .directory = test->directory, .path = ipc_test_path (test, "x"), .journal = ipc_test_path (test, ".x.journal") };
  file_crash_map (SIZE, &error);
  g_assert_no_error (error);
  file_crash_transact (file_crash.file, OLD);
  ipc_mapped_file_unmap (file_crash.file, &error);
  g_assert_no_error (error);
  file_crash_drop ();
}

void
file_crash_end (void)
{
  g_clear_pointer (&file_crash.path, g_free);
  g_clear_pointer (&file_crash.journal, g_free);
}

static void
check_size (const FileCrashOperation *operation, gsize size)
{
  if (size != SIZE)
    g_assert_cmpuint (size, ==, operation->other_size);
}

/* Nothing is left but what belongs there. */
static void
check_directory (void)
{
  static const char *const known[] = { "x", ".x.journal", "file", NULL };
  g_autoptr(GDir) directory = g_dir_open (file_crash.directory, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (directory)) != NULL)
    if (!g_strv_contains (known, name))
      g_error ("%s is left", name);
}

guint8
file_crash_check_next (const FileCrashOperation *operation)
{
  g_autoptr(GError) error = NULL;
  guint8 value;

  file_crash_map (operation->is_made && !g_file_test (file_crash.path, G_FILE_TEST_EXISTS) ? SIZE : 0, &error);
  g_assert_no_error (error);
  value = file_crash_check (file_crash.file);
  check_size (operation, ipc_mapped_file_get_size (file_crash.file));
  file_crash_transact (file_crash.file, NEW);
  g_assert_cmpuint (file_crash_check (file_crash.file), ==, NEW);
  file_crash_transact (file_crash.file, OLD);
  g_assert_cmpuint (file_crash_check (file_crash.file), ==, OLD);
  ipc_mapped_file_resize (file_crash.file, SIZE, &error);
  g_assert_no_error (error);
  ipc_mapped_file_unmap (file_crash.file, &error);
  g_assert_no_error (error);
  file_crash_drop ();
  check_directory ();
  return value;
}
