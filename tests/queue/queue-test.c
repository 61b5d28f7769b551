/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue-test.h"

#include <string.h>
#include <unistd.h>

/* Each has a database of its own, in a folder that goes with the process. */
char *
queue_test_make_uri (const char *scheme)
{
  static gint n;

  if (g_strcmp0 (scheme, "sqlite:") != 0)
    return g_strdup (scheme);
  return g_strdup_printf ("sqlite:%s/queue-test-%d-%d.db", g_getenv ("XDG_RUNTIME_DIR"), (int) getpid (), g_atomic_int_add (&n, 1));
}

void
queue_test_add (const char *path, IpcTestFunc func)
{
  static const char *const schemes[] = {
    "memory:",
#ifdef IPC_HAVE_SQLITE
    "sqlite:",
#endif
  };

  for (guint i = 0; i < G_N_ELEMENTS (schemes); i++)
    {
      g_autofree char *scheme = g_strndup (schemes[i], strcspn (schemes[i], ":"));
      g_autofree char *whole = g_strdup_printf ("/queue/%s/%s", path, scheme);

      ipc_test_add_data (whole, schemes[i], func);
    }
}

void
queue_test_init (QueueTest *self, const char *scheme)
{
  g_autofree char *uri = queue_test_make_uri (scheme);
  g_autoptr(GError) error = NULL;

  self->manager = ipc_queue_manager_new_for_uri (uri, &error);
  g_assert_no_error (error);
  self->queue = ipc_queue_manager_create_queue (self->manager, "jobs", NULL, &error);
  g_assert_no_error (error);
}

void
queue_test_clear (QueueTest *self)
{
  gpointer queue = self->queue;
  IpcQueueManager *manager = g_steal_pointer (&self->manager);

  if (queue != NULL)
    g_object_add_weak_pointer (queue, &queue);
  g_clear_object (&self->queue);
  ipc_test_assert_finalized (manager);
  /* What is being given back, or taken, keeps it until that is done. */
  ipc_test_wait_for (queue == NULL);
}

guint64
queue_test_publish_full (IpcMessageQueue *queue, const char *text, IpcPriority priority, gint64 ttl, gint64 delay, const char *dedup_id)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", text);
  g_autoptr(GError) error = NULL;
  guint64 id = ipc_message_queue_publish (queue, message, priority, ttl, delay, dedup_id, NULL, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (id, >, 0);
  g_assert_cmpuint (id, <, G_GUINT64_CONSTANT (1) << 53);
  return id;
}

guint64
queue_test_publish (IpcMessageQueue *queue, const char *text)
{
  return queue_test_publish_full (queue, text, IPC_PRIORITY_NORMAL, 0, 0, NULL);
}

const char *
queue_test_get_text (IpcDelivery *delivery)
{
  return ipc_message_get_text (ipc_delivery_get_message (delivery));
}

IpcDelivery *
queue_test_take (IpcMessageQueue *queue, const char *text)
{
  g_autoptr(GError) error = NULL;
  IpcDelivery *delivery = ipc_message_queue_consume (queue, 0, NULL, &error);

  g_assert_no_error (error);
  g_assert_nonnull (delivery);
  if (text != NULL)
    g_assert_cmpstr (queue_test_get_text (delivery), ==, text);
  return delivery;
}

void
queue_test_ack (IpcDelivery *delivery)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (ipc_delivery_ack (delivery, NULL, &error));
  g_assert_no_error (error);
}

void
queue_test_expect (IpcMessageQueue *queue, const char *text)
{
  g_autoptr(IpcDelivery) delivery = queue_test_take (queue, text);

  queue_test_ack (delivery);
}

void
queue_test_expect_none (IpcMessageQueue *queue)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_message_queue_consume (queue, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
}
