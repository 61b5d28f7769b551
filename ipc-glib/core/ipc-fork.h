/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a fork without exec must not break: a child shares its parent's
 * descriptors, and with them the locks and the epoll set that say "the parent
 * lives". Descriptors guarded here are closed in the child, by pthread_atfork();
 * objects remember the generation they were made in and refuse to work in another.
 *
 * In the child a guarded descriptor is gone and its number may soon be somebody
 * else's: whoever closes one compares generations first.
 */
#pragma once

#include <stdbool.h>

/* Changed in a forked child only. */
extern unsigned ipc_fork_count;

/* Counts the forks between the first process and this one; cheap (one load), as every message asks. */
static inline unsigned
ipc_fork_generation (void)
{
  return __atomic_load_n (&ipc_fork_count, __ATOMIC_RELAXED);
}

/* Guard FD: a forked child closes it. Any thread. Unguard it before somebody else closes it. */
void ipc_fork_guard_fd   (int fd);
void ipc_fork_unguard_fd (int fd);

/*
 * A fork of another thread between open() and guarding would hand the descriptor to the child. Between these two no
 * other thread forks: it waits. So only what opens and guards belongs there, and nothing that waits itself.
 *
 * What is opened elsewhere has that window: descriptors that come in messages (they would cost a lock for each read),
 * and the first connection of several that GSocketService has accepted, until it is taken over.
 */
void ipc_fork_hold    (void);
void ipc_fork_release (void);

/* The descriptor that the expression CALL opens, guarded, or -1 with errno. */
#define ipc_fork_open(call) \
  ({ \
    int ipc_fork_fd; \
    ipc_fork_hold (); \
    ipc_fork_fd = (call); \
    if (ipc_fork_fd >= 0) \
      ipc_fork_guard_fd (ipc_fork_fd); \
    ipc_fork_release (); \
    ipc_fork_fd; \
  })
/* Unguards and closes it, with no fork in between; errno stays. */
void ipc_fork_close   (int fd);
