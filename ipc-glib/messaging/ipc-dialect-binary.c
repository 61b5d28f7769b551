/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The binary dialect: what the frames of core/ipc-frame.h mean to a connection that gets them.
 *
 * Every frame is judged by the codec before anything is set aside for it. One
 * that breaks the rules of the protocol drops the peer, and only the peer.
 */
#include <string.h>
#include <unistd.h>

#include "core/ipc-frame.h"
#include "messaging/ipc-connection-private.h"

#define MAX_HELLO_SIZE 65536u
#define MAX_ERROR_TEXT 4096u

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

IpcStep
ipc_binary_drop_unasked (IpcConnection *self, guint64 serial)
{
  return drop_invalid (self, "a reply to request %" G_GUINT64_FORMAT ", which is not outstanding", serial);
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
  g_autofree const char **features = NULL;
  guint64 max_message_size;
  guint32 max_fds = 0;
  gboolean welcome = TRUE;
  GError *error = NULL;

  if (self->got_hello)
    return drop_invalid (self, "a second HELLO");
  if (!g_variant_is_normal_form (wire))
    return drop_invalid (self, "a HELLO of %" G_GSIZE_FORMAT " bytes that is not an a{sv} in normal form", body->payload_size);
  if (ipc_variant_find_defect (wire) != NULL)
    return drop_invalid (self, "a HELLO with a value %s", ipc_variant_find_defect (wire));
  self->got_hello = TRUE;
  hello = ipc_variant_swap (wire);
  g_mutex_lock (&self->lock);
  if (g_variant_lookup (hello, "max-message-size", "t", &max_message_size))
    self->peer_max_message_size = (guint) MIN (max_message_size, G_MAXUINT);
  g_variant_lookup (hello, "max-fds", "u", &max_fds);
  g_variant_lookup (hello, "features", "^a&s", &features);
  ipc_connection_agree_on_fds_locked (self, max_fds, features != NULL && g_strv_contains (features, "memfd"));
  if (IPC_CONNECTION_GET_CLASS (self)->greeted != NULL)
    welcome = IPC_CONNECTION_GET_CLASS (self)->greeted (self, &error);
  if (welcome && self->is_server_side)
    {
      ipc_binary_send_hello_locked (self);
      ipc_connection_schedule_flush_locked (self);
    }
  g_mutex_unlock (&self->lock);
  if (!welcome)
    {
      ipc_connection_shut (self, error, TRUE);
      return IPC_STEP_END;
    }
  ipc_connection_opened (self);
  return IPC_STEP_DONE;
}

/* A frame that came, and what belongs to it. */
typedef struct
{
  const IpcFrame *frame;
  IpcFrameBody body;
  const char *type;
  GQuark *type_quark;           /* (nullable) where to look for the quark of the type, and to keep it */
  GBytes *backing;              /* (nullable) what the body lies in */
  IpcFds *fds;                  /* (nullable) (owned) */
  GBytes *shared;               /* (nullable) (owned) the payload, if it came in a memfd */
} Received;

static void
received_clear (Received *self)
{
  g_clear_pointer (&self->fds, ipc_fds_free);
  g_clear_pointer (&self->shared, g_bytes_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Received, received_clear)

/* Puts the payload that came in a memfd in the place of its size. */
static gboolean
open_memfd (IpcConnection *self, Received *received, GError **error)
{
  guint64 size = ipc_load_le64 (received->body.payload);
  gsize length = received->frame->length - sizeof size;
  int fd = ipc_fds_steal_last (received->fds);

  if (size > self->limits.max_message_size - MIN (length, self->limits.max_message_size))
    {
      close (fd);
      g_set_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE, "a message of %" G_GSIZE_FORMAT " bytes and %" G_GUINT64_FORMAT " in a memfd exceeds the limit of %u",
                   length, size, self->limits.max_message_size);
      return FALSE;
    }
  received->shared = ipc_shared_payload_map (fd, size, error);
  if (received->shared == NULL)
    return FALSE;
  received->body.payload = g_bytes_get_data (received->shared, &received->body.payload_size);
  return TRUE;
}

static void
fill_message (IpcMessage *message, Received *received)
{
  const IpcFrame *frame = received->frame;

  ipc_message_begin (message, frame->flags & IPC_FRAME_FORMAT_MASK, received->type, frame->type_length);
  message->type_quark = received->type_quark;
  message->payload = received->body.payload;
  message->payload_size = received->body.payload_size;
  message->headers = received->body.headers;
  message->headers_size = received->body.headers_size;
  message->timestamp = frame->timestamp;
  if (received->shared != NULL)
    message->bytes = g_steal_pointer (&received->shared);
  else if (received->backing != NULL)
    message->backing = g_bytes_ref (received->backing);
  if (received->fds != NULL)
    message->fd_list = ipc_fds_to_list (g_steal_pointer (&received->fds));
}

IpcMessage *
ipc_binary_message_from_bytes (const guint8 *bytes, gsize size)
{
  const IpcFrameLimits limits = { .max_length = G_MAXUINT32 };
  IpcMessage message;
  IpcFrame frame;
  char type[256];
  Received received = { .frame = &frame, .type = type };
  IpcFault fault;
  IpcMessage *lasting;

  if (!ipc_frame_decode (bytes, &limits, &frame, &fault) ||
      !ipc_frame_split (&frame, bytes + IPC_FRAME_HEADER_SIZE, &received.body, &fault))
    g_return_val_if_reached (NULL);
  memcpy (type, received.body.type, frame.type_length);
  type[frame.type_length] = '\0';
  fill_message (&message, &received);
  lasting = ipc_message_ref (&message);
  ipc_message_end (&message);
  return lasting;
}

static gboolean
check_content (Received *received, GError **error)
{
  const IpcFrameBody *body = &received->body;

  return ipc_payload_check (received->frame->flags & IPC_FRAME_FORMAT_MASK, body->payload, body->payload_size, error) &&
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
handle_event (IpcConnection *self, Received *received)
{
  g_autoptr (GError) error = NULL;
  IpcMessage message;

  if (!check_content (received, &error))
    {
      g_prefix_error (&error, "%s: event of type \"%s\": ", self->peer_name, received->type);
      ipc_connection_drop (self, g_steal_pointer (&error));
      return IPC_STEP_END;
    }
  fill_message (&message, received);
  ipc_connection_deliver (self, &message, NULL);
  ipc_message_end (&message);
  return IPC_STEP_DONE;
}

static IpcStep
handle_request (IpcConnection *self, Received *received)
{
  const IpcFrame *frame = received->frame;
  g_autoptr (GError) error = NULL;
  IpcRequestToken token = { 0 };
  IpcMessage message;

  if (frame->serial <= self->last_request_serial)
    return drop_invalid (self, "request serial %" G_GUINT64_FORMAT " after %" G_GUINT64_FORMAT, frame->serial, self->last_request_serial);
  self->last_request_serial = frame->serial;
  if (IPC_READ_ONCE (self->said_goodbye))
    return IPC_STEP_DONE;       /* GOODBYE told that it would not be answered */
  if (!check_content (received, &error))
    {
      write_error (self, frame->serial, error);
      return IPC_STEP_DONE;
    }
  fill_message (&message, received);
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
handle_reply (IpcConnection *self, Received *received)
{
  const IpcFrame *frame = received->frame;
  GError *error = NULL;
  IpcMessage message;
  gboolean asked;

  if (!check_content (received, &error))
    {
      g_prefix_error (&error, "%s: reply of type \"%s\": ", self->peer_name, received->type);
      asked = ipc_request_resolve (self, frame->reply_serial, NULL, error);
    }
  else
    {
      fill_message (&message, received);
      IPC_ADD_ONCE (self->messages_received, 1);
      asked = ipc_request_resolve (self, frame->reply_serial, &message, NULL);
      ipc_message_end (&message);
    }
  if (!asked)
    return ipc_binary_drop_unasked (self, frame->reply_serial);
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

/* It is true from the moment at which it is read, in whatever order the rest is handled. The first one counts. */
static void
note_goodbye (IpcConnection *self, const IpcFrame *frame)
{
  g_mutex_lock (&self->lock);
  if (!self->peer_said_goodbye)
    {
      self->peer_said_goodbye = TRUE;
      self->peer_answers_up_to = frame->reply_serial;
    }
  ipc_request_end_sync_after_locked (self, self->peer_answers_up_to);
  g_mutex_unlock (&self->lock);
}

static void
handle_goodbye (IpcConnection *self, const IpcFrame *frame)
{
  note_goodbye (self, frame);
  ipc_request_fail_after (self, self->peer_answers_up_to);
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
  ipc_request_check_overflow (self);
}

static IpcStep
drop_error (IpcConnection *self, GError *error)
{
  g_prefix_error (&error, "%s: ", self->peer_name);
  ipc_connection_drop (self, error);
  return IPC_STEP_END;
}

/* FDS begins with those of the frame. */
static IpcStep
handle_received (IpcConnection *self, Received *received, IpcFdQueue *fds)
{
  const IpcFrame *frame = received->frame;
  GError *error = NULL;

  if (frame->n_fds > 0)
    received->fds = ipc_fd_queue_take (fds, frame->n_fds);
  if ((frame->flags & IPC_FRAME_FLAG_MEMFD) != 0 && !open_memfd (self, received, &error))
    return drop_error (self, error);
  switch ((IpcFrameKind) frame->kind)
    {
    case IPC_FRAME_HELLO:
      return handle_hello (self, frame, &received->body);
    case IPC_FRAME_EVENT:
      return handle_event (self, received);
    case IPC_FRAME_REQUEST:
      return handle_request (self, received);
    case IPC_FRAME_REPLY:
      return handle_reply (self, received);
    case IPC_FRAME_ERROR:
      return handle_error (self, frame, &received->body, received->type);
    case IPC_FRAME_CANCEL:
      ipc_request_cancelled_by_peer (self, frame->reply_serial);
      return IPC_STEP_DONE;
    case IPC_FRAME_GOODBYE:
      handle_goodbye (self, frame);
      return IPC_STEP_DONE;
    case IPC_FRAME_PING:
      answer_ping (self, frame);
      return IPC_STEP_DONE;
    case IPC_FRAME_PONG:        /* that something came is all there is to it */
    default:
      return IPC_STEP_DONE;
    }
}

static IpcStep
handle_frame_of_new_type (IpcConnection *self, const IpcFrame *frame, const guint8 *bytes, GBytes *backing, IpcFdQueue *fds)
{
  char room[256];
  char *type = room;
  g_auto (Received) received = { .frame = frame, .backing = backing };
  IpcFault fault;

  if (!ipc_frame_split (frame, bytes, &received.body, &fault))
    return drop_fault (self, &fault);
  /* A handler that runs the loop may bring further messages while its own is in use: only the outermost turn may
   * replace the last type. */
  if (frame->type_length > 0 && frame->type_length < IPC_LAST_TYPE_SIZE && self->reader_depth == 1)
    {
      type = self->last_type;
      self->last_type_length = frame->type_length;
      self->last_type_quark = 0;
      self->last_stamp = 0;
      self->last_handler = NULL;
    }
  memcpy (type, received.body.type, frame->type_length);
  type[frame->type_length] = '\0';
  received.type = type;
  return handle_received (self, &received, fds);
}

static IpcStep
handle_frame (IpcConnection *self, const IpcFrame *frame, const guint8 *bytes, GBytes *backing, IpcFdQueue *fds)
{
  g_auto (Received) received = { .frame = frame, .backing = backing };
  IpcFault fault;

  if (!ipc_binary_is_last_type (self, frame, bytes))
    return handle_frame_of_new_type (self, frame, bytes, backing, fds);
  if (!ipc_frame_split_known (frame, bytes, &received.body, &fault))
    return drop_fault (self, &fault);
  received.type = self->last_type;
  received.type_quark = &self->last_type_quark;
  return handle_received (self, &received, fds);
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
defer (IpcConnection *self, const IpcFrame *frame, const guint8 *bytes, gsize size)
{
  g_mutex_lock (&self->lock);
  ipc_fd_queue_move (&self->fds, frame->n_fds, &self->deferred_fds);
  g_queue_push_tail (&self->deferred, g_bytes_new (bytes, size));
  self->deferred_bytes += size;
  ipc_connection_charge_locked (self);
  g_mutex_unlock (&self->lock);
}

static gboolean
get_frame (IpcConnection *self, const guint8 *bytes, IpcFrame *frame, IpcFault *fault)
{
  IpcFrameLimits limits = { self->limits.max_message_size, (guint8) self->max_fds, self->memfd };

  if (!self->got_hello)
    limits.max_length = MIN (limits.max_length, MAX_HELLO_SIZE);

  if (!ipc_frame_decode (bytes, &limits, frame, fault))
    return FALSE;
  if (!self->got_hello && frame->kind != IPC_FRAME_HELLO && !(frame->kind == IPC_FRAME_ERROR && !self->is_server_side))
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "frame of kind %u before HELLO", frame->kind);
  return true;
}

/* SIZE bytes are there. Descriptors come no later than the first byte of their frame, so those beyond the first N_FDS
 * must belong to one that begins in what follows WHOLE bytes. */
static gboolean
check_descriptors (IpcConnection *self, guint n_fds, gsize whole, gsize size, IpcFault *fault)
{
  if (self->fds.n < n_fds)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "a frame announces %u descriptors, and %u came", n_fds, self->fds.n);
  if (self->fds.n > n_fds && size <= whole)
    return ipc_fault_set (fault, IPC_FAULT_INVALID_DATA, "%u descriptors came that no frame announces", self->fds.n - n_fds);
  return true;
}

/* A header that is not whole yet does not say how many are its own; but no more than this. */
static IpcStep
step_without_header (IpcConnection *self, gsize size)
{
  IpcFault fault;

  if (self->fds.n > 0 && !check_descriptors (self, size > 0 ? MIN (self->fds.n, self->fd_capacity) : 0, size, size, &fault))
    return drop_fault (self, &fault);
  return IPC_STEP_MORE;
}

IpcStep
ipc_binary_step (IpcConnection *self, gboolean defer_most)
{
  gsize size;
  const guint8 *bytes = ipc_inbox_peek (&self->inbox, &size);
  IpcFrame frame;
  IpcFault fault;
  gsize whole;

  if (size == 0 || (size < IPC_FRAME_HEADER_SIZE && self->got_preamble))
    return step_without_header (self, size);
  if (!self->got_preamble)
    return step_preamble (self, bytes, size);
  if (!get_frame (self, bytes, &frame, &fault))
    return drop_fault (self, &fault);
  whole = IPC_FRAME_HEADER_SIZE + (gsize) frame.length;
  if ((self->fds.n > 0 || frame.n_fds > 0) && !check_descriptors (self, frame.n_fds, whole, size, &fault))
    return drop_fault (self, &fault);
  if (size < whole)
    {
      self->inbox.wanted = whole;
      return IPC_STEP_MORE;
    }
  self->fds_taken |= frame.n_fds > 0;
  if (defer_most && !may_handle_now (self, &frame))
    {
      if (frame.kind == IPC_FRAME_GOODBYE)
        note_goodbye (self, &frame);
      defer (self, &frame, bytes, whole);
      ipc_inbox_skip (&self->inbox, whole);
      return IPC_STEP_DONE;
    }
  else
    {
      g_autoptr (GBytes) backing = ipc_inbox_pin (&self->inbox, whole);

      ipc_inbox_skip (&self->inbox, whole);
      return handle_frame (self, &frame, bytes + IPC_FRAME_HEADER_SIZE, backing, &self->fds);
    }
}

void
ipc_binary_dispatch_deferred (IpcConnection *self, GBytes *bytes)
{
  const guint8 *data = g_bytes_get_data (bytes, NULL);
  IpcFrame frame;
  IpcFault fault;

  /* It was judged when it was deferred. */
  if (get_frame (self, data, &frame, &fault))
    handle_frame (self, &frame, data + IPC_FRAME_HEADER_SIZE, NULL, &self->deferred_fds);
}
