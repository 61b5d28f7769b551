/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Peers that break the rules, in both roles: each is told why, dropped, and nobody else notices. The rules one by one
 * are in the vectors; what takes more than bytes to say is here.
 */
#include <errno.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "socket-test.h"

#define MIB (1024u * 1024u)
#define MAX_LENGTH (16u * MIB)
#define FRAMES_HEADROOM 8u

/* ── Vectors ── */

static JsonParser *vectors; /* (owned) */

static JsonArray *
load_vectors (void)
{
  g_autofree char *path = g_build_filename (g_getenv ("IPC_VECTORS_DIR"), "vectors.json", NULL);
  g_autoptr (GError) error = NULL;

  if (vectors == NULL)
    {
      vectors = json_parser_new ();
      json_parser_load_from_file (vectors, path, &error);
      g_assert_no_error (error);
    }
  return json_object_get_array_member (json_node_get_object (json_parser_get_root (vectors)), "vectors");
}

static const char *
get_string (JsonObject *object, const char *member)
{
  return json_object_get_string_member_with_default (object, member, "");
}

static const char *
get_expected (JsonObject *vector, const char *member)
{
  return get_string (json_object_get_object_member (vector, "expect"), member);
}

static void
append_hex (GByteArray *bytes, const char *hex)
{
  for (; *hex != '\0'; hex += 2)
    {
      guint8 byte = (guint8) (g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));

      g_byte_array_append (bytes, &byte, 1);
    }
}

static GByteArray *
get_bytes (JsonObject *vector)
{
  GByteArray *bytes = g_byte_array_new ();
  JsonArray *parts = json_object_has_member (vector, "parts") ? json_object_get_array_member (vector, "parts") : NULL;

  if (parts == NULL)
    append_hex (bytes, get_string (vector, "hex"));
  for (guint i = 0; parts != NULL && i < json_array_get_length (parts); i++)
    {
      JsonObject *part = json_array_get_object_element (parts, i);

      for (gint64 n = json_object_get_int_member (part, "repeat"); n > 0; n--)
        append_hex (bytes, get_string (part, "hex"));
    }
  return bytes;
}

static IpcError
code_of (const char *nick)
{
  if (strcmp (nick, "too-large") == 0)
    return IPC_ERROR_TOO_LARGE;
  if (strcmp (nick, "version") == 0)
    return IPC_ERROR_VERSION;
  g_assert_cmpstr (nick, ==, "invalid-data");
  return IPC_ERROR_INVALID_DATA;
}

/* Those that a peer with our default limits has to answer with ACTION. */
static gboolean
is_about (JsonObject *vector, const char *layer, const char *direction, const char *action)
{
  return strcmp (get_string (vector, "layer"), layer) == 0 &&
         (strcmp (get_string (vector, "direction"), direction) == 0 || strcmp (get_string (vector, "direction"), "either") == 0) &&
         strcmp (get_expected (vector, "outcome"), "error") == 0 && strcmp (get_expected (vector, "action"), action) == 0 &&
         !json_object_has_member (vector, "limits");
}

typedef void (*VectorFunc) (gpointer data, JsonObject *vector, GByteArray *bytes);

static void
for_each_vector (const char *layer, const char *direction, const char *action, VectorFunc func, gpointer data)
{
  JsonArray *all = load_vectors ();
  guint n = 0;

  for (guint i = 0; i < json_array_get_length (all); i++)
    {
      JsonObject *vector = json_array_get_object_element (all, i);
      g_autoptr (GByteArray) bytes = NULL;

      if (!is_about (vector, layer, direction, action))
        continue;
      g_test_message ("%s: %s", get_string (vector, "name"), get_string (vector, "description"));
      bytes = get_bytes (vector);
      func (data, vector, bytes);
      n++;
    }
  g_assert_cmpuint (n, >, 0);
}

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
  raw_expect_drop (raw, get_expected (vector, "nick"));
  target_expect_drop (self, code_of (get_expected (vector, "nick")), NULL);
}

static void
test_preambles (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for_each_vector ("preamble", "client-to-server", "drop", check_preamble, target);
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

  raw_expect_drop (raw, get_expected (vector, "nick"));
  target_expect_drop (self, code_of (get_expected (vector, "nick")), NULL);
}

static void
test_frames (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for_each_vector ("frame", "client-to-server", "drop", check_frame, target);
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
  raw_expect_frame (raw, IPC_FRAME_ERROR, header.serial, get_expected (vector, "nick"));
  raw_send_request (raw, header.serial + 1, "echo", "on");
  raw_expect_frame (raw, IPC_FRAME_REPLY, header.serial + 1, "echo_response");
  g_clear_pointer (&raw, raw_free);
  g_assert_no_error (service_wait_disconnected (self->service, ++self->n_dropped));
}

static void
test_contents (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for_each_vector ("frame", "client-to-server", "reply", check_content, target);
}

/* The handshake, if there is one, and then the rest, so that the rules for the first frames are kept. */
static void
check_stream (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  static const guint8 hello_header[] = { 0, 0, 0, 0, IPC_FRAME_HELLO };
  Target *self = data;
  const gsize handshake = IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE;
  gboolean greets = bytes->len > handshake && memcmp (bytes->data + IPC_PREAMBLE_SIZE, hello_header, sizeof hello_header) == 0;
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
    raw_expect_drop (raw, get_expected (vector, "nick"));
  else
    raw_expect_end (raw);
  target_expect_drop (self, code_of (get_expected (vector, "nick")), is_known ? NULL : "bad magic");
}

static void
test_streams (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for_each_vector ("stream", "client-to-server", "drop", check_stream, target);
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

/* Pages of the process: all that is mapped, and what of it is in memory. */
static void
get_memory (gsize *mapped, gsize *resident)
{
  g_autofree char *text = NULL;
  char *end;
  gsize page = (gsize) sysconf (_SC_PAGESIZE);

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  *mapped = g_ascii_strtoull (text, &end, 10) * page;
  *resident = g_ascii_strtoull (end, NULL, 10) * page;
}

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

/* What is announced costs nothing; only what is sent does. */
static void
test_announced_and_not_sent (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func ((GDestroyNotify) raw_free);
  gsize mapped, resident, mapped_now, resident_now;

  for (guint i = 0; i < 100; i++)
    g_ptr_array_add (peers, raw_connect_client (target->path));
  get_memory (&mapped, &resident);
  for (guint i = 0; i < 100; i++)
    announce (peers->pdata[i], MAX_LENGTH, i % 2 == 0 ? 1 : 20000);
  client_check (target->bystander);
  ipc_test_settle ();
  get_memory (&mapped_now, &resident_now);
  g_test_message ("100 times 16 MiB: %" G_GSIZE_FORMAT " KiB mapped, %" G_GSIZE_FORMAT " KiB resident",
                  (mapped_now - mapped) / 1024, (resident_now - resident) / 1024);
  g_assert_cmpuint (ipc_server_get_n_clients (target->service->server), ==, 101);
  /* 50 times 20,000 bytes have really come, and each may have twice that; the rest is for the allocator */
  g_assert_cmpint ((gssize) (resident_now - resident), <, (gssize) (8 * MIB));
  g_assert_cmpint ((gssize) (mapped_now - mapped), <, (gssize) (64 * MIB));
  g_ptr_array_set_size (peers, 0);
  ipc_test_wait_for (target->service->reasons->len == 100);
  for (guint i = 0; i < 100; i++)
    assert_ipc_error (target->service->reasons->pdata[i], IPC_ERROR_CLOSED, "of 16777248 bytes");
  target->n_dropped = 100;
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
  assert_ipc_error (service_wait_disconnected (service, 1), IPC_ERROR_TOO_LARGE, "frame of 1025 bytes exceeds the limit of 1024");
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
  const IpcFrame request = { .kind = IPC_FRAME_REQUEST, .serial = 1, .flags = IPC_PAYLOAD_FORMAT_TEXT, .type_length = 4, .length = 4 };
  guint8 bytes[IPC_FRAME_HEADER_SIZE + 4];
  struct iovec iov = { bytes, sizeof bytes };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE (sizeof (int) * n) };
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
  victim_expect_drop (victim, code_of (get_expected (vector, "nick")), get_expected (vector, "nick"), NULL);
  for (guint i = 0; i < 2; i++)
    assert_ipc_error (victim->burst->errors[i], IPC_ERROR_UNCERTAIN, NULL);
  client_check (lure->bystander);
}

static void
test_frames_to_client (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);

  for_each_vector ("frame", "server-to-client", "drop", check_frame_to_client, lure);
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
  raw_expect_frame (victim->server, IPC_FRAME_ERROR, header.serial, get_expected (vector, "nick"));
  g_assert_cmpuint (victim->n_closed, ==, 0);
  victim_send_reply (victim, IPC_FRAME_REPLY, 1, "answer", "still here");
  ipc_test_wait_for (victim->burst->n_replies == 1);
}

static void
test_contents_to_client (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);

  for_each_vector ("frame", "server-to-client", "reply", check_content_to_client, lure);
}

static void
check_preamble_to_client (gpointer data, JsonObject *vector, GByteArray *bytes)
{
  Raw *server;
  g_autoptr (GError) error = open_with (data, bytes->data, bytes->len, FALSE, &server);

  assert_ipc_error (error, code_of (get_expected (vector, "nick")), NULL);
  raw_expect_drop (server, get_expected (vector, "nick"));
  raw_free (server);
}

static void
test_preambles_to_client (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);

  for_each_vector ("preamble", "server-to-client", "drop", check_preamble_to_client, lure);
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
  victim_expect_drop (victim, IPC_ERROR_TOO_LARGE, "too-large", "frame of 16777217 bytes exceeds the limit of 16777216");
}

static void
test_huge_frame_not_sent (IpcTest *test)
{
  g_autoptr (Lure) lure = lure_new (test);
  g_autoptr (Victim) victim = victim_new (lure);
  const IpcFrame huge = { .kind = IPC_FRAME_REPLY, .reply_serial = 1, .type_length = 1, .length = MAX_LENGTH };
  guint8 header[IPC_FRAME_HEADER_SIZE];
  gsize mapped, resident, mapped_now, resident_now;

  get_memory (&mapped, &resident);
  ipc_frame_encode (&huge, header);
  raw_send (victim->server, header, sizeof header);
  raw_send (victim->server, "x", 1);
  ipc_test_settle ();
  get_memory (&mapped_now, &resident_now);
  g_assert_cmpint ((gssize) (mapped_now - mapped), <, (gssize) (FRAMES_HEADROOM * MIB));
  g_assert_cmpint ((gssize) (resident_now - resident), <, (gssize) (FRAMES_HEADROOM * MIB));
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
  { "server/preambles", test_preambles },
  { "server/frames", test_frames },
  { "server/contents", test_contents },
  { "server/streams", test_streams },
  { "server/other-protocols", test_other_protocols },
  { "server/versions", test_versions },
  { "server/too-large", test_too_large },
  { "server/announced-and-not-sent", test_announced_and_not_sent },
  { "server/hello-of-70000", test_hello_of_70000 },
  { "server/small-limit", test_small_limit },
  { "server/end-after-every-byte", test_end_after_every_byte },
  { "server/byte-by-byte", test_byte_by_byte },
  { "server/garbage", test_garbage },
  { "server/flood-of-pings", test_flood_of_pings },
  { "server/after-our-end", test_after_our_end },
  { "server/descriptors", test_descriptors },
  { "client/preambles", test_preambles_to_client },
  { "client/frames", test_frames_to_client },
  { "client/contents", test_contents_to_client },
  { "client/no-hello", test_no_hello },
  { "client/refused", test_refused },
  { "client/wrong-first-frame", test_wrong_first_frame },
  { "client/error-first", test_error_first },
  { "client/large-hello", test_large_hello },
  { "client/garbage", test_garbage_to_client },
  { "client/reply/unknown", test_reply_unknown },
  { "client/reply/twice", test_reply_twice },
  { "client/reply/errors", test_reply_errors },
  { "client/reply/bad-content", test_reply_bad_content },
  { "client/error-closes", test_error_closes },
  { "client/huge-frame", test_huge_frame },
  { "client/huge-frame-not-sent", test_huge_frame_not_sent },
  { "client/end-in-reply", test_end_in_reply },
  { "client/goodbye", test_goodbye },
  { "client/goodbye-to-everything", test_goodbye_to_everything },
  { "client/goodbye-then-answer", test_goodbye_then_answer },
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
  g_clear_object (&vectors);
  return status;
}
