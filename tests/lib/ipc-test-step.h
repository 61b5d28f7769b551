/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another process that does something one instruction or one system call at a time, so that it can be stopped or killed after any of
 * them. Instructions are for x86_64 only; elsewhere IPC_TEST_CAN_STEP is not defined.
 */
#pragma once

#include <glib.h>
#include <sys/types.h>

#ifdef __x86_64__
#define IPC_TEST_CAN_STEP 1
#endif

/* In the walker. PREPARE (nullable) comes before the first step. */
typedef void (*IpcTestStepFunc) (gpointer data);

/* Forks one that is prepared, and stopped right before WALK. */
pid_t    ipc_test_step_start (IpcTestStepFunc prepare, IpcTestStepFunc walk, gpointer data);
#ifdef IPC_TEST_CAN_STEP
/* After every how many instructions it is to be killed: 1 with IPC_TEST_STEPS_ALL=1. */
guint    ipc_test_step_get_stride (void);
/* The first of them, which is another one each time. */
guint    ipc_test_step_get_first  (void);
/* Lets it go N instructions. TRUE: it has come to the end before. */
gboolean ipc_test_step_on    (pid_t pid, guint n);
#endif
/* Lets it go over N beginnings and ends of system calls, and calls MEANWHILE (nullable) again and again, since it may have to wait for
 * what this process does. TRUE: it has come to the end before. */
gboolean ipc_test_step_calls (pid_t pid, guint n, IpcTestStepFunc meanwhile, gpointer data);
/* Lets it go to its end without stopping, and ends it there. */
void     ipc_test_step_end   (pid_t pid);
/* Kills it with SIGKILL, and waits until it is gone. */
void     ipc_test_step_kill  (pid_t pid);
