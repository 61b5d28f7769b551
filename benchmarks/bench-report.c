/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeps the measures of all rounds and prints them: a block a workload, a row a
 * peer, medians, and how ipc-glib compares with each row. Knows nothing of how a
 * measure was made.
 */
#include "bench-report.h"

#define OWN_PEER "ipc-glib"

BenchSeries *
bench_series_new (const BenchPeer *peer, const BenchWorkload *workload)
{
  BenchSeries *self = g_new0 (BenchSeries, 1);

  self->peer = peer;
  self->workload = workload;
  self->measures = g_array_new (FALSE, FALSE, sizeof (BenchMeasure));
  return self;
}

void
bench_series_free (BenchSeries *self)
{
  g_array_unref (self->measures);
  g_free (self->failure);
  g_free (self);
}

void
bench_series_run (BenchSeries *self, const BenchSettings *settings)
{
  g_autoptr (GError) error = NULL;
  BenchMeasure measure;

  if (bench_measure (self->peer, self->workload, settings, &measure, &error))
    {
      g_array_append_val (self->measures, measure);
      return;
    }
  if (bench_is_interrupted ())
    return;
  g_printerr ("%s, %s: %s\n", self->peer->name, self->workload->name, error->message);
  g_free (self->failure);
  self->failure = g_strdup (error->message);
}

static double
measure_get (const BenchMeasure *measure, BenchFigure figure)
{
  switch (figure)
    {
    case BENCH_RATE:
      return measure->rate;
    case BENCH_CPU_SECONDS:
      return measure->cpu_seconds;
    case BENCH_LOAD:
      return measure->load;
    case BENCH_FOREIGN:
      return measure->foreign;
    default:
      g_assert_not_reached ();
    }
}

static int
compare_doubles (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a;
  double y = *(const double *) b;

  return (x > y) - (x < y);
}

BenchSummary
bench_series_summarise (const BenchSeries *self, BenchFigure figure)
{
  guint n = self->measures->len;
  g_autofree double *values = g_new (double, n);

  if (n == 0)
    return (BenchSummary) { 0 };
  for (guint i = 0; i < n; i++)
    values[i] = measure_get (&g_array_index (self->measures, BenchMeasure, i), figure);
  qsort (values, n, sizeof *values, compare_doubles);
  return (BenchSummary) {
    .minimum = values[0],
    .median = (values[(n - 1) / 2] + values[n / 2]) / 2,
    .maximum = values[n - 1],
  };
}

double
bench_find (GPtrArray *series, const char *peer, const char *workload, BenchFigure figure)
{
  for (guint i = 0; i < series->len; i++)
    {
      const BenchSeries *one = series->pdata[i];

      if (g_str_equal (one->peer->name, peer) && g_str_equal (one->workload->name, workload))
        return bench_series_summarise (one, figure).median;
    }
  return 0;
}

/* With separators, in any locale. */
static char *
format_rate (double rate)
{
  g_autofree char *digits = g_strdup_printf ("%.0f", rate);
  GString *text = g_string_new (NULL);

  for (gsize left = strlen (digits), i = 0; left > 0; left--, i++)
    {
      if (i > 0 && left % 3 == 0)
        g_string_append_c (text, ',');
      g_string_append_c (text, digits[i]);
    }
  return g_string_free (text, FALSE);
}

static void
print_head (const BenchWorkload *workload)
{
  g_print ("\n%s: %s\n  %-22s %13s %13s %13s %11s  %s\n", workload->family, workload->title, "", "per second", "lowest",
           "highest", "CPU s/10^6", OWN_PEER " is");
}

static void
print_row (const BenchSeries *series, double own_rate)
{
  g_autofree char *label = *series->workload->variant == '\0'
                               ? g_strdup (series->peer->name)
                               : g_strdup_printf ("%s (%s)", series->peer->name, series->workload->variant);
  BenchSummary rate = bench_series_summarise (series, BENCH_RATE);
  gboolean disturbed = bench_series_summarise (series, BENCH_FOREIGN).median > BENCH_DISTURBED;

  if (series->measures->len == 0)
    {
      g_print ("  %-22s failed: %s\n", label, series->failure);
      return;
    }
  g_autofree char *median = format_rate (rate.median);
  g_autofree char *lowest = format_rate (rate.minimum);
  g_autofree char *highest = format_rate (rate.maximum);
  g_print ("  %-22s %13s %13s %13s %11.3f  ", label, median, lowest, highest,
           bench_series_summarise (series, BENCH_CPU_SECONDS).median);
  if (own_rate > 0)
    g_print ("%.2f x", own_rate / rate.median);
  g_print ("%s%s\n", disturbed ? " (disturbed)" : "", series->failure != NULL ? " (a round failed)" : "");
}

void
bench_print_table (GPtrArray *series)
{
  const char *family = NULL;

  for (guint i = 0; i < series->len; i++)
    {
      const BenchSeries *one = series->pdata[i];

      if (family == NULL || !g_str_equal (family, one->workload->family))
        print_head (bench_workload_find (one->workload->family));
      family = one->workload->family;
      print_row (one, bench_find (series, OWN_PEER, family, BENCH_RATE));
    }
  g_print ("\n");
}
