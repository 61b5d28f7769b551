/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-handed-out-private.h"
#include "base/ipc-manager-private.h"
#include "ipc-shared-memory-manager.h"
#include "memory/ipc-shared-memory-private.h"

/* Of all segments of the scope. */
typedef struct
{
  guint n;
  guint64 size;
  guint64 access_count;
} IpcSharedMemorySums;

struct _IpcSharedMemoryManager
{
  IpcManager parent_instance;

  GMainContext *context;                        /* (owned) */
  IpcSharedMemoryLimits *limits;                /* (owned) shared with the segments */
  gsize default_segment_size;
  IpcHandedOut *handed_out;                     /* (owned) (element-type IpcSharedMemory) by name and access */

  IpcPulseClient pulse;
  IpcSharedMemorySums notified;
};

/* ipc-shared-memory-manager-open.c */
/* Something has a name no more: whoever has it hears of it at once. */
void    ipc_shared_memory_manager_tell_deleted (IpcSharedMemoryManager *self);

/* ipc-shared-memory-manager-sums.c */
void    ipc_shared_memory_manager_sum_up       (IpcSharedMemoryManager *self, IpcSharedMemorySums *sums);
gdouble ipc_shared_memory_sums_get_average     (const IpcSharedMemorySums *sums);
