/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that can be done with a mapped file and asks the kernel for something, to be killed in the middle of it, or to have the kernel fail.
 *
 * The blocks of the file are what transactions write, all with one value. The rest, the gap, is written without.
 */
#pragma once

#include "file-test.h"
#include "ipc-mapped-file-transaction.h"

#define FILE_CRASH_SIZE 20000u
#define FILE_CRASH_OLD 0
#define FILE_CRASH_NEW 1

typedef struct
{
  const char *name;
  void (*prepare) (void);       /* (nullable) by somebody else, before it is mapped */
  void (*ready) (void);         /* (nullable) right before */
  gboolean (*walk) (GError **error); /* this is what is killed, or fails */
  gsize other_size;             /* that the file may have afterwards, besides the usual one; 0: none */
  gboolean is_commit;           /* what is new is there when it was done */
  gboolean is_there;            /* ... and from the beginning */
  gboolean is_alone;            /* nobody else has to have it mapped meanwhile */
  gboolean is_made;             /* there may be no file */
  gboolean writes_gap;          /* one more than was in it, by ready() */
  gboolean is_sync;
} FileCrashOperation;

/* The last one has no name. */
extern const FileCrashOperation file_crash_operations[];

typedef struct
{
  const char *directory;
  char *path;                            /* (owned) */
  char *journal;                         /* (owned) */
  guint8 gap;                            /* what is in the gap */

  IpcMappedFileManager *manager;         /* (owned) (nullable) */
  IpcMappedFile *file;                   /* (owned) (nullable) what ready() or walk() has mapped */
  IpcMappedFileTransaction *transaction; /* (owned) (nullable) */
} FileCrash;

extern FileCrash file_crash;

/* In main(), first: what is killed or fails takes nothing from the page cache, so no disk is needed, where there is a directory in memory. */
void     file_crash_use_memory (void);
void     file_crash_start      (IpcTest *test);
void     file_crash_end        (void);
gboolean file_crash_map        (gsize size, GError **error);
/* What was mapped, as it is. */
void     file_crash_drop       (void);

/* Writes VALUE into all blocks. */
void     file_crash_transact   (IpcMappedFile *file, guint8 value);
/* What is in all of its blocks; the gap has what it should. */
guint8   file_crash_check      (IpcMappedFile *file);
/* The same, by whoever maps the file next; and it goes on, to be as it was in the beginning. */
guint8   file_crash_check_next (const FileCrashOperation *operation);
