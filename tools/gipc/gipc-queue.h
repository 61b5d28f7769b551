/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the verbs of "gipc queue" share. */
#pragma once

#include "gipc.h"

int              gipc_queue_publish (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_consume (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_list    (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_stats   (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_peek    (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_dead    (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_redrive (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_purge   (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_delete  (const GipcVerb *verb, int argc, char **argv);
int              gipc_queue_serve   (const GipcVerb *verb, int argc, char **argv);

/* gipc-queue.c: what all of them take */
typedef struct
{
  char    *uri;       /* (owned) */
  gboolean as_json;
} GipcQueueOptions;

#define GIPC_QUEUE_URI_OPTION(options) \
  { "uri", 'u', 0, G_OPTION_ARG_FILENAME, &(options).uri, "where the queues are kept (default: sqlite:)", "URI" }
#define GIPC_QUEUE_JSON_OPTION(options, what) { "json", 'j', 0, G_OPTION_ARG_NONE, &(options).as_json, what, NULL }

/* NULL after saying why. */
IpcQueueManager *gipc_queue_open_manager (const GipcQueueOptions *options);
IpcMessageQueue *gipc_queue_open         (IpcQueueManager *manager, const char *name, gboolean create);
gboolean         gipc_queue_check_count  (const GipcVerb *verb, const char *option, gint value);

/* gipc-queue-list.c: its members, without the brace at the end */
GString         *gipc_queue_to_json      (IpcMessageQueue *queue);
/* gipc-queue-peek.c: a line, in JSON or for people */
gboolean         gipc_queue_print_dead   (IpcDeadLetter *letter, gboolean as_json);
