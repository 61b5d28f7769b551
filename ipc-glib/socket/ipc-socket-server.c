/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server on a Unix socket: a GSocketService accepts, the rest is messaging's.
 */
#include "ipc-socket-server.h"

#include <errno.h>
#include <fcntl.h>

#include "base/ipc-error-private.h"
#include "base/ipc-hub-private.h"
#include "core/ipc-fork.h"
#include "messaging/ipc-server-private.h"
#include "socket/ipc-socket-address-private.h"
#include "socket/ipc-socket-connection-private.h"
#include "socket/ipc-socket-path-private.h"

#define BACKLOG 4096

/**
 * IpcSocketServer:
 *
 * A server on a Unix socket.
 *
 * Its address is a name (`[A-Za-z0-9._-]`, 1 to 64 of them, not starting with `.` or `-`) in
 * [property@Ipc.Server:scope], an absolute path, or `unix:` and an absolute path. Paths may be
 * longer than the 107 bytes that the kernel takes.
 *
 * The path is owned by the lock on a file `.NAME.lock` beside it, for as long as
 * the server runs. A second server gets %IPC_ERROR_ADDRESS_IN_USE. What a killed server
 * left behind is replaced; a file that is not a socket of this user is never touched.
 *
 * Any program can talk to it: clients of this library in the binary dialect, and
 * others in JSON (`nc -U`, ten lines of Python); the first byte tells.
 *
 * ## Threads
 *
 * See [class@Ipc.Server].
 *
 * ## When a process dies
 *
 * The kernel frees the lock and the socket of a server that dies. Its file stays
 * until the next server of that address replaces it; clients get %IPC_ERROR_NO_SERVER
 * meanwhile. The lock file stays for ever; it is empty of meaning while nobody holds it.
 *
 * ## Caveats
 *
 * The directory of a path must be such that nobody but this user and root can replace
 * what is in it, and no part of the path may be a symbolic link.
 *
 * Since: 0.1
 */

struct _IpcSocketServer
{
  IpcServer parent_instance;

  IpcSocketPath path;
  int listen_fd;                /* -1 while it does not run; owned by the service's socket */
  GMainContext *shared_with;    /* (nullable) (owned) whose hub waits for listen_fd */
  GSocketService *service;      /* (nullable) (owned) while it runs */
};

struct _IpcSocketServerClass
{
  IpcServerClass parent_class;
};

G_DEFINE_FINAL_TYPE (IpcSocketServer, ipc_socket_server, IPC_TYPE_SERVER)

static gboolean
incoming (GSocketService *service, GSocketConnection *stream, GObject *source, gpointer user_data)
{
  IpcServer *self = user_data;
  g_autoptr (GError) error = NULL;
  IpcConnection *connection;
  int fd;

  /* The GSocketConnection closes its own descriptor; a connection of ours is leaner without it. */
  fd = fcntl (g_socket_get_fd (g_socket_connection_get_socket (stream)), F_DUPFD_CLOEXEC, 0);
  if (fd < 0)
    {
      g_debug ("%s: a client was lost: %s", ipc_server_get_address (self), g_strerror (errno));
      return TRUE;
    }
  connection = ipc_socket_connection_new (fd, TRUE, ipc_server_get_address (self), &self->limits, &error);
  if (connection != NULL)
    ipc_server_take (self, connection);
  else
    g_debug ("%s: a client was lost: %s", ipc_server_get_address (self), error->message);
  return TRUE;
}

static gboolean
start_service (IpcSocketServer *self, GError **error)
{
  g_autoptr (GSocket) socket = g_socket_new_from_fd (self->path.listen_fd, error);

  if (socket == NULL)
    return FALSE;
  /* The GSocket owns the descriptor from here on; it stays guarded until it is closed. */
  self->listen_fd = self->path.listen_fd;
  self->path.listen_fd = -1;
  g_socket_set_listen_backlog (socket, BACKLOG);
  self->service = g_socket_service_new ();
  g_signal_connect_object (self->service, "incoming", G_CALLBACK (incoming), self, 0);
  if (!g_socket_listener_add_socket (G_SOCKET_LISTENER (self->service), socket, NULL, error))
    return FALSE;
  self->shared_with = g_main_context_ref_thread_default ();     /* the one that the service accepts in */
  ipc_hub_share_fd (self->shared_with, self->listen_fd);
  return TRUE;
}

static void
ipc_socket_server_unlisten (IpcServer *server)
{
  IpcSocketServer *self = IPC_SOCKET_SERVER (server);

  if (self->shared_with != NULL)
    ipc_hub_unshare_fd (self->shared_with, self->listen_fd);
  g_clear_pointer (&self->shared_with, g_main_context_unref);
  if (self->listen_fd >= 0)
    ipc_fork_unguard_fd (self->listen_fd);
  self->listen_fd = -1;
  if (self->service != NULL)
    {
      g_socket_service_stop (self->service);
      g_socket_listener_close (G_SOCKET_LISTENER (self->service));
    }
  g_clear_object (&self->service);
  ipc_socket_path_clear (&self->path);
}

static gboolean
ipc_socket_server_listen (IpcServer *server, GError **error)
{
  IpcSocketServer *self = IPC_SOCKET_SERVER (server);
  g_auto (IpcSocketAddress) address = { 0 };
  int directory_fd;

  if (!ipc_socket_address_parse (ipc_server_get_address (server), &address, error))
    return FALSE;
  directory_fd = ipc_socket_address_open_directory (&address, ipc_server_get_scope (server), TRUE, error);
  if (directory_fd < 0 ||
      !ipc_socket_path_listen (&self->path, directory_fd, address.basename, ipc_server_get_mode (server), BACKLOG,
                               server->context, error))
    return FALSE;
  if (start_service (self, error))
    return TRUE;
  ipc_socket_server_unlisten (server);
  return FALSE;
}

static void
ipc_socket_server_class_init (IpcSocketServerClass *klass)
{
  IpcServerClass *server_class = IPC_SERVER_CLASS (klass);

  server_class->listen = ipc_socket_server_listen;
  server_class->unlisten = ipc_socket_server_unlisten;
}

static void
ipc_socket_server_init (IpcSocketServer *self)
{
  ipc_socket_path_init (&self->path);
  self->listen_fd = -1;
}

/**
 * ipc_socket_server_new:
 * @address: a name or a path
 *
 * Makes a server on a Unix socket. It does not look at @address yet: a bad one is an error of [method@Ipc.Server.start].
 *
 * Returns: (transfer full): the server
 *
 * Since: 0.1
 */
IpcSocketServer *
ipc_socket_server_new (const char *address)
{
  return g_object_new (IPC_TYPE_SOCKET_SERVER, "address", address, NULL);
}
