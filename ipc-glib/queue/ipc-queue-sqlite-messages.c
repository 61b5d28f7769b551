/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Publishing, taking and settling. */
#include "queue/ipc-queue-sqlite-private.h"

#include "ipc-error.h"
#include "messaging/ipc-message-private.h"

#define DEDUP_WINDOW_MS 300000
#define COPIES_MAX 10000        /* of what is published, for those who subscribe in other processes */
#define COPIES_MS 60000

static gboolean
broken (IpcQueueSqlite *self)
{
  self->is_sound = FALSE;
  return FALSE;
}

#define RUN(self, ...) (ipc_queue_database_run (&(self)->database, __VA_ARGS__) || broken (self))

static gint64
add_ms (gint64 to, gint64 ms)
{
  return ms > G_MAXINT64 - to ? G_MAXINT64 : to + ms;
}

static guint64
next_number (IpcQueueSqlite *self)
{
  self->is_counting = TRUE;
  return ++self->last_id;
}

/* ---- room ---- */

static guint
count_all (const IpcQueueRow *row)
{
  return row->counts.ready + row->counts.delayed + row->counts.unacked;
}

static gboolean
has_room (const IpcQueueSqlite *self, const IpcQueueRow *row, gsize bytes)
{
  return count_all (row) < self->limits.max_messages && bytes <= self->limits.max_bytes && row->counts.bytes <= self->limits.max_bytes - bytes;
}

/* The oldest of those that matter least. FALSE: there is none that nobody has, or ERROR is set. */
static gboolean
drop_oldest (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  IpcQueueBrief brief;

  for (gint64 priority = IPC_PRIORITY_LOW; self->is_sound && priority <= IPC_PRIORITY_CRITICAL; priority++)
    {
      sqlite3_stmt *statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_READY_OLDEST, error, "ii", row->id, priority);

      if (ipc_queue_sqlite_find (self, statement, IPC_QUEUE_READY, &brief, error))
        return ipc_queue_sqlite_expire (self, row, &brief, error);
    }
  return FALSE;
}

static gboolean
make_room (IpcQueueSqlite *self, IpcQueueRow *row, gsize bytes, GError **error)
{
  while (!has_room (self, row, bytes))
    {
      if (self->limits.overflow_policy == IPC_OVERFLOW_POLICY_DROP_OLDEST && bytes <= self->limits.max_bytes && drop_oldest (self, row, error))
        continue;
      if (self->is_sound)
        g_set_error (error, IPC_ERROR, IPC_ERROR_FULL,
                     "queue \"%s\" is full: %u messages of at most %u, %" G_GUINT64_FORMAT " bytes and %" G_GSIZE_FORMAT
                     " more of at most %" G_GUINT64_FORMAT,
                     row->name, count_all (row), self->limits.max_messages, row->counts.bytes, bytes, self->limits.max_bytes);
      return FALSE;
    }
  return TRUE;
}

/* ---- publishing ---- */

/* TRUE: it was published before; ITEM has its id then. FALSE, perhaps with is_sound FALSE. */
static gboolean
is_duplicate (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem *item, GError **error)
{
  sqlite3_stmt *statement;
  GError *reason = NULL;
  gboolean found;

  if (item->dedup_id == NULL)
    return FALSE;
  statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_DEDUP_FIND, error, "iti", row->id, item->dedup_id, self->now);
  if (statement == NULL)
    return broken (self);
  found = ipc_queue_database_step_row (&self->database, statement, &reason);
  if (found)
    {
      item->id = (guint64) sqlite3_column_int64 (statement, 0);
      sqlite3_reset (statement);
    }
  if (reason == NULL)
    return found;
  g_propagate_error (error, reason);
  return broken (self);
}

static gboolean
remember_dedup (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, GError **error)
{
  return item->dedup_id == NULL ||
         (RUN (self, IPC_QUEUE_DEDUP_FORGET, error, "ii", row->id, self->now) &&
          RUN (self, IPC_QUEUE_DEDUP_ADD, error, "itii", row->id, item->dedup_id, (gint64) item->id, self->now + DEDUP_WINDOW_MS));
}

/* Sets what people are shown, and returns it in ms of the store's clock; 0: never. */
static gint64
set_expiry (IpcQueueSqlite *self, IpcQueueItem *item, gint64 ttl)
{
  if (ttl == 0)
    ttl = self->limits.message_ttl;
  if (ttl <= 0)
    return 0;
  item->expires_at = ttl > (G_MAXINT64 - item->created_at) / 1000 ? G_MAXINT64 : item->created_at + ttl * 1000;
  return add_ms (self->now, ttl);
}

static gboolean
insert (IpcQueueSqlite *self, const IpcQueueItem *item, GError **error)
{
  const IpcMessage *message = item->message;
  gboolean is_inline = message->payload_size <= IPC_QUEUE_INLINE_MAX;

  return RUN (self, IPC_QUEUE_MESSAGE_ADD, error, "iiiiiitbb", (gint64) item->id, item->expires_at, item->created_at, (gint64) item->bytes,
              message->timestamp, (gint64) message->format, message->type, (const void *) message->headers, message->headers_size,
              is_inline ? (const void *) (message->payload != NULL ? (const char *) message->payload : "") : NULL,
              is_inline ? message->payload_size : 0) &&
         (is_inline || RUN (self, IPC_QUEUE_BODY_ADD, error, "ib", (gint64) item->id, (const void *) message->payload, message->payload_size));
}

/* For those who subscribe in other processes: they may be slow, or never look, so only so many are kept, and not for long. */
static gboolean
copy_for_subscribers (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, GError **error)
{
  const IpcMessage *message = item->message;

  if (!row->is_copied)
    return TRUE;
  return RUN (self, IPC_QUEUE_COPY_ADD, error, "iiiiitbb", row->id, (gint64) ipc_queue_doorbell_get_me (self->doorbell), self->now, message->timestamp,
              (gint64) message->format, message->type, (const void *) message->headers, message->headers_size,
              (const void *) (message->payload != NULL ? (const char *) message->payload : ""), message->payload_size) &&
         RUN (self, IPC_QUEUE_COPIES_FORGET, error, "ii", (gint64) COPIES_MAX, self->now - COPIES_MS);
}

static gboolean
add (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem *item, gint64 ttl, gint64 delay, GError **error)
{
  const IpcQueueBrief brief = {
    .state = delay > 0 ? IPC_QUEUE_DELAYED : IPC_QUEUE_READY,
    .id = item->id,
    .priority = item->priority,
    .due_at = delay > 0 ? add_ms (self->now, delay) : 0,
    .expires_at = set_expiry (self, item, ttl),
  };

  if (!insert (self, item, error) || !ipc_queue_sqlite_put (self, row, &brief, error) || !remember_dedup (self, row, item, error) ||
      !copy_for_subscribers (self, row, item, error))
    return FALSE;
  ipc_queue_sqlite_count_in (row, brief.state, 1, item->bytes);
  row->counts.total++;
  row->counts.last_accessed = item->created_at;
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_PUBLISHED, row->name, item);
  return TRUE;
}

gboolean
ipc_queue_sqlite_publish (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem *item, gint64 ttl, gint64 delay, GError **error)
{
  if (!ipc_queue_sqlite_tend (self, row, error))
    return FALSE;
  if (is_duplicate (self, row, item, error) || !self->is_sound)
    return self->is_sound;
  item->expires_at = 0;
  if (!has_room (self, row, item->bytes) && self->limits.overflow_policy == IPC_OVERFLOW_POLICY_DROP_NEWEST)
    {
      item->id = next_number (self);
      ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_EXPIRED, row->name, item);
      return TRUE;
    }
  if (!make_room (self, row, item->bytes, error))
    return FALSE;
  item->id = next_number (self);
  return add (self, row, item, ttl, delay, error);
}

/* ---- taking ---- */

/* The ready ones of PRIORITY, up to that of id LAST: there are N of them. */
static gboolean
lease_to (IpcQueueSqlite *self, IpcQueueRow *row, gint64 priority, guint64 last, guint n, guint64 number, GError **error)
{
  gint64 me = (gint64) ipc_queue_doorbell_get_me (self->doorbell);

  if (!RUN (self, IPC_QUEUE_LEASE_ADD, error, "iiiiii", row->id, priority, (gint64) last, me, (gint64) number, self->now + IPC_QUEUE_LEASE_MS) ||
      !RUN (self, IPC_QUEUE_READY_REMOVE_TO, error, "iii", row->id, priority, (gint64) last))
    return FALSE;
  if (sqlite3_changes64 (self->database.db) == n)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "\"%s\": queue \"%s\" is not in order", self->database.path, row->name);
  return broken (self);
}

/* They are in the order in which they are to be taken, and the first ones. */
static gboolean
lease_all (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem **items, guint n, GError **error)
{
  guint64 number = next_number (self);
  guint first = 0;

  for (guint i = 0; i < n; i++)
    {
      items[i]->lease = number;
      items[i]->attempt++;
      if (i + 1 < n && items[i + 1]->priority == items[i]->priority)
        continue;
      if (!lease_to (self, row, items[i]->priority, items[i]->id, i + 1 - first, number, error))
        return FALSE;
      first = i + 1;
    }
  ipc_queue_sqlite_count_out (row, IPC_QUEUE_READY, n, 0);
  ipc_queue_sqlite_count_in (row, IPC_QUEUE_LEASED, n, 0);
  return TRUE;
}

guint
ipc_queue_sqlite_take (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem **items, guint max, GError **error)
{
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_item_unref);
  guint n;

  if (!ipc_queue_sqlite_tend (self, row, error) || row->counts.ready == 0)
    return 0;
  if (!ipc_queue_look_items (&self->database, IPC_QUEUE_READY_READ, row->id, max, found, error))
    {
      self->is_sound = FALSE;
      return 0;
    }
  n = found->len;
  if (n == 0 || !lease_all (self, row, (IpcQueueItem **) found->pdata, n, error))
    return 0;
  row->counts.last_accessed = g_get_real_time ();
  for (guint i = 0; i < n; i++)
    items[i] = ipc_queue_item_ref (found->pdata[i]);
  return n;
}

/* ---- settling ---- */

static gboolean
set_lease_lost (const IpcQueueRow *row, const IpcQueueItem *item, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_LEASE_LOST,
               "queue \"%s\": message %" G_GUINT64_FORMAT " is not this delivery's any more (its attempt %u)", row->name, item->id, item->attempt);
  return FALSE;
}

static gboolean
find_leased (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, IpcQueueBrief *brief, GError **error)
{
  gint64 me = (gint64) ipc_queue_doorbell_get_me (self->doorbell);
  sqlite3_stmt *statement;

  if (!ipc_queue_sqlite_tend (self, row, error))
    return FALSE;
  statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_LEASE_FIND, error, "iiii", row->id, me, (gint64) item->lease, (gint64) item->id);
  return ipc_queue_sqlite_find (self, statement, IPC_QUEUE_LEASED, brief, error) || (self->is_sound && set_lease_lost (row, item, error));
}

/* Most were not extended. */
static gboolean
remove_lease (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, GError **error)
{
  gint64 me = (gint64) ipc_queue_doorbell_get_me (self->doorbell);

  for (gint64 extended = 0; extended <= 1; extended++)
    {
      if (!RUN (self, IPC_QUEUE_LEASE_REMOVE, error, "iiiii", row->id, me, extended, (gint64) item->lease, (gint64) item->id))
        return FALSE;
      if (sqlite3_changes (self->database.db) > 0)
        return TRUE;
    }
  return set_lease_lost (row, item, error);
}

gboolean
ipc_queue_sqlite_ack (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, GError **error)
{
  if (!ipc_queue_sqlite_tend (self, row, error) || !remove_lease (self, row, item, error) ||
      !RUN (self, IPC_QUEUE_MESSAGE_DELETE, error, "i", (gint64) item->id) ||
      (item->message->payload_size > IPC_QUEUE_INLINE_MAX && !RUN (self, IPC_QUEUE_BODY_DELETE, error, "i", (gint64) item->id)))
    return FALSE;
  ipc_queue_sqlite_count_out (row, IPC_QUEUE_LEASED, 1, item->bytes);
  return TRUE;
}

/* ---- several of them ---- */

/* The ids of those that belong together. */
typedef struct
{
  gint64 owner;
  gint64 number;
  gint64 first;
  gint64 last;
  gsize bytes;
  gboolean have_bodies;         /* some do */
} Range;

static Range
find_range (const IpcQueueSqlite *self, const IpcQueueItem *const *items, guint n)
{
  Range range = {
    .owner = (gint64) ipc_queue_doorbell_get_me (self->doorbell),
    .number = (gint64) items[0]->lease,
    .first = (gint64) items[0]->id,
    .last = (gint64) items[n - 1]->id,
  };

  for (guint i = 0; i < n; i++)
    {
      range.bytes += items[i]->bytes;
      range.have_bodies |= items[i]->message->payload_size > IPC_QUEUE_INLINE_MAX;
    }
  return range;
}

/* -1 on error. */
static gint64
count_leases (IpcQueueSqlite *self, IpcQueueRow *row, const Range *range, GError **error)
{
  sqlite3_stmt *statement =
    ipc_queue_database_bind (&self->database, IPC_QUEUE_LEASE_COUNT, error, "iiiii", row->id, range->owner, range->number, range->first, range->last);
  gint64 n;

  if (statement == NULL || !ipc_queue_database_step_row (&self->database, statement, error))
    {
      self->is_sound = FALSE;
      return -1;
    }
  n = sqlite3_column_int64 (statement, 0);
  sqlite3_reset (statement);
  return n;
}

static gboolean
remove_range (IpcQueueSqlite *self, IpcQueueRow *row, const Range *range, GError **error)
{
  return RUN (self, IPC_QUEUE_LEASE_REMOVE_RANGE, error, "iiiii", row->id, range->owner, range->number, range->first, range->last) &&
         RUN (self, IPC_QUEUE_MESSAGE_DELETE_RANGE, error, "ii", range->first, range->last) &&
         (!range->have_bodies || RUN (self, IPC_QUEUE_BODY_DELETE_RANGE, error, "ii", range->first, range->last));
}

/* As no other message has an id in between, there are as many leases only if all of them are there. */
gboolean
ipc_queue_sqlite_ack_several (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *const *items, guint n, GError **error)
{
  const Range range = find_range (self, items, n);

  if (!ipc_queue_sqlite_tend (self, row, error) || count_leases (self, row, &range, error) != n || !remove_range (self, row, &range, error))
    return FALSE;
  ipc_queue_sqlite_count_out (row, IPC_QUEUE_LEASED, n, range.bytes);
  return TRUE;
}

/* ---- the other ways ---- */

gboolean
ipc_queue_sqlite_nack (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error)
{
  IpcQueueBrief brief;

  if (!find_leased (self, row, item, &brief, error))
    return FALSE;
  if (counts || (brief.expires_at != 0 && brief.expires_at <= self->now))
    return ipc_queue_sqlite_come_back (self, row, &brief, delay, "it was not acknowledged", error);
  brief.attempt -= brief.attempt > 0;
  return ipc_queue_sqlite_make_ready (self, row, &brief, error);
}

gboolean
ipc_queue_sqlite_reject (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, const char *reason, GError **error)
{
  IpcQueueBrief brief;

  return find_leased (self, row, item, &brief, error) &&
         ipc_queue_sqlite_bury (self, row, &brief, reason != NULL ? reason : "rejected", error);
}

gboolean
ipc_queue_sqlite_extend (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, gint64 duration, GError **error)
{
  gint64 me = (gint64) ipc_queue_doorbell_get_me (self->doorbell);

  if (!ipc_queue_sqlite_tend (self, row, error) ||
      !RUN (self, IPC_QUEUE_LEASE_EXTEND, error, "iiiii", row->id, me, (gint64) item->lease, (gint64) item->id, add_ms (self->now, duration)))
    return FALSE;
  return sqlite3_changes (self->database.db) > 0 || set_lease_lost (row, item, error);
}

/* ---- the whole ---- */

/* What is left after a purge. */
static gboolean
read_leased_bytes (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_LEASE_BYTES, error, "i", row->id);

  if (statement == NULL || !ipc_queue_database_step_row (&self->database, statement, error))
    return broken (self);
  row->counts.bytes = (guint64) sqlite3_column_int64 (statement, 0);
  sqlite3_reset (statement);
  return TRUE;
}

gint64
ipc_queue_sqlite_purge (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  gint64 n;

  if (!RUN (self, IPC_QUEUE_PURGE_BODIES, error, "i", row->id) || !RUN (self, IPC_QUEUE_PURGE_MESSAGES, error, "i", row->id))
    return -1;
  n = sqlite3_changes64 (self->database.db);
  if (!RUN (self, IPC_QUEUE_DELETE_READY, error, "i", row->id) || !RUN (self, IPC_QUEUE_DELETE_DELAYED, error, "i", row->id))
    return -1;
  row->counts.ready = row->counts.delayed = 0;
  row->is_dirty = TRUE;
  return read_leased_bytes (self, row, error) ? n : -1;
}

gint64
ipc_queue_sqlite_redrive (IpcQueueSqlite *self, IpcQueueRow *row, guint64 id, GError **error)
{
  sqlite3_stmt *statement;
  GError *reason = NULL;
  gint64 n = 0;

  if (!RUN (self, IPC_QUEUE_DEAD_REVIVE, error, "ii", row->id, (gint64) id) ||
      !RUN (self, IPC_QUEUE_DEAD_MAKE_READY, error, "ii", row->id, (gint64) id))
    return -1;
  statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_DEAD_REMOVE, error, "ii", row->id, (gint64) id);
  for (; statement != NULL && ipc_queue_database_step_row (&self->database, statement, &reason); n++)
    ipc_queue_sqlite_count_in (row, IPC_QUEUE_READY, 1, (gsize) sqlite3_column_int64 (statement, 0));
  if (statement == NULL || reason != NULL)
    {
      self->is_sound = FALSE;
      if (reason != NULL)
        g_propagate_error (error, reason);
      return -1;
    }
  row->counts.dead -= (guint) MIN (n, row->counts.dead);
  if (id != 0 && n == 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "queue \"%s\": there is no dead letter %" G_GUINT64_FORMAT, row->name, id);
      return -1;
    }
  if (n > 0)
    {
      self->rings_messages = TRUE;
      ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_AVAILABLE, row->name, NULL);
    }
  return n;
}
