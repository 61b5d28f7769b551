/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The manager of mapped files: its list, which is of what it has mapped, its settings, its properties. Syncing is in
 * ipc-mapped-file-manager-sync.c, the sums in ipc-mapped-file-manager-sums.c.
 */
#include "file/ipc-mapped-file-manager-private.h"

#include <string.h>

#include "base/ipc-error-private.h"
#include "base/ipc-notify-private.h"

#define DEFAULT_FILE_SIZE 65536
#define DEFAULT_SYNC_INTERVAL 5000

/**
 * IpcMappedFileManager:
 *
 * Maps files, and keeps them mapped, synced and listed.
 *
 * [property@Ipc.Manager:items] are the [class@Ipc.MappedFile]s that this manager has mapped, sorted by path: the manager keeps each until
 * it is unmapped. Files belong to the user, and lie wherever they lie: nothing is listed that was not mapped here.
 *
 * With [property@Ipc.MappedFileManager:auto-sync], what was written is brought to the disk each
 * [property@Ipc.MappedFileManager:sync-interval]. [method@Ipc.Manager.cleanup] syncs and unmaps what was not used for
 * [property@Ipc.Manager:idle-timeout]; the files stay.
 *
 * ## Threads
 *
 * See [class@Ipc.Manager]. The files that it hands out may be used in any thread.
 *
 * ## When a process dies
 *
 * What it has written into its files stays; see [class@Ipc.MappedFile].
 *
 * ## Caveats
 *
 * - The scope is only where processes tell one another of changes: those in different scopes see what the others write, and do not
 *   hear of it.
 * - When the manager is dropped, the files that it has handed out stay mapped for whoever has them, and are not synced by it any more.
 *
 * Since: 0.1
 */
struct _IpcMappedFileManagerClass
{
  IpcManagerClass parent_class;
};

enum
{
  PROP_0,
  PROP_DEFAULT_FILE_SIZE,
  PROP_MAX_FILE_SIZE,
  PROP_AUTO_SYNC,
  PROP_SYNC_INTERVAL,
  PROP_TOTAL_SIZE,
  PROP_DIRTY_FILES,
  PROP_TOTAL_ACCESS_COUNT,
  PROP_AVERAGE_FILE_SIZE,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcMappedFileManager, ipc_mapped_file_manager, IPC_TYPE_MANAGER)

/* ---- the list ---- */

static GListModel *
ipc_mapped_file_manager_get_items (IpcManager *manager)
{
  return G_LIST_MODEL (IPC_MAPPED_FILE_MANAGER (manager)->items);
}

static int
compare_files (gconstpointer a, gconstpointer b, gpointer unused)
{
  return strcmp (ipc_mapped_file_get_path ((IpcMappedFile *) a), ipc_mapped_file_get_path ((IpcMappedFile *) b));
}

static void
remove_file (IpcMappedFileManager *self, IpcMappedFile *file)
{
  guint position;

  if (g_list_store_find (self->items, file, &position))
    g_list_store_remove (self->items, position);
}

typedef struct
{
  IpcMappedFileManager *manager; /* (owned) */
  IpcMappedFile *file;           /* (owned) */
} Removal;

static gboolean
removal_cb (gpointer data)
{
  Removal *removal = data;

  remove_file (removal->manager, removal->file);
  return G_SOURCE_REMOVE;
}

static void
removal_free (gpointer data)
{
  Removal *removal = data;

  g_object_unref (removal->manager);
  g_object_unref (removal->file);
  g_free (removal);
}

/* In whatever thread; the list is the context's. */
static void
unmapped_cb (IpcMappedFile *file, gpointer owner)
{
  IpcMappedFileManager *self = owner;
  g_autoptr(GSource) source = NULL;
  Removal *removal;

  if (g_main_context_is_owner (self->context))
    {
      remove_file (self, file);
      return;
    }
  removal = g_new0 (Removal, 1);
  removal->manager = g_object_ref (self);
  removal->file = g_object_ref (file);
  g_main_context_invoke_full (self->context, G_PRIORITY_DEFAULT, removal_cb, removal, removal_free);
}

/* ---- mapping ---- */

static gboolean
check_access (const char *path, IpcAccess *access, GError **error)
{
  if (*access == 0)
    *access = IPC_MAPPED_FILE_ACCESS_ALL;
  if ((*access & ~(guint) IPC_MAPPED_FILE_ACCESS_ALL) == 0)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "file \"%s\": unknown access flags 0x%x, allowed are 0x%x", path, (guint) *access,
               (guint) IPC_MAPPED_FILE_ACCESS_ALL);
  return FALSE;
}

/**
 * ipc_mapped_file_manager_map_file:
 * @self: the manager
 * @path: (type filename): its path
 * @size: how many bytes it is to have at least; 0 for as many as it has
 * @access: what may be done with the object that is returned; 0 is reading and writing
 * @error: return location for an error
 *
 * Maps a file. If it is to be written and is not there, it is made, with mode 0600, of zeros, with @size bytes or
 * [property@Ipc.MappedFileManager:default-file-size]; whoever finds it there finds it whole. If it is there, all of it is mapped, and what
 * is in it is not touched: a longer one stays as long as it is, a shorter one is made longer if it is to be written.
 *
 * What is to be written gets its place on the disk now, so that no write fails later because the disk is full. What a crash has left
 * undone of a transaction is done now.
 *
 * To map a file that is mapped already gives another object for it, of the same memory.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_WRONG_TYPE for what is no regular file, or one of the kernel's; %IPC_ERROR_UNSAFE_PATH for a symbolic
 * link, a file of somebody else, or one with several names that is to be written, and where others could replace it on the way there;
 * %IPC_ERROR_INVALID_ARGUMENT for an empty file where no size is asked for, and for unknown flags; %IPC_ERROR_INVALID_NAME for an empty path;
 * %IPC_ERROR_MISMATCH if it is shorter and not to be written; %IPC_ERROR_LIMIT_EXCEEDED over
 * [property@Ipc.MappedFileManager:max-file-size], or if [property@Ipc.Manager:max-items] are mapped; %IPC_ERROR_TOO_LARGE;
 * %IPC_ERROR_NO_SPACE; %IPC_ERROR_PERMISSION_DENIED; %IPC_ERROR_CORRUPT if its journal is damaged; %IPC_ERROR_FORKED; those of the scope.
 *
 * Returns: (transfer full): the file, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcMappedFile *
ipc_mapped_file_manager_map_file (IpcMappedFileManager *self, const char *path, gsize size, IpcAccess access, GError **error)
{
  IpcFileWanted wanted;
  IpcMappedFile *file;
  IpcFileMap *map;

  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!ipc_error_check_fork (self->forks, "the manager of mapped files", error) || !check_access (path, &access, error) ||
      !ipc_manager_check_room (IPC_MANAGER (self), error))
    return NULL;
  wanted = (IpcFileWanted){ size, self->default_file_size, atomic_load (&self->limits->max_size) };
  map = ipc_file_map_open (ipc_manager_get_scope (IPC_MANAGER (self)), path, (access & IPC_ACCESS_WRITE) != 0, &wanted, error);
  if (map == NULL)
    return NULL;
  file = ipc_mapped_file_new_for_map (map, access, self->limits, self->context);
  ipc_mapped_file_set_owner (file, self, unmapped_cb);
  g_list_store_insert_sorted (self->items, file, compare_files, NULL);
  return file;
}

/* ---- cleaning up ---- */

static gboolean
is_idle (IpcMappedFileManager *self, IpcMappedFile *file)
{
  gint64 idle = g_get_real_time () - ipc_mapped_file_get_last_accessed (file);

  return g_atomic_int_get (&file->n_uses) == 0 && g_atomic_int_get (&file->n_locks) == 0 && idle / 1000 >= ipc_manager_get_idle_timeout (IPC_MANAGER (self));
}

/* (transfer full): what is not used. */
static GPtrArray *
find_idle (IpcMappedFileManager *self)
{
  GPtrArray *idle = g_ptr_array_new_with_free_func (g_object_unref);
  guint n = g_list_model_get_n_items (G_LIST_MODEL (self->items));

  for (guint i = 0; i < n; i++)
    {
      g_autoptr(IpcMappedFile) file = g_list_model_get_item (G_LIST_MODEL (self->items), i);

      if (is_idle (self, file))
        g_ptr_array_add (idle, g_steal_pointer (&file));
    }
  return idle;
}

static gint
ipc_mapped_file_manager_cleanup (IpcManager *manager, GError **error)
{
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (manager);
  g_autoptr(GPtrArray) idle = find_idle (self);
  g_autoptr(GError) first = NULL;
  gint n = 0;

  if (!ipc_error_check_fork (self->forks, "the manager of mapped files", error))
    return -1;
  for (guint i = 0; i < idle->len; i++)
    n += ipc_mapped_file_unmap (idle->pdata[i], first == NULL ? &first : NULL) ? 1 : 0;
  if (first == NULL)
    return n;
  g_propagate_error (error, g_steal_pointer (&first));
  return -1;
}

/* ---- what was done ---- */

static void
look_cb (GObject *object)
{
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (object);
  IpcMappedFileSums before = self->notified;
  IpcMappedFileSums after;

  ipc_mapped_file_manager_sum_up (self, &after);
  self->notified = after;
  if (before.size != after.size)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_SIZE]);
  if (before.n_dirty != after.n_dirty)
    g_object_notify_by_pspec (object, properties[PROP_DIRTY_FILES]);
  if (before.access_count != after.access_count)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_ACCESS_COUNT]);
  if (ipc_mapped_file_sums_get_average (&before) != ipc_mapped_file_sums_get_average (&after))
    g_object_notify_by_pspec (object, properties[PROP_AVERAGE_FILE_SIZE]);
}

static gboolean
is_observed (GObject *object)
{
  return ipc_notify_is_observed (object);
}

/* ---- settings ---- */

/**
 * ipc_mapped_file_manager_get_default_file_size: (get-property default-file-size)
 * @self: the manager
 *
 * Gets how large a file is made where nothing else is said.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
gsize
ipc_mapped_file_manager_get_default_file_size (IpcMappedFileManager *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), 0);

  return self->default_file_size;
}

/**
 * ipc_mapped_file_manager_set_default_file_size: (set-property default-file-size)
 * @self: the manager
 * @default_file_size: bytes; at least 1, and at most [property@Ipc.MappedFileManager:max-file-size]: what is outside becomes the nearest
 *   of these
 *
 * Sets how large a file is made where nothing else is said.
 *
 * Since: 0.1
 */
void
ipc_mapped_file_manager_set_default_file_size (IpcMappedFileManager *self, gsize default_file_size)
{
  g_return_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self));

  default_file_size = CLAMP (default_file_size, 1, atomic_load (&self->limits->max_size));
  if (self->default_file_size == default_file_size)
    return;
  self->default_file_size = default_file_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DEFAULT_FILE_SIZE]);
}

/**
 * ipc_mapped_file_manager_get_max_file_size: (get-property max-file-size)
 * @self: the manager
 *
 * Gets how large a file may be made, or become.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
gsize
ipc_mapped_file_manager_get_max_file_size (IpcMappedFileManager *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), 0);

  return atomic_load (&self->limits->max_size);
}

/**
 * ipc_mapped_file_manager_set_max_file_size: (set-property max-file-size)
 * @self: the manager
 * @max_file_size: bytes; at least 1
 *
 * Sets how large a file may be that this manager makes, or that it has mapped and is resized. The default size becomes no larger than that.
 *
 * Since: 0.1
 */
void
ipc_mapped_file_manager_set_max_file_size (IpcMappedFileManager *self, gsize max_file_size)
{
  g_return_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self));

  max_file_size = CLAMP (max_file_size, 1, IPC_FILE_MAX_SIZE);
  if (atomic_load (&self->limits->max_size) == max_file_size)
    return;
  atomic_store (&self->limits->max_size, max_file_size);
  ipc_mapped_file_manager_set_default_file_size (self, self->default_file_size);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_FILE_SIZE]);
}

/**
 * ipc_mapped_file_manager_get_auto_sync: (get-property auto-sync)
 * @self: the manager
 *
 * Gets whether files are synced by themselves.
 *
 * Returns: %TRUE if they are
 *
 * Since: 0.1
 */
gboolean
ipc_mapped_file_manager_get_auto_sync (IpcMappedFileManager *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), FALSE);

  return self->auto_sync;
}

/**
 * ipc_mapped_file_manager_set_auto_sync: (set-property auto-sync)
 * @self: the manager
 * @auto_sync: whether to sync by itself
 *
 * Sets whether what was written is brought to the disk each [property@Ipc.MappedFileManager:sync-interval]. Errors are
 * [signal@Ipc.MappedFile::sync-failed].
 *
 * Since: 0.1
 */
void
ipc_mapped_file_manager_set_auto_sync (IpcMappedFileManager *self, gboolean auto_sync)
{
  g_return_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self));

  if (self->auto_sync == !!auto_sync)
    return;
  self->auto_sync = !!auto_sync;
  ipc_mapped_file_manager_restart_timer (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_AUTO_SYNC]);
}

/**
 * ipc_mapped_file_manager_get_sync_interval: (get-property sync-interval)
 * @self: the manager
 *
 * Gets the time between two automatic syncs.
 *
 * Returns: the time in milliseconds
 *
 * Since: 0.1
 */
gint64
ipc_mapped_file_manager_get_sync_interval (IpcMappedFileManager *self)
{
  g_return_val_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self), 0);

  return self->sync_interval;
}

/**
 * ipc_mapped_file_manager_set_sync_interval: (set-property sync-interval)
 * @self: the manager
 * @sync_interval: the time in milliseconds; at least 1: what is less becomes that
 *
 * Sets the time between two automatic syncs. The next one is that long from now.
 *
 * Since: 0.1
 */
void
ipc_mapped_file_manager_set_sync_interval (IpcMappedFileManager *self, gint64 sync_interval)
{
  g_return_if_fail (IPC_IS_MAPPED_FILE_MANAGER (self));

  sync_interval = MAX (sync_interval, 1);
  if (self->sync_interval == sync_interval)
    return;
  self->sync_interval = sync_interval;
  ipc_mapped_file_manager_restart_timer (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SYNC_INTERVAL]);
}

/* ---- the object ---- */

static void
ipc_mapped_file_manager_constructed (GObject *object)
{
  static const IpcPulseFuncs funcs = { is_observed, look_cb };
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (object);

  G_OBJECT_CLASS (ipc_mapped_file_manager_parent_class)->constructed (object);
  ipc_pulse_add (&self->pulse, self->context, object, &funcs);
}

static void
ipc_mapped_file_manager_dispose (GObject *object)
{
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (object);

  self->auto_sync = FALSE;
  ipc_mapped_file_manager_restart_timer (self);
  G_OBJECT_CLASS (ipc_mapped_file_manager_parent_class)->dispose (object);
}

static void
ipc_mapped_file_manager_finalize (GObject *object)
{
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (object);

  ipc_pulse_remove (&self->pulse);
  g_clear_object (&self->items);
  g_clear_pointer (&self->limits, g_atomic_rc_box_release);
  g_clear_pointer (&self->context, g_main_context_unref);
  G_OBJECT_CLASS (ipc_mapped_file_manager_parent_class)->finalize (object);
}

static void
ipc_mapped_file_manager_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (object);

  /* Who binds a property reads it. */
  ipc_pulse_stir (&self->pulse);
  switch (prop_id)
    {
    case PROP_DEFAULT_FILE_SIZE:
      g_value_set_uint64 (value, self->default_file_size);
      break;
    case PROP_MAX_FILE_SIZE:
      g_value_set_uint64 (value, atomic_load (&self->limits->max_size));
      break;
    case PROP_AUTO_SYNC:
      g_value_set_boolean (value, self->auto_sync);
      break;
    case PROP_SYNC_INTERVAL:
      g_value_set_int64 (value, self->sync_interval);
      break;
    case PROP_TOTAL_SIZE:
      g_value_set_uint64 (value, ipc_mapped_file_manager_get_total_size (self));
      break;
    case PROP_DIRTY_FILES:
      g_value_set_uint (value, ipc_mapped_file_manager_get_dirty_files (self));
      break;
    case PROP_TOTAL_ACCESS_COUNT:
      g_value_set_uint64 (value, ipc_mapped_file_manager_get_total_access_count (self));
      break;
    case PROP_AVERAGE_FILE_SIZE:
      g_value_set_double (value, ipc_mapped_file_manager_get_average_file_size (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_mapped_file_manager_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  IpcMappedFileManager *self = IPC_MAPPED_FILE_MANAGER (object);

  switch (prop_id)
    {
    case PROP_DEFAULT_FILE_SIZE:
      ipc_mapped_file_manager_set_default_file_size (self, g_value_get_uint64 (value));
      break;
    case PROP_MAX_FILE_SIZE:
      ipc_mapped_file_manager_set_max_file_size (self, g_value_get_uint64 (value));
      break;
    case PROP_AUTO_SYNC:
      ipc_mapped_file_manager_set_auto_sync (self, g_value_get_boolean (value));
      break;
    case PROP_SYNC_INTERVAL:
      ipc_mapped_file_manager_set_sync_interval (self, g_value_get_int64 (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  /**
   * IpcMappedFileManager:default-file-size:
   *
   * How large a file is made where nothing else is said, in bytes.
   *
   * Since: 0.1
   */
  properties[PROP_DEFAULT_FILE_SIZE] =
    g_param_spec_uint64 ("default-file-size", NULL, NULL, 1, IPC_FILE_MAX_SIZE, DEFAULT_FILE_SIZE, writable);

  /**
   * IpcMappedFileManager:max-file-size:
   *
   * How large a file may be made, or become, in bytes. Larger ones that are there can be mapped all the same.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_FILE_SIZE] =
    g_param_spec_uint64 ("max-file-size", NULL, NULL, 1, IPC_FILE_MAX_SIZE, (guint64) 1 << 30, writable);

  /**
   * IpcMappedFileManager:auto-sync:
   *
   * Whether what was written is synced from time to time.
   *
   * Since: 0.1
   */
  properties[PROP_AUTO_SYNC] = g_param_spec_boolean ("auto-sync", NULL, NULL, FALSE, writable);

  /**
   * IpcMappedFileManager:sync-interval:
   *
   * The time between two automatic syncs, in milliseconds.
   *
   * Since: 0.1
   */
  properties[PROP_SYNC_INTERVAL] =
    g_param_spec_int64 ("sync-interval", NULL, NULL, 1, G_MAXINT64, DEFAULT_SYNC_INTERVAL, writable);

  /**
   * IpcMappedFileManager:total-size:
   *
   * How many bytes all files that are mapped have together.
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_SIZE] = g_param_spec_uint64 ("total-size", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcMappedFileManager:dirty-files:
   *
   * How many of the files that are mapped are dirty.
   *
   * Since: 0.1
   */
  properties[PROP_DIRTY_FILES] = g_param_spec_uint ("dirty-files", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcMappedFileManager:total-access-count:
   *
   * How often the files that are mapped were read or written through their objects.
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_ACCESS_COUNT] = g_param_spec_uint64 ("total-access-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcMappedFileManager:average-file-size:
   *
   * How many bytes a file that is mapped has on average.
   *
   * Since: 0.1
   */
  properties[PROP_AVERAGE_FILE_SIZE] = g_param_spec_double ("average-file-size", NULL, NULL, 0, G_MAXDOUBLE, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_mapped_file_manager_class_init (IpcMappedFileManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  IpcManagerClass *manager_class = IPC_MANAGER_CLASS (klass);

  manager_class->get_items = ipc_mapped_file_manager_get_items;
  manager_class->cleanup = ipc_mapped_file_manager_cleanup;
  object_class->constructed = ipc_mapped_file_manager_constructed;
  object_class->dispose = ipc_mapped_file_manager_dispose;
  object_class->finalize = ipc_mapped_file_manager_finalize;
  object_class->get_property = ipc_mapped_file_manager_get_property;
  object_class->set_property = ipc_mapped_file_manager_set_property;
  install_properties (object_class);
}

static void
ipc_mapped_file_manager_init (IpcMappedFileManager *self)
{
  self->context = g_main_context_ref_thread_default ();
  self->items = g_list_store_new (IPC_TYPE_MAPPED_FILE);
  self->limits = ipc_mapped_file_limits_new ();
  self->forks = ipc_fork_generation ();
  self->default_file_size = DEFAULT_FILE_SIZE;
  self->sync_interval = DEFAULT_SYNC_INTERVAL;
}

/**
 * ipc_mapped_file_manager_new:
 * @scope: (nullable): where processes tell one another of changes, or %NULL for the default scope
 *
 * Makes a manager of mapped files.
 *
 * Returns: (transfer full): the manager
 *
 * Since: 0.1
 */
IpcMappedFileManager *
ipc_mapped_file_manager_new (IpcScope *scope)
{
  g_return_val_if_fail (scope == NULL || IPC_IS_SCOPE (scope), NULL);

  return g_object_new (IPC_TYPE_MAPPED_FILE_MANAGER, "scope", scope, NULL);
}
