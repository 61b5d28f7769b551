/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-bell.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "core/ipc-safe-path.h"

/* A page. Where a pipe holds more of them, it goes on ringing, which is no harm. */
#define MAX_RINGS 4096

typedef struct
{
  char text[32];
} Name;

static Name
get_name (unsigned index, unsigned number)
{
  Name name;

  snprintf (name.text, sizeof name.text, ".bell.%u.%u", index, number);
  return name;
}

/* ---- hearing ---- */

static int
hang (IpcPresence *presence, unsigned number, IpcFault *fault)
{
  Name name = get_name (ipc_presence_get_index (presence), number);
  int directory_fd = ipc_presence_get_directory (presence), fd = -1;

  /* Whoever had the name is dead: the index is ours. */
  unlinkat (directory_fd, name.text, 0);
  if (mkfifoat (directory_fd, name.text, 0600) == 0)
    fd = ipc_fork_open (openat (directory_fd, name.text, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC));
  /* Of the pages that all pipes of a user may have, one is enough. */
  if (fd >= 0)
    fcntl (fd, F_SETPIPE_SZ, MAX_RINGS);
  else
    {
      ipc_fault_set_errno (fault, errno, "cannot make the bell \"%s\"", name.text);
      unlinkat (directory_fd, name.text, 0);
    }
  return fd;
}

bool
ipc_bell_open (IpcBell *self, IpcPresence *presence, IpcFault *fault)
{
  unsigned number = ipc_presence_take_bell (presence);
  _Atomic int *put_by;

  if (number == 0)
    return ipc_fault_set (fault, IPC_FAULT_LIMIT_EXCEEDED, "too many main contexts of this process wait in one directory: 64");
  put_by = ipc_presence_get_bell (presence, number);
  if (*put_by < 0)
    *put_by = hang (presence, number, fault);
  if (*put_by < 0)
    {
      ipc_presence_return_bell (presence, number);
      return false;
    }
  *self = (IpcBell){ .presence = presence, .fd = *put_by, .number = number };
  ipc_bell_silence (self);
  return true;
}

void
ipc_bell_close (IpcBell *self)
{
  if (self->fd < 0)
    return;
  ipc_presence_return_bell (self->presence, self->number);
  self->fd = -1;
}

void
ipc_bell_take_down (IpcPresence *presence, unsigned number, int fd)
{
  Name name = get_name (ipc_presence_get_index (presence), number);

  unlinkat (ipc_presence_get_directory (presence), name.text, 0);
  ipc_fork_close (fd);
}

bool
ipc_bell_silence (IpcBell *self)
{
  char rings[MAX_RINGS];
  ssize_t n;

  do
    n = read (self->fd, rings, sizeof rings);
  while (n < 0 && errno == EINTR);
  return n > 0;
}

/* ---- ringing ---- */

static bool
ring (int fd)
{
  ssize_t n;

  do
    n = write (fd, "", 1);
  while (n < 0 && errno == EINTR);
  /* When it is full, it is ringing. */
  return n > 0 || errno == EAGAIN;
}

static int
open_bell (IpcPresence *presence, IpcOwner owner, unsigned number)
{
  Name name = get_name (ipc_owner_get_index (owner), number);
  IpcFault fault;
  int fd = -1;

  ipc_fork_hold ();
  if (ipc_directory_open_entry (ipc_presence_get_directory (presence), name.text, S_IFIFO, O_RDWR | O_NONBLOCK, &fd, &fault))
    ipc_fork_guard_fd (fd);
  ipc_fork_release ();
  return fd;
}

static bool
ring_by_name (IpcPresence *presence, IpcOwner owner, unsigned number)
{
  int fd = open_bell (presence, owner, number);
  bool rung = fd >= 0 && ring (fd);

  if (fd >= 0)
    ipc_fork_close (fd);
  return rung;
}

/* In place of the one that was opened longest ago. */
static int
open_line (IpcPresence *presence, IpcPresenceLines *lines, IpcOwner owner, unsigned number)
{
  unsigned at = lines->next++ % IPC_PRESENCE_LINES;
  int fd = open_bell (presence, owner, number);

  if (fd < 0)
    return -1;
  if (lines->lines[at].owner != 0)
    ipc_fork_close (lines->lines[at].fd);
  lines->lines[at].owner = owner;
  lines->lines[at].number = number;
  lines->lines[at].fd = fd;
  return fd;
}

/* Whoever is rung once is rung again, and to find a name takes most of the time of it. */
static bool
ring_by_line (IpcPresence *presence, IpcPresenceLines *lines, IpcOwner owner, unsigned number)
{
  int fd;

  for (unsigned i = 0; i < IPC_PRESENCE_LINES; i++)
    if (lines->lines[i].owner == owner && lines->lines[i].number == number)
      return ring (lines->lines[i].fd);
  fd = open_line (presence, lines, owner, number);
  return fd >= 0 && ring (fd);
}

bool
ipc_bell_ring (IpcPresence *presence, IpcOwner owner, unsigned number)
{
  IpcPresenceLines *lines;
  bool rung;

  if (owner == ipc_presence_get_me (presence))
    return ipc_presence_has_bell (presence, number) && ring (*ipc_presence_get_bell (presence, number));
  lines = ipc_presence_get_lines (presence);
  /* Who comes meanwhile does not wait for it. */
  if (pthread_mutex_trylock (&lines->lock) != 0)
    rung = ring_by_name (presence, owner, number);
  else
    {
      rung = ring_by_line (presence, lines, owner, number);
      pthread_mutex_unlock (&lines->lock);
    }
  return rung && ipc_presence_seems_alive (presence, owner);
}
