/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc file info: what there is to know about a file, but for its bytes. */
#include "gipc-file.h"

int
gipc_file_info (const GipcVerb *verb, int argc, char **argv)
{
  g_auto (GStrv) arguments = gipc_parse (verb, NULL, argc, argv);
  g_autoptr (IpcMappedFile) file = NULL;
  g_autoptr (GString) text = NULL;
  g_autofree char *modified = NULL;
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  file = gipc_file_map (arguments[0], IPC_ACCESS_READ, &error);
  if (file == NULL)
    return gipc_fail ("%s", error->message);
  modified = gipc_format_time (ipc_mapped_file_get_last_modified (file));
  text = g_string_new (NULL);
  g_string_append_printf (text, "path        %s\n", ipc_mapped_file_get_path (file));
  g_string_append_printf (text, "size        %" G_GSIZE_FORMAT "\n", ipc_mapped_file_get_size (file));
  g_string_append_printf (text, "modified    %s\n", modified);
  return gipc_write (text->str, text->len) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}
