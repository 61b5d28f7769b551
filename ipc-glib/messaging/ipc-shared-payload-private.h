/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A large payload in a sealed memfd, which any number of peers can be given.
 *
 * Filling one costs more than sending the bytes once: the kernel has to find, and
 * later to free, a page for each 4 KiB. Measured in microseconds for a payload that
 * its receiver reads (Linux 6.18, both on one CPU):
 *
 *            inline   memfd made for it   memfd made before
 *   64 KiB       11                  62                  15
 *  256 KiB       38                 172                  33
 *    1 MiB      152                 628                 105
 *   16 MiB     5260               12240                2345
 *
 * So one is made only for a message that is sent again and again: to the many clients
 * of a broadcast, for instance. It stays with the message.
 */
#pragma once

#include "messaging/ipc-message-private.h"

#define IPC_SHARED_PAYLOAD_MIN (256u * 1024)    /* smaller ones are never shared */
#define IPC_SHARED_PAYLOAD_AFTER 8              /* it pays from that sending on */
#define IPC_SHARED_PAYLOADS_MAX 16              /* each takes a descriptor for as long as its message lives */

struct _IpcSharedPayload
{
  gint ref_count;               /* (atomic) */
  unsigned generation;
  int fd;                       /* (owned) */
  gsize size;
  GBytes *bytes;                /* (owned) the same, for when a descriptor cannot be sent */
};

/* The payload of a message of at least IPC_SHARED_PAYLOAD_MIN bytes that is about to be sent once more; NULL: inline
 * is better, or it has to be. (transfer full) */
IpcSharedPayload *ipc_shared_payload_get   (IpcMessage *message);
void              ipc_shared_payload_unref (IpcSharedPayload *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcSharedPayload, ipc_shared_payload_unref)

/* What a peer sent, where it lies: no copy. Closes FD. */
GBytes           *ipc_shared_payload_map   (int fd, guint64 size, GError **error);
