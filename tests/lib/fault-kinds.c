/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How each system call can fail that the library makes: not every error that its manual page has, but those that
 * come from outside, or that the library treats in a way of their own.
 */
#include "fault-kinds.h"

#include <errno.h>

static const FaultKind kinds[] = {
  { "accept", { EINTR, ECONNABORTED, EMFILE, ENFILE, ENOMEM, EPERM } },
  { "accept4", { EINTR, ECONNABORTED, EMFILE, ENFILE, ENOMEM, EPERM } },
  { "bind", { EACCES, ENOSPC, ENOMEM, EADDRINUSE } },
  { "chmod", { EPERM, EIO } },
  { "connect", { EINTR, EAGAIN, ECONNREFUSED, EACCES, ENOMEM } },
  { "epoll_create1", { EMFILE, ENFILE, ENOMEM } },
  { "epoll_ctl", { ENOMEM, ENOSPC } },
  { "epoll_wait", { EINTR, EIO } },
  { "fallocate", { EINTR, ENOSPC, EIO } },
  { "fchmod", { EIO, EPERM } },
  { "fchmodat", { EIO, EPERM } },
  { "fchownat", { EPERM, EIO } },
  { "fcntl", { EMFILE, ENOMEM, EINVAL } },
  { "fdatasync", { EINTR, EIO, ENOSPC } },
  { "fdopendir", { ENOMEM } },
  { "flock", { EINTR, ENOLCK, EIO } },
  { "fstat", { EIO, ENOMEM } },
  { "fstatat", { EIO, EACCES, ENOMEM } },
  { "fstatfs", { EIO } },
  { "fsync", { EINTR, EIO, ENOSPC } },
  { "ftruncate", { EINTR, EIO } },
  { "getrandom", { EINTR, ENOSYS } },
  { "getsockname", { ENOBUFS } },
  { "getsockopt", { ENOMEM, EINVAL } },
  { "inotify_add_watch", { ENOSPC, ENOMEM, EACCES } },
  { "inotify_init1", { EMFILE, ENFILE, ENOMEM } },
  { "linkat", { EACCES, ENOSPC, EIO } },
  { "listen", { EADDRINUSE, ENOMEM } },
  { "memfd_create", { EMFILE, ENFILE, ENOMEM, EPERM } },
  { "mkdirat", { EACCES, ENOSPC, EIO } },
  { "mkfifoat", { EACCES, ENOSPC, EIO } },
  { "mmap", { ENOMEM, EACCES } },
  { "msync", { EIO, ENOMEM } },
  { "open", { EINTR, EMFILE, ENFILE, EACCES, EIO } },
  { "openat", { EINTR, EMFILE, ENFILE, EACCES, ENOSPC, EIO } },
  { "pipe2", { EMFILE, ENFILE } },
  { "poll", { EINTR, ENOMEM } },
  { "posix_fallocate", { EINTR, ENOSPC, EIO } },
  { "pread", { EINTR, FAULT_SHORT, EIO } },
  { "pwrite", { EINTR, FAULT_SHORT, ENOSPC, EIO } },
  { "read", { EINTR, FAULT_SHORT, EIO } },
  { "recv", { EINTR, EAGAIN, FAULT_SHORT, ECONNRESET, EIO, ENOMEM } },
  { "recvmsg", { EINTR, EAGAIN, FAULT_SHORT, ECONNRESET, EIO, ENOMEM } },
  { "renameat2", { EACCES, ENOSPC, EIO, EINVAL } },
  { "send", { EINTR, EAGAIN, FAULT_SHORT, EPIPE, ECONNRESET, ENOBUFS, ENOMEM } },
  { "sendmsg", { EINTR, EAGAIN, FAULT_SHORT, EPIPE, ETOOMANYREFS, ENOBUFS, EMFILE } },
  { "setsockopt", { ENOMEM } },
  { "shutdown", { ENOTCONN } },
  { "socket", { EMFILE, ENFILE, ENOMEM, EACCES } },
  { "statx", { EIO, ENOMEM } },
  { "unlinkat", { EACCES, EIO } },
  { "write", { EINTR, FAULT_SHORT, ENOSPC, EIO } },
  { "writev", { EINTR, EAGAIN, FAULT_SHORT, EPIPE, ENOMEM, EIO } },
};

const FaultKind *
fault_kinds (size_t *n)
{
  *n = sizeof kinds / sizeof *kinds;
  return kinds;
}
