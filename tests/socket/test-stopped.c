/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Processes that are there and do nothing: stopped by a signal, or silent in the middle of a handshake. And servers
 * that stop in an orderly way, with work under way.
 */
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "messaging/ipc-server-private.h"
#include "socket-test.h"

#define INTERVAL 400 /* long enough for a busy machine to answer in */
#define INTERVAL_TEXT "400"

static gboolean
is_in (IpcClient *client, IpcClientState state)
{
  return ipc_client_get_state (client) == state;
}

static void
note_error (IpcClient *client, const GError *error, GError **noted)
{
  if (*noted == NULL && error != NULL)
    *noted = g_error_copy (error);
}

/* ── Peers ── */

typedef struct
{
  Service *service;
  GMainLoop *loop;
} Play;

static gboolean
on_command (int fd, GIOCondition condition, gpointer data)
{
  Play *play = data;
  char buffer[64];

  if (read (fd, buffer, sizeof buffer) > 0)
    return G_SOURCE_CONTINUE;
  g_main_loop_quit (play->loop);
  return G_SOURCE_REMOVE;
}

/* PATH: until its input ends. */
static int
play_server (char **arguments)
{
  g_autoptr (Service) service = service_start_at (arguments[0]);
  Play play = { service, g_main_loop_new (NULL, FALSE) };

  ipc_test_tell ("up");
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, on_command, &play);
  g_main_loop_run (play.loop);
  g_main_loop_unref (play.loop);
  return 0;
}

static void
tell_closed (IpcClient *client, const GError *error, gpointer unused)
{
  ipc_test_tell ("closed");
}

static void
tell_open (IpcClient *client, GParamSpec *pspec, gpointer unused)
{
  if (is_in (client, IPC_CLIENT_STATE_OPEN))
    ipc_test_tell ("open");
}

/* PATH: a client that reconnects, until its input ends. */
static int
play_client (char **arguments)
{
  g_autoptr (IpcClient) client = client_open (arguments[0]);
  Play play = { NULL, g_main_loop_new (NULL, FALSE) };

  ipc_client_set_reconnect (client, TRUE);
  ipc_test_tell ("open");
  g_signal_connect (client, "closed", G_CALLBACK (tell_closed), NULL);
  g_signal_connect (client, "notify::state", G_CALLBACK (tell_open), NULL);
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, on_command, &play);
  g_main_loop_run (play.loop);
  g_main_loop_unref (play.loop);
  return 0;
}

static IpcTestPeer *
spawn (const char *role, const char *path, const char *first)
{
  IpcTestPeer *peer = ipc_test_peer_spawn (role, (const char *[]) { path, NULL });

  ipc_test_peer_expect (peer, first);
  return peer;
}

/* ── Stopped ── */

/* A stopped server still takes connections into its backlog; nobody is taken in by that. */
static void
test_server (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) server = spawn ("server", path, "up");
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (IpcMessage) request = ipc_message_new_text ("hold", "");
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) request_error = NULL;

  ipc_client_set_reconnect (client, TRUE);
  ipc_client_set_keep_alive_interval (client, INTERVAL);
  g_assert_true (client_try_open (client, &error));
  client->limits.handshake_timeout = 100;
  g_signal_connect (client, "closed", G_CALLBACK (note_error), &error);
  ipc_client_request_async (client, request, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_peer_signal (server, SIGSTOP);
  g_assert_null (ipc_client_request_finish (client, ipc_test_async_wait (&async), &request_error));
  assert_ipc_error (request_error, IPC_ERROR_UNCERTAIN, "keep-alive interval of " INTERVAL_TEXT " ms");
  ipc_test_wait_for (error != NULL);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  /* it tries, and does not get through the handshake */
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPENING));
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_WAITING));
  ipc_test_peer_signal (server, SIGCONT);
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPEN));
  client_check (client);
}

static void
test_client (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Service) service = service_new (path);
  g_autoptr (IpcTestPeer) client = NULL;
  g_autoptr (IpcClient) bystander = NULL;

  ipc_server_set_keep_alive_interval (service->server, INTERVAL);
  g_assert_true (ipc_server_start (service->server, NULL));
  client = spawn ("client", path, "open");
  bystander = client_open (path);
  ipc_test_peer_signal (client, SIGSTOP);
  assert_ipc_error (service_wait_disconnected (service, 1), IPC_ERROR_TIMED_OUT, "keep-alive interval");
  client_check (bystander);
  g_assert_cmpuint (ipc_server_get_n_clients (service->server), ==, 1);
  ipc_test_peer_signal (client, SIGCONT);
  ipc_test_peer_expect (client, "closed");
  ipc_test_peer_expect (client, "open");
  ipc_test_wait_for (ipc_server_get_n_clients (service->server) == 2);
}

/* ── Silent ── */

static void
test_handshake (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Service) service = service_new (path);
  g_autoptr (IpcClient) bystander = NULL;
  g_autoptr (Raw) silent = NULL;
  g_autoptr (Raw) half = NULL;

  g_assert_true (ipc_server_start (service->server, NULL));
  bystander = client_open (path);
  service->server->limits.handshake_timeout = 30;
  silent = raw_connect (path);
  raw_expect_end (silent);
  assert_ipc_error (service_wait_disconnected (service, 1), IPC_ERROR_TIMED_OUT, "no HELLO within 0.03 s");
  half = raw_connect (path);
  g_assert_true (raw_send (half, ipc_preamble, 5));
  raw_expect_end (half);
  assert_ipc_error (service_wait_disconnected (service, 2), IPC_ERROR_TIMED_OUT, "no HELLO within 0.03 s");
  client_check (bystander);
}

/* Of a server, in both ways of opening. */
static void
test_silent_server (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) sync_error = NULL;

  client->limits.handshake_timeout = 30;
  error = client_fail_open (client);
  assert_ipc_error (error, IPC_ERROR_TIMED_OUT, "no HELLO within 0.03 s");
  g_assert_false (ipc_client_open (client, NULL, &sync_error));
  assert_ipc_error (sync_error, IPC_ERROR_TIMED_OUT, "no HELLO within");
  close (listen_fd);
}

/* ── A server that asks for answers and does not take them ── */

static void
test_ping_flood (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (Raw) raw = NULL;
  g_autoptr (GError) error = NULL;
  const IpcFrame ping = { .kind = IPC_FRAME_PING };

  ipc_client_set_max_queued_bytes (client, 10000);
  ipc_client_set_max_message_size (client, 10000);
  g_signal_connect (client, "closed", G_CALLBACK (note_error), &error);
  ipc_client_open_async (client, NULL, NULL, NULL);
  raw = raw_accept (listen_fd);
  g_assert_true (raw_send_hello (raw));
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPEN));
  while (error == NULL && raw_send_frame (raw, &ping, NULL, NULL, 0))
    ipc_test_iterate (1);
  ipc_test_wait_for (error != NULL);
  assert_ipc_error (error, IPC_ERROR_FULL, "exceed the limit of 20000");
  close (listen_fd);
}

static const IpcTestRole roles[] = {
  { "server", play_server },
  { "client", play_client },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/stopped/server", test_server);
  ipc_test_add ("/socket/stopped/client", test_client);
  ipc_test_add ("/socket/stopped/handshake", test_handshake);
  ipc_test_add ("/socket/stopped/silent-server", test_silent_server);
  ipc_test_add ("/socket/stopped/ping-flood", test_ping_flood);
  return ipc_test_run ();
}
