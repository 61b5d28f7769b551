/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bell: how other processes wake a main loop of this one that waits for something in shared memory. A descriptor, so that it can
 * be waited for beside others, and no thread.
 *
 * It is a named pipe `.bell.INDEX.NUMBER` beside `.presence`, INDEX being the place of the process there. Whoever has
 * changed something writes a byte into it, without knowing it before. A bell that rings says: look.
 *
 * Everybody opens it for reading too, so that writing to one whose owner has died kills nobody with SIGPIPE; whether the owner is
 * there is seen in the table of processes. One that is closed is put by for the next of its number: what leads to it stays right
 * for as long as the process is attached.
 *
 * What is left of one when a process is killed, the next process of that index takes away. Ringing it wakes nobody.
 */
#pragma once

#include "core/ipc-presence.h"

typedef struct
{
  IpcPresence *presence;
  int fd;                       /* fork-guarded; -1: closed; readable when it rings */
  unsigned number;              /* from 1 */
} IpcBell;

/* LIMIT_EXCEEDED: the process has 64 in the directory. */
bool     ipc_bell_open    (IpcBell *self, IpcPresence *presence, IpcFault *fault);
/* Not in a forked child. */
void     ipc_bell_close   (IpcBell *self);
/* So that it can be heard again. True: it rang. Look after that, even if it was looked before. */
bool     ipc_bell_silence (IpcBell *self);

/* Rings the bell NUMBER of OWNER, from any thread; never waits. False: OWNER is not there, or never had that bell. */
bool     ipc_bell_ring    (IpcPresence *presence, IpcOwner owner, unsigned number);

/* For core/ipc-presence.h, which keeps those that are put by: FD is gone after that. */
void     ipc_bell_take_down (IpcPresence *presence, unsigned number, int fd);
