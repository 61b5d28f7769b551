/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-timer-queue-private.h"

void
ipc_timer_queue_init (IpcTimerQueue *self)
{
  self->heap = g_ptr_array_new ();
}

void
ipc_timer_queue_clear (IpcTimerQueue *self)
{
  g_clear_pointer (&self->heap, g_ptr_array_unref);
}

static inline IpcTimer *
timer_at (IpcTimerQueue *self, guint i)
{
  return g_ptr_array_index (self->heap, i);
}

static inline void
put (IpcTimerQueue *self, guint i, IpcTimer *timer)
{
  g_ptr_array_index (self->heap, i) = timer;
  timer->slot = i + 1;
}

static void
sift_up (IpcTimerQueue *self, guint i)
{
  IpcTimer *timer = timer_at (self, i);

  while (i > 0 && timer_at (self, (i - 1) / 2)->due > timer->due)
    {
      put (self, i, timer_at (self, (i - 1) / 2));
      i = (i - 1) / 2;
    }
  put (self, i, timer);
}

static void
sift_down (IpcTimerQueue *self, guint i)
{
  IpcTimer *timer = timer_at (self, i);

  for (;;)
    {
      guint child = 2 * i + 1;

      if (child >= self->heap->len)
        break;
      if (child + 1 < self->heap->len && timer_at (self, child + 1)->due < timer_at (self, child)->due)
        child++;
      if (timer_at (self, child)->due >= timer->due)
        break;
      put (self, i, timer_at (self, child));
      i = child;
    }
  put (self, i, timer);
}

static void
take_out (IpcTimerQueue *self, IpcTimer *timer)
{
  guint i = timer->slot - 1;
  IpcTimer *last = timer_at (self, self->heap->len - 1);

  g_ptr_array_set_size (self->heap, (gint) self->heap->len - 1);
  timer->slot = 0;
  if (last == timer)
    return;
  put (self, i, last);
  sift_up (self, i);
  sift_down (self, last->slot - 1);
}

void
ipc_timer_queue_set (IpcTimerQueue *self, IpcTimer *timer, gint64 due)
{
  if (timer->slot != 0)
    take_out (self, timer);
  timer->due = due;
  if (due == 0)
    return;
  g_ptr_array_add (self->heap, timer);
  timer->slot = self->heap->len;
  sift_up (self, self->heap->len - 1);
}

IpcTimer *
ipc_timer_queue_peek (IpcTimerQueue *self)
{
  return self->heap->len > 0 ? timer_at (self, 0) : NULL;
}
