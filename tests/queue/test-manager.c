/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Managers of queues: URIs, names, limits, the list. */
#include "queue-test.h"

#include <sys/wait.h>
#include <unistd.h>

static void
test_uris (IpcTest *test)
{
  static const struct
  {
    const char *uri;
    IpcError code;
  } bad[] = {
    { "", IPC_ERROR_INVALID_ARGUMENT },
    { "memory", IPC_ERROR_INVALID_ARGUMENT },
    { ":", IPC_ERROR_INVALID_ARGUMENT },
    { "memory:x", IPC_ERROR_INVALID_ARGUMENT },
    { "nonsense:", IPC_ERROR_UNSUPPORTED },
  };
  g_autoptr(IpcQueueManager) manager = NULL;
  g_autoptr(GError) error = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (ipc_queue_manager_new_for_uri (bad[i].uri, &error));
      g_assert_error (error, IPC_ERROR, (gint) bad[i].code);
      g_clear_error (&error);
    }
  manager = ipc_queue_manager_new_for_uri ("memory:", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_queue_manager_get_uri (manager), ==, "memory:");
  g_assert_false (ipc_queue_manager_supports (manager, IPC_QUEUE_FEATURE_DURABLE));
  g_assert_false (ipc_queue_manager_supports (manager, IPC_QUEUE_FEATURE_SHARED));
  g_assert_true (ipc_queue_manager_supports (manager, IPC_QUEUE_FEATURE_TTL));
  g_assert_false (ipc_queue_manager_supports (manager, (IpcQueueFeature) 99));
}

static void
test_names (IpcTest *test)
{
  static const char *const bad[] = { "", ".", "..", "a/b", "/abs", "-x", ".hidden", "a b", "a\nb", "\xff" };
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcMessageQueue) same = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *longest = g_strnfill (64, 'x');
  g_autofree char *too_long = g_strnfill (65, 'x');

  queue_test_init (&fixture, "memory:");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (ipc_queue_manager_create_queue (fixture.manager, bad[i], NULL, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME);
      g_clear_error (&error);
    }
  g_assert_null (ipc_queue_manager_create_queue (fixture.manager, too_long, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME);
  g_clear_error (&error);
  g_assert_null (ipc_queue_manager_open_queue (fixture.manager, longest, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_false (ipc_queue_manager_delete_queue (fixture.manager, longest, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (ipc_queue_manager_create_queue (fixture.manager, "jobs", NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_EXISTS);
  g_clear_error (&error);
  same = ipc_queue_manager_open_queue (fixture.manager, "jobs", NULL, &error);
  g_assert_no_error (error);
  g_assert_true (same == fixture.queue);
}

static void
test_list (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcMessageQueue) a = NULL;
  g_autoptr(GError) error = NULL;
  GListModel *items;

  queue_test_init (&fixture, "memory:");
  items = ipc_manager_get_items (IPC_MANAGER (fixture.manager));
  a = ipc_queue_manager_create_queue (fixture.manager, "a", NULL, &error);
  g_assert_cmpuint (g_list_model_get_n_items (items), ==, 2);
  {
    g_autoptr(IpcMessageQueue) first = g_list_model_get_item (items, 0);

    g_assert_true (first == a);
  }
  g_assert_cmpuint (ipc_manager_get_n_items (IPC_MANAGER (fixture.manager)), ==, 2);
  ipc_manager_set_max_items (IPC_MANAGER (fixture.manager), 2);
  g_assert_null (ipc_queue_manager_create_queue (fixture.manager, "b", NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED);
  g_clear_error (&error);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), &error), ==, 0);
  g_assert_true (ipc_queue_manager_delete_queue (fixture.manager, "a", NULL, &error));
  g_assert_cmpuint (g_list_model_get_n_items (items), ==, 1);
  ipc_test_settle ();
}

static void
test_async (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) created = { 0 };
  g_auto(IpcTestAsync) opened = { 0 };
  g_auto(IpcTestAsync) deleted = { 0 };
  g_auto(IpcTestAsync) cancelled = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(IpcMessageQueue) a = NULL;
  g_autoptr(IpcMessageQueue) b = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, "memory:");
  ipc_queue_manager_create_queue_async (fixture.manager, "a", NULL, ipc_test_async_cb, &created);
  g_assert_cmpuint (created.n_callbacks, ==, 0);
  a = ipc_queue_manager_create_queue_finish (fixture.manager, ipc_test_async_wait (&created), &error);
  g_assert_no_error (error);
  ipc_queue_manager_open_queue_async (fixture.manager, "a", NULL, ipc_test_async_cb, &opened);
  b = ipc_queue_manager_open_queue_finish (fixture.manager, ipc_test_async_wait (&opened), &error);
  g_assert_true (a == b);
  g_cancellable_cancel (cancellable);
  ipc_queue_manager_delete_queue_async (fixture.manager, "a", cancellable, ipc_test_async_cb, &cancelled);
  g_assert_false (ipc_queue_manager_delete_queue_finish (fixture.manager, ipc_test_async_wait (&cancelled), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  ipc_queue_manager_delete_queue_async (fixture.manager, "a", NULL, ipc_test_async_cb, &deleted);
  g_assert_true (ipc_queue_manager_delete_queue_finish (fixture.manager, ipc_test_async_wait (&deleted), &error));
  g_assert_no_error (error);
}

/* The queue goes on without the manager, and what is taken from it without both. */
static void
test_outlives_manager (IpcTest *test)
{
  QueueTest fixture = { 0 };
  g_autoptr(IpcDelivery) delivery = NULL;
  g_auto(IpcTestAsync) async = { 0 };

  queue_test_init (&fixture, "memory:");
  ipc_test_assert_finalized (fixture.manager);
  queue_test_publish (fixture.queue, "x");
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &async);
  delivery = ipc_message_queue_consume_finish (fixture.queue, ipc_test_async_wait (&async), NULL);
  ipc_test_async_clear (&async);
  g_object_unref (fixture.queue);
  queue_test_ack (delivery);
}

static void
assert_forked (gboolean ok, GError **error)
{
  if (ok || !g_error_matches (*error, IPC_ERROR, IPC_ERROR_FORKED))
    _exit (1);
  g_clear_error (error);
}

static void
test_forked (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "x");
  g_autoptr(IpcDelivery) held = NULL;
  GError *error = NULL;
  int status;
  pid_t child;

  queue_test_init (&fixture, "memory:");
  queue_test_publish (fixture.queue, "x");
  held = queue_test_take (fixture.queue, "x");
  child = fork ();
  if (child == 0)
    {
      assert_forked (ipc_message_queue_publish (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error) != 0, &error);
      assert_forked (ipc_message_queue_consume (fixture.queue, -1, NULL, &error) != NULL, &error);
      assert_forked (ipc_message_queue_peek (fixture.queue, 1, NULL, &error) != NULL, &error);
      assert_forked (ipc_message_queue_purge (fixture.queue, NULL, &error) >= 0, &error);
      assert_forked (ipc_delivery_ack (held, NULL, &error), &error);
      assert_forked (ipc_queue_manager_create_queue (fixture.manager, "y", NULL, &error) != NULL, &error);
      assert_forked (ipc_queue_manager_open_queue (fixture.manager, "jobs", NULL, &error) != NULL, &error);
      _exit (0);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
  queue_test_ack (held);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/queue/manager/uris", test_uris);
  ipc_test_add ("/queue/manager/names", test_names);
  ipc_test_add ("/queue/manager/list", test_list);
  ipc_test_add ("/queue/manager/async", test_async);
  ipc_test_add ("/queue/manager/outlives-manager", test_outlives_manager);
  ipc_test_add ("/queue/manager/forked", test_forked);
  return ipc_test_run ();
}
