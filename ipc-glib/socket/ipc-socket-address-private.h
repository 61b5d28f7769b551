/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a socket address says: a NAME in the scope, an absolute path or
 * `unix:PATH`, `abstract:NAME`, or a listening socket that this process was
 * given, `fd:N` and `systemd:NAME`.
 */
#pragma once

#include "base/ipc-scope-private.h"

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
  char *directory;              /* (nullable) (owned) of a path */
  char *basename;               /* (nullable) (owned) or the name */
  int fd;                       /* of IPC_SOCKET_ADDRESS_FD */
} IpcSocketAddress;

/* INVALID_NAME, INVALID_ARGUMENT, or UNSUPPORTED for a kind that is known and not there. */
gboolean ipc_socket_address_parse (const char *address, IpcSocketAddress *parsed, GError **error);
void     ipc_socket_address_clear (IpcSocketAddress *self);
/* Whether the address is a file: of a NAME or a PATH. The two functions below are for those only. */
gboolean ipc_socket_address_is_file (const IpcSocketAddress *self);
/* The whole path. */
char    *ipc_socket_address_get_path (const IpcSocketAddress *self, IpcScope *scope) G_GNUC_WARN_UNUSED_RESULT;
/* The directory that the socket is, or will be, in. A server's is checked, and made where that is a scope's;
 * a client may come along any way, because it checks who the server is. -1 on error. */
int      ipc_socket_address_open_directory (const IpcSocketAddress *self, IpcScope *scope, gboolean for_server, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (IpcSocketAddress, ipc_socket_address_clear)
