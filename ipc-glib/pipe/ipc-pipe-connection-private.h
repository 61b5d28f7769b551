/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection over a pair of pipes, see ipc-pipe-pair-private.h.
 *
 * Until the server has taken it in, that of a client writes to the pipe of the server: there goes its HELLO, and there it
 * sees if the server dies.
 */
#pragma once

#include "messaging/ipc-connection-private.h"

#define IPC_TYPE_PIPE_CONNECTION (ipc_pipe_connection_get_type ())
G_DECLARE_FINAL_TYPE (IpcPipeConnection, ipc_pipe_connection, IPC, PIPE_CONNECTION, IpcConnection)

/* Takes over the descriptors, which are guarded (core/ipc-fork.h). */
IpcConnection *ipc_pipe_connection_new_for_server (int read_fd, int write_fd, const char *address, const IpcConnectionLimits *limits);
/* PIPE_FD is the pipe of the server. Takes over all descriptors, also on failure. */
IpcConnection *ipc_pipe_connection_new_for_client (int pipe_fd, int pairs_fd, const char *address, const IpcConnectionLimits *limits,
                                                   GError **error);
