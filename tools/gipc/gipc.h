/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of gipc share. A verb is one file with one entry function; its
 * line in the table of main.c is all that makes it known.
 */
#pragma once

#include <ipc-glib/ipc-glib.h>

typedef enum
{
  GIPC_EXIT_OK = 0,
  GIPC_EXIT_FAILED = 1,
  GIPC_EXIT_USAGE = 2,
} GipcExit;

typedef struct _GipcVerb GipcVerb;

struct _GipcVerb
{
  const char *name;
  const char *arguments;  /* "ADDRESS TYPE [PAYLOAD|-]" */
  const char *summary;    /* one line, for the list of verbs */
  const char *description; /* (nullable) what --help says below the options */
  guint       min_arguments;
  guint       max_arguments;
  int       (*run) (const GipcVerb *verb, int argc, char **argv);
};

/* The verbs, one a file. */
int gipc_call   (const GipcVerb *verb, int argc, char **argv);
int gipc_list   (const GipcVerb *verb, int argc, char **argv);
int gipc_listen (const GipcVerb *verb, int argc, char **argv);
int gipc_file (const GipcVerb *verb, int argc, char **argv);
int gipc_memory (const GipcVerb *verb, int argc, char **argv);
int gipc_monitor (const GipcVerb *verb, int argc, char **argv);
int gipc_queue  (const GipcVerb *verb, int argc, char **argv);
int gipc_semaphore (const GipcVerb *verb, int argc, char **argv);
int gipc_send   (const GipcVerb *verb, int argc, char **argv);

/* main.c: what was to be done at SIGPIPE before gipc ignored it, for the commands that it runs */
extern void (*gipc_inherited_sigpipe) (int number);

/* gipc-verbs.c: tables of verbs */
void        gipc_print_verbs  (const GipcVerb *verbs, guint n_verbs);
int         gipc_run_verb     (const GipcVerb *parent, const GipcVerb *verbs, guint n_verbs, int argc, char **argv);
int         gipc_run_group    (const GipcVerb *parent, const GipcVerb *verbs, guint n_verbs, int argc, char **argv);

/* gipc-common.c: errors, arguments, output, clients */
int         gipc_fail         (const char *format, ...) G_GNUC_PRINTF (1, 2);
int         gipc_fail_usage   (const GipcVerb *verb, const char *format, ...) G_GNUC_PRINTF (2, 3);
char      **gipc_parse        (const GipcVerb *verb, const GOptionEntry *options, int argc, char **argv);
/* What an address is of: a named pipe behind GIPC_PIPE_PREFIX, else a socket. */
#define GIPC_PIPE_PREFIX "pipe:"
IpcClient  *gipc_client_new   (const char *address);
IpcServer  *gipc_server_new   (const char *address);
/* That the default scope, if there is one yet, is safe to look at; FALSE after saying what is wrong. */
gboolean    gipc_check_scope  (void);
IpcClient  *gipc_open         (const char *address);
gboolean    gipc_write        (gconstpointer bytes, gsize size);
gboolean    gipc_write_line   (const char *line);
/* Local time, to milliseconds. */
char       *gipc_format_time  (gint64 microseconds);

/* gipc-servers.c */
char      **gipc_find_servers (void);

/* gipc-sample.c: the statistics of a server, and what they say about the time between two looks */
typedef struct
{
  guint64 uptime; /* ms; 0: there is none */
  guint   pid;
  guint64 clients;
  guint64 refused;
  guint64 messages_received;
  guint64 messages_sent;
  guint64 messages_dropped;
  guint64 bytes_received;
  guint64 bytes_sent;
  guint64 queued_bytes;
} GipcSample;

typedef struct
{
  double messages;
  double bytes;
} GipcRates;

gboolean    gipc_sample_read      (GipcSample *sample, IpcMessage *reply);
gboolean    gipc_sample_get_rates (const GipcSample *before, const GipcSample *now, GipcRates *rates);
void        gipc_sample_to_json   (const GipcSample *sample, const GipcRates *rates, GString *out);
char       *gipc_sample_to_row    (const GipcSample *sample, const GipcRates *rates);
extern const char gipc_sample_header[];

/* gipc-message.c: messages from arguments, and as text */
IpcMessage *gipc_message_new       (const char *message_type, const char *payload, gsize limit);
IpcMessage *gipc_message_new_json  (const char *message_type, const char *payload, gsize limit);
char       *gipc_message_to_line   (IpcMessage *message, IpcConnection *connection);
gboolean    gipc_message_print_payload (IpcMessage *message);

/* gipc-json.c: JSON, appended to a string */
void        gipc_json_append_name     (GString *out, const char *name);
void        gipc_json_append_string   (GString *out, const char *text);
void        gipc_json_append_variant  (GString *out, GVariant *value);
void        gipc_json_append_document (GString *out, const char *text, gsize size);

/* "4096", "64K". WHAT is how the verb calls it. */
gboolean gipc_read_bytes (const GipcVerb *verb, const char *what, const char *text, gsize *bytes);
