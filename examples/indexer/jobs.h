/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The files to index and what is known of them. A job is a file; its id is its place in
 * the sorted list, from 1.
 */
#pragma once

#include <glib.h>

typedef enum
{
  JOB_WAITING,  /* nobody has it */
  JOB_ASSIGNED, /* OWNER has it */
  JOB_DONE,     /* the result is there */
  JOB_FAILED,   /* it cannot be read; ERROR says why */
} JobState;

typedef struct
{
  char    *path;     /* as it goes into the index: raw bytes, no encoding */
  guint64  expected; /* size when it was found; only for batches and progress */
  JobState state;
  guint    owner;    /* while assigned; workers count from 1 */
  char     sha256[65];
  guint64  size;
  guint64  lines;
  char    *error;
} Job;

typedef struct
{
  GPtrArray *all;      /* of Job, sorted by path */
  GQueue     returned; /* ids of jobs whose worker went away, as pointers */
  guint      next;     /* the first job that was never handed out, from 0 */
  guint      n_done;
  guint      n_failed;
  guint      n_requeued;
  guint      n_ignored; /* results of jobs that the sender did not have */
  guint64    bytes;
  guint64    lines;
  guint      n_known;  /* of those that are done, from before; and how many bytes that is */
  guint64    known_bytes;
} Jobs;

Jobs    *jobs_new         (void);
void     jobs_free        (Jobs *self);
void     jobs_clear       (Jobs *self);
void     jobs_add         (Jobs *self, char *path, guint64 expected);
void     jobs_add_known   (Jobs *self, char *path, const char *sha256, guint64 size, guint64 lines, const char *error);
void     jobs_sort        (Jobs *self);
Job     *jobs_get         (Jobs *self, guint id);
gboolean jobs_are_finished (Jobs *self);

guint    jobs_take        (Jobs *self, guint owner);
gboolean jobs_finish      (Jobs *self, guint id, guint owner, const char *sha256, guint64 size, guint64 lines);
gboolean jobs_fail        (Jobs *self, guint id, guint owner, const char *error);
guint    jobs_requeue     (Jobs *self, guint owner);
guint    jobs_count_owned (Jobs *self, guint owner);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Jobs, jobs_free)
