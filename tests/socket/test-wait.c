/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that are there before their server: with wait-for-server they find it whatever way it comes, and
 * without it they are told.
 */
#include <glib-unix.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "socket-test.h"

#define MANY 20

static IpcClient *
new_waiting (const char *address, IpcScope *scope)
{
  return g_object_new (IPC_TYPE_SOCKET_CLIENT, "address", address, "scope", scope, "wait-for-server", TRUE, NULL);
}

static gboolean
is_waiting (IpcClient *client)
{
  return ipc_client_get_state (client) == IPC_CLIENT_STATE_WAITING;
}

static void
finish_open (IpcClient *client, IpcTestAsync *async)
{
  g_autoptr (GError) error = NULL;

  ipc_client_open_finish (client, ipc_test_async_wait (async), &error);
  g_assert_no_error (error);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_OPEN);
}

static void
assert_still_waiting (IpcClient *client, IpcTestAsync *async)
{
  ipc_test_settle ();
  g_assert_true (is_waiting (client));
  g_assert_null (async->result);
}

/* ── Asynchronously ── */

static void
test_without_waiting (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (GError) error = client_fail_open_at (path);
  g_autoptr (IpcClient) client = IPC_CLIENT (ipc_socket_client_new ("nobody"));
  g_autoptr (GError) sync_error = NULL;

  assert_ipc_error (error, IPC_ERROR_NO_SERVER, SOCKET_NAME);
  g_assert_false (ipc_client_open (client, NULL, &sync_error));
  assert_ipc_error (sync_error, IPC_ERROR_NO_SERVER, "nobody");
}

static void
test_path (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (Service) service = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  assert_still_waiting (client, &async);
  service = service_start_at (path);
  finish_open (client, &async);
  client_check (client);
}

static void
test_name (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *directory = ipc_test_path (test, "scope");
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcScope) scope = ipc_scope_new_for_directory (directory, &error);
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (IpcServer) server = NULL;

  g_assert_no_error (error);
  client = new_waiting ("service", scope);
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  server = g_object_new (IPC_TYPE_SOCKET_SERVER, "address", "service", "scope", scope, NULL);
  g_assert_true (ipc_server_start (server, NULL));
  finish_open (client, &async);
  ipc_client_close (client);
  ipc_test_wait_for (ipc_server_get_n_clients (server) == 0);
}

static void
test_default_scope (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (IpcClient) client = new_waiting ("service", NULL);
  g_autoptr (Service) service = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  service = service_start_at ("service");
  finish_open (client, &async);
  client_check (client);
}

static void
test_server_is_there (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (GError) error = NULL;

  client_try_open (client, &error);
  g_assert_no_error (error);
  client_check (client);
}

/* What comes and goes in the directory is looked at, and is not the server. */
static void
test_not_the_server (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  for (guint i = 0; i < 100; i++)
    {
      g_autofree char *other = g_strdup_printf ("%s-%u", path, i);

      g_assert_true (g_file_set_contents (other, "", 0, NULL));
    }
  raw_leave_stale (path);
  assert_still_waiting (client, &async);
  g_assert_no_errno (unlink (path));
  assert_still_waiting (client, &async);

  g_autoptr (Service) service = service_start_at (path);

  finish_open (client, &async);
  client_check (client);
}

static void
test_stale_socket (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (Service) service = NULL;

  raw_leave_stale (path);
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  assert_still_waiting (client, &async);
  service = service_start_at (path);
  finish_open (client, &async);
  client_check (client);
}

static void
test_wrong_thing (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (GError) error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  g_assert_no_errno (mkdir (path, 0700));
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_WRONG_TYPE, "not a socket");
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_CLOSED);
}

static void
test_many (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  IpcTestAsync async[MANY] = { 0 };
  IpcClient *clients[MANY];
  g_autoptr (Service) service = NULL;

  for (guint i = 0; i < MANY; i++)
    {
      clients[i] = new_waiting (path, NULL);
      ipc_client_open_async (clients[i], NULL, ipc_test_async_cb, &async[i]);
      ipc_test_wait_for (is_waiting (clients[i]));
    }
  service = service_start_at (path);
  for (guint i = 0; i < MANY; i++)
    finish_open (clients[i], &async[i]);
  for (guint i = 0; i < MANY; i++)
    {
      client_check (clients[i]);
      ipc_test_async_clear (&async[i]);
      g_object_unref (clients[i]);
    }
  g_assert_cmpuint (service->n_connected, ==, MANY);
}

/* The server that was waited for goes, and another one is waited for. */
static void
test_again_and_again (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);

  for (guint i = 0; i < 10; i++)
    {
      g_auto (IpcTestAsync) async = { 0 };
      g_autoptr (Service) service = NULL;

      ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
      ipc_test_wait_for (is_waiting (client));
      service = service_start_at (path);
      finish_open (client, &async);
      client_check (client);
      ipc_server_stop (service->server);
      ipc_test_wait_for (ipc_client_get_state (client) == IPC_CLIENT_STATE_CLOSED);
    }
}

/* ── How it waits ── */

/* Nothing in the context has a time at which it wants to look again. */
static void
assert_no_timeout (GMainContext *context)
{
  GPollFD fds[16];
  gint timeout = 0;
  gint priority = 0;

  while (g_main_context_iteration (context, FALSE))
    ;
  g_assert_true (g_main_context_acquire (context));
  g_assert_false (g_main_context_prepare (context, &priority));
  g_main_context_query (context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds));
  g_main_context_release (context);
  g_assert_cmpint (timeout, ==, -1);
}

static void
test_does_not_poll (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (Service) service = NULL;

  g_main_context_push_thread_default (context);
  client = new_waiting (path, NULL);
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  assert_no_timeout (context);
  raw_leave_stale (path);
  assert_no_timeout (context);
  service = service_start_at (path);
  finish_open (client, &async);
  client_check (client);
  g_clear_object (&client);
  g_clear_pointer (&service, service_free);
  ipc_test_settle ();
  g_main_context_pop_thread_default (context);
}

/* ── Not waiting any more ── */

static void
test_cancelled (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (Service) service = NULL;
  g_autoptr (GError) error = NULL;

  ipc_client_open_async (client, cancellable, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  g_cancellable_cancel (cancellable);
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_CLOSED);
  service = service_start_at (path);
  ipc_test_settle ();
  g_assert_cmpuint (service->n_connected, ==, 0);
  g_clear_error (&error);
  client_try_open (client, &error);
  g_assert_no_error (error);
  client_check (client);
}

static void
test_cancelled_as_it_comes (IpcTest *test)
{
  for (guint steps = 0; steps < 12; steps++)
    {
      g_auto (IpcTestAsync) async = { 0 };
      g_autoptr (GCancellable) cancellable = g_cancellable_new ();
      g_autofree char *path = g_strdup_printf ("%s/%u", test->directory, steps);
      g_autoptr (IpcClient) client = new_waiting (path, NULL);
      g_autoptr (Service) service = NULL;
      g_autoptr (GError) error = NULL;
      gboolean opened;

      ipc_client_open_async (client, cancellable, ipc_test_async_cb, &async);
      ipc_test_wait_for (is_waiting (client));
      service = service_start_at (path);
      ipc_test_iterate (steps);
      g_cancellable_cancel (cancellable);
      opened = ipc_client_open_finish (client, ipc_test_async_wait (&async), &error);
      if (opened)
        client_check (client);
      else
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_assert_cmpint (ipc_client_get_state (client), ==, opened ? IPC_CLIENT_STATE_OPEN : IPC_CLIENT_STATE_CLOSED);
    }
}

/* A cancellable that outlives the opening, and is never used, keeps nothing alive. */
static void
test_cancellable_is_let_go (IpcTest *test)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  IpcClient *client = new_waiting (path, NULL);
  IpcClient *fails = IPC_CLIENT (ipc_socket_client_new ("nobody"));

  for (guint i = 0; i < 2; i++)
    {
      g_auto (IpcTestAsync) async = { 0 };
      IpcClient *one = i == 0 ? client : fails;

      ipc_client_open_async (one, cancellable, ipc_test_async_cb, &async);
      g_assert_true (ipc_client_open_finish (one, ipc_test_async_wait (&async), NULL) == (i == 0));
    }
  client_check (client);
  ipc_test_settle ();
  ipc_test_assert_finalized (client);
  ipc_test_assert_finalized (fails);
  ipc_test_wait_for (ipc_server_get_n_clients (service->server) == 0);
  g_cancellable_cancel (cancellable);
}

static void
test_closed (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (GError) error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  ipc_client_close (client);
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_CLOSED, "while opening");
  g_assert_cmpint (ipc_client_get_state (client), ==, IPC_CLIENT_STATE_CLOSED);
}

static void
test_opened_twice (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (GError) error = NULL;

  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  g_assert_false (client_try_open (client, &error));
  assert_ipc_error (error, IPC_ERROR_ALREADY, NULL);
  assert_still_waiting (client, &async);
  ipc_client_close (client);
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), NULL));
}

static void
test_no_directory (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "none/" SOCKET_NAME);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (GError) error = client_fail_open (client);
  g_autoptr (GError) sync_error = NULL;

  assert_ipc_error (error, IPC_ERROR_NO_SERVER, "no such directory");
  g_assert_false (ipc_client_open (client, NULL, &sync_error));
  assert_ipc_error (sync_error, IPC_ERROR_NO_SERVER, "no such directory");
}

/* There is nothing left to wait in. */
static void
test_directory_goes (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autofree char *directory = ipc_test_path (test, "directory");
  g_autofree char *path = g_build_filename (directory, SOCKET_NAME, NULL);
  g_autoptr (IpcClient) client = new_waiting (path, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_no_errno (mkdir (directory, 0700));
  ipc_client_open_async (client, NULL, ipc_test_async_cb, &async);
  ipc_test_wait_for (is_waiting (client));
  g_assert_no_errno (rmdir (directory));
  g_assert_false (ipc_client_open_finish (client, ipc_test_async_wait (&async), &error));
  assert_ipc_error (error, IPC_ERROR_NO_SERVER, "no such directory");
}

/* ── In a thread that blocks ── */

typedef struct
{
  IpcClient *client;         /* (owned) */
  GCancellable *cancellable; /* (owned) */
  GThread *thread;
  GError *error;             /* (owned) (nullable) */
  char *answer;              /* (owned) (nullable) */
  gint done;                 /* (atomic) */
  glong n_switches;
} Opener;

static gpointer
open_and_ask (gpointer data)
{
  Opener *self = data;
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "from a thread");
  g_autoptr (IpcMessage) reply = NULL;
  struct rusage usage;

  if (ipc_client_open (self->client, self->cancellable, &self->error))
    reply = ipc_client_request (self->client, request, 10000, NULL, &self->error);
  if (reply != NULL)
    self->answer = g_strdup (ipc_message_get_text (reply));
  getrusage (RUSAGE_THREAD, &usage);
  self->n_switches = usage.ru_nvcsw;
  g_atomic_int_set (&self->done, TRUE);
  return NULL;
}

static Opener *
opener_start (const char *path)
{
  Opener *self = g_new0 (Opener, 1);

  self->client = new_waiting (path, NULL);
  self->cancellable = g_cancellable_new ();
  self->thread = g_thread_new ("opener", open_and_ask, self);
  return self;
}

static void
opener_join (Opener *self)
{
  ipc_test_wait_for (g_atomic_int_get (&self->done));
  g_clear_pointer (&self->thread, g_thread_join);
}

static void
opener_free (Opener *self)
{
  g_assert_null (self->thread);
  g_clear_error (&self->error);
  g_free (self->answer);
  g_object_unref (self->cancellable);
  g_object_unref (self->client);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Opener, opener_free)

static gboolean
stdin_is_over (int fd, GIOCondition condition, gpointer loop)
{
  g_main_loop_quit (loop);
  return G_SOURCE_REMOVE;
}

static int
play_server (char **arguments)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (Service) service = service_start_at (arguments[0]);

  ipc_test_tell ("up");
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, stdin_is_over, loop);
  g_main_loop_run (loop);
  return 0;
}

static void
check_opener (IpcTest *test, gboolean stale)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Opener) opener = NULL;
  g_autoptr (IpcTestPeer) server = NULL;

  if (stale)
    raw_leave_stale (path);
  opener = opener_start (path);
  ipc_test_wait_for (is_waiting (opener->client));
  server = ipc_test_peer_spawn ("server", (const char *[]) { path, NULL });
  ipc_test_peer_expect (server, "up");
  opener_join (opener);
  g_assert_no_error (opener->error);
  g_assert_cmpstr (opener->answer, ==, "from a thread");
  /* woken by what happens in the directory, and not every so often */
  g_assert_cmpint (opener->n_switches, <, 60);
}

static void
test_sync (IpcTest *test)
{
  check_opener (test, FALSE);
}

static void
test_sync_stale (IpcTest *test)
{
  check_opener (test, TRUE);
}

static void
test_sync_cancelled (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (Opener) opener = opener_start (path);

  ipc_test_wait_for (is_waiting (opener->client));
  g_cancellable_cancel (opener->cancellable);
  opener_join (opener);
  g_assert_error (opener->error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpint (ipc_client_get_state (opener->client), ==, IPC_CLIENT_STATE_CLOSED);
}

static void
test_sync_directory_goes (IpcTest *test)
{
  g_autofree char *directory = ipc_test_path (test, "directory");
  g_autofree char *path = g_build_filename (directory, SOCKET_NAME, NULL);
  g_autoptr (Opener) opener = NULL;

  g_assert_no_errno (mkdir (directory, 0700));
  opener = opener_start (path);
  ipc_test_wait_for (is_waiting (opener->client));
  g_assert_no_errno (rmdir (directory));
  opener_join (opener);
  assert_ipc_error (opener->error, IPC_ERROR_NO_SERVER, "no such directory");
}

static const IpcTestRole roles[] = {
  { "server", play_server },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/wait/without-waiting", test_without_waiting);
  ipc_test_add ("/socket/wait/path", test_path);
  ipc_test_add ("/socket/wait/name", test_name);
  ipc_test_add ("/socket/wait/default-scope", test_default_scope);
  ipc_test_add ("/socket/wait/server-is-there", test_server_is_there);
  ipc_test_add ("/socket/wait/not-the-server", test_not_the_server);
  ipc_test_add ("/socket/wait/stale-socket", test_stale_socket);
  ipc_test_add ("/socket/wait/wrong-thing", test_wrong_thing);
  ipc_test_add ("/socket/wait/many", test_many);
  ipc_test_add ("/socket/wait/again-and-again", test_again_and_again);
  ipc_test_add ("/socket/wait/does-not-poll", test_does_not_poll);
  ipc_test_add ("/socket/wait/cancelled", test_cancelled);
  ipc_test_add ("/socket/wait/cancelled-as-it-comes", test_cancelled_as_it_comes);
  ipc_test_add ("/socket/wait/cancellable-is-let-go", test_cancellable_is_let_go);
  ipc_test_add ("/socket/wait/closed", test_closed);
  ipc_test_add ("/socket/wait/opened-twice", test_opened_twice);
  ipc_test_add ("/socket/wait/no-directory", test_no_directory);
  ipc_test_add ("/socket/wait/directory-goes", test_directory_goes);
  ipc_test_add ("/socket/wait/sync/server-comes", test_sync);
  ipc_test_add ("/socket/wait/sync/stale-socket", test_sync_stale);
  ipc_test_add ("/socket/wait/sync/cancelled", test_sync_cancelled);
  ipc_test_add ("/socket/wait/sync/directory-goes", test_sync_directory_goes);
  return ipc_test_run ();
}
