/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking clients in: many at once, without descriptors for them, and beside others who say nothing. In each case
 * there is somebody who must stay served.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "socket-test.h"

#define FEW 64          /* descriptors of a process */
#define CROWD 200
#define LARGE_CROWD 5000
#define MAX_UNOPENED 64

/* ── Descriptors ── */

static rlim_t
set_soft_limit (rlim_t soft)
{
  struct rlimit limit;
  rlim_t before;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  before = limit.rlim_cur;
  limit.rlim_cur = soft;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
  return before;
}

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

/* Each line that comes is answered with how things are. */
static gboolean
answer (int fd, GIOCondition condition, gpointer data)
{
  char byte;

  if (read (fd, &byte, 1) <= 0)
    {
      g_main_loop_quit (poor.loop);
      return G_SOURCE_REMOVE;
    }
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
  poor.service = service_start_at (arguments[0]);
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

/* ── Many plain clients ── */

static GPtrArray *
connect_crowd (const char *path, guint n)
{
  GPtrArray *crowd = g_ptr_array_new_with_free_func ((GDestroyNotify) raw_free);

  for (guint i = 0; i < n; i++)
    {
      Raw *raw = raw_connect (path);

      g_assert_true (raw_send_hello (raw));
      g_ptr_array_add (crowd, raw);
    }
  return crowd;
}

/* Whether the server has answered: with a HELLO, not with the end. */
static gboolean
is_in (Raw *raw)
{
  char byte;
  gssize n = recv (raw->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

  if (n < 0)
    g_assert_cmpint (errno, ==, EAGAIN);
  else
    g_assert_cmpint (n, ==, 1);
  return n == 1;
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

static void
run_episode (IpcTestPeer *peer, const char *path, guint number, IpcClient *bystander)
{
  Report before = ask_report (peer);
  g_autoptr (GPtrArray) crowd = connect_crowd (path, CROWD);
  guint n_in = 0, n_gone = 0;
  gint64 closed;

  ipc_test_wait_for (ask_report (peer).n_overloaded == number);
  ipc_test_wait_for (count_in (crowd) > 0);
  client_check (bystander);
  check_idle (peer);
  n_in = count_in (crowd);
  g_test_message ("%u of %u are in", n_in, CROWD);
  g_assert_cmpuint (n_in, >, FEW / 2);
  g_assert_cmpuint (n_in, <, FEW);

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
  g_assert_cmpuint (ask_report (peer).n_overloaded, ==, number);
  g_assert_cmpuint (ask_report (peer).n_logged, ==, 0);
}

static void
test_few_descriptors (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcTestPeer) peer = ipc_test_peer_spawn ("poor-server", (const char *[]) { path, NULL });
  g_autoptr (IpcClient) bystander = NULL;
  g_autoptr (IpcClient) newcomer = NULL;

  ipc_test_peer_expect (peer, "up");
  bystander = client_open (path);
  for (guint number = 1; number <= 3; number++)
    run_episode (peer, path, number, bystander);
  newcomer = client_open (path);
  client_check (newcomer);
  ipc_test_peer_close_stdin (peer);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
}

/* ── The application itself has taken all descriptors ── */

static GArray *
hog_descriptors (void)
{
  GArray *hogged = g_array_new (FALSE, FALSE, sizeof (int));
  int fd;

  while ((fd = open ("/", O_PATH | O_CLOEXEC)) >= 0)
    g_array_append_val (hogged, fd);
  g_assert_cmpint (errno, ==, EMFILE);
  return hogged;
}

static void
release_descriptors (GArray *hogged, guint n)
{
  for (; n > 0 && hogged->len > 0; n--)
    {
      close (g_array_index (hogged, int, hogged->len - 1));
      g_array_set_size (hogged, hogged->len - 1);
    }
}

static int
make_socket (void)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_no_errno (fd);
  return fd;
}

static Raw *
connect_socket (int fd, const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  Raw *raw = raw_new (fd);

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_no_errno (connect (fd, (struct sockaddr *) &address, sizeof address));
  g_assert_true (raw_send_hello (raw));
  return raw;
}

/* In this very process, so that the moment is known: the service is open, and none is left. */
static void
test_hogged (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  rlim_t before = set_soft_limit (256);
  g_autoptr (Service) service = service_start_at (path);
  g_autoptr (IpcClient) bystander = client_open (path);
  guint n_overloaded = 0;

  g_signal_connect (service->server, "overloaded", G_CALLBACK (count_overload), &n_overloaded);
  client_check (bystander);
  /* with none, one, two, … left: each number meets another step of the way */
  for (guint left = 0; left < 6; left++)
    {
      int one_fd = make_socket ();
      int other_fd = make_socket ();
      g_autoptr (GArray) hogged = NULL;
      g_autoptr (Raw) one = NULL;
      g_autoptr (Raw) other = NULL;

      /* also those of the round before are gone */
      ipc_test_wait_for (ipc_server_get_n_clients (service->server) == 1);
      ipc_test_settle ();
      hogged = hog_descriptors ();
      release_descriptors (hogged, left);
      n_overloaded = 0;
      one = connect_socket (one_fd, path);
      other = connect_socket (other_fd, path);
      client_check (bystander);
      ipc_test_settle ();
      /* one is that of the service, which is given up first */
      g_assert_cmpuint (is_in (one) + is_in (other), ==, MIN (left + 1, 2));
      g_assert_cmpuint (n_overloaded, ==, left < 3);
      client_check (bystander);
      /* Nobody tells it that there are some again. */
      release_descriptors (hogged, G_MAXUINT);
      raw_expect_hello (one);
      raw_expect_hello (other);
      g_assert_cmpuint (n_overloaded, ==, left < 3);
      client_check (bystander);
    }
  set_soft_limit (before);
}

static void
stop_server (IpcServer *server, gpointer data)
{
  ipc_server_stop (server);
}

/* Those who wait get an end when the server stops, also from within the signal. */
static void
test_stopped_while_short (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  rlim_t before = set_soft_limit (256);

  for (guint round = 0; round < 2; round++)
    {
      g_autoptr (Service) service = service_start_at (path);
      g_autoptr (IpcClient) bystander = client_open (path);
      int one_fd = make_socket ();
      int other_fd = make_socket ();
      g_autoptr (GArray) hogged = NULL;
      g_autoptr (Raw) one = NULL;
      g_autoptr (Raw) other = NULL;
      guint n_overloaded = 0;

      client_check (bystander);
      hogged = hog_descriptors ();
      g_signal_connect (service->server, "overloaded", G_CALLBACK (count_overload), &n_overloaded);
      if (round == 0)
        g_signal_connect (service->server, "overloaded", G_CALLBACK (stop_server), NULL);
      one = connect_socket (one_fd, path);
      other = connect_socket (other_fd, path);
      ipc_test_wait_for (n_overloaded == 1);
      ipc_server_stop (service->server);
      raw_expect_end (other);
      release_descriptors (hogged, G_MAXUINT);
      ipc_test_wait_for (ipc_client_get_state (bystander) == IPC_CLIENT_STATE_CLOSED);
      g_assert_cmpuint (n_overloaded, ==, 1);
    }
  set_soft_limit (before);
}

/* ── Very many at once ── */

static void
connect_patiently (int fd, const struct sockaddr_un *address)
{
  /* the kernel's queue may be full for a moment; it does not say when it is not */
  while (connect (fd, (const struct sockaddr *) address, sizeof *address) != 0)
    {
      g_assert_cmpint (errno, ==, EAGAIN);
      g_usleep (1000);
    }
}

static void
expect_answer (int fd)
{
  struct pollfd item = { .fd = fd, .events = POLLIN };
  char byte;

  g_assert_no_errno (poll (&item, 1, -1));
  g_assert_cmpint (recv (fd, &byte, 1, MSG_PEEK), ==, 1);
}

/* PATH: connects all, and only then sees who was answered. */
static int
play_crowd (char **arguments)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autofree int *fds = g_new (int, LARGE_CROWD);

  set_soft_limit (LARGE_CROWD + 100);
  g_strlcpy (address.sun_path, arguments[0], sizeof address.sun_path);
  for (guint i = 0; i < LARGE_CROWD; i++)
    {
      Raw raw = { 0 };

      fds[i] = raw.fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      g_assert_no_errno (raw.fd);
      connect_patiently (raw.fd, &address);
      g_assert_true (raw_send_hello (&raw));
    }
  ipc_test_tell ("connected");
  for (guint i = 0; i < LARGE_CROWD; i++)
    expect_answer (fds[i]);
  ipc_test_tell ("served");
  g_free (ipc_test_hear ());
  return 0;
}

static void
test_large_crowd (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  struct rlimit limit;
  rlim_t before;
  g_autoptr (Service) service = NULL;
  g_autoptr (IpcClient) bystander = NULL;
  g_autoptr (IpcTestPeer) peer = NULL;
  guint n_overloaded = 0;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  if (limit.rlim_max < LARGE_CROWD + 200)
    {
      g_test_skip ("needs a hard limit of 5,200 descriptors");
      return;
    }
  ipc_test_set_deadline (90);
  before = set_soft_limit (limit.rlim_max);
  service = service_new (path);
  ipc_server_set_max_clients (service->server, LARGE_CROWD + 10);
  g_assert_true (ipc_server_start (service->server, NULL));
  g_signal_connect (service->server, "overloaded", G_CALLBACK (count_overload), &n_overloaded);
  bystander = client_open (path);
  peer = ipc_test_peer_spawn ("crowd", (const char *[]) { path, NULL });
  while (service->n_connected < 1 + LARGE_CROWD)
    {
      guint n = service->n_connected;

      ipc_test_wait_for_full (service->n_connected >= MIN (n + 500, 1 + LARGE_CROWD), 60);
      client_check (bystander);
    }
  ipc_test_peer_expect (peer, "connected");
  ipc_test_peer_expect (peer, "served");
  g_assert_cmpuint (ipc_server_get_n_clients (service->server), ==, 1 + LARGE_CROWD);
  g_assert_cmpuint (n_overloaded, ==, 0);
  g_assert_cmpuint (service->reasons->len, ==, 0);
  client_check (bystander);
  ipc_test_peer_kill (peer);
  ipc_test_wait_for_full (ipc_server_get_n_clients (service->server) == 1, 60);
  client_check (bystander);
  set_soft_limit (before);
}

/* ── Those who say nothing ── */

static void
test_silent (IpcTest *test)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) bystander = client_open (path);
  g_autoptr (GPtrArray) silent = g_ptr_array_new_with_free_func ((GDestroyNotify) raw_free);

  for (guint i = 0; i < 2 * MAX_UNOPENED; i++)
    g_ptr_array_add (silent, raw_connect (path));
  client_check (bystander);
  /* It waits behind all of them, and for as many to have had their time. */
  {
    g_autoptr (IpcClient) newcomer = client_open (path);

    client_check (newcomer);
    client_check (bystander);
    g_assert_cmpuint (service->n_connected, ==, 2);
    g_assert_cmpuint (service->reasons->len, ==, MAX_UNOPENED + 1);
    for (guint i = 0; i < service->reasons->len; i++)
      assert_ipc_error (g_ptr_array_index (service->reasons, i), IPC_ERROR_TIMED_OUT, "no HELLO within 1 s, and others wait");
  }
  /* those who still may say something are heard */
  {
    Raw *last = g_ptr_array_index (silent, silent->len - 1);

    g_assert_true (raw_send_hello (last));
    raw_expect_hello (last);
  }
}

/* ── A loop within the judgement ── */

typedef struct
{
  GPtrArray *crowd; /* (nullable) (owned) */
  guint n_asked;
  guint n_turns;
} Nest;

/* Asked about the first ones, it takes its time, and many come meanwhile. */
static IpcAuthorization
judge_slowly (IpcServer *server, IpcConnection *connection, Nest *nest)
{
  gboolean over = FALSE;

  if (nest->n_asked++ > 2)
    return IPC_AUTHORIZATION_GRANTED;
  if (nest->crowd == NULL)
    nest->crowd = connect_crowd (ipc_server_get_address (server), 50);
  g_timeout_add (100, second_is_over, &over);
  for (; !over; nest->n_turns++)
    g_main_context_iteration (NULL, TRUE);
  return IPC_AUTHORIZATION_GRANTED;
}

/* Whether they are let in meanwhile or wait, the loop sleeps, and in the end all are in. */
static void
run_nest (IpcTest *test, gboolean is_open)
{
  g_autoptr (Service) service = service_start (test);
  g_autofree char *path = socket_path (test);
  g_autoptr (IpcClient) client = NULL;
  Nest nest = { NULL };

  g_signal_connect (service->server, "authorize-client", G_CALLBACK (judge_slowly), &nest);
  if (is_open)
    ipc_test_settle ();
  client = client_open (path);
  client_check (client);
  ipc_test_wait_for (nest.crowd != NULL && count_in (nest.crowd) == 50);
  g_assert_cmpuint (nest.n_asked, ==, 51);
  g_test_message ("%u turns", nest.n_turns);
  g_assert_cmpuint (nest.n_turns, <, 1000);
  g_ptr_array_unref (nest.crowd);
}

static void
test_nested (IpcTest *test)
{
  run_nest (test, TRUE);
}

static void
test_nested_at_start (IpcTest *test)
{
  run_nest (test, FALSE);
}

static const IpcTestRole roles[] = {
  { "poor-server", play_poor_server },
  { "crowd", play_crowd },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/accept/few-descriptors", test_few_descriptors);
  ipc_test_add ("/socket/accept/hogged-descriptors", test_hogged);
  ipc_test_add ("/socket/accept/stopped-while-short", test_stopped_while_short);
  ipc_test_add ("/socket/accept/large-crowd", test_large_crowd);
  ipc_test_add ("/socket/accept/silent", test_silent);
  ipc_test_add ("/socket/accept/nested", test_nested);
  ipc_test_add ("/socket/accept/nested-at-start", test_nested_at_start);
  return ipc_test_run ();
}
