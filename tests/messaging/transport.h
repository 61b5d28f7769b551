/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which transport a test runs over: a socket, or a pipe if $IPC_TEST_TRANSPORT says so. What holds for one of them holds for
 * the other.
 */
#pragma once

#include "ipc-glib.h"
#include "ipc-test.h"

gboolean    transport_is_pipe    (void);
/* `socket` or `pipe`: what the folder in a scope is called, too. */
const char *transport_get_name   (void);
IpcServer  *transport_server_new (const char *address) G_GNUC_WARN_UNUSED_RESULT;
IpcClient  *transport_client_new (const char *address) G_GNUC_WARN_UNUSED_RESULT;
