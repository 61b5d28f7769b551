/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which transport an address belongs to, for mechanisms that are reached over any of them. The table is filled in above the transports, in
 * ipc-transports.c, since nothing here may know them.
 */
#pragma once

#include "ipc-client.h"

typedef struct
{
  const char *prefix;           /* (nullable) in front of its addresses; NULL: of all others, and the last one */
  GType (*server_type) (void);
  GType (*client_type) (void);
} IpcTransportEntry;

extern const IpcTransportEntry ipc_transports[];

/* (transfer full): for ADDRESS, in SCOPE (nullable). Neither is started nor opened. */
IpcServer *ipc_transport_new_server (const char *address, IpcScope *scope);
IpcClient *ipc_transport_new_client (const char *address, IpcScope *scope);
