/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * indexer: SHA-256, size and lines of all files of a directory, by several processes.
 *
 *   indexer DIR --output FILE [--workers c,python,gjs] [--batch N] [--readers N] [--kill-one]
 *           [--observer COMMAND] [--control PIPE] [--resume URI] [--table FILE]
 *
 * FILE is an index that "sha256sum -c" checks. The work is done by worker processes in
 * several languages; any of them may die at any time, and as long as one is left, nothing
 * is lost and nothing counted twice. With --resume the coordinator may die, too: the jobs and
 * their results are in durable queues, and the same command goes on where it was. The steps are those of main(): walk, coordinate,
 * write, report.
 */
#include "coordinator.h"
#include "index-file.h"
#include "progress.h"
#include "walk.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BATCH 1000
#define MAX_READERS 4096
#define READERS_UNSET G_MININT

typedef struct
{
  char     **directory;
  char      *output;
  char      *workers;
  char      *resume;
  char      *table;
  gint       batch;
  gint       readers;
  char     **observers;
  char      *control;
  gboolean   kill_one;
} Options;

static void
options_clear (Options *self)
{
  g_strfreev (self->directory);
  g_free (self->output);
  g_free (self->workers);
  g_free (self->resume);
  g_free (self->table);
  g_strfreev (self->observers);
  g_free (self->control);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Options, options_clear)

static gboolean
refuse (GError **error, const char *text)
{
  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, text);
  return FALSE;
}

static gboolean
options_parse (Options *self, int *argc, char ***argv, GError **error)
{
  const GOptionEntry entries[] = {
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &self->output, "where the index goes", "FILE" },
    { "workers", 'w', 0, G_OPTION_ARG_STRING, &self->workers,
      "who does the work: c, python, gjs, or paths of programs (default: c,python,gjs)", "LIST" },
    { "batch", 'b', 0, G_OPTION_ARG_INT, &self->batch, "files a worker gets at a time, at most (default: 64)", "N" },
    { "readers", 'r', 0, G_OPTION_ARG_INT, &self->readers,
      "how many workers may read files at the same time (default: all)", "N" },
    { "kill-one", 0, 0, G_OPTION_ARG_NONE, &self->kill_one, "kill -9 a worker after a fifth of the files", NULL },
    { "observer", 0, 0, G_OPTION_ARG_STRING_ARRAY, &self->observers,
      "run beside the work in its scope, to look at the segment " COUNTERS_NAME "; may be given several times", "COMMAND" },
    { "control", 0, 0, G_OPTION_ARG_FILENAME, &self->control,
      "listen at this named pipe for lines: pause, resume, stop, status", "PIPE" },
    { "resume", 0, 0, G_OPTION_ARG_FILENAME, &self->resume, "keep jobs and results in queues there, for instance sqlite:PATH, and go on with them",
      "URI" },
    { "table", 0, 0, G_OPTION_ARG_FILENAME, &self->table, "keep the results in a mapped file, too, which read-table.py reads at any time", "FILE" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &self->directory, NULL, "DIR" },
    { NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_set_summary (context, "Indexes the files of a directory with several worker processes.");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (self->directory == NULL || self->directory[1] != NULL)
    return refuse (error, "one DIR is needed");
  if (self->output == NULL)
    return refuse (error, "--output FILE is missing");
  if (self->batch < 1 || self->batch > MAX_BATCH)
    return refuse (error, "--batch: not from 1 to " G_STRINGIFY (MAX_BATCH));
  if (self->readers != READERS_UNSET && (self->readers < 1 || self->readers > MAX_READERS))
    return refuse (error, "--readers: not from 1 to " G_STRINGIFY (MAX_READERS));
  return TRUE;
}

/* Paths in the index begin with DIR as it was given, without slashes at its end. */
static void
strip_slashes (char *directory)
{
  for (gsize n = strlen (directory); n > 1 && directory[n - 1] == '/'; n--)
    directory[n - 1] = '\0';
}

/* Better now than after the work. */
static gboolean
check_output (const char *output)
{
  g_autofree char *directory = g_path_get_dirname (output);

  if (g_file_test (output, G_FILE_TEST_IS_DIR))
    errno = EISDIR;
  else if (access (directory, W_OK | X_OK) == 0)
    return TRUE;
  fprintf (stderr, "indexer: %s: %s\n", output, g_strerror (errno));
  return FALSE;
}

static void
report_failed_jobs (Jobs *jobs)
{
  for (guint i = 0; i < jobs->all->len; i++)
    {
      const Job *job = g_ptr_array_index (jobs->all, i);
      g_autofree char *text = job->state == JOB_FAILED ? g_strconcat (job->path, ": ", job->error, NULL) : NULL;
      g_autofree char *line = text != NULL ? walk_display_path (text) : NULL;

      if (line != NULL)
        fprintf (stderr, "indexer: %s\n", line);
    }
}

static void
report (Coordinator *work, guint n_unreadable, double seconds)
{
  Jobs *jobs = work->jobs;

  printf ("files       %u\n", jobs->n_done);
  printf ("bytes       %" G_GUINT64_FORMAT "\n", jobs->bytes);
  printf ("lines       %" G_GUINT64_FORMAT "\n", jobs->lines);
  printf ("seconds     %.2f (%.0f files/s, %.0f MB/s)\n", seconds, jobs->n_done / seconds, jobs->bytes / 1e6 / seconds);
  for (guint i = 0; i < work->workers->len; i++)
    {
      const Worker *worker = g_ptr_array_index (work->workers, i);

      printf ("worker      %-8s %8u files %9.1f MB  %s\n", worker->label, worker->n_files, worker->bytes / 1e6,
              worker->fate != NULL ? worker->fate : "not needed");
    }
  readers_report (&work->readers);
  counters_report (&work->counters, jobs);
  if (work->kill_one)
    printf ("killed      %s\n", work->kill_report != NULL ? work->kill_report : "nobody: nobody had files in hand");
  printf ("requeued    %u\n", jobs->n_requeued);
  printf ("ignored     %u\n", jobs->n_ignored);
  printf ("unreadable  %u\n", n_unreadable + jobs->n_failed);
}

static int
complain (const GError *error)
{
  fprintf (stderr, "indexer: %s\n", error->message);
  return error->domain == G_OPTION_ERROR ? 2 : EXIT_FAILURE;
}

/* JOBS was found now, or is empty; then it is what is known from before. */
static gboolean
go_on (Resume *resume, Jobs *jobs, GError **error)
{
  gboolean has_plan = resume_has_plan (resume);

  if (!has_plan && !resume_plan (resume, jobs, error))
    return FALSE;
  jobs_clear (jobs);
  if (!resume_load (resume, jobs, error))
    return FALSE;
  if (has_plan)
    printf ("resumed     %u files are done\n", jobs->n_done + jobs->n_failed);
  return TRUE;
}

static int
run (Options *options, GPtrArray *workers)
{
  g_autoptr (Jobs) jobs = jobs_new ();
  g_autoptr (GError) error = NULL;
  Coordinator work = {
    .jobs = jobs,
    .workers = workers,
    .directory = options->directory[0],
    .batch = options->batch,
    .kill_one = options->kill_one,
    .observers = options->observers,
    .control = options->control,
    .n_readers = options->readers != READERS_UNSET ? options->readers : 0,
  };
  g_autoptr (Resume) resume = NULL;
  g_autoptr (Table) table = NULL;
  Progress progress = { NULL, };
  struct stat old_output;
  gboolean had_output = stat (options->output, &old_output) == 0, success;
  gint64 started = g_get_monotonic_time ();
  guint n_unreadable = 0;

  if (options->resume != NULL && (resume = resume_open (options->resume, work.directory, &error)) == NULL)
    return complain (error);
  if ((resume == NULL || !resume_has_plan (resume)) && !walk (jobs, work.directory, had_output ? &old_output : NULL, &n_unreadable))
    {
      fprintf (stderr, "indexer: %s: %s\n", work.directory, g_strerror (errno));
      return EXIT_FAILURE;
    }
  if (resume != NULL && !go_on (resume, jobs, &error))
    return complain (error);
  if (options->table != NULL && (table = table_open (options->table, jobs, &error)) == NULL)
    return complain (error);
  work.resume = resume;
  work.table = table;
  progress_start (&progress, jobs);
  success = coordinator_run (&work, &error);
  progress_stop (&progress);
  report_failed_jobs (jobs);
  success = success && index_file_write (jobs, options->output, &error) && (resume == NULL || resume_finish (resume, &error));
  if (success)
    report (&work, n_unreadable, MAX (g_get_monotonic_time () - started, 1) / 1e6);
  success = success && readers_check (&work.readers, &error) && counters_check (&work.counters, jobs, &error);
  coordinator_clear (&work);
  return success ? EXIT_SUCCESS : complain (error);
}

int
main (int argc, char **argv)
{
  g_auto (Options) options = { .batch = 64, .readers = READERS_UNSET };
  g_autoptr (GPtrArray) workers = NULL;
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (!options_parse (&options, &argc, &argv, &error))
    return complain (error);
  workers = workers_new_from_string (options.workers != NULL ? options.workers : "c,python,gjs", &error);
  if (workers != NULL && options.kill_one && workers->len < 2)
    refuse (&error, "--kill-one needs two workers, or nobody would be left");
  if (error != NULL)
    return complain (error);
  strip_slashes (options.directory[0]);
  if (!check_output (options.output))
    return EXIT_FAILURE;
  return run (&options, workers);
}
