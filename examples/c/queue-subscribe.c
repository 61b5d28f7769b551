/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Gets a copy of all that is published in a queue, as does everybody else who runs this; nothing is taken from the queue.
 *
 *   queue-subscribe URI QUEUE COUNT
 *
 * It ends after COUNT messages.
 */
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>

typedef struct
{
  GMainLoop *loop;
  gulong     count;
} Subscriber;

static void
message_cb (IpcMessageQueue *queue, IpcMessage *message, gpointer data)
{
  Subscriber *self = data;

  g_print ("heard %s\n", ipc_message_get_text (message));
  if (--self->count == 0)
    g_main_loop_quit (self->loop);
}

static gboolean
run (const char *uri, const char *name, gulong count, GError **error)
{
  g_autoptr (IpcQueueManager) manager = ipc_queue_manager_new_for_uri (uri, error);
  g_autoptr (IpcMessageQueue) queue = manager != NULL ? ipc_queue_manager_open_queue (manager, name, NULL, error) : NULL;
  g_autoptr (IpcSubscription) subscription = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Subscriber self = { loop, count };

  if (queue == NULL)
    return FALSE;
  subscription = ipc_message_queue_subscribe (queue, message_cb, &self, NULL);
  g_print ("subscribed to %s\n", name);
  g_main_loop_run (loop);
  ipc_subscription_stop (subscription);
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (argc != 4)
    {
      g_printerr ("usage: queue-subscribe URI QUEUE COUNT\n");
      return 2;
    }
  if (run (argv[1], argv[2], strtoul (argv[3], NULL, 10), &error))
    return EXIT_SUCCESS;
  g_printerr ("queue-subscribe: %s\n", error->message);
  return EXIT_FAILURE;
}
