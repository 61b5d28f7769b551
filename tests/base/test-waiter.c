/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asynchronous waits for permits in shared memory that other processes hold, and the bells that end them. */
#include "base/ipc-waiter-private.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ipc-task-private.h"
#include "core/ipc-bell.h"
#include "core/ipc-slots.h"
#include "ipc-error.h"
#include "ipc-test.h"

#define N_ENTRIES 1024u

/* ── Permits in memory that processes share ── */

typedef struct
{
  int directory_fd;
  IpcPresence *presence;
  guint8 *memory;
  gsize size;
  _Atomic guint32 *deleted;
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

/* A process that has a permit, and gives it back and takes it again for each byte that it reads. */
typedef struct
{
  pid_t pid;
  int to;
  int from;
} Holder;

static void
hold (Table *table, int from, int to)
{
  guint slot;
  char byte = 0;

  view_init (table);
  g_assert_true (ipc_slots_try (&table->slots, &slot));
  g_assert_cmpint (write (to, &byte, 1), ==, 1);
  while (read (from, &byte, 1) == 1)
    {
      g_assert_true (ipc_slots_release (&table->slots, slot));
      if (byte == 'r')
        break;
      g_assert_cmpint (ipc_slots_acquire (&table->slots, 0, NULL, &slot), ==, IPC_SLOTS_ACQUIRED);
    }
  _exit (0);
}

static void
holder_init (Holder *holder, Table *table)
{
  int there[2], back[2];
  char byte;

  g_assert_no_errno (pipe2 (there, O_CLOEXEC));
  g_assert_no_errno (pipe2 (back, O_CLOEXEC));
  holder->pid = fork ();
  if (holder->pid == 0)
    {
      close (there[1]);
      hold (table, there[0], back[1]);
    }
  close (there[0]);
  close (back[1]);
  holder->to = there[1];
  holder->from = back[0];
  g_assert_cmpint (read (holder->from, &byte, 1), ==, 1);
}

static void
holder_end (Holder *holder)
{
  close (holder->to);
  close (holder->from);
  g_assert_cmpint (waitpid (holder->pid, NULL, 0), ==, holder->pid);
}

/* ── A mechanism: the result is the slot, plus one ── */

typedef struct
{
  IpcWait wait;
  IpcSlots *slots;
  IpcSlotsWaiter waiter;
} Waiting;

static void
slot_free (gpointer result)
{
  g_assert_not_reached ();
}

static gboolean
attempt (IpcWait *wait, gint64 *wake_at, gpointer *result, GError **error)
{
  Waiting *self = (Waiting *) wait;
  guint slot;

  if (ipc_slots_wait_try (self->slots, &self->waiter, &slot, wake_at))
    *result = GUINT_TO_POINTER (slot + 1);
  else if (atomic_load (self->slots->deleted) != 0)
    g_set_error_literal (error, IPC_ERROR, IPC_ERROR_DELETED, "gone");
  else
    return FALSE;
  ipc_slots_wait_end (self->slots, &self->waiter);
  return TRUE;
}

static GError *
give_up (IpcWait *wait)
{
  Waiting *self = (Waiting *) wait;

  ipc_slots_wait_end (self->slots, &self->waiter);
  return g_error_new_literal (IPC_ERROR, IPC_ERROR_TIMED_OUT, "too late");
}

static gboolean
is_woken (IpcWait *wait)
{
  Waiting *self = (Waiting *) wait;

  return ipc_slots_is_woken (self->slots, &self->waiter);
}

static guint
watch (IpcWait *wait, IpcFutexWait *waits_for, guint max, gboolean *missed)
{
  Waiting *self = (Waiting *) wait;
  bool has_missed;
  guint n = ipc_slots_watch (self->slots, &self->waiter, waits_for, 0, max, &has_missed);

  *missed = has_missed;
  return n;
}

static const IpcWaitFuncs funcs = { attempt, give_up, is_woken, watch, slot_free };

static void
acquire_async (Table *table, gint timeout, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = ipc_task_new (NULL, cancellable, callback, data, acquire_async);
  Waiting *waiting = g_new0 (Waiting, 1);
  g_autoptr (GError) error = NULL;
  IpcWaiter *waiter = ipc_waiter_get (g_task_get_context (task), table->presence, &error);
  gint64 deadline;

  g_assert_no_error (error);
  g_assert_true (ipc_timeout_to_deadline (timeout, -1, &deadline, &error));
  g_task_set_task_data (task, waiting, g_free);
  waiting->slots = &table->slots;
  g_assert_true (ipc_slots_wait_begin (&table->slots, &waiting->waiter, ipc_waiter_get_bell (waiter)));
  ipc_waiter_add (waiter, &waiting->wait, &funcs, task, deadline);
  ipc_waiter_release (waiter);
}

static guint
acquire_finish (IpcTestAsync *async, GError **error)
{
  return GPOINTER_TO_UINT (g_task_propagate_pointer (G_TASK (ipc_test_async_wait (async)), error));
}

static void
assert_no_waiter (Table *table)
{
  IpcSlotsStatistics statistics;

  ipc_slots_count (&table->slots, &statistics);
  g_assert_cmpuint (statistics.waiters, ==, 0);
}

/* ── Bells ── */

static gboolean
rings (IpcBell *bell)
{
  struct pollfd pollfd = { .fd = bell->fd, .events = POLLIN };

  return poll (&pollfd, 1, 0) == 1;
}

static void
test_bell (IpcTest *test)
{
  g_autofree char *first = ipc_test_path (test, ".bell.0.1");
  IpcBell bell, other;
  IpcFault fault;
  Table table;

  table_init (&table, test, 1);
  /* What a killed process left. */
  g_assert_true (g_file_set_contents (first, "", 0, NULL));
  g_assert_true (ipc_bell_open (&bell, table.presence, &fault));
  g_assert_true (ipc_bell_open (&other, table.presence, &fault));
  g_assert_cmpuint (bell.number, !=, other.number);
  g_assert_false (rings (&bell));
  g_assert_true (ipc_bell_ring (table.presence, ipc_presence_get_me (table.presence), bell.number));
  g_assert_true (rings (&bell));
  g_assert_false (rings (&other));
  ipc_bell_silence (&bell);
  g_assert_false (rings (&bell));
  /* Nobody hears it, and nobody waits; sooner or later it is silent. */
  for (guint i = 0; i < 10000; i++)
    g_assert_true (ipc_bell_ring (table.presence, ipc_presence_get_me (table.presence), bell.number));
  while (rings (&bell))
    ipc_bell_silence (&bell);
  g_assert_false (ipc_bell_ring (table.presence, ipc_presence_get_me (table.presence), 60));
  ipc_bell_close (&other);
  g_assert_false (ipc_bell_ring (table.presence, ipc_presence_get_me (table.presence), other.number));
  ipc_bell_close (&bell);
  /* What rang meanwhile is not for the next one who has it. */
  g_assert_true (ipc_bell_open (&bell, table.presence, &fault));
  g_assert_cmpuint (bell.number, ==, 1);
  g_assert_true (ipc_bell_ring (table.presence, ipc_presence_get_me (table.presence), bell.number));
  ipc_bell_close (&bell);
  g_assert_true (ipc_bell_open (&bell, table.presence, &fault));
  g_assert_false (rings (&bell));
  ipc_bell_close (&bell);
  g_assert_true (g_file_test (first, G_FILE_TEST_EXISTS));
  table_clear (&table);
  g_assert_false (g_file_test (first, G_FILE_TEST_EXISTS));
}

static void
test_too_many_bells (IpcTest *test)
{
  IpcBell bells[64], more;
  IpcFault fault = { 0 };
  Table table;

  table_init (&table, test, 1);
  for (guint i = 0; i < G_N_ELEMENTS (bells); i++)
    g_assert_true (ipc_bell_open (&bells[i], table.presence, &fault));
  g_assert_false (ipc_bell_open (&more, table.presence, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_LIMIT_EXCEEDED);
  ipc_bell_close (&bells[7]);
  g_assert_true (ipc_bell_open (&bells[7], table.presence, &fault));
  for (guint i = 0; i < G_N_ELEMENTS (bells); i++)
    ipc_bell_close (&bells[i]);
  table_clear (&table);
}

/* Says which one, and is killed. */
static void
listen_until_killed (int directory_fd, int to)
{
  IpcFault fault;
  IpcBell bell;

  g_assert_true (ipc_bell_open (&bell, ipc_presence_attach (directory_fd, &fault), &fault));
  g_assert_cmpint (write (to, &bell, sizeof bell), ==, sizeof bell);
  g_assert_cmpint (write (to, &(IpcOwner){ ipc_presence_get_me (bell.presence) }, sizeof (IpcOwner)), ==, sizeof (IpcOwner));
  while (!rings (&bell))
    ;
  ipc_bell_silence (&bell);
  g_assert_cmpint (write (to, "", 1), ==, 1);
  pause ();
}

static void
test_bell_of_the_dead (IpcTest *test)
{
  IpcOwner owner;
  int back[2];
  IpcBell bell;
  Table table;
  pid_t pid;
  char byte;

  table_init (&table, test, 1);
  g_assert_no_errno (pipe2 (back, O_CLOEXEC));
  pid = fork ();
  if (pid == 0)
    listen_until_killed (table.directory_fd, back[1]);
  g_assert_cmpint (read (back[0], &bell, sizeof bell), ==, sizeof bell);
  g_assert_cmpint (read (back[0], &owner, sizeof owner), ==, sizeof owner);
  g_assert_false (ipc_bell_ring (table.presence, owner, bell.number + 1));
  g_assert_true (ipc_bell_ring (table.presence, owner, bell.number));
  g_assert_cmpint (read (back[0], &byte, 1), ==, 1);
  g_assert_no_errno (kill (pid, SIGKILL));
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  /* By the way that is known, and by its name. */
  g_assert_false (ipc_bell_ring (table.presence, owner, bell.number));
  for (guint i = 0; i <= IPC_PRESENCE_LINES; i++)
    g_assert_false (ipc_bell_ring (table.presence, owner, bell.number + i));
  close (back[0]);
  close (back[1]);
  table_clear (&table);
}

/* ── Waits ── */

static void
test_release (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GError) error = NULL;
  Holder holder;
  Table table;
  guint slot;

  table_init (&table, test, 1);
  holder_init (&holder, &table);
  acquire_async (&table, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  g_assert_cmpint (write (holder.to, "r", 1), ==, 1);
  slot = acquire_finish (&async, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (slot, ==, 1);
  g_assert_true (ipc_slots_release (&table.slots, 0));
  assert_no_waiter (&table);
  holder_end (&holder);
  table_clear (&table);
}

typedef struct
{
  Holder *holder;
  IpcTestAsync *other;
  guint slot;
} Nested;

/* The bell has rung, and rings again for what is waited for in here. */
static void
nested_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Nested *nested = data;

  g_assert_cmpuint (GPOINTER_TO_UINT (g_task_propagate_pointer (G_TASK (result), NULL)), ==, 1);
  g_assert_cmpint (write (nested->holder->to, "r", 1), ==, 1);
  nested->slot = acquire_finish (nested->other, NULL);
}

static void
test_nested (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  Holder holder, other_holder;
  Nested nested = { &other_holder, &async, 0 };
  Table table, other;

  table_init (&table, test, 1);
  table_init (&other, test, 1);
  holder_init (&holder, &table);
  holder_init (&other_holder, &other);
  acquire_async (&other, -1, NULL, ipc_test_async_cb, &async);
  acquire_async (&table, -1, NULL, nested_cb, &nested);
  g_assert_cmpint (write (holder.to, "r", 1), ==, 1);
  ipc_test_wait_for (nested.slot == 1);
  holder_end (&holder);
  holder_end (&other_holder);
  table_clear (&other);
  table_clear (&table);
}

static void
test_at_once (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  Table table;

  table_init (&table, test, 1);
  acquire_async (&table, -1, NULL, ipc_test_async_cb, &async);
  g_assert_cmpuint (async.n_callbacks, ==, 0);
  g_assert_cmpuint (acquire_finish (&async, NULL), ==, 1);
  assert_no_waiter (&table);
  table_clear (&table);
}

static void
test_holder_killed (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GError) error = NULL;
  Holder holder;
  Table table;

  table_init (&table, test, 1);
  holder_init (&holder, &table);
  acquire_async (&table, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  kill (holder.pid, SIGKILL);
  g_assert_cmpuint (acquire_finish (&async, &error), ==, 1);
  g_assert_no_error (error);
  holder_end (&holder);
  table_clear (&table);
}

/* In time order, of two waits with a deadline and one without, and of one that is cancelled. */
static void
test_give_up (IpcTest *test)
{
  g_auto (IpcTestAsync) late = { 0 }, cancelled = { 0 }, before = { 0 }, stays = { 0 };
  g_autoptr (GCancellable) cancellable = g_cancellable_new (), done = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  Table table;
  guint slot;

  table_init (&table, test, 1);
  g_assert_true (ipc_slots_try (&table.slots, &slot));
  g_cancellable_cancel (done);
  acquire_async (&table, -1, done, ipc_test_async_cb, &before);
  acquire_async (&table, -1, cancellable, ipc_test_async_cb, &cancelled);
  acquire_async (&table, 20, NULL, ipc_test_async_cb, &late);
  acquire_async (&table, -1, NULL, ipc_test_async_cb, &stays);
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (acquire_finish (&cancelled, &error), ==, 0);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_cmpuint (acquire_finish (&before, &error), ==, 0);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_cmpuint (acquire_finish (&late, &error), ==, 0);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  g_assert_cmpuint (stays.n_callbacks, ==, 0);
  g_assert_true (ipc_slots_release (&table.slots, slot));
  g_assert_cmpuint (acquire_finish (&stays, NULL), ==, 1);
  assert_no_waiter (&table);
  table_clear (&table);
}

static void
test_deleted (IpcTest *test)
{
  g_auto (IpcTestAsync) async = { 0 };
  g_autoptr (GError) error = NULL;
  Holder holder;
  Table table;

  table_init (&table, test, 1);
  holder_init (&holder, &table);
  acquire_async (&table, -1, NULL, ipc_test_async_cb, &async);
  atomic_store (table.deleted, 1);
  ipc_slots_wake (&table.slots, TRUE);
  g_assert_cmpuint (acquire_finish (&async, &error), ==, 0);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
  atomic_store (table.deleted, 0);
  holder_end (&holder);
  table_clear (&table);
}

/* ── Many ── */

#define N_WAITS 1000u

typedef struct
{
  Table *table;
  guint n_done;
} Crowd;

static void
one_of_crowd_done (GObject *source, GAsyncResult *result, gpointer data)
{
  Crowd *crowd = data;
  g_autoptr (GError) error = NULL;
  guint slot = GPOINTER_TO_UINT (g_task_propagate_pointer (G_TASK (result), &error));

  g_assert_no_error (error);
  g_assert_cmpuint (slot, ==, 1);
  /* They come in the order in which they began. */
  g_assert_cmpuint (GPOINTER_TO_UINT (g_object_get_data (G_OBJECT (g_task_get_cancellable (G_TASK (result))), "n")), ==, crowd->n_done);
  crowd->n_done++;
  g_assert_true (ipc_slots_release (&crowd->table->slots, 0));
}

static void
test_crowd (IpcTest *test)
{
  IpcTestLedger *ledger = NULL;
  Holder holder;
  Table table;
  Crowd crowd = { .table = &table };

  table_init (&table, test, 1);
  holder_init (&holder, &table);
  for (guint i = 0; i < N_WAITS; i++)
    {
      g_autoptr (GCancellable) number = g_cancellable_new ();

      g_object_set_data (G_OBJECT (number), "n", GUINT_TO_POINTER (i));
      acquire_async (&table, -1, number, one_of_crowd_done, &crowd);
      if (i > 0)
        continue;
      /* What all of them share, and what leads to it. */
      g_assert_true (ipc_bell_ring (table.presence, ipc_presence_get_me (table.presence), 1));
      ledger = ipc_test_ledger_new ();
    }
  g_assert_cmpint (write (holder.to, "r", 1), ==, 1);
  ipc_test_wait_for (crowd.n_done == N_WAITS);
  /* There is no thread for any of them. */
  ipc_test_ledger_check (ledger);
  ipc_test_ledger_free (ledger);
  assert_no_waiter (&table);
  holder_end (&holder);
  table_clear (&table);
}

/* ── Other contexts ── */

static gpointer
take_turns (gpointer data)
{
  Table *table = data;
  g_autoptr (GMainContext) context = g_main_context_new ();

  g_main_context_push_thread_default (context);
  for (guint i = 0; i < 200; i++)
    {
      g_auto (IpcTestAsync) async = { 0 };
      guint slot;

      acquire_async (table, -1, NULL, ipc_test_async_cb, &async);
      slot = acquire_finish (&async, NULL);
      g_assert_cmpuint (slot, >, 0);
      g_assert_true (ipc_slots_release (&table->slots, slot - 1));
    }
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_contexts (IpcTest *test)
{
  GThread *threads[4];
  Table table;

  table_init (&table, test, 2);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("context", take_turns, &table);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (ipc_slots_count_free (&table.slots), ==, 2);
  assert_no_waiter (&table);
  table_clear (&table);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/waiter/bell", test_bell);
  ipc_test_add ("/base/waiter/too-many-bells", test_too_many_bells);
  ipc_test_add ("/base/waiter/bell-of-the-dead", test_bell_of_the_dead);
  ipc_test_add ("/base/waiter/at-once", test_at_once);
  ipc_test_add ("/base/waiter/release", test_release);
  ipc_test_add ("/base/waiter/nested", test_nested);
  ipc_test_add ("/base/waiter/holder-killed", test_holder_killed);
  ipc_test_add ("/base/waiter/give-up", test_give_up);
  ipc_test_add ("/base/waiter/deleted", test_deleted);
  ipc_test_add ("/base/waiter/crowd", test_crowd);
  ipc_test_add ("/base/waiter/contexts", test_contexts);
  return ipc_test_run ();
}
