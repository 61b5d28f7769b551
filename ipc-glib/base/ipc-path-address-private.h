/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the file is that a server is reached by: a NAME in a folder of a scope, or an absolute path. What kind of file it
 * is, is also the name of the folder, and the word for it in messages: "socket", "pipe".
 */
#pragma once

#include "base/ipc-directory-watch-private.h"
#include "base/ipc-scope-private.h"

typedef struct
{
  char *directory;              /* (nullable) (owned) of a path; NULL: a name in the scope */
  char *basename;               /* (owned) */
} IpcPathAddress;

/* *PARSED is only touched on success. */
gboolean           ipc_path_address_parse_name     (const char *kind, const char *name, IpcPathAddress *parsed, GError **error);
gboolean           ipc_path_address_parse_path     (const char *kind, const char *path, IpcPathAddress *parsed, GError **error);
void               ipc_path_address_clear          (IpcPathAddress *self);
/* The whole path. */
char              *ipc_path_address_get_path       (const IpcPathAddress *self, const char *kind, IpcScope *scope) G_GNUC_WARN_UNUSED_RESULT;
/* The directory that the file is, or will be, in. A server's is checked, and made where that is a scope's;
 * a client may come along any way, because it checks who the server is. -1 on error. */
int                ipc_path_address_open_directory (const IpcPathAddress *self, const char *kind, IpcScope *scope, gboolean for_server, GError **error);
/* Watches that directory, for a server to appear in. */
IpcDirectoryWatch *ipc_path_address_watch          (const IpcPathAddress *self, const char *kind, IpcScope *scope, GMainContext *context,
                                                    IpcDirectoryWatchFunc func, gpointer user_data, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (IpcPathAddress, ipc_path_address_clear)
