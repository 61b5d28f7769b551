/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a server does with events that a client does not take: the policy, and telling of what was dropped.
 *
 * A message may be dropped in any thread, and within a call of the application's; it is told of from the main loop.
 */
#include "messaging/ipc-server-private.h"

#include "ipc-enums.h"

/* What waits to be told. A program that drops without ever running its main loop must not gather it all. */
#define MAX_WAITING 65536u
#define MAX_WAITING_BYTES (4u * 1024 * 1024)

typedef struct
{
  IpcConnection *connection;    /* (owned) */
  IpcMessage *message;          /* (owned) */
} Drop;

static void
drop_free (gpointer data)
{
  Drop *drop = data;

  g_object_unref (drop->connection);
  ipc_message_unref (drop->message);
  g_free (drop);
}

static gboolean
tell_cb (gpointer data)
{
  GWeakRef *ref = data;
  g_autoptr (IpcServer) self = g_weak_ref_get (ref);
  GQueue drops;

  if (self == NULL)
    return G_SOURCE_REMOVE;
  g_mutex_lock (&self->drops_lock);
  g_clear_pointer (&self->drops_source, g_source_unref);
  drops = self->drops;
  g_queue_init (&self->drops);
  self->drops_bytes = 0;
  g_mutex_unlock (&self->drops_lock);
  while (!g_queue_is_empty (&drops))
    {
      Drop *drop = g_queue_pop_head (&drops);

      g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_MESSAGE_DROPPED], 0, drop->connection, drop->message);
      drop_free (drop);
    }
  return G_SOURCE_REMOVE;
}

static void
weak_ref_free (gpointer data)
{
  g_weak_ref_clear (data);
  g_free (data);
}

static void
tell_later_locked (IpcServer *self)
{
  GWeakRef *ref = g_new0 (GWeakRef, 1);

  g_weak_ref_init (ref, self);
  self->drops_source = g_idle_source_new ();
  g_source_set_priority (self->drops_source, G_PRIORITY_DEFAULT);
  g_source_set_static_name (self->drops_source, "[ipc-glib] messages dropped");
  g_source_set_callback (self->drops_source, tell_cb, ref, weak_ref_free);
  g_source_attach (self->drops_source, self->context);
}

gboolean
ipc_server_note_dropped (gpointer owner, IpcConnection *connection, IpcMessage *message)
{
  IpcServer *self = owner;
  gboolean listens = g_signal_has_handler_pending (self, ipc_server_signals[IPC_SERVER_SIGNAL_MESSAGE_DROPPED], 0, FALSE);
  Drop *drop;

  if (message == NULL || !listens)
    return listens;
  drop = g_new (Drop, 1);
  *drop = (Drop){ g_object_ref (connection), ipc_message_ref (message) };
  g_mutex_lock (&self->drops_lock);
  if (self->drops.length < MAX_WAITING && self->drops_bytes < MAX_WAITING_BYTES)
    {
      self->drops_bytes += message->payload_size;
      g_queue_push_tail (&self->drops, g_steal_pointer (&drop));
      if (self->drops_source == NULL)
        tell_later_locked (self);
    }
  g_mutex_unlock (&self->drops_lock);
  if (drop != NULL)
    drop_free (drop);
  return TRUE;
}

void
ipc_server_forget_drops (IpcServer *self)
{
  g_mutex_lock (&self->drops_lock);
  if (self->drops_source != NULL)
    g_source_destroy (self->drops_source);
  g_clear_pointer (&self->drops_source, g_source_unref);
  g_mutex_unlock (&self->drops_lock);
  g_queue_clear_full (&self->drops, drop_free);
}

/**
 * ipc_server_get_overflow_policy: (get-property overflow-policy)
 * @self: the server
 *
 * What becomes of an event for a client that does not take what was sent to it before.
 *
 * Returns: the policy
 *
 * Since: 0.1
 */
IpcOverflowPolicy
ipc_server_get_overflow_policy (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), IPC_OVERFLOW_POLICY_REJECT);

  return self->limits.overflow_policy;
}

/**
 * ipc_server_set_overflow_policy: (set-property overflow-policy)
 * @self: the server
 * @overflow_policy: the policy
 *
 * Sets what becomes of an event for a client that does not take what was sent to it before, from now on.
 *
 * With %IPC_OVERFLOW_POLICY_DROP_OLDEST, what was queued before the policy was set stays queued.
 *
 * Since: 0.1
 */
void
ipc_server_set_overflow_policy (IpcServer *self, IpcOverflowPolicy overflow_policy)
{
  GHashTableIter iter;
  gpointer peer;

  g_return_if_fail (IPC_IS_SERVER (self));
  g_return_if_fail (overflow_policy <= IPC_OVERFLOW_POLICY_DISCONNECT);

  if (self->limits.overflow_policy == overflow_policy)
    return;
  self->limits.overflow_policy = overflow_policy;
  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    ipc_connection_set_overflow_policy (peer, overflow_policy);
  g_mutex_unlock (&self->lock);
  g_hash_table_iter_init (&iter, self->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    ipc_connection_set_overflow_policy (peer, overflow_policy);
  g_object_notify (G_OBJECT (self), "overflow-policy");
}
