/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-abstract-private.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "socket/ipc-socket-local-private.h"

/* The name is what follows the first byte, to the end: there is no NUL after it. */
static socklen_t
make_address (struct sockaddr_un *address, const char *name)
{
  gsize length = strlen (name);

  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  g_assert (length < sizeof address->sun_path);
  memcpy (address->sun_path + 1, name, length);
  return (socklen_t) (offsetof (struct sockaddr_un, sun_path) + 1 + length);
}

static int
make_socket (const char *name, GError **error)
{
  int fd = ipc_fork_open (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

  if (fd < 0)
    ipc_error_set_errno (error, errno, "cannot make a socket for abstract:%s", name);
  return fd;
}

/* Names whoever has the name, if it says so. */
static void
set_in_use (const char *name, GError **error)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, name);
  struct ucred owner = { 0 };
  socklen_t owner_size = sizeof owner;
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

  if (fd >= 0 && connect (fd, (struct sockaddr *) &address, size) == 0 &&
      getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &owner, &owner_size) == 0)
    g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "abstract:%s is owned by process %d of user %u",
                 name, (int) owner.pid, (guint) owner.uid);
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "abstract:%s is owned by another process", name);
  if (fd >= 0)
    close (fd);
}

int
ipc_socket_abstract_listen (const char *name, int backlog, GError **error)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, name);
  int fd = make_socket (name, error);

  if (fd < 0)
    return -1;
  if (bind (fd, (struct sockaddr *) &address, size) == 0 && listen (fd, backlog) == 0)
    return fd;
  if (errno == EADDRINUSE)
    set_in_use (name, error);
  else
    ipc_error_set_errno (error, errno, "cannot listen at abstract:%s", name);
  ipc_fork_close (fd);
  return -1;
}

int
ipc_socket_abstract_connect (const char *name, GMainContext **context, GError **error)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, name);
  g_autofree char *key = NULL;
  int fd = make_socket (name, error);

  if (fd < 0)
    return -1;
  if (TEMP_FAILURE_RETRY (connect (fd, (struct sockaddr *) &address, size)) == 0)
    {
      key = ipc_socket_local_key_of_abstract (name, strlen (name));
      *context = ipc_local_servers_find (key);
      return fd;
    }
  if (errno == ECONNREFUSED)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "abstract:%s: nobody listens", name);
  else if (errno == EAGAIN)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "abstract:%s: too many clients connect at once", name);
  else
    ipc_error_set_errno (error, errno, "cannot connect to abstract:%s", name);
  ipc_fork_close (fd);
  return -1;
}
