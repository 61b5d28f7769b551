/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where objects with a name live. A scope is a path and nothing else: each use
 * walks to the directory and checks it anew, because it may have been removed
 * or changed since. It never changes after it is made, so it needs no lock.
 */
#include "ipc-scope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-scope-private.h"
#include "core/ipc-safe-path.h"

#define OWN_FOLDER "ipc-glib"

/**
 * IpcScope:
 *
 * A directory in which objects with a name are found.
 *
 * Programs that use the same scope see one another's sockets, pipes, segments,
 * semaphores and queues; programs that use different ones do not. Nearly all
 * programs want the default scope, [func@Ipc.Scope.get_default], which belongs
 * to the user.
 *
 * The directory belongs to the user alone: it must be owned by the effective
 * user and have the mode 0700, each directory on the way to it must be owned
 * by that user or root and not be writable by everybody (unless it is sticky,
 * as `/tmp` is), and none may be a symbolic link. Whatever does not hold is
 * reported as %IPC_ERROR_UNSAFE_PATH, with the directory and what is wrong
 * with it. This is checked at each use, not only once.
 *
 * ## The default directory
 *
 * The first of these that passes the check:
 *
 * 1. `$IPC_GLIB_DIR`, if it is set. As somebody asked for it, nothing else is
 *    tried: if it cannot be used, that is an error when the scope is used.
 * 2. In a Flatpak application, `$XDG_RUNTIME_DIR/app/$FLATPAK_ID/ipc-glib`.
 * 3. `$XDG_RUNTIME_DIR/ipc-glib`.
 * 4. `/run/user/$UID/ipc-glib`.
 * 5. `/dev/shm/ipc-glib-$UID`, for containers and build machines.
 *
 * In cases 3 and 4, segments of shared memory live in `/dev/shm/ipc-glib-$UID` instead, if that passes the
 * check: a runtime directory has only a tenth of the memory of the machine.
 *
 * ## Threads
 *
 * A scope never changes. It can be used in any thread.
 *
 * ## When a process dies
 *
 * The directory and what other processes keep in it stay. What the dead process
 * left there is found and replaced by whoever next uses the name.
 *
 * ## Caveats
 *
 * - The variables of the environment are not looked at in a program with more
 *   rights than its user has (set-user-ID and the like).
 * - Two processes of one user in different containers have different default
 *   scopes, unless they share one of the directories above.
 * - In a user namespace that does not map the owner of `/`, no directory can be
 *   proved safe.
 *
 * Since: 0.1
 */
struct _IpcScope
{
  GObject parent_instance;

  char *directory; /* (owned) */
  char *bulk;      /* (owned) (nullable): where IPC_SCOPE_BULK_FOLDER is, if not in DIRECTORY */
  GError *error;   /* (owned) (nullable): why there is no usable default; reported at each use */
};

enum
{
  PROP_0,
  PROP_DIRECTORY,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcScope, ipc_scope, G_TYPE_OBJECT)

static void
set_fault (GError **error, const IpcFault *fault, const char *prefix)
{
  if (fault->code == IPC_FAULT_SYSTEM && fault->system_errno == ENOENT)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "%s%s%s",
                 prefix != NULL ? prefix : "", prefix != NULL ? ": " : "", fault->message);
  else
    ipc_error_set_fault (error, fault, prefix);
}

static int
open_private (const char *path, gboolean create, GError **error)
{
  IpcFault fault;
  int fd = -1;

  if (!ipc_directory_open (path, IPC_DIRECTORY_PRIVATE, create, &fd, &fault))
    {
      /* Where the system fails on the way, the message is about the way; one about what is missing tells enough. */
      gboolean prefixed = (fault.code == IPC_FAULT_SYSTEM && fault.system_errno != ENOENT) || fault.code == IPC_FAULT_NO_SPACE;
      g_autofree char *shown = prefixed ? g_filename_display_name (path) : NULL;

      set_fault (error, &fault, shown);
    }
  return fd;
}

static int
open_below (int parent_fd, const char *parent, const char *name, gboolean create, GError **error)
{
  g_autofree char *shown = g_filename_display_name (parent);
  IpcFault fault;
  int fd = -1;

  if (!ipc_directory_open_sub (parent_fd, name, create, &fd, &fault))
    set_fault (error, &fault, shown);
  return fd;
}

/* Makes it if only the last component is missing. */
static gboolean
make_directory (const char *path, GError **error)
{
  int fd = open_private (path, TRUE, error);

  if (fd < 0)
    return FALSE;
  close (fd);
  return TRUE;
}

/* Our folder in a directory that somebody else made, and that must be the user's alone itself. */
static gboolean
make_own_folder (const char *parent, GError **error)
{
  int parent_fd = open_private (parent, FALSE, error);
  int fd;

  if (parent_fd < 0)
    return FALSE;
  fd = open_below (parent_fd, parent, OWN_FOLDER, TRUE, error);
  close (parent_fd);
  if (fd < 0)
    return FALSE;
  close (fd);
  return TRUE;
}

/* A variable that is set to nothing counts as unset. */
static const char *
get_variable (const char *name)
{
  const char *value = secure_getenv (name);

  return value != NULL && value[0] != '\0' ? value : NULL;
}

static gboolean
is_flatpak_id (const char *id)
{
  if (id[0] == '.')
    return FALSE;
  for (const char *at = id; *at != '\0'; at++)
    {
      if (!g_ascii_isalnum (*at) && strchr ("._-", *at) == NULL)
        return FALSE;
    }
  return TRUE;
}

/* (nullable): the directory that Flatpak makes for an application, in the sandbox and outside. */
static char *
get_flatpak_parent (void)
{
  const char *runtime = get_variable ("XDG_RUNTIME_DIR");
  const char *id = get_variable ("FLATPAK_ID");

  if (runtime == NULL || id == NULL || !is_flatpak_id (id) || access ("/.flatpak-info", F_OK) != 0)
    return NULL;
  return g_build_filename (runtime, "app", id, NULL);
}

/* The directories that may have our folder in them, best first. */
static GStrv
list_parents (void)
{
  g_autoptr(GStrvBuilder) parents = g_strv_builder_new ();
  g_autofree char *flatpak = get_flatpak_parent ();
  g_autofree char *of_user = g_strdup_printf ("/run/user/%u", (guint) geteuid ());

  if (flatpak != NULL)
    g_strv_builder_add (parents, flatpak);
  if (get_variable ("XDG_RUNTIME_DIR") != NULL)
    g_strv_builder_add (parents, get_variable ("XDG_RUNTIME_DIR"));
  g_strv_builder_add (parents, of_user);
  return g_strv_builder_end (parents);
}

static char *
get_shm_directory (void)
{
  return g_strdup_printf ("/dev/shm/" OWN_FOLDER "-%u", (guint) geteuid ());
}

/* (nullable) (transfer full): what is shared with a sandbox has to be where it can see it. */
static char *
get_bulk_directory (const char *directory)
{
  g_autofree char *flatpak = get_flatpak_parent ();
  g_autofree char *bulk = get_shm_directory ();

  if (get_variable ("IPC_GLIB_DIR") != NULL || (flatpak != NULL && g_str_has_prefix (directory, flatpak)) || strcmp (directory, bulk) == 0)
    return NULL;
  return g_steal_pointer (&bulk);
}

/* (transfer full): always a path. If it cannot be used, ERROR says why. */
static char *
find_default_directory (GError **error)
{
  g_autofree char *last = NULL;
  g_auto(GStrv) parents = NULL;
  const char *explicit = get_variable ("IPC_GLIB_DIR");

  if (explicit != NULL)
    {
      make_directory (explicit, error);
      g_prefix_error (error, "$IPC_GLIB_DIR: ");
      return g_strdup (explicit);
    }
  parents = list_parents ();
  for (guint i = 0; parents[i] != NULL; i++)
    {
      g_autoptr(GError) reason = NULL;

      if (make_own_folder (parents[i], &reason))
        return g_build_filename (parents[i], OWN_FOLDER, NULL);
      g_debug ("not used as a scope: %s", reason->message);
    }
  last = get_shm_directory ();
  make_directory (last, error);
  return g_steal_pointer (&last);
}

char *
ipc_scope_find_default_directory (GError **error)
{
  g_autoptr(GError) reason = NULL;
  g_autofree char *directory = find_default_directory (&reason);

  if (reason == NULL)
    return g_steal_pointer (&directory);
  g_propagate_error (error, g_steal_pointer (&reason));
  return NULL;
}

static void
ipc_scope_constructed (GObject *object)
{
  IpcScope *self = IPC_SCOPE (object);

  if (self->directory == NULL)
    {
      self->directory = find_default_directory (&self->error);
      if (self->error == NULL)
        self->bulk = get_bulk_directory (self->directory);
    }
  G_OBJECT_CLASS (ipc_scope_parent_class)->constructed (object);
}

static void
ipc_scope_finalize (GObject *object)
{
  IpcScope *self = IPC_SCOPE (object);

  g_clear_pointer (&self->directory, g_free);
  g_clear_pointer (&self->bulk, g_free);
  g_clear_error (&self->error);
  G_OBJECT_CLASS (ipc_scope_parent_class)->finalize (object);
}

static void
ipc_scope_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcScope *self = IPC_SCOPE (object);

  switch (prop_id)
    {
    case PROP_DIRECTORY:
      g_value_set_string (value, self->directory);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_scope_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  IpcScope *self = IPC_SCOPE (object);

  switch (prop_id)
    {
    case PROP_DIRECTORY:
      self->directory = g_value_dup_string (value);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_scope_class_init (IpcScopeClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = ipc_scope_constructed;
  object_class->finalize = ipc_scope_finalize;
  object_class->get_property = ipc_scope_get_property;
  object_class->set_property = ipc_scope_set_property;

  /**
   * IpcScope:directory:
   *
   * The directory, as an absolute path.
   *
   * A scope that is made without one takes the default directory.
   *
   * Since: 0.1
   */
  properties[PROP_DIRECTORY] =
    g_param_spec_string ("directory", NULL, NULL, NULL,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_scope_init (IpcScope *self)
{
}

/**
 * ipc_scope_get_default:
 *
 * Gets the scope of the user, which nearly all programs want.
 *
 * Its directory is chosen when this is called for the first time in the
 * process, and stays. If none can be used, whatever is done in the scope
 * fails and says why.
 *
 * Returns: (transfer none): the default scope
 *
 * Since: 0.1
 */
IpcScope *
ipc_scope_get_default (void)
{
  static gsize scope;

  if (g_once_init_enter (&scope))
    g_once_init_leave (&scope, (gsize) g_object_new (IPC_TYPE_SCOPE, NULL));
  return (IpcScope *) scope;
}

/**
 * ipc_scope_new_for_directory:
 * @path: (type filename): an absolute path
 * @error: return location for an error
 *
 * Makes a scope of a directory of one's own choice.
 *
 * The directory is made, with the mode 0700, if only its last component is
 * missing; one that exists must be the user's alone (see [class@Ipc.Scope]).
 *
 * Returns: (transfer full): a scope, or %NULL with @error set:
 *   %IPC_ERROR_INVALID_ARGUMENT if @path is not absolute,
 *   %IPC_ERROR_UNSAFE_PATH if others could tamper with what is in it,
 *   %IPC_ERROR_NOT_FOUND if there is nothing to make it in,
 *   %IPC_ERROR_WRONG_TYPE if it is not a directory
 *
 * Since: 0.1
 */
IpcScope *
ipc_scope_new_for_directory (const char *path, GError **error)
{
  g_return_val_if_fail (path != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!make_directory (path, error))
    return NULL;
  return g_object_new (IPC_TYPE_SCOPE, "directory", path, NULL);
}

/**
 * ipc_scope_get_directory:
 * @self: a scope
 *
 * Gets the directory of the scope.
 *
 * Returns: (type filename) (transfer none): an absolute path
 *
 * Since: 0.1
 */
const char *
ipc_scope_get_directory (IpcScope *self)
{
  g_return_val_if_fail (IPC_IS_SCOPE (self), NULL);

  return self->directory;
}

static int
open_folder_in (const char *directory, const char *folder, gboolean create, GError **error)
{
  int directory_fd, fd;

  directory_fd = open_private (directory, create, error);
  if (directory_fd < 0)
    return -1;
  fd = open_below (directory_fd, directory, folder, create, error);
  close (directory_fd);
  return fd;
}

int
ipc_scope_open_folder (IpcScope *self, const char *folder, gboolean create, GError **error)
{
  g_assert (IPC_IS_SCOPE (self));
  if (self->error != NULL)
    {
      if (error != NULL)
        *error = g_error_copy (self->error);
      return -1;
    }
  if (self->bulk != NULL && strcmp (folder, IPC_SCOPE_BULK_FOLDER) == 0)
    {
      g_autoptr(GError) reason = NULL;
      int fd = open_folder_in (self->bulk, folder, create, &reason);

      if (fd >= 0)
        return fd;
      g_debug ("not used for segments: %s", reason->message);
    }
  return open_folder_in (self->directory, folder, create, error);
}
