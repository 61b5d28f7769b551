/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which processes are there: one table for a directory, in the file `.presence`, that all mechanisms of that directory
 * share. Who owns something in shared memory writes down its owner id; others can prove that an owner is dead.
 *
 * The proof is a lock. A process has an index in the table for as long as it holds an open-file-description lock on the byte of
 * that index. The kernel drops the lock when the process is gone, however it went, in whatever PID namespace it lived, and
 * never before its last instruction. An owner id is the index and how many processes had that index so far, so that ids do
 * not come again.
 *
 * The life word is a hint that saves waiting. Each process has a small thread whose robust-futex list names the process's
 * word in the table: when the process dies, the kernel marks the word, and wakes who sleeps on it. That is a little
 * before the lock is dropped, and means: look now.
 *
 * A child that forked without exec has none of this: the descriptor is closed in it (core/ipc-fork.h).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "core/ipc-fault.h"

#define IPC_PRESENCE_MAX 4096u  /* processes of a directory */
#define IPC_PRESENCE_LABEL 40

typedef struct _IpcPresence IpcPresence;

typedef uint64_t IpcOwner;      /* 0: nobody */

#define IPC_OWNER_INDEX_SHIFT 48

static inline unsigned
ipc_owner_get_index (IpcOwner owner)
{
  return (unsigned) (owner >> IPC_OWNER_INDEX_SHIFT);
}

/* The presence of this process in the directory, made when it is the first time that it is asked for. Any thread.
 * LIMIT_EXCEEDED: there are IPC_PRESENCE_MAX processes. */
IpcPresence *ipc_presence_attach   (int directory_fd, IpcFault *fault);
/* With the last one of the process, the index is free for others: nothing may be owned any more. */
void         ipc_presence_detach   (IpcPresence *self);

/* The id of this process. */
IpcOwner     ipc_presence_get_me   (const IpcPresence *self);
/* Its place in the table: no other process that is there has it. */
unsigned     ipc_presence_get_index (const IpcPresence *self);
/* Tells this table from any other, also from one that takes its place later: owner ids mean something in one table only. */
void         ipc_presence_get_id   (const IpcPresence *self, uint8_t id[16]);
/* A number that is larger than all that it has been for any process before. */
uint64_t     ipc_presence_count_up (IpcPresence *self);
/* The directory, fork-guarded, for as long as this is attached. */
int          ipc_presence_get_directory (const IpcPresence *self);
/* False: OWNER is dead, and proved to be. */
bool         ipc_presence_is_alive (IpcPresence *self, IpcOwner owner);
/* Quicker, without proof: false if the kernel has told of its death. */
bool         ipc_presence_seems_alive (IpcPresence *self, IpcOwner owner);
/* What to sleep on to hear of the death of OWNER, and what it holds now; NULL: it is dead, or has no such word. */
_Atomic uint32_t *ipc_presence_watch (IpcPresence *self, IpcOwner owner, uint32_t *expected);
/* Has all bells of this process ring (core/ipc-bell.h), once, when *WORD is not EXPECTED any more. */
void         ipc_presence_ring_at (IpcPresence *self, _Atomic uint32_t *word, uint32_t expected);
/* How often they rang for it. */
uint32_t     ipc_presence_count_deaths (const IpcPresence *self);
/* "PID PROGRAM", as the owner said it of itself, for people to read; empty if it is not known. */
void         ipc_presence_get_label (IpcPresence *self, IpcOwner owner, char label[IPC_PRESENCE_LABEL]);

/* For core/ipc-bell.h: what leads to the bells that were rung last. */
#define IPC_PRESENCE_LINES 16u

typedef struct
{
  pthread_mutex_t lock;
  unsigned next;                /* to be replaced */
  struct
  {
    IpcOwner owner;             /* 0: none */
    unsigned number;
    int fd;                     /* fork-guarded */
  } lines[IPC_PRESENCE_LINES];
} IpcPresenceLines;

IpcPresenceLines *ipc_presence_get_lines (IpcPresence *self);

/* The same: a number from 1 that nobody else in the process has, 0 if there is none. */
unsigned     ipc_presence_take_bell (IpcPresence *self);
void         ipc_presence_return_bell (IpcPresence *self, unsigned number);
/* Whether somebody has it now; any NUMBER. */
bool         ipc_presence_has_bell (const IpcPresence *self, unsigned number);
/* Its descriptor, fork-guarded, in which whoever takes it puts it, once; -1: it never had one. It stays until the last detach. */
_Atomic int *ipc_presence_get_bell (IpcPresence *self, unsigned number);
