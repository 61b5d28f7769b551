/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-journal-records.h"

#include <string.h>

#include "core/ipc-dirty.h"

#define RECORD_MAGIC 0x634a7069u
#define MAX_RANGES (1u << 24)

typedef struct
{
  uint64_t offset;
  uint64_t length;
} StoredRange;

_Static_assert (sizeof (IpcJournalHeader) == 72 && sizeof (IpcJournalRecordHead) == 40 && sizeof (StoredRange) == 16, "this is what files have");

static const char magic[8] = { 'i', 'p', 'c', '-', 'j', 'r', 'n', 'l' };

/* ---- the sum ---- */

#define ODD_1 UINT64_C (0x9e3779b97f4a7c15)
#define ODD_2 UINT64_C (0xd6e8feb86659fd93)

static inline uint64_t
add_word (uint64_t sum, uint64_t word)
{
  sum = (sum ^ word) * ODD_1;
  return sum << 29 | sum >> 35;
}

static uint64_t
mix (uint64_t sum)
{
  sum = (sum ^ sum >> 32) * ODD_2;
  return sum ^ sum >> 29;
}

/* Of SIZE bytes, a multiple of 8. Four at a time, as one has to wait for itself. It is to tell what was torn, and no defence against
 * somebody who means it. */
static uint64_t
sum (const uint8_t *bytes, uint64_t size, uint64_t seed)
{
  uint64_t sums[4] = { seed, seed + ODD_1, seed + ODD_2, seed - ODD_1 };
  uint64_t words[4], at = 0;

  for (; at + sizeof words <= size; at += sizeof words)
    {
      memcpy (words, bytes + at, sizeof words);
      for (int i = 0; i < 4; i++)
        sums[i] = add_word (sums[i], words[i]);
    }
  for (; at < size; at += 8)
    {
      memcpy (words, bytes + at, 8);
      sums[0] = add_word (sums[0], words[0]);
    }
  return mix (sums[0]) + mix (sums[1] ^ ODD_2) + mix (sums[2] + size) + mix (sums[3] ^ size);
}

/* ---- headers ---- */

static uint64_t
sum_header (const IpcJournalHeader *self)
{
  IpcJournalHeader copy = *self;

  copy.checksum = 0;
  return sum ((const uint8_t *) &copy, sizeof copy, ODD_2);
}

void
ipc_journal_header_seal (IpcJournalHeader *self)
{
  memcpy (self->magic, magic, sizeof magic);
  self->version = IPC_JOURNAL_VERSION;
  self->unused = 0;
  self->checksum = sum_header (self);
}

IpcJournalHeaderState
ipc_journal_header_judge (const IpcJournalHeader *self)
{
  if (memcmp (self->magic, magic, sizeof magic) != 0)
    return IPC_JOURNAL_HEADER_NONE;
  if (self->version != IPC_JOURNAL_VERSION)
    return IPC_JOURNAL_HEADER_NEWER;
  if (self->generation == 0 || self->generation == UINT64_MAX || self->first_sequence == 0 || self->checksum != sum_header (self))
    return IPC_JOURNAL_HEADER_NONE;
  return IPC_JOURNAL_HEADER_GOOD;
}

uint64_t
ipc_journal_header_get_seed (const IpcJournalHeader *self)
{
  return mix (self->salt + self->generation * ODD_1);
}

/* ---- records ---- */

static uint64_t
pad (uint64_t length)
{
  return (length + 7) & ~(uint64_t) 7;
}

uint64_t
ipc_journal_record_measure (const IpcJournalRange *ranges, size_t n)
{
  uint64_t size = sizeof (IpcJournalRecordHead) + n * sizeof (StoredRange);

  if (n > MAX_RANGES)
    return 0;
  for (size_t i = 0; i < n; i++)
    {
      if (ranges[i].length > IPC_DIRTY_MAX || size > IPC_DIRTY_MAX)
        return 0;
      size += pad (ranges[i].length);
    }
  return size;
}

static void
set_checksum (uint8_t *record, uint64_t size, uint64_t seed)
{
  IpcJournalRecordHead head;

  memcpy (&head, record, sizeof head);
  head.checksum = sum (record, size, seed);
  memcpy (record, &head, sizeof head);
}

void
ipc_journal_record_write (uint8_t *record, const IpcJournalRange *ranges, size_t n, uint64_t sequence, uint64_t file_size, uint64_t seed)
{
  IpcJournalRecordHead head = { .magic = RECORD_MAGIC, .n_ranges = (uint32_t) n, .sequence = sequence, .file_size = file_size };
  uint8_t *at = record + sizeof head;
  uint8_t *data = at + n * sizeof (StoredRange);

  for (size_t i = 0; i < n; i++)
    {
      const StoredRange stored = { ranges[i].offset, ranges[i].length };

      memcpy (at + i * sizeof stored, &stored, sizeof stored);
      memcpy (data, ranges[i].data, (size_t) stored.length);
      memset (data + stored.length, 0, (size_t) (pad (stored.length) - stored.length));
      data += pad (stored.length);
    }
  head.length = (uint64_t) (data - record);
  memcpy (record, &head, sizeof head);
  set_checksum (record, head.length, seed);
}

bool
ipc_journal_record_is_head (const IpcJournalRecordHead *head, uint64_t sequence, uint64_t room)
{
  return head->magic == RECORD_MAGIC && head->sequence == sequence && head->length <= room && head->length % 8 == 0 &&
         head->n_ranges >= 1 && head->n_ranges <= MAX_RANGES && head->file_size <= IPC_DIRTY_MAX &&
         sizeof *head + (uint64_t) head->n_ranges * sizeof (StoredRange) <= head->length;
}

void
ipc_journal_record_get (const uint8_t *record, uint32_t i, IpcJournalRange *range, uint64_t *position)
{
  IpcJournalRecordHead head;
  StoredRange stored;

  memcpy (&head, record, sizeof head);
  if (i == 0)
    *position = sizeof head + (uint64_t) head.n_ranges * sizeof stored;
  memcpy (&stored, record + sizeof head + (uint64_t) i * sizeof stored, sizeof stored);
  *range = (IpcJournalRange){ stored.offset, stored.length, record + *position };
  *position += pad (stored.length);
}

/* Each is in the file, and they fill the record. */
static bool
check_ranges (const uint8_t *record, const IpcJournalRecordHead *head)
{
  uint64_t position = 0;

  for (uint32_t i = 0; i < head->n_ranges; i++)
    {
      IpcJournalRange range;

      ipc_journal_record_get (record, i, &range, &position);
      if (range.length > head->file_size || range.offset > head->file_size - range.length || position > head->length)
        return false;
    }
  return position == head->length;
}

bool
ipc_journal_record_is_whole (uint8_t *record, uint64_t seed)
{
  IpcJournalRecordHead head, without;
  uint64_t found;

  memcpy (&head, record, sizeof head);
  without = head;
  without.checksum = 0;
  memcpy (record, &without, sizeof without);
  found = sum (record, head.length, seed);
  memcpy (record, &head, sizeof head);
  return found == head.checksum && check_ranges (record, &head);
}
