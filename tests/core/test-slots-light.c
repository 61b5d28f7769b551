/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A permit that is given back by a plain store: whoever waits for it hears of that, also where the store overwrites the mark that says
 * so. Nobody who waits here looks again by itself, so that what is missed is missed for ever.
 */
#include "core/ipc-slots-table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test-step.h"
#include "ipc-test.h"

#define N_ENTRIES 64u
#define LONG_NS (20 * INT64_C (1000000000))

/* ── A permit in memory that processes share ── */

typedef struct
{
  int directory_fd;
  IpcPresence *presence;
  guint8 *memory;
  gsize size;
  _Atomic guint32 never;
  IpcSlots slots;
} Table;

static void
view_init (Table *table)
{
  IpcFault fault = { 0 };

  table->presence = ipc_presence_attach (table->directory_fd, &fault);
  if (table->presence == NULL)
    g_error ("%s", fault.message);
  ipc_slots_init (&table->slots, table->memory, 1, N_ENTRIES, table->presence, &table->never);
  ipc_slots_set_light (&table->slots);
  /* Nobody sweeps. */
  atomic_store (&table->slots.next_sweep, G_MAXINT64);
}

static void
table_init (Table *table, IpcTest *test)
{
  *table = (Table){ .size = ipc_slots_get_size (1, N_ENTRIES) };
  table->directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_no_errno (table->directory_fd);
  table->memory = mmap (NULL, table->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true (table->memory != MAP_FAILED);
  view_init (table);
}

static void
table_clear (Table *table)
{
  ipc_presence_detach (table->presence);
  munmap (table->memory, table->size);
  close (table->directory_fd);
}

static void
take (Table *table)
{
  guint slot;

  if (!ipc_slots_try_light (&table->slots))
    g_assert_cmpint (ipc_slots_acquire (&table->slots, ipc_futex_now () + LONG_NS, NULL, &slot), ==, IPC_SLOTS_ACQUIRED);
}

static gboolean
wait_try (Table *table, IpcSlotsWaiter *waiter)
{
  gint64 wake_at;
  guint slot;

  return ipc_slots_wait_try (&table->slots, waiter, &slot, &wake_at);
}

/* FALSE: it would sleep now. */
static gboolean
wait_or_take (Table *table, IpcSlotsWaiter *waiter)
{
  do
    if (wait_try (table, waiter))
      return TRUE;
  while (!ipc_slots_may_sleep (&table->slots, waiter));
  return FALSE;
}

static void
wait_in_vain (Table *table, IpcSlotsWaiter *waiter)
{
  g_assert_true (ipc_slots_wait_begin (&table->slots, waiter, 0));
  g_assert_false (wait_try (table, waiter));
  g_assert_true (ipc_slots_may_sleep (&table->slots, waiter));
}

/* What a release does that has looked before somebody set the mark, and stores after it. */
static void
lose_mark (Table *table)
{
  _Atomic IpcOwner *owner = &ipc_slots_get_slot (&table->slots, 0)->owner;

  g_assert_cmpuint (atomic_exchange (owner, table->slots.me), ==, table->slots.me | WAITED);
}

/* ── One process ── */

static void
test_take_and_give (IpcTest *test)
{
  Table table;
  guint slot;

  table_init (&table, test);
  g_assert_true (ipc_slots_try_light (&table.slots));
  g_assert_false (ipc_slots_try_light (&table.slots));
  g_assert_false (ipc_slots_try (&table.slots, &slot));
  ipc_slots_release_light (&table.slots);
  g_assert_cmpuint (ipc_slots_count_free (&table.slots), ==, 1);
  /* What is had either way can be given back either way. */
  g_assert_true (ipc_slots_try (&table.slots, &slot));
  ipc_slots_release_light (&table.slots);
  g_assert_true (ipc_slots_try_light (&table.slots));
  g_assert_true (ipc_slots_release (&table.slots, 0));
  g_assert_cmpuint (ipc_slots_count_free (&table.slots), ==, 1);
  table_clear (&table);
}

static void
test_lost_mark (IpcTest *test)
{
  IpcSlotsWaiter waiter;
  Table table;

  table_init (&table, test);
  take (&table);
  wait_in_vain (&table, &waiter);
  lose_mark (&table);
  g_assert_false (ipc_slots_is_woken (&table.slots, &waiter));
  ipc_slots_release_light (&table.slots);
  g_assert_true (ipc_slots_is_woken (&table.slots, &waiter));
  g_assert_true (wait_try (&table, &waiter));
  ipc_slots_wait_end (&table.slots, &waiter);
  ipc_slots_release_light (&table.slots);
  /* Nobody pays for it any more. */
  g_assert_cmpuint (atomic_load (&ipc_slots_get_head (&table.slots)->wanted), ==, 0);
  table_clear (&table);
}

/* One was woken, and leaves: the next one is not forgotten, whose mark is lost again. */
static void
test_leave (IpcTest *test)
{
  IpcSlotsWaiter first, second;
  Table table;

  table_init (&table, test);
  take (&table);
  wait_in_vain (&table, &first);
  wait_in_vain (&table, &second);
  lose_mark (&table);
  ipc_slots_release_light (&table.slots);
  g_assert_true (ipc_slots_is_woken (&table.slots, &first));
  g_assert_false (ipc_slots_is_woken (&table.slots, &second));
  g_assert_true (ipc_slots_try_light (&table.slots));
  ipc_slots_wait_end (&table.slots, &first);
  lose_mark (&table);
  ipc_slots_release_light (&table.slots);
  g_assert_true (ipc_slots_is_woken (&table.slots, &second));
  g_assert_true (wait_try (&table, &second));
  ipc_slots_wait_end (&table.slots, &second);
  ipc_slots_release_light (&table.slots);
  table_clear (&table);
}

/* ── At the same time ── */

typedef struct
{
  Table *table;
  _Atomic gint *n_holders;
  guint n;
} Crowd;

static gpointer
crowd_thread (gpointer data)
{
  Crowd *crowd = data;

  for (guint i = 0; i < crowd->n; i++)
    {
      take (crowd->table);
      g_assert_cmpint (atomic_fetch_add (crowd->n_holders, 1), ==, 0);
      g_assert_cmpint (atomic_fetch_sub (crowd->n_holders, 1), ==, 1);
      ipc_slots_release_light (&crowd->table->slots);
    }
  return NULL;
}

/* Two threads, and another process. */
static void
test_crowd (IpcTest *test)
{
  _Atomic gint *n_holders = mmap (NULL, sizeof *n_holders, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  Table table;
  Crowd crowd = { &table, n_holders, 10000 };
  GThread *thread;
  int status;
  pid_t pid;

  ipc_test_set_deadline (120);
  g_assert_true (n_holders != MAP_FAILED);
  table_init (&table, test);
  pid = fork ();
  if (pid == 0)
    {
      view_init (&table);
      crowd_thread (&crowd);
      _exit (0);
    }
  thread = g_thread_new ("crowd", crowd_thread, &crowd);
  crowd_thread (&crowd);
  g_thread_join (thread);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_cmpuint (ipc_slots_count_free (&table.slots), ==, 1);
  table_clear (&table);
  munmap ((void *) n_holders, sizeof *n_holders);
}

/* One gives back at the moment at which another one begins to wait, again and again. Both look for each other in a loop, so this takes two
 * processors; on one it proves little. */
typedef struct
{
  Table *table;
  _Atomic guint round;          /* that has begun */
  _Atomic guint done;           /* that the other one has come to the end of */
} Race;

#define N_ROUNDS 12000u

static void
pass (guint n)
{
  for (guint i = 0; i < n; i++)
    __asm__ __volatile__ ("");
}

static void
wait_for_round (_Atomic guint *round, guint n)
{
  for (guint i = 1; atomic_load (round) != n; i++)
    if (i % 1024 == 0)
      g_thread_yield ();
    else
      ipc_relax ();
}

static gpointer
race_thread (gpointer data)
{
  Race *race = data;

  for (guint n = 1; n <= N_ROUNDS; n++)
    {
      g_assert_true (ipc_slots_try_light (&race->table->slots));
      atomic_store (&race->done, 2 * n - 1);
      wait_for_round (&race->round, n);
      pass (n % (n % 2 == 0 ? 1024 : 8192));
      ipc_slots_release_light (&race->table->slots);
      atomic_store (&race->done, 2 * n);
      wait_for_round (&race->round, G_MAXUINT - n);
    }
  return NULL;
}

static void
test_race (IpcTest *test)
{
  guint n_taken = 0;
  Table table;
  Race race = { .table = &table };
  GThread *thread;

  ipc_test_set_deadline (120);
  table_init (&table, test);
  thread = g_thread_new ("race", race_thread, &race);
  for (guint n = 1; n <= N_ROUNDS; n++)
    {
      IpcSlotsWaiter waiter;

      wait_for_round (&race.done, 2 * n - 1);
      g_assert_true (ipc_slots_wait_begin (&table.slots, &waiter, 0));
      atomic_store (&race.round, n);
      if (wait_or_take (&table, &waiter))
        n_taken++;
      else
        {
          wait_for_round (&race.done, 2 * n);
          g_assert_true (ipc_slots_is_woken (&table.slots, &waiter));
          g_assert_true (wait_try (&table, &waiter));
        }
      ipc_slots_wait_end (&table.slots, &waiter);
      wait_for_round (&race.done, 2 * n);
      ipc_slots_release_light (&table.slots);
      atomic_store (&race.round, G_MAXUINT - n);
    }
  g_thread_join (thread);
  g_test_message ("waited in %u of %u rounds", N_ROUNDS - n_taken, N_ROUNDS);
  table_clear (&table);
}

/* ── After each instruction ── */

#ifdef IPC_TEST_CAN_STEP
static void
prepare_cb (gpointer data)
{
  Table *table = data;

  view_init (table);
  if (!ipc_slots_try_light (&table->slots))
    _exit (2);
}

static void
release_cb (gpointer data)
{
  Table *table = data;

  ipc_slots_release_light (&table->slots);
}

/* Somebody begins to wait when the release has come so far. */
static gboolean
wait_at (Table *table, guint n, guint *n_woken)
{
  pid_t pid = ipc_test_step_start (prepare_cb, release_cb, table);
  gboolean ended = ipc_test_step_on (pid, n), taken;
  IpcSlotsWaiter waiter;

  g_assert_true (ipc_slots_wait_begin (&table->slots, &waiter, 0));
  taken = wait_or_take (table, &waiter);
  if (ended)
    ipc_test_step_kill (pid);
  else
    ipc_test_step_end (pid);
  if (!taken)
    {
      *n_woken += 1;
      g_assert_true (ipc_slots_is_woken (&table->slots, &waiter));
      g_assert_true (wait_try (table, &waiter));
    }
  ipc_slots_wait_end (&table->slots, &waiter);
  ipc_slots_release_light (&table->slots);
  return ended;
}

static void
test_any_moment (IpcTest *test)
{
  const guint stride = ipc_test_step_get_stride ();
  guint n = ipc_test_step_get_first (), n_woken = 0;
  Table table;

  ipc_test_set_deadline (300);
  table_init (&table, test);
  for (; !wait_at (&table, n, &n_woken); n += stride)
    g_assert_cmpuint (n, <, 100000);
  g_test_message ("began to wait after every %u. of %u instructions; woken %u times", stride, n, n_woken);
  table_clear (&table);
}
#endif

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/slots-light/take-and-give", test_take_and_give);
  ipc_test_add ("/core/slots-light/lost-mark", test_lost_mark);
  ipc_test_add ("/core/slots-light/leave", test_leave);
  ipc_test_add ("/core/slots-light/crowd", test_crowd);
  ipc_test_add ("/core/slots-light/race", test_race);
#ifdef IPC_TEST_CAN_STEP
  ipc_test_add ("/core/slots-light/any-moment", test_any_moment);
#endif
  return ipc_test_run ();
}
