/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc memory list: the segments of the default scope. They are looked at, not opened: that is no access. */
#include "gipc-memory.h"

static void
append_number (GString *out, const char *name, guint64 value)
{
  gipc_json_append_name (out, name);
  g_string_append_printf (out, "%" G_GUINT64_FORMAT, value);
}

static void
append_time (GString *out, const char *name, gint64 value)
{
  gipc_json_append_name (out, name);
  g_string_append_printf (out, "%" G_GINT64_FORMAT, value);
}

static void
append_boolean (GString *out, const char *name, gboolean value)
{
  gipc_json_append_name (out, name);
  g_string_append (out, value ? "true" : "false");
}

GString *
gipc_memory_to_json (IpcSharedMemory *segment)
{
  GString *out = g_string_new ("{");

  gipc_json_append_name (out, "name");
  gipc_json_append_string (out, ipc_shared_memory_get_name (segment));
  gipc_json_append_name (out, "id");
  gipc_json_append_string (out, ipc_shared_memory_get_id (segment));
  append_number (out, "size", ipc_shared_memory_get_size (segment));
  append_number (out, "access_count", ipc_shared_memory_get_access_count (segment));
  append_number (out, "n_attached", ipc_shared_memory_get_n_attached (segment));
  append_number (out, "generation", ipc_shared_memory_get_generation (segment));
  append_boolean (out, "is_sealed", ipc_shared_memory_get_is_sealed (segment));
  append_boolean (out, "is_consistent", ipc_shared_memory_get_is_consistent (segment));
  append_time (out, "created_at", ipc_shared_memory_get_created_at (segment));
  append_time (out, "last_accessed", ipc_shared_memory_get_last_accessed (segment));
  g_string_append_c (out, '}');
  return out;
}

static gboolean
print_json (IpcSharedMemory *segment)
{
  g_autoptr (GString) line = gipc_memory_to_json (segment);

  return gipc_write_line (line->str);
}

static gboolean
print_row (IpcSharedMemory *segment)
{
  g_autofree char *row =
    g_strdup_printf ("%-32s %12" G_GSIZE_FORMAT " %8u %10" G_GUINT64_FORMAT, ipc_shared_memory_get_name (segment),
                     ipc_shared_memory_get_size (segment), ipc_shared_memory_get_n_attached (segment),
                     ipc_shared_memory_get_access_count (segment));

  return gipc_write_line (row);
}

int
gipc_memory_list (const GipcVerb *verb, int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry options[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "print one JSON object a line", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (IpcSharedMemoryManager) manager = NULL;
  GListModel *items;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  if (!gipc_check_scope ())
    return GIPC_EXIT_FAILED;
  manager = ipc_shared_memory_manager_new (NULL);
  items = ipc_manager_get_items (IPC_MANAGER (manager));
  if (g_list_model_get_n_items (items) > 0 && !as_json &&
      !gipc_write_line ("NAME                                     SIZE ATTACHED   ACCESSES"))
    return GIPC_EXIT_FAILED;
  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    {
      g_autoptr (IpcSharedMemory) segment = g_list_model_get_item (items, i);
      if (!(as_json ? print_json : print_row) (segment))
        return GIPC_EXIT_FAILED;
    }
  return GIPC_EXIT_OK;
}
