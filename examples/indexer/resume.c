/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "resume.h"

#include <string.h>

#define PLAN_TYPE "plan"
#define JOB_FORMAT "(^ayt)"
#define RESULT_FORMAT "(^aysttms)"
#define RESULT_TYPE "(aysttms)"
#define BATCH 1000u
#define PATIENCE_S 30

struct _Resume
{
  IpcQueueManager *manager; /* (owned) */
  char            *job_name; /* (owned) */
  char            *result_name; /* (owned) */
  IpcMessageQueue *jobs;    /* (owned) */
  IpcMessageQueue *results; /* (owned) */
  IpcConsumer     *consumer; /* (owned) (nullable) has all jobs, until they are done */
  GHashTable      *deliveries; /* (owned) path → IpcDelivery */
};

static IpcMessageQueue *
open_queue (IpcQueueManager *manager, const char *name, GError **error)
{
  g_autoptr (GError) problem = NULL;
  IpcMessageQueue *queue = ipc_queue_manager_create_queue (manager, name, NULL, &problem);

  if (g_error_matches (problem, IPC_ERROR, IPC_ERROR_EXISTS))
    return ipc_queue_manager_open_queue (manager, name, NULL, error);
  if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  return queue;
}

Resume *
resume_open (const char *uri, const char *directory, GError **error)
{
  g_autoptr (Resume) self = g_new0 (Resume, 1);
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, directory, -1);

  self->job_name = g_strdup_printf ("indexer-jobs-%.16s", sum);
  self->result_name = g_strdup_printf ("indexer-results-%.16s", sum);
  self->deliveries = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_object_unref);
  self->manager = ipc_queue_manager_new_for_uri (uri, error);
  if (self->manager == NULL)
    return NULL;
  /* A job is no poison because the coordinator was killed, however often. */
  g_object_set (self->manager, "max-retries", (guint) G_MAXINT, "max-queue-size", (guint) G_MAXUINT, "max-queue-bytes", G_MAXUINT64, NULL);
  self->jobs = open_queue (self->manager, self->job_name, error);
  self->results = self->jobs != NULL ? open_queue (self->manager, self->result_name, error) : NULL;
  return self->results != NULL ? g_steal_pointer (&self) : NULL;
}

void
resume_free (Resume *self)
{
  if (self->consumer != NULL)
    ipc_consumer_stop (self->consumer);
  g_clear_object (&self->consumer);
  g_hash_table_unref (self->deliveries);
  g_clear_object (&self->jobs);
  g_clear_object (&self->results);
  g_clear_object (&self->manager);
  g_free (self->job_name);
  g_free (self->result_name);
  g_free (self);
}

/* ---- the plan ---- */

gboolean
resume_has_plan (Resume *self)
{
  g_autoptr (GPtrArray) first = ipc_message_queue_peek (self->results, 1, NULL, NULL);

  return first != NULL && first->len > 0 && strcmp (ipc_message_get_message_type (ipc_delivery_get_message (first->pdata[0])), PLAN_TYPE) == 0;
}

static gboolean
publish_all (IpcMessageQueue *queue, GPtrArray *messages, GError **error)
{
  gboolean fine = messages->len == 0 || ipc_message_queue_publish_many (queue, messages, IPC_PRIORITY_NORMAL, -1, 0, NULL, error) == messages->len;

  g_ptr_array_set_size (messages, 0);
  return fine;
}

gboolean
resume_plan (Resume *self, Jobs *jobs, GError **error)
{
  g_autoptr (GPtrArray) batch = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  gboolean fine = ipc_message_queue_purge (self->jobs, NULL, error) >= 0 && ipc_message_queue_purge (self->results, NULL, error) >= 0;

  for (guint i = 0; fine && i < jobs->all->len; i++)
    {
      const Job *job = g_ptr_array_index (jobs->all, i);

      g_ptr_array_add (batch, ipc_message_new_variant ("job", g_variant_new (JOB_FORMAT, job->path, job->expected)));
      if (batch->len == BATCH)
        fine = publish_all (self->jobs, batch, error);
    }
  fine = fine && publish_all (self->jobs, batch, error);
  g_ptr_array_set_size (batch, 0);
  g_ptr_array_add (batch, ipc_message_new_text (PLAN_TYPE, ""));
  return fine && publish_all (self->results, batch, error);
}

/* ---- what there is ---- */

static gboolean
load_results (Resume *self, Jobs *jobs, GHashTable *known, GError **error)
{
  guint n = ipc_message_queue_get_n_messages (self->results);
  g_autoptr (GPtrArray) all = ipc_message_queue_peek (self->results, n, NULL, error);

  if (all == NULL)
    return FALSE;
  if (all->len < n)
    {
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "the results cannot be read from there: there are too many; use sqlite:PATH");
      return FALSE;
    }
  for (guint i = 0; i < all->len; i++)
    {
      GVariant *value = ipc_message_get_variant (ipc_delivery_get_message (all->pdata[i]));
      const char *path, *sha256, *problem;
      guint64 size, lines;

      if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE (RESULT_TYPE)))
        continue;
      g_variant_get (value, "(^&ay&sttm&s)", &path, &sha256, &size, &lines, &problem);
      if (g_hash_table_add (known, g_strdup (path)))
        jobs_add_known (jobs, g_strdup (path), sha256, size, lines, problem);
    }
  return TRUE;
}

typedef struct
{
  Resume     *self;
  Jobs       *jobs;
  GHashTable *known;
  guint       n;        /* that came */
} Loading;

static void
job_cb (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer data)
{
  Loading *loading = data;
  GVariant *value = ipc_message_get_variant (ipc_delivery_get_message (delivery));
  g_autofree char *path = NULL;
  guint64 expected;

  loading->n++;
  if (value == NULL || !g_variant_is_of_type (value, G_VARIANT_TYPE ("(ayt)")))
    return;
  g_variant_get (value, JOB_FORMAT, &path, &expected);
  /* Killed between the result and this. */
  if (!g_hash_table_add (loading->known, g_strdup (path)))
    ipc_delivery_ack_async (delivery, NULL, NULL, NULL);
  else
    {
      jobs_add (loading->jobs, g_strdup (path), expected);
      g_hash_table_insert (loading->self->deliveries, g_steal_pointer (&path), g_object_ref (delivery));
    }
}

static gboolean
timeout_cb (gpointer is_over)
{
  *(gboolean *) is_over = TRUE;
  return G_SOURCE_CONTINUE;
}

/* What a coordinator that was killed had comes back by itself. */
static gboolean
load_jobs (Resume *self, Jobs *jobs, GHashTable *known, GError **error)
{
  Loading *loading = g_new (Loading, 1);
  guint wanted = ipc_message_queue_get_n_messages (self->jobs);
  gboolean is_over = FALSE;
  guint timeout = g_timeout_add_seconds (PATIENCE_S, timeout_cb, &is_over);

  *loading = (Loading) { self, jobs, known, 0 };
  self->consumer = ipc_message_queue_start_consuming (self->jobs, G_MAXUINT, job_cb, loading, g_free);
  while (loading->n < wanted && !is_over)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timeout);
  if (!is_over)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_FAILED, "%u of %u jobs are somebody else's: is there another coordinator?", wanted - loading->n, wanted);
  return FALSE;
}

gboolean
resume_load (Resume *self, Jobs *jobs, GError **error)
{
  g_autoptr (GHashTable) known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (!load_results (self, jobs, known, error) || !load_jobs (self, jobs, known, error))
    return FALSE;
  ipc_consumer_stop (self->consumer);
  jobs_sort (jobs);
  return TRUE;
}

/* ---- what becomes of it ---- */

gboolean
resume_note (Resume *self, Jobs *jobs, GArray *ids, GError **error)
{
  g_autoptr (GPtrArray) results = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);

  for (guint i = 0; i < ids->len; i++)
    {
      const Job *job = jobs_get (jobs, g_array_index (ids, guint, i));

      g_ptr_array_add (results, ipc_message_new_variant ("result", g_variant_new (RESULT_FORMAT, job->path, job->sha256, job->size, job->lines,
                                                                                  job->error)));
    }
  if (!publish_all (self->results, results, error))
    return FALSE;
  for (guint i = 0; i < ids->len; i++)
    {
      const Job *job = jobs_get (jobs, g_array_index (ids, guint, i));
      IpcDelivery *delivery = g_hash_table_lookup (self->deliveries, job->path);

      /* If it is not ours any more, it comes again, and its result is known. */
      if (delivery != NULL)
        ipc_delivery_ack_async (delivery, NULL, NULL, NULL);
      g_hash_table_remove (self->deliveries, job->path);
    }
  return TRUE;
}

gboolean
resume_finish (Resume *self, GError **error)
{
  return ipc_queue_manager_delete_queue (self->manager, self->job_name, NULL, error) &&
         ipc_queue_manager_delete_queue (self->manager, self->result_name, NULL, error);
}
