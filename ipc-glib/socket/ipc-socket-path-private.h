/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A listening socket at a path that its process owns.
 *
 * Owning is holding the lock beside the path. Under it a stale socket is replaced;
 * what is not a socket of ours is left alone. The new socket is bound and listens
 * under a temporary name before it gets the real one, so that whoever sees it can
 * connect to it. Paths of any length work: everything goes through the directory.
 */
#pragma once

#include <gio/gio.h>

typedef struct
{
  int directory_fd;             /* -1 when not in use */
  int lock_fd;
  int listen_fd;                /* -1 after ipc_socket_path_steal_fd() */
  char *basename;               /* (owned) */
  guint64 device;               /* what identifies our socket */
  guint64 inode;
} IpcSocketPath;

void          ipc_socket_path_init    (IpcSocketPath *self);
/* DIRECTORY_FD is taken over, also on failure. CONTEXT is where the server runs. */
gboolean      ipc_socket_path_listen  (IpcSocketPath *self, int directory_fd, const char *basename, guint mode, int backlog,
                                       GMainContext *context, GError **error);
/* Unlinks the path if our socket is still there, and gives up the lock. */
void          ipc_socket_path_clear   (IpcSocketPath *self);

/* Connects to the socket in the directory, without blocking: a descriptor, or -1 with NO_SERVER, WRONG_TYPE or
 * G_IO_ERROR_BUSY (its queue is full). *CONTEXT is where the server runs, if that is in this process. */
int           ipc_socket_path_connect (int directory_fd, const char *basename, GMainContext **context, GError **error);
