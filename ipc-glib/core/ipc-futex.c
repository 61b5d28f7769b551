/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000

#ifndef FUTEX_32
#define FUTEX_32 2
#endif

static _Atomic bool single;     /* futex_waitv(2) is not there, or forbidden */

int64_t
ipc_futex_now (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (int64_t) now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* NULL: for ever. */
static const struct timespec *
to_timespec (int64_t deadline, struct timespec *room)
{
  if (deadline == 0)
    return NULL;
  *room = (struct timespec){ .tv_sec = (time_t) (deadline / NS_PER_SECOND), .tv_nsec = (long) (deadline % NS_PER_SECOND) };
  return room;
}

bool
ipc_futex_wait (_Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
  struct timespec room;
  /* The plain operation takes a length of time; this one takes a point in it. */
  long result = syscall (SYS_futex, word, FUTEX_WAIT_BITSET, expected, to_timespec (deadline, &room), NULL, FUTEX_BITSET_MATCH_ANY);

  return result == 0 || errno != ETIMEDOUT;
}

static bool
wait_for_first (const IpcFutexWait *waits, int64_t deadline)
{
  int64_t soon = ipc_futex_now () + IPC_FUTEX_RECHECK_NS;

  if (deadline != 0 && deadline < soon)
    return ipc_futex_wait (waits[0].word, waits[0].expected, deadline);
  ipc_futex_wait (waits[0].word, waits[0].expected, soon);
  return true;
}

bool
ipc_futex_wait_any (const IpcFutexWait *waits, unsigned n, int64_t deadline)
{
  struct futex_waitv vector[IPC_FUTEX_MAX_WORDS];
  struct timespec room;

  if (n == 1)
    return ipc_futex_wait (waits[0].word, waits[0].expected, deadline);
  if (atomic_load_explicit (&single, memory_order_relaxed))
    return wait_for_first (waits, deadline);
  for (unsigned i = 0; i < n; i++)
    vector[i] = (struct futex_waitv){ .uaddr = (uintptr_t) waits[i].word, .val = waits[i].expected, .flags = FUTEX_32 };
  if (syscall (SYS_futex_waitv, vector, n, 0, to_timespec (deadline, &room), CLOCK_MONOTONIC) >= 0)
    return true;
  if (errno != ENOSYS && errno != EPERM)
    return errno != ETIMEDOUT;
  atomic_store_explicit (&single, true, memory_order_relaxed);
  return wait_for_first (waits, deadline);
}

int
ipc_futex_wake (_Atomic uint32_t *word, int n)
{
  long woken = syscall (SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);

  return woken > 0 ? (int) woken : 0;
}

void
ipc_futex_set_single (bool is_single)
{
  atomic_store_explicit (&single, is_single, memory_order_relaxed);
}
