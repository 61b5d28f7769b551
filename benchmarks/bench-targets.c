/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What ipc-glib must reach, as ratios of two medians of the same run: figures of
 * different machines, or of different hours, say little beside each other.
 */
#include "bench-report.h"

typedef struct
{
  const char *workload; /* of ipc-glib */
  const char *other_peer;
  const char *other_workload;
  double required; /* 0: none */
  double goal;
  const char *own_peer; /* (nullable) NULL: ipc-glib */
} Target;

static const Target targets[] = {
  { "w1", "epoll", "w1", 0.50, 0.58 },
  { "w1", "zeromq", "w1", 2.2, 2.6 },
  { "w1", "gdbus", "w1", 8, 9.5 },
  { "w1-sync", "raw", "w1", 0, 0.68 },
  { "w2", "zeromq", "w2", 1.2, 6 },
  { "w2-signal", "zeromq", "w2", 0, 1.4 },
  { "w2-new", "zeromq", "w2", 0, 2.5 },
  { "w3", "raw", "w3", 0, 1.5 },
  { "w4a", "raw", "w4a", 0, 0.90 },
  { "w4a", "zeromq", "w4a", 0, 2.5 },
  { "w4b", "raw", "w4b", 0, 0.90 },
  { "w5", "zeromq", "w5", 0, 0.95 },
  { "w5-callback", "zeromq", "w5", 0, 3.5 },
  { "clients-1000", "ipc-glib", "w1", 0.8, 0.9 },
  { "clients-1000", "zeromq", "clients-1000", 0, 3 },
  { "clients-1000", "gio", "clients-1000", 0, 25 },
  { "broadcast", "zeromq", "broadcast", 0, 4 },
  { "w1", "fifo", "w1", 0, 0.37, "ipc-glib-pipe" },
  { "w2", "zeromq", "w2", 0, 1.4, "ipc-glib-pipe" },
};

static const char *
get_own_peer (const Target *target)
{
  return target->own_peer != NULL ? target->own_peer : "ipc-glib";
}

/* 0: one of the two was not measured. */
static double
target_get_ratio (const Target *target, GPtrArray *series)
{
  double own = bench_find (series, get_own_peer (target), target->workload, BENCH_RATE);
  double other = bench_find (series, target->other_peer, target->other_workload, BENCH_RATE);

  return other > 0 ? own / other : 0;
}

/* What the ratio would be if both had had a whole CPU. */
static double
target_get_cpu_ratio (const Target *target, GPtrArray *series)
{
  double own = bench_find (series, get_own_peer (target), target->workload, BENCH_CPU_SECONDS);
  double other = bench_find (series, target->other_peer, target->other_workload, BENCH_CPU_SECONDS);

  return own > 0 ? other / own : 0;
}

static gboolean
target_is_disturbed (const Target *target, GPtrArray *series)
{
  return bench_find (series, get_own_peer (target), target->workload, BENCH_FOREIGN) > BENCH_DISTURBED ||
         bench_find (series, target->other_peer, target->other_workload, BENCH_FOREIGN) > BENCH_DISTURBED;
}

static const char *
judge (double ratio, double wanted)
{
  if (wanted <= 0 || ratio <= 0)
    return "";
  return ratio >= wanted ? "pass" : "FAIL";
}

static char *
format_ratio (double ratio)
{
  return ratio > 0 ? g_strdup_printf ("%.2f", ratio) : g_strdup ("-");
}

static gboolean
print_target (const Target *target, GPtrArray *series)
{
  double ratio = target_get_ratio (target, series);
  double cpu_ratio = target_get_cpu_ratio (target, series);
  gboolean disturbed = target_is_disturbed (target, series);
  double judged = disturbed ? cpu_ratio : ratio;
  g_autofree char *own = target->own_peer != NULL ? g_strdup_printf ("%s (pipe)", target->workload) : g_strdup (target->workload);
  g_autofree char *other = g_strdup_printf ("%s, %s", target->other_peer, target->other_workload);
  g_autofree char *measured = format_ratio (ratio);
  g_autofree char *by_cpu = format_ratio (cpu_ratio);
  g_autofree char *required = format_ratio (target->required);

  g_print ("%-14s %-22s %8s %7s%c %9s %-5s %6.2f %-5s\n", own, other, measured, by_cpu,
           disturbed ? '*' : ' ', required, judge (judged, target->required), target->goal,
           judge (judged, target->goal));
  return judged <= 0 || judged >= target->required;
}

gboolean
bench_print_targets (GPtrArray *series)
{
  gboolean passed = TRUE;
  gboolean disturbed = FALSE;

  g_print ("%-14s %-22s %8s %7s  %9s %-5s %6s\n", "ipc-glib", "beside", "ratio", "by CPU", "required", "", "goal");
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      passed &= print_target (&targets[i], series);
      disturbed |= target_is_disturbed (&targets[i], series);
    }
  if (disturbed)
    g_print ("* other programs ran on that CPU: judged by processor time instead of rate\n");
  return passed;
}

static void
add_target (const Target *target, GPtrArray *series, JsonBuilder *builder)
{
  double ratio = target_get_ratio (target, series);

  if (ratio <= 0)
    return;
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "peer");
  json_builder_add_string_value (builder, get_own_peer (target));
  json_builder_set_member_name (builder, "workload");
  json_builder_add_string_value (builder, target->workload);
  json_builder_set_member_name (builder, "beside");
  json_builder_add_string_value (builder, target->other_peer);
  json_builder_set_member_name (builder, "beside_workload");
  json_builder_add_string_value (builder, target->other_workload);
  json_builder_set_member_name (builder, "ratio");
  json_builder_add_double_value (builder, ratio);
  json_builder_set_member_name (builder, "ratio_by_cpu");
  json_builder_add_double_value (builder, target_get_cpu_ratio (target, series));
  if (target->required > 0)
    {
      json_builder_set_member_name (builder, "required");
      json_builder_add_double_value (builder, target->required);
    }
  json_builder_set_member_name (builder, "goal");
  json_builder_add_double_value (builder, target->goal);
  json_builder_end_object (builder);
}

void
bench_add_targets (GPtrArray *series, JsonBuilder *builder)
{
  json_builder_set_member_name (builder, "targets");
  json_builder_begin_array (builder);
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    add_target (&targets[i], series, builder);
  json_builder_end_array (builder);
}
