/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-path-address-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-name.h"
#include "core/ipc-safe-path.h"

#define BASENAME_MAX 200u       /* leaves room for the names of the lock and of what is temporary */

gboolean
ipc_path_address_parse_path (const char *kind, const char *path, IpcPathAddress *parsed, GError **error)
{
  const char *slash = strrchr (path, '/');
  char shown[128];

  ipc_fault_escape (shown, sizeof shown, path, strlen (path));
  if (path[0] != '/')
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "%s path \"%s\" is not absolute", kind, shown);
  else if (slash[1] == '\0' || strcmp (slash, "/.") == 0 || strcmp (slash, "/..") == 0)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "%s path \"%s\" names a directory", kind, shown);
  else if (strlen (slash + 1) > BASENAME_MAX)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "%s path \"%s\": a file name of %" G_GSIZE_FORMAT " bytes exceeds the limit of %u",
                 kind, shown, strlen (slash + 1), BASENAME_MAX);
  else
    {
      parsed->directory = slash == path ? g_strdup ("/") : g_strndup (path, (gsize) (slash - path));
      parsed->basename = g_strdup (slash + 1);
      return TRUE;
    }
  return FALSE;
}

gboolean
ipc_path_address_parse_name (const char *kind, const char *name, IpcPathAddress *parsed, GError **error)
{
  IpcFault fault;

  if (!ipc_name_check (name, &fault))
    {
      g_autofree char *what = g_strdup_printf ("%s address", kind);

      ipc_error_set_fault (error, &fault, what);
      return FALSE;
    }
  parsed->directory = NULL;
  parsed->basename = g_strdup (name);
  return TRUE;
}

void
ipc_path_address_clear (IpcPathAddress *self)
{
  g_clear_pointer (&self->directory, g_free);
  g_clear_pointer (&self->basename, g_free);
}

char *
ipc_path_address_get_path (const IpcPathAddress *self, const char *kind, IpcScope *scope)
{
  if (self->directory == NULL)
    return g_build_filename (ipc_scope_get_directory (scope), kind, self->basename, NULL);
  return g_build_filename (self->directory, self->basename, NULL);
}

/* Whoever follows a path may search directories that cannot be read. */
static int
open_for_client (const char *directory)
{
  int fd = TEMP_FAILURE_RETRY (open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

  return fd >= 0 ? fd : TEMP_FAILURE_RETRY (open (directory, O_PATH | O_DIRECTORY | O_CLOEXEC));
}

static int
open_directory (const IpcPathAddress *self, const char *kind, IpcScope *scope, gboolean for_server, GError **error)
{
  IpcFault fault;
  int fd;

  if (self->directory == NULL)
    return ipc_scope_open_folder (scope, kind, TRUE, error);
  if (!for_server)
    {
      fd = open_for_client (self->directory);
      if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        g_set_error_literal (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "there is no such directory");
      else if (fd < 0)
        ipc_error_set_errno (error, errno, "cannot open its directory");
      return fd;
    }
  if (ipc_directory_open (self->directory, IPC_DIRECTORY_TRUSTED, false, &fd, &fault))
    return fd;
  ipc_error_set_fault (error, &fault, NULL);
  return -1;
}

int
ipc_path_address_open_directory (const IpcPathAddress *self, const char *kind, IpcScope *scope, gboolean for_server, GError **error)
{
  int fd = open_directory (self, kind, scope, for_server, error);

  if (fd < 0)
    {
      g_autofree char *path = ipc_path_address_get_path (self, kind, scope);
      g_autofree char *shown = g_strescape (path, NULL);

      g_prefix_error (error, "%s %s: ", kind, shown);
    }
  return fd;
}

IpcDirectoryWatch *
ipc_path_address_watch (const IpcPathAddress *self, const char *kind, IpcScope *scope, GMainContext *context, IpcDirectoryWatchFunc func,
                        gpointer user_data, GError **error)
{
  int directory_fd = ipc_path_address_open_directory (self, kind, scope, FALSE, error);
  IpcDirectoryWatch *watch;

  if (directory_fd < 0)
    return NULL;
  watch = ipc_directory_watch_new (directory_fd, context, func, user_data, error);
  close (directory_fd);
  return watch;
}
