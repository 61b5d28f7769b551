/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Maps of files that become shorter: they read as zero, are known to be broken, and nobody dies of it. */
#include "core/ipc-guard.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test.h"

#define PAGES 8u

typedef struct
{
  int fd;
  gsize page;
  gsize size;
  volatile guint8 *bytes;
  IpcGuard *guard;
} Map;

static void
map_init (Map *map, gboolean guarded)
{
  map->page = (gsize) sysconf (_SC_PAGESIZE);
  map->size = PAGES * map->page;
  map->fd = memfd_create ("test", MFD_CLOEXEC);
  g_assert_no_errno (map->fd);
  g_assert_no_errno (ftruncate (map->fd, (off_t) map->size));
  map->bytes = mmap (NULL, map->size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
  g_assert_true (map->bytes != MAP_FAILED);
  memset ((void *) map->bytes, 7, map->size);
  map->guard = guarded ? ipc_guard_map ((void *) map->bytes, map->size) : NULL;
}

static void
map_clear (Map *map)
{
  ipc_guard_unmap (map->guard);
  munmap ((void *) map->bytes, map->size);
  close (map->fd);
}

static void
test_truncated (IpcTest *test)
{
  Map map, other;

  map_init (&map, TRUE);
  map_init (&other, TRUE);
  g_assert_no_errno (ftruncate (map.fd, (off_t) (3 * map.page)));
  g_assert_cmpuint (map.bytes[3 * map.page - 1], ==, 7);
  g_assert_false (ipc_guard_is_broken (map.guard));
  g_assert_cmpuint (map.bytes[5 * map.page + 11], ==, 0);
  g_assert_true (ipc_guard_is_broken (map.guard));
  /* What was not cut off is still there, and so is the rest of the cut. */
  g_assert_cmpuint (map.bytes[0], ==, 7);
  g_assert_cmpuint (map.bytes[3 * map.page], ==, 0);
  map.bytes[4 * map.page] = 1;
  g_assert_cmpuint (map.bytes[4 * map.page], ==, 1);
  g_assert_false (ipc_guard_is_broken (other.guard));
  g_assert_cmpuint (other.bytes[0], ==, 7);
  map_clear (&map);
  map_clear (&other);
}

/* Somebody else cuts it off and makes it long again, all the time. */
static gpointer
cut (gpointer data)
{
  Map *map = data;

  for (guint i = 0; i < 2000; i++)
    {
      g_assert_no_errno (ftruncate (map->fd, 0));
      g_assert_no_errno (ftruncate (map->fd, (off_t) map->size));
    }
  return NULL;
}

static void
test_cut_all_the_time (IpcTest *test)
{
  guint n_broken = 0;

  for (guint i = 0; i < 20; i++)
    {
      g_autofree guint8 *copy = NULL;
      GThread *thread;
      Map map;

      map_init (&map, TRUE);
      copy = g_malloc (map.size);
      thread = g_thread_new ("cut", cut, &map);
      for (guint k = 0; k < 200; k++)
        {
          memcpy (copy, (void *) map.bytes, map.size);
          memcpy ((void *) map.bytes, copy, map.size);
        }
      g_thread_join (thread);
      n_broken += ipc_guard_is_broken (map.guard);
      map_clear (&map);
    }
  g_test_message ("%u of 20 broke", n_broken);
}

static void
test_many (IpcTest *test)
{
  g_autofree Map *maps = g_new0 (Map, 200);

  for (guint i = 0; i < 200; i++)
    map_init (&maps[i], TRUE);
  for (guint i = 0; i < 200; i += 2)
    map_clear (&maps[i]);
  for (guint i = 0; i < 200; i += 2)
    map_init (&maps[i], TRUE);
  for (guint i = 0; i < 200; i++)
    {
      g_assert_no_errno (ftruncate (maps[i].fd, 0));
      g_assert_cmpuint (maps[i].bytes[i], ==, 0);
      g_assert_true (ipc_guard_is_broken (maps[i].guard));
    }
  for (guint i = 0; i < 200; i++)
    map_clear (&maps[i]);
}

/* ── What is in no guarded map ── */

static int
touch_what_is_gone (gboolean guard_another)
{
  Map map, other;

  map_init (&map, FALSE);
  if (guard_another)
    map_init (&other, TRUE);
  if (ftruncate (map.fd, 0) != 0)
    _exit (3);
  return map.bytes[0];
}

static void
own_handler (int number)
{
  _exit (42);
}

static int
run_child (gboolean with_handler)
{
  pid_t pid = fork ();
  int status;

  if (pid == 0)
    {
      if (with_handler)
        signal (SIGBUS, own_handler);
      _exit (touch_what_is_gone (TRUE));
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return status;
}

/* Must come first: the handler stays once it is there. */
static void
test_others (IpcTest *test)
{
  int status = run_child (FALSE);

#ifndef __SANITIZE_ADDRESS__
  g_assert_true (WIFSIGNALED (status));
  g_assert_cmpint (WTERMSIG (status), ==, SIGBUS);
#else
  g_assert_false (WIFEXITED (status) && WEXITSTATUS (status) == 0);
#endif
  status = run_child (TRUE);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 42);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/guard/others", test_others);
  ipc_test_add ("/core/guard/truncated", test_truncated);
  ipc_test_add ("/core/guard/cut-all-the-time", test_cut_all_the_time);
  ipc_test_add ("/core/guard/many", test_many);
  return ipc_test_run ();
}
