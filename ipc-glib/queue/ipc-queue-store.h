/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-types.h"

G_BEGIN_DECLS

/**
 * IpcQueueStore:
 *
 * Where a [class@Ipc.QueueManager] keeps its queues.
 *
 * There is one store a kind of URI. What they can do differs: see [method@Ipc.QueueManager.supports].
 *
 * Since: 0.1
 */
#define IPC_TYPE_QUEUE_STORE (ipc_queue_store_get_type ())
IPC_AVAILABLE_IN_0_1
GType ipc_queue_store_get_type (void);

typedef struct _IpcQueueStore IpcQueueStore;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcQueueStore, g_object_unref)

G_END_DECLS
