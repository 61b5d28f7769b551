/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What managers of shared objects (base/ipc-shared-object-private.h) have in common: making and deleting, with the list of the
 * manager brought up to date at once. The name was not looked at yet.
 */
#pragma once

#include "base/ipc-manager-private.h"
#include "base/ipc-shared-object-private.h"

typedef struct
{
  /* Makes it, and keeps it in DATA. EXISTS. */
  gboolean (*make)    (gpointer data, int folder_fd, const char *name, GError **error);
  /* It exists: EXISTS, or MISMATCH, and how it is. FALSE: it is gone again. */
  gboolean (*explain) (gpointer data, int folder_fd, const char *name, GError **error);
} IpcSharedMaking;

gboolean ipc_shared_manager_check_name (const IpcSharedObjectClass *klass, const char *name, GError **error);
/* The caller refreshes the manager when it has handed out what was made. */
gboolean ipc_shared_manager_create     (IpcManager *self, const IpcSharedObjectClass *klass, const char *name, const IpcSharedMaking *making,
                                        gpointer data, GError **error);
gboolean ipc_shared_manager_delete     (IpcManager *self, const IpcSharedObjectClass *klass, const char *name, GError **error);
