/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A user who has very many pipes gets small ones from the kernel (/proc/sys/fs/pipe-user-pages-soft): of two pages, or
 * one, in place of sixteen. Everything works over them, messages of any size too. Root has no such limit, so that another
 * user does it.
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "messaging/ipc-connection-private.h"
#include "pipe-test.h"

#define OTHER_UID 54321
#define CLIENTS 550             /* two pipes each, of 16 pages if there were no limit */
#define PAGES 16384u
#define FULL_SIZE 65536
#define BETWEEN 50              /* those that are opened at a time */

/* ── The other user ── */

static guint n_heard;

static void
hear (IpcClient *client, IpcMessage *message, gpointer data)
{
  n_heard++;
}

static void
open_clients (GPtrArray *clients, const char *path, guint n)
{
  g_autofree IpcTestAsync *async = g_new0 (IpcTestAsync, n);

  for (guint i = 0; i < n; i++)
    {
      IpcClient *client = IPC_CLIENT (ipc_pipe_client_new (path));

      g_signal_connect (client, "message-received", G_CALLBACK (hear), NULL);
      ipc_client_open_async (client, NULL, ipc_test_async_cb, &async[i]);
      g_ptr_array_add (clients, client);
    }
  for (guint i = 0; i < n; i++)
    {
      g_autoptr (GError) error = NULL;

      ipc_client_open_finish (IPC_CLIENT (async[i].source), ipc_test_async_wait (&async[i]), &error);
      g_assert_no_error (error);
      ipc_test_async_clear (&async[i]);
    }
}

static gboolean
is_small (int fd)
{
  int size = fcntl (fd, F_GETPIPE_SZ);

  g_assert_no_errno (size);
  return size < FULL_SIZE;
}

static void
check_sizes (IpcClient *client)
{
  static const gsize sizes[] = { 0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 65535, 65536, 65537, 300000 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_autofree char *text = g_strnfill (sizes[i], 'x');

      client_check (client, text);
    }
}

static void
check_broadcast (IpcServer *server, GPtrArray *clients)
{
  g_autofree char *text = g_strnfill (20000, 'n');
  g_autoptr (IpcMessage) news = ipc_message_new_text ("news", text);

  n_heard = 0;
  g_assert_cmpuint (ipc_server_broadcast (server, news, NULL), ==, clients->len);
  ipc_test_wait_for (n_heard == clients->len);
}

/* A server whose own pipe is small, too. */
static void
check_small_server (IpcTest *test)
{
  g_auto (Listener) listener = { 0 };
  g_autofree char *line = g_strnfill (20000, 'l');
  g_autofree char *expected = g_strdup_printf ("line=%s ", line);
  IpcClient *client;
  int fd;

  listener_init (&listener, test);
  fd = writer_open (listener.path);
  g_assert_true (is_small (fd));
  client = client_open (listener.path);
  check_sizes (client);
  writer_write (fd, line);
  writer_write (fd, "\n");
  close (fd);
  listener_expect (&listener, expected);
  client_close (client);
}

static void
allow_descriptors (void)
{
  struct rlimit limit;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  limit.rlim_cur = limit.rlim_max;
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &limit));
}

static IpcServer *
start_server (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "crowded");
  IpcServer *server = IPC_SERVER (ipc_pipe_server_new (path));
  g_autoptr (GError) error = NULL;

  ipc_server_set_max_clients (server, CLIENTS);
  ipc_server_add_handler (server, "echo", listener_echo, NULL, NULL);
  ipc_server_start (server, &error);
  g_assert_no_error (error);
  return server;
}

static int
run_crowd (char **arguments)
{
  IpcTest test = { .directory = g_dir_make_tmp ("ipc-test-XXXXXX", NULL) };
  g_autoptr (GPtrArray) clients = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (IpcServer) server = NULL;
  IpcClient *last;

  allow_descriptors ();
  server = start_server (&test);
  while (clients->len < CLIENTS)
    open_clients (clients, ipc_server_get_address (server), BETWEEN);
  last = g_ptr_array_index (clients, CLIENTS - 1);
  if (is_small (ipc_client_get_connection (last)->fd) && is_small (ipc_client_get_connection (last)->out_fd))
    {
      check_sizes (last);
      check_sizes (g_ptr_array_index (clients, 0));
      check_broadcast (server, clients);
      check_small_server (&test);
      ipc_test_tell ("all went");
    }
  else
    ipc_test_tell ("they are not small");
  ipc_server_stop (server);
  ipc_test_wait_for (ipc_server_get_n_clients (server) == 0);
  ipc_test_remove_tree (test.directory);
  g_free (test.directory);
  return 0;
}

/* ── The test ── */

static guint
get_number (const char *path)
{
  g_autofree char *text = NULL;

  return g_file_get_contents (path, &text, NULL, NULL) ? (guint) strtoul (text, NULL, 10) : 0;
}

static void
test_all (IpcTest *test)
{
  guint pages = get_number ("/proc/sys/fs/pipe-user-pages-soft");
  g_autoptr (IpcTestPeer) peer = NULL;
  struct rlimit limit;
  g_autofree char *line = NULL;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &limit));
  if (pages == 0 || pages > PAGES)
    {
      g_test_skip_printf ("needs a limit of at most %u pages for the pipes of a user; it is %u", PAGES, pages);
      return;
    }
  if (limit.rlim_max < 4 * CLIENTS + 100)
    {
      g_test_skip_printf ("needs a hard limit of %d descriptors", 4 * CLIENTS + 100);
      return;
    }
  peer = geteuid () == 0 ? ipc_test_peer_spawn_as (OTHER_UID, "crowd", NULL) : ipc_test_peer_spawn ("crowd", NULL);
  line = ipc_test_peer_read_line (peer);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  if (g_strcmp0 (line, "they are not small") == 0)
    g_test_skip ("this user is exempt from the limit");
  else
    g_assert_cmpstr (line, ==, "all went");
}

static const IpcTestRole roles[] = { { "crowd", run_crowd }, { NULL, NULL } };

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/pipe/small/all-sizes", test_all);
  return ipc_test_run ();
}
