/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Directories that nobody else can have tampered with. Every component is opened
 * with O_NOFOLLOW relative to the one before it and looked at through its
 * descriptor, so that what was checked is what is used.
 */
#pragma once

#include <sys/types.h>

#include "core/ipc-fault.h"

typedef enum
{
  /* The last directory is ours alone: owner = euid, mode exactly 0700 (no bits for others);
   * those on the way to it are TRUSTED. */
  IPC_DIRECTORY_PRIVATE,
  /* Nobody but us and root can replace what is in it: each component is owned by us or
   * root and not writable by others unless sticky. (Its group may write: the owner chose that.) */
  IPC_DIRECTORY_TRUSTED,
} IpcDirectoryPolicy;

/* Opens the directory at the absolute PATH for *at() calls, for reading and for watching
 * (O_RDONLY | O_DIRECTORY | O_CLOEXEC; a TRUSTED one that we may search but not read is opened O_PATH).
 * With CREATE, the last component, and only that one, is made with mode 0700 if it is missing;
 * one that appears meanwhile is accepted if it passes the check. *DIRECTORY_FD is untouched on failure.
 * UNSAFE_PATH names the component and what is wrong with it ("owner 65534, expected 1000", "mode 0777",
 * "is a symbolic link"; `.` and `..` are refused too); WRONG_TYPE: one of them is not a directory;
 * INVALID_ARGUMENT: PATH is NULL or not absolute. */
bool ipc_directory_open      (const char *path, IpcDirectoryPolicy policy, bool create,
                              int *directory_fd, IpcFault *fault);

/* The same for one component NAME below an open directory (always PRIVATE). */
bool ipc_directory_open_sub  (int parent_fd, const char *name, bool create, int *directory_fd, IpcFault *fault);

/* Opens what is at NAME in the directory with FLAGS of open(2), after the same check as below: what was looked at is what
 * is opened. System faults tell what open(2) said: ENOENT, ENXIO, … */
bool ipc_directory_open_entry  (int directory_fd, const char *name, mode_t file_type, int flags, int *fd, IpcFault *fault);

/* What is at NAME in the directory: false with WRONG_TYPE if it is there and not of
 * FILE_TYPE (S_IFSOCK, S_IFIFO, S_IFREG), with UNSAFE_PATH if it is a symbolic link or not ours.
 * *EXISTS says whether there is anything; *DEVICE and *INODE (may be NULL) identify it. */
bool ipc_directory_check_entry (int directory_fd, const char *name, mode_t file_type,
                                bool *exists, dev_t *device, ino_t *inode, IpcFault *fault);
