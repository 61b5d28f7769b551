/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a payload and headers must be, whoever they come from.
 */
#include <string.h>

#include "core/ipc-json-validator.h"
#include "ipc-error.h"
#include "ipc-test.h"
#include "messaging/ipc-message-private.h"

static void
assert_fine (IpcPayloadFormat format, gconstpointer payload, gsize size)
{
  g_autoptr(GError) error = NULL;

  ipc_payload_check (format, payload, size, &error);
  g_assert_no_error (error);
}

static void
assert_refused (IpcPayloadFormat format, gconstpointer payload, gsize size, const char *words)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (ipc_payload_check (format, payload, size, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
  if (words && !strstr (error->message, words))
    g_error ("\"%s\" does not say \"%s\"", error->message, words);
  /* nobody has to want to know */
  g_assert_false (ipc_payload_check (format, payload, size, NULL));
}

static void
test_bytes (IpcTest *test)
{
  assert_fine (IPC_PAYLOAD_FORMAT_BYTES, NULL, 0);
  assert_fine (IPC_PAYLOAD_FORMAT_BYTES, "\0\xff\xfe", 3);
}

static void
test_unknown_format (IpcTest *test)
{
  for (guint format = 4; format < 9; format++)
    {
      g_autoptr(GError) error = NULL;

      g_assert_false (ipc_payload_check (format, (const guint8 *) "x", 1, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
    }
}

static void
test_text (IpcTest *test)
{
  assert_fine (IPC_PAYLOAD_FORMAT_TEXT, NULL, 0);
  assert_fine (IPC_PAYLOAD_FORMAT_TEXT, "a\x01\x7f\n", 4);
  assert_fine (IPC_PAYLOAD_FORMAT_TEXT, "\xf4\x8f\xbf\xbf", 4);
  assert_refused (IPC_PAYLOAD_FORMAT_TEXT, "ab\0c", 4, "byte 2");
  assert_refused (IPC_PAYLOAD_FORMAT_TEXT, "ab\0", 3, "NUL");
  assert_refused (IPC_PAYLOAD_FORMAT_TEXT, "abc\xff", 4, "byte 3");
  assert_refused (IPC_PAYLOAD_FORMAT_TEXT, "\xc0\xaf", 2, "byte 0");
  assert_refused (IPC_PAYLOAD_FORMAT_TEXT, "\xed\xa0\x80", 3, NULL);
  assert_refused (IPC_PAYLOAD_FORMAT_TEXT, "\xf4\x90\x80\x80", 4, NULL);
  assert_refused (IPC_PAYLOAD_FORMAT_TEXT, "\xe2\x82", 2, NULL);
}

static void
test_json (IpcTest *test)
{
  static const char *const fine[] = { "null", " [1,2] ", "\"x\"", "-1.5e3", "{\"a\":{\"b\":[]}}" };
  static const char *const refused[] = { "", " ", "[1,]", "{}{}", "nul", "0123", "{\"a\":1,\"a\":2}", "\"\\u0000\"",
                                         "1e999",
                                         "9223372036854775808", "\xef\xbb\xbf[]", "NaN", "'a'" };

  for (guint i = 0; i < G_N_ELEMENTS (fine); i++)
    assert_fine (IPC_PAYLOAD_FORMAT_JSON, fine[i], strlen (fine[i]));
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    assert_refused (IPC_PAYLOAD_FORMAT_JSON, refused[i], strlen (refused[i]), "JSON");
}

static void
test_json_depth (IpcTest *test)
{
  for (guint depth = 63; depth <= 66; depth++)
    {
      g_autofree char *open = g_strnfill (depth, '[');
      g_autofree char *close = g_strnfill (depth, ']');
      g_autofree char *text = g_strconcat (open, close, NULL);

      if (depth <= IPC_JSON_MAX_DEPTH)
        assert_fine (IPC_PAYLOAD_FORMAT_JSON, text, strlen (text));
      else
        assert_refused (IPC_PAYLOAD_FORMAT_JSON, text, strlen (text), "64");
    }
}

/* ── GVariants ── */

#define LONG_TYPE "of a type with more than 255 characters"

/* The bytes of VALUE (floating) in the `v` that it goes over the wire in. */
static GBytes *
to_wire (GVariant *value)
{
  g_autoptr(GVariant) wire = g_variant_ref_sink (g_variant_new_variant (value));

  return g_variant_get_data_as_bytes (wire);
}

static void
check_variant (GVariant *value, gboolean fine)
{
  g_autoptr(GBytes) bytes = to_wire (value);
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  if (fine)
    assert_fine (IPC_PAYLOAD_FORMAT_VARIANT, data, size);
  else
    assert_refused (IPC_PAYLOAD_FORMAT_VARIANT, data, size, "deeper than 64");
}

static GVariant *
nest (guint levels, GVariant *(*wrap) (GVariant *))
{
  GVariant *value = g_variant_new_int32 (7);

  while (levels-- > 0)
    value = wrap (value);
  return value;
}

static GVariant *
wrap_array (GVariant *value)
{
  return g_variant_new_array (NULL, &value, 1);
}

static GVariant *
wrap_tuple (GVariant *value)
{
  GVariant *items[] = { g_variant_new_byte (1), value };

  return g_variant_new_tuple (items, 2);
}

static GVariant *
wrap_maybe (GVariant *value)
{
  return g_variant_new_maybe (NULL, value);
}

/* An entry is a level of its own. */
static GVariant *
wrap_entry (GVariant *value)
{
  return g_variant_new_dict_entry (g_variant_new_string ("k"), g_variant_new_variant (value));
}

/* The outermost `v` of a payload is the first of the 64 levels. */
static void
test_variant_depth (IpcTest *test)
{
  GVariant *(*const wraps[]) (GVariant *) = { g_variant_new_variant, wrap_array, wrap_tuple, wrap_maybe };

  for (guint i = 0; i < G_N_ELEMENTS (wraps); i++)
    {
      check_variant (nest (63, wraps[i]), TRUE);
      check_variant (nest (64, wraps[i]), FALSE);
      check_variant (nest (100, wraps[i]), FALSE);
    }
  /* an entry and its variant are two levels */
  check_variant (nest (31, wrap_entry), TRUE);
  check_variant (nest (32, wrap_entry), FALSE);
}

/* The levels of what is empty count as well: they are in the type. */
static void
test_variant_empty_depth (IpcTest *test)
{
  g_autofree char *arrays = g_strnfill (64, 'a');
  g_autofree char *type = g_strconcat (arrays, "y", NULL);

  check_variant (g_variant_new_array (G_VARIANT_TYPE (type + 1), NULL, 0), FALSE);
  check_variant (g_variant_new_array (G_VARIANT_TYPE (type + 2), NULL, 0), TRUE);
}

/* One deep branch among shallow ones, on whichever side. */
static void
test_variant_branches (IpcTest *test)
{
  for (guint at = 0; at < 3; at++)
    {
      GVariant *items[3];

      for (guint i = 0; i < 3; i++)
        items[i] = i == at ? nest (63, g_variant_new_variant) : g_variant_new_variant (g_variant_new_string ("flat"));
      check_variant (g_variant_new_tuple (items, 3), FALSE);
    }
}

static void
test_variant_wide (IpcTest *test)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{sv}"));
  for (guint i = 0; i < 20000; i++)
    g_variant_builder_add (&builder, "{sv}", "key", g_variant_new_uint32 (i));
  check_variant (g_variant_builder_end (&builder), TRUE);
}

/* A long type is not read anew for each of many elements. By hand, since GLib takes long to make it: an array of N
 * times (<byte 1>, []), the type of whose empty array has N members. */
static void
test_variant_long_type (IpcTest *test)
{
  static const char element[] = { 1, 0, 'y', 3 }; /* the variant, and where it ends */
  const guint n = 40000;
  g_autofree char *members = g_strnfill (n, 'y');
  g_autoptr(GString) payload = g_string_new (NULL);

  ipc_test_set_deadline (10);
  for (guint i = 0; i < n; i++)
    {
      g_string_append_len (payload, "\0\0\0\0", i > 0 ? 4 : 0);
      g_string_append_len (payload, element, sizeof element);
    }
  for (guint i = 0; i < n; i++)
    {
      guint8 end[4];

      ipc_store_le32 (end, 8 * i + 4);
      g_string_append_len (payload, (const char *) end, sizeof end);
    }
  g_string_append_c (payload, '\0');
  g_string_append_printf (payload, "a(va(%s))", members);
  assert_refused (IPC_PAYLOAD_FORMAT_VARIANT, payload->str, payload->len, LONG_TYPE);
}

/* Of N characters. */
static GVariant *
new_of_type (guint n)
{
  GVariant *items[300];

  for (guint i = 0; i < n - 2; i++)
    items[i] = g_variant_new_byte ((guint8) i);
  return g_variant_new_tuple (items, n - 2);
}

static void
check_type_length (GVariant *value, gboolean fine)
{
  g_autoptr(GBytes) bytes = to_wire (value);
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  if (fine)
    assert_fine (IPC_PAYLOAD_FORMAT_VARIANT, data, size);
  else
    assert_refused (IPC_PAYLOAD_FORMAT_VARIANT, data, size, LONG_TYPE);
}

/* At whatever level it is, and whether or not there is anything of that type. */
static void
test_variant_type_length (IpcTest *test)
{
  for (guint n = 254; n <= 257; n++)
    {
      g_autofree char *members = g_strnfill (n - 3, 'y');
      g_autofree char *type = g_strconcat ("(", members, ")", NULL);
      GVariant *deep = new_of_type (n);

      for (guint levels = 0; levels < 3; levels++)
        deep = g_variant_new_variant (deep);
      check_type_length (new_of_type (n), n <= 255);
      check_type_length (deep, n <= 255);
      check_type_length (g_variant_new_array (G_VARIANT_TYPE (type), NULL, 0), n <= 255);
      check_type_length (g_variant_new_parsed ("{'key': <%v>}", new_of_type (n)), n <= 255);
    }
}

static void
test_variant_malformed (IpcTest *test)
{
  static const struct
  {
    const char *bytes;
    gsize size;
  } cases[] = {
    { "", 0 },
    { "\0", 1 },
    { "\7\0\0\0\0u ", 7 },          /* no such type */
    { "\7\0\0u", 4 },               /* no separator */
    { "\7\0\0\0u", 5 },             /* three bytes for four */
    { "\2\0b", 3 },                 /* neither 0 nor 1 */
    { "abc\0s", 5 },                /* the string has no NUL */
    { "\xff\0\0s", 4 },             /* not UTF-8 */
    { "x\0\1\0\0\0\7\0\0\0\2\0(su)", 16 }, /* padding */
    { "\0\0\0\0\0(uu)", 10 },       /* half of it */
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_refused (IPC_PAYLOAD_FORMAT_VARIANT, cases[i].bytes, cases[i].size, "normal form");
}

static void
check_unaligned (GVariant *value)
{
  g_autoptr(GBytes) bytes = to_wire (value);
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  for (gsize offset = 0; offset < 16; offset++)
    {
      g_autofree guint8 *copy = g_malloc (offset + size);

      memcpy (copy + offset, data, size);
      assert_fine (IPC_PAYLOAD_FORMAT_VARIANT, copy + offset, size);
    }
}

static void
test_variant_cut (IpcTest *test)
{
  g_autoptr(GBytes) bytes = to_wire (g_variant_new_parsed ("(%x, 'text', [1.5, 2.5], {'a': <uint16 7>})",
                                                           G_GINT64_CONSTANT (1) << 40));
  gsize size;
  const guint8 *data = g_bytes_get_data (bytes, &size);

  for (gsize cut = 0; cut < size; cut++)
    {
      g_autofree guint8 *copy = g_memdup2 (data, MAX (cut, 1));

      assert_refused (IPC_PAYLOAD_FORMAT_VARIANT, copy, cut, NULL);
    }
}

/* Wherever the bytes happen to lie in memory. */
static void
test_variant_unaligned (IpcTest *test)
{
  check_unaligned (g_variant_new_parsed ("(%x, 'text', [1.5, 2.5], {'a': <uint16 7>})", G_GINT64_CONSTANT (1) << 40));
  /* small ones, which GLib has a rule of its own for */
  check_unaligned (g_variant_new_byte (1));
  check_unaligned (g_variant_new_uint16 (1));
  check_unaligned (g_variant_new_uint32 (1));
  check_unaligned (g_variant_new_uint64 (1));
  check_unaligned (g_variant_new_string (""));
  check_unaligned (g_variant_new_variant (g_variant_new_byte (1)));
  check_unaligned (g_variant_new_variant (g_variant_new_uint16 (1)));
  check_unaligned (g_variant_new_parsed ("(byte 1, uint16 2)"));
  check_unaligned (g_variant_new_parsed ("[uint16 2]"));
  check_unaligned (g_variant_new_parsed ("@mi 7"));
}

/* ── Headers ── */

static void
check_headers (gconstpointer bytes, gsize size, const char *words)
{
  g_autoptr(GError) error = NULL;

  if (ipc_headers_check (bytes, size, &error))
    g_assert_null (words);
  else
    {
      g_assert_nonnull (words);
      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
      if (!strstr (error->message, words))
        g_error ("\"%s\" does not say \"%s\"", error->message, words);
    }
}

static void
check_dictionary (const char *text, const char *words)
{
  g_autoptr(GVariant) headers = g_variant_ref_sink (g_variant_new_parsed (text));

  check_headers (g_variant_get_data (headers), g_variant_get_size (headers), words);
}

static void
test_headers (IpcTest *test)
{
  check_headers (NULL, 0, NULL);
  check_dictionary ("{'a': 'b'}", NULL);
  check_dictionary ("{'a': '', 'b': ''}", NULL);
  check_dictionary ("{'é': '\\u2028'}", NULL);
  check_dictionary ("{'a': 'b', 'c': 'd', 'a': 'e'}", "\"a\" is there twice");
  check_dictionary ("{'': 'b'}", "without a name");
  check_headers ("a", 1, "normal form");
  check_headers ("a\0b\0\2\5 ", 7, "normal form");
  check_headers ("\xff\0b\0\2\5", 6, "normal form");
}

static void
test_headers_many (IpcTest *test)
{
  GVariantBuilder builder;
  g_autoptr(GVariant) headers = NULL;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (guint i = 0; i < 10000; i++)
    {
      g_autofree char *key = g_strdup_printf ("key-%u", i);

      g_variant_builder_add (&builder, "{ss}", key, "value");
    }
  headers = g_variant_ref_sink (g_variant_builder_end (&builder));
  check_headers (g_variant_get_data (headers), g_variant_get_size (headers), NULL);
}

/* Random bytes: no verdict is expected, no crash, and the same verdict twice. */
static void
test_random (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();

  for (guint i = 0; i < 20000; i++)
    {
      guint8 bytes[24];
      gsize size = (gsize) g_rand_int_range (rand, 0, sizeof bytes);
      IpcPayloadFormat format = (IpcPayloadFormat) g_rand_int_range (rand, 0, 4);
      gboolean verdict;

      for (gsize j = 0; j < size; j++)
        bytes[j] = (guint8) (g_rand_boolean (rand) ? g_rand_int (rand) : (guint) "\0asv{}(\"1"[g_rand_int_range (rand, 0, 9)]);
      verdict = ipc_payload_check (format, bytes, size, NULL);
      g_assert_cmpint (ipc_payload_check (format, bytes, size, NULL), ==, verdict);
      ipc_headers_check (bytes, size, NULL);
    }
}

/* json-glib writes large exponents in a way that is not JSON. */
static void
test_exponents (IpcTest *test)
{
  static const double numbers[] = { 1e308, -1e308, 1e-308, 1.5e200, 5e-324, 0.0, -0.0, 1e15, 1e16, 1e17, 123456789.25,
                                    G_MAXDOUBLE };

  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    {
      g_autoptr(JsonNode) node = json_node_init_double (json_node_alloc (), numbers[i]);
      g_autofree char *text = ipc_json_to_text (node);
      g_autoptr(JsonNode) again = NULL;

      assert_fine (IPC_PAYLOAD_FORMAT_JSON, text, strlen (text));
      again = json_from_string (text, NULL);
      g_assert_nonnull (again);
      g_assert_cmpfloat (json_node_get_double (again), ==, numbers[i]);
    }
}

/* What looks like a number in a string is none. */
static void
test_exponents_in_strings (IpcTest *test)
{
  static const char *const texts[] = { "1e+308.0", "\\\"1e+308.0", "a1e5.0b", "\\\\", "\"1e9.0\"" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_autoptr(JsonNode) node = json_node_init_string (json_node_alloc (), texts[i]);
      g_autofree char *text = ipc_json_to_text (node);
      g_autoptr(JsonNode) again = json_from_string (text, NULL);

      g_assert_nonnull (again);
      g_assert_cmpstr (json_node_get_string (again), ==, texts[i]);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/payload/bytes", test_bytes);
  ipc_test_add ("/messaging/payload/unknown-format", test_unknown_format);
  ipc_test_add ("/messaging/payload/text", test_text);
  ipc_test_add ("/messaging/payload/json", test_json);
  ipc_test_add ("/messaging/payload/json-depth", test_json_depth);
  ipc_test_add ("/messaging/payload/variant-type-length", test_variant_type_length);
  ipc_test_add ("/messaging/payload/variant-depth", test_variant_depth);
  ipc_test_add ("/messaging/payload/variant-empty-depth", test_variant_empty_depth);
  ipc_test_add ("/messaging/payload/variant-branches", test_variant_branches);
  ipc_test_add ("/messaging/payload/variant-wide", test_variant_wide);
  ipc_test_add ("/messaging/payload/variant-long-type", test_variant_long_type);
  ipc_test_add ("/messaging/payload/variant-malformed", test_variant_malformed);
  ipc_test_add ("/messaging/payload/variant-cut", test_variant_cut);
  ipc_test_add ("/messaging/payload/variant-unaligned", test_variant_unaligned);
  ipc_test_add ("/messaging/payload/headers", test_headers);
  ipc_test_add ("/messaging/payload/headers-many", test_headers_many);
  ipc_test_add ("/messaging/payload/random", test_random);
  ipc_test_add ("/messaging/payload/exponents", test_exponents);
  ipc_test_add ("/messaging/payload/exponents-in-strings", test_exponents_in_strings);
  return ipc_test_run ();
}
