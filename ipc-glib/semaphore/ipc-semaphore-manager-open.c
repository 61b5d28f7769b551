/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making, opening and deleting semaphores. What is handed out is attached, and is the same object for as long as somebody
 * has it.
 */
#include "semaphore/ipc-semaphore-manager-private.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-name.h"

#define ATTEMPTS 16

/* ---- what was handed out ---- */

/* (transfer full) (nullable): the one of that name, if it is still that. */
static IpcSemaphore *
recall (IpcSemaphoreManager *self, int folder_fd, const char *name)
{
  g_autoptr(IpcSemaphore) semaphore = ipc_handed_out_get (self->handed_out, name);

  if (semaphore != NULL && ipc_semaphore_has_name (semaphore, folder_fd))
    return g_steal_pointer (&semaphore);
  return NULL;
}

void
ipc_semaphore_manager_tell_deleted (IpcSemaphoreManager *self)
{
  g_autoptr(GPtrArray) all = ipc_handed_out_snapshot (self->handed_out);

  for (guint i = 0; i < all->len; i++)
    if (ipc_semaphore_get_is_deleted (all->pdata[i]))
      ipc_semaphore_look (all->pdata[i]);
}

static IpcSemaphore *
hand_out (IpcSemaphoreManager *self, const char *name, IpcSemaphoreFile *file)
{
  IpcSemaphore *semaphore =
    ipc_semaphore_new_for_file (ipc_manager_get_scope (IPC_MANAGER (self)), self->defaults, self->context, name, file);

  ipc_handed_out_add (self->handed_out, name, semaphore);
  return semaphore;
}

/* ---- making and opening ---- */

static gboolean
check_arguments (const char *name, guint permits, GError **error)
{
  IpcFault fault = { 0 };

  if (!ipc_name_check (name, &fault))
    {
      ipc_error_set_fault (error, &fault, "semaphore");
      return FALSE;
    }
  if (permits <= IPC_SEMAPHORE_MAX_PERMITS)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "semaphore \"%s\": %u permits, the limit is %u", name, permits,
               IPC_SEMAPHORE_MAX_PERMITS);
  return FALSE;
}

/* It exists: says with how many. FALSE: it is gone again. */
static gboolean
set_exists_error (int folder_fd, const char *name, guint asked, GError **error)
{
  g_autoptr(GError) reason = NULL;
  IpcSemaphoreFile file;
  guint present;

  if (!ipc_semaphore_file_observe (&file, folder_fd, name, &reason))
    {
      if (g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        return FALSE;
      g_propagate_error (error, g_steal_pointer (&reason));
      return TRUE;
    }
  present = file.n_permits;
  ipc_semaphore_file_close (&file);
  if (asked != 0 && asked != present)
    g_set_error (error, IPC_ERROR, IPC_ERROR_MISMATCH, "semaphore \"%s\" exists with %u permits, asked %u", name, present, asked);
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_EXISTS, "semaphore \"%s\" exists already, with %u permits", name, present);
  return TRUE;
}

static gboolean
create_file (IpcSemaphoreManager *self, IpcSemaphoreFile *file, int folder_fd, const char *name, guint permits, GError **error)
{
  guint wanted = permits != 0 ? permits : self->default_permits;

  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      if (ipc_semaphore_file_create (file, folder_fd, name, wanted, &reason))
        return TRUE;
      if (!g_error_matches (reason, IPC_ERROR, IPC_ERROR_EXISTS))
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
      if (set_exists_error (folder_fd, name, permits, error))
        return FALSE;
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "semaphore \"%s\": other processes make and delete it all the time", name);
  return FALSE;
}

/**
 * ipc_semaphore_manager_create_semaphore:
 * @self: the manager
 * @name: its name
 * @permits: how many, up to 4096; 0 for [property@Ipc.SemaphoreManager:default-permits]
 * @error: return location for an error
 *
 * Makes a semaphore, and opens it. All permits are free.
 *
 * Errors: %IPC_ERROR_EXISTS; %IPC_ERROR_MISMATCH if it exists with another number of permits than was asked for;
 * %IPC_ERROR_INVALID_NAME; %IPC_ERROR_LIMIT_EXCEEDED for too many permits, or if there are
 * [property@Ipc.Manager:max-items] semaphores; %IPC_ERROR_NO_SPACE; %IPC_ERROR_UNSAFE_PATH; %IPC_ERROR_FORKED. What is there
 * already is left as it is.
 *
 * Returns: (transfer full): the semaphore, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSemaphore *
ipc_semaphore_manager_create_semaphore (IpcSemaphoreManager *self, const char *name, guint permits, GError **error)
{
  g_autoptr(IpcSemaphore) semaphore = NULL;
  IpcSemaphoreFile file;
  int folder_fd;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!check_arguments (name, permits, error))
    return NULL;
  folder_fd = ipc_manager_open_folder (IPC_MANAGER (self), TRUE, error);
  if (folder_fd < 0)
    return NULL;
  /* One that exists is not one more. */
  if ((faccessat (folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || ipc_manager_check_room (IPC_MANAGER (self), error)) &&
      create_file (self, &file, folder_fd, name, permits, error))
    semaphore = hand_out (self, name, &file);
  close (folder_fd);
  if (semaphore != NULL)
    ipc_manager_refresh (IPC_MANAGER (self), name);
  return g_steal_pointer (&semaphore);
}

/**
 * ipc_semaphore_manager_open_semaphore:
 * @self: the manager
 * @name: its name
 * @error: return location for an error
 *
 * Opens a semaphore that exists. As long as somebody has it, this manager returns the same object.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %IPC_ERROR_WRONG_TYPE if something else is there;
 * %IPC_ERROR_CORRUPT; %IPC_ERROR_VERSION; %IPC_ERROR_UNSAFE_PATH; %IPC_ERROR_LIMIT_EXCEEDED if there are 4096 processes in
 * the scope; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the semaphore, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSemaphore *
ipc_semaphore_manager_open_semaphore (IpcSemaphoreManager *self, const char *name, GError **error)
{
  g_autoptr(IpcSemaphore) semaphore = NULL;
  g_autoptr(GError) reason = NULL;
  IpcSemaphoreFile file;
  int folder_fd;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!check_arguments (name, 1, error))
    return NULL;
  folder_fd = ipc_manager_open_folder (IPC_MANAGER (self), FALSE, &reason);
  if (folder_fd >= 0)
    {
      semaphore = recall (self, folder_fd, name);
      if (semaphore == NULL && ipc_semaphore_file_attach (&file, folder_fd, name, &reason))
        semaphore = hand_out (self, name, &file);
      close (folder_fd);
    }
  if (semaphore == NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  return g_steal_pointer (&semaphore);
}

/**
 * ipc_semaphore_manager_delete_semaphore:
 * @self: the manager
 * @name: its name
 * @error: return location for an error
 *
 * Deletes a semaphore: takes its name away. Those that have it go on with it and get [signal@Ipc.Semaphore::deleted]; who waits
 * for one of its permits fails with %IPC_ERROR_DELETED, in all processes.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %IPC_ERROR_WRONG_TYPE, %IPC_ERROR_CORRUPT and %IPC_ERROR_VERSION if it is
 * no semaphore of this library, which is left alone; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_semaphore_manager_delete_semaphore (IpcSemaphoreManager *self, const char *name, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gboolean deleted;
  int folder_fd;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!check_arguments (name, 1, error))
    return FALSE;
  folder_fd = ipc_manager_open_folder (IPC_MANAGER (self), FALSE, error);
  if (folder_fd < 0)
    return FALSE;
  deleted = ipc_shared_object_delete (&ipc_semaphore_file_class, folder_fd, name, &reason);
  close (folder_fd);
  ipc_manager_refresh (IPC_MANAGER (self), name);
  if (deleted)
    return TRUE;
  if (reason != NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "semaphore: \"%s\" was deleted by somebody else just now", name);
  return FALSE;
}
