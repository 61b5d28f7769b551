/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Socket addresses: the input is one, up to its first NUL.
 */
#include "fuzz.h"

#include <string.h>

#include "core/ipc-name.h"
#include "ipc-error.h"
#include "socket/ipc-socket-address-private.h"

#define BASENAME_MAX 200

static void
check_good (const char *address, const IpcSocketAddress *parsed)
{
  const char *path = g_str_has_prefix (address, "unix:") ? address + strlen ("unix:") : address;
  g_autofree char *joined = NULL;

  if (parsed->kind == IPC_SOCKET_ADDRESS_FD)
    {
      g_assert_true (g_str_has_prefix (address, "fd:"));
      g_assert_cmpint (parsed->fd, >=, 0);
      g_assert_null (parsed->file.basename);
      return;
    }
  if (parsed->kind == IPC_SOCKET_ADDRESS_ABSTRACT || parsed->kind == IPC_SOCKET_ADDRESS_SYSTEMD)
    {
      g_assert_null (parsed->file.directory);
      g_assert_true (g_str_has_suffix (address, parsed->file.basename));
      g_assert_cmpuint (strlen (parsed->file.basename), >, 0);
      g_assert_cmpuint (strlen (parsed->file.basename), <=, 255);
      return;
    }
  g_assert_null (strchr (parsed->file.basename, '/'));
  g_assert_cmpstr (parsed->file.basename, !=, "");
  g_assert_cmpstr (parsed->file.basename, !=, ".");
  g_assert_cmpstr (parsed->file.basename, !=, "..");
  if (parsed->kind == IPC_SOCKET_ADDRESS_NAME)
    {
      g_assert_null (parsed->file.directory);
      g_assert_cmpstr (parsed->file.basename, ==, address);
      g_assert_true (ipc_name_check (address, NULL));
      return;
    }
  g_assert_cmpint (parsed->kind, ==, IPC_SOCKET_ADDRESS_PATH);
  g_assert_cmpint (parsed->file.directory[0], ==, '/');
  g_assert_cmpuint (strlen (parsed->file.basename), <=, BASENAME_MAX);
  joined = g_strconcat (g_str_equal (parsed->file.directory, "/") ? "" : parsed->file.directory, "/", parsed->file.basename, NULL);
  /* of two slashes at the beginning one is the directory */
  g_assert_true (g_str_equal (joined, path) || (path[1] == '/' && g_str_has_suffix (path, joined)));
}

static void
check_bad (const GError *error)
{
  g_assert_true (error->domain == IPC_ERROR);
  g_assert_true (error->code == IPC_ERROR_INVALID_NAME || error->code == IPC_ERROR_INVALID_ARGUMENT ||
                 error->code == IPC_ERROR_UNSUPPORTED);
  g_assert_cmpuint (strlen (error->message), <, 512);
  for (const char *at = error->message; *at != '\0'; at++)
    g_assert_true (g_ascii_isprint (*at));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *address = g_strndup (size > 0 ? (const char *) data : "", size);
  g_auto (IpcSocketAddress) parsed = { 0 };
  g_autoptr (GError) error = NULL;

  if (ipc_socket_address_parse (address, &parsed, &error))
    {
      g_assert_null (error);
      check_good (address, &parsed);
    }
  else
    {
      g_assert_null (parsed.file.directory);
      g_assert_null (parsed.file.basename);
      check_bad (error);
    }
  return 0;
}
