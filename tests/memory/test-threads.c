/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One segment in several threads, which do with it all that they may at the same time. What is in it is never half of two.
 */
#include "memory-test.h"

#define BLOCK 8192u

typedef struct
{
  IpcSharedMemory *segment;
  guint n;
  gint n_held;            /* (atomic) who thinks to have the lock */
} Shared;

static gpointer
write_thread (gpointer data)
{
  Shared *self = data;
  guint64 block[BLOCK / sizeof (guint64)];

  for (guint i = 0; i < self->n; i++)
    {
      memory_test_fill (block, BLOCK, (guint64) g_thread_self () + i);
      g_assert_true (ipc_shared_memory_write_data (self->segment, 0, block, BLOCK, NULL));
      g_assert_true (ipc_shared_memory_add_int64 (self->segment, BLOCK, 1, NULL, NULL));
    }
  return NULL;
}

static gpointer
read_thread (gpointer data)
{
  Shared *self = data;
  guint64 block[BLOCK / sizeof (guint64)];

  for (guint i = 0; i < self->n; i++)
    {
      g_assert_true (ipc_shared_memory_read_into (self->segment, 0, block, BLOCK, NULL));
      g_assert_true (memory_test_is_whole (block, BLOCK));
      ipc_shared_memory_get_access_count (self->segment);
      ipc_shared_memory_get_is_consistent (self->segment);
    }
  return NULL;
}

static gpointer
resize_thread (gpointer data)
{
  Shared *self = data;

  for (guint i = 0; i < MIN (self->n, 100); i++)
    {
      gsize size = ipc_shared_memory_get_size (self->segment);
      g_autoptr(GBytes) view = ipc_shared_memory_get_bytes (self->segment, size - 1, 1, NULL);
      g_autoptr(GError) error = NULL;

      g_assert_nonnull (view);
      /* Others may have made it larger meanwhile. */
      if (!ipc_shared_memory_resize (self->segment, size + 4096, &error))
        g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
      memory_test_write_value (self->segment, size, 0, 4000);
    }
  return NULL;
}

static gpointer
lock_thread (gpointer data)
{
  Shared *self = data;

  for (guint i = 0; i < self->n; i++)
    {
      g_assert_true (ipc_shared_memory_lock (self->segment, -1, NULL, NULL));
      g_assert_cmpint (g_atomic_int_add (&self->n_held, 1), ==, 0);
      g_assert_cmpint (g_atomic_int_add (&self->n_held, -1), ==, 1);
      g_assert_true (ipc_shared_memory_unlock (self->segment, NULL));
    }
  return NULL;
}

static gpointer
notify_thread (gpointer data)
{
  Shared *self = data;

  for (guint i = 0; i < self->n; i++)
    g_assert_true (ipc_shared_memory_notify_changed (self->segment, NULL));
  return NULL;
}

static void
count (guint *n)
{
  (*n)++;
}

static void
test_all (IpcTest *test)
{
  const GThreadFunc funcs[] = { write_thread, write_thread, read_thread, read_thread, resize_thread, resize_thread, lock_thread, lock_thread,
                                notify_thread };
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "x", 2 * BLOCK);
  GThread *threads[G_N_ELEMENTS (funcs)];
  Shared shared = { .segment = segment, .n = 2000 };
  guint n_changed = 0, n_resized = 0;
  gint64 n;

  ipc_test_set_deadline (240);
  g_signal_connect_swapped (segment, "changed", G_CALLBACK (count), &n_changed);
  g_signal_connect_swapped (segment, "resized", G_CALLBACK (count), &n_resized);
  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    threads[i] = g_thread_new ("all", funcs[i], &shared);
  ipc_test_wait_for_full (n_resized > 0, 60);
  for (guint i = 0; i < G_N_ELEMENTS (funcs); i++)
    g_thread_join (threads[i]);
  g_assert_true (ipc_shared_memory_read_int64 (segment, BLOCK, &n, NULL));
  g_assert_cmpint (n, ==, 2 * 2000);
  g_assert_true (ipc_shared_memory_get_is_consistent (segment));
}

/* ── An item of the list, which each may be the first to use ── */

static gpointer
use_item_thread (gpointer item)
{
  memory_test_assert_value (item, 0, 3, 100);
  g_object_unref (item);
  return NULL;
}

static void
test_items (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "x", 100);

  memory_test_write_value (segment, 0, 3, 100);
  for (guint i = 0; i < 50; i++)
    {
      g_autoptr(IpcSharedMemoryManager) other = memory_test_manager_new (test->directory);
      IpcSharedMemory *item = g_list_model_get_item (ipc_manager_get_items (IPC_MANAGER (other)), 0);
      GThread *threads[3];

      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        threads[k] = g_thread_new ("item", use_item_thread, g_object_ref (item));
      g_object_unref (item);
      for (guint k = 0; k < G_N_ELEMENTS (threads); k++)
        g_thread_join (threads[k]);
    }
}

/* ── The last reference goes in another thread ── */

static void
nothing (void)
{
}

static gpointer
drop_thread (gpointer segment)
{
  notify_thread (&(Shared){ .segment = segment, .n = 10 });
  g_object_unref (segment);
  return NULL;
}

static void
test_dropped (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) one = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemoryManager) two = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (one, "x", 100);

  for (guint i = 0; i < 100; i++)
    {
      IpcSharedMemory *other = memory_test_open (two, "x");
      GThread *thread;

      g_signal_connect (other, "changed", G_CALLBACK (nothing), NULL);
      g_assert_true (ipc_shared_memory_notify_changed (segment, NULL));
      thread = g_thread_new ("drop", drop_thread, other);
      ipc_test_iterate (3);
      g_thread_join (thread);
    }
}

int
main (int argc, char *argv[])
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/memory/threads/all", test_all);
  ipc_test_add ("/memory/threads/items", test_items);
  ipc_test_add ("/memory/threads/dropped", test_dropped);
  return ipc_test_run ();
}
