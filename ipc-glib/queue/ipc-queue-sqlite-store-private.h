/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "queue/ipc-queue-jobs-private.h"
#include "queue/ipc-queue-sqlite-private.h"

#define IPC_TYPE_QUEUE_SQLITE_STORE (ipc_queue_sqlite_store_get_type ())
G_DECLARE_FINAL_TYPE (IpcQueueSqliteStore, ipc_queue_sqlite_store, IPC, QUEUE_SQLITE_STORE, GObject)

struct _IpcQueueSqliteStore
{
  GObject parent_instance;

  unsigned generation;          /* of forks */
  IpcQueueDoorbell doorbell;
  gboolean is_open;
  IpcQueueJobs *jobs;           /* (owned) */
  IpcQueueSqlite writer;        /* whoever does a batch */

  GMutex reader_lock;
  IpcQueueDatabase reader;      /* (mutex reader_lock) */

  GMutex lock;
  IpcQueueLimits limits;        /* (mutex lock) */
  IpcDurability durability;     /* (mutex lock) */
  GHashTable *names;            /* (owned) (mutex lock) of queues, as the listener was told of them */
  GHashTable *subscribed;       /* (owned) (mutex lock) name → how often */
  gint64 last_copy;             /* (mutex reader_lock) that was read */

  GMutex listener_lock;
  IpcQueueListener listener;    /* (nullable) (mutex listener_lock) */
  gpointer listener_data;       /* (mutex listener_lock) */
};

/* PART is what follows "sqlite:" in a URI. *URI (transfer full) is the one with the whole path. */
IpcQueueStore *ipc_queue_sqlite_store_new (const char *part, char **uri, GError **error);

void     ipc_queue_sqlite_store_tell    (IpcQueueSqliteStore *self, IpcQueueEvent event, const char *queue, IpcQueueItem *item);

/* ---- ipc-queue-sqlite-others.c ---- */

/* In the thread of the jobs: somebody has rung. The store may be about to go. */
void     ipc_queue_sqlite_store_rung    (gpointer store);
/* Whether the listener has to be told: of queues that were made or deleted it is told once, whoever did it. */
gboolean ipc_queue_sqlite_store_is_news (IpcQueueSqliteStore *self, IpcQueueEvent event, const char *queue);
/* Tells of queues that others have made or deleted, now and from now on. */
void     ipc_queue_sqlite_store_look_for_queues (IpcQueueSqliteStore *self);
/* (transfer full) (nullable) */
GPtrArray *ipc_queue_sqlite_store_read_names (IpcQueueSqliteStore *self, GError **error);
/* For the writer: *LAST is the number of the last copy so far. */
gboolean ipc_queue_sqlite_set_subscribed (IpcQueueSqlite *writer, IpcQueueRow *row, gboolean subscribed, gint64 *last, GError **error);
/* TRUE: the database has to know. */
gboolean ipc_queue_sqlite_store_count_subscribed (IpcQueueSqliteStore *self, const char *name, gboolean subscribed);
/* Copies after LAST are told from now on. */
void     ipc_queue_sqlite_store_begin_copies (IpcQueueSqliteStore *self, gint64 last);
