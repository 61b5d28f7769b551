/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The manager of segments: its list, its settings, its properties. What is listed are observers, which are looked at and not
 * attached. Making and opening are in ipc-shared-memory-manager-open.c, the sums in ipc-shared-memory-manager-sums.c.
 */
#include "memory/ipc-shared-memory-manager-private.h"

#include "base/ipc-notify-private.h"
#include "base/ipc-scope-private.h"

#define DEFAULT_SEGMENT_SIZE 65536

/**
 * IpcSharedMemoryManager:
 *
 * Makes, opens, lists and deletes the segments of shared memory of a scope.
 *
 * Who comes first makes a segment, the others open it:
 *
 * ```c
 * g_autoptr(IpcSharedMemoryManager) manager = ipc_shared_memory_manager_new (NULL);
 * g_autoptr(GError) error = NULL;
 * IpcSharedMemory *counters = ipc_shared_memory_manager_create_segment (manager, "counters", 4096, 0, &error);
 *
 * if (g_error_matches (error, IPC_ERROR, IPC_ERROR_EXISTS))
 *   {
 *     g_clear_error (&error);
 *     counters = ipc_shared_memory_manager_open_segment (manager, "counters", 0, &error);
 *   }
 * ```
 *
 * [property@Ipc.Manager:items] are [class@Ipc.SharedMemory]s, too. They are only observed: being in the list attaches this process to
 * none. To read from one attaches to it, for as long as that object lives; they are not for writing.
 *
 * ## Threads
 *
 * See [class@Ipc.Manager]. The segments that it hands out may be used in any thread.
 *
 * ## When a process dies
 *
 * Its segments stay; see [class@Ipc.SharedMemory]. They are files in the folder `memory` of the scope, or in
 * `/dev/shm/ipc-glib-$UID` where the scope is the default one (see [class@Ipc.Scope]). One that no process has open any more
 * is removed by [method@Ipc.Manager.cleanup] when nobody has accessed it for [property@Ipc.Manager:idle-timeout].
 *
 * ## Caveats
 *
 * - The file `.presence` in that folder says which processes there are. If somebody removes it, segments that are there cannot be
 *   opened any more (%IPC_ERROR_CORRUPT) until they are deleted and made again; those that have them go on.
 * - The sums of all segments are read one after the other, and are only exact while nothing happens.
 *
 * Since: 0.1
 */
struct _IpcSharedMemoryManagerClass
{
  IpcManagerClass parent_class;
};

enum
{
  PROP_0,
  PROP_DEFAULT_SEGMENT_SIZE,
  PROP_MAX_SEGMENT_SIZE,
  PROP_TOTAL_SIZE,
  PROP_TOTAL_ACCESS_COUNT,
  PROP_AVERAGE_SEGMENT_SIZE,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcSharedMemoryManager, ipc_shared_memory_manager, IPC_TYPE_MANAGER)

/* ---- the list ---- */

static GObject *
ipc_shared_memory_manager_observe (IpcManager *manager, int folder_fd, const char *name)
{
  IpcSharedMemoryManager *self = IPC_SHARED_MEMORY_MANAGER (manager);
  IpcSegment *segment = ipc_segment_observe (folder_fd, name, NULL);

  if (segment == NULL)
    return NULL;
  return G_OBJECT (ipc_shared_memory_new_for_segment (ipc_manager_get_scope (manager), self->limits, self->context, name, IPC_ACCESS_READ, segment));
}

/* By the time alone: whether anybody is attached is looked at when it is removed, where nobody can come in between. */
static gboolean
ipc_shared_memory_manager_is_idle (IpcManager *manager, GObject *item, gint64 idle_timeout)
{
  gint64 idle = g_get_real_time () - ipc_shared_memory_get_last_accessed (IPC_SHARED_MEMORY (item));

  return idle / 1000 >= idle_timeout;
}

static gboolean
ipc_shared_memory_manager_remove (IpcManager *manager, int folder_fd, const char *name, GError **error)
{
  return ipc_shared_object_remove_idle (&ipc_segment_class, folder_fd, name, ipc_manager_get_idle_timeout (manager), error);
}

/* ---- what others did ---- */

static void
look_cb (GObject *object)
{
  IpcSharedMemoryManager *self = IPC_SHARED_MEMORY_MANAGER (object);
  IpcSharedMemorySums before = self->notified;
  IpcSharedMemorySums after;

  ipc_shared_memory_manager_sum_up (self, &after);
  self->notified = after;
  if (before.size != after.size)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_SIZE]);
  if (before.access_count != after.access_count)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_ACCESS_COUNT]);
  if (ipc_shared_memory_sums_get_average (&before) != ipc_shared_memory_sums_get_average (&after))
    g_object_notify_by_pspec (object, properties[PROP_AVERAGE_SEGMENT_SIZE]);
}

static gboolean
is_observed (GObject *object)
{
  return ipc_notify_is_observed (object);
}

/* ---- settings ---- */

/**
 * ipc_shared_memory_manager_get_default_segment_size: (get-property default-segment-size)
 * @self: the manager
 *
 * Gets how large a segment is made where nothing else is said.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
gsize
ipc_shared_memory_manager_get_default_segment_size (IpcSharedMemoryManager *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), 0);

  return self->default_segment_size;
}

/**
 * ipc_shared_memory_manager_set_default_segment_size: (set-property default-segment-size)
 * @self: the manager
 * @default_segment_size: bytes; at least 1, and at most [property@Ipc.SharedMemoryManager:max-segment-size]: what is outside becomes the
 *   nearest of these
 *
 * Sets how large a segment is made where nothing else is said.
 *
 * Since: 0.1
 */
void
ipc_shared_memory_manager_set_default_segment_size (IpcSharedMemoryManager *self, gsize default_segment_size)
{
  g_return_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self));

  default_segment_size = CLAMP (default_segment_size, 1, atomic_load (&self->limits->max_size));
  if (self->default_segment_size == default_segment_size)
    return;
  self->default_segment_size = default_segment_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DEFAULT_SEGMENT_SIZE]);
}

/**
 * ipc_shared_memory_manager_get_max_segment_size: (get-property max-segment-size)
 * @self: the manager
 *
 * Gets how large a segment may be that this manager makes, or that it has opened and is resized.
 *
 * Returns: bytes
 *
 * Since: 0.1
 */
gsize
ipc_shared_memory_manager_get_max_segment_size (IpcSharedMemoryManager *self)
{
  g_return_val_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self), 0);

  return atomic_load (&self->limits->max_size);
}

/**
 * ipc_shared_memory_manager_set_max_segment_size: (set-property max-segment-size)
 * @self: the manager
 * @max_segment_size: bytes; at least 1
 *
 * Sets how large a segment may be that this manager makes, or that it has opened and is resized. The default size becomes no larger
 * than that.
 *
 * Since: 0.1
 */
void
ipc_shared_memory_manager_set_max_segment_size (IpcSharedMemoryManager *self, gsize max_segment_size)
{
  g_return_if_fail (IPC_IS_SHARED_MEMORY_MANAGER (self));

  max_segment_size = CLAMP (max_segment_size, 1, IPC_SEGMENT_MAX_SIZE);
  if (atomic_load (&self->limits->max_size) == max_segment_size)
    return;
  atomic_store (&self->limits->max_size, max_segment_size);
  ipc_shared_memory_manager_set_default_segment_size (self, self->default_segment_size);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_SEGMENT_SIZE]);
}

/* ---- the object ---- */

static void
items_changed (GListModel *items, guint position, guint removed, guint added, gpointer manager)
{
  if (removed > 0)
    ipc_shared_memory_manager_tell_deleted (manager);
}

static void
ipc_shared_memory_manager_constructed (GObject *object)
{
  static const IpcPulseFuncs funcs = { is_observed, look_cb };
  IpcSharedMemoryManager *self = IPC_SHARED_MEMORY_MANAGER (object);

  G_OBJECT_CLASS (ipc_shared_memory_manager_parent_class)->constructed (object);
  g_signal_connect_object (ipc_manager_get_items (IPC_MANAGER (self)), "items-changed", G_CALLBACK (items_changed), self, 0);
  ipc_shared_memory_manager_sum_up (self, &self->notified);
  ipc_pulse_add (&self->pulse, self->context, object, &funcs);
}

static void
ipc_shared_memory_manager_finalize (GObject *object)
{
  IpcSharedMemoryManager *self = IPC_SHARED_MEMORY_MANAGER (object);

  ipc_pulse_remove (&self->pulse);
  g_clear_pointer (&self->handed_out, ipc_handed_out_free);
  g_clear_pointer (&self->limits, g_atomic_rc_box_release);
  g_clear_pointer (&self->context, g_main_context_unref);
  G_OBJECT_CLASS (ipc_shared_memory_manager_parent_class)->finalize (object);
}

static void
ipc_shared_memory_manager_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcSharedMemoryManager *self = IPC_SHARED_MEMORY_MANAGER (object);

  /* Who binds a property reads it. */
  ipc_pulse_stir (&self->pulse);
  switch (prop_id)
    {
    case PROP_DEFAULT_SEGMENT_SIZE:
      g_value_set_uint64 (value, self->default_segment_size);
      break;
    case PROP_MAX_SEGMENT_SIZE:
      g_value_set_uint64 (value, atomic_load (&self->limits->max_size));
      break;
    case PROP_TOTAL_SIZE:
      g_value_set_uint64 (value, ipc_shared_memory_manager_get_total_size (self));
      break;
    case PROP_TOTAL_ACCESS_COUNT:
      g_value_set_uint64 (value, ipc_shared_memory_manager_get_total_access_count (self));
      break;
    case PROP_AVERAGE_SEGMENT_SIZE:
      g_value_set_double (value, ipc_shared_memory_manager_get_average_segment_size (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_shared_memory_manager_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  IpcSharedMemoryManager *self = IPC_SHARED_MEMORY_MANAGER (object);

  switch (prop_id)
    {
    case PROP_DEFAULT_SEGMENT_SIZE:
      ipc_shared_memory_manager_set_default_segment_size (self, g_value_get_uint64 (value));
      break;
    case PROP_MAX_SEGMENT_SIZE:
      ipc_shared_memory_manager_set_max_segment_size (self, g_value_get_uint64 (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_shared_memory_manager_class_init (IpcSharedMemoryManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  IpcManagerClass *manager_class = IPC_MANAGER_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  manager_class->folder = IPC_SCOPE_BULK_FOLDER;
  manager_class->observe = ipc_shared_memory_manager_observe;
  manager_class->is_idle = ipc_shared_memory_manager_is_idle;
  manager_class->remove = ipc_shared_memory_manager_remove;
  object_class->constructed = ipc_shared_memory_manager_constructed;
  object_class->finalize = ipc_shared_memory_manager_finalize;
  object_class->get_property = ipc_shared_memory_manager_get_property;
  object_class->set_property = ipc_shared_memory_manager_set_property;

  /**
   * IpcSharedMemoryManager:default-segment-size:
   *
   * How large a segment is made where nothing else is said, in bytes.
   *
   * Since: 0.1
   */
  properties[PROP_DEFAULT_SEGMENT_SIZE] =
    g_param_spec_uint64 ("default-segment-size", NULL, NULL, 1, IPC_SEGMENT_MAX_SIZE, DEFAULT_SEGMENT_SIZE, writable);

  /**
   * IpcSharedMemoryManager:max-segment-size:
   *
   * How large a segment may be made, or become, in bytes. Larger ones of others can be opened all the same.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_SEGMENT_SIZE] =
    g_param_spec_uint64 ("max-segment-size", NULL, NULL, 1, IPC_SEGMENT_MAX_SIZE, (guint64) 1 << 30, writable);

  /**
   * IpcSharedMemoryManager:total-size:
   *
   * How many bytes all segments of the scope have together.
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_SIZE] = g_param_spec_uint64 ("total-size", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSharedMemoryManager:total-access-count:
   *
   * How often the segments of the scope were read or written, by all processes since they were made.
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_ACCESS_COUNT] = g_param_spec_uint64 ("total-access-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSharedMemoryManager:average-segment-size:
   *
   * How many bytes a segment of the scope has on average.
   *
   * Since: 0.1
   */
  properties[PROP_AVERAGE_SEGMENT_SIZE] = g_param_spec_double ("average-segment-size", NULL, NULL, 0, G_MAXDOUBLE, 0, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_shared_memory_manager_init (IpcSharedMemoryManager *self)
{
  self->context = g_main_context_ref_thread_default ();
  self->limits = ipc_shared_memory_limits_new ();
  self->default_segment_size = DEFAULT_SEGMENT_SIZE;
  self->handed_out = ipc_handed_out_new ();
}

/**
 * ipc_shared_memory_manager_new:
 * @scope: (nullable): the scope, or %NULL for the default one
 *
 * Makes a manager of the segments of a scope.
 *
 * Returns: (transfer full): the manager
 *
 * Since: 0.1
 */
IpcSharedMemoryManager *
ipc_shared_memory_manager_new (IpcScope *scope)
{
  g_return_val_if_fail (scope == NULL || IPC_IS_SCOPE (scope), NULL);

  return g_object_new (IPC_TYPE_SHARED_MEMORY_MANAGER, "scope", scope, NULL);
}
