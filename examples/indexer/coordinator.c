/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Hands jobs to worker processes and takes their results, over a socket server.
 *
 * A worker is a client. It says who it is, with a request "join" whose payload is its
 * label; then it asks for work, with requests "next". The payload of "next" is a JSON
 * array of the results of what it was given last:
 *
 *   [{"job": 1, "sha256": "…", "size": 5, "lines": 1, "began": …, "ended": …}, {"job": 2, "error": "…"}]
 *
 * "began" and "ended" is when it was reading the file, in µs of the monotonic clock; a worker may leave them out. The
 * reply "batch" is an array of what to do now; an empty one means that all is done:
 *
 *   [{"job": 3, "uri": "file:///usr/share/…"}]
 *
 * (URIs, as file names are bytes and JSON has only text.) If the number of those that read at the same time is bounded, the
 * reply "welcome" to "join" has a header "readers", the name of a semaphore in the scope that is the folder of the socket:
 * who reads a file holds a permit of it. Headers "counters" and "place" of the same reply are the name of a segment in that scope,
 * and the offset in it of two numbers to which the worker adds when it has read a file (see counters.h); then it tells that the
 * segment has changed. When all is handed out and not
 * all is back, the reply is held back: another worker may die, and its jobs are then work.
 * So a worker always has one request open, and its death at any moment is either before
 * its results came, and then its jobs go back, or after, and then they are done.
 */
#include "coordinator.h"

#include "control.h"
#include "observers.h"
#include "place.h"
#include "results.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (16 * 1024 * 1024)
#define GRACE_MS 5000
#define KILL_AT_PERCENT 20

static Worker *
find_worker (Coordinator *self, IpcConnection *connection)
{
  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);
      if (worker->connection == connection)
        return worker;
    }
  return NULL;
}

/* ---- The batch ---- */

static char *
make_uri (Coordinator *self, const Job *job)
{
  const char *relative = job->path + strlen (self->directory);
  g_autofree char *path = NULL;

  while (*relative == '/')
    relative++;
  path = g_build_filename (self->real_directory, relative, NULL);
  return g_filename_to_uri (path, NULL, NULL);
}

/* Towards the end batches get smaller, so that nobody waits long for the last one. */
static guint
choose_batch_size (Coordinator *self)
{
  guint n_left = self->jobs->all->len - self->jobs->n_done - self->jobs->n_failed;

  return CLAMP (n_left / (self->workers->len * 4), 1, self->batch);
}

static void
add_job (Coordinator *self, JsonBuilder *builder, guint id)
{
  g_autofree char *uri = make_uri (self, jobs_get (self->jobs, id));

  json_builder_begin_object (builder);
  json_builder_set_member_name (builder, "job");
  json_builder_add_int_value (builder, id);
  json_builder_set_member_name (builder, "uri");
  json_builder_add_string_value (builder, uri);
  json_builder_end_object (builder);
}

/* NULL if there is nothing to do now, but might be later. */
static IpcMessage *
make_batch (Coordinator *self, Worker *worker)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (JsonNode) root = NULL;
  guint limit = choose_batch_size (self);
  guint64 bytes = 0;
  guint n = 0, id;

  if (self->paused && !jobs_are_finished (self->jobs))
    return NULL;
  json_builder_begin_array (builder);
  while (n < limit && bytes < BATCH_BYTES && (id = jobs_take (self->jobs, worker->number)) != 0)
    {
      add_job (self, builder, id);
      bytes += jobs_get (self->jobs, id)->expected;
      n++;
    }
  json_builder_end_array (builder);
  if (n == 0 && !jobs_are_finished (self->jobs))
    return NULL;
  root = json_builder_get_root (builder);
  return ipc_message_new_json ("batch", root);
}

static void
serve_waiting (Coordinator *self)
{
  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);
      g_autoptr (IpcMessage) batch = worker->waiting != NULL ? make_batch (self, worker) : NULL;
      g_autoptr (IpcMessage) request = NULL;
      g_autoptr (GError) error = NULL;

      if (batch == NULL)
        continue;
      request = g_steal_pointer (&worker->waiting);
      /* If it cannot be sent, the worker is going; its jobs come back with its end. */
      if (!ipc_connection_reply (worker->connection, request, batch, &error))
        g_printerr ("indexer: %s: %s\n", worker->label, error->message);
    }
}

/* ---- The end ---- */

static gboolean
grace_cb (gpointer data)
{
  Coordinator *self = data;

  for (guint i = 0; i < self->workers->len; i++)
    worker_kill (g_ptr_array_index (self->workers, i));
  return G_SOURCE_CONTINUE;
}

static void
fail (Coordinator *self)
{
  if (self->failure == NULL)
    self->failure = g_error_new (IPC_ERROR, IPC_ERROR_FAILED, "all workers are gone, %u of %u files are not indexed",
                                 self->jobs->all->len - self->jobs->n_done - self->jobs->n_failed,
                                 self->jobs->all->len);
  g_main_loop_quit (self->loop);
}

/* A process that has ended may still have said something that is not read yet: its
 * connection ends after that. */
static void
check_end (Coordinator *self)
{
  gboolean any_process = FALSE, any_connection = FALSE;

  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);
      any_process |= !worker->has_exited;
      any_connection |= worker->connection != NULL;
      if (worker->has_exited && worker->connection == NULL)
        counters_settle (&self->counters, worker);
    }
  if (jobs_are_finished (self->jobs) && self->grace == 0)
    self->grace = g_timeout_add (GRACE_MS, grace_cb, self);
  if (any_process)
    return;
  if (jobs_are_finished (self->jobs))
    g_main_loop_quit (self->loop);
  else if (!any_connection || self->failure != NULL)
    fail (self);
}

/* ---- What workers say ---- */

static IpcMessage *
make_welcome (Coordinator *self, Worker *worker)
{
  g_autofree char *place = g_strdup_printf ("%" G_GSIZE_FORMAT, counters_get_place (worker));
  const char * const headers[] = {
    "counters", COUNTERS_NAME, "place", place, self->n_readers > 0 ? "readers" : NULL, READERS_NAME, NULL
  };
  g_autoptr (GBytes) payload = g_bytes_new (worker->label, strlen (worker->label));

  return ipc_message_new_full ("welcome", IPC_PAYLOAD_FORMAT_TEXT, payload, headers, NULL);
}

static IpcMessage *
join_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  Coordinator *self = data;
  const char *label = ipc_message_get_text (request);

  for (guint i = 0; label != NULL && i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);
      if (strcmp (worker->label, label) != 0 || worker->connection != NULL || find_worker (self, connection) != NULL)
        continue;
      worker->connection = g_object_ref (connection);
      return make_welcome (self, worker);
    }
  g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "no worker \"%s\" is expected here",
               label != NULL ? label : "");
  return NULL;
}

/* IS_NEW: the result was taken. */
static gboolean
note (Coordinator *self, guint64 id, gboolean is_new)
{
  guint fresh = (guint) id;

  if (is_new && self->fresh != NULL)
    g_array_append_val (self->fresh, fresh);
  return is_new;
}

static void
keep_results (Coordinator *self)
{
  g_autoptr (GError) error = NULL;

  if (self->fresh == NULL || self->fresh->len == 0)
    return;
  if ((self->resume != NULL && !resume_note (self->resume, self->jobs, self->fresh, &error)) ||
      (self->table != NULL && !table_note (self->table, self->jobs, self->fresh, &error)))
    {
      if (self->failure == NULL)
        self->failure = g_steal_pointer (&error);
      g_main_loop_quit (self->loop);
    }
  g_array_set_size (self->fresh, 0);
}

static void
take_result (Coordinator *self, Worker *worker, JsonObject *result)
{
  const char *problem = results_get_string (result, "error");
  guint64 id = 0, size = 0, lines = 0, began, ended;

  results_get_count (result, "job", &id);
  results_get_count (result, "size", &size);
  results_get_count (result, "lines", &lines);
  id = id <= self->jobs->all->len ? id : 0;
  if (problem != NULL)
    note (self, id, jobs_fail (self->jobs, id, worker->number, problem));
  else if (note (self, id, jobs_finish (self->jobs, id, worker->number, results_get_string (result, "sha256"), size, lines)))
    {
      worker->n_files++;
      worker->bytes += size;
      counters_add (&self->counters, size);
      if (results_get_count (result, "began", &began) && results_get_count (result, "ended", &ended))
        readers_note (&self->readers, began, ended);
    }
}

/* The process may be gone, and its end not be told yet. */
static gboolean
is_reading (Coordinator *self, Worker *worker)
{
  const char *process_id = g_subprocess_get_identifier (worker->process);

  return process_id != NULL && readers_has (&self->readers, process_id);
}

/* Somebody who has work in hand, at random; NULL if there is nobody. */
static Worker *
choose_victim (Coordinator *self, gboolean must_read)
{
  guint n_candidates = 0;
  Worker *victim = NULL;

  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);
      if (worker->has_exited || jobs_count_owned (self->jobs, worker->number) == 0 ||
          (must_read && !is_reading (self, worker)))
        continue;
      if (g_random_int_range (0, ++n_candidates) == 0)
        victim = worker;
    }
  return victim;
}

/* For the demonstration: best is somebody who is just reading, and has a permit for it. */
static void
maybe_kill_one (Coordinator *self)
{
  guint n_over = self->jobs->n_done + self->jobs->n_failed;
  Worker *victim;

  if (!self->kill_one || self->kill_report != NULL ||
      (guint64) n_over * 100 < (guint64) self->jobs->all->len * KILL_AT_PERCENT)
    return;
  victim = choose_victim (self, TRUE);
  if (victim == NULL)
    victim = choose_victim (self, FALSE);
  if (victim == NULL)
    return;
  self->kill_report = g_strdup_printf ("%s (process %s) with kill -9, after %u files, with %u files in hand",
                                       victim->label, g_subprocess_get_identifier (victim->process), n_over,
                                       jobs_count_owned (self->jobs, victim->number));
  worker_kill (victim);
}

static IpcMessage *
next_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  Coordinator *self = data;
  Worker *worker = find_worker (self, connection);
  JsonArray *results;
  IpcMessage *batch;

  if (worker == NULL || worker->waiting != NULL)
    {
      g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT,
                           worker == NULL ? "\"next\" before \"join\"" : "\"next\" while another one is open");
      return NULL;
    }
  results = results_get (request, error);
  if (results == NULL)
    return NULL;
  for (guint i = 0; i < json_array_get_length (results); i++)
    take_result (self, worker, json_array_get_object_element (results, i));
  keep_results (self);

  if (jobs_are_finished (self->jobs))
    serve_waiting (self);
  batch = make_batch (self, worker);
  /* The one that asks has its files now, so that somebody has, however late the others came. */
  maybe_kill_one (self);
  if (batch == NULL)
    worker->waiting = ipc_message_ref (request);
  check_end (self);
  return batch;
}

/* ---- What happens to workers ---- */

static void
disconnected_cb (IpcServer *server, IpcConnection *connection, GError *error, gpointer data)
{
  Coordinator *self = data;
  Worker *worker = find_worker (self, connection);

  if (worker == NULL)
    return;
  g_clear_object (&worker->connection);
  g_clear_pointer (&worker->waiting, ipc_message_unref);
  worker->n_requeued += jobs_requeue (self->jobs, worker->number);
  /* Whatever it is still doing, it is not doing it for us; one that is done leaves by itself. */
  if (!jobs_are_finished (self->jobs))
    worker_kill (worker);
  serve_waiting (self);
  check_end (self);
}

typedef struct
{
  Coordinator *self;
  Worker      *worker;
} Watch;

static void
exited_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Watch *watch = data;

  g_subprocess_wait_finish (G_SUBPROCESS (source), result, NULL);
  worker_note_exit (watch->worker);
  check_end (watch->self);
}

static gboolean
start_workers (Coordinator *self, const char *address, GError **error)
{
  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);
      g_autoptr (GError) problem = NULL;
      Watch *watch;

      if (!worker_start (worker, address, &problem))
        {
          g_printerr ("indexer: %s: %s\n", worker->label, problem->message);
          worker->fate = g_strdup ("did not start");
          continue;
        }
      watch = g_new (Watch, 1);
      *watch = (Watch) { self, worker };
      g_subprocess_wait_async (worker->process, NULL, exited_cb, watch);
    }
  for (guint i = 0; i < self->workers->len; i++)
    if (!((Worker *) g_ptr_array_index (self->workers, i))->has_exited)
      return TRUE;
  g_set_error_literal (error, IPC_ERROR, IPC_ERROR_FAILED, "no worker could be started");
  return FALSE;
}

/* ---- All together ---- */

void
coordinator_set_paused (Coordinator *self, gboolean paused)
{
  self->paused = paused;
  serve_waiting (self);
}

void
coordinator_stop (Coordinator *self)
{
  if (self->failure == NULL)
    self->failure = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CANCELLED, "interrupted");
  grace_cb (self);
  check_end (self);
}

static gboolean
interrupt_cb (gpointer data)
{
  coordinator_stop (data);
  return G_SOURCE_CONTINUE;
}

static gboolean
serve (Coordinator *self, const char *address, GError **error)
{
  guint interrupt, terminate;

  ipc_server_add_handler (self->server, "join", join_cb, self, NULL);
  ipc_server_add_handler (self->server, "next", next_cb, self, NULL);
  g_signal_connect (self->server, "client-disconnected", G_CALLBACK (disconnected_cb), self);
  if (!ipc_server_start (self->server, error) || !start_workers (self, address, error))
    return FALSE;

  interrupt = g_unix_signal_add (SIGINT, interrupt_cb, self);
  terminate = g_unix_signal_add (SIGTERM, interrupt_cb, self);
  g_main_loop_run (self->loop);
  g_source_remove (interrupt);
  g_source_remove (terminate);
  g_clear_handle_id (&self->grace, g_source_remove);

  if (self->failure == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&self->failure));
  return FALSE;
}

/* In PLACE, which is a scope. */
static gboolean
work (Coordinator *self, const char *place, const char *address, GError **error)
{
  Observers *observers = NULL;
  IpcServer *control = NULL;
  gboolean success = readers_start (&self->readers, place, self->n_readers, error) &&
                     counters_start (&self->counters, place, self->workers->len, self->jobs->all->len, error) &&
                     control_start (&control, self->control, self, error) &&
                     (observers = observers_start (self->observers, place, error)) != NULL && serve (self, address, error);

  control_stop (&control);
  counters_finish (&self->counters, self->workers);
  observers_finish (observers);
  return success;
}

/* Returns when all jobs are done or failed and all workers have ended. */
gboolean
coordinator_run (Coordinator *self, GError **error)
{
  Place place = PLACE_INIT;
  g_autofree char *address = NULL;
  gboolean success;

  if (jobs_are_finished (self->jobs))
    return TRUE;
  self->real_directory = realpath (self->directory, NULL);
  if (self->real_directory == NULL)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "%s: %s", self->directory, g_strerror (errno));
      return FALSE;
    }
  /* A place of its own, so that any number of these can run at a time. */
  if (!place_make (&place, error))
    return FALSE;
  address = g_build_filename (place.path, "socket", NULL);
  self->loop = g_main_loop_new (NULL, FALSE);
  if (self->resume != NULL || self->table != NULL)
    self->fresh = g_array_new (FALSE, FALSE, sizeof (guint));
  self->server = IPC_SERVER (ipc_socket_server_new (address));

  success = work (self, place.path, address, error);

  ipc_server_stop (self->server);
  place_remove (&place);
  return success;
}

void
coordinator_clear (Coordinator *self)
{
  g_clear_object (&self->server);
  g_clear_pointer (&self->loop, g_main_loop_unref);
  g_clear_pointer (&self->kill_report, g_free);
  g_clear_pointer (&self->fresh, g_array_unref);
  g_clear_error (&self->failure);
  readers_clear (&self->readers);
  counters_clear (&self->counters);
  free (self->real_directory);
  self->real_directory = NULL;
}
