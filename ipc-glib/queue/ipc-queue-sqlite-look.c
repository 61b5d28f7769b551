/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading what is in the database. None of it is believed before it was looked at. */
#include "queue/ipc-queue-sqlite-private.h"

#include <string.h>

#include "core/ipc-name.h"
#include "ipc-error.h"
#include "messaging/ipc-message-private.h"

/* The columns of a message. */
enum
{
  ID,
  PRIORITY,
  ATTEMPT,
  SHOWN_EXPIRY,
  CREATED_AT,
  BYTES,
  STAMP,
  FORMAT,
  TYPE,
  HEADERS,
  PAYLOAD,
  REASON,                       /* of a dead one */
  DIED_AT,
};

gboolean
ipc_queue_look_queue (IpcQueueDatabase *database, const char *name, IpcQueueRow *row, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (database, IPC_QUEUE_QUEUE_FIND, error, "t", name);

  if (statement == NULL || !ipc_queue_database_step_row (database, statement, error))
    return FALSE;
  row->id = sqlite3_column_int64 (statement, 0);
  row->counts.created_at = sqlite3_column_int64 (statement, 1);
  sqlite3_reset (statement);
  return TRUE;
}

gboolean
ipc_queue_look_counts (IpcQueueDatabase *database, IpcQueueRow *row, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (database, IPC_QUEUE_COUNT_READ, error, "i", row->id);
  IpcQueueCounts *counts = &row->counts;

  if (statement == NULL || !ipc_queue_database_step_row (database, statement, error))
    return FALSE;
  counts->last_accessed = sqlite3_column_int64 (statement, 0);
  counts->ready = (guint) sqlite3_column_int64 (statement, 1);
  counts->delayed = (guint) sqlite3_column_int64 (statement, 2);
  counts->unacked = (guint) sqlite3_column_int64 (statement, 3);
  counts->dead = (guint) sqlite3_column_int64 (statement, 4);
  counts->total = (guint64) sqlite3_column_int64 (statement, 5);
  counts->bytes = (guint64) sqlite3_column_int64 (statement, 6);
  row->n_subscribers = (guint) sqlite3_column_int64 (statement, 7);
  sqlite3_reset (statement);
  return TRUE;
}

/* ---- messages ---- */

static gboolean
set_corrupt (IpcQueueDatabase *database, gint64 id, const char *what, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "\"%s\": message %" G_GINT64_FORMAT " has %s", database->path, id, what);
  return FALSE;
}

static gboolean
check_type (sqlite3_stmt *statement, int column, int type)
{
  return sqlite3_column_type (statement, column) == type;
}

/* From what was read; the payload is copied. */
static IpcMessage *
make_message (IpcMessage *message, gint64 timestamp, GError **error)
{
  IpcMessage *kept = NULL;

  message->timestamp = timestamp;
  message->checked = FALSE;
  if (ipc_message_check_fully (message, FALSE, error))
    kept = ipc_message_ref (message);
  ipc_message_end (message);
  return kept;
}

static IpcMessage *
complete (IpcMessage *message, sqlite3_stmt *payload, int column, gint64 timestamp, GError **error)
{
  message->payload = sqlite3_column_blob (payload, column);
  message->payload_size = (gsize) sqlite3_column_bytes (payload, column);
  if (message->payload == NULL)
    message->payload = (const guint8 *) "";
  return make_message (message, timestamp, error);
}

static IpcMessage *
complete_from_body (IpcQueueDatabase *database, IpcMessage *message, gint64 id, gint64 timestamp, GError **error)
{
  sqlite3_stmt *body = ipc_queue_database_bind (database, IPC_QUEUE_BODY_READ, error, "i", id);
  IpcMessage *made;

  if (body == NULL)
    return NULL;
  if (!ipc_queue_database_step_row (database, body, error))
    {
      if (error == NULL || *error == NULL)
        set_corrupt (database, id, "no payload", error);
      return NULL;
    }
  made = complete (message, body, 0, timestamp, error);
  sqlite3_reset (body);
  return made;
}

IpcMessage *
ipc_queue_look_message (IpcQueueDatabase *database, sqlite3_stmt *statement, int first, gint64 payload_id, GError **error)
{
  const char *type = (const char *) sqlite3_column_text (statement, first + 2);
  gint64 format = sqlite3_column_int64 (statement, first + 1);
  gint64 timestamp = sqlite3_column_int64 (statement, first);
  IpcMessage message;

  if (type == NULL || strlen (type) > 255 || format < IPC_PAYLOAD_FORMAT_BYTES || format > IPC_PAYLOAD_FORMAT_VARIANT)
    {
      set_corrupt (database, payload_id, "no type, or an unknown format", error);
      return NULL;
    }
  ipc_message_begin (&message, (IpcPayloadFormat) format, type, strlen (type));
  if (check_type (statement, first + 3, SQLITE_BLOB))
    {
      message.headers = sqlite3_column_blob (statement, first + 3);
      message.headers_size = (gsize) sqlite3_column_bytes (statement, first + 3);
    }
  if (!check_type (statement, first + 4, SQLITE_NULL))
    return complete (&message, statement, first + 4, timestamp, error);
  return complete_from_body (database, &message, payload_id, timestamp, error);
}

static gboolean
check_numbers (IpcQueueDatabase *database, sqlite3_stmt *statement, GError **error)
{
  gint64 id = sqlite3_column_int64 (statement, ID);
  gint64 priority = sqlite3_column_int64 (statement, PRIORITY);
  gint64 attempt = sqlite3_column_int64 (statement, ATTEMPT);

  if (priority < IPC_PRIORITY_LOW || priority > IPC_PRIORITY_CRITICAL)
    return set_corrupt (database, id, "a priority that there is not", error);
  if (attempt < 0 || attempt > G_MAXINT)
    return set_corrupt (database, id, "been delivered impossibly often", error);
  return TRUE;
}

IpcQueueItem *
ipc_queue_look_item (IpcQueueDatabase *database, sqlite3_stmt *statement, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gint64 id = sqlite3_column_int64 (statement, ID);
  IpcMessage *message;
  IpcQueueItem *item;

  if (!check_numbers (database, statement, error))
    return NULL;
  message = ipc_queue_look_message (database, statement, STAMP, id, &reason);
  if (message == NULL)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "\"%s\": message %" G_GINT64_FORMAT ": %s", database->path, id, reason->message);
      return NULL;
    }
  item = ipc_queue_item_new (message, (IpcPriority) sqlite3_column_int64 (statement, PRIORITY));
  ipc_message_unref (message);
  item->id = (guint64) id;
  item->bytes = (gsize) sqlite3_column_int64 (statement, BYTES);
  item->attempt = (guint) sqlite3_column_int64 (statement, ATTEMPT);
  item->expires_at = sqlite3_column_int64 (statement, SHOWN_EXPIRY);
  item->created_at = sqlite3_column_int64 (statement, CREATED_AT);
  if (sqlite3_column_count (statement) > DIED_AT)
    {
      item->reason = g_strdup ((const char *) sqlite3_column_text (statement, REASON));
      item->died_at = sqlite3_column_int64 (statement, DIED_AT);
    }
  return item;
}

gboolean
ipc_queue_look_items (IpcQueueDatabase *database, IpcQueueStatement which, gint64 queue, guint max, GPtrArray *found, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (database, which, error, "ii", queue, (gint64) max);
  g_autoptr(GError) reason = NULL;

  if (statement == NULL)
    return FALSE;
  while (ipc_queue_database_step_row (database, statement, &reason))
    {
      IpcQueueItem *item = ipc_queue_look_item (database, statement, &reason);

      if (item == NULL)
        {
          sqlite3_reset (statement);
          break;
        }
      g_ptr_array_add (found, item);
    }
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

void
ipc_queue_look_brief (sqlite3_stmt *statement, IpcQueueState state, IpcQueueBrief *brief)
{
  *brief = (IpcQueueBrief){
    .state = state,
    .id = (guint64) sqlite3_column_int64 (statement, 0),
    .priority = sqlite3_column_int64 (statement, 1),
    .attempt = sqlite3_column_int64 (statement, 2),
    .expires_at = sqlite3_column_int64 (statement, 3),
  };
  if (state != IPC_QUEUE_READY)
    brief->due_at = sqlite3_column_int64 (statement, 4);
  if (state != IPC_QUEUE_LEASED)
    return;
  brief->owner = sqlite3_column_int64 (statement, 5);
  brief->extended = sqlite3_column_int64 (statement, 6);
  brief->number = sqlite3_column_int64 (statement, 7);
}

/* ---- times and owners ---- */

/* 0 where there is none. */
static gboolean
read_number (IpcQueueDatabase *database, sqlite3_stmt *statement, gint64 *number, GError **error)
{
  if (statement == NULL || !ipc_queue_database_step_row (database, statement, error))
    return FALSE;
  *number = sqlite3_column_int64 (statement, 0);
  sqlite3_reset (statement);
  return TRUE;
}

static gint64
earlier (gint64 a, gint64 b)
{
  return a == 0 || b == 0 ? MAX (a, b) : MIN (a, b);
}

gboolean
ipc_queue_look_owner (IpcQueueDatabase *database, gint64 queue, IpcOwner after, IpcOwner *owner, GError **error)
{
  gint64 number;

  if (!read_number (database, ipc_queue_database_bind (database, IPC_QUEUE_LEASE_OWNER, error, "ii", queue, (gint64) after), &number, error))
    return FALSE;
  *owner = (IpcOwner) number;
  return TRUE;
}

/* The first lease that ends, of those that WHICH finds; 0 where there is none. */
static gboolean
look_end (IpcQueueDatabase *database, IpcQueueStatement which, gint64 queue, IpcOwner owner, gint64 *end, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (database, which, error, "ii", queue, (gint64) owner);
  GError *reason = NULL;
  IpcQueueBrief brief = { 0 };

  if (statement == NULL)
    return FALSE;
  if (ipc_queue_database_step_row (database, statement, &reason))
    {
      ipc_queue_look_brief (statement, IPC_QUEUE_LEASED, &brief);
      sqlite3_reset (statement);
    }
  *end = brief.due_at;
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, reason);
  return FALSE;
}

gboolean
ipc_queue_look_next (IpcQueueDatabase *database, gint64 queue, gint64 *next, GError **error)
{
  gint64 delayed, expiring, end, extended_end;
  IpcOwner owner = 0;

  if (!read_number (database, ipc_queue_database_bind (database, IPC_QUEUE_NEXT_DELAYED, error, "i", queue), &delayed, error) ||
      !read_number (database, ipc_queue_database_bind (database, IPC_QUEUE_NEXT_EXPIRED, error, "i", queue), &expiring, error))
    return FALSE;
  *next = earlier (delayed, expiring);
  for (;;)
    {
      if (!ipc_queue_look_owner (database, queue, owner, &owner, error))
        return FALSE;
      if (owner == 0)
        return TRUE;
      if (!look_end (database, IPC_QUEUE_LEASE_FIRST, queue, owner, &end, error) ||
          !look_end (database, IPC_QUEUE_LEASE_FIRST_EXTENDED, queue, owner, &extended_end, error))
        return FALSE;
      *next = earlier (*next, earlier (end, extended_end));
    }
}

GPtrArray *
ipc_queue_look_queues (IpcQueueDatabase *database, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (database, IPC_QUEUE_QUEUE_LIST, error, "");
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr(GError) reason = NULL;

  while (statement != NULL && ipc_queue_database_step_row (database, statement, &reason))
    {
      const char *name = (const char *) sqlite3_column_text (statement, 0);

      /* One that this library would not have made was written by somebody else. */
      if (name != NULL && ipc_name_check (name, NULL))
        g_ptr_array_add (names, g_strdup (name));
    }
  if (statement != NULL && reason == NULL)
    return names;
  g_ptr_array_unref (names);
  if (reason != NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  return NULL;
}
