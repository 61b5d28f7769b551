/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-life.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/ipc-futex.h"

#define STACK_SIZE 65536u

struct _IpcLife
{
  struct robust_list_head head; /* the kernel reads it at the end of the thread */
  struct robust_list node;
  _Atomic uint32_t *word;
  pthread_t thread;
  IpcLifeChanged changed;
  void *data;
  _Atomic uint32_t ready;
  _Atomic uint32_t over;
  _Atomic uint32_t turn;        /* the thread sleeps on it; another value each time that it is to look */

  pthread_mutex_t lock;
  unsigned n_watched;           /* (mutex lock) */
  IpcFutexWait watched[IPC_FUTEX_MAX_WORDS - 1];        /* (mutex lock) */
};

/* The list has one node, and the word lies at an offset from it. */
static void
register_list (IpcLife *self)
{
  self->head.list.next = &self->node;
  self->node.next = &self->head.list;
  self->head.futex_offset = (long) ((uintptr_t) self->word - (uintptr_t) &self->node);
  self->head.list_op_pending = NULL;
  if (syscall (SYS_set_robust_list, &self->head, sizeof self->head) == 0)
    atomic_store (self->word, (uint32_t) syscall (SYS_gettid));
}

/* Takes those that have changed out. */
static bool
find_changed (IpcLife *self)
{
  unsigned n = 0;
  bool changed;

  pthread_mutex_lock (&self->lock);
  for (unsigned i = 0; i < self->n_watched; i++)
    if (atomic_load (self->watched[i].word) == self->watched[i].expected)
      self->watched[n++] = self->watched[i];
  changed = n != self->n_watched;
  self->n_watched = n;
  pthread_mutex_unlock (&self->lock);
  return changed;
}

static void
watch (IpcLife *self)
{
  IpcFutexWait waits_for[IPC_FUTEX_MAX_WORDS];
  unsigned n;

  waits_for[0] = (IpcFutexWait){ .word = &self->turn, .expected = atomic_load (&self->turn) };
  if (atomic_load (&self->over) != 0)
    return;
  pthread_mutex_lock (&self->lock);
  n = self->n_watched;
  memcpy (waits_for + 1, self->watched, n * sizeof waits_for[0]);
  pthread_mutex_unlock (&self->lock);
  ipc_futex_wait_any (waits_for, n + 1, 0);
  if (find_changed (self))
    self->changed (self->data);
}

static void
call_thread (IpcLife *self)
{
  atomic_fetch_add (&self->turn, 1);
  ipc_futex_wake (&self->turn, 1);
}

static void *
run (void *data)
{
  IpcLife *self = data;

  register_list (self);
  atomic_store (&self->ready, 1);
  ipc_futex_wake (&self->ready, 1);
  while (atomic_load (&self->over) == 0)
    watch (self);
  /* In this order, so that the kernel finds nothing to mark. */
  atomic_store (self->word, 0);
  self->head.list.next = &self->head.list;
  return NULL;
}

static bool
start (IpcLife *self)
{
  sigset_t every, before;
  pthread_attr_t attributes;
  bool started;

  if (pthread_attr_init (&attributes) != 0)
    return false;
  pthread_attr_setstacksize (&attributes, STACK_SIZE > PTHREAD_STACK_MIN ? STACK_SIZE : (size_t) PTHREAD_STACK_MIN);
  /* Signals of the process are none of its business. */
  sigfillset (&every);
  pthread_sigmask (SIG_SETMASK, &every, &before);
  started = pthread_create (&self->thread, &attributes, run, self) == 0;
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  pthread_attr_destroy (&attributes);
  return started;
}

IpcLife *
ipc_life_new (_Atomic uint32_t *word, IpcLifeChanged changed, void *data)
{
  IpcLife *self = calloc (1, sizeof *self);

  if (self == NULL)
    return NULL;
  self->word = word;
  self->changed = changed;
  self->data = data;
  pthread_mutex_init (&self->lock, NULL);
  if (!start (self))
    {
      free (self);
      return NULL;
    }
  pthread_setname_np (self->thread, "ipc-glib life");
  while (atomic_load (&self->ready) == 0)
    ipc_futex_wait (&self->ready, 0, 0);
  return self;
}

void
ipc_life_free (IpcLife *self)
{
  _Atomic uint32_t *word = self->word;

  atomic_store (&self->over, 1);
  call_thread (self);
  pthread_join (self->thread, NULL);
  pthread_mutex_destroy (&self->lock);
  free (self);
  /* Who slept on it looks again. */
  ipc_futex_wake (word, INT_MAX);
}

void
ipc_life_add (IpcLife *self, _Atomic uint32_t *word, uint32_t expected)
{
  const unsigned room = sizeof self->watched / sizeof self->watched[0];
  bool known = false;

  pthread_mutex_lock (&self->lock);
  for (unsigned i = 0; i < self->n_watched && !known; i++)
    known = self->watched[i].word == word;
  if (!known && self->n_watched == room)
    memmove (self->watched, self->watched + 1, --self->n_watched * sizeof self->watched[0]);
  if (!known)
    self->watched[self->n_watched++] = (IpcFutexWait){ .word = word, .expected = expected };
  pthread_mutex_unlock (&self->lock);
  if (!known)
    call_thread (self);
}

bool
ipc_life_is_over (uint32_t value)
{
  return (value & FUTEX_OWNER_DIED) != 0;
}

bool
ipc_life_watch (_Atomic uint32_t *word, uint32_t *expected)
{
  uint32_t value = atomic_load (word);

  while (value != 0 && !ipc_life_is_over (value) && (value & FUTEX_WAITERS) == 0)
    if (atomic_compare_exchange_weak (word, &value, value | FUTEX_WAITERS))
      value |= FUTEX_WAITERS;
  if (value == 0 || ipc_life_is_over (value))
    return false;
  *expected = value;
  return true;
}
