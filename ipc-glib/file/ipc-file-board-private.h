/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the processes of a scope that have the same file mapped tell one another: a small shared file in the folder `file`, named after
 * the device and inode of the mapped one, which goes with the last process that has it. No GObject here.
 *
 * There is who listens to changes, and a number that says how far a transaction has come, so that nobody reads half of it, nor goes on
 * with half of it after a crash. What is in the file itself does not depend on it.
 */
#pragma once

#include <gio/gio.h>
#include <sys/types.h>

#include "base/ipc-shared-object-private.h"
#include "core/ipc-listeners.h"

#define IPC_FILE_FOLDER "file"

typedef struct
{
  IpcSharedObject object;
  IpcListeners listeners;
  _Atomic guint32 *sequence;
  char name[48];
} IpcFileBoard;

gboolean ipc_file_board_open  (IpcFileBoard *self, int folder_fd, dev_t device, ino_t inode, GError **error);
/* Also in a forked child. FOLDER_FD may be -1: then it stays for the next one who comes. */
void     ipc_file_board_close (IpcFileBoard *self, int folder_fd);

/* The lowest bits of the sequence are one of these; when a transaction is over, it is another multiple of IPC_FILE_STATES. */
enum
{
  IPC_FILE_AT_REST,
  IPC_FILE_RECORDING,           /* a transaction may be in the journal, and nothing of it is in the file */
  IPC_FILE_WRITING,             /* some of it may be in the file */
  IPC_FILE_STATES = 4,
};

extern const IpcSharedObjectClass ipc_file_board_class;
