/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_SCOPE (ipc_scope_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcScope, ipc_scope, IPC, SCOPE, GObject)

IPC_AVAILABLE_IN_0_1
IpcScope   *ipc_scope_get_default       (void);
IPC_AVAILABLE_IN_0_1
IpcScope   *ipc_scope_new_for_directory (const char  *path,
                                         GError     **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
const char *ipc_scope_get_directory     (IpcScope    *self);

G_END_DECLS
