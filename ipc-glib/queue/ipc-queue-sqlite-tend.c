/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What happens to messages by itself: they expire, their time comes, and who has them dies or is too slow. */
#include "queue/ipc-queue-sqlite-private.h"

#include "ipc-error.h"

#define SWEEP_MS 1000           /* so often is proved who is alive, also where nobody has told of a death */
#define HINT_MS 2               /* from the hint of a death until it can be proved */

static gboolean
broken (IpcQueueSqlite *self)
{
  self->is_sound = FALSE;
  return FALSE;
}

#define RUN(self, ...) (ipc_queue_database_run (&(self)->database, __VA_ARGS__) || broken (self))

/* ---- counting ---- */

static guint *
get_count (IpcQueueRow *row, IpcQueueState state)
{
  switch (state)
    {
    case IPC_QUEUE_READY:
      return &row->counts.ready;
    case IPC_QUEUE_DELAYED:
      return &row->counts.delayed;
    case IPC_QUEUE_LEASED:
    default:
      return &row->counts.unacked;
    }
}

void
ipc_queue_sqlite_count_in (IpcQueueRow *row, IpcQueueState state, gsize bytes)
{
  (*get_count (row, state))++;
  row->counts.bytes += bytes;
  row->is_dirty = TRUE;
}

/* A file that somebody has changed by hand does not make them less than nothing. */
void
ipc_queue_sqlite_count_out (IpcQueueRow *row, IpcQueueState state, gsize bytes)
{
  guint *count = get_count (row, state);

  *count -= *count > 0;
  row->counts.bytes -= MIN (row->counts.bytes, bytes);
  row->is_dirty = TRUE;
}

/* ---- what becomes of one ---- */

gboolean
ipc_queue_sqlite_move (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, IpcQueueState from, IpcQueueState to, gint64 due_at,
                       GError **error)
{
  if (!RUN (self, IPC_QUEUE_MESSAGE_MOVE, error, "iiii", (gint64) brief->id, (gint64) to, due_at, (gint64) brief->attempt))
    return FALSE;
  ipc_queue_sqlite_count_out (row, from, brief->bytes);
  ipc_queue_sqlite_count_in (row, to, brief->bytes);
  self->rings_messages = TRUE;
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_AVAILABLE, row->name, NULL);
  return TRUE;
}

static gboolean
has_body (const IpcQueueItem *item)
{
  gsize size;

  ipc_message_peek_payload (item->message, &size);
  return size > IPC_QUEUE_INLINE_MAX;
}

gboolean
ipc_queue_sqlite_expire (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueItem *item, IpcQueueState state, GError **error)
{
  if (!RUN (self, IPC_QUEUE_MESSAGE_DELETE, error, "i", (gint64) item->id) ||
      (has_body (item) && !RUN (self, IPC_QUEUE_BODY_DELETE, error, "i", (gint64) item->id)))
    return FALSE;
  ipc_queue_sqlite_count_out (row, state, item->bytes);
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_EXPIRED, row->name, item);
  return TRUE;
}

/* (transfer full): as it is in the table that WHICH reads. */
static IpcQueueItem *
read_item (IpcQueueSqlite *self, IpcQueueStatement which, gint64 queue, guint64 id, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (&self->database, which, error, "ii", queue, (gint64) id);
  IpcQueueItem *item = NULL;

  if (statement != NULL && ipc_queue_database_step_row (&self->database, statement, error))
    {
      item = ipc_queue_look_item (&self->database, statement, error);
      sqlite3_reset (statement);
    }
  self->is_sound &= item != NULL;
  return item;
}

gboolean
ipc_queue_sqlite_bury (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, const char *reason, GError **error)
{
  g_autoptr(IpcQueueItem) item = NULL;

  if (!RUN (self, IPC_QUEUE_DEAD_ADD, error, "iti", (gint64) brief->id, reason, g_get_real_time ()) ||
      !RUN (self, IPC_QUEUE_MESSAGE_DELETE, error, "i", (gint64) brief->id))
    return FALSE;
  item = read_item (self, IPC_QUEUE_DEAD_FIND, row->id, brief->id, error);
  if (item == NULL)
    return FALSE;
  ipc_queue_sqlite_count_out (row, IPC_QUEUE_LEASED, brief->bytes);
  row->counts.dead++;
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_DEAD, row->name, item);
  return TRUE;
}

/* One whose time came while it was leased. It is read only to be told of. */
static gboolean
expire_leased (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error)
{
  g_autoptr(IpcQueueItem) item = read_item (self, IPC_QUEUE_MESSAGE_READ, row->id, brief->id, error);

  return item != NULL && ipc_queue_sqlite_expire (self, row, item, IPC_QUEUE_LEASED, error);
}

gboolean
ipc_queue_sqlite_come_back (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, gint64 delay, const char *reason, GError **error)
{
  if (brief->expires_at != 0 && brief->expires_at <= self->now)
    return expire_leased (self, row, brief, error);
  if (brief->attempt > self->limits.max_retries)
    {
      g_autofree char *text = g_strdup_printf ("%s, after %u attempts", reason, brief->attempt);

      return ipc_queue_sqlite_bury (self, row, brief, text, error);
    }
  if (delay < 0)
    delay = ipc_queue_backoff (brief->attempt);
  if (delay > 0)
    return ipc_queue_sqlite_move (self, row, brief, IPC_QUEUE_LEASED, IPC_QUEUE_DELAYED, self->now + MIN (delay, G_MAXINT64 - self->now), error);
  return ipc_queue_sqlite_move (self, row, brief, IPC_QUEUE_LEASED, IPC_QUEUE_READY, 0, error);
}

/* ---- what is due ---- */

/* FALSE without an error: there is none. */
static gboolean
read_brief (IpcQueueSqlite *self, sqlite3_stmt *statement, IpcQueueBrief *brief, GError **error)
{
  GError *reason = NULL;

  if (statement != NULL && ipc_queue_database_step_row (&self->database, statement, &reason))
    {
      brief->id = (guint64) sqlite3_column_int64 (statement, 0);
      brief->attempt = (guint) sqlite3_column_int64 (statement, 1);
      brief->lease = (guint64) sqlite3_column_int64 (statement, 2);
      brief->expires_at = sqlite3_column_int64 (statement, 3);
      brief->bytes = (gsize) sqlite3_column_int64 (statement, 4);
      sqlite3_reset (statement);
      return TRUE;
    }
  if (reason != NULL)
    {
      self->is_sound = FALSE;
      g_propagate_error (error, reason);
    }
  else if (statement == NULL)
    self->is_sound = FALSE;
  return FALSE;
}

gboolean
ipc_queue_sqlite_find_leased (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueItem *item, IpcQueueBrief *brief, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_MESSAGE_FIND_LEASED, error, "iii", (gint64) item->id, row->id,
                                                     (gint64) item->lease);

  return read_brief (self, statement, brief, error);
}

static gboolean
expire_all (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  for (;;)
    {
      sqlite3_stmt *statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_MESSAGES_EXPIRED, error, "ii", row->id, self->now);
      g_autoptr(IpcQueueItem) item = NULL;
      GError *reason = NULL;
      IpcQueueState state;

      if (statement == NULL)
        return broken (self);
      if (!ipc_queue_database_step_row (&self->database, statement, &reason))
        {
          if (reason == NULL)
            return TRUE;
          g_propagate_error (error, reason);
          return broken (self);
        }
      state = sqlite3_column_int64 (statement, sqlite3_column_count (statement) - 1) == IPC_QUEUE_DELAYED ? IPC_QUEUE_DELAYED : IPC_QUEUE_READY;
      item = ipc_queue_look_item (&self->database, statement, error);
      sqlite3_reset (statement);
      if (item == NULL)
        return broken (self);
      if (!ipc_queue_sqlite_expire (self, row, item, state, error))
        return FALSE;
    }
}

static gboolean
is_alive (IpcQueueSqlite *self, IpcOwner owner, gboolean prove)
{
  if (owner == ipc_queue_doorbell_get_me (self->doorbell))
    return TRUE;
  if (!prove && ipc_presence_seems_alive (self->doorbell->object.presence, owner))
    return TRUE;
  return ipc_queue_doorbell_is_alive (self->doorbell, owner);
}

/* All that OWNER has, or what it has had for too long. */
static gboolean
take_from_owner (IpcQueueSqlite *self, IpcQueueRow *row, IpcOwner owner, gboolean alive, GError **error)
{
  IpcQueueBrief brief;
  sqlite3_stmt *statement;

  for (;;)
    {
      if (alive)
        statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_MESSAGES_LATE, error, "iii", row->id, (gint64) owner, self->now);
      else
        statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_MESSAGES_OF_OWNER, error, "ii", row->id, (gint64) owner);
      if (!read_brief (self, statement, &brief, error))
        return self->is_sound;
      if (!ipc_queue_sqlite_come_back (self, row, &brief, 0, alive ? "it was not acknowledged in time" : "who had it died", error))
        return FALSE;
    }
}

static gboolean
end_leases (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  gboolean prove = self->now - self->swept_at >= SWEEP_MS || self->now < self->swept_at;
  IpcOwner owner = 0;

  if (row->counts.unacked == 0)
    return TRUE;
  if (prove)
    self->swept_at = self->now;
  for (;;)
    {
      if (!ipc_queue_look_owner (&self->database, row->id, owner, &owner, error))
        return broken (self);
      if (owner == 0)
        return TRUE;
      if (!take_from_owner (self, row, owner, is_alive (self, owner, prove), error))
        return FALSE;
    }
}

static gboolean
wake_delayed (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  IpcQueueBrief brief;

  while (row->counts.delayed > 0 &&
         read_brief (self, ipc_queue_database_bind (&self->database, IPC_QUEUE_MESSAGES_DUE, error, "ii", row->id, self->now), &brief, error))
    if (!ipc_queue_sqlite_move (self, row, &brief, IPC_QUEUE_DELAYED, IPC_QUEUE_READY, 0, error))
      return FALSE;
  return self->is_sound;
}

gboolean
ipc_queue_sqlite_tend (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  if (row->is_tended)
    return TRUE;
  row->is_tended = TRUE;
  return expire_all (self, row, error) && end_leases (self, row, error) && wake_delayed (self, row, error);
}

/* ---- hearing of deaths ---- */

gint64
ipc_queue_sqlite_watch (IpcQueueSqlite *self, IpcQueueRow *row)
{
  IpcOwner me = ipc_queue_doorbell_get_me (self->doorbell);
  IpcOwner owner = 0;
  gint64 again = 0;

  while (row->counts.unacked > 0 && ipc_queue_look_owner (&self->database, row->id, owner, &owner, NULL) && owner != 0)
    if (owner != me)
      again = ipc_queue_doorbell_watch (self->doorbell, owner) && again != self->now + HINT_MS ? self->now + SWEEP_MS : self->now + HINT_MS;
  return again;
}
