/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mapped file in one process: what is read is what was written, also by other means; what cannot be read or written is said so and
 * changes nothing; what is dirty is known, and on the disk when it was synced.
 */
#include "file-test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE 10000
#define PAGE 4096

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
  gpointer weak = self->file;

  ipc_mapped_file_unmap (self->file, &error);
  g_assert_no_error (error);
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (self->file);
  /* Whoever listens hears of that, and a thread that has synced lets go a moment later. */
  ipc_test_wait_for (weak == NULL);
  ipc_test_assert_finalized (self->manager);
  g_free (self->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static IpcMappedFile *
map_for (Fixture *self, IpcAccess access)
{
  g_autoptr(GError) error = NULL;
  IpcMappedFile *file = ipc_mapped_file_manager_map_file (self->manager, self->path, 0, access, &error);

  g_assert_no_error (error);
  g_assert_cmpint (ipc_mapped_file_get_access (file), ==, access);
  return file;
}

/* ── Reading and writing ── */

static void
test_new (IpcTest *test)
{
  gint64 before = g_get_real_time ();
  g_auto(Fixture) fixture = { 0 };
  GBytes *bytes;

  fixture_init (&fixture, test);
  g_assert_cmpint (ipc_mapped_file_get_created_at (fixture.file), >=, before);
  g_assert_cmpint (ipc_mapped_file_get_created_at (fixture.file), <=, g_get_real_time ());
  g_assert_cmpstr (ipc_mapped_file_get_path (fixture.file), ==, fixture.path);
  g_assert_true (g_uuid_string_is_valid (ipc_mapped_file_get_id (fixture.file)));
  g_assert_cmpuint (ipc_mapped_file_get_size (fixture.file), ==, SIZE);
  g_assert_cmpint (ipc_mapped_file_get_access (fixture.file), ==, IPC_ACCESS_READ | IPC_ACCESS_WRITE);
  g_assert_cmpuint (ipc_mapped_file_get_access_count (fixture.file), ==, 0);
  g_assert_true (ipc_mapped_file_get_is_mapped (fixture.file));
  g_assert_false (ipc_mapped_file_get_is_dirty (fixture.file));
  file_test_assert_value (fixture.file, 0, 0, SIZE);
  bytes = file_test_load (fixture.path);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, SIZE);
  g_bytes_unref (bytes);
}

static void
test_properties (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *id = NULL, *path = NULL;
  guint64 size, dirty_bytes, access_count;
  gint64 created_at, last_accessed, last_modified;
  gboolean is_mapped, is_dirty;
  guint access;

  fixture_init (&fixture, test);
  file_test_write_value (fixture.file, 0, 1, 1);
  g_object_get (fixture.file, "id", &id, "path", &path, "size", &size, "access", &access, "is-mapped", &is_mapped, "is-dirty", &is_dirty,
                "dirty-bytes", &dirty_bytes, "created-at", &created_at, "last-accessed", &last_accessed, "last-modified", &last_modified,
                "access-count", &access_count, NULL);
  g_assert_cmpstr (id, ==, ipc_mapped_file_get_id (fixture.file));
  g_assert_cmpstr (path, ==, fixture.path);
  g_assert_cmpuint (size, ==, SIZE);
  g_assert_cmpuint (access, ==, IPC_ACCESS_READ | IPC_ACCESS_WRITE);
  g_assert_true (is_mapped);
  g_assert_true (is_dirty);
  g_assert_cmpuint (dirty_bytes, ==, PAGE);
  g_assert_cmpint (created_at, ==, ipc_mapped_file_get_created_at (fixture.file));
  g_assert_cmpint (ABS (last_accessed - g_get_real_time ()), <, 60 * G_USEC_PER_SEC);
  g_assert_cmpint (ABS (last_modified - g_get_real_time ()), <, 60 * G_USEC_PER_SEC);
  g_assert_cmpuint (access_count, ==, 1);
}

/* Through the map, and through the file as anybody has it. */
static void
test_read_and_write (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GBytes) text = g_bytes_new_static ("hello", 5);
  g_autoptr(GBytes) read = NULL;
  g_autoptr(GBytes) nothing = NULL;
  g_autoptr(GError) error = NULL;
  char buffer[5];
  int fd;

  fixture_init (&fixture, test);
  g_assert_true (ipc_mapped_file_write (fixture.file, SIZE - 5, text, &error));
  g_assert_no_error (error);
  read = ipc_mapped_file_read (fixture.file, SIZE - 5, 5, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (read, text));
  file_test_assert_value (fixture.file, 0, 0, SIZE - 5);
  fd = open (fixture.path, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (pread (fd, buffer, 5, SIZE - 5), ==, 5);
  g_assert_cmpmem (buffer, 5, "hello", 5);
  g_assert_cmpint (pwrite (fd, "world", 5, 7), ==, 5);
  close (fd);
  g_assert_true (ipc_mapped_file_read_into (fixture.file, 7, buffer, 5, &error));
  g_assert_cmpmem (buffer, 5, "world", 5);
  /* No bytes are no fault, also right behind the last one. */
  nothing = ipc_mapped_file_read (fixture.file, SIZE, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (nothing), ==, 0);
  g_assert_true (ipc_mapped_file_write_data (fixture.file, SIZE, NULL, 0, &error));
}

static void
test_bounds (IpcTest *test)
{
  static const gsize bad[][2] = {
    { SIZE, 1 }, { SIZE + 1, 0 }, { 0, SIZE + 1 }, { G_MAXSIZE - 1, 2 }, { G_MAXSIZE, G_MAXSIZE }, { 1, G_MAXSIZE }, { G_MAXSIZE, 0 },
  };
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  guint8 byte = 1;

  fixture_init (&fixture, test);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      file_test_fails (ipc_mapped_file_read (fixture.file, bad[i][0], bad[i][1], &error) != NULL, &error, IPC_ERROR_OUT_OF_BOUNDS);
      file_test_fails (ipc_mapped_file_read_into (fixture.file, bad[i][0], &byte, bad[i][1], &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
      file_test_fails (ipc_mapped_file_write_data (fixture.file, bad[i][0], &byte, bad[i][1], &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
      file_test_fails (ipc_mapped_file_get_bytes (fixture.file, bad[i][0], bad[i][1], &error) != NULL, &error, IPC_ERROR_OUT_OF_BOUNDS);
      file_test_fails (ipc_mapped_file_mark_dirty (fixture.file, bad[i][0], bad[i][1], &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
      file_test_fails (ipc_mapped_file_sync (fixture.file, bad[i][0], bad[i][1], NULL, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
    }
  ipc_mapped_file_write_data (fixture.file, SIZE - 1, &byte, 2, &error);
  g_assert_nonnull (strstr (error->message, fixture.path));
  g_assert_nonnull (strstr (error->message, "offset 9999, length 2, of 10000 bytes"));
  g_assert_false (ipc_mapped_file_get_is_dirty (fixture.file));
  file_test_assert_value (fixture.file, 0, 0, SIZE);
}

static void
test_access (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcMappedFile) reader = NULL;
  g_autoptr(IpcMappedFile) writer = NULL;
  g_autoptr(GError) error = NULL;
  guint8 byte = 7;

  fixture_init (&fixture, test);
  reader = map_for (&fixture, IPC_ACCESS_READ);
  writer = map_for (&fixture, IPC_ACCESS_WRITE);
  file_test_fails (ipc_mapped_file_write_data (reader, 0, &byte, 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  file_test_fails (ipc_mapped_file_mark_dirty (reader, 0, 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  file_test_fails (ipc_mapped_file_resize (reader, 20000, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  file_test_fails (ipc_mapped_file_read_into (writer, 0, &byte, 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  file_test_fails (ipc_mapped_file_get_bytes (writer, 0, 1, &error) != NULL, &error, IPC_ERROR_PERMISSION_DENIED);
  file_test_write_value (writer, 5, 9, 10);
  file_test_assert_value (reader, 5, 9, 10);
  g_assert_true (ipc_mapped_file_unmap (reader, &error));
  g_assert_true (ipc_mapped_file_unmap (writer, &error));
}

/* Two objects, one map. */
static void
test_shared (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcMappedFileManager) second = file_test_manager_new (test->directory);
  g_autoptr(IpcMappedFile) other = NULL;
  g_autoptr(IpcMappedFile) third = NULL;
  g_autoptr(GError) error = NULL;
  gsize size = 0;

  fixture_init (&fixture, test);
  other = file_test_map (fixture.manager, fixture.path, 0);
  third = file_test_map (second, fixture.path, 0);
  g_assert_true (other != fixture.file);
  g_assert_true (ipc_mapped_file_peek (other, &size) == ipc_mapped_file_peek (fixture.file, NULL));
  g_assert_true (ipc_mapped_file_peek (third, NULL) == ipc_mapped_file_peek (fixture.file, NULL));
  g_assert_cmpuint (size, ==, SIZE);
  file_test_write_value (other, 0, 3, 1);
  g_assert_true (ipc_mapped_file_get_is_dirty (third));
  g_assert_true (ipc_mapped_file_unmap (other, &error));
  g_assert_false (ipc_mapped_file_get_is_dirty (third));
  file_test_assert_value (fixture.file, 0, 3, 1);
  g_assert_true (ipc_mapped_file_unmap (third, &error));
}

static void
test_views (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcMappedFile *other;
  g_autoptr(GBytes) view = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  other = file_test_map (fixture.manager, fixture.path, 0);
  view = ipc_mapped_file_get_bytes (other, 100, 200, &error);
  g_assert_no_error (error);
  file_test_write_value (fixture.file, 0, 8, SIZE);
  g_assert_cmpuint (((const guint8 *) g_bytes_get_data (view, NULL))[199], ==, 8);
  g_assert_true (ipc_mapped_file_unmap (other, &error));
  ipc_test_assert_finalized (other);
  g_assert_cmpuint (((const guint8 *) g_bytes_get_data (view, NULL))[0], ==, 8);
  /* It would be gone from under it. */
  file_test_assert_fails (ipc_mapped_file_resize (fixture.file, 50, &error), &error, G_IO_ERROR, G_IO_ERROR_BUSY);
}

static void
test_dup_fd (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  guint8 *bytes;
  int fd;

  fixture_init (&fixture, test);
  fd = ipc_mapped_file_dup_fd (fixture.file, &error);
  g_assert_cmpint (fd, >=, 0);
  bytes = mmap (NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close (fd);
  bytes[5000] = 4;
  file_test_assert_value (fixture.file, 5000, 4, 1);
  g_assert_false (ipc_mapped_file_get_is_dirty (fixture.file));
  g_assert_true (ipc_mapped_file_mark_dirty (fixture.file, 5000, 1, &error));
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, PAGE);
  munmap (bytes, SIZE);
}

/* ── Syncing ── */

/* A little is not written in the same way as more. */
static void
test_lengths (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  guint8 data[100], expected[SIZE] = { 0 }, found[SIZE];

  fixture_init (&fixture, test);
  for (guint length = 1; length <= sizeof data; length++)
    for (guint i = 0; i < 4; i++)
      {
        gsize offset = (const gsize[]){ 0, PAGE - length / 2, 5000 + length, SIZE - length }[i];

        for (guint at = 0; at < length; at++)
          data[at] = expected[offset + at] = (guint8) (7 * length + i + at);
        g_assert_true (ipc_mapped_file_write_data (fixture.file, offset, data, length, &error));
        g_assert_true (ipc_mapped_file_read_into (fixture.file, 0, found, SIZE, &error));
        g_assert_cmpmem (found, SIZE, expected, SIZE);
        g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, i == 0 ? PAGE : i == 3 ? SIZE : 2 * PAGE);
        if (i == 3)
          g_assert_true (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error));
      }
  g_assert_no_error (error);
}

static void
test_dirty (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  file_test_write_value (fixture.file, 4090, 1, 10);
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, 2 * PAGE);
  /* The last page is not whole. */
  file_test_write_value (fixture.file, SIZE - 1, 1, 1);
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, SIZE);
  g_assert_true (ipc_mapped_file_sync (fixture.file, 0, PAGE, NULL, &error));
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, 2 * PAGE);
  g_assert_true (ipc_mapped_file_sync (fixture.file, 2 * PAGE, 0, NULL, &error));
  g_assert_cmpuint (ipc_mapped_file_get_dirty_bytes (fixture.file), ==, PAGE);
  g_assert_true (ipc_mapped_file_get_is_dirty (fixture.file));
  g_assert_true (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error));
  g_assert_false (ipc_mapped_file_get_is_dirty (fixture.file));
  g_assert_true (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error));
  g_assert_no_error (error);
}

static void
test_sync_async (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_auto(IpcTestAsync) cancelled = { 0 };
  g_auto(IpcTestAsync) outside = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  file_test_write_value (fixture.file, 0, 1, SIZE);
  ipc_mapped_file_sync_async (fixture.file, 0, 0, NULL, ipc_test_async_cb, &async);
  g_assert_true (ipc_mapped_file_sync_finish (fixture.file, ipc_test_async_wait (&async), &error));
  g_assert_false (ipc_mapped_file_get_is_dirty (fixture.file));
  g_cancellable_cancel (cancellable);
  ipc_mapped_file_sync_async (fixture.file, 0, 0, cancellable, ipc_test_async_cb, &cancelled);
  file_test_assert_fails (ipc_mapped_file_sync_finish (fixture.file, ipc_test_async_wait (&cancelled), &error), &error, G_IO_ERROR,
                          G_IO_ERROR_CANCELLED);
  ipc_mapped_file_sync_async (fixture.file, SIZE, 1, NULL, ipc_test_async_cb, &outside);
  file_test_fails (ipc_mapped_file_sync_finish (fixture.file, ipc_test_async_wait (&outside), &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
}

/* Dropped while it syncs: the callback comes all the same. */
static void
test_dropped_while_syncing (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "x");
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;
  IpcMappedFile *file = file_test_map (manager, path, SIZE);

  file_test_write_value (file, 0, 1, SIZE);
  ipc_mapped_file_sync_async (file, 0, 0, NULL, ipc_test_async_cb, &async);
  g_clear_object (&manager);
  g_object_unref (file);
  g_assert_true (ipc_mapped_file_sync_finish (file, ipc_test_async_wait (&async), &error));
  g_assert_no_error (error);
}

/* ── Resizing and unmapping ── */

static void
test_resize (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  const guint8 *before;

  fixture_init (&fixture, test);
  file_test_write_value (fixture.file, 0, 6, SIZE);
  before = ipc_mapped_file_peek (fixture.file, NULL);
  for (gsize size = SIZE; size <= 40 * SIZE; size += SIZE)
    {
      g_assert_true (ipc_mapped_file_resize (fixture.file, size, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (ipc_mapped_file_get_size (fixture.file), ==, size);
    }
  file_test_assert_value (fixture.file, 0, 6, SIZE);
  file_test_assert_value (fixture.file, SIZE, 0, 39 * SIZE);
  file_test_write_value (fixture.file, 0, 7, 40 * SIZE);
  g_assert_cmpuint (before[0], ==, 7);
  g_assert_true (ipc_mapped_file_resize (fixture.file, 100, &error));
  g_assert_cmpuint (ipc_mapped_file_get_size (fixture.file), ==, 100);
  file_test_assert_value (fixture.file, 0, 7, 100);
  file_test_fails (ipc_mapped_file_read (fixture.file, 100, 1, &error) != NULL, &error, IPC_ERROR_OUT_OF_BOUNDS);
  g_assert_true (ipc_mapped_file_resize (fixture.file, 200, &error));
  file_test_assert_value (fixture.file, 100, 0, 100);
  file_test_fails (ipc_mapped_file_resize (fixture.file, 0, &error), &error, IPC_ERROR_INVALID_ARGUMENT);
  file_test_fails (ipc_mapped_file_resize (fixture.file, G_MAXSIZE, &error), &error, IPC_ERROR_TOO_LARGE);
  file_test_fails (ipc_mapped_file_resize (fixture.file, (gsize) 2 << 30, &error), &error, IPC_ERROR_LIMIT_EXCEEDED);
  g_assert_cmpuint (ipc_mapped_file_get_size (fixture.file), ==, 200);
}

static void
count_cb (guint *n)
{
  (*n)++;
}

static void
test_unmap (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = g_bytes_new_static ("x", 1);
  g_auto(IpcTestAsync) async = { 0 };
  guint n_notified = 0;

  fixture_init (&fixture, test);
  g_signal_connect_swapped (fixture.file, "notify::is-mapped", G_CALLBACK (count_cb), &n_notified);
  file_test_write_value (fixture.file, 0, 1, 1);
  g_assert_true (ipc_mapped_file_unmap (fixture.file, &error));
  g_assert_true (ipc_mapped_file_unmap (fixture.file, &error));
  g_assert_false (ipc_mapped_file_get_is_mapped (fixture.file));
  g_assert_false (ipc_mapped_file_get_is_dirty (fixture.file));
  g_assert_cmpuint (ipc_manager_get_n_items (IPC_MANAGER (fixture.manager)), ==, 0);
  file_test_fails (ipc_mapped_file_read (fixture.file, 0, 1, &error) != NULL, &error, IPC_ERROR_CLOSED);
  file_test_fails (ipc_mapped_file_write (fixture.file, 0, bytes, &error), &error, IPC_ERROR_CLOSED);
  file_test_fails (ipc_mapped_file_get_bytes (fixture.file, 0, 1, &error) != NULL, &error, IPC_ERROR_CLOSED);
  file_test_fails (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, &error), &error, IPC_ERROR_CLOSED);
  file_test_fails (ipc_mapped_file_resize (fixture.file, 5, &error), &error, IPC_ERROR_CLOSED);
  file_test_fails (ipc_mapped_file_dup_fd (fixture.file, &error) >= 0, &error, IPC_ERROR_CLOSED);
  g_assert_null (ipc_mapped_file_peek (fixture.file, NULL));
  ipc_mapped_file_sync_async (fixture.file, 0, 0, NULL, ipc_test_async_cb, &async);
  file_test_fails (ipc_mapped_file_sync_finish (fixture.file, ipc_test_async_wait (&async), &error), &error, IPC_ERROR_CLOSED);
  ipc_test_wait_for (n_notified == 1);
}

/* ── Listening ── */

static void
test_notifications (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  guint n_dirty = 0, n_count = 0;

  fixture_init (&fixture, test);
  g_signal_connect_swapped (fixture.file, "notify::is-dirty", G_CALLBACK (count_cb), &n_dirty);
  g_signal_connect_swapped (fixture.file, "notify::access-count", G_CALLBACK (count_cb), &n_count);
  file_test_write_value (fixture.file, 0, 1, 1);
  ipc_test_wait_for (n_dirty == 1 && n_count >= 1);
  g_assert_true (ipc_mapped_file_sync (fixture.file, 0, 0, NULL, NULL));
  ipc_test_wait_for (n_dirty == 2);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/file/file/new", test_new);
  ipc_test_add ("/file/file/properties", test_properties);
  ipc_test_add ("/file/file/read-and-write", test_read_and_write);
  ipc_test_add ("/file/file/bounds", test_bounds);
  ipc_test_add ("/file/file/access", test_access);
  ipc_test_add ("/file/file/shared", test_shared);
  ipc_test_add ("/file/file/views", test_views);
  ipc_test_add ("/file/file/dup-fd", test_dup_fd);
  ipc_test_add ("/file/file/lengths", test_lengths);
  ipc_test_add ("/file/file/dirty", test_dirty);
  ipc_test_add ("/file/file/sync-async", test_sync_async);
  ipc_test_add ("/file/file/dropped-while-syncing", test_dropped_while_syncing);
  ipc_test_add ("/file/file/resize", test_resize);
  ipc_test_add ("/file/file/unmap", test_unmap);
  ipc_test_add ("/file/file/notifications", test_notifications);
  return ipc_test_run ();
}
