/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a connection has read and not handled yet.
 *
 * Reads go into a large buffer that all connections of a thread take turns with;
 * a connection keeps memory of its own only for an unfinished frame, and never
 * more than twice what has really come in, whatever length is announced.
 *
 * The front of the inbox stays where it is while it is held, even if a handler
 * makes the connection read again: the new bytes then go to another buffer.
 */
#pragma once

#include <glib.h>

#define IPC_INBOX_MODEST (16u * 1024u)  /* what a modest one has room for */
#define IPC_INBOX_LARGE (128u * 1024u)  /* from this size on a frame is received in a buffer of its own */

typedef struct _IpcBuffer IpcBuffer;

struct _IpcBuffer
{
  gint ref_count;               /* (atomic): a pinned buffer may be released by any thread */
  gsize capacity;
  guint8 data[];
};

typedef struct
{
  IpcBuffer *buffer;            /* (nullable) (owned) */
  gsize start;                  /* the first byte that is not handled */
  gsize end;
  gsize wanted;                 /* how long the unfinished frame at the front is, 0 if unknown */
  gboolean was_large;           /* the frame before was a large one */
  gboolean is_modest;           /* set by the owner: others are about to read as well, and all of it is to fit into the cache */
  gboolean is_snug;             /* the buffer is little larger than what came: more comes in small pieces, if at all */
} IpcInbox;

void          ipc_inbox_clear    (IpcInbox *self);
/* Where the next read goes, and how much of it there may be: at least one byte. */
guint8       *ipc_inbox_get_room (IpcInbox *self, gsize *room);
/* SIZE bytes have been read there. */
void          ipc_inbox_add      (IpcInbox *self, gsize size);
/* After handling what could be: gives back what memory it can. With THRIFTY what is left is copied to a buffer of its
 * size, which is worth while where the rest does not come at once. */
void          ipc_inbox_settle   (IpcInbox *self, gboolean thrifty);
/* The bytes of memory that it has. */
gsize         ipc_inbox_get_size (IpcInbox *self);
/* It has much more than what came needs. */
gboolean      ipc_inbox_is_loose (IpcInbox *self);

/* Keeps the bytes at the front in place until it is released. */
IpcBuffer    *ipc_inbox_hold     (IpcInbox *self);
void          ipc_buffer_release (IpcBuffer *buffer);
/* For a frame that has a buffer nearly to itself: the whole buffer as GBytes, so that keeping the message
 * pins it instead of copying. NULL where copying is better. Takes its own hold. */
GBytes       *ipc_inbox_pin      (IpcInbox *self, gsize frame_size);

/* What there is and is not handled; NULL if nothing. */
static inline const guint8 *
ipc_inbox_peek (IpcInbox *self, gsize *size)
{
  *size = self->end - self->start;
  return *size > 0 ? self->buffer->data + self->start : NULL;
}

/* SIZE bytes of it are handled. */
static inline void
ipc_inbox_skip (IpcInbox *self, gsize size)
{
  self->start += size;
  self->was_large = size > IPC_INBOX_LARGE;
  self->wanted = 0;
}
