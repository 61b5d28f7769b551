/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-serial-table-private.h"

#define LEAST 8u
#define KEPT 64u                /* more places than that are given back when nothing is under way */

void
ipc_serial_table_clear (IpcSerialTable *self)
{
  g_clear_pointer (&self->places, g_free);
  g_clear_pointer (&self->others, g_hash_table_unref);
  self->n_places = self->size = 0;
}

static IpcSerialPlace *
get_place (IpcSerialTable *self, guint64 serial)
{
  return &self->places[serial & (self->n_places - 1)];
}

/* What has a place of its own has one among more places, too. */
static void
add_places (IpcSerialTable *self)
{
  guint n_before = self->n_places;
  IpcSerialPlace *before = self->places;

  self->n_places = MAX (LEAST, 2 * n_before);
  self->places = g_new0 (IpcSerialPlace, self->n_places);
  for (guint i = 0; i < n_before; i++)
    if (before[i].serial != 0)
      *get_place (self, before[i].serial) = before[i];
  g_free (before);
}

void
ipc_serial_table_insert (IpcSerialTable *self, const guint64 *serial, gpointer value)
{
  if (2 * self->size >= self->n_places)
    add_places (self);
  if (get_place (self, *serial)->serial == 0)
    *get_place (self, *serial) = (IpcSerialPlace){ *serial, value };
  else
    {
      if (self->others == NULL)
        self->others = g_hash_table_new (g_int64_hash, g_int64_equal);
      g_hash_table_insert (self->others, (gpointer) serial, value);
    }
  self->size++;
}

gpointer
ipc_serial_table_lookup (IpcSerialTable *self, guint64 serial)
{
  if (self->size == 0 || serial == 0)
    return NULL;
  if (get_place (self, serial)->serial == serial)
    return get_place (self, serial)->value;
  return self->others != NULL ? g_hash_table_lookup (self->others, &serial) : NULL;
}

gpointer
ipc_serial_table_remove (IpcSerialTable *self, guint64 serial)
{
  gpointer value = NULL;

  if (self->size == 0 || serial == 0)
    return NULL;
  if (get_place (self, serial)->serial == serial)
    {
      value = get_place (self, serial)->value;
      *get_place (self, serial) = (IpcSerialPlace){ 0, NULL };
    }
  else if (self->others == NULL || !g_hash_table_steal_extended (self->others, &serial, NULL, &value))
    return NULL;
  if (--self->size == 0 && self->n_places > KEPT)
    ipc_serial_table_clear (self);
  return value;
}

GPtrArray *
ipc_serial_table_list (IpcSerialTable *self)
{
  GPtrArray *list = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer value;

  for (guint i = 0; i < self->n_places; i++)
    if (self->places[i].serial != 0)
      g_ptr_array_add (list, self->places[i].value);
  if (self->others == NULL)
    return list;
  g_hash_table_iter_init (&iter, self->others);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    g_ptr_array_add (list, value);
  return list;
}
