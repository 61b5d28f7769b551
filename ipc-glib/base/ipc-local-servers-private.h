/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The servers of this process: what clients reach them by, and the context that
 * they run in. A client that connects to one of its own context knows from this
 * that it must not wait for it in a blocking call.
 */
#pragma once

#include <gio/gio.h>

/* The key of a file; sockets without one have others. */
char         *ipc_local_servers_key_of_file (guint64 device, guint64 inode) G_GNUC_WARN_UNUSED_RESULT;

/* FALSE if it is there already. Any thread. */
gboolean      ipc_local_servers_add         (const char *key, GMainContext *context);
void          ipc_local_servers_remove      (const char *key);
/* (transfer full) (nullable) */
GMainContext *ipc_local_servers_find        (const char *key);
