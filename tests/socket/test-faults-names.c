/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes scopes and lists what is in them, with each of its system calls failing: see sweep.h.
 */
#include "sweep.h"

#include <glib/gstdio.h>
#include <unistd.h>

#include "base/ipc-folder-list-private.h"
#include "base/ipc-manager-private.h"

/* ── Names in a scope ── */

/* A scope of which nothing is there yet. */
static void
prepare_scope (Sweep *self)
{
  sweep_set_path (self, "scope");
}

static void
make_scope (Sweep *self)
{
  g_autoptr (IpcScope) scope = ipc_scope_new_for_directory (self->path, &self->error);

  if (scope == NULL)
    return;
  self->data = g_object_new (transport_is_pipe () ? IPC_TYPE_PIPE_SERVER : IPC_TYPE_SOCKET_SERVER, "address", "named", "scope", scope, NULL);
  ipc_server_start (self->data, &self->error);
}

/* The directory may be there, and what is in it too; the same again makes the rest. */
static void
finish_scope (Sweep *self)
{
  g_autoptr (GError) error = g_steal_pointer (&self->error);
  g_autofree char *folder = g_build_filename (self->path, transport_get_name (), NULL);
  g_autofree char *name = g_build_filename (folder, "named", NULL);
  g_autofree char *lock = g_build_filename (folder, ".named.lock", NULL);

  if (self->data == NULL || !ipc_server_get_is_running (self->data))
    {
      g_assert_nonnull (error);
      g_clear_object (&self->data);
      make_scope (self);
      g_assert_no_error (self->error);
    }
  g_assert_true (g_file_test (name, G_FILE_TEST_EXISTS));
  ipc_server_stop (self->data);
  g_clear_object (&self->data);
  ipc_test_settle ();
  /* Removing says whether there is more. */
  g_assert_no_errno (unlink (lock));
  g_assert_no_errno (rmdir (folder));
  g_assert_no_errno (rmdir (self->path));
  self->error = g_steal_pointer (&error);
}

static const char *const makes[] = { "chmod", "fstat", "mkdirat", "open", "openat", NULL };
static const SweepOperation scope = {
  .name = "scope",
  .prepare = prepare_scope,
  .begin = make_scope,
  .finish = finish_scope,
  .calls = makes,
  .stride = 5,
};

/* ── Lists of what is there ── */

#define FOLDER "things"

typedef struct
{
  IpcManager parent_instance;
} Lister;

typedef struct
{
  IpcManagerClass parent_class;
} ListerClass;

GType lister_get_type (void);
G_DEFINE_TYPE (Lister, lister, IPC_TYPE_MANAGER)

static GObject *
lister_observe (IpcManager *manager, int folder_fd, const char *name)
{
  return g_object_new (G_TYPE_OBJECT, NULL);
}

static void
lister_class_init (ListerClass *klass)
{
  klass->parent_class.folder = FOLDER;
  klass->parent_class.observe = lister_observe;
}

static void
lister_init (Lister *self)
{
}

static char *
get_thing (Sweep *self, const char *name)
{
  return g_build_filename (self->path, FOLDER, name, NULL);
}

/* What GLib calls does not fail. The scope is made while nothing does: that has a sweep of its own. */
static void
prepare_list (Sweep *self)
{
  g_autofree char *first = NULL;

  sweep_set_path (self, "listed");
  first = get_thing (self, "first");
  g_assert_no_errno (g_mkdir_with_parents (first, 0700));
  self->data = ipc_scope_new_for_directory (self->path, NULL);
}

static void
begin_list (Sweep *self)
{
  g_autoptr (IpcScope) where = self->data;

  self->data = g_object_new (lister_get_type (), "scope", where, NULL);
}

static gboolean
is_listed (Sweep *self, const char *name)
{
  GListModel *items = ipc_manager_get_items (self->data);
  g_autoptr (GObject) item = g_list_model_get_item (items, 0);

  return g_list_model_get_n_items (items) == 1 && g_str_equal (ipc_folder_list_get_name (item), name);
}

static gboolean
first_is_listed (Sweep *self)
{
  return is_listed (self, "first");
}

static void
finish_list (Sweep *self)
{
  ipc_test_assert_finalized (self->data);
  self->data = NULL;
  ipc_test_remove_tree (self->path);
}

static const char *const lists[] = { "fdopendir", "fstatat", "inotify_add_watch", "inotify_init1", "openat", "read", "statx", NULL };
static const SweepOperation list = {
  .name = "list",
  .transport = "socket",
  .prepare = prepare_list,
  .begin = begin_list,
  .is_over = first_is_listed,
  .finish = finish_list,
  .calls = lists,
};

/* ── And of what comes and goes there ── */

static void
prepare_listed (Sweep *self)
{
  prepare_list (self);
  begin_list (self);
  ipc_test_wait_for (first_is_listed (self));
}

static void
begin_changes (Sweep *self)
{
  g_autofree char *first = get_thing (self, "first");
  g_autofree char *second = get_thing (self, "second");

  g_assert_no_errno (g_mkdir (second, 0700));
  g_assert_no_errno (g_rmdir (first));
}

static gboolean
second_is_listed (Sweep *self)
{
  return is_listed (self, "second");
}

static const SweepOperation list_changes = {
  .name = "list-changes",
  .transport = "socket",
  .prepare = prepare_listed,
  .begin = begin_changes,
  .is_over = second_is_listed,
  .finish = finish_list,
  .calls = lists,
};

int
main (int argc, char **argv)
{
  static const SweepOperation *const operations[] = { &scope, &list, &list_changes, NULL };

  return sweep_run (&argc, &argv, operations);
}
