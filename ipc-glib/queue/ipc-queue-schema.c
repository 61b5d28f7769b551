/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is in the file, and all that is said to it. */
#include "queue/ipc-queue-schema-private.h"

/*
 * Times are in milliseconds of the clock of the store (ipc-queue-sqlite.c), but for those that people see, which are µs UTC.
 *
 * A message is ready (0), delayed (1) or leased (2); there is an index for each, which has only those, so that nothing costs more for
 * what is in the others. The counts of a queue are written once a transaction; those of queue 0 are the store's: the last number that was
 * given, in `total`, and when, by its clock, in `last_accessed`. They are so close together that it is one page that is written.
 */
const char ipc_queue_schema[] =
  "CREATE TABLE store (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, clock INTEGER NOT NULL) STRICT;"
  "INSERT INTO store VALUES (1, '', 0);"
  "CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL) STRICT;"
  "CREATE TABLE count (queue INTEGER PRIMARY KEY, last_accessed INTEGER NOT NULL, ready INTEGER NOT NULL, delayed INTEGER NOT NULL,"
  " leased INTEGER NOT NULL, dead INTEGER NOT NULL, total INTEGER NOT NULL, bytes INTEGER NOT NULL, subscribers INTEGER NOT NULL) STRICT;"
  "INSERT INTO count VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0);"
  "CREATE TABLE message (id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, state INTEGER NOT NULL, priority INTEGER NOT NULL,"
  " attempt INTEGER NOT NULL, lease INTEGER NOT NULL, owner INTEGER NOT NULL, due_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
  " shown_expiry INTEGER NOT NULL, created_at INTEGER NOT NULL, bytes INTEGER NOT NULL, stamp INTEGER NOT NULL, format INTEGER NOT NULL,"
  " type TEXT NOT NULL, headers BLOB, payload BLOB) STRICT;"
  "CREATE INDEX message_ready ON message (queue, priority DESC) WHERE state = 0;"
  "CREATE INDEX message_delayed ON message (queue, due_at) WHERE state = 1;"
  "CREATE INDEX message_leased ON message (queue, owner, due_at) WHERE state = 2;"
  "CREATE INDEX message_expiring ON message (queue, expires_at) WHERE expires_at != 0 AND state != 2;"
  "CREATE TABLE body (id INTEGER PRIMARY KEY, payload BLOB NOT NULL) STRICT;"
  "CREATE TABLE dead (id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, priority INTEGER NOT NULL, attempt INTEGER NOT NULL,"
  " shown_expiry INTEGER NOT NULL, created_at INTEGER NOT NULL, bytes INTEGER NOT NULL, stamp INTEGER NOT NULL, format INTEGER NOT NULL,"
  " type TEXT NOT NULL, headers BLOB, payload BLOB, reason TEXT NOT NULL, died_at INTEGER NOT NULL) STRICT;"
  "CREATE INDEX dead_of_queue ON dead (queue);"
  "CREATE TABLE dedup (queue INTEGER NOT NULL, text TEXT NOT NULL, id INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (queue, text))"
  " STRICT, WITHOUT ROWID;"
  "CREATE INDEX dedup_until ON dedup (queue, until);"
  "CREATE TABLE subscriber (queue INTEGER NOT NULL, owner INTEGER NOT NULL, PRIMARY KEY (queue, owner)) STRICT, WITHOUT ROWID;"
  "CREATE TABLE copy (id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL, owner INTEGER NOT NULL, created_at INTEGER NOT NULL,"
  " stamp INTEGER NOT NULL, format INTEGER NOT NULL, type TEXT NOT NULL, headers BLOB, payload BLOB) STRICT;";

#define FIELDS "id, priority, attempt, shown_expiry, created_at, bytes, stamp, format, type, headers, payload"
#define REST "attempt, lease, expires_at, bytes"

const char *const ipc_queue_statements[IPC_QUEUE_N_STATEMENTS] = {
  [IPC_QUEUE_BEGIN] = "BEGIN IMMEDIATE",
  [IPC_QUEUE_COMMIT] = "COMMIT",
  [IPC_QUEUE_ROLLBACK] = "ROLLBACK",

  [IPC_QUEUE_STORE_READ] = "SELECT epoch, clock FROM store",
  [IPC_QUEUE_STORE_WRITE] = "UPDATE store SET epoch = ?1, clock = ?2",

  [IPC_QUEUE_QUEUE_ADD] = "INSERT INTO queue (name, created_at) VALUES (?1, ?2)",
  [IPC_QUEUE_QUEUE_FIND] = "SELECT id, created_at FROM queue WHERE name = ?1",
  [IPC_QUEUE_QUEUE_DELETE] = "DELETE FROM queue WHERE id = ?1",
  [IPC_QUEUE_COUNT_ADD] = "INSERT INTO count VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0)",
  [IPC_QUEUE_COUNT_READ] = "SELECT last_accessed, ready, delayed, leased, dead, total, bytes, subscribers FROM count WHERE queue = ?1",
  [IPC_QUEUE_COUNT_WRITE] =
    "UPDATE count SET last_accessed = ?2, ready = ?3, delayed = ?4, leased = ?5, dead = ?6, total = ?7, bytes = ?8, subscribers = ?9"
    " WHERE queue = ?1",
  [IPC_QUEUE_COUNT_DELETE] = "DELETE FROM count WHERE queue = ?1",
  [IPC_QUEUE_QUEUE_LIST] = "SELECT name FROM queue ORDER BY name",

  [IPC_QUEUE_MESSAGE_ADD] =
    "INSERT INTO message VALUES (?1, ?2, ?3, ?4, 0, 0, 0, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
  [IPC_QUEUE_MESSAGE_SETTLE] = "DELETE FROM message WHERE id = ?1 AND queue = ?2 AND lease = ?3 AND state = 2",
  [IPC_QUEUE_MESSAGE_DELETE] = "DELETE FROM message WHERE id = ?1",
  [IPC_QUEUE_MESSAGE_LEASE] = "UPDATE message SET state = 2, attempt = attempt + 1, lease = ?2, owner = ?3, due_at = ?4 WHERE id = ?1",
  [IPC_QUEUE_MESSAGE_MOVE] = "UPDATE message SET state = ?2, due_at = ?3, attempt = ?4, lease = 0, owner = 0 WHERE id = ?1",
  [IPC_QUEUE_MESSAGE_EXTEND] = "UPDATE message SET due_at = ?4 WHERE id = ?1 AND queue = ?2 AND lease = ?3 AND state = 2",
  [IPC_QUEUE_MESSAGE_FIND_LEASED] = "SELECT id, " REST " FROM message WHERE id = ?1 AND queue = ?2 AND lease = ?3 AND state = 2",

  [IPC_QUEUE_MESSAGE_READ] = "SELECT " FIELDS " FROM message WHERE queue = ?1 AND id = ?2",

  [IPC_QUEUE_MESSAGES_READY] =
    "SELECT " FIELDS " FROM message INDEXED BY message_ready WHERE queue = ?1 AND state = 0 ORDER BY priority DESC, id LIMIT ?2",
  [IPC_QUEUE_MESSAGES_DELAYED] =
    "SELECT " FIELDS " FROM message INDEXED BY message_delayed WHERE queue = ?1 AND state = 1 ORDER BY due_at, id LIMIT ?2",
  [IPC_QUEUE_MESSAGES_EXPIRED] =
    "SELECT " FIELDS ", state FROM message INDEXED BY message_expiring"
    " WHERE queue = ?1 AND expires_at != 0 AND state != 2 AND expires_at <= ?2 ORDER BY expires_at, id LIMIT 1",
  [IPC_QUEUE_MESSAGES_DUE] =
    "SELECT id, " REST " FROM message INDEXED BY message_delayed WHERE queue = ?1 AND state = 1 AND due_at <= ?2 ORDER BY due_at, id LIMIT 1",
  [IPC_QUEUE_MESSAGES_LATE] =
    "SELECT id, " REST " FROM message INDEXED BY message_leased WHERE queue = ?1 AND state = 2 AND owner = ?2 AND due_at <= ?3 ORDER BY due_at LIMIT 1",
  [IPC_QUEUE_MESSAGES_OF_OWNER] =
    "SELECT id, " REST " FROM message INDEXED BY message_leased WHERE queue = ?1 AND state = 2 AND owner = ?2 ORDER BY due_at LIMIT 1",
  [IPC_QUEUE_MESSAGES_OLDEST] =
    "SELECT " FIELDS " FROM message INDEXED BY message_ready WHERE queue = ?1 AND state = 0 AND priority = ?2 ORDER BY id LIMIT 1",
  [IPC_QUEUE_NEXT_DELAYED] = "SELECT min(due_at) FROM message INDEXED BY message_delayed WHERE queue = ?1 AND state = 1",
  [IPC_QUEUE_NEXT_EXPIRED] =
    "SELECT min(expires_at) FROM message INDEXED BY message_expiring WHERE queue = ?1 AND expires_at != 0 AND state != 2",
  [IPC_QUEUE_NEXT_LEASED] = "SELECT min(due_at) FROM message INDEXED BY message_leased WHERE queue = ?1 AND state = 2 AND owner = ?2",
  [IPC_QUEUE_NEXT_OWNER] = "SELECT min(owner) FROM message INDEXED BY message_leased WHERE queue = ?1 AND state = 2 AND owner > ?2",

  [IPC_QUEUE_PURGE_BODIES] = "DELETE FROM body WHERE id IN (SELECT id FROM message WHERE queue = ?1 AND state != 2 AND payload IS NULL)",
  [IPC_QUEUE_PURGE] = "DELETE FROM message WHERE queue = ?1 AND state != 2",
  [IPC_QUEUE_LEASED_BYTES] = "SELECT coalesce(sum(bytes), 0) FROM message INDEXED BY message_leased WHERE queue = ?1 AND state = 2",
  [IPC_QUEUE_DELETE_BODIES] =
    "DELETE FROM body WHERE id IN (SELECT id FROM message WHERE queue = ?1 AND payload IS NULL"
    " UNION ALL SELECT id FROM dead WHERE queue = ?1 AND payload IS NULL)",
  [IPC_QUEUE_DELETE_MESSAGES] = "DELETE FROM message WHERE queue = ?1",
  [IPC_QUEUE_DELETE_DEAD] = "DELETE FROM dead WHERE queue = ?1",
  [IPC_QUEUE_DELETE_DEDUP] = "DELETE FROM dedup WHERE queue = ?1",
  [IPC_QUEUE_DELETE_SUBSCRIBERS] = "DELETE FROM subscriber WHERE queue = ?1",
  [IPC_QUEUE_RELEASE_ALL] = "UPDATE message SET state = 0, lease = 0, owner = 0 WHERE state = 2",
  [IPC_QUEUE_RELEASE_COUNTS] = "UPDATE count SET ready = ready + leased, leased = 0",

  [IPC_QUEUE_BODY_ADD] = "INSERT INTO body VALUES (?1, ?2)",
  [IPC_QUEUE_BODY_READ] = "SELECT payload FROM body WHERE id = ?1",
  [IPC_QUEUE_BODY_DELETE] = "DELETE FROM body WHERE id = ?1",

  [IPC_QUEUE_DEDUP_FIND] = "SELECT id FROM dedup WHERE queue = ?1 AND text = ?2 AND until > ?3",
  [IPC_QUEUE_DEDUP_ADD] = "INSERT OR REPLACE INTO dedup VALUES (?1, ?2, ?3, ?4)",
  [IPC_QUEUE_DEDUP_FORGET] = "DELETE FROM dedup WHERE queue = ?1 AND until <= ?2",

  [IPC_QUEUE_DEAD_ADD] =
    "INSERT INTO dead SELECT id, queue, priority, attempt, shown_expiry, created_at, bytes, stamp, format, type, headers, payload, ?2, ?3"
    " FROM message WHERE id = ?1",
  [IPC_QUEUE_DEAD_LIST] = "SELECT " FIELDS ", reason, died_at FROM dead WHERE queue = ?1 ORDER BY died_at, id LIMIT ?2",
  [IPC_QUEUE_DEAD_FIND] = "SELECT " FIELDS ", reason, died_at FROM dead WHERE queue = ?1 AND id = ?2",
  [IPC_QUEUE_DEAD_REVIVE] =
    "INSERT INTO message SELECT id, queue, 0, priority, 0, 0, 0, 0, 0, 0, created_at, bytes, stamp, format, type, headers, payload"
    " FROM dead WHERE queue = ?1 AND (?2 = 0 OR id = ?2)",
  [IPC_QUEUE_DEAD_REMOVE] = "DELETE FROM dead WHERE queue = ?1 AND (?2 = 0 OR id = ?2) RETURNING bytes",

  [IPC_QUEUE_COPY_ADD] = "INSERT INTO copy (queue, owner, created_at, stamp, format, type, headers, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
  [IPC_QUEUE_COPIES_READ] = "SELECT copy.id, stamp, format, type, headers, payload, name FROM copy JOIN queue ON queue.id = copy.queue"
    " WHERE copy.id > ?1 AND owner != ?2 ORDER BY copy.id LIMIT ?3",
  [IPC_QUEUE_COPIES_FORGET] = "DELETE FROM copy WHERE id <= (SELECT max(id) FROM copy) - ?1 OR created_at < ?2",
  [IPC_QUEUE_COPIES_LAST] = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'copy'), 0)",
  [IPC_QUEUE_SUBSCRIBER_ADD] = "INSERT OR IGNORE INTO subscriber VALUES (?1, ?2)",
  [IPC_QUEUE_SUBSCRIBER_REMOVE] = "DELETE FROM subscriber WHERE queue = ?1 AND owner = ?2",
  [IPC_QUEUE_SUBSCRIBER_LIST] = "SELECT owner FROM subscriber WHERE queue = ?1 AND owner != ?2",
};
