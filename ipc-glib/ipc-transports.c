/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of transports: one line each.
 */
#include "ipc-pipe-client.h"
#include "ipc-pipe-server.h"
#include "ipc-socket-client.h"
#include "ipc-socket-server.h"
#include "messaging/ipc-transports-private.h"

const IpcTransportEntry ipc_transports[] = {
  { "pipe:", ipc_pipe_server_get_type, ipc_pipe_client_get_type },
  { NULL, ipc_socket_server_get_type, ipc_socket_client_get_type },
};
