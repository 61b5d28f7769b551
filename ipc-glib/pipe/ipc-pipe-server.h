/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-server.h"

G_BEGIN_DECLS

#define IPC_TYPE_PIPE_SERVER (ipc_pipe_server_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcPipeServer, ipc_pipe_server, IPC, PIPE_SERVER, IpcServer)

IPC_AVAILABLE_IN_0_1
IpcPipeServer *ipc_pipe_server_new (const char *address) G_GNUC_WARN_UNUSED_RESULT;

G_END_DECLS
