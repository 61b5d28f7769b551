/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store in a database: who does what in which thread. What is changed is done in batches (ipc-queue-jobs.c), each one transaction of
 * ipc-queue-sqlite.c, in turn with other processes (ipc-queue-doorbell.c). What is only looked at is read on a connection of its own, which
 * waits for nobody. What other processes did is in ipc-queue-sqlite-others.c.
 */
#include "queue/ipc-queue-sqlite-store-private.h"

#include <string.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"

static void ipc_queue_sqlite_store_iface_init (IpcQueueStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (IpcQueueSqliteStore, ipc_queue_sqlite_store, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (IPC_TYPE_QUEUE_STORE, ipc_queue_sqlite_store_iface_init))

void
ipc_queue_sqlite_store_tell (IpcQueueSqliteStore *self, IpcQueueEvent event, const char *queue, IpcQueueItem *item)
{
  g_mutex_lock (&self->listener_lock);
  if (self->listener != NULL)
    self->listener (self->listener_data, event, queue, item);
  g_mutex_unlock (&self->listener_lock);
}

/* ---- transactions ---- */

static void
take_settings (IpcQueueSqliteStore *self)
{
  g_mutex_lock (&self->lock);
  self->writer.limits = self->limits;
  self->writer.durability = self->durability;
  g_mutex_unlock (&self->lock);
}

static gboolean
begin (gpointer owner, GError **error)
{
  IpcQueueSqliteStore *self = owner;

  take_settings (self);
  if (!ipc_queue_doorbell_enter (&self->doorbell, error))
    return FALSE;
  if (ipc_queue_sqlite_begin (&self->writer, error))
    return TRUE;
  ipc_queue_doorbell_leave (&self->doorbell);
  return FALSE;
}

static gboolean
commit (gpointer owner, GError **error)
{
  IpcQueueSqliteStore *self = owner;
  gboolean done = ipc_queue_sqlite_commit (&self->writer, error);

  ipc_queue_doorbell_leave (&self->doorbell);
  return done;
}

/* Not in turn: others write meanwhile, and what they sync is synced for all. */
static gboolean
sync_all (gpointer owner, GError **error)
{
  IpcQueueSqlite *writer = &IPC_QUEUE_SQLITE_STORE (owner)->writer;

  return writer->durability != IPC_DURABILITY_FULL || ipc_queue_database_sync (&writer->database, error);
}

static void
rollback (gpointer owner)
{
  IpcQueueSqliteStore *self = owner;

  ipc_queue_sqlite_rollback (&self->writer);
  ipc_queue_doorbell_leave (&self->doorbell);
}

/* A log that has gone into the database is written from its beginning again. */
static gboolean
mend (gpointer owner, const GError *error)
{
  return g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SPACE) &&
         ipc_queue_database_empty_log (&IPC_QUEUE_SQLITE_STORE (owner)->writer.database);
}

static gboolean
is_sound (gpointer owner)
{
  return IPC_QUEUE_SQLITE_STORE (owner)->writer.is_sound;
}

static void
tell (gpointer owner)
{
  IpcQueueSqliteStore *self = owner;
  GArray *notes = self->writer.notes;

  for (guint i = 0; i < notes->len; i++)
    {
      IpcQueueNote *note = &g_array_index (notes, IpcQueueNote, i);

      if (ipc_queue_sqlite_store_is_news (self, note->event, note->queue))
        ipc_queue_sqlite_store_tell (self, note->event, note->queue, note->item);
    }
  g_array_set_size (notes, 0);
  if (self->writer.rings_messages)
    ipc_queue_doorbell_ring (&self->doorbell, FALSE);
  if (self->writer.rings_queues)
    ipc_queue_doorbell_ring (&self->doorbell, TRUE);
}

static void
finished (gpointer owner)
{
  ipc_queue_sqlite_store_tell (owner, IPC_QUEUE_EVENT_DONE, NULL, NULL);
}

/* How many acknowledgements there are from FIRST on of messages that were taken together, and follow each other. */
static guint
count_neighbours (GList *first)
{
  const IpcQueueWork *work = first->data;
  guint n = 1;

  if (work->acked == NULL)
    return 0;
  for (GList *link = first->next; link != NULL; link = link->next, n++)
    {
      const IpcQueueWork *next = link->data;

      if (next->acked == NULL || next->acked->id != work->acked->id + n || next->acked->lease != work->acked->lease ||
          strcmp (next->queue, work->queue) != 0)
        break;
    }
  return n;
}

static guint
do_several (gpointer owner, GList *first, GError **error)
{
  IpcQueueSqliteStore *self = owner;
  IpcQueueWork *work = first->data;
  g_autofree const IpcQueueItem **items = NULL;
  guint n = count_neighbours (first);
  IpcQueueRow *row;

  if (n < 2)
    return 0;
  items = g_new (const IpcQueueItem *, n);
  for (guint i = 0; i < n; i++, first = first->next)
    items[i] = ((IpcQueueWork *) first->data)->acked;
  row = ipc_queue_sqlite_get_row (&self->writer, work->queue, NULL);
  return row != NULL && ipc_queue_sqlite_ack_several (&self->writer, row, items, n, error) ? n : 0;
}

static const IpcQueueJobsFuncs jobs_funcs = { begin, commit, sync_all, rollback, mend, do_several, is_sound, tell, finished,
                                              ipc_queue_sqlite_store_rung };

/* ---- one call ---- */

typedef struct _Call Call;

struct _Call
{
  IpcQueueWork work;
  IpcQueueSqliteStore *self;
  gboolean (*func) (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error);
  const char *name;             /* (nullable) NULL: no queue in particular */

  IpcQueueItem *const *items;
  const IpcQueueItem *item;
  const char *text;
  gint64 ttl;
  gint64 delay;
  guint64 number;
  guint n;
  gboolean flag;

  IpcQueueItem **taken;
  gint64 result;
};

static gboolean
run (IpcQueueWork *work, GError **error)
{
  Call *call = (Call *) work;
  IpcQueueSqlite *writer = &call->self->writer;
  IpcQueueRow *row = NULL;

  if (call->name != NULL && (row = ipc_queue_sqlite_get_row (writer, call->name, error)) == NULL)
    return FALSE;
  return call->func (writer, row, call, error);
}

static gboolean
do_call (IpcQueueStore *store, Call *call, GError **error)
{
  call->self = IPC_QUEUE_SQLITE_STORE (store);
  call->work.run = run;
  return ipc_queue_jobs_do (call->self->jobs, &call->work, error);
}

/* ---- queues ---- */

static gboolean
create_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_create (writer, call->text, error);
}

static gboolean
create_queue (IpcQueueStore *store, const char *name, GError **error)
{
  Call call = { .func = create_func, .text = name };

  return do_call (store, &call, error);
}

static gboolean
delete_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_delete (writer, call->text, error);
}

static gboolean
delete_queue (IpcQueueStore *store, const char *name, GError **error)
{
  Call call = { .func = delete_func, .text = name };

  return do_call (store, &call, error);
}

static gboolean
set_not_found (const char *name, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "there is no queue \"%s\"", name);
  return FALSE;
}

/* With the lock of the reader. FALSE with ERROR, also where there is none. */
static gboolean
look_row_locked (IpcQueueSqliteStore *self, const char *name, IpcQueueRow *row, GError **error)
{
  g_autoptr(GError) reason = NULL;

  *row = (IpcQueueRow){ 0 };
  if (ipc_queue_look_queue (&self->reader, name, row, &reason) && ipc_queue_look_counts (&self->reader, row, &reason))
    return TRUE;
  if (reason == NULL)
    return set_not_found (name, error);
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

static gboolean
has_queue (IpcQueueStore *store, const char *name, GError **error)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (store);
  IpcQueueRow row;
  gboolean has;

  g_mutex_lock (&self->reader_lock);
  has = look_row_locked (self, name, &row, error);
  g_mutex_unlock (&self->reader_lock);
  return has;
}

static char **
list_queues (IpcQueueStore *store, GError **error)
{
  GPtrArray *names = ipc_queue_sqlite_store_read_names (IPC_QUEUE_SQLITE_STORE (store), error);

  if (names == NULL)
    return NULL;
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}

/* What is due was done by then. */
static gboolean
tend_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_tend (writer, row, error);
}

static gboolean
look (IpcQueueSqliteStore *self, const char *name, IpcQueueRow *row, gint64 *next, GError **error)
{
  gboolean done;

  g_mutex_lock (&self->reader_lock);
  done = look_row_locked (self, name, row, error) && ipc_queue_look_next (&self->reader, row->id, next, error);
  g_mutex_unlock (&self->reader_lock);
  return done;
}

static gboolean
tend_if_due (IpcQueueSqliteStore *self, const char *name, IpcQueueRow *row, gint64 *next, GError **error)
{
  Call call = { .func = tend_func, .name = name };

  if (!look (self, name, row, next, error))
    return FALSE;
  if (*next == 0 || *next > ipc_queue_sqlite_get_time (&self->writer))
    return TRUE;
  return do_call (IPC_QUEUE_STORE (self), &call, error) && look (self, name, row, next, error);
}

static gboolean
count (IpcQueueStore *store, const char *name, IpcQueueCounts *counts, GError **error)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (store);
  IpcQueueRow row;
  gint64 next;

  if (!tend_if_due (self, name, &row, &next, error))
    return FALSE;
  *counts = row.counts;
  counts->next_at = ipc_queue_sqlite_to_monotonic (&self->writer, next);
  return TRUE;
}

/* ---- messages ---- */

static gboolean
publish_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  guint i;

  for (i = 0; i < call->n && ipc_queue_sqlite_publish (writer, row, call->items[i], call->ttl, call->delay, error); i++)
    ;
  call->result = writer->is_sound ? i : 0;
  return i == call->n;
}

static gboolean
publish (IpcQueueStore *store, const char *name, IpcQueueItem *const *items, guint n, gint64 ttl, gint64 delay, guint *n_done, GError **error)
{
  Call call = { .func = publish_func, .name = name, .items = items, .n = n, .ttl = ttl, .delay = delay };
  gboolean done = do_call (store, &call, error);

  *n_done = (guint) call.result;
  return done;
}

static void
drop_taken (Call *call)
{
  for (gint64 i = 0; i < call->result; i++)
    ipc_queue_item_unref (call->taken[i]);
  call->result = 0;
}

/* Nobody else writes meanwhile, so what comes afterwards rings. */
static gboolean
arm_until_next (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  gint64 next, again;

  ipc_queue_doorbell_arm (writer->doorbell, FALSE);
  again = ipc_queue_sqlite_watch (writer, row);
  if (!ipc_queue_look_next (&writer->database, row->id, &next, error))
    return FALSE;
  if (again != 0)
    next = next == 0 ? again : MIN (next, again);
  call->delay = ipc_queue_sqlite_to_monotonic (writer, next);
  return TRUE;
}

static gboolean
take_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  g_autoptr(GError) reason = NULL;

  /* It may be the second time. */
  drop_taken (call);
  call->result = ipc_queue_sqlite_take (writer, row, call->taken, call->n, &reason);
  if (reason == NULL && call->result < call->n)
    arm_until_next (writer, row, call, &reason);
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

static guint
take (IpcQueueStore *store, const char *name, IpcQueueItem **items, guint max, gint64 *next_at, GError **error)
{
  Call call = { .work.may_fade = TRUE, .func = take_func, .name = name, .taken = items, .n = max };

  if (!do_call (store, &call, error))
    drop_taken (&call);
  *next_at = call.delay;
  return (guint) call.result;
}

static gboolean
ack_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_ack (writer, row, call->item, error);
}

static gboolean
ack (IpcQueueStore *store, const char *name, const IpcQueueItem *item, GError **error)
{
  Call call = { .func = ack_func, .name = name, .item = item };

  return do_call (store, &call, error);
}

static gboolean
nack_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_nack (writer, row, call->item, call->delay, call->flag, error);
}

static gboolean
nack (IpcQueueStore *store, const char *name, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error)
{
  Call call = { .func = nack_func, .name = name, .item = item, .delay = delay, .flag = counts };

  return do_call (store, &call, error);
}

static gboolean
reject_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_reject (writer, row, call->item, call->text, error);
}

static gboolean
reject (IpcQueueStore *store, const char *name, const IpcQueueItem *item, const char *reason, GError **error)
{
  Call call = { .func = reject_func, .name = name, .item = item, .text = reason };

  return do_call (store, &call, error);
}

static gboolean
extend_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_extend (writer, row, call->item, call->delay, error);
}

static gboolean
extend (IpcQueueStore *store, const char *name, const IpcQueueItem *item, gint64 duration, GError **error)
{
  Call call = { .func = extend_func, .name = name, .item = item, .delay = duration };

  return do_call (store, &call, error);
}

/* ---- looking at them ---- */

/* (transfer full) (nullable) */
static GPtrArray *
look_at_messages (IpcQueueStore *store, const char *name, IpcQueueStatement first, IpcQueueStatement second, guint max, GError **error)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (store);
  g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_item_unref);
  IpcQueueRow row;
  gboolean done;
  gint64 next;

  if (!tend_if_due (self, name, &row, &next, error))
    return NULL;
  g_mutex_lock (&self->reader_lock);
  done = ipc_queue_look_items (&self->reader, first, row.id, max, found, error) &&
         (second == IPC_QUEUE_N_STATEMENTS || found->len >= max ||
          ipc_queue_look_items (&self->reader, second, row.id, max - found->len, found, error));
  g_mutex_unlock (&self->reader_lock);
  return done ? g_steal_pointer (&found) : NULL;
}

static GPtrArray *
peek (IpcQueueStore *store, const char *name, guint max, GError **error)
{
  return look_at_messages (store, name, IPC_QUEUE_READY_READ, IPC_QUEUE_DELAYED_READ, max, error);
}

static GPtrArray *
list_dead (IpcQueueStore *store, const char *name, guint max, GError **error)
{
  return look_at_messages (store, name, IPC_QUEUE_DEAD_LIST, IPC_QUEUE_N_STATEMENTS, max, error);
}

static gboolean
purge_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  call->result = ipc_queue_sqlite_purge (writer, row, error);
  return call->result >= 0;
}

static gint64
purge (IpcQueueStore *store, const char *name, GError **error)
{
  Call call = { .func = purge_func, .name = name };

  return do_call (store, &call, error) ? call.result : -1;
}

static gboolean
redrive_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  call->result = ipc_queue_sqlite_redrive (writer, row, call->number, error);
  return call->result >= 0;
}

static gint64
redrive (IpcQueueStore *store, const char *name, guint64 id, GError **error)
{
  Call call = { .func = redrive_func, .name = name, .number = id };

  return do_call (store, &call, error) ? call.result : -1;
}

/* ---- settings ---- */

static gboolean
supports (IpcQueueStore *store, IpcQueueFeature feature)
{
  return TRUE;
}

static void
listen_to (IpcQueueStore *store, IpcQueueListener listener, gpointer data)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (store);

  g_mutex_lock (&self->listener_lock);
  self->listener = listener;
  self->listener_data = data;
  g_mutex_unlock (&self->listener_lock);
  if (listener != NULL)
    ipc_queue_sqlite_store_look_for_queues (self);
}

static void
set_limits (IpcQueueStore *store, const IpcQueueLimits *limits)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (store);

  g_mutex_lock (&self->lock);
  self->limits = *limits;
  g_mutex_unlock (&self->lock);
}

static void
set_durability (IpcQueueStore *store, IpcDurability durability)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (store);

  g_mutex_lock (&self->lock);
  self->durability = durability;
  g_mutex_unlock (&self->lock);
}

static void
dispatch (IpcQueueStore *store, IpcQueueWork *work)
{
  ipc_queue_jobs_add (IPC_QUEUE_SQLITE_STORE (store)->jobs, work);
}

static void
arm (IpcQueueStore *store)
{
  ipc_queue_doorbell_arm (&IPC_QUEUE_SQLITE_STORE (store)->doorbell, FALSE);
}

static gboolean
subscribe_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return ipc_queue_sqlite_set_subscribed (writer, row, call->flag, &call->result, error);
}

static void
subscribe (IpcQueueStore *store, const char *name, gboolean subscribed)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (store);
  Call call = { .func = subscribe_func, .name = name, .flag = subscribed };

  if (ipc_queue_sqlite_store_count_subscribed (self, name, subscribed) && do_call (store, &call, NULL) && subscribed)
    ipc_queue_sqlite_store_begin_copies (self, call.result);
}

static void
ipc_queue_sqlite_store_iface_init (IpcQueueStoreInterface *iface)
{
  iface->supports = supports;
  iface->listen = listen_to;
  iface->set_limits = set_limits;
  iface->set_durability = set_durability;
  iface->dispatch = dispatch;
  iface->arm = arm;
  iface->subscribe = subscribe;
  iface->create_queue = create_queue;
  iface->has_queue = has_queue;
  iface->delete_queue = delete_queue;
  iface->list_queues = list_queues;
  iface->count = count;
  iface->publish = publish;
  iface->take = take;
  iface->ack = ack;
  iface->nack = nack;
  iface->reject = reject;
  iface->extend = extend;
  iface->peek = peek;
  iface->purge = purge;
  iface->list_dead = list_dead;
  iface->redrive = redrive;
}

/* ---- the object ---- */

/* In a forked child the connections are the parent's: they are not touched, and what is in memory is left. */
static void
ipc_queue_sqlite_store_finalize (GObject *object)
{
  IpcQueueSqliteStore *self = IPC_QUEUE_SQLITE_STORE (object);

  if (self->generation == ipc_fork_generation ())
    {
      if (self->jobs != NULL)
        ipc_queue_jobs_free (self->jobs);
      ipc_queue_database_close (&self->reader);
      ipc_queue_sqlite_close (&self->writer);
    }
  if (self->is_open)
    ipc_queue_doorbell_close (&self->doorbell);
  g_hash_table_unref (self->names);
  g_hash_table_unref (self->subscribed);
  g_mutex_clear (&self->reader_lock);
  g_mutex_clear (&self->lock);
  g_mutex_clear (&self->listener_lock);
  G_OBJECT_CLASS (ipc_queue_sqlite_store_parent_class)->finalize (object);
}

static void
ipc_queue_sqlite_store_class_init (IpcQueueSqliteStoreClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ipc_queue_sqlite_store_finalize;
}

static void
ipc_queue_sqlite_store_init (IpcQueueSqliteStore *self)
{
  self->generation = ipc_fork_generation ();
  self->names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->subscribed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_mutex_init (&self->reader_lock);
  g_mutex_init (&self->lock);
  g_mutex_init (&self->listener_lock);
}

static gboolean
nothing_func (IpcQueueSqlite *writer, IpcQueueRow *row, Call *call, GError **error)
{
  return TRUE;
}

static gboolean
open_all (IpcQueueSqliteStore *self, const char *path, GError **error)
{
  /* It begins to use the clock, and finds out whether the database can be written to. */
  Call first = { .func = nothing_func };

  if (!ipc_queue_database_ensure (path, error))
    return FALSE;
  self->is_open = ipc_queue_doorbell_open (&self->doorbell, path, error);
  if (!self->is_open || !ipc_queue_sqlite_open (&self->writer, path, &self->doorbell, error) ||
      !ipc_queue_database_open (&self->reader, path, FALSE, error))
    return FALSE;
  self->jobs = ipc_queue_jobs_new (&jobs_funcs, self, error);
  if (self->jobs == NULL || !do_call (IPC_QUEUE_STORE (self), &first, error))
    return FALSE;
  ipc_queue_jobs_watch (self->jobs, self->doorbell.bell.fd);
  return TRUE;
}

IpcQueueStore *
ipc_queue_sqlite_store_new (const char *part, char **uri, GError **error)
{
  g_autofree char *path = ipc_queue_database_find_path (part, error);
  g_autoptr(IpcQueueSqliteStore) self = NULL;

  if (path == NULL)
    return NULL;
  self = g_object_new (IPC_TYPE_QUEUE_SQLITE_STORE, NULL);
  if (!open_all (self, path, error))
    return NULL;
  *uri = g_strconcat ("sqlite:", path, NULL);
  return IPC_QUEUE_STORE (g_steal_pointer (&self));
}
