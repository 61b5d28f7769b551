/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "queue/ipc-queue-store-private.h"

#define IPC_TYPE_QUEUE_SQLITE_STORE (ipc_queue_sqlite_store_get_type ())
G_DECLARE_FINAL_TYPE (IpcQueueSqliteStore, ipc_queue_sqlite_store, IPC, QUEUE_SQLITE_STORE, GObject)

/* PART is what follows "sqlite:" in a URI. *URI (transfer full) is the one with the whole path. */
IpcQueueStore *ipc_queue_sqlite_store_new (const char *part, char **uri, GError **error);
