/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pipe of a server as a file: bad names, what is at the path already, who owns it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pipe-test.h"

static void
fail_start (const char *address, IpcError code)
{
  g_autoptr(IpcPipeServer) server = ipc_pipe_server_new (address);
  g_autoptr(GError) error = NULL;

  g_assert_false (ipc_server_start (IPC_SERVER (server), &error));
  g_assert_error (error, IPC_ERROR, (int) code);
  g_assert_false (ipc_server_get_is_running (IPC_SERVER (server)));
}

static void
test_bad_names (IpcTest *test)
{
  g_autofree char *long_name = g_strnfill (65, 'n');
  const char *names[] = { "", "a/b", "..", ".hidden", "-dash", "new\nline", "\377", long_name, "pipe:name" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autoptr(IpcPipeClient) client = ipc_pipe_client_new (names[i]);
      g_autoptr(GError) error = client_try_open (IPC_CLIENT (client));

      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME);
      fail_start (names[i], IPC_ERROR_INVALID_NAME);
    }
  fail_start ("/tmp/", IPC_ERROR_INVALID_ARGUMENT);
}

static void
test_wrong_type (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  g_autofree char *target = ipc_test_path (test, "target");
  g_autofree char *contents = NULL;
  g_autoptr(IpcPipeClient) client = ipc_pipe_client_new (path);
  g_autoptr(GError) error = NULL, link_error = NULL;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd;

  g_assert_true (g_file_set_contents (path, "mine", -1, NULL));
  fail_start (path, IPC_ERROR_WRONG_TYPE);
  error = client_try_open (IPC_CLIENT (client));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE);
  g_assert_true (g_file_get_contents (path, &contents, NULL, NULL));
  g_assert_cmpstr (contents, ==, "mine");
  g_assert_no_errno (unlink (path));

  g_assert_no_errno (mkdir (path, 0700));
  fail_start (path, IPC_ERROR_WRONG_TYPE);
  g_assert_no_errno (rmdir (path));

  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  fail_start (path, IPC_ERROR_WRONG_TYPE);
  close (fd);
  g_assert_no_errno (unlink (path));

  g_assert_no_errno (mkfifo (target, 0600));
  g_assert_no_errno (symlink (target, path));
  fail_start (path, IPC_ERROR_UNSAFE_PATH);
  link_error = client_try_open (IPC_CLIENT (client));
  g_assert_error (link_error, IPC_ERROR, IPC_ERROR_UNSAFE_PATH);
  g_assert_true (g_file_test (target, G_FILE_TEST_EXISTS));
}

static void
test_foreign_directories (IpcTest *test)
{
  g_autofree char *open_directory = ipc_test_path (test, "open");
  g_autofree char *path = g_build_filename (open_directory, "pipe", NULL);
  g_autofree char *linked = ipc_test_path (test, "linked");
  g_autofree char *through = g_build_filename (linked, "pipe", NULL);

  g_assert_no_errno (mkdir (open_directory, 0700));
  g_assert_no_errno (symlink (open_directory, linked));
  fail_start (through, IPC_ERROR_UNSAFE_PATH);
  g_assert_no_errno (chmod (open_directory, 0777));
  fail_start (path, IPC_ERROR_UNSAFE_PATH);
  if (!ipc_test_need_root ())
    return;
  g_assert_no_errno (chmod (open_directory, 0700));
  g_assert_no_errno (chown (open_directory, 65534, 65534));
  fail_start (path, IPC_ERROR_UNSAFE_PATH);
}

static void
test_foreign_pipe (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");

  if (!ipc_test_need_root ())
    return;
  g_assert_no_errno (mkfifo (path, 0600));
  g_assert_no_errno (chown (path, 65534, 65534));
  fail_start (path, IPC_ERROR_UNSAFE_PATH);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
test_bad_mode (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  g_autoptr(IpcPipeServer) server = ipc_pipe_server_new (path);
  g_autoptr(GError) error = NULL;

  ipc_server_set_mode (IPC_SERVER (server), 07777);
  g_assert_false (ipc_server_start (IPC_SERVER (server), &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

static guint
mode_of (const char *path)
{
  struct stat status;

  g_assert_no_errno (lstat (path, &status));
  g_assert_true (S_ISFIFO (status.st_mode));
  return status.st_mode & 07777;
}

static void
test_mode (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };

  listener_init (&listener, test);
  g_assert_cmpuint (mode_of (listener.path), ==, 0600);
  ipc_server_stop (listener.server);
  ipc_server_set_mode (listener.server, 0622);
  g_assert_true (ipc_server_start (listener.server, NULL));
  g_assert_cmpuint (mode_of (listener.path), ==, 0622);
  ipc_server_stop (listener.server);
  /* One that is taken over has the mode of the server that takes it. */
  ipc_server_set_mode (listener.server, 0600);
  g_assert_no_errno (mkfifo (listener.path, 0666));
  g_assert_true (ipc_server_start (listener.server, NULL));
  g_assert_cmpuint (mode_of (listener.path), ==, 0600);
}

static void
test_two_servers (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };

  listener_init (&listener, test);
  fail_start (listener.path, IPC_ERROR_ADDRESS_IN_USE);
  write_and_leave (listener.path, "still mine\n");
  listener_expect (&listener, "line=still mine ");
}

static void
test_other_reader (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  int fd;

  g_assert_no_errno (mkfifo (path, 0600));
  fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  fail_start (path, IPC_ERROR_ADDRESS_IN_USE);
  close (fd);
}

/* A shell that waits for somebody to read goes on when the server is there again. */
static void
test_blocked_writer (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *command = NULL;
  g_autoptr(IpcTestPeer) shell = NULL;

  listener_make (&listener, test);
  g_assert_no_errno (mkfifo (listener.path, 0600));
  command = g_strdup_printf ("echo started; echo patience > '%s'", listener.path);
  shell = ipc_test_peer_spawn_program ((const char *[]){ "sh", "-c", command, NULL });
  ipc_test_peer_expect (shell, "started");
  g_assert_true (ipc_server_start (listener.server, NULL));
  listener_expect (&listener, "line=patience ");
  g_assert_cmpint (ipc_test_peer_wait (shell), ==, 0);
}

static void
count_lost (IpcServer *server, gpointer n)
{
  (*(guint *) n)++;
}

static void
test_path_lost (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  guint n_lost = 0;
  int fd;

  listener_init (&listener, test);
  g_signal_connect (listener.server, "path-lost", G_CALLBACK (count_lost), &n_lost);
  fd = writer_open (listener.path);
  g_assert_no_errno (unlink (listener.path));
  ipc_test_wait_for (n_lost == 1);
  writer_write (fd, "still heard\n");
  listener_expect (&listener, "line=still heard ");
  close (fd);
  g_assert_true (g_file_set_contents (listener.path, "not ours", -1, NULL));
  ipc_server_stop (listener.server);
  g_assert_true (g_file_test (listener.path, G_FILE_TEST_EXISTS));
}

static void
test_temporaries (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *left = ipc_test_path (test, ".pipe.tmp.01234567");
  g_autofree char *file = ipc_test_path (test, ".pipe.tmp.89abcdef");

  g_assert_no_errno (mkfifo (left, 0600));
  g_assert_true (g_file_set_contents (file, "not ours", -1, NULL));
  listener_init (&listener, test);
  g_assert_false (g_file_test (left, G_FILE_TEST_EXISTS));
  g_assert_true (g_file_test (file, G_FILE_TEST_EXISTS));
}

static void
test_scope (IpcTest *test)
{
  g_autoptr(IpcPipeServer) server = ipc_pipe_server_new ("control");
  g_autofree char *path = NULL;
  g_autoptr(GError) error = NULL;
  IpcClient *client;

  ipc_server_start (IPC_SERVER (server), &error);
  g_assert_no_error (error);
  path = g_build_filename (ipc_scope_get_directory (ipc_server_get_scope (IPC_SERVER (server))), "pipe", "control", NULL);
  g_assert_cmpuint (mode_of (path), ==, 0600);
  client = client_open ("control");
  client_close (client);
  ipc_server_stop (IPC_SERVER (server));
  ipc_test_settle ();
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/pipe/path/bad-names", test_bad_names);
  ipc_test_add ("/pipe/path/wrong-type", test_wrong_type);
  ipc_test_add ("/pipe/path/foreign-directories", test_foreign_directories);
  ipc_test_add ("/pipe/path/foreign-pipe", test_foreign_pipe);
  ipc_test_add ("/pipe/path/bad-mode", test_bad_mode);
  ipc_test_add ("/pipe/path/mode", test_mode);
  ipc_test_add ("/pipe/path/two-servers", test_two_servers);
  ipc_test_add ("/pipe/path/other-reader", test_other_reader);
  ipc_test_add ("/pipe/path/blocked-writer", test_blocked_writer);
  ipc_test_add ("/pipe/path/path-lost", test_path_lost);
  ipc_test_add ("/pipe/path/temporaries", test_temporaries);
  ipc_test_add ("/pipe/path/scope", test_scope);
  return ipc_test_run ();
}
