/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file/ipc-file-open-private.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-new-file.h"
#include "core/ipc-safe-path.h"

/* ---- space ---- */

gboolean
ipc_file_check_size (const char *path, guint64 size, guint64 max_size, GError **error)
{
  if (size > IPC_FILE_MAX_SIZE)
    g_set_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE, "file \"%s\": %" G_GUINT64_FORMAT " bytes, it can have %" G_GUINT64_FORMAT, path, size,
                 IPC_FILE_MAX_SIZE);
  else if (size > max_size)
    g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "file \"%s\": %" G_GUINT64_FORMAT " bytes, the limit is %" G_GUINT64_FORMAT, path, size,
                 max_size);
  else
    return TRUE;
  return FALSE;
}

gboolean
ipc_file_allocate (int fd, const char *path, guint64 from, guint64 to, GError **error)
{
  int problem;

  do
    problem = posix_fallocate (fd, (off_t) from, (off_t) (to - from));
  while (problem == EINTR);
  if (problem == 0)
    return TRUE;
  if (problem == ENOSPC || problem == EDQUOT || problem == EFBIG)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE, "file \"%s\": no space left to grow from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " bytes",
                 path, from, to);
  else
    ipc_error_set_errno (error, problem, "file \"%s\" cannot grow from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " bytes", path, from, to);
  return FALSE;
}

/* Where the file system cannot do that, a hole is filled when it is written to, or not. */
gboolean
ipc_file_fill_holes (int fd, const char *path, guint64 offset, guint64 length, GError **error)
{
  int result;

  do
    result = fallocate (fd, 0, (off_t) offset, (off_t) length);
  while (result != 0 && errno == EINTR);
  if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS)
    return TRUE;
  if (errno == ENOSPC || errno == EDQUOT)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE,
                 "file \"%s\": no space left for the holes in %" G_GUINT64_FORMAT " bytes from offset %" G_GUINT64_FORMAT, path, length, offset);
  else
    ipc_error_set_errno (error, errno, "file \"%s\" cannot have its holes filled", path);
  return FALSE;
}

/* ---- what is there ---- */

static gboolean
fail_type (const char *path, mode_t mode, GError **error)
{
  const char *type = S_ISDIR (mode) ? "a directory" : S_ISFIFO (mode) ? "a named pipe" : S_ISSOCK (mode) ? "a socket" : "a device";

  g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "file \"%s\" is %s, expected a regular file", path, type);
  return FALSE;
}

/* A second name would have a journal of its own. */
static gboolean
check_status (const char *path, const struct stat *status, gboolean writable, GError **error)
{
  if (S_ISLNK (status->st_mode))
    g_set_error (error, IPC_ERROR, IPC_ERROR_UNSAFE_PATH, "file \"%s\" is a symbolic link", path);
  else if (!S_ISREG (status->st_mode))
    return fail_type (path, status->st_mode, error);
  else if (status->st_uid != geteuid () && (writable || status->st_uid != 0))
    g_set_error (error, IPC_ERROR, IPC_ERROR_UNSAFE_PATH, "file \"%s\": owner %u, expected %u", path, (guint) status->st_uid, (guint) geteuid ());
  else if (writable && status->st_nlink > 1)
    g_set_error (error, IPC_ERROR, IPC_ERROR_UNSAFE_PATH, "file \"%s\" has %lu names, expected 1", path, (gulong) status->st_nlink);
  else
    return TRUE;
  return FALSE;
}

/* What is in these is made up as it is read. */
static gboolean
check_file_system (IpcFileOpened *self, GError **error)
{
  struct statfs status;

  if (fstatfs (self->fd, &status) != 0)
    {
      ipc_error_set_errno (error, errno, "file \"%s\": cannot look at its file system", self->path);
      return FALSE;
    }
  if (status.f_type != PROC_SUPER_MAGIC && status.f_type != SYSFS_MAGIC && status.f_type != CGROUP2_SUPER_MAGIC)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "file \"%s\" is the kernel's, and cannot be mapped", self->path);
  return FALSE;
}

static gboolean
look (IpcFileOpened *self, gboolean writable, GError **error)
{
  struct stat status;

  if (fstat (self->fd, &status) != 0)
    {
      ipc_error_set_errno (error, errno, "cannot look at file \"%s\"", self->path);
      return FALSE;
    }
  self->device = status.st_dev;
  self->inode = status.st_ino;
  self->size = (guint64) status.st_size;
  return check_status (self->path, &status, writable, error) && check_file_system (self, error);
}

/* ---- making ---- */

/* FALSE without an error: somebody else has made it meanwhile. */
static gboolean
make (IpcFileOpened *self, const IpcFileWanted *wanted, GError **error)
{
  guint64 size = wanted->size != 0 ? wanted->size : wanted->default_size;
  IpcNewFile new;
  gboolean made;

  if (!ipc_file_check_size (self->path, size, wanted->max_size, error))
    return FALSE;
  if (!ipc_new_file_open (&new, self->directory_fd, self->basename))
    {
      ipc_error_set_errno (error, errno, "cannot make file \"%s\"", self->path);
      return FALSE;
    }
  made = ipc_file_allocate (new.fd, self->path, 0, size, error);
  if (made && !ipc_new_file_link (&new, self->basename))
    {
      made = FALSE;
      if (errno != EEXIST)
        ipc_error_set_errno (error, errno, "cannot make file \"%s\"", self->path);
    }
  ipc_new_file_end (&new);
  if (made)
    self->fd = new.fd;
  else
    ipc_fork_close (new.fd);
  return made;
}

static gboolean
open_existing (IpcFileOpened *self, gboolean writable, GError **error)
{
  /* O_NONBLOCK: something else that appears under the name must not make the open wait. */
  int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

  self->fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (self->directory_fd, self->basename, flags)));
  if (self->fd >= 0)
    return TRUE;
  ipc_error_set_errno (error, errno, "cannot open file \"%s\"", self->path);
  return FALSE;
}

static gboolean
open_or_make (IpcFileOpened *self, gboolean writable, const IpcFileWanted *wanted, GError **error)
{
  g_autoptr(GError) reason = NULL;
  struct stat status;

  /* Looked at first, because opening a device may already do something. */
  if (fstatat (self->directory_fd, self->basename, &status, AT_SYMLINK_NOFOLLOW) == 0)
    return check_status (self->path, &status, writable, error) && open_existing (self, writable, error);
  if (errno != ENOENT)
    ipc_error_set_errno (error, errno, "cannot look at file \"%s\"", self->path);
  else if (!writable)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "there is no file \"%s\"", self->path);
  else if (make (self, wanted, &reason))
    {
      /* As far as the file system can. */
      ipc_new_file_sync_directory (self->directory_fd);
      return TRUE;
    }
  else if (reason == NULL)
    return open_existing (self, writable, error);
  else
    g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

/* ---- the way there ---- */

static gboolean
open_directory (IpcFileOpened *self, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (self->path);
  IpcFault fault = { 0 };
  gboolean opened;

  ipc_fork_hold ();
  opened = ipc_directory_open (directory, IPC_DIRECTORY_TRUSTED, false, &self->directory_fd, &fault);
  if (opened)
    ipc_fork_guard_fd (self->directory_fd);
  ipc_fork_release ();
  if (opened)
    return TRUE;
  if (fault.code == IPC_FAULT_SYSTEM && fault.system_errno == ENOENT)
    ipc_fault_set (&fault, IPC_FAULT_NOT_FOUND, "its directory is not there");
  ipc_error_set_fault (error, &fault, self->path);
  return FALSE;
}

static gboolean
check_path (const char *path, GError **error)
{
  if (path == NULL || path[0] == '\0')
    g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_NAME, "the path of a file is empty");
  else if (path[strlen (path) - 1] == '/')
    g_set_error (error, IPC_ERROR, IPC_ERROR_WRONG_TYPE, "\"%s\" is the path of a directory, expected a regular file", path);
  else
    return TRUE;
  return FALSE;
}

gboolean
ipc_file_opened_init (IpcFileOpened *self, const char *path, gboolean writable, const IpcFileWanted *wanted, GError **error)
{
  *self = (IpcFileOpened){ .directory_fd = -1, .fd = -1 };
  if (!check_path (path, error))
    return FALSE;
  self->path = g_canonicalize_filename (path, NULL);
  self->basename = g_path_get_basename (self->path);
  if (open_directory (self, error) && open_or_make (self, writable, wanted, error) && look (self, writable, error))
    return TRUE;
  ipc_file_opened_clear (self, FALSE);
  return FALSE;
}

gboolean
ipc_file_opened_measure (IpcFileOpened *self, gboolean writable, const IpcFileWanted *wanted, GError **error)
{
  if (!look (self, writable, error))
    return FALSE;
  if (wanted->size > self->size && !writable)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_MISMATCH, "file \"%s\" has %" G_GUINT64_FORMAT " bytes, asked %" G_GUINT64_FORMAT
                   ", and it is not to be written", self->path, self->size, wanted->size);
      return FALSE;
    }
  if (wanted->size > self->size)
    {
      if (!ipc_file_check_size (self->path, wanted->size, wanted->max_size, error) ||
          !ipc_file_allocate (self->fd, self->path, self->size, wanted->size, error))
        return FALSE;
      self->size = wanted->size;
    }
  if (self->size == 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "file \"%s\" is empty, and no size is asked for", self->path);
      return FALSE;
    }
  return ipc_file_check_size (self->path, self->size, IPC_FILE_MAX_SIZE, error) &&
         (!writable || ipc_file_fill_holes (self->fd, self->path, 0, self->size, error));
}

void
ipc_file_opened_clear (IpcFileOpened *self, gboolean forked)
{
  if (self->fd >= 0 && !forked)
    ipc_fork_close (self->fd);
  if (self->directory_fd >= 0 && !forked)
    ipc_fork_close (self->directory_fd);
  g_clear_pointer (&self->path, g_free);
  g_clear_pointer (&self->basename, g_free);
  self->fd = self->directory_fd = -1;
}
