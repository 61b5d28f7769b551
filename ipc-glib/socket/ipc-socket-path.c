/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-safe-path.h"
#include "socket/ipc-socket-local-private.h"

#define PROBES 20
#define PROBE_PAUSE_US 1000

/* ---- addresses through descriptors ---- */

/* The kernel takes 107 bytes of path; through the descriptor of its directory every path is that short. */
static socklen_t G_GNUC_PRINTF (2, 3)
make_address (struct sockaddr_un *address, const char *format, ...)
{
  va_list args;

  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  va_start (args, format);
  vsnprintf (address->sun_path, sizeof address->sun_path, format, args);
  va_end (args);
  return (socklen_t) (offsetof (struct sockaddr_un, sun_path) + strlen (address->sun_path) + 1);
}

/* ---- what is there ---- */

typedef enum
{
  NOT_SERVED,
  SERVED,
  UNKNOWN,      /* errno says why it could not be tried */
} Service;

static Service
connect_for_a_look (int fd, int node_fd)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, "/proc/self/fd/%d", node_fd);

  if (TEMP_FAILURE_RETRY (connect (fd, (struct sockaddr *) &address, size)) == 0)
    return SERVED;
  if (errno == ECONNREFUSED)
    return NOT_SERVED;
  /* EAGAIN: so many wait already; EPROTOTYPE: it is of another kind. */
  return errno == EAGAIN || errno == EPROTOTYPE ? SERVED : UNKNOWN;
}

static Service
look_for_service (const IpcOwnedPath *self, const char *name)
{
  int node_fd = TEMP_FAILURE_RETRY (openat (self->directory_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  Service service = UNKNOWN;
  int fd, problem;

  if (node_fd < 0)
    return errno == ENOENT ? NOT_SERVED : UNKNOWN;
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0)
    service = connect_for_a_look (fd, node_fd);
  problem = errno;
  if (fd >= 0)
    close (fd);
  close (node_fd);
  errno = problem;
  return service;
}

/* Whether nobody listens there who does not know of the lock. A server that is being killed may lose the lock a
 * moment before its socket. Where it cannot be tried, whatever may be there is left alone. */
static gboolean
check_not_served (const IpcOwnedPath *self, GError **error)
{
  for (int i = 0; i < PROBES; i++)
    {
      Service service = look_for_service (self, self->basename);

      if (service == NOT_SERVED)
        return TRUE;
      if (service == UNKNOWN)
        return ipc_owned_path_set_errno (self, "tell whether somebody serves", error);
      g_usleep (PROBE_PAUSE_US);
    }
  g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "socket %s: a program that does not hold its lock listens there", self->shown);
  return FALSE;
}

/* What a server that was killed left behind goes; anything else stays, and is an error. */
static gboolean
remove_stale (const IpcOwnedPath *self, GError **error)
{
  IpcFault fault;
  bool exists;

  if (!ipc_directory_check_entry (self->directory_fd, self->basename, S_IFSOCK, &exists, NULL, NULL, &fault))
    return ipc_owned_path_set_fault (self, &fault, error);
  if (exists && !check_not_served (self, error))
    return FALSE;
  if (exists && unlinkat (self->directory_fd, self->basename, 0) != 0 && errno != ENOENT)
    return ipc_owned_path_set_errno (self, "replace the stale", error);
  return TRUE;
}

static gboolean
is_not_served (const IpcOwnedPath *self, const char *name)
{
  return look_for_service (self, name) == NOT_SERVED;
}

/* ---- listening ---- */

static gboolean
listen_at (IpcSocketPath *socket_path, const IpcSocketPathOptions *options, GError **error)
{
  IpcOwnedPath *self = &socket_path->path;
  struct sockaddr_un address;
  socklen_t size = make_address (&address, "/proc/self/fd/%d/%s", self->directory_fd, self->temporary);
  int fd = socket_path->listen_fd = ipc_fork_open (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

  if (fd < 0)
    return ipc_owned_path_set_errno (self, "make", error);
  /* bind() makes the file with the mode of the socket, whatever the umask takes away; it never adds. */
  if (fchmod (fd, 0600) != 0 || bind (fd, (struct sockaddr *) &address, size) != 0)
    return ipc_owned_path_set_errno (self, "bind", error);
  if (!ipc_owned_path_open_to_others (self, options->mode, options->gid, error))
    return FALSE;
  if (listen (fd, options->backlog) != 0)
    return ipc_owned_path_set_errno (self, "listen at", error);
  return TRUE;
}

void
ipc_socket_path_init (IpcSocketPath *self)
{
  ipc_owned_path_init (&self->path);
  self->listen_fd = -1;
}

gboolean
ipc_socket_path_listen (IpcSocketPath *self, int directory_fd, const char *basename, const char *path,
                        const IpcSocketPathOptions *options, GError **error)
{
  self->listen_fd = -1;
  if (!ipc_owned_path_claim (&self->path, "socket", directory_fd, basename, path, error))
    return FALSE;
  ipc_owned_path_sweep (&self->path, S_IFSOCK, is_not_served);
  if (remove_stale (&self->path, error) && listen_at (self, options, error) && ipc_owned_path_publish (&self->path, error))
    return TRUE;
  unlinkat (directory_fd, self->path.temporary, 0);
  ipc_socket_path_clear (self);
  return FALSE;
}

void
ipc_socket_path_clear (IpcSocketPath *self)
{
  if (self->listen_fd >= 0)
    ipc_fork_close (self->listen_fd);
  self->listen_fd = -1;
  ipc_owned_path_clear (&self->path);
}

/* ---- connecting ---- */

static int
set_no_server (GError **error, const char *shown, const char *why)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "socket %s: %s", shown, why);
  return -1;
}

static int
set_system_error (GError **error, const char *what, const char *shown)
{
  ipc_error_set_errno (error, errno, "cannot %s socket %s", what, shown);
  return -1;
}

static int
connect_to (int node_fd, const char *shown, GError **error)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, "/proc/self/fd/%d", node_fd);
  int fd = ipc_fork_open (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int connect_errno;

  if (fd < 0)
    return set_system_error (error, "connect to", shown);
  if (TEMP_FAILURE_RETRY (connect (fd, (struct sockaddr *) &address, size)) == 0)
    return fd;
  connect_errno = errno;
  ipc_fork_close (fd);
  if (connect_errno == ECONNREFUSED)
    return set_no_server (error, shown, "nobody listens; its server is gone");
  if (connect_errno == EAGAIN)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "socket %s: too many clients connect at once", shown);
  else
    ipc_error_set_errno (error, connect_errno, "cannot connect to socket %s", shown);
  return -1;
}

int
ipc_socket_path_connect (int directory_fd, const char *basename, const char *path, GMainContext **context, GError **error)
{
  g_autofree char *shown = ipc_owned_path_escape (path);
  g_autofree char *key = NULL;
  int node_fd = TEMP_FAILURE_RETRY (openat (directory_fd, basename, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat status;
  int fd;

  if (node_fd < 0 && errno == ENOENT)
    return set_no_server (error, shown, "there is none");
  if (node_fd < 0 || fstat (node_fd, &status) != 0)
    {
      set_system_error (error, "open", shown);
      if (node_fd >= 0)
        close (node_fd);
      return -1;
    }
  if (S_ISLNK (status.st_mode) || !S_ISSOCK (status.st_mode))
    {
      close (node_fd);
      g_set_error (error, IPC_ERROR, S_ISLNK (status.st_mode) ? IPC_ERROR_UNSAFE_PATH : IPC_ERROR_WRONG_TYPE,
                   "%s is %s", shown, S_ISLNK (status.st_mode) ? "a symbolic link" : "not a socket");
      return -1;
    }
  fd = connect_to (node_fd, shown, error);
  close (node_fd);
  if (fd < 0)
    return -1;
  key = ipc_local_servers_key_of_file (status.st_dev, status.st_ino);
  *context = ipc_local_servers_find (key);
  return fd;
}
