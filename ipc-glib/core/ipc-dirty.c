/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-dirty.h"

#include <stdlib.h>

#define N_CHUNKS (IPC_DIRTY_MAX >> IPC_DIRTY_PAGE_SHIFT >> IPC_DIRTY_CHUNK_SHIFT)
#define CHUNK_PAGES ((uint64_t) 1 << IPC_DIRTY_CHUNK_SHIFT)

bool
ipc_dirty_init (IpcDirty *self)
{
  ipc_barrier_init ();
  self->chunks = calloc (N_CHUNKS, sizeof *self->chunks);
  return self->chunks != NULL;
}

void
ipc_dirty_clear (IpcDirty *self)
{
  for (uint64_t i = 0; self->chunks != NULL && i < N_CHUNKS; i++)
    free (atomic_load (&self->chunks[i]));
  free (self->chunks);
  self->chunks = NULL;
}

/* What was written and is not known to be dirty would be lost silently. */
static IpcDirtyChunk *
need_chunk (IpcDirty *self, uint64_t index)
{
  IpcDirtyChunk *there = NULL;
  IpcDirtyChunk *made = calloc (1, sizeof *made);

  if (made == NULL)
    abort ();
  if (atomic_compare_exchange_strong (&self->chunks[index], &there, made))
    return made;
  free (made);
  return there;
}

/* ---- words of a range of pages ---- */

typedef struct
{
  uint64_t page;                /* the next one */
  uint64_t end;
  uint64_t mask;                /* of the word that was found */
  size_t word;
} Walk;

static Walk
walk_bytes (uint64_t begin, uint64_t end)
{
  if (end > IPC_DIRTY_MAX)
    end = IPC_DIRTY_MAX;
  return (Walk){ .page = begin >> IPC_DIRTY_PAGE_SHIFT, .end = (end + IPC_DIRTY_PAGE - 1) >> IPC_DIRTY_PAGE_SHIFT };
}

/* The next word, of which MASK is meant; CHUNK is its chunk's index. */
static bool
walk_next (Walk *self, uint64_t *chunk)
{
  uint64_t first = self->page % 64, n = 64 - first;

  if (self->page >= self->end)
    return false;
  if (n > self->end - self->page)
    n = self->end - self->page;
  *chunk = self->page >> IPC_DIRTY_CHUNK_SHIFT;
  self->word = (size_t) (self->page % CHUNK_PAGES / 64);
  self->mask = (n == 64 ? ~(uint64_t) 0 : ((uint64_t) 1 << n) - 1) << first;
  self->page += n;
  return true;
}

static void
walk_skip_chunk (Walk *self)
{
  self->page = ((self->page - 1) / CHUNK_PAGES + 1) * CHUNK_PAGES;
}

/* The same where there are bits at all. */
static IpcDirtyChunk *
walk_present (const IpcDirty *self, Walk *walk)
{
  uint64_t index;

  while (walk_next (walk, &index))
    {
      IpcDirtyChunk *chunk = atomic_load_explicit (&self->chunks[index], memory_order_acquire);

      if (chunk != NULL)
        return chunk;
      walk_skip_chunk (walk);
    }
  return NULL;
}

/* ---- marking and counting ---- */

void
ipc_dirty_mark_slow (IpcDirty *self, uint64_t offset, uint64_t length)
{
  Walk walk = walk_bytes (offset, offset + length);
  uint64_t index;

  while (walk_next (&walk, &index))
    {
      IpcDirtyChunk *chunk = atomic_load_explicit (&self->chunks[index], memory_order_acquire);

      if (chunk == NULL)
        chunk = need_chunk (self, index);
      atomic_fetch_or (&chunk->dirty[walk.word], walk.mask);
    }
}

static uint64_t
get_bits (const IpcDirtyChunk *chunk, const Walk *walk)
{
  IpcDirtyChunk *self = (IpcDirtyChunk *) chunk;

  return (atomic_load (&self->dirty[walk->word]) | atomic_load (&self->taken[walk->word])) & walk->mask;
}

uint64_t
ipc_dirty_count (const IpcDirty *self, uint64_t size)
{
  Walk walk = walk_bytes (0, size);
  IpcDirtyChunk *chunk;
  uint64_t n = 0;

  while ((chunk = walk_present (self, &walk)) != NULL)
    n += (uint64_t) __builtin_popcountll (get_bits (chunk, &walk));
  return n;
}

bool
ipc_dirty_find (const IpcDirty *self, uint64_t *offset, uint64_t end)
{
  Walk walk = walk_bytes (*offset + IPC_DIRTY_PAGE - 1, end);
  IpcDirtyChunk *chunk;

  while ((chunk = walk_present (self, &walk)) != NULL)
    {
      uint64_t bits = get_bits (chunk, &walk);

      if (bits == 0)
        continue;
      *offset = (((walk.page - 1) & ~(uint64_t) 63) + (uint64_t) __builtin_ctzll (bits)) << IPC_DIRTY_PAGE_SHIFT;
      return true;
    }
  return false;
}

/* ---- syncing ---- */

void
ipc_dirty_take (IpcDirty *self, uint64_t begin, uint64_t end)
{
  Walk walk = walk_bytes (begin, end);
  IpcDirtyChunk *chunk;

  while ((chunk = walk_present (self, &walk)) != NULL)
    {
      uint64_t bits = atomic_load (&chunk->dirty[walk.word]) & walk.mask;

      if (bits == 0)
        continue;
      /* In this order, so that it counts all the time. */
      atomic_fetch_or (&chunk->taken[walk.word], bits);
      atomic_fetch_and (&chunk->dirty[walk.word], ~bits);
    }
  /* Who has just found a bit set has also written what it is about. */
  ipc_barrier_heavy ();
}

void
ipc_dirty_settle (IpcDirty *self, uint64_t begin, uint64_t end, bool synced)
{
  Walk walk = walk_bytes (begin, end);
  IpcDirtyChunk *chunk;

  while ((chunk = walk_present (self, &walk)) != NULL)
    {
      uint64_t bits = atomic_load (&chunk->taken[walk.word]) & walk.mask;

      if (!synced)
        atomic_fetch_or (&chunk->dirty[walk.word], bits);
      atomic_fetch_and (&chunk->taken[walk.word], ~bits);
    }
}
