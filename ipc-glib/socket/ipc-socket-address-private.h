/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a socket address says: a NAME in the scope, an absolute path or
 * `unix:PATH`, `abstract:NAME`, or a listening socket that this process was
 * given, `fd:N` and `systemd:NAME`.
 */
#pragma once

#include "base/ipc-path-address-private.h"

#define IPC_SOCKET_FOLDER "socket"

typedef enum
{
  IPC_SOCKET_ADDRESS_NAME,      /* in the folder `socket` of a scope */
  IPC_SOCKET_ADDRESS_PATH,      /* absolute */
  IPC_SOCKET_ADDRESS_ABSTRACT,  /* a name without a file, and without permissions */
  IPC_SOCKET_ADDRESS_FD,        /* a descriptor that listens already */
  IPC_SOCKET_ADDRESS_SYSTEMD,   /* the same, by the name that the service manager gave it */
} IpcSocketAddressKind;

typedef struct
{
  IpcSocketAddressKind kind;
  IpcPathAddress file;          /* or just a name, in `basename` */
  int fd;                       /* of IPC_SOCKET_ADDRESS_FD */
} IpcSocketAddress;

/* INVALID_NAME, INVALID_ARGUMENT, or UNSUPPORTED for a kind that is known and not there. */
gboolean ipc_socket_address_parse (const char *address, IpcSocketAddress *parsed, GError **error);
void     ipc_socket_address_clear (IpcSocketAddress *self);
/* Whether the address is a file: of a NAME or a PATH. */
gboolean ipc_socket_address_is_file (const IpcSocketAddress *self);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (IpcSocketAddress, ipc_socket_address_clear)
