/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * That a process has a shared file attached, in a way that others can prove and count: it holds a read lock on the
 * byte of the file that has its number (ipc_presence_get_index()). The kernel drops it when the process is gone.
 *
 * Who wants to remove the file takes a write lock on all of these bytes, which works only while nobody is attached, and
 * keeps others from it until the file has no name any more.
 */
#pragma once

#include "core/ipc-fault.h"

typedef struct
{
  int fd;                       /* fork-guarded; -1: not attached */
  unsigned generation;
} IpcAttachment;

#define IPC_ATTACHMENT_INIT { .fd = -1 }

/* Attaches the process with the number INDEX to the file FD. NOT_FOUND: somebody is about to remove it. */
bool     ipc_attachment_take     (IpcAttachment *self, int fd, unsigned index, IpcFault *fault);
/* Has FD, which is open for writing, to itself until it is dropped. False without a fault: somebody has it attached. */
bool     ipc_attachment_take_all (IpcAttachment *self, int fd, IpcFault *fault);
/* In a forked child, where the descriptor is gone already, it is only forgotten. */
void     ipc_attachment_drop     (IpcAttachment *self);

/* How many processes have the file attached. FD is a description that holds no such lock itself. */
unsigned ipc_attachment_count    (int fd);
/* Whether any has. */
bool     ipc_attachment_is_taken (int fd);
