/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which pages of a file were written since they were last known to be on the disk: one bit a page, set by who writes, after he has
 * written. Who syncs takes the bits first, and puts them back if it failed; meanwhile they count. So there is no moment at which
 * a page that is not on the disk is not dirty.
 *
 * The bits come in chunks that are made when they are first needed, and never move.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/ipc-barrier.h"

#define IPC_DIRTY_PAGE_SHIFT 12u
#define IPC_DIRTY_PAGE ((uint64_t) 1 << IPC_DIRTY_PAGE_SHIFT)
#define IPC_DIRTY_CHUNK_SHIFT 15u               /* pages of a chunk: 128 MiB */
#define IPC_DIRTY_MAX ((uint64_t) 1 << 40)      /* bytes of a file */

#define IPC_DIRTY_WORDS ((1u << IPC_DIRTY_CHUNK_SHIFT) / 64)

typedef struct
{
  _Atomic uint64_t dirty[IPC_DIRTY_WORDS];
  _Atomic uint64_t taken[IPC_DIRTY_WORDS];      /* being synced */
} IpcDirtyChunk;

typedef struct
{
  _Atomic (IpcDirtyChunk *) *chunks;
} IpcDirty;

/* False: there is no memory. */
bool     ipc_dirty_init     (IpcDirty *self);
void     ipc_dirty_clear    (IpcDirty *self);

void     ipc_dirty_mark_slow (IpcDirty *self, uint64_t offset, uint64_t length);

/* Whether all of it was marked already; may be wrong about what is in two pages. After the bytes were written. LENGTH is not 0. */
static inline bool
ipc_dirty_is_marked (const IpcDirty *self, uint64_t offset, uint64_t length)
{
  uint64_t page = offset >> IPC_DIRTY_PAGE_SHIFT;
  IpcDirtyChunk *chunk = atomic_load_explicit (&self->chunks[page >> IPC_DIRTY_CHUNK_SHIFT], memory_order_acquire);

  ipc_barrier_light ();
  return chunk != NULL && (offset + length - 1) >> IPC_DIRTY_PAGE_SHIFT == page &&
         (atomic_load_explicit (&chunk->dirty[page % (1u << IPC_DIRTY_CHUNK_SHIFT) / 64], memory_order_relaxed) >> (page % 64) & 1) != 0;
}

/*
 * Any thread, after the bytes were written. LENGTH is not 0. A page that is known to be dirty is left alone, without waiting for what
 * was written: whoever takes the bits away waits for that (ipc_barrier_heavy()).
 */
static inline void
ipc_dirty_mark (IpcDirty *self, uint64_t offset, uint64_t length)
{
  if (!ipc_dirty_is_marked (self, offset, length))
    ipc_dirty_mark_slow (self, offset, length);
}

/* Pages that are dirty, or being synced, of the first SIZE bytes. */
uint64_t ipc_dirty_count    (const IpcDirty *self, uint64_t size);
/* The first dirty page that begins at or behind *OFFSET and before END: *OFFSET is where. False: there is none. */
bool     ipc_dirty_find     (const IpcDirty *self, uint64_t *offset, uint64_t end);

/* Before syncing [BEGIN, END), and after it. One at a time. */
void     ipc_dirty_take     (IpcDirty *self, uint64_t begin, uint64_t end);
void     ipc_dirty_settle   (IpcDirty *self, uint64_t begin, uint64_t end, bool synced);
