/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is under way, by serial number. Serials are given in sequence, so most often each has a place of its own in an
 * array, at its remainder. What finds its place taken, by one that is under way for long, or because a peer picks its
 * serials that way, goes to an ordinary hash table.
 *
 * No locking of its own; the values and their serials belong to the caller.
 */
#pragma once

#include <glib.h>

typedef struct
{
  guint64 serial;               /* 0: free */
  gpointer value;
} IpcSerialPlace;

typedef struct
{
  IpcSerialPlace *places;       /* (nullable) (owned) */
  guint n_places;               /* a power of two, or 0 */
  guint size;
  GHashTable *others;           /* (nullable) (owned) those whose place was taken */
} IpcSerialTable;

void       ipc_serial_table_clear  (IpcSerialTable *self);
/* *SERIAL is not 0, not in the table, and stays where it is for as long as VALUE is in the table. */
void       ipc_serial_table_insert (IpcSerialTable *self, const guint64 *serial, gpointer value);
gpointer   ipc_serial_table_lookup (IpcSerialTable *self, guint64 serial);
/* What was removed, or NULL. */
gpointer   ipc_serial_table_remove (IpcSerialTable *self, guint64 serial);
/* All values, in no order: (transfer container). */
GPtrArray *ipc_serial_table_list   (IpcSerialTable *self);

static inline guint
ipc_serial_table_size (IpcSerialTable *self)
{
  return self->size;
}
