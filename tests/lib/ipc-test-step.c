/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ipc-test-step.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t
ipc_test_step_start (IpcTestStepFunc prepare, IpcTestStepFunc walk, gpointer data)
{
  pid_t pid = fork ();
  int status;

  if (pid == 0)
    {
      if (prepare != NULL)
        prepare (data);
      ptrace (PTRACE_TRACEME, 0, NULL, NULL);
      raise (SIGSTOP);
      walk (data);
      raise (SIGUSR1);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSTOPPED (status));
  return pid;
}

#ifdef IPC_TEST_CAN_STEP
/* What sanitizers put in makes many more instructions, none of which are those of users. */
#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
#define STRIDE 61u
#else
#define STRIDE 3u
#endif

guint
ipc_test_step_get_stride (void)
{
  return g_strcmp0 (g_getenv ("IPC_TEST_STEPS_ALL"), "1") == 0 ? 1 : STRIDE;
}

guint
ipc_test_step_get_first (void)
{
  return 1 + (guint) g_random_int_range (0, (gint32) ipc_test_step_get_stride ());
}

gboolean
ipc_test_step_on (pid_t pid, guint n)
{
  int status;

  for (guint i = 0; i < n; i++)
    {
      g_assert_no_errno (ptrace (PTRACE_SINGLESTEP, pid, NULL, NULL));
      g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
      g_assert_true (WIFSTOPPED (status));
      if (WSTOPSIG (status) == SIGUSR1)
        return TRUE;
    }
  return FALSE;
}
#endif

#define CALL_STOP (SIGTRAP | 0x80)

/* The signal that it has stopped at. */
static int
go_to_next_call (pid_t pid, IpcTestStepFunc meanwhile, gpointer data)
{
  int status;
  pid_t stopped;

  g_assert_no_errno (ptrace (PTRACE_SYSCALL, pid, NULL, NULL));
  while ((stopped = waitpid (pid, &status, meanwhile != NULL ? WNOHANG : 0)) == 0)
    meanwhile (data);
  g_assert_cmpint (stopped, ==, pid);
  g_assert_true (WIFSTOPPED (status));
  return WSTOPSIG (status);
}

gboolean
ipc_test_step_calls (pid_t pid, guint n, IpcTestStepFunc meanwhile, gpointer data)
{
  g_assert_no_errno (ptrace (PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
  for (guint i = 0; i < n; i++)
    {
      int signal_number = go_to_next_call (pid, meanwhile, data);

      if (signal_number == SIGUSR1)
        return TRUE;
      g_assert_cmpint (signal_number, ==, CALL_STOP);
    }
  return FALSE;
}

void
ipc_test_step_end (pid_t pid)
{
  int status;

  g_assert_no_errno (ptrace (PTRACE_CONT, pid, NULL, NULL));
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFSTOPPED (status));
  g_assert_cmpint (WSTOPSIG (status), ==, SIGUSR1);
  ipc_test_step_kill (pid);
}

void
ipc_test_step_kill (pid_t pid)
{
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}
