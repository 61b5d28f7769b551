/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-transports-private.h"

static const IpcTransportEntry *
find (const char *address)
{
  const IpcTransportEntry *entry = ipc_transports;

  while (entry->prefix != NULL && !g_str_has_prefix (address, entry->prefix))
    entry++;
  return entry;
}

IpcServer *
ipc_transport_new_server (const char *address, IpcScope *scope)
{
  return g_object_new (find (address)->server_type (), "address", address, "scope", scope, NULL);
}

IpcClient *
ipc_transport_new_client (const char *address, IpcScope *scope)
{
  return g_object_new (find (address)->client_type (), "address", address, "scope", scope, NULL);
}
