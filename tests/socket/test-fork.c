/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that fork, and go on without exec: the child has nothing of its parent's, and takes nothing away from it.
 */
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

#include "socket-test.h"

/* In a context of its own: the one of the parent is the parent's. */
static void
assert_forked_async (IpcClient *client)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (IpcMessage) message = ipc_message_new_text ("echo", "");
  g_autoptr (GError) error = NULL;

  g_main_context_push_thread_default (context);
  ipc_client_request_async (client, message, 1000, NULL, ipc_test_async_cb, &async);
  g_assert_null (ipc_client_request_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_FORKED, NULL);
  ipc_test_async_clear (&async);
  g_clear_error (&error);
  ipc_client_send_async (client, message, NULL, ipc_test_async_cb, &async);
  g_assert_false (ipc_client_send_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_FORKED, NULL);
  g_main_context_pop_thread_default (context);
}

#define ASSERT_FORKED(call) \
  G_STMT_START \
  { \
    g_autoptr (GError) _error = NULL; \
    GError **error = &_error; \
    g_assert_false (call); \
    assert_ipc_error (_error, IPC_ERROR_FORKED, NULL); \
  } \
  G_STMT_END

static void
assert_forked (IpcClient *client, IpcConnection *connection, IpcServer *server)
{
  g_autoptr (IpcMessage) message = ipc_message_new_text ("echo", "");

  ASSERT_FORKED (ipc_client_request (client, message, 1000, NULL, error) != NULL);
  ASSERT_FORKED (ipc_client_send (client, message, error));
  ASSERT_FORKED (ipc_client_open (client, NULL, error));
  ASSERT_FORKED (ipc_connection_request (connection, message, 1000, NULL, error) != NULL);
  ASSERT_FORKED (ipc_connection_send (connection, message, error));
  ASSERT_FORKED (ipc_connection_flush (connection, NULL, error));
  ASSERT_FORKED (ipc_server_start (server, error));
  assert_forked_async (client);
  /* these have nothing to say, and must not say it to the parent's peers */
  ipc_connection_close (connection);
  ipc_client_close (client);
  ipc_server_stop (server);
}

/* What the child makes itself is its own. */
static void
check_own_client (const char *path)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "from the child");
  g_autoptr (IpcMessage) reply = NULL;
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcClient) client = NULL;

  g_main_context_push_thread_default (context);
  client = transport_client_new (path);
  ipc_client_open (client, NULL, &error);
  g_assert_no_error (error);
  reply = ipc_client_request (client, request, 10000, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, "from the child");
  g_main_context_pop_thread_default (context);
}

static G_NORETURN void
live_until_stdin_is_over (void)
{
  char byte;

  while (read (0, &byte, 1) > 0)
    ;
  _exit (0);
}

/* The numbers of what was closed at the fork are those of other files now, and of such as it would be a pity to change. */
static void
use_numbers_again (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_autofree char *pairs = g_strdup_printf ("%s/.%s.d", directory, name);

  for (guint i = 0; i < 50; i++)
    g_assert_no_errno (open (transport_is_pipe () ? pairs : directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static G_NORETURN void
wait_to_be_killed (void)
{
  for (;;)
    pause ();
}

/* In the middle of opening: over a pipe there are names then. */
static IpcClient *
begin_to_open (const char *path, IpcTestAsync *async)
{
  IpcClient *client = transport_client_new (path);

  ipc_client_open_async (client, NULL, ipc_test_async_cb, async);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_OPENING);
  return client;
}

/* PATH OTHER-PATH: a client at PATH, and a server at the other, which forks. */
static int
play_forker (char **arguments)
{
  g_autoptr (IpcClient) client = client_open (arguments[0]);
  g_autoptr (Service) service = service_start_at (arguments[1]);
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (IpcClient) opening = begin_to_open (arguments[1], &async);
  int fds[2];
  char byte = 0;

  g_assert_true (g_unix_open_pipe (fds, FD_CLOEXEC, NULL));
  if (fork () == 0)
    {
      use_numbers_again (arguments[1]);
      assert_forked (client, ipc_client_get_connection (client), service->server);
      check_own_client (arguments[0]);
      ipc_client_close (opening);
      g_object_unref (opening);
      g_object_unref (client);
      ipc_test_tell ("child is done");
      g_assert_cmpint (write (fds[1], &byte, 1), ==, 1);
      live_until_stdin_is_over ();
    }
  g_assert_cmpint (read (fds[0], &byte, 1), ==, 1);
  client_check (client);
  g_assert_true (ipc_client_open_finish (opening, ipc_test_async_wait (&async), NULL));
  client_check (opening);
  ipc_client_close (opening);
  g_assert_true (g_file_test (arguments[1], G_FILE_TEST_EXISTS));
  ipc_test_tell ("parent is served");
  ipc_test_wait_for (service->held->len == 1);
  ipc_test_tell ("parent serves");
  wait_to_be_killed ();
}

static void
test_fork (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autofree char *other_path = ipc_test_path (test, "other");
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("forker", (const char *[]) { path, other_path, NULL });
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (Burst) burst = NULL;
  g_autofree char *end = NULL;

  ipc_test_peer_expect (peer, "child is done");
  ipc_test_peer_expect (peer, "parent is served");
  /* only the child's own client has come and gone */
  g_assert_cmpuint (service->n_connected, ==, 2);
  g_assert_no_error (service_wait_disconnected (service, 1));
  client = client_open (other_path);
  burst = burst_start (client, 1, "hold", 0, -1);
  ipc_test_peer_expect (peer, "parent serves");

  ipc_test_peer_kill (peer);
  /* The child lives, and keeps nothing: neither the connection to our server, nor that of our client, nor the
   * address. */
  g_assert_no_error (service_wait_disconnected (service, 2));
  ipc_test_wait_for (burst->n_done == 1);
  assert_ipc_error (burst->errors[0], IPC_ERROR_UNCERTAIN, NULL);
  {
    g_autoptr (Service) successor = service_start_at (other_path);
    g_autoptr (IpcClient) another = client_open (other_path);

    client_check (another);
  }
  ipc_test_peer_close_stdin (peer);
  end = ipc_test_peer_read_line (peer);
  g_assert_null (end);
}

static const IpcTestRole roles[] = { { "forker", play_forker }, { NULL, NULL } };

int
main (int argc, char **argv)
{
  g_autofree char *name = g_strdup_printf ("/%s/fork/parent-and-child", transport_get_name ());

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add (name, test_fork);
  return ipc_test_run ();
}
