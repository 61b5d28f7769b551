/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes that the coordinator may be killed, too: the jobs are messages of a durable queue, and so are the results.
 *
 * A job is acknowledged when its result is there; whoever is killed in between leaves a job whose result is known, and the next one sees that.
 * The first message among the results is the plan: it says that all jobs were published. Without it they are published anew.
 */
#pragma once

#include "jobs.h"

#include <ipc-glib/ipc-glib.h>

typedef struct _Resume Resume;

/* URI says where the queues are kept; there are two for each directory. */
Resume  *resume_open      (const char *uri, const char *directory, GError **error);
void     resume_free      (Resume *self);
/* Whether somebody has begun before. */
gboolean resume_has_plan  (Resume *self);
/* All of JOBS are to be done. */
gboolean resume_plan      (Resume *self, Jobs *jobs, GError **error);
/* Takes what is to be done, and what was done before, into JOBS, which is empty. */
gboolean resume_load      (Resume *self, Jobs *jobs, GError **error);
/* Those with IDS (of guint) are done, or have failed: when this returns, for good. */
gboolean resume_note      (Resume *self, Jobs *jobs, GArray *ids, GError **error);
/* The index is written. */
gboolean resume_finish    (Resume *self, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Resume, resume_free)
