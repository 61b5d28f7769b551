/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What goes between a process that serves queues (ipc-queue-host.c) and one that uses them (ipc-queue-remote-store.c): requests, one a
 * function of the store, their replies, and events. doc/message-queues.md specifies it.
 *
 * All payloads are GVariants, and what comes from the other side is checked here before anything is made of it.
 */
#pragma once

#include "queue/ipc-queue-store-private.h"

#define IPC_QUEUE_WIRE_VERSION 1u

#define IPC_QUEUE_REQUEST_PREFIX "ipc.queue."
/* Replies and events have types that every program could use; here, nobody else does. */
#define IPC_QUEUE_REPLY_TYPE "queue"
#define IPC_QUEUE_FAILURE_TYPE "queue-failed"
#define IPC_QUEUE_EVENT_TYPE "queue"

/* priority, type, format, headers, timestamp, payload, dedup id */
#define IPC_QUEUE_WIRE_NEW_ITEM "(ysya{ss}xayms)"
/* id, priority, created-at, expires-at, attempt, lease, type, format, headers, timestamp, payload, reason, died-at */
#define IPC_QUEUE_WIRE_ITEM "(tyxxutsya{ss}xaymsx)"

/* version, max-queue-bytes, message-ttl, max-queue-size, max-retries, overflow-policy, features */
#define IPC_QUEUE_WIRE_HELLO "(utxuuuau)"
#define IPC_QUEUE_WIRE_COUNTS "(uuuuttxxx)"
#define IPC_QUEUE_WIRE_TAKEN "(a" IPC_QUEUE_WIRE_ITEM "x)"
#define IPC_QUEUE_WIRE_FOUND "a" IPC_QUEUE_WIRE_ITEM
#define IPC_QUEUE_WIRE_PUBLISHED "(atss)"
#define IPC_QUEUE_WIRE_FAILURE "(ss)"
/* what, queue, item */
#define IPC_QUEUE_WIRE_EVENT "(ysm" IPC_QUEUE_WIRE_ITEM ")"

/* What an item takes beside the bytes of its message, at most. */
#define IPC_QUEUE_WIRE_OVERHEAD 4096u

/* (transfer floating) */
GVariant     *ipc_queue_wire_pack_new   (const IpcQueueItem *item);
/* (transfer floating): with TAG in place of the lease. */
GVariant     *ipc_queue_wire_pack       (const IpcQueueItem *item, guint64 tag);
/* (transfer full): INVALID_DATA, INVALID_ARGUMENT. */
IpcQueueItem *ipc_queue_wire_unpack_new (GVariant *value, GError **error);
IpcQueueItem *ipc_queue_wire_unpack     (GVariant *value, GError **error);

/* A failure as the nick of an IpcError and a text, and back. */
const char   *ipc_queue_wire_get_nick   (const GError *error);
void          ipc_queue_wire_set_error  (GError **error, const char *nick, const char *text);
/* What a monotonic time is to somebody else, and back: µs from now; -1: none. */
gint64        ipc_queue_wire_from_time  (gint64 at);
gint64        ipc_queue_wire_to_time    (gint64 wait);
