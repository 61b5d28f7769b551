/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is in a journal (core/ipc-journal.h), as bytes: how it is written, and how it is judged when it is read, which may be after
 * somebody else has written there, or half of it has.
 *
 * A record is its head, its ranges, and the bytes of each range, filled up with zeros to a multiple of 8. All that is in it is
 * summed up, from a number on that only records of the same generation have in common: so what is left of an earlier one is none.
 * Numbers are in the byte order of the machine; a journal is of no use on another one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct
{
  uint64_t offset;              /* in the file */
  uint64_t length;
  const void *data;
} IpcJournalRange;

/* Of a generation. There are two places for it, used in turn, so that one is always whole. */
typedef struct
{
  char magic[8];
  uint32_t version;
  uint32_t unused;
  uint64_t generation;          /* from 1 */
  uint64_t salt;
  uint64_t first_sequence;      /* of its records */
  uint64_t inode;               /* the file that it is of, */
  int64_t birth_s;              /* and when that was made: 0 where the file system does not know */
  uint64_t birth_ns;
  uint64_t checksum;
} IpcJournalHeader;

#define IPC_JOURNAL_VERSION 1u

typedef enum
{
  IPC_JOURNAL_HEADER_NONE,      /* zeros, torn, or something else */
  IPC_JOURNAL_HEADER_NEWER,     /* of another version */
  IPC_JOURNAL_HEADER_GOOD,
} IpcJournalHeaderState;

/* Fills in what is the same for all of them, and the checksum. */
void                  ipc_journal_header_seal  (IpcJournalHeader *self);
IpcJournalHeaderState ipc_journal_header_judge (const IpcJournalHeader *self);

/* What records of the generation are summed up from. */
uint64_t ipc_journal_header_get_seed (const IpcJournalHeader *self);

typedef struct
{
  uint32_t magic;
  uint32_t n_ranges;
  uint64_t length;              /* of the record */
  uint64_t sequence;
  uint64_t file_size;           /* that the file has at least */
  uint64_t checksum;            /* with 0 in its place */
} IpcJournalRecordHead;

/* How many bytes a record of these takes; 0: too many. */
uint64_t ipc_journal_record_measure (const IpcJournalRange *ranges, size_t n);
/* Writes a record of that size. */
void     ipc_journal_record_write   (uint8_t *record, const IpcJournalRange *ranges, size_t n, uint64_t sequence, uint64_t file_size,
                                     uint64_t seed);

/* Whether a head, which is a private copy, may be that of record SEQUENCE, with ROOM bytes to be in. */
bool     ipc_journal_record_is_head (const IpcJournalRecordHead *head, uint64_t sequence, uint64_t room);
/* Whether all of a record, whose head was judged, is as it was written. It is a private copy, and the same afterwards. */
bool     ipc_journal_record_is_whole (uint8_t *record, uint64_t seed);
/* Its range I; one that is whole has n_ranges of them. */
void     ipc_journal_record_get     (const uint8_t *record, uint32_t i, IpcJournalRange *range, uint64_t *position);
