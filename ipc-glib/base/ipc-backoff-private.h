/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long to wait before the next attempt at something that failed: twice as
 * long each time, up to a limit, and never quite as long as others wait who
 * failed in the same instant. Belongs to one thread at a time.
 */
#pragma once

#include <glib.h>

typedef struct
{
  guint base;                   /* ms, after the first failure */
  guint limit;                  /* ms */
  guint n_failures;
  GRand *rand;                  /* (nullable) (owned) NULL: that of the process */
  gint64 last;                  /* µs, what was last given out */
} IpcBackoff;

void   ipc_backoff_init  (IpcBackoff *self, guint base, guint limit);
void   ipc_backoff_clear (IpcBackoff *self);
/* For tests: the same delays each time. */
void   ipc_backoff_seed  (IpcBackoff *self, guint32 seed);
/* After a success: it begins anew. */
void   ipc_backoff_reset (IpcBackoff *self);
/* After a failure: how many µs to wait, the nominal time ± 25 %. */
gint64 ipc_backoff_next  (IpcBackoff *self);
