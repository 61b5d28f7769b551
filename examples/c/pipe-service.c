/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A counter that is driven from a shell:
 *
 *   pipe-service ADDRESS
 *
 *   echo up > PIPE; echo down > PIPE; echo quit > PIPE
 *   gipc call pipe:ADDRESS value
 *
 * ADDRESS is a name, like "counter", or the absolute path of a named pipe. Each change is printed.
 */
#include <ipc-glib/ipc-glib.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct
{
  GMainLoop *loop;
  int value;
} Counter;

/* Each line that somebody writes into the pipe. */
static IpcMessage *
line_cb (IpcServer *server, IpcConnection *connection, IpcMessage *line, gpointer data, GError **error)
{
  const char *command = ipc_message_get_text (line);
  Counter *counter = data;

  if (g_str_equal (command, "up"))
    counter->value++;
  else if (g_str_equal (command, "down"))
    counter->value--;
  else if (g_str_equal (command, "quit"))
    g_main_loop_quit (counter->loop);
  else
    g_printerr ("pipe-service: what is \"%s\"?\n", command);
  printf ("%d\n", counter->value);
  fflush (stdout);
  return NULL;
}

/* A client of the library gets an answer. */
static IpcMessage *
value_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autofree char *value = g_strdup_printf ("%d", ((Counter *) data)->value);

  return ipc_message_new_text ("value", value);
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (IpcServer) server = NULL;
  g_autoptr (GError) error = NULL;
  Counter counter = { loop, 0 };

  if (argc != 2)
    {
      g_printerr ("usage: pipe-service ADDRESS\n");
      return 2;
    }
  server = IPC_SERVER (ipc_pipe_server_new (argv[1]));
  ipc_server_add_handler (server, "line", line_cb, &counter, NULL);
  ipc_server_add_handler (server, "value", value_cb, &counter, NULL);
  if (!ipc_server_start (server, &error))
    {
      g_printerr ("pipe-service: %s\n", error->message);
      return EXIT_FAILURE;
    }
  g_printerr ("listening on %s\n", argv[1]);
  g_main_loop_run (loop);
  ipc_server_stop (server);
  return EXIT_SUCCESS;
}
