/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * gipc listen: a server that prints what it gets.
 *
 * One handler takes every type, so that a request is printed and then refused at once:
 * a client that asks this server something finds out right away that it only listens.
 */
#include "gipc.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

typedef struct
{
  GMainLoop    *loop;
  IpcServer    *server;
  GCancellable *hurry; /* cancelled by a second signal: do not wait for anybody */
  gboolean      echo;
  gboolean      stopping;
  int           status;
} Listener;

static void
stopped_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Listener *self = data;

  /* An error here is the second signal, or a peer that did not read; the server is
   * stopped all the same. */
  ipc_server_stop_finish (IPC_SERVER (source), result, NULL);
  g_main_loop_quit (self->loop);
}

static void
stop (Listener *self)
{
  if (self->stopping)
    g_cancellable_cancel (self->hurry);
  else
    ipc_server_stop_async (self->server, self->hurry, stopped_cb, self);
  self->stopping = TRUE;
}

static gboolean
signal_cb (gpointer data)
{
  stop (data);
  return G_SOURCE_CONTINUE;
}

static void
print (Listener *self, IpcConnection *connection, IpcMessage *message)
{
  g_autofree char *line = gipc_message_to_line (message, connection);

  if (self->status != GIPC_EXIT_OK || gipc_write_line (line))
    return;
  /* Nobody reads any more; what would follow would only be lost. */
  self->status = GIPC_EXIT_FAILED;
  stop (self);
}

static IpcMessage *
message_cb (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  Listener *self = data;
  const char *type = ipc_message_get_message_type (message);

  print (self, connection, message);
  if (!ipc_message_get_is_request (message))
    return NULL;
  if (self->echo && strcmp (type, "echo") == 0)
    return ipc_message_new_full ("echo_response", ipc_message_get_format (message), ipc_message_get_payload (message),
                                 NULL, NULL);
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE, "unknown message type: %s", type);
  return NULL;
}

static int
serve (Listener *self, const char *address)
{
  g_autoptr (GError) error = NULL;
  guint interrupt, terminate;

  ipc_server_add_handler (self->server, NULL, message_cb, self, NULL);
  if (!ipc_server_start (self->server, &error))
    return gipc_fail ("%s", error->message);

  interrupt = g_unix_signal_add (SIGINT, signal_cb, self);
  terminate = g_unix_signal_add (SIGTERM, signal_cb, self);
  fprintf (stderr, "listening on %s\n", address);
  g_main_loop_run (self->loop);
  g_source_remove (interrupt);
  g_source_remove (terminate);
  return self->status;
}

int
gipc_listen (const GipcVerb *verb, int argc, char **argv)
{
  Listener self = { NULL, };
  const GOptionEntry options[] = {
    { "echo", 'e', 0, G_OPTION_ARG_NONE, &self.echo,
      "answer \"echo\" with an \"echo_response\" of the same payload", NULL },
    { NULL }
  };
  g_auto (GStrv) arguments = gipc_parse (verb, options, argc, argv);
  g_autoptr (GMainLoop) loop = NULL;
  g_autoptr (IpcServer) server = NULL;
  g_autoptr (GCancellable) hurry = NULL;

  if (arguments == NULL)
    return GIPC_EXIT_USAGE;
  self.loop = loop = g_main_loop_new (NULL, FALSE);
  self.server = server = gipc_server_new (arguments[0]);
  self.hurry = hurry = g_cancellable_new ();
  return serve (&self, arguments[0]);
}
