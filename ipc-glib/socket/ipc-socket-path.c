/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-path-private.h"

#include <dirent.h>
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
#include "socket/ipc-socket-local-private.h"

#define PROBES 20
#define PROBE_PAUSE_US 1000

/* So that, through the descriptor of the directory, the kernel takes it. */
#define TEMPORARY_NAME_MAX 64
#define TEMPORARY_DIGITS 8

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

/* ---- messages ---- */

void
ipc_socket_path_init (IpcSocketPath *self)
{
  *self = (IpcSocketPath){ -1, -1, -1, NULL, NULL, 0, 0 };
}

static char *
escape (const char *path)
{
  gsize room = 4 * strlen (path) + 1;

  return ipc_fault_escape (g_malloc (room), room, path, strlen (path));
}

static gboolean
set_system_error (GError **error, const char *what, const char *shown)
{
  int system_errno = errno;

  ipc_error_set_errno (error, system_errno, "cannot %s socket %s", what, shown);
  return FALSE;
}

/* The core only knows the directory by its descriptor, and so names what is in it. */
static gboolean
set_fault (const IpcSocketPath *self, const IpcFault *fault, GError **error)
{
  const char *slash = strrchr (self->shown, '/');
  IpcFault whole = *fault;
  g_autofree char *directory = NULL;

  if (slash == NULL || !g_str_has_prefix (fault->message, slash + 1) ||
      strlen (fault->message) + (gsize) (slash - self->shown) + 2 > sizeof whole.message)
    {
      ipc_error_set_fault (error, fault, self->shown);
      return FALSE;
    }
  directory = g_strndup (self->shown, (gsize) (slash - self->shown) + 1);
  g_snprintf (whole.message, sizeof whole.message, "%s%s", directory, fault->message);
  ipc_error_set_fault (error, &whole, NULL);
  return FALSE;
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
look_for_service (const IpcSocketPath *self, const char *name)
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
check_not_served (const IpcSocketPath *self, GError **error)
{
  for (int i = 0; i < PROBES; i++)
    {
      Service service = look_for_service (self, self->basename);

      if (service == NOT_SERVED)
        return TRUE;
      if (service == UNKNOWN)
        return set_system_error (error, "tell whether somebody serves", self->shown);
      g_usleep (PROBE_PAUSE_US);
    }
  g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "socket %s: a program that does not hold its lock listens there", self->shown);
  return FALSE;
}

/* What a server that was killed left behind goes; anything else stays, and is an error. */
static gboolean
remove_stale (const IpcSocketPath *self, GError **error)
{
  IpcFault fault;
  bool exists;

  if (!ipc_directory_check_entry (self->directory_fd, self->basename, S_IFSOCK, &exists, NULL, NULL, &fault))
    return set_fault (self, &fault, error);
  if (exists && !check_not_served (self, error))
    return FALSE;
  if (exists && unlinkat (self->directory_fd, self->basename, 0) != 0 && errno != ENOENT)
    return set_system_error (error, "replace the stale", self->shown);
  return TRUE;
}

/* ---- temporary names ---- */

/* Of a name that is too long for the kernel's addresses a part, and a sum of all of it. */
static char *
make_temporary_prefix (const char *basename)
{
  g_autofree char *sum = NULL;

  if (strlen (basename) <= TEMPORARY_NAME_MAX)
    return g_strdup_printf (".%s.tmp.", basename);
  sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, basename, -1);
  return g_strdup_printf (".%.40s~%.16s.tmp.", basename, sum);
}

static gboolean
is_temporary (const char *name, const char *prefix)
{
  return g_str_has_prefix (name, prefix) && strlen (name + strlen (prefix)) == TEMPORARY_DIGITS &&
         strspn (name + strlen (prefix), "0123456789abcdef") == TEMPORARY_DIGITS;
}

/* A server that was killed while it started leaves its socket under a temporary name. Only whoever has the lock comes
 * here, so none of them is about to get its real one. */
static void
sweep_temporaries (const IpcSocketPath *self, const char *prefix)
{
  int fd = TEMP_FAILURE_RETRY (openat (self->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;
  bool exists;

  if (directory == NULL)
    {
      if (fd >= 0)
        close (fd);
      return;
    }
  while ((entry = readdir (directory)) != NULL)
    if (is_temporary (entry->d_name, prefix) &&
        ipc_directory_check_entry (self->directory_fd, entry->d_name, S_IFSOCK, &exists, NULL, NULL, NULL) &&
        exists && look_for_service (self, entry->d_name) == NOT_SERVED)
      unlinkat (self->directory_fd, entry->d_name, 0);
  closedir (directory);
}

/* ---- listening ---- */

/* Nobody gets in by the wider mode or the group before both are set. */
static gboolean
open_to_others (const IpcSocketPath *self, const char *temporary, const IpcSocketPathOptions *options, GError **error)
{
  if (options->gid != (gid_t) -1 &&
      fchownat (self->directory_fd, temporary, (uid_t) -1, options->gid, AT_SYMLINK_NOFOLLOW) != 0)
    return set_system_error (error, "set the group of", self->shown);
  if (fchmodat (self->directory_fd, temporary, options->mode, 0) != 0)
    return set_system_error (error, "set the mode of", self->shown);
  return TRUE;
}

static gboolean
listen_at (IpcSocketPath *self, const char *temporary, const IpcSocketPathOptions *options, GError **error)
{
  struct sockaddr_un address;
  socklen_t size = make_address (&address, "/proc/self/fd/%d/%s", self->directory_fd, temporary);

  self->listen_fd = ipc_fork_open (socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (self->listen_fd < 0)
    return set_system_error (error, "make", self->shown);
  /* bind() makes the file with the mode of the socket, whatever the umask takes away; it never adds. */
  if (fchmod (self->listen_fd, 0600) != 0 || bind (self->listen_fd, (struct sockaddr *) &address, size) != 0)
    return set_system_error (error, "bind", self->shown);
  if (!open_to_others (self, temporary, options, error))
    return FALSE;
  if (listen (self->listen_fd, options->backlog) != 0)
    return set_system_error (error, "listen at", self->shown);
  return TRUE;
}

/* Nobody can have put anything there but somebody who does not know of the lock; that is left alone too. */
static gboolean
make_visible (IpcSocketPath *self, const char *temporary, GError **error)
{
  struct stat status;

  if (fstatat (self->directory_fd, temporary, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return set_system_error (error, "look at", self->shown);
  self->device = status.st_dev;
  self->inode = status.st_ino;
  if (renameat2 (self->directory_fd, temporary, self->directory_fd, self->basename, RENAME_NOREPLACE) == 0)
    return TRUE;
  if (errno == EEXIST)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "socket %s: something else appeared there just now", self->shown);
      return FALSE;
    }
  return set_system_error (error, "publish", self->shown);
}

gboolean
ipc_socket_path_listen (IpcSocketPath *self, int directory_fd, const char *basename, const char *path,
                        const IpcSocketPathOptions *options, GError **error)
{
  g_autofree char *prefix = make_temporary_prefix (basename);
  g_autofree char *temporary = g_strdup_printf ("%s%0*x", prefix, TEMPORARY_DIGITS, g_random_int ());
  IpcFault fault;

  ipc_socket_path_init (self);
  self->directory_fd = directory_fd;
  ipc_fork_guard_fd (directory_fd);
  self->basename = g_strdup (basename);
  self->shown = escape (path);
  if (!ipc_path_lock_acquire (directory_fd, basename, &self->lock_fd, &fault))
    {
      set_fault (self, &fault, error);
      ipc_socket_path_clear (self);
      return FALSE;
    }
  sweep_temporaries (self, prefix);
  if (remove_stale (self, error) && listen_at (self, temporary, options, error) && make_visible (self, temporary, error))
    return TRUE;
  unlinkat (directory_fd, temporary, 0);
  self->inode = 0;
  ipc_socket_path_clear (self);
  return FALSE;
}

gboolean
ipc_socket_path_is_ours (const IpcSocketPath *self)
{
  struct stat status;

  return fstatat (self->directory_fd, self->basename, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_dev == self->device && status.st_ino == self->inode;
}

static void
close_guarded (int *fd)
{
  if (*fd < 0)
    return;
  ipc_fork_close (*fd);
  *fd = -1;
}

void
ipc_socket_path_clear (IpcSocketPath *self)
{
  if (self->directory_fd < 0)
    return;
  if (self->inode != 0 && ipc_socket_path_is_ours (self))
    unlinkat (self->directory_fd, self->basename, 0);
  close_guarded (&self->listen_fd);
  if (self->lock_fd >= 0)
    ipc_path_lock_release (self->lock_fd);
  close_guarded (&self->directory_fd);
  g_free (self->basename);
  g_free (self->shown);
  ipc_socket_path_init (self);
}

/* ---- connecting ---- */

static int
set_no_server (GError **error, const char *shown, const char *why)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "socket %s: %s", shown, why);
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
    {
      set_system_error (error, "make a socket for", shown);
      return -1;
    }
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
  g_autofree char *shown = escape (path);
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
  key = ipc_socket_local_key_of_file (status.st_dev, status.st_ino);
  *context = ipc_socket_local_find (key);
  return fd;
}
