/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has a path: what a server finds there, what it makes there, what it leaves, and who wins.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "socket-test.h"

#define OTHER_UID 65534
#define BASENAME_MAX 200
#define LOCK_NAME "." SOCKET_NAME ".lock"

/* ── Helpers ── */

static GError *
fail_start (const char *address)
{
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (address));
  GError *error = NULL;

  g_assert_false (ipc_server_start (server, &error));
  g_assert_nonnull (error);
  g_assert_false (ipc_server_get_is_running (server));
  return error;
}

static void
expect_start_fails (const char *address, IpcError code, const char *text)
{
  g_autoptr (GError) error = fail_start (address);

  assert_ipc_error (error, code, text);
}

static void
expect_open_fails (const char *address, IpcError code)
{
  g_autoptr (GError) error = client_fail_open_at (address);

  assert_ipc_error (error, code, NULL);
}

static struct stat
look (const char *path)
{
  struct stat status;

  g_assert_no_errno (lstat (path, &status));
  return status;
}

static void
assert_is_socket (const char *path, guint mode)
{
  struct stat status = look (path);

  g_assert_true (S_ISSOCK (status.st_mode));
  g_assert_cmpuint (status.st_mode & 07777, ==, mode);
}

static void
assert_missing (const char *path)
{
  struct stat status;

  g_assert_cmpint (lstat (path, &status), ==, -1);
  g_assert_cmpint (errno, ==, ENOENT);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* What is in a directory, sorted, with a space between. */
static char *
list_directory (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) directory = g_dir_open (path, 0, &error);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  g_assert_no_error (error);
  while ((name = g_dir_read_name (directory)) != NULL)
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return g_strjoinv (" ", (char **) names->pdata);
}

static void
assert_contents (const char *directory, const char *expected)
{
  g_autofree char *found = list_directory (directory);

  g_assert_cmpstr (found, ==, expected);
}

/* A server that works, tried once. */
static void
check_service (Service *service)
{
  g_autoptr (IpcClient) client = client_open (ipc_server_get_address (service->server));

  client_check (client);
}

static void
check_address_works (const char *address)
{
  g_autoptr (Service) service = service_start_at (address);

  check_service (service);
}

/* ── A server in another process ── */

static int
play_server (char **arguments)
{
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (arguments[0]));
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL;

  if (!ipc_server_start (server, &error))
    ipc_test_tell ("%s %d", g_quark_to_string (error->domain), error->code);
  else
    ipc_test_tell ("up");
  line = ipc_test_hear ();
  return 0;
}

static IpcTestPeer *
spawn_server (const char *path)
{
  IpcTestPeer *peer = ipc_test_peer_spawn ("server", (const char *[]) { path, NULL });

  ipc_test_peer_expect (peer, "up");
  return peer;
}

static void
test_stale (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = spawn_server (path);
  struct stat before = look (path);

  ipc_test_peer_kill (peer);
  g_assert_true (S_ISSOCK (look (path).st_mode));
  assert_contents (test->directory, LOCK_NAME " " SOCKET_NAME);
  expect_open_fails (path, IPC_ERROR_NO_SERVER);

  g_autoptr (Service) service = service_start_at (path);

  g_assert_true (before.st_ino != look (path).st_ino || before.st_ctim.tv_nsec != look (path).st_ctim.tv_nsec);
  check_service (service);
}

/* Again and again, at once, without a moment's wait. */
static void
test_killed_and_restarted (IpcTest *test)
{
  g_autofree char *path = socket_path (test);

  for (guint i = 0; i < 10; i++)
    {
      g_autoptr (IpcTestPeer) peer = spawn_server (path);
      gint64 killed = g_get_monotonic_time ();

      ipc_test_peer_kill (peer);
      check_address_works (path);
      g_assert_cmpint (g_get_monotonic_time () - killed, <, G_USEC_PER_SEC);
      assert_contents (test->directory, LOCK_NAME);
    }
}

static void
test_owned_by_another_process (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = spawn_server (path);
  g_autofree char *owner = g_strdup_printf ("owned by process %d (", ipc_test_peer_get_pid (peer));
  struct stat before = look (path);
  g_autoptr (Raw) client = NULL;

  for (guint i = 0; i < 20; i++)
    expect_start_fails (path, IPC_ERROR_ADDRESS_IN_USE, owner);
  expect_start_fails (path, IPC_ERROR_ADDRESS_IN_USE, "(peer)");
  g_assert_cmpuint (look (path).st_ino, ==, before.st_ino);
  client = raw_connect (path);
}

static void
test_owned_by_ourselves (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autofree char *program = g_path_get_basename (g_get_prgname ());
  g_autofree char *owner = g_strdup_printf ("owned by process %d (%s)", (int) getpid (), program);

  expect_start_fails (path, IPC_ERROR_ADDRESS_IN_USE, owner);
  check_service (service);
}

static void
test_start_twice (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autoptr (GError) error = NULL;

  g_assert_false (ipc_server_start (service->server, &error));
  assert_ipc_error (error, IPC_ERROR_ALREADY, "runs already");
  g_assert_true (ipc_server_get_is_running (service->server));
  check_service (service);
}

static void
test_start_again (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 5; i++)
    {
      check_service (service);
      ipc_server_stop (service->server);
      g_assert_false (ipc_server_get_is_running (service->server));
      assert_contents (test->directory, LOCK_NAME);
      expect_open_fails (path, IPC_ERROR_NO_SERVER);
      ipc_server_start (service->server, &error);
      g_assert_no_error (error);
    }
  check_service (service);
}

/* A program that knows nothing of the lock listens there: it is alive, and keeps its socket. */
static void
test_live_without_lock (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int fd = raw_listen (path);
  struct stat before = look (path);
  g_autoptr (Raw) first = NULL;
  g_autoptr (Raw) client = NULL;

  expect_start_fails (path, IPC_ERROR_ADDRESS_IN_USE, SOCKET_NAME);
  g_assert_cmpuint (look (path).st_ino, ==, before.st_ino);
  client = raw_connect (path);
  /* how it was found out that somebody listens */
  first = raw_accept (fd);
  close (fd);
  check_address_works (path);
}

/* ── Something else at the path ── */

static void
make_regular (const char *path)
{
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, "not yours", -1, &error);
  g_assert_no_error (error);
}

static void
make_directory (const char *path)
{
  g_autofree char *inside = g_build_filename (path, "inside", NULL);

  g_assert_no_errno (mkdir (path, 0755));
  make_regular (inside);
}

static void
make_fifo (const char *path)
{
  g_assert_no_errno (mkfifo (path, 0600));
}

static void
make_link (const char *path)
{
  g_autofree char *target = g_strconcat (path, "-target", NULL);

  make_regular (target);
  g_assert_no_errno (symlink (target, path));
}

static void
make_dangling_link (const char *path)
{
  g_autofree char *target = g_strconcat (path, "-target", NULL);

  g_assert_no_errno (symlink (target, path));
}

/* The one that pays: whoever followed it would replace the socket of somebody else. */
static void
make_link_to_socket (const char *path)
{
  g_autofree char *target = g_strconcat (path, "-target", NULL);

  raw_leave_stale (target);
  g_assert_no_errno (symlink (target, path));
}

static const struct Obstacle
{
  const char *name;
  void (*make) (const char *path);
  IpcError code;
  const char *text;
} obstacles[] = {
  { "regular-file", make_regular, IPC_ERROR_WRONG_TYPE, "a regular file, expected a socket" },
  { "directory", make_directory, IPC_ERROR_WRONG_TYPE, "a directory, expected a socket" },
  { "fifo", make_fifo, IPC_ERROR_WRONG_TYPE, "a named pipe, expected a socket" },
  { "link", make_link, IPC_ERROR_UNSAFE_PATH, "a symbolic link" },
  { "dangling-link", make_dangling_link, IPC_ERROR_UNSAFE_PATH, "a symbolic link" },
  { "link-to-socket", make_link_to_socket, IPC_ERROR_UNSAFE_PATH, "a symbolic link" },
};

/* Type, number, mode, owner, size and times; and what it says. */
static char *
describe (const char *path)
{
  struct stat status;
  g_autofree char *content = NULL;

  if (lstat (path, &status) != 0)
    return g_strdup ("missing");
  if (S_ISREG (status.st_mode))
    g_file_get_contents (path, &content, NULL, NULL);
  else if (S_ISLNK (status.st_mode))
    content = g_file_read_link (path, NULL);
  else if (S_ISDIR (status.st_mode))
    content = list_directory (path);
  return g_strdup_printf ("%o %lu %u %lu %ld.%09ld %s", status.st_mode, (gulong) status.st_ino, status.st_uid,
                          (gulong) status.st_size, (glong) status.st_ctim.tv_sec, (glong) status.st_ctim.tv_nsec,
                          content);
}

static void
assert_unchanged (const char *path, const char *before)
{
  g_autofree char *now = describe (path);

  g_assert_cmpstr (now, ==, before);
}

static void
test_obstacle (IpcTest *test)
{
  const struct Obstacle *obstacle = test->data;
  g_autofree char *path = socket_path (test);
  g_autofree char *target = g_strconcat (path, "-target", NULL);
  g_autofree char *before = NULL;
  g_autofree char *target_before = NULL;

  obstacle->make (path);
  before = describe (path);
  target_before = describe (target);
  expect_start_fails (path, obstacle->code, obstacle->text);
  expect_start_fails (path, obstacle->code, SOCKET_NAME);
  expect_open_fails (path, obstacle->code);
  assert_unchanged (path, before);
  assert_unchanged (target, target_before);
  ipc_test_remove_tree (path);
  check_address_works (path);
}

static void
test_foreign_socket (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autofree char *before = NULL;

  if (!ipc_test_need_root ())
    return;
  raw_leave_stale (path);
  g_assert_no_errno (lchown (path, OTHER_UID, OTHER_UID));
  before = describe (path);
  expect_start_fails (path, IPC_ERROR_UNSAFE_PATH, "owner 65534, expected 0");
  assert_unchanged (path, before);
}

/* The lock is as much of a target as the socket. */
static void
test_obstacle_at_lock (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autofree char *lock = ipc_test_path (test, LOCK_NAME);

  for (guint i = 0; i < G_N_ELEMENTS (obstacles); i++)
    {
      const struct Obstacle *obstacle = &obstacles[i];
      g_autofree char *target = g_strconcat (lock, "-target", NULL);
      g_autofree char *before = NULL;
      g_autofree char *target_before = NULL;

      if (obstacle->make == make_regular)
        continue;
      obstacle->make (lock);
      before = describe (lock);
      target_before = describe (target);
      expect_start_fails (path, obstacle->code, LOCK_NAME);
      assert_unchanged (lock, before);
      assert_unchanged (target, target_before);
      assert_missing (path);
      ipc_test_remove_tree (lock);
      ipc_test_remove_tree (target);
    }
  check_address_works (path);
}

/* ── The way to the path ── */

static void
test_linked_parent (IpcTest *test)
{
  g_autofree char *real = ipc_test_path (test, "real");
  g_autofree char *link = ipc_test_path (test, "link");
  g_autofree char *path = g_build_filename (link, SOCKET_NAME, NULL);
  g_autofree char *deep = g_build_filename (real, "deep", NULL);
  g_autofree char *deep_path = g_build_filename (link, "deep", SOCKET_NAME, NULL);
  g_autofree char *complaint = g_strconcat (link, " is a symbolic link", NULL);

  g_assert_no_errno (mkdir (real, 0700));
  g_assert_no_errno (mkdir (deep, 0700));
  g_assert_no_errno (symlink (real, link));
  expect_start_fails (path, IPC_ERROR_UNSAFE_PATH, complaint);
  expect_start_fails (deep_path, IPC_ERROR_UNSAFE_PATH, complaint);
  assert_contents (real, "deep");
  assert_contents (deep, "");
}

static void
test_parent (IpcTest *test)
{
  g_autofree char *parent = ipc_test_path (test, "parent");
  g_autofree char *path = g_build_filename (parent, SOCKET_NAME, NULL);
  g_autofree char *deep = g_build_filename (parent, "deep", NULL);
  g_autofree char *deep_path = g_build_filename (deep, SOCKET_NAME, NULL);

  g_assert_no_errno (mkdir (parent, 0700));
  g_assert_no_errno (mkdir (deep, 0700));
  g_assert_no_errno (chmod (parent, 0777));
  expect_start_fails (path, IPC_ERROR_UNSAFE_PATH, "parent: mode 0777 lets everybody write");
  expect_start_fails (deep_path, IPC_ERROR_UNSAFE_PATH, "parent: mode 0777 lets everybody write");
  g_assert_no_errno (chmod (parent, 0702));
  expect_start_fails (path, IPC_ERROR_UNSAFE_PATH, "mode 0702");
  assert_contents (parent, "deep");
  g_assert_no_errno (chmod (parent, 01777));
  check_address_works (path);
  g_assert_no_errno (chmod (parent, 0755));
  check_address_works (deep_path);
}

static void
test_parent_of_another_user (IpcTest *test)
{
  g_autofree char *parent = ipc_test_path (test, "parent");
  g_autofree char *path = g_build_filename (parent, SOCKET_NAME, NULL);
  g_autofree char *deep = g_build_filename (parent, "deep", NULL);
  g_autofree char *deep_path = g_build_filename (deep, SOCKET_NAME, NULL);

  if (!ipc_test_need_root ())
    return;
  g_assert_no_errno (mkdir (parent, 0700));
  g_assert_no_errno (mkdir (deep, 0700));
  g_assert_no_errno (chown (parent, OTHER_UID, OTHER_UID));
  expect_start_fails (path, IPC_ERROR_UNSAFE_PATH, "parent: owner 65534, expected 0");
  expect_start_fails (deep_path, IPC_ERROR_UNSAFE_PATH, "parent: owner 65534, expected 0");
  assert_contents (parent, "deep");
}

static void
test_no_parent (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "none/" SOCKET_NAME);
  g_autofree char *regular = ipc_test_path (test, "file");
  g_autofree char *below = g_build_filename (regular, SOCKET_NAME, NULL);
  g_autoptr (GError) error = fail_start (path);

  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
  assert_text (error->message, "/none");
  make_regular (regular);
  expect_start_fails (below, IPC_ERROR_WRONG_TYPE, "a regular file, expected a directory");
  expect_open_fails (path, IPC_ERROR_NO_SERVER);
  expect_open_fails (below, IPC_ERROR_NO_SERVER);
  assert_contents (test->directory, "file");
}

/* ── Modes ── */

static void
test_mode (IpcTest *test)
{
  const guint good[] = { 0600, 0660, 0666, 0777, 0000, 0200 };
  const guint bad[] = { 07777, 01000, (guint) -1, 0100600 };
  g_autofree char *path = socket_path (test);

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (IpcServer) server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", path, "mode", bad[i], NULL);
      g_autoptr (GError) error = NULL;
      g_autofree char *shown = g_strdup_printf ("mode %#o, allowed are 0 to 0777", bad[i]);

      g_assert_false (ipc_server_start (server, &error));
      assert_ipc_error (error, IPC_ERROR_INVALID_ARGUMENT, shown);
      assert_contents (test->directory, "");
    }
  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_autoptr (Service) service = service_new (path);

      ipc_server_set_mode (service->server, good[i]);
      g_assert_true (ipc_server_start (service->server, NULL));
      assert_is_socket (path, good[i]);
    }
}

static void
check_modes_in_scope (const char *directory)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcScope) scope = ipc_scope_new_for_directory (directory, &error);
  g_autoptr (IpcServer) server = NULL;
  g_autofree char *folder = g_build_filename (directory, "socket", NULL);
  g_autofree char *socket = g_build_filename (folder, "name", NULL);
  g_autofree char *lock = g_build_filename (folder, ".name.lock", NULL);

  g_assert_no_error (error);
  server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", "name", "scope", scope, NULL);
  ipc_server_start (server, &error);
  g_assert_no_error (error);
  assert_is_socket (socket, 0600);
  g_assert_cmpuint (look (lock).st_mode & 07777, ==, 0600);
  g_assert_cmpuint (look (folder).st_mode & 07777, ==, 0700);
  g_assert_cmpuint (look (directory).st_mode & 07777, ==, 0700);
}

static void
test_umask (IpcTest *test)
{
  const mode_t masks[] = { 0000, 0077, 0022, 0027 };
  g_autofree char *path = socket_path (test);

  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    {
      g_autofree char *directory = g_strdup_printf ("%s/scope-%u", test->directory, i);
      mode_t before = umask (masks[i]);
      g_autoptr (Service) service = service_start_at (path);

      check_modes_in_scope (directory);
      umask (before);
      assert_is_socket (path, 0600);
      check_service (service);
    }
}

/* ── Long paths ── */

static void
check_long_path (const char *directory, gsize size)
{
  g_autofree char *basename = g_strnfill (size, 'b');
  g_autofree char *path = g_build_filename (directory, basename, NULL);
  g_autofree char *lock = g_strconcat (".", basename, ".lock", NULL);
  g_autofree char *both = g_strconcat (lock, " ", basename, NULL);
  g_autofree char *lock_path = g_build_filename (directory, lock, NULL);

  {
    g_autoptr (Service) service = service_start_at (path);

    assert_is_socket (path, 0600);
    assert_contents (directory, both);
    check_service (service);
    expect_start_fails (path, IPC_ERROR_ADDRESS_IN_USE, "owned by process");
  }
  assert_contents (directory, lock);
  g_assert_no_errno (unlink (lock_path));
}

static void
test_long_paths (IpcTest *test)
{
  gsize prefix = strlen (test->directory) + 1;

  for (gsize size = 104; size <= 200; size++)
    check_long_path (test->directory, size - prefix);
  check_long_path (test->directory, BASENAME_MAX);
}

static void
test_long_directory (IpcTest *test)
{
  g_autoptr (GString) directory = g_string_new (test->directory);

  while (directory->len < 3000)
    {
      g_autofree char *component = g_strnfill (180, 'd');

      g_string_append_printf (directory, "/%s", component);
      g_assert_no_errno (mkdir (directory->str, 0700));
    }
  check_long_path (directory->str, 1);
  check_long_path (directory->str, BASENAME_MAX);
}

/* ── The end ── */

static void
test_stop (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);

  client_check (client);
  ipc_server_stop (service->server);
  assert_contents (test->directory, LOCK_NAME);
  ipc_server_stop (service->server);
  expect_open_fails (path, IPC_ERROR_NO_SERVER);
  ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED);
}

static void
test_last_reference (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  IpcServer *server = IPC_SERVER (ipc_socket_server_new (path));

  g_assert_true (ipc_server_start (server, NULL));
  ipc_test_assert_finalized (server);
  assert_contents (test->directory, LOCK_NAME);
}

static void
replace_with_link (const char *path)
{
  g_assert_no_errno (symlink ("nowhere", path));
}

static void
test_stop_leaves_what_is_not_ours (IpcTest *test)
{
  void (*const makers[]) (const char *) = {
    make_regular, make_fifo, raw_leave_stale, replace_with_link, make_directory
  };
  g_autofree char *path = socket_path (test);

  for (guint i = 0; i < G_N_ELEMENTS (makers); i++)
    {
      g_autoptr (Service) service = service_start_at (path);
      g_autofree char *before = NULL;

      g_assert_no_errno (unlink (path));
      makers[i] (path);
      before = describe (path);
      ipc_server_stop (service->server);
      assert_unchanged (path, before);
      ipc_test_remove_tree (path);
    }
}

/* Renamed, it is still ours, but not where it was: there is nothing to remove. */
static void
test_stop_after_rename (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autofree char *elsewhere = ipc_test_path (test, "elsewhere");

  g_assert_no_errno (rename (path, elsewhere));
  ipc_server_stop (service->server);
  assert_is_socket (elsewhere, 0600);
  assert_missing (path);
}

/* ── Whole paths in messages ── */

static void
test_messages (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autofree char *lock = ipc_test_path (test, LOCK_NAME);
  g_autofree char *owned = g_strconcat (path, " is owned by process", NULL);
  g_autofree char *missing = g_strconcat ("socket ", path, ": there is none", NULL);
  g_autofree char *gone = g_strconcat ("socket ", path, ": nobody listens", NULL);
  g_autofree char *odd = ipc_test_path (test, "tab\t");
  g_autoptr (GError) error = client_fail_open_at (path);

  assert_ipc_error (error, IPC_ERROR_NO_SERVER, missing);
  raw_leave_stale (path);
  g_clear_error (&error);
  error = client_fail_open_at (path);
  assert_ipc_error (error, IPC_ERROR_NO_SERVER, gone);
  {
    g_autoptr (Service) service = service_start_at (path);

    expect_start_fails (path, IPC_ERROR_ADDRESS_IN_USE, owned);
  }
  g_clear_error (&error);
  error = client_fail_open_at (odd);
  assert_ipc_error (error, IPC_ERROR_NO_SERVER, "/tab\\x09: there is none");
  g_assert_no_errno (unlink (lock));
  make_fifo (path);
  expect_start_fails (path, IPC_ERROR_WRONG_TYPE, path);
}

static void
test_message_of_name (IpcTest *test)
{
  g_autofree char *directory = ipc_test_path (test, "scope");
  g_autoptr (IpcScope) scope = ipc_scope_new_for_directory (directory, NULL);
  g_autofree char *path = g_build_filename (directory, "socket", "name", NULL);
  g_autoptr (IpcServer) server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", "name", "scope", scope, NULL);
  g_autoptr (IpcServer) second = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", "name", "scope", scope, NULL);
  g_autoptr (IpcClient) client = g_object_new (IPC_TYPE_SOCKET_CLIENT, "address", "name", "scope", scope, NULL);
  g_autoptr (GError) error = client_fail_open (client);

  assert_ipc_error (error, IPC_ERROR_NO_SERVER, path);
  g_assert_true (ipc_server_start (server, NULL));
  g_clear_error (&error);
  g_assert_false (ipc_server_start (second, &error));
  assert_ipc_error (error, IPC_ERROR_ADDRESS_IN_USE, path);
}

/* ── The default scope ── */

/* Where there can be none, and nobody needs one. */
static int
play_homeless (char **arguments)
{
  g_autoptr (Service) service = NULL;
  g_autoptr (IpcClient) client = NULL;

  g_setenv ("IPC_GLIB_DIR", arguments[0], TRUE);
  service = service_start_at (arguments[1]);
  client = client_open (arguments[1]);
  client_check (client);
  g_assert_null (ipc_server_get_scope (service->server));
  g_assert_null (ipc_client_get_scope (client));
  ipc_test_tell ("served");
  g_free (ipc_test_hear ());
  return 0;
}

static void
test_no_scope (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autofree char *scope = ipc_test_path (test, "scope");
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("homeless", (const char *[]) { scope, path, NULL });

  ipc_test_peer_expect (peer, "served");
  assert_missing (scope);
}

/* ── The path is lost ── */

static void
count_lost (IpcServer *server, guint *n)
{
  (*n)++;
}

static void
replace_by_rename (const char *path)
{
  g_autofree char *other = g_strconcat (path, "-other", NULL);

  make_regular (other);
  g_assert_no_errno (rename (other, path));
}

static void
rename_away (const char *path)
{
  g_autofree char *other = g_strconcat (path, "-other", NULL);

  g_assert_no_errno (rename (path, other));
}

static void
remove_path (const char *path)
{
  g_assert_no_errno (unlink (path));
}

static void
replace_at_once (const char *path)
{
  g_assert_no_errno (unlink (path));
  raw_leave_stale (path);
}

static void
remove_with_directory (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);

  ipc_test_remove_tree (directory);
  g_assert_no_errno (mkdir (directory, 0700));
}

static void
rename_directory (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  g_autofree char *other = g_strconcat (directory, "-other", NULL);

  g_assert_no_errno (rename (directory, other));
  g_assert_no_errno (mkdir (directory, 0700));
}

static void (*const losses[]) (const char *) = {
  remove_path, rename_away, replace_by_rename, replace_at_once, remove_with_directory, rename_directory
};

static void
test_lost (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (losses); i++)
    {
      g_autofree char *name = g_strdup_printf ("directory-%u", i);
      g_autofree char *directory = ipc_test_path (test, name);
      g_autofree char *path = g_build_filename (directory, SOCKET_NAME, NULL);
      g_autofree char *beside = g_build_filename (directory, "beside", NULL);
      g_autoptr (Service) service = NULL;
      g_autoptr (IpcClient) bystander = NULL;
      g_autoptr (GError) error = NULL;
      guint n_lost = 0;

      g_assert_no_errno (mkdir (directory, 0700));
      service = service_start_at (path);
      bystander = client_open (path);
      g_signal_connect (service->server, "path-lost", G_CALLBACK (count_lost), &n_lost);
      /* what happens beside it is not its business */
      make_regular (beside);
      g_assert_no_errno (unlink (beside));
      client_check (bystander);
      ipc_test_settle ();
      g_assert_cmpuint (n_lost, ==, 0);

      losses[i] (path);
      ipc_test_wait_for (n_lost == 1);
      client_check (bystander);
      g_assert_true (ipc_server_get_is_running (service->server));
      ipc_test_remove_tree (path);
      ipc_test_settle ();
      g_assert_cmpuint (n_lost, ==, 1);

      ipc_server_stop (service->server);
      ipc_server_start (service->server, &error);
      g_assert_no_error (error);
      check_service (service);
      remove_path (path);
      ipc_test_wait_for (n_lost == 2);
    }
}

static void
restart (IpcServer *server, guint *n)
{
  g_autoptr (GError) error = NULL;

  (*n)++;
  ipc_server_stop (server);
  ipc_server_start (server, &error);
  g_assert_no_error (error);
}

static void
drop (IpcServer *server, IpcServer **held)
{
  g_clear_object (held);
}

/* From within the signal: started again at once, or dropped. */
static void
test_lost_and_restarted (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  IpcServer *server = IPC_SERVER (ipc_socket_server_new (path));
  guint n_lost = 0;
  gulong handler;

  g_assert_true (ipc_server_start (server, NULL));
  handler = g_signal_connect (server, "path-lost", G_CALLBACK (restart), &n_lost);
  for (guint i = 1; i <= 5; i++)
    {
      g_autoptr (Raw) raw = NULL;

      remove_path (path);
      ipc_test_wait_for (n_lost == i);
      raw = raw_connect (path);
    }
  g_signal_handler_disconnect (server, handler);
  g_signal_connect (server, "path-lost", G_CALLBACK (drop), &server);
  remove_path (path);
  ipc_test_wait_for (server == NULL);
  assert_contents (test->directory, LOCK_NAME);
}

static void
test_not_lost_by_stop (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  guint n_lost = 0;

  g_signal_connect (service->server, "path-lost", G_CALLBACK (count_lost), &n_lost);
  for (guint i = 0; i < 3; i++)
    {
      ipc_server_stop (service->server);
      ipc_test_settle ();
      g_assert_true (ipc_server_start (service->server, NULL));
      ipc_test_settle ();
    }
  g_assert_cmpuint (n_lost, ==, 0);
}

/* ── What is left of a start ── */

static void
leave_temporary (IpcTest *test, const char *name)
{
  g_autofree char *path = ipc_test_path (test, name);

  raw_leave_stale (path);
}

static void
test_sweep (IpcTest *test)
{
  const char *kept[] = { ".s.tmp.0123abc", ".s.tmp.0123abcde", ".s.tmp.0123abcg", ".t.tmp.0123abcd", ".s.tmp.x.tmp.0123abcd" };
  g_autofree char *regular = ipc_test_path (test, ".s.tmp.00000001");
  g_autofree char *live = ipc_test_path (test, ".s.tmp.00000002");
  int live_fd = raw_listen (live);
  g_autoptr (Raw) probe = NULL;
  g_autofree char *contents = NULL;

  leave_temporary (test, ".s.tmp.0123abcd");
  leave_temporary (test, ".s.tmp.ffffffff");
  for (guint i = 0; i < G_N_ELEMENTS (kept); i++)
    leave_temporary (test, kept[i]);
  make_regular (regular);
  {
    g_autoptr (Service) service = service_start (test);

    check_service (service);
  }
  contents = list_directory (test->directory);
  g_assert_cmpstr (contents, ==, ".s.lock .s.tmp.00000001 .s.tmp.00000002 .s.tmp.0123abc .s.tmp.0123abcde .s.tmp.0123abcg "
                                 ".s.tmp.x.tmp.0123abcd .t.tmp.0123abcd");
  probe = raw_accept (live_fd);
  close (live_fd);
}

/* Names that differ only at their end have temporary names of their own. */
static void
test_sweep_long (IpcTest *test)
{
  g_autofree char *fill = g_strnfill (BASENAME_MAX - 1, 'b');
  g_autofree char *one = g_strconcat (fill, "1", NULL);
  g_autofree char *other = g_strconcat (fill, "2", NULL);
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, one, -1);
  g_autofree char *temporary = g_strdup_printf (".%.40s~%.16s.tmp.0123abcd", one, sum);
  g_autofree char *left = ipc_test_path (test, temporary);
  g_autofree char *one_path = ipc_test_path (test, one);
  g_autofree char *other_path = ipc_test_path (test, other);

  raw_leave_stale (left);
  check_address_works (other_path);
  g_assert_true (S_ISSOCK (look (left).st_mode));
  check_address_works (one_path);
  assert_missing (left);
}

static const IpcTestRole roles[] = {
  { "homeless", play_homeless },
  { "server", play_server },
  { NULL, NULL },
};

static void
add_obstacles (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (obstacles); i++)
    {
      g_autofree char *path = g_strconcat ("/socket/path/obstacle/", obstacles[i].name, NULL);

      ipc_test_add_data (path, &obstacles[i], test_obstacle);
    }
  ipc_test_add ("/socket/path/obstacle/foreign-socket", test_foreign_socket);
  ipc_test_add ("/socket/path/obstacle/at-lock", test_obstacle_at_lock);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/path/stale", test_stale);
  ipc_test_add ("/socket/path/killed-and-restarted", test_killed_and_restarted);
  ipc_test_add ("/socket/path/owned/by-another-process", test_owned_by_another_process);
  ipc_test_add ("/socket/path/owned/by-ourselves", test_owned_by_ourselves);
  ipc_test_add ("/socket/path/owned/live-without-lock", test_live_without_lock);
  ipc_test_add ("/socket/path/start-twice", test_start_twice);
  ipc_test_add ("/socket/path/start-again", test_start_again);
  add_obstacles ();
  ipc_test_add ("/socket/path/parent/linked", test_linked_parent);
  ipc_test_add ("/socket/path/parent/mode", test_parent);
  ipc_test_add ("/socket/path/parent/owner", test_parent_of_another_user);
  ipc_test_add ("/socket/path/parent/missing", test_no_parent);
  ipc_test_add ("/socket/path/mode", test_mode);
  ipc_test_add ("/socket/path/umask", test_umask);
  ipc_test_add ("/socket/path/long/basename", test_long_paths);
  ipc_test_add ("/socket/path/long/directory", test_long_directory);
  ipc_test_add ("/socket/path/stop", test_stop);
  ipc_test_add ("/socket/path/last-reference", test_last_reference);
  ipc_test_add ("/socket/path/stop-leaves-what-is-not-ours", test_stop_leaves_what_is_not_ours);
  ipc_test_add ("/socket/path/stop-after-rename", test_stop_after_rename);
  ipc_test_add ("/socket/path/messages", test_messages);
  ipc_test_add ("/socket/path/message-of-name", test_message_of_name);
  ipc_test_add ("/socket/path/no-scope", test_no_scope);
  ipc_test_add ("/socket/path/lost", test_lost);
  ipc_test_add ("/socket/path/lost-and-restarted", test_lost_and_restarted);
  ipc_test_add ("/socket/path/not-lost-by-stop", test_not_lost_by_stop);
  ipc_test_add ("/socket/path/sweep", test_sweep);
  ipc_test_add ("/socket/path/sweep-long", test_sweep_long);
  return ipc_test_run ();
}
