/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal-state.h"

#include <sys/uio.h>
#include <unistd.h>

bool
ipc_journal_write_all (int fd, const void *bytes, uint64_t size, uint64_t offset)
{
  for (uint64_t done = 0; done < size;)
    {
      ssize_t n = pwrite (fd, (const uint8_t *) bytes + done, (size_t) (size - done), (off_t) (offset + done));

      if (n < 0 && errno != EINTR)
        return false;
      done += n > 0 ? (uint64_t) n : 0;
    }
  return true;
}

bool
ipc_journal_read_all (int fd, void *bytes, uint64_t size, uint64_t offset)
{
  for (uint64_t done = 0; done < size;)
    {
      ssize_t n = pread (fd, (uint8_t *) bytes + done, (size_t) (size - done), (off_t) (offset + done));

      if (n == 0)
        errno = EIO;
      if (n == 0 || (n < 0 && errno != EINTR))
        return false;
      done += n > 0 ? (uint64_t) n : 0;
    }
  return true;
}

bool
ipc_journal_sync_data (int fd)
{
  int result;

  do
    result = fdatasync (fd);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/* In one call, where the kernel can (Linux 4.7) and the file system, which then looks for nothing else that is to be synced. */
bool
ipc_journal_write_synced (int fd, const void *bytes, uint64_t size, uint64_t offset)
{
  for (uint64_t done = 0; done < size;)
    {
      const struct iovec rest = { (uint8_t *) bytes + done, (size_t) (size - done) };
      ssize_t n = pwritev2 (fd, &rest, 1, (off_t) (offset + done), RWF_DSYNC);

      if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
        return ipc_journal_write_all (fd, rest.iov_base, rest.iov_len, offset + done) && ipc_journal_sync_data (fd);
      if (n < 0 && errno != EINTR)
        return false;
      done += n > 0 ? (uint64_t) n : 0;
    }
  return true;
}

bool
ipc_journal_fault_errno (const IpcJournal *self, const char *what, IpcFault *fault)
{
  return ipc_fault_set_errno (fault, errno, "cannot %s \"%s\"", what, self->name);
}

bool
ipc_journal_fault_corrupt (const IpcJournal *self, const char *why, IpcFault *fault)
{
  return ipc_fault_set (fault, IPC_FAULT_CORRUPT, "\"%s\" %s", self->name, why);
}
