/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A counter of the processor that goes on evenly, to find out that next to no time has passed without asking a clock, which is a call
 * and some stores. Where there is none it says that some has.
 *
 * It is not the same on all processors and not after the machine has slept: so a difference that makes no sense is as good as a long
 * one, and what is said to be a short time may not be, once.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define IPC_TICKS_FEW (UINT64_C (1) << 20)      /* less than a millisecond: these processors have more than a billion a second */

#define IPC_TICKS_HARDLY_ANY (UINT64_C (1) << 12)       /* less than 4 µs */

/* Whether it was called with SINCE less than so many ticks ago, by whomever. */
static inline bool
ipc_ticks_are_below (_Atomic uint64_t *since, uint64_t limit)
{
#ifdef __x86_64__
  uint64_t now = __builtin_ia32_rdtsc ();

  if (__builtin_expect (now - atomic_load_explicit (since, memory_order_relaxed) < limit, true))
    return true;
  atomic_store_explicit (since, now, memory_order_relaxed);
#endif
  return false;
}

static inline bool
ipc_ticks_are_few (_Atomic uint64_t *since)
{
  return ipc_ticks_are_below (since, IPC_TICKS_FEW);
}
