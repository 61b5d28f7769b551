/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Peers that send descriptors, as they should and as they should not: too many, too few, too late, on the wrong
 * frame, the connection itself. Whatever they send is closed, somebody else is served, and nothing is left open.
 */
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "messaging/ipc-connection-private.h"
#include "socket-test.h"

#define MAX_FDS 4

/* ── A server that takes descriptors ── */

typedef struct
{
  Service *service;
  char *path;
  IpcClient *bystander;
  GString *seen;     /* for each message: its type and how many descriptors it has */
  guint n_dropped;
  guint n_fds;       /* that are open */
} Target;

static IpcMessage *
handle_any (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  Target *self = data;
  GUnixFDList *list = ipc_message_get_fd_list (message);

  g_string_append_printf (self->seen, "%s%d ", ipc_message_get_message_type (message), list ? g_unix_fd_list_get_length (list) : 0);
  return ipc_message_get_is_request (message) ? ipc_message_new_text ("ok", "") : NULL;
}

static Target *
target_new (IpcTest *test)
{
  Target *self = g_new0 (Target, 1);

  self->path = socket_path (test);
  self->service = service_new (self->path);
  self->seen = g_string_new (NULL);
  ipc_server_set_max_fds (self->service->server, MAX_FDS);
  ipc_server_add_handler (self->service->server, NULL, handle_any, self, NULL);
  g_assert_true (ipc_server_start (self->service->server, NULL));
  self->bystander = client_open (self->path);
  self->n_fds = ipc_test_count_fds ();
  return self;
}

static void
target_free (Target *self)
{
  client_check (self->bystander);
  g_assert_cmpuint (ipc_test_count_fds (), ==, self->n_fds);
  g_assert_cmpuint (self->service->reasons->len, ==, self->n_dropped);
  g_clear_object (&self->bystander);
  service_free (self->service);
  g_string_free (self->seen, TRUE);
  g_free (self->path);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Target, target_free)

/* RAW is told why, and goes; the bystander stays. */
static void
expect_drop (Target *self, Raw **raw, IpcError code, const char *text)
{
  raw_expect_drop (*raw, code == IPC_ERROR_INVALID_DATA ? "invalid-data" : "remote");
  g_clear_pointer (raw, raw_free);
  assert_ipc_error (service_wait_disconnected (self->service, ++self->n_dropped), code, text);
  g_ptr_array_set_size (self->service->connections, 0);
  client_check (self->bystander);
  g_assert_cmpuint (ipc_test_count_fds (), ==, self->n_fds);
}

/* RAW leaves in peace. */
static void
leave (Target *self, Raw **raw)
{
  g_clear_pointer (raw, raw_free);
  g_assert_no_error (service_wait_disconnected (self->service, ++self->n_dropped));
  g_ptr_array_set_size (self->service->connections, 0);
}

/* ── Frames ── */

/* An event whose type is one letter, with a payload of SIZE bytes. */
static void
add_event (GByteArray *bytes, char type, guint n_fds, gsize size)
{
  const IpcFrame event = { .kind = IPC_FRAME_EVENT, .type_length = 1, .n_fds = (guint8) n_fds, .length = (guint32) (1 + size) };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  ipc_frame_encode (&event, header);
  g_byte_array_append (bytes, header, sizeof header);
  g_byte_array_append (bytes, (guint8 *) &type, 1);
  g_byte_array_set_size (bytes, bytes->len + (guint) size);
  memset (bytes->data + bytes->len - size, 'p', size);
}

/* An event that announces ANNOUNCED and carries N_FDS, all of them the socket itself. */
static void
send_event (Raw *raw, char type, guint announced, guint n_fds)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  int fds[253];

  add_event (bytes, type, announced, 3);
  for (guint i = 0; i < n_fds; i++)
    fds[i] = raw->fd;
  if (n_fds > 0)
    raw_send_with_fds (raw, bytes->data, bytes->len, fds, n_fds);
  else
    raw_send (raw, bytes->data, bytes->len);
}

static void
expect_seen (Target *self, const char *seen)
{
  ipc_test_wait_for (strlen (self->seen->str) >= strlen (seen));
  g_assert_cmpstr (self->seen->str, ==, seen);
  g_string_truncate (self->seen, 0);
}

/* ── As it should be ── */

static void
test_taken (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 99, FALSE);

  send_event (raw, 'a', 1, 1);
  send_event (raw, 'b', 0, 0);
  send_event (raw, 'c', MAX_FDS, MAX_FDS);
  send_event (raw, 'd', 2, 2);
  expect_seen (target, "a1 b0 c4 d2 ");
  leave (target, &raw);
}

/* Frames without descriptors, which the kernel joins to the one behind them, and that one, cut in two at every byte. */
static void
test_split_everywhere (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (GByteArray) plain = g_byte_array_new ();
  g_autoptr (GByteArray) carrying = g_byte_array_new ();
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
  int fds[] = { raw->fd, raw->fd };

  add_event (plain, 'a', 0, 3);
  add_event (plain, 'b', 0, 0);
  add_event (carrying, 'c', 2, 5);
  add_event (carrying, 'd', 0, 1);
  for (gsize cut = 1; cut < carrying->len; cut++)
    {
      gboolean settle = cut % 2 == 0;

      raw_send (raw, plain->data, plain->len);
      raw_send_with_fds (raw, carrying->data, cut, fds, 2);
      if (settle)
        ipc_test_settle ();
      raw_send (raw, carrying->data + cut, carrying->len - cut);
      raw_send (raw, plain->data, cut % plain->len);
      ipc_test_iterate (2);
      raw_send (raw, plain->data + cut % plain->len, plain->len - cut % plain->len);
      send_event (raw, 'e', 1, 1);
      expect_seen (target, "a0 b0 c2 d0 a0 b0 e1 ");
    }
  leave (target, &raw);
}

/* Descriptors of a frame that is larger than one read. */
static void
test_large_frames (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
  g_autoptr (GByteArray) large = g_byte_array_new ();
  int fds[] = { raw->fd, raw->fd, raw->fd };

  add_event (large, 'a', 3, 1500000);
  for (guint i = 0; i < 3; i++)
    {
      raw_send_with_fds (raw, large->data, 5, fds, 3);
      raw_send (raw, large->data + 5, large->len - 5);
      send_event (raw, 'b', 2, 2);
      expect_seen (target, "a3 b2 ");
    }
  leave (target, &raw);
}

/* ── As it should not be ── */

static void
test_more_than_announced (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for (guint announced = 0; announced < MAX_FDS; announced++)
    {
      g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
      g_autofree char *text = g_strdup_printf ("%u descriptors came that no frame announces", MAX_FDS - announced);

      send_event (raw, 'a', announced, MAX_FDS);
      expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, text);
    }
  g_assert_cmpstr (target->seen->str, ==, "");
}

static void
test_fewer_than_announced (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);

  for (guint n = 0; n < MAX_FDS; n++)
    {
      g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
      g_autofree char *text = g_strdup_printf ("a frame announces %u descriptors, and %u came", MAX_FDS, n);

      send_event (raw, 'a', MAX_FDS, n);
      expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, text);
    }
  g_assert_cmpstr (target->seen->str, ==, "");
}

/* They come with the frame after the one that announces them. */
static void
test_too_late (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);

  send_event (raw, 'a', 1, 0);
  ipc_test_settle ();
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "announces 1 descriptors, and 0 came");
}

static void
test_above_the_limit (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  const guint counts[] = { MAX_FDS + 1, 17, 253 };

  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    {
      g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 253, FALSE);

      /* what the kernel is given room for is what counts, before a byte is looked at */
      send_event (raw, 'a', counts[i], counts[i]);
      expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "more than 4 descriptors came with one frame, the limit");
    }
}

static void
test_announced_above_the_limit (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 2, FALSE);

  send_event (raw, 'a', 3, 1);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "EVENT frame carries 3 descriptors, limit 2");
}

/* With each byte of a header that never ends. */
static void
test_dribbled (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
  int fds[] = { raw->fd, raw->fd, raw->fd };

  raw_send_with_fds (raw, "\1", 1, fds, 3);
  ipc_test_settle ();
  g_assert_cmpuint (ipc_test_count_fds (), <=, target->n_fds + 2 + 3);
  raw_send_with_fds (raw, "\0", 1, fds, 3);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "2 descriptors came that no frame announces");
}

static void
test_on_a_ping (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  const IpcFrame ping = { .kind = IPC_FRAME_PING, .serial = 5 };
  guint8 header[IPC_FRAME_HEADER_SIZE];
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);

  ipc_frame_encode (&ping, header);
  raw_send_with_fds (raw, header, sizeof header, &raw->fd, 1);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "1 descriptors came that no frame announces");
}

/* A frame that is malformed, or that nobody wants, closes its own as well. */
static void
test_malformed (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  IpcFrame frame = { .kind = IPC_FRAME_REQUEST, .serial = 1, .flags = IPC_PAYLOAD_FORMAT_TEXT, .n_fds = 1, .type_length = 1, .length = 2 };
  guint8 bytes[IPC_FRAME_HEADER_SIZE + 2];
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);

  ipc_frame_encode (&frame, bytes);
  memcpy (bytes + IPC_FRAME_HEADER_SIZE, "a\xff", 2);
  raw_send_with_fds (raw, bytes, sizeof bytes, &raw->fd, 1);
  raw_expect_frame (raw, IPC_FRAME_ERROR, 1, "invalid-data");
  g_assert_cmpuint (ipc_test_count_fds (), ==, target->n_fds + 2);
  frame.kind = IPC_FRAME_REPLY;
  frame.serial = 0;
  frame.reply_serial = 1;
  ipc_frame_encode (&frame, bytes);
  bytes[IPC_FRAME_HEADER_SIZE + 1] = 'x';
  raw_send_with_fds (raw, bytes, sizeof bytes, &raw->fd, 1);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "which is not outstanding");
}

static void
test_bad_type (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);

  send_event (raw, '\1', 2, 2);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "control character");
}

/* ── Before, and without, an agreement ── */

static void
test_before_hello (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect (target->path);

  raw_send_with_fds (raw, ipc_preamble, IPC_PREAMBLE_SIZE, &raw->fd, 1);
  raw_send (raw, (const guint8[IPC_FRAME_HEADER_SIZE]) { [4] = IPC_FRAME_HELLO }, IPC_FRAME_HEADER_SIZE);
  raw_expect_hello (raw);
  g_assert_cmpuint (ipc_test_count_fds (), ==, target->n_fds + 2);
  send_event (raw, 'a', 0, 3);
  expect_seen (target, "a0 ");
  g_assert_cmpuint (ipc_test_count_fds (), ==, target->n_fds + 2);
  send_event (raw, 'a', 1, 1);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "EVENT frame carries 1 descriptors, limit 0");
}

static void
test_json_peer (IpcTest *test)
{
  static const char text[] = "{\"id\":\"1\",\"message_type\":\"any\"}";
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect (target->path);
  int fds[] = { raw->fd, raw->fd, raw->fd };

  for (guint i = 0; i < 3; i++)
    {
      raw_send_with_fds (raw, text, sizeof text - 1, fds, 3);
      g_assert_true (raw_wait (raw, 1));
      g_byte_array_set_size (raw->in, 0);
      expect_seen (target, "any0 ");
      g_assert_cmpuint (ipc_test_count_fds (), ==, target->n_fds + 2);
    }
  leave (target, &raw);
}

/* ── Limits of the process ── */

/* There is room for fewer than were sent: the kernel hands out some of them, and says so. */
static void
test_fd_limit (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  struct rlimit old, low;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &old));
  for (guint room = 0; room < MAX_FDS; room++)
    {
      g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
      g_autofree char *text = g_strdup_printf ("fd limit reached: only %u of the descriptors that came could be taken", room);
      int dups[MAX_FDS];

      /* the numbers that are free need not follow one another */
      for (guint i = 0; i <= room; i++)
        dups[i] = dup (raw->fd);
      low = old;
      low.rlim_cur = (rlim_t) dups[room];
      for (guint i = 0; i <= room; i++)
        close (dups[i]);
      send_event (raw, 'a', MAX_FDS, MAX_FDS);
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
      ipc_test_wait_for (target->service->reasons->len > target->n_dropped);
      g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &old));
      expect_drop (target, &raw, IPC_ERROR_LIMIT_EXCEEDED, text);
    }
}

/* A peer's own end of the connection, in a frame that never ends: nobody would ever see it close. */
static void
test_own_end_held (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (IpcConnection) connection = g_list_model_get_item (ipc_server_get_connections (target->service->server), 1);

  add_event (bytes, 'a', 1, 100);
  for (guint round = 0; round < 3; round++)
    {
      /* those of a frame that is finished do not count against the next one */
      raw_send_with_fds (raw, bytes->data, 10, &raw->fd, 1);
      ipc_test_wait_for (connection->fds_due != 0);
      g_mutex_lock (&connection->lock);
      connection->fds_due = g_get_monotonic_time () + G_USEC_PER_SEC;
      g_mutex_unlock (&connection->lock);
      raw_send (raw, bytes->data + 10, bytes->len - 10);
      expect_seen (target, "a1 ");
      ipc_test_wait_for (connection->fds_due == 0);
    }
  raw_send_with_fds (raw, bytes->data, bytes->len - 1, &raw->fd, 1);
  g_clear_pointer (&raw, raw_free);
  ipc_test_wait_for (connection->fds_due != 0);
  g_assert_cmpint (connection->fds_due, >, g_get_monotonic_time () + 20 * G_USEC_PER_SEC);
  g_assert_cmpuint (target->service->reasons->len, ==, 0);
  g_mutex_lock (&connection->lock);
  connection->fds_due = g_get_monotonic_time ();
  ipc_hub_attend (&connection->watch);
  g_mutex_unlock (&connection->lock);
  assert_ipc_error (service_wait_disconnected (target->service, ++target->n_dropped), IPC_ERROR_TIMED_OUT,
                    "a frame with descriptors was not finished within 30 s");
}

static void
test_ten_thousand (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, MAX_FDS, FALSE);
  guint n_fds = ipc_test_count_fds ();

  for (guint i = 0; i < 10000; i++)
    {
      send_event (raw, 'a', 1 + i % MAX_FDS, 1 + i % MAX_FDS);
      if (i % 20 == 19)
        ipc_test_settle ();
    }
  ipc_test_wait_for (target->seen->len == 30000);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  leave (target, &raw);
}

/* ── Processes that die ── */

/* PATH: sends halves of frames with its own end in them, and waits to be killed. */
static int
play_client (char **arguments)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autoptr (Raw) raw = raw_connect_for_fds (arguments[0], MAX_FDS, FALSE);
  g_autofree char *line = NULL;
  int pipes[2];

  g_assert_no_errno (pipe (pipes));
  add_event (bytes, 'a', 2, 2);
  raw_send_with_fds (raw, bytes->data, bytes->len, pipes, 2);
  add_event (bytes, 'b', 2, 2);
  raw_send_with_fds (raw, bytes->data + bytes->len / 2, bytes->len / 2 - 1, pipes, 2);
  ipc_test_tell ("sent");
  line = ipc_test_hear ();
  return 0;
}

static void
test_killed_sender (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  const char *arguments[] = { target->path, NULL };

  for (guint i = 0; i < 10; i++)
    {
      g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("client", arguments);

      ipc_test_peer_expect (peer, "sent");
      ipc_test_peer_kill (peer);
      assert_ipc_error (service_wait_disconnected (target->service, ++target->n_dropped), IPC_ERROR_CLOSED, "inside a frame");
      g_ptr_array_set_size (target->service->connections, 0);
      expect_seen (target, "a2 ");
      client_check (target->bystander);
    }
}

static const struct
{
  const char *path;
  IpcTestFunc func;
} tests[] = {
  { "taken", test_taken },
  { "split-everywhere", test_split_everywhere },
  { "large-frames", test_large_frames },
  { "more-than-announced", test_more_than_announced },
  { "fewer-than-announced", test_fewer_than_announced },
  { "too-late", test_too_late },
  { "above-the-limit", test_above_the_limit },
  { "announced-above-the-limit", test_announced_above_the_limit },
  { "dribbled", test_dribbled },
  { "on-a-ping", test_on_a_ping },
  { "malformed", test_malformed },
  { "bad-type", test_bad_type },
  { "before-hello", test_before_hello },
  { "json-peer", test_json_peer },
  { "fd-limit", test_fd_limit },
  { "own-end-held", test_own_end_held },
  { "ten-thousand", test_ten_thousand },
  { "killed-sender", test_killed_sender },
};

int
main (int argc, char **argv)
{
  const IpcTestRole roles[] = { { "client", play_client }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/socket/descriptors/", tests[i].path, NULL);

      ipc_test_add (path, tests[i].func);
    }
  return ipc_test_run ();
}
