/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The manager of semaphores: its list, its settings, its properties. What is listed are observers, which are looked at and not
 * attached. Making and opening are in ipc-semaphore-manager-open.c, the sums in ipc-semaphore-manager-sums.c.
 */
#include "semaphore/ipc-semaphore-manager-private.h"

#include "base/ipc-notify-private.h"

#define DEFAULT_PERMITS 1
#define DEFAULT_TIMEOUT 30000

/**
 * IpcSemaphoreManager:
 *
 * Makes, opens, lists and deletes the semaphores of a scope.
 *
 * Who comes first makes a semaphore, the others open it:
 *
 * ```c
 * g_autoptr(IpcSemaphoreManager) manager = ipc_semaphore_manager_new (NULL);
 * g_autoptr(GError) error = NULL;
 * IpcSemaphore *disk = ipc_semaphore_manager_create_semaphore (manager, "disk", 2, &error);
 *
 * if (g_error_matches (error, IPC_ERROR, IPC_ERROR_EXISTS))
 *   {
 *     g_clear_error (&error);
 *     disk = ipc_semaphore_manager_open_semaphore (manager, "disk", &error);
 *   }
 * ```
 *
 * [property@Ipc.Manager:items] are [class@Ipc.Semaphore]s, too. They are only observed: being in the list attaches this
 * process to none. To acquire a permit of one attaches to it, for as long as that object lives.
 *
 * ## Threads
 *
 * See [class@Ipc.Manager]. The semaphores that it hands out may be used in any thread.
 *
 * ## When a process dies
 *
 * Its semaphores stay, and its permits come back; see [class@Ipc.Semaphore]. Semaphores are small files (some 130 KiB) in the folder
 * `semaphore` of the scope. One that no process has open any more is removed by [method@Ipc.Manager.cleanup] when nobody
 * has accessed it for [property@Ipc.Manager:idle-timeout].
 *
 * ## Caveats
 *
 * - The file `.presence` in that folder says which processes there are. If somebody removes it, semaphores that are
 *   there cannot be opened any more (%IPC_ERROR_CORRUPT) until they are deleted and made again; those that have them go on.
 * - The sums of all semaphores are read one after the other, and are only exact while nothing happens.
 *
 * Since: 0.1
 */
struct _IpcSemaphoreManagerClass
{
  IpcManagerClass parent_class;
};

enum
{
  PROP_0,
  PROP_DEFAULT_PERMITS,
  PROP_DEFAULT_TIMEOUT,
  PROP_TOTAL_PERMITS,
  PROP_AVAILABLE_PERMITS,
  PROP_TOTAL_WAITERS,
  PROP_UTILIZATION,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcSemaphoreManager, ipc_semaphore_manager, IPC_TYPE_MANAGER)

/* ---- the list ---- */

static GObject *
ipc_semaphore_manager_observe (IpcManager *manager, int folder_fd, const char *name)
{
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (manager);
  IpcSemaphoreFile file;

  if (!ipc_semaphore_file_observe (&file, folder_fd, name, NULL))
    return NULL;
  return G_OBJECT (ipc_semaphore_new_for_file (ipc_manager_get_scope (manager), self->defaults, self->context, name, &file));
}

/* By the time alone: whether anybody is attached is looked at when it is removed, where nobody can come in between. */
static gboolean
ipc_semaphore_manager_is_idle (IpcManager *manager, GObject *item, gint64 idle_timeout)
{
  gint64 idle = g_get_real_time () - ipc_semaphore_get_last_accessed (IPC_SEMAPHORE (item));

  return idle / 1000 >= idle_timeout;
}

static gboolean
ipc_semaphore_manager_remove (IpcManager *manager, int folder_fd, const char *name, GError **error)
{
  return ipc_shared_object_remove_idle (&ipc_semaphore_file_class, folder_fd, name, ipc_manager_get_idle_timeout (manager), error);
}

/* ---- what others did ---- */

static void
look_cb (GObject *object)
{
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);
  IpcSemaphoreSums before = self->notified;
  IpcSemaphoreSums after;

  ipc_semaphore_manager_sum_up (self, &after);
  self->notified = after;
  if (before.total != after.total)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_PERMITS]);
  if (before.available != after.available)
    g_object_notify_by_pspec (object, properties[PROP_AVAILABLE_PERMITS]);
  if (before.waiters != after.waiters)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_WAITERS]);
  if (ipc_semaphore_sums_get_utilization (&before) != ipc_semaphore_sums_get_utilization (&after))
    g_object_notify_by_pspec (object, properties[PROP_UTILIZATION]);
}

static gboolean
is_observed (GObject *object)
{
  return ipc_notify_is_observed (object);
}

/* ---- settings ---- */

/**
 * ipc_semaphore_manager_get_default_permits: (get-property default-permits)
 * @self: the manager
 *
 * Gets how many permits a semaphore is made with where nothing else is said.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_manager_get_default_permits (IpcSemaphoreManager *self)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  return self->default_permits;
}

/**
 * ipc_semaphore_manager_set_default_permits: (set-property default-permits)
 * @self: the manager
 * @default_permits: their number, from 1 to 4096; what is outside becomes the nearest of these
 *
 * Sets how many permits a semaphore is made with where nothing else is said.
 *
 * Since: 0.1
 */
void
ipc_semaphore_manager_set_default_permits (IpcSemaphoreManager *self, guint default_permits)
{
  g_return_if_fail (IPC_IS_SEMAPHORE_MANAGER (self));

  default_permits = CLAMP (default_permits, 1, IPC_SEMAPHORE_MAX_PERMITS);
  if (self->default_permits == default_permits)
    return;
  self->default_permits = default_permits;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DEFAULT_PERMITS]);
}

/**
 * ipc_semaphore_manager_get_default_timeout: (get-property default-timeout)
 * @self: the manager
 *
 * Gets how long its semaphores wait where %IPC_TIMEOUT_DEFAULT is given.
 *
 * Returns: milliseconds; -1 for ever
 *
 * Since: 0.1
 */
gint
ipc_semaphore_manager_get_default_timeout (IpcSemaphoreManager *self)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  return g_atomic_int_get (&self->defaults->default_timeout);
}

/**
 * ipc_semaphore_manager_set_default_timeout: (set-property default-timeout)
 * @self: the manager
 * @default_timeout: milliseconds; -1 for ever
 *
 * Sets how long its semaphores wait where %IPC_TIMEOUT_DEFAULT is given, also those that it handed out before.
 *
 * Since: 0.1
 */
void
ipc_semaphore_manager_set_default_timeout (IpcSemaphoreManager *self, gint default_timeout)
{
  g_return_if_fail (IPC_IS_SEMAPHORE_MANAGER (self));

  default_timeout = MAX (default_timeout, -1);
  if (g_atomic_int_get (&self->defaults->default_timeout) == default_timeout)
    return;
  g_atomic_int_set (&self->defaults->default_timeout, default_timeout);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DEFAULT_TIMEOUT]);
}

/* ---- the object ---- */

static void
items_changed (GListModel *items, guint position, guint removed, guint added, gpointer manager)
{
  if (removed > 0)
    ipc_semaphore_manager_tell_deleted (manager);
}

static void
ipc_semaphore_manager_constructed (GObject *object)
{
  static const IpcPulseFuncs funcs = { is_observed, look_cb };
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);

  G_OBJECT_CLASS (ipc_semaphore_manager_parent_class)->constructed (object);
  g_signal_connect_object (ipc_manager_get_items (IPC_MANAGER (self)), "items-changed", G_CALLBACK (items_changed), self, 0);
  ipc_semaphore_manager_sum_up (self, &self->notified);
  ipc_pulse_add (&self->pulse, self->context, object, &funcs);
}

static void
ipc_semaphore_manager_finalize (GObject *object)
{
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);

  ipc_pulse_remove (&self->pulse);
  g_clear_pointer (&self->handed_out, ipc_handed_out_free);
  g_clear_pointer (&self->defaults, g_atomic_rc_box_release);
  g_clear_pointer (&self->context, g_main_context_unref);
  G_OBJECT_CLASS (ipc_semaphore_manager_parent_class)->finalize (object);
}

static void
ipc_semaphore_manager_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);

  /* Who binds a property reads it. */
  ipc_pulse_stir (&self->pulse);
  switch (prop_id)
    {
    case PROP_DEFAULT_PERMITS:
      g_value_set_uint (value, self->default_permits);
      break;
    case PROP_DEFAULT_TIMEOUT:
      g_value_set_int (value, ipc_semaphore_manager_get_default_timeout (self));
      break;
    case PROP_TOTAL_PERMITS:
      g_value_set_uint (value, ipc_semaphore_manager_get_total_permits (self));
      break;
    case PROP_AVAILABLE_PERMITS:
      g_value_set_uint (value, ipc_semaphore_manager_get_available_permits (self));
      break;
    case PROP_TOTAL_WAITERS:
      g_value_set_uint (value, ipc_semaphore_manager_get_total_waiters (self));
      break;
    case PROP_UTILIZATION:
      g_value_set_double (value, ipc_semaphore_manager_get_utilization (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_semaphore_manager_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);

  switch (prop_id)
    {
    case PROP_DEFAULT_PERMITS:
      ipc_semaphore_manager_set_default_permits (self, g_value_get_uint (value));
      break;
    case PROP_DEFAULT_TIMEOUT:
      ipc_semaphore_manager_set_default_timeout (self, g_value_get_int (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_semaphore_manager_class_init (IpcSemaphoreManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  IpcManagerClass *manager_class = IPC_MANAGER_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  manager_class->folder = "semaphore";
  manager_class->observe = ipc_semaphore_manager_observe;
  manager_class->is_idle = ipc_semaphore_manager_is_idle;
  manager_class->remove = ipc_semaphore_manager_remove;
  object_class->constructed = ipc_semaphore_manager_constructed;
  object_class->finalize = ipc_semaphore_manager_finalize;
  object_class->get_property = ipc_semaphore_manager_get_property;
  object_class->set_property = ipc_semaphore_manager_set_property;

  /**
   * IpcSemaphoreManager:default-permits:
   *
   * How many permits a semaphore is made with where nothing else is said.
   *
   * Since: 0.1
   */
  properties[PROP_DEFAULT_PERMITS] =
    g_param_spec_uint ("default-permits", NULL, NULL, 1, IPC_SEMAPHORE_MAX_PERMITS, DEFAULT_PERMITS, writable);

  /**
   * IpcSemaphoreManager:default-timeout:
   *
   * How long its semaphores wait where %IPC_TIMEOUT_DEFAULT is given, in milliseconds; -1 is for ever.
   *
   * Since: 0.1
   */
  properties[PROP_DEFAULT_TIMEOUT] = g_param_spec_int ("default-timeout", NULL, NULL, -1, G_MAXINT, DEFAULT_TIMEOUT, writable);

  /**
   * IpcSemaphoreManager:total-permits:
   *
   * How many permits all semaphores of the scope have together.
   *
   * This and the other sums change as often as those of a semaphore; see [class@Ipc.Semaphore].
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_PERMITS] = g_param_spec_uint ("total-permits", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcSemaphoreManager:available-permits:
   *
   * How many of them no living process holds.
   *
   * Since: 0.1
   */
  properties[PROP_AVAILABLE_PERMITS] = g_param_spec_uint ("available-permits", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcSemaphoreManager:total-waiters:
   *
   * How many wait for a permit of any semaphore of the scope, in all processes.
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_WAITERS] = g_param_spec_uint ("total-waiters", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcSemaphoreManager:utilization:
   *
   * Which share of all permits is held, from 0 to 1.
   *
   * Since: 0.1
   */
  properties[PROP_UTILIZATION] = g_param_spec_double ("utilization", NULL, NULL, 0, 1, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_semaphore_manager_init (IpcSemaphoreManager *self)
{
  self->context = g_main_context_ref_thread_default ();
  self->defaults = g_atomic_rc_box_new0 (IpcSemaphoreDefaults);
  self->defaults->default_timeout = DEFAULT_TIMEOUT;
  self->default_permits = DEFAULT_PERMITS;
  self->handed_out = ipc_handed_out_new ();
}

/**
 * ipc_semaphore_manager_new:
 * @scope: (nullable): the scope, or %NULL for the default one
 *
 * Makes a manager of the semaphores of a scope.
 *
 * Returns: (transfer full): the manager
 *
 * Since: 0.1
 */
IpcSemaphoreManager *
ipc_semaphore_manager_new (IpcScope *scope)
{
  g_return_val_if_fail (scope == NULL || IPC_IS_SCOPE (scope), NULL);

  return g_object_new (IPC_TYPE_SEMAPHORE_MANAGER, "scope", scope, NULL);
}
