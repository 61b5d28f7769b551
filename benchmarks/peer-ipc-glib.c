/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipc-glib over a Unix socket or a named pipe, as a program would use it: a server with
 * handlers by type, a client, both on the main loop. Nothing but public API.
 *
 * Unless the variant is "new", one IpcMessage is made and sent again and again: it
 * is immutable, so that is allowed. A sender goes on until its connection's queue
 * is full (IPC_ERROR_FULL), then waits for IpcConnection::drained.
 */
#include <ipc-glib/ipc-glib.h>

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "bench.h"

#define MESSAGE_TYPE "bench"
#define BROADCAST_QUEUE (256u * 1024) /* per subscriber; the default, times 100, is more than a cache holds */

static const char *const workloads[] = { "w1",  "w1-new", "w1-callback", "w1-sync",     "w2",
                                         "w2-signal", "w2-new", "w3",    "w4a",         "w4b",
                                         "w5",  "w5-callback", "clients-100", "clients-1000", "broadcast",
                                         NULL };

static const char *const pipe_workloads[] = { "w1",  "w1-callback", "w1-sync", "w2", "w2-signal", "w2-new", "w2-lines", "w2-echo",
                                              "w3",  "w4a",         "w4b",     "w5", NULL };

static gboolean over_pipe;
static IpcMessage *message;    /* what is sent again and again, unless … */
static gboolean make_anew;     /* … each is made anew */
static GPtrArray *connections; /* (element-type IpcConnection); of the client, or the subscribers' */

static const char *
version (void)
{
  return IPC_VERSION_S;
}

static IpcMessage *
make_message (Bench *bench)
{
  g_autoptr (GBytes) payload = g_bytes_new (bench->payload, bench->workload->size);
  return ipc_message_new (MESSAGE_TYPE, payload);
}

static void
prepare (Bench *bench)
{
  message = make_message (bench);
  make_anew = bench_is (bench, "new");
  connections = g_ptr_array_new_with_free_func (g_object_unref);
}

static void
run_main_loop (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
}

/* ---- server ---- */

static IpcMessage *
on_request (IpcServer *self, IpcConnection *connection, IpcMessage *request, gpointer user_data, GError **error)
{
  return ipc_message_ref (message);
}

static IpcMessage *
on_request_make_reply (IpcServer *self, IpcConnection *connection, IpcMessage *request, gpointer user_data,
                       GError **error)
{
  return make_message (user_data);
}

static IpcMessage *
on_one_way (IpcServer *self, IpcConnection *connection, IpcMessage *received, gpointer user_data, GError **error)
{
  bench_count (user_data, 1);
  return NULL;
}

static void
on_message_received (IpcServer *self, IpcConnection *connection, IpcMessage *received, gpointer user_data)
{
  bench_count (user_data, 1);
}

static gboolean
is_lines (Bench *bench)
{
  return bench_is (bench, "lines") || bench_is (bench, "echo");
}

static void
add_handler (Bench *bench, IpcServer *self)
{
  if (bench->workload->kind == BENCH_REQUEST)
    ipc_server_add_handler (self, MESSAGE_TYPE, make_anew ? on_request_make_reply : on_request, bench, NULL);
  else if (bench_is (bench, "signal"))
    g_signal_connect (self, "message-received", G_CALLBACK (on_message_received), bench);
  else if (bench->workload->kind == BENCH_ONE_WAY)
    ipc_server_add_handler (self, is_lines (bench) ? "line" : MESSAGE_TYPE, on_one_way, bench, NULL);
}

/* Sends to all until some have no room, then waits until all of those have. */
static guint n_full;

static void
broadcast (IpcServer *self)
{
  while (n_full == 0)
    ipc_server_broadcast (self, message, &n_full);
}

static void
on_subscriber_drained (IpcConnection *connection, gpointer user_data)
{
  n_full--;
  broadcast (user_data);
}

static void
on_subscriber_connected (IpcServer *self, IpcConnection *connection, gpointer user_data)
{
  Bench *bench = user_data;

  g_signal_connect (connection, "drained", G_CALLBACK (on_subscriber_drained), self);
  if (ipc_server_get_n_clients (self) == bench->workload->clients)
    broadcast (self);
}

static void
server (Bench *bench)
{
  g_autoptr (IpcServer) self = over_pipe ? IPC_SERVER (ipc_pipe_server_new (bench->path)) : IPC_SERVER (ipc_socket_server_new (bench->path));
  g_autoptr (GError) error = NULL;

  prepare (bench);
  ipc_server_set_max_clients (self, MAX (bench->workload->clients, 16));
  add_handler (bench, self);
  if (bench->workload->kind == BENCH_BROADCAST)
    {
      ipc_server_set_max_queued_bytes (self, BROADCAST_QUEUE);
      g_signal_connect (self, "client-connected", G_CALLBACK (on_subscriber_connected), bench);
    }
  if (!ipc_server_start (self, &error))
    bench_fail ("%s", error->message);
  bench_ready (bench);
  run_main_loop ();
}

/* ---- client: requests ---- */

static void
send_request (Bench *bench, guint index, GAsyncReadyCallback callback)
{
  g_autoptr (IpcMessage) request = make_anew ? make_message (bench) : ipc_message_ref (message);

  ipc_connection_request_async (connections->pdata[index], request, IPC_TIMEOUT_DEFAULT, NULL, callback, bench);
}

static void
finish_request (Bench *bench, GObject *source, GAsyncResult *result)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) reply = ipc_connection_request_finish (IPC_CONNECTION (source), result, &error);

  if (reply == NULL)
    bench_fail ("%s", error->message);
  bench_count (bench, 1);
}

static void
on_reply (GObject *source, GAsyncResult *result, gpointer user_data)
{
  finish_request (user_data, source, result);
  send_request (user_data, 0, on_reply);
}

/* One request at a time, so one index does for all clients. */
static void
on_reply_in_turn (GObject *source, GAsyncResult *result, gpointer user_data)
{
  static guint index = 0;

  index = index + 1 == connections->len ? 0 : index + 1;
  finish_request (user_data, source, result);
  send_request (user_data, index, on_reply_in_turn);
}

static void
on_reply_callback (IpcConnection *self, IpcMessage *reply, const GError *error, gpointer user_data)
{
  if (reply == NULL)
    bench_fail ("%s", error->message);
  bench_count (user_data, 1);
  ipc_connection_request_with_callback (self, message, IPC_TIMEOUT_DEFAULT, NULL, on_reply_callback, user_data);
}

static void
request_synchronously (Bench *bench)
{
  for (;;)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (IpcMessage) reply =
          ipc_connection_request (connections->pdata[0], message, IPC_TIMEOUT_DEFAULT, NULL, &error);

      if (reply == NULL)
        bench_fail ("%s", error->message);
      bench_count (bench, 1);
    }
}

static void
start_requests (Bench *bench)
{
  if (bench_is (bench, "sync"))
    request_synchronously (bench);
  for (guint i = 0; i < bench->workload->outstanding; i++)
    if (bench_is (bench, "callback"))
      ipc_connection_request_with_callback (connections->pdata[0], message, IPC_TIMEOUT_DEFAULT, NULL,
                                            on_reply_callback, bench);
    else
      send_request (bench, 0, bench->workload->clients > 1 ? on_reply_in_turn : on_reply);
}

/* ---- client: one way ---- */

static gboolean
send_one (Bench *bench, IpcConnection *connection, GError **error)
{
  if (!make_anew)
    return ipc_connection_send (connection, message, error);

  g_autoptr (IpcMessage) fresh = make_message (bench);
  return ipc_connection_send (connection, fresh, error);
}

static void
send_until_full (IpcConnection *connection, Bench *bench)
{
  g_autoptr (GError) error = NULL;

  while (send_one (bench, connection, &error))
    ;
  if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_FULL))
    bench_fail ("%s", error->message);
}

/* ---- client ---- */

static IpcMessage *
on_broadcast (IpcServer *no_server, IpcConnection *connection, IpcMessage *received, gpointer user_data,
              GError **error)
{
  bench_count (user_data, 1);
  return NULL;
}

static void
open_client (Bench *bench)
{
  /* Lives as long as the process. */
  IpcClient *self = over_pipe ? IPC_CLIENT (ipc_pipe_client_new (bench->path)) : IPC_CLIENT (ipc_socket_client_new (bench->path));
  g_autoptr (GError) error = NULL;

  ipc_client_add_handler (self, MESSAGE_TYPE, on_broadcast, bench, NULL);
  if (!ipc_client_open (self, NULL, &error))
    bench_fail ("%s", error->message);
  g_ptr_array_add (connections, g_object_ref (ipc_client_get_connection (self)));
}

/* As programs with a buffer do it, or as a shell does: each line is a write. */
static void
write_lines (Bench *bench)
{
  g_autoptr (GString) lines = g_string_new (NULL);
  gsize n = bench_is (bench, "lines") ? PIPE_BUF / bench->workload->size : 1;
  int fd = open (bench->path, O_WRONLY | O_CLOEXEC);

  for (gsize i = 0; i < n; i++)
    g_string_append_printf (lines, "%.*s\n", (int) bench->workload->size - 1, (const char *) bench->payload);
  bench_ready (bench);
  while (write (fd, lines->str, lines->len) == (gssize) lines->len)
    ;
  bench_fail ("the pipe is closed");
}

static void
client (Bench *bench)
{
  if (is_lines (bench))
    write_lines (bench);
  prepare (bench);
  for (guint i = 0; i < bench->workload->clients; i++)
    open_client (bench);
  bench_ready (bench);

  if (bench->workload->kind == BENCH_REQUEST)
    start_requests (bench);
  if (bench->workload->kind == BENCH_ONE_WAY)
    {
      g_signal_connect (connections->pdata[0], "drained", G_CALLBACK (send_until_full), bench);
      send_until_full (connections->pdata[0], bench);
    }
  run_main_loop ();
}

static void
pipe_server (Bench *bench)
{
  over_pipe = TRUE;
  server (bench);
}

static void
pipe_client (Bench *bench)
{
  over_pipe = TRUE;
  client (bench);
}

const BenchPeer bench_peer_ipc_glib_pipe = { "ipc-glib-pipe", "this library, named pipe", version, pipe_workloads, pipe_server, pipe_client };
const BenchPeer bench_peer_ipc_glib = { "ipc-glib", "this library, Unix socket", version, workloads, server, client };
