/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What holds for the queues of every store, one after the other.
 */
#include "queue-test.h"

#include <string.h>

static void
assert_counts (IpcMessageQueue *queue, guint ready, guint delayed, guint unacked, guint dead)
{
  g_assert_cmpuint (ipc_message_queue_get_n_ready (queue), ==, ready);
  g_assert_cmpuint (ipc_message_queue_get_n_delayed (queue), ==, delayed);
  g_assert_cmpuint (ipc_message_queue_get_n_unacked (queue), ==, unacked);
  g_assert_cmpuint (ipc_message_queue_get_n_dead (queue), ==, dead);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (queue), ==, ready + delayed + unacked);
}

static void
test_order (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };

  queue_test_init (&fixture, test->data);
  queue_test_publish_full (fixture.queue, "low", IPC_PRIORITY_LOW, 0, 0, NULL);
  queue_test_publish (fixture.queue, "a");
  queue_test_publish_full (fixture.queue, "critical", IPC_PRIORITY_CRITICAL, 0, 0, NULL);
  queue_test_publish (fixture.queue, "b");
  queue_test_publish_full (fixture.queue, "high", IPC_PRIORITY_HIGH, 0, 0, NULL);
  /* 0 is the usual one. */
  queue_test_publish_full (fixture.queue, "c", 0, 0, 0, NULL);
  assert_counts (fixture.queue, 6, 0, 0, 0);
  queue_test_expect (fixture.queue, "critical");
  queue_test_expect (fixture.queue, "high");
  queue_test_expect (fixture.queue, "a");
  queue_test_expect (fixture.queue, "b");
  queue_test_expect (fixture.queue, "c");
  queue_test_expect (fixture.queue, "low");
  queue_test_expect_none (fixture.queue);
  assert_counts (fixture.queue, 0, 0, 0, 0);
  g_assert_cmpuint (ipc_message_queue_get_total_messages (fixture.queue), ==, 6);
}

static void
test_delivery (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) delivery = NULL;
  gint64 before = g_get_real_time ();
  guint64 id;

  queue_test_init (&fixture, test->data);
  id = queue_test_publish_full (fixture.queue, "x", IPC_PRIORITY_HIGH, 60000, 0, NULL);
  delivery = queue_test_take (fixture.queue, "x");
  g_assert_cmpuint (ipc_delivery_get_id (delivery), ==, id);
  g_assert_cmpstr (ipc_delivery_get_queue_name (delivery), ==, "jobs");
  g_assert_cmpint (ipc_delivery_get_priority (delivery), ==, IPC_PRIORITY_HIGH);
  g_assert_cmpuint (ipc_delivery_get_attempt (delivery), ==, 1);
  g_assert_false (ipc_delivery_get_redelivered (delivery));
  g_assert_cmpuint (ipc_delivery_get_max_retries (delivery), ==, 5);
  g_assert_cmpint (ipc_delivery_get_created_at (delivery), >=, before);
  g_assert_cmpint (ipc_delivery_get_expires_at (delivery), ==, ipc_delivery_get_created_at (delivery) + 60 * G_USEC_PER_SEC);
  g_assert_cmpstr (ipc_message_get_message_type (ipc_delivery_get_message (delivery)), ==, "job");
  assert_counts (fixture.queue, 0, 0, 1, 0);
  queue_test_ack (delivery);
  assert_counts (fixture.queue, 0, 0, 0, 0);
}

/* Once settled, it is settled. */
static void
test_settled_twice (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) delivery = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "x");
  delivery = queue_test_take (fixture.queue, "x");
  queue_test_ack (delivery);
  g_assert_false (ipc_delivery_ack (delivery, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD);
  g_clear_error (&error);
  g_assert_false (ipc_delivery_nack (delivery, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD);
  g_clear_error (&error);
  g_assert_false (ipc_delivery_reject (delivery, NULL, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD);
  g_clear_error (&error);
  g_assert_false (ipc_delivery_extend (delivery, 1000, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD);
}

static void
test_nack (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) first = NULL;
  g_autoptr(IpcDelivery) second = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "a");
  queue_test_publish (fixture.queue, "b");
  first = queue_test_take (fixture.queue, "a");
  g_assert_true (ipc_delivery_nack (first, 0, NULL, &error));
  /* At its old place, and marked; what was handed out before does not change. */
  second = queue_test_take (fixture.queue, "a");
  g_assert_cmpuint (ipc_delivery_get_attempt (second), ==, 2);
  g_assert_true (ipc_delivery_get_redelivered (second));
  g_assert_cmpuint (ipc_delivery_get_attempt (first), ==, 1);
  g_assert_false (ipc_delivery_nack (second, -2, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  /* Later, and later each time. */
  g_assert_true (ipc_delivery_nack (second, -1, NULL, &error));
  assert_counts (fixture.queue, 1, 1, 0, 0);
  queue_test_expect (fixture.queue, "b");
  queue_test_expect_none (fixture.queue);
}

static void
test_dropped (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) again = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "x");
  g_object_unref (queue_test_take (fixture.queue, "x"));
  again = queue_test_take (fixture.queue, "x");
  g_assert_cmpuint (ipc_delivery_get_attempt (again), ==, 2);
  queue_test_ack (again);
}

static void
test_dead_letters (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(GPtrArray) dead = NULL;
  g_autoptr(GError) error = NULL;
  guint64 poison, rejected;

  queue_test_init (&fixture, test->data);
  queue_test_set (&fixture, "max-retries", 2);
  poison = queue_test_publish (fixture.queue, "poison");
  for (guint i = 1; i <= 3; i++)
    {
      g_autoptr(IpcDelivery) delivery = queue_test_take (fixture.queue, "poison");

      g_assert_cmpuint (ipc_delivery_get_attempt (delivery), ==, i);
      g_assert_true (ipc_delivery_nack (delivery, 0, NULL, &error));
    }
  queue_test_expect_none (fixture.queue);
  rejected = queue_test_publish (fixture.queue, "rejected");
  {
    g_autoptr(IpcDelivery) delivery = queue_test_take (fixture.queue, "rejected");

    g_assert_true (ipc_delivery_reject (delivery, "nonsense", NULL, &error));
  }
  assert_counts (fixture.queue, 0, 0, 0, 2);
  dead = ipc_message_queue_list_dead (fixture.queue, 10, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (dead->len, ==, 2);
  g_assert_cmpuint (ipc_dead_letter_get_id (dead->pdata[0]), ==, poison);
  g_assert_cmpuint (ipc_dead_letter_get_attempts (dead->pdata[0]), ==, 3);
  g_assert_cmpint (ipc_dead_letter_get_died_at (dead->pdata[0]), >=, ipc_dead_letter_get_created_at (dead->pdata[0]));
  g_assert_cmpstr (ipc_dead_letter_get_queue_name (dead->pdata[0]), ==, "jobs");
  g_assert_cmpstr (ipc_dead_letter_get_reason (dead->pdata[1]), ==, "nonsense");
  g_assert_cmpstr (ipc_message_get_text (ipc_dead_letter_get_message (dead->pdata[1])), ==, "rejected");

  g_assert_cmpint (ipc_message_queue_redrive (fixture.queue, 999999, NULL, &error), ==, -1);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_cmpint (ipc_message_queue_redrive (fixture.queue, rejected, NULL, &error), ==, 1);
  assert_counts (fixture.queue, 1, 0, 0, 1);
  g_assert_cmpint (ipc_message_queue_redrive (fixture.queue, 0, NULL, &error), ==, 1);
  {
    g_autoptr(IpcDelivery) delivery = queue_test_take (fixture.queue, "poison");

    g_assert_cmpuint (ipc_delivery_get_attempt (delivery), ==, 1);
    queue_test_ack (delivery);
  }
  queue_test_expect (fixture.queue, "rejected");
  assert_counts (fixture.queue, 0, 0, 0, 0);
}

static void
test_ttl (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) held = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "first");
  held = queue_test_take (fixture.queue, "first");
  /* Not at the head, and not the last. */
  queue_test_publish (fixture.queue, "a");
  queue_test_publish_full (fixture.queue, "short", IPC_PRIORITY_NORMAL, 500, 0, NULL);
  queue_test_publish_full (fixture.queue, "short too", IPC_PRIORITY_CRITICAL, 500, 60000, NULL);
  queue_test_publish (fixture.queue, "b");
  assert_counts (fixture.queue, 3, 1, 1, 0);
  ipc_test_wait_for (ipc_message_queue_get_n_messages (fixture.queue) == 3);
  queue_test_expect (fixture.queue, "a");
  queue_test_expect (fixture.queue, "b");
  queue_test_expect_none (fixture.queue);
  queue_test_ack (held);
}

/* Who has taken it in time may still acknowledge it; who has not done so does not get it again. */
static void
test_ttl_of_taken (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) acked = NULL;
  g_autoptr(IpcDelivery) nacked = NULL;
  g_autoptr(GError) error = NULL;
  gint64 end;

  queue_test_init (&fixture, test->data);
  queue_test_publish_full (fixture.queue, "a", IPC_PRIORITY_NORMAL, 700, 0, NULL);
  queue_test_publish_full (fixture.queue, "b", IPC_PRIORITY_NORMAL, 700, 0, NULL);
  acked = queue_test_take (fixture.queue, "a");
  nacked = queue_test_take (fixture.queue, "b");
  end = g_get_monotonic_time () + 720000;
  ipc_test_wait_for (g_get_monotonic_time () >= end);
  queue_test_ack (acked);
  g_assert_true (ipc_delivery_nack (nacked, 0, NULL, &error));
  assert_counts (fixture.queue, 0, 0, 0, 0);
}

static void
test_default_ttl (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };

  queue_test_init (&fixture, test->data);
  queue_test_set (&fixture, "message-ttl", 20);
  queue_test_publish (fixture.queue, "short");
  queue_test_publish_full (fixture.queue, "for ever", IPC_PRIORITY_LOW, -1, 0, NULL);
  ipc_test_wait_for (ipc_message_queue_get_n_messages (fixture.queue) == 1);
  queue_test_expect (fixture.queue, "for ever");
}

static void
test_delay (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) delivery = NULL;
  g_autoptr(GError) error = NULL;
  gint64 begin = g_get_monotonic_time ();

  queue_test_init (&fixture, test->data);
  queue_test_publish_full (fixture.queue, "later", IPC_PRIORITY_CRITICAL, 0, 300, NULL);
  queue_test_publish (fixture.queue, "now");
  queue_test_expect (fixture.queue, "now");
  delivery = ipc_message_queue_consume (fixture.queue, 10000, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (queue_test_get_text (delivery), ==, "later");
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, 300000);
  queue_test_ack (delivery);
}

static void
test_dedup (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  guint64 id;

  queue_test_init (&fixture, test->data);
  id = queue_test_publish_full (fixture.queue, "once", IPC_PRIORITY_NORMAL, 0, 0, "id-1");
  g_assert_cmpuint (queue_test_publish_full (fixture.queue, "twice", IPC_PRIORITY_NORMAL, 0, 0, "id-1"), ==, id);
  g_assert_cmpuint (queue_test_publish_full (fixture.queue, "other", IPC_PRIORITY_NORMAL, 0, 0, "id-2"), !=, id);
  queue_test_expect (fixture.queue, "once");
  queue_test_expect (fixture.queue, "other");
  /* Also after it is done. */
  g_assert_cmpuint (queue_test_publish_full (fixture.queue, "late", IPC_PRIORITY_NORMAL, 0, 0, "id-1"), ==, id);
  queue_test_expect_none (fixture.queue);
}

static void
assert_full (IpcMessageQueue *queue, const char *text)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", text);
  g_autoptr(GError) error = NULL;

  g_assert_cmpuint (ipc_message_queue_publish (queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error), ==, 0);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
}

static void
test_full (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autofree char *large = g_strnfill (10000, 'x');
  g_autoptr(IpcDelivery) held = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_set (&fixture, "max-queue-size", 2);
  queue_test_publish (fixture.queue, "a");
  queue_test_publish_full (fixture.queue, "b", IPC_PRIORITY_NORMAL, 0, 60000, NULL);
  assert_full (fixture.queue, "c");
  /* Taken is not gone. */
  held = queue_test_take (fixture.queue, "a");
  assert_full (fixture.queue, "c");
  queue_test_ack (held);
  queue_test_publish (fixture.queue, "c");
  queue_test_expect (fixture.queue, "c");
  queue_test_set (&fixture, "max-queue-bytes", 5000);
  assert_full (fixture.queue, large);
  /* Headers are bytes, too. */
  {
    const char *headers[] = { "x", large, NULL };
    g_autoptr(GBytes) nothing = g_bytes_new (NULL, 0);
    g_autoptr(IpcMessage) message = ipc_message_new_full ("job", IPC_PAYLOAD_FORMAT_BYTES, nothing, headers, NULL);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint (ipc_message_queue_publish (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error), ==, 0);
    g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
  }
  queue_test_publish (fixture.queue, "small");
  queue_test_expect (fixture.queue, "small");
}

static void
test_overflow (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };

  queue_test_init (&fixture, test->data);
  queue_test_set (&fixture, "max-queue-size", 2);
  queue_test_set (&fixture, "overflow-policy", IPC_OVERFLOW_POLICY_DROP_OLDEST);
  queue_test_publish_full (fixture.queue, "high", IPC_PRIORITY_HIGH, 0, 0, NULL);
  queue_test_publish (fixture.queue, "old");
  queue_test_publish (fixture.queue, "new");
  queue_test_expect (fixture.queue, "high");
  queue_test_expect (fixture.queue, "new");
  queue_test_set (&fixture, "overflow-policy", IPC_OVERFLOW_POLICY_DROP_NEWEST);
  queue_test_publish (fixture.queue, "a");
  queue_test_publish (fixture.queue, "b");
  queue_test_publish (fixture.queue, "c");
  queue_test_expect (fixture.queue, "a");
  queue_test_expect (fixture.queue, "b");
  queue_test_expect_none (fixture.queue);
}

static void
test_peek_and_purge (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) held = NULL;
  g_autoptr(GPtrArray) seen = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "held");
  held = queue_test_take (fixture.queue, "held");
  queue_test_publish_full (fixture.queue, "later", IPC_PRIORITY_CRITICAL, 0, 60000, NULL);
  queue_test_publish (fixture.queue, "a");
  queue_test_publish_full (fixture.queue, "high", IPC_PRIORITY_HIGH, 0, 0, NULL);
  seen = ipc_message_queue_peek (fixture.queue, 10, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (seen->len, ==, 3);
  g_assert_cmpstr (queue_test_get_text (seen->pdata[0]), ==, "high");
  g_assert_cmpstr (queue_test_get_text (seen->pdata[1]), ==, "a");
  g_assert_cmpstr (queue_test_get_text (seen->pdata[2]), ==, "later");
  g_assert_cmpuint (ipc_delivery_get_attempt (seen->pdata[0]), ==, 0);
  g_assert_false (ipc_delivery_ack (seen->pdata[0], NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD);
  g_clear_error (&error);
  assert_counts (fixture.queue, 2, 1, 1, 0);
  g_assert_cmpint (ipc_message_queue_purge (fixture.queue, NULL, &error), ==, 3);
  assert_counts (fixture.queue, 0, 0, 1, 0);
  queue_test_ack (held);
}

static void
test_publish_many (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(GPtrArray) messages = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  g_ptr_array_add (messages, ipc_message_new_text ("job", "a"));
  g_ptr_array_add (messages, ipc_message_new_text ("job", "b"));
  g_assert_cmpint (ipc_message_queue_publish_many (fixture.queue, messages, IPC_PRIORITY_NORMAL, 0, 0, NULL, &error), ==, 2);
  g_assert_no_error (error);
  /* One that cannot be sent keeps the others back. */
  g_ptr_array_add (messages, ipc_message_new_text ("", "no type"));
  g_assert_cmpint (ipc_message_queue_publish_many (fixture.queue, messages, IPC_PRIORITY_NORMAL, 0, 0, NULL, &error), ==, -1);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
  queue_test_expect (fixture.queue, "a");
  queue_test_expect (fixture.queue, "b");
  queue_test_expect_none (fixture.queue);
}

static void
test_bad_arguments (IpcTest *test)
{
  static const struct
  {
    gint priority;
    gint64 ttl, delay;
  } bad[] = { { 5, 0, 0 }, { 99, 0, 0 }, { -1, 0, 0 }, { 2, -2, 0 }, { 2, 0, -1 } };
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "x");
  g_autoptr(IpcMessage) typeless = ipc_message_new_text ("", "x");
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_cmpuint (ipc_message_queue_publish (fixture.queue, message, (IpcPriority) bad[i].priority, bad[i].ttl, bad[i].delay, NULL, NULL,
                                                   &error), ==, 0);
      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  g_assert_cmpuint (ipc_message_queue_publish (fixture.queue, typeless, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error), ==, 0);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
  g_clear_error (&error);
  g_assert_null (ipc_message_queue_consume (fixture.queue, -3, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  /* As long as it can be said: for ever. */
  queue_test_publish_full (fixture.queue, "long", IPC_PRIORITY_NORMAL, G_MAXINT64, 0, NULL);
  queue_test_expect (fixture.queue, "long");
  queue_test_publish_full (fixture.queue, "never", IPC_PRIORITY_NORMAL, 0, G_MAXINT64, NULL);
  assert_counts (fixture.queue, 0, 1, 0, 0);
}

static void
test_lease (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcDelivery) slow = NULL;
  g_autoptr(IpcDelivery) quick = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "x");
  slow = queue_test_take (fixture.queue, "x");
  g_assert_false (ipc_delivery_extend (slow, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  /* Also shorter than it was. */
  g_assert_true (ipc_delivery_extend (slow, 20, NULL, &error));
  quick = ipc_message_queue_consume (fixture.queue, 10000, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (ipc_delivery_get_attempt (quick), ==, 2);
  g_assert_false (ipc_delivery_ack (slow, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_LEASE_LOST);
  queue_test_ack (quick);
}

/* The queue is gone under those who have something of it. */
static void
test_deleted (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcMessageQueue) again = NULL;
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "x");
  g_autoptr(IpcDelivery) held = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, test->data);
  queue_test_publish (fixture.queue, "x");
  held = queue_test_take (fixture.queue, "x");
  g_assert_true (ipc_queue_manager_delete_queue (fixture.manager, "jobs", NULL, &error));
  g_assert_false (ipc_delivery_ack (held, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_cmpuint (ipc_message_queue_publish (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error), ==, 0);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_clear_error (&error);
  g_assert_null (ipc_message_queue_consume (fixture.queue, -1, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_clear_error (&error);
  assert_counts (fixture.queue, 0, 0, 0, 0);
  again = ipc_queue_manager_create_queue (fixture.manager, "jobs", NULL, &error);
  g_assert_no_error (error);
  g_assert_true (again != fixture.queue);
  queue_test_expect_none (again);
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    IpcTestFunc func;
  } tests[] = {
    { "order", test_order },
    { "delivery", test_delivery },
    { "settled-twice", test_settled_twice },
    { "nack", test_nack },
    { "dropped", test_dropped },
    { "dead-letters", test_dead_letters },
    { "ttl", test_ttl },
    { "ttl-of-taken", test_ttl_of_taken },
    { "default-ttl", test_default_ttl },
    { "delay", test_delay },
    { "dedup", test_dedup },
    { "full", test_full },
    { "overflow", test_overflow },
    { "peek-and-purge", test_peek_and_purge },
    { "publish-many", test_publish_many },
    { "bad-arguments", test_bad_arguments },
    { "lease", test_lease },
    { "deleted", test_deleted },
  };

  ipc_test_init (&argc, &argv, queue_test_roles);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    {
      g_autofree char *path = g_strdup_printf ("conformance/%s", tests[i].name);

      queue_test_add (path, tests[i].func);
    }
  return ipc_test_run ();
}
