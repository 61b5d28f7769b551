/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Semaphores between processes: counted truly, and whole again however one of them ends, stops or forks.
 */
#include "semaphore-test.h"

#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/ipc-slots.h"

/* A wake-up by the sweep takes that long; what comes before it was told by the kernel. (µs) */
#define SWEEP (IPC_SLOTS_SWEEP_NS / 1000)

typedef struct
{
  IpcSemaphoreManager *manager; /* (owned) */
  IpcSemaphore *semaphore;      /* (owned) */
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test, guint permits)
{
  self->manager = semaphore_test_manager_new (test->directory);
  self->semaphore = semaphore_test_create (self->manager, "x", permits);
}

static void
fixture_clear (Fixture *self)
{
  ipc_test_assert_finalized (self->semaphore);
  ipc_test_assert_finalized (self->manager);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static void
command (IpcTestPeer *peer, const char *line, const char *answer)
{
  semaphore_test_peer_command (peer, line, answer);
}

static void
add_n (IpcSemaphore *semaphore, guint n, guint *sum)
{
  *sum += n;
}

static void
count (guint *n)
{
  (*n)++;
}

/* ── In order ── */

static void
test_two (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  IpcPermit *permit;

  fixture_init (&fixture, test, 2);
  peer = semaphore_test_spawn (test->directory, "x");
  permit = semaphore_test_acquire (fixture.semaphore);
  command (peer, "count", "1 0");
  command (peer, "try", "got");
  command (peer, "try", "none");
  semaphore_test_assert_none (fixture.semaphore);
  command (peer, "acquire -1", NULL);
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
  g_assert_cmpuint (ipc_semaphore_manager_get_total_waiters (fixture.manager), ==, 1);
  semaphore_test_release (permit);
  ipc_test_peer_expect (peer, "got");
  command (peer, "count", "0 0");
  command (peer, "release", "released");
  permit = semaphore_test_acquire (fixture.semaphore);
  semaphore_test_release (permit);
  /* A process that ends in order gives back what it has. */
  command (peer, "quit", NULL);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 2);
  g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, 0);
  g_assert_cmpuint (ipc_semaphore_get_acquired_count (fixture.semaphore), ==, 4);
  g_assert_cmpuint (ipc_semaphore_get_released_count (fixture.semaphore), ==, 4);
}

static void
test_holders (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GPtrArray) holders = NULL;
  g_autoptr(GPtrArray) nobody = NULL;
  g_autofree char *label = NULL;

  fixture_init (&fixture, test, 2);
  peer = semaphore_test_spawn (test->directory, "x");
  command (peer, "try", "got");
  holders = ipc_semaphore_list_holders (fixture.semaphore, NULL);
  g_assert_cmpuint (holders->len, ==, 1);
  label = g_strdup_printf ("%d ", ipc_test_peer_get_pid (peer));
  g_assert_true (g_str_has_prefix (ipc_semaphore_holder_get_label (holders->pdata[0]), label));
  g_assert_cmpint (ABS (ipc_semaphore_holder_get_since (holders->pdata[0]) - g_get_real_time ()), <, 20 * G_USEC_PER_SEC);
  ipc_test_peer_kill (peer);
  nobody = ipc_semaphore_list_holders (fixture.semaphore, NULL);
  g_assert_cmpuint (nobody->len, ==, 0);
}

/* What another process makes and deletes is in the list, and is told to those who have it. */
static void
test_list (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(IpcSemaphore) item = NULL;
  guint n_notified = 0;

  fixture_init (&fixture, test, 3);
  item = g_list_model_get_item (ipc_manager_get_items (IPC_MANAGER (fixture.manager)), 0);
  g_signal_connect_swapped (item, "notify::available-permits", G_CALLBACK (count), &n_notified);
  peer = semaphore_test_spawn (test->directory, "x");
  command (peer, "try", "got");
  ipc_test_wait_for (n_notified == 1 && ipc_semaphore_get_available_permits (item) == 2);
  command (peer, "release", "released");
  ipc_test_wait_for (n_notified == 2 && ipc_semaphore_get_available_permits (item) == 3);
}

/* ── Killed ── */

static void
test_killed_holder (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  guint n_recovered = 0;

  fixture_init (&fixture, test, 3);
  g_signal_connect (fixture.semaphore, "permits-recovered", G_CALLBACK (add_n), &n_recovered);
  for (guint i = 1; i <= 5; i++)
    {
      g_autoptr(IpcTestPeer) peer = semaphore_test_spawn (test->directory, "x");
      IpcPermit *permits[3];

      command (peer, "try", "got");
      command (peer, "try", "got");
      g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
      ipc_test_peer_kill (peer);
      /* Nobody has looked yet, and it is so. */
      g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 3);
      for (guint k = 0; k < 3; k++)
        {
          permits[k] = ipc_semaphore_try_acquire (fixture.semaphore, NULL);
          g_assert_nonnull (permits[k]);
        }
      for (guint k = 0; k < 3; k++)
        semaphore_test_release (permits[k]);
      g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, 2 * i);
      ipc_test_wait_for (n_recovered == 2 * i);
    }
}

/* Nobody acquires or waits: who only listens hears of it. */
static void
test_killed_while_idle (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  guint n_recovered = 0;

  fixture_init (&fixture, test, 1);
  g_signal_connect (fixture.semaphore, "permits-recovered", G_CALLBACK (add_n), &n_recovered);
  peer = semaphore_test_spawn (test->directory, "x");
  command (peer, "try", "got");
  ipc_test_peer_kill (peer);
  ipc_test_wait_for (n_recovered == 1);
}

typedef struct
{
  IpcSemaphore *semaphore;
  IpcPermit *permit; /* (owned) */
  gint64 got_at;
} Waiter;

static gpointer
wait_thread (gpointer data)
{
  Waiter *self = data;

  self->permit = semaphore_test_acquire (self->semaphore);
  self->got_at = g_get_monotonic_time ();
  return NULL;
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  return *(const gint64 *) a < *(const gint64 *) b ? -1 : *(const gint64 *) a > *(const gint64 *) b;
}

/* A blocked waiter gets what a killed process held because the kernel told, not because it looked again. */
static void
test_killed_with_waiter (IpcTest *test)
{
  enum { N = 40 };
  g_auto(Fixture) fixture = { 0 };
  gint64 times[N];

  fixture_init (&fixture, test, 1);
  for (guint i = 0; i < N; i++)
    {
      g_autoptr(IpcTestPeer) peer = semaphore_test_spawn (test->directory, "x");
      Waiter waiter = { fixture.semaphore, NULL, 0 };
      GThread *thread;
      gint64 killed_at;

      command (peer, "try", "got");
      thread = g_thread_new ("wait", wait_thread, &waiter);
      ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
      killed_at = g_get_monotonic_time ();
      g_assert_no_errno (kill (ipc_test_peer_get_pid (peer), SIGKILL));
      g_thread_join (thread);
      times[i] = waiter.got_at - killed_at;
      semaphore_test_release (waiter.permit);
      ipc_test_peer_kill (peer);
    }
  g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, N);
  qsort (times, N, sizeof times[0], compare_times);
  g_test_message ("from kill to permit: median %.2f ms, slowest %.2f ms", (double) times[N / 2] / 1000, (double) times[N - 1] / 1000);
  /* Sweeping alone would make it half of the interval in the mean. */
  g_assert_cmpint (times[N / 2], <, SWEEP / 3);
}

static void
test_killed_waiter (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) killed = NULL;
  g_autoptr(IpcTestPeer) other = NULL;
  IpcPermit *permit;

  fixture_init (&fixture, test, 1);
  killed = semaphore_test_spawn (test->directory, "x");
  other = semaphore_test_spawn (test->directory, "x");
  permit = semaphore_test_acquire (fixture.semaphore);
  command (killed, "acquire -1", NULL);
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
  command (other, "acquire -1", NULL);
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 2);
  ipc_test_peer_kill (killed);
  semaphore_test_release (permit);
  ipc_test_peer_expect (other, "got");
  command (other, "release", "released");
  permit = semaphore_test_acquire (fixture.semaphore);
  semaphore_test_release (permit);
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 0);
}

/* ── Deleted ── */

static void
test_deleted_with_waiters (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  IpcTestPeer *peers[4];
  g_autoptr(IpcTestPeer) late = NULL;
  g_autoptr(IpcSemaphore) next = NULL;
  g_autofree char *deleted = g_strdup_printf ("error %d", IPC_ERROR_DELETED);
  IpcPermit *permit;

  fixture_init (&fixture, test, 1);
  permit = semaphore_test_acquire (fixture.semaphore);
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    {
      peers[i] = semaphore_test_spawn (test->directory, "x");
      command (peers[i], "acquire -1", NULL);
    }
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == G_N_ELEMENTS (peers));
  g_assert_true (ipc_semaphore_manager_delete_semaphore (fixture.manager, "x", NULL));
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    ipc_test_peer_expect (peers[i], deleted);
  /* Those who have the old one go on with it, whoever comes now has the new one. */
  next = semaphore_test_create (fixture.manager, "x", 1);
  late = semaphore_test_spawn (test->directory, "x");
  command (late, "try", "got");
  semaphore_test_release (permit);
  command (peers[0], "try", "got");
  command (peers[1], "try", "none");
  semaphore_test_assert_none (fixture.semaphore);
  semaphore_test_assert_none (next);
  ipc_test_peer_kill (peers[0]);
  command (peers[1], "try", "got");
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    ipc_test_peer_free (peers[i]);
}

/* ── Stopped, forked, in a namespace ── */

static void
test_stopped (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;
  IpcPermit *permit;

  fixture_init (&fixture, test, 1);
  peer = semaphore_test_spawn (test->directory, "x");
  command (peer, "try", "got");
  ipc_test_peer_signal (peer, SIGSTOP);
  g_assert_null (ipc_semaphore_acquire (fixture.semaphore, 200, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT);
  g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, 0);
  ipc_test_peer_signal (peer, SIGCONT);
  command (peer, "release", "released");
  permit = semaphore_test_acquire (fixture.semaphore);
  /* A waiter that is stopped is in nobody's way for ever. */
  command (peer, "acquire -1", NULL);
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
  ipc_test_peer_signal (peer, SIGSTOP);
  semaphore_test_release (permit);
  ipc_test_peer_signal (peer, SIGCONT);
  ipc_test_peer_expect (peer, "got");
  command (peer, "release", "released");
  semaphore_test_release (semaphore_test_acquire (fixture.semaphore));
}

/* A child has nothing of its parent's, and keeps nothing of it when the parent dies. */
static void
test_fork (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) peer = NULL;
  IpcPermit *permits[2];

  fixture_init (&fixture, test, 2);
  peer = semaphore_test_spawn (test->directory, "x");
  command (peer, "try", "got");
  command (peer, "fork", "forked");
  /* The parent holds what it holds, and goes on. */
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 1);
  command (peer, "try", "got");
  command (peer, "release", "released");
  command (peer, "count", "1 0");
  ipc_test_peer_kill (peer);
  for (guint i = 0; i < 2; i++)
    permits[i] = semaphore_test_acquire (fixture.semaphore);
  g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, 1);
  for (guint i = 0; i < 2; i++)
    semaphore_test_release (permits[i]);
  /* Nor is it attached. */
  g_clear_object (&fixture.semaphore);
  ipc_manager_set_idle_timeout (IPC_MANAGER (fixture.manager), 0);
  g_assert_cmpint (ipc_manager_cleanup (IPC_MANAGER (fixture.manager), NULL), ==, 1);
  fixture.semaphore = semaphore_test_create (fixture.manager, "x", 2);
}

/* Where it is the first process, and knows nobody else. As root without a user namespace of its own, in which the owner
 * of / would be somebody else. */
static const char *const *
get_unshare (void)
{
  static const char *const as_root[] = { "unshare", "-pf", "--kill-child", NULL };
  static const char *const as_user[] = { "unshare", "-Upf", "--map-user=0", "--kill-child", NULL };

  return getuid () == 0 ? as_root : as_user;
}

static IpcTestPeer *
spawn_in_namespace (const char *const *program)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new ();

  g_ptr_array_add (argv, (char *) "env");
  g_ptr_array_add (argv, (char *) "ASAN_OPTIONS=detect_leaks=0");
  for (const char *const *word = get_unshare (); *word != NULL; word++)
    g_ptr_array_add (argv, (char *) *word);
  for (; *program != NULL; program++)
    g_ptr_array_add (argv, (char *) *program);
  g_ptr_array_add (argv, NULL);
  return ipc_test_peer_spawn_program ((const char *const *) argv->pdata);
}

static gboolean
can_unshare (void)
{
  g_autoptr(IpcTestPeer) peer = spawn_in_namespace ((const char *const[]){ "true", NULL });

  if (getuid () == 0 && ipc_test_peer_wait (peer) == 0)
    return TRUE;
  g_test_skip ("needs root and PID namespaces");
  return FALSE;
}

static void
test_namespace (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcTestPeer) one = NULL;
  g_autoptr(IpcTestPeer) two = NULL;
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  const char *const words[] = { program, "--ipc-test-peer=semaphore-peer", test->directory, "x", NULL };
  IpcPermit *permit;

  if (!can_unshare ())
    {
      fixture_init (&fixture, test, 1);
      return;
    }
  fixture_init (&fixture, test, 1);
  one = spawn_in_namespace (words);
  two = spawn_in_namespace (words);
  ipc_test_peer_expect (one, "ready");
  ipc_test_peer_expect (two, "ready");
  /* Both are process 1 where they are, and are not taken for one another. */
  command (one, "try", "got");
  command (two, "try", "none");
  command (two, "acquire -1", NULL);
  ipc_test_wait_for (ipc_semaphore_get_waiters (fixture.semaphore) == 1);
  /* What started the namespace goes, and all in it. */
  ipc_test_peer_kill (one);
  ipc_test_peer_expect (two, "got");
  semaphore_test_assert_none (fixture.semaphore);
  ipc_test_peer_kill (two);
  permit = semaphore_test_acquire (fixture.semaphore);
  semaphore_test_release (permit);
  g_assert_cmpuint (ipc_semaphore_get_recovered_count (fixture.semaphore), ==, 2);
}

/* ── Without system calls ── */

#define N_QUIET 1000

/* From here on the kernel ends this thread at anything but read() and write(). */
static gpointer
quiet_thread (gpointer data)
{
  IpcSemaphore *semaphore = data;

  /* What is made once is made. */
  ipc_permit_unref (semaphore_test_acquire (semaphore));
  if (prctl (PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
    {
      ipc_test_tell ("unsupported");
      return NULL;
    }
  for (guint i = 0; i < N_QUIET; i++)
    {
      IpcPermit *permit = ipc_semaphore_acquire (semaphore, -1, NULL, NULL);

      ipc_permit_release (permit, NULL);
      ipc_permit_unref (permit);
      permit = ipc_semaphore_try_acquire (semaphore, NULL);
      ipc_permit_unref (permit);
    }
  if (write (STDOUT_FILENO, "quiet\n", 6) == 6)
    syscall (SYS_exit, 0);
  return NULL;
}

static int
play_quiet (char **arguments)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (arguments[0]);
  IpcSemaphore *semaphore = semaphore_test_open (manager, arguments[1]);
  g_autofree char *end = NULL;

  g_thread_unref (g_thread_new ("quiet", quiet_thread, semaphore));
  end = ipc_test_hear ();
  _exit (0);
}

static void
test_no_system_call (IpcTest *test)
{
#if defined (__SANITIZE_THREAD__)
  g_test_skip ("the sanitizer makes some of its own");
#else
  g_auto(Fixture) fixture = { 0 };
  const char *const arguments[] = { test->directory, "x", NULL };
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autofree char *line = NULL;

  fixture_init (&fixture, test, 4);
  peer = ipc_test_peer_spawn ("quiet", arguments);
  line = ipc_test_peer_read_line (peer);
  if (g_strcmp0 (line, "unsupported") == 0)
    g_test_skip ("needs seccomp");
  else
    {
      g_assert_cmpstr (line, ==, "quiet");
      g_assert_cmpuint (ipc_semaphore_get_acquired_count (fixture.semaphore), ==, 2 * N_QUIET + 1);
    }
#endif
}

/* ── A crowd that is killed at random ── */

static int
play_worker (char **arguments)
{
  g_autoptr(IpcSemaphoreManager) manager = semaphore_test_manager_new (arguments[0]);
  g_autoptr(IpcSemaphore) semaphore = semaphore_test_open (manager, arguments[1]);

  ipc_test_tell ("ready");
  for (;;)
    {
      IpcPermit *permit = ipc_semaphore_acquire (semaphore, -1, NULL, NULL);

      g_assert_nonnull (permit);
      ipc_permit_unref (permit);
    }
  return 0;
}

static void
test_random_kills (IpcTest *test)
{
  enum { N_WORKERS = 4, N_KILLS = 60 };
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  const char *const arguments[] = { test->directory, "x", NULL };
  IpcTestPeer *workers[N_WORKERS] = { NULL };
  IpcPermit *permits[2];

  fixture_init (&fixture, test, 2);
  for (guint i = 0; i < N_KILLS; i++)
    {
      IpcTestPeer **worker = &workers[g_rand_int_range (rand, 0, N_WORKERS)];

      g_clear_pointer (worker, ipc_test_peer_free);
      *worker = ipc_test_peer_spawn ("worker", arguments);
      ipc_test_peer_expect (*worker, "ready");
    }
  for (guint i = 0; i < N_WORKERS; i++)
    g_clear_pointer (&workers[i], ipc_test_peer_free);
  for (guint i = 0; i < 2; i++)
    permits[i] = semaphore_test_acquire (fixture.semaphore);
  semaphore_test_assert_none (fixture.semaphore);
  for (guint i = 0; i < 2; i++)
    semaphore_test_release (permits[i]);
  g_assert_cmpuint (ipc_semaphore_get_available_permits (fixture.semaphore), ==, 2);
  g_test_message ("%" G_GUINT64_FORMAT " acquired, %" G_GUINT64_FORMAT " recovered from %d that were killed",
                  ipc_semaphore_get_acquired_count (fixture.semaphore), ipc_semaphore_get_recovered_count (fixture.semaphore), N_KILLS);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { SEMAPHORE_TEST_ROLE, { "worker", play_worker }, { "quiet", play_quiet }, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/semaphore/process/two", test_two);
  ipc_test_add ("/semaphore/process/holders", test_holders);
  ipc_test_add ("/semaphore/process/list", test_list);
  ipc_test_add ("/semaphore/process/killed/holder", test_killed_holder);
  ipc_test_add ("/semaphore/process/killed/while-idle", test_killed_while_idle);
  ipc_test_add ("/semaphore/process/killed/with-waiter", test_killed_with_waiter);
  ipc_test_add ("/semaphore/process/killed/waiter", test_killed_waiter);
  ipc_test_add ("/semaphore/process/killed/at-random", test_random_kills);
  ipc_test_add ("/semaphore/process/deleted", test_deleted_with_waiters);
  ipc_test_add ("/semaphore/process/no-system-call", test_no_system_call);
  ipc_test_add ("/semaphore/process/stopped", test_stopped);
  ipc_test_add ("/semaphore/process/fork", test_fork);
  ipc_test_add ("/semaphore/process/namespace", test_namespace);
  return ipc_test_run ();
}
