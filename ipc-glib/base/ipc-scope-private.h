/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ipc-scope.h"

/* What takes so much memory that it does not belong into a runtime directory, which is small. */
#define IPC_SCOPE_BULK_FOLDER "memory"

/* Opens (and with CREATE makes) FOLDER ("socket", "pipe", …) in the scope, checked. That of the bulk is in /dev/shm where the scope is
 * the default one and in a runtime directory. -1 on error.
 * NOT_FOUND if it is not there and CREATE is FALSE. The caller closes it. Any thread. */
int ipc_scope_open_folder (IpcScope *self, const char *folder, gboolean create, GError **error);

/* Chooses the default directory from the environment as if for the first time (tests). */
char *ipc_scope_find_default_directory (GError **error);
