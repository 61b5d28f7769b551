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
  GChecksum *sha256;
  guint64    size;
  guint64    lines;
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

static void
add_result (JsonBuilder *results, gint64 job, const char *path)
{
  g_autoptr (GChecksum) sha256 = g_checksum_new (G_CHECKSUM_SHA256);
  Result result = { sha256, 0, 0 };

  json_builder_begin_object (results);
  json_builder_set_member_name (results, "job");
  json_builder_add_int_value (results, job);
  if (read_file (path, &result))
    {
      json_builder_set_member_name (results, "sha256");
      json_builder_add_string_value (results, g_checksum_get_string (sha256));
      json_builder_set_member_name (results, "size");
      json_builder_add_int_value (results, result.size);
      json_builder_set_member_name (results, "lines");
      json_builder_add_int_value (results, result.lines);
    }
  else
    {
      json_builder_set_member_name (results, "error");
      json_builder_add_string_value (results, g_strerror (errno));
    }
  json_builder_end_object (results);
}

static JsonNode *
work_through (JsonArray *batch)
{
  g_autoptr (JsonBuilder) results = json_builder_new ();

  json_builder_begin_array (results);
  for (guint i = 0; i < json_array_get_length (batch); i++)
    {
      JsonObject *job = json_array_get_object_element (batch, i);
      g_autofree char *path = g_filename_from_uri (json_object_get_string_member (job, "uri"), NULL, NULL);

      add_result (results, json_object_get_int_member (job, "job"), path != NULL ? path : "");
    }
  json_builder_end_array (results);
  return json_builder_get_root (results);
}

static gboolean
join (IpcClient *client, const char *label, GError **error)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("join", label);
  g_autoptr (IpcMessage) reply = NULL;

  if (!ipc_client_open (client, NULL, error))
    return FALSE;
  reply = ipc_client_request (client, request, IPC_TIMEOUT_DEFAULT, NULL, error);
  return reply != NULL;
}

/* TRUE: there is nothing left to do. The timeout is for ever, as the answer may have to
 * wait for another worker to finish, or to die. */
static gboolean
work (IpcClient *client, GError **error)
{
  g_autoptr (JsonNode) results = json_node_init_array (json_node_alloc (), json_array_new ());

  while (TRUE)
    {
      g_autoptr (IpcMessage) request = ipc_message_new_json ("next", results);
      g_autoptr (IpcMessage) reply = ipc_client_request (client, request, -1, NULL, error);
      JsonNode *batch = reply != NULL ? ipc_message_get_json (reply) : NULL;

      if (reply == NULL)
        return FALSE;
      if (batch == NULL || !JSON_NODE_HOLDS_ARRAY (batch))
        return g_set_error_literal (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "the batch is not an array"), FALSE;
      if (json_array_get_length (json_node_get_array (batch)) == 0)
        return TRUE;
      json_node_unref (results);
      results = work_through (json_node_get_array (batch));
    }
}

int
main (int argc, char **argv)
{
  g_autoptr (IpcClient) client = NULL;
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  if (argc != 3)
    {
      g_printerr ("usage: worker-c ADDRESS LABEL\n");
      return 2;
    }
  client = IPC_CLIENT (ipc_socket_client_new (argv[1]));
  if (join (client, argv[2], &error) && work (client, &error))
    return EXIT_SUCCESS;
  g_printerr ("worker %s: %s\n", argv[2], error->message);
  return EXIT_FAILURE;
}
