/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Deadlines in order: a binary heap of timers that are embedded in what they
 * belong to, so that setting one allocates nothing. No locking of its own.
 */
#pragma once

#include <glib.h>

typedef struct
{
  gint64 due;                   /* monotonic, microseconds */
  guint slot;                   /* place in the heap + 1; 0: not set */
} IpcTimer;

typedef struct
{
  GPtrArray *heap;              /* (element-type IpcTimer) (not owned) */
} IpcTimerQueue;

void      ipc_timer_queue_init  (IpcTimerQueue *self);
void      ipc_timer_queue_clear (IpcTimerQueue *self);

/* Sets TIMER to DUE; 0 takes it out. */
void      ipc_timer_queue_set   (IpcTimerQueue *self, IpcTimer *timer, gint64 due);
/* The earliest one, or NULL. */
IpcTimer *ipc_timer_queue_peek  (IpcTimerQueue *self);
