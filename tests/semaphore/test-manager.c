/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Managers of semaphores: what may be made and opened, and what is said otherwise; the list; sums; cleaning up.
 */
#include "semaphore-test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ipc-attachment.h"
#include "core/ipc-shared-file.h"
#include "core/ipc-slots.h"

#define MAX_PERMITS 4096

static char *
path_of (IpcTest *test, const char *name)
{
  return g_build_filename (test->directory, "semaphore", name, NULL);
}

static void
assert_fails_to_create (IpcSemaphoreManager *manager, const char *name, guint permits, IpcError code, const char *text)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_semaphore_manager_create_semaphore (manager, name, permits, &error));
  g_assert_error (error, IPC_ERROR, (int) code);
  if (strstr (error->message, text) == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, text);
}

static void
assert_fails_to_open (IpcSemaphoreManager *manager, const char *name, IpcError code)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_semaphore_manager_open_semaphore (manager, name, &error));
  g_assert_error (error, IPC_ERROR, (int) code);
  g_clear_error (&error);
  g_assert_false (ipc_semaphore_manager_delete_semaphore (manager, name, &error));
  g_assert_error (error, IPC_ERROR, (int) code);
}

static guint
n_items (IpcSemaphoreManager *manager)
{
  return ipc_manager_get_n_items (IPC_MANAGER (manager));
}

/* (transfer full) */
static IpcSemaphore *
get_item (IpcSemaphoreManager *manager, guint position)
{
  return g_list_model_get_item (ipc_manager_get_items (IPC_MANAGER (manager)), position);
}

/* ── Making and opening ── */

static void
test_create_and_open (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) one = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphoreManager) two = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) made = semaphore_test_create (one, "x", 3);
  g_autoptr(IpcSemaphore) same = semaphore_test_open (one, "x");
  g_autoptr(IpcSemaphore) other = semaphore_test_open (two, "x");
  g_autoptr(IpcPermit) permit = semaphore_test_acquire (made);

  /* One object a manager, one semaphore for all. */
  g_assert_true (made == same);
  g_assert_true (made != other);
  g_assert_cmpuint (ipc_semaphore_get_total_permits (other), ==, 3);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (other), ==, 2);
  g_assert_cmpint (ipc_semaphore_get_created_at (made), ==, ipc_semaphore_get_created_at (other));
}

static void
test_permits (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) one = NULL;
  g_autoptr(IpcSemaphore) seven = NULL;
  g_autoptr(IpcSemaphore) all = semaphore_test_create (manager, "all", MAX_PERMITS);
  g_autoptr(GPtrArray) permits = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_permit_unref);

  g_assert_cmpuint (ipc_semaphore_manager_get_default_permits (manager), ==, 1);
  one = semaphore_test_create (manager, "one", 0);
  g_assert_cmpuint (ipc_semaphore_get_total_permits (one), ==, 1);
  ipc_semaphore_manager_set_default_permits (manager, 7);
  seven = semaphore_test_create (manager, "seven", 0);
  g_assert_cmpuint (ipc_semaphore_get_total_permits (seven), ==, 7);

  for (guint i = 0; i < MAX_PERMITS; i++)
    g_ptr_array_add (permits, semaphore_test_acquire (all));
  semaphore_test_assert_none (all);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (all), ==, 0);
}

static void
test_bad_arguments (IpcTest *test)
{
  const char *const names[] = { "", "a/b", "..", "/abs", ".x", "-x", "a\nb", "\xff", "a b" };
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) four = semaphore_test_create (manager, "four", 4);
  g_autofree char *longest = g_strnfill (64, 'n');
  g_autofree char *too_long = g_strnfill (65, 'n');
  g_autoptr(IpcSemaphore) named = semaphore_test_create (manager, longest, 1);

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      assert_fails_to_create (manager, names[i], 1, IPC_ERROR_INVALID_NAME, "");
      assert_fails_to_open (manager, names[i], IPC_ERROR_INVALID_NAME);
    }
  assert_fails_to_create (manager, NULL, 1, IPC_ERROR_INVALID_NAME, "");
  assert_fails_to_open (manager, NULL, IPC_ERROR_INVALID_NAME);
  assert_fails_to_create (manager, too_long, 1, IPC_ERROR_INVALID_NAME, "");
  assert_fails_to_create (manager, "many", MAX_PERMITS + 1, IPC_ERROR_LIMIT_EXCEEDED, "4097 permits, the limit is 4096");
  assert_fails_to_create (manager, "many", G_MAXUINT, IPC_ERROR_LIMIT_EXCEEDED, "the limit is 4096");
  assert_fails_to_open (manager, "many", IPC_ERROR_NOT_FOUND);
  assert_fails_to_create (manager, "four", 8, IPC_ERROR_MISMATCH, "\"four\" exists with 4 permits, asked 8");
  assert_fails_to_create (manager, "four", 4, IPC_ERROR_EXISTS, "\"four\" exists");
  assert_fails_to_create (manager, "four", 0, IPC_ERROR_EXISTS, "\"four\" exists");
  ipc_manager_set_max_items (IPC_MANAGER (manager), 2);
  assert_fails_to_create (manager, "third", 1, IPC_ERROR_LIMIT_EXCEEDED, "the limit (max-items) is 2");
  assert_fails_to_create (manager, "four", 8, IPC_ERROR_MISMATCH, "exists with 4");
  /* Nothing of it has left anything. */
  g_assert_cmpuint (ipc_semaphore_get_available_permits (four), ==, 4);
  g_assert_cmpuint (n_items (manager), ==, 2);
}

/* ── What is no semaphore ── */

static void
put (const char *path, const char *contents, gsize size, guint mode)
{
  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  g_assert_no_errno (fd);
  g_assert_cmpint (write (fd, contents, size), ==, (gssize) size);
  g_assert_no_errno (fchmod (fd, mode));
  close (fd);
}

/* A file of the library with such a geometry. */
static void
put_shared (IpcTest *test, const char *name, const IpcSharedInfo *info)
{
  g_autofree char *folder = ipc_test_path (test, "semaphore");
  int folder_fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  IpcFault fault = { 0 };
  IpcSharedFile file;

  g_assert_no_errno (folder_fd);
  if (!ipc_shared_file_create (folder_fd, name, info, NULL, NULL, &file, &fault))
    g_error ("%s", fault.message);
  ipc_shared_file_close (&file);
  close (folder_fd);
}

static void
assert_is_refused (IpcTest *test, IpcSemaphoreManager *manager, const char *name, IpcError code)
{
  g_autofree char *path = path_of (test, name);
  struct stat before, after;

  g_assert_no_errno (lstat (path, &before));
  assert_fails_to_open (manager, name, code);
  assert_fails_to_create (manager, name, 1, code, "");
  g_assert_no_errno (lstat (path, &after));
  g_assert_cmpuint (before.st_ino, ==, after.st_ino);
  g_assert_cmpint (before.st_size, ==, after.st_size);
}

static void
test_foreign_files (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) real = semaphore_test_create (manager, "real", 1);
  g_autofree char *text = path_of (test, "text");
  g_autofree char *empty = path_of (test, "empty");
  g_autofree char *folder = path_of (test, "folder");
  g_autofree char *fifo = path_of (test, "fifo");
  g_autofree char *symbolic = path_of (test, "symbolic");
  g_autofree char *open_to_all = path_of (test, "open-to-all");
  g_autofree char *zeros = g_malloc0 (8192);

  put (text, "hello", 5, 0600);
  put (empty, "", 0, 0600);
  put (open_to_all, zeros, 8192, 0666);
  g_assert_no_errno (mkdir (folder, 0700));
  g_assert_no_errno (mkfifo (fifo, 0600));
  g_assert_no_errno (symlink ("real", symbolic));
  assert_is_refused (test, manager, "text", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "empty", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "folder", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "fifo", IPC_ERROR_WRONG_TYPE);
  assert_is_refused (test, manager, "symbolic", IPC_ERROR_UNSAFE_PATH);
  assert_is_refused (test, manager, "open-to-all", IPC_ERROR_UNSAFE_PATH);
  /* Nor are they listed. */
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), NULL), ==, 0);
  g_assert_cmpuint (n_items (manager), ==, 1);
}

static void
test_bad_geometry (IpcTest *test)
{
  const guint64 good_size = IPC_SHARED_HEADER_SIZE + 64 + ipc_slots_get_size (4, IPC_SLOTS_MAX_WAITERS);
  const struct
  {
    const char *name;
    IpcSharedInfo info;
    IpcError code;
  } bad[] = {
    { "kind", { IPC_SHARED_KIND_MEMORY, 1, 8192, { 4, 4096 } }, IPC_ERROR_WRONG_TYPE },
    { "layout", { IPC_SHARED_KIND_SEMAPHORE, 2, good_size, { 4, 4096 } }, IPC_ERROR_VERSION },
    { "none", { IPC_SHARED_KIND_SEMAPHORE, 1, good_size, { 0, 4096 } }, IPC_ERROR_CORRUPT },
    { "many", { IPC_SHARED_KIND_SEMAPHORE, 1, good_size, { 4097, 4096 } }, IPC_ERROR_CORRUPT },
    { "huge", { IPC_SHARED_KIND_SEMAPHORE, 1, good_size, { G_MAXUINT64, G_MAXUINT64 } }, IPC_ERROR_CORRUPT },
    { "wraps", { IPC_SHARED_KIND_SEMAPHORE, 1, good_size, { 4 + ((guint64) 1 << 32), 4096 } }, IPC_ERROR_CORRUPT },
    { "no-waiters", { IPC_SHARED_KIND_SEMAPHORE, 1, good_size, { 4, 0 } }, IPC_ERROR_CORRUPT },
    { "short", { IPC_SHARED_KIND_SEMAPHORE, 1, good_size - 1, { 4, 4096 } }, IPC_ERROR_CORRUPT },
    { "long", { IPC_SHARED_KIND_SEMAPHORE, 1, good_size + 1, { 4, 4096 } }, IPC_ERROR_CORRUPT },
    { "header-only", { IPC_SHARED_KIND_SEMAPHORE, 1, IPC_SHARED_HEADER_SIZE, { 4, 4096 } }, IPC_ERROR_CORRUPT },
    { "large", { IPC_SHARED_KIND_SEMAPHORE, 1, 8 << 20, { 4, 4096 } }, IPC_ERROR_TOO_LARGE },
  };
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      put_shared (test, bad[i].name, &bad[i].info);
      assert_is_refused (test, manager, bad[i].name, bad[i].code);
    }
}

static gpointer
wait_in_thread (gpointer semaphore)
{
  GError *error = NULL;

  g_assert_null (ipc_semaphore_acquire (semaphore, -1, NULL, &error));
  return error;
}

/* Nobody dies of it, or is given what may be somebody else's. */
static void
test_truncated (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) semaphore = semaphore_test_create (manager, "x", 1);
  g_autoptr(IpcPermit) permit = semaphore_test_acquire (semaphore);
  GThread *thread = g_thread_new ("waits", wait_in_thread, semaphore);
  g_autofree char *path = path_of (test, "x");
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) error_of_thread = NULL;
  g_autoptr(GError) error_of_task = NULL;

  ipc_semaphore_acquire_async (semaphore, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (ipc_semaphore_get_waiters (semaphore) == 2);
  g_assert_no_errno (truncate (path, 0));
  g_assert_null (ipc_semaphore_try_acquire (semaphore, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
  g_assert_nonnull (strstr (error->message, "\"x\""));
  error_of_thread = g_thread_join (thread);
  g_assert_error (error_of_thread, IPC_ERROR, IPC_ERROR_CORRUPT);
  g_assert_null (ipc_semaphore_acquire_finish (semaphore, ipc_test_async_wait (&async), &error_of_task));
  g_assert_error (error_of_task, IPC_ERROR, IPC_ERROR_CORRUPT);
  g_assert_cmpuint (ipc_semaphore_get_total_permits (semaphore), ==, 1);
  ipc_permit_release (permit, NULL);
}

/* Owner ids mean nothing without the table that they are from. */
static void
test_lost_presence (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) semaphore = semaphore_test_create (manager, "x", 1);
  g_autoptr(IpcSemaphore) again = NULL;
  g_autoptr(IpcSemaphoreManager) other = NULL;
  g_autoptr(IpcPermit) permit = semaphore_test_acquire (semaphore);
  g_autoptr(GError) error = NULL;
  g_autofree char *path = path_of (test, ".presence");

  g_assert_no_errno (unlink (path));
  other = semaphore_test_manager_new (test->directory);
  g_assert_null (ipc_semaphore_manager_open_semaphore (other, "x", &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
  g_assert_nonnull (strstr (error->message, ".presence"));
  /* It is listed, and nobody is taken for dead. */
  g_assert_cmpuint (n_items (other), ==, 1);
  g_assert_cmpuint (ipc_semaphore_manager_get_available_permits (other), ==, 0);
  g_clear_error (&error);
  g_assert_true (ipc_semaphore_manager_delete_semaphore (other, "x", &error));
  again = semaphore_test_create (other, "x", 1);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (again), ==, 1);
}

/* ── The list ── */

static void
test_list (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) one = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphoreManager) two = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) made = semaphore_test_create (one, "b", 3);
  g_autoptr(IpcSemaphore) a = semaphore_test_create (one, "a", 1);
  g_autoptr(IpcSemaphore) item = NULL;
  IpcPermit *permit;

  g_assert_cmpuint (n_items (one), ==, 2);
  ipc_test_wait_for (n_items (two) == 2);
  item = get_item (two, 1);
  g_assert_cmpstr (ipc_semaphore_get_name (item), ==, "b");
  permit = semaphore_test_acquire (made);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (item), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_acquired_count (item), ==, 1);
  semaphore_test_release (permit);
  /* It may be used, too. */
  permit = semaphore_test_acquire (item);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (made), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (item), ==, 2);
  semaphore_test_release (permit);
  g_assert_true (ipc_semaphore_manager_delete_semaphore (two, "b", NULL));
  g_assert_cmpuint (n_items (two), ==, 1);
  ipc_test_wait_for (n_items (one) == 1);
}

/* An item that was only observed, and is deleted, or another one by now. */
static void
test_stale_item (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(GError) error = NULL;
  IpcSemaphore *made = semaphore_test_create (manager, "x", 1);
  g_autoptr(IpcSemaphore) item = get_item (manager, 0);
  g_autoptr(IpcSemaphore) successor = NULL;

  g_object_unref (made);
  g_assert_true (ipc_semaphore_manager_delete_semaphore (manager, "x", NULL));
  g_assert_true (ipc_semaphore_get_is_deleted (item));
  g_assert_null (ipc_semaphore_try_acquire (item, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
  g_clear_error (&error);
  successor = semaphore_test_create (manager, "x", 1);
  g_assert_null (ipc_semaphore_acquire (item, -1, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (successor), ==, 1);
}

static void
count (guint *n)
{
  (*n)++;
}

static void
test_deleted_by_another (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) one = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphoreManager) two = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) semaphore = semaphore_test_create (one, "x", 1);
  guint n_deleted = 0;

  g_signal_connect_swapped (semaphore, "deleted", G_CALLBACK (count), &n_deleted);
  g_assert_true (ipc_semaphore_manager_delete_semaphore (two, "x", NULL));
  ipc_test_wait_for (n_deleted == 1);
}

/* ── Sums ── */

static void
test_sums (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) a = NULL;
  g_autoptr(IpcSemaphore) b = NULL;
  g_autoptr(IpcPermit) permit = NULL;
  guint total, available, waiters, n_notified = 0;
  gdouble utilization;

  g_assert_cmpfloat (ipc_semaphore_manager_get_utilization (manager), ==, 0);
  a = semaphore_test_create (manager, "a", 3);
  b = semaphore_test_create (manager, "b", 5);
  g_object_get (manager, "total-permits", &total, "available-permits", &available, "total-waiters", &waiters,
                "utilization", &utilization, NULL);
  g_assert_cmpuint (total, ==, 8);
  g_assert_cmpuint (available, ==, 8);
  g_assert_cmpuint (waiters, ==, 0);
  g_assert_cmpfloat (utilization, ==, 0);
  g_signal_connect_swapped (manager, "notify::utilization", G_CALLBACK (count), &n_notified);
  permit = semaphore_test_acquire (b);
  ipc_test_wait_for (n_notified > 0);
  g_assert_cmpfloat (ipc_semaphore_manager_get_utilization (manager), ==, 0.125);
  g_assert_cmpuint (ipc_semaphore_manager_get_total_permits (manager), ==, 8);
  g_assert_cmpuint (ipc_semaphore_manager_get_available_permits (manager), ==, 7);
  g_assert_cmpuint (ipc_semaphore_manager_get_total_waiters (manager), ==, 0);
}

static void
test_settings (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  guint n_permits = 0, n_timeout = 0, permits;
  gint timeout;

  g_signal_connect_swapped (manager, "notify::default-permits", G_CALLBACK (count), &n_permits);
  g_signal_connect_swapped (manager, "notify::default-timeout", G_CALLBACK (count), &n_timeout);
  g_assert_cmpint (ipc_semaphore_manager_get_default_timeout (manager), ==, 30000);
  g_object_set (manager, "default-permits", 3, "default-timeout", -1, NULL);
  g_object_get (manager, "default-permits", &permits, "default-timeout", &timeout, NULL);
  g_assert_cmpuint (permits, ==, 3);
  g_assert_cmpint (timeout, ==, -1);
  ipc_semaphore_manager_set_default_permits (manager, 3);
  ipc_semaphore_manager_set_default_timeout (manager, -1);
  g_assert_cmpuint (n_permits, ==, 1);
  g_assert_cmpuint (n_timeout, ==, 1);
  ipc_semaphore_manager_set_default_permits (manager, 0);
  g_assert_cmpuint (ipc_semaphore_manager_get_default_permits (manager), ==, 1);
  ipc_semaphore_manager_set_default_permits (manager, G_MAXUINT);
  g_assert_cmpuint (ipc_semaphore_manager_get_default_permits (manager), ==, MAX_PERMITS);
  ipc_semaphore_manager_set_default_timeout (manager, -5);
  g_assert_cmpint (ipc_semaphore_manager_get_default_timeout (manager), ==, -1);
}

/* ── Cleaning up ── */

static void
test_cleanup (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  IpcSemaphore *left = semaphore_test_create (manager, "left", 1);
  g_autoptr(IpcSemaphore) attached = semaphore_test_create (manager, "attached", 1);
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;

  g_object_unref (semaphore_test_create (manager, "elsewhere", 1));
  peer = semaphore_test_spawn (test->directory, "elsewhere");
  g_object_unref (left);
  /* Too early. */
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), &error), ==, 0);
  ipc_manager_set_idle_timeout (IPC_MANAGER (manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), &error), ==, 1);
  g_assert_no_error (error);
  assert_fails_to_open (manager, "left", IPC_ERROR_NOT_FOUND);
  g_assert_cmpuint (n_items (manager), ==, 2);
  ipc_test_peer_kill (peer);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (manager), &error), ==, 1);
  g_assert_no_error (error);
  g_assert_false (ipc_semaphore_get_is_deleted (attached));
  g_assert_cmpuint (n_items (manager), ==, 1);
}

/* Whatever is looked at by a manager may be cleaned up by it; whoever acquires from the list is attached. */
static void
test_cleanup_of_item (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphoreManager) cleaner = NULL;
  g_autoptr(IpcSemaphore) item = NULL;

  g_object_unref (semaphore_test_create (manager, "x", 1));
  item = get_item (manager, 0);
  ipc_permit_unref (semaphore_test_acquire (item));
  cleaner = semaphore_test_manager_new (test->directory);
  ipc_manager_set_idle_timeout (IPC_MANAGER (cleaner), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (cleaner), NULL), ==, 0);
  g_assert_false (ipc_semaphore_get_is_deleted (item));
}

/* Others make and open it while one cleans up all the time: whoever has got one has one that is there. */
typedef struct
{
  const char *directory;
  gint stop; /* (atomic) */
} Cleaner;

static gpointer
clean_thread (gpointer data)
{
  Cleaner *self = data;
  g_autoptr(GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  {
    g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (self->directory);

    ipc_manager_set_idle_timeout (IPC_MANAGER (manager), 0);
    while (!g_atomic_int_get (&self->stop))
      ipc_manager_cleanup (IPC_MANAGER (manager), NULL);
  }
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_cleanup_races_attach (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  Cleaner cleaner = { test->directory, FALSE };
  GThread *thread = g_thread_new ("clean", clean_thread, &cleaner);
  guint n_opened = 0, n_missing = 0;

  for (guint i = 0; i < 300; i++)
    {
      g_autoptr(IpcSemaphore) made = NULL;
      g_autoptr(IpcSemaphore) opened = NULL;
      g_autoptr(GError) error = NULL;

      made = semaphore_test_create (manager, "x", 1);
      g_assert_false (ipc_semaphore_get_is_deleted (made));
      g_clear_object (&made);
      opened = ipc_semaphore_manager_open_semaphore (manager, "x", &error);
      if (opened != NULL)
        {
          g_assert_false (ipc_semaphore_get_is_deleted (opened));
          g_assert_true (ipc_semaphore_manager_delete_semaphore (manager, "x", &error));
          g_assert_no_error (error);
          n_opened++;
        }
      else
        {
          g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
          n_missing++;
        }
    }
  g_atomic_int_set (&cleaner.stop, TRUE);
  g_thread_join (thread);
  g_test_message ("%u opened, %u cleaned up before", n_opened, n_missing);
}

/* A file that the cleaner has to itself is waited for. */
static gpointer
let_go_thread (gpointer data)
{
  IpcAttachment *all = data;

  /* It may also be over before anybody waits. */
  g_usleep (20000);
  ipc_attachment_drop (all);
  return NULL;
}

static void
test_attach_waits_for_cleaner (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(IpcSemaphore) semaphore = NULL;
  g_autofree char *path = path_of (test, "x");
  IpcAttachment all = IPC_ATTACHMENT_INIT;
  GThread *thread;
  int fd;

  g_object_unref (semaphore_test_create (manager, "x", 1));
  fd = open (path, O_RDWR | O_CLOEXEC);
  g_assert_true (ipc_attachment_take_all (&all, fd, NULL));
  thread = g_thread_new ("let-go", let_go_thread, &all);
  semaphore = semaphore_test_open (manager, "x");
  g_thread_join (thread);
  close (fd);
}

static void
test_attach_gives_up (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  g_autoptr(GError) error = NULL;
  g_autofree char *path = path_of (test, "x");
  IpcAttachment all = IPC_ATTACHMENT_INIT;
  int fd;

  g_object_unref (semaphore_test_create (manager, "x", 1));
  fd = open (path, O_RDWR | O_CLOEXEC);
  g_assert_true (ipc_attachment_take_all (&all, fd, NULL));
  g_assert_null (ipc_semaphore_manager_open_semaphore (manager, "x", &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  ipc_attachment_drop (&all);
  g_object_unref (semaphore_test_open (manager, "x"));
  close (fd);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { SEMAPHORE_TEST_ROLE, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/semaphore/manager/create-and-open", test_create_and_open);
  ipc_test_add ("/semaphore/manager/permits", test_permits);
  ipc_test_add ("/semaphore/manager/bad-arguments", test_bad_arguments);
  ipc_test_add ("/semaphore/manager/foreign-files", test_foreign_files);
  ipc_test_add ("/semaphore/manager/bad-geometry", test_bad_geometry);
  ipc_test_add ("/semaphore/manager/lost-presence", test_lost_presence);
  ipc_test_add ("/semaphore/manager/truncated", test_truncated);
  ipc_test_add ("/semaphore/manager/list", test_list);
  ipc_test_add ("/semaphore/manager/stale-item", test_stale_item);
  ipc_test_add ("/semaphore/manager/deleted-by-another", test_deleted_by_another);
  ipc_test_add ("/semaphore/manager/sums", test_sums);
  ipc_test_add ("/semaphore/manager/settings", test_settings);
  ipc_test_add ("/semaphore/manager/cleanup/unused", test_cleanup);
  ipc_test_add ("/semaphore/manager/cleanup/item", test_cleanup_of_item);
  ipc_test_add ("/semaphore/manager/cleanup/races-attach", test_cleanup_races_attach);
  ipc_test_add ("/semaphore/manager/cleanup/is-waited-for", test_attach_waits_for_cleaner);
  ipc_test_add ("/semaphore/manager/cleanup/hangs", test_attach_gives_up);
  return ipc_test_run ();
}
