/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipe/ipc-pipe-path-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-local-servers-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-path-lock.h"
#include "core/ipc-safe-path.h"
#include "pipe/ipc-pipe-address-private.h"
#include "pipe/ipc-pipe-pair-private.h"

#define PROBES 20
#define PROBE_PAUSE_US 1000

void
ipc_pipe_path_init (IpcPipePath *self)
{
  ipc_owned_path_init (&self->path);
  self->read_fd = self->pairs_fd = -1;
}

/* ---- a pipe that is there ---- */

/* Whether nobody reads it who does not know of the lock. A server that is being killed may lose the lock a moment before
 * its pipe. */
static gboolean
check_not_read (const IpcOwnedPath *self, GError **error)
{
  for (int i = 0; i < PROBES; i++)
    {
      IpcFault fault;
      int fd;

      if (!ipc_directory_open_entry (self->directory_fd, self->basename, S_IFIFO, O_WRONLY | O_NONBLOCK, &fd, &fault))
        return (fault.code == IPC_FAULT_SYSTEM && fault.system_errno == ENXIO) || ipc_owned_path_set_fault (self, &fault, error);
      close (fd);
      g_usleep (PROBE_PAUSE_US);
    }
  g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "pipe %s: a program that does not hold its lock reads it", self->shown);
  return FALSE;
}

/* Its mode and group are those of another server, or of whoever made it for us. */
static gboolean
settle_mode (const IpcPipePath *self, guint mode, gid_t gid, GError **error)
{
  if (fchmod (self->read_fd, mode) == 0 && (gid == (gid_t) -1 || fchown (self->read_fd, (uid_t) -1, gid) == 0) &&
      fchmod (self->read_fd, mode) == 0)
    return TRUE;
  return ipc_owned_path_set_errno (&self->path, "set the mode of", error);
}

static gboolean
open_to_read (IpcPipePath *self, const char *name, GError **error)
{
  struct stat status;
  IpcFault fault;

  if (!ipc_directory_open_entry (self->path.directory_fd, name, S_IFIFO, O_RDONLY | O_NONBLOCK, &self->read_fd, &fault))
    return ipc_owned_path_set_fault (&self->path, &fault, error);
  ipc_fork_guard_fd (self->read_fd);
  if (fstat (self->read_fd, &status) != 0)
    return ipc_owned_path_set_errno (&self->path, "look at", error);
  self->path.device = status.st_dev;
  self->path.inode = status.st_ino;
  return TRUE;
}

/* Clients that wait for the server watch the directory, and a pipe that was there before is no event in it. */
static void
announce (const IpcOwnedPath *self)
{
  if (mkfifoat (self->directory_fd, self->temporary, 0600) == 0)
    unlinkat (self->directory_fd, self->temporary, 0);
}

static gboolean
take_over (IpcPipePath *self, guint mode, gid_t gid, GError **error)
{
  if (!check_not_read (&self->path, error) || !open_to_read (self, self->path.basename, error))
    return FALSE;
  if (!settle_mode (self, mode, gid, error))
    {
      self->path.inode = 0;
      return FALSE;
    }
  return TRUE;
}

/* ---- a new one ---- */

static gboolean
make (IpcPipePath *self, guint mode, gid_t gid, GError **error)
{
  IpcOwnedPath *path = &self->path;

  if (mkfifoat (path->directory_fd, path->temporary, 0600) != 0)
    return ipc_owned_path_set_errno (path, "make", error);
  if (fchmodat (path->directory_fd, path->temporary, 0600, 0) != 0)
    ipc_owned_path_set_errno (path, "set the mode of", error);
  else if (open_to_read (self, path->temporary, error) && ipc_owned_path_open_to_others (path, mode, gid, error) &&
           ipc_owned_path_publish (path, error))
    return TRUE;
  unlinkat (path->directory_fd, path->temporary, 0);
  path->inode = 0;
  return FALSE;
}

/* ---- opening ---- */

/* Before anything is read: what is in the pipe may be a HELLO of a client that goes on to wait for us. */
static gboolean
open_pairs (IpcPipePath *self, GError **error)
{
  self->pairs_fd = ipc_pipe_pairs_open (self->path.directory_fd, self->path.basename, TRUE, error);
  if (self->pairs_fd < 0)
    {
      g_prefix_error (error, "pipe %s: ", self->path.shown);
      return FALSE;
    }
  ipc_fork_guard_fd (self->pairs_fd);
  ipc_pipe_pairs_forget (self->pairs_fd);
  return TRUE;
}

gboolean
ipc_pipe_path_open (IpcPipePath *self, int directory_fd, const char *basename, const char *path, guint mode, gid_t gid, GError **error)
{
  IpcFault fault;
  bool exists;
  gboolean opened;

  self->read_fd = self->pairs_fd = -1;
  if (!ipc_owned_path_claim (&self->path, IPC_PIPE_FOLDER, directory_fd, basename, path, error))
    return FALSE;
  ipc_owned_path_sweep (&self->path, S_IFIFO, NULL);
  if (!ipc_directory_check_entry (directory_fd, basename, S_IFIFO, &exists, NULL, NULL, &fault))
    opened = ipc_owned_path_set_fault (&self->path, &fault, error);
  else
    opened = open_pairs (self, error) && (exists ? take_over (self, mode, gid, error) : make (self, mode, gid, error));
  if (opened && exists)
    announce (&self->path);
  if (!opened)
    ipc_pipe_path_clear (self);
  return opened;
}

static void
close_guarded (int *fd)
{
  if (*fd >= 0)
    ipc_fork_close (*fd);
  *fd = -1;
}

void
ipc_pipe_path_clear (IpcPipePath *self)
{
  if (self->path.directory_fd < 0)
    return;
  if (self->pairs_fd >= 0)
    {
      g_autofree char *name = g_strdup_printf (".%s.d", self->path.basename);

      ipc_pipe_pairs_forget (self->pairs_fd);
      unlinkat (self->path.directory_fd, name, AT_REMOVEDIR);
    }
  close_guarded (&self->pairs_fd);
  close_guarded (&self->read_fd);
  ipc_owned_path_clear (&self->path);
}

/* ---- the client ---- */

static gboolean
set_no_server (GError **error, const char *shown, const char *why)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "pipe %s: %s", shown, why);
  return FALSE;
}

static gboolean
open_to_write (int directory_fd, const char *basename, const char *shown, int *fd, GError **error)
{
  IpcFault fault;

  if (ipc_directory_open_entry (directory_fd, basename, S_IFIFO, O_WRONLY | O_NONBLOCK, fd, &fault))
    {
      ipc_fork_guard_fd (*fd);
      return TRUE;
    }
  if (fault.code == IPC_FAULT_SYSTEM && fault.system_errno == ENOENT)
    return set_no_server (error, shown, "there is none");
  if (fault.code == IPC_FAULT_SYSTEM && fault.system_errno == ENXIO)
    return set_no_server (error, shown, "nobody reads it; its server is gone");
  ipc_error_set_fault (error, &fault, "pipe");
  return FALSE;
}

static gboolean
open_pairs_of (int directory_fd, const char *basename, const char *shown, int *pairs_fd, GError **error)
{
  g_autoptr (GError) problem = NULL;

  *pairs_fd = ipc_pipe_pairs_open (directory_fd, basename, FALSE, &problem);
  if (*pairs_fd >= 0)
    {
      ipc_fork_guard_fd (*pairs_fd);
      return TRUE;
    }
  if (g_error_matches (problem, IPC_ERROR, IPC_ERROR_NOT_FOUND))
    return set_no_server (error, shown, "its server is about to stop");
  g_propagate_prefixed_error (error, g_steal_pointer (&problem), "pipe %s: ", shown);
  return FALSE;
}

static gboolean
check_served (int directory_fd, const char *basename, const char *shown, GError **error)
{
  return ipc_path_lock_is_held (directory_fd, basename) || set_no_server (error, shown, "who reads it is no server");
}

/* That of the server, if it is in this process. */
static gboolean
find_context (int fd, const char *shown, GMainContext **context, GError **error)
{
  g_autofree char *key = NULL;
  struct stat status;

  if (fstat (fd, &status) != 0)
    {
      ipc_error_set_errno (error, errno, "cannot look at pipe %s", shown);
      return FALSE;
    }
  key = ipc_local_servers_key_of_file (status.st_dev, status.st_ino);
  *context = ipc_local_servers_find (key);
  return TRUE;
}

gboolean
ipc_pipe_path_reach (int directory_fd, const char *basename, const char *path, int *write_fd, int *pairs_fd, GMainContext **context,
                     GError **error)
{
  g_autofree char *shown = ipc_owned_path_escape (path);
  int fd;

  if (!open_to_write (directory_fd, basename, shown, &fd, error))
    return FALSE;
  if (!find_context (fd, shown, context, error) || !check_served (directory_fd, basename, shown, error) ||
      !open_pairs_of (directory_fd, basename, shown, pairs_fd, error))
    {
      g_clear_pointer (context, g_main_context_unref);
      ipc_fork_close (fd);
      return FALSE;
    }
  *write_fd = fd;
  return TRUE;
}
