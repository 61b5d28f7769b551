/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting in shared memory what many do all the time, without a locked instruction: each processor has a place of its own.
 *
 * A thread may be taken off its processor after it has found out which one that is, and before it has counted there. The kernel watches
 * for that (rseq(2), Linux 4.18): then nothing was counted, and the thread counts in a place that several share, with a locked
 * instruction, as do those that have no such help, or run on a processor with a higher number. The last instruction of what is
 * watched is the one that counts, so that nothing is lost, or counted twice, whoever is killed when.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ipc-racy-copy.h"

#define IPC_TALLY_PROCESSORS 32u
#define IPC_TALLY_SHARED 16u
#define IPC_TALLY_PLACES (IPC_TALLY_PROCESSORS + IPC_TALLY_SHARED)

/* The number is the sum of N over all places. */
typedef struct
{
  _Alignas (64) _Atomic uint64_t n;
  _Atomic int64_t last;         /* the caller's */
} IpcTallyPlace;

#if defined(__x86_64__) && defined(__LP64__) && !defined(IPC_RACES) && __has_include (<sys/rseq.h>)
#include <sys/rseq.h>

#define IPC_TALLY_NOT_COUNTED UINT64_MAX

/* Of this thread, as the kernel keeps it up to date; higher than any where the C library has not asked it to. */
static inline uint32_t
ipc_tally_get_processor (void)
{
  uint32_t number;

  __asm__ __volatile__ ("movl %%fs:%c2(%1), %0" : "=r" (number) : "r" (__rseq_offset), "i" (offsetof (struct rseq, cpu_id)));
  return number;
}

/* What PLACE had before; IPC_TALLY_NOT_COUNTED: the thread was interrupted, or is not on PROCESSOR any more. */
static inline uint64_t
ipc_tally_try (IpcTallyPlace *place, uint32_t processor)
{
  uint64_t before, scratch;

  __asm__ __volatile__ (
    /* what is watched, and where to go on if it is interrupted */
    ".pushsection __rseq_cs, \"aw\"\n\t"
    ".balign 32\n"
    "3:\n\t"
    ".long 0, 0\n\t"
    ".quad 1f, 2f - 1f, 4f\n\t"
    ".popsection\n\t"
    "leaq 3b(%%rip), %[scratch]\n\t"
    "movq %[scratch], %%fs:%c[cs](%[area])\n"
    "1:\n\t"
    "cmpl %[processor], %%fs:%c[cpu](%[area])\n\t"
    "jne 4f\n\t"
    "movq %[n], %[before]\n\t"
    "leaq 1(%[before]), %[scratch]\n\t"
    "movq %[scratch], %[n]\n"
    "2:\n\t"
    ".pushsection .text.unlikely, \"ax\"\n\t"
    /* an instruction that never runs, with the number that the kernel looks for, so that it goes nowhere else */
    ".byte 0x0f, 0xb9, 0x3d\n\t"
    ".long %c[signature]\n"
    "4:\n\t"
    "movq $-1, %[before]\n\t"
    "jmp 5f\n\t"
    ".popsection\n"
    "5:\n\t"
    /* this may be unloaded */
    "movq $0, %%fs:%c[cs](%[area])"
    : [before] "=&r" (before), [scratch] "=&r" (scratch), [n] "+m" (place->n)
    : [area] "r" (__rseq_offset), [processor] "r" (processor), [cs] "i" (offsetof (struct rseq, rseq_cs)),
      [cpu] "i" (offsetof (struct rseq, cpu_id)), [signature] "i" (RSEQ_SIG)
    : "cc");
  return before;
}
#endif

/* Counts one more; where, and in *BEFORE how many there were. MINE is any number, best one that few others have. */
static inline IpcTallyPlace *
ipc_tally_count (IpcTallyPlace places[IPC_TALLY_PLACES], unsigned mine, uint64_t *before)
{
  IpcTallyPlace *place;

#ifdef IPC_TALLY_NOT_COUNTED
  uint32_t processor = ipc_tally_get_processor ();

  if (__builtin_expect (processor < IPC_TALLY_PROCESSORS, true))
    {
      place = &places[processor];
      *before = ipc_tally_try (place, processor);
      if (__builtin_expect (*before != IPC_TALLY_NOT_COUNTED, true))
        return place;
    }
#endif
  place = &places[IPC_TALLY_PROCESSORS + mine % IPC_TALLY_SHARED];
  *before = atomic_fetch_add_explicit (&place->n, 1, memory_order_relaxed);
  return place;
}
