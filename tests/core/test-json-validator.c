/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The JSON validator: what passes, what does not and with which words, at every
 * way of cutting the input in two, and that json-glib takes all that passes.
 */
#include <glib.h>
#include <json-glib/json-glib.h>
#include <math.h>
#include <string.h>

#include "core/ipc-frame.h"
#include "core/ipc-json-validator.h"

#include "ipc-test.h"

#define MIB (1024 * 1024)

typedef struct
{
  const char *text;
  IpcFaultCode code;
  const char *message;
} BadDocument;

static const char *good_documents[] = {
  "{}", "[]", " \t\r\n{ \t\r\n} \t\r\n", "[[],{}]", "\"\"", "\"a\"", "true", "false", "null", "0", "-0", "1 ",
  "[true,false,null]", "[ true , false , null ]", "{\"a\":1}", "{ \"a\" : 1 , \"b\" : [ ] }",
  "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":2}}", "[{\"a\":1},{\"a\":1}]", "{\"\":1}", "{\"\":1,\" \":2}",
  "[0,-0,1,-1,10,-10,1234567890]", "[0.0,-0.0,0.5,-1.25,10.00]", "[1e5,1E5,1e+5,1e-5,1.5e05,0e0,-0e-0,0.0e99999]",
  "[9223372036854775807,-9223372036854775808]", "[9223372036854775808.0,1e308,-1.7976931348623157e308]", "[1e-999]",
  "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0001\\u00e9\\u20AC\\uD83D\\uDE00\"", "\"\x7f\"", "\"/\"",
  "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xef\xbb\xbf\"",
  "{\"caf\xc3\xa9\":1,\"cafe\\u0301\":2}",
  "{\"id\":\"1\",\"message_type\":\"echo\",\"payload\":\"a longer line of plain text\",\"timestamp\":1700000000}",
};

static const BadDocument bad_documents[] = {
  { "", IPC_FAULT_INVALID_DATA, "empty document at byte 0" },
  { "  \n", IPC_FAULT_INVALID_DATA, "empty document at byte 3" },
  { "{", IPC_FAULT_INVALID_DATA, "unfinished document at byte 1" },
  { "[1, ", IPC_FAULT_INVALID_DATA, "unfinished document at byte 4" },
  { "\"abc", IPC_FAULT_INVALID_DATA, "unfinished document at byte 4" },
  { "\"\xe2\x82", IPC_FAULT_INVALID_DATA, "unfinished document at byte 3" },
  { "\"\\u12", IPC_FAULT_INVALID_DATA, "unfinished document at byte 5" },
  { "tru", IPC_FAULT_INVALID_DATA, "unfinished document at byte 3" },
  { "-", IPC_FAULT_INVALID_DATA, "unfinished document at byte 1" },
  { "1.", IPC_FAULT_INVALID_DATA, "unfinished document at byte 2" },
  { "1e+", IPC_FAULT_INVALID_DATA, "unfinished document at byte 3" },
  { "{}{}", IPC_FAULT_INVALID_DATA, "data after the document at byte 2" },
  { "{} x", IPC_FAULT_INVALID_DATA, "data after the document at byte 2" },
  { "truex", IPC_FAULT_INVALID_DATA, "data after the document at byte 4" },
  { "1,2", IPC_FAULT_INVALID_DATA, "data after the document at byte 1" },
  { "[1,]", IPC_FAULT_INVALID_DATA, "invalid token at byte 3" },
  { "[,1]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "[1 2]", IPC_FAULT_INVALID_DATA, "expected ',' or ']' at byte 3" },
  { "[1}", IPC_FAULT_INVALID_DATA, "expected ',' or ']' at byte 2" },
  { "]", IPC_FAULT_INVALID_DATA, "invalid token at byte 0" },
  { "{\"a\":1]", IPC_FAULT_INVALID_DATA, "expected ',' or '}' at byte 6" },
  { "{\"a\":1,}", IPC_FAULT_INVALID_DATA, "expected a member name at byte 7" },
  { "{,}", IPC_FAULT_INVALID_DATA, "expected a member name at byte 1" },
  { "{1:2}", IPC_FAULT_INVALID_DATA, "expected a member name at byte 1" },
  { "{'a':1}", IPC_FAULT_INVALID_DATA, "expected a member name at byte 1" },
  { "{a:1}", IPC_FAULT_INVALID_DATA, "expected a member name at byte 1" },
  { "{\"a\" 1}", IPC_FAULT_INVALID_DATA, "expected ':' at byte 5" },
  { "{\"a\":}", IPC_FAULT_INVALID_DATA, "invalid token at byte 5" },
  { "{\"a\"}", IPC_FAULT_INVALID_DATA, "expected ':' at byte 4" },
  { "/*c*/{}", IPC_FAULT_INVALID_DATA, "invalid token at byte 0" },
  { "[1//\n]", IPC_FAULT_INVALID_DATA, "expected ',' or ']' at byte 2" },
  { "var x={};", IPC_FAULT_INVALID_DATA, "invalid token at byte 0" },
  { "\xef\xbb\xbf{}", IPC_FAULT_INVALID_DATA, "invalid token at byte 0" },
  { "[\f]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "[\xc2\xa0]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "[\"\\x\"]", IPC_FAULT_INVALID_DATA, "invalid escape at byte 3" },
  { "\"\\u12g4\"", IPC_FAULT_INVALID_DATA, "invalid escape at byte 5" },
  { "\"\\U0041\"", IPC_FAULT_INVALID_DATA, "invalid escape at byte 2" },
  { "[0123]", IPC_FAULT_INVALID_DATA, "invalid number at byte 2" },
  { "[-01]", IPC_FAULT_INVALID_DATA, "invalid number at byte 3" },
  { "[0x10]", IPC_FAULT_INVALID_DATA, "invalid number at byte 2" },
  { "[+1]", IPC_FAULT_INVALID_DATA, "invalid number at byte 1" },
  { "[.5]", IPC_FAULT_INVALID_DATA, "invalid number at byte 1" },
  { "[5.]", IPC_FAULT_INVALID_DATA, "invalid number at byte 3" },
  { "[1.e5]", IPC_FAULT_INVALID_DATA, "invalid number at byte 3" },
  { "[1e]", IPC_FAULT_INVALID_DATA, "invalid number at byte 3" },
  { "[1e5.0]", IPC_FAULT_INVALID_DATA, "invalid number at byte 4" },
  { "[1.2.3]", IPC_FAULT_INVALID_DATA, "invalid number at byte 4" },
  { "[-]", IPC_FAULT_INVALID_DATA, "invalid number at byte 2" },
  { "[--1]", IPC_FAULT_INVALID_DATA, "invalid number at byte 2" },
  { "[1-1]", IPC_FAULT_INVALID_DATA, "invalid number at byte 2" },
  { "[-Infinity]", IPC_FAULT_INVALID_DATA, "invalid number at byte 2" },
  { "[Infinity]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "[NaN]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "[nan]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "[True]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "[nulL]", IPC_FAULT_INVALID_DATA, "invalid token at byte 1" },
  { "9223372036854775808", IPC_FAULT_INVALID_DATA, "integer out of range at byte 0" },
  { "[1,18446744073709551615]", IPC_FAULT_INVALID_DATA, "integer out of range at byte 3" },
  { "[18446744073709551616]", IPC_FAULT_INVALID_DATA, "integer out of range at byte 1" },
  { "[-9223372036854775809]", IPC_FAULT_INVALID_DATA, "integer out of range at byte 1" },
  { "[1e999]", IPC_FAULT_INVALID_DATA, "number out of range at byte 1" },
  { " -1e309", IPC_FAULT_INVALID_DATA, "number out of range at byte 1" },
  { "[1.7976931348623159e308]", IPC_FAULT_INVALID_DATA, "number out of range at byte 1" },
  { "{\"a\":1,\"a\":2}", IPC_FAULT_INVALID_DATA, "duplicate member \"a\" at byte 7" },
  { "{\"a\":1,\"b\":2,\"\\u0061\":{}}", IPC_FAULT_INVALID_DATA, "duplicate member \"a\" at byte 13" },
  { "{\"\":1,\"\":2}", IPC_FAULT_INVALID_DATA, "duplicate member \"\" at byte 6" },
  { "{\"\xc3\xa9\":1,\"\\u00E9\":2}", IPC_FAULT_INVALID_DATA, "duplicate member \"\\xc3\\xa9\" at byte 8" },
  { "{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", IPC_FAULT_INVALID_DATA,
    "duplicate member \"\\xf0\\x9f\\x98\\x80\" at byte 10" },
  { "[{\"n\\n\":1,\"\\u000a\":1,\"n\\n\":1}]", IPC_FAULT_INVALID_DATA, "duplicate member \"n\\x0a\" at byte 21" },
  { "[\"\\u0000\"]", IPC_FAULT_INVALID_DATA, "U+0000 in a string at byte 2" },
  { "[\"\\ud800\"]", IPC_FAULT_INVALID_DATA, "lone surrogate at byte 2" },
  { "[\"\\ud800x\"]", IPC_FAULT_INVALID_DATA, "lone surrogate at byte 2" },
  { "[\"\\ud800\\n\"]", IPC_FAULT_INVALID_DATA, "lone surrogate at byte 2" },
  { "[\"\\ud800\\u0041\"]", IPC_FAULT_INVALID_DATA, "lone surrogate at byte 2" },
  { "[\"\\ud800\\ud800\"]", IPC_FAULT_INVALID_DATA, "lone surrogate at byte 2" },
  { "[\"a\\udc00\"]", IPC_FAULT_INVALID_DATA, "lone surrogate at byte 3" },
  { "[\"a\x01\"]", IPC_FAULT_INVALID_DATA, "control character in a string at byte 3" },
  { "[\"a\n\"]", IPC_FAULT_INVALID_DATA, "control character in a string at byte 3" },
  { "\xff\xfe", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 0" },
  { "\xc0\xaf", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 0" },
  { "[1\xff]", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 2" },
  { "[\"ab\xff\xfe\"]", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 4" },
  { "[\"\xc0\xaf\"]", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 2" },
  { "[\"\xe2\x82\"]", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 2" },
  { "[\"a\xed\xa0\x80\"]", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 3" },
  { "{\"\xf5\x80\x80\x80\":1}", IPC_FAULT_INVALID_DATA, "invalid UTF-8 at byte 2" },
};

static gboolean
validate (const char *text, IpcFault *fault)
{
  return ipc_json_validate (text, strlen (text), false, fault);
}

static void
assert_good (const char *text, gsize size)
{
  IpcFault fault;

  if (!ipc_json_validate (text, size, false, &fault))
    g_error ("refused: %s: %.100s", fault.message, text);
}

static void
assert_bad (const char *text, gsize size, IpcFaultCode code, const char *message)
{
  IpcFault fault = { 0 };

  g_assert_false (ipc_json_validate (text, size, false, &fault));
  g_assert_cmpstr (fault.message, ==, message);
  g_assert_cmpint (fault.code, ==, code);
  g_assert_false (ipc_json_validate (text, size, false, NULL));
}

static void
test_good (IpcTest *test)
{
  for (gsize i = 0; i < G_N_ELEMENTS (good_documents); i++)
    assert_good (good_documents[i], strlen (good_documents[i]));
}

static void
test_bad (IpcTest *test)
{
  for (gsize i = 0; i < G_N_ELEMENTS (bad_documents); i++)
    assert_bad (bad_documents[i].text, strlen (bad_documents[i].text), bad_documents[i].code, bad_documents[i].message);
  assert_bad (NULL, 0, IPC_FAULT_INVALID_DATA, "empty document at byte 0");
  assert_bad ("{}\0", 3, IPC_FAULT_INVALID_DATA, "data after the document at byte 2");
  assert_bad ("[\0]", 3, IPC_FAULT_INVALID_DATA, "invalid token at byte 1");
  assert_bad ("[\"a\0\"]", 6, IPC_FAULT_INVALID_DATA, "control character in a string at byte 3");
}

static void
test_object_only (IpcTest *test)
{
  const char *texts[] = { "1", "[]", "\"a\"", "null", "x", "]" };
  IpcFault fault;

  g_assert_true (ipc_json_validate (" {} ", 4, true, &fault));
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      g_assert_false (ipc_json_validate (texts[i], strlen (texts[i]), true, &fault));
      g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_DATA);
      g_assert_cmpstr (fault.message, ==, "expected an object at byte 0");
    }
  g_assert_false (ipc_json_validate ("\n1", 2, true, &fault));
  g_assert_cmpstr (fault.message, ==, "expected an object at byte 1");
  g_assert_false (ipc_json_validate (" ", 1, true, &fault));
  g_assert_cmpstr (fault.message, ==, "empty document at byte 1");
}

/* ---- pieces ---- */

typedef struct
{
  IpcJsonStatus status;
  gsize taken;
  IpcFault fault;
} Verdict;

/* Feeds pieces that each are a heap block of their own, so that a look beyond the end is seen. */
static gboolean
feed (IpcJsonValidator *validator, const char *text, gsize size, Verdict *verdict)
{
  g_autofree char *piece = g_memdup2 (text, size);
  gsize taken = 0xbad;

  verdict->status = ipc_json_validator_feed (validator, piece, size, &taken, &verdict->fault);
  if (verdict->status == IPC_JSON_INVALID)
    {
      g_assert_cmpuint (taken, ==, 0xbad);
      return FALSE;
    }
  verdict->taken += taken;
  if (verdict->status == IPC_JSON_MORE)
    g_assert_cmpuint (taken, ==, size);
  return verdict->status == IPC_JSON_MORE;
}

/* CUTS ends with the size of the text. */
static void
judge (IpcJsonValidator *validator, const char *text, const gsize *cuts, gsize n_cuts, Verdict *verdict)
{
  gsize at = 0;

  *verdict = (Verdict) { .status = IPC_JSON_MORE };
  ipc_json_validator_reset (validator);
  for (gsize i = 0; i < n_cuts; at = cuts[i++])
    if (!feed (validator, text + at, cuts[i] - at, verdict))
      return;
  verdict->status = ipc_json_validator_finish (validator, &verdict->fault);
}

static void
assert_same_verdict (const Verdict *a, const Verdict *b)
{
  g_assert_cmpint (a->status, ==, b->status);
  g_assert_cmpint (a->fault.code, ==, b->fault.code);
  g_assert_cmpstr (a->fault.message, ==, b->fault.message);
  if (a->status == IPC_JSON_COMPLETE)
    g_assert_cmpuint (a->taken, ==, b->taken);
}

static void
compare_cuts (IpcJsonValidator *validator, const char *text, gsize size)
{
  Verdict whole, cut;
  g_autofree gsize *bytewise = g_new (gsize, size + 1);

  judge (validator, text, &size, 1, &whole);
  for (gsize first = 0; first <= size; first++)
    for (gsize second = first; second <= size; second++)
      {
        gsize cuts[] = { first, second, size };

        judge (validator, text, cuts, 3, &cut);
        assert_same_verdict (&whole, &cut);
      }
  for (gsize i = 0; i < size; i++)
    bytewise[i] = i + 1;
  judge (validator, text, bytewise, size, &cut);
  assert_same_verdict (&whole, &cut);
}

static void
test_every_cut (IpcTest *test)
{
  IpcJsonValidator *validator = ipc_json_validator_new (false);

  for (gsize i = 0; i < G_N_ELEMENTS (good_documents); i++)
    compare_cuts (validator, good_documents[i], strlen (good_documents[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (bad_documents); i++)
    compare_cuts (validator, bad_documents[i].text, strlen (bad_documents[i].text));
  ipc_json_validator_free (validator);
}

static void
test_stream (IpcTest *test)
{
  const char text[] = "{\"a\":1}\n {}[1]\"s\" true 12 {\"a\":[{}]}";
  const gsize expected[] = { 7, 4, 3, 3, 5, 3, 11 };
  IpcJsonValidator *validator = ipc_json_validator_new (false);
  gsize at = 0, taken;

  for (gsize i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      gsize left = strlen (text) - at;

      g_assert_cmpint (ipc_json_validator_feed (validator, text + at, left, &taken, NULL), ==, IPC_JSON_COMPLETE);
      g_assert_cmpuint (taken, ==, expected[i]);
      ipc_json_validator_reset (validator);
      at += taken;
    }
  g_assert_cmpuint (at, ==, strlen (text));
  ipc_json_validator_free (validator);
}

static void
test_top_level_number (IpcTest *test)
{
  IpcJsonValidator *validator = ipc_json_validator_new (false);
  gsize taken;

  g_assert_cmpint (ipc_json_validator_feed (validator, "12", 2, &taken, NULL), ==, IPC_JSON_MORE);
  g_assert_cmpint (ipc_json_validator_feed (validator, "3", 1, &taken, NULL), ==, IPC_JSON_MORE);
  g_assert_cmpint (ipc_json_validator_finish (validator, NULL), ==, IPC_JSON_COMPLETE);
  ipc_json_validator_reset (validator);
  g_assert_cmpint (ipc_json_validator_feed (validator, "12", 2, &taken, NULL), ==, IPC_JSON_MORE);
  g_assert_cmpint (ipc_json_validator_feed (validator, " 3", 2, &taken, NULL), ==, IPC_JSON_COMPLETE);
  g_assert_cmpuint (taken, ==, 0);
  ipc_json_validator_free (validator);
}

static void
test_not_reset (IpcTest *test)
{
  IpcJsonValidator *validator = ipc_json_validator_new (true);
  IpcFault fault;
  gsize taken = 7;

  g_assert_cmpint (ipc_json_validator_feed (validator, NULL, 0, &taken, NULL), ==, IPC_JSON_MORE);
  g_assert_cmpuint (taken, ==, 0);
  g_assert_cmpint (ipc_json_validator_feed (validator, "{x", 2, &taken, NULL), ==, IPC_JSON_INVALID);
  g_assert_cmpint (ipc_json_validator_feed (validator, "{}", 2, &taken, &fault), ==, IPC_JSON_INVALID);
  g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_ARGUMENT);
  g_assert_cmpint (ipc_json_validator_finish (validator, &fault), ==, IPC_JSON_INVALID);
  ipc_json_validator_reset (validator);
  g_assert_cmpint (ipc_json_validator_feed (validator, "{}", 2, &taken, &fault), ==, IPC_JSON_COMPLETE);
  g_assert_cmpint (ipc_json_validator_finish (validator, &fault), ==, IPC_JSON_COMPLETE);
  g_assert_cmpint (ipc_json_validator_feed (validator, "{}", 2, &taken, &fault), ==, IPC_JSON_INVALID);
  g_assert_cmpint (fault.code, ==, IPC_FAULT_INVALID_ARGUMENT);
  ipc_json_validator_free (validator);
  ipc_json_validator_free (NULL);
}

/* ---- limits ---- */

static char *
nest (const char *open, const char *middle, const char *close, guint depth)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < depth; i++)
    g_string_append (text, open);
  g_string_append (text, middle);
  for (guint i = 0; i < depth; i++)
    g_string_append (text, close);
  return g_string_free (text, FALSE);
}

static void
test_depth (IpcTest *test)
{
  g_autofree char *arrays = nest ("[", "", "]", 64), *objects = nest ("{\"a\":", "1", "}", 64);
  g_autofree char *deep = nest ("[", "", "]", 65), *deep_objects = nest ("{\"a\":", "{}", "}", 64);
  g_autofree char *open_only = nest ("[", "", "", 100000);

  assert_good (arrays, strlen (arrays));
  assert_good (objects, strlen (objects));
  assert_bad (deep, strlen (deep), IPC_FAULT_INVALID_DATA, "nesting deeper than 64 at byte 64");
  assert_bad (deep_objects, strlen (deep_objects), IPC_FAULT_INVALID_DATA, "nesting deeper than 64 at byte 320");
  assert_bad (open_only, strlen (open_only), IPC_FAULT_INVALID_DATA, "nesting deeper than 64 at byte 64");
}

/* Which kind each level is has to survive what happens inside. */
static void
test_mixed_depth (IpcTest *test)
{
  g_autofree char *mixed = nest ("{\"a\":[", "{\"b\":[],\"c\":{}}", ",[]],\"z\":{\"a\":1}}", 30);
  g_autofree char *wrong = nest ("{\"a\":[", "{}", "}]", 3);

  assert_good (mixed, strlen (mixed));
  assert_bad (wrong, strlen (wrong), IPC_FAULT_INVALID_DATA, "expected ',' or ']' at byte 20");
}

static GString *
build_array (guint n, const char *element)
{
  GString *text = g_string_new ("[");

  for (guint i = 0; i < n; i++)
    {
      if (i > 0)
        g_string_append_c (text, ',');
      g_string_append (text, element);
    }
  g_string_append_c (text, ']');
  return text;
}

static GString *
build_object (guint n, const char *prefix)
{
  GString *text = g_string_new ("{");

  for (guint i = 0; i < n; i++)
    g_string_append_printf (text, "%s\"%s%u\":1", i > 0 ? "," : "", prefix, i * 7919u % n);
  g_string_append_c (text, '}');
  return text;
}

static void
test_value_count (IpcTest *test)
{
  g_autoptr (GString) most = build_array (65536, "1"), more = build_array (65537, "1");
  g_autoptr (GString) most_nested = build_array (32768, "[0]"), more_nested = build_array (32769, "{\"a\":0}");

  assert_good (most->str, most->len);
  assert_good (most_nested->str, most_nested->len);
  assert_bad (more->str, more->len, IPC_FAULT_TOO_LARGE, "more than 65536 JSON values at byte 131073");
  assert_bad (more_nested->str, more_nested->len, IPC_FAULT_TOO_LARGE, "more than 65536 JSON values at byte 262145");
}

static void
test_member_count (IpcTest *test)
{
  g_autoptr (GString) most = build_object (65536, "k"), more = build_object (1000003, "m");
  IpcFault fault;

  assert_good (most->str, most->len);
  g_assert_false (ipc_json_validate (more->str, more->len, true, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_TOO_LARGE);
  g_assert_true (g_str_has_prefix (fault.message, "more than 65536 JSON values at byte "));
}

/* ---- names ---- */

/* At every number of members there is one to repeat, sorted or compared in pairs. */
static void
test_duplicates (IpcTest *test)
{
  for (guint n = 2; n < 60; n++)
    for (guint repeated = 0; repeated + 1 < n; repeated++)
      {
        g_autoptr (GString) text = g_string_new ("[{");
        g_autofree char *message = NULL;

        for (guint i = 0; i + 1 < n; i++)
          g_string_append_printf (text, "\"name%u\":1,", i);
        message = g_strdup_printf ("duplicate member \"name%u\" at byte %zu", repeated, text->len);
        g_string_append_printf (text, "\"\\u006eame%u\":1}]", repeated);
        assert_bad (text->str, text->len, IPC_FAULT_INVALID_DATA, message);
      }
}

/* The first repetition is reported, however many follow and however the sort moves them. */
static void
test_first_duplicate (IpcTest *test)
{
  g_autoptr (GString) text = build_object (1000, "n");
  g_autofree char *message = NULL;

  g_string_truncate (text, text->len - 1);
  message = g_strdup_printf ("duplicate member \"n500\" at byte %zu", text->len + 1);
  g_string_append (text, ",\"n500\":1,\"n3\":1,\"n500\":1,\"n999\":1}");
  assert_bad (text->str, text->len, IPC_FAULT_INVALID_DATA, message);
}

static void
test_names_of_nested_objects (IpcTest *test)
{
  g_autoptr (GString) inner = build_object (200, "a-long-name-for-a-member-");
  g_autofree char *text = g_strdup_printf ("{\"a\":%s,\"b\":[%s,%s],\"c\":1}", inner->str, inner->str, inner->str);
  g_autofree char *twice = g_strdup_printf ("{\"a\":%s,\"b\":[%s,%s],\"a\":1}", inner->str, inner->str, inner->str);
  IpcFault fault;

  assert_good (text, strlen (text));
  g_assert_false (validate (twice, &fault));
  g_assert_true (g_str_has_prefix (fault.message, "duplicate member \"a\" at byte "));
}

static void
test_long_names (IpcTest *test)
{
  g_autofree char *name = g_strnfill (MIB, 'n');
  g_autofree char *text = g_strdup_printf ("{\"%s\":1,\"%sx\":2}", name, name);
  g_autofree char *twice = g_strdup_printf ("{\"%s\":1,\"%s\":2}", name, name);
  IpcJsonValidator *validator = ipc_json_validator_new (true);
  IpcFault fault;
  gsize taken;

  assert_good (text, strlen (text));
  g_assert_false (validate (twice, &fault));
  g_assert_true (g_str_has_prefix (fault.message, "duplicate member \"nnnn"));
  g_assert_true (g_str_has_suffix (fault.message, "nnn...\" at byte 1048582"));
  for (int i = 0; i < 3; i++)
    {
      g_assert_cmpint (ipc_json_validator_feed (validator, text, strlen (text), &taken, NULL), ==, IPC_JSON_COMPLETE);
      ipc_json_validator_reset (validator);
    }
  ipc_json_validator_free (validator);
}

/* ---- strings ---- */

static void
test_every_byte_in_string (IpcTest *test)
{
  for (int c = 0; c < 256; c++)
    for (gsize before = 0; before < 20; before++)
      {
        g_autofree char *head = g_strnfill (before, 'a');
        g_autofree char *text = g_strdup_printf ("[\"%sXbcdefghij\"]", head);
        gboolean fine = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';

        text[2 + before] = (char) c;
        if (c == '\\')
          fine = TRUE; /* \b */
        g_assert_cmpint (ipc_json_validate (text, before + 14, false, NULL), ==, fine);
      }
}

static void
test_every_escape (IpcTest *test)
{
  for (int c = 0; c < 256; c++)
    {
      char text[] = { '"', '\\', (char) c, '"' };

      g_assert_cmpint (ipc_json_validate (text, 4, false, NULL), ==, c != 0 && strchr ("\"\\/bfnrt", c) != NULL);
    }
}

/* What each \u stands for is told by the name that it is a duplicate of. */
static void
test_every_code_unit (IpcTest *test)
{
  for (guint unit = 0; unit < 0x10000; unit++)
    {
      gboolean surrogate = unit >= 0xd800 && unit < 0xe000;
      const char *expected = surrogate ? "lone surrogate" : unit == 0 ? "U+0000" : "duplicate";
      g_autofree char *text = NULL;
      IpcFault fault = { 0 };
      char utf8[7] = "";

      if (surrogate || unit == 0)
        text = g_strdup_printf ("[\"\\u%04x\"]", unit);
      else
        {
          utf8[g_unichar_to_utf8 (unit, utf8)] = '\0';
          if (unit < 0x20 || unit == '"' || unit == '\\')
            g_snprintf (utf8, sizeof utf8, "\\u%04X", unit);
          text = g_strdup_printf ("{\"%s\":1,\"\\u%04x\":2}", utf8, unit);
        }
      g_assert_false (validate (text, &fault));
      g_assert_true (g_str_has_prefix (fault.message, expected));
    }
}

static void
test_surrogate_pairs (IpcTest *test)
{
  for (gunichar c = 0x10000; c <= 0x10ffff; c += 251)
    {
      guint high = 0xd800 + ((c - 0x10000) >> 10), low = 0xdc00 + (c & 0x3ff);
      char utf8[7] = "";
      g_autofree char *text = NULL;
      IpcFault fault = { 0 };

      utf8[g_unichar_to_utf8 (c, utf8)] = '\0';
      text = g_strdup_printf ("{\"%s\":1,\"\\u%04x\\u%04X\":2}", utf8, high, low);
      g_assert_false (validate (text, &fault));
      g_assert_true (g_str_has_prefix (fault.message, "duplicate"));
    }
}

static void
test_utf8 (IpcTest *test)
{
  for (guint32 v = 0x800000; v < 1u << 24; v += v < 0xe00000 ? 7 : 1)
    {
      char text[] = { '"', (char) (v >> 16), (char) (v >> 8), (char) v, '"' };
      gboolean plain = memchr (text + 1, '"', 3) == NULL && memchr (text + 1, '\\', 3) == NULL &&
                       (guint8) text[2] >= 0x20 && (guint8) text[3] >= 0x20;

      if (plain)
        g_assert_cmpint (ipc_json_validate (text, 5, false, NULL), ==, ipc_utf8_check (text + 1, 3, NULL));
    }
}

/* ---- numbers ---- */

/* 2^1024 - 2^970, from where on rounding to a double gives infinity. */
static const char overflow[] =
  "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692"
  "887910946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842"
  "914819860834936475292719074168444365510704342711559699508093042880177904174497792";

static void
test_overflow_threshold (IpcTest *test)
{
  g_autofree char *below = g_strdup (overflow), *text = NULL, *shifted = NULL, *tail = NULL;
  gsize last = strlen (overflow) - 1;

  g_assert_cmpuint (last, ==, 308);
  below[last]--;
  for (gsize point = 0; point <= 309; point++)
    {
      g_autofree char *at = g_strdup_printf ("[%.*s%s.%s0e%zu]", (int) point, overflow, point == 0 ? "0" : "",
                                             overflow + point, 309 - point);
      g_autofree char *under = g_strdup_printf ("[-%.*s%s.%s999e+%zu]", (int) point, below, point == 0 ? "0" : "",
                                                below + point, 309 - point);

      assert_bad (at, strlen (at), IPC_FAULT_INVALID_DATA, "number out of range at byte 1");
      assert_good (under, strlen (under));
    }
  text = g_strdup_printf ("[%s.000000001]", overflow);
  assert_bad (text, strlen (text), IPC_FAULT_INVALID_DATA, "number out of range at byte 1");
  shifted = g_strdup_printf ("[0.%s%se310]", "0", overflow);
  assert_bad (shifted, strlen (shifted), IPC_FAULT_INVALID_DATA, "number out of range at byte 1");
  tail = g_strdup_printf ("[%se0]", below);
  assert_good (tail, strlen (tail));
}

/* The C library rounds correctly: whenever it says infinity, so do we, and only then. */
static void
test_against_strtod (IpcTest *test)
{
  g_autoptr (GRand) rand = ipc_test_rand_new ();

  for (int i = 0; i < 100000; i++)
    {
      int digits = g_rand_int_range (rand, 1, 25), exponent = g_rand_int_range (rand, 280, 312);
      GString *text = g_string_new (g_rand_boolean (rand) ? "-" : "");
      double value;

      if (g_rand_boolean (rand))
        g_string_append_printf (text, "%.*s", digits, overflow);
      else
        g_string_append_printf (text, "%d", g_rand_int_range (rand, 1, G_MAXINT));
      if (g_rand_boolean (rand))
        g_string_append_printf (text, "%c", '0' + g_rand_int_range (rand, 0, 10));
      g_string_append_printf (text, ".%de%d", g_rand_int_range (rand, 0, 10), exponent - (int) text->len);
      value = g_ascii_strtod (text->str, NULL);
      g_assert_cmpint (ipc_json_validate (text->str, text->len, false, NULL), ==, !isinf (value));
      g_string_free (text, TRUE);
    }
}

static void
test_integer_range (IpcTest *test)
{
  g_autoptr (GRand) rand = ipc_test_rand_new ();

  for (int i = 0; i < 100000; i++)
    {
      guint64 value = (guint64) g_rand_int (rand) << 32 | g_rand_int (rand);
      g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, value >> g_rand_int_range (rand, 0, 4));
      g_autofree char *negative = g_strdup_printf ("-%s", text);
      guint64 read = g_ascii_strtoull (text, NULL, 10);

      g_assert_cmpint (validate (text, NULL), ==, read <= G_MAXINT64);
      g_assert_cmpint (validate (negative, NULL), ==, read <= (guint64) G_MAXINT64 + 1);
    }
}

/* 8 MiB of digits: anything that is not linear does not come back before the deadline. */
static void
test_long_numbers (IpcTest *test)
{
  g_autofree char *nines = g_strnfill (8 * MIB, '9'), *zeros = g_strnfill (8 * MIB, '0');
  g_autofree char *back = g_strdup_printf ("[%se-%d]", nines, 8 * MIB - 308);
  g_autofree char *not_back = g_strdup_printf ("[%se-%d]", nines, 8 * MIB - 309);
  g_autofree char *fraction = g_strdup_printf ("[0.%s1e%d]", zeros, 8 * MIB + 308);
  g_autofree char *small = g_strdup_printf ("[0.%s1]", zeros);
  g_autofree char *nothing = g_strdup_printf ("[0.%s1e%s9]", zeros, zeros);
  g_autofree char *huge = g_strdup_printf ("[1e%s]", nines), *tiny = g_strdup_printf ("[1e-%s]", nines);
  g_autofree char *zero = g_strdup_printf ("[0e%s]", nines);

  assert_bad (nines, 8 * MIB, IPC_FAULT_INVALID_DATA, "integer out of range at byte 0");
  assert_bad (zeros, 8 * MIB, IPC_FAULT_INVALID_DATA, "invalid number at byte 1");
  assert_bad (not_back, strlen (not_back), IPC_FAULT_INVALID_DATA, "number out of range at byte 1");
  assert_bad (huge, strlen (huge), IPC_FAULT_INVALID_DATA, "number out of range at byte 1");
  assert_good (back, strlen (back));
  assert_good (fraction, strlen (fraction));
  assert_good (small, strlen (small));
  assert_good (nothing, strlen (nothing));
  assert_good (tiny, strlen (tiny));
  assert_good (zero, strlen (zero));
}

/* ---- what it is for ---- */

static void
test_json_glib_agrees (IpcTest *test)
{
  for (gsize i = 0; i < G_N_ELEMENTS (good_documents); i++)
    {
      g_autoptr (JsonParser) parser = json_parser_new_immutable ();
      g_autoptr (GError) error = NULL;

      if (!json_parser_load_from_data (parser, good_documents[i], -1, &error))
        g_error ("%s: %s", good_documents[i], error->message);
      g_assert_nonnull (json_parser_get_root (parser));
    }
}

static void
test_json_glib_integers (IpcTest *test)
{
  const gint64 values[] = { 0, 1, -1, G_MAXINT32, G_MAXINT64, G_MAXINT64 - 1, G_MININT64, G_MININT64 + 1 };

  for (gsize i = 0; i < G_N_ELEMENTS (values); i++)
    {
      g_autofree char *text = g_strdup_printf ("[%" G_GINT64_FORMAT "]", values[i]);
      g_autoptr (JsonNode) node = json_from_string (text, NULL);

      assert_good (text, strlen (text));
      g_assert_cmpint (json_array_get_int_element (json_node_get_array (node), 0), ==, values[i]);
    }
}

int
main (int argc, char *argv[])
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/json/good", test_good);
  ipc_test_add ("/core/json/bad", test_bad);
  ipc_test_add ("/core/json/object-only", test_object_only);
  ipc_test_add ("/core/json/every-cut", test_every_cut);
  ipc_test_add ("/core/json/stream", test_stream);
  ipc_test_add ("/core/json/top-level-number", test_top_level_number);
  ipc_test_add ("/core/json/not-reset", test_not_reset);
  ipc_test_add ("/core/json/depth", test_depth);
  ipc_test_add ("/core/json/mixed-depth", test_mixed_depth);
  ipc_test_add ("/core/json/value-count", test_value_count);
  ipc_test_add ("/core/json/member-count", test_member_count);
  ipc_test_add ("/core/json/duplicates", test_duplicates);
  ipc_test_add ("/core/json/first-duplicate", test_first_duplicate);
  ipc_test_add ("/core/json/nested-names", test_names_of_nested_objects);
  ipc_test_add ("/core/json/long-names", test_long_names);
  ipc_test_add ("/core/json/every-byte-in-string", test_every_byte_in_string);
  ipc_test_add ("/core/json/every-escape", test_every_escape);
  ipc_test_add ("/core/json/every-code-unit", test_every_code_unit);
  ipc_test_add ("/core/json/surrogate-pairs", test_surrogate_pairs);
  ipc_test_add ("/core/json/utf8", test_utf8);
  ipc_test_add ("/core/json/overflow-threshold", test_overflow_threshold);
  ipc_test_add ("/core/json/against-strtod", test_against_strtod);
  ipc_test_add ("/core/json/integer-range", test_integer_range);
  ipc_test_add ("/core/json/long-numbers", test_long_numbers);
  ipc_test_add ("/core/json/json-glib-agrees", test_json_glib_agrees);
  ipc_test_add ("/core/json/json-glib-integers", test_json_glib_integers);
  return ipc_test_run ();
}
