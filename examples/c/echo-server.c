/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Answers requests of type "echo" with what they contain, until SIGINT or SIGTERM.
 *
 *   echo-server ADDRESS
 *
 * ADDRESS is a name, like "echo", or the absolute path of a socket.
 */
#include <glib-unix.h>
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>

/* Called for each request of the type that it was added for. What it returns is the
 * reply; NULL with an error set would answer with that error. */
static IpcMessage *
echo_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  return ipc_message_new_full ("echo_response", ipc_message_get_format (request), ipc_message_get_payload (request),
                               NULL, NULL);
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
      g_printerr ("usage: echo-server ADDRESS\n");
      return 2;
    }

  server = IPC_SERVER (ipc_socket_server_new (argv[1]));
  ipc_server_add_handler (server, "echo", echo_cb, NULL, NULL);
  if (!ipc_server_start (server, &error))
    {
      g_printerr ("echo-server: %s\n", error->message);
      return EXIT_FAILURE;
    }

  g_unix_signal_add (SIGINT, quit_cb, loop);
  g_unix_signal_add (SIGTERM, quit_cb, loop);
  g_printerr ("listening on %s\n", argv[1]);
  g_main_loop_run (loop);

  ipc_server_stop (server);
  return EXIT_SUCCESS;
}
