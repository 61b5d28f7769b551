/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who gets to a server: whose file it is, who is let in, and how many of each user.
 *
 * Clients of the own user share max-clients; those of each other user, which
 * only authorize-client lets in, also have a limit of their own, so that one of
 * them cannot shut out the rest.
 */
#include <errno.h>
#include <grp.h>
#include <unistd.h>

#include "messaging/ipc-credentials-private.h"
#include "messaging/ipc-server-private.h"

/* ---- the verdict ---- */

gboolean
ipc_server_is_authorized (IpcServer *self, IpcConnection *connection)
{
  IpcAuthorization verdict = IPC_AUTHORIZATION_UNDECIDED;

  if (!connection->is_own_user && !ipc_credentials_are_known (connection->credentials))
    return FALSE;
  if (!ipc_server_has_authority (self))
    return connection->is_own_user || g_credentials_get_unix_user (connection->credentials, NULL) == geteuid ();
  g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_AUTHORIZE_CLIENT], 0, connection, &verdict);
  return verdict == IPC_AUTHORIZATION_GRANTED;
}

gboolean
ipc_server_has_authority (IpcServer *self)
{
  return g_signal_has_handler_pending (self, ipc_server_signals[IPC_SERVER_SIGNAL_AUTHORIZE_CLIENT], 0, FALSE);
}

/* ---- how many of a user ---- */

static gpointer
uid_of (IpcConnection *connection)
{
  return GUINT_TO_POINTER (g_credentials_get_unix_user (connection->credentials, NULL));
}

gboolean
ipc_server_count_in (IpcServer *self, IpcConnection *connection, GError **error)
{
  gpointer uid;
  guint n;

  if (connection->is_own_user)
    return TRUE;
  uid = uid_of (connection);
  if (GPOINTER_TO_UINT (uid) == geteuid ())
    return TRUE;
  if (self->uid_counts == NULL)
    self->uid_counts = g_hash_table_new (NULL, NULL);
  n = GPOINTER_TO_UINT (g_hash_table_lookup (self->uid_counts, uid));
  if (n >= self->max_clients_per_uid)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_FULL, "%s: the limit of %u clients of user %u is reached",
                   self->address, self->max_clients_per_uid, GPOINTER_TO_UINT (uid));
      return FALSE;
    }
  g_hash_table_insert (self->uid_counts, uid, GUINT_TO_POINTER (n + 1));
  connection->counts_for_uid = TRUE;
  return TRUE;
}

void
ipc_server_count_out (IpcServer *self, IpcConnection *connection)
{
  gpointer uid;
  guint n;

  if (!connection->counts_for_uid)
    return;
  connection->counts_for_uid = FALSE;
  uid = uid_of (connection);
  n = GPOINTER_TO_UINT (g_hash_table_lookup (self->uid_counts, uid));
  if (n > 1)
    g_hash_table_insert (self->uid_counts, uid, GUINT_TO_POINTER (n - 1));
  else
    g_hash_table_remove (self->uid_counts, uid);
}

/* ---- the file ---- */

gboolean
ipc_server_find_gid (IpcServer *self, gid_t *gid, GError **error)
{
  g_autofree char *buffer = NULL;
  gsize size = 1024;
  struct group entry, *found = NULL;
  int result;

  *gid = (gid_t) -1;
  if (self->group == NULL)
    return TRUE;
  do
    {
      size *= 2;
      buffer = g_realloc (buffer, size);
      result = getgrnam_r (self->group, &entry, buffer, size, &found);
    }
  while (result == EINTR || (result == ERANGE && size < 1024 * 1024));
  if (found != NULL)
    *gid = entry.gr_gid;
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "server \"%s\": there is no group \"%s\"", self->address, self->group);
  return found != NULL;
}

/* ---- properties ---- */

/**
 * ipc_server_get_max_clients_per_uid: (get-property max-clients-per-uid)
 * @self: the server
 *
 * How many clients there may be of each user other than the own one.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_server_get_max_clients_per_uid (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return self->max_clients_per_uid;
}

/**
 * ipc_server_set_max_clients_per_uid: (set-property max-clients-per-uid)
 * @self: the server
 * @max_clients_per_uid: the limit
 *
 * Sets how many clients there may be of each user other than the own one.
 *
 * Since: 0.1
 */
void
ipc_server_set_max_clients_per_uid (IpcServer *self, guint max_clients_per_uid)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  max_clients_per_uid = CLAMP (max_clients_per_uid, 1, IPC_CEILING_MAX_CLIENTS);
  if (self->max_clients_per_uid == max_clients_per_uid)
    return;
  self->max_clients_per_uid = max_clients_per_uid;
  g_object_notify (G_OBJECT (self), "max-clients-per-uid");
}

/**
 * ipc_server_get_group: (get-property group)
 * @self: the server
 *
 * The group that the file is given to that clients reach the server by.
 *
 * Returns: (nullable): the name of the group, or %NULL for that of this process
 *
 * Since: 0.1
 */
const char *
ipc_server_get_group (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), NULL);

  return self->group;
}

/**
 * ipc_server_set_group: (set-property group)
 * @self: the server
 * @group: (nullable): the name of a group, or %NULL for that of this process
 *
 * Sets the group that the file is given to that clients reach the server by. For the next start.
 *
 * Since: 0.1
 */
void
ipc_server_set_group (IpcServer *self, const char *group)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  if (g_strcmp0 (self->group, group) == 0)
    return;
  g_free (self->group);
  self->group = g_strdup (group);
  g_object_notify (G_OBJECT (self), "group");
}
