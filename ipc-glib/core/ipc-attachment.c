/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-attachment.h"

#include "core/ipc-byte-lock.h"
#include "core/ipc-fork.h"
#include "core/ipc-presence.h"

static bool
is_busy (int system_errno)
{
  return system_errno == EAGAIN || system_errno == EACCES;
}

static bool
take (IpcAttachment *self, int fd, int access, short type, unsigned first, unsigned n, IpcFault *fault)
{
  struct flock lock;
  int own_fd = ipc_byte_lock_open (fd, access);

  if (own_fd < 0)
    return ipc_fault_set_errno (fault, errno, "cannot open a shared file once more");
  if (ipc_byte_lock (own_fd, F_OFD_SETLK, type, first, n, &lock) != 0)
    {
      ipc_fault_set_errno (fault, errno, "cannot lock a shared file");
      ipc_fork_close (own_fd);
      return false;
    }
  self->fd = own_fd;
  self->generation = ipc_fork_generation ();
  return true;
}

bool
ipc_attachment_take (IpcAttachment *self, int fd, unsigned index, IpcFault *fault)
{
  IpcFault own = { 0 };

  if (take (self, fd, O_RDONLY, F_RDLCK, index, 1, &own))
    return true;
  if (own.code == IPC_FAULT_SYSTEM && is_busy (own.system_errno))
    return ipc_fault_set (fault, IPC_FAULT_NOT_FOUND, "it is about to be removed");
  if (fault != NULL)
    *fault = own;
  return false;
}

bool
ipc_attachment_take_all (IpcAttachment *self, int fd, IpcFault *fault)
{
  IpcFault own = { 0 };

  if (take (self, fd, O_RDWR, F_WRLCK, 0, IPC_PRESENCE_MAX, &own))
    return true;
  if (own.code == IPC_FAULT_SYSTEM && is_busy (own.system_errno))
    return false;
  if (fault != NULL)
    *fault = own;
  return false;
}

void
ipc_attachment_drop (IpcAttachment *self)
{
  if (self->fd >= 0 && self->generation == ipc_fork_generation ())
    ipc_fork_close (self->fd);
  self->fd = -1;
}

/* The kernel tells of any one lock in a range, so what lies on either side of it is asked about again. Only the smaller side
 * is a call deeper. */
static unsigned
count (int fd, unsigned first, unsigned n)
{
  unsigned total = 0;

  while (n > 0)
    {
      struct flock lock;
      unsigned at, n_locked, n_before, n_after;

      if (ipc_byte_lock (fd, F_OFD_GETLK, F_WRLCK, first, n, &lock) != 0 || lock.l_type == F_UNLCK)
        break;
      at = ipc_byte_lock_clip (&lock, first, n, &n_locked);
      if (n_locked == 0)
        break;
      total += n_locked;
      n_before = at - first;
      n_after = n - n_before - n_locked;
      if (n_before < n_after)
        {
          total += count (fd, first, n_before);
          first = at + n_locked;
          n = n_after;
        }
      else
        {
          total += count (fd, at + n_locked, n_after);
          n = n_before;
        }
    }
  return total;
}

unsigned
ipc_attachment_count (int fd)
{
  return count (fd, 0, IPC_PRESENCE_MAX);
}

bool
ipc_attachment_is_taken (int fd)
{
  struct flock lock;

  return ipc_byte_lock (fd, F_OFD_GETLK, F_WRLCK, 0, IPC_PRESENCE_MAX, &lock) == 0 && lock.l_type != F_UNLCK;
}
