/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-hub-poll-private.h"

#include <errno.h>

#define NOT_A_WATCH G_MAXUINT32 /* in the lower half of an event's name; the upper half is the descriptor */

/* One turn of a loop in this thread. */
typedef struct
{
  int epoll_fd;
  gboolean prepared;            /* and not polled yet */
  IpcHubSharedFds shared;
  int learned;                  /* a wake-up that is not in the set yet; -1: none */
  int n;                        /* how many events there are; -1: it was plain poll(), or they are taken */
  gboolean was_in_set;
  struct epoll_event events[IPC_HUB_MAX_EVENTS];
} Turn;

static __thread Turn turn = { .learned = -1, .n = -1 };

void
ipc_hub_shared_fds_init (IpcHubSharedFds *self)
{
  self->wakeup = -1;
  self->n = 0;
}

static gboolean
add_to_set (int epoll_fd, int fd)
{
  struct epoll_event event = { .events = EPOLLIN, .data.u64 = (guint64) (guint32) fd << 32 | NOT_A_WATCH };

  return epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void
ipc_hub_shared_fds_add (IpcHubSharedFds *self, int epoll_fd, int fd)
{
  /* One that is not in the set is a stranger in GLib's list: it is plain poll() then. */
  if (self->n < IPC_HUB_MAX_SHARED && add_to_set (epoll_fd, fd))
    self->fds[self->n++] = fd;
}

void
ipc_hub_shared_fds_remove (IpcHubSharedFds *self, int epoll_fd, int fd)
{
  for (guint i = 0; i < self->n; i++)
    if (self->fds[i] == fd)
      {
        epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        self->fds[i] = self->fds[--self->n];
        return;
      }
}

void
ipc_hub_shared_fds_forget (IpcHubSharedFds *self, int epoll_fd, guint64 name)
{
  int fd = (int) (name >> 32);

  if ((guint32) name != NOT_A_WATCH)
    return;
  if (fd != self->wakeup)
    ipc_hub_shared_fds_remove (self, epoll_fd, fd);
  else
    {
      epoll_ctl (epoll_fd, EPOLL_CTL_DEL, fd, NULL);
      self->wakeup = -1;
    }
}

static gboolean
is_shared (const IpcHubSharedFds *self, int fd)
{
  for (guint i = 0; i < self->n; i++)
    if (self->fds[i] == fd)
      return TRUE;
  return FALSE;
}

/* Whether the set stands for the whole list. The wake-up has the hub's priority, so that it is in every list that
 * the set is in: the only stranger must be it. */
static gboolean
covers (Turn *self, GPollFD *fds, guint n)
{
  guint n_sets = 0, n_shared = 0, n_others = 0;
  int other = -1;

  for (guint i = 0; i < n; i++)
    if (fds[i].fd == self->epoll_fd)
      n_sets++;
    else if (fds[i].events == G_IO_IN && is_shared (&self->shared, fds[i].fd))
      n_shared++;
    else
      {
        other = fds[i].events == G_IO_IN ? fds[i].fd : -1;
        n_others++;
      }
  if (n_sets != 1 || n_shared != self->shared.n || n_others != 1 || other < 0)
    return FALSE;
  if (other == self->shared.wakeup)
    return TRUE;
  self->learned = other;
  return FALSE;
}

static GPollFD *
find (GPollFD *fds, guint n, int fd)
{
  for (guint i = 0; i < n; i++)
    if (fds[i].fd == fd)
      return &fds[i];
  return NULL;
}

/* Tells GLib what came: watches stay for the hub, which is asked as soon as one has something. */
static gint
report (Turn *self, GPollFD *fds, guint n)
{
  gint n_ready = 0;

  for (guint i = 0; i < n; i++)
    fds[i].revents = 0;
  for (int i = 0; i < self->n; i++)
    {
      guint64 name = self->events[i].data.u64;
      GPollFD *ready = find (fds, n, (guint32) name == NOT_A_WATCH ? (int) (name >> 32) : self->epoll_fd);

      if (ready == NULL)
        continue;
      n_ready += ready->revents == 0;
      ready->revents |= G_IO_IN;
      /* (the flags of both are the same ones) */
      if ((guint32) name == NOT_A_WATCH)
        ready->revents |= (gushort) (self->events[i].events & (EPOLLERR | EPOLLHUP));
    }
  return n_ready;
}

static gint
poll_in_set (GPollFD *fds, guint n, gint timeout)
{
  gboolean prepared = turn.prepared;
  gint result = -1;

  turn.prepared = FALSE;
  turn.was_in_set = FALSE;
  if (!prepared || !covers (&turn, fds, n))
    return g_poll (fds, n, timeout);
  result = epoll_wait (turn.epoll_fd, turn.events, IPC_HUB_MAX_EVENTS, timeout);
  if (result < 0)
    return errno == EINTR ? -1 : g_poll (fds, n, timeout);
  turn.n = result;
  turn.was_in_set = TRUE;
  return report (&turn, fds, n);
}

void
ipc_hub_poll_install (GMainContext *context)
{
  if (g_main_context_get_poll_func (context) == g_poll)
    g_main_context_set_poll_func (context, poll_in_set);
}

void
ipc_hub_poll_uninstall (GMainContext *context)
{
  if (g_main_context_get_poll_func (context) == poll_in_set)
    g_main_context_set_poll_func (context, NULL);
}

void
ipc_hub_poll_prepare (int epoll_fd, const IpcHubSharedFds *shared)
{
  turn.epoll_fd = epoll_fd;
  turn.prepared = TRUE;
  turn.shared = *shared;
  turn.learned = -1;
  turn.n = -1;
}

gboolean
ipc_hub_poll_has_learned (void)
{
  return turn.learned >= 0;
}

void
ipc_hub_poll_learn_wakeup (int epoll_fd, IpcHubSharedFds *shared)
{
  if (turn.epoll_fd != epoll_fd || turn.learned < 0 || shared->wakeup >= 0)
    return;
  if (add_to_set (epoll_fd, turn.learned))
    shared->wakeup = turn.learned;
  turn.learned = -1;
}

gboolean
ipc_hub_poll_take (int epoll_fd, struct epoll_event **events, int *n)
{
  gboolean taken = turn.epoll_fd == epoll_fd && turn.n >= 0;

  if (!taken)
    return FALSE;
  *events = turn.events;
  *n = turn.n;
  turn.n = -1;
  return TRUE;
}

gboolean
ipc_hub_poll_was_in_set (void)
{
  return turn.was_in_set;
}
