/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-budget-private.h"

void
ipc_budget_init (IpcBudget *self, gsize limit)
{
  *self = (IpcBudget){ .limit = limit };
  g_mutex_init (&self->lock);
}

void
ipc_budget_clear (IpcBudget *self)
{
  g_clear_pointer (&self->references, g_hash_table_unref);
  g_mutex_clear (&self->lock);
}

gsize
ipc_budget_get_low (IpcBudget *self)
{
  return ipc_budget_get_limit (self) / 8 * 3;
}

gboolean
ipc_budget_add (IpcBudget *self, gssize difference)
{
  gsize held = __atomic_add_fetch (&self->held, (gsize) difference, __ATOMIC_RELAXED);
  gsize limit = ipc_budget_get_limit (self);

  if (difference < 0 || held <= limit / 2)
    return FALSE;
  if (held > limit)
    {
      g_atomic_int_set (&self->is_tight, TRUE);
      g_atomic_int_set (&self->is_over, TRUE);
      return TRUE;
    }
  return g_atomic_int_compare_and_exchange (&self->is_tight, FALSE, TRUE);
}

void
ipc_budget_ref_bytes (IpcBudget *self, GBytes *bytes)
{
  guint n;

  g_mutex_lock (&self->lock);
  if (self->references == NULL)
    self->references = g_hash_table_new (NULL, NULL);
  n = GPOINTER_TO_UINT (g_hash_table_lookup (self->references, bytes));
  g_hash_table_insert (self->references, bytes, GUINT_TO_POINTER (n + 1));
  g_mutex_unlock (&self->lock);
  if (n == 0)
    __atomic_add_fetch (&self->held, g_bytes_get_size (bytes), __ATOMIC_RELAXED);
}

void
ipc_budget_unref_bytes (IpcBudget *self, GBytes *bytes)
{
  guint n;

  g_mutex_lock (&self->lock);
  n = GPOINTER_TO_UINT (g_hash_table_lookup (self->references, bytes));
  if (n > 1)
    g_hash_table_insert (self->references, bytes, GUINT_TO_POINTER (n - 1));
  else
    g_hash_table_remove (self->references, bytes);
  g_mutex_unlock (&self->lock);
  if (n == 1)
    __atomic_sub_fetch (&self->held, g_bytes_get_size (bytes), __ATOMIC_RELAXED);
}
