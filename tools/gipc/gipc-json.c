/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes JSON, one line of it, by appending to a string.
 *
 * Values go in with their full precision: integers of 64 bits as they are, doubles so that
 * they read back the same. What JSON has no number for, infinity and NaN, is null.
 */
#include "gipc.h"

#include <math.h>
#include <stdlib.h>

void
gipc_json_append_string (GString *out, const char *text)
{
  g_string_append_c (out, '"');
  for (; *text != '\0'; text++)
    if (*text == '"' || *text == '\\')
      g_string_append_printf (out, "\\%c", *text);
    else if (*text == '\n')
      g_string_append (out, "\\n");
    else if (*text == '\t')
      g_string_append (out, "\\t");
    else if (g_ascii_iscntrl (*text))
      g_string_append_printf (out, "\\u%04x", (guint) *text);
    else
      g_string_append_c (out, *text);
  g_string_append_c (out, '"');
}

/* The name of a member, with the comma before it. */
void
gipc_json_append_name (GString *out, const char *name)
{
  if (out->len > 0 && out->str[out->len - 1] != '{')
    g_string_append_c (out, ',');
  gipc_json_append_string (out, name);
  g_string_append_c (out, ':');
}

static void
append_double (GString *out, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  for (int digits = 15; digits <= 17; digits++)
    {
      char format[] = { '%', '.', '1', (char) ('0' + digits - 10), 'g', '\0' };
      if (g_ascii_strtod (g_ascii_formatd (text, sizeof text, format, value), NULL) == value)
        break;
    }
  g_string_append (out, isfinite (value) ? text : "null");
}

/* Members have names that are strings; the keys of a GVariant may be of any basic type. */
static void
append_entry (GString *out, GVariant *entry)
{
  g_autoptr (GVariant) key = g_variant_get_child_value (entry, 0);
  g_autoptr (GVariant) value = g_variant_get_child_value (entry, 1);

  if (g_variant_is_of_type (key, G_VARIANT_TYPE_STRING) || g_variant_is_of_type (key, G_VARIANT_TYPE_OBJECT_PATH) ||
      g_variant_is_of_type (key, G_VARIANT_TYPE_SIGNATURE))
    gipc_json_append_name (out, g_variant_get_string (key, NULL));
  else
    {
      g_autofree char *name = g_variant_is_of_type (key, G_VARIANT_TYPE_BYTE)
                                ? g_strdup_printf ("%u", g_variant_get_byte (key)) : g_variant_print (key, FALSE);
      gipc_json_append_name (out, name);
    }
  gipc_json_append_variant (out, value);
}

static void
append_children (GString *out, GVariant *value, gboolean as_members)
{
  gsize n = g_variant_n_children (value);

  for (gsize i = 0; i < n; i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (value, i);

      if (as_members)
        append_entry (out, child);
      else
        {
          if (i > 0)
            g_string_append_c (out, ',');
          gipc_json_append_variant (out, child);
        }
    }
}

static void
append_container (GString *out, GVariant *value)
{
  gboolean is_object = g_variant_is_of_type (value, G_VARIANT_TYPE_DICTIONARY);

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_DICT_ENTRY))
    {
      g_string_append_c (out, '{');
      append_entry (out, value);
      g_string_append_c (out, '}');
    }
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
    append_children (out, value, FALSE);
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_MAYBE))
    {
      append_children (out, value, FALSE);
      if (g_variant_n_children (value) == 0)
        g_string_append (out, "null");
    }
  else
    {
      g_string_append_c (out, is_object ? '{' : '[');
      append_children (out, value, is_object);
      g_string_append_c (out, is_object ? '}' : ']');
    }
}

/* Recursive: the library refuses GVariants that are nested deeper than 64. */
void
gipc_json_append_variant (GString *out, GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
      gipc_json_append_string (out, g_variant_get_string (value, NULL));
      break;
    case G_VARIANT_CLASS_DOUBLE:
      append_double (out, g_variant_get_double (value));
      break;
    case G_VARIANT_CLASS_BYTE:
      g_string_append_printf (out, "%u", g_variant_get_byte (value));
      break;
    case G_VARIANT_CLASS_BOOLEAN:
    case G_VARIANT_CLASS_INT16:
    case G_VARIANT_CLASS_UINT16:
    case G_VARIANT_CLASS_INT32:
    case G_VARIANT_CLASS_UINT32:
    case G_VARIANT_CLASS_INT64:
    case G_VARIANT_CLASS_UINT64:
    case G_VARIANT_CLASS_HANDLE:
      g_variant_print_string (value, out, FALSE);
      break;
    default:
      append_container (out, value);
    }
}

/* A document that is valid; a line break in it can only be white space. */
void
gipc_json_append_document (GString *out, const char *text, gsize size)
{
  gsize from = out->len;

  g_string_append_len (out, text, size);
  for (gsize i = from; i < out->len; i++)
    if (out->str[i] == '\n' || out->str[i] == '\r')
      out->str[i] = ' ';
}
