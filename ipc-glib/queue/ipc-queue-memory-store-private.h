/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Queues in the memory of this process: the quickest store, and gone with it. */
#pragma once

#include "queue/ipc-queue-store-private.h"

#define IPC_TYPE_QUEUE_MEMORY_STORE (ipc_queue_memory_store_get_type ())
G_DECLARE_FINAL_TYPE (IpcQueueMemoryStore, ipc_queue_memory_store, IPC, QUEUE_MEMORY_STORE, GObject)

IpcQueueStore *ipc_queue_memory_store_new (void);
