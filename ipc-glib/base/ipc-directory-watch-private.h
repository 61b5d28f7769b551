/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tells when entries of a directory appear or go: inotify in a GSource.
 * GFileMonitor is not used: it holds events back and needs a thread.
 */
#pragma once

#include <gio/gio.h>

typedef struct _IpcDirectoryWatch IpcDirectoryWatch;

/* NAME: the entry that was created, moved in, moved out or deleted (valid during the call); NULL: anything may have
 * changed (events were lost, or the directory itself went away: GONE is TRUE then, and nothing more will come). */
typedef void (*IpcDirectoryWatchFunc) (const char *name, gboolean gone, gpointer user_data);

/* Watches the directory through its descriptor (only used during the call; while somebody keeps one open, the
 * kernel does not tell that the directory was deleted). FUNC is called in CONTEXT (NULL: the global default), and
 * may free the watch, or run the context. Nothing comes in a forked child. */
IpcDirectoryWatch *ipc_directory_watch_new  (int directory_fd, GMainContext *context, IpcDirectoryWatchFunc func,
                                             gpointer user_data, GError **error);
/* In the thread that FUNC is called in. */
void               ipc_directory_watch_free (IpcDirectoryWatch *self);
/* Also in a thread without a main loop (CONTEXT is one that nobody runs, then): the inotify descriptor, to poll; and
 * this, to be called when it is readable. */
int                ipc_directory_watch_get_fd   (IpcDirectoryWatch *self);
void               ipc_directory_watch_dispatch (IpcDirectoryWatch *self);
