/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-inbox-private.h"

#include <string.h>

#define SCRATCH_SIZE (2 * LARGE)        /* what a read can bring at most, measured to be the best size */
#define TINY 512u                       /* … is enough for the beginning of most frames */
#define SMALL 4096u                     /* up to this, what is left is copied out and the scratch given back */
#define AHEAD 16384u                    /* how much is read beyond the end of a large frame */
#define LARGE IPC_INBOX_LARGE

/* Buffers that this thread has done with, of the sizes that are asked for again and again. Giving them back to malloc
 * has it give memory back to the kernel and get it again, which costs page faults: more than reading into them does. */
#define MAX_SPARES 64u

typedef struct
{
  gsize capacity;
  guint max;
} SpareSize;

static const SpareSize spare_sizes[] = { { TINY, MAX_SPARES }, { SMALL, 16 }, { IPC_INBOX_MODEST, MAX_SPARES }, { SCRATCH_SIZE, 1 } };

typedef struct
{
  guint n;
  IpcBuffer *buffers[MAX_SPARES]; /* (owned) */
} Stack;

typedef struct
{
  Stack stacks[G_N_ELEMENTS (spare_sizes)];
} Spares;

static void
spares_free (gpointer data)
{
  Spares *self = data;

  for (guint i = 0; i < G_N_ELEMENTS (spare_sizes); i++)
    while (self->stacks[i].n > 0)
      g_free (self->stacks[i].buffers[--self->stacks[i].n]);
  g_free (self);
}

static GPrivate spares = G_PRIVATE_INIT (spares_free);

/* NULL: buffers of that size are not kept. */
static Stack *
get_stack (gsize capacity, guint *max)
{
  Spares *mine = g_private_get (&spares);

  if (mine == NULL)
    g_private_set (&spares, mine = g_new0 (Spares, 1));
  for (guint i = 0; i < G_N_ELEMENTS (spare_sizes); i++)
    if (spare_sizes[i].capacity == capacity)
      {
        *max = spare_sizes[i].max;
        return &mine->stacks[i];
      }
  return NULL;
}

static IpcBuffer *
buffer_new (gsize capacity)
{
  guint max;
  Stack *stack = get_stack (capacity, &max);
  IpcBuffer *buffer = stack != NULL && stack->n > 0 ? stack->buffers[--stack->n] : g_malloc (sizeof *buffer + capacity);

  buffer->ref_count = 1;
  buffer->capacity = capacity;
  return buffer;
}

void
ipc_buffer_release (IpcBuffer *buffer)
{
  Stack *stack;
  guint max;

  if (buffer == NULL || !g_atomic_int_dec_and_test (&buffer->ref_count))
    return;
  stack = get_stack (buffer->capacity, &max);
  if (stack != NULL && stack->n < max)
    stack->buffers[stack->n++] = buffer;
  else
    g_free (buffer);
}

void
ipc_inbox_clear (IpcInbox *self)
{
  g_clear_pointer (&self->buffer, ipc_buffer_release);
  self->start = self->end = self->wanted = 0;
  self->is_snug = FALSE;
}

/* Moves what there is to the front of BUFFER, which becomes the inbox's. */
static void
move_to (IpcInbox *self, IpcBuffer *buffer)
{
  gsize size = self->end - self->start;

  if (size > 0)
    memmove (buffer->data, self->buffer->data + self->start, size);
  if (buffer != self->buffer)
    {
      ipc_buffer_release (self->buffer);
      self->buffer = buffer;
    }
  self->start = 0;
  self->end = size;
}

/* How large a buffer the bytes at hand call for. A large frame gets one that grows with it. */
static gsize
get_capacity (IpcInbox *self)
{
  gsize have = self->end - self->start;
  gsize whole;

  if (self->is_modest && MAX (self->wanted, have) <= IPC_INBOX_MODEST / 2)
    return IPC_INBOX_MODEST;
  if (self->wanted <= LARGE)
    return MAX (SCRATCH_SIZE, have + 1);
  whole = self->wanted + AHEAD;
  return MIN (whole, MAX (2 * have, (gsize) SCRATCH_SIZE + 1));
}

guint8 *
ipc_inbox_get_room (IpcInbox *self, gsize *room)
{
  gsize have = self->end - self->start;
  gsize capacity = get_capacity (self);
  gboolean held = self->buffer != NULL && g_atomic_int_get (&self->buffer->ref_count) > 1;

  if (self->is_snug && !held && self->end < self->buffer->capacity)
    {
      *room = self->buffer->capacity - self->end;
      return self->buffer->data + self->end;
    }
  self->is_snug = FALSE;
  if (self->buffer == NULL || held || self->buffer->capacity < capacity)
    {
      if (capacity != SCRATCH_SIZE && capacity != IPC_INBOX_MODEST && !held && self->start == 0 && self->buffer != NULL)
        {
          self->buffer = g_realloc (self->buffer, sizeof (IpcBuffer) + capacity);
          self->buffer->capacity = capacity;
        }
      else
        move_to (self, buffer_new (capacity));
    }
  else if (self->start > 0)
    move_to (self, self->buffer);

  *room = self->buffer->capacity - self->end;
  if (self->wanted > LARGE)
    *room = MIN (*room, self->wanted + AHEAD - have);
  else if (self->was_large)
    *room = MIN (*room, AHEAD);         /* another large one is likely to follow: copy little of it */
  return self->buffer->data + self->end;
}

void
ipc_inbox_add (IpcInbox *self, gsize size)
{
  self->end += size;
}

gsize
ipc_inbox_get_size (IpcInbox *self)
{
  return self->buffer != NULL ? self->buffer->capacity : 0;
}

gboolean
ipc_inbox_is_loose (IpcInbox *self)
{
  gsize have = self->end - self->start;

  return self->buffer != NULL && self->buffer->capacity > 2 * have + SMALL;
}

void
ipc_inbox_settle (IpcInbox *self, gboolean thrifty)
{
  gsize have = self->end - self->start;

  if (self->buffer == NULL)
    return;
  if (have == 0)
    {
      g_clear_pointer (&self->buffer, ipc_buffer_release);
      self->start = self->end = 0;
      self->is_snug = FALSE;
    }
  else if (have <= SMALL && self->buffer->capacity > SMALL)
    move_to (self, buffer_new (have <= TINY ? TINY : SMALL));
  else if (thrifty && have > SMALL && ipc_inbox_is_loose (self))
    {
      /* Room for some more, so that what comes a byte at a time is not copied for each. */
      move_to (self, buffer_new (have + have / 4));
      self->is_snug = TRUE;
    }
}

IpcBuffer *
ipc_inbox_hold (IpcInbox *self)
{
  if (self->buffer != NULL)
    g_atomic_int_inc (&self->buffer->ref_count);
  return self->buffer;
}

static void
release_pinned (gpointer buffer)
{
  /* Not through the spare of whatever thread this is: a large buffer is just freed. */
  if (g_atomic_int_dec_and_test (&((IpcBuffer *) buffer)->ref_count))
    g_free (buffer);
}

GBytes *
ipc_inbox_pin (IpcInbox *self, gsize frame_size)
{
  if (frame_size <= LARGE || self->buffer->capacity > frame_size + 2 * AHEAD)
    return NULL;
  return g_bytes_new_with_free_func (self->buffer->data, self->buffer->capacity, release_pinned, ipc_inbox_hold (self));
}
