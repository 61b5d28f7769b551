/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc queue peek, and gipc queue dead: what is in a queue, and what will not be delivered any more. */
#include "gipc-queue.h"

#include <string.h>

/* (transfer full): the line of MESSAGE, open for more members. */
static GString *
begin_json (IpcMessage *message, guint64 id)
{
  g_autofree char *line = gipc_message_to_line (message, NULL);
  GString *out = g_string_new_len (line, (gssize) strlen (line) - 1);

  gipc_json_append_name (out, "message_id");
  g_string_append_printf (out, "%" G_GUINT64_FORMAT, id);
  return out;
}

static void
append_number (GString *out, const char *name, gint64 value)
{
  gipc_json_append_name (out, name);
  g_string_append_printf (out, "%" G_GINT64_FORMAT, value);
}

static const char *
get_nick (IpcPriority priority)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (IPC_TYPE_PRIORITY);
  GEnumValue *value = g_enum_get_value (klass, (gint) priority);

  return value != NULL ? value->value_nick : "?";
}

static gboolean
print_message_json (IpcDelivery *delivery)
{
  g_autoptr (GString) out = begin_json (ipc_delivery_get_message (delivery), ipc_delivery_get_id (delivery));

  gipc_json_append_name (out, "priority");
  gipc_json_append_string (out, get_nick (ipc_delivery_get_priority (delivery)));
  append_number (out, "attempt", ipc_delivery_get_attempt (delivery));
  append_number (out, "created_at", ipc_delivery_get_created_at (delivery));
  append_number (out, "expires_at", ipc_delivery_get_expires_at (delivery));
  g_string_append_c (out, '}');
  return gipc_write_line (out->str);
}

static gboolean
print_message (IpcDelivery *delivery)
{
  g_autofree char *created = gipc_format_time (ipc_delivery_get_created_at (delivery));
  g_autofree char *head = g_strdup_printf ("%" G_GUINT64_FORMAT " %s %s %u ", ipc_delivery_get_id (delivery), created,
                                           get_nick (ipc_delivery_get_priority (delivery)), ipc_delivery_get_attempt (delivery));

  return gipc_write (head, strlen (head)) && gipc_message_print_payload (ipc_delivery_get_message (delivery));
}

gboolean
gipc_queue_print_dead (IpcDeadLetter *letter, gboolean as_json)
{
  g_autofree char *died = gipc_format_time (ipc_dead_letter_get_died_at (letter));
  g_autoptr (GString) out = NULL;

  if (!as_json)
    {
      out = g_string_new (NULL);
      g_string_printf (out, "%" G_GUINT64_FORMAT " %s %u (%s) ", ipc_dead_letter_get_id (letter), died, ipc_dead_letter_get_attempts (letter),
                       ipc_dead_letter_get_reason (letter));
      return gipc_write (out->str, out->len) && gipc_message_print_payload (ipc_dead_letter_get_message (letter));
    }
  out = begin_json (ipc_dead_letter_get_message (letter), ipc_dead_letter_get_id (letter));
  gipc_json_append_name (out, "reason");
  gipc_json_append_string (out, ipc_dead_letter_get_reason (letter));
  append_number (out, "attempts", ipc_dead_letter_get_attempts (letter));
  append_number (out, "created_at", ipc_dead_letter_get_created_at (letter));
  append_number (out, "died_at", ipc_dead_letter_get_died_at (letter));
  g_string_append_c (out, '}');
  return gipc_write_line (out->str);
}

static int
look (const GipcQueueOptions *options, const char *name, guint count, gboolean dead)
{
  g_autoptr (IpcQueueManager) manager = gipc_queue_open_manager (options);
  g_autoptr (IpcMessageQueue) queue = manager != NULL ? gipc_queue_open (manager, name, FALSE) : NULL;
  g_autoptr (GPtrArray) found = NULL;
  g_autoptr (GError) error = NULL;
  gboolean fine = TRUE;

  if (queue == NULL)
    return GIPC_EXIT_FAILED;
  found = dead ? ipc_message_queue_list_dead (queue, count, NULL, &error) : ipc_message_queue_peek (queue, count, NULL, &error);
  if (found == NULL)
    return gipc_fail ("%s", error->message);
  for (guint i = 0; i < found->len && fine; i++)
    fine = dead ? gipc_queue_print_dead (found->pdata[i], options->as_json)
                : (options->as_json ? print_message_json : print_message) (found->pdata[i]);
  return fine ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

static int
run (const GipcVerb *verb, gint count, gboolean dead, int argc, char **argv)
{
  GipcQueueOptions options = { 0 };
  const GOptionEntry entries[] = {
    GIPC_QUEUE_URI_OPTION (options),
    { "count", 'n', 0, G_OPTION_ARG_INT, &count, "at most so many", "N" },
    GIPC_QUEUE_JSON_OPTION (options, "print one JSON object a line"),
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, entries, argc, argv);
  int status = GIPC_EXIT_USAGE;

  if (arguments != NULL && gipc_queue_check_count (verb, "count", count))
    status = look (&options, arguments[0], (guint) count, dead);
  g_free (options.uri);
  return status;
}

int
gipc_queue_peek (const GipcVerb *verb, int argc, char **argv)
{
  return run (verb, 10, FALSE, argc, argv);
}

int
gipc_queue_dead (const GipcVerb *verb, int argc, char **argv)
{
  return run (verb, 1000, TRUE, argc, argv);
}
