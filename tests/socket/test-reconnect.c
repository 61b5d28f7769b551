/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Servers that are killed and come back, or die before they have let anybody in; and clients that are closed while a
 * thread waits in them.
 */
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "socket-test.h"

#define N_CLIENTS 100
#define N_KILLS 15
#define N_REQUESTS 50

/* ── A server process ── */

static gboolean
stdin_is_over (int fd, GIOCondition condition, gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static int
play_server (char **arguments)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (Service) service = service_start_at (arguments[0]);

  ipc_test_tell ("up");
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, stdin_is_over, loop);
  g_main_loop_run (loop);
  return 0;
}

static IpcTestPeer *
spawn_server (const char *path)
{
  IpcTestPeer *peer = ipc_test_peer_spawn ("server", (const char *[]) { path, NULL });

  ipc_test_peer_expect (peer, "up");
  return peer;
}

static IpcClient *
open_reconnecting (const char *path)
{
  IpcClient *client = client_open (path);

  ipc_client_set_reconnect (client, TRUE);
  return client;
}

static gboolean
is_in (IpcClient *client, IpcClientState state)
{
  return ipc_client_get_state (client) == state;
}

/* ── A server that is killed ── */

static guint
count_in (GPtrArray *clients, IpcClientState state)
{
  guint n = 0;

  for (guint i = 0; i < clients->len; i++)
    n += is_in (clients->pdata[i], state);
  return n;
}

static void
note_delay (IpcClient *client, const GError *error, GHashTable *delays)
{
  g_hash_table_add (delays, GSIZE_TO_POINTER (client->backoff.last));
  g_assert_cmpint (client->backoff.last, >=, 37500);
  g_assert_cmpint (client->backoff.last, <=, 62500);
}

/* They all lose it in the same instant, and do not come back in one. */
static void
test_many_clients (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) server = spawn_server (path);
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GHashTable) delays = g_hash_table_new (NULL, NULL);

  for (guint i = 0; i < N_CLIENTS; i++)
    {
      g_ptr_array_add (clients, open_reconnecting (path));
      g_signal_connect (clients->pdata[i], "closed", G_CALLBACK (note_delay), delays);
    }
  ipc_test_peer_kill (server);
  g_clear_pointer (&server, ipc_test_peer_free);
  ipc_test_wait_for (count_in (clients, IPC_CLIENT_STATE_OPEN) == 0);
  ipc_test_settle ();
  g_assert_cmpuint (g_hash_table_size (delays), >, N_CLIENTS / 2);
  server = spawn_server (path);
  ipc_test_wait_for (count_in (clients, IPC_CLIENT_STATE_OPEN) == N_CLIENTS);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      client_check (clients->pdata[i]);
      g_signal_handlers_disconnect_by_data (clients->pdata[i], delays);
    }
}

/* Each request has one end: a reply, or an error that says whether it may have been carried out. */
static void
test_kill_loop (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) server = spawn_server (path);
  g_autoptr (IpcClient) client = open_reconnecting (path);
  g_autoptr (GRand) rand = ipc_test_rand_new ();

  ipc_test_set_deadline (90);
  ipc_client_set_wait_for_server (client, TRUE);
  for (guint i = 0; i < N_KILLS; i++)
    {
      g_autoptr (Burst) burst = burst_start (client, N_REQUESTS, "echo", (gsize) g_rand_int_range (rand, 1, 4000), 10000);

      ipc_test_iterate ((guint) g_rand_int_range (rand, 0, 8));
      ipc_test_peer_kill (server);
      g_clear_pointer (&server, ipc_test_peer_free);
      ipc_test_wait_for (burst->n_done == N_REQUESTS);
      for (guint n = 0; n < N_REQUESTS; n++)
        {
          g_assert_cmpuint (burst->n_callbacks[n], ==, 1);
          if (burst->errors[n] != NULL && !g_error_matches (burst->errors[n], IPC_ERROR, IPC_ERROR_UNCERTAIN))
            assert_ipc_error (burst->errors[n], IPC_ERROR_NOT_CONNECTED, NULL);
        }
      server = spawn_server (path);
      ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPEN));
      client_check (client);
    }
}

/* ── Servers that are none of ours ── */

static void
listener_close (int listen_fd, const char *path)
{
  close (listen_fd);
  g_unlink (path);
}

/* Runs until the client has said HELLO. */
static Raw *
accept_hello (int listen_fd)
{
  Raw *raw = raw_accept (listen_fd);
  int size = 0;

  ipc_test_wait_for (ioctl (raw->fd, FIONREAD, &size) == 0 && size > IPC_PREAMBLE_SIZE);
  return raw;
}

/* What is sent and not read is known to the client as not being taken; what is not sent, as safe to repeat. */
static void
test_sent_and_not_sent (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (Raw) raw = NULL;
  g_autoptr (Burst) burst = NULL;
  guint n_uncertain = 0;

  ipc_client_set_reconnect (client, TRUE);
  ipc_client_open_async (client, NULL, NULL, NULL);
  raw = accept_hello (listen_fd);
  g_assert_true (raw_send_hello (raw));
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPEN));
  /* more than the kernel takes */
  burst = burst_start (client, 40, "x", 50000, -1);
  ipc_test_settle ();
  listener_close (listen_fd, path);
  g_clear_pointer (&raw, raw_free);
  ipc_test_wait_for (burst->n_done == 40);
  for (guint i = 0; i < 40; i++)
    {
      gboolean uncertain = g_error_matches (burst->errors[i], IPC_ERROR, IPC_ERROR_UNCERTAIN);

      if (!uncertain)
        assert_ipc_error (burst->errors[i], IPC_ERROR_NOT_CONNECTED, "not sent");
      g_assert_true (!uncertain || n_uncertain == i);
      n_uncertain += uncertain;
    }
  g_assert_cmpuint (n_uncertain, >, 0);
  g_assert_cmpuint (n_uncertain, <, 40);
  g_assert_true (is_in (client, IPC_CLIENT_STATE_WAITING));
}

/* A server that speaks another version does not learn ours by waiting. */
static void
test_other_version (IpcTest *test)
{
  const char other[] = { 0, 'I', 'P', 'C', 2, '\r', '\n', 0 };
  g_autofree char *path = socket_path (test);
  g_autoptr (Service) service = service_start_at (path);
  g_autoptr (IpcClient) client = open_reconnecting (path);
  g_autoptr (Raw) raw = NULL;
  int listen_fd;

  ipc_server_stop (service->server);
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_WAITING));
  listen_fd = raw_listen (path);
  raw = accept_hello (listen_fd);
  g_assert_true (raw_send (raw, other, sizeof other));
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_CLOSED));
  listener_close (listen_fd, path);
}

/* ── Death before HELLO ── */

static void
refuse (Raw *raw)
{
  char waste[4096];

  shutdown (raw->fd, SHUT_RDWR);
  while (recv (raw->fd, waste, sizeof waste, MSG_DONTWAIT) > 0)
    ;
  raw_free (raw);
}

static void
test_died_and_refused (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
      g_auto (IpcTestAsync) async = { 0 };
      g_autoptr (GError) error = NULL;

      ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
      if (i == 0)
        raw_free (accept_hello (listen_fd));
      else
        refuse (accept_hello (listen_fd));
      g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
      assert_ipc_error (error, i == 0 ? IPC_ERROR_NO_SERVER : IPC_ERROR_PERMISSION_DENIED,
                        i == 0 ? "went away before it said HELLO" : "does not admit us");
    }
  listener_close (listen_fd, path);
}

/* Nobody has taken the connection, when the server dies. */
static void
test_died_in_backlog (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GError) error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPENING));
  listener_close (listen_fd, path);
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_NO_SERVER, NULL);
}

static void
test_waits_on (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (Service) service = NULL;
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GError) error = NULL;

  ipc_client_set_wait_for_server (client, TRUE);
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  for (guint i = 0; i < 3; i++)
    {
      raw_free (accept_hello (listen_fd));
      ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_WAITING));
    }
  refuse (accept_hello (listen_fd));
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_WAITING));
  listener_close (listen_fd, path);
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  service = service_start_at (path);
  g_assert_true (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  g_assert_no_error (error);
  client_check (client);
}

static void
test_refused_twice (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GError) error = NULL;

  ipc_client_set_wait_for_server (client, TRUE);
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  refuse (accept_hello (listen_fd));
  refuse (accept_hello (listen_fd));
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, "does not admit us");
  listener_close (listen_fd, path);
}

/* A listener that accepts nobody, and whose queue is full. */
static Raw *
fill_queue (const char *path, int *listen_fd)
{
  *listen_fd = raw_listen (path);
  g_assert_no_errno (listen (*listen_fd, 0));
  return raw_connect (path);
}

static void
test_no_room (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd;
  g_autoptr (Raw) only = fill_queue (path, &listen_fd);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));

  client->limits.handshake_timeout = 100;
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (GError) error = NULL;

      if (i < 2)
        error = client_fail_open (client);
      else
        g_assert_false (ipc_client_open (client, NULL, &error));
      assert_ipc_error (error, IPC_ERROR_TIMED_OUT, SOCKET_NAME ": too many clients connect at once, and none was taken within 100 ms");
    }
  listener_close (listen_fd, path);
}

/* There is room again before the time is over. */
static void
test_room_again (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd;
  g_autoptr (Raw) only = fill_queue (path, &listen_fd);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (Raw) first = NULL;
  g_autoptr (Raw) taken = NULL;
  g_autoptr (GError) error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  first = raw_accept (listen_fd);
  taken = accept_hello (listen_fd);
  refuse (g_steal_pointer (&taken));
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_PERMISSION_DENIED, "does not admit us");
  listener_close (listen_fd, path);
}

/* ── In a thread that waits ── */

typedef struct
{
  IpcClient *client;   /* (owned) */
  IpcMessage *request; /* (owned) (nullable) asked once it is open */
  GThread *thread;
  gboolean opened;
  GError *error;       /* (owned) (nullable) */
  gint done;           /* (atomic) */
} Waiter;

static gpointer
open_or_ask (gpointer data)
{
  Waiter *self = data;
  g_autoptr (IpcMessage) reply = NULL;

  if (self->request != NULL)
    reply = ipc_client_request (self->client, self->request, -1, NULL, &self->error);
  else
    self->opened = ipc_client_open (self->client, NULL, &self->error);
  g_atomic_int_set (&self->done, TRUE);
  return NULL;
}

static void
waiter_start (Waiter *self)
{
  self->thread = g_thread_new ("waiter", open_or_ask, self);
}

/* Without a main loop that could help. */
static void
waiter_join (Waiter *self)
{
  g_clear_pointer (&self->thread, g_thread_join);
  g_assert_true (g_atomic_int_get (&self->done));
}

static void
waiter_clear (Waiter *self)
{
  g_clear_error (&self->error);
  g_clear_pointer (&self->request, ipc_message_unref);
  g_clear_object (&self->client);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Waiter, waiter_clear)

static void
test_sync_waits_on (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcTestPeer) server = NULL;
  g_auto (Waiter) waiter = { 0 };

  waiter.client = IPC_CLIENT (ipc_socket_client_new (path));
  ipc_client_set_wait_for_server (waiter.client, TRUE);
  waiter_start (&waiter);
  for (guint i = 0; i < 3; i++)
    raw_free (accept_hello (listen_fd));
  refuse (accept_hello (listen_fd));
  ipc_test_wait_for (is_in (waiter.client, IPC_CLIENT_STATE_WAITING));
  listener_close (listen_fd, path);
  server = spawn_server (path);
  waiter_join (&waiter);
  g_assert_no_error (waiter.error);
  g_assert_true (waiter.opened);
  client_check (waiter.client);
}

/* Opened by a thread, brought back by the main loop. */
static void
test_sync_reconnects (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) server = spawn_server (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (GError) error = NULL;

  ipc_client_set_reconnect (client, TRUE);
  g_assert_true (ipc_client_open (client, NULL, &error));
  ipc_test_peer_kill (server);
  g_clear_pointer (&server, ipc_test_peer_free);
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_WAITING));
  server = spawn_server (path);
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPEN));
  client_check (client);
}

static void
close_ends (Waiter *self, IpcError code, const char *text)
{
  ipc_client_close (self->client);
  waiter_join (self);
  assert_ipc_error (self->error, code, text);
}

static void
test_close_ends_waiting (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_auto (Waiter) waiter = { 0 };
  g_autoptr (GError) error = NULL;

  waiter.client = IPC_CLIENT (ipc_socket_client_new (path));
  ipc_client_set_wait_for_server (waiter.client, TRUE);
  waiter_start (&waiter);
  ipc_test_wait_for (is_in (waiter.client, IPC_CLIENT_STATE_WAITING));
  close_ends (&waiter, IPC_ERROR_CLOSED, "closed while opening");
  g_assert_true (is_in (waiter.client, IPC_CLIENT_STATE_CLOSED));
  ipc_client_set_wait_for_server (waiter.client, FALSE);
  g_assert_false (ipc_client_open (waiter.client, NULL, &error));
  assert_ipc_error (error, IPC_ERROR_NO_SERVER, NULL);
}

static void
test_close_ends_handshake (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (Raw) raw = NULL;
  g_auto (Waiter) waiter = { 0 };

  waiter.client = IPC_CLIENT (ipc_socket_client_new (path));
  waiter_start (&waiter);
  raw = accept_hello (listen_fd);
  close_ends (&waiter, IPC_ERROR_CLOSED, "closed while opening");
  g_assert_true (is_in (waiter.client, IPC_CLIENT_STATE_CLOSED));
  listener_close (listen_fd, path);
}

/* At no moment in particular. */
static void
test_close_ends_opening (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) server = spawn_server (path);

  for (guint i = 0; i < 200; i++)
    {
      g_auto (Waiter) waiter = { 0 };

      waiter.client = IPC_CLIENT (ipc_socket_client_new (path));
      waiter_start (&waiter);
      while (is_in (waiter.client, IPC_CLIENT_STATE_CLOSED) && !g_atomic_int_get (&waiter.done))
        ;
      for (volatile guint n = 0; n < i * 200; n++)
        ;
      ipc_client_close (waiter.client);
      waiter_join (&waiter);
      if (!waiter.opened)
        assert_ipc_error (waiter.error, IPC_ERROR_CLOSED, NULL);
      ipc_test_wait_for (is_in (waiter.client, IPC_CLIENT_STATE_CLOSED));
    }
}

/* Somebody who listens, so that closing is left to the main loop. */
static void
ignore_closed (IpcClient *client, const GError *error, gpointer unused)
{
}

static void
test_close_ends_request (IpcTest *test)
{
  g_autofree char *path = socket_path (test);

  /* the second is so large that closing has something to write for a while */
  for (guint i = 0; i < 2; i++)
    {
      int listen_fd = raw_listen (path);
      g_autoptr (Raw) raw = NULL;
      g_autofree char *text = g_strnfill (i == 0 ? 10 : 2000000, 'x');
      g_auto (Waiter) waiter = { 0 };
      int size = 0, before = 0;

      waiter.client = IPC_CLIENT (ipc_socket_client_new (path));
      waiter.request = ipc_message_new_text ("x", text);
      ipc_client_open_async (waiter.client, NULL, NULL, NULL);
      raw = accept_hello (listen_fd);
      g_assert_true (raw_send_hello (raw));
      ipc_test_wait_for (is_in (waiter.client, IPC_CLIENT_STATE_OPEN));
      g_signal_connect (waiter.client, "closed", G_CALLBACK (ignore_closed), NULL);
      g_assert_no_errno (ioctl (raw->fd, FIONREAD, &before));
      waiter_start (&waiter);
      ipc_test_wait_for (ioctl (raw->fd, FIONREAD, &size) == 0 && size > before);
      close_ends (&waiter, IPC_ERROR_UNCERTAIN, NULL);
      listener_close (listen_fd, path);
      g_clear_pointer (&raw, raw_free);
      ipc_test_wait_for (is_in (waiter.client, IPC_CLIENT_STATE_CLOSED));
    }
}

static const IpcTestRole roles[] = {
  { "server", play_server },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/reconnect/many-clients", test_many_clients);
  ipc_test_add ("/socket/reconnect/kill-loop", test_kill_loop);
  ipc_test_add ("/socket/reconnect/sent-and-not-sent", test_sent_and_not_sent);
  ipc_test_add ("/socket/reconnect/other-version", test_other_version);
  ipc_test_add ("/socket/reconnect/died-and-refused", test_died_and_refused);
  ipc_test_add ("/socket/reconnect/died-in-backlog", test_died_in_backlog);
  ipc_test_add ("/socket/reconnect/no-room", test_no_room);
  ipc_test_add ("/socket/reconnect/room-again", test_room_again);
  ipc_test_add ("/socket/reconnect/waits-on", test_waits_on);
  ipc_test_add ("/socket/reconnect/refused-twice", test_refused_twice);
  ipc_test_add ("/socket/reconnect/sync/waits-on", test_sync_waits_on);
  ipc_test_add ("/socket/reconnect/sync/reconnects", test_sync_reconnects);
  ipc_test_add ("/socket/reconnect/sync/close-ends-waiting", test_close_ends_waiting);
  ipc_test_add ("/socket/reconnect/sync/close-ends-handshake", test_close_ends_handshake);
  ipc_test_add ("/socket/reconnect/sync/close-ends-opening", test_close_ends_opening);
  ipc_test_add ("/socket/reconnect/sync/close-ends-request", test_close_ends_request);
  return ipc_test_run ();
}
