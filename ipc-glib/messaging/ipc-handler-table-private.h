/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handlers by message type. A handler that is removed while it runs stays
 * alive until it returns. No locking of its own: one context uses it.
 */
#pragma once

#include "ipc-server.h"

typedef struct _IpcHandler IpcHandler;

typedef struct
{
  GHashTable *by_type;          /* (nullable) (element-type utf8 IpcHandler) */
  IpcHandler *any;              /* (nullable) (owned) */
  const char *last_type;        /* (nullable) a key of by_type: what was found last, as it often is the next time */
  IpcHandler *last;
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

IpcHandler *ipc_handler_ref          (IpcHandler *self);
void        ipc_handler_unref        (IpcHandler *self);
/* Runs HANDLER (nullable) and answers with what it returns. FALSE: there is none. */
gboolean    ipc_handler_run          (IpcHandler *self, IpcServer *server, IpcConnection *connection, IpcMessage *message);
