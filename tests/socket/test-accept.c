/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Taking clients in: many at once, without descriptors for them, and beside others who say nothing. In each case
 * there is somebody who must stay served. What every transport has to do is in test-few-descriptors.c.
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

#define LARGE_CROWD 5000
#define MAX_UNOPENED 64

/* ── Many plain clients ── */

static void
count_overload (IpcServer *server, guint *n)
{
  (*n)++;
}

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

static gboolean
second_is_over (gpointer over)
{
  *(gboolean *) over = TRUE;
  return G_SOURCE_REMOVE;
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
  { "crowd", play_crowd },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/accept/hogged-descriptors", test_hogged);
  ipc_test_add ("/socket/accept/stopped-while-short", test_stopped_while_short);
  ipc_test_add ("/socket/accept/large-crowd", test_large_crowd);
  ipc_test_add ("/socket/accept/silent", test_silent);
  ipc_test_add ("/socket/accept/nested", test_nested);
  ipc_test_add ("/socket/accept/nested-at-start", test_nested_at_start);
  return ipc_test_run ();
}
