/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who owns a path: one of several processes, until it dies, and never by accident.
 */
#include "core/ipc-path-lock.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test.h"

#define UNTOUCHED (-77)
#define OTHER_UID 65534

/* ── Helpers ── */

static int
open_directory (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_assert_no_errno (fd);
  return fd;
}

static int
acquire (int directory_fd, const char *basename)
{
  IpcFault fault = { 0 };
  int fd = UNTOUCHED;

  if (!ipc_path_lock_acquire (directory_fd, basename, &fd, &fault))
    g_error ("%s", fault.message);
  return fd;
}

static void
assert_refused (int directory_fd, const char *basename, IpcFaultCode code, const char *text)
{
  IpcFault fault = { 0 };
  int fd = UNTOUCHED;

  g_assert_false (ipc_path_lock_acquire (directory_fd, basename, &fd, &fault));
  g_assert_cmpint (fd, ==, UNTOUCHED);
  g_assert_cmpint (fault.code, ==, code);
  if (strstr (fault.message, text) == NULL)
    g_error ("\"%s\" is not in \"%s\"", text, fault.message);
  g_assert_false (ipc_path_lock_acquire (directory_fd, basename, &fd, NULL));
}

static char *
read_at (IpcTest *test, const char *name)
{
  g_autofree char *path = ipc_test_path (test, name);
  char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

static void
write_at (IpcTest *test, const char *name, const char *text)
{
  g_autofree char *path = ipc_test_path (test, name);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

/* ── One process ── */

static void
test_acquire (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  g_autofree char *expected = g_strdup_printf ("%d %s\n", getpid (), program_invocation_short_name);
  g_autofree char *label = NULL;
  struct stat info;
  mode_t old = umask (0);
  int fd = acquire (directory_fd, "name");

  umask (old);
  label = read_at (test, ".name.lock");
  g_assert_cmpstr (label, ==, expected);
  g_assert_no_errno (fstatat (directory_fd, ".name.lock", &info, AT_SYMLINK_NOFOLLOW));
  g_assert_cmphex (info.st_mode, ==, S_IFREG | 0600);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_true (ipc_path_lock_is_held (directory_fd, "name"));
  g_assert_false (ipc_path_lock_is_held (directory_fd, "other"));

  ipc_path_lock_release (fd);
  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  /* the file stays, and labels nobody */
  g_assert_no_errno (fstatat (directory_fd, ".name.lock", &info, AT_SYMLINK_NOFOLLOW));
  g_assert_cmpint (info.st_size, ==, 0);
  ipc_path_lock_release (acquire (directory_fd, "name"));
  close (directory_fd);
}

static void
test_is_held_makes_nothing (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  struct stat info;

  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  g_assert_false (ipc_path_lock_is_held (directory_fd, ""));
  g_assert_cmpint (fstatat (directory_fd, ".name.lock", &info, 0), <, 0);
  g_assert_cmpint (errno, ==, ENOENT);
  close (directory_fd);
}

static void
test_twice (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  g_autofree char *text = g_strdup_printf ("name is owned by process %d (%s)",
                                           getpid (), program_invocation_short_name);
  int fd = acquire (directory_fd, "name");

  assert_refused (directory_fd, "name", IPC_FAULT_ADDRESS_IN_USE, text);
  /* the refused one has not touched the owner's */
  assert_refused (directory_fd, "name", IPC_FAULT_ADDRESS_IN_USE, text);
  ipc_path_lock_release (fd);
  close (directory_fd);
}

/* The label is only a hint; whatever it says, the message is printable. */
static void
test_labels (IpcTest *test)
{
  static const struct
  {
    const char *label, *shown;
  } cases[] = {
    { "", "name is owned by another process" },
    { "x\n", "name is owned by another process" },
    { "-4 evil\n", "name is owned by another process" },
    { "+4 evil\n", "name is owned by another process" },
    { "12345", "name is owned by another process" },
    { "99999999999999999999999 \n", "name is owned by process 9223372036854775807 ()" },
    { "12 a b\nc", "name is owned by process 12 (a b)" },
    { "12 \x1b[31m\xff\\\n", "name is owned by process 12 (\\x1b[31m\\xff\\x5c)" },
  };
  int directory_fd = open_directory (test->directory);
  int fd = acquire (directory_fd, "name");

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_assert_no_errno (ftruncate (fd, 0));
      g_assert_cmpint (pwrite (fd, cases[i].label, strlen (cases[i].label), 0), ==, (gssize) strlen (cases[i].label));
      assert_refused (directory_fd, "name", IPC_FAULT_ADDRESS_IN_USE, cases[i].shown);
    }
  ipc_path_lock_release (fd);
  close (directory_fd);
}

static void
test_basenames (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  g_autofree char *longest = g_strnfill (249, 'n');
  g_autofree char *longer = g_strnfill (250, 'n');
  int fd;

  assert_refused (directory_fd, "", IPC_FAULT_INVALID_ARGUMENT, "\"\"");
  assert_refused (directory_fd, "a/b", IPC_FAULT_INVALID_ARGUMENT, "a/b");
  assert_refused (directory_fd, "../b", IPC_FAULT_INVALID_ARGUMENT, "../b");
  assert_refused (directory_fd, longer, IPC_FAULT_TOO_LARGE, "a name of 250 bytes, the limit beside a lock is 249");
  ipc_path_lock_release (acquire (directory_fd, longest));
  fd = acquire (directory_fd, "\xff\n");
  assert_refused (directory_fd, "\xff\n", IPC_FAULT_ADDRESS_IN_USE, "\\xff\\x0a is owned by process");
  ipc_path_lock_release (fd);
  close (directory_fd);
}

/* ── What else may be there ── */

static void
test_symlink (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  g_autofree char *kept = NULL;
  struct stat info;

  write_at (test, "target", "kept");
  g_assert_no_errno (symlinkat ("target", directory_fd, ".name.lock"));
  g_assert_no_errno (symlinkat ("nowhere", directory_fd, ".dangling.lock"));
  assert_refused (directory_fd, "name", IPC_FAULT_UNSAFE_PATH, ".name.lock is a symbolic link");
  assert_refused (directory_fd, "dangling", IPC_FAULT_UNSAFE_PATH, ".dangling.lock is a symbolic link");
  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  kept = read_at (test, "target");
  g_assert_cmpstr (kept, ==, "kept");
  g_assert_cmpint (fstatat (directory_fd, "nowhere", &info, 0), <, 0);
  close (directory_fd);
}

static void
test_hard_link (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  g_autofree char *kept = NULL;

  write_at (test, "target", "kept");
  g_assert_no_errno (linkat (directory_fd, "target", directory_fd, ".name.lock", 0));
  assert_refused (directory_fd, "name", IPC_FAULT_UNSAFE_PATH, "has 2 links, expected 1");
  kept = read_at (test, "target");
  g_assert_cmpstr (kept, ==, "kept");
  close (directory_fd);
}

static void
test_wrong_type (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);

  g_assert_no_errno (mkdirat (directory_fd, ".directory.lock", 0700));
  g_assert_no_errno (mkfifoat (directory_fd, ".pipe.lock", 0600));
  assert_refused (directory_fd, "directory", IPC_FAULT_WRONG_TYPE, "is a directory, expected a regular file");
  assert_refused (directory_fd, "pipe", IPC_FAULT_WRONG_TYPE, "is a named pipe, expected a regular file");
  g_assert_false (ipc_path_lock_is_held (directory_fd, "directory"));
  g_assert_false (ipc_path_lock_is_held (directory_fd, "pipe"));
  close (directory_fd);
}

static void
test_other_owner (IpcTest *test)
{
  int directory_fd;

  if (!ipc_test_need_root ())
    return;
  directory_fd = open_directory (test->directory);
  write_at (test, ".name.lock", "1 init\n");
  g_assert_no_errno (fchownat (directory_fd, ".name.lock", OTHER_UID, (gid_t) -1, 0));
  assert_refused (directory_fd, "name", IPC_FAULT_UNSAFE_PATH, "owner 65534, expected 0");
  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  close (directory_fd);
}

/* A lock file that a cleaner took away is no lock any more; the one that is there now is. */
static void
test_replaced (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  int first = acquire (directory_fd, "name");
  int second;

  g_assert_no_errno (unlinkat (directory_fd, ".name.lock", 0));
  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  second = acquire (directory_fd, "name");
  g_assert_true (ipc_path_lock_is_held (directory_fd, "name"));
  ipc_path_lock_release (first);
  g_assert_true (ipc_path_lock_is_held (directory_fd, "name"));
  ipc_path_lock_release (second);
  close (directory_fd);
}

/* ── Several processes ── */

/* Takes each lock that it is told the name of, and says how it went; an empty line releases the last one. */
static int
run_taker (char **arguments)
{
  int directory_fd = open_directory (arguments[0]);
  int fd = -1;

  for (;;)
    {
      g_autofree char *name = ipc_test_hear ();
      IpcFault fault = { 0 };

      if (name == NULL)
        return 0;
      if (*name == '\0')
        {
          if (fd >= 0)
            ipc_path_lock_release (fd);
          fd = -1;
          ipc_test_tell ("released");
        }
      else if (ipc_path_lock_acquire (directory_fd, name, &fd, &fault))
        ipc_test_tell ("taken");
      else
        ipc_test_tell ("%d %s", fault.code, fault.message);
    }
}

static IpcTestPeer *
spawn_taker (IpcTest *test)
{
  return ipc_test_peer_spawn ("taker", (const char *[]) { test->directory, NULL });
}

static void
test_killed (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  g_autoptr(IpcTestPeer) peer = spawn_taker (test);
  g_autofree char *text = g_strdup_printf ("name is owned by process %d (", ipc_test_peer_get_pid (peer));

  ipc_test_peer_write_line (peer, "name");
  ipc_test_peer_expect (peer, "taken");
  g_assert_true (ipc_path_lock_is_held (directory_fd, "name"));
  assert_refused (directory_fd, "name", IPC_FAULT_ADDRESS_IN_USE, text);
  /* stopped is not dead */
  ipc_test_peer_signal (peer, SIGSTOP);
  assert_refused (directory_fd, "name", IPC_FAULT_ADDRESS_IN_USE, text);
  ipc_test_peer_kill (peer);
  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  ipc_path_lock_release (acquire (directory_fd, "name"));
  close (directory_fd);
}

static gboolean
is_taken (IpcTestPeer *peer)
{
  g_autofree char *line = ipc_test_peer_read_line (peer);
  g_autofree char *refusal = g_strdup_printf ("%d ", IPC_FAULT_ADDRESS_IN_USE);

  g_assert_nonnull (line);
  if (g_str_equal (line, "taken"))
    return TRUE;
  g_assert_true (g_str_has_prefix (line, refusal));
  return FALSE;
}

/* Two start at the same time, again and again: never both, never neither. */
static void
test_contention (IpcTest *test)
{
  g_autoptr(IpcTestPeer) a = spawn_taker (test);
  g_autoptr(IpcTestPeer) b = spawn_taker (test);
  guint n_by_a = 0;

  for (guint i = 0; i < 500; i++)
    {
      g_autofree char *name = g_strdup_printf ("name-%u", i % 10);
      gboolean by_a, by_b;

      ipc_test_peer_write_line (a, name);
      ipc_test_peer_write_line (b, name);
      by_a = is_taken (a);
      by_b = is_taken (b);
      g_assert_cmpint (by_a + by_b, ==, 1);
      n_by_a += by_a;
      ipc_test_peer_write_line (by_a ? a : b, "");
      ipc_test_peer_expect (by_a ? a : b, "released");
    }
  g_test_message ("the first one won %u of 500", n_by_a);
}

static int
run_looker (char **arguments)
{
  int directory_fd = open_directory (arguments[0]);

  ipc_test_tell ("looking");
  while (getppid () > 1)
    ipc_path_lock_is_held (directory_fd, "name");
  return 0;
}

/* That somebody only looks must never make a server believe that its address is in use. */
static void
test_looks_do_not_refuse (IpcTest *test)
{
  const char *arguments[] = { test->directory, NULL };
  g_autoptr(IpcTestPeer) a = ipc_test_peer_spawn ("looker", arguments);
  g_autoptr(IpcTestPeer) b = ipc_test_peer_spawn ("looker", arguments);
  int directory_fd = open_directory (test->directory);

  ipc_test_peer_expect (a, "looking");
  ipc_test_peer_expect (b, "looking");
  for (guint i = 0; i < 1000; i++)
    ipc_path_lock_release (acquire (directory_fd, "name"));
  ipc_test_peer_kill (a);
  ipc_test_peer_kill (b);
  close (directory_fd);
}

/* ── Forks ── */

/* Holds the lock, and has a child that lives on and did not exec. */
static int
run_parent (char **arguments)
{
  int directory_fd = open_directory (arguments[0]);
  int fd = acquire (directory_fd, "name");
  pid_t child = fork ();

  if (child == 0)
    {
      ipc_test_tell ("%s", fcntl (fd, F_GETFD) < 0 && errno == EBADF ? "closed" : "kept");
      /* nobody else ends it if the test fails */
      alarm (60);
      pause ();
      return 1;
    }
  ipc_test_tell ("%d", child);
  pause ();
  return 1;
}

static pid_t
read_child (IpcTestPeer *peer)
{
  pid_t child = 0;

  /* in either order */
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *line = ipc_test_peer_read_line (peer);

      if (!g_str_equal (line, "closed"))
        child = (pid_t) g_ascii_strtoll (line, NULL, 10);
    }
  g_assert_cmpint (child, >, 0);
  return child;
}

static void
test_forked_child (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  g_autoptr(IpcTestPeer) peer = NULL;
  pid_t child;

  /* the orphan becomes ours to reap */
  g_assert_no_errno (prctl (PR_SET_CHILD_SUBREAPER, 1));
  peer = ipc_test_peer_spawn ("parent", (const char *[]) { test->directory, NULL });
  child = read_child (peer);
  g_assert_true (ipc_path_lock_is_held (directory_fd, "name"));
  ipc_test_peer_kill (peer);
  g_assert_no_errno (kill (child, 0));
  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  ipc_path_lock_release (acquire (directory_fd, "name"));
  g_assert_no_errno (kill (child, SIGKILL));
  g_assert_cmpint (waitpid (child, NULL, 0), ==, child);
  g_assert_no_errno (prctl (PR_SET_CHILD_SUBREAPER, 0));
  close (directory_fd);
}

/* A look that never ends is no owner either; in the end it is called by its name. */
static void
test_endless_look (IpcTest *test)
{
  int directory_fd = open_directory (test->directory);
  int look;

  ipc_path_lock_release (acquire (directory_fd, "name"));
  look = openat (directory_fd, ".name.lock", O_RDONLY | O_CLOEXEC);
  g_assert_no_errno (flock (look, LOCK_SH));
  g_assert_false (ipc_path_lock_is_held (directory_fd, "name"));
  assert_refused (directory_fd, "name", IPC_FAULT_ADDRESS_IN_USE, "was never free in 200 attempts");
  close (look);
  ipc_path_lock_release (acquire (directory_fd, "name"));
  close (directory_fd);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = {
    { "taker", run_taker }, { "looker", run_looker }, { "parent", run_parent }, { NULL, NULL }
  };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/core/path-lock/acquire", test_acquire);
  ipc_test_add ("/core/path-lock/is-held-makes-nothing", test_is_held_makes_nothing);
  ipc_test_add ("/core/path-lock/twice", test_twice);
  ipc_test_add ("/core/path-lock/labels", test_labels);
  ipc_test_add ("/core/path-lock/basenames", test_basenames);
  ipc_test_add ("/core/path-lock/symlink", test_symlink);
  ipc_test_add ("/core/path-lock/hard-link", test_hard_link);
  ipc_test_add ("/core/path-lock/wrong-type", test_wrong_type);
  ipc_test_add ("/core/path-lock/other-owner", test_other_owner);
  ipc_test_add ("/core/path-lock/replaced", test_replaced);
  ipc_test_add ("/core/path-lock/killed", test_killed);
  ipc_test_add ("/core/path-lock/contention", test_contention);
  ipc_test_add ("/core/path-lock/looks-do-not-refuse", test_looks_do_not_refuse);
  ipc_test_add ("/core/path-lock/endless-look", test_endless_look);
  ipc_test_add ("/core/path-lock/forked-child", test_forked_child);
  return ipc_test_run ();
}
