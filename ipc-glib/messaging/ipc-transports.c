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

static const char *
skip_prefix (const IpcTransportEntry *entry, const char *address)
{
  return entry->prefix != NULL ? address + strlen (entry->prefix) : address;
}

IpcServer *
ipc_transport_new_server (const char *address, IpcScope *scope)
{
  const IpcTransportEntry *entry = find (address);

  return g_object_new (entry->server_type (), "address", skip_prefix (entry, address), "scope", scope, NULL);
}

IpcClient *
ipc_transport_new_client (const char *address, IpcScope *scope)
{
  const IpcTransportEntry *entry = find (address);

  return g_object_new (entry->client_type (), "address", skip_prefix (entry, address), "scope", scope, NULL);
}
