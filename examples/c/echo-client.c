/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sends a request of type "echo" and prints the reply.
 *
 *   echo-client ADDRESS TEXT
 *
 * The calls that block need no main loop; each has an asynchronous twin, such as
 * ipc_client_request_async(), for programs that have one.
 */
#include <ipc-glib/ipc-glib.h>
#include <locale.h>
#include <stdlib.h>

static int
ask (const char *address, const char *text, GError **error)
{
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (address));
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", text);
  g_autoptr (IpcMessage) reply = NULL;

  /* Rather than failing when nobody serves the address, wait until somebody does. */
  ipc_client_set_wait_for_server (client, TRUE);
  if (!ipc_client_open (client, NULL, error))
    return EXIT_FAILURE;

  reply = ipc_client_request (client, request, 5000, NULL, error);
  if (reply == NULL)
    return EXIT_FAILURE;
  g_print ("%s: %s\n", ipc_message_get_message_type (reply), ipc_message_get_text (reply));

  ipc_client_close (client);
  return EXIT_SUCCESS;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  int status;

  setlocale (LC_ALL, "");
  if (argc != 3)
    {
      g_printerr ("usage: echo-client ADDRESS TEXT\n");
      return 2;
    }
  status = ask (argv[1], argv[2], &error);
  if (error != NULL)
    g_printerr ("echo-client: %s\n", error->message);
  return status;
}
