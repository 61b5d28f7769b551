/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* All of TEXT at once, into a file that is there. */
gboolean ipc_test_namespace_write (const char *path, const char *text) G_GNUC_WARN_UNUSED_RESULT;
/* In a process that has one thread: namespaces of its own, FLAGS of unshare(2), as the user that it is. FALSE with errno: not here. */
gboolean ipc_test_namespace_enter (int flags) G_GNUC_WARN_UNUSED_RESULT;
