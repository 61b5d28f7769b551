/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See ipc-hub-private.h for what the hub is.
 *
 * What keeps a turn of the main loop cheap:
 * - The source can recurse. Otherwise GLib takes its descriptor out of the poll
 *   set around each dispatch, and wakes its own context to do so.
 * - Deadlines go through prepare(), not g_source_set_ready_time(), which wakes too.
 * - A sender wakes the loop only if the loop sleeps (or is about to): `sleeping`.
 * - With a single watch, its own descriptor is polled instead of the epoll set's, and
 *   epoll_wait() is spared. From the second one on, or when writing blocks, it is the epoll set.
 *
 * Locks: an owner may hold its own lock when it calls in; the hub calls out
 * without holding its own.
 */
#include "base/ipc-hub-private.h"

#include <errno.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"

#define MAX_EVENTS 64
#define DISPATCH_BUDGET_US 2000 /* then other sources of the loop get their turn */

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

struct _IpcHub
{
  GSource source;
  GMainContext *context;        /* not owned: each watch's owner keeps it */
  gpointer tag;                 /* what GLib polls; only used by whoever runs the context */
  gboolean is_due;              /* a deadline has passed; only used by whoever runs the context */
  gboolean polls_watch;         /* the tag is of the only watch, not of the epoll set */
  gint wants_epoll;             /* (atomic) it has to be of the epoll set */
  int epoll_fd;
  unsigned generation;
  gint sleeping;                /* (atomic) */

  GMutex lock;
  guint n_watches;              /* (mutex lock) */
  IpcHubWatch *only;            /* (mutex lock) (nullable) the watch, if there was just one since it came */
  GQueue flush;                 /* (mutex lock) (element-type IpcHubWatch) */
  GQueue attend;                /* (mutex lock) (element-type IpcHubWatch) */
  IpcTimerQueue timers;         /* (mutex lock) */
  Batch *batch;                 /* (mutex lock) (nullable) innermost */
  Running *running;             /* (mutex lock) (nullable) innermost */
};

G_LOCK_DEFINE_STATIC (hubs);
static GHashTable *hubs;        /* GMainContext → IpcHub (owned source); under the lock `hubs` */

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
      watch->in_flush = FALSE;
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
resume_in_nested_loop_locked (IpcHub *hub)
{
  Running *running = hub->running;

  if (running == NULL || running->resumed || running->watch == NULL)
    return;
  running->resumed = TRUE;
  queue_attend_locked (hub, running->watch);
}

static void
poll_epoll_set (IpcHub *hub)
{
  g_source_remove_unix_fd (&hub->source, hub->tag);
  hub->tag = g_source_add_unix_fd (&hub->source, hub->epoll_fd, G_IO_IN);
  hub->polls_watch = FALSE;
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
  if (hub->polls_watch && g_atomic_int_get (&hub->wants_epoll))
    poll_epoll_set (hub);
  g_mutex_lock (&hub->lock);
  resume_in_nested_loop_locked (hub);
  hub->is_due = deadline_passed (hub, timeout);
  ready = hub->attend.head != NULL || hub->flush.head != NULL || hub->is_due;
  /* From here on whoever queues something wakes the loop: it is seen under the lock. */
  if (!ready)
    g_atomic_int_set (&hub->sleeping, TRUE);
  g_mutex_unlock (&hub->lock);
  return ready;
}

static gboolean
hub_check (GSource *source)
{
  IpcHub *hub = (IpcHub *) source;
  gboolean ready;

  g_atomic_int_set (&hub->sleeping, FALSE);
  if (g_source_query_unix_fd (source, hub->tag) != 0)
    return TRUE;
  g_mutex_lock (&hub->lock);
  hub->is_due = deadline_passed (hub, NULL);
  ready = hub->attend.head != NULL || hub->flush.head != NULL || hub->is_due;
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

static void
collect_events (IpcHub *hub, Batch *batch)
{
  struct epoll_event events[MAX_EVENTS];
  int n;

  g_mutex_lock (&hub->lock);
  if (hub->n_watches == 1 && hub->only != NULL && hub->only->events != 0)
    {
      /* Whether it can be read or written, trying tells. */
      batch->watches[0] = hub->only;
      batch->events[0] = hub->only->events;
      batch->n = 1;
    }
  else
    {
      /* Does not block, so it may be done under the lock: a watch cannot go between the two. */
      n = epoll_wait (hub->epoll_fd, events, MAX_EVENTS, 0);
      for (int i = 0; i < n; i++)
        {
          batch->watches[i] = events[i].data.ptr;
          batch->events[i] = events[i].events;
        }
      batch->n = MAX (n, 0);
    }
  batch->outer = hub->batch;
  hub->batch = batch;
  g_mutex_unlock (&hub->lock);
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

/* Calls the watches of the batch in turn until none has more input or the time is up. */
static void
run_batch (IpcHub *hub, Batch *batch)
{
  gint64 end = 0;

  g_mutex_lock (&hub->lock);
  while (run_round_locked (hub, batch))
    {
      gint64 now = g_get_monotonic_time ();

      if (end == 0)
        end = now + DISPATCH_BUDGET_US;
      if (now >= end)
        break;
    }
  hub->batch = batch->outer;
  /* What is left goes on in the next iteration, without an event to say so. */
  for (int i = 0; i < batch->n; i++)
    {
      IpcHubWatch *watch = batch->watches[i];

      if (watch != NULL)
        queue_attend_locked (hub, watch);
    }
  g_mutex_unlock (&hub->lock);
}

static gboolean
hub_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  IpcHub *hub = (IpcHub *) source;
  Batch batch;

  /* In a forked child the descriptors are closed and the parent's business goes on without us. */
  if (hub->generation != ipc_fork_generation ())
    return G_SOURCE_REMOVE;
  run_attends (hub);
  if (g_source_query_unix_fd (source, hub->tag) != 0 && !g_source_is_destroyed (source))
    {
      collect_events (hub, &batch);
      run_batch (hub, &batch);
    }
  run_flushes (hub);
  return G_SOURCE_CONTINUE;
}

static void
hub_finalize (GSource *source)
{
  IpcHub *hub = (IpcHub *) source;

  if (hub->epoll_fd >= 0 && hub->generation == ipc_fork_generation ())
    {
      ipc_fork_unguard_fd (hub->epoll_fd);
      close (hub->epoll_fd);
    }
  ipc_timer_queue_clear (&hub->timers);
  g_mutex_clear (&hub->lock);
}

static GSourceFuncs hub_funcs = { hub_prepare, hub_check, hub_dispatch, hub_finalize, NULL, NULL };

static IpcHub *
hub_new (GMainContext *context, int watch_fd, guint events, GError **error)
{
  IpcHub *hub;
  int fd = epoll_create1 (EPOLL_CLOEXEC);

  if (fd < 0)
    {
      ipc_error_set_errno (error, errno, "cannot make an epoll descriptor");
      return NULL;
    }
  hub = (IpcHub *) g_source_new (&hub_funcs, sizeof (IpcHub));
  hub->context = context;
  hub->epoll_fd = fd;
  hub->generation = ipc_fork_generation ();
  ipc_fork_guard_fd (fd);
  g_mutex_init (&hub->lock);
  g_queue_init (&hub->flush);
  g_queue_init (&hub->attend);
  ipc_timer_queue_init (&hub->timers);
  hub->polls_watch = events == EPOLLIN;
  hub->tag = g_source_add_unix_fd (&hub->source, hub->polls_watch ? watch_fd : fd, G_IO_IN);
  g_source_set_static_name (&hub->source, "[ipc-glib] hub");
  g_source_set_can_recurse (&hub->source, TRUE);
  g_source_attach (&hub->source, context);
  return hub;
}

/* Under the lock `hubs`. */
static IpcHub *
hub_get (GMainContext *context, int watch_fd, guint events, GError **error)
{
  IpcHub *hub;

  if (hubs == NULL)
    hubs = g_hash_table_new (NULL, NULL);
  hub = g_hash_table_lookup (hubs, context);
  /* A forked child leaves its parent's hub alone. */
  if (hub != NULL && hub->generation == ipc_fork_generation ())
    return hub;
  hub = hub_new (context, watch_fd, events, error);
  if (hub != NULL)
    g_hash_table_insert (hubs, context, hub);
  return hub;
}

/* Under the lock `hubs`. */
static void
hub_drop (IpcHub *hub)
{
  if (g_hash_table_lookup (hubs, hub->context) == hub)
    g_hash_table_remove (hubs, hub->context);
  g_source_destroy (&hub->source);
  g_source_unref (&hub->source);
}

static void
wake (IpcHub *hub)
{
  if (g_atomic_int_get (&hub->sleeping))
    g_main_context_wakeup (hub->context);
}

/* prepare() sees to it. Until then what GLib polls may be out of date, or gone; that only costs a turn of the loop. */
static void
want_epoll (IpcHub *hub)
{
  if (g_atomic_int_get (&hub->wants_epoll))
    return;
  g_atomic_int_set (&hub->wants_epoll, TRUE);
  wake (hub);
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
}

gboolean
ipc_hub_add (GMainContext *context, IpcHubWatch *watch, int fd, guint events, GError **error)
{
  struct epoll_event event = { .events = events, .data.ptr = watch };
  IpcHub *hub;

  g_assert (watch->hub == NULL);
  if (context == NULL)
    context = g_main_context_default ();

  G_LOCK (hubs);
  hub = hub_get (context, fd, events, error);
  if (hub == NULL)
    {
      G_UNLOCK (hubs);
      return FALSE;
    }
  if (epoll_ctl (hub->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
    {
      ipc_error_set_errno (error, errno, "cannot watch descriptor %d", fd);
      if (hub->n_watches == 0)
        hub_drop (hub);
      G_UNLOCK (hubs);
      return FALSE;
    }
  g_mutex_lock (&hub->lock);
  watch->hub = hub;
  watch->fd = fd;
  watch->events = events;
  hub->only = hub->n_watches == 0 ? watch : NULL;
  if (hub->n_watches++ > 0)
    want_epoll (hub);
  g_mutex_unlock (&hub->lock);
  G_UNLOCK (hubs);
  g_object_ref (watch->owner);
  return TRUE;
}

void
ipc_hub_modify (IpcHubWatch *watch, guint events)
{
  struct epoll_event event = { .events = events, .data.ptr = watch };
  IpcHub *hub = watch->hub;

  if (hub == NULL || watch->events == events || hub->generation != ipc_fork_generation ())
    return;
  watch->events = events;
  want_epoll (hub);
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
  watch->in_flush = watch->in_attend = FALSE;
  ipc_timer_queue_set (&hub->timers, &watch->timer, 0);
  if (hub->only == watch)
    hub->only = NULL;
  watch->hub = NULL;
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
      watch->in_flush = TRUE;
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
