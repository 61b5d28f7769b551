/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting on words in shared memory: futex(2), shared between processes. Deadlines are of the monotonic clock,
 * in nanoseconds; 0 is for ever. Every wait may end early, and for no reason: the caller looks again.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define IPC_FUTEX_MAX_WORDS 128u        /* what the kernel takes */
/* How long a wait for several words takes at most where the kernel knows only one (before Linux 5.16). */
#define IPC_FUTEX_RECHECK_NS 20000000

typedef struct
{
  _Atomic uint32_t *word;
  uint32_t expected;
} IpcFutexWait;

/* Nanoseconds of the monotonic clock. */
int64_t ipc_futex_now      (void);

/* Sleeps while *WORD is EXPECTED. False: the deadline has passed. */
bool    ipc_futex_wait     (_Atomic uint32_t *word, uint32_t expected, int64_t deadline);
/* Sleeps while all of the words are as expected; the first one is the one that matters where only one can be had. */
bool    ipc_futex_wait_any (const IpcFutexWait *waits, unsigned n, int64_t deadline);
/* Wakes up to N sleepers; how many it were. */
int     ipc_futex_wake     (_Atomic uint32_t *word, int n);

/* While looking at a word again and again. */
static inline void
ipc_relax (void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause ();
#elif defined(__aarch64__)
  __asm__ __volatile__ ("yield");
#endif
}

/* For tests: as if the kernel could only wait for one word. */
void    ipc_futex_set_single (bool single);
