/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A section: bytes in shared memory that are read and written as wholes. Whatever the processes do, and whichever of them is
 * killed in the middle of it, what is read is what one write left there, or an error; never half of two.
 *
 * Those who write have a lock, which is a permit (core/ipc-slots.h), so that no crash can keep it. Those who read do not: they
 * copy, and look at a sequence number before and after (a seqlock), which is odd while somebody writes. What overlaps no
 * write that is under way is valid also then. Somebody who writes all the time would starve them; so after a few attempts
 * a reader takes the lock, too, and who has just written much hands it over at once.
 *
 * Before a write touches anything it says in the header what it is going to touch. If it is small (IPC_SECTION_ATOMIC), its
 * bytes are there, too, before it begins: if it dies on the way, the next one who has the lock completes it. If it is larger, what it
 * was touching is *torn* from then on: reading any of that is an error, until one write has covered all of it, or somebody accepts it
 * as it is. Bytes outside are as they were.
 *
 * What is torn is one range, so that of several it is all between the first and the last byte.
 */
#pragma once

#include "core/ipc-slots.h"
#include "core/ipc-tally.h"

#define IPC_SECTION_ATOMIC 4096u        /* writes up to so many bytes happen completely or not at all */
#define IPC_SECTION_MAX_WAITERS 256u
#define IPC_SECTION_PATIENCE_NS INT64_C (2000000000)    /* so long somebody may write, or be stopped while writing */

/* One process's view. The memory is the caller's. */
typedef struct
{
  uint8_t *memory;
  bool locks;                   /* can take the lock: MEMORY is writable, and owner ids are of our table of processes */
  IpcSlots quick;               /* the lock, light, as those see it who read and write little, */
  IpcSlots fair;                /* or much */
  int64_t patience;             /* IPC_SECTION_PATIENCE_NS; less is for tests, */
  size_t redoes;                /* and so is less than IPC_SECTION_ATOMIC here */
} IpcSection;

/* The bytes, as far as this process has mapped them. */
typedef struct
{
  uint8_t *bytes;
  uint64_t length;
  bool writable;
} IpcSectionData;

typedef struct
{
  uint64_t n_reads;
  uint64_t n_writes;
  int64_t last_access;          /* µs since 1970, UTC; 0: never; of eight writes, and of eight reads on a processor, one counts */
} IpcSectionStatistics;

typedef enum
{
  IPC_SECTION_DONE,
  IPC_SECTION_TORN,             /* who wrote it was killed; see ipc_section_get_torn() */
  IPC_SECTION_BUSY,             /* somebody has been writing for longer than IPC_SECTION_PATIENCE_NS, maybe stopped */
  IPC_SECTION_GROWN,            /* map all of it, and try again: somebody died of writing behind what is mapped here */
  IPC_SECTION_READ_ONLY,        /* map it writable, for ipc_section_lock(), and try again: what a dead writer left is to be settled */
  IPC_SECTION_UNSUPPORTED,      /* needs the lock, and this view cannot take it */
  IPC_SECTION_SEALED,           /* nobody writes any more */
} IpcSectionOutcome;

/* So much memory, zeroed, aligned to 64. */
size_t ipc_section_get_size (void);
/* PRESENCE is NULL for one that cannot take the lock. */
void   ipc_section_init     (IpcSection *self, uint8_t *memory, IpcPresence *presence);

/* For how many bytes there are, and reading and writing little, see core/ipc-section-quick.h. */
void     ipc_section_set_length (IpcSection *self, uint64_t length);    /* with the lock, or before others see it */

/* SIZE bytes from OFFSET on, which lie within DATA: the caller has looked. */
IpcSectionOutcome ipc_section_read     (IpcSection *self, const IpcSectionData *data, uint64_t offset, void *to, size_t size);
IpcSectionOutcome ipc_section_write    (IpcSection *self, const IpcSectionData *data, uint64_t offset, const void *from, size_t size);
/* Adds to the number at OFFSET, in the byte order of the machine, as one step; *RESULT is the sum, which may wrap. */
IpcSectionOutcome ipc_section_add      (IpcSection *self, const IpcSectionData *data, uint64_t offset, int64_t summand, int64_t *result);

/* False: nothing is. */
bool              ipc_section_get_torn (const IpcSection *self, uint64_t *begin, uint64_t *end);
/* What is torn is as it should be. */
IpcSectionOutcome ipc_section_accept   (IpcSection *self, const IpcSectionData *data);

/* Keeps others from writing and from changing the length, and settles what a dead writer left. */
IpcSectionOutcome ipc_section_lock     (IpcSection *self, const IpcSectionData *data);
void              ipc_section_unlock   (IpcSection *self);
/* From now on nobody writes, in whatever process, and who reads has nobody to wait for. With the lock. */
void              ipc_section_set_sealed (IpcSection *self, bool sealed);
bool              ipc_section_is_sealed  (const IpcSection *self);
/* Who writes, for people; 0: nobody, or nobody can tell. */
IpcOwner          ipc_section_get_writer (IpcSection *self);

/* The last access is now. */
void              ipc_section_stamp    (IpcSection *self);
/* The same of who reads; for core/ipc-section-quick.h. */
void              ipc_section_stamp_read (IpcTallyPlace *place);
void              ipc_section_count    (IpcSection *self, IpcSectionStatistics *statistics);
