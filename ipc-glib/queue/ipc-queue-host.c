/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-host-private.h"

#include "messaging/ipc-server-private.h"
#include "messaging/ipc-transports-private.h"
#include "queue/ipc-queue-wire-private.h"

/* A subscriber that does not read gets no more copies. */
#define MAX_COPY_BACKLOG (1024u * 1024)

IpcQueueHost *
ipc_queue_host_ref (IpcQueueHost *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
ipc_queue_host_unref (IpcQueueHost *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_hash_table_unref (self->peers);
  g_object_unref (self->center);
  g_object_unref (self->server);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* ---- clients ---- */

static void
client_connected_cb (IpcServer *server, IpcConnection *connection, gpointer data)
{
  IpcQueueHost *self = data;

  g_hash_table_insert (self->peers, connection, ipc_queue_peer_new (self, connection));
}

static void
client_disconnected_cb (IpcServer *server, IpcConnection *connection, const GError *error, gpointer data)
{
  IpcQueueHost *self = data;
  g_autoptr(IpcQueuePeer) peer = NULL;

  if (!g_hash_table_steal_extended (self->peers, connection, NULL, (gpointer *) &peer))
    return;
  ipc_queue_peer_leave (peer);
}

/* Its answer is sent later, or was sent by now. */
static IpcMessage *
request_cb (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  IpcQueueHost *self = data;
  IpcQueuePeer *peer = g_hash_table_lookup (self->peers, connection);

  if (peer == NULL || !ipc_message_get_is_request (request))
    return NULL;
  ipc_queue_host_handle (peer, request, error);
  return NULL;
}

/* ---- what happens in the store ---- */

static gboolean
wants (IpcQueuePeer *peer, IpcQueueEvent event, const char *queue)
{
  IpcQueuePeerFlags marks = ipc_queue_peer_get_marks (peer, queue);

  switch (event)
    {
    case IPC_QUEUE_EVENT_AVAILABLE:
      return (marks & IPC_QUEUE_PEER_WAITING) != 0;
    case IPC_QUEUE_EVENT_PUBLISHED:
      return (marks & IPC_QUEUE_PEER_SUBSCRIBED) != 0 && ipc_connection_get_queued_bytes (peer->connection) <= MAX_COPY_BACKLOG;
    case IPC_QUEUE_EVENT_EXPIRED:
    case IPC_QUEUE_EVENT_DEAD:
      return (marks & IPC_QUEUE_PEER_OPENED) != 0 && ipc_connection_get_queued_bytes (peer->connection) <= MAX_COPY_BACKLOG;
    case IPC_QUEUE_EVENT_CREATED:
    case IPC_QUEUE_EVENT_DELETED:
    default:
      return TRUE;
    }
}

/* What cannot be sent to it, because it does not read, ends it: it is told when it comes again. */
static void
tell (IpcQueuePeer *peer, IpcMessage *message)
{
  if (!ipc_connection_send (peer->connection, message, NULL) && ipc_connection_get_is_open (peer->connection))
    ipc_connection_close (peer->connection);
}

static void
note_told (IpcQueuePeer *peer, IpcQueueEvent event, const char *queue)
{
  if (event == IPC_QUEUE_EVENT_AVAILABLE)
    ipc_queue_peer_unmark (peer, queue, IPC_QUEUE_PEER_WAITING);
  else if (event == IPC_QUEUE_EVENT_DELETED)
    ipc_queue_peer_unmark (peer, queue, IPC_QUEUE_PEER_OPENED | IPC_QUEUE_PEER_WAITING | IPC_QUEUE_PEER_SUBSCRIBED);
}

static gboolean
is_too_large (IpcQueueHost *self, const IpcQueueItem *item)
{
  return item != NULL && item->bytes + IPC_QUEUE_WIRE_OVERHEAD > ipc_server_get_max_message_size (self->server);
}

/* (transfer full): as they are now. */
static GPtrArray *
list_peers (IpcQueueHost *self)
{
  GPtrArray *peers = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_peer_unref);
  GHashTableIter iter;
  gpointer peer;

  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    g_ptr_array_add (peers, ipc_queue_peer_ref (peer));
  return peers;
}

static void
observe (gpointer data, IpcQueueEvent event, const char *queue, IpcQueueItem *item)
{
  IpcQueueHost *self = data;
  g_autoptr(IpcMessage) message = NULL;
  g_autoptr(GPtrArray) peers = NULL;

  if (is_too_large (self, item))
    return;
  peers = list_peers (self);
  for (guint i = 0; i < peers->len; i++)
    if (wants (peers->pdata[i], event, queue))
      {
        if (message == NULL)
          message = ipc_queue_host_new_event (event, queue, item);
        note_told (peers->pdata[i], event, queue);
        tell (peers->pdata[i], message);
      }
}

/* ---- the host ---- */

static void
add_handlers (IpcQueueHost *self)
{
  char *type;

  for (guint i = 0; (type = ipc_queue_host_get_request (i)) != NULL; g_free (type), i++)
    ipc_handler_table_add (&self->server->handlers, type, request_cb, self, NULL);
  g_signal_connect (self->server, "client-connected", G_CALLBACK (client_connected_cb), self);
  g_signal_connect (self->server, "client-disconnected", G_CALLBACK (client_disconnected_cb), self);
}

static void
remove_handlers (IpcQueueHost *self)
{
  char *type;

  for (guint i = 0; (type = ipc_queue_host_get_request (i)) != NULL; g_free (type), i++)
    ipc_handler_table_remove (&self->server->handlers, type);
  g_signal_handlers_disconnect_by_data (self->server, self);
}

IpcQueueHost *
ipc_queue_host_new (IpcQueueManager *manager, const char *address, GError **error)
{
  IpcQueueHost *self = g_new0 (IpcQueueHost, 1);

  self->ref_count = 1;
  self->manager = manager;
  self->center = g_object_ref (manager->center);
  self->server = ipc_transport_new_server (address, ipc_manager_get_scope (IPC_MANAGER (manager)));
  self->peers = g_hash_table_new_full (NULL, NULL, NULL, (GDestroyNotify) ipc_queue_peer_unref);
  g_mutex_init (&self->lock);
  add_handlers (self);
  self->center->observer = observe;
  self->center->observer_data = self;
  if (ipc_server_start (self->server, error))
    return self;
  ipc_queue_host_stop (self);
  return NULL;
}

void
ipc_queue_host_stop (IpcQueueHost *self)
{
  g_autoptr(GPtrArray) peers = list_peers (self);

  self->manager = NULL;
  self->center->observer = NULL;
  remove_handlers (self);
  ipc_server_stop (self->server);
  for (guint i = 0; i < peers->len; i++)
    ipc_queue_peer_leave (peers->pdata[i]);
  g_hash_table_remove_all (self->peers);
  ipc_queue_host_unref (self);
}
