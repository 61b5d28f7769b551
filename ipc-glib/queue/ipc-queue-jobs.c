/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-jobs-private.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "ipc-error.h"

#define MAX_BATCH 1024          /* so that nobody waits for ever for the end of one */

struct _IpcQueueJobs
{
  const IpcQueueJobsFuncs *funcs;
  gpointer owner;
  unsigned generation;          /* of forks */

  GMutex lock;
  GCond changed;                /* a batch is done, or the thread is to look */
  guint n_waiting;              /* (mutex lock) for that */
  GQueue pending;               /* (mutex lock) of IpcQueueWork.link */
  GThread *leader;              /* (nullable) (atomic) who does a batch */
  gboolean is_in_transaction;   /* the leader is; only it looks */
  GThread *thread;              /* (owned) (nullable) (mutex lock) */
  gboolean is_asleep;           /* (mutex lock) the thread is, and has to be woken */
  gboolean quits;               /* (mutex lock) */
  gboolean is_orphan;           /* of the thread: it frees this when it ends */
  int wake_fd;                  /* fork-guarded */
  int watched_fd;               /* (mutex lock) -1: none */
};

/* ---- a batch ---- */

static void
move_all (GQueue *from, GQueue *to)
{
  while (from->length > 0)
    g_queue_push_tail_link (to, g_queue_pop_head_link (from));
}

/* What could not be done anyway keeps its own reason. */
static void
fail (IpcQueueWork *work, const GError *error)
{
  if (work->error == NULL)
    work->error = g_error_copy (error);
}

/* How many of those from FIRST on are done. */
static guint
do_next (IpcQueueJobs *self, GList *first, GError **error)
{
  IpcQueueWork *work = first->data;
  guint n = self->funcs->do_several (self->owner, first, error);

  if (n > 0 || !self->funcs->is_sound (self->owner))
    return n;
  work->run (work, &work->error);
  if (!self->funcs->is_sound (self->owner) && work->error != NULL)
    g_propagate_error (error, g_error_copy (work->error));
  return 1;
}

/* FALSE: nothing of it is there, and why. */
static gboolean
do_all (IpcQueueJobs *self, GQueue *batch, GError **error)
{
  GError *reason = NULL;
  GList *link = batch->head;

  while (link != NULL)
    {
      guint n = do_next (self, link, &reason);

      if (!self->funcs->is_sound (self->owner))
        {
          if (reason == NULL)
            g_set_error (&reason, IPC_ERROR, IPC_ERROR_FAILED, "the store of the queues did not say what is wrong");
          g_propagate_error (error, reason);
          self->funcs->rollback (self->owner);
          return FALSE;
        }
      for (; n > 0; n--)
        link = link->next;
    }
  return self->funcs->commit (self->owner, error);
}

static gboolean
try_transaction (IpcQueueJobs *self, GQueue *batch, GError **error)
{
  gboolean done;

  if (!self->funcs->begin (self->owner, error))
    return FALSE;
  self->is_in_transaction = TRUE;
  done = do_all (self, batch, error);
  self->is_in_transaction = FALSE;
  return done;
}

static void
forget_errors (GQueue *batch)
{
  for (GList *link = batch->head; link != NULL; link = link->next)
    g_clear_error (&((IpcQueueWork *) link->data)->error);
}

static gboolean
do_transaction (IpcQueueJobs *self, GQueue *batch, GError **error)
{
  GError *reason = NULL;

  if (try_transaction (self, batch, &reason))
    return TRUE;
  if (!self->funcs->mend (self->owner, reason))
    {
      g_propagate_error (error, reason);
      return FALSE;
    }
  g_error_free (reason);
  forget_errors (batch);
  return try_transaction (self, batch, error);
}

/* It is there, whatever comes of this, and is not done again. */
static void
settle (IpcQueueJobs *self, GQueue *batch)
{
  g_autoptr(GError) error = NULL;
  gboolean synced = self->funcs->sync (self->owner, &error);

  for (GList *link = batch->head; !synced && link != NULL; link = link->next)
    if (!((IpcQueueWork *) link->data)->may_fade)
      fail (link->data, error);
  self->funcs->tell (self->owner);
}

/* Moves all of BATCH to FINISHED, each with its error. */
static void
do_batch (IpcQueueJobs *self, GQueue *batch, GQueue *finished)
{
  g_autoptr(GError) error = NULL;

  if (do_transaction (self, batch, &error))
    {
      settle (self, batch);
      move_all (batch, finished);
    }
  else if (batch->length == 1)
    {
      g_clear_error (&((IpcQueueWork *) batch->head->data)->error);
      fail (batch->head->data, error);
      move_all (batch, finished);
    }
  else
    /* One cannot be done, and the others have nothing to do with it. */
    while (batch->length > 0)
      {
        GQueue single = G_QUEUE_INIT;
        GList *link = g_queue_pop_head_link (batch);

        g_clear_error (&((IpcQueueWork *) link->data)->error);
        g_queue_push_tail_link (&single, link);
        do_batch (self, &single, finished);
      }
}

/* Whoever asked for it may do anything then, also ask for more. To wake somebody for each would cost more than the work. */
static void
finish_all (IpcQueueJobs *self, GQueue *finished)
{
  gboolean any_gathered = FALSE;
  GList *link;

  while ((link = g_queue_pop_head_link (finished)) != NULL)
    {
      IpcQueueWork *work = link->data;

      any_gathered |= work->is_gathered;
      work->done (work, g_steal_pointer (&work->error));
    }
  if (any_gathered)
    self->funcs->finished (self->owner);
}

static void
take_batch_locked (IpcQueueJobs *self, GQueue *batch)
{
  for (guint i = 0; i < MAX_BATCH && self->pending.length > 0; i++)
    g_queue_push_tail_link (batch, g_queue_pop_head_link (&self->pending));
}

/* GCond makes a system call of each broadcast, whether or not anybody waits. */
static void
tell_changed_locked (IpcQueueJobs *self)
{
  if (self->n_waiting > 0)
    g_cond_broadcast (&self->changed);
}

static void
wait_for_change_locked (IpcQueueJobs *self)
{
  self->n_waiting++;
  g_cond_wait (&self->changed, &self->lock);
  self->n_waiting--;
}

/* Without the lock in between. */
static void
lead_locked (IpcQueueJobs *self)
{
  GQueue batch = G_QUEUE_INIT, finished = G_QUEUE_INIT;

  take_batch_locked (self, &batch);
  g_atomic_pointer_set (&self->leader, g_thread_self ());
  g_mutex_unlock (&self->lock);
  do_batch (self, &batch, &finished);
  g_atomic_pointer_set (&self->leader, NULL);
  finish_all (self, &finished);
  g_mutex_lock (&self->lock);
  tell_changed_locked (self);
}

/* ---- the thread ---- */

static void
sleep_locked (IpcQueueJobs *self)
{
  struct pollfd fds[2] = { { .fd = self->wake_fd, .events = POLLIN }, { .fd = self->watched_fd, .events = POLLIN } };
  guint64 count;
  int n;

  self->is_asleep = TRUE;
  g_mutex_unlock (&self->lock);
  n = poll (fds, 2, -1);
  g_mutex_lock (&self->lock);
  self->is_asleep = FALSE;
  if (n > 0 && fds[0].revents != 0 && read (self->wake_fd, &count, sizeof count) < 0)
    g_assert (errno == EAGAIN);
  if (n <= 0 || fds[1].revents == 0 || self->quits)
    return;
  g_mutex_unlock (&self->lock);
  self->funcs->rung (self->owner);
  g_mutex_lock (&self->lock);
}

static void
destroy (IpcQueueJobs *self)
{
  ipc_fork_close (self->wake_fd);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  g_free (self);
}

/* The owner is kept while something is pending, by whoever asked for it; so it is let go of in the middle of a batch at most. */
static void
lead_in_thread_locked (IpcQueueJobs *self)
{
  gpointer owner = g_object_ref (self->owner);

  lead_locked (self);
  g_mutex_unlock (&self->lock);
  g_object_unref (owner);
  g_mutex_lock (&self->lock);
}

static gpointer
run_thread (gpointer data)
{
  IpcQueueJobs *self = data;
  gboolean is_orphan;

  g_mutex_lock (&self->lock);
  while (!self->quits)
    if (self->pending.length == 0)
      sleep_locked (self);
    else if (g_atomic_pointer_get (&self->leader) != NULL)
      wait_for_change_locked (self);
    else
      lead_in_thread_locked (self);
  is_orphan = self->is_orphan;
  g_mutex_unlock (&self->lock);
  if (is_orphan)
    destroy (self);
  return NULL;
}

static void
wake_locked (IpcQueueJobs *self)
{
  const guint64 one = 1;

  if (!self->is_asleep)
    return;
  self->is_asleep = FALSE;
  if (write (self->wake_fd, &one, sizeof one) < 0)
    g_assert (errno == EAGAIN);
}

static void
ensure_thread_locked (IpcQueueJobs *self)
{
  if (self->thread == NULL)
    self->thread = g_thread_new ("ipc-queue", run_thread, self);
}

/* ---- asking ---- */

static void
push_locked (IpcQueueJobs *self, IpcQueueWork *work)
{
  work->link = (GList){ .data = work };
  work->error = NULL;
  g_queue_push_tail_link (&self->pending, &work->link);
}

void
ipc_queue_jobs_add (IpcQueueJobs *self, IpcQueueWork *work)
{
  g_mutex_lock (&self->lock);
  ensure_thread_locked (self);
  work->is_gathered = TRUE;
  push_locked (self, work);
  wake_locked (self);
  g_mutex_unlock (&self->lock);
}

typedef struct
{
  IpcQueueWork work;
  IpcQueueWork *asked;
  GError *error;                /* (owned) (nullable) */
  gint is_done;                 /* (atomic) */
} Waited;

static gboolean
run_waited (IpcQueueWork *work, GError **error)
{
  IpcQueueWork *asked = ((Waited *) work)->asked;

  return asked->run (asked, error);
}

static void
waited_done (IpcQueueWork *work, GError *error)
{
  Waited *self = (Waited *) work;

  self->error = error;
  /* It may be gone as soon as this is seen. */
  g_atomic_int_set (&self->is_done, TRUE);
}

gboolean
ipc_queue_jobs_do (IpcQueueJobs *self, IpcQueueWork *work, GError **error)
{
  Waited waited = { .work = { .run = run_waited, .done = waited_done, .may_fade = work->may_fade }, .asked = work };

  if (g_atomic_pointer_get (&self->leader) == g_thread_self () && self->is_in_transaction)
    return work->run (work, error);
  g_mutex_lock (&self->lock);
  push_locked (self, &waited.work);
  while (!g_atomic_int_get (&waited.is_done))
    if (self->pending.length == 0 || g_atomic_pointer_get (&self->leader) != NULL)
      wait_for_change_locked (self);
    else
      lead_locked (self);
  g_mutex_unlock (&self->lock);
  if (waited.error == NULL)
    return TRUE;
  g_propagate_error (error, waited.error);
  return FALSE;
}

void
ipc_queue_jobs_watch (IpcQueueJobs *self, int fd)
{
  g_mutex_lock (&self->lock);
  self->watched_fd = fd;
  ensure_thread_locked (self);
  wake_locked (self);
  g_mutex_unlock (&self->lock);
}

/* ---- the whole ---- */

IpcQueueJobs *
ipc_queue_jobs_new (const IpcQueueJobsFuncs *funcs, gpointer owner, GError **error)
{
  IpcQueueJobs *self;
  int wake_fd = ipc_fork_open (eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK));

  if (wake_fd < 0)
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno), "no descriptor to wake the thread of a queue: %s", g_strerror (errno));
      return NULL;
    }
  self = g_new0 (IpcQueueJobs, 1);

  self->funcs = funcs;
  self->owner = owner;
  self->generation = ipc_fork_generation ();
  self->wake_fd = wake_fd;
  self->watched_fd = -1;
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  return self;
}

void
ipc_queue_jobs_free (IpcQueueJobs *self)
{
  GThread *thread;

  /* The thread is not in the child, and the lock may have been its. */
  if (self->generation != ipc_fork_generation ())
    return;
  g_mutex_lock (&self->lock);
  g_assert (self->pending.length == 0);
  thread = g_steal_pointer (&self->thread);
  self->quits = TRUE;
  self->is_orphan = thread == g_thread_self ();
  wake_locked (self);
  g_mutex_unlock (&self->lock);
  if (thread == g_thread_self ())
    {
      g_thread_unref (thread);
      return;
    }
  if (thread != NULL)
    g_thread_join (thread);
  destroy (self);
}
