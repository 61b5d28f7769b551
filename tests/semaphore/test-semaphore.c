/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores and permits in one process: what they are, what they say of themselves, and each error.
 */
#include "semaphore-test.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_PERMITS 4096

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

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { SEMAPHORE_TEST_ROLE, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/semaphore/take-and-give", test_take_and_give);
  ipc_test_add ("/semaphore/released-and-kept", test_released_and_kept);
  ipc_test_add ("/semaphore/permit-keeps-semaphore", test_permit_keeps_semaphore);
  return ipc_test_run ();
}
