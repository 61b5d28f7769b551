/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages are dirty, beside an array of booleans; and that none that was written while others were synced is forgotten.
 */
#include "core/ipc-dirty.h"

#include <string.h>

#include "ipc-test.h"

#define PAGES 70000u            /* more than two chunks */
#define ROUNDS 2000

static void
test_pages (IpcTest *test)
{
  IpcDirty dirty;
  guint64 offset = 0;

  g_assert_true (ipc_dirty_init (&dirty));
  g_assert_cmpuint (ipc_dirty_count (&dirty, IPC_DIRTY_MAX), ==, 0);
  g_assert_false (ipc_dirty_find (&dirty, &offset, IPC_DIRTY_MAX));
  ipc_dirty_mark (&dirty, 4095, 1);
  g_assert_cmpuint (ipc_dirty_count (&dirty, 4096), ==, 1);
  ipc_dirty_mark (&dirty, 4095, 2);
  g_assert_cmpuint (ipc_dirty_count (&dirty, 8192), ==, 2);
  g_assert_cmpuint (ipc_dirty_count (&dirty, 4096), ==, 1);
  ipc_dirty_mark (&dirty, IPC_DIRTY_MAX - 1, 1);
  g_assert_cmpuint (ipc_dirty_count (&dirty, IPC_DIRTY_MAX), ==, 3);
  g_assert_true (ipc_dirty_find (&dirty, &offset, IPC_DIRTY_MAX));
  g_assert_cmpuint (offset, ==, 0);
  offset = 8192;
  g_assert_true (ipc_dirty_find (&dirty, &offset, IPC_DIRTY_MAX));
  g_assert_cmpuint (offset, ==, IPC_DIRTY_MAX - 4096);
  ipc_dirty_clear (&dirty);
}

/* Taken pages count until they are synced, and after that if they were not. */
static void
test_take (IpcTest *test)
{
  IpcDirty dirty;

  g_assert_true (ipc_dirty_init (&dirty));
  ipc_dirty_mark (&dirty, 0, 10 * 4096);
  ipc_dirty_take (&dirty, 4096, 3 * 4096);
  g_assert_cmpuint (ipc_dirty_count (&dirty, IPC_DIRTY_MAX), ==, 10);
  ipc_dirty_mark (&dirty, 4096, 1);
  ipc_dirty_settle (&dirty, 4096, 3 * 4096, true);
  /* The one that was written meanwhile stays. */
  g_assert_cmpuint (ipc_dirty_count (&dirty, IPC_DIRTY_MAX), ==, 9);
  ipc_dirty_take (&dirty, 0, IPC_DIRTY_MAX);
  ipc_dirty_settle (&dirty, 0, IPC_DIRTY_MAX, false);
  g_assert_cmpuint (ipc_dirty_count (&dirty, IPC_DIRTY_MAX), ==, 9);
  ipc_dirty_take (&dirty, 0, IPC_DIRTY_MAX);
  ipc_dirty_settle (&dirty, 0, IPC_DIRTY_MAX, true);
  g_assert_cmpuint (ipc_dirty_count (&dirty, IPC_DIRTY_MAX), ==, 0);
  ipc_dirty_clear (&dirty);
}

static void
compare (const IpcDirty *dirty, const gboolean *model)
{
  guint64 offset = 0, n = 0;

  for (guint i = 0; i < PAGES; i++)
    n += model[i] ? 1 : 0;
  g_assert_cmpuint (ipc_dirty_count (dirty, (guint64) PAGES * 4096), ==, n);
  for (guint i = 0; i < PAGES; i++)
    if (model[i])
      {
        g_assert_true (ipc_dirty_find (dirty, &offset, (guint64) PAGES * 4096));
        g_assert_cmpuint (offset, ==, (guint64) i * 4096);
        offset += 4096;
      }
  g_assert_false (ipc_dirty_find (dirty, &offset, (guint64) PAGES * 4096));
}

static void
test_model (IpcTest *test)
{
  g_autofree gboolean *model = g_new0 (gboolean, PAGES);
  GRand *rand = ipc_test_rand_new ();
  IpcDirty dirty;

  g_assert_true (ipc_dirty_init (&dirty));
  for (guint i = 0; i < ROUNDS; i++)
    {
      guint first = (guint) g_rand_int_range (rand, 0, PAGES);
      guint n = (guint) g_rand_int_range (rand, 1, 1 << g_rand_int_range (rand, 1, 16));
      guint end = MIN (first + n, PAGES);
      gboolean mark = g_rand_boolean (rand);

      if (mark)
        ipc_dirty_mark (&dirty, (guint64) first * 4096, (guint64) (end - first) * 4096);
      else
        {
          ipc_dirty_take (&dirty, (guint64) first * 4096, (guint64) end * 4096);
          ipc_dirty_settle (&dirty, (guint64) first * 4096, (guint64) end * 4096, true);
        }
      for (guint page = first; page < end; page++)
        model[page] = mark;
      if (i % 100 == 0)
        compare (&dirty, model);
    }
  compare (&dirty, model);
  ipc_dirty_clear (&dirty);
  g_rand_free (rand);
}

static gint stop;               /* (atomic) */

static gpointer
mark_thread (gpointer data)
{
  guint64 page = 0;

  while (!g_atomic_int_get (&stop))
    ipc_dirty_mark (data, page++ % 64 * 4096, 1);
  return GUINT_TO_POINTER (1);
}

/* Whoever marks last is never forgotten: what is marked after everything was synced is dirty. */
static void
test_threads (IpcTest *test)
{
  GThread *threads[2];
  IpcDirty dirty;

  g_assert_true (ipc_dirty_init (&dirty));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("mark", mark_thread, &dirty);
  for (guint i = 0; i < 20000; i++)
    {
      ipc_dirty_mark (&dirty, 100 * 4096, 1);
      ipc_dirty_take (&dirty, 0, 64 * 4096);
      ipc_dirty_settle (&dirty, 0, 64 * 4096, i % 2 == 0);
      g_assert_cmpuint (ipc_dirty_count (&dirty, 101 * 4096), >=, 1);
    }
  g_atomic_int_set (&stop, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  ipc_dirty_take (&dirty, 0, IPC_DIRTY_MAX);
  ipc_dirty_settle (&dirty, 0, IPC_DIRTY_MAX, true);
  g_assert_cmpuint (ipc_dirty_count (&dirty, IPC_DIRTY_MAX), ==, 0);
  ipc_dirty_clear (&dirty);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/dirty/pages", test_pages);
  ipc_test_add ("/core/dirty/take", test_take);
  ipc_test_add ("/core/dirty/model", test_model);
  ipc_test_add ("/core/dirty/threads", test_threads);
  return ipc_test_run ();
}
