/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Maps of files that other processes may make shorter. To touch a page that is not in the file any more is a SIGBUS, which
 * ends the process. In a guarded map it is survived: what is gone reads as zero from then on, what is written there goes
 * nowhere, and the map is known to be broken. So code that copies to and from one needs no care but to ask afterwards.
 *
 * That costs nothing until it happens: a handler of SIGBUS, installed with the first map, looks the address up among the guarded
 * maps. What is in none of them goes to the handler that was there before. An application that installs one of its own later, and
 * does not pass on what it does not know, takes the guard away.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct
{
  _Atomic uintptr_t start;
  _Atomic uintptr_t end;        /* 0: free */
  _Atomic bool broken;
  _Atomic unsigned n_begun;     /* zeros that are being put, or were */
  _Atomic unsigned n_done;
} IpcGuard;

/* Any thread. NULL: there is no memory left. Give it back before the map goes. */
IpcGuard *ipc_guard_map   (const void *map, size_t size);
void      ipc_guard_unmap (IpcGuard *self);

/* The map is to be what the file is again: before and after it is mapped anew at the same addresses. It is not broken any more then,
 * unless somebody has gone where there is no file meanwhile. One at a time. */
unsigned  ipc_guard_begin_restore (IpcGuard *self);
void      ipc_guard_end_restore   (IpcGuard *self, unsigned begun);

static inline bool
ipc_guard_is_broken (const IpcGuard *self)
{
  return atomic_load_explicit (&((IpcGuard *) self)->broken, memory_order_relaxed);
}
