/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-manager.h"
#include "ipc-message-queue.h"

G_BEGIN_DECLS

#define IPC_TYPE_QUEUE_MANAGER (ipc_queue_manager_get_type ())
IPC_DECLARE_INTERNAL_TYPE (IpcQueueManager, ipc_queue_manager, IPC, QUEUE_MANAGER, IpcManager)

IPC_AVAILABLE_IN_0_1
IpcQueueManager   *ipc_queue_manager_new                  (IpcScope             *scope) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcQueueManager   *ipc_queue_manager_new_for_uri          (const char           *uri,
                                                           GError              **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
gboolean           ipc_queue_manager_serve                (IpcQueueManager      *self,
                                                           const char           *address,
                                                           GError              **error);

IpcDurability     ipc_queue_manager_get_durability   (IpcQueueManager *self);
IPC_AVAILABLE_IN_0_1
void              ipc_queue_manager_set_durability   (IpcQueueManager *self, IpcDurability durability);
IPC_AVAILABLE_IN_0_1
const char        *ipc_queue_manager_get_uri              (IpcQueueManager      *self);
IPC_AVAILABLE_IN_0_1
gboolean           ipc_queue_manager_supports             (IpcQueueManager      *self,
                                                           IpcQueueFeature       feature);
IPC_AVAILABLE_IN_0_1
IpcOverflowPolicy  ipc_queue_manager_get_overflow_policy (IpcQueueManager *self);
IPC_AVAILABLE_IN_0_1
void               ipc_queue_manager_set_overflow_policy (IpcQueueManager *self, IpcOverflowPolicy overflow_policy);
IPC_AVAILABLE_IN_0_1
guint              ipc_queue_manager_get_max_queue_size (IpcQueueManager *self);
IPC_AVAILABLE_IN_0_1
void               ipc_queue_manager_set_max_queue_size (IpcQueueManager *self, guint max_queue_size);
IPC_AVAILABLE_IN_0_1
guint64            ipc_queue_manager_get_max_queue_bytes (IpcQueueManager *self);
IPC_AVAILABLE_IN_0_1
void               ipc_queue_manager_set_max_queue_bytes (IpcQueueManager *self, guint64 max_queue_bytes);
IPC_AVAILABLE_IN_0_1
gint64             ipc_queue_manager_get_message_ttl (IpcQueueManager *self);
IPC_AVAILABLE_IN_0_1
void               ipc_queue_manager_set_message_ttl (IpcQueueManager *self, gint64 message_ttl);
IPC_AVAILABLE_IN_0_1
guint              ipc_queue_manager_get_max_retries (IpcQueueManager *self);
IPC_AVAILABLE_IN_0_1
void               ipc_queue_manager_set_max_retries (IpcQueueManager *self, guint max_retries);

IPC_AVAILABLE_IN_0_1
IpcMessageQueue *ipc_queue_manager_create_queue (IpcQueueManager *self, const char *name, GCancellable *cancellable, GError **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
void ipc_queue_manager_create_queue_async (IpcQueueManager *self, const char *name, GCancellable *cancellable, GAsyncReadyCallback callback,
                                        gpointer user_data);
IPC_AVAILABLE_IN_0_1
IpcMessageQueue *ipc_queue_manager_create_queue_finish (IpcQueueManager *self, GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
IpcMessageQueue *ipc_queue_manager_open_queue (IpcQueueManager *self, const char *name, GCancellable *cancellable, GError **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
void ipc_queue_manager_open_queue_async (IpcQueueManager *self, const char *name, GCancellable *cancellable, GAsyncReadyCallback callback,
                                        gpointer user_data);
IPC_AVAILABLE_IN_0_1
IpcMessageQueue *ipc_queue_manager_open_queue_finish (IpcQueueManager *self, GAsyncResult *result, GError **error) G_GNUC_WARN_UNUSED_RESULT;

IPC_AVAILABLE_IN_0_1
gboolean ipc_queue_manager_delete_queue (IpcQueueManager *self, const char *name, GCancellable *cancellable, GError **error);
IPC_AVAILABLE_IN_0_1
void ipc_queue_manager_delete_queue_async (IpcQueueManager *self, const char *name, GCancellable *cancellable, GAsyncReadyCallback callback,
                                        gpointer user_data);
IPC_AVAILABLE_IN_0_1
gboolean ipc_queue_manager_delete_queue_finish (IpcQueueManager *self, GAsyncResult *result, GError **error);

G_END_DECLS
