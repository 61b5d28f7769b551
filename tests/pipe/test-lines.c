/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What shells write to the pipe of a server.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "pipe-test.h"

static void
test_lines (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };

  listener_init (&listener, test);
  write_and_leave (listener.path, "hello\n");
  listener_expect (&listener, "line=hello ");
  write_and_leave (listener.path, "one\ntwo\n\nfour\n");
  listener_expect (&listener, "line=one line=two line= line=four ");
  g_assert_cmpuint (ipc_server_get_messages_received (listener.server), ==, 5);
  g_assert_cmpuint (ipc_server_get_n_clients (listener.server), ==, 0);
}

static void
test_shell (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *command = NULL;
  g_autoptr(IpcTestPeer) shell = NULL;

  listener_init (&listener, test);
  command = g_strdup_printf ("echo hello > '%s'; printf unfinished > '%s'", listener.path, listener.path);
  shell = ipc_test_peer_spawn_program ((const char *[]){ "sh", "-c", command, NULL });
  g_assert_cmpint (ipc_test_peer_wait (shell), ==, 0);
  listener_expect (&listener, "line=hello line=unfinished ");
}

/* The last line counts when the last writer has left, whenever that was. */
static void
test_unfinished (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  int one, other;

  listener_init (&listener, test);
  write_and_leave (listener.path, "first");
  listener_expect (&listener, "line=first ");
  one = writer_open (listener.path);
  other = writer_open (listener.path);
  writer_write (one, "to be ");
  ipc_test_settle ();
  writer_write (one, "continued");
  close (one);
  ipc_test_settle ();
  g_assert_cmpstr (listener.log->str, ==, "");
  close (other);
  listener_expect (&listener, "line=to be continued ");
  for (guint i = 0; i < 100; i++)
    {
      write_and_leave (listener.path, "again");
      if (i % 3 != 0)
        ipc_test_iterate (i % 5);
      one = writer_open (listener.path);
      close (one);
      listener_expect (&listener, "line=again ");
    }
}

static void
test_json (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };

  listener_init (&listener, test);
  write_and_leave (listener.path, "{\"message_type\":\"ping\",\"payload\":\"pong\"}\n{\"no\":\"type\"}\n{broken\n");
  listener_expect (&listener, "ping=pong line={\"no\":\"type\"} line={broken ");
}

/* Lines are handled like any other message; the answer goes nowhere. */
static IpcMessage *
handle_line (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  g_autoptr(IpcMessage) answer = ipc_message_new_text ("answer", "nobody hears it");
  g_autoptr(GError) problem = NULL;

  g_assert_false (ipc_message_get_is_request (message));
  g_assert_cmpint (ipc_connection_get_wire_format (connection), ==, IPC_WIRE_FORMAT_LINES);
  g_assert_null (ipc_connection_get_credentials (connection));
  g_assert_false (ipc_connection_send (connection, answer, &problem));
  g_assert_error (problem, IPC_ERROR, IPC_ERROR_UNSUPPORTED);
  ipc_connection_close (connection);
  g_string_append_printf (data, "%s;", ipc_message_get_text (message));
  return g_steal_pointer (&answer);
}

static void
test_handler (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autoptr(GString) handled = g_string_new (NULL);

  listener_init (&listener, test);
  ipc_server_add_handler (listener.server, "line", handle_line, handled, NULL);
  write_and_leave (listener.path, "one\ntwo\n");
  listener_expect (&listener, "line=one line=two ");
  g_assert_cmpstr (handled->str, ==, "one;two;");
}

static void
test_bad_lines (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *long_line = g_strnfill (200000, 'x');
  g_autofree char *expected = NULL;
  int fd;

  listener_make (&listener, test);
  ipc_server_set_max_message_size (listener.server, 100000);
  g_assert_true (ipc_server_start (listener.server, NULL));
  fd = writer_open (listener.path);
  writer_write (fd, long_line);
  writer_write (fd, "\nnext\n");
  writer_write (fd, "not \377 UTF-8\nnext\n");
  g_assert_cmpint (write (fd, "NUL\0\nnext\n", 10), ==, 10);
  close (fd);
  expected = g_strdup_printf ("!%d line=next !%d line=next !%d line=next ", IPC_ERROR_TOO_LARGE, IPC_ERROR_INVALID_DATA,
                              IPC_ERROR_INVALID_DATA);
  listener_expect (&listener, expected);
  g_assert_cmpuint (ipc_server_get_messages_dropped (listener.server), ==, 3);
}

static void
test_long_line (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  g_autofree char *long_line = g_strnfill (300000, 'x');
  g_autofree char *expected = g_strdup_printf ("line=%s ", long_line);
  int fd;

  listener_init (&listener, test);
  fd = writer_open (listener.path);
  writer_write (fd, long_line);
  writer_write (fd, "\n");
  close (fd);
  listener_expect (&listener, expected);
}

static guint64
get_cpu_us (void)
{
  struct rusage usage;

  getrusage (RUSAGE_SELF, &usage);
  return (guint64) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + (guint64) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static gboolean
set_true (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

static guint
get_idle_seconds (void)
{
  const char *text = g_getenv ("IPC_TEST_IDLE_SECONDS");

  return text ? (guint) strtoul (text, NULL, 10) : 0;
}

/* The kernel goes on saying that the last writer has left, for ever. With $IPC_TEST_IDLE_SECONDS it is looked at for so long,
 * and may take one percent of the processor at most; what else a machine does shows too much in a short time. */
static void
test_no_spin (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };
  gboolean over = FALSE;
  guint seconds = get_idle_seconds ();
  guint n_turns = 0;
  guint64 before, used;

  listener_init (&listener, test);
  write_and_leave (listener.path, "bye\n");
  listener_expect (&listener, "line=bye ");
  before = get_cpu_us ();
  ipc_test_set_deadline (30 + seconds);
  g_timeout_add (seconds > 0 ? seconds * 1000 : 500, set_true, &over);
  while (!over)
    {
      g_main_context_iteration (NULL, TRUE);
      n_turns++;
    }
  used = get_cpu_us () - before;
  g_test_message ("%u turns, %" G_GUINT64_FORMAT " µs of processor time", n_turns, used);
  g_assert_cmpuint (n_turns, <, 20);
  g_assert_cmpuint (used, <=, seconds > 0 ? seconds * G_USEC_PER_SEC / 100 : 100000);
  write_and_leave (listener.path, "again\n");
  listener_expect (&listener, "line=again ");
}

/* What a handler does to the server while lines are waiting. */
static void
stop_server (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  ipc_server_stop (server);
}

static void
test_stop_in_handler (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };

  listener_init (&listener, test);
  g_signal_connect (listener.server, "message-received", G_CALLBACK (stop_server), NULL);
  write_and_leave (listener.path, "one\ntwo\nthree\n");
  listener_expect (&listener, "line=one ");
  g_assert_false (g_file_test (listener.path, G_FILE_TEST_EXISTS));
  g_assert_true (ipc_server_start (listener.server, NULL));
  write_and_leave (listener.path, "four\n");
  listener_expect (&listener, "line=four ");
}

static void
run_loop (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  if (strcmp (ipc_message_get_text (message), "nest") == 0)
    ipc_test_iterate (10);
}

static void
test_nested_loop (IpcTest *test)
{
  g_auto(Listener) listener = { 0 };

  listener_init (&listener, test);
  g_signal_connect_after (listener.server, "message-received", G_CALLBACK (run_loop), NULL);
  write_and_leave (listener.path, "a\nnest\nb\nnest\nc\nd");
  listener_expect (&listener, "line=a line=nest line=b line=nest line=c line=d ");
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/pipe/lines/lines", test_lines);
  ipc_test_add ("/pipe/lines/shell", test_shell);
  ipc_test_add ("/pipe/lines/unfinished", test_unfinished);
  ipc_test_add ("/pipe/lines/json", test_json);
  ipc_test_add ("/pipe/lines/handler", test_handler);
  ipc_test_add ("/pipe/lines/bad-lines", test_bad_lines);
  ipc_test_add ("/pipe/lines/long-line", test_long_line);
  ipc_test_add ("/pipe/lines/no-spin", test_no_spin);
  ipc_test_add ("/pipe/lines/stop-in-handler", test_stop_in_handler);
  ipc_test_add ("/pipe/lines/nested-loop", test_nested_loop);
  return ipc_test_run ();
}
