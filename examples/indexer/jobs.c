/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of jobs: what makes that a death loses nothing and doubles nothing.
 *
 * A job has one owner at a time, and only its owner can finish it. When a worker goes
 * away, what it owned goes back and is handed out before anything new; whatever that
 * worker might still say about it is not from its owner any more, and is ignored.
 */
#include "jobs.h"

#include <string.h>

static void
job_free (gpointer data)
{
  Job *job = data;

  g_free (job->path);
  g_free (job->error);
  g_free (job);
}

Jobs *
jobs_new (void)
{
  Jobs *self = g_new0 (Jobs, 1);

  self->all = g_ptr_array_new_with_free_func (job_free);
  g_queue_init (&self->returned);
  return self;
}

void
jobs_free (Jobs *self)
{
  g_ptr_array_unref (self->all);
  g_queue_clear (&self->returned);
  g_free (self);
}

/* Before anything was handed out. */
void
jobs_clear (Jobs *self)
{
  g_ptr_array_set_size (self->all, 0);
}

/* Takes PATH. */
void
jobs_add (Jobs *self, char *path, guint64 expected)
{
  Job *job = g_new0 (Job, 1);

  job->path = path;
  job->expected = expected;
  g_ptr_array_add (self->all, job);
}

/* One that was done, or failed, before. Takes PATH. */
void
jobs_add_known (Jobs *self, char *path, const char *sha256, guint64 size, guint64 lines, const char *error)
{
  Job *job = g_new0 (Job, 1);

  job->path = path;
  job->expected = job->size = size;
  job->state = error != NULL ? JOB_FAILED : JOB_DONE;
  job->error = g_strdup (error);
  job->lines = lines;
  g_strlcpy (job->sha256, sha256, sizeof job->sha256);
  g_ptr_array_add (self->all, job);
  if (error != NULL)
    {
      self->n_failed++;
      return;
    }
  self->n_done++;
  self->n_known++;
  self->bytes += size;
  self->known_bytes += size;
  self->lines += lines;
}

static int
compare_paths (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(Job * const *) a)->path, (*(Job * const *) b)->path);
}

/* By bytes, as "LC_ALL=C sort" does. Ids exist from here on. */
void
jobs_sort (Jobs *self)
{
  g_ptr_array_sort (self->all, compare_paths);
}

/* NULL if there is no such job: ids come from other processes. */
Job *
jobs_get (Jobs *self, guint id)
{
  return id > 0 && id <= self->all->len ? g_ptr_array_index (self->all, id - 1) : NULL;
}

gboolean
jobs_are_finished (Jobs *self)
{
  return self->n_done + self->n_failed == self->all->len;
}

/* The id of a job that now is OWNER's, or 0. */
guint
jobs_take (Jobs *self, guint owner)
{
  guint id = GPOINTER_TO_UINT (g_queue_pop_head (&self->returned));
  Job *job;

  while (id == 0 && self->next < self->all->len)
    id = jobs_get (self, ++self->next)->state == JOB_WAITING ? self->next : 0;
  if (id == 0)
    return 0;
  job = jobs_get (self, id);
  g_assert (job->state == JOB_WAITING);
  job->state = JOB_ASSIGNED;
  job->owner = owner;
  return id;
}

static Job *
take_result (Jobs *self, guint id, guint owner)
{
  Job *job = jobs_get (self, id);

  if (job != NULL && job->state == JOB_ASSIGNED && job->owner == owner)
    return job;
  self->n_ignored++;
  return NULL;
}

/* FALSE: it is not OWNER's, and was ignored. */
gboolean
jobs_finish (Jobs *self, guint id, guint owner, const char *sha256, guint64 size, guint64 lines)
{
  Job *job = take_result (self, id, owner);

  if (job == NULL)
    return FALSE;
  job->state = JOB_DONE;
  g_strlcpy (job->sha256, sha256, sizeof job->sha256);
  job->size = size;
  job->lines = lines;
  self->n_done++;
  self->bytes += size;
  self->lines += lines;
  return TRUE;
}

gboolean
jobs_fail (Jobs *self, guint id, guint owner, const char *error)
{
  Job *job = take_result (self, id, owner);

  if (job == NULL)
    return FALSE;
  job->state = JOB_FAILED;
  job->error = g_strdup (error);
  self->n_failed++;
  return TRUE;
}

/* Gives back all that OWNER has. Only what was handed out so far can be. */
guint
jobs_requeue (Jobs *self, guint owner)
{
  guint n = 0;

  for (guint id = 1; id <= self->next; id++)
    {
      Job *job = jobs_get (self, id);
      if (job->state != JOB_ASSIGNED || job->owner != owner)
        continue;
      job->state = JOB_WAITING;
      g_queue_push_tail (&self->returned, GUINT_TO_POINTER (id));
      n++;
    }
  self->n_requeued += n;
  return n;
}

guint
jobs_count_owned (Jobs *self, guint owner)
{
  guint n = 0;

  for (guint id = 1; id <= self->next; id++)
    {
      Job *job = jobs_get (self, id);
      n += job->state == JOB_ASSIGNED && job->owner == owner;
    }
  return n;
}
