/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gipc queue consume: messages, one after the other; what becomes of each is said before the next one is taken.
 *
 * One that was printed is acknowledged when standard output has it. If gipc is killed, or the command that it runs, the message comes again.
 */
#include "gipc-queue.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_TIMED_OUT 75 /* EX_TEMPFAIL: it may be tried again */
#define EXIT_CANNOT_RUN 126
/* A lease is five minutes long. */
#define EXTEND_MS 300000
#define RENEWAL_SECONDS 60

typedef struct
{
  GipcQueueOptions common;
  gint             count;
  gboolean         follow;
  gint             timeout;
  char            *command;   /* (owned) (nullable) */
  gint64           delay;
} Options;

/* ---- printing ---- */

static gboolean
print (const Options *options, IpcMessage *message)
{
  g_autofree char *line = NULL;

  if (!options->common.as_json)
    return gipc_message_print_payload (message);
  line = gipc_message_to_line (message, NULL);
  return gipc_write_line (line);
}

/* ---- a command ---- */

/* It is waited for, so no thread takes it. */
static void
block_child_signal (int how)
{
  sigset_t child;

  sigemptyset (&child);
  sigaddset (&child, SIGCHLD);
  sigprocmask (how, &child, NULL);
}

/* In the child. Only what may be called between fork() and exec(). */
G_NORETURN static void
become (const char *command, int input, pid_t parent)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  /* It may have died before that. */
  if (getppid () != parent || dup2 (input, STDIN_FILENO) < 0)
    _exit (EXIT_CANNOT_RUN);
  signal (SIGPIPE, gipc_inherited_sigpipe);
  block_child_signal (SIG_UNBLOCK);
  execl ("/bin/sh", "sh", "-c", command, (char *) NULL);
  _exit (EXIT_CANNOT_RUN);
}

/* A command need not read all of it, or anything. */
static void
feed (int fd, IpcMessage *message)
{
  gsize size, done = 0;
  const char *data = ipc_message_peek_payload (message, &size);

  while (done < size)
    {
      ssize_t n = write (fd, data + done, size - done);

      if (n < 0 && errno != EINTR)
        return;
      done += n > 0 ? (gsize) n : 0;
    }
}

typedef struct
{
  int         fd;
  IpcMessage *message;
} Feeder;

static gpointer
feed_in_thread (gpointer data)
{
  Feeder *self = data;

  feed (self->fd, self->message);
  close (self->fd);
  return NULL;
}

/* Its status as wait() has it. As long as it runs, nobody else gets the message. */
static int
wait_for (pid_t pid, IpcDelivery *delivery)
{
  gint64 renewal = g_get_monotonic_time () + RENEWAL_SECONDS * G_USEC_PER_SEC;
  const struct timespec tick = { 0, 100 * 1000 * 1000 };
  sigset_t child;
  int status = 0;

  sigemptyset (&child);
  sigaddset (&child, SIGCHLD);
  while (waitpid (pid, &status, WNOHANG) != pid)
    {
      sigtimedwait (&child, NULL, &tick);
      if (g_get_monotonic_time () < renewal)
        continue;
      ipc_delivery_extend (delivery, EXTEND_MS, NULL, NULL);
      renewal = g_get_monotonic_time () + RENEWAL_SECONDS * G_USEC_PER_SEC;
    }
  return status;
}

/* Its status as wait() has it; -1 after saying why it could not be run. */
static int
run_command (const char *command, IpcDelivery *delivery)
{
  Feeder feeder = { -1, ipc_delivery_get_message (delivery) };
  pid_t parent = getpid (), pid;
  GThread *thread;
  int status, fds[2];

  if (!g_unix_open_pipe (fds, FD_CLOEXEC, NULL) || (pid = fork ()) < 0)
    return gipc_fail ("cannot run a command: %s", g_strerror (errno)), -1;
  if (pid == 0)
    become (command, fds[0], parent);
  close (fds[0]);
  feeder.fd = fds[1];
  thread = g_thread_new ("feed", feed_in_thread, &feeder);
  status = wait_for (pid, delivery);
  g_thread_join (thread);
  return status;
}

/* ---- one message ---- */

static gboolean
settle (gboolean done, GError *const *error)
{
  return done || (gipc_fail ("%s", (*error)->message), FALSE);
}

static gboolean
execute (const Options *options, IpcDelivery *delivery)
{
  g_autoptr (GError) error = NULL;
  int status = run_command (options->command, delivery);

  if (status == 0)
    return settle (ipc_delivery_ack (delivery, NULL, &error), &error);
  return settle (ipc_delivery_nack (delivery, options->delay, NULL, &error), &error) && status != -1;
}

static gboolean
handle (const Options *options, IpcDelivery *delivery)
{
  g_autoptr (GError) error = NULL;

  if (options->command != NULL)
    return execute (options, delivery);
  return print (options, ipc_delivery_get_message (delivery)) && settle (ipc_delivery_ack (delivery, NULL, &error), &error);
}

/* ---- all together ---- */

static int
consume (const Options *options, const char *name)
{
  g_autoptr (IpcQueueManager) manager = NULL;
  g_autoptr (IpcMessageQueue) queue = NULL;

  block_child_signal (SIG_BLOCK);
  manager = gipc_queue_open_manager (&options->common);
  queue = manager != NULL ? gipc_queue_open (manager, name, TRUE) : NULL;
  if (queue == NULL)
    return GIPC_EXIT_FAILED;
  for (gint n = 0; options->count == 0 || n < options->count; n++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (IpcDelivery) delivery = ipc_message_queue_consume (queue, options->timeout, NULL, &error);

      if (delivery == NULL && g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT))
        return n > 0 && options->count == 0 ? GIPC_EXIT_OK : (gipc_fail ("%s", error->message), EXIT_TIMED_OUT);
      if (delivery == NULL)
        return gipc_fail ("%s", error->message);
      if (!handle (options, delivery))
        return GIPC_EXIT_FAILED;
    }
  return GIPC_EXIT_OK;
}

int
gipc_queue_consume (const GipcVerb *verb, int argc, char **argv)
{
  Options options = { .count = -1, .timeout = G_MININT, .delay = -1 };
  const GOptionEntry entries[] = {
    GIPC_QUEUE_URI_OPTION (options.common),
    { "count", 'n', 0, G_OPTION_ARG_INT, &options.count, "end after so many (default: 1)", "N" },
    { "follow", 'f', 0, G_OPTION_ARG_NONE, &options.follow, "go on and on", NULL },
    { "timeout", 't', 0, G_OPTION_ARG_INT, &options.timeout, "how long to wait for a message; 0 not at all, -1 for ever (default: -1)", "MS" },
    { "exec", 'e', 0, G_OPTION_ARG_STRING, &options.command, "run COMMAND with the shell, and the payload on its standard input", "COMMAND" },
    { "delay", 'd', 0, G_OPTION_ARG_INT64, &options.delay, "how long before one that failed comes again (default: longer each time)", "MS" },
    GIPC_QUEUE_JSON_OPTION (options.common, "print whole messages, one JSON object a line"),
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, entries, argc, argv);
  int status = GIPC_EXIT_USAGE;
  gboolean has_count = options.count != -1;

  if (options.timeout == G_MININT)
    options.timeout = -1;
  if (!has_count)
    options.count = options.follow ? 0 : 1;
  if (arguments == NULL)
    ;
  else if (has_count && options.count < 1)
    gipc_fail_usage (verb, "--count: %d is less than 1", options.count);
  else if (options.timeout < -1)
    gipc_fail_usage (verb, "--timeout: %d is less than -1", options.timeout);
  else if (options.delay < -1)
    gipc_fail_usage (verb, "--delay: %" G_GINT64_FORMAT " is less than -1", options.delay);
  else
    status = consume (&options, arguments[0]);
  g_free (options.common.uri);
  g_free (options.command);
  return status;
}
