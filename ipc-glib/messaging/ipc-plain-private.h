/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shortest way out, which nearly every message takes: to a peer that speaks frames, without descriptors, with a
 * payload that is copied, and room for it in the queue. Under the lock of the connection.
 *
 * What passes ipc_connection_takes_plain_locked() would pass all the checks of ipc-connection-send.c. Those are there
 * for the others, and to say what is wrong with them.
 */
#pragma once

#include <string.h>

#include "messaging/ipc-connection-private.h"

static inline gboolean
ipc_connection_is_tight (IpcConnection *self)
{
  return self->ledger != NULL && g_atomic_int_get (&self->ledger->budget.is_tight);
}

/* The same for a reply, for which there is always room. */
static inline gboolean
ipc_connection_takes_plain_reply_locked (IpcConnection *self, IpcMessage *message)
{
  gsize length = ipc_binary_get_length (message);

  return self->state == IPC_CONNECTION_OPEN && self->wire_format == IPC_WIRE_FORMAT_BINARY && message->fd_list == NULL &&
         message->payload_size <= IPC_OUTBOX_INLINE_MAX && length <= self->peer_max_message_size &&
         length <= self->limits.max_message_size;
}

static inline gboolean
ipc_connection_takes_plain_locked (IpcConnection *self, IpcMessage *message)
{
  gsize after = ipc_outbox_get_load (&self->outbox) + IPC_FRAME_HEADER_SIZE + ipc_binary_get_length (message);

  return ipc_connection_takes_plain_reply_locked (self, message) && after <= self->limits.max_queued_bytes &&
         !ipc_connection_is_tight (self);
}

/* Writes a frame into ROOM: IPC_FRAME_HEADER_SIZE + ipc_binary_get_length() bytes. */
static inline void
ipc_binary_put_plain (guint8 *room, IpcMessage *message, IpcFrameKind kind, guint64 serial, guint64 reply_serial)
{
  const IpcFrame frame = {
    .length = (guint32) ipc_binary_get_length (message),
    .kind = (guint8) kind,
    .flags = (guint8) (message->format | (message->headers != NULL ? IPC_FRAME_FLAG_HEADERS : 0)),
    .type_length = message->type_length,
    .serial = serial,
    .reply_serial = reply_serial,
    .timestamp = message->timestamp,
  };

  room = ipc_binary_put_head (room, &frame, message);
  if (message->payload_size > 0)
    memcpy (room, message->payload, message->payload_size);
}

/* Whether what has been queued may not be taken out again for what is newer: for that, it has to be known where it is. */
static inline gboolean
ipc_connection_keeps_events_locked (IpcConnection *self)
{
  return self->limits.overflow_policy != IPC_OVERFLOW_POLICY_DROP_OLDEST;
}

static inline void
ipc_connection_note_sent_locked (IpcConnection *self)
{
  IPC_ADD_ONCE (self->messages_sent, 1);
  ipc_connection_schedule_flush_locked (self);
}

static inline void
ipc_connection_put_plain_locked (IpcConnection *self, IpcMessage *message, IpcFrameKind kind, guint64 serial, guint64 reply_serial)
{
  guint8 *room = ipc_outbox_add (&self->outbox, IPC_FRAME_HEADER_SIZE + ipc_binary_get_length (message));

  ipc_binary_put_plain (room, message, kind, serial, reply_serial);
}

/* FALSE: the event needs the long way. */
static inline gboolean
ipc_connection_send_plain_locked (IpcConnection *self, IpcMessage *message)
{
  if (!ipc_connection_takes_plain_locked (self, message) || !ipc_connection_keeps_events_locked (self))
    return FALSE;
  ipc_connection_put_plain_locked (self, message, IPC_FRAME_EVENT, 0, 0);
  ipc_connection_note_sent_locked (self);
  return TRUE;
}
