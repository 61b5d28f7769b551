/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The address of a pipe: a NAME in the scope, or an absolute path.
 */
#pragma once

#include "base/ipc-path-address-private.h"

#define IPC_PIPE_FOLDER "pipe"

gboolean ipc_pipe_address_parse (const char *address, IpcPathAddress *parsed, GError **error);
