/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writing to a pipe that nobody reads: EPIPE, and no signal, in both ways of doing it.
 */
#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "core/ipc-quiet-write.h"
#include "ipc-test.h"

static ssize_t
write_text (int fd, const char *text)
{
  return ipc_quiet_writev (fd, &(struct iovec){ (void *) text, strlen (text) }, 1);
}

/* GLib ignores the signal once it has seen a socket; here it kills. */
static void
check_broken_pipe (void)
{
  struct sigaction before, fatal = { .sa_handler = SIG_DFL };
  char room[8];
  int fds[2];

  g_assert_no_errno (sigaction (SIGPIPE, &fatal, &before));
  g_assert_no_errno (pipe (fds));
  g_assert_cmpint (write_text (fds[1], "heard"), ==, 5);
  g_assert_cmpint (read (fds[0], room, sizeof room), ==, 5);
  close (fds[0]);
  g_assert_cmpint (write_text (fds[1], "lost"), ==, -1);
  g_assert_cmpint (errno, ==, EPIPE);
  close (fds[1]);
  g_assert_no_errno (sigaction (SIGPIPE, &before, NULL));
}

static gboolean
is_pending (void)
{
  sigset_t pending;

  sigpending (&pending);
  return sigismember (&pending, SIGPIPE);
}

/* Whoever blocks the signal gets none of ours later, and keeps its own. */
static void
check_blocked (void)
{
  sigset_t blocked, before;
  int got;

  sigemptyset (&blocked);
  sigaddset (&blocked, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &blocked, &before);
  check_broken_pipe ();
  g_assert_false (is_pending ());
  raise (SIGPIPE);
  check_broken_pipe ();
  g_assert_true (is_pending ());
  sigwait (&blocked, &got);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
}

static void
test_flag (IpcTest *test)
{
  check_broken_pipe ();
}

static void
test_mask (IpcTest *test)
{
  ipc_quiet_write_forget_flag ();
  check_broken_pipe ();
  signal (SIGPIPE, SIG_DFL);
  check_blocked ();
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/quiet-write/flag", test_flag);
  ipc_test_add ("/core/quiet-write/mask", test_mask);
  return ipc_test_run ();
}
