/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Judges payloads and headers: the same rules before sending and after receiving.
 * Nothing here keeps anything of what it looks at.
 */
#include <string.h>

#include "base/ipc-error-private.h"
#include "core/ipc-json-validator.h"
#include "messaging/ipc-message-private.h"

#define MAX_VARIANT_DEPTH 64
#define MAX_VARIANT_TYPE 255     /* bytes of a type string, as for D-Bus */
#define TOO_DEEP "nested deeper than 64"
#define TYPE_TOO_LONG "of a type with more than 255 characters"

static guint
type_depth (const GVariantType *type)
{
  guint deepest = 0;

  if (!g_variant_type_is_container (type))
    return 0;
  if (g_variant_type_is_array (type) || g_variant_type_is_maybe (type))
    return 1 + type_depth (g_variant_type_element (type));
  if (g_variant_type_equal (type, G_VARIANT_TYPE_VARIANT))
    return 1;
  for (const GVariantType *item = g_variant_type_first (type); item != NULL; item = g_variant_type_next (item))
    {
      guint depth = type_depth (item);  /* once: MAX() would ask twice, at each level */

      deepest = MAX (deepest, depth);
    }
  return 1 + deepest;
}

static const char *find_defect (GVariant *value, guint left);

/* The same for what is in variants, which only the value tells; its own type has been looked at. */
static const char *
find_defect_in_variants (GVariant *value, guint left)
{
  gboolean is_variant = g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT);
  gsize n;

  if (strchr (g_variant_get_type_string (value), 'v') == NULL)
    return NULL;
  n = g_variant_n_children (value);
  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);
      const char *defect = is_variant ? find_defect (child, left - 1) : find_defect_in_variants (child, left - 1);

      if (defect != NULL)
        return defect;
    }
  return NULL;
}

/* Each container and each variant is a level. A type string tells the depth of all that is not in a variant. It is
 * asked once, and not for each element of an array again: it may be as long as the elements are many. */
static const char *
find_defect (GVariant *value, guint left)
{
  const GVariantType *type = g_variant_get_type (value);

  if (type_depth (type) > left)
    return TOO_DEEP;
  if (g_variant_type_get_string_length (type) > MAX_VARIANT_TYPE)
    return TYPE_TOO_LONG;
  return find_defect_in_variants (value, left);
}

const char *
ipc_variant_find_defect (GVariant *value)
{
  return find_defect (value, MAX_VARIANT_DEPTH);
}

/* GLib copies what is not aligned, except up to 7 bytes, which it takes as they lie; it then aborts where it comes
 * to a child that has to be aligned. */
GVariant *
ipc_variant_from_bytes (GBytes *bytes, gboolean trusted)
{
  g_autoptr (GBytes) aligned = NULL;
  gsize size;
  gconstpointer data = g_bytes_get_data (bytes, &size);

  if (size > 0 && size < 8 && (GPOINTER_TO_SIZE (data) & 7) != 0)
    bytes = aligned = g_bytes_new (data, size);
  return g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE_VARIANT, bytes, trusted));
}

static gboolean
check_variant (const guint8 *payload, gsize size, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (payload, size);
  g_autoptr (GVariant) variant = ipc_variant_from_bytes (bytes, FALSE);
  const char *defect;

  if (size == 0 || !g_variant_is_normal_form (variant))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA,
                   "the payload of %" G_GSIZE_FORMAT " bytes is not a GVariant in normal form", size);
      return FALSE;
    }
  defect = ipc_variant_find_defect (variant);
  if (defect != NULL)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "the GVariant has a value in it that is %s", defect);
  return defect == NULL;
}

/* How many bytes at its beginning are certainly ASCII, and no NUL: most texts are, and eight at a time is quicker. */
static gsize
count_ascii (const guint8 *text, gsize size)
{
  const guint64 lowest = G_GUINT64_CONSTANT (0x0101010101010101);
  gsize n;

  for (n = 0; size - n >= sizeof lowest; n += sizeof lowest)
    {
      guint64 word;

      memcpy (&word, text + n, sizeof word);
      /* The highest bit of a byte is set, or comes to be as it is 0. */
      if (((word | (word - lowest)) & (lowest << 7)) != 0)
        break;
    }
  return n;
}

static gboolean
check_text (const guint8 *payload, gsize size, GError **error)
{
  gsize n = count_ascii (payload, size);
  const char *end;

  /* g_utf8_validate_len() refuses NUL as well. */
  if (size > n && !g_utf8_validate_len ((const char *) payload + n, size - n, &end))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "the text has %s at byte %" G_GSIZE_FORMAT,
                   *end == '\0' ? "a NUL" : "invalid UTF-8", (gsize) (end - (const char *) payload));
      return FALSE;
    }
  return TRUE;
}

static gboolean
check_json (const guint8 *payload, gsize size, GError **error)
{
  IpcFault fault;

  if (ipc_json_validate (payload, size, false, &fault))
    return TRUE;
  ipc_error_set_fault (error, &fault, "JSON payload");
  return FALSE;
}

gboolean
ipc_payload_check (IpcPayloadFormat format, const guint8 *payload, gsize size, GError **error)
{
  switch (format)
    {
    case IPC_PAYLOAD_FORMAT_BYTES:
      return TRUE;
    case IPC_PAYLOAD_FORMAT_TEXT:
      return check_text (payload, size, error);
    case IPC_PAYLOAD_FORMAT_JSON:
      return check_json (payload, size, error);
    case IPC_PAYLOAD_FORMAT_VARIANT:
      return check_variant (payload, size, error);
    default:
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "payload format %d: allowed are 0 to 3", (int) format);
      return FALSE;
    }
}

gboolean
ipc_headers_check (const guint8 *headers, gsize size, GError **error)
{
  g_autoptr (GBytes) bytes = g_bytes_new_static (headers, size);
  g_autoptr (GVariant) variant = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE ("a{ss}"), bytes, FALSE));
  g_autoptr (GHashTable) seen = NULL;
  GVariantIter iter;
  const char *key;

  if (!g_variant_is_normal_form (variant))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA,
                   "the headers of %" G_GSIZE_FORMAT " bytes are not an a{ss} in normal form", size);
      return FALSE;
    }
  seen = g_hash_table_new (g_str_hash, g_str_equal);
  g_variant_iter_init (&iter, variant);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, NULL))
    if (*key == '\0' || !g_hash_table_add (seen, (gpointer) key))
      {
        g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "the header \"%s\" is %s", key, *key ? "there twice" : "without a name");
        return FALSE;
      }
  return TRUE;
}

/* On the wire GVariants are little-endian; their offsets are everywhere. */
GVariant *
ipc_variant_swap (GVariant *value)
{
#if G_BYTE_ORDER == G_BIG_ENDIAN
  return g_variant_byteswap (value);
#else
  return g_variant_ref (value);
#endif
}

/* json-glib up to 1.8 writes 1e308 as 1e+308.0, which is no number. */
static void
repair_exponents (char *text)
{
  char *to = text;
  gboolean in_string = FALSE, in_exponent = FALSE;

  for (const char *from = text; *from != '\0'; from++)
    {
      if (in_string && *from == '\\' && from[1] != '\0')
        *to++ = *from++;
      else if (*from == '"')
        in_string = !in_string;
      else if (!in_string && (*from == 'e' || *from == 'E') && from > text && g_ascii_isdigit (from[-1]))
        in_exponent = TRUE;
      else if (in_exponent && *from == '.' && from[1] == '0' && !g_ascii_isdigit (from[2]))
        {
          from++;
          in_exponent = FALSE;
          continue;
        }
      else if (in_exponent && !g_ascii_isdigit (*from) && *from != '+' && *from != '-')
        in_exponent = FALSE;
      *to++ = *from;
    }
  *to = '\0';
}

/* It also writes U+001F as it is, which can only be in a string. */
static char *
escape_unit_separators (char *text)
{
  g_auto (GStrv) parts = NULL;

  if (strchr (text, 0x1f) == NULL)
    return text;
  parts = g_strsplit (text, "\x1f", -1);
  g_free (text);
  return g_strjoinv ("\\u001f", parts);
}

char *
ipc_json_to_text (JsonNode *node)
{
  char *text = json_to_string (node, FALSE);

  repair_exponents (text);
  return escape_unit_separators (text);
}

char *
ipc_json_from_variant (GVariant *variant)
{
  char *text = json_gvariant_serialize_data (variant, NULL);

  if (text == NULL)
    return NULL;
  repair_exponents (text);
  return escape_unit_separators (text);
}
