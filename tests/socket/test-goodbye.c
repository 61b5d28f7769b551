/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GOODBYE: what is promised is kept, what crosses it is safe to repeat, in both roles; and servers that stop in an
 * orderly way with work under way.
 */
#include <glib-unix.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "messaging/ipc-server-private.h"
#include "socket-test.h"

#define N_HELD 20

static gboolean
is_in (IpcClient *client, IpcClientState state)
{
  return ipc_client_get_state (client) == state;
}

/* The server's side of its only client. */
static IpcConnection *
get_far (Service *service)
{
  GListModel *connections = ipc_server_get_connections (service->server);

  g_assert_cmpuint (g_list_model_get_n_items (connections), ==, 1);
  return g_list_model_get_item (connections, 0);
}

static void
count_closed (IpcClient *client, const GError *error, guint *n)
{
  g_assert_no_error (error);
  ++*n;
}

static IpcMessage *
count (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer n, GError **error)
{
  ++*(guint *) n;
  return NULL;
}

static void
assert_not_taken (Burst *burst, const char *text)
{
  for (guint i = 0; i < burst->n; i++)
    {
      g_assert_cmpuint (burst->n_callbacks[i], ==, 1);
      assert_ipc_error (burst->errors[i], IPC_ERROR_NOT_CONNECTED, text);
    }
}

/* ── A server that stops ── */

static void
test_promise_is_kept (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (Burst) held = burst_start (client, N_HELD, "hold", 100, 10000);
  g_autoptr (Burst) late = NULL;
  g_autoptr (IpcMessage) news = ipc_message_new_text ("news", "");
  g_auto (IpcTestAsync) stopped = { 0 };
  guint n_closed = 0, n_news = 0, n_events = 0;

  g_signal_connect (client, "closed", G_CALLBACK (count_closed), &n_closed);
  ipc_client_add_handler (client, "news", count, &n_news, NULL);
  ipc_server_add_handler (service->server, "news", count, &n_events, NULL);
  ipc_test_wait_for (service->held->len == N_HELD);
  ipc_server_stop_async (service->server, NULL, ipc_test_async_cb, &stopped);
  ipc_test_settle ();
  /* nothing new, at once and without a word to the server; and events as before */
  late = burst_start (client, 3, "echo", 1, 10000);
  ipc_test_wait_for (late->n_done == 3);
  assert_not_taken (late, "takes no new requests");
  g_assert_true (is_in (client, IPC_CLIENT_STATE_OPEN));
  g_assert_true (ipc_client_send (client, news, NULL));
  g_assert_cmpuint (ipc_server_broadcast (service->server, news, NULL), ==, 1);
  ipc_test_wait_for (n_news == 1 && n_events == 1);
  g_assert_cmpuint (stopped.n_callbacks, ==, 0);
  g_assert_cmpuint (n_closed, ==, 0);
  g_assert_true (service_release (service));
  g_assert_true (ipc_server_stop_finish (service->server, ipc_test_async_wait (&stopped), NULL));
  ipc_test_wait_for (n_closed == 1);
  g_assert_cmpuint (held->n_replies, ==, N_HELD);
  g_assert_cmpuint (service->n_messages, ==, N_HELD);
}

/* They are in the kernel when the server says GOODBYE; it never looks at them. */
static void
test_crossing (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (IpcConnection) near = g_object_ref (ipc_client_get_connection (client));
  g_autoptr (IpcConnection) far = get_far (service);
  g_autoptr (Burst) held = burst_start (client, 2, "hold", 10, 10000);
  g_autoptr (Burst) crossing = NULL;

  ipc_test_wait_for (service->held->len == 2);
  crossing = burst_start (client, 5, "echo", 10, 10000);
  g_mutex_lock (&near->lock);
  ipc_connection_flush_locked (near);
  g_assert_cmpuint (near->outbox.queued, ==, 0);
  g_mutex_unlock (&near->lock);
  ipc_connection_drain (far);
  ipc_connection_drain (far);
  ipc_test_wait_for (crossing->n_done == 5);
  assert_not_taken (crossing, "did not take the request");
  g_assert_cmpuint (held->n_done, ==, 0);
  g_assert_true (service_release (service));
  ipc_test_wait_for (held->n_replies == 2);
  g_assert_cmpuint (service->n_messages, ==, 2);
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_CLOSED));
}

/* It stops at every iteration of its life; a request has a reply, or was not taken. */
static void
test_at_each_iteration (IpcTest *test)
{
  for (guint k = 0; k <= 20; k++)
    {
      g_autoptr (Service) service = service_start (test);
      g_autofree char *path = socket_path (test);
      g_autoptr (IpcClient) client = client_open (path);
      g_autoptr (Burst) burst = burst_start (client, 200, "echo", 10, 10000);
      g_auto (IpcTestAsync) stopped = { 0 };

      ipc_test_iterate (k);
      ipc_server_stop_async (service->server, NULL, ipc_test_async_cb, &stopped);
      g_assert_true (ipc_server_stop_finish (service->server, ipc_test_async_wait (&stopped), NULL));
      ipc_test_wait_for (burst->n_done == 200);
      g_assert_cmpuint (burst->n_replies, ==, service->n_messages);
      for (guint i = 0; i < 200; i++)
        if (burst->errors[i] != NULL)
          assert_ipc_error (burst->errors[i], IPC_ERROR_NOT_CONNECTED, NULL);
      ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_CLOSED));
    }
}

static IpcMessage *
stop_and_answer (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer stopped, GError **error)
{
  ipc_server_stop_async (server, NULL, ipc_test_async_cb, stopped);
  /* a handler that runs the loop, with its own request unanswered */
  ipc_test_iterate (10);
  return ipc_message_new_text ("stopped", "yes");
}

static void
test_stopped_by_request (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  g_autofree char *answer = NULL;
  g_auto (IpcTestAsync) stopped = { 0 };
  g_autoptr (GError) error = NULL;

  ipc_server_add_handler (service->server, "stop", stop_and_answer, &stopped, NULL);
  answer = client_ask (client, "stop", "", 10000, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (answer, ==, "yes");
  g_assert_true (ipc_server_stop_finish (service->server, ipc_test_async_wait (&stopped), NULL));
}

/* Somebody does not answer. */
static void
test_no_answer (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (Burst) held = burst_start (client, 1, "hold", 1, -1);
  g_auto (IpcTestAsync) stopped = { 0 };

  ipc_test_wait_for (service->held->len == 1);
  ipc_server_set_request_timeout (service->server, 50);
  ipc_server_stop_async (service->server, NULL, ipc_test_async_cb, &stopped);
  g_assert_true (ipc_server_stop_finish (service->server, ipc_test_async_wait (&stopped), NULL));
  ipc_test_wait_for (held->n_done == 1);
  assert_ipc_error (held->errors[0], IPC_ERROR_UNCERTAIN, NULL);
}

static void
expect_line (Raw *raw, const char *part)
{
  g_autofree char *line = NULL;
  guint8 *end;

  ipc_test_wait_for (raw_wait (raw, 1) && memchr (raw->in->data, '\n', raw->in->len) != NULL);
  end = memchr (raw->in->data, '\n', raw->in->len);
  line = g_strndup ((const char *) raw->in->data, (gsize) (end - raw->in->data));
  assert_text (line, part);
  g_byte_array_remove_range (raw->in, 0, (guint) (end - raw->in->data) + 1);
}

static void
test_json (IpcTest *test)
{
  const char *hold = "{\"id\":\"1\",\"message_type\":\"hold\",\"payload\":\"kept\"}";
  const char *echo = "{\"id\":\"2\",\"message_type\":\"echo\",\"payload\":\"\"}";
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (Raw) raw = raw_connect (path);
  g_auto (IpcTestAsync) stopped = { 0 };

  g_assert_true (raw_send (raw, hold, strlen (hold)));
  ipc_test_wait_for (service->held->len == 1);
  ipc_server_stop_async (service->server, NULL, ipc_test_async_cb, &stopped);
  g_assert_true (raw_send (raw, echo, strlen (echo)));
  expect_line (raw, "\"code\":\"closed\"");
  g_assert_true (service_release (service));
  expect_line (raw, "\"held_response\"");
  raw_expect_end (raw);
  g_assert_true (ipc_server_stop_finish (service->server, ipc_test_async_wait (&stopped), NULL));
  g_assert_cmpuint (service->n_messages, ==, 1);
}

/* What was asked is answered; what was not taken can be asked again, of the next server. */
static void
test_reconnects (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Service) service = service_start_at (path);
  g_autoptr (Service) next = NULL;
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (Burst) held = burst_start (client, 1, "hold", 1, -1);
  g_autoptr (Burst) late = NULL;
  g_auto (IpcTestAsync) stopped = { 0 };
  guint n_closed = 0;

  ipc_client_set_reconnect (client, TRUE);
  ipc_client_set_wait_for_server (client, TRUE);
  g_signal_connect (client, "closed", G_CALLBACK (count_closed), &n_closed);
  ipc_test_wait_for (service->held->len == 1);
  ipc_server_stop_async (service->server, NULL, ipc_test_async_cb, &stopped);
  /* the address is free while the old server still answers */
  next = service_start_at (path);
  ipc_test_settle ();
  late = burst_start (client, 1, "echo", 1, -1);
  ipc_test_wait_for (late->n_done == 1);
  assert_not_taken (late, NULL);
  g_assert_true (is_in (client, IPC_CLIENT_STATE_OPEN));
  g_assert_true (service_release (service));
  g_assert_true (ipc_server_stop_finish (service->server, ipc_test_async_wait (&stopped), NULL));
  ipc_test_wait_for (next->n_connected == 1);
  g_assert_cmpuint (held->n_replies, ==, 1);
  g_assert_cmpuint (n_closed, ==, 1);
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPEN));
  client_check (client);
}

/* ── The other way round ── */

typedef struct
{
  guint n_callbacks;
  GError *error;
} Answer;

static void
note_answer (IpcConnection *connection, IpcMessage *reply, const GError *error, gpointer data)
{
  Answer *answer = data;

  answer->n_callbacks++;
  answer->error = error != NULL ? g_error_copy (error) : NULL;
}

static void
ask (IpcConnection *connection, const char *type, Answer *answer)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text (type, "");

  ipc_connection_request_with_callback (connection, request, -1, NULL, note_answer, answer);
}

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer kept, GError **error)
{
  g_ptr_array_add (kept, ipc_message_ref (request));
  return NULL;
}

/* A client says it, and the server asks across it. */
static void
test_of_client (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (IpcConnection) near = g_object_ref (ipc_client_get_connection (client));
  g_autoptr (IpcConnection) far = get_far (service);
  g_autoptr (GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  g_autoptr (IpcMessage) reply = ipc_message_new_text ("reply", "");
  Answer held = { 0 }, crossing = { 0 }, late = { 0 }, own = { 0 };

  ipc_client_add_handler (client, "keep", keep, kept, NULL);
  ask (far, "keep", &held);
  ipc_test_wait_for (kept->len == 1);
  ask (far, "keep", &crossing);
  g_mutex_lock (&far->lock);
  ipc_connection_flush_locked (far);
  g_mutex_unlock (&far->lock);
  ipc_connection_drain (near);
  ask (near, "echo", &own);
  ipc_test_wait_for (crossing.n_callbacks == 1 && own.n_callbacks == 1);
  assert_ipc_error (crossing.error, IPC_ERROR_NOT_CONNECTED, "did not take the request");
  assert_ipc_error (own.error, IPC_ERROR_NOT_CONNECTED, "this side is about to stop");
  ask (far, "keep", &late);
  ipc_test_wait_for (late.n_callbacks == 1);
  assert_ipc_error (late.error, IPC_ERROR_NOT_CONNECTED, "takes no new requests");
  g_assert_cmpuint (kept->len, ==, 1);
  g_assert_cmpuint (held.n_callbacks, ==, 0);
  g_assert_true (ipc_connection_reply (near, kept->pdata[0], reply, NULL));
  ipc_test_wait_for (held.n_callbacks == 1);
  g_assert_no_error (held.error);
  g_assert_no_error (service_wait_disconnected (service, 1));
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_CLOSED));
  g_clear_error (&crossing.error);
  g_clear_error (&own.error);
  g_clear_error (&late.error);
}

/* It is said once; what comes after it changes nothing. */
static void
test_twice (IpcTest *test)
{
  const IpcFrame goodbyes[] = { { .kind = IPC_FRAME_GOODBYE, .reply_serial = 2 }, { .kind = IPC_FRAME_GOODBYE } };
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (Raw) raw = raw_connect_client (path);
  g_autoptr (IpcConnection) far = NULL;
  Answer answers[3] = { 0 };

  ipc_test_wait_for (ipc_server_get_n_clients (service->server) == 1);
  far = get_far (service);
  for (guint i = 0; i < 3; i++)
    ask (far, "x", &answers[i]);
  for (guint i = 0; i < 3; i++)
    raw_expect_frame (raw, IPC_FRAME_REQUEST, 0, "x");
  for (guint i = 0; i < 2; i++)
    g_assert_true (raw_send_frame (raw, &goodbyes[i], NULL, NULL, 0));
  ipc_test_wait_for (answers[2].n_callbacks == 1);
  assert_ipc_error (answers[2].error, IPC_ERROR_NOT_CONNECTED, NULL);
  for (guint64 i = 1; i <= 2; i++)
    {
      const IpcFrame reply = { .kind = IPC_FRAME_REPLY, .reply_serial = i };

      g_assert_true (raw_send_frame (raw, &reply, "y", NULL, 0));
      ipc_test_wait_for (answers[i - 1].n_callbacks == 1);
      g_assert_no_error (answers[i - 1].error);
    }
  g_clear_error (&answers[2].error);
  g_assert_true (ipc_connection_get_is_open (far));
}

/* ── In a thread that waits ── */

typedef struct
{
  IpcClient *client;
  GError *error;
} Asker;

static gpointer
ask_in_thread (gpointer data)
{
  Asker *self = data;
  g_autoptr (IpcMessage) request = ipc_message_new_text ("x", "");

  g_assert_null (ipc_client_request (self->client, request, -1, NULL, &self->error));
  return NULL;
}

/* Its request crosses the GOODBYE that it reads itself; so does one whose callback only the main loop can call. */
static void
test_sync (IpcTest *test)
{
  const IpcFrame goodbye = { .kind = IPC_FRAME_GOODBYE };
  g_autofree char *path = socket_path (test);
  int listen_fd = raw_listen (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (path));
  g_autoptr (Raw) raw = NULL;
  g_autoptr (Burst) async = NULL;
  Asker asker = { client, NULL };
  GThread *thread;
  int size = 0, before = 0;

  ipc_client_open_async (client, NULL, NULL, NULL);
  raw = raw_accept (listen_fd);
  g_assert_true (raw_send_hello (raw));
  ipc_test_wait_for (is_in (client, IPC_CLIENT_STATE_OPEN));
  async = burst_start (client, 1, "x", 10, -1);
  ipc_test_settle ();
  g_assert_no_errno (ioctl (raw->fd, FIONREAD, &before));
  thread = g_thread_new ("asker", ask_in_thread, &asker);
  /* without the main loop, which would read it */
  while (ioctl (raw->fd, FIONREAD, &size) == 0 && size <= before)
    g_thread_yield ();
  g_assert_true (raw_send_frame (raw, &goodbye, NULL, NULL, 0));
  g_thread_join (thread);
  assert_ipc_error (asker.error, IPC_ERROR_NOT_CONNECTED, "did not take the request");
  g_clear_error (&asker.error);
  g_assert_cmpuint (async->n_done, ==, 0);
  g_clear_pointer (&raw, raw_free);
  ipc_test_wait_for (async->n_done == 1);
  assert_not_taken (async, "did not take the request");
  close (listen_fd);
}

/* ── Processes ── */

typedef struct
{
  Service *service;
  GMainLoop *loop;
} Play;

static void
stopped (GObject *source, GAsyncResult *result, gpointer data)
{
  Play *play = data;

  g_assert_true (ipc_server_stop_finish (IPC_SERVER (source), result, NULL));
  ipc_test_tell ("stopped");
  g_main_loop_quit (play->loop);
}

static gboolean
on_command (int fd, GIOCondition condition, gpointer data)
{
  Play *play = data;
  char command = 0;

  if (read (fd, &command, 1) != 1)
    return G_SOURCE_REMOVE;
  if (command == 's')
    {
      ipc_server_stop_async (play->service->server, NULL, stopped, play);
      ipc_test_tell ("stopping");
    }
  else if (command == 'r')
    ipc_test_tell (service_release (play->service) ? "released" : "not released");
  return G_SOURCE_CONTINUE;
}

static int
play_server (char **arguments)
{
  g_autoptr (Service) service = service_start_at (arguments[0]);
  Play play = { service, g_main_loop_new (NULL, FALSE) };

  ipc_test_tell ("up");
  ipc_test_wait_for (service->held->len >= (guint) atoi (arguments[1]));
  ipc_test_tell ("held");
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, on_command, &play);
  g_main_loop_run (play.loop);
  g_main_loop_unref (play.loop);
  return 0;
}

static void
test_processes (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) server = ipc_test_peer_spawn ("server", (const char *[]) { path, "60", NULL });
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GPtrArray) bursts = g_ptr_array_new_with_free_func ((GDestroyNotify) burst_free);
  guint n_closed = 0;

  ipc_test_peer_expect (server, "up");
  for (guint i = 0; i < 3; i++)
    {
      g_ptr_array_add (clients, client_open (path));
      g_signal_connect (clients->pdata[i], "closed", G_CALLBACK (count_closed), &n_closed);
      g_ptr_array_add (bursts, burst_start (clients->pdata[i], 20, "hold", 1000, -1));
    }
  ipc_test_peer_expect (server, "held");
  ipc_test_peer_write_line (server, "s");
  ipc_test_peer_expect (server, "stopping");
  ipc_test_settle ();
  ipc_test_peer_write_line (server, "r");
  ipc_test_peer_expect (server, "released");
  ipc_test_peer_expect (server, "stopped");
  g_assert_cmpint (ipc_test_peer_wait (server), ==, 0);
  ipc_test_wait_for (n_closed == 3);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (((Burst *) bursts->pdata[i])->n_replies, ==, 20);
}

static const IpcTestRole roles[] = {
  { "server", play_server },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/goodbye/promise-is-kept", test_promise_is_kept);
  ipc_test_add ("/socket/goodbye/crossing", test_crossing);
  ipc_test_add ("/socket/goodbye/at-each-iteration", test_at_each_iteration);
  ipc_test_add ("/socket/goodbye/stopped-by-request", test_stopped_by_request);
  ipc_test_add ("/socket/goodbye/no-answer", test_no_answer);
  ipc_test_add ("/socket/goodbye/json", test_json);
  ipc_test_add ("/socket/goodbye/reconnects", test_reconnects);
  ipc_test_add ("/socket/goodbye/of-client", test_of_client);
  ipc_test_add ("/socket/goodbye/twice", test_twice);
  ipc_test_add ("/socket/goodbye/sync", test_sync);
  ipc_test_add ("/socket/goodbye/processes", test_processes);
  return ipc_test_run ();
}
