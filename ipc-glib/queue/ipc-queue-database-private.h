/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The file of queues on SQLite: finding it, making it, judging it, and running statements on it. What they mean is in ipc-queue-sqlite.c.
 *
 * It is complete before it has its name: made under a temporary one, with all that is in the schema, and linked. What is there already is
 * looked at without a change: a file that is no database, that of another program, and that of a later version are refused as they are.
 *
 * The file itself is never opened but by SQLite: to close a descriptor of it would drop the locks that SQLite has on it.
 */
#pragma once

#include <sqlite3.h>

#include "queue/ipc-queue-store-private.h"

#define IPC_QUEUE_APPLICATION_ID 0x49504371    /* "IPCq" */
#define IPC_QUEUE_SCHEMA_VERSION 1
#define IPC_QUEUE_PAGE_SIZE 1024        /* small, as a transaction writes whole ones, and most change a few messages */
#define IPC_QUEUE_INLINE_MAX 2048       /* payloads over it are in a table of their own, so that rows that change are small */

typedef enum
{
  IPC_QUEUE_BEGIN,
  IPC_QUEUE_COMMIT,
  IPC_QUEUE_ROLLBACK,
  IPC_QUEUE_STORE_READ,
  IPC_QUEUE_STORE_WRITE,
  IPC_QUEUE_QUEUE_ADD,
  IPC_QUEUE_QUEUE_FIND,
  IPC_QUEUE_QUEUE_DELETE,
  IPC_QUEUE_COUNT_ADD,
  IPC_QUEUE_COUNT_READ,
  IPC_QUEUE_COUNT_WRITE,
  IPC_QUEUE_COUNT_DELETE,
  IPC_QUEUE_QUEUE_LIST,
  IPC_QUEUE_MESSAGE_ADD,
  IPC_QUEUE_MESSAGE_DELETE,
  IPC_QUEUE_MESSAGE_DELETE_RANGE,
  IPC_QUEUE_MESSAGE_READ,
  IPC_QUEUE_READY_ADD,
  IPC_QUEUE_READY_REMOVE,
  IPC_QUEUE_READY_REMOVE_TO,
  IPC_QUEUE_READY_READ,
  IPC_QUEUE_READY_OLDEST,
  IPC_QUEUE_READY_EXPIRED,
  IPC_QUEUE_DELAYED_ADD,
  IPC_QUEUE_DELAYED_REMOVE,
  IPC_QUEUE_DELAYED_READ,
  IPC_QUEUE_DELAYED_EXPIRED,
  IPC_QUEUE_DELAYED_DUE,
  IPC_QUEUE_LEASE_ADD,
  IPC_QUEUE_LEASE_REMOVE,
  IPC_QUEUE_LEASE_COUNT,
  IPC_QUEUE_LEASE_REMOVE_RANGE,
  IPC_QUEUE_LEASE_EXTEND,
  IPC_QUEUE_LEASE_FIND,
  IPC_QUEUE_LEASE_FIRST,
  IPC_QUEUE_LEASE_FIRST_EXTENDED,
  IPC_QUEUE_LEASE_OWNER,
  IPC_QUEUE_LEASE_BYTES,
  IPC_QUEUE_LEASE_RELEASE_ALL,
  IPC_QUEUE_LEASE_REMOVE_ALL,
  IPC_QUEUE_LEASE_RELEASE_COUNTS,
  IPC_QUEUE_NEXT_DELAYED,
  IPC_QUEUE_NEXT_EXPIRED,
  IPC_QUEUE_PURGE_BODIES,
  IPC_QUEUE_PURGE_MESSAGES,
  IPC_QUEUE_DELETE_BODIES,
  IPC_QUEUE_DELETE_MESSAGES,
  IPC_QUEUE_DELETE_READY,
  IPC_QUEUE_DELETE_DELAYED,
  IPC_QUEUE_DELETE_LEASES,
  IPC_QUEUE_DELETE_DEAD,
  IPC_QUEUE_DELETE_DEDUP,
  IPC_QUEUE_DELETE_SUBSCRIBERS,
  IPC_QUEUE_BODY_ADD,
  IPC_QUEUE_BODY_READ,
  IPC_QUEUE_BODY_DELETE,
  IPC_QUEUE_BODY_DELETE_RANGE,
  IPC_QUEUE_DEDUP_FIND,
  IPC_QUEUE_DEDUP_ADD,
  IPC_QUEUE_DEDUP_FORGET,
  IPC_QUEUE_DEAD_ADD,
  IPC_QUEUE_DEAD_LIST,
  IPC_QUEUE_DEAD_FIND,
  IPC_QUEUE_DEAD_REVIVE,
  IPC_QUEUE_DEAD_MAKE_READY,
  IPC_QUEUE_DEAD_REMOVE,
  IPC_QUEUE_COPY_ADD,
  IPC_QUEUE_COPIES_READ,
  IPC_QUEUE_COPIES_FORGET,
  IPC_QUEUE_COPIES_LAST,
  IPC_QUEUE_SUBSCRIBER_ADD,
  IPC_QUEUE_SUBSCRIBER_REMOVE,
  IPC_QUEUE_SUBSCRIBER_LIST,
  IPC_QUEUE_N_STATEMENTS,
} IpcQueueStatement;

typedef struct
{
  char *path;                   /* (owned) */
  sqlite3 *db;
  sqlite3_stmt *statements[IPC_QUEUE_N_STATEMENTS];     /* (nullable) until they are needed */
  int n_log_pages;              /* after the last commit */
} IpcQueueDatabase;

/* The absolute path that a URI's part means: nothing, a name or a path. NULL on error. */
char    *ipc_queue_database_find_path (const char *part, GError **error);
/* Makes PATH if it is not there. WRONG_TYPE, CORRUPT, VERSION, UNSAFE_PATH, NO_SPACE… */
gboolean ipc_queue_database_ensure    (const char *path, GError **error);
/* Opens it, for reading only or not. */
gboolean ipc_queue_database_open      (IpcQueueDatabase *self, const char *path, gboolean writable, GError **error);
/* NAME is what SQLite is told, a path or a URI, FLAGS its own. */
gboolean ipc_queue_database_open_with (IpcQueueDatabase *self, const char *path, const char *name, int flags, GError **error);
/* DELETED: what is written would be in a file that nobody can find. */
gboolean ipc_queue_database_check_place (IpcQueueDatabase *self, GError **error);
/* Not in a forked child. */
void     ipc_queue_database_close     (IpcQueueDatabase *self);
/* It may be gone after a power cut, with those after it, until there was a sync. */
gboolean ipc_queue_database_commit    (IpcQueueDatabase *self, GError **error);
/* TRUE: all of the log is in the database now, and there was something. */
gboolean ipc_queue_database_empty_log (IpcQueueDatabase *self);
/* Outside of transactions. UNCERTAIN: it is there, and may be gone after a power cut. */
gboolean ipc_queue_database_sync      (IpcQueueDatabase *self, GError **error);

/* (transfer none) (nullable): ready to be bound; to be reset. FORMAT has a character an argument: i a gint64, t a text or NULL,
 * b a pointer (NULL for none) and a gsize; they stay until it is reset. */
sqlite3_stmt *ipc_queue_database_bind (IpcQueueDatabase *self, IpcQueueStatement which, GError **error, const char *format, ...);
/* One that returns no rows. */
gboolean ipc_queue_database_run       (IpcQueueDatabase *self, IpcQueueStatement which, GError **error, const char *format, ...);
gboolean ipc_queue_database_step_done (IpcQueueDatabase *self, sqlite3_stmt *statement, GError **error);
/* TRUE: there is a row. FALSE: there is none, and ERROR is set if it did not work; the statement is reset. */
gboolean ipc_queue_database_step_row  (IpcQueueDatabase *self, sqlite3_stmt *statement, GError **error);
/* What SQLite has just said. */
void     ipc_queue_database_set_error (IpcQueueDatabase *self, int code, GError **error);
