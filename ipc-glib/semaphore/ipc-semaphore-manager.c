/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Makes, opens, deletes and lists semaphores. What is listed are observers, which are looked at and not attached; what it hands
 * out is attached, and the same object for as long as somebody has it.
 */
#include "ipc-semaphore-manager.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-manager-private.h"
#include "base/ipc-notify-private.h"
#include "core/ipc-name.h"
#include "semaphore/ipc-semaphore-private.h"

#define DEFAULT_PERMITS 1
#define DEFAULT_TIMEOUT 30000
#define ATTEMPTS 16

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
struct _IpcSemaphoreManager
{
  IpcManager parent_instance;

  GMainContext *context;                        /* (owned) */
  IpcSemaphoreDefaults *defaults;               /* (owned) shared with the semaphores */
  guint default_permits;
  GHashTable *handed_out;                       /* (owned) name → GWeakRef of an IpcSemaphore */

  IpcPulseClient pulse;
  struct _Sums
  {
    guint total;
    guint available;
    guint waiters;
  } notified;
};

struct _IpcSemaphoreManagerClass
{
  IpcManagerClass parent_class;
};

typedef struct _Sums Sums;

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

/* ---- what was handed out ---- */

static void
weak_ref_free (gpointer data)
{
  g_weak_ref_clear (data);
  g_free (data);
}

static void
remember (IpcSemaphoreManager *self, IpcSemaphore *semaphore)
{
  GWeakRef *ref = g_new0 (GWeakRef, 1);

  g_weak_ref_init (ref, semaphore);
  g_hash_table_replace (self->handed_out, g_strdup (ipc_semaphore_get_name (semaphore)), ref);
}

/* (transfer full) (nullable): the one of that name, if it is still that. */
static IpcSemaphore *
recall (IpcSemaphoreManager *self, int folder_fd, const char *name)
{
  GWeakRef *ref = g_hash_table_lookup (self->handed_out, name);
  g_autoptr(IpcSemaphore) semaphore = ref != NULL ? g_weak_ref_get (ref) : NULL;

  if (semaphore != NULL && ipc_semaphore_has_name (semaphore, folder_fd))
    return g_steal_pointer (&semaphore);
  return NULL;
}

/* (transfer full) (element-type IpcSemaphore); forgets those that are gone. */
static GPtrArray *
recall_all (IpcSemaphoreManager *self)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer ref;

  g_hash_table_iter_init (&iter, self->handed_out);
  while (g_hash_table_iter_next (&iter, NULL, &ref))
    {
      IpcSemaphore *semaphore = g_weak_ref_get (ref);

      if (semaphore != NULL)
        g_ptr_array_add (all, semaphore);
      else
        g_hash_table_iter_remove (&iter);
    }
  return all;
}

/* Something has a name no more: whoever has it hears of it at once. */
static void
items_changed (GListModel *items, guint position, guint removed, guint added, gpointer manager)
{
  g_autoptr(GPtrArray) all = NULL;

  if (removed == 0)
    return;
  all = recall_all (manager);
  for (guint i = 0; i < all->len; i++)
    if (ipc_semaphore_get_is_deleted (all->pdata[i]))
      ipc_semaphore_look (all->pdata[i]);
}

static IpcSemaphore *
hand_out (IpcSemaphoreManager *self, const char *name, IpcSemaphoreFile *file)
{
  IpcSemaphore *semaphore =
    ipc_semaphore_new_for_file (ipc_manager_get_scope (IPC_MANAGER (self)), self->defaults, self->context, name, file);

  remember (self, semaphore);
  return semaphore;
}

/* ---- making and opening ---- */

static gboolean
check_arguments (const char *name, guint permits, GError **error)
{
  IpcFault fault = { 0 };

  if (!ipc_name_check (name, &fault))
    {
      ipc_error_set_fault (error, &fault, "semaphore");
      return FALSE;
    }
  if (permits <= IPC_SEMAPHORE_MAX_PERMITS)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "semaphore \"%s\": %u permits, the limit is %u", name, permits,
               IPC_SEMAPHORE_MAX_PERMITS);
  return FALSE;
}

/* It exists: says with how many. FALSE: it is gone again. */
static gboolean
set_exists_error (int folder_fd, const char *name, guint asked, GError **error)
{
  g_autoptr(GError) reason = NULL;
  IpcSemaphoreFile file;
  guint present;

  if (!ipc_semaphore_file_observe (&file, folder_fd, name, &reason))
    {
      if (g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        return FALSE;
      g_propagate_error (error, g_steal_pointer (&reason));
      return TRUE;
    }
  present = file.n_permits;
  ipc_semaphore_file_close (&file);
  if (asked != 0 && asked != present)
    g_set_error (error, IPC_ERROR, IPC_ERROR_MISMATCH, "semaphore \"%s\" exists with %u permits, asked %u", name, present, asked);
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_EXISTS, "semaphore \"%s\" exists already, with %u permits", name, present);
  return TRUE;
}

static gboolean
create_file (IpcSemaphoreManager *self, IpcSemaphoreFile *file, int folder_fd, const char *name, guint permits, GError **error)
{
  guint wanted = permits != 0 ? permits : self->default_permits;

  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      if (ipc_semaphore_file_create (file, folder_fd, name, wanted, &reason))
        return TRUE;
      if (!g_error_matches (reason, IPC_ERROR, IPC_ERROR_EXISTS))
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
      if (set_exists_error (folder_fd, name, permits, error))
        return FALSE;
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "semaphore \"%s\": other processes make and delete it all the time", name);
  return FALSE;
}

/**
 * ipc_semaphore_manager_create_semaphore:
 * @self: the manager
 * @name: its name
 * @permits: how many, up to 4096; 0 for [property@Ipc.SemaphoreManager:default-permits]
 * @error: return location for an error
 *
 * Makes a semaphore, and opens it. All permits are free.
 *
 * Errors: %IPC_ERROR_EXISTS; %IPC_ERROR_MISMATCH if it exists with another number of permits than was asked for;
 * %IPC_ERROR_INVALID_NAME; %IPC_ERROR_LIMIT_EXCEEDED for too many permits, or if there are
 * [property@Ipc.Manager:max-items] semaphores; %IPC_ERROR_NO_SPACE; %IPC_ERROR_UNSAFE_PATH; %IPC_ERROR_FORKED. What is there
 * already is left as it is.
 *
 * Returns: (transfer full): the semaphore, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSemaphore *
ipc_semaphore_manager_create_semaphore (IpcSemaphoreManager *self, const char *name, guint permits, GError **error)
{
  g_autoptr(IpcSemaphore) semaphore = NULL;
  IpcSemaphoreFile file;
  int folder_fd;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!check_arguments (name, permits, error))
    return NULL;
  folder_fd = ipc_manager_open_folder (IPC_MANAGER (self), TRUE, error);
  if (folder_fd < 0)
    return NULL;
  /* One that exists is not one more. */
  if ((faccessat (folder_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || ipc_manager_check_room (IPC_MANAGER (self), error)) &&
      create_file (self, &file, folder_fd, name, permits, error))
    semaphore = hand_out (self, name, &file);
  close (folder_fd);
  if (semaphore != NULL)
    ipc_manager_refresh (IPC_MANAGER (self), name);
  return g_steal_pointer (&semaphore);
}

/**
 * ipc_semaphore_manager_open_semaphore:
 * @self: the manager
 * @name: its name
 * @error: return location for an error
 *
 * Opens a semaphore that exists. As long as somebody has it, this manager returns the same object.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %IPC_ERROR_WRONG_TYPE if something else is there;
 * %IPC_ERROR_CORRUPT; %IPC_ERROR_VERSION; %IPC_ERROR_UNSAFE_PATH; %IPC_ERROR_LIMIT_EXCEEDED if there are 4096 processes in
 * the scope; %IPC_ERROR_FORKED.
 *
 * Returns: (transfer full): the semaphore, or %NULL with @error set
 *
 * Since: 0.1
 */
IpcSemaphore *
ipc_semaphore_manager_open_semaphore (IpcSemaphoreManager *self, const char *name, GError **error)
{
  g_autoptr(IpcSemaphore) semaphore = NULL;
  g_autoptr(GError) reason = NULL;
  IpcSemaphoreFile file;
  int folder_fd;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), NULL);
  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  if (!check_arguments (name, 1, error))
    return NULL;
  folder_fd = ipc_manager_open_folder (IPC_MANAGER (self), FALSE, &reason);
  if (folder_fd >= 0)
    {
      semaphore = recall (self, folder_fd, name);
      if (semaphore == NULL && ipc_semaphore_file_attach (&file, folder_fd, name, &reason))
        semaphore = hand_out (self, name, &file);
      close (folder_fd);
    }
  if (semaphore == NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  return g_steal_pointer (&semaphore);
}

/**
 * ipc_semaphore_manager_delete_semaphore:
 * @self: the manager
 * @name: its name
 * @error: return location for an error
 *
 * Deletes a semaphore: takes its name away. Those that have it go on with it and get [signal@Ipc.Semaphore::deleted]; who waits
 * for one of its permits fails with %IPC_ERROR_DELETED, in all processes.
 *
 * Errors: %IPC_ERROR_NOT_FOUND; %IPC_ERROR_INVALID_NAME; %IPC_ERROR_WRONG_TYPE, %IPC_ERROR_CORRUPT and %IPC_ERROR_VERSION if it is
 * no semaphore of this library, which is left alone; %IPC_ERROR_FORKED.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
gboolean
ipc_semaphore_manager_delete_semaphore (IpcSemaphoreManager *self, const char *name, GError **error)
{
  g_autoptr(GError) reason = NULL;
  gboolean deleted;
  int folder_fd;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!check_arguments (name, 1, error))
    return FALSE;
  folder_fd = ipc_manager_open_folder (IPC_MANAGER (self), FALSE, error);
  if (folder_fd < 0)
    return FALSE;
  deleted = ipc_semaphore_file_delete (folder_fd, name, &reason);
  close (folder_fd);
  ipc_manager_refresh (IPC_MANAGER (self), name);
  if (deleted)
    return TRUE;
  if (reason != NULL)
    g_propagate_error (error, g_steal_pointer (&reason));
  else
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "semaphore: \"%s\" was deleted by somebody else just now", name);
  return FALSE;
}

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
  return ipc_semaphore_file_remove_idle (folder_fd, name, ipc_manager_get_idle_timeout (manager), error);
}

/* ---- sums ---- */

static void
sum_up (IpcSemaphoreManager *self, Sums *sums)
{
  GListModel *items = ipc_manager_get_items (IPC_MANAGER (self));
  guint n_items = g_list_model_get_n_items (items);

  *sums = (Sums){ 0 };
  for (guint i = 0; i < n_items; i++)
    {
      g_autoptr(IpcSemaphore) semaphore = g_list_model_get_item (items, i);
      IpcSemaphoreCounts counts;

      ipc_semaphore_count (semaphore, &counts);
      sums->total += ipc_semaphore_get_total_permits (semaphore);
      sums->available += counts.available;
      sums->waiters += counts.waiters;
    }
}

static gdouble
get_utilization (const Sums *sums)
{
  return sums->total > 0 ? (gdouble) (sums->total - sums->available) / sums->total : 0;
}

static void
look_cb (GObject *object)
{
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);
  Sums before = self->notified;
  Sums after;

  sum_up (self, &after);
  self->notified = after;
  if (before.total != after.total)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_PERMITS]);
  if (before.available != after.available)
    g_object_notify_by_pspec (object, properties[PROP_AVAILABLE_PERMITS]);
  if (before.waiters != after.waiters)
    g_object_notify_by_pspec (object, properties[PROP_TOTAL_WAITERS]);
  if (get_utilization (&before) != get_utilization (&after))
    g_object_notify_by_pspec (object, properties[PROP_UTILIZATION]);
}

static gboolean
is_observed (GObject *object)
{
  return ipc_notify_is_observed (object);
}

/**
 * ipc_semaphore_manager_get_total_permits: (get-property total-permits)
 * @self: the manager
 *
 * Gets how many permits all semaphores of the scope have together.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_manager_get_total_permits (IpcSemaphoreManager *self)
{
  Sums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  sum_up (self, &sums);
  return sums.total;
}

/**
 * ipc_semaphore_manager_get_available_permits: (get-property available-permits)
 * @self: the manager
 *
 * Gets how many of the permits of all semaphores of the scope no living process holds.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_manager_get_available_permits (IpcSemaphoreManager *self)
{
  Sums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  sum_up (self, &sums);
  return sums.available;
}

/**
 * ipc_semaphore_manager_get_total_waiters: (get-property total-waiters)
 * @self: the manager
 *
 * Gets how many wait for a permit of any semaphore of the scope, in all processes.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_semaphore_manager_get_total_waiters (IpcSemaphoreManager *self)
{
  Sums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  sum_up (self, &sums);
  return sums.waiters;
}

/**
 * ipc_semaphore_manager_get_utilization: (get-property utilization)
 * @self: the manager
 *
 * Gets which share of all permits is held.
 *
 * Returns: from 0 to 1; 0 if there are none
 *
 * Since: 0.1
 */
gdouble
ipc_semaphore_manager_get_utilization (IpcSemaphoreManager *self)
{
  Sums sums;

  g_return_val_if_fail (IPC_IS_SEMAPHORE_MANAGER (self), 0);

  sum_up (self, &sums);
  return get_utilization (&sums);
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
ipc_semaphore_manager_constructed (GObject *object)
{
  static const IpcPulseFuncs funcs = { is_observed, look_cb };
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);

  G_OBJECT_CLASS (ipc_semaphore_manager_parent_class)->constructed (object);
  g_signal_connect_object (ipc_manager_get_items (IPC_MANAGER (self)), "items-changed", G_CALLBACK (items_changed), self, 0);
  sum_up (self, &self->notified);
  ipc_pulse_add (&self->pulse, self->context, object, &funcs);
}

static void
ipc_semaphore_manager_finalize (GObject *object)
{
  IpcSemaphoreManager *self = IPC_SEMAPHORE_MANAGER (object);

  ipc_pulse_remove (&self->pulse);
  g_clear_pointer (&self->handed_out, g_hash_table_unref);
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
  self->handed_out = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, weak_ref_free);
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
