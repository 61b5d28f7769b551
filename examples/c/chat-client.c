/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Says each line of standard input in a chat room, and prints what is said there.
 *
 *   chat-client ADDRESS
 *
 * It leaves at the end of its input, or when the server does.
 */
#include <gio/gunixinputstream.h>
#include <ipc-glib/ipc-glib.h>
#include <locale.h>
#include <stdlib.h>

typedef struct
{
  GMainLoop        *loop;
  IpcClient        *client;
  GDataInputStream *input;
} Chat;

static IpcMessage *
said_cb (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  const char *text = ipc_message_get_text (message);

  g_print ("%s\n", text != NULL ? text : "");
  return NULL;
}

static void
closed_cb (IpcClient *client, GError *error, gpointer data)
{
  Chat *chat = data;

  if (error != NULL)
    g_printerr ("chat-client: %s\n", error->message);
  g_main_loop_quit (chat->loop);
}

static void
line_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Chat *chat = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *line = g_data_input_stream_read_line_finish_utf8 (chat->input, result, NULL, &error);
  g_autoptr (IpcMessage) message = line != NULL ? ipc_message_new_text ("say", line) : NULL;
  IpcConnection *connection = ipc_client_get_connection (chat->client); /* NULL once the server has left */

  /* send() only queues: the main loop writes, and never blocks. */
  if (message != NULL && ipc_client_send (chat->client, message, &error))
    {
      g_data_input_stream_read_line_async (chat->input, G_PRIORITY_DEFAULT, NULL, line_cb, chat);
      return;
    }
  if (error != NULL)
    g_printerr ("chat-client: %s\n", error->message);
  else if (connection != NULL)
    ipc_connection_flush (connection, NULL, NULL);
  g_main_loop_quit (chat->loop);
}

int
main (int argc, char **argv)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GInputStream) keyboard = g_unix_input_stream_new (0, FALSE);
  g_autoptr (GDataInputStream) input = g_data_input_stream_new (keyboard);
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (GError) error = NULL;
  Chat chat = { loop, NULL, input };

  setlocale (LC_ALL, "");
  if (argc != 2)
    {
      g_printerr ("usage: chat-client ADDRESS\n");
      return 2;
    }
  chat.client = client = IPC_CLIENT (ipc_socket_client_new (argv[1]));
  ipc_client_add_handler (client, "said", said_cb, &chat, NULL);
  g_signal_connect (client, "closed", G_CALLBACK (closed_cb), &chat);
  if (!ipc_client_open (client, NULL, &error))
    {
      g_printerr ("chat-client: %s\n", error->message);
      return EXIT_FAILURE;
    }
  g_data_input_stream_read_line_async (input, G_PRIORITY_DEFAULT, NULL, line_cb, &chat);
  g_main_loop_run (loop);
  return EXIT_SUCCESS;
}
