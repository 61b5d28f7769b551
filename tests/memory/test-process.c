/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Segments between processes: what is read is whole, whoever writes, is killed, is stopped or forks meanwhile.
 */
#include "memory-test.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "core/ipc-section.h"

#define SMALL 2048u             /* is completed by whoever comes next */
#define LARGE (1024 * 1024u)    /* is torn */
#define N_DIFFERENT 100u        /* what has to be seen, so that writers were there, too */

typedef struct
{
  IpcSharedMemoryManager *manager; /* (owned) */
  IpcSharedMemory *segment;        /* (owned) */
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test, gsize size)
{
  self->manager = memory_test_manager_new (test->directory);
  self->segment = memory_test_create (self->manager, "x", size);
}

static void
fixture_clear (Fixture *self)
{
  if (self->segment != NULL)
    ipc_test_assert_finalized (self->segment);
  ipc_test_assert_finalized (self->manager);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static IpcTestPeer *
start_storm (IpcTest *test, gsize size)
{
  g_autofree char *command = g_strdup_printf ("storm %" G_GSIZE_FORMAT, size);
  IpcTestPeer *peer = memory_test_spawn (test->directory, "x");

  memory_test_command (peer, command, "storming");
  return peer;
}

static void
command (IpcTestPeer *peer, const char *line, const char *answer)
{
  memory_test_command (peer, line, answer);
}

/* How often, where a run of the tests by hand may take longer. */
static guint
get_count (const char *variable, guint normal)
{
  const char *n = g_getenv (variable);

  return n != NULL ? (guint) g_ascii_strtoull (n, NULL, 10) : normal;
}

/* FALSE with OWNER_DIED. */
static gboolean
read_block (IpcSharedMemory *segment, guint64 *block, gsize size)
{
  g_autoptr(GError) error = NULL;

  if (!ipc_shared_memory_read_into (segment, 0, block, size, &error))
    {
      g_assert_error (error, IPC_ERROR, IPC_ERROR_OWNER_DIED);
      return FALSE;
    }
  if (!memory_test_is_whole (block, size))
    g_error ("half of two writes was read");
  return TRUE;
}

/* The first bytes of a write are there just now, most of them are not. */
static void
wait_for_write (Fixture *fixture)
{
  const _Atomic guint64 *first = ipc_shared_memory_peek (fixture->segment, NULL);
  guint64 before = atomic_load (first);

  ipc_test_wait_for (atomic_load (first) != before);
  before = atomic_load (first);
  while (atomic_load (first) == before)
    continue;
}

/* ── In order ── */

static void
test_two (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  gint64 sum;

  fixture_init (&fixture, test, 10000);
  peer = memory_test_spawn (test->directory, "x");
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (fixture.segment), ==, 2);
  command (peer, "write 100 7 9000", "written");
  memory_test_assert_value (fixture.segment, 100, 7, 9000);
  memory_test_assert_value (fixture.segment, 0, 0, 100);
  memory_test_write_value (fixture.segment, 0, 8, 50);
  command (peer, "read 0 50", "8");
  command (peer, "read 0 51", "mixed");
  command (peer, "add 9200 5", "5");
  g_assert_true (ipc_shared_memory_add_int64 (fixture.segment, 9200, 5, &sum, NULL));
  g_assert_cmpint (sum, ==, 10);
  command (peer, "resize 20000", "resized");
  g_assert_cmpuint (ipc_shared_memory_get_size (fixture.segment), ==, 20000);
  memory_test_write_value (fixture.segment, 0, 9, 20000);
  command (peer, "read 0 20000", "9");
  command (peer, "quit", NULL);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (fixture.segment), ==, 1);
}

/* ── At the same time ── */

static void
read_against_writers (IpcTest *test, gsize size, guint n)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree guint64 *block = g_malloc (size);
  g_autoptr(IpcTestPeer) one = NULL;
  g_autoptr(IpcTestPeer) two = NULL;
  guint64 seen = 0;
  guint n_different = 0, i;
  gint64 start;

  ipc_test_set_deadline (60 + n / 2000);
  fixture_init (&fixture, test, size);
  one = start_storm (test, size);
  two = start_storm (test, size);
  start = g_get_monotonic_time ();
  for (i = 0; i < n || n_different < N_DIFFERENT; i++)
    {
      g_assert_true (read_block (fixture.segment, block, size));
      n_different += block[0] != seen;
      seen = block[0];
    }
  g_test_message ("%u reads of %" G_GSIZE_FORMAT " bytes, %u of them different from the one before, %.1f s", i, size, n_different,
                  (double) (g_get_monotonic_time () - start) / G_USEC_PER_SEC);
}

static void
test_reads_small (IpcTest *test)
{
  read_against_writers (test, 1024, get_count ("IPC_TEST_READS", 50000));
}

static void
test_reads_large (IpcTest *test)
{
  read_against_writers (test, LARGE, get_count ("IPC_TEST_READS", 50000) / 100);
}

/* ── Killed ── */

/* While it writes, what is read is whole; and after it was killed, too, or known to be torn. */
static void
kill_writer (IpcTest *test, Fixture *fixture, GRand *rand, gsize size, guint *n_torn)
{
  g_autoptr(IpcTestPeer) peer = start_storm (test, size);
  g_autofree guint64 *block = g_malloc (size);

  for (gint i = g_rand_int_range (rand, 1, 50); i > 0; i--)
    g_assert_true (read_block (fixture->segment, block, size));
  wait_for_write (fixture);
  for (volatile gint i = g_rand_int_range (rand, 0, 20000); i > 0; i--)
    continue;
  ipc_test_peer_kill (peer);
  if (read_block (fixture->segment, block, size))
    return;
  g_assert_cmpuint (size, >, IPC_SECTION_ATOMIC);
  g_assert_false (ipc_shared_memory_get_is_consistent (fixture->segment));
  *n_torn += 1;
}

#define HALVES (1u << 20)

/* (transfer full): one that has written a half of it. */
static IpcTestPeer *
start_half_write (IpcTest *test)
{
  IpcTestPeer *peer = memory_test_spawn (test->directory, "x");
  g_autofree char *line = g_strdup_printf ("stop-in-write %u", HALVES);

  command (peer, line, NULL);
  memory_test_wait_stopped (peer);
  return peer;
}

/* What it was writing is known to be torn, what is beside it is not. */
static void
test_killed_in_write (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test, HALVES + 4096);
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr(IpcTestPeer) peer = start_half_write (test);
      guint8 byte;

      ipc_test_peer_kill (peer);
      memory_test_fails (ipc_shared_memory_read_into (fixture.segment, 0, &byte, 1, &error), &error, IPC_ERROR_OWNER_DIED);
      memory_test_fails (ipc_shared_memory_read_into (fixture.segment, HALVES - 1, &byte, 1, &error), &error, IPC_ERROR_OWNER_DIED);
      g_assert_false (ipc_shared_memory_get_is_consistent (fixture.segment));
      memory_test_assert_value (fixture.segment, HALVES, 0, 4096);
      /* A part of it is not all of it. */
      memory_test_write_value (fixture.segment, 0, 2, HALVES - 1);
      g_assert_false (ipc_shared_memory_get_is_consistent (fixture.segment));
      if (i == 0)
        memory_test_write_value (fixture.segment, 0, 3, HALVES);
      else
        g_assert_true (ipc_shared_memory_mark_consistent (fixture.segment, &error));
      g_assert_no_error (error);
      g_assert_true (ipc_shared_memory_get_is_consistent (fixture.segment));
      memory_test_assert_value (fixture.segment, 0, i == 0 ? 3 : 2, HALVES - 1);
    }
}

/* What is torn is mended by writing it anew, or by saying so. */
static void
mend (Fixture *fixture, guint8 value, gboolean write)
{
  g_autoptr(GError) error = NULL;

  if (write)
    memory_test_write_value (fixture->segment, 0, value, LARGE);
  else
    g_assert_true (ipc_shared_memory_mark_consistent (fixture->segment, &error));
  g_assert_no_error (error);
  g_assert_true (ipc_shared_memory_get_is_consistent (fixture->segment));
  memory_test_write_value (fixture->segment, 0, 0, LARGE);
}

static void
test_killed_writers (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  guint n_torn = 0, n = get_count ("IPC_TEST_KILLS", 30);

  ipc_test_set_deadline (60 + n);
  fixture_init (&fixture, test, LARGE + 64);
  memory_test_write_value (fixture.segment, LARGE, 9, 64);
  for (guint i = 0; i < n; i++)
    {
      kill_writer (test, &fixture, rand, i % 2 == 0 ? SMALL : LARGE, &n_torn);
      /* What is beside it is as it was. */
      memory_test_assert_value (fixture.segment, LARGE, 9, 64);
      mend (&fixture, (guint8) i, i % 4 == 1);
    }
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (fixture.segment), ==, 1);
  g_test_message ("%u killed, %u of them while they wrote much", n, n_torn);
}

static int
play_reader (char **arguments)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (arguments[0]);
  g_autoptr(IpcSharedMemory) segment = memory_test_open (manager, arguments[1]);
  g_autofree guint64 *block = g_malloc (LARGE);
  guint n_died = 0;
  guint64 n;

  ipc_test_tell ("ready");
  for (n = 0; n < 200; n++)
    if (!read_block (segment, block, n % 2 == 0 ? SMALL : LARGE))
      n_died++;
  ipc_test_tell ("whole");
  g_message ("%u of %" G_GUINT64_FORMAT " reads were of what a dead process left", n_died, n);
  return 0;
}

/* Readers in other processes, while writers come and are killed. */
static void
test_killed_under_readers (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  const char *const arguments[] = { test->directory, "x", NULL };
  IpcTestPeer *readers[2], *writers[2] = { NULL };
  guint n = get_count ("IPC_TEST_KILLS", 20);

  ipc_test_set_deadline (60 + n);
  fixture_init (&fixture, test, LARGE);
  for (guint i = 0; i < G_N_ELEMENTS (readers); i++)
    {
      readers[i] = ipc_test_peer_spawn ("reader", arguments);
      ipc_test_peer_expect (readers[i], "ready");
    }
  for (guint i = 0; i < n; i++)
    {
      IpcTestPeer **writer = &writers[g_rand_int_range (rand, 0, 2)];

      g_clear_pointer (writer, ipc_test_peer_free);
      *writer = start_storm (test, LARGE);
    }
  for (guint i = 0; i < G_N_ELEMENTS (readers); i++)
    {
      ipc_test_peer_expect (readers[i], "whole");
      g_assert_cmpint (ipc_test_peer_wait (readers[i]), ==, 0);
      ipc_test_peer_free (readers[i]);
    }
  for (guint i = 0; i < G_N_ELEMENTS (writers); i++)
    g_clear_pointer (&writers[i], ipc_test_peer_free);
  memory_test_write_value (fixture.segment, 0, 3, LARGE);
  memory_test_assert_value (fixture.segment, 0, 3, LARGE);
}

/* Two numbers that are changed with the lock are the same, or who takes it is told. */
static void
test_killed_with_lock (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  guint n_told = 0, n = get_count ("IPC_TEST_KILLS", 30);

  ipc_test_set_deadline (60 + n);
  fixture_init (&fixture, test, 4096);
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(IpcTestPeer) peer = memory_test_spawn (test->directory, "x");
      g_autoptr(GError) error = NULL;
      gint64 one, two;

      command (peer, "locking-storm", "storming");
      ipc_test_iterate (i % 3);
      ipc_test_peer_kill (peer);
      if (!ipc_shared_memory_lock (fixture.segment, 10000, NULL, &error))
        {
          g_assert_error (error, IPC_ERROR, IPC_ERROR_OWNER_DIED);
          n_told++;
        }
      g_assert_true (ipc_shared_memory_read_int64 (fixture.segment, 0, &one, NULL));
      g_assert_true (ipc_shared_memory_read_int64 (fixture.segment, 64, &two, NULL));
      if (error == NULL)
        g_assert_cmpint (one, ==, two);
      g_assert_true (ipc_shared_memory_write_int64 (fixture.segment, 64, one, NULL));
      g_assert_true (ipc_shared_memory_mark_consistent (fixture.segment, NULL));
      g_assert_true (ipc_shared_memory_unlock (fixture.segment, NULL));
    }
  g_test_message ("%u of %u died with the lock", n_told, n);
}

/* Nobody is left: what is there can be opened, and is cleaned up later. */
static void
test_all_killed (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcTestPeer *peers[3];
  guint64 block[SMALL / sizeof (guint64)];

  fixture_init (&fixture, test, SMALL);
  g_clear_object (&fixture.segment);
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    peers[i] = start_storm (test, SMALL);
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    ipc_test_peer_free (peers[i]);
  fixture.segment = memory_test_open (fixture.manager, "x");
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (fixture.segment), ==, 1);
  g_assert_true (read_block (fixture.segment, block, SMALL));
  memory_test_write_value (fixture.segment, 0, 1, SMALL);
  ipc_manager_set_idle_timeout (IPC_MANAGER (fixture.manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), NULL), ==, 0);
  g_clear_object (&fixture.segment);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), NULL), ==, 1);
}

/* ── Stopped ── */

/* Others wait for it, but not for ever; who is not concerned does not wait at all. */
static void
test_stopped_writer (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;
  gint64 start;
  guint8 byte;

  fixture_init (&fixture, test, HALVES + 4096);
  peer = start_half_write (test);
  start = g_get_monotonic_time ();
  memory_test_fails (ipc_shared_memory_read_into (fixture.segment, 0, &byte, 1, &error), &error, IPC_ERROR_TIMED_OUT);
  g_assert_cmpint (g_get_monotonic_time () - start, >=, IPC_SECTION_PATIENCE_NS / 1000);
  start = g_get_monotonic_time ();
  memory_test_assert_value (fixture.segment, HALVES, 0, 4096);
  g_assert_cmpint (g_get_monotonic_time () - start, <, IPC_SECTION_PATIENCE_NS / 1000);
  memory_test_fails (ipc_shared_memory_write_data (fixture.segment, HALVES, "x", 1, &error), &error, IPC_ERROR_TIMED_OUT);
  ipc_test_peer_signal (peer, SIGCONT);
  ipc_test_peer_expect (peer, "written");
  memory_test_assert_value (fixture.segment, 0, 1, HALVES);
  memory_test_write_value (fixture.segment, HALVES, 1, 1);
}

/* ── Forked ── */

static void
test_fork (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test, 10000);
  peer = memory_test_spawn (test->directory, "x");
  command (peer, "try", "got");
  command (peer, "fork", "forked");
  /* The parent has what it has, and goes on. */
  g_assert_false (ipc_shared_memory_try_lock (fixture.segment, &error));
  g_assert_no_error (error);
  command (peer, "write 0 5 10000", "written");
  command (peer, "read 0 10000", "5");
  command (peer, "unlock", "unlocked");
  command (peer, "try", "got");
  /* Its child lives, and keeps nothing. */
  ipc_test_peer_kill (peer);
  memory_test_fails (ipc_shared_memory_lock (fixture.segment, 10000, NULL, &error), &error, IPC_ERROR_OWNER_DIED);
  g_assert_true (ipc_shared_memory_mark_consistent (fixture.segment, &error));
  g_assert_true (ipc_shared_memory_unlock (fixture.segment, &error));
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (fixture.segment), ==, 1);
  g_clear_object (&fixture.segment);
  ipc_manager_set_idle_timeout (IPC_MANAGER (fixture.manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), NULL), ==, 1);
}

/* ── In a namespace ── */

static IpcTestPeer *
spawn_in_namespace (IpcTest *test)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  const char *const argv[] = { "env", "ASAN_OPTIONS=detect_leaks=0", "unshare", "-pf", "--kill-child", program,
                               "--ipc-test-peer=memory-peer", test->directory, "x", NULL };

  return ipc_test_peer_spawn_program (argv);
}

static gboolean
can_unshare (void)
{
  const char *const argv[] = { "unshare", "-pf", "--kill-child", "true", NULL };
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn_program (argv);

  if (ipc_test_peer_wait (peer) == 0)
    return TRUE;
  g_test_skip ("needs root and PID namespaces");
  return FALSE;
}

/* Both are process 1 where they are, and are not taken for one another. */
static void
test_namespace (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) one = NULL;
  g_autoptr(IpcTestPeer) two = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *owner_died = g_strdup_printf ("error %d", IPC_ERROR_OWNER_DIED);

  fixture_init (&fixture, test, 10000);
  if (!can_unshare ())
    return;
  one = spawn_in_namespace (test);
  two = spawn_in_namespace (test);
  ipc_test_peer_expect (one, "ready");
  ipc_test_peer_expect (two, "ready");
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (fixture.segment), ==, 3);
  command (one, "write 0 5 10000", "written");
  command (two, "read 0 10000", "5");
  command (one, "try", "got");
  command (two, "try", "none");
  command (two, "lock -1", NULL);
  ipc_test_peer_kill (one);
  ipc_test_peer_expect (two, owner_died);
  g_assert_false (ipc_shared_memory_try_lock (fixture.segment, &error));
  g_assert_no_error (error);
  ipc_test_peer_kill (two);
  ipc_test_wait_for (ipc_shared_memory_get_n_attached (fixture.segment) == 1);
  memory_test_fails (ipc_shared_memory_lock (fixture.segment, 10000, NULL, &error), &error, IPC_ERROR_OWNER_DIED);
  g_assert_true (ipc_shared_memory_unlock (fixture.segment, NULL));
}

/* ── Deleted and made again, all the time ── */

static int
play_maker (char **arguments)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (arguments[0]);

  ipc_test_tell ("ready");
  for (guint i = 0;; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(IpcSharedMemory) segment = ipc_shared_memory_manager_create_segment (manager, "y", 4096, 0, &error);

      if (segment != NULL)
        memory_test_assert_value (segment, 8, 0, 100);
      else if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_EXISTS))
        g_error ("%s", error->message);
      g_clear_error (&error);
      if (!ipc_shared_memory_manager_delete_segment (manager, "y", &error) && !g_error_matches (error, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        g_error ("%s", error->message);
    }
  return 0;
}

/* What is opened is whole, and never one that was not made yet or is another one. */
static void
test_deleted_and_made (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  const char *const arguments[] = { test->directory, NULL };
  IpcTestPeer *makers[2];
  guint n_opened = 0;
  guint64 last = 0;

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < G_N_ELEMENTS (makers); i++)
    {
      makers[i] = ipc_test_peer_spawn ("maker", arguments);
      ipc_test_peer_expect (makers[i], "ready");
    }
  for (guint i = 0; i < 100000 && n_opened < 50; i++)
    {
      g_autoptr(GError) error = NULL;
      g_autoptr(IpcSharedMemory) segment = ipc_shared_memory_manager_open_segment (fixture.manager, "y", 0, &error);

      if (segment == NULL)
        {
          g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
          continue;
        }
      n_opened++;
      g_assert_cmpuint (ipc_shared_memory_get_size (segment), ==, 4096);
      g_assert_cmpuint (ipc_shared_memory_get_generation (segment), >, 0);
      last = ipc_shared_memory_get_generation (segment);
      g_assert_true (ipc_shared_memory_write_int64 (segment, 0, 1, &error));
      g_assert_no_error (error);
    }
  g_test_message ("opened %u, the last one is of generation %" G_GUINT64_FORMAT, n_opened, last);
  for (guint i = 0; i < G_N_ELEMENTS (makers); i++)
    ipc_test_peer_free (makers[i]);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { MEMORY_TEST_ROLE, { "reader", play_reader }, { "maker", play_maker }, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/memory/process/two", test_two);
  ipc_test_add ("/memory/process/reads/small", test_reads_small);
  ipc_test_add ("/memory/process/reads/large", test_reads_large);
  ipc_test_add ("/memory/process/killed/writers", test_killed_writers);
  ipc_test_add ("/memory/process/killed/in-write", test_killed_in_write);
  ipc_test_add ("/memory/process/killed/under-readers", test_killed_under_readers);
  ipc_test_add ("/memory/process/killed/with-lock", test_killed_with_lock);
  ipc_test_add ("/memory/process/killed/all", test_all_killed);
  ipc_test_add ("/memory/process/stopped", test_stopped_writer);
  ipc_test_add ("/memory/process/fork", test_fork);
  ipc_test_add ("/memory/process/namespace", test_namespace);
  ipc_test_add ("/memory/process/deleted-and-made", test_deleted_and_made);
  return ipc_test_run ();
}
