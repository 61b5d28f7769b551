/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc memory info: what there is to know about one, but for its bytes. */
#include "gipc-memory.h"

#include <string.h>

/* The one in the list, which is only looked at. To open it is an access, and is left to where there is none: that says why. */
static IpcSharedMemory *
find (IpcSharedMemoryManager *manager, const char *name, GError **error)
{
  GListModel *items = ipc_manager_get_items (IPC_MANAGER (manager));

  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    {
      g_autoptr (IpcSharedMemory) segment = g_list_model_get_item (items, i);
      if (strcmp (ipc_shared_memory_get_name (segment), name) == 0)
        return g_steal_pointer (&segment);
    }
  return ipc_shared_memory_manager_open_segment (manager, name, IPC_ACCESS_READ, error);
}

static gboolean
print_json (IpcSharedMemory *segment)
{
  g_autoptr (GString) line = gipc_memory_to_json (segment);

  return gipc_write_line (line->str);
}

static gboolean
print_text (IpcSharedMemory *segment)
{
  g_autofree char *created = gipc_format_time (ipc_shared_memory_get_created_at (segment));
  g_autofree char *accessed = gipc_format_time (ipc_shared_memory_get_last_accessed (segment));
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "name        %s\n", ipc_shared_memory_get_name (segment));
  g_string_append_printf (text, "id          %s\n", ipc_shared_memory_get_id (segment));
  g_string_append_printf (text, "size        %" G_GSIZE_FORMAT "\n", ipc_shared_memory_get_size (segment));
  g_string_append_printf (text, "accesses    %" G_GUINT64_FORMAT "\n", ipc_shared_memory_get_access_count (segment));
  g_string_append_printf (text, "attached    %u\n", ipc_shared_memory_get_n_attached (segment));
  g_string_append_printf (text, "generation  %" G_GUINT64_FORMAT "\n", ipc_shared_memory_get_generation (segment));
  g_string_append_printf (text, "sealed      %s\n", ipc_shared_memory_get_is_sealed (segment) ? "yes" : "no");
  g_string_append_printf (text, "consistent  %s\n", ipc_shared_memory_get_is_consistent (segment) ? "yes" : "no");
  g_string_append_printf (text, "created     %s\n", created);
  g_string_append_printf (text, "accessed    %s\n", accessed);
  return gipc_write (text->str, text->len);
}

int
gipc_memory_info (const GipcVerb *verb, int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry options[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "print a JSON object", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (IpcSharedMemoryManager) manager = NULL;
  g_autoptr (IpcSharedMemory) segment = NULL;
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  manager = ipc_shared_memory_manager_new (NULL);
  segment = find (manager, arguments[0], &error);
  if (segment == NULL)
    return gipc_fail ("%s", error->message);
  return (as_json ? print_json : print_text) (segment) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}
