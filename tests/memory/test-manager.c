/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Managers of segments: what may be made and opened, and what is said otherwise; the list; sums; cleaning up.
 */
#include "memory-test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ipc-shared-file.h"

#define MAX_SIZE ((gsize) 1 << 46)

static void
assert_fails_to_create (IpcSharedMemoryManager *manager, const char *name, gsize size, IpcError code, const char *text)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_shared_memory_manager_create_segment (manager, name, size, 0, &error));
  g_assert_error (error, IPC_ERROR, (int) code);
  if (strstr (error->message, text) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, text);
}

static void
assert_fails_to_open (IpcSharedMemoryManager *manager, const char *name, IpcError code)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_shared_memory_manager_open_segment (manager, name, 0, &error));
  g_assert_error (error, IPC_ERROR, (int) code);
  g_clear_error (&error);
  g_assert_false (ipc_shared_memory_manager_delete_segment (manager, name, &error));
  g_assert_error (error, IPC_ERROR, (int) code);
}

static guint
n_items (IpcSharedMemoryManager *manager)
{
  return ipc_manager_get_n_items (IPC_MANAGER (manager));
}

/* (transfer full) */
static IpcSharedMemory *
get_item (IpcSharedMemoryManager *manager, guint position)
{
  return g_list_model_get_item (ipc_manager_get_items (IPC_MANAGER (manager)), position);
}

/* Files whose names are no segments' are the library's own. */
static guint
count_files (IpcTest *test, gboolean own)
{
  g_autofree char *folder = g_build_filename (test->directory, "memory", NULL);
  g_autoptr(GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  guint n = 0;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    n += (name[0] == '.') == own;
  return n;
}

/* ── Making and opening ── */

static void
test_create (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "x", 100);
  g_autoptr(IpcSharedMemory) by_default = memory_test_create (manager, "y", 0);

  memory_test_write_value (segment, 0, 3, 100);
  g_assert_cmpuint (ipc_shared_memory_get_size (by_default), ==, ipc_shared_memory_manager_get_default_segment_size (manager));
  assert_fails_to_create (manager, "x", 101, IPC_ERROR_MISMATCH, "exists with 100 bytes, asked 101");
  assert_fails_to_create (manager, "x", 100, IPC_ERROR_EXISTS, "\"x\"");
  assert_fails_to_create (manager, "x", 0, IPC_ERROR_EXISTS, "\"x\"");
  /* What it was is what it is. */
  memory_test_assert_value (segment, 0, 3, 100);
  g_assert_cmpuint (n_items (manager), ==, 2);
}

static void
test_sizes (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) least = NULL;
  g_autoptr(IpcSharedMemory) most = NULL;

  assert_fails_to_create (manager, "x", G_MAXSIZE, IPC_ERROR_TOO_LARGE, "18446744073709551615");
  assert_fails_to_create (manager, "x", G_MAXSIZE - 4095, IPC_ERROR_TOO_LARGE, "\"x\"");
  assert_fails_to_create (manager, "x", MAX_SIZE + 1, IPC_ERROR_TOO_LARGE, "\"x\"");
  assert_fails_to_create (manager, "x", MAX_SIZE, IPC_ERROR_LIMIT_EXCEEDED, "the limit is 1073741824");
  ipc_shared_memory_manager_set_max_segment_size (manager, 5000);
  assert_fails_to_create (manager, "x", 5001, IPC_ERROR_LIMIT_EXCEEDED, "5001 bytes, the limit is 5000");
  g_assert_cmpuint (count_files (test, FALSE), ==, 0);
  most = memory_test_create (manager, "most", 5000);
  least = memory_test_create (manager, "least", 1);
  memory_test_write_value (least, 0, 1, 1);
}

static void
test_names (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  const char *const bad[] = { "", ".", "..", ".presence", "a/b", "/a", "a b", "\xff", "ä",
                              "0123456789012345678901234567890123456789012345678901234567890123456789" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      assert_fails_to_create (manager, bad[i], 1, IPC_ERROR_INVALID_NAME, "");
      assert_fails_to_open (manager, bad[i], IPC_ERROR_INVALID_NAME);
    }
  g_assert_cmpuint (count_files (test, FALSE), ==, 0);
}

static void
test_flags (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = NULL;
  g_autoptr(IpcSharedMemory) reader = NULL;
  g_autoptr(GError) error = NULL;
  const guint bad[] = { 4, 1 << 30, 99, G_MAXUINT };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (ipc_shared_memory_manager_create_segment (manager, "x", 1, (IpcAccess) bad[i], &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
      g_assert_null (ipc_shared_memory_manager_open_segment (manager, "x", (IpcAccess) bad[i], &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  g_assert_cmpuint (count_files (test, FALSE), ==, 0);
  reader = ipc_shared_memory_manager_create_segment (manager, "x", 10, IPC_ACCESS_READ, &error);
  g_assert_no_error (error);
  memory_test_fails (ipc_shared_memory_write_data (reader, 0, "x", 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  segment = memory_test_open (manager, "x");
  memory_test_write_value (segment, 0, 3, 10);
  memory_test_assert_value (reader, 0, 3, 10);
}

static void
test_open (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = NULL;
  g_autoptr(IpcSharedMemory) same = NULL;
  g_autoptr(IpcSharedMemory) reader = NULL;
  g_autoptr(IpcSharedMemory) same_reader = NULL;

  assert_fails_to_open (manager, "x", IPC_ERROR_NOT_FOUND);
  segment = memory_test_create (manager, "x", 10);
  assert_fails_to_open (manager, "y", IPC_ERROR_NOT_FOUND);
  same = memory_test_open (manager, "x");
  g_assert_true (same == segment);
  reader = ipc_shared_memory_manager_open_segment (manager, "x", IPC_ACCESS_READ, NULL);
  g_assert_true (reader != segment);
  same_reader = ipc_shared_memory_manager_open_segment (manager, "x", IPC_ACCESS_READ, NULL);
  g_assert_true (same_reader == reader);
  /* This process has it, however often. */
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (segment), ==, 1);
}

static void
test_delete (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) old = memory_test_create (manager, "x", 10);
  g_autoptr(IpcSharedMemory) next = NULL;
  g_autoptr(IpcSharedMemory) opened = NULL;
  g_autoptr(GError) error = NULL;

  memory_test_write_value (old, 0, 3, 10);
  g_assert_true (ipc_shared_memory_manager_delete_segment (manager, "x", &error));
  g_assert_no_error (error);
  g_assert_true (ipc_shared_memory_get_is_deleted (old));
  g_assert_cmpuint (n_items (manager), ==, 0);
  assert_fails_to_open (manager, "x", IPC_ERROR_NOT_FOUND);
  next = memory_test_create (manager, "x", 20);
  opened = memory_test_open (manager, "x");
  g_assert_true (opened == next);
  g_assert_cmpuint (ipc_shared_memory_get_generation (next), >, ipc_shared_memory_get_generation (old));
  g_assert_cmpstr (ipc_shared_memory_get_id (next), !=, ipc_shared_memory_get_id (old));
  memory_test_assert_value (next, 0, 0, 20);
  /* Who has the old one goes on with it. */
  memory_test_assert_value (old, 0, 3, 10);
  memory_test_write_value (old, 0, 4, 10);
  g_assert_true (ipc_shared_memory_resize (old, 20, &error));
  g_assert_true (ipc_shared_memory_lock (old, 0, NULL, &error));
  g_assert_true (ipc_shared_memory_unlock (old, &error));
  memory_test_assert_value (next, 0, 0, 20);
}

static void
test_generations (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) one = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemoryManager) two = memory_test_manager_new (test->directory);
  guint64 last = 0;

  for (guint i = 0; i < 20; i++)
    {
      g_autofree char *name = g_strdup_printf ("x%u", i % 3);
      IpcSharedMemoryManager *manager = i % 2 == 0 ? one : two;
      g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, name, 1);

      g_assert_cmpuint (ipc_shared_memory_get_generation (segment), >, last);
      last = ipc_shared_memory_get_generation (segment);
      g_assert_true (ipc_shared_memory_manager_delete_segment (manager, name, NULL));
    }
}

static void
test_max_items (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) a = NULL;
  g_autoptr(IpcSharedMemory) b = NULL;

  ipc_manager_set_max_items (IPC_MANAGER (manager), 2);
  a = memory_test_create (manager, "a", 1);
  b = memory_test_create (manager, "b", 1);
  assert_fails_to_create (manager, "c", 1, IPC_ERROR_LIMIT_EXCEEDED, "");
  /* One that exists is not one more. */
  assert_fails_to_create (manager, "b", 1, IPC_ERROR_EXISTS, "");
  g_assert_true (ipc_shared_memory_manager_delete_segment (manager, "a", NULL));
  g_clear_object (&a);
  a = memory_test_create (manager, "c", 1);
}

/* ── What somebody else left there ── */

static void
put (const char *path, gconstpointer bytes, gsize size, mode_t mode)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  g_assert_no_errno (fd);
  g_assert_cmpint (write (fd, bytes, size), ==, (gssize) size);
  g_assert_no_errno (fchmod (fd, mode));
  close (fd);
}

static void
assert_is_refused (IpcTest *test, IpcSharedMemoryManager *manager, const char *name, IpcError code)
{
  g_autofree char *path = memory_test_path (test, name);
  struct stat before, after;

  g_assert_no_errno (lstat (path, &before));
  assert_fails_to_open (manager, name, code);
  assert_fails_to_create (manager, name, 1, code, "");
  g_assert_no_errno (lstat (path, &after));
  g_assert_cmpuint (before.st_ino, ==, after.st_ino);
  g_assert_cmpint (before.st_size, ==, after.st_size);
  g_assert_cmpint (before.st_mtime, ==, after.st_mtime);
}

static void
test_foreign_files (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) real = memory_test_create (manager, "real", 1);
  g_autofree char *text = memory_test_path (test, "text");
  g_autofree char *empty = memory_test_path (test, "empty");
  g_autofree char *folder = memory_test_path (test, "folder");
  g_autofree char *fifo = memory_test_path (test, "fifo");
  g_autofree char *symbolic = memory_test_path (test, "symbolic");
  g_autofree char *dangling = memory_test_path (test, "dangling");
  g_autofree char *open_to_all = memory_test_path (test, "open-to-all");
  g_autofree char *zeros = g_malloc0 (65536);

  put (text, "hello", 5, 0600);
  put (empty, "", 0, 0600);
  put (open_to_all, zeros, 65536, 0666);
  g_assert_no_errno (mkdir (folder, 0700));
  g_assert_no_errno (mkfifo (fifo, 0600));
  g_assert_no_errno (symlink ("real", symbolic));
  g_assert_no_errno (symlink ("nowhere", dangling));
  assert_is_refused (test, manager, "text", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "empty", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "folder", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "fifo", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "symbolic", IPC_ERROR_UNSAFE_PATH);
  assert_is_refused (test, manager, "dangling", IPC_ERROR_UNSAFE_PATH);
  assert_is_refused (test, manager, "open-to-all", IPC_ERROR_UNSAFE_PATH);
  /* Nor are they listed, or cleaned up. */
  ipc_manager_set_idle_timeout (IPC_MANAGER (manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), NULL), ==, 0);
  g_assert_cmpuint (n_items (manager), ==, 1);
  g_assert_cmpuint (count_files (test, FALSE), ==, 8);
}

static void
test_foreign_owner (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "x", 1);
  g_autofree char *path = memory_test_path (test, "x");

  if (!ipc_test_need_root ())
    return;
  g_clear_object (&segment);
  g_assert_no_errno (chown (path, 65534, 65534));
  assert_is_refused (test, manager, "x", IPC_ERROR_UNSAFE_PATH);
}

/* What the header says is checked against the file before anything is mapped. (93) */
static void
test_bad_geometry (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) real = memory_test_create (manager, "real", 1);
  const guint64 head = ipc_shared_memory_get_fd_offset (real);
  const struct
  {
    const char *name;
    IpcSharedInfo info;
    IpcError code;
  } bad[] = {
    { "kind", { IPC_SHARED_KIND_SEMAPHORE, 1, head, { 100 } }, IPC_ERROR_WRONG_TYPE },
    { "layout", { IPC_SHARED_KIND_MEMORY, 3, head, { 100 } }, IPC_ERROR_VERSION },
    { "none", { IPC_SHARED_KIND_MEMORY, 2, head, { 0 } }, IPC_ERROR_CORRUPT },
    { "short-head", { IPC_SHARED_KIND_MEMORY, 2, head - 4096, { 100 } }, IPC_ERROR_CORRUPT },
    { "long-head", { IPC_SHARED_KIND_MEMORY, 2, head + 4096, { 100 } }, IPC_ERROR_CORRUPT },
    { "large-head", { IPC_SHARED_KIND_MEMORY, 2, 2 << 20, { 100 } }, IPC_ERROR_TOO_LARGE },
  };
  g_autofree char *folder = g_build_filename (test->directory, "memory", NULL);
  int folder_fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      IpcFault fault = { 0 };
      IpcSharedFile file;

      if (!ipc_shared_file_create (folder_fd, bad[i].name, &bad[i].info, NULL, NULL, &file, &fault))
        g_error ("%s", fault.message);
      ipc_shared_file_close (&file);
      assert_is_refused (test, manager, bad[i].name, bad[i].code);
    }
  close (folder_fd);
}

/* A size that the file does not have, in the header and in what can be changed all the time. */
static void
test_shorter_than_it_says (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "x", 100000);
  const gsize head = ipc_shared_memory_get_fd_offset (segment);
  g_autofree char *path = memory_test_path (test, "x");
  g_autoptr(GError) error = NULL;
  const gsize sizes[] = { head + 99999, head + 4096, head, head - 1, 4096, 50, 0 };

  g_clear_object (&segment);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_assert_no_errno (truncate (path, (off_t) sizes[i]));
      g_assert_null (ipc_shared_memory_manager_open_segment (manager, "x", 0, &error));
      g_assert_error (error, IPC_ERROR, (sizes[i] >= 4096 ? IPC_ERROR_CORRUPT : IPC_ERROR_WRONG_TYPE));
      g_clear_error (&error);
    }
}

/* Owner ids mean nothing without the table that they are from. */
static void
test_lost_presence (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "x", 10);
  g_autoptr(IpcSharedMemory) again = NULL;
  g_autoptr(IpcSharedMemoryManager) other = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *path = memory_test_path (test, ".presence");

  g_assert_no_errno (unlink (path));
  other = memory_test_manager_new (test->directory);
  g_assert_null (ipc_shared_memory_manager_open_segment (other, "x", 0, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
  g_assert_nonnull (strstr (error->message, ".presence"));
  g_clear_error (&error);
  g_assert_cmpuint (n_items (other), ==, 1);
  memory_test_write_value (segment, 0, 3, 10);
  memory_test_assert_value (segment, 0, 3, 10);
  g_assert_true (ipc_shared_memory_manager_delete_segment (other, "x", &error));
  again = memory_test_create (other, "x", 10);
}

/* ── The list ── */

static void
test_list (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) one = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemoryManager) two = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) made = memory_test_create (one, "b", 100);
  g_autoptr(IpcSharedMemory) a = memory_test_create (one, "a", 1);
  g_autoptr(IpcSharedMemory) item = NULL;
  g_autoptr(GError) error = NULL;

  ipc_test_wait_for (n_items (two) == 2);
  item = get_item (two, 1);
  g_assert_cmpstr (ipc_shared_memory_get_name (item), ==, "b");
  g_assert_cmpstr (ipc_shared_memory_get_id (item), ==, ipc_shared_memory_get_id (made));
  g_assert_cmpint (ipc_shared_memory_get_access (item), ==, IPC_ACCESS_READ);
  g_assert_true (ipc_shared_memory_resize (made, 200, &error));
  memory_test_write_value (made, 0, 3, 200);
  g_assert_cmpuint (ipc_shared_memory_get_size (item), ==, 200);
  g_assert_cmpuint (ipc_shared_memory_get_access_count (item), ==, 1);
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (item), ==, 1);
  /* It may be read, too. */
  memory_test_assert_value (item, 0, 3, 200);
  memory_test_fails (ipc_shared_memory_write_data (item, 0, "x", 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  g_assert_true (ipc_shared_memory_manager_delete_segment (two, "b", NULL));
  g_assert_cmpuint (n_items (two), ==, 1);
  ipc_test_wait_for (n_items (one) == 1);
  memory_test_assert_value (item, 0, 3, 200);
}

/* An item that was only observed, and is deleted, or another one by now. */
static void
test_stale_item (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(GError) error = NULL;
  IpcSharedMemory *made = memory_test_create (manager, "x", 10);
  g_autoptr(IpcSharedMemory) item = get_item (manager, 0);
  g_autoptr(IpcSharedMemory) successor = NULL;

  g_object_unref (made);
  g_assert_true (ipc_shared_memory_manager_delete_segment (manager, "x", NULL));
  g_assert_true (ipc_shared_memory_get_is_deleted (item));
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (item), ==, 0);
  memory_test_fails (ipc_shared_memory_read (item, 0, 1, &error) != NULL, &error, IPC_ERROR_DELETED);
  successor = memory_test_create (manager, "x", 20);
  memory_test_fails (ipc_shared_memory_lock (item, -1, NULL, &error), &error, IPC_ERROR_DELETED);
  memory_test_fails (ipc_shared_memory_dup_fd (item, &error) >= 0, &error, IPC_ERROR_DELETED);
  g_assert_null (ipc_shared_memory_peek (item, NULL));
  g_assert_cmpuint (ipc_shared_memory_get_size (item), ==, 10);
}

/* ── Sums, settings ── */

static void
count (guint *n)
{
  (*n)++;
}

static void
test_sums (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) one = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemoryManager) two = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) a = NULL;
  g_autoptr(IpcSharedMemory) b = NULL;
  guint64 size, accesses;
  gdouble average;
  guint n_notified = 0;

  g_assert_cmpfloat (ipc_shared_memory_manager_get_average_segment_size (one), ==, 0);
  a = memory_test_create (one, "a", 100);
  b = memory_test_create (two, "b", 201);
  ipc_test_wait_for (n_items (one) == 2 && n_items (two) == 2);
  g_object_get (one, "total-size", &size, "total-access-count", &accesses, "average-segment-size", &average, NULL);
  g_assert_cmpuint (size, ==, 301);
  g_assert_cmpuint (accesses, ==, 0);
  g_assert_cmpfloat (average, ==, 150.5);
  g_signal_connect_swapped (two, "notify::total-access-count", G_CALLBACK (count), &n_notified);
  memory_test_write_value (a, 0, 1, 100);
  memory_test_assert_value (a, 0, 1, 100);
  memory_test_write_value (b, 0, 1, 1);
  ipc_test_wait_for (n_notified > 0);
  g_assert_cmpuint (ipc_shared_memory_manager_get_total_access_count (one), ==, 3);
  g_assert_cmpuint (ipc_shared_memory_manager_get_total_access_count (two), ==, 3);
  g_assert_true (ipc_shared_memory_resize (a, 201, NULL));
  g_assert_cmpuint (ipc_shared_memory_manager_get_total_size (two), ==, 402);
  g_assert_cmpfloat (ipc_shared_memory_manager_get_average_segment_size (two), ==, 201);
}

static void
test_settings (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  guint n_default = 0, n_max = 0;
  guint64 by_default, max;

  g_signal_connect_swapped (manager, "notify::default-segment-size", G_CALLBACK (count), &n_default);
  g_signal_connect_swapped (manager, "notify::max-segment-size", G_CALLBACK (count), &n_max);
  g_assert_cmpuint (ipc_shared_memory_manager_get_default_segment_size (manager), ==, 65536);
  g_assert_cmpuint (ipc_shared_memory_manager_get_max_segment_size (manager), ==, 1 << 30);
  g_object_set (manager, "default-segment-size", (guint64) 5000, "max-segment-size", (guint64) 10000, NULL);
  g_object_get (manager, "default-segment-size", &by_default, "max-segment-size", &max, NULL);
  g_assert_cmpuint (by_default, ==, 5000);
  g_assert_cmpuint (max, ==, 10000);
  ipc_shared_memory_manager_set_default_segment_size (manager, 5000);
  ipc_shared_memory_manager_set_max_segment_size (manager, 10000);
  g_assert_cmpuint (n_default, ==, 1);
  g_assert_cmpuint (n_max, ==, 1);
  /* What is outside becomes the nearest; the default is never more than the most. */
  ipc_shared_memory_manager_set_default_segment_size (manager, G_MAXSIZE);
  g_assert_cmpuint (ipc_shared_memory_manager_get_default_segment_size (manager), ==, 10000);
  ipc_shared_memory_manager_set_default_segment_size (manager, 0);
  g_assert_cmpuint (ipc_shared_memory_manager_get_default_segment_size (manager), ==, 1);
  ipc_shared_memory_manager_set_max_segment_size (manager, G_MAXSIZE);
  g_assert_cmpuint (ipc_shared_memory_manager_get_max_segment_size (manager), ==, MAX_SIZE);
  ipc_shared_memory_manager_set_default_segment_size (manager, 100);
  ipc_shared_memory_manager_set_max_segment_size (manager, 0);
  g_assert_cmpuint (ipc_shared_memory_manager_get_max_segment_size (manager), ==, 1);
  g_assert_cmpuint (ipc_shared_memory_manager_get_default_segment_size (manager), ==, 1);
}

/* ── Cleaning up ── */

static void
test_cleanup (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) used = memory_test_create (manager, "used", 1);
  g_autoptr(IpcSharedMemory) item = NULL;
  IpcSharedMemory *idle = memory_test_create (manager, "idle", 1);

  g_object_unref (idle);
  item = get_item (manager, 0);
  g_assert_cmpstr (ipc_shared_memory_get_name (item), ==, "idle");
  /* Long ago, it would have to be. */
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), NULL), ==, 0);
  ipc_manager_set_idle_timeout (IPC_MANAGER (manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), NULL), ==, 1);
  g_assert_true (ipc_shared_memory_get_is_deleted (item));
  g_assert_false (ipc_shared_memory_get_is_deleted (used));
  g_assert_cmpuint (n_items (manager), ==, 1);
  assert_fails_to_open (manager, "idle", IPC_ERROR_NOT_FOUND);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), NULL), ==, 0);
}

/* ── No space ── */

#define FULL "mount -t tmpfs -o size=%s,mode=0700 tmpfs \"$1\" && shift && exec \"$@\""

/* In a namespace of its own, where the directory is a small file system. */
static IpcTestPeer *
spawn_in_small (IpcTest *test, const char *size, const char *role)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *script = g_strdup_printf (FULL, size);
  g_autofree char *option = g_strconcat ("--ipc-test-peer=", role, NULL);
  const char *const argv[] = { "env", "ASAN_OPTIONS=detect_leaks=0", "unshare", "-Urm", "sh", "-c", script, "sh", test->directory,
                               program, option, test->directory, NULL };

  return ipc_test_peer_spawn_program (argv);
}

static gboolean
can_mount (void)
{
  const char *const argv[] = { "unshare", "-Urm", "sh", "-c", "mount -t tmpfs tmpfs /tmp 2>/dev/null", NULL };
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn_program (argv);

  if (ipc_test_peer_wait (peer) == 0)
    return TRUE;
  g_test_skip ("needs namespaces of users and mounts, which are not allowed here");
  return FALSE;
}

static int
play_full (char **arguments)
{
  IpcTest test = { .directory = arguments[0] };
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (arguments[0]);
  g_autoptr(IpcSharedMemory) small = memory_test_create (manager, "small", 100);
  g_autoptr(GError) error = NULL;
  guint n_own = count_files (&test, TRUE);

  assert_fails_to_create (manager, "large", 16 << 20, IPC_ERROR_NO_SPACE, "\"large\"");
  g_assert_cmpuint (count_files (&test, FALSE), ==, 1);
  g_assert_cmpuint (count_files (&test, TRUE), ==, n_own);
  memory_test_write_value (small, 0, 3, 100);
  memory_test_fails (ipc_shared_memory_resize (small, 16 << 20, &error), &error, IPC_ERROR_NO_SPACE);
  g_assert_cmpuint (ipc_shared_memory_get_size (small), ==, 100);
  memory_test_assert_value (small, 0, 3, 100);
  /* What was asked for in vain is there for others. */
  g_assert_true (ipc_shared_memory_resize (small, 256 << 10, &error));
  g_assert_no_error (error);
  memory_test_write_value (small, 0, 4, 256 << 10);
  ipc_test_tell ("full");
  return 0;
}

/* So small that not even the table of processes fits in. */
static int
play_tiny (char **arguments)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (arguments[0]);

  assert_fails_to_create (manager, "x", 100, IPC_ERROR_NO_SPACE, "");
  ipc_test_tell ("full");
  return 0;
}

static void
test_full (IpcTest *test)
{
  g_autoptr(IpcTestPeer) full = NULL;
  g_autoptr(IpcTestPeer) tiny = NULL;

  if (!can_mount ())
    return;
  full = spawn_in_small (test, "2m", "full");
  ipc_test_peer_expect (full, "full");
  g_assert_cmpint (ipc_test_peer_wait (full), ==, 0);
  tiny = spawn_in_small (test, "128k", "tiny");
  ipc_test_peer_expect (tiny, "full");
  g_assert_cmpint (ipc_test_peer_wait (tiny), ==, 0);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { { "full", play_full }, { "tiny", play_tiny }, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/memory/manager/create", test_create);
  ipc_test_add ("/memory/manager/sizes", test_sizes);
  ipc_test_add ("/memory/manager/names", test_names);
  ipc_test_add ("/memory/manager/flags", test_flags);
  ipc_test_add ("/memory/manager/open", test_open);
  ipc_test_add ("/memory/manager/delete", test_delete);
  ipc_test_add ("/memory/manager/generations", test_generations);
  ipc_test_add ("/memory/manager/max-items", test_max_items);
  ipc_test_add ("/memory/manager/foreign-files", test_foreign_files);
  ipc_test_add ("/memory/manager/foreign-owner", test_foreign_owner);
  ipc_test_add ("/memory/manager/bad-geometry", test_bad_geometry);
  ipc_test_add ("/memory/manager/shorter-than-it-says", test_shorter_than_it_says);
  ipc_test_add ("/memory/manager/lost-presence", test_lost_presence);
  ipc_test_add ("/memory/manager/list", test_list);
  ipc_test_add ("/memory/manager/stale-item", test_stale_item);
  ipc_test_add ("/memory/manager/sums", test_sums);
  ipc_test_add ("/memory/manager/settings", test_settings);
  ipc_test_add ("/memory/manager/cleanup", test_cleanup);
  ipc_test_add ("/memory/manager/full", test_full);
  return ipc_test_run ();
}
