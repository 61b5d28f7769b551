/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-handler-table-private.h"

#include <string.h>

#include "messaging/ipc-connection-private.h"

void
ipc_handler_free (IpcHandler *self)
{
  if (self->destroy != NULL)
    self->destroy (self->user_data);
  g_free (self);
}

static void
note_change (IpcHandlerTable *self)
{
  static guint last_stamp;      /* (atomic) */

  self->last_type = NULL;
  self->stamp = __atomic_add_fetch (&last_stamp, 1, __ATOMIC_RELAXED);
}

void
ipc_handler_table_clear (IpcHandlerTable *self)
{
  note_change (self);
  g_clear_pointer (&self->any, ipc_handler_unref);
  g_clear_pointer (&self->by_type, g_hash_table_unref);
}

void
ipc_handler_table_add (IpcHandlerTable *self, const char *type, IpcMessageHandler func, gpointer user_data, GDestroyNotify destroy)
{
  IpcHandler *handler = g_new (IpcHandler, 1);

  *handler = (IpcHandler){ 1, func, user_data, destroy };
  note_change (self);
  if (type == NULL)
    {
      IpcHandler *before = g_steal_pointer (&self->any);

      self->any = handler;
      if (before != NULL)
        ipc_handler_unref (before);
      return;
    }
  if (self->by_type == NULL)
    self->by_type = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) ipc_handler_unref);
  g_hash_table_replace (self->by_type, g_strdup (type), handler);
}

gboolean
ipc_handler_table_remove (IpcHandlerTable *self, const char *type)
{
  note_change (self);
  if (type != NULL)
    return self->by_type != NULL && g_hash_table_remove (self->by_type, type);
  if (self->any == NULL)
    return FALSE;
  g_clear_pointer (&self->any, ipc_handler_unref);
  return TRUE;
}

IpcHandler *
ipc_handler_table_find (IpcHandlerTable *self, const char *type)
{
  gpointer key, handler;

  if (self->last_type != NULL && strcmp (self->last_type, type) == 0)
    return self->last;
  if (self->by_type == NULL || !g_hash_table_lookup_extended (self->by_type, type, &key, &handler))
    return self->any;
  self->last_type = key;
  self->last = handler;
  return handler;
}

/* A handler may have forked. */
static void
give_answer (IpcConnection *connection, IpcRequestToken *token, IpcMessage *reply, GError **error)
{
  if (ipc_error_check_fork (connection->generation, connection->peer_name, error) && ipc_message_check (reply, FALSE, error))
    ipc_request_answer (connection, token, reply, error);
}

void
ipc_handler_answer (IpcConnection *connection, IpcMessage *request, IpcMessage *reply, GError *error)
{
  IpcRequestToken *token = ipc_message_get_token (request);
  g_autoptr (IpcMessage) taken G_GNUC_UNUSED = reply;
  g_autoptr (GError) reason = error;

  if (token == NULL || !request->is_request)
    return;
  if (reply != NULL)
    give_answer (connection, token, reply, reason == NULL ? &reason : NULL);
  if (reason != NULL)
    ipc_request_answer_error (connection, token, reason);
}
