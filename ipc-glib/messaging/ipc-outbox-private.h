/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a connection still has to write: frames gathered in blocks, large
 * payloads by reference, in order. No locking of its own.
 */
#pragma once

#include <sys/uio.h>

#include "messaging/ipc-budget-private.h"
#include "messaging/ipc-descriptors-private.h"
#include "messaging/ipc-out-log-private.h"
#include "messaging/ipc-shared-payload-private.h"

#define IPC_OUTBOX_INLINE_MAX 16384u /* payloads up to this are copied, larger ones referenced */

#define IPC_OUTBOX_MAX_PIECES 32     /* of one write */

typedef struct _IpcOutBlock IpcOutBlock;
typedef struct _IpcOutCargo IpcOutCargo;
typedef struct _IpcOutEvents IpcOutEvents;

struct _IpcOutBlock
{
  IpcOutBlock *next;
  GBytes *bytes;                /* (nullable) (owned) what is referenced instead of copied */
  IpcOutSheet *sheet;           /* (nullable) (owned) the same, for what all get */
  IpcOutCargo *cargo;           /* (nullable) (owned) what goes with the first byte */
  const guint8 *data;
  gsize start;
  gsize end;
  gsize capacity;               /* nothing is added beyond */
  gsize uncounted;              /* bytes at its front that were not counted when they were put in */
};

typedef struct
{
  IpcOutBlock *head;
  IpcOutBlock *tail;
  gsize queued;                 /* bytes in it now */
  guint64 total_in;             /* bytes ever put into it: the position of what comes next */
  gsize dropped_ahead;          /* bytes that were taken out again, and whose position has not been reached */
  IpcOutEvents *events;         /* (nullable) (owned) what may be taken out again */
  guint n_cargos;               /* frames with descriptors */
  guint n_fds;                  /* descriptors, without those of payloads */
  gsize shared;                 /* bytes of payloads that are in memfds */
  gsize allocated;              /* bytes of its own memory */
  gboolean is_stalled;          /* nobody takes anything, and room is short: blocks are as small as they can be */
  IpcBudget *budget;            /* (nullable) not owned */
} IpcOutbox;

void     ipc_outbox_clear        (IpcOutbox *self);
/* A new block at the end, with room for SIZE bytes at least. */
IpcOutBlock *ipc_outbox_add_block (IpcOutbox *self, gsize size);

/* SIZE contiguous bytes at the end, to be written by the caller now. */
static inline guint8 *
ipc_outbox_add (IpcOutbox *self, gsize size)
{
  IpcOutBlock *block = self->tail;

  if (G_UNLIKELY (block == NULL || block->end + size > block->capacity))
    block = ipc_outbox_add_block (self, size);
  block->end += size;
  self->queued += size;
  self->total_in += size;
  return (guint8 *) block->data + block->end - size;
}

/* References BYTES instead of copying them. */
void     ipc_outbox_add_bytes    (IpcOutbox *self, GBytes *bytes);
/* A new block at the end for what begins AT some bytes from the beginning of SHEET. */
IpcOutBlock *ipc_outbox_add_piece (IpcOutbox *self, IpcOutSheet *sheet, gsize at);

/* The last SIZE bytes of SHEET. Most often they follow what is at the end already. */
static inline void
ipc_outbox_add_shared (IpcOutbox *self, IpcOutSheet *sheet, gsize size)
{
  IpcOutBlock *block = self->tail;

  if (block == NULL || block->sheet != sheet || block->end != sheet->end - size)
    block = ipc_outbox_add_piece (self, sheet, sheet->end - size);
  block->end += size;
  self->queued += size;
  self->total_in += size;
}

/* The same as ipc_outbox_add(), for a frame that FDS (nullable) and a PAYLOAD (nullable) go along with, in that order;
 * takes over both. With a payload, the last eight bytes stand for it. */
guint8  *ipc_outbox_add_cargo    (IpcOutbox *self, gsize size, IpcFds *fds, IpcSharedPayload *payload);
/* The descriptors that have to go with the first byte at the front; at most IPC_FDS_PER_SENDMSG. */
guint    ipc_outbox_get_fds      (IpcOutbox *self, int *fds);
/* The frame at the front cannot be sent with its shared payload: has the bytes of the payload follow its header
 * instead, and returns the header to be corrected. NULL: it has none. */
guint8  *ipc_outbox_unshare      (IpcOutbox *self, gsize *payload_size);
/* Up to MAX pieces from the front; how many there are. What has descriptors starts a new one. */
int      ipc_outbox_get_iovec    (IpcOutbox *self, struct iovec *iov, int max);
/* SIZE bytes from the front have been written. */
void     ipc_outbox_written      (IpcOutbox *self, gsize size);


/* ipc-outbox-events.c: what a server may drop in favour of what is newer. Every byte has a position, counted since the
 * beginning; those of bytes that were dropped are passed over, so that what lies behind them keeps its own. */

/* The last SIZE bytes are an event that may be dropped until the first byte of it is written. */
void     ipc_outbox_mark_event   (IpcOutbox *self, gsize size);
/* The bytes of all events that may be dropped. */
gsize    ipc_outbox_get_droppable (IpcOutbox *self);
/* Takes out the oldest of them; appends its bytes to COPY (nullable). FALSE: there is none. */
gboolean ipc_outbox_drop_event   (IpcOutbox *self, GByteArray *copy);
/* Something was written. */
void     ipc_outbox_pass_events  (IpcOutbox *self);
void     ipc_outbox_forget_events (IpcOutbox *self);
/* Takes out SIZE bytes, SKIP bytes from the front: never a part of what is referenced. */
void     ipc_outbox_cut          (IpcOutbox *self, gsize skip, gsize size, GByteArray *copy);

/* Gives back room that is not needed. */
void     ipc_outbox_trim         (IpcOutbox *self);

/* What it holds up, in bytes: those to be written, and those of payloads that go along as memfds. */
static inline gsize
ipc_outbox_get_load (const IpcOutbox *self)
{
  return self->queued + self->shared;
}

/* The position that has been reached. */
static inline guint64
ipc_outbox_total_out (IpcOutbox *self)
{
  return self->total_in - self->queued - self->dropped_ahead;
}
