/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Has a server count the words of the standard input. They are written into shared memory,
 * which is sealed and handed over: not a byte of it goes through the socket, and nobody can
 * change it any more.
 *
 *   memory-client ADDRESS < FILE
 */
#include <ipc-glib/ipc-glib.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

/* (nullable): all that comes, in shared memory that nobody can change. */
static IpcSharedMemory *
read_input (GError **error)
{
  g_autoptr (GIOChannel) input = g_io_channel_unix_new (STDIN_FILENO);
  g_autoptr (IpcSharedMemory) segment = NULL;
  g_autofree char *text = NULL;
  gsize length;

  if (g_io_channel_set_encoding (input, NULL, error) != G_IO_STATUS_NORMAL ||
      g_io_channel_read_to_end (input, &text, &length, error) != G_IO_STATUS_NORMAL)
    return NULL;
  segment = ipc_shared_memory_new_anonymous (length, error);
  if (segment == NULL || !ipc_shared_memory_write_data (segment, 0, text, length, error) || !ipc_shared_memory_seal (segment, error))
    return NULL;
  return g_steal_pointer (&segment);
}

static IpcMessage *
make_request (IpcSharedMemory *segment, GError **error)
{
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();
  int fd = ipc_shared_memory_dup_fd (segment, error);
  int index;

  if (fd < 0)
    return NULL;
  /* The list has a descriptor of its own, so ours can be closed. */
  index = g_unix_fd_list_append (list, fd, error);
  close (fd);
  return index < 0 ? NULL : ipc_message_new_full ("count-words", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, list);
}

static gboolean
ask (const char *address, GError **error)
{
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new (address));
  g_autoptr (IpcSharedMemory) segment = read_input (error);
  g_autoptr (IpcMessage) request = segment != NULL ? make_request (segment, error) : NULL;
  g_autoptr (IpcMessage) reply = NULL;

  if (request == NULL || !ipc_client_open (client, NULL, error))
    return FALSE;
  reply = ipc_client_request (client, request, 5000, NULL, error);
  if (reply == NULL)
    return FALSE;
  g_print ("%s\n", ipc_message_get_text (reply));
  ipc_client_close (client);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc != 2)
    {
      g_printerr ("usage: memory-client ADDRESS < FILE\n");
      return 2;
    }
  if (ask (argv[1], &error))
    return EXIT_SUCCESS;
  g_printerr ("memory-client: %s\n", error->message);
  return EXIT_FAILURE;
}
