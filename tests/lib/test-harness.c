/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The harness itself: that it passes what is in order, and that it fails what is not. The failing half runs in
 * subprocesses, since there it is the abort that is the success.
 */
#include "ipc-test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ── What is in order ── */

static void
test_directory (IpcTest *test)
{
  g_autofree char *link = ipc_test_path (test, "link");
  g_autofree char *closed = ipc_test_path (test, "closed");
  g_autofree char *inside = g_build_filename (closed, "inside", NULL);
  struct stat status;

  g_assert_no_errno (stat (test->directory, &status));
  g_assert_cmpint (status.st_mode & 07777, ==, 0700);
  /* the clean-up has to cope with these, and to leave the target of the link alone */
  g_assert_no_errno (symlink ("/", link));
  g_assert_no_errno (mkdir (closed, 0700));
  g_assert_no_errno (mkdir (inside, 0));
  g_assert_no_errno (chmod (closed, 0));
}

static void
test_directory_is_gone (IpcTest *test)
{
  static char *previous = NULL;

  if (previous)
    g_assert_false (g_file_test (previous, G_FILE_TEST_EXISTS));
  g_free (previous);
  previous = test->data ? NULL : g_strdup (test->directory);
}

static gboolean
set_flag (gpointer flag)
{
  *(gboolean *) flag = TRUE;
  return G_SOURCE_REMOVE;
}

static void
test_wait (IpcTest *test)
{
  gboolean flag = FALSE;

  g_idle_add (set_flag, &flag);
  ipc_test_wait_for (flag);
  g_assert_true (flag);
}

static void
test_wait_in_context (IpcTest *test)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  gboolean flag = FALSE;

  g_main_context_push_thread_default (context);
  g_main_context_invoke_full (context, G_PRIORITY_LOW, set_flag, &flag, NULL);
  ipc_test_wait_for (flag);
  g_main_context_pop_thread_default (context);
}

static void
test_peer_speaks (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("mirror", (const char *[]) { "one", "two", NULL });
  g_autofree char *after_end = NULL;

  ipc_test_peer_expect (peer, "one");
  ipc_test_peer_expect (peer, "two");
  ipc_test_peer_write_line (peer, "three");
  ipc_test_peer_expect (peer, "heard three");
  ipc_test_peer_close_stdin (peer);
  after_end = ipc_test_peer_read_line (peer);
  g_assert_null (after_end);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 7);
}

static void
test_peer_is_killed (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("mirror", NULL);

  ipc_test_peer_signal (peer, SIGTERM);
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, -SIGTERM);
}

/* A peer that still runs when it is freed leaves nothing: the ledger of this test looks. */
static void
test_peer_is_freed (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("mirror", (const char *[]) { "up", NULL });

  ipc_test_peer_expect (peer, "up");
}

static void
test_peer_program (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn_program ((const char *[]) { "sh", "-c", "echo hello; exit 3", NULL });

  ipc_test_peer_expect (peer, "hello");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 3);
}

static void
test_peer_of_another_user (IpcTest *test)
{
  if (!ipc_test_need_root ())
    return;

  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn_as (65534, "uid", NULL);

  ipc_test_peer_expect (peer, "65534");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
}

static void
test_seed (IpcTest *test)
{
  g_autoptr(GRand) one = NULL;
  g_autoptr(GRand) two = NULL;

  g_setenv ("IPC_TEST_SEED", "1234", TRUE);
  one = ipc_test_rand_new ();
  two = ipc_test_rand_new ();
  g_unsetenv ("IPC_TEST_SEED");
  g_assert_cmpuint (g_rand_int (one), ==, g_rand_int (two));
}

/* ── What is not ── */

static void
leak_fd (IpcTest *test)
{
  g_assert_no_errno (open ("/dev/null", O_RDONLY | O_CLOEXEC));
}

static gpointer
pause_for_ever (gpointer data)
{
  for (;;)
    pause ();
  return NULL;
}

static void
leak_thread (IpcTest *test)
{
  g_thread_unref (g_thread_new ("left-behind", pause_for_ever, NULL));
}

static void
leak_child (IpcTest *test)
{
  GPid pid = fork ();

  g_assert_no_errno (pid);
  if (pid == 0)
    _exit (0);
}

static void
wait_in_vain (IpcTest *test)
{
  gboolean the_impossible = FALSE;

  ipc_test_wait_for_full (the_impossible, 1);
}

static void
hang (IpcTest *test)
{
  ipc_test_set_deadline (1);
  pause_for_ever (NULL);
}

static void
call_back_twice (IpcTest *test)
{
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GTask) task = g_task_new (NULL, NULL, NULL, NULL);

  ipc_test_async_cb (NULL, G_ASYNC_RESULT (task), &async);
  ipc_test_async_cb (NULL, G_ASYNC_RESULT (task), &async);
}

static const struct
{
  const char *name;
  IpcTestFunc func;
  const char *complaint;
} faults[] = {
  { "fd", leak_fd, "*left behind: descriptor * (/dev/null)*" },
  { "thread", leak_thread, "*left behind: thread * (left-behind)*" },
  { "child", leak_child, "*left behind: a child process*" },
  { "wait", wait_in_vain, "*never came true: the_impossible*" },
  { "hang", hang, "*not finished after 1 seconds*" },
  { "callback-twice", call_back_twice, "*n_callbacks*" },
};

static void
test_fault_is_found (IpcTest *test)
{
  guint i = GPOINTER_TO_UINT (test->data);
  g_autofree char *path = g_strconcat ("/lib/fault/", faults[i].name, "/subprocess", NULL);

  g_test_trap_subprocess (path, 0, G_TEST_SUBPROCESS_DEFAULT);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr (faults[i].complaint);
}

static void
add_fault_tests (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (faults); i++)
    {
      g_autofree char *path = g_strconcat ("/lib/fault/", faults[i].name, NULL);
      g_autofree char *subprocess = g_strconcat (path, "/subprocess", NULL);

      ipc_test_add_data (path, GUINT_TO_POINTER (i), test_fault_is_found);
      ipc_test_add (subprocess, faults[i].func);
    }
}

static int
play_mirror (char **arguments)
{
  char *line;

  for (; *arguments; arguments++)
    ipc_test_tell ("%s", *arguments);
  while ((line = ipc_test_hear ()))
    {
      ipc_test_tell ("heard %s", line);
      g_free (line);
    }
  return 7;
}

static int
play_uid (char **arguments)
{
  ipc_test_tell ("%u", (guint) getuid ());
  return 0;
}

static const IpcTestRole roles[] = {
  { "mirror", play_mirror },
  { "uid", play_uid },
  { NULL, NULL },
};

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/lib/directory", test_directory);
  ipc_test_add ("/lib/directory-is-gone/1", test_directory_is_gone);
  ipc_test_add_data ("/lib/directory-is-gone/2", "last", test_directory_is_gone);
  ipc_test_add ("/lib/wait", test_wait);
  ipc_test_add ("/lib/wait-in-context", test_wait_in_context);
  ipc_test_add ("/lib/peer/speaks", test_peer_speaks);
  ipc_test_add ("/lib/peer/is-killed", test_peer_is_killed);
  ipc_test_add ("/lib/peer/is-freed", test_peer_is_freed);
  ipc_test_add ("/lib/peer/program", test_peer_program);
  ipc_test_add ("/lib/peer/another-user", test_peer_of_another_user);
  ipc_test_add ("/lib/seed", test_seed);
  add_fault_tests ();
  return ipc_test_run ();
}
