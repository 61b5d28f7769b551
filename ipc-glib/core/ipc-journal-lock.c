/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whose turn it is. Each that has a journal open is a member: it has one byte of the file locked, by a lock that the kernel drops when the
 * process dies. Who has the journal's lock is a word of the page that all have mapped, so that to take it while it is free, and to give
 * it back, is no system call. Whether the member that it says is alive, and not just slow, its byte says.
 *
 * A member that comes after a dead one has another random number, so that whoever has found the dead one to be dead does not take the
 * lock from the new one.
 */
#include "core/ipc-journal-state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define MEMBER_BITS 16
#define MAX_MEMBERS 4096u

#define SHORTEST_NAP_NS 20000
#define LONGEST_NAP_NS 1000000

static uint64_t
get_time (clockid_t clock)
{
  struct timespec now;

  clock_gettime (clock, &now);
  return (uint64_t) now.tv_sec * 1000000000u + (uint64_t) now.tv_nsec;
}

/* ---- members ---- */

static uint64_t
get_member (uint64_t owner)
{
  return owner & ((1u << MEMBER_BITS) - 1);
}

static bool
control_byte (const IpcJournal *self, int command, uint64_t member, struct flock *lock)
{
  int result;

  *lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t) member, .l_len = 1 };
  do
    result = fcntl (self->fd, command, lock);
  while (result != 0 && errno == EINTR);
  return result == 0;
}

static bool
is_dead (const IpcJournal *self, uint64_t owner)
{
  struct flock lock;

  return control_byte (self, F_OFD_GETLK, get_member (owner), &lock) && lock.l_type == F_UNLCK;
}

/* Who was this member before has died. */
static void
become (IpcJournal *self, uint64_t member)
{
  _Atomic uint64_t *owner = &ipc_journal_get_live (self)->owner;
  uint64_t before = atomic_load (owner);

  self->me = ipc_journal_make_salt () << MEMBER_BITS | member;
  if (get_member (before) == member)
    atomic_compare_exchange_strong (owner, &before, 0);
}

bool
ipc_journal_join (IpcJournal *self, IpcFault *fault)
{
  struct flock lock;

  for (uint64_t member = 1; member <= MAX_MEMBERS; member++)
    {
      if (control_byte (self, F_OFD_SETLK, member, &lock))
        {
          become (self, member);
          return true;
        }
      if (errno != EAGAIN && errno != EACCES)
        return ipc_journal_fault_errno (self, "lock", fault);
    }
  return ipc_fault_set (fault, IPC_FAULT_LIMIT_EXCEEDED, "\"%s\" is open %u times, which is the limit", self->name, MAX_MEMBERS);
}

/* ---- the lock ---- */

static bool
try_lock (IpcJournal *self)
{
  _Atomic uint64_t *word = &ipc_journal_get_live (self)->owner;
  uint64_t owner = 0;

  if (atomic_compare_exchange_strong (word, &owner, self->me))
    return true;
  return is_dead (self, owner) && atomic_compare_exchange_strong (word, &owner, self->me);
}

/* Those who have it are quick, or stopped. */
static bool
take_lock (IpcJournal *self, uint64_t timeout_ns, IpcFault *fault)
{
  uint64_t start = 0;
  struct timespec nap = { .tv_nsec = SHORTEST_NAP_NS };

  while (!try_lock (self))
    {
      uint64_t now = get_time (CLOCK_MONOTONIC);

      start = start == 0 ? now : start;
      if (now - start >= timeout_ns)
        return ipc_fault_set (fault, IPC_FAULT_TIMED_OUT, "\"%s\": another process has had its lock for %" PRIu64 " ms", self->name,
                              timeout_ns / 1000000);
      nanosleep (&nap, NULL);
      nap.tv_nsec = nap.tv_nsec * 2 < LONGEST_NAP_NS ? nap.tv_nsec * 2 : LONGEST_NAP_NS;
    }
  return true;
}

/* Nothing has changed of what look() looks at, as far as others use this library. What somebody else does to the file is noticed at the next
 * tick of the clock: a few ms. But one that has died may have made it longer. */
static bool
is_as_it_was (const IpcJournal *self, uint64_t now)
{
  return now == self->looked_at && ipc_journal_is_settled (self);
}

static bool
look (IpcJournal *self, IpcFault *fault)
{
  uint64_t now = get_time (CLOCK_MONOTONIC_COARSE);
  struct statx status;

  if (ipc_guard_is_broken (self->map->guard))
    return ipc_journal_fault_corrupt (self, "was truncated", fault);
  if (is_as_it_was (self, now))
    return true;
  /* Nothing of its times: who asks for them makes the next write note a finer one (Linux 6.13). */
  if (statx (self->fd, "", AT_EMPTY_PATH, STATX_NLINK | STATX_SIZE, &status) != 0)
    return ipc_journal_fault_errno (self, "look at", fault);
  if (status.stx_nlink == 0)
    return ipc_fault_set (fault, IPC_FAULT_NOT_FOUND, "\"%s\" was removed", self->name);
  self->size = status.stx_size;
  if (self->size <= IPC_JOURNAL_RECORDS_AT)
    return ipc_journal_fault_corrupt (self, "was truncated", fault);
  self->looked_at = now;
  return ipc_journal_is_of_this_boot (self) || ipc_journal_read_header (self, fault);
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
  uint64_t owner = self->me;

  atomic_compare_exchange_strong (&ipc_journal_get_live (self)->owner, &owner, 0);
}

bool
ipc_journal_is_locked (const IpcJournal *self)
{
  uint64_t owner = atomic_load (&ipc_journal_get_live (self)->owner);

  return owner == self->me || (owner != 0 && !is_dead (self, owner));
}
