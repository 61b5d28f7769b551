/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client on a named pipe.
 */
#include "ipc-pipe-client.h"

#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "pipe/ipc-pipe-address-private.h"
#include "pipe/ipc-pipe-connection-private.h"
#include "pipe/ipc-pipe-path-private.h"

/**
 * IpcPipeClient:
 *
 * A client on a named pipe.
 *
 * Its address is one that [class@Ipc.PipeServer] has: a name, or an absolute path. It does what a [class@Ipc.SocketClient]
 * does, for messages of any size; only descriptors cannot be sent. The server is one of this user, so
 * [property@Ipc.Client:server-uid] has to be that: with another one opening fails with %IPC_ERROR_UNSUPPORTED.
 *
 * ## Threads
 *
 * See [class@Ipc.Client].
 *
 * ## When a process dies
 *
 * See [class@Ipc.Client]. What a client leaves behind that is killed while it opens, the server removes.
 *
 * ## Caveats
 *
 * A client that waits for a server watches the directory that the pipe would be in, which has to exist.
 *
 * Since: 0.1
 */

struct _IpcPipeClient
{
  IpcClient parent_instance;
};

struct _IpcPipeClientClass
{
  IpcClientClass parent_class;
};

G_DEFINE_FINAL_TYPE (IpcPipeClient, ipc_pipe_client, IPC_TYPE_CLIENT)

static gboolean
reach_pipe (IpcClient *client, int *pipe_fd, int *pairs_fd, GMainContext **context, GError **error)
{
  g_auto (IpcPathAddress) address = { 0 };
  g_autofree char *path = NULL;
  gboolean reached;
  int directory_fd;

  if (!ipc_pipe_address_parse (client->address, &address, error))
    return FALSE;
  directory_fd = ipc_path_address_open_directory (&address, IPC_PIPE_FOLDER, client->scope, FALSE, error);
  if (directory_fd < 0)
    return FALSE;
  path = ipc_path_address_get_path (&address, IPC_PIPE_FOLDER, client->scope);
  reached = ipc_pipe_path_reach (directory_fd, address.basename, path, pipe_fd, pairs_fd, context, error);
  close (directory_fd);
  return reached;
}

static IpcConnection *
ipc_pipe_client_reach (IpcClient *client, GError **error)
{
  GMainContext *context = NULL;
  IpcConnection *connection;
  int pipe_fd, pairs_fd;

  if (!reach_pipe (client, &pipe_fd, &pairs_fd, &context, error))
    return NULL;
  connection = ipc_pipe_connection_new_for_client (pipe_fd, pairs_fd, client->address, &client->limits, error);
  if (connection != NULL)
    connection->peer_context = context;
  else
    g_clear_pointer (&context, g_main_context_unref);
  return connection;
}

static IpcDirectoryWatch *
ipc_pipe_client_watch (IpcClient *client, GMainContext *context, IpcDirectoryWatchFunc func, gpointer user_data, GError **error)
{
  g_auto (IpcPathAddress) address = { 0 };
  IpcDirectoryWatch *watch;

  if (!ipc_pipe_address_parse (client->address, &address, error))
    return NULL;
  watch = ipc_path_address_watch (&address, IPC_PIPE_FOLDER, client->scope, context, func, user_data, error);
  if (watch == NULL)
    g_prefix_error (error, "cannot wait for a server of \"%s\": ", client->address);
  return watch;
}

static void
ipc_pipe_client_class_init (IpcPipeClientClass *klass)
{
  IpcClientClass *client_class = IPC_CLIENT_CLASS (klass);

  client_class->reach = ipc_pipe_client_reach;
  client_class->watch = ipc_pipe_client_watch;
}

static void
ipc_pipe_client_init (IpcPipeClient *self)
{
}

/**
 * ipc_pipe_client_new:
 * @address: a name or an absolute path
 *
 * Makes a client on a named pipe. It does not look at @address yet: a bad one is an error of opening it.
 *
 * Returns: (transfer full): the client
 *
 * Since: 0.1
 */
IpcPipeClient *
ipc_pipe_client_new (const char *address)
{
  return g_object_new (IPC_TYPE_PIPE_CLIENT, "address", address, NULL);
}
