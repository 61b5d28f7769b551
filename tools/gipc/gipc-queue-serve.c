/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc queue serve: queues of this process, or of a database, for others. */
#include "gipc-queue.h"

#include <glib-unix.h>
#include <stdio.h>

static gboolean
signal_cb (gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_CONTINUE;
}

static int
serve (IpcQueueManager *manager, const char *address)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  guint interrupt, terminate;

  if (!ipc_queue_manager_serve (manager, address, &error))
    return gipc_fail ("%s", error->message);
  interrupt = g_unix_signal_add (SIGINT, signal_cb, loop);
  terminate = g_unix_signal_add (SIGTERM, signal_cb, loop);
  fprintf (stderr, "serving queues at %s\n", address);
  g_main_loop_run (loop);
  g_source_remove (interrupt);
  g_source_remove (terminate);
  return GIPC_EXIT_OK;
}

int
gipc_queue_serve (const GipcVerb *verb, int argc, char **argv)
{
  GipcQueueOptions options = { 0 };
  gint max_size = 10000, max_retries = 5;
  const GOptionEntry entries[] = {
    { "uri", 'u', 0, G_OPTION_ARG_FILENAME, &options.uri, "where the queues are kept (default: memory:)", "URI" },
    { "max-size", 's', 0, G_OPTION_ARG_INT, &max_size, "how many messages a queue has at most (default: 10000)", "N" },
    { "max-retries", 'r', 0, G_OPTION_ARG_INT, &max_retries, "how often one is delivered again before it is a dead letter (default: 5)", "N" },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, entries, argc, argv);
  g_autoptr (IpcQueueManager) manager = NULL;
  int status = GIPC_EXIT_USAGE;

  if (arguments == NULL || !gipc_queue_check_count (verb, "max-size", max_size))
    ;
  else if (max_retries < 0)
    gipc_fail_usage (verb, "--max-retries: %d is less than 0", max_retries);
  else
    {
      if (options.uri == NULL)
        options.uri = g_strdup ("memory:");
      manager = gipc_queue_open_manager (&options);
      if (manager != NULL)
        g_object_set (manager, "max-queue-size", (guint) max_size, "max-retries", (guint) max_retries, NULL);
      status = manager != NULL ? serve (manager, arguments[0]) : GIPC_EXIT_FAILED;
    }
  g_free (options.uri);
  return status;
}
