/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue-test.h"

void
queue_test_init (QueueTest *self, const char *uri)
{
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
  g_assert_null (queue);
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
