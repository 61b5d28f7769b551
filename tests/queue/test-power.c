/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues in a database on a disk that fails: the power is cut between any two of its operations, a write finds no room, a sync fails.
 */
#include "queue-test.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "fault-vfs.h"

#define CUTS 500                /* more with $IPC_TEST_CUTS */
#define N_MESSAGES 8

typedef enum
{
  UNKNOWN,                      /* asked for, and not answered */
  PUBLISHED,
  TAKEN,
  ACKED,
} State;

/* What is known of each message, by its number. */
typedef struct
{
  State states[N_MESSAGES];
  gboolean maybe_acked[N_MESSAGES];     /* asked for, and not answered */
  gboolean given[N_MESSAGES];   /* somebody has had it */
} Known;

static IpcQueueManager *
open_at (const char *folder, GError **error)
{
  g_autofree char *uri = g_strdup_printf ("sqlite:%s/queues.db", folder);

  return ipc_queue_manager_new_for_uri (uri, error);
}

static guint
get_number (IpcDelivery *delivery)
{
  return (guint) atoi (queue_test_get_text (delivery));
}

/* Publishes one, with what is large now and then. FALSE: it did not work. */
static gboolean
publish (IpcMessageQueue *queue, Known *known, guint number)
{
  g_autofree char *room = number % 3 == 2 ? g_strnfill (5000, ' ') : g_strdup ("");
  g_autofree char *text = g_strdup_printf ("%u%s", number, room);
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", text);

  if (ipc_message_queue_publish (queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, NULL) == 0)
    return FALSE;
  known->states[number] = PUBLISHED;
  return TRUE;
}

static gboolean
take_and_ack (IpcMessageQueue *queue, Known *known)
{
  g_autoptr(IpcDelivery) delivery = ipc_message_queue_consume (queue, 0, NULL, NULL);
  guint number;

  /* After the power was cut, nobody has it. */
  if (delivery == NULL || fault_vfs_has_happened ())
    return FALSE;
  number = get_number (delivery);
  known->given[number] = TRUE;
  known->states[number] = TAKEN;
  known->maybe_acked[number] = TRUE;
  if (!ipc_delivery_ack (delivery, NULL, NULL))
    return FALSE;
  known->states[number] = ACKED;
  return TRUE;
}

/* Until the power is cut, or it is done. */
static void
work (const char *folder, Known *known)
{
  g_autoptr(IpcQueueManager) manager = open_at (folder, NULL);
  g_autoptr(IpcMessageQueue) queue = NULL;
  gboolean goes_on = TRUE;

  if (manager == NULL)
    return;
  queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, NULL);
  for (guint i = 0; queue != NULL && goes_on && i < N_MESSAGES; i++)
    goes_on = publish (queue, known, i) && (i % 2 == 0 || take_and_ack (queue, known));
}

/* All that was acknowledged is as it was, and what comes a second time says so. */
static void
check (const char *folder, const Known *known)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcQueueManager) manager = open_at (folder, &error);
  g_autoptr(IpcMessageQueue) queue = NULL;
  gboolean seen[N_MESSAGES] = { FALSE };

  g_assert_no_error (error);
  queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, &error);
  g_assert_no_error (error);
  for (;;)
    {
      g_autoptr(IpcDelivery) delivery = ipc_message_queue_consume (queue, 0, NULL, &error);
      guint number;

      if (delivery == NULL)
        break;
      number = get_number (delivery);
      g_assert_cmpint (known->states[number], !=, ACKED);
      g_assert_false (seen[number]);
      seen[number] = TRUE;
      if (known->given[number])
        g_assert_true (ipc_delivery_get_redelivered (delivery));
      queue_test_ack (delivery);
    }
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  for (guint i = 0; i < N_MESSAGES; i++)
    if ((known->states[i] == PUBLISHED || (known->states[i] == TAKEN && !known->maybe_acked[i])) && !seen[i])
      g_error ("message %u is lost", i);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (queue), ==, 0);
}

/* A database that has a queue, as a file. */
static GBytes *
make_template (IpcTest *test)
{
  g_autofree char *folder = ipc_test_path (test, "template");
  g_autofree char *path = g_build_filename (folder, "queues.db", NULL);
  g_autoptr(IpcQueueManager) manager = NULL;
  char *contents;
  gsize size;

  fault_vfs_set (FAULT_NONE, 0);
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  manager = open_at (folder, NULL);
  g_object_unref (ipc_queue_manager_create_queue (manager, "jobs", NULL, NULL));
  g_clear_object (&manager);
  g_assert_true (g_file_get_contents (path, &contents, &size, NULL));
  return g_bytes_new_take (contents, size);
}

/* (transfer full): a folder with a copy of it, on a disk that works so far. */
static char *
make_folder (IpcTest *test, GBytes *template)
{
  char *folder = ipc_test_path (test, "before");
  g_autofree char *path = g_build_filename (folder, "queues.db", NULL);
  gsize size;
  const char *contents = g_bytes_get_data (template, &size);

  fault_vfs_set (FAULT_NONE, 0);
  fault_vfs_set_powersafe (TRUE);
  fault_vfs_reset ();
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_true (g_file_set_contents_full (path, contents, (gssize) size, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  return folder;
}

/* How many operations the work takes. */
static guint
count_operations (IpcTest *test, GBytes *template)
{
  g_autofree char *folder = make_folder (test, template);
  Known known = { { UNKNOWN } };

  work (folder, &known);
  g_assert_cmpint (known.states[1], !=, UNKNOWN);
  ipc_test_remove_tree (folder);
  return fault_vfs_get_count ();
}

static guint
get_cuts (void)
{
  const char *text = g_getenv ("IPC_TEST_CUTS");

  return text != NULL ? (guint) atoi (text) : CUTS;
}

static void
test_cuts (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_autoptr(GBytes) template = make_template (test);
  guint n = count_operations (test, template), cuts = get_cuts ();

  ipc_test_set_deadline (60 + cuts / 10);
  g_test_message ("%u operations", n);
  for (guint i = 0; i < cuts; i++)
    {
      g_autofree char *folder = make_folder (test, template);
      g_autofree char *after = ipc_test_path (test, "after");
      Known known = { { UNKNOWN } };

      fault_vfs_set_powersafe (i % 4 != 0);
      fault_vfs_set (FAULT_POWER, (guint) g_rand_int_range (rand, 0, (gint32) n));
      work (folder, &known);
      g_assert_true (fault_vfs_has_happened ());
      g_assert_cmpint (g_mkdir (after, 0700), ==, 0);
      fault_vfs_recover (folder, after, rand);
      fault_vfs_set (FAULT_NONE, 0);
      check (after, &known);
      ipc_test_remove_tree (folder);
      ipc_test_remove_tree (after);
    }
}

#define STRIDE 3                /* of the operations, one of so many */

/* One operation does not work: it is mended, or an error; nothing is lost, and the same again works. */
static void
fail_each (IpcTest *test, FaultKind kind, int code)
{
  g_autoptr(GBytes) template = make_template (test);
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  guint n = count_operations (test, template), n_failed = 0;

  ipc_test_set_deadline (120);
  for (guint i = (guint) g_rand_int_range (rand, 0, STRIDE); i < n; i += STRIDE)
    {
      g_autofree char *folder = make_folder (test, template);
      g_autoptr(IpcQueueManager) manager = open_at (folder, NULL);
      g_autoptr(IpcMessageQueue) queue = NULL;
      Known known = { { UNKNOWN } };

      queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, NULL);
      fault_vfs_set (kind, i);
      for (guint j = 0; j < N_MESSAGES; j++)
        {
          g_autofree char *text = g_strdup_printf ("%u", j);
          g_autoptr(IpcMessage) message = ipc_message_new_text ("job", text);
          g_autoptr(GError) error = NULL;

          if (ipc_message_queue_publish (queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error) == 0)
            {
              n_failed++;
              /* It is there, and a power cut may end that. */
              if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_UNCERTAIN))
                {
                  g_assert_error (error, IPC_ERROR, code);
                  g_assert_true (publish (queue, &known, j));
                }
              else
                g_assert_cmpint (kind, ==, FAULT_SYNC);
            }
          known.states[j] = PUBLISHED;
        }
      g_clear_object (&queue);
      g_clear_object (&manager);
      fault_vfs_set (FAULT_NONE, 0);
      check (folder, &known);
      ipc_test_remove_tree (folder);
    }
  /* When there is no room for the log, it is emptied, and there may be. */
  g_assert_true (n_failed > 0 || kind == FAULT_FULL);
}

static void
test_full (IpcTest *test)
{
  fail_each (test, FAULT_FULL, IPC_ERROR_NO_SPACE);
}

static void
test_sync (IpcTest *test)
{
  fail_each (test, FAULT_SYNC, IPC_ERROR_FAILED);
}

#define N_THREADS 4
#define PER_THREAD 20

typedef struct
{
  IpcMessageQueue *queue;
  guint n_done;
  guint n_failed;
} Publisher;

static gpointer
publish_some (gpointer data)
{
  Publisher *self = data;

  for (guint i = 0; i < PER_THREAD; i++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "x");
      g_autoptr(GError) error = NULL;

      if (ipc_message_queue_publish (self->queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error) != 0)
        self->n_done++;
      else
        {
          g_assert_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE);
          self->n_failed++;
        }
    }
  return NULL;
}

/* Several share a transaction that does not work: each is done again by itself, and at most one fails. */
static void
test_shared_failure (IpcTest *test)
{
  g_autoptr(GBytes) template = make_template (test);
  g_autoptr(GRand) rand = ipc_test_rand_new ();

  for (guint round = 0; round < 20; round++)
    {
      g_autofree char *folder = make_folder (test, template);
      g_autoptr(IpcQueueManager) manager = open_at (folder, NULL);
      g_autoptr(IpcMessageQueue) queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, NULL);
      Publisher publishers[N_THREADS];
      GThread *threads[N_THREADS];
      guint n_done = 0, n_failed = 0;

      /* However many share each transaction, there are as many transactions as each thread has messages. */
      fault_vfs_set (FAULT_FULL, (guint) g_rand_int_range (rand, 0, PER_THREAD));
      for (guint i = 0; i < N_THREADS; i++)
        {
          publishers[i] = (Publisher){ queue, 0, 0 };
          threads[i] = g_thread_new ("publish", publish_some, &publishers[i]);
        }
      for (guint i = 0; i < N_THREADS; i++)
        {
          g_thread_join (threads[i]);
          n_done += publishers[i].n_done;
          n_failed += publishers[i].n_failed;
        }
      g_assert_true (fault_vfs_has_happened ());
      g_assert_cmpuint (n_failed, <=, 1);
      g_assert_cmpuint (n_done + n_failed, ==, N_THREADS * PER_THREAD);
      g_assert_cmpuint (ipc_message_queue_get_n_messages (queue), ==, n_done);
      g_clear_object (&queue);
      g_clear_object (&manager);
      ipc_test_remove_tree (folder);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  fault_vfs_register ();
  ipc_test_add ("/queue/power/cuts", test_cuts);
  ipc_test_add ("/queue/power/full", test_full);
  ipc_test_add ("/queue/power/sync", test_sync);
  ipc_test_add ("/queue/power/shared-failure", test_shared_failure);
  return ipc_test_run ();
}
