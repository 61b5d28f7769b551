/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Permits: one struct for each slot, made when that slot is first acquired, and used again. Whoever has just acquired the slot
 * is alone with its struct, so that takes no lock. Only where somebody still has a reference to a permit that was given
 * back, the next one of that slot is another struct: the old one is loose then, and is freed with its last reference.
 *
 * All that may happen at the same time is in one word: how many references there are, and flags. It is 0 while nobody
 * has the permit, and to make it so is the last thing that is ever done with it.
 *
 * A permit has no reference to its semaphore: that would cost as much as acquiring. When the semaphore would be
 * finalized, it gives those that somebody has one each (ipc_permits_adopt()), and lives on until the last is gone.
 */
#include "ipc-permit.h"

#include <time.h>

#include "base/ipc-error-private.h"
#include "semaphore/ipc-semaphore-private.h"

/**
 * IpcPermit:
 *
 * A permit of a semaphore, held until it is released.
 *
 * It comes from [method@Ipc.Semaphore.try_acquire], [method@Ipc.Semaphore.acquire] or their asynchronous twin, and goes back
 * with [method@Ipc.Permit.release]. As a safety net it also goes back with its last reference; a language with a garbage collector
 * may drop that late, or never, so release it.
 *
 * ```c
 * g_autoptr(IpcPermit) permit = ipc_semaphore_acquire (semaphore, IPC_TIMEOUT_DEFAULT, NULL, &error);
 *
 * if (permit != NULL)
 *   read_the_disk ();
 * ```
 *
 * A permit keeps its semaphore alive.
 *
 * ## Threads
 *
 * A permit may be used, released and dropped in any thread. It belongs to the process, not to the thread that acquired it.
 *
 * ## When a process dies
 *
 * What it held is free again, for whoever waits, within milliseconds; see [class@Ipc.Semaphore].
 *
 * ## Caveats
 *
 * - A child that was forked and did not exec holds nothing: releasing there fails with %IPC_ERROR_FORKED, and dropping does nothing.
 * - A process that was stopped holds what it holds.
 *
 * Since: 0.1
 */

#define HELD (1u << 31)         /* the slot is ours */
#define ORPHAN (1u << 30)       /* it has a reference to the semaphore */
#define LOOSE (1u << 29)        /* its slot has another permit by now; it is in the list */
#define REFERENCES (LOOSE - 1)

struct _IpcPermit
{
  _Atomic guint word;
  guint slot;
  IpcSemaphore *semaphore;      /* (unowned), or (owned) if ORPHAN */
  gint64 acquired_at;           /* µs UTC */
  _Atomic gint64 *stamp;        /* where the others read it, in shared memory */
};

G_DEFINE_BOXED_TYPE (IpcPermit, ipc_permit, ipc_permit_ref, ipc_permit_unref)

static IpcSemaphoreState *
get_state (IpcPermit *self)
{
  return atomic_load_explicit (&self->semaphore->attached, memory_order_relaxed);
}

/* ---- making ---- */

/* The slot has no permit yet, or one that somebody has a reference to. */
static IpcPermit *
replace (IpcSemaphore *semaphore, IpcSemaphoreState *state, unsigned slot)
{
  IpcPermit *old = state->permits[slot];
  IpcPermit *self;

  g_mutex_lock (&state->lock);
  if (old != NULL && atomic_fetch_or (&old->word, LOOSE) == 0)
    {
      /* The last reference has gone meanwhile. */
      g_mutex_unlock (&state->lock);
      return old;
    }
  if (old != NULL)
    g_ptr_array_add (state->loose, old);
  self = g_new0 (IpcPermit, 1);
  self->slot = slot;
  self->semaphore = semaphore;
  self->stamp = ipc_slots_get_stamp (&state->file.slots, slot);
  state->permits[slot] = self;
  g_mutex_unlock (&state->lock);
  return self;
}

/* The clock of the last tick, which is several times cheaper than the other. */
static gint64
now (void)
{
  struct timespec time;

  clock_gettime (CLOCK_REALTIME_COARSE, &time);
  return (gint64) time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

IpcPermit *
ipc_permit_take (IpcSemaphore *semaphore, IpcSemaphoreState *state, unsigned slot, GError **error)
{
  IpcPermit *self = state->permits[slot];

  if (G_UNLIKELY (!ipc_shared_file_is_intact (&state->file.object.file)))
    {
      ipc_slots_release (&state->file.slots, slot);
      ipc_semaphore_set_broken (semaphore, error);
      return NULL;
    }
  if (G_UNLIKELY (self == NULL || atomic_load_explicit (&self->word, memory_order_acquire) != 0))
    self = replace (semaphore, state, slot);
  self->acquired_at = now ();
  atomic_store_explicit (self->stamp, self->acquired_at, memory_order_relaxed);
  atomic_store_explicit (&self->word, HELD | 1, memory_order_release);
  return self;
}

/* ---- references ---- */

/**
 * ipc_permit_ref:
 * @self: a permit
 *
 * Takes a reference.
 *
 * Returns: (transfer full): the permit
 *
 * Since: 0.1
 */
IpcPermit *
ipc_permit_ref (IpcPermit *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  atomic_fetch_add_explicit (&self->word, 1, memory_order_relaxed);
  return self;
}

/* Nobody has it any more, but it is in the list, where the semaphore may be looking at it. */
static guint
finish_loose (IpcPermit *self, IpcSemaphoreState *state)
{
  guint word;

  g_mutex_lock (&state->lock);
  g_ptr_array_remove_fast (state->loose, self);
  word = atomic_exchange (&self->word, 0);
  g_mutex_unlock (&state->lock);
  g_free (self);
  return word;
}

/* The last reference, whose permit is given back. The slot may be somebody else's already, who finds this one in use as long as
 * the word is not 0; the semaphore stays until then, and longer if it is an orphan's. */
static void
finish (IpcPermit *self, guint word)
{
  IpcSemaphore *semaphore = self->semaphore;
  IpcSemaphoreState *state = get_state (self);

  while ((word & LOOSE) == 0 &&
         !atomic_compare_exchange_weak_explicit (&self->word, &word, 0, memory_order_acq_rel, memory_order_acquire))
    ;
  if ((word & LOOSE) != 0)
    word = finish_loose (self, state);
  if ((word & ORPHAN) != 0)
    g_object_unref (semaphore);
}

/**
 * ipc_permit_unref:
 * @self: a permit
 *
 * Drops a reference. With the last one, the permit is given back if it was not released.
 *
 * Since: 0.1
 */
void
ipc_permit_unref (IpcPermit *self)
{
  IpcSemaphoreState *state;
  guint word;

  g_return_if_fail (self != NULL);

  word = atomic_load_explicit (&self->word, memory_order_acquire);
  while ((word & REFERENCES) > 1)
    if (atomic_compare_exchange_weak_explicit (&self->word, &word, word - 1, memory_order_acq_rel, memory_order_acquire))
      return;
  /* From here on nobody else has it. */
  state = get_state (self);
  if (G_LIKELY (state->generation == ipc_fork_generation ()))
    {
      if ((word & HELD) != 0)
        ipc_slots_release (&state->file.slots, self->slot);
      finish (self, word);
    }
}

/* ---- releasing ---- */

/**
 * ipc_permit_release:
 * @self: a permit
 * @error: return location for an error
 *
 * Gives the permit back; one that waits for it gets it.
 *
 * To release what was released already does nothing, and is no error.
 *
 * Errors: %IPC_ERROR_NOT_HELD if the permit is not this process's any more, which takes somebody who wrote over it;
 * %IPC_ERROR_FORKED in a forked child, whose parent goes on holding it.
 *
 * Returns: %FALSE with @error set if it was not this process's to give back
 *
 * Since: 0.1
 */
gboolean
ipc_permit_release (IpcPermit *self, GError **error)
{
  IpcSemaphoreState *state;

  g_return_val_if_fail (self != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  state = get_state (self);
  if (G_UNLIKELY (state->generation != ipc_fork_generation ()))
    return ipc_error_check_fork (state->generation, "the permit", error);
  if ((atomic_fetch_and_explicit (&self->word, ~HELD, memory_order_acq_rel) & HELD) == 0)
    return TRUE;
  if (G_LIKELY (ipc_slots_release (&state->file.slots, self->slot)))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_HELD, "semaphore \"%s\": permit %u of %u is not held by this process any more",
               self->semaphore->name, self->slot + 1, state->file.n_permits);
  return FALSE;
}

/* ---- looking ---- */

/**
 * ipc_permit_get_semaphore:
 * @self: a permit
 *
 * Gets the semaphore that it is of.
 *
 * Returns: (transfer none): the semaphore
 *
 * Since: 0.1
 */
IpcSemaphore *
ipc_permit_get_semaphore (IpcPermit *self)
{
  g_return_val_if_fail (self != NULL, NULL);

  return self->semaphore;
}

/**
 * ipc_permit_get_is_held:
 * @self: a permit
 *
 * Whether it is held: not released yet, by the process that acquired it.
 *
 * Returns: %TRUE if it is held
 *
 * Since: 0.1
 */
gboolean
ipc_permit_get_is_held (IpcPermit *self)
{
  g_return_val_if_fail (self != NULL, FALSE);

  return (atomic_load_explicit (&self->word, memory_order_relaxed) & HELD) != 0 && get_state (self)->generation == ipc_fork_generation ();
}

/**
 * ipc_permit_get_acquired_at:
 * @self: a permit
 *
 * When it was acquired, with the resolution of the system's tick (a few milliseconds).
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_permit_get_acquired_at (IpcPermit *self)
{
  g_return_val_if_fail (self != NULL, 0);

  return self->acquired_at;
}

/* ---- what the semaphore does ---- */

static void
adopt (IpcPermit *self, IpcSemaphore *semaphore)
{
  guint word = atomic_load (&self->word);

  while (word != 0 && (word & ORPHAN) == 0)
    {
      g_object_ref (semaphore);
      if (atomic_compare_exchange_strong (&self->word, &word, word | ORPHAN))
        return;
      g_object_unref (semaphore);
    }
}

void
ipc_permits_adopt (IpcSemaphore *semaphore, IpcSemaphoreState *state)
{
  g_mutex_lock (&state->lock);
  for (guint i = 0; i < state->file.n_permits; i++)
    if (state->permits[i] != NULL)
      adopt (state->permits[i], semaphore);
  for (guint i = 0; i < state->loose->len; i++)
    adopt (state->loose->pdata[i], semaphore);
  g_mutex_unlock (&state->lock);
}

void
ipc_permits_free (IpcSemaphoreState *state)
{
  for (guint i = 0; i < state->file.n_permits; i++)
    {
      /* Also sees all that its last owner did. */
      g_assert (state->permits[i] == NULL || state->generation != ipc_fork_generation () || atomic_load (&state->permits[i]->word) == 0);
      g_free (state->permits[i]);
    }
  g_free (state->permits);
  g_ptr_array_unref (state->loose);
}
