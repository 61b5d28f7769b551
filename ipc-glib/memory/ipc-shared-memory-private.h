/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-listening-private.h"
#include "base/ipc-pulse-private.h"
#include "base/ipc-slot-wait-private.h"
#include "core/ipc-fork.h"
#include "ipc-scope.h"
#include "ipc-shared-memory.h"
#include "memory/ipc-segment-private.h"

#define IPC_SHARED_MEMORY_ACCESS_ALL (IPC_ACCESS_READ | IPC_ACCESS_WRITE)
#define IPC_SHARED_MEMORY_DEFAULT_TIMEOUT 30000
#define IPC_SHARED_MEMORY_MAX_TRIES 100u

/* What a manager tells its segments, which may outlive it. Counted. */
typedef struct
{
  _Atomic guint64 max_size;
} IpcSharedMemoryLimits;

typedef struct
{
  gsize size;
  guint64 access_count;
  gint64 last_accessed;
  guint64 changes;
  gboolean is_deleted;
  gboolean is_sealed;
  gboolean is_consistent;
} IpcSharedMemoryCounts;

struct _IpcSharedMemory
{
  GObject parent_instance;

  _Atomic (IpcSegment *) attached;      /* (owned) (nullable) set once, (mutex mutex) to set it */
  IpcSegment *observed;                 /* (owned) (nullable): what is looked at, unless it was attached from the start */
  IpcSegment *view;                     /* OBSERVED, or ATTACHED */
  char *name;                           /* (owned) (nullable): NULL: it has none */
  char *id;                             /* (owned) */
  IpcScope *scope;                      /* (owned) */
  IpcAccess access;
  IpcSharedMemoryLimits *limits;        /* (owned) */
  GMainContext *context;                /* (owned) */
  unsigned generation;                  /* of forks */
  GMutex mutex;

  gint has_lock;                        /* (atomic) */
  IpcSlotWaiters waiters;

  IpcPulseClient pulse;
  IpcListening listening;
  gint is_rung;                         /* (atomic): not armed since */
  guint64 own_changes;                  /* that it told others of itself (mutex mutex) */
  IpcSharedMemoryCounts *notified;      /* (owned) as of the last notification, in the context */
  gboolean reported_deleted;
};

/* IPC_IS_SHARED_MEMORY(), where every nanosecond counts. */
extern gpointer ipc_shared_memory_class;

static inline gboolean
ipc_shared_memory_check (gpointer segment)
{
  return G_LIKELY (segment != NULL && ((GTypeInstance *) segment)->g_class == ipc_shared_memory_class) || IPC_IS_SHARED_MEMORY (segment);
}

/* ---- making ---- */

/* Takes SEGMENT, which is attached, or observed. NAME is NULL for one without. LIMITS is NULL for the default ones. */
IpcSharedMemory *ipc_shared_memory_new_for_segment (IpcScope *scope, IpcSharedMemoryLimits *limits, GMainContext *context, const char *name,
                                                    IpcAccess access, IpcSegment *segment);
/* (transfer full): the default ones */
IpcSharedMemoryLimits *ipc_shared_memory_limits_new (void);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcSharedMemoryLimits, g_atomic_rc_box_release)
gboolean         ipc_shared_memory_has_name        (IpcSharedMemory *self, int folder_fd);
/* In its context: notifies what has changed, and emits what that means. */
void             ipc_shared_memory_look            (IpcSharedMemory *self);

/* ---- using ---- */

/* (transfer none): attaches if it is only observed. NULL on error: FORKED, DELETED, what opening says. */
IpcSegment      *ipc_shared_memory_attach_slow     (IpcSharedMemory *self, GError **error);

static inline IpcSegment *
ipc_shared_memory_attach (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment = atomic_load_explicit (&self->attached, memory_order_acquire);

  if (G_LIKELY (segment != NULL && segment->generation == ipc_fork_generation ()))
    return segment;
  return ipc_shared_memory_attach_slow (self, error);
}

/* Its name, as errors have it. */
const char      *ipc_shared_memory_describe        (IpcSharedMemory *self);

/* Where LENGTH bytes from OFFSET on are. Here is only what holds nearly always; FALSE: what does not goes the long way, which knows why. */
static inline gboolean
ipc_shared_memory_find (IpcSharedMemory *self, IpcAccess access, gsize offset, gsize length, IpcSegment **segment, IpcMap **map)
{
  IpcSegment *attached = atomic_load_explicit (&self->attached, memory_order_acquire);
  IpcMap *newest;
  guint64 size;

  if (G_UNLIKELY (attached == NULL || attached->generation != ipc_fork_generation () || (self->access & access) != access))
    return FALSE;
  newest = atomic_load_explicit (&attached->map, memory_order_acquire);
  size = ipc_segment_get_size (attached);
  if (G_UNLIKELY (newest == NULL || size > newest->reserved || offset > size || length > size - offset))
    return FALSE;
  *segment = attached;
  *map = newest;
  return TRUE;
}

/* The same, and what the section is to know; FALSE with OUT_OF_BOUNDS, PERMISSION_DENIED, FORKED and so on. */
gboolean         ipc_shared_memory_locate          (IpcSharedMemory *self, IpcAccess access, gsize offset, gsize length, IpcSegment **segment,
                                                    IpcMap **map, IpcSectionData *data, GError **error);

/* What the section asks for before it can go on: maps more, or has what a dead writer left settled. FALSE with what is to be said of an
 * outcome that is not DONE; TRUE: locate it again, and try again, *N_TRIES of
 * IPC_SHARED_MEMORY_MAX_TRIES times: what others say may never come to an end. */
gboolean         ipc_shared_memory_resolve         (IpcSharedMemory *self, IpcSegment *segment, IpcSectionOutcome outcome, gsize offset,
                                                    gsize length, guint *n_tries, GError **error);
/* LIMIT_EXCEEDED, or TOO_LARGE for what no file can have. */
gboolean         ipc_shared_memory_check_size      (const char *name, guint64 size, guint64 max_size, GError **error);
void             ipc_shared_memory_set_corrupt     (IpcSharedMemory *self, GError **error);
void             ipc_shared_memory_count           (IpcSharedMemory *self, IpcSharedMemoryCounts *counts);
/* Gives the lock back, if it has it. */
void             ipc_shared_memory_drop_lock       (IpcSharedMemory *self);
