/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores and permits in one process: what they are, what they say of themselves, and each error.
 */
#include "semaphore-test.h"

#include <string.h>
#include <unistd.h>

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

/* ── Permits ── */

static void
test_take_and_give (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  IpcPermit *a, *b;

  fixture_init (&fixture, test, 2);
  g_assert_cmpstr (ipc_semaphore_get_name (fixture.semaphore), ==, "x");
  g_assert_cmpuint (ipc_semaphore_get_total_permits (fixture.semaphore), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 2);
  a = ipc_semaphore_try_acquire (fixture.semaphore, &error);
  g_assert_no_error (error);
  g_assert_nonnull (a);
  b = semaphore_test_acquire (fixture.semaphore);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 0);
  semaphore_test_assert_none (fixture.semaphore);
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  g_clear_error (&error);

  g_assert_true (ipc_permit_get_semaphore (a) == fixture.semaphore);
  g_assert_true (ipc_permit_get_is_held (a));
  g_assert_cmpint (ABS (ipc_permit_get_acquired_at (a) - g_get_real_time ()), <, 10 * G_USEC_PER_SEC);
  g_assert_true (ipc_permit_release (a, &error));
  g_assert_false (ipc_permit_get_is_held (a));
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
  /* Once more does nothing. */
  g_assert_true (ipc_permit_release (a, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
  ipc_permit_unref (a);
  /* The safety net. */
  ipc_permit_unref (b);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_acquired_count (fixture.semaphore), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_released_count (fixture.semaphore), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, 0);
}

/* A permit that was released and is still referenced does not become the next one of its slot. */
static void
test_released_and_kept (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcPermit *first, *second;

  fixture_init (&fixture, test, 1);
  first = semaphore_test_acquire (fixture.semaphore);
  g_assert_true (ipc_permit_ref (first) == first);
  semaphore_test_release (first);
  second = semaphore_test_acquire (fixture.semaphore);
  g_assert_true (first != second);
  g_assert_false (ipc_permit_get_is_held (first));
  g_assert_true (ipc_permit_get_is_held (second));
  g_assert_true (ipc_permit_release (first, NULL));
  g_assert_true (ipc_permit_get_is_held (second));
  ipc_permit_unref (first);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 0);
  g_assert_true (ipc_permit_get_is_held (second));
  semaphore_test_release (second);
}

/* Permits keep their semaphore, held or not, however many there are. */
static void
test_permit_keeps_semaphore (IpcTest *test)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);
  IpcSemaphore *semaphore = semaphore_test_create (manager, "x", 3);
  IpcPermit *held = semaphore_test_acquire (semaphore);
  IpcPermit *released = semaphore_test_acquire (semaphore);
  IpcPermit *loose = semaphore_test_acquire (semaphore);
  IpcPermit *next, *again;
  gpointer weak = semaphore;

  g_assert_true (ipc_permit_release (released, NULL));
  g_assert_true (ipc_permit_release (loose, NULL));
  next = semaphore_test_acquire (semaphore);
  g_object_unref (semaphore);

  g_assert_true (ipc_permit_get_semaphore (released) == semaphore);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (semaphore), ==, 1);
  ipc_permit_unref (loose);
  ipc_permit_unref (released);
  g_assert_true (ipc_permit_get_is_held (held));
  /* It is as good as ever. */
  again = semaphore_test_acquire (g_object_ref (ipc_permit_get_semaphore (held)));
  g_object_unref (semaphore);
  semaphore_test_assert_none (semaphore);
  ipc_permit_unref (held);
  ipc_permit_unref (next);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (semaphore), ==, 2);
  g_object_add_weak_pointer (weak, &weak);
  ipc_permit_unref (again);
  g_assert_null (weak);
}

/* Each still referenced permit that was released is its own; the slot goes round and round. */
static void
test_many_kept (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_permit_unref);

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < 100; i++)
    {
      IpcPermit *permit = semaphore_test_acquire (fixture.semaphore);

      g_assert_false (g_ptr_array_find (kept, permit, NULL));
      g_ptr_array_add (kept, permit);
      g_assert_true (ipc_permit_release (permit, NULL));
    }
  g_assert_cmpuint (ipc_semaphore_get_acquired_count (fixture.semaphore), ==, 100);
}

/* ── Errors ── */

static void
test_timeouts (IpcTest *test)
{
  const gint bad[] = { -3, -1000, G_MININT };
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  IpcPermit *permit;
  gint64 started_at;

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (ipc_semaphore_acquire (fixture.semaphore, bad[i], NULL, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
      g_clear_error (&error);
    }
  permit = semaphore_test_acquire (fixture.semaphore);
  started_at = g_get_monotonic_time ();
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, 30, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (error->message, "\"x\""));
  g_assert_nonnull (strstr (error->message, "30 ms"));
  g_assert_cmpint (g_get_monotonic_time () - started_at, >=, 30000);
  g_clear_error (&error);

  /* The default is the manager's, also if it changes later, and when the manager is gone. */
  ipc_semaphore_manager_set_default_timeout (fixture.manager, 20);
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, IPC_TIMEOUT_DEFAULT, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  g_assert_nonnull (strstr (error->message, "20 ms"));
  g_clear_error (&error);
  ipc_test_assert_finalized (fixture.manager);
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, IPC_TIMEOUT_DEFAULT, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  semaphore_test_release (permit);
  /* Nobody is left in the queue, and a free permit is there whatever the timeout. */
  g_assert_cmpuint (ipc_semaphore_get_waiters (fixture.semaphore), ==, 0);
  g_clear_error (&error);
  permit = ipc_semaphore_acquire (fixture.semaphore, G_MAXINT, NULL, &error);
  g_assert_no_error (error);
  semaphore_test_release (permit);
  permit = ipc_semaphore_acquire (fixture.semaphore, 0, NULL, &error);
  g_assert_no_error (error);
  semaphore_test_release (permit);
  fixture.manager = semaphore_test_manager_new (test->directory);
}

typedef struct
{
  IpcSemaphore *semaphore;
  GCancellable *cancellable;
  IpcPermit *permit; /* (owned) (nullable) */
  GError *error;     /* (owned) (nullable) */
} Call;

static gpointer
call_thread (gpointer data)
{
  Call *call = data;

  call->permit = ipc_semaphore_acquire (call->semaphore, -1, call->cancellable, &call->error);
  return NULL;
}

static void
test_cancelled (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  g_autoptr(GError) error = NULL;
  IpcPermit *permit;

  fixture_init (&fixture, test, 1);
  permit = semaphore_test_acquire (fixture.semaphore);
  /* While it waits. */
  for (guint i = 0; i < 20; i++)
    {
      Call call = { fixture.semaphore, cancellable, NULL, NULL };
      GThread *thread = g_thread_new ("call", call_thread, &call);

      if (i % 2 == 0)
        ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
      g_cancellable_cancel (cancellable);
      g_thread_join (thread);
      g_assert_null (call.permit);
      g_assert_error (call.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&call.error);
      g_assert_cmpuint (ipc_semaphore_get_waiters (fixture.semaphore), ==, 0);
      g_cancellable_reset (cancellable);
    }
  semaphore_test_release (permit);
  /* Before it starts, although one is free. */
  g_cancellable_cancel (cancellable);
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, -1, cancellable, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
}

/* A cancellation and a release at the same time: the permit is had, or there for the next one. */
static void
test_cancel_races_release (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < 300; i++)
    {
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      IpcPermit *permit = semaphore_test_acquire (fixture.semaphore);
      Call call = { fixture.semaphore, cancellable, NULL, NULL };
      GThread *thread = g_thread_new ("call", call_thread, &call);

      if (i % 3 == 0)
        ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
      if (i % 2 == 0)
        g_cancellable_cancel (cancellable);
      semaphore_test_release (permit);
      if (i % 2 != 0)
        g_cancellable_cancel (cancellable);
      g_thread_join (thread);
      g_assert_true ((call.permit != NULL) != (call.error != NULL));
      if (call.error != NULL)
        g_assert_error (call.error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&call.error);
      g_clear_pointer (&call.permit, semaphore_test_release);
      g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
    }
}

/* ── Deleting ── */

static void
count (guint *n)
{
  (*n)++;
}

static void
test_deleted (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  Call call = { NULL };
  IpcSemaphore *next;
  IpcPermit *permit, *another;
  GThread *thread;
  guint n_deleted = 0;

  fixture_init (&fixture, test, 1);
  g_signal_connect_swapped (fixture.semaphore, "deleted", G_CALLBACK (count), &n_deleted);
  permit = semaphore_test_acquire (fixture.semaphore);
  call.semaphore = fixture.semaphore;
  thread = g_thread_new ("call", call_thread, &call);
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
  g_assert_false (ipc_semaphore_get_is_deleted (fixture.semaphore));
  g_assert_true (ipc_semaphore_manager_delete_semaphore (fixture.manager, "x", &error));
  g_assert_no_error (error);
  g_thread_join (thread);
  g_assert_error (call.error, IPC_ERROR, IPC_ERROR_DELETED);
  g_clear_error (&call.error);
  g_assert_true (ipc_semaphore_get_is_deleted (fixture.semaphore));
  ipc_test_wait_for (n_deleted == 1);
  g_assert_cmpuint (ipc_manager_get_n_items (IPC_MANAGER (fixture.manager)), ==, 0);

  /* The name is free, for another one. */
  next = semaphore_test_create (fixture.manager, "x", 3);
  g_assert_true (next != fixture.semaphore);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (next), ==, 3);
  another = semaphore_test_acquire (next);
  /* Those who have it go on. */
  g_assert_true (ipc_permit_get_is_held (permit));
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
  g_clear_error (&error);
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, -1, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
  semaphore_test_release (permit);
  permit = semaphore_test_acquire (fixture.semaphore);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (next), ==, 2);
  semaphore_test_release (permit);
  semaphore_test_release (another);
  ipc_test_settle ();
  g_assert_cmpuint (n_deleted, ==, 1);
  g_object_unref (next);
}

/* ── What it says of itself ── */

static void
test_properties (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *name = NULL;
  guint64 acquired, released, recovered;
  guint total, available, waiters;
  gint64 created_at, last_accessed;
  gboolean is_deleted;
  gint64 before = g_get_real_time ();

  fixture_init (&fixture, test, 5);
  ipc_permit_unref (semaphore_test_acquire (fixture.semaphore));
  g_object_get (fixture.semaphore, "name", &name, "total-permits", &total, "available-permits", &available, "waiters", &waiters,
                "acquired-count", &acquired, "released-count", &released, "recovered-count", &recovered,
                "created-at", &created_at, "last-accessed", &last_accessed, "is-deleted", &is_deleted, NULL);
  g_assert_cmpstr (name, ==, "x");
  g_assert_cmpuint (total, ==, 5);
  g_assert_cmpuint (available, ==, 5);
  g_assert_cmpuint (waiters, ==, 0);
  g_assert_cmpuint (acquired, ==, 1);
  g_assert_cmpuint (released, ==, 1);
  g_assert_cmpuint (recovered, ==, 0);
  g_assert_cmpint (created_at, >=, before);
  g_assert_cmpint (created_at, <=, g_get_real_time ());
  g_assert_cmpint (last_accessed, >=, created_at);
  g_assert_cmpint (last_accessed, <=, g_get_real_time ());
  g_assert_false (is_deleted);
  g_assert_cmpint (created_at, ==, ipc_semaphore_get_created_at (fixture.semaphore));
}

static void
test_notify (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcPermit *permit;
  guint n_available = 0, n_acquired = 0, n_total = 0;

  fixture_init (&fixture, test, 2);
  g_signal_connect_swapped (fixture.semaphore, "notify::available-permits", G_CALLBACK (count), &n_available);
  g_signal_connect_swapped (fixture.semaphore, "notify::acquired-count", G_CALLBACK (count), &n_acquired);
  g_signal_connect_swapped (fixture.semaphore, "notify::total-permits", G_CALLBACK (count), &n_total);
  permit = semaphore_test_acquire (fixture.semaphore);
  ipc_test_wait_for (n_available == 1 && n_acquired == 1);
  semaphore_test_release (permit);
  ipc_test_wait_for (n_available == 2);
  g_assert_cmpuint (n_acquired, ==, 1);
  g_assert_cmpuint (n_total, ==, 0);
}

static void
test_holders (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) none = NULL;
  g_autoptr(GPtrArray) holders = NULL;
  g_autofree char *label = g_strdup_printf ("%d ", (int) getpid ());
  IpcPermit *a, *b;

  fixture_init (&fixture, test, 3);
  none = ipc_semaphore_list_holders (fixture.semaphore, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (none->len, ==, 0);
  a = semaphore_test_acquire (fixture.semaphore);
  b = semaphore_test_acquire (fixture.semaphore);
  holders = ipc_semaphore_list_holders (fixture.semaphore, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (holders->len, ==, 2);
  for (guint i = 0; i < holders->len; i++)
    {
      g_autoptr(IpcSemaphoreHolder) holder = ipc_semaphore_holder_copy (holders->pdata[i]);
      gint64 since = ipc_semaphore_holder_get_since (holder);

      g_assert_true (g_str_has_prefix (ipc_semaphore_holder_get_label (holder), label));
      g_assert_true (since == ipc_permit_get_acquired_at (a) || since == ipc_permit_get_acquired_at (b));
    }
  semaphore_test_release (a);
  semaphore_test_release (b);
}

/* Nobody but the one who has a reference holds it: to dispose of it by hand changes nothing. */
static void
test_run_dispose (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcPermit *permit;

  fixture_init (&fixture, test, 1);
  permit = semaphore_test_acquire (fixture.semaphore);
  g_object_run_dispose (G_OBJECT (fixture.semaphore));
  g_assert_true (ipc_permit_get_is_held (permit));
  semaphore_test_release (permit);
  permit = semaphore_test_acquire (fixture.semaphore);
  g_object_run_dispose (G_OBJECT (fixture.semaphore));
  g_object_run_dispose (G_OBJECT (fixture.semaphore));
  semaphore_test_release (permit);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { SEMAPHORE_TEST_ROLE, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/semaphore/take-and-give", test_take_and_give);
  ipc_test_add ("/semaphore/released-and-kept", test_released_and_kept);
  ipc_test_add ("/semaphore/permit-keeps-semaphore", test_permit_keeps_semaphore);
  ipc_test_add ("/semaphore/many-kept", test_many_kept);
  ipc_test_add ("/semaphore/timeouts", test_timeouts);
  ipc_test_add ("/semaphore/cancelled", test_cancelled);
  ipc_test_add ("/semaphore/cancel-races-release", test_cancel_races_release);
  ipc_test_add ("/semaphore/deleted", test_deleted);
  ipc_test_add ("/semaphore/properties", test_properties);
  ipc_test_add ("/semaphore/notify", test_notify);
  ipc_test_add ("/semaphore/holders", test_holders);
  ipc_test_add ("/semaphore/run-dispose", test_run_dispose);
  return ipc_test_run ();
}
