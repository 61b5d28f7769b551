/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The binary dialect: the frames that a connection sends. Those that need nothing special are in ipc-plain-private.h.
 */
#include <string.h>

#include "core/ipc-frame.h"
#include "messaging/ipc-connection-private.h"

#define MAX_NAME 1024u          /* the first HELLO on a pipe has to fit into PIPE_BUF */
#define MAX_ERROR_TEXT 4096u    /* of ours; what is longer is cut */

static void
write_inline_locked (IpcConnection *self, IpcMessage *message, const IpcFrame *frame, IpcFds *fds)
{
  gboolean copy = message->payload_size <= IPC_OUTBOX_INLINE_MAX || message->bytes == NULL;
  gsize size = IPC_FRAME_HEADER_SIZE + (gsize) frame->length - (copy ? 0 : message->payload_size);
  guint8 *room = fds != NULL ? ipc_outbox_add_cargo (&self->outbox, size, fds, NULL) : ipc_outbox_add (&self->outbox, size);

  room = ipc_binary_put_head (room, frame, message);
  if (!copy)
    ipc_outbox_add_bytes (&self->outbox, message->bytes);
  else if (message->payload_size > 0)
    memcpy (room, message->payload, message->payload_size);
}

static void
write_shared_locked (IpcConnection *self, IpcMessage *message, IpcFrame *frame, IpcFds *fds, IpcSharedPayload *payload)
{
  guint8 *room;

  frame->length += (guint32) sizeof (guint64) - (guint32) message->payload_size;
  frame->flags |= IPC_FRAME_FLAG_MEMFD;
  frame->n_fds++;
  room = ipc_outbox_add_cargo (&self->outbox, IPC_FRAME_HEADER_SIZE + (gsize) frame->length, fds, payload);
  ipc_store_le64 (ipc_binary_put_head (room, frame, message), message->payload_size);
}

gboolean
ipc_binary_unshare_front_locked (IpcConnection *self)
{
  gsize payload_size;
  guint8 *header = ipc_outbox_unshare (&self->outbox, &payload_size);

  if (header == NULL)
    return FALSE;
  ipc_store_le32 (header, ipc_load_le32 (header) + (guint32) payload_size - (guint32) sizeof (guint64));
  header[IPC_FRAME_FLAGS_AT] &= (guint8) ~IPC_FRAME_FLAG_MEMFD;
  header[IPC_FRAME_N_FDS_AT]--;
  return TRUE;
}

gboolean
ipc_binary_write_message_locked (IpcConnection *self, IpcMessage *message, const IpcEnvelope *envelope, GError **error)
{
  IpcSharedPayload *shared = NULL;
  IpcFds *fds = NULL;
  IpcFrame frame = {
    .length = (guint32) ipc_binary_get_length (message),
    .kind = envelope->kind,
    .flags = (guint8) (message->format | (message->headers != NULL ? IPC_FRAME_FLAG_HEADERS : 0)),
    .type_length = message->type_length,
    .serial = envelope->serial,
    .reply_serial = envelope->reply_serial,
    .timestamp = message->timestamp,
  };

  if (message->fd_list != NULL && g_unix_fd_list_get_length (message->fd_list) > 0)
    {
      fds = ipc_fds_new_dup (message->fd_list, error);
      if (fds == NULL)
        {
          g_prefix_error (error, "%s: message \"%s\": ", self->peer_name, message->type);
          return FALSE;
        }
      frame.n_fds = (guint8) fds->n;
    }
  if (message->payload_size >= IPC_SHARED_PAYLOAD_MIN && self->memfd)
    shared = ipc_shared_payload_get (message);
  if (shared != NULL)
    write_shared_locked (self, message, &frame, fds, shared);
  else
    write_inline_locked (self, message, &frame, fds);
  return TRUE;
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
  ipc_binary_write_message_locked (self, message, &envelope, NULL);
}

void
ipc_binary_send_hello_locked (IpcConnection *self)
{
  g_autoptr (GVariant) hello = NULL;
  g_autoptr (GVariant) wire = NULL;
  GVariantBuilder builder;
  IpcFrame frame = { .kind = IPC_FRAME_HELLO, .flags = IPC_PAYLOAD_FORMAT_VARIANT, .timestamp = g_get_real_time () };
  const char *features[] = { "memfd", NULL };
  gboolean memfd = self->passes_fds && self->limits.memfd;
  guint8 *room;

  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "max-message-size", g_variant_new_uint64 (self->limits.max_message_size));
  g_variant_builder_add (&builder, "{sv}", "max-fds", g_variant_new_uint32 (self->passes_fds ? self->limits.max_fds : 0));
  g_variant_builder_add (&builder, "{sv}", "features", g_variant_new_strv (features, memfd ? 1 : 0));
  if (IPC_CONNECTION_GET_CLASS (self)->describe != NULL)
    IPC_CONNECTION_GET_CLASS (self)->describe (self, &builder);
  if (g_get_prgname () != NULL && strlen (g_get_prgname ()) <= MAX_NAME && g_utf8_validate (g_get_prgname (), -1, NULL))
    g_variant_builder_add (&builder, "{sv}", "name", g_variant_new_string (g_get_prgname ()));
  hello = g_variant_ref_sink (g_variant_builder_end (&builder));
  wire = ipc_variant_swap (hello);
  frame.length = (guint32) g_variant_get_size (wire);
  room = ipc_outbox_add (&self->outbox, IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE + frame.length);
  memcpy (room, ipc_preamble, IPC_PREAMBLE_SIZE);
  ipc_frame_encode (&frame, room + IPC_PREAMBLE_SIZE);
  g_variant_store (wire, room + IPC_PREAMBLE_SIZE + IPC_FRAME_HEADER_SIZE);
}
