/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is mapped and what is not, and that nothing happens to what is not; the list and the sums of a manager; syncing and cleaning up
 * by itself.
 */
#include "file-test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE 10000

static void
assert_refused (IpcMappedFileManager *manager, const char *path, gsize size, IpcAccess access, IpcError code)
{
  g_autoptr(GError) error = NULL;

  file_test_fails (ipc_mapped_file_manager_map_file (manager, path, size, access, &error) != NULL, &error, code);
  g_assert_cmpuint (ipc_manager_get_n_items (IPC_MANAGER (manager)), ==, 0);
}

/* ── What is mapped ── */

static void
test_sizes (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autofree char *other = ipc_test_path (test, "other");
  g_autoptr(IpcMappedFile) made = NULL;
  g_autoptr(IpcMappedFile) same = NULL;
  g_autoptr(IpcMappedFile) longer = NULL;
  g_autoptr(IpcMappedFile) shorter = NULL;
  g_autoptr(IpcMappedFile) reader = NULL;
  struct stat status;

  made = file_test_map (manager, path, 0);
  g_assert_cmpuint (ipc_mapped_file_get_size (made), ==, 65536);
  g_assert_no_errno (stat (path, &status));
  g_assert_cmpuint (status.st_mode & 07777, ==, 0600);
  file_test_make (other, 5, SIZE);
  same = file_test_map (manager, other, 0);
  g_assert_cmpuint (ipc_mapped_file_get_size (same), ==, SIZE);
  /* Nothing is cut off, nor is anything lost. */
  shorter = file_test_map (manager, other, 100);
  g_assert_cmpuint (ipc_mapped_file_get_size (shorter), ==, SIZE);
  longer = file_test_map (manager, other, 2 * SIZE);
  g_assert_cmpuint (ipc_mapped_file_get_size (longer), ==, 2 * SIZE);
  g_assert_cmpuint (ipc_mapped_file_get_size (same), ==, 2 * SIZE);
  file_test_assert_value (same, 0, 5, SIZE);
  file_test_assert_value (same, SIZE, 0, SIZE);
  reader = ipc_mapped_file_manager_map_file (manager, other, SIZE, IPC_ACCESS_READ, NULL);
  g_assert_cmpuint (ipc_mapped_file_get_size (reader), ==, 2 * SIZE);
}

static void
test_bad_sizes (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autofree char *there = ipc_test_path (test, "there");

  assert_refused (manager, path, G_MAXSIZE, 0, IPC_ERROR_TOO_LARGE);
  assert_refused (manager, path, G_MAXSIZE - 4095, 0, IPC_ERROR_TOO_LARGE);
  assert_refused (manager, path, ((gsize) 1 << 30) + 1, 0, IPC_ERROR_LIMIT_EXCEEDED);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  file_test_make (there, 1, SIZE);
  assert_refused (manager, there, G_MAXSIZE, 0, IPC_ERROR_TOO_LARGE);
  assert_refused (manager, there, (gsize) 2 << 30, 0, IPC_ERROR_LIMIT_EXCEEDED);
  assert_refused (manager, there, SIZE + 1, IPC_ACCESS_READ, IPC_ERROR_MISMATCH);
  ipc_mapped_file_manager_set_max_file_size (manager, 1000);
  assert_refused (manager, path, 1001, 0, IPC_ERROR_LIMIT_EXCEEDED);
  assert_refused (manager, path, 0, 99, IPC_ERROR_INVALID_ARGUMENT);
}

static void
test_foreign_files (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *directory = ipc_test_path (test, "directory");
  g_autofree char *pipe = ipc_test_path (test, "pipe");
  g_autofree char *target = ipc_test_path (test, "target");
  g_autofree char *link = ipc_test_path (test, "link");
  g_autofree char *dangling = ipc_test_path (test, "dangling");
  g_autofree char *second = ipc_test_path (test, "second");
  g_autofree char *empty = ipc_test_path (test, "empty");
  g_autofree char *missing = ipc_test_path (test, "missing");
  g_autofree char *below = ipc_test_path (test, "target/below");
  g_autofree char *through = ipc_test_path (test, "way/target");
  g_autofree char *way = ipc_test_path (test, "way");
  g_autofree char *slash = ipc_test_path (test, "new/");
  g_autoptr(GBytes) content = NULL;
  g_autoptr(IpcMappedFile) reader = NULL;

  g_assert_no_errno (mkdir (directory, 0700));
  g_assert_no_errno (mkfifo (pipe, 0600));
  file_test_make (target, 3, SIZE);
  file_test_make (empty, 0, 0);
  g_assert_no_errno (symlink ("target", link));
  g_assert_no_errno (symlink ("nowhere", dangling));
  g_assert_no_errno (symlink (test->directory, way));
  assert_refused (manager, directory, 0, 0, IPC_ERROR_WRONG_TYPE);
  assert_refused (manager, pipe, 0, 0, IPC_ERROR_WRONG_TYPE);
  assert_refused (manager, pipe, 0, IPC_ACCESS_READ, IPC_ERROR_WRONG_TYPE);
  assert_refused (manager, "/dev/null", 0, IPC_ACCESS_READ, IPC_ERROR_WRONG_TYPE);
  assert_refused (manager, "/proc/version", 0, IPC_ACCESS_READ, IPC_ERROR_WRONG_TYPE);
  assert_refused (manager, link, 0, 0, IPC_ERROR_UNSAFE_PATH);
  assert_refused (manager, dangling, SIZE, 0, IPC_ERROR_UNSAFE_PATH);
  assert_refused (manager, through, 0, 0, IPC_ERROR_UNSAFE_PATH);
  assert_refused (manager, empty, 0, 0, IPC_ERROR_INVALID_ARGUMENT);
  assert_refused (manager, missing, SIZE, IPC_ACCESS_READ, IPC_ERROR_NOT_FOUND);
  assert_refused (manager, below, SIZE, 0, IPC_ERROR_WRONG_TYPE);
  assert_refused (manager, "/no/such/directory/x", SIZE, 0, IPC_ERROR_NOT_FOUND);
  assert_refused (manager, "", SIZE, 0, IPC_ERROR_INVALID_NAME);
  assert_refused (manager, NULL, SIZE, 0, IPC_ERROR_INVALID_NAME);
  assert_refused (manager, slash, SIZE, 0, IPC_ERROR_WRONG_TYPE);
  g_assert_false (g_file_test (missing, G_FILE_TEST_EXISTS));
  g_assert_no_errno (linkat (AT_FDCWD, target, AT_FDCWD, second, 0));
  assert_refused (manager, target, 0, 0, IPC_ERROR_UNSAFE_PATH);
  content = file_test_load (target);
  g_assert_cmpuint (g_bytes_get_size (content), ==, SIZE);
  reader = ipc_mapped_file_manager_map_file (manager, target, 0, IPC_ACCESS_READ, NULL);
  file_test_assert_value (reader, 0, 3, SIZE);
}

static void
test_foreign_owner (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = NULL;
  g_autofree char *path = ipc_test_path (test, "x");

  if (!ipc_test_need_root ())
    return;
  manager = file_test_manager_new (test->directory);
  file_test_make (path, 3, SIZE);
  g_assert_no_errno (chown (path, 65534, 65534));
  assert_refused (manager, path, 0, 0, IPC_ERROR_UNSAFE_PATH);
  assert_refused (manager, path, 0, IPC_ACCESS_READ, IPC_ERROR_UNSAFE_PATH);
}

static void
test_relative (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *before = g_get_current_dir ();
  g_autofree char *path = ipc_test_path (test, "x");
  g_autoptr(IpcMappedFile) file = NULL;

  g_assert_no_errno (chdir (test->directory));
  file = file_test_map (manager, "./a/../x", SIZE);
  g_assert_no_errno (chdir (before));
  g_assert_cmpstr (ipc_mapped_file_get_path (file), ==, path);
  g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));
}

static void
test_full (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = NULL;
  g_autofree char *mount_point = ipc_test_path (test, "small");
  g_autofree char *path = ipc_test_path (test, "small/x");
  g_autofree char *sparse = ipc_test_path (test, "small/sparse");
  g_autoptr(GError) error = NULL;
  IpcMappedFile *file;

  if (!ipc_test_need_root ())
    return;
  g_assert_no_errno (mkdir (mount_point, 0700));
  if (mount ("none", mount_point, "tmpfs", 0, "size=128k") != 0)
    {
      g_test_skip ("cannot mount a tmpfs here");
      return;
    }
  manager = file_test_manager_new (test->directory);
  assert_refused (manager, path, 1024 * 1024, 0, IPC_ERROR_NO_SPACE);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  file_test_make (sparse, 0, 1);
  file_test_truncate (sparse, 1024 * 1024);
  assert_refused (manager, sparse, 0, 0, IPC_ERROR_NO_SPACE);
  g_assert_no_errno (unlink (sparse));
  file = file_test_map (manager, path, 16384);
  file_test_fails (ipc_mapped_file_resize (file, 1024 * 1024, &error), &error, IPC_ERROR_NO_SPACE);
  g_assert_cmpuint (ipc_mapped_file_get_size (file), ==, 16384);
  file_test_write_value (file, 0, 1, 16384);
  g_assert_true (ipc_mapped_file_unmap (file, &error));
  g_object_unref (file);
  umount2 (mount_point, MNT_DETACH);
}

/* ── The list ── */

static void
test_list (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *a = ipc_test_path (test, "a");
  g_autofree char *b = ipc_test_path (test, "b");
  g_autoptr(IpcMappedFile) second = file_test_map (manager, b, 2000);
  IpcMappedFile *first = file_test_map (manager, a, 1000);
  GListModel *items = ipc_manager_get_items (IPC_MANAGER (manager));
  g_autoptr(IpcMappedFile) item = g_list_model_get_item (items, 0);
  g_autoptr(GError) error = NULL;
  guint64 total_size, total_access_count;
  guint dirty_files;
  gdouble average;

  g_assert_true (item == first);
  g_clear_object (&item);
  g_assert_cmpuint (ipc_manager_get_n_items (IPC_MANAGER (manager)), ==, 2);
  file_test_write_value (first, 0, 1, 1);
  g_object_get (manager, "total-size", &total_size, "dirty-files", &dirty_files, "total-access-count", &total_access_count,
                "average-file-size", &average, NULL);
  g_assert_cmpuint (total_size, ==, 3000);
  g_assert_cmpuint (dirty_files, ==, 1);
  g_assert_cmpuint (total_access_count, ==, 1);
  g_assert_cmpfloat (average, ==, 1500);
  ipc_manager_set_max_items (IPC_MANAGER (manager), 2);
  file_test_fails (ipc_mapped_file_manager_map_file (manager, a, 0, 0, &error) != NULL, &error, IPC_ERROR_LIMIT_EXCEEDED);
  g_assert_true (ipc_mapped_file_unmap (first, &error));
  g_assert_cmpuint (g_list_model_get_n_items (items), ==, 1);
  /* The manager has kept it until then. */
  ipc_test_assert_finalized (first);
}

static gpointer
unmap_thread (gpointer file)
{
  g_assert_true (ipc_mapped_file_unmap (file, NULL));
  return NULL;
}

static void
test_unmap_in_thread (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autoptr(IpcMappedFile) file = file_test_map (manager, path, SIZE);

  g_thread_join (g_thread_new ("unmap", unmap_thread, file));
  ipc_test_wait_for (ipc_manager_get_n_items (IPC_MANAGER (manager)) == 0);
}

static void
test_settings (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  guint64 default_size, max_size;
  gint64 interval;
  gboolean auto_sync;

  g_object_set (manager, "default-file-size", (guint64) 5000, "max-file-size", (guint64) 4000, "auto-sync", TRUE, "sync-interval", (gint64) 7, NULL);
  g_object_get (manager, "default-file-size", &default_size, "max-file-size", &max_size, "auto-sync", &auto_sync, "sync-interval", &interval, NULL);
  g_assert_cmpuint (default_size, ==, 4000);
  g_assert_cmpuint (max_size, ==, 4000);
  g_assert_true (auto_sync);
  g_assert_cmpint (interval, ==, 7);
  ipc_mapped_file_manager_set_sync_interval (manager, -5);
  g_assert_cmpint (ipc_mapped_file_manager_get_sync_interval (manager), ==, 1);
  ipc_mapped_file_manager_set_default_file_size (manager, 0);
  g_assert_cmpuint (ipc_mapped_file_manager_get_default_file_size (manager), ==, 1);
}

/* ── Syncing ── */

static void
test_sync_all (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func (g_object_unref);

  for (int i = 0; i < 5; i++)
    {
      g_autofree char *name = g_strdup_printf ("x%d", i);
      g_autofree char *path = ipc_test_path (test, name);

      g_ptr_array_add (files, file_test_map (manager, path, SIZE));
      file_test_write_value (files->pdata[i], 0, 1, SIZE);
    }
  g_assert_cmpuint (ipc_mapped_file_manager_get_dirty_files (manager), ==, 5);
  ipc_mapped_file_manager_sync_all_async (manager, NULL, ipc_test_async_cb, &async);
  g_assert_true (ipc_mapped_file_manager_sync_all_finish (manager, ipc_test_async_wait (&async), &error));
  g_assert_cmpuint (ipc_mapped_file_manager_get_dirty_files (manager), ==, 0);
  file_test_write_value (files->pdata[2], 0, 1, SIZE);
  g_assert_true (ipc_mapped_file_manager_sync_all (manager, NULL, &error));
  g_assert_cmpuint (ipc_mapped_file_manager_get_dirty_files (manager), ==, 0);
}

static void
test_auto_sync (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autoptr(IpcMappedFile) file = file_test_map (manager, path, SIZE);

  ipc_mapped_file_manager_set_sync_interval (manager, 10);
  ipc_mapped_file_manager_set_auto_sync (manager, TRUE);
  for (int i = 0; i < 3; i++)
    {
      file_test_write_value (file, 0, 1, SIZE);
      ipc_test_wait_for (!ipc_mapped_file_get_is_dirty (file));
    }
  ipc_mapped_file_manager_set_auto_sync (manager, FALSE);
  ipc_test_settle ();
}

/* ── Cleaning up ── */

static void
test_cleanup (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autoptr(IpcMappedFile) file = file_test_map (manager, path, SIZE);
  g_autoptr(GError) error = NULL;

  file_test_write_value (file, 0, 1, SIZE);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), &error), ==, 0);
  g_assert_true (ipc_mapped_file_get_is_mapped (file));
  ipc_manager_set_idle_timeout (IPC_MANAGER (manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), &error), ==, 1);
  g_assert_false (ipc_mapped_file_get_is_mapped (file));
  g_assert_false (ipc_mapped_file_get_is_dirty (file));
  g_assert_cmpuint (ipc_manager_get_n_items (IPC_MANAGER (manager)), ==, 0);
  g_assert_true (g_file_test (path, G_FILE_TEST_IS_REGULAR));
}

static void
test_auto_cleanup (IpcTest *test)
{
  g_autoptr(IpcMappedFileManager) manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autoptr(IpcMappedFile) file = file_test_map (manager, path, SIZE);

  ipc_manager_set_idle_timeout (IPC_MANAGER (manager), 20);
  ipc_manager_set_cleanup_interval (IPC_MANAGER (manager), 10);
  ipc_manager_set_auto_cleanup (IPC_MANAGER (manager), TRUE);
  ipc_test_wait_for (!ipc_mapped_file_get_is_mapped (file));
}

/* It has nothing to do with who is still using a file. */
static void
test_outlived (IpcTest *test)
{
  IpcMappedFileManager *manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autoptr(IpcMappedFile) file = file_test_map (manager, path, SIZE);
  g_autoptr(GError) error = NULL;

  ipc_test_assert_finalized (manager);
  file_test_write_value (file, 0, 1, SIZE);
  file_test_assert_value (file, 0, 1, SIZE);
  g_assert_true (ipc_mapped_file_unmap (file, &error));
}

/* Nothing is left in the scope. */
static void
test_board_goes (IpcTest *test)
{
  IpcMappedFileManager *manager = file_test_manager_new (test->directory);
  g_autofree char *path = ipc_test_path (test, "x");
  g_autofree char *folder = ipc_test_path (test, "file");
  IpcMappedFile *file = file_test_map (manager, path, SIZE);
  g_autoptr(GDir) directory = NULL;
  const char *name;

  g_object_unref (manager);
  g_object_unref (file);
  directory = g_dir_open (folder, 0, NULL);
  while ((name = g_dir_read_name (directory)) != NULL)
    g_assert_true (name[0] == '.');
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/file/manager/sizes", test_sizes);
  ipc_test_add ("/file/manager/bad-sizes", test_bad_sizes);
  ipc_test_add ("/file/manager/foreign-files", test_foreign_files);
  ipc_test_add ("/file/manager/foreign-owner", test_foreign_owner);
  ipc_test_add ("/file/manager/relative", test_relative);
  ipc_test_add ("/file/manager/full", test_full);
  ipc_test_add ("/file/manager/list", test_list);
  ipc_test_add ("/file/manager/unmap-in-thread", test_unmap_in_thread);
  ipc_test_add ("/file/manager/settings", test_settings);
  ipc_test_add ("/file/manager/sync-all", test_sync_all);
  ipc_test_add ("/file/manager/auto-sync", test_auto_sync);
  ipc_test_add ("/file/manager/cleanup", test_cleanup);
  ipc_test_add ("/file/manager/auto-cleanup", test_auto_cleanup);
  ipc_test_add ("/file/manager/outlived", test_outlived);
  ipc_test_add ("/file/manager/board-goes", test_board_goes);
  return ipc_test_run ();
}
