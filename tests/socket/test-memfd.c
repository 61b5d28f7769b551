/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Payloads in memfds: what a server takes from a peer, what it refuses, and when it sends one itself.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-memfd.h"
#include "messaging/ipc-shared-payload-private.h"
#include "socket-test.h"

#define LARGE (300u * 1024)
#define ALL_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* ── A server ── */

typedef struct
{
  Service *service;
  char *path;
  IpcClient *bystander;
  IpcMessage *kept;  /* (owned) (nullable) the last message of type `keep` */
  guint n_dropped;
  guint n_fds;
} Target;

static IpcMessage *
handle_keep (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  Target *self = data;

  g_clear_pointer (&self->kept, ipc_message_unref);
  self->kept = ipc_message_ref (message);
  return ipc_message_get_is_request (message) ? ipc_message_new_text ("kept", "") : NULL;
}

static Target *
target_new (IpcTest *test)
{
  Target *self = g_new0 (Target, 1);

  self->path = socket_path (test);
  self->service = service_new (self->path);
  ipc_server_add_handler (self->service->server, "keep", handle_keep, self, NULL);
  g_assert_true (ipc_server_start (self->service->server, NULL));
  /* One that is sent no memfds. */
  self->bystander = IPC_CLIENT (ipc_socket_client_new (self->path));
  ipc_client_set_max_fds (self->bystander, 0);
  g_assert_true (client_try_open (self->bystander, NULL));
  self->n_fds = ipc_test_count_fds ();
  return self;
}

static void
target_free (Target *self)
{
  client_check (self->bystander);
  g_assert_cmpuint (ipc_test_count_fds (), ==, self->n_fds);
  g_assert_cmpuint (self->service->reasons->len, ==, self->n_dropped);
  g_clear_pointer (&self->kept, ipc_message_unref);
  g_clear_object (&self->bystander);
  service_free (self->service);
  g_free (self->path);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Target, target_free)

static void
expect_drop (Target *self, Raw **raw, IpcError code, const char *text)
{
  raw_expect_drop (*raw, ipc_error_to_nick (code));
  g_clear_pointer (raw, raw_free);
  assert_ipc_error (service_wait_disconnected (self->service, ++self->n_dropped), code, text);
  g_ptr_array_set_size (self->service->connections, 0);
  client_check (self->bystander);
  g_assert_cmpuint (ipc_test_count_fds (), ==, self->n_fds);
}

static void
leave (Target *self, Raw **raw)
{
  g_clear_pointer (raw, raw_free);
  g_assert_no_error (service_wait_disconnected (self->service, ++self->n_dropped));
  g_ptr_array_set_size (self->service->connections, 0);
}

static guint
count_maps (void)
{
  g_autofree char *maps = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &maps, NULL, NULL));
  for (const char *at = maps; (at = strstr (at, "ipc-glib payload")) != NULL; at++)
    n++;
  return n;
}

/* ── Frames ── */

static guint8 *
make_payload (gsize size)
{
  guint8 *bytes = g_malloc (size);

  for (gsize i = 0; i < size; i++)
    bytes[i] = (guint8) ('a' + (i * 7 + i / 4096) % 26);
  return bytes;
}

/* A request of type `keep` whose payload is in FD, which is closed. */
static void
send_memfd (Raw *raw, guint64 serial, IpcPayloadFormat format, int fd, guint64 size)
{
  const IpcFrame frame = { .kind = IPC_FRAME_REQUEST, .serial = serial, .flags = (guint8) (IPC_FRAME_FLAG_MEMFD | format), .n_fds = 1,
                           .type_length = 4, .length = 12 };
  guint8 bytes[IPC_FRAME_HEADER_SIZE + 12];

  g_assert_no_errno (fd);
  ipc_frame_encode (&frame, bytes);
  memcpy (bytes + IPC_FRAME_HEADER_SIZE, "keep", 4);
  ipc_store_le64 (bytes + IPC_FRAME_HEADER_SIZE + 4, size);
  raw_send_with_fds (raw, bytes, sizeof bytes, &fd, 1);
  close (fd);
}

static int
make_memfd (gsize size, unsigned flags, int seals)
{
  g_autofree guint8 *bytes = make_payload (size);
  int fd = memfd_create ("ipc-glib payload", MFD_CLOEXEC | flags);

  g_assert_no_errno (fd);
  g_assert_cmpint (write (fd, bytes, size), ==, (gssize) size);
  if (seals != 0)
    g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));
  return fd;
}

/* ── What is taken ── */

static void
test_taken (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);
  const gsize sizes[] = { 1, 4095, 4096, 4097, LARGE };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree guint8 *bytes = make_payload (sizes[i]);
      gsize size;
      gconstpointer data;

      /* what is in it beyond the size does not count */
      send_memfd (raw, i + 1, IPC_PAYLOAD_FORMAT_TEXT, make_memfd (sizes[i] + 5, MFD_ALLOW_SEALING, ALL_SEALS), sizes[i]);
      raw_expect_frame (raw, IPC_FRAME_REPLY, i + 1, "kept");
      data = g_bytes_get_data (ipc_message_get_payload (target->kept), &size);
      g_assert_cmpmem (data, size, bytes, sizes[i]);
      g_assert_cmpuint (strlen (ipc_message_get_text (target->kept)), ==, sizes[i]);
      g_assert_cmpuint (ipc_test_count_fds (), ==, target->n_fds + 2);
      g_assert_cmpuint (count_maps (), ==, 1);
    }
  leave (target, &raw);
  /* the map lives as long as the message, not as the connection */
  g_assert_cmpuint (count_maps (), ==, 1);
  g_clear_pointer (&target->kept, ipc_message_unref);
  g_assert_cmpuint (count_maps (), ==, 0);
}

static void
test_empty (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);

  send_memfd (raw, 1, IPC_PAYLOAD_FORMAT_TEXT, make_memfd (0, MFD_ALLOW_SEALING, ALL_SEALS), 0);
  raw_expect_frame (raw, IPC_FRAME_REPLY, 1, "kept");
  g_assert_cmpstr (ipc_message_get_text (target->kept), ==, "");
  leave (target, &raw);
}

/* Other descriptors come before it, and so do headers. */
static void
test_with_others (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Target) target = g_new0 (Target, 1);
  g_autoptr (GVariant) headers = g_variant_ref_sink (g_variant_new_parsed ("@a{ss} {'k': 'v'}"));
  const guint8 headers_size = (guint8) g_variant_get_size (headers);
  const IpcFrame frame = { .kind = IPC_FRAME_REQUEST, .serial = 1, .flags = IPC_FRAME_FLAG_MEMFD | IPC_FRAME_FLAG_HEADERS, .n_fds = 3,
                           .type_length = 4, .length = 16u + headers_size };
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint8 header[IPC_FRAME_HEADER_SIZE];
  int pipes[3];
  g_autoptr (Raw) raw = NULL;

  target->path = g_steal_pointer (&path);
  target->service = service_new (target->path);
  ipc_server_set_max_fds (target->service->server, 2);
  ipc_server_add_handler (target->service->server, "keep", handle_keep, target, NULL);
  g_assert_true (ipc_server_start (target->service->server, NULL));
  target->bystander = client_open (target->path);
  target->n_fds = ipc_test_count_fds ();
  raw = raw_connect_for_fds (target->path, 2, TRUE);

  g_assert_no_errno (pipe (pipes));
  pipes[2] = make_memfd (100, MFD_ALLOW_SEALING, ALL_SEALS);
  ipc_frame_encode (&frame, header);
  g_byte_array_append (bytes, header, sizeof header);
  g_byte_array_append (bytes, (const guint8 *) "keep", 4);
  g_byte_array_append (bytes, (const guint8[4]) { headers_size }, 4);
  g_byte_array_append (bytes, g_variant_get_data (headers), headers_size);
  g_byte_array_append (bytes, (const guint8[8]) { 100 }, 8);
  raw_send_with_fds (raw, bytes->data, bytes->len, pipes, 3);
  for (guint i = 0; i < 3; i++)
    close (pipes[i]);
  raw_expect_frame (raw, IPC_FRAME_REPLY, 1, "kept");
  g_assert_cmpint (g_unix_fd_list_get_length (ipc_message_get_fd_list (target->kept)), ==, 2);
  g_assert_cmpstr (ipc_message_get_header (target->kept, "k"), ==, "v");
  g_assert_cmpuint (g_bytes_get_size (ipc_message_get_payload (target->kept)), ==, 100);
  g_assert_cmpuint (ipc_test_count_fds (), ==, target->n_fds + 4);
  g_clear_pointer (&target->kept, ipc_message_unref);
  g_assert_cmpuint (ipc_test_count_fds (), ==, target->n_fds + 2);
  leave (target, &raw);
}

/* The format is judged as that of any payload, and the connection goes on. */
static void
test_bad_content (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);

  send_memfd (raw, 1, IPC_PAYLOAD_FORMAT_VARIANT, make_memfd (5000, MFD_ALLOW_SEALING, ALL_SEALS), 5000);
  raw_expect_frame (raw, IPC_FRAME_ERROR, 1, "invalid-data");
  send_memfd (raw, 2, IPC_PAYLOAD_FORMAT_JSON, make_memfd (5000, MFD_ALLOW_SEALING, ALL_SEALS), 5000);
  raw_expect_frame (raw, IPC_FRAME_ERROR, 2, "invalid-data");
  g_assert_cmpuint (count_maps (), ==, 0);
  leave (target, &raw);
}

/* ── What is not ── */

static void
check_refused (Target *target, int fd, guint64 size, const char *text)
{
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);

  send_memfd (raw, 1, IPC_PAYLOAD_FORMAT_BYTES, fd, size);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, text);
  g_assert_null (target->kept);
}

static void
test_not_sealed (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  const int seals[] = { 0, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW, ALL_SEALS & ~F_SEAL_SHRINK, ALL_SEALS & ~F_SEAL_GROW, ALL_SEALS & ~F_SEAL_SEAL };

  for (guint i = 0; i < G_N_ELEMENTS (seals); i++)
    check_refused (target, make_memfd (LARGE, MFD_ALLOW_SEALING, seals[i]), LARGE, "expected a sealed memfd, got one with the seals 0x");
  check_refused (target, make_memfd (LARGE, 0, 0), LARGE, "expected a sealed memfd, got one with the seals 0x1 instead of 0xf");
}

static int
open_as (int fd, int flags)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  int again = open (path, flags | O_CLOEXEC);

  g_assert_no_errno (again);
  close (fd);
  return again;
}

static void
test_other_kinds (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autofree char *file = ipc_test_path (test, "file");

  g_assert_true (g_file_set_contents (file, "some content", -1, NULL));
  check_refused (target, open ("/dev/zero", O_RDWR | O_CLOEXEC), LARGE, "got a descriptor of another kind");
  check_refused (target, open ("/dev/null", O_RDWR | O_CLOEXEC), 0, "got a descriptor of another kind");
  check_refused (target, open (file, O_RDONLY | O_CLOEXEC), 5, "expected a sealed memfd");
  check_refused (target, open ("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 5, "got a descriptor of another kind");
  check_refused (target, open (file, O_PATH | O_CLOEXEC), 5, "got a descriptor of another kind");
  check_refused (target, open_as (make_memfd (LARGE, MFD_ALLOW_SEALING, ALL_SEALS), O_PATH), LARGE, "got a descriptor of another kind");
  for (guint end = 0; end < 2; end++)
    {
      int pipes[2];

      g_assert_no_errno (pipe (pipes));
      close (pipes[1 - end]);
      check_refused (target, pipes[end], 5, "got a descriptor of another kind");
    }
}

/* The connection itself, and the other end of it. */
static void
test_the_socket_itself (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);

  send_memfd (raw, 1, IPC_PAYLOAD_FORMAT_BYTES, dup (raw->fd), LARGE);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "got a descriptor of another kind");
}

static void
test_too_small (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  int fd;

  check_refused (target, make_memfd (100, MFD_ALLOW_SEALING, ALL_SEALS), 101, "a payload of 101 bytes in a memfd of 100");
  check_refused (target, make_memfd (0, MFD_ALLOW_SEALING, ALL_SEALS), 1, "a payload of 1 bytes in a memfd of 0");
  /* a hole, which reading would fill with memory of the reader */
  fd = memfd_create ("ipc-glib payload", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_assert_no_errno (ftruncate (fd, LARGE));
  g_assert_cmpint (pwrite (fd, "x", 1, LARGE - 1), ==, 1);
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, ALL_SEALS));
  check_refused (target, fd, LARGE, "a payload of 307200 bytes in a memfd that holds only 4096");
}

static void
test_hugetlb (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  int fd = memfd_create ("ipc-glib payload", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);

  if (fd < 0)
    {
      g_test_skip ("no huge pages here");
      return;
    }
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, ALL_SEALS));
  check_refused (target, fd, 0, "got a descriptor of another kind");
}

static void
test_too_large (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  const guint64 limit = 16 << 20;
  const guint64 sizes[] = { limit - 3, limit, G_MAXUINT64, G_MAXUINT64 - 7, G_MAXINT64 };
  g_autoptr (Raw) good = raw_connect_for_fds (target->path, 0, TRUE);

  /* type and payload together are just what is allowed */
  send_memfd (good, 1, IPC_PAYLOAD_FORMAT_BYTES, make_memfd (limit - 4, MFD_ALLOW_SEALING, ALL_SEALS), limit - 4);
  raw_expect_frame (good, IPC_FRAME_REPLY, 1, "kept");
  g_clear_pointer (&target->kept, ipc_message_unref);
  leave (target, &good);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);
      g_autofree char *text = g_strdup_printf ("a message of 4 bytes and %" G_GUINT64_FORMAT " in a memfd exceeds the limit of 16777216", sizes[i]);

      send_memfd (raw, 1, IPC_PAYLOAD_FORMAT_BYTES, make_memfd (100, MFD_ALLOW_SEALING, ALL_SEALS), sizes[i]);
      expect_drop (target, &raw, IPC_ERROR_TOO_LARGE, text);
    }
}

static void
test_not_agreed (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, FALSE);

  send_memfd (raw, 1, IPC_PAYLOAD_FORMAT_BYTES, make_memfd (100, MFD_ALLOW_SEALING, ALL_SEALS), 100);
  expect_drop (target, &raw, IPC_ERROR_INVALID_DATA, "which was not agreed on");
}

/* No room in the table of descriptors: nothing came, and the peer is told why it goes. */
static void
test_fd_limit (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);
  struct rlimit old, low;
  int next = dup (raw->fd);

  close (next);
  send_memfd (raw, 1, IPC_PAYLOAD_FORMAT_BYTES, make_memfd (100, MFD_ALLOW_SEALING, ALL_SEALS), 100);
  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &old));
  low = old;
  low.rlim_cur = (rlim_t) next;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
  ipc_test_wait_for (target->service->reasons->len > 0);
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &old));
  raw_expect_drop (raw, "remote");
  g_clear_pointer (&raw, raw_free);
  assert_ipc_error (service_wait_disconnected (target->service, ++target->n_dropped), IPC_ERROR_LIMIT_EXCEEDED, "fd limit reached: only 0");
  g_ptr_array_set_size (target->service->connections, 0);
}

/* ── Sending ── */

/* Takes the next message of RAW, whose payload has to be PAYLOAD: whether it came in a memfd. */
static gboolean
expect_payload (Raw *raw, GBytes *payload)
{
  g_auto (RawFrame) frame = { 0 };
  const void *data;
  gsize size;
  int fd;

  g_assert_true (raw_next_frame (raw, &frame));
  g_assert_cmpstr (frame.type, ==, "large");
  if ((frame.header.flags & IPC_FRAME_FLAG_MEMFD) == 0)
    {
      g_assert_cmpint (frame.header.n_fds, ==, 0);
      data = g_bytes_get_data (frame.body, &size);
      g_assert_cmpmem ((const char *) data + 5, size - 5, g_bytes_get_data (payload, NULL), g_bytes_get_size (payload));
      return FALSE;
    }
  g_assert_cmpint (frame.header.n_fds, ==, 1);
  g_assert_cmpuint (frame.header.length, ==, 5 + 8);
  g_assert_cmpuint (raw->fds->len, >, 0);
  fd = g_array_index (raw->fds, int, 0);
  g_array_remove_index (raw->fds, 0);
  data = g_bytes_get_data (frame.body, NULL);
  size = ipc_load_le64 ((const guint8 *) data + 5);
  g_assert_cmpuint (size, ==, g_bytes_get_size (payload));
  g_assert_true (ipc_memfd_map (fd, size, &data, NULL));
  close (fd);
  g_assert_cmpmem (data, size, g_bytes_get_data (payload, NULL), size);
  ipc_memfd_unmap (data, size);
  return TRUE;
}

static GBytes *
new_payload (gsize size)
{
  return g_bytes_new_take (make_payload (size), size);
}

static void
broadcast (Target *self, IpcMessage *message)
{
  guint n_dropped;

  g_assert_cmpuint (ipc_server_broadcast (self->service->server, message, &n_dropped), >, 0);
  g_assert_cmpuint (n_dropped, ==, 0);
}

static IpcMessage *
handle_large (IpcServer *no_server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  IpcMessage **kept = data;

  g_clear_pointer (kept, ipc_message_unref);
  *kept = ipc_message_ref (message);
  return NULL;
}

/* Between a server and a client with whom nothing was set, both ways. */
static void
test_defaults (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (IpcClient) client = client_open (target->path);
  g_autoptr (GBytes) payload = new_payload (LARGE);
  g_autoptr (IpcMessage) event = ipc_message_new ("large", payload), answer = ipc_message_new ("keep", payload), came = NULL;
  g_autoptr (GError) error = NULL;

  ipc_client_add_handler (client, "large", handle_large, &came, NULL);
  for (guint i = 1; i <= IPC_SHARED_PAYLOAD_AFTER; i++)
    {
      broadcast (target, event);
      ipc_test_wait_for (came != NULL);
      g_assert_true (g_bytes_equal (ipc_message_get_payload (came), payload));
      g_assert_cmpuint (count_maps (), ==, i == IPC_SHARED_PAYLOAD_AFTER);
      g_clear_pointer (&came, ipc_message_unref);
      g_assert_true (ipc_connection_send (ipc_client_get_connection (client), answer, &error));
      g_assert_no_error (error);
      ipc_test_wait_for (target->kept != NULL);
      g_assert_cmpuint (count_maps (), ==, i == IPC_SHARED_PAYLOAD_AFTER);
      g_clear_pointer (&target->kept, ipc_message_unref);
    }
  ipc_client_close (client);
  g_assert_no_error (service_wait_disconnected (target->service, ++target->n_dropped));
  g_ptr_array_set_size (target->service->connections, 0);
}

/* A message is worth a memfd when it is sent again and again, to those who take one. */
static void
test_sent_again (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) able = raw_connect_for_fds (target->path, 0, TRUE);
  g_autoptr (Raw) unable = raw_connect_for_fds (target->path, 16, FALSE);
  g_autoptr (GBytes) payload = new_payload (LARGE);
  g_autoptr (IpcMessage) message = ipc_message_new ("large", payload);
  guint n_fds = ipc_test_count_fds ();

  for (guint i = 1; i < 2 * IPC_SHARED_PAYLOAD_AFTER; i++)
    {
      broadcast (target, message);
      g_assert_cmpint (expect_payload (able, payload), ==, i >= IPC_SHARED_PAYLOAD_AFTER);
      g_assert_false (expect_payload (unable, payload));
      ipc_test_settle ();
      g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds + (i >= IPC_SHARED_PAYLOAD_AFTER));
    }
  g_clear_pointer (&message, ipc_message_unref);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  leave (target, &able);
  leave (target, &unable);
}

static void
test_small_stays_inline (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);
  g_autoptr (GBytes) payload = new_payload (IPC_SHARED_PAYLOAD_MIN - 1);
  g_autoptr (IpcMessage) message = ipc_message_new ("large", payload);

  for (guint i = 1; i < 2 * IPC_SHARED_PAYLOAD_AFTER; i++)
    {
      broadcast (target, message);
      g_assert_false (expect_payload (raw, payload));
      ipc_test_settle ();
    }
  leave (target, &raw);
}

/* Without descriptors to be had, and with too many shared already, it goes as ever. */
static void
test_none_to_be_had (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);
  g_autoptr (GBytes) payload = new_payload (LARGE);
  g_autoptr (GPtrArray) messages = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  struct rlimit old, low;
  int next;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &old));
  for (guint i = 0; i <= IPC_SHARED_PAYLOADS_MAX + 1; i++)
    {
      IpcMessage *message = ipc_message_new ("large", payload);
      gboolean shared = FALSE;

      g_ptr_array_add (messages, message);
      next = dup (raw->fd);
      close (next);
      low = old;
      low.rlim_cur = (rlim_t) next;
      for (guint k = 0; k < IPC_SHARED_PAYLOAD_AFTER; k++)
        {
          if (i == 0)
            g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &low));
          broadcast (target, message);
          g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &old));
          shared = expect_payload (raw, payload);
          ipc_test_settle ();
        }
      g_assert_cmpint (shared, ==, i > 0 && i <= IPC_SHARED_PAYLOADS_MAX);
    }
  g_ptr_array_set_size (messages, 0);
  leave (target, &raw);
}

/* What waits for a client that does not read counts as if it were inline, and goes when the client goes. */
static void
test_counts_as_queued (IpcTest *test)
{
  g_autoptr (Target) target = target_new (test);
  g_autoptr (Raw) raw = raw_connect_for_fds (target->path, 0, TRUE);
  g_autoptr (GBytes) payload = new_payload (1 << 20);
  g_autoptr (IpcMessage) message = ipc_message_new ("large", payload);
  g_autoptr (IpcConnection) connection = g_list_model_get_item (ipc_server_get_connections (target->service->server), 1);
  g_autoptr (GError) error = NULL;
  guint n = 0;

  while (ipc_connection_send (connection, message, &error))
    if (++n == IPC_SHARED_PAYLOAD_AFTER)
      while (n < 50)
        {
          /* those that were sent inline have to go first */
          ipc_test_iterate (3);
          expect_payload (raw, payload);
          if (ipc_connection_get_queued_bytes (connection) == 0)
            break;
        }
  assert_ipc_error (error, IPC_ERROR_FULL, "bytes wait to be sent, and 1048613 more exceed the limit of 4194304");
  g_assert_cmpuint (ipc_connection_get_queued_bytes (connection), >, 3u << 20);
  g_assert_cmpuint (ipc_connection_get_queued_bytes (connection), <=, 4u << 20);
  g_clear_object (&connection);
  leave (target, &raw);
}

static const struct
{
  const char *path;
  IpcTestFunc func;
} tests[] = {
  { "taken", test_taken },
  { "empty", test_empty },
  { "with-others", test_with_others },
  { "bad-content", test_bad_content },
  { "not-sealed", test_not_sealed },
  { "other-kinds", test_other_kinds },
  { "the-socket-itself", test_the_socket_itself },
  { "too-small", test_too_small },
  { "hugetlb", test_hugetlb },
  { "too-large", test_too_large },
  { "not-agreed", test_not_agreed },
  { "fd-limit", test_fd_limit },
  { "defaults", test_defaults },
  { "sent-again", test_sent_again },
  { "small-stays-inline", test_small_stays_inline },
  { "none-to-be-had", test_none_to_be_had },
  { "counts-as-queued", test_counts_as_queued },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strconcat ("/socket/memfd/", tests[i].path, NULL);

      ipc_test_add (path, tests[i].func);
    }
  return ipc_test_run ();
}
