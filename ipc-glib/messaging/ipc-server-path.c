/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server that has a file: whether that is still there.
 */
#include "messaging/ipc-server-private.h"

static void
directory_changed (const char *name, gboolean gone, gpointer user_data)
{
  g_autoptr (IpcServer) self = g_object_ref (user_data);

  if (!gone && ((name != NULL && !g_str_equal (name, self->path->basename)) || ipc_owned_path_is_ours (self->path)))
    return;
  g_clear_pointer (&self->path_watch, ipc_directory_watch_free);
  g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_PATH_LOST], 0);
}

void
ipc_server_watch_path (IpcServer *self, const IpcOwnedPath *path)
{
  g_autoptr (GError) reason = NULL;

  self->path = path;
  self->path_watch = ipc_directory_watch_new (path->directory_fd, self->context, directory_changed, self, &reason);
  if (self->path_watch == NULL)
    g_debug ("%s is not watched: %s", path->shown, reason->message);
}

void
ipc_server_unwatch_path (IpcServer *self)
{
  g_clear_pointer (&self->path_watch, ipc_directory_watch_free);
  self->path = NULL;
}
