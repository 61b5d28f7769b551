/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The store: each function is a request. What was published, or settled, and not answered is not sent again: whoever asked is told that it is
 * not known what became of it.
 *
 * The limits are those of the process that serves the queues.
 */
#include "queue/ipc-queue-remote-store-private.h"

#include "ipc-error.h"
#include "queue/ipc-queue-link-private.h"
#include "queue/ipc-queue-wire-private.h"

#define MAX_BATCH_BYTES (1024u * 1024)
#define MAX_BATCH 1000u

struct _IpcQueueRemoteStore
{
  GObject parent_instance;

  IpcQueueLink *link;           /* (owned) */
  guint features;               /* a bit each */
  GMutex lock;
  IpcQueueListener listener;    /* (nullable) (mutex lock) */
  gpointer listener_data;       /* (mutex lock) */
  GHashTable *opened;           /* (owned) (mutex lock) name → whether it is subscribed to */
};

static void ipc_queue_remote_store_iface_init (IpcQueueStoreInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (IpcQueueRemoteStore, ipc_queue_remote_store, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (IPC_TYPE_QUEUE_STORE, ipc_queue_remote_store_iface_init))

static GVariant *
ask (IpcQueueStore *store, const char *request, GVariant *arguments, const char *reply, GError **error)
{
  return ipc_queue_link_call (IPC_QUEUE_REMOTE_STORE (store)->link, request, arguments, reply, error);
}

/* What has no answer but that it was done. */
static gboolean
tell (IpcQueueStore *store, const char *request, GVariant *arguments, GError **error)
{
  g_autoptr(GVariant) reply = ask (store, request, arguments, "()", error);

  return reply != NULL;
}

/* ---- what happens on the other side ---- */

static void
notify (IpcQueueRemoteStore *self, IpcQueueEvent event, const char *queue, IpcQueueItem *item)
{
  g_mutex_lock (&self->lock);
  if (self->listener != NULL)
    self->listener (self->listener_data, event, queue, item);
  if (event == IPC_QUEUE_EVENT_DELETED)
    g_hash_table_remove (self->opened, queue);
  g_mutex_unlock (&self->lock);
}

static gboolean
needs_item (guint8 event)
{
  return event == IPC_QUEUE_EVENT_PUBLISHED || event == IPC_QUEUE_EVENT_EXPIRED || event == IPC_QUEUE_EVENT_DEAD;
}

static void
event_cb (gpointer owner, GVariant *event)
{
  g_autoptr(IpcQueueItem) item = NULL;
  g_autoptr(GVariant) value = NULL;
  const char *queue;
  guint8 what;

  g_variant_get (event, "(y&sm@" IPC_QUEUE_WIRE_ITEM ")", &what, &queue, &value);
  if (value != NULL)
    item = ipc_queue_wire_unpack (value, NULL);
  if (what <= IPC_QUEUE_EVENT_CREATED && needs_item (what) == (item != NULL))
    notify (owner, what, queue, item);
}

/* (transfer full): names, and whether they are subscribed to. */
static GHashTable *
copy_opened (IpcQueueRemoteStore *self)
{
  GHashTable *copy = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GHashTableIter iter;
  gpointer name, subscribed;

  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, self->opened);
  while (g_hash_table_iter_next (&iter, &name, &subscribed))
    g_hash_table_insert (copy, g_strdup (name), subscribed);
  g_mutex_unlock (&self->lock);
  return copy;
}

/* Whoever serves them now knows nothing of us: a queue that is not there any more was deleted. */
static void
open_again (IpcQueueRemoteStore *self, const char *name, gboolean subscribed)
{
  g_autoptr(GError) error = NULL;
  IpcQueueStore *store = IPC_QUEUE_STORE (self);

  if (tell (store, "has", g_variant_new ("(s)", name), &error) && subscribed)
    tell (store, "subscribe", g_variant_new ("(sb)", name, TRUE), &error);
  if (g_error_matches (error, IPC_ERROR, IPC_ERROR_NOT_FOUND))
    notify (self, IPC_QUEUE_EVENT_DELETED, name, NULL);
}

/* Those that wait look again: there may be something, or there is nobody to wait for. */
static void
changed_cb (gpointer owner, gboolean is_open)
{
  IpcQueueRemoteStore *self = owner;
  g_autoptr(GHashTable) opened = copy_opened (self);
  GHashTableIter iter;
  gpointer name, subscribed;

  g_hash_table_iter_init (&iter, opened);
  while (g_hash_table_iter_next (&iter, &name, &subscribed))
    {
      if (is_open)
        open_again (self, name, GPOINTER_TO_INT (subscribed));
      notify (self, IPC_QUEUE_EVENT_AVAILABLE, name, NULL);
    }
}

static const IpcQueueLinkFuncs link_funcs = { event_cb, changed_cb };

/* ---- queues ---- */

static void
note_opened (IpcQueueStore *store, const char *name)
{
  IpcQueueRemoteStore *self = IPC_QUEUE_REMOTE_STORE (store);

  g_mutex_lock (&self->lock);
  if (!g_hash_table_contains (self->opened, name))
    g_hash_table_insert (self->opened, g_strdup (name), GINT_TO_POINTER (FALSE));
  g_mutex_unlock (&self->lock);
}

static gboolean
create_queue (IpcQueueStore *store, const char *name, GError **error)
{
  if (!tell (store, "create", g_variant_new ("(s)", name), error))
    return FALSE;
  note_opened (store, name);
  return TRUE;
}

static gboolean
has_queue (IpcQueueStore *store, const char *name, GError **error)
{
  if (!tell (store, "has", g_variant_new ("(s)", name), error))
    return FALSE;
  note_opened (store, name);
  return TRUE;
}

static gboolean
delete_queue (IpcQueueStore *store, const char *name, GError **error)
{
  return tell (store, "delete", g_variant_new ("(s)", name), error);
}

static char **
list_queues (IpcQueueStore *store, GError **error)
{
  g_autoptr(GVariant) reply = ask (store, "list", g_variant_new ("()"), "(as)", error);
  char **names;

  if (reply == NULL)
    return NULL;
  g_variant_get (reply, "(^as)", &names);
  return names;
}

static gboolean
count (IpcQueueStore *store, const char *name, IpcQueueCounts *counts, GError **error)
{
  g_autoptr(GVariant) reply = ask (store, "count", g_variant_new ("(s)", name), IPC_QUEUE_WIRE_COUNTS, error);
  gint64 wait;

  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, IPC_QUEUE_WIRE_COUNTS, &counts->ready, &counts->delayed, &counts->unacked, &counts->dead, &counts->total, &counts->bytes,
                 &counts->created_at, &counts->last_accessed, &wait);
  counts->next_at = ipc_queue_wire_to_time (wait);
  return TRUE;
}

static void
subscribe (IpcQueueStore *store, const char *name, gboolean subscribed)
{
  IpcQueueRemoteStore *self = IPC_QUEUE_REMOTE_STORE (store);

  g_mutex_lock (&self->lock);
  g_hash_table_insert (self->opened, g_strdup (name), GINT_TO_POINTER (subscribed));
  g_mutex_unlock (&self->lock);
  tell (store, "subscribe", g_variant_new ("(sb)", name, subscribed), NULL);
}

/* ---- messages ---- */

/* How many of them go together. */
static guint
count_batch (IpcQueueItem *const *items, guint n)
{
  gsize bytes = items[0]->bytes;
  guint i;

  for (i = 1; i < MIN (n, MAX_BATCH) && bytes + items[i]->bytes <= MAX_BATCH_BYTES; i++)
    bytes += items[i]->bytes;
  return i;
}

static GVariant *
pack_batch (const char *name, IpcQueueItem *const *items, guint n, gint64 ttl, gint64 delay)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a" IPC_QUEUE_WIRE_NEW_ITEM));
  for (guint i = 0; i < n; i++)
    g_variant_builder_add_value (&builder, ipc_queue_wire_pack_new (items[i]));
  return g_variant_new ("(sxxa" IPC_QUEUE_WIRE_NEW_ITEM ")", name, ttl, delay, &builder);
}

/* How many of them are there. All N, or ERROR is set. */
static guint
publish_batch (IpcQueueStore *store, const char *name, IpcQueueItem *const *items, guint n, gint64 ttl, gint64 delay, GError **error)
{
  g_autoptr(GVariant) reply = ask (store, "publish", pack_batch (name, items, n, ttl, delay), IPC_QUEUE_WIRE_PUBLISHED, error);
  g_autoptr(GVariantIter) ids = NULL;
  const char *nick, *text;
  guint i;

  if (reply == NULL)
    return 0;
  g_variant_get (reply, "(at&s&s)", &ids, &nick, &text);
  for (i = 0; i < n && g_variant_iter_next (ids, "t", &items[i]->id); i++)
    ;
  if (i < n)
    ipc_queue_wire_set_error (error, nick, text);
  return i;
}

static gboolean
publish (IpcQueueStore *store, const char *name, IpcQueueItem *const *items, guint n, gint64 ttl, gint64 delay, guint *n_done, GError **error)
{
  guint done = 0;
  gboolean goes_on = TRUE;

  while (goes_on && done < n)
    {
      guint batch = count_batch (items + done, n - done);
      guint n_published = publish_batch (store, name, items + done, batch, ttl, delay, error);

      done += n_published;
      goes_on = n_published == batch;
    }
  *n_done = done;
  return goes_on;
}

/* (transfer full) (nullable) */
static GPtrArray *
unpack_all (GVariantIter *iter, GError **error)
{
  g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_queue_item_unref);
  GVariant *value;

  while ((value = g_variant_iter_next_value (iter)) != NULL)
    {
      IpcQueueItem *item = ipc_queue_wire_unpack (value, error);

      g_variant_unref (value);
      if (item == NULL)
        return NULL;
      g_ptr_array_add (items, item);
    }
  return g_steal_pointer (&items);
}

/* (transfer full) (nullable) */
static GPtrArray *
take_all (IpcQueueStore *store, const char *name, guint max, gint64 *wait, GError **error)
{
  g_autoptr(GVariant) reply = ask (store, "take", g_variant_new ("(su)", name, max), IPC_QUEUE_WIRE_TAKEN, error);
  g_autoptr(GVariantIter) iter = NULL;

  if (reply == NULL)
    return NULL;
  g_variant_get (reply, "(a" IPC_QUEUE_WIRE_ITEM "x)", &iter, wait);
  if (g_variant_iter_n_children (iter) <= max)
    return unpack_all (iter, error);
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_DATA, "queue \"%s\": %u messages were asked for, and more came", name, max);
  return NULL;
}

/* What may have been taken for us and never came is not kept from the others. */
static gboolean
may_have_taken (const GError *error)
{
  return g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT) || g_error_matches (error, IPC_ERROR, IPC_ERROR_INVALID_DATA);
}

static guint
take (IpcQueueStore *store, const char *name, IpcQueueItem **items, guint max, gint64 *next_at, GError **error)
{
  g_autoptr(GPtrArray) taken = NULL;
  g_autoptr(GError) reason = NULL;
  gint64 wait = -1;

  taken = take_all (store, name, max, &wait, &reason);
  if (taken == NULL)
    {
      if (may_have_taken (reason))
        ipc_queue_link_break (IPC_QUEUE_REMOTE_STORE (store)->link);
      g_propagate_error (error, g_steal_pointer (&reason));
      return 0;
    }
  for (guint i = 0; i < taken->len; i++)
    items[i] = ipc_queue_item_ref (taken->pdata[i]);
  *next_at = ipc_queue_wire_to_time (wait);
  return taken->len;
}

static gboolean
ack (IpcQueueStore *store, const char *name, const IpcQueueItem *item, GError **error)
{
  return tell (store, "ack", g_variant_new ("(stt)", name, item->id, item->lease), error);
}

static gboolean
nack (IpcQueueStore *store, const char *name, const IpcQueueItem *item, gint64 delay, gboolean counts, GError **error)
{
  return tell (store, "nack", g_variant_new ("(sttxb)", name, item->id, item->lease, delay, counts), error);
}

static gboolean
reject (IpcQueueStore *store, const char *name, const IpcQueueItem *item, const char *reason, GError **error)
{
  return tell (store, "reject", g_variant_new ("(sttms)", name, item->id, item->lease, reason), error);
}

static gboolean
extend (IpcQueueStore *store, const char *name, const IpcQueueItem *item, gint64 duration, GError **error)
{
  return tell (store, "extend", g_variant_new ("(sttx)", name, item->id, item->lease, duration), error);
}

static GPtrArray *
find (IpcQueueStore *store, const char *request, const char *name, guint max, GError **error)
{
  g_autoptr(GVariant) reply = ask (store, request, g_variant_new ("(su)", name, max), "(" IPC_QUEUE_WIRE_FOUND ")", error);
  g_autoptr(GVariantIter) iter = NULL;

  if (reply == NULL)
    return NULL;
  g_variant_get (reply, "(" IPC_QUEUE_WIRE_FOUND ")", &iter);
  return unpack_all (iter, error);
}

static GPtrArray *
peek (IpcQueueStore *store, const char *name, guint max, GError **error)
{
  return find (store, "peek", name, max, error);
}

static GPtrArray *
list_dead (IpcQueueStore *store, const char *name, guint max, GError **error)
{
  return find (store, "dead", name, max, error);
}

static gint64
ask_number (IpcQueueStore *store, const char *request, GVariant *arguments, GError **error)
{
  g_autoptr(GVariant) reply = ask (store, request, arguments, "(x)", error);
  gint64 n = -1;

  if (reply != NULL)
    g_variant_get (reply, "(x)", &n);
  return n;
}

static gint64
purge (IpcQueueStore *store, const char *name, GError **error)
{
  return ask_number (store, "purge", g_variant_new ("(s)", name), error);
}

static gint64
redrive (IpcQueueStore *store, const char *name, guint64 id, GError **error)
{
  return ask_number (store, "redrive", g_variant_new ("(st)", name, id), error);
}

/* ---- the store ---- */

static gboolean
supports (IpcQueueStore *store, IpcQueueFeature feature)
{
  return feature == IPC_QUEUE_FEATURE_SHARED || (IPC_QUEUE_REMOTE_STORE (store)->features & (1u << feature)) != 0;
}

static void
listen_to (IpcQueueStore *store, IpcQueueListener listener, gpointer data)
{
  IpcQueueRemoteStore *self = IPC_QUEUE_REMOTE_STORE (store);

  g_mutex_lock (&self->lock);
  self->listener = listener;
  self->listener_data = data;
  g_mutex_unlock (&self->lock);
}

/* The other side has its own. */
static void
set_limits (IpcQueueStore *store, const IpcQueueLimits *limits)
{
}

static void
dispatch (IpcQueueStore *store, IpcQueueWork *work)
{
  ipc_queue_link_dispatch (IPC_QUEUE_REMOTE_STORE (store)->link, work);
}

static void
ipc_queue_remote_store_iface_init (IpcQueueStoreInterface *iface)
{
  iface->supports = supports;
  iface->listen = listen_to;
  iface->set_limits = set_limits;
  iface->dispatch = dispatch;
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

static void
ipc_queue_remote_store_finalize (GObject *object)
{
  IpcQueueRemoteStore *self = IPC_QUEUE_REMOTE_STORE (object);

  g_clear_pointer (&self->link, ipc_queue_link_close);
  g_hash_table_unref (self->opened);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (ipc_queue_remote_store_parent_class)->finalize (object);
}

static void
ipc_queue_remote_store_class_init (IpcQueueRemoteStoreClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ipc_queue_remote_store_finalize;
}

static void
ipc_queue_remote_store_init (IpcQueueRemoteStore *self)
{
  g_mutex_init (&self->lock);
  self->opened = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

/* FALSE with VERSION, or UNKNOWN_TYPE where somebody else serves there. */
static gboolean
say_hello (IpcQueueRemoteStore *self, const char *address, IpcQueueLimits *limits, GError **error)
{
  g_autoptr(GVariant) reply = ask (IPC_QUEUE_STORE (self), "hello", g_variant_new ("()"), IPC_QUEUE_WIRE_HELLO, error);
  g_autoptr(GVariantIter) features = NULL;
  guint version, policy, feature;

  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, IPC_QUEUE_WIRE_HELLO, &version, &limits->max_bytes, &limits->message_ttl, &limits->max_messages, &limits->max_retries, &policy,
                 &features);
  if (version != IPC_QUEUE_WIRE_VERSION)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_VERSION, "%s: it serves queues in version %u, known is %u", address, version, IPC_QUEUE_WIRE_VERSION);
      return FALSE;
    }
  limits->overflow_policy = MIN (policy, IPC_OVERFLOW_POLICY_DISCONNECT);
  while (g_variant_iter_next (features, "u", &feature))
    if (feature <= IPC_QUEUE_FEATURE_SUBSCRIBE)
      self->features |= 1u << feature;
  return TRUE;
}

IpcQueueStore *
ipc_queue_remote_store_new (const char *address, IpcQueueLimits *limits, GError **error)
{
  g_autoptr(IpcQueueRemoteStore) self = g_object_new (IPC_TYPE_QUEUE_REMOTE_STORE, NULL);

  self->link = ipc_queue_link_open (address, self, &link_funcs, error);
  if (self->link == NULL || !say_hello (self, address, limits, error))
    return NULL;
  return IPC_QUEUE_STORE (g_steal_pointer (&self));
}
