/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-consumer.h"

G_BEGIN_DECLS

/**
 * IpcDeliveryFunc:
 * @queue: the queue
 * @delivery: a message, to be acknowledged
 * @user_data: what was given with it
 *
 * Gets the messages of [method@Ipc.MessageQueue.start_consuming], in the main context of the manager.
 *
 * Since: 0.1
 */
typedef void (*IpcDeliveryFunc) (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer user_data);

/**
 * IpcSubscriptionFunc:
 * @queue: the queue
 * @message: a copy of what was published
 * @user_data: what was given with it
 *
 * Gets the messages of [method@Ipc.MessageQueue.subscribe], in the main context of the manager.
 *
 * In JavaScript, @message is only lent: keep `message.ref()`, which the override does.
 *
 * Since: 0.1
 */
typedef void (*IpcSubscriptionFunc) (IpcMessageQueue *queue, IpcMessage *message, gpointer user_data);

#define IPC_TYPE_MESSAGE_QUEUE (ipc_message_queue_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcMessageQueue, ipc_message_queue, IPC, MESSAGE_QUEUE, GObject)

IPC_AVAILABLE_IN_0_1
const char      *ipc_message_queue_get_name            (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
guint            ipc_message_queue_get_n_messages      (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
guint            ipc_message_queue_get_n_ready         (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
guint            ipc_message_queue_get_n_delayed       (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
guint            ipc_message_queue_get_n_unacked       (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
guint            ipc_message_queue_get_n_dead          (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
guint64          ipc_message_queue_get_total_messages  (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_get_created_at      (IpcMessageQueue      *self);
IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_get_last_accessed   (IpcMessageQueue      *self);

IPC_AVAILABLE_IN_0_1
guint64          ipc_message_queue_publish             (IpcMessageQueue      *self,
                                                        IpcMessage           *message,
                                                        IpcPriority           priority,
                                                        gint64                ttl,
                                                        gint64                delay,
                                                        const char           *dedup_id,
                                                        GCancellable         *cancellable,
                                                        GError              **error);
IPC_AVAILABLE_IN_0_1
void             ipc_message_queue_publish_async       (IpcMessageQueue      *self,
                                                        IpcMessage           *message,
                                                        IpcPriority           priority,
                                                        gint64                ttl,
                                                        gint64                delay,
                                                        const char           *dedup_id,
                                                        GCancellable         *cancellable,
                                                        GAsyncReadyCallback   callback,
                                                        gpointer              user_data);
IPC_AVAILABLE_IN_0_1
guint64          ipc_message_queue_publish_finish      (IpcMessageQueue      *self,
                                                        GAsyncResult         *result,
                                                        GError              **error);

IPC_AVAILABLE_IN_0_1
IpcDelivery     *ipc_message_queue_consume             (IpcMessageQueue      *self,
                                                        gint                  timeout,
                                                        GCancellable         *cancellable,
                                                        GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
void             ipc_message_queue_consume_async       (IpcMessageQueue      *self,
                                                        gint                  timeout,
                                                        GCancellable         *cancellable,
                                                        GAsyncReadyCallback   callback,
                                                        gpointer              user_data);
IPC_AVAILABLE_IN_0_1
IpcDelivery     *ipc_message_queue_consume_finish      (IpcMessageQueue      *self,
                                                        GAsyncResult         *result,
                                                        GError              **error) G_GNUC_WARN_UNUSED_RESULT;
IPC_AVAILABLE_IN_0_1
IpcConsumer     *ipc_message_queue_start_consuming     (IpcMessageQueue      *self,
                                                        guint                 prefetch,
                                                        IpcDeliveryFunc       callback,
                                                        gpointer              user_data,
                                                        GDestroyNotify        destroy);
IPC_AVAILABLE_IN_0_1
IpcSubscription *ipc_message_queue_subscribe           (IpcMessageQueue      *self,
                                                        IpcSubscriptionFunc   callback,
                                                        gpointer              user_data,
                                                        GDestroyNotify        destroy);

IPC_AVAILABLE_IN_0_1
GPtrArray       *ipc_message_queue_peek                (IpcMessageQueue      *self,
                                                        guint                 max,
                                                        GCancellable         *cancellable,
                                                        GError              **error);
IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_purge               (IpcMessageQueue      *self,
                                                        GCancellable         *cancellable,
                                                        GError              **error);
IPC_AVAILABLE_IN_0_1
GPtrArray       *ipc_message_queue_list_dead           (IpcMessageQueue      *self,
                                                        guint                 max,
                                                        GCancellable         *cancellable,
                                                        GError              **error);
IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_redrive             (IpcMessageQueue      *self,
                                                        guint64               id,
                                                        GCancellable         *cancellable,
                                                        GError              **error);

IPC_AVAILABLE_IN_0_1
void             ipc_message_queue_peek_async (IpcMessageQueue *self, guint max, GCancellable *cancellable,
                                                        GAsyncReadyCallback callback, gpointer user_data);
IPC_AVAILABLE_IN_0_1
GPtrArray       * ipc_message_queue_peek_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error);
IPC_AVAILABLE_IN_0_1
void             ipc_message_queue_purge_async (IpcMessageQueue *self, GCancellable *cancellable,
                                                        GAsyncReadyCallback callback, gpointer user_data);
IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_purge_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error);
IPC_AVAILABLE_IN_0_1
void             ipc_message_queue_list_dead_async (IpcMessageQueue *self, guint max, GCancellable *cancellable,
                                                        GAsyncReadyCallback callback, gpointer user_data);
IPC_AVAILABLE_IN_0_1
GPtrArray       * ipc_message_queue_list_dead_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error);
IPC_AVAILABLE_IN_0_1
void             ipc_message_queue_redrive_async (IpcMessageQueue *self, guint64 id, GCancellable *cancellable,
                                                        GAsyncReadyCallback callback, gpointer user_data);
IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_redrive_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error);

IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_publish_many        (IpcMessageQueue *self, GPtrArray *messages, IpcPriority priority, gint64 ttl,
                                                        gint64 delay, GCancellable *cancellable, GError **error);
IPC_AVAILABLE_IN_0_1
void             ipc_message_queue_publish_many_async  (IpcMessageQueue *self, GPtrArray *messages, IpcPriority priority, gint64 ttl,
                                                        gint64 delay, GCancellable *cancellable, GAsyncReadyCallback callback,
                                                        gpointer user_data);
IPC_AVAILABLE_IN_0_1
gint64           ipc_message_queue_publish_many_finish (IpcMessageQueue *self, GAsyncResult *result, GError **error);

G_END_DECLS
