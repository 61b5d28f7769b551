/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-barrier.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DRAINED_NS 1000000      /* what a processor has written is seen by all long before */

bool ipc_barrier_is_asymmetric;

static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool
call (int command)
{
  return syscall (SYS_membarrier, command, 0, 0) == 0;
}

static void
begin (void)
{
  ipc_barrier_is_asymmetric = call (MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && call (MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED);
}

void
ipc_barrier_init (void)
{
  pthread_once (&once, begin);
}

/* Only where the kernel did it before, and does not any more. */
static void
wait_until_drained (void)
{
  nanosleep (&(struct timespec){ .tv_nsec = DRAINED_NS }, NULL);
}

void
ipc_barrier_heavy (void)
{
  if (!ipc_barrier_is_asymmetric)
    ipc_racy_fence (memory_order_seq_cst);
  else if (!call (MEMBARRIER_CMD_PRIVATE_EXPEDITED))
    wait_until_drained ();
}

/* Others may be asymmetric where this process is not allowed to. */
void
ipc_barrier_heavy_everywhere (void)
{
  ipc_racy_fence (memory_order_seq_cst);
  if (!call (MEMBARRIER_CMD_GLOBAL_EXPEDITED))
    wait_until_drained ();
}
