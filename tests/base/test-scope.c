/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the scope is: the places in their order, and that an unsafe one is never used.
 *
 * The places are absolute paths of the system, so each choice is made by a forked child in a root directory of its
 * own. Without root, that takes a user namespace; where there is none, these tests are skipped.
 */
#include "base/ipc-scope-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-error.h"
#include "ipc-test.h"

#define OTHER_UID 65534

/* ── Another root directory ── */

static const char *const variables[] = { "IPC_GLIB_DIR", "XDG_RUNTIME_DIR", "FLATPAK_ID" };

static void
make_path (const char *root, const char *path, mode_t mode)
{
  g_autofree char *full = g_build_filename (root, path, NULL);

  g_assert_no_errno (g_mkdir_with_parents (full, 0755));
  g_assert_no_errno (chmod (full, mode));
}

static void
write_path (const char *root, const char *path, const char *text)
{
  g_autofree char *full = g_build_filename (root, path, NULL);

  g_assert_true (g_file_set_contents (full, text, -1, NULL));
}

static gboolean
exists (const char *root, const char *path)
{
  g_autofree char *full = g_build_filename (root, path, NULL);

  return g_file_test (full, G_FILE_TEST_EXISTS);
}

/* All that a system may have; the user there is number 0. */
static char *
make_root (IpcTest *test)
{
  char *root = ipc_test_path (test, "root");

  make_path (root, "run/user/0", 0700);
  make_path (root, "dev/shm", 01777);
  make_path (root, "private", 0700);
  return root;
}

static gboolean
write_map (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CLOEXEC);
  gboolean written = fd >= 0 && write (fd, text, strlen (text)) == (gssize) strlen (text);

  if (fd >= 0)
    close (fd);
  return written;
}

/* In a child: user 0 in ROOT. */
static gboolean
enter_root (const char *root)
{
  char map[64];

  g_snprintf (map, sizeof map, "0 %u 1", (guint) geteuid ());
  if (geteuid () != 0 && (unshare (CLONE_NEWUSER) != 0 || !write_map ("/proc/self/uid_map", map)))
    return FALSE;
  return chroot (root) == 0 && chdir ("/") == 0;
}

static void
set_variables (const char *const *environment)
{
  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    g_unsetenv (variables[i]);
  for (guint i = 0; environment[i]; i += 2)
    g_setenv (environment[i], environment[i + 1], TRUE);
}

/* What the default scope of a new process there would be, and whether it works. (The one of this process may
 * have been chosen already.) */
static char *
describe_default (void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcScope) scope = g_object_new (IPC_TYPE_SCOPE, NULL);
  int fd = ipc_scope_open_folder (scope, "socket", TRUE, &error);

  if (fd >= 0)
    return g_strdup (ipc_scope_get_directory (scope));
  return g_strdup_printf ("%s: %s %d: %s", ipc_scope_get_directory (scope), g_quark_to_string (error->domain),
                          error->code, error->message);
}

static void
report_default (const char *root, const char *const *environment, int output)
{
  g_autofree char *text = NULL;

  if (!enter_root (root))
    _exit (1);
  set_variables (environment);
  text = describe_default ();
  _exit (write (output, text, strlen (text)) == (gssize) strlen (text) ? 0 : 2);
}

/* (nullable): NULL if it was skipped. */
static char *
find_default (const char *root, const char *const *environment)
{
  char text[1024] = "";
  int fds[2], status;
  pid_t child;

  g_assert_no_errno (pipe2 (fds, O_CLOEXEC));
  child = fork ();
  if (child == 0)
    report_default (root, environment, fds[1]);
  close (fds[1]);
  g_assert_no_errno (read (fds[0], text, sizeof text - 1));
  close (fds[0]);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), <, 2);
  if (WEXITSTATUS (status) == 0)
    return g_strdup (text);
  g_test_skip ("needs root or user namespaces, for a root directory of its own");
  return NULL;
}

#define ENVIRONMENT(...) ((const char *[]) { __VA_ARGS__ __VA_OPT__ (,) NULL })

#define assert_default(root, expected, ...) \
  G_STMT_START \
  { \
    g_autofree char *_found = find_default (root, ENVIRONMENT (__VA_ARGS__)); \
    if (_found == NULL) \
      return; \
    g_assert_cmpstr (_found, ==, expected); \
  } \
  G_STMT_END

/* ── The places ── */

static void
test_order (IpcTest *test)
{
  g_autofree char *root = make_root (test);

  make_path (root, "runtime", 0700);
  make_path (root, "runtime/app/org.example.App", 0700);
  write_path (root, ".flatpak-info", "");
  assert_default (root, "/private", "IPC_GLIB_DIR", "/private", "XDG_RUNTIME_DIR", "/runtime",
                  "FLATPAK_ID", "org.example.App");
  assert_default (root, "/runtime/app/org.example.App/ipc-glib", "XDG_RUNTIME_DIR", "/runtime",
                  "FLATPAK_ID", "org.example.App");
  g_assert_false (exists (root, "runtime/ipc-glib"));
  assert_default (root, "/runtime/ipc-glib", "XDG_RUNTIME_DIR", "/runtime");
  g_assert_false (exists (root, "run/user/0/ipc-glib"));
  assert_default (root, "/run/user/0/ipc-glib");
  g_assert_false (exists (root, "dev/shm/ipc-glib-0"));
  make_path (root, "run/user/0", 0755);
  assert_default (root, "/dev/shm/ipc-glib-0");
}

/* What is set to nothing is not set. */
static void
test_empty_variables (IpcTest *test)
{
  g_autofree char *root = make_root (test);

  assert_default (root, "/run/user/0/ipc-glib", "IPC_GLIB_DIR", "", "XDG_RUNTIME_DIR", "", "FLATPAK_ID", "");
}

static void
test_explicit_made (IpcTest *test)
{
  g_autofree char *root = make_root (test);

  assert_default (root, "/private/made", "IPC_GLIB_DIR", "/private/made");
  g_assert_true (exists (root, "private/made/socket"));
}

/* Whoever sets it wants it there or not at all. */
static void
test_explicit_unsafe (IpcTest *test)
{
  g_autofree char *root = make_root (test);
  g_autofree char *link_path = g_build_filename (root, "link", NULL);

  make_path (root, "open", 0777);
  g_assert_no_errno (symlink ("private", link_path));
  assert_default (root, "/open: ipc-error-quark 10: $IPC_GLIB_DIR: /open: mode 0777, expected 0700",
                  "IPC_GLIB_DIR", "/open");
  assert_default (root, "/open/below: ipc-error-quark 10: $IPC_GLIB_DIR: /open: mode 0777 lets everybody write",
                  "IPC_GLIB_DIR", "/open/below");
  assert_default (root, "/link: ipc-error-quark 10: $IPC_GLIB_DIR: /link is a symbolic link", "IPC_GLIB_DIR", "/link");
  assert_default (root, "private: ipc-error-quark 2: $IPC_GLIB_DIR: the path \"private\" is not absolute",
                  "IPC_GLIB_DIR", "private");
  assert_default (root, "/a/b: ipc-error-quark 7: $IPC_GLIB_DIR: cannot open /a: No such file or directory",
                  "IPC_GLIB_DIR", "/a/b");
  g_assert_false (exists (root, "run/user/0/ipc-glib"));
  g_assert_false (exists (root, "private/socket"));
  g_assert_false (exists (root, "open/below"));
}

static void
test_flatpak_not_applicable (IpcTest *test)
{
  g_autofree char *root = make_root (test);

  make_path (root, "runtime", 0700);
  make_path (root, "runtime/app/App", 0700);
  make_path (root, "runtime/evil", 0700);
  make_path (root, "runtime/app/a/b", 0700);
  /* a host program that has the variable is not in the sandbox */
  assert_default (root, "/runtime/ipc-glib", "XDG_RUNTIME_DIR", "/runtime", "FLATPAK_ID", "App");
  write_path (root, ".flatpak-info", "");
  assert_default (root, "/runtime/ipc-glib", "XDG_RUNTIME_DIR", "/runtime", "FLATPAK_ID", "../evil");
  assert_default (root, "/runtime/ipc-glib", "XDG_RUNTIME_DIR", "/runtime", "FLATPAK_ID", "a/b");
  assert_default (root, "/runtime/ipc-glib", "XDG_RUNTIME_DIR", "/runtime", "FLATPAK_ID", "..");
  assert_default (root, "/runtime/ipc-glib", "XDG_RUNTIME_DIR", "/runtime", "FLATPAK_ID", "Missing");
  make_path (root, "runtime/app/App", 0755);
  assert_default (root, "/runtime/ipc-glib", "XDG_RUNTIME_DIR", "/runtime", "FLATPAK_ID", "App");
}

static void
test_unsafe_is_skipped (IpcTest *test)
{
  static const mode_t modes[] = { 0777, 0755, 0750, 01777 };
  g_autofree char *root = make_root (test);
  g_autofree char *link_path = g_build_filename (root, "link", NULL);
  g_autofree char *runtime = g_build_filename (root, "runtime", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    {
      make_path (root, "runtime", modes[i]);
      assert_default (root, "/run/user/0/ipc-glib", "XDG_RUNTIME_DIR", "/runtime");
      g_assert_false (exists (root, "runtime/ipc-glib"));
    }
  make_path (root, "runtime", 0700);
  g_assert_no_errno (symlink ("runtime", link_path));
  assert_default (root, "/run/user/0/ipc-glib", "XDG_RUNTIME_DIR", "/link");
  assert_default (root, "/run/user/0/ipc-glib", "XDG_RUNTIME_DIR", "runtime");
  assert_default (root, "/run/user/0/ipc-glib", "XDG_RUNTIME_DIR", "/missing");
  g_assert_false (exists (root, "runtime/ipc-glib"));
  g_assert_false (exists (root, "missing"));
  make_path (root, "runtime/ipc-glib", 0755);
  assert_default (root, "/run/user/0/ipc-glib", "XDG_RUNTIME_DIR", "/runtime");
  g_assert_no_errno (chmod (runtime, 0700));
}

static void
test_owner_is_skipped (IpcTest *test)
{
  g_autofree char *root = NULL;
  g_autofree char *runtime = NULL;

  if (!ipc_test_need_root ())
    return;
  root = make_root (test);
  runtime = g_build_filename (root, "runtime", NULL);
  make_path (root, "runtime", 0700);
  g_assert_no_errno (chown (runtime, OTHER_UID, OTHER_UID));
  assert_default (root, "/run/user/0/ipc-glib", "XDG_RUNTIME_DIR", "/runtime");
}

/* Somebody else was there first: the name in the directory that all may write to is taken. */
static void
test_no_place (IpcTest *test)
{
  g_autofree char *root = make_root (test);

  make_path (root, "run/user/0", 0755);
  make_path (root, "dev/shm/ipc-glib-0", 0777);
  assert_default (root, "/dev/shm/ipc-glib-0: ipc-error-quark 10: /dev/shm/ipc-glib-0: mode 0777, expected 0700");
}

/* ── The object ── */

static void
test_default (IpcTest *test)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *expected = g_build_filename (g_getenv ("XDG_RUNTIME_DIR"), "ipc-glib", NULL);
  g_autofree char *found = ipc_scope_find_default_directory (&error);
  g_autofree char *property = NULL;
  IpcScope *scope = ipc_scope_get_default ();

  g_assert_no_error (error);
  g_assert_cmpstr (found, ==, expected);
  g_assert_cmpstr (ipc_scope_get_directory (scope), ==, expected);
  g_assert_true (ipc_scope_get_default () == scope);
  g_object_get (scope, "directory", &property, NULL);
  g_assert_cmpstr (property, ==, expected);
}

static void
test_find_fails (IpcTest *test)
{
  g_autoptr(GError) error = NULL;

  g_setenv ("IPC_GLIB_DIR", "relative", TRUE);
  g_assert_null (ipc_scope_find_default_directory (&error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT);
  g_assert_null (ipc_scope_find_default_directory (NULL));
  g_unsetenv ("IPC_GLIB_DIR");
}

static void
test_new (IpcTest *test)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *path = ipc_test_path (test, "made");
  IpcScope *scope = ipc_scope_new_for_directory (path, &error);
  struct stat info;

  g_assert_no_error (error);
  g_assert_cmpstr (ipc_scope_get_directory (scope), ==, path);
  g_assert_no_errno (stat (path, &info));
  g_assert_cmphex (info.st_mode, ==, S_IFDIR | 0700);
  ipc_test_assert_finalized (scope);
  scope = ipc_scope_new_for_directory (path, &error);
  g_assert_no_error (error);
  ipc_test_assert_finalized (scope);
}

static void
assert_new_fails (const char *path, IpcError code)
{
  g_autoptr(GError) error = NULL;

  g_assert_null (ipc_scope_new_for_directory (path, &error));
  g_assert_error (error, IPC_ERROR, (int) code);
  g_assert_null (ipc_scope_new_for_directory (path, NULL));
}

static void
test_new_fails (IpcTest *test)
{
  g_autofree char *open_path = ipc_test_path (test, "open");
  g_autofree char *link_path = ipc_test_path (test, "link");
  g_autofree char *file = ipc_test_path (test, "file");
  g_autofree char *far = ipc_test_path (test, "a/b");

  g_assert_no_errno (mkdir (open_path, 0700));
  g_assert_no_errno (chmod (open_path, 0755));
  g_assert_no_errno (symlink (test->directory, link_path));
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  assert_new_fails ("", IPC_ERROR_INVALID_ARGUMENT);
  assert_new_fails ("relative", IPC_ERROR_INVALID_ARGUMENT);
  assert_new_fails (open_path, IPC_ERROR_UNSAFE_PATH);
  assert_new_fails (link_path, IPC_ERROR_UNSAFE_PATH);
  assert_new_fails (file, IPC_ERROR_WRONG_TYPE);
  assert_new_fails (far, IPC_ERROR_NOT_FOUND);
  assert_new_fails ("/", IPC_ERROR_UNSAFE_PATH);
}

static void
assert_folder_fails (IpcScope *scope, gboolean create, IpcError code)
{
  g_autoptr(GError) error = NULL;

  g_assert_cmpint (ipc_scope_open_folder (scope, "socket", create, &error), ==, -1);
  g_assert_error (error, IPC_ERROR, (int) code);
  g_assert_cmpint (ipc_scope_open_folder (scope, "socket", create, NULL), ==, -1);
}

static void
assert_folder_opens (IpcScope *scope)
{
  g_autoptr(GError) error = NULL;
  struct stat info;
  int fd = ipc_scope_open_folder (scope, "socket", TRUE, &error);

  g_assert_no_error (error);
  g_assert_no_errno (fstat (fd, &info));
  g_assert_cmphex (info.st_mode, ==, S_IFDIR | 0700);
  close (fd);
}

/* It is looked at each time, whatever it was before. */
static void
test_open_folder (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "scope");
  g_autofree char *folder = ipc_test_path (test, "scope/socket");
  g_autoptr(IpcScope) scope = ipc_scope_new_for_directory (path, NULL);

  assert_folder_fails (scope, FALSE, IPC_ERROR_NOT_FOUND);
  assert_folder_opens (scope);
  g_assert_no_errno (chmod (folder, 0755));
  assert_folder_fails (scope, TRUE, IPC_ERROR_UNSAFE_PATH);
  g_assert_no_errno (chmod (folder, 0700));
  assert_folder_opens (scope);
  g_assert_no_errno (chmod (path, 0711));
  assert_folder_fails (scope, FALSE, IPC_ERROR_UNSAFE_PATH);
  ipc_test_remove_tree (path);
  assert_folder_fails (scope, FALSE, IPC_ERROR_NOT_FOUND);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  assert_folder_opens (scope);
  g_assert_no_errno (rmdir (folder));
  g_assert_no_errno (symlink (test->directory, folder));
  assert_folder_fails (scope, TRUE, IPC_ERROR_UNSAFE_PATH);
}

/* A scope that was made by its property alone is checked when it is used. */
static void
test_property (IpcTest *test)
{
  g_autoptr(IpcScope) relative = g_object_new (IPC_TYPE_SCOPE, "directory", "relative", NULL);
  g_autoptr(IpcScope) none = g_object_new (IPC_TYPE_SCOPE, NULL);

  g_assert_cmpstr (ipc_scope_get_directory (relative), ==, "relative");
  assert_folder_fails (relative, TRUE, IPC_ERROR_INVALID_ARGUMENT);
  g_assert_cmpstr (ipc_scope_get_directory (none), ==, ipc_scope_get_directory (ipc_scope_get_default ()));
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/scope/place/order", test_order);
  ipc_test_add ("/base/scope/place/empty-variables", test_empty_variables);
  ipc_test_add ("/base/scope/place/explicit-made", test_explicit_made);
  ipc_test_add ("/base/scope/place/explicit-unsafe", test_explicit_unsafe);
  ipc_test_add ("/base/scope/place/flatpak-not-applicable", test_flatpak_not_applicable);
  ipc_test_add ("/base/scope/place/unsafe-is-skipped", test_unsafe_is_skipped);
  ipc_test_add ("/base/scope/place/owner-is-skipped", test_owner_is_skipped);
  ipc_test_add ("/base/scope/place/none", test_no_place);
  ipc_test_add ("/base/scope/default", test_default);
  ipc_test_add ("/base/scope/find-fails", test_find_fails);
  ipc_test_add ("/base/scope/new", test_new);
  ipc_test_add ("/base/scope/new-fails", test_new_fails);
  ipc_test_add ("/base/scope/open-folder", test_open_folder);
  ipc_test_add ("/base/scope/property", test_property);
  return ipc_test_run ();
}
