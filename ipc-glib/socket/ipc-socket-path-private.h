/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A listening socket at a path that its process owns (base/ipc-owned-path-private.h). It is bound and listens under a
 * temporary name before it gets the real one, so that whoever sees it can connect to it.
 */
#pragma once

#include "base/ipc-owned-path-private.h"

typedef struct
{
  IpcOwnedPath path;
  int listen_fd;                /* guarded (core/ipc-fork.h); -1 once somebody else owns it */
} IpcSocketPath;

/* What the file is like, and who waits at it. */
typedef struct
{
  guint mode;
  gid_t gid;                    /* -1: that of the process */
  int backlog;
} IpcSocketPathOptions;

void          ipc_socket_path_init    (IpcSocketPath *self);
/* DIRECTORY_FD is taken over, also on failure. PATH is for messages. */
gboolean      ipc_socket_path_listen  (IpcSocketPath *self, int directory_fd, const char *basename, const char *path,
                                       const IpcSocketPathOptions *options, GError **error);
/* Unlinks the path if our socket is still there, and gives up the lock. */
void          ipc_socket_path_clear   (IpcSocketPath *self);

/* Connects to the socket in the directory, without blocking: a descriptor, or -1 with NO_SERVER, WRONG_TYPE or
 * G_IO_ERROR_BUSY (its queue is full). *CONTEXT is where the server runs, if that is in this process. PATH is for
 * messages. */
int           ipc_socket_path_connect (int directory_fd, const char *basename, const char *path, GMainContext **context,
                                       GError **error);
