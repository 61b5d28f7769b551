/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The hub: one epoll set in one GSource for all the descriptors of a main
 * context, because GLib's own poll takes time in proportion to its sources.
 *
 * Any thread may call these functions; the callbacks come in the hub's context.
 * A watch is embedded in its owner. The hub holds a reference to the owner
 * from add to remove, and one more around every callback. The functions after
 * ipc_hub_remove() are only called under the lock of the owner that also says
 * whether the watch is added, so that none of them runs beside its removal.
 */
#pragma once

#include <gio/gio.h>
#include <sys/epoll.h>

#include "base/ipc-timer-queue-private.h"

typedef struct _IpcHub IpcHub;
typedef struct _IpcHubWatch IpcHubWatch;

typedef struct
{
  /* EVENTS are of epoll(7); 0 if it is called again because it said that there is more.
   * TRUE: input is left in the process that was not handled for the sake of the others. */
  gboolean (*io)     (IpcHubWatch *watch, guint events);
  /* Write what was gathered. Runs right before the loop would sleep, so it must not call out. */
  void     (*flush)  (IpcHubWatch *watch);
  /* What ipc_hub_attend() asked for, or what the deadline brought. */
  void     (*attend) (IpcHubWatch *watch);
} IpcHubFuncs;

struct _IpcHubWatch
{
  IpcTimer timer;               /* first, so that a timer leads to its watch */
  const IpcHubFuncs *funcs;
  GObject *owner;
  IpcHub *hub;                  /* (nullable) (mutex hub) NULL when not added */
  int fd;
  guint events;
  guint32 slot;                 /* (mutex hub) */
  GList flush_link;             /* (mutex hub) */
  GList attend_link;            /* (mutex hub) */
  GList more_link;              /* (mutex hub) */
  gboolean in_flush;            /* (mutex hub) */
  gboolean in_attend;           /* (mutex hub) */
  gboolean in_more;             /* (mutex hub) */
};

void     ipc_hub_watch_init   (IpcHubWatch *watch, const IpcHubFuncs *funcs, GObject *owner);

/* Adds the watch to the hub of CONTEXT, which is made when it is the first. */
gboolean ipc_hub_add          (GMainContext *context, IpcHubWatch *watch, int fd, guint events, GError **error);
void     ipc_hub_modify       (IpcHubWatch *watch, guint events);
/* May drop the last reference to the owner. Does nothing the second time. */
void     ipc_hub_remove       (IpcHubWatch *watch);

/* Have the watch's flush() called at the end of this dispatch, or before the loop sleeps. */
void     ipc_hub_queue_flush  (IpcHubWatch *watch);
/* Have the watch's attend() called from the main loop. */
void     ipc_hub_attend       (IpcHubWatch *watch);
/* Have io() called again, without an event, when others have had their turn. */
void     ipc_hub_go_on        (IpcHubWatch *watch);
/* In its context: how many were ready when that was looked at last. */
guint    ipc_hub_count_ready  (IpcHubWatch *watch);
/* In its context: more are ready than are looked at in one go. */
gboolean ipc_hub_is_crowded   (IpcHubWatch *watch);
/* Have attend() called at DUE (monotonic, µs), if that is earlier than what was asked for before. */
void     ipc_hub_attend_at    (IpcHubWatch *watch, gint64 due);

/* Another source of CONTEXT polls FD, for input: the hub may wait for it on that source's behalf. Whoever says so
 * says when that ends, before FD is closed or not polled any more. */
void     ipc_hub_share_fd     (GMainContext *context, int fd);
void     ipc_hub_unshare_fd   (GMainContext *context, int fd);
