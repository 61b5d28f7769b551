/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The coordinator's side of the counters; what is where is said in counters.h. That they are right is not believed: at the end
 * what all workers have counted is put beside what the coordinator has, and beside the table of jobs.
 */
#include "counters.h"

#include <stdio.h>

/* The first problem is told at the end; the work goes on without counters. */
static gboolean
is_fine (Counters *self)
{
  return self->segment != NULL && self->problem == NULL;
}

static void
write_number (Counters *self, gsize offset, gint64 value)
{
  if (is_fine (self))
    ipc_shared_memory_write_int64 (self->segment, offset, value, &self->problem);
}

static void
add_count (Counters *self, gsize offset, Count count)
{
  if (is_fine (self))
    ipc_shared_memory_add_int64 (self->segment, offset, count.files, NULL, &self->problem);
  if (is_fine (self))
    ipc_shared_memory_add_int64 (self->segment, offset + sizeof (gint64), count.bytes, NULL, &self->problem);
}

static Count
read_count (Counters *self, gsize offset)
{
  Count count = { 0, 0 };

  if (is_fine (self))
    ipc_shared_memory_read_int64 (self->segment, offset, &count.files, &self->problem);
  if (is_fine (self))
    ipc_shared_memory_read_int64 (self->segment, offset + sizeof (gint64), &count.bytes, &self->problem);
  return count;
}

static void
tell (Counters *self)
{
  if (is_fine (self))
    ipc_shared_memory_notify_changed (self->segment, &self->problem);
}

/* DIRECTORY becomes a scope. */
gboolean
counters_start (Counters *self, const char *directory, guint n_workers, guint n_jobs, GError **error)
{
  g_autoptr (IpcScope) scope = ipc_scope_new_for_directory (directory, error);

  if (scope == NULL)
    return FALSE;
  self->manager = ipc_shared_memory_manager_new (scope);
  self->segment = ipc_shared_memory_manager_create_segment (self->manager, COUNTERS_NAME,
                                                            COUNTERS_AT_WORKERS + (gsize) n_workers * COUNTERS_PLACE_SIZE, 0, error);
  write_number (self, COUNTERS_AT_LAYOUT, COUNTERS_LAYOUT);
  write_number (self, COUNTERS_AT_N_WORKERS, n_workers);
  write_number (self, COUNTERS_AT_N_JOBS, n_jobs);
  return self->segment != NULL;
}

void
counters_clear (Counters *self)
{
  g_clear_object (&self->segment);
  g_clear_object (&self->manager);
  g_clear_error (&self->problem);
}

gsize
counters_get_place (const Worker *worker)
{
  return COUNTERS_AT_WORKERS + (gsize) (worker->number - 1) * COUNTERS_PLACE_SIZE;
}

/* One more file is indexed. */
void
counters_add (Counters *self, guint64 bytes)
{
  add_count (self, COUNTERS_AT_TOTAL, (Count) { 1, (gint64) bytes });
}

/* WORKER has ended, and all that it has said is known. */
void
counters_settle (Counters *self, Worker *worker)
{
  Count counted, missing;

  if (worker->is_settled)
    return;
  worker->is_settled = TRUE;
  counted = read_count (self, counters_get_place (worker));
  missing = (Count) { worker->n_files - counted.files, (gint64) worker->bytes - counted.bytes };
  if (missing.files == 0 && missing.bytes == 0)
    return;
  add_count (self, counters_get_place (worker), missing);
  /* It may have died between the one and the other. */
  self->taken_back.files -= MIN (missing.files, 0);
  self->taken_back.bytes -= MIN (missing.bytes, 0);
  self->added.files += MAX (missing.files, 0);
  self->added.bytes += MAX (missing.bytes, 0);
  tell (self);
}

/* All is over: what is read here is what was there, and the segment goes. */
void
counters_finish (Counters *self, GPtrArray *workers)
{
  if (self->segment == NULL)
    return;
  /* The end of a connection may not be known yet. */
  for (guint i = 0; i < workers->len; i++)
    counters_settle (self, g_ptr_array_index (workers, i));
  write_number (self, COUNTERS_AT_IS_OVER, 1);
  tell (self);
  self->total = read_count (self, COUNTERS_AT_TOTAL);
  for (guint i = 0; i < workers->len; i++)
    {
      Count count = read_count (self, counters_get_place (g_ptr_array_index (workers, i)));
      self->of_workers.files += count.files;
      self->of_workers.bytes += count.bytes;
    }
  ipc_shared_memory_manager_delete_segment (self->manager, COUNTERS_NAME, self->problem == NULL ? &self->problem : NULL);
}

/* Of what was known before, nothing was counted this time. */
static gboolean
is_count (Count count, Jobs *jobs)
{
  return count.files == jobs->n_done - jobs->n_known && count.bytes == (gint64) (jobs->bytes - jobs->known_bytes);
}

gboolean
counters_check (Counters *self, Jobs *jobs, GError **error)
{
  if (self->segment == NULL)
    return TRUE;
  if (self->problem != NULL)
    g_propagate_prefixed_error (error, g_steal_pointer (&self->problem), "the counters: ");
  else if (!is_count (self->total, jobs) || !is_count (self->of_workers, jobs))
    g_set_error_literal (error, IPC_ERROR, IPC_ERROR_FAILED, "the counters are not what was indexed");
  else
    return TRUE;
  return FALSE;
}

void
counters_report (Counters *self, Jobs *jobs)
{
  /* Nothing was to be read. */
  if (self->segment == NULL)
    return;
  printf ("counters    %" G_GINT64_FORMAT " files, %" G_GINT64_FORMAT " bytes by all workers, %" G_GINT64_FORMAT " files, %"
          G_GINT64_FORMAT " bytes in all: %s what was indexed\n", self->of_workers.files, self->of_workers.bytes, self->total.files,
          self->total.bytes, is_count (self->total, jobs) && is_count (self->of_workers, jobs) ? "exactly" : "NOT");
  if (self->taken_back.files != 0 || self->taken_back.bytes != 0)
    printf ("retracted   %" G_GINT64_FORMAT " files, %" G_GINT64_FORMAT " bytes that workers had counted when they died, and not told\n",
            self->taken_back.files, self->taken_back.bytes);
  if (self->added.files != 0 || self->added.bytes != 0)
    printf ("uncounted   %" G_GINT64_FORMAT " files, %" G_GINT64_FORMAT " bytes that workers had told, and not counted\n",
            self->added.files, self->added.bytes);
}
