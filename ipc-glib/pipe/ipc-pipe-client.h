/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-client.h"

G_BEGIN_DECLS

#define IPC_TYPE_PIPE_CLIENT (ipc_pipe_client_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcPipeClient, ipc_pipe_client, IPC, PIPE_CLIENT, IpcClient)

IPC_AVAILABLE_IN_0_1
IpcPipeClient *ipc_pipe_client_new (const char *address) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
