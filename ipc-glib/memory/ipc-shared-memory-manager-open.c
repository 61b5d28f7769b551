/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making, opening and deleting segments. What is handed out is attached, and is the same object for as long as somebody has it.
 */
#include "memory/ipc-shared-memory-manager-private.h"

#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-shared-manager-private.h"

/* ---- what was handed out ---- */

/* What may be done with an object does not change, so that there may be several of a name. */
static char *
get_key (const char *name, IpcAccess access)
{
  return g_strdup_printf ("%s/%u", name, (guint) access);
}

/* (transfer full) (nullable): the one of that name, if it is still that. */
static IpcSharedMemory *
recall (IpcSharedMemoryManager *self, int folder_fd, const char *name, IpcAccess access)
{
  g_autofree char *key = get_key (name, access);
  g_autoptr(IpcSharedMemory) segment = ipc_handed_out_get (self->handed_out, key);

  if (segment != NULL && ipc_shared_memory_has_name (segment, folder_fd))
    return g_steal_pointer (&segment);
  return NULL;
}

void
ipc_shared_memory_manager_tell_deleted (IpcSharedMemoryManager *self)
{
  g_autoptr(GPtrArray) all = ipc_handed_out_snapshot (self->handed_out);

  for (guint i = 0; i < all->len; i++)
    if (ipc_shared_memory_get_is_deleted (all->pdata[i]))
      ipc_shared_memory_look (all->pdata[i]);
}

static IpcSharedMemory *
hand_out (IpcSharedMemoryManager *self, const char *name, IpcAccess access, IpcSegment *opened)
{
  g_autofree char *key = get_key (name, access);
  IpcSharedMemory *segment =
    ipc_shared_memory_new_for_segment (ipc_manager_get_scope (IPC_MANAGER (self)), self->limits, self->context, name, access, opened);

  ipc_handed_out_add (self->handed_out, key, segment);
  return segment;
}

/* ---- making and opening ---- */

static gboolean
check_access (const char *name, IpcAccess *access, GError **error)
{
  if (*access == 0)
    *access = IPC_SHARED_MEMORY_ACCESS_ALL;
  if ((*access & ~(guint) IPC_SHARED_MEMORY_ACCESS_ALL) == 0)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "segment \"%s\": unknown access flags 0x%x, allowed are 0x%x", name, (guint) *access,
               (guint) IPC_SHARED_MEMORY_ACCESS_ALL);
  return FALSE;
}

typedef struct
{
  gsize asked;                  /* 0: the default */
  gsize wanted;
  gboolean writable;
  IpcSegment *segment;          /* (owned) */
} Making;

/* It exists: says how large. */
static gboolean
explain_cb (gpointer data, int folder_fd, const char *name, GError **error)
{
  gsize asked = ((Making *) data)->asked;
  g_autoptr(GError) reason = NULL;
  IpcSegment *segment = ipc_segment_observe (folder_fd, name, &reason);
  guint64 present;

  if (segment == NULL)
    {
      if (g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        return FALSE;
      g_propagate_error (error, g_steal_pointer (&reason));
      return TRUE;
    }
  present = ipc_segment_get_size (segment);
  ipc_segment_close (segment);
  if (asked != 0 && asked != present)
    g_set_error (error, IPC_ERROR, IPC_ERROR_MISMATCH, "segment \"%s\" exists with %" G_GUINT64_FORMAT " bytes, asked %" G_GSIZE_FORMAT, name,
                 present, asked);
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_EXISTS, "segment \"%s\" exists already, with %" G_GUINT64_FORMAT " bytes", name, present);
  return TRUE;
}

static gboolean
make_cb (gpointer data, int folder_fd, const char *name, GError **error)
{
  Making *making = data;

  making->segment = ipc_segment_create (folder_fd, name, making->wanted, making->writable, error);
  return making->segment != NULL;
}

/**
 * ipc_shared_memory_manager_create_segment:
 * @self: the manager
 * @name: its name
 * @size: in bytes; 0 for [property@Ipc.SharedMemoryManager:default-segment-size]
 * @flags: what may be done with the object that is returned; 0 is reading and writing
 * @error: return location for an error
 *
 * Makes a segment, and opens it. All its bytes are zero, and are allocated: no write fails later because there is no memory.
 *
 * Errors: %IPC_ERROR_EXISTS; %IPC_ERROR_MISMATCH if it exists with another size than was asked for; %IPC_ERROR_INVALID_NAME;
 * %IPC_ERROR_LIMIT_EXCEEDED over [property@Ipc.SharedMemoryManager:max-segment-size], or if there are [property@Ipc.Manager:max-items]
 * segments; %IPC_ERROR_TOO_LARGE for more than any file can have; %IPC_ERROR_NO_SPACE; %IPC_ERROR_INVALID_ARGUMENT for unknown flags;
 * %IPC_ERROR_UNSAFE_PATH; %IPC_ERROR_FORKED. What is there already is left as it is.
 *
 * Returns: (transfer full): the segment, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSharedMemory *
ipc_shared_memory_manager_create_segment (IpcSharedMemoryManager *self, const char *name, gsize size, IpcAccess flags, GError **error)
{
  static const IpcSharedMaking funcs = { make_cb, explain_cb };
  Making making = { .asked = size };
  IpcSharedMemory *segment;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!ipc_shared_manager_check_name (&ipc_segment_class, name, error) || !check_access (name, &flags, error) ||
      !ipc_shared_memory_check_size (name, size, atomic_load (&self->limits->max_size), error))
    return NULL;
  making.wanted = size != 0 ? size : self->default_segment_size;
  making.writable = (flags & IPC_ACCESS_WRITE) != 0;
  if (!ipc_shared_manager_create (IPC_MANAGER (self), &ipc_segment_class, name, &funcs, &making, error))
    return NULL;
  segment = hand_out (self, name, flags, making.segment);
  ipc_manager_refresh (IPC_MANAGER (self), name);
  return segment;
}

/**
 * ipc_shared_memory_manager_open_segment:
 * @self: the manager
 * @name: its name
 * @access: what may be done with the object that is returned; 0 is reading and writing
 * @error: return location for an error
 *
 * Opens a segment that exists. As long as somebody has it, this manager returns the same object for the same access.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %IPC_ERROR_WRONG_TYPE if something else is there; %IPC_ERROR_CORRUPT;
 * %IPC_ERROR_VERSION; %IPC_ERROR_INVALID_ARGUMENT for unknown flags; %IPC_ERROR_UNSAFE_PATH; %IPC_ERROR_LIMIT_EXCEEDED if there are
 * 4096 processes in the scope; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the segment, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSharedMemory *
ipc_shared_memory_manager_open_segment (IpcSharedMemoryManager *self, const char *name, IpcAccess access, GError **error)
{
  g_autoptr(IpcSharedMemory) segment = NULL;
  g_autoptr(GError) reason = NULL;
  int folder_fd;

  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!ipc_shared_manager_check_name (&ipc_segment_class, name, error) || !check_access (name, &access, error))
    return NULL;
  folder_fd = ipc_manager_open_folder (IPC_MANAGER (self), FALSE, &reason);
  if (folder_fd >= 0)
    {
      IpcSegment *opened = NULL;

      segment = recall (self, folder_fd, name, access);
      if (segment == NULL)
        opened = ipc_segment_attach (folder_fd, name, (access & IPC_ACCESS_WRITE) != 0, &reason);
      if (opened != NULL)
        segment = hand_out (self, name, access, opened);
      close (folder_fd);
    }
  if (segment == NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  return g_steal_pointer (&segment);
}

/**
 * ipc_shared_memory_manager_delete_segment:
 * @self: the manager
 * @name: its name
 * @error: return location for an error
 *
 * Deletes a segment: takes its name away. Those that have it go on with it and get [signal@Ipc.SharedMemory::deleted]; who waits for
 * its lock fails with %IPC_ERROR_DELETED, in all processes.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %IPC_ERROR_WRONG_TYPE, %IPC_ERROR_CORRUPT and %IPC_ERROR_VERSION if it is
 * no segment of this library, which is left alone; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_shared_memory_manager_delete_segment (IpcSharedMemoryManager *self, const char *name, GError **error)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return ipc_shared_manager_delete (IPC_MANAGER (self), &ipc_segment_class, name, error);
}
