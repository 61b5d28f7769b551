/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Permits that a main loop waits for: when and where they come, in which order, what ends the wait otherwise, and what a
 * thousand of them cost.
 */
#include "semaphore-test.h"

#include <malloc.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define N_WAITS 1000u
#define BYTES_EACH 1024

typedef struct
{
  IpcSemaphoreManager *manager; /* (owned) */
  IpcSemaphore *semaphore;      /* (owned) */
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test, guint permits)
{
  self->manager = semaphore_test_manager_new (test->directory);
  self->semaphore = semaphore_test_create (self->manager, "x", permits);
}

static void
fixture_clear (Fixture *self)
{
  if (self->semaphore != NULL)
    ipc_test_assert_finalized (self->semaphore);
  ipc_test_assert_finalized (self->manager);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
acquire (Fixture *self, gint timeout, GCancellable *cancellable, IpcTestAsync *async)
{
  ipc_semaphore_acquire_async (self->semaphore, timeout, cancellable, ipc_test_async_cb, async);
}

/* (transfer full) */
static IpcPermit *
finish (Fixture *self, IpcTestAsync *async)
{
  g_autoptr(GError) error = NULL;
  IpcPermit *permit = ipc_semaphore_acquire_finish (self->semaphore, ipc_test_async_wait (async), &error);

  g_assert_no_error (error);
  g_assert_nonnull (permit);
  g_assert_true (ipc_permit_get_is_held (permit));
  return permit;
}

static void
assert_fails (Fixture *self, IpcTestAsync *async, GQuark domain, int code)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_semaphore_acquire_finish (self->semaphore, ipc_test_async_wait (async), &error));
  g_assert_error (error, domain, code);
}

/* ── One wait ── */

/* Also what is there comes later. */
static void
test_free (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };

  fixture_init (&fixture, test, 1);
  acquire (&fixture, 0, NULL, &async);
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  semaphore_test_release (finish (&fixture, &async));
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
}

static void
test_released (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  IpcPermit *held;

  fixture_init (&fixture, test, 1);
  held = semaphore_test_acquire (fixture.semaphore);
  acquire (&fixture, -1, NULL, &async);
  ipc_test_settle ();
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  g_assert_cmpuint (ipc_semaphore_get_waiters (fixture.semaphore), ==, 1);
  semaphore_test_release (held);
  semaphore_test_release (finish (&fixture, &async));
  g_assert_cmpuint (ipc_semaphore_get_waiters (fixture.semaphore), ==, 0);
}

static void
test_timeouts (IpcTest *test)
{
  const struct
  {
    gint timeout;
    IpcError code;
  } cases[] = {
    { 0, IPC_ERROR_TIMED_OUT },
    { 20, IPC_ERROR_TIMED_OUT },
    { IPC_TIMEOUT_DEFAULT, IPC_ERROR_TIMED_OUT },
    { -3, IPC_ERROR_INVALID_ARGUMENT },
    { G_MININT, IPC_ERROR_INVALID_ARGUMENT },
  };
  g_auto(Fixture) fixture = { 0 };
  IpcPermit *held;

  fixture_init (&fixture, test, 1);
  ipc_semaphore_manager_set_default_timeout (fixture.manager, 30);
  held = semaphore_test_acquire (fixture.semaphore);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto(IpcTestAsync) async = { 0 };
      gint64 began = g_get_monotonic_time ();

      acquire (&fixture, cases[i].timeout, NULL, &async);
      assert_fails (&fixture, &async, IPC_ERROR, (int) cases[i].code);
      g_assert_cmpint (g_get_monotonic_time () - began, >=, 1000 * MAX (cases[i].timeout, cases[i].timeout == IPC_TIMEOUT_DEFAULT ? 30 : 0));
    }
  g_assert_cmpuint (ipc_semaphore_get_waiters (fixture.semaphore), ==, 0);
  semaphore_test_release (held);
}

static void
test_deleted (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;
  IpcPermit *held;

  fixture_init (&fixture, test, 1);
  held = semaphore_test_acquire (fixture.semaphore);
  acquire (&fixture, -1, NULL, &async);
  g_assert_true (ipc_semaphore_manager_delete_semaphore (fixture.manager, "x", &error));
  g_assert_no_error (error);
  assert_fails (&fixture, &async, IPC_ERROR, IPC_ERROR_DELETED);
  semaphore_test_release (held);
}

static void
test_forked (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  int status;
  pid_t pid;

  fixture_init (&fixture, test, 1);
  pid = fork ();
  if (pid == 0)
    {
      g_auto(IpcTestAsync) async = { 0 };

      acquire (&fixture, -1, NULL, &async);
      assert_fails (&fixture, &async, IPC_ERROR, IPC_ERROR_FORKED);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
}

/* ── The order ── */

typedef struct
{
  GString *order;               /* (owned) */
  guint n;
} Order;

typedef struct
{
  Order *order;
  guint number;
} Turn;

static void
turn_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Turn *turn = data;
  IpcPermit *permit = ipc_semaphore_acquire_finish (IPC_SEMAPHORE (source), result, NULL);

  g_assert_nonnull (permit);
  g_string_append_printf (turn->order->order, "%u ", turn->number);
  turn->order->n++;
  semaphore_test_release (permit);
}

static void
test_order (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  Order order = { .order = g_string_new (NULL) };
  Turn turns[5];
  IpcPermit *held;

  fixture_init (&fixture, test, 1);
  held = semaphore_test_acquire (fixture.semaphore);
  for (guint i = 0; i < G_N_ELEMENTS (turns); i++)
    {
      turns[i] = (Turn){ &order, i };
      ipc_semaphore_acquire_async (fixture.semaphore, -1, NULL, turn_cb, &turns[i]);
    }
  semaphore_test_release (held);
  ipc_test_wait_for (order.n == G_N_ELEMENTS (turns));
  g_assert_cmpstr (order.order->str, ==, "0 1 2 3 4 ");
  g_string_free (order.order, TRUE);
}

/* ── Another process ── */

static void
test_other_process (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test, 1);
  peer = semaphore_test_spawn (test->directory, "x");
  for (guint i = 0; i < 5; i++)
    {
      g_auto(IpcTestAsync) async = { 0 };

      semaphore_test_peer_command (peer, "acquire 10000", "got");
      acquire (&fixture, -1, NULL, &async);
      ipc_test_settle ();
      g_assert_cmpuint (async.n_callbacks, ==, 0);
      semaphore_test_peer_command (peer, "release", "released");
      semaphore_test_release (finish (&fixture, &async));
    }
  semaphore_test_peer_command (peer, "quit", NULL);
}

static void
test_holder_killed (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr(IpcTestPeer) peer = semaphore_test_spawn (test->directory, "x");
      g_auto(IpcTestAsync) async = { 0 };

      semaphore_test_peer_command (peer, "acquire 10000", "got");
      acquire (&fixture, -1, NULL, &async);
      ipc_test_iterate (i % 4);
      ipc_test_peer_kill (peer);
      semaphore_test_release (finish (&fixture, &async));
    }
  g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, 20);
}

/* ── Giving up ── */

static void
test_cancelled_before (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();

  fixture_init (&fixture, test, 1);
  g_cancellable_cancel (cancellable);
  acquire (&fixture, -1, cancellable, &async);
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  assert_fails (&fixture, &async, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
}

/* Whenever it is cancelled, beside a release: there is one outcome, and the permit is had or free. */
static void
cancel_at (Fixture *fixture, guint k, gboolean release_first)
{
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  IpcPermit *held = semaphore_test_acquire (fixture->semaphore);
  IpcPermit *permit;

  acquire (fixture, -1, cancellable, &async);
  if (release_first)
    semaphore_test_release (g_steal_pointer (&held));
  ipc_test_iterate (k);
  g_cancellable_cancel (cancellable);
  permit = ipc_semaphore_acquire_finish (fixture->semaphore, ipc_test_async_wait (&async), &error);
  if (permit == NULL)
    g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  else
    semaphore_test_release (permit);
  if (held != NULL)
    {
      g_assert_null (permit);
      semaphore_test_release (held);
    }
  ipc_test_settle ();
  g_assert_cmpuint (async.n_callbacks, ==, 1);
  /* A permit that came too late goes with the result. */
  ipc_test_async_clear (&async);
  g_assert_cmpuint (ipc_semaphore_get_waiters (fixture->semaphore), ==, 0);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture->semaphore), ==, 1);
}

static void
test_cancelled_at_each_point (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, 1);
  for (guint k = 0; k < 8; k++)
    {
      cancel_at (&fixture, k, FALSE);
      cancel_at (&fixture, k, TRUE);
    }
}

static gpointer
cancel_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
test_cancelled_by_a_thread (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < 200; i++)
    {
      g_auto(IpcTestAsync) async = { 0 };
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_autoptr(GError) error = NULL;
      IpcPermit *held = semaphore_test_acquire (fixture.semaphore), *permit;
      GThread *thread;

      acquire (&fixture, -1, cancellable, &async);
      thread = g_thread_new ("cancels", cancel_thread, cancellable);
      semaphore_test_release (held);
      permit = ipc_semaphore_acquire_finish (fixture.semaphore, ipc_test_async_wait (&async), &error);
      g_assert_true (permit != NULL || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
      g_clear_pointer (&permit, ipc_permit_unref);
      g_thread_join (thread);
      ipc_test_async_clear (&async);
      g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
    }
}

/* The wait keeps what it needs, and its outcome comes; who drops the result drops the permit. */
static void
test_dropped_at_each_point (IpcTest *test)
{
  for (guint k = 0; k < 6; k++)
    {
      g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
      IpcSemaphore *semaphore = semaphore_test_create (manager, "x", 1);
      g_autoptr(IpcSemaphore) other = NULL;
      g_auto(IpcTestAsync) async = { 0 };
      IpcPermit *held = semaphore_test_acquire (semaphore);

      ipc_semaphore_acquire_async (semaphore, -1, NULL, ipc_test_async_cb, &async);
      g_object_unref (semaphore);
      g_clear_object (&manager);
      ipc_test_iterate (k);
      semaphore_test_release (held);
      ipc_test_async_wait (&async);
      ipc_test_async_clear (&async);
      manager = semaphore_test_manager_new (test->directory);
      other = semaphore_test_open (manager, "x");
      g_assert_cmpuint (ipc_semaphore_get_available_permits (other), ==, 1);
      g_assert_true (ipc_semaphore_manager_delete_semaphore (manager, "x", NULL));
    }
}

/* ── Other contexts ── */

static gpointer
wait_in_context (gpointer data)
{
  Fixture *fixture = data;
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_auto(IpcTestAsync) async = { 0 };

  g_main_context_push_thread_default (context);
  acquire (fixture, -1, NULL, &async);
  semaphore_test_release (finish (fixture, &async));
  g_main_context_pop_thread_default (context);
  return NULL;
}

/* More than are kept, one after the other and at the same time. */
static void
test_contexts (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < 4; i++)
    {
      IpcPermit *held = semaphore_test_acquire (fixture.semaphore);
      GThread *threads[12];

      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        threads[k] = g_thread_new ("waits", wait_in_context, &fixture);
      ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == G_N_ELEMENTS (threads));
      semaphore_test_release (held);
      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        g_thread_join (threads[k]);
    }
}

/* ── A crowd ── */

static void
count_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  semaphore_test_release (ipc_semaphore_acquire_finish (IPC_SEMAPHORE (source), result, NULL));
  *(guint *) data += 1;
}

static void
work (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  g_task_return_boolean (task, TRUE);
}

/* Tasks in threads are GLib's usual way to wait, and there are few of those threads. */
static void
assert_tasks_go_on (void)
{
  for (guint i = 0; i < 20; i++)
    {
      g_auto(IpcTestAsync) async = { 0 };
      g_autoptr(GTask) task = g_task_new (NULL, NULL, ipc_test_async_cb, &async);

      g_task_run_in_thread (task, work);
      ipc_test_async_wait (&async);
    }
}

static gsize
get_allocated (void)
{
#ifdef __SANITIZE_ADDRESS__
  return 0;
#else
  return mallinfo2 ().uordblks;
#endif
}

static void
test_crowd (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcTestLedger *ledger;
  guint n_done = 0, n_fds;
  gsize before;
  IpcPermit *held;

  fixture_init (&fixture, test, 1);
  held = semaphore_test_acquire (fixture.semaphore);
  ipc_semaphore_acquire_async (fixture.semaphore, -1, NULL, count_cb, &n_done);
  assert_tasks_go_on ();
  ledger = ipc_test_ledger_new ();
  n_fds = ipc_test_count_fds ();
  before = get_allocated ();
  for (guint i = 1; i < N_WAITS; i++)
    ipc_semaphore_acquire_async (fixture.semaphore, -1, NULL, count_cb, &n_done);
  g_test_message ("%" G_GSIZE_FORMAT " bytes each", (get_allocated () - before) / N_WAITS);
  g_assert_cmpuint (get_allocated () - before, <=, BYTES_EACH * N_WAITS);
  g_assert_cmpuint (ipc_semaphore_get_waiters (fixture.semaphore), ==, N_WAITS);
  /* No thread, and no descriptor. */
  ipc_test_ledger_check (ledger);
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
  ipc_test_ledger_free (ledger);
  assert_tasks_go_on ();
  semaphore_test_release (held);
  ipc_test_wait_for (n_done == N_WAITS);
  g_assert_cmpuint (ipc_semaphore_get_waiters (fixture.semaphore), ==, 0);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { SEMAPHORE_TEST_ROLE, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/semaphore/async/free", test_free);
  ipc_test_add ("/semaphore/async/released", test_released);
  ipc_test_add ("/semaphore/async/timeouts", test_timeouts);
  ipc_test_add ("/semaphore/async/deleted", test_deleted);
  ipc_test_add ("/semaphore/async/forked", test_forked);
  ipc_test_add ("/semaphore/async/order", test_order);
  ipc_test_add ("/semaphore/async/other-process", test_other_process);
  ipc_test_add ("/semaphore/async/holder-killed", test_holder_killed);
  ipc_test_add ("/semaphore/async/cancelled/before", test_cancelled_before);
  ipc_test_add ("/semaphore/async/cancelled/at-each-point", test_cancelled_at_each_point);
  ipc_test_add ("/semaphore/async/cancelled/by-a-thread", test_cancelled_by_a_thread);
  ipc_test_add ("/semaphore/async/dropped-at-each-point", test_dropped_at_each_point);
  ipc_test_add ("/semaphore/async/contexts", test_contexts);
  ipc_test_add ("/semaphore/async/crowd", test_crowd);
  return ipc_test_run ();
}
