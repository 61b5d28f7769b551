/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues in a database on a disk that is full: what finds no room says so, what was acknowledged is there, and when there is room
 * again all goes on, in this process and in one that opens it anew.
 */
#include "queue-test.h"

#include <string.h>

#include "ipc-test-disk.h"

#define LARGE_KIB 32768u
#define SMALL_KIB 2048u          /* less than a log may become */
#define URI "sqlite:" IPC_TEST_DISK "/queues.db"
#define SIZE 1000u
#define N_BEFORE 100u

static IpcQueueManager *
open_manager (void)
{
  g_autoptr(GError) error = NULL;
  IpcQueueManager *manager = ipc_queue_manager_new_for_uri (URI, &error);

  g_assert_no_error (error);
  return manager;
}

/* How many there is room for. */
static guint
publish_until_full (IpcMessageQueue *queue)
{
  g_autofree char *text = g_strnfill (SIZE, 'x');
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", text);
  g_autoptr(GError) error = NULL;
  guint n = 0;

  while (ipc_message_queue_publish (queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error) != 0)
    n++;
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE);
  return n;
}

static void
take_all (IpcMessageQueue *queue, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(IpcDelivery) delivery = ipc_message_queue_consume (queue, 0, NULL, &error);

      g_assert_no_error (error);
      g_assert_cmpuint (strlen (queue_test_get_text (delivery)), ==, SIZE);
      queue_test_ack (delivery);
    }
  queue_test_expect_none (queue);
}

static void
publish_some (IpcMessageQueue *queue, guint n)
{
  g_autofree char *text = g_strnfill (SIZE, 'x');

  for (guint i = 0; i < n; i++)
    queue_test_publish (queue, text);
}

/* To take one has to be written down, too; it is still there. */
static void
take_none (IpcMessageQueue *queue)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_message_queue_consume (queue, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE);
}

/* How many messages there are then, on a disk that is full. */
static guint
fill (void)
{
  g_autoptr(IpcQueueManager) manager = open_manager ();
  g_autoptr(IpcMessageQueue) queue = ipc_queue_manager_create_queue (manager, "jobs", NULL, NULL);
  guint n = N_BEFORE;

  publish_some (queue, N_BEFORE);
  ipc_test_disk_fill ();
  n += publish_until_full (queue);
  g_assert_cmpuint (publish_until_full (queue), ==, 0);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (queue), ==, n);
  take_none (queue);
  return n;
}

static void
work (void)
{
  guint n = fill ();
  g_autoptr(IpcQueueManager) manager = open_manager ();
  g_autoptr(IpcMessageQueue) queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, NULL);

  take_none (queue);
  ipc_test_disk_free ();
  take_all (queue, n);
  publish_some (queue, N_BEFORE);
  take_all (queue, N_BEFORE);
}

/* The log has gone into the database once, which so has room for what is in it; then it is written from its beginning again. */
static void
cycle (void)
{
  g_autoptr(IpcQueueManager) manager = open_manager ();
  g_autoptr(IpcMessageQueue) queue = ipc_queue_manager_create_queue (manager, "jobs", NULL, NULL);

  publish_some (queue, N_BEFORE);
  g_clear_object (&queue);
  g_clear_object (&manager);
  manager = open_manager ();
  queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, NULL);
  for (guint i = 0; i < 5; i++)
    {
      take_all (queue, N_BEFORE);
      publish_some (queue, N_BEFORE);
    }
}

static int
full (char **arguments)
{
  if (!ipc_test_disk_enter (arguments[0], LARGE_KIB))
    return 0;
  work ();
  ipc_test_tell ("done");
  return 0;
}

static int
small (char **arguments)
{
  if (!ipc_test_disk_enter (arguments[0], SMALL_KIB))
    return 0;
  cycle ();
  ipc_test_tell ("done");
  return 0;
}

static void
run_role (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn (test->data, (const char *const[]){ test->directory, NULL });

  ipc_test_disk_expect_done (peer);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "full", full }, { "small", small }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add_data ("/queue/full/room-again", "full", run_role);
  ipc_test_add_data ("/queue/full/small-disk", "small", run_role);
  return ipc_test_run ();
}
