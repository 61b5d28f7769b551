/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The binary dialect: what the frames of core/ipc-frame.h mean to a connection.
 *
 * Every frame is judged by the codec before anything is set aside for it. One
 * that breaks the rules of the protocol drops the peer, and only the peer.
 */
#include <string.h>

#include "core/ipc-frame.h"
#include "messaging/ipc-connection-private.h"

#define MAX_HELLO_SIZE 65536u
#define MAX_ERROR_TEXT 4096u

/* ---- writing ---- */

gsize
ipc_binary_get_length (IpcMessage *message)
{
  return strlen (message->type) + (message->headers != NULL ? 4 + message->headers_size : 0) + message->payload_size;
}

void
ipc_binary_write_message_locked (IpcConnection *self, IpcMessage *message, const IpcEnvelope *envelope)
{
  gsize type_length = strlen (message->type);
  gsize headers = message->headers != NULL ? 4 + message->headers_size : 0;
  gboolean copy = message->payload_size <= IPC_OUTBOX_INLINE_MAX || message->bytes == NULL;
  IpcFrame frame = {
    .length = (guint32) (type_length + headers + message->payload_size),
    .kind = envelope->kind,
    .flags = (guint8) (message->format | (headers > 0 ? IPC_FRAME_FLAG_HEADERS : 0)),
    .type_length = (guint8) type_length,
    .serial = envelope->serial,
    .reply_serial = envelope->reply_serial,
    .timestamp = message->timestamp,
  };
  guint8 *room = ipc_outbox_add (&self->outbox, IPC_FRAME_HEADER_SIZE + type_length + headers + (copy ? message->payload_size : 0));

  ipc_frame_encode (&frame, room);
  room += IPC_FRAME_HEADER_SIZE;
  memcpy (room, message->type, type_length);
  room += type_length;
  if (headers > 0)
    {
      ipc_store_le32 (room, (guint32) message->headers_size);
      memcpy (room + 4, message->headers, message->headers_size);
      room += headers;
    }
  if (!copy)
    ipc_outbox_add_bytes (&self->outbox, message->bytes);
  else if (message->payload_size > 0)
    memcpy (room, message->payload, message->payload_size);
}

void
ipc_binary_write_control_locked (IpcConnection *self, IpcFrameKind kind, guint64 serial, guint64 reply_serial)
{
  IpcFrame frame = { .kind = (guint8) kind, .serial = serial, .reply_serial = reply_serial, .timestamp = g_get_real_time () };

  ipc_frame_encode (&frame, ipc_outbox_add (&self->outbox, IPC_FRAME_HEADER_SIZE));
}

/* What an error is called on the wire. The peer can tell few of them apart: an error that says something about
 * *its* connection must not be taken for one of ours. */
static const char *
get_error_type (const GError *reason)
{
  if (g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return "cancelled";
  if (reason->domain != IPC_ERROR)
    return "remote";
  switch (reason->code)
    {
    case IPC_ERROR_UNKNOWN_TYPE:
    case IPC_ERROR_INVALID_DATA:
    case IPC_ERROR_TOO_LARGE:
    case IPC_ERROR_FULL:
    case IPC_ERROR_CLOSED:
    case IPC_ERROR_VERSION:
      return ipc_error_to_nick (reason->code);
    default:
      return "remote";
    }
}

void
ipc_binary_write_error_locked (IpcConnection *self, guint64 reply_serial, const GError *reason)
{
  g_autofree char *code = g_strdup_printf ("%s %d", g_quark_to_string (reason->domain), reason->code);
  g_autofree char *text = g_utf8_make_valid (reason->message != NULL ? reason->message : "", -1);
  g_autoptr (GBytes) payload = g_bytes_new_static (text, MIN (strlen (text), MAX_ERROR_TEXT));
  const char *headers[] = { "code", code, NULL };
  g_autoptr (IpcMessage) message = NULL;
  IpcEnvelope envelope = { IPC_FRAME_ERROR, 0, reply_serial, NULL };

  if (strlen (text) > MAX_ERROR_TEXT)
    {
      char *end = g_utf8_find_prev_char (text, text + MAX_ERROR_TEXT);

      g_bytes_unref (payload);
      payload = g_bytes_new_static (text, (gsize) (end - text));
    }
  message = ipc_message_new_full (get_error_type (reason), IPC_PAYLOAD_FORMAT_TEXT, payload, headers, NULL);
  ipc_binary_write_message_locked (self, message, &envelope);
}

void
ipc_binary_send_hello_locked (IpcConnection *self)
{
  g_autoptr (GVariant) hello = NULL;
  g_autoptr (GVariant) wire = NULL;
  GVariantBuilder builder;
  IpcFrame frame = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT, .timestamp = g_get_real_time () };
  const char *features[] = { NULL };
  guint8 *room;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "max-message-size", g_variant_new_uint64 (self->limits.max_message_size));
  g_variant_builder_add (&builder, "{sv}", "max-fds", g_variant_new_uint32 (0));
  g_variant_builder_add (&builder, "{sv}", "features", g_variant_new_strv (features, 0));
  if (g_get_prgname () != NULL && g_utf8_validate (g_get_prgname (), -1, NULL))
    g_variant_builder_add (&builder, "{sv}", "name", g_variant_new_string (g_get_prgname ()));
  hello = g_variant_ref_sink (g_variant_builder_end (&builder));
  wire = ipc_variant_swap (hello);
  frame.length = (guint32) g_variant_get_size (wire);
  room = ipc_outbox_add (&self->outbox, IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE + frame.length);
  memcpy (room, ipc_preamble, IPC_PREAMBLE_SIZE);
  ipc_frame_encode (&frame, room + IPC_PREAMBLE_SIZE);
  g_variant_store (wire, room + IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE);
}

/* ---- reading ---- */

static IpcStep
drop_fault (IpcConnection *self, const IpcFault *fault)
{
  GError *error = NULL;

  ipc_error_set_fault (&error, fault, self->peer_name);
  ipc_connection_drop (self, error);
  return IPC_STEP_END;
}

static IpcStep G_GNUC_PRINTF (2, 3)
drop_invalid (IpcConnection *self, const char *format, ...)
{
  va_list args;
  GError *error;

  va_start (args, format);
  error = g_error_new_valist (IPC_ERROR, IPC_ERROR_INVALID_DATA, format, args);
  va_end (args);
  g_prefix_error (&error, "%s: ", self->peer_name);
  ipc_connection_drop (self, error);
  return IPC_STEP_END;
}

static IpcStep
step_preamble (IpcConnection *self, const guint8 *bytes, gsize size)
{
  IpcFault fault;

  if (!ipc_preamble_check (bytes, MIN (size, IPC_PREAMBLE_SIZE), &fault))
    return drop_fault (self, &fault);
  if (size < IPC_PREAMBLE_SIZE)
    return IPC_STEP_MORE;
  ipc_inbox_skip (&self->inbox, IPC_PREAMBLE_SIZE);
  self->got_preamble = TRUE;
  return IPC_STEP_DONE;
}

static IpcStep
handle_hello (IpcConnection *self, const IpcFrame *frame, const IpcFrameBody *body)
{
  g_autoptr (GBytes) bytes = g_bytes_new (body->payload, body->payload_size);
  g_autoptr (GVariant) wire = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARDICT, bytes, FALSE));
  g_autoptr (GVariant) hello = NULL;
  guint64 max_message_size;

  if (self->got_hello)
    return drop_invalid (self, "a second HELLO");
  if (!g_variant_is_normal_form (wire))
    return drop_invalid (self, "a HELLO of %" G_GSIZE_FORMAT " bytes that is not an a{sv} in normal form", body->payload_size);
  self->got_hello = TRUE;
  hello = ipc_variant_swap (wire);
  g_mutex_lock (&self->lock);
  if (g_variant_lookup (hello, "max-message-size", "t", &max_message_size))
    self->peer_max_message_size = (guint) MIN (max_message_size, G_MAXUINT);
  if (self->is_server_side)
    {
      ipc_binary_send_hello_locked (self);
      ipc_connection_schedule_flush_locked (self);
    }
  g_mutex_unlock (&self->lock);
  ipc_connection_opened (self);
  return IPC_STEP_DONE;
}

static void
fill_message (IpcMessage *message, const IpcFrame *frame, const IpcFrameBody *body, const char *type, GBytes *backing)
{
  ipc_message_begin (message, frame->flags & IPC_FRAME_FORMAT_MASK, type, frame->type_length);
  message->payload = body->payload;
  message->payload_size = body->payload_size;
  message->headers = body->headers;
  message->headers_size = body->headers_size;
  message->timestamp = frame->timestamp;
  if (backing != NULL)
    message->backing = g_bytes_ref (backing);
}

IpcMessage *
ipc_binary_message_from_bytes (const guint8 *bytes, gsize size)
{
  const IpcFrameLimits limits = { .max_length = G_MAXUINT32 };
  IpcMessage message;
  IpcFrame frame;
  IpcFrameBody body;
  IpcFault fault;
  IpcMessage *lasting;
  char type[256];

  if (!ipc_frame_decode (bytes, &limits, &frame, &fault) || !ipc_frame_split (&frame, bytes + IPC_FRAME_HEADER_SIZE, &body, &fault))
    g_return_val_if_reached (NULL);
  memcpy (type, body.type, frame.type_length);
  type[frame.type_length] = '\0';
  fill_message (&message, &frame, &body, type, NULL);
  lasting = ipc_message_ref (&message);
  ipc_message_end (&message);
  return lasting;
}

static gboolean
check_content (const IpcFrame *frame, const IpcFrameBody *body, GError **error)
{
  return ipc_payload_check (frame->flags & IPC_FRAME_FORMAT_MASK, body->payload, body->payload_size, error) &&
         (body->headers == NULL || ipc_headers_check (body->headers, body->headers_size, error));
}

static void
write_error (IpcConnection *self, guint64 serial, const GError *reason)
{
  g_mutex_lock (&self->lock);
  if (self->state == IPC_CONNECTION_OPEN)
    {
      ipc_binary_write_error_locked (self, serial, reason);
      ipc_connection_schedule_flush_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

static IpcStep
handle_event (IpcConnection *self, const IpcFrame *frame, const IpcFrameBody *body, const char *type, GBytes *backing)
{
  g_autoptr (GError) error = NULL;
  IpcMessage message;

  if (!check_content (frame, body, &error))
    {
      g_prefix_error (&error, "%s: event of type \"%s\": ", self->peer_name, type);
      ipc_connection_drop (self, g_steal_pointer (&error));
      return IPC_STEP_END;
    }
  fill_message (&message, frame, body, type, backing);
  ipc_connection_deliver (self, &message, NULL);
  ipc_message_end (&message);
  return IPC_STEP_DONE;
}

static IpcStep
handle_request (IpcConnection *self, const IpcFrame *frame, const IpcFrameBody *body, const char *type, GBytes *backing)
{
  g_autoptr (GError) error = NULL;
  IpcRequestToken token = { 0 };
  IpcMessage message;

  if (frame->serial <= self->last_request_serial)
    return drop_invalid (self, "request serial %" G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT, frame->serial, self->last_request_serial);
  self->last_request_serial = frame->serial;
  if (self->said_goodbye)
    return IPC_STEP_DONE;       /* GOODBYE told that it would not be answered */
  if (!check_content (frame, body, &error))
    {
      write_error (self, frame->serial, error);
      return IPC_STEP_DONE;
    }
  fill_message (&message, frame, body, type, backing);
  message.is_request = TRUE;
  message.token = &token;
  token.serial = frame->serial;
  token.must_answer = TRUE;
  token.connection = G_OBJECT (self);
  token.dropped = ipc_request_dropped;
  ipc_connection_deliver (self, &message, &token);
  ipc_message_end (&message);
  return IPC_STEP_DONE;
}

static IpcStep
handle_reply (IpcConnection *self, const IpcFrame *frame, const IpcFrameBody *body, const char *type, GBytes *backing)
{
  GError *error = NULL;
  IpcMessage message;
  gboolean asked;

  if (!check_content (frame, body, &error))
    {
      g_prefix_error (&error, "%s: reply of type \"%s\": ", self->peer_name, type);
      asked = ipc_request_resolve (self, frame->reply_serial, NULL, error);
    }
  else
    {
      fill_message (&message, frame, body, type, backing);
      self->messages_received++;
      asked = ipc_request_resolve (self, frame->reply_serial, &message, NULL);
      ipc_message_end (&message);
    }
  if (!asked)
    return drop_invalid (self, "a reply to request %" G_GUINT64_FORMAT ", which is not outstanding", frame->reply_serial);
  return IPC_STEP_DONE;
}

/* The error that an ERROR frame stands for. */
static GError *
make_error (const IpcFrame *frame, const IpcFrameBody *body, const char *type)
{
  g_autofree char *text = g_utf8_make_valid ((const char *) body->payload, (gssize) MIN (body->payload_size, MAX_ERROR_TEXT));
  IpcError code;

  /* A request can be cancelled; a connection cannot, and nobody is to think that its own opening was. */
  if (frame->reply_serial != 0 && strcmp (type, "cancelled") == 0)
    return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, text);
  if (!ipc_error_from_nick (type, &code))
    code = IPC_ERROR_REMOTE;
  switch (code)
    {
    case IPC_ERROR_UNKNOWN_TYPE:
    case IPC_ERROR_INVALID_DATA:
    case IPC_ERROR_TOO_LARGE:
    case IPC_ERROR_FULL:
    case IPC_ERROR_CLOSED:
    case IPC_ERROR_VERSION:
      break;
    default:
      code = IPC_ERROR_REMOTE;
    }
  return g_error_new_literal (IPC_ERROR, code, text);
}

static IpcStep
handle_error (IpcConnection *self, const IpcFrame *frame, const IpcFrameBody *body, const char *type)
{
  GError *error = make_error (frame, body, type);

  if (frame->reply_serial == 0)
    {
      g_prefix_error (&error, "%s closes the connection: ", self->peer_name);
      ipc_connection_shut (self, error, TRUE);
      return IPC_STEP_END;
    }
  if (!ipc_request_resolve (self, frame->reply_serial, NULL, error))
    return drop_invalid (self, "an error for request %" G_GUINT64_FORMAT ", which is not outstanding", frame->reply_serial);
  return IPC_STEP_DONE;
}

static void
handle_goodbye (IpcConnection *self, const IpcFrame *frame)
{
  g_mutex_lock (&self->lock);
  self->peer_said_goodbye = TRUE;
  self->peer_answers_up_to = frame->reply_serial;
  g_mutex_unlock (&self->lock);
  ipc_request_fail_after (self, frame->reply_serial);
}

static void
answer_ping (IpcConnection *self, const IpcFrame *frame)
{
  g_mutex_lock (&self->lock);
  if (self->state == IPC_CONNECTION_OPEN)
    {
      ipc_binary_write_control_locked (self, IPC_FRAME_PONG, 0, frame->serial);
      ipc_connection_schedule_flush_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

static IpcStep
handle_frame (IpcConnection *self, const IpcFrame *frame, const guint8 *bytes, GBytes *backing)
{
  char type[256];
  IpcFrameBody body;
  IpcFault fault;

  if (!ipc_frame_split (frame, bytes, &body, &fault))
    return drop_fault (self, &fault);
  memcpy (type, body.type, frame->type_length);
  type[frame->type_length] = '\0';
  switch ((IpcFrameKind) frame->kind)
    {
    case IPC_FRAME_HELLO:
      return handle_hello (self, frame, &body);
    case IPC_FRAME_EVENT:
      return handle_event (self, frame, &body, type, backing);
    case IPC_FRAME_REQUEST:
      return handle_request (self, frame, &body, type, backing);
    case IPC_FRAME_REPLY:
      return handle_reply (self, frame, &body, type, backing);
    case IPC_FRAME_ERROR:
      return handle_error (self, frame, &body, type);
    case IPC_FRAME_CANCEL:
      ipc_request_cancelled_by_peer (self, frame->reply_serial);
      return IPC_STEP_DONE;
    case IPC_FRAME_GOODBYE:
      handle_goodbye (self, frame);
      return IPC_STEP_DONE;
    case IPC_FRAME_PING:
      answer_ping (self, frame);
      return IPC_STEP_DONE;
    case IPC_FRAME_PONG:
    default:
      return IPC_STEP_DONE;
    }
}

/* Whether a synchronous call may handle the frame itself, which must not call anything of the application. */
static gboolean
may_handle_now (IpcConnection *self, const IpcFrame *frame)
{
  switch ((IpcFrameKind) frame->kind)
    {
    case IPC_FRAME_HELLO:
    case IPC_FRAME_PING:
    case IPC_FRAME_PONG:
      return TRUE;
    case IPC_FRAME_REPLY:
      return ipc_request_is_sync (self, frame->reply_serial);
    case IPC_FRAME_ERROR:
      return frame->reply_serial == 0 ? g_queue_is_empty (&self->deferred) : ipc_request_is_sync (self, frame->reply_serial);
    case IPC_FRAME_EVENT:
    case IPC_FRAME_REQUEST:
    case IPC_FRAME_CANCEL:
    case IPC_FRAME_GOODBYE:
    default:
      return FALSE;
    }
}

static void
defer (IpcConnection *self, const guint8 *bytes, gsize size)
{
  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->deferred, g_bytes_new (bytes, size));
  self->deferred_bytes += size;
  g_mutex_unlock (&self->lock);
}

static gboolean
get_frame (IpcConnection *self, const guint8 *bytes, IpcFrame *frame, IpcFault *fault)
{
  IpcFrameLimits limits = { .max_length = self->limits.max_message_size };

  if (!self->got_hello)
    limits.max_length = MIN (limits.max_length, MAX_HELLO_SIZE);

  if (!ipc_frame_decode (bytes, &limits, frame, fault))
    return FALSE;
  if (!self->got_hello && frame->kind != IPC_FRAME_HELLO && !(frame->kind == IPC_FRAME_ERROR && !self->is_server_side))
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "frame of kind %u before HELLO", frame->kind);
  return true;
}

IpcStep
ipc_binary_step (IpcConnection *self, gboolean defer_most)
{
  gsize size;
  const guint8 *bytes = ipc_inbox_peek (&self->inbox, &size);
  IpcBuffer *hold;
  IpcFrame frame;
  IpcFault fault;
  gsize whole;
  IpcStep step;

  if (size == 0)
    return IPC_STEP_MORE;
  if (!self->got_preamble)
    return step_preamble (self, bytes, size);
  if (size < IPC_FRAME_HEADER_SIZE)
    return IPC_STEP_MORE;
  if (!get_frame (self, bytes, &frame, &fault))
    return drop_fault (self, &fault);
  whole = IPC_FRAME_HEADER_SIZE + (gsize) frame.length;
  if (size < whole)
    {
      self->inbox.wanted = whole;
      return IPC_STEP_MORE;
    }
  hold = ipc_inbox_hold (&self->inbox);
  if (defer_most && !may_handle_now (self, &frame))
    {
      defer (self, bytes, whole);
      ipc_inbox_skip (&self->inbox, whole);
      step = IPC_STEP_DONE;
    }
  else
    {
      g_autoptr (GBytes) backing = ipc_inbox_pin (&self->inbox, whole);

      ipc_inbox_skip (&self->inbox, whole);
      step = handle_frame (self, &frame, bytes + IPC_FRAME_HEADER_SIZE, backing);
    }
  ipc_buffer_release (hold);
  return step;
}

void
ipc_binary_dispatch_deferred (IpcConnection *self, GBytes *bytes)
{
  const guint8 *data = g_bytes_get_data (bytes, NULL);
  IpcFrame frame;
  IpcFault fault;

  /* It was judged when it was deferred. */
  if (get_frame (self, data, &frame, &fault))
    handle_frame (self, &frame, data + IPC_FRAME_HEADER_SIZE, NULL);
}
