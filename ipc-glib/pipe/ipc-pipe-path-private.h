/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pipe of a server, at a path that its process owns (base/ipc-owned-path-private.h).
 *
 * One that is there already is taken over, not replaced: shells may be waiting in open(2) for somebody to read it.
 */
#pragma once

#include "base/ipc-owned-path-private.h"

typedef struct
{
  IpcOwnedPath path;
  int read_fd;                  /* guarded (core/ipc-fork.h); -1 once somebody else owns it */
  int pairs_fd;                 /* guarded */
} IpcPipePath;

void     ipc_pipe_path_init  (IpcPipePath *self);
/* DIRECTORY_FD is taken over, also on failure. GID: -1 for that of the process. */
gboolean ipc_pipe_path_open  (IpcPipePath *self, int directory_fd, const char *basename, const char *path, guint mode, gid_t gid,
                              GError **error);
void     ipc_pipe_path_clear (IpcPipePath *self);

/* For a client: opens the pipe of a server for writing, without blocking, and the directory of its pairs. NO_SERVER: it is not
 * there, or nobody reads it who is one. *CONTEXT is where the server runs, if that is in this process. Guarded. */
gboolean ipc_pipe_path_reach (int directory_fd, const char *basename, const char *path, int *write_fd, int *pairs_fd,
                              GMainContext **context, GError **error);
