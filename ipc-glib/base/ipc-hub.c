/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See ipc-hub-private.h for what the hub is.
 *
 * What keeps a turn of the main loop cheap:
 * - The source can recurse. Otherwise GLib takes its descriptor out of the poll
 *   set around each dispatch, and wakes its own context to do so.
 * - Deadlines go through prepare(), not g_source_set_ready_time(), which wakes too.
 * - A sender wakes the loop only if the loop sleeps (or is about to): `sleeping`.
 * - The loop waits in the epoll set itself, where it can: see ipc-hub-poll-private.h.
 *
 * Locks: an owner may hold its own lock when it calls in; the hub calls out
 * without holding its own.
 */
#include "base/ipc-hub-private.h"

#include <errno.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-hub-poll-private.h"
#include "base/ipc-once-private.h"
#include "core/ipc-fork.h"

#define MAX_EVENTS IPC_HUB_MAX_EVENTS
#define DISPATCH_BUDGET_US 2000 /* then other sources of the loop get their turn */
#define CROWDED_BUDGET_US 500   /* then those that have not been looked at get theirs */

typedef struct _Batch Batch;
typedef struct _Running Running;

/* The events of one dispatch; a watch that is removed meanwhile is taken out of it. */
struct _Batch
{
  Batch *outer;
  int n;
  IpcHubWatch *watches[MAX_EVENTS];
  guint events[MAX_EVENTS];
};

/* A watch that is called right now. If that runs the loop itself, what the watch has in store is not to wait for the
 * end of it: there may be no event to come that would tell. */
struct _Running
{
  Running *outer;
  IpcHubWatch *watch;           /* (nullable) NULL once it is removed */
  gboolean resumed;             /* it is, or was, asked to go on in the nested loop */
};

/* What an event names. One that was collected before its watch was removed names a generation that is over. */
typedef struct
{
  IpcHubWatch *watch;           /* (nullable) NULL: free */
  guint32 generation;
  guint32 next_free;
} Slot;

struct _IpcHub
{
  GSource source;
  GMainContext *context;        /* not owned: each watch's owner keeps it */
  gpointer tag;                 /* of the epoll set */
  gboolean is_due;              /* a deadline has passed; only used by whoever runs the context */
  int epoll_fd;
  unsigned generation;
  gint sleeping;                /* (atomic) */
  gint is_crowded;              /* (atomic) the last batch of events was full */
  guint n_ready;                /* (atomic) how many were in it, or have input in store */

  GMutex lock;
  guint n_watches;              /* (mutex lock) */
  GArray *slots;                /* (owned) (mutex lock) (element-type Slot) */
  guint32 free_slot;            /* (mutex lock) NO_SLOT: none */
  guint32 first_name;           /* generation of a new slot: another one than that of the hub before */
  IpcHubSharedFds shared;       /* (mutex lock) what others poll, and the set too */
  GQueue flush;                 /* (mutex lock) (element-type IpcHubWatch) */
  GQueue attend;                /* (mutex lock) (element-type IpcHubWatch) */
  GQueue more;                  /* (mutex lock) (element-type IpcHubWatch) those with input in store */
  IpcTimerQueue timers;         /* (mutex lock) */
  Batch *batch;                 /* (mutex lock) (nullable) innermost */
  Running *running;             /* (mutex lock) (nullable) innermost */
};

#define NO_SLOT G_MAXUINT32

/* A descriptor that another source of a context polls. */
typedef struct
{
  GMainContext *context;
  int fd;
} Shared;

static gint n_hubs;             /* (atomic) ever made */

G_LOCK_DEFINE_STATIC (hubs);
static GHashTable *hubs;        /* GMainContext → IpcHub (owned source); under the lock `hubs` */
static GArray *shared_fds;      /* (element-type Shared); under the lock `hubs` */

/* Which hub a watch belongs to changes under this lock only. */

static void
run_flushes (IpcHub *hub)
{
  guint n;

  /* What another thread queues just now, prepare() sees under the lock. */
  if (g_atomic_pointer_get (&hub->flush.head) == NULL)
    return;
  /* Other threads may queue as fast as this one writes: what comes now has its turn in prepare(). */
  g_mutex_lock (&hub->lock);
  n = hub->flush.length;
  while (n-- > 0 && hub->flush.head != NULL)
    {
      IpcHubWatch *watch = hub->flush.head->data;
      GObject *owner = g_object_ref (watch->owner);

      g_queue_unlink (&hub->flush, &watch->flush_link);
      IPC_WRITE_ONCE (watch->in_flush, FALSE);
      g_mutex_unlock (&hub->lock);
      watch->funcs->flush (watch);
      g_object_unref (owner);
      g_mutex_lock (&hub->lock);
    }
  g_mutex_unlock (&hub->lock);
}

static gboolean
deadline_passed (IpcHub *hub, gint *timeout)
{
  IpcTimer *timer = ipc_timer_queue_peek (&hub->timers);
  gint64 left;

  if (timer == NULL)
    return FALSE;
  left = timer->due - g_get_monotonic_time ();
  if (left <= 0)
    return TRUE;
  if (timeout != NULL)
    *timeout = (gint) MIN ((left + 999) / 1000, G_MAXINT);
  return FALSE;
}

static void
queue_attend_locked (IpcHub *hub, IpcHubWatch *watch)
{
  if (watch->in_attend)
    return;
  watch->in_attend = TRUE;
  g_queue_push_tail_link (&hub->attend, &watch->attend_link);
}

static void
queue_more_locked (IpcHub *hub, IpcHubWatch *watch)
{
  if (watch->in_more)
    return;
  watch->in_more = TRUE;
  g_queue_push_tail_link (&hub->more, &watch->more_link);
}

static void
resume_in_nested_loop_locked (IpcHub *hub)
{
  Running *running = hub->running;

  if (running == NULL || running->resumed || running->watch == NULL)
    return;
  running->resumed = TRUE;
  queue_attend_locked (hub, running->watch);
}

static gboolean
hub_prepare (GSource *source, gint *timeout)
{
  IpcHub *hub = (IpcHub *) source;
  gboolean ready;

  *timeout = -1;
  if (hub->generation != ipc_fork_generation ())
    return FALSE;
  run_flushes (hub);
  g_mutex_lock (&hub->lock);
  resume_in_nested_loop_locked (hub);
  hub->is_due = deadline_passed (hub, timeout);
  ready = hub->attend.head != NULL || hub->more.head != NULL || hub->flush.head != NULL || hub->is_due;
  ipc_hub_poll_prepare (hub->epoll_fd, &hub->shared);
  /* From here on whoever queues something wakes the loop: it is seen under the lock. */
  if (!ready)
    g_atomic_int_set (&hub->sleeping, TRUE);
  g_mutex_unlock (&hub->lock);
  return ready;
}

static void
learn_wakeup (IpcHub *hub)
{
  g_mutex_lock (&hub->lock);
  ipc_hub_poll_learn_wakeup (hub->epoll_fd, &hub->shared);
  g_mutex_unlock (&hub->lock);
}

static gboolean
hub_check (GSource *source)
{
  IpcHub *hub = (IpcHub *) source;
  gboolean ready;

  g_atomic_int_set (&hub->sleeping, FALSE);
  if (ipc_hub_poll_has_learned ())
    learn_wakeup (hub);
  if (g_source_query_unix_fd (source, hub->tag) != 0)
    return TRUE;
  g_mutex_lock (&hub->lock);
  hub->is_due = deadline_passed (hub, NULL);
  ready = hub->attend.head != NULL || hub->more.head != NULL || hub->flush.head != NULL || hub->is_due;
  g_mutex_unlock (&hub->lock);
  return ready;
}

/* Moves what is due to the attend queue. */
static void
collect_due (IpcHub *hub)
{
  IpcTimer *timer;
  gint64 now;

  if (hub->timers.heap->len == 0)
    return;
  now = g_get_monotonic_time ();
  while ((timer = ipc_timer_queue_peek (&hub->timers)) != NULL && timer->due <= now)
    {
      IpcHubWatch *watch = (IpcHubWatch *) timer;

      ipc_timer_queue_set (&hub->timers, timer, 0);
      queue_attend_locked (hub, watch);
    }
}

/* Only what is queued now: what is queued meanwhile has its turn in the next iteration. */
static void
run_attends (IpcHub *hub)
{
  guint n;

  /* prepare() or check() looked under the lock; what came since then is seen next time. */
  if (g_atomic_pointer_get (&hub->attend.head) == NULL && !hub->is_due)
    return;
  g_mutex_lock (&hub->lock);
  collect_due (hub);
  n = hub->attend.length;
  while (n-- > 0 && hub->attend.head != NULL)
    {
      IpcHubWatch *watch = hub->attend.head->data;
      GObject *owner = g_object_ref (watch->owner);
      Running running = { hub->running, watch, FALSE };

      g_queue_unlink (&hub->attend, &watch->attend_link);
      watch->in_attend = FALSE;
      hub->running = &running;
      g_mutex_unlock (&hub->lock);
      watch->funcs->attend (watch);
      g_object_unref (owner);
      g_mutex_lock (&hub->lock);
      hub->running = running.outer;
    }
  g_mutex_unlock (&hub->lock);
}

/* NULL: it has been removed since, or is none of ours. */
static IpcHubWatch *
find_watch_locked (IpcHub *hub, guint64 name)
{
  guint32 index = (guint32) name;
  Slot *slot;

  if (index >= hub->slots->len)
    return NULL;
  slot = &g_array_index (hub->slots, Slot, index);
  return slot->generation == (guint32) (name >> 32) ? slot->watch : NULL;
}

static void
add_events_locked (IpcHub *hub, Batch *batch, const struct epoll_event *events, int n, gboolean waited)
{
  for (int i = 0; i < n; i++)
    {
      guint64 name = events[i].data.u64;
      IpcHubWatch *watch = find_watch_locked (hub, name);

      /* Whoever has input in store has its turn with that. */
      if (watch != NULL && watch->in_more && (events[i].events & ~(guint32) EPOLLIN) == 0)
        continue;
      if (watch != NULL)
        {
          batch->watches[batch->n] = watch;
          batch->events[batch->n++] = events[i].events;
        }
      else if (!waited)
        ipc_hub_shared_fds_forget (&hub->shared, hub->epoll_fd, name);
    }
}

/* Does not block, so it may be done under the lock: a watch cannot go between the two. What is ready may all be
 * watches with input in store; the kernel returns them in turn, so the others are behind them. */
static void
collect_events_locked (IpcHub *hub, Batch *batch)
{
  struct epoll_event own[MAX_EVENTS];
  struct epoll_event *events = own;
  guint tries = hub->more.length / MAX_EVENTS + 1;
  int n;

  batch->n = 0;
  if (ipc_hub_poll_take (hub->epoll_fd, &events, &n))
    add_events_locked (hub, batch, events, n, TRUE);
  else
    n = MAX_EVENTS;
  while (n == MAX_EVENTS && batch->n == 0 && tries-- > 0)
    {
      n = epoll_wait (hub->epoll_fd, own, MAX_EVENTS, 0);
      add_events_locked (hub, batch, own, n, FALSE);
    }
  g_atomic_int_set (&hub->is_crowded, batch->n == MAX_EVENTS);
  IPC_WRITE_ONCE (hub->n_ready, (guint) batch->n + hub->more.length);
  batch->outer = hub->batch;
  hub->batch = batch;
}

/* Calls each watch of the batch once. TRUE: some have more input. */
static gboolean
run_round_locked (IpcHub *hub, Batch *batch)
{
  gboolean more = FALSE;

  for (int i = 0; i < batch->n; i++)
    {
      IpcHubWatch *watch = batch->watches[i];
      Running running = { hub->running, watch, FALSE };
      GObject *owner;
      gboolean again;

      if (watch == NULL)
        continue;
      owner = g_object_ref (watch->owner);
      hub->running = &running;
      g_mutex_unlock (&hub->lock);
      again = watch->funcs->io (watch, batch->events[i]);
      batch->events[i] = 0;
      g_object_unref (owner);
      g_mutex_lock (&hub->lock);
      hub->running = running.outer;
      /* It may have been removed, and its owner gone; then it is not in the batch any more. */
      if (!again)
        batch->watches[i] = NULL;
      more |= batch->watches[i] != NULL;
    }
  return more;
}

/* Calls the watches that have events in turn until none has more input or the time is up. */
static void
run_events (IpcHub *hub)
{
  Batch batch;
  gint64 end = 0;

  g_mutex_lock (&hub->lock);
  collect_events_locked (hub, &batch);
  while (run_round_locked (hub, &batch))
    {
      gint64 now = g_get_monotonic_time ();

      if (end == 0)
        end = now + DISPATCH_BUDGET_US;
      if (now >= end || hub->is_crowded)
        break;
    }
  hub->batch = batch.outer;
  /* What is left goes on in the next iteration, without an event to say so. */
  for (int i = 0; i < batch.n; i++)
    {
      IpcHubWatch *watch = batch.watches[i];

      if (watch != NULL)
        queue_more_locked (hub, watch);
    }
  g_mutex_unlock (&hub->lock);
}

/* Those that had more input than their share, in turn, as long as there is time: however many they are, an event of
 * somebody else does not wait for all of them. */
static void
run_more (IpcHub *hub)
{
  gint64 end;

  if (g_atomic_pointer_get (&hub->more.head) == NULL)
    return;
  end = g_get_monotonic_time () + (hub->is_crowded ? CROWDED_BUDGET_US : DISPATCH_BUDGET_US);
  g_mutex_lock (&hub->lock);
  while (hub->more.head != NULL)
    {
      IpcHubWatch *watch = hub->more.head->data;
      GObject *owner = g_object_ref (watch->owner);
      Running running = { hub->running, watch, FALSE };
      gboolean again;

      g_queue_unlink (&hub->more, &watch->more_link);
      watch->in_more = FALSE;
      hub->running = &running;
      g_mutex_unlock (&hub->lock);
      again = watch->funcs->io (watch, 0);
      g_object_unref (owner);
      g_mutex_lock (&hub->lock);
      hub->running = running.outer;
      if (again && running.watch != NULL)
        queue_more_locked (hub, watch);
      if (g_get_monotonic_time () >= end)
        break;
    }
  g_mutex_unlock (&hub->lock);
}

static gboolean
hub_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  IpcHub *hub = (IpcHub *) source;

  /* In a forked child the descriptors are closed and the parent's business goes on without us. */
  if (hub->generation != ipc_fork_generation ())
    return G_SOURCE_REMOVE;
  run_attends (hub);
  if (g_source_query_unix_fd (source, hub->tag) != 0 && !g_source_is_destroyed (source))
    run_events (hub);
  if (!g_source_is_destroyed (source))
    run_more (hub);
  run_flushes (hub);
  return G_SOURCE_CONTINUE;
}

static void
hub_finalize (GSource *source)
{
  IpcHub *hub = (IpcHub *) source;

  if (hub->epoll_fd >= 0 && hub->generation == ipc_fork_generation ())
    {
      ipc_fork_close (hub->epoll_fd);
    }
  ipc_timer_queue_clear (&hub->timers);
  g_array_unref (hub->slots);
  g_mutex_clear (&hub->lock);
}

static GSourceFuncs hub_funcs = { hub_prepare, hub_check, hub_dispatch, hub_finalize, NULL, NULL };

/* Under the lock `hubs`. */
static void
share_known_fds (IpcHub *hub)
{
  for (guint i = 0; shared_fds != NULL && i < shared_fds->len; i++)
    {
      Shared *shared = &g_array_index (shared_fds, Shared, i);

      if (shared->context == hub->context)
        ipc_hub_shared_fds_add (&hub->shared, hub->epoll_fd, shared->fd);
    }
}

static IpcHub *
hub_new (GMainContext *context, GError **error)
{
  IpcHub *hub;
  int fd = ipc_fork_open (epoll_create1 (EPOLL_CLOEXEC));

  if (fd < 0)
    {
      ipc_error_set_errno (error, errno, "cannot make an epoll descriptor");
      return NULL;
    }
  hub = (IpcHub *) g_source_new (&hub_funcs, sizeof (IpcHub));
  hub->context = context;
  hub->epoll_fd = fd;
  hub->generation = ipc_fork_generation ();
  g_mutex_init (&hub->lock);
  g_queue_init (&hub->flush);
  g_queue_init (&hub->attend);
  g_queue_init (&hub->more);
  ipc_timer_queue_init (&hub->timers);
  hub->slots = g_array_new (FALSE, FALSE, sizeof (Slot));
  hub->free_slot = NO_SLOT;
  hub->first_name = (guint32) g_atomic_int_add (&n_hubs, 1) << 16;
  ipc_hub_shared_fds_init (&hub->shared);
  share_known_fds (hub);
  hub->tag = g_source_add_unix_fd (&hub->source, fd, G_IO_IN);
  g_source_set_static_name (&hub->source, "[ipc-glib] hub");
  g_source_set_can_recurse (&hub->source, TRUE);
  g_source_attach (&hub->source, context);
  ipc_hub_poll_install (context);
  return hub;
}

/* Under the lock `hubs`. */
static IpcHub *
hub_get (GMainContext *context, GError **error)
{
  IpcHub *hub;

  if (hubs == NULL)
    hubs = g_hash_table_new (NULL, NULL);
  hub = g_hash_table_lookup (hubs, context);
  /* A forked child leaves its parent's hub alone. */
  if (hub != NULL && hub->generation == ipc_fork_generation ())
    return hub;
  hub = hub_new (context, error);
  if (hub != NULL)
    g_hash_table_insert (hubs, context, hub);
  return hub;
}

static gboolean
do_nothing (gpointer hub)
{
  return G_SOURCE_REMOVE;
}

/* A thread that runs the context may be about to sleep in the epoll set: the number must not become another file before
 * it has looked. So it closes the set itself, in its next turn. */
static void
let_go (IpcHub *hub)
{
  g_autoptr (GSource) source = NULL;

  if (g_main_context_acquire (hub->context))
    {
      GMainContext *context = g_main_context_ref (hub->context);

      g_source_unref (&hub->source);
      g_main_context_release (context);
      g_main_context_unref (context);
      return;
    }
  source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_static_name (source, "[ipc-glib] hub is gone");
  g_source_set_callback (source, do_nothing, hub, (GDestroyNotify) g_source_unref);
  g_source_attach (source, hub->context);
}

/* Under the lock `hubs`. */
static void
hub_drop (IpcHub *hub)
{
  if (g_hash_table_lookup (hubs, hub->context) == hub)
    g_hash_table_remove (hubs, hub->context);
  ipc_hub_poll_uninstall (hub->context);
  g_source_destroy (&hub->source);
  let_go (hub);
}

static void
wake (IpcHub *hub)
{
  if (g_atomic_int_get (&hub->sleeping))
    g_main_context_wakeup (hub->context);
}

void
ipc_hub_watch_init (IpcHubWatch *watch, const IpcHubFuncs *funcs, GObject *owner)
{
  memset (watch, 0, sizeof *watch);
  watch->funcs = funcs;
  watch->owner = owner;
  watch->fd = -1;
  watch->flush_link.data = watch;
  watch->attend_link.data = watch;
  watch->more_link.data = watch;
}

static guint64
slot_name (IpcHub *hub, guint32 index)
{
  return (guint64) g_array_index (hub->slots, Slot, index).generation << 32 | index;
}

static void
take_slot_locked (IpcHub *hub, IpcHubWatch *watch)
{
  guint32 index = hub->free_slot;
  Slot *slot;

  if (index == NO_SLOT)
    {
      Slot fresh = { NULL, hub->first_name, NO_SLOT };

      index = hub->slots->len;
      g_array_append_val (hub->slots, fresh);
    }
  slot = &g_array_index (hub->slots, Slot, index);
  hub->free_slot = slot->next_free;
  slot->watch = watch;
  watch->slot = index;
}

static void
give_slot_locked (IpcHub *hub, IpcHubWatch *watch)
{
  Slot *slot = &g_array_index (hub->slots, Slot, watch->slot);

  slot->watch = NULL;
  slot->generation++;
  slot->next_free = hub->free_slot;
  hub->free_slot = watch->slot;
}

/* Under the lock `hubs`. */
static gboolean
add_to_set (IpcHub *hub, IpcHubWatch *watch, int fd, guint events, GError **error)
{
  struct epoll_event event = { .events = events };
  gboolean added;

  g_mutex_lock (&hub->lock);
  take_slot_locked (hub, watch);
  event.data.u64 = slot_name (hub, watch->slot);
  added = epoll_ctl (hub->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
  if (!added)
    {
      ipc_error_set_errno (error, errno, "cannot watch descriptor %d", fd);
      give_slot_locked (hub, watch);
    }
  g_mutex_unlock (&hub->lock);
  return added;
}

gboolean
ipc_hub_add (GMainContext *context, IpcHubWatch *watch, int fd, guint events, GError **error)
{
  IpcHub *hub;

  g_assert (watch->hub == NULL);
  if (context == NULL)
    context = g_main_context_default ();

  G_LOCK (hubs);
  hub = hub_get (context, error);
  if (hub == NULL)
    {
      G_UNLOCK (hubs);
      return FALSE;
    }
  if (!add_to_set (hub, watch, fd, events, error))
    {
      if (hub->n_watches == 0)
        hub_drop (hub);
      G_UNLOCK (hubs);
      return FALSE;
    }
  g_mutex_lock (&hub->lock);
  watch->hub = hub;
  watch->fd = fd;
  watch->events = events;
  hub->n_watches++;
  g_mutex_unlock (&hub->lock);
  G_UNLOCK (hubs);
  g_object_ref (watch->owner);
  return TRUE;
}

void
ipc_hub_modify (IpcHubWatch *watch, guint events)
{
  struct epoll_event event = { .events = events };
  IpcHub *hub = watch->hub;

  if (hub == NULL || watch->events == events || hub->generation != ipc_fork_generation ())
    return;
  watch->events = events;
  g_mutex_lock (&hub->lock);
  event.data.u64 = slot_name (hub, watch->slot);
  g_mutex_unlock (&hub->lock);
  epoll_ctl (hub->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

static void
forget (IpcHub *hub, IpcHubWatch *watch)
{
  for (Batch *batch = hub->batch; batch != NULL; batch = batch->outer)
    for (int i = 0; i < batch->n; i++)
      if (batch->watches[i] == watch)
        batch->watches[i] = NULL;
  for (Running *running = hub->running; running != NULL; running = running->outer)
    if (running->watch == watch)
      running->watch = NULL;
  if (watch->in_flush)
    g_queue_unlink (&hub->flush, &watch->flush_link);
  if (watch->in_attend)
    g_queue_unlink (&hub->attend, &watch->attend_link);
  if (watch->in_more)
    g_queue_unlink (&hub->more, &watch->more_link);
  IPC_WRITE_ONCE (watch->in_flush, FALSE);
  watch->in_attend = watch->in_more = FALSE;
  ipc_timer_queue_set (&hub->timers, &watch->timer, 0);
  give_slot_locked (hub, watch);
  g_atomic_pointer_set (&watch->hub, NULL);
}

void
ipc_hub_remove (IpcHubWatch *watch)
{
  IpcHub *hub;

  G_LOCK (hubs);
  hub = watch->hub;
  if (hub == NULL)
    {
      G_UNLOCK (hubs);
      return;
    }
  g_mutex_lock (&hub->lock);
  if (hub->generation == ipc_fork_generation ())
    epoll_ctl (hub->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  forget (hub, watch);
  hub->n_watches--;
  g_mutex_unlock (&hub->lock);
  if (hub->n_watches == 0)
    hub_drop (hub);
  G_UNLOCK (hubs);
  g_object_unref (watch->owner);
}

void
ipc_hub_queue_flush (IpcHubWatch *watch)
{
  IpcHub *hub = watch->hub;

  if (hub == NULL)
    return;
  g_mutex_lock (&hub->lock);
  if (watch->hub == hub && !watch->in_flush)
    {
      IPC_WRITE_ONCE (watch->in_flush, TRUE);
      g_queue_push_tail_link (&hub->flush, &watch->flush_link);
      wake (hub);
    }
  g_mutex_unlock (&hub->lock);
}

void
ipc_hub_attend (IpcHubWatch *watch)
{
  IpcHub *hub = watch->hub;

  if (hub == NULL)
    return;
  g_mutex_lock (&hub->lock);
  if (watch->hub == hub && !watch->in_attend)
    {
      watch->in_attend = TRUE;
      g_queue_push_tail_link (&hub->attend, &watch->attend_link);
      wake (hub);
    }
  g_mutex_unlock (&hub->lock);
}

void
ipc_hub_go_on (IpcHubWatch *watch)
{
  IpcHub *hub = watch->hub;

  if (hub == NULL)
    return;
  g_mutex_lock (&hub->lock);
  if (watch->hub == hub && !watch->in_more)
    {
      queue_more_locked (hub, watch);
      wake (hub);
    }
  g_mutex_unlock (&hub->lock);
}

guint
ipc_hub_count_ready (IpcHubWatch *watch)
{
  IpcHub *hub = g_atomic_pointer_get (&watch->hub);

  return hub != NULL ? IPC_READ_ONCE (hub->n_ready) : 0;
}

gboolean
ipc_hub_is_crowded (IpcHubWatch *watch)
{
  IpcHub *hub = g_atomic_pointer_get (&watch->hub);

  return hub != NULL && g_atomic_int_get (&hub->is_crowded);
}

void
ipc_hub_attend_at (IpcHubWatch *watch, gint64 due)
{
  IpcHub *hub = watch->hub;

  if (hub == NULL)
    return;
  g_mutex_lock (&hub->lock);
  if (watch->hub == hub && (watch->timer.slot == 0 || due < watch->timer.due))
    {
      ipc_timer_queue_set (&hub->timers, &watch->timer, due);
      wake (hub);
    }
  g_mutex_unlock (&hub->lock);
}

void
ipc_hub_share_fd (GMainContext *context, int fd)
{
  Shared shared = { context, fd };
  IpcHub *hub;

  G_LOCK (hubs);
  if (shared_fds == NULL)
    shared_fds = g_array_new (FALSE, FALSE, sizeof (Shared));
  g_array_append_val (shared_fds, shared);
  hub = hubs != NULL ? g_hash_table_lookup (hubs, context) : NULL;
  if (hub != NULL && hub->generation == ipc_fork_generation ())
    {
      g_mutex_lock (&hub->lock);
      ipc_hub_shared_fds_add (&hub->shared, hub->epoll_fd, fd);
      g_mutex_unlock (&hub->lock);
    }
  G_UNLOCK (hubs);
}

void
ipc_hub_unshare_fd (GMainContext *context, int fd)
{
  IpcHub *hub;

  G_LOCK (hubs);
  for (guint i = 0; shared_fds != NULL && i < shared_fds->len; i++)
    if (g_array_index (shared_fds, Shared, i).context == context && g_array_index (shared_fds, Shared, i).fd == fd)
      {
        g_array_remove_index_fast (shared_fds, i);
        break;
      }
  hub = hubs != NULL ? g_hash_table_lookup (hubs, context) : NULL;
  if (hub != NULL && hub->generation == ipc_fork_generation ())
    {
      g_mutex_lock (&hub->lock);
      ipc_hub_shared_fds_remove (&hub->shared, hub->epoll_fd, fd);
      g_mutex_unlock (&hub->lock);
    }
  G_UNLOCK (hubs);
}
