/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who is rung when something has changed: once, and not when it does not listen. */
#include "core/ipc-listeners.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc-bell.h"
#include "ipc-test.h"

#define N 4u

typedef struct
{
  int directory_fd;
  IpcPresence *presence;
  guint8 *memory;
  IpcListeners listeners;
} Table;

static void
view_init (Table *table)
{
  IpcFault fault = { 0 };

  table->presence = ipc_presence_attach (table->directory_fd, &fault);
  if (table->presence == NULL)
    g_error ("%s", fault.message);
  ipc_listeners_init (&table->listeners, table->memory, N, table->presence);
}

static void
table_init (Table *table, IpcTest *test)
{
  table->directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_no_errno (table->directory_fd);
  table->memory = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true (table->memory != MAP_FAILED);
  view_init (table);
}

static void
table_clear (Table *table)
{
  ipc_presence_detach (table->presence);
  munmap (table->memory, 4096);
  close (table->directory_fd);
}

static gboolean
rings (IpcBell *bell)
{
  struct pollfd pollfd = { .fd = bell->fd, .events = POLLIN };
  gboolean is_ringing = poll (&pollfd, 1, 0) == 1;

  if (is_ringing)
    ipc_bell_silence (bell);
  return is_ringing;
}

static void
open_bell (IpcBell *bell, Table *table)
{
  IpcFault fault = { 0 };

  if (!ipc_bell_open (bell, table->presence, &fault))
    g_error ("%s", fault.message);
}

static void
test_ring (IpcTest *test)
{
  guint first, second;
  IpcBell bell, other;
  Table table;

  table_init (&table, test);
  open_bell (&bell, &table);
  open_bell (&other, &table);
  g_assert_true (ipc_listeners_add (&table.listeners, bell.number, &first));
  g_assert_true (ipc_listeners_add (&table.listeners, other.number, &second));
  ipc_listeners_ring (&table.listeners, IPC_LISTENERS_NONE);
  g_assert_false (rings (&bell));
  ipc_listeners_arm (&table.listeners, first);
  g_assert_true (ipc_listeners_is_armed (&table.listeners, first));
  ipc_listeners_ring (&table.listeners, IPC_LISTENERS_NONE);
  ipc_listeners_ring (&table.listeners, IPC_LISTENERS_NONE);
  g_assert_false (ipc_listeners_is_armed (&table.listeners, first));
  g_assert_true (rings (&bell));
  g_assert_false (rings (&bell));
  g_assert_false (rings (&other));
  ipc_listeners_arm (&table.listeners, second);
  ipc_listeners_remove (&table.listeners, second);
  ipc_listeners_ring (&table.listeners, IPC_LISTENERS_NONE);
  g_assert_false (rings (&other));
  ipc_listeners_remove (&table.listeners, first);
  ipc_bell_close (&bell);
  ipc_bell_close (&other);
  table_clear (&table);
}

static void
occupy (Table *table, int to)
{
  IpcBell bell;
  guint entry;

  view_init (table);
  open_bell (&bell, table);
  for (guint i = 0; i < N; i++)
    {
      g_assert_true (ipc_listeners_add (&table->listeners, bell.number, &entry));
      ipc_listeners_arm (&table->listeners, entry);
    }
  g_assert_cmpint (write (to, "", 1), ==, 1);
  for (;;)
    pause ();
}

/* Those of the dead are taken, but those of the living are not; to ring for the dead is no harm. */
static void
test_full (IpcTest *test)
{
  guint entries[N], none = 99;
  int pipe_fds[2];
  IpcBell bell;
  Table table;
  char byte;
  pid_t pid;

  table_init (&table, test);
  g_assert_no_errno (pipe2 (pipe_fds, O_CLOEXEC));
  pid = fork ();
  if (pid == 0)
    occupy (&table, pipe_fds[1]);
  g_assert_cmpint (read (pipe_fds[0], &byte, 1), ==, 1);
  open_bell (&bell, &table);
  g_assert_false (ipc_listeners_add (&table.listeners, bell.number, &none));
  g_assert_cmpuint (none, ==, 99);
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  ipc_listeners_ring (&table.listeners, IPC_LISTENERS_NONE);
  for (guint i = 0; i < N; i++)
    g_assert_true (ipc_listeners_add (&table.listeners, bell.number, &entries[i]));
  g_assert_false (ipc_listeners_add (&table.listeners, bell.number, &none));
  ipc_listeners_arm (&table.listeners, entries[N - 1]);
  ipc_listeners_ring (&table.listeners, IPC_LISTENERS_NONE);
  g_assert_true (rings (&bell));
  ipc_bell_close (&bell);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
  table_clear (&table);
}

/* A counter that is raised and rung for; the listener arms, then looks. It must see each last value. */
static void
test_nothing_is_missed (IpcTest *test)
{
  _Atomic guint32 *counter;
  guint entry, seen = 0;
  IpcBell bell;
  Table table;
  pid_t pid;

  table_init (&table, test);
  counter = (_Atomic guint32 *) (table.memory + 2048);
  open_bell (&bell, &table);
  g_assert_true (ipc_listeners_add (&table.listeners, bell.number, &entry));
  pid = fork ();
  if (pid == 0)
    {
      view_init (&table);
      for (guint i = 0; i < 20000; i++)
        {
          atomic_fetch_add (counter, 1);
          ipc_listeners_ring (&table.listeners, IPC_LISTENERS_NONE);
        }
      _exit (0);
    }
  while (seen < 20000)
    {
      struct pollfd pollfd = { .fd = bell.fd, .events = POLLIN };

      ipc_bell_silence (&bell);
      ipc_listeners_arm (&table.listeners, entry);
      seen = atomic_load (counter);
      if (seen < 20000)
        g_assert_cmpint (poll (&pollfd, 1, 10000), ==, 1);
    }
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  ipc_bell_close (&bell);
  table_clear (&table);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/listeners/ring", test_ring);
  ipc_test_add ("/core/listeners/full", test_full);
  ipc_test_add ("/core/listeners/nothing-is-missed", test_nothing_is_missed);
  return ipc_test_run ();
}
