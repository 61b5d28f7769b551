/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the managers of all mechanisms have in common, with a mechanism whose objects are regular files: one that is
 * empty is idle, and one that says "stuck" cannot be removed.
 */
#include "base/ipc-manager-private.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "ipc-error.h"
#include "ipc-scope.h"
#include "ipc-test.h"

/* ── The mechanism ── */

struct _TestItem
{
  GObject parent_instance;

  char *name; /* (owned) */
};

#define TEST_TYPE_ITEM (test_item_get_type ())
GType test_item_get_type (void);
G_DECLARE_FINAL_TYPE (TestItem, test_item, TEST, ITEM, GObject)

enum
{
  PROP_NAME = 1
};

G_DEFINE_FINAL_TYPE (TestItem, test_item, G_TYPE_OBJECT)

static void
test_item_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  g_value_set_string (value, TEST_ITEM (object)->name);
}

static void
test_item_finalize (GObject *object)
{
  g_free (TEST_ITEM (object)->name);
  G_OBJECT_CLASS (test_item_parent_class)->finalize (object);
}

static void
test_item_class_init (TestItemClass *klass)
{
  G_OBJECT_CLASS (klass)->get_property = test_item_get_property;
  G_OBJECT_CLASS (klass)->finalize = test_item_finalize;
  g_object_class_install_property (G_OBJECT_CLASS (klass), PROP_NAME,
                                   g_param_spec_string ("name", NULL, NULL, NULL, G_PARAM_READABLE));
}

static void
test_item_init (TestItem *self)
{
}

typedef struct
{
  IpcManager parent_instance;

  gint64 asked_idle_timeout;
  gboolean in_use_after_all;
} TestManager;

typedef struct
{
  IpcManagerClass parent_class;
} TestManagerClass;

#define TEST_TYPE_MANAGER (test_manager_get_type ())
GType test_manager_get_type (void);
G_DEFINE_TYPE (TestManager, test_manager, IPC_TYPE_MANAGER)

static GObject *
test_manager_observe (IpcManager *manager, int folder_fd, const char *name)
{
  struct stat info;
  TestItem *item;

  if (fstatat (folder_fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG (info.st_mode))
    return NULL;
  item = g_object_new (TEST_TYPE_ITEM, NULL);
  item->name = g_strdup (name);
  return G_OBJECT (item);
}

static char *
read_file (IpcManager *manager, const char *name)
{
  const char *directory = ipc_scope_get_directory (ipc_manager_get_scope (manager));
  g_autofree char *path = g_build_filename (directory, "test", name, NULL);
  char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

static gboolean
test_manager_is_idle (IpcManager *manager, GObject *item, gint64 idle_timeout)
{
  g_autofree char *text = read_file (manager, TEST_ITEM (item)->name);

  ((TestManager *) manager)->asked_idle_timeout = idle_timeout;
  return *text == '\0' || g_str_equal (text, "stuck");
}

static gboolean
test_manager_remove (IpcManager *manager, int folder_fd, const char *name, GError **error)
{
  g_autofree char *text = read_file (manager, name);

  if (((TestManager *) manager)->in_use_after_all)
    return FALSE;
  if (g_str_equal (text, "stuck"))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "%s is stuck", name);
      return FALSE;
    }
  g_assert_no_errno (unlinkat (folder_fd, name, 0));
  return TRUE;
}

static void
test_manager_class_init (TestManagerClass *klass)
{
  IpcManagerClass *manager_class = IPC_MANAGER_CLASS (klass);

  manager_class->folder = "test";
  manager_class->observe = test_manager_observe;
  manager_class->is_idle = test_manager_is_idle;
  manager_class->remove = test_manager_remove;
}

static void
test_manager_init (TestManager *self)
{
}

/* ── Helpers ── */

typedef struct
{
  IpcScope *scope;     /* (owned) */
  IpcManager *manager; /* (owned) */
  guint n_changes;     /* of the list */
  guint n_notified;    /* n-items */
} Fixture;

static char *
path_of (IpcTest *test, const char *name)
{
  return g_build_filename (test->directory, "test", name, NULL);
}

static void
put (IpcTest *test, const char *name, const char *text)
{
  g_autofree char *folder = ipc_test_path (test, "test");
  g_autofree char *path = path_of (test, name);
  int fd;

  if (mkdir (folder, 0700) != 0)
    g_assert_cmpint (errno, ==, EEXIST);
  fd = open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  g_assert_no_errno (fd);
  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize) strlen (text));
  close (fd);
}

static void
take (IpcTest *test, const char *name)
{
  g_autofree char *path = path_of (test, name);

  g_assert_no_errno (unlink (path));
}

static void
count_call (guint *n)
{
  (*n)++;
}

static void
fixture_init (Fixture *self, IpcTest *test)
{
  g_autoptr(GError) error = NULL;

  self->scope = ipc_scope_new_for_directory (test->directory, &error);
  g_assert_no_error (error);
  self->manager = g_object_new (TEST_TYPE_MANAGER, "scope", self->scope, NULL);
  g_signal_connect_swapped (ipc_manager_get_items (self->manager), "items-changed", G_CALLBACK (count_call),
                            &self->n_changes);
  g_signal_connect_swapped (self->manager, "notify::n-items", G_CALLBACK (count_call), &self->n_notified);
}

static void
fixture_clear (Fixture *self)
{
  if (self->manager)
    ipc_test_assert_finalized (self->manager);
  ipc_test_assert_finalized (self->scope);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

static char *
list_names (IpcManager *manager)
{
  GListModel *items = ipc_manager_get_items (manager);
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < g_list_model_get_n_items (items); i++)
    {
      g_autoptr(GObject) item = g_list_model_get_item (items, i);
      g_autofree char *name = NULL;

      g_object_get (item, "name", &name, NULL);
      g_string_append_printf (names, "%s ", name);
    }
  g_assert_cmpuint (ipc_manager_get_n_items (manager), ==, g_list_model_get_n_items (items));
  return g_string_free (names, FALSE);
}

static gboolean
has_names (IpcManager *manager, const char *expected)
{
  g_autofree char *names = list_names (manager);

  return g_str_equal (names, expected);
}

static void
assert_names (IpcManager *manager, const char *expected)
{
  g_autofree char *names = list_names (manager);

  g_assert_cmpstr (names, ==, expected);
}

/* ── The list ── */

static void
test_lists_what_is_there (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *directory = NULL;
  g_autofree char *link_path = NULL;

  put (test, "b", "");
  put (test, "a", "");
  put (test, "B", "");
  put (test, ".a.lock", "");
  put (test, "-x", "");
  put (test, "not a name", "");
  put (test, "n\xff", "");
  put (test, "this-name-is-longer-than-the-sixty-four-bytes-that-are-allowed-it-has-75-of-t", "");
  directory = path_of (test, "directory");
  link_path = path_of (test, "link");
  g_assert_no_errno (mkdir (directory, 0700));
  g_assert_no_errno (symlink ("a", link_path));
  fixture_init (&fixture, test);
  assert_names (fixture.manager, "B a b ");
}

static void
test_follows (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *from = path_of (test, ".a.tmp.1");
  g_autofree char *to = path_of (test, "a");

  fixture_init (&fixture, test);
  assert_names (fixture.manager, "");
  put (test, "m", "");
  put (test, "z", "");
  put (test, ".a.tmp.1", "");
  g_assert_no_errno (link (from, to));
  g_assert_no_errno (unlink (from));
  ipc_test_wait_for (has_names (fixture.manager, "a m z "));
  take (test, "m");
  ipc_test_wait_for (has_names (fixture.manager, "a z "));
  g_assert_cmpuint (fixture.n_changes, ==, 4);
  g_assert_cmpuint (fixture.n_notified, ==, 4);
}

/* Two managers, as in two processes, see the same. */
static void
test_two (IpcTest *test)
{
  g_auto(Fixture) a = { 0 };
  g_auto(Fixture) b = { 0 };

  fixture_init (&a, test);
  fixture_init (&b, test);
  put (test, "x", "");
  ipc_test_wait_for (has_names (a.manager, "x ") && has_names (b.manager, "x "));
}

/* Events that say nothing new do not disturb the list; another object of the same name does. */
static void
test_identity (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *path = path_of (test, "x");
  g_autofree char *aside = path_of (test, ".aside");
  g_autofree char *fresh = path_of (test, ".fresh");
  gpointer first;

  put (test, "x", "1");
  fixture_init (&fixture, test);
  first = g_list_model_get_item (ipc_manager_get_items (fixture.manager), 0);
  g_assert_no_errno (rename (path, aside));
  g_assert_no_errno (rename (aside, path));
  put (test, "y", "");
  ipc_test_wait_for (has_names (fixture.manager, "x y "));
  g_assert_cmpuint (fixture.n_changes, ==, 1);

  put (test, ".fresh", "2");
  g_assert_no_errno (rename (fresh, path));
  put (test, "z", "");
  ipc_test_wait_for (has_names (fixture.manager, "x y z "));
  g_assert_cmpuint (fixture.n_changes, ==, 3);
  g_assert_cmpuint (fixture.n_notified, ==, 2);
  g_object_unref (first);
}

static void
test_refresh (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  put (test, "x", "");
  assert_names (fixture.manager, "");
  ipc_manager_refresh (fixture.manager, "x");
  assert_names (fixture.manager, "x ");
  ipc_manager_refresh (fixture.manager, ".hidden");
  ipc_manager_refresh (fixture.manager, "../test/x");
  take (test, "x");
  ipc_manager_refresh (fixture.manager, "x");
  assert_names (fixture.manager, "");
  /* the events of all that come too late and change nothing */
  put (test, "last", "");
  ipc_test_wait_for (has_names (fixture.manager, "last "));
  g_assert_cmpuint (fixture.n_changes, ==, 3);
}

/* ── The folder ── */

static void
test_makes_folder (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *folder = ipc_test_path (test, "test");
  struct stat info;

  fixture_init (&fixture, test);
  g_assert_no_errno (stat (folder, &info));
  g_assert_cmphex (info.st_mode, ==, S_IFDIR | 0700);
}

static void
test_folder_deleted (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *folder = ipc_test_path (test, "test");
  int fd;

  put (test, "x", "");
  put (test, "y", "");
  fixture_init (&fixture, test);
  ipc_test_remove_tree (folder);
  ipc_test_wait_for (has_names (fixture.manager, ""));
  ipc_test_settle ();
  /* whoever deleted it does not get it back at once */
  g_assert_false (g_file_test (folder, G_FILE_TEST_EXISTS));

  /* our own next object is listed without delay */
  fd = ipc_manager_open_folder (fixture.manager, TRUE, NULL);
  g_assert_no_errno (fd);
  put (test, "z", "");
  close (fd);
  ipc_manager_refresh (fixture.manager, "z");
  assert_names (fixture.manager, "z ");
  put (test, "w", "");
  ipc_test_wait_for (has_names (fixture.manager, "w z "));
}

/* Another process makes it again. */
static void
test_folder_comes_back (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *folder = ipc_test_path (test, "test");
  g_autofree char *moved = ipc_test_path (test, "moved");

  put (test, "x", "");
  fixture_init (&fixture, test);
  g_assert_no_errno (rename (folder, moved));
  ipc_test_wait_for (has_names (fixture.manager, ""));
  put (test, "y", "");
  ipc_test_wait_for (has_names (fixture.manager, "y "));
  put (test, "z", "");
  ipc_test_wait_for (has_names (fixture.manager, "y z "));
}

static void
test_unsafe_folder (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *folder = ipc_test_path (test, "test");
  g_autoptr(GError) error = NULL;

  put (test, "x", "");
  g_assert_no_errno (chmod (folder, 0755));
  fixture_init (&fixture, test);
  assert_names (fixture.manager, "");
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, &error), ==, -1);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_UNSAFE_PATH);
  g_assert_no_errno (chmod (folder, 0700));
  ipc_manager_refresh (fixture.manager, "x");
  assert_names (fixture.manager, "x ");
}

/* ── Contexts ── */

typedef struct
{
  GMainContext *context;
  gboolean called;
} ContextCheck;

static void
check_context (ContextCheck *self)
{
  g_assert_true (g_main_context_is_owner (self->context));
  self->called = TRUE;
}

/* The list changes in the context that the manager was made in, whichever runs. */
static void
test_context (IpcTest *test)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_auto(Fixture) fixture = { 0 };
  ContextCheck check = { .context = context };

  g_main_context_push_thread_default (context);
  fixture_init (&fixture, test);
  g_main_context_pop_thread_default (context);
  g_signal_connect_swapped (fixture.manager, "notify::n-items", G_CALLBACK (check_context), &check);
  put (test, "x", "");
  ipc_test_settle ();
  assert_names (fixture.manager, "");
  g_main_context_push_thread_default (context);
  ipc_test_wait_for (has_names (fixture.manager, "x "));
  g_main_context_pop_thread_default (context);
  g_assert_true (check.called);
}

static void
drop_manager (Fixture *fixture)
{
  g_clear_object (&fixture->manager);
}

/* A handler may drop the last reference. */
static void
test_drop_in_handler (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  gpointer weak;

  fixture_init (&fixture, test);
  weak = fixture.manager;
  g_object_add_weak_pointer (weak, &weak);
  g_signal_connect_swapped (fixture.manager, "notify::n-items", G_CALLBACK (drop_manager), &fixture);
  put (test, "x", "");
  put (test, "y", "");
  ipc_test_wait_for (weak == NULL);
  ipc_test_settle ();
}

static void
dispose_manager (Fixture *fixture)
{
  g_object_run_dispose (G_OBJECT (fixture->manager));
}

static void
test_dispose_in_handler (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  g_signal_connect_swapped (ipc_manager_get_items (fixture.manager), "items-changed", G_CALLBACK (dispose_manager),
                            &fixture);
  put (test, "x", "");
  put (test, "y", "");
  ipc_test_wait_for (fixture.n_changes > 0);
  ipc_test_settle ();
  g_assert_cmpuint (fixture.n_changes, ==, 1);
}

/* The same in the middle of reading the folder. */
static void
test_dispose_in_rescan (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  g_signal_connect_swapped (ipc_manager_get_items (fixture.manager), "items-changed", G_CALLBACK (dispose_manager),
                            &fixture);
  put (test, "x", "used");
  put (test, "y", "used");
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, NULL), ==, 0);
  g_assert_cmpuint (fixture.n_changes, ==, 1);
}

/* The list may be kept longer than the manager. */
static void
test_list_outlives (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GListModel) items = NULL;

  put (test, "x", "");
  fixture_init (&fixture, test);
  items = g_object_ref (ipc_manager_get_items (fixture.manager));
  ipc_test_assert_finalized (fixture.manager);
  fixture.manager = NULL;
  g_assert_cmpuint (g_list_model_get_n_items (items), ==, 1);
}

/* ── Properties ── */

static void
test_defaults (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  guint n_items, max_items;
  gboolean auto_cleanup;
  gint64 interval, timeout;
  g_autoptr(IpcScope) scope = NULL;
  g_autoptr(GListModel) items = NULL;

  fixture_init (&fixture, test);
  g_object_get (fixture.manager, "items", &items, "n-items", &n_items, "max-items", &max_items, "auto-cleanup",
                &auto_cleanup, "cleanup-interval", &interval, "idle-timeout", &timeout, "scope", &scope, NULL);
  g_assert_true (items == ipc_manager_get_items (fixture.manager));
  g_assert_true (scope == fixture.scope);
  g_assert_cmpuint (n_items, ==, 0);
  g_assert_cmpuint (max_items, ==, 1024);
  g_assert_false (auto_cleanup);
  g_assert_cmpint (interval, ==, 60000);
  g_assert_cmpint (timeout, ==, 3600000);
}

static void
test_default_scope (IpcTest *test)
{
  IpcManager *manager = g_object_new (TEST_TYPE_MANAGER, NULL);

  g_assert_true (ipc_manager_get_scope (manager) == ipc_scope_get_default ());
  ipc_test_assert_finalized (manager);
}

/* Each setter notifies once when there is something new, and sets what its getter gets. */
static void
test_setters (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  guint n = 0;

  fixture_init (&fixture, test);
  g_signal_connect_swapped (fixture.manager, "notify", G_CALLBACK (count_call), &n);
  ipc_manager_set_max_items (fixture.manager, 1024);
  ipc_manager_set_auto_cleanup (fixture.manager, FALSE);
  ipc_manager_set_cleanup_interval (fixture.manager, 60000);
  ipc_manager_set_idle_timeout (fixture.manager, 3600000);
  g_assert_cmpuint (n, ==, 0);
  ipc_manager_set_max_items (fixture.manager, 0);
  ipc_manager_set_auto_cleanup (fixture.manager, 2);
  ipc_manager_set_cleanup_interval (fixture.manager, G_MAXINT64);
  ipc_manager_set_idle_timeout (fixture.manager, 0);
  g_assert_cmpuint (n, ==, 4);
  ipc_manager_set_auto_cleanup (fixture.manager, TRUE);
  g_assert_cmpuint (n, ==, 4);
  g_assert_cmpuint (ipc_manager_get_max_items (fixture.manager), ==, 0);
  g_assert_cmpint (ipc_manager_get_auto_cleanup (fixture.manager), ==, TRUE);
  g_assert_cmpint (ipc_manager_get_cleanup_interval (fixture.manager), ==, G_MAXINT64);
  g_assert_cmpint (ipc_manager_get_idle_timeout (fixture.manager), ==, 0);
  g_object_set (fixture.manager, "max-items", 5, "auto-cleanup", FALSE, "cleanup-interval", (gint64) 7,
                "idle-timeout", (gint64) 8, NULL);
  g_assert_cmpuint (n, ==, 8);
  g_assert_cmpint (ipc_manager_get_cleanup_interval (fixture.manager), ==, 7);
}

static void
test_room (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  g_autofree char *expected = g_strdup_printf ("test in %s: there are 2, the limit (max-items) is 2", test->directory);

  put (test, "x", "");
  fixture_init (&fixture, test);
  ipc_manager_set_max_items (fixture.manager, 2);
  g_assert_true (ipc_manager_check_room (fixture.manager, &error));
  g_assert_no_error (error);
  put (test, "y", "");
  ipc_manager_refresh (fixture.manager, "y");
  g_assert_false (ipc_manager_check_room (fixture.manager, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED);
  g_assert_cmpstr (error->message, ==, expected);
  take (test, "y");
  ipc_manager_refresh (fixture.manager, "y");
  g_assert_true (ipc_manager_check_room (fixture.manager, NULL));
  ipc_manager_set_max_items (fixture.manager, 0);
  g_assert_false (ipc_manager_check_room (fixture.manager, NULL));
}

/* ── Cleaning up ── */

static void
test_cleanup (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  put (test, "a", "");
  put (test, "b", "used");
  put (test, "c", "");
  fixture_init (&fixture, test);
  ipc_manager_set_idle_timeout (fixture.manager, 1234);
  /* what the list does not know yet */
  put (test, "d", "");
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, &error), ==, 3);
  g_assert_no_error (error);
  assert_names (fixture.manager, "b ");
  g_assert_cmpint (((TestManager *) fixture.manager)->asked_idle_timeout, ==, 1234);
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, NULL), ==, 0);
}

static void
test_cleanup_fails_for_some (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  put (test, "a", "stuck");
  put (test, "b", "");
  put (test, "c", "stuck");
  fixture_init (&fixture, test);
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, &error), ==, -1);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
  g_assert_cmpstr (error->message, ==, "a is stuck");
  assert_names (fixture.manager, "a c ");
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, NULL), ==, -1);
}

static void
test_cleanup_in_use_after_all (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  put (test, "a", "");
  fixture_init (&fixture, test);
  ((TestManager *) fixture.manager)->in_use_after_all = TRUE;
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, &error), ==, 0);
  g_assert_no_error (error);
  assert_names (fixture.manager, "a ");
}

static void
test_cleanup_no_folder (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  g_autofree char *folder = ipc_test_path (test, "test");

  fixture_init (&fixture, test);
  g_assert_no_errno (rmdir (folder));
  g_assert_cmpint (ipc_manager_cleanup (fixture.manager, &error), ==, 0);
  g_assert_no_error (error);
  g_assert_false (g_file_test (folder, G_FILE_TEST_EXISTS));
}

static void
test_auto_cleanup (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };

  put (test, "a", "");
  put (test, "b", "used");
  fixture_init (&fixture, test);
  ipc_manager_set_auto_cleanup (fixture.manager, TRUE);
  ipc_test_settle ();
  assert_names (fixture.manager, "a b ");
  ipc_manager_set_cleanup_interval (fixture.manager, 5);
  ipc_test_wait_for (has_names (fixture.manager, "b "));
  /* and again */
  put (test, "c", "");
  ipc_manager_refresh (fixture.manager, "c");
  ipc_test_wait_for (has_names (fixture.manager, "b "));
  ipc_manager_set_auto_cleanup (fixture.manager, FALSE);
  put (test, "d", "");
  ipc_test_wait_for (has_names (fixture.manager, "b d "));
}

/* ── Forks ── */

/* Which expectation failed, 0 none. */
static int
look_in_child (IpcManager *manager)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) open_error = NULL;

  if (ipc_manager_cleanup (manager, &error) != -1 || !g_error_matches (error, IPC_ERROR, IPC_ERROR_FORKED))
    return 1;
  if (ipc_manager_open_folder (manager, TRUE, &open_error) != -1 ||
      !g_error_matches (open_error, IPC_ERROR, IPC_ERROR_FORKED))
    return 2;
  ipc_manager_refresh (manager, "b");
  if (ipc_manager_get_n_items (manager) != 1)
    return 3;
  g_object_unref (manager);
  return 0;
}

static void
test_fork (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  int status;
  pid_t child;

  put (test, "a", "");
  fixture_init (&fixture, test);
  put (test, "b", "");
  child = fork ();
  if (child == 0)
    _exit (look_in_child (fixture.manager));
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
  ipc_test_wait_for (has_names (fixture.manager, "a b "));
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/manager/list/what-is-there", test_lists_what_is_there);
  ipc_test_add ("/base/manager/list/follows", test_follows);
  ipc_test_add ("/base/manager/list/two", test_two);
  ipc_test_add ("/base/manager/list/identity", test_identity);
  ipc_test_add ("/base/manager/list/refresh", test_refresh);
  ipc_test_add ("/base/manager/list/outlives", test_list_outlives);
  ipc_test_add ("/base/manager/folder/made", test_makes_folder);
  ipc_test_add ("/base/manager/folder/deleted", test_folder_deleted);
  ipc_test_add ("/base/manager/folder/comes-back", test_folder_comes_back);
  ipc_test_add ("/base/manager/folder/unsafe", test_unsafe_folder);
  ipc_test_add ("/base/manager/context", test_context);
  ipc_test_add ("/base/manager/drop-in-handler", test_drop_in_handler);
  ipc_test_add ("/base/manager/dispose-in-handler", test_dispose_in_handler);
  ipc_test_add ("/base/manager/dispose-in-rescan", test_dispose_in_rescan);
  ipc_test_add ("/base/manager/defaults", test_defaults);
  ipc_test_add ("/base/manager/default-scope", test_default_scope);
  ipc_test_add ("/base/manager/setters", test_setters);
  ipc_test_add ("/base/manager/room", test_room);
  ipc_test_add ("/base/manager/cleanup/idle", test_cleanup);
  ipc_test_add ("/base/manager/cleanup/fails-for-some", test_cleanup_fails_for_some);
  ipc_test_add ("/base/manager/cleanup/in-use-after-all", test_cleanup_in_use_after_all);
  ipc_test_add ("/base/manager/cleanup/no-folder", test_cleanup_no_folder);
  ipc_test_add ("/base/manager/cleanup/auto", test_auto_cleanup);
  ipc_test_add ("/base/manager/fork", test_fork);
  return ipc_test_run ();
}
