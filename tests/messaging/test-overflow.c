/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What becomes of events for a client that does not take them: each policy, sent to one and to all, in both dialects;
 * who is told; and that replies are not touched.
 */
#include <string.h>

#include "stalled.h"

#define QUEUE 20000u
#define N_EVENTS 1000u /* more than the kernel and the queue take */

static const IpcOverflowPolicy policies[] = {
  IPC_OVERFLOW_POLICY_REJECT, IPC_OVERFLOW_POLICY_DROP_OLDEST, IPC_OVERFLOW_POLICY_DROP_NEWEST, IPC_OVERFLOW_POLICY_DISCONNECT,
};

typedef struct
{
  IpcOverflowPolicy policy;
  gboolean broadcast;
  gboolean json;
} Variant;

/* What message-dropped told: the numbers of the events. */
typedef struct
{
  IpcConnection *expected; /* (nullable) */
  GArray *numbers;         /* (owned) (element-type guint) */
} Drops;

static void
dropped_cb (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  Drops *drops = data;
  guint number = (guint) g_ascii_strtoull (ipc_message_get_text (message), NULL, 10);

  g_assert_true (connection == drops->expected);
  g_assert_cmpstr (ipc_message_get_message_type (message), ==, "tick");
  g_assert_cmpstr (ipc_message_get_header (message, "color"), ==, "blue");
  g_assert_false (ipc_message_get_is_request (message));
  g_array_append_val (drops->numbers, number);
}

static void
drops_clear (Drops *self)
{
  g_array_unref (self->numbers);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Drops, drops_clear)

static void
drops_init (Drops *self, Stalled *stalled)
{
  self->expected = stalled->far;
  self->numbers = g_array_new (FALSE, FALSE, sizeof (guint));
  g_signal_connect (stalled->pair.server, "message-dropped", G_CALLBACK (dropped_cb), self);
}

/* An event with its number. */
static IpcMessage *
make_event (guint number)
{
  g_autofree char *filler = g_strnfill (1000, 'x');
  g_autofree char *text = g_strdup_printf ("%u %s", number, filler);
  g_autoptr(GBytes) payload = g_bytes_new (text, strlen (text));
  const char *headers[] = { "color", "blue", NULL };

  return ipc_message_new_full ("tick", IPC_PAYLOAD_FORMAT_TEXT, payload, headers, NULL);
}

/* Whether it was sent, as far as the sender is told; ERROR only for what is not a broadcast. */
static gboolean
send_event (Stalled *stalled, guint number, const Variant *variant, GError **error)
{
  g_autoptr(IpcMessage) message = make_event (number);
  guint queued, n_dropped = 99;

  if (!variant->broadcast)
    return ipc_server_send_to (stalled->pair.server, ipc_connection_get_id (stalled->far), message, error);
  queued = ipc_server_broadcast (stalled->pair.server, message, &n_dropped);
  g_assert_cmpuint (queued + n_dropped, ==, 1);
  return queued == 1;
}

/* The number of the next event that the peer gets. */
static guint
read_number (Stalled *stalled, const Variant *variant)
{
  g_autoptr(GBytes) bytes = NULL;
  IpcFrame frame;
  IpcFrameBody body;
  IpcFault fault;

  if (variant->json)
    {
      g_autoptr(JsonObject) object = raw_read_object (&stalled->raw);

      g_assert_cmpstr (json_object_get_string_member (object, "message_type"), ==, "tick");
      return (guint) g_ascii_strtoull (json_object_get_string_member (object, "payload"), NULL, 10);
    }
  raw_read_frame (&stalled->raw, &frame, &bytes);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_EVENT);
  g_assert_true (ipc_frame_split (&frame, g_bytes_get_data (bytes, NULL), &body, &fault));
  g_assert_cmpuint (body.payload_size, >, 1000);
  return (guint) g_ascii_strtoull ((const char *) body.payload, NULL, 10);
}

/* Who got what became of each event: once, and nobody twice. */
typedef struct
{
  gboolean refused[N_EVENTS];
  gboolean dropped[N_EVENTS];
  gboolean received[N_EVENTS];
  guint n_refused;
  guint n_dropped;
  guint n_received;
} Fate;

static void
send_all (Stalled *stalled, const Variant *variant, Fate *fate)
{
  for (guint i = 0; i < N_EVENTS; i++)
    {
      g_autoptr(GError) error = NULL;

      if (send_event (stalled, i, variant, &error))
        continue;
      if (variant->broadcast)
        continue;
      g_assert_cmpint (variant->policy, ==, IPC_OVERFLOW_POLICY_REJECT);
      g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
      g_assert_nonnull (strstr (error->message, "20000"));
      fate->refused[i] = TRUE;
      fate->n_refused++;
    }
}

static void
receive_all (Stalled *stalled, const Variant *variant, Fate *fate)
{
  guint next = 0;

  while (fate->n_refused + fate->n_dropped + fate->n_received < N_EVENTS)
    {
      guint number = read_number (stalled, variant);

      g_assert_cmpuint (number, >=, next);
      g_assert_cmpuint (number, <, N_EVENTS);
      fate->received[number] = TRUE;
      fate->n_received++;
      next = number + 1;
    }
  for (guint i = 0; i < N_EVENTS; i++)
    g_assert_cmpint (fate->refused[i] + fate->dropped[i] + fate->received[i], ==, 1);
}

static void
note_drops (Drops *drops, Fate *fate)
{
  fate->n_dropped = drops->numbers->len;
  for (guint i = 0; i < drops->numbers->len; i++)
    fate->dropped[g_array_index (drops->numbers, guint, i)] = TRUE;
}

static void
check_policy (const Variant *variant, const Fate *fate)
{
  /* What came at once was received in any case, and something had to give. */
  g_assert_true (fate->received[0]);
  g_assert_cmpuint (fate->n_refused + fate->n_dropped, >, 100);
  g_assert_cmpint (fate->received[N_EVENTS - 1], ==, variant->policy == IPC_OVERFLOW_POLICY_DROP_OLDEST);
  if (variant->policy == IPC_OVERFLOW_POLICY_REJECT && !variant->broadcast)
    g_assert_cmpuint (fate->n_dropped, ==, 0);
  else
    g_assert_cmpuint (fate->n_refused, ==, 0);
}

/* A peer that sleeps through everything, and then takes what there is. */
static void
test_drop (IpcTest *test)
{
  const Variant *variant = test->data;
  g_auto(Drops) drops = { 0 };
  g_auto(Stalled) stalled = { 0 };
  g_autofree Fate *fate = g_new0 (Fate, 1);

  stalled_init_full (&stalled, test, QUEUE, variant->policy, variant->json);
  drops_init (&drops, &stalled);
  send_all (&stalled, variant, fate);
  /* told from the main loop, not from within the call */
  g_assert_cmpuint (drops.numbers->len, ==, 0);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), <=, QUEUE);
  ipc_test_settle ();
  note_drops (&drops, fate);
  g_assert_cmpuint (ipc_connection_get_messages_dropped (stalled.far), ==, fate->n_dropped);
  g_assert_cmpuint (ipc_server_get_messages_dropped (stalled.pair.server), ==, fate->n_dropped);
  g_assert_cmpuint (stalled.n_congested, ==, 1);
  receive_all (&stalled, variant, fate);
  check_policy (variant, fate);
  ipc_test_wait_for (stalled.n_drained == 1);
  /* and all is as before */
  g_assert_true (send_event (&stalled, 7, variant, NULL));
  g_assert_cmpuint (read_number (&stalled, variant), ==, 7);
}

static void
disconnected_cb (IpcServer *server, IpcConnection *connection, const GError *error, gpointer data)
{
  *(GError **) data = error ? g_error_copy (error) : NULL;
}

static void
test_disconnect (IpcTest *test)
{
  const Variant *variant = test->data;
  g_auto(Drops) drops = { 0 };
  g_auto(Stalled) stalled = { 0 };
  g_autoptr(GError) why = NULL;
  g_autoptr(GError) error = NULL;
  guint n = 0;

  stalled_init_full (&stalled, test, QUEUE, variant->policy, variant->json);
  drops_init (&drops, &stalled);
  g_signal_connect (stalled.pair.server, "client-disconnected", G_CALLBACK (disconnected_cb), &why);
  while (n < N_EVENTS && send_event (&stalled, n, variant, &error))
    n++;
  g_assert_cmpuint (n, <, N_EVENTS);
  if (!variant->broadcast)
    {
      g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
      g_clear_error (&error);
      g_assert_false (send_event (&stalled, n, variant, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED);
    }
  g_assert_false (ipc_connection_get_is_open (stalled.far));
  ipc_test_wait_for (ipc_server_get_n_clients (stalled.pair.server) == 0);
  g_assert_error (why, IPC_ERROR, IPC_ERROR_FULL);
  g_assert_nonnull (strstr (why->message, "limit of 20000"));
  ipc_test_settle ();
  g_assert_cmpuint (drops.numbers->len, ==, variant->broadcast ? 1 : 0);
  /* what the kernel had taken is still read */
  g_assert_cmpuint (read_number (&stalled, variant), ==, 0);
  raw_wait_end (&stalled.raw);
}

/* ── Replies ── */

static IpcMessage *
large_reply (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autofree char *text = g_strnfill (30000, 'r');

  return ipc_message_new_text ("reply", text);
}

/* Whatever the policy, what was asked is answered; and what stays keeps its order. */
static void
test_replies_stay (IpcTest *test)
{
  for (guint i = 0; i < 3; i++)
    {
      const Variant variant = { policies[i], FALSE, FALSE };
      g_auto(Stalled) stalled = { 0 };
      guint64 replies = 0;
      guint last = 0;

      stalled_init_full (&stalled, test, QUEUE, policies[i], FALSE);
      ipc_server_add_handler (stalled.pair.server, "large", large_reply, NULL, NULL);
      for (guint j = 0; j < 400; j++)
        send_event (&stalled, j, &variant, NULL);
      /* it is full: now the answers come on top of that, each with events before and behind it */
      for (guint j = 0; j < 5; j++)
        {
          raw_write_frame (&stalled.raw, IPC_FRAME_REQUEST, j + 1, 0, "large", "");
          ipc_test_settle ();
          for (guint k = 0; k < 30; k++)
            send_event (&stalled, 1000 + 100 * j + k, &variant, NULL);
        }
      while (replies < 5)
        {
          g_autoptr(GBytes) bytes = NULL;
          IpcFrameBody body;
          IpcFrame frame;
          IpcFault fault;

          raw_read_frame (&stalled.raw, &frame, &bytes);
          g_assert_true (ipc_frame_split (&frame, g_bytes_get_data (bytes, NULL), &body, &fault));
          if (frame.kind == IPC_FRAME_REPLY)
            {
              g_assert_cmpuint (frame.reply_serial, ==, ++replies);
              continue;
            }
          g_assert_cmpint (frame.kind, ==, IPC_FRAME_EVENT);
          g_assert_cmpuint (g_ascii_strtoull ((const char *) body.payload, NULL, 10), >=, last);
          last = (guint) g_ascii_strtoull ((const char *) body.payload, NULL, 10);
        }
    }
}

/* A request to a full client fails, whatever the policy is for events. */
static void
test_requests_fail (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (policies); i++)
    {
      g_auto(Stalled) stalled = { 0 };
      g_autoptr(IpcMessage) message = message_of (1000);
      g_autoptr(GPtrArray) answers = g_ptr_array_new_with_free_func (g_free);
      Answer *last;

      stalled_init_full (&stalled, test, QUEUE, policies[i], FALSE);
      do
        {
          last = g_new0 (Answer, 1);
          g_ptr_array_add (answers, last);
          ipc_connection_request_with_callback (stalled.far, message, -1, NULL, answer_cb, last);
          ipc_test_settle ();
        }
      while (last->n_callbacks == 0);
      g_assert_error (last->error, IPC_ERROR, IPC_ERROR_FULL);
      g_assert_true (ipc_connection_get_is_open (stalled.far));
      ipc_connection_close (stalled.far);
      raw_close (&stalled.raw);
      for (guint j = 0; j < answers->len; j++)
        {
          Answer *answer = g_ptr_array_index (answers, j);

          ipc_test_wait_for (answer->n_callbacks == 1);
          g_assert_nonnull (answer->error);
          answer_clear (answer);
        }
    }
}

/* ── The rest ── */

/* The policy of those that are there changes with the property. */
static void
test_change (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_autoptr(IpcMessage) message = message_of (1000);

  stalled_init (&stalled, test, QUEUE);
  fill (stalled.far, 1000);
  ipc_server_set_overflow_policy (stalled.pair.server, IPC_OVERFLOW_POLICY_DROP_NEWEST);
  g_assert_true (ipc_connection_send (stalled.far, message, NULL));
  g_assert_cmpuint (ipc_connection_get_messages_dropped (stalled.far), ==, 1);
  /* what waits was queued before: it stays, and the new one goes */
  ipc_server_set_overflow_policy (stalled.pair.server, IPC_OVERFLOW_POLICY_DROP_OLDEST);
  g_assert_true (ipc_connection_send (stalled.far, message, NULL));
  g_assert_cmpuint (ipc_connection_get_messages_dropped (stalled.far), ==, 2);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), <=, QUEUE);
}

/* An event that would not fit in any case costs no other its place. */
static void
test_too_large_for_room (IpcTest *test)
{
  g_auto(Stalled) stalled = { 0 };
  g_autoptr(IpcMessage) small = message_of (1000);
  g_autoptr(IpcMessage) large = message_of (QUEUE);
  guint64 queued;

  stalled_init_full (&stalled, test, QUEUE, IPC_OVERFLOW_POLICY_DROP_OLDEST, FALSE);
  while (ipc_connection_get_messages_dropped (stalled.far) == 0)
    g_assert_true (ipc_connection_send (stalled.far, small, NULL));
  /* the first of those that wait has begun to be written */
  raw_sip (&stalled.raw, 100000);
  while (ipc_connection_get_messages_dropped (stalled.far) == 1)
    g_assert_true (ipc_connection_send (stalled.far, small, NULL));
  queued = ipc_connection_get_queued_bytes (stalled.far);
  g_assert_true (ipc_connection_send (stalled.far, large, NULL));
  if (queued % (1000 + 1 + IPC_FRAME_HEADER_SIZE) != 0)
    {
      g_assert_cmpuint (ipc_connection_get_queued_bytes (stalled.far), ==, queued);
      g_assert_cmpuint (ipc_connection_get_messages_dropped (stalled.far), ==, 3);
    }
}

/* send_async() waits whatever the policy is. */
static void
test_send_async_waits (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (policies); i++)
    {
      g_auto(Stalled) stalled = { 0 };
      g_auto(IpcTestAsync) sent = { 0 };
      g_autoptr(IpcMessage) message = message_of (1000);

      stalled_init (&stalled, test, QUEUE);
      fill (stalled.far, 1000);
      ipc_server_set_overflow_policy (stalled.pair.server, policies[i]);
      ipc_connection_send_async (stalled.far, message, NULL, ipc_test_async_cb, &sent);
      ipc_test_settle ();
      g_assert_cmpuint (sent.n_callbacks, ==, 0);
      while (sent.result == NULL)
        raw_sip (&stalled.raw, 10000);
      g_assert_true (ipc_connection_send_finish (stalled.far, sent.result, NULL));
      g_assert_cmpuint (ipc_connection_get_messages_dropped (stalled.far), ==, 0);
    }
}

static gpointer
broadcast_in_thread (gpointer data)
{
  IpcServer *server = data;
  g_autoptr(IpcMessage) message = make_event (1);

  for (guint i = 0; i < 5000; i++)
    ipc_server_broadcast (server, message, NULL);
  return NULL;
}

static void
count_cb (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  g_assert_true (g_main_context_is_owner (g_main_context_default ()));
  ++*(guint *) data;
}

/* From any thread; told in the server's. */
static void
test_threads (IpcTest *test)
{
  for (guint i = 0; i < 3; i++)
    {
      g_auto(Stalled) stalled = { 0 };
      GThread *threads[3];
      guint n_told = 0;

      stalled_init_full (&stalled, test, QUEUE, policies[i], FALSE);
      g_signal_connect (stalled.pair.server, "message-dropped", G_CALLBACK (count_cb), &n_told);
      for (guint j = 0; j < G_N_ELEMENTS (threads); j++)
        threads[j] = g_thread_new ("broadcast", broadcast_in_thread, stalled.pair.server);
      for (guint j = 0; j < G_N_ELEMENTS (threads); j++)
        g_thread_join (threads[j]);
      ipc_test_settle ();
      g_assert_cmpuint (n_told, >, 1000);
      g_assert_cmpuint (n_told, <=, ipc_server_get_messages_dropped (stalled.pair.server));
    }
}

/* Messages are not kept for nobody, and a server that goes takes those that wait with it. */
static void
test_goes_with_drops (IpcTest *test)
{
  g_auto(Drops) drops = { 0 };
  g_auto(Stalled) stalled = { 0 };
  const Variant variant = { IPC_OVERFLOW_POLICY_DROP_NEWEST, TRUE, FALSE };

  stalled_init_full (&stalled, test, QUEUE, variant.policy, FALSE);
  drops_init (&drops, &stalled);
  for (guint i = 0; i < N_EVENTS; i++)
    send_event (&stalled, i, &variant, NULL);
  g_assert_cmpuint (ipc_connection_get_messages_dropped (stalled.far), >, 0);
}

static void
add_variants (void)
{
  static const char * const names[] = { "reject", "drop-oldest", "drop-newest", "disconnect" };

  for (guint i = 0; i < 16; i++)
    {
      static Variant variants[16];
      g_autofree char *path = NULL;

      variants[i] = (Variant){ policies[i % 4], (i & 4) != 0, (i & 8) != 0 };
      if (variants[i].json && transport_is_pipe ())
        continue;
      path = g_strdup_printf ("/messaging/overflow/%s/%s/%s", names[i % 4], variants[i].broadcast ? "broadcast" : "send",
                              variants[i].json ? "json" : "binary");
      ipc_test_add_data (path, &variants[i], variants[i].policy == IPC_OVERFLOW_POLICY_DISCONNECT ? test_disconnect : test_drop);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  add_variants ();
  ipc_test_add ("/messaging/overflow/replies-stay", test_replies_stay);
  ipc_test_add ("/messaging/overflow/requests-fail", test_requests_fail);
  ipc_test_add ("/messaging/overflow/change", test_change);
  ipc_test_add ("/messaging/overflow/too-large-for-room", test_too_large_for_room);
  ipc_test_add ("/messaging/overflow/send-async-waits", test_send_async_waits);
  ipc_test_add ("/messaging/overflow/threads", test_threads);
  ipc_test_add ("/messaging/overflow/goes-with-drops", test_goes_with_drops);
  return ipc_test_run ();
}
