/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-manager-private.h"
#include "ipc-queue-manager.h"
#include "queue/ipc-message-queue-private.h"

struct _IpcQueueManager
{
  IpcManager parent_instance;

  char *uri;                    /* (owned) */
  IpcQueueCenter *center;       /* (owned) */
  IpcQueueLimits limits;
  IpcDurability durability;
  struct _IpcQueueHost *host;   /* (owned) (nullable) who serves them to others */
  GListStore *items;            /* (owned) (element-type IpcMessageQueue) */
  unsigned generation;          /* of forks */
};

/* (transfer full): the object of that name, the same one as long as somebody has it. */
IpcMessageQueue *ipc_queue_manager_hand_out (IpcQueueManager *self, const char *name);
gboolean         ipc_queue_manager_find     (IpcQueueManager *self, const char *name, guint *position);
/* In the list, or not. */
void             ipc_queue_manager_set_listed (IpcQueueManager *self, const char *name, gboolean exists);
