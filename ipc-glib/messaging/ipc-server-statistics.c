/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What has gone through a server. Each connection has plain counters of its own; they are summed when somebody asks,
 * and what a closed one had is kept in the sum.
 */
#include "messaging/ipc-server-private.h"

static const struct
{
  const char *name;
  gsize offset;
} counters[IPC_SERVER_N_COUNTERS] = {
  { "messages-received", G_STRUCT_OFFSET (IpcStatistics, messages_received) },
  { "messages-sent", G_STRUCT_OFFSET (IpcStatistics, messages_sent) },
  { "messages-dropped", G_STRUCT_OFFSET (IpcStatistics, messages_dropped) },
  { "bytes-received", G_STRUCT_OFFSET (IpcStatistics, bytes_received) },
  { "bytes-sent", G_STRUCT_OFFSET (IpcStatistics, bytes_sent) },
  { "queued-bytes", G_STRUCT_OFFSET (IpcStatistics, queued_bytes) },
};

static guint64
get_counter (const IpcStatistics *statistics, guint i)
{
  return G_STRUCT_MEMBER (guint64, statistics, counters[i].offset);
}

void
ipc_server_get_statistics (IpcServer *self, IpcStatistics *statistics)
{
  GHashTableIter iter;
  gpointer connection;

  g_mutex_lock (&self->lock);
  *statistics = self->closed_statistics;
  if (self->channel != NULL)
    ipc_connection_add_statistics (self->channel, statistics);
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &connection))
    ipc_connection_add_statistics (connection, statistics);
  g_mutex_unlock (&self->lock);
}

guint64
ipc_server_get_counter (IpcServer *self, guint i)
{
  IpcStatistics statistics;

  ipc_server_get_statistics (self, &statistics);
  return get_counter (&statistics, i);
}

void
ipc_server_keep_statistics_locked (IpcServer *self, IpcConnection *connection)
{
  ipc_connection_add_statistics (connection, &self->closed_statistics);
  self->closed_statistics.queued_bytes = 0;
}

void
ipc_server_notify_statistics (gpointer server)
{
  IpcServer *self = server;
  IpcStatistics before = self->notified_statistics;

  ipc_server_get_statistics (self, &self->notified_statistics);
  for (guint i = 0; i < IPC_SERVER_N_COUNTERS; i++)
    if (get_counter (&before, i) != get_counter (&self->notified_statistics, i))
      g_object_notify (server, counters[i].name);
}

/**
 * ipc_server_get_messages_received: (get-property messages-received)
 * @self: the server
 *
 * Messages that have come from all clients, those that are gone included.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_server_get_messages_received (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return ipc_server_get_counter (self, 0);
}

/**
 * ipc_server_get_messages_sent: (get-property messages-sent)
 * @self: the server
 *
 * Messages that were queued for clients: a broadcast counts once for each.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_server_get_messages_sent (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return ipc_server_get_counter (self, 1);
}

/**
 * ipc_server_get_messages_dropped: (get-property messages-dropped)
 * @self: the server
 *
 * Events that were dropped, see [property@Ipc.Server:overflow-policy].
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_server_get_messages_dropped (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return ipc_server_get_counter (self, 2);
}

/**
 * ipc_server_get_bytes_received: (get-property bytes-received)
 * @self: the server
 *
 * Bytes that have come from all clients, those that are gone included.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_server_get_bytes_received (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return ipc_server_get_counter (self, 3);
}

/**
 * ipc_server_get_bytes_sent: (get-property bytes-sent)
 * @self: the server
 *
 * Bytes that the kernel has taken for all clients, those that are gone included.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_server_get_bytes_sent (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return ipc_server_get_counter (self, 4);
}

/**
 * ipc_server_get_queued_bytes: (get-property queued-bytes)
 * @self: the server
 *
 * Bytes that wait to be written to all clients together.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_server_get_queued_bytes (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return ipc_server_get_counter (self, 5);
}
