/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The state of a client, and how those who observe it are told: in the client's
 * context, one notification for each thing that changed.
 *
 * A client that is to be closed only gets nearer to that: whoever would lead it
 * on finds out here, under the same lock under which it was decided.
 */
#include "base/ipc-notify-private.h"
#include "core/ipc-fork.h"
#include "messaging/ipc-client-private.h"

typedef struct
{
  IpcClient *client;            /* (owned) */
  IpcClientChanges changes;
} Notification;

static void
notify_changes (IpcClient *self, IpcClientChanges changes)
{
  if ((changes & IPC_CLIENT_CHANGED_STATE) != 0)
    g_object_notify (G_OBJECT (self), "state");
  if ((changes & IPC_CLIENT_CHANGED_CONNECTION) != 0)
    g_object_notify (G_OBJECT (self), "connection");
}

static gboolean
notify_cb (gpointer data)
{
  Notification *notification = data;

  notify_changes (notification->client, notification->changes);
  return G_SOURCE_REMOVE;
}

static void
notification_free (gpointer data)
{
  Notification *notification = data;

  g_object_unref (notification->client);
  g_free (notification);
}

static void
notify_later (IpcClient *self, IpcClientChanges changes)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  Notification *notification = g_new (Notification, 1);

  *notification = (Notification){ g_object_ref (self), changes };
  /* not after what follows from it */
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (source, "[ipc-glib] client state");
  g_source_set_callback (source, notify_cb, notification, notification_free);
  g_source_attach (source, self->context);
}

gboolean
ipc_client_has_handlers (IpcClient *self)
{
  return ipc_notify_is_observed (self) || ipc_notify_has_handler (self, ipc_client_signals[IPC_CLIENT_SIGNAL_CLOSED]);
}

void
ipc_client_tell (IpcClient *self, IpcClientChanges changes)
{
  if (changes == 0 || !ipc_client_has_handlers (self))
    return;
  if (g_main_context_is_owner (self->context))
    notify_changes (self, changes);
  else
    notify_later (self, changes);
}

gboolean
ipc_client_set_state (IpcClient *self, IpcClientState state, IpcConnection *connection)
{
  g_autoptr (IpcConnection) before = NULL;
  IpcClientChanges changes = 0;

  g_mutex_lock (&self->lock);
  if (self->close_wanted && state != IPC_CLIENT_STATE_CLOSED)
    {
      g_mutex_unlock (&self->lock);
      return FALSE;
    }
  if (self->state != state)
    changes |= IPC_CLIENT_CHANGED_STATE;
  if (self->connection != connection)
    changes |= IPC_CLIENT_CHANGED_CONNECTION;
  before = self->connection;
  self->state = state;
  IPC_WRITE_ONCE (self->connection, connection != NULL ? g_object_ref (connection) : NULL);
  if (state == IPC_CLIENT_STATE_CLOSED)
    self->close_wanted = FALSE;
  if (state == IPC_CLIENT_STATE_OPEN)
    self->opened_at = g_get_monotonic_time ();
  g_mutex_unlock (&self->lock);
  ipc_client_tell (self, changes);
  return TRUE;
}

gboolean
ipc_client_begin_opening (IpcClient *self, GCancellable *interrupt, GError **error)
{
  g_autoptr (GCancellable) owned = interrupt;
  gboolean busy;

  if (!ipc_error_check_fork (self->generation, self->address, error))
    return FALSE;
  g_mutex_lock (&self->lock);
  busy = self->state != IPC_CLIENT_STATE_CLOSED;
  if (!busy)
    {
      self->state = IPC_CLIENT_STATE_OPENING;
      self->interrupt = g_steal_pointer (&owned);
    }
  g_mutex_unlock (&self->lock);
  if (!busy)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_ALREADY, "client of \"%s\": open already, or opening", self->address);
  return FALSE;
}

gboolean
ipc_client_is_close_wanted (IpcClient *self)
{
  gboolean wanted;

  g_mutex_lock (&self->lock);
  wanted = self->close_wanted;
  g_mutex_unlock (&self->lock);
  return wanted;
}
