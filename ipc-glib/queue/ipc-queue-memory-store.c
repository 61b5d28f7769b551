/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store: one lock around the queues (ipc-queue-memory.c), which do the work. The listener is called with the lock, and only makes
 * notes.
 */
#include "queue/ipc-queue-memory-store-private.h"

#include "ipc-error.h"
#include "queue/ipc-queue-memory-private.h"

struct _IpcQueueMemoryStore
{
  GObject parent_instance;

  GMutex lock;
  GHashTable *queues;           /* (owned) (mutex lock) name → IpcQueueMemory */
  IpcQueueLimits limits;        /* (mutex lock) */
  guint64 last_id;              /* (mutex lock) */
  IpcQueueListener listener;    /* (nullable) (mutex lock) */
  gpointer listener_data;       /* (mutex lock) */
};

static void ipc_queue_memory_store_iface_init (IpcQueueStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (IpcQueueMemoryStore, ipc_queue_memory_store, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (IPC_TYPE_QUEUE_STORE, ipc_queue_memory_store_iface_init))

/* ---- queues ---- */

static void
event_cb (gpointer data, IpcQueueEvent event, const char *queue, IpcQueueItem *item)
{
  IpcQueueMemoryStore *self = data;

  if (self->listener != NULL)
    self->listener (self->listener_data, event, queue, item);
}

/* With the lock, which is held on success. */
static IpcQueueMemory *
lock_queue (IpcQueueStore *store, const char *name, GError **error)
{
  IpcQueueMemoryStore *self = IPC_QUEUE_MEMORY_STORE (store);
  IpcQueueMemory *queue;

  g_mutex_lock (&self->lock);
  queue = g_hash_table_lookup (self->queues, name);
  if (queue != NULL)
    return queue;
  g_mutex_unlock (&self->lock);
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "there is no queue \"%s\"", name);
  return NULL;
}

static void
unlock (IpcQueueStore *store)
{
  g_mutex_unlock (&IPC_QUEUE_MEMORY_STORE (store)->lock);
}

static gboolean
create_queue (IpcQueueStore *store, const char *name, GError **error)
{
  IpcQueueMemoryStore *self = IPC_QUEUE_MEMORY_STORE (store);
  IpcQueueMemory *queue;

  g_mutex_lock (&self->lock);
  if (g_hash_table_contains (self->queues, name))
    {
      g_mutex_unlock (&self->lock);
      g_set_error (error, IPC_ERROR, IPC_ERROR_EXISTS, "queue \"%s\" exists already", name);
      return FALSE;
    }
  queue = ipc_queue_memory_new (name, &self->limits, &self->last_id);
  queue->event = event_cb;
  queue->event_data = self;
  g_hash_table_insert (self->queues, queue->name, queue);
  event_cb (self, IPC_QUEUE_EVENT_CREATED, name, NULL);
  g_mutex_unlock (&self->lock);
  return TRUE;
}

static gboolean
has_queue (IpcQueueStore *store, const char *name, GError **error)
{
  if (lock_queue (store, name, error) == NULL)
    return FALSE;
  unlock (store);
  return TRUE;
}

static gboolean
delete_queue (IpcQueueStore *store, const char *name, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);

  if (queue == NULL)
    return FALSE;
  event_cb (store, IPC_QUEUE_EVENT_DELETED, name, NULL);
  g_hash_table_remove (IPC_QUEUE_MEMORY_STORE (store)->queues, name);
  unlock (store);
  return TRUE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return g_strcmp0 (*(const char *const *) a, *(const char *const *) b);
}

static char **
list_queues (IpcQueueStore *store, GError **error)
{
  IpcQueueMemoryStore *self = IPC_QUEUE_MEMORY_STORE (store);
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;

  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, self->queues);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    g_ptr_array_add (names, g_strdup (name));
  g_mutex_unlock (&self->lock);
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return (char **) g_ptr_array_free (names, FALSE);
}

static gboolean
count (IpcQueueStore *store, const char *name, IpcQueueCounts *counts, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);

  if (queue == NULL)
    return FALSE;
  queue->counts.next_at = ipc_queue_memory_tend (queue);
  *counts = queue->counts;
  unlock (store);
  return TRUE;
}

/* ---- messages ---- */

static gboolean
publish (IpcQueueStore *store, const char *name, IpcQueueItem *const *items, guint n, gint64 ttl, gint64 delay, guint *n_done, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  guint i;

  if (queue == NULL)
    return FALSE;
  for (i = 0; i < n && ipc_queue_memory_publish (queue, items[i], ttl, delay, error); i++)
    ;
  unlock (store);
  *n_done = i;
  return i == n;
}

static guint
take (IpcQueueStore *store, const char *name, IpcQueueItem **items, guint max, gint64 *next_at, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  guint n;

  if (queue == NULL)
    return 0;
  for (n = 0; n < max && (items[n] = ipc_queue_memory_take (queue, next_at)) != NULL; n++)
    ;
  unlock (store);
  return n;
}

static gboolean
ack (IpcQueueStore *store, const char *name, const IpcQueueItem *item, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  gboolean done;

  if (queue == NULL)
    return FALSE;
  done = ipc_queue_memory_ack (queue, item, error);
  unlock (store);
  return done;
}

static gboolean
nack (IpcQueueStore *store, const char *name, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  gboolean done;

  if (queue == NULL)
    return FALSE;
  done = ipc_queue_memory_nack (queue, item, delay, counts, error);
  unlock (store);
  return done;
}

static gboolean
reject (IpcQueueStore *store, const char *name, const IpcQueueItem *item, const char *reason, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  gboolean done;

  if (queue == NULL)
    return FALSE;
  done = ipc_queue_memory_reject (queue, item, reason, error);
  unlock (store);
  return done;
}

static gboolean
extend (IpcQueueStore *store, const char *name, const IpcQueueItem *item, gint64 duration, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  gboolean done;

  if (queue == NULL)
    return FALSE;
  done = ipc_queue_memory_extend (queue, item, duration, error);
  unlock (store);
  return done;
}

static GPtrArray *
peek (IpcQueueStore *store, const char *name, guint max, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  GPtrArray *found;

  if (queue == NULL)
    return NULL;
  found = ipc_queue_memory_peek (queue, max);
  unlock (store);
  return found;
}

static gint64
purge (IpcQueueStore *store, const char *name, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  gint64 n;

  if (queue == NULL)
    return -1;
  n = ipc_queue_memory_purge (queue);
  unlock (store);
  return n;
}

static GPtrArray *
list_dead (IpcQueueStore *store, const char *name, guint max, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  GPtrArray *found;

  if (queue == NULL)
    return NULL;
  found = ipc_queue_memory_list_dead (queue, max);
  unlock (store);
  return found;
}

static gint64
redrive (IpcQueueStore *store, const char *name, guint64 id, GError **error)
{
  IpcQueueMemory *queue = lock_queue (store, name, error);
  gint64 n;

  if (queue == NULL)
    return -1;
  n = ipc_queue_memory_redrive (queue, id, error);
  unlock (store);
  return n;
}

/* ---- the store ---- */

static gboolean
supports (IpcQueueStore *store, IpcQueueFeature feature)
{
  return feature != IPC_QUEUE_FEATURE_DURABLE && feature != IPC_QUEUE_FEATURE_SHARED;
}

static void
listen_to (IpcQueueStore *store, IpcQueueListener listener, gpointer data)
{
  IpcQueueMemoryStore *self = IPC_QUEUE_MEMORY_STORE (store);

  g_mutex_lock (&self->lock);
  self->listener = listener;
  self->listener_data = data;
  g_mutex_unlock (&self->lock);
}

static void
set_limits (IpcQueueStore *store, const IpcQueueLimits *limits)
{
  IpcQueueMemoryStore *self = IPC_QUEUE_MEMORY_STORE (store);

  g_mutex_lock (&self->lock);
  self->limits = *limits;
  g_mutex_unlock (&self->lock);
}

static void
ipc_queue_memory_store_iface_init (IpcQueueStoreInterface *iface)
{
  iface->supports = supports;
  iface->listen = listen_to;
  iface->set_limits = set_limits;
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

static void
ipc_queue_memory_store_finalize (GObject *object)
{
  IpcQueueMemoryStore *self = IPC_QUEUE_MEMORY_STORE (object);

  g_hash_table_unref (self->queues);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (ipc_queue_memory_store_parent_class)->finalize (object);
}

static void
ipc_queue_memory_store_class_init (IpcQueueMemoryStoreClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ipc_queue_memory_store_finalize;
}

static void
ipc_queue_memory_store_init (IpcQueueMemoryStore *self)
{
  g_mutex_init (&self->lock);
  self->queues = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) ipc_queue_memory_free);
}

IpcQueueStore *
ipc_queue_memory_store_new (void)
{
  return g_object_new (IPC_TYPE_QUEUE_MEMORY_STORE, NULL);
}
