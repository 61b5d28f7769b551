/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The object: what it is made of, its properties and signals. To read and write is in ipc-shared-memory-access.c, what its properties
 * say in ipc-shared-memory-counts.c, the lock in ipc-shared-memory-lock.c.
 */
#include "ipc-shared-memory.h"

#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-notify-private.h"
#include "base/ipc-scope-private.h"
#include "ipc-enums.h"
#include "memory/ipc-shared-memory-private.h"

#define DEFAULT_MAX_SIZE ((guint64) 1 << 30)

/**
 * IpcSharedMemory:
 *
 * Bytes that processes share.
 *
 * A segment has a name and comes from a [class@Ipc.SharedMemoryManager]; or it has none, and is handed to others as a descriptor in a
 * message.
 *
 * ```c
 * g_autoptr(IpcSharedMemoryManager) manager = ipc_shared_memory_manager_new (NULL);
 * g_autoptr(IpcSharedMemory) frame = ipc_shared_memory_manager_create_segment (manager, "frame", 1920 * 1080 * 4, 0, &error);
 *
 * if (frame != NULL && ipc_shared_memory_write_data (frame, 0, pixels, n_bytes, &error))
 *   ipc_shared_memory_notify_changed (frame, &error);
 * ```
 *
 * [method@Ipc.SharedMemory.read] and [method@Ipc.SharedMemory.write] are *whole*: what is read is what one write left there, and never
 * half of two, whichever threads and processes write meanwhile, and whenever they are killed. Who reads waits for nobody, as a rule;
 * where somebody writes all the time, both have their share. For changes that are more than one write, there is
 * [method@Ipc.SharedMemory.lock]. [method@Ipc.SharedMemory.get_bytes] looks at the bytes where they lie, without a copy.
 *
 * The properties tell the truth about all processes when they are read. While somebody is connected to
 * [signal@GObject.Object::notify] or to one of its signals, changes are looked for ten times a second.
 * [signal@Ipc.SharedMemory::changed] comes at once.
 *
 * ## Threads
 *
 * All methods may be called in any thread. Signals are emitted in the thread-default main context of whoever made the manager, or the
 * segment where there is none.
 *
 * ## When a process dies
 *
 * The bytes stay, and so does the segment if it has a name. A write of up to 4096 bytes in the middle of which a process is killed is
 * completed by whoever comes next. After a larger one, to read any of its bytes is %IPC_ERROR_OWNER_DIED until they are written
 * anew, or [method@Ipc.SharedMemory.mark_consistent] is called; all other bytes are as they were. The lock is free, and
 * the next one who takes it is told.
 *
 * ## Caveats
 *
 * - A process that was stopped while it writes holds the others up: reading what it writes fails after two seconds.
 * - Views ([method@Ipc.SharedMemory.get_bytes], [method@Ipc.SharedMemory.peek]) see writes in the middle.
 * - In a child that was forked and did not exec, methods fail with %IPC_ERROR_FORKED; views stay.
 * - After it was deleted, those that have it go on with it. A new one of the same name is another segment.
 * - Another process of the same user can write into the file without this library. What it writes is not trusted, but what is in the
 *   segment is then whatever it likes. If it makes the file shorter, what is gone reads as zero, and methods fail with %IPC_ERROR_CORRUPT.
 *
 * Since: 0.1
 */

enum
{
  PROP_0,
  PROP_ID,
  PROP_NAME,
  PROP_SIZE,
  PROP_ACCESS,
  PROP_CREATED_AT,
  PROP_LAST_ACCESSED,
  PROP_ACCESS_COUNT,
  PROP_N_ATTACHED,
  PROP_GENERATION,
  PROP_IS_DELETED,
  PROP_IS_SEALED,
  PROP_IS_CONSISTENT,
  N_PROPS
};

enum
{
  SIGNAL_CHANGED,
  SIGNAL_RESIZED,
  SIGNAL_DELETED,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];
gpointer ipc_shared_memory_class;

G_DEFINE_FINAL_TYPE (IpcSharedMemory, ipc_shared_memory, G_TYPE_OBJECT)

IpcSharedMemoryLimits *
ipc_shared_memory_limits_new (void)
{
  IpcSharedMemoryLimits *limits = g_atomic_rc_box_new0 (IpcSharedMemoryLimits);

  atomic_init (&limits->max_size, DEFAULT_MAX_SIZE);
  return limits;
}

/* ---- what others did ---- */

/* Somebody rings only who is armed. Who is arms first, and looks then. */
static void
arm (IpcSharedMemory *self)
{
  g_atomic_int_set (&self->is_rung, FALSE);
  ipc_listening_arm (&self->listening);
}

static gboolean
has_listeners (IpcSharedMemory *self)
{
  if (ipc_notify_is_observed (self))
    return TRUE;
  for (guint i = 0; i < N_SIGNALS; i++)
    if (ipc_notify_has_handler (self, signals[i]))
      return TRUE;
  return FALSE;
}

/* Where nobody listens, it is rung once a second at most, and what changes before somebody does is nobody's. */
static gboolean
is_observed (GObject *object)
{
  IpcSharedMemory *self = IPC_SHARED_MEMORY (object);

  if (self->generation != ipc_fork_generation ())
    return FALSE;
  if (g_atomic_int_get (&self->is_rung))
    arm (self);
  if (has_listeners (self))
    return TRUE;
  ipc_shared_memory_count (self, self->notified);
  return FALSE;
}

static void
notify_changes (IpcSharedMemory *self, const IpcSharedMemoryCounts *before, const IpcSharedMemoryCounts *after)
{
  const struct
  {
    int prop;
    gboolean changed;
  } what[] = {
    { PROP_SIZE, before->size != after->size },
    { PROP_ACCESS_COUNT, before->access_count != after->access_count },
    { PROP_LAST_ACCESSED, before->last_accessed != after->last_accessed },
    { PROP_IS_DELETED, before->is_deleted != after->is_deleted },
    { PROP_IS_SEALED, before->is_sealed != after->is_sealed },
    { PROP_IS_CONSISTENT, before->is_consistent != after->is_consistent },
  };

  for (guint i = 0; i < G_N_ELEMENTS (what); i++)
    if (what[i].changed)
      g_object_notify_by_pspec (G_OBJECT (self), properties[what[i].prop]);
}

void
ipc_shared_memory_look (IpcSharedMemory *self)
{
  G_GNUC_UNUSED g_autoptr(IpcSharedMemory) keep = g_object_ref (self);
  IpcSharedMemoryCounts before = *self->notified;
  IpcSharedMemoryCounts after;

  if (self->generation != ipc_fork_generation ())
    return;
  ipc_shared_memory_count (self, &after);
  *self->notified = after;
  notify_changes (self, &before, &after);
  if (before.size != after.size)
    g_signal_emit (self, signals[SIGNAL_RESIZED], 0);
  if (before.changes != after.changes)
    g_signal_emit (self, signals[SIGNAL_CHANGED], 0);
  if (!after.is_deleted || self->reported_deleted)
    return;
  self->reported_deleted = TRUE;
  g_signal_emit (self, signals[SIGNAL_DELETED], 0);
}

static void
look_cb (GObject *object)
{
  ipc_shared_memory_look (IPC_SHARED_MEMORY (object));
}

static void
rung_cb (GObject *object)
{
  IpcSharedMemory *self = IPC_SHARED_MEMORY (object);

  if (!has_listeners (self))
    {
      g_atomic_int_set (&self->is_rung, TRUE);
      return;
    }
  arm (self);
  ipc_shared_memory_look (self);
}

/* ---- making ---- */

static char *
format_id (const guint8 id[IPC_SHARED_ID_SIZE])
{
  return g_strdup_printf ("%02x%02x%02x%02x-%02x%02x-4%01x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1], id[2], id[3], id[4], id[5],
                          id[6] & 0xf, id[7], (id[8] & 0x3f) | 0x80, id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
}

static void
start_listening (IpcSharedMemory *self, IpcSegment *segment)
{
  if (segment->object.knows_owners && segment->object.is_writable)
    ipc_listening_start (&self->listening, self->context, segment->object.presence, &segment->listeners, G_OBJECT (self), rung_cb);
}

IpcSharedMemory *
ipc_shared_memory_new_for_segment (IpcScope *scope, IpcSharedMemoryLimits *limits, GMainContext *context, const char *name, IpcAccess access,
                                   IpcSegment *segment)
{
  static const IpcPulseFuncs funcs = { is_observed, look_cb };
  IpcSharedMemory *self = g_object_new (IPC_TYPE_SHARED_MEMORY, NULL);

  self->name = g_strdup (name);
  self->id = format_id (segment->object.file.info.id);
  self->scope = g_object_ref (scope);
  self->limits = limits != NULL ? g_atomic_rc_box_acquire (limits) : ipc_shared_memory_limits_new ();
  self->context = g_main_context_ref (context);
  self->access = access;
  self->view = segment;
  /* Only who looks has nothing mapped. */
  if (atomic_load (&segment->map) != NULL)
    {
      atomic_store (&self->attached, segment);
      start_listening (self, segment);
    }
  else
    self->observed = segment;
  ipc_shared_memory_count (self, self->notified);
  ipc_pulse_add (&self->pulse, context, G_OBJECT (self), &funcs);
  return self;
}

gboolean
ipc_shared_memory_has_name (IpcSharedMemory *self, int folder_fd)
{
  return ipc_shared_object_has_name (&self->view->object, folder_fd, self->name);
}

/* ---- attaching what was only observed ---- */

static IpcSegment *
open_again (IpcSharedMemory *self, GError **error)
{
  g_autoptr(GError) reason = NULL;
  int folder_fd = ipc_scope_open_folder (self->scope, IPC_SCOPE_BULK_FOLDER, FALSE, error);
  IpcSegment *segment;

  if (folder_fd < 0)
    return NULL;
  segment = ipc_segment_attach (folder_fd, self->name, (self->access & IPC_ACCESS_WRITE) != 0, &reason);
  close (folder_fd);
  if (segment != NULL && ipc_shared_object_is_same (&segment->object, &self->view->object))
    return segment;
  if (segment != NULL)
    ipc_segment_close (segment);
  if (segment != NULL || g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
    g_set_error (error, IPC_ERROR, IPC_ERROR_DELETED, "segment \"%s\" was deleted", self->name);
  else
    g_propagate_error (error, g_steal_pointer (&reason));
  return NULL;
}

IpcSegment *
ipc_shared_memory_attach_slow (IpcSharedMemory *self, GError **error)
{
  IpcSegment *segment;
  gboolean is_new = FALSE;

  if (!ipc_error_check_fork (self->generation, "the segment", error))
    return NULL;
  g_mutex_lock (&self->mutex);
  segment = atomic_load (&self->attached);
  if (segment == NULL && (segment = open_again (self, error)) != NULL)
    {
      is_new = TRUE;
      atomic_store_explicit (&self->attached, segment, memory_order_release);
    }
  if (is_new)
    start_listening (self, segment);
  g_mutex_unlock (&self->mutex);
  return segment;
}

/* ---- the object ---- */

static void
ipc_shared_memory_finalize (GObject *object)
{
  IpcSharedMemory *self = IPC_SHARED_MEMORY (object);
  IpcSegment *segment = atomic_load (&self->attached);

  ipc_pulse_remove (&self->pulse);
  ipc_listening_stop (&self->listening);
  ipc_shared_memory_drop_lock (self);
  ipc_slot_waiters_clear (&self->waiters, self->generation != ipc_fork_generation ());
  g_clear_pointer (&segment, ipc_segment_close);
  g_clear_pointer (&self->observed, ipc_segment_close);
  g_free (self->notified);
  g_free (self->name);
  g_free (self->id);
  g_clear_object (&self->scope);
  g_clear_pointer (&self->limits, g_atomic_rc_box_release);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_mutex_clear (&self->mutex);
  G_OBJECT_CLASS (ipc_shared_memory_parent_class)->finalize (object);
}

static void
ipc_shared_memory_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcSharedMemory *self = IPC_SHARED_MEMORY (object);

  /* Who binds a property reads it. */
  ipc_pulse_stir (&self->pulse);
  switch (prop_id)
    {
    case PROP_ID:
      g_value_set_string (value, self->id);
      break;
    case PROP_NAME:
      g_value_set_string (value, self->name);
      break;
    case PROP_SIZE:
      g_value_set_uint64 (value, ipc_shared_memory_get_size (self));
      break;
    case PROP_ACCESS:
      g_value_set_flags (value, self->access);
      break;
    case PROP_CREATED_AT:
      g_value_set_int64 (value, ipc_shared_memory_get_created_at (self));
      break;
    case PROP_LAST_ACCESSED:
      g_value_set_int64 (value, ipc_shared_memory_get_last_accessed (self));
      break;
    case PROP_ACCESS_COUNT:
      g_value_set_uint64 (value, ipc_shared_memory_get_access_count (self));
      break;
    case PROP_N_ATTACHED:
      g_value_set_uint (value, ipc_shared_memory_get_n_attached (self));
      break;
    case PROP_GENERATION:
      g_value_set_uint64 (value, ipc_shared_memory_get_generation (self));
      break;
    case PROP_IS_DELETED:
      g_value_set_boolean (value, ipc_shared_memory_get_is_deleted (self));
      break;
    case PROP_IS_SEALED:
      g_value_set_boolean (value, ipc_shared_memory_get_is_sealed (self));
      break;
    case PROP_IS_CONSISTENT:
      g_value_set_boolean (value, ipc_shared_memory_get_is_consistent (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  /**
   * IpcSharedMemory:id:
   *
   * A UUID that tells it from any other one.
   *
   * Since: 0.1
   */
  properties[PROP_ID] = g_param_spec_string ("id", NULL, NULL, NULL, readable);

  /**
   * IpcSharedMemory:name:
   *
   * Its name in the scope; %NULL if it has none.
   *
   * Since: 0.1
   */
  properties[PROP_NAME] = g_param_spec_string ("name", NULL, NULL, NULL, readable);

  /**
   * IpcSharedMemory:size:
   *
   * How many bytes there are.
   *
   * Since: 0.1
   */
  properties[PROP_SIZE] = g_param_spec_uint64 ("size", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSharedMemory:access:
   *
   * What this object may do with it.
   *
   * Since: 0.1
   */
  properties[PROP_ACCESS] = g_param_spec_flags ("access", NULL, NULL, IPC_TYPE_ACCESS, 0, readable);

  /**
   * IpcSharedMemory:created-at:
   *
   * When it was made, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcSharedMemory:last-accessed:
   *
   * When a process last opened it, left it, read or wrote, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_ACCESSED] = g_param_spec_int64 ("last-accessed", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcSharedMemory:access-count:
   *
   * How often it was read or written, by all processes since it was made.
   *
   * Since: 0.1
   */
  properties[PROP_ACCESS_COUNT] = g_param_spec_uint64 ("access-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSharedMemory:n-attached:
   *
   * How many processes have it open. This is counted when somebody asks, and changes without a notification.
   *
   * Since: 0.1
   */
  properties[PROP_N_ATTACHED] = g_param_spec_uint ("n-attached", NULL, NULL, 0, G_MAXUINT, 0, readable);

  /**
   * IpcSharedMemory:generation:
   *
   * A number that is larger than that of any segment which was there in the scope before this one was begun.
   *
   * Since: 0.1
   */
  properties[PROP_GENERATION] = g_param_spec_uint64 ("generation", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcSharedMemory:is-deleted:
   *
   * Whether it was deleted: those that have it go on with it, nobody else can open it.
   *
   * Since: 0.1
   */
  properties[PROP_IS_DELETED] = g_param_spec_boolean ("is-deleted", NULL, NULL, FALSE, readable);

  /**
   * IpcSharedMemory:is-sealed:
   *
   * Whether nobody can write into it any more.
   *
   * Since: 0.1
   */
  properties[PROP_IS_SEALED] = g_param_spec_boolean ("is-sealed", NULL, NULL, FALSE, readable);

  /**
   * IpcSharedMemory:is-consistent:
   *
   * Whether nobody is known to have died while changing it.
   *
   * Since: 0.1
   */
  properties[PROP_IS_CONSISTENT] = g_param_spec_boolean ("is-consistent", NULL, NULL, TRUE, readable);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
ipc_shared_memory_class_init (IpcSharedMemoryClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  ipc_shared_memory_class = klass;
  object_class->finalize = ipc_shared_memory_finalize;
  object_class->get_property = ipc_shared_memory_get_property;
  install_properties (object_class);

  /**
   * IpcSharedMemory::changed:
   * @self: the segment
   *
   * Somebody else, in this or another process, said that something in it has changed ([method@Ipc.SharedMemory.notify_changed]). Several
   * such calls that come close together may be one emission.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CHANGED] =
    g_signal_new ("changed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * IpcSharedMemory::resized:
   * @self: the segment
   *
   * It has grown, because this or another process called [method@Ipc.SharedMemory.resize].
   *
   * Since: 0.1
   */
  signals[SIGNAL_RESIZED] =
    g_signal_new ("resized", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * IpcSharedMemory::deleted:
   * @self: the segment
   *
   * It was deleted, by whichever process. This object goes on working with those that have the same.
   *
   * Since: 0.1
   */
  signals[SIGNAL_DELETED] =
    g_signal_new ("deleted", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
ipc_shared_memory_init (IpcSharedMemory *self)
{
  g_mutex_init (&self->mutex);
  ipc_slot_waiters_init (&self->waiters);
  self->generation = ipc_fork_generation ();
  self->notified = g_new0 (IpcSharedMemoryCounts, 1);
}
