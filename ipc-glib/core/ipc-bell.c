/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/ipc-bell.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/ipc-fork.h"

/* By way of the directory's descriptor, whose path may be longer than an address, or another one by now. */
static socklen_t
get_address (IpcPresence *presence, unsigned index, unsigned number, struct sockaddr_un *address)
{
  int length;

  address->sun_family = AF_UNIX;
  length = snprintf (address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/.bell.%u.%u", ipc_presence_get_directory (presence), index, number);
  return (socklen_t) (offsetof (struct sockaddr_un, sun_path) + (size_t) length + 1);
}

static void
remove_name (IpcPresence *presence, unsigned number)
{
  char name[32];

  snprintf (name, sizeof name, ".bell.%u.%u", ipc_presence_get_index (presence), number);
  unlinkat (ipc_presence_get_directory (presence), name, 0);
}

bool
ipc_bell_open (IpcBell *self, IpcPresence *presence, IpcFault *fault)
{
  unsigned number = ipc_presence_take_bell (presence);
  struct sockaddr_un address;
  socklen_t length;
  int fd;

  if (number == 0)
    return ipc_fault_set (fault, IPC_FAULT_LIMIT_EXCEEDED, "too many main contexts of this process wait in one directory: 64");
  length = get_address (presence, ipc_presence_get_index (presence), number, &address);
  fd = ipc_fork_open (socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd >= 0)
    {
      /* Whoever had the name is dead: the index is ours. */
      remove_name (presence, number);
      if (bind (fd, (struct sockaddr *) &address, length) == 0)
        {
          *self = (IpcBell){ .presence = presence, .fd = fd, .number = number };
          return true;
        }
    }
  ipc_fault_set_errno (fault, errno, "cannot make the bell \".bell.%u.%u\"", ipc_presence_get_index (presence), number);
  if (fd >= 0)
    ipc_fork_close (fd);
  ipc_presence_return_bell (presence, number);
  return false;
}

void
ipc_bell_close (IpcBell *self)
{
  if (self->fd < 0)
    return;
  remove_name (self->presence, self->number);
  ipc_fork_close (self->fd);
  ipc_presence_return_bell (self->presence, self->number);
  self->fd = -1;
}

void
ipc_bell_silence (IpcBell *self)
{
  char none;

  /* One of those that are there; with more of them it goes on ringing, which is no harm. */
  while (recv (self->fd, &none, sizeof none, MSG_DONTWAIT) < 0 && errno == EINTR)
    ;
}

/* ---- ringing ---- */

static ssize_t
send_empty (int fd, const struct sockaddr_un *address, socklen_t length)
{
  ssize_t sent;

  do
    sent = sendto (fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *) address, length);
  while (sent < 0 && errno == EINTR);
  /* With its queue full it is ringing. */
  return sent < 0 && (errno == EAGAIN || errno == ENOBUFS) ? 0 : sent;
}

static bool
ring_by_name (IpcPresence *presence, IpcOwner owner, unsigned number)
{
  struct sockaddr_un address;
  socklen_t length = get_address (presence, ipc_owner_get_index (owner), number, &address);

  return send_empty (ipc_presence_get_ringer (presence), &address, length) >= 0;
}

/* In place of the one that was made longest ago. Without it, it is rung by name. */
static int
open_line (IpcPresence *presence, IpcPresenceLines *lines, IpcOwner owner, unsigned number)
{
  unsigned at = lines->next++ % IPC_PRESENCE_LINES;
  struct sockaddr_un address;
  socklen_t length = get_address (presence, ipc_owner_get_index (owner), number, &address);
  int fd = ipc_fork_open (socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

  if (fd < 0)
    return -1;
  if (connect (fd, (struct sockaddr *) &address, length) != 0)
    {
      ipc_fork_close (fd);
      return -1;
    }
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
  for (unsigned i = 0; i < IPC_PRESENCE_LINES; i++)
    if (lines->lines[i].owner == owner && lines->lines[i].number == number)
      {
        if (send_empty (lines->lines[i].fd, NULL, 0) >= 0)
          return true;
        /* That one is closed; there may be another one of its name. */
        ipc_fork_close (lines->lines[i].fd);
        lines->lines[i].owner = 0;
      }
  return send_empty (open_line (presence, lines, owner, number), NULL, 0) >= 0;
}

bool
ipc_bell_ring (IpcPresence *presence, IpcOwner owner, unsigned number)
{
  IpcPresenceLines *lines = ipc_presence_get_lines (presence);
  bool rung;

  /* Who comes meanwhile does not wait for it. */
  if (pthread_mutex_trylock (&lines->lock) != 0)
    return ring_by_name (presence, owner, number);
  rung = ring_by_line (presence, lines, owner, number);
  pthread_mutex_unlock (&lines->lock);
  return rung || ring_by_name (presence, owner, number);
}
