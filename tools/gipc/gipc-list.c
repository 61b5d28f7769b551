/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gipc list: the servers of the default scope.
 *
 * A file says nothing about its server, so each one is asked: all at once, as one
 * server that is stopped in a debugger should not hold up the others.
 */
#include "gipc.h"

#define ANSWER_MS 2000

typedef enum
{
  STATE_SILENT, /* there is a server, but it does not answer */
  STATE_ALIVE,
  STATE_STALE, /* the process is gone, its file is still there */
  STATE_REFUSED, /* there is a server, and it does not want us */
} State;

static const char * const state_names[] = { "silent", "alive", "stale", "refused" };

typedef struct
{
  char      *name;
  IpcClient *client;
  State      state;
  int        pid; /* 0: not known */
  gint64     uid; /* -1: not known */
  guint     *n_asked; /* how many answers are still to come */
} Server;

static void
server_free (gpointer data)
{
  Server *self = data;

  g_free (self->name);
  g_object_unref (self->client);
  g_free (self);
}

static Server *
server_new (const char *name)
{
  Server *self = g_new0 (Server, 1);

  self->name = g_strdup (name);
  self->client = gipc_client_new (name);
  self->uid = -1;
  return self;
}

/* NULL after saying what is wrong. */
static GPtrArray *
find_servers (void)
{
  g_auto (GStrv) names = gipc_find_servers ();
  GPtrArray *servers;

  if (names == NULL)
    return NULL;
  servers = g_ptr_array_new_with_free_func (server_free);
  for (guint i = 0; names[i] != NULL; i++)
    g_ptr_array_add (servers, server_new (names[i]));
  return servers;
}

static State
state_from_error (const GError *error)
{
  if (g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SERVER))
    return STATE_STALE;
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) ||
      g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT))
    return STATE_SILENT;
  return STATE_REFUSED;
}

static void
note_owner (Server *self)
{
  IpcConnection *connection = ipc_client_get_connection (self->client);
  GCredentials *credentials = connection != NULL ? ipc_connection_get_credentials (connection) : NULL;
  uid_t uid;

  if (credentials == NULL)
    return;
  self->pid = MAX (g_credentials_get_unix_pid (credentials, NULL), 0);
  uid = g_credentials_get_unix_user (credentials, NULL);
  self->uid = uid != (uid_t) -1 ? (gint64) uid : -1;
}

static void
answered_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Server *self = data;
  g_autoptr (GError) error = NULL;

  if (ipc_client_open_finish (self->client, result, &error))
    {
      self->state = STATE_ALIVE;
      note_owner (self);
    }
  else
    self->state = state_from_error (error);
  ipc_client_close (self->client);
  (*self->n_asked)--;
}

static gboolean
deadline_cb (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return G_SOURCE_CONTINUE;
}

static void
ask_all (GPtrArray *servers)
{
  g_autoptr (GCancellable) deadline = g_cancellable_new ();
  guint timer = g_timeout_add (ANSWER_MS, deadline_cb, deadline);
  guint n_asked = servers->len;

  for (guint i = 0; i < servers->len; i++)
    {
      Server *server = g_ptr_array_index (servers, i);
      server->n_asked = &n_asked;
      ipc_client_open_async (server->client, deadline, answered_cb, server);
    }
  while (n_asked > 0)
    g_main_context_iteration (NULL, TRUE);
  g_source_remove (timer);
}

static gboolean
print_json (Server *self)
{
  g_autoptr (GString) line = g_string_new ("{");

  gipc_json_append_name (line, "name");
  gipc_json_append_string (line, self->name);
  gipc_json_append_name (line, "state");
  gipc_json_append_string (line, state_names[self->state]);
  g_string_append (line, self->state != STATE_STALE ? ",\"alive\":true" : ",\"alive\":false");
  if (self->pid > 0)
    g_string_append_printf (line, ",\"pid\":%d", self->pid);
  if (self->uid >= 0)
    g_string_append_printf (line, ",\"uid\":%" G_GINT64_FORMAT, self->uid);
  g_string_append_c (line, '}');
  return gipc_write_line (line->str);
}

static gboolean
print_row (Server *self)
{
  g_autofree char *pid = self->pid > 0 ? g_strdup_printf ("%d", self->pid) : g_strdup ("-");
  g_autofree char *uid = self->uid >= 0 ? g_strdup_printf ("%" G_GINT64_FORMAT, self->uid) : g_strdup ("-");
  g_autofree char *row = g_strdup_printf ("%-32s %-8s %8s %6s", self->name, state_names[self->state], pid, uid);

  return gipc_write_line (row);
}

int
gipc_list (const GipcVerb *verb, int argc, char **argv)
{
  gboolean as_json = FALSE;
  const GOptionEntry options[] = {
    { "json", 'j', 0, G_OPTION_ARG_NONE, &as_json, "print one JSON object a line", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (GPtrArray) servers = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  servers = find_servers ();
  if (servers == NULL)
    return GIPC_EXIT_FAILED;
  ask_all (servers);
  if (servers->len > 0 && !as_json &&
      !gipc_write_line ("NAME                             STATE         PID    UID"))
    return GIPC_EXIT_FAILED;
  for (guint i = 0; i < servers->len; i++)
    if (!(as_json ? print_json : print_row) (g_ptr_array_index (servers, i)))
      return GIPC_EXIT_FAILED;
  return GIPC_EXIT_OK;
}
