/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The JSON dialect: one object after another, so that a shell, or ten lines in
 * any language, can talk to a server.
 *
 * Bytes go through the validator as they come, and only an object that passed it
 * whole reaches json-glib.
 */
#include <string.h>

#include "messaging/ipc-connection-private.h"

#define ID_MAX 255u
#define MAX_SECONDS 9e12

/* ---- writing ---- */

static void
append_string (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  for (const char *p = text; *p != '\0'; p++)
    switch (*p)
      {
      case '"':
      case '\\':
        g_string_append_c (out, '\\');
        g_string_append_c (out, *p);
        break;
      case '\n':
        g_string_append (out, "\\n");
        break;
      case '\t':
        g_string_append (out, "\\t");
        break;
      case '\r':
        g_string_append (out, "\\r");
        break;
      default:
        if ((guchar) *p < 0x20 || *p == 0x7f)
          g_string_append_printf (out, "\\u%04x", (guint) (guchar) *p);
        else
          g_string_append_c (out, *p);
      }
  g_string_append_c (out, '"');
}

static void
append_member (GString *out, const char *name, const char *text)
{
  g_string_append_printf (out, "%s\"%s\":", out->len > 1 ? "," : "", name);
  append_string (out, text);
}

static gboolean
append_variant (GString *out, IpcMessage *message, GError **error)
{
  g_autofree char *text = ipc_json_from_variant (ipc_message_get_variant (message));
  IpcFault fault;

  /* JSON has no infinity, and less room for numbers. */
  if (text == NULL || !ipc_json_validate (text, strlen (text), false, &fault))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "the GVariant of message \"%s\" cannot be written as JSON%s%s",
                   message->type, text != NULL ? ": " : "", text != NULL ? fault.message : "");
      return FALSE;
    }
  g_string_append (out, text);
  return TRUE;
}

/* A line break in a document can only be white space: in a string it is escaped. */
static void
append_document (GString *out, IpcMessage *message)
{
  gsize from = out->len;

  g_string_append_len (out, (const char *) message->payload, (gssize) message->payload_size);
  for (gsize i = from; i < out->len; i++)
    if (out->str[i] == '\n' || out->str[i] == '\r')
      out->str[i] = ' ';
}

static gboolean
append_payload (GString *out, IpcMessage *message, GError **error)
{
  g_string_append (out, ",\"payload\":");
  switch ((IpcPayloadFormat) message->format)
    {
    case IPC_PAYLOAD_FORMAT_TEXT:
      append_string (out, ipc_message_get_text (message));
      return TRUE;
    case IPC_PAYLOAD_FORMAT_JSON:
      append_document (out, message);
      return TRUE;
    case IPC_PAYLOAD_FORMAT_VARIANT:
      return append_variant (out, message, error);
    case IPC_PAYLOAD_FORMAT_BYTES:
    default:
      {
        g_autofree char *base64 = g_base64_encode (message->payload, message->payload_size);

        g_string_append (out, "\"\"");
        append_member (out, "payload_base64", base64);
        return TRUE;
      }
    }
}

static void
append_headers (GString *out, IpcMessage *message)
{
  g_autoptr (GHashTable) headers = NULL;
  GHashTableIter iter;
  gpointer name, value;
  const char *separator = "";

  if (message->headers_size == 0)
    return;
  headers = ipc_message_get_headers (message);
  g_string_append (out, ",\"headers\":{");
  g_hash_table_iter_init (&iter, headers);
  while (g_hash_table_iter_next (&iter, &name, &value))
    {
      g_string_append (out, separator);
      append_string (out, name);
      g_string_append_c (out, ':');
      append_string (out, value);
      separator = ",";
    }
  g_string_append_c (out, '}');
}

static void
append_time (GString *out, gint64 timestamp)
{
  g_string_append_printf (out, ",\"timestamp\":%" G_GINT64_FORMAT "}\n", timestamp / G_USEC_PER_SEC);
}

gboolean
ipc_json_write_message_locked (IpcConnection *self, IpcMessage *message, const IpcEnvelope *envelope, GError **error)
{
  g_autoptr (GString) out = g_string_sized_new (128 + message->payload_size);
  g_autofree char *serial = NULL;

  /* The answer to a request that we make names it by its serial. */
  if (envelope->serial != 0)
    serial = g_strdup_printf ("%" G_GUINT64_FORMAT, envelope->serial);
  g_string_append_c (out, '{');
  append_member (out, "id", serial != NULL ? serial : ipc_message_get_id (message));
  append_member (out, "message_type", message->type);
  if (!append_payload (out, message, error))
    return FALSE;
  append_headers (out, message);
  if (envelope->reply_id != NULL)
    append_member (out, "reply_to", envelope->reply_id);
  append_time (out, message->timestamp);
  if (out->len > IPC_JSON_MAX_OBJECT)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE, "%s: message \"%s\" of %" G_GSIZE_FORMAT " bytes of JSON exceeds the limit of %u",
                   self->peer_name, message->type, out->len, IPC_JSON_MAX_OBJECT);
      return FALSE;
    }
  memcpy (ipc_outbox_add (&self->outbox, out->len), out->str, out->len);
  return TRUE;
}

void
ipc_json_write_error_locked (IpcConnection *self, const char *reply_id, const GError *reason)
{
  g_autoptr (GString) out = g_string_new ("{");
  g_autofree char *id = g_uuid_string_random ();
  g_autofree char *text = g_utf8_make_valid (reason->message, -1);
  const char *nick = reason->domain == IPC_ERROR ? ipc_error_to_nick (reason->code) : "remote";

  append_member (out, "id", id);
  append_member (out, "message_type", "error");
  append_member (out, "payload", text);
  append_member (out, "code", nick != NULL ? nick : "failed");
  if (reply_id != NULL)
    append_member (out, "reply_to", reply_id);
  append_time (out, g_get_real_time ());
  memcpy (ipc_outbox_add (&self->outbox, out->len), out->str, out->len);
}

/* ---- reading ---- */

static void
send_error (IpcConnection *self, const char *reply_id, const GError *reason)
{
  g_mutex_lock (&self->lock);
  if (self->state == IPC_CONNECTION_OPEN)
    {
      ipc_json_write_error_locked (self, reply_id, reason);
      ipc_connection_schedule_flush_locked (self);
    }
  g_mutex_unlock (&self->lock);
}

/* There is no boundary to go on at after what is no JSON: an error object, and the end. */
static IpcStep
drop (IpcConnection *self, GError *error)
{
  g_prefix_error (&error, "%s: ", self->peer_name);
  ipc_connection_drop (self, error);
  return IPC_STEP_END;
}

static const char *
get_string (JsonObject *object, const char *name)
{
  JsonNode *node = json_object_get_member (object, name);

  if (node == NULL || !JSON_NODE_HOLDS_VALUE (node) || json_node_get_value_type (node) != G_TYPE_STRING)
    return NULL;
  return json_node_get_string (node);
}

static gboolean
set_bad_member (GError **error, const char *name, const char *what)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "\"%s\" is not %s", name, what);
  return FALSE;
}

/* A string; an integer counts as its decimal text. *ID stays NULL where there is none. */
static gboolean
get_id (JsonObject *object, const char *name, char **id, GError **error)
{
  JsonNode *node = json_object_get_member (object, name);
  const char *text = get_string (object, name);

  if (node == NULL)
    return TRUE;
  if (text != NULL && strlen (text) <= ID_MAX)
    *id = g_strdup (text);
  else if (JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_INT64)
    *id = g_strdup_printf ("%" G_GINT64_FORMAT, json_node_get_int (node));
  else
    return set_bad_member (error, name, "a string of at most 255 bytes, or an integer");
  return TRUE;
}

static gboolean
get_timestamp (JsonObject *object, gint64 *timestamp, GError **error)
{
  JsonNode *node = json_object_get_member (object, "timestamp");
  GType type = node != NULL && JSON_NODE_HOLDS_VALUE (node) ? json_node_get_value_type (node) : G_TYPE_INVALID;
  double seconds;

  *timestamp = g_get_real_time ();
  if (node == NULL)
    return TRUE;
  if (type != G_TYPE_INT64 && type != G_TYPE_DOUBLE)
    return set_bad_member (error, "timestamp", "a number of seconds");
  seconds = json_node_get_double (node);
  if (!(seconds > -MAX_SECONDS && seconds < MAX_SECONDS))
    return set_bad_member (error, "timestamp", "a time that fits in 64 bits of microseconds");
  *timestamp = type == G_TYPE_INT64 ? json_node_get_int (node) * G_USEC_PER_SEC : (gint64) (seconds * G_USEC_PER_SEC);
  return TRUE;
}

/* As it is written here: RFC 4648 with padding, and nothing else in it. */
static GBytes *
decode_base64 (const char *text)
{
  g_autofree char *again = NULL;
  g_autofree guchar *bytes = NULL;
  gsize size;

  bytes = g_base64_decode (text, &size);
  again = g_base64_encode (bytes, size);
  return strcmp (again, text) == 0 ? g_bytes_new_take (g_steal_pointer (&bytes), size) : NULL;
}

static GBytes *
get_payload (JsonObject *object, IpcPayloadFormat *format, GError **error)
{
  JsonNode *node = json_object_get_member (object, "payload");
  const char *text = get_string (object, "payload");
  char *document;

  if (json_object_has_member (object, "payload_base64"))
    {
      const char *base64 = get_string (object, "payload_base64");
      GBytes *bytes = base64 != NULL ? decode_base64 (base64) : NULL;

      *format = IPC_PAYLOAD_FORMAT_BYTES;
      if (bytes == NULL)
        set_bad_member (error, "payload_base64", "a string of base64");
      return bytes;
    }
  if (text != NULL || node == NULL)
    {
      *format = IPC_PAYLOAD_FORMAT_TEXT;
      return g_bytes_new (text, text != NULL ? strlen (text) : 0);
    }
  *format = IPC_PAYLOAD_FORMAT_JSON;
  document = ipc_json_to_text (node);
  return g_bytes_new_take (document, strlen (document));
}

/* *BYTES stays NULL where there are none. */
static gboolean
get_headers (JsonObject *object, GBytes **bytes, GError **error)
{
  JsonNode *node = json_object_get_member (object, "headers");
  g_autoptr (GVariant) headers = NULL;
  GVariantBuilder builder;
  JsonObjectIter iter;
  const char *name;

  if (node == NULL)
    return TRUE;
  if (!JSON_NODE_HOLDS_OBJECT (node))
    return set_bad_member (error, "headers", "an object");
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  json_object_iter_init (&iter, json_node_get_object (node));
  while (json_object_iter_next (&iter, &name, NULL))
    {
      const char *value = get_string (json_node_get_object (node), name);

      if (value == NULL || *name == '\0')
        {
          g_variant_builder_clear (&builder);
          return set_bad_member (error, "headers", "an object of strings with names");
        }
      g_variant_builder_add (&builder, "{ss}", name, value);
    }
  headers = g_variant_ref_sink (g_variant_builder_end (&builder));
  *bytes = g_variant_get_data_as_bytes (headers);
  return TRUE;
}

typedef struct
{
  IpcMessage message;
  IpcRequestToken token;
  char *id;                     /* (owned) */
  char *reply_to;               /* (nullable) (owned) */
  GBytes *headers;              /* (nullable) (owned) */
} Received;

static void
received_clear (Received *self)
{
  ipc_message_end (&self->message);
  g_free (self->id);
  g_free (self->reply_to);
  g_clear_pointer (&self->headers, g_bytes_unref);
}

static gboolean
fill_message (Received *self, JsonObject *object, const char *type, GError **error)
{
  IpcPayloadFormat format;
  GBytes *payload = get_payload (object, &format, error);

  if (payload == NULL)
    return FALSE;
  ipc_message_begin (&self->message, format, type, strlen (type));
  self->message.bytes = payload;
  self->message.payload = g_bytes_get_data (payload, &self->message.payload_size);
  if (!get_headers (object, &self->headers, error) || !get_timestamp (object, &self->message.timestamp, error))
    return FALSE;
  if (self->headers != NULL)
    self->message.headers = g_bytes_get_data (self->headers, &self->message.headers_size);
  if (self->id == NULL)
    self->id = g_uuid_string_random ();
  self->message.id = g_strdup (self->id);
  return TRUE;
}

static gboolean
fill_received (Received *self, JsonObject *object, GError **error)
{
  const char *type = get_string (object, "message_type");
  IpcFault fault;

  memset (self, 0, sizeof *self);
  if (!get_id (object, "id", &self->id, error) || !get_id (object, "reply_to", &self->reply_to, error))
    return FALSE;
  if (type == NULL)
    return set_bad_member (error, "message_type", "a string");
  if (!ipc_message_type_check (type, strlen (type), &fault))
    {
      ipc_error_set_fault (error, &fault, NULL);
      return FALSE;
    }
  return fill_message (self, object, type, error);
}

/* An answer to a request of ours is taken to it; any other object with reply_to is just a message that is never answered. */
static gboolean
resolve (IpcConnection *self, Received *received)
{
  guint64 serial;
  GError *error = NULL;

  if (received->reply_to == NULL || !g_ascii_string_to_unsigned (received->reply_to, 10, 1, IPC_FRAME_MAX_SERIAL, &serial, NULL))
    return FALSE;
  if (strcmp (received->message.type, "error") != 0)
    return ipc_request_resolve (self, serial, &received->message, NULL);
  error = g_error_new_literal (IPC_ERROR, IPC_ERROR_REMOTE, ipc_message_get_text (&received->message) ?: "");
  return ipc_request_resolve (self, serial, NULL, error);
}

static void
handle_object (IpcConnection *self, JsonObject *object)
{
  g_autoptr (GError) error = NULL;
  Received received;
  IpcRequestToken *token = NULL;
  GObject *owner = ipc_connection_get_owner (self);

  if (!fill_received (&received, object, &error))
    {
      if (!json_object_has_member (object, "reply_to"))
        send_error (self, received.id, error);
      received_clear (&received);
      return;
    }
  if (IPC_READ_ONCE (self->said_goodbye) && received.reply_to == NULL)
    {
      /* There is no GOODBYE that would have told. */
      error = g_error_new (IPC_ERROR, IPC_ERROR_CLOSED, "%s: about to stop", self->peer_name);
      send_error (self, received.id, error);
      received_clear (&received);
      return;
    }
  if (!resolve (self, &received))
    {
      if (received.reply_to == NULL)
        {
          token = &received.token;
          token->is_json = TRUE;
          token->serial = ++self->last_request_serial;
          token->id = received.id;
          token->connection = G_OBJECT (self);
          token->dropped = ipc_request_dropped;
          token->must_answer = owner != NULL && self->owner_funcs->handles (owner, received.message.type);
          received.message.is_request = token->must_answer;
          received.message.token = token;
        }
      ipc_connection_deliver (self, &received.message, token);
    }
  received_clear (&received);
}

gboolean
ipc_json_deliver (IpcConnection *self, const guint8 *bytes, gsize size)
{
  g_autoptr (JsonParser) parser = NULL;
  Received received;
  JsonObject *object;
  gboolean is_one;

  if (size == 0 || size > IPC_JSON_MAX_OBJECT || bytes[0] != '{' || !ipc_json_validate (bytes, size, true, NULL))
    return FALSE;
  parser = json_parser_new_immutable ();
  if (!json_parser_load_from_data (parser, (const char *) bytes, (gssize) size, NULL))
    return FALSE;
  object = json_node_get_object (json_parser_get_root (parser));
  is_one = json_object_has_member (object, "message_type") && fill_received (&received, object, NULL);
  if (is_one)
    ipc_connection_deliver (self, &received.message, NULL);
  if (json_object_has_member (object, "message_type"))
    received_clear (&received);
  return is_one;
}

IpcMessage *
ipc_json_message_from_bytes (const guint8 *bytes, gsize size)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  IpcMessage *lasting = NULL;
  Received received;

  if (!json_parser_load_from_data (parser, (const char *) bytes, (gssize) size, NULL))
    g_return_val_if_reached (NULL);
  if (fill_received (&received, json_node_get_object (json_parser_get_root (parser)), NULL))
    lasting = ipc_message_ref (&received.message);
  received_clear (&received);
  return lasting;
}

static IpcStep
handle_document (IpcConnection *self, const guint8 *bytes, gsize size)
{
  g_autoptr (JsonParser) parser = json_parser_new_immutable ();
  GError *error = NULL;

  if (!json_parser_load_from_data (parser, (const char *) bytes, (gssize) size, &error))
    return drop (self, error);
  handle_object (self, json_node_get_object (json_parser_get_root (parser)));
  return IPC_STEP_DONE;
}

static gsize
skip_white_space (IpcConnection *self)
{
  gsize size, n = 0;
  const guint8 *bytes = ipc_inbox_peek (&self->inbox, &size);

  while (n < size && strchr (" \t\r\n", bytes[n]) != NULL && bytes[n] != '\0')
    n++;
  if (n > 0)
    ipc_inbox_skip (&self->inbox, n);
  return size - n;
}

static IpcStep
drop_fault (IpcConnection *self, const IpcFault *fault)
{
  GError *error = NULL;

  ipc_error_set_fault (&error, fault, NULL);
  return drop (self, error);
}

IpcStep
ipc_json_step (IpcConnection *self, gboolean defer)
{
  const guint8 *bytes;
  gsize size, taken;
  IpcJsonStatus status;
  IpcBuffer *hold;
  IpcFault fault;
  IpcStep outcome;

  if (self->validated == 0 && skip_white_space (self) == 0)
    return IPC_STEP_MORE;
  if (self->validator == NULL)
    self->validator = ipc_json_validator_new (true);
  if (self->validator == NULL)
    return drop (self, g_error_new_literal (IPC_ERROR, IPC_ERROR_NO_SPACE, "no memory for a JSON validator"));
  bytes = ipc_inbox_peek (&self->inbox, &size);
  status = ipc_json_validator_feed (self->validator, bytes + self->validated, MIN (size, IPC_JSON_MAX_OBJECT + 1) - self->validated, &taken, &fault);
  self->validated += taken;
  if (status == IPC_JSON_INVALID)
    return drop_fault (self, &fault);
  if (self->validated > IPC_JSON_MAX_OBJECT)
    return drop (self, g_error_new (IPC_ERROR, IPC_ERROR_TOO_LARGE, "a JSON object of more than %u bytes", IPC_JSON_MAX_OBJECT));
  if (status == IPC_JSON_MORE)
    {
      self->inbox.wanted = 2 * size;
      return IPC_STEP_MORE;
    }

  size = self->validated;
  self->validated = 0;
  ipc_json_validator_reset (self->validator);
  hold = ipc_inbox_hold (&self->inbox);
  ipc_inbox_skip (&self->inbox, size);
  outcome = handle_document (self, bytes, size);
  ipc_buffer_release (hold);
  return outcome;
}

GError *
ipc_json_end_of_input (IpcConnection *self)
{
  if (self->validated == 0)
    return NULL;
  return g_error_new (IPC_ERROR, IPC_ERROR_INVALID_DATA, "%s: the peer closed inside a JSON object, after %" G_GSIZE_FORMAT " bytes",
                      self->peer_name, self->validated);
}
