/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients of the library on a pipe: how they come in, what they leave, and what happens if one side dies.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipe-test.h"

#define TOKEN "0123456789abcdef0123456789abcdef"

static void
test_open (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *pairs = ipc_test_path (test, ".pipe.d");
  IpcClient *client;

  listener_init (&listener, test);
  client = client_open (listener.path);
  g_assert_cmpuint (count_entries (pairs), ==, 0);
  g_assert_cmpuint (ipc_server_get_n_clients (listener.server), ==, 1);
  client_check (client, "hello");
  g_assert_null (ipc_connection_get_credentials (ipc_client_get_connection (client)));
  write_and_leave (listener.path, "line\n");
  listener_expect (&listener, "line=line ");
  client_close (client);
  ipc_test_wait_for (ipc_server_get_n_clients (listener.server) == 0);
}

/* The same without a main loop of the client. */
static gpointer
ask_in_thread (gpointer path)
{
  g_autoptr(IpcPipeClient) client = ipc_pipe_client_new (path);
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "from a thread");
  g_autoptr(IpcMessage) reply = NULL;
  g_autoptr(GError) error = NULL;

  g_assert_true (ipc_client_open (IPC_CLIENT (client), NULL, &error));
  reply = ipc_client_request (IPC_CLIENT (client), message, 10000, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, "from a thread");
  ipc_client_close (IPC_CLIENT (client));
  return GINT_TO_POINTER (TRUE);
}

typedef struct
{
  const char *path;
  gint done;
} Asker;

static gpointer
ask_and_say (gpointer data)
{
  Asker *self = data;

  ask_in_thread ((gpointer) self->path);
  g_atomic_int_set (&self->done, TRUE);
  return NULL;
}

static void
test_sync (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  Asker asker;
  GThread *thread;

  listener_init (&listener, test);
  asker = (Asker){ listener.path, FALSE };
  thread = g_thread_new ("asker", ask_and_say, &asker);
  ipc_test_wait_for (g_atomic_int_get (&asker.done));
  g_thread_join (thread);
}

static void
test_large (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *text = g_strnfill (5000000, 'x');
  IpcClient *client;

  listener_init (&listener, test);
  client = client_open (listener.path);
  client_check (client, text);
  client_close (client);
}

static void
test_no_server (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  g_autoptr(IpcPipeClient) client = ipc_pipe_client_new (path);
  g_autoptr(GError) none = client_try_open (IPC_CLIENT (client));
  g_autoptr(GError) stale = NULL, foreign = NULL;
  int fd;

  g_assert_error (none, IPC_ERROR, IPC_ERROR_NO_SERVER);
  g_assert_no_errno (mkfifo (path, 0600));
  stale = client_try_open (IPC_CLIENT (client));
  g_assert_error (stale, IPC_ERROR, IPC_ERROR_NO_SERVER);
  fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  foreign = client_try_open (IPC_CLIENT (client));
  g_assert_error (foreign, IPC_ERROR, IPC_ERROR_NO_SERVER);
  close (fd);
}

static void
test_wait_for_server (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;
  IpcClient *client;

  listener_make (&listener, test);
  /* The pipe is there already: its coming is no event. */
  g_assert_no_errno (mkfifo (listener.path, 0600));
  client = IPC_CLIENT (ipc_pipe_client_new (listener.path));
  ipc_client_set_wait_for_server (client, TRUE);
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_WAITING);
  g_assert_true (ipc_server_start (listener.server, &error));
  g_assert_true (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  client_check (client, "hello");
  ipc_test_async_clear (&async);
  client_close (client);
}

static void
test_other_user (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autoptr(IpcPipeClient) client = NULL;
  g_autoptr(GError) error = NULL;

  listener_init (&listener, test);
  client = ipc_pipe_client_new (listener.path);
  ipc_client_set_server_uid (IPC_CLIENT (client), geteuid () + 1);
  error = client_try_open (IPC_CLIENT (client));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED);
}

static IpcAuthorization
deny (IpcServer *server, IpcConnection *connection, gpointer data)
{
  g_assert_null (ipc_connection_get_credentials (connection));
  return GPOINTER_TO_INT (data);
}

static void
test_authorize (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autoptr(IpcPipeClient) denied = NULL;
  g_autoptr(GError) error = NULL;
  IpcClient *granted;
  gulong id;

  listener_init (&listener, test);
  denied = ipc_pipe_client_new (listener.path);
  id = g_signal_connect (listener.server, "authorize-client", G_CALLBACK (deny), GINT_TO_POINTER (IPC_AUTHORIZATION_DENIED));
  error = client_try_open (IPC_CLIENT (denied));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED);
  g_signal_handler_disconnect (listener.server, id);
  g_signal_connect (listener.server, "authorize-client", G_CALLBACK (deny), GINT_TO_POINTER (IPC_AUTHORIZATION_GRANTED));
  granted = client_open (listener.path);
  client_close (granted);
}

static void
test_full (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autoptr(IpcPipeClient) second = NULL;
  g_autoptr(GError) error = NULL;
  IpcClient *first;

  listener_make (&listener, test);
  ipc_server_set_max_clients (listener.server, 1);
  g_assert_true (ipc_server_start (listener.server, NULL));
  first = client_open (listener.path);
  second = ipc_pipe_client_new (listener.path);
  error = client_try_open (IPC_CLIENT (second));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
  client_check (first, "still there");
  client_close (first);
}

static void
test_fds (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autoptr(GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr(IpcMessage) message = NULL;
  g_autoptr(GError) error = NULL;
  IpcClient *client;

  listener_init (&listener, test);
  client = client_open (listener.path);
  g_assert_cmpint (g_unix_fd_list_append (fds, 0, NULL), ==, 0);
  message = ipc_message_new_full ("fds", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, fds);
  g_assert_false (ipc_client_send (client, message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED);
  client_close (client);
}

/* The server stops while the client is there. */
static void
test_server_stops (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *pairs = ipc_test_path (test, ".pipe.d");
  IpcClient *client;

  listener_init (&listener, test);
  client = client_open (listener.path);
  ipc_server_stop (listener.server);
  ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED);
  g_assert_false (g_file_test (pairs, G_FILE_TEST_EXISTS));
  client_close (client);
}

/* What clients left that were killed while they opened. */
static void
test_leftovers (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *pairs = ipc_test_path (test, ".pipe.d");
  g_autofree char *in = ipc_test_path (test, ".pipe.d/" TOKEN ".in");
  g_autofree char *out = ipc_test_path (test, ".pipe.d/" TOKEN ".out");
  g_autofree char *other = ipc_test_path (test, ".pipe.d/other");

  listener_init (&listener, test);
  g_assert_no_errno (mkfifo (in, 0600));
  g_assert_no_errno (mkfifo (out, 0600));
  g_assert_true (g_file_set_contents (other, "", 0, NULL));
  write_and_leave (listener.path, "sweep\n");
  listener_expect (&listener, "line=sweep ");
  ipc_test_wait_for (count_entries (pairs) == 1);
  g_assert_true (g_file_test (other, G_FILE_TEST_EXISTS));
  /* and those of the server before */
  ipc_server_stop (listener.server);
  g_assert_no_errno (mkfifo (in, 0600));
  g_assert_no_errno (mkfifo (out, 0600));
  g_assert_true (ipc_server_start (listener.server, NULL));
  g_assert_cmpuint (count_entries (pairs), ==, 1);
  g_assert_no_errno (unlink (other));
}

/* ── Processes ── */

static int
run_server (char **arguments)
{
  g_autoptr(IpcPipeServer) server = ipc_pipe_server_new (arguments[0]);
  g_autoptr(GError) error = NULL;

  ipc_server_start (IPC_SERVER (server), &error);
  g_assert_no_error (error);
  ipc_test_tell ("ready");
  while (TRUE)
    g_main_context_iteration (NULL, TRUE);
  return 0;
}

static int
run_client (char **arguments)
{
  g_autoptr(IpcPipeClient) client = ipc_pipe_client_new (arguments[0]);
  g_autoptr(GError) error = NULL;

  ipc_client_open (IPC_CLIENT (client), NULL, &error);
  g_assert_no_error (error);
  ipc_test_tell ("open");
  while (TRUE)
    g_main_context_iteration (NULL, TRUE);
  return 0;
}

static void
test_client_killed (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  guint fds;

  listener_init (&listener, test);
  write_and_leave (listener.path, "warm\n");
  listener_expect (&listener, "line=warm ");
  fds = ipc_test_count_fds ();
  for (guint i = 0; i < 10; i++)
    {
      g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("client", (const char *[]){ listener.path, NULL });

      ipc_test_peer_expect (peer, "open");
      ipc_test_wait_for (ipc_server_get_n_clients (listener.server) == 1);
      ipc_test_peer_kill (peer);
      ipc_test_wait_for (ipc_server_get_n_clients (listener.server) == 0);
    }
  ipc_test_wait_for (ipc_test_count_fds () == fds);
}

static void
test_server_killed (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  g_autoptr(IpcTestPeer) first = ipc_test_peer_spawn ("server", (const char *[]){ path, NULL });
  g_autoptr(IpcTestPeer) second = NULL;
  IpcClient *client;

  ipc_test_peer_expect (first, "ready");
  client = IPC_CLIENT (ipc_pipe_client_new (path));
  ipc_client_set_wait_for_server (client, TRUE);
  ipc_client_set_reconnect (client, TRUE);
  g_assert_null (client_try_open (client));
  ipc_test_peer_kill (first);
  ipc_test_wait_for (ipc_client_get_state (client) != IPC_CLIENT_STATE_OPEN);
  second = ipc_test_peer_spawn ("server", (const char *[]){ path, NULL });
  ipc_test_peer_expect (second, "ready");
  ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_OPEN);
  client_close (client);
  ipc_test_peer_kill (second);
}

/* A client that has said HELLO to a server that dies, and another that takes its place, is not kept waiting. */
static void
test_server_stopped_and_killed (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  g_autoptr(IpcTestPeer) first = ipc_test_peer_spawn ("server", (const char *[]){ path, NULL });
  g_autoptr(IpcTestPeer) second = NULL;
  g_auto(IpcTestAsync) async = { 0 };
  IpcClient *client = IPC_CLIENT (ipc_pipe_client_new (path));

  ipc_test_peer_expect (first, "ready");
  ipc_test_peer_signal (first, SIGSTOP);
  ipc_client_set_wait_for_server (client, TRUE);
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_OPENING);
  ipc_test_peer_kill (first);
  second = ipc_test_peer_spawn ("server", (const char *[]){ path, NULL });
  ipc_test_peer_expect (second, "ready");
  g_assert_true (ipc_client_open_finish (client, ipc_test_async_wait (&async), NULL));
  ipc_test_async_clear (&async);
  client_close (client);
  ipc_test_peer_kill (second);
}

static const IpcTestRole roles[] = { { "server", run_server }, { "client", run_client }, { NULL, NULL } };

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/pipe/client/open", test_open);
  ipc_test_add ("/pipe/client/sync", test_sync);
  ipc_test_add ("/pipe/client/large", test_large);
  ipc_test_add ("/pipe/client/no-server", test_no_server);
  ipc_test_add ("/pipe/client/wait-for-server", test_wait_for_server);
  ipc_test_add ("/pipe/client/other-user", test_other_user);
  ipc_test_add ("/pipe/client/authorize", test_authorize);
  ipc_test_add ("/pipe/client/full", test_full);
  ipc_test_add ("/pipe/client/fds", test_fds);
  ipc_test_add ("/pipe/client/server-stops", test_server_stops);
  ipc_test_add ("/pipe/client/leftovers", test_leftovers);
  ipc_test_add ("/pipe/client/client-killed", test_client_killed);
  ipc_test_add ("/pipe/client/server-killed", test_server_killed);
  ipc_test_add ("/pipe/client/server-stopped-and-killed", test_server_stopped_and_killed);
  return ipc_test_run ();
}
