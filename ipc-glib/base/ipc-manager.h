/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

#define IPC_TYPE_MANAGER (ipc_manager_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcManager, ipc_manager, IPC, MANAGER, GObject)

IPC_AVAILABLE_IN_0_1
GListModel *ipc_manager_get_items            (IpcManager  *self);
IPC_AVAILABLE_IN_0_1
guint       ipc_manager_get_n_items          (IpcManager  *self);
IPC_AVAILABLE_IN_0_1
IpcScope   *ipc_manager_get_scope            (IpcManager  *self);

IPC_AVAILABLE_IN_0_1
guint       ipc_manager_get_max_items        (IpcManager  *self);
IPC_AVAILABLE_IN_0_1
void        ipc_manager_set_max_items        (IpcManager  *self,
                                              guint        max_items);
IPC_AVAILABLE_IN_0_1
gboolean    ipc_manager_get_auto_cleanup     (IpcManager  *self);
IPC_AVAILABLE_IN_0_1
void        ipc_manager_set_auto_cleanup     (IpcManager  *self,
                                              gboolean     auto_cleanup);
IPC_AVAILABLE_IN_0_1
gint64      ipc_manager_get_cleanup_interval (IpcManager  *self);
IPC_AVAILABLE_IN_0_1
void        ipc_manager_set_cleanup_interval (IpcManager  *self,
                                              gint64       cleanup_interval);
IPC_AVAILABLE_IN_0_1
gint64      ipc_manager_get_idle_timeout     (IpcManager  *self);
IPC_AVAILABLE_IN_0_1
void        ipc_manager_set_idle_timeout     (IpcManager  *self,
                                              gint64       idle_timeout);

IPC_AVAILABLE_IN_0_1
gint        ipc_manager_cleanup              (IpcManager  *self,
                                              GError     **error);

G_END_DECLS
