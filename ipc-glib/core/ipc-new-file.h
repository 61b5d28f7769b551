/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file that is complete before it has a name: it is made without one, or under a temporary one where the file system cannot do
 * that, filled in, and then given its name. A process that is killed on the way leaves nothing, or a temporary name.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

typedef struct
{
  int directory_fd;             /* the caller's */
  int fd;                       /* fork-guarded, open for reading and writing; the caller's to close */
  char temporary[NAME_MAX + 1]; /* empty: it has no name at all */
} IpcNewFile;

/* Mode 0600, as far as the umask allows. False with errno. */
bool ipc_new_file_open (IpcNewFile *self, int directory_fd, const char *name);
/* Gives it NAME. False with errno, EEXIST if something has that name. */
bool ipc_new_file_link (const IpcNewFile *self, const char *name);
/* Takes a temporary name away, in any case; errno stays. */
void ipc_new_file_end  (const IpcNewFile *self);
/* So that what was linked into the directory is there after a power cut, too. False with errno. */
bool ipc_new_file_sync_directory (int directory_fd);
