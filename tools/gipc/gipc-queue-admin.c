/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc queue redrive, purge and delete: what is done to a queue as a whole. */
#include "gipc-queue.h"

#include <stdlib.h>

typedef int (*Act) (IpcQueueManager *manager, const char *name, const char *argument);

static int
print_number (gint64 n, GError *const *error)
{
  g_autofree char *line = g_strdup_printf ("%" G_GINT64_FORMAT, n);

  if (n < 0)
    return gipc_fail ("%s", (*error)->message);
  return gipc_write_line (line) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

static int
redrive (IpcQueueManager *manager, const char *name, const char *argument)
{
  g_autoptr (IpcMessageQueue) queue = gipc_queue_open (manager, name, FALSE);
  g_autoptr (GError) error = NULL;
  guint64 id = 0;

  if (queue == NULL)
    return GIPC_EXIT_FAILED;
  if (argument != NULL && !g_ascii_string_to_unsigned (argument, 10, 1, G_MAXINT64, &id, &error))
    return gipc_fail ("%s", error->message);
  return print_number (ipc_message_queue_redrive (queue, id, NULL, &error), &error);
}

static int
purge (IpcQueueManager *manager, const char *name, const char *argument)
{
  g_autoptr (IpcMessageQueue) queue = gipc_queue_open (manager, name, FALSE);
  g_autoptr (GError) error = NULL;

  return queue != NULL ? print_number (ipc_message_queue_purge (queue, NULL, &error), &error) : GIPC_EXIT_FAILED;
}

static int
delete (IpcQueueManager *manager, const char *name, const char *argument)
{
  g_autoptr (GError) error = NULL;

  return ipc_queue_manager_delete_queue (manager, name, NULL, &error) ? GIPC_EXIT_OK : gipc_fail ("%s", error->message);
}

static int
run (const GipcVerb *verb, Act act, int argc, char **argv)
{
  GipcQueueOptions options = { 0 };
  const GOptionEntry entries[] = { GIPC_QUEUE_URI_OPTION (options), { NULL } };
  g_auto (GStrv) arguments = gipc_parse (verb, entries, argc, argv);
  g_autoptr (IpcQueueManager) manager = NULL;
  int status = GIPC_EXIT_USAGE;

  if (arguments != NULL)
    {
      manager = gipc_queue_open_manager (&options);
      status = manager != NULL ? act (manager, arguments[0], arguments[1]) : GIPC_EXIT_FAILED;
    }
  g_free (options.uri);
  return status;
}

int
gipc_queue_redrive (const GipcVerb *verb, int argc, char **argv)
{
  return run (verb, redrive, argc, argv);
}

int
gipc_queue_purge (const GipcVerb *verb, int argc, char **argv)
{
  return run (verb, purge, argc, argv);
}

int
gipc_queue_delete (const GipcVerb *verb, int argc, char **argv)
{
  return run (verb, delete, argc, argv);
}
