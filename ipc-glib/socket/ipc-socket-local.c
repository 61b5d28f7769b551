/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "socket/ipc-socket-local-private.h"

#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

G_LOCK_DEFINE_STATIC (servers);
static GHashTable *servers;             /* key (owned) → GMainContext (owned) */

char *
ipc_socket_local_key_of_file (guint64 device, guint64 inode)
{
  return g_strdup_printf ("%" G_GINT64_MODIFIER "x:%" G_GINT64_MODIFIER "x", device, inode);
}

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
  return ipc_socket_local_key_of_file (status.st_dev, status.st_ino);
}

gboolean
ipc_socket_local_add (const char *key, GMainContext *context)
{
  gboolean added;

  G_LOCK (servers);
  if (servers == NULL)
    servers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_main_context_unref);
  added = !g_hash_table_contains (servers, key);
  if (added)
    g_hash_table_insert (servers, g_strdup (key), g_main_context_ref (context));
  G_UNLOCK (servers);
  return added;
}

void
ipc_socket_local_remove (const char *key)
{
  G_LOCK (servers);
  if (servers != NULL)
    g_hash_table_remove (servers, key);
  if (servers != NULL && g_hash_table_size (servers) == 0)
    g_clear_pointer (&servers, g_hash_table_unref);
  G_UNLOCK (servers);
}

GMainContext *
ipc_socket_local_find (const char *key)
{
  GMainContext *context;

  G_LOCK (servers);
  context = servers != NULL ? g_hash_table_lookup (servers, key) : NULL;
  if (context != NULL)
    g_main_context_ref (context);
  G_UNLOCK (servers);
  return context;
}
