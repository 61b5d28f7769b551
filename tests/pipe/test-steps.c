/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients and servers that are killed at the beginning or the end of each system call that they make: a client from opening to
 * closing, a server from starting to stopping. Whoever is left goes on, and nothing of the dead is. With IPC_TEST_STEPS_ALL=1 it is
 * each call, without every so many-th.
 */
#include <string.h>
#include <unistd.h>

#include "ipc-test-step.h"
#include "pipe-test.h"

#define MOST 5000u              /* stops of one walk */
#define CLIENT_STRIDE 5u
#define SERVER_STRIDE 9u

#ifdef IPC_TEST_CAN_STEP
static guint
choose_first (guint *stride)
{
  g_autoptr (GRand) rand = ipc_test_rand_new ();

  if (g_strcmp0 (g_getenv ("IPC_TEST_STEPS_ALL"), "1") == 0)
    *stride = 1;
  return (guint) g_rand_int_range (rand, 0, (gint32) *stride);
}

static void
run_loop (gpointer data)
{
  g_main_context_iteration (NULL, FALSE);
}

/* ── A client ── */

/* In the child: the context of the parent is the parent's. */
static void
walk_client (gpointer path)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "hello");
  g_autoptr (IpcMessage) reply = NULL;
  g_autoptr (IpcPipeClient) client = NULL;

  g_main_context_push_thread_default (context);
  client = ipc_pipe_client_new (path);
  g_assert_true (ipc_client_open (IPC_CLIENT (client), NULL, NULL));
  reply = ipc_client_request (IPC_CLIENT (client), request, 10000, NULL, NULL);
  g_assert_cmpstr (ipc_message_get_text (reply), ==, "hello");
  ipc_client_close (IPC_CLIENT (client));
  g_clear_object (&client);
  g_main_context_pop_thread_default (context);
}

/* TRUE: it came to its end before. */
static gboolean
kill_client (Listener *listener, guint n)
{
  pid_t pid = ipc_test_step_start (NULL, walk_client, listener->path);
  gboolean over = ipc_test_step_calls (pid, n, run_loop, NULL);

  ipc_test_step_kill (pid);
  return over;
}

static void
test_client (IpcTest *test)
{
  g_auto (Listener) listener = { 0 };
  g_autofree char *pairs = ipc_test_path (test, ".pipe.d");
  guint stride = CLIENT_STRIDE, n_kills = 0, fds, n;
  IpcClient *bystander;

  ipc_test_set_deadline (120);
  listener_init (&listener, test);
  bystander = client_open (listener.path);
  client_check (bystander, "before");
  fds = ipc_test_count_fds ();
  for (n = choose_first (&stride); n < MOST && !kill_client (&listener, n); n += stride, n_kills++)
    {
      ipc_test_wait_for (ipc_server_get_n_clients (listener.server) == 1 && count_entries (pairs) == 0 && ipc_test_count_fds () == fds);
      client_check (bystander, "still there");
    }
  g_test_message ("killed at %u of %u stops", n_kills, n);
  g_assert_cmpuint (n_kills, >, 10);
  g_assert_cmpuint (n, <, MOST);
  client_close (bystander);
}

/* ── A server ── */

static gboolean
is_served (IpcServer *server)
{
  static gboolean was_there;

  was_there |= ipc_server_get_n_clients (server) > 0;
  return was_there && ipc_server_get_n_clients (server) == 0;
}

/* Until somebody has come and gone. */
static void
walk_server (gpointer path)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (IpcServer) server = NULL;

  g_main_context_push_thread_default (context);
  server = IPC_SERVER (ipc_pipe_server_new (path));
  ipc_server_add_handler (server, "echo", listener_echo, NULL, NULL);
  g_assert_true (ipc_server_start (server, NULL));
  while (!is_served (server))
    g_main_context_iteration (context, TRUE);
  ipc_server_stop (server);
  g_main_context_pop_thread_default (context);
}

/* A client that waits for whoever serves, asks, and is gone. */
typedef struct
{
  IpcClient *client;            /* (owned) */
  IpcTestAsync opening;
  IpcTestAsync asking;
  gboolean closed;
} Visitor;

static void
visitor_init (Visitor *self, const char *path)
{
  memset (self, 0, sizeof *self);
  self->client = IPC_CLIENT (ipc_pipe_client_new (path));
  ipc_client_set_wait_for_server (self->client, TRUE);
  ipc_client_open_async (self->client, NULL, ipc_test_async_cb, &self->opening);
}

static void
go_on (gpointer visitor)
{
  Visitor *self = visitor;

  g_main_context_iteration (NULL, FALSE);
  if (self->opening.n_callbacks == 1 && self->asking.source == NULL && !self->closed)
    {
      g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "hello");

      self->closed = TRUE;
      ipc_client_request_async (self->client, request, 10000, NULL, ipc_test_async_cb, &self->asking);
    }
  if (self->asking.n_callbacks == 1)
    ipc_client_close (self->client);
}

/* Whoever it was that it came to, it ends; and if that was killed before it let it in, it has come to the next one. */
static void
visitor_clear (Visitor *self)
{
  g_autoptr (IpcMessage) reply = NULL;

  ipc_test_wait_for ((go_on (self), self->asking.n_callbacks == 1));
  g_assert_true (ipc_client_open_finish (self->client, self->opening.result, NULL));
  reply = ipc_client_request_finish (self->client, self->asking.result, NULL);
  ipc_test_async_clear (&self->opening);
  ipc_test_async_clear (&self->asking);
  client_close (self->client);
}

static gboolean
kill_server (const char *path, Visitor *visitor, guint n)
{
  pid_t pid = ipc_test_step_start (NULL, walk_server, (gpointer) path);
  gboolean over;

  visitor_init (visitor, path);
  over = ipc_test_step_calls (pid, n, go_on, visitor);
  ipc_test_step_kill (pid);
  return over;
}

/* The next one starts, has swept, and serves. */
static void
check_successor (IpcTest *test, Visitor *visitor)
{
  g_auto (Listener) listener = { 0 };
  IpcClient *client;

  listener_init (&listener, test);
  visitor_clear (visitor);
  client = client_open (listener.path);
  client_check (client, "hello");
  client_close (client);
}

static void
test_server (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  guint stride = SERVER_STRIDE, n_kills = 0, n;
  gboolean over = FALSE;

  ipc_test_set_deadline (180);
  for (n = choose_first (&stride); n < MOST && !over; n += stride, n_kills++)
    {
      Visitor visitor;

      over = kill_server (path, &visitor, n);
      check_successor (test, &visitor);
      g_assert_cmpuint (count_entries (test->directory), ==, 1);        /* the lock */
    }
  g_test_message ("killed at %u of %u stops", n_kills, n);
  g_assert_cmpuint (n_kills, >, 10);
  g_assert_cmpuint (n, <, MOST);
}
#endif

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
#ifdef IPC_TEST_CAN_STEP
  ipc_test_add ("/pipe/steps/client", test_client);
  ipc_test_add ("/pipe/steps/server", test_server);
#endif
  return ipc_test_run ();
}
