/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "messaging/ipc-connection-private.h"

/* Sockets take this much before they block: more falls out of the cache, less costs system calls. */
#define IPC_SOCKET_SEND_BUFFER (256 * 1024)

#define IPC_TYPE_SOCKET_CONNECTION (ipc_socket_connection_get_type ())
G_DECLARE_FINAL_TYPE (IpcSocketConnection, ipc_socket_connection, IPC, SOCKET_CONNECTION, IpcConnection)

/* Takes over FD, also on failure. Asks the kernel who the peer is. */
IpcConnection *ipc_socket_connection_new (int fd, gboolean is_server_side, const char *address, const IpcConnectionLimits *limits, GError **error);
