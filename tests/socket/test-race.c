/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moments: of several servers that start at once, one wins; whoever sees its socket can connect; and one that is
 * killed at whatever moment of its start is in nobody's way.
 *
 * $IPC_TEST_RACES is how many races there are, 500 without it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "socket-test.h"

#define N_RACES 500
#define MAX_RACES 100000
#define LAP 50

typedef struct
{
  guint8 won[2];
  guint8 refused[2];
} Round;

typedef struct
{
  gint arrived; /* (atomic) */
  Round rounds[MAX_RACES]; /* a hole, but for those that are run */
} Race;

static int
count_races (void)
{
  const char *text = g_getenv ("IPC_TEST_RACES");
  int n = text != NULL ? atoi (text) : N_RACES;

  return CLAMP (n, LAP, MAX_RACES) / LAP * LAP;
}

static Race *
map_race (const char *path)
{
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  Race *race;

  g_assert_no_errno (fd);
  g_assert_no_errno (ftruncate (fd, sizeof *race));
  race = mmap (NULL, sizeof *race, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  g_assert_true (race != MAP_FAILED);
  close (fd);
  return race;
}

/* Both go on at the same moment; where they cannot run at the same time, the processor is left to the other. */
static void
meet (Race *race, gint *met)
{
  *met += 2;
  g_atomic_int_inc (&race->arrived);
  for (guint spins = 0; g_atomic_int_get (&race->arrived) < *met; spins++)
    if (spins < 1000)
      sched_yield ();
    else
      g_usleep (20);
}

static void
race_once (Race *race, int me, int round, const char *path, gint *met)
{
  g_autoptr (IpcServer) server = IPC_SERVER (ipc_socket_server_new (path));
  g_autoptr (GError) error = NULL;

  /* every other time there is a stale socket to be replaced */
  if (me == 0 && round % 2 == 0)
    raw_leave_stale (path);
  meet (race, met);
  race->rounds[round].won[me] = (guint8) ipc_server_start (server, &error);
  race->rounds[round].refused[me] = (guint8) g_error_matches (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE);
  if (error != NULL && !race->rounds[round].refused[me])
    g_printerr ("%s\n", error->message);
  meet (race, met);
  ipc_server_stop (server);
  meet (race, met);
}

static int
play_racer (char **arguments)
{
  Race *race = map_race (arguments[0]);
  gint met = 0;

  for (int round = 0; round < count_races (); round++)
    {
      race_once (race, atoi (arguments[2]), round, arguments[1], &met);
      if ((round + 1) % LAP == 0)
        ipc_test_tell ("lap");
    }
  munmap (race, sizeof *race);
  return 0;
}

static void
test_race (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autofree char *shared = ipc_test_path (test, "shared");
  Race *race = map_race (shared);
  g_autoptr (IpcTestPeer) one = ipc_test_peer_spawn ("racer", (const char *[]) { shared, path, "0", NULL });
  g_autoptr (IpcTestPeer) other = ipc_test_peer_spawn ("racer", (const char *[]) { shared, path, "1", NULL });
  int n = count_races ();
  int first = 0;

  ipc_test_set_deadline (30 + (guint) n / 20);
  for (int lap = 0; lap < n / LAP; lap++)
    {
      ipc_test_peer_expect (one, "lap");
      ipc_test_peer_expect (other, "lap");
    }
  g_assert_cmpint (ipc_test_peer_wait (one), ==, 0);
  g_assert_cmpint (ipc_test_peer_wait (other), ==, 0);
  for (int round = 0; round < n; round++)
    {
      const Round *one_round = &race->rounds[round];

      g_assert_cmpint (one_round->won[0] + one_round->won[1], ==, 1);
      g_assert_cmpint (one_round->refused[0] + one_round->refused[1], ==, 1);
      first += one_round->won[0];
    }
  g_test_message ("of %d races %d and %d were won", n, first, n - first);
  munmap (race, sizeof *race);
}

/* Starts a server at PATH.N for each line, and stops the one before. */
static int
play_starter (char **arguments)
{
  g_autoptr (IpcServer) server = NULL;

  for (;;)
    {
      g_autofree char *number = ipc_test_hear ();
      g_autofree char *path = NULL;

      if (number == NULL)
        return 0;
      g_clear_object (&server);
      path = g_strconcat (arguments[0], ".", number, NULL);
      server = IPC_SERVER (ipc_socket_server_new (path));
      if (!ipc_server_start (server, NULL))
        return 1;
    }
}

/* Whoever sees the file can connect: there is no moment between the two. */
static void
connect_as_soon_as_it_is_there (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  gint64 end = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;

  g_assert_no_errno (fd);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  while (connect (fd, (struct sockaddr *) &address, sizeof address) != 0)
    {
      g_assert_cmpint (errno, ==, ENOENT);
      g_assert_cmpint (g_get_monotonic_time (), <, end);
    }
  close (fd);
}

static void
test_visible_is_reachable (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("starter", (const char *[]) { path, NULL });

  for (guint i = 0; i < 300; i++)
    {
      g_autofree char *number = g_strdup_printf ("%u", i);
      g_autofree char *one = g_strconcat (path, ".", number, NULL);

      ipc_test_peer_write_line (peer, number);
      connect_as_soon_as_it_is_there (one);
    }
  ipc_test_peer_close_stdin (peer);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
}

/* ── Killed while it starts ── */

/* Starts a server, one step between two system calls after the other; the one who traces it says how many. */
static G_NORETURN void
start_traced (const char *path)
{
  g_autoptr (GMainContext) context = g_main_context_new ();
  g_autoptr (IpcServer) server = NULL;

  g_main_context_push_thread_default (context);
  server = IPC_SERVER (ipc_socket_server_new (path));
  if (ptrace (PTRACE_TRACEME, 0, NULL, NULL) != 0)
    _exit (2);
  raise (SIGSTOP);
  _exit (ipc_server_start (server, NULL) ? 0 : 1);
}

/* Kills it after N steps. FALSE: it had started before. */
static gboolean
kill_after (const char *path, guint n, gboolean *may_trace)
{
  pid_t pid = fork ();
  int status;

  g_assert_no_errno (pid);
  if (pid == 0)
    start_traced (path);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  *may_trace = WIFSTOPPED (status);
  for (guint i = 0; i < n && WIFSTOPPED (status); i++)
    {
      g_assert_no_errno (ptrace (PTRACE_SYSCALL, pid, NULL, NULL));
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
    }
  if (WIFEXITED (status))
    {
      g_assert_cmpint (WEXITSTATUS (status), ==, *may_trace ? 0 : 2);
      return FALSE;
    }
  g_assert_true (WIFSTOPPED (status));
  g_assert_no_errno (kill (pid, SIGKILL));
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSIGNALED (status));
  return TRUE;
}

/* PATH, and nothing in its directory but what is always there. */
static void
check_successor (const char *directory, const char *path, guint n)
{
  g_autoptr (Service) service = service_start_at (path);
  g_autoptr (IpcClient) client = client_open (path);
  g_autoptr (GDir) names = g_dir_open (directory, 0, NULL);
  const char *name;

  client_check (client);
  while ((name = g_dir_read_name (names)) != NULL)
    if (!g_str_equal (name, SOCKET_NAME) && !g_str_equal (name, "." SOCKET_NAME ".lock"))
      g_error ("killed after %u steps, it left %s", n, name);
}

static void
test_killed_in_start (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  gboolean may_trace;
  guint n = 0;

  while (kill_after (path, n, &may_trace))
    {
      /* now and then to what several have left */
      if (n % 3 != 2)
        check_successor (test->directory, path, n);
      n++;
    }
  if (!may_trace)
    {
      g_test_skip ("needs ptrace");
      return;
    }
  check_successor (test->directory, path, n);
  g_test_message ("killed at each of %u steps", n);
  g_assert_cmpuint (n, >, 50);
}

static const IpcTestRole roles[] = {
  { "racer", play_racer },
  { "starter", play_starter },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/race/start", test_race);
  ipc_test_add ("/socket/race/visible-is-reachable", test_visible_is_reachable);
  ipc_test_add ("/socket/race/killed-in-start", test_killed_in_start);
  return ipc_test_run ();
}
