/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gipc semaphore run: a command that runs while this process holds a permit for it.
 *
 * The permit goes back when the command has ended. If this process is killed, the permit is whoever's waits, so the
 * command must not go on: the kernel kills it with its parent. (That is one moment after the permit is free; and what the
 * command has started itself, or has become through a set-user-id program, is not reached.)
 *
 * While the command runs, signals are blocked and taken one by one; until then they do what they do to any
 * program, and the kernel sees to the permit.
 */
#include "gipc-semaphore.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_TIMED_OUT 75 /* EX_TEMPFAIL: it may be tried again */
#define EXIT_CANNOT_RUN 126
#define EXIT_NO_COMMAND 127
#define EXIT_KILLED 128
#define ATTEMPTS 16

typedef struct
{
  sigset_t         watched;   /* those below and SIGCHLD */
  sigset_t         inherited; /* what was blocked when we were started */
  struct sigaction child;     /* what was to be done at SIGCHLD then */
} Signals;

static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };

/* ---- The semaphore ---- */

static IpcSemaphore *
open_with (IpcSemaphoreManager *manager, const char *name, guint permits, GError **error)
{
  g_autoptr (IpcSemaphore) semaphore = ipc_semaphore_manager_open_semaphore (manager, name, error);
  guint present = semaphore != NULL ? ipc_semaphore_get_total_permits (semaphore) : 0;

  if (semaphore == NULL || permits == 0 || permits == present)
    return g_steal_pointer (&semaphore);
  g_set_error (error, IPC_ERROR, IPC_ERROR_MISMATCH, "semaphore \"%s\" exists with %u permits, asked %u", name, present,
               permits);
  return NULL;
}

/* Others may make and delete it at the same time. PERMITS is 0 for any number. */
static IpcSemaphore *
open_or_create (IpcSemaphoreManager *manager, const char *name, guint permits, GError **error)
{
  for (guint i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr (GError) problem = NULL;
      IpcSemaphore *semaphore = open_with (manager, name, permits, &problem);

      if (semaphore == NULL && g_error_matches (problem, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        {
          g_clear_error (&problem);
          semaphore = ipc_semaphore_manager_create_semaphore (manager, name, permits, &problem);
        }
      if (semaphore != NULL)
        return semaphore;
      if (!g_error_matches (problem, IPC_ERROR, IPC_ERROR_EXISTS))
        return g_propagate_error (error, g_steal_pointer (&problem)), NULL;
    }
  g_set_error (error, IPC_ERROR, IPC_ERROR_FAILED, "semaphore \"%s\" comes and goes all the time", name);
  return NULL;
}

/* ---- Signals ---- */

/* Whatever thread is started from here on does not take them. */
static void
block_signals (Signals *self)
{
  struct sigaction standard = { .sa_handler = SIG_DFL };

  sigemptyset (&self->watched);
  sigaddset (&self->watched, SIGCHLD);
  for (guint i = 0; i < G_N_ELEMENTS (passed_on); i++)
    sigaddset (&self->watched, passed_on[i]);
  sigprocmask (SIG_BLOCK, &self->watched, &self->inherited);
  /* Who ignores it has no children to wait for. */
  sigaction (SIGCHLD, &standard, &self->child);
}

/* Waits for the end of the command; its status as wait() has it. What comes from the terminal went to the command, too. */
static int
pass_signals_on (const Signals *signals, pid_t command)
{
  int status = 0;

  while (TRUE)
    {
      siginfo_t info;
      int number = sigwaitinfo (&signals->watched, &info);

      if (number == SIGCHLD && waitpid (command, &status, WNOHANG) == command)
        return status;
      if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL)
        kill (command, number);
    }
}

/* ---- The command ---- */

/* In the child. Only what may be called between fork() and exec(). */
G_NORETURN static void
become (char **command, const Signals *signals, pid_t parent, int report_fd)
{
  int problem;

  prctl (PR_SET_PDEATHSIG, SIGKILL);
  /* It may have died before that. */
  if (getppid () != parent)
    _exit (EXIT_CANNOT_RUN);
  signal (SIGPIPE, gipc_inherited_sigpipe);
  sigaction (SIGCHLD, &signals->child, NULL);
  sigprocmask (SIG_SETMASK, &signals->inherited, NULL);
  execvp (command[0], command);
  problem = errno;
  while (write (report_fd, &problem, sizeof problem) < 0 && errno == EINTR)
    ;
  _exit (EXIT_CANNOT_RUN);
}

/* 0, or the errno of the exec() that failed: if it does not, it closes the pipe. */
static int
read_problem (int fd)
{
  int problem = 0;
  ssize_t n;

  while ((n = read (fd, &problem, sizeof problem)) < 0 && errno == EINTR)
    ;
  return n == sizeof problem ? problem : 0;
}

/* 0, or an errno. */
static int
start (char **command, const Signals *signals, pid_t *pid)
{
  pid_t parent = getpid ();
  int problem, pipe_fds[2];

  if (pipe2 (pipe_fds, O_CLOEXEC) < 0)
    return errno;
  *pid = fork ();
  problem = *pid < 0 ? errno : 0;
  if (*pid == 0)
    become (command, signals, parent, pipe_fds[1]);
  close (pipe_fds[1]);
  if (*pid > 0)
    problem = read_problem (pipe_fds[0]);
  close (pipe_fds[0]);
  if (*pid > 0 && problem != 0)
    waitpid (*pid, NULL, 0);
  return problem;
}

static int
run_command (char **command, const Signals *signals)
{
  pid_t pid = -1;
  int problem = start (command, signals, &pid), status;

  if (problem != 0)
    {
      gipc_fail ("%s: %s", command[0], g_strerror (problem));
      return problem == ENOENT ? EXIT_NO_COMMAND : EXIT_CANNOT_RUN;
    }
  status = pass_signals_on (signals, pid);
  return WIFSIGNALED (status) ? EXIT_KILLED + WTERMSIG (status) : WEXITSTATUS (status);
}

/* ---- All together ---- */

static int
run (const char *name, guint permits, gint timeout, char **command)
{
  g_autoptr (IpcSemaphoreManager) manager = NULL;
  g_autoptr (IpcSemaphore) semaphore = NULL;
  g_autoptr (IpcPermit) permit = NULL;
  g_autoptr (GError) error = NULL;
  Signals signals;
  int status;

  block_signals (&signals);
  manager = ipc_semaphore_manager_new (NULL);
  semaphore = open_or_create (manager, name, permits, &error);
  sigprocmask (SIG_SETMASK, &signals.inherited, NULL);
  permit = semaphore != NULL ? ipc_semaphore_acquire (semaphore, timeout, NULL, &error) : NULL;
  if (permit == NULL)
    {
      status = g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT) ? EXIT_TIMED_OUT : GIPC_EXIT_FAILED;
      gipc_fail ("%s", error->message);
      return status;
    }
  sigprocmask (SIG_BLOCK, &signals.watched, NULL);
  status = run_command (command, &signals);
  if (!ipc_permit_release (permit, &error))
    return gipc_fail ("%s", error->message);
  return status;
}

int
gipc_semaphore_run (const GipcVerb *verb, int argc, char **argv)
{
  gint option = GIPC_SEMAPHORE_PERMITS_UNSET, timeout = -1;
  const GOptionEntry options[] = {
    { "permits", 'p', 0, G_OPTION_ARG_INT, &option, "how many permits the semaphore has (default: 1 if it is made)", "N" },
    { "timeout", 't', 0, G_OPTION_ARG_INT, &timeout,
      "how long to wait for a permit; 0 not at all, -1 for ever (default: -1)", "MS" },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  guint permits;

  if (arguments == NULL || !gipc_semaphore_read_permits (verb, option, &permits))
    return GIPC_EXIT_USAGE;
  if (timeout < -1)
    return gipc_fail_usage (verb, "--timeout: %d is less than -1", timeout);
  return run (arguments[0], permits, timeout, arguments + 1);
}
