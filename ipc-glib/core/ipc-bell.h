/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A bell: how other processes wake a main loop of this one that waits for something in shared memory. A descriptor, so that it can
 * be waited for beside others, and no thread.
 *
 * It is a datagram socket `.bell.INDEX.NUMBER` beside `.presence`, INDEX being the place of the process there. Whoever has
 * changed something sends it an empty datagram, without knowing it before. A bell that rings says: look.
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
bool ipc_bell_open    (IpcBell *self, IpcPresence *presence, IpcFault *fault);
/* Not in a forked child. */
void ipc_bell_close   (IpcBell *self);
/* So that it can be heard again. */
void ipc_bell_silence (IpcBell *self);

/* Rings the bell NUMBER of OWNER, from any thread; never waits. False: it is not there. */
bool ipc_bell_ring    (IpcPresence *presence, IpcOwner owner, unsigned number);
