/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Transactions: made all or not at all, one after the other, whoever is killed meanwhile; and nobody who reads sees half of one. Each
 * writes the same byte all over two blocks.
 */
#include "file-test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "ipc-mapped-file-transaction.h"

#define SIZE 200000
#define BLOCK 20000
#define SECOND_AT 150001

typedef struct
{
  IpcMappedFileManager *manager; /* (owned) */
  IpcMappedFile *file;           /* (owned) */
  char *path;                    /* (owned) */
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test)
{
  self->path = ipc_test_path (test, "x");
  self->manager = file_test_manager_new (test->directory);
  self->file = file_test_map (self->manager, self->path, SIZE);
}

static void
fixture_clear (Fixture *self)
{
  g_autoptr(GError) error = NULL;

  ipc_mapped_file_unmap (self->file, &error);
  g_assert_no_error (error);
  g_object_unref (self->file);
  g_object_unref (self->manager);
  g_free (self->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static IpcMappedFileTransaction *
begin (IpcMappedFile *file)
{
  g_autoptr(GError) error = NULL;
  IpcMappedFileTransaction *transaction = ipc_mapped_file_begin (file, &error);

  g_assert_no_error (error);
  return transaction;
}

static void
write_value (IpcMappedFileTransaction *transaction, gsize offset, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (size);

  memset (bytes, value, size);
  ipc_mapped_file_transaction_write_data (transaction, offset, bytes, size, &error);
  g_assert_no_error (error);
}

static gboolean
transact (IpcMappedFile *file, guint8 value, GError **error)
{
  g_autoptr(IpcMappedFileTransaction) transaction = begin (file);

  write_value (transaction, 0, value, BLOCK);
  write_value (transaction, SECOND_AT, value, BLOCK);
  return ipc_mapped_file_transaction_commit (transaction, NULL, error);
}

static void
assert_whole (IpcMappedFile *file, guint8 value)
{
  file_test_assert_value (file, 0, value, BLOCK);
  file_test_assert_value (file, SECOND_AT, value, BLOCK);
}

/* ── One at a time ── */

static void
test_commit (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *journal = ipc_test_path (test, ".x.journal");
  g_autoptr(IpcMappedFileTransaction) transaction = NULL;
  g_autoptr(IpcMappedFile) file = NULL;
  g_autoptr(GBytes) text = g_bytes_new_static ("hello", 5);
  g_autoptr(GError) error = NULL;
  gboolean is_open;
  guint64 n_bytes;

  fixture_init (&fixture, test);
  transaction = begin (fixture.file);
  g_assert_true (ipc_mapped_file_transaction_write (transaction, 5, text, &error));
  write_value (transaction, 7, 'x', 2);
  write_value (transaction, SIZE - 1, 'y', 1);
  file_test_assert_value (fixture.file, 0, 0, SIZE);
  g_object_get (transaction, "file", &file, "is-open", &is_open, "n-bytes", &n_bytes, NULL);
  g_assert_true (file == fixture.file);
  g_assert_true (is_open);
  g_assert_cmpuint (n_bytes, ==, 8);
  g_assert_false (g_file_test (journal, G_FILE_TEST_EXISTS));
  g_assert_true (ipc_mapped_file_transaction_commit (transaction, NULL, &error));
  g_assert_no_error (error);
  g_assert_true (g_file_test (journal, G_FILE_TEST_EXISTS));
  g_assert_false (ipc_mapped_file_transaction_get_is_open (transaction));
  /* The last one counts where they overlap. */
  g_clear_pointer (&text, g_bytes_unref);
  text = ipc_mapped_file_read (fixture.file, 5, 5, &error);
  g_assert_cmpmem (g_bytes_get_data (text, NULL), 5, "hexxo", 5);
  file_test_assert_value (fixture.file, SIZE - 1, 'y', 1);
  g_assert_true (ipc_mapped_file_get_is_dirty (fixture.file));
  file_test_fails (ipc_mapped_file_transaction_commit (transaction, NULL, &error), &error, IPC_ERROR_CLOSED);
  file_test_fails (ipc_mapped_file_transaction_write (transaction, 0, text, &error), &error, IPC_ERROR_CLOSED);
}

static void
test_abort (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcMappedFileTransaction) transaction = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  transaction = begin (fixture.file);
  write_value (transaction, 0, 1, SIZE);
  ipc_mapped_file_transaction_abort (transaction);
  ipc_mapped_file_transaction_abort (transaction);
  file_test_fails (ipc_mapped_file_transaction_commit (transaction, NULL, &error), &error, IPC_ERROR_CLOSED);
  g_clear_object (&transaction);
  transaction = begin (fixture.file);
  write_value (transaction, 0, 1, SIZE);
  g_clear_object (&transaction);
  file_test_assert_value (fixture.file, 0, 0, SIZE);
  /* One without writes is one. */
  transaction = begin (fixture.file);
  g_assert_true (ipc_mapped_file_transaction_commit (transaction, NULL, &error));
}

static void
test_bad (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcMappedFileTransaction) transaction = NULL;
  g_autoptr(IpcMappedFile) reader = NULL;
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  guint8 byte = 1;

  fixture_init (&fixture, test);
  transaction = begin (fixture.file);
  file_test_fails (ipc_mapped_file_transaction_write_data (transaction, SIZE, &byte, 1, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  file_test_fails (ipc_mapped_file_transaction_write_data (transaction, G_MAXSIZE - 1, &byte, 2, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  reader = ipc_mapped_file_manager_map_file (fixture.manager, fixture.path, 0, IPC_ACCESS_READ, &error);
  file_test_fails (ipc_mapped_file_begin (reader, &error) != NULL, &error, IPC_ERROR_PERMISSION_DENIED);
  write_value (transaction, SIZE - 1, 1, 1);
  g_cancellable_cancel (cancellable);
  file_test_assert_fails (ipc_mapped_file_transaction_commit (transaction, cancellable, &error), &error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  /* What does not fit any more is not made in part. */
  write_value (transaction, 0, 1, 10);
  g_assert_true (ipc_mapped_file_resize (fixture.file, SIZE - 1, &error));
  file_test_fails (ipc_mapped_file_transaction_commit (transaction, NULL, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  file_test_assert_value (fixture.file, 0, 0, 10);
  g_assert_true (ipc_mapped_file_transaction_get_is_open (transaction));
  g_assert_true (ipc_mapped_file_resize (fixture.file, SIZE, &error));
  g_assert_true (ipc_mapped_file_transaction_commit (transaction, NULL, &error));
  file_test_assert_value (fixture.file, 0, 1, 10);
  g_clear_object (&transaction);
  transaction = begin (fixture.file);
  write_value (transaction, 0, 1, 10);
  g_assert_true (ipc_mapped_file_unmap (fixture.file, &error));
  file_test_fails (ipc_mapped_file_transaction_commit (transaction, NULL, &error), &error, IPC_ERROR_CLOSED);
  file_test_fails (ipc_mapped_file_begin (fixture.file, &error) != NULL, &error, IPC_ERROR_CLOSED);
}

static void
test_async (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_auto(IpcTestAsync) second = { 0 };
  g_auto(IpcTestAsync) cancelled = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  IpcMappedFileTransaction *transaction;

  fixture_init (&fixture, test);
  transaction = begin (fixture.file);
  write_value (transaction, 0, 5, SIZE);
  g_cancellable_cancel (cancellable);
  ipc_mapped_file_transaction_commit_async (transaction, cancellable, ipc_test_async_cb, &cancelled);
  file_test_assert_fails (ipc_mapped_file_transaction_commit_finish (transaction, ipc_test_async_wait (&cancelled), &error), &error, G_IO_ERROR,
                          G_IO_ERROR_CANCELLED);
  ipc_mapped_file_transaction_commit_async (transaction, NULL, ipc_test_async_cb, &async);
  ipc_mapped_file_transaction_commit_async (transaction, NULL, ipc_test_async_cb, &second);
  /* The tasks keep it. */
  g_object_unref (transaction);
  g_assert_true (ipc_mapped_file_transaction_commit_finish (transaction, ipc_test_async_wait (&async), &error));
  file_test_assert_value (fixture.file, 0, 5, SIZE);
  file_test_fails (ipc_mapped_file_transaction_commit_finish (transaction, ipc_test_async_wait (&second), &error), &error, IPC_ERROR_CLOSED);
}

/* It is not idle while there is a transaction for it. */
static void
test_not_idle (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcMappedFileTransaction) transaction = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  ipc_manager_set_idle_timeout (IPC_MANAGER (fixture.manager), 0);
  transaction = begin (fixture.file);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), &error), ==, 0);
  g_clear_object (&transaction);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), &error), ==, 1);
}

static void
test_journal_in_the_way (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *journal = ipc_test_path (test, ".x.journal");
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  g_assert_no_errno (mkdir (journal, 0700));
  file_test_fails (transact (fixture.file, 1, &error), &error, IPC_ERROR_WRONG_TYPE);
  file_test_assert_value (fixture.file, 0, 0, SIZE);
  g_assert_no_errno (rmdir (journal));
  g_assert_true (transact (fixture.file, 1, &error));
  assert_whole (fixture.file, 1);
}

static void
test_full (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = NULL;
  g_autofree char *mount_point = ipc_test_path (test, "small");
  g_autofree char *path = ipc_test_path (test, "small/x");
  g_autoptr(GError) error = NULL;
  IpcMappedFile *file;

  if (!ipc_test_need_root ())
    return;
  g_assert_no_errno (mkdir (mount_point, 0700));
  if (mount ("none", mount_point, "tmpfs", 0, "size=512k") != 0)
    {
      g_test_skip ("cannot mount a tmpfs here");
      return;
    }
  manager = file_test_manager_new (test->directory);
  file = file_test_map (manager, path, SIZE);
  file_test_fails (transact (file, 1, &error), &error, IPC_ERROR_NO_SPACE);
  file_test_assert_value (file, 0, 0, SIZE);
  file_test_write_value (file, 0, 1, SIZE);
  g_assert_true (ipc_mapped_file_unmap (file, &error));
  g_object_unref (file);
  umount2 (mount_point, MNT_DETACH);
}

/* ── Several ── */

typedef struct
{
  IpcMappedFile *file;
  guint8 first;
  gint *stop;                   /* (atomic) */
} Thread;

static gpointer
transact_thread (gpointer data)
{
  Thread *thread = data;

  for (guint i = 0; i < 300; i++)
    g_assert_true (transact (thread->file, (guint8) (thread->first + i % 100), NULL));
  return NULL;
}

static void
assert_reads_whole (IpcMappedFile *file)
{
  g_autoptr(GBytes) bytes = ipc_mapped_file_read (file, 0, SIZE, NULL);
  const guint8 *data = g_bytes_get_data (bytes, NULL);

  for (guint i = 0; i < BLOCK; i++)
    {
      g_assert_cmpuint (data[i], ==, data[0]);
      g_assert_cmpuint (data[SECOND_AT + i], ==, data[0]);
    }
}

static gpointer
read_thread (gpointer data)
{
  Thread *thread = data;
  guint n = 0;

  while (!g_atomic_int_get (thread->stop))
    {
      assert_reads_whole (thread->file);
      n++;
    }
  return GUINT_TO_POINTER (n);
}

static void
test_threads (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  gint stop = FALSE;
  Thread threads[3];
  GThread *running[3];

  fixture_init (&fixture, test);
  ipc_mapped_file_set_durability (fixture.file, IPC_DURABILITY_NORMAL);
  for (guint i = 0; i < 3; i++)
    {
      threads[i] = (Thread){ fixture.file, (guint8) (1 + i * 100), &stop };
      running[i] = g_thread_new ("transact", i < 2 ? transact_thread : read_thread, &threads[i]);
    }
  g_thread_join (running[0]);
  g_thread_join (running[1]);
  g_atomic_int_set (&stop, TRUE);
  g_assert_cmpuint (GPOINTER_TO_UINT (g_thread_join (running[2])), >, 0);
  assert_reads_whole (fixture.file);
}

/* ── Kills ── */

static int
storm_role (char **arguments)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (arguments[0]);
  g_autoptr(IpcMappedFile) file = file_test_map (manager, arguments[1], 0);

  ipc_mapped_file_set_durability (file, IPC_DURABILITY_NORMAL);
  ipc_test_tell ("storming");
  for (guint i = 0;; i++)
    if (!transact (file, (guint8) i, NULL))
      return 1;
}

static void
test_killed (IpcTest *test)
{
  const char *wanted = g_getenv ("IPC_TEST_KILLS");
  guint n = wanted != NULL ? (guint) atoi (wanted) / 10 : 25;
  g_auto(Fixture) fixture = { 0 };
  GRand *rand = ipc_test_rand_new ();
  const char *arguments[] = { test->directory, NULL, NULL };
  g_autoptr(GError) error = NULL;

  ipc_test_set_deadline (600);
  fixture_init (&fixture, test);
  arguments[1] = fixture.path;
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("storm", arguments);

      ipc_test_peer_expect (peer, "storming");
      g_usleep ((gulong) g_rand_int_range (rand, 0, 2000));
      ipc_test_peer_kill (peer);
      /* Who has the file already notices, and so does who maps it. */
      if (i % 2 == 0)
        assert_reads_whole (fixture.file);
      else
        {
          g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
          g_autoptr(IpcMappedFile) file = file_test_map (manager, fixture.path, 0);

          assert_reads_whole (file);
          g_assert_true (ipc_mapped_file_unmap (file, &error));
        }
      g_assert_true (transact (fixture.file, 200, &error));
      assert_whole (fixture.file, 200);
    }
  g_rand_free (rand);
}

/* ── Truncation ── */

static void
test_truncated (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcMappedFileTransaction) transaction = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  g_assert_true (transact (fixture.file, 3, &error));
  transaction = begin (fixture.file);
  write_value (transaction, 0, 4, BLOCK);
  write_value (transaction, SECOND_AT, 4, BLOCK);
  file_test_truncate (fixture.path, BLOCK);
  file_test_fails (ipc_mapped_file_transaction_commit (transaction, NULL, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  file_test_assert_value (fixture.file, 0, 3, BLOCK);
  file_test_fails (ipc_mapped_file_transaction_write_data (transaction, BLOCK, "x", 1, &error), &error, IPC_ERROR_CORRUPT);
  /* What was in the journal already is lost all the same, and told of once. */
  file_test_fails (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error), &error, IPC_ERROR_CORRUPT);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "storm", storm_role }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/file/transaction/commit", test_commit);
  ipc_test_add ("/file/transaction/abort", test_abort);
  ipc_test_add ("/file/transaction/bad", test_bad);
  ipc_test_add ("/file/transaction/async", test_async);
  ipc_test_add ("/file/transaction/not-idle", test_not_idle);
  ipc_test_add ("/file/transaction/journal-in-the-way", test_journal_in_the_way);
  ipc_test_add ("/file/transaction/full", test_full);
  ipc_test_add ("/file/transaction/threads", test_threads);
  ipc_test_add ("/file/transaction/killed", test_killed);
  ipc_test_add ("/file/transaction/truncated", test_truncated);
  return ipc_test_run ();
}
