/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Life words: a word in shared memory that the kernel marks when the process dies, and whose sleepers it wakes.
 *
 * The kernel does so for robust futexes (set_robust_list(2)): at the end of a thread it looks through that thread's list
 * and puts FUTEX_OWNER_DIED into each word that holds the thread's id. The thread is one of ours, small, and sleeps for as long
 * as the process lives. Its list is in private memory, so no pointer is ever followed that others could have written.
 *
 * While it sleeps it can watch words of others, on behalf of those who cannot: main loops.
 *
 * It tells of the death of a thread, before the others of the process are gone: a hint to look for proof, not proof.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct _IpcLife IpcLife;

/* Called in the thread when words that it watches have changed; it watches those no more. */
typedef void (*IpcLifeChanged) (void *data);

/* Starts the thread. NULL: there can be none, and WORD stays 0. */
IpcLife *ipc_life_new   (_Atomic uint32_t *word, IpcLifeChanged changed, void *data);
/* Ends it, and sets WORD to 0. */
void     ipc_life_free  (IpcLife *self);

/* Has it watch one more word for as long as that is EXPECTED. With too many, the first one is forgotten. */
void     ipc_life_add   (IpcLife *self, _Atomic uint32_t *word, uint32_t expected);

/* Before sleeping on a word: asks the kernel to wake its sleepers, and tells what to expect there. False: it is
 * marked already, or there is nobody who would mark it. */
bool     ipc_life_watch (_Atomic uint32_t *word, uint32_t *expected);
bool     ipc_life_is_over (uint32_t value);
