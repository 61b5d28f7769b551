/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the managers of all mechanisms have in common: the list of what exists,
 * the limits, and cleaning up. Following the folder is the folder list's part.
 * All runs in the context that was the thread-default one when the manager was
 * made.
 */
#include "base/ipc-manager-private.h"

#include <unistd.h>

#include "base/ipc-folder-list-private.h"
#include "ipc-error.h"
#include "ipc-scope.h"

#define DEFAULT_MAX_ITEMS 1024
#define DEFAULT_CLEANUP_INTERVAL 60000
#define DEFAULT_IDLE_TIMEOUT 3600000

/**
 * IpcManager:
 *
 * Lists the objects of one kind in a scope, and cleans up after dead processes.
 *
 * This is what the managers of all mechanisms have in common.
 * [property@Ipc.Manager:items] lists what exists, whichever process made it,
 * sorted by name, and changes as objects come and go; it can be shown by a GTK
 * list as it is. A listed object is only observed: that it is in the list does
 * not attach this process to it and does not keep it from being cleaned up.
 *
 * An object that no live process has attached and that nobody has accessed for
 * [property@Ipc.Manager:idle-timeout] is a leftover. [method@Ipc.Manager.cleanup]
 * removes such objects, and so does the manager by itself, each
 * [property@Ipc.Manager:cleanup-interval], while
 * [property@Ipc.Manager:auto-cleanup] is set.
 *
 * ## Threads
 *
 * A manager belongs to the thread-default main context of the thread that made
 * it: use it and drop its last reference in the thread that runs this context.
 * The list changes, and its signals are emitted, there only.
 *
 * ## When a process dies
 *
 * Objects stay when the process that made them dies; they are removed by
 * whichever process cleans up. That no process has an object attached any more
 * is proved by the kernel, not by a process id.
 *
 * ## Caveats
 *
 * - While the main context does not run, the list does not change.
 * - In a child that was forked and did not exec, the list stands still and the
 *   methods fail with %IPC_ERROR_FORKED.
 * - If the folder of the objects is deleted, the list becomes empty; the folder
 *   is made again when an object is made, and found again within a minute or so
 *   if another process makes it.
 *
 * Since: 0.1
 */
typedef struct
{
  IpcScope *scope;        /* (owned) */
  GMainContext *context;  /* (owned) */
  IpcFolderList *list;    /* (owned) (nullable) once it is constructed, where there is a folder */
  GListModel *items;      /* (owned) once it is constructed */
  GSource *cleanup_timer; /* (owned) (nullable) unless auto_cleanup */

  guint n_items; /* as it was last notified */
  guint max_items;
  gboolean auto_cleanup;
  gint64 cleanup_interval; /* ms */
  gint64 idle_timeout;     /* ms */
} IpcManagerPrivate;

enum
{
  PROP_0,
  PROP_ITEMS,
  PROP_N_ITEMS,
  PROP_SCOPE,
  PROP_MAX_ITEMS,
  PROP_AUTO_CLEANUP,
  PROP_CLEANUP_INTERVAL,
  PROP_IDLE_TIMEOUT,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (IpcManager, ipc_manager, G_TYPE_OBJECT)

static IpcManagerPrivate *
get_private (IpcManager *self)
{
  return ipc_manager_get_instance_private (self);
}

static void
items_changed (GListModel *items, guint position, guint removed, guint added, IpcManager *self)
{
  IpcManagerPrivate *priv = get_private (self);
  guint n_items = g_list_model_get_n_items (items);

  if (n_items == priv->n_items)
    return;
  priv->n_items = n_items;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_ITEMS]);
}

int
ipc_manager_open_folder (IpcManager *self, gboolean create, GError **error)
{
  return ipc_folder_list_open_folder (get_private (self)->list, create, error);
}

void
ipc_manager_refresh (IpcManager *self, const char *name)
{
  ipc_folder_list_refresh (get_private (self)->list, name);
}

gboolean
ipc_manager_check_room (IpcManager *self, GError **error)
{
  IpcManagerPrivate *priv = get_private (self);
  guint n_items = g_list_model_get_n_items (priv->items);

  if (n_items < priv->max_items)
    return TRUE;
  if (priv->list != NULL)
    g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "%s in %s: there are %u, the limit (max-items) is %u",
                 IPC_MANAGER_GET_CLASS (self)->folder, ipc_scope_get_directory (priv->scope), n_items, priv->max_items);
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "there are %u, the limit (max-items) is %u", n_items, priv->max_items);
  return FALSE;
}

/* Cleaning up */

static gboolean
cleanup_cb (gpointer user_data)
{
  g_autoptr(IpcManager) self = g_object_ref (user_data);
  g_autoptr(GError) error = NULL;

  if (ipc_manager_cleanup (self, &error) < 0)
    g_debug ("%s could not clean up: %s", G_OBJECT_TYPE_NAME (self), error->message);
  return G_SOURCE_CONTINUE;
}

static void
stop_cleanup_timer (IpcManager *self)
{
  IpcManagerPrivate *priv = get_private (self);

  if (priv->cleanup_timer != NULL)
    g_source_destroy (priv->cleanup_timer);
  g_clear_pointer (&priv->cleanup_timer, g_source_unref);
}

static void
restart_cleanup_timer (IpcManager *self)
{
  IpcManagerPrivate *priv = get_private (self);

  stop_cleanup_timer (self);
  if (!priv->auto_cleanup)
    return;
  priv->cleanup_timer = g_timeout_source_new ((guint) MIN (priv->cleanup_interval, G_MAXUINT));
  g_source_set_callback (priv->cleanup_timer, cleanup_cb, self, NULL);
  g_source_set_static_name (priv->cleanup_timer, "ipc-manager-cleanup");
  g_source_attach (priv->cleanup_timer, priv->context);
}

/* TRUE if it was removed. */
static gboolean
cleanup_item (IpcManager *self, int folder_fd, GObject *item, GError **error)
{
  IpcManagerClass *klass = IPC_MANAGER_GET_CLASS (self);
  const char *name = ipc_folder_list_get_name (item);

  if (klass->is_idle == NULL || klass->remove == NULL ||
      !klass->is_idle (self, item, get_private (self)->idle_timeout) || !klass->remove (self, folder_fd, name, error))
    return FALSE;
  ipc_folder_list_update (get_private (self)->list, folder_fd, name);
  return TRUE;
}

/* One that cannot be removed does not keep the others; the first error is reported. */
static gint
cleanup_items (IpcManager *self, int folder_fd, GError **error)
{
  g_autoptr(GPtrArray) items = ipc_folder_list_snapshot (get_private (self)->list);
  g_autoptr(GError) first = NULL;
  gint n_removed = 0;

  for (guint i = 0; i < items->len; i++)
    n_removed += cleanup_item (self, folder_fd, items->pdata[i], first == NULL ? &first : NULL);
  if (first == NULL)
    return n_removed;
  g_propagate_error (error, g_steal_pointer (&first));
  return -1;
}

/**
 * ipc_manager_cleanup:
 * @self: a manager
 * @error: return location for an error
 *
 * Removes what no live process has attached and nobody has accessed for
 * [property@Ipc.Manager:idle-timeout].
 *
 * An object that cannot be removed does not keep the others from it; the first
 * error is then reported.
 *
 * Returns: the number of objects removed, or -1 with @error set
 *
 * Since: 0.1
 */
gint
ipc_manager_cleanup (IpcManager *self, GError **error)
{
  G_GNUC_UNUSED g_autoptr(IpcManager) keep = NULL;
  g_autoptr(GError) reason = NULL;
  int folder_fd;
  gint n_removed;

  g_return_val_if_fail (IPC_IS_MANAGER (self), -1);
  g_return_val_if_fail (error == NULL || *error == NULL, -1);

  keep = g_object_ref (self);
  /* Without a folder, nothing is left behind by processes that died. */
  if (get_private (self)->list == NULL)
    return IPC_MANAGER_GET_CLASS (self)->cleanup != NULL ? IPC_MANAGER_GET_CLASS (self)->cleanup (self, error) : 0;
  folder_fd = ipc_manager_open_folder (self, FALSE, &reason);
  if (folder_fd < 0)
    {
      if (g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        return 0;
      g_propagate_error (error, g_steal_pointer (&reason));
      return -1;
    }
  ipc_folder_list_rescan (get_private (self)->list, folder_fd);
  n_removed = cleanup_items (self, folder_fd, error);
  close (folder_fd);
  return n_removed;
}

/* The object */

static GObject *
observe_cb (GObject *owner, int folder_fd, const char *name)
{
  IpcManager *self = IPC_MANAGER (owner);

  return IPC_MANAGER_GET_CLASS (self)->observe (self, folder_fd, name);
}

static void
ipc_manager_constructed (GObject *object)
{
  IpcManager *self = IPC_MANAGER (object);
  IpcManagerPrivate *priv = get_private (self);

  G_OBJECT_CLASS (ipc_manager_parent_class)->constructed (object);
  if (priv->scope == NULL)
    priv->scope = g_object_ref (ipc_scope_get_default ());
  if (IPC_MANAGER_GET_CLASS (self)->folder != NULL)
    priv->list = ipc_folder_list_new (object, priv->scope, IPC_MANAGER_GET_CLASS (self)->folder, priv->context, observe_cb);
  priv->items = g_object_ref (priv->list != NULL ? ipc_folder_list_get_items (priv->list) : IPC_MANAGER_GET_CLASS (self)->get_items (self));
  g_signal_connect_object (priv->items, "items-changed", G_CALLBACK (items_changed), self, 0);
  if (priv->list != NULL)
    ipc_folder_list_follow (priv->list);
}

static void
ipc_manager_dispose (GObject *object)
{
  IpcManager *self = IPC_MANAGER (object);

  if (get_private (self)->list != NULL)
    ipc_folder_list_stop (get_private (self)->list);
  stop_cleanup_timer (self);
  G_OBJECT_CLASS (ipc_manager_parent_class)->dispose (object);
}

static void
ipc_manager_finalize (GObject *object)
{
  IpcManagerPrivate *priv = get_private (IPC_MANAGER (object));

  g_clear_object (&priv->items);
  g_clear_pointer (&priv->list, ipc_folder_list_free);
  g_clear_object (&priv->scope);
  g_clear_pointer (&priv->context, g_main_context_unref);
  G_OBJECT_CLASS (ipc_manager_parent_class)->finalize (object);
}

static void
ipc_manager_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcManager *self = IPC_MANAGER (object);

  switch (prop_id)
    {
    case PROP_ITEMS:
      g_value_set_object (value, ipc_manager_get_items (self));
      break;
    case PROP_N_ITEMS:
      g_value_set_uint (value, ipc_manager_get_n_items (self));
      break;
    case PROP_SCOPE:
      g_value_set_object (value, ipc_manager_get_scope (self));
      break;
    case PROP_MAX_ITEMS:
      g_value_set_uint (value, ipc_manager_get_max_items (self));
      break;
    case PROP_AUTO_CLEANUP:
      g_value_set_boolean (value, ipc_manager_get_auto_cleanup (self));
      break;
    case PROP_CLEANUP_INTERVAL:
      g_value_set_int64 (value, ipc_manager_get_cleanup_interval (self));
      break;
    case PROP_IDLE_TIMEOUT:
      g_value_set_int64 (value, ipc_manager_get_idle_timeout (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_manager_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  IpcManager *self = IPC_MANAGER (object);

  switch (prop_id)
    {
    case PROP_SCOPE:
      get_private (self)->scope = g_value_dup_object (value);
      break;
    case PROP_MAX_ITEMS:
      ipc_manager_set_max_items (self, g_value_get_uint (value));
      break;
    case PROP_AUTO_CLEANUP:
      ipc_manager_set_auto_cleanup (self, g_value_get_boolean (value));
      break;
    case PROP_CLEANUP_INTERVAL:
      ipc_manager_set_cleanup_interval (self, g_value_get_int64 (value));
      break;
    case PROP_IDLE_TIMEOUT:
      ipc_manager_set_idle_timeout (self, g_value_get_int64 (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_manager_class_init (IpcManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  object_class->constructed = ipc_manager_constructed;
  object_class->dispose = ipc_manager_dispose;
  object_class->finalize = ipc_manager_finalize;
  object_class->get_property = ipc_manager_get_property;
  object_class->set_property = ipc_manager_set_property;

  /**
   * IpcManager:items:
   *
   * The objects that exist in the scope, sorted by name.
   *
   * Since: 0.1
   */
  properties[PROP_ITEMS] = g_param_spec_object ("items", NULL, NULL, G_TYPE_LIST_MODEL, readable);

  /**
   * IpcManager:n-items:
   *
   * The number of objects that exist in the scope.
   *
   * Since: 0.1
   */
  properties[PROP_N_ITEMS] = g_param_spec_uint ("n-items", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcManager:scope:
   *
   * The scope that the objects live in; %NULL takes the default scope.
   *
   * Since: 0.1
   */
  properties[PROP_SCOPE] =
    g_param_spec_object ("scope", NULL, NULL, IPC_TYPE_SCOPE,
                         G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS);

  /**
   * IpcManager:max-items:
   *
   * The number of objects in the scope above which this manager makes no more.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_ITEMS] =
    g_param_spec_uint ("max-items", NULL, NULL, 0, G_MAXUINT, DEFAULT_MAX_ITEMS, writable);

  /**
   * IpcManager:auto-cleanup:
   *
   * Whether the manager cleans up by itself.
   *
   * Since: 0.1
   */
  properties[PROP_AUTO_CLEANUP] = g_param_spec_boolean ("auto-cleanup", NULL, NULL, FALSE, writable);

  /**
   * IpcManager:cleanup-interval:
   *
   * The time between two automatic cleanups, in milliseconds.
   *
   * Since: 0.1
   */
  properties[PROP_CLEANUP_INTERVAL] =
    g_param_spec_int64 ("cleanup-interval", NULL, NULL, 1, G_MAXINT64, DEFAULT_CLEANUP_INTERVAL, writable);

  /**
   * IpcManager:idle-timeout:
   *
   * The time without an access after which an object that no process has
   * attached is a leftover, in milliseconds.
   *
   * Since: 0.1
   */
  properties[PROP_IDLE_TIMEOUT] =
    g_param_spec_int64 ("idle-timeout", NULL, NULL, 0, G_MAXINT64, DEFAULT_IDLE_TIMEOUT, writable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_manager_init (IpcManager *self)
{
  IpcManagerPrivate *priv = get_private (self);

  priv->context = g_main_context_ref_thread_default ();
  priv->max_items = DEFAULT_MAX_ITEMS;
  priv->cleanup_interval = DEFAULT_CLEANUP_INTERVAL;
  priv->idle_timeout = DEFAULT_IDLE_TIMEOUT;
}

/**
 * ipc_manager_get_items:
 * @self: a manager
 *
 * Gets the objects that exist in the scope, sorted by name.
 *
 * Returns: (transfer none): a list of objects; it is the manager's to change
 *
 * Since: 0.1
 */
GListModel *
ipc_manager_get_items (IpcManager *self)
{
  g_return_val_if_fail (IPC_IS_MANAGER (self), NULL);

  return get_private (self)->items;
}

/**
 * ipc_manager_get_n_items:
 * @self: a manager
 *
 * Gets the number of objects that exist in the scope.
 *
 * Returns: the number of objects
 *
 * Since: 0.1
 */
guint
ipc_manager_get_n_items (IpcManager *self)
{
  g_return_val_if_fail (IPC_IS_MANAGER (self), 0);

  return get_private (self)->n_items;
}

/**
 * ipc_manager_get_scope:
 * @self: a manager
 *
 * Gets the scope that the objects live in.
 *
 * Returns: (transfer none): the scope
 *
 * Since: 0.1
 */
IpcScope *
ipc_manager_get_scope (IpcManager *self)
{
  g_return_val_if_fail (IPC_IS_MANAGER (self), NULL);

  return get_private (self)->scope;
}

/**
 * ipc_manager_get_max_items:
 * @self: a manager
 *
 * Gets the number of objects in the scope above which this manager makes no more.
 *
 * Returns: the number of objects
 *
 * Since: 0.1
 */
guint
ipc_manager_get_max_items (IpcManager *self)
{
  g_return_val_if_fail (IPC_IS_MANAGER (self), 0);

  return get_private (self)->max_items;
}

/**
 * ipc_manager_set_max_items:
 * @self: a manager
 * @max_items: the number of objects; 0 is none
 *
 * Sets the number of objects in the scope above which this manager makes no more.
 *
 * What exists already stays, however many there are.
 *
 * Since: 0.1
 */
void
ipc_manager_set_max_items (IpcManager *self, guint max_items)
{
  IpcManagerPrivate *priv;

  g_return_if_fail (IPC_IS_MANAGER (self));

  priv = get_private (self);
  if (priv->max_items == max_items)
    return;
  priv->max_items = max_items;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_ITEMS]);
}

/**
 * ipc_manager_get_auto_cleanup:
 * @self: a manager
 *
 * Gets whether the manager cleans up by itself.
 *
 * Returns: %TRUE if it does
 *
 * Since: 0.1
 */
gboolean
ipc_manager_get_auto_cleanup (IpcManager *self)
{
  g_return_val_if_fail (IPC_IS_MANAGER (self), FALSE);

  return get_private (self)->auto_cleanup;
}

/**
 * ipc_manager_set_auto_cleanup:
 * @self: a manager
 * @auto_cleanup: whether to clean up by itself
 *
 * Sets whether the manager cleans up by itself, each
 * [property@Ipc.Manager:cleanup-interval].
 *
 * Since: 0.1
 */
void
ipc_manager_set_auto_cleanup (IpcManager *self, gboolean auto_cleanup)
{
  IpcManagerPrivate *priv;

  g_return_if_fail (IPC_IS_MANAGER (self));

  priv = get_private (self);
  if (priv->auto_cleanup == !!auto_cleanup)
    return;
  priv->auto_cleanup = !!auto_cleanup;
  restart_cleanup_timer (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_AUTO_CLEANUP]);
}

/**
 * ipc_manager_get_cleanup_interval:
 * @self: a manager
 *
 * Gets the time between two automatic cleanups.
 *
 * Returns: the time in milliseconds
 *
 * Since: 0.1
 */
gint64
ipc_manager_get_cleanup_interval (IpcManager *self)
{
  g_return_val_if_fail (IPC_IS_MANAGER (self), 0);

  return get_private (self)->cleanup_interval;
}

/**
 * ipc_manager_set_cleanup_interval:
 * @self: a manager
 * @cleanup_interval: the time in milliseconds, 1 or more
 *
 * Sets the time between two automatic cleanups.
 *
 * The next one is that long from now.
 *
 * Since: 0.1
 */
void
ipc_manager_set_cleanup_interval (IpcManager *self, gint64 cleanup_interval)
{
  IpcManagerPrivate *priv;

  g_return_if_fail (IPC_IS_MANAGER (self));
  g_return_if_fail (cleanup_interval >= 1);

  priv = get_private (self);
  if (priv->cleanup_interval == cleanup_interval)
    return;
  priv->cleanup_interval = cleanup_interval;
  restart_cleanup_timer (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_CLEANUP_INTERVAL]);
}

/**
 * ipc_manager_get_idle_timeout:
 * @self: a manager
 *
 * Gets the time without an access after which an object that no process has
 * attached is a leftover.
 *
 * Returns: the time in milliseconds
 *
 * Since: 0.1
 */
gint64
ipc_manager_get_idle_timeout (IpcManager *self)
{
  g_return_val_if_fail (IPC_IS_MANAGER (self), 0);

  return get_private (self)->idle_timeout;
}

/**
 * ipc_manager_set_idle_timeout:
 * @self: a manager
 * @idle_timeout: the time in milliseconds, 0 or more
 *
 * Sets the time without an access after which an object that no process has
 * attached is a leftover.
 *
 * Since: 0.1
 */
void
ipc_manager_set_idle_timeout (IpcManager *self, gint64 idle_timeout)
{
  IpcManagerPrivate *priv;

  g_return_if_fail (IPC_IS_MANAGER (self));
  g_return_if_fail (idle_timeout >= 0);

  priv = get_private (self);
  if (priv->idle_timeout == idle_timeout)
    return;
  priv->idle_timeout = idle_timeout;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_IDLE_TIMEOUT]);
}
