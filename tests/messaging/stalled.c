/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stalled.h"

static void
count (IpcConnection *connection, gpointer counter)
{
  ++*(guint *) counter;
}

void
stalled_init_full (Stalled *self, IpcTest *test, guint max_queued_bytes, IpcOverflowPolicy policy, gboolean json)
{
  pair_init (&self->pair, test);
  ipc_server_set_max_queued_bytes (self->pair.server, max_queued_bytes);
  ipc_server_set_overflow_policy (self->pair.server, policy);
  g_assert_true (ipc_server_start (self->pair.server, NULL));
  if (json)
    {
      raw_connect (&self->raw, self->pair.path);
      raw_write_text (&self->raw, "\n");
    }
  else
    raw_connect_binary (&self->raw, self->pair.path, 1 << 24);
  ipc_test_wait_for (ipc_server_get_n_clients (self->pair.server) == 1);
  self->far = g_list_model_get_item (ipc_server_get_connections (self->pair.server), 0);
  g_signal_connect (self->far, "congested", G_CALLBACK (count), &self->n_congested);
  g_signal_connect (self->far, "drained", G_CALLBACK (count), &self->n_drained);
}

void
stalled_init (Stalled *self, IpcTest *test, guint max_queued_bytes)
{
  stalled_init_full (self, test, max_queued_bytes, IPC_OVERFLOW_POLICY_REJECT, FALSE);
}

void
stalled_clear (Stalled *self)
{
  raw_clear (&self->raw);
  if (self->far)
    pair_wait_finalized (g_steal_pointer (&self->far));
  pair_clear (&self->pair);
}

IpcMessage *
message_of (gsize size)
{
  g_autofree char *text = g_strnfill (size, 'x');

  return ipc_message_new_text ("x", text);
}

guint
fill (IpcConnection *connection, gsize size)
{
  g_autoptr(IpcMessage) message = message_of (size);
  g_autoptr(GError) error = NULL;
  guint n = 0;

  while (ipc_connection_send (connection, message, &error))
    n++;
  g_assert_error (error, IPC_ERROR, IPC_ERROR_FULL);
  return n;
}
