/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipe/ipc-pipe-address-private.h"

gboolean
ipc_pipe_address_parse (const char *address, IpcPathAddress *parsed, GError **error)
{
  if (address != NULL && address[0] == '/')
    return ipc_path_address_parse_path (IPC_PIPE_FOLDER, address, parsed, error);
  return ipc_path_address_parse_name (IPC_PIPE_FOLDER, address != NULL ? address : "", parsed, error);
}
