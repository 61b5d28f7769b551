/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts jobs into a queue, which is made if there is none.
 *
 *   queue-publish URI QUEUE TEXT…
 *
 * URI says where the queue is kept: "sqlite:" for a database that all your programs share, "ipc:ADDRESS" for the queues that another
 * process serves (gipc queue serve ADDRESS).
 */
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>

static IpcMessageQueue *
open_queue (IpcQueueManager *manager, const char *name, GError **error)
{
  g_autoptr (GError) problem = NULL;
  IpcMessageQueue *queue = ipc_queue_manager_create_queue (manager, name, NULL, &problem);

  if (g_error_matches (problem, IPC_ERROR, IPC_ERROR_EXISTS))
    return ipc_queue_manager_open_queue (manager, name, NULL, error);
  if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  return queue;
}

static gboolean
publish (const char *uri, const char *name, char **texts, GError **error)
{
  g_autoptr (IpcQueueManager) manager = ipc_queue_manager_new_for_uri (uri, error);
  g_autoptr (IpcMessageQueue) queue = manager != NULL ? open_queue (manager, name, error) : NULL;

  if (queue == NULL)
    return FALSE;
  for (; *texts != NULL; texts++)
    {
      g_autoptr (IpcMessage) message = ipc_message_new_text ("job", *texts);
      guint64 id = ipc_message_queue_publish (queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, error);

      if (id == 0)
        return FALSE;
      g_print ("published %s\n", *texts);
    }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (argc < 3)
    {
      g_printerr ("usage: queue-publish URI QUEUE TEXT…\n");
      return 2;
    }
  if (publish (argv[1], argv[2], argv + 3, &error))
    return EXIT_SUCCESS;
  g_printerr ("queue-publish: %s\n", error->message);
  return EXIT_FAILURE;
}
