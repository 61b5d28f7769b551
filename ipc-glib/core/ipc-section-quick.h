/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading and writing little, where nothing is in the way: nobody else writes, nothing is torn, nobody has died of it. To call a function
 * takes as long as a good part of that, so it is all here, and whatever else there may be is left to core/ipc-section.c.
 */
#pragma once

#include "core/ipc-racy-copy.h"
#include "core/ipc-section.h"

#define IPC_SECTION_LITTLE 16384u       /* to copy that takes no longer than to wake somebody up */
#define IPC_SECTION_SAMPLE 8u           /* the clock is a fifth of what little costs, so it is looked at this seldom */

typedef enum
{
  IPC_SECTION_TEARS,            /* what an intention says of a crash: it leaves a tear */
  IPC_SECTION_REDOES,           /* the bytes are in the journal */
} IpcSectionKind;

/* What precedes the lock. All but the count of reads, and the length where it grows, changes only with the lock. */
typedef struct
{
  _Alignas (64) _Atomic uint64_t sequence;      /* odd: somebody writes, or died of it */
  _Atomic uint64_t begin;       /* the intention: what is being written */
  _Atomic uint64_t end;
  _Atomic uint32_t kind;
  _Atomic uint32_t sealed;
  _Atomic uint64_t torn_begin;
  _Atomic uint64_t torn_end;    /* 0: nothing is torn */
  _Atomic int64_t last_write;
  _Alignas (64) _Atomic uint64_t length;
  IpcTallyPlace reads[IPC_TALLY_PLACES];
  _Alignas (64) uint8_t journal[IPC_SECTION_ATOMIC];
} IpcSectionControl;

_Static_assert (sizeof (IpcSectionControl) == 64 * (2 + IPC_TALLY_PLACES) + IPC_SECTION_ATOMIC, "the layout is shared between processes");

static inline IpcSectionControl *
ipc_section_get_control (const IpcSection *self)
{
  return (IpcSectionControl *) self->memory;
}

/* How many bytes there are; what is mapped may be less, where another process has made it longer. */
static inline uint64_t
ipc_section_get_length (const IpcSection *self)
{
  return atomic_load_explicit (&ipc_section_get_control (self)->length, memory_order_acquire);
}

/* ---- writing ---- */

/* With the lock: says what is going to be written. From the odd sequence number on, which it returns, it is promised. */
static inline uint64_t
ipc_section_begin_write (IpcSectionControl *control, uint64_t begin, uint64_t end, IpcSectionKind kind)
{
  uint64_t sequence = atomic_load_explicit (&control->sequence, memory_order_relaxed) + 1;

  atomic_store_explicit (&control->begin, begin, memory_order_relaxed);
  atomic_store_explicit (&control->end, end, memory_order_relaxed);
  atomic_store_explicit (&control->kind, kind, memory_order_relaxed);
  /* No byte is changed before it is odd. Much is copied by stores that wait for no others, but for a locked instruction. */
  if (kind == IPC_SECTION_TEARS)
    atomic_store_explicit (&control->sequence, sequence, memory_order_seq_cst);
  else
    atomic_store_explicit (&control->sequence, sequence, memory_order_release);
  ipc_racy_fence (memory_order_release);
  return sequence;
}

/* SEQUENCE is what the other one returned. */
static inline void
ipc_section_end_write (IpcSection *self, uint64_t sequence)
{
  atomic_store_explicit (&ipc_section_get_control (self)->sequence, sequence + 1, memory_order_release);
  if (__builtin_expect (sequence / 2 % IPC_SECTION_SAMPLE == 0, false))
    ipc_section_stamp (self);
}

/* False: nothing was written, and it is for ipc_section_write(). */
static inline bool
ipc_section_write_quickly (IpcSection *self, uint8_t *bytes, uint64_t offset, const void *from, size_t size)
{
  IpcSectionControl *control = ipc_section_get_control (self);
  bool possible;

  /* Not nothing. */
  if (size - 1 >= self->redoes || !self->locks || !ipc_slots_try_light (&self->quick))
    return false;
  possible = (atomic_load_explicit (&control->sequence, memory_order_relaxed) & 1) == 0 &&
             atomic_load_explicit (&control->torn_end, memory_order_relaxed) == 0 &&
             atomic_load_explicit (&control->sealed, memory_order_relaxed) == 0;
  if (__builtin_expect (possible, true))
    {
      uint64_t sequence;

      ipc_racy_copy (control->journal, from, size);
      sequence = ipc_section_begin_write (control, offset, offset + size, IPC_SECTION_REDOES);
      ipc_racy_copy (bytes + offset, from, size);
      ipc_section_end_write (self, sequence);
    }
  ipc_slots_release_light (&self->quick);
  return possible;
}

/* ---- reading ---- */

/* Once more. */
static inline void
ipc_section_note_read (IpcSection *self)
{
  uint64_t before;
  IpcTallyPlace *place = ipc_tally_count (ipc_section_get_control (self)->reads, ipc_owner_get_index (self->quick.me), &before);

  if (__builtin_expect (before % IPC_SECTION_SAMPLE == 0, false))
    ipc_section_stamp_read (place);
}

/* False: what is in TO means nothing, and it is for ipc_section_read(). */
static inline bool
ipc_section_read_quickly (IpcSection *self, const uint8_t *bytes, uint64_t offset, void *to, size_t size)
{
  IpcSectionControl *control = ipc_section_get_control (self);
  uint64_t sequence = atomic_load_explicit (&control->sequence, memory_order_acquire);

  /* Not nothing. */
  if (size - 1 >= IPC_SECTION_LITTLE || !self->locks || (sequence & 1) != 0 ||
      atomic_load_explicit (&control->torn_end, memory_order_relaxed) != 0)
    return false;
  ipc_racy_copy (to, bytes + offset, size);
  ipc_racy_fence (memory_order_acquire);
  if (__builtin_expect (atomic_load_explicit (&control->sequence, memory_order_relaxed) != sequence, false))
    return false;
  ipc_section_note_read (self);
  return true;
}
