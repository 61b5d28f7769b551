/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Delays: they grow to a limit, begin anew, and no two who fail together wait equally long.
 */
#include "base/ipc-backoff-private.h"
#include "ipc-test.h"

static void
assert_about (gint64 delay, gint64 ms)
{
  g_assert_cmpint (delay, >=, ms * 750);
  g_assert_cmpint (delay, <=, ms * 1250);
}

static void
test_grows (IpcTest *test)
{
  const gint64 nominal[] = { 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000 };
  IpcBackoff backoff;

  ipc_backoff_init (&backoff, 50, 5000);
  for (guint i = 0; i < G_N_ELEMENTS (nominal); i++)
    assert_about (ipc_backoff_next (&backoff), nominal[i]);
  for (guint i = 0; i < 1000; i++)
    assert_about (ipc_backoff_next (&backoff), 5000);
  ipc_backoff_reset (&backoff);
  assert_about (ipc_backoff_next (&backoff), 50);
  assert_about (ipc_backoff_next (&backoff), 100);
  ipc_backoff_clear (&backoff);
}

static void
test_largest (IpcTest *test)
{
  IpcBackoff backoff;

  ipc_backoff_init (&backoff, 1, G_MAXUINT);
  for (guint i = 0; i < 100; i++)
    g_assert_cmpint (ipc_backoff_next (&backoff), >, 0);
  assert_about (backoff.last, G_MAXUINT);
  ipc_backoff_clear (&backoff);
}

/* All over the range, and evenly. */
static void
test_spreads (IpcTest *test)
{
  guint quarters[4] = { 0 };
  g_autoptr (GRand) rand = ipc_test_rand_new ();

  for (guint i = 0; i < 4000; i++)
    {
      IpcBackoff backoff;

      ipc_backoff_init (&backoff, 1000, 1000);
      ipc_backoff_seed (&backoff, g_rand_int (rand));
      ipc_backoff_next (&backoff);
      quarters[MIN ((backoff.last - 750000) / 125000, 3)]++;
      ipc_backoff_clear (&backoff);
    }
  for (guint i = 0; i < 4; i++)
    g_assert_cmpuint (quarters[i], >, 800);
}

static void
test_seed (IpcTest *test)
{
  IpcBackoff one, other;

  ipc_backoff_init (&one, 50, 5000);
  ipc_backoff_init (&other, 50, 5000);
  ipc_backoff_seed (&one, 7);
  ipc_backoff_seed (&other, 7);
  for (guint i = 0; i < 20; i++)
    g_assert_cmpint (ipc_backoff_next (&one), ==, ipc_backoff_next (&other));
  ipc_backoff_clear (&one);
  ipc_backoff_clear (&other);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/backoff/grows", test_grows);
  ipc_test_add ("/base/backoff/largest", test_largest);
  ipc_test_add ("/base/backoff/spreads", test_spreads);
  ipc_test_add ("/base/backoff/seed", test_seed);
  return ipc_test_run ();
}
