/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See ipc-section.h. Sequence locks after C. Lameter (Linux 2.5.60) as H.-J. Boehm, "Can seqlocks get along with programming
 * language memory models?" (2012), puts them into the C11 memory model; intentions that are written down first after redo logs of
 * databases.
 */
#include "core/ipc-section.h"

#include <string.h>
#include <time.h>

#include "core/ipc-racy-copy.h"
#include "core/ipc-section-quick.h"

#define ATTEMPTS_LITTLE 64
#define ATTEMPTS_MUCH 2
#define SPIN_NS 100000          /* so long one that waits for much looks before it sleeps */

typedef IpcSectionControl Control;

/* It does not go away while somebody is attached, whether or not its name does. */
static _Atomic uint32_t never;

size_t
ipc_section_get_size (void)
{
  return sizeof (Control) + ipc_slots_get_size (1, IPC_SECTION_MAX_WAITERS);
}

void
ipc_section_init (IpcSection *self, uint8_t *memory, IpcPresence *presence)
{
  *self = (IpcSection){ .memory = memory, .locks = presence != NULL, .patience = IPC_SECTION_PATIENCE_NS, .redoes = IPC_SECTION_ATOMIC };
  if (presence == NULL)
    return;
  ipc_slots_init (&self->quick, memory + sizeof (Control), 1, IPC_SECTION_MAX_WAITERS, presence, &never);
  ipc_slots_init (&self->fair, memory + sizeof (Control), 1, IPC_SECTION_MAX_WAITERS, presence, &never);
  self->fair.patience = 0;
  self->fair.spin = SPIN_NS;
  ipc_slots_set_light (&self->quick);
  ipc_slots_set_light (&self->fair);
}

void
ipc_section_set_length (IpcSection *self, uint64_t length)
{
  atomic_store_explicit (&ipc_section_get_control (self)->length, length, memory_order_release);
}

static int64_t
get_time (void)
{
  struct timespec now;

  clock_gettime (CLOCK_REALTIME_COARSE, &now);
  return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool
overlap (uint64_t begin, uint64_t end, uint64_t other_begin, uint64_t other_end)
{
  return begin < other_end && other_begin < end;
}

/* ---- the lock ---- */

static IpcSlots *
get_lock (IpcSection *self, size_t size)
{
  return size <= IPC_SECTION_LITTLE ? &self->quick : &self->fair;
}

static bool
get_torn (const Control *control, uint64_t *begin, uint64_t *end)
{
  *end = atomic_load_explicit (&((Control *) control)->torn_end, memory_order_relaxed);
  *begin = atomic_load_explicit (&((Control *) control)->torn_begin, memory_order_relaxed);
  return *end != 0;
}

/* Each store alone makes what is torn larger, so whoever is killed in between leaves nothing that doing it again does not mend. */
static void
tear (Control *control, uint64_t begin, uint64_t end)
{
  uint64_t torn_begin, torn_end;

  if (!get_torn (control, &torn_begin, &torn_end) || begin < torn_begin)
    atomic_store (&control->torn_begin, begin);
  if (end > torn_end)
    atomic_store (&control->torn_end, end);
}

static IpcSectionOutcome
judge (const Control *control, uint64_t offset, size_t size)
{
  uint64_t begin, end;

  return get_torn (control, &begin, &end) && overlap (offset, offset + size, begin, end) ? IPC_SECTION_TORN : IPC_SECTION_DONE;
}

/* A write that covers all of what is torn makes it whole. */
static void
mend (Control *control, uint64_t begin, uint64_t end)
{
  uint64_t torn_begin, torn_end;

  if (get_torn (control, &torn_begin, &torn_end) && begin <= torn_begin && torn_end <= end)
    atomic_store (&control->torn_end, 0);
}

/* The last one who wrote died of it. What it said may be anything, as it is in shared memory. */
static void
settle (Control *control, const IpcSectionData *data, uint64_t begin, uint64_t end)
{
  if (atomic_load (&control->kind) == IPC_SECTION_REDOES && end - begin <= IPC_SECTION_ATOMIC)
    {
      ipc_racy_copy (data->bytes + begin, control->journal, (size_t) (end - begin));
      mend (control, begin, end);
    }
  else if (begin < end)
    tear (control, begin, end);
  atomic_store (&control->sequence, (atomic_load (&control->sequence) | 1) + 1);
}

static IpcSectionOutcome
settle_last (IpcSection *self, const IpcSectionData *data)
{
  Control *control = ipc_section_get_control (self);
  uint64_t begin, end, length;

  if (!data->writable)
    return IPC_SECTION_READ_ONLY;
  begin = atomic_load (&control->begin);
  end = atomic_load (&control->end);
  length = ipc_section_get_length (self);
  if (end > data->length && end <= length)
    return IPC_SECTION_GROWN;
  end = end < data->length ? end : data->length;
  settle (control, data, begin < end ? begin : end, end);
  return IPC_SECTION_DONE;
}

/* Somebody else has it. */
static bool
wait_for_lock (IpcSection *self, IpcSlots *slots)
{
  int64_t deadline = ipc_futex_now () + self->patience;
  unsigned slot;

  do
    {
      IpcSlotsOutcome acquired = ipc_slots_acquire (slots, deadline, NULL, &slot);

      if (acquired == IPC_SLOTS_ACQUIRED)
        return true;
      /* Where too many wait, they come and go. */
      if (acquired != IPC_SLOTS_TOO_MANY || ipc_futex_now () >= deadline)
        return false;
    }
  while (!ipc_slots_try (slots, &slot));
  return true;
}

static bool
needs_settling (const IpcSection *self)
{
  return (atomic_load_explicit (&ipc_section_get_control (self)->sequence, memory_order_acquire) & 1) != 0;
}

/* With the lock, which is given back if that fails. */
static IpcSectionOutcome
settle_locked (IpcSection *self, IpcSlots *slots, const IpcSectionData *data)
{
  IpcSectionOutcome outcome = settle_last (self, data);

  if (outcome != IPC_SECTION_DONE)
    ipc_slots_release_light (slots);
  return outcome;
}

/* *WAITED: somebody else had it. */
static IpcSectionOutcome
lock (IpcSection *self, IpcSlots *slots, const IpcSectionData *data, bool *waited)
{
  unsigned slot;

  *waited = false;
  if (!self->locks)
    return IPC_SECTION_UNSUPPORTED;
  if (!ipc_slots_try (slots, &slot))
    {
      *waited = true;
      if (!wait_for_lock (self, slots))
        return IPC_SECTION_BUSY;
    }
  return needs_settling (self) ? settle_locked (self, slots, data) : IPC_SECTION_DONE;
}

IpcSectionOutcome
ipc_section_lock (IpcSection *self, const IpcSectionData *data)
{
  bool waited;

  return lock (self, &self->quick, data, &waited);
}

void
ipc_section_unlock (IpcSection *self)
{
  ipc_slots_release_light (&self->quick);
}

IpcOwner
ipc_section_get_writer (IpcSection *self)
{
  int64_t since;

  return self->locks ? ipc_slots_get_holder (&self->quick, 0, &since) : 0;
}

void
ipc_section_set_sealed (IpcSection *self, bool sealed)
{
  atomic_store (&ipc_section_get_control (self)->sealed, sealed);
}

bool
ipc_section_is_sealed (const IpcSection *self)
{
  return atomic_load_explicit (&ipc_section_get_control (self)->sealed, memory_order_relaxed) != 0;
}

/* ---- writing ---- */

/* The same for those who are going to write. */
static IpcSectionOutcome
lock_to_write (IpcSection *self, IpcSlots *slots, const IpcSectionData *data, bool *waited)
{
  IpcSectionOutcome outcome = lock (self, slots, data, waited);

  if (outcome != IPC_SECTION_DONE || !ipc_section_is_sealed (self))
    return outcome;
  ipc_slots_release_light (slots);
  return IPC_SECTION_SEALED;
}

/* With the lock. */
static void
write_locked (IpcSection *self, const IpcSectionData *data, uint64_t offset, const void *from, size_t size, bool past_cache)
{
  Control *control = ipc_section_get_control (self);
  uint64_t sequence;

  if (size <= self->redoes)
    ipc_racy_copy (control->journal, from, size);
  sequence = ipc_section_begin_write (control, offset, offset + size, size <= self->redoes ? IPC_SECTION_REDOES : IPC_SECTION_TEARS);
  if (past_cache)
    ipc_racy_copy_past_cache (data->bytes + offset, from, size);
  else
    ipc_racy_copy (data->bytes + offset, from, size);
  mend (control, offset, offset + size);
  ipc_section_end_write (self, sequence);
}

IpcSectionOutcome
ipc_section_write (IpcSection *self, const IpcSectionData *data, uint64_t offset, const void *from, size_t size)
{
  IpcSlots *slots = get_lock (self, size);
  bool waited;
  IpcSectionOutcome outcome = lock_to_write (self, slots, data, &waited);

  if (outcome != IPC_SECTION_DONE)
    return outcome;
  write_locked (self, data, offset, from, size, waited && size > IPC_SECTION_LITTLE);
  ipc_slots_release_light (slots);
  return IPC_SECTION_DONE;
}

IpcSectionOutcome
ipc_section_add (IpcSection *self, const IpcSectionData *data, uint64_t offset, int64_t summand, int64_t *result)
{
  bool waited;
  IpcSectionOutcome outcome = lock_to_write (self, &self->quick, data, &waited);
  int64_t sum;

  if (outcome != IPC_SECTION_DONE)
    return outcome;
  outcome = judge (ipc_section_get_control (self), offset, sizeof sum);
  if (outcome == IPC_SECTION_DONE)
    {
      ipc_racy_copy (&sum, data->bytes + offset, sizeof sum);
      sum = (int64_t) ((uint64_t) sum + (uint64_t) summand);
      write_locked (self, data, offset, &sum, sizeof sum, false);
      *result = sum;
    }
  ipc_slots_release_light (&self->quick);
  return outcome;
}

/* ---- reading ---- */

/* False: somebody was writing there. */
static bool
try_read (Control *control, const IpcSectionData *data, uint64_t offset, void *to, size_t size, IpcSectionOutcome *outcome)
{
  uint64_t sequence = atomic_load_explicit (&control->sequence, memory_order_acquire);

  if ((sequence & 1) != 0 &&
      overlap (offset, offset + size, atomic_load_explicit (&control->begin, memory_order_relaxed),
               atomic_load_explicit (&control->end, memory_order_relaxed)))
    return false;
  ipc_racy_copy (to, data->bytes + offset, size);
  *outcome = judge (control, offset, size);
  ipc_racy_fence (memory_order_acquire);
  return atomic_load_explicit (&control->sequence, memory_order_relaxed) == sequence;
}

/* Without the lock there is nothing but to try again. */
static IpcSectionOutcome
read_patiently (IpcSection *self, const IpcSectionData *data, uint64_t offset, void *to, size_t size)
{
  int64_t deadline = ipc_futex_now () + self->patience;
  IpcSectionOutcome outcome;

  do
    for (int i = 0; i < 100; i++, ipc_relax ())
      if (try_read (ipc_section_get_control (self), data, offset, to, size, &outcome))
        return outcome;
  while (ipc_futex_now () < deadline);
  return IPC_SECTION_BUSY;
}

static IpcSectionOutcome
read_locked (IpcSection *self, const IpcSectionData *data, uint64_t offset, void *to, size_t size)
{
  IpcSlots *slots = get_lock (self, size);
  bool waited;
  IpcSectionOutcome outcome = lock (self, slots, data, &waited);

  if (outcome != IPC_SECTION_DONE)
    return outcome;
  ipc_racy_copy (to, data->bytes + offset, size);
  outcome = judge (ipc_section_get_control (self), offset, size);
  ipc_slots_release_light (slots);
  return outcome;
}

/* DONE, TORN, or BUSY after some attempts. Where somebody has the lock, it is in vain to begin to copy much. */
static IpcSectionOutcome
read_in_time (IpcSection *self, const IpcSectionData *data, uint64_t offset, void *to, size_t size)
{
  int attempts = size <= IPC_SECTION_LITTLE ? ATTEMPTS_LITTLE : ATTEMPTS_MUCH;
  IpcSectionOutcome outcome;

  if (size > IPC_SECTION_LITTLE && ipc_section_get_writer (self) != 0 && !ipc_section_is_sealed (self))
    return IPC_SECTION_BUSY;
  for (int i = 0; i < attempts; i++, ipc_relax ())
    if (try_read (ipc_section_get_control (self), data, offset, to, size, &outcome))
      return outcome;
  return IPC_SECTION_BUSY;
}

IpcSectionOutcome
ipc_section_read (IpcSection *self, const IpcSectionData *data, uint64_t offset, void *to, size_t size)
{
  IpcSectionOutcome outcome = read_in_time (self, data, offset, to, size);

  if (outcome == IPC_SECTION_BUSY)
    outcome = self->locks ? read_locked (self, data, offset, to, size) : read_patiently (self, data, offset, to, size);
  /* Who has the lock may be writing elsewhere. */
  if (outcome == IPC_SECTION_BUSY && !try_read (ipc_section_get_control (self), data, offset, to, size, &outcome))
    return IPC_SECTION_BUSY;
  if (outcome == IPC_SECTION_DONE && self->locks)
    ipc_section_note_read (self);
  return outcome;
}

/* ---- what is torn ---- */

bool
ipc_section_get_torn (const IpcSection *self, uint64_t *begin, uint64_t *end)
{
  return get_torn (ipc_section_get_control (self), begin, end);
}

IpcSectionOutcome
ipc_section_accept (IpcSection *self, const IpcSectionData *data)
{
  IpcSectionOutcome outcome = ipc_section_lock (self, data);

  if (outcome != IPC_SECTION_DONE)
    return outcome;
  atomic_store (&ipc_section_get_control (self)->torn_end, 0);
  ipc_section_unlock (self);
  return outcome;
}

void
ipc_section_stamp (IpcSection *self)
{
  atomic_store_explicit (&ipc_section_get_control (self)->last_write, get_time (), memory_order_relaxed);
}

void
ipc_section_stamp_read (IpcTallyPlace *place)
{
  atomic_store_explicit (&place->last, get_time (), memory_order_relaxed);
}

void
ipc_section_count (IpcSection *self, IpcSectionStatistics *statistics)
{
  Control *control = ipc_section_get_control (self);

  *statistics = (IpcSectionStatistics){
    .n_writes = atomic_load_explicit (&control->sequence, memory_order_relaxed) / 2,
    .last_access = atomic_load_explicit (&control->last_write, memory_order_relaxed),
  };
  for (unsigned i = 0; i < IPC_TALLY_PLACES; i++)
    {
      int64_t last = atomic_load_explicit (&control->reads[i].last, memory_order_relaxed);

      statistics->n_reads += atomic_load_explicit (&control->reads[i].n, memory_order_relaxed);
      if (last > statistics->last_access)
        statistics->last_access = last;
    }
}
