/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients that are killed at any moment while they open, ask and go; and clients that write large messages at the same
 * time. $IPC_TEST_KILLS is how many are killed.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipe-test.h"

#define KILLS 100
#define WRITERS 4
#define MESSAGES 50
#define MESSAGE_SIZE 20000

/* Opens and asks, again and again. */
static int
run_busy (char **arguments)
{
  ipc_test_tell ("ready");
  while (TRUE)
    {
      g_autoptr(IpcPipeClient) client = ipc_pipe_client_new (arguments[0]);
      g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "hello");
      g_autoptr(IpcMessage) reply = NULL;

      if (ipc_client_open (IPC_CLIENT (client), NULL, NULL))
        reply = ipc_client_request (IPC_CLIENT (client), message, 10000, NULL, NULL);
      ipc_client_close (IPC_CLIENT (client));
    }
  return 0;
}

static int
run_writer (char **arguments)
{
  g_autoptr(IpcPipeClient) client = ipc_pipe_client_new (arguments[0]);
  g_autofree char *text = g_strnfill (MESSAGE_SIZE, arguments[1][0]);
  g_autoptr(GError) error = NULL;

  ipc_client_open (IPC_CLIENT (client), NULL, &error);
  g_assert_no_error (error);
  ipc_test_tell ("open");
  for (guint i = 0; i < MESSAGES; i++)
    {
      g_autoptr(IpcMessage) message = ipc_message_new_text ("large", text);

      ipc_client_send (IPC_CLIENT (client), message, &error);
      g_assert_no_error (error);
      ipc_connection_flush (ipc_client_get_connection (IPC_CLIENT (client)), NULL, &error);
      g_assert_no_error (error);
    }
  ipc_client_close (IPC_CLIENT (client));
  return 0;
}

static guint
get_kills (void)
{
  const char *text = g_getenv ("IPC_TEST_KILLS");

  return text ? (guint) strtoul (text, NULL, 10) : KILLS;
}

static guint64
get_memory (void)
{
  g_autofree char *text = NULL;
  guint64 pages = 0;

  g_assert_true (g_file_get_contents ("/proc/self/statm", &text, NULL, NULL));
  g_assert_cmpint (sscanf (text, "%*u %" G_GUINT64_FORMAT, &pages), ==, 1);
  return pages * (guint64) sysconf (_SC_PAGESIZE);
}

static void
kill_one (const char *path, GRand *rand)
{
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("busy", (const char *[]){ path, NULL });
  gint64 end;

  ipc_test_peer_expect (peer, "ready");
  end = g_get_monotonic_time () + g_rand_int_range (rand, 0, 3000);
  while (g_get_monotonic_time () < end)
    g_main_context_iteration (NULL, FALSE);
  ipc_test_peer_kill (peer);
}

/* Whatever is left in the directory goes when nobody has the pipe open. */
static void
check_nothing_left (Listener *listener, const char *pairs)
{
  ipc_test_wait_for (ipc_server_get_n_clients (listener->server) == 0);
  write_and_leave (listener->path, "anybody there?\n");
  listener_expect (listener, "line=anybody there? ");
  ipc_test_wait_for (count_entries (pairs) == 0);
}

static void
test_clients (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *pairs = ipc_test_path (test, ".pipe.d");
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  guint n = get_kills (), fds;
  guint64 memory;

  ipc_test_set_deadline (30 + n / 5);
  listener_init (&listener, test);
  kill_one (listener.path, rand);
  check_nothing_left (&listener, pairs);
  fds = ipc_test_count_fds ();
  memory = get_memory ();
  for (guint i = 0; i < n; i++)
    kill_one (listener.path, rand);
  check_nothing_left (&listener, pairs);
  ipc_test_wait_for (ipc_test_count_fds () == fds);
  g_test_message ("%u kills: %" G_GINT64_FORMAT " bytes more", n, (gint64) (get_memory () - memory));
  if (!g_getenv ("IPC_TEST_SANITIZED"))
    g_assert_cmpuint (get_memory (), <, memory + 8 * 1024 * 1024);
  g_assert_cmpuint (ipc_server_get_n_clients (listener.server), ==, 0);
}

typedef struct
{
  guint n;
} Large;

static IpcMessage *
take_large (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  const char *text = ipc_message_get_text (message);

  g_assert_cmpuint (strlen (text), ==, MESSAGE_SIZE);
  g_assert_cmpuint (strspn (text, (char[]){ text[0], '\0' }), ==, MESSAGE_SIZE);
  ((Large *) data)->n++;
  return NULL;
}

static void
test_large_messages (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "pipe");
  g_autoptr(IpcPipeServer) server = ipc_pipe_server_new (path);
  IpcTestPeer *writers[WRITERS];
  Large large = { 0 };

  ipc_server_add_handler (IPC_SERVER (server), "large", take_large, &large, NULL);
  g_assert_true (ipc_server_start (IPC_SERVER (server), NULL));
  for (guint i = 0; i < WRITERS; i++)
    writers[i] = ipc_test_peer_spawn ("writer", (const char *[]){ path, (char[]){ (char) ('a' + i), '\0' }, NULL });
  ipc_test_wait_for (large.n == WRITERS * MESSAGES);
  for (guint i = 0; i < WRITERS; i++)
    {
      g_assert_cmpint (ipc_test_peer_wait (writers[i]), ==, 0);
      ipc_test_peer_free (writers[i]);
    }
  ipc_server_stop (IPC_SERVER (server));
  ipc_test_settle ();
}

static const IpcTestRole roles[] = { { "busy", run_busy }, { "writer", run_writer }, { NULL, NULL } };

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/pipe/kills/clients", test_clients);
  ipc_test_add ("/pipe/kills/large-messages", test_large_messages);
  return ipc_test_run ();
}
