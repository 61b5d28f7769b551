/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is in the file, and all that is said to it. */
#include "queue/ipc-queue-schema-private.h"

/*
 * Times are in milliseconds of the clock of the store (ipc-queue-sqlite.c), but for those that people see, which are µs UTC.
 *
 * A message itself is not changed any more. Where it is changes: it is in one of `ready`, `delayed` and `lease`, each in the order in which
 * it is asked for, so that nothing costs more for what is in the others. A lease has the number of the taking, which all that were taken
 * together share; as numbers grow, their order is that in which leases end, but for those that were extended, which have an index.
 *
 * The counts of a queue are written once a transaction; those of queue 0 are the store's: the last number that was given, in `total`, and
 * when, by its clock, in `last_accessed`. They are so close together that it is one page that is written.
 */
const char ipc_queue_schema[] =
  "CREATE TABLE store (one INTEGER PRIMARY KEY CHECK (one = 1), epoch TEXT NOT NULL, clock INTEGER NOT NULL) STRICT;"
  "INSERT INTO store VALUES (1, '', 0);"
  "CREATE TABLE queue (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, created_at INTEGER NOT NULL) STRICT;"
  "CREATE TABLE count (queue INTEGER PRIMARY KEY, last_accessed INTEGER NOT NULL, ready INTEGER NOT NULL, delayed INTEGER NOT NULL,"
  " leased INTEGER NOT NULL, dead INTEGER NOT NULL, total INTEGER NOT NULL, bytes INTEGER NOT NULL, subscribers INTEGER NOT NULL) STRICT;"
  "INSERT INTO count VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0);"
  "CREATE TABLE message (id INTEGER PRIMARY KEY, shown_expiry INTEGER NOT NULL, created_at INTEGER NOT NULL, bytes INTEGER NOT NULL,"
  " stamp INTEGER NOT NULL, format INTEGER NOT NULL, type TEXT NOT NULL, headers BLOB, payload BLOB) STRICT;"
  "CREATE TABLE ready (queue INTEGER NOT NULL, priority INTEGER NOT NULL, id INTEGER NOT NULL, attempt INTEGER NOT NULL,"
  " expires_at INTEGER NOT NULL, PRIMARY KEY (queue, priority DESC, id)) STRICT, WITHOUT ROWID;"
  "CREATE INDEX ready_expiring ON ready (queue, expires_at) WHERE expires_at != 0;"
  "CREATE TABLE delayed (queue INTEGER NOT NULL, due_at INTEGER NOT NULL, id INTEGER NOT NULL, priority INTEGER NOT NULL,"
  " attempt INTEGER NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (queue, due_at, id)) STRICT, WITHOUT ROWID;"
  "CREATE INDEX delayed_expiring ON delayed (queue, expires_at) WHERE expires_at != 0;"
  "CREATE TABLE lease (queue INTEGER NOT NULL, owner INTEGER NOT NULL, extended INTEGER NOT NULL, number INTEGER NOT NULL,"
  " id INTEGER NOT NULL, priority INTEGER NOT NULL, attempt INTEGER NOT NULL, due_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
  " PRIMARY KEY (queue, owner, extended, number, id)) STRICT, WITHOUT ROWID;"
  "CREATE INDEX lease_extended ON lease (queue, owner, due_at) WHERE extended = 1;"
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

#define CONTENT "shown_expiry, created_at, bytes, stamp, format, type, headers, payload"
#define FIELDS "id, priority, attempt, " CONTENT
#define BRIEF "id, priority, attempt, expires_at"
#define LEASE BRIEF ", due_at, owner, extended, number"
#define WAITING "SELECT id FROM ready WHERE queue = ?1 UNION ALL SELECT id FROM delayed WHERE queue = ?1"
#define ALL WAITING " UNION ALL SELECT id FROM lease WHERE queue = ?1"

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

  [IPC_QUEUE_MESSAGE_ADD] = "INSERT INTO message VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
  [IPC_QUEUE_MESSAGE_DELETE] = "DELETE FROM message WHERE id = ?1",
  [IPC_QUEUE_MESSAGE_DELETE_RANGE] = "DELETE FROM message WHERE id BETWEEN ?1 AND ?2",
  [IPC_QUEUE_MESSAGE_READ] = "SELECT id, ?2, ?3, " CONTENT " FROM message WHERE id = ?1",

  [IPC_QUEUE_READY_ADD] = "INSERT INTO ready VALUES (?1, ?2, ?3, ?4, ?5)",
  [IPC_QUEUE_READY_REMOVE] = "DELETE FROM ready WHERE queue = ?1 AND priority = ?2 AND id = ?3",
  [IPC_QUEUE_READY_REMOVE_TO] = "DELETE FROM ready WHERE queue = ?1 AND priority = ?2 AND id <= ?3",
  /* One whose message is missing is found, too. */
  [IPC_QUEUE_READY_READ] =
    "SELECT ready." FIELDS " FROM ready LEFT JOIN message ON message.id = ready.id WHERE queue = ?1 ORDER BY priority DESC, ready.id LIMIT ?2",
  [IPC_QUEUE_READY_OLDEST] = "SELECT " BRIEF " FROM ready WHERE queue = ?1 AND priority = ?2 ORDER BY id LIMIT 1",
  [IPC_QUEUE_READY_EXPIRED] =
    "SELECT " BRIEF " FROM ready INDEXED BY ready_expiring WHERE queue = ?1 AND expires_at != 0 AND expires_at <= ?2 ORDER BY expires_at LIMIT 1",

  [IPC_QUEUE_DELAYED_ADD] = "INSERT INTO delayed VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
  [IPC_QUEUE_DELAYED_REMOVE] = "DELETE FROM delayed WHERE queue = ?1 AND due_at = ?2 AND id = ?3",
  [IPC_QUEUE_DELAYED_READ] =
    "SELECT delayed." FIELDS " FROM delayed LEFT JOIN message ON message.id = delayed.id WHERE queue = ?1 ORDER BY due_at, delayed.id LIMIT ?2",
  [IPC_QUEUE_DELAYED_EXPIRED] =
    "SELECT " BRIEF ", due_at FROM delayed INDEXED BY delayed_expiring WHERE queue = ?1 AND expires_at != 0 AND expires_at <= ?2"
    " ORDER BY expires_at LIMIT 1",
  [IPC_QUEUE_DELAYED_DUE] = "SELECT " BRIEF ", due_at FROM delayed WHERE queue = ?1 AND due_at <= ?2 ORDER BY due_at, id LIMIT 1",

  [IPC_QUEUE_LEASE_ADD] =
    "INSERT INTO lease SELECT queue, ?4, 0, ?5, id, priority, attempt + 1, ?6, expires_at FROM ready WHERE queue = ?1 AND priority = ?2 AND id <= ?3",
  [IPC_QUEUE_LEASE_REMOVE] = "DELETE FROM lease WHERE queue = ?1 AND owner = ?2 AND extended = ?3 AND number = ?4 AND id = ?5",
  [IPC_QUEUE_LEASE_COUNT] =
    "SELECT count(*) FROM lease WHERE queue = ?1 AND owner = ?2 AND extended = 0 AND number = ?3 AND id BETWEEN ?4 AND ?5",
  [IPC_QUEUE_LEASE_REMOVE_RANGE] =
    "DELETE FROM lease WHERE queue = ?1 AND owner = ?2 AND extended = 0 AND number = ?3 AND id BETWEEN ?4 AND ?5",
  [IPC_QUEUE_LEASE_EXTEND] =
    "UPDATE lease SET extended = 1, due_at = ?5 WHERE queue = ?1 AND owner = ?2 AND extended IN (0, 1) AND number = ?3 AND id = ?4",
  [IPC_QUEUE_LEASE_FIND] =
    "SELECT " LEASE " FROM lease WHERE queue = ?1 AND owner = ?2 AND extended IN (0, 1) AND number = ?3 AND id = ?4",
  [IPC_QUEUE_LEASE_FIRST] = "SELECT " LEASE " FROM lease WHERE queue = ?1 AND owner = ?2 AND extended = 0 ORDER BY number, id LIMIT 1",
  [IPC_QUEUE_LEASE_FIRST_EXTENDED] =
    "SELECT " LEASE " FROM lease INDEXED BY lease_extended WHERE queue = ?1 AND owner = ?2 AND extended = 1 ORDER BY due_at LIMIT 1",
  [IPC_QUEUE_LEASE_OWNER] = "SELECT min(owner) FROM lease WHERE queue = ?1 AND owner > ?2",
  [IPC_QUEUE_LEASE_BYTES] =
    "SELECT coalesce(sum(bytes), 0) FROM lease CROSS JOIN message ON message.id = lease.id WHERE queue = ?1",
  [IPC_QUEUE_LEASE_RELEASE_ALL] = "INSERT INTO ready SELECT queue, priority, id, attempt, expires_at FROM lease",
  [IPC_QUEUE_LEASE_REMOVE_ALL] = "DELETE FROM lease",
  [IPC_QUEUE_LEASE_RELEASE_COUNTS] = "UPDATE count SET ready = ready + leased, leased = 0",

  [IPC_QUEUE_NEXT_DELAYED] = "SELECT min(due_at) FROM delayed WHERE queue = ?1",
  [IPC_QUEUE_NEXT_EXPIRED] =
    "SELECT min(time) FROM (SELECT min(expires_at) AS time FROM ready INDEXED BY ready_expiring WHERE queue = ?1 AND expires_at != 0"
    " UNION ALL SELECT min(expires_at) FROM delayed INDEXED BY delayed_expiring WHERE queue = ?1 AND expires_at != 0)",

  [IPC_QUEUE_PURGE_BODIES] = "DELETE FROM body WHERE id IN (" WAITING ")",
  [IPC_QUEUE_PURGE_MESSAGES] = "DELETE FROM message WHERE id IN (" WAITING ")",
  [IPC_QUEUE_DELETE_BODIES] = "DELETE FROM body WHERE id IN (" ALL " UNION ALL SELECT id FROM dead WHERE queue = ?1 AND payload IS NULL)",
  [IPC_QUEUE_DELETE_MESSAGES] = "DELETE FROM message WHERE id IN (" ALL ")",
  [IPC_QUEUE_DELETE_READY] = "DELETE FROM ready WHERE queue = ?1",
  [IPC_QUEUE_DELETE_DELAYED] = "DELETE FROM delayed WHERE queue = ?1",
  [IPC_QUEUE_DELETE_LEASES] = "DELETE FROM lease WHERE queue = ?1",
  [IPC_QUEUE_DELETE_DEAD] = "DELETE FROM dead WHERE queue = ?1",
  [IPC_QUEUE_DELETE_DEDUP] = "DELETE FROM dedup WHERE queue = ?1",
  [IPC_QUEUE_DELETE_SUBSCRIBERS] = "DELETE FROM subscriber WHERE queue = ?1",

  [IPC_QUEUE_BODY_ADD] = "INSERT INTO body VALUES (?1, ?2)",
  [IPC_QUEUE_BODY_READ] = "SELECT payload FROM body WHERE id = ?1",
  [IPC_QUEUE_BODY_DELETE] = "DELETE FROM body WHERE id = ?1",
  [IPC_QUEUE_BODY_DELETE_RANGE] = "DELETE FROM body WHERE id BETWEEN ?1 AND ?2",

  [IPC_QUEUE_DEDUP_FIND] = "SELECT id FROM dedup WHERE queue = ?1 AND text = ?2 AND until > ?3",
  [IPC_QUEUE_DEDUP_ADD] = "INSERT OR REPLACE INTO dedup VALUES (?1, ?2, ?3, ?4)",
  [IPC_QUEUE_DEDUP_FORGET] = "DELETE FROM dedup WHERE queue = ?1 AND until <= ?2",

  [IPC_QUEUE_DEAD_ADD] =
    "INSERT INTO dead SELECT id, ?2, ?3, ?4, " CONTENT ", ?5, ?6 FROM message WHERE id = ?1",
  [IPC_QUEUE_DEAD_LIST] = "SELECT " FIELDS ", reason, died_at FROM dead WHERE queue = ?1 ORDER BY died_at, id LIMIT ?2",
  [IPC_QUEUE_DEAD_FIND] = "SELECT " FIELDS ", reason, died_at FROM dead WHERE queue = ?1 AND id = ?2",
  [IPC_QUEUE_DEAD_REVIVE] =
    "INSERT INTO message SELECT id, 0, created_at, bytes, stamp, format, type, headers, payload FROM dead WHERE queue = ?1 AND (?2 = 0 OR id = ?2)",
  [IPC_QUEUE_DEAD_MAKE_READY] = "INSERT INTO ready SELECT queue, priority, id, 0, 0 FROM dead WHERE queue = ?1 AND (?2 = 0 OR id = ?2)",
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
