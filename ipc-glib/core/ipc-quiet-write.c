/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-quiet-write.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

/* Since Linux 6.18; older headers do not have it, and older kernels say so. */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x00000100
#endif

static bool flag_is_unknown;    /* (atomic) */

void
ipc_quiet_write_forget_flag (void)
{
  __atomic_store_n (&flag_is_unknown, true, __ATOMIC_RELAXED);
}

/* The signal is of this thread: it is held back, and taken out if it came of this very write. One that was pending
 * before is somebody else's. */
static ssize_t
write_masked (int fd, const struct iovec *iov, int n)
{
  static const struct timespec at_once;
  sigset_t pipe_signal, before, pending;
  bool was_pending = false;
  ssize_t written;
  int problem;

  sigemptyset (&pipe_signal);
  sigaddset (&pipe_signal, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &pipe_signal, &before);
  if (sigismember (&before, SIGPIPE) && sigpending (&pending) == 0)
    was_pending = sigismember (&pending, SIGPIPE);
  written = writev (fd, iov, n);
  problem = errno;
  if (written < 0 && problem == EPIPE && !was_pending)
    while (sigtimedwait (&pipe_signal, NULL, &at_once) < 0 && errno == EINTR)
      ;
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  errno = problem;
  return written;
}

ssize_t
ipc_quiet_writev (int fd, const struct iovec *iov, int n)
{
  ssize_t written;

  if (__atomic_load_n (&flag_is_unknown, __ATOMIC_RELAXED))
    return write_masked (fd, iov, n);
  written = pwritev2 (fd, iov, n, -1, RWF_NOSIGNAL);
  if (written >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS))
    return written;
  ipc_quiet_write_forget_flag ();
  return write_masked (fd, iov, n);
}
