/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See ipc-waiter-private.h. A wait that is pending is in a queue, the oldest first, and has a timer; both belong to the lock.
 * It leaves them before its task is completed, so that it may be freed by that.
 */
#include "base/ipc-waiter-private.h"

#include "base/ipc-error-private.h"
#include "base/ipc-hub-private.h"
#include "base/ipc-listening-private.h"
#include "core/ipc-bell.h"
#include "core/ipc-fork.h"

#define NS_PER_US 1000
#define MAX_WORDS 32u           /* that one wait watches */

struct _IpcWaiter
{
  GObject parent_instance;

  IpcHubWatch watch;
  GMainContext *context;        /* (owned) */
  IpcPresence *presence;        /* (owned) */
  unsigned generation;
  guint n_users;                /* under the lock `waiters` */
  IpcBell bell;
  guint32 n_deaths;             /* those that it has seen to */
  gint wants_all;               /* (atomic) */

  GMutex lock;
  GQueue pending;               /* (mutex lock) (element-type IpcWait) */
  IpcTimerQueue timers;         /* (mutex lock) */
  GQueue listenings;            /* (mutex lock) (element-type IpcListening) */
};

G_DEFINE_FINAL_TYPE (IpcWaiter, ipc_waiter, G_TYPE_OBJECT)

G_LOCK_DEFINE_STATIC (waiters);
static GPtrArray *waiters;      /* (element-type IpcWaiter) (not owned) under the lock `waiters` */

/* ── One wait ── */

static GTask *
take_out (IpcWait *wait)
{
  IpcWaiter *self = wait->waiter;
  GTask *task;

  g_mutex_lock (&self->lock);
  task = g_steal_pointer (&wait->task);
  g_queue_unlink (&self->pending, &wait->link);
  ipc_timer_queue_set (&self->timers, &wait->timer, 0);
  g_mutex_unlock (&self->lock);
  return task;
}

/* Takes all of them; WAIT may be gone after that. */
static void
return_outcome (GTask *task, const IpcWaitFuncs *funcs, gpointer result, GError *error)
{
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_pointer (task, result, funcs->free_result);
  g_object_unref (task);
}

static void
complete (IpcWait *wait, gpointer result, GError *error)
{
  IpcWaiter *waiter = wait->waiter;
  GTask *task = take_out (wait);

  g_cancellable_disconnect (g_task_get_cancellable (task), wait->cancelled_id);
  return_outcome (task, wait->funcs, result, error);
  ipc_waiter_release (waiter);
}

/* The owners, whose death frees something. FALSE: one has died meanwhile, so that there will be no call. */
static gboolean
watch_owners (IpcWait *wait)
{
  IpcFutexWait words[MAX_WORDS];
  gboolean missed = FALSE;
  guint n = wait->funcs->watch (wait, words, MAX_WORDS, &missed);

  for (guint i = 0; i < n; i++)
    ipc_presence_ring_at (wait->waiter->presence, words[i].word, words[i].expected);
  return !missed;
}

static void
set_timer_locked (IpcWait *wait, gint64 wake_at)
{
  gint64 due = wake_at / NS_PER_US + 1;

  if (wait->deadline != 0)
    due = MIN (due, wait->deadline);
  if (wait->task != NULL)
    ipc_timer_queue_set (&wait->waiter->timers, &wait->timer, due);
}

/* What the hub has is only the next one. */
static void
set_hub_timer (IpcWaiter *self)
{
  IpcTimer *next;
  gint64 due = 0;

  g_mutex_lock (&self->lock);
  next = ipc_timer_queue_peek (&self->timers);
  if (next != NULL)
    due = next->due;
  g_mutex_unlock (&self->lock);
  if (due != 0)
    ipc_hub_attend_at (&self->watch, due);
}

static void
try_later (IpcWait *wait, gint64 wake_at)
{
  if (!watch_owners (wait))
    wake_at = 0;
  g_mutex_lock (&wait->waiter->lock);
  set_timer_locked (wait, wake_at);
  g_mutex_unlock (&wait->waiter->lock);
}

/* TRUE: it is complete, and maybe freed. */
static gboolean
try_wait (IpcWait *wait)
{
  gpointer result = NULL;
  GError *error = NULL;
  gint64 wake_at = 0;

  if (g_atomic_int_get (&wait->is_cancelled))
    {
      g_error_free (wait->funcs->give_up (wait));
      g_set_error_literal (&error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
    }
  else if (!wait->funcs->attempt (wait, &wake_at, &result, &error))
    {
      if (wait->deadline == 0 || g_get_monotonic_time () < wait->deadline)
        {
          try_later (wait, wake_at);
          return FALSE;
        }
      error = wait->funcs->give_up (wait);
    }
  complete (wait, result, error);
  return TRUE;
}

/* ── All that are pending ── */

static gboolean
is_ready (IpcWaiter *self, IpcWait *wait, gint64 now)
{
  return wait->timer.due <= now || g_atomic_int_get (&wait->is_cancelled) || wait->funcs->is_woken (wait);
}

/* The tasks of those that are to be tried, the oldest first; a task keeps its wait. */
static GPtrArray *
find_ready (IpcWaiter *self, gboolean all)
{
  GPtrArray *ready = g_ptr_array_new_with_free_func (g_object_unref);
  gint64 now = g_get_monotonic_time ();

  g_mutex_lock (&self->lock);
  for (GList *link = self->pending.head; link != NULL; link = link->next)
    if (all || is_ready (self, link->data, now))
      g_ptr_array_add (ready, g_object_ref (((IpcWait *) link->data)->task));
  g_mutex_unlock (&self->lock);
  return ready;
}

static gboolean
is_pending (IpcWait *wait)
{
  gboolean pending;

  g_mutex_lock (&wait->waiter->lock);
  pending = wait->task != NULL;
  g_mutex_unlock (&wait->waiter->lock);
  return pending;
}

static void
try_ready (IpcWaiter *self, gboolean all)
{
  g_autoptr (GPtrArray) ready = NULL;

  if (g_atomic_int_compare_and_exchange (&self->wants_all, TRUE, FALSE))
    all = TRUE;
  ready = find_ready (self, all);
  for (guint i = 0; i < ready->len; i++)
    {
      IpcWait *wait = g_task_get_task_data (ready->pdata[i]);

      /* What is called back may have ended others. */
      if (is_pending (wait))
        try_wait (wait);
    }
  set_hub_timer (self);
}

/* ── In the hub ── */

static void
look (IpcWaiter *self)
{
  guint32 n_deaths = ipc_presence_count_deaths (self->presence);
  gboolean all = n_deaths != self->n_deaths;

  self->n_deaths = n_deaths;
  try_ready (self, all);
  ipc_listenings_tell (&self->listenings, &self->lock);
}

static gboolean
on_ring (IpcHubWatch *watch, guint events)
{
  IpcWaiter *self = IPC_WAITER (watch->owner);

  /* Whoever waits does not wait for the silence too. What rang between the two is silent as well, so it looks again. */
  look (self);
  if (self->generation == ipc_fork_generation () && ipc_bell_silence (&self->bell))
    look (self);
  return FALSE;
}

static void
on_attend (IpcHubWatch *watch)
{
  IpcWaiter *self = IPC_WAITER (watch->owner);

  try_ready (self, FALSE);
}

static const IpcHubFuncs hub_funcs = {
  .io = on_ring,
  .attend = on_attend,
};

/* ── Adding ── */

static void
on_cancelled (GCancellable *cancellable, gpointer data)
{
  IpcWait *wait = data;

  g_atomic_int_set (&wait->is_cancelled, TRUE);
  ipc_hub_attend (&wait->waiter->watch);
}

/* From now on it may be completed in its context at any time. */
static void
enqueue (IpcWait *wait, gint64 wake_at)
{
  IpcWaiter *self = wait->waiter;

  if (!watch_owners (wait))
    wake_at = 0;
  g_mutex_lock (&self->lock);
  g_queue_push_tail_link (&self->pending, &wait->link);
  set_timer_locked (wait, wake_at);
  g_mutex_unlock (&self->lock);
}

void
ipc_waiter_add (IpcWaiter *self, IpcWait *wait, const IpcWaitFuncs *funcs, GTask *task, gint64 deadline)
{
  GCancellable *cancellable = g_task_get_cancellable (task);
  gpointer result = NULL;
  GError *error = NULL;
  gint64 wake_at = 0;

  *wait = (IpcWait){ .funcs = funcs, .waiter = self, .deadline = deadline, .link = { .data = wait } };
  if (funcs->attempt (wait, &wake_at, &result, &error))
    {
      return_outcome (task, funcs, result, error);
      return;
    }
  wait->task = task;
  ipc_waiter_keep (self);
  g_object_ref (task);
  if (cancellable != NULL)
    wait->cancelled_id = g_cancellable_connect (cancellable, G_CALLBACK (on_cancelled), wait, NULL);
  enqueue (wait, wake_at);
  set_hub_timer (self);
  /* It was in no queue yet. */
  if (funcs->is_woken (wait) || g_atomic_int_get (&wait->is_cancelled))
    ipc_hub_attend (&self->watch);
  g_object_unref (task);
}

void
ipc_waiter_add_listening (IpcWaiter *self, GList *link)
{
  g_mutex_lock (&self->lock);
  g_queue_push_tail_link (&self->listenings, link);
  g_mutex_unlock (&self->lock);
}

void
ipc_waiter_remove_listening (IpcWaiter *self, GList *link)
{
  g_mutex_lock (&self->lock);
  g_queue_unlink (&self->listenings, link);
  g_mutex_unlock (&self->lock);
}

void
ipc_waiter_try_all (IpcWaiter *self)
{
  g_atomic_int_set (&self->wants_all, TRUE);
  ipc_hub_attend (&self->watch);
}

/* ── The waiter ── */

static gboolean
is_of (IpcWaiter *self, GMainContext *context)
{
  return self->context == context && self->generation == ipc_fork_generation ();
}

guint
ipc_waiter_get_bell (IpcWaiter *self)
{
  return self->bell.number;
}

static gboolean
open_bell (IpcWaiter *self, IpcPresence *presence, GError **error)
{
  IpcFault fault;

  self->presence = ipc_presence_attach (ipc_presence_get_directory (presence), &fault);
  if (self->presence == NULL || !ipc_bell_open (&self->bell, self->presence, &fault))
    {
      ipc_error_set_fault (error, &fault, NULL);
      return FALSE;
    }
  return ipc_hub_add (self->context, &self->watch, self->bell.fd, EPOLLIN, error);
}

static IpcWaiter *
find_locked (GMainContext *context, IpcPresence *presence)
{
  for (guint i = 0; waiters != NULL && i < waiters->len; i++)
    {
      IpcWaiter *waiter = waiters->pdata[i];

      if (is_of (waiter, context) && waiter->presence == presence)
        return waiter;
    }
  return NULL;
}

static IpcWaiter *
new_locked (GMainContext *context, IpcPresence *presence, GError **error)
{
  IpcWaiter *self = g_object_new (IPC_TYPE_WAITER, NULL);

  self->context = g_main_context_ref (context);
  self->generation = ipc_fork_generation ();
  if (!open_bell (self, presence, error))
    {
      g_object_unref (self);
      return NULL;
    }
  if (waiters == NULL)
    waiters = g_ptr_array_new ();
  g_ptr_array_add (waiters, self);
  return self;
}

IpcWaiter *
ipc_waiter_get (GMainContext *context, IpcPresence *presence, GError **error)
{
  IpcWaiter *self;

  G_LOCK (waiters);
  self = find_locked (context, presence);
  if (self == NULL)
    self = new_locked (context, presence, error);
  if (self != NULL)
    self->n_users++;
  G_UNLOCK (waiters);
  return self;
}

IpcWaiter *
ipc_waiter_keep (IpcWaiter *self)
{
  G_LOCK (waiters);
  self->n_users++;
  G_UNLOCK (waiters);
  return self;
}

void
ipc_waiter_release (IpcWaiter *self)
{
  gboolean is_last;

  G_LOCK (waiters);
  is_last = --self->n_users == 0;
  if (is_last)
    g_ptr_array_remove_fast (waiters, self);
  if (waiters->len == 0)
    g_clear_pointer (&waiters, g_ptr_array_unref);
  G_UNLOCK (waiters);
  if (!is_last)
    return;
  ipc_hub_remove (&self->watch);
  g_object_unref (self);
}

static void
ipc_waiter_finalize (GObject *object)
{
  IpcWaiter *self = IPC_WAITER (object);

  ipc_bell_close (&self->bell);
  g_clear_pointer (&self->presence, ipc_presence_detach);
  g_clear_pointer (&self->context, g_main_context_unref);
  ipc_timer_queue_clear (&self->timers);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (ipc_waiter_parent_class)->finalize (object);
}

static void
ipc_waiter_class_init (IpcWaiterClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = ipc_waiter_finalize;
}

static void
ipc_waiter_init (IpcWaiter *self)
{
  self->bell.fd = -1;
  g_mutex_init (&self->lock);
  ipc_timer_queue_init (&self->timers);
  ipc_hub_watch_init (&self->watch, &hub_funcs, G_OBJECT (self));
}
