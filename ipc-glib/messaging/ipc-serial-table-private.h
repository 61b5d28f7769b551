/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is under way, by serial number. One thing at a time is the usual case, and costs no
 * table. No locking of its own; the values and their serials belong to the caller.
 */
#pragma once

#include <glib.h>

typedef struct
{
  const guint64 *serial;        /* (nullable) of the one */
  gpointer one;
  GHashTable *others;           /* (nullable) (owned) once there are more */
} IpcSerialTable;

void       ipc_serial_table_clear  (IpcSerialTable *self);
/* *SERIAL has to stay where it is, as long as VALUE is in the table. */
void       ipc_serial_table_insert (IpcSerialTable *self, const guint64 *serial, gpointer value);
gpointer   ipc_serial_table_lookup (IpcSerialTable *self, guint64 serial);
/* What was removed, or NULL. */
gpointer   ipc_serial_table_remove (IpcSerialTable *self, guint64 serial);
guint      ipc_serial_table_size   (IpcSerialTable *self);
/* All values, in no order: (transfer container). */
GPtrArray *ipc_serial_table_list   (IpcSerialTable *self);
