/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-serial-table-private.h"

void
ipc_serial_table_clear (IpcSerialTable *self)
{
  self->serial = NULL;
  self->one = NULL;
  g_clear_pointer (&self->others, g_hash_table_unref);
}

void
ipc_serial_table_insert (IpcSerialTable *self, const guint64 *serial, gpointer value)
{
  if (self->serial == NULL)
    {
      self->serial = serial;
      self->one = value;
      return;
    }
  if (self->others == NULL)
    self->others = g_hash_table_new (g_int64_hash, g_int64_equal);
  g_hash_table_insert (self->others, (gpointer) serial, value);
}

gpointer
ipc_serial_table_lookup (IpcSerialTable *self, guint64 serial)
{
  if (self->serial != NULL && *self->serial == serial)
    return self->one;
  return self->others != NULL ? g_hash_table_lookup (self->others, &serial) : NULL;
}

gpointer
ipc_serial_table_remove (IpcSerialTable *self, guint64 serial)
{
  gpointer value = NULL;

  if (self->serial != NULL && *self->serial == serial)
    {
      value = self->one;
      self->serial = NULL;
      self->one = NULL;
    }
  else if (self->others != NULL)
    g_hash_table_steal_extended (self->others, &serial, NULL, &value);
  return value;
}

guint
ipc_serial_table_size (IpcSerialTable *self)
{
  return (self->serial != NULL) + (self->others != NULL ? g_hash_table_size (self->others) : 0);
}

GPtrArray *
ipc_serial_table_list (IpcSerialTable *self)
{
  GPtrArray *list = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;

  if (self->serial != NULL)
    g_ptr_array_add (list, self->one);
  if (self->others == NULL)
    return list;
  g_hash_table_iter_init (&iter, self->others);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_ptr_array_add (list, value);
  return list;
}
