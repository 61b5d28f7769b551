/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keep-alive: who is asked whether it is still there, what counts as an answer, and that nothing is made of answers
 * that nobody asked for. Where time matters it is told, not waited for.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "messaging/ipc-server-private.h"
#include "pair.h"

#define HOUR 3600000

/* The moment comes at which it is looked at. */
static void
look (IpcConnection *connection)
{
  g_assert_cmpint (connection->alive.due, !=, 0);
  ipc_keep_alive_attend (connection, connection->alive.due);
  ipc_test_settle ();
}

static void
note_reason (IpcServer *server, IpcConnection *connection, const GError *error, gpointer reason)
{
  g_assert_null (*(GError **) reason);
  *(GError **) reason = error ? g_error_copy (error) : NULL;
}

/* A client that is nothing but a socket, of a server that asks once an hour. */
static void
set_up (Pair *self, Raw *raw, IpcTest *test, gint interval)
{
  pair_init (self, test);
  ipc_server_set_keep_alive_interval (self->server, interval);
  g_assert_true (ipc_server_start (self->server, NULL));
  raw_connect_binary (raw, self->path, 1 << 20);
  ipc_test_wait_for (ipc_server_get_n_clients (self->server) == 1);
  self->far = g_list_model_get_item (ipc_server_get_connections (self->server), 0);
  /* HELLO was something */
  look (self->far);
  g_assert_cmpuint (self->far->alive.n_pings, ==, 0);
}

/* ── Properties ── */

static void
test_properties (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  gpointer objects[2];

  pair_init (&pair, test);
  objects[0] = pair.server;
  objects[1] = pair.client;
  for (guint i = 0; i < 2; i++)
    {
      guint n_notified = 0;
      gint interval;

      g_signal_connect_swapped (objects[i], "notify::keep-alive-interval", G_CALLBACK (g_atomic_int_inc), &n_notified);
      g_object_get (objects[i], "keep-alive-interval", &interval, NULL);
      g_assert_cmpint (interval, ==, 0);
      g_object_set (objects[i], "keep-alive-interval", 5000, NULL);
      g_object_set (objects[i], "keep-alive-interval", 5000, NULL);
      g_object_get (objects[i], "keep-alive-interval", &interval, NULL);
      g_assert_cmpint (interval, ==, 5000);
      g_assert_cmpuint (n_notified, ==, 1);
    }
  ipc_server_set_keep_alive_interval (pair.server, -5);
  g_assert_cmpint (ipc_server_get_keep_alive_interval (pair.server), ==, 0);
  ipc_client_set_keep_alive_interval (pair.client, -5);
  g_assert_cmpint (ipc_client_get_keep_alive_interval (pair.client), ==, 0);
}

static void
test_off (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  pair_init_open (&pair, test);
  ipc_test_settle ();
  g_assert_cmpint (pair.near->alive.due, ==, 0);
  g_assert_cmpint (pair.far->alive.due, ==, 0);
  assert_loop_sleeps ();
}

/* ── In real time ── */

/* Both ask, both answer, and nobody of the application hears of it. */
static void
test_idle (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  pair_init (&pair, test);
  ipc_server_set_keep_alive_interval (pair.server, 30);
  ipc_client_set_keep_alive_interval (pair.client, 20);
  pair_open (&pair);
  ipc_test_wait_for (pair.near->alive.n_pings >= 5);
  g_assert_true (ipc_connection_get_is_open (pair.near));
  g_assert_true (ipc_connection_get_is_open (pair.far));
  g_assert_cmpuint (ipc_connection_get_messages_received (pair.near), ==, 0);
  g_assert_cmpuint (ipc_connection_get_messages_received (pair.far), ==, 0);
  g_assert_cmpuint (ipc_connection_get_messages_sent (pair.near), ==, 0);
}

/* The connection is still open, in somebody who does not use it. */
static void
test_nobody_there (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  g_autoptr(GError) reason = NULL;
  int passed_on, passed_on_too;

  set_up (&pair, &raw, test, 20);
  g_signal_connect (pair.server, "client-disconnected", G_CALLBACK (note_reason), &reason);
  passed_on = dup (raw.fd);
  passed_on_too = dup (raw.out_fd);
  raw_close (&raw);
  ipc_test_wait_for (reason != NULL);
  g_assert_error (reason, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (reason->message, "keep-alive interval of 20 ms"));
  close (passed_on);
  close (passed_on_too);
}

/* ── What counts ── */

static void
test_silent (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  g_autoptr(GError) reason = NULL;
  IpcFrame frame;

  set_up (&pair, &raw, test, HOUR);
  g_signal_connect (pair.server, "client-disconnected", G_CALLBACK (note_reason), &reason);
  /* not before its time */
  ipc_keep_alive_attend (pair.far, pair.far->alive.due - 1);
  g_assert_cmpuint (pair.far->alive.n_pings, ==, 0);
  look (pair.far);
  raw_read_frame (&raw, &frame, NULL);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_PING);
  g_assert_cmpuint (frame.length, ==, 0);
  g_assert_no_error (reason);
  look (pair.far);
  g_assert_error (reason, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  /* it is told, if it should read after all */
  raw_read_frame (&raw, &frame, NULL);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_ERROR);
  g_assert_cmpuint (frame.reply_serial, ==, 0);
  raw_wait_end (&raw);
}

static void
expect_ping (Raw *raw, guint64 *serial)
{
  IpcFrame frame;

  raw_read_frame (raw, &frame, NULL);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_PING);
  *serial = frame.serial;
}

static void
test_answers (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  guint64 serial;

  set_up (&pair, &raw, test, HOUR);
  for (guint i = 0; i < 10; i++)
    {
      look (pair.far);
      expect_ping (&raw, &serial);
      if (i % 2 == 0)
        raw_write_frame (&raw, IPC_FRAME_PONG, 0, serial, "", "");
      else
        raw_write_frame (&raw, IPC_FRAME_EVENT, 0, 0, "any", "thing");
      ipc_test_settle ();
      /* something came: no other PING, and not dead */
      look (pair.far);
      g_assert_cmpuint (pair.far->alive.n_pings, ==, i + 1);
      g_assert_true (ipc_connection_get_is_open (pair.far));
    }
}

/* Who talks is not asked. */
static void
test_busy (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };

  set_up (&pair, &raw, test, HOUR);
  for (guint i = 0; i < 20; i++)
    {
      raw_write_frame (&raw, IPC_FRAME_EVENT, 0, 0, "any", "thing");
      ipc_test_settle ();
      look (pair.far);
    }
  g_assert_cmpuint (pair.far->alive.n_pings, ==, 0);
  g_assert_cmpuint (raw.input->len, ==, 0);
}

/* A message that comes byte by byte is no message yet, and a sign of life. */
static void
test_slow_message (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  IpcFrame frame = { .kind = IPC_FRAME_EVENT, .length = 1000, .type_length = 1 };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  set_up (&pair, &raw, test, HOUR);
  ipc_frame_encode (&frame, header);
  for (guint i = 0; i < sizeof header; i++)
    {
      raw_write (&raw, header + i, 1);
      ipc_test_settle ();
      look (pair.far);
    }
  g_assert_cmpuint (pair.far->alive.n_pings, ==, 0);
  look (pair.far);
  g_assert_cmpuint (pair.far->alive.n_pings, ==, 1);
}

/* The answer is there, and only the loop has not run for so long. */
static void
test_loop_was_blocked (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  guint64 serial;

  set_up (&pair, &raw, test, HOUR);
  look (pair.far);
  expect_ping (&raw, &serial);
  raw_write_frame (&raw, IPC_FRAME_PONG, 0, serial, "", "");
  ipc_keep_alive_attend (pair.far, pair.far->alive.due);
  g_assert_true (ipc_connection_get_is_open (pair.far));
  ipc_test_settle ();
  look (pair.far);
  g_assert_true (ipc_connection_get_is_open (pair.far));
}

static void
fill (IpcConnection *connection)
{
  g_autofree char *text = g_strnfill (50000, 'x');
  g_autoptr(IpcMessage) message = ipc_message_new_text ("x", text);

  while (ipc_connection_send (connection, message, NULL))
    ;
  ipc_test_settle ();
}

/* It takes what there is, slowly, and cannot get at the PING behind it. */
static void
test_slow_reader (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };

  set_up (&pair, &raw, test, HOUR);
  fill (pair.far);
  look (pair.far);
  g_assert_true (pair.far->write_blocked);
  for (guint i = 0; i < 5; i++)
    {
      guint64 before = ipc_outbox_total_out (&pair.far->outbox);

      while (ipc_outbox_total_out (&pair.far->outbox) == before)
        raw_sip (&raw, 65536);
      g_assert_true (pair.far->write_blocked);
      look (pair.far);
    }
  g_assert_true (ipc_connection_get_is_open (pair.far));
  look (pair.far);
  g_assert_true (ipc_connection_get_is_open (pair.far));
  look (pair.far);
  g_assert_false (ipc_connection_get_is_open (pair.far));
}

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer kept, GError **error)
{
  g_ptr_array_add (kept, ipc_message_ref (request));
  return NULL;
}

/* A peer whose requests are not answered is not read from: its silence says nothing of it. */
static void
test_paused (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);

  set_up (&pair, &raw, test, HOUR);
  ipc_server_add_handler (pair.server, "keep", keep, kept, NULL);
  for (guint i = 1; i <= 1100; i++)
    raw_write_frame (&raw, IPC_FRAME_REQUEST, i, 0, "keep", "");
  ipc_test_wait_for (pair.far->read_paused);
  ipc_test_settle ();
  for (guint i = 0; i < 5; i++)
    look (pair.far);
  g_assert_true (ipc_connection_get_is_open (pair.far));
  g_assert_cmpuint (pair.far->alive.n_pings, ==, 0);
}

static void
test_json (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };

  pair_init (&pair, test);
  ipc_server_set_keep_alive_interval (pair.server, 1);
  g_assert_true (ipc_server_start (pair.server, NULL));
  raw_connect (&raw, pair.path);
  raw_write_text (&raw, "\n");
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 1);
  pair.far = g_list_model_get_item (ipc_server_get_connections (pair.server), 0);
  g_assert_cmpint (pair.far->alive.due, ==, 0);
  assert_loop_sleeps ();
}

/* ── Floods ── */

/* Ignored, as often as they come. */
static void
test_pongs (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  IpcFrame frame;

  set_up (&pair, &raw, test, HOUR);
  for (guint i = 0; i < 20000; i++)
    raw_write_frame (&raw, IPC_FRAME_PONG, 0, i, "", "");
  raw_write_frame (&raw, IPC_FRAME_PING, 77, 0, "", "");
  raw_read_frame (&raw, &frame, NULL);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_PONG);
  g_assert_cmpuint (frame.reply_serial, ==, 77);
  g_assert_true (ipc_connection_get_is_open (pair.far));
  g_assert_cmpuint (ipc_connection_get_messages_received (pair.far), ==, 0);
}

/* A client that asks and does not listen is not read from. */
static void
test_pings_to_server (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  IpcFrame frame = { .kind = IPC_FRAME_PING };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  pair_init (&pair, test);
  ipc_server_set_max_queued_bytes (pair.server, 10000);
  g_assert_true (ipc_server_start (pair.server, NULL));
  raw_connect_binary (&raw, pair.path, 1 << 20);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 1);
  pair.far = g_list_model_get_item (ipc_server_get_connections (pair.server), 0);
  ipc_frame_encode (&frame, header);
  while (!pair.far->read_paused)
    {
      raw_write_some (&raw, header, sizeof header);
      ipc_test_iterate (1);
    }
  g_assert_cmpuint (ipc_connection_get_queued_bytes (pair.far), <, 10000 + 40 * IPC_FRAME_HEADER_SIZE);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/keep-alive/properties", test_properties);
  ipc_test_add ("/messaging/keep-alive/off", test_off);
  ipc_test_add ("/messaging/keep-alive/idle", test_idle);
  ipc_test_add ("/messaging/keep-alive/nobody-there", test_nobody_there);
  ipc_test_add ("/messaging/keep-alive/silent", test_silent);
  ipc_test_add ("/messaging/keep-alive/answers", test_answers);
  ipc_test_add ("/messaging/keep-alive/busy", test_busy);
  ipc_test_add ("/messaging/keep-alive/slow-message", test_slow_message);
  ipc_test_add ("/messaging/keep-alive/loop-was-blocked", test_loop_was_blocked);
  ipc_test_add ("/messaging/keep-alive/slow-reader", test_slow_reader);
  ipc_test_add ("/messaging/keep-alive/paused", test_paused);
  pair_add_socket_only ("/messaging/keep-alive/json", test_json);
  ipc_test_add ("/messaging/keep-alive/pongs", test_pongs);
  ipc_test_add ("/messaging/keep-alive/pings-to-server", test_pings_to_server);
  return ipc_test_run ();
}
