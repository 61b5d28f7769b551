/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "jobs.h"
#include "workers.h"

/*
 * Live counters, in a segment of shared memory that anybody of the same user may look at while the indexer works.
 *
 * It has integers of 64 bits, in the byte order of the machine:
 *
 *    0  the layout, which is 1
 *    8  how many workers there are
 *   16  how many files are to be indexed
 *   24  1 when all is over, and the numbers below do not change any more
 *   32  files that are indexed, in all
 *   40  bytes that are indexed, in all
 *   64  files that the first worker has read
 *   72  bytes that it has read
 *   80  files that the second worker has read, and so on
 *
 * The coordinator adds to what there is in all when it has the result of a file. A worker adds to its own place when it has
 * read one, which is before, and dies with what it has not told: its files are read again by others. So when a worker is gone,
 * the coordinator takes back what it has counted and not told. From then on what the workers have is what there is in all.
 */
#define COUNTERS_NAME "counters"
#define COUNTERS_LAYOUT 1

enum
{
  COUNTERS_AT_LAYOUT = 0,
  COUNTERS_AT_N_WORKERS = 8,
  COUNTERS_AT_N_JOBS = 16,
  COUNTERS_AT_IS_OVER = 24,
  COUNTERS_AT_TOTAL = 32,
  COUNTERS_AT_WORKERS = 64,
  COUNTERS_PLACE_SIZE = 16,
};

typedef struct
{
  gint64 files;
  gint64 bytes;
} Count;

typedef struct
{
  IpcSharedMemoryManager *manager; /* (owned) (nullable) */
  IpcSharedMemory        *segment; /* (owned) (nullable) */
  Count                   taken_back; /* counted by workers that could not tell any more */
  Count                   added;      /* told by workers that do not count */
  Count                   total;      /* at the end: what the coordinator has counted, */
  Count                   of_workers; /* and all workers together */
  GError                 *problem;    /* (owned) (nullable) the first one */
} Counters;

gboolean counters_start   (Counters *self, const char *directory, guint n_workers, guint n_jobs, GError **error);
void     counters_clear   (Counters *self);

gsize    counters_get_place (const Worker *worker);
void     counters_add     (Counters *self, guint64 bytes);
void     counters_settle  (Counters *self, Worker *worker);
void     counters_finish  (Counters *self, GPtrArray *workers);
gboolean counters_check   (Counters *self, Jobs *jobs, GError **error);
void     counters_report  (Counters *self, Jobs *jobs);
