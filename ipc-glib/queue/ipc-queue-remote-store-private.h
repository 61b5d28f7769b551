/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The queues of another process, which serves them (ipc-queue-host.c). */
#pragma once

#include "queue/ipc-queue-store-private.h"

#define IPC_TYPE_QUEUE_REMOTE_STORE (ipc_queue_remote_store_get_type ())
G_DECLARE_FINAL_TYPE (IpcQueueRemoteStore, ipc_queue_remote_store, IPC, QUEUE_REMOTE_STORE, GObject)

/* LIMITS become those of the other side, as they are now. NULL with the errors of ipc_client_open(). */
IpcQueueStore *ipc_queue_remote_store_new (const char *address, IpcQueueLimits *limits, GError **error);
