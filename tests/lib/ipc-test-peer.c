/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Other processes. A peer is this program, started again with `--ipc-test-peer=ROLE`, or any other program; a pipe
 * goes to its standard input and one comes from its standard output, and what they say in lines is how test and
 * peer keep in step. The test owns the peer: it kills and reaps it, and the kernel kills it should the test die.
 *
 * Between fork and exec only calls are made that are safe after a fork in a threaded program.
 */
#include "ipc-test-private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROLE_OPTION "--ipc-test-peer="
#define NO_UID G_MAXUINT

struct _IpcTestPeer
{
  GPid pid;
  int input;      /* (owned) -1 when closed; what we write */
  int output;     /* (owned) what we read */
  GString *lines; /* (owned) read, and not taken yet */
  gboolean at_end;
  gboolean reaped;
  int status;
};

static void
close_if_open (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

/* ── In the peer ── */

void
ipc_test_run_role (int argc, char **argv, const IpcTestRole *roles)
{
  if (argc < 2 || !g_str_has_prefix (argv[1], ROLE_OPTION))
    return;
  for (const IpcTestRole *role = roles; role && role->name; role++)
    {
      if (g_str_equal (role->name, argv[1] + strlen (ROLE_OPTION)))
        exit (role->run (argv + 2));
    }
  g_error ("no such role: %s", argv[1]);
}

void
ipc_test_tell (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vprintf (format, args);
  va_end (args);
  putchar ('\n');
  fflush (stdout);
}

char *
ipc_test_hear (void)
{
  char *line = NULL;
  size_t size = 0;
  g_autofree char *copy = NULL;

  if (getline (&line, &size, stdin) >= 0)
    copy = g_strchomp (g_strdup (line));
  free (line);
  return g_steal_pointer (&copy);
}

/* ── Starting ── */

typedef struct
{
  int program;        /* a descriptor, or -1: argv[0] through $PATH */
  char * const *argv;
  guint uid;
  int input, output;
} Launch;

static G_NORETURN void
exec_child (const Launch *launch)
{
  static const char complaint[] = "cannot start the peer\n";
  int program = -1;

  if (dup2 (launch->input, 0) == 0 && dup2 (launch->output, 1) == 1 &&
      (launch->program < 0 || (program = dup2 (launch->program, 3)) == 3) &&
      close_range (program < 0 ? 3 : 4, ~0u, 0) == 0 &&
      (launch->uid == NO_UID || (setgid (launch->uid) == 0 && setuid (launch->uid) == 0)) &&
      prctl (PR_SET_PDEATHSIG, SIGKILL) == 0)
    {
      if (program < 0)
        execvp (launch->argv[0], launch->argv);
      else
        fexecve (program, launch->argv, environ);
    }
  if (write (2, complaint, sizeof complaint - 1) < 0)
    _exit (126);
  _exit (127);
}

static void
open_pipe (int fds[2])
{
  g_autoptr(GError) error = NULL;

  g_unix_open_pipe (fds, FD_CLOEXEC, &error);
  g_assert_no_error (error);
}

static IpcTestPeer *
launch_peer (int program, const char * const *argv, guint uid)
{
  IpcTestPeer *self = g_new0 (IpcTestPeer, 1);
  int input[2], output[2];
  Launch launch;

  open_pipe (input);
  open_pipe (output);
  launch = (Launch) { program, (char * const *) argv, uid, input[0], output[1] };
  fflush (NULL);
  self->pid = fork ();
  g_assert_no_errno (self->pid);
  if (self->pid == 0)
    exec_child (&launch);
  close (input[0]);
  close (output[1]);
  self->input = input[1];
  self->output = output[0];
  self->lines = g_string_new (NULL);
  return self;
}

IpcTestPeer *
ipc_test_peer_spawn_as (guint uid, const char *role, const char * const *arguments)
{
  g_autoptr(GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  /* by descriptor: another user may not be able to walk to the program */
  int program = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  IpcTestPeer *self;

  g_assert_no_errno (program);
  g_ptr_array_add (argv, g_strdup ("peer"));
  g_ptr_array_add (argv, g_strconcat (ROLE_OPTION, role, NULL));
  for (guint i = 0; arguments && arguments[i]; i++)
    g_ptr_array_add (argv, g_strdup (arguments[i]));
  g_ptr_array_add (argv, NULL);
  self = launch_peer (program, (const char * const *) argv->pdata, uid);
  close (program);
  return self;
}

IpcTestPeer *
ipc_test_peer_spawn (const char *role, const char * const *arguments)
{
  return ipc_test_peer_spawn_as (NO_UID, role, arguments);
}

IpcTestPeer *
ipc_test_peer_spawn_program (const char * const *argv)
{
  return launch_peer (-1, argv, NO_UID);
}

GPid
ipc_test_peer_get_pid (IpcTestPeer *self)
{
  return self->pid;
}

/* ── Talking ── */

static gboolean
output_is_readable (int fd, GIOCondition condition, gpointer user_data)
{
  IpcTestPeer *self = user_data;
  char buffer[4096];
  gssize n = read (fd, buffer, sizeof buffer);

  g_assert_no_errno (n);
  if (n == 0)
    self->at_end = TRUE;
  else
    g_string_append_len (self->lines, buffer, n);
  return n > 0;
}

static gboolean
has_line (IpcTestPeer *self)
{
  return self->at_end || strchr (self->lines->str, '\n') != NULL;
}

static char *
take_line (IpcTestPeer *self)
{
  gsize length = strcspn (self->lines->str, "\n");
  char *line;

  if (self->lines->len == 0)
    return NULL;
  line = g_strndup (self->lines->str, length);
  g_string_erase (self->lines, 0, MIN (length + 1, self->lines->len));
  return line;
}

char *
ipc_test_peer_read_line (IpcTestPeer *self)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  g_autoptr(GSource) source = g_unix_fd_source_new (self->output, G_IO_IN | G_IO_HUP);

  if (!has_line (self))
    {
      g_source_set_callback (source, G_SOURCE_FUNC (output_is_readable), self, NULL);
      g_source_attach (source, context);
      ipc_test_wait_for (has_line (self));
      g_source_destroy (source);
    }
  return take_line (self);
}

void
ipc_test_peer_expect (IpcTestPeer *self, const char *expected)
{
  g_autofree char *line = ipc_test_peer_read_line (self);

  g_assert_cmpstr (line, ==, expected);
}

void
ipc_test_peer_write_line (IpcTestPeer *self, const char *line)
{
  g_autofree char *text = g_strconcat (line, "\n", NULL);

  g_assert_cmpint (write (self->input, text, strlen (text)), ==, (gssize) strlen (text));
}

void
ipc_test_peer_close_stdin (IpcTestPeer *self)
{
  close_if_open (&self->input);
}

/* ── Ending ── */

void
ipc_test_peer_signal (IpcTestPeer *self, int signal_number)
{
  g_assert_false (self->reaped);
  g_assert_no_errno (kill (self->pid, signal_number));
}

static gboolean
has_ended (IpcTestPeer *self)
{
  if (!self->reaped)
    {
      GPid pid = waitpid (self->pid, &self->status, WNOHANG);

      g_assert_no_errno (pid);
      self->reaped = pid == self->pid;
    }
  return self->reaped;
}

int
ipc_test_peer_wait (IpcTestPeer *self)
{
  ipc_test_wait_for (has_ended (self));
  return WIFSIGNALED (self->status) ? -WTERMSIG (self->status) : WEXITSTATUS (self->status);
}

void
ipc_test_peer_kill (IpcTestPeer *self)
{
  ipc_test_peer_signal (self, SIGKILL);
  ipc_test_peer_wait (self);
}

void
ipc_test_peer_free (IpcTestPeer *self)
{
  if (!has_ended (self))
    {
      kill (self->pid, SIGKILL);
      waitpid (self->pid, NULL, 0);
    }
  close_if_open (&self->input);
  close_if_open (&self->output);
  g_string_free (self->lines, TRUE);
  g_free (self);
}
