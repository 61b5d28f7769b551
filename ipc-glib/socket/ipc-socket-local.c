/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-local-private.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

/* A name may have any bytes, also NUL. */
char *
ipc_socket_local_key_of_abstract (const char *name, gsize size)
{
  GString *key = g_string_new ("@");

  for (gsize i = 0; i < size; i++)
    g_string_append_printf (key, "%02x", (guint8) name[i]);
  return g_string_free (key, FALSE);
}

char *
ipc_socket_local_key_of_socket (int listen_fd)
{
  struct sockaddr_un address = { 0 };
  socklen_t size = sizeof address;
  gsize prefix = offsetof (struct sockaddr_un, sun_path);
  g_autofree char *path = NULL;
  struct stat status;

  if (getsockname (listen_fd, (struct sockaddr *) &address, &size) != 0 || address.sun_family != AF_UNIX || size <= prefix)
    return NULL;
  size = MIN (size, sizeof address);
  if (address.sun_path[0] == '\0')
    return ipc_socket_local_key_of_abstract (address.sun_path + 1, size - prefix - 1);
  path = g_strndup (address.sun_path, size - prefix);
  if (lstat (path, &status) != 0 || !S_ISSOCK (status.st_mode))
    return NULL;
  return ipc_local_servers_key_of_file (status.st_dev, status.st_ino);
}
