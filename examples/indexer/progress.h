/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "jobs.h"

/* A line on a terminal that is redrawn ten times a second; nothing elsewhere. */
typedef struct
{
  Jobs  *jobs;
  gint64 started;
  guint  timer;
} Progress;

void progress_start (Progress *self, Jobs *jobs);
void progress_stop  (Progress *self);
