/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a connection still has to write: frames gathered in blocks, large
 * payloads by reference, in order. No locking of its own.
 */
#pragma once

#include <glib.h>
#include <sys/uio.h>

#define IPC_OUTBOX_INLINE_MAX 16384u /* payloads up to this are copied, larger ones referenced */

typedef struct _IpcOutBlock IpcOutBlock;

typedef struct
{
  IpcOutBlock *head;
  IpcOutBlock *tail;
  gsize queued;                 /* bytes in it now */
  guint64 total_in;             /* bytes ever put into it */
} IpcOutbox;

void     ipc_outbox_clear        (IpcOutbox *self);
/* SIZE contiguous bytes at the end, to be written by the caller now. */
guint8  *ipc_outbox_add          (IpcOutbox *self, gsize size);
/* References BYTES instead of copying them. */
void     ipc_outbox_add_bytes    (IpcOutbox *self, GBytes *bytes);
/* Up to MAX pieces from the front; how many there are. */
int      ipc_outbox_get_iovec    (IpcOutbox *self, struct iovec *iov, int max);
/* SIZE bytes from the front have been written. */
void     ipc_outbox_written      (IpcOutbox *self, gsize size);

static inline guint64
ipc_outbox_total_out (IpcOutbox *self)
{
  return self->total_in - self->queued;
}
