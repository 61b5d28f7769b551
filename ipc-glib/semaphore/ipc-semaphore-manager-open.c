/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Making, opening and deleting semaphores. What is handed out is attached, and is the same object for as long as somebody
 * has it.
 */
#include "semaphore/ipc-semaphore-manager-private.h"

#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-shared-manager-private.h"

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
check_permits (const char *name, guint permits, GError **error)
{
  if (permits <= IPC_SEMAPHORE_MAX_PERMITS)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "semaphore \"%s\": %u permits, the limit is %u", name, permits,
               IPC_SEMAPHORE_MAX_PERMITS);
  return FALSE;
}

typedef struct
{
  guint asked;                  /* 0: the default */
  guint wanted;
  IpcSemaphoreFile file;
} Making;

/* It exists: says with how many. */
static gboolean
explain_cb (gpointer data, int folder_fd, const char *name, GError **error)
{
  guint asked = ((Making *) data)->asked;
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
make_cb (gpointer data, int folder_fd, const char *name, GError **error)
{
  Making *making = data;

  return ipc_semaphore_file_create (&making->file, folder_fd, name, making->wanted, error);
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
  static const IpcSharedMaking funcs = { make_cb, explain_cb };
  Making making = { .asked = permits };
  IpcSemaphore *semaphore;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  making.wanted = permits != 0 ? permits : self->default_permits;
  if (!ipc_shared_manager_check_name (&ipc_semaphore_file_class, name, error) || !check_permits (name, permits, error) ||
      !ipc_shared_manager_create (IPC_MANAGER (self), &ipc_semaphore_file_class, name, &funcs, &making, error))
    return NULL;
  semaphore = hand_out (self, name, &making.file);
  ipc_manager_refresh (IPC_MANAGER (self), name);
  return semaphore;
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

  if (!ipc_shared_manager_check_name (&ipc_semaphore_file_class, name, error))
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
  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  return ipc_shared_manager_delete (IPC_MANAGER (self), &ipc_semaphore_file_class, name, error);
}
