/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Transactions, the clock, and queues as a whole. */
#include "queue/ipc-queue-sqlite-private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ipc-error.h"

/* ---- the clock ---- */

/* What a time namespace adds to the clock, in ns: 0 where there is none. */
static gint64
read_offset (void)
{
  FILE *file = fopen ("/proc/self/timens_offsets", "re");
  gint64 seconds = 0, ns = 0, offset = 0;
  char name[32];

  while (file != NULL && fscanf (file, "%31s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT, name, &seconds, &ns) == 3)
    if (strcmp (name, "boottime") == 0)
      offset = seconds * G_GINT64_CONSTANT (1000000000) + ns;
  if (file != NULL)
    fclose (file);
  return offset;
}

/* ms since the machine was started, the same in all namespaces; it goes on while the machine sleeps. */
static gint64
get_uptime (void)
{
  static gsize is_known;
  static gint64 offset;
  struct timespec time;

  if (g_once_init_enter (&is_known))
    {
      offset = read_offset ();
      g_once_init_leave (&is_known, 1);
    }
  clock_gettime (CLOCK_BOOTTIME, &time);
  return (time.tv_sec * G_GINT64_CONSTANT (1000000000) + time.tv_nsec - offset) / 1000000;
}

gint64
ipc_queue_sqlite_get_time (const IpcQueueSqlite *self)
{
  return self->clock + get_uptime ();
}

gint64
ipc_queue_sqlite_to_monotonic (const IpcQueueSqlite *self, gint64 time)
{
  gint64 left;

  if (time == 0)
    return 0;
  left = CLAMP (time - ipc_queue_sqlite_get_time (self), 0, G_MAXINT);
  /* What is due now is not 0, and not too early. */
  return g_get_monotonic_time () + left * 1000 + 1000;
}

/* ---- notes ---- */

void
ipc_queue_note_clear (gpointer data)
{
  IpcQueueNote *note = data;

  g_clear_pointer (&note->queue, g_free);
  g_clear_pointer (&note->item, ipc_queue_item_unref);
}

void
ipc_queue_sqlite_note (IpcQueueSqlite *self, IpcQueueEvent event, const char *queue, IpcQueueItem *item)
{
  IpcQueueNote note = { event, g_strdup (queue), item != NULL ? ipc_queue_item_ref (item) : NULL };

  g_array_append_val (self->notes, note);
}

/* ---- transactions ---- */

static void
row_free (gpointer data)
{
  IpcQueueRow *row = data;

  g_free (row->name);
  g_free (row);
}

static IpcQueueRow *
row_new (const char *name)
{
  IpcQueueRow *row = g_new0 (IpcQueueRow, 1);

  row->name = g_strdup (name);
  return row;
}

static void
forget_all (IpcQueueSqlite *self)
{
  g_hash_table_remove_all (self->rows);
  g_array_set_size (self->notes, 0);
  self->rings_messages = self->rings_queues = self->is_counting = FALSE;
}

/* The machine was started since (or somebody took the table of processes away): nobody who had something is known to be alive, and the
 * clock began anew. */
static gboolean
begin_epoch (IpcQueueSqlite *self, gint64 seen_at, GError **error)
{
  self->clock = MAX (g_get_real_time () / 1000, seen_at) - get_uptime ();
  return ipc_queue_database_run (&self->database, IPC_QUEUE_LEASE_RELEASE_ALL, error, "") &&
         ipc_queue_database_run (&self->database, IPC_QUEUE_LEASE_REMOVE_ALL, error, "") &&
         ipc_queue_database_run (&self->database, IPC_QUEUE_LEASE_RELEASE_COUNTS, error, "") &&
         ipc_queue_database_run (&self->database, IPC_QUEUE_STORE_WRITE, error, "ti", self->doorbell->epoch, self->clock);
}

static gboolean
set_no_row (IpcQueueSqlite *self, const GError *reason, GError **error)
{
  if (reason == NULL)
    g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "\"%s\": what belongs to the whole of it is missing", self->database.path);
  return FALSE;
}

/* It stays until the machine is started again. */
static gboolean
read_clock (IpcQueueSqlite *self, gint64 seen_at, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_STORE_READ, error, "");
  GError *reason = NULL;
  gboolean is_same;

  if (statement == NULL)
    return FALSE;
  if (!ipc_queue_database_step_row (&self->database, statement, &reason))
    {
      set_no_row (self, reason, error);
      if (reason != NULL)
        g_propagate_error (error, reason);
      return FALSE;
    }
  is_same = g_strcmp0 ((const char *) sqlite3_column_text (statement, 0), self->doorbell->epoch) == 0;
  self->clock = sqlite3_column_int64 (statement, 1);
  sqlite3_reset (statement);
  return is_same || begin_epoch (self, seen_at, error);
}

static gboolean
read_store (IpcQueueSqlite *self, GError **error)
{
  IpcQueueRow row = { .id = 0 };
  GError *reason = NULL;

  if (!ipc_queue_look_counts (&self->database, &row, &reason))
    {
      set_no_row (self, reason, error);
      if (reason != NULL)
        g_propagate_error (error, reason);
      return FALSE;
    }
  self->last_id = row.counts.total;
  if (!self->knows_clock && !read_clock (self, row.counts.last_accessed, error))
    return FALSE;
  self->now = ipc_queue_sqlite_get_time (self);
  return TRUE;
}

gboolean
ipc_queue_sqlite_begin (IpcQueueSqlite *self, GError **error)
{
  forget_all (self);
  self->is_sound = TRUE;
  if (!ipc_queue_database_check_place (&self->database, error) || !ipc_queue_database_run (&self->database, IPC_QUEUE_BEGIN, error, ""))
    return FALSE;
  if (read_store (self, error))
    return TRUE;
  ipc_queue_sqlite_rollback (self);
  return FALSE;
}

static gboolean
write_row (IpcQueueSqlite *self, const IpcQueueRow *row, GError **error)
{
  const IpcQueueCounts *counts = &row->counts;

  return ipc_queue_database_run (&self->database, IPC_QUEUE_COUNT_WRITE, error, "iiiiiiiii", row->id, counts->last_accessed, (gint64) counts->ready,
                                 (gint64) counts->delayed, (gint64) counts->unacked, (gint64) counts->dead, (gint64) counts->total,
                                 (gint64) counts->bytes, (gint64) row->n_subscribers);
}

static gboolean
write_all (IpcQueueSqlite *self, GError **error)
{
  const IpcQueueRow store = { .id = 0, .counts = { .total = self->last_id, .last_accessed = self->now } };
  GHashTableIter iter;
  gpointer row;

  g_hash_table_iter_init (&iter, self->rows);
  while (g_hash_table_iter_next (&iter, NULL, &row))
    if (((IpcQueueRow *) row)->is_dirty && !write_row (self, row, error))
      return FALSE;
  return !self->is_counting || write_row (self, &store, error);
}

gboolean
ipc_queue_sqlite_commit (IpcQueueSqlite *self, GError **error)
{
  if (!write_all (self, error) || !ipc_queue_database_commit (&self->database, error))
    {
      ipc_queue_sqlite_rollback (self);
      return FALSE;
    }
  g_hash_table_remove_all (self->rows);
  self->knows_clock = TRUE;
  return TRUE;
}

void
ipc_queue_sqlite_rollback (IpcQueueSqlite *self)
{
  /* SQLite does so by itself where it cannot go on. */
  if (!sqlite3_get_autocommit (self->database.db))
    ipc_queue_database_run (&self->database, IPC_QUEUE_ROLLBACK, NULL, "");
  /* A queue that was made came to nothing, and its number goes to another one. */
  g_hash_table_remove_all (self->known);
  forget_all (self);
}

/* ---- queues ---- */

/* Whether others than this process want copies; those that are dead do not. */
static gboolean
read_subscribers (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  gint64 me = (gint64) ipc_queue_doorbell_get_me (self->doorbell);
  sqlite3_stmt *statement = ipc_queue_database_bind (&self->database, IPC_QUEUE_SUBSCRIBER_LIST, error, "ii", row->id, me);
  g_autoptr(GError) reason = NULL;
  IpcOwner dead = 0;

  if (statement == NULL)
    return FALSE;
  while (ipc_queue_database_step_row (&self->database, statement, &reason))
    {
      IpcOwner owner = (IpcOwner) sqlite3_column_int64 (statement, 0);

      if (ipc_presence_seems_alive (self->doorbell->object.presence, owner))
        row->is_copied = TRUE;
      else
        dead = owner;
    }
  if (reason != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  if (dead == 0)
    return TRUE;
  /* One at a time is enough: nobody waits for it. */
  row->n_subscribers -= row->n_subscribers > 0;
  row->is_dirty = TRUE;
  return ipc_queue_database_run (&self->database, IPC_QUEUE_SUBSCRIBER_REMOVE, error, "ii", row->id, (gint64) dead);
}

/* Looked up by its name only when it is not known, or not there any more. FALSE without an error: there is none. */
static gboolean
find_row (IpcQueueSqlite *self, IpcQueueRow *row, GError **error)
{
  const IpcQueueRow *known = g_hash_table_lookup (self->known, row->name);
  IpcQueueRow *found;
  GError *reason = NULL;

  if (known != NULL)
    {
      row->id = known->id;
      row->counts.created_at = known->counts.created_at;
      if (ipc_queue_look_counts (&self->database, row, &reason))
        return TRUE;
      g_hash_table_remove (self->known, row->name);
      if (reason != NULL)
        {
          g_propagate_error (error, reason);
          return FALSE;
        }
    }
  if (!ipc_queue_look_queue (&self->database, row->name, row, error) || !ipc_queue_look_counts (&self->database, row, error))
    return FALSE;
  found = row_new (row->name);
  found->id = row->id;
  found->counts.created_at = row->counts.created_at;
  g_hash_table_insert (self->known, found->name, found);
  return TRUE;
}

IpcQueueRow *
ipc_queue_sqlite_get_row (IpcQueueSqlite *self, const char *name, GError **error)
{
  IpcQueueRow *row = g_hash_table_lookup (self->rows, name);
  g_autoptr(GError) reason = NULL;

  if (row != NULL)
    return row;
  row = row_new (name);
  if (find_row (self, row, &reason) && (row->n_subscribers == 0 || read_subscribers (self, row, &reason)))
    {
      g_hash_table_insert (self->rows, row->name, row);
      return row;
    }
  row_free (row);
  self->is_sound &= reason == NULL;
  if (reason == NULL)
    g_set_error (&reason, IPC_ERROR, IPC_ERROR_NOT_FOUND, "there is no queue \"%s\"", name);
  g_propagate_error (error, g_steal_pointer (&reason));
  return NULL;
}

gboolean
ipc_queue_sqlite_create (IpcQueueSqlite *self, const char *name, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gint64 now = g_get_real_time ();

  if (ipc_queue_sqlite_get_row (self, name, &reason) != NULL)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_EXISTS, "queue \"%s\" exists already", name);
      return FALSE;
    }
  if (!g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, g_steal_pointer (&reason));
      return FALSE;
    }
  self->is_sound = ipc_queue_database_run (&self->database, IPC_QUEUE_QUEUE_ADD, error, "ti", name, now) &&
                   ipc_queue_database_run (&self->database, IPC_QUEUE_COUNT_ADD, error, "ii", sqlite3_last_insert_rowid (self->database.db), now);
  self->rings_queues = TRUE;
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_CREATED, name, NULL);
  return self->is_sound;
}

gboolean
ipc_queue_sqlite_delete (IpcQueueSqlite *self, const char *name, GError **error)
{
  static const IpcQueueStatement statements[] = {
    IPC_QUEUE_DELETE_BODIES, IPC_QUEUE_DELETE_MESSAGES, IPC_QUEUE_DELETE_READY,       IPC_QUEUE_DELETE_DELAYED, IPC_QUEUE_DELETE_LEASES,
    IPC_QUEUE_DELETE_DEAD,   IPC_QUEUE_DELETE_DEDUP,    IPC_QUEUE_DELETE_SUBSCRIBERS, IPC_QUEUE_COUNT_DELETE,   IPC_QUEUE_QUEUE_DELETE,
  };
  IpcQueueRow *row = ipc_queue_sqlite_get_row (self, name, error);

  if (row == NULL)
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (statements); i++)
    if (!ipc_queue_database_run (&self->database, statements[i], error, "i", row->id))
      {
        self->is_sound = FALSE;
        return FALSE;
      }
  g_hash_table_remove (self->rows, name);
  g_hash_table_remove (self->known, name);
  self->rings_queues = self->rings_messages = TRUE;
  ipc_queue_sqlite_note (self, IPC_QUEUE_EVENT_DELETED, name, NULL);
  return TRUE;
}

/* ---- the whole ---- */

gboolean
ipc_queue_sqlite_open (IpcQueueSqlite *self, const char *path, IpcQueueDoorbell *doorbell, GError **error)
{
  memset (self, 0, sizeof *self);
  self->doorbell = doorbell;
  self->rows = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, row_free);
  self->known = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, row_free);
  self->notes = g_array_new (FALSE, FALSE, sizeof (IpcQueueNote));
  g_array_set_clear_func (self->notes, ipc_queue_note_clear);
  if (ipc_queue_database_open (&self->database, path, TRUE, error))
    return TRUE;
  ipc_queue_sqlite_close (self);
  return FALSE;
}

void
ipc_queue_sqlite_close (IpcQueueSqlite *self)
{
  ipc_queue_database_close (&self->database);
  g_clear_pointer (&self->rows, g_hash_table_unref);
  g_clear_pointer (&self->known, g_hash_table_unref);
  g_clear_pointer (&self->notes, g_array_unref);
}
