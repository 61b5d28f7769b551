/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-path-lock.h"
#include "core/ipc-safe-path.h"

#define PROBES 20
#define PROBE_PAUSE_US 1000

/* ---- the servers of this process, by the inode of their socket ---- */

typedef struct
{
  guint64 device;
  guint64 inode;
} SocketKey;

G_LOCK_DEFINE_STATIC (local_servers);
static GHashTable *local_servers;       /* SocketKey (owned) → GMainContext (owned) */

static guint
key_hash (gconstpointer key)
{
  const SocketKey *k = key;

  return g_int64_hash (&k->device) ^ g_int64_hash (&k->inode);
}

static gboolean
key_equal (gconstpointer a, gconstpointer b)
{
  const SocketKey *x = a, *y = b;

  return x->device == y->device && x->inode == y->inode;
}

static void
remember_server (const IpcSocketPath *path, GMainContext *context)
{
  SocketKey key = { path->device, path->inode };

  G_LOCK (local_servers);
  if (local_servers == NULL)
    local_servers = g_hash_table_new_full (key_hash, key_equal, g_free, (GDestroyNotify) g_main_context_unref);
  g_hash_table_replace (local_servers, g_memdup2 (&key, sizeof key), g_main_context_ref (context));
  G_UNLOCK (local_servers);
}

static void
forget_server (const IpcSocketPath *path)
{
  SocketKey key = { path->device, path->inode };

  G_LOCK (local_servers);
  if (local_servers != NULL)
    g_hash_table_remove (local_servers, &key);
  if (local_servers != NULL && g_hash_table_size (local_servers) == 0)
    g_clear_pointer (&local_servers, g_hash_table_unref);
  G_UNLOCK (local_servers);
}

static GMainContext *
find_server (const struct stat *status)
{
  SocketKey key = { status->st_dev, status->st_ino };
  GMainContext *context;

  G_LOCK (local_servers);
  context = local_servers != NULL ? g_hash_table_lookup (local_servers, &key) : NULL;
  if (context != NULL)
    g_main_context_ref (context);
  G_UNLOCK (local_servers);
  return context;
}

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

/* ---- listening ---- */

void
ipc_socket_path_init (IpcSocketPath *self)
{
  *self = (IpcSocketPath){ -1, -1, -1, NULL, 0, 0 };
}

static gboolean
set_system_error (GError **error, const char *what, const char *basename)
{
  int system_errno = errno;

  ipc_error_set_errno (error, system_errno, "cannot %s socket \"%s\"", what, basename);
  return FALSE;
}

static gboolean
is_served_now (IpcSocketPath *self)
{
  int node_fd = openat (self->directory_fd, self->basename, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct sockaddr_un address;
  gboolean served = FALSE;

  if (node_fd >= 0 && fd >= 0)
    {
      socklen_t size = make_address (&address, "/proc/self/fd/%d", node_fd);

      /* EAGAIN: so many wait already; EPROTOTYPE: it is of another kind. */
      served = connect (fd, (struct sockaddr *) &address, size) == 0 || errno == EAGAIN || errno == EPROTOTYPE;
    }
  if (fd >= 0)
    close (fd);
  if (node_fd >= 0)
    close (node_fd);
  return served;
}

/* Whether somebody listens there who does not know of the lock. A server that is being killed may lose the lock a
 * moment before its socket. */
static gboolean
is_served (IpcSocketPath *self)
{
  for (int i = 0; i < PROBES; i++)
    {
      if (!is_served_now (self))
        return FALSE;
      g_usleep (PROBE_PAUSE_US);
    }
  return TRUE;
}

/* What a server that was killed left behind goes; anything else stays, and is an error. */
static gboolean
remove_stale (IpcSocketPath *self, GError **error)
{
  IpcFault fault;
  bool exists;

  if (!ipc_directory_check_entry (self->directory_fd, self->basename, S_IFSOCK, &exists, NULL, NULL, &fault))
    {
      ipc_error_set_fault (error, &fault, NULL);
      return FALSE;
    }
  if (exists && is_served (self))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "socket \"%s\": a program that does not hold its lock listens there", self->basename);
      return FALSE;
    }
  if (exists && unlinkat (self->directory_fd, self->basename, 0) != 0 && errno != ENOENT)
    return set_system_error (error, "replace the stale", self->basename);
  return TRUE;
}

static gboolean
listen_at (IpcSocketPath *self, const char *temporary, guint mode, int backlog, GError **error)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, "/proc/self/fd/%d/%s", self->directory_fd, temporary);

  self->listen_fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->listen_fd < 0)
    return set_system_error (error, "make", self->basename);
  ipc_fork_guard_fd (self->listen_fd);
  /* bind() makes the file with the mode of the socket, whatever the umask takes away; it never adds. */
  if (fchmod (self->listen_fd, 0600) != 0 || bind (self->listen_fd, (struct sockaddr *) &address, size) != 0)
    return set_system_error (error, "bind", self->basename);
  if (fchmodat (self->directory_fd, temporary, mode, 0) != 0)
    return set_system_error (error, "set the mode of", self->basename);
  if (listen (self->listen_fd, backlog) != 0)
    return set_system_error (error, "listen at", self->basename);
  return TRUE;
}

/* Nobody can have put anything there but somebody who does not know of the lock; that is left alone too. */
static gboolean
make_visible (IpcSocketPath *self, const char *temporary, GError **error)
{
  struct stat status;

  if (fstatat (self->directory_fd, temporary, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return set_system_error (error, "look at", self->basename);
  self->device = status.st_dev;
  self->inode = status.st_ino;
  if (renameat2 (self->directory_fd, temporary, self->directory_fd, self->basename, RENAME_NOREPLACE) == 0)
    return TRUE;
  if (errno == EEXIST)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "socket \"%s\": something else appeared there just now", self->basename);
      return FALSE;
    }
  return set_system_error (error, "publish", self->basename);
}

gboolean
ipc_socket_path_listen (IpcSocketPath *self, int directory_fd, const char *basename, guint mode, int backlog,
                        GMainContext *context, GError **error)
{
  g_autofree char *temporary = g_strdup_printf (".%.20s.tmp.%08x", basename, g_random_int ());
  IpcFault fault;
  gboolean bound;

  ipc_socket_path_init (self);
  self->directory_fd = directory_fd;
  ipc_fork_guard_fd (directory_fd);
  self->basename = g_strdup (basename);
  if (!ipc_path_lock_acquire (directory_fd, basename, &self->lock_fd, &fault))
    {
      ipc_error_set_fault (error, &fault, NULL);
      ipc_socket_path_clear (self);
      return FALSE;
    }
  bound = remove_stale (self, error) && listen_at (self, temporary, mode, backlog, error);
  if (bound && make_visible (self, temporary, error))
    {
      remember_server (self, context);
      return TRUE;
    }
  unlinkat (directory_fd, temporary, 0);
  self->inode = 0;
  ipc_socket_path_clear (self);
  return FALSE;
}

static void
close_guarded (int *fd)
{
  if (*fd < 0)
    return;
  ipc_fork_unguard_fd (*fd);
  close (*fd);
  *fd = -1;
}

void
ipc_socket_path_clear (IpcSocketPath *self)
{
  struct stat status;

  if (self->directory_fd < 0)
    return;
  if (self->inode != 0)
    {
      forget_server (self);
      if (fstatat (self->directory_fd, self->basename, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
          status.st_dev == self->device && status.st_ino == self->inode)
        unlinkat (self->directory_fd, self->basename, 0);
    }
  close_guarded (&self->listen_fd);
  if (self->lock_fd >= 0)
    ipc_path_lock_release (self->lock_fd);
  close_guarded (&self->directory_fd);
  g_free (self->basename);
  ipc_socket_path_init (self);
}

/* ---- connecting ---- */

static int
set_no_server (GError **error, const char *basename, const char *why)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "socket \"%s\": %s", basename, why);
  return -1;
}

static int
connect_to (int node_fd, const char *basename, GError **error)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, "/proc/self/fd/%d", node_fd);
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int connect_errno;

  if (fd < 0)
    {
      set_system_error (error, "make a socket for", basename);
      return -1;
    }
  if (connect (fd, (struct sockaddr *) &address, size) == 0)
    return fd;
  connect_errno = errno;
  close (fd);
  if (connect_errno == ECONNREFUSED)
    return set_no_server (error, basename, "nobody listens; its server is gone");
  if (connect_errno == EAGAIN)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "socket \"%s\": too many clients connect at once", basename);
  else
    ipc_error_set_errno (error, connect_errno, "cannot connect to socket \"%s\"", basename);
  return -1;
}

int
ipc_socket_path_connect (int directory_fd, const char *basename, GMainContext **context, GError **error)
{
  int node_fd = openat (directory_fd, basename, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  int fd;

  if (node_fd < 0 && errno == ENOENT)
    return set_no_server (error, basename, "there is none");
  if (node_fd < 0 || fstat (node_fd, &status) != 0)
    {
      set_system_error (error, "open", basename);
      if (node_fd >= 0)
        close (node_fd);
      return -1;
    }
  if (S_ISLNK (status.st_mode) || !S_ISSOCK (status.st_mode))
    {
      close (node_fd);
      g_set_error (error, IPC_ERROR, S_ISLNK (status.st_mode) ? IPC_ERROR_UNSAFE_PATH : IPC_ERROR_WRONG_TYPE,
                   "\"%s\" is %s", basename, S_ISLNK (status.st_mode) ? "a symbolic link" : "not a socket");
      return -1;
    }
  fd = connect_to (node_fd, basename, error);
  close (node_fd);
  if (fd >= 0)
    *context = find_server (&status);
  return fd;
}
