/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server and its connections count, whom they tell of it and when, and the request ipc.stats.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stalled.h"

/* ── Counters ── */

static void
exchange (Pair *pair, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_auto(Answer) answer = { 0 };

      pair_ask (pair->near, "echo", "hello", 10000, &answer);
      g_assert_no_error (answer.error);
    }
}

static void
test_counters (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  const guint64 frame = IPC_FRAME_HEADER_SIZE + strlen ("echohello");
  guint64 received, sent;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  g_assert_cmpuint (ipc_server_get_messages_received (pair.server), ==, 0);
  received = ipc_server_get_bytes_received (pair.server);
  sent = ipc_server_get_bytes_sent (pair.server);
  g_assert_cmpuint (received, >=, IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE); /* HELLO */
  exchange (&pair, 10);
  g_assert_cmpuint (ipc_server_get_messages_received (pair.server), ==, 10);
  g_assert_cmpuint (ipc_server_get_messages_sent (pair.server), ==, 10);
  g_assert_cmpuint (ipc_server_get_messages_dropped (pair.server), ==, 0);
  g_assert_cmpuint (ipc_server_get_bytes_received (pair.server), ==, received + 10 * frame);
  g_assert_cmpuint (ipc_server_get_bytes_sent (pair.server), ==, sent + 10 * frame);
  g_assert_cmpuint (ipc_server_get_queued_bytes (pair.server), ==, 0);
  g_assert_cmpuint (ipc_connection_get_bytes_received (pair.far), ==, ipc_server_get_bytes_received (pair.server));
  g_assert_cmpuint (ipc_connection_get_bytes_sent (pair.near), ==, ipc_connection_get_bytes_received (pair.far));
  g_assert_cmpuint (ipc_connection_get_bytes_received (pair.near), ==, ipc_connection_get_bytes_sent (pair.far));
}

/* What went through those that are gone stays counted, once. */
static void
test_closed_count (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  guint64 received;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  exchange (&pair, 3);
  received = ipc_server_get_bytes_received (pair.server);
  ipc_client_close (pair.client);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 0);
  g_assert_cmpuint (ipc_server_get_messages_received (pair.server), ==, 3);
  g_assert_cmpuint (ipc_server_get_messages_sent (pair.server), ==, 3);
  g_assert_cmpuint (ipc_server_get_bytes_received (pair.server), ==, received);
  g_assert_cmpuint (ipc_server_get_queued_bytes (pair.server), ==, 0);
}

static void
test_queued (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };

  stalled_init (&stalled, test, 50000);
  fill (stalled.far, 1000);
  g_assert_cmpuint (ipc_server_get_queued_bytes (stalled.pair.server), ==, ipc_connection_get_queued_bytes (stalled.far));
  g_assert_cmpuint (ipc_server_get_queued_bytes (stalled.pair.server), >, 40000);
  raw_close (&stalled.raw);
  ipc_test_wait_for (ipc_server_get_n_clients (stalled.pair.server) == 0);
  g_assert_cmpuint (ipc_server_get_queued_bytes (stalled.pair.server), ==, 0);
}

/* ── Observers ── */

typedef struct
{
  guint n;
  guint64 last;
} Notified;

static void
notified_cb (IpcServer *server, GParamSpec *pspec, gpointer data)
{
  Notified *notified = data;

  notified->n++;
  g_object_get (server, pspec->name, &notified->last, NULL);
}

/* Told of every value that stays, and not more often than ten times a second. */
static void
test_notify (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  Notified received = { 0 }, dropped = { 0 };
  gint64 start;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  exchange (&pair, 5);          /* nobody looks */
  g_signal_connect (pair.server, "notify::messages-received", G_CALLBACK (notified_cb), &received);
  g_signal_connect (pair.server, "notify::messages-dropped", G_CALLBACK (notified_cb), &dropped);
  start = g_get_monotonic_time ();
  exchange (&pair, 2000);
  ipc_test_wait_for (received.last == 2005);
  g_assert_cmpuint (received.n, <=, 2 + (guint) ((g_get_monotonic_time () - start) / 100000));
  exchange (&pair, 1);
  ipc_test_wait_for (received.last == 2006);
  g_assert_cmpuint (dropped.n, ==, 0);
  ipc_test_settle ();
  g_assert_cmpuint (received.last, ==, 2006);
}

/* A server that goes while it is about to tell somebody. */
static void
test_notify_and_go (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  Notified received = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  g_signal_connect (pair.server, "notify::messages-received", G_CALLBACK (notified_cb), &received);
  exchange (&pair, 3);
}

/* ── ipc.stats ── */

static GVariant *
ask_stats (IpcConnection *connection, IpcMessage *request)
{
  g_auto(Answer) answer = { 0 };
  GVariant *stats;

  ipc_connection_request_with_callback (connection, request, 10000, NULL, answer_cb, &answer);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (ipc_message_get_message_type (answer.reply), ==, "stats");
  stats = ipc_message_get_variant (answer.reply);
  g_assert_nonnull (stats);
  g_assert_true (g_variant_is_of_type (stats, G_VARIANT_TYPE_VARDICT));
  return g_variant_ref (stats);
}

static guint64
get_number (GVariant *stats, const char *name)
{
  guint64 value;

  if (!g_variant_lookup (stats, name, "t", &value))
    g_error ("no %s", name);
  return value;
}

static void
never_cb (gpointer instance, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  g_assert_not_reached ();
}

static void
test_stats (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) request = ipc_message_new_text ("ipc.stats", "");
  g_autoptr(GVariant) stats = NULL;
  const char *address;
  guint32 pid;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  /* not the application's business */
  g_signal_connect (pair.server, "message-received", G_CALLBACK (never_cb), NULL);
  pair_open (&pair);
  stats = ask_stats (pair.near, request);
  g_assert_true (g_variant_lookup (stats, "address", "&s", &address));
  g_assert_cmpstr (address, ==, pair.path);
  g_assert_true (g_variant_lookup (stats, "pid", "u", &pid));
  g_assert_cmpuint (pid, ==, getpid ());
  g_assert_cmpuint (get_number (stats, "clients"), ==, 1);
  g_assert_cmpuint (get_number (stats, "max-clients"), ==, 256);
  g_assert_cmpuint (get_number (stats, "clients-refused"), ==, 0);
  g_assert_cmpuint (get_number (stats, "messages-received"), ==, 1);
  g_assert_cmpuint (get_number (stats, "messages-sent"), ==, 0);
  g_assert_cmpuint (get_number (stats, "messages-dropped"), ==, 0);
  g_assert_cmpuint (get_number (stats, "bytes-received"), ==, ipc_server_get_bytes_received (pair.server));
  g_assert_cmpuint (get_number (stats, "queued-bytes"), ==, 0);
  g_assert_cmpuint (get_number (stats, "uptime"), <, 60000);
  g_assert_null (g_variant_lookup_value (stats, "connections", NULL));
}

/* Asked for in each of the ways, or not. */
static void
test_stats_clients (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(GVariantDict) options = G_VARIANT_DICT_INIT (NULL);
  g_autoptr(JsonNode) yes = json_from_string ("{\"clients\":true}", NULL);
  g_autoptr(JsonNode) no = json_from_string ("{\"clients\":[1]}", NULL);
  IpcMessage *requests[6];

  g_variant_dict_insert (&options, "clients", "b", TRUE);
  requests[0] = ipc_message_new_text ("ipc.stats", "clients");
  requests[1] = ipc_message_new_json ("ipc.stats", yes);
  requests[2] = ipc_message_new_variant ("ipc.stats", g_variant_dict_end (&options));
  requests[3] = ipc_message_new_text ("ipc.stats", "nonsense");
  requests[4] = ipc_message_new_json ("ipc.stats", no);
  requests[5] = ipc_message_new_variant ("ipc.stats", g_variant_new_string ("clients"));
  pair_init_open (&pair, test);
  for (guint i = 0; i < G_N_ELEMENTS (requests); i++)
    {
      g_autoptr(GVariant) stats = ask_stats (pair.near, requests[i]);
      g_autoptr(GVariant) rows = g_variant_lookup_value (stats, "connections", G_VARIANT_TYPE ("aa{sv}"));
      g_autoptr(GVariant) row = NULL;
      const char *dialect;
      guint32 uid;

      ipc_message_unref (requests[i]);
      g_assert_true ((rows != NULL) == (i < 3));
      if (rows == NULL)
        continue;
      g_assert_cmpuint (g_variant_n_children (rows), ==, 1);
      row = g_variant_get_child_value (rows, 0);
      g_assert_cmpuint (get_number (row, "id"), ==, ipc_connection_get_id (pair.far));
      g_assert_cmpuint (get_number (row, "messages-received"), ==, i + 1);
      g_assert_true (g_variant_lookup (row, "uid", "u", &uid));
      g_assert_cmpuint (uid, ==, geteuid ());
      g_assert_true (g_variant_lookup (row, "wire-format", "&s", &dialect));
      g_assert_cmpstr (dialect, ==, "binary");
    }
}

static void
test_stats_json (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  g_autoptr(JsonObject) reply = NULL;
  JsonObject *stats;

  pair_init_open (&pair, test);
  raw_connect (&raw, pair.path);
  raw_write_text (&raw, "{\"id\":\"a\",\"message_type\":\"ipc.stats\",\"payload\":\"clients\"}\n");
  reply = raw_read_object (&raw);
  g_assert_cmpstr (json_object_get_string_member (reply, "message_type"), ==, "stats");
  g_assert_cmpstr (json_object_get_string_member (reply, "reply_to"), ==, "a");
  stats = json_object_get_object_member (reply, "payload");
  g_assert_cmpint (json_object_get_int_member (stats, "clients"), ==, 2);
  g_assert_cmpuint (json_array_get_length (json_object_get_array_member (stats, "connections")), ==, 2);
}

/* An event of that type is nothing to answer; the rest of ipc.* is not known. */
static void
test_reserved (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init_open (&pair, test);
  pair_ask (pair.near, "ipc.nonsense", "", 10000, &answer);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE);
  answer_clear (&answer);
  /* a client has no statistics */
  pair_ask (pair.far, "ipc.stats", "", 10000, &answer);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE);
  answer_clear (&answer);
  g_test_expect_message ("ipc-glib", G_LOG_LEVEL_CRITICAL, "*ipc.*");
  ipc_server_add_handler (pair.server, "ipc.stats", pair_echo, NULL, NULL);
  g_test_assert_expected_messages ();
  pair_ask (pair.near, "ipc.stats", "", 10000, &answer);
  g_assert_no_error (answer.error);
}

/* ── Other users ── */

static int
other_user (char **arguments)
{
  g_autoptr(IpcClient) client = transport_client_new (arguments[0]);
  g_autoptr(IpcMessage) request = ipc_message_new_text ("ipc.stats", "");
  g_autoptr(IpcMessage) reply = NULL;
  g_autoptr(GError) error = NULL;

  ipc_client_set_server_uid (client, 0);
  if (!ipc_client_open (client, NULL, &error))
    {
      ipc_test_tell ("open: %s", error->message);
      return 1;
    }
  reply = ipc_client_request (client, request, 10000, NULL, &error);
  ipc_test_tell ("%s", reply != NULL ? "answered" : strstr (error->message, "is for user 0 alone") ? "refused" : error->message);
  return 0;
}

static IpcAuthorization
admit_cb (IpcServer *server, IpcConnection *connection, gpointer data)
{
  return IPC_AUTHORIZATION_GRANTED;
}

static void
set_way_in (IpcTest *test, guint mode)
{
  g_autofree char *above = g_path_get_dirname (test->directory);

  g_assert_no_errno (chmod (above, mode));
  g_assert_no_errno (chmod (test->directory, mode));
}

static void
test_other_user (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  const char *arguments[2] = { NULL };

  if (!ipc_test_need_root ())
    return;
  pair_init (&pair, test);
  set_way_in (test, 0711);
  ipc_server_set_mode (pair.server, 0666);
  g_signal_connect (pair.server, "authorize-client", G_CALLBACK (admit_cb), NULL);
  pair_open (&pair);
  arguments[0] = pair.path;
  peer = ipc_test_peer_spawn_as (12345, "other-user", arguments);
  ipc_test_peer_expect (peer, "refused");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  set_way_in (test, 0700);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "other-user", other_user }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/messaging/statistics/counters", test_counters);
  ipc_test_add ("/messaging/statistics/closed-count", test_closed_count);
  ipc_test_add ("/messaging/statistics/queued", test_queued);
  ipc_test_add ("/messaging/statistics/notify", test_notify);
  ipc_test_add ("/messaging/statistics/notify-and-go", test_notify_and_go);
  ipc_test_add ("/messaging/statistics/stats", test_stats);
  ipc_test_add ("/messaging/statistics/stats-clients", test_stats_clients);
  pair_add_socket_only ("/messaging/statistics/stats-json", test_stats_json);
  ipc_test_add ("/messaging/statistics/reserved", test_reserved);
  pair_add_socket_only ("/messaging/statistics/other-user", test_other_user);
  return ipc_test_run ();
}
