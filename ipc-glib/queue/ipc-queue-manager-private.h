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
  GListStore *items;            /* (owned) (element-type IpcMessageQueue) */
  unsigned generation;          /* of forks */
};

/* (transfer full): the object of that name, the same one as long as somebody has it. */
IpcMessageQueue *ipc_queue_manager_hand_out (IpcQueueManager *self, const char *name);
/* Makes the list agree with the store about NAME. */
void             ipc_queue_manager_refresh  (IpcQueueManager *self, const char *name);
