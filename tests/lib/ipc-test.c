/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frame around each test: a fresh directory, a deadline and a ledger.
 *
 * The deadline is SIGALRM, not a thread or a source, so that it also ends a test whose main loop hangs in a
 * system call. One test runs at a time, so what the signal handler reads is set before the alarm is.
 */
#include "ipc-test-private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEADLINE_SECONDS 30

typedef struct
{
  IpcTestFunc func;
  gconstpointer data;
} TestCase;

static char deadline_message[512];
static char *root;       /* (owned) */
static GPtrArray *cases; /* (owned) (element-type TestCase) since GLib frees only those that it has run */

static void
deadline_passed (int signal_number)
{
  /* nothing can be done about a failed write here */
  if (write (STDERR_FILENO, deadline_message, strlen (deadline_message)) < 0)
    _exit (134);
  abort ();
}

void
ipc_test_set_deadline (guint seconds)
{
#ifdef __SANITIZE_THREAD__
  seconds *= 5;
#endif
  g_snprintf (deadline_message, sizeof deadline_message, "# %s: not finished after %u seconds\n",
              g_test_get_path (), seconds);
  alarm (seconds);
}

static void
install_deadline (void)
{
  struct sigaction action = { .sa_handler = deadline_passed };

  g_assert_no_errno (sigaction (SIGALRM, &action, NULL));
}

static void
do_nothing_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  g_task_return_boolean (task, TRUE);
}

/* What GLib makes once and keeps (its worker thread, the wake-up descriptors of the worker and of the default
 * context, the thread pool) has to be there before the first ledger is opened. */
static void
warm_up (void)
{
  g_autoptr(GSource) source = g_unix_signal_source_new (SIGHUP);
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GTask) task = g_task_new (NULL, NULL, ipc_test_async_cb, &async);

  g_source_attach (source, NULL);
  g_source_destroy (source);
  g_task_run_in_thread (task, do_nothing_in_thread);
  ipc_test_async_wait (&async);
}

/* Nothing of the user's is touched: the program has a runtime directory of its own, with the directories of the
 * tests in it. A subprocess of a test has that of its parent, which removes what an abort leaves. */
static void
choose_root (void)
{
  g_autoptr(GError) error = NULL;

  if (g_test_subprocess ())
    {
      root = g_strdup (g_getenv ("XDG_RUNTIME_DIR"));
      return;
    }
  root = g_dir_make_tmp ("ipc-test-XXXXXX", &error);
  g_assert_no_error (error);
  g_setenv ("XDG_RUNTIME_DIR", root, TRUE);
  g_unsetenv ("IPC_GLIB_DIR");
  g_unsetenv ("FLATPAK_ID");
}

/* The programs that make files are run again with other masks; what they start inherits it. */
static void
set_umask (void)
{
  const char *text = g_getenv ("IPC_TEST_UMASK");

  if (text != NULL)
    umask ((mode_t) g_ascii_strtoull (text, NULL, 8));
}

void
ipc_test_init (int *argc, char ***argv, const IpcTestRole *roles)
{
  ipc_test_run_role (*argc, *argv, roles);
  set_umask ();
  g_test_init (argc, argv, NULL);
  choose_root ();
  cases = g_ptr_array_new_with_free_func (g_free);
  install_deadline ();
  warm_up ();
}

int
ipc_test_run (void)
{
  int status = g_test_run ();

  if (!g_test_subprocess ())
    ipc_test_remove_tree (root);
  g_clear_pointer (&root, g_free);
  g_clear_pointer (&cases, g_ptr_array_unref);
  return status;
}

static void
run_case (gconstpointer user_data)
{
  const TestCase *self = user_data;
  g_autoptr(IpcTestLedger) ledger = NULL;
  IpcTest test = { .data = self->data };

  ipc_test_set_deadline (DEADLINE_SECONDS);
  ledger = ipc_test_ledger_new ();
  test.directory = g_build_filename (root, "test-XXXXXX", NULL);
  g_assert_nonnull (g_mkdtemp (test.directory));
  self->func (&test);
  ipc_test_ledger_check (ledger);
  ipc_test_remove_tree (test.directory);
  g_free (test.directory);
  alarm (0);
}

void
ipc_test_add_data (const char *path, gconstpointer data, IpcTestFunc func)
{
  TestCase *self = g_new0 (TestCase, 1);

  self->func = func;
  self->data = data;
  g_ptr_array_add (cases, self);
  g_test_add_data_func (path, self, run_case);
}

void
ipc_test_add (const char *path, IpcTestFunc func)
{
  ipc_test_add_data (path, NULL, func);
}

char *
ipc_test_path (IpcTest *test, const char *name)
{
  return g_build_filename (test->directory, name, NULL);
}

static void remove_at (int directory_fd, const char *name);

static void
remove_children (int directory_fd, const char *name)
{
  int fd = openat (directory_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory;
  struct dirent *entry;

  g_assert_no_errno (fd);
  /* a test may have taken our own rights away */
  g_assert_no_errno (fchmod (fd, 0700));
  directory = fdopendir (fd);
  g_assert_nonnull (directory);
  while ((entry = readdir (directory)))
    {
      if (!g_str_equal (entry->d_name, ".") && !g_str_equal (entry->d_name, ".."))
        remove_at (fd, entry->d_name);
    }
  closedir (directory);
}

static void
remove_at (int directory_fd, const char *name)
{
  struct stat status;

  if (fstatat (directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
    {
      g_assert_cmpint (errno, ==, ENOENT);
      return;
    }
  if (!S_ISDIR (status.st_mode))
    {
      g_assert_no_errno (unlinkat (directory_fd, name, 0));
      return;
    }
  /* so that it can be opened; it cannot be a link here, nobody else works in it */
  g_assert_no_errno (fchmodat (directory_fd, name, 0700, 0));
  remove_children (directory_fd, name);
  g_assert_no_errno (unlinkat (directory_fd, name, AT_REMOVEDIR));
}

void
ipc_test_remove_tree (const char *path)
{
  remove_at (AT_FDCWD, path);
}

GRand *
ipc_test_rand_new (void)
{
  const char *text = g_getenv ("IPC_TEST_SEED");
  guint32 seed = text ? (guint32) g_ascii_strtoull (text, NULL, 10) : g_random_int ();

  g_test_message ("to have it again: IPC_TEST_SEED=%u", seed);
  return g_rand_new_with_seed (seed);
}

gboolean
ipc_test_need_root (void)
{
  if (geteuid () == 0)
    return TRUE;
  g_test_skip ("needs root, for a peer of another user");
  return FALSE;
}
