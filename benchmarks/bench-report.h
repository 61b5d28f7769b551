/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What came out of all rounds: as a table, as JSON, against the targets.
 */
#pragma once

#include <json-glib/json-glib.h>

#include "bench-run.h"

G_BEGIN_DECLS

/* All rounds of one peer in one workload. */
typedef struct
{
  const BenchPeer *peer;
  const BenchWorkload *workload;
  GArray *measures; /* (owned) (element-type BenchMeasure) */
  char *failure;    /* (owned) (nullable) the last round that failed */
} BenchSeries;

typedef enum
{
  BENCH_RATE,
  BENCH_CPU_SECONDS,
  BENCH_LOAD,
  BENCH_FOREIGN,
} BenchFigure;

/* With more than this much of their CPU taken by others, the rate of two halves says little. */
#define BENCH_DISTURBED 0.1

typedef struct
{
  double minimum;
  double median;
  double maximum;
} BenchSummary;

BenchSeries *bench_series_new       (const BenchPeer *peer, const BenchWorkload *workload);
void         bench_series_free      (BenchSeries *self);
void         bench_series_run       (BenchSeries *self, const BenchSettings *settings);
BenchSummary bench_series_summarise (const BenchSeries *self, BenchFigure figure); /* all 0 without a result */

/* The median. SERIES: (element-type BenchSeries). 0 if it was not measured. */
double       bench_find (GPtrArray *series, const char *peer, const char *workload, BenchFigure figure);

void         bench_print_table (GPtrArray *series);
gboolean     bench_write_json  (GPtrArray *series, const BenchSettings *settings, guint rounds, const char *file,
                                GError **error);

/* bench-targets.c; FALSE if one that is required was missed. */
gboolean     bench_print_targets (GPtrArray *series);
void         bench_add_targets   (GPtrArray *series, JsonBuilder *builder);

/* bench-memory.c; FALSE if memory grew. WORKLOADS: (nullable) names; all without it. */
gboolean     bench_check_memory (char **workloads, int cpu, guint64 n_messages);

G_END_DECLS
