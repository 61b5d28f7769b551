/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-byte-lock.h"

#include <stdio.h>
#include <unistd.h>

#include "core/ipc-fork.h"

#define LOCKS_AT ((off_t) 1 << 40)      /* beyond the end of the file, where locks may be all the same */

int
ipc_byte_lock_open (int fd, int access)
{
  char path[64];

  snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  return ipc_fork_open (TEMP_FAILURE_RETRY (open (path, access | O_CLOEXEC)));
}

int
ipc_byte_lock (int fd, int command, short type, unsigned first, unsigned n, struct flock *lock)
{
  int result;

  *lock = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = LOCKS_AT + first, .l_len = n };
  do
    result = fcntl (fd, command, lock);
  while (result < 0 && errno == EINTR);
  return result;
}

unsigned
ipc_byte_lock_clip (const struct flock *lock, unsigned first, unsigned n, unsigned *n_locked)
{
  off_t start = lock->l_start - LOCKS_AT;
  off_t end = lock->l_len > 0 ? start + lock->l_len : (off_t) first + n;

  if (start < first)
    start = first;
  if (end > (off_t) first + n)
    end = (off_t) first + n;
  *n_locked = end > start ? (unsigned) (end - start) : 0;
  return (unsigned) start;
}
