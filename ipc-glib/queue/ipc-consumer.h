/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-delivery.h"

G_BEGIN_DECLS

#define IPC_TYPE_CONSUMER (ipc_consumer_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcConsumer, ipc_consumer, IPC, CONSUMER, GObject)

IPC_AVAILABLE_IN_0_1
guint64      ipc_consumer_get_id            (IpcConsumer *self);
IPC_AVAILABLE_IN_0_1
const char  *ipc_consumer_get_queue_name    (IpcConsumer *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_consumer_get_created_at    (IpcConsumer *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_consumer_get_last_message  (IpcConsumer *self);
IPC_AVAILABLE_IN_0_1
guint64      ipc_consumer_get_message_count (IpcConsumer *self);
IPC_AVAILABLE_IN_0_1
void         ipc_consumer_stop              (IpcConsumer *self);

G_END_DECLS
