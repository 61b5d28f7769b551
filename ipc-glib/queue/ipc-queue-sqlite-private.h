/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues in a database, as one process changes them: what is done between begin() and commit(), one thread at a time. No GObject, no
 * waiting for others. The store (ipc-queue-sqlite-store.c) has the turn to write, and calls.
 *
 * A step that does not work for want of space, or because the file is damaged, leaves is_sound FALSE: then all since begin() has to be rolled
 * back. What is merely refused (a queue that is full, a lease that is lost) has changed nothing.
 */
#pragma once

#include "core/ipc-presence.h"
#include "queue/ipc-queue-database-private.h"
#include "queue/ipc-queue-doorbell-private.h"

#define IPC_QUEUE_LEASE_MS 300000

typedef enum
{
  IPC_QUEUE_READY = 0,
  IPC_QUEUE_DELAYED = 1,
  IPC_QUEUE_LEASED = 2,
} IpcQueueState;

/* What is known of a queue in the middle of a transaction. */
typedef struct
{
  char *name;                   /* (owned) */
  gint64 id;
  IpcQueueCounts counts;
  guint n_subscribers;          /* processes that want copies */
  gboolean is_dirty;
  gboolean is_tended;           /* what was due was done */
  gboolean is_copied;           /* to others than this process */
} IpcQueueRow;

typedef struct
{
  IpcQueueEvent event;
  char *queue;                  /* (owned) */
  IpcQueueItem *item;           /* (owned) (nullable) */
} IpcQueueNote;

typedef struct
{
  IpcQueueDatabase database;
  IpcQueueDoorbell *doorbell;
  IpcQueueLimits limits;        /* as of begin() */
  IpcDurability durability;     /* the same */
  gint64 clock;                 /* ms: what is added to the time since the start of the machine */
  gboolean knows_clock;
  GHashTable *known;            /* (owned) name → IpcQueueRow: of queues that there were, as they may be still */

  /* of the transaction */
  gboolean is_sound;
  gint64 now;                   /* ms, of the store's clock */
  guint64 last_id;
  gboolean is_counting;         /* LAST_ID is another one now */
  GHashTable *rows;             /* (owned) name → IpcQueueRow */
  GArray *notes;                /* (owned) of IpcQueueNote */
  gboolean rings_messages;      /* others are to be told */
  gboolean rings_queues;
  gint64 swept_at;              /* ms: when it was last proved who is alive */
} IpcQueueSqlite;

/* Where a message is, and what decides on it. */
typedef struct
{
  IpcQueueState state;
  guint64 id;
  gint64 priority;
  gint64 attempt;
  gint64 expires_at;
  gint64 due_at;                /* unless it is ready */
  gint64 owner;                 /* of a lease, as the following */
  gint64 extended;
  gint64 number;
} IpcQueueBrief;

gboolean ipc_queue_sqlite_open      (IpcQueueSqlite *self, const char *path, IpcQueueDoorbell *doorbell, GError **error);
void     ipc_queue_sqlite_close     (IpcQueueSqlite *self);
gboolean ipc_queue_sqlite_begin     (IpcQueueSqlite *self, GError **error);
gboolean ipc_queue_sqlite_commit    (IpcQueueSqlite *self, GError **error);
void     ipc_queue_sqlite_rollback  (IpcQueueSqlite *self);
void     ipc_queue_sqlite_note      (IpcQueueSqlite *self, IpcQueueEvent event, const char *queue, IpcQueueItem *item);
void     ipc_queue_note_clear       (gpointer note);

/* ms of the store's clock, which goes on steadily whatever is done to that of the machine. */
gint64   ipc_queue_sqlite_get_time  (const IpcQueueSqlite *self);
/* The same as monotonic µs; 0 stays 0. */
gint64   ipc_queue_sqlite_to_monotonic (const IpcQueueSqlite *self, gint64 time);

/* (transfer none): NOT_FOUND. */
IpcQueueRow *ipc_queue_sqlite_get_row (IpcQueueSqlite *self, const char *name, GError **error);
gboolean ipc_queue_sqlite_create    (IpcQueueSqlite *self, const char *name, GError **error);
gboolean ipc_queue_sqlite_delete    (IpcQueueSqlite *self, const char *name, GError **error);

/* As of IpcQueueStoreInterface. */
gboolean ipc_queue_sqlite_publish   (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem *item, gint64 ttl, gint64 delay, GError **error);
guint    ipc_queue_sqlite_take      (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem **items, guint max, GError **error);
gboolean ipc_queue_sqlite_ack       (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, GError **error);
/* N of one lease number, whose ids follow each other. FALSE without an error: some are not leased like that; nothing was changed. */
gboolean ipc_queue_sqlite_ack_several (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *const *items, guint n, GError **error);
gboolean ipc_queue_sqlite_nack      (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error);
gboolean ipc_queue_sqlite_reject    (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, const char *reason, GError **error);
gboolean ipc_queue_sqlite_extend    (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, gint64 duration, GError **error);
gint64   ipc_queue_sqlite_purge     (IpcQueueSqlite *self, IpcQueueRow *row, GError **error);
gint64   ipc_queue_sqlite_redrive   (IpcQueueSqlite *self, IpcQueueRow *row, guint64 id, GError **error);

/* ---- ipc-queue-sqlite-tend.c ---- */

/* Does what is due, once a transaction. */
gboolean ipc_queue_sqlite_tend      (IpcQueueSqlite *self, IpcQueueRow *row, GError **error);
/* It was delivered, and nothing came of it; DELAY as of nack(). */
gboolean ipc_queue_sqlite_come_back (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, gint64 delay, const char *reason,
                                     GError **error);
/* It is ready again. */
gboolean ipc_queue_sqlite_make_ready (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error);
/* A new one, into the table of its state. */
gboolean ipc_queue_sqlite_put       (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error);
/* What STATEMENT finds first. FALSE without an error: nothing. */
gboolean ipc_queue_sqlite_find      (IpcQueueSqlite *self, sqlite3_stmt *statement, IpcQueueState state, IpcQueueBrief *brief, GError **error);
gboolean ipc_queue_sqlite_bury      (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, const char *reason, GError **error);
/* Removes it, and tells that it expired. */
gboolean ipc_queue_sqlite_expire    (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error);
void     ipc_queue_sqlite_count_in  (IpcQueueRow *row, IpcQueueState state, guint n, gsize bytes);
void     ipc_queue_sqlite_count_out (IpcQueueRow *row, IpcQueueState state, guint n, gsize bytes);
/* Has others' deaths told. When to look again where nobody will tell (ms of the store's clock); 0: never. */
gint64   ipc_queue_sqlite_watch     (IpcQueueSqlite *self, IpcQueueRow *row);

/* ---- ipc-queue-sqlite-look.c: on any connection ---- */

/* Fills in the id and when it was made. FALSE without an error: there is none of that name. */
gboolean ipc_queue_look_queue       (IpcQueueDatabase *database, const char *name, IpcQueueRow *row, GError **error);
/* The rest, of the queue of that id. The same. */
gboolean ipc_queue_look_counts      (IpcQueueDatabase *database, IpcQueueRow *row, GError **error);
/* (transfer full): from a row of a statement that begins with the fields of a message. CORRUPT. */
IpcQueueItem *ipc_queue_look_item   (IpcQueueDatabase *database, sqlite3_stmt *statement, GError **error);
/* (transfer full): from columns FIRST on: stamp, format, type, headers, payload; PAYLOAD_ID: where it is if it is not in there. */
IpcMessage *ipc_queue_look_message  (IpcQueueDatabase *database, sqlite3_stmt *statement, int first, gint64 payload_id, GError **error);
/* Up to MAX more into FOUND. */
gboolean ipc_queue_look_items       (IpcQueueDatabase *database, IpcQueueStatement which, gint64 queue, guint max, GPtrArray *found, GError **error);
/* What is read by a statement of those that decide on a message in STATE. */
void     ipc_queue_look_brief       (sqlite3_stmt *statement, IpcQueueState state, IpcQueueBrief *brief);
/* When something is due (ms of the store's clock); 0: nothing. FALSE on error. */
gboolean ipc_queue_look_next        (IpcQueueDatabase *database, gint64 queue, gint64 *next, GError **error);
/* The next owner after OWNER that has leases of QUEUE; 0: none. */
gboolean ipc_queue_look_owner       (IpcQueueDatabase *database, gint64 queue, IpcOwner after, IpcOwner *owner, GError **error);
GPtrArray *ipc_queue_look_queues    (IpcQueueDatabase *database, GError **error);
