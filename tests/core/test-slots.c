/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Permits that no crash can lose: taken and given back by threads and processes, handed over, and recovered from
 * processes that are killed at random, and after each of their instructions.
 */
#include "core/ipc-slots-table.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc-futex.h"
#include "ipc-test-step.h"
#include "ipc-test.h"

#define N_ENTRIES 64u
#define MS 1000000

/* ── A table in memory that processes share ── */

typedef struct
{
  int directory_fd;
  IpcPresence *presence;
  guint8 *memory;
  gsize size;
  _Atomic guint32 *deleted;     /* in the memory, behind the table */
  guint n;
  IpcSlots slots;
} Table;

static void
view_init (Table *table)
{
  IpcFault fault = { 0 };

  table->presence = ipc_presence_attach (table->directory_fd, &fault);
  if (table->presence == NULL)
    g_error ("%s", fault.message);
  ipc_slots_init (&table->slots, table->memory, table->n, N_ENTRIES, table->presence, table->deleted);
}

static void
table_init (Table *table, IpcTest *test, guint n)
{
  table->directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_no_errno (table->directory_fd);
  table->n = n;
  table->size = ipc_slots_get_size (n, N_ENTRIES);
  table->memory = mmap (NULL, table->size + 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true (table->memory != MAP_FAILED);
  table->deleted = (_Atomic guint32 *) (table->memory + table->size);
  view_init (table);
}

static void
table_clear (Table *table)
{
  ipc_presence_detach (table->presence);
  munmap (table->memory, table->size + 64);
  close (table->directory_fd);
}

/* As if it had waited for long. */
static void
starve (Table *table, const IpcSlotsWaiter *waiter)
{
  Entry *entry = ipc_slots_get_entry (&table->slots, waiter->entry);

  atomic_store (&entry->since, atomic_load (&entry->since) - 2 * IPC_SLOTS_PATIENCE_NS);
}

static guint
take (Table *table)
{
  guint slot = 77777;

  g_assert_cmpint (ipc_slots_acquire (&table->slots, ipc_futex_now () + 10000 * (gint64) MS, NULL, &slot), ==, IPC_SLOTS_ACQUIRED);
  g_assert_cmpuint (slot, <, table->n);
  return slot;
}

/* All permits can be had, and no more. */
static void
assert_whole (Table *table)
{
  guint *slots = g_new (guint, table->n);
  guint more;

  for (guint i = 0; i < table->n; i++)
    slots[i] = take (table);
  g_assert_false (ipc_slots_try (&table->slots, &more));
  for (guint i = 0; i < table->n; i++)
    g_assert_true (ipc_slots_release (&table->slots, slots[i]));
  g_assert_cmpuint (ipc_slots_count_free (&table->slots), ==, table->n);
  g_free (slots);
}

/* ── One process ── */

static void
test_take_and_give (IpcTest *test)
{
  Table table;
  IpcSlotsStatistics statistics;
  guint a, b, c;
  gint64 since;

  table_init (&table, test, 2);
  g_assert_true (ipc_slots_try (&table.slots, &a));
  g_assert_true (ipc_slots_try (&table.slots, &b));
  g_assert_cmpuint (a, !=, b);
  g_assert_false (ipc_slots_try (&table.slots, &c));
  ipc_slots_stamp (&table.slots, a, 4711);
  g_assert_cmpuint (ipc_slots_get_holder (&table.slots, a, &since), ==, ipc_presence_get_me (table.presence));
  g_assert_cmpint (since, ==, 4711);
  ipc_slots_count (&table.slots, &statistics);
  g_assert_cmpuint (statistics.held, ==, 2);
  g_assert_cmpuint (statistics.acquired, ==, 2);
  g_assert_cmpuint (statistics.waiters, ==, 0);
  g_assert_true (ipc_slots_release (&table.slots, a));
  /* Not held any more, and never there. */
  g_assert_false (ipc_slots_release (&table.slots, a));
  g_assert_false (ipc_slots_release (&table.slots, 2));
  g_assert_cmpuint (ipc_slots_count_free (&table.slots), ==, 1);
  g_assert_true (ipc_slots_release (&table.slots, b));
  assert_whole (&table);
  table_clear (&table);
}

static void
test_outcomes (IpcTest *test)
{
  _Atomic guint32 cancelled = 1;
  Table table;
  guint slot, other = 77777;

  table_init (&table, test, 1);
  slot = take (&table);
  g_assert_cmpint (ipc_slots_acquire (&table.slots, 1, NULL, &other), ==, IPC_SLOTS_TIMED_OUT);
  g_assert_cmpint (ipc_slots_acquire (&table.slots, ipc_futex_now () + 3 * MS, NULL, &other), ==, IPC_SLOTS_TIMED_OUT);
  g_assert_cmpint (ipc_slots_acquire (&table.slots, 0, &cancelled, &other), ==, IPC_SLOTS_CANCELLED);
  atomic_store (table.deleted, 1);
  g_assert_cmpint (ipc_slots_acquire (&table.slots, 0, NULL, &other), ==, IPC_SLOTS_DELETED);
  g_assert_cmpuint (other, ==, 77777);
  g_assert_true (ipc_slots_release (&table.slots, slot));
  atomic_store (table.deleted, 0);
  /* Those that gave up have left nothing. */
  assert_whole (&table);
  table_clear (&table);
}

static void
test_too_many (IpcTest *test)
{
  IpcSlotsWaiter waiters[N_ENTRIES];
  Table table;
  guint slot, other;

  table_init (&table, test, 1);
  slot = take (&table);
  for (guint i = 0; i < N_ENTRIES; i++)
    g_assert_true (ipc_slots_wait_begin (&table.slots, &waiters[i], 0));
  g_assert_cmpint (ipc_slots_acquire (&table.slots, 0, NULL, &other), ==, IPC_SLOTS_TOO_MANY);
  for (guint i = 0; i < N_ENTRIES; i++)
    ipc_slots_wait_end (&table.slots, &waiters[i]);
  g_assert_true (ipc_slots_release (&table.slots, slot));
  assert_whole (&table);
  table_clear (&table);
}

/* Waiters that have starved are served in the order in which they came. */
static void
test_order (IpcTest *test)
{
  enum { N = 20 };
  IpcSlotsWaiter waiters[N];
  Table table;
  guint slot;
  gint64 wake_at;

  table_init (&table, test, 1);
  slot = take (&table);
  for (guint i = 0; i < N; i++)
    {
      g_assert_true (ipc_slots_wait_begin (&table.slots, &waiters[i], 0));
      starve (&table, &waiters[i]);
    }
  for (guint i = N; i-- > 0;)
    g_assert_false (ipc_slots_wait_try (&table.slots, &waiters[i], &slot, &wake_at));
  slot = 0;
  for (guint i = 0; i < N; i++)
    {
      guint none;

      g_assert_true (ipc_slots_release (&table.slots, slot));
      /* Nobody who comes by is quicker, and nobody jumps the queue. */
      g_assert_false (ipc_slots_try (&table.slots, &none));
      for (guint k = N; k-- > i + 1;)
        g_assert_false (ipc_slots_wait_try (&table.slots, &waiters[k], &none, &wake_at));
      g_assert_true (ipc_slots_wait_try (&table.slots, &waiters[i], &slot, &wake_at));
      ipc_slots_wait_end (&table.slots, &waiters[i]);
    }
  g_assert_true (ipc_slots_release (&table.slots, slot));
  assert_whole (&table);
  table_clear (&table);
}

/* A grant whose waiter leaves before it takes it goes to the next one, or back. */
static void
test_grant_and_leave (IpcTest *test)
{
  IpcSlotsWaiter one, two;
  Table table;
  guint slot;
  gint64 wake_at;

  table_init (&table, test, 1);
  slot = take (&table);
  g_assert_true (ipc_slots_wait_begin (&table.slots, &one, 0));
  g_assert_true (ipc_slots_wait_begin (&table.slots, &two, 0));
  starve (&table, &one);
  starve (&table, &two);
  g_assert_false (ipc_slots_wait_try (&table.slots, &one, &slot, &wake_at));
  g_assert_false (ipc_slots_wait_try (&table.slots, &two, &slot, &wake_at));
  g_assert_true (ipc_slots_release (&table.slots, 0));
  g_assert_cmpuint (ipc_slots_count_free (&table.slots), ==, 0);
  ipc_slots_wait_end (&table.slots, &one);
  g_assert_true (ipc_slots_wait_try (&table.slots, &two, &slot, &wake_at));
  ipc_slots_wait_end (&table.slots, &two);

  g_assert_true (ipc_slots_wait_begin (&table.slots, &one, 0));
  starve (&table, &one);
  g_assert_false (ipc_slots_wait_try (&table.slots, &one, &slot, &wake_at));
  g_assert_true (ipc_slots_release (&table.slots, 0));
  ipc_slots_wait_end (&table.slots, &one);
  g_assert_cmpuint (ipc_slots_count_free (&table.slots), ==, 1);
  assert_whole (&table);
  table_clear (&table);
}

/* ── Threads ── */

typedef struct
{
  Table *table;
  _Atomic gint *holders;        /* one a slot */
  guint n_rounds;
} Crowd;

static gpointer
crowd_thread (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < crowd->n_rounds; i++)
    {
      guint slot = take (crowd->table);

      g_assert_cmpint (atomic_fetch_add (&crowd->holders[slot], 1), ==, 0);
      g_assert_cmpint (atomic_fetch_sub (&crowd->holders[slot], 1), ==, 1);
      g_assert_true (ipc_slots_release (&crowd->table->slots, slot));
    }
  return NULL;
}

static void
test_threads (IpcTest *test)
{
  _Atomic gint holders[2] = { 0 };
  GThread *threads[8];
  Table table;
  Crowd crowd = { &table, holders, 2000 };

  table_init (&table, test, G_N_ELEMENTS (holders));
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("crowd", crowd_thread, &crowd);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  assert_whole (&table);
  table_clear (&table);
}

/* ── Processes that are killed ── */

typedef struct
{
  _Atomic guint64 n_done;
  _Atomic gint dying[4096];     /* by number of the process: it is about to be killed */
  _Atomic gint holder[8];       /* by slot: who says that it has it */
  _Atomic gint n_doubles;
} Notes;

static void
work_until_killed (Table *table, Notes *notes, gint number)
{
  view_init (table);
  for (;;)
    {
      guint slot = take (table);
      gint before = atomic_exchange (&notes->holder[slot], number), me = number;

      if (before != 0 && !atomic_load (&notes->dying[before]))
        atomic_fetch_add (&notes->n_doubles, 1);
      /* Nobody may have taken it from us, who live. */
      if (!atomic_compare_exchange_strong (&notes->holder[slot], &me, 0))
        atomic_fetch_add (&notes->n_doubles, 1);
      if (!ipc_slots_release (&table->slots, slot))
        atomic_fetch_add (&notes->n_doubles, 1);
      atomic_fetch_add (&notes->n_done, 1);
    }
}

static pid_t
start_worker (Table *table, Notes *notes, gint number)
{
  pid_t pid = fork ();

  if (pid == 0)
    {
      work_until_killed (table, notes, number);
      _exit (1);
    }
  g_assert_cmpint (pid, >, 0);
  return pid;
}

static void
test_random_kills (IpcTest *test)
{
  const char *wanted = g_getenv ("IPC_TEST_KILLS");
  guint n_kills = wanted != NULL ? (guint) atoi (wanted) : 500;
  g_autoptr (GRand) rand = ipc_test_rand_new ();
  Notes *notes = mmap (NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pids[8];
  gint numbers[8], next = 1;
  Table table;
  guint64 before;

  ipc_test_set_deadline (120 + n_kills / 10);
  table_init (&table, test, 3);
  for (guint i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      numbers[i] = next++;
      pids[i] = start_worker (&table, notes, numbers[i]);
    }
  for (guint i = 0; i < n_kills; i++)
    {
      guint victim = (guint) g_rand_int_range (rand, 0, G_N_ELEMENTS (pids));

      /* The others go on, and are somewhere else by the next kill. */
      before = atomic_load (&notes->n_done);
      while (atomic_load (&notes->n_done) < before + (guint64) g_rand_int_range (rand, 1, 200))
        g_thread_yield ();
      atomic_store (&notes->dying[numbers[victim]], 1);
      kill (pids[victim], SIGKILL);
      g_assert_cmpint (waitpid (pids[victim], NULL, 0), ==, pids[victim]);
      numbers[victim] = next++ % 4095 + 1;
      atomic_store (&notes->dying[numbers[victim]], 0);
      pids[victim] = start_worker (&table, notes, numbers[victim]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (pids); i++)
    {
      atomic_store (&notes->dying[numbers[i]], 1);
      kill (pids[i], SIGKILL);
      g_assert_cmpint (waitpid (pids[i], NULL, 0), ==, pids[i]);
    }
  g_assert_cmpint (atomic_load (&notes->n_doubles), ==, 0);
  assert_whole (&table);
  table_clear (&table);
  munmap (notes, sizeof *notes);
}

/* A waiter has the permit of a killed holder at once, whether the kernel can wait for several words or not. */
static void
test_holder_killed (IpcTest *test)
{
  for (guint single = 0; single < 2; single++)
    {
      Table table;
      pid_t pid;
      guint slot;

      ipc_futex_set_single (single == 1);
      table_init (&table, test, 1);
      pid = fork ();
      if (pid == 0)
        {
          view_init (&table);
          take (&table);
          raise (SIGSTOP);
          raise (SIGKILL);
        }
      g_assert_cmpint (waitpid (pid, NULL, WUNTRACED), ==, pid);
      g_assert_false (ipc_slots_try (&table.slots, &slot));
      kill (pid, SIGKILL);
      slot = take (&table);
      g_assert_true (ipc_slots_release (&table.slots, slot));
      g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
      assert_whole (&table);
      table_clear (&table);
    }
  ipc_futex_set_single (FALSE);
}

/* ── Killed after each instruction ── */

#ifdef IPC_TEST_CAN_STEP

typedef enum
{
  STEP_ALONE,                   /* acquire, release */
  STEP_WAKES,                   /* release, while somebody waits who does not starve yet */
  STEP_HANDS_OVER,              /* release, while somebody starves */
  STEP_WAITS,                   /* begin to wait, give up */
  STEP_IS_GIVEN,                /* take what was granted, release */
} Step;

/* What the process has done when it is stopped for the first time. */
typedef struct
{
  IpcSlotsWaiter waiter;
  guint slot;
  gint64 wake_at;
} Walk;

/* Waits for what is not there, starving or, however slow this is, not. */
static void
wait_in_vain (Table *table, gboolean starving, IpcSlotsWaiter *waiter)
{
  gint64 wake_at;
  guint slot;

  g_assert_true (ipc_slots_wait_begin (&table->slots, waiter, 0));
  if (starving)
    starve (table, waiter);
  g_assert_false (ipc_slots_wait_try (&table->slots, waiter, &slot, &wake_at));
}

static void
prepare_walk (Table *table, Step step, Walk *walk)
{
  if ((step == STEP_HANDS_OVER || step == STEP_WAKES) && !ipc_slots_try (&table->slots, &walk->slot))
    _exit (2);
  if (step == STEP_IS_GIVEN)
    wait_in_vain (table, TRUE, &walk->waiter);
}

static void
go (Table *table, Step step, Walk *walk)
{
  switch (step)
    {
    case STEP_ALONE:
      if (!ipc_slots_try (&table->slots, &walk->slot) || !ipc_slots_release (&table->slots, walk->slot))
        _exit (3);
      break;
    case STEP_WAKES:
    case STEP_HANDS_OVER:
      if (!ipc_slots_release (&table->slots, walk->slot))
        _exit (4);
      break;
    case STEP_WAITS:
      if (!ipc_slots_wait_begin (&table->slots, &walk->waiter, 0) ||
          ipc_slots_wait_try (&table->slots, &walk->waiter, &walk->slot, &walk->wake_at))
        _exit (5);
      ipc_slots_wait_end (&table->slots, &walk->waiter);
      break;
    case STEP_IS_GIVEN:
      if (!ipc_slots_wait_try (&table->slots, &walk->waiter, &walk->slot, &walk->wake_at))
        _exit (6);
      ipc_slots_wait_end (&table->slots, &walk->waiter);
      if (!ipc_slots_release (&table->slots, walk->slot))
        _exit (7);
      break;
    }
}

/* What a walker is told. */
typedef struct
{
  Table *table;
  Step step;
  Walk walk;
} Walker;

static void
prepare_cb (gpointer data)
{
  Walker *walker = data;

  view_init (walker->table);
  /* However slow the steps are. */
  if (walker->step == STEP_WAKES)
    walker->table->slots.patience = G_MAXINT64;
  prepare_walk (walker->table, walker->step, &walker->walk);
}

static void
go_cb (gpointer data)
{
  Walker *walker = data;

  go (walker->table, walker->step, &walker->walk);
}

/* The permit that the dead may have left, or given, comes to the one who waits. */
static void
wait_to_the_end (Table *table, IpcSlotsWaiter *waiter)
{
  gint64 wake_at;
  guint slot;

  ipc_slots_recover (&table->slots);
  g_assert_true (ipc_slots_wait_try (&table->slots, waiter, &slot, &wake_at));
  ipc_slots_wait_end (&table->slots, waiter);
  g_assert_true (ipc_slots_release (&table->slots, slot));
}

/* One of two permits is ours; the other one is what the walk is about. */
static gboolean
walk_and_kill (Table *table, Step step, guint n)
{
  gboolean i_wait = step == STEP_WAKES || step == STEP_HANDS_OVER;
  gboolean it_waits = step == STEP_WAITS || step == STEP_IS_GIVEN;
  guint mine = take (table), other = it_waits ? take (table) : 0;
  Walker walker = { .table = table, .step = step };
  pid_t pid = ipc_test_step_start (prepare_cb, go_cb, &walker);
  IpcSlotsWaiter waiter;
  gboolean ended;

  if (i_wait)
    wait_in_vain (table, step == STEP_HANDS_OVER, &waiter);
  if (step == STEP_IS_GIVEN)
    g_assert_true (ipc_slots_release (&table->slots, other));
  ended = ipc_test_step_on (pid, n);
  ipc_test_step_kill (pid);
  if (step == STEP_WAITS)
    g_assert_true (ipc_slots_release (&table->slots, other));
  if (i_wait)
    wait_to_the_end (table, &waiter);
  g_assert_true (ipc_slots_release (&table->slots, mine));
  return ended;
}

static void
test_step_killed (IpcTest *test)
{
  Step step = GPOINTER_TO_UINT (test->data);
  IpcSlotsStatistics statistics;
  gboolean ended = FALSE;
  Table table;
  guint n;

  ipc_test_set_deadline (300);
  table_init (&table, test, 2);
  for (n = ipc_test_step_get_first (); !ended; n += ipc_test_step_get_stride ())
    {
      g_assert_cmpuint (n, <, 100000);
      ended = walk_and_kill (&table, step, n);
      /* At the latest when somebody looks for the dead, all is free. */
      ipc_slots_recover (&table.slots);
      ipc_slots_count (&table.slots, &statistics);
      g_assert_cmpuint (statistics.held, ==, 0);
      g_assert_cmpuint (statistics.waiters, ==, 0);
      assert_whole (&table);
    }
  g_test_message ("killed after every %u. of %u instructions", ipc_test_step_get_stride (), n - ipc_test_step_get_stride ());
  g_assert_cmpuint (n, >, 50);
  table_clear (&table);
}

/* Who is given the permit takes it, and is gone, before the one who gives it has seen to the end of that: it has been given
 * back none the less. */
static gboolean
walk_and_take (Table *table, guint n)
{
  guint mine = take (table), slot;
  Walker walker = { .table = table, .step = STEP_HANDS_OVER };
  pid_t pid = ipc_test_step_start (prepare_cb, go_cb, &walker);
  IpcSlotsWaiter waiter;
  gboolean ended;
  gint64 wake_at;

  wait_in_vain (table, TRUE, &waiter);
  ended = ipc_test_step_on (pid, n);
  if (ended)
    ipc_test_step_kill (pid);
  if (ipc_slots_wait_try (&table->slots, &waiter, &slot, &wake_at))
    {
      ipc_slots_wait_end (&table->slots, &waiter);
      g_assert_true (ipc_slots_release (&table->slots, slot));
      if (!ended)
        ipc_test_step_end (pid);
    }
  else
    {
      g_assert_false (ended);
      ipc_test_step_end (pid);
      wait_to_the_end (table, &waiter);
    }
  g_assert_true (ipc_slots_release (&table->slots, mine));
  return ended;
}

static void
test_quick_heir (IpcTest *test)
{
  gboolean ended = FALSE;
  Table table;

  ipc_test_set_deadline (300);
  table_init (&table, test, 2);
  for (guint n = ipc_test_step_get_first (); !ended; n += ipc_test_step_get_stride ())
    {
      ended = walk_and_take (&table, n);
      assert_whole (&table);
    }
  table_clear (&table);
}
#endif

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/slots/take-and-give", test_take_and_give);
  ipc_test_add ("/core/slots/outcomes", test_outcomes);
  ipc_test_add ("/core/slots/too-many", test_too_many);
  ipc_test_add ("/core/slots/order", test_order);
  ipc_test_add ("/core/slots/grant-and-leave", test_grant_and_leave);
  ipc_test_add ("/core/slots/threads", test_threads);
  ipc_test_add ("/core/slots/random-kills", test_random_kills);
  ipc_test_add ("/core/slots/holder-killed", test_holder_killed);
#ifdef IPC_TEST_CAN_STEP
  ipc_test_add ("/core/slots/quick-heir", test_quick_heir);
  ipc_test_add_data ("/core/slots/step-killed/alone", GUINT_TO_POINTER (STEP_ALONE), test_step_killed);
  ipc_test_add_data ("/core/slots/step-killed/wakes", GUINT_TO_POINTER (STEP_WAKES), test_step_killed);
  ipc_test_add_data ("/core/slots/step-killed/hands-over", GUINT_TO_POINTER (STEP_HANDS_OVER), test_step_killed);
  ipc_test_add_data ("/core/slots/step-killed/waits", GUINT_TO_POINTER (STEP_WAITS), test_step_killed);
  ipc_test_add_data ("/core/slots/step-killed/is-given", GUINT_TO_POINTER (STEP_IS_GIVEN), test_step_killed);
#endif
  return ipc_test_run ();
}
