/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Asynchronous waits for something in shared memory, of any number, without a thread each: those of a main context in a
 * directory share one bell (core/ipc-bell.h) in the hub. A wait is tried when it was woken, when its time has come, and when
 * an owner has died; the task of each is completed in the context, and so is that of one that is cancelled.
 *
 * A mechanism has a struct for what it needs for its own, which begins with the wait, and is the task's data.
 */
#pragma once

#include <gio/gio.h>

#include "base/ipc-timer-queue-private.h"
#include "core/ipc-presence.h"
#include "core/ipc-futex.h"

#define IPC_TYPE_WAITER (ipc_waiter_get_type ())
G_DECLARE_FINAL_TYPE (IpcWaiter, ipc_waiter, IPC, WAITER, GObject)

typedef struct _IpcWait IpcWait;

/* All are called in the waiter's context, or by ipc_waiter_add() itself. They do not call out. */
typedef struct
{
  /* Tries it, and then says when to try again if nobody wakes it (monotonic, ns). TRUE: there is an outcome, *RESULT
   * or *ERROR, and the wait is not in the shared table any more. */
  gboolean (*attempt) (IpcWait *wait, gint64 *wake_at, gpointer *result, GError **error);
  /* The deadline has passed, or it is cancelled: takes it out of the shared table. The error, for the former. */
  GError  *(*give_up) (IpcWait *wait);
  gboolean (*is_woken) (IpcWait *wait);
  /* Whose death to hear of, as ipc_slots_watch() says. */
  guint    (*watch)   (IpcWait *wait, IpcFutexWait *waits_for, guint max, gboolean *missed);
  GDestroyNotify free_result;
} IpcWaitFuncs;

struct _IpcWait
{
  IpcTimer timer;               /* first, so that a timer leads to its wait (mutex waiter) */
  const IpcWaitFuncs *funcs;
  IpcWaiter *waiter;            /* (owned) while it is pending */
  GTask *task;                  /* (owned) (nullable) (mutex waiter) NULL: not pending */
  gint64 deadline;              /* monotonic, µs; 0: none */
  gulong cancelled_id;
  gint is_cancelled;            /* (atomic) */
  GList link;                   /* (mutex waiter) */
};

/* The one of CONTEXT in the directory of PRESENCE, which is made when it is the first. Whoever keeps it for the next wait
 * spares making it anew. Any thread; release it in any, too, but not in a forked child. */
IpcWaiter *ipc_waiter_get      (GMainContext *context, IpcPresence *presence, GError **error);
void       ipc_waiter_release  (IpcWaiter *self);
/* Once more; to be released once more. */
IpcWaiter *ipc_waiter_keep     (IpcWaiter *self);
/* What others are to ring. */
guint      ipc_waiter_get_bell (IpcWaiter *self);

/* Starts to wait: WAIT is in the shared table already, with the waiter's bell. Takes TASK. DEADLINE of
 * ipc_timeout_to_deadline(). May complete the task at once, later in its context. */
void       ipc_waiter_add      (IpcWaiter *self, IpcWait *wait, const IpcWaitFuncs *funcs, GTask *task, gint64 deadline);
/* LINK's data is an IpcListening, which is told when it was rung. Any thread. */
void       ipc_waiter_add_listening    (IpcWaiter *self, GList *link);
void       ipc_waiter_remove_listening (IpcWaiter *self, GList *link);
/* Have all that are pending tried, in the context. Any thread. */
void       ipc_waiter_try_all  (IpcWaiter *self);
