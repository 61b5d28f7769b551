/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A redo journal: how several writes into a file become one that a crash leaves done or undone. It is the file `.NAME.journal`
 * beside NAME. What is to be written is first appended to it, as a record (core/ipc-journal-records.h), and synced; then it is
 * written into the file, which needs no sync of its own. Whoever comes after a crash writes it once more.
 *
 * One process at a time has the journal's lock, which others take over when it has died. What of the journal is in use, and which record was
 * written into the file last, is in a page of it that all have mapped: after a process was killed, what was written is in the
 * page cache, so only the record that it was at has to be written again. After a power cut, which is told by the machine's having been
 * started anew, that page is not believed, and all records are written again.
 *
 * When the journal is full, the file is synced, and a new generation begins: a header with another number to sum up from, in the other of
 * two places. Whoever syncs the file has a new generation begin as well, so that no record is ever written again over
 * what was synced after it.
 *
 * Nothing in it is trusted. A journal that was made for another file of that name is not written into this one.
 */
#pragma once

#include <stdbool.h>

#include "core/ipc-fault.h"
#include "core/ipc-journal-records.h"

#define IPC_JOURNAL_SIZE (1u << 20)     /* that it is made with */

typedef struct _IpcJournal IpcJournal;

/* That of the file BASENAME, which DATA_FD is. SIZE is to make one with, 0 not to: NOT_FOUND. WRONG_TYPE, UNSAFE_PATH, CORRUPT, VERSION;
 * NO_SPACE. Used by one thread at a time. */
IpcJournal *ipc_journal_open  (int directory_fd, const char *basename, int data_fd, uint64_t size, IpcFault *fault);
/* Also in a forked child. */
void        ipc_journal_close (IpcJournal *self);

/* TIMED_OUT; NOT_FOUND: somebody has removed it, and it is to be opened anew. */
bool        ipc_journal_lock   (IpcJournal *self, uint64_t timeout_ns, IpcFault *fault);
void        ipc_journal_unlock (IpcJournal *self);
/* Without it: whether a living process has it. */
bool        ipc_journal_is_locked (const IpcJournal *self);

/* ---- with the lock ---- */

/* There is nothing to recover. */
bool        ipc_journal_is_settled (const IpcJournal *self);
/* Writes into DATA_FD, which is open for writing, what a crash has left undone. On failure it can be tried again. */
bool        ipc_journal_recover (IpcJournal *self, int data_fd, IpcFault *fault);

/* Where it is settled: has room for a record of these, so that to append it waits for no disk that it need not wait for. */
bool        ipc_journal_make_room (IpcJournal *self, int data_fd, const IpcJournalRange *ranges, size_t n, IpcFault *fault);
/* Appends a record, and syncs it if it is to be DURABLE. Then the caller writes the ranges into the
 * file, which has FILE_SIZE bytes, and says so. If it fails, it was not appended; if syncing failed, that is not known after a power cut. */
bool        ipc_journal_append (IpcJournal *self, int data_fd, const IpcJournalRange *ranges, size_t n, uint64_t file_size, bool durable,
                                IpcFault *fault);
void        ipc_journal_finish (IpcJournal *self);

/* There are records which would be written again after a power cut. */
bool        ipc_journal_has_records (const IpcJournal *self);
/* Forgets them; the file was synced. */
bool        ipc_journal_clear  (IpcJournal *self, bool durable, IpcFault *fault);
