/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the pipe of a server brings: the lines of all who write to it, and the HELLO of its clients.
 */
#pragma once

#include "core/ipc-lines.h"
#include "messaging/ipc-connection-private.h"

#define IPC_TYPE_PIPE_CHANNEL (ipc_pipe_channel_get_type ())
G_DECLARE_FINAL_TYPE (IpcPipeChannel, ipc_pipe_channel, IPC, PIPE_CHANNEL, IpcConnection)

/* Called with the owner of the channel, from its context. */
typedef struct
{
  void (*hello) (gpointer owner, GBytes *hello);
  /* A line was lost. */
  void (*lost)  (gpointer owner, const GError *error);
  /* Nobody has the pipe open any more. */
  void (*quiet) (gpointer owner);
} IpcPipeChannelFuncs;

/* Takes over READ_FD, which is guarded (core/ipc-fork.h). */
IpcConnection *ipc_pipe_channel_new (int read_fd, const char *address, const IpcConnectionLimits *limits, const IpcPipeChannelFuncs *funcs);
