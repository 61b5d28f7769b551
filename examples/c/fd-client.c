/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opens a file and has a server count what is in it. The server gets the open file,
 * not its name: it need not be able to open it itself.
 *
 *   fd-client ADDRESS FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <ipc-glib/ipc-glib.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

/* A request with the open file. */
static IpcMessage *
make_request (const char *file_name, GError **error)
{
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();
  int fd = open (file_name, O_RDONLY | O_CLOEXEC);
  int index;

  if (fd < 0)
    {
      g_set_error (error, G_FILE_ERROR, (gint) g_file_error_from_errno (errno), "%s: %s", file_name, g_strerror (errno));
      return NULL;
    }
  /* The list has a descriptor of its own, so ours can be closed. */
  index = g_unix_fd_list_append (list, fd, error);
  close (fd);
  return index < 0 ? NULL : ipc_message_new_full ("count", IPC_PAYLOAD_FORMAT_TEXT, NULL, NULL, list);
}

static int
ask (const char *address, const char *file_name, GError **error)
{
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (address));
  g_autoptr (IpcMessage) request = make_request (file_name, error);
  g_autoptr (IpcMessage) reply = NULL;

  if (request == NULL || !ipc_client_open (client, NULL, error))
    return EXIT_FAILURE;
  reply = ipc_client_request (client, request, 5000, NULL, error);
  if (reply == NULL)
    return EXIT_FAILURE;
  g_print ("%s\n", ipc_message_get_text (reply));

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
      g_printerr ("usage: fd-client ADDRESS FILE\n");
      return 2;
    }
  status = ask (argv[1], argv[2], &error);
  if (error != NULL)
    g_printerr ("fd-client: %s\n", error->message);
  return status;
}
