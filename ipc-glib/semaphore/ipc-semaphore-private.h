/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdatomic.h>

#include "base/ipc-pulse-private.h"
#include "base/ipc-slot-wait-private.h"
#include "core/ipc-fork.h"
#include "ipc-permit.h"
#include "ipc-scope.h"
#include "ipc-semaphore.h"
#include "semaphore/ipc-semaphore-file-private.h"

/* What a manager tells its semaphores, which may outlive it. Counted. */
typedef struct
{
  gint default_timeout;         /* (atomic) ms */
} IpcSemaphoreDefaults;

/* A semaphore that this process is attached to. */
typedef struct
{
  IpcSemaphoreFile file;
  unsigned generation;          /* of forks */
  _Atomic gint64 next_sweep;    /* monotonic, ns */
  IpcPermit **permits;          /* (owned) one a slot, made when first needed, (owner of the slot) */
  GMutex lock;
  GPtrArray *loose;             /* (mutex lock) permits that have lost their place to a newer one, and are still referenced */
  IpcSlotWaiters waiters;
} IpcSemaphoreState;

struct _IpcSemaphore
{
  GObject parent_instance;

  _Atomic (IpcSemaphoreState *) attached;       /* (owned) (nullable) set once, (mutex lock) to set it */
  char *name;                                   /* (owned) */
  IpcScope *scope;                              /* (owned) */
  IpcSemaphoreDefaults *defaults;               /* (owned) */
  unsigned generation;
  GMutex lock;
  IpcSemaphoreFile observed;                    /* what is looked at, unless it was attached from the start */
  IpcSemaphoreFile *view;                       /* OBSERVED, or that of ATTACHED */

  IpcPulseClient pulse;
  struct _IpcSemaphoreCounts *notified;         /* (owned) as of the last notification, in the context */
  guint64 reported_recovered;                   /* by the signal */
  gboolean reported_deleted;
};

typedef struct _IpcSemaphoreCounts
{
  guint available;
  guint waiters;
  guint64 acquired;
  guint64 released;
  guint64 recovered;
  gint64 last_accessed;
  gboolean is_deleted;
} IpcSemaphoreCounts;

/* IPC_IS_SEMAPHORE(), where every nanosecond counts. */
extern gpointer ipc_semaphore_class;

static inline gboolean
ipc_semaphore_check (gpointer semaphore)
{
  return G_LIKELY (semaphore != NULL && ((GTypeInstance *) semaphore)->g_class == ipc_semaphore_class) || IPC_IS_SEMAPHORE (semaphore);
}

/* ---- making (for managers) ---- */

/* Takes FILE, which is attached, or observed. */
IpcSemaphore *ipc_semaphore_new_for_file (IpcScope *scope, IpcSemaphoreDefaults *defaults, GMainContext *context, const char *name,
                                          IpcSemaphoreFile *file);
gboolean      ipc_semaphore_has_name     (IpcSemaphore *self, int folder_fd);
/* In its context: emits `deleted` if it was, and that is new; notifies what has changed. */
void          ipc_semaphore_look         (IpcSemaphore *self);

/* ---- acquiring ---- */

/* (transfer none): attaches if it is only observed. NULL on error: FORKED, DELETED, what opening says. */
IpcSemaphoreState *ipc_semaphore_attach_slow (IpcSemaphore *self, GError **error);

static inline IpcSemaphoreState *
ipc_semaphore_attach (IpcSemaphore *self, GError **error)
{
  IpcSemaphoreState *state = atomic_load_explicit (&self->attached, memory_order_acquire);

  if (G_LIKELY (state != NULL && state->generation == ipc_fork_generation ()))
    return state;
  return ipc_semaphore_attach_slow (self, error);
}

/* What is to be said of an outcome that is not ACQUIRED. */
void               ipc_semaphore_set_error   (IpcSemaphore *self, IpcSlotsOutcome outcome, gint timeout, GError **error);

void               ipc_semaphore_set_broken  (IpcSemaphore *self, GError **error);

void               ipc_semaphore_count       (IpcSemaphore *self, IpcSemaphoreCounts *counts);
/* The next time that somebody listens is soon. */
void               ipc_semaphore_stir        (IpcSemaphore *self);

/* ---- permits ---- */

/* (transfer full): for SLOT, which was just acquired. CORRUPT: in a file that somebody has made shorter, which reads as free. */
IpcPermit         *ipc_permit_take           (IpcSemaphore *semaphore, IpcSemaphoreState *state, unsigned slot, GError **error);
/* Gives each permit that somebody has a reference to the semaphore of its own, from dispose. */
void               ipc_permits_adopt         (IpcSemaphore *semaphore, IpcSemaphoreState *state);
/* From finalize: nobody has any. */
void               ipc_permits_free          (IpcSemaphoreState *state);
