/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-address-private.h"

#include <string.h>

#include "base/ipc-error-private.h"

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
  if (!ipc_path_address_parse_path (IPC_SOCKET_FOLDER, path, &parsed->file, error))
    return FALSE;
  parsed->kind = IPC_SOCKET_ADDRESS_PATH;
  return TRUE;
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
      parsed->file = (IpcPathAddress){ NULL, g_strdup (name) };
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
  parsed->file = (IpcPathAddress){ NULL, NULL };
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
  if (address == NULL)
    address = "";
  if (address[0] == '/')
    return parse_path (address, parsed, error);
  if (address[0] == '@' || has_scheme (address))
    return parse_scheme (address, parsed, error);
  if (!ipc_path_address_parse_name (IPC_SOCKET_FOLDER, address, &parsed->file, error))
    return FALSE;
  parsed->kind = IPC_SOCKET_ADDRESS_NAME;
  return TRUE;
}

void
ipc_socket_address_clear (IpcSocketAddress *self)
{
  ipc_path_address_clear (&self->file);
}

gboolean
ipc_socket_address_is_file (const IpcSocketAddress *self)
{
  return self->kind == IPC_SOCKET_ADDRESS_NAME || self->kind == IPC_SOCKET_ADDRESS_PATH;
}
