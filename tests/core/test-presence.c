/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which processes are there: alive until the last moment, dead at once, and never taken for one another.
 */
#include "core/ipc-presence.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc-futex.h"
#include "core/ipc-life.h"
#include "ipc-test.h"

#define N_CHILDREN 20

typedef struct
{
  pid_t pid;
  IpcOwner owner;
} Child;

static int
open_directory (IpcTest *test)
{
  int fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_assert_no_errno (fd);
  return fd;
}

static IpcPresence *
attach (int directory_fd)
{
  IpcFault fault = { 0 };
  IpcPresence *presence = ipc_presence_attach (directory_fd, &fault);

  if (presence == NULL)
    g_error ("%s", fault.message);
  return presence;
}

/* A process that attaches and stays; DETACH: that detaches at once. */
static Child
child_new (int directory_fd, gboolean detach)
{
  Child child;
  int pipe_fds[2];

  g_assert_no_errno (pipe2 (pipe_fds, O_CLOEXEC));
  child.pid = fork ();
  if (child.pid == 0)
    {
      IpcPresence *presence = ipc_presence_attach (directory_fd, NULL);
      IpcOwner me = presence != NULL ? ipc_presence_get_me (presence) : 0;

      if (presence != NULL && detach)
        ipc_presence_detach (presence);
      if (write (pipe_fds[1], &me, sizeof me) == sizeof me && !detach)
        for (;;)
          pause ();
      _exit (0);
    }
  close (pipe_fds[1]);
  g_assert_cmpint (read (pipe_fds[0], &child.owner, sizeof child.owner), ==, sizeof child.owner);
  close (pipe_fds[0]);
  g_assert_cmpuint (child.owner, !=, 0);
  return child;
}

static void
child_kill (Child *child)
{
  kill (child->pid, SIGKILL);
  g_assert_cmpint (waitpid (child->pid, NULL, 0), ==, child->pid);
}

static void
test_attach (IpcTest *test)
{
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  IpcOwner first = ipc_presence_get_me (presence);
  char label[IPC_PRESENCE_LABEL];
  g_autofree char *pid = g_strdup_printf ("%d ", (int) getpid ());

  g_assert_cmpuint (first, !=, 0);
  g_assert_true (attach (directory_fd) == presence);
  ipc_presence_detach (presence);
  g_assert_true (ipc_presence_is_alive (presence, first));
  ipc_presence_get_label (presence, first, label);
  g_assert_true (g_str_has_prefix (label, pid));
  ipc_presence_detach (presence);
  /* The same place, and another one in it. */
  presence = attach (directory_fd);
  g_assert_cmpuint (ipc_presence_get_me (presence), !=, first);
  g_assert_false (ipc_presence_is_alive (presence, first));
  ipc_presence_get_label (presence, first, label);
  g_assert_cmpstr (label, ==, "");
  ipc_presence_detach (presence);
  close (directory_fd);
}

static void
test_nonsense (IpcTest *test)
{
  static const IpcOwner owners[] = { 0, 1, G_MAXUINT64, (guint64) 1 << 48, (guint64) 4096 << 48 | 1, (guint64) 5 << 48 | 1 };
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  guint32 expected;

  for (guint i = 0; i < G_N_ELEMENTS (owners); i++)
    if (owners[i] != ipc_presence_get_me (presence))
      {
        char label[IPC_PRESENCE_LABEL];

        g_assert_false (ipc_presence_is_alive (presence, owners[i]));
        g_assert_null (ipc_presence_watch (presence, owners[i], &expected));
        ipc_presence_get_label (presence, owners[i], label);
        g_assert_cmpstr (label, ==, "");
      }
  ipc_presence_detach (presence);
  close (directory_fd);
}

static void
test_death (IpcTest *test)
{
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  Child children[N_CHILDREN];

  for (guint i = 0; i < N_CHILDREN; i++)
    {
      children[i] = child_new (directory_fd, FALSE);
      for (guint k = 0; k < i; k++)
        g_assert_cmpuint (children[i].owner, !=, children[k].owner);
    }
  for (guint i = 0; i < N_CHILDREN; i++)
    {
      g_assert_true (ipc_presence_is_alive (presence, children[i].owner));
      child_kill (&children[i]);
      g_assert_false (ipc_presence_is_alive (presence, children[i].owner));
    }
  for (guint i = 0; i < N_CHILDREN; i++)
    {
      Child next = child_new (directory_fd, FALSE);

      /* Its place is used again. */
      g_assert_cmpuint (next.owner >> 48, <=, N_CHILDREN);
      g_assert_false (ipc_presence_is_alive (presence, children[i].owner));
      child_kill (&next);
    }
  ipc_presence_detach (presence);
  close (directory_fd);
}

static void
test_detached (IpcTest *test)
{
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  Child child = child_new (directory_fd, TRUE);

  g_assert_cmpint (waitpid (child.pid, NULL, 0), ==, child.pid);
  g_assert_false (ipc_presence_is_alive (presence, child.owner));
  ipc_presence_detach (presence);
  close (directory_fd);
}

/* Who sleeps on the life word of a process is woken by its death, and the proof follows. */
static void
test_life_word (IpcTest *test)
{
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);

  for (guint i = 0; i < 20; i++)
    {
      Child child = child_new (directory_fd, FALSE);
      guint32 expected;
      _Atomic guint32 *word = ipc_presence_watch (presence, child.owner, &expected);

      g_assert_nonnull (word);
      g_assert_cmpuint (atomic_load (word), ==, expected);
      kill (child.pid, SIGKILL);
      /* The deadline of the test ends this if nobody wakes it. */
      while (atomic_load (word) == expected)
        ipc_futex_wait (word, expected, 0);
      g_assert_true (ipc_life_is_over (atomic_load (word)));
      g_assert_null (ipc_presence_watch (presence, child.owner, &expected));
      while (ipc_presence_is_alive (presence, child.owner))
        g_thread_yield ();
      g_assert_cmpint (waitpid (child.pid, NULL, 0), ==, child.pid);
    }
  ipc_presence_detach (presence);
  close (directory_fd);
}

static void
test_life_word_of_many (IpcTest *test)
{
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  _Atomic guint32 never = 1;

  for (guint single = 0; single < 2; single++)
    {
      IpcFutexWait waits[4] = { { &never, 1 } };
      Child children[3];

      ipc_futex_set_single (single == 1);
      for (guint i = 0; i < 3; i++)
        {
          children[i] = child_new (directory_fd, FALSE);
          waits[i + 1].word = ipc_presence_watch (presence, children[i].owner, &waits[i + 1].expected);
          g_assert_nonnull (waits[i + 1].word);
        }
      kill (children[1].pid, SIGKILL);
      while (ipc_presence_is_alive (presence, children[1].owner))
        ipc_futex_wait_any (waits, 4, 0);
      for (guint i = 0; i < 3; i++)
        child_kill (&children[i]);
    }
  ipc_futex_set_single (FALSE);
  g_assert_false (ipc_futex_wait (&never, 1, ipc_futex_now () + 1000));
  ipc_presence_detach (presence);
  close (directory_fd);
}

/* A child that forked keeps neither the place nor the life of its parent. */
static void
test_fork (IpcTest *test)
{
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  int pipe_fds[2];
  pid_t parent;
  struct
  {
    IpcOwner owner;
    pid_t heir;
  } told;

  g_assert_no_errno (pipe2 (pipe_fds, O_CLOEXEC));
  parent = fork ();
  if (parent == 0)
    {
      IpcPresence *own = ipc_presence_attach (directory_fd, NULL);

      told.owner = ipc_presence_get_me (own);
      told.heir = fork ();
      if (told.heir == 0)
        for (;;)
          pause ();
      if (write (pipe_fds[1], &told, sizeof told) > 0)
        for (;;)
          pause ();
      _exit (1);
    }
  g_assert_cmpint (read (pipe_fds[0], &told, sizeof told), ==, sizeof told);
  g_assert_true (ipc_presence_is_alive (presence, told.owner));
  kill (parent, SIGKILL);
  g_assert_cmpint (waitpid (parent, NULL, 0), ==, parent);
  /* The heir closes what it has inherited as the first thing that it does, whenever that is. */
  while (ipc_presence_is_alive (presence, told.owner))
    g_thread_yield ();
  kill (told.heir, SIGKILL);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
  ipc_presence_detach (presence);
  close (directory_fd);
}

/* The heir's own presence is another one than that which it has inherited. */
static void
test_attach_after_fork (IpcTest *test)
{
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  Child child = child_new (directory_fd, FALSE);

  g_assert_cmpuint (child.owner >> 48, !=, ipc_presence_get_me (presence) >> 48);
  g_assert_true (ipc_presence_is_alive (presence, child.owner));
  child_kill (&child);
  g_assert_true (ipc_presence_is_alive (presence, ipc_presence_get_me (presence)));
  ipc_presence_detach (presence);
  close (directory_fd);
}

static void
test_bad_table (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, ".presence");
  int directory_fd = open_directory (test);
  IpcFault fault = { 0 };

  g_assert_true (g_file_set_contents_full (path, "not a table", -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_assert_null (ipc_presence_attach (directory_fd, &fault));
  g_assert_cmpint (fault.code, ==, IPC_FAULT_WRONG_TYPE);
  g_assert_nonnull (strstr (fault.message, ".presence"));
  close (directory_fd);
}

/* ── Counting ── */

#define N_COUNTERS 4
#define N_COUNTS 20000

typedef struct
{
  _Atomic guint n_ready;
  guint64 numbers[N_COUNTERS * N_COUNTS];
} Counted;

static void
count_in_child (int directory_fd, Counted *counted, guint64 *numbers)
{
  IpcPresence *presence = ipc_presence_attach (directory_fd, NULL);

  if (presence == NULL)
    _exit (1);
  /* All at the same time. */
  atomic_fetch_add (&counted->n_ready, 1);
  while (atomic_load (&counted->n_ready) < N_COUNTERS)
    g_thread_yield ();
  for (guint i = 0; i < N_COUNTS; i++)
    numbers[i] = ipc_presence_count_up (presence);
  /* It goes as one that was killed does. */
  _exit (0);
}

static int
compare_numbers (const void *a, const void *b)
{
  guint64 x = *(const guint64 *) a, y = *(const guint64 *) b;

  return x < y ? -1 : x > y;
}

/* No two processes are ever told the same number, and none a lower one than before, also when nobody was there meanwhile. */
static void
test_count_up (IpcTest *test)
{
  Counted *counted = mmap (NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  guint64 *numbers = counted->numbers;
  int directory_fd = open_directory (test);
  IpcPresence *presence = attach (directory_fd);
  guint64 first = ipc_presence_count_up (presence), last;
  pid_t pids[N_COUNTERS];
  int status;

  g_assert_true (counted != MAP_FAILED);
  g_assert_cmpuint (ipc_presence_count_up (presence), >, first);
  first = ipc_presence_count_up (presence);
  ipc_presence_detach (presence);
  for (guint i = 0; i < N_COUNTERS; i++)
    if ((pids[i] = fork ()) == 0)
      count_in_child (directory_fd, counted, numbers + i * N_COUNTS);
  for (guint i = 0; i < N_COUNTERS; i++)
    {
      g_assert_cmpint (waitpid (pids[i], &status, 0), ==, pids[i]);
      g_assert_cmpint (status, ==, 0);
      for (guint k = 1; k < N_COUNTS; k++)
        g_assert_cmpuint (numbers[i * N_COUNTS + k], >, numbers[i * N_COUNTS + k - 1]);
    }
  qsort (numbers, N_COUNTERS * N_COUNTS, sizeof *numbers, compare_numbers);
  g_assert_cmpuint (numbers[0], >, first);
  for (guint i = 1; i < N_COUNTERS * N_COUNTS; i++)
    g_assert_cmpuint (numbers[i], >, numbers[i - 1]);
  last = numbers[N_COUNTERS * N_COUNTS - 1];
  presence = attach (directory_fd);
  g_assert_cmpuint (ipc_presence_count_up (presence), >, last);
  ipc_presence_detach (presence);
  munmap (counted, sizeof *counted);
  close (directory_fd);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/presence/attach", test_attach);
  ipc_test_add ("/core/presence/nonsense", test_nonsense);
  ipc_test_add ("/core/presence/death", test_death);
  ipc_test_add ("/core/presence/detached", test_detached);
  ipc_test_add ("/core/presence/life-word", test_life_word);
  ipc_test_add ("/core/presence/life-word-of-many", test_life_word_of_many);
  ipc_test_add ("/core/presence/fork", test_fork);
  ipc_test_add ("/core/presence/attach-after-fork", test_attach_after_fork);
  ipc_test_add ("/core/presence/bad-table", test_bad_table);
  ipc_test_add ("/core/presence/count-up", test_count_up);
  return ipc_test_run ();
}
