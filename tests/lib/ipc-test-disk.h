/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that can be full: a small tmpfs, in a mount namespace of a process of its own, whose root is another one.
 */
#pragma once

#include "ipc-test.h"

#define IPC_TEST_DISK "/disk"

/* In a process that has one thread and opened nothing: ROOT, an empty directory, becomes its root. FALSE: it is not allowed to; it has told. */
gboolean ipc_test_disk_enter       (const char *root, guint kib) G_GNUC_WARN_UNUSED_RESULT;
void     ipc_test_disk_fill        (void);
void     ipc_test_disk_free        (void);
/* Of such a process, which tells "done" when all is well. Skips the test where it could not enter. */
void     ipc_test_disk_expect_done (IpcTestPeer *peer);
