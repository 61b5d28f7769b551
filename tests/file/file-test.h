/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the tests of mapped files share: a manager of a scope in the directory of the test, files, and another process that does
 * with a file what it is told.
 */
#pragma once

#include "ipc-error.h"
#include "ipc-mapped-file-manager.h"
#include "ipc-mapped-file.h"
#include "ipc-scope.h"
#include "ipc-test.h"

/* (transfer full) */
IpcMappedFileManager *file_test_manager_new (const char *directory);
/* (transfer full): for reading and writing; must work. */
IpcMappedFile *file_test_map  (IpcMappedFileManager *manager, const char *path, gsize size);

/* Makes a file of so many bytes of VALUE, without the library; and looks at one. */
void    file_test_make        (const char *path, guint8 value, gsize size);
GBytes *file_test_load        (const char *path);
void    file_test_truncate    (const char *path, gsize size);

/* Fails the test unless RESULT is FALSE and *ERROR has that code; clears it. */
void file_test_assert_fails   (gboolean result, GError **error, GQuark domain, int code);
#define file_test_fails(result, error, code) file_test_assert_fails ((result), (error), IPC_ERROR, (code))

/* All bytes are VALUE. */
void file_test_write_value    (IpcMappedFile *file, gsize offset, guint8 value, gsize size);
void file_test_assert_value   (IpcMappedFile *file, gsize offset, guint8 value, gsize size);

/*
 * Another process with its own manager of DIRECTORY, which has mapped PATH. It does what lines tell it, and answers each, with
 * "error CODE" where that fails:
 *   write OFFSET VALUE SIZE   "written"
 *   read OFFSET SIZE          the value, if all bytes are the same, or "mixed"
 *   sync                      "synced"
 *   resize SIZE               "resized"
 *   size                      the size
 *   fork                      a child that has checked that it is nobody: "forked"; it stays
 *   quit                      ends in order
 */
IpcTestPeer *file_test_spawn   (const char *directory, const char *path);
void         file_test_command (IpcTestPeer *peer, const char *command, const char *answer);
int          file_test_role    (char **arguments);
#define FILE_TEST_ROLE { "file-peer", file_test_role }
