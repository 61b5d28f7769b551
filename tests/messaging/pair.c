/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See pair.h. All of it runs the thread-default main context where it waits.
 */
#include "pair.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/ipc-quiet-write.h"

/* ── A server and a client ── */

static void
skip (IpcTest *test)
{
  g_test_skip ("a pipe cannot do that");
}

void
pair_add_socket_only (const char *path, IpcTestFunc func)
{
  ipc_test_add (path, transport_is_pipe () ? skip : func);
}

void
pair_init (Pair *self, IpcTest *test)
{
  self->path = ipc_test_path (test, "server");
  self->server = transport_server_new (self->path);
  self->client = transport_client_new (self->path);
}

static void
take_far (Pair *self)
{
  GListModel *connections = ipc_server_get_connections (self->server);

  ipc_test_wait_for (g_list_model_get_n_items (connections) == 1);
  self->far = g_list_model_get_item (connections, 0);
}

void
pair_open (Pair *self)
{
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;

  ipc_server_start (self->server, &error);
  g_assert_no_error (error);
  ipc_client_open_async (self->client, NULL, ipc_test_async_cb, &async);
  ipc_client_open_finish (self->client, ipc_test_async_wait (&async), &error);
  g_assert_no_error (error);
  self->near = g_object_ref (ipc_client_get_connection (self->client));
  take_far (self);
}

void
pair_init_open (Pair *self, IpcTest *test)
{
  pair_init (self, test);
  pair_open (self);
}

void
pair_wait_finalized (gpointer object)
{
  gpointer weak = object;

  g_object_add_weak_pointer (object, &weak);
  g_object_unref (object);
  ipc_test_wait_for (weak == NULL);
}

void
pair_clear (Pair *self)
{
  gpointer objects[] = { self->client, self->server, self->near, self->far };

  for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
    {
      self->gone[i] = objects[i];
      if (objects[i])
        g_object_add_weak_pointer (objects[i], &self->gone[i]);
    }
  if (self->client)
    ipc_client_close (self->client);
  if (self->server)
    ipc_server_stop (self->server);
  for (guint i = 0; i < G_N_ELEMENTS (objects); i++)
    g_clear_object (&objects[i]);
  ipc_test_wait_for (!self->gone[0] && !self->gone[1] && !self->gone[2] && !self->gone[3]);
  g_clear_pointer (&self->path, g_free);
}

/* ── Messages ── */

void
pair_send_text (IpcConnection *connection, const char *type, const char *text)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text (type, text);
  g_autoptr(GError) error = NULL;

  ipc_connection_send (connection, message, &error);
  g_assert_no_error (error);
}

IpcMessage *
pair_echo (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return ipc_message_new_full (ipc_message_get_message_type (request), ipc_message_get_format (request),
                               ipc_message_get_payload (request), NULL, NULL);
}

void
pair_log_message (gpointer instance, IpcMessage *message, gpointer string)
{
  g_string_append_printf (string, "%s=%s ", ipc_message_get_message_type (message), ipc_message_get_text (message));
}

void
pair_log_client_message (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer string)
{
  pair_log_message (server, message, string);
}

void
answer_cb (IpcConnection *connection, IpcMessage *reply, const GError *error, gpointer answer)
{
  Answer *self = answer;

  g_assert_cmpuint (++self->n_callbacks, ==, 1);
  g_assert_true ((reply == NULL) != (error == NULL));
  self->reply = reply ? ipc_message_ref (reply) : NULL;
  self->error = error ? g_error_copy (error) : NULL;
}

void
answer_clear (Answer *self)
{
  g_clear_pointer (&self->reply, ipc_message_unref);
  g_clear_error (&self->error);
  self->n_callbacks = 0;
}

void
pair_ask (IpcConnection *connection, const char *type, const char *text, gint timeout, Answer *answer)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text (type, text);

  ipc_connection_request_with_callback (connection, message, timeout, NULL, answer_cb, answer);
  g_assert_cmpuint (answer->n_callbacks, ==, 0);
  ipc_test_wait_for (answer->n_callbacks == 1);
}

/* ── Peers without the library ── */

void
raw_connect (Raw *self, const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  g_assert_cmpuint (g_strlcpy (address.sun_path, path, sizeof address.sun_path), <, sizeof address.sun_path);
  g_assert_false (transport_is_pipe ());
  self->input = g_string_new (NULL);
  self->at_end = FALSE;
  self->pipe_fd = -1;
  self->fd = self->out_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  g_assert_no_errno (self->fd);
  g_assert_no_errno (connect (self->fd, (struct sockaddr *) &address, sizeof address));
}

/* A pair of pipes of its own; what it says first goes into that of the server. */
static void
make_pair (Raw *self, const char *path, const char *token)
{
  g_autofree char *directory = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_autofree char *in = g_strdup_printf ("%s/.%s.d/%s.in", directory, name, token);
  g_autofree char *out = g_strdup_printf ("%s/.%s.d/%s.out", directory, name, token);
  int both;

  g_assert_no_errno (self->pipe_fd = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  g_assert_no_errno (mkfifo (in, 0600));
  g_assert_no_errno (mkfifo (out, 0600));
  g_assert_no_errno (self->fd = open (out, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  g_assert_no_errno (both = open (in, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  g_assert_no_errno (self->out_fd = open (in, O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  close (both);
}

static GString *
make_hello (guint64 max_message_size, const char *token)
{
  GString *out = g_string_new_len ((const char *) ipc_preamble, IPC_PREAMBLE_SIZE);
  g_autoptr(GVariant) hello = NULL;
  GVariantBuilder builder;
  IpcFrame frame = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "max-message-size", g_variant_new_uint64 (max_message_size));
  if (token)
    g_variant_builder_add (&builder, "{sv}", "token", g_variant_new_string (token));
  hello = g_variant_ref_sink (g_variant_builder_end (&builder));
  frame.length = (guint32) g_variant_get_size (hello);
  ipc_frame_encode (&frame, header);
  g_string_append_len (out, (const char *) header, sizeof header);
  return g_string_append_len (out, g_variant_get_data (hello), (gssize) frame.length);
}

static void
connect_by_pipe (Raw *self, const char *path, guint64 max_message_size)
{
  g_autofree char *token = g_strdup_printf ("%016" G_GINT64_MODIFIER "x%08x%08x", g_get_monotonic_time (), g_random_int (), g_random_int ());
  g_autoptr(GString) hello = make_hello (max_message_size, token);

  self->input = g_string_new (NULL);
  self->at_end = FALSE;
  make_pair (self, path, token);
  g_assert_cmpint (write (self->pipe_fd, hello->str, hello->len), ==, hello->len);
}

void
raw_connect_binary (Raw *self, const char *path, guint64 max_message_size)
{
  IpcFrame frame;

  if (transport_is_pipe ())
    connect_by_pipe (self, path, max_message_size);
  else
    {
      g_autoptr(GString) hello = make_hello (max_message_size, NULL);

      raw_connect (self, path);
      raw_write (self, hello->str, hello->len);
    }
  ipc_test_wait_for ((raw_read (self), self->input->len >= IPC_PREAMBLE_SIZE));
  if (self->pipe_fd >= 0)
    close (self->pipe_fd);
  self->pipe_fd = -1;
  g_assert_cmpmem (self->input->str, IPC_PREAMBLE_SIZE, ipc_preamble, IPC_PREAMBLE_SIZE);
  g_string_erase (self->input, 0, IPC_PREAMBLE_SIZE);
  raw_read_frame (self, &frame, NULL);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_HELLO);
}

void
raw_close (Raw *self)
{
  if (self->out_fd >= 0 && self->out_fd != self->fd)
    close (self->out_fd);
  if (self->pipe_fd >= 0)
    close (self->pipe_fd);
  if (self->fd >= 0)
    close (self->fd);
  self->fd = self->out_fd = self->pipe_fd = -1;
}

void
raw_clear (Raw *self)
{
  if (!self->input)
    return;
  raw_close (self);
  g_string_free (g_steal_pointer (&self->input), TRUE);
}

gssize
raw_write_some (Raw *self, gconstpointer bytes, gsize size)
{
  return ipc_quiet_writev (self->out_fd, &(struct iovec){ (void *) bytes, size }, 1);
}

void
raw_write (Raw *self, gconstpointer bytes, gsize size)
{
  const char *next = bytes;
  gint64 end = g_get_monotonic_time () + IPC_TEST_WAIT_SECONDS * G_USEC_PER_SEC;

  while (size > 0)
    {
      gssize n = raw_write_some (self, next, size);

      g_assert_true (n > 0 || errno == EAGAIN);
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      if (n > 0)
        next += n, size -= (gsize) n;
      else
        ipc_test_iterate (1);
    }
}

void
raw_write_text (Raw *self, const char *text)
{
  raw_write (self, text, strlen (text));
}

void
raw_read (Raw *self)
{
  char buffer[65536];
  gssize n;

  while (!self->at_end && (n = read (self->fd, buffer, sizeof buffer)) != -1)
    {
      /* The server has not opened the pipe yet. */
      if (n == 0 && self->pipe_fd >= 0)
        return;
      self->at_end = n == 0;
      g_string_append_len (self->input, buffer, n);
    }
  if (!self->at_end && errno != EAGAIN)
    {
      g_assert_cmpint (errno, ==, ECONNRESET);
      self->at_end = TRUE;
    }
}

static gboolean
has_line (Raw *self)
{
  raw_read (self);
  return self->at_end || memchr (self->input->str, '\n', self->input->len) != NULL;
}

char *
raw_read_line (Raw *self)
{
  gsize length;
  char *line;

  ipc_test_wait_for (has_line (self));
  if (self->input->len == 0)
    return NULL;
  length = strcspn (self->input->str, "\n");
  line = g_strndup (self->input->str, length);
  g_string_erase (self->input, 0, (gssize) MIN (length + 1, self->input->len));
  return line;
}

JsonObject *
raw_read_object (Raw *self)
{
  g_autofree char *line = raw_read_line (self);
  g_autoptr(JsonNode) node = NULL;
  g_autoptr(GError) error = NULL;

  g_assert_nonnull (line);
  node = json_from_string (line, &error);
  g_assert_no_error (error);
  g_assert_true (JSON_NODE_HOLDS_OBJECT (node));
  return json_node_dup_object (node);
}

void
raw_wait_end (Raw *self)
{
  ipc_test_wait_for ((raw_read (self), self->at_end));
}

guint64
raw_drain (Raw *self, guint64 size)
{
  guint64 drained = 0;
  gint64 end = g_get_monotonic_time () + IPC_TEST_WAIT_SECONDS * G_USEC_PER_SEC;

  while (drained < size && !self->at_end)
    {
      g_assert_cmpint (g_get_monotonic_time (), <, end);
      raw_read (self);
      drained += self->input->len;
      g_string_truncate (self->input, 0);
      ipc_test_iterate (10);
    }
  return drained;
}

void
raw_sip (Raw *self, gsize size)
{
  g_autofree char *buffer = g_malloc (size);

  if (read (self->fd, buffer, size) < 0)
    g_assert_cmpint (errno, ==, EAGAIN);
  ipc_test_iterate (10);
}

static gboolean
has_bytes (Raw *self, gsize size)
{
  raw_read (self);
  return self->at_end || self->input->len >= size;
}

void
raw_read_frame (Raw *self, IpcFrame *frame, GBytes **body)
{
  static const IpcFrameLimits limits = { .max_length = G_MAXUINT32 };
  IpcFault fault;

  ipc_test_wait_for (has_bytes (self, IPC_FRAME_HEADER_SIZE));
  g_assert_cmpuint (self->input->len, >=, IPC_FRAME_HEADER_SIZE);
  g_assert_true (ipc_frame_decode ((const guint8 *) self->input->str, &limits, frame, &fault));
  g_string_erase (self->input, 0, IPC_FRAME_HEADER_SIZE);
  ipc_test_wait_for (has_bytes (self, frame->length));
  g_assert_cmpuint (self->input->len, >=, frame->length);
  if (body)
    *body = g_bytes_new (self->input->str, frame->length);
  g_string_erase (self->input, 0, frame->length);
}

void
raw_write_frame (Raw *self, IpcFrameKind kind, guint64 serial, guint64 reply_serial, const char *type, const char *text)
{
  IpcFrame frame = { .length = (guint32) (strlen (type) + strlen (text)), .kind = (guint8) kind,
                     .flags = IPC_PAYLOAD_FORMAT_TEXT,
                     .type_length = (guint8) strlen (type), .serial = serial, .reply_serial = reply_serial };
  guint8 header[IPC_FRAME_HEADER_SIZE];

  if (!*type)
    frame.flags = 0;
  ipc_frame_encode (&frame, header);
  raw_write (self, header, sizeof header);
  raw_write_text (self, type);
  raw_write_text (self, text);
}

/* ── The loop ── */

void
assert_loop_sleeps (void)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  guint n = 0;

  while (g_main_context_iteration (context, FALSE))
    g_assert_cmpuint (++n, <, 2000);
}
