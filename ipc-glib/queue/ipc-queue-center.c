/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-center-private.h"

#include "core/ipc-fork.h"
#include "queue/ipc-message-queue-private.h"
#include "queue/ipc-queue-call-private.h"

#define ECHO_US (5 * G_USEC_PER_SEC)    /* for a store to tell of what was done here, if it has not yet */
#define MAX_NOTES 65536u        /* live copies are given at most once, and not kept without a bound */

G_DEFINE_FINAL_TYPE (IpcQueueCenter, ipc_queue_center, G_TYPE_OBJECT)

typedef struct
{
  IpcQueueEvent event;
  char *queue;                  /* (owned) */
  IpcQueueItem *item;           /* (owned) (nullable) */
  GWeakRef gone;                /* an IpcMessageQueue that was deleted, where it is about that one */
} Note;

static void
note_free (gpointer data)
{
  Note *note = data;

  g_free (note->queue);
  g_clear_pointer (&note->item, ipc_queue_item_unref);
  g_weak_ref_clear (&note->gone);
  g_slice_free (Note, note);
}

/* ---- what the store tells ---- */

static void
add_note_locked (IpcQueueCenter *self, IpcQueueEvent event, const char *queue, IpcQueueItem *item, IpcMessageQueue *gone)
{
  Note *note = g_slice_new0 (Note);

  g_weak_ref_init (&note->gone, gone);
  note->event = event;
  note->queue = g_strdup (queue);
  note->item = item != NULL ? ipc_queue_item_ref (item) : NULL;
  g_queue_push_tail (&self->notes, note);
  if (self->notes.length > MAX_NOTES)
    note_free (g_queue_pop_head (&self->notes));
}

static gboolean
is_about_availability (IpcQueueEvent event)
{
  return event == IPC_QUEUE_EVENT_AVAILABLE || event == IPC_QUEUE_EVENT_PUBLISHED;
}

static void
tell_sleepers_locked (IpcQueueCenter *self)
{
  self->sequence++;
  if (self->n_sleepers > 0)
    g_cond_broadcast (&self->cond);
}

static void
note_event (IpcQueueCenter *self, IpcQueueEvent event, const char *queue, IpcQueueItem *item)
{
  gboolean wake = !is_about_availability (event) || g_atomic_int_get (&self->n_interested) > 0 || g_atomic_int_get (&self->is_watched);

  g_mutex_lock (&self->lock);
  tell_sleepers_locked (self);
  if (event == IPC_QUEUE_EVENT_PUBLISHED ? g_atomic_int_get (&self->n_subscribed) > 0 : event != IPC_QUEUE_EVENT_AVAILABLE)
    {
      add_note_locked (self, event, queue, item, NULL);
      wake = TRUE;
    }
  if (wake && is_about_availability (event) && !g_hash_table_contains (self->available, queue))
    g_hash_table_add (self->available, g_strdup (queue));
  g_mutex_unlock (&self->lock);
  if (wake)
    ipc_queue_center_wake (self);
}

static void
listener (gpointer data, IpcQueueEvent event, const char *queue, IpcQueueItem *item)
{
  if (event == IPC_QUEUE_EVENT_DONE)
    ipc_queue_center_wake (data);
  else
    note_event (data, event, queue, item);
}

void
ipc_queue_center_note_available (IpcQueueCenter *self, const char *queue)
{
  g_mutex_lock (&self->lock);
  if (!g_hash_table_contains (self->available, queue))
    g_hash_table_add (self->available, g_strdup (queue));
  g_mutex_unlock (&self->lock);
  ipc_queue_center_wake (self);
}

static gboolean
has_note_locked (IpcQueueCenter *self, IpcQueueEvent event, const char *name)
{
  for (GList *link = self->notes.head; link != NULL; link = link->next)
    {
      const Note *note = link->data;

      if (note->event == event && g_strcmp0 (note->queue, name) == 0)
        return TRUE;
    }
  return FALSE;
}

static gboolean
is_over (gpointer name, gpointer until, gpointer now)
{
  return *(gint64 *) until <= *(gint64 *) now;
}

/* Those that were told before this was said never come. */
void
ipc_queue_center_expect_echo (IpcQueueCenter *self, const char *name)
{
  gint64 now = g_get_monotonic_time (), until = now + ECHO_US;

  g_mutex_lock (&self->lock);
  g_hash_table_foreach_remove (self->echoes, is_over, &now);
  g_hash_table_insert (self->echoes, g_strdup (name), g_memdup2 (&until, sizeof until));
  g_mutex_unlock (&self->lock);
}

void
ipc_queue_center_note_gone (IpcQueueCenter *self, IpcMessageQueue *queue)
{
  g_mutex_lock (&self->lock);
  add_note_locked (self, IPC_QUEUE_EVENT_DELETED, queue->name, NULL, queue);
  g_mutex_unlock (&self->lock);
  ipc_queue_center_wake (self);
}

/* ---- what nobody has settled ---- */

typedef struct
{
  IpcQueueWork work;
  IpcQueueCenter *center;       /* (owned) */
  char *queue;                  /* (owned) */
  IpcQueueItem *item;           /* (owned) */
  gboolean counts;
} GiveBack;

static gboolean
give_back_run (IpcQueueWork *work, GError **error)
{
  GiveBack *self = (GiveBack *) work;

  return IPC_QUEUE_STORE_GET_IFACE (self->center->store)->nack (self->center->store, self->queue, self->item, 0, self->counts, error);
}

/* If it did not work, its lease will end. */
static void
give_back_done (IpcQueueWork *work, GError *error)
{
  GiveBack *self = (GiveBack *) work;

  g_clear_error (&error);
  g_free (self->queue);
  ipc_queue_item_unref (self->item);
  g_object_unref (self->center);
  g_free (self);
}

void
ipc_queue_center_give_back (IpcQueueCenter *self, const char *queue, IpcQueueItem *item, gboolean counts)
{
  GiveBack *work = g_new (GiveBack, 1);

  *work = (GiveBack){
    .work = { give_back_run, give_back_done },
    .center = g_object_ref (self),
    .queue = g_strdup (queue),
    .item = ipc_queue_item_ref (item),
    .counts = counts,
  };
  ipc_queue_store_dispatch (self->store, &work->work);
}

/* ---- what is done ---- */

void
ipc_queue_center_complete (IpcQueueCenter *self, IpcQueueCall *call)
{
  gboolean wake;

  g_mutex_lock (&self->lock);
  wake = self->completed.length == 0 && !call->work.is_gathered;
  call->work.link = (GList){ .data = call };
  g_queue_push_tail_link (&self->completed, &call->work.link);
  g_mutex_unlock (&self->lock);
  if (wake)
    ipc_queue_center_wake (self);
}

static void
take_completed (IpcQueueCenter *self)
{
  GQueue *completed = &self->completed;

  g_mutex_lock (&self->lock);
  while (completed->length > 0)
    g_queue_push_tail_link (&self->telling, g_queue_pop_head_link (completed));
  g_mutex_unlock (&self->lock);
}

/* A callback may run the context, and wait there for the next one. */
static void
tell_completed (IpcQueueCenter *self)
{
  GList *link;

  take_completed (self);
  while ((link = g_queue_pop_head_link (&self->telling)) != NULL)
    {
      if (self->telling.length > 0)
        ipc_queue_center_wake (self);
      ipc_queue_call_tell (link->data);
    }
}

/* ---- threads that wait ---- */

guint64
ipc_queue_center_get_sequence (IpcQueueCenter *self)
{
  guint64 sequence;

  g_mutex_lock (&self->lock);
  sequence = self->sequence;
  g_mutex_unlock (&self->lock);
  return sequence;
}

void
ipc_queue_center_wait (IpcQueueCenter *self, guint64 sequence, gint64 until)
{
  g_mutex_lock (&self->lock);
  self->n_sleepers++;
  while (self->sequence == sequence)
    if (until == 0)
      g_cond_wait (&self->cond, &self->lock);
    else if (!g_cond_wait_until (&self->cond, &self->lock, until))
      break;
  self->n_sleepers--;
  g_mutex_unlock (&self->lock);
}

void
ipc_queue_center_rouse (IpcQueueCenter *self)
{
  g_mutex_lock (&self->lock);
  tell_sleepers_locked (self);
  g_mutex_unlock (&self->lock);
}

/* ---- the source ---- */

void
ipc_queue_center_wake (IpcQueueCenter *self)
{
  g_source_set_ready_time (self->source, 0);
}

/* It is the echo of what was deleted here. */
static gboolean
take_echo_locked (IpcQueueCenter *self, const char *name)
{
  gint64 *until = g_hash_table_lookup (self->echoes, name);
  gboolean is_echo = until != NULL && g_get_monotonic_time () < *until;

  if (until != NULL)
    g_hash_table_remove (self->echoes, name);
  return is_echo;
}

/* That it was deleted is told by name, and another one may have been made since. The store is not asked: it may make its callers wait. */
static gboolean
is_about (IpcQueueCenter *self, IpcMessageQueue *queue, const char *name, IpcQueueEvent event)
{
  gboolean is_other;

  if (event != IPC_QUEUE_EVENT_DELETED)
    return queue != NULL;
  g_mutex_lock (&self->lock);
  is_other = take_echo_locked (self, name) || has_note_locked (self, IPC_QUEUE_EVENT_CREATED, name);
  g_mutex_unlock (&self->lock);
  return queue != NULL && (!is_other || g_atomic_int_get (&queue->is_deleted));
}

static void
tell (IpcQueueCenter *self, IpcQueueEvent event, const char *name, IpcQueueItem *item)
{
  g_autoptr(IpcMessageQueue) queue = ipc_handed_out_get (self->queues, name);

  if (self->manager != NULL && (event == IPC_QUEUE_EVENT_CREATED || event == IPC_QUEUE_EVENT_DELETED))
    self->func (self->manager, event, name);
  if (self->observer != NULL)
    self->observer (self->observer_data, event, name, item);
  if (is_about (self, queue, name, event))
    ipc_message_queue_handle (queue, event, item);
}

static void
tell_note (IpcQueueCenter *self, const Note *note)
{
  g_autoptr(IpcMessageQueue) gone = g_weak_ref_get ((GWeakRef *) &note->gone);

  if (gone != NULL)
    ipc_message_queue_handle (gone, note->event, NULL);
  else
    tell (self, note->event, note->queue, note->item);
}

static void
tell_available (IpcQueueCenter *self, GHashTable *available)
{
  GHashTableIter iter;
  gpointer queue;

  g_hash_table_iter_init (&iter, available);
  while (g_hash_table_iter_next (&iter, &queue, NULL))
    tell (self, IPC_QUEUE_EVENT_AVAILABLE, queue, NULL);
}

/* When something is due. */
static gint64
serve_all (IpcQueueCenter *self)
{
  g_autoptr(GPtrArray) queues = ipc_handed_out_snapshot (self->queues);
  gint64 next = 0;

  for (guint i = 0; i < queues->len; i++)
    {
      gint64 due = ipc_message_queue_serve (queues->pdata[i]);

      if (due != 0)
        next = next == 0 ? due : MIN (next, due);
    }
  return next;
}

/* The same about notes. */
static Note *
pop_note (IpcQueueCenter *self)
{
  Note *note;

  g_mutex_lock (&self->lock);
  note = g_queue_pop_head (&self->notes);
  if (self->notes.length > 0)
    ipc_queue_center_wake (self);
  g_mutex_unlock (&self->lock);
  return note;
}

/* (transfer full) (nullable) */
static GHashTable *
take_available (IpcQueueCenter *self)
{
  GHashTable *available = NULL;

  g_mutex_lock (&self->lock);
  if (g_hash_table_size (self->available) > 0)
    {
      available = self->available;
      self->available = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    }
  g_mutex_unlock (&self->lock);
  return available;
}

static void
handle_notes (IpcQueueCenter *self)
{
  g_autoptr(GHashTable) available = NULL;
  Note *note;

  while ((note = pop_note (self)) != NULL)
    {
      tell_note (self, note);
      note_free (note);
    }
  available = take_available (self);
  if (available != NULL)
    tell_available (self, available);
}

typedef struct
{
  GSource parent;
  GWeakRef center;
} Source;

/* Anything may have happened when it returns. */
static gboolean
dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  g_autoptr(IpcQueueCenter) self = g_weak_ref_get (&((Source *) source)->center);
  gint64 next;

  g_source_set_ready_time (source, -1);
  if (self == NULL || self->generation != ipc_fork_generation ())
    return G_SOURCE_CONTINUE;
  tell_completed (self);
  handle_notes (self);
  next = serve_all (self);
  /* Unless it was woken meanwhile. */
  if (next != 0 && g_source_get_ready_time (source) == -1 && !g_source_is_destroyed (source))
    g_source_set_ready_time (source, next);
  return G_SOURCE_CONTINUE;
}

static void
finalize_source (GSource *source)
{
  g_weak_ref_clear (&((Source *) source)->center);
}

static GSourceFuncs source_funcs = {
  .dispatch = dispatch,
  .finalize = finalize_source,
};

IpcQueueCenter *
ipc_queue_center_new (IpcQueueStore *store, GMainContext *context, gpointer manager, IpcQueueCenterFunc func)
{
  IpcQueueCenter *self = g_object_new (IPC_TYPE_QUEUE_CENTER, NULL);

  self->store = store;
  self->context = g_main_context_ref (context);
  self->manager = manager;
  self->func = func;
  self->source = g_source_new (&source_funcs, sizeof (Source));
  g_weak_ref_init (&((Source *) self->source)->center, self);
  g_source_set_static_name (self->source, "ipc-queue");
  g_source_set_can_recurse (self->source, TRUE);
  g_source_attach (self->source, context);
  IPC_QUEUE_STORE_GET_IFACE (store)->listen (store, listener, self);
  return self;
}

void
ipc_queue_center_forget (IpcQueueCenter *self)
{
  self->manager = NULL;
}

static void
ipc_queue_center_finalize (GObject *object)
{
  IpcQueueCenter *self = IPC_QUEUE_CENTER (object);

  IPC_QUEUE_STORE_GET_IFACE (self->store)->listen (self->store, NULL, NULL);
  g_source_destroy (self->source);
  g_source_unref (self->source);
  ipc_handed_out_free (self->queues);
  g_object_unref (self->store);
  g_main_context_unref (self->context);
  g_queue_clear_full (&self->notes, note_free);
  g_hash_table_unref (self->available);
  g_hash_table_unref (self->echoes);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->cond);
  G_OBJECT_CLASS (ipc_queue_center_parent_class)->finalize (object);
}

static void
ipc_queue_center_class_init (IpcQueueCenterClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ipc_queue_center_finalize;
}

static void
ipc_queue_center_init (IpcQueueCenter *self)
{
  g_mutex_init (&self->lock);
  g_cond_init (&self->cond);
  self->available = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->echoes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->queues = ipc_handed_out_new ();
  self->generation = ipc_fork_generation ();
}
