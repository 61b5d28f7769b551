/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores and permits in several threads at once: as many hold one as may, each permit is given back once, and whoever
 * drops the last reference may do so anywhere.
 */
#include "semaphore-test.h"

#include <stdatomic.h>

#define N_THREADS 6
#ifdef __SANITIZE_THREAD__
#define N_ROUNDS 400
#else
#define N_ROUNDS 4000
#endif

typedef struct
{
  IpcSemaphoreManager *manager; /* (owned) */
  IpcSemaphore *semaphore;      /* (owned) (nullable) */
  _Atomic gint n_holders;
  gint n_permits;
  IpcPermit *permit;            /* of all of them */
  _Atomic guint n_released;
  GAsyncQueue *queue;           /* (owned) */
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test, guint permits)
{
  self->manager = semaphore_test_manager_new (test->directory);
  self->semaphore = semaphore_test_create (self->manager, "x", permits);
  self->n_permits = (gint) permits;
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
run_threads (GThreadFunc func, gpointer data)
{
  GThread *threads[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("crowd", func, data);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
}

/* Released by hand or by the last reference, and dropped at once or a little later. */
static gpointer
crowd_thread (gpointer data)
{
  Fixture *fixture = data;
  IpcPermit *kept = NULL;

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      IpcPermit *permit = semaphore_test_acquire (fixture->semaphore);

      g_assert_cmpint (atomic_fetch_add (&fixture->n_holders, 1), <, fixture->n_permits);
      g_assert_true (ipc_permit_get_is_held (permit));
      atomic_fetch_sub (&fixture->n_holders, 1);
      g_clear_pointer (&kept, ipc_permit_unref);
      if (i % 3 == 0)
        {
          ipc_permit_unref (permit);
          continue;
        }
      g_assert_true (ipc_permit_release (permit, NULL));
      g_assert_false (ipc_permit_get_is_held (permit));
      if (i % 3 == 1)
        kept = permit;
      else
        ipc_permit_unref (permit);
    }
  g_clear_pointer (&kept, ipc_permit_unref);
  return NULL;
}

static void
test_crowd (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, 2);
  run_threads (crowd_thread, &fixture);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_acquired_count (fixture.semaphore), ==, N_THREADS * N_ROUNDS);
}

/* One permit that all of them release: it goes back once. */
static gpointer
release_thread (gpointer data)
{
  Fixture *fixture = data;

  g_assert_true (ipc_permit_release (fixture->permit, NULL));
  ipc_permit_unref (fixture->permit);
  return NULL;
}

static void
test_released_by_all (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < 50; i++)
    {
      IpcPermit *next;

      fixture.permit = semaphore_test_acquire (fixture.semaphore);
      for (guint k = 0; k < N_THREADS; k++)
        ipc_permit_ref (fixture.permit);
      run_threads (release_thread, &fixture);
      next = semaphore_test_acquire (fixture.semaphore);
      g_assert_false (ipc_permit_get_is_held (fixture.permit));
      ipc_permit_unref (fixture.permit);
      semaphore_test_assert_none (fixture.semaphore);
      ipc_permit_unref (next);
    }
}

/* ── The last reference ── */

static gpointer
drop_thread (gpointer data)
{
  Fixture *fixture = data;
  IpcPermit *permit = g_async_queue_pop (fixture->queue);

  g_assert_true (ipc_permit_get_is_held (permit));
  ipc_permit_unref (permit);
  return NULL;
}

/* The semaphore is dropped by one thread while others drop its permits: whoever is last ends it. */
static void
test_dropped_by_all (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test, N_THREADS);
  fixture.queue = g_async_queue_new ();
  for (guint i = 0; i < 200; i++)
    {
      IpcSemaphore *semaphore = i == 0 ? g_steal_pointer (&fixture.semaphore) : semaphore_test_open (fixture.manager, "x");
      GThread *threads[N_THREADS];
      IpcPermit *permits[N_THREADS];
      gpointer weak = semaphore;

      g_object_add_weak_pointer (weak, &weak);
      for (guint k = 0; k < N_THREADS; k++)
        permits[k] = semaphore_test_acquire (semaphore);
      for (guint k = 0; k < N_THREADS; k++)
        {
          threads[k] = g_thread_new ("drop", drop_thread, &fixture);
          g_async_queue_push (fixture.queue, permits[k]);
          if (k == i % N_THREADS)
            g_object_unref (semaphore);
        }
      for (guint k = 0; k < N_THREADS; k++)
        g_thread_join (threads[k]);
      g_assert_null (g_atomic_pointer_get (&weak));
    }
  g_async_queue_unref (fixture.queue);
  fixture.semaphore = semaphore_test_open (fixture.manager, "x");
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, N_THREADS);
}

/* ── One that was only observed ── */

static gpointer
first_thread (gpointer data)
{
  Fixture *fixture = data;

  ipc_permit_unref (semaphore_test_acquire (fixture->semaphore));
  g_assert_cmpuint (ipc_semaphore_get_total_permits (fixture->semaphore), ==, N_THREADS);
  return NULL;
}

static void
test_attached_by_all (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcSemaphore *made;

  fixture_init (&fixture, test, N_THREADS);
  made = fixture.semaphore;
  for (guint i = 0; i < 20; i++)
    {
      g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (test->directory);

      fixture.semaphore = g_list_model_get_item (ipc_manager_get_items (IPC_MANAGER (manager)), 0);
      run_threads (first_thread, &fixture);
      g_object_unref (fixture.semaphore);
    }
  fixture.semaphore = made;
  g_assert_cmpuint (ipc_semaphore_get_acquired_count (made), ==, 20 * N_THREADS);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (made), ==, N_THREADS);
}

int
main (int argc, char *argv[])
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/semaphore/threads/crowd", test_crowd);
  ipc_test_add ("/semaphore/threads/released-by-all", test_released_by_all);
  ipc_test_add ("/semaphore/threads/dropped-by-all", test_dropped_by_all);
  ipc_test_add ("/semaphore/threads/attached-by-all", test_attached_by_all);
  return ipc_test_run ();
}
