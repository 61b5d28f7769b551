/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who has a file attached: counted, proved, gone with its process, and kept out while the file is removed.
 */
#include "core/ipc-attachment.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc-presence.h"
#include "ipc-test.h"

static int
open_file (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "file");
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

  g_assert_no_errno (fd);
  return fd;
}

static void
take (IpcAttachment *attachment, int fd, guint index)
{
  IpcFault fault = { 0 };

  if (!ipc_attachment_take (attachment, fd, index, &fault))
    g_error ("%s", fault.message);
}

static void
assert_count (int fd, guint n)
{
  g_assert_cmpuint (ipc_attachment_count (fd), ==, n);
  g_assert_cmpint (ipc_attachment_is_taken (fd), ==, n > 0);
}

/* Whatever lies where, neighbours, both ends and twice the same among it. */
static void
test_count (IpcTest *test)
{
  const guint indexes[] = { 7, 0, IPC_PRESENCE_MAX - 1, 8, 9, 100, 7, 4000, 50, 51 };
  IpcAttachment attachments[G_N_ELEMENTS (indexes)];
  int fd = open_file (test);

  assert_count (fd, 0);
  for (guint i = 0; i < G_N_ELEMENTS (indexes); i++)
    {
      take (&attachments[i], fd, indexes[i]);
      assert_count (fd, i < 6 ? i + 1 : i);
    }
  /* One of the two is as good as both. */
  ipc_attachment_drop (&attachments[0]);
  assert_count (fd, 9);
  ipc_attachment_drop (&attachments[6]);
  assert_count (fd, 8);
  for (guint i = 0; i < G_N_ELEMENTS (indexes); i++)
    ipc_attachment_drop (&attachments[i]);
  assert_count (fd, 0);
  close (fd);
}

/* Many, in an order of its own. */
static void
test_crowd (IpcTest *test)
{
  enum { N = 300 };
  IpcAttachment attachments[N];
  int fd = open_file (test);

  for (guint i = 0; i < N; i++)
    take (&attachments[i], fd, i * 1009 % IPC_PRESENCE_MAX);
  assert_count (fd, N);
  for (guint i = 0; i < N; i += 2)
    ipc_attachment_drop (&attachments[i]);
  assert_count (fd, N / 2);
  for (guint i = 0; i < N; i++)
    ipc_attachment_drop (&attachments[i]);
  assert_count (fd, 0);
  close (fd);
}

static void
test_exclusive (IpcTest *test)
{
  IpcAttachment one = IPC_ATTACHMENT_INIT, all = IPC_ATTACHMENT_INIT;
  IpcFault fault = { 0 };
  int fd = open_file (test);

  take (&one, fd, 3);
  g_assert_false (ipc_attachment_take_all (&all, fd, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_NONE);
  g_assert_cmpint (all.fd, ==, -1);
  ipc_attachment_drop (&one);
  g_assert_true (ipc_attachment_take_all (&all, fd, &fault));
  g_assert_false (ipc_attachment_take (&one, fd, 3, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_NOT_FOUND);
  ipc_attachment_drop (&all);
  take (&one, fd, 3);
  ipc_attachment_drop (&one);
  ipc_attachment_drop (&one);
  close (fd);
}

/* A process that attaches to what it opened, and stays; with FORKS, it is a child of it that says so: then it has closed
 * what it must not keep. Returns the pid; *SAID is who said it. */
static pid_t
spawn (IpcTest *test, guint index, gboolean forks, pid_t *said)
{
  int pipe_fds[2];
  pid_t pid;

  g_assert_no_errno (pipe2 (pipe_fds, O_CLOEXEC));
  pid = fork ();
  if (pid == 0)
    {
      IpcAttachment attachment = IPC_ATTACHMENT_INIT;
      pid_t me;

      take (&attachment, open_file (test), index);
      if (!forks || fork () == 0)
        {
          me = getpid ();
          g_assert_cmpint (write (pipe_fds[1], &me, sizeof me), ==, sizeof me);
        }
      /* nobody is left if the test fails */
      alarm (25);
      for (;;)
        pause ();
    }
  g_assert_cmpint (pid, >, 0);
  g_assert_cmpint (read (pipe_fds[0], said, sizeof *said), ==, sizeof *said);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
  return pid;
}

static void
end (pid_t pid)
{
  g_assert_no_errno (kill (pid, SIGKILL));
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

static void
test_killed (IpcTest *test)
{
  int fd = open_file (test);
  pid_t said;
  pid_t a = spawn (test, 1, FALSE, &said);
  pid_t b = spawn (test, 2, FALSE, &said);

  assert_count (fd, 2);
  end (a);
  assert_count (fd, 1);
  end (b);
  assert_count (fd, 0);
  close (fd);
}

static void
test_forked (IpcTest *test)
{
  int fd = open_file (test);
  pid_t grandchild;
  pid_t pid = spawn (test, 1, TRUE, &grandchild);

  assert_count (fd, 1);
  end (pid);
  assert_count (fd, 0);
  g_assert_no_errno (kill (grandchild, SIGKILL));
  close (fd);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/attachment/count", test_count);
  ipc_test_add ("/core/attachment/crowd", test_crowd);
  ipc_test_add ("/core/attachment/exclusive", test_exclusive);
  ipc_test_add ("/core/attachment/killed", test_killed);
  ipc_test_add ("/core/attachment/forked-child", test_forked);
  return ipc_test_run ();
}
