/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues that several threads use: what goes in comes out, once, and in order.
 */
#include "queue-test.h"

#define N_PRODUCERS 3
#define N_CONSUMERS 3
/* One that waits for a disk takes longer for each. */
static guint per_producer = 2000;

static void
set_per_producer (IpcTest *test)
{
  per_producer = g_strcmp0 (test->data, "memory:") == 0 ? 2000 : 50;
}

typedef struct
{
  IpcMessageQueue *queue;
  guint number;
  gint *n_left;                 /* (atomic) */
  gint *seen;                   /* (atomic) how often each came */
} Thread;

static gpointer
produce (gpointer data)
{
  Thread *self = data;

  for (guint i = 0; i < per_producer; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", self->number * per_producer + i);

      queue_test_publish (self->queue, text);
    }
  return NULL;
}

/* Until all have come, each of one producer after the one before. */
static gpointer
consume (gpointer data)
{
  Thread *self = data;
  gint64 last[N_PRODUCERS] = { -1, -1, -1 };

  while (g_atomic_int_get (self->n_left) > 0)
    {
      g_autoptr(IpcDelivery) delivery = ipc_message_queue_consume (self->queue, 20, NULL, NULL);
      gint64 number;

      if (delivery == NULL)
        continue;
      number = g_ascii_strtoll (queue_test_get_text (delivery), NULL, 10);
      g_atomic_int_inc (&self->seen[number]);
      g_assert_cmpint (number, >, last[number / per_producer]);
      last[number / per_producer] = number;
      queue_test_ack (delivery);
      g_atomic_int_add (self->n_left, -1);
    }
  return NULL;
}

static void
test_many (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autofree gint *seen = NULL;
  gint n_left;
  GThread *threads[N_PRODUCERS + N_CONSUMERS];
  Thread data[N_PRODUCERS + N_CONSUMERS];

  set_per_producer (test);
  seen = g_new0 (gint, N_PRODUCERS * per_producer);
  n_left = (gint) (N_PRODUCERS * per_producer);
  queue_test_init (&fixture, test->data);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    {
      data[i] = (Thread){ fixture.queue, i, &n_left, seen };
      threads[i] = g_thread_new ("queue", i < N_PRODUCERS ? produce : consume, &data[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  for (guint i = 0; i < N_PRODUCERS * per_producer; i++)
    g_assert_cmpint (seen[i], ==, 1);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (fixture.queue), ==, 0);
}

static void
count_and_ack (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer n)
{
  queue_test_ack (delivery);
  ++*(guint *) n;
}

/* Those that publish are in threads, who consumes is in the main context. */
static void
test_into_context (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcConsumer) consumer = NULL;
  GThread *threads[N_PRODUCERS];
  Thread data[N_PRODUCERS];
  guint n = 0;

  set_per_producer (test);
  queue_test_init (&fixture, test->data);
  consumer = ipc_message_queue_start_consuming (fixture.queue, 10, count_and_ack, &n, NULL);
  for (guint i = 0; i < N_PRODUCERS; i++)
    {
      data[i] = (Thread){ fixture.queue, i, NULL, NULL };
      threads[i] = g_thread_new ("queue", produce, &data[i]);
    }
  ipc_test_wait_for (n == N_PRODUCERS * per_producer);
  for (guint i = 0; i < N_PRODUCERS; i++)
    g_thread_join (threads[i]);
  ipc_consumer_stop (consumer);
}

static gpointer
drop (gpointer delivery)
{
  g_object_unref (delivery);
  return NULL;
}

/* The last reference may go in any thread. */
static void
test_dropped_in_thread (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcDelivery) again = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "x");
  g_thread_join (g_thread_new ("drop", drop, queue_test_take (fixture.queue, "x")));
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &async);
  again = ipc_message_queue_consume_finish (fixture.queue, ipc_test_async_wait (&async), NULL);
  g_assert_cmpuint (ipc_delivery_get_attempt (again), ==, 2);
  queue_test_ack (again);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, queue_test_roles);
  queue_test_add ("threads/many", test_many);
  queue_test_add ("threads/into-context", test_into_context);
  queue_test_add ("threads/dropped-in-thread", test_dropped_in_thread);
  return ipc_test_run ();
}
