/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A file as this process has it mapped: one for all IpcMappedFiles of it that have the same scope and may do the same. No GObject here.
 *
 * The file may become longer, by whomever, and is mapped anew then, beside the old map. It may become shorter, by somebody who does
 * not use this library: what is gone reads as zero (core/ipc-guard.h), and who reads or writes there is told. KNOWN is how long it was
 * at most, SIZE how long it was when it was last looked at.
 */
#pragma once

#include <gio/gio.h>

#include "core/ipc-dirty.h"
#include "core/ipc-fork.h"
#include "core/ipc-journal.h"
#include "core/ipc-map.h"
#include "file/ipc-file-board-private.h"
#include "file/ipc-file-open-private.h"
#include "ipc-scope.h"

#define IPC_FILE_PATIENCE_MS 2000       /* for a process that writes a transaction */

typedef struct
{
  guint ref_count;              /* (mutex registry) */
  IpcFileOpened opened;         /* its SIZE is not kept */
  IpcScope *scope;              /* (owned) */
  gboolean writable;
  unsigned forks;
  IpcFileBoard board;

  GMutex mutex;
  _Atomic (IpcMap *) map;       /* (owned) the newest one; (mutex mutex) to set it */
  _Atomic guint64 size;
  _Atomic guint64 known;
  _Atomic guint n_broken;       /* how often bytes were touched that were gone, and are there again or were cut off */

  IpcDirty dirty;
  GMutex sync_mutex;
  gboolean must_rewrite;        /* (mutex sync_mutex): the kernel takes what could not be written for clean */

  GMutex journal_mutex;         /* held while the journal's lock is */
  IpcJournal *journal;          /* (owned) (nullable) (mutex journal_mutex) */
} IpcFileMap;

/* (transfer full): to be closed. It is whole: what a crash has left undone was done. */
IpcFileMap *ipc_file_map_open    (IpcScope *scope, const char *path, gboolean writable, const IpcFileWanted *wanted, GError **error);
/* Also in a forked child. */
void        ipc_file_map_close   (IpcFileMap *self);

/* Looks how long the file is, and maps what is new, or there again. */
gboolean    ipc_file_map_refresh (IpcFileMap *self, GError **error);
/* With the size that is to be had already. */
gboolean    ipc_file_map_resize  (IpcFileMap *self, guint64 size, guint64 max_size, GError **error);

/* What the error of an access says that did not find its bytes. */
void        ipc_file_map_fail_bounds    (IpcFileMap *self, guint64 offset, guint64 length, GError **error);
void        ipc_file_map_fail_truncated (IpcFileMap *self, guint64 offset, guint64 length, GError **error);

/* ---- ipc-file-map-sync.c ---- */

gboolean    ipc_file_map_sync    (IpcFileMap *self, guint64 begin, guint64 end, GError **error);
guint64     ipc_file_map_count_dirty (IpcFileMap *self);
/* With the journal's lock: syncs the file, and forgets what is in the journal. */
gboolean    ipc_file_map_checkpoint (IpcFileMap *self, GError **error);

/* ---- ipc-file-map-journal.c ---- */

/* Locks the journal, and has what a crash has left done. With CREATE it is made if there is none; without, FALSE without an error says
 * that there is none. */
gboolean    ipc_file_map_lock_journal   (IpcFileMap *self, gboolean create, GError **error);
void        ipc_file_map_unlock_journal (IpcFileMap *self);
/* With the lock: nobody is writing a transaction. */
void        ipc_file_map_rest           (IpcFileMap *self);
/* A transaction is being written, or somebody died over it: returns when that is over. */
gboolean    ipc_file_map_settle         (IpcFileMap *self, GError **error);

/* ---- ipc-file-map-commit.c ---- */

/* Makes all of these writes or none. */
gboolean    ipc_file_map_commit         (IpcFileMap *self, const IpcJournalRange *ranges, gsize n, gboolean durable, GError **error);

/* The pair tells whether it was written in between. Unless it is at rest, ipc_file_map_settle() comes first; and nothing is read while it
 * is being written. */
static inline guint32
ipc_file_map_begin_look (IpcFileMap *self)
{
  return atomic_load_explicit (self->board.sequence, memory_order_acquire);
}

static inline gboolean
ipc_file_map_is_at_rest (guint32 sequence)
{
  return G_LIKELY (sequence % IPC_FILE_STATES == IPC_FILE_AT_REST);
}

static inline gboolean
ipc_file_map_end_look (IpcFileMap *self, guint32 sequence)
{
  ipc_racy_fence (memory_order_acquire);
  return atomic_load_explicit (self->board.sequence, memory_order_relaxed) == sequence;
}
