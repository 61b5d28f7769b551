/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The headers of System V IPC and of POSIX queues may be included before ours (SYSV_FIRST) and after.
 */
#ifdef SYSV_FIRST
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/sem.h>
#include <sys/msg.h>
#include <mqueue.h>
#endif

#include <ipc-glib/ipc-glib.h>

#ifndef SYSV_FIRST
#include <sys/ipc.h>
#include <sys/shm.h>
#include <sys/sem.h>
#include <sys/msg.h>
#include <mqueue.h>
#endif

#if !defined(IPC_CREAT) || !defined(IPC_PRIVATE) || !defined(IPC_INFO)
#error "the macros that this is about are not there"
#endif

int
main (void)
{
  g_assert_cmpint (IPC_ACCESS_WRITE, ==, 2);
  g_assert_cmpint (IPC_ERROR_FAILED, ==, 0);
  g_assert_cmpstr (g_quark_to_string (IPC_ERROR), ==, "ipc-error-quark");
  return 0;
}
