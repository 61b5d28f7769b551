/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket-test.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void
assert_text (const char *text, const char *part)
{
  if (text == NULL || strstr (text, part) == NULL)
    g_error ("\"%s\" is not in \"%s\"", part, text);
}

void
assert_ipc_error (const GError *error, IpcError code, const char *part)
{
  g_assert_error (error, IPC_ERROR, (gint) code);
  if (part != NULL)
    assert_text (error->message, part);
}

/* ── Descriptors ── */

rlim_t
set_soft_limit (rlim_t soft)
{
  struct rlimit limit;
  rlim_t before;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  before = limit.rlim_cur;
  limit.rlim_cur = soft;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  return before;
}

/* ── A server ── */

static IpcMessage *
handle_echo (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer user_data, GError **error)
{
  Service *self = user_data;

  self->n_messages++;
  return ipc_message_new_full ("echo_response", ipc_message_get_format (request), ipc_message_get_payload (request),
                               NULL, NULL);
}

static IpcMessage *
handle_hold (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer user_data, GError **error)
{
  Service *self = user_data;

  self->n_messages++;
  g_ptr_array_add (self->held, ipc_message_ref (request));
  g_ptr_array_add (self->holders, g_object_ref (connection));
  return NULL;
}

static void
request_cancelled (IpcConnection *connection, IpcMessage *request, Service *self)
{
  self->n_cancelled++;
}

static void
client_connected (IpcServer *server, IpcConnection *connection, Service *self)
{
  self->n_connected++;
  g_signal_connect (connection, "request-cancelled", G_CALLBACK (request_cancelled), self);
}

static void
client_disconnected (IpcServer *server, IpcConnection *connection, const GError *error, Service *self)
{
  g_signal_handlers_disconnect_by_data (connection, self);
  g_ptr_array_add (self->connections, g_object_ref (connection));
  g_ptr_array_add (self->reasons, error != NULL ? g_error_copy (error) : NULL);
}

static void
free_reason (gpointer error)
{
  if (error != NULL)
    g_error_free (error);
}

Service *
service_new (const char *address)
{
  Service *self = g_new0 (Service, 1);

  self->server = transport_server_new (address);
  self->reasons = g_ptr_array_new_with_free_func (free_reason);
  self->connections = g_ptr_array_new_with_free_func (g_object_unref);
  self->held = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  self->holders = g_ptr_array_new_with_free_func (g_object_unref);
  ipc_server_add_handler (self->server, "echo", handle_echo, self, NULL);
  ipc_server_add_handler (self->server, "hold", handle_hold, self, NULL);
  g_signal_connect (self->server, "client-connected", G_CALLBACK (client_connected), self);
  g_signal_connect (self->server, "client-disconnected", G_CALLBACK (client_disconnected), self);
  return self;
}

Service *
service_start_at (const char *address)
{
  Service *self = service_new (address);
  g_autoptr (GError) error = NULL;

  ipc_server_start (self->server, &error);
  g_assert_no_error (error);
  return self;
}

Service *
service_start (IpcTest *test)
{
  g_autofree char *path = socket_path (test);

  return service_start_at (path);
}

void
service_free (Service *self)
{
  GListModel *connections = ipc_server_get_connections (self->server);

  ipc_server_stop (self->server);
  ipc_test_wait_for (ipc_server_get_n_clients (self->server) == 0);
  g_assert_cmpuint (g_list_model_get_n_items (connections), ==, 0);
  g_clear_pointer (&self->held, g_ptr_array_unref);
  g_clear_pointer (&self->holders, g_ptr_array_unref);
  g_clear_pointer (&self->connections, g_ptr_array_unref);
  g_clear_pointer (&self->reasons, g_ptr_array_unref);
  ipc_test_assert_finalized (self->server);
  g_free (self);
}

gboolean
service_release (Service *self)
{
  gboolean all = TRUE;

  for (guint i = 0; i < self->held->len; i++)
    {
      IpcMessage *request = g_ptr_array_index (self->held, i);
      g_autoptr (IpcMessage) reply = ipc_message_new ("held_response", ipc_message_get_payload (request));

      all &= ipc_connection_reply (g_ptr_array_index (self->holders, i), request, reply, NULL);
    }
  g_ptr_array_set_size (self->held, 0);
  g_ptr_array_set_size (self->holders, 0);
  return all;
}

const GError *
service_wait_disconnected (Service *self, guint n)
{
  ipc_test_wait_for (self->reasons->len >= n);
  g_assert_cmpuint (self->reasons->len, ==, n);
  return g_ptr_array_index (self->reasons, n - 1);
}

char *
socket_path (IpcTest *test)
{
  return ipc_test_path (test, SOCKET_NAME);
}

/* ── Clients ── */

gboolean
client_try_open (IpcClient *client, GError **error)
{
  g_auto (IpcTestAsync) async = { 0 };

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  return ipc_client_open_finish (client, ipc_test_async_wait (&async), error);
}

IpcClient *
client_open (const char *address)
{
  IpcClient *client = transport_client_new (address);
  g_autoptr (GError) error = NULL;

  client_try_open (client, &error);
  g_assert_no_error (error);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_OPEN);
  return client;
}

GError *
client_fail_open (IpcClient *client)
{
  GError *error = NULL;

  g_assert_false (client_try_open (client, &error));
  g_assert_nonnull (error);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_CLOSED);
  g_assert_null (ipc_client_get_connection (client));
  return error;
}

GError *
client_fail_open_at (const char *address)
{
  g_autoptr (IpcClient) client = transport_client_new (address);

  return client_fail_open (client);
}

char *
client_ask (IpcClient *client, const char *type, const char *text, gint timeout, GError **error)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (IpcMessage) request = ipc_message_new_text (type, text);
  g_autoptr (IpcMessage) reply = NULL;

  ipc_client_request_async (client, request, timeout, NULL, ipc_test_async_cb, &async);
  reply = ipc_client_request_finish (client, ipc_test_async_wait (&async), error);
  return reply != NULL ? g_strdup (ipc_message_get_text (reply)) : NULL;
}

void
client_check (IpcClient *client)
{
  static guint n = 0;
  g_autofree char *text = g_strdup_printf ("are you there %u", n++);
  g_autoptr (GError) error = NULL;
  g_autofree char *answer = client_ask (client, "echo", text, IPC_TIMEOUT_DEFAULT, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (answer, ==, text);
}

typedef struct
{
  Burst *burst;
  guint index;
} BurstCall;

static void
burst_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree BurstCall *call = data;
  Burst *self = call->burst;
  g_autoptr (IpcMessage) reply = NULL;

  g_assert_cmpuint (++self->n_callbacks[call->index], ==, 1);
  reply = ipc_client_request_finish (IPC_CLIENT (source), result, &self->errors[call->index]);
  g_assert_true ((reply != NULL) != (self->errors[call->index] != NULL));
  if (reply != NULL)
    self->n_replies++;
  self->n_done++;
}

Burst *
burst_start (IpcClient *client, guint n, const char *type, gsize payload_size, gint timeout)
{
  Burst *self = g_new0 (Burst, 1);
  g_autoptr (GBytes) payload = g_bytes_new_take (g_malloc0 (payload_size), payload_size);
  g_autoptr (IpcMessage) request = ipc_message_new (type, payload);

  self->client = g_object_ref (client);
  self->n = n;
  self->n_callbacks = g_new0 (guint, n);
  self->errors = g_new0 (GError *, n);
  for (guint i = 0; i < n; i++)
    {
      BurstCall *call = g_new (BurstCall, 1);

      *call = (BurstCall) { self, i };
      ipc_client_request_async (client, request, timeout, NULL, burst_cb, call);
    }
  return self;
}

void
burst_free (Burst *self)
{
  g_assert_cmpuint (self->n_done, ==, self->n);
  for (guint i = 0; i < self->n; i++)
    g_clear_error (&self->errors[i]);
  g_free (self->errors);
  g_free (self->n_callbacks);
  g_object_unref (self->client);
  g_free (self);
}

/* ── Raw sockets ── */

static struct sockaddr_un
make_address (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  g_assert_cmpuint (strlen (path), <, sizeof address.sun_path);
  strcpy (address.sun_path, path);
  return address;
}

Raw *
raw_new (int fd)
{
  Raw *self = g_new0 (Raw, 1);

  g_assert_cmpint (fd, >=, 0);
  self->fd = fd;
  self->in = g_byte_array_new ();
  self->fds = g_array_new (FALSE, FALSE, sizeof (int));
  g_assert_no_errno (fcntl (fd, F_SETFL, O_NONBLOCK));
  return self;
}

Raw *
raw_connect (const char *path)
{
  struct sockaddr_un address = make_address (path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_no_errno (fd);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  return raw_new (fd);
}

Raw *
raw_connect_client (const char *path)
{
  Raw *self = raw_connect (path);

  g_assert_true (raw_send_hello (self));
  raw_expect_hello (self);
  return self;
}

Raw *
raw_connect_for_fds (const char *path, guint32 max_fds, gboolean memfd)
{
  const IpcFrame header = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT };
  const char *features[] = { memfd ? "memfd" : NULL, NULL };
  g_autoptr (GVariant) hello = NULL;
  GVariantBuilder builder;
  Raw *self = raw_connect (path);

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "max-fds", g_variant_new_uint32 (max_fds));
  g_variant_builder_add (&builder, "{sv}", "features", g_variant_new_strv (features, -1));
  hello = g_variant_ref_sink (g_variant_builder_end (&builder));
  raw_send (self, ipc_preamble, IPC_PREAMBLE_SIZE);
  raw_send_frame (self, &header, NULL, g_variant_get_data (hello), g_variant_get_size (hello));
  raw_expect_hello (self);
  return self;
}

void
raw_free (Raw *self)
{
  close (self->fd);
  g_byte_array_unref (self->in);
  for (guint i = 0; i < self->fds->len; i++)
    close (g_array_index (self->fds, int, i));
  g_array_unref (self->fds);
  g_free (self);
}

static gboolean
keep_watching (int fd, GIOCondition condition, gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

/* So that the context wakes up for it. */
static GSource *
watch_fd (int fd, GIOCondition condition)
{
  g_autoptr (GMainContext) context = g_main_context_ref_thread_default ();
  GSource *source = g_unix_fd_source_new (fd, condition);

  g_source_set_callback (source, G_SOURCE_FUNC (keep_watching), NULL, NULL);
  g_source_attach (source, context);
  return source;
}

static gboolean
take_input (Raw *self)
{
  guint8 buffer[65536];
  union { struct cmsghdr align; char bytes[CMSG_SPACE (253 * sizeof (int))]; } control;
  struct iovec iov = { buffer, sizeof buffer };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
  struct cmsghdr *part;
  gssize n;

  if (self->at_end)
    return TRUE;
  n = recvmsg (self->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  part = n >= 0 ? CMSG_FIRSTHDR (&message) : NULL;
  if (part != NULL)
    g_array_append_vals (self->fds, CMSG_DATA (part), (guint) ((part->cmsg_len - CMSG_LEN (0)) / sizeof (int)));
  if (n > 0)
    g_byte_array_append (self->in, buffer, (guint) n);
  else if (n == 0 || (errno != EAGAIN && errno != EINTR))
    {
      self->at_end = TRUE;
      self->end_errno = n == 0 ? 0 : errno;
    }
  return n > 0 || self->at_end;
}

gboolean
raw_wait (Raw *self, gsize size)
{
  GSource *source = watch_fd (self->fd, G_IO_IN | G_IO_HUP);

  while (self->in->len < size && !self->at_end)
    ipc_test_wait_for (take_input (self));
  g_source_destroy (source);
  g_source_unref (source);
  return self->in->len >= size;
}

static gboolean
give_output (Raw *self, const guint8 **data, gsize *size, gboolean *gone)
{
  gssize n = send (self->fd, *data, *size, MSG_DONTWAIT | MSG_NOSIGNAL);

  if (n < 0 && errno != EAGAIN && errno != EINTR)
    *gone = TRUE;
  if (n > 0)
    {
      *data += n;
      *size -= (gsize) n;
    }
  return *size == 0 || *gone;
}

gboolean
raw_send (Raw *self, gconstpointer data, gsize size)
{
  const guint8 *rest = data;
  gboolean gone = FALSE;

  if (size > 0)
    ipc_test_wait_for (give_output (self, &rest, &size, &gone));
  return !gone;
}

void
raw_send_with_fds (Raw *self, gconstpointer data, gsize size, const int *fds, guint n_fds)
{
  union { struct cmsghdr align; char bytes[CMSG_SPACE (253 * sizeof (int))]; } control = { 0 };
  struct iovec iov = { (gpointer) data, size };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
                            .msg_controllen = CMSG_SPACE (n_fds * sizeof (int)) };
  struct cmsghdr *part = CMSG_FIRSTHDR (&message);

  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN (n_fds * sizeof (int));
  memcpy (CMSG_DATA (part), fds, n_fds * sizeof (int));
  g_assert_cmpint (sendmsg (self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL), ==, (gssize) size);
}

gboolean
raw_send_frame (Raw *self, const IpcFrame *header, const char *type, gconstpointer payload, gsize size)
{
  IpcFrame frame = *header;
  gsize type_length = type != NULL ? strlen (type) : 0;
  g_autofree guint8 *bytes = g_malloc (IPC_FRAME_HEADER_SIZE + type_length + size);

  frame.type_length = (guint8) type_length;
  frame.length = (guint32) (type_length + size);
  ipc_frame_encode (&frame, bytes);
  if (type_length > 0)
    memcpy (bytes + IPC_FRAME_HEADER_SIZE, type, type_length);
  if (size > 0)
    memcpy (bytes + IPC_FRAME_HEADER_SIZE + type_length, payload, size);
  return raw_send (self, bytes, IPC_FRAME_HEADER_SIZE + type_length + size);
}

gboolean
raw_send_hello (Raw *self)
{
  const IpcFrame hello = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT };

  return raw_send (self, ipc_preamble, IPC_PREAMBLE_SIZE) && raw_send_frame (self, &hello, NULL, NULL, 0);
}

gboolean
raw_send_request (Raw *self, guint64 serial, const char *type, const char *text)
{
  const IpcFrame request = { .kind = IPC_FRAME_REQUEST, .flags = IPC_PAYLOAD_FORMAT_TEXT, .serial = serial };

  return raw_send_frame (self, &request, type, text, strlen (text));
}

void
raw_expect_preamble (Raw *self)
{
  g_assert_true (raw_wait (self, IPC_PREAMBLE_SIZE));
  g_assert_cmpmem (self->in->data, IPC_PREAMBLE_SIZE, ipc_preamble, IPC_PREAMBLE_SIZE);
  g_byte_array_remove_range (self->in, 0, IPC_PREAMBLE_SIZE);
}

void
raw_frame_clear (RawFrame *self)
{
  g_clear_pointer (&self->type, g_free);
  g_clear_pointer (&self->text, g_free);
  g_clear_pointer (&self->body, g_bytes_unref);
}

/* What our side writes has to pass our own codec. */
gboolean
raw_next_frame (Raw *self, RawFrame *frame)
{
  const IpcFrameLimits limits = { G_MAXINT, 253, true };
  IpcFault fault = { 0 };
  IpcFrameBody parts;

  raw_frame_clear (frame);
  if (!raw_wait (self, IPC_FRAME_HEADER_SIZE))
    return FALSE;
  if (!ipc_frame_decode (self->in->data, &limits, &frame->header, &fault))
    g_error ("%s", fault.message);
  g_assert_true (raw_wait (self, IPC_FRAME_HEADER_SIZE + (gsize) frame->header.length));
  frame->body = g_bytes_new (self->in->data + IPC_FRAME_HEADER_SIZE, frame->header.length);
  g_byte_array_remove_range (self->in, 0, IPC_FRAME_HEADER_SIZE + frame->header.length);
  if (!ipc_frame_split (&frame->header, g_bytes_get_data (frame->body, NULL), &parts, &fault))
    g_error ("%s", fault.message);
  frame->type = g_strndup (parts.type, frame->header.type_length);
  frame->text = g_strndup ((const char *) parts.payload, parts.payload_size);
  return TRUE;
}

void
raw_expect_hello (Raw *self)
{
  g_auto (RawFrame) frame = { 0 };

  raw_expect_preamble (self);
  g_assert_true (raw_next_frame (self, &frame));
  g_assert_cmpint (frame.header.kind, ==, IPC_FRAME_HELLO);
}

void
raw_expect_frame (Raw *self, IpcFrameKind kind, guint64 reply_serial, const char *type)
{
  g_auto (RawFrame) frame = { 0 };

  g_assert_true (raw_next_frame (self, &frame));
  g_assert_cmpint (frame.header.kind, ==, kind);
  g_assert_cmpuint (frame.header.reply_serial, ==, reply_serial);
  g_assert_cmpstr (frame.type, ==, type);
}

void
raw_expect_drop (Raw *self, const char *type)
{
  g_auto (RawFrame) frame = { 0 };

  do
    g_assert_true (raw_next_frame (self, &frame));
  while (frame.header.kind != IPC_FRAME_ERROR || frame.header.reply_serial != 0);
  g_assert_cmpstr (frame.type, ==, type);
  g_assert_cmpstr (frame.text, !=, "");
  raw_expect_end (self);
}

void
raw_expect_end (Raw *self)
{
  g_assert_false (raw_wait (self, 1));
}

int
raw_listen (const char *path)
{
  struct sockaddr_un address = make_address (path);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  g_assert_no_errno (fd);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_no_errno (listen (fd, 64));
  return fd;
}

static gboolean
try_accept (int listen_fd, int *fd)
{
  *fd = accept4 (listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return *fd >= 0;
}

Raw *
raw_accept (int listen_fd)
{
  GSource *source = watch_fd (listen_fd, G_IO_IN);
  int fd;

  ipc_test_wait_for (try_accept (listen_fd, &fd));
  g_source_destroy (source);
  g_source_unref (source);
  return raw_new (fd);
}

void
raw_leave_stale (const char *path)
{
  close (raw_listen (path));
}
