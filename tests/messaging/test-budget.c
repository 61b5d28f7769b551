/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What all clients of a server together may cost it: slow senders, clients that do not read, requests that are kept;
 * who has to go, who does not, and that others are served.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stalled.h"

#define KIB 1024u
#define N_CLIENTS 30u

typedef struct
{
  Pair pair;
  Raw raws[N_CLIENTS];
  guint n;
  guint n_expelled;
  char *reason;         /* (owned) (nullable) of the first one */
  IpcConnection *first; /* (nullable) not owned */
} Crowd;

static void
disconnected_cb (IpcServer *server, IpcConnection *connection, const GError *error, gpointer data)
{
  Crowd *self = data;

  if (error == NULL)
    return;
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
  if (self->n_expelled++ > 0)
    return;
  self->reason = g_strdup (error->message);
  self->first = connection;
}

/* A server with an honest client, and N that will not read; LIMIT in bytes. */
static void
crowd_init (Crowd *self, IpcTest *test, guint n, guint max_message_size, guint max_queued_bytes, guint64 limit)
{
  pair_init (&self->pair, test);
  ipc_server_set_max_message_size (self->pair.server, max_message_size);
  ipc_server_set_max_queued_bytes (self->pair.server, max_queued_bytes);
  ipc_server_set_max_total_bytes (self->pair.server, limit);
  ipc_server_add_handler (self->pair.server, "echo", pair_echo, NULL, NULL);
  g_signal_connect (self->pair.server, "client-disconnected", G_CALLBACK (disconnected_cb), self);
  pair_open (&self->pair);
  for (self->n = 0; self->n < n; self->n++)
    raw_connect_binary (&self->raws[self->n], self->pair.path, 1 << 24);
  ipc_test_wait_for (ipc_server_get_n_clients (self->pair.server) == n + 1);
}

static void
crowd_clear (Crowd *self)
{
  for (guint i = 0; i < self->n; i++)
    raw_clear (&self->raws[i]);
  g_signal_handlers_disconnect_by_data (self->pair.server, self);
  pair_clear (&self->pair);
  g_free (self->reason);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Crowd, crowd_clear)

static void
check_honest (Crowd *self)
{
  g_auto(Answer) answer = { 0 };

  pair_ask (self->pair.near, "echo", "honest", 10000, &answer);
  g_assert_no_error (answer.error);
}

/* What the kernel takes now. */
static gsize
push (Raw *raw, const guint8 *bytes, gsize size)
{
  gssize n = raw->fd >= 0 ? raw_write_some (raw, bytes, size) : -1;

  return n > 0 ? (gsize) n : 0;
}

/* A request or event of TYPE with SIZE bytes of payload. */
static GByteArray *
make_frame (IpcFrameKind kind, guint64 serial, const char *type, gsize size)
{
  GByteArray *bytes = g_byte_array_new ();
  IpcFrame frame = { .length = (guint32) (strlen (type) + size), .kind = (guint8) kind, .type_length = (guint8) strlen (type),
                     .serial = serial };

  g_byte_array_set_size (bytes, (guint) (IPC_FRAME_HEADER_SIZE + frame.length));
  memset (bytes->data, 'x', bytes->len);
  ipc_frame_encode (&frame, bytes->data);
  memcpy (bytes->data + IPC_FRAME_HEADER_SIZE, type, strlen (type));
  return bytes;
}

/* ── What is held ── */

/* Whoever says nothing, or has been answered, costs nothing. */
static void
test_idle (IpcTest *test)
{
  g_auto(Crowd) crowd = { 0 };

  crowd_init (&crowd, test, 5, 64 * KIB, 64 * KIB, 8 << 20);
  for (guint i = 0; i < 20; i++)
    check_honest (&crowd);
  ipc_test_settle ();
  g_assert_cmpuint (ipc_server_get_total_bytes (crowd.pair.server), ==, 0);
}

/* A sender that stops in the middle costs what it sent, whether it came at once or by and by. */
static void
test_slow_sender (IpcTest *test)
{
  static const gsize chunks[] = { 20000, 700, 150000 };

  for (guint i = 0; i < G_N_ELEMENTS (chunks); i++)
    {
      g_auto(Crowd) crowd = { 0 };
      g_autoptr(GByteArray) frame = make_frame (IPC_FRAME_EVENT, 0, "x", 400000);
      gsize size = MAX (chunks[i], 20000);
      guint64 held;

      crowd_init (&crowd, test, 1, 1 << 20, 64 * KIB, 8 << 20);
      for (gsize sent = 0; sent < size; sent += chunks[i])
        {
          raw_write (&crowd.raws[0], frame->data + sent, MIN (chunks[i], size - sent));
          ipc_test_settle ();
        }
      ipc_test_wait_for ((held = ipc_server_get_total_bytes (crowd.pair.server)) >= size && held < 2 * size);
      raw_write (&crowd.raws[0], frame->data + size, frame->len - size);
      ipc_test_wait_for (ipc_server_get_total_bytes (crowd.pair.server) == 0);
      g_assert_cmpuint (ipc_server_get_messages_received (crowd.pair.server), ==, 1);
    }
}

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer all, GError **error)
{
  g_ptr_array_add (all, ipc_message_ref (request));
  return NULL;
}

/* Requests that are kept count until they are answered, or dropped. */
static void
test_kept_requests (IpcTest *test)
{
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  g_auto(Crowd) crowd = { 0 };
  g_autoptr(IpcConnection) connection = NULL;
  guint64 held;

  crowd_init (&crowd, test, 1, 64 * KIB, 64 * KIB, 8 << 20);
  ipc_server_add_handler (crowd.pair.server, "keep", keep, kept, NULL);
  for (guint i = 0; i < 10; i++)
    {
      g_autoptr(GByteArray) frame = make_frame (IPC_FRAME_REQUEST, i + 1, "keep", 10000);

      raw_write (&crowd.raws[0], frame->data, frame->len);
    }
  ipc_test_wait_for (kept->len == 10);
  held = ipc_server_get_total_bytes (crowd.pair.server);
  g_assert_cmpuint (held, >=, 100000);
  g_assert_cmpuint (held, <, 150000);
  connection = g_list_model_get_item (ipc_server_get_connections (crowd.pair.server), 1);
  for (guint i = 0; i < 5; i++)
    {
      g_autoptr(IpcMessage) reply = ipc_message_new_text ("kept", "");

      g_assert_true (ipc_connection_reply (connection, g_ptr_array_index (kept, i), reply, NULL));
    }
  ipc_test_settle ();
  g_assert_cmpuint (ipc_server_get_total_bytes (crowd.pair.server), <=, held / 2 + 1000);
  g_ptr_array_set_size (kept, 0);
  ipc_test_wait_for (ipc_server_get_total_bytes (crowd.pair.server) == 0);
}

/* A payload that all of them refuse to take is one payload. */
static void
test_shared_payload (IpcTest *test)
{
  g_auto(Crowd) crowd = { 0 };
  guint64 held;

  crowd_init (&crowd, test, 20, 4 << 20, 4 << 20, 9 << 20);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(IpcMessage) message = message_of (1 << 20);
      guint n_dropped;

      g_assert_cmpuint (ipc_server_broadcast (crowd.pair.server, message, &n_dropped), ==, 21);
    }
  held = ipc_server_get_total_bytes (crowd.pair.server);
  g_assert_cmpuint (ipc_server_get_queued_bytes (crowd.pair.server), >, 30 << 20);
  g_assert_cmpuint (held, <, 4 << 20);
  ipc_test_settle ();
  g_assert_cmpuint (crowd.n_expelled, ==, 0);
  for (guint i = 0; i < 20; i++)
    raw_drain (&crowd.raws[i], 3 << 20);
  ipc_test_wait_for (ipc_server_get_total_bytes (crowd.pair.server) == 0);
  check_honest (&crowd);
}

/* ── Too much ── */

static IpcMessage *
large_reply (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return message_of (60000);
}

/* They ask for more than fits, and take none of it. */
static void
test_replies (IpcTest *test)
{
  const guint64 limit = 2 << 20;
  g_auto(Crowd) crowd = { 0 };
  guint64 most = 0;

  crowd_init (&crowd, test, N_CLIENTS, 64 * KIB, 1 << 20, limit);
  ipc_server_add_handler (crowd.pair.server, "large", large_reply, NULL, NULL);
  for (guint64 serial = 1; serial <= 100; serial++)
    {
      g_autoptr(GByteArray) frame = make_frame (IPC_FRAME_REQUEST, serial, "large", 0);

      for (guint i = 0; i < N_CLIENTS; i++)
        push (&crowd.raws[i], frame->data, frame->len);
      ipc_test_iterate (3);
      most = MAX (most, ipc_server_get_total_bytes (crowd.pair.server));
      if (serial % 10 == 0)
        check_honest (&crowd);
    }
  g_assert_cmpuint (most, >, limit / 2);
  g_assert_cmpuint (most, <, 2 * limit);
  ipc_test_wait_for (ipc_server_get_total_bytes (crowd.pair.server) <= limit);
  check_honest (&crowd);
  g_assert_true (ipc_connection_get_is_open (crowd.pair.far));
}

/* The largest has to go, and is told why, as far as it listens; the others stay. */
static void
test_largest_goes (IpcTest *test)
{
  g_auto(Crowd) crowd = { 0 };
  g_autoptr(IpcConnection) largest = NULL;

  crowd_init (&crowd, test, 4, 64 * KIB, 2000 * KIB, 8 << 20);
  largest = g_list_model_get_item (ipc_server_get_connections (crowd.pair.server), 2);
  for (guint i = 1; i <= 4; i++)
    {
      g_autoptr(IpcConnection) connection = g_list_model_get_item (ipc_server_get_connections (crowd.pair.server), i);
      guint n = connection == largest ? 23 : 8;

      while (n-- > 0)
        {
          g_autoptr(IpcMessage) message = message_of (60000);

          /* what the kernel does not take */
          while (ipc_connection_get_queued_bytes (connection) == 0)
            ipc_connection_send (connection, message, NULL);
          ipc_connection_send (connection, message, NULL);
        }
    }
  ipc_server_set_max_total_bytes (crowd.pair.server, 65536); /* max-message-size and max-queued-bytes are the least */
  g_assert_cmpuint (ipc_server_get_max_total_bytes (crowd.pair.server), ==, 65536);
  ipc_server_set_max_queued_bytes (crowd.pair.server, 1000 * KIB);
  ipc_test_wait_for (crowd.n_expelled >= 1);
  g_assert_true (crowd.first == largest);
  g_assert_nonnull (strstr (crowd.reason, "of at most 1089536, the limit of the server"));
  check_honest (&crowd);
}

/* While it is tight, whoever holds more than its share is full; whoever does not is not. */
static void
test_share (IpcTest *test)
{
  g_auto(Crowd) crowd = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcConnection) greedy = NULL;
  g_autoptr(IpcMessage) message = message_of (30000);
  g_autoptr(IpcMessage) next = NULL;
  g_autoptr(IpcConnection) modest = NULL;

  crowd_init (&crowd, test, 3, 64 * KIB, 4000 * KIB, 4 << 20);
  greedy = g_list_model_get_item (ipc_server_get_connections (crowd.pair.server), 1);
  modest = g_list_model_get_item (ipc_server_get_connections (crowd.pair.server), 2);
  for (guint i = 0; ipc_connection_send (greedy, message, &error); i++)
    {
      g_assert_cmpuint (i, <, 200);
      g_clear_pointer (&message, ipc_message_unref);
      message = message_of (30000);
    }
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
  g_assert_nonnull (strstr (error->message, "its share while all clients hold"));
  ipc_test_settle ();
  g_assert_cmpuint (crowd.n_expelled, ==, 0);
  next = message_of (1000);
  g_assert_true (ipc_connection_send (modest, next, NULL));
  check_honest (&crowd);
  /* with room again, so is the other one */
  while (ipc_server_get_total_bytes (crowd.pair.server) > 1 << 20)
    raw_sip (&crowd.raws[0], 100000);
  ipc_test_wait_for (ipc_connection_send (greedy, next, NULL));
}

/* ── Input ── */

/* Many large messages at once, more than the budget: all arrive, and nobody is sent away. */
static void
test_many_uploads (IpcTest *test)
{
  g_auto(Crowd) crowd = { 0 };
  g_autoptr(GByteArray) frame = make_frame (IPC_FRAME_EVENT, 0, "x", 1000000);
  gsize sent[20] = { 0 };
  guint n_done = 0;
  gint64 end = g_get_monotonic_time () + IPC_TEST_WAIT_SECONDS * G_USEC_PER_SEC;

  crowd_init (&crowd, test, 20, 1 << 20, 64 * KIB, 3 << 20);
  while (n_done < 20)
    {
      n_done = 0;
      for (guint i = 0; i < 20; i++)
        {
          sent[i] += push (&crowd.raws[i], frame->data + sent[i], frame->len - sent[i]);
          n_done += sent[i] == frame->len;
        }
      ipc_test_iterate (1);
      g_assert_cmpuint (ipc_server_get_total_bytes (crowd.pair.server), <=, 4 << 20);
      g_assert_cmpint (g_get_monotonic_time (), <, end);
    }
  ipc_test_wait_for (ipc_server_get_messages_received (crowd.pair.server) == 20);
  g_assert_cmpuint (crowd.n_expelled, ==, 0);
  check_honest (&crowd);
}

/* But whoever stops in the middle does not keep the others waiting for ever. */
static void
test_stalled_uploads (IpcTest *test)
{
  g_auto(Crowd) crowd = { 0 };
  g_autoptr(GByteArray) frame = make_frame (IPC_FRAME_EVENT, 0, "x", 1000000);
  gsize sent = 0;

  crowd_init (&crowd, test, 5, 1 << 20, 64 * KIB, 2 << 20);
  for (guint i = 0; i < 4; i++)
    for (gsize written = 0, n = 1; n > 0 && written < 500000; written += n)
      {
        n = push (&crowd.raws[i], frame->data + written, 500000 - written);
        ipc_test_settle ();
      }
  g_assert_cmpuint (ipc_server_get_total_bytes (crowd.pair.server), >, 1 << 20);
  while (sent < frame->len)
    {
      sent += push (&crowd.raws[4], frame->data + sent, frame->len - sent);
      ipc_test_iterate (1);
    }
  ipc_test_wait_for (ipc_server_get_messages_received (crowd.pair.server) == 1);
  g_assert_cmpuint (crowd.n_expelled, >=, 1);
  g_assert_nonnull (strstr (crowd.reason, "unfinished message"));
  check_honest (&crowd);
}

/* ── Under pressure ── */

/* Cancelled after each number of turns of the loop, while the peer takes a little: queued or cancelled, once. */
static void
test_cancel_anywhere (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };

  stalled_init (&stalled, test, 20000);
  fill (stalled.far, 1000);
  for (guint turns = 0; turns < 40; turns++)
    {
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_autoptr(IpcMessage) message = message_of (500);
      g_autoptr(GError) error = NULL;
      g_auto(IpcTestAsync) sent = { 0 };
      g_auto(IpcTestAsync) behind = { 0 };

      ipc_connection_send_async (stalled.far, message, cancellable, ipc_test_async_cb, &sent);
      ipc_connection_send_async (stalled.far, message, NULL, ipc_test_async_cb, &behind);
      for (guint i = 0; i < turns; i++)
        {
          char byte[3000];

          if (i % 3 == 1 && read (stalled.raw.fd, byte, sizeof byte) < 0)
            g_assert_cmpint (errno, ==, EAGAIN);
          ipc_test_iterate (1);
        }
      g_cancellable_cancel (cancellable);
      if (!ipc_connection_send_finish (stalled.far, ipc_test_async_wait (&sent), &error))
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      while (behind.result == NULL)
        raw_sip (&stalled.raw, 3000);
      g_assert_true (ipc_connection_send_finish (stalled.far, behind.result, NULL));
    }
}

typedef struct
{
  IpcConnection *connection;
  IpcMessage *message;
  guint left;
} Flood;

static void
flood_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Flood *self = data;

  if (result != NULL)
    g_assert_true (ipc_connection_send_finish (self->connection, result, NULL));
  if (self->left > 0)
    {
      self->left--;
      ipc_connection_send_async (self->connection, self->message, NULL, flood_cb, self);
    }
}

/* Both sides have much to say, ask for answers on top of it, and never wait for the other to be done. */
static void
test_both_flood (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = message_of (30000);
  g_autoptr(IpcMessage) question = ipc_message_new_text ("echo", "?");
  Flood floods[8];
  Answer answers[40] = { { 0 } };

  pair_init (&pair, test);
  ipc_server_set_max_queued_bytes (pair.server, 40000);
  ipc_client_set_max_queued_bytes (pair.client, 40000);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  ipc_client_add_handler (pair.client, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  for (guint i = 0; i < G_N_ELEMENTS (floods); i++)
    {
      floods[i] = (Flood){ i % 2 == 0 ? pair.near : pair.far, message, 100 };
      flood_cb (NULL, NULL, &floods[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      ipc_connection_request_with_callback (i % 2 == 0 ? pair.near : pair.far, question, -1, NULL, answer_cb, &answers[i]);
      ipc_test_iterate (5);
    }
  ipc_test_wait_for (ipc_connection_get_messages_received (pair.near) >= 400 && ipc_connection_get_messages_received (pair.far) >= 400);
  for (guint i = 0; i < G_N_ELEMENTS (answers); i++)
    {
      ipc_test_wait_for (answers[i].n_callbacks == 1);
      if (answers[i].error != NULL)
        g_assert_error (answers[i].error, IPC_ERROR, IPC_ERROR_FULL);
      answer_clear (&answers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (floods); i++)
    ipc_test_wait_for (floods[i].left == 0);
  ipc_test_settle ();
}

/* Opens, and then sleeps for ever. */
static int
sleeper (char **arguments)
{
  g_autoptr(IpcClient) client = transport_client_new (arguments[0]);

  if (!ipc_client_open (client, NULL, NULL))
    return 1;
  ipc_test_tell ("open");
  g_free (ipc_test_hear ());
  return 0;
}

/* The slow one is killed while others wait for room at it: each of them hears of it, at once. */
static void
test_killed_slow_peer (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  IpcTestAsync sends[20] = { { 0 } };
  const char *arguments[2] = { NULL };
  gint64 start;

  pair_init (&pair, test);
  ipc_server_set_max_queued_bytes (pair.server, 20000);
  g_assert_true (ipc_server_start (pair.server, NULL));
  arguments[0] = pair.path;
  peer = ipc_test_peer_spawn ("sleeper", arguments);
  ipc_test_peer_expect (peer, "open");
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 1);
  pair.far = g_list_model_get_item (ipc_server_get_connections (pair.server), 0);
  fill (pair.far, 1000);
  for (guint i = 0; i < G_N_ELEMENTS (sends); i++)
    {
      g_autoptr(IpcMessage) message = message_of (1000);

      if (i % 2 == 0)
        ipc_connection_send_async (pair.far, message, NULL, ipc_test_async_cb, &sends[i]);
      else
        ipc_connection_flush_async (pair.far, NULL, ipc_test_async_cb, &sends[i]);
    }
  ipc_test_settle ();
  start = g_get_monotonic_time ();
  ipc_test_peer_signal (peer, SIGKILL);
  for (guint i = 0; i < G_N_ELEMENTS (sends); i++)
    {
      g_autoptr(GError) error = NULL;
      GAsyncResult *result = ipc_test_async_wait (&sends[i]);

      g_assert_false (i % 2 == 0 ? ipc_connection_send_finish (pair.far, result, &error) : ipc_connection_flush_finish (pair.far, result, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
      ipc_test_async_clear (&sends[i]);
    }
  g_assert_cmpint (g_get_monotonic_time () - start, <, 5 * G_USEC_PER_SEC);
  ipc_test_wait_for (ipc_server_get_total_bytes (pair.server) == 0);
  ipc_test_peer_wait (peer);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "sleeper", sleeper }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/messaging/budget/idle", test_idle);
  ipc_test_add ("/messaging/budget/slow-sender", test_slow_sender);
  ipc_test_add ("/messaging/budget/kept-requests", test_kept_requests);
  ipc_test_add ("/messaging/budget/shared-payload", test_shared_payload);
  ipc_test_add ("/messaging/budget/replies", test_replies);
  ipc_test_add ("/messaging/budget/largest-goes", test_largest_goes);
  ipc_test_add ("/messaging/budget/share", test_share);
  ipc_test_add ("/messaging/budget/many-uploads", test_many_uploads);
  ipc_test_add ("/messaging/budget/stalled-uploads", test_stalled_uploads);
  ipc_test_add ("/messaging/budget/cancel-anywhere", test_cancel_anywhere);
  ipc_test_add ("/messaging/budget/both-flood", test_both_flood);
  ipc_test_add ("/messaging/budget/killed-slow-peer", test_killed_slow_peer);
  return ipc_test_run ();
}
