/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-message.h"

G_BEGIN_DECLS

#define IPC_TYPE_DELIVERY (ipc_delivery_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcDelivery, ipc_delivery, IPC, DELIVERY, GObject)

IPC_AVAILABLE_IN_0_1
IpcMessage  *ipc_delivery_get_message     (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
guint64      ipc_delivery_get_id          (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
const char  *ipc_delivery_get_queue_name  (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_delivery_get_created_at  (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
guint        ipc_delivery_get_max_retries (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
IpcPriority  ipc_delivery_get_priority    (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
guint        ipc_delivery_get_attempt     (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_get_redelivered (IpcDelivery          *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_delivery_get_expires_at  (IpcDelivery          *self);

IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_ack             (IpcDelivery          *self,
                                           GCancellable         *cancellable,
                                           GError              **error);
IPC_AVAILABLE_IN_0_1
void         ipc_delivery_ack_async       (IpcDelivery          *self,
                                           GCancellable         *cancellable,
                                           GAsyncReadyCallback   callback,
                                           gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_ack_finish      (IpcDelivery          *self,
                                           GAsyncResult         *result,
                                           GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_nack            (IpcDelivery          *self,
                                           gint64                delay,
                                           GCancellable         *cancellable,
                                           GError              **error);
IPC_AVAILABLE_IN_0_1
void         ipc_delivery_nack_async      (IpcDelivery          *self,
                                           gint64                delay,
                                           GCancellable         *cancellable,
                                           GAsyncReadyCallback   callback,
                                           gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_nack_finish     (IpcDelivery          *self,
                                           GAsyncResult         *result,
                                           GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_reject          (IpcDelivery          *self,
                                           const char           *reason,
                                           GCancellable         *cancellable,
                                           GError              **error);
IPC_AVAILABLE_IN_0_1
void         ipc_delivery_reject_async    (IpcDelivery          *self,
                                           const char           *reason,
                                           GCancellable         *cancellable,
                                           GAsyncReadyCallback   callback,
                                           gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_reject_finish   (IpcDelivery          *self,
                                           GAsyncResult         *result,
                                           GError              **error);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_extend          (IpcDelivery          *self,
                                           gint64                duration,
                                           GCancellable         *cancellable,
                                           GError              **error);
IPC_AVAILABLE_IN_0_1
void         ipc_delivery_extend_async    (IpcDelivery          *self,
                                           gint64                duration,
                                           GCancellable         *cancellable,
                                           GAsyncReadyCallback   callback,
                                           gpointer              user_data);
IPC_AVAILABLE_IN_0_1
gboolean     ipc_delivery_extend_finish   (IpcDelivery          *self,
                                           GAsyncResult         *result,
                                           GError              **error);

G_END_DECLS
