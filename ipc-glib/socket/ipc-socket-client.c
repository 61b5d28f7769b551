/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client on a Unix socket.
 */
#include "ipc-socket-client.h"

#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "socket/ipc-socket-abstract-private.h"
#include "socket/ipc-socket-address-private.h"
#include "socket/ipc-socket-connection-private.h"
#include "socket/ipc-socket-path-private.h"

/**
 * IpcSocketClient:
 *
 * A client on a Unix socket.
 *
 * Its address is one that [class@Ipc.SocketServer] has: a name, a path, or `abstract:NAME`. Whoever serves it, its
 * user has to be [property@Ipc.Client:server-uid]; for a socket of the system's service manager that is root.
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
 * A client that waits for a server watches the directory that the socket would be in, which has to exist. There is none
 * for an abstract name: waiting for one fails with %IPC_ERROR_UNSUPPORTED.
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
connect_to_file (IpcClient *client, const IpcSocketAddress *address, GMainContext **context, GError **error)
{
  int directory_fd = ipc_path_address_open_directory (&address->file, IPC_SOCKET_FOLDER, client->scope, FALSE, error);
  g_autofree char *path = NULL;
  int fd;

  if (directory_fd < 0)
    return -1;
  path = ipc_path_address_get_path (&address->file, IPC_SOCKET_FOLDER, client->scope);
  fd = ipc_socket_path_connect (directory_fd, address->file.basename, path, context, error);
  close (directory_fd);
  return fd;
}

static int
connect_to (IpcClient *client, GMainContext **context, GError **error)
{
  g_auto (IpcSocketAddress) address = { 0 };

  if (!ipc_socket_address_parse (client->address, &address, error))
    return -1;
  if (ipc_socket_address_is_file (&address))
    return connect_to_file (client, &address, context, error);
  if (address.kind == IPC_SOCKET_ADDRESS_ABSTRACT)
    return ipc_socket_abstract_connect (address.file.basename, context, error);
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "address \"%s\" is of a socket that listens: it is for servers", client->address);
  return -1;
}

static IpcConnection *
ipc_socket_client_reach (IpcClient *client, GError **error)
{
  GMainContext *context = NULL;
  IpcConnection *connection;
  int fd = connect_to (client, &context, error);

  if (fd < 0)
    return NULL;
  connection = ipc_socket_connection_new (fd, FALSE, client->address, &client->limits, error);
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
  IpcDirectoryWatch *watch;

  if (!ipc_socket_address_parse (client->address, &address, error))
    return NULL;
  if (!ipc_socket_address_is_file (&address))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "address \"%s\" is no file, whose coming could be waited for", client->address);
      return NULL;
    }
  watch = ipc_path_address_watch (&address.file, IPC_SOCKET_FOLDER, client->scope, context, func, user_data, error);
  if (watch == NULL)
    g_prefix_error (error, "cannot wait for a server of \"%s\": ", client->address);
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
 * @address: a name, a path or `abstract:NAME`
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
