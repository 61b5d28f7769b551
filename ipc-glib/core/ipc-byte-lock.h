/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Locks of open file descriptions on single bytes beyond the end of a file: each byte says that the process with
 * that number is there. The kernel drops a lock with the last descriptor of its description.
 *
 * A description of its own for each lock: a map keeps that of its file alive, in forked children, too.
 */
#pragma once

#include <fcntl.h>

#include "core/ipc-fault.h"

/* Another description of the file FD, fork-guarded; -1 with errno. ACCESS: O_RDONLY is enough for read locks and questions. */
int ipc_byte_lock_open (int fd, int access);

/* F_OFD_SETLK or F_OFD_GETLK for the bytes of N numbers from FIRST on; *LOCK is what the kernel says. -1 with errno. */
int ipc_byte_lock      (int fd, int command, short type, unsigned first, unsigned n, struct flock *lock);

/* The numbers that *LOCK, as it was found among N from FIRST on, takes away from those: the first one, and how many. */
unsigned ipc_byte_lock_clip (const struct flock *lock, unsigned first, unsigned n, unsigned *n_locked);
