/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of semaphores share: a manager of a scope in the directory of the test, and another process that does
 * with semaphores what it is told.
 */
#pragma once

#include "ipc-semaphore-manager.h"
#include "ipc-semaphore.h"
#include "ipc-semaphore-holder.h"
#include "ipc-permit.h"
#include "ipc-error.h"
#include "ipc-scope.h"
#include "ipc-test.h"

/* (transfer full) */
IpcSemaphoreManager *semaphore_test_manager_new    (const char *directory);
/* (transfer full): made, or opened; must work. */
IpcSemaphore        *semaphore_test_create         (IpcSemaphoreManager *manager, const char *name, guint permits);
IpcSemaphore        *semaphore_test_open           (IpcSemaphoreManager *manager, const char *name);
/* (transfer full): must come within seconds. */
IpcPermit           *semaphore_test_acquire        (IpcSemaphore *semaphore);
/* None is free, and that is no error. */
void                 semaphore_test_assert_none    (IpcSemaphore *semaphore);
void                 semaphore_test_release        (IpcPermit *permit);

/*
 * Another process with its own manager of DIRECTORY, which has opened NAME. It does what lines tell it, and answers each:
 *   acquire TIMEOUT   "got" or the error's code as "error N"; from a thread, so that it goes on listening
 *   try               "got" or "none"
 *   release           the permit that it got last: "released"
 *   count             "AVAILABLE WAITERS"
 *   fork              a child that has checked that it is nobody: "forked"; it stays
 *   quit              ends in order
 */
IpcTestPeer         *semaphore_test_spawn          (const char *directory, const char *name);
void                 semaphore_test_peer_command   (IpcTestPeer *peer, const char *command, const char *answer);
int                  semaphore_test_role           (char **arguments);
#define SEMAPHORE_TEST_ROLE { "semaphore-peer", semaphore_test_role }
