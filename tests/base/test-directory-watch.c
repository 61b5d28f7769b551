/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a watch tells of a directory, in which order and context, and what its callback may do.
 */
#include "base/ipc-directory-watch-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-error.h"
#include "ipc-test.h"

typedef struct
{
  GString *log;             /* (owned): what was told, a word each */
  IpcDirectoryWatch *watch; /* (owned) (nullable) */
  GMainContext *context;    /* (unowned) (nullable): which must be the one that dispatches */
  guint n_calls;
  guint n_lost;
  gboolean free_in_callback;
  gboolean iterate_in_callback;
} Recorder;

static void
record (const char *name, gboolean gone, gpointer user_data)
{
  Recorder *self = user_data;

  self->n_calls++;
  self->n_lost += name == NULL && !gone;
  if (self->context)
    g_assert_true (g_main_context_is_owner (self->context));
  g_string_append_printf (self->log, "%s ", name ? name : gone ? "GONE" : "LOST");
  if (self->iterate_in_callback && name)
    {
      ipc_test_iterate (3);
      /* the name stays what it was */
      g_string_append_printf (self->log, "/%s ", name);
    }
  if (self->free_in_callback)
    g_clear_pointer (&self->watch, ipc_directory_watch_free);
}

static void
recorder_init (Recorder *self, const char *path, GMainContext *context)
{
  g_autoptr(GError) error = NULL;
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_assert_no_errno (fd);
  self->log = g_string_new (NULL);
  self->watch = ipc_directory_watch_new (fd, context, record, self, &error);
  g_assert_no_error (error);
  close (fd);
}

static void
recorder_clear (Recorder *self)
{
  g_clear_pointer (&self->watch, ipc_directory_watch_free);
  g_string_free (self->log, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Recorder, recorder_clear)

static void
touch (IpcTest *test, const char *name)
{
  g_autofree char *path = ipc_test_path (test, name);
  int fd = open (path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

  g_assert_no_errno (fd);
  close (fd);
}

static void
remove_file (IpcTest *test, const char *name)
{
  g_autofree char *path = ipc_test_path (test, name);

  g_assert_no_errno (unlink (path));
}

static void
rename_file (IpcTest *test, const char *from, const char *to)
{
  g_autofree char *from_path = ipc_test_path (test, from);
  g_autofree char *to_path = ipc_test_path (test, to);

  g_assert_no_errno (rename (from_path, to_path));
}

static char *
make_directory (IpcTest *test, const char *name)
{
  char *path = ipc_test_path (test, name);

  g_assert_no_errno (mkdir (path, 0700));
  return path;
}

/* ── What is told ── */

static void
test_events (IpcTest *test)
{
  g_autofree char *inside = make_directory (test, "d");
  g_auto(Recorder) recorder = { 0 };
  g_autofree char *target = NULL;
  g_autofree char *link_path = ipc_test_path (test, "d/link");

  recorder_init (&recorder, inside, NULL);
  touch (test, "d/made");
  rename_file (test, "d/made", "d/renamed");
  rename_file (test, "d/renamed", "out");
  rename_file (test, "out", "d/in");
  target = ipc_test_path (test, "d/in");
  g_assert_no_errno (link (target, link_path));
  remove_file (test, "d/in");
  g_free (make_directory (test, "d/.hidden"));
  ipc_test_wait_for (strstr (recorder.log->str, ".hidden"));
  ipc_test_settle ();
  g_assert_cmpstr (recorder.log->str, ==, "made made renamed renamed in link in .hidden ");
}

static void
test_not_told (IpcTest *test)
{
  g_auto(Recorder) recorder = { 0 };
  g_autofree char *path = ipc_test_path (test, "file");

  touch (test, "file");
  recorder_init (&recorder, test->directory, NULL);
  g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  g_assert_no_errno (chmod (path, 0400));
  touch (test, "last");
  ipc_test_wait_for (strstr (recorder.log->str, "last"));
  g_assert_cmpstr (recorder.log->str, ==, "last ");
}

/* The longest name that there is. */
static void
test_long_name (IpcTest *test)
{
  g_auto(Recorder) recorder = { 0 };
  g_autofree char *name = g_strnfill (255, 'n');
  g_autofree char *expected = g_strconcat (name, " ", name, " ", NULL);

  recorder_init (&recorder, test->directory, NULL);
  touch (test, name);
  remove_file (test, name);
  ipc_test_wait_for (recorder.n_calls == 2);
  g_assert_cmpstr (recorder.log->str, ==, expected);
}

static void
test_deleted (IpcTest *test)
{
  g_autofree char *path = make_directory (test, "d");
  g_auto(Recorder) recorder = { 0 };

  recorder_init (&recorder, path, NULL);
  touch (test, "d/file");
  remove_file (test, "d/file");
  g_assert_no_errno (rmdir (path));
  g_free (make_directory (test, "d"));
  touch (test, "d/other");
  ipc_test_wait_for (strstr (recorder.log->str, "GONE"));
  ipc_test_settle ();
  g_assert_cmpstr (recorder.log->str, ==, "file file GONE ");
}

static void
test_moved (IpcTest *test)
{
  g_autofree char *path = make_directory (test, "d");
  g_auto(Recorder) recorder = { 0 };

  recorder_init (&recorder, path, NULL);
  rename_file (test, "d", "e");
  touch (test, "e/file");
  ipc_test_wait_for (strstr (recorder.log->str, "GONE"));
  ipc_test_settle ();
  g_assert_cmpstr (recorder.log->str, ==, "GONE ");
}

static guint64
read_setting (const char *name)
{
  g_autofree char *path = g_strconcat ("/proc/sys/fs/inotify/", name, NULL);
  g_autofree char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return g_ascii_strtoull (text, NULL, 10);
}

/* More than the kernel keeps: it says so, and goes on. */
static void
test_overflow (IpcTest *test)
{
  guint64 limit = read_setting ("max_queued_events");
  g_auto(Recorder) recorder = { 0 };
  guint n_calls;

  if (limit > 200000)
    {
      g_test_skip_printf ("the kernel keeps %" G_GUINT64_FORMAT " events", limit);
      return;
    }
  recorder_init (&recorder, test->directory, NULL);
  touch (test, "a");
  for (guint64 i = 0; i < limit / 2 + 10; i++)
    rename_file (test, i % 2 ? "b" : "a", i % 2 ? "a" : "b");
  ipc_test_wait_for (recorder.n_lost == 1);
  ipc_test_settle ();
  n_calls = recorder.n_calls;
  g_assert_cmpuint (n_calls, >=, limit);
  touch (test, "after");
  ipc_test_wait_for (recorder.n_calls == n_calls + 1);
  g_assert_true (g_str_has_suffix (recorder.log->str, " after "));
}

/* ── What the callback may do ── */

static void
test_free_in_callback (IpcTest *test)
{
  g_auto(Recorder) recorder = { .free_in_callback = TRUE };

  recorder_init (&recorder, test->directory, NULL);
  for (guint i = 0; i < 50; i++)
    {
      g_autofree char *name = g_strdup_printf ("file-%u", i);

      touch (test, name);
    }
  ipc_test_wait_for (recorder.watch == NULL);
  ipc_test_settle ();
  g_assert_cmpstr (recorder.log->str, ==, "file-0 ");
}

static void
test_free_when_gone (IpcTest *test)
{
  g_autofree char *path = make_directory (test, "d");
  g_auto(Recorder) recorder = { .free_in_callback = TRUE };

  recorder_init (&recorder, path, NULL);
  g_assert_no_errno (rmdir (path));
  ipc_test_wait_for (recorder.watch == NULL);
  g_assert_cmpstr (recorder.log->str, ==, "GONE ");
}

/* A callback that runs the context gets the next events, in order, and none twice. */
static void
test_nested_loop (IpcTest *test)
{
  g_auto(Recorder) recorder = { .iterate_in_callback = TRUE };

  recorder_init (&recorder, test->directory, NULL);
  touch (test, "a");
  touch (test, "b");
  touch (test, "c");
  ipc_test_wait_for (recorder.n_calls == 3);
  ipc_test_settle ();
  g_assert_cmpstr (recorder.log->str, ==, "a /a b /b c /c ");
}

static void
test_free_at_once (IpcTest *test)
{
  g_auto(Recorder) recorder = { 0 };

  recorder_init (&recorder, test->directory, NULL);
  touch (test, "a");
  g_clear_pointer (&recorder.watch, ipc_directory_watch_free);
  ipc_test_settle ();
  g_assert_cmpuint (recorder.n_calls, ==, 0);
}

/* ── Where ── */

static void
test_context (IpcTest *test)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_auto(Recorder) recorder = { .context = context };

  recorder_init (&recorder, test->directory, context);
  touch (test, "a");
  ipc_test_settle ();
  g_assert_cmpuint (recorder.n_calls, ==, 0);
  g_main_context_push_thread_default (context);
  ipc_test_wait_for (recorder.n_calls == 1);
  g_main_context_pop_thread_default (context);
  g_clear_pointer (&recorder.watch, ipc_directory_watch_free);
}

static void
test_without_loop (IpcTest *test)
{
  g_autoptr(GMainContext) nobody_runs = g_main_context_new ();
  g_auto(Recorder) recorder = { 0 };
  struct pollfd poll_fd = { .events = POLLIN };

  recorder_init (&recorder, test->directory, nobody_runs);
  poll_fd.fd = ipc_directory_watch_get_fd (recorder.watch);
  g_assert_cmpint (poll (&poll_fd, 1, 0), ==, 0);
  ipc_directory_watch_dispatch (recorder.watch);
  touch (test, "a");
  g_assert_cmpint (poll (&poll_fd, 1, 10000), ==, 1);
  ipc_directory_watch_dispatch (recorder.watch);
  g_assert_cmpstr (recorder.log->str, ==, "a ");
  g_assert_cmpint (poll (&poll_fd, 1, 0), ==, 0);
  g_clear_pointer (&recorder.watch, ipc_directory_watch_free);
}

/* ── Forks ── */

/* Which expectation failed, 0 none. */
static int
look_in_child (IpcTest *test, Recorder *recorder)
{
  int fd = ipc_directory_watch_get_fd (recorder->watch);
  int reused;

  if (fcntl (fd, F_GETFD) >= 0)
    return 1;
  ipc_directory_watch_dispatch (recorder->watch);
  /* freeing it must not close what has the number now */
  reused = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  if (dup2 (reused, fd) != fd)
    return 2;
  ipc_test_iterate (5);
  ipc_directory_watch_free (recorder->watch);
  if (fcntl (fd, F_GETFD) < 0)
    return 3;
  return recorder->n_calls == 0 ? 0 : 4;
}

static void
test_fork (IpcTest *test)
{
  g_auto(Recorder) recorder = { 0 };
  int status;
  pid_t child;

  recorder_init (&recorder, test->directory, NULL);
  touch (test, "a");
  child = fork ();
  if (child == 0)
    _exit (look_in_child (test, &recorder));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  ipc_test_wait_for (recorder.n_calls == 1);
}

/* ── Failures ── */

static void
assert_fails (int directory_fd, GQuark domain, int code, const char *text)
{
  g_autoptr(GError) error = NULL;
  guint n_fds = ipc_test_count_fds ();

  g_assert_null (ipc_directory_watch_new (directory_fd, NULL, record, NULL, &error));
  g_assert_error (error, domain, code);
  if (strstr (error->message, text) == NULL)
    g_error ("\"%s\" is not in \"%s\"", text, error->message);
  g_assert_null (ipc_directory_watch_new (directory_fd, NULL, record, NULL, NULL));
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
}

static void
test_not_a_directory (IpcTest *test)
{
  g_autofree char *path = ipc_test_path (test, "file");
  int fd;

  touch (test, "file");
  fd = open (path, O_RDONLY | O_CLOEXEC);
  assert_fails (fd, G_IO_ERROR, G_IO_ERROR_NOT_DIRECTORY, "cannot watch the directory");
  close (fd);
}

#define SKIPPED 77

static gboolean
write_proc (const char *path, const char *text)
{
  int fd = open (path, O_WRONLY | O_CLOEXEC);
  gboolean written = fd >= 0 && write (fd, text, strlen (text)) == (gssize) strlen (text);

  if (fd >= 0)
    close (fd);
  return written;
}

/* In a user namespace, so that the limits of the user stay as they are. */
static gboolean
lower_limit (const char *setting)
{
  char map[64];

  g_snprintf (map, sizeof map, "0 %u 1", (guint) geteuid ());
  return unshare (CLONE_NEWUSER) == 0 && write_proc ("/proc/self/uid_map", map) && write_proc (setting, "1");
}

/* Which expectation failed, 0 none. */
static int
reach_limit_in_child (const char *setting, int directory_fd, const char *expected)
{
  g_autoptr(GError) error = NULL;
  int fd;

  if (!lower_limit (setting))
    return SKIPPED;
  fd = inotify_init1 (IN_CLOEXEC);
  if (fd < 0 || inotify_add_watch (fd, "/", IN_CREATE) < 0)
    return 1;
  if (ipc_directory_watch_new (directory_fd, NULL, record, NULL, &error) != NULL)
    return 2;
  if (!g_error_matches (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED))
    return 3;
  return strstr (error->message, expected) ? 0 : 4;
}

static void
test_limits (IpcTest *test)
{
  const char *name = test->data;
  g_autofree char *setting = g_strconcat ("/proc/sys/user/max_inotify_", name, NULL);
  g_autofree char *limit = g_strconcat ("max_user_", name, NULL);
  g_autofree char *expected = g_strdup_printf ("inotify %s (fs.inotify.%s) are limited to %" G_GUINT64_FORMAT,
                                               name, limit, read_setting (limit));
  int directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int status;
  pid_t child = fork ();

  if (child == 0)
    _exit (reach_limit_in_child (setting, directory_fd, expected));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  close (directory_fd);
  g_assert_true (WIFEXITED (status));
  if (WEXITSTATUS (status) == SKIPPED)
    g_test_skip ("needs user namespaces, to lower a limit of the user");
  else
    g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static void
test_no_descriptors (IpcTest *test)
{
  g_autoptr(GError) error = NULL;
  int directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  struct rlimit given, none;

  g_assert_no_errno (getrlimit (RLIMIT_NOFILE, &given));
  none = (struct rlimit) { 0, given.rlim_max };
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &none));
  g_assert_null (ipc_directory_watch_new (directory_fd, NULL, record, NULL, &error));
  g_assert_no_errno (setrlimit (RLIMIT_NOFILE, &given));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  close (directory_fd);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/directory-watch/events", test_events);
  ipc_test_add ("/base/directory-watch/not-told", test_not_told);
  ipc_test_add ("/base/directory-watch/long-name", test_long_name);
  ipc_test_add ("/base/directory-watch/deleted", test_deleted);
  ipc_test_add ("/base/directory-watch/moved", test_moved);
  ipc_test_add ("/base/directory-watch/overflow", test_overflow);
  ipc_test_add ("/base/directory-watch/free-in-callback", test_free_in_callback);
  ipc_test_add ("/base/directory-watch/free-when-gone", test_free_when_gone);
  ipc_test_add ("/base/directory-watch/nested-loop", test_nested_loop);
  ipc_test_add ("/base/directory-watch/free-at-once", test_free_at_once);
  ipc_test_add ("/base/directory-watch/context", test_context);
  ipc_test_add ("/base/directory-watch/without-loop", test_without_loop);
  ipc_test_add ("/base/directory-watch/fork", test_fork);
  ipc_test_add ("/base/directory-watch/not-a-directory", test_not_a_directory);
  ipc_test_add_data ("/base/directory-watch/limit/instances", "instances", test_limits);
  ipc_test_add_data ("/base/directory-watch/limit/watches", "watches", test_limits);
  ipc_test_add ("/base/directory-watch/no-descriptors", test_no_descriptors);
  return ipc_test_run ();
}
