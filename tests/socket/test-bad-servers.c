/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Servers that break the rules: the client says why and leaves, all that it had asked ends once, and its neighbours
 * notice nothing. The rules one by one are in the vectors; what takes more than bytes to say is here.
 */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vectors.h"

#define ANNOUNCED_MAX (64u * 1024u)

/* ── A client and what it is sent ── */

typedef struct
{
  int listen_fd;
  char *path;
  Service *honest;       /* somebody else's server, */
  IpcClient *bystander;  /* and its client, in the same process */
} Lure;

typedef struct
{
  IpcClient *client;
  Raw *server;
  Burst *burst;          /* two requests under way: 1 and 2 */
  guint n_closed;
  GError *reason;
} Victim;

static Lure *
lure_new (IpcTest *test)
{
  g_autofree char *honest_path = ipc_test_path (test, "honest");
  Lure *self = g_new0 (Lure, 1);

  self->path = socket_path (test);
  self->listen_fd = raw_listen (self->path);
  self->honest = service_start_at (honest_path);
  self->bystander = client_open (honest_path);
  return self;
}

static void
lure_free (Lure *self)
{
  client_check (self->bystander);
  g_object_unref (self->bystander);
  service_free (self->honest);
  close (self->listen_fd);
  g_free (self->path);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Lure, lure_free)

static void
victim_closed (IpcClient *client, const GError *error, Victim *self)
{
  self->n_closed++;
  self->reason = error != NULL ? g_error_copy (error) : NULL;
}

/* Opens a client with whatever bytes the server answers: the error of it, or NULL. */
static GError *
open_with (Lure *lure, const void *bytes, gsize size, gboolean end, Raw **server)
{
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (lure->path));
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (Raw) raw = NULL;
  GError *error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  raw = raw_accept (lure->listen_fd);
  raw_expect_hello (raw);
  raw_send (raw, bytes, size);
  if (end)
    g_clear_pointer (&raw, raw_free);
  ipc_client_open_finish (client, ipc_test_async_wait (&async), &error);
  g_assert_cmpint (ipc_client_get_state (client), ==, error != NULL ? IPC_CLIENT_STATE_CLOSED : IPC_CLIENT_STATE_OPEN);
  if (server != NULL)
    *server = g_steal_pointer (&raw);
  client_check (lure->bystander);
  return error;
}

static Victim *
victim_new (Lure *lure)
{
  Victim *self = g_new0 (Victim, 1);
  g_auto (IpcTestAsync) async = { 0 };

  self->client = IPC_CLIENT (ipc_socket_client_new (lure->path));
  g_signal_connect (self->client, "closed", G_CALLBACK (victim_closed), self);
  ipc_client_open_async (self->client, NULL, ipc_test_async_cb, &async);
  self->server = raw_accept (lure->listen_fd);
  raw_expect_hello (self->server);
  raw_send_hello (self->server);
  g_assert_true (ipc_client_open_finish (self->client, ipc_test_async_wait (&async), NULL));
  self->burst = burst_start (self->client, 2, "ask", 0, -1);
  for (guint serial = 1; serial <= 2; serial++)
    {
      g_auto (RawFrame) frame = { 0 };

      g_assert_true (raw_next_frame (self->server, &frame));
      g_assert_cmpuint (frame.header.serial, ==, serial);
    }
  return self;
}

static void
victim_free (Victim *self)
{
  ipc_client_close (self->client);
  ipc_test_wait_for (self->burst->n_done == 2);
  ipc_test_wait_for (ipc_client_get_state (self->client) == IPC_CLIENT_STATE_CLOSED);
  g_assert_cmpuint (self->n_closed, ==, 1);
  burst_free (self->burst);
  raw_free (self->server);
  ipc_test_assert_finalized (self->client);
  g_clear_error (&self->reason);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Victim, victim_free)

static void
victim_send_reply (Victim *self, IpcFrameKind kind, guint64 serial, const char *type, const char *text)
{
  const IpcFrame reply = { .kind = (guint8) kind, .flags = IPC_PAYLOAD_FORMAT_TEXT, .reply_serial = serial };

  raw_send_frame (self->server, &reply, type, text, strlen (text));
}

/* The client has dropped the server for this, and every request that was under way has failed, once. */
static void
victim_expect_drop (Victim *self, IpcError code, const char *nick, const char *text)
{
  ipc_test_wait_for (self->n_closed > 0);
  assert_ipc_error (self->reason, code, text);
  raw_expect_drop (self->server, nick);
  g_assert_cmpuint (self->burst->n_done, ==, 2);
}

static void
check_frame_to_client (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Lure *lure = data;
  g_autoptr (Victim) victim = NULL;

  /* after the handshake, every HELLO is one too many */
  victim = victim_new (lure);
  raw_send (victim->server, bytes->data, bytes->len);
  victim_expect_drop (victim, vector_get_code (vector), vector_get_nick (vector), NULL);
  for (guint i = 0; i < 2; i++)
    assert_ipc_error (victim->burst->errors[i], IPC_ERROR_UNCERTAIN, NULL);
  client_check (lure->bystander);
}

static void
test_frames_to_client (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);

  vectors_foreach ("frame", "server-to-client", "drop", check_frame_to_client, lure);
}

static void
check_content_to_client (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Lure *lure = data;
  g_autoptr (Victim) victim = victim_new (lure);
  IpcFrame header;
  IpcFrameLimits limits = { .max_length = MAX_LENGTH };

  g_assert_true (ipc_frame_decode (bytes->data, &limits, &header, NULL));
  raw_send (victim->server, bytes->data, bytes->len);
  raw_expect_frame (victim->server, IPC_FRAME_ERROR, header.serial, vector_get_nick (vector));
  g_assert_cmpuint (victim->n_closed, ==, 0);
  victim_send_reply (victim, IPC_FRAME_REPLY, 1, "answer", "still here");
  ipc_test_wait_for (victim->burst->n_replies == 1);
}

static void
test_contents_to_client (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);

  vectors_foreach ("frame", "server-to-client", "reply", check_content_to_client, lure);
}

static void
check_preamble_to_client (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Raw *server;
  g_autoptr (GError) error = open_with (data, bytes->data, bytes->len, FALSE, &server);

  assert_ipc_error (error, vector_get_code (vector), NULL);
  raw_expect_drop (server, vector_get_nick (vector));
  raw_free (server);
}

static void
test_preambles_to_client (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);

  vectors_foreach ("preamble", "server-to-client", "drop", check_preamble_to_client, lure);
}

/* ── Servers that will not say HELLO ── */

static GByteArray *
make_greeting (const IpcFrame *frame, const char *type, const char *payload, gsize size)
{
  GByteArray *bytes = g_byte_array_new ();
  guint8 header[IPC_FRAME_HEADER_SIZE];
  IpcFrame whole = *frame;

  whole.type_length = (guint8) strlen (type);
  whole.length = (guint32) (whole.type_length + size);
  g_byte_array_append (bytes, ipc_preamble, IPC_PREAMBLE_SIZE);
  ipc_frame_encode (&whole, header);
  g_byte_array_append (bytes, header, sizeof header);
  g_byte_array_append (bytes, (const guint8 *) type, whole.type_length);
  if (size > 0)
    g_byte_array_append (bytes, (const guint8 *) payload, (guint) size);
  return bytes;
}

static void
test_no_hello (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  const IpcFrame hello = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT };
  g_autoptr (GByteArray) greeting = make_greeting (&hello, "", NULL, 0);

  /* It ends after each byte, of which the last one makes it a HELLO after all. */
  for (guint size = 0; size < greeting->len; size++)
    {
      g_autoptr (GError) error = open_with (lure, greeting->data, size, TRUE, NULL);
      gboolean at_boundary = size == 0 || size == IPC_PREAMBLE_SIZE;

      assert_ipc_error (error, at_boundary ? IPC_ERROR_PERMISSION_DENIED : IPC_ERROR_CLOSED,
                        at_boundary ? "does not admit us" : "inside a first frame");
    }
}

static void
test_refused (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  const IpcFrame refusal = { .kind = IPC_FRAME_ERROR, .flags = IPC_PAYLOAD_FORMAT_TEXT };
  const struct
  {
    const char *nick;
    IpcError code;
  } refusals[] = {
    { "version", IPC_ERROR_VERSION },
    { "full", IPC_ERROR_FULL },
    { "closed", IPC_ERROR_CLOSED },
    { "too-large", IPC_ERROR_TOO_LARGE },
    { "invalid-data", IPC_ERROR_INVALID_DATA },
    { "unknown-type", IPC_ERROR_UNKNOWN_TYPE },
    { "remote", IPC_ERROR_REMOTE },
    /* it looks as if the caller had cancelled, who has not */
    { "cancelled", IPC_ERROR_REMOTE },
    /* known to us, and not to the protocol; then not even to us */
    { "permission-denied", IPC_ERROR_REMOTE },
    { "no-such-nick", IPC_ERROR_REMOTE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autoptr (GByteArray) bytes = make_greeting (&refusal, refusals[i].nick, "go away\xff", 8);
      g_autoptr (GError) error = open_with (lure, bytes->data, bytes->len, FALSE, NULL);

      assert_ipc_error (error, refusals[i].code, "go away");
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
    }
}

static void
test_wrong_first_frame (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  const IpcFrame frames[] = {
    { .kind = IPC_FRAME_PING, .serial = 1 },
    { .kind = IPC_FRAME_GOODBYE },
    { .kind = IPC_FRAME_PONG },
    { .kind = IPC_FRAME_CANCEL, .reply_serial = 1 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (frames); i++)
    {
      g_autoptr (GByteArray) bytes = make_greeting (&frames[i], "", NULL, 0);
      g_autofree char *text = g_strdup_printf ("frame of kind %u before HELLO", frames[i].kind);
      Raw *server;
      g_autoptr (GError) error = open_with (lure, bytes->data, bytes->len, FALSE, &server);

      assert_ipc_error (error, IPC_ERROR_INVALID_DATA, text);
      raw_expect_drop (server, "invalid-data");
      raw_free (server);
    }
}

/* An answer to what was not asked, instead of HELLO: nothing is outstanding yet. */
static void
test_error_first (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  const IpcFrame error_frame = { .kind = IPC_FRAME_ERROR, .flags = IPC_PAYLOAD_FORMAT_TEXT, .reply_serial = 1 };
  g_autoptr (GByteArray) bytes = make_greeting (&error_frame, "full", "x", 1);
  g_autoptr (GError) error = open_with (lure, bytes->data, bytes->len, FALSE, NULL);

  assert_ipc_error (error, IPC_ERROR_INVALID_DATA, NULL);
}

static void
test_large_hello (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  const IpcFrame hello = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT };
  g_autofree char *payload = g_malloc0 (70000);
  g_autoptr (GByteArray) bytes = make_greeting (&hello, "", payload, 70000);
  g_autoptr (GError) error = open_with (lure, bytes->data, bytes->len, FALSE, NULL);

  assert_ipc_error (error, IPC_ERROR_TOO_LARGE, "70000 bytes exceeds the limit of 65536");
}

static void
test_garbage_to_client (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (GRand) rand = ipc_test_rand_new ();
  guint8 garbage[65536];

  for (guint i = 0; i < 10; i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (Victim) victim = NULL;

      for (guint at = 0; at < sizeof garbage; at += 4)
        memcpy (garbage + at, &(guint32) { g_rand_int (rand) }, 4);
      error = open_with (lure, garbage, sizeof garbage, FALSE, NULL);
      assert_ipc_error (error, IPC_ERROR_INVALID_DATA, "bad magic");
      victim = victim_new (lure);
      garbage[5] |= 0x08;
      raw_send (victim->server, garbage, sizeof garbage);
      ipc_test_wait_for (victim->n_closed > 0);
      g_assert_nonnull (victim->reason);
      client_check (lure->bystander);
    }
}

/* ── Servers that answer wrongly ── */

static void
test_reply_unknown (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  const guint64 serials[] = { 3, 77, G_MAXUINT64, IPC_FRAME_MAX_SERIAL };

  for (guint i = 0; i < G_N_ELEMENTS (serials); i++)
    for (IpcFrameKind kind = IPC_FRAME_REPLY; kind <= IPC_FRAME_ERROR; kind++)
      {
        g_autoptr (Victim) victim = victim_new (lure);

        victim_send_reply (victim, kind, serials[i], "x", "");
        victim_expect_drop (victim, IPC_ERROR_INVALID_DATA, "invalid-data", "which is not outstanding");
        assert_ipc_error (victim->burst->errors[0], IPC_ERROR_UNCERTAIN, NULL);
        client_check (lure->bystander);
      }
}

static void
test_reply_twice (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);

  victim_send_reply (victim, IPC_FRAME_REPLY, 2, "x", "one");
  ipc_test_wait_for (victim->burst->n_replies == 1);
  victim_send_reply (victim, IPC_FRAME_REPLY, 2, "x", "two");
  victim_expect_drop (victim, IPC_ERROR_INVALID_DATA, "invalid-data", "a reply to request 2, which is not outstanding");
  g_assert_no_error (victim->burst->errors[1]);
  assert_ipc_error (victim->burst->errors[0], IPC_ERROR_UNCERTAIN, NULL);
}

static void
test_reply_errors (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);

  victim_send_reply (victim, IPC_FRAME_ERROR, 1, "cancelled", "not any more");
  victim_send_reply (victim, IPC_FRAME_ERROR, 2, "full", "later");
  ipc_test_wait_for (victim->burst->n_done == 2);
  g_assert_error (victim->burst->errors[0], G_IO_ERROR, G_IO_ERROR_CANCELLED);
  assert_ipc_error (victim->burst->errors[1], IPC_ERROR_FULL, "later");
  g_assert_cmpuint (victim->n_closed, ==, 0);
}

/* Only its request fails. */
static void
test_reply_bad_content (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);

  victim_send_reply (victim, IPC_FRAME_REPLY, 1, "x", "\xff\xfe");
  victim_send_reply (victim, IPC_FRAME_REPLY, 2, "x", "good");
  ipc_test_wait_for (victim->burst->n_done == 2);
  assert_ipc_error (victim->burst->errors[0], IPC_ERROR_INVALID_DATA, NULL);
  g_assert_no_error (victim->burst->errors[1]);
  g_assert_cmpuint (victim->n_closed, ==, 0);
}

static void
test_error_closes (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);

  victim_send_reply (victim, IPC_FRAME_ERROR, 0, "too-large", "you said too much");
  ipc_test_wait_for (victim->n_closed > 0);
  assert_ipc_error (victim->reason, IPC_ERROR_TOO_LARGE, "you said too much");
  for (guint i = 0; i < 2; i++)
    assert_ipc_error (victim->burst->errors[i], IPC_ERROR_UNCERTAIN, "you said too much");
}

static void
test_huge_frame (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);
  const IpcFrame huge = { .kind = IPC_FRAME_REPLY, .reply_serial = 1, .type_length = 1, .length = MAX_LENGTH + 1 };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  ipc_frame_encode (&huge, header);
  raw_send (victim->server, header, sizeof header);
  victim_expect_drop (victim, IPC_ERROR_TOO_LARGE, "too-large",
                      "frame of 16777217 bytes exceeds the limit of 16777216");
}

static void
test_huge_frame_not_sent (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);
  const IpcFrame huge = { .kind = IPC_FRAME_REPLY, .reply_serial = 1, .type_length = 1, .length = MAX_LENGTH };
  guint8 header[IPC_FRAME_HEADER_SIZE];
  const guint8 part[10000] = { 0 };
  gsize before = get_heap ();

  ipc_frame_encode (&huge, header);
  raw_send (victim->server, header, sizeof header);
  ipc_test_settle ();
  raw_send (victim->server, "x", 1);
  ipc_test_settle ();
  g_assert_cmpint ((gssize) (get_heap () - before), <=, ANNOUNCED_MAX);
  /* with enough of it there that it has to be kept, the rest still is not set aside for */
  for (guint i = 0; i < 2; i++)
    {
      raw_send (victim->server, part, sizeof part);
      ipc_test_settle ();
    }
  g_assert_cmpint ((gssize) (get_heap () - before), <=, MIB);
  g_assert_cmpuint (victim->n_closed, ==, 0);
}

static void
test_end_in_reply (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);

  raw_send (victim->server, "\x10\0\0\0\x04", 5);
  g_assert_no_errno (shutdown (victim->server->fd, SHUT_WR));
  ipc_test_wait_for (victim->n_closed > 0);
  assert_ipc_error (victim->reason, IPC_ERROR_CLOSED, "inside a frame, after 5 of 32 bytes");
  for (guint i = 0; i < 2; i++)
    assert_ipc_error (victim->burst->errors[i], IPC_ERROR_UNCERTAIN, NULL);
}

static void
test_goodbye (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);
  const IpcFrame goodbye = { .kind = IPC_FRAME_GOODBYE, .reply_serial = 1 };
  g_autoptr (GError) error = NULL;
  g_autofree char *answer = NULL;

  raw_send_frame (victim->server, &goodbye, NULL, NULL, 0);
  /* the second one was not looked at, and can be repeated elsewhere */
  ipc_test_wait_for (victim->burst->n_done == 1);
  assert_ipc_error (victim->burst->errors[1], IPC_ERROR_NOT_CONNECTED, NULL);
  answer = client_ask (victim->client, "ask", "", 1000, &error);
  assert_ipc_error (error, IPC_ERROR_NOT_CONNECTED, "no new requests");
  g_assert_cmpuint (victim->n_closed, ==, 0);
  /* the first one was promised an answer; another GOODBYE changes nothing */
  raw_send_frame (victim->server, &goodbye, NULL, NULL, 0);
  victim_send_reply (victim, IPC_FRAME_REPLY, 1, "x", "promised");
  ipc_test_wait_for (victim->burst->n_replies == 1);
  g_assert_no_error (victim->burst->errors[0]);
}

/* What the peer says it answers may be more than there ever was. */
static void
test_goodbye_to_everything (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);
  const IpcFrame goodbye = { .kind = IPC_FRAME_GOODBYE, .reply_serial = G_MAXUINT64 };

  raw_send_frame (victim->server, &goodbye, NULL, NULL, 0);
  victim_send_reply (victim, IPC_FRAME_REPLY, 2, "x", "");
  ipc_test_wait_for (victim->burst->n_replies == 1);
  g_assert_cmpuint (victim->burst->n_done, ==, 1);
}

/* A promise that is taken back: what is answered after it was given up is known, and no reason to drop anybody. */
static void
test_goodbye_then_answer (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);
  const IpcFrame goodbye = { .kind = IPC_FRAME_GOODBYE, .reply_serial = 0 };

  raw_send_frame (victim->server, &goodbye, NULL, NULL, 0);
  ipc_test_wait_for (victim->burst->n_done == 2);
  for (guint i = 0; i < 2; i++)
    assert_ipc_error (victim->burst->errors[i], IPC_ERROR_NOT_CONNECTED, NULL);
  victim_send_reply (victim, IPC_FRAME_REPLY, 1, "x", "after all");
  victim_expect_drop (victim, IPC_ERROR_INVALID_DATA, "invalid-data", "which is not outstanding");
}

static const struct
{
  const char *path;
  IpcTestFunc func;
} tests[] = {
  { "preambles", test_preambles_to_client },
  { "frames", test_frames_to_client },
  { "contents", test_contents_to_client },
  { "no-hello", test_no_hello },
  { "refused", test_refused },
  { "wrong-first-frame", test_wrong_first_frame },
  { "error-first", test_error_first },
  { "large-hello", test_large_hello },
  { "garbage", test_garbage_to_client },
  { "reply/unknown", test_reply_unknown },
  { "reply/twice", test_reply_twice },
  { "reply/errors", test_reply_errors },
  { "reply/bad-content", test_reply_bad_content },
  { "error-closes", test_error_closes },
  { "huge-frame", test_huge_frame },
  { "huge-frame-not-sent", test_huge_frame_not_sent },
  { "end-in-reply", test_end_in_reply },
  { "goodbye", test_goodbye },
  { "goodbye-to-everything", test_goodbye_to_everything },
  { "goodbye-then-answer", test_goodbye_then_answer },
};

int
main (int argc, char **argv)
{
  int status;

  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/socket/bad-servers/", tests[i].path, NULL);

      ipc_test_add (path, tests[i].func);
    }
  status = ipc_test_run ();
  vectors_free ();
  return status;
}
