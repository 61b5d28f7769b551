/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: many at once, answered later, in another order, wrongly or never; what errors become on their way; and
 * timeouts and cancellation, seen from both sides.
 */
#include <string.h>

#include "pair.h"

#define N_OUTSTANDING 1000

/* ── Answered at once ── */

static void
test_echo (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "echo", "hello", IPC_TIMEOUT_DEFAULT, &answer);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "hello");
  g_assert_false (ipc_message_get_is_request (answer.reply));
}

/* Either side asks. */
static void
test_server_asks (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_client_add_handler (pair.client, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  pair_ask (pair.far, "echo", "hello", IPC_TIMEOUT_DEFAULT, &answer);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "hello");
}

/* The request itself may be the answer. */
static IpcMessage *
return_request (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return ipc_message_ref (request);
}

static void
test_request_is_reply (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, NULL, return_request, NULL, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "echo", "hello", IPC_TIMEOUT_DEFAULT, &answer);
  g_assert_no_error (answer.error);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "hello");
}

static void
test_async (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "hello");
  g_autoptr(IpcMessage) reply = NULL;
  g_autoptr(GError) error = NULL;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  ipc_connection_request_async (pair.near, message, IPC_TIMEOUT_DEFAULT, NULL, ipc_test_async_cb, &async);
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  reply = ipc_connection_request_finish (pair.near, ipc_test_async_wait (&async), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, "hello");
  g_assert_true (async.source == G_OBJECT (pair.near));
}

/* ── Answered later ── */

/* Declared after the pair, since what it keeps keeps the connections. */
typedef struct
{
  GPtrArray *requests; /* (owned) (element-type IpcMessage) kept */
  GString *cancelled;  /* (owned) what was cancelled of them */
} Keeper;

static void
keeper_clear (Keeper *self)
{
  g_clear_pointer (&self->requests, g_ptr_array_unref);
  if (self->cancelled)
    g_string_free (self->cancelled, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Keeper, keeper_clear)

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  Keeper *self = data;

  g_assert_true (ipc_message_get_is_request (request));
  g_ptr_array_add (self->requests, ipc_message_ref (request));
  return NULL;
}

static void
note_cancelled (IpcConnection *connection, IpcMessage *request, gpointer data)
{
  g_string_append_printf (((Keeper *) data)->cancelled, "%s ", ipc_message_get_text (request));
}

/* A pair whose server keeps all requests of type "keep". */
static void
pair_init_keeping (Pair *pair, IpcTest *test, Keeper *keeper)
{
  keeper->requests = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  keeper->cancelled = g_string_new (NULL);
  pair_init (pair, test);
  ipc_server_add_handler (pair->server, "keep", keep, keeper, NULL);
  pair_open (pair);
  g_signal_connect (pair->far, "request-cancelled", G_CALLBACK (note_cancelled), keeper);
}

/* Starts asking; the answer comes into ANSWER. */
static void
begin_asking (Pair *pair, const char *text, gint timeout, GCancellable *cancellable, Answer *answer)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("keep", text);

  ipc_connection_request_with_callback (pair->near, message, timeout, cancellable, answer_cb, answer);
}

static void
reply_text (Pair *pair, IpcMessage *request, const char *text)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("answer", text);
  g_autoptr(GError) error = NULL;

  ipc_connection_reply (pair->far, request, message, &error);
  g_assert_no_error (error);
}

static void
shuffle (GRand *rand, GPtrArray *array)
{
  for (guint i = array->len - 1; i > 0; i--)
    {
      guint j = (guint) g_rand_int_range (rand, 0, (gint32) i + 1);
      gpointer one = array->pdata[i];

      array->pdata[i] = array->pdata[j];
      array->pdata[j] = one;
    }
}

/* Each gets its own answer, however many are under way and in whatever order they are answered. */
static void
test_pipelining (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_autofree Answer *answers = g_new0 (Answer, N_OUTSTANDING);
  guint n_answered = 0;

  pair_init_keeping (&pair, test, &keeper);
  for (guint i = 0; i < N_OUTSTANDING; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      begin_asking (&pair, text, -1, NULL, &answers[i]);
    }
  ipc_test_wait_for (keeper.requests->len == N_OUTSTANDING);
  shuffle (rand, keeper.requests);
  for (guint i = 0; i < N_OUTSTANDING; i++)
    reply_text (&pair, keeper.requests->pdata[i], ipc_message_get_text (keeper.requests->pdata[i]));
  for (guint i = 0; i < N_OUTSTANDING; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      ipc_test_wait_for (answers[i].n_callbacks == 1);
      g_assert_cmpstr (ipc_message_get_text (answers[i].reply), ==, text);
      n_answered++;
      answer_clear (&answers[i]);
    }
  g_assert_cmpuint (n_answered, ==, N_OUTSTANDING);
}

/* More than a server keeps at a time: it goes on when some are answered. */
static void
test_many_kept (IpcTest *test)
{
  const guint n = 3000;
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_autofree Answer *answers = g_new0 (Answer, n);
  guint n_answered = 0;

  pair_init_keeping (&pair, test, &keeper);
  for (guint i = 0; i < n; i++)
    begin_asking (&pair, "x", -1, NULL, &answers[i]);
  while (n_answered < n)
    {
      ipc_test_wait_for (keeper.requests->len > n_answered);
      ipc_test_settle ();
      for (; n_answered < keeper.requests->len; n_answered++)
        reply_text (&pair, keeper.requests->pdata[n_answered], "y");
    }
  for (guint i = 0; i < n; i++)
    {
      ipc_test_wait_for (answers[i].n_callbacks == 1);
      g_assert_no_error (answers[i].error);
      answer_clear (&answers[i]);
    }
}

static gpointer
reply_in_thread (gpointer data)
{
  Pair *pair = data;
  g_autoptr(IpcMessage) request = g_steal_pointer (&pair->gone[0]);

  reply_text (pair, request, "from a thread");
  return NULL;
}

static void
test_answer_in_thread (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "x", -1, NULL, &answer);
  ipc_test_wait_for (keeper.requests->len == 1);
  pair.gone[0] = g_ptr_array_steal_index (keeper.requests, 0);
  g_thread_join (g_thread_new ("answer", reply_in_thread, &pair));
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "from a thread");
}

/* ── Not answered, or wrongly ── */

static void
test_dropped (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "x", -1, NULL, &answer);
  ipc_test_wait_for (keeper.requests->len == 1);
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  g_ptr_array_set_size (keeper.requests, 0);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_REMOTE);
  g_assert_nonnull (strstr (answer.error->message, "without an answer"));
}

static IpcMessage *
ignore (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return NULL;
}

static void
test_ignored (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "x", ignore, NULL, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "x", "", -1, &answer);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_REMOTE);
}

static void
test_unknown_type (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "x", ignore, NULL, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "nobody-knows", "", -1, &answer);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE);
  g_assert_nonnull (strstr (answer.error->message, "nobody-knows"));
}

static void
test_second_reply (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("answer", "second");
  g_autoptr(GError) reason = g_error_new_literal (IPC_ERROR, IPC_ERROR_FAILED, "no");
  g_autoptr(GError) error = NULL;

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "x", -1, NULL, &answer);
  ipc_test_wait_for (keeper.requests->len == 1);
  reply_text (&pair, keeper.requests->pdata[0], "first");
  g_assert_false (ipc_connection_reply (pair.far, keeper.requests->pdata[0], message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_ALREADY);
  g_clear_error (&error);
  g_assert_false (ipc_connection_reply_error (pair.far, keeper.requests->pdata[0], reason, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_ALREADY);
  ipc_test_wait_for (answer.n_callbacks == 1);
  ipc_test_settle ();
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "first");
}

/* A reply that cannot be sent is no reply: another one can be. */
static void
test_bad_reply (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autofree char *huge_text = g_strnfill (17 * 1024 * 1024, 'x');
  g_autoptr(IpcMessage) huge = ipc_message_new_text ("answer", huge_text);
  g_autoptr(IpcMessage) malformed = ipc_message_new_text ("answer", "\xff");
  g_autoptr(GError) error = NULL;

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "x", -1, NULL, &answer);
  ipc_test_wait_for (keeper.requests->len == 1);
  g_assert_false (ipc_connection_reply (pair.far, keeper.requests->pdata[0], huge, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE);
  g_clear_error (&error);
  g_assert_false (ipc_connection_reply (pair.far, keeper.requests->pdata[0], malformed, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
  reply_text (&pair, keeper.requests->pdata[0], "fine");
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "fine");
}

/* A handler that returns such a reply does not leave its client waiting. */
static IpcMessage *
return_malformed (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return ipc_message_new_text ("answer", "\xff");
}

static void
test_handler_returns_malformed (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "x", return_malformed, NULL, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "x", "", -1, &answer);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
}

static void
test_wrong_connection (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("answer", "");
  g_autoptr(GError) error = NULL;

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "x", -1, NULL, &answer);
  ipc_test_wait_for (keeper.requests->len == 1);
  g_assert_false (ipc_connection_reply (pair.near, keeper.requests->pdata[0], message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  /* nor is a message of one's own a request */
  g_assert_false (ipc_connection_reply (pair.far, message, message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  reply_text (&pair, keeper.requests->pdata[0], "fine");
  ipc_test_wait_for (answer.n_callbacks == 1);
}

/* ── Errors on their way ── */

static IpcMessage *
fail_with (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_propagate_error (error, g_error_copy (data));
  return NULL;
}

static void
check_error (IpcTest *test, GQuark domain, int code, const char *text, GQuark expected_domain, int expected_code)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(GError) reason = g_error_new_literal (domain, code, text);

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "x", fail_with, reason, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "x", "", -1, &answer);
  g_assert_error (answer.error, expected_domain, expected_code);
  g_assert_cmpstr (answer.error->message, ==, text);
}

static void
test_errors (IpcTest *test)
{
  static const IpcError same[] = { IPC_ERROR_UNKNOWN_TYPE, IPC_ERROR_INVALID_DATA, IPC_ERROR_TOO_LARGE,
                                   IPC_ERROR_FULL };
  static const IpcError remote[] = { IPC_ERROR_FAILED, IPC_ERROR_TIMED_OUT, IPC_ERROR_NOT_CONNECTED,
                                     IPC_ERROR_UNCERTAIN, IPC_ERROR_REMOTE,
                                     IPC_ERROR_ALREADY, IPC_ERROR_PERMISSION_DENIED };

  for (guint i = 0; i < G_N_ELEMENTS (same); i++)
    check_error (test, IPC_ERROR, (int) same[i], "because", IPC_ERROR, (int) same[i]);
  for (guint i = 0; i < G_N_ELEMENTS (remote); i++)
    check_error (test, IPC_ERROR, (int) remote[i], "because", IPC_ERROR, IPC_ERROR_REMOTE);
  check_error (test, G_IO_ERROR, G_IO_ERROR_CANCELLED, "because", G_IO_ERROR, G_IO_ERROR_CANCELLED);
  check_error (test, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "gr\xc3\xbc\xc3\x9f", IPC_ERROR, IPC_ERROR_REMOTE);
  check_error (test, g_quark_from_static_string ("some-domain"), -5, "100%s", IPC_ERROR, IPC_ERROR_REMOTE);
}

static void
test_error_text (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(GError) reason = NULL;
  g_autoptr(GString) text = g_string_new (NULL);

  /* two bytes each, so that any limit on bytes falls inside of one or the other */
  for (guint i = 0; i < 3001; i++)
    g_string_append (text, i == 1 ? "x" : "\xc3\xbc");
  reason = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, text->str);
  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "long", fail_with, reason, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "long", "", -1, &answer);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_REMOTE);
  g_assert_true (g_utf8_validate (answer.error->message, -1, NULL));
  g_assert_cmpuint (strlen (answer.error->message), >, 2000);
}

/* ── Timeouts ── */

static void
test_timeout (IpcTest *test)
{
  static const gint timeouts[] = { 0, 1, 50 };

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      g_auto(Pair) pair = { 0 };
      g_auto(Keeper) keeper = { 0 };
      g_auto(Answer) answer = { 0 };
      gint64 begin = g_get_monotonic_time ();
      g_autofree char *limit = g_strdup_printf ("%d ms", timeouts[i]);

      pair_init_keeping (&pair, test, &keeper);
      begin_asking (&pair, "x", timeouts[i], NULL, &answer);
      g_assert_cmpuint (answer.n_callbacks, ==, 0);
      ipc_test_wait_for (answer.n_callbacks == 1);
      g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
      g_assert_nonnull (strstr (answer.error->message, limit));
      g_assert_cmpint (g_get_monotonic_time () - begin, >=, timeouts[i] * 1000);
      /* the other side learns of it */
      ipc_test_wait_for (keeper.cancelled->len > 0);
      g_assert_cmpstr (keeper.cancelled->str, ==, "x ");
      /* the answer comes too late, which does no harm */
      reply_text (&pair, keeper.requests->pdata[0], "late");
      ipc_test_settle ();
      answer_clear (&answer);
      begin_asking (&pair, "y", -1, NULL, &answer);
      ipc_test_wait_for (keeper.requests->len == 2);
      reply_text (&pair, keeper.requests->pdata[1], "in time");
      ipc_test_wait_for (answer.n_callbacks == 1);
      g_assert_cmpstr (ipc_message_get_text (answer.reply), ==, "in time");
    }
}

/* They end in the order of their deadlines, not of their making. */
static void
test_timeouts (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) last = { 0 };
  g_auto(Answer) first = { 0 };
  g_auto(Answer) never = { 0 };

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "never", -1, NULL, &never);
  begin_asking (&pair, "last", 60, NULL, &last);
  begin_asking (&pair, "first", 20, NULL, &first);
  ipc_test_wait_for (first.n_callbacks == 1);
  g_assert_cmpuint (last.n_callbacks, ==, 0);
  ipc_test_wait_for (last.n_callbacks == 1);
  ipc_test_settle ();
  g_assert_cmpuint (never.n_callbacks, ==, 0);
  g_assert_cmpstr (keeper.cancelled->str, ==, "first last ");
  reply_text (&pair, keeper.requests->pdata[0], "answer");
  ipc_test_wait_for (never.n_callbacks == 1);
  g_assert_no_error (never.error);
}

static void
test_timeout_default (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };

  keeper.requests = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  pair_init (&pair, test);
  g_assert_cmpint (ipc_client_get_request_timeout (pair.client), ==, 30000);
  g_assert_cmpint (ipc_server_get_request_timeout (pair.server), ==, 30000);
  ipc_client_set_request_timeout (pair.client, 30);
  ipc_server_add_handler (pair.server, "keep", keep, &keeper, NULL);
  pair_open (&pair);
  begin_asking (&pair, "x", IPC_TIMEOUT_DEFAULT, NULL, &answer);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
}

static void
test_timeout_invalid (IpcTest *test)
{
  static const gint timeouts[] = { -3, -1000, G_MININT };

  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      g_auto(Pair) pair = { 0 };
      g_auto(Answer) answer = { 0 };

      pair_init_open (&pair, test);
      pair_ask (pair.near, "x", "", timeouts[i], &answer);
      g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
      g_assert_cmpuint (ipc_connection_get_messages_sent (pair.near), ==, 0);
    }
}

static void
test_timeout_huge (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  pair_ask (pair.near, "echo", "x", G_MAXINT, &answer);
  g_assert_no_error (answer.error);
}

/* ── Cancellation ── */

static void
test_cancel (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "x", -1, cancellable, &answer);
  ipc_test_wait_for (keeper.requests->len == 1);
  g_cancellable_cancel (cancellable);
  /* not from within cancel() */
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  ipc_test_wait_for (keeper.cancelled->len > 0);
  reply_text (&pair, keeper.requests->pdata[0], "late");
  ipc_test_settle ();
  g_assert_true (ipc_connection_get_is_open (pair.near));
}

static void
test_cancelled_before (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  pair_init_keeping (&pair, test, &keeper);
  g_cancellable_cancel (cancellable);
  begin_asking (&pair, "x", -1, cancellable, &answer);
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (ipc_connection_get_messages_sent (pair.near), ==, 0);
}

/* One cancellable for many, some of which are answered by then. */
static void
test_cancel_many (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  Answer answers[20] = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  pair_init_keeping (&pair, test, &keeper);
  for (guint i = 0; i < 20; i++)
    begin_asking (&pair, "x", -1, cancellable, &answers[i]);
  ipc_test_wait_for (keeper.requests->len == 20);
  for (guint i = 0; i < 10; i++)
    reply_text (&pair, keeper.requests->pdata[i], "y");
  ipc_test_wait_for (answers[9].n_callbacks == 1);
  g_cancellable_cancel (cancellable);
  ipc_test_wait_for (answers[19].n_callbacks == 1);
  for (guint i = 0; i < 20; i++)
    {
      g_assert_cmpuint (answers[i].n_callbacks, ==, 1);
      if (i >= 10)
        g_assert_error (answers[i].error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      answer_clear (&answers[i]);
    }
}

/* ── The connection ends ── */

/* A byte of it had gone: nobody knows. No byte had: it is safe to ask again. */
static void
test_uncertain (IpcTest *test)
{
  for (guint who = 0; who < 2; who++)
    {
      g_auto(Pair) pair = { 0 };
      g_auto(Keeper) keeper = { 0 };
      g_auto(Answer) sent = { 0 };

      pair_init_keeping (&pair, test, &keeper);
      begin_asking (&pair, "x", -1, NULL, &sent);
      ipc_test_wait_for (keeper.requests->len == 1);
      ipc_connection_close (who == 0 ? pair.far : pair.near);
      ipc_test_wait_for (sent.n_callbacks == 1);
      g_assert_error (sent.error, IPC_ERROR, IPC_ERROR_UNCERTAIN);
    }
}

static void
test_not_sent (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Raw) raw = { 0 };
  g_auto(Answer) first = { 0 };
  g_auto(Answer) second = { 0 };
  g_autofree char *text = g_strnfill (3000000, 'x');
  g_autoptr(IpcMessage) large = ipc_message_new_text ("x", text);
  g_autoptr(IpcMessage) small = ipc_message_new_text ("x", "");
  IpcConnection *far;

  pair_init (&pair, test);
  g_assert_true (ipc_server_start (pair.server, NULL));
  raw_connect_binary (&raw, pair.path, 1 << 24);
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 1);
  far = g_list_model_get_item (ipc_server_get_connections (pair.server), 0);
  ipc_connection_request_with_callback (far, large, -1, NULL, answer_cb, &first);
  ipc_connection_request_with_callback (far, small, -1, NULL, answer_cb, &second);
  ipc_test_settle ();
  raw_close (&raw);
  ipc_test_wait_for (first.n_callbacks == 1 && second.n_callbacks == 1);
  g_assert_error (first.error, IPC_ERROR, IPC_ERROR_UNCERTAIN);
  g_assert_error (second.error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
  /* and after the end */
  answer_clear (&second);
  ipc_connection_request_with_callback (far, small, -1, NULL, answer_cb, &second);
  g_assert_cmpuint (second.n_callbacks, ==, 0);
  ipc_test_wait_for (second.n_callbacks == 1);
  g_assert_error (second.error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
  pair_wait_finalized (far);
}

/* Answering somebody who has gone is an error for whoever answers, and nothing worse. */
static void
test_asker_gone (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("answer", "");
  g_autoptr(GError) error = NULL;

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "x", -1, NULL, &answer);
  ipc_test_wait_for (keeper.requests->len == 1);
  ipc_connection_close (pair.near);
  ipc_test_wait_for (!ipc_connection_get_is_open (pair.far) && answer.n_callbacks == 1);
  g_assert_false (ipc_connection_reply (pair.far, keeper.requests->pdata[0], message, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
  g_ptr_array_set_size (keeper.requests, 0);
}

/* A server that stops in an orderly way answers what it has taken, and takes no more. */
static void
test_drain (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Keeper) keeper = { 0 };
  g_auto(Answer) before = { 0 };
  g_auto(Answer) after = { 0 };
  g_auto(IpcTestAsync) stop = { 0 };
  g_autoptr(GError) error = NULL;

  pair_init_keeping (&pair, test, &keeper);
  begin_asking (&pair, "before", -1, NULL, &before);
  ipc_test_wait_for (keeper.requests->len == 1);
  ipc_server_stop_async (pair.server, NULL, ipc_test_async_cb, &stop);
  ipc_test_settle ();
  begin_asking (&pair, "after", -1, NULL, &after);
  ipc_test_wait_for (after.n_callbacks == 1);
  g_assert_error (after.error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
  g_assert_cmpuint (stop.n_callbacks, ==, 0);
  reply_text (&pair, keeper.requests->pdata[0], "done");
  ipc_test_wait_for (before.n_callbacks == 1);
  g_assert_cmpstr (ipc_message_get_text (before.reply), ==, "done");
  g_assert_true (ipc_server_stop_finish (pair.server, ipc_test_async_wait (&stop), &error));
  g_assert_false (ipc_server_get_is_running (pair.server));
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/request/echo", test_echo);
  ipc_test_add ("/messaging/request/server-asks", test_server_asks);
  ipc_test_add ("/messaging/request/request-is-reply", test_request_is_reply);
  ipc_test_add ("/messaging/request/async", test_async);
  ipc_test_add ("/messaging/request/pipelining", test_pipelining);
  ipc_test_add ("/messaging/request/many-kept", test_many_kept);
  ipc_test_add ("/messaging/request/answer-in-thread", test_answer_in_thread);
  ipc_test_add ("/messaging/request/dropped", test_dropped);
  ipc_test_add ("/messaging/request/ignored", test_ignored);
  ipc_test_add ("/messaging/request/unknown-type", test_unknown_type);
  ipc_test_add ("/messaging/request/second-reply", test_second_reply);
  ipc_test_add ("/messaging/request/bad-reply", test_bad_reply);
  ipc_test_add ("/messaging/request/handler-returns-malformed", test_handler_returns_malformed);
  ipc_test_add ("/messaging/request/wrong-connection", test_wrong_connection);
  ipc_test_add ("/messaging/request/errors", test_errors);
  ipc_test_add ("/messaging/request/error-text", test_error_text);
  ipc_test_add ("/messaging/request/timeout", test_timeout);
  ipc_test_add ("/messaging/request/timeouts", test_timeouts);
  ipc_test_add ("/messaging/request/timeout-default", test_timeout_default);
  ipc_test_add ("/messaging/request/timeout-invalid", test_timeout_invalid);
  ipc_test_add ("/messaging/request/timeout-huge", test_timeout_huge);
  ipc_test_add ("/messaging/request/cancel", test_cancel);
  ipc_test_add ("/messaging/request/cancelled-before", test_cancelled_before);
  ipc_test_add ("/messaging/request/cancel-many", test_cancel_many);
  ipc_test_add ("/messaging/request/uncertain", test_uncertain);
  ipc_test_add ("/messaging/request/not-sent", test_not_sent);
  ipc_test_add ("/messaging/request/asker-gone", test_asker_gone);
  ipc_test_add ("/messaging/request/drain", test_drain);
  return ipc_test_run ();
}
