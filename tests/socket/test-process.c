/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that die and stop, at every moment that matters: what the other side is told, and that nothing
 * is left of them.
 */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket-test.h"

#define BURST 100
#define N_KILLS 200
#define AT_ONCE 3

/* ── Servers ── */

typedef struct
{
  Service *service;
  GMainLoop *loop;
} Play;

/* A line releases what is held; the end of the input ends the server. */
static gboolean
on_command (int fd, GIOCondition condition, gpointer data)
{
  Play *play = data;
  char buffer[64];

  if (read (fd, buffer, sizeof buffer) > 0)
    {
      ipc_test_tell ("%s", service_release (play->service) ? "released" : "not released");
      return G_SOURCE_CONTINUE;
    }
  g_main_loop_quit (play->loop);
  return G_SOURCE_REMOVE;
}

static void
obey (Service *service)
{
  Play play = { service, g_main_loop_new (NULL, FALSE) };

  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, on_command, &play);
  g_main_loop_run (play.loop);
  g_main_loop_unref (play.loop);
}

/* PATH [N]: tells when N requests are held. */
static int
play_server (char **arguments)
{
  g_autoptr (Service) service = service_start_at (arguments[0]);

  ipc_test_tell ("up");
  if (arguments[1] != NULL)
    {
      ipc_test_wait_for (service->held->len >= (guint) atoi (arguments[1]));
      ipc_test_tell ("held");
    }
  obey (service);
  return 0;
}

static IpcTestPeer *
spawn_server (const char *path, const char *n_held)
{
  IpcTestPeer *peer = ipc_test_peer_spawn ("server", (const char *[]) { path, n_held, NULL });

  ipc_test_peer_expect (peer, "up");
  return peer;
}

/* ── A client is killed ── */

static G_NORETURN void
wait_to_be_killed (void)
{
  for (;;)
    pause ();
}

/* PATH N [hello]: sends N bytes of what a client says and goes no further. */
static int
play_raw_client (char **arguments)
{
  g_autoptr (Raw) raw = arguments[2] != NULL ? raw_connect_client (arguments[0]) : raw_connect (arguments[0]);
  const IpcFrame hello = { .kind = IPC_FRAME_HELLO };
  const IpcFrame request = { .kind = IPC_FRAME_REQUEST, .serial = 1, .type_length = 4, .length = 1004 };
  guint8 bytes[IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE + 1004] = { 0 };

  if (arguments[2] != NULL)
    {
      ipc_frame_encode (&request, bytes);
      memcpy (bytes + IPC_FRAME_HEADER_SIZE, "echo", 4);
    }
  else
    {
      memcpy (bytes, ipc_preamble, IPC_PREAMBLE_SIZE);
      ipc_frame_encode (&hello, bytes + IPC_PREAMBLE_SIZE);
    }
  g_assert_true (raw_send (raw, bytes, (gsize) atoi (arguments[1])));
  ipc_test_tell ("sent");
  wait_to_be_killed ();
}

/* TEXT (nullable): what the server says about a client that was killed after SIZE bytes. */
static void
kill_after_bytes (IpcTest *test, const char *size, gboolean hello, const char *text)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) bystander = client_open (path);
  guint n_fds = ipc_test_count_fds ();
  const char *arguments[] = { path, size, hello ? "hello" : NULL, NULL };
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("raw-client", arguments);

  ipc_test_peer_expect (peer, "sent");
  ipc_test_settle ();
  g_assert_cmpuint (ipc_server_get_n_clients (service->server), ==, hello ? 2 : 1);
  ipc_test_peer_kill (peer);
  if (text != NULL)
    assert_ipc_error (service_wait_disconnected (service, 1), IPC_ERROR_CLOSED, text);
  else if (hello)
    g_assert_no_error (service_wait_disconnected (service, 1));
  client_check (bystander);
  ipc_test_settle ();
  g_assert_cmpuint (ipc_server_get_n_clients (service->server), ==, 1);
  g_assert_cmpuint (service->reasons->len, ==, text != NULL || hello);
  g_ptr_array_set_size (service->connections, 0);
  /* the pipes to the peer are still there */
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds + 2);
}

static void
test_killed_in_handshake (IpcTest *test)
{
  kill_after_bytes (test, "0", FALSE, NULL);
  kill_after_bytes (test, "1", FALSE, "inside a first frame, after 1 of");
  kill_after_bytes (test, "7", FALSE, "inside a first frame, after 7 of");
  kill_after_bytes (test, "39", FALSE, "inside a first frame, after 31 of 32 bytes");
}

static void
test_killed_in_frame (IpcTest *test)
{
  kill_after_bytes (test, "0", TRUE, NULL);
  kill_after_bytes (test, "3", TRUE, "inside a frame, after 3 of 32 bytes");
  kill_after_bytes (test, "31", TRUE, "inside a frame, after 31 of 32 bytes");
  kill_after_bytes (test, "32", TRUE, "inside a frame, after 32 of 1036 bytes");
  kill_after_bytes (test, "500", TRUE, "inside a frame, after 500 of 1036 bytes");
  kill_after_bytes (test, "1035", TRUE, "inside a frame, after 1035 of 1036 bytes");
}

/* PATH TYPE N SIZE: asks N times and never gets to the end of it. */
static int
play_asker (char **arguments)
{
  g_autoptr (IpcClient) client = client_open (arguments[0]);
  Burst *burst = burst_start (client, (guint) atoi (arguments[2]), arguments[1], (gsize) atoi (arguments[3]), -1);

  ipc_test_tell ("asked");
  ipc_test_wait_for_full (burst->n_done == burst->n, 60);
  ipc_test_tell ("answered");
  wait_to_be_killed ();
}

static void
test_killed_with_deferred_replies (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("asker", (const char *[]) { path, "hold", "50", "100", NULL });

  ipc_test_wait_for (service->held->len == 50);
  ipc_test_peer_kill (peer);
  g_assert_no_error (service_wait_disconnected (service, 1));
  g_assert_cmpuint (ipc_server_get_n_clients (service->server), ==, 0);
  g_assert_cmpuint (service->n_connected, ==, 1);
  /* too late, and harmless */
  g_assert_false (service_release (service));
  ipc_test_settle ();
  g_assert_cmpuint (service->reasons->len, ==, 1);
}

/* Those that were kept are let go without an answer, as somebody who gave up on them would. */
static void
test_killed_then_dropped (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("asker", (const char *[]) { path, "hold", "50", "100", NULL });

  ipc_test_wait_for (service->held->len == 50);
  ipc_test_peer_kill (peer);
  g_assert_no_error (service_wait_disconnected (service, 1));
  g_ptr_array_set_size (service->held, 0);
  g_ptr_array_set_size (service->holders, 0);
}

/* The reply does not fit into the socket, and the client is stopped before it reads it. */
static void
test_killed_in_reply (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("asker", (const char *[]) { path, "hold", "1", "3000000", NULL });
  g_autoptr (IpcConnection) connection = NULL;
  const GError *reason;

  ipc_test_wait_for (service->held->len == 1);
  connection = g_object_ref (g_ptr_array_index (service->holders, 0));
  ipc_test_peer_signal (peer, SIGSTOP);
  g_assert_true (service_release (service));
  ipc_test_wait_for (ipc_connection_get_queued_bytes (connection) > 0);
  ipc_test_peer_kill (peer);
  reason = service_wait_disconnected (service, 1);
  g_assert_no_error (reason);
  g_assert_cmpuint (ipc_server_get_n_clients (service->server), ==, 0);
}

/* ── Many are killed, at any moment ── */

/* PATH: asks until it is killed, small and large. */
static int
play_hammer (char **arguments)
{
  g_autoptr (IpcClient) client = client_open (arguments[0]);

  for (guint i = 0; i < G_MAXUINT; i++)
    {
      g_autoptr (Burst) burst = burst_start (client, 1 + i % 7, "echo", i % 5 == 0 ? 30000 : i % 300, -1);

      ipc_test_wait_for (burst->n_done == burst->n);
    }
  return 0;
}

static void
assert_died (const GError *reason)
{
  if (reason != NULL)
    g_assert_error (reason, IPC_ERROR, IPC_ERROR_CLOSED);
}

static void
kill_some_time (Service *service, GRand *rand, IpcTestPeer *peer)
{
  guint n_messages = service->n_messages + (guint) g_rand_int_range (rand, 0, 40);

  ipc_test_wait_for (service->n_messages >= n_messages);
  ipc_test_peer_kill (peer);
  ipc_test_peer_free (peer);
}

static void
test_random_kills (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) bystander = client_open (path);
  g_autoptr (GRand) rand = ipc_test_rand_new ();
  guint n_fds = ipc_test_count_fds ();
  GQueue peers = G_QUEUE_INIT;

  ipc_test_set_deadline (60);
  for (guint i = 0; i < N_KILLS; i++)
    {
      g_queue_push_tail (&peers, ipc_test_peer_spawn ("hammer", (const char *[]) { path, NULL }));
      if (peers.length == AT_ONCE)
        kill_some_time (service, rand, g_queue_pop_nth (&peers, (guint) g_rand_int_range (rand, 0, AT_ONCE)));
      if (i % 20 == 0)
        client_check (bystander);
    }
  while (peers.length > 0)
    kill_some_time (service, rand, g_queue_pop_head (&peers));
  ipc_test_wait_for (ipc_server_get_n_clients (service->server) == 1);
  ipc_test_settle ();
  client_check (bystander);
  g_assert_cmpuint (service->n_connected, >, N_KILLS / 4);
  /* Some may have died before they were clients, with something to report. */
  g_assert_cmpuint (service->reasons->len, >=, service->n_connected - 1);
  g_assert_cmpuint (service->reasons->len, <=, N_KILLS);
  g_ptr_array_foreach (service->reasons, (GFunc) (void (*) (void)) assert_died, NULL);
  g_ptr_array_set_size (service->connections, 0);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
}

/* ── The server is killed ── */

static void
count (IpcClient *client, const GError *error, guint *n)
{
  (*n)++;
}

static void
test_server_killed (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = spawn_server (path, G_STRINGIFY (BURST));
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (Burst) burst = NULL;
  guint n_closed = 0;
  gint64 killed;

  g_signal_connect (client, "closed", G_CALLBACK (count), &n_closed);
  burst = burst_start (client, BURST, "hold", 100, -1);
  ipc_test_peer_expect (peer, "held");
  killed = g_get_monotonic_time ();
  ipc_test_peer_signal (peer, SIGKILL);
  ipc_test_wait_for (burst->n_done == BURST);
  g_assert_cmpint (g_get_monotonic_time () - killed, <, G_USEC_PER_SEC);
  for (guint i = 0; i < BURST; i++)
    assert_ipc_error (burst->errors[i], IPC_ERROR_UNCERTAIN, "outcome is unknown");
  ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED);
  ipc_test_settle ();
  g_assert_cmpuint (n_closed, ==, 1);
  ipc_test_peer_wait (peer);
}

/* With a server that takes nothing, a part of it has reached the kernel, and a part never did. */
static void
test_server_killed_with_unsent (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = spawn_server (path, NULL);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (Burst) burst = NULL;
  guint first_unsent = 0;

  ipc_test_peer_signal (peer, SIGSTOP);
  burst = burst_start (client, BURST, "hold", 30000, -1);
  ipc_test_settle ();
  g_assert_cmpuint (ipc_connection_get_queued_bytes (ipc_client_get_connection (client)), >, 0);
  ipc_test_peer_kill (peer);
  ipc_test_wait_for (burst->n_done == BURST);
  while (first_unsent < BURST && g_error_matches (burst->errors[first_unsent], IPC_ERROR, IPC_ERROR_UNCERTAIN))
    first_unsent++;
  g_test_message ("%u of %u may have got there", first_unsent, BURST);
  g_assert_cmpuint (first_unsent, >, 0);
  g_assert_cmpuint (first_unsent, <, BURST);
  for (guint i = first_unsent; i < BURST; i++)
    assert_ipc_error (burst->errors[i], IPC_ERROR_NOT_CONNECTED, "was not sent");
}

/* The same for whoever waits in a thread. */
static gpointer
ask_in_thread (gpointer data)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("hold", "");
  GError *error = NULL;

  g_assert_null (ipc_client_request (data, request, -1, NULL, &error));
  return error;
}

static void
test_server_killed_under_threads (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = spawn_server (path, "4");
  g_autoptr (IpcClient) client = client_open (path);
  GThread *threads[4];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("asker", ask_in_thread, client);
  ipc_test_peer_expect (peer, "held");
  ipc_test_peer_kill (peer);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      g_autoptr (GError) error = g_thread_join (threads[i]);

      assert_ipc_error (error, IPC_ERROR_UNCERTAIN, NULL);
    }
  ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED);
}

static void
test_server_comes_back (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));

  for (guint i = 0; i < 5; i++)
    {
      g_autoptr (IpcTestPeer) peer = spawn_server (path, NULL);
      g_autoptr (GError) error = NULL;
      g_autofree char *answer = NULL;

      client_try_open (client, &error);
      g_assert_no_error (error);
      client_check (client);
      ipc_test_peer_kill (peer);
      ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED);
      answer = client_ask (client, "echo", "anybody there", 1000, &error);
      assert_ipc_error (error, IPC_ERROR_NOT_CONNECTED, NULL);
    }
}

/* ── The server stops, and goes on ── */

static void
test_server_stopped (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = spawn_server (path, NULL);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (Burst) burst = NULL;

  client_check (client);
  ipc_test_peer_signal (peer, SIGSTOP);
  burst = burst_start (client, 20, "echo", 1000, 100);
  ipc_test_wait_for (burst->n_done == 20);
  for (guint i = 0; i < 20; i++)
    assert_ipc_error (burst->errors[i], IPC_ERROR_TIMED_OUT, "100 ms");
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_OPEN);
  ipc_test_peer_signal (peer, SIGCONT);
  /* behind the twenty late answers, which are nobody's */
  client_check (client);
  client_check (client);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_OPEN);
}

static void
test_server_stopped_sync (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = spawn_server (path, NULL);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "x");
  g_autoptr (IpcMessage) reply = NULL;

  ipc_test_peer_signal (peer, SIGSTOP);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (ipc_client_request (client, request, 50, NULL, &error));
      assert_ipc_error (error, IPC_ERROR_TIMED_OUT, NULL);
    }
  ipc_test_peer_signal (peer, SIGCONT);
  reply = ipc_client_request (client, request, 10000, NULL, NULL);
  g_assert_nonnull (reply);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, "x");
  client_check (client);
}

/* ── SIGPIPE ── */

static void
set_sigpipe (void (*handler) (int))
{
  struct sigaction action = { .sa_handler = handler };

  g_assert_no_errno (sigaction (SIGPIPE, &action, NULL));
}

static void
test_sigpipe_in_server (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) bystander = client_open (path);

  /* GLib ignores it as soon as there is a socket of its own */
  set_sigpipe (SIG_DFL);
  for (guint i = 1; i <= 20; i++)
    {
      g_autoptr (Raw) raw = raw_connect_client (path);

      for (guint serial = 1; serial <= i; serial++)
        raw_send_request (raw, serial, "echo", "you will not get rid of it");
      shutdown (raw->fd, i % 2 == 0 ? SHUT_RD : SHUT_RDWR);
      g_clear_pointer (&raw, raw_free);
      assert_died (service_wait_disconnected (service, i));
      client_check (bystander);
    }
  set_sigpipe (SIG_IGN);
}

static void
test_sigpipe_in_client (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);

  set_sigpipe (SIG_DFL);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
      g_auto (IpcTestAsync) async = { 0 };
      g_autoptr (IpcMessage) message = ipc_message_new_text ("echo", "");
      g_autoptr (Raw) raw = NULL;

      ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
      raw = raw_accept (listen_fd);
      raw_expect_hello (raw);
      raw_send_hello (raw);
      g_assert_true (ipc_client_open_finish (client, ipc_test_async_wait (&async), NULL));
      g_clear_pointer (&raw, raw_free);
      /* it does not know yet */
      g_assert_true (ipc_client_send (client, message, NULL));
      ipc_connection_flush (ipc_client_get_connection (client), NULL, NULL);
      ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED);
    }
  set_sigpipe (SIG_IGN);
  close (listen_fd);
}

static const IpcTestRole roles[] = {
  { "server", play_server },
  { "raw-client", play_raw_client },
  { "asker", play_asker },
  { "hammer", play_hammer },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/process/client-killed/in-handshake", test_killed_in_handshake);
  ipc_test_add ("/socket/process/client-killed/in-frame", test_killed_in_frame);
  ipc_test_add ("/socket/process/client-killed/with-deferred-replies", test_killed_with_deferred_replies);
  ipc_test_add ("/socket/process/client-killed/then-dropped", test_killed_then_dropped);
  ipc_test_add ("/socket/process/client-killed/in-reply", test_killed_in_reply);
  ipc_test_add ("/socket/process/client-killed/at-random", test_random_kills);
  ipc_test_add ("/socket/process/server-killed/requests-fail", test_server_killed);
  ipc_test_add ("/socket/process/server-killed/some-unsent", test_server_killed_with_unsent);
  ipc_test_add ("/socket/process/server-killed/under-threads", test_server_killed_under_threads);
  ipc_test_add ("/socket/process/server-killed/comes-back", test_server_comes_back);
  ipc_test_add ("/socket/process/server-stopped/async", test_server_stopped);
  ipc_test_add ("/socket/process/server-stopped/sync", test_server_stopped_sync);
  ipc_test_add ("/socket/process/sigpipe/server", test_sigpipe_in_server);
  ipc_test_add ("/socket/process/sigpipe/client", test_sigpipe_in_client);
  return ipc_test_run ();
}
