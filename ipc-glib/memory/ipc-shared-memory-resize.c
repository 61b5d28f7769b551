/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What changes a segment as a whole: telling others, growing, sealing.
 */
#include "ipc-shared-memory.h"

#include <errno.h>
#include <fcntl.h>

#include "base/ipc-error-private.h"
#include "memory/ipc-shared-memory-private.h"

/* ---- telling ---- */

/**
 * ipc_shared_memory_notify_changed:
 * @self: the segment
 * @error: return location for an error
 *
 * Tells all others that have the segment that something in it has changed: [signal@Ipc.SharedMemory::changed].
 *
 * To call it often costs little: one that was told and has not come to look yet is not told again. It never waits.
 *
 * Errors: %IPC_ERROR_PERMISSION_DENIED if it is not open for writing; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_notify_changed (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;
  IpcMap *map;
  IpcSectionData data;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_shared_memory_locate (self, IPC_ACCESS_WRITE, 0, 0, &segment, &map, &data, error))
    return FALSE;
  /* Both as one, so that this object does not take it for a change of somebody else's. */
  g_mutex_lock (&self->mutex);
  self->own_changes++;
  ipc_segment_add_change (segment);
  g_mutex_unlock (&self->mutex);
  if (segment->object.knows_owners)
    ipc_listening_ring_others (&self->listening, &segment->listeners);
  return TRUE;
}

static void
tell_all (IpcSegment *segment)
{
  if (segment->object.knows_owners)
    ipc_listeners_ring (&segment->listeners, IPC_LISTENERS_NONE);
}

/* ---- the lock of those who write ---- */

/* Nobody writes until ipc_section_unlock(). */
static IpcSegment *
lock_section (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;
  IpcSectionOutcome outcome;
  guint n_tries = 0;

  do
    {
      IpcMap *map;
      IpcSectionData data;

      if (!ipc_shared_memory_locate (self, IPC_ACCESS_WRITE, 0, 0, &segment, &map, &data, error))
        return NULL;
      outcome = ipc_section_lock (&segment->section, &data);
      if (outcome == IPC_SECTION_DONE && !ipc_segment_is_intact (segment, map))
        {
          ipc_section_unlock (&segment->section);
          ipc_shared_memory_set_corrupt (self, error);
          return NULL;
        }
    }
  while (outcome != IPC_SECTION_DONE && ipc_shared_memory_resolve (self, segment, outcome, 0, 0, &n_tries, error));
  return outcome == IPC_SECTION_DONE ? segment : NULL;
}

static gboolean
fail_foreign (IpcSharedMemory *self, const char *what, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "segment \"%s\" is a memfd that another library has made, and cannot be %s here",
               ipc_shared_memory_describe (self), what);
  return FALSE;
}

/* ---- growing ---- */

gboolean
ipc_shared_memory_check_size (const char *name, guint64 size, guint64 max_size, GError **error)
{
  if (size > IPC_SEGMENT_MAX_SIZE)
    g_set_error (error, IPC_ERROR, IPC_ERROR_TOO_LARGE, "segment \"%s\": %" G_GUINT64_FORMAT " bytes, a file can have %" G_GUINT64_FORMAT, name, size,
                 IPC_SEGMENT_MAX_SIZE);
  else if (size > max_size)
    g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "segment \"%s\": %" G_GUINT64_FORMAT " bytes, the limit is %" G_GUINT64_FORMAT, name, size,
                 max_size);
  else
    return TRUE;
  return FALSE;
}

/* Now, so that no store is killed later for want of space. */
static gboolean
allocate (IpcSharedMemory *self, IpcSegment *segment, guint64 from, guint64 to, GError **error)
{
  int problem;

  do
    problem = posix_fallocate (segment->object.file.fd, (off_t) (segment->data_offset + from), (off_t) (to - from));
  while (problem == EINTR);
  if (problem == 0)
    return TRUE;
  if (problem == ENOSPC || problem == EDQUOT)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE, "segment \"%s\": no space left to grow from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " bytes",
                 ipc_shared_memory_describe (self), from, to);
  else
    ipc_error_set_errno (error, problem, "segment \"%s\" cannot grow from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT " bytes",
                         ipc_shared_memory_describe (self), from, to);
  return FALSE;
}

/* With the lock of the section. */
static gboolean
grow (IpcSharedMemory *self, IpcSegment *segment, guint64 size, GError **error)
{
  guint64 present = ipc_segment_get_size (segment);

  if (ipc_section_is_sealed (&segment->section))
    g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "segment \"%s\" is sealed", ipc_shared_memory_describe (self));
  else if (size < present)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT,
                 "segment \"%s\" has %" G_GUINT64_FORMAT " bytes and can only grow, asked %" G_GUINT64_FORMAT, ipc_shared_memory_describe (self),
                 present, size);
  else if (size == present)
    return TRUE;
  /* What somebody has cut off would be there again, with other contents. */
  else if (ipc_segment_check_file (segment, present, error) && allocate (self, segment, present, size, error))
    {
      ipc_section_set_length (&segment->section, size);
      ipc_section_stamp (&segment->section);
      return TRUE;
    }
  return FALSE;
}

/**
 * ipc_shared_memory_resize:
 * @self: the segment
 * @size: how many bytes it is to have; not fewer than now
 * @error: return location for an error
 *
 * Makes the segment larger, for all that have it: they get [signal@Ipc.SharedMemory::resized]. What is new is zero. A segment never
 * becomes smaller, because others may be reading it.
 *
 * Views and pointers from before stay valid. A process that is killed in the middle has made it larger or has not.
 *
 * Errors: %IPC_ERROR_INVALID_ARGUMENT for fewer bytes than there are; %IPC_ERROR_LIMIT_EXCEEDED over
 * [property@Ipc.SharedMemoryManager:max-segment-size]; %IPC_ERROR_TOO_LARGE; %IPC_ERROR_NO_SPACE; %IPC_ERROR_PERMISSION_DENIED if it is
 * not open for writing, or sealed; %IPC_ERROR_UNSUPPORTED for one that this library has not made; those of [method@Ipc.SharedMemory.write].
 *
 * Returns: %FALSE with @error set, and it is as large as before
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_resize (IpcSharedMemory *self, gsize size, GError **error)
{
  IpcSegment *segment;
  gboolean grown;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_shared_memory_check_size (ipc_shared_memory_describe (self), size, atomic_load (&self->limits->max_size), error))
    return FALSE;
  segment = lock_section (self, error);
  if (segment == NULL)
    return FALSE;
  grown = segment->is_foreign ? fail_foreign (self, "resized", error) : grow (self, segment, size, error);
  ipc_section_unlock (&segment->section);
  if (grown)
    tell_all (segment);
  return grown;
}

/* ---- sealing ---- */

/* The kernel refuses while anybody has it mapped for writing. */
static gboolean
seal_memfd (IpcSharedMemory *self, IpcSegment *segment, GError **error)
{
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

  if (fcntl (segment->object.file.fd, F_ADD_SEALS, seals) == 0)
    return TRUE;
  if (errno == EBUSY)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "segment \"%s\" cannot be sealed while another process has it, or this one has mapped its descriptor for writing",
                 ipc_shared_memory_describe (self));
  else
    ipc_error_set_errno (error, errno, "segment \"%s\" cannot be sealed", ipc_shared_memory_describe (self));
  return FALSE;
}

/* Nobody writes any more. */
static gboolean
seal_anonymous (IpcSharedMemory *self, IpcSegment *segment, GError **error)
{
  if (ipc_segment_make_private (segment, TRUE, error) && seal_memfd (self, segment, error))
    return TRUE;
  ipc_segment_make_private (segment, FALSE, NULL);
  ipc_section_set_sealed (&segment->section, false);
  return FALSE;
}

/**
 * ipc_shared_memory_seal:
 * @self: the segment
 * @error: return location for an error
 *
 * From now on nobody writes into the segment, and it does not grow. That cannot be undone.
 *
 * Of an anonymous one, the kernel sees to that: it can be handed to somebody who is not to change it, and who can trust that it
 * does not change. That works only while no other process has it yet: seal it first, then send [method@Ipc.SharedMemory.dup_fd]. In
 * one with a name, it holds for all that use this library.
 *
 * Do not write through a pointer of [method@Ipc.SharedMemory.peek] after that.
 *
 * Errors: %G_IO_ERROR_BUSY if another process has it, or this one has mapped its descriptor for writing; %IPC_ERROR_PERMISSION_DENIED if it is
 * not open for writing; %IPC_ERROR_UNSUPPORTED for
 * one that this library has not made; those of [method@Ipc.SharedMemory.write].
 *
 * Returns: %FALSE with @error set; %TRUE also if it was sealed before
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_seal (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;
  gboolean was_sealed;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  segment = ipc_shared_memory_attach (self, error);
  if (segment == NULL)
    return FALSE;
  if (ipc_section_is_sealed (&segment->section))
    return TRUE;
  if (segment->is_foreign)
    return fail_foreign (self, "sealed", error);
  segment = lock_section (self, error);
  if (segment == NULL)
    return FALSE;
  was_sealed = ipc_section_is_sealed (&segment->section);
  ipc_section_set_sealed (&segment->section, true);
  ipc_section_unlock (&segment->section);
  if (!was_sealed && self->name == NULL && !seal_anonymous (self, segment, error))
    return FALSE;
  tell_all (segment);
  return TRUE;
}
