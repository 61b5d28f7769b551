/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The names of the servers in the default scope, as far as files tell. */
#include "gipc.h"

#include <glib/gstdio.h>
#include <sys/stat.h>

static gboolean
is_server (const char *directory, const char *name, mode_t file_type)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  GStatBuf info;

  return name[0] != '.' && g_lstat (path, &info) == 0 && (info.st_mode & S_IFMT) == file_type;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(char * const *) a, *(char * const *) b);
}

/* Those whose files are in FOLDER of the scope, with PREFIX before their names. FALSE after saying what is wrong. */
static gboolean
add_servers (GPtrArray *names, const char *folder, mode_t file_type, const char *prefix)
{
  g_autofree char *path = g_build_filename (ipc_scope_get_directory (ipc_scope_get_default ()), folder, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &error);

  if (dir == NULL && !g_error_matches (error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return gipc_fail ("%s", error->message), FALSE;
  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    if (is_server (path, name, file_type))
      g_ptr_array_add (names, g_strconcat (prefix, name, NULL));
  return TRUE;
}

/* Sorted. No folder is no server. NULL after saying what is wrong. */
char **
gipc_find_servers (void)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);

  if (!gipc_check_scope ())
    return NULL;
  if (!add_servers (names, "socket", S_IFSOCK, "") || !add_servers (names, "pipe", S_IFIFO, GIPC_PIPE_PREFIX))
    return NULL;
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&names), FALSE);
}
