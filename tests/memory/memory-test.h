/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of shared memory share: a manager of a scope in the directory of the test, bytes that are known to be whole, and
 * another process that does with a segment what it is told.
 */
#pragma once

#include "ipc-error.h"
#include "ipc-scope.h"
#include "ipc-shared-memory-manager.h"
#include "ipc-shared-memory.h"
#include "ipc-test.h"

/* (transfer full) */
IpcSharedMemoryManager *memory_test_manager_new (const char *directory);
/* (transfer full): made, or opened for reading and writing; must work. */
IpcSharedMemory *memory_test_create (IpcSharedMemoryManager *manager, const char *name, gsize size);
IpcSharedMemory *memory_test_open   (IpcSharedMemoryManager *manager, const char *name);
/* The file of NAME in the directory of the test. */
char            *memory_test_path   (IpcTest *test, const char *name) G_GNUC_WARN_UNUSED_RESULT;

/* Fails the test unless RESULT is FALSE and *ERROR has that code; clears it. */
void memory_test_assert_fails (gboolean result, GError **error, GQuark domain, int code);
#define memory_test_fails(result, error, code) memory_test_assert_fails ((result), (error), IPC_ERROR, (code))

/* All bytes are VALUE. */
void memory_test_write_value  (IpcSharedMemory *segment, gsize offset, guint8 value, gsize size);
void memory_test_assert_value (IpcSharedMemory *segment, gsize offset, guint8 value, gsize size);

/* Each word depends on the first one, so that a mix of two blocks is no block. One of zeros is. SIZE is a multiple of 8. */
void     memory_test_fill (gpointer block, gsize size, guint64 seed);
gboolean memory_test_is_whole (gconstpointer block, gsize size);

/*
 * Another process with its own manager of DIRECTORY, which has opened NAME. It does what lines tell it, and answers each, with
 * "error CODE" where that fails:
 *   lock TIMEOUT              "got"; from a thread, so that it goes on listening
 *   try                       "got" or "none"
 *   unlock                    "unlocked"
 *   consistent                "marked"
 *   notify N                  calls notify_changed N times: "notified"
 *   resize SIZE               "resized"
 *   size                      the size
 *   write OFFSET VALUE SIZE   "written"
 *   read OFFSET SIZE          the value, if all bytes are the same, or "mixed"
 *   add OFFSET SUMMAND        the sum
 *   stop-in-write SIZE        stops itself in the middle of writing that to the beginning; when it may go on: "written"
 *   storm SIZE                writes blocks to the beginning, until it is killed: "storming"
 *   locking-storm             locks and unlocks, until it is killed: "storming"
 *   fork                      a child that has checked that it is nobody: "forked"; it stays
 *   delete                    "deleted"
 *   quit                      ends in order
 */
IpcTestPeer *memory_test_spawn        (const char *directory, const char *name);
void         memory_test_command      (IpcTestPeer *peer, const char *command, const char *answer);
/* Waits until it is stopped. */
void         memory_test_wait_stopped (IpcTestPeer *peer);
int          memory_test_role         (char **arguments);
#define MEMORY_TEST_ROLE { "memory-peer", memory_test_role }
