/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The workloads, and which peer can do which.
 */
#include "bench.h"

#define KIB 1024
#define MIB (1024 * KIB)

const BenchWorkload bench_workloads[] = {
  { "w1", "", "w1", "64 B request and reply, one outstanding", BENCH_REQUEST, 64, 1, 1 },
  { "w1-new", "new", "w1", "both messages made anew each time", BENCH_REQUEST, 64, 1, 1 },
  { "w1-callback", "callback", "w1", "callback instead of GTask", BENCH_REQUEST, 64, 1, 1 },
  { "w1-sync", "sync", "w1", "synchronous call", BENCH_REQUEST, 64, 1, 1 },
  { "w2", "", "w2", "64 B one way", BENCH_ONE_WAY, 64, 1, 0 },
  { "w2-signal", "signal", "w2", "received through a signal", BENCH_ONE_WAY, 64, 1, 0 },
  { "w2-new", "new", "w2", "each message made anew", BENCH_ONE_WAY, 64, 1, 0 },
  { "w2-lines", "lines", "w2", "lines of 64 B, as many a write as PIPE_BUF holds", BENCH_ONE_WAY, 64, 1, 0 },
  { "w2-echo", "echo", "w2", "lines of 64 B, each a write", BENCH_ONE_WAY, 64, 1, 0 },
  { "w3", "", "w3", "4 KiB one way", BENCH_ONE_WAY, 4 * KIB, 1, 0 },
  { "w4a", "", "w4a", "64 KiB one way", BENCH_ONE_WAY, 64 * KIB, 1, 0 },
  { "w4b", "", "w4b", "1 MiB one way", BENCH_ONE_WAY, MIB, 1, 0 },
  { "w5", "", "w5", "64 B request and reply, 64 outstanding", BENCH_REQUEST, 64, 1, 64 },
  { "w5-callback", "callback", "w5", "callback instead of GTask", BENCH_REQUEST, 64, 1, 64 },
  { "clients-100", "", "clients-100", "64 B request and reply, 100 clients in turn", BENCH_REQUEST, 64, 100, 1 },
  { "clients-1000", "", "clients-1000", "64 B request and reply, 1,000 clients in turn", BENCH_REQUEST, 64, 1000, 1 },
  { "broadcast", "", "broadcast", "64 B to 100 subscribers, deliveries", BENCH_BROADCAST, 64, 100, 0 },
};

const guint bench_n_workloads = G_N_ELEMENTS (bench_workloads);

const BenchWorkload *
bench_workload_find (const char *name)
{
  for (guint i = 0; i < bench_n_workloads; i++)
    if (g_str_equal (bench_workloads[i].name, name))
      return &bench_workloads[i];
  return NULL;
}

const BenchPeer *
bench_peer_find (const char *name)
{
  for (guint i = 0; bench_peers[i] != NULL; i++)
    if (g_str_equal (bench_peers[i]->name, name))
      return bench_peers[i];
  return NULL;
}

gboolean
bench_peer_supports (const BenchPeer *peer, const BenchWorkload *workload)
{
  return g_strv_contains (peer->workloads, workload->name);
}
