/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does jobs of a queue. Start as many of these as you like: each job goes to one of them. Kill one: the next one gets its job.
 *
 *   queue-worker URI QUEUE COUNT
 *
 * It ends after COUNT jobs. One whose text begins with "bad" fails: it comes again, and after too many attempts it is a dead letter, which is
 * told at the end.
 */
#include <ipc-glib/ipc-glib.h>
#include <stdlib.h>

static gboolean
work (IpcDelivery *delivery, GError **error)
{
  const char *text = ipc_message_get_text (ipc_delivery_get_message (delivery));

  if (text == NULL)
    return ipc_delivery_reject (delivery, "it is not text", NULL, error);
  if (!g_str_has_prefix (text, "bad"))
    {
      g_print ("did %s\n", text);
      return ipc_delivery_ack (delivery, NULL, error);
    }
  g_print ("failed %s, attempt %u\n", text, ipc_delivery_get_attempt (delivery));
  /* -1 would wait longer each time. */
  return ipc_delivery_nack (delivery, 0, NULL, error);
}

static gboolean
tell_dead (IpcMessageQueue *queue, GError **error)
{
  g_autoptr (GPtrArray) dead = ipc_message_queue_list_dead (queue, 100, NULL, error);

  for (guint i = 0; dead != NULL && i < dead->len; i++)
    g_print ("dead %s, after %u attempts\n", ipc_message_get_text (ipc_dead_letter_get_message (dead->pdata[i])),
             ipc_dead_letter_get_attempts (dead->pdata[i]));
  return dead != NULL;
}

static gboolean
run (const char *uri, const char *name, gulong count, GError **error)
{
  g_autoptr (IpcQueueManager) manager = ipc_queue_manager_new_for_uri (uri, error);
  g_autoptr (IpcMessageQueue) queue = manager != NULL ? ipc_queue_manager_open_queue (manager, name, NULL, error) : NULL;

  if (queue == NULL)
    return FALSE;
  for (; count > 0; count--)
    {
      g_autoptr (IpcDelivery) delivery = ipc_message_queue_consume (queue, -1, NULL, error);

      if (delivery == NULL || !work (delivery, error))
        return FALSE;
    }
  return tell_dead (queue, error);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;

  if (argc != 4)
    {
      g_printerr ("usage: queue-worker URI QUEUE COUNT\n");
      return 2;
    }
  if (run (argv[1], argv[2], strtoul (argv[3], NULL, 10), &error))
    return EXIT_SUCCESS;
  g_printerr ("queue-worker: %s\n", error->message);
  return EXIT_FAILURE;
}
