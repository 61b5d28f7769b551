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
ipc_queue_sqlite_count_in (IpcQueueRow *row, IpcQueueState state, guint n, gsize bytes)
{
  *get_count (row, state) += n;
  row->counts.bytes += bytes;
  row->is_dirty = TRUE;
}

/* A file that somebody has changed by hand does not make them less than nothing. */
void
ipc_queue_sqlite_count_out (IpcQueueRow *row, IpcQueueState state, guint n, gsize bytes)
{
  guint *count = get_count (row, state);

  *count -= MIN (*count, n);
  row->counts.bytes -= MIN (row->counts.bytes, bytes);
  row->is_dirty = TRUE;
}

/* ---- where one is ---- */

static gboolean
insert (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error)
{
  if (brief->state == IPC_QUEUE_DELAYED)
    return RUN (self, IPC_QUEUE_DELAYED_ADD, error, "iiiiii", row->id, brief->due_at, (gint64) brief->id, brief->priority, brief->attempt,
                brief->expires_at);
  return RUN (self, IPC_QUEUE_READY_ADD, error, "iiiii", row->id, brief->priority, (gint64) brief->id, brief->attempt, brief->expires_at);
}

static gboolean
take_out (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error)
{
  switch (brief->state)
    {
    case IPC_QUEUE_READY:
      return RUN (self, IPC_QUEUE_READY_REMOVE, error, "iii", row->id, brief->priority, (gint64) brief->id);
    case IPC_QUEUE_DELAYED:
      return RUN (self, IPC_QUEUE_DELAYED_REMOVE, error, "iii", row->id, brief->due_at, (gint64) brief->id);
    case IPC_QUEUE_LEASED:
    default:
      return RUN (self, IPC_QUEUE_LEASE_REMOVE, error, "iiiii", row->id, brief->owner, brief->extended, brief->number, (gint64) brief->id);
    }
}

gboolean
ipc_queue_sqlite_put (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error)
{
  if (!insert (self, row, brief, error))
    return FALSE;
  self->rings_messages = TRUE;
  return TRUE;
}

static gboolean
move (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *from, IpcQueueState state, gint64 due_at, GError **error)
{
  IpcQueueBrief to = { state, from->id, from->priority, from->attempt, from->expires_at, .due_at = due_at };

  if (!take_out (self, row, from, error) || !ipc_queue_sqlite_put (self, row, &to, error))
    return FALSE;
  ipc_queue_sqlite_count_out (row, from->state, 1, 0);
  ipc_queue_sqlite_count_in (row, to.state, 1, 0);
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_AVAILABLE, row->name, NULL);
  return TRUE;
}

gboolean
ipc_queue_sqlite_make_ready (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error)
{
  return move (self, row, brief, IPC_QUEUE_READY, 0, error);
}

/* ---- what becomes of one ---- */

static gboolean
has_body (const IpcQueueItem *item)
{
  gsize size;

  ipc_message_peek_payload (item->message, &size);
  return size > IPC_QUEUE_INLINE_MAX;
}

/* (transfer full): what STATEMENT finds, which is about one. */
static IpcQueueItem *
read_item (IpcQueueSqlite *self, sqlite3_stmt *statement, GError **error)
{
  IpcQueueItem *item = NULL;

  if (statement != NULL && ipc_queue_database_step_row (&self->database, statement, error))
    {
      item = ipc_queue_look_item (&self->database, statement, error);
      sqlite3_reset (statement);
    }
  self->is_sound &= item != NULL;
  return item;
}

/* It is read only to be told of. */
gboolean
ipc_queue_sqlite_expire (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, GError **error)
{
  sqlite3_stmt *statement =
    ipc_queue_database_bind (&self->database, IPC_QUEUE_MESSAGE_READ, error, "iii", (gint64) brief->id, brief->priority, brief->attempt);
  g_autoptr(IpcQueueItem) item = read_item (self, statement, error);

  if (item == NULL || !take_out (self, row, brief, error) || !RUN (self, IPC_QUEUE_MESSAGE_DELETE, error, "i", (gint64) brief->id) ||
      (has_body (item) && !RUN (self, IPC_QUEUE_BODY_DELETE, error, "i", (gint64) brief->id)))
    return FALSE;
  ipc_queue_sqlite_count_out (row, brief->state, 1, item->bytes);
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_EXPIRED, row->name, item);
  return TRUE;
}

gboolean
ipc_queue_sqlite_bury (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, const char *reason, GError **error)
{
  g_autoptr(IpcQueueItem) item = NULL;

  if (!take_out (self, row, brief, error) ||
      !RUN (self, IPC_QUEUE_DEAD_ADD, error, "iiiiti", (gint64) brief->id, row->id, brief->priority, brief->attempt, reason, g_get_real_time ()) ||
      !RUN (self, IPC_QUEUE_MESSAGE_DELETE, error, "i", (gint64) brief->id))
    return FALSE;
  item = read_item (self, ipc_queue_database_bind (&self->database, IPC_QUEUE_DEAD_FIND, error, "ii", row->id, (gint64) brief->id), error);
  if (item == NULL)
    return FALSE;
  ipc_queue_sqlite_count_out (row, brief->state, 1, item->bytes);
  row->counts.dead++;
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_DEAD, row->name, item);
  return TRUE;
}

gboolean
ipc_queue_sqlite_come_back (IpcQueueSqlite *self, IpcQueueRow *row, const IpcQueueBrief *brief, gint64 delay, const char *reason, GError **error)
{
  if (brief->expires_at != 0 && brief->expires_at <= self->now)
    return ipc_queue_sqlite_expire (self, row, brief, error);
  if (brief->attempt > self->limits.max_retries)
    {
      g_autofree char *text = g_strdup_printf ("%s, after %" G_GINT64_FORMAT " attempts", reason, brief->attempt);

      return ipc_queue_sqlite_bury (self, row, brief, text, error);
    }
  if (delay < 0)
    delay = ipc_queue_backoff ((guint) brief->attempt);
  if (delay > 0)
    return move (self, row, brief, IPC_QUEUE_DELAYED, self->now + MIN (delay, G_MAXINT64 - self->now), error);
  return ipc_queue_sqlite_make_ready (self, row, brief, error);
}

/* ---- what is due ---- */

gboolean
ipc_queue_sqlite_find (IpcQueueSqlite *self, sqlite3_stmt *statement, IpcQueueState state, IpcQueueBrief *brief, GError **error)
{
  GError *reason = NULL;

  if (statement == NULL)
    return broken (self);
  if (ipc_queue_database_step_row (&self->database, statement, &reason))
    {
      ipc_queue_look_brief (statement, state, brief);
      sqlite3_reset (statement);
      return TRUE;
    }
  if (reason == NULL)
    return FALSE;
  g_propagate_error (error, reason);
  return broken (self);
}

static gboolean
expire_all (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueStatement which, IpcQueueState state, GError **error)
{
  IpcQueueBrief brief;

  while (*get_count (row, state) > 0 &&
         ipc_queue_sqlite_find (self, ipc_queue_database_bind (&self->database, which, error, "ii", row->id, self->now), state, &brief, error))
    if (!ipc_queue_sqlite_expire (self, row, &brief, error))
      return FALSE;
  return self->is_sound;
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

/* All that WHICH finds of OWNER, in the order in which they end; or, if it is ALIVE, what it has had for too long. */
static gboolean
take_leases (IpcQueueSqlite *self, IpcQueueRow *row, IpcQueueStatement which, IpcOwner owner, gboolean alive, GError **error)
{
  const char *reason = alive ? "it was not acknowledged in time" : "who had it died";
  IpcQueueBrief brief;

  while (ipc_queue_sqlite_find (self, ipc_queue_database_bind (&self->database, which, error, "ii", row->id, (gint64) owner), IPC_QUEUE_LEASED,
                                &brief, error))
    {
      if (alive && brief.due_at > self->now)
        return TRUE;
      if (!ipc_queue_sqlite_come_back (self, row, &brief, 0, reason, error))
        return FALSE;
    }
  return self->is_sound;
}

static gboolean
take_from_owner (IpcQueueSqlite *self, IpcQueueRow *row, IpcOwner owner, gboolean alive, GError **error)
{
  return take_leases (self, row, IPC_QUEUE_LEASE_FIRST, owner, alive, error) &&
         take_leases (self, row, IPC_QUEUE_LEASE_FIRST_EXTENDED, owner, alive, error);
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
         ipc_queue_sqlite_find (self, ipc_queue_database_bind (&self->database, IPC_QUEUE_DELAYED_DUE, error, "ii", row->id, self->now),
                                IPC_QUEUE_DELAYED, &brief, error))
    if (!ipc_queue_sqlite_make_ready (self, row, &brief, error))
      return FALSE;
  return self->is_sound;
}

gboolean
ipc_queue_sqlite_tend (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  if (row->is_tended)
    return TRUE;
  row->is_tended = TRUE;
  return expire_all (self, row, IPC_QUEUE_READY_EXPIRED, IPC_QUEUE_READY, error) &&
         expire_all (self, row, IPC_QUEUE_DELAYED_EXPIRED, IPC_QUEUE_DELAYED, error) && end_leases (self, row, error) &&
         wake_delayed (self, row, error);
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
