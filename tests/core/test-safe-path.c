/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk to a directory: what is accepted, and what each kind of tampering is called.
 */
#include "core/ipc-safe-path.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc-test.h"

#define UNTOUCHED (-77)
#define OTHER_UID 65534

/* ── Helpers ── */

static void
make_directory (const char *path, mode_t mode)
{
  g_assert_no_errno (mkdir (path, 0700));
  /* not what the umask makes of it */
  g_assert_no_errno (chmod (path, mode));
}

static char *
make_child (IpcTest *test, const char *name, mode_t mode)
{
  char *path = ipc_test_path (test, name);

  make_directory (path, mode);
  return path;
}

static void
assert_opens (const char *path, IpcDirectoryPolicy policy, gboolean create)
{
  IpcFault fault = { 0 };
  struct stat opened, named;
  int fd = UNTOUCHED;

  if (!ipc_directory_open (path, policy, create, &fd, &fault))
    g_error ("%s: %s", path, fault.message);
  g_assert_no_errno (fstat (fd, &opened));
  g_assert_no_errno (stat (path, &named));
  g_assert_cmpuint (opened.st_ino, ==, named.st_ino);
  g_assert_cmpuint (opened.st_dev, ==, named.st_dev);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_PATH, ==, 0);
  close (fd);
}

static void
assert_fault (const IpcFault *fault, IpcFaultCode code, const char *text)
{
  g_assert_cmpint (fault->code, ==, code);
  if (strstr (fault->message, text) == NULL)
    g_error ("\"%s\" is not in \"%s\"", text, fault->message);
}

static void
assert_refused (const char *path, IpcDirectoryPolicy policy, gboolean create, IpcFaultCode code, const char *text)
{
  IpcFault fault = { 0 };
  int fd = UNTOUCHED;

  g_assert_false (ipc_directory_open (path, policy, create, &fd, &fault));
  g_assert_cmpint (fd, ==, UNTOUCHED);
  assert_fault (&fault, code, text);
  g_assert_false (ipc_directory_open (path, policy, create, &fd, NULL));
}

static void
assert_refused_errno (const char *path, gboolean create, int system_errno)
{
  IpcFault fault = { 0 };
  int fd = UNTOUCHED;

  g_assert_false (ipc_directory_open (path, IPC_DIRECTORY_PRIVATE, create, &fd, &fault));
  g_assert_cmpint (fd, ==, UNTOUCHED);
  g_assert_cmpint (fault.code, ==, IPC_FAULT_SYSTEM);
  g_assert_cmpint (fault.system_errno, ==, system_errno);
}

static char *
text_of (const char *path, const char *what)
{
  return g_strconcat (path, what, NULL);
}

/* ── The path itself ── */

static void
test_good (IpcTest *test)
{
  g_autofree char *doubled = g_strconcat ("//", test->directory, "///", NULL);

  assert_opens (test->directory, IPC_DIRECTORY_PRIVATE, FALSE);
  assert_opens (test->directory, IPC_DIRECTORY_TRUSTED, FALSE);
  assert_opens (doubled, IPC_DIRECTORY_PRIVATE, FALSE);
  assert_opens ("/", IPC_DIRECTORY_TRUSTED, FALSE);
  assert_opens ("///", IPC_DIRECTORY_TRUSTED, TRUE);
}

static void
test_not_absolute (IpcTest *test)
{
  assert_refused (NULL, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_INVALID_ARGUMENT, "\"\" is not absolute");
  assert_refused ("", IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_INVALID_ARGUMENT, "\"\" is not absolute");
  assert_refused ("tmp", IPC_DIRECTORY_TRUSTED, FALSE, IPC_FAULT_INVALID_ARGUMENT, "\"tmp\" is not absolute");
  assert_refused ("./\n", IPC_DIRECTORY_TRUSTED, FALSE, IPC_FAULT_INVALID_ARGUMENT, "\"./\\x0a\" is not absolute");
}

static void
test_dots (IpcTest *test)
{
  static const char *const ends[] = { "/..", "/.", "/../x", "/./x", "/x/../y" };

  g_free (make_child (test, "x", 0700));
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      g_autofree char *path = text_of (test->directory, ends[i]);

      assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, "a component is \".");
    }
}

static void
test_long_component (IpcTest *test)
{
  g_autofree char *name = g_strnfill (256, 'n');
  g_autofree char *path = ipc_test_path (test, name);
  g_autofree char *below = text_of (path, "/below");

  assert_refused_errno (path, TRUE, ENAMETOOLONG);
  assert_refused_errno (below, TRUE, ENAMETOOLONG);
  assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_SYSTEM, "256 bytes, the limit is 255");
}

/* Longer than the kernel takes in one piece; the message shows the end, where the trouble is. */
static void
test_long_path (IpcTest *test)
{
  g_autofree char *name = g_strnfill (250, 'd');
  g_autoptr(GString) path = g_string_new (test->directory);
  int fd = UNTOUCHED;

  for (guint i = 0; i < 20; i++)
    {
      g_string_append_printf (path, "/%s", name);
      g_assert_true (ipc_directory_open (path->str, IPC_DIRECTORY_PRIVATE, true, &fd, NULL));
      close (fd);
    }
  g_assert_cmpuint (path->len, >, 4096);
  g_string_append (path, "/\xff/..");
  assert_refused_errno (path->str, FALSE, ENOENT);
  assert_refused (path->str, IPC_DIRECTORY_PRIVATE, FALSE, IPC_FAULT_SYSTEM, "d/\\xff");
}

/* ── Making it ── */

static void
assert_made (const char *path, mode_t mask)
{
  struct stat info;
  mode_t old = umask (mask);

  assert_opens (path, IPC_DIRECTORY_PRIVATE, TRUE);
  umask (old);
  g_assert_no_errno (stat (path, &info));
  g_assert_cmphex (info.st_mode & 07777, ==, 0700);
}

static void
test_create (IpcTest *test)
{
  g_autofree char *a = ipc_test_path (test, "a");
  g_autofree char *b = ipc_test_path (test, "b//");
  g_autofree char *c = ipc_test_path (test, "c");
  g_autofree char *d = ipc_test_path (test, "d");

  assert_refused_errno (a, FALSE, ENOENT);
  g_assert_false (g_file_test (a, G_FILE_TEST_EXISTS));
  assert_made (a, 0);
  assert_made (a, 0);
  assert_made (b, 077);
  assert_made (c, 0277);
  g_assert_true (g_file_test (test->directory, G_FILE_TEST_IS_DIR));
  assert_opens (a, IPC_DIRECTORY_TRUSTED, TRUE);
  assert_opens (d, IPC_DIRECTORY_TRUSTED, TRUE);
}

static void
test_create_only_last (IpcTest *test)
{
  g_autofree char *parent = ipc_test_path (test, "parent");
  g_autofree char *child = ipc_test_path (test, "parent/child");

  assert_refused_errno (child, TRUE, ENOENT);
  g_assert_false (g_file_test (parent, G_FILE_TEST_EXISTS));
}

/* ── Symbolic links ── */

static void
test_symlink_last (IpcTest *test)
{
  g_autofree char *target = make_child (test, "target", 0700);
  g_autofree char *path = ipc_test_path (test, "link");
  g_autofree char *text = text_of (path, " is a symbolic link");
  g_autofree char *slash = text_of (path, "/");

  g_assert_no_errno (symlink (target, path));
  assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, text);
  assert_refused (path, IPC_DIRECTORY_TRUSTED, FALSE, IPC_FAULT_UNSAFE_PATH, text);
  assert_refused (slash, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, text);
}

static void
test_symlink_dangling (IpcTest *test)
{
  g_autofree char *target = ipc_test_path (test, "target");
  g_autofree char *path = ipc_test_path (test, "link");
  g_autofree char *loop = ipc_test_path (test, "loop");

  g_assert_no_errno (symlink (target, path));
  g_assert_no_errno (symlink ("loop", loop));
  assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, "link is a symbolic link");
  assert_refused (loop, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, "loop is a symbolic link");
  g_assert_false (g_file_test (target, G_FILE_TEST_EXISTS));
}

static void
test_symlink_parent (IpcTest *test)
{
  g_autofree char *target = make_child (test, "target", 0700);
  g_autofree char *link_path = ipc_test_path (test, "link");
  g_autofree char *path = ipc_test_path (test, "link/child");
  g_autofree char *made = ipc_test_path (test, "target/child");
  g_autofree char *text = text_of (link_path, " is a symbolic link");

  g_assert_no_errno (symlink (target, link_path));
  assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, text);
  assert_refused (path, IPC_DIRECTORY_TRUSTED, TRUE, IPC_FAULT_UNSAFE_PATH, text);
  g_assert_false (g_file_test (made, G_FILE_TEST_EXISTS));
}

typedef struct
{
  int directory_fd;
  gint stop; /* (atomic) */
} Swapper;

static gpointer
swap_in_thread (gpointer data)
{
  Swapper *self = data;

  while (!g_atomic_int_get (&self->stop))
    g_assert_no_errno (renameat2 (self->directory_fd, "real", self->directory_fd, "trap", RENAME_EXCHANGE));
  return NULL;
}

static ino_t
inode_of (int fd)
{
  struct stat info;

  g_assert_no_errno (fstat (fd, &info));
  return info.st_ino;
}

/* The name is now the directory, now a link to another one. Whatever the moment, the other one is never opened. */
static void
test_symlink_race (IpcTest *test)
{
  g_autofree char *good = make_child (test, "real", 0700);
  g_autofree char *evil = make_child (test, "evil", 0700);
  g_autofree char *trap = ipc_test_path (test, "trap");
  Swapper swapper = { .directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
  int good_fd = open (good, O_PATH | O_CLOEXEC);
  ino_t inode = inode_of (good_fd);
  GThread *thread;
  guint n_refused = 0;

  g_assert_no_errno (symlink (evil, trap));
  thread = g_thread_new ("swapper", swap_in_thread, &swapper);
  for (guint i = 0; i < 3000; i++)
    {
      IpcFault fault = { 0 };
      int fd;

      if (ipc_directory_open (good, IPC_DIRECTORY_PRIVATE, true, &fd, &fault))
        {
          g_assert_cmpuint (inode_of (fd), ==, inode);
          close (fd);
        }
      else
        {
          /* that it was a link is seen in a second look, which may come too late */
          g_assert_true (fault.code == IPC_FAULT_UNSAFE_PATH || fault.system_errno == ENOTDIR);
          n_refused++;
        }
    }
  g_atomic_int_set (&swapper.stop, 1);
  g_thread_join (thread);
  close (good_fd);
  close (swapper.directory_fd);
  g_test_message ("refused %u of 3000", n_refused);
}

/* ── Other types ── */

static void
test_wrong_type (IpcTest *test)
{
  g_autofree char *file = ipc_test_path (test, "file");
  g_autofree char *below = ipc_test_path (test, "file/below");
  g_autofree char *pipe_path = ipc_test_path (test, "pipe");

  g_assert_true (g_file_set_contents (file, "kept", -1, NULL));
  g_assert_no_errno (mkfifo (pipe_path, 0600));
  assert_refused (file, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_WRONG_TYPE,
                  "file is a regular file, expected a directory");
  assert_refused (below, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_WRONG_TYPE, "file is a regular file");
  assert_refused (pipe_path, IPC_DIRECTORY_TRUSTED, TRUE, IPC_FAULT_WRONG_TYPE, "pipe is a named pipe");
  g_assert_true (g_file_test (file, G_FILE_TEST_IS_REGULAR));
}

/* ── Modes ── */

static void
test_private_modes (IpcTest *test)
{
  static const mode_t modes[] = { 0777, 0755, 0750, 0710, 0701, 0500, 0600, 01777, 0770, 0707 };
  g_autofree char *path = make_child (test, "child", 0700);

  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    {
      g_autofree char *text = g_strdup_printf ("/child: mode %04o, expected 0700", (guint) modes[i]);

      g_assert_no_errno (chmod (path, modes[i]));
      assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, text);
    }
  /* inherited from a parent that has it */
  g_assert_no_errno (chmod (path, 02700));
  assert_opens (path, IPC_DIRECTORY_PRIVATE, FALSE);
}

static void
test_trusted_modes (IpcTest *test)
{
  static const mode_t good[] = { 0700, 0755, 0775, 0770, 01777, 02755, 01773 };
  static const mode_t bad[] = { 0777, 0702, 0757, 02777 };
  g_autofree char *path = make_child (test, "child", 0700);

  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    {
      g_assert_no_errno (chmod (path, good[i]));
      assert_opens (path, IPC_DIRECTORY_TRUSTED, FALSE);
    }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *text = g_strdup_printf ("/child: mode %04o", (guint) bad[i]);

      g_assert_no_errno (chmod (path, bad[i]));
      assert_refused (path, IPC_DIRECTORY_TRUSTED, FALSE, IPC_FAULT_UNSAFE_PATH, text);
    }
}

static void
test_parent_modes (IpcTest *test)
{
  g_autofree char *parent = make_child (test, "parent", 0777);
  g_autofree char *path = ipc_test_path (test, "parent/child");
  g_autofree char *text = text_of (parent, ": mode 0777");

  assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, text);
  assert_refused (path, IPC_DIRECTORY_TRUSTED, TRUE, IPC_FAULT_UNSAFE_PATH, text);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_no_errno (chmod (parent, 01777));
  assert_opens (path, IPC_DIRECTORY_PRIVATE, TRUE);
  g_assert_no_errno (chmod (parent, 0775));
  assert_opens (path, IPC_DIRECTORY_PRIVATE, FALSE);
}

/* ── Owners ── */

static void
test_other_owner (IpcTest *test)
{
  g_autofree char *parent = NULL;
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;

  if (!ipc_test_need_root ())
    return;
  parent = make_child (test, "parent", 0700);
  path = make_child (test, "parent/child", 0700);
  g_assert_no_errno (chown (path, OTHER_UID, (gid_t) -1));
  assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, "/child: owner 65534, expected 0");
  assert_refused (path, IPC_DIRECTORY_TRUSTED, TRUE, IPC_FAULT_UNSAFE_PATH, "/child: owner 65534, expected 0");
  g_assert_no_errno (chown (path, 0, (gid_t) -1));
  g_assert_no_errno (chown (parent, OTHER_UID, (gid_t) -1));
  text = text_of (parent, ": owner 65534, expected 0");
  assert_refused (path, IPC_DIRECTORY_PRIVATE, TRUE, IPC_FAULT_UNSAFE_PATH, text);
  assert_refused (path, IPC_DIRECTORY_TRUSTED, TRUE, IPC_FAULT_UNSAFE_PATH, text);
}

/* As another user: what it may do with each of the directories. */
static int
run_other_user (char **arguments)
{
  for (guint i = 0; arguments[i]; i++)
    {
      IpcDirectoryPolicy policy = arguments[i][0] == 'p' ? IPC_DIRECTORY_PRIVATE : IPC_DIRECTORY_TRUSTED;
      IpcFault fault = { 0 };
      int fd;

      if (!ipc_directory_open (arguments[i] + 1, policy, true, &fd, &fault))
        ipc_test_tell ("%d %d %s", fault.code, fault.system_errno, strchr (fault.message, ':') + 2);
      else
        ipc_test_tell ("opened%s", fcntl (fd, F_GETFL) & O_PATH ? " for searching" : "");
    }
  return 0;
}

static void
expect_fault (IpcTestPeer *peer, IpcFaultCode code, int system_errno, const char *text)
{
  g_autofree char *line = g_strdup_printf ("%d %d %s", code, system_errno, text);

  ipc_test_peer_expect (peer, line);
}

static void
test_as_other_user (IpcTest *test)
{
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autofree char *root = NULL;
  char *own, *foreign, *closed, *sticky;

  if (!ipc_test_need_root ())
    return;
  /* the directory of the test is not theirs to walk through */
  root = g_dir_make_tmp ("ipc-test-XXXXXX", NULL);
  g_assert_no_errno (chmod (root, 01777));
  own = g_strconcat ("p", root, "/own", NULL);
  foreign = g_strconcat ("p", root, "/foreign", NULL);
  closed = g_strconcat ("t", root, "/foreign/below", NULL);
  sticky = g_strconcat ("t", root, "/searched", NULL);
  make_directory (foreign + 1, 0700);
  make_directory (sticky + 1, 0711);
  peer = ipc_test_peer_spawn_as (OTHER_UID, "other-user", (const char *[]) { own, own, foreign, closed, sticky, NULL });
  ipc_test_peer_expect (peer, "opened");
  ipc_test_peer_expect (peer, "opened");
  expect_fault (peer, IPC_FAULT_UNSAFE_PATH, 0, "owner 0, expected 65534");
  expect_fault (peer, IPC_FAULT_SYSTEM, EACCES, "Permission denied");
  ipc_test_peer_expect (peer, "opened for searching");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  g_free (own);
  g_free (foreign);
  g_free (closed);
  g_free (sticky);
  ipc_test_remove_tree (root);
}

/* Whatever the umask takes away, to somebody whom permissions hold for. */
static int
run_masked (char **arguments)
{
  const mode_t masks[] = { 0777, 0700, 0500, 0300, 0 };

  for (guint i = 0; i < G_N_ELEMENTS (masks); i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/%u", arguments[0], i);

      assert_made (path, masks[i]);
    }
  ipc_test_tell ("made");
  return 0;
}

static void
test_create_masked (IpcTest *test)
{
  g_autofree char *root = g_dir_make_tmp ("ipc-test-XXXXXX", NULL);
  const char *arguments[] = { root, NULL };
  g_autoptr(IpcTestPeer) peer = NULL;

  g_assert_no_errno (chmod (root, 01777));
  peer = geteuid () == 0 ? ipc_test_peer_spawn_as (OTHER_UID, "masked", arguments)
                         : ipc_test_peer_spawn ("masked", arguments);
  ipc_test_peer_expect (peer, "made");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  ipc_test_remove_tree (root);
}

/* ── One component below ── */

static void
assert_sub_refused (int parent_fd, const char *name, IpcFaultCode code, const char *text)
{
  IpcFault fault = { 0 };
  int fd = UNTOUCHED;

  g_assert_false (ipc_directory_open_sub (parent_fd, name, true, &fd, &fault));
  g_assert_cmpint (fd, ==, UNTOUCHED);
  assert_fault (&fault, code, text);
}

static void
test_sub (IpcTest *test)
{
  int parent_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  IpcFault fault = { 0 };
  int fd = UNTOUCHED;
  struct stat info;

  g_assert_no_errno (parent_fd);
  g_free (make_child (test, "open", 0755));
  g_assert_no_errno (symlinkat ("made", parent_fd, "link"));
  assert_sub_refused (parent_fd, "", IPC_FAULT_INVALID_ARGUMENT, "\"\"");
  assert_sub_refused (parent_fd, "a/b", IPC_FAULT_INVALID_ARGUMENT, "a/b");
  assert_sub_refused (parent_fd, "..", IPC_FAULT_UNSAFE_PATH, "..");
  assert_sub_refused (parent_fd, "link", IPC_FAULT_UNSAFE_PATH, "link is a symbolic link");
  assert_sub_refused (parent_fd, "open", IPC_FAULT_UNSAFE_PATH, "open: mode 0755, expected 0700");
  g_assert_false (ipc_directory_open_sub (parent_fd, "made", false, &fd, &fault));
  g_assert_cmpint (fault.system_errno, ==, ENOENT);
  g_assert_true (ipc_directory_open_sub (parent_fd, "made", true, &fd, &fault));
  g_assert_no_errno (fstat (fd, &info));
  g_assert_cmphex (info.st_mode, ==, S_IFDIR | 0700);
  close (fd);
  close (parent_fd);
}

/* ── Entries ── */

static void
assert_entry_refused (int directory_fd, const char *name, mode_t type, IpcFaultCode code, const char *text)
{
  IpcFault fault = { 0 };
  bool exists = true;
  dev_t device = 7;
  ino_t inode = 7;

  g_assert_false (ipc_directory_check_entry (directory_fd, name, type, &exists, &device, &inode, &fault));
  assert_fault (&fault, code, text);
  exists = false;
  g_assert_false (ipc_directory_check_entry (directory_fd, name, type, &exists, &device, &inode, NULL));
  g_assert_false (exists);
  g_assert_cmpuint (device, ==, 7);
  g_assert_cmpuint (inode, ==, 7);
}

static void
assert_entry (int directory_fd, const char *name, mode_t type, gboolean expected)
{
  IpcFault fault = { 0 };
  struct stat info;
  bool exists = !expected;
  dev_t device = 0;
  ino_t inode = 0;

  g_assert_true (ipc_directory_check_entry (directory_fd, name, type, &exists, &device, &inode, &fault));
  g_assert_true (exists == (bool) expected);
  if (!expected)
    return;
  g_assert_no_errno (fstatat (directory_fd, name, &info, AT_SYMLINK_NOFOLLOW));
  g_assert_cmpuint (device, ==, info.st_dev);
  g_assert_cmpuint (inode, ==, info.st_ino);
  g_assert_true (ipc_directory_check_entry (directory_fd, name, type, &exists, NULL, NULL, NULL));
}

static void
bind_socket (int directory_fd, const char *name)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory_fd, name);
  g_assert_no_errno (bind (fd, (struct sockaddr *) &address, sizeof address));
  close (fd);
}

static void
test_entry (IpcTest *test)
{
  int fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_assert_no_errno (fd);
  bind_socket (fd, "socket");
  g_assert_no_errno (mkfifoat (fd, "pipe", 0600));
  g_assert_no_errno (mkdirat (fd, "directory", 0700));
  g_assert_no_errno (symlinkat ("socket", fd, "link"));
  g_assert_no_errno (symlinkat ("nowhere", fd, "dangling"));
  close (openat (fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));

  assert_entry (fd, "socket", S_IFSOCK, TRUE);
  assert_entry (fd, "pipe", S_IFIFO, TRUE);
  assert_entry (fd, "file", S_IFREG, TRUE);
  assert_entry (fd, "nothing", S_IFSOCK, FALSE);
  assert_entry_refused (fd, "file", S_IFSOCK, IPC_FAULT_WRONG_TYPE, "file is a regular file, expected a socket");
  assert_entry_refused (fd, "directory", S_IFIFO, IPC_FAULT_WRONG_TYPE, "is a directory, expected a named pipe");
  assert_entry_refused (fd, "socket", S_IFREG, IPC_FAULT_WRONG_TYPE, "is a socket, expected a regular file");
  assert_entry_refused (fd, "link", S_IFSOCK, IPC_FAULT_UNSAFE_PATH, "link is a symbolic link");
  assert_entry_refused (fd, "dangling", S_IFSOCK, IPC_FAULT_UNSAFE_PATH, "dangling is a symbolic link");
  close (fd);
}

static void
test_entry_of_other (IpcTest *test)
{
  int fd;

  if (!ipc_test_need_root ())
    return;
  fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_no_errno (mkfifoat (fd, "pipe", 0600));
  g_assert_no_errno (fchownat (fd, "pipe", OTHER_UID, (gid_t) -1, 0));
  assert_entry_refused (fd, "pipe", S_IFIFO, IPC_FAULT_UNSAFE_PATH, "pipe: owner 65534, expected 0");
  close (fd);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "other-user", run_other_user }, { "masked", run_masked }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/core/safe-path/good", test_good);
  ipc_test_add ("/core/safe-path/not-absolute", test_not_absolute);
  ipc_test_add ("/core/safe-path/dots", test_dots);
  ipc_test_add ("/core/safe-path/long-component", test_long_component);
  ipc_test_add ("/core/safe-path/long-path", test_long_path);
  ipc_test_add ("/core/safe-path/create", test_create);
  ipc_test_add ("/core/safe-path/create-masked", test_create_masked);
  ipc_test_add ("/core/safe-path/create-only-last", test_create_only_last);
  ipc_test_add ("/core/safe-path/symlink/last", test_symlink_last);
  ipc_test_add ("/core/safe-path/symlink/dangling", test_symlink_dangling);
  ipc_test_add ("/core/safe-path/symlink/parent", test_symlink_parent);
  ipc_test_add ("/core/safe-path/symlink/race", test_symlink_race);
  ipc_test_add ("/core/safe-path/wrong-type", test_wrong_type);
  ipc_test_add ("/core/safe-path/mode/private", test_private_modes);
  ipc_test_add ("/core/safe-path/mode/trusted", test_trusted_modes);
  ipc_test_add ("/core/safe-path/mode/parent", test_parent_modes);
  ipc_test_add ("/core/safe-path/owner", test_other_owner);
  ipc_test_add ("/core/safe-path/as-other-user", test_as_other_user);
  ipc_test_add ("/core/safe-path/sub", test_sub);
  ipc_test_add ("/core/safe-path/entry", test_entry);
  ipc_test_add ("/core/safe-path/entry-of-other", test_entry_of_other);
  return ipc_test_run ();
}
