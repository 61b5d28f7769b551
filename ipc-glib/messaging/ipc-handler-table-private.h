/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handlers by message type. A handler that is removed while it runs stays
 * alive until it returns. No locking of its own: one context uses it.
 */
#pragma once

#include "ipc-server.h"
#include "messaging/ipc-connection-private.h"

typedef struct
{
  GHashTable *by_type;          /* (nullable) (element-type utf8 IpcHandler) */
  IpcHandler *any;              /* (nullable) (owned) */
  const char *last_type;        /* (nullable) a key of by_type: what was found last, as it often is the next time */
  IpcHandler *last;
  guint stamp;                  /* another one with each change, of whichever table; 0: it was always empty */
} IpcHandlerTable;

struct _IpcHandler
{
  gint ref_count;
  IpcMessageHandler func;
  gpointer user_data;
  GDestroyNotify destroy;
};

void        ipc_handler_table_clear  (IpcHandlerTable *self);
/* TYPE NULL: for any type without a handler of its own. Replaces the one before. */
void        ipc_handler_table_add    (IpcHandlerTable *self, const char *type, IpcMessageHandler func, gpointer user_data, GDestroyNotify destroy);
gboolean    ipc_handler_table_remove (IpcHandlerTable *self, const char *type);
/* (nullable) not owned */
IpcHandler *ipc_handler_table_find   (IpcHandlerTable *self, const char *type);

void        ipc_handler_free         (IpcHandler *self);

static inline IpcHandler *
ipc_handler_ref (IpcHandler *self)
{
  self->ref_count++;
  return self;
}

static inline void
ipc_handler_unref (IpcHandler *self)
{
  if (--self->ref_count == 0)
    ipc_handler_free (self);
}

/* That of MESSAGE, which came through CONNECTION. Most often it is that of the message before. */
static inline IpcHandler *
ipc_handler_table_find_for (IpcHandlerTable *self, IpcConnection *connection, IpcMessage *message)
{
  IpcHandler *found;

  if (message->type != connection->last_type)
    return ipc_handler_table_find (self, message->type);
  if (connection->last_stamp == self->stamp)
    return connection->last_handler;
  found = ipc_handler_table_find (self, message->type);
  connection->last_stamp = self->stamp;
  return connection->last_handler = found;
}

/* Takes REPLY (nullable) and ERROR (nullable), what a handler returned. */
void        ipc_handler_answer       (IpcConnection *connection, IpcMessage *request, IpcMessage *reply, GError *error);

/* Runs HANDLER (nullable) and answers with what it returns. FALSE: there is none. */
static inline gboolean
ipc_handler_run (IpcHandler *self, IpcServer *server, IpcConnection *connection, IpcMessage *message)
{
  IpcMessage *reply;
  GError *error = NULL;

  if (self == NULL)
    return FALSE;
  ipc_handler_ref (self);
  reply = self->func (server, connection, message, self->user_data, &error);
  if (reply != NULL || error != NULL)
    ipc_handler_answer (connection, message, reply, error);
  ipc_handler_unref (self);
  return TRUE;
}
