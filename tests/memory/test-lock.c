/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The lock of a segment: had by one object at a time, in whatever process and however it is asked for; free when its owner dies, and
 * told then.
 */
#include "memory-test.h"

#include <signal.h>

typedef struct
{
  IpcSharedMemoryManager *managers[2]; /* (owned) */
  IpcSharedMemory *one;                /* (owned) */
  IpcSharedMemory *two;                /* (owned) the same segment */
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test)
{
  for (guint i = 0; i < 2; i++)
    self->managers[i] = memory_test_manager_new (test->directory);
  self->one = memory_test_create (self->managers[0], "x", 1000);
  self->two = memory_test_open (self->managers[1], "x");
}

static void
fixture_clear (Fixture *self)
{
  if (self->one != NULL)
    ipc_test_assert_finalized (self->one);
  if (self->two != NULL)
    ipc_test_assert_finalized (self->two);
  for (guint i = 0; i < 2; i++)
    ipc_test_assert_finalized (self->managers[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
lock (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;

  ipc_shared_memory_lock (segment, 20000, NULL, &error);
  g_assert_no_error (error);
}

static void
unlock (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;

  ipc_shared_memory_unlock (segment, &error);
  g_assert_no_error (error);
}

static void
assert_is_taken (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;

  g_assert_false (ipc_shared_memory_try_lock (segment, &error));
  g_assert_no_error (error);
}

static void
assert_not_held (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;

  memory_test_fails (ipc_shared_memory_unlock (segment, &error), &error, IPC_ERROR_NOT_HELD);
}

/* ── In one process ── */

static void
test_lock (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  assert_not_held (fixture.one);
  lock (fixture.one);
  assert_is_taken (fixture.two);
  /* It belongs to the object, not to the process, or the thread. */
  assert_is_taken (fixture.one);
  assert_not_held (fixture.two);
  unlock (fixture.one);
  assert_not_held (fixture.one);
  g_assert_true (ipc_shared_memory_try_lock (fixture.two, &error));
  memory_test_fails (ipc_shared_memory_lock (fixture.one, 0, NULL, &error), &error, IPC_ERROR_TIMED_OUT);
  unlock (fixture.two);
  g_assert_true (ipc_shared_memory_get_is_consistent (fixture.one));
}

/* It keeps nobody from reading and writing who does not take it. */
static void
test_advisory (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  lock (fixture.one);
  memory_test_write_value (fixture.two, 0, 3, 1000);
  memory_test_assert_value (fixture.one, 0, 3, 1000);
  g_assert_true (ipc_shared_memory_resize (fixture.two, 2000, NULL));
  unlock (fixture.one);
}

static void
test_timeouts (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  const gint bad[] = { -3, G_MININT };
  gint64 start;

  fixture_init (&fixture, test);
  lock (fixture.one);
  start = g_get_monotonic_time ();
  memory_test_fails (ipc_shared_memory_lock (fixture.two, 50, NULL, &error), &error, IPC_ERROR_TIMED_OUT);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, 50000);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_auto(IpcTestAsync) async = { 0 };

      memory_test_fails (ipc_shared_memory_lock (fixture.two, bad[i], NULL, &error), &error, IPC_ERROR_INVALID_ARGUMENT);
      ipc_shared_memory_lock_async (fixture.two, bad[i], NULL, ipc_test_async_cb, &async);
      memory_test_fails (ipc_shared_memory_lock_finish (fixture.two, ipc_test_async_wait (&async), &error), &error, IPC_ERROR_INVALID_ARGUMENT);
    }
  unlock (fixture.one);
}

/* Who drops the object gives the lock back. */
static void
test_dropped (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  lock (fixture.one);
  ipc_test_assert_finalized (fixture.one);
  fixture.one = NULL;
  lock (fixture.two);
  unlock (fixture.two);
  g_assert_true (ipc_shared_memory_get_is_consistent (fixture.two));
}

static gpointer
lock_thread (gpointer segment)
{
  lock (segment);
  unlock (segment);
  return NULL;
}

static void
test_waits (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  GThread *threads[3];

  fixture_init (&fixture, test);
  for (guint i = 0; i < 20; i++)
    {
      lock (fixture.one);
      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        threads[k] = g_thread_new ("lock", lock_thread, fixture.two);
      unlock (fixture.one);
      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        g_thread_join (threads[k]);
    }
}

/* ── Cancelled ── */

static void
test_cancelled_before (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  g_cancellable_cancel (cancellable);
  memory_test_assert_fails (ipc_shared_memory_lock (fixture.one, -1, cancellable, &error), &error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  ipc_shared_memory_lock_async (fixture.one, -1, cancellable, ipc_test_async_cb, &async);
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  memory_test_assert_fails (ipc_shared_memory_lock_finish (fixture.one, ipc_test_async_wait (&async), &error), &error, G_IO_ERROR,
                            G_IO_ERROR_CANCELLED);
  assert_not_held (fixture.one);
  lock (fixture.two);
  unlock (fixture.two);
}

typedef struct
{
  IpcSharedMemory *segment;
  GCancellable *cancellable;
} Cancelled;

static gpointer
cancelled_thread (gpointer data)
{
  Cancelled *self = data;
  g_autoptr(GError) error = NULL;

  memory_test_assert_fails (ipc_shared_memory_lock (self->segment, -1, self->cancellable, &error), &error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  return NULL;
}

static void
test_cancelled_while (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  Cancelled cancelled;
  GThread *thread;

  fixture_init (&fixture, test);
  cancelled = (Cancelled){ fixture.two, cancellable };
  lock (fixture.one);
  thread = g_thread_new ("cancelled", cancelled_thread, &cancelled);
  ipc_shared_memory_lock_async (fixture.two, -1, cancellable, ipc_test_async_cb, &async);
  ipc_test_iterate (3);
  g_cancellable_cancel (cancellable);
  g_thread_join (thread);
  memory_test_assert_fails (ipc_shared_memory_lock_finish (fixture.two, ipc_test_async_wait (&async), &error), &error, G_IO_ERROR,
                            G_IO_ERROR_CANCELLED);
  unlock (fixture.one);
  lock (fixture.two);
  unlock (fixture.two);
}

/* After each number of iterations, with the lock free just before or not: it is had, or it is free. */
static void
test_cancelled_at_each_point (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  for (guint n = 0; n < 40; n++)
    {
      g_auto(IpcTestAsync) async = { 0 };
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      g_autoptr(GError) error = NULL;

      lock (fixture.one);
      ipc_shared_memory_lock_async (fixture.two, -1, cancellable, ipc_test_async_cb, &async);
      ipc_test_iterate (n / 8);
      unlock (fixture.one);
      ipc_test_iterate (n % 8);
      g_cancellable_cancel (cancellable);
      if (ipc_shared_memory_lock_finish (fixture.two, ipc_test_async_wait (&async), &error))
        unlock (fixture.two);
      else
        g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      assert_not_held (fixture.two);
    }
}

/* ── Without blocking ── */

static void
test_async (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) at_once = { 0 };
  g_auto(IpcTestAsync) waits = { 0 };
  g_auto(IpcTestAsync) in_vain = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  ipc_shared_memory_lock_async (fixture.one, -1, NULL, ipc_test_async_cb, &at_once);
  g_assert_cmpuint (at_once.n_callbacks, ==, 0);
  g_assert_true (ipc_shared_memory_lock_finish (fixture.one, ipc_test_async_wait (&at_once), &error));
  ipc_shared_memory_lock_async (fixture.two, 50, NULL, ipc_test_async_cb, &in_vain);
  memory_test_fails (ipc_shared_memory_lock_finish (fixture.two, ipc_test_async_wait (&in_vain), &error), &error, IPC_ERROR_TIMED_OUT);
  ipc_shared_memory_lock_async (fixture.two, -1, NULL, ipc_test_async_cb, &waits);
  ipc_test_settle ();
  g_assert_cmpuint (waits.n_callbacks, ==, 0);
  unlock (fixture.one);
  g_assert_true (ipc_shared_memory_lock_finish (fixture.two, ipc_test_async_wait (&waits), &error));
  g_assert_no_error (error);
  assert_is_taken (fixture.one);
  unlock (fixture.two);
}

/* The wait keeps the object alive; whoever does not look at the result gives the lock back. */
static void
test_disposed_while_waiting (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcTestAsync async = { 0 };
  gpointer weak;

  fixture_init (&fixture, test);
  lock (fixture.one);
  weak = fixture.two;
  g_object_add_weak_pointer (weak, &weak);
  ipc_shared_memory_lock_async (fixture.two, -1, NULL, ipc_test_async_cb, &async);
  g_clear_object (&fixture.two);
  ipc_test_settle ();
  g_assert_nonnull (weak);
  unlock (fixture.one);
  ipc_test_async_wait (&async);
  ipc_test_async_clear (&async);
  ipc_test_wait_for (weak == NULL);
  lock (fixture.one);
  unlock (fixture.one);
}

static void
test_deleted (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *deleted = g_strdup_printf ("error %d", IPC_ERROR_DELETED);

  fixture_init (&fixture, test);
  peer = memory_test_spawn (test->directory, "x");
  lock (fixture.one);
  ipc_shared_memory_lock_async (fixture.two, -1, NULL, ipc_test_async_cb, &async);
  memory_test_command (peer, "lock -1", NULL);
  /* Whether that waits already or not makes no difference. */
  ipc_test_settle ();
  g_assert_true (ipc_shared_memory_manager_delete_segment (fixture.managers[0], "x", &error));
  memory_test_fails (ipc_shared_memory_lock_finish (fixture.two, ipc_test_async_wait (&async), &error), &error, IPC_ERROR_DELETED);
  ipc_test_peer_expect (peer, deleted);
  memory_test_fails (ipc_shared_memory_lock (fixture.two, -1, NULL, &error), &error, IPC_ERROR_DELETED);
  unlock (fixture.one);
  lock (fixture.two);
  unlock (fixture.two);
}

/* ── With others that die ── */

static void
test_two_processes (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "try", "got");
  assert_is_taken (fixture.one);
  assert_not_held (fixture.one);
  memory_test_command (peer, "unlock", "unlocked");
  lock (fixture.one);
  memory_test_command (peer, "try", "none");
  memory_test_command (peer, "lock -1", NULL);
  unlock (fixture.one);
  ipc_test_peer_expect (peer, "got");
  /* Who ends in order leaves no doubt. */
  memory_test_command (peer, "quit", NULL);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  lock (fixture.one);
  unlock (fixture.one);
}

static void
kill_owner (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = memory_test_spawn (test->directory, "x");

  /* It may be in doubt already. */
  ipc_test_peer_write_line (peer, "try");
  g_free (ipc_test_peer_read_line (peer));
  ipc_test_peer_kill (peer);
}

static void
test_owner_died (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  kill_owner (test);
  memory_test_fails (ipc_shared_memory_lock (fixture.one, -1, NULL, &error), &error, IPC_ERROR_OWNER_DIED);
  /* And it is taken. */
  assert_is_taken (fixture.two);
  g_assert_false (ipc_shared_memory_get_is_consistent (fixture.two));
  unlock (fixture.one);
  /* Nobody said that it is all right. */
  memory_test_fails (ipc_shared_memory_try_lock (fixture.two, &error), &error, IPC_ERROR_OWNER_DIED);
  assert_is_taken (fixture.one);
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.two, &error));
  g_assert_true (ipc_shared_memory_get_is_consistent (fixture.one));
  assert_is_taken (fixture.one);
  unlock (fixture.two);
  lock (fixture.one);
  unlock (fixture.one);
  g_assert_no_error (error);
}

static void
test_owner_died_async (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "try", "got");
  ipc_shared_memory_lock_async (fixture.one, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  ipc_test_peer_kill (peer);
  memory_test_fails (ipc_shared_memory_lock_finish (fixture.one, ipc_test_async_wait (&async), &error), &error, IPC_ERROR_OWNER_DIED);
  assert_is_taken (fixture.two);
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.one, &error));
  unlock (fixture.one);
  lock (fixture.two);
  unlock (fixture.two);
}

static gpointer
heir_thread (gpointer segment)
{
  g_autoptr(GError) error = NULL;

  memory_test_fails (ipc_shared_memory_lock (segment, 20000, NULL, &error), &error, IPC_ERROR_OWNER_DIED);
  return NULL;
}

/* Who waits has it, because the kernel told. */
static void
test_owner_died_while_waiting (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  GThread *thread;

  fixture_init (&fixture, test);
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "try", "got");
  thread = g_thread_new ("heir", heir_thread, fixture.one);
  ipc_test_peer_kill (peer);
  g_thread_join (thread);
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.one, NULL));
  unlock (fixture.one);
}

/* Those who repair die, too. */
static void
test_owners_died (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  for (guint i = 0; i < 5; i++)
    kill_owner (test);
  memory_test_fails (ipc_shared_memory_lock (fixture.one, -1, NULL, &error), &error, IPC_ERROR_OWNER_DIED);
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.one, &error));
  unlock (fixture.one);
  lock (fixture.two);
  unlock (fixture.two);
}

static void
test_mark_consistent (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  /* Nothing is wrong, which is no error, and the lock is as free as it was. */
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.one, &error));
  lock (fixture.two);
  memory_test_fails (ipc_shared_memory_mark_consistent (fixture.one, &error), &error, IPC_ERROR_NOT_HELD);
  unlock (fixture.two);
  kill_owner (test);
  /* Also without the lock, while nobody has it. */
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.one, &error));
  lock (fixture.two);
  unlock (fixture.two);
  g_assert_no_error (error);
}

/* Who may not write cannot say that all is well, and does not say so by failing. */
static void
test_mark_without_access (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemory) reader = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  reader = ipc_shared_memory_manager_open_segment (fixture.managers[0], "x", IPC_ACCESS_READ, NULL);
  kill_owner (test);
  memory_test_fails (ipc_shared_memory_mark_consistent (reader, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  memory_test_fails (ipc_shared_memory_lock (reader, 0, NULL, &error), &error, IPC_ERROR_OWNER_DIED);
  memory_test_fails (ipc_shared_memory_mark_consistent (reader, &error), &error, IPC_ERROR_PERMISSION_DENIED);
  unlock (reader);
  memory_test_fails (ipc_shared_memory_lock (fixture.two, 0, NULL, &error), &error, IPC_ERROR_OWNER_DIED);
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.two, &error));
  unlock (fixture.two);
}

/* One that is stopped is not dead. */
static void
test_stopped (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "try", "got");
  ipc_test_peer_signal (peer, SIGSTOP);
  memory_test_fails (ipc_shared_memory_lock (fixture.one, 200, NULL, &error), &error, IPC_ERROR_TIMED_OUT);
  ipc_test_peer_signal (peer, SIGCONT);
  memory_test_command (peer, "unlock", "unlocked");
  lock (fixture.one);
  unlock (fixture.one);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { MEMORY_TEST_ROLE, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/memory/lock/lock", test_lock);
  ipc_test_add ("/memory/lock/advisory", test_advisory);
  ipc_test_add ("/memory/lock/timeouts", test_timeouts);
  ipc_test_add ("/memory/lock/dropped", test_dropped);
  ipc_test_add ("/memory/lock/waits", test_waits);
  ipc_test_add ("/memory/lock/cancelled/before", test_cancelled_before);
  ipc_test_add ("/memory/lock/cancelled/while", test_cancelled_while);
  ipc_test_add ("/memory/lock/cancelled/at-each-point", test_cancelled_at_each_point);
  ipc_test_add ("/memory/lock/async", test_async);
  ipc_test_add ("/memory/lock/disposed-while-waiting", test_disposed_while_waiting);
  ipc_test_add ("/memory/lock/deleted", test_deleted);
  ipc_test_add ("/memory/lock/two-processes", test_two_processes);
  ipc_test_add ("/memory/lock/owner-died/at-once", test_owner_died);
  ipc_test_add ("/memory/lock/owner-died/async", test_owner_died_async);
  ipc_test_add ("/memory/lock/owner-died/while-waiting", test_owner_died_while_waiting);
  ipc_test_add ("/memory/lock/owner-died/repeatedly", test_owners_died);
  ipc_test_add ("/memory/lock/mark-consistent", test_mark_consistent);
  ipc_test_add ("/memory/lock/mark-without-access", test_mark_without_access);
  ipc_test_add ("/memory/lock/stopped", test_stopped);
  return ipc_test_run ();
}
