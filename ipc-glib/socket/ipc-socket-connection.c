/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection over a connected stream socket.
 */
#include "socket/ipc-socket-connection-private.h"

#include <sys/socket.h>
#include <unistd.h>

#include "messaging/ipc-credentials-private.h"

struct _IpcSocketConnection
{
  IpcConnection parent_instance;
};

G_DEFINE_FINAL_TYPE (IpcSocketConnection, ipc_socket_connection, IPC_TYPE_CONNECTION)

/* For a single piece, as it nearly always is, the plain calls save the kernel the copy of a msghdr. */
static gssize
socket_read (IpcConnection *self, struct iovec *iov, int n)
{
  struct msghdr message = { .msg_iov = iov, .msg_iovlen = (size_t) n };

  if (n == 1)
    return recv (self->fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT);
  return recvmsg (self->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
}

static gssize
socket_write (IpcConnection *self, struct iovec *iov, int n)
{
  struct msghdr message = { .msg_iov = iov, .msg_iovlen = (size_t) n };

  if (n == 1)
    return send (self->fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
  return sendmsg (self->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
ipc_socket_connection_class_init (IpcSocketConnectionClass *klass)
{
  IpcConnectionClass *connection_class = IPC_CONNECTION_CLASS (klass);

  connection_class->read = socket_read;
  connection_class->write = socket_write;
}

static void
ipc_socket_connection_init (IpcSocketConnection *self)
{
}

IpcConnection *
ipc_socket_connection_new (int fd, gboolean is_server_side, const char *address, const IpcConnectionLimits *limits, GError **error)
{
  g_autoptr (IpcConnection) connection = g_object_new (IPC_TYPE_SOCKET_CONNECTION, NULL);
  int size = IPC_SOCKET_SEND_BUFFER;

  ipc_connection_set_up (connection, fd, is_server_side, address, limits);
  connection->credentials = ipc_credentials_get (fd, error);
  if (connection->credentials == NULL)
    return NULL;
  setsockopt (fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  return g_steal_pointer (&connection);
}
