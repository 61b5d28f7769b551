/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the parts of the journal (core/ipc-journal.h) know of one another:
 *
 *   ipc-journal-file.c         how it is made, and opened
 *   ipc-journal-lock.c         whose turn it is
 *   ipc-journal-generations.c  its headers, and what is good only as long as the machine runs
 *   ipc-journal.c              appending
 *   ipc-journal-recover.c      doing what a crash has left undone
 *   ipc-journal-bytes.c        reading and writing all of something
 */
#pragma once

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/ipc-journal.h"
#include "core/ipc-map.h"

#define IPC_JOURNAL_LIVE_AT 2048
#define IPC_JOURNAL_RECORDS_AT 4096u

/* What is only good as long as the machine runs. */
typedef struct
{
  uint8_t boot[16];
  _Atomic uint64_t generation;
  _Atomic uint64_t sequence;    /* of the last record that is in the file */
  _Atomic uint64_t tail;        /* where the next record goes */
  _Atomic uint32_t is_busy;     /* a record is being appended, or written into the file */
  _Atomic uint32_t is_promised; /* there are records that were synced */
  _Atomic uint64_t synced;      /* all before it is on the disk; 0: not even the header */
  _Atomic uint64_t owner;       /* who has the lock: a random number, and behind it which member; 0: nobody */
} IpcJournalLive;

struct _IpcJournal
{
  int fd;                       /* fork-guarded */
  unsigned forks;
  char name[NAME_MAX + 1];
  IpcMap *map;                  /* (owned) the first page, and all or most of the records */
  struct statx file;            /* what it is of */
  uint8_t boot[16];
  uint64_t me;                  /* as an owner */
  uint64_t looked_at;           /* at the file, ns */

  /* As of the lock. */
  uint64_t size;
  IpcJournalHeader header;      /* generation 0: not read yet */
  uint64_t appended;            /* bytes that are to be finished */
};

static inline IpcJournalLive *
ipc_journal_get_live (const IpcJournal *self)
{
  return (IpcJournalLive *) (self->map->bytes + IPC_JOURNAL_LIVE_AT);
}

/* Both return false. */
bool ipc_journal_fault_errno      (const IpcJournal *self, const char *what, IpcFault *fault);
bool ipc_journal_fault_corrupt    (const IpcJournal *self, const char *why, IpcFault *fault);

/* False with errno. */
bool ipc_journal_write_all        (int fd, const void *bytes, uint64_t size, uint64_t offset);
bool ipc_journal_read_all         (int fd, void *bytes, uint64_t size, uint64_t offset);
bool ipc_journal_sync_data        (int fd);
/* The same as to write it all, and to sync that. */
bool ipc_journal_write_synced     (int fd, const void *bytes, uint64_t size, uint64_t offset);

/* Once, before it is locked. */
bool ipc_journal_join             (IpcJournal *self, IpcFault *fault);

/* Which time it is that the machine runs. */
bool ipc_journal_read_boot        (uint8_t boot[16], IpcFault *fault);
/* That nobody else has. */
uint64_t ipc_journal_make_salt    (void);
bool ipc_journal_is_of_file       (const IpcJournal *self, const IpcJournalHeader *header);
bool ipc_journal_is_of_this_boot  (const IpcJournal *self);

/* False with errno. */
bool ipc_journal_write_header     (IpcJournal *self, uint64_t generation, uint64_t first_sequence, bool durable);
bool ipc_journal_read_header      (IpcJournal *self, IpcFault *fault);
void ipc_journal_set_live         (IpcJournal *self, uint64_t sequence, uint64_t tail);
bool ipc_journal_begin_generation (IpcJournal *self, uint64_t first_sequence, bool durable, IpcFault *fault);
