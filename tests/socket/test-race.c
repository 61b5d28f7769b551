/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Moments: of several servers that start at once, one wins; and whoever sees its socket can connect.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket-test.h"

#define N_RACES 300
#define LAP 30

typedef struct
{
  gint arrived; /* (atomic) */
  gint won[2][N_RACES];
  gint refused[2][N_RACES];
} Race;

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
  race->won[me][round] = ipc_server_start (server, &error);
  race->refused[me][round] = g_error_matches (error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE);
  if (error != NULL && !race->refused[me][round])
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

  for (int round = 0; round < N_RACES; round++)
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
  guint first = 0;

  for (guint lap = 0; lap < N_RACES / LAP; lap++)
    {
      ipc_test_peer_expect (one, "lap");
      ipc_test_peer_expect (other, "lap");
    }
  g_assert_cmpint (ipc_test_peer_wait (one), ==, 0);
  g_assert_cmpint (ipc_test_peer_wait (other), ==, 0);
  for (guint round = 0; round < N_RACES; round++)
    {
      g_assert_cmpint (race->won[0][round] + race->won[1][round], ==, 1);
      g_assert_cmpint (race->refused[0][round] + race->refused[1][round], ==, 1);
      first += (guint) race->won[0][round];
    }
  g_test_message ("of %d races %u and %u were won", N_RACES, first, N_RACES - first);
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
  return ipc_test_run ();
}
