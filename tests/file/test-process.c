/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mapped file in several processes: changes are seen and heard of, locks go with who had them, and what others do to the file by
 * other means, in whatever moment, is an error and no SIGBUS.
 */
#include "file-test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 100000

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
  ipc_mapped_file_unmap (self->file, NULL);
  g_object_unref (self->file);
  g_object_unref (self->manager);
  g_free (self->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
count_cb (guint *n)
{
  (*n)++;
}

/* ── Together ── */

static void
test_coherent (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  peer = file_test_spawn (test->directory, fixture.path);
  file_test_write_value (fixture.file, 0, 5, SIZE);
  file_test_command (peer, "read 0 100000", "5");
  file_test_command (peer, "write 50000 6 10", "written");
  file_test_assert_value (fixture.file, 50000, 6, 10);
  /* It is for each process to sync what it has written. */
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, SIZE);
  file_test_command (peer, "sync", "synced");
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, SIZE);
}

static void
test_changed (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(IpcMappedFile) other = NULL;
  guint n_changed = 0;

  fixture_init (&fixture, test);
  other = file_test_map (fixture.manager, fixture.path, 0);
  peer = file_test_spawn (test->directory, fixture.path);
  g_signal_connect_swapped (fixture.file, "changed", G_CALLBACK (count_cb), &n_changed);
  file_test_command (peer, "write 0 1 1", "written");
  ipc_test_wait_for (n_changed == 1);
  /* Not of this process. */
  file_test_write_value (other, 0, 1, 1);
  file_test_write_value (fixture.file, 0, 1, 1);
  ipc_test_settle ();
  g_assert_cmpuint (n_changed, ==, 1);
  for (guint i = 0; i < 50; i++)
    file_test_command (peer, "write 0 1 1", "written");
  ipc_test_wait_for (n_changed >= 2);
  g_assert_cmpuint (n_changed, <=, 51);
}

static void
test_grown (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;
  guint n_notified = 0;

  fixture_init (&fixture, test);
  peer = file_test_spawn (test->directory, fixture.path);
  g_signal_connect_swapped (fixture.file, "notify::size", G_CALLBACK (count_cb), &n_notified);
  file_test_fails (ipc_mapped_file_read (fixture.file, SIZE, 1, &error) != NULL, &error, IPC_ERROR_OUT_OF_BOUNDS);
  file_test_command (peer, "resize 500000", "resized");
  file_test_command (peer, "write 400000 7 100", "written");
  file_test_assert_value (fixture.file, 400000, 7, 100);
  g_assert_cmpuint (ipc_mapped_file_get_size (fixture.file), ==, 500000);
  ipc_test_wait_for (n_notified == 1);
}

static void
test_killed (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GBytes) bytes = NULL;

  fixture_init (&fixture, test);
  peer = file_test_spawn (test->directory, fixture.path);
  file_test_command (peer, "write 0 9 100000", "written");
  ipc_test_peer_kill (peer);
  file_test_assert_value (fixture.file, 0, 9, SIZE);
  bytes = file_test_load (fixture.path);
  g_assert_cmpuint (((const guint8 *) g_bytes_get_data (bytes, NULL))[SIZE - 1], ==, 9);
}

static void
test_fork (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  peer = file_test_spawn (test->directory, fixture.path);
  file_test_command (peer, "fork", "forked");
  file_test_command (peer, "write 0 9 1", "written");
  file_test_assert_value (fixture.file, 0, 9, 1);
}

/* ── Locks ── */

static void
test_locks (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcMappedFile) other = NULL;
  g_autoptr(IpcMappedFile) reader = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  other = file_test_map (fixture.manager, fixture.path, 0);
  reader = ipc_mapped_file_manager_map_file (fixture.manager, fixture.path, 0, IPC_ACCESS_READ, NULL);
  file_test_fails (ipc_mapped_file_unlock_range (other, 0, 0, &error), &error, IPC_ERROR_NOT_HELD);
  g_assert_true (ipc_mapped_file_lock_range (fixture.file, 10, 10, IPC_ACCESS_WRITE, 0, NULL, &error));
  g_assert_true (ipc_mapped_file_lock_range (fixture.file, 10, 10, IPC_ACCESS_WRITE, 0, NULL, &error));
  file_test_fails (ipc_mapped_file_lock_range (other, 19, 1, IPC_ACCESS_READ, 0, NULL, &error), &error, IPC_ERROR_TIMED_OUT);
  file_test_fails (ipc_mapped_file_lock_range (other, 0, 0, IPC_ACCESS_WRITE, 20, NULL, &error), &error, IPC_ERROR_TIMED_OUT);
  g_assert_true (ipc_mapped_file_lock_range (other, 20, 0, IPC_ACCESS_WRITE, 0, NULL, &error));
  g_assert_true (ipc_mapped_file_unlock_range (other, 20, 0, &error));
  g_assert_true (ipc_mapped_file_unlock_range (fixture.file, 0, 0, &error));
  g_assert_true (ipc_mapped_file_lock_range (other, 0, 0, IPC_ACCESS_READ, 0, NULL, &error));
  g_assert_true (ipc_mapped_file_lock_range (reader, 5, 5, IPC_ACCESS_READ, 0, NULL, &error));
  file_test_fails (ipc_mapped_file_lock_range (reader, 5, 5, IPC_ACCESS_WRITE, 0, NULL, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  file_test_fails (ipc_mapped_file_lock_range (other, 5, 5, 0, 0, NULL, &error), &error, IPC_ERROR_INVALID_ARGUMENT);
  file_test_fails (ipc_mapped_file_lock_range (other, 5, 5, 99, 0, NULL, &error), &error, IPC_ERROR_INVALID_ARGUMENT);
  file_test_fails (ipc_mapped_file_lock_range (other, G_MAXSIZE - 1, 2, 1, 0, NULL, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  file_test_fails (ipc_mapped_file_lock_range (other, 5, 5, 1, -3, NULL, &error), &error, IPC_ERROR_INVALID_ARGUMENT);
  /* Whoever has something locked is using it; unmapping gives it back. */
  ipc_manager_set_idle_timeout (IPC_MANAGER (fixture.manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), &error), ==, 1);
  g_assert_false (ipc_mapped_file_get_is_mapped (fixture.file));
  g_assert_true (ipc_mapped_file_unmap (other, &error));
  file_test_fails (ipc_mapped_file_lock_range (other, 0, 0, IPC_ACCESS_READ, 0, NULL, &error), &error, IPC_ERROR_CLOSED);
}

static int
lock_role (char **arguments)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (arguments[0]);
  g_autoptr(IpcMappedFile) file = file_test_map (manager, arguments[1], 0);
  g_autofree char *line = NULL;

  if (!ipc_mapped_file_lock_range (file, 0, 100, IPC_ACCESS_WRITE, 0, NULL, NULL))
    return 1;
  ipc_test_tell ("locked");
  line = ipc_test_hear ();
  return 0;
}

static void
test_lock_async (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) waiting = { 0 };
  g_auto(IpcTestAsync) late = { 0 };
  g_auto(IpcTestAsync) cancelled = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(IpcTestPeer) peer = NULL;
  const char *arguments[] = { test->directory, NULL, NULL };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  arguments[1] = fixture.path;
  peer = ipc_test_peer_spawn ("lock", arguments);
  ipc_test_peer_expect (peer, "locked");
  ipc_mapped_file_lock_range_async (fixture.file, 50, 1, IPC_ACCESS_WRITE, 10, NULL, ipc_test_async_cb, &late);
  ipc_mapped_file_lock_range_async (fixture.file, 50, 1, IPC_ACCESS_WRITE, -1, cancellable, ipc_test_async_cb, &cancelled);
  ipc_mapped_file_lock_range_async (fixture.file, 50, 1, IPC_ACCESS_WRITE, IPC_TIMEOUT_DEFAULT, NULL, ipc_test_async_cb, &waiting);
  file_test_fails (ipc_mapped_file_lock_range_finish (fixture.file, ipc_test_async_wait (&late), &error), &error, IPC_ERROR_TIMED_OUT);
  g_cancellable_cancel (cancellable);
  file_test_assert_fails (ipc_mapped_file_lock_range_finish (fixture.file, ipc_test_async_wait (&cancelled), &error), &error, G_IO_ERROR,
                          G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (waiting.n_callbacks, ==, 0);
  /* The dead have no locks. */
  ipc_test_peer_kill (peer);
  g_assert_true (ipc_mapped_file_lock_range_finish (fixture.file, ipc_test_async_wait (&waiting), &error));
  g_assert_true (ipc_mapped_file_unlock_range (fixture.file, 50, 1, &error));
}

/* ── What others do to the file ── */

static void
test_truncated (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) view = NULL;
  guint n_truncated = 0;
  guint8 byte = 3;

  fixture_init (&fixture, test);
  g_signal_connect_swapped (fixture.file, "truncated", G_CALLBACK (count_cb), &n_truncated);
  file_test_write_value (fixture.file, 0, 8, SIZE);
  view = ipc_mapped_file_get_bytes (fixture.file, 0, SIZE, &error);
  file_test_truncate (fixture.path, 5000);
  file_test_fails (ipc_mapped_file_read (fixture.file, 50000, 10, &error) != NULL, &error, IPC_ERROR_CORRUPT);
  file_test_fails (ipc_mapped_file_write_data (fixture.file, 50000, &byte, 1, &error), &error, IPC_ERROR_CORRUPT);
  file_test_fails (ipc_mapped_file_get_bytes (fixture.file, 50000, 10, &error) != NULL, &error, IPC_ERROR_CORRUPT);
  file_test_fails (ipc_mapped_file_read (fixture.file, SIZE, 10, &error) != NULL, &error, IPC_ERROR_OUT_OF_BOUNDS);
  g_assert_cmpuint (ipc_mapped_file_get_size (fixture.file), ==, 5000);
  /* It goes on with what is left, and views read as zero. */
  file_test_assert_value (fixture.file, 0, 8, 5000);
  g_assert_cmpuint (((const guint8 *) g_bytes_get_data (view, NULL))[SIZE - 1], ==, 0);
  ipc_test_wait_for (n_truncated == 1);
  file_test_fails (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error), &error, IPC_ERROR_CORRUPT);
  g_assert_true (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error));
  /* And it may become as long again. */
  g_assert_true (ipc_mapped_file_resize (fixture.file, SIZE, &error));
  g_assert_no_error (error);
  file_test_write_value (fixture.file, 50000, 4, 10);
  file_test_assert_value (fixture.file, 50000, 4, 10);
  g_assert_cmpuint (((const guint8 *) g_bytes_get_data (view, NULL))[50000], ==, 4);
}

/* What was written by other means, where there is no file any more, or was none meanwhile. */
static void
test_truncated_marked (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  guint8 *bytes;

  fixture_init (&fixture, test);
  bytes = ipc_mapped_file_peek (fixture.file, NULL);
  bytes[50000] = 1;
  file_test_truncate (fixture.path, 5000);
  file_test_fails (ipc_mapped_file_mark_dirty (fixture.file, 50000, 1, &error), &error, IPC_ERROR_CORRUPT);
  file_test_truncate (fixture.path, SIZE);
  g_assert_true (ipc_mapped_file_mark_dirty (fixture.file, 50000, 1, &error));
  /* In its last page, where nobody is told of it. */
  file_test_truncate (fixture.path, 5000);
  bytes[5001] = 1;
  file_test_fails (ipc_mapped_file_mark_dirty (fixture.file, 5001, 1, &error), &error, IPC_ERROR_CORRUPT);
  /* It is as long as before when it is looked at, by whomever. */
  bytes[50000] = 2;
  file_test_truncate (fixture.path, SIZE);
  file_test_assert_value (fixture.file, 50000, 0, 1);
  file_test_fails (ipc_mapped_file_mark_dirty (fixture.file, 50000, 1, &error), &error, IPC_ERROR_CORRUPT);
  bytes[50000] = 3;
  g_assert_true (ipc_mapped_file_mark_dirty (fixture.file, 50000, 1, &error));
  g_assert_no_error (error);
  file_test_assert_value (fixture.file, 50000, 3, 1);
}

/* Nobody reads or writes: it is looked for. */
static void
test_truncated_unseen (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  guint n_truncated = 0;

  fixture_init (&fixture, test);
  g_signal_connect_swapped (fixture.file, "truncated", G_CALLBACK (count_cb), &n_truncated);
  file_test_truncate (fixture.path, 0);
  ipc_test_wait_for (n_truncated == 1);
  g_assert_cmpuint (ipc_mapped_file_get_size (fixture.file), ==, 0);
}

typedef struct
{
  const char *path;
  guint n;
  gint stop;                    /* (atomic) */
} Cutter;

static gpointer
cut_thread (gpointer data)
{
  Cutter *cutter = data;
  GRand *rand = ipc_test_rand_new ();

  for (guint i = 0; i < cutter->n; i++)
    {
      g_assert_no_errno (truncate (cutter->path, g_rand_int_range (rand, 0, SIZE)));
      g_assert_no_errno (truncate (cutter->path, SIZE));
    }
  g_atomic_int_set (&cutter->stop, TRUE);
  g_rand_free (rand);
  return NULL;
}

static gboolean
is_allowed (const GError *error)
{
  return g_error_matches (error, IPC_ERROR, IPC_ERROR_CORRUPT) || g_error_matches (error, IPC_ERROR, IPC_ERROR_OUT_OF_BOUNDS);
}

static void
test_truncated_all_the_time (IpcTest *test)
{
  const char *wanted = g_getenv ("IPC_TEST_KILLS");
  g_auto(Fixture) fixture = { 0 };
  Cutter cutter = { 0 };
  g_autofree guint8 *buffer = g_malloc0 (SIZE);
  guint n_done = 0, n_failed = 0;
  GThread *thread;

  ipc_test_set_deadline (300);
  fixture_init (&fixture, test);
  cutter = (Cutter){ fixture.path, wanted != NULL ? (guint) atoi (wanted) : 500, FALSE };
  thread = g_thread_new ("cut", cut_thread, &cutter);
  for (guint i = 0; !g_atomic_int_get (&cutter.stop); i++)
    {
      g_autoptr(GError) error = NULL;
      gboolean done;

      if (i % 3 == 0)
        done = ipc_mapped_file_read_into (fixture.file, 0, buffer, SIZE, &error);
      else if (i % 3 == 1)
        done = ipc_mapped_file_write_data (fixture.file, SIZE / 2, buffer, SIZE / 2, &error);
      else
        done = ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error);
      g_assert_true (done || is_allowed (error));
      n_done += done ? 1 : 0;
      n_failed += done ? 0 : 1;
    }
  g_thread_join (thread);
  g_test_message ("%u truncations: %u accesses went well, %u did not", cutter.n, n_done, n_failed);
  g_assert_true (ipc_mapped_file_read_into (fixture.file, 0, buffer, SIZE, NULL));
}

static void
test_replaced (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *other = ipc_test_path (test, "other");
  g_autoptr(IpcMappedFile) second = NULL;
  guint n_replaced = 0;

  fixture_init (&fixture, test);
  g_signal_connect_swapped (fixture.file, "replaced", G_CALLBACK (count_cb), &n_replaced);
  file_test_write_value (fixture.file, 0, 1, SIZE);
  file_test_make (other, 2, SIZE);
  g_assert_no_errno (rename (other, fixture.path));
  ipc_test_wait_for (n_replaced == 1);
  file_test_assert_value (fixture.file, 0, 1, SIZE);
  second = file_test_map (fixture.manager, fixture.path, 0);
  file_test_assert_value (second, 0, 2, SIZE);
  g_assert_true (ipc_mapped_file_unmap (second, NULL));
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { FILE_TEST_ROLE, { "lock", lock_role }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/file/process/coherent", test_coherent);
  ipc_test_add ("/file/process/changed", test_changed);
  ipc_test_add ("/file/process/grown", test_grown);
  ipc_test_add ("/file/process/killed", test_killed);
  ipc_test_add ("/file/process/fork", test_fork);
  ipc_test_add ("/file/process/locks", test_locks);
  ipc_test_add ("/file/process/lock-async", test_lock_async);
  ipc_test_add ("/file/process/truncated", test_truncated);
  ipc_test_add ("/file/process/truncated-marked", test_truncated_marked);
  ipc_test_add ("/file/process/truncated-unseen", test_truncated_unseen);
  ipc_test_add ("/file/process/truncated-all-the-time", test_truncated_all_the_time);
  ipc_test_add ("/file/process/replaced", test_replaced);
  return ipc_test_run ();
}
