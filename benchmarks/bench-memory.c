/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does ipc-glib keep its memory? Each of its workloads runs until many messages
 * have gone through, and the anonymous memory of both halves is read after the
 * first tenth, when buffers and caches have their size, and at the end.
 */
#include "bench-report.h"

#define MAX_GROWTH (4.0 * 1024 * 1024)
#define STALL_SECONDS 30.0
#define LARGEST_SIZE 4096

static gboolean
wait_for_count (BenchRun *run, guint64 count, GError **error)
{
  guint64 seen = bench_run_get_count (run);
  gint64 progress = g_get_monotonic_time ();

  while (seen < count)
    {
      if (!bench_run_wait (run, 0.01, error))
        return FALSE;
      guint64 now_seen = bench_run_get_count (run);
      if (now_seen != seen)
        progress = g_get_monotonic_time ();
      seen = now_seen;
      if (g_get_monotonic_time () - progress > STALL_SECONDS * G_USEC_PER_SEC)
        {
          g_set_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "no message came in %.0f s, after %" G_GUINT64_FORMAT,
                       STALL_SECONDS, seen);
          return FALSE;
        }
    }
  return TRUE;
}

static double
in_mib (guint64 bytes)
{
  return (double) bytes / (1024 * 1024);
}

static gboolean
run_one (const BenchPeer *peer, const BenchWorkload *workload, int cpu, guint64 n_messages, GError **error)
{
  g_autoptr (BenchRun) run = bench_run_new (peer, workload, cpu, error);
  guint64 total = workload->kind == BENCH_BROADCAST ? n_messages * workload->clients : n_messages; /* deliveries */
  guint64 server[2], client[2];

  if (run == NULL || !wait_for_count (run, total / 10, error))
    return FALSE;
  bench_run_get_memory (run, &server[0], &client[0]);
  if (!wait_for_count (run, total, error))
    return FALSE;
  bench_run_get_memory (run, &server[1], &client[1]);

  gboolean good = (double) server[1] - (double) server[0] < MAX_GROWTH &&
                  (double) client[1] - (double) client[0] < MAX_GROWTH;
  g_print ("%-14s %8.1f %8.1f MiB   %8.1f %8.1f MiB   %s\n", workload->name, in_mib (server[0]), in_mib (server[1]),
           in_mib (client[0]), in_mib (client[1]), good ? "pass" : "FAIL");
  if (!good)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "memory grew by more than %.0f MiB",
                 in_mib ((guint64) MAX_GROWTH));
  return good;
}

gboolean
bench_check_memory (char **workloads, int cpu, guint64 n_messages)
{
  const BenchPeer *peer = bench_peer_find ("ipc-glib");
  gboolean passed = TRUE;

  g_print ("anonymous memory before and after %" G_GUINT64_FORMAT " messages\n%-14s %21s   %21s\n", n_messages, "",
           "server", "client");
  for (guint i = 0; i < bench_n_workloads; i++)
    {
      const BenchWorkload *workload = &bench_workloads[i];
      g_autoptr (GError) error = NULL;

      if (!bench_peer_supports (peer, workload) || workload->size > LARGEST_SIZE ||
          (workloads != NULL && !g_strv_contains ((const char *const *) workloads, workload->name)))
        continue;
      if (!run_one (peer, workload, cpu, n_messages, &error))
        {
          g_printerr ("%s: %s\n", workload->name, error->message);
          passed = FALSE;
        }
      if (bench_is_interrupted ())
        break;
    }
  return passed;
}
