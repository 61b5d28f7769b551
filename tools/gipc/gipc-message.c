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

static void
add_string (GString *line, const char *name, const char *value)
{
  gipc_json_append_name (line, name);
  gipc_json_append_string (line, value);
}

static void
add_bytes (GString *line, IpcMessage *message)
{
  gsize size;
  const guint8 *data = ipc_message_peek_payload (message, &size);
  g_autofree char *base64 = size > 0 ? g_base64_encode (data, size) : g_strdup ("");

  add_string (line, "payload", "");
  add_string (line, "payload_base64", base64);
}

static void
add_document (GString *line, IpcMessage *message)
{
  gsize size;
  const char *data = ipc_message_peek_payload (message, &size);

  gipc_json_append_name (line, "payload");
  gipc_json_append_document (line, data, size);
}

/* A payload that is not what its format says is shown as the bytes it is. */
static void
add_payload (GString *line, IpcMessage *message)
{
  IpcPayloadFormat format = ipc_message_get_format (message);
  const char *text = ipc_message_get_text (message);
  GVariant *variant = format == IPC_PAYLOAD_FORMAT_VARIANT ? ipc_message_get_variant (message) : NULL;

  if (text != NULL)
    add_string (line, "payload", text);
  else if (variant != NULL)
    {
      gipc_json_append_name (line, "payload");
      gipc_json_append_variant (line, variant);
    }
  else if (format == IPC_PAYLOAD_FORMAT_JSON && ipc_message_get_json (message) != NULL)
    add_document (line, message);
  else
    add_bytes (line, message);
}

static void
add_headers (GString *line, IpcMessage *message)
{
  g_autoptr (GHashTable) headers = ipc_message_get_headers (message);
  g_autoptr (GList) names = g_list_sort (g_hash_table_get_keys (headers), (GCompareFunc) strcmp);

  if (names == NULL)
    return;
  gipc_json_append_name (line, "headers");
  g_string_append_c (line, '{');
  for (GList *l = names; l != NULL; l = l->next)
    add_string (line, l->data, g_hash_table_lookup (headers, l->data));
  g_string_append_c (line, '}');
}

/* One line of JSON without its newline. CONNECTION may be NULL. */
char *
gipc_message_to_line (IpcMessage *message, IpcConnection *connection)
{
  GString *line = g_string_new ("{");

  if (connection != NULL)
    {
      gipc_json_append_name (line, "connection");
      g_string_append_printf (line, "%" G_GUINT64_FORMAT, ipc_connection_get_id (connection));
    }
  add_string (line, "id", ipc_message_get_id (message));
  add_string (line, "message_type", ipc_message_get_message_type (message));
  add_payload (line, message);
  gipc_json_append_name (line, "timestamp");
  g_string_append_printf (line, "%" G_GINT64_FORMAT, ipc_message_get_timestamp (message) / G_USEC_PER_SEC);
  add_headers (line, message);
  g_string_append_c (line, '}');
  return g_string_free (line, FALSE);
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
