/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages from command-line arguments and standard input, and messages as text: as
 * one line of JSON, in the form that the JSON dialect of the wire has, or as the bare
 * payload.
 */
#include "gipc.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* All of standard input, or NULL after saying what is wrong. What cannot be sent is
 * not read: LIMIT is the size of the largest message. */
static GBytes *
read_standard_input (gsize limit)
{
  g_autoptr (GByteArray) all = g_byte_array_new ();
  guint8 buffer[16384];
  gsize n;

  while ((n = fread (buffer, 1, sizeof buffer, stdin)) > 0)
    {
      if (n > limit - all->len)
        return gipc_fail ("standard input: more than %" G_GSIZE_FORMAT " bytes, the limit of a message", limit), NULL;
      g_byte_array_append (all, buffer, n);
    }
  if (ferror (stdin))
    return gipc_fail ("standard input: %s", g_strerror (errno)), NULL;
  return g_byte_array_free_to_bytes (g_steal_pointer (&all));
}

static GBytes *
read_payload (const char *payload, gsize limit)
{
  if (payload == NULL)
    return g_bytes_new_static ("", 0);
  if (strcmp (payload, "-") == 0)
    return read_standard_input (limit);
  return g_bytes_new (payload, strlen (payload));
}

/* PAYLOAD is NULL, "-" or the payload itself. Valid UTF-8 without a NUL is text, all
 * else is bytes. NULL after saying why. */
IpcMessage *
gipc_message_new (const char *message_type, const char *payload, gsize limit)
{
  g_autoptr (GBytes) bytes = read_payload (payload, limit);
  gsize size;
  const char *data;

  if (bytes == NULL)
    return NULL;
  data = g_bytes_get_data (bytes, &size);
  return ipc_message_new_full (message_type,
                               g_utf8_validate (data, size, NULL) ? IPC_PAYLOAD_FORMAT_TEXT : IPC_PAYLOAD_FORMAT_BYTES,
                               bytes, NULL, NULL);
}

/* The same with PAYLOAD as a JSON document, which the library checks before it sends it. */
IpcMessage *
gipc_message_new_json (const char *message_type, const char *payload, gsize limit)
{
  g_autoptr (GBytes) bytes = read_payload (payload == NULL ? "null" : payload, limit);

  return bytes == NULL ? NULL : ipc_message_new_full (message_type, IPC_PAYLOAD_FORMAT_JSON, bytes, NULL, NULL);
}

char *
gipc_json_to_string (JsonNode *node)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();

  json_generator_set_root (generator, node);
  return json_generator_to_data (generator, NULL);
}

static void
add_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value != NULL ? value : "");
}

static void
add_bytes (JsonBuilder *builder, IpcMessage *message)
{
  gsize size;
  const guint8 *data = ipc_message_peek_payload (message, &size);
  g_autofree char *base64 = size > 0 ? g_base64_encode (data, size) : g_strdup ("");

  add_string (builder, "payload", "");
  add_string (builder, "payload_base64", base64);
}

static void
add_node (JsonBuilder *builder, JsonNode *node)
{
  json_builder_set_member_name (builder, "payload");
  json_builder_add_value (builder, node);
}

/* A payload that is not what its format says is shown as the bytes it is. */
static void
add_payload (JsonBuilder *builder, IpcMessage *message)
{
  const char *text = ipc_message_get_text (message);
  JsonNode *json = ipc_message_get_format (message) == IPC_PAYLOAD_FORMAT_JSON ? ipc_message_get_json (message) : NULL;
  GVariant *variant =
    ipc_message_get_format (message) == IPC_PAYLOAD_FORMAT_VARIANT ? ipc_message_get_variant (message) : NULL;

  if (text != NULL)
    add_string (builder, "payload", text);
  else if (json != NULL)
    add_node (builder, json_node_copy (json));
  else if (variant != NULL)
    add_node (builder, json_gvariant_serialize (variant));
  else
    add_bytes (builder, message);
}

static void
add_headers (JsonBuilder *builder, IpcMessage *message)
{
  g_autoptr (GHashTable) headers = ipc_message_get_headers (message);
  g_autoptr (GList) names = g_list_sort (g_hash_table_get_keys (headers), (GCompareFunc) strcmp);

  if (names == NULL)
    return;
  json_builder_set_member_name (builder, "headers");
  json_builder_begin_object (builder);
  for (GList *l = names; l != NULL; l = l->next)
    add_string (builder, l->data, g_hash_table_lookup (headers, l->data));
  json_builder_end_object (builder);
}

/* One line of JSON without its newline. CONNECTION may be NULL. */
char *
gipc_message_to_line (IpcMessage *message, IpcConnection *connection)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;

  json_builder_begin_object (builder);
  if (connection != NULL)
    {
      json_builder_set_member_name (builder, "connection");
      json_builder_add_int_value (builder, (gint64) ipc_connection_get_id (connection));
    }
  add_string (builder, "id", ipc_message_get_id (message));
  add_string (builder, "message_type", ipc_message_get_message_type (message));
  add_payload (builder, message);
  json_builder_set_member_name (builder, "timestamp");
  json_builder_add_int_value (builder, ipc_message_get_timestamp (message) / G_USEC_PER_SEC);
  add_headers (builder, message);
  json_builder_end_object (builder);

  root = json_builder_get_root (builder);
  return gipc_json_to_string (root);
}

/* Text, JSON and GVariants end with a newline, theirs or ours; bytes are as they are. */
gboolean
gipc_message_print_payload (IpcMessage *message)
{
  GVariant *variant = NULL;
  gsize size;
  const char *data = ipc_message_peek_payload (message, &size);

  if (ipc_message_get_format (message) == IPC_PAYLOAD_FORMAT_VARIANT)
    variant = ipc_message_get_variant (message);
  if (variant != NULL)
    {
      g_autofree char *text = g_variant_print (variant, TRUE);
      return gipc_write_line (text);
    }
  if (size > 0 && !gipc_write (data, size))
    return FALSE;
  if (ipc_message_get_format (message) == IPC_PAYLOAD_FORMAT_BYTES || (size > 0 && data[size - 1] == '\n'))
    return TRUE;
  return gipc_write ("\n", 1);
}
