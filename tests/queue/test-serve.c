/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues of another process: what becomes of them when one of the processes goes, and what a client cannot do.
 */
#include "queue-test.h"

#include <signal.h>
#include <string.h>

static GPtrArray *
list_names (IpcQueueManager *manager)
{
  GListModel *items = ipc_manager_get_items (IPC_MANAGER (manager));
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    {
      g_autoptr(IpcMessageQueue) queue = g_list_model_get_item (items, i);

      g_ptr_array_add (names, g_strdup (ipc_message_queue_get_name (queue)));
    }
  return names;
}

static gboolean
has_names (IpcQueueManager *manager, const char *names)
{
  g_autoptr(GPtrArray) all = list_names (manager);
  g_autofree char *joined = NULL;

  g_ptr_array_add (all, NULL);
  joined = g_strjoinv (" ", (char **) all->pdata);
  return strcmp (joined, names) == 0;
}

/* ---- together ---- */

static void
test_together (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcQueueManager) other = NULL;
  g_autoptr(IpcMessageQueue) same = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, "ipc:");
  g_assert_true (ipc_queue_manager_supports (fixture.manager, IPC_QUEUE_FEATURE_SHARED));
  g_assert_false (ipc_queue_manager_supports (fixture.manager, IPC_QUEUE_FEATURE_DURABLE));
  g_assert_true (ipc_queue_manager_supports (fixture.manager, IPC_QUEUE_FEATURE_DELAY));
  other = queue_test_new_manager (&fixture);
  g_assert_true (has_names (other, "jobs"));
  same = ipc_queue_manager_open_queue (other, "jobs", NULL, &error);
  g_assert_no_error (error);
  queue_test_publish (same, "a");
  queue_test_expect (fixture.queue, "a");
  /* What one makes or deletes, the others hear of. */
  g_object_unref (ipc_queue_manager_create_queue (other, "b", NULL, &error));
  ipc_test_wait_for (has_names (fixture.manager, "b jobs"));
  g_assert_true (ipc_queue_manager_delete_queue (fixture.manager, "b", NULL, &error));
  ipc_test_wait_for (has_names (other, "jobs"));
  g_clear_object (&same);
}

/* The settings of who serves are those that hold. */
static void
test_settings (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcQueueManager) other = NULL;

  queue_test_init (&fixture, "ipc:");
  queue_test_set (&fixture, "max-retries", 7);
  queue_test_set (&fixture, "max-queue-size", 3);
  other = queue_test_new_manager (&fixture);
  g_assert_cmpuint (ipc_queue_manager_get_max_retries (other), ==, 7);
  g_assert_cmpuint (ipc_queue_manager_get_max_queue_size (other), ==, 3);
  g_assert_cmpuint (ipc_queue_manager_get_max_retries (fixture.manager), ==, 5);
}

static void
test_large (IpcTest *test)
{
  static const gsize sizes[] = { 1024 * 1024, 5 * 1024 * 1024, 15 * 1024 * 1024 };
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(GPtrArray) messages = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, "ipc:");
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree char *text = g_strnfill (sizes[i], 'x');

      queue_test_publish (fixture.queue, text);
      queue_test_expect (fixture.queue, text);
    }
  {
    g_autofree char *text = g_strnfill (17 * 1024 * 1024, 'x');
    g_autoptr(IpcMessage) message = ipc_message_new_text ("job", text);

    g_assert_cmpuint (ipc_message_queue_publish (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error), ==, 0);
    g_assert_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE);
    g_clear_error (&error);
  }
  /* More than goes into one request, and into one reply. */
  for (guint i = 0; i < 40; i++)
    {
      g_autofree char *text = g_strnfill (100000 + i, 'y');

      g_ptr_array_add (messages, ipc_message_new_text ("job", text));
    }
  g_assert_cmpint (ipc_message_queue_publish_many (fixture.queue, messages, IPC_PRIORITY_NORMAL, 0, 0, NULL, &error), ==, 40);
  g_assert_no_error (error);
  {
    g_autoptr(GPtrArray) seen = ipc_message_queue_peek (fixture.queue, 40, NULL, &error);

    g_assert_cmpuint (seen->len, >, 0);
    g_assert_cmpuint (seen->len, <, 40);
  }
  for (guint i = 0; i < 40; i++)
    queue_test_expect (fixture.queue, ipc_message_get_text (messages->pdata[i]));
}

static void
take_many (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer n)
{
  g_assert_cmpuint (ipc_delivery_get_attempt (delivery), ==, 1);
  queue_test_ack (delivery);
  ++*(guint *) n;
}

/* What does not fit in a reply goes back as if it had never been looked at. */
static void
test_large_for_consumer (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcConsumer) consumer = NULL;
  guint n = 0;

  queue_test_init (&fixture, "ipc:");
  for (guint i = 0; i < 20; i++)
    {
      g_autofree char *text = g_strnfill (300000, 'x');

      queue_test_publish (fixture.queue, text);
    }
  consumer = ipc_message_queue_start_consuming (fixture.queue, 20, take_many, &n, NULL);
  ipc_test_wait_for (n == 20);
  ipc_consumer_stop (consumer);
}

/* ---- killed ---- */

static int
run_taker (char **arguments)
{
  g_autofree char *uri = g_strconcat ("ipc:", arguments[0], NULL);
  g_autoptr(GError) error = NULL;
  IpcQueueManager *manager = ipc_queue_manager_new_for_uri (uri, &error);
  IpcMessageQueue *queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, &error);
  g_autofree char *line = NULL;

  g_assert_no_error (error);
  for (guint i = 0; i < 3; i++)
    queue_test_take (queue, NULL);
  ipc_test_tell ("taken");
  line = ipc_test_hear ();
  return 0;
}

static IpcTestPeer *
spawn_taker (QueueTest *fixture)
{
  const char *arguments[] = { fixture->address, NULL };
  IpcTestPeer *taker = ipc_test_peer_spawn ("queue-taker", arguments);

  ipc_test_peer_expect (taker, "taken");
  return taker;
}

static void
test_killed_consumer (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcTestPeer) taker = NULL;

  queue_test_init (&fixture, "ipc:");
  queue_test_publish (fixture.queue, "a");
  queue_test_publish (fixture.queue, "b");
  queue_test_publish (fixture.queue, "c");
  queue_test_publish (fixture.queue, "d");
  taker = spawn_taker (&fixture);
  g_assert_cmpuint (ipc_message_queue_get_n_unacked (fixture.queue), ==, 3);
  ipc_test_peer_kill (taker);
  ipc_test_wait_for (ipc_message_queue_get_n_unacked (fixture.queue) == 0);
  /* At their old places, and marked; one that nobody had is not. */
  for (const char *text = "abcd"; *text != '\0'; text++)
    {
      const char wanted[] = { *text, '\0' };
      g_autoptr(IpcDelivery) delivery = queue_test_take (fixture.queue, wanted);

      g_assert_cmpuint (ipc_delivery_get_attempt (delivery), ==, *text == 'd' ? 1 : 2);
      queue_test_ack (delivery);
    }
}

/* Who waits gets it, without asking again. */
static void
test_killed_consumer_for_waiting (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcTestPeer) taker = NULL;
  g_autoptr(IpcDelivery) delivery = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, "ipc:");
  for (guint i = 0; i < 3; i++)
    queue_test_publish (fixture.queue, "x");
  taker = spawn_taker (&fixture);
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  ipc_test_peer_kill (taker);
  delivery = ipc_message_queue_consume_finish (fixture.queue, ipc_test_async_wait (&async), &error);
  g_assert_no_error (error);
  g_assert_true (ipc_delivery_get_redelivered (delivery));
  queue_test_ack (delivery);
}

/* A poison message kills everybody who takes it, and ends in the dead letters. */
static void
test_poison (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(GPtrArray) dead = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, "ipc:");
  queue_test_set (&fixture, "max-retries", 1);
  for (guint i = 0; i < 3; i++)
    queue_test_publish (fixture.queue, "poison");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(IpcTestPeer) taker = spawn_taker (&fixture);

      ipc_test_peer_kill (taker);
      ipc_test_wait_for (ipc_message_queue_get_n_unacked (fixture.queue) == 0);
    }
  g_assert_cmpuint (ipc_message_queue_get_n_ready (fixture.queue), ==, 0);
  dead = ipc_message_queue_list_dead (fixture.queue, 10, NULL, &error);
  g_assert_cmpuint (dead->len, ==, 3);
  g_assert_cmpuint (ipc_dead_letter_get_attempts (dead->pdata[0]), ==, 2);
}

static void
count (guint *n)
{
  ++*n;
}

static gboolean
is_lost (const GError *error)
{
  return g_error_matches (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED) || g_error_matches (error, IPC_ERROR, IPC_ERROR_UNCERTAIN) ||
         g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SERVER);
}

static IpcMessageQueue *
try_to_create (IpcQueueManager *manager)
{
  return ipc_queue_manager_create_queue (manager, "jobs", NULL, NULL);
}

static void
test_killed_host (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) first = { 0 };
  g_auto(IpcTestAsync) second = { 0 };
  g_autoptr(IpcMessageQueue) again = NULL;
  g_autoptr(IpcDelivery) held = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "y");
  guint n_deleted = 0;

  queue_test_init (&fixture, "ipc:");
  g_signal_connect_swapped (fixture.queue, "deleted", G_CALLBACK (count), &n_deleted);
  queue_test_publish (fixture.queue, "x");
  held = queue_test_take (fixture.queue, "x");
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &first);
  ipc_message_queue_consume_async (fixture.queue, -1, NULL, ipc_test_async_cb, &second);
  ipc_test_settle ();
  ipc_test_peer_kill (fixture.host);
  g_assert_null (ipc_message_queue_consume_finish (fixture.queue, ipc_test_async_wait (&first), &error));
  g_assert_true (is_lost (error));
  g_clear_error (&error);
  g_assert_null (ipc_message_queue_consume_finish (fixture.queue, ipc_test_async_wait (&second), &error));
  g_assert_true (is_lost (error));
  g_clear_error (&error);
  g_assert_cmpuint (ipc_message_queue_publish (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error), ==, 0);
  g_assert_true (is_lost (error));
  g_clear_error (&error);
  /* It could not be settled, and may be tried again: by then somebody else serves, who knows nothing of it. */
  g_assert_false (ipc_delivery_ack (held, NULL, &error));
  g_assert_true (is_lost (error));
  g_clear_error (&error);
  g_assert_true (has_names (fixture.manager, "jobs"));
  ipc_test_peer_free (fixture.host);
  fixture.host = queue_test_spawn_host (fixture.address);
  ipc_test_wait_for (n_deleted == 1);
  ipc_test_wait_for ((again = try_to_create (fixture.manager)) != NULL);
  g_assert_false (ipc_delivery_ack (held, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_LEASE_LOST);
  queue_test_publish (again, "z");
  queue_test_expect (again, "z");
}

/* A consumer and a subscription go on with whoever serves the same queue next. */
static void
keep_text (IpcMessageQueue *queue, IpcMessage *message, gpointer texts)
{
  g_ptr_array_add (texts, g_strdup (ipc_message_get_text (message)));
}

static void
test_lost_connection (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcConsumer) consumer = NULL;
  g_autoptr(IpcSubscription) subscription = NULL;
  g_autoptr(IpcQueueManager) other = NULL;
  g_autoptr(IpcMessageQueue) same = NULL;
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GError) error = NULL;
  guint n = 0;

  queue_test_init (&fixture, "ipc:");
  consumer = ipc_message_queue_start_consuming (fixture.queue, 1, take_many, &n, NULL);
  subscription = ipc_message_queue_subscribe (fixture.queue, keep_text, texts, NULL);
  queue_test_publish (fixture.queue, "a");
  ipc_test_wait_for (n == 1 && texts->len == 1);
  ipc_test_peer_kill (fixture.host);
  ipc_test_peer_free (fixture.host);
  fixture.host = queue_test_spawn_host (fixture.address);
  other = queue_test_new_manager (&fixture);
  same = ipc_queue_manager_open_queue (other, "jobs", NULL, &error);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  ipc_test_wait_for (has_names (fixture.manager, ""));
  ipc_subscription_stop (subscription);
  ipc_consumer_stop (consumer);
}

/* One that was stopped and goes on is waited for. */
static void
test_stopped_host (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "x");
  g_autoptr(GError) error = NULL;

  queue_test_init (&fixture, "ipc:");
  ipc_test_peer_signal (fixture.host, SIGSTOP);
  ipc_message_queue_publish_async (fixture.queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  ipc_test_peer_signal (fixture.host, SIGCONT);
  g_assert_cmpuint (ipc_message_queue_publish_finish (fixture.queue, ipc_test_async_wait (&async), &error), >, 0);
  g_assert_no_error (error);
  queue_test_expect (fixture.queue, "x");
}

/* ---- what a client cannot do ---- */

static IpcClient *
open_raw (QueueTest *fixture)
{
  IpcClient *client = IPC_CLIENT (ipc_socket_client_new (fixture->address));
  g_autoptr(GError) error = NULL;

  ipc_client_open (client, NULL, &error);
  g_assert_no_error (error);
  return client;
}

static IpcMessage *
ask (IpcClient *client, const char *request, GVariant *arguments, GError **error)
{
  g_autofree char *type = g_strconcat ("ipc.queue.", request, NULL);
  g_autoptr(IpcMessage) message = ipc_message_new_variant (type, arguments);

  return ipc_client_request (client, message, -1, NULL, error);
}

/* NICK is that of the failure. */
static void
expect_failure (IpcClient *client, const char *request, const char *arguments, const char *nick)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = g_variant_parse (NULL, arguments, NULL, NULL, &error);
  g_autoptr(IpcMessage) reply = NULL;
  const char *found;

  g_assert_no_error (error);
  reply = ask (client, request, value, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_message_type (reply), ==, "queue-failed");
  g_variant_get (ipc_message_get_variant (reply), "(&s&s)", &found, NULL);
  g_assert_cmpstr (found, ==, nick);
}

static void
test_bad_values (IpcTest *test)
{
  static const struct
  {
    const char *request, *arguments, *nick;
  } bad[] = {
    { "create", "('',)", "invalid-name" },
    { "create", "('../jobs',)", "invalid-name" },
    { "create", "('jobs',)", "exists" },
    { "has", "('x',)", "not-found" },
    { "delete", "('x',)", "not-found" },
    { "count", "('x',)", "not-found" },
    { "subscribe", "('x', true)", "not-found" },
    { "take", "('jobs', uint32 0)", "limit-exceeded" },
    { "take", "('x', uint32 1)", "not-found" },
    { "ack", "('jobs', uint64 1, uint64 1)", "lease-lost" },
    { "nack", "('jobs', uint64 1, uint64 1, int64 -2, true)", "invalid-argument" },
    { "nack", "('jobs', uint64 1, uint64 0, int64 0, true)", "lease-lost" },
    { "extend", "('jobs', uint64 1, uint64 1, int64 0)", "invalid-argument" },
    { "reject", "('jobs', uint64 1, uint64 18446744073709551615, @ms nothing)", "lease-lost" },
    { "redrive", "('jobs', uint64 7)", "not-found" },
    { "publish", "('jobs', int64 -2, int64 0, @a(ysya{ss}xayms) [])", "invalid-argument" },
    { "publish", "('jobs', int64 0, int64 -1, @a(ysya{ss}xayms) [])", "invalid-argument" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(9, 't', 0, {}, 0, [], nothing)])", "invalid-argument" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(0, 't', 0, {}, 0, [], nothing)])", "invalid-argument" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(2, '', 0, {}, 0, [], nothing)])", "invalid-data" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(2, 'ipc.x', 0, {}, 0, [], nothing)])", "invalid-argument" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(2, 't', 7, {}, 0, [], nothing)])", "invalid-argument" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(2, 't', 1, {}, 0, [0xff], nothing)])", "invalid-data" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(2, 't', 2, {}, 0, [0x7b], nothing)])", "invalid-data" },
    { "publish", "('jobs', int64 0, int64 0, @a(ysya{ss}xayms) [(2, 't', 3, {}, 0, [1, 2, 3], nothing)])", "invalid-data" },
    { "publish", "('x', int64 0, int64 0, @a(ysya{ss}xayms) [(2, 't', 0, {}, 0, [], nothing)])", "not-found" },
  };
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcClient) client = NULL;

  queue_test_init (&fixture, "ipc:");
  client = open_raw (&fixture);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_test_message ("%s %s", bad[i].request, bad[i].arguments);
      expect_failure (client, bad[i].request, bad[i].arguments, bad[i].nick);
    }
  g_assert_cmpuint (ipc_message_queue_get_n_messages (fixture.queue), ==, 0);
  queue_test_publish (fixture.queue, "x");
  queue_test_expect (fixture.queue, "x");
  ipc_client_close (client);
}

static void
test_bad_types (IpcTest *test)
{
  static const char *const requests[] = { "hello", "create", "has", "delete", "list", "count", "subscribe", "publish", "take", "ack", "nack",
                                          "reject", "extend", "peek", "purge", "dead", "redrive" };
  static const char *const values[] = { "1", "('jobs', 'jobs', 'jobs')", "@as []", "<'jobs'>", "(1, 2, 3, 4, 5, 6, 7)" };
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcClient) client = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcMessage) text = ipc_message_new_text ("ipc.queue.list", "jobs");

  queue_test_init (&fixture, "ipc:");
  client = open_raw (&fixture);
  for (guint i = 0; i < G_N_ELEMENTS (requests); i++)
    for (guint j = 0; j < G_N_ELEMENTS (values); j++)
      {
        g_autoptr(GVariant) value = g_variant_parse (NULL, values[j], NULL, NULL, NULL);

        g_assert_null (ask (client, requests[i], value, &error));
        g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
        g_clear_error (&error);
      }
  g_assert_null (ipc_client_request (client, text, -1, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
  g_clear_error (&error);
  g_assert_null (ask (client, "nonsense", g_variant_new ("()"), &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE);
  ipc_client_close (client);
}

/* What one has taken, another one cannot settle. */
static void
test_somebody_elses (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcClient) thief = NULL;
  g_autoptr(IpcDelivery) held = NULL;

  queue_test_init (&fixture, "ipc:");
  queue_test_publish (fixture.queue, "x");
  held = queue_test_take (fixture.queue, "x");
  thief = open_raw (&fixture);
  for (guint tag = 0; tag < 5; tag++)
    {
      g_autofree char *arguments = g_strdup_printf ("('jobs', uint64 %" G_GUINT64_FORMAT ", uint64 %u)", ipc_delivery_get_id (held), tag);

      expect_failure (thief, "ack", arguments, "lease-lost");
    }
  queue_test_ack (held);
  ipc_client_close (thief);
}

/* One that uses more queues than there can be. */
static void
test_many_queues (IpcTest *test)
{
  g_auto(QueueTest) fixture = { 0 };
  g_autoptr(IpcClient) client = NULL;

  queue_test_init (&fixture, "ipc:");
  client = open_raw (&fixture);
  for (guint i = 0; i < 5000; i++)
    {
      g_autofree char *arguments = g_strdup_printf ("('x%u', uint32 1)", i);

      expect_failure (client, "take", arguments, "not-found");
    }
  ipc_client_close (client);
}

/* ---- where it is served ---- */

static void
test_addresses (IpcTest *test)
{
  g_autofree char *address = ipc_test_path (test, "queues");
  g_autofree char *other_address = ipc_test_path (test, "other");
  g_autofree char *uri = g_strconcat ("ipc:", address, NULL);
  g_autofree char *other_uri = g_strconcat ("ipc:", other_address, NULL);
  g_autoptr(IpcQueueManager) manager = ipc_queue_manager_new (NULL);
  g_autoptr(IpcQueueManager) second = ipc_queue_manager_new (NULL);
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_queue_manager_new_for_uri (uri, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER);
  g_clear_error (&error);
  g_assert_false (ipc_queue_manager_serve (manager, "a/b", &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME);
  g_clear_error (&error);
  g_assert_true (ipc_queue_manager_serve (manager, address, &error));
  g_assert_false (ipc_queue_manager_serve (manager, other_address, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_ALREADY);
  g_clear_error (&error);
  g_assert_false (ipc_queue_manager_serve (second, address, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE);
  g_clear_error (&error);
  /* It would wait for itself. */
  g_assert_null (ipc_queue_manager_new_for_uri (uri, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_null (ipc_queue_manager_new_for_uri (other_uri, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER);
  g_clear_error (&error);
  g_assert_null (ipc_queue_manager_new_for_uri ("ipc:", &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME);
}

/* Over named pipes it is the same. */
static void
test_pipe (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  g_autofree char *address = g_strconcat ("pipe:", path, NULL);
  g_autofree char *uri = g_strconcat ("ipc:", address, NULL);
  g_autoptr(IpcTestPeer) host = queue_test_spawn_host (address);
  g_autoptr(IpcMessageQueue) queue = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcQueueManager) manager = ipc_queue_manager_new_for_uri (uri, &error);

  g_assert_no_error (error);
  queue = ipc_queue_manager_create_queue (manager, "jobs", NULL, &error);
  g_assert_no_error (error);
  queue_test_publish (queue, "x");
  queue_test_expect (queue, "x");
}

/* Somebody who serves, and no queues. */
static int
run_other (char **arguments)
{
  g_autoptr(IpcSocketServer) server = ipc_socket_server_new (arguments[0]);
  g_autoptr(GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr(GError) error = NULL;

  ipc_server_start (IPC_SERVER (server), &error);
  g_assert_no_error (error);
  ipc_test_tell ("ready");
  g_main_loop_run (loop);
  return 0;
}

static void
test_other_server (IpcTest *test)
{
  g_autofree char *address = ipc_test_path (test, "other");
  g_autofree char *uri = g_strconcat ("ipc:", address, NULL);
  const char *arguments[] = { address, NULL };
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("other-server", arguments);
  g_autoptr(GError) error = NULL;

  ipc_test_peer_expect (peer, "ready");
  g_assert_null (ipc_queue_manager_new_for_uri (uri, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE);
}

int
main (int argc, char **argv)
{
  const IpcTestRole roles[] = { queue_test_roles[0], { "queue-taker", run_taker }, { "other-server", run_other }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/queue/serve/together", test_together);
  ipc_test_add ("/queue/serve/settings", test_settings);
  ipc_test_add ("/queue/serve/large", test_large);
  ipc_test_add ("/queue/serve/large-for-consumer", test_large_for_consumer);
  ipc_test_add ("/queue/serve/killed-consumer", test_killed_consumer);
  ipc_test_add ("/queue/serve/killed-consumer-for-waiting", test_killed_consumer_for_waiting);
  ipc_test_add ("/queue/serve/poison", test_poison);
  ipc_test_add ("/queue/serve/killed-host", test_killed_host);
  ipc_test_add ("/queue/serve/lost-connection", test_lost_connection);
  ipc_test_add ("/queue/serve/stopped-host", test_stopped_host);
  ipc_test_add ("/queue/serve/bad-values", test_bad_values);
  ipc_test_add ("/queue/serve/bad-types", test_bad_types);
  ipc_test_add ("/queue/serve/somebody-elses", test_somebody_elses);
  ipc_test_add ("/queue/serve/many-queues", test_many_queues);
  ipc_test_add ("/queue/serve/addresses", test_addresses);
  ipc_test_add ("/queue/serve/pipe", test_pipe);
  ipc_test_add ("/queue/serve/other-server", test_other_server);
  return ipc_test_run ();
}
