/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc semaphore list: the semaphores of the default scope. They are looked at, not opened: that is no access. */
#include "gipc-semaphore.h"

static void
append_number (GString *out, const char *name, guint64 value)
{
  gipc_json_append_name (out, name);
  g_string_append_printf (out, "%" G_GUINT64_FORMAT, value);
}

GString *
gipc_semaphore_to_json (IpcSemaphore *semaphore)
{
  GString *out = g_string_new ("{");

  gipc_json_append_name (out, "name");
  gipc_json_append_string (out, ipc_semaphore_get_name (semaphore));
  append_number (out, "total_permits", ipc_semaphore_get_total_permits (semaphore));
  append_number (out, "available_permits", ipc_semaphore_get_available_permits (semaphore));
  append_number (out, "waiters", ipc_semaphore_get_waiters (semaphore));
  append_number (out, "acquired_count", ipc_semaphore_get_acquired_count (semaphore));
  append_number (out, "released_count", ipc_semaphore_get_released_count (semaphore));
  append_number (out, "recovered_count", ipc_semaphore_get_recovered_count (semaphore));
  gipc_json_append_name (out, "created_at");
  g_string_append_printf (out, "%" G_GINT64_FORMAT, ipc_semaphore_get_created_at (semaphore));
  gipc_json_append_name (out, "last_accessed");
  g_string_append_printf (out, "%" G_GINT64_FORMAT, ipc_semaphore_get_last_accessed (semaphore));
  return out;
}

static gboolean
print_json (IpcSemaphore *semaphore)
{
  g_autoptr (GString) line = gipc_semaphore_to_json (semaphore);

  g_string_append_c (line, '}');
  return gipc_write_line (line->str);
}

static gboolean
print_row (IpcSemaphore *semaphore)
{
  g_autofree char *row =
    g_strdup_printf ("%-32s %7u %6u %7u %10" G_GUINT64_FORMAT " %9" G_GUINT64_FORMAT, ipc_semaphore_get_name (semaphore),
                     ipc_semaphore_get_total_permits (semaphore), ipc_semaphore_get_available_permits (semaphore),
                     ipc_semaphore_get_waiters (semaphore), ipc_semaphore_get_acquired_count (semaphore),
                     ipc_semaphore_get_recovered_count (semaphore));

  return gipc_write_line (row);
}

int
gipc_semaphore_list (const GipcVerb *verb, int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry options[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "print one JSON object a line", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (IpcSemaphoreManager) manager = NULL;
  GListModel *items;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  if (!gipc_check_scope ())
    return GIPC_EXIT_FAILED;
  manager = ipc_semaphore_manager_new (NULL);
  items = ipc_manager_get_items (IPC_MANAGER (manager));
  if (g_list_model_get_n_items (items) > 0 && !as_json &&
      !gipc_write_line ("NAME                             PERMITS   FREE WAITERS   ACQUIRED RECOVERED"))
    return GIPC_EXIT_FAILED;
  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    {
      g_autoptr (IpcSemaphore) semaphore = g_list_model_get_item (items, i);
      if (!(as_json ? print_json : print_row) (semaphore))
        return GIPC_EXIT_FAILED;
    }
  return GIPC_EXIT_OK;
}
