/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipc-bench: ipc-glib beside other ways to carry messages between two local
 * processes, all in one run. See README.md.
 *
 * This file reads the options and goes through the rounds. Rounds are
 * interleaved: each one has every peer and workload once, so that whatever
 * changes on the machine meanwhile meets them all.
 */
#include <locale.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench-report.h"

static int rounds = 5;
static double seconds = 1.0;
static char *only = NULL;
static char *only_workloads = NULL;
static char *json_file = NULL;
static gboolean unpinned = FALSE;
static gboolean check = FALSE;
static gboolean leak = FALSE;
static gint64 leak_messages = 1000000;
static gboolean list = FALSE;

static char *half = NULL;
static char *half_peer = NULL;
static char *half_workload = NULL;
static char *half_path = NULL;

static const GOptionEntry entries[] = {
  { "rounds", 0, 0, G_OPTION_ARG_INT, &rounds, "How often each is measured (5)", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "Length of one measurement (1)", "S" },
  { "only", 0, 0, G_OPTION_ARG_STRING, &only, "Only these, separated by commas", "PEERS" },
  { "workloads", 0, 0, G_OPTION_ARG_STRING, &only_workloads, "Only these, separated by commas", "WORKLOADS" },
  { "unpinned", 0, 0, G_OPTION_ARG_NONE, &unpinned, "Do not keep both processes on one CPU", NULL },
  { "json", 0, 0, G_OPTION_ARG_FILENAME, &json_file, "Write the results there, too", "FILE" },
  { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Compare with the targets; exit 1 if a required one is missed", NULL },
  { "leak", 0, 0, G_OPTION_ARG_NONE, &leak, "Instead: look for memory that ipc-glib loses", NULL },
  { "messages", 0, 0, G_OPTION_ARG_INT64, &leak_messages, "How many messages for --leak (1000000)", "N" },
  { "list", 0, 0, G_OPTION_ARG_NONE, &list, "List peers and workloads", NULL },
  { "half", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &half, NULL, NULL },
  { "peer", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &half_peer, NULL, NULL },
  { "workload", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_STRING, &half_workload, NULL, NULL },
  { "path", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_FILENAME, &half_path, NULL, NULL },
  G_OPTION_ENTRY_NULL
};

/* The last one we may use: interrupts tend to go to the first. */
static int
choose_cpu (void)
{
  cpu_set_t set;

  if (unpinned || sched_getaffinity (0, sizeof set, &set) != 0)
    return -1;
  for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
    if (CPU_ISSET (cpu, &set))
      return cpu;
  return -1;
}

static void
print_list (void)
{
  for (guint i = 0; bench_peers[i] != NULL; i++)
    g_print ("%-14s %s (%s)\n", bench_peers[i]->name, bench_peers[i]->title, bench_peers[i]->version ());
  g_print ("\n");
  for (guint i = 0; i < bench_n_workloads; i++)
    g_print ("%-14s %s\n", bench_workloads[i].name, bench_workloads[i].title);
}

/* TRUE without a list. */
static gboolean
is_listed (char **names, const char *name)
{
  return names == NULL || g_strv_contains ((const char *const *) names, name);
}

static gboolean
check_names (char **peers, char **workloads)
{
  for (guint i = 0; peers != NULL && peers[i] != NULL; i++)
    if (bench_peer_find (peers[i]) == NULL)
      {
        g_printerr ("ipc-bench: no peer is called “%s” (see --list)\n", peers[i]);
        return FALSE;
      }
  for (guint i = 0; workloads != NULL && workloads[i] != NULL; i++)
    if (bench_workload_find (workloads[i]) == NULL)
      {
        g_printerr ("ipc-bench: no workload is called “%s” (see --list)\n", workloads[i]);
        return FALSE;
      }
  return TRUE;
}

/* (element-type BenchSeries), by workload; the name of a family stands for all its variants. */
static GPtrArray *
choose_series (char **peers, char **workloads)
{
  GPtrArray *series = g_ptr_array_new_with_free_func ((GDestroyNotify) bench_series_free);

  for (guint i = 0; i < bench_n_workloads; i++)
    for (guint j = 0; bench_peers[j] != NULL; j++)
      if (bench_peer_supports (bench_peers[j], &bench_workloads[i]) && is_listed (peers, bench_peers[j]->name) &&
          (is_listed (workloads, bench_workloads[i].name) || is_listed (workloads, bench_workloads[i].family)))
        g_ptr_array_add (series, bench_series_new (bench_peers[j], &bench_workloads[i]));
  return series;
}

static void
run_rounds (GPtrArray *series, const BenchSettings *settings)
{
  gboolean show = isatty (STDERR_FILENO);

  for (int round = 1; round <= rounds; round++)
    for (guint i = 0; i < series->len; i++)
      {
        BenchSeries *one = series->pdata[i];

        if (show)
          g_printerr ("\r\033[K%d of %d: %s, %s\r", round, rounds, one->workload->name, one->peer->name);
        bench_series_run (one, settings);
        if (bench_is_interrupted ())
          return;
      }
  if (show)
    g_printerr ("\033[K");
}

static gboolean
has_failure (GPtrArray *series)
{
  for (guint i = 0; i < series->len; i++)
    if (((BenchSeries *) series->pdata[i])->failure != NULL)
      return TRUE;
  return FALSE;
}

static int
run (void)
{
  g_auto (GStrv) peers = only != NULL ? g_strsplit (only, ",", -1) : NULL;
  g_auto (GStrv) workloads = only_workloads != NULL ? g_strsplit (only_workloads, ",", -1) : NULL;
  const BenchSettings settings = { .seconds = seconds, .warm_up = MIN (seconds / 4, 0.25), .cpu = choose_cpu () };
  g_autoptr (GError) error = NULL;

  if (!check_names (peers, workloads))
    return 2;
  if (leak)
    return bench_check_memory (workloads, settings.cpu, (guint64) leak_messages) ? 0 : 1;

  g_autoptr (GPtrArray) series = choose_series (peers, workloads);
  run_rounds (series, &settings);
  if (bench_is_interrupted ())
    return 130;
  bench_print_table (series);
  gboolean good = !has_failure (series);
  if (check)
    good &= bench_print_targets (series);
  if (json_file != NULL && !bench_write_json (series, &settings, (guint) rounds, json_file, &error))
    {
      g_printerr ("ipc-bench: %s\n", error->message);
      return 1;
    }
  return good ? 0 : 1;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- compare ways to carry messages");
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc > 1 || rounds < 1 || seconds <= 0 ||
      leak_messages < 10)
    {
      g_printerr ("ipc-bench: %s\n", error != NULL ? error->message : "bad arguments (see --help)");
      return 2;
    }
  if (half != NULL)
    return bench_half (half_peer, half_workload, g_str_equal (half, "server"), half_path);
  if (list)
    {
      print_list ();
      return 0;
    }
  bench_catch_signals ();
  return run ();
}
