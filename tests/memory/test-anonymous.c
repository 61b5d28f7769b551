/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Segments without a name: their descriptors, those of others, and what is sealed.
 */
#include "memory-test.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-scope-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-section.h"
#include "ipc-message.h"
#include "ipc-socket-client.h"
#include "ipc-socket-server.h"
#include "memory/ipc-shared-memory-private.h"

#define SIZE 10000u

static IpcSharedMemory *
anonymous_new (gsize size)
{
  g_autoptr(GError) error = NULL;
  IpcSharedMemory *segment = ipc_shared_memory_new_anonymous (size, &error);

  g_assert_no_error (error);
  g_assert_nonnull (segment);
  return segment;
}

static int
dup_fd (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;
  int fd = ipc_shared_memory_dup_fd (segment, &error);

  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, !=, 0);
  return fd;
}

/* Closes FD. */
static IpcSharedMemory *
from_fd (int fd)
{
  g_autoptr(GError) error = NULL;
  IpcSharedMemory *segment = ipc_shared_memory_new_from_fd (fd, &error);

  g_assert_no_error (error);
  g_assert_nonnull (segment);
  g_assert_no_errno (close (fd));
  return segment;
}

/* The same; it is still open before. */
static void
assert_refused (int fd, int code)
{
  g_autoptr(GError) error = NULL;
  guint n_fds = ipc_test_count_fds ();

  g_assert_no_errno (fd);
  memory_test_fails (ipc_shared_memory_new_from_fd (fd, &error) != NULL, &error, code);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  g_assert_no_errno (close (fd));
}

/* ── One's own ── */

static void
test_new (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  g_autoptr(IpcSharedMemory) same = from_fd (dup_fd (segment));
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_shared_memory_get_name (segment));
  g_assert_cmpuint (ipc_shared_memory_get_size (segment), ==, SIZE);
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (segment), ==, 1);
  g_assert_cmpstr (ipc_shared_memory_get_id (segment), ==, ipc_shared_memory_get_id (same));
  g_assert_cmpuint (ipc_shared_memory_get_generation (segment), ==, ipc_shared_memory_get_generation (same));
  memory_test_write_value (same, 0, 3, SIZE);
  memory_test_assert_value (segment, 0, 3, SIZE);
  g_assert_true (ipc_shared_memory_lock (segment, 0, NULL, &error));
  g_assert_false (ipc_shared_memory_try_lock (same, &error));
  g_assert_true (ipc_shared_memory_unlock (segment, &error));
  g_assert_true (ipc_shared_memory_resize (segment, 3 * SIZE, &error));
  g_assert_no_error (error);
  memory_test_write_value (same, SIZE, 4, 2 * SIZE);
  memory_test_assert_value (segment, SIZE, 4, 2 * SIZE);
  g_assert_false (ipc_shared_memory_get_is_deleted (segment));
}

static void
test_sizes (IpcTest *test)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcSharedMemory) least = anonymous_new (1);

  memory_test_fails (ipc_shared_memory_new_anonymous (0, &error) != NULL, &error, IPC_ERROR_INVALID_ARGUMENT);
  memory_test_fails (ipc_shared_memory_new_anonymous (G_MAXSIZE, &error) != NULL, &error, IPC_ERROR_TOO_LARGE);
  memory_test_fails (ipc_shared_memory_new_anonymous (G_MAXSIZE - 4095, &error) != NULL, &error, IPC_ERROR_TOO_LARGE);
  memory_test_fails (ipc_shared_memory_new_anonymous (((gsize) 1 << 30) + 1, &error) != NULL, &error, IPC_ERROR_LIMIT_EXCEEDED);
  memory_test_fails (ipc_shared_memory_resize (least, ((gsize) 1 << 30) + 1, &error), &error, IPC_ERROR_LIMIT_EXCEEDED);
}

/* By other means than the library. */
static void
test_offset (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  int fd = dup_fd (segment);
  guint8 byte;

  memory_test_write_value (segment, 0, 7, SIZE);
  g_assert_cmpint (pread (fd, &byte, 1, (off_t) ipc_shared_memory_get_fd_offset (segment) + SIZE - 1), ==, 1);
  g_assert_cmpuint (byte, ==, 7);
  /* Nobody can make it shorter. */
  g_assert_cmpint (ftruncate (fd, 4096), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  close (fd);
}

static int
reopen (int fd, int flags)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  int other = open (path, flags | O_CLOEXEC);

  g_assert_no_errno (other);
  close (fd);
  return other;
}

static void
test_read_only (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  g_autoptr(IpcSharedMemory) reader = from_fd (reopen (dup_fd (segment), O_RDONLY));
  g_autoptr(GError) error = NULL;

  g_assert_cmpint (ipc_shared_memory_get_access (reader), ==, IPC_ACCESS_READ);
  memory_test_write_value (segment, 0, 3, SIZE);
  memory_test_assert_value (reader, 0, 3, SIZE);
  memory_test_fails (ipc_shared_memory_write_data (reader, 0, "x", 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  memory_test_fails (ipc_shared_memory_resize (reader, 2 * SIZE, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  memory_test_fails (ipc_shared_memory_seal (reader, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  memory_test_fails (ipc_shared_memory_lock (reader, 0, NULL, &error), &error, IPC_ERROR_UNSUPPORTED);
  assert_refused (reopen (dup_fd (segment), O_WRONLY), IPC_ERROR_INVALID_ARGUMENT);
  assert_refused (reopen (dup_fd (segment), O_PATH), IPC_ERROR_INVALID_ARGUMENT);
}

/* ── Sealed ── */

static gpointer
read_thread (gpointer data)
{
  IpcSharedMemory *segment = data;

  for (guint i = 0; i < 2000; i++)
    memory_test_assert_value (segment, 0, 3, 64);
  return NULL;
}

/* With views, and with others that read. */
static void
test_seal (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  g_autoptr(IpcSharedMemory) reader = NULL;
  g_autoptr(GBytes) view = ipc_shared_memory_get_bytes (segment, 0, SIZE, NULL);
  g_autoptr(GError) error = NULL;
  const guint8 *bytes = g_bytes_get_data (view, NULL);
  GThread *threads[2];
  int fd;

  memory_test_write_value (segment, 0, 3, SIZE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("read", read_thread, segment);
  g_assert_true (ipc_shared_memory_seal (segment, &error));
  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_true (ipc_shared_memory_get_is_sealed (segment));
  g_assert_true (ipc_shared_memory_seal (segment, &error));
  memory_test_assert_value (segment, 0, 3, SIZE);
  g_assert_cmpuint (bytes[SIZE - 1], ==, 3);
  memory_test_fails (ipc_shared_memory_write_data (segment, 0, "x", 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  memory_test_fails (ipc_shared_memory_add_int64 (segment, 0, 1, NULL, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  memory_test_fails (ipc_shared_memory_resize (segment, 2 * SIZE, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  fd = dup_fd (segment);
  g_assert_cmpint (fcntl (fd, F_GET_SEALS) & F_SEAL_WRITE, !=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_ACCMODE, ==, O_RDONLY);
  reader = from_fd (fd);
  g_assert_true (ipc_shared_memory_get_is_sealed (reader));
  g_assert_cmpint (ipc_shared_memory_get_access (reader), ==, IPC_ACCESS_READ);
  memory_test_assert_value (reader, 0, 3, SIZE);
}

static void
test_seal_grown (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  g_autoptr(GError) error = NULL;

  memory_test_write_value (segment, 0, 3, SIZE);
  g_assert_true (ipc_shared_memory_resize (segment, 100 * SIZE, &error));
  memory_test_write_value (segment, SIZE, 3, 99 * SIZE);
  g_assert_true (ipc_shared_memory_seal (segment, &error));
  g_assert_no_error (error);
  memory_test_assert_value (segment, 0, 3, 100 * SIZE);
}

/* Somebody else could write, so it cannot be; and it is as it was. */
static void
test_seal_in_use (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  g_autoptr(IpcSharedMemory) other = from_fd (dup_fd (segment));
  g_autoptr(GError) error = NULL;

  memory_test_assert_fails (ipc_shared_memory_seal (segment, &error), &error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_false (ipc_shared_memory_get_is_sealed (segment));
  memory_test_write_value (segment, 0, 4, SIZE);
  memory_test_assert_value (other, 0, 4, SIZE);
  memory_test_write_value (other, 0, 5, SIZE);
  memory_test_assert_value (segment, 0, 5, SIZE);
  g_clear_object (&other);
  g_assert_true (ipc_shared_memory_seal (segment, &error));
  g_assert_no_error (error);
}

/* ── Of somebody else ── */

static int
foreign_fd (gsize size, int seals)
{
  int fd = memfd_create ("foreign", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  g_autofree guint8 *bytes = g_malloc (size + 1);

  g_assert_no_errno (fd);
  memset (bytes, 6, size);
  g_assert_cmpint (pwrite (fd, bytes, size, 0), ==, (gssize) size);
  g_assert_no_errno (fcntl (fd, F_ADD_SEALS, seals));
  return fd;
}

static void
test_foreign (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) writable = from_fd (foreign_fd (SIZE, F_SEAL_SHRINK));
  g_autoptr(IpcSharedMemory) sealed = from_fd (foreign_fd (SIZE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
  g_autoptr(GError) error = NULL;

  g_assert_cmpuint (ipc_shared_memory_get_size (writable), ==, SIZE);
  g_assert_cmpuint (ipc_shared_memory_get_fd_offset (writable), ==, 0);
  g_assert_cmpuint (ipc_shared_memory_get_generation (writable), ==, 0);
  memory_test_assert_value (writable, 0, 6, SIZE);
  memory_test_write_value (writable, 0, 7, SIZE);
  memory_test_assert_value (writable, 0, 7, SIZE);
  memory_test_fails (ipc_shared_memory_resize (writable, 2 * SIZE, &error), &error, IPC_ERROR_UNSUPPORTED);
  memory_test_fails (ipc_shared_memory_seal (writable, &error), &error, IPC_ERROR_UNSUPPORTED);
  g_assert_true (ipc_shared_memory_lock (writable, 0, NULL, &error));
  g_assert_true (ipc_shared_memory_unlock (writable, &error));
  memory_test_assert_value (sealed, 0, 6, SIZE);
  memory_test_fails (ipc_shared_memory_write_data (sealed, 0, "x", 1, &error), &error, IPC_ERROR_PERMISSION_DENIED);
}

static void
test_refused (IpcTest *test)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *fifo = ipc_test_path (test, "fifo");
  g_autofree char *file = ipc_test_path (test, "file");
  int closed = dup (0);

  assert_refused (foreign_fd (SIZE, 0), IPC_ERROR_INVALID_DATA);
  assert_refused (foreign_fd (SIZE, F_SEAL_GROW | F_SEAL_WRITE), IPC_ERROR_INVALID_DATA);
  assert_refused (foreign_fd (0, F_SEAL_SHRINK), IPC_ERROR_INVALID_ARGUMENT);
  assert_refused (open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), IPC_ERROR_WRONG_TYPE);
  assert_refused (open ("/dev/zero", O_RDWR | O_CLOEXEC), IPC_ERROR_WRONG_TYPE);
  g_assert_no_errno (mkfifo (fifo, 0600));
  assert_refused (open (fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC), IPC_ERROR_WRONG_TYPE);
  assert_refused (open ("/proc/self/status", O_RDONLY | O_CLOEXEC), IPC_ERROR_INVALID_ARGUMENT);
  g_assert_true (g_file_set_contents (file, "some text that is longer than nothing", -1, NULL));
  assert_refused (open (file, O_RDWR | O_CLOEXEC), IPC_ERROR_INVALID_DATA);
  close (closed);
  g_assert_null (ipc_shared_memory_new_from_fd (closed, &error));
  g_assert_nonnull (error);
  g_clear_error (&error);
  g_assert_null (ipc_shared_memory_new_from_fd (-1, &error));
  g_assert_nonnull (error);
}

/* What the header says is believed only as far as it adds up, and as there are bytes. */
static void
test_flipped (IpcTest *test)
{
  for (guint at = 0; at < 200; at++)
    {
      g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
      g_autoptr(IpcSharedMemory) opened = NULL;
      g_autoptr(GError) error = NULL;
      int fd = dup_fd (segment);
      guint8 byte;

      g_assert_cmpint (pread (fd, &byte, 1, at), ==, 1);
      byte ^= (guint8) (1u << (at % 8));
      g_assert_cmpint (pwrite (fd, &byte, 1, at), ==, 1);
      opened = ipc_shared_memory_new_from_fd (fd, &error);
      if (at < 8)
        /* It is a memfd of another library, as far as one can see. */
        g_assert_cmpuint (ipc_shared_memory_get_fd_offset (opened), ==, 0);
      else if (at < 88)
        g_assert_true (g_error_matches (error, IPC_ERROR, IPC_ERROR_CORRUPT) || g_error_matches (error, IPC_ERROR, IPC_ERROR_VERSION));
      close (fd);
    }
}

/* Who is refused late has closed nothing of the caller's. */
static void
test_refused_late (IpcTest *test)
{
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  IpcSegment *attached = atomic_load (&segment->attached);
  g_autoptr(GError) error = NULL;
  int folder_fd = ipc_scope_open_folder (ipc_scope_get_default (), IPC_SCOPE_BULK_FOLDER, TRUE, NULL);
  int fd = dup_fd (segment), own_fd = ipc_fork_open (dup_fd (segment));

  ipc_section_set_length (&attached->section, (guint64) 1 << 40);
  g_assert_null (ipc_segment_adopt (folder_fd, own_fd, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
  /* It was only taken on success. */
  g_assert_cmpint (fcntl (own_fd, F_GETFD), >=, 0);
  ipc_fork_close (own_fd);
  close (folder_fd);
  assert_refused (fd, IPC_ERROR_CORRUPT);
  ipc_section_set_length (&attached->section, SIZE);
}

/* ── From one process to another ── */

static IpcMessage *
handle_take (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  GUnixFDList *list = ipc_message_get_fd_list (message);
  g_autoptr(IpcSharedMemory) segment = ipc_shared_memory_new_from_fd (g_unix_fd_list_peek_fds (list, NULL)[0], error);

  if (segment == NULL)
    return NULL;
  memory_test_assert_value (segment, 0, 3, SIZE);
  if (ipc_shared_memory_get_is_sealed (segment))
    return ipc_message_new_text ("sealed", "");
  memory_test_write_value (segment, 0, 4, SIZE);
  return ipc_message_new_text ("taken", "");
}

static int
play_server (char **arguments)
{
  g_autoptr(IpcSocketServer) server = NULL;
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(GError) error = NULL;

  g_setenv ("IPC_GLIB_DIR", arguments[1], TRUE);
  server = ipc_socket_server_new (arguments[0]);
  ipc_server_set_max_fds (IPC_SERVER (server), 1);
  ipc_server_add_handler (IPC_SERVER (server), "take", handle_take, NULL, NULL);
  if (!ipc_server_start (IPC_SERVER (server), &error))
    g_error ("%s", error->message);
  ipc_test_tell ("ready");
  g_main_loop_run (loop);
  return 0;
}

static char *
hand_over (IpcSharedMemory *segment, IpcClient *client)
{
  g_autoptr(GUnixFDList) list = g_unix_fd_list_new ();
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcMessage) message = NULL;
  g_autoptr(IpcMessage) reply = NULL;
  int fd = dup_fd (segment);

  g_assert_cmpint (g_unix_fd_list_append (list, fd, &error), ==, 0);
  close (fd);
  message = ipc_message_new_full ("take", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, list);
  reply = ipc_client_request (client, message, 20000, NULL, &error);
  g_assert_no_error (error);
  return g_strdup (ipc_message_get_message_type (reply));
}

static void
test_handed_over (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "socket");
  const char *const arguments[] = { path, g_getenv ("IPC_GLIB_DIR"), NULL };
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("server", arguments);
  g_autoptr(IpcSharedMemory) segment = anonymous_new (SIZE);
  g_autoptr(IpcSharedMemory) sealed = anonymous_new (SIZE);
  g_autoptr(IpcSocketClient) client = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;

  ipc_test_peer_expect (peer, "ready");
  client = ipc_socket_client_new (path);
  ipc_client_set_max_fds (IPC_CLIENT (client), 1);
  g_assert_true (ipc_client_open (IPC_CLIENT (client), NULL, &error));
  g_assert_no_error (error);
  memory_test_write_value (segment, 0, 3, SIZE);
  first = hand_over (segment, IPC_CLIENT (client));
  g_assert_cmpstr (first, ==, "taken");
  memory_test_assert_value (segment, 0, 4, SIZE);
  memory_test_write_value (sealed, 0, 3, SIZE);
  g_assert_true (ipc_shared_memory_seal (sealed, &error));
  second = hand_over (sealed, IPC_CLIENT (client));
  g_assert_cmpstr (second, ==, "sealed");
  memory_test_assert_value (sealed, 0, 3, SIZE);
  ipc_client_close (IPC_CLIENT (client));
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { { "server", play_server }, { NULL } };
  g_autofree char *scope = NULL;

  ipc_test_init (&argc, &argv, roles);
  /* Those without a name belong to the default scope, whose large things would be in /dev/shm. */
  scope = g_build_filename (g_getenv ("XDG_RUNTIME_DIR"), "scope", NULL);
  g_setenv ("IPC_GLIB_DIR", scope, TRUE);
  ipc_test_add ("/memory/anonymous/new", test_new);
  ipc_test_add ("/memory/anonymous/sizes", test_sizes);
  ipc_test_add ("/memory/anonymous/offset", test_offset);
  ipc_test_add ("/memory/anonymous/read-only", test_read_only);
  ipc_test_add ("/memory/anonymous/seal", test_seal);
  ipc_test_add ("/memory/anonymous/seal-grown", test_seal_grown);
  ipc_test_add ("/memory/anonymous/seal-in-use", test_seal_in_use);
  ipc_test_add ("/memory/anonymous/foreign", test_foreign);
  ipc_test_add ("/memory/anonymous/refused", test_refused);
  ipc_test_add ("/memory/anonymous/refused-late", test_refused_late);
  ipc_test_add ("/memory/anonymous/flipped", test_flipped);
  ipc_test_add ("/memory/anonymous/handed-over", test_handed_over);
  return ipc_test_run ();
}
