/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server that has no descriptors left, and clients that wait to be let in. Somebody who is in stays served, it sleeps
 * meanwhile, and all are let in as others leave, over each transport.
 */
#include <glib-unix.h>
#include <stdio.h>
#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "socket-test.h"

#define FEW 64          /* descriptors of a process */
#define MANY 10000
#define CROWD 200
#define LARGE_CROWD 1200
#define PATIENCE_MS 60000       /* of a client that waits */

/* ── A server with few descriptors ── */

typedef struct
{
  Service *service;
  GMainLoop *loop;
  guint n_overloaded;
  guint n_logged;       /* of warnings and worse */
  guint n_turns;        /* of the main loop */
} Poor;

static Poor poor;

static void
count_overload (IpcServer *server, guint *n)
{
  (*n)++;
}

static GLogWriterOutput
count_logged (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  if ((level & (G_LOG_LEVEL_WARNING | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_ERROR)) != 0)
    poor.n_logged++;
  return g_log_writer_default (level, fields, n_fields, data);
}

static gint64
get_cpu_time (void)
{
  struct rusage usage;

  g_assert_no_errno (getrusage (RUSAGE_SELF, &usage));
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * G_USEC_PER_SEC + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

/* Each line that comes is answered with how things are. With a `+` in it there is one descriptor more, with a `*` there are many. */
static gboolean
answer (int fd, GIOCondition condition, gpointer data)
{
  char byte;

  if (read (fd, &byte, 1) <= 0)
    {
      g_main_loop_quit (poor.loop);
      return G_SOURCE_REMOVE;
    }
  if (byte == '+')
    set_soft_limit (FEW + 1);
  if (byte == '*')
    set_soft_limit (MANY);
  if (byte == '\n')
    ipc_test_tell ("%u %u %u %u %" G_GINT64_FORMAT, poor.service->n_connected, poor.n_overloaded, poor.n_logged,
                   poor.n_turns, get_cpu_time ());
  return G_SOURCE_CONTINUE;
}

static gint
poll_and_count (GPollFD *fds, guint n_fds, gint timeout)
{
  poor.n_turns++;
  return g_poll (fds, n_fds, timeout);
}

/* PATH */
static int
play_poor_server (char **arguments)
{
  set_soft_limit (FEW);
  g_log_set_writer_func (count_logged, NULL, NULL);
  g_main_context_set_poll_func (NULL, poll_and_count);
  poor.loop = g_main_loop_new (NULL, FALSE);
  poor.service = service_new (arguments[0]);
  ipc_server_set_max_clients (poor.service->server, MANY);
  g_assert_true (ipc_server_start (poor.service->server, NULL));
  g_signal_connect (poor.service->server, "overloaded", G_CALLBACK (count_overload), &poor.n_overloaded);
  g_unix_fd_add (0, G_IO_IN | G_IO_HUP, answer, NULL);
  ipc_test_tell ("up");
  g_main_loop_run (poor.loop);
  service_free (poor.service);
  g_main_loop_unref (poor.loop);
  return 0;
}

typedef struct
{
  guint n_connected, n_overloaded, n_logged, n_turns;
  gint64 cpu;
  gint64 when;
} Report;

static Report
ask_report (IpcTestPeer *peer)
{
  g_autofree char *line = NULL;
  Report report = { 0 };

  ipc_test_peer_write_line (peer, "");
  line = ipc_test_peer_read_line (peer);
  g_assert_nonnull (line);
  g_assert_cmpint (sscanf (line, "%u %u %u %u %" G_GINT64_FORMAT, &report.n_connected, &report.n_overloaded,
                           &report.n_logged, &report.n_turns, &report.cpu), ==, 5);
  report.when = g_get_monotonic_time ();
  return report;
}

static void
allow_more (IpcTestPeer *peer, const char *command)
{
  ipc_test_peer_write_line (peer, command);
  g_free (ipc_test_peer_read_line (peer));
}

/* ── Many clients ── */

static void
drop_client (gpointer client)
{
  ipc_client_close (client);
  g_object_unref (client);
}

static GPtrArray *
crowd_new (void)
{
  return g_ptr_array_new_with_free_func (drop_client);
}

/* Nobody is turned away. */
static void
open_cb (GObject *client, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  ipc_client_open_finish (IPC_CLIENT (client), result, &error);
  if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_CLOSED))
    g_assert_no_error (error);
}

static void
add_clients (GPtrArray *crowd, const char *path, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      IpcClient *client = transport_client_new (path);

      client->limits.handshake_timeout = PATIENCE_MS;
      ipc_client_open_async (client, NULL, open_cb, NULL);
      g_ptr_array_add (crowd, client);
    }
}

static gboolean
is_in (IpcClient *client)
{
  return ipc_client_get_state (client) == IPC_CLIENT_STATE_OPEN;
}

static guint
count_in (GPtrArray *crowd)
{
  guint n = 0;

  for (guint i = 0; i < crowd->len; i++)
    n += is_in (g_ptr_array_index (crowd, i));
  return n;
}

/* N that are in leave. */
static void
leave (GPtrArray *crowd, guint n)
{
  for (guint i = crowd->len; n > 0 && i > 0; i--)
    if (is_in (g_ptr_array_index (crowd, i - 1)))
      {
        g_ptr_array_remove_index (crowd, i - 1);
        n--;
      }
}

/* ── Episodes ── */

static gboolean
second_is_over (gpointer over)
{
  *(gboolean *) over = TRUE;
  return G_SOURCE_REMOVE;
}

static void
let_a_second_pass (void)
{
  gboolean over = FALSE;

  g_timeout_add (1000, second_is_over, &over);
  ipc_test_wait_for (over);
}

/* While nothing changes it only looks now and then: after a second there have been 10, 20, 40, … 640 ms, at most. */
static void
check_idle (IpcTestPeer *peer)
{
  Report before = ask_report (peer);
  Report after;

  let_a_second_pass ();
  after = ask_report (peer);
  g_test_message ("in %d ms, %u turns and %d µs of processor time", (int) (after.when - before.when) / 1000,
                  after.n_turns - before.n_turns, (int) (after.cpu - before.cpu));
  g_assert_cmpuint (after.n_turns - before.n_turns, <=, 20);
  g_assert_cmpint ((after.cpu - before.cpu) * 20, <=, after.when - before.when);
  g_assert_cmpuint (after.n_logged, ==, 0);
  g_assert_cmpuint (after.n_overloaded, ==, before.n_overloaded);
}

static guint
count_descriptors (guint n_clients)
{
  return transport_is_pipe () ? 2 * n_clients : n_clients;
}

static void
run_episode (IpcTestPeer *peer, const char *path, IpcClient *bystander)
{
  Report before = ask_report (peer);
  g_autoptr (GPtrArray) crowd = crowd_new ();
  guint n_in = 0, n_gone = 0, n_told;
  gint64 closed;

  add_clients (crowd, path, CROWD);
  ipc_test_wait_for (ask_report (peer).n_overloaded > before.n_overloaded);
  ipc_test_wait_for (count_in (crowd) > 0);
  client_check (bystander);
  ipc_test_settle ();
  /* Where they do not come all at once, those that wait may have been let in when others come. */
  n_told = ask_report (peer).n_overloaded;
  check_idle (peer);
  n_in = count_in (crowd);
  g_test_message ("%u of %u are in", n_in, CROWD);
  g_assert_cmpuint (count_descriptors (n_in), >, FEW / 2);
  g_assert_cmpuint (count_descriptors (n_in), <, FEW);

  /* somebody goes, and somebody comes */
  leave (crowd, 10);
  closed = g_get_monotonic_time ();
  ipc_test_wait_for (count_in (crowd) == n_in);
  g_assert_cmpint (g_get_monotonic_time () - closed, <, G_USEC_PER_SEC);
  client_check (bystander);
  for (n_gone = 10; n_gone < CROWD; n_gone += n_in)
    {
      ipc_test_wait_for ((n_in = count_in (crowd)) > 0);
      leave (crowd, n_in);
    }
  g_assert_cmpuint (crowd->len, ==, 0);
  client_check (bystander);
  ipc_test_wait_for (ask_report (peer).n_connected == before.n_connected + CROWD);
  g_assert_cmpuint (ask_report (peer).n_overloaded, ==, n_told);
  g_assert_cmpuint (ask_report (peer).n_logged, ==, 0);
}

static void
test_episodes (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("poor-server", (const char *[]) { path, NULL });
  g_autoptr (IpcClient) bystander = NULL;
  g_autoptr (IpcClient) newcomer = NULL;

  ipc_test_peer_expect (peer, "up");
  bystander = client_open (path);
  run_episode (peer, path, bystander);
  /* A client needs several: the last that is left is another one of them. */
  allow_more (peer, "+");
  run_episode (peer, path, bystander);
  newcomer = client_open (path);
  client_check (newcomer);
  ipc_test_peer_close_stdin (peer);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
}

/* ── Very many, of whom some give up ── */

static void
test_large_crowd (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = NULL;
  g_autoptr (GPtrArray) crowd = crowd_new ();
  struct rlimit limit;
  rlim_t before;
  guint n_in;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < MANY)
    {
      g_test_skip ("needs a hard limit of 10,000 descriptors");
      return;
    }
  ipc_test_set_deadline (120);
  before = set_soft_limit (MANY);
  peer = ipc_test_peer_spawn ("poor-server", (const char *[]) { path, NULL });
  ipc_test_peer_expect (peer, "up");
  add_clients (crowd, path, LARGE_CROWD);
  ipc_test_wait_for (ask_report (peer).n_overloaded > 0);
  ipc_test_settle ();
  n_in = ask_report (peer).n_connected;
  g_ptr_array_remove_range (crowd, LARGE_CROWD / 2, LARGE_CROWD / 4);
  add_clients (crowd, path, LARGE_CROWD / 4);
  ipc_test_settle ();
  allow_more (peer, "*");
  ipc_test_wait_for_full (count_in (crowd) == LARGE_CROWD, 60);
  for (guint i = 0; i < LARGE_CROWD; i += LARGE_CROWD / 5)
    client_check (g_ptr_array_index (crowd, i));
  g_test_message ("%u were in before", n_in);
  g_assert_cmpuint (ask_report (peer).n_logged, ==, 0);
  g_ptr_array_set_size (crowd, 0);
  ipc_test_settle ();
  ipc_test_peer_close_stdin (peer);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  set_soft_limit (before);
}

static const IpcTestRole roles[] = { { "poor-server", play_poor_server }, { NULL, NULL } };

static void
add (const char *name, IpcTestFunc func)
{
  g_autofree char *path = g_strdup_printf ("/%s/few-descriptors/%s", transport_get_name (), name);

  ipc_test_add (path, func);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  add ("episodes", test_episodes);
  add ("large-crowd", test_large_crowd);
  return ipc_test_run ();
}
