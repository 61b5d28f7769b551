/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who is let in, and whom a client talks to. Half of this needs peers of other users, and so root.
 */
#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "socket-test.h"

#define OTHER_UID 12345
#define OTHER_UID_TEXT "12345"
#define OVERFLOW_UID 65534

/* ── Peers ── */

static gboolean
stdin_is_over (int fd, GIOCondition condition, gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static void
run_until_stdin_is_over (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, stdin_is_over, loop);
  g_main_loop_run (loop);
}

static IpcAuthorization
grant (IpcServer *server, IpcConnection *connection, gpointer data)
{
  return IPC_AUTHORIZATION_GRANTED;
}

/* PATH [grant] */
static int
play_server (char **arguments)
{
  g_autoptr (Service) service = service_new (arguments[0]);

  if (arguments[1] != NULL)
    g_signal_connect (service->server, "authorize-client", G_CALLBACK (grant), NULL);
  ipc_server_set_mode (service->server, 0666);
  g_assert_true (ipc_server_start (service->server, NULL));
  ipc_test_tell ("up");
  run_until_stdin_is_over ();
  return 0;
}

static void
tell_error (const GError *error)
{
  ipc_test_tell ("%s %d", error->domain == IPC_ERROR ? "ipc" : "other", error->code);
}

/* PATH SERVER-UID: opens, asks, and tells how that went. */
static int
play_client (char **arguments)
{
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (arguments[0]));
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "hello");
  g_autoptr (IpcMessage) reply = NULL;
  g_autoptr (GError) error = NULL;

  ipc_client_set_server_uid (client, (guint) atoi (arguments[1]));
  if (ipc_client_open (client, NULL, &error))
    reply = ipc_client_request (client, request, 10000, NULL, &error);
  if (reply != NULL)
    ipc_test_tell ("%s", ipc_message_get_text (reply));
  else
    tell_error (error);
  run_until_stdin_is_over ();
  return 0;
}

/* PATH: a server that only pretends; it tells how many bytes it was sent by each of two clients. */
static int
play_impostor (char **arguments)
{
  int listen_fd = raw_listen (arguments[0]);
  char buffer[4096];

  g_assert_no_errno (chmod (arguments[0], 0666));
  ipc_test_tell ("up");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (Raw) raw = raw_accept (listen_fd);
      gssize n, total = 0;

      g_assert_true (g_unix_set_fd_nonblocking (raw->fd, FALSE, NULL));
      while ((n = read (raw->fd, buffer, sizeof buffer)) > 0)
        total += n;
      ipc_test_tell ("%d", (int) total);
    }
  close (listen_fd);
  return 0;
}

/* ── Both directions ── */

static void
assert_credentials (IpcConnection *connection, GPid pid, guint uid)
{
  GCredentials *credentials = ipc_connection_get_credentials (connection);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (credentials);
  g_assert_cmpint (g_credentials_get_unix_pid (credentials, &error), ==, pid);
  g_assert_no_error (error);
  g_assert_cmpuint (g_credentials_get_unix_user (credentials, &error), ==, uid);
  g_assert_no_error (error);
}

static void
test_of_client (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autofree char *uid = g_strdup_printf ("%u", (guint) geteuid ());
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("client", (const char *[]) { path, uid, NULL });
  GListModel *connections = ipc_server_get_connections (service->server);
  g_autoptr (IpcConnection) connection = NULL;

  ipc_test_peer_expect (peer, "hello");
  connection = g_list_model_get_item (connections, 0);
  assert_credentials (connection, ipc_test_peer_get_pid (peer), geteuid ());
}

static void
test_of_server (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("server", (const char *[]) { path, NULL });
  g_autoptr (IpcClient) client = NULL;

  ipc_test_peer_expect (peer, "up");
  client = client_open (path);
  client_check (client);
  assert_credentials (ipc_client_get_connection (client), ipc_test_peer_get_pid (peer), geteuid ());
}

/* What the kernel said at the beginning stays, also of a process that is gone. */
static void
test_after_death (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("server", (const char *[]) { path, NULL });
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (IpcConnection) connection = NULL;

  ipc_test_peer_expect (peer, "up");
  client = client_open (path);
  connection = g_object_ref (ipc_client_get_connection (client));
  ipc_test_peer_kill (peer);
  ipc_test_wait_for (!ipc_connection_get_is_open (connection));
  assert_credentials (connection, ipc_test_peer_get_pid (peer), geteuid ());
}

/* ── The verdict, on ourselves ── */

typedef struct
{
  guint n_asked;
  gint verdict;
  gint second_verdict;
  gboolean was_open;
} Judge;

static gint
judge (IpcServer *server, IpcConnection *connection, Judge *self)
{
  assert_credentials (connection, getpid (), geteuid ());
  self->was_open |= ipc_connection_get_is_open (connection);
  self->n_asked++;
  return self->verdict;
}

static gint
second_judge (IpcServer *server, IpcConnection *connection, Judge *self)
{
  return self->second_verdict;
}

static const struct
{
  gint one, other;
  gboolean admitted;
} verdicts[] = {
  { IPC_AUTHORIZATION_GRANTED, IPC_AUTHORIZATION_UNDECIDED, TRUE },
  { IPC_AUTHORIZATION_UNDECIDED, IPC_AUTHORIZATION_GRANTED, TRUE },
  { IPC_AUTHORIZATION_GRANTED, IPC_AUTHORIZATION_DENIED, TRUE },
  { IPC_AUTHORIZATION_DENIED, IPC_AUTHORIZATION_GRANTED, FALSE },
  { IPC_AUTHORIZATION_DENIED, IPC_AUTHORIZATION_UNDECIDED, FALSE },
  { IPC_AUTHORIZATION_UNDECIDED, IPC_AUTHORIZATION_DENIED, FALSE },
  { IPC_AUTHORIZATION_UNDECIDED, IPC_AUTHORIZATION_UNDECIDED, FALSE },
  /* what a handler that fails, or returns nonsense, may leave behind */
  { 99, IPC_AUTHORIZATION_UNDECIDED, FALSE },
  { -1, -1, FALSE },
  { G_MAXINT, G_MININT, FALSE },
};

static void
test_verdict (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (verdicts); i++)
    {
      g_autoptr (Service) service = service_start (test);
      g_autofree char *path = socket_path (test);
      g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
      Judge data = { 0, verdicts[i].one, verdicts[i].other, FALSE };
      g_autoptr (GError) error = NULL;

      g_signal_connect (service->server, "authorize-client", G_CALLBACK (judge), &data);
      g_signal_connect (service->server, "authorize-client", G_CALLBACK (second_judge), &data);
      if (verdicts[i].admitted)
        {
          g_assert_true (client_try_open (client, &error));
          client_check (client);
        }
      else
        {
          error = client_fail_open (client);
          assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, "does not admit us");
        }
      g_assert_cmpuint (data.n_asked, ==, 1);
      g_assert_false (data.was_open);
      g_assert_cmpuint (service->n_connected, ==, verdicts[i].admitted);
      g_assert_cmpuint (service->reasons->len, ==, 0);
    }
}

static IpcAuthorization
stop_and_grant (IpcServer *server, IpcConnection *connection, gpointer data)
{
  ipc_server_stop (server);
  return IPC_AUTHORIZATION_GRANTED;
}

static void
test_stopped_meanwhile (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (GError) error = NULL;

  g_signal_connect (service->server, "authorize-client", G_CALLBACK (stop_and_grant), NULL);
  error = client_fail_open_at (path);
  /* which says nothing about who is admitted */
  assert_ipc_error (error, IPC_ERROR_NO_SERVER, "went away");
  g_assert_cmpuint (service->n_connected, ==, 0);
}

static IpcAuthorization
deny (IpcServer *server, IpcConnection *connection, guint *n_asked)
{
  (*n_asked)++;
  return IPC_AUTHORIZATION_DENIED;
}

/* Whatever it has said: a reset would look as if the server had died. Nothing is answered, not even that. */
static void
test_denied_is_a_plain_end (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (Raw) raw = NULL;
  g_autoptr (Raw) silent = NULL;
  guint n_asked = 0;

  g_signal_connect (service->server, "authorize-client", G_CALLBACK (deny), &n_asked);
  raw = raw_connect (path);
  g_assert_cmpint (send (raw->fd, ipc_preamble, IPC_PREAMBLE_SIZE, MSG_NOSIGNAL), ==, IPC_PREAMBLE_SIZE);
  raw_expect_end (raw);
  g_assert_cmpuint (raw->in->len, ==, 0);
  g_assert_cmpint (raw->end_errno, ==, 0);
  silent = raw_connect (path);
  raw_expect_end (silent);
  g_assert_cmpint (silent->end_errno, ==, 0);
  g_assert_cmpuint (n_asked, ==, 2);
  g_assert_cmpuint (service->n_connected, ==, 0);
  g_assert_cmpuint (service->reasons->len, ==, 0);
}

/* The client's side of the same. */
static void
test_server_uid (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  guint uid = geteuid ();
  g_autofree char *complaint = g_strdup_printf ("the server has uid %u, expected %u", uid, uid + 1);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) sync_error = NULL;

  g_assert_cmpuint (ipc_client_get_server_uid (client), ==, geteuid ());
  ipc_client_set_server_uid (client, geteuid () + 1);
  error = client_fail_open (client);
  assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, complaint);
  g_assert_false (ipc_client_open (client, NULL, &sync_error));
  assert_ipc_error (sync_error, IPC_ERROR_PERMISSION_DENIED, complaint);
  ipc_test_settle ();
  g_assert_cmpuint (service->n_connected, ==, 0);
  ipc_client_set_server_uid (client, geteuid ());
  g_clear_error (&error);
  client_try_open (client, &error);
  g_assert_no_error (error);
}

/* ── Other users ── */

/* The directories of the test, and the one above, can be walked through by everybody until they are shut again. */
static void
set_way_in (IpcTest *test, guint mode)
{
  g_autofree char *above = g_path_get_dirname (test->directory);

  g_assert_no_errno (chmod (above, mode));
  g_assert_no_errno (chmod (test->directory, mode));
}

static Service *
start_for_everybody (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  Service *service = service_new (path);

  set_way_in (test, 0711);
  ipc_server_set_mode (service->server, 0666);
  g_assert_true (ipc_server_start (service->server, NULL));
  return service;
}

static void
expect_of_client (IpcTest *test, guint uid, const char *expected)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn_as (uid, "client", (const char *[]) { path, "0", NULL });

  ipc_test_peer_expect (peer, expected);
}

static const char *
denied (void)
{
  static char text[32];

  g_snprintf (text, sizeof text, "ipc %d", IPC_ERROR_PERMISSION_DENIED);
  return text;
}

static void
test_other_client_is_refused (IpcTest *test)
{
  g_autoptr (Service) service = NULL;

  if (!ipc_test_need_root ())
    return;
  service = start_for_everybody (test);
  expect_of_client (test, OTHER_UID, denied ());
  g_assert_cmpuint (service->n_connected, ==, 0);
  g_assert_cmpuint (service->reasons->len, ==, 0);
  expect_of_client (test, 0, "hello");
  set_way_in (test, 0700);
}

static IpcAuthorization
grant_other (IpcServer *server, IpcConnection *connection, guint *n_asked)
{
  GCredentials *credentials = ipc_connection_get_credentials (connection);

  (*n_asked)++;
  g_assert_cmpuint (g_credentials_get_unix_user (credentials, NULL), ==, OTHER_UID);
  return IPC_AUTHORIZATION_GRANTED;
}

static void
test_other_client_is_granted (IpcTest *test)
{
  g_autoptr (Service) service = NULL;
  guint n_asked = 0;

  if (!ipc_test_need_root ())
    return;
  service = start_for_everybody (test);
  g_signal_connect (service->server, "authorize-client", G_CALLBACK (grant_other), &n_asked);
  expect_of_client (test, OTHER_UID, "hello");
  g_assert_cmpuint (n_asked, ==, 1);
  g_assert_cmpuint (service->n_connected, ==, 1);
  service_wait_disconnected (service, 1);
  set_way_in (test, 0700);
}

static void
test_other_client_is_denied (IpcTest *test)
{
  const gint others[] = { IPC_AUTHORIZATION_UNDECIDED, IPC_AUTHORIZATION_DENIED, 99 };

  if (!ipc_test_need_root ())
    return;
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (Service) service = start_for_everybody (test);
      Judge data = { .second_verdict = others[i] };

      g_signal_connect (service->server, "authorize-client", G_CALLBACK (second_judge), &data);
      expect_of_client (test, OTHER_UID, denied ());
      g_assert_cmpuint (service->n_connected, ==, 0);
    }
  set_way_in (test, 0700);
}

/* The mode of the file comes first: with the default one the kernel does not let others connect at all. */
static void
test_default_mode (IpcTest *test)
{
  g_autoptr (Service) service = NULL;
  guint n_asked = 0;

  if (!ipc_test_need_root ())
    return;
  service = service_start (test);
  set_way_in (test, 0711);
  g_signal_connect (service->server, "authorize-client", G_CALLBACK (deny), &n_asked);
  expect_of_client (test, OTHER_UID, denied ());
  g_assert_cmpuint (n_asked, ==, 0);
  set_way_in (test, 0700);
}

/* It stands for all who have no name here. */
static void
test_overflow_client (IpcTest *test)
{
  g_autoptr (Service) service = NULL;
  guint n_asked = 0;

  if (!ipc_test_need_root ())
    return;
  service = start_for_everybody (test);
  g_signal_connect (service->server, "authorize-client", G_CALLBACK (grant_other), &n_asked);
  expect_of_client (test, OVERFLOW_UID, denied ());
  g_assert_cmpuint (n_asked, ==, 0);
  g_assert_cmpuint (service->n_connected, ==, 0);
  set_way_in (test, 0700);
}

/* A place where another user can put a socket. */
static char *
make_place_for_others (IpcTest *test)
{
  g_autofree char *place = ipc_test_path (test, "place");

  set_way_in (test, 0711);
  g_assert_no_errno (mkdir (place, 0700));
  g_assert_no_errno (chmod (place, 01777));
  return g_build_filename (place, SOCKET_NAME, NULL);
}

static void
expect_impostor_is_refused (const char *path, guint server_uid, const char *complaint)
{
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) sync_error = NULL;

  ipc_client_set_server_uid (client, server_uid);
  error = client_fail_open (client);
  assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, complaint);
  g_assert_false (ipc_client_open (client, NULL, &sync_error));
  assert_ipc_error (sync_error, IPC_ERROR_PERMISSION_DENIED, complaint);
}

static void
test_impostor (IpcTest *test)
{
  g_autofree char *path = NULL;
  g_autoptr (IpcTestPeer) peer = NULL;

  if (!ipc_test_need_root ())
    return;
  path = make_place_for_others (test);
  peer = ipc_test_peer_spawn_as (OTHER_UID, "impostor", (const char *[]) { path, NULL });
  ipc_test_peer_expect (peer, "up");
  expect_impostor_is_refused (path, 0, "the server has uid " OTHER_UID_TEXT ", expected 0");
  /* it has learnt nothing */
  ipc_test_peer_expect (peer, "0");
  ipc_test_peer_expect (peer, "0");
  set_way_in (test, 0700);
}

static void
test_expected_other_server (IpcTest *test)
{
  g_autofree char *path = NULL;
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (GError) error = NULL;

  if (!ipc_test_need_root ())
    return;
  path = make_place_for_others (test);
  peer = ipc_test_peer_spawn_as (OTHER_UID, "server", (const char *[]) { path, "grant", NULL });
  ipc_test_peer_expect (peer, "up");
  client = IPC_CLIENT (ipc_socket_client_new (path));
  ipc_client_set_server_uid (client, OTHER_UID);
  client_try_open (client, &error);
  g_assert_no_error (error);
  client_check (client);
  assert_credentials (ipc_client_get_connection (client), ipc_test_peer_get_pid (peer), OTHER_UID);
  set_way_in (test, 0700);
}

static void
test_overflow_server (IpcTest *test)
{
  g_autofree char *path = NULL;
  g_autoptr (IpcTestPeer) peer = NULL;

  if (!ipc_test_need_root ())
    return;
  path = make_place_for_others (test);
  peer = ipc_test_peer_spawn_as (OVERFLOW_UID, "impostor", (const char *[]) { path, NULL });
  ipc_test_peer_expect (peer, "up");
  expect_impostor_is_refused (path, OVERFLOW_UID, "does not say who the server is");
  ipc_test_peer_expect (peer, "0");
  ipc_test_peer_expect (peer, "0");
  set_way_in (test, 0700);
}

/* ── Namespaces ── */

/* This program again, where it is the first process and knows nobody else. (As root: in a user namespace of its own
 * it would take the owner of / for somebody else, and trust no path.) Leaks cannot be looked for there. */
static IpcTestPeer *
spawn_in_namespace (const char *role, const char *path, const char *argument)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *option = g_strconcat ("--ipc-test-peer=", role, NULL);

  const char *argv[] = { "env", "ASAN_OPTIONS=detect_leaks=0", "unshare", "-pf", "--kill-child",
                         program, option, path, argument, NULL };

  return ipc_test_peer_spawn_program (argv);
}

static gboolean
can_unshare (void)
{
  g_autoptr (IpcTestPeer) peer = NULL;

  if (!ipc_test_need_root ())
    return FALSE;
  peer = ipc_test_peer_spawn_program ((const char *[]) { "unshare", "-pf", "--kill-child", "true", NULL });
  if (ipc_test_peer_wait (peer) == 0)
    return TRUE;
  g_test_skip ("needs pid namespaces, for a peer of pid 0");
  return FALSE;
}

static void
finish_in_namespace (IpcTestPeer *peer)
{
  ipc_test_peer_close_stdin (peer);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
}

/* It sees us as pid 0, and so nobody, although it would let in whomever it knows. */
static void
test_server_in_namespace (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autoptr (GError) error = NULL;

  if (!can_unshare ())
    return;
  peer = spawn_in_namespace ("server", path, "grant");
  ipc_test_peer_expect (peer, "up");
  error = client_fail_open_at (path);
  assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, "does not admit us");
  finish_in_namespace (peer);
}

/* We would know it, but it does not know us: the server is the one of pid 0 there. */
static void
test_client_in_namespace (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Service) service = NULL;
  g_autoptr (IpcTestPeer) peer = NULL;

  if (!can_unshare ())
    return;
  service = service_start (test);
  peer = spawn_in_namespace ("client", path, "0");
  ipc_test_peer_expect (peer, denied ());
  g_assert_cmpuint (service->n_connected, ==, 0);
  finish_in_namespace (peer);
}

static const IpcTestRole roles[] = {
  { "server", play_server },
  { "client", play_client },
  { "impostor", play_impostor },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/credentials/of-client", test_of_client);
  ipc_test_add ("/socket/credentials/of-server", test_of_server);
  ipc_test_add ("/socket/credentials/after-death", test_after_death);
  ipc_test_add ("/socket/credentials/verdict", test_verdict);
  ipc_test_add ("/socket/credentials/stopped-meanwhile", test_stopped_meanwhile);
  ipc_test_add ("/socket/credentials/denied-is-a-plain-end", test_denied_is_a_plain_end);
  ipc_test_add ("/socket/credentials/server-uid", test_server_uid);
  ipc_test_add ("/socket/credentials/other-client/refused", test_other_client_is_refused);
  ipc_test_add ("/socket/credentials/other-client/granted", test_other_client_is_granted);
  ipc_test_add ("/socket/credentials/other-client/denied", test_other_client_is_denied);
  ipc_test_add ("/socket/credentials/other-client/default-mode", test_default_mode);
  ipc_test_add ("/socket/credentials/other-client/overflow", test_overflow_client);
  ipc_test_add ("/socket/credentials/other-server/impostor", test_impostor);
  ipc_test_add ("/socket/credentials/other-server/expected", test_expected_other_server);
  ipc_test_add ("/socket/credentials/other-server/overflow", test_overflow_server);
  ipc_test_add ("/socket/credentials/namespace/server", test_server_in_namespace);
  ipc_test_add ("/socket/credentials/namespace/client", test_client_in_namespace);
  return ipc_test_run ();
}
