/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is asked of the disk, in which order, and what happens when it fails: fdatasync(), msync(), pwrite() and pwritev2() are stood in front
 * of, and written down, or fail.
 */
#include "file-test.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc-mapped-file-transaction.h"

#define SIZE 40000

static GString *record;         /* (owned) (nullable) NULL: nobody looks */
static GMutex lock;
static char *path, *journal;    /* (owned) */
static int failing;             /* the errno of what syncs; 0: it does not fail */

/* A file that got its name late has none where its descriptor says what it is. */
static gboolean
is_file (int fd, const char *name)
{
  struct stat opened, named;

  return name != NULL && fstat (fd, &opened) == 0 && stat (name, &named) == 0 && opened.st_ino == named.st_ino;
}

static void
note (const char *what, int fd)
{
  g_mutex_lock (&lock);
  if (record != NULL && fd < 0)
    g_string_append_printf (record, "%s ", what);
  else if (record != NULL && is_file (fd, path))
    g_string_append_printf (record, "%s-file ", what);
  else if (record != NULL && is_file (fd, journal))
    g_string_append_printf (record, "%s-journal ", what);
  g_mutex_unlock (&lock);
}

int
fdatasync (int fd)
{
  note ("sync", fd);
  if (failing == 0)
    return (int) syscall (SYS_fdatasync, fd);
  errno = failing;
  return -1;
}

int
msync (void *address, size_t size, int flags)
{
  note ("msync", -1);
  if (failing == 0)
    return (int) syscall (SYS_msync, address, size, flags);
  errno = failing;
  return -1;
}

ssize_t
pwrite (int fd, const void *bytes, size_t size, off_t offset)
{
  note ("write", fd);
  return syscall (SYS_pwrite64, fd, bytes, size, offset);
}

static gboolean is_old;          /* the kernel or the file system cannot do that */

/* Here it is one that syncs what it has written. Before it fails, that is in the page cache. */
ssize_t
pwritev2 (int fd, const struct iovec *pieces, int n, off_t offset, int flags)
{
  ssize_t size = -1;

  g_assert_cmpint (flags, ==, RWF_DSYNC);
  note ("write-synced", fd);
  if (!is_old)
    size = syscall (SYS_pwritev2, fd, pieces, n, offset, 0, failing == 0 ? flags : 0);
  if (!is_old && failing == 0)
    return size;
  errno = is_old ? EOPNOTSUPP : failing;
  return -1;
}

static void
start_recording (void)
{
  g_mutex_lock (&lock);
  record = g_string_new (NULL);
  g_mutex_unlock (&lock);
}

static void
assert_recorded (const char *expected)
{
  g_autofree char *found = NULL;

  g_mutex_lock (&lock);
  found = g_string_free (g_steal_pointer (&record), FALSE);
  g_mutex_unlock (&lock);
  g_assert_cmpstr (g_strchomp (found), ==, expected);
}

static IpcMappedFile *
map_x (IpcTest *test, IpcMappedFileManager *manager)
{
  g_free (path);
  g_free (journal);
  path = ipc_test_path (test, "x");
  journal = ipc_test_path (test, ".x.journal");
  return file_test_map (manager, path, SIZE);
}

static IpcMappedFileTransaction *
begin_with_write (IpcMappedFile *file, guint8 value)
{
  g_autofree guint8 *bytes = g_malloc (5000);
  IpcMappedFileTransaction *transaction = ipc_mapped_file_begin (file, NULL);

  memset (bytes, value, 5000);
  g_assert_true (ipc_mapped_file_transaction_write_data (transaction, 0, bytes, 5000, NULL));
  return transaction;
}

static void
transact (IpcMappedFile *file, guint8 value)
{
  g_autoptr(IpcMappedFileTransaction) transaction = begin_with_write (file, value);
  g_autoptr(GError) error = NULL;

  ipc_mapped_file_transaction_commit (transaction, NULL, &error);
  g_assert_no_error (error);
}

/* ── The order ── */

static void
test_order (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autoptr(IpcMappedFile) file = map_x (test, manager);
  g_autoptr(GError) error = NULL;

  start_recording ();
  g_assert_true (ipc_mapped_file_sync (file, 0, 0, NULL, &error));
  assert_recorded ("");
  file_test_write_value (file, 0, 1, 100);
  file_test_write_value (file, 30000, 1, 100);
  start_recording ();
  g_assert_true (ipc_mapped_file_sync (file, 0, 0, NULL, &error));
  assert_recorded ("sync-file");
  file_test_write_value (file, 0, 1, 100);
  start_recording ();
  g_assert_true (ipc_mapped_file_sync (file, 0, 4096, NULL, &error));
  assert_recorded ("msync");
  transact (file, 1);
  start_recording ();
  transact (file, 2);
  assert_recorded ("write-synced-journal write-file");
  /* What need not be synced is not even written: it is made in a map. */
  ipc_mapped_file_set_durability (file, IPC_DURABILITY_NORMAL);
  start_recording ();
  transact (file, 3);
  assert_recorded ("");
  /* But what is synced after that is of no use without it. */
  ipc_mapped_file_set_durability (file, IPC_DURABILITY_FULL);
  start_recording ();
  transact (file, 4);
  assert_recorded ("write-journal sync-journal write-file");
  start_recording ();
  transact (file, 5);
  assert_recorded ("write-synced-journal write-file");
  is_old = TRUE;
  start_recording ();
  transact (file, 5);
  assert_recorded ("write-synced-journal write-journal sync-journal write-file");
  is_old = FALSE;
  /* What was synced is not to be overwritten by what is in the journal. */
  start_recording ();
  g_assert_true (ipc_mapped_file_sync (file, 0, 4096, NULL, &error));
  assert_recorded ("sync-file write-synced-journal");
  start_recording ();
  transact (file, 6);
  assert_recorded ("write-synced-journal write-file");
  g_assert_true (ipc_mapped_file_sync (file, 0, 0, NULL, &error));
  file_test_write_value (file, 0, 1, 100);
  start_recording ();
  g_assert_true (ipc_mapped_file_unmap (file, &error));
  assert_recorded ("sync-file");
}

/* When the journal is full, the file is synced before it is begun anew, and that it is is synced before anything is written over what
 * it has; but not for what nobody has promised. */
static void
test_full_journal (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autoptr(IpcMappedFile) file = map_x (test, manager);

  transact (file, 1);
  ipc_mapped_file_set_durability (file, IPC_DURABILITY_NORMAL);
  start_recording ();
  for (guint i = 0; i < 230; i++)
    transact (file, 2);
  assert_recorded ("sync-file write-synced-journal");
  start_recording ();
  for (guint i = 0; i < 230; i++)
    transact (file, 2);
  assert_recorded ("write-journal");
}

/* ── Failures ── */

static void
failed_cb (IpcMappedFile *file, GError *error, guint *n)
{
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_FAILED);
  (*n)++;
}

static void
test_sync_fails (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autoptr(IpcMappedFile) file = map_x (test, manager);
  g_autoptr(GError) error = NULL;
  guint n_failed = 0;

  g_signal_connect (file, "sync-failed", G_CALLBACK (failed_cb), &n_failed);
  file_test_write_value (file, 0, 1, SIZE);
  failing = EIO;
  file_test_assert_fails (ipc_mapped_file_sync (file, 0, 0, NULL, &error), &error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (file), ==, SIZE);
  file_test_assert_fails (ipc_mapped_file_sync (file, 0, 4096, NULL, &error), &error, G_IO_ERROR, G_IO_ERROR_FAILED);
  file_test_assert_fails (ipc_mapped_file_unmap (file, &error), &error, G_IO_ERROR, G_IO_ERROR_FAILED);
  g_assert_true (ipc_mapped_file_get_is_mapped (file));
  file_test_assert_value (file, 0, 1, SIZE);
  ipc_test_wait_for (n_failed == 3);
  failing = ENOSPC;
  g_signal_handlers_disconnect_by_data (file, &n_failed);
  file_test_fails (ipc_mapped_file_sync (file, 0, 0, NULL, &error), &error, IPC_ERROR_NO_SPACE);
  failing = 0;
  g_assert_true (ipc_mapped_file_sync (file, 0, 0, NULL, &error));
  g_assert_false (ipc_mapped_file_get_is_dirty (file));
  file_test_assert_value (file, 0, 1, SIZE);
  g_assert_true (ipc_mapped_file_unmap (file, &error));
}

/* Nobody calls, so the signal is all there is. */
static void
test_auto_sync_fails (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autoptr(IpcMappedFile) file = map_x (test, manager);
  guint n_failed = 0;

  g_signal_connect (file, "sync-failed", G_CALLBACK (failed_cb), &n_failed);
  ipc_mapped_file_manager_set_sync_interval (manager, 10);
  ipc_mapped_file_manager_set_auto_sync (manager, TRUE);
  file_test_write_value (file, 0, 1, SIZE);
  failing = EIO;
  ipc_test_wait_for (n_failed >= 2);
  failing = 0;
  ipc_test_wait_for (!ipc_mapped_file_get_is_dirty (file));
  ipc_mapped_file_manager_set_auto_sync (manager, FALSE);
  ipc_test_settle ();
}

static void
test_commit_fails (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autoptr(IpcMappedFile) file = map_x (test, manager);

  transact (file, 1);
  for (guint8 value = 2; value < 6; value++)
    {
      g_autoptr(IpcMappedFileTransaction) transaction = begin_with_write (file, value);
      g_autoptr(GError) error = NULL;

      failing = EIO;
      file_test_assert_fails (ipc_mapped_file_transaction_commit (transaction, NULL, &error), &error, G_IO_ERROR, G_IO_ERROR_FAILED);
      file_test_assert_value (file, 0, value - 1, 5000);
      failing = 0;
      /* Nobody knows what else is not on the disk then. */
      start_recording ();
      g_assert_true (ipc_mapped_file_transaction_commit (transaction, NULL, &error));
      assert_recorded ("write-journal sync-journal write-file");
      file_test_assert_value (file, 0, value, 5000);
      if (value % 2 == 0)
        transact (file, value);
    }
}

int
main (int argc, char **argv)
{
  int result;

  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/file/disk/order", test_order);
  ipc_test_add ("/file/disk/full-journal", test_full_journal);
  ipc_test_add ("/file/disk/sync-fails", test_sync_fails);
  ipc_test_add ("/file/disk/auto-sync-fails", test_auto_sync_fails);
  ipc_test_add ("/file/disk/commit-fails", test_commit_fails);
  result = ipc_test_run ();
  g_free (path);
  g_free (journal);
  return result;
}
