/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gipc monitor: what goes through servers, again and again.
 *
 * It goes by rounds. In each, all servers are asked at once, and shown when all have answered or when there is no
 * time left. A server that is not there is tried again in the next round.
 */
#include "gipc.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_INTERVAL_MS 1000
#define MIN_INTERVAL_MS 10
#define PATIENCE_MS 2000 /* of a round, if the interval is longer */
#define NAME_WIDTH 32

typedef enum
{
  STATE_SILENT, /* has not answered yet */
  STATE_ALIVE,
  STATE_GONE,
  STATE_REFUSED,
} State;

static const char * const state_names[] = { "silent", "alive", "gone", "refused" };

typedef struct
{
  GMainLoop *loop;
  GPtrArray *servers;      /* (element-type Server) */
  gboolean   all;
  gboolean   as_json;
  gboolean   in_place;
  gint       interval;
  gint       rounds_left;  /* -1: no end */
  guint      n_asked;      /* of this round, that have not answered */
  guint      deadline;     /* source ID, 0: the round is over */
  guint      n_shown;      /* lines that are refreshed */
  gboolean   has_header;
  gboolean   seen_alive;
  int        status;
  GString   *out;
} Monitor;

typedef struct
{
  gint       ref_count;    /* an answer under way has one */
  Monitor   *monitor;      /* NULL once it is forgotten */
  char      *address;
  IpcClient *client;       /* (nullable) */
  gboolean   is_busy;      /* an answer is under way */
  gboolean   is_awaited;   /* by the round */
  gboolean   is_listed;    /* there was a file in this round */
  State      state;
  GipcSample sample;
  GipcSample before;
} Server;

static Server *
server_new (Monitor *monitor, const char *address)
{
  Server *self = g_new0 (Server, 1);

  self->ref_count = 1;
  self->monitor = monitor;
  self->address = g_strdup (address);
  return self;
}

static void
server_unref (Server *self)
{
  if (--self->ref_count > 0)
    return;
  g_clear_object (&self->client);
  g_free (self->address);
  g_free (self);
}

static void
server_forget (gpointer data)
{
  Server *self = data;

  self->monitor = NULL;
  if (self->client != NULL)
    ipc_client_close (self->client);
  server_unref (self);
}

/* ── Showing ── */

static void
get_screen (guint *lines, guint *columns)
{
  struct winsize size = { 0 };

  ioctl (STDOUT_FILENO, TIOCGWINSZ, &size);
  *lines = size.ws_row > 0 ? size.ws_row : 24;
  *columns = size.ws_col > 0 ? size.ws_col : 80;
}

/* An address is bytes, and a line on a terminal is to stay one. */
static char *
make_label (const char *address)
{
  char *label = g_utf8_make_valid (address, -1);

  for (char *c = label; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c))
      *c = '?';
  return label;
}

static void
add_line (Monitor *self, const char *label, const char *state, const char *row)
{
  g_autofree char *line = g_strdup_printf ("%-*s %-7s %s", NAME_WIDTH, label, state, row);
  guint lines, columns;

  get_screen (&lines, &columns);
  if (self->in_place && self->n_shown + 1 >= lines)
    return;
  if (self->in_place && g_utf8_strlen (line, -1) > (glong) columns)
    *g_utf8_offset_to_pointer (line, (glong) columns) = '\0';
  g_string_append (self->out, g_strchomp (line));
  g_string_append_c (self->out, '\n');
  self->n_shown++;
}

static void
add_header (Monitor *self)
{
  if (self->in_place && self->n_shown > 0)
    g_string_append_printf (self->out, "\033[%uA\033[J", self->n_shown);
  self->n_shown = 0;
  if (!self->has_header || self->in_place)
    add_line (self, "ADDRESS", "STATE", gipc_sample_header);
  self->has_header = TRUE;
}

static void
add_server (Monitor *self, Server *server)
{
  GipcRates rates;
  gboolean has_rates = server->state == STATE_ALIVE && gipc_sample_get_rates (&server->before, &server->sample, &rates);

  if (self->as_json)
    {
      g_string_append_c (self->out, '{');
      gipc_json_append_name (self->out, "address");
      gipc_json_append_string (self->out, server->address);
      gipc_json_append_name (self->out, "state");
      gipc_json_append_string (self->out, state_names[server->state]);
      if (server->state == STATE_ALIVE)
        gipc_sample_to_json (&server->sample, has_rates ? &rates : NULL, self->out);
      g_string_append (self->out, "}\n");
    }
  else
    {
      g_autofree char *label = make_label (server->address);
      g_autofree char *row = server->state == STATE_ALIVE ? gipc_sample_to_row (&server->sample, has_rates ? &rates : NULL) : g_strdup ("");

      add_line (self, label, state_names[server->state], row);
    }
}

static void
end (Monitor *self, int status)
{
  self->status = status;
  g_main_loop_quit (self->loop);
}

static void
show (Monitor *self)
{
  if (self->status != GIPC_EXIT_OK)
    return;
  g_string_truncate (self->out, 0);
  if (!self->as_json)
    add_header (self);
  for (guint i = 0; i < self->servers->len; i++)
    add_server (self, g_ptr_array_index (self->servers, i));
  if (self->out->len > 0 && !gipc_write (self->out->str, self->out->len))
    {
      end (self, GIPC_EXIT_FAILED);
      return;
    }
  if (self->rounds_left > 0 && --self->rounds_left == 0)
    end (self, GIPC_EXIT_OK);
}

static void
end_round (Monitor *self)
{
  if (self->deadline == 0)
    return;
  g_source_remove (self->deadline);
  self->deadline = 0;
  self->n_asked = 0;
  for (guint i = 0; i < self->servers->len; i++)
    {
      Server *server = g_ptr_array_index (self->servers, i);

      if (server->is_awaited)
        server->state = STATE_SILENT;
      server->is_awaited = FALSE;
    }
  show (self);
}

/* ── Asking ── */

static void
answered (Server *server, State state)
{
  Monitor *self = server->monitor;

  server->is_busy = FALSE;
  if (self != NULL)
    {
      server->state = state;
      self->seen_alive |= state == STATE_ALIVE;
      if (state == STATE_GONE || state == STATE_REFUSED)
        {
          server->sample.uptime = 0;
          g_clear_object (&server->client);
        }
      if (server->is_awaited && --self->n_asked == 0)
        {
          server->is_awaited = FALSE;
          end_round (self);
        }
      server->is_awaited = FALSE;
    }
  server_unref (server);
}

/* What will be no better the next time ends the program. */
static State
judge (Server *server, const GError *error)
{
  static const IpcError hopeless[] = { IPC_ERROR_INVALID_NAME, IPC_ERROR_INVALID_ARGUMENT, IPC_ERROR_UNSUPPORTED,
                                       IPC_ERROR_UNSAFE_PATH, IPC_ERROR_WRONG_TYPE };

  for (guint i = 0; i < G_N_ELEMENTS (hopeless); i++)
    if (g_error_matches (error, IPC_ERROR, (gint) hopeless[i]) && server->monitor != NULL && !server->monitor->all)
      end (server->monitor, gipc_fail ("%s", error->message));
  if (g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT))
    return STATE_SILENT;
  if (g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SERVER) || g_error_matches (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED) ||
      g_error_matches (error, IPC_ERROR, IPC_ERROR_UNCERTAIN))
    return STATE_GONE;
  return STATE_REFUSED;
}

static void
stats_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Server *server = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) reply = ipc_client_request_finish (IPC_CLIENT (source), result, &error);
  GipcSample sample;

  if (reply == NULL)
    answered (server, judge (server, error));
  else if (!gipc_sample_read (&sample, reply))
    answered (server, STATE_REFUSED);
  else
    {
      server->before = server->sample;
      server->sample = sample;
      answered (server, STATE_ALIVE);
    }
}

static void
ask_stats (Server *server)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("ipc.stats", "");

  ipc_client_request_async (server->client, request, IPC_TIMEOUT_DEFAULT, NULL, stats_cb, server);
}

static void
opened_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Server *server = data;
  g_autoptr (GError) error = NULL;

  if (!ipc_client_open_finish (IPC_CLIENT (source), result, &error))
    answered (server, judge (server, error));
  else
    ask_stats (server);
}

static void
ask (Monitor *self, Server *server)
{
  self->n_asked++;
  server->is_awaited = TRUE;
  if (server->is_busy)
    return;
  server->is_busy = TRUE;
  server->ref_count++;
  if (server->client != NULL && ipc_client_get_connection (server->client) != NULL)
    {
      ask_stats (server);
      return;
    }
  g_clear_object (&server->client);
  server->sample.uptime = 0;
  server->client = gipc_client_new (server->address);
  ipc_client_open_async (server->client, NULL, opened_cb, server);
}

/* ── Rounds ── */

static Server *
find (Monitor *self, const char *address, guint *position)
{
  for (*position = 0; *position < self->servers->len; ++*position)
    {
      Server *server = g_ptr_array_index (self->servers, *position);
      int order = strcmp (server->address, address);

      if (order >= 0)
        return order == 0 ? server : NULL;
    }
  return NULL;
}

/* What is in the scope now: in the order of the names. */
static gboolean
scan (Monitor *self)
{
  g_auto (GStrv) names = gipc_find_servers ();
  guint position;

  if (names == NULL)
    return FALSE;
  for (guint i = 0; i < self->servers->len; i++)
    ((Server *) g_ptr_array_index (self->servers, i))->is_listed = FALSE;
  for (guint i = 0; names[i] != NULL; i++)
    {
      Server *server = find (self, names[i], &position);

      if (server == NULL)
        g_ptr_array_insert (self->servers, (gint) position, server = server_new (self, names[i]));
      server->is_listed = TRUE;
    }
  for (guint i = self->servers->len; i-- > 0;)
    if (!((Server *) g_ptr_array_index (self->servers, i))->is_listed)
      g_ptr_array_remove_index (self->servers, i);
  return TRUE;
}

static gboolean
deadline_cb (gpointer data)
{
  end_round (data);
  return G_SOURCE_REMOVE;
}

static gboolean
round_cb (gpointer data)
{
  Monitor *self = data;

  end_round (self);
  if (self->all && !scan (self))
    {
      end (self, GIPC_EXIT_FAILED);
      return G_SOURCE_CONTINUE;
    }
  self->n_asked = 0;
  self->deadline = g_timeout_add ((guint) MIN (self->interval, PATIENCE_MS), deadline_cb, self);
  for (guint i = 0; i < self->servers->len; i++)
    ask (self, g_ptr_array_index (self->servers, i));
  if (self->servers->len == 0)
    end_round (self);
  return G_SOURCE_CONTINUE;
}

static gboolean
signal_cb (gpointer data)
{
  end (data, GIPC_EXIT_OK);
  return G_SOURCE_CONTINUE;
}

static int
monitor (Monitor *self, const char *address)
{
  guint sources[3];

  if (address != NULL)
    g_ptr_array_add (self->servers, server_new (self, address));
  sources[0] = g_unix_signal_add (SIGINT, signal_cb, self);
  sources[1] = g_unix_signal_add (SIGTERM, signal_cb, self);
  sources[2] = g_timeout_add ((guint) self->interval, round_cb, self);
  round_cb (self);
  g_main_loop_run (self->loop);
  for (guint i = 0; i < G_N_ELEMENTS (sources); i++)
    g_source_remove (sources[i]);
  g_clear_handle_id (&self->deadline, g_source_remove);
  g_ptr_array_set_size (self->servers, 0);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  if (self->status == GIPC_EXIT_OK && self->rounds_left == 0 && address != NULL && !self->seen_alive)
    return gipc_fail ("%s: no server answered", address);
  return self->status;
}

int
gipc_monitor (const GipcVerb *verb, int argc, char **argv)
{
  Monitor self = { .interval = DEFAULT_INTERVAL_MS, .rounds_left = -1 };
  const GOptionEntry options[] = {
    { "all", 'a', 0, G_OPTION_ARG_NONE, &self.all, "all servers of the scope, also those that come later", NULL },
    { "interval", 'i', 0, G_OPTION_ARG_INT, &self.interval, "how often (default: 1000)", "MS" },
    { "count", 'n', 0, G_OPTION_ARG_INT, &self.rounds_left, "end after so many times", "N" },
    { "json", 'j', 0, G_OPTION_ARG_NONE, &self.as_json, "print one JSON object a line and server", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (GMainLoop) loop = NULL;
  g_autoptr (GPtrArray) servers = NULL;
  g_autoptr (GString) out = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  if (self.all == (arguments[0] != NULL))
    return gipc_fail_usage (verb, "monitor takes either an ADDRESS or --all");
  if (self.interval < MIN_INTERVAL_MS)
    return gipc_fail_usage (verb, "--interval: %d is less than %d", self.interval, MIN_INTERVAL_MS);
  if (self.rounds_left < -1 || self.rounds_left == 0)
    return gipc_fail_usage (verb, "--count: %d is less than 1", self.rounds_left);
  self.loop = loop = g_main_loop_new (NULL, FALSE);
  self.servers = servers = g_ptr_array_new_with_free_func (server_forget);
  self.out = out = g_string_new (NULL);
  self.in_place = !self.as_json && isatty (STDOUT_FILENO);
  return monitor (&self, arguments[0]);
}
