/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transport.h"

const char *
transport_get_name (void)
{
  return transport_is_pipe () ? "pipe" : "socket";
}

gboolean
transport_is_pipe (void)
{
  return g_strcmp0 (g_getenv ("IPC_TEST_TRANSPORT"), "pipe") == 0;
}

IpcServer *
transport_server_new (const char *address)
{
  return transport_is_pipe () ? IPC_SERVER (ipc_pipe_server_new (address)) : IPC_SERVER (ipc_socket_server_new (address));
}

IpcClient *
transport_client_new (const char *address)
{
  return transport_is_pipe () ? IPC_CLIENT (ipc_pipe_client_new (address)) : IPC_CLIENT (ipc_socket_client_new (address));
}
