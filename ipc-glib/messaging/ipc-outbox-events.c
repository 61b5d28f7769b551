/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The events in an outbox that may be taken out of it again, oldest first: where each begins, and how long it is.
 *
 * Kept only where the policy asks for it. What was taken out leaves a hole, a range of positions that no byte has any
 * more; holes are before all that may still be taken out, and those that touch are one, so there are never more of
 * them than frames that stay.
 */
#include <string.h>

#include "messaging/ipc-outbox-private.h"

typedef struct
{
  guint64 start;                /* position of its first byte */
  gsize size;
} Range;

struct _IpcOutEvents
{
  Range *ranges;                /* (owned) */
  guint head;                   /* the holes: from here */
  guint kept;                   /* the events that are still there: from here */
  guint end;
  guint capacity;
  gsize droppable;              /* bytes of those that are still there */
};

static void
make_room (IpcOutEvents *self)
{
  if (self->end < self->capacity)
    return;
  if (self->head > self->capacity / 2)
    {
      memmove (self->ranges, self->ranges + self->head, (self->end - self->head) * sizeof *self->ranges);
      self->kept -= self->head;
      self->end -= self->head;
      self->head = 0;
      return;
    }
  self->capacity = MAX (2 * self->capacity, 16);
  self->ranges = g_renew (Range, self->ranges, self->capacity);
}

void
ipc_outbox_mark_event (IpcOutbox *self, gsize size)
{
  IpcOutEvents *events = self->events;

  if (events == NULL)
    events = self->events = g_new0 (IpcOutEvents, 1);
  make_room (events);
  events->ranges[events->end++] = (Range){ self->total_in - size, size };
  events->droppable += size;
}

gsize
ipc_outbox_get_droppable (IpcOutbox *self)
{
  return self->events != NULL ? self->events->droppable : 0;
}

/* The first of those that are left becomes a hole, one with the hole before it if they touch. */
static void
make_hole (IpcOutEvents *self)
{
  Range *hole = &self->ranges[self->kept];

  self->droppable -= hole->size;
  if (self->kept > self->head && hole[-1].start + hole[-1].size == hole->start)
    {
      hole->start = hole[-1].start;
      hole->size += hole[-1].size;
      memmove (&self->ranges[self->head + 1], &self->ranges[self->head], (self->kept - 1 - self->head) * sizeof *self->ranges);
      self->head++;
    }
  self->kept++;
}

gboolean
ipc_outbox_drop_event (IpcOutbox *self, GByteArray *copy)
{
  IpcOutEvents *events = self->events;
  const Range *oldest;
  gsize size;

  if (events == NULL || events->kept == events->end)
    return FALSE;
  oldest = &events->ranges[events->kept];
  size = oldest->size;
  /* All holes are before it. */
  ipc_outbox_cut (self, (gsize) (oldest->start - ipc_outbox_total_out (self)) - self->dropped_ahead, size, copy);
  self->dropped_ahead += size;
  make_hole (events);
  ipc_outbox_pass_events (self);
  return TRUE;
}

/* Holes that have been reached are behind us, and so are events of which a byte was written. */
void
ipc_outbox_pass_events (IpcOutbox *self)
{
  IpcOutEvents *events = self->events;

  for (; events->head < events->kept && events->ranges[events->head].start <= ipc_outbox_total_out (self); events->head++)
    self->dropped_ahead -= events->ranges[events->head].size;
  if (events->head < events->kept)
    return;
  for (; events->kept < events->end && events->ranges[events->kept].start < ipc_outbox_total_out (self); events->kept++)
    events->droppable -= events->ranges[events->kept].size;
  events->head = events->kept;
}

void
ipc_outbox_forget_events (IpcOutbox *self)
{
  self->dropped_ahead = 0;
  g_clear_pointer (&self->events->ranges, g_free);
  g_clear_pointer (&self->events, g_free);
}
