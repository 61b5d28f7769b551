/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who owns a path: the process that holds the flock on `.BASENAME.lock` beside
 * it. The kernel lets go of it when the process dies, however it dies. The file
 * is never unlinked (a new file under the old name would be a second lock), its
 * text ("PID PROGRAM") only labels the owner for error messages.
 */
#pragma once

#include "core/ipc-fault.h"

/* Locks `.BASENAME.lock` in the directory (made 0600, O_NOFOLLOW, regular, ours, one link).
 * ADDRESS_IN_USE names the owner that its label tells. The descriptor is fork-guarded
 * (core/ipc-fork.h). *LOCK_FD is untouched on failure. BASENAME up to 255 - 6 bytes. */
bool ipc_path_lock_acquire (int directory_fd, const char *basename, int *lock_fd, IpcFault *fault);

/* Not in a forked child: there the descriptor is closed already, and the lock is the parent's. */
void ipc_path_lock_release (int lock_fd);

/* Whether somebody holds it, without creating or taking it for longer than the look
 * (which ipc_path_lock_acquire() tells from an owner). */
bool ipc_path_lock_is_held (int directory_fd, const char *basename);
