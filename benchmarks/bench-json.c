/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes the results as one JSON object, with what one needs to compare two of
 * them: the settings, the kernel, the processor, the version of each peer.
 */
#include <sys/utsname.h>

#include "bench-report.h"

static void
add_string (JsonBuilder *builder, const char *name, const char *value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_string_value (builder, value);
}

static void
add_double (JsonBuilder *builder, const char *name, double value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_double_value (builder, value);
}

static char *
get_processor (void)
{
  g_autofree char *text = NULL;
  const char *start;

  if (!g_file_get_contents ("/proc/cpuinfo", &text, NULL, NULL) || (start = strstr (text, "model name")) == NULL ||
      (start = strstr (start, ": ")) == NULL)
    return g_strdup ("unknown");
  start += strlen (": ");
  return g_strndup (start, strcspn (start, "\n"));
}

static void
add_machine (JsonBuilder *builder)
{
  struct utsname name;
  g_autofree char *processor = get_processor ();

  uname (&name);
  json_builder_set_member_name (builder, "machine");
  json_builder_begin_object (builder);
  add_string (builder, "kernel", name.release);
  add_string (builder, "architecture", name.machine);
  add_string (builder, "processor", processor);
  json_builder_set_member_name (builder, "processors");
  json_builder_add_int_value (builder, g_get_num_processors ());
  json_builder_end_object (builder);
}

static void
add_settings (JsonBuilder *builder, const BenchSettings *settings, guint rounds)
{
  json_builder_set_member_name (builder, "settings");
  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "rounds");
  json_builder_add_int_value (builder, rounds);
  add_double (builder, "seconds", settings->seconds);
  json_builder_set_member_name (builder, "pinned");
  json_builder_add_boolean_value (builder, settings->cpu >= 0);
  json_builder_end_object (builder);
}

static void
add_peers (JsonBuilder *builder)
{
  json_builder_set_member_name (builder, "peers");
  json_builder_begin_object (builder);
  for (guint i = 0; bench_peers[i] != NULL; i++)
    add_string (builder, bench_peers[i]->name, bench_peers[i]->version ());
  json_builder_end_object (builder);
}

static void
add_rounds (JsonBuilder *builder, const BenchSeries *series)
{
  json_builder_set_member_name (builder, "rates");
  json_builder_begin_array (builder);
  for (guint i = 0; i < series->measures->len; i++)
    json_builder_add_double_value (builder, g_array_index (series->measures, BenchMeasure, i).rate);
  json_builder_end_array (builder);
}

static void
add_series (JsonBuilder *builder, const BenchSeries *series, double own_rate)
{
  double rate = bench_series_summarise (series, BENCH_RATE).median;

  json_builder_begin_object (builder);
  add_string (builder, "workload", series->workload->name);
  add_string (builder, "peer", series->peer->name);
  if (series->failure != NULL)
    add_string (builder, "failure", series->failure);
  if (rate > 0)
    {
      add_double (builder, "median", rate);
      add_double (builder, "cpu_seconds_per_million", bench_series_summarise (series, BENCH_CPU_SECONDS).median);
      add_double (builder, "load", bench_series_summarise (series, BENCH_LOAD).median);
      add_double (builder, "foreign_load", bench_series_summarise (series, BENCH_FOREIGN).median);
      if (own_rate > 0)
        add_double (builder, "ipc_glib_ratio", own_rate / rate);
      add_rounds (builder, series);
    }
  json_builder_end_object (builder);
}

static void
add_results (JsonBuilder *builder, GPtrArray *series)
{
  json_builder_set_member_name (builder, "results");
  json_builder_begin_array (builder);
  for (guint i = 0; i < series->len; i++)
    {
      const BenchSeries *one = series->pdata[i];
      add_series (builder, one, bench_find (series, "ipc-glib", one->workload->family, BENCH_RATE));
    }
  json_builder_end_array (builder);
}

gboolean
bench_write_json (GPtrArray *series, const BenchSettings *settings, guint rounds, const char *file, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonGenerator) generator = json_generator_new ();

  json_builder_begin_object (builder);
  add_machine (builder);
  add_settings (builder, settings, rounds);
  add_peers (builder);
  add_results (builder, series);
  bench_add_targets (series, builder);
  json_builder_end_object (builder);

  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  return json_generator_to_file (generator, file, error);
}
