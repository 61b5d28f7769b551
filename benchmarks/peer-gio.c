/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What GIO has for it: a GSocketService, and the streams of GSocketConnections
 * with asynchronous reads and writes on the main loop. One write a message, as the
 * API suggests; a read takes whatever has come.
 */
#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>

#include "bench.h"

#define READ_SIZE (256u * 1024)

static const char *const workloads[] = { "w1", "w2",          "w3",           "w4a",       "w4b",
                                         "w5", "clients-100", "clients-1000", "broadcast", NULL };

/* One connection. Lives as long as the process. */
typedef struct
{
  Bench *bench;
  guint index;
  GSocketConnection *connection; /* (owned) */
  GInputStream *input;
  GOutputStream *output;
  guint8 *buffer;  /* (owned) */
  gsize partial;   /* bytes of a message that has not come whole */
  guint64 to_send; /* messages, with the one that is being written */
  gboolean writing;
} Stream;

static GPtrArray *streams; /* (element-type Stream) */

static const char *
version (void)
{
  static char text[32];

  g_snprintf (text, sizeof text, "GLib %u.%u.%u", glib_major_version, glib_minor_version, glib_micro_version);
  return text;
}

static void stream_write (Stream *self);

static void
on_written (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Stream *self = user_data;
  g_autoptr (GError) error = NULL;

  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (source), result, NULL, &error))
    bench_fail ("write: %s", error->message);
  self->writing = FALSE;
  if (self->bench->workload->kind == BENCH_REQUEST)
    self->to_send--;
  stream_write (self);
}

static void
stream_write (Stream *self)
{
  if (self->to_send == 0 || self->writing)
    return;
  self->writing = TRUE;
  g_output_stream_write_all_async (self->output, self->bench->payload, self->bench->workload->size,
                                   G_PRIORITY_DEFAULT, NULL, on_written, self);
}

static void
stream_send (Stream *self, guint64 n)
{
  self->to_send += n;
  stream_write (self);
}

/* The server answers; a client has the next one ask. */
static void
stream_got_messages (Stream *self, guint n, gboolean is_client)
{
  gboolean requests = self->bench->workload->kind == BENCH_REQUEST;

  if (is_client || !requests)
    bench_count (self->bench, n);
  if (requests && is_client)
    stream_send (streams->pdata[(self->index + 1) % streams->len], n);
  else if (requests)
    stream_send (self, n);
}

static void stream_read (Stream *self, GAsyncReadyCallback callback);

static void
finish_read (Stream *self, GAsyncResult *result, gboolean is_client)
{
  g_autoptr (GError) error = NULL;
  gssize n = g_input_stream_read_finish (self->input, result, &error);

  if (n <= 0)
    bench_fail ("read: %s", error != NULL ? error->message : "the other half is gone");
  self->partial += (gsize) n;

  guint n_messages = (guint) (self->partial / self->bench->workload->size);
  self->partial %= self->bench->workload->size;
  if (n_messages > 0)
    stream_got_messages (self, n_messages, is_client);
}

static void
on_read_by_server (GObject *source, GAsyncResult *result, gpointer user_data)
{
  finish_read (user_data, result, FALSE);
  stream_read (user_data, on_read_by_server);
}

static void
on_read_by_client (GObject *source, GAsyncResult *result, gpointer user_data)
{
  finish_read (user_data, result, TRUE);
  stream_read (user_data, on_read_by_client);
}

static void
stream_read (Stream *self, GAsyncReadyCallback callback)
{
  g_input_stream_read_async (self->input, self->buffer, READ_SIZE, G_PRIORITY_DEFAULT, NULL, callback, self);
}

static Stream *
stream_new (Bench *bench, GSocketConnection *connection)
{
  Stream *self = g_new0 (Stream, 1);

  self->bench = bench;
  self->index = streams->len;
  self->connection = g_object_ref (connection);
  self->input = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  self->output = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  self->buffer = g_malloc (READ_SIZE);
  g_ptr_array_add (streams, self);
  return self;
}

static void
start_broadcast (void)
{
  for (guint i = 0; i < streams->len; i++)
    stream_send (streams->pdata[i], 1);
}

static gboolean
on_incoming (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer user_data)
{
  Bench *bench = user_data;
  Stream *self = stream_new (bench, connection);

  if (bench->workload->kind != BENCH_BROADCAST)
    stream_read (self, on_read_by_server);
  else if (streams->len == bench->workload->clients)
    start_broadcast ();
  return TRUE;
}

static void
run_main_loop (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_main_loop_run (loop);
}

static void
server (Bench *bench)
{
  g_autoptr (GSocketService) service = g_socket_service_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (bench->path);
  g_autoptr (GError) error = NULL;

  streams = g_ptr_array_new ();
  g_signal_connect (service, "incoming", G_CALLBACK (on_incoming), bench);
  g_socket_listener_set_backlog (G_SOCKET_LISTENER (service), 4096);
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (service), address, G_SOCKET_TYPE_STREAM,
                                      G_SOCKET_PROTOCOL_DEFAULT, NULL, NULL, &error))
    bench_fail ("%s", error->message);
  bench_ready (bench);
  run_main_loop ();
}

static void
connect_clients (Bench *bench)
{
  g_autoptr (GSocketClient) socket_client = g_socket_client_new ();
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (bench->path);

  for (guint i = 0; i < bench->workload->clients; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (GSocketConnection) connection =
          g_socket_client_connect (socket_client, G_SOCKET_CONNECTABLE (address), NULL, &error);

      if (connection == NULL)
        bench_fail ("%s", error->message);
      stream_read (stream_new (bench, connection), on_read_by_client);
    }
}

static void
client (Bench *bench)
{
  streams = g_ptr_array_new ();
  connect_clients (bench);
  if (bench->workload->kind == BENCH_REQUEST)
    stream_send (streams->pdata[0], bench->workload->outstanding);
  else if (bench->workload->kind == BENCH_ONE_WAY)
    stream_send (streams->pdata[0], 1);
  bench_ready (bench);
  run_main_loop ();
}

const BenchPeer bench_peer_gio = { "gio", "GSocketService and streams", version, workloads, server, client };
