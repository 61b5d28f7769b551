/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * System calls that fail when they are told to, so that a test can see what the library makes of it.
 *
 * It is linked into a test program, which says what is to fail; or it is preloaded into any program, with
 * IPC_TEST_FAULTS=FAULT,... in its environment, where a FAULT is
 *
 *   CALL=ERROR[@FIRST][xTIMES][/EVERY]
 *
 * as in `recv=EINTR/2`, every second one; `sendmsg=short`, that take one byte; `socket=EMFILE@3x2`, the third and
 * the fourth. Without FIRST from the first one on, without TIMES for ever.
 *
 * Only calls that the library and the program itself make are counted, and accept(), which GIO makes for the library;
 * what else GLib and other libraries call is left alone. The names are those of the system calls, but `epoll_ctl` is only what adds a
 * descriptor: the kernel does not fail to change or to remove one that is there; and `writev` is also pwritev2().
 *
 * It knows nothing of the library, and nothing of GLib.
 */
#pragma once

#include <stdbool.h>

#define FAULT_SHORT (-1)        /* in place of an errno: it succeeds, for one byte */
#define FAULT_NONE 0            /* it is only counted */

typedef struct
{
  const char *call;
  int error;                    /* an errno, FAULT_SHORT or FAULT_NONE */
  unsigned first;               /* from 1 */
  unsigned times;               /* 0: for ever */
  unsigned every;               /* 1: each one; 0 is taken for 1 */
  bool in_this_thread;          /* the calls of others are not counted */
} Fault;

/* From now on FAULT is in force, and whatever was before is not. The name has to be one of fault_calls(). */
void     fault_arm          (const Fault *fault);
/* Nothing fails any more. How many calls did. */
unsigned fault_disarm       (void);
/* How many calls there were of CALL since fault_arm(). */
unsigned fault_count        (const char *call);
unsigned fault_count_fired  (void);
/* All names there are, ending with NULL. */
const char *const *fault_calls (void);
