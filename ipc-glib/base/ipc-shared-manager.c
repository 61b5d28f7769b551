/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-shared-manager-private.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-name.h"

#define ATTEMPTS 16

gboolean
ipc_shared_manager_check_name (const IpcSharedObjectClass *klass, const char *name, GError **error)
{
  IpcFault fault = { 0 };

  if (ipc_name_check (name, &fault))
    return TRUE;
  ipc_error_set_fault (error, &fault, klass->what);
  return FALSE;
}

/* ---- making ---- */

static gboolean
make (const IpcSharedObjectClass *klass, int folder_fd, const char *name, const IpcSharedMaking *making, gpointer data, GError **error)
{
  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      if (making->make (data, folder_fd, name, &reason))
        return TRUE;
      if (!g_error_matches (reason, IPC_ERROR, IPC_ERROR_EXISTS))
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
      if (making->explain (data, folder_fd, name, error))
        return FALSE;
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s \"%s\": other processes make and delete it all the time", klass->what, name);
  return FALSE;
}

gboolean
ipc_shared_manager_create (IpcManager *self, const IpcSharedObjectClass *klass, const char *name, const IpcSharedMaking *making, gpointer data,
                           GError **error)
{
  gboolean made;
  int folder_fd;

  if (!ipc_shared_manager_check_name (klass, name, error))
    return FALSE;
  folder_fd = ipc_manager_open_folder (self, TRUE, error);
  if (folder_fd < 0)
    return FALSE;
  /* One that exists is not one more. */
  made = (faccessat (folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || ipc_manager_check_room (self, error)) &&
         make (klass, folder_fd, name, making, data, error);
  close (folder_fd);
  return made;
}

/* ---- deleting ---- */

gboolean
ipc_shared_manager_delete (IpcManager *self, const IpcSharedObjectClass *klass, const char *name, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gboolean deleted;
  int folder_fd;

  if (!ipc_shared_manager_check_name (klass, name, error))
    return FALSE;
  folder_fd = ipc_manager_open_folder (self, FALSE, error);
  if (folder_fd < 0)
    return FALSE;
  deleted = ipc_shared_object_delete (klass, folder_fd, name, &reason);
  close (folder_fd);
  ipc_manager_refresh (self, name);
  if (deleted)
    return TRUE;
  if (reason != NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "%s: \"%s\" was deleted by somebody else just now", klass->what, name);
  return FALSE;
}
