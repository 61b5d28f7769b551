/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How many system calls a round trip takes, which is a figure that a busy machine cannot spoil: three on each side,
 * one to wait, one to read and one to write, and never one to wake a loop.
 *
 * The client and the server are processes of their own, traced with ptrace(2) while the client asks. It says where it
 * begins and ends with a system call that nothing else makes.
 */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "socket-test.h"

#define N_TRIPS 200
#define TOLERANCE 6             /* what is under way at the first and at the last one, and a rare brk(2) */
#define MARK SYS_getppid
#define MAX_CALL 1024

/* ── The client ── */

typedef struct
{
  GMainLoop *loop;
  guint left;
  gboolean counted;
} Trips;

static void ask (IpcConnection *connection, Trips *trips);

static void
on_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) reply = ipc_connection_request_finish (IPC_CONNECTION (source), result, &error);
  Trips *trips = data;

  g_assert_no_error (error);
  trips->left--;
  if (trips->counted && (trips->left == N_TRIPS || trips->left == 0))
    syscall (MARK);
  if (trips->left > 0)
    ask (IPC_CONNECTION (source), trips);
  else
    g_main_loop_quit (trips->loop);
}

static void
ask (IpcConnection *connection, Trips *trips)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "64 bytes of text or so, which is what most messages have in them.");

  ipc_connection_request_async (connection, request, IPC_TIMEOUT_DEFAULT, NULL, on_reply, trips);
}

static void
make_trips (IpcConnection *connection, guint n, gboolean counted)
{
  Trips trips = { g_main_loop_new (NULL, FALSE), n, counted };

  ask (connection, &trips);
  g_main_loop_run (trips.loop);
  g_main_loop_unref (trips.loop);
}

static int
play_client (char **arguments)
{
  g_autoptr (IpcClient) client = client_open (arguments[0]);
  IpcConnection *connection = ipc_client_get_connection (client);
  g_autofree char *go = NULL;

  make_trips (connection, 20, FALSE);
  ipc_test_tell ("ready");
  go = ipc_test_hear ();
  make_trips (connection, N_TRIPS + 1, TRUE);
  ipc_test_tell ("done");
  g_free (ipc_test_hear ());
  return 0;
}

static int
play_server (char **arguments)
{
  g_autoptr (Service) service = service_start_at (arguments[0]);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);

  ipc_test_tell ("up");
  g_main_loop_run (loop);
  return 0;
}

/* ── The tracer ── */

typedef struct
{
  GPid pid;
  guint calls[MAX_CALL];
} Traced;

typedef struct
{
  Traced server;
  Traced client;
  guint n_marks;
} Trace;

/* Waits until it is stopped. */
static void
expect_stop (GPid pid)
{
  int status;

  g_assert_cmpint (waitpid (pid, &status, __WALL), ==, pid);
  g_assert_true (WIFSTOPPED (status));
}

static gboolean
trace_begin (Traced *self, IpcTestPeer *peer)
{
  self->pid = ipc_test_peer_get_pid (peer);
  if (ptrace (PTRACE_SEIZE, self->pid, NULL, PTRACE_O_TRACESYSGOOD) != 0)
    return FALSE;
  g_assert_no_errno (ptrace (PTRACE_INTERRUPT, self->pid, NULL, NULL));
  expect_stop (self->pid);
  g_assert_no_errno (ptrace (PTRACE_SYSCALL, self->pid, NULL, NULL));
  return TRUE;
}

/* It is stopped, or will be. */
static void
trace_end (Traced *self, gboolean is_stopped)
{
  if (!is_stopped)
    {
      g_assert_no_errno (ptrace (PTRACE_INTERRUPT, self->pid, NULL, NULL));
      expect_stop (self->pid);
    }
  g_assert_no_errno (ptrace (PTRACE_DETACH, self->pid, NULL, NULL));
}

/* The number of the system call that it is about to make; -1: it returns from one, or stopped for another reason. */
static gint64
get_call (GPid pid)
{
  struct __ptrace_syscall_info info;

  if (ptrace (PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_ENTRY)
    return -1;
  return (gint64) info.entry.nr;
}

/* Lets one of the two go on until it stops again. FALSE: the client has come to its second mark. */
static gboolean
trace_step (Trace *self)
{
  int status;
  GPid pid = waitpid (-1, &status, __WALL);
  Traced *traced = pid == self->client.pid ? &self->client : &self->server;
  int signal_number = 0;

  g_assert_cmpint (pid, ==, traced->pid);
  g_assert_true (WIFSTOPPED (status));
  if (WSTOPSIG (status) == (SIGTRAP | 0x80))
    {
      gint64 call = get_call (pid);

      if (call == MARK && traced == &self->client && ++self->n_marks == 2)
        return FALSE;
      if (self->n_marks == 1 && call >= 0 && call < MAX_CALL && call != MARK)
        traced->calls[call]++;
    }
  else if (status >> 16 == 0)
    signal_number = WSTOPSIG (status);
  g_assert_no_errno (ptrace (PTRACE_SYSCALL, pid, NULL, signal_number));
  return TRUE;
}

/* ── The test ── */

static guint
count (const Traced *self)
{
  guint n = 0;

  for (guint i = 0; i < MAX_CALL; i++)
    {
      if (self->calls[i] > 0)
        g_test_message ("system call %u: %u", i, self->calls[i]);
      n += self->calls[i];
    }
  return n;
}

static void
assert_about (guint n, guint expected)
{
  g_assert_cmpuint (n, >=, expected - TOLERANCE);
  g_assert_cmpuint (n, <=, expected + TOLERANCE);
}

static void
test_round_trip (IpcTest *test)
{
  g_autofree char *path = socket_path (test);
  const char *arguments[] = { path, NULL };
  g_autoptr (IpcTestPeer) server = ipc_test_peer_spawn ("server", arguments);
  g_autoptr (IpcTestPeer) client = NULL;
  Trace trace = { { 0 } };

  ipc_test_peer_expect (server, "up");
  client = ipc_test_peer_spawn ("client", arguments);
  ipc_test_peer_expect (client, "ready");
  if (!trace_begin (&trace.server, server))
    {
      g_test_skip ("processes may not be traced here");
      return;
    }
  g_assert_true (trace_begin (&trace.client, client));
  ipc_test_peer_write_line (client, "go");
  while (trace_step (&trace))
    ;
  trace_end (&trace.client, TRUE);
  trace_end (&trace.server, FALSE);
  ipc_test_peer_expect (client, "done");

  assert_about (count (&trace.server), 3 * N_TRIPS);
  assert_about (count (&trace.client), 3 * N_TRIPS);
  /* The loop's wake-up is an eventfd. */
  g_assert_cmpuint (trace.server.calls[SYS_write], ==, 0);
  g_assert_cmpuint (trace.client.calls[SYS_write], ==, 0);
  ipc_test_peer_close_stdin (client);
  g_assert_cmpint (ipc_test_peer_wait (client), ==, 0);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "client", play_client }, { "server", play_server }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/socket/syscalls/round-trip", test_round_trip);
  return ipc_test_run ();
}
