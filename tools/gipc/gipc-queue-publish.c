/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gipc queue publish: one message, or one a line of standard input. */
#include "gipc-queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE (16u * 1024 * 1024)
#define BATCH 1000u
#define BATCH_BYTES (1024u * 1024)

typedef struct
{
  GipcQueueOptions common;
  char            *type;      /* (owned) (nullable) */
  char            *priority_name; /* (owned) (nullable) */
  IpcPriority      priority;
  gint64           ttl;
  gint64           delay;
  char            *dedup_id;  /* (owned) (nullable) */
  gboolean         lines;
} Options;

static gboolean
read_priority (const GipcVerb *verb, Options *options)
{
  g_autoptr (GEnumClass) klass = g_type_class_ref (IPC_TYPE_PRIORITY);
  GEnumValue *value = g_enum_get_value_by_nick (klass, options->priority_name != NULL ? options->priority_name : "normal");

  if (value == NULL)
    return gipc_fail_usage (verb, "--priority: %s is none of low, normal, high, critical", options->priority_name), FALSE;
  options->priority = (IpcPriority) value->value;
  return TRUE;
}

static int
publish_one (IpcMessageQueue *queue, const Options *options, IpcMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL;
  guint64 id;

  if (message == NULL)
    return GIPC_EXIT_FAILED;
  id = ipc_message_queue_publish (queue, message, options->priority, options->ttl, options->delay, options->dedup_id, NULL, &error);
  if (id == 0)
    return gipc_fail ("%s", error->message);
  line = g_strdup_printf ("%" G_GUINT64_FORMAT, id);
  return gipc_write_line (line) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

/* ---- a message a line ---- */

typedef struct
{
  IpcMessageQueue *queue;
  const Options   *options;
  GPtrArray       *batch;    /* (owned) */
  gsize            bytes;    /* in the batch */
  guint64          n_done;
} Lines;

static gboolean
flush_lines (Lines *self)
{
  const Options *options = self->options;
  g_autoptr (GError) error = NULL;
  gint64 n;

  if (self->batch->len == 0)
    return TRUE;
  n = ipc_message_queue_publish_many (self->queue, self->batch, options->priority, options->ttl, options->delay, NULL, &error);
  if (n > 0)
    self->n_done += (guint64) n;
  if (error != NULL)
    return gipc_fail ("after %" G_GUINT64_FORMAT " messages: %s", self->n_done, error->message), FALSE;
  g_ptr_array_set_size (self->batch, 0);
  self->bytes = 0;
  return TRUE;
}

static gboolean
add_line (Lines *self, const char *line, gsize size)
{
  g_autoptr (GBytes) bytes = g_bytes_new (line, size);
  gboolean is_text = g_utf8_validate (line, (gssize) size, NULL);

  g_ptr_array_add (self->batch, ipc_message_new_full (self->options->type != NULL ? self->options->type : "job",
                                                      is_text ? IPC_PAYLOAD_FORMAT_TEXT : IPC_PAYLOAD_FORMAT_BYTES, bytes, NULL, NULL));
  self->bytes += size;
  return (self->batch->len < BATCH && self->bytes < BATCH_BYTES) || flush_lines (self);
}

static int
publish_lines (IpcMessageQueue *queue, const Options *options)
{
  g_autoptr (GPtrArray) batch = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  Lines self = { queue, options, batch, 0, 0 };
  gboolean fine = TRUE;
  g_autofree char *count = NULL;
  char *line = NULL;
  size_t room = 0;
  ssize_t size;

  while (fine && (size = getline (&line, &room, stdin)) > 0)
    fine = add_line (&self, line, (gsize) (line[size - 1] == '\n' ? size - 1 : size));
  free (line);
  if (fine && ferror (stdin))
    return gipc_fail ("standard input: %s", g_strerror (errno));
  if (!fine || !flush_lines (&self))
    return GIPC_EXIT_FAILED;
  count = g_strdup_printf ("%" G_GUINT64_FORMAT, self.n_done);
  return gipc_write_line (count) ? GIPC_EXIT_OK : GIPC_EXIT_FAILED;
}

/* ---- all together ---- */

static int
run (const Options *options, const char *name, const char *payload)
{
  g_autoptr (IpcQueueManager) manager = gipc_queue_open_manager (&options->common);
  g_autoptr (IpcMessageQueue) queue = manager != NULL ? gipc_queue_open (manager, name, TRUE) : NULL;
  g_autoptr (IpcMessage) message = NULL;
  const char *type = options->type != NULL ? options->type : "job";

  if (queue == NULL)
    return GIPC_EXIT_FAILED;
  if (options->lines)
    return publish_lines (queue, options);
  message = options->common.as_json ? gipc_message_new_json (type, payload, MAX_MESSAGE) : gipc_message_new (type, payload, MAX_MESSAGE);
  return publish_one (queue, options, message);
}

int
gipc_queue_publish (const GipcVerb *verb, int argc, char **argv)
{
  Options options = { 0 };
  const GOptionEntry entries[] = {
    GIPC_QUEUE_URI_OPTION (options.common),
    { "type", 't', 0, G_OPTION_ARG_STRING, &options.type, "the type of the message (default: job)", "TYPE" },
    { "priority", 'p', 0, G_OPTION_ARG_STRING, &options.priority_name, "low, normal, high or critical (default: normal)", "PRIORITY" },
    { "ttl", 'T', 0, G_OPTION_ARG_INT64, &options.ttl, "how long it is worth delivering; -1 for ever", "MS" },
    { "delay", 'd', 0, G_OPTION_ARG_INT64, &options.delay, "how long nobody gets it", "MS" },
    { "dedup-id", 'i', 0, G_OPTION_ARG_STRING, &options.dedup_id, "not again if one with this id was published within five minutes", "ID" },
    { "lines", 'l', 0, G_OPTION_ARG_NONE, &options.lines, "each line of standard input is a message; print how many", NULL },
    GIPC_QUEUE_JSON_OPTION (options.common, "PAYLOAD is a JSON document"),
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, entries, argc, argv);
  int status = GIPC_EXIT_USAGE;

  if (arguments == NULL)
    ;
  else if (options.ttl < -1)
    gipc_fail_usage (verb, "--ttl: %" G_GINT64_FORMAT " is less than -1", options.ttl);
  else if (options.delay < 0)
    gipc_fail_usage (verb, "--delay: %" G_GINT64_FORMAT " is less than 0", options.delay);
  else if (options.lines && (arguments[1] != NULL || options.dedup_id != NULL || options.common.as_json))
    gipc_fail_usage (verb, "--lines goes with no payload, --dedup-id or --json");
  else if (read_priority (verb, &options))
    status = run (&options, arguments[0], arguments[1]);
  g_free (options.common.uri);
  g_free (options.type);
  g_free (options.priority_name);
  g_free (options.dedup_id);
  return status;
}
