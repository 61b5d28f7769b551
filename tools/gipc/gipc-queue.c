/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc queue: its verbs, one a file, and what they share. */
#include "gipc-queue.h"

#define ATTEMPTS 16

static const GipcVerb verbs[] = {
  { "queue publish", "QUEUE [PAYLOAD|-]", "put a message into a queue",
    "Prints the id of the message. The queue is made if there is none.", 1, 2, gipc_queue_publish },
  { "queue consume", "QUEUE", "take messages out of a queue",
    "Prints the payload of one message, or of as many as are asked for, and acknowledges them.\n"
    "With --exec a command gets the payload on its standard input: if it succeeds, the message\n"
    "is acknowledged; if not, it comes again later.\n"
    "Exit status 75: no message within the timeout.", 1, 1, gipc_queue_consume },
  { "queue list", "", "list the queues", NULL, 0, 0, gipc_queue_list },
  { "queue stats", "QUEUE", "show what there is to know about a queue", NULL, 1, 1, gipc_queue_stats },
  { "queue peek", "QUEUE", "look at messages without taking them", NULL, 1, 1, gipc_queue_peek },
  { "queue dead", "QUEUE", "look at the dead letters of a queue", NULL, 1, 1, gipc_queue_dead },
  { "queue redrive", "QUEUE [ID]", "put dead letters back into the queue", "All of them, or that one.", 1, 2, gipc_queue_redrive },
  { "queue purge", "QUEUE", "remove all messages that nobody has taken", NULL, 1, 1, gipc_queue_purge },
  { "queue delete", "QUEUE", "delete a queue and what is in it", NULL, 1, 1, gipc_queue_delete },
  { "queue serve", "ADDRESS", "serve queues to other processes",
    "They use them with --uri ipc:ADDRESS. It goes on until SIGINT or SIGTERM.", 1, 1, gipc_queue_serve },
};

IpcQueueManager *
gipc_queue_open_manager (const GipcQueueOptions *options)
{
  g_autoptr (GError) error = NULL;
  IpcQueueManager *manager = ipc_queue_manager_new_for_uri (options->uri != NULL ? options->uri : "sqlite:", &error);

  if (manager == NULL)
    gipc_fail ("%s", error->message);
  return manager;
}

static IpcMessageQueue *
open_or_create (IpcQueueManager *manager, const char *name, GError **error)
{
  /* Others may make and delete it at the same time. */
  for (guint i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr (GError) problem = NULL;
      IpcMessageQueue *queue = ipc_queue_manager_open_queue (manager, name, NULL, &problem);

      if (queue == NULL && g_error_matches (problem, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        {
          g_clear_error (&problem);
          queue = ipc_queue_manager_create_queue (manager, name, NULL, &problem);
        }
      if (queue != NULL)
        return queue;
      if (!g_error_matches (problem, IPC_ERROR, IPC_ERROR_EXISTS))
        return g_propagate_error (error, g_steal_pointer (&problem)), NULL;
    }
  g_set_error (error, IPC_ERROR, IPC_ERROR_FAILED, "queue \"%s\" comes and goes all the time", name);
  return NULL;
}

IpcMessageQueue *
gipc_queue_open (IpcQueueManager *manager, const char *name, gboolean create)
{
  g_autoptr (GError) error = NULL;
  IpcMessageQueue *queue = create ? open_or_create (manager, name, &error) : ipc_queue_manager_open_queue (manager, name, NULL, &error);

  if (queue == NULL)
    gipc_fail ("%s", error->message);
  return queue;
}

gboolean
gipc_queue_check_count (const GipcVerb *verb, const char *option, gint value)
{
  return value >= 1 || (gipc_fail_usage (verb, "--%s: %d is less than 1", option, value), FALSE);
}

int
gipc_queue (const GipcVerb *verb, int argc, char **argv)
{
  return gipc_run_group (verb, verbs, G_N_ELEMENTS (verbs), argc, argv);
}
