/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-manager.h"
#include "ipc-shared-memory.h"

G_BEGIN_DECLS

#define IPC_TYPE_SHARED_MEMORY_MANAGER (ipc_shared_memory_manager_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcSharedMemoryManager, ipc_shared_memory_manager, IPC, SHARED_MEMORY_MANAGER, IpcManager)

IPC_AVAILABLE_IN_0_1
IpcSharedMemoryManager *ipc_shared_memory_manager_new                      (IpcScope                *scope) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
IpcSharedMemory        *ipc_shared_memory_manager_create_segment           (IpcSharedMemoryManager  *self,
                                                                            const char              *name,
                                                                            gsize                    size,
                                                                            IpcAccess                flags,
                                                                            GError                 **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcSharedMemory        *ipc_shared_memory_manager_open_segment             (IpcSharedMemoryManager  *self,
                                                                            const char              *name,
                                                                            IpcAccess                access,
                                                                            GError                 **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
gboolean                ipc_shared_memory_manager_delete_segment           (IpcSharedMemoryManager  *self,
                                                                            const char              *name,
                                                                            GError                 **error);

IPC_AVAILABLE_IN_0_1
gsize                   ipc_shared_memory_manager_get_default_segment_size (IpcSharedMemoryManager  *self);
IPC_AVAILABLE_IN_0_1
void                    ipc_shared_memory_manager_set_default_segment_size (IpcSharedMemoryManager  *self,
                                                                            gsize                    default_segment_size);
IPC_AVAILABLE_IN_0_1
gsize                   ipc_shared_memory_manager_get_max_segment_size     (IpcSharedMemoryManager  *self);
IPC_AVAILABLE_IN_0_1
void                    ipc_shared_memory_manager_set_max_segment_size     (IpcSharedMemoryManager  *self,
                                                                            gsize                    max_segment_size);

IPC_AVAILABLE_IN_0_1
guint64                 ipc_shared_memory_manager_get_total_size           (IpcSharedMemoryManager  *self);
IPC_AVAILABLE_IN_0_1
guint64                 ipc_shared_memory_manager_get_total_access_count   (IpcSharedMemoryManager  *self);
IPC_AVAILABLE_IN_0_1
gdouble                 ipc_shared_memory_manager_get_average_segment_size (IpcSharedMemoryManager  *self);

G_END_DECLS
