/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A chat room: what one client says is sent to all, until SIGINT or SIGTERM.
 *
 *   chat-server ADDRESS
 *
 * Clients send events of type "say" and get events of type "said".
 */
#include <glib-unix.h>
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>

/* One message is made and queued for everybody; nothing is copied per client. */
static void
tell_all (IpcServer *server, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
tell_all (IpcServer *server, const char *format, ...)
{
  va_list arguments;
  g_autofree char *text = NULL;
  g_autoptr (IpcMessage) message = NULL;
  guint n_dropped;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  message = ipc_message_new_text ("said", text);
  ipc_server_broadcast (server, message, &n_dropped);
  if (n_dropped > 0)
    g_printerr ("chat-server: %u clients read too slowly and missed a line\n", n_dropped);
}

static IpcMessage *
say_cb (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  const char *text = ipc_message_get_text (message);

  if (text != NULL)
    tell_all (server, "%" G_GUINT64_FORMAT ": %s", ipc_connection_get_id (connection), text);
  return NULL; /* an event has no reply */
}

static void
connected_cb (IpcServer *server, IpcConnection *connection, gpointer data)
{
  tell_all (server, "%" G_GUINT64_FORMAT " came in", ipc_connection_get_id (connection));
}

static void
disconnected_cb (IpcServer *server, IpcConnection *connection, GError *error, gpointer data)
{
  tell_all (server, "%" G_GUINT64_FORMAT " left", ipc_connection_get_id (connection));
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
      g_printerr ("usage: chat-server ADDRESS\n");
      return 2;
    }
  server = IPC_SERVER (ipc_socket_server_new (argv[1]));
  ipc_server_add_handler (server, "say", say_cb, NULL, NULL);
  g_signal_connect (server, "client-connected", G_CALLBACK (connected_cb), NULL);
  g_signal_connect (server, "client-disconnected", G_CALLBACK (disconnected_cb), NULL);
  if (!ipc_server_start (server, &error))
    {
      g_printerr ("chat-server: %s\n", error->message);
      return EXIT_FAILURE;
    }
  g_unix_signal_add (SIGINT, quit_cb, loop);
  g_unix_signal_add (SIGTERM, quit_cb, loop);
  g_printerr ("listening on %s\n", argv[1]);
  g_main_loop_run (loop);

  ipc_server_stop (server);
  return EXIT_SUCCESS;
}
