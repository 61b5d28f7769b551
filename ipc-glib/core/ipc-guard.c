/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define BLOCK 64u

/* The handler walks through it while others add to it, so nothing in it ever goes or moves. */
typedef struct _Block
{
  IpcGuard guards[BLOCK];
  _Atomic (struct _Block *) next;
} Block;

static Block first;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction previous;
static uintptr_t page_size;

/* ---- in the signal handler ---- */

static bool
is_in (IpcGuard *guard, uintptr_t address, uintptr_t *end)
{
  uintptr_t start;

  *end = atomic_load (&guard->end);
  start = atomic_load (&guard->start);
  /* It may just be given to another map. */
  return *end != 0 && address >= start && address < *end && atomic_load (&guard->end) == *end;
}

static IpcGuard *
find (uintptr_t address, uintptr_t *end)
{
  for (Block *block = &first; block != NULL; block = atomic_load (&block->next))
    for (unsigned i = 0; i < BLOCK; i++)
      if (is_in (&block->guards[i], address, end))
        return &block->guards[i];
  return NULL;
}

/* All of the rest at once: what follows is gone as well. */
static bool
put_zeros (IpcGuard *guard, uintptr_t address, uintptr_t end)
{
  uintptr_t page = address & ~(page_size - 1);
  bool put;

  atomic_fetch_add (&guard->n_begun, 1);
  /* First, so that whoever sees zeros can know. */
  atomic_store (&guard->broken, true);
  put = mmap ((void *) page, end - page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
  atomic_fetch_add (&guard->n_done, 1);
  return put;
}

static void
pass_on (int number, siginfo_t *info, void *context)
{
  if ((previous.sa_flags & SA_SIGINFO) != 0)
    previous.sa_sigaction (number, info, context);
  else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    previous.sa_handler (number);
  else
    /* It happens again, at the same place, and ends the process as if nobody had been here. */
    signal (number, SIG_DFL);
}

static void
on_bus_error (int number, siginfo_t *info, void *context)
{
  uintptr_t address = (uintptr_t) info->si_addr, end;
  IpcGuard *guard = info->si_code == BUS_ADRERR ? find (address, &end) : NULL;
  int problem = errno;

  if (guard == NULL || !put_zeros (guard, address, end))
    pass_on (number, info, context);
  errno = problem;
}

/* ---- the maps ---- */

static void
install (void)
{
  struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK };

  page_size = (uintptr_t) sysconf (_SC_PAGESIZE);
  sigemptyset (&action.sa_mask);
  sigaction (SIGBUS, NULL, &previous);
  sigaction (SIGBUS, &action, NULL);
}

static IpcGuard *
take_free (void)
{
  Block *block = &first;

  for (;;)
    {
      Block *next;

      for (unsigned i = 0; i < BLOCK; i++)
        if (atomic_load (&block->guards[i].end) == 0)
          return &block->guards[i];
      next = atomic_load (&block->next);
      if (next == NULL)
        {
          next = calloc (1, sizeof *next);
          atomic_store (&block->next, next);
        }
      if (next == NULL)
        return NULL;
      block = next;
    }
}

IpcGuard *
ipc_guard_map (const void *map, size_t size)
{
  IpcGuard *guard;

  pthread_once (&once, install);
  pthread_mutex_lock (&lock);
  guard = take_free ();
  if (guard != NULL)
    {
      uintptr_t end = ((uintptr_t) map + size + page_size - 1) & ~(page_size - 1);

      atomic_store (&guard->broken, false);
      atomic_store (&guard->start, (uintptr_t) map);
      atomic_store (&guard->end, end);
    }
  pthread_mutex_unlock (&lock);
  return guard;
}

void
ipc_guard_unmap (IpcGuard *self)
{
  if (self != NULL)
    atomic_store (&self->end, 0);
}

unsigned
ipc_guard_begin_restore (IpcGuard *self)
{
  unsigned begun;

  /* Another thread may be about to put zeros over what is mapped now. */
  do
    begun = atomic_load (&self->n_begun);
  while (atomic_load (&self->n_done) != begun);
  atomic_store (&self->broken, false);
  return begun;
}

void
ipc_guard_end_restore (IpcGuard *self, unsigned begun)
{
  /* Whoever came in between has said so, perhaps before that was taken back. */
  if (atomic_load (&self->n_begun) != begun)
    atomic_store (&self->broken, true);
}
