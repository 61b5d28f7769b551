/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-listening-private.h"
#include "base/ipc-once-private.h"
#include "base/ipc-pulse-private.h"
#include "core/ipc-racy-copy.h"
#include "core/ipc-ticks.h"
#include "file/ipc-file-map-private.h"
#include "ipc-mapped-file-transaction.h"
#include "ipc-mapped-file.h"

#define IPC_MAPPED_FILE_ACCESS_ALL (IPC_ACCESS_READ | IPC_ACCESS_WRITE)
#define IPC_MAPPED_FILE_MAX_TRIES 100u

/* What a manager tells its files, which may outlive it. Counted. */
typedef struct
{
  _Atomic guint64 max_size;
} IpcMappedFileLimits;

typedef struct
{
  guint64 size;
  guint64 dirty_bytes;
  guint64 access_count;
  gint64 last_accessed;
  gint64 last_modified;
} IpcMappedFileCounts;

struct _IpcMappedFile
{
  GObject parent_instance;

  IpcFileMap *map;              /* (owned) until the end, so that other threads may come late */
  char *id;                     /* (owned) */
  IpcAccess access;
  IpcMappedFileLimits *limits;  /* (owned) */
  GMainContext *context;        /* (owned) */
  unsigned forks;
  gint is_unmapped;             /* (atomic) */
  gint64 created_at;            /* µs UTC */
  gint durability;              /* (atomic) IpcDurability */
  gint n_uses;                  /* (atomic): transactions */
  _Atomic guint n_broken;       /* of MAP, that was told of by mark_dirty() */

  _Atomic guint64 access_count;
  _Atomic gint64 last_accessed; /* µs UTC */
  _Atomic gint64 last_modified;
  _Atomic guint64 accessed_ticks; /* when they were set */
  _Atomic guint64 modified_ticks;

  GMutex mutex;
  int lock_fd;                  /* (mutex mutex) to set it; fork-guarded; -1: nothing was locked yet */
  gint n_locks;                 /* (atomic): taken, and not given back */
  void (*unmapped) (IpcMappedFile *self, gpointer owner);       /* (nullable) */
  GWeakRef owner;               /* whom to tell of that */

  IpcPulseClient pulse;
  IpcListening listening;
  gint is_rung;                 /* (atomic): not armed since */
  IpcMappedFileCounts *notified; /* (owned) as of the last notification, in the context */
  gboolean reported_replaced;
};

/* IPC_IS_MAPPED_FILE(), where every nanosecond counts. */
extern gpointer ipc_mapped_file_class;

/* FALSE: perhaps. */
static inline gboolean
ipc_mapped_file_is_usual (gpointer file)
{
  return G_LIKELY (file != NULL && ((GTypeInstance *) file)->g_class == ipc_mapped_file_class);
}

static inline gboolean
ipc_mapped_file_check (gpointer file)
{
  return ipc_mapped_file_is_usual (file) || IPC_IS_MAPPED_FILE (file);
}

/* ---- making ---- */

IpcMappedFileLimits *ipc_mapped_file_limits_new (void);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcMappedFileLimits, g_atomic_rc_box_release)

/* Takes MAP. */
IpcMappedFile *ipc_mapped_file_new_for_map  (IpcFileMap *map, IpcAccess access, IpcMappedFileLimits *limits, GMainContext *context);
/* UNMAPPED is called when it is unmapped, once, in whatever thread, unless OWNER is gone. */
void           ipc_mapped_file_set_owner    (IpcMappedFile *self, gpointer owner, void (*unmapped) (IpcMappedFile *self, gpointer owner));

/* ---- using ---- */

const char    *ipc_mapped_file_describe     (IpcMappedFile *self);
/* FORKED, CLOSED. */
gboolean       ipc_mapped_file_check_usable (IpcMappedFile *self, GError **error);
/* The same, and PERMISSION_DENIED. */
gboolean       ipc_mapped_file_check_access (IpcMappedFile *self, IpcAccess access, GError **error);
/* With OUT_OF_BOUNDS and CORRUPT as well; the size was looked at. */
gboolean       ipc_mapped_file_check_range  (IpcMappedFile *self, IpcAccess access, guint64 offset, guint64 length, GError **error);
void           ipc_mapped_file_count        (IpcMappedFile *self, IpcMappedFileCounts *counts);
/* A sync has failed: whoever listens is told, in the context. */
void           ipc_mapped_file_tell_failed  (IpcMappedFile *self, const GError *error);
/* It was unmapped: the owner is told, and whoever listens. */
void           ipc_mapped_file_tell_unmapped (IpcMappedFile *self);
/* Any thread: what others did is looked at soon. */
void           ipc_mapped_file_stir         (IpcMappedFile *self);

/* ipc-mapped-file-lock.c: gives back all of them. */
void           ipc_mapped_file_close_locks  (IpcMappedFile *self);

/* It is not idle while somebody is about to do something with it. */
static inline void
ipc_mapped_file_use (IpcMappedFile *self, gint n)
{
  g_atomic_int_add (&self->n_uses, n);
}

/* ipc-mapped-file-transaction.c: (transfer full) */
IpcMappedFileTransaction *ipc_mapped_file_transaction_new (IpcMappedFile *file);

/* ipc-mapped-file-counts.c */
void           ipc_mapped_file_stamp_time   (IpcMappedFile *self, gboolean modified);

/* It was used. */
static inline void
ipc_mapped_file_stamp (IpcMappedFile *self, gboolean modified)
{
  guint64 count = atomic_load_explicit (&self->access_count, memory_order_relaxed);

  /* Two at the same moment may count as one: to count exactly would cost more than the rest. */
  atomic_store_explicit (&self->access_count, count + 1, memory_order_relaxed);
  if (!ipc_ticks_are_few (modified ? &self->modified_ticks : &self->accessed_ticks))
    ipc_mapped_file_stamp_time (self, modified);
}
