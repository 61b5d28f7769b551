/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers in a segment, in the byte order of the machine, for languages in which bytes are far away.
 */
#include "ipc-shared-memory.h"

#include "base/ipc-error-private.h"
#include "memory/ipc-shared-memory-private.h"

/**
 * ipc_shared_memory_read_int64:
 * @self: the segment
 * @offset: where, in bytes; it need not be aligned
 * @value: (out): the number
 * @error: return location for an error
 *
 * Reads an integer of 64 bits.
 *
 * Errors: those of [method@Ipc.SharedMemory.read].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_read_int64 (IpcSharedMemory *self, gsize offset, gint64 *value, GError **error)
{
  gint64 read;

  g_return_val_if_fail (value != NULL, FALSE);

  if (!ipc_shared_memory_read_into (self, offset, &read, sizeof read, error))
    return FALSE;
  *value = read;
  return TRUE;
}

/**
 * ipc_shared_memory_write_int64:
 * @self: the segment
 * @offset: where, in bytes; it need not be aligned
 * @value: the number
 * @error: return location for an error
 *
 * Writes an integer of 64 bits.
 *
 * Errors: those of [method@Ipc.SharedMemory.write].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_write_int64 (IpcSharedMemory *self, gsize offset, gint64 value, GError **error)
{
  return ipc_shared_memory_write_data (self, offset, &value, sizeof value, error);
}

/**
 * ipc_shared_memory_read_double:
 * @self: the segment
 * @offset: where, in bytes; it need not be aligned
 * @value: (out): the number
 * @error: return location for an error
 *
 * Reads a floating-point number of 64 bits.
 *
 * Errors: those of [method@Ipc.SharedMemory.read].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_read_double (IpcSharedMemory *self, gsize offset, gdouble *value, GError **error)
{
  gdouble read;

  g_return_val_if_fail (value != NULL, FALSE);

  if (!ipc_shared_memory_read_into (self, offset, &read, sizeof read, error))
    return FALSE;
  *value = read;
  return TRUE;
}

/**
 * ipc_shared_memory_write_double:
 * @self: the segment
 * @offset: where, in bytes; it need not be aligned
 * @value: the number
 * @error: return location for an error
 *
 * Writes a floating-point number of 64 bits.
 *
 * Errors: those of [method@Ipc.SharedMemory.write].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_write_double (IpcSharedMemory *self, gsize offset, gdouble value, GError **error)
{
  return ipc_shared_memory_write_data (self, offset, &value, sizeof value, error);
}

/**
 * ipc_shared_memory_add_int64:
 * @self: the segment
 * @offset: where, in bytes; it need not be aligned
 * @summand: what to add; may be negative
 * @value: (out) (optional): the sum
 * @error: return location for an error
 *
 * Adds to an integer of 64 bits as one step, so that counts of several processes can be in one place. A sum that is too
 * large wraps around. A process that is killed has added or has not.
 *
 * Errors: those of [method@Ipc.SharedMemory.read] and [method@Ipc.SharedMemory.write].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_add_int64 (IpcSharedMemory *self, gsize offset, gint64 summand, gint64 *value, GError **error)
{
  IpcSegment *segment;
  IpcSectionOutcome outcome;
  guint n_tries = 0;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  do
    {
      IpcMap *map;
      IpcSectionData data;
      gint64 sum = 0;

      if (!ipc_shared_memory_locate (self, IPC_SHARED_MEMORY_ACCESS_ALL, offset, sizeof sum, &segment, &map, &data, error))
        return FALSE;
      outcome = ipc_section_add (&segment->section, &data, offset, summand, &sum);
      if (G_UNLIKELY (!ipc_segment_is_intact (segment, map)))
        {
          ipc_shared_memory_set_corrupt (self, error);
          return FALSE;
        }
      if (outcome == IPC_SECTION_DONE && value != NULL)
        *value = sum;
    }
  while (outcome != IPC_SECTION_DONE && ipc_shared_memory_resolve (self, segment, outcome, offset, sizeof (gint64), &n_tries, error));
  return outcome == IPC_SECTION_DONE;
}
