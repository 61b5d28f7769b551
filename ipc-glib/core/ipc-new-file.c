/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-new-file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "core/ipc-fork.h"

/* What a temporary name has besides the beginning of the real one. */
#define TEMPORARY_NAME_MAX 200

bool
ipc_new_file_open (IpcNewFile *self, int directory_fd, const char *name)
{
  static _Atomic unsigned n_made;
  int fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (directory_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)));

  *self = (IpcNewFile){ .directory_fd = directory_fd, .fd = fd };
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
    return fd >= 0;
  snprintf (self->temporary, sizeof self->temporary, ".%.*s.tmp.%ld.%u", TEMPORARY_NAME_MAX, name, (long) getpid (),
            atomic_fetch_add (&n_made, 1));
  self->fd = ipc_fork_open (TEMP_FAILURE_RETRY (openat (directory_fd, self->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)));
  return self->fd >= 0;
}

bool
ipc_new_file_link (const IpcNewFile *self, const char *name)
{
  char path[64];

  if (self->temporary[0] != '\0')
    return linkat (self->directory_fd, self->temporary, self->directory_fd, name, 0) == 0;
  snprintf (path, sizeof path, "/proc/self/fd/%d", self->fd);
  return linkat (AT_FDCWD, path, self->directory_fd, name, AT_SYMLINK_FOLLOW) == 0;
}

void
ipc_new_file_end (const IpcNewFile *self)
{
  int problem = errno;

  if (self->temporary[0] != '\0')
    unlinkat (self->directory_fd, self->temporary, 0);
  errno = problem;
}

bool
ipc_new_file_sync_directory (int directory_fd)
{
  /* The descriptor may be one that only names it. */
  int fd = TEMP_FAILURE_RETRY (openat (directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  bool synced;
  int problem;

  if (fd < 0)
    return false;
  synced = TEMP_FAILURE_RETRY (fsync (fd)) == 0;
  problem = errno;
  close (fd);
  errno = problem;
  return synced;
}
