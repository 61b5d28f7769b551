/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-message.h"

G_BEGIN_DECLS

#define IPC_TYPE_SUBSCRIPTION (ipc_subscription_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcSubscription, ipc_subscription, IPC, SUBSCRIPTION, GObject)

IPC_AVAILABLE_IN_0_1
guint64      ipc_subscription_get_id            (IpcSubscription *self);
IPC_AVAILABLE_IN_0_1
const char  *ipc_subscription_get_queue_name    (IpcSubscription *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_subscription_get_created_at    (IpcSubscription *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_subscription_get_last_message  (IpcSubscription *self);
IPC_AVAILABLE_IN_0_1
guint64      ipc_subscription_get_message_count (IpcSubscription *self);
IPC_AVAILABLE_IN_0_1
void         ipc_subscription_stop              (IpcSubscription *self);

G_END_DECLS
