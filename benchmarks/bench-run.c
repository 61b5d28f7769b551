/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Starts the two halves of a peer, as processes of this same program, and
 * measures them from outside: the counter they share and their processor clocks,
 * read at both ends of a timed window. Whatever a half does, a crash included,
 * ends with its run.
 *
 * The caller owns the run; nothing of it outlives bench_run_free().
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <gio/gio.h>
#include <glib-unix.h>
#include <glib/gstdio.h>

#include "bench-run.h"

#define READY_SECONDS 30.0

typedef struct
{
  const char *name;
  GPid pid;     /* 0: not started */
  int ready_fd; /* (owned) reading end; end of file = the half has died; -1: none */
} Half;

struct _BenchRun
{
  char *directory;       /* (owned) private, removed at the end */
  char *path;            /* (owned) of the socket, in directory */
  int control_fd;        /* (owned) */
  BenchControl *control; /* (owned) */
  int cpu;
  Half server;
  Half client;
};

static volatile sig_atomic_t interrupted;

static void
on_signal (int signal_number)
{
  interrupted = 1;
}

/* Without SA_RESTART: whoever waits is woken. */
void
bench_catch_signals (void)
{
  const struct sigaction action = { .sa_handler = on_signal };

  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
  sigaction (SIGHUP, &action, NULL);
}

gboolean
bench_is_interrupted (void)
{
  return interrupted != 0;
}

static gboolean
check_interrupted (GError **error)
{
  if (!interrupted)
    return TRUE;
  g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "interrupted");
  return FALSE;
}

static double
now (void)
{
  return (double) g_get_monotonic_time () / G_USEC_PER_SEC;
}

/* In the child, before exec: threads that a library starts inherit it. */
static void
pin (gpointer data)
{
  cpu_set_t set;

  CPU_ZERO (&set);
  CPU_SET (GPOINTER_TO_INT (data), &set);
  sched_setaffinity (0, sizeof set, &set);
}

static gboolean
half_start (Half *half, BenchRun *run, const BenchPeer *peer, const BenchWorkload *workload, GError **error)
{
  const char *argv[] = { "/proc/self/exe", "--half",     half->name,     "--peer", peer->name,
                         "--workload",     workload->name, "--path",     run->path, NULL };
  int fds[2];

  if (!g_unix_open_pipe (fds, FD_CLOEXEC, error))
    return FALSE;
  half->ready_fd = fds[0];

  const int source_fds[] = { run->control_fd, fds[1] };
  const int target_fds[] = { BENCH_CONTROL_FD, BENCH_READY_FD };
  gboolean started = g_spawn_async_with_pipes_and_fds (
      NULL, argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, run->cpu < 0 ? NULL : pin, GINT_TO_POINTER (run->cpu), -1, -1, -1,
      source_fds, target_fds, G_N_ELEMENTS (source_fds), &half->pid, NULL, NULL, NULL, error);
  close (fds[1]);
  return started;
}

static void
half_stop (Half *half)
{
  if (half->pid != 0)
    {
      kill (half->pid, SIGKILL);
      while (waitpid (half->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    }
  if (half->ready_fd >= 0)
    close (half->ready_fd);
}

static gboolean
half_report_end (Half *half, GError **error)
{
  int status = 0;

  if (!check_interrupted (error)) /* from a terminal, the halves have got the signal as well */
    return FALSE;
  while (waitpid (half->pid, &status, 0) < 0 && errno == EINTR)
    ;
  half->pid = 0;
  if (WIFSIGNALED (status))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "the %s died of signal %d (%s)", half->name, WTERMSIG (status),
                 g_strsignal (WTERMSIG (status)));
  else
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "the %s ended with status %d", half->name,
                 WEXITSTATUS (status));
  return FALSE;
}

/* The byte of bench_ready(), or the end of the half. */
static gboolean
half_wait_ready (Half *half, GError **error)
{
  struct pollfd poll_fd = { .fd = half->ready_fd, .events = POLLIN };
  char byte;
  int n = poll (&poll_fd, 1, (int) (READY_SECONDS * 1000));

  if (!check_interrupted (error))
    return FALSE;
  if (n == 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "the %s was not ready after %.0f s", half->name,
                   READY_SECONDS);
      return FALSE;
    }
  if (read (half->ready_fd, &byte, 1) != 1)
    return half_report_end (half, error);
  return TRUE;
}

static double
half_cpu_seconds (const Half *half)
{
  clockid_t clock;
  struct timespec time;

  if (clock_getcpuclockid (half->pid, &clock) != 0 || clock_gettime (clock, &time) != 0)
    return 0;
  return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static guint64
half_memory (const Half *half)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", half->pid);
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;
  const char *line = strstr (text, "RssAnon:");
  return line == NULL ? 0 : g_ascii_strtoull (line + strlen ("RssAnon:"), NULL, 10) * 1024;
}

static gboolean
make_control (BenchRun *self, GError **error)
{
  self->control_fd = memfd_create ("bench-control", MFD_CLOEXEC);
  if (self->control_fd >= 0 && ftruncate (self->control_fd, sizeof *self->control) == 0)
    self->control = mmap (NULL, sizeof *self->control, PROT_READ | PROT_WRITE, MAP_SHARED, self->control_fd, 0);
  if (self->control == NULL || self->control == MAP_FAILED)
    {
      self->control = NULL;
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "cannot share a counter: %s", g_strerror (errno));
      return FALSE;
    }
  return TRUE;
}

BenchRun *
bench_run_new (const BenchPeer *peer, const BenchWorkload *workload, int cpu, GError **error)
{
  g_autoptr (BenchRun) self = g_new0 (BenchRun, 1);

  self->control_fd = -1;
  self->cpu = cpu;
  self->server = (Half) { .name = "server", .ready_fd = -1 };
  self->client = (Half) { .name = "client", .ready_fd = -1 };
  self->directory = g_dir_make_tmp ("ipc-bench-XXXXXX", error);
  if (self->directory == NULL)
    return NULL;
  self->path = g_build_filename (self->directory, "socket", NULL);

  if (!make_control (self, error) ||
      !half_start (&self->server, self, peer, workload, error) || !half_wait_ready (&self->server, error) ||
      !half_start (&self->client, self, peer, workload, error) || !half_wait_ready (&self->client, error))
    return NULL;
  return g_steal_pointer (&self);
}

static void
remove_directory (const char *directory)
{
  g_autoptr (GDir) dir = g_dir_open (directory, 0, NULL);

  for (const char *name; dir != NULL && (name = g_dir_read_name (dir)) != NULL;)
    {
      g_autofree char *path = g_build_filename (directory, name, NULL);

      if (g_unlink (path) != 0 && errno == EISDIR)
        remove_directory (path);
    }
  if (g_rmdir (directory) != 0)
    g_printerr ("ipc-bench: could not remove %s: %s\n", directory, g_strerror (errno));
}

static void
half_signal (const Half *half, int signal_number)
{
  if (half->pid != 0)
    kill (half->pid, signal_number);
}

void
bench_run_free (BenchRun *self)
{
  /* Neither sees the other die. */
  half_signal (&self->server, SIGSTOP);
  half_signal (&self->client, SIGSTOP);
  half_stop (&self->client);
  half_stop (&self->server);
  if (self->control != NULL)
    munmap (self->control, sizeof *self->control);
  if (self->control_fd >= 0)
    close (self->control_fd);
  if (self->directory != NULL)
    remove_directory (self->directory);
  g_free (self->directory);
  g_free (self->path);
  g_free (self);
}

gboolean
bench_run_wait (BenchRun *self, double seconds, GError **error)
{
  double end = now () + seconds;

  for (double left = seconds; left > 0; left = end - now ())
    {
      struct pollfd poll_fds[] = { { .fd = self->server.ready_fd }, { .fd = self->client.ready_fd } };
      struct timespec timeout = { .tv_sec = (time_t) left, .tv_nsec = (long) ((left - (double) (time_t) left) * 1e9) };

      if (ppoll (poll_fds, G_N_ELEMENTS (poll_fds), &timeout, NULL) > 0)
        return half_report_end (poll_fds[0].revents != 0 ? &self->server : &self->client, error);
      if (!check_interrupted (error))
        return FALSE;
    }
  return TRUE;
}

guint64
bench_run_get_count (BenchRun *self)
{
  return __atomic_load_n (&self->control->count, __ATOMIC_RELAXED);
}

void
bench_run_get_memory (BenchRun *self, guint64 *server, guint64 *client)
{
  *server = half_memory (&self->server);
  *client = half_memory (&self->client);
}

/* How long CPU was not idle, with what a hypervisor took from it. */
static double
busy_seconds (int cpu)
{
  g_autofree char *label = g_strdup_printf ("\ncpu%d ", cpu);
  g_autofree char *text = NULL;
  guint64 user, nice, system, idle, wait, irq, softirq, steal;

  if (cpu < 0 || !g_file_get_contents ("/proc/stat", &text, NULL, NULL))
    return 0;
  const char *line = strstr (text, label);
  if (line == NULL ||
      sscanf (line + strlen (label),
              "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
              " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
              &user, &nice, &system, &idle, &wait, &irq, &softirq, &steal) != 8)
    return 0;
  return (double) (user + nice + system + irq + softirq + steal) / (double) sysconf (_SC_CLK_TCK);
}

typedef struct
{
  double time;
  double cpu_seconds;
  double busy_seconds;
  guint64 count;
} Sample;

static Sample
take_sample (BenchRun *run)
{
  return (Sample) {
    .time = now (),
    .count = bench_run_get_count (run),
    .cpu_seconds = half_cpu_seconds (&run->server) + half_cpu_seconds (&run->client),
    .busy_seconds = busy_seconds (run->cpu),
  };
}

gboolean
bench_measure (const BenchPeer *peer, const BenchWorkload *workload, const BenchSettings *settings,
               BenchMeasure *measure, GError **error)
{
  g_autoptr (BenchRun) run = bench_run_new (peer, workload, settings->cpu, error);

  if (run == NULL || !bench_run_wait (run, settings->warm_up, error))
    return FALSE;
  Sample first = take_sample (run);
  if (!bench_run_wait (run, settings->seconds, error))
    return FALSE;
  Sample last = take_sample (run);

  double n = (double) (last.count - first.count);
  double elapsed = last.time - first.time;
  double cpu_seconds = last.cpu_seconds - first.cpu_seconds;
  double busy = last.busy_seconds - first.busy_seconds;
  if (n <= 0)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "no message came in %.2f s", settings->seconds);
      return FALSE;
    }
  measure->rate = n / elapsed;
  measure->cpu_seconds = cpu_seconds / n * 1e6;
  measure->load = cpu_seconds / elapsed;
  measure->foreign = MAX (busy - cpu_seconds, 0) / elapsed;
  return TRUE;
}
