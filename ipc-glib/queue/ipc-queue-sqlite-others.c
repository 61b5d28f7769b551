/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What other processes do to the database: messages, queues, copies for those who subscribe. */
#include "queue/ipc-queue-sqlite-store-private.h"

#define COPIES_AT_ONCE 256

/* ---- queues ---- */

gboolean
ipc_queue_sqlite_store_is_news (IpcQueueSqliteStore *self, IpcQueueEvent event, const char *queue)
{
  gboolean is_news = TRUE;

  g_mutex_lock (&self->lock);
  if (event == IPC_QUEUE_EVENT_CREATED)
    is_news = g_hash_table_add (self->names, g_strdup (queue));
  else if (event == IPC_QUEUE_EVENT_DELETED)
    is_news = g_hash_table_remove (self->names, queue);
  g_mutex_unlock (&self->lock);
  return is_news;
}

GPtrArray *
ipc_queue_sqlite_store_read_names (IpcQueueSqliteStore *self, GError **error)
{
  GPtrArray *names;

  g_mutex_lock (&self->reader_lock);
  names = ipc_queue_look_queues (&self->reader, error);
  g_mutex_unlock (&self->reader_lock);
  return names;
}

/* (transfer full): those that the listener knows, and that are not in NAMES. */
static GPtrArray *
find_gone (IpcQueueSqliteStore *self, GPtrArray *names)
{
  GPtrArray *gone = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer name;

  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, self->names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (!g_ptr_array_find_with_equal_func (names, name, g_str_equal, NULL))
      g_ptr_array_add (gone, g_strdup (name));
  g_mutex_unlock (&self->lock);
  return gone;
}

void
ipc_queue_sqlite_store_look_for_queues (IpcQueueSqliteStore *self)
{
  g_autoptr(GPtrArray) names = NULL, gone = NULL;

  ipc_queue_doorbell_arm (&self->doorbell, TRUE);
  names = ipc_queue_sqlite_store_read_names (self, NULL);
  if (names == NULL)
    return;
  gone = find_gone (self, names);
  for (guint i = 0; i < gone->len; i++)
    if (ipc_queue_sqlite_store_is_news (self, IPC_QUEUE_EVENT_DELETED, gone->pdata[i]))
      ipc_queue_sqlite_store_tell (self, IPC_QUEUE_EVENT_DELETED, gone->pdata[i], NULL);
  for (guint i = 0; i < names->len; i++)
    if (ipc_queue_sqlite_store_is_news (self, IPC_QUEUE_EVENT_CREATED, names->pdata[i]))
      ipc_queue_sqlite_store_tell (self, IPC_QUEUE_EVENT_CREATED, names->pdata[i], NULL);
}

/* ---- messages ---- */

static void
tell_all_available (IpcQueueSqliteStore *self)
{
  g_autoptr(GPtrArray) none = g_ptr_array_new ();
  g_autoptr(GPtrArray) names = find_gone (self, none);

  for (guint i = 0; i < names->len; i++)
    ipc_queue_sqlite_store_tell (self, IPC_QUEUE_EVENT_AVAILABLE, names->pdata[i], NULL);
}

static gboolean
is_subscribed (IpcQueueSqliteStore *self, const char *name)
{
  gboolean is_subscribed;

  g_mutex_lock (&self->lock);
  is_subscribed = name == NULL ? g_hash_table_size (self->subscribed) > 0 : g_hash_table_contains (self->subscribed, name);
  g_mutex_unlock (&self->lock);
  return is_subscribed;
}

static void
tell_copy (IpcQueueSqliteStore *self, sqlite3_stmt *statement)
{
  g_autofree char *name = g_strdup ((const char *) sqlite3_column_text (statement, 6));
  g_autoptr(IpcMessage) message = ipc_queue_look_message (&self->reader, statement, 1, 0, NULL);
  g_autoptr(IpcQueueItem) item = NULL;

  if (message == NULL || name == NULL || !is_subscribed (self, name))
    return;
  item = ipc_queue_item_new (message, IPC_PRIORITY_NORMAL);
  ipc_queue_sqlite_store_tell (self, IPC_QUEUE_EVENT_PUBLISHED, name, item);
}

/* FALSE: there are no more. */
static gboolean
read_copies (IpcQueueSqliteStore *self)
{
  gint64 me = (gint64) ipc_queue_doorbell_get_me (&self->doorbell);
  sqlite3_stmt *statement;
  guint n = 0;

  g_mutex_lock (&self->reader_lock);
  statement = ipc_queue_database_bind (&self->reader, IPC_QUEUE_COPIES_READ, NULL, "iii", self->last_copy, me, (gint64) COPIES_AT_ONCE);
  for (; statement != NULL && ipc_queue_database_step_row (&self->reader, statement, NULL); n++)
    {
      self->last_copy = sqlite3_column_int64 (statement, 0);
      tell_copy (self, statement);
    }
  g_mutex_unlock (&self->reader_lock);
  return n == COPIES_AT_ONCE;
}

void
ipc_queue_sqlite_store_rung (gpointer store)
{
  IpcQueueSqliteStore *self = store;

  ipc_bell_silence (&self->doorbell.bell);
  if (ipc_queue_doorbell_was_rung (&self->doorbell, TRUE))
    ipc_queue_sqlite_store_look_for_queues (self);
  if (is_subscribed (self, NULL))
    {
      ipc_queue_doorbell_arm (&self->doorbell, FALSE);
      while (read_copies (self))
        ;
    }
  /* Somebody published, or died. */
  tell_all_available (self);
}

/* ---- who subscribes ---- */

static gboolean
read_last_copy (IpcQueueSqlite *writer, gint64 *last, GError **error)
{
  sqlite3_stmt *statement = ipc_queue_database_bind (&writer->database, IPC_QUEUE_COPIES_LAST, error, "");

  if (statement == NULL || !ipc_queue_database_step_row (&writer->database, statement, error))
    return FALSE;
  *last = sqlite3_column_int64 (statement, 0);
  sqlite3_reset (statement);
  return TRUE;
}

gboolean
ipc_queue_sqlite_set_subscribed (IpcQueueSqlite *writer, IpcQueueRow *row, gboolean subscribed, gint64 *last, GError **error)
{
  gint64 me = (gint64) ipc_queue_doorbell_get_me (writer->doorbell);
  IpcQueueStatement which = subscribed ? IPC_QUEUE_SUBSCRIBER_ADD : IPC_QUEUE_SUBSCRIBER_REMOVE;

  writer->is_sound = ipc_queue_database_run (&writer->database, which, error, "ii", row->id, me);
  if (writer->is_sound && sqlite3_changes (writer->database.db) > 0)
    {
      row->n_subscribers += subscribed ? 1 : -1u;
      row->is_dirty = TRUE;
    }
  writer->is_sound = writer->is_sound && read_last_copy (writer, last, error);
  return writer->is_sound;
}

gboolean
ipc_queue_sqlite_store_count_subscribed (IpcQueueSqliteStore *self, const char *name, gboolean subscribed)
{
  guint n;

  g_mutex_lock (&self->lock);
  n = GPOINTER_TO_UINT (g_hash_table_lookup (self->subscribed, name)) + (subscribed ? 1 : -1u);
  if (n > 0)
    g_hash_table_replace (self->subscribed, g_strdup (name), GUINT_TO_POINTER (n));
  else
    g_hash_table_remove (self->subscribed, name);
  g_mutex_unlock (&self->lock);
  return n == (subscribed ? 1 : 0);
}

/* Where there are others already, they go on from where they are. */
void
ipc_queue_sqlite_store_begin_copies (IpcQueueSqliteStore *self, gint64 last)
{
  gboolean is_first;

  g_mutex_lock (&self->lock);
  is_first = g_hash_table_size (self->subscribed) == 1;
  g_mutex_unlock (&self->lock);
  g_mutex_lock (&self->reader_lock);
  if (is_first)
    self->last_copy = MAX (self->last_copy, last);
  g_mutex_unlock (&self->reader_lock);
  ipc_queue_doorbell_arm (&self->doorbell, FALSE);
}
