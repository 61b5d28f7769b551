/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-address-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/ipc-error-private.h"
#include "core/ipc-name.h"
#include "core/ipc-safe-path.h"

#define FOLDER "socket"
#define BASENAME_MAX 200u       /* leaves room for the names of the lock and of what is temporary */

static char *
escape (const char *text)
{
  char shown[128];

  return g_strdup (ipc_fault_escape (shown, sizeof shown, text, strlen (text)));
}

static gboolean
parse_path (const char *path, IpcSocketAddress *parsed, GError **error)
{
  g_autofree char *shown = escape (path);
  const char *slash = strrchr (path, '/');

  if (path[0] != '/')
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "socket path \"%s\" is not absolute", shown);
  else if (slash[1] == '\0' || strcmp (slash, "/.") == 0 || strcmp (slash, "/..") == 0)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "socket path \"%s\" names a directory", shown);
  else if (strlen (slash + 1) > BASENAME_MAX)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "socket path \"%s\": a file name of %" G_GSIZE_FORMAT " bytes exceeds the limit of %u",
                 shown, strlen (slash + 1), BASENAME_MAX);
  else
    {
      parsed->kind = IPC_SOCKET_ADDRESS_PATH;
      parsed->directory = slash == path ? g_strdup ("/") : g_strndup (path, (gsize) (slash - path));
      parsed->basename = g_strdup (slash + 1);
      return TRUE;
    }
  return FALSE;
}

/* A word and a colon in front: a kind of address that this version does not have. */
static gboolean
has_scheme (const char *address)
{
  gsize n = strspn (address, "abcdefghijklmnopqrstuvwxyz");

  return n > 0 && address[n] == ':';
}

gboolean
ipc_socket_address_parse (const char *address, IpcSocketAddress *parsed, GError **error)
{
  IpcFault fault;

  if (address == NULL)
    address = "";
  if (address[0] == '/')
    return parse_path (address, parsed, error);
  if (g_str_has_prefix (address, "unix:"))
    return parse_path (address + strlen ("unix:"), parsed, error);
  if (address[0] == '@' || has_scheme (address))
    {
      g_autofree char *shown = escape (address);

      g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "address \"%s\": supported are a name, an absolute path and unix:PATH", shown);
      return FALSE;
    }
  if (!ipc_name_check (address, &fault))
    {
      ipc_error_set_fault (error, &fault, "socket address");
      return FALSE;
    }
  parsed->kind = IPC_SOCKET_ADDRESS_NAME;
  parsed->directory = NULL;
  parsed->basename = g_strdup (address);
  return TRUE;
}

void
ipc_socket_address_clear (IpcSocketAddress *self)
{
  g_clear_pointer (&self->directory, g_free);
  g_clear_pointer (&self->basename, g_free);
}

int
ipc_socket_address_open_directory (const IpcSocketAddress *self, IpcScope *scope, gboolean for_server, GError **error)
{
  IpcFault fault;
  int fd;

  if (self->kind == IPC_SOCKET_ADDRESS_NAME)
    return ipc_scope_open_folder (scope, FOLDER, TRUE, error);
  if (!for_server)
    {
      fd = open (self->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (fd < 0)
        fd = open (self->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
      if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SERVER, "%s/%s: no such directory", self->directory, self->basename);
      else if (fd < 0)
        ipc_error_set_errno (error, errno, "cannot open %s", self->directory);
      return fd;
    }
  if (ipc_directory_open (self->directory, IPC_DIRECTORY_TRUSTED, false, &fd, &fault))
    return fd;
  ipc_error_set_fault (error, &fault, NULL);
  return -1;
}
