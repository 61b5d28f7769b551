/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The servers of this process: what clients reach them by, and the context that
 * they run in. A client that connects to one of its own context knows from this
 * that it must not wait for it in a blocking call.
 */
#pragma once

#include <gio/gio.h>

/* Keys: of a file, of a name in the abstract namespace. */
char         *ipc_socket_local_key_of_file     (guint64 device, guint64 inode) G_GNUC_WARN_UNUSED_RESULT;
char         *ipc_socket_local_key_of_abstract (const char *name, gsize size) G_GNUC_WARN_UNUSED_RESULT;
/* Of whatever a socket that somebody else made is bound to; NULL if that cannot be told. */
char         *ipc_socket_local_key_of_socket   (int listen_fd) G_GNUC_WARN_UNUSED_RESULT;

/* FALSE if it is there already. Any thread. */
gboolean      ipc_socket_local_add             (const char *key, GMainContext *context);
void          ipc_socket_local_remove          (const char *key);
/* (transfer full) (nullable) */
GMainContext *ipc_socket_local_find            (const char *key);
