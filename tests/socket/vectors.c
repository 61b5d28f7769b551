/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vectors.h"

#include <malloc.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
/* Part of the sanitizer's interface; not every compiler installs the header. */
size_t __sanitizer_get_current_allocated_bytes (void);
#endif

static JsonParser *vectors; /* (owned) */

static JsonArray *
load_vectors (void)
{
  g_autofree char *path = g_build_filename (g_getenv ("IPC_VECTORS_DIR"), "vectors.json", NULL);
  g_autoptr (GError) error = NULL;

  if (vectors == NULL)
    {
      vectors = json_parser_new ();
      json_parser_load_from_file (vectors, path, &error);
      g_assert_no_error (error);
    }
  return json_object_get_array_member (json_node_get_object (json_parser_get_root (vectors)), "vectors");
}

static const char *
get_string (JsonObject *object, const char *member)
{
  return json_object_get_string_member_with_default (object, member, "");
}

static const char *
get_expected (JsonObject *vector, const char *member)
{
  return get_string (json_object_get_object_member (vector, "expect"), member);
}

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
get_bytes (JsonObject *vector)
{
  GByteArray *bytes = g_byte_array_new ();
  JsonArray *parts = json_object_has_member (vector, "parts") ? json_object_get_array_member (vector, "parts") : NULL;

  if (parts == NULL)
    append_hex (bytes, get_string (vector, "hex"));
  for (guint i = 0; parts != NULL && i < json_array_get_length (parts); i++)
    {
      JsonObject *part = json_array_get_object_element (parts, i);

      for (gint64 n = json_object_get_int_member (part, "repeat"); n > 0; n--)
        append_hex (bytes, get_string (part, "hex"));
    }
  return bytes;
}

const char *
vector_get_nick (JsonObject *vector)
{
  return get_expected (vector, "nick");
}

IpcError
vector_get_code (JsonObject *vector)
{
  const char *nick = vector_get_nick (vector);

  if (strcmp (nick, "too-large") == 0)
    return IPC_ERROR_TOO_LARGE;
  if (strcmp (nick, "version") == 0)
    return IPC_ERROR_VERSION;
  g_assert_cmpstr (nick, ==, "invalid-data");
  return IPC_ERROR_INVALID_DATA;
}

/* Those that a peer with our default limits has to answer with ACTION. */
static gboolean
is_about (JsonObject *vector, const char *layer, const char *direction, const char *action)
{
  const char *towards = get_string (vector, "direction");

  return strcmp (get_string (vector, "layer"), layer) == 0 &&
         (strcmp (towards, direction) == 0 || strcmp (towards, "either") == 0) &&
         strcmp (get_expected (vector, "outcome"), "error") == 0 &&
         strcmp (get_expected (vector, "action"), action) == 0 &&
         !json_object_has_member (vector, "limits");
}

void
vectors_foreach_with_fds (VectorFunc func, gpointer data)
{
  JsonArray *all = load_vectors ();
  guint n = 0;

  for (guint i = 0; i < json_array_get_length (all); i++)
    {
      JsonObject *vector = json_array_get_object_element (all, i);
      g_autoptr (GByteArray) bytes = NULL;

      if (!json_object_has_member (vector, "descriptors"))
        continue;
      g_test_message ("%s: %s", get_string (vector, "name"), get_string (vector, "description"));
      bytes = get_bytes (vector);
      func (data, vector, bytes);
      n++;
    }
  g_assert_cmpuint (n, >, 20);
}

void
vectors_foreach (const char *layer, const char *direction, const char *action, VectorFunc func, gpointer data)
{
  JsonArray *all = load_vectors ();
  guint n = 0;

  for (guint i = 0; i < json_array_get_length (all); i++)
    {
      JsonObject *vector = json_array_get_object_element (all, i);
      g_autoptr (GByteArray) bytes = NULL;

      if (!is_about (vector, layer, direction, action))
        continue;
      g_test_message ("%s: %s", get_string (vector, "name"), get_string (vector, "description"));
      bytes = get_bytes (vector);
      func (data, vector, bytes);
      n++;
    }
  g_assert_cmpuint (n, >, 0);
}

gsize
get_heap (void)
{
#ifdef __SANITIZE_ADDRESS__
  return __sanitizer_get_current_allocated_bytes ();
#else
  struct mallinfo2 info = mallinfo2 ();

  return info.uordblks + info.hblkhd;
#endif
}

void
vectors_free (void)
{
  g_clear_object (&vectors);
}
