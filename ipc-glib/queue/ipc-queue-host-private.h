/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Serves the queues of a manager to other processes.
 *
 *   ipc-queue-host.c        the server, and what its clients are told of
 *   ipc-queue-host-peer.c   what is known of one client: what it has taken, what it waits for
 *   ipc-queue-host-calls.c  what the requests do
 *
 * Everything begins in the context of the manager. What the store is asked for may end in a thread of the store; `lock` guards what both
 * touch.
 */
#pragma once

#include "ipc-server.h"
#include "queue/ipc-queue-manager-private.h"

typedef struct _IpcQueueHost IpcQueueHost;

typedef enum
{
  IPC_QUEUE_PEER_OPENED = 1 << 0,       /* is told what becomes of its messages */
  IPC_QUEUE_PEER_WAITING = 1 << 1,      /* is told, once, that there may be something */
  IPC_QUEUE_PEER_SUBSCRIBED = 1 << 2,   /* is told of all that is published */
} IpcQueuePeerFlags;

/* One client. */
typedef struct
{
  gint ref_count;               /* (atomic) */
  IpcQueueHost *host;           /* (owned) */
  IpcConnection *connection;    /* (owned) */
  gboolean is_gone;             /* (mutex of the host) */
  guint64 last_tag;             /* (mutex of the host) */
  GHashTable *held;             /* (owned) (mutex of the host) tag → what it has taken and not settled */
  GHashTable *queues;           /* (owned) (mutex of the host) name → IpcQueuePeerFlags */
} IpcQueuePeer;

struct _IpcQueueHost
{
  gint ref_count;               /* (atomic) */
  IpcQueueManager *manager;     /* (nullable) (not owned) until it is stopped */
  IpcQueueCenter *center;       /* (owned) */
  IpcServer *server;            /* (owned) */
  GHashTable *peers;            /* (owned) connection → IpcQueuePeer; in the context */
  GMutex lock;
};

/* NULL with the errors of ipc_server_start(). */
IpcQueueHost *ipc_queue_host_new     (IpcQueueManager *manager, const char *address, GError **error);
/* Serves nobody any more, and lets go of it. */
void          ipc_queue_host_stop    (IpcQueueHost *self);
IpcQueueHost *ipc_queue_host_ref     (IpcQueueHost *self);
void          ipc_queue_host_unref   (IpcQueueHost *self);

/* ---- ipc-queue-host-peer.c ---- */

IpcQueuePeer *ipc_queue_peer_new     (IpcQueueHost *host, IpcConnection *connection);
IpcQueuePeer *ipc_queue_peer_ref     (IpcQueuePeer *self);
void          ipc_queue_peer_unref   (IpcQueuePeer *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcQueuePeer, ipc_queue_peer_unref)
/* Its connection is gone: what it has goes back, as an attempt that failed. */
void          ipc_queue_peer_leave   (IpcQueuePeer *self);
/* FALSE with LIMIT_EXCEEDED. */
gboolean      ipc_queue_peer_mark    (IpcQueuePeer *self, const char *queue, IpcQueuePeerFlags flags, GError **error);
void          ipc_queue_peer_unmark  (IpcQueuePeer *self, const char *queue, IpcQueuePeerFlags flags);
IpcQueuePeerFlags ipc_queue_peer_get_marks (IpcQueuePeer *self, const char *queue);
/* What it may take at once, of MAX. */
guint         ipc_queue_peer_get_room (IpcQueuePeer *self, guint max);
/* The tag that ITEM has for it from now on; 0: it is gone. */
guint64       ipc_queue_peer_hold    (IpcQueuePeer *self, const char *queue, IpcQueueItem *item);
/* (transfer full) (nullable): what it has taken from QUEUE and calls TAG. */
IpcQueueItem *ipc_queue_peer_find    (IpcQueuePeer *self, const char *queue, guint64 tag);
void          ipc_queue_peer_forget  (IpcQueuePeer *self, guint64 tag);

/* ---- ipc-queue-host-calls.c ---- */

/* (transfer full): what peers are told. ITEM is nullable. */
IpcMessage   *ipc_queue_host_new_event (IpcQueueEvent event, const char *queue, const IpcQueueItem *item);
/* (transfer full) (nullable): the type of the Ith request, for ipc_queue_host_handle(); NULL: there are no more. */
char         *ipc_queue_host_get_request (guint i);
/* Answers REQUEST now or later. FALSE with INVALID_DATA: it makes no sense. */
gboolean      ipc_queue_host_handle  (IpcQueuePeer *peer, IpcMessage *request, GError **error);
