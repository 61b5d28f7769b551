/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work for a store that takes time, done in batches: what is asked for while one is being done goes into the next one together, so
 * that a store which makes a batch a transaction waits for the disk once for all of it.
 *
 * Whoever waits for its work does the batch itself if nobody else is doing one: a program that only calls and waits has no second thread, and
 * no change of threads in any call. The thread is there for what is not waited for, and for a descriptor that tells of other processes.
 */
#pragma once

#include "queue/ipc-queue-store-private.h"

typedef struct _IpcQueueJobs IpcQueueJobs;

/* All are called with the owner, by whoever does a batch, one at a time; rung() by the thread, at any time. */
typedef struct
{
  gboolean (*begin)    (gpointer owner, GError **error);
  /* FALSE: what was done since begin() came to nothing. */
  gboolean (*commit)   (gpointer owner, GError **error);
  /* After it. FALSE: what was done is there, and may not stay. */
  gboolean (*sync)     (gpointer owner, GError **error);
  void     (*rollback) (gpointer owner);
  /* ERROR came of all that. TRUE: something was done about it, and it may work now. */
  gboolean (*mend)     (gpointer owner, const GError *error);
  /* How many of the works from FIRST on it did at once, in place of run(). 0: none. */
  guint    (*do_several) (gpointer owner, GList *first, GError **error);
  /* FALSE: a step did not work, and all since begin() has to come to nothing. */
  gboolean (*is_sound) (gpointer owner);
  /* After a batch. */
  void     (*tell)     (gpointer owner);
  /* After done() of all of a batch, of which some were not waited for. */
  void     (*finished) (gpointer owner);
  /* The descriptor is readable. */
  void     (*rung)     (gpointer owner);
} IpcQueueJobsFuncs;

/* OWNER, an object, is kept while a batch is done. */
IpcQueueJobs *ipc_queue_jobs_new    (const IpcQueueJobsFuncs *funcs, gpointer owner, GError **error);
/* From the owner's finalize, in any thread, also in a forked child. */
void          ipc_queue_jobs_free   (IpcQueueJobs *self);

/* Does it, and does not wait. Any thread. */
void          ipc_queue_jobs_add    (IpcQueueJobs *self, IpcQueueWork *work);
/* Does it, and waits: run() only is called, by this thread or another one; in the middle of a batch at once. Any thread. */
gboolean      ipc_queue_jobs_do     (IpcQueueJobs *self, IpcQueueWork *work, GError **error);
/* From now on the thread waits for FD, too. */
void          ipc_queue_jobs_watch  (IpcQueueJobs *self, int fd);
