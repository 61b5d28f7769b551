/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-handed-out-private.h"
#include "base/ipc-manager-private.h"
#include "ipc-semaphore-manager.h"
#include "semaphore/ipc-semaphore-private.h"

/* Of all semaphores of the scope. */
typedef struct
{
  guint total;
  guint available;
  guint waiters;
} IpcSemaphoreSums;

struct _IpcSemaphoreManager
{
  IpcManager parent_instance;

  GMainContext *context;                        /* (owned) */
  IpcSemaphoreDefaults *defaults;               /* (owned) shared with the semaphores */
  guint default_permits;
  IpcHandedOut *handed_out;                     /* (owned) (element-type IpcSemaphore) */

  IpcPulseClient pulse;
  IpcSemaphoreSums notified;
};

/* ipc-semaphore-manager-open.c */
/* Something has a name no more: whoever has it hears of it at once. */
void    ipc_semaphore_manager_tell_deleted    (IpcSemaphoreManager *self);

/* ipc-semaphore-manager-sums.c */
void    ipc_semaphore_manager_sum_up          (IpcSemaphoreManager *self, IpcSemaphoreSums *sums);
gdouble ipc_semaphore_sums_get_utilization    (const IpcSemaphoreSums *sums);
