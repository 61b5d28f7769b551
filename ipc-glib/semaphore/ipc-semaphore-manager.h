/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-manager.h"

G_BEGIN_DECLS

#define IPC_TYPE_SEMAPHORE_MANAGER (ipc_semaphore_manager_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcSemaphoreManager, ipc_semaphore_manager, IPC, SEMAPHORE_MANAGER, IpcManager)

IPC_AVAILABLE_IN_0_1
IpcSemaphoreManager *ipc_semaphore_manager_new                   (IpcScope             *scope) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
IpcSemaphore        *ipc_semaphore_manager_create_semaphore      (IpcSemaphoreManager  *self,
                                                                  const char           *name,
                                                                  guint                 permits,
                                                                  GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcSemaphore        *ipc_semaphore_manager_open_semaphore        (IpcSemaphoreManager  *self,
                                                                  const char           *name,
                                                                  GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
gboolean             ipc_semaphore_manager_delete_semaphore      (IpcSemaphoreManager  *self,
                                                                  const char           *name,
                                                                  GError              **error);

IPC_AVAILABLE_IN_0_1
guint                ipc_semaphore_manager_get_default_permits   (IpcSemaphoreManager  *self);
IPC_AVAILABLE_IN_0_1
void                 ipc_semaphore_manager_set_default_permits   (IpcSemaphoreManager  *self,
                                                                  guint                 default_permits);
IPC_AVAILABLE_IN_0_1
gint                 ipc_semaphore_manager_get_default_timeout   (IpcSemaphoreManager  *self);
IPC_AVAILABLE_IN_0_1
void                 ipc_semaphore_manager_set_default_timeout   (IpcSemaphoreManager  *self,
                                                                  gint                  default_timeout);

IPC_AVAILABLE_IN_0_1
guint                ipc_semaphore_manager_get_total_permits     (IpcSemaphoreManager  *self);
IPC_AVAILABLE_IN_0_1
guint                ipc_semaphore_manager_get_available_permits (IpcSemaphoreManager  *self);
IPC_AVAILABLE_IN_0_1
guint                ipc_semaphore_manager_get_total_waiters     (IpcSemaphoreManager  *self);
IPC_AVAILABLE_IN_0_1
gdouble              ipc_semaphore_manager_get_utilization       (IpcSemaphoreManager  *self);

G_END_DECLS
