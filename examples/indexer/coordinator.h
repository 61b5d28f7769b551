/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "counters.h"
#include "jobs.h"
#include "readers.h"
#include "resume.h"
#include "table.h"
#include "workers.h"

typedef struct
{
  /* What is to be done; set before coordinator_run(). */
  Jobs       *jobs;
  GPtrArray  *workers;    /* of Worker */
  const char *directory;  /* as it begins the paths of the jobs */
  guint       batch;      /* files a worker gets at a time, at most */
  gboolean    kill_one;
  guint       n_readers;  /* workers that may read at the same time; 0: all */
  Resume     *resume;     /* (nullable) what is told of all results */
  Table      *table;      /* (nullable) the same */
  char      **observers;  /* (nullable) commands that look at the counters */
  const char *control;    /* (nullable) address of the pipe that it is controlled through */

  /* What happened. */
  char       *kill_report; /* (owned) (nullable) */
  Readers     readers;
  Counters    counters;

  /* Meanwhile. */
  gboolean    paused;

  /* Private. */
  GMainLoop  *loop;
  IpcServer  *server;
  char       *real_directory;
  GError     *failure;
  GArray     *fresh;      /* (nullable) of guint: the results that RESUME and TABLE are to be told of */
  guint       grace;
} Coordinator;

gboolean coordinator_run   (Coordinator *self, GError **error);
void     coordinator_clear (Coordinator *self);

/* While it runs: whether workers get files, and to end before all is done. */
void     coordinator_set_paused (Coordinator *self, gboolean paused);
void     coordinator_stop       (Coordinator *self);
