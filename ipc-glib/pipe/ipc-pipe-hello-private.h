/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the HELLO says that a client writes into the pipe of a server: which pair of pipes is its own.
 */
#pragma once

#include <gio/gio.h>

#define IPC_PIPE_TOKEN_SIZE 32

/* 32 hexadecimal digits, lower case. */
gboolean ipc_pipe_token_check    (const char *token);
char    *ipc_pipe_token_new      (GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* HELLO: preamble and frame, as core/ipc-lines.h gives it. The token (transfer full), or NULL with INVALID_DATA or VERSION. */
char    *ipc_pipe_hello_get_token (GBytes *hello, GError **error) G_GNUC_WARN_UNUSED_RESULT;
