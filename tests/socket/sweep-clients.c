/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What operations have in common: a client of the server that the bystander has too, or of one with a thread of its
 * own where a client blocks.
 */
#include "sweep.h"

#include <unistd.h>

#include "messaging/ipc-client-private.h"

#define BLOCKED_MS 300          /* so long a HELLO may be waited for that does not come */

/* ── In one thread ── */

gboolean
sweep_is_closed (Sweep *self)
{
  return ipc_client_get_state (self->client) == IPC_CLIENT_STATE_CLOSED;
}

void
sweep_make_client (Sweep *self, const char *address)
{
  self->client = transport_client_new (address);
  self->client->limits.handshake_timeout = BLOCKED_MS;
}

void
sweep_prepare_client (Sweep *self)
{
  g_clear_pointer (&self->path, g_free);
  self->path = g_build_filename (self->directory, "served", NULL);
  self->needle = "served";
  sweep_make_client (self, self->path);
}

void
sweep_prepare_open_client (Sweep *self)
{
  sweep_prepare_client (self);
  g_assert_true (client_try_open (self->client, NULL));
  client_check (self->client);
}

/* A connection that is open still carries messages; one that is not can be opened. */
void
sweep_check_client (Sweep *self)
{
  g_autoptr (GError) error = NULL;

  if (sweep_is_closed (self))
    client_try_open (self->client, &error);
  g_assert_no_error (error);
  client_check (self->client);
  sweep_drop_client (self);
}

gboolean
sweep_has_answer (Sweep *self)
{
  return self->async.n_callbacks == 1;
}

void
sweep_drop_client (Sweep *self)
{
  if (self->client == NULL)
    return;
  ipc_client_close (self->client);
  ipc_test_wait_for (ipc_client_get_state (self->client) == IPC_CLIENT_STATE_CLOSED);
  ipc_test_assert_finalized (self->client);
  self->client = NULL;
}

/* ── Without a file ── */

static IpcAuthorization
grant (IpcServer *server, IpcConnection *connection, gpointer data)
{
  return IPC_AUTHORIZATION_GRANTED;
}

void
sweep_prepare_abstract (Sweep *self)
{
  g_autofree char *directory = g_path_get_basename (self->directory);

  g_free (self->path);
  self->path = g_strdup_printf ("abstract:ipc-glib-%d-%s", (int) getpid (), directory);
  self->needle = "abstract:ipc-glib-";
  self->other = service_new (self->path);
  g_signal_connect (self->other->server, "authorize-client", G_CALLBACK (grant), NULL);
}

/* ── With a server in another ── */

/* A server with a thread of its own. */
typedef struct
{
  char *path;                   /* (owned) */
  GMainContext *context;        /* (owned) */
  GThread *thread;              /* (owned) */
  gint is_running;              /* (atomic) */
  gint is_to_stop;              /* (atomic) */
} Remote;

static gpointer
run_remote (gpointer data)
{
  Remote *self = data;
  Service *service;

  g_main_context_push_thread_default (self->context);
  service = service_start_at (self->path);
  ipc_test_settle ();
  g_atomic_int_set (&self->is_running, TRUE);
  while (!g_atomic_int_get (&self->is_to_stop))
    g_main_context_iteration (self->context, TRUE);
  service_free (service);
  ipc_test_settle ();           /* the connections have something to tell as well */
  g_main_context_pop_thread_default (self->context);
  return NULL;
}

void
sweep_prepare_remote (Sweep *self)
{
  Remote *remote = g_new0 (Remote, 1);

  sweep_set_path (self, "remote");
  remote->path = g_strdup (self->path);
  remote->context = g_main_context_new ();
  remote->thread = g_thread_new ("remote", run_remote, remote);
  self->data = remote;
  ipc_test_wait_for (g_atomic_int_get (&remote->is_running));
  sweep_make_client (self, self->path);
}

static void
end_remote (Sweep *self)
{
  Remote *remote = self->data;

  g_atomic_int_set (&remote->is_to_stop, TRUE);
  g_main_context_wakeup (remote->context);
  g_thread_join (remote->thread);
  g_main_context_unref (remote->context);
  g_free (remote->path);
  g_clear_pointer (&self->data, g_free);
}

void
sweep_check_remote (Sweep *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcMessage) message = ipc_message_new_text ("echo", "once more");
  g_autoptr (IpcMessage) answer = NULL;

  ipc_test_settle ();
  if (sweep_is_closed (self))
    ipc_client_open (self->client, NULL, &error);
  g_assert_no_error (error);
  answer = ipc_client_request (self->client, message, IPC_TIMEOUT_DEFAULT, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (ipc_message_get_text (answer), ==, "once more");
  sweep_drop_client (self);
  end_remote (self);
}
