/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counting without a locked instruction: nothing is lost or counted twice, whoever is interrupted, moved to another processor or killed
 * while it counts.
 */
#include "core/ipc-tally.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test-step.h"
#include "ipc-test.h"

#define N_THREADS 3u
#define N_PROCESSES 3u
#define N_COUNTS 2000000u

static IpcTallyPlace *
places_new (void)
{
  IpcTallyPlace *places = mmap (NULL, sizeof *places * IPC_TALLY_PLACES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  g_assert_true (places != MAP_FAILED);
  return places;
}

static void
places_free (IpcTallyPlace *places)
{
  munmap (places, sizeof *places * IPC_TALLY_PLACES);
}

static guint64
get_sum (IpcTallyPlace *places, guint from)
{
  guint64 sum = 0;

  for (guint i = from; i < IPC_TALLY_PLACES; i++)
    sum += atomic_load (&places[i].n);
  return sum;
}

static void
count (IpcTallyPlace *places)
{
  guint64 before;

  ipc_tally_count (places, 5, &before);
}

/* ── One thread ── */

static void
test_count (IpcTest *test)
{
  IpcTallyPlace *places = places_new ();

  for (guint64 i = 0; i < 1000; i++)
    {
      guint64 before;
      IpcTallyPlace *place = ipc_tally_count (places, 5, &before);

      g_assert_true (place >= places && place < places + IPC_TALLY_PLACES);
      g_assert_cmpuint (before, <=, i);
      g_assert_cmpuint (atomic_load (&place->n), ==, before + 1);
      g_assert_cmpuint (get_sum (places, 0), ==, i + 1);
    }
  places_free (places);
}

/* ── Many, who are interrupted ── */

static void
on_alarm (int number)
{
}

/* Ten thousand times a second, if it can be had. */
static void
set_alarm (gboolean on)
{
  struct itimerval often = { { 0, on ? 100 : 0 }, { 0, on ? 100 : 0 } };
  struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

  sigaction (SIGPROF, &action, NULL);
  g_assert_no_errno (setitimer (ITIMER_PROF, &often, NULL));
}

static gpointer
count_thread (gpointer data)
{
  for (guint i = 0; i < N_COUNTS; i++)
    count (data);
  return NULL;
}

static pid_t
count_in_process (IpcTallyPlace *places)
{
  pid_t pid = fork ();

  if (pid != 0)
    return pid;
  set_alarm (TRUE);
  count_thread (places);
  _exit (0);
}

static void
test_crowd (IpcTest *test)
{
  IpcTallyPlace *places = places_new ();
  const guint n = (N_PROCESSES + N_THREADS) * N_COUNTS;
  GThread *threads[N_THREADS];
  pid_t pids[N_PROCESSES];
  int status;

  ipc_test_set_deadline (120);
  for (guint i = 0; i < N_PROCESSES; i++)
    pids[i] = count_in_process (places);
  set_alarm (TRUE);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = g_thread_new ("count", count_thread, places);
  for (guint i = 0; i < N_THREADS; i++)
    g_thread_join (threads[i]);
  set_alarm (FALSE);
  for (guint i = 0; i < N_PROCESSES; i++)
    {
      g_assert_cmpint (waitpid (pids[i], &status, 0), ==, pids[i]);
      g_assert_cmpint (status, ==, 0);
    }
  g_assert_cmpuint (get_sum (places, 0), ==, n);
  g_test_message ("%" G_GUINT64_FORMAT " of %u in places that are shared", get_sum (places, IPC_TALLY_PROCESSORS), n);
  places_free (places);
}

/* ── Killed after each instruction ── */

#ifdef IPC_TEST_CAN_STEP
static void
count_cb (gpointer data)
{
  count (data);
}

static void
test_step_killed (IpcTest *test)
{
  IpcTallyPlace *places = places_new ();
  gboolean ended = FALSE;
  guint64 sum = 0;
  guint n;

  ipc_test_set_deadline (120);
  for (n = ipc_test_step_get_first (); !ended; n += ipc_test_step_get_stride ())
    {
      pid_t pid = ipc_test_step_start (NULL, count_cb, places);

      g_assert_cmpuint (n, <, 10000);
      ended = ipc_test_step_on (pid, n);
      ipc_test_step_kill (pid);
      g_assert_cmpuint (get_sum (places, 0) - sum, <=, 1);
      g_assert_true (!ended || get_sum (places, 0) - sum == 1);
      sum = get_sum (places, 0);
    }
  g_test_message ("killed after every %u. of %u instructions: %" G_GUINT64_FORMAT " had counted", ipc_test_step_get_stride (),
                  n - ipc_test_step_get_stride (), sum);
  g_assert_cmpuint (sum, >, 0);
  places_free (places);
}
#endif

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/tally/count", test_count);
  ipc_test_add ("/core/tally/crowd", test_crowd);
#ifdef IPC_TEST_CAN_STEP
  ipc_test_add ("/core/tally/step-killed", test_step_killed);
#endif
  return ipc_test_run ();
}
