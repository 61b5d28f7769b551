/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-owned-path-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-path-lock.h"
#include "core/ipc-safe-path.h"

/* So that the kernel takes it as the address of a socket, through the descriptor of the directory. */
#define TEMPORARY_NAME_MAX 64
#define TEMPORARY_DIGITS 8

/* ---- messages ---- */

char *
ipc_owned_path_escape (const char *path)
{
  gsize room = 4 * strlen (path) + 1;

  return ipc_fault_escape (g_malloc (room), room, path, strlen (path));
}

gboolean
ipc_owned_path_set_errno (const IpcOwnedPath *self, const char *what, GError **error)
{
  int system_errno = errno;

  ipc_error_set_errno (error, system_errno, "cannot %s %s %s", what, self->kind, self->shown);
  return FALSE;
}

gboolean
ipc_owned_path_set_fault (const IpcOwnedPath *self, const IpcFault *fault, GError **error)
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

void
ipc_owned_path_sweep (const IpcOwnedPath *self, mode_t file_type, IpcOwnedPathIsStale is_stale)
{
  int fd = TEMP_FAILURE_RETRY (openat (self->directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR *directory = fd >= 0 ? fdopendir (fd) : NULL;
  g_autofree char *prefix = make_temporary_prefix (self->basename);
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
        ipc_directory_check_entry (self->directory_fd, entry->d_name, file_type, &exists, NULL, NULL, NULL) &&
        exists && (is_stale == NULL || is_stale (self, entry->d_name)))
      unlinkat (self->directory_fd, entry->d_name, 0);
  closedir (directory);
}

/* ---- the file ---- */

gboolean
ipc_owned_path_open_to_others (const IpcOwnedPath *self, guint mode, gid_t gid, GError **error)
{
  if (gid != (gid_t) -1 && fchownat (self->directory_fd, self->temporary, (uid_t) -1, gid, AT_SYMLINK_NOFOLLOW) != 0)
    return ipc_owned_path_set_errno (self, "set the group of", error);
  if (fchmodat (self->directory_fd, self->temporary, mode, 0) != 0)
    return ipc_owned_path_set_errno (self, "set the mode of", error);
  return TRUE;
}

gboolean
ipc_owned_path_publish (IpcOwnedPath *self, GError **error)
{
  struct stat status;

  if (fstatat (self->directory_fd, self->temporary, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return ipc_owned_path_set_errno (self, "look at", error);
  if (renameat2 (self->directory_fd, self->temporary, self->directory_fd, self->basename, RENAME_NOREPLACE) == 0)
    {
      self->device = status.st_dev;
      self->inode = status.st_ino;
      return TRUE;
    }
  if (errno == EEXIST)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE, "%s %s: something else appeared there just now", self->kind, self->shown);
      return FALSE;
    }
  return ipc_owned_path_set_errno (self, "publish", error);
}

gboolean
ipc_owned_path_is_ours (const IpcOwnedPath *self)
{
  struct stat status;

  return fstatat (self->directory_fd, self->basename, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_dev == self->device && status.st_ino == self->inode;
}

/* ---- owning ---- */

void
ipc_owned_path_init (IpcOwnedPath *self)
{
  *self = (IpcOwnedPath){ .directory_fd = -1, .lock_fd = -1 };
}

gboolean
ipc_owned_path_claim (IpcOwnedPath *self, const char *kind, int directory_fd, const char *basename, const char *path, GError **error)
{
  g_autofree char *prefix = make_temporary_prefix (basename);
  IpcFault fault;

  ipc_owned_path_init (self);
  self->kind = kind;
  self->directory_fd = directory_fd;
  ipc_fork_guard_fd (directory_fd);
  self->basename = g_strdup (basename);
  self->shown = ipc_owned_path_escape (path);
  self->temporary = g_strdup_printf ("%s%0*x", prefix, TEMPORARY_DIGITS, g_random_int ());
  if (ipc_path_lock_acquire (directory_fd, basename, &self->lock_fd, &fault))
    return TRUE;
  ipc_owned_path_set_fault (self, &fault, error);
  ipc_owned_path_clear (self);
  return FALSE;
}

void
ipc_owned_path_clear (IpcOwnedPath *self)
{
  if (self->directory_fd < 0)
    return;
  if (self->inode != 0 && ipc_owned_path_is_ours (self))
    unlinkat (self->directory_fd, self->basename, 0);
  if (self->lock_fd >= 0)
    ipc_path_lock_release (self->lock_fd);
  ipc_fork_close (self->directory_fd);
  g_free (self->basename);
  g_free (self->shown);
  g_free (self->temporary);
  ipc_owned_path_init (self);
}
