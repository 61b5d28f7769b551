/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The heap of deadlines, against a plain array that is searched.
 */
#include "base/ipc-timer-queue-private.h"

#include "ipc-test.h"

static void
test_empty (IpcTest *test)
{
  IpcTimerQueue queue;
  IpcTimer timer = { 0 };

  ipc_timer_queue_init (&queue);
  g_assert_null (ipc_timer_queue_peek (&queue));
  /* taking out what is not in */
  ipc_timer_queue_set (&queue, &timer, 0);
  g_assert_null (ipc_timer_queue_peek (&queue));
  g_assert_cmpuint (timer.slot, ==, 0);
  ipc_timer_queue_clear (&queue);
}

static void
test_one (IpcTest *test)
{
  IpcTimerQueue queue;
  IpcTimer timer = { 0 };

  ipc_timer_queue_init (&queue);
  ipc_timer_queue_set (&queue, &timer, 5);
  g_assert_true (ipc_timer_queue_peek (&queue) == &timer);
  g_assert_cmpint (timer.due, ==, 5);
  g_assert_cmpuint (timer.slot, !=, 0);
  /* later, and earlier, in place */
  ipc_timer_queue_set (&queue, &timer, 9);
  g_assert_cmpint (ipc_timer_queue_peek (&queue)->due, ==, 9);
  ipc_timer_queue_set (&queue, &timer, 1);
  g_assert_cmpint (ipc_timer_queue_peek (&queue)->due, ==, 1);
  ipc_timer_queue_set (&queue, &timer, 0);
  g_assert_cmpuint (timer.slot, ==, 0);
  g_assert_null (ipc_timer_queue_peek (&queue));
  ipc_timer_queue_clear (&queue);
}

static void
test_extremes (IpcTest *test)
{
  IpcTimerQueue queue;
  IpcTimer timers[4] = { 0 };

  ipc_timer_queue_init (&queue);
  ipc_timer_queue_set (&queue, &timers[0], G_MAXINT64);
  ipc_timer_queue_set (&queue, &timers[1], 1);
  ipc_timer_queue_set (&queue, &timers[2], G_MININT64);
  ipc_timer_queue_set (&queue, &timers[3], -1);
  g_assert_true (ipc_timer_queue_peek (&queue) == &timers[2]);
  ipc_timer_queue_set (&queue, &timers[2], 0);
  g_assert_true (ipc_timer_queue_peek (&queue) == &timers[3]);
  ipc_timer_queue_set (&queue, &timers[3], 0);
  g_assert_true (ipc_timer_queue_peek (&queue) == &timers[1]);
  ipc_timer_queue_set (&queue, &timers[1], 0);
  g_assert_true (ipc_timer_queue_peek (&queue) == &timers[0]);
  ipc_timer_queue_clear (&queue);
}

static void
test_equal (IpcTest *test)
{
  IpcTimerQueue queue;
  IpcTimer timers[50] = { 0 };
  guint n = 0;

  ipc_timer_queue_init (&queue);
  for (guint i = 0; i < G_N_ELEMENTS (timers); i++)
    ipc_timer_queue_set (&queue, &timers[i], 7);
  while (ipc_timer_queue_peek (&queue))
    {
      ipc_timer_queue_set (&queue, ipc_timer_queue_peek (&queue), 0);
      n++;
    }
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (timers));
  ipc_timer_queue_clear (&queue);
}

/* ── Against the model ── */

#define N_TIMERS 200

/* The earliest of those that are set; 0 if none is. */
static gint64
find_earliest (const gint64 *model)
{
  gint64 earliest = 0;

  for (guint i = 0; i < N_TIMERS; i++)
    {
      if (model[i] != 0 && (earliest == 0 || model[i] < earliest))
        earliest = model[i];
    }
  return earliest;
}

static void
check_against (IpcTimerQueue *queue, const IpcTimer *timers, const gint64 *model)
{
  IpcTimer *first = ipc_timer_queue_peek (queue);

  g_assert_cmpint (first ? first->due : 0, ==, find_earliest (model));
  for (guint i = 0; i < N_TIMERS; i++)
    g_assert_cmpint (timers[i].slot != 0, ==, model[i] != 0);
}

static void
test_random (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_autofree IpcTimer *timers = g_new0 (IpcTimer, N_TIMERS);
  gint64 model[N_TIMERS] = { 0 };
  IpcTimerQueue queue;

  ipc_timer_queue_init (&queue);
  for (guint i = 0; i < 20000; i++)
    {
      guint which = (guint) g_rand_int_range (rand, 0, N_TIMERS);
      /* few different values, so that many are equal */
      gint64 due = g_rand_int_range (rand, 0, 3) == 0 ? 0 : g_rand_int_range (rand, 1, 100);

      ipc_timer_queue_set (&queue, &timers[which], due);
      model[which] = due;
      if (i % 16 == 0)
        check_against (&queue, timers, model);
    }
  ipc_timer_queue_clear (&queue);
}

/* What comes out is sorted. */
static void
test_sorts (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_autofree IpcTimer *timers = g_new0 (IpcTimer, 5000);
  IpcTimerQueue queue;
  IpcTimer *first;
  gint64 last = 0;
  guint n = 0;

  ipc_timer_queue_init (&queue);
  for (guint i = 0; i < 5000; i++)
    ipc_timer_queue_set (&queue, &timers[i], 1 + g_rand_int_range (rand, 0, G_MAXINT32));
  while ((first = ipc_timer_queue_peek (&queue)))
    {
      g_assert_cmpint (first->due, >=, last);
      last = first->due;
      ipc_timer_queue_set (&queue, first, 0);
      n++;
    }
  g_assert_cmpuint (n, ==, 5000);
  ipc_timer_queue_clear (&queue);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/timer-queue/empty", test_empty);
  ipc_test_add ("/messaging/timer-queue/one", test_one);
  ipc_test_add ("/messaging/timer-queue/extremes", test_extremes);
  ipc_test_add ("/messaging/timer-queue/equal", test_equal);
  ipc_test_add ("/messaging/timer-queue/random", test_random);
  ipc_test_add ("/messaging/timer-queue/sorts", test_sorts);
  return ipc_test_run ();
}
