/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counts the lines and bytes of files that clients have open and send, until SIGINT or SIGTERM.
 *
 *   fd-server ADDRESS
 *
 * ADDRESS is a name, like "count", or the absolute path of a socket.
 */
#include <errno.h>
#include <glib-unix.h>
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a client sends can be anything that is open. Reading another kind than a regular
 * file could block this process for as long as the client likes. */
static gboolean
check_file (int fd, GError **error)
{
  struct stat status;

  if (fstat (fd, &status) == 0 && S_ISREG (status.st_mode))
    return TRUE;
  g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "what was sent is not a regular file");
  return FALSE;
}

static IpcMessage *
count (int fd, GError **error)
{
  g_autofree char *text = NULL;
  guint64 n_lines = 0, n_bytes = 0;
  char buffer[65536];
  gssize n;

  /* The position in the file is shared with the client: pread() leaves it alone. */
  while ((n = pread (fd, buffer, sizeof buffer, (off_t) n_bytes)) > 0)
    {
      for (gssize i = 0; i < n; i++)
        n_lines += buffer[i] == '\n';
      n_bytes += (guint64) n;
    }
  if (n < 0)
    {
      g_set_error (error, G_FILE_ERROR, (gint) g_file_error_from_errno (errno), "cannot read: %s", g_strerror (errno));
      return NULL;
    }
  text = g_strdup_printf ("%" G_GUINT64_FORMAT " lines, %" G_GUINT64_FORMAT " bytes", n_lines, n_bytes);
  return ipc_message_new_text ("counted", text);
}

/* The descriptors in a message are closed with it; those that g_unix_fd_list_get() returns are ours. */
static IpcMessage *
count_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  GUnixFDList *list = ipc_message_get_fd_list (request);
  IpcMessage *reply;
  int fd;

  if (list == NULL)
    {
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "no file was sent");
      return NULL;
    }
  fd = g_unix_fd_list_get (list, 0, error);
  if (fd < 0)
    return NULL;
  reply = check_file (fd, error) ? count (fd, error) : NULL;
  close (fd);
  return reply;
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
      g_printerr ("usage: fd-server ADDRESS\n");
      return 2;
    }

  server = IPC_SERVER (ipc_socket_server_new (argv[1]));
  /* A server takes no descriptors unless it says how many a message may have. */
  ipc_server_set_max_fds (server, 1);
  ipc_server_add_handler (server, "count", count_cb, NULL, NULL);
  if (!ipc_server_start (server, &error))
    {
      g_printerr ("fd-server: %s\n", error->message);
      return EXIT_FAILURE;
    }

  g_unix_signal_add (SIGINT, quit_cb, loop);
  g_unix_signal_add (SIGTERM, quit_cb, loop);
  g_printerr ("listening on %s\n", argv[1]);
  g_main_loop_run (loop);

  ipc_server_stop (server);
  return EXIT_SUCCESS;
}
