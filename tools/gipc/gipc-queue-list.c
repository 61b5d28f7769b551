/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc queue list, and gipc queue stats. */
#include "gipc-queue.h"

static void
append_number (GString *out, const char *name, guint64 value)
{
  gipc_json_append_name (out, name);
  g_string_append_printf (out, "%" G_GUINT64_FORMAT, value);
}

GString *
gipc_queue_to_json (IpcMessageQueue *queue)
{
  GString *out = g_string_new ("{");

  gipc_json_append_name (out, "name");
  gipc_json_append_string (out, ipc_message_queue_get_name (queue));
  append_number (out, "n_messages", ipc_message_queue_get_n_messages (queue));
  append_number (out, "n_ready", ipc_message_queue_get_n_ready (queue));
  append_number (out, "n_delayed", ipc_message_queue_get_n_delayed (queue));
  append_number (out, "n_unacked", ipc_message_queue_get_n_unacked (queue));
  append_number (out, "n_dead", ipc_message_queue_get_n_dead (queue));
  append_number (out, "total_messages", ipc_message_queue_get_total_messages (queue));
  append_number (out, "created_at", (guint64) ipc_message_queue_get_created_at (queue));
  append_number (out, "last_accessed", (guint64) ipc_message_queue_get_last_accessed (queue));
  return out;
}

static gboolean
print_json (IpcMessageQueue *queue)
{
  g_autoptr (GString) line = gipc_queue_to_json (queue);

  g_string_append_c (line, '}');
  return gipc_write_line (line->str);
}

static gboolean
print_row (IpcMessageQueue *queue)
{
  g_autofree char *row =
    g_strdup_printf ("%-32s %8u %8u %8u %6u %10" G_GUINT64_FORMAT, ipc_message_queue_get_name (queue), ipc_message_queue_get_n_ready (queue),
                     ipc_message_queue_get_n_delayed (queue), ipc_message_queue_get_n_unacked (queue), ipc_message_queue_get_n_dead (queue),
                     ipc_message_queue_get_total_messages (queue));

  return gipc_write_line (row);
}

static gboolean
print_text (IpcMessageQueue *queue)
{
  g_autofree char *created = gipc_format_time (ipc_message_queue_get_created_at (queue));
  g_autofree char *accessed = gipc_format_time (ipc_message_queue_get_last_accessed (queue));
  g_autofree char *text =
    g_strdup_printf ("name       %s\nready      %u\ndelayed    %u\nunacked    %u\ndead       %u\ntotal      %" G_GUINT64_FORMAT
                     "\ncreated    %s\naccessed   %s", ipc_message_queue_get_name (queue), ipc_message_queue_get_n_ready (queue),
                     ipc_message_queue_get_n_delayed (queue), ipc_message_queue_get_n_unacked (queue), ipc_message_queue_get_n_dead (queue),
                     ipc_message_queue_get_total_messages (queue), created, accessed);

  return gipc_write_line (text);
}

static int
list (const GipcQueueOptions *options)
{
  g_autoptr (IpcQueueManager) manager = gipc_queue_open_manager (options);
  GListModel *items;

  if (manager == NULL)
    return GIPC_EXIT_FAILED;
  items = ipc_manager_get_items (IPC_MANAGER (manager));
  if (g_list_model_get_n_items (items) > 0 && !options->as_json &&
      !gipc_write_line ("NAME                                READY  DELAYED  UNACKED   DEAD      TOTAL"))
    return GIPC_EXIT_FAILED;
  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    {
      g_autoptr (IpcMessageQueue) queue = g_list_model_get_item (items, i);

      if (!(options->as_json ? print_json : print_row) (queue))
        return GIPC_EXIT_FAILED;
    }
  return GIPC_EXIT_OK;
}

static int
stats (const GipcQueueOptions *options, const char *name)
{
  g_autoptr (IpcQueueManager) manager = gipc_queue_open_manager (options);
  g_autoptr (IpcMessageQueue) queue = manager != NULL ? gipc_queue_open (manager, name, FALSE) : NULL;

  return queue != NULL && (options->as_json ? print_json : print_text) (queue) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

static int
run (const GipcVerb *verb, const char *json, int argc, char **argv)
{
  GipcQueueOptions options = { 0 };
  const GOptionEntry entries[] = { GIPC_QUEUE_URI_OPTION (options), GIPC_QUEUE_JSON_OPTION (options, json), { NULL } };
  g_auto (GStrv) arguments = gipc_parse (verb, entries, argc, argv);
  int status = GIPC_EXIT_USAGE;

  if (arguments != NULL)
    status = arguments[0] != NULL ? stats (&options, arguments[0]) : list (&options);
  g_free (options.uri);
  return status;
}

int
gipc_queue_list (const GipcVerb *verb, int argc, char **argv)
{
  return run (verb, "print one JSON object a line", argc, argv);
}

int
gipc_queue_stats (const GipcVerb *verb, int argc, char **argv)
{
  return run (verb, "print a JSON object", argc, argv);
}
