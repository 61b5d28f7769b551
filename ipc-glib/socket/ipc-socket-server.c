/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server on a Unix socket: where it listens. Accepting is the acceptor's business, the rest is messaging's.
 */
#include "ipc-socket-server.h"

#include <sys/stat.h>

#include "base/ipc-error-private.h"
#include "messaging/ipc-server-private.h"
#include "socket/ipc-socket-abstract-private.h"
#include "socket/ipc-socket-acceptor-private.h"
#include "socket/ipc-socket-activation-private.h"
#include "socket/ipc-socket-connection-private.h"
#include "socket/ipc-socket-local-private.h"
#include "socket/ipc-socket-path-private.h"

#define BACKLOG 4096
#define DEFAULT_MODE 0600u

/**
 * IpcSocketServer:
 *
 * A server on a Unix socket.
 *
 * Its address is a name (`[A-Za-z0-9._-]`, 1 to 64 of them, not starting with `.` or `-`) in
 * [property@Ipc.Server:scope], an absolute path, or `unix:` and an absolute path. Paths may be
 * longer than the 107 bytes that the kernel takes. Others are `abstract:NAME`, `fd:N` and `systemd:NAME`, see below.
 *
 * The path is owned by the lock on a file `.NAME.lock` beside it, for as long as
 * the server runs. A second server gets %IPC_ERROR_ADDRESS_IN_USE. What a killed server
 * left behind is replaced; a file that is not a socket of this user is never touched.
 *
 * Any program can talk to it: clients of this library in the binary dialect, and
 * others in JSON (`nc -U`, ten lines of Python); the first byte tells.
 *
 * ## Sockets that the process was given
 *
 * With `systemd:NAME` the server listens at a socket that the service manager made and passed on, as
 * `sd_listen_fds(3)` says, found by its `FileDescriptorName=`; with `fd:N` at descriptor number N. It has to be a Unix
 * stream socket that listens. The descriptor stays open, so that the server can be started again, and is not
 * inherited by programs that this one runs.
 *
 * Its path, mode and owner are those of whoever made it: they are never changed, locked or removed.
 * So is its identity: clients see the user that called listen(2), which for a socket of the system's service
 * manager is root, whatever `User=` says. They have to expect that in [property@Ipc.Client:server-uid].
 *
 * ## Abstract names
 *
 * `abstract:NAME` is a name without a file, 1 to 107 printable bytes without spaces. It has no permissions:
 * everybody in the network namespace can connect, and everybody can take the name while nobody has it. So starting
 * fails with %IPC_ERROR_PERMISSION_DENIED unless a handler of [signal@Ipc.Server::authorize-client] is
 * connected, which shows that the application has thought of it.
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
 * If somebody removes or replaces the file, [signal@Ipc.Server::path-lost] tells, as long as the
 * user may have one more directory watch. A directory further up that is moved away is not noticed.
 *
 * Since: 0.1
 */

struct _IpcSocketServer
{
  IpcServer parent_instance;

  IpcSocketPath path;           /* in use if the address is a file */
  GStrv local_keys;             /* (nullable) (owned) what the process knows the socket by, while it runs */
  IpcSocketAcceptor *acceptor;  /* (nullable) (owned) while it runs */
};

struct _IpcSocketServerClass
{
  IpcServerClass parent_class;
};

G_DEFINE_FINAL_TYPE (IpcSocketServer, ipc_socket_server, IPC_TYPE_SERVER)

/* ---- clients ---- */

static gboolean
has_room (gpointer user_data)
{
  return ipc_server_has_room (user_data);
}

static void
take_client (int fd, gpointer user_data)
{
  g_autoptr (IpcServer) self = g_object_ref (user_data);
  g_autoptr (GError) error = NULL;
  IpcConnection *connection = ipc_socket_connection_new (fd, TRUE, self->address, &self->limits, &error);

  if (connection != NULL)
    ipc_server_take (self, connection);
  else
    g_debug ("%s: a client was lost: %s", self->address, error->message);
}

static void
tell_overloaded (gpointer user_data)
{
  g_autoptr (IpcServer) self = g_object_ref (user_data);

  g_debug ("%s: no descriptor is left for another client", self->address);
  g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_OVERLOADED], 0);
}

static const IpcSocketAcceptorFuncs acceptor_funcs = { has_room, take_client, tell_overloaded };

static void
ipc_socket_server_peer_changed (IpcServer *server)
{
  IpcSocketServer *self = IPC_SOCKET_SERVER (server);

  if (self->acceptor != NULL)
    ipc_socket_acceptor_retry (self->acceptor);
}

/* ---- the path ---- */

static gboolean
listen_at_file (IpcSocketServer *self, const IpcSocketAddress *address, GError **error)
{
  IpcServer *server = IPC_SERVER (self);
  IpcSocketPathOptions options = { server->mode, (gid_t) -1, BACKLOG };
  g_autofree char *path = ipc_path_address_get_path (&address->file, IPC_SOCKET_FOLDER, server->scope);
  int directory_fd;

  if (!ipc_server_find_gid (server, &options.gid, error))
    return FALSE;
  directory_fd = ipc_path_address_open_directory (&address->file, IPC_SOCKET_FOLDER, server->scope, TRUE, error);
  if (directory_fd < 0 || !ipc_socket_path_listen (&self->path, directory_fd, address->file.basename, path, &options, error))
    return FALSE;
  ipc_server_watch_path (server, &self->path.path);
  return TRUE;
}

/* ---- listening ---- */

static gboolean
check_address (IpcServer *self, const IpcSocketAddress *address, GError **error)
{
  if (ipc_socket_address_is_file (address))
    return TRUE;
  if (self->group != NULL || self->mode != DEFAULT_MODE)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "server \"%s\": there is no file of ours to have a mode or a group",
                   self->address);
      return FALSE;
    }
  if (address->kind == IPC_SOCKET_ADDRESS_ABSTRACT && !ipc_server_has_authority (self))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED,
                   "server \"%s\": everybody can connect to an abstract socket; connect a handler to authorize-client first", self->address);
      return FALSE;
    }
  return TRUE;
}

/* A descriptor, guarded, to which nothing else belongs then. */
static int
open_socket (IpcSocketServer *self, const IpcSocketAddress *address, GError **error)
{
  int fd;

  if (address->kind == IPC_SOCKET_ADDRESS_ABSTRACT)
    return ipc_socket_abstract_listen (address->file.basename, BACKLOG, error);
  if (!ipc_socket_address_is_file (address))
    return ipc_socket_activation_open (address, error);
  if (!listen_at_file (self, address, error))
    return -1;
  fd = self->path.listen_fd;
  self->path.listen_fd = -1;
  return fd;
}

/* What clients reach it by, and the socket itself, which may have been given to two of us. */
static gboolean
register_socket (IpcSocketServer *self, int fd, GError **error)
{
  IpcServer *server = IPC_SERVER (self);
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *reached = NULL;
  struct stat status;

  if (fstat (fd, &status) == 0)
    {
      g_autofree char *own = ipc_local_servers_key_of_file (status.st_dev, status.st_ino);

      if (!ipc_local_servers_add (own, server->context))
        {
          g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "server \"%s\": another server of this process has the socket", server->address);
          return FALSE;
        }
      g_ptr_array_add (keys, g_steal_pointer (&own));
    }
  reached = self->path.path.inode != 0 ? ipc_local_servers_key_of_file (self->path.path.device, self->path.path.inode)
                                  : ipc_socket_local_key_of_socket (fd);
  if (reached != NULL && ipc_local_servers_add (reached, server->context))
    g_ptr_array_add (keys, g_steal_pointer (&reached));
  g_ptr_array_add (keys, NULL);
  self->local_keys = (GStrv) g_ptr_array_steal (keys, NULL);
  return TRUE;
}

static void
ipc_socket_server_unlisten (IpcServer *server)
{
  IpcSocketServer *self = IPC_SOCKET_SERVER (server);

  for (guint i = 0; self->local_keys != NULL && self->local_keys[i] != NULL; i++)
    ipc_local_servers_remove (self->local_keys[i]);
  g_clear_pointer (&self->local_keys, g_strfreev);
  ipc_server_unwatch_path (server);
  g_clear_pointer (&self->acceptor, ipc_socket_acceptor_free);
  ipc_socket_path_clear (&self->path);
}

static gboolean
ipc_socket_server_listen (IpcServer *server, GError **error)
{
  IpcSocketServer *self = IPC_SOCKET_SERVER (server);
  g_auto (IpcSocketAddress) address = { 0 };
  int fd;

  if (!ipc_socket_address_parse (server->address, &address, error) || !check_address (server, &address, error))
    return FALSE;
  fd = open_socket (self, &address, error);
  if (fd < 0)
    return FALSE;
  self->acceptor = ipc_socket_acceptor_new (fd, server->context, &acceptor_funcs, self);
  if (register_socket (self, fd, error))
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
  server_class->peer_changed = ipc_socket_server_peer_changed;
}

static void
ipc_socket_server_init (IpcSocketServer *self)
{
  ipc_socket_path_init (&self->path);
}

/**
 * ipc_socket_server_new:
 * @address: a name, a path, `abstract:NAME`, `fd:N` or `systemd:NAME`
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
