/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The calls that block: without a main loop, beside one, from within a handler, from several threads; and what
 * becomes of the messages that they meet while they wait.
 */
#include <signal.h>
#include <string.h>

#include "pair.h"

/* ── A server in a thread of its own ── */

typedef struct
{
  char *path;            /* (owned) */
  GMainContext *context; /* (owned) */
  GThread *thread;       /* (owned) */
  GMutex lock;
  GCond changed;
  gboolean running;      /* (mutex lock) */
  gint quit;             /* (atomic) */
  gint n_kept;           /* (atomic) requests of type "keep" that have come */
  GPtrArray *kept;       /* (owned) of the thread */
} Remote;

static void
send_number (IpcConnection *connection, const char *type, guint i)
{
  g_autofree char *text = g_strdup_printf ("%u", i);

  pair_send_text (connection, type, text);
}

/* First as many events as the text says, then the answer. */
static IpcMessage *
burst (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  guint n = (guint) g_ascii_strtoull (ipc_message_get_text (request), NULL, 10);

  for (guint i = 0; i < n; i++)
    send_number (connection, "event", i);
  return ipc_message_new_text ("answer", "done");
}

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  Remote *self = data;

  g_ptr_array_add (self->kept, ipc_message_ref (request));
  g_atomic_int_inc (&self->n_kept);
  return NULL;
}

static IpcMessage *
close_connection (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  ipc_connection_close (connection);
  return NULL;
}

static void
answered_back (IpcConnection *connection, IpcMessage *reply, const GError *error, gpointer request)
{
  g_autoptr(IpcMessage) message =
    ipc_message_new_text ("answer", reply ? ipc_message_get_text (reply) : error->message);

  ipc_connection_reply (connection, request, message, NULL);
  ipc_message_unref (request);
}

/* Asks whoever asks. */
static IpcMessage *
ask_back (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autoptr(IpcMessage) question = ipc_message_new_text ("question", ipc_message_get_text (request));

  ipc_connection_request_with_callback (connection, question, -1, NULL, answered_back, ipc_message_ref (request));
  return NULL;
}

static void
add_handlers (Remote *self, IpcServer *server)
{
  ipc_server_add_handler (server, "echo", pair_echo, NULL, NULL);
  ipc_server_add_handler (server, "burst", burst, NULL, NULL);
  ipc_server_add_handler (server, "keep", keep, self, NULL);
  ipc_server_add_handler (server, "close", close_connection, NULL, NULL);
  ipc_server_add_handler (server, "ask-back", ask_back, NULL, NULL);
}

static void
set_running (Remote *self)
{
  g_mutex_lock (&self->lock);
  self->running = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
}

static gpointer
run_remote (gpointer data)
{
  Remote *self = data;
  IpcServer *server;
  g_autoptr(GError) error = NULL;

  g_main_context_push_thread_default (self->context);
  self->kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  server = transport_server_new (self->path);
  add_handlers (self, server);
  ipc_server_start (server, &error);
  g_assert_no_error (error);
  set_running (self);
  while (!g_atomic_int_get (&self->quit))
    g_main_context_iteration (self->context, TRUE);
  g_ptr_array_unref (self->kept);
  ipc_server_stop (server);
  pair_wait_finalized (server);
  /* the connections have something to tell as well */
  ipc_test_settle ();
  g_main_context_pop_thread_default (self->context);
  return NULL;
}

static void
remote_init (Remote *self, IpcTest *test)
{
  self->path = ipc_test_path (test, "socket");
  self->context = g_main_context_new ();
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->thread = g_thread_new ("remote", run_remote, self);
  g_mutex_lock (&self->lock);
  while (!self->running)
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
}

static void
remote_clear (Remote *self)
{
  g_atomic_int_set (&self->quit, TRUE);
  g_main_context_wakeup (self->context);
  g_thread_join (self->thread);
  g_main_context_unref (self->context);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Remote, remote_clear)

static IpcClient *
open_client (const char *path)
{
  IpcClient *client = transport_client_new (path);
  g_autoptr(GError) error = NULL;

  ipc_client_open (client, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_OPEN);
  return client;
}

static void
close_client (IpcClient *client)
{
  ipc_client_close (client);
  pair_wait_finalized (client);
}

static void
ask (IpcClient *client, const char *type, const char *text, const char *expected)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text (type, text);
  g_autoptr(IpcMessage) reply = NULL;
  g_autoptr(GError) error = NULL;

  reply = ipc_client_request (client, message, 20000, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, expected);
}

static void
ask_in_vain (IpcClient *client, const char *type, gint timeout, GCancellable *cancellable, GQuark domain, int code)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text (type, "x");
  g_autoptr(IpcMessage) reply = NULL;
  g_autoptr(GError) error = NULL;

  reply = ipc_client_request (client, message, timeout, cancellable, &error);
  g_assert_null (reply);
  g_assert_error (error, domain, code);
}

/* ── Without a main loop ── */

static void
test_no_loop (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  IpcClient *client;
  gpointer weak;

  remote_init (&remote, test);
  client = open_client (remote.path);
  for (guint i = 0; i < 200; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      ask (client, "echo", text, text);
    }
  g_assert_true (ipc_connection_flush (ipc_client_get_connection (client), NULL, NULL));
  ipc_client_close (client);
  weak = client;
  g_object_add_weak_pointer (weak, &weak);
  g_object_unref (client);
  ipc_test_settle ();
  g_assert_null (weak);
}

static void
test_large (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_autofree char *text = g_strnfill (8 * 1024 * 1024, 'x');
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  for (guint i = 0; i < 3; i++)
    ask (client, "echo", text, text);
  close_client (client);
}

static void
test_no_server (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "socket");
  g_autoptr(IpcClient) client = transport_client_new (path);
  g_autoptr(GError) error = NULL;

  g_assert_false (ipc_client_open (client, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_CLOSED);
  ask_in_vain (client, "echo", -1, NULL, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
}

static void
test_errors (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_autoptr(GCancellable) cancelled = g_cancellable_new ();
  g_autoptr(IpcMessage) malformed = ipc_message_new_text ("x", "\xff");
  g_autoptr(IpcMessage) reply = NULL;
  g_autoptr(GError) error = NULL;
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  g_cancellable_cancel (cancelled);
  ask_in_vain (client, "nobody", -1, NULL, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE);
  ask_in_vain (client, "echo", -3, NULL, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  ask_in_vain (client, "echo", -1, cancelled, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  reply = ipc_client_request (client, malformed, -1, NULL, &error);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
  g_clear_error (&error);
  g_assert_false (ipc_client_open (client, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_ALREADY);
  ask (client, "echo", "still here", "still here");
  close_client (client);
}

static void
test_timeouts (IpcTest *test)
{
  static const gint timeouts[] = { 0, 1, 40 };
  g_auto(Remote) remote = { 0 };
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      gint64 begin = g_get_monotonic_time ();

      ask_in_vain (client, "keep", timeouts[i], NULL, IPC_ERROR, IPC_ERROR_TIMED_OUT);
      g_assert_cmpint (g_get_monotonic_time () - begin, >=, timeouts[i] * 1000);
      g_assert_cmpint (g_get_monotonic_time () - begin, <, 10 * G_USEC_PER_SEC);
    }
  /* a request that was given up was sent all the same */
  ask (client, "echo", "after", "after");
  g_assert_cmpint (g_atomic_int_get (&remote.n_kept), ==, G_N_ELEMENTS (timeouts));
  close_client (client);
}

/* ── The end, while waiting ── */

static void
note_closed (IpcClient *client, const GError *error, gpointer counter)
{
  ++*(guint *) counter;
}

static void
test_closed_by_server (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  guint n_closed = 0;
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  g_signal_connect (client, "closed", G_CALLBACK (note_closed), &n_closed);
  ask_in_vain (client, "close", -1, NULL, IPC_ERROR, IPC_ERROR_UNCERTAIN);
  /* nothing is called from within a call that blocks */
  g_assert_cmpuint (n_closed, ==, 0);
  ipc_test_wait_for (n_closed == 1);
  ask_in_vain (client, "echo", -1, NULL, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
  close_client (client);
}

static IpcMessage *
die (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  raise (SIGKILL);
  return NULL;
}

/* The role of a server that can be killed. */
static int
serve (char **arguments)
{
  g_autoptr(IpcServer) server = transport_server_new (arguments[0]);

  ipc_server_add_handler (server, "die", die, NULL, NULL);
  if (!ipc_server_start (server, NULL))
    return 1;
  ipc_test_tell ("ready");
  for (;;)
    g_main_context_iteration (NULL, TRUE);
}

static void
test_killed_server (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "socket");
  const char *arguments[] = { path, NULL };
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("server", arguments);
  IpcClient *client;

  ipc_test_peer_expect (peer, "ready");
  client = open_client (path);
  ask_in_vain (client, "die", -1, NULL, IPC_ERROR, IPC_ERROR_UNCERTAIN);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, -SIGKILL);
  close_client (client);
}

typedef struct
{
  Remote *remote;
  IpcClient *client;
  GCancellable *cancellable;
} Disturber;

static gpointer
cancel_when_kept (gpointer data)
{
  Disturber *self = data;

  while (g_atomic_int_get (&self->remote->n_kept) == 0)
    g_thread_yield ();
  if (self->cancellable)
    g_cancellable_cancel (self->cancellable);
  else
    ipc_connection_close (ipc_client_get_connection (self->client));
  return NULL;
}

static void
test_cancelled (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  Disturber disturber;
  GThread *thread;
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  disturber = (Disturber) { &remote, client, cancellable };
  thread = g_thread_new ("cancel", cancel_when_kept, &disturber);
  ask_in_vain (client, "keep", -1, cancellable, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_thread_join (thread);
  ask (client, "echo", "after", "after");
  close_client (client);
}

static void
test_closed_by_thread (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  Disturber disturber;
  GThread *thread;
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  disturber = (Disturber) { &remote, client, NULL };
  thread = g_thread_new ("close", cancel_when_kept, &disturber);
  ask_in_vain (client, "keep", -1, NULL, IPC_ERROR, IPC_ERROR_UNCERTAIN);
  g_thread_join (thread);
  close_client (client);
}

/* ── What is met while waiting ── */

static void
test_events_later (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(GString) expected = g_string_new (NULL);
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  g_signal_connect (client, "message-received", G_CALLBACK (pair_log_message), log);
  for (guint round = 0; round < 3; round++)
    {
      ask (client, "burst", "300", "done");
      g_assert_cmpuint (log->len, ==, 0);
      for (guint i = 0; i < 300; i++)
        g_string_append_printf (expected, "event=%u ", i);
    }
  ipc_test_wait_for (log->len >= expected->len);
  g_assert_cmpstr (log->str, ==, expected->str);
  close_client (client);
}

/* Those that had been put aside come before those that are read afterwards. */
static void
test_events_order (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  g_autoptr(IpcMessage) message = ipc_message_new_text ("burst", "50");
  IpcClient *client;
  Answer answers[20] = { { 0 } };

  remote_init (&remote, test);
  client = open_client (remote.path);
  g_signal_connect (client, "message-received", G_CALLBACK (pair_log_message), log);
  for (guint round = 0; round < 20; round++)
    {
      ipc_connection_request_with_callback (ipc_client_get_connection (client), message, -1, NULL, answer_cb,
                                            &answers[round]);
      if (round % 3 == 0)
        ask (client, "burst", "50", "done");
      else
        ipc_test_iterate (1);
      g_assert_cmpuint (answers[round].n_callbacks, <=, 1);
    }
  for (guint round = 0; round < 20; round++)
    {
      ipc_test_wait_for (answers[round].n_callbacks == 1);
      g_assert_no_error (answers[round].error);
      answer_clear (&answers[round]);
    }
  /* 27 bursts, each in order and none in another */
  for (guint i = 0, at = 0; i < 27; i++)
    for (guint j = 0; j < 50; j++)
      {
        g_autofree char *event = g_strdup_printf ("event=%u ", j);

        g_assert_true (g_str_has_prefix (log->str + at, event));
        at += (guint) strlen (event);
      }
  close_client (client);
}

/* Nor is an asynchronous answer given from within. */
static void
test_async_later (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "asynchronous");
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  ipc_connection_request_with_callback (ipc_client_get_connection (client), message, -1, NULL, answer_cb, &answer);
  ask (client, "echo", "synchronous", "synchronous");
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "asynchronous");
  close_client (client);
}

/* A question that comes meanwhile is answered afterwards; if the answer was what it took, that is too late. */
static void
test_asked_back (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("ask-back", "x");
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  ipc_client_add_handler (client, "question", pair_echo, NULL, NULL);
  ask_in_vain (client, "ask-back", 30, NULL, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  /* with a loop it works */
  ipc_connection_request_with_callback (ipc_client_get_connection (client), message, -1, NULL, answer_cb, &answer);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "x");
  close_client (client);
}

/* ── From within a handler ── */

static void
ask_in_handler (IpcClient *client, IpcMessage *message, gpointer log)
{
  g_autofree char *text = g_strdup (ipc_message_get_text (message));

  /* what it was lent stays while other input is read */
  ask (client, "burst", "10", "done");
  g_assert_cmpstr (ipc_message_get_text (message), ==, text);
  g_string_append_printf (log, "%s ", text);
}

static void
test_in_handler (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  IpcClient *client;
  gulong id;

  remote_init (&remote, test);
  client = open_client (remote.path);
  ask (client, "burst", "4", "done");
  id = g_signal_connect (client, "message-received", G_CALLBACK (ask_in_handler), log);
  ipc_test_wait_for (log->len >= strlen ("0 1 2 3 0 1 "));
  g_signal_handler_disconnect (client, id);
  g_assert_true (g_str_has_prefix (log->str, "0 1 2 3 0 1 "));
  ask (client, "echo", "after", "after");
  close_client (client);
}

/* ── Beside a main loop, and in several threads ── */

typedef struct
{
  IpcClient *client;
  guint number;
  gint *n_done;
} Asker;

static gpointer
ask_many (gpointer data)
{
  Asker *self = data;

  for (guint i = 0; i < 300; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u-%u", self->number, i);

      ask (self->client, "echo", text, text);
    }
  g_atomic_int_inc (self->n_done);
  return NULL;
}

static void
ask_in_threads (IpcClient *client, guint n_threads, void (*meanwhile) (IpcClient *client))
{
  gint n_done = 0;
  Asker askers[4];
  GThread *threads[4];

  for (guint i = 0; i < n_threads; i++)
    {
      askers[i] = (Asker) { client, i, &n_done };
      threads[i] = g_thread_new ("asker", ask_many, &askers[i]);
    }
  if (meanwhile)
    meanwhile (client);
  else
    ipc_test_wait_for (g_atomic_int_get (&n_done) == (gint) n_threads);
  for (guint i = 0; i < n_threads; i++)
    g_thread_join (threads[i]);
}

/* The loop runs the very connection, and the server too. */
static void
test_beside_loop (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  ask_in_threads (pair.client, 1, NULL);
  ask_in_threads (pair.client, 3, NULL);
}

static void
do_nothing (IpcClient *client)
{
}

/* Nobody runs the loop: the threads read for one another. */
static void
test_threads_without_loop (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  ask_in_threads (client, 2, do_nothing);
  ask_in_threads (client, 4, do_nothing);
  close_client (client);
}

static void
ask_here_too (IpcClient *client)
{
  for (guint i = 0; i < 200; i++)
    ask (client, i % 10 == 0 ? "burst" : "echo", "3", i % 10 == 0 ? "done" : "3");
}

static void
test_threads_and_here (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  g_autoptr(GString) log = g_string_new (NULL);
  IpcClient *client;

  remote_init (&remote, test);
  client = open_client (remote.path);
  g_signal_connect (client, "message-received", G_CALLBACK (pair_log_message), log);
  ask_in_threads (client, 2, ask_here_too);
  g_assert_cmpuint (log->len, ==, 0);
  ipc_test_wait_for (log->len == 20 * strlen ("event=0 event=1 event=2 "));
  close_client (client);
}

/* ── Where it cannot work ── */

/* The server would have to run in the context that waiting blocks: that is said at once. */
static void
test_same_context (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(IpcClient) other = NULL;
  g_autoptr(GError) error = NULL;
  gint64 begin = g_get_monotonic_time ();

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  ask_in_vain (pair.client, "echo", -1, NULL, IPC_ERROR, IPC_ERROR_FAILED);
  other = transport_client_new (pair.path);
  g_assert_false (ipc_client_open (other, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FAILED);
  g_assert_cmpint (g_get_monotonic_time () - begin, <, 5 * G_USEC_PER_SEC);
  pair_ask (pair.near, "echo", "x", -1, &answer);
  g_assert_no_error (answer.error);
}

static IpcMessage *
ask_own_server (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "x");

  return ipc_client_request (data, message, -1, NULL, error);
}

static void
test_same_context_in_handler (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  ipc_server_add_handler (pair.server, "loop", ask_own_server, pair.client, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "loop", "x", -1, &answer);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_REMOTE);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "server", serve }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/messaging/sync/no-loop", test_no_loop);
  ipc_test_add ("/messaging/sync/large", test_large);
  ipc_test_add ("/messaging/sync/no-server", test_no_server);
  ipc_test_add ("/messaging/sync/errors", test_errors);
  ipc_test_add ("/messaging/sync/timeouts", test_timeouts);
  ipc_test_add ("/messaging/sync/closed-by-server", test_closed_by_server);
  ipc_test_add ("/messaging/sync/killed-server", test_killed_server);
  ipc_test_add ("/messaging/sync/cancelled", test_cancelled);
  ipc_test_add ("/messaging/sync/closed-by-thread", test_closed_by_thread);
  ipc_test_add ("/messaging/sync/events-later", test_events_later);
  ipc_test_add ("/messaging/sync/events-order", test_events_order);
  ipc_test_add ("/messaging/sync/async-later", test_async_later);
  ipc_test_add ("/messaging/sync/asked-back", test_asked_back);
  ipc_test_add ("/messaging/sync/in-handler", test_in_handler);
  ipc_test_add ("/messaging/sync/beside-loop", test_beside_loop);
  ipc_test_add ("/messaging/sync/threads-without-loop", test_threads_without_loop);
  ipc_test_add ("/messaging/sync/threads-and-here", test_threads_and_here);
  ipc_test_add ("/messaging/sync/same-context", test_same_context);
  ipc_test_add ("/messaging/sync/same-context-in-handler", test_same_context_in_handler);
  return ipc_test_run ();
}
