/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors on their way: those that wait to be sent with a frame, and those that
 * came and have not been given to a message yet. All of them are closed on exec and
 * guarded against forks (core/ipc-fork.h), and whoever drops them closes them.
 */
#pragma once

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

#define IPC_FDS_PER_SENDMSG 253u        /* the kernel's limit */
#define IPC_CEILING_MAX_FDS (IPC_FDS_PER_SENDMSG - 1u) /* one is left for a payload in a memfd */
#define IPC_DEFAULT_CLIENT_MAX_FDS 16u  /* what a client takes; a server takes none unless it says so */
#define IPC_MAX_FDS_IN_FLIGHT 64u       /* how many may wait to be sent, or to be dispatched */
#define IPC_PENDING_FDS_TIMEOUT_US (30 * G_USEC_PER_SEC)

/* ---- a few of them, that belong together ---- */

typedef struct
{
  unsigned generation;          /* of the process */
  guint n;
  int fds[];                    /* (owned) */
} IpcFds;

/* Duplicates, so that the list may do with its own what it wants. */
IpcFds      *ipc_fds_new_dup     (GUnixFDList *list, GError **error);
void         ipc_fds_free        (IpcFds *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcFds, ipc_fds_free)
/* The last one, which is the caller's from now on. */
int          ipc_fds_steal_last  (IpcFds *self);
/* Takes over SELF; NULL if there are none. They are the application's then: nothing guards them any more. */
GUnixFDList *ipc_fds_to_list     (IpcFds *self);

/* ---- those that came, in order ---- */

typedef struct
{
  unsigned generation;
  guint n;
  guint capacity;
  int *fds;                     /* (nullable) (owned) */
} IpcFdQueue;

/* Takes over FDS. */
void         ipc_fd_queue_push   (IpcFdQueue *self, const int *fds, guint n);
/* Moves the first N, which have to be there; NULL if N is 0. */
IpcFds      *ipc_fd_queue_take   (IpcFdQueue *self, guint n);
void         ipc_fd_queue_move   (IpcFdQueue *self, guint n, IpcFdQueue *to);
void         ipc_fd_queue_clear  (IpcFdQueue *self);

/* What a read of a transport brings beside its bytes; not initialised as a whole, because it is large. */
typedef struct
{
  guint capacity;               /* how many may come at most */
  guint n;
  gboolean truncated;           /* more were sent than came */
  int fds[IPC_FDS_PER_SENDMSG];
} IpcFdsRead;
