/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The set of guarded descriptors: a bitmap in chunks, which are linked once and
 * never freed, so that it can be read and changed without a lock: the child runs
 * the handler below with whatever its parent's other threads happened to hold.
 * The one lock there is, is taken by who forks, before it does.
 *
 * Owned by the process. The caller keeps true that a number it guards is its
 * own until it has unguarded it.
 */
#include "core/ipc-fork.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define BITS_PER_WORD 64
#define WORDS_PER_CHUNK 512
#define FDS_PER_CHUNK (BITS_PER_WORD * WORDS_PER_CHUNK)

typedef struct Chunk Chunk;
struct Chunk
{
  int first_fd;
  Chunk *next; /* constant once the chunk is linked */
  _Atomic uint64_t words[WORDS_PER_CHUNK];
};

/* Few processes have a descriptor above its range, and most never allocate. */
static Chunk first_chunk;
static _Atomic (Chunk *) chunks = &first_chunk;
unsigned ipc_fork_count;
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

static Chunk *
find_chunk (Chunk *from, int fd)
{
  for (Chunk *chunk = from; chunk != NULL; chunk = chunk->next)
    {
      if (fd / FDS_PER_CHUNK == chunk->first_fd / FDS_PER_CHUNK)
        return chunk;
    }
  return NULL;
}

/* Only the chunk that was linked behind what had been searched may be new: no range gets two. */
static Chunk *
make_chunk (int fd)
{
  Chunk *made = calloc (1, sizeof *made);
  Chunk *head = atomic_load (&chunks);

  /* A descriptor that cannot be guarded would break locks silently in a child later. */
  if (made == NULL)
    abort ();
  made->first_fd = fd - fd % FDS_PER_CHUNK;
  do
    {
      Chunk *other = find_chunk (head, fd);

      if (other != NULL)
        {
          free (made);
          return other;
        }
      made->next = head;
    }
  while (!atomic_compare_exchange_weak (&chunks, &head, made));
  return made;
}

static _Atomic uint64_t *
word_of (Chunk *chunk, int fd)
{
  return &chunk->words[fd % FDS_PER_CHUNK / BITS_PER_WORD];
}

static uint64_t
bit_of (int fd)
{
  return UINT64_C (1) << (fd % BITS_PER_WORD);
}

/* Async-signal-safe, as all that runs between fork() and exec() of a process with threads. */
static void
close_word (_Atomic uint64_t *word, int first_fd)
{
  uint64_t bits = atomic_exchange (word, 0);

  while (bits != 0)
    {
      close (first_fd + __builtin_ctzll (bits));
      bits &= bits - 1;
    }
}

static void
in_child (void)
{
  __atomic_fetch_add (&ipc_fork_count, 1, __ATOMIC_SEQ_CST);
  for (Chunk *chunk = atomic_load (&chunks); chunk != NULL; chunk = chunk->next)
    {
      for (int i = 0; i < WORDS_PER_CHUNK; i++)
        {
          if (atomic_load_explicit (&chunk->words[i], memory_order_relaxed) != 0)
            close_word (&chunk->words[i], chunk->first_fd + i * BITS_PER_WORD);
        }
    }
  ipc_fork_release ();
}

/* When the library is loaded, so that no object can be older than the count of forks. */
__attribute__ ((constructor)) static void
watch_forks (void)
{
  if (pthread_atfork (ipc_fork_hold, ipc_fork_release, in_child) != 0)
    abort ();
}

void
ipc_fork_guard_fd (int fd)
{
  Chunk *chunk;

  assert (fd >= 0);
  chunk = find_chunk (atomic_load (&chunks), fd);
  if (chunk == NULL)
    chunk = make_chunk (fd);
  atomic_fetch_or (word_of (chunk, fd), bit_of (fd));
}

void
ipc_fork_unguard_fd (int fd)
{
  Chunk *chunk;

  assert (fd >= 0);
  chunk = find_chunk (atomic_load (&chunks), fd);
  if (chunk != NULL)
    atomic_fetch_and (word_of (chunk, fd), ~bit_of (fd));
}

void
ipc_fork_hold (void)
{
  pthread_mutex_lock (&opening);
}

void
ipc_fork_release (void)
{
  pthread_mutex_unlock (&opening);
}

void
ipc_fork_close (int fd)
{
  int system_errno = errno;

  ipc_fork_hold ();
  ipc_fork_unguard_fd (fd);
  close (fd);
  ipc_fork_release ();
  errno = system_errno;
}
