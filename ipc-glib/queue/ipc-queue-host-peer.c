/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-host-private.h"

#include "ipc-error.h"

#define MAX_QUEUES 4096u        /* that a client has something to do with */
#define MAX_HELD 65536u         /* that a client has taken and not settled */

/* What was taken. */
typedef struct
{
  guint64 tag;
  char *queue;                  /* (owned) */
  IpcQueueItem *item;           /* (owned) */
} Held;

static void
held_free (gpointer data)
{
  Held *held = data;

  g_free (held->queue);
  ipc_queue_item_unref (held->item);
  g_free (held);
}

IpcQueuePeer *
ipc_queue_peer_new (IpcQueueHost *host, IpcConnection *connection)
{
  IpcQueuePeer *self = g_new0 (IpcQueuePeer, 1);

  self->ref_count = 1;
  self->host = ipc_queue_host_ref (host);
  self->connection = g_object_ref (connection);
  self->held = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, held_free);
  self->queues = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return self;
}

IpcQueuePeer *
ipc_queue_peer_ref (IpcQueuePeer *self)
{
  g_atomic_int_inc (&self->ref_count);
  return self;
}

void
ipc_queue_peer_unref (IpcQueuePeer *self)
{
  if (!g_atomic_int_dec_and_test (&self->ref_count))
    return;
  g_hash_table_unref (self->held);
  g_hash_table_unref (self->queues);
  g_object_unref (self->connection);
  ipc_queue_host_unref (self->host);
  g_free (self);
}

/* ---- what it wants to know ---- */

/* A store that has to be told that copies are wanted, is told where it works. */
typedef struct
{
  IpcQueueWork work;
  IpcQueueHost *host;           /* (owned) */
  char *queue;                  /* (owned) */
  gboolean subscribed;
} Subscribe;

static gboolean
subscribe_run (IpcQueueWork *work, GError **error)
{
  Subscribe *self = (Subscribe *) work;
  IpcQueueStore *store = self->host->center->store;

  IPC_QUEUE_STORE_GET_IFACE (store)->subscribe (store, self->queue, self->subscribed);
  return TRUE;
}

static void
subscribe_done (IpcQueueWork *work, GError *error)
{
  Subscribe *self = (Subscribe *) work;

  g_clear_error (&error);
  g_free (self->queue);
  ipc_queue_host_unref (self->host);
  g_free (self);
}

static void
subscribe (IpcQueueHost *host, const char *queue, gboolean subscribed)
{
  IpcQueueStore *store = host->center->store;
  Subscribe *self;

  if (IPC_QUEUE_STORE_GET_IFACE (store)->subscribe == NULL)
    return;
  self = g_new (Subscribe, 1);
  *self = (Subscribe){ { .run = subscribe_run, .done = subscribe_done }, ipc_queue_host_ref (host), g_strdup (queue), subscribed };
  ipc_queue_store_dispatch (store, &self->work);
}

/* The center only takes note of what somebody wants to know. */
static void
count_marks (IpcQueuePeer *self, const char *queue, IpcQueuePeerFlags before, IpcQueuePeerFlags after)
{
  IpcQueueCenter *center = self->host->center;

  if ((before ^ after) & IPC_QUEUE_PEER_WAITING)
    g_atomic_int_add (&center->n_interested, after & IPC_QUEUE_PEER_WAITING ? 1 : -1);
  if (((before ^ after) & IPC_QUEUE_PEER_SUBSCRIBED) == 0)
    return;
  g_atomic_int_add (&center->n_subscribed, after & IPC_QUEUE_PEER_SUBSCRIBED ? 1 : -1);
  subscribe (self->host, queue, (after & IPC_QUEUE_PEER_SUBSCRIBED) != 0);
}

static void
set_marks_locked (IpcQueuePeer *self, const char *queue, IpcQueuePeerFlags flags)
{
  IpcQueuePeerFlags before = GPOINTER_TO_UINT (g_hash_table_lookup (self->queues, queue));

  if (before == flags)
    return;
  if (flags == 0)
    g_hash_table_remove (self->queues, queue);
  else
    g_hash_table_insert (self->queues, g_strdup (queue), GUINT_TO_POINTER (flags));
  count_marks (self, queue, before, flags);
}

gboolean
ipc_queue_peer_mark (IpcQueuePeer *self, const char *queue, IpcQueuePeerFlags flags, GError **error)
{
  IpcQueuePeerFlags before;
  gboolean has_room;

  g_mutex_lock (&self->host->lock);
  before = GPOINTER_TO_UINT (g_hash_table_lookup (self->queues, queue));
  has_room = before != 0 || g_hash_table_size (self->queues) < MAX_QUEUES;
  if (has_room && !self->is_gone)
    set_marks_locked (self, queue, before | flags);
  g_mutex_unlock (&self->host->lock);
  if (!has_room)
    g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "queue \"%s\": a client uses at most %u queues", queue, MAX_QUEUES);
  return has_room;
}

void
ipc_queue_peer_unmark (IpcQueuePeer *self, const char *queue, IpcQueuePeerFlags flags)
{
  g_mutex_lock (&self->host->lock);
  set_marks_locked (self, queue, (IpcQueuePeerFlags) GPOINTER_TO_UINT (g_hash_table_lookup (self->queues, queue)) & ~flags);
  g_mutex_unlock (&self->host->lock);
}

IpcQueuePeerFlags
ipc_queue_peer_get_marks (IpcQueuePeer *self, const char *queue)
{
  IpcQueuePeerFlags flags;

  g_mutex_lock (&self->host->lock);
  flags = GPOINTER_TO_UINT (g_hash_table_lookup (self->queues, queue));
  g_mutex_unlock (&self->host->lock);
  return flags;
}

/* ---- what it has ---- */

guint
ipc_queue_peer_get_room (IpcQueuePeer *self, guint max)
{
  guint n;

  g_mutex_lock (&self->host->lock);
  n = g_hash_table_size (self->held);
  g_mutex_unlock (&self->host->lock);
  return MIN (max, MAX_HELD - MIN (n, MAX_HELD));
}

guint64
ipc_queue_peer_hold (IpcQueuePeer *self, const char *queue, IpcQueueItem *item)
{
  Held *held = g_new (Held, 1);
  gboolean is_gone;

  *held = (Held){ 0, g_strdup (queue), ipc_queue_item_ref (item) };
  g_mutex_lock (&self->host->lock);
  is_gone = self->is_gone;
  held->tag = is_gone ? 0 : ++self->last_tag;
  if (!is_gone)
    g_hash_table_insert (self->held, &held->tag, held);
  g_mutex_unlock (&self->host->lock);
  if (!is_gone)
    return held->tag;
  held_free (held);
  return 0;
}

IpcQueueItem *
ipc_queue_peer_find (IpcQueuePeer *self, const char *queue, guint64 tag)
{
  IpcQueueItem *item = NULL;
  Held *held;

  g_mutex_lock (&self->host->lock);
  held = g_hash_table_lookup (self->held, &tag);
  if (held != NULL && g_strcmp0 (held->queue, queue) == 0)
    item = ipc_queue_item_ref (held->item);
  g_mutex_unlock (&self->host->lock);
  return item;
}

void
ipc_queue_peer_forget (IpcQueuePeer *self, guint64 tag)
{
  g_mutex_lock (&self->host->lock);
  g_hash_table_remove (self->held, &tag);
  g_mutex_unlock (&self->host->lock);
}

/* ---- the end ---- */

static void
forget_queues_locked (IpcQueuePeer *self)
{
  GHashTableIter iter;
  gpointer queue, flags;

  g_hash_table_iter_init (&iter, self->queues);
  while (g_hash_table_iter_next (&iter, &queue, &flags))
    count_marks (self, queue, GPOINTER_TO_UINT (flags), 0);
  g_hash_table_remove_all (self->queues);
}

static int
compare_tags (gconstpointer a, gconstpointer b)
{
  const Held *first = *(Held *const *) a, *second = *(Held *const *) b;

  return first->tag < second->tag ? -1 : first->tag > second->tag;
}

void
ipc_queue_peer_leave (IpcQueuePeer *self)
{
  g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func (held_free);
  GHashTableIter iter;
  gpointer held;

  g_mutex_lock (&self->host->lock);
  self->is_gone = TRUE;
  forget_queues_locked (self);
  g_hash_table_iter_init (&iter, self->held);
  while (g_hash_table_iter_next (&iter, NULL, &held))
    {
      g_ptr_array_add (all, held);
      g_hash_table_iter_steal (&iter);
    }
  g_mutex_unlock (&self->host->lock);
  g_ptr_array_sort (all, compare_tags);
  for (guint i = 0; i < all->len; i++)
    ipc_queue_center_give_back (self->host->center, ((Held *) all->pdata[i])->queue, ((Held *) all->pdata[i])->item, TRUE);
}
