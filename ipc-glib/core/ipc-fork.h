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

/* Counts the forks between the first process and this one; cheap (one load). */
unsigned ipc_fork_generation (void);

/* Guard FD: a forked child closes it. Any thread. Guard it as soon as it is open (a fork of another
 * thread in between hands it to the child), unguard it before closing it. */
void ipc_fork_guard_fd   (int fd);
void ipc_fork_unguard_fd (int fd);
