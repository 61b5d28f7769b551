/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc semaphore info: what there is to know about one, with those who hold its permits. */
#include "gipc-semaphore.h"

#include <string.h>

/* The one in the list, which is only looked at. To open it is an access, and is left to where there is none: that says why. */
static IpcSemaphore *
find (IpcSemaphoreManager *manager, const char *name, GError **error)
{
  GListModel *items = ipc_manager_get_items (IPC_MANAGER (manager));

  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    {
      g_autoptr (IpcSemaphore) semaphore = g_list_model_get_item (items, i);
      if (strcmp (ipc_semaphore_get_name (semaphore), name) == 0)
        return g_steal_pointer (&semaphore);
    }
  return ipc_semaphore_manager_open_semaphore (manager, name, error);
}

static gboolean
print_json (IpcSemaphore *semaphore, GPtrArray *holders)
{
  g_autoptr (GString) line = gipc_semaphore_to_json (semaphore);

  gipc_json_append_name (line, "holders");
  g_string_append_c (line, '[');
  for (guint i = 0; i < holders->len; i++)
    {
      IpcSemaphoreHolder *holder = g_ptr_array_index (holders, i);
      g_string_append (line, i > 0 ? ",{" : "{");
      gipc_json_append_name (line, "label");
      gipc_json_append_string (line, ipc_semaphore_holder_get_label (holder));
      gipc_json_append_name (line, "since");
      g_string_append_printf (line, "%" G_GINT64_FORMAT "}", ipc_semaphore_holder_get_since (holder));
    }
  g_string_append (line, "]}");
  return gipc_write_line (line->str);
}

static gboolean
print_text (IpcSemaphore *semaphore, GPtrArray *holders)
{
  g_autofree char *created = gipc_format_time (ipc_semaphore_get_created_at (semaphore));
  g_autofree char *accessed = gipc_format_time (ipc_semaphore_get_last_accessed (semaphore));
  g_autoptr (GString) text = g_string_new (NULL);

  g_string_append_printf (text, "name       %s\n", ipc_semaphore_get_name (semaphore));
  g_string_append_printf (text, "permits    %u\n", ipc_semaphore_get_total_permits (semaphore));
  g_string_append_printf (text, "free       %u\n", ipc_semaphore_get_available_permits (semaphore));
  g_string_append_printf (text, "waiters    %u\n", ipc_semaphore_get_waiters (semaphore));
  g_string_append_printf (text, "acquired   %" G_GUINT64_FORMAT "\n", ipc_semaphore_get_acquired_count (semaphore));
  g_string_append_printf (text, "released   %" G_GUINT64_FORMAT "\n", ipc_semaphore_get_released_count (semaphore));
  g_string_append_printf (text, "recovered  %" G_GUINT64_FORMAT "\n", ipc_semaphore_get_recovered_count (semaphore));
  g_string_append_printf (text, "created    %s\n", created);
  g_string_append_printf (text, "accessed   %s\n", accessed);
  for (guint i = 0; i < holders->len; i++)
    {
      IpcSemaphoreHolder *holder = g_ptr_array_index (holders, i);
      g_autofree char *since = gipc_format_time (ipc_semaphore_holder_get_since (holder));
      g_string_append_printf (text, "holder     %s since %s\n", ipc_semaphore_holder_get_label (holder), since);
    }
  return gipc_write (text->str, text->len);
}

int
gipc_semaphore_info (const GipcVerb *verb, int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry options[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "print a JSON object", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (IpcSemaphoreManager) manager = NULL;
  g_autoptr (IpcSemaphore) semaphore = NULL;
  g_autoptr (GPtrArray) holders = NULL;
  g_autoptr (GError) error = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  manager = ipc_semaphore_manager_new (NULL);
  semaphore = find (manager, arguments[0], &error);
  holders = semaphore != NULL ? ipc_semaphore_list_holders (semaphore, &error) : NULL;
  if (holders == NULL)
    return gipc_fail ("%s", error->message);
  return (as_json ? print_json : print_text) (semaphore, holders) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}
