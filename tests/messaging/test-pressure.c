/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When one side has more to say than the other takes: limits of size, full queues, waiting for room, flushing, and
 * that nobody waits for ever, or in circles.
 */
#include <string.h>

#include "stalled.h"

/* ── Sizes ── */

static void
check_size (IpcConnection *from, IpcConnection *to, gsize limit)
{
  g_autoptr(IpcMessage) fits = message_of (limit - 1);
  g_autoptr(IpcMessage) too_large = message_of (limit);
  g_autoptr(GError) error = NULL;
  g_autofree char *numbers = g_strdup_printf ("%" G_GSIZE_FORMAT " bytes exceeds the limit of %" G_GSIZE_FORMAT,
                                              limit + 1, limit);
  guint64 received = ipc_connection_get_messages_received (to);

  ipc_connection_send (from, fits, &error);
  g_assert_no_error (error);
  g_assert_false (ipc_connection_send (from, too_large, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE);
  g_assert_nonnull (strstr (error->message, numbers));
  ipc_test_wait_for (ipc_connection_get_messages_received (to) == received + 1);
  g_assert_true (ipc_connection_get_is_open (to));
}

/* The smaller limit of both sides holds, for both. */
static void
test_sizes (IpcTest *test)
{
  static const guint limits[][3] = { { 2000, 5000, 2000 }, { 5000, 2000, 2000 }, { 1024, 1024, 1024 },
                                     { 1 << 20, 1 << 22, 1 << 20 } };

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      g_auto(Pair) pair = { 0 };

      pair_init (&pair, test);
      ipc_server_set_max_message_size (pair.server, limits[i][0]);
      ipc_client_set_max_message_size (pair.client, limits[i][1]);
      pair_open (&pair);
      check_size (pair.near, pair.far, limits[i][2]);
      check_size (pair.far, pair.near, limits[i][2]);
    }
}

/* A peer that sends more than it was told is dropped; the others are not. */
static void
test_peer_sends_too_much (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  g_autofree char *text = g_strnfill (2000, 'x');
  g_autoptr(GBytes) body = NULL;
  IpcFrame frame;

  pair_init (&pair, test);
  ipc_server_set_max_message_size (pair.server, 2000);
  pair_open (&pair);
  raw_connect_binary (&raw, pair.path, 1 << 24);
  raw_write_frame (&raw, IPC_FRAME_EVENT, 0, 0, "x", text);
  raw_read_frame (&raw, &frame, &body);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_ERROR);
  g_assert_cmpuint (frame.reply_serial, ==, 0);
  g_assert_cmpmem (g_bytes_get_data (body, NULL), frame.type_length, "too-large", 9);
  raw_wait_end (&raw);
  g_assert_true (ipc_connection_get_is_open (pair.far));
}

/* ── Full ── */

static void
test_full (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  guint n;

  stalled_init (&stalled, test, 100000);
  n = fill (stalled.far, 1000);
  g_assert_cmpuint (n, >=, 90);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), <=, 100000);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), >, 98000);
  g_assert_cmpuint (fill (stalled.far, 2000), ==, 0);
  ipc_test_wait_for (stalled.n_congested == 1);
  g_assert_cmpuint (stalled.n_drained, ==, 0);
  raw_drain (&stalled.raw, (guint64) n * (1000 + 1 + IPC_FRAME_HEADER_SIZE));
  ipc_test_wait_for (stalled.n_drained == 1);
  g_assert_cmpuint (stalled.n_congested, ==, 1);
  /* and again */
  fill (stalled.far, 1000);
  ipc_test_wait_for (stalled.n_congested == 2);
  raw_drain (&stalled.raw, 100000);
  ipc_test_wait_for (stalled.n_drained == 2);
}

/* Nothing of a refused message is sent, and what was accepted arrives whole. */
static void
test_full_is_nothing (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  guint n;

  stalled_init (&stalled, test, 50000);
  n = fill (stalled.far, 700);
  fill (stalled.far, 700);
  for (guint i = 0; i < n; i++)
    {
      IpcFrame frame;

      raw_read_frame (&stalled.raw, &frame, NULL);
      g_assert_cmpint (frame.kind, ==, IPC_FRAME_EVENT);
      g_assert_cmpuint (frame.length, ==, 701);
    }
  ipc_test_settle ();
  raw_read (&stalled.raw);
  g_assert_cmpuint (stalled.raw.input->len, ==, 0);
}

/* One message larger than the queue is taken if there is nothing else. */
static void
test_larger_than_queue (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = message_of (500000);
  g_autoptr(GError) error = NULL;

  pair_init (&pair, test);
  ipc_client_set_max_queued_bytes (pair.client, 1024);
  pair_open (&pair);
  ipc_connection_send (pair.near, message, &error);
  g_assert_no_error (error);
  ipc_test_wait_for (ipc_connection_get_messages_received (pair.far) == 1);
}

/* Who does not listen is passed over, and counted. */
static void
test_broadcast_dropped (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_autoptr(IpcMessage) message = message_of (1000);
  guint n_dropped = 0;

  stalled_init (&stalled, test, 50000);
  fill (stalled.far, 1000);
  {
    g_autoptr(IpcClient) client = transport_client_new (stalled.pair.path);
    g_auto(IpcTestAsync) async = { 0 };

    ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
    g_assert_true (ipc_client_open_finish (client, ipc_test_async_wait (&async), NULL));
    ipc_test_wait_for (ipc_server_get_n_clients (stalled.pair.server) == 2);
    g_assert_cmpuint (ipc_server_broadcast (stalled.pair.server, message, &n_dropped), ==, 1);
    g_assert_cmpuint (n_dropped, ==, 1);
    ipc_test_wait_for (ipc_connection_get_messages_received (ipc_client_get_connection (client)) == 1);
  }
}

/* ── Waiting for room ── */

static void
test_send_async (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  IpcTestAsync sends[10] = { { 0 } };
  guint64 n;

  stalled_init (&stalled, test, 50000);
  n = fill (stalled.far, 1000);
  for (guint i = 0; i < 10; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);
      g_autofree char *filler = g_strnfill (20000, 'y');
      g_autofree char *whole = g_strconcat (text, filler, NULL);
      g_autoptr(IpcMessage) message = ipc_message_new_text ("w", whole);

      ipc_connection_send_async (stalled.far, message, NULL, ipc_test_async_cb, &sends[i]);
    }
  ipc_test_settle ();
  for (guint i = 0; i < 10; i++)
    g_assert_cmpuint (sends[i].n_callbacks, ==, 0);
  while (n-- > 0)
    {
      IpcFrame frame;

      raw_read_frame (&stalled.raw, &frame, NULL);
      g_assert_cmpuint (frame.length, ==, 1001);
    }
  /* in the order in which they were asked for */
  for (guint i = 0; i < 10; i++)
    {
      g_autoptr(GBytes) body = NULL;
      IpcFrame frame;

      raw_read_frame (&stalled.raw, &frame, &body);
      g_assert_cmpuint (((const char *) g_bytes_get_data (body, NULL))[1], ==, '0' + i);
    }
  for (guint i = 0; i < 10; i++)
    {
      g_assert_true (ipc_connection_send_finish (stalled.far, ipc_test_async_wait (&sends[i]), NULL));
      ipc_test_async_clear (&sends[i]);
    }
}

/* Waiting costs no processor time. */
static void
test_waiting_sleeps (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_auto(IpcTestAsync) sent = { 0 };
  g_auto(IpcTestAsync) flushed = { 0 };
  g_autoptr(IpcMessage) message = message_of (40000);

  stalled_init (&stalled, test, 50000);
  fill (stalled.far, 1000);
  ipc_connection_send_async (stalled.far, message, NULL, ipc_test_async_cb, &sent);
  ipc_connection_flush_async (stalled.far, NULL, ipc_test_async_cb, &flushed);
  assert_loop_sleeps ();
  g_assert_cmpuint (sent.n_callbacks + flushed.n_callbacks, ==, 0);
  /* nor does it while the peer takes a little at a time */
  for (guint i = 0; i < 20; i++)
    {
      raw_sip (&stalled.raw, 1000);
      assert_loop_sleeps ();
    }
  while (!sent.result || !flushed.result)
    raw_sip (&stalled.raw, 10000);
}

/* Somebody who waits is not passed by somebody who came later and wants less. */
static void
test_no_overtaking (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_auto(IpcTestAsync) large = { 0 };
  g_auto(IpcTestAsync) small = { 0 };
  g_autoptr(IpcMessage) large_message = message_of (40000);
  g_autoptr(IpcMessage) small_message = message_of (1);

  stalled_init (&stalled, test, 50000);
  fill (stalled.far, 1000);
  ipc_connection_send_async (stalled.far, large_message, NULL, ipc_test_async_cb, &large);
  ipc_connection_send_async (stalled.far, small_message, NULL, ipc_test_async_cb, &small);
  ipc_test_settle ();
  g_assert_cmpuint (small.n_callbacks, ==, 0);
  while (!small.result)
    {
      raw_sip (&stalled.raw, 1000);
      if (small.result)
        g_assert_nonnull (large.result);
    }
}

static void
test_send_async_errors (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_auto(IpcTestAsync) cancelled = { 0 };
  g_auto(IpcTestAsync) malformed = { 0 };
  g_auto(IpcTestAsync) closed = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(IpcMessage) message = message_of (1000);
  g_autoptr(IpcMessage) bad = ipc_message_new_text ("x", "\xff");
  g_autoptr(GError) error = NULL;

  stalled_init (&stalled, test, 50000);
  fill (stalled.far, 1000);
  ipc_connection_send_async (stalled.far, message, cancellable, ipc_test_async_cb, &cancelled);
  ipc_connection_send_async (stalled.far, bad, NULL, ipc_test_async_cb, &malformed);
  ipc_connection_send_async (stalled.far, message, NULL, ipc_test_async_cb, &closed);
  g_assert_false (ipc_connection_send_finish (stalled.far, ipc_test_async_wait (&malformed), &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
  g_clear_error (&error);
  g_cancellable_cancel (cancellable);
  g_assert_false (ipc_connection_send_finish (stalled.far, ipc_test_async_wait (&cancelled), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_cmpuint (closed.n_callbacks, ==, 0);
  ipc_connection_close (stalled.far);
  raw_close (&stalled.raw);
  g_assert_false (ipc_connection_send_finish (stalled.far, ipc_test_async_wait (&closed), &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
}

/* ── Flushing ── */

static void
test_flush_async (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_auto(IpcTestAsync) nothing = { 0 };
  g_auto(IpcTestAsync) much = { 0 };
  g_autoptr(IpcMessage) message = message_of (3000000);

  stalled_init (&stalled, test, 50000);
  ipc_connection_flush_async (stalled.far, NULL, ipc_test_async_cb, &nothing);
  g_assert_cmpuint (nothing.n_callbacks, ==, 0);
  g_assert_true (ipc_connection_flush_finish (stalled.far, ipc_test_async_wait (&nothing), NULL));
  g_assert_true (ipc_connection_send (stalled.far, message, NULL));
  ipc_connection_flush_async (stalled.far, NULL, ipc_test_async_cb, &much);
  ipc_test_settle ();
  g_assert_cmpuint (much.n_callbacks, ==, 0);
  raw_drain (&stalled.raw, 3000000);
  g_assert_true (ipc_connection_flush_finish (stalled.far, ipc_test_async_wait (&much), NULL));
  g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), ==, 0);
}

/* What the dead peer never took was not flushed. */
static void
test_flush_lost (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_auto(IpcTestAsync) flushed = { 0 };
  g_autoptr(IpcMessage) message = message_of (3000000);
  g_autoptr(GError) error = NULL;

  stalled_init (&stalled, test, 50000);
  g_assert_true (ipc_connection_send (stalled.far, message, NULL));
  ipc_connection_flush_async (stalled.far, NULL, ipc_test_async_cb, &flushed);
  ipc_test_settle ();
  raw_close (&stalled.raw);
  g_assert_false (ipc_connection_flush_finish (stalled.far, ipc_test_async_wait (&flushed), &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
}

/* A flush waits for what was queued before it, not for what comes later. */
static void
test_flush_target (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_auto(IpcTestAsync) flushed = { 0 };
  g_autoptr(IpcMessage) first = message_of (1000000);
  g_autoptr(IpcMessage) second = message_of (1000000);

  stalled_init (&stalled, test, 4000000);
  g_assert_true (ipc_connection_send (stalled.far, first, NULL));
  ipc_connection_flush_async (stalled.far, NULL, ipc_test_async_cb, &flushed);
  g_assert_true (ipc_connection_send (stalled.far, second, NULL));
  raw_drain (&stalled.raw, 1000000);
  g_assert_true (ipc_connection_flush_finish (stalled.far, ipc_test_async_wait (&flushed), NULL));
  g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), >, 0);
}

static gpointer
drain_in_thread (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  guint64 drained;

  g_main_context_push_thread_default (context);
  drained = raw_drain (data, 3000000);
  g_main_context_pop_thread_default (context);
  g_assert_cmpuint (drained, >=, 3000000);
  return NULL;
}

static void
test_flush_sync (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_autoptr(IpcMessage) message = message_of (3000000);
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  GThread *thread;

  stalled_init (&stalled, test, 50000);
  g_assert_true (ipc_connection_flush (stalled.far, NULL, NULL));
  g_assert_true (ipc_connection_send (stalled.far, message, NULL));
  g_cancellable_cancel (cancellable);
  g_assert_false (ipc_connection_flush (stalled.far, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  thread = g_thread_new ("drain", drain_in_thread, &stalled.raw);
  g_clear_error (&error);
  ipc_connection_flush (stalled.far, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), ==, 0);
  g_thread_join (thread);
}

/* ── Both sides at once ── */

/* Replies that fill the queue pause the reading; what had been read by then is handled afterwards. */
static void
test_small_queue (IpcTest *test)
{
  static const guint queues[] = { 1024, 3000, 70000 };

  for (guint i = 0; i < G_N_ELEMENTS (queues); i++)
    {
      g_auto(Pair) pair = { 0 };
      Answer answers[300] = { { 0 } };
      g_autofree char *text = g_strnfill (400, 'x');
      g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", text);

      pair_init (&pair, test);
      ipc_server_set_max_queued_bytes (pair.server, queues[i]);
      ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
      pair_open (&pair);
      for (guint j = 0; j < G_N_ELEMENTS (answers); j++)
        ipc_connection_request_with_callback (pair.near, message, -1, NULL, answer_cb, &answers[j]);
      for (guint j = 0; j < G_N_ELEMENTS (answers); j++)
        {
          ipc_test_wait_for (answers[j].n_callbacks == 1);
          g_assert_no_error (answers[j].error);
          answer_clear (&answers[j]);
        }
    }
}

/* Messages larger than all buffers cross each other. */
static void
test_crossing (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = message_of (10 * 1024 * 1024);

  ipc_test_set_deadline (120);  /* with a sanitizer, through pipes that hold 64 KiB */
  pair_init_open (&pair, test);
  for (guint i = 1; i <= 3; i++)
    {
      g_assert_true (ipc_connection_send (pair.near, message, NULL));
      g_assert_true (ipc_connection_send (pair.far, message, NULL));
      ipc_test_wait_for (ipc_connection_get_messages_received (pair.near) == i &&
                         ipc_connection_get_messages_received (pair.far) == i);
    }
}

/* So do requests and their replies. */
static void
test_crossing_requests (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  Answer answers[8] = { { 0 } };
  g_autofree char *text = g_strnfill (6 * 1024 * 1024, 'x');
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", text);

  pair_init (&pair, test);
  ipc_server_set_max_queued_bytes (pair.server, 1024);
  ipc_client_set_max_queued_bytes (pair.client, 64 * 1024 * 1024);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  ipc_client_add_handler (pair.client, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  for (guint i = 0; i < 4; i++)
    ipc_connection_request_with_callback (pair.near, message, -1, NULL, answer_cb, &answers[i]);
  ipc_connection_request_with_callback (pair.far, message, -1, NULL, answer_cb, &answers[4]);
  for (guint i = 0; i < 5; i++)
    {
      ipc_test_wait_for (answers[i].n_callbacks == 1);
      g_assert_no_error (answers[i].error);
      answer_clear (&answers[i]);
    }
}

/* A peer that asks and never listens costs bounded memory, and gets all its answers when it listens after all. */
static void
test_asks_and_never_listens (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_autofree char *text = g_strnfill (1000, 'x');
  guint64 serial = 0, most = 0, n_replies = 0;
  IpcFrame frame;

  stalled_init (&stalled, test, 50000);
  ipc_server_add_handler (stalled.pair.server, "echo", pair_echo, NULL, NULL);
  /* until nothing more is taken */
  for (guint i = 0; i < 1000; i++)
    {
      guint64 received = ipc_connection_get_messages_received (stalled.far);

      raw_write_frame (&stalled.raw, IPC_FRAME_REQUEST, ++serial, 0, "echo", text);
      ipc_test_settle ();
      most = MAX (most, ipc_connection_get_queued_bytes (stalled.far));
      if (i > 10 && ipc_connection_get_messages_received (stalled.far) == received)
        break;
    }
  g_assert_cmpuint (most, >=, 50000);
  g_assert_cmpuint (most, <, 100000);
  assert_loop_sleeps ();
  while (n_replies < serial)
    {
      raw_read_frame (&stalled.raw, &frame, NULL);
      g_assert_cmpint (frame.kind, ==, IPC_FRAME_REPLY);
      g_assert_cmpuint (frame.reply_serial, ==, ++n_replies);
    }
}

/* It dies: what it had sent before is still handled. */
static void
test_never_listens_and_dies (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_autofree char *text = g_strnfill (1000, 'x');
  g_autoptr(GString) log = g_string_new (NULL);
  guint64 serial = 0;

  stalled_init (&stalled, test, 50000);
  ipc_server_add_handler (stalled.pair.server, "echo", pair_echo, NULL, NULL);
  g_signal_connect (stalled.pair.server, "message-received::last", G_CALLBACK (pair_log_client_message), log);
  while (ipc_connection_get_queued_bytes (stalled.far) < 50000)
    {
      raw_write_frame (&stalled.raw, IPC_FRAME_REQUEST, ++serial, 0, "echo", text);
      ipc_test_settle ();
    }
  raw_write_frame (&stalled.raw, IPC_FRAME_EVENT, 0, 0, "last", "words");
  raw_close (&stalled.raw);
  ipc_test_wait_for (!ipc_connection_get_is_open (stalled.far));
  g_assert_cmpstr (log->str, ==, "last=words ");
}

/* ── Fairness ── */

/* One who floods does not keep another from being served. */
static void
test_bystander (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) flood = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autofree char *text = g_strnfill (100, 'x');

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  raw_connect_binary (&flood, pair.path, 1 << 24);
  for (guint i = 0; i < 50; i++)
    {
      for (guint j = 0; j < 300; j++)
        raw_write_frame (&flood, IPC_FRAME_EVENT, 0, 0, "x", text);
      pair_ask (pair.near, "echo", "x", 10000, &answer);
      g_assert_no_error (answer.error);
      answer_clear (&answer);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/pressure/sizes", test_sizes);
  ipc_test_add ("/messaging/pressure/peer-sends-too-much", test_peer_sends_too_much);
  ipc_test_add ("/messaging/pressure/full", test_full);
  ipc_test_add ("/messaging/pressure/full-is-nothing", test_full_is_nothing);
  ipc_test_add ("/messaging/pressure/larger-than-queue", test_larger_than_queue);
  ipc_test_add ("/messaging/pressure/broadcast-dropped", test_broadcast_dropped);
  ipc_test_add ("/messaging/pressure/send-async", test_send_async);
  ipc_test_add ("/messaging/pressure/waiting-sleeps", test_waiting_sleeps);
  ipc_test_add ("/messaging/pressure/no-overtaking", test_no_overtaking);
  ipc_test_add ("/messaging/pressure/send-async-errors", test_send_async_errors);
  ipc_test_add ("/messaging/pressure/flush-async", test_flush_async);
  ipc_test_add ("/messaging/pressure/flush-lost", test_flush_lost);
  ipc_test_add ("/messaging/pressure/flush-target", test_flush_target);
  ipc_test_add ("/messaging/pressure/flush-sync", test_flush_sync);
  ipc_test_add ("/messaging/pressure/small-queue", test_small_queue);
  ipc_test_add ("/messaging/pressure/crossing", test_crossing);
  ipc_test_add ("/messaging/pressure/crossing-requests", test_crossing_requests);
  ipc_test_add ("/messaging/pressure/asks-and-never-listens", test_asks_and_never_listens);
  ipc_test_add ("/messaging/pressure/never-listens-and-dies", test_never_listens_and_dies);
  ipc_test_add ("/messaging/pressure/bystander", test_bystander);
  return ipc_test_run ();
}
