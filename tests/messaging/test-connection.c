/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection from its beginning to its end: events and their signals, handlers, statistics, clients in a server's
 * list, and closing.
 */
#include <string.h>
#include <unistd.h>

#include "pair.h"

#define N_MESSAGES 2000

/* ── Events ── */

static IpcMessage *
check_number (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  guint *next = data;

  g_assert_cmpuint (g_variant_get_uint32 (ipc_message_get_variant (message)), ==, (*next)++);
  g_assert_false (ipc_message_get_is_request (message));
  return NULL;
}

/* In order, in both directions at once. */
static void
test_order (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  guint at_server = 0, at_client = 0;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "number", check_number, &at_server, NULL);
  ipc_client_add_handler (pair.client, "number", check_number, &at_client, NULL);
  pair_open (&pair);
  for (guint i = 0; i < N_MESSAGES; i++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new_variant ("number", g_variant_new_uint32 (i));

      g_assert_true (ipc_client_send (pair.client, message, NULL));
      g_assert_true (ipc_connection_send (pair.far, message, NULL));
      if (i % 7 == 0)
        ipc_test_iterate (1);
    }
  ipc_test_wait_for (at_server == N_MESSAGES && at_client == N_MESSAGES);
}

/* All that a message has arrives as it was. */
static void
test_contents (IpcTest *test)
{
  static const char *const headers[] = { "a", "b", "gr\xc3\xbc\xc3\x9f", "", NULL };
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, NULL, pair_echo, NULL, NULL);
  pair_open (&pair);
  for (guint i = 0; i < 60; i++)
    {
      gsize size = (gsize) g_rand_int_range (rand, 0, 1 << (i / 3));
      guint8 *bytes = g_malloc (size + 1);
      g_autoptr(GBytes) payload = g_bytes_new_take (bytes, size);
      g_autoptr(IpcMessage) message = NULL;

      for (gsize j = 0; j < size; j++)
        bytes[j] = (guint8) g_rand_int (rand);
      message = ipc_message_new_full ("binary", IPC_PAYLOAD_FORMAT_BYTES, payload, headers, NULL);
      ipc_connection_request_with_callback (pair.near, message, 15000, NULL, answer_cb, &answer);
      ipc_test_wait_for (answer.n_callbacks == 1);
      g_assert_no_error (answer.error);
      g_assert_true (g_bytes_equal (ipc_message_get_payload (answer.reply), payload));
      answer_clear (&answer);
    }
}

static void
note_timestamp (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  *(gint64 *) data = ipc_message_get_timestamp (message);
}

static void
test_headers_and_time (IpcTest *test)
{
  static const char *const headers[] = { "a", "b", "gr\xc3\xbc\xc3\x9f", "", NULL };
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_BYTES, NULL, headers, NULL);
  gint64 timestamp = 0;

  pair_init_open (&pair, test);
  g_signal_connect (pair.server, "message-received", G_CALLBACK (note_timestamp), &timestamp);
  g_assert_true (ipc_client_send (pair.client, message, NULL));
  ipc_test_wait_for (timestamp != 0);
  g_assert_cmpint (timestamp, ==, ipc_message_get_timestamp (message));
}

/* A message that was received can be sent on, and used after its connection. */
static IpcMessage *
keep_last (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  IpcMessage **kept = data;

  g_clear_pointer (kept, ipc_message_unref);
  *kept = ipc_message_ref (message);
  return NULL;
}

static void
test_forward (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) at_server = NULL;
  g_autoptr(IpcMessage) at_client = NULL;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, NULL, keep_last, &at_server, NULL);
  ipc_client_add_handler (pair.client, NULL, keep_last, &at_client, NULL);
  pair_open (&pair);
  pair_send_text (pair.near, "news", "text");
  ipc_test_wait_for (at_server != NULL);
  g_assert_true (ipc_connection_send (pair.far, at_server, NULL));
  ipc_test_wait_for (at_client != NULL);
  g_assert_cmpstr (ipc_message_get_text (at_client), ==, "text");
  pair_clear (&pair);
  memset (&pair, 0, sizeof pair);
  g_assert_cmpstr (ipc_message_get_message_type (at_client), ==, "news");
  g_assert_cmpstr (ipc_message_get_text (at_server), ==, "text");
}

/* ── Signals by type ── */

static void
test_details (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) plain = g_string_new (NULL);
  g_autoptr(GString) ping = g_string_new (NULL);
  g_autoptr(GString) connection = g_string_new (NULL);
  g_autoptr(GString) client = g_string_new (NULL);

  pair_init_open (&pair, test);
  g_signal_connect (pair.server, "message-received", G_CALLBACK (pair_log_client_message), plain);
  g_signal_connect (pair.server, "message-received::ping", G_CALLBACK (pair_log_client_message), ping);
  g_signal_connect (pair.far, "message-received::ping", G_CALLBACK (pair_log_message), connection);
  g_signal_connect (pair.client, "message-received::pong", G_CALLBACK (pair_log_message), client);
  pair_send_text (pair.near, "ping", "1");
  pair_send_text (pair.near, "pong", "2");
  pair_send_text (pair.near, "nobody", "3");
  pair_send_text (pair.far, "pong", "4");
  pair_send_text (pair.far, "ping", "5");
  ipc_test_wait_for (strstr (plain->str, "nobody=3") && client->len > 0);
  ipc_test_settle ();
  g_assert_cmpstr (plain->str, ==, "ping=1 pong=2 nobody=3 ");
  g_assert_cmpstr (ping->str, ==, "ping=1 ");
  g_assert_cmpstr (connection->str, ==, "ping=1 ");
  g_assert_cmpstr (client->str, ==, "pong=4 ");
}

/* What a peer calls its types does not stay in the process: quarks are for ever. */
static void
test_no_quarks (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  pair_init_open (&pair, test);
  g_signal_connect (pair.server, "message-received", G_CALLBACK (pair_log_client_message), log);
  pair_send_text (pair.near, "a-type-that-nobody-knows", "1");
  ipc_test_wait_for (log->len > 0);
  g_assert_cmpuint (g_quark_try_string ("a-type-that-nobody-knows"), ==, 0);
}

/* With nobody there, it is counted and nothing else. */
static void
test_nobody_listens (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  pair_init_open (&pair, test);
  pair_send_text (pair.near, "a", "1");
  ipc_test_wait_for (ipc_connection_get_messages_received (pair.far) == 1);
  g_assert_true (ipc_connection_get_is_open (pair.far));
}

/* ── Handlers ── */

static IpcMessage *
append_tag (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  GString **log = data;

  g_string_append_printf (log[0], "%s:%s ", (const char *) (gpointer) log[1], ipc_message_get_message_type (message));
  return NULL;
}

static void
test_wildcard (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  gpointer exact[] = { log, (gpointer) "exact" };
  gpointer any[] = { log, (gpointer) "any" };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, NULL, append_tag, any, NULL);
  ipc_server_add_handler (pair.server, "a", append_tag, exact, NULL);
  pair_open (&pair);
  pair_send_text (pair.near, "a", "");
  pair_send_text (pair.near, "b", "");
  ipc_test_wait_for (strstr (log->str, "any:b"));
  g_assert_cmpstr (log->str, ==, "exact:a any:b ");
  g_assert_true (ipc_server_remove_handler (pair.server, "a"));
  g_assert_false (ipc_server_remove_handler (pair.server, "a"));
  pair_send_text (pair.near, "a", "");
  ipc_test_wait_for (strstr (log->str, "any:a"));
  g_assert_true (ipc_server_remove_handler (pair.server, NULL));
}

/* ── Properties ── */

static void
test_properties (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  gint64 before = g_get_real_time ();

  pair_init_open (&pair, test);
  g_assert_cmpuint (ipc_connection_get_id (pair.near), !=, ipc_connection_get_id (pair.far));
  if (transport_is_pipe ())
    {
      g_assert_null (ipc_connection_get_credentials (pair.far));
      g_assert_null (ipc_connection_get_credentials (pair.near));
    }
  else
    {
      g_assert_cmpint (g_credentials_get_unix_pid (ipc_connection_get_credentials (pair.far), NULL), ==, getpid ());
      g_assert_cmpuint (g_credentials_get_unix_user (ipc_connection_get_credentials (pair.near), NULL), ==, geteuid ());
    }
  g_assert_cmpint (ipc_connection_get_wire_format (pair.near), ==, IPC_WIRE_FORMAT_BINARY);
  g_assert_cmpint (ipc_connection_get_wire_format (pair.far), ==, IPC_WIRE_FORMAT_BINARY);
  g_assert_cmpint (ipc_connection_get_transport (pair.far), ==, IPC_TRANSPORT_STREAM);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (pair.near), ==, 0);
  g_assert_cmpint (ipc_connection_get_last_activity (pair.far), >=, before);
  for (guint i = 1; i <= 3; i++)
    pair_send_text (pair.near, "a", "");
  g_assert_cmpuint (ipc_connection_get_messages_sent (pair.near), ==, 3);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (pair.near), ==, 3 * (IPC_FRAME_HEADER_SIZE + 1));
  ipc_test_wait_for (ipc_connection_get_messages_received (pair.far) == 3);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (pair.near), ==, 0);
}

typedef struct
{
  gint64 first;
  guint n;
  guint64 value; /* the last that was told */
} NotifyCount;

static void
count_notify (GObject *object, GParamSpec *pspec, gpointer data)
{
  NotifyCount *self = data;

  if (self->n++ == 0)
    self->first = g_get_monotonic_time ();
  g_object_get (object, pspec->name, &self->value, NULL);
}

/* However many messages there are, whoever shows the numbers is told at most ten times a second, and in the end of
 * the last. */
static void
check_notify (IpcConnection *from, IpcConnection *to, IpcConnection *watched, const char *property)
{
  g_autofree char *signal = g_strconcat ("notify::", property, NULL);
  NotifyCount count = { 0 };
  gint64 elapsed;
  gulong id = g_signal_connect (watched, signal, G_CALLBACK (count_notify), &count);
  guint64 sent = ipc_connection_get_messages_sent (from);
  gint64 end = g_get_monotonic_time () + G_USEC_PER_SEC * 35 / 100;

  while (g_get_monotonic_time () < end)
    {
      pair_send_text (from, "a", "");
      sent++;
      ipc_test_iterate (3);
    }
  ipc_test_wait_for (ipc_connection_get_messages_received (to) == sent);
  ipc_test_wait_for (count.value == sent);
  elapsed = g_get_monotonic_time () - count.first;
  g_assert_cmpuint (count.n, >=, 2);
  g_assert_cmpint (count.n - 1, <=, elapsed / 90000 + 1);
  g_signal_handler_disconnect (watched, id);
}

static void
test_notify_received (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  pair_init_open (&pair, test);
  check_notify (pair.near, pair.far, pair.far, "messages-received");
}

/* A single message is told of, also if nobody was there to be told of the one before. */
static void
test_notify_one (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  NotifyCount count = { 0 };

  pair_init_open (&pair, test);
  pair_send_text (pair.near, "a", "");
  ipc_test_wait_for (ipc_connection_get_messages_received (pair.far) == 1);
  g_signal_connect (pair.far, "notify::messages-received", G_CALLBACK (count_notify), &count);
  pair_send_text (pair.near, "a", "");
  ipc_test_wait_for (count.value == 2);
}

/* Who only sends has something to show as well. */
static void
test_notify_sent (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  pair_init_open (&pair, test);
  check_notify (pair.near, pair.far, pair.near, "messages-sent");
}

/* ── A server's clients ── */

static void
append_id (IpcServer *server, IpcConnection *connection, gpointer log)
{
  g_string_append_printf (log, "+%" G_GUINT64_FORMAT " ", ipc_connection_get_id (connection));
}

static void
append_gone (IpcServer *server, IpcConnection *connection, const GError *error, gpointer log)
{
  g_string_append_printf (log, "-%" G_GUINT64_FORMAT "%s ", ipc_connection_get_id (connection), error ? "!" : "");
}

static IpcClient *
open_another (Pair *pair)
{
  IpcClient *client = transport_client_new (pair->path);
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_client_open_finish (client, ipc_test_async_wait (&async), &error);
  g_assert_no_error (error);
  return client;
}

static void
test_clients (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(GString) expected = g_string_new (NULL);
  g_autoptr(IpcClient) other = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcMessage) message = ipc_message_new_text ("a", "");
  guint64 id;

  pair_init (&pair, test);
  g_signal_connect (pair.server, "client-connected", G_CALLBACK (append_id), log);
  g_signal_connect (pair.server, "client-disconnected", G_CALLBACK (append_gone), log);
  pair_open (&pair);
  id = ipc_connection_get_id (pair.far);
  g_assert_true (ipc_server_get_client (pair.server, id) == pair.far);
  g_assert_null (ipc_server_get_client (pair.server, ipc_connection_get_id (pair.near)));
  other = open_another (&pair);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 2);
  ipc_client_close (other);
  ipc_client_close (other);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 1);
  g_assert_true (ipc_server_send_to (pair.server, id, message, &error));
  ipc_client_close (pair.client);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 0);
  g_assert_false (ipc_server_send_to (pair.server, id, message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_assert_nonnull (strstr (error->message, pair.path));
  g_string_printf (expected,
                   "+%" G_GUINT64_FORMAT " +%" G_GUINT64_FORMAT " -%" G_GUINT64_FORMAT " -%" G_GUINT64_FORMAT " ",
                   id, id + 2, id + 2, id);
  g_assert_cmpuint (log->len, ==, expected->len);
}

static void
test_broadcast (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) one = g_string_new (NULL);
  g_autoptr(GString) two = g_string_new (NULL);
  g_autoptr(IpcMessage) message = ipc_message_new_text ("news", "x");
  g_autoptr(IpcMessage) malformed = ipc_message_new_text ("", "x");
  g_autoptr(IpcClient) other = NULL;
  guint n_dropped = 99;

  pair_init (&pair, test);
  g_assert_cmpuint (ipc_server_broadcast (pair.server, message, &n_dropped), ==, 0);
  g_assert_cmpuint (n_dropped, ==, 0);
  pair_open (&pair);
  other = open_another (&pair);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 2);
  g_signal_connect (pair.client, "message-received", G_CALLBACK (pair_log_message), one);
  g_signal_connect (other, "message-received", G_CALLBACK (pair_log_message), two);
  g_assert_cmpuint (ipc_server_broadcast (pair.server, message, &n_dropped), ==, 2);
  g_assert_cmpuint (n_dropped, ==, 0);
  g_assert_cmpuint (ipc_server_broadcast (pair.server, message, NULL), ==, 2);
  g_assert_cmpuint (ipc_server_broadcast (pair.server, malformed, &n_dropped), ==, 0);
  g_assert_cmpuint (n_dropped, ==, 2);
  ipc_test_wait_for (one->len == 14 && two->len == 14);
  g_assert_cmpstr (one->str, ==, "news=x news=x ");
  g_assert_cmpstr (two->str, ==, "news=x news=x ");
}

/* ── Closing ── */

static void
note_closed (gpointer instance, const GError *error, gpointer data)
{
  g_string_append_printf (data, "closed%s ", error ? "!" : "");
}

static void
test_closed_once (IpcTest *test)
{
  for (guint who = 0; who < 5; who++)
    {
      g_auto(Pair) pair = { 0 };
      g_autoptr(GString) near = g_string_new (NULL);
      g_autoptr(GString) far = g_string_new (NULL);
      g_autoptr(GString) client = g_string_new (NULL);

      pair_init_open (&pair, test);
      g_signal_connect (pair.near, "closed", G_CALLBACK (note_closed), near);
      g_signal_connect (pair.far, "closed", G_CALLBACK (note_closed), far);
      g_signal_connect (pair.client, "closed", G_CALLBACK (note_closed), client);
      if (who == 0 || who == 4)
        ipc_connection_close (pair.near);
      if (who == 1 || who == 4)
        ipc_connection_close (pair.far);
      if (who == 2 || who == 4)
        ipc_client_close (pair.client);
      if (who == 3 || who == 4)
        ipc_server_stop (pair.server);
      /* from the loop, not from within the call */
      g_assert_cmpuint (near->len + far->len + client->len, ==, 0);
      ipc_test_wait_for (near->len > 0 && far->len > 0 && client->len > 0);
      ipc_connection_close (pair.near);
      ipc_connection_close (pair.far);
      ipc_test_settle ();
      g_assert_cmpstr (near->str, ==, "closed ");
      g_assert_cmpstr (far->str, ==, "closed ");
      g_assert_cmpstr (client->str, ==, "closed ");
      g_assert_false (ipc_connection_get_is_open (pair.near));
      g_assert_cmpint (ipc_client_get_state (pair.client), ==, IPC_CLIENT_STATE_CLOSED);
      g_assert_null (ipc_client_get_connection (pair.client));
    }
}

static void
test_send_after_close (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("a", "");
  g_autoptr(GError) error = NULL;

  pair_init_open (&pair, test);
  ipc_connection_close (pair.near);
  g_assert_false (ipc_connection_send (pair.near, message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
  g_clear_error (&error);
  ipc_test_wait_for (ipc_client_get_connection (pair.client) == NULL);
  g_assert_false (ipc_client_send (pair.client, message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
}

/* What was queued before it was closed still arrives, then the end does. */
static void
test_queued_is_delivered (IpcTest *test)
{
  static const guint sizes[] = { 10, 20000, 3000000 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto(Pair) pair = { 0 };
      g_autofree char *text = g_strnfill (sizes[i], 'x');
      guint64 before;

      pair_init_open (&pair, test);
      before = ipc_connection_get_messages_received (pair.near);
      pair_send_text (pair.far, "first", text);
      pair_send_text (pair.far, "last", "x");
      ipc_connection_close (pair.far);
      ipc_test_wait_for (!ipc_connection_get_is_open (pair.near));
      g_assert_cmpuint (ipc_connection_get_messages_received (pair.near), ==, before + 2);
    }
}

/* A peer that does not take what is queued holds the closing side up, and its death ends that. */
static void
test_linger (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  g_autofree char *text = g_strnfill (3000000, 'x');
  g_autoptr(GString) log = g_string_new (NULL);
  IpcConnection *far;

  pair_init (&pair, test);
  g_assert_true (ipc_server_start (pair.server, NULL));
  raw_connect_binary (&raw, pair.path, 1 << 24);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 1);
  far = g_list_model_get_item (ipc_server_get_connections (pair.server), 0);
  g_signal_connect (far, "closed", G_CALLBACK (note_closed), log);
  pair_send_text (far, "a", text);
  ipc_connection_close (far);
  assert_loop_sleeps ();
  g_assert_cmpuint (log->len, ==, 0);
  raw_close (&raw);
  ipc_test_wait_for (log->len > 0);
  g_assert_cmpstr (log->str, ==, "closed ");
  pair_wait_finalized (far);
}

/* The same client again, and again. */
static void
test_open_again (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  pair_init_open (&pair, test);
  for (guint i = 0; i < 5; i++)
    {
      ipc_client_close (pair.client);
      ipc_test_wait_for (ipc_client_get_state (pair.client) == IPC_CLIENT_STATE_CLOSED &&
                         ipc_server_get_n_clients (pair.server) == 0);
      ipc_server_stop (pair.server);
      pair_wait_finalized (g_steal_pointer (&pair.near));
      pair_wait_finalized (g_steal_pointer (&pair.far));
      pair_open (&pair);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/connection/order", test_order);
  ipc_test_add ("/messaging/connection/contents", test_contents);
  ipc_test_add ("/messaging/connection/headers-and-time", test_headers_and_time);
  ipc_test_add ("/messaging/connection/forward", test_forward);
  ipc_test_add ("/messaging/connection/details", test_details);
  ipc_test_add ("/messaging/connection/no-quarks", test_no_quarks);
  ipc_test_add ("/messaging/connection/nobody-listens", test_nobody_listens);
  ipc_test_add ("/messaging/connection/wildcard", test_wildcard);
  ipc_test_add ("/messaging/connection/properties", test_properties);
  ipc_test_add ("/messaging/connection/notify-received", test_notify_received);
  ipc_test_add ("/messaging/connection/notify-one", test_notify_one);
  ipc_test_add ("/messaging/connection/notify-sent", test_notify_sent);
  ipc_test_add ("/messaging/connection/clients", test_clients);
  ipc_test_add ("/messaging/connection/broadcast", test_broadcast);
  ipc_test_add ("/messaging/connection/closed-once", test_closed_once);
  ipc_test_add ("/messaging/connection/send-after-close", test_send_after_close);
  ipc_test_add ("/messaging/connection/queued-is-delivered", test_queued_is_delivered);
  ipc_test_add ("/messaging/connection/linger", test_linger);
  ipc_test_add ("/messaging/connection/open-again", test_open_again);
  return ipc_test_run ();
}
