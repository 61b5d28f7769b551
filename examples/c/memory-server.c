/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts the words in sealed shared memory that clients hand over, until SIGINT or SIGTERM.
 *
 *   memory-server ADDRESS
 *
 * ADDRESS is a name, like "words", or the absolute path of a socket.
 */
#include <glib-unix.h>
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>
#include <unistd.h>

/* What is sealed and has no name does not change while it is looked at, whoever sent it. */
static IpcSharedMemory *
open_segment (GUnixFDList *list, GError **error)
{
  g_autoptr (IpcSharedMemory) segment = NULL;
  int fd;

  if (list == NULL)
    {
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "no shared memory was sent");
      return NULL;
    }
  fd = g_unix_fd_list_get (list, 0, error);
  if (fd < 0)
    return NULL;
  /* It has a descriptor of its own. */
  segment = ipc_shared_memory_new_from_fd (fd, error);
  close (fd);
  if (segment == NULL || ipc_shared_memory_get_is_sealed (segment))
    return g_steal_pointer (&segment);
  g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "the shared memory is not sealed");
  return NULL;
}

static IpcMessage *
count (GBytes *bytes)
{
  g_autofree char *answer = NULL;
  gsize length;
  const char *text = g_bytes_get_data (bytes, &length);
  gsize n_words = 0;

  for (gsize i = 0; i < length; i++)
    n_words += !g_ascii_isspace (text[i]) && (i == 0 || g_ascii_isspace (text[i - 1]));
  answer = g_strdup_printf ("%" G_GSIZE_FORMAT " words, %" G_GSIZE_FORMAT " bytes", n_words, length);
  return ipc_message_new_text ("counted", answer);
}

static IpcMessage *
count_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autoptr (IpcSharedMemory) segment = open_segment (ipc_message_get_fd_list (request), error);
  g_autoptr (GBytes) bytes = NULL;

  if (segment == NULL)
    return NULL;
  /* Where they lie: no copy. */
  bytes = ipc_shared_memory_get_bytes (segment, 0, ipc_shared_memory_get_size (segment), error);
  return bytes != NULL ? count (bytes) : NULL;
}

static gboolean
quit_cb (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (IpcServer) server = NULL;
  g_autoptr (GError) error = NULL;

  if (argc != 2)
    {
      g_printerr ("usage: memory-server ADDRESS\n");
      return 2;
    }

  server = IPC_SERVER (ipc_socket_server_new (argv[1]));
  /* A server takes no descriptors unless it says how many a message may have. */
  ipc_server_set_max_fds (server, 1);
  ipc_server_add_handler (server, "count-words", count_cb, NULL, NULL);
  if (!ipc_server_start (server, &error))
    {
      g_printerr ("memory-server: %s\n", error->message);
      return EXIT_FAILURE;
    }

  g_unix_signal_add (SIGINT, quit_cb, loop);
  g_unix_signal_add (SIGTERM, quit_cb, loop);
  g_printerr ("listening on %s\n", argv[1]);
  g_main_loop_run (loop);

  ipc_server_stop (server);
  return EXIT_SUCCESS;
}
