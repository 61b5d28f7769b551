/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A message: a type, a payload with a format, headers and descriptors; counted
 * and immutable. See ipc-message-private.h for transient and lasting ones.
 *
 * Whatever a getter has to make (a GBytes, a terminated text, a parsed GVariant
 * or JsonNode) is made once, published with one compare-and-swap and kept.
 */
#include "messaging/ipc-message-private.h"

#include <string.h>

#include "base/ipc-error-private.h"
#include "core/ipc-json-validator.h"
#include "core/ipc-ticks.h"
#include "ipc-enums.h"
#include "messaging/ipc-shared-payload-private.h"

/**
 * IpcMessage:
 *
 * What goes from one process to another: a type, a payload, and headers.
 *
 * The type says what the message is for (`echo`, `org.example.Progress`): 1 to 255
 * bytes of UTF-8 without control characters. The types `error`, `line` and those
 * that start with `ipc.` belong to the library. The payload is bytes, text, JSON
 * or a GVariant ([enum@Ipc.PayloadFormat]).
 *
 * Descriptors may go along, as many as [property@Ipc.Server:max-fds] and [property@Ipc.Client:max-fds] allow. Each
 * sending duplicates them, so that the list may be emptied afterwards; whoever gets the message gets descriptors of its
 * own, which are closed on exec, and with the message. A handle (`h`) in a GVariant is an index into them, by
 * convention. Who reads from one that came has to expect any kind: a pipe may block.
 *
 * The constructors accept anything; sending checks everything before a byte is
 * written, and reports what is wrong.
 *
 * A message that a handler gets is lent to it: it points into the receive buffer.
 * [method@Ipc.Message.ref] returns a message that may be kept, which is a small
 * copy unless the payload is large.
 *
 * ## Threads
 *
 * A message is immutable and its reference count is atomic: it may be used by
 * several threads at once. A lent message belongs to the thread that got it.
 *
 * ## When a process dies
 *
 * A message is memory of this process alone; nothing of it is shared with the
 * peer, except a large payload that was sent again and again, which both may have mapped, read-only and sealed.
 * Descriptors in it stay open until its last reference is gone. What was under way to a process that died is
 * closed by the kernel.
 *
 * ## Caveats
 *
 * A request that nobody answered is answered with an error when its last
 * reference goes; see [callback@Ipc.MessageHandler].
 *
 * Since: 0.1
 */

G_DEFINE_BOXED_TYPE (IpcMessage, ipc_message, ipc_message_ref, ipc_message_unref)

#define SMALL 256u              /* bytes of a payload that is copied */

/* ---- making ---- */

static void
set_type (IpcMessage *self, char *room, const char *type, gsize length)
{
  memcpy (room, type, length);
  room[length] = '\0';
  self->type = room;
  self->type_length = (guint8) MIN (length, 255);
}

/* Where many are made, the clock would be a sixth of what each costs. */
static gint64
get_time (void)
{
  static __thread _Atomic guint64 since;
  static __thread gint64 time;

  if (time == 0 || !ipc_ticks_are_below (&since, IPC_TICKS_HARDLY_ANY))
    time = g_get_real_time ();
  return time;
}

/* A lasting message, with ROOM for a payload. */
static IpcMessage *
message_alloc (const char *type, IpcPayloadFormat format, gsize room, char **payload)
{
  gsize length = type != NULL ? strlen (type) : 0;
  IpcMessage *self = g_malloc (sizeof *self + length + 1 + room);

  ipc_message_blank (self);
  self->ref_count = 1;
  self->format = (guint8) MIN ((guint) format, 255);
  set_type (self, (char *) (self + 1), type, length);
  self->timestamp = get_time ();
  *payload = (char *) (self + 1) + length + 1;
  return self;
}

/* What is small is cheaper to copy than to share: the count of a GBytes changes in one step with all other processors. */
static IpcMessage *
message_new_copy (const char *type, IpcPayloadFormat format, gconstpointer data, gsize size)
{
  char *payload;
  IpcMessage *self = message_alloc (type, format, size + 1, &payload);

  if (size > 0)
    memcpy (payload, data, size);
  payload[size] = '\0';
  self->payload = (guint8 *) payload;
  self->payload_size = size;
  return self;
}

/* BYTES: (transfer full) (nullable) */
static IpcMessage *
message_new_take (const char *type, IpcPayloadFormat format, GBytes *bytes)
{
  char *none;
  IpcMessage *self = message_alloc (type, format, 0, &none);

  if (bytes != NULL)
    {
      self->bytes = bytes;
      self->payload = g_bytes_get_data (bytes, &self->payload_size);
    }
  return self;
}

/**
 * ipc_message_new:
 * @message_type: the type
 * @payload: (nullable): the payload, or %NULL for an empty one
 *
 * Makes a message with bytes.
 *
 * Up to 256 bytes are copied; of a larger @payload the message has a reference.
 *
 * Returns: (transfer full): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_message_new (const char *message_type, GBytes *payload)
{
  gsize size = 0;
  gconstpointer data = payload != NULL ? g_bytes_get_data (payload, &size) : NULL;

  if (size > 0 && size <= SMALL)
    return message_new_copy (message_type, IPC_PAYLOAD_FORMAT_BYTES, data, size);
  return message_new_take (message_type, IPC_PAYLOAD_FORMAT_BYTES, payload != NULL ? g_bytes_ref (payload) : NULL);
}

/**
 * ipc_message_new_text:
 * @message_type: the type
 * @text: the text
 *
 * Makes a message with a text.
 *
 * Returns: (transfer full): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_message_new_text (const char *message_type, const char *text)
{
  gsize length = text != NULL ? strlen (text) : 0;
  IpcMessage *self;

  if (length <= SMALL)
    self = message_new_copy (message_type, IPC_PAYLOAD_FORMAT_TEXT, text, length);
  else
    self = message_new_take (message_type, IPC_PAYLOAD_FORMAT_TEXT, g_bytes_new_take (g_strndup (text, length), length));
  self->text = (char *) self->payload;
  return self;
}

/**
 * ipc_message_new_variant:
 * @message_type: the type
 * @variant: the value; a floating reference is taken
 *
 * Makes a message with a GVariant.
 *
 * Returns: (transfer full): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_message_new_variant (const char *message_type, GVariant *variant)
{
  g_autoptr (GVariant) value = g_variant_ref_sink (variant);
  g_autoptr (GVariant) swapped = NULL;
  g_autoptr (GVariant) wire = NULL;
  IpcMessage *self;

  swapped = ipc_variant_swap (value);
  wire = g_variant_ref_sink (g_variant_new_variant (swapped));
  self = message_new_take (message_type, IPC_PAYLOAD_FORMAT_VARIANT, g_variant_get_data_as_bytes (wire));
  self->variant = g_steal_pointer (&value);
  return self;
}

/* Walks NODE without recursion. NULL, or why it cannot be a payload: json-glib's
 * own generator recurses, so the depth is looked at before it runs. */
static char *
find_json_defect (JsonNode *node)
{
  g_autoptr (GArray) level = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GPtrArray) todo = g_ptr_array_new ();
  guint n = 0;

  g_ptr_array_add (todo, node);
  g_array_append_val (level, n);
  while (todo->len > 0)
    {
      JsonNode *here = g_ptr_array_steal_index (todo, todo->len - 1);
      guint depth = g_array_index (level, guint, level->len - 1) + 1;
      g_autoptr (GList) children = NULL;

      g_array_set_size (level, level->len - 1);
      if (++n > IPC_JSON_MAX_VALUES)
        return g_strdup_printf ("more than %d JSON values", IPC_JSON_MAX_VALUES);
      if (JSON_NODE_HOLDS_OBJECT (here))
        children = json_object_get_values (json_node_get_object (here));
      else if (JSON_NODE_HOLDS_ARRAY (here))
        children = json_array_get_elements (json_node_get_array (here));
      else
        continue;
      if (depth > IPC_JSON_MAX_DEPTH)
        return g_strdup_printf ("the JSON payload is nested deeper than %d", IPC_JSON_MAX_DEPTH);
      for (GList *l = children; l != NULL; l = l->next)
        {
          g_ptr_array_add (todo, l->data);
          g_array_append_val (level, depth);
        }
    }
  return NULL;
}

/**
 * ipc_message_new_json:
 * @message_type: the type
 * @json: the document
 *
 * Makes a message with JSON.
 *
 * @json is written out now: what is changed in it later is not in the message.
 *
 * Returns: (transfer full): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_message_new_json (const char *message_type, JsonNode *json)
{
  g_autofree char *defect = json != NULL ? find_json_defect (json) : g_strdup ("there is no JSON payload");
  char *text = defect == NULL ? ipc_json_to_text (json) : g_strdup ("");
  IpcMessage *self = message_new_take (message_type, IPC_PAYLOAD_FORMAT_JSON, g_bytes_new_take (text, strlen (text)));

  self->defect = g_steal_pointer (&defect);
  return self;
}

/* The first thing that is wrong is the one to report. */
static void G_GNUC_PRINTF (2, 3)
note_defect (char **defect, const char *format, ...)
{
  va_list args;

  if (*defect != NULL)
    return;
  va_start (args, format);
  *defect = g_strdup_vprintf (format, args);
  va_end (args);
}

static GBytes *
headers_to_bytes (const char * const *headers, char **defect)
{
  g_autoptr (GVariant) variant = NULL;
  GVariantBuilder builder;
  gsize i;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (i = 0; headers[i] != NULL && headers[i + 1] != NULL; i += 2)
    {
      if (!g_utf8_validate (headers[i], -1, NULL) || !g_utf8_validate (headers[i + 1], -1, NULL))
        {
          note_defect (defect, "header %" G_GSIZE_FORMAT " is not UTF-8", i / 2);
          continue;
        }
      g_variant_builder_add (&builder, "{ss}", headers[i], headers[i + 1]);
    }
  if (headers[i] != NULL)
    note_defect (defect, "%" G_GSIZE_FORMAT " strings are not pairs of header and value", i + 1);
  variant = g_variant_ref_sink (g_variant_builder_end (&builder));
  return g_variant_get_data_as_bytes (variant);
}

/**
 * ipc_message_new_full:
 * @message_type: the type
 * @format: what @payload is
 * @payload: (nullable): the payload as it goes over the wire, or %NULL for an empty one: the text, the JSON document, or the
 *   serialized form of a GVariant of type `v`
 * @headers: (nullable) (array zero-terminated=1): header, value, header, value, …
 * @fd_list: (nullable): descriptors to pass along
 *
 * Makes a message with everything that a message can have.
 *
 * Returns: (transfer full): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_message_new_full (const char *message_type, IpcPayloadFormat format, GBytes *payload, const char * const *headers, GUnixFDList *fd_list)
{
  IpcMessage *self = message_new_take (message_type, format, payload != NULL ? g_bytes_ref (payload) : NULL);

  if ((guint) format > IPC_PAYLOAD_FORMAT_VARIANT)
    note_defect (&self->defect, "payload format %d: allowed are 0 to 3", (int) format);
  if (headers != NULL && headers[0] != NULL)
    {
      self->backing = headers_to_bytes (headers, &self->defect);
      self->headers = g_bytes_get_data (self->backing, &self->headers_size);
    }
  if (fd_list != NULL && g_unix_fd_list_get_length (fd_list) > 0)
    self->fd_list = g_object_ref (fd_list);
  return self;
}

/* ---- counting ---- */

static void
free_made (IpcMessage *self)
{
  if (self->text != NULL && self->text != (char *) self->payload && *self->text != '\0')
    g_free (self->text);
  g_clear_pointer (&self->bytes, g_bytes_unref);
  g_clear_pointer (&self->id, g_free);
  g_clear_pointer (&self->variant, g_variant_unref);
  g_clear_pointer (&self->json, json_node_unref);
  g_clear_pointer (&self->header_variant, g_variant_unref);
  g_clear_pointer (&self->backing, g_bytes_unref);
  g_clear_object (&self->fd_list);
  g_clear_pointer (&self->shared, ipc_shared_payload_unref);
  g_clear_pointer (&self->defect, g_free);
}

gboolean
ipc_message_end (IpcMessage *self)
{
  gboolean dropped = self->kept == NULL;

  if (!ipc_message_is_bare (self))
    {
      free_made (self);
      g_clear_pointer (&self->kept, ipc_message_unref);
    }
  return dropped;
}

static IpcRequestToken *
token_keep (IpcRequestToken *token, IpcMessage *message)
{
  IpcRequestToken *heap;

  if (token == NULL)
    return NULL;
  heap = g_memdup2 (token, sizeof *token);
  heap->ref_count = 1;
  heap->message = message;
  heap->id = g_strdup (token->id);
  g_object_ref (heap->connection);
  return heap;
}

/* The lasting copy of a transient message: large payloads pin their buffer, small ones are copied. */
static IpcMessage *
message_keep (IpcMessage *self)
{
  gboolean by_reference = self->backing != NULL || self->bytes != NULL;
  gsize type_room = (self->type_length + 8u) & ~7u;
  gsize payload_room = by_reference ? 0 : self->payload_size + 1;
  gsize headers_room = self->backing != NULL ? 0 : self->headers_size;
  IpcMessage *copy = g_malloc (sizeof *copy + type_room + payload_room + headers_room);
  guint8 *room = (guint8 *) (copy + 1) + type_room;

  ipc_message_blank (copy);
  copy->ref_count = 1;
  copy->format = self->format;
  copy->is_request = self->is_request;
  copy->checked = TRUE;
  copy->timestamp = self->timestamp;
  set_type (copy, (char *) (copy + 1), self->type, self->type_length);
  copy->payload = self->payload;
  copy->payload_size = self->payload_size;
  copy->headers = self->headers;
  copy->headers_size = self->headers_size;
  if (self->backing != NULL)
    copy->backing = g_bytes_ref (self->backing);
  if (self->bytes != NULL)
    {
      copy->bytes = g_bytes_ref (self->bytes);
      copy->payload = g_bytes_get_data (copy->bytes, NULL);
    }
  else if (!by_reference)
    {
      if (self->payload_size > 0)
        memcpy (room, self->payload, self->payload_size);
      room[self->payload_size] = '\0';
      copy->payload = room;
      if (self->format == IPC_PAYLOAD_FORMAT_TEXT)
        copy->text = (char *) room;
    }
  if (headers_room > 0)
    copy->headers = memcpy (room + payload_room, self->headers, headers_room);
  copy->id = g_strdup (self->id);
  if (self->variant != NULL)
    copy->variant = g_variant_ref (self->variant);
  if (self->json != NULL)
    copy->json = json_node_ref (self->json);
  if (self->fd_list != NULL)
    copy->fd_list = g_object_ref (self->fd_list);
  copy->token = self->token = token_keep (self->token, copy);
  return copy;
}

/**
 * ipc_message_ref:
 * @self: the message
 *
 * Takes a reference.
 *
 * What is returned is the message to keep. It is another one than @self where
 * @self was only lent, as it is in a handler.
 *
 * Returns: (transfer full): the message
 *
 * Since: 0.1
 */
IpcMessage *
ipc_message_ref (IpcMessage *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  if (g_atomic_int_get (&self->ref_count) == 0)
    {
      if (self->kept == NULL)
        self->kept = message_keep (self);
      self = self->kept;
    }
  g_atomic_int_inc (&self->ref_count);
  return self;
}

/* Whether it was the last. Who has the only one need not change the count in one step with all other processors: nobody
 * can take another, as long as there is no token to take it from. */
static inline gboolean
drop_reference (IpcMessage *self)
{
  gint count = g_atomic_int_get (&self->ref_count);

  if (count == 0)
    return FALSE;
  return (count == 1 && self->token == NULL) || g_atomic_int_dec_and_test (&self->ref_count);
}

/**
 * ipc_message_unref:
 * @self: (transfer full): the message
 *
 * Gives a reference back. With the last one, a request that has no answer yet
 * is answered with an error.
 *
 * Since: 0.1
 */
void
ipc_message_unref (IpcMessage *self)
{
  g_return_if_fail (self != NULL);

  if (!drop_reference (self))
    return;
  if (self->token != NULL)
    {
      if (self->token->dropped != NULL)
        self->token->dropped (self->token->connection, self->token);
      ipc_request_token_unref (self->token);
    }
  free_made (self);
  g_free (self);
}

IpcRequestToken *
ipc_message_get_token (IpcMessage *self)
{
  return self->token;
}

void
ipc_request_token_ref (IpcRequestToken *self)
{
  g_atomic_int_inc (&self->ref_count);
}

void
ipc_request_token_unref (IpcRequestToken *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_object_unref (self->connection);
  g_free ((char *) self->id);
  g_free (self);
}

IpcMessage *
ipc_request_token_get_message (IpcRequestToken *self)
{
  gint count;

  if (self->message == NULL)
    return NULL;
  do
    {
      count = g_atomic_int_get (&self->message->ref_count);
      if (count == 0)
        return NULL;
    }
  while (!g_atomic_int_compare_and_exchange (&self->message->ref_count, count, count + 1));
  return self->message;
}

/* ---- looking at it ---- */

/* Publishes what a getter made, unless another thread was quicker. */
static gpointer
publish (gpointer *place, gpointer made, GDestroyNotify destroy)
{
  if (g_atomic_pointer_compare_and_exchange (place, NULL, made))
    return made;
  destroy (made);
  return g_atomic_pointer_get (place);
}

/**
 * ipc_message_get_format:
 * @self: the message
 *
 * What the payload is.
 *
 * Returns: the format
 *
 * Since: 0.1
 */
IpcPayloadFormat
ipc_message_get_format (IpcMessage *self)
{
  return self->format;
}

/**
 * ipc_message_get_id:
 * @self: the message
 *
 * A string that tells the message from others.
 *
 * It is what a peer that speaks JSON called the message; another message gets
 * one when it is first asked for.
 *
 * Returns: the id
 *
 * Since: 0.1
 */
const char *
ipc_message_get_id (IpcMessage *self)
{
  gpointer *place = (gpointer *) &self->id;
  const char *id;

  if (self->kept != NULL)
    return ipc_message_get_id (self->kept);
  id = g_atomic_pointer_get (place);
  return id != NULL ? id : publish (place, g_uuid_string_random (), g_free);
}

/**
 * ipc_message_get_message_type:
 * @self: the message
 *
 * What the message is for.
 *
 * Returns: the type
 *
 * Since: 0.1
 */
const char *
ipc_message_get_message_type (IpcMessage *self)
{
  return self->type;
}

/**
 * ipc_message_get_payload:
 * @self: the message
 *
 * The payload as bytes, as it goes over the wire.
 *
 * Returns: (transfer none): the payload; empty if there is none
 *
 * Since: 0.1
 */
GBytes *
ipc_message_get_payload (IpcMessage *self)
{
  gpointer *place = (gpointer *) &self->bytes;
  GBytes *bytes = g_atomic_pointer_get (place);

  if (bytes != NULL)
    return bytes;
  if (self->backing != NULL && self->payload_size > 0)
    bytes = g_bytes_new_from_bytes (self->backing, (gsize) (self->payload - (const guint8 *) g_bytes_get_data (self->backing, NULL)),
                                    self->payload_size);
  else
    bytes = g_bytes_new (self->payload, self->payload_size);
  return publish (place, bytes, (GDestroyNotify) g_bytes_unref);
}

/**
 * ipc_message_peek_payload: (skip)
 * @self: the message
 * @size: (out): the number of bytes
 *
 * The payload where it lies, without making a [struct@GLib.Bytes] of it.
 *
 * Returns: (nullable): the payload, valid as long as the message is
 *
 * Since: 0.1
 */
gconstpointer
ipc_message_peek_payload (IpcMessage *self, gsize *size)
{
  *size = self->payload_size;
  return self->payload;
}

static gboolean
payload_is_fine (IpcMessage *self, IpcPayloadFormat format)
{
  if (self->format != format || self->defect != NULL)
    return FALSE;
  return g_atomic_int_get (&self->checked) || ipc_payload_check (format, self->payload, self->payload_size, NULL);
}

/**
 * ipc_message_get_text:
 * @self: the message
 *
 * The payload as text.
 *
 * Returns: (nullable): the text; %NULL if the payload is not text
 *
 * Since: 0.1
 */
const char *
ipc_message_get_text (IpcMessage *self)
{
  gpointer *place = (gpointer *) &self->text;
  const char *text;

  if (!payload_is_fine (self, IPC_PAYLOAD_FORMAT_TEXT))
    return NULL;
  text = g_atomic_pointer_get (place);
  if (text != NULL)
    return text;
  if (self->payload_size == 0)
    return "";
  return publish (place, g_strndup ((const char *) self->payload, self->payload_size), g_free);
}

/**
 * ipc_message_get_variant:
 * @self: the message
 *
 * The payload as a GVariant.
 *
 * Returns: (transfer none) (nullable): the value; %NULL if the payload is none
 *
 * Since: 0.1
 */
GVariant *
ipc_message_get_variant (IpcMessage *self)
{
  gpointer *place = (gpointer *) &self->variant;
  g_autoptr (GVariant) wire = NULL;
  g_autoptr (GVariant) value = NULL;
  GVariant *variant;

  if (!payload_is_fine (self, IPC_PAYLOAD_FORMAT_VARIANT))
    return NULL;
  variant = g_atomic_pointer_get (place);
  if (variant != NULL)
    return variant;
  wire = ipc_variant_from_bytes (ipc_message_get_payload (self), TRUE);
  value = g_variant_get_variant (wire);
  return publish (place, ipc_variant_swap (value), (GDestroyNotify) g_variant_unref);
}

/**
 * ipc_message_get_json:
 * @self: the message
 *
 * The payload as JSON. Do not change what is returned.
 *
 * Returns: (transfer none) (nullable): the document; %NULL if the payload is none
 *
 * Since: 0.1
 */
JsonNode *
ipc_message_get_json (IpcMessage *self)
{
  gpointer *place = (gpointer *) &self->json;
  g_autofree char *text = NULL;
  JsonNode *json;

  if (!payload_is_fine (self, IPC_PAYLOAD_FORMAT_JSON))
    return NULL;
  json = g_atomic_pointer_get (place);
  if (json != NULL)
    return json;
  text = g_strndup ((const char *) self->payload, self->payload_size);
  json = json_from_string (text, NULL);
  return json != NULL ? publish (place, json, (GDestroyNotify) json_node_unref) : NULL;
}

/**
 * ipc_message_get_timestamp:
 * @self: the message
 *
 * When the message was made, by the clock of whoever made it. Where a thread makes many, it looks at the clock every 4 µs at most.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_message_get_timestamp (IpcMessage *self)
{
  return self->timestamp;
}

static GVariant *
get_header_variant (IpcMessage *self)
{
  gpointer *place = (gpointer *) &self->header_variant;
  g_autoptr (GBytes) bytes = NULL;
  GVariant *variant = g_atomic_pointer_get (place);

  if (variant != NULL || self->headers_size == 0)
    return variant;
  bytes = g_bytes_new (self->headers, self->headers_size);
  variant = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE ("a{ss}"), bytes, TRUE));
  return publish (place, variant, (GDestroyNotify) g_variant_unref);
}

/**
 * ipc_message_get_header:
 * @self: the message
 * @key: the name of a header
 *
 * The value of a header.
 *
 * Returns: (nullable): the value, or %NULL if there is no such header
 *
 * Since: 0.1
 */
const char *
ipc_message_get_header (IpcMessage *self, const char *key)
{
  GVariant *variant = get_header_variant (self);
  const char *name, *value;
  GVariantIter iter;

  g_return_val_if_fail (key != NULL, NULL);

  if (variant == NULL)
    return NULL;
  g_variant_iter_init (&iter, variant);
  while (g_variant_iter_next (&iter, "{&s&s}", &name, &value))
    if (strcmp (name, key) == 0)
      return value;
  return NULL;
}

/**
 * ipc_message_get_headers:
 * @self: the message
 *
 * All headers.
 *
 * Returns: (transfer container) (element-type utf8 utf8): the headers; the strings belong to the message
 *
 * Since: 0.1
 */
GHashTable *
ipc_message_get_headers (IpcMessage *self)
{
  GHashTable *headers = g_hash_table_new (g_str_hash, g_str_equal);
  GVariant *variant = get_header_variant (self);
  const char *name, *value;
  GVariantIter iter;

  if (variant == NULL)
    return headers;
  g_variant_iter_init (&iter, variant);
  while (g_variant_iter_next (&iter, "{&s&s}", &name, &value))
    g_hash_table_insert (headers, (gpointer) name, (gpointer) value);
  return headers;
}

/**
 * ipc_message_get_fd_list:
 * @self: the message
 *
 * The descriptors that came, or go, with the message.
 *
 * Returns: (transfer none) (nullable): the descriptors, or %NULL if there are none
 *
 * Since: 0.1
 */
GUnixFDList *
ipc_message_get_fd_list (IpcMessage *self)
{
  return self->fd_list;
}

/**
 * ipc_message_get_is_request:
 * @self: the message
 *
 * Whether the message was received and its sender waits for an answer.
 *
 * Returns: %TRUE if it is a request
 *
 * Since: 0.1
 */
gboolean
ipc_message_get_is_request (IpcMessage *self)
{
  return self->is_request;
}

/* ---- judging it ---- */

static gboolean
check_type (IpcMessage *self, GError **error)
{
  IpcFault fault;

  if (!ipc_message_type_check (self->type, self->type_length < 255 ? self->type_length : strlen (self->type), &fault))
    {
      ipc_error_set_fault (error, &fault, NULL);
      return FALSE;
    }
  self->is_library_type = self->type[0] == 'i' && g_str_has_prefix (self->type, "ipc.");
  if ((self->type[0] == 'e' && strcmp (self->type, "error") == 0) || (self->type[0] == 'l' && strcmp (self->type, "line") == 0))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "the message type \"%s\" is reserved", self->type);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_use (IpcMessage *self, gboolean is_request, GError **error)
{
  if (!self->is_library_type || is_request)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "the message type \"%s\" is reserved", self->type);
  return FALSE;
}

gboolean
ipc_message_check_fully (IpcMessage *self, gboolean is_request, GError **error)
{
  g_autoptr (GError) reason = NULL;

  if (g_atomic_int_get (&self->checked))
    return check_use (self, is_request, error);
  if (!check_type (self, error))
    return FALSE;
  if (self->defect != NULL)
    {
      g_set_error (error, IPC_ERROR, self->format > IPC_PAYLOAD_FORMAT_VARIANT ? IPC_ERROR_INVALID_ARGUMENT : IPC_ERROR_INVALID_DATA,
                   "message of type \"%s\": %s", self->type, self->defect);
      return FALSE;
    }
  if ((self->format != IPC_PAYLOAD_FORMAT_BYTES && !ipc_payload_check (self->format, self->payload, self->payload_size, &reason)) ||
      (self->headers != NULL && !ipc_headers_check (self->headers, self->headers_size, &reason)))
    {
      g_propagate_prefixed_error (error, g_steal_pointer (&reason), "message of type \"%s\": ", self->type);
      return FALSE;
    }
  /* Whoever sees it sees what check_type() found, too. A plain store does for that. */
  __atomic_store_n (&self->checked, TRUE, __ATOMIC_RELEASE);
  return check_use (self, is_request, error);
}
