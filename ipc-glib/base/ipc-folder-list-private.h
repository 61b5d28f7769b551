/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of what exists in one folder of a scope, kept up to date. A manager
 * owns one and lends itself to it: OWNER is kept alive while the list works, and
 * makes the items.
 *
 * All in the thread that runs the context.
 */
#pragma once

#include "base/ipc-scope-private.h"

typedef struct _IpcFolderList IpcFolderList;

/* (nullable) (transfer full): an item for what NAME is in the folder; NULL: it is not listed. */
typedef GObject *(*IpcFolderListObserveFunc) (GObject *owner, int folder_fd, const char *name);

/* SCOPE is kept, FOLDER must be a constant. Nothing is listed before ipc_folder_list_follow(). */
IpcFolderList *ipc_folder_list_new         (GObject *owner, IpcScope *scope, const char *folder, GMainContext *context,
                                            IpcFolderListObserveFunc observe);
void           ipc_folder_list_free        (IpcFolderList *self);

/* Makes the folder if it is missing, reads it, and follows it from now on (as soon as it can be). */
void           ipc_folder_list_follow      (IpcFolderList *self);
/* No more changes from now on. */
void           ipc_folder_list_stop        (IpcFolderList *self);

/* -1 on error (FORKED, what ipc_scope_open_folder() says). The caller closes it soon: while it is open, the kernel
 * does not tell that the folder was deleted. */
int            ipc_folder_list_open_folder (IpcFolderList *self, gboolean create, GError **error);

/* Sorted by name. */
GListModel    *ipc_folder_list_get_items   (IpcFolderList *self);
/* (transfer container) (element-type GObject): what is listed now, with references of its own. */
GPtrArray     *ipc_folder_list_snapshot    (IpcFolderList *self);
const char    *ipc_folder_list_get_name    (GObject *item);

/* After NAME was made or removed: makes the list agree with the folder without waiting for the event. */
void           ipc_folder_list_refresh     (IpcFolderList *self, const char *name);
/* The same about all that is in it, or about one name, for those who have it open. All three emit, so that anything
 * may have happened when they return: the caller holds a reference to the owner. FALSE: something could not be read, and
 * is listed as it was. */
gboolean       ipc_folder_list_rescan      (IpcFolderList *self, int folder_fd);
gboolean       ipc_folder_list_update      (IpcFolderList *self, int folder_fd, const char *name);
