/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client on a Unix socket.
 */
#include "ipc-socket-client.h"

#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "socket/ipc-socket-address-private.h"
#include "socket/ipc-socket-connection-private.h"
#include "socket/ipc-socket-path-private.h"

/**
 * IpcSocketClient:
 *
 * A client on a Unix socket.
 *
 * Its address is one that [class@Ipc.SocketServer] has.
 *
 * ## Threads
 *
 * See [class@Ipc.Client].
 *
 * ## When a process dies
 *
 * See [class@Ipc.Client]. A client that dies leaves nothing behind.
 *
 * ## Caveats
 *
 * A client that waits for a server watches the directory that the socket would be in, which has to exist.
 *
 * Since: 0.1
 */

struct _IpcSocketClient
{
  IpcClient parent_instance;
};

struct _IpcSocketClientClass
{
  IpcClientClass parent_class;
};

G_DEFINE_FINAL_TYPE (IpcSocketClient, ipc_socket_client, IPC_TYPE_CLIENT)

static int
open_directory (IpcClient *client, IpcSocketAddress *address, GError **error)
{
  if (!ipc_socket_address_parse (ipc_client_get_address (client), address, error))
    return -1;
  return ipc_socket_address_open_directory (address, ipc_client_get_scope (client), FALSE, error);
}

static IpcConnection *
ipc_socket_client_reach (IpcClient *client, GError **error)
{
  g_auto (IpcSocketAddress) address = { 0 };
  int directory_fd = open_directory (client, &address, error);
  GMainContext *context = NULL;
  IpcConnection *connection;
  int fd;

  if (directory_fd < 0)
    return NULL;
  fd = ipc_socket_path_connect (directory_fd, address.basename, &context, error);
  close (directory_fd);
  if (fd < 0)
    return NULL;
  connection = ipc_socket_connection_new (fd, FALSE, ipc_client_get_address (client), &client->limits, error);
  if (connection != NULL)
    connection->peer_context = context;
  else
    g_clear_pointer (&context, g_main_context_unref);
  return connection;
}

static IpcDirectoryWatch *
ipc_socket_client_watch (IpcClient *client, GMainContext *context, IpcDirectoryWatchFunc func, gpointer user_data, GError **error)
{
  g_auto (IpcSocketAddress) address = { 0 };
  int directory_fd = open_directory (client, &address, error);
  IpcDirectoryWatch *watch;

  if (directory_fd < 0)
    return NULL;
  watch = ipc_directory_watch_new (directory_fd, context, func, user_data, error);
  close (directory_fd);
  return watch;
}

static void
ipc_socket_client_class_init (IpcSocketClientClass *klass)
{
  IpcClientClass *client_class = IPC_CLIENT_CLASS (klass);

  client_class->reach = ipc_socket_client_reach;
  client_class->watch = ipc_socket_client_watch;
}

static void
ipc_socket_client_init (IpcSocketClient *self)
{
}

/**
 * ipc_socket_client_new:
 * @address: a name or a path
 *
 * Makes a client on a Unix socket. It does not look at @address yet: a bad one is an error of opening it.
 *
 * Returns: (transfer full): the client
 *
 * Since: 0.1
 */
IpcSocketClient *
ipc_socket_client_new (const char *address)
{
  return g_object_new (IPC_TYPE_SOCKET_CLIENT, "address", address, NULL);
}
