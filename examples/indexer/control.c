/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control from a shell, through a named pipe:
 *
 *   echo pause > PIPE      no worker gets files any more
 *   echo resume > PIPE     they go on
 *   echo stop > PIPE       as SIGINT
 *   echo status > PIPE     a line on standard error
 *
 * Who wants an answer asks with "gipc call pipe:PIPE status", or with any of the others.
 */
#include "control.h"

#include <string.h>

static char *
describe (Coordinator *self)
{
  const Jobs *jobs = self->jobs;

  return g_strdup_printf ("%s, %u of %u files", self->paused ? "paused" : "running", jobs->n_done + jobs->n_failed, jobs->all->len);
}

static gboolean
obey (Coordinator *self, const char *command)
{
  if (strcmp (command, "pause") == 0)
    coordinator_set_paused (self, TRUE);
  else if (strcmp (command, "resume") == 0)
    coordinator_set_paused (self, FALSE);
  else if (strcmp (command, "stop") == 0)
    coordinator_stop (self);
  else if (strcmp (command, "status") != 0)
    return FALSE;
  return TRUE;
}

/* A line is its own command, and there is no way back but standard error. */
static IpcMessage *
line_cb (IpcServer *server, IpcConnection *connection, IpcMessage *line, gpointer data, GError **error)
{
  g_autofree char *command = g_strstrip (g_strdup (ipc_message_get_text (line)));
  g_autofree char *status = NULL;

  if (!obey (data, command))
    {
      g_autofree char *shown = g_strescape (command, NULL);

      g_printerr ("indexer: \"%s\" is none of pause, resume, stop and status\n", shown);
      return NULL;
    }
  status = describe (data);
  if (strcmp (command, "status") == 0)
    g_printerr ("indexer: %s\n", status);
  return NULL;
}

static IpcMessage *
request_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autofree char *status = NULL;

  if (!obey (data, ipc_message_get_message_type (request)))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_UNKNOWN_TYPE, "unknown message type: %s", ipc_message_get_message_type (request));
      return NULL;
    }
  status = describe (data);
  return ipc_message_new_text ("status", status);
}

gboolean
control_start (IpcServer **control, const char *address, Coordinator *coordinator, GError **error)
{
  if (address == NULL)
    return TRUE;
  *control = IPC_SERVER (ipc_pipe_server_new (address));
  ipc_server_add_handler (*control, "line", line_cb, coordinator, NULL);
  ipc_server_add_handler (*control, NULL, request_cb, coordinator, NULL);
  return ipc_server_start (*control, error);
}

void
control_stop (IpcServer **control)
{
  if (*control != NULL)
    ipc_server_stop (*control);
  g_clear_object (control);
}
