/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One half of a measurement, in a process of its own. bench-run.c started it,
 * with the counter's page at BENCH_CONTROL_FD and a pipe at BENCH_READY_FD; the
 * half never returns, it is ended by a signal. It ends with its parent, too.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench-run.h"

static const char *half_name = "half";

void
bench_fail (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_autofree char *text = g_strdup_vprintf (format, args);
  va_end (args);

  fprintf (stderr, "%s: %s\n", half_name, text);
  _exit (EXIT_FAILURE);
}

/* A byte in the pipe; its end of file tells that the half has died. */
void
bench_ready (Bench *bench)
{
  if (write (bench->ready_fd, "r", 1) != 1)
    bench_fail ("cannot report: %s", g_strerror (errno));
}

guint
bench_window (Bench *bench)
{
  return CLAMP ((8u << 20) / bench->workload->size, 4, 1024);
}

static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0)
    {
      limit.rlim_cur = limit.rlim_max;
      (void) setrlimit (RLIMIT_NOFILE, &limit);
    }
}

static const guint8 *
make_payload (gsize size)
{
  guint8 *payload = g_malloc (size);

  for (gsize i = 0; i < size; i++)
    payload[i] = (guint8) ('a' + i % 26);
  return payload;
}

int
bench_half (const char *peer_name, const char *workload_name, gboolean is_server, const char *path)
{
  const BenchPeer *peer = bench_peer_find (peer_name);
  Bench bench = { .workload = bench_workload_find (workload_name), .path = path, .ready_fd = BENCH_READY_FD };

  if (peer == NULL || bench.workload == NULL || path == NULL)
    bench_fail ("not meant to be started by hand");

  half_name = g_strdup_printf ("%s, %s, %s", peer_name, workload_name, is_server ? "server" : "client");
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  signal (SIGPIPE, SIG_IGN);
  raise_descriptor_limit ();

  bench.control = mmap (NULL, sizeof *bench.control, PROT_READ | PROT_WRITE, MAP_SHARED, BENCH_CONTROL_FD, 0);
  if (bench.control == MAP_FAILED)
    bench_fail ("cannot map the counter: %s", g_strerror (errno));
  bench.payload = make_payload (bench.workload->size);

  if (is_server)
    peer->server (&bench);
  else
    peer->client (&bench);
  bench_fail ("ended early");
}
