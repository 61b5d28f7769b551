/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a socket address says: a NAME in the scope, an absolute path or
 * `unix:PATH`.
 */
#pragma once

#include "base/ipc-scope-private.h"

typedef enum
{
  IPC_SOCKET_ADDRESS_NAME,      /* in the folder `socket` of a scope */
  IPC_SOCKET_ADDRESS_PATH,      /* absolute */
} IpcSocketAddressKind;

typedef struct
{
  IpcSocketAddressKind kind;
  char *directory;              /* (nullable) (owned) of a path */
  char *basename;               /* (owned) */
} IpcSocketAddress;

/* INVALID_NAME, INVALID_ARGUMENT, or UNSUPPORTED for a kind that is known and not there. */
gboolean ipc_socket_address_parse (const char *address, IpcSocketAddress *parsed, GError **error);
void     ipc_socket_address_clear (IpcSocketAddress *self);
/* The directory that the socket is, or will be, in. A server's is checked, and made where that is a scope's;
 * a client may come along any way, because it checks who the server is. -1 on error. */
int      ipc_socket_address_open_directory (const IpcSocketAddress *self, IpcScope *scope, gboolean for_server, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (IpcSocketAddress, ipc_socket_address_clear)
