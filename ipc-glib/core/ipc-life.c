/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-life.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
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
  _Atomic uint32_t ready;
  _Atomic uint32_t over;
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

static void *
run (void *data)
{
  IpcLife *self = data;

  register_list (self);
  atomic_store (&self->ready, 1);
  ipc_futex_wake (&self->ready, 1);
  while (atomic_load (&self->over) == 0)
    ipc_futex_wait (&self->over, 0, 0);
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
ipc_life_new (_Atomic uint32_t *word)
{
  IpcLife *self = calloc (1, sizeof *self);

  if (self == NULL)
    return NULL;
  self->word = word;
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
  ipc_futex_wake (&self->over, 1);
  pthread_join (self->thread, NULL);
  free (self);
  /* Who slept on it looks again. */
  ipc_futex_wake (word, INT_MAX);
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
