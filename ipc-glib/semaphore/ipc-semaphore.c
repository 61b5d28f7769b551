/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The object: what it is made of, its properties and signals. To acquire is in ipc-semaphore-acquire.c, what its
 * properties say in ipc-semaphore-counts.c, permits in ipc-permit.c.
 *
 * It is finalized by whoever drops the last reference, in any thread, which may be that of its last permit.
 */
#include "ipc-semaphore.h"

#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-notify-private.h"
#include "base/ipc-scope-private.h"
#include "semaphore/ipc-semaphore-private.h"

/**
 * IpcSemaphore:
 *
 * A number of permits that the processes of a scope share.
 *
 * It bounds how many do something at the same time: read a disk, use a licence, talk to a device. Each takes a permit,
 * does it, and gives the permit back. One with a single permit is a lock.
 *
 * Semaphores have names, and come from a [class@Ipc.SemaphoreManager].
 *
 * ```c
 * g_autoptr(IpcSemaphoreManager) manager = ipc_semaphore_manager_new (NULL);
 * g_autoptr(IpcSemaphore) disk = ipc_semaphore_manager_open_semaphore (manager, "disk", &error);
 * g_autoptr(IpcPermit) permit = disk != NULL ? ipc_semaphore_acquire (disk, 5000, NULL, &error) : NULL;
 * ```
 *
 * To acquire a permit that is free, and to release it, is one instruction each that locks a cache line: no system call, however
 * many processes there are. Those that wait sleep in the kernel, and are served in the order in which they came; only during the first
 * millisecond of waiting may somebody else be quicker.
 *
 * The properties tell the truth about all processes when they are read. While somebody is connected to
 * [signal@GObject.Object::notify] or to one of its signals, changes are looked for ten times a second; it may take a second
 * until a new handler is noticed.
 *
 * ## Threads
 *
 * All methods may be called in any thread. Signals are emitted in the thread-default main context of whoever made the manager.
 *
 * ## When a process dies
 *
 * However a process dies, in the middle of whatever, each permit is free or has an owner whose death the kernel proves.
 * What a dead process held goes to whoever waits, usually in less than a millisecond, and is counted in
 * [property@Ipc.Semaphore:recovered-count]. Where nobody waits, the next one that finds no free permit finds it. Who was waiting
 * and dies is forgotten. This works across PID namespaces.
 *
 * ## Caveats
 *
 * - A process that was stopped, or hangs, holds what it holds.
 * - In a child that was forked and did not exec, methods fail with %IPC_ERROR_FORKED. It does not hold what its parent
 *   holds, nor keep it when the parent dies; and what it opens itself is its own.
 * - A thread that waits for a permit of which its own process holds the last one waits for ever, as with any semaphore.
 * - After it was deleted, those that have it go on with it. A new one of the same name is another semaphore.
 * - No process may write into the file but through this library. Who does so can take and give permits as it likes.
 *
 * Since: 0.1
 */

enum
{
  PROP_0,
  PROP_NAME,
  PROP_TOTAL_PERMITS,
  PROP_AVAILABLE_PERMITS,
  PROP_WAITERS,
  PROP_ACQUIRED_COUNT,
  PROP_RELEASED_COUNT,
  PROP_RECOVERED_COUNT,
  PROP_CREATED_AT,
  PROP_LAST_ACCESSED,
  PROP_IS_DELETED,
  N_PROPS
};

enum
{
  SIGNAL_PERMITS_RECOVERED,
  SIGNAL_DELETED,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];
gpointer ipc_semaphore_class;

G_DEFINE_FINAL_TYPE (IpcSemaphore, ipc_semaphore, G_TYPE_OBJECT)

/* ---- what others did ---- */

static gboolean
is_observed (GObject *object)
{
  return ipc_notify_is_observed (object) || ipc_notify_has_handler (object, signals[SIGNAL_PERMITS_RECOVERED]) ||
         ipc_notify_has_handler (object, signals[SIGNAL_DELETED]);
}

static void
notify_changes (IpcSemaphore *self, const IpcSemaphoreCounts *before, const IpcSemaphoreCounts *after)
{
  const struct
  {
    int prop;
    gboolean changed;
  } what[] = {
    { PROP_AVAILABLE_PERMITS, before->available != after->available },
    { PROP_WAITERS, before->waiters != after->waiters },
    { PROP_ACQUIRED_COUNT, before->acquired != after->acquired },
    { PROP_RELEASED_COUNT, before->released != after->released },
    { PROP_RECOVERED_COUNT, before->recovered != after->recovered },
    { PROP_LAST_ACCESSED, before->last_accessed != after->last_accessed },
    { PROP_IS_DELETED, before->is_deleted != after->is_deleted },
  };

  for (guint i = 0; i < G_N_ELEMENTS (what); i++)
    if (what[i].changed)
      g_object_notify_by_pspec (G_OBJECT (self), properties[what[i].prop]);
}

static void
report (IpcSemaphore *self, const IpcSemaphoreCounts *counts)
{
  guint64 n_recovered = counts->recovered - self->reported_recovered;

  self->reported_recovered = counts->recovered;
  /* The number is in shared memory, and may be anything. */
  if (n_recovered > 0 && n_recovered <= G_MAXUINT)
    g_signal_emit (self, signals[SIGNAL_PERMITS_RECOVERED], 0, (guint) n_recovered);
  if (!counts->is_deleted || self->reported_deleted)
    return;
  self->reported_deleted = TRUE;
  g_signal_emit (self, signals[SIGNAL_DELETED], 0);
}

void
ipc_semaphore_look (IpcSemaphore *self)
{
  G_GNUC_UNUSED g_autoptr(IpcSemaphore) keep = g_object_ref (self);
  IpcSemaphoreState *state = atomic_load (&self->attached);
  IpcSemaphoreCounts before = *self->notified;
  IpcSemaphoreCounts after;

  if (self->generation != ipc_fork_generation ())
    return;
  /* What the dead held is noticed also where nobody waits. */
  if (state != NULL)
    ipc_slots_recover (&state->file.slots);
  ipc_semaphore_count (self, &after);
  *self->notified = after;
  notify_changes (self, &before, &after);
  report (self, &after);
}

static void
look_cb (GObject *object)
{
  ipc_semaphore_look (IPC_SEMAPHORE (object));
}

void
ipc_semaphore_stir (IpcSemaphore *self)
{
  ipc_pulse_stir (&self->pulse);
}

/* ---- making ---- */

static IpcSemaphoreState *
state_new (IpcSemaphoreFile *file)
{
  IpcSemaphoreState *state = g_new0 (IpcSemaphoreState, 1);

  state->file = *file;
  state->generation = ipc_fork_generation ();
  state->permits = g_new0 (IpcPermit *, file->n_permits);
  state->loose = g_ptr_array_new ();
  ipc_slot_waiters_init (&state->waiters);
  g_mutex_init (&state->lock);
  return state;
}

static void
state_free (IpcSemaphoreState *state)
{
  ipc_permits_free (state);
  ipc_slot_waiters_clear (&state->waiters, state->generation != ipc_fork_generation ());
  ipc_semaphore_file_close (&state->file);
  g_mutex_clear (&state->lock);
  g_free (state);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (IpcSemaphoreState, state_free)

IpcSemaphore *
ipc_semaphore_new_for_file (IpcScope *scope, IpcSemaphoreDefaults *defaults, GMainContext *context, const char *name,
                            IpcSemaphoreFile *file)
{
  static const IpcPulseFuncs funcs = { is_observed, look_cb };
  IpcSemaphore *self = g_object_new (IPC_TYPE_SEMAPHORE, NULL);

  self->name = g_strdup (name);
  self->scope = g_object_ref (scope);
  self->defaults = g_atomic_rc_box_acquire (defaults);
  if (file->object.attachment.fd >= 0)
    {
      IpcSemaphoreState *state = state_new (file);

      self->view = &state->file;
      atomic_store (&self->attached, state);
    }
  else
    {
      self->observed = *file;
      self->view = &self->observed;
    }
  ipc_semaphore_count (self, self->notified);
  self->reported_recovered = self->notified->recovered;
  ipc_pulse_add (&self->pulse, context, G_OBJECT (self), &funcs);
  return self;
}

gboolean
ipc_semaphore_has_name (IpcSemaphore *self, int folder_fd)
{
  return ipc_shared_object_has_name (&self->view->object, folder_fd, self->name);
}

/* ---- attaching what was only observed ---- */

static gboolean
open_again (IpcSemaphore *self, IpcSemaphoreFile *file, GError **error)
{
  g_autoptr(GError) reason = NULL;
  int folder_fd = ipc_scope_open_folder (self->scope, "semaphore", FALSE, error);
  gboolean opened;

  if (folder_fd < 0)
    return FALSE;
  opened = ipc_semaphore_file_attach (file, folder_fd, self->name, &reason);
  close (folder_fd);
  if (opened && ipc_shared_object_is_same (&file->object, &self->view->object))
    return TRUE;
  if (opened)
    ipc_semaphore_file_close (file);
  if (opened || g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
    g_set_error (error, IPC_ERROR, IPC_ERROR_DELETED, "semaphore \"%s\" was deleted", self->name);
  else
    g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

IpcSemaphoreState *
ipc_semaphore_attach_slow (IpcSemaphore *self, GError **error)
{
  IpcSemaphoreState *state;
  IpcSemaphoreFile file;

  if (!ipc_error_check_fork (self->generation, "the semaphore", error))
    return NULL;
  g_mutex_lock (&self->lock);
  state = atomic_load (&self->attached);
  if (state == NULL && open_again (self, &file, error))
    {
      state = state_new (&file);
      atomic_store_explicit (&self->attached, state, memory_order_release);
    }
  g_mutex_unlock (&self->lock);
  return state;
}

/* ---- the object ---- */

static void
ipc_semaphore_dispose (GObject *object)
{
  IpcSemaphoreState *state = atomic_load (&IPC_SEMAPHORE (object)->attached);

  /* Does not go while somebody has a permit. */
  if (state != NULL && state->generation == ipc_fork_generation ())
    ipc_permits_adopt (IPC_SEMAPHORE (object), state);
  G_OBJECT_CLASS (ipc_semaphore_parent_class)->dispose (object);
}

static void
ipc_semaphore_finalize (GObject *object)
{
  IpcSemaphore *self = IPC_SEMAPHORE (object);
  IpcSemaphoreState *state = atomic_load (&self->attached);

  ipc_pulse_remove (&self->pulse);
  g_clear_pointer (&state, state_free);
  ipc_semaphore_file_close (&self->observed);
  g_free (self->notified);
  g_free (self->name);
  g_clear_object (&self->scope);
  g_clear_pointer (&self->defaults, g_atomic_rc_box_release);
  g_mutex_clear (&self->lock);
  G_OBJECT_CLASS (ipc_semaphore_parent_class)->finalize (object);
}

static void
ipc_semaphore_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcSemaphore *self = IPC_SEMAPHORE (object);

  /* Who binds a property reads it. */
  ipc_semaphore_stir (self);
  switch (prop_id)
    {
    case PROP_NAME:
      g_value_set_string (value, self->name);
      break;
    case PROP_TOTAL_PERMITS:
      g_value_set_uint (value, ipc_semaphore_get_total_permits (self));
      break;
    case PROP_AVAILABLE_PERMITS:
      g_value_set_uint (value, ipc_semaphore_get_available_permits (self));
      break;
    case PROP_WAITERS:
      g_value_set_uint (value, ipc_semaphore_get_waiters (self));
      break;
    case PROP_ACQUIRED_COUNT:
      g_value_set_uint64 (value, ipc_semaphore_get_acquired_count (self));
      break;
    case PROP_RELEASED_COUNT:
      g_value_set_uint64 (value, ipc_semaphore_get_released_count (self));
      break;
    case PROP_RECOVERED_COUNT:
      g_value_set_uint64 (value, ipc_semaphore_get_recovered_count (self));
      break;
    case PROP_CREATED_AT:
      g_value_set_int64 (value, ipc_semaphore_get_created_at (self));
      break;
    case PROP_LAST_ACCESSED:
      g_value_set_int64 (value, ipc_semaphore_get_last_accessed (self));
      break;
    case PROP_IS_DELETED:
      g_value_set_boolean (value, ipc_semaphore_get_is_deleted (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_semaphore_class_init (IpcSemaphoreClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  ipc_semaphore_class = klass;
  object_class->dispose = ipc_semaphore_dispose;
  object_class->finalize = ipc_semaphore_finalize;
  object_class->get_property = ipc_semaphore_get_property;

  /**
   * IpcSemaphore:name:
   *
   * Its name in the scope.
   *
   * Since: 0.1
   */
  properties[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, readable);

  /**
   * IpcSemaphore:total-permits:
   *
   * How many permits there are; it never changes.
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_PERMITS] = g_param_spec_uint ("total-permits", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcSemaphore:available-permits:
   *
   * How many permits no living process holds.
   *
   * Since: 0.1
   */
  properties[PROP_AVAILABLE_PERMITS] = g_param_spec_uint ("available-permits", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcSemaphore:waiters:
   *
   * How many wait for a permit, in all processes.
   *
   * Since: 0.1
   */
  properties[PROP_WAITERS] = g_param_spec_uint ("waiters", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcSemaphore:acquired-count:
   *
   * How often a permit was acquired, by all processes since it was made.
   *
   * Since: 0.1
   */
  properties[PROP_ACQUIRED_COUNT] = g_param_spec_uint64 ("acquired-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSemaphore:released-count:
   *
   * How often a permit was given back by who held it. That is what was acquired, less what is held and what was recovered.
   *
   * Since: 0.1
   */
  properties[PROP_RELEASED_COUNT] = g_param_spec_uint64 ("released-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSemaphore:recovered-count:
   *
   * How often a permit was taken back from a process that had died.
   *
   * Since: 0.1
   */
  properties[PROP_RECOVERED_COUNT] = g_param_spec_uint64 ("recovered-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSemaphore:created-at:
   *
   * When it was made, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcSemaphore:last-accessed:
   *
   * When a process last opened it, left it or acquired a permit, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_ACCESSED] = g_param_spec_int64 ("last-accessed", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcSemaphore:is-deleted:
   *
   * Whether it was deleted: those that have it go on with it, nobody else can open it.
   *
   * Since: 0.1
   */
  properties[PROP_IS_DELETED] = g_param_spec_boolean ("is-deleted", NULL, NULL, FALSE, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);

  /**
   * IpcSemaphore::permits-recovered:
   * @self: the semaphore
   * @n: how many
   *
   * Permits of processes that died were taken back, by whichever process. The first emission tells of all since the object
   * was made.
   *
   * Since: 0.1
   */
  signals[SIGNAL_PERMITS_RECOVERED] =
    g_signal_new ("permits-recovered", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_UINT);

  /**
   * IpcSemaphore::deleted:
   * @self: the semaphore
   *
   * It was deleted, by whichever process. This object goes on working with those that have the same; who waits for a permit
   * fails with %IPC_ERROR_DELETED.
   *
   * Since: 0.1
   */
  signals[SIGNAL_DELETED] =
    g_signal_new ("deleted", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
ipc_semaphore_init (IpcSemaphore *self)
{
  g_mutex_init (&self->lock);
  self->generation = ipc_fork_generation ();
  ipc_shared_object_init (&self->observed.object);
  self->view = &self->observed;
  self->notified = g_new0 (IpcSemaphoreCounts, 1);
}

/**
 * ipc_semaphore_get_name: (get-property name)
 * @self: the semaphore
 *
 * Gets its name in the scope.
 *
 * Returns: the name
 *
 * Since: 0.1
 */
const char *
ipc_semaphore_get_name (IpcSemaphore *self)
{
  g_return_val_if_fail (IPC_IS_SEMAPHORE (self), NULL);

  return self->name;
}
