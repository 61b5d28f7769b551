/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets that nobody made a file for: those that a process was given by its service manager or by number, and
 * abstract names. The service manager is played by a process that makes the sockets and becomes the server.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket-test.h"

#define FIRST_FD 3
#define OTHER_UID 12345

/* ── Starting, and failing to ── */

static IpcAuthorization
grant (IpcServer *server, IpcConnection *connection, gpointer data)
{
  return IPC_AUTHORIZATION_GRANTED;
}

static void
expect_start_fails (IpcServer *server, IpcError code, const char *text)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (ipc_server_start (server, &error));
  assert_ipc_error (error, code, text);
  g_assert_false (ipc_server_get_is_running (server));
}

static void
expect_address_fails (const char *address, IpcError code, const char *text)
{
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (address));

  expect_start_fails (server, code, text);
}

static char *
fd_address (int fd)
{
  return g_strdup_printf ("fd:%d", fd);
}

static void
check_served (const char *address)
{
  g_autoptr (IpcClient) client = client_open (address);

  client_check (client);
}

/* ── By number ── */

static void
test_fd (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int fd = raw_listen (path);
  g_autofree char *address = fd_address (fd);
  struct stat before, after;

  g_assert_no_errno (fcntl (fd, F_SETFD, 0));
  g_assert_no_errno (fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) & ~O_NONBLOCK));
  g_assert_no_errno (lstat (path, &before));
  {
    g_autoptr (Service) service = service_start_at (address);
    g_autoptr (IpcClient) bystander = client_open (path);

    g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
    check_served (path);
    /* what was given is still there for another start */
    for (guint i = 0; i < 3; i++)
      {
        g_autoptr (GError) error = NULL;

        ipc_server_stop (service->server);
        g_assert_no_errno (lstat (path, &after));
        ipc_server_start (service->server, &error);
        g_assert_no_error (error);
        check_served (path);
      }
    /* nobody else of this process gets it meanwhile */
    expect_address_fails (address, IPC_ERROR_ADDRESS_IN_USE, "another server of this process has the socket");
    check_served (path);
    ipc_test_wait_for (ipc_client_get_state (bystander) == IPC_CLIENT_STATE_CLOSED);
  }
  /* neither removed nor locked nor changed: it is not ours */
  g_assert_no_errno (lstat (path, &after));
  g_assert_cmpuint (before.st_ino, ==, after.st_ino);
  g_assert_cmpuint (before.st_mode, ==, after.st_mode);
  {
    g_autofree char *lock = ipc_test_path (test, "." SOCKET_NAME ".lock");

    g_assert_false (g_file_test (lock, G_FILE_TEST_EXISTS));
  }
  close (fd);
}

/* Who asks and who answers are of one context: that is seen through the path that the socket is bound to. */
static void
test_fd_same_context (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int fd = raw_listen (path);
  g_autofree char *address = fd_address (fd);
  g_autoptr (Service) service = service_start_at (address);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "");
  g_autoptr (GError) error = NULL;

  g_assert_null (ipc_client_request (client, request, IPC_TIMEOUT_DEFAULT, NULL, &error));
  g_assert_nonnull (error);
  g_assert_false (g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT));
  client_check (client);
  close (fd);
}

static void
expect_fd_fails (int fd, IpcError code, const char *text)
{
  g_autofree char *address = fd_address (fd);

  g_assert_no_errno (fd);
  expect_address_fails (address, code, text);
  close (fd);
}

static void
test_fd_bad (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int pair[2];
  int fd;

  expect_address_fails ("fd:100000", IPC_ERROR_NOT_FOUND, "descriptor 100000 is not open");
  expect_fd_fails (open ("/dev/null", O_RDONLY | O_CLOEXEC), IPC_ERROR_WRONG_TYPE, "is not a socket");
  expect_fd_fails (socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), IPC_ERROR_WRONG_TYPE, "is not a Unix socket");
  expect_fd_fails (socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), IPC_ERROR_WRONG_TYPE, "is not a stream socket");
  expect_fd_fails (socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), IPC_ERROR_WRONG_TYPE, "is not a stream socket");
  expect_fd_fails (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), IPC_ERROR_WRONG_TYPE, "does not listen");
  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
  expect_fd_fails (pair[0], IPC_ERROR_WRONG_TYPE, "does not listen");
  close (pair[1]);
  /* there is no file of ours that these could be of */
  fd = raw_listen (path);
  {
    g_autofree char *address = fd_address (fd);
    g_autoptr (IpcServer) wide = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", address, "mode", 0666, NULL);
    g_autoptr (IpcServer) grouped = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", address, "group", "root", NULL);
    g_autoptr (GError) error = client_fail_open_at (address);

    expect_start_fails (wide, IPC_ERROR_INVALID_ARGUMENT, "no file of ours");
    expect_start_fails (grouped, IPC_ERROR_INVALID_ARGUMENT, "no file of ours");
    assert_ipc_error (error, IPC_ERROR_UNSUPPORTED, "it is for servers");
  }
  close (fd);
}

static void
do_nothing (IpcServer *server, gpointer n)
{
  (*(guint *) n)++;
}

/* Whoever shares it shuts it down: it would be readable for ever. */
static void
test_fd_shut_down (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int fd = raw_listen (path);
  g_autofree char *address = fd_address (fd);
  g_autoptr (Service) service = service_start_at (address);
  g_autoptr (IpcClient) bystander = client_open (path);
  guint n_overloaded = 0;
  guint n_turns = 0;
  gint64 end;

  g_signal_connect (service->server, "overloaded", G_CALLBACK (do_nothing), &n_overloaded);
  client_check (bystander);
  g_assert_no_errno (shutdown (fd, SHUT_RDWR));
  client_check (bystander);
  ipc_test_settle ();
  /* at 10, 20, 40, 80 and 160 ms */
  end = g_get_monotonic_time () + 300000;
  while (g_get_monotonic_time () < end)
    {
      g_autoptr (GSource) timer = g_timeout_source_new (100);

      g_source_set_dummy_callback (timer);
      g_source_attach (timer, NULL);
      g_main_context_iteration (NULL, TRUE);
      g_source_destroy (timer);
      n_turns++;
    }
  g_assert_cmpuint (n_turns, <, 50);
  g_assert_cmpuint (n_overloaded, ==, 0);
  client_check (bystander);
  close (fd);
}

/* ── By the name that the service manager gave ── */

/* With $IPC_TEST_USER as that user, which the unit of a service may say. By descriptor: he may not be able to walk to
 * the program. */
static G_NORETURN void
become_server (const char *name)
{
  const char *user = g_getenv ("IPC_TEST_USER");
  int program = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  char *const argv[] = { (char *) "peer", (char *) "--ipc-test-peer=activated", (char *) name, NULL };

  g_assert_no_errno (program);
  if (user != NULL)
    {
      g_assert_no_errno (setgid ((gid_t) atoi (user)));
      g_assert_no_errno (setuid ((uid_t) atoi (user)));
    }
  fexecve (program, argv, environ);
  _exit (1);
}

/* ENVIRONMENT NAMES [FILE-OR-PATH]... SERVE: makes the descriptors from 3 on, and becomes the server at systemd:SERVE.
 * ENVIRONMENT is LISTEN_FDS and LISTEN_PID, separated by a comma; an empty one is not set, `+` is what is right. */
static int
play_manager (char **arguments)
{
  guint n = g_strv_length (arguments) - 3;
  g_auto (GStrv) set = g_strsplit (arguments[0], ",", 2);
  g_autofree char *count = g_strdup_printf ("%u", n);
  g_autofree char *pid = g_strdup_printf ("%d", (int) getpid ());

  for (guint i = 0; i < n; i++)
    {
      const char *what = arguments[2 + i];
      int fd = g_str_equal (what, "/dev/null") ? open (what, O_RDONLY) : raw_listen (what);

      g_assert_cmpint (fd, >=, 0);
      if (fd != FIRST_FD + (int) i)
        {
          g_assert_no_errno (dup2 (fd, FIRST_FD + (int) i));
          close (fd);
        }
      g_assert_no_errno (fcntl (FIRST_FD + (int) i, F_SETFD, 0));
    }
  if (*set[0] != '\0')
    g_setenv ("LISTEN_FDS", *set[0] == '+' ? count : set[0], TRUE);
  if (*set[1] != '\0')
    g_setenv ("LISTEN_PID", *set[1] == '+' ? pid : set[1], TRUE);
  if (!g_str_equal (arguments[1], "none"))
    g_setenv ("LISTEN_FDNAMES", arguments[1], TRUE);
  become_server (arguments[2 + n]);
}

static gboolean
stdin_is_over (int fd, GIOCondition condition, gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

/* NAME */
static int
play_activated (char **arguments)
{
  g_autofree char *address = g_strconcat ("systemd:", arguments[0], NULL);
  g_autoptr (Service) service = service_new (address);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;

  g_signal_connect (service->server, "authorize-client", G_CALLBACK (grant), NULL);
  if (!ipc_server_start (service->server, &error))
    {
      ipc_test_tell ("%d %s", error->code, error->message);
      return 0;
    }
  /* none of them goes to a program that is run from here */
  for (int fd = FIRST_FD; fd < FIRST_FD + atoi (g_getenv ("LISTEN_FDS")); fd++)
    g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  ipc_test_tell ("up");
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, stdin_is_over, loop);
  g_main_loop_run (loop);
  return 0;
}

/* Connected before the server is there, as it is with activation: who connects has it started. */
static void
test_systemd (IpcTest *test)
{
  g_autofree char *one = ipc_test_path (test, "one");
  g_autofree char *two = ipc_test_path (test, "two");
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autoptr (IpcTestPeer) other = NULL;

  peer = ipc_test_peer_spawn ("manager", (const char *[]) { "+,+", "first:second.socket", one, two, "second.socket", NULL });
  ipc_test_peer_expect (peer, "up");
  check_served (two);
  check_served (two);
  {
    /* nobody serves that one; it waits */
    g_autoptr (Raw) raw = raw_connect (one);

    raw_send_hello (raw);
    check_served (two);
    g_assert_cmpuint (raw->in->len, ==, 0);
  }
  ipc_test_peer_close_stdin (peer);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  g_assert_true (g_file_test (two, G_FILE_TEST_EXISTS));
  g_assert_no_errno (g_unlink (one));
  g_assert_no_errno (g_unlink (two));
  other = ipc_test_peer_spawn ("manager", (const char *[]) { "+,+", "none", one, "unknown", NULL });
  ipc_test_peer_expect (other, "up");
  check_served (one);
}

/* Who listened first is who clients see, whoever serves now. */
static void
test_systemd_of_another_user (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (GError) error = NULL;

  if (!ipc_test_need_root ())
    return;
  g_setenv ("IPC_TEST_USER", G_STRINGIFY (OTHER_UID), TRUE);
  peer = ipc_test_peer_spawn ("manager", (const char *[]) { "+,+", "x", path, "x", NULL });
  g_unsetenv ("IPC_TEST_USER");
  ipc_test_peer_expect (peer, "up");
  check_served (path);
  ipc_client_set_server_uid (client, OTHER_UID);
  error = client_fail_open (client);
  assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, "the server has uid 0, expected 12345");
}

typedef struct
{
  const char *environment, *names;
  const char *first, *second; /* (nullable) */
  IpcError code;
  const char *text;
} BadGift;

static const BadGift bad_gifts[] = {
  { ",", "none", NULL, NULL, IPC_ERROR_NOT_FOUND, "given no sockets: $LISTEN_PID is not set" },
  { ",+", "none", NULL, NULL, IPC_ERROR_NOT_FOUND, "$LISTEN_FDS is not set" },
  { "+,1", "x", "s", NULL, IPC_ERROR_NOT_FOUND, "they were for process 1, this is" },
  { "+,x", "x", "s", NULL, IPC_ERROR_INVALID_DATA, "$LISTEN_PID is \"x\"" },
  { "-1,+", "x", "s", NULL, IPC_ERROR_INVALID_DATA, "$LISTEN_FDS is \"-1\"" },
  { "99999999,+", "x", "s", NULL, IPC_ERROR_INVALID_DATA, "$LISTEN_FDS is \"99999999\"" },
  { "2,+", "x:y", "s", "/dev/null", IPC_ERROR_WRONG_TYPE, "descriptor 4 is not a socket" },
  { "9999,+", "none", "s", NULL, IPC_ERROR_NOT_FOUND,
    "no socket of that name was given to this process, but: unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown, ..." },
  { "+,+", "x:y", "s", NULL, IPC_ERROR_INVALID_DATA, "$LISTEN_FDNAMES has 2 names, for 1 sockets" },
  { "+,+", "a:b", "s", "t", IPC_ERROR_NOT_FOUND, "no socket of that name was given to this process, but: a, b" },
  { "+,+", "a\n\033:b", "s", "t", IPC_ERROR_NOT_FOUND, "but: a\\n\\033, b" },
  { "0,+", "none", NULL, NULL, IPC_ERROR_NOT_FOUND, "but: none" },
  { "+,+", "y:y", "s", "t", IPC_ERROR_INVALID_ARGUMENT, "2 sockets have that name, the first is fd:3" },
  { "+,+", "y", "/dev/null", NULL, IPC_ERROR_WRONG_TYPE, "descriptor 3 is not a socket" },
};

static char *
place (IpcTest *test, const char *name)
{
  return name[0] == '/' ? g_strdup (name) : ipc_test_path (test, name);
}

static void
test_systemd_bad (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (bad_gifts); i++)
    {
      const BadGift *bad = &bad_gifts[i];
      const char *arguments[8] = { bad->environment, bad->names };
      g_autofree char *first = bad->first != NULL ? place (test, bad->first) : NULL;
      g_autofree char *second = bad->second != NULL ? place (test, bad->second) : NULL;
      g_autofree char *code = g_strdup_printf ("%d systemd:y: ", bad->code);
      g_autoptr (IpcTestPeer) peer = NULL;
      g_autofree char *line = NULL;
      guint n = 2;

      if (first != NULL)
        arguments[n++] = first;
      if (second != NULL)
        arguments[n++] = second;
      arguments[n++] = "y";
      peer = ipc_test_peer_spawn ("manager", arguments);
      line = ipc_test_peer_read_line (peer);
      assert_text (line, bad->text);
      g_assert_true (g_str_has_prefix (line, code));
      if (first != NULL && first[0] == '/' && !g_str_equal (first, "/dev/null"))
        g_unlink (first);
      if (second != NULL && !g_str_equal (second, "/dev/null"))
        g_unlink (second);
    }
}

/* ── Abstract names ── */

static char *
abstract_address (void)
{
  g_autofree char *uuid = g_uuid_string_random ();

  return g_strconcat ("abstract:ipc-glib-test/", uuid, NULL);
}

static Service *
start_abstract (const char *address)
{
  Service *service = service_new (address);
  g_autoptr (GError) error = NULL;

  g_signal_connect (service->server, "authorize-client", G_CALLBACK (grant), NULL);
  ipc_server_start (service->server, &error);
  g_assert_no_error (error);
  return service;
}

static void
test_abstract (IpcTest *test)
{
  g_autofree char *address = abstract_address ();
  g_autofree char *owner = g_strdup_printf ("is owned by process %d of user %u", (int) getpid (), (guint) geteuid ());

  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (Service) service = start_abstract (address);
      g_autoptr (IpcClient) bystander = client_open (address);
      g_autoptr (IpcServer) second = IPC_SERVER (ipc_socket_server_new (address));

      g_assert_null (ipc_server_get_scope (service->server));
      client_check (bystander);
      check_served (address);
      g_signal_connect (second, "authorize-client", G_CALLBACK (grant), NULL);
      expect_start_fails (second, IPC_ERROR_ADDRESS_IN_USE, owner);
      client_check (bystander);
    }
  {
    g_autoptr (GError) error = client_fail_open_at (address);

    assert_ipc_error (error, IPC_ERROR_NO_SERVER, address);
  }
}

static void
test_abstract_same_context (IpcTest *test)
{
  g_autofree char *address = abstract_address ();
  g_autoptr (Service) service = start_abstract (address);
  g_autoptr (IpcClient) client = client_open (address);
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "");
  g_autoptr (GError) error = NULL;

  g_assert_null (ipc_client_request (client, request, IPC_TIMEOUT_DEFAULT, NULL, &error));
  g_assert_nonnull (error);
  g_assert_false (g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT));
  client_check (client);
}

static void
test_abstract_bad (IpcTest *test)
{
  g_autofree char *address = abstract_address ();
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (address));
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (address));
  g_autoptr (GError) error = NULL;

  expect_start_fails (server, IPC_ERROR_PERMISSION_DENIED, "connect a handler to authorize-client first");
  g_signal_connect (server, "authorize-client", G_CALLBACK (grant), NULL);
  ipc_server_set_mode (server, 0666);
  expect_start_fails (server, IPC_ERROR_INVALID_ARGUMENT, "no file of ours to have a mode or a group");
  ipc_server_set_mode (server, 0600);
  ipc_server_set_group (server, "root");
  expect_start_fails (server, IPC_ERROR_INVALID_ARGUMENT, "no file of ours");
  ipc_client_set_wait_for_server (client, TRUE);
  error = client_fail_open (client);
  assert_ipc_error (error, IPC_ERROR_UNSUPPORTED, "whose coming could be waited for");
}

/* ADDRESS: takes the name, as anybody may, and tells how many bytes two clients sent. */
static int
play_squatter (char **arguments)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const char *name = arguments[0] + strlen ("abstract:");
  socklen_t size = (socklen_t) (offsetof (struct sockaddr_un, sun_path) + 1 + strlen (name));
  int listen_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  char buffer[4096];

  memcpy (address.sun_path + 1, name, strlen (name));
  g_assert_no_errno (bind (listen_fd, (struct sockaddr *) &address, size));
  g_assert_no_errno (listen (listen_fd, 8));
  ipc_test_tell ("up");
  {
    g_autoptr (Raw) raw = raw_accept (listen_fd);
    gssize n, total = 0;

    g_assert_true (g_unix_set_fd_nonblocking (raw->fd, FALSE, NULL));
    while ((n = read (raw->fd, buffer, sizeof buffer)) > 0)
      total += n;
    ipc_test_tell ("%d", (int) total);
  }
  g_free (ipc_test_hear ());
  return 0;
}

/* Another user has taken the name: he learns nothing, and it is said who he is. */
static void
test_abstract_squatter (IpcTest *test)
{
  g_autofree char *address = abstract_address ();
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (address));
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autoptr (GError) error = NULL;

  if (!ipc_test_need_root ())
    return;
  peer = ipc_test_peer_spawn_as (OTHER_UID, "squatter", (const char *[]) { address, NULL });
  ipc_test_peer_expect (peer, "up");
  error = client_fail_open_at (address);
  assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, "the server has uid 12345, expected 0");
  ipc_test_peer_expect (peer, "0");
  g_signal_connect (server, "authorize-client", G_CALLBACK (grant), NULL);
  expect_start_fails (server, IPC_ERROR_ADDRESS_IN_USE, "of user 12345");
}

static const IpcTestRole roles[] = {
  { "manager", play_manager },
  { "activated", play_activated },
  { "squatter", play_squatter },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/activation/fd", test_fd);
  ipc_test_add ("/socket/activation/fd-same-context", test_fd_same_context);
  ipc_test_add ("/socket/activation/fd-bad", test_fd_bad);
  ipc_test_add ("/socket/activation/fd-shut-down", test_fd_shut_down);
  ipc_test_add ("/socket/activation/systemd", test_systemd);
  ipc_test_add ("/socket/activation/systemd-of-another-user", test_systemd_of_another_user);
  ipc_test_add ("/socket/activation/systemd-bad", test_systemd_bad);
  ipc_test_add ("/socket/abstract/good", test_abstract);
  ipc_test_add ("/socket/abstract/same-context", test_abstract_same_context);
  ipc_test_add ("/socket/abstract/bad", test_abstract_bad);
  ipc_test_add ("/socket/abstract/squatter", test_abstract_squatter);
  return ipc_test_run ();
}
