/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The index, in the format of sha256sum(1): HASH, two spaces, path, newline. A path with
 * a backslash, a newline or a carriage return is written with escapes, and its line then
 * begins with a backslash.
 */
#include "index-file.h"

#include <string.h>

static void
append_escaped (GString *text, const char *path)
{
  for (; *path != '\0'; path++)
    switch (*path)
      {
      case '\\':
        g_string_append (text, "\\\\");
        break;
      case '\n':
        g_string_append (text, "\\n");
        break;
      case '\r':
        g_string_append (text, "\\r");
        break;
      default:
        g_string_append_c (text, *path);
      }
}

static void
append_line (GString *text, const Job *job)
{
  if (strpbrk (job->path, "\\\n\r") != NULL)
    g_string_append_c (text, '\\');
  g_string_append (text, job->sha256);
  g_string_append (text, "  ");
  append_escaped (text, job->path);
  g_string_append_c (text, '\n');
}

gboolean
index_file_write (Jobs *jobs, const char *path, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < jobs->all->len; i++)
    {
      const Job *job = g_ptr_array_index (jobs->all, i);
      if (job->state == JOB_DONE)
        append_line (text, job);
    }
  /* A temporary file beside it, synced, then renamed over it. */
  return g_file_set_contents_full (path, text->str, text->len,
                                   G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, 0666, error);
}
