/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-manager-private.h"
#include "file/ipc-mapped-file-private.h"
#include "ipc-mapped-file-manager.h"

/* Of all that are mapped. */
typedef struct
{
  guint n;
  guint n_dirty;
  guint64 size;
  guint64 access_count;
} IpcMappedFileSums;

struct _IpcMappedFileManager
{
  IpcManager parent_instance;

  GMainContext *context;                        /* (owned) */
  GListStore *items;                            /* (owned) (element-type IpcMappedFile) by path */
  unsigned forks;
  IpcMappedFileLimits *limits;                  /* (owned) shared with the files */
  gsize default_file_size;

  gboolean auto_sync;
  gint64 sync_interval;                         /* ms */
  GSource *sync_timer;                          /* (owned) (nullable) unless auto_sync */
  gboolean is_syncing;                          /* by the timer */

  IpcPulseClient pulse;
  IpcMappedFileSums notified;
};

/* ipc-mapped-file-manager-sync.c */
void    ipc_mapped_file_manager_restart_timer (IpcMappedFileManager *self);

/* ipc-mapped-file-manager-sums.c */
void    ipc_mapped_file_manager_sum_up        (IpcMappedFileManager *self, IpcMappedFileSums *sums);
gdouble ipc_mapped_file_sums_get_average      (const IpcMappedFileSums *sums);
