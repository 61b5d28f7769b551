/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client whose connection is lost and comes back: what is told, in which order, when it gives up, and that closing
 * or dropping it ends it at any moment.
 */
#include <glib/gstdio.h>
#include <string.h>

#include "messaging/ipc-client-private.h"
#include "pair.h"

/* ── What happens to a client, as words ── */

static const char *const state_names[] = { "closed", "opening", "open", "waiting" };

static void
log_state (IpcClient *client, GParamSpec *pspec, GString *log)
{
  g_string_append_printf (log, "state:%s ", state_names[ipc_client_get_state (client)]);
}

static void
log_connection (IpcClient *client, GParamSpec *pspec, GString *log)
{
  g_string_append_printf (log, "connection:%s ", ipc_client_get_connection (client) ? "yes" : "no");
}

static void
log_closed (IpcClient *client, const GError *error, GString *log)
{
  g_string_append_printf (log, "closed:%s ", error ? ipc_error_to_nick (error->code) : "");
}

static void
log_connection_closed (IpcConnection *connection, const GError *error, GString *log)
{
  g_string_append (log, "connection-closed ");
}

static void
log_is_open (IpcConnection *connection, GParamSpec *pspec, GString *log)
{
  g_string_append (log, "is-open ");
}

static void
log_answer (GObject *source, GAsyncResult *result, gpointer log)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcMessage) reply = ipc_client_request_finish (IPC_CLIENT (source), result, &error);

  g_assert_null (reply);
  g_string_append_printf (log, "request:%s ", ipc_error_to_nick (error->code));
}

static void
log_all (IpcClient *client, GString *log)
{
  g_signal_connect (client, "notify::state", G_CALLBACK (log_state), log);
  g_signal_connect (client, "notify::connection", G_CALLBACK (log_connection), log);
  g_signal_connect (client, "closed", G_CALLBACK (log_closed), log);
}

static void
assert_log (GString *log, const char *expected)
{
  g_assert_cmpstr (log->str, ==, expected);
  g_string_truncate (log, 0);
}

/* ── A pair that reconnects ── */

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer kept, GError **error)
{
  g_ptr_array_add (kept, ipc_message_ref (request));
  return NULL;
}

static void
start (Pair *self)
{
  g_autoptr(GError) error = NULL;

  ipc_server_start (self->server, &error);
  g_assert_no_error (error);
}

/* Quick, so that tests need not wait. */
static void
set_up (Pair *self, IpcTest *test)
{
  pair_init (self, test);
  ipc_client_set_reconnect (self->client, TRUE);
  self->client->backoff.base = self->client->backoff.limit = 5;
  ipc_server_add_handler (self->server, "echo", pair_echo, NULL, NULL);
  pair_open (self);
}

static gboolean
is_in (Pair *self, IpcClientState state)
{
  return ipc_client_get_state (self->client) == state;
}

/* The server goes; nobody is left to know its side of the connection. */
static void
lose (Pair *self)
{
  g_clear_object (&self->near);
  ipc_server_stop (self->server);
  g_clear_object (&self->far);
  ipc_test_wait_for (!is_in (self, IPC_CLIENT_STATE_OPEN));
}

static void
check_echo (Pair *self)
{
  g_autoptr(IpcConnection) connection = g_object_ref (ipc_client_get_connection (self->client));
  g_auto(Answer) answer = { 0 };

  pair_ask (connection, "echo", "still there", 5000, &answer);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "still there");
}

static void
wait_until_back (Pair *self)
{
  ipc_test_wait_for (is_in (self, IPC_CLIENT_STATE_OPEN));
  check_echo (self);
}

/* ── What is told ── */

static void
test_order (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  g_autoptr(IpcMessage) request = ipc_message_new_text ("keep", "");

  set_up (&pair, test);
  /* slow, so that there is no attempt before the server is back */
  pair.client->backoff.base = pair.client->backoff.limit = 100;
  ipc_server_add_handler (pair.server, "keep", keep, kept, NULL);
  log_all (pair.client, log);
  g_signal_connect (pair.near, "closed", G_CALLBACK (log_connection_closed), log);
  g_signal_connect (pair.near, "notify::is-open", G_CALLBACK (log_is_open), log);
  ipc_client_request_async (pair.client, request, -1, NULL, log_answer, log);
  ipc_test_wait_for (kept->len == 1);
  g_ptr_array_set_size (kept, 0);
  ipc_test_settle ();
  g_string_truncate (log, 0);
  ipc_client_request_async (pair.client, request, -1, NULL, log_answer, log);
  ipc_client_request_async (pair.client, request, -1, NULL, log_answer, log);
  ipc_test_wait_for (kept->len == 2);
  lose (&pair);
  g_ptr_array_set_size (kept, 0);
  ipc_test_wait_for (strstr (log->str, "closed: ") != NULL);
  assert_log (log, "request:uncertain request:uncertain connection-closed is-open state:waiting connection:no closed: ");
  start (&pair);
  ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_OPEN));
  assert_log (log, "state:opening connection:yes state:open ");
  check_echo (&pair);
  ipc_client_close (pair.client);
  g_assert_cmpstr (log->str, ==, "");
  ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
  ipc_test_settle ();
  assert_log (log, "state:closed connection:no closed: ");
}

/* Each notification is for a change of just that. */
static void
test_first_opening (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  pair_init (&pair, test);
  ipc_client_set_wait_for_server (pair.client, TRUE);
  log_all (pair.client, log);
  ipc_client_open_async (pair.client, NULL, NULL, NULL);
  ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_WAITING));
  start (&pair);
  ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_OPEN));
  assert_log (log, "state:opening state:waiting state:opening connection:yes state:open ");
  ipc_server_stop (pair.server);
  ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
  ipc_test_settle ();
  assert_log (log, "state:closed connection:no closed: ");
}

/* As it is without: one `closed`, and then nothing. */
static void
test_without (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  pair_init_open (&pair, test);
  g_assert_false (ipc_client_get_reconnect (pair.client));
  log_all (pair.client, log);
  lose (&pair);
  start (&pair);
  ipc_test_settle ();
  assert_log (log, "state:closed connection:no closed: ");
  assert_loop_sleeps ();
}

static void
test_not_connected_meanwhile (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "");
  g_auto(IpcTestAsync) sent = { 0 };
  g_auto(IpcTestAsync) asked = { 0 };
  GError *errors[5] = { 0 };

  set_up (&pair, test);
  lose (&pair);
  g_assert_false (ipc_client_send (pair.client, message, &errors[0]));
  g_assert_null (ipc_client_request (pair.client, message, 1000, NULL, &errors[1]));
  ipc_client_send_async (pair.client, message, NULL, ipc_test_async_cb, &sent);
  ipc_client_request_async (pair.client, message, 1000, NULL, ipc_test_async_cb, &asked);
  g_assert_false (ipc_client_send_finish (pair.client, ipc_test_async_wait (&sent), &errors[2]));
  g_assert_null (ipc_client_request_finish (pair.client, ipc_test_async_wait (&asked), &errors[3]));
  for (guint i = 0; i < 4; i++)
    g_assert_error (errors[i], IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
  g_assert_false (ipc_client_open (pair.client, NULL, &errors[4]));
  g_assert_error (errors[4], IPC_ERROR, IPC_ERROR_ALREADY);
  start (&pair);
  wait_until_back (&pair);
  for (guint i = 0; i < 5; i++)
    g_clear_error (&errors[i]);
}

static IpcMessage *
count (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer n, GError **error)
{
  ++*(guint *) n;
  return NULL;
}

static void
test_handlers_survive (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) news = ipc_message_new_text ("news", "");
  guint n = 0;

  set_up (&pair, test);
  ipc_client_add_handler (pair.client, "news", count, &n, NULL);
  for (guint i = 1; i <= 5; i++)
    {
      lose (&pair);
      start (&pair);
      ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_OPEN));
      ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 1);
      g_assert_cmpuint (ipc_server_broadcast (pair.server, news, NULL), ==, 1);
      ipc_test_wait_for (n == i);
    }
}

/* Closing the connection is no wish to close the client. */
static void
test_connection_closed_here (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  IpcConnection *before;

  set_up (&pair, test);
  before = pair.near;
  ipc_connection_close (pair.near);
  ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_WAITING));
  g_clear_object (&pair.far);
  wait_until_back (&pair);
  g_assert_true (ipc_client_get_connection (pair.client) != before);
}

/* ── How long it waits ── */

static void
test_delays (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  set_up (&pair, test);
  pair.client->backoff.base = 4;
  pair.client->backoff.limit = 32;
  lose (&pair);
  ipc_test_wait_for (pair.client->backoff.last > 32 * 750);
  g_assert_cmpint (pair.client->backoff.last, <=, 32 * 1250);
  start (&pair);
  wait_until_back (&pair);
  /* it did not last */
  lose (&pair);
  g_assert_cmpint (pair.client->backoff.last, >=, 32 * 750);
  start (&pair);
  wait_until_back (&pair);
  pair.client->lasting = 0;
  lose (&pair);
  g_assert_cmpint (pair.client->backoff.last, <=, 4 * 1250);
  start (&pair);
  wait_until_back (&pair);
}

/* Long before it would look again. */
static void
test_watched (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  set_up (&pair, test);
  ipc_client_set_wait_for_server (pair.client, TRUE);
  pair.client->backoff.base = pair.client->backoff.limit = 600000;
  for (guint i = 0; i < 3; i++)
    {
      lose (&pair);
      g_assert_cmpint (pair.client->backoff.last, >=, 600000 * 750);
      start (&pair);
      wait_until_back (&pair);
    }
}

/* The directory is gone, and with it what could be watched; the clock still works. */
static void
test_directory_goes (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autofree char *directory = ipc_test_path (test, "directory");

  pair.path = g_build_filename (directory, "socket", NULL);
  g_assert_no_errno (g_mkdir (directory, 0700));
  pair.server = transport_server_new (pair.path);
  pair.client = transport_client_new (pair.path);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  ipc_client_set_reconnect (pair.client, TRUE);
  ipc_client_set_wait_for_server (pair.client, TRUE);
  pair.client->backoff.base = pair.client->backoff.limit = 5;
  pair_open (&pair);
  lose (&pair);
  ipc_test_remove_tree (directory);
  ipc_test_settle ();
  g_assert_true (is_in (&pair, IPC_CLIENT_STATE_WAITING));
  g_assert_no_errno (g_mkdir (directory, 0700));
  start (&pair);
  wait_until_back (&pair);
}

/* ── Giving up, and not ── */

static IpcAuthorization
deny (IpcServer *server, IpcConnection *connection, guint *n)
{
  ++*n;
  return IPC_AUTHORIZATION_DENIED;
}

static void
wait_until_given_up (Pair *self, GString *log, const char *closed)
{
  ipc_test_wait_for (is_in (self, IPC_CLIENT_STATE_CLOSED));
  ipc_test_settle ();
  g_assert_true (g_str_has_suffix (log->str, closed));
  assert_loop_sleeps ();
}

/* Asked twice, because a dying server may look the same. */
static void
test_refused (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  guint n_asked = 0;

  set_up (&pair, test);
  log_all (pair.client, log);
  lose (&pair);
  g_signal_connect (pair.server, "authorize-client", G_CALLBACK (deny), &n_asked);
  start (&pair);
  wait_until_given_up (&pair, log, "state:waiting connection:no state:opening connection:yes "
                       "state:closed connection:no closed:permission-denied ");
  g_assert_cmpuint (n_asked, ==, 2);
}

static void
test_other_user (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  set_up (&pair, test);
  log_all (pair.client, log);
  lose (&pair);
  ipc_client_set_server_uid (pair.client, 12345);
  start (&pair);
  wait_until_given_up (&pair, log, transport_is_pipe () ? "state:closed closed:unsupported " : "state:closed closed:permission-denied ");
}

/* A server without room may have some later. */
static void
test_full (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) other = { 0 };
  guint n_overloaded = 0;

  set_up (&pair, test);
  lose (&pair);
  ipc_server_set_max_clients (pair.server, 1);
  g_signal_connect_swapped (pair.server, "overloaded", G_CALLBACK (g_atomic_int_inc), &n_overloaded);
  start (&pair);
  raw_connect (&other, pair.path);
  ipc_test_wait_for (n_overloaded >= 2);
  raw_close (&other);
  wait_until_back (&pair);
}

static void
test_turned_off (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  set_up (&pair, test);
  log_all (pair.client, log);
  lose (&pair);
  ipc_client_set_reconnect (pair.client, FALSE);
  wait_until_given_up (&pair, log, "state:closed closed:no-server ");
}

/* ── Closing ── */

static void
test_closed_while_waiting (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);

  set_up (&pair, test);
  pair.client->backoff.base = pair.client->backoff.limit = 600000;
  log_all (pair.client, log);
  lose (&pair);
  ipc_test_settle ();
  g_string_truncate (log, 0);
  ipc_client_close (pair.client);
  ipc_client_close (pair.client);
  assert_log (log, "");
  ipc_test_settle ();
  assert_log (log, "state:closed closed: ");
  assert_loop_sleeps ();
  /* and it can be opened again */
  start (&pair);
  ipc_client_open_async (pair.client, NULL, NULL, NULL);
  wait_until_back (&pair);
}

static void
close_it (IpcClient *client, gpointer unused, GString *log)
{
  if (ipc_client_get_state (client) == IPC_CLIENT_STATE_WAITING)
    ipc_client_close (client);
}

static void
test_closed_in_handler (IpcTest *test)
{
  for (guint i = 0; i < 2; i++)
    {
      g_auto(Pair) pair = { 0 };
      g_autoptr(GString) log = g_string_new (NULL);

      set_up (&pair, test);
      log_all (pair.client, log);
      g_signal_connect (pair.client, i == 0 ? "notify::state" : "closed", G_CALLBACK (close_it), log);
      lose (&pair);
      start (&pair);
      ipc_test_settle ();
      assert_log (log, "state:waiting connection:no closed: state:closed closed: ");
      assert_loop_sleeps ();
    }
}

static void
open_again (IpcClient *client, const GError *error, gpointer unused)
{
  if (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED)
    ipc_client_open_async (client, NULL, NULL, NULL);
}

/* In the last `closed` it can be opened. */
static void
test_opened_in_handler (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  set_up (&pair, test);
  g_signal_connect (pair.client, "closed", G_CALLBACK (open_again), NULL);
  lose (&pair);
  start (&pair);
  ipc_client_close (pair.client);
  wait_until_back (&pair);
}

static gpointer
close_in_thread (gpointer client)
{
  ipc_client_close (client);
  return NULL;
}

/* From another thread, at any moment of reconnecting. */
static void
test_closed_by_thread (IpcTest *test)
{
  for (guint i = 0; i < 60; i++)
    {
      g_auto(Pair) pair = { 0 };
      g_autoptr(GString) log = g_string_new (NULL);
      GThread *thread;

      set_up (&pair, test);
      pair.client->backoff.base = pair.client->backoff.limit = 1;
      log_all (pair.client, log);
      lose (&pair);
      start (&pair);
      ipc_test_iterate (i % 12);
      thread = g_thread_new ("close", close_in_thread, pair.client);
      ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
      g_thread_join (thread);
      ipc_test_settle ();
      g_assert_true (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
      g_assert_true (g_str_has_suffix (log->str, "closed: "));
    }
}

typedef struct
{
  IpcClient *client;    /* (unowned) */
  GThread *thread;      /* (nullable) (owned) */
  gint may_close;       /* (atomic) */
  guint head_start;     /* of the thread */
} Closer;

static gpointer
close_when_told (gpointer data)
{
  Closer *self = data;

  while (!g_atomic_int_get (&self->may_close))
    ;
  ipc_client_close (self->client);
  return NULL;
}

static void
tell_closer (IpcClient *client, GParamSpec *pspec, Closer *closer)
{
  if (ipc_client_get_connection (client) == NULL)
    return;
  g_atomic_int_set (&closer->may_close, TRUE);
  for (guint i = 0; i < closer->head_start; i++)
    g_atomic_int_get (&closer->may_close);
}

/* While the connection that was just made is started: sooner or later, by as much as nobody could wait. */
static void
test_closed_while_starting (IpcTest *test)
{
  for (guint i = 0; i < 200; i++)
    {
      g_auto(Pair) pair = { 0 };
      Closer closer = { 0 };

      set_up (&pair, test);
      pair.client->backoff.base = pair.client->backoff.limit = 1;
      lose (&pair);
      closer.client = pair.client;
      closer.head_start = i * 10;
      g_signal_connect (pair.client, "notify::connection", G_CALLBACK (tell_closer), &closer);
      closer.thread = g_thread_new ("close", close_when_told, &closer);
      start (&pair);
      ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
      g_thread_join (closer.thread);
      ipc_test_settle ();
      g_assert_true (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
      g_signal_handlers_disconnect_by_data (pair.client, &closer);
    }
}

/* ── At each iteration ── */

typedef enum
{
  DISTURB_CANCEL,
  DISTURB_CLOSE,
  DISTURB_DROP,
} Disturbance;

static void
disturb_at (IpcTest *test, Disturbance disturbance, guint k)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(IpcMessage) request = ipc_message_new_text ("keep", "");
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  g_auto(IpcTestAsync) opened = { 0 };
  g_auto(IpcTestAsync) asked = { 0 };
  g_autoptr(GError) error = NULL;

  pair_init (&pair, test);
  ipc_client_set_reconnect (pair.client, TRUE);
  pair.client->backoff.base = pair.client->backoff.limit = 1;
  ipc_server_add_handler (pair.server, "keep", keep, kept, NULL);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  start (&pair);
  ipc_client_open_async (pair.client, cancellable, ipc_test_async_cb, &opened);
  g_assert_true (ipc_client_open_finish (pair.client, ipc_test_async_wait (&opened), &error));
  ipc_client_request_async (pair.client, request, -1, cancellable, ipc_test_async_cb, &asked);
  ipc_test_wait_for (kept->len == 1);
  ipc_server_stop (pair.server);
  g_ptr_array_set_size (kept, 0);
  if (k % 2 == 0)
    start (&pair);
  ipc_test_iterate (k);
  if (disturbance == DISTURB_CANCEL)
    g_cancellable_cancel (cancellable);
  else if (disturbance == DISTURB_CLOSE)
    ipc_client_close (pair.client);
  else
    g_clear_object (&pair.client);
  ipc_test_wait_for (asked.n_callbacks == 1);
  g_assert_null (ipc_client_request_finish (IPC_CLIENT (asked.source), asked.result, &error));
  if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_UNCERTAIN))
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  ipc_test_async_clear (&asked);
  ipc_test_async_clear (&opened);
  if (disturbance == DISTURB_CLOSE)
    ipc_test_wait_for (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
  if (k % 2 != 0)
    start (&pair);
  ipc_test_settle ();
  /* what opening was cancelled with has no say any more */
  if (disturbance == DISTURB_CANCEL)
    wait_until_back (&pair);
  else if (disturbance == DISTURB_CLOSE)
    g_assert_true (is_in (&pair, IPC_CLIENT_STATE_CLOSED));
  else
    ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 0);
}

static void
test_matrix (IpcTest *test)
{
  guint n_fds;

  ipc_test_settle ();
  n_fds = ipc_test_count_fds ();
  for (Disturbance disturbance = DISTURB_CANCEL; disturbance <= DISTURB_DROP; disturbance++)
    for (guint k = 0; k <= 20; k++)
      disturb_at (test, disturbance, k);
  ipc_test_settle ();
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
}

/* In another thread, while it waits, and while there is something to come. */
static gpointer
drop_in_thread (gpointer client)
{
  g_object_unref (client);
  return NULL;
}

static void
test_dropped_by_thread (IpcTest *test)
{
  for (guint i = 0; i < 40; i++)
    {
      g_auto(Pair) pair = { 0 };
      GThread *thread;
      gpointer weak;

      set_up (&pair, test);
      ipc_client_set_wait_for_server (pair.client, i % 2 == 0);
      pair.client->backoff.base = pair.client->backoff.limit = 1;
      lose (&pair);
      weak = pair.client;
      g_object_add_weak_pointer (weak, &weak);
      thread = g_thread_new ("drop", drop_in_thread, g_steal_pointer (&pair.client));
      start (&pair);
      ipc_test_iterate (i % 8);
      g_thread_join (thread);
      ipc_test_wait_for (weak == NULL);
      ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 0);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/reconnect/order", test_order);
  ipc_test_add ("/messaging/reconnect/first-opening", test_first_opening);
  ipc_test_add ("/messaging/reconnect/without", test_without);
  ipc_test_add ("/messaging/reconnect/not-connected-meanwhile", test_not_connected_meanwhile);
  ipc_test_add ("/messaging/reconnect/handlers-survive", test_handlers_survive);
  ipc_test_add ("/messaging/reconnect/connection-closed-here", test_connection_closed_here);
  ipc_test_add ("/messaging/reconnect/delays", test_delays);
  ipc_test_add ("/messaging/reconnect/watched", test_watched);
  ipc_test_add ("/messaging/reconnect/directory-goes", test_directory_goes);
  ipc_test_add ("/messaging/reconnect/refused", test_refused);
  ipc_test_add ("/messaging/reconnect/other-user", test_other_user);
  pair_add_socket_only ("/messaging/reconnect/full", test_full);
  ipc_test_add ("/messaging/reconnect/turned-off", test_turned_off);
  ipc_test_add ("/messaging/reconnect/closed-while-waiting", test_closed_while_waiting);
  ipc_test_add ("/messaging/reconnect/closed-in-handler", test_closed_in_handler);
  ipc_test_add ("/messaging/reconnect/opened-in-handler", test_opened_in_handler);
  ipc_test_add ("/messaging/reconnect/closed-by-thread", test_closed_by_thread);
  ipc_test_add ("/messaging/reconnect/closed-while-starting", test_closed_while_starting);
  ipc_test_add ("/messaging/reconnect/matrix", test_matrix);
  ipc_test_add ("/messaging/reconnect/dropped-by-thread", test_dropped_by_thread);
  return ipc_test_run ();
}
