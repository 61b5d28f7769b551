/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker of the indexer in C; what is said to whom is written in coordinator.c.
 *
 * It only ever waits for the coordinator, so it needs no main loop: the calls that block
 * do. When the coordinator goes away they fail, and that is the end of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <ipc-glib/ipc-glib.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

static guint8 chunk[CHUNK];

typedef struct
{
  IpcClient    *client;
  IpcSemaphore *readers; /* (nullable) who reads a file holds a permit of it */
  IpcSharedMemory *counters; /* where each has its place, */
  gsize            place;    /* and this is ours */
} Worker;

static void
worker_clear (Worker *self)
{
  g_clear_object (&self->readers);
  g_clear_object (&self->counters);
  g_clear_object (&self->client);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Worker, worker_clear)

typedef struct
{
  GChecksum *sha256;
  guint64    size;
  guint64    lines;
  gint64     began; /* µs, monotonic */
  gint64     ended;
} Result;

static guint64
count_newlines (const guint8 *bytes, gsize n)
{
  const guint8 *end = bytes + n;
  guint64 lines = 0;

  while ((bytes = memchr (bytes, '\n', end - bytes)) != NULL)
    {
      lines++;
      bytes++;
    }
  return lines;
}

/* FALSE with errno set. */
static gboolean
read_all (int fd, Result *result)
{
  ssize_t n;

  while ((n = read (fd, chunk, CHUNK)) != 0)
    {
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return FALSE;
      g_checksum_update (result->sha256, chunk, n);
      result->size += n;
      result->lines += count_newlines (chunk, n);
    }
  return TRUE;
}

/* It was a regular file when it was found. What it is now is looked at before reading;
 * O_NONBLOCK is for the case that it has become a FIFO. */
static gboolean
read_file (const char *path, Result *result)
{
  int fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  gboolean success = FALSE;
  struct stat info;
  int problem;

  if (fd < 0)
    return FALSE;
  if (fstat (fd, &info) == 0 && (errno = EINVAL, S_ISREG (info.st_mode)))
    success = read_all (fd, result);
  problem = errno;
  close (fd);
  errno = problem;
  return success;
}

/* PROBLEM is an errno, or 0. FALSE: there is no permit to be had, which is not about this file. */
static gboolean
read_file_with_permit (Worker *self, const char *path, Result *result, int *problem, GError **error)
{
  g_autoptr (IpcPermit) permit = NULL;

  if (self->readers != NULL && (permit = ipc_semaphore_acquire (self->readers, -1, NULL, error)) == NULL)
    return FALSE;
  result->began = g_get_monotonic_time ();
  *problem = read_file (path, result) ? 0 : errno;
  result->ended = g_get_monotonic_time ();
  /* The permit goes back here, with its last reference. */
  return TRUE;
}

/* A file was read. Whoever looks is told. */
static gboolean
count (Worker *self, guint64 bytes, GError **error)
{
  return ipc_shared_memory_add_int64 (self->counters, self->place, 1, NULL, error) &&
         ipc_shared_memory_add_int64 (self->counters, self->place + sizeof (gint64), (gint64) bytes, NULL, error) &&
         ipc_shared_memory_notify_changed (self->counters, error);
}

static void
add_count (JsonBuilder *results, const char *name, gint64 value)
{
  json_builder_set_member_name (results, name);
  json_builder_add_int_value (results, value);
}

static void
add_text (JsonBuilder *results, const char *name, const char *value)
{
  json_builder_set_member_name (results, name);
  json_builder_add_string_value (results, value);
}

static gboolean
add_result (Worker *self, JsonBuilder *results, gint64 job, const char *path, GError **error)
{
  g_autoptr (GChecksum) sha256 = g_checksum_new (G_CHECKSUM_SHA256);
  Result result = { .sha256 = sha256 };
  int problem;

  if (!read_file_with_permit (self, path, &result, &problem, error) || (problem == 0 && !count (self, result.size, error)))
    return FALSE;
  json_builder_begin_object (results);
  add_count (results, "job", job);
  if (problem == 0)
    {
      add_text (results, "sha256", g_checksum_get_string (sha256));
      add_count (results, "size", result.size);
      add_count (results, "lines", result.lines);
      add_count (results, "began", result.began);
      add_count (results, "ended", result.ended);
    }
  else
    add_text (results, "error", g_strerror (problem));
  json_builder_end_object (results);
  return TRUE;
}

static JsonNode *
work_through (Worker *self, JsonArray *batch, GError **error)
{
  g_autoptr (JsonBuilder) results = json_builder_new ();

  json_builder_begin_array (results);
  for (guint i = 0; i < json_array_get_length (batch); i++)
    {
      JsonObject *job = json_array_get_object_element (batch, i);
      g_autofree char *path = g_filename_from_uri (json_object_get_string_member (job, "uri"), NULL, NULL);

      if (!add_result (self, results, json_object_get_int_member (job, "job"), path != NULL ? path : "", error))
        return NULL;
    }
  json_builder_end_array (results);
  return json_builder_get_root (results);
}

/* What we are told of is in the scope that is the folder of the socket. */
static IpcScope *
open_scope (const char *address, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (address);

  return ipc_scope_new_for_directory (directory, error);
}

/* TRUE also where there is no limit. */
static gboolean
open_readers (Worker *self, IpcScope *scope, const char *name, GError **error)
{
  g_autoptr (IpcSemaphoreManager) manager = ipc_semaphore_manager_new (scope);

  self->readers = name != NULL ? ipc_semaphore_manager_open_semaphore (manager, name, error) : NULL;
  return name == NULL || self->readers != NULL;
}

static gboolean
open_counters (Worker *self, IpcScope *scope, const char *name, const char *place, GError **error)
{
  g_autoptr (IpcSharedMemoryManager) manager = ipc_shared_memory_manager_new (scope);

  self->place = place != NULL ? (gsize) g_ascii_strtoull (place, NULL, 10) : 0;
  self->counters = ipc_shared_memory_manager_open_segment (manager, name, 0, error);
  return self->counters != NULL;
}

static gboolean
join (Worker *self, const char *address, const char *label, GError **error)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("join", label);
  g_autoptr (IpcMessage) reply = NULL;
  g_autoptr (IpcScope) scope = NULL;

  if (!ipc_client_open (self->client, NULL, error))
    return FALSE;
  reply = ipc_client_request (self->client, request, IPC_TIMEOUT_DEFAULT, NULL, error);
  scope = reply != NULL ? open_scope (address, error) : NULL;
  return scope != NULL && open_readers (self, scope, ipc_message_get_header (reply, "readers"), error) &&
         open_counters (self, scope, ipc_message_get_header (reply, "counters"), ipc_message_get_header (reply, "place"), error);
}

/* TRUE: there is nothing left to do. The timeout is for ever, as the answer may have to
 * wait for another worker to finish, or to die. */
static gboolean
work (Worker *self, GError **error)
{
  g_autoptr (JsonNode) results = json_node_init_array (json_node_alloc (), json_array_new ());

  while (results != NULL)
    {
      g_autoptr (IpcMessage) request = ipc_message_new_json ("next", results);
      g_autoptr (IpcMessage) reply = ipc_client_request (self->client, request, -1, NULL, error);
      JsonNode *batch = reply != NULL ? ipc_message_get_json (reply) : NULL;

      if (reply == NULL)
        return FALSE;
      if (batch == NULL || !JSON_NODE_HOLDS_ARRAY (batch))
        return g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "the batch is not an array"), FALSE;
      if (json_array_get_length (json_node_get_array (batch)) == 0)
        return TRUE;
      json_node_unref (results);
      results = work_through (self, json_node_get_array (batch), error);
    }
  return FALSE;
}

int
main (int argc, char **argv)
{
  g_auto (Worker) worker = { NULL, };
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc != 3)
    {
      g_printerr ("usage: worker-c ADDRESS LABEL\n");
      return 2;
    }
  worker.client = IPC_CLIENT (ipc_socket_client_new (argv[1]));
  if (join (&worker, argv[1], argv[2], &error) && work (&worker, &error))
    return EXIT_SUCCESS;
  g_printerr ("worker %s: %s\n", argv[2], error->message);
  return EXIT_FAILURE;
}
