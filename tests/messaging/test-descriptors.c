/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors in messages between two ends of the library: each comes with its own message, in order, is closed by
 * whoever drops it, and none is left.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pair.h"

#define NAME "ipc-test number"
#define OTHER_UID 4711 /* anybody who is not root */

/* ── Descriptors that can be told apart ── */

static int
number_fd (guint number)
{
  int fd = memfd_create (NAME, MFD_CLOEXEC);

  g_assert_no_errno (fd);
  g_assert_cmpint (write (fd, &number, sizeof number), ==, sizeof number);
  return fd;
}

static guint
fd_number (int fd)
{
  guint number;

  g_assert_cmpint (pread (fd, &number, sizeof number, 0), ==, sizeof number);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, !=, 0);
  return number;
}

/* N of them, numbered from FIRST. */
static GUnixFDList *
new_list (guint first, guint n)
{
  GUnixFDList *list = g_unix_fd_list_new ();

  for (guint i = 0; i < n; i++)
    {
      int fd = number_fd (first + i);

      g_assert_cmpint (g_unix_fd_list_append (list, fd, NULL), ==, i);
      close (fd);
    }
  return list;
}

static IpcMessage *
new_message (const char *type, guint first, guint n)
{
  g_autoptr(GUnixFDList) list = new_list (first, n);

  return ipc_message_new_full (type, IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, list);
}

static guint
count (IpcMessage *message)
{
  GUnixFDList *list = ipc_message_get_fd_list (message);

  return list ? (guint) g_unix_fd_list_get_length (list) : 0;
}

static void
assert_numbers (IpcMessage *message, guint first, guint n)
{
  GUnixFDList *list = ipc_message_get_fd_list (message);

  g_assert_cmpuint (count (message), ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (fd_number (g_unix_fd_list_peek_fds (list, NULL)[i]), ==, first + i);
}

/* ── The two ends ── */

/* For each message that came: how many it has, and which is the first. */
typedef struct
{
  guint n_messages;
  guint n_fds;
} Log;

/* Each has to continue the numbers of the one before. */
static void
check_next (gpointer instance, IpcMessage *message, gpointer data)
{
  Log *log = data;

  assert_numbers (message, log->n_fds, count (message));
  log->n_messages++;
  log->n_fds += count (message);
}

/* Answers with the descriptors that it got, in the opposite order. */
static IpcMessage *
turn_round (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  GUnixFDList *list = ipc_message_get_fd_list (request);
  g_autoptr(GUnixFDList) turned = g_unix_fd_list_new ();

  for (guint i = count (request); i > 0; i--)
    g_unix_fd_list_append (turned, g_unix_fd_list_peek_fds (list, NULL)[i - 1], NULL);
  return ipc_message_new_full ("turned", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, turned);
}

static void
open_with (Pair *pair, IpcTest *test, guint server_fds, gint client_fds)
{
  pair_init (pair, test);
  ipc_server_set_max_fds (pair->server, server_fds);
  if (client_fds >= 0)
    ipc_client_set_max_fds (pair->client, (guint) client_fds);
  ipc_server_add_handler (pair->server, "turn", turn_round, NULL, NULL);
  pair_open (pair);
}

static void
send_ok (IpcConnection *connection, IpcMessage *message)
{
  g_autoptr(GError) error = NULL;

  ipc_connection_send (connection, message, &error);
  g_assert_no_error (error);
}

static void
send_in_vain (IpcConnection *connection, guint n, GQuark domain, int code, const char *text)
{
  g_autoptr(IpcMessage) message = new_message ("event", 0, n);
  g_autoptr(GError) error = NULL;
  guint64 sent = ipc_connection_get_messages_sent (connection);

  g_assert_false (ipc_connection_send (connection, message, &error));
  g_assert_error (error, domain, code);
  if (!strstr (error->message, text))
    g_error ("\"%s\" is not in \"%s\"", text, error->message);
  g_assert_cmpuint (ipc_connection_get_messages_sent (connection), ==, sent);
}

/* ── What arrives ── */

static void
send_numbers (IpcConnection *connection, Log *log, guint n_messages, GRand *rand)
{
  g_autofree char *padding = g_strnfill (3000, 'x');
  guint next = 0;

  for (guint i = 0; i < n_messages; i++)
    {
      gint drawn = g_rand_int_range (rand, -6, 5);
      guint n = (guint) MAX (drawn, 0);
      g_autoptr(GUnixFDList) list = new_list (next, n);
      g_autoptr(GBytes) payload = g_bytes_new (padding, (gsize) g_rand_int_range (rand, 0, 3000));
      g_autoptr(IpcMessage) message = ipc_message_new_full ("event", IPC_PAYLOAD_FORMAT_BYTES, payload, NULL, list);

      next += n;
      send_ok (connection, message);
      if (g_rand_int_range (rand, 0, 8) == 0)
        ipc_test_iterate (2);
    }
  ipc_test_wait_for (log->n_messages == n_messages);
  g_assert_cmpuint (log->n_fds, ==, next);
}

static void
test_both_ways (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  Log far = { 0 }, near = { 0 };

  open_with (&pair, test, 16, -1);
  g_signal_connect (pair.far, "message-received", G_CALLBACK (check_next), &far);
  g_signal_connect (pair.near, "message-received", G_CALLBACK (check_next), &near);
  send_numbers (pair.near, &far, 1000, rand);
  send_numbers (pair.far, &near, 1000, rand);
}

static void
test_requests (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };

  open_with (&pair, test, 3, -1);
  for (guint n = 0; n <= 3; n++)
    {
      g_auto(Answer) answer = { 0 };
      g_autoptr(IpcMessage) message = new_message ("turn", 10, n);

      ipc_connection_request_with_callback (pair.near, message, -1, NULL, answer_cb, &answer);
      ipc_test_wait_for (answer.n_callbacks == 1);
      g_assert_no_error (answer.error);
      g_assert_cmpuint (count (answer.reply), ==, n);
      for (guint i = 0; i < n; i++)
        g_assert_cmpuint (fd_number (g_unix_fd_list_peek_fds (ipc_message_get_fd_list (answer.reply), NULL)[i]), ==, 10 + n - 1 - i);
    }
}

/* What is queued has descriptors of its own, whatever becomes of the list. */
static void
test_list_changed_after_sending (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(GUnixFDList) list = new_list (0, 2);
  g_autoptr(IpcMessage) message = ipc_message_new_full ("event", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, list);
  Log log = { 0 };
  gint n;
  int *stolen;

  open_with (&pair, test, 2, -1);
  g_signal_connect (pair.far, "message-received", G_CALLBACK (check_next), &log);
  send_ok (pair.near, message);
  stolen = g_unix_fd_list_steal_fds (list, &n);
  for (gint i = 0; i < n; i++)
    close (stolen[i]);
  g_free (stolen);
  /* other files get these numbers, and are not sent */
  for (guint i = 0; i < 2; i++)
    {
      int fd = number_fd (99);

      g_unix_fd_list_append (list, fd, NULL);
      close (fd);
    }
  ipc_test_wait_for (log.n_messages == 1);
  g_assert_cmpuint (log.n_fds, ==, 2);
}

static void
keep_message (gpointer instance, IpcMessage *message, gpointer kept)
{
  *(IpcMessage **) kept = ipc_message_ref (message);
}

/* They are the message's, and outlive the connection with it. */
static void
test_kept (IpcTest *test)
{
  g_autoptr(IpcMessage) kept = NULL;
  guint n_fds = ipc_test_count_fds ();

  {
    g_auto(Pair) pair = { 0 };
    g_autoptr(IpcMessage) message = new_message ("event", 7, 3);

    open_with (&pair, test, 3, -1);
    g_signal_connect (pair.far, "message-received", G_CALLBACK (keep_message), &kept);
    send_ok (pair.near, message);
    ipc_test_wait_for (kept != NULL);
  }
  assert_numbers (kept, 7, 3);
  g_assert_cmpuint (ipc_test_count_fds (), >=, n_fds + 3);
}

static void
test_broadcast (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  IpcClient *others[5];
  g_autoptr(IpcMessage) message = new_message ("event", 0, 2);
  Log logs[5] = { { 0 } };
  guint n_dropped;

  open_with (&pair, test, 2, -1);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      others[i] = transport_client_new (pair.path);
      /* the last one takes none */
      if (i == 4)
        ipc_client_set_max_fds (others[i], 0);
      ipc_client_open_async (others[i], NULL, NULL, NULL);
      ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == i + 2 && ipc_client_get_state (others[i]) == IPC_CLIENT_STATE_OPEN);
      g_signal_connect (others[i], "message-received", G_CALLBACK (check_next), &logs[i]);
    }
  g_assert_cmpuint (ipc_server_broadcast (pair.server, message, &n_dropped), ==, 5);
  g_assert_cmpuint (n_dropped, ==, 1);
  for (guint i = 0; i < 4; i++)
    ipc_test_wait_for (logs[i].n_fds == 2);
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    {
      ipc_client_close (others[i]);
      pair_wait_finalized (others[i]);
    }
}

/* A message that is sent again and again goes in shared memory; who gets it sees no difference. */
static void
test_large_again_and_again (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autofree char *text = g_strnfill (300000, 'x');
  g_autoptr(GBytes) payload = g_bytes_new_static (text, 300000);
  g_autoptr(IpcMessage) kept = NULL;

  open_with (&pair, test, 4, 4);
  g_signal_connect (pair.far, "message-received", G_CALLBACK (keep_message), &kept);
  for (guint i = 0; i < 30; i++)
    {
      g_autoptr(GUnixFDList) list = new_list (i, i % 5);
      const char *headers[] = { "key", "value", NULL };
      static IpcMessage *message = NULL;

      if (i % 10 == 0)
        {
          g_clear_pointer (&message, ipc_message_unref);
          message = ipc_message_new_full ("event", IPC_PAYLOAD_FORMAT_TEXT, payload, headers, i >= 10 ? list : NULL);
        }
      send_ok (pair.near, message);
      ipc_test_wait_for (kept != NULL);
      g_assert_cmpstr (ipc_message_get_text (kept), ==, text);
      g_assert_cmpstr (ipc_message_get_header (kept, "key"), ==, "value");
      g_clear_pointer (&kept, ipc_message_unref);
      if (i == 29)
        g_clear_pointer (&message, ipc_message_unref);
    }
}

/* ── What is refused ── */

static void
test_limits (IpcTest *test)
{
  static const struct
  {
    guint server;
    gint client;
    guint agreed;
  } limits[] = { { 0, -1, 0 }, { 3, -1, 3 }, { 252, -1, 16 }, { 5, 2, 2 }, { 2, 5, 2 }, { 5, 0, 0 }, { 252, 252, 252 } };

  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      g_auto(Pair) pair = { 0 };
      g_autofree char *text = g_strdup_printf ("with %u descriptors exceeds the limit of %u", limits[i].agreed + 1, limits[i].agreed);
      g_autoptr(IpcMessage) most = new_message ("event", 0, limits[i].agreed);
      Log log = { 0 };

      open_with (&pair, test, limits[i].server, limits[i].client);
      g_signal_connect (pair.far, "message-received", G_CALLBACK (check_next), &log);
      send_in_vain (pair.near, limits[i].agreed + 1, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, text);
      send_in_vain (pair.far, limits[i].agreed + 1, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, text);
      send_ok (pair.near, most);
      ipc_test_wait_for (log.n_messages == 1);
      g_assert_cmpuint (log.n_fds, ==, limits[i].agreed);
    }
}

static void
count_notify (GObject *object, GParamSpec *pspec, guint *n)
{
  (*n)++;
}

static void
test_properties (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  GObject *objects[2];
  guint n = 0, value;

  pair_init (&pair, test);
  objects[0] = G_OBJECT (pair.server);
  objects[1] = G_OBJECT (pair.client);
  for (guint i = 0; i < 2; i++)
    {
      n = 0;
      g_object_get (objects[i], "max-fds", &value, NULL);
      g_assert_cmpuint (value, ==, i == 0 ? 0 : 16);
      g_signal_connect (objects[i], "notify::max-fds", G_CALLBACK (count_notify), &n);
      g_object_set (objects[i], "max-fds", 7, NULL);
      g_object_set (objects[i], "max-fds", 7, NULL);
      g_object_get (objects[i], "max-fds", &value, NULL);
      g_assert_cmpuint (value, ==, 7);
      g_assert_cmpuint (n, ==, 1);
    }
  ipc_server_set_max_fds (pair.server, G_MAXUINT);
  ipc_client_set_max_fds (pair.client, G_MAXUINT);
  g_assert_cmpuint (ipc_server_get_max_fds (pair.server), ==, 252);
  g_assert_cmpuint (ipc_client_get_max_fds (pair.client), ==, 252);
}

static IpcMessage *
answer_with_fds (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autoptr(IpcMessage) reply = new_message ("answer", 0, 1);
  g_autoptr(GError) reason = NULL;

  g_assert_false (ipc_connection_reply (connection, request, reply, &reason));
  g_assert_error (reason, IPC_ERROR, IPC_ERROR_UNSUPPORTED);
  return ipc_message_new_text ("answer", "without");
}

/* Before a byte is written: what comes next is what the peer reads. */
static void
test_json_peer (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Raw) raw = { 0 };
  g_autoptr(JsonObject) object = NULL;
  g_autoptr(IpcConnection) connection = NULL;
  g_autoptr(IpcMessage) request = new_message ("question", 0, 1);
  g_auto(Answer) answer = { 0 };

  open_with (&pair, test, 16, -1);
  ipc_server_add_handler (pair.server, "ask", answer_with_fds, NULL, NULL);
  raw_connect (&raw, pair.path);
  raw_write_text (&raw, "\n");
  ipc_test_wait_for (ipc_server_get_n_clients (pair.server) == 2);
  connection = g_list_model_get_item (ipc_server_get_connections (pair.server), 1);
  send_in_vain (connection, 1, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "has 1 descriptors, and a peer that speaks JSON cannot be sent any");
  ipc_connection_request_with_callback (connection, request, -1, NULL, answer_cb, &answer);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, IPC_ERROR, IPC_ERROR_UNSUPPORTED);
  raw_write_text (&raw, "{\"message_type\":\"ask\"}");
  object = raw_read_object (&raw);
  g_assert_cmpstr (json_object_get_string_member (object, "payload"), ==, "without");
}

/* No room for the duplicates: nothing is queued, and the connection goes on. */
static void
test_fd_limit (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  struct rlimit old, low;
  g_autoptr(IpcMessage) message = new_message ("event", 0, 3);
  g_autoptr(GError) error = NULL;
  Log log = { 0 };
  guint n_fds;
  int next;

  open_with (&pair, test, 3, -1);
  g_signal_connect (pair.far, "message-received", G_CALLBACK (check_next), &log);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &old));
  n_fds = ipc_test_count_fds ();
  next = number_fd (0);
  low = old;
  low.rlim_cur = (rlim_t) next + 1;
  close (next);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  g_assert_false (ipc_connection_send (pair.near, message, &error));
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &old));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_assert_nonnull (strstr (error->message, "message \"event\""));
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (pair.near), ==, 0);
  send_ok (pair.near, message);
  ipc_test_wait_for (log.n_fds == 3);
}

/* ── What waits ── */

static void
count_signal (IpcConnection *connection, guint *n)
{
  (*n)++;
}

/* Sends one after another, the next of them numbered *NEXT, until there is no more room. */
static void
fill (IpcConnection *connection, guint *next)
{
  for (;;)
    {
      g_autoptr(IpcMessage) message = new_message ("event", *next, 1);
      g_autoptr(GError) error = NULL;

      if (!ipc_connection_send (connection, message, &error))
        {
          g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
          g_assert_nonnull (strstr (error->message, "64 descriptors wait to be sent, and 1 more exceed the limit of 64"));
          return;
        }
      (*next)++;
    }
}

static void
test_full (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  Log log = { 0 };
  guint next = 0, n_congested = 0, n_drained = 0;
  guint n_fds;
  g_autoptr(IpcMessage) last = NULL;
  g_autoptr(GError) error = NULL;

  open_with (&pair, test, 1, -1);
  g_signal_connect (pair.far, "message-received", G_CALLBACK (check_next), &log);
  g_signal_connect (pair.near, "congested", G_CALLBACK (count_signal), &n_congested);
  g_signal_connect (pair.near, "drained", G_CALLBACK (count_signal), &n_drained);
  n_fds = ipc_test_count_fds ();
  fill (pair.near, &next);
  g_assert_cmpuint (next, >, 64);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds + 64);
  last = new_message ("event", next, 1);
  ipc_connection_send_async (pair.near, last, NULL, ipc_test_async_cb, &async);
  g_assert_true (ipc_connection_send_finish (pair.near, ipc_test_async_wait (&async), &error));
  g_assert_no_error (error);
  ipc_test_wait_for (log.n_fds == next + 1);
  g_assert_cmpuint (n_congested, ==, 1);
  g_assert_cmpuint (n_drained, ==, 1);
  g_clear_pointer (&last, ipc_message_unref);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
}

static void
test_cancelled_while_waiting (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(IpcMessage) message = new_message ("never", 0, 1);
  g_autoptr(GError) error = NULL;
  Log log = { 0 };
  guint next = 0;

  open_with (&pair, test, 1, -1);
  g_signal_connect (pair.far, "message-received", G_CALLBACK (check_next), &log);
  fill (pair.near, &next);
  ipc_connection_send_async (pair.near, message, cancellable, ipc_test_async_cb, &async);
  g_cancellable_cancel (cancellable);
  g_assert_false (ipc_connection_send_finish (pair.near, ipc_test_async_wait (&async), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  ipc_test_wait_for (log.n_fds == next);
}

/* Closing drops what does not fit any more, and the peer what it does not look at. */
static void
test_closed_while_waiting (IpcTest *test)
{
  for (guint side = 0; side < 2; side++)
    {
      g_auto(Pair) pair = { 0 };
      guint next = 0, n_fds;

      open_with (&pair, test, 1, -1);
      n_fds = ipc_test_count_fds ();
      fill (pair.near, &next);
      if (side == 0)
        ipc_connection_close (pair.far);
      else
        ipc_connection_close (pair.near);
      ipc_test_wait_for (ipc_test_count_fds () < n_fds);
    }
}

/* The text of each is the number of its descriptor, if it has one. */
static void
check_own_number (gpointer instance, IpcMessage *message, gpointer data)
{
  Log *log = data;

  log->n_messages++;
  log->n_fds += count (message);
  if (count (message) > 0)
    assert_numbers (message, (guint) g_ascii_strtoull (ipc_message_get_text (message), NULL, 10), 1);
}

/* Events are taken out of the queue from among those with descriptors, which stay, each with its own. */
static void
test_others_are_dropped (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  Log log = { 0 };
  guint n_with = 0;

  pair_init (&pair, test);
  ipc_server_set_max_fds (pair.server, 1);
  ipc_server_set_max_queued_bytes (pair.server, 65536);
  ipc_server_set_overflow_policy (pair.server, IPC_OVERFLOW_POLICY_DROP_OLDEST);
  pair_open (&pair);
  g_signal_connect (pair.near, "message-received", G_CALLBACK (check_own_number), &log);
  for (guint i = 0; i < 2000; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u%*s", i, 1000, "");
      g_autoptr(GBytes) payload = g_bytes_new_static (text, strlen (text));
      gboolean with = i % 50 == 7 && pair.far->outbox.n_fds < 40;
      g_autoptr(GUnixFDList) list = new_list (i, with ? 1 : 0);
      g_autoptr(IpcMessage) message = ipc_message_new_full ("event", IPC_PAYLOAD_FORMAT_TEXT, payload, NULL, list);

      send_ok (pair.far, message);
      n_with += with;
    }
  g_assert_cmpuint (pair.far->messages_dropped, >, 100);
  ipc_test_wait_for (ipc_connection_get_queued_bytes (pair.far) == 0);
  ipc_test_settle ();
  g_assert_cmpuint (n_with, >, 20);
  g_assert_cmpuint (log.n_fds, ==, n_with);
  g_assert_cmpuint (log.n_messages + pair.far->messages_dropped, ==, 2000);
}

/* An answer that nobody waits for any more: its descriptors are closed, and the connection goes on. */
static IpcMessage *
keep_request (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer kept, GError **error)
{
  *(IpcMessage **) kept = ipc_message_ref (request);
  return NULL;
}

static void
test_late_reply (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_auto(Answer) answer = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(IpcMessage) request = new_message ("keep", 3, 2);
  g_autoptr(IpcMessage) reply = new_message ("late", 0, 2);
  IpcMessage *kept = NULL;
  Log log = { 0 };
  guint n_fds;

  open_with (&pair, test, 2, -1);
  n_fds = ipc_test_count_fds ();
  ipc_server_add_handler (pair.server, "keep", keep_request, &kept, NULL);
  ipc_connection_request_with_callback (pair.near, request, -1, cancellable, answer_cb, &answer);
  ipc_test_wait_for (kept != NULL);
  assert_numbers (kept, 3, 2);
  g_cancellable_cancel (cancellable);
  ipc_test_wait_for (answer.n_callbacks == 1);
  g_assert_error (answer.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_true (ipc_connection_reply (pair.far, kept, reply, NULL));
  g_clear_pointer (&kept, ipc_message_unref);
  g_signal_connect (pair.near, "message-received", G_CALLBACK (check_next), &log);
  g_clear_pointer (&reply, ipc_message_unref);
  reply = new_message ("event", 0, 1);
  send_ok (pair.far, reply);
  ipc_test_wait_for (log.n_fds == 1);
  g_clear_pointer (&reply, ipc_message_unref);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds - 2);
}

/* ── Without a main loop ── */

typedef struct
{
  char *path;            /* (owned) */
  GThread *thread;       /* (owned) */
  gint state;            /* (atomic) 1: runs, 2: is to end */
} Remote;

/* Sends as many events with a descriptor each as the request says, before it is answered. */
static IpcMessage *
burst (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  guint n = (guint) g_ascii_strtoull (ipc_message_get_text (request), NULL, 10);

  for (guint i = 0; i < n; i++)
    {
      g_autoptr(IpcMessage) event = new_message ("event", i, 1);

      send_ok (connection, event);
    }
  return new_message ("answer", 77, 1);
}

static gpointer
run_remote (gpointer data)
{
  Remote *self = data;
  g_autoptr(GMainContext) context = g_main_context_new ();
  IpcServer *server;

  g_main_context_push_thread_default (context);
  server = transport_server_new (self->path);
  ipc_server_set_max_fds (server, 4);
  ipc_server_add_handler (server, "turn", turn_round, NULL, NULL);
  ipc_server_add_handler (server, "burst", burst, NULL, NULL);
  g_assert_true (ipc_server_start (server, NULL));
  g_atomic_int_set (&self->state, 1);
  ipc_test_wait_for (g_atomic_int_get (&self->state) == 2);
  ipc_server_stop (server);
  pair_wait_finalized (server);
  ipc_test_settle ();
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
remote_init (Remote *self, IpcTest *test)
{
  self->path = ipc_test_path (test, "remote");
  self->thread = g_thread_new ("remote", run_remote, self);
  ipc_test_wait_for (g_atomic_int_get (&self->state) == 1);
}

static void
remote_clear (Remote *self)
{
  g_atomic_int_set (&self->state, 2);
  g_thread_join (self->thread);
  g_free (self->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Remote, remote_clear)

static void
test_synchronous (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  IpcClient *client;
  g_autoptr(GError) error = NULL;
  Log log = { 0 };

  remote_init (&remote, test);
  client = transport_client_new (remote.path);
  g_assert_true (ipc_client_open (client, NULL, NULL));
  for (guint n = 0; n < 5; n++)
    {
      g_autoptr(IpcMessage) request = new_message ("turn", 5, n);
      g_autoptr(IpcMessage) reply = ipc_client_request (client, request, -1, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (count (reply), ==, n);
    }
  /* events that come meanwhile are put aside, and keep what is theirs */
  g_signal_connect (client, "message-received", G_CALLBACK (check_next), &log);
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr(IpcMessage) request = ipc_message_new_text ("burst", "20");
      g_autoptr(IpcMessage) reply = ipc_client_request (client, request, -1, NULL, &error);

      g_assert_no_error (error);
      assert_numbers (reply, 77, 1);
      g_assert_cmpuint (log.n_messages, ==, 0);
      ipc_test_wait_for (log.n_messages == 20);
      g_assert_cmpuint (log.n_fds, ==, 20);
      log = (Log) { 0 };
    }
  ipc_client_close (client);
  pair_wait_finalized (client);
}

/* There is an end to what is put aside. */
static void
test_synchronous_too_many (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  IpcClient *client;
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcMessage) request = ipc_message_new_text ("burst", "100");
  g_autoptr(IpcMessage) reply = NULL;
  Log log = { 0 };

  remote_init (&remote, test);
  client = transport_client_new (remote.path);
  g_assert_true (ipc_client_open (client, NULL, NULL));
  g_signal_connect (client, "message-received", G_CALLBACK (check_next), &log);
  reply = ipc_client_request (client, request, -1, NULL, &error);
  g_assert_null (reply);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
  g_assert_nonnull (strstr (error->message, "64 descriptors"));
  ipc_test_wait_for (log.n_messages == 100);
  ipc_client_close (client);
  pair_wait_finalized (client);
}

static void
test_ten_thousand (IpcTest *test)
{
  g_auto(Remote) remote = { 0 };
  IpcClient *client;
  guint n_fds;

  ipc_test_set_deadline (120);
  remote_init (&remote, test);
  client = transport_client_new (remote.path);
  g_assert_true (ipc_client_open (client, NULL, NULL));
  n_fds = ipc_test_count_fds ();
  for (guint i = 0; i < 10000; i++)
    {
      g_autoptr(IpcMessage) request = new_message ("turn", i, 1 + i % 4);
      g_autoptr(IpcMessage) reply = ipc_client_request (client, request, -1, NULL, NULL);

      g_assert_cmpuint (count (reply), ==, 1 + i % 4);
    }
  /* the server may still be about to close its copies of the last one */
  ipc_test_wait_for (ipc_test_count_fds () <= n_fds);
  ipc_client_close (client);
  pair_wait_finalized (client);
}

/* ── Forks, and the limit of the user ── */

static guint
count_numbers (void)
{
  g_autoptr(GDir) directory = g_dir_open ("/proc/self/fd", 0, NULL);
  const char *name;
  guint n = 0;

  while ((name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *link = g_build_filename ("/proc/self/fd", name, NULL);
      g_autofree char *target = g_file_read_link (link, NULL);

      n += target != NULL && strstr (target, NAME) != NULL;
    }
  return n;
}

/* What is on its way is not inherited; what is in a message is the application's own affair. */
static void
test_fork (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) kept = new_message ("kept", 0, 2);
  Log log = { 0 };
  guint next = 0;
  int status;
  pid_t child;

  open_with (&pair, test, 1, -1);
  g_signal_connect (pair.far, "message-received", G_CALLBACK (check_next), &log);
  fill (pair.near, &next);
  g_assert_cmpuint (count_numbers (), ==, 64 + 2);
  child = fork ();
  g_assert_no_errno (child);
  if (child == 0)
    _exit (count_numbers () == 2 ? 0 : 1);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
  ipc_test_wait_for (log.n_fds == next);
}

/* Another user, who may have only so many under way: what is beyond waits until others were taken. */
static int
play_poor (char **arguments)
{
  char directory[] = "/tmp/ipc-test-poor-XXXXXX";
  IpcTest test = { mkdtemp (directory), NULL };
  struct rlimit low;

  g_assert_nonnull (test.directory);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &low));
  low.rlim_cur = 100;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  {
    g_auto(Pair) pair = { 0 };
    g_autofree char *text = g_strnfill (300000, 'x');
    g_autoptr(GBytes) payload = g_bytes_new_static (text, 300000);
    g_autoptr(IpcMessage) large = ipc_message_new ("large", payload);
    g_autoptr(IpcMessage) kept = NULL;
    Log log = { 0 };
    guint next = 0;
    gulong id;

    open_with (&pair, &test, 1, 1);
    /* make it a shared one while there is room */
    id = g_signal_connect (pair.far, "message-received", G_CALLBACK (keep_message), &kept);
    for (guint i = 0; i < 10; i++)
      {
        send_ok (pair.near, large);
        ipc_test_wait_for (kept != NULL);
        g_clear_pointer (&kept, ipc_message_unref);
      }
    g_signal_handler_disconnect (pair.far, id);
    g_assert_nonnull (large->shared);
    g_signal_connect (pair.far, "message-received::event", G_CALLBACK (check_next), &log);
    g_signal_connect (pair.far, "message-received::large", G_CALLBACK (keep_message), &kept);
    fill (pair.near, &next);
    g_assert_cmpint (pair.near->fds_retry_due, !=, 0);
    send_ok (pair.near, large);
    ipc_test_wait_for (log.n_fds == next && kept != NULL);
    g_assert_true (g_bytes_equal (ipc_message_get_payload (kept), payload));
    g_assert_cmpuint (next, >, 100);
    g_assert_cmpuint (next, <, 100 + 64 + 5);
    /* and now the payload itself is one too many */
    g_clear_pointer (&kept, ipc_message_unref);
    log = (Log) { 0 };
    for (next = 0; next < 101; next++)
      {
        g_autoptr(IpcMessage) event = new_message ("event", next, 1);

        send_ok (pair.near, event);
        g_mutex_lock (&pair.near->lock);
        ipc_connection_flush_locked (pair.near);
        g_mutex_unlock (&pair.near->lock);
      }
    send_ok (pair.near, large);
    g_mutex_lock (&pair.near->lock);
    ipc_connection_flush_locked (pair.near);
    g_mutex_unlock (&pair.near->lock);
    g_assert_cmpuint (pair.near->outbox.shared, ==, 0);
    ipc_test_wait_for (log.n_fds == next && kept != NULL);
    g_assert_true (g_bytes_equal (ipc_message_get_payload (kept), payload));
  }
  ipc_test_remove_tree (directory);
  ipc_test_tell ("done");
  return 0;
}

static void
test_too_many_under_way (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = NULL;

  if (!ipc_test_need_root ())
    return;
  peer = ipc_test_peer_spawn_as (OTHER_UID, "poor", NULL);
  ipc_test_peer_expect (peer, "done");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
}

static const struct
{
  const char *path;
  IpcTestFunc func;
} tests[] = {
  { "both-ways", test_both_ways },
  { "requests", test_requests },
  { "list-changed-after-sending", test_list_changed_after_sending },
  { "kept", test_kept },
  { "broadcast", test_broadcast },
  { "large-again-and-again", test_large_again_and_again },
  { "limits", test_limits },
  { "properties", test_properties },
  { "json-peer", test_json_peer },
  { "fd-limit", test_fd_limit },
  { "full", test_full },
  { "cancelled-while-waiting", test_cancelled_while_waiting },
  { "closed-while-waiting", test_closed_while_waiting },
  { "others-are-dropped", test_others_are_dropped },
  { "late-reply", test_late_reply },
  { "synchronous", test_synchronous },
  { "synchronous-too-many", test_synchronous_too_many },
  { "ten-thousand", test_ten_thousand },
  { "fork", test_fork },
  { "too-many-under-way", test_too_many_under_way },
};

int
main (int argc, char **argv)
{
  const IpcTestRole roles[] = { { "poor", play_poor }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/messaging/descriptors/", tests[i].path, NULL);

      ipc_test_add (path, tests[i].func);
    }
  return ipc_test_run ();
}
