/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal-state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define SHORTEST_NAP_NS 20000
#define LONGEST_NAP_NS 1000000

static uint64_t
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

static bool
set_lock (IpcJournal *self, short type)
{
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_len = 1 };
  int result;

  do
    result = fcntl (self->fd, F_OFD_SETLK, &lock);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

/* Those who have it are quick, or stopped. */
static bool
take_lock (IpcJournal *self, uint64_t timeout_ns, IpcFault *fault)
{
  uint64_t start = 0;
  struct timespec nap = { .tv_nsec = SHORTEST_NAP_NS };

  while (!set_lock (self, F_WRLCK))
    {
      uint64_t now = get_time ();

      if (errno != EAGAIN && errno != EACCES)
        return ipc_journal_fault_errno (self, "lock", fault);
      start = start == 0 ? now : start;
      if (now - start >= timeout_ns)
        return ipc_fault_set (fault, IPC_FAULT_TIMED_OUT, "\"%s\": another process has had its lock for %" PRIu64 " ms", self->name,
                              timeout_ns / 1000000);
      nanosleep (&nap, NULL);
      nap.tv_nsec = nap.tv_nsec * 2 < LONGEST_NAP_NS ? nap.tv_nsec * 2 : LONGEST_NAP_NS;
    }
  return true;
}

static bool
look (IpcJournal *self, IpcFault *fault)
{
  struct stat status;

  if (fstat (self->fd, &status) != 0)
    return ipc_journal_fault_errno (self, "look at", fault);
  if (status.st_nlink == 0)
    return ipc_fault_set (fault, IPC_FAULT_NOT_FOUND, "\"%s\" was removed", self->name);
  self->size = (uint64_t) status.st_size;
  if (self->size <= IPC_JOURNAL_RECORDS_AT || ipc_guard_is_broken (self->head->guard))
    return ipc_journal_fault_corrupt (self, "was truncated", fault);
  return (self->header.generation != 0 && ipc_journal_is_of_this_boot (self)) || ipc_journal_read_header (self, fault);
}

bool
ipc_journal_lock (IpcJournal *self, uint64_t timeout_ns, IpcFault *fault)
{
  if (!take_lock (self, timeout_ns, fault))
    return false;
  if (look (self, fault))
    return true;
  ipc_journal_unlock (self);
  return false;
}

void
ipc_journal_unlock (IpcJournal *self)
{
  set_lock (self, F_UNLCK);
}
