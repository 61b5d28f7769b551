/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "messaging/ipc-descriptors-private.h"

#include <string.h>
#include <unistd.h>

#include "core/ipc-fork.h"

/* After a fork the numbers may be somebody else's: the guard has closed ours. */
static void
close_all (const int *fds, guint n, unsigned generation)
{
  if (generation != ipc_fork_generation ())
    return;
  for (guint i = 0; i < n; i++)
    {
      ipc_fork_close (fds[i]);
    }
}

/* ---- a few of them ---- */

static IpcFds *
fds_new (guint room)
{
  IpcFds *self = g_malloc (sizeof *self + room * sizeof *self->fds);

  self->generation = ipc_fork_generation ();
  self->n = 0;
  return self;
}

IpcFds *
ipc_fds_new_dup (GUnixFDList *list, GError **error)
{
  guint n = (guint) g_unix_fd_list_get_length (list);
  g_autoptr (IpcFds) self = fds_new (n);

  for (; self->n < n; self->n++)
    {
      int fd = g_unix_fd_list_get (list, (gint) self->n, error);

      if (fd < 0)
        return NULL;
      ipc_fork_guard_fd (fd);
      self->fds[self->n] = fd;
    }
  return g_steal_pointer (&self);
}

void
ipc_fds_free (IpcFds *self)
{
  if (self == NULL)
    return;
  close_all (self->fds, self->n, self->generation);
  g_free (self);
}

int
ipc_fds_steal_last (IpcFds *self)
{
  int fd = self->fds[--self->n];

  ipc_fork_unguard_fd (fd);
  return fd;
}

GUnixFDList *
ipc_fds_to_list (IpcFds *self)
{
  GUnixFDList *list = NULL;

  if (self != NULL && self->n > 0)
    {
      for (guint i = 0; i < self->n; i++)
        ipc_fork_unguard_fd (self->fds[i]);
      list = g_unix_fd_list_new_from_array (self->fds, (gint) self->n);
    }
  g_free (self);
  return list;
}

/* ---- those that came ---- */

void
ipc_fd_queue_push (IpcFdQueue *self, const int *fds, guint n)
{
  if (self->n == 0)
    self->generation = ipc_fork_generation ();
  if (self->n + n > self->capacity)
    {
      self->capacity = MAX (self->n + n, 2 * self->capacity);
      self->fds = g_renew (int, self->fds, self->capacity);
    }
  for (guint i = 0; i < n; i++)
    {
      ipc_fork_guard_fd (fds[i]);
      self->fds[self->n++] = fds[i];
    }
}

/* They are few: the rest is moved down instead of going round. */
static void
forget_first (IpcFdQueue *self, guint n)
{
  self->n -= n;
  if (self->n > 0)
    memmove (self->fds, self->fds + n, self->n * sizeof *self->fds);
  else
    {
      g_clear_pointer (&self->fds, g_free);
      self->capacity = 0;
    }
}

IpcFds *
ipc_fd_queue_take (IpcFdQueue *self, guint n)
{
  IpcFds *taken;

  if (n == 0)
    return NULL;
  taken = fds_new (n);
  taken->generation = self->generation;
  taken->n = n;
  memcpy (taken->fds, self->fds, n * sizeof *taken->fds);
  forget_first (self, n);
  return taken;
}

void
ipc_fd_queue_move (IpcFdQueue *self, guint n, IpcFdQueue *to)
{
  if (n == 0)
    return;
  ipc_fd_queue_push (to, self->fds, n);
  to->generation = self->generation;
  forget_first (self, n);
}

void
ipc_fd_queue_clear (IpcFdQueue *self)
{
  close_all (self->fds, self->n, self->generation);
  self->n = self->capacity = 0;
  g_clear_pointer (&self->fds, g_free);
}
