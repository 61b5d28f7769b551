/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <json-glib/json-glib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/ipc-frame.h"

#define PATIENCE_US (20 * G_USEC_PER_SEC)

/* ---- running ---- */

void
fuzz_run_until (FuzzCondition done, gpointer data)
{
  gint64 end = g_get_monotonic_time () + PATIENCE_US;

  while (!done (data))
    {
      if (!g_main_context_iteration (NULL, FALSE))
        g_usleep (50);
      g_assert_cmpint (g_get_monotonic_time (), <, end);
    }
}

void
fuzz_settle (void)
{
  for (guint i = 0; i < 10000 && g_main_context_iteration (NULL, FALSE); i++)
    ;
}

void
fuzz_be_strict (void)
{
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
}

static char *directory_to_remove;

static void
remove_below (const char *path)
{
  g_autoptr (GDir) directory = g_dir_open (path, 0, NULL);
  const char *name;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL)
    {
      g_autofree char *entry = g_build_filename (path, name, NULL);

      g_remove (entry);
    }
}

static void
remove_directory (void)
{
  remove_below (directory_to_remove);
  g_rmdir (directory_to_remove);
  g_clear_pointer (&directory_to_remove, g_free);
}

char *
fuzz_directory (void)
{
  g_autoptr (GError) error = NULL;
  char *path = g_dir_make_tmp ("ipc-fuzz-XXXXXX", &error);

  g_assert_no_error (error);
  g_assert_null (directory_to_remove);
  directory_to_remove = g_strdup (path);
  atexit (remove_directory);
  return path;
}

/* ---- the honest ---- */

static GPtrArray *held;    /* (element-type IpcMessage) requests, */
static GPtrArray *holders; /* (element-type IpcConnection) and where they came from */

static IpcMessage *
handle_echo (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return ipc_message_new_full ("echo_response", ipc_message_get_format (request), ipc_message_get_payload (request),
                               NULL, ipc_message_get_fd_list (request));
}

static IpcMessage *
handle_hold (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_ptr_array_add (held, ipc_message_ref (request));
  g_ptr_array_add (holders, g_object_ref (connection));
  return NULL;
}

void
fuzz_release (void)
{
  for (guint i = 0; held != NULL && i < held->len; i++)
    {
      g_autoptr (IpcMessage) reply = ipc_message_new_text ("held", "");

      /* every other one is let go without an answer */
      if (i % 2 == 0)
        ipc_connection_reply (holders->pdata[i], held->pdata[i], reply, NULL);
    }
  if (held != NULL)
    g_ptr_array_set_size (held, 0);
  if (holders != NULL)
    g_ptr_array_set_size (holders, 0);
}

/* As an application would: everything that a message has is asked for, whatever it is. */
static void
look_at (IpcMessage *message)
{
  const char *text = ipc_message_get_text (message);
  GVariant *variant = ipc_message_get_variant (message);

  g_assert_nonnull (ipc_message_get_payload (message));
  g_assert_nonnull (ipc_message_get_id (message));
  g_assert_true (g_utf8_validate (ipc_message_get_message_type (message), -1, NULL));
  if (text != NULL)
    g_assert_true (g_utf8_validate (text, -1, NULL));
  if (variant != NULL)
    g_free (g_variant_print (variant, TRUE));
  g_hash_table_unref (ipc_message_get_headers (message));
  ipc_message_get_json (message);
  ipc_message_get_header (message, "code");
  if (ipc_message_get_fd_list (message) != NULL)
    g_assert_cmpint (g_unix_fd_list_get_length (ipc_message_get_fd_list (message)), <=, FUZZ_MAX_FDS);
}

static void
server_got_message (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  look_at (message);
}

static void
client_got_message (IpcClient *client, IpcMessage *message, gpointer data)
{
  look_at (message);
}

static void
make_room (void)
{
  if (held != NULL)
    return;
  held = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  holders = g_ptr_array_new_with_free_func (g_object_unref);
}

IpcServer *
fuzz_start_server (const char *directory, const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  IpcServer *server = IPC_SERVER (ipc_socket_server_new (path));
  g_autoptr (GError) error = NULL;

  make_room ();
  ipc_server_set_max_fds (server, FUZZ_MAX_FDS);
  ipc_server_add_handler (server, "echo", handle_echo, NULL, NULL);
  ipc_server_add_handler (server, "hold", handle_hold, NULL, NULL);
  g_signal_connect (server, "message-received", G_CALLBACK (server_got_message), NULL);
  ipc_server_start (server, &error);
  g_assert_no_error (error);
  return server;
}

void
fuzz_add_handlers_to_client (IpcClient *client)
{
  make_room ();
  ipc_client_add_handler (client, "echo", handle_echo, NULL, NULL);
  ipc_client_add_handler (client, "hold", handle_hold, NULL, NULL);
  g_signal_connect (client, "message-received", G_CALLBACK (client_got_message), NULL);
}

static gboolean
is_open (gpointer client)
{
  return ipc_client_get_state (client) == IPC_CLIENT_STATE_OPEN;
}

IpcClient *
fuzz_open_client (IpcServer *server)
{
  IpcClient *client = IPC_CLIENT (ipc_socket_client_new (ipc_server_get_address (server)));

  ipc_client_open_async (client, NULL, NULL, NULL);
  fuzz_run_until (is_open, client);
  return client;
}

static void
got_answer (GObject *client, GAsyncResult *result, gpointer answered)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) reply = ipc_client_request_finish (IPC_CLIENT (client), result, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, "honest");
  *(gboolean *) answered = TRUE;
}

static gboolean
is_true (gpointer value)
{
  return *(gboolean *) value;
}

void
fuzz_check_honest (IpcClient *client)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "honest");
  gboolean answered = FALSE;

  ipc_client_request_async (client, request, 10000, NULL, got_answer, &answered);
  fuzz_run_until (is_true, &answered);
}

/* ---- the other ---- */

static GVariant *
make_hello (guint flags)
{
  const char *features[] = { "memfd", NULL };
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  if (flags & FUZZ_FDS)
    {
      g_variant_builder_add (&builder, "{sv}", "max-fds", g_variant_new_uint32 (FUZZ_MAX_FDS));
      g_variant_builder_add (&builder, "{sv}", "features", g_variant_new_strv (features, 1));
    }
  return g_variant_ref_sink (g_variant_builder_end (&builder));
}

gboolean
fuzz_write_handshake (int fd, guint flags)
{
  g_autoptr (GVariant) hello = make_hello (flags);
  const gsize size = g_variant_get_size (hello);
  const IpcFrame frame = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT, .length = (guint32) size };
  guint8 bytes[IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE + 256];

  g_assert_cmpuint (size, <=, 256);
  memcpy (bytes, ipc_preamble, IPC_PREAMBLE_SIZE);
  ipc_frame_encode (&frame, bytes + IPC_PREAMBLE_SIZE);
  g_variant_store (hello, bytes + IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE);
  return send (fd, bytes, sizeof bytes - 256 + size, MSG_NOSIGNAL) == (gssize) (sizeof bytes - 256 + size);
}

int
fuzz_lowest_fd (void)
{
  int fd = dup (STDERR_FILENO);

  close (fd);
  return fd;
}

gboolean
fuzz_drain (int fd)
{
  guint8 buffer[16384];
  gssize n;

  do
    n = recv (fd, buffer, sizeof buffer, MSG_DONTWAIT);
  while (n > 0 || (n < 0 && errno == EINTR));
  return n < 0 && errno == EAGAIN;
}

/* ---- what goes along ---- */

static guint32
draw (guint32 *state)
{
  *state = *state * 1103515245u + 12345u;
  return *state >> 16;
}

/* One that is fit for a payload, mostly. */
static int
open_memfd (guint32 *state)
{
  static const char content[] = "{\"a\":[1,2,3]}";
  int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  int fd = memfd_create ("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

  g_assert_no_errno (fd);
  g_assert_cmpint (write (fd, content, sizeof content - 1), ==, sizeof content - 1);
  if (draw (state) % 8 == 0)
    seals &= (int) draw (state);
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));
  return fd;
}

/* What the header at HEADER asks for, now and then more or less: how many there are in FDS. Never the peer's own end of
 * the connection, which is only found out after half a minute. */
static guint
open_fds (const guint8 *header, guint32 *state, int *fds)
{
  guint n = header[IPC_FRAME_N_FDS_AT] % 8;

  if (draw (state) % 16 == 0)
    n = draw (state) % 8;
  for (guint i = 0; i < n; i++)
    if (i + 1 == n && (header[IPC_FRAME_FLAGS_AT] & IPC_FRAME_FLAG_MEMFD) != 0)
      fds[i] = open_memfd (state);
    else
      fds[i] = draw (state) % 4 == 0 ? open ("/", O_PATH | O_CLOEXEC) : open ("/dev/zero", O_RDWR | O_CLOEXEC);
  return n;
}

static gssize
send_with_fds (int socket_fd, const guint8 *bytes, gsize size, const int *fds, guint n)
{
  union { struct cmsghdr align; char bytes[CMSG_SPACE (8 * sizeof (int))]; } control = { 0 };
  struct iovec iov = { (gpointer) bytes, size };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE (n * sizeof (int)) };
  struct cmsghdr *part = CMSG_FIRSTHDR (&message);

  if (n == 0)
    return send (socket_fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN (n * sizeof (int));
  memcpy (CMSG_DATA (part), fds, n * sizeof (int));
  return sendmsg (socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* The first frame is at FUZZ_PREFIX_SIZE; *FRAME is where the next one will begin. */
static gssize
send_piece (int fd, const guint8 *input, gsize at, gsize end, gsize size, gsize *frame, guint32 *state)
{
  gboolean begins = at == *frame && size - at >= IPC_FRAME_HEADER_SIZE;
  int fds[8];
  guint n = begins ? open_fds (input + at, state, fds) : 0;
  gssize sent = send_with_fds (fd, input + at, end - at, fds, n);

  if (sent > 0 && begins)
    *frame += IPC_FRAME_HEADER_SIZE + (gsize) ipc_load_le32 (input + at);
  for (guint i = 0; i < n; i++)
    close (fds[i]);
  return sent;
}

void
fuzz_dribble (int fd, const guint8 *input, gsize size)
{
  guint32 state = input[0];
  guint32 most = input[1] & FUZZ_SPLIT ? 7 : 1400;
  gsize at = FUZZ_PREFIX_SIZE;
  gsize frame = (input[1] & (FUZZ_FDS | FUZZ_HANDSHAKE)) == (FUZZ_FDS | FUZZ_HANDSHAKE) ? at : G_MAXSIZE;

  while (at < size)
    {
      gsize piece = 1 + draw (&state) % most;
      gsize end = at + MIN (size - at, piece);
      gssize n;

      /* a write with descriptors starts at their frame */
      if (frame > at && frame < end)
        end = frame;
      n = send_piece (fd, input, at, end, size, &frame, &state);
      if (n < 0 && errno != EAGAIN)
        break;
      at += n > 0 ? (gsize) n : 0;
      g_main_context_iteration (NULL, FALSE);
      if (!fuzz_drain (fd))
        break;
    }
}
