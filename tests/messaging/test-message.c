/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages as programs make and read them: constructors, getters, what sending refuses, and counting.
 */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/ipc-json-validator.h"
#include "ipc-glib.h"
#include "ipc-test.h"
#include "messaging/ipc-message-private.h"

static void
assert_sendable (IpcMessage *message)
{
  g_autoptr(GError) error = NULL;

  ipc_message_check (message, FALSE, &error);
  g_assert_no_error (error);
}

static void
assert_unsendable (IpcMessage *message, IpcError code)
{
  /* each time: a refusal is not forgotten */
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_false (ipc_message_check (message, i == 1, &error));
      g_assert_error (error, IPC_ERROR, (int) code);
      g_assert_cmpuint (strlen (error->message), >, 0);
    }
}

static GBytes *
bytes_of (const char *text)
{
  return g_bytes_new (text, strlen (text));
}

static void
assert_payload (IpcMessage *message, gconstpointer expected, gsize size)
{
  gsize peeked;
  gconstpointer data = ipc_message_peek_payload (message, &peeked);
  GBytes *payload = ipc_message_get_payload (message);

  g_assert_cmpmem (data, peeked, expected, size);
  g_assert_nonnull (payload);
  g_assert_cmpmem (g_bytes_get_data (payload, NULL), g_bytes_get_size (payload), expected, size);
  g_assert_true (ipc_message_get_payload (message) == payload);
}

/* ── Constructors and getters ── */

static void
test_bytes (IpcTest *test)
{
  g_autoptr(GBytes) payload = g_bytes_new ("\0\xff" "ab", 4);
  g_autoptr(IpcMessage) message = ipc_message_new ("type", payload);

  assert_sendable (message);
  g_assert_cmpstr (ipc_message_get_message_type (message), ==, "type");
  g_assert_cmpint (ipc_message_get_format (message), ==, IPC_PAYLOAD_FORMAT_BYTES);
  assert_payload (message, "\0\xff" "ab", 4);
  g_assert_null (ipc_message_get_text (message));
  g_assert_null (ipc_message_get_variant (message));
  g_assert_null (ipc_message_get_json (message));
  g_assert_null (ipc_message_get_fd_list (message));
  g_assert_false (ipc_message_get_is_request (message));
}

static void
test_empty (IpcTest *test)
{
  g_autoptr(GBytes) nothing = g_bytes_new (NULL, 0);
  g_autoptr(IpcMessage) none = ipc_message_new ("a", NULL);
  g_autoptr(IpcMessage) empty = ipc_message_new ("a", nothing);
  g_autoptr(IpcMessage) text = ipc_message_new_text ("a", "");
  g_autoptr(IpcMessage) full_text = ipc_message_new_full ("a", IPC_PAYLOAD_FORMAT_TEXT, NULL, NULL, NULL);
  g_autoptr(IpcMessage) full_variant = ipc_message_new_full ("a", IPC_PAYLOAD_FORMAT_VARIANT, NULL, NULL, NULL);
  g_autoptr(IpcMessage) full_json = ipc_message_new_full ("a", IPC_PAYLOAD_FORMAT_JSON, NULL, NULL, NULL);

  assert_sendable (none);
  assert_sendable (empty);
  assert_payload (none, "", 0);
  assert_payload (empty, "", 0);
  assert_sendable (text);
  assert_sendable (full_text);
  g_assert_cmpstr (ipc_message_get_text (text), ==, "");
  g_assert_cmpstr (ipc_message_get_text (full_text), ==, "");
  assert_unsendable (full_variant, IPC_ERROR_INVALID_DATA);
  assert_unsendable (full_json, IPC_ERROR_INVALID_DATA);
  g_assert_null (ipc_message_get_variant (full_variant));
  g_assert_null (ipc_message_get_json (full_json));
}

static void
test_text (IpcTest *test)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("type", "gr\xc3\xbc\xc3\x9f dich");

  assert_sendable (message);
  g_assert_cmpint (ipc_message_get_format (message), ==, IPC_PAYLOAD_FORMAT_TEXT);
  g_assert_cmpstr (ipc_message_get_text (message), ==, "gr\xc3\xbc\xc3\x9f dich");
  assert_payload (message, "gr\xc3\xbc\xc3\x9f dich", 11);
}

static void
test_text_malformed (IpcTest *test)
{
  g_autoptr(GBytes) with_nul = g_bytes_new ("a\0b", 3);
  g_autoptr(IpcMessage) latin1 = ipc_message_new_text ("type", "gr\xfc\xdf");
  g_autoptr(IpcMessage) nul = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_TEXT, with_nul, NULL, NULL);

  assert_unsendable (latin1, IPC_ERROR_INVALID_DATA);
  assert_unsendable (nul, IPC_ERROR_INVALID_DATA);
  /* bytes are there, text is not */
  assert_payload (latin1, "gr\xfc\xdf", 4);
  g_assert_null (ipc_message_get_text (latin1));
  g_assert_null (ipc_message_get_text (nul));
}

/* A text that is not terminated where it lies. */
static void
test_text_slice (IpcTest *test)
{
  g_autoptr(GBytes) whole = bytes_of ("abcdef");
  g_autoptr(GBytes) slice = g_bytes_new_from_bytes (whole, 1, 3);
  g_autoptr(IpcMessage) message = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_TEXT, slice, NULL, NULL);

  g_assert_cmpstr (ipc_message_get_text (message), ==, "bcd");
  g_assert_true (ipc_message_get_text (message) == ipc_message_get_text (message));
}

static void
test_format (IpcTest *test)
{
  static const int formats[] = { 4, 7, 99, 255, 256, G_MAXINT };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new_full ("type", (IpcPayloadFormat) formats[i], NULL, NULL, NULL);

      assert_unsendable (message, IPC_ERROR_INVALID_ARGUMENT);
      g_assert_null (ipc_message_get_text (message));
    }
}

static void
test_id (IpcTest *test)
{
  g_autoptr(IpcMessage) one = ipc_message_new ("a", NULL);
  g_autoptr(IpcMessage) two = ipc_message_new ("a", NULL);

  g_assert_true (g_uuid_string_is_valid (ipc_message_get_id (one)));
  g_assert_cmpstr (ipc_message_get_id (one), ==, ipc_message_get_id (one));
  g_assert_cmpstr (ipc_message_get_id (one), !=, ipc_message_get_id (two));
}

static void
test_timestamp (IpcTest *test)
{
  gint64 before = g_get_real_time ();
  g_autoptr(IpcMessage) message = ipc_message_new ("a", NULL);
  gint64 after = g_get_real_time ();

  g_assert_cmpint (ipc_message_get_timestamp (message), >=, before);
  g_assert_cmpint (ipc_message_get_timestamp (message), <=, after);
}

/* ── Types ── */

static void
test_types (IpcTest *test)
{
  g_autofree char *longest = g_strnfill (255, 't');
  const char *const types[] = { "a", " ", "org.example.Progress", "gr\xc3\xbc\xc3\x9f", "errors", "Error", "lines",
                                "ipc", longest };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new_text (types[i], "x");

      assert_sendable (message);
      g_assert_cmpstr (ipc_message_get_message_type (message), ==, types[i]);
    }
}

static void
test_types_refused (IpcTest *test)
{
  g_autofree char *too_long = g_strnfill (256, 't');
  g_autofree char *much_too_long = g_strnfill (100000, 't');
  const char *const types[] = { "", too_long, much_too_long, "a\nb", "\x01", "a\x7f", "\xc2\x85", "\xff", "gr\xfc",
                                "a\xe2\x82" };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new (types[i], NULL);
      g_autoptr(GError) error = NULL;

      g_assert_false (ipc_message_check (message, FALSE, &error));
      g_assert_true (g_error_matches (error, IPC_ERROR, IPC_ERROR_INVALID_DATA) ||
                     g_error_matches (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT));
      /* it does not repeat what is not text */
      g_assert_true (g_utf8_validate (error->message, -1, NULL));
      g_assert_cmpuint (strlen (error->message), <, 600);
      /* and it is there all the same */
      g_assert_cmpstr (ipc_message_get_message_type (message), ==, types[i]);
    }
}

static void
test_types_reserved (IpcTest *test)
{
  static const char *const types[] = { "error", "line" };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new (types[i], NULL);

      assert_unsendable (message, IPC_ERROR_INVALID_ARGUMENT);
    }
}

/* ── Headers ── */

static IpcMessage *
with_headers (const char *const *headers)
{
  return ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_BYTES, NULL, headers, NULL);
}

static void
test_headers (IpcTest *test)
{
  static const char *const headers[] = { "key", "value", "k\xc3\xa9y", "", "b", "\n\x01", NULL };
  g_autoptr(IpcMessage) message = with_headers (headers);
  g_autoptr(GHashTable) table = ipc_message_get_headers (message);

  assert_sendable (message);
  g_assert_cmpstr (ipc_message_get_header (message, "key"), ==, "value");
  g_assert_cmpstr (ipc_message_get_header (message, "k\xc3\xa9y"), ==, "");
  g_assert_null (ipc_message_get_header (message, "KEY"));
  g_assert_null (ipc_message_get_header (message, ""));
  g_assert_cmpuint (g_hash_table_size (table), ==, 3);
  g_assert_cmpstr (g_hash_table_lookup (table, "b"), ==, "\n\x01");
}

static void
test_headers_none (IpcTest *test)
{
  static const char *const empty[] = { NULL };
  g_autoptr(IpcMessage) none = with_headers (NULL);
  g_autoptr(IpcMessage) nothing = with_headers (empty);
  g_autoptr(GHashTable) table = ipc_message_get_headers (none);

  assert_sendable (none);
  assert_sendable (nothing);
  g_assert_cmpuint (g_hash_table_size (table), ==, 0);
  g_assert_null (ipc_message_get_header (nothing, "a"));
}

static void
test_headers_refused (IpcTest *test)
{
  static const char *const odd[] = { "a", "b", "c", NULL };
  static const char *const one[] = { "a", NULL };
  static const char *const twice[] = { "a", "b", "a", "c", NULL };
  static const char *const nameless[] = { "", "b", NULL };
  static const char *const bad_key[] = { "\xff", "b", NULL };
  static const char *const bad_value[] = { "a", "\xff", NULL };
  static const char *const *const cases[] = { odd, one, twice, nameless, bad_key, bad_value };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(IpcMessage) message = with_headers (cases[i]);
      g_autoptr(GHashTable) table = ipc_message_get_headers (message);

      assert_unsendable (message, IPC_ERROR_INVALID_DATA);
    }
}

/* Several things wrong at once are one error, and no leak. */
static void
test_headers_twice_wrong (IpcTest *test)
{
  static const char *const headers[] = { "\xff", "a", "b", "\xff", "c", NULL };
  g_autoptr(IpcMessage) message = ipc_message_new_full ("type", 9, NULL, headers, NULL);
  g_autoptr(GError) error = NULL;

  g_assert_false (ipc_message_check (message, FALSE, &error));
  g_assert_cmpint (error->domain, ==, IPC_ERROR);
}

/* ── JSON ── */

static JsonNode *
parse (const char *text)
{
  g_autoptr(GError) error = NULL;
  JsonNode *node = json_from_string (text, &error);

  g_assert_no_error (error);
  return node;
}

static void
test_json (IpcTest *test)
{
  static const char *const texts[] = { "null", "true", "1", "\"x\"", "[]", "{}", "{\"a\":[1,2.5,null,\"\\n\"]}" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(JsonNode) node = parse (texts[i]);
      g_autoptr(IpcMessage) message = ipc_message_new_json ("type", node);

      assert_sendable (message);
      g_assert_cmpint (ipc_message_get_format (message), ==, IPC_PAYLOAD_FORMAT_JSON);
      g_assert_true (json_node_equal (ipc_message_get_json (message), node));
      g_assert_true (ipc_message_get_json (message) == ipc_message_get_json (message));
      assert_payload (message, texts[i], strlen (texts[i]));
    }
}

/* The message does not change with what it was made from. */
static void
test_json_is_a_copy (IpcTest *test)
{
  g_autoptr(JsonNode) node = parse ("{\"a\":1}");
  g_autoptr(IpcMessage) message = ipc_message_new_json ("type", node);

  json_object_set_int_member (json_node_get_object (node), "a", 2);
  g_assert_cmpint (json_object_get_int_member (json_node_get_object (ipc_message_get_json (message)), "a"), ==, 1);
}

static JsonNode *
nest_json (guint depth)
{
  JsonNode *node = json_node_init_int (json_node_alloc (), 1);

  while (depth-- > 0)
    {
      JsonArray *array = json_array_new ();

      json_array_add_element (array, node);
      node = json_node_init_array (json_node_alloc (), array);
      json_array_unref (array);
    }
  return node;
}

static void
test_json_depth (IpcTest *test)
{
  static const struct
  {
    guint depth;
    gboolean fine;
  } cases[] = { { 1, TRUE }, { 64, TRUE }, { 65, FALSE }, { 100, FALSE }, { 5000, FALSE } };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr(JsonNode) node = nest_json (cases[i].depth);
      g_autoptr(IpcMessage) message = ipc_message_new_json ("type", node);

      if (cases[i].fine)
        assert_sendable (message);
      else
        assert_unsendable (message, IPC_ERROR_INVALID_DATA);
    }
}

/* In an object as well as in an array, however deep. */
static void
test_json_not_finite (IpcTest *test)
{
  const double numbers[] = { INFINITY, -INFINITY, NAN };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autoptr(JsonNode) node = parse ("{\"a\":[0]}");
      g_autoptr(IpcMessage) message = NULL;

      json_array_add_double_element (json_object_get_array_member (json_node_get_object (node), "a"), numbers[i]);
      message = ipc_message_new_json ("type", node);
      assert_unsendable (message, IPC_ERROR_INVALID_DATA);
    }
}

static void
test_json_numbers (IpcTest *test)
{
  const double numbers[] = { 1e308, -1e308, G_MAXDOUBLE, 5e-324, 1e-300, 0.1, 1e22, -0.0 };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autoptr(JsonNode) node = json_node_init_double (json_node_alloc (), numbers[i]);
      g_autoptr(IpcMessage) message = ipc_message_new_json ("type", node);

      assert_sendable (message);
      g_assert_cmpfloat (json_node_get_double (ipc_message_get_json (message)), ==, numbers[i]);
    }
}

static void
test_json_integers (IpcTest *test)
{
  const gint64 numbers[] = { G_MININT64, -1, 0, G_MAXINT64 };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autoptr(JsonNode) node = json_node_init_int (json_node_alloc (), numbers[i]);
      g_autoptr(IpcMessage) message = ipc_message_new_json ("type", node);

      assert_sendable (message);
      g_assert_cmpint (json_node_get_int (ipc_message_get_json (message)), ==, numbers[i]);
    }
}

static JsonNode *
make_wide (guint n)
{
  JsonArray *array = json_array_sized_new (n);
  JsonNode *node;

  for (guint i = 0; i < n; i++)
    json_array_add_int_element (array, i);
  node = json_node_init_array (json_node_alloc (), array);
  json_array_unref (array);
  return node;
}

static void
test_json_values (IpcTest *test)
{
  g_autoptr(JsonNode) fits = make_wide (IPC_JSON_MAX_VALUES - 1);
  g_autoptr(JsonNode) too_many = make_wide (IPC_JSON_MAX_VALUES + 1);
  g_autoptr(IpcMessage) fine = ipc_message_new_json ("type", fits);
  g_autoptr(IpcMessage) refused = ipc_message_new_json ("type", too_many);
  g_autoptr(GError) error = NULL;

  assert_sendable (fine);
  g_assert_false (ipc_message_check (refused, FALSE, &error));
  g_assert_true (g_error_matches (error, IPC_ERROR, IPC_ERROR_INVALID_DATA) ||
                 g_error_matches (error, IPC_ERROR, IPC_ERROR_TOO_LARGE));
  g_assert_nonnull (strstr (error->message, "65536"));
}

static void
test_json_strings (IpcTest *test)
{
  g_autoptr(JsonNode) latin1 = json_node_init_string (json_node_alloc (), "gr\xfc");
  g_autoptr(JsonNode) control = json_node_init_string (json_node_alloc (), "\x01\x1f\x7f\"\\/\xe2\x80\xa8");
  g_autoptr(IpcMessage) refused = ipc_message_new_json ("type", latin1);
  g_autoptr(IpcMessage) fine = ipc_message_new_json ("type", control);

  assert_unsendable (refused, IPC_ERROR_INVALID_DATA);
  assert_sendable (fine);
  g_assert_cmpstr (json_node_get_string (ipc_message_get_json (fine)), ==, "\x01\x1f\x7f\"\\/\xe2\x80\xa8");
}

static void
test_json_full (IpcTest *test)
{
  static const char *const refused[] = { "[1,]", "{}{}", "0123", "{\"a\":1,\"a\":1}", "\"\\u0000\"",
                                         "18446744073709551615" };
  g_autoptr(GBytes) spaced = bytes_of (" [ 1 ]\n");
  g_autoptr(IpcMessage) fine = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_JSON, spaced, NULL, NULL);

  assert_sendable (fine);
  g_assert_cmpuint (json_array_get_length (json_node_get_array (ipc_message_get_json (fine))), ==, 1);
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autoptr(GBytes) payload = bytes_of (refused[i]);
      g_autoptr(IpcMessage) message = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_JSON, payload, NULL, NULL);

      assert_unsendable (message, IPC_ERROR_INVALID_DATA);
      g_assert_null (ipc_message_get_json (message));
    }
}

/* ── GVariants ── */

static void
check_variant (GVariant *value)
{
  g_autoptr(GVariant) owned = g_variant_ref_sink (value);
  g_autoptr(IpcMessage) message = ipc_message_new_variant ("type", owned);
  g_autoptr(IpcMessage) again = NULL;

  assert_sendable (message);
  g_assert_cmpint (ipc_message_get_format (message), ==, IPC_PAYLOAD_FORMAT_VARIANT);
  g_assert_cmpvariant (ipc_message_get_variant (message), owned);
  /* as it comes out at the other side */
  again = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_VARIANT, ipc_message_get_payload (message), NULL, NULL);
  assert_sendable (again);
  g_assert_cmpvariant (ipc_message_get_variant (again), owned);
  g_assert_true (ipc_message_get_variant (again) == ipc_message_get_variant (again));
}

static void
test_variant (IpcTest *test)
{
  check_variant (g_variant_new_parsed ("{'a': <[1, 2]>, 'b': <('x', @ms nothing)>}"));
  check_variant (g_variant_new ("()"));
  check_variant (g_variant_new_string (""));
  check_variant (g_variant_new_double (-0.0));
  check_variant (g_variant_new_double (INFINITY));
  check_variant (g_variant_new_variant (g_variant_new_byte (7)));
  check_variant (g_variant_new_array (G_VARIANT_TYPE ("(sv)"), NULL, 0));
  check_variant (g_variant_new_object_path ("/a/b"));
  /* an index into nothing: there is no list to check it against */
  check_variant (g_variant_new_handle (3));
}

/* A value that was made of bytes that are not what they should be. */
static void
test_variant_not_normal (IpcTest *test)
{
  g_autoptr(GBytes) bytes = g_bytes_new ("\2\2\2", 3);
  g_autoptr(GVariant) value = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE ("ab"), bytes, FALSE));
  g_autoptr(IpcMessage) message = ipc_message_new_variant ("type", value);

  g_assert_false (g_variant_is_normal_form (value));
  assert_unsendable (message, IPC_ERROR_INVALID_DATA);
}

static GVariant *
nest_variant (guint levels)
{
  GVariant *value = g_variant_new_int32 (7);

  while (levels-- > 0)
    value = g_variant_new_variant (value);
  return value;
}

/* With the one that all are wrapped in, 64 levels at most. */
static void
test_variant_depth (IpcTest *test)
{
  g_autoptr(IpcMessage) fine = ipc_message_new_variant ("type", nest_variant (63));
  g_autoptr(IpcMessage) refused = ipc_message_new_variant ("type", nest_variant (64));

  assert_sendable (fine);
  assert_unsendable (refused, IPC_ERROR_INVALID_DATA);
}

/* A payload that is a part of something larger lies anywhere. */
static void
test_variant_unaligned (IpcTest *test)
{
  g_autoptr(IpcMessage) made = ipc_message_new_variant ("type", g_variant_new_uint32 (7));

  for (gsize offset = 0; offset < 9; offset++)
    {
      gsize size = g_bytes_get_size (ipc_message_get_payload (made));
      guint8 *copy = g_malloc (offset + size);
      g_autoptr(GBytes) whole = g_bytes_new_take (copy, offset + size);
      g_autoptr(GBytes) slice = g_bytes_new_from_bytes (whole, offset, size);
      g_autoptr(IpcMessage) message = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_VARIANT, slice, NULL, NULL);

      memcpy (copy + offset, g_bytes_get_data (ipc_message_get_payload (made), NULL), size);
      assert_sendable (message);
      g_assert_cmpuint (g_variant_get_uint32 (ipc_message_get_variant (message)), ==, 7);
    }
}

static void
test_variant_full (IpcTest *test)
{
  static const char *const refused[] = { "x", "\x07" "u", "abc" };

  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autoptr(GBytes) payload = bytes_of (refused[i]);
      g_autoptr(IpcMessage) message = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_VARIANT, payload, NULL, NULL);

      assert_unsendable (message, IPC_ERROR_INVALID_DATA);
      g_assert_null (ipc_message_get_variant (message));
    }
}

/* ── Descriptors ── */

static void
test_fds (IpcTest *test)
{
  g_autoptr(GUnixFDList) list = g_unix_fd_list_new ();
  g_autoptr(GUnixFDList) empty = g_unix_fd_list_new ();
  g_autoptr(IpcMessage) message = NULL;
  g_autoptr(IpcMessage) none = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, empty);
  guint n_fds = ipc_test_count_fds ();

  g_assert_cmpint (g_unix_fd_list_append (list, STDERR_FILENO, NULL), ==, 0);
  message = ipc_message_new_full ("type", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, list);
  g_assert_true (ipc_message_get_fd_list (message) == list);
  g_assert_null (ipc_message_get_fd_list (none));
  g_clear_object (&list);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds + 1);
  g_clear_pointer (&message, ipc_message_unref);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
}

/* ── As a boxed type ── */

static void
test_boxed (IpcTest *test)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("type", "x");
  g_auto(GValue) value = G_VALUE_INIT;

  g_value_init (&value, IPC_TYPE_MESSAGE);
  g_value_set_boxed (&value, message);
  g_assert_true (g_value_get_boxed (&value) == message);
  g_assert_cmpint (message->ref_count, ==, 2);
  g_value_unset (&value);
  g_assert_cmpint (message->ref_count, ==, 1);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/message/bytes", test_bytes);
  ipc_test_add ("/messaging/message/empty", test_empty);
  ipc_test_add ("/messaging/message/text", test_text);
  ipc_test_add ("/messaging/message/text-malformed", test_text_malformed);
  ipc_test_add ("/messaging/message/text-slice", test_text_slice);
  ipc_test_add ("/messaging/message/format", test_format);
  ipc_test_add ("/messaging/message/id", test_id);
  ipc_test_add ("/messaging/message/timestamp", test_timestamp);
  ipc_test_add ("/messaging/message/types", test_types);
  ipc_test_add ("/messaging/message/types-refused", test_types_refused);
  ipc_test_add ("/messaging/message/types-reserved", test_types_reserved);
  ipc_test_add ("/messaging/message/headers", test_headers);
  ipc_test_add ("/messaging/message/headers-none", test_headers_none);
  ipc_test_add ("/messaging/message/headers-refused", test_headers_refused);
  ipc_test_add ("/messaging/message/headers-twice-wrong", test_headers_twice_wrong);
  ipc_test_add ("/messaging/message/json", test_json);
  ipc_test_add ("/messaging/message/json-is-a-copy", test_json_is_a_copy);
  ipc_test_add ("/messaging/message/json-depth", test_json_depth);
  ipc_test_add ("/messaging/message/json-not-finite", test_json_not_finite);
  ipc_test_add ("/messaging/message/json-numbers", test_json_numbers);
  ipc_test_add ("/messaging/message/json-integers", test_json_integers);
  ipc_test_add ("/messaging/message/json-values", test_json_values);
  ipc_test_add ("/messaging/message/json-strings", test_json_strings);
  ipc_test_add ("/messaging/message/json-full", test_json_full);
  ipc_test_add ("/messaging/message/variant", test_variant);
  ipc_test_add ("/messaging/message/variant-not-normal", test_variant_not_normal);
  ipc_test_add ("/messaging/message/variant-depth", test_variant_depth);
  ipc_test_add ("/messaging/message/variant-unaligned", test_variant_unaligned);
  ipc_test_add ("/messaging/message/variant-full", test_variant_full);
  ipc_test_add ("/messaging/message/fds", test_fds);
  ipc_test_add ("/messaging/message/boxed", test_boxed);
  return ipc_test_run ();
}
