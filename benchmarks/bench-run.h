/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One run of a peer: its two halves, the clock, and what came out.
 */
#pragma once

#include "bench.h"

G_BEGIN_DECLS

/* Descriptors that a half inherits. */
#define BENCH_CONTROL_FD 3
#define BENCH_READY_FD 4

typedef struct
{
  double seconds; /* of the timed window */
  double warm_up; /* seconds before it */
  int cpu;        /* both halves run there; -1: anywhere */
} BenchSettings;

typedef struct
{
  double rate;        /* messages (or round trips, or deliveries) a second */
  double cpu_seconds; /* of both halves, per million of them */
  double load;        /* processor time of both halves, per second of the window */
  double foreign;     /* the same of everything else on the CPU they share; 0 if they share none */
} BenchMeasure;

typedef struct _BenchRun BenchRun;

BenchRun *bench_run_new  (const BenchPeer *peer, const BenchWorkload *workload, int cpu, GError **error);
void      bench_run_free (BenchRun *self); /* ends the halves and removes what they left */

/* Sleeps; FALSE as soon as one of the halves dies. */
gboolean  bench_run_wait      (BenchRun *self, double seconds, GError **error);
guint64   bench_run_get_count (BenchRun *self);
/* Anonymous memory in bytes of both halves. */
void      bench_run_get_memory (BenchRun *self, guint64 *server, guint64 *client);

/* SIGINT, SIGTERM and SIGHUP end the run that is going on, with an error, and set the flag. */
void      bench_catch_signals  (void);
gboolean  bench_is_interrupted (void);

gboolean  bench_measure (const BenchPeer *peer, const BenchWorkload *workload, const BenchSettings *settings,
                         BenchMeasure *measure, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (BenchRun, bench_run_free)

G_END_DECLS
