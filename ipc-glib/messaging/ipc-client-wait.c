/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a client waits for between two attempts: for the next one to be due, and
 * for the server to appear in its directory; and which failures leave it waiting.
 *
 * A client that reconnects is held by nobody but its user, who may let it go in
 * any thread: what waits knows it by a weak reference only.
 */
#include "core/ipc-fork.h"
#include "messaging/ipc-client-private.h"

struct _IpcClientWatch
{
  GWeakRef client;
  IpcDirectoryWatch *watch;     /* (owned) */
};

/* ---- which failures pass ---- */

/*
 * A server that closes before it has said HELLO refuses. But one that is killed
 * at that very moment looks the same where it had already read ours, so somebody
 * who has time asks twice.
 */
static gboolean
is_first_refusal (IpcClient *self, const GError *error, gboolean in_handshake)
{
  if (!in_handshake || !g_error_matches (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED))
    {
      self->n_refusals = 0;
      return FALSE;
    }
  return self->n_refusals++ == 0;
}

void
ipc_client_reset_attempts (IpcClient *self)
{
  self->n_refusals = 0;
  self->busy_since = 0;
  ipc_backoff_reset (&self->backoff);
}

gboolean
ipc_client_is_busy (IpcClient *self, GError **error)
{
  gint64 now = g_get_monotonic_time ();
  g_autoptr (GError) busy = NULL;

  if (!g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_BUSY))
    {
      self->busy_since = 0;
      return FALSE;
    }
  if (self->busy_since == 0)
    self->busy_since = now;
  if (now - self->busy_since < (gint64) self->limits.handshake_timeout * 1000)
    return TRUE;
  busy = g_steal_pointer (error);
  self->busy_since = 0;
  g_set_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT, "%s, and none was taken within %d ms", busy->message, self->limits.handshake_timeout);
  return FALSE;
}

gboolean
ipc_client_may_wait (IpcClient *self, const GError *error, gboolean in_handshake)
{
  gboolean first_refusal = is_first_refusal (self, error, in_handshake);

  return self->wait_for_server && (first_refusal || g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SERVER));
}

/* What may be over in a moment: a server that is not there, does not answer, or has no room; and whatever the system
 * is short of. Somebody else's server, or one that speaks another language, stays what it is. */
gboolean
ipc_client_may_reconnect (IpcClient *self, const GError *error, gboolean in_handshake)
{
  gboolean first_refusal = is_first_refusal (self, error, in_handshake);

  if (!self->reconnect)
    return FALSE;
  if (first_refusal || error->domain == G_IO_ERROR)
    return TRUE;
  if (error->domain != IPC_ERROR)
    return FALSE;
  switch (error->code)
    {
    case IPC_ERROR_NO_SERVER:
    case IPC_ERROR_NOT_CONNECTED:
    case IPC_ERROR_CLOSED:
    case IPC_ERROR_TIMED_OUT:
    case IPC_ERROR_FULL:
    case IPC_ERROR_LIMIT_EXCEEDED:
    case IPC_ERROR_NO_SPACE:
      return TRUE;
    default:
      return FALSE;
    }
}

/* ---- the directory ---- */

static void
server_appeared (const char *name, gboolean gone, gpointer user_data)
{
  IpcClientWatch *watch = user_data;
  g_autoptr (IpcClient) client = g_weak_ref_get (&watch->client);

  if (client == NULL || client->watch != watch)
    return;
  /* Nothing more would come from it; the next attempt looks for the directory anew. */
  if (gone)
    ipc_client_unwatch (client);
  if (client->opening != NULL || client->server_is_absent)
    ipc_client_attempt (client);
}

static void
client_watch_free (gpointer data)
{
  IpcClientWatch *self = data;

  g_clear_pointer (&self->watch, ipc_directory_watch_free);
  g_weak_ref_clear (&self->client);
  g_free (self);
}

gboolean
ipc_client_watch (IpcClient *self, GError **error)
{
  IpcClientWatch *watch;

  if (!self->wait_for_server || self->watch != NULL)
    return TRUE;
  watch = g_new0 (IpcClientWatch, 1);
  g_weak_ref_init (&watch->client, self);
  watch->watch = IPC_CLIENT_GET_CLASS (self)->watch (self, self->context, server_appeared, watch, error);
  if (watch->watch != NULL)
    {
      self->watch = watch;
      return TRUE;
    }
  client_watch_free (watch);
  return FALSE;
}

static gboolean
do_nothing (gpointer data)
{
  return G_SOURCE_REMOVE;
}

void
ipc_client_unwatch (IpcClient *self)
{
  IpcClientWatch *watch = g_steal_pointer (&self->watch);

  /* Not beside its own dispatch. */
  if (watch != NULL)
    g_main_context_invoke_full (self->context, G_PRIORITY_DEFAULT, do_nothing, watch, client_watch_free);
}

/* ---- the clock ---- */

static void
weak_ref_free (gpointer data)
{
  g_weak_ref_clear (data);
  g_free (data);
}

static void
clear_retry (IpcClient *self)
{
  if (self->retry != NULL)
    g_source_destroy (self->retry);
  g_clear_pointer (&self->retry, g_source_unref);
}

static gboolean
retry_cb (gpointer data)
{
  g_autoptr (IpcClient) client = g_weak_ref_get (data);

  if (client == NULL || g_source_is_destroyed (g_main_current_source ()))
    return G_SOURCE_REMOVE;
  clear_retry (client);
  ipc_client_attempt (client);
  return G_SOURCE_REMOVE;
}

void
ipc_client_retry_in (IpcClient *self, gint64 delay)
{
  GWeakRef *client;

  if (self->retry != NULL)
    return;
  client = g_new0 (GWeakRef, 1);
  g_weak_ref_init (client, self);
  self->retry = g_timeout_source_new (0);
  g_source_set_ready_time (self->retry, g_get_monotonic_time () + delay);
  g_source_set_static_name (self->retry, "[ipc-glib] next attempt");
  g_source_set_callback (self->retry, retry_cb, client, weak_ref_free);
  g_source_attach (self->retry, self->context);
}

void
ipc_client_stop_waiting (IpcClient *self)
{
  clear_retry (self);
  ipc_client_unwatch (self);
}
