/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a forked child gets of its parent: not the guarded descriptors, and a new generation.
 */
#include "core/ipc-fork.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test.h"

typedef struct
{
  int guarded, unguarded, plain;
  unsigned generation;
} Fixture;

static int
open_any (void)
{
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  g_assert_no_errno (fd);
  return fd;
}

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0 || errno != EBADF;
}

/* Runs FUNC in a child; what it returns says which expectation failed, 0 none. */
static void
assert_in_child (int (*func) (const Fixture *fixture), const Fixture *fixture)
{
  int status;
  pid_t child = fork ();

  g_assert_no_errno (child);
  if (child == 0)
    _exit (func (fixture));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

/* ── Descriptors ── */

static int
look_in_child (const Fixture *fixture)
{
  if (is_open (fixture->guarded))
    return 1;
  if (!is_open (fixture->unguarded))
    return 2;
  if (!is_open (fixture->plain))
    return 3;
  return 0;
}

static void
test_closed_in_child (IpcTest *test)
{
  Fixture fixture = { open_any (), open_any (), open_any (), 0 };

  ipc_fork_guard_fd (fixture.guarded);
  ipc_fork_guard_fd (fixture.unguarded);
  ipc_fork_unguard_fd (fixture.unguarded);
  assert_in_child (look_in_child, &fixture);
  /* nothing happened to the parent's, and the next child gets no more */
  g_assert_true (is_open (fixture.guarded));
  assert_in_child (look_in_child, &fixture);
  ipc_fork_unguard_fd (fixture.guarded);
  close (fixture.guarded);
  close (fixture.unguarded);
  close (fixture.plain);
}

/* In the child the number is free; what it is used for there is not the parent's any more. */
static int
reuse_in_child (const Fixture *fixture)
{
  int status;
  pid_t grandchild;

  if (dup2 (fixture->plain, fixture->guarded) != fixture->guarded)
    return 1;
  grandchild = fork ();
  if (grandchild == 0)
    _exit (is_open (fixture->guarded) ? 0 : 2);
  if (waitpid (grandchild, &status, 0) != grandchild || !WIFEXITED (status))
    return 3;
  return WEXITSTATUS (status);
}

static void
test_number_is_free_in_child (IpcTest *test)
{
  Fixture fixture = { open_any (), -1, open_any (), 0 };

  ipc_fork_guard_fd (fixture.guarded);
  assert_in_child (reuse_in_child, &fixture);
  ipc_fork_unguard_fd (fixture.guarded);
  close (fixture.guarded);
  close (fixture.plain);
}

/* Each word of the bitmap, and chunks that have to be made. */
static int
look_at_many (const Fixture *fixture)
{
  for (int fd = fixture->guarded; fd < fixture->unguarded; fd++)
    {
      if (is_open (fd) == (fd % 3 == 0))
        return 1;
    }
  return 0;
}

static void
check_range (int first, int n)
{
  Fixture fixture = { .guarded = first, .unguarded = first + n };
  int original = open_any ();

  for (int fd = first; fd < first + n; fd++)
    {
      g_assert_cmpint (dup3 (original, fd, O_CLOEXEC), ==, fd);
      if (fd % 3 == 0)
        ipc_fork_guard_fd (fd);
    }
  assert_in_child (look_at_many, &fixture);
  for (int fd = first; fd < first + n; fd++)
    {
      if (fd % 3 == 0)
        ipc_fork_unguard_fd (fd);
      close (fd);
    }
  close (original);
}

#define HIGHEST 70000

/* Root may have more than it was given. */
static gboolean
allow_high_numbers (const struct rlimit *given)
{
  struct rlimit raised = { MAX (given->rlim_max, HIGHEST), MAX (given->rlim_max, HIGHEST) };

  if (setrlimit (RLIMIT_NOFILE, &raised) == 0)
    return TRUE;
  raised = (struct rlimit) { given->rlim_max, given->rlim_max };
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &raised));
  return FALSE;
}

static void
test_words (IpcTest *test)
{
  check_range (300, 200);
}

static void
test_chunks (IpcTest *test)
{
  struct rlimit given;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &given));
  if (allow_high_numbers (&given))
    {
      check_range (32768 - 70, 140);
      check_range (65536 - 5, 10);
      check_range (HIGHEST - 3, 3);
    }
  else
    {
      g_test_skip_printf ("needs %d descriptors, %lu are allowed", HIGHEST, (unsigned long) given.rlim_max);
    }
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &given));
}

/* ── Generations ── */

static int
count_in_child (const Fixture *fixture)
{
  int status;
  pid_t grandchild;

  if (ipc_fork_generation () != fixture->generation + 1)
    return 1;
  grandchild = fork ();
  if (grandchild == 0)
    _exit (ipc_fork_generation () == fixture->generation + 2 ? 0 : 2);
  if (waitpid (grandchild, &status, 0) != grandchild || !WIFEXITED (status))
    return 3;
  return WEXITSTATUS (status);
}

static void
test_generation (IpcTest *test)
{
  Fixture fixture = { .generation = ipc_fork_generation () };

  assert_in_child (count_in_child, &fixture);
  assert_in_child (count_in_child, &fixture);
  g_assert_cmpuint (ipc_fork_generation (), ==, fixture.generation);
}

/* ── Threads ── */

typedef struct
{
  int first; /* of the numbers that this thread guards; nothing is open there */
  gint *stop;
} Worker;

static gpointer
guard_in_thread (gpointer data)
{
  Worker *self = data;

  while (!g_atomic_int_get (self->stop))
    {
      for (int i = 0; i < 16; i++)
        ipc_fork_guard_fd (self->first + i * 32768);
      for (int i = 0; i < 16; i++)
        ipc_fork_unguard_fd (self->first + i * 32768);
    }
  return NULL;
}

/* Threads share words and race to make chunks, while the process forks; a guarded descriptor is never missed. */
static void
test_threads (IpcTest *test)
{
  Fixture fixture = { open_any (), open_any (), open_any (), 0 };
  gint stop = 0;
  Worker workers[4];
  GThread *threads[4];

  ipc_fork_guard_fd (fixture.guarded);
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    {
      workers[i] = (Worker) { 1024 + (int) i, &stop };
      threads[i] = g_thread_new ("guard", guard_in_thread, &workers[i]);
    }
  for (guint i = 0; i < 100; i++)
    assert_in_child (look_in_child, &fixture);
  g_atomic_int_set (&stop, 1);
  for (guint i = 0; i < G_N_ELEMENTS (workers); i++)
    g_thread_join (threads[i]);
  ipc_fork_unguard_fd (fixture.guarded);
  close (fixture.guarded);
  close (fixture.unguarded);
  close (fixture.plain);
}

/* What is open between holding and releasing is never seen by a child that has it not closed. */
typedef struct
{
  const char *path;
  dev_t device;
  ino_t inode;
  gint *stop;
} Opener;

static gpointer
open_in_thread (gpointer data)
{
  Opener *self = data;

  while (!g_atomic_int_get (self->stop))
    {
      int fd;

      ipc_fork_hold ();
      fd = open (self->path, O_RDONLY | O_CLOEXEC);
      /* the window, wide open */
      g_usleep (50);
      ipc_fork_guard_fd (fd);
      ipc_fork_release ();
      ipc_fork_close (fd);
      fd = ipc_fork_open (open (self->path, O_RDONLY | O_CLOEXEC));
      ipc_fork_close (fd);
    }
  return NULL;
}

static int
count_leaked (const Opener *opener)
{
  struct stat status;
  int n = 0;

  for (int fd = 0; fd < 200; fd++)
    n += fstat (fd, &status) == 0 && status.st_dev == opener->device && status.st_ino == opener->inode;
  return n;
}

static void
test_held (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "file");
  struct stat status;
  gint stop = 0;
  Opener opener = { path, 0, 0, &stop };
  GThread *threads[2];

  g_assert_true (g_file_set_contents (path, "", 0, NULL));
  g_assert_no_errno (stat (path, &status));
  opener.device = status.st_dev;
  opener.inode = status.st_ino;
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("open", open_in_thread, &opener);
  for (guint i = 0; i < 300; i++)
    {
      int result;
      pid_t child = fork ();

      if (child == 0)
        _exit (count_leaked (&opener));
      g_assert_cmpint (waitpid (child, &result, 0), ==, child);
      g_assert_cmpint (result, ==, 0);
    }
  g_atomic_int_set (&stop, 1);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/fork/closed-in-child", test_closed_in_child);
  ipc_test_add ("/core/fork/number-is-free-in-child", test_number_is_free_in_child);
  ipc_test_add ("/core/fork/words", test_words);
  ipc_test_add ("/core/fork/chunks", test_chunks);
  ipc_test_add ("/core/fork/generation", test_generation);
  ipc_test_add ("/core/fork/threads", test_threads);
  ipc_test_add ("/core/fork/held", test_held);
  return ipc_test_run ();
}
