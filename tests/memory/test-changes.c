/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hearing of what others do with a segment: that it has changed, has grown, was deleted.
 */
#include "memory-test.h"

#include "memory/ipc-shared-memory-private.h"

typedef struct
{
  IpcSharedMemoryManager *managers[2]; /* (owned) */
  IpcSharedMemory *one;                /* (owned) */
  IpcSharedMemory *two;                /* (owned) the same segment */
  guint n_one;                         /* how often each heard of what is counted */
  guint n_two;
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
  ipc_test_assert_finalized (self->one);
  ipc_test_assert_finalized (self->two);
  for (guint i = 0; i < 2; i++)
    ipc_test_assert_finalized (self->managers[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
count (guint *n)
{
  (*n)++;
}

static void
listen (Fixture *self, const char *signal)
{
  g_signal_connect_swapped (self->one, signal, G_CALLBACK (count), &self->n_one);
  g_signal_connect_swapped (self->two, signal, G_CALLBACK (count), &self->n_two);
}

static void
notify (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;

  g_assert_true (ipc_shared_memory_notify_changed (segment, &error));
  g_assert_no_error (error);
}

/* ── Changed ── */

static void
test_changed (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  gint64 start;

  fixture_init (&fixture, test);
  listen (&fixture, "changed");
  start = g_get_monotonic_time ();
  notify (fixture.one);
  ipc_test_wait_for (fixture.n_two == 1);
  g_test_message ("heard of after %.2f ms", (double) (g_get_monotonic_time () - start) / 1000);
  /* Not of one's own. */
  g_assert_cmpuint (fixture.n_one, ==, 0);
  notify (fixture.two);
  ipc_test_wait_for (fixture.n_one == 1);
  g_assert_cmpuint (fixture.n_two, ==, 1);
}

/* Nothing is written down where nobody was told. */
static void
test_written (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  listen (&fixture, "changed");
  memory_test_write_value (fixture.one, 0, 1, 1000);
  ipc_test_settle ();
  notify (fixture.one);
  ipc_test_wait_for (fixture.n_two > 0);
  ipc_test_settle ();
  g_assert_cmpuint (fixture.n_two, ==, 1);
  g_assert_cmpuint (fixture.n_one, ==, 0);
}

static void
test_across_processes (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  listen (&fixture, "changed");
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "write 0 7 1000", "written");
  memory_test_command (peer, "notify 1", "notified");
  ipc_test_wait_for (fixture.n_one == 1 && fixture.n_two == 1);
  memory_test_assert_value (fixture.one, 0, 7, 1000);
}

/* What comes close together may be one, but the last one is not lost. */
static void
test_coalesced (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  listen (&fixture, "changed");
  peer = memory_test_spawn (test->directory, "x");
  for (guint i = 1; i <= 20; i++)
    {
      guint before = fixture.n_one;

      ipc_test_peer_write_line (peer, "notify 1000");
      ipc_test_wait_for (fixture.n_one > before);
      ipc_test_peer_expect (peer, "notified");
    }
  g_assert_cmpuint (fixture.n_one, <=, 20000);
  g_test_message ("20000 changes were heard of %u times", fixture.n_one);
}

/* What was before somebody listened is not told, what comes then is. */
static void
test_connected_late (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "notify 100", "notified");
  ipc_test_settle ();
  listen (&fixture, "changed");
  memory_test_command (peer, "notify 1", "notified");
  ipc_test_wait_for (fixture.n_one > 0 && fixture.n_two > 0);
}

static gpointer
notify_thread (gpointer segment)
{
  for (guint i = 0; i < 200000; i++)
    notify (segment);
  return NULL;
}

/* Looking in the middle of one's own notification takes it for nobody else's. */
static void
test_own_in_thread (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  GThread *threads[2];

  fixture_init (&fixture, test);
  listen (&fixture, "changed");
  for (guint i = 0; i < 2; i++)
    threads[i] = g_thread_new ("notify", notify_thread, fixture.one);
  for (guint i = 0; i < 100000; i++)
    ipc_shared_memory_look (fixture.one);
  for (guint i = 0; i < 2; i++)
    g_thread_join (threads[i]);
  ipc_shared_memory_look (fixture.one);
  g_assert_cmpuint (fixture.n_one, ==, 0);
}

/* ── Resized, deleted ── */

static void
test_resized (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  listen (&fixture, "resized");
  g_assert_true (ipc_shared_memory_resize (fixture.one, 2000, NULL));
  ipc_test_wait_for (fixture.n_one == 1 && fixture.n_two == 1);
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "resize 3000", "resized");
  ipc_test_wait_for (fixture.n_one == 2 && fixture.n_two == 2);
  g_assert_cmpuint (ipc_shared_memory_get_size (fixture.one), ==, 3000);
  /* As large as it is already is nothing to tell. */
  memory_test_command (peer, "resize 3000", "resized");
  ipc_test_settle ();
  g_assert_cmpuint (fixture.n_one, ==, 2);
}

static void
test_deleted (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;

  fixture_init (&fixture, test);
  listen (&fixture, "deleted");
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "delete", "deleted");
  ipc_test_wait_for (fixture.n_one == 1 && fixture.n_two == 1);
  g_assert_true (ipc_shared_memory_get_is_deleted (fixture.one));
  /* Once, whatever comes later. */
  memory_test_command (peer, "notify 1", "notified");
  memory_test_command (peer, "resize 3000", "resized");
  ipc_test_wait_for (ipc_shared_memory_get_size (fixture.one) == 3000);
  ipc_shared_memory_look (fixture.one);
  g_assert_cmpuint (fixture.n_one, ==, 1);
}

/* ── Properties ── */

static void
test_notify (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemory) item = NULL;
  g_autoptr(IpcTestPeer) peer = NULL;
  guint n_size = 0, n_count = 0, n_deleted = 0, n_sealed = 0;

  fixture_init (&fixture, test);
  item = g_list_model_get_item (ipc_manager_get_items (IPC_MANAGER (fixture.managers[0])), 0);
  peer = memory_test_spawn (test->directory, "x");
  g_signal_connect_swapped (fixture.one, "notify::size", G_CALLBACK (count), &n_size);
  g_signal_connect_swapped (item, "notify::access-count", G_CALLBACK (count), &n_count);
  g_signal_connect_swapped (fixture.two, "notify::is-deleted", G_CALLBACK (count), &n_deleted);
  g_signal_connect_swapped (fixture.two, "notify::is-sealed", G_CALLBACK (count), &n_sealed);
  memory_test_command (peer, "write 0 7 10", "written");
  ipc_test_wait_for (n_count > 0);
  memory_test_command (peer, "resize 2000", "resized");
  ipc_test_wait_for (n_size == 1);
  g_assert_true (ipc_shared_memory_seal (fixture.one, NULL));
  ipc_test_wait_for (n_sealed == 1);
  memory_test_command (peer, "delete", "deleted");
  ipc_test_wait_for (n_deleted == 1);
}

static void
test_inconsistent (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  listen (&fixture, "notify::is-consistent");
  peer = memory_test_spawn (test->directory, "x");
  memory_test_command (peer, "try", "got");
  ipc_test_peer_kill (peer);
  memory_test_fails (ipc_shared_memory_try_lock (fixture.one, &error), &error, IPC_ERROR_OWNER_DIED);
  ipc_test_wait_for (fixture.n_one == 1 && fixture.n_two == 1);
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.one, &error));
  ipc_test_wait_for (fixture.n_one == 2 && fixture.n_two == 2);
  g_assert_true (ipc_shared_memory_unlock (fixture.one, &error));
}

/* A listener that is killed is in nobody's way. */
static void
test_listener_killed (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  listen (&fixture, "changed");
  for (guint i = 1; i <= 10; i++)
    {
      g_autoptr(IpcTestPeer) peer = memory_test_spawn (test->directory, "x");

      ipc_test_peer_kill (peer);
      notify (fixture.one);
      ipc_test_wait_for (fixture.n_two == i);
    }
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { MEMORY_TEST_ROLE, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/memory/changes/changed", test_changed);
  ipc_test_add ("/memory/changes/written", test_written);
  ipc_test_add ("/memory/changes/across-processes", test_across_processes);
  ipc_test_add ("/memory/changes/coalesced", test_coalesced);
  ipc_test_add ("/memory/changes/connected-late", test_connected_late);
  ipc_test_add ("/memory/changes/own-in-thread", test_own_in_thread);
  ipc_test_add ("/memory/changes/resized", test_resized);
  ipc_test_add ("/memory/changes/deleted", test_deleted);
  ipc_test_add ("/memory/changes/notify", test_notify);
  ipc_test_add ("/memory/changes/inconsistent", test_inconsistent);
  ipc_test_add ("/memory/changes/listener-killed", test_listener_killed);
  return ipc_test_run ();
}
