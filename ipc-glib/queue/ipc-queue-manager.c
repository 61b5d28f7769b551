/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The manager of queues: its list, its settings, its properties. Making, opening and deleting are in ipc-queue-manager-open.c.
 */
#include "queue/ipc-queue-manager-private.h"

#include "base/ipc-error-private.h"
#include "ipc-enums.h"
#include "queue/ipc-queue-host-private.h"
#include "queue/ipc-queue-memory-store-private.h"
#include "queue/ipc-queue-remote-store-private.h"
#ifdef IPC_HAVE_SQLITE
#include "queue/ipc-queue-sqlite-store-private.h"
#endif

#define DEFAULT_MAX_MESSAGES 10000
#define DEFAULT_MAX_BYTES (64 * 1024 * 1024)
#define DEFAULT_MAX_RETRIES 5
#define DEFAULT_TIMEOUT 30000

/**
 * IpcQueueManager:
 *
 * Makes, opens, lists and deletes message queues.
 *
 * Where they are kept depends on the URI that the manager is made for:
 *
 * | URI | |
 * |---|---|
 * | `memory:` | in the memory of this process, and gone with it; the quickest |
 * | `sqlite:PATH` | in a database that several processes use without a server |
 * | `sqlite:NAME` | the same, in `$XDG_STATE_HOME/ipc-glib` |
 * | `sqlite:` | the one there that all programs of the user share |
 * | `ipc:ADDRESS` | in another process, which serves them there with [method@Ipc.QueueManager.serve] |
 *
 * [method@Ipc.QueueManager.supports] tells what such a store can do.
 *
 * [property@Ipc.Manager:items] are the queues that there are, as [class@Ipc.MessageQueue]s.
 *
 * ## Threads
 *
 * See [class@Ipc.Manager]. The queues that it hands out may be used in any thread.
 *
 * ## When a process dies
 *
 * Queues in memory are gone with it. Those in a database are there, with all that was acknowledged to whoever published; what a process had
 * and did not settle goes to others at once. What a process that uses queues of another one had taken and not settled goes back as soon as
 * it is gone, and counts as an attempt. If the process that serves them dies, what is asked for fails until there is another one: with
 * %IPC_ERROR_NOT_CONNECTED, or with %IPC_ERROR_UNCERTAIN where it may have been done. Nothing is published again by itself.
 *
 * ## Caveats
 *
 * - Each manager has a store of its own: queues in memory are shared by handing on the manager or the queue.
 * - The settings of a manager for `ipc:ADDRESS` are those of the process that serves the queues, as they were when it was made. To set
 *   them has no effect.
 * - A process that serves queues and uses them by `ipc:ADDRESS` in the same main context would wait for itself: that fails.
 * - Queues are not cleaned up by age: [method@Ipc.Manager.cleanup] removes nothing.
 *
 * Since: 0.1
 */
struct _IpcQueueManagerClass
{
  IpcManagerClass parent_class;
};

enum
{
  PROP_0,
  PROP_URI,
  PROP_OVERFLOW_POLICY,
  PROP_MAX_QUEUE_SIZE,
  PROP_MAX_QUEUE_BYTES,
  PROP_MESSAGE_TTL,
  PROP_MAX_RETRIES,
  PROP_DURABILITY,
  N_PROPS
};

static GParamSpec *properties[N_PROPS];

G_DEFINE_FINAL_TYPE (IpcQueueManager, ipc_queue_manager, IPC_TYPE_MANAGER)

/* ---- the list ---- */

static GListModel *
ipc_queue_manager_get_items (IpcManager *manager)
{
  return G_LIST_MODEL (IPC_QUEUE_MANAGER (manager)->items);
}

static int
compare_queues (gconstpointer a, gconstpointer b, gpointer unused)
{
  return g_strcmp0 (ipc_message_queue_get_name ((IpcMessageQueue *) a), ipc_message_queue_get_name ((IpcMessageQueue *) b));
}

gboolean
ipc_queue_manager_find (IpcQueueManager *self, const char *name, guint *position)
{
  guint n = g_list_model_get_n_items (G_LIST_MODEL (self->items));

  for (*position = 0; *position < n; (*position)++)
    {
      g_autoptr(IpcMessageQueue) queue = g_list_model_get_item (G_LIST_MODEL (self->items), *position);

      if (g_strcmp0 (ipc_message_queue_get_name (queue), name) == 0)
        return TRUE;
    }
  return FALSE;
}

void
ipc_queue_manager_set_listed (IpcQueueManager *self, const char *name, gboolean exists)
{
  guint position;

  if (ipc_queue_manager_find (self, name, &position) == exists)
    return;
  if (exists)
    {
      g_autoptr(IpcMessageQueue) queue = ipc_queue_manager_hand_out (self, name);

      g_list_store_insert_sorted (self->items, queue, compare_queues, NULL);
    }
  else
    g_list_store_remove (self->items, position);
}

/* Whoever did it. The store is not asked: it may make its callers wait. */
static void
event_cb (gpointer manager, IpcQueueEvent event, const char *queue)
{
  ipc_queue_manager_set_listed (manager, queue, event == IPC_QUEUE_EVENT_CREATED);
}

/* ---- settings ---- */

static void
apply_limits (IpcQueueManager *self)
{
  g_atomic_int_set (&self->center->max_retries, (gint) self->limits.max_retries);
  IPC_QUEUE_STORE_GET_IFACE (self->center->store)->set_limits (self->center->store, &self->limits);
}

/**
 * ipc_queue_manager_get_overflow_policy: (get-property overflow-policy)
 * @self: the manager
 *
 * Gets what becomes of a message for which there is no room.
 *
 * Returns: the setting
 *
 * Since: 0.1
 */
IpcOverflowPolicy
ipc_queue_manager_get_overflow_policy (IpcQueueManager *self)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), IPC_OVERFLOW_POLICY_REJECT);

  return self->limits.overflow_policy;
}

/**
 * ipc_queue_manager_set_overflow_policy: (set-property overflow-policy)
 * @self: the manager
 * @overflow_policy: the setting
 *
 * Sets what becomes of a message for which there is no room.
 *
 * It holds for all queues of the manager, and for what happens from now on.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_set_overflow_policy (IpcQueueManager *self, IpcOverflowPolicy overflow_policy)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));

  if (self->limits.overflow_policy == overflow_policy)
    return;
  self->limits.overflow_policy = overflow_policy;
  apply_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_OVERFLOW_POLICY]);
}

/**
 * ipc_queue_manager_get_max_queue_size: (get-property max-queue-size)
 * @self: the manager
 *
 * Gets how many messages a queue has at most.
 *
 * Returns: the setting
 *
 * Since: 0.1
 */
guint
ipc_queue_manager_get_max_queue_size (IpcQueueManager *self)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), 10000);

  return self->limits.max_messages;
}

/**
 * ipc_queue_manager_set_max_queue_size: (set-property max-queue-size)
 * @self: the manager
 * @max_queue_size: the setting
 *
 * Sets how many messages a queue has at most.
 *
 * It holds for all queues of the manager, and for what happens from now on.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_set_max_queue_size (IpcQueueManager *self, guint max_queue_size)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));

  max_queue_size = MAX (max_queue_size, 1);
  if (self->limits.max_messages == max_queue_size)
    return;
  self->limits.max_messages = max_queue_size;
  apply_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_QUEUE_SIZE]);
}

/**
 * ipc_queue_manager_get_max_queue_bytes: (get-property max-queue-bytes)
 * @self: the manager
 *
 * Gets how many bytes the messages of a queue have at most.
 *
 * Returns: the setting
 *
 * Since: 0.1
 */
guint64
ipc_queue_manager_get_max_queue_bytes (IpcQueueManager *self)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), 67108864);

  return self->limits.max_bytes;
}

/**
 * ipc_queue_manager_set_max_queue_bytes: (set-property max-queue-bytes)
 * @self: the manager
 * @max_queue_bytes: the setting
 *
 * Sets how many bytes the messages of a queue have at most.
 *
 * It holds for all queues of the manager, and for what happens from now on.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_set_max_queue_bytes (IpcQueueManager *self, guint64 max_queue_bytes)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));

  max_queue_bytes = MAX (max_queue_bytes, 1);
  if (self->limits.max_bytes == max_queue_bytes)
    return;
  self->limits.max_bytes = max_queue_bytes;
  apply_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_QUEUE_BYTES]);
}

/**
 * ipc_queue_manager_get_message_ttl: (get-property message-ttl)
 * @self: the manager
 *
 * Gets how long a message is worth delivering where nothing else is said, in milliseconds; 0 is for ever.
 *
 * Returns: the setting
 *
 * Since: 0.1
 */
gint64
ipc_queue_manager_get_message_ttl (IpcQueueManager *self)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), 0);

  return self->limits.message_ttl;
}

/**
 * ipc_queue_manager_set_message_ttl: (set-property message-ttl)
 * @self: the manager
 * @message_ttl: the setting
 *
 * Sets how long a message is worth delivering where nothing else is said, in milliseconds; 0 is for ever.
 *
 * It holds for all queues of the manager, and for what happens from now on.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_set_message_ttl (IpcQueueManager *self, gint64 message_ttl)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));

  message_ttl = MAX (message_ttl, 0);
  if (self->limits.message_ttl == message_ttl)
    return;
  self->limits.message_ttl = message_ttl;
  apply_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGE_TTL]);
}

/**
 * ipc_queue_manager_get_max_retries: (get-property max-retries)
 * @self: the manager
 *
 * Gets how often a message is delivered again before it becomes a dead letter.
 *
 * Returns: the setting
 *
 * Since: 0.1
 */
guint
ipc_queue_manager_get_max_retries (IpcQueueManager *self)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), 5);

  return self->limits.max_retries;
}

/**
 * ipc_queue_manager_set_max_retries: (set-property max-retries)
 * @self: the manager
 * @max_retries: the setting
 *
 * Sets how often a message is delivered again before it becomes a dead letter.
 *
 * It holds for all queues of the manager, and for what happens from now on.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_set_max_retries (IpcQueueManager *self, guint max_retries)
{
  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));

  max_retries = MIN (max_retries, G_MAXINT);
  if (self->limits.max_retries == max_retries)
    return;
  self->limits.max_retries = max_retries;
  apply_limits (self);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_RETRIES]);
}

/**
 * ipc_queue_manager_get_durability: (get-property durability)
 * @self: the manager
 *
 * Gets what an acknowledged change survives.
 *
 * Returns: the setting
 *
 * Since: 0.1
 */
IpcDurability
ipc_queue_manager_get_durability (IpcQueueManager *self)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), IPC_DURABILITY_FULL);

  return self->durability;
}

/**
 * ipc_queue_manager_set_durability: (set-property durability)
 * @self: the manager
 * @durability: the setting
 *
 * Sets what an acknowledged change survives.
 *
 * It holds for what this manager's queues are asked from now on. A store that keeps nothing does not care.
 *
 * Since: 0.1
 */
void
ipc_queue_manager_set_durability (IpcQueueManager *self, IpcDurability durability)
{
  IpcQueueStore *store;

  g_return_if_fail (IPC_IS_QUEUE_MANAGER (self));

  if (self->durability == durability)
    return;
  store = self->center->store;
  if (IPC_QUEUE_STORE_GET_IFACE (store)->set_durability != NULL)
    IPC_QUEUE_STORE_GET_IFACE (store)->set_durability (store, durability);
  self->durability = durability;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DURABILITY]);
}

/**
 * ipc_queue_manager_get_uri: (get-property uri)
 * @self: the manager
 *
 * Gets where its queues are kept.
 *
 * Returns: a URI
 *
 * Since: 0.1
 */
const char *
ipc_queue_manager_get_uri (IpcQueueManager *self)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), NULL);

  return self->uri;
}

/**
 * ipc_queue_manager_supports:
 * @self: the manager
 * @feature: what is asked for
 *
 * Whether the store of this manager can do something.
 *
 * Returns: %TRUE if it can
 *
 * Since: 0.1
 */
gboolean
ipc_queue_manager_supports (IpcQueueManager *self, IpcQueueFeature feature)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), FALSE);

  return feature <= IPC_QUEUE_FEATURE_SUBSCRIBE && IPC_QUEUE_STORE_GET_IFACE (self->center->store)->supports (self->center->store, feature);
}

/* ---- the object ---- */

static void
ipc_queue_manager_dispose (GObject *object)
{
  IpcQueueManager *self = IPC_QUEUE_MANAGER (object);

  g_clear_pointer (&self->host, ipc_queue_host_stop);
  ipc_queue_center_forget (self->center);
  g_list_store_remove_all (self->items);
  G_OBJECT_CLASS (ipc_queue_manager_parent_class)->dispose (object);
}

static void
ipc_queue_manager_finalize (GObject *object)
{
  IpcQueueManager *self = IPC_QUEUE_MANAGER (object);

  g_clear_object (&self->center);
  g_clear_object (&self->items);
  g_free (self->uri);
  G_OBJECT_CLASS (ipc_queue_manager_parent_class)->finalize (object);
}

static void
ipc_queue_manager_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcQueueManager *self = IPC_QUEUE_MANAGER (object);

  switch (prop_id)
    {
    case PROP_URI:
      g_value_set_string (value, self->uri);
      break;
    case PROP_OVERFLOW_POLICY:
      g_value_set_enum (value, self->limits.overflow_policy);
      break;
    case PROP_MAX_QUEUE_SIZE:
      g_value_set_uint (value, self->limits.max_messages);
      break;
    case PROP_MAX_QUEUE_BYTES:
      g_value_set_uint64 (value, self->limits.max_bytes);
      break;
    case PROP_MESSAGE_TTL:
      g_value_set_int64 (value, self->limits.message_ttl);
      break;
    case PROP_MAX_RETRIES:
      g_value_set_uint (value, self->limits.max_retries);
      break;
    case PROP_DURABILITY:
      g_value_set_enum (value, self->durability);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_queue_manager_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  IpcQueueManager *self = IPC_QUEUE_MANAGER (object);

  switch (prop_id)
    {
    case PROP_OVERFLOW_POLICY:
      ipc_queue_manager_set_overflow_policy (self, g_value_get_enum (value));
      break;
    case PROP_MAX_QUEUE_SIZE:
      ipc_queue_manager_set_max_queue_size (self, g_value_get_uint (value));
      break;
    case PROP_MAX_QUEUE_BYTES:
      ipc_queue_manager_set_max_queue_bytes (self, g_value_get_uint64 (value));
      break;
    case PROP_MESSAGE_TTL:
      ipc_queue_manager_set_message_ttl (self, g_value_get_int64 (value));
      break;
    case PROP_MAX_RETRIES:
      ipc_queue_manager_set_max_retries (self, g_value_get_uint (value));
      break;
    case PROP_DURABILITY:
      ipc_queue_manager_set_durability (self, g_value_get_enum (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_queue_manager_class_init (IpcQueueManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags writable = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;

  IPC_MANAGER_CLASS (klass)->get_items = ipc_queue_manager_get_items;
  object_class->dispose = ipc_queue_manager_dispose;
  object_class->finalize = ipc_queue_manager_finalize;
  object_class->get_property = ipc_queue_manager_get_property;
  object_class->set_property = ipc_queue_manager_set_property;

  /**
   * IpcQueueManager:uri:
   *
   * Where the queues are kept.
   *
   * Since: 0.1
   */
  properties[PROP_URI] = g_param_spec_string ("uri", NULL, NULL, "memory:", readable);

  /**
   * IpcQueueManager:overflow-policy:
   *
   * What becomes of a message for which there is no room. %IPC_OVERFLOW_POLICY_DISCONNECT is the same as to reject it.
   *
   * Since: 0.1
   */
  properties[PROP_OVERFLOW_POLICY] = g_param_spec_enum ("overflow-policy", NULL, NULL, IPC_TYPE_OVERFLOW_POLICY, IPC_OVERFLOW_POLICY_REJECT, writable);

  /**
   * IpcQueueManager:max-queue-size:
   *
   * How many messages a queue has at most.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_QUEUE_SIZE] = g_param_spec_uint ("max-queue-size", NULL, NULL, 1, G_MAXUINT, DEFAULT_MAX_MESSAGES, writable);

  /**
   * IpcQueueManager:max-queue-bytes:
   *
   * How many bytes the messages of a queue have at most.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_QUEUE_BYTES] = g_param_spec_uint64 ("max-queue-bytes", NULL, NULL, 1, G_MAXUINT64, DEFAULT_MAX_BYTES, writable);

  /**
   * IpcQueueManager:message-ttl:
   *
   * How long a message is worth delivering where nothing else is said, in milliseconds; 0 is for ever.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGE_TTL] = g_param_spec_int64 ("message-ttl", NULL, NULL, 0, G_MAXINT64, 0, writable);

  /**
   * IpcQueueManager:max-retries:
   *
   * How often a message is delivered again before it becomes a dead letter.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_RETRIES] = g_param_spec_uint ("max-retries", NULL, NULL, 0, G_MAXINT, DEFAULT_MAX_RETRIES, writable);

  /**
   * IpcQueueManager:durability:
   *
   * What an acknowledged change survives, where the store keeps it.
   *
   * Since: 0.1
   */
  properties[PROP_DURABILITY] = g_param_spec_enum ("durability", NULL, NULL, IPC_TYPE_DURABILITY, IPC_DURABILITY_FULL, writable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

/* Takes STORE. */
static void
use_store (IpcQueueManager *self, IpcQueueStore *store)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();

  g_clear_object (&self->center);
  self->center = ipc_queue_center_new (store, context, self, event_cb);
  g_atomic_int_set (&self->center->default_timeout, DEFAULT_TIMEOUT);
  apply_limits (self);
}

static void
ipc_queue_manager_init (IpcQueueManager *self)
{
  self->generation = ipc_fork_generation ();
  self->uri = g_strdup ("memory:");
  self->items = g_list_store_new (IPC_TYPE_MESSAGE_QUEUE);
  self->limits = (IpcQueueLimits){
    .max_messages = DEFAULT_MAX_MESSAGES,
    .max_bytes = DEFAULT_MAX_BYTES,
    .max_retries = DEFAULT_MAX_RETRIES,
  };
  use_store (self, ipc_queue_memory_store_new ());
}

/**
 * ipc_queue_manager_new:
 * @scope: (nullable): the scope, or %NULL for the default one
 *
 * Makes a manager of queues in memory.
 *
 * Returns: (transfer full): the manager
 *
 * Since: 0.1
 */
IpcQueueManager *
ipc_queue_manager_new (IpcScope *scope)
{
  g_return_val_if_fail (scope == NULL || IPC_IS_SCOPE (scope), NULL);

  return g_object_new (IPC_TYPE_QUEUE_MANAGER, "scope", scope, NULL);
}

/* Takes STORE. What is in it already is in the list from the beginning. */
static IpcQueueManager *
new_for_store (IpcQueueStore *store, const char *uri, const IpcQueueLimits *limits)
{
  g_auto(GStrv) names = NULL;
  IpcQueueManager *self = ipc_queue_manager_new (NULL);

  g_free (self->uri);
  self->uri = g_strdup (uri);
  if (limits != NULL)
    self->limits = *limits;
  use_store (self, store);
  names = IPC_QUEUE_STORE_GET_IFACE (store)->list_queues (store, NULL);
  for (guint i = 0; names != NULL && names[i] != NULL; i++)
    ipc_queue_manager_set_listed (self, names[i], TRUE);
  return self;
}

static IpcQueueManager *
new_for_address (const char *uri, GError **error)
{
  IpcQueueLimits limits;
  IpcQueueStore *store = ipc_queue_remote_store_new (uri + strlen ("ipc:"), &limits, error);

  return store != NULL ? new_for_store (store, uri, &limits) : NULL;
}

#ifdef IPC_HAVE_SQLITE
static IpcQueueManager *
new_for_sqlite (const char *part, GError **error)
{
  g_autofree char *uri = NULL;
  IpcQueueStore *store = ipc_queue_sqlite_store_new (part, &uri, error);

  return store != NULL ? new_for_store (store, uri, NULL) : NULL;
}
#endif

/**
 * ipc_queue_manager_new_for_uri:
 * @uri: where the queues are kept
 * @error: return location for an error
 *
 * Makes a manager of the queues that are kept somewhere. For `ipc:ADDRESS` it waits until it is connected, and blocks the thread meanwhile.
 *
 * Errors: %IPC_ERROR_UNSUPPORTED for a URI of a kind that this library does not know; %IPC_ERROR_INVALID_ARGUMENT for one that
 * makes no sense; of a database, %IPC_ERROR_WRONG_TYPE for a file that is none or another program's, %IPC_ERROR_VERSION for one of a later
 * version, %IPC_ERROR_CORRUPT, %IPC_ERROR_UNSAFE_PATH, %IPC_ERROR_PERMISSION_DENIED, %IPC_ERROR_NO_SPACE: the file is as it was.
 * For `ipc:ADDRESS` those of [method@Ipc.Client.open], %IPC_ERROR_UNKNOWN_TYPE where something else is served, and
 * %IPC_ERROR_VERSION.
 *
 * Returns: (transfer full): the manager, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcQueueManager *
ipc_queue_manager_new_for_uri (const char *uri, GError **error)
{
  g_return_val_if_fail (uri != NULL, NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (g_strcmp0 (uri, "memory:") == 0)
    return ipc_queue_manager_new (NULL);
  if (g_str_has_prefix (uri, "ipc:"))
    return new_for_address (uri, error);
  if (strchr (uri, ':') == NULL || uri[0] == ':')
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "\"%s\" is not the URI of a store of queues", uri);
  else if (g_str_has_prefix (uri, "memory:"))
    g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "\"%s\": nothing follows \"memory:\"", uri);
#ifdef IPC_HAVE_SQLITE
  else if (g_str_has_prefix (uri, "sqlite:"))
    return new_for_sqlite (uri + strlen ("sqlite:"), error);
#else
  else if (g_str_has_prefix (uri, "sqlite:"))
    g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED, "\"%s\": this library was built without SQLite", uri);
#endif
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_UNSUPPORTED,
                 "\"%.*s\" is no kind of store of queues that this library knows; it knows \"memory:\", \"sqlite:\" and \"ipc:\"",
                 (int) (strchr (uri, ':') - uri + 1), uri);
  return NULL;
}

/**
 * ipc_queue_manager_serve:
 * @self: the manager
 * @address: where: an address as [ctor@Ipc.SocketServer.new] takes it, or `pipe:` and one as [ctor@Ipc.PipeServer.new] does, in the scope of the
 *   manager
 * @error: return location for an error
 *
 * Serves the queues to other processes of this user, which reach them with the URI `ipc:ADDRESS`. It goes on as long as there is the manager,
 * in the main context in which it was made.
 *
 * What a process has taken and not settled goes back as soon as it is gone, and counts as an attempt.
 *
 * Errors: %IPC_ERROR_ALREADY if it serves them at an address already; %IPC_ERROR_FORKED; those of [method@Ipc.Server.start].
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_queue_manager_serve (IpcQueueManager *self, const char *address, GError **error)
{
  g_return_val_if_fail (IPC_IS_QUEUE_MANAGER (self), FALSE);
  g_return_val_if_fail (address != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_error_check_fork (self->generation, "the manager", error))
    return FALSE;
  if (self->host != NULL)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_ALREADY, "the queues are served at \"%s\" already", ipc_server_get_address (self->host->server));
      return FALSE;
    }
  self->host = ipc_queue_host_new (self, address, error);
  return self->host != NULL;
}
