/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One operation on a queue, a delivery or a manager, as it was asked for: waited for in the thread that asks, or not. It is what a task of
 * it results in.
 */
#pragma once

#include "queue/ipc-queue-center-private.h"

/* SOURCE is what it is done to. It may be called a second time, and begins anew then. FALSE with ERROR. */
typedef gboolean (*IpcQueueCallFunc) (gpointer source, IpcQueueCall *call, GError **error);
/* What it did is there for good, or not, if ERROR is not NULL. */
typedef void     (*IpcQueueEndFunc)  (gpointer source, IpcQueueCall *call, const GError *error);

struct _IpcQueueCall
{
  IpcQueueWork work;
  GTask *task;                  /* (owned) (nullable) NULL: it is waited for */
  IpcQueueCenter *center;       /* the same; the task's source has it */
  GCancellable *cancellable;    /* (nullable) */
  IpcQueueCallFunc func;
  IpcQueueEndFunc end;          /* (nullable) */

  /* what was asked for */
  char *text;                   /* (owned) (nullable) */
  guint64 number;
  gint64 ttl;
  gint64 delay;
  IpcQueueItem *item;           /* (owned) (nullable) */
  GPtrArray *items;             /* (owned) (nullable) */

  /* what came of it */
  guint64 result;
  GPtrArray *found;             /* (owned) (nullable) */
};

/* Takes what CALL owns, which is on the stack. FALSE with ERROR; else *CALL has what came of it. Clear it in either case. */
gboolean      ipc_queue_call_run    (IpcQueueCall *call, gpointer source, IpcQueueStore *store, GError **error);
void          ipc_queue_call_clear  (IpcQueueCall *call);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (IpcQueueCall, ipc_queue_call_clear)

/* The same, not waited for. Takes TASK, whose source it is done to, and what CALL owns, which is on the stack and empty afterwards. */
void          ipc_queue_call_start  (IpcQueueCall *call, GTask *task, IpcQueueCenter *center);
/* For the center, in its context: takes CALL, which is done. */
void          ipc_queue_call_tell   (IpcQueueCall *call);
/* (transfer full) (nullable): what ipc_queue_call_start() came to. */
IpcQueueCall *ipc_queue_call_finish (GAsyncResult *result, GError **error);
void          ipc_queue_call_free   (IpcQueueCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcQueueCall, ipc_queue_call_free)
