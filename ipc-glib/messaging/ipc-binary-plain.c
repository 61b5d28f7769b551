/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shortest way in, which nearly every frame takes: an event, a request or a reply that is there as a whole, without
 * headers and descriptors, of the type of the one before. What is anything else, or breaks a rule, is left where it is for
 * ipc_binary_step(), which knows what to do.
 *
 * Anything may change while a handler runs: after each frame, the front of the inbox is looked at anew.
 */
#include "messaging/ipc-connection-private.h"

static inline gboolean
payload_is_fine (const IpcMessage *message)
{
  return message->format == IPC_PAYLOAD_FORMAT_BYTES || ipc_payload_check (message->format, message->payload, message->payload_size, NULL);
}

/* Fills MESSAGE, which points into the inbox. FALSE: there is no plain frame at the front. */
static inline gboolean
peek_plain (IpcConnection *self, IpcFrame *frame, IpcMessage *message)
{
  gsize size;
  const guint8 *bytes = ipc_inbox_peek (&self->inbox, &size);
  const guint8 *body = bytes + IPC_FRAME_HEADER_SIZE;

  if (size < IPC_FRAME_HEADER_SIZE)
    return FALSE;
  *frame = ipc_frame_load (bytes);
  if (!ipc_frame_is_plain (frame, MIN (self->limits.max_message_size, IPC_INBOX_LARGE - IPC_FRAME_HEADER_SIZE)) ||
      size < IPC_FRAME_HEADER_SIZE + (gsize) frame->length || !ipc_binary_is_last_type (self, frame, body))
    return FALSE;
  message->format = frame->flags;
  message->type_length = frame->type_length;
  message->payload = body + frame->type_length;
  message->payload_size = frame->length - frame->type_length;
  message->timestamp = frame->timestamp;
  return payload_is_fine (message);
}

static gboolean
is_expected (IpcConnection *self, const IpcFrame *frame)
{
  return frame->kind != IPC_FRAME_REQUEST || (frame->serial > self->last_request_serial && !IPC_READ_ONCE (self->said_goodbye));
}

static void
take_request (IpcConnection *self, const IpcFrame *frame, IpcMessage *message)
{
  IpcRequestToken token = {
    .serial = frame->serial,
    .must_answer = TRUE,
    .connection = G_OBJECT (self),
    .dropped = ipc_request_dropped,
  };

  self->last_request_serial = frame->serial;
  message->is_request = TRUE;
  message->token = &token;
  ipc_connection_deliver (self, message, &token);
  message->is_request = FALSE;
  message->token = NULL;
}

static void
take_reply (IpcConnection *self, const IpcFrame *frame, IpcMessage *message)
{
  IPC_ADD_ONCE (self->messages_received, 1);
  if (!ipc_request_resolve (self, frame->reply_serial, message, NULL))
    ipc_binary_drop_unasked (self, frame->reply_serial);
}

static void
take (IpcConnection *self, const IpcFrame *frame, IpcMessage *message)
{
  switch ((IpcFrameKind) frame->kind)
    {
    case IPC_FRAME_EVENT:
      ipc_connection_deliver (self, message, NULL);
      break;
    case IPC_FRAME_REQUEST:
      take_request (self, frame, message);
      break;
    case IPC_FRAME_REPLY:
    default:
      take_reply (self, frame, message);
    }
}

static void
begin (IpcConnection *self, IpcMessage *message)
{
  ipc_message_begin (message, IPC_PAYLOAD_FORMAT_BYTES, self->last_type, 0);
  message->type_quark = &self->last_type_quark;
}

static inline gboolean
may_go_on (IpcConnection *self)
{
  return IPC_READ_ONCE (self->state) < IPC_CONNECTION_CLOSING && !IPC_READ_ONCE (self->read_paused) &&
         self->deferred.head == NULL && self->fds.n == 0;
}

gboolean
ipc_binary_run_plain (IpcConnection *self, guint *left, guint64 enough)
{
  gboolean found = FALSE;
  IpcMessage message;
  IpcFrame frame;

  begin (self, &message);
  while (*left > 0 && may_go_on (self) && peek_plain (self, &frame, &message) && is_expected (self, &frame))
    {
      found = TRUE;
      ipc_inbox_skip (&self->inbox, IPC_FRAME_HEADER_SIZE + (gsize) frame.length);
      take (self, &frame, &message);
      if (G_UNLIKELY (!ipc_message_is_bare (&message)))
        {
          ipc_message_end (&message);
          begin (self, &message);
        }
      *left = IPC_READ_ONCE (self->bytes_sent) < enough ? *left - 1 : 0;
    }
  return found;
}
