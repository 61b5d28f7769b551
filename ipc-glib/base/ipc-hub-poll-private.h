/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting in the epoll set itself.
 *
 * GLib polls a list of descriptors. With the epoll set as one of them, a turn of
 * the loop costs a poll() that looks into the set, and an epoll_wait() that looks
 * again. If everything else in the list is in the set as well, which is the loop's own
 * wake-up, and listening sockets and directory watches of this library, one epoll_wait() does for both. A
 * GPollFunc does it; with any other descriptor in the list it is plain poll().
 *
 * A GPollFunc is told neither its context nor its sources. Between prepare() and
 * check() of a turn, what it has to know is in the thread that runs the loop, where
 * it also leaves the events: nothing of the hub is touched, which another thread
 * may destroy meanwhile.
 *
 * Whether a descriptor in the list is the one that was added to the set cannot
 * be seen by its number, so only those count whose life is known: shared ones are taken out
 * before they are closed, and the wake-up is open for as long as its context is.
 */
#pragma once

#include <glib.h>
#include <sys/epoll.h>

#define IPC_HUB_MAX_EVENTS 64
#define IPC_HUB_MAX_SHARED 16

/* The descriptors in an epoll set that are not of a watch. */
typedef struct
{
  int wakeup;                   /* of the main context; -1: not known yet */
  guint n;
  int fds[IPC_HUB_MAX_SHARED];
} IpcHubSharedFds;

void     ipc_hub_shared_fds_init   (IpcHubSharedFds *self);
void     ipc_hub_shared_fds_add    (IpcHubSharedFds *self, int epoll_fd, int fd);
void     ipc_hub_shared_fds_remove (IpcHubSharedFds *self, int epoll_fd, int fd);
/* An event came that is of no watch, though it was plain poll(): the set is only disturbed by that descriptor. */
void     ipc_hub_shared_fds_forget (IpcHubSharedFds *self, int epoll_fd, guint64 name);

/* Has CONTEXT wait that way, unless it has a GPollFunc of somebody else's. */
void     ipc_hub_poll_install      (GMainContext *context);
void     ipc_hub_poll_uninstall    (GMainContext *context);

/* From prepare(): what this thread is about to wait for. */
void     ipc_hub_poll_prepare      (int epoll_fd, const IpcHubSharedFds *shared);
/* From check(): whether the turn told which descriptor the wake-up is, and adding that to the set. */
gboolean ipc_hub_poll_has_learned  (void);
void     ipc_hub_poll_learn_wakeup (int epoll_fd, IpcHubSharedFds *shared);
/* The events that were waited for, once. FALSE: it was plain poll(). */
gboolean ipc_hub_poll_take         (int epoll_fd, struct epoll_event **events, int *n);
/* For tests: whether the last turn of a loop in this thread waited in the set. */
gboolean ipc_hub_poll_was_in_set   (void);
