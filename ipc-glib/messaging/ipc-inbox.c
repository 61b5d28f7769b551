/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-inbox-private.h"

#include <string.h>

#define SCRATCH_SIZE (2 * LARGE)        /* what a read can bring at most, measured to be the best size */
#define MODEST_SPARES 16u
#define SMALL 4096u                     /* up to this, what is left is copied out and the scratch given back */
#define AHEAD 16384u                    /* how much is read beyond the end of a large frame */
#define LARGE IPC_INBOX_LARGE

/* Buffers that this thread has done with. Giving them back to the kernel and getting them again costs page faults, more
 * than reading into them does. */
typedef struct
{
  IpcBuffer *scratch;           /* (nullable) (owned) */
  IpcBuffer *modest[MODEST_SPARES]; /* (owned) */
  guint n_modest;
} Spares;

static void
spares_free (gpointer data)
{
  Spares *self = data;

  while (self->n_modest > 0)
    g_free (self->modest[--self->n_modest]);
  g_free (self->scratch);
  g_free (self);
}

static GPrivate spares = G_PRIVATE_INIT (spares_free);

static Spares *
get_spares (void)
{
  Spares *mine = g_private_get (&spares);

  if (mine == NULL)
    g_private_set (&spares, mine = g_new0 (Spares, 1));
  return mine;
}

static IpcBuffer *
buffer_new (gsize capacity)
{
  IpcBuffer *buffer = g_malloc (sizeof *buffer + capacity);

  buffer->ref_count = 1;
  buffer->capacity = capacity;
  return buffer;
}

static IpcBuffer *
buffer_take (gsize capacity)
{
  Spares *mine = get_spares ();
  IpcBuffer *buffer = NULL;

  if (capacity == SCRATCH_SIZE)
    buffer = g_steal_pointer (&mine->scratch);
  else if (capacity == IPC_INBOX_MODEST && mine->n_modest > 0)
    buffer = mine->modest[--mine->n_modest];
  if (buffer == NULL)
    return buffer_new (capacity);
  buffer->ref_count = 1;
  return buffer;
}

void
ipc_buffer_release (IpcBuffer *buffer)
{
  Spares *mine;

  if (buffer == NULL || !g_atomic_int_dec_and_test (&buffer->ref_count))
    return;
  mine = get_spares ();
  if (buffer->capacity == SCRATCH_SIZE && mine->scratch == NULL)
    mine->scratch = buffer;
  else if (buffer->capacity == IPC_INBOX_MODEST && mine->n_modest < MODEST_SPARES)
    mine->modest[mine->n_modest++] = buffer;
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
      if (capacity == SCRATCH_SIZE || capacity == IPC_INBOX_MODEST)
        move_to (self, buffer_take (capacity));
      else if (!held && self->start == 0 && self->buffer != NULL)
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
    move_to (self, buffer_new (have <= 512 ? 512 : SMALL));
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
