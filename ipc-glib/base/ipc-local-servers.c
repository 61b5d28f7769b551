/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-local-servers-private.h"

G_LOCK_DEFINE_STATIC (servers);
static GHashTable *servers;             /* key (owned) → GMainContext (owned) */

char *
ipc_local_servers_key_of_file (guint64 device, guint64 inode)
{
  return g_strdup_printf ("%" G_GINT64_MODIFIER "x:%" G_GINT64_MODIFIER "x", device, inode);
}

gboolean
ipc_local_servers_add (const char *key, GMainContext *context)
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
ipc_local_servers_remove (const char *key)
{
  G_LOCK (servers);
  if (servers != NULL)
    g_hash_table_remove (servers, key);
  if (servers != NULL && g_hash_table_size (servers) == 0)
    g_clear_pointer (&servers, g_hash_table_unref);
  G_UNLOCK (servers);
}

GMainContext *
ipc_local_servers_find (const char *key)
{
  GMainContext *context;

  G_LOCK (servers);
  context = servers != NULL ? g_hash_table_lookup (servers, key) : NULL;
  if (context != NULL)
    g_main_context_ref (context);
  G_UNLOCK (servers);
  return context;
}
