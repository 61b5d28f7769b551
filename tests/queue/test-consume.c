/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for messages: in the main context, in turn, again and again; and copies of what is published.
 */
#include "queue-test.h"

#include <string.h>

/* It becomes so, and stays so when all that was on its way has been seen. */
#define settle_until(condition) \
  G_STMT_START \
  { \
    ipc_test_wait_for (condition); \
    ipc_test_settle (); \
    g_assert_true (condition); \
  } \
  G_STMT_END

static IpcDelivery *
finish (IpcMessageQueue *queue, IpcTestAsync *async, GError **error)
{
  return ipc_message_queue_consume_finish (queue, ipc_test_async_wait (async), error);
}

/* Those that wait are served in the order in which they began. */
static void
test_in_order (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) first = { 0 };
  g_auto(IpcTestAsync) second = { 0 };
  g_autoptr(IpcDelivery) a = NULL;
  g_autoptr(IpcDelivery) b = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &first);
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &second);
  settle_until (first.n_callbacks + second.n_callbacks == 0);
  queue_test_publish (fixture.queue, "a");
  queue_test_publish (fixture.queue, "b");
  a = finish (fixture.queue, &first, &error);
  b = finish (fixture.queue, &second, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (queue_test_get_text (a), ==, "a");
  g_assert_cmpstr (queue_test_get_text (b), ==, "b");
  queue_test_ack (a);
  queue_test_ack (b);
}

/* What is delayed comes by itself, without anybody who publishes. */
static void
test_delayed (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcDelivery) delivery = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish_full (fixture.queue, "later", IPC_PRIORITY_NORMAL, 0, 20, NULL);
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &async);
  delivery = finish (fixture.queue, &async, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (queue_test_get_text (delivery), ==, "later");
  queue_test_ack (delivery);
}

static void
test_timeouts (IpcTest *test)
{
  static const gint timeouts[] = { 0, 1, 20 };
  g_auto(QueueTest) fixture = { 0 };

  queue_test_init (&fixture, test->data);
  for (guint i = 0; i < G_N_ELEMENTS (timeouts); i++)
    {
      g_auto(IpcTestAsync) async = { 0 };
      g_autoptr(GError) error = NULL;
      gint64 begin = g_get_monotonic_time ();

      ipc_message_queue_consume_async (fixture.queue, timeouts[i], NULL, ipc_test_async_cb, &async);
      g_assert_cmpuint (async.n_callbacks, ==, 0);
      g_assert_null (finish (fixture.queue, &async, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
      g_assert_cmpint (g_get_monotonic_time () - begin, >=, timeouts[i] * 1000);
    }
}

/* Cancelled after each number of turns: one callback, and the message is had or still there. */
static void
test_cancelled (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };

  queue_test_init (&fixture, test->data);
  queue_test_set (&fixture, "max-retries", 1000);
  queue_test_publish (fixture.queue, "x");
  for (guint n = 0; n < 12; n++)
    {
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_auto(IpcTestAsync) async = { 0 };
      g_autoptr(IpcDelivery) delivery = NULL;
      g_autoptr(GError) error = NULL;

      ipc_message_queue_consume_async (fixture.queue, -1, n % 2 == 0 ? cancellable : NULL, ipc_test_async_cb, &async);
      ipc_test_iterate (n / 2);
      g_cancellable_cancel (cancellable);
      delivery = finish (fixture.queue, &async, &error);
      if (delivery == NULL)
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      settle_until (async.n_callbacks == 1);
      g_clear_object (&delivery);
      ipc_test_async_clear (&async);
      /* What a store was asked for before it was cancelled may still come, and goes back. */
      ipc_test_wait_for (ipc_message_queue_get_n_ready (fixture.queue) == 1);
    }
}

/* One that would not have waited, and is cancelled before the store was asked: it is no attempt. */
static void
test_cancelled_at_once (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(IpcDelivery) delivery = NULL, second = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "x");
  ipc_message_queue_consume_async (fixture.queue, 0, cancellable, ipc_test_async_cb, &async);
  g_cancellable_cancel (cancellable);
  delivery = finish (fixture.queue, &async, &error);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_null (delivery);
  second = queue_test_take (fixture.queue, "x");
  g_assert_cmpuint (ipc_delivery_get_attempt (second), ==, 1);
  queue_test_ack (second);
}

typedef struct
{
  IpcMessageQueue *queue;
  GCancellable *cancellable;
} Waiting;

/* Whether it has begun to wait by now or not. */
static gpointer
wait_in_thread (gpointer data)
{
  Waiting *self = data;
  GError *error = NULL;

  g_assert_null (ipc_message_queue_consume (self->queue, -1, self->cancellable, &error));
  return error;
}

static void
test_cancelled_in_thread (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };

  queue_test_init (&fixture, test->data);
  for (guint i = 0; i < 200; i++)
    {
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_autoptr(GError) error = NULL;
      Waiting waiting = { fixture.queue, cancellable };
      GThread *thread = g_thread_new ("wait", wait_in_thread, &waiting);

      for (guint j = 0; j < i % 20; j++)
        g_thread_yield ();
      g_cancellable_cancel (cancellable);
      error = g_thread_join (thread);
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
}

/* ---- consumers ---- */

typedef struct
{
  GPtrArray *texts;             /* (owned) */
  GPtrArray *held;              /* (owned) (nullable) of deliveries: they are not acknowledged */
  IpcConsumer *stops;           /* (nullable): stopped in the callback */
} Received;

static void
received_clear (Received *self)
{
  g_clear_pointer (&self->texts, g_ptr_array_unref);
  g_clear_pointer (&self->held, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Received, received_clear)

static void
received_init (Received *self, gboolean hold)
{
  self->texts = g_ptr_array_new_with_free_func (g_free);
  if (hold)
    self->held = g_ptr_array_new_with_free_func (g_object_unref);
}

static void
deliver (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer user_data)
{
  Received *self = user_data;

  g_ptr_array_add (self->texts, g_strdup (queue_test_get_text (delivery)));
  if (self->held != NULL)
    g_ptr_array_add (self->held, g_object_ref (delivery));
  else
    queue_test_ack (delivery);
  if (self->stops != NULL)
    ipc_consumer_stop (self->stops);
}

static void
publish_numbers (IpcMessageQueue *queue, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u", i);

      queue_test_publish (queue, text);
    }
}

static void
test_prefetch (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(Received) received = { 0 };
  g_autoptr(IpcConsumer) consumer = NULL;

  queue_test_init (&fixture, test->data);
  received_init (&received, TRUE);
  publish_numbers (fixture.queue, 5);
  consumer = ipc_message_queue_start_consuming (fixture.queue, 2, deliver, &received, NULL);
  settle_until (received.texts->len == 2);
  queue_test_ack (received.held->pdata[0]);
  settle_until (received.texts->len == 3);
  /* To drop one makes room as well, and it comes again. */
  g_ptr_array_remove_index (received.held, 1);
  settle_until (received.texts->len == 4);
  g_assert_cmpstr (received.texts->pdata[3], ==, "1");
  g_assert_cmpuint (ipc_consumer_get_message_count (consumer), ==, 4);
  g_assert_cmpint (ipc_consumer_get_last_message (consumer), >=, ipc_consumer_get_created_at (consumer));
  g_assert_cmpstr (ipc_consumer_get_queue_name (consumer), ==, "jobs");
  ipc_consumer_stop (consumer);
  ipc_consumer_stop (consumer);
  queue_test_ack (received.held->pdata[1]);
  settle_until (received.texts->len == 4);
}

typedef struct
{
  guint n_given;
  guint n_turns;        /* of another source of the main loop, before the last was given */
} Turns;

static void
take_a_while (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer data)
{
  gint64 end = g_get_monotonic_time () + 200;

  while (g_get_monotonic_time () < end)
    ;
  ((Turns *) data)->n_given++;
  queue_test_ack (delivery);
}

static gboolean
count_turn (gpointer data)
{
  ((Turns *) data)->n_turns++;
  return G_SOURCE_CONTINUE;
}

/* However many there are, others of the main loop have their turn meanwhile. */
static void
test_turns (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcConsumer) consumer = NULL;
  Turns turns = { 0 };
  guint id;

  queue_test_init (&fixture, test->data);
  publish_numbers (fixture.queue, 100);
  id = g_idle_add_full (G_PRIORITY_DEFAULT, count_turn, &turns, NULL);
  consumer = ipc_message_queue_start_consuming (fixture.queue, 100, take_a_while, &turns, NULL);
  ipc_test_wait_for (turns.n_given > 0);
  turns.n_turns = 0;
  ipc_test_wait_for (turns.n_given == 100);
  g_source_remove (id);
  /* They take 20 ms. */
  g_assert_cmpuint (turns.n_turns, >=, 4);
  ipc_consumer_stop (consumer);
  settle_until (ipc_message_queue_get_n_unacked (fixture.queue) == 0);
}

/* In turn, and each message once. */
static void
test_competing (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(Received) first = { 0 };
  g_auto(Received) second = { 0 };
  g_autoptr(IpcConsumer) a = NULL;
  g_autoptr(IpcConsumer) b = NULL;

  queue_test_init (&fixture, test->data);
  received_init (&first, FALSE);
  received_init (&second, FALSE);
  a = ipc_message_queue_start_consuming (fixture.queue, 1, deliver, &first, NULL);
  b = ipc_message_queue_start_consuming (fixture.queue, 1, deliver, &second, NULL);
  publish_numbers (fixture.queue, 10);
  settle_until (first.texts->len + second.texts->len == 10);
  g_assert_cmpuint (first.texts->len, ==, 5);
  g_assert_cmpstr (first.texts->pdata[0], ==, "0");
  g_assert_cmpstr (second.texts->pdata[0], ==, "1");
  g_assert_cmpuint (ipc_consumer_get_id (a), !=, ipc_consumer_get_id (b));
  ipc_consumer_stop (a);
  ipc_consumer_stop (b);
}

static void
count_destroyed (gpointer n)
{
  ++*(guint *) n;
}

static void
ack_only (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer user_data)
{
  queue_test_ack (delivery);
}

static void
test_stopped_in_callback (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(Received) received = { 0 };
  g_autoptr(IpcConsumer) consumer = NULL;
  IpcConsumer *other;
  guint n_destroyed = 0;

  queue_test_init (&fixture, test->data);
  received_init (&received, FALSE);
  publish_numbers (fixture.queue, 3);
  consumer = ipc_message_queue_start_consuming (fixture.queue, 10, deliver, &received, NULL);
  received.stops = consumer;
  settle_until (received.texts->len == 1);
  settle_until (ipc_message_queue_get_n_ready (fixture.queue) == 2);
  other = ipc_message_queue_start_consuming (fixture.queue, 1, ack_only, &n_destroyed, count_destroyed);
  ipc_consumer_stop (other);
  g_assert_cmpuint (n_destroyed, ==, 1);
  ipc_test_assert_finalized (other);
  g_assert_cmpuint (n_destroyed, ==, 1);
}

/* ---- copies ---- */

static void
copy (IpcMessageQueue *queue, IpcMessage *message, gpointer user_data)
{
  g_ptr_array_add (user_data, g_strdup (ipc_message_get_text (message)));
}

static void
test_subscriptions (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(GPtrArray) first = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GPtrArray) second = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(IpcSubscription) a = NULL;
  g_autoptr(IpcSubscription) b = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "before");
  a = ipc_message_queue_subscribe (fixture.queue, copy, first, NULL);
  b = ipc_message_queue_subscribe (fixture.queue, copy, second, NULL);
  queue_test_publish (fixture.queue, "x");
  queue_test_publish_full (fixture.queue, "delayed", IPC_PRIORITY_NORMAL, 0, 60000, NULL);
  settle_until (first->len == 2 && second->len == 2);
  g_assert_cmpstr (first->pdata[0], ==, "x");
  g_assert_cmpstr (second->pdata[1], ==, "delayed");
  ipc_subscription_stop (a);
  queue_test_publish (fixture.queue, "y");
  settle_until (second->len == 3);
  g_assert_cmpuint (first->len, ==, 2);
  g_assert_cmpuint (ipc_subscription_get_message_count (b), ==, 3);
  g_assert_cmpstr (ipc_subscription_get_queue_name (b), ==, "jobs");
  ipc_subscription_stop (b);
  /* They took nothing. */
  ipc_test_wait_for (ipc_message_queue_get_n_ready (fixture.queue) == 3);
}

/* ---- signals ---- */

static void
count_signal (IpcMessageQueue *queue, gpointer n)
{
  ++*(guint *) n;
}

static void
keep_expired (IpcMessageQueue *queue, IpcMessage *message, gpointer text)
{
  *(char **) text = g_strdup (ipc_message_get_text (message));
}

static void
keep_dead (IpcMessageQueue *queue, IpcDeadLetter *letter, gpointer place)
{
  *(IpcDeadLetter **) place = g_object_ref (letter);
}

static gboolean
is_in_process (IpcTest *test)
{
  return g_strcmp0 (test->data, "memory:") == 0;
}

static void
test_signals (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) delivery = NULL;
  g_autoptr(IpcDeadLetter) dead = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *expired = NULL;
  guint n_available = 0, n_deleted = 0, n_notified = 0;

  queue_test_init (&fixture, test->data);
  g_signal_connect (fixture.queue, "message-available", G_CALLBACK (count_signal), &n_available);
  g_signal_connect (fixture.queue, "message-expired", G_CALLBACK (keep_expired), &expired);
  g_signal_connect (fixture.queue, "message-dead", G_CALLBACK (keep_dead), &dead);
  g_signal_connect (fixture.queue, "deleted", G_CALLBACK (count_signal), &n_deleted);
  g_signal_connect_swapped (fixture.queue, "notify::n-ready", G_CALLBACK (count_destroyed), &n_notified);
  queue_test_publish (fixture.queue, "a");
  queue_test_publish (fixture.queue, "b");
  settle_until (n_available >= 1 && n_notified >= 1);
  /* Those of one turn of the loop are told of once; another process does not know of our turns. */
  if (is_in_process (test))
    g_assert_cmpuint (n_available + n_notified, ==, 2);
  queue_test_publish_full (fixture.queue, "short", IPC_PRIORITY_NORMAL, 10, 0, NULL);
  settle_until (expired != NULL);
  g_assert_cmpstr (expired, ==, "short");
  delivery = queue_test_take (fixture.queue, "a");
  g_assert_true (ipc_delivery_reject (delivery, "why", NULL, &error));
  settle_until (dead != NULL);
  g_assert_cmpstr (ipc_dead_letter_get_reason (dead), ==, "why");
  g_assert_true (ipc_queue_manager_delete_queue (fixture.manager, "jobs", NULL, &error));
  settle_until (n_deleted == 1);
}

/* Each change is told, also where nothing of the main context was involved. */
static void
test_signals_again (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) delivery = NULL;
  guint n_available = 0, n_ready = 0, n_unacked = 0;

  queue_test_init (&fixture, test->data);
  g_signal_connect (fixture.queue, "message-available", G_CALLBACK (count_signal), &n_available);
  g_signal_connect_swapped (fixture.queue, "notify::n-ready", G_CALLBACK (count_destroyed), &n_ready);
  g_signal_connect_swapped (fixture.queue, "notify::n-unacked", G_CALLBACK (count_destroyed), &n_unacked);
  queue_test_publish (fixture.queue, "a");
  ipc_test_settle ();
  queue_test_expect (fixture.queue, "a");
  queue_test_publish (fixture.queue, "b");
  settle_until (n_available == 2);
  delivery = queue_test_take (fixture.queue, "b");
  settle_until (n_ready == 2);
  g_assert_cmpuint (n_unacked, ==, 1);
  queue_test_ack (delivery);
  settle_until (n_unacked == 2);
  queue_test_publish (fixture.queue, "c");
  ipc_test_settle ();
  g_assert_cmpint (ipc_message_queue_purge (fixture.queue, NULL, NULL), ==, 1);
  settle_until (n_ready == 4);
}

static void
test_deleted_while_waiting (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  g_assert_true (ipc_queue_manager_delete_queue (fixture.manager, "jobs", NULL, &error));
  g_assert_null (finish (fixture.queue, &async, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
}

/* A thousand waits, and a queue that is dropped under them: each is called back once. */
static void
test_many_waits (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autofree IpcTestAsync *waits = g_new0 (IpcTestAsync, 1000);

  queue_test_init (&fixture, test->data);
  for (guint i = 0; i < 1000; i++)
    ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &waits[i]);
  publish_numbers (fixture.queue, 1000);
  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *expected = g_strdup_printf ("%u", i);
      g_autoptr(IpcDelivery) delivery = finish (fixture.queue, &waits[i], NULL);

      g_assert_cmpstr (queue_test_get_text (delivery), ==, expected);
      queue_test_ack (delivery);
      ipc_test_async_clear (&waits[i]);
    }
}

static void
count_deleted (IpcMessageQueue *queue, gpointer n)
{
  ++*(guint *) n;
}

/* It is deleted and made anew before anybody is told: the old one is gone, the new one is not. */
static void
test_made_anew (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) old_wait = { 0 };
  g_auto(IpcTestAsync) new_wait = { 0 };
  g_autoptr(IpcMessageQueue) anew = NULL;
  g_autoptr(IpcDelivery) delivery = NULL;
  g_autoptr(GError) error = NULL;
  guint n_old = 0, n_new = 0;

  queue_test_init (&fixture, test->data);
  g_signal_connect (fixture.queue, "deleted", G_CALLBACK (count_deleted), &n_old);
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &old_wait);
  g_assert_true (ipc_queue_manager_delete_queue (fixture.manager, "jobs", NULL, NULL));
  anew = ipc_queue_manager_create_queue (fixture.manager, "jobs", NULL, &error);
  g_assert_no_error (error);
  g_signal_connect (anew, "deleted", G_CALLBACK (count_deleted), &n_new);
  ipc_message_queue_consume_async (anew, -1, NULL, ipc_test_async_cb, &new_wait);
  g_assert_null (ipc_message_queue_consume_finish (fixture.queue, ipc_test_async_wait (&old_wait), &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
  g_clear_error (&error);
  queue_test_publish (anew, "x");
  g_assert_null (ipc_message_queue_consume (fixture.queue, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  delivery = ipc_message_queue_consume_finish (anew, ipc_test_async_wait (&new_wait), NULL);
  g_assert_nonnull (delivery);
  queue_test_ack (delivery);
  ipc_test_wait_for (n_old == 1);
  ipc_test_settle ();
  g_assert_cmpuint (n_old, ==, 1);
  g_assert_cmpuint (n_new, ==, 0);
  ipc_test_wait_for (ipc_manager_get_n_items (IPC_MANAGER (fixture.manager)) == 1);
}

typedef struct
{
  IpcMessageQueue *queue;
  IpcTestAsync second;
  guint n_callbacks;
} Nested;

/* Runs the context until the other one is done, and asks for something that is waited for. */
static void
nest_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Nested *nested = data;

  nested->n_callbacks++;
  g_assert_cmpuint (ipc_message_queue_publish_finish (nested->queue, result, NULL), >, 0);
  ipc_test_async_wait (&nested->second);
  queue_test_publish (nested->queue, "third");
}

/* Two that are done at once: the callback of the first one waits for the second. */
static void
test_nested (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "x");
  Nested nested = { 0 };

  queue_test_init (&fixture, test->data);
  nested.queue = fixture.queue;
  ipc_message_queue_publish_async (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, nest_cb, &nested);
  ipc_message_queue_publish_async (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, ipc_test_async_cb, &nested.second);
  /* Both are in one batch with this one, which this thread may do. */
  queue_test_publish (fixture.queue, "y");
  ipc_test_wait_for (nested.n_callbacks == 1);
  ipc_test_wait_for (ipc_message_queue_get_n_ready (fixture.queue) == 4);
  ipc_test_async_clear (&nested.second);
}

#define N_TOGETHER 40u

/* Who has all of them, in the order in which they were published; taken at once where they can be. */
static void
hold_all (IpcMessageQueue *queue, Received *received)
{
  g_autoptr(IpcConsumer) consumer = NULL;

  publish_numbers (queue, N_TOGETHER);
  consumer = ipc_message_queue_start_consuming (queue, N_TOGETHER, deliver, received, NULL);
  ipc_test_wait_for (received->held->len == N_TOGETHER);
  ipc_consumer_stop (consumer);
}

/* What LOST has is somebody else's by then. */
static void
ack_together (GPtrArray *held, IpcDelivery *lost)
{
  IpcTestAsync asyncs[N_TOGETHER] = { 0 };

  for (guint i = 0; i < held->len; i++)
    ipc_delivery_ack_async (held->pdata[i], NULL, ipc_test_async_cb, &asyncs[i]);
  for (guint i = 0; i < held->len; i++)
    {
      g_autoptr(GError) error = NULL;

      if (ipc_delivery_ack_finish (held->pdata[i], ipc_test_async_wait (&asyncs[i]), &error))
        g_assert_true (held->pdata[i] != lost);
      else
        g_assert_error (error, IPC_ERROR, IPC_ERROR_LEASE_LOST);
      g_assert_true ((error != NULL) == (held->pdata[i] == lost));
      ipc_test_async_clear (&asyncs[i]);
    }
}

/* Each has its own result, also where they are done at once. */
static void
test_acked_together (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(Received) all = { 0 };
  g_auto(Received) some = { 0 };
  g_autoptr(IpcDelivery) again = NULL;
  g_autoptr(GError) error = NULL;
  IpcDelivery *lost;

  queue_test_init (&fixture, test->data);
  received_init (&all, TRUE);
  hold_all (fixture.queue, &all);
  ack_together (all.held, NULL);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (fixture.queue), ==, 0);

  received_init (&some, TRUE);
  hold_all (fixture.queue, &some);
  lost = some.held->pdata[N_TOGETHER / 2];
  g_assert_true (ipc_delivery_extend (some.held->pdata[N_TOGETHER / 4], 60000, NULL, &error));
  g_assert_true (ipc_delivery_extend (lost, 1, NULL, &error));
  again = ipc_message_queue_consume (fixture.queue, 20000, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ipc_delivery_get_id (again), ==, ipc_delivery_get_id (lost));
  ack_together (some.held, lost);
  g_assert_cmpuint (ipc_message_queue_get_n_unacked (fixture.queue), ==, 1);
  queue_test_ack (again);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (fixture.queue), ==, 0);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, queue_test_roles);
  queue_test_add ("consume/in-order", test_in_order);
  queue_test_add ("consume/delayed", test_delayed);
  queue_test_add ("consume/timeouts", test_timeouts);
  queue_test_add ("consume/cancelled", test_cancelled);
  queue_test_add ("consume/cancelled-at-once", test_cancelled_at_once);
  queue_test_add ("consume/cancelled-in-thread", test_cancelled_in_thread);
  queue_test_add ("consume/prefetch", test_prefetch);
  queue_test_add ("consume/turns", test_turns);
  queue_test_add ("consume/acked-together", test_acked_together);
  queue_test_add ("consume/competing", test_competing);
  queue_test_add ("consume/stopped-in-callback", test_stopped_in_callback);
  queue_test_add ("consume/subscriptions", test_subscriptions);
  queue_test_add ("consume/signals", test_signals);
  /* Each change by itself is only told where it is made. */
  queue_test_add_local ("consume/signals-again", test_signals_again);
  queue_test_add ("consume/deleted-while-waiting", test_deleted_while_waiting);
  queue_test_add ("consume/many-waits", test_many_waits);
  queue_test_add ("consume/made-anew", test_made_anew);
  queue_test_add ("consume/nested", test_nested);
  return ipc_test_run ();
}
