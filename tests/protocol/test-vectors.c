/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vectors of tests/vectors against the core: preambles and frames against the
 * codec, documents against the JSON validator, GVariants against GLib. What needs
 * more than one frame to tell (layer "stream") is for the Python client and for
 * a running server.
 */
#include <json-glib/json-glib.h>

#include "core/ipc-frame.h"
#include "core/ipc-json-validator.h"

#define MAX_OBJECT (1u << 20)
#define DEFAULT_MAX_LENGTH (16u << 20)

static const char *const kinds[] = {
  NULL, "HELLO", "EVENT", "REQUEST", "REPLY", "ERROR", "CANCEL", "GOODBYE", "PING", "PONG"
};

static void
append_hex (GByteArray *bytes, const char *hex)
{
  for (; *hex != '\0'; hex += 2)
    {
      guint8 byte = (guint8) (g_ascii_xdigit_value (hex[0]) << 4 | g_ascii_xdigit_value (hex[1]));

      g_byte_array_append (bytes, &byte, 1);
    }
}

static GByteArray *
vector_data (JsonObject *vector)
{
  GByteArray *bytes = g_byte_array_new ();
  JsonArray *parts = json_object_has_member (vector, "parts") ? json_object_get_array_member (vector, "parts") : NULL;

  if (parts == NULL)
    append_hex (bytes, json_object_get_string_member (vector, "hex"));
  for (guint i = 0; parts != NULL && i < json_array_get_length (parts); i++)
    {
      JsonObject *part = json_array_get_object_element (parts, i);

      for (gint64 n = json_object_get_int_member (part, "repeat"); n > 0; n--)
        append_hex (bytes, json_object_get_string_member (part, "hex"));
    }
  return bytes;
}

static const char *
expected (JsonObject *vector, const char *member)
{
  return json_object_get_string_member_with_default (json_object_get_object_member (vector, "expect"), member, "");
}

static const char *
fault_nick (const IpcFault *fault)
{
  switch (fault->code)
    {
    case IPC_FAULT_INVALID_DATA:
      return "invalid-data";
    case IPC_FAULT_VERSION:
      return "version";
    case IPC_FAULT_TOO_LARGE:
      return "too-large";
    default:
      return "something else";
    }
}

static void
assert_fault (JsonObject *vector, const IpcFault *fault)
{
  g_test_message ("%s", fault->message);
  g_assert_cmpstr (fault->message, !=, "");
  g_assert_cmpstr (expected (vector, "outcome"), ==, "error");
  g_assert_cmpstr (expected (vector, "nick"), ==, fault_nick (fault));
}

static void
test_preamble (JsonObject *vector)
{
  g_autoptr (GByteArray) data = vector_data (vector);
  IpcFault fault;

  if (!ipc_preamble_check (data->data, data->len, &fault))
    assert_fault (vector, &fault);
  else
    g_assert_cmpstr (expected (vector, "outcome"), ==, data->len < IPC_PREAMBLE_SIZE ? "incomplete" : "ok");
}

static IpcFrameLimits
vector_limits (JsonObject *vector)
{
  IpcFrameLimits limits = { .max_length = DEFAULT_MAX_LENGTH };
  JsonObject *given;

  if (!json_object_has_member (vector, "limits"))
    return limits;
  given = json_object_get_object_member (vector, "limits");
  limits.max_length = (guint32) json_object_get_int_member_with_default (given, "max-message-size", DEFAULT_MAX_LENGTH);
  limits.max_fds = (guint8) json_object_get_int_member_with_default (given, "max-fds", 0);
  limits.memfd = json_object_get_boolean_member_with_default (given, "memfd", FALSE);
  return limits;
}

static void
assert_header (JsonObject *want, const IpcFrame *frame, const guint8 *data)
{
  guint8 encoded[IPC_FRAME_HEADER_SIZE];

  g_assert_cmpstr (kinds[frame->kind], ==, json_object_get_string_member (want, "kind"));
  g_assert_cmpint (frame->length, ==, json_object_get_int_member (want, "length"));
  g_assert_cmpint (frame->flags, ==, json_object_get_int_member (want, "flags"));
  g_assert_cmpint (frame->n_fds, ==, json_object_get_int_member (want, "n_fds"));
  g_assert_cmpuint (frame->serial, ==, (guint64) json_object_get_int_member (want, "serial"));
  g_assert_cmpuint (frame->reply_serial, ==, (guint64) json_object_get_int_member (want, "reply_serial"));
  g_assert_cmpint (frame->timestamp, ==, json_object_get_int_member (want, "timestamp"));
  ipc_frame_encode (frame, encoded);
  g_assert_cmpmem (encoded, sizeof encoded, data, IPC_FRAME_HEADER_SIZE);
}

static void
assert_parts (JsonObject *want, const IpcFrame *frame, const IpcFrameBody *parts)
{
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  const char *type = json_object_get_string_member (want, "type");

  g_assert_cmpmem (parts->type, frame->type_length, type, strlen (type));
  append_hex (payload, json_object_get_string_member (want, "payload"));
  g_assert_cmpmem (parts->payload, parts->payload_size, payload->data, payload->len);
  g_assert_cmpint (parts->headers != NULL, ==, !json_object_get_null_member (want, "headers"));
  if (json_object_has_member (want, "gvariant_headers"))
    {
      const char *text = json_object_get_string_member (want, "gvariant_headers");
      g_autoptr (GVariant) headers = g_variant_parse (G_VARIANT_TYPE ("a{ss}"), text, NULL, NULL, NULL);

      g_assert_cmpmem (parts->headers, parts->headers_size, g_variant_get_data (headers), g_variant_get_size (headers));
    }
}

static gboolean
variant_is_normal (const char *type, const void *data, gsize size)
{
  g_autoptr (GBytes) bytes = g_bytes_new (data, size);
  g_autoptr (GVariant) variant = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE (type), bytes, FALSE));

  return g_variant_is_normal_form (variant);
}

/* What the core and GLib can say of a payload; depth and repeated headers are the messaging layer's. */
static gboolean
payload_is_good (const IpcFrame *frame, const IpcFrameBody *parts)
{
  guint format = frame->kind == IPC_FRAME_ERROR ? 1 : frame->flags & IPC_FRAME_FORMAT_MASK;
  IpcFault fault;

  if (parts->headers != NULL && !variant_is_normal ("a{ss}", parts->headers, parts->headers_size))
    return FALSE;
  if (frame->flags & IPC_FRAME_FLAG_MEMFD)
    return TRUE;
  if (frame->kind == IPC_FRAME_HELLO)
    return variant_is_normal ("a{sv}", parts->payload, parts->payload_size);
  if (format == 1)
    return ipc_utf8_check (parts->payload, parts->payload_size, NULL) &&
           (parts->payload_size == 0 || memchr (parts->payload, '\0', parts->payload_size) == NULL);
  if (format == 2)
    return ipc_json_validate (parts->payload, parts->payload_size, false, &fault);
  if (format == 3)
    return parts->payload_size > 0 && variant_is_normal ("v", parts->payload, parts->payload_size);
  return TRUE;
}

static gboolean
left_to_messaging (const char *name)
{
  return g_str_has_prefix (name, "bad-headers-twice") || g_str_has_prefix (name, "bad-headers-no-name") ||
         g_str_has_prefix (name, "bad-payload-variant-deep") || g_str_has_prefix (name, "bad-payload-variant-type-256");
}

static void
test_frame (JsonObject *vector)
{
  g_autoptr (GByteArray) data = vector_data (vector);
  g_autofree guint8 *body = NULL;
  IpcFrameLimits limits = vector_limits (vector);
  const char *stage = expected (vector, "stage");
  IpcFrame frame = { .length = 12345 };
  IpcFrameBody parts;
  IpcFault fault;

  g_assert_cmpuint (data->len, >=, IPC_FRAME_HEADER_SIZE);
  if (!ipc_frame_decode (data->data, &limits, &frame, &fault))
    {
      g_assert_cmpint (frame.length, ==, 12345);
      assert_fault (vector, &fault);
      g_assert_cmpstr (stage, ==, "header");
      return;
    }
  g_assert_cmpint (frame.length, ==, data->len - IPC_FRAME_HEADER_SIZE);
  /* A block of its own, so that a sanitizer sees a step beyond the end. */
  body = g_memdup2 (data->data + IPC_FRAME_HEADER_SIZE, frame.length);
  if (!ipc_frame_split (&frame, body, &parts, &fault))
    {
      assert_fault (vector, &fault);
      g_assert_cmpstr (stage, ==, "body");
      return;
    }
  g_assert_cmpstr (stage, !=, "header");
  g_assert_cmpstr (stage, !=, "body");
  if (!left_to_messaging (json_object_get_string_member (vector, "name")))
    g_assert_cmpint (payload_is_good (&frame, &parts), ==, g_str_equal (stage, ""));
  if (g_str_equal (expected (vector, "outcome"), "ok"))
    {
      JsonObject *want = json_object_get_object_member (json_object_get_object_member (vector, "expect"), "frame");

      assert_header (want, &frame, data->data);
      assert_parts (want, &frame, &parts);
    }
}

static gboolean
is_white (guint8 byte)
{
  return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Feeds what is left of DATA in pieces of at most PIECE bytes; *AT moves behind the object. */
static IpcJsonStatus
feed_object (IpcJsonValidator *validator, GByteArray *data, gsize piece, gsize *at, IpcFault *fault)
{
  IpcJsonStatus status = IPC_JSON_MORE;

  ipc_json_validator_reset (validator);
  while (status == IPC_JSON_MORE && *at < data->len)
    {
      gsize taken = 0;

      status = ipc_json_validator_feed (validator, data->data + *at, MIN (piece, data->len - *at), &taken, fault);
      if (status != IPC_JSON_INVALID)
        g_assert_cmpuint (taken, >, 0);
      *at += taken;
    }
  return status;
}

static void
test_json_in_pieces (JsonObject *vector, GByteArray *data, gsize piece)
{
  IpcJsonValidator *validator = ipc_json_validator_new (true);
  gint64 expected_documents = json_object_get_int_member (json_object_get_object_member (vector, "expect"), "documents");
  gint64 documents = 0;
  IpcJsonStatus status = IPC_JSON_COMPLETE;
  IpcFault fault = { 0 };

  for (gsize at = 0; at < data->len && status == IPC_JSON_COMPLETE;)
    {
      gsize start = at;

      if (is_white (data->data[at]))
        {
          at++;
          continue;
        }
      status = feed_object (validator, data, piece, &at, &fault);
      if (at - start > MAX_OBJECT)
        {
          ipc_fault_set (&fault, IPC_FAULT_TOO_LARGE, "more than 1 MiB");
          status = IPC_JSON_INVALID;
        }
      documents += status == IPC_JSON_COMPLETE;
    }
  ipc_json_validator_free (validator);

  g_assert_cmpint (documents, ==, expected_documents);
  if (status == IPC_JSON_INVALID)
    assert_fault (vector, &fault);
  else
    g_assert_cmpstr (expected (vector, "outcome"), ==, status == IPC_JSON_MORE ? "incomplete" : "ok");
}

static void
test_json (JsonObject *vector)
{
  g_autoptr (GByteArray) data = vector_data (vector);

  test_json_in_pieces (vector, data, 1);
  test_json_in_pieces (vector, data, 13);
  test_json_in_pieces (vector, data, data->len);
}

static void
test_gvariant (JsonObject *vector)
{
  g_autoptr (GByteArray) data = vector_data (vector);
  const char *type = json_object_get_string_member (vector, "type");
  g_autoptr (GVariant) value = NULL;
  g_autoptr (GError) error = NULL;

  if (!g_str_equal (expected (vector, "outcome"), "ok"))
    {
      /* No bytes are the default value of a variant to GLib; the protocol asks for one that is there. */
      if (data->len > 0)
        g_assert_false (variant_is_normal (type, data->data, data->len));
      return;
    }
  value = g_variant_parse (G_VARIANT_TYPE (type), json_object_get_string_member (vector, "text"), NULL, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (g_variant_get_data (value), g_variant_get_size (value), data->data, data->len);
}

static void
run_vector (gconstpointer data)
{
  JsonObject *vector = (JsonObject *) data;
  const char *layer = json_object_get_string_member (vector, "layer");

  g_test_message ("%s", json_object_get_string_member (vector, "description"));
  if (g_str_equal (layer, "preamble"))
    test_preamble (vector);
  else if (g_str_equal (layer, "frame"))
    test_frame (vector);
  else if (g_str_equal (layer, "json"))
    test_json (vector);
  else if (g_str_equal (layer, "gvariant"))
    test_gvariant (vector);
  else
    g_assert_not_reached ();
}

static char *
vectors_path (void)
{
  const char *directory = g_getenv ("IPC_VECTORS_DIR");

  return directory != NULL ? g_build_filename (directory, "vectors.json", NULL)
                           : g_test_build_filename (G_TEST_DIST, "..", "vectors", "vectors.json", NULL);
}

static void
add_vectors (JsonArray *vectors)
{
  for (guint i = 0; i < json_array_get_length (vectors); i++)
    {
      JsonObject *vector = json_array_get_object_element (vectors, i);
      const char *layer = json_object_get_string_member (vector, "layer");
      g_autofree char *path = g_strdup_printf ("/vectors/%s/%s", layer, json_object_get_string_member (vector, "name"));

      if (!g_str_equal (layer, "stream"))
        g_test_add_data_func (path, vector, run_vector);
    }
}

int
main (int argc, char **argv)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;

  g_test_init (&argc, &argv, NULL);
  path = vectors_path ();
  if (!json_parser_load_from_file (parser, path, &error))
    g_error ("%s: %s", path, error->message);
  add_vectors (json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "vectors"));
  return g_test_run ();
}
