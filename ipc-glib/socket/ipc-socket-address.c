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
#define ABSTRACT_MAX 107u       /* what the kernel takes */
#define SYSTEMD_MAX 255u        /* what systemd takes */

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

/* A name that others choose the rules of: printable ASCII without spaces, and without what REFUSED has. */
static gboolean
parse_foreign_name (IpcSocketAddressKind kind, const char *what, const char *name, gsize max, char refused, IpcSocketAddress *parsed,
                    GError **error)
{
  g_autofree char *shown = escape (name);
  gsize good = 0;

  while (g_ascii_isgraph (name[good]) && name[good] != refused)
    good++;
  if (name[0] == '\0')
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME, "%s name is empty", what);
  else if (strlen (name) > max)
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME, "%s name \"%s\" has %" G_GSIZE_FORMAT " bytes, limit %" G_GSIZE_FORMAT,
                 what, shown, strlen (name), max);
  else if (name[good] != '\0')
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_NAME, "%s name \"%s\" has byte 0x%02x at %" G_GSIZE_FORMAT,
                 what, shown, (guint8) name[good], good);
  else
    {
      parsed->kind = kind;
      parsed->directory = NULL;
      parsed->basename = g_strdup (name);
      return TRUE;
    }
  return FALSE;
}

static gboolean
parse_fd (const char *number, IpcSocketAddress *parsed, GError **error)
{
  g_autofree char *shown = escape (number);
  guint64 fd;

  if (!g_ascii_string_to_unsigned (number, 10, 0, G_MAXINT, &fd, NULL))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "descriptor \"%s\" is not a number of 0 to %d", shown, G_MAXINT);
      return FALSE;
    }
  parsed->kind = IPC_SOCKET_ADDRESS_FD;
  parsed->directory = parsed->basename = NULL;
  parsed->fd = (int) fd;
  return TRUE;
}

/* A word and a colon in front: a kind of address. */
static gboolean
has_scheme (const char *address)
{
  gsize n = strspn (address, "abcdefghijklmnopqrstuvwxyz");

  return n > 0 && address[n] == ':';
}

static gboolean
parse_scheme (const char *address, IpcSocketAddress *parsed, GError **error)
{
  g_autofree char *shown = NULL;

  if (g_str_has_prefix (address, "unix:"))
    return parse_path (address + strlen ("unix:"), parsed, error);
  if (g_str_has_prefix (address, "abstract:"))
    return parse_foreign_name (IPC_SOCKET_ADDRESS_ABSTRACT, "abstract", address + strlen ("abstract:"), ABSTRACT_MAX, '\0', parsed, error);
  if (g_str_has_prefix (address, "systemd:"))
    return parse_foreign_name (IPC_SOCKET_ADDRESS_SYSTEMD, "systemd", address + strlen ("systemd:"), SYSTEMD_MAX, ':', parsed, error);
  if (g_str_has_prefix (address, "fd:"))
    return parse_fd (address + strlen ("fd:"), parsed, error);
  shown = escape (address);
  g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED,
               "address \"%s\": supported are a name, an absolute path, unix:PATH, abstract:NAME, fd:N and systemd:NAME", shown);
  return FALSE;
}

gboolean
ipc_socket_address_parse (const char *address, IpcSocketAddress *parsed, GError **error)
{
  IpcFault fault;

  if (address == NULL)
    address = "";
  if (address[0] == '/')
    return parse_path (address, parsed, error);
  if (address[0] == '@' || has_scheme (address))
    return parse_scheme (address, parsed, error);
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

gboolean
ipc_socket_address_is_file (const IpcSocketAddress *self)
{
  return self->kind == IPC_SOCKET_ADDRESS_NAME || self->kind == IPC_SOCKET_ADDRESS_PATH;
}

char *
ipc_socket_address_get_path (const IpcSocketAddress *self, IpcScope *scope)
{
  if (self->kind == IPC_SOCKET_ADDRESS_NAME)
    return g_build_filename (ipc_scope_get_directory (scope), FOLDER, self->basename, NULL);
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
open_directory (const IpcSocketAddress *self, IpcScope *scope, gboolean for_server, GError **error)
{
  IpcFault fault;
  int fd;

  if (self->kind == IPC_SOCKET_ADDRESS_NAME)
    return ipc_scope_open_folder (scope, FOLDER, TRUE, error);
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
ipc_socket_address_open_directory (const IpcSocketAddress *self, IpcScope *scope, gboolean for_server, GError **error)
{
  int fd = open_directory (self, scope, for_server, error);

  if (fd < 0)
    {
      g_autofree char *path = ipc_socket_address_get_path (self, scope);
      g_autofree char *shown = g_strescape (path, NULL);

      g_prefix_error (error, "socket %s: ", shown);
    }
  return fd;
}
