/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many threads at one connection: all that may be called from any thread, at once. What counts is what arrives, and,
 * in a build with ThreadSanitizer, that nothing is touched by two at a time.
 *
 * The server and the client have a thread and a main context each; those who use them run neither.
 */
#include <string.h>

#include "messaging/ipc-client-private.h"
#include "pair.h"

#define N_WORKERS 4
#define N_MESSAGES 150
#define N_REPLIERS 2

/* ── A thread that runs a main context ── */

typedef struct
{
  GMainContext *context; /* (owned) */
  gint is_over;          /* (atomic) */
  GThread *thread;
} Runner;

static gpointer
run (gpointer data)
{
  Runner *self = data;

  g_main_context_push_thread_default (self->context);
  while (!g_atomic_int_get (&self->is_over))
    g_main_context_iteration (self->context, TRUE);
  while (g_main_context_iteration (self->context, FALSE))
    ;
  g_main_context_pop_thread_default (self->context);
  return NULL;
}

static void
runner_init (Runner *self)
{
  self->context = g_main_context_new ();
  self->is_over = FALSE;
  self->thread = NULL;
}

static void
runner_start (Runner *self, const char *name)
{
  self->thread = g_thread_new (name, run, self);
}

static void
runner_stop (Runner *self)
{
  g_atomic_int_set (&self->is_over, TRUE);
  g_main_context_wakeup (self->context);
  g_thread_join (self->thread);
}

static void
runner_clear (Runner *self)
{
  g_main_context_unref (self->context);
}

/* ── Requests that other threads answer ── */

typedef struct
{
  IpcConnection *connection; /* (owned) */
  IpcMessage *request;       /* (owned) */
} Held;

typedef struct
{
  char *path;                /* (owned) */
  Runner server_runner, client_runner;
  IpcServer *server;         /* (owned) */
  IpcClient *client;         /* (owned) */
  IpcConnection *near;       /* (owned) the client's first one */
  gint n_events;             /* (atomic) that the server got */
  gint n_news;               /* (atomic) that the client got */
  gint n_answered;           /* (atomic) */
  gint n_failed;             /* (atomic) */
  GMutex lock;
  GCond changed;
  GQueue held;               /* (mutex lock) (element-type Held) */
  gboolean is_over;          /* (mutex lock) */
  GThread *repliers[N_REPLIERS];
} World;

static Held *
wait_for_held (World *self)
{
  Held *held;

  g_mutex_lock (&self->lock);
  while ((held = g_queue_pop_head (&self->held)) == NULL && !self->is_over)
    g_cond_wait (&self->changed, &self->lock);
  g_mutex_unlock (&self->lock);
  return held;
}

static gpointer
reply_in_thread (gpointer data)
{
  World *self = data;
  Held *held;

  while ((held = wait_for_held (self)) != NULL)
    {
      g_autoptr(IpcMessage) reply = ipc_message_new_text ("reply", ipc_message_get_text (held->request));

      ipc_connection_reply (held->connection, held->request, reply, NULL);
      ipc_message_unref (held->request);
      g_object_unref (held->connection);
      g_free (held);
    }
  return NULL;
}

static IpcMessage *
hand_over (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  World *self = data;
  Held *held = g_new (Held, 1);

  *held = (Held) { g_object_ref (connection), ipc_message_ref (request) };
  g_mutex_lock (&self->lock);
  g_queue_push_tail (&self->held, held);
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return NULL;
}

static IpcMessage *
count (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer n, GError **error)
{
  g_atomic_int_inc ((gint *) n);
  return NULL;
}

/* ── The world ── */

static void
world_init (World *self, IpcTest *test, gboolean reconnect)
{
  g_autoptr(GError) error = NULL;

  memset (self, 0, sizeof *self);
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->path = ipc_test_path (test, "socket");
  runner_init (&self->server_runner);
  runner_init (&self->client_runner);
  g_main_context_push_thread_default (self->server_runner.context);
  self->server = transport_server_new (self->path);
  ipc_server_add_handler (self->server, "event", count, &self->n_events, NULL);
  ipc_server_add_handler (self->server, "echo", pair_echo, NULL, NULL);
  ipc_server_add_handler (self->server, "held", hand_over, self, NULL);
  g_assert_true (ipc_server_start (self->server, &error));
  g_main_context_pop_thread_default (self->server_runner.context);
  g_main_context_push_thread_default (self->client_runner.context);
  self->client = transport_client_new (self->path);
  ipc_client_set_reconnect (self->client, reconnect);
  ipc_client_add_handler (self->client, "news", count, &self->n_news, NULL);
  g_main_context_pop_thread_default (self->client_runner.context);
  runner_start (&self->server_runner, "server");
  runner_start (&self->client_runner, "client");
  g_assert_true (ipc_client_open (self->client, NULL, &error));
  self->near = g_object_ref (ipc_client_get_connection (self->client));
  ipc_test_wait_for (ipc_server_get_n_clients (self->server) == 1);
  for (guint i = 0; i < N_REPLIERS; i++)
    self->repliers[i] = g_thread_new ("replier", reply_in_thread, self);
}

static gboolean
stop_server (gpointer server)
{
  ipc_server_stop (server);
  return G_SOURCE_REMOVE;
}

static void
world_clear (World *self)
{
  ipc_client_close (self->client);
  ipc_test_wait_for (ipc_client_get_state (self->client) == IPC_CLIENT_STATE_CLOSED);
  g_main_context_invoke_full (self->server_runner.context, G_PRIORITY_DEFAULT, stop_server, self->server, NULL);
  ipc_test_wait_for (ipc_server_get_n_clients (self->server) == 0);
  runner_stop (&self->client_runner);
  runner_stop (&self->server_runner);
  g_mutex_lock (&self->lock);
  self->is_over = TRUE;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  for (guint i = 0; i < N_REPLIERS; i++)
    g_thread_join (self->repliers[i]);
  g_assert_cmpuint (self->held.length, ==, 0);
  g_clear_object (&self->client);
  g_clear_object (&self->near);
  g_clear_object (&self->server);
  runner_clear (&self->client_runner);
  runner_clear (&self->server_runner);
  g_cond_clear (&self->changed);
  g_mutex_clear (&self->lock);
  g_free (self->path);
}

/* ── What a worker does ── */

typedef struct
{
  World *world;
  GMainContext *context; /* (owned) for what completes in it */
  guint n_pending;
} Worker;

static void
note_end (Worker *self, gboolean success)
{
  self->n_pending--;
  g_atomic_int_inc (success ? &self->world->n_answered : &self->world->n_failed);
}

static void
asked (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(IpcMessage) reply = ipc_client_request_finish (IPC_CLIENT (source), result, NULL);

  note_end (data, reply != NULL);
}

static void
sent (GObject *source, GAsyncResult *result, gpointer data)
{
  note_end (data, ipc_client_send_finish (IPC_CLIENT (source), result, NULL));
}

static void
look_at (World *self)
{
  IpcConnection *connection = self->near;

  ipc_connection_get_is_open (connection);
  ipc_connection_get_wire_format (connection);
  ipc_connection_get_queued_bytes (connection);
  ipc_connection_get_messages_received (connection);
  ipc_connection_get_messages_sent (connection);
  ipc_connection_get_last_activity (connection);
  ipc_client_get_state (self->client);
  ipc_server_get_n_clients (self->server);
}

static gpointer
work (gpointer data)
{
  World *world = data;
  Worker self = { world, g_main_context_new (), 0 };
  g_autoptr(IpcMessage) event = ipc_message_new_text ("event", "x");

  g_main_context_push_thread_default (self.context);
  for (guint i = 0; i < N_MESSAGES; i++)
    {
      g_autoptr(IpcMessage) own = ipc_message_new_text (i % 2 ? "echo" : "held", "a request");
      g_autoptr(IpcMessage) reply = NULL;

      switch (i % 5)
        {
        case 0:
          g_atomic_int_inc (ipc_client_send (world->client, event, NULL) ? &world->n_answered : &world->n_failed);
          break;
        case 1:
          self.n_pending++;
          ipc_client_send_async (world->client, event, NULL, sent, &self);
          break;
        case 2:
          self.n_pending++;
          ipc_client_request_async (world->client, own, -1, NULL, asked, &self);
          break;
        case 3:
          reply = ipc_client_request (world->client, own, -1, NULL, NULL);
          g_atomic_int_inc (reply != NULL ? &world->n_answered : &world->n_failed);
          break;
        default:
          look_at (world);
          g_atomic_int_inc (ipc_connection_flush (world->near, NULL, NULL) ? &world->n_answered : &world->n_failed);
          break;
        }
      while (g_main_context_iteration (self.context, FALSE))
        ;
    }
  while (self.n_pending > 0)
    g_main_context_iteration (self.context, TRUE);
  g_main_context_pop_thread_default (self.context);
  g_main_context_unref (self.context);
  return NULL;
}

static gpointer
tell_news (gpointer data)
{
  World *world = data;
  g_autoptr(IpcMessage) news = ipc_message_new_text ("news", "x");
  gint n = 0;

  for (guint i = 0; i < N_MESSAGES; i++)
    n += (gint) ipc_server_broadcast (world->server, news, NULL);
  return GINT_TO_POINTER (n);
}

/* ── The tests ── */

static void
test_all_at_once (IpcTest *test)
{
  World world;
  GThread *workers[N_WORKERS];
  GThread *teller;
  gint n_news;

  ipc_test_set_deadline (120);
  world_init (&world, test, FALSE);
  for (guint i = 0; i < N_WORKERS; i++)
    workers[i] = g_thread_new ("worker", work, &world);
  teller = g_thread_new ("teller", tell_news, &world);
  for (guint i = 0; i < N_WORKERS; i++)
    g_thread_join (workers[i]);
  n_news = GPOINTER_TO_INT (g_thread_join (teller));
  g_assert_cmpint (world.n_failed, ==, 0);
  g_assert_cmpint (g_atomic_int_get (&world.n_answered), ==, N_WORKERS * N_MESSAGES);
  ipc_test_wait_for (g_atomic_int_get (&world.n_events) == N_WORKERS * N_MESSAGES / 5 * 2);
  ipc_test_wait_for (g_atomic_int_get (&world.n_news) == n_news);
  g_assert_cmpint (n_news, ==, N_MESSAGES);
  world_clear (&world);
}

/* Each call ends, with a result or an error. */
static void
test_closed_meanwhile (IpcTest *test)
{
  ipc_test_set_deadline (120);
  for (guint round = 0; round < 4; round++)
    {
      World world;
      GThread *workers[N_WORKERS];
      GThread *teller;

      world_init (&world, test, round % 2 == 1);
      for (guint i = 0; i < N_WORKERS; i++)
        workers[i] = g_thread_new ("worker", work, &world);
      teller = g_thread_new ("teller", tell_news, &world);
      while (g_atomic_int_get (&world.n_answered) < 100 * (gint) round + 20)
        g_thread_yield ();
      if (round < 2)
        ipc_client_close (world.client);
      else
        g_main_context_invoke_full (world.server_runner.context, G_PRIORITY_DEFAULT, stop_server, world.server, NULL);
      for (guint i = 0; i < N_WORKERS; i++)
        g_thread_join (workers[i]);
      g_thread_join (teller);
      g_assert_cmpint (world.n_answered + world.n_failed, ==, N_WORKERS * N_MESSAGES);
      world_clear (&world);
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/threads/all-at-once", test_all_at_once);
  ipc_test_add ("/messaging/threads/closed-meanwhile", test_closed_meanwhile);
  return ipc_test_run ();
}
