/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-item-private.h"

#include "messaging/ipc-message-private.h"

/* What is kept beside the message. */
#define OVERHEAD 256

static gsize
count_bytes (const IpcMessage *message)
{
  return OVERHEAD + message->payload_size + message->headers_size + message->type_length;
}

IpcQueueItem *
ipc_queue_item_new (IpcMessage *message, IpcPriority priority)
{
  IpcQueueItem *self = g_slice_new0 (IpcQueueItem);

  self->ref_count = 1;
  /* One that came over a connection is kept, and does not pin what it came in. */
  self->message = ipc_message_ref (message);
  self->bytes = count_bytes (message);
  self->priority = priority;
  self->created_at = g_get_real_time ();
  return self;
}

IpcQueueItem *
ipc_queue_item_ref (IpcQueueItem *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
ipc_queue_item_unref (IpcQueueItem *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  ipc_message_unref (self->message);
  g_free (self->dedup_id);
  g_free (self->reason);
  g_slice_free (IpcQueueItem, self);
}

IpcQueueItem *
ipc_queue_item_copy (const IpcQueueItem *self)
{
  IpcQueueItem *copy = g_slice_dup (IpcQueueItem, self);

  copy->ref_count = 1;
  copy->message = ipc_message_ref (self->message);
  copy->dedup_id = g_strdup (self->dedup_id);
  copy->reason = g_strdup (self->reason);
  return copy;
}
