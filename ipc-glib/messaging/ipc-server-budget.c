/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a server keeps to the budget for all its clients together.
 */
#include "messaging/ipc-server-private.h"

#define STALL_US (2 * G_USEC_PER_SEC)

/* All connections, with references. */
static GPtrArray *
list_connections (IpcServer *self)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer connection;

  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &connection))
    g_ptr_array_add (all, g_object_ref (connection));
  g_mutex_unlock (&self->lock);
  g_hash_table_iter_init (&iter, self->unopened);
  while (g_hash_table_iter_next (&iter, &connection, NULL))
    g_ptr_array_add (all, g_object_ref (connection));
  return all;
}

/* The one that holds most, in all (but not the one that is favoured), or of input; NULL: nobody holds anything. */
static IpcConnection *
find_largest (GPtrArray *all, gboolean of_input, guint64 favoured, gsize *largest)
{
  IpcConnection *found = NULL;

  *largest = 0;
  for (guint i = 0; i < all->len; i++)
    {
      IpcConnection *connection = g_ptr_array_index (all, i);
      gsize input, weight = ipc_connection_get_weight (connection, &input);

      if (!of_input && connection->id == favoured)
        continue;
      if ((of_input ? input : weight) <= *largest)
        continue;
      *largest = of_input ? input : weight;
      found = connection;
    }
  return found;
}

static void
expel (IpcServer *self, GPtrArray *all, IpcConnection *connection, gsize weight, const char *what)
{
  IpcBudget *budget = &self->ledger->budget;

  ipc_connection_drop (connection, g_error_new (IPC_ERROR, IPC_ERROR_FULL,
                                                "%s: %" G_GSIZE_FORMAT " bytes %s, while all clients hold %" G_GSIZE_FORMAT
                                                " bytes of at most %" G_GSIZE_FORMAT ", the limit of the server", connection->peer_name,
                                                weight, what, ipc_budget_get_held (budget), ipc_budget_get_limit (budget)));
  g_ptr_array_remove_fast (all, connection);
}

/* The one message that goes on while it is tight may come on top of the limit. */
static gsize
get_allowance (GPtrArray *all, guint64 favoured)
{
  for (guint i = 0; i < all->len; i++)
    {
      IpcConnection *connection = g_ptr_array_index (all, i);
      gsize input;

      if (connection->id != favoured)
        continue;
      ipc_connection_get_weight (connection, &input);
      return input;
    }
  return 0;
}

static void
expel_largest (IpcServer *self, GPtrArray *all)
{
  IpcBudget *budget = &self->ledger->budget;
  guint64 favoured = __atomic_load_n (&budget->favoured, __ATOMIC_RELAXED);
  gsize allowance = get_allowance (all, favoured);
  gsize weight;

  if (ipc_budget_get_held (budget) <= ipc_budget_get_limit (budget) + allowance)
    return;
  /* Somewhat below, so that it is not the next one's turn at once. */
  while (ipc_budget_get_held (budget) > ipc_budget_get_limit (budget) / 8 * 7 + allowance)
    {
      IpcConnection *largest = find_largest (all, FALSE, favoured, &weight);

      if (largest == NULL)
        return;
      expel (self, all, largest, weight, "are held for this client");
    }
}

/* Of those whose messages are not whole, the one with the most goes on; but not for ever. */
static void
choose_favoured (IpcServer *self, GPtrArray *all)
{
  IpcBudget *budget = &self->ledger->budget;
  gint64 now = g_get_monotonic_time ();
  gsize input;
  IpcConnection *largest = find_largest (all, TRUE, 0, &input);
  guint64 id = largest != NULL && input > ipc_budget_get_share (budget) ? largest->id : 0;

  if (id == 0)
    self->favoured_since = now;
  else if (id != __atomic_load_n (&budget->favoured, __ATOMIC_RELAXED) || largest->bytes_received != self->favoured_bytes)
    {
      self->favoured_since = now;
      self->favoured_bytes = largest->bytes_received;
    }
  else if (now - self->favoured_since >= STALL_US)
    {
      expel (self, all, largest, input, "of an unfinished message have waited for the rest");
      id = 0;
    }
  __atomic_store_n (&budget->favoured, id, __ATOMIC_RELAXED);
}

gboolean
ipc_server_relieve (gpointer server)
{
  IpcServer *self = server;
  IpcBudget *budget = &self->ledger->budget;
  g_autoptr (GPtrArray) all = list_connections (self);
  gboolean is_tight;

  /* What can be given back is, before anybody has to go. */
  for (guint i = 0; i < all->len; i++)
    ipc_connection_relieve (g_ptr_array_index (all, i));
  if (ipc_budget_get_held (budget) > ipc_budget_get_low (budget))
    choose_favoured (self, all);
  expel_largest (self, all);
  g_atomic_int_set (&budget->is_over, FALSE);
  is_tight = ipc_budget_get_held (budget) > ipc_budget_get_low (budget);
  if (!is_tight)
    __atomic_store_n (&budget->favoured, 0, __ATOMIC_RELAXED);
  g_atomic_int_set (&budget->is_tight, is_tight);
  for (guint i = 0; i < all->len; i++)
    ipc_connection_relieve (g_ptr_array_index (all, i));
  return is_tight;
}

void
ipc_server_update_budget (IpcServer *self)
{
  gsize least = (gsize) self->limits.max_message_size + self->limits.max_queued_bytes;
  gsize limit = MAX ((gsize) self->max_total_bytes, least);

  __atomic_store_n (&self->ledger->budget.limit, limit, __ATOMIC_RELAXED);
  if (ipc_budget_add (&self->ledger->budget, 0))
    ipc_ledger_call_relief (self->ledger);
}

/**
 * ipc_server_get_max_total_bytes: (get-property max-total-bytes)
 * @self: the server
 *
 * How many bytes the server holds for all clients together.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint64
ipc_server_get_max_total_bytes (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return self->max_total_bytes;
}

/**
 * ipc_server_set_max_total_bytes: (set-property max-total-bytes)
 * @self: the server
 * @max_total_bytes: the limit
 *
 * Sets how many bytes the server holds for all clients together.
 *
 * Since: 0.1
 */
void
ipc_server_set_max_total_bytes (IpcServer *self, guint64 max_total_bytes)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  max_total_bytes = CLAMP (max_total_bytes, 65536, G_MAXINT64);
  if (self->max_total_bytes == max_total_bytes)
    return;
  self->max_total_bytes = max_total_bytes;
  ipc_server_update_budget (self);
  g_object_notify (G_OBJECT (self), "max-total-bytes");
}

/**
 * ipc_server_get_total_bytes: (get-property total-bytes)
 * @self: the server
 *
 * How many bytes the server holds for all clients together now.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_server_get_total_bytes (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return ipc_budget_get_held (&self->ledger->budget);
}
