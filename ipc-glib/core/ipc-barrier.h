/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two who each write one thing and then read the other's, so that at least one of them sees it: each needs a barrier in between. Where
 * one does it all the time and the other one seldom, the kernel can have the seldom one do both (membarrier(2), Linux 4.16), and what is
 * done all the time waits for nothing. Where it cannot, both do it.
 *
 * Known as an asymmetric fence.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "core/ipc-racy-copy.h"

/* Before ipc_barrier_light() is used; any thread, any number of times. */
void ipc_barrier_init (void);

extern bool ipc_barrier_is_asymmetric;  /* after that */

/* For who does it all the time. */
static inline void
ipc_barrier_light (void)
{
  if (__builtin_expect (ipc_barrier_is_asymmetric, true))
    atomic_signal_fence (memory_order_seq_cst);
  else
    ipc_racy_fence (memory_order_seq_cst);
}

/* For who does it seldom: all threads of this process; of all processes. A few µs. */
void ipc_barrier_heavy (void);
void ipc_barrier_heavy_everywhere (void);
