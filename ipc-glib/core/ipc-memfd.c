/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealed memfds, made and judged. Whoever maps one trusts it never to shrink
 * (reading what is gone kills the reader) and never to change (what was validated
 * is what is used), so the seals are the first thing that is looked at: after
 * them, nothing that the other checks see can change either.
 */
#include "core/ipc-memfd.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)
#define BLOCK 512 /* what st_blocks counts in */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Writing allocates as it goes, and says so when there is no room; a store through a map would be killed. */
static bool
fill (int fd, const char *data, size_t size)
{
  while (size > 0)
    {
      ssize_t written = write (fd, data, size);

      if (written < 0 && errno == EINTR)
        continue;
      if (written <= 0)
        return false;
      data += written;
      size -= (size_t) written;
    }
  return true;
}

/* That it cannot be executed is to be said since Linux 6.3, and unknown before. */
int
ipc_memfd_open (const char *name)
{
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = memfd_create (name, flags | MFD_NOEXEC_SEAL);

  return fd < 0 && errno == EINVAL ? memfd_create (name, flags) : fd;
}

int
ipc_memfd_create (const void *data, size_t size)
{
  int fd = ipc_memfd_open ("ipc-glib payload");
  int problem;

  if (fd < 0)
    return -1;
  if (fill (fd, data, size) && fcntl (fd, F_ADD_SEALS, SEALS) == 0)
    return fd;
  problem = errno != 0 ? errno : EIO;
  close (fd);
  errno = problem;
  return -1;
}

static bool
check (int fd, uint64_t size, IpcFault *fault)
{
  int seals = fcntl (fd, F_GET_SEALS);
  struct statfs system;
  struct stat status;

  /* Of all files only those of tmpfs and of hugetlbfs have seals; the latter cannot be mapped by the page. */
  if (seals < 0 || fstat (fd, &status) != 0 || !S_ISREG (status.st_mode) || fstatfs (fd, &system) != 0 || system.f_type != TMPFS_MAGIC)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "expected a sealed memfd, got a descriptor of another kind");
  if ((seals & SEALS) != SEALS)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "expected a sealed memfd, got one with the seals 0x%x instead of 0x%x",
                          (unsigned) seals, (unsigned) SEALS);
  if (size > (uint64_t) status.st_size)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "a payload of %" PRIu64 " bytes in a memfd of %" PRIu64,
                          size, (uint64_t) status.st_size);
  if (size > (uint64_t) status.st_blocks * BLOCK)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "a payload of %" PRIu64 " bytes in a memfd that holds only %" PRIu64,
                          size, (uint64_t) status.st_blocks * BLOCK);
  return true;
}

bool
ipc_memfd_map (int fd, uint64_t size, const void **data, IpcFault *fault)
{
  void *map;

  if (!check (fd, size, fault))
    return false;
  *data = NULL;
  if (size == 0)
    return true;
  /* Private: kernels before 6.7 take a shared map for one that could be made writable, and refuse it. */
  map = mmap (NULL, (size_t) size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (map == MAP_FAILED && errno == EACCES)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "expected a sealed memfd, got one that is not open for reading");
  if (map == MAP_FAILED)
    return ipc_fault_set_errno (fault, errno, "cannot map a payload of %" PRIu64 " bytes", size);
  *data = map;
  return true;
}

void
ipc_memfd_unmap (const void *data, size_t size)
{
  munmap ((void *) data, size);
}
