/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that break the rules: each is told why, dropped, and nobody else notices. The rules one by one are in the
 * vectors; what takes more than bytes to say is here.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vectors.h"

/* What a peer may cost that announces a frame and sends next to nothing of it. */
#define ANNOUNCED_MAX (64u * 1024u)

/* ── A server and what it is sent ── */

typedef struct
{
  Service *service;
  char *path;
  IpcClient *bystander;
  guint n_dropped;
} Target;

static Target *
target_new (IpcTest *test)
{
  Target *self = g_new0 (Target, 1);

  self->service = service_start (test);
  self->path = socket_path (test);
  self->bystander = client_open (self->path);
  return self;
}

static void
target_free (Target *self)
{
  client_check (self->bystander);
  g_assert_cmpuint (ipc_server_get_n_clients (self->service->server), ==, 1);
  g_assert_cmpuint (self->service->reasons->len, ==, self->n_dropped);
  g_clear_object (&self->bystander);
  service_free (self->service);
  g_free (self->path);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Target, target_free)

/* The next thing that happens is that one client is dropped, for this. */
static void
target_expect_drop (Target *self, IpcError code, const char *text)
{
  assert_ipc_error (service_wait_disconnected (self->service, ++self->n_dropped), code, text);
  g_ptr_array_set_size (self->service->connections, 0);
  client_check (self->bystander);
}

static void
check_preamble (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Target *self = data;
  g_autoptr (Raw) raw = raw_connect (self->path);

  raw_send (raw, bytes->data, bytes->len);
  raw_expect_preamble (raw);
  raw_expect_drop (raw, vector_get_nick (vector));
  target_expect_drop (self, vector_get_code (vector), NULL);
}

static void
test_preambles (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  vectors_foreach ("preamble", "client-to-server", "drop", check_preamble, target);
}

/* HELLO is judged as the first frame, everything else after it. */
static Raw *
send_frame_vector (const char *path, GByteArray *bytes)
{
  g_autoptr (Raw) raw = NULL;

  if (bytes->data[4] == IPC_FRAME_HELLO)
    {
      raw = raw_connect (path);
      raw_send (raw, ipc_preamble, IPC_PREAMBLE_SIZE);
      raw_send (raw, bytes->data, bytes->len);
      raw_expect_preamble (raw);
      return g_steal_pointer (&raw);
    }
  raw = raw_connect_client (path);
  raw_send (raw, bytes->data, bytes->len);
  return g_steal_pointer (&raw);
}

static void
check_frame (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Target *self = data;
  g_autoptr (Raw) raw = send_frame_vector (self->path, bytes);

  raw_expect_drop (raw, vector_get_nick (vector));
  target_expect_drop (self, vector_get_code (vector), NULL);
}

static void
test_frames (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  vectors_foreach ("frame", "client-to-server", "drop", check_frame, target);
}

/* The frame is whole, and only what is in it is bad: that is an answer, and the connection goes on. */
static void
check_content (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Target *self = data;
  g_autoptr (Raw) raw = send_frame_vector (self->path, bytes);
  IpcFrame header;
  IpcFrameLimits limits = { .max_length = MAX_LENGTH };

  g_assert_true (ipc_frame_decode (bytes->data, &limits, &header, NULL));
  raw_expect_frame (raw, IPC_FRAME_ERROR, header.serial, vector_get_nick (vector));
  raw_send_request (raw, header.serial + 1, "echo", "on");
  raw_expect_frame (raw, IPC_FRAME_REPLY, header.serial + 1, "echo_response");
  g_clear_pointer (&raw, raw_free);
  g_assert_no_error (service_wait_disconnected (self->service, ++self->n_dropped));
}

static void
test_contents (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  vectors_foreach ("frame", "client-to-server", "reply", check_content, target);
}

/* The handshake, if there is one, and then the rest, so that the rules for the first frames are kept. */
static void
check_stream (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  static const guint8 hello_header[] = { 0, 0, 0, 0, IPC_FRAME_HELLO };
  Target *self = data;
  const gsize handshake = IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE;
  gboolean greets = bytes->len > handshake &&
                    memcmp (bytes->data + IPC_PREAMBLE_SIZE, hello_header, sizeof hello_header) == 0;
  gboolean is_known = bytes->data[0] == 0;
  g_autoptr (Raw) raw = raw_connect (self->path);

  if (greets)
    {
      raw_send (raw, bytes->data, handshake);
      raw_expect_hello (raw);
      g_byte_array_remove_range (bytes, 0, handshake);
    }
  raw_send (raw, bytes->data, bytes->len);
  if (is_known && !greets)
    raw_expect_preamble (raw);
  if (is_known)
    raw_expect_drop (raw, vector_get_nick (vector));
  else
    raw_expect_end (raw);
  target_expect_drop (self, vector_get_code (vector), is_known ? NULL : "bad magic");
}

static void
test_streams (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  vectors_foreach ("stream", "client-to-server", "drop", check_stream, target);
}

/* ── What other protocols say first ── */

static void
test_other_protocols (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  const struct
  {
    const char *bytes;
    gsize size;
    const char *text;
  } others[] = {
    { "GET / HTTP/1.1\r\n\r\n", 18, "bad magic \"GET / HT\"" },
    { "\0AUTH EXTERNAL 30\r\n", 19, "bad magic \"\\x00AUTH EX\"" },
    { "\x16\x03\x01\x02\x00\x01", 6, "bad magic \"\\x16\\x03\\x01\\x02\\x00\\x01\"" },
    { "SSH-2.0-x\r\n", 11, "bad magic \"SSH-2.0-\"" },
    { "\xff", 1, "bad magic \"\\xff\"" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      g_autoptr (Raw) raw = raw_connect (target->path);

      raw_send (raw, others[i].bytes, others[i].size);
      raw_wait (raw, G_MAXUINT);
      target_expect_drop (target, IPC_ERROR_INVALID_DATA, others[i].text);
    }
}

static void
test_versions (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for (guint version = 0; version <= 255; version += version == 2 ? 253 : 2)
    {
      g_autoptr (Raw) raw = raw_connect (target->path);
      g_autofree char *text = g_strdup_printf ("peer speaks %u, we speak 1", version);
      guint8 preamble[IPC_PREAMBLE_SIZE];

      memcpy (preamble, ipc_preamble, sizeof preamble);
      preamble[4] = (guint8) version;
      raw_send (raw, preamble, sizeof preamble);
      raw_expect_preamble (raw);
      raw_expect_drop (raw, "version");
      target_expect_drop (target, IPC_ERROR_VERSION, text);
    }
}

/* ── Sizes ── */

static void
announce (Raw *raw, guint32 length, gsize n_sent)
{
  const IpcFrame header = { .kind = IPC_FRAME_REQUEST, .serial = 1, .length = length, .type_length = 4 };
  g_autofree guint8 *bytes = g_malloc0 (IPC_FRAME_HEADER_SIZE + n_sent);

  ipc_frame_encode (&header, bytes);
  memset (bytes + IPC_FRAME_HEADER_SIZE, 'e', n_sent);
  g_assert_true (raw_send (raw, bytes, IPC_FRAME_HEADER_SIZE + n_sent));
}

static void
test_too_large (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  const guint32 lengths[] = { MAX_LENGTH + 1, 0x80000000u, 0xffffffffu, 0xfffffff8u };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autoptr (Raw) raw = raw_connect_client (target->path);
      g_autofree char *text = g_strdup_printf ("frame of %u bytes exceeds the limit of %u", lengths[i], MAX_LENGTH);

      announce (raw, lengths[i], 0);
      raw_expect_drop (raw, "too-large");
      target_expect_drop (target, IPC_ERROR_TOO_LARGE, text);
    }
}

/* Live bytes on the heap for each of 50 peers that announce LENGTH and send N_SENT bytes of it, and one more. */
static gssize
cost_of_announcing (Target *target, guint32 length, gsize n_sent)
{
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func ((GDestroyNotify) raw_free);
  gsize before, now;

  for (guint i = 0; i < 50; i++)
    g_ptr_array_add (peers, raw_connect_client (target->path));
  before = get_heap ();
  for (guint i = 0; i < 50; i++)
    announce (peers->pdata[i], length, n_sent);
  ipc_test_settle ();
  /* now the server knows how much is to come */
  for (guint i = 0; i < 50; i++)
    g_assert_true (raw_send (peers->pdata[i], "e", 1));
  client_check (target->bystander);
  ipc_test_settle ();
  now = get_heap ();
  g_assert_cmpuint (ipc_server_get_n_clients (target->service->server), ==, 51);
  g_ptr_array_set_size (peers, 0);
  target->n_dropped += 50;
  ipc_test_wait_for (target->service->reasons->len == target->n_dropped);
  for (guint i = target->n_dropped - 50; i < target->n_dropped; i++)
    assert_ipc_error (target->service->reasons->pdata[i], IPC_ERROR_CLOSED, "inside a frame");
  g_ptr_array_set_size (target->service->connections, 0);
  return (gssize) (now - before) / 50;
}

static void
test_announced_and_not_sent (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  gssize cost = cost_of_announcing (target, MAX_LENGTH, 4);

  g_test_message ("%" G_GSSIZE_FORMAT " bytes for each that announces 16 MiB and sends 5", cost);
  g_assert_cmpint (cost, <=, ANNOUNCED_MAX);
}

/* What it costs depends on what was sent, and not on what was announced. */
static void
test_announced_and_begun (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  gssize small = cost_of_announcing (target, 256 * 1024, 20000);
  gssize large = cost_of_announcing (target, MAX_LENGTH, 20000);

  g_test_message ("for 20,000 bytes sent: %" G_GSSIZE_FORMAT " of 256 KiB, %" G_GSSIZE_FORMAT " of 16 MiB", small, large);
  g_assert_cmpint (large, <=, small + ANNOUNCED_MAX);
}

static void
test_hello_of_70000 (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect (target->path);
  const IpcFrame hello = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT };
  g_autofree guint8 *payload = g_malloc0 (70000);

  raw_send (raw, ipc_preamble, IPC_PREAMBLE_SIZE);
  raw_send_frame (raw, &hello, NULL, payload, 70000);
  raw_expect_preamble (raw);
  raw_expect_drop (raw, "too-large");
  target_expect_drop (target, IPC_ERROR_TOO_LARGE, "70000 bytes exceeds the limit of 65536");
}

/* With a small limit of its own, a server means that one. */
static void
test_small_limit (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Service) service = service_new (path);
  g_autoptr (Raw) raw = NULL;
  g_autofree char *text = g_strnfill (1024 - 4, 'x');
  g_autofree char *longer = g_strnfill (1024 - 3, 'x');

  ipc_server_set_max_message_size (service->server, 1024);
  g_assert_true (ipc_server_start (service->server, NULL));
  raw = raw_connect_client (path);
  raw_send_request (raw, 1, "hold", text);
  ipc_test_wait_for (service->held->len == 1);
  raw_send_request (raw, 2, "hold", longer);
  raw_expect_drop (raw, "too-large");
  assert_ipc_error (service_wait_disconnected (service, 1), IPC_ERROR_TOO_LARGE,
                    "frame of 1025 bytes exceeds the limit of 1024");
}

/* ── Ends at every byte ── */

static GByteArray *
make_conversation (void)
{
  GByteArray *bytes = g_byte_array_new ();
  const IpcFrame hello = { .kind = IPC_FRAME_HELLO };
  const IpcFrame event = { .kind = IPC_FRAME_EVENT, .type_length = 4, .length = 10 };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  g_byte_array_append (bytes, ipc_preamble, IPC_PREAMBLE_SIZE);
  ipc_frame_encode (&hello, header);
  g_byte_array_append (bytes, header, sizeof header);
  ipc_frame_encode (&event, header);
  g_byte_array_append (bytes, header, sizeof header);
  g_byte_array_append (bytes, (const guint8 *) "echopayloa", 10);
  return bytes;
}

static void
test_end_after_every_byte (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (GByteArray) bytes = make_conversation ();
  const guint greeted = IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE;

  for (guint size = 1; size <= bytes->len; size++)
    {
      g_autoptr (Raw) raw = raw_connect (target->path);
      gboolean whole = size == greeted || size == bytes->len;

      raw_send (raw, bytes->data, size);
      g_assert_no_errno (shutdown (raw->fd, SHUT_WR));
      raw_wait (raw, G_MAXUINT);
      /* A peer that leaves between preamble and HELLO has said nothing yet. */
      if (size == IPC_PREAMBLE_SIZE)
        continue;
      if (whole)
        g_assert_no_error (service_wait_disconnected (target->service, ++target->n_dropped));
      else
        target_expect_drop (target, IPC_ERROR_CLOSED, size < greeted ? "inside a first frame" : "inside a frame");
    }
}

/* One at a time, with the server looking at each. */
static void
test_byte_by_byte (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (GByteArray) bytes = make_conversation ();
  guint n_messages = target->service->n_messages;
  g_autoptr (Raw) raw = raw_connect (target->path);

  for (guint i = 0; i < bytes->len; i++)
    {
      raw_send (raw, bytes->data + i, 1);
      ipc_test_settle ();
      g_assert_cmpuint (target->service->n_messages, ==, n_messages + (i + 1 == bytes->len));
    }
  raw_expect_hello (raw);
  g_clear_pointer (&raw, raw_free);
  g_assert_no_error (service_wait_disconnected (target->service, ++target->n_dropped));
}

/* ── Floods and garbage ── */

static void
test_garbage (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (GRand) rand = ipc_test_rand_new ();
  guint8 garbage[65536];

  for (guint i = 0; i < 40; i++)
    {
      g_autoptr (Raw) raw = i % 2 == 0 ? raw_connect (target->path) : raw_connect_client (target->path);

      for (guint at = 0; at < sizeof garbage; at += 4)
        memcpy (garbage + at, &(guint32) { g_rand_int (rand) }, 4);
      /* so that it is not taken for a half-close of JSON, nor waits for more */
      if (i % 2 == 0 && strchr ("{ \t\r\n", garbage[0]) != NULL)
        garbage[0] = 0xff;
      if (i % 2 != 0)
        garbage[5] |= 0x08;
      raw_send (raw, garbage, sizeof garbage);
      raw_wait (raw, G_MAXUINT);
      ipc_test_wait_for (target->service->reasons->len == target->n_dropped + 1);
      target->n_dropped++;
      client_check (target->bystander);
    }
}

/* A burst of the smallest frames there are; the bystander is served in between. */
static void
test_flood_of_pings (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_client (target->path);
  const IpcFrame ping = { .kind = IPC_FRAME_PING, .serial = 1 };
  g_autoptr (GByteArray) burst = g_byte_array_new ();
  guint8 header[IPC_FRAME_HEADER_SIZE];

  ipc_frame_encode (&ping, header);
  for (guint i = 0; i < 2000; i++)
    g_byte_array_append (burst, header, sizeof header);
  for (guint i = 0; i < 10; i++)
    {
      raw_send (raw, burst->data, burst->len);
      client_check (target->bystander);
      g_assert_true (raw_wait (raw, burst->len));
      g_byte_array_remove_range (raw->in, 0, burst->len);
    }
  g_clear_pointer (&raw, raw_free);
  g_assert_no_error (service_wait_disconnected (target->service, ++target->n_dropped));
}

static void
fill_event (GByteArray *burst, guint n)
{
  const IpcFrame event = { .kind = IPC_FRAME_EVENT, .type_length = 1, .length = 1 };
  guint8 frame[IPC_FRAME_HEADER_SIZE + 1];

  ipc_frame_encode (&event, frame);
  frame[IPC_FRAME_HEADER_SIZE] = 'e';
  while (n-- > 0)
    g_byte_array_append (burst, frame, sizeof frame);
}

/* What comes after the end of the conversation is not looked at. */
static void
test_after_our_end (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_client (target->path);
  g_autoptr (GByteArray) burst = g_byte_array_new ();
  guint n_messages = target->service->n_messages;

  fill_event (burst, 1);
  burst->data[4] = 77;
  g_byte_array_remove_range (burst, IPC_FRAME_HEADER_SIZE, 1);
  fill_event (burst, 100);
  raw_send (raw, burst->data, burst->len);
  raw_send_request (raw, 1, "echo", "too late");
  raw_expect_drop (raw, "invalid-data");
  target_expect_drop (target, IPC_ERROR_INVALID_DATA, "unknown frame kind 77");
  g_assert_cmpuint (target->service->n_messages, ==, n_messages + 1);
}

static guint
count_open_fds_after_sending (Raw *raw, guint n)
{
  char control[CMSG_SPACE (sizeof (int) * 16)] = { 0 };
  const IpcFrame request = { .kind = IPC_FRAME_REQUEST, .serial = 1, .type_length = 4, .length = 4 };
  guint8 bytes[IPC_FRAME_HEADER_SIZE + 4];
  struct iovec iov = { bytes, sizeof bytes };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
                            .msg_controllen = CMSG_SPACE (sizeof (int) * n) };
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);

  ipc_frame_encode (&request, bytes);
  memcpy (bytes + IPC_FRAME_HEADER_SIZE, "echo", 4);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof (int) * n);
  for (guint i = 0; i < n; i++)
    memcpy (CMSG_DATA (header) + i * sizeof (int), &raw->fd, sizeof (int));
  g_assert_cmpint (sendmsg (raw->fd, &message, MSG_NOSIGNAL), ==, sizeof bytes);
  ipc_test_settle ();
  return ipc_test_count_fds ();
}

/* Nobody agreed on descriptors: none gets in, however many are sent, even the socket itself. */
static void
test_descriptors (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for (guint n = 1; n <= 16; n += 15)
    {
      g_autoptr (Raw) raw = raw_connect_client (target->path);
      guint n_fds = ipc_test_count_fds ();

      g_assert_cmpuint (count_open_fds_after_sending (raw, n), <=, n_fds);
      client_check (target->bystander);
      g_clear_pointer (&raw, raw_free);
      service_wait_disconnected (target->service, ++target->n_dropped);
    }
}

static const struct
{
  const char *path;
  IpcTestFunc func;
} tests[] = {
  { "preambles", test_preambles },
  { "frames", test_frames },
  { "contents", test_contents },
  { "streams", test_streams },
  { "other-protocols", test_other_protocols },
  { "versions", test_versions },
  { "too-large", test_too_large },
  { "announced-and-not-sent", test_announced_and_not_sent },
  { "announced-and-begun", test_announced_and_begun },
  { "hello-of-70000", test_hello_of_70000 },
  { "small-limit", test_small_limit },
  { "end-after-every-byte", test_end_after_every_byte },
  { "byte-by-byte", test_byte_by_byte },
  { "garbage", test_garbage },
  { "flood-of-pings", test_flood_of_pings },
  { "after-our-end", test_after_our_end },
  { "descriptors", test_descriptors },
};

int
main (int argc, char **argv)
{
  int status;

  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/socket/bad-frames/", tests[i].path, NULL);

      ipc_test_add (path, tests[i].func);
    }
  status = ipc_test_run ();
  vectors_free ();
  return status;
}
