/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A mapped file as an object: its properties, and its signals, which come from looking: at the board of the file when somebody rings, and
 * at the file itself from time to time while somebody listens.
 */
#include "ipc-mapped-file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/ipc-error-private.h"
#include "base/ipc-notify-private.h"
#include "file/ipc-mapped-file-private.h"
#include "ipc-enums.h"

#define DEFAULT_MAX_SIZE ((guint64) 1 << 30)

/**
 * IpcMappedFile:
 *
 * A file of the user's whose bytes are mapped into memory, and shared with all processes that have it mapped.
 *
 * ```c
 * g_autoptr(IpcMappedFileManager) manager = ipc_mapped_file_manager_new (NULL);
 * g_autoptr(IpcMappedFile) file = ipc_mapped_file_manager_map_file (manager, "table.bin", 65536, 0, &error);
 *
 * if (file != NULL && ipc_mapped_file_write_data (file, 128, &record, sizeof record, &error))
 *   ipc_mapped_file_sync (file, 0, 0, NULL, &error);
 * ```
 *
 * What is written is there for every process at once, also for those that read the file by other means, and stays when this process is
 * killed. It is on the disk, and survives a power cut, when [method@Ipc.MappedFile.sync] has returned without an error. Which pages were
 * written since is known ([property@Ipc.MappedFile:dirty-bytes]).
 *
 * What takes several writes, and must not be there in part after a crash, is a transaction ([method@Ipc.MappedFile.begin]).
 *
 * ## Threads
 *
 * [method@Ipc.MappedFile.read], [method@Ipc.MappedFile.write] and all other methods may be called in any thread. Signals and
 * notifications come in the thread-default main context that the manager was made in.
 *
 * ## When a process dies
 *
 * What it has written stays. A write that it was killed in may be there in part; a transaction is there, or is not.
 *
 * ## Caveats
 *
 * - A file on a file system of the network is only as coherent between machines as that is.
 * - Another process may make the file shorter. What is gone reads as zero through views, and is %IPC_ERROR_CORRUPT for methods; nobody is killed
 *   by a SIGBUS. Where the file ends within a page, a write between its end and the end of that page may go unnoticed until
 *   [signal@Ipc.MappedFile::truncated].
 * - A file that was replaced (by another one of its name, as editors do) stays mapped; [signal@Ipc.MappedFile::replaced] tells.
 * - What is written by other means than this object ([method@Ipc.MappedFile.peek], other libraries) is not known to be dirty until
 *   [method@Ipc.MappedFile.mark_dirty].
 * - In a child that was forked and did not exec, methods fail with %IPC_ERROR_FORKED; views stay.
 *
 * Since: 0.1
 */

enum
{
  PROP_0,
  PROP_ID,
  PROP_PATH,
  PROP_SIZE,
  PROP_ACCESS,
  PROP_IS_MAPPED,
  PROP_IS_DIRTY,
  PROP_DIRTY_BYTES,
  PROP_CREATED_AT,
  PROP_LAST_ACCESSED,
  PROP_LAST_MODIFIED,
  PROP_ACCESS_COUNT,
  PROP_DURABILITY,
  N_PROPS
};

enum
{
  SIGNAL_CHANGED,
  SIGNAL_TRUNCATED,
  SIGNAL_REPLACED,
  SIGNAL_SYNC_FAILED,
  N_SIGNALS
};

static GParamSpec *properties[N_PROPS];
static guint signals[N_SIGNALS];
gpointer ipc_mapped_file_class;

G_DEFINE_FINAL_TYPE (IpcMappedFile, ipc_mapped_file, G_TYPE_OBJECT)

IpcMappedFileLimits *
ipc_mapped_file_limits_new (void)
{
  IpcMappedFileLimits *limits = g_atomic_rc_box_new0 (IpcMappedFileLimits);

  atomic_init (&limits->max_size, DEFAULT_MAX_SIZE);
  return limits;
}

const char *
ipc_mapped_file_describe (IpcMappedFile *self)
{
  return self->map->opened.path;
}

/* ---- what others did ---- */

/* Somebody rings only who is armed. Who is arms first, and looks then. */
static void
arm (IpcMappedFile *self)
{
  g_atomic_int_set (&self->is_rung, FALSE);
  ipc_listening_arm (&self->listening);
}

static gboolean
is_alive (IpcMappedFile *self)
{
  return self->forks == ipc_fork_generation () && !g_atomic_int_get (&self->is_unmapped);
}

static gboolean
has_listeners (IpcMappedFile *self)
{
  if (ipc_notify_is_observed (self))
    return TRUE;
  for (guint i = 0; i < N_SIGNALS; i++)
    if (ipc_notify_has_handler (self, signals[i]))
      return TRUE;
  return FALSE;
}

void
ipc_mapped_file_count (IpcMappedFile *self, IpcMappedFileCounts *counts)
{
  *counts = (IpcMappedFileCounts){
    .size = atomic_load (&self->map->size),
    .dirty_bytes = ipc_file_map_count_dirty (self->map),
    .access_count = atomic_load (&self->access_count),
    .last_accessed = atomic_load (&self->last_accessed),
    .last_modified = ipc_mapped_file_get_last_modified (self),
  };
}

/* Where nobody listens, it is rung once a second at most, and what changes before somebody does is nobody's. */
static gboolean
is_observed (GObject *object)
{
  IpcMappedFile *self = IPC_MAPPED_FILE (object);

  if (!is_alive (self))
    return FALSE;
  if (g_atomic_int_get (&self->is_rung))
    arm (self);
  if (has_listeners (self))
    return TRUE;
  ipc_mapped_file_count (self, self->notified);
  return FALSE;
}

static void
notify_changes (IpcMappedFile *self, const IpcMappedFileCounts *before, const IpcMappedFileCounts *after)
{
  const struct
  {
    int prop;
    gboolean changed;
  } what[] = {
    { PROP_SIZE, before->size != after->size },
    { PROP_IS_DIRTY, (before->dirty_bytes != 0) != (after->dirty_bytes != 0) },
    { PROP_DIRTY_BYTES, before->dirty_bytes != after->dirty_bytes },
    { PROP_ACCESS_COUNT, before->access_count != after->access_count },
    { PROP_LAST_ACCESSED, before->last_accessed != after->last_accessed },
    { PROP_LAST_MODIFIED, before->last_modified != after->last_modified },
  };

  for (guint i = 0; i < G_N_ELEMENTS (what); i++)
    if (what[i].changed)
      g_object_notify_by_pspec (G_OBJECT (self), properties[what[i].prop]);
}

static gboolean
is_replaced (IpcMappedFile *self)
{
  const IpcFileOpened *opened = &self->map->opened;
  struct stat status;

  if (fstatat (opened->directory_fd, opened->basename, &status, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT;
  return status.st_dev != opened->device || status.st_ino != opened->inode;
}

static void
look_cb (GObject *object)
{
  IpcMappedFile *self = IPC_MAPPED_FILE (object);
  IpcMappedFileCounts before = *self->notified;
  IpcMappedFileCounts after;

  if (!is_alive (self))
    return;
  ipc_file_map_refresh (self->map, NULL);
  ipc_mapped_file_count (self, &after);
  *self->notified = after;
  notify_changes (self, &before, &after);
  if (after.size < before.size && after.size < atomic_load (&self->map->known))
    g_signal_emit (self, signals[SIGNAL_TRUNCATED], 0);
  if (self->reported_replaced || !is_replaced (self))
    return;
  self->reported_replaced = TRUE;
  g_signal_emit (self, signals[SIGNAL_REPLACED], 0);
}

static void
rung_cb (GObject *object)
{
  IpcMappedFile *self = IPC_MAPPED_FILE (object);

  if (!is_alive (self))
    return;
  if (!has_listeners (self))
    {
      g_atomic_int_set (&self->is_rung, TRUE);
      return;
    }
  arm (self);
  g_signal_emit (self, signals[SIGNAL_CHANGED], 0);
}

void
ipc_mapped_file_stir (IpcMappedFile *self)
{
  ipc_pulse_stir (&self->pulse);
}

typedef struct
{
  IpcMappedFile *file;          /* (owned) */
  GError *error;                /* (owned) (nullable): NULL: it was unmapped */
} News;

static gboolean
tell_cb (gpointer data)
{
  News *news = data;

  if (news->error != NULL)
    g_signal_emit (news->file, signals[SIGNAL_SYNC_FAILED], 0, news->error);
  else
    g_object_notify_by_pspec (G_OBJECT (news->file), properties[PROP_IS_MAPPED]);
  return G_SOURCE_REMOVE;
}

static void
news_free (gpointer data)
{
  News *news = data;

  g_object_unref (news->file);
  g_clear_error (&news->error);
  g_free (news);
}

static void
tell (IpcMappedFile *self, const GError *error)
{
  g_autoptr(GSource) source = g_idle_source_new ();
  News *news = g_new0 (News, 1);

  news->file = g_object_ref (self);
  news->error = error != NULL ? g_error_copy (error) : NULL;
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, tell_cb, news, news_free);
  g_source_set_static_name (source, "ipc-mapped-file-news");
  g_source_attach (source, self->context);
}

void
ipc_mapped_file_tell_failed (IpcMappedFile *self, const GError *error)
{
  if (ipc_notify_has_handler (self, signals[SIGNAL_SYNC_FAILED]))
    tell (self, error);
}

void
ipc_mapped_file_tell_unmapped (IpcMappedFile *self)
{
  g_autoptr(GObject) owner = g_weak_ref_get (&self->owner);

  if (owner != NULL)
    self->unmapped (self, owner);
  if (ipc_notify_is_observed (self))
    tell (self, NULL);
}

/* ---- making ---- */

IpcMappedFile *
ipc_mapped_file_new_for_map (IpcFileMap *map, IpcAccess access, IpcMappedFileLimits *limits, GMainContext *context)
{
  static const IpcPulseFuncs funcs = { is_observed, look_cb };
  IpcMappedFile *self = g_object_new (IPC_TYPE_MAPPED_FILE, NULL);

  self->map = map;
  atomic_init (&self->n_broken, atomic_load (&map->n_broken));
  self->access = access;
  self->limits = g_atomic_rc_box_acquire (limits);
  self->context = g_main_context_ref (context);
  ipc_mapped_file_count (self, self->notified);
  if (map->board.object.knows_owners)
    ipc_listening_start (&self->listening, context, map->board.object.presence, &map->board.listeners, G_OBJECT (self), rung_cb);
  ipc_pulse_add (&self->pulse, context, G_OBJECT (self), &funcs);
  return self;
}

void
ipc_mapped_file_set_owner (IpcMappedFile *self, gpointer owner, void (*unmapped) (IpcMappedFile *self, gpointer owner))
{
  g_weak_ref_set (&self->owner, owner);
  self->unmapped = unmapped;
}

/* ---- the object ---- */

/* What was not synced is in the page cache, where no crash of this process harms it; but who drops a file has done with it. */
static void
sync_last (IpcMappedFile *self)
{
  guint64 size = atomic_load (&self->map->known);

  if (is_alive (self) && (self->access & IPC_ACCESS_WRITE) != 0)
    ipc_file_map_sync (self->map, 0, size, NULL);
}

static void
ipc_mapped_file_finalize (GObject *object)
{
  IpcMappedFile *self = IPC_MAPPED_FILE (object);

  ipc_pulse_remove (&self->pulse);
  ipc_listening_stop (&self->listening);
  ipc_mapped_file_close_locks (self);
  if (self->map != NULL)
    {
      sync_last (self);
      ipc_file_map_close (self->map);
    }
  g_weak_ref_clear (&self->owner);
  g_free (self->notified);
  g_free (self->id);
  g_clear_pointer (&self->limits, g_atomic_rc_box_release);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_mutex_clear (&self->mutex);
  G_OBJECT_CLASS (ipc_mapped_file_parent_class)->finalize (object);
}

static void
ipc_mapped_file_get_property (GObject *object, guint prop_id, GValue *value, GParamSpec *pspec)
{
  IpcMappedFile *self = IPC_MAPPED_FILE (object);

  /* Who binds a property reads it. */
  ipc_pulse_stir (&self->pulse);
  switch (prop_id)
    {
    case PROP_ID:
      g_value_set_string (value, self->id);
      break;
    case PROP_PATH:
      g_value_set_string (value, ipc_mapped_file_get_path (self));
      break;
    case PROP_SIZE:
      g_value_set_uint64 (value, ipc_mapped_file_get_size (self));
      break;
    case PROP_ACCESS:
      g_value_set_flags (value, self->access);
      break;
    case PROP_IS_MAPPED:
      g_value_set_boolean (value, ipc_mapped_file_get_is_mapped (self));
      break;
    case PROP_IS_DIRTY:
      g_value_set_boolean (value, ipc_mapped_file_get_is_dirty (self));
      break;
    case PROP_DIRTY_BYTES:
      g_value_set_uint64 (value, ipc_mapped_file_get_dirty_bytes (self));
      break;
    case PROP_CREATED_AT:
      g_value_set_int64 (value, self->created_at);
      break;
    case PROP_LAST_ACCESSED:
      g_value_set_int64 (value, ipc_mapped_file_get_last_accessed (self));
      break;
    case PROP_LAST_MODIFIED:
      g_value_set_int64 (value, ipc_mapped_file_get_last_modified (self));
      break;
    case PROP_ACCESS_COUNT:
      g_value_set_uint64 (value, ipc_mapped_file_get_access_count (self));
      break;
    case PROP_DURABILITY:
      g_value_set_enum (value, ipc_mapped_file_get_durability (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

static void
ipc_mapped_file_set_property (GObject *object, guint prop_id, const GValue *value, GParamSpec *pspec)
{
  IpcMappedFile *self = IPC_MAPPED_FILE (object);

  switch (prop_id)
    {
    case PROP_DURABILITY:
      ipc_mapped_file_set_durability (self, g_value_get_enum (value));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, prop_id, pspec);
    }
}

/**
 * ipc_mapped_file_set_durability: (set-property durability)
 * @self: the file
 * @durability: the setting
 *
 * Sets what a transaction survives when it was committed. %IPC_DURABILITY_NORMAL costs no waiting for the disk, but after a power cut
 * a transaction that was not synced may be there in part.
 *
 * Since: 0.1
 */
void
ipc_mapped_file_set_durability (IpcMappedFile *self, IpcDurability durability)
{
  g_return_if_fail (IPC_IS_MAPPED_FILE (self));

  if (durability != IPC_DURABILITY_NORMAL)
    durability = IPC_DURABILITY_FULL;
  if (g_atomic_int_get (&self->durability) == (gint) durability)
    return;
  g_atomic_int_set (&self->durability, (gint) durability);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_DURABILITY]);
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  /**
   * IpcMappedFile:id:
   *
   * A UUID that tells this object from any other one.
   *
   * Since: 0.1
   */
  properties[PROP_ID] = g_param_spec_string ("id", NULL, NULL, NULL, readable);

  /**
   * IpcMappedFile:path:
   *
   * The path that it was mapped by, absolute.
   *
   * Since: 0.1
   */
  properties[PROP_PATH] = g_param_spec_string ("path", NULL, NULL, NULL, readable);

  /**
   * IpcMappedFile:size:
   *
   * How many bytes there are.
   *
   * Since: 0.1
   */
  properties[PROP_SIZE] = g_param_spec_uint64 ("size", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcMappedFile:access:
   *
   * What this object may do with it.
   *
   * Since: 0.1
   */
  properties[PROP_ACCESS] = g_param_spec_flags ("access", NULL, NULL, IPC_TYPE_ACCESS, 0, readable);

  /**
   * IpcMappedFile:is-mapped:
   *
   * Whether it can be used: [method@Ipc.MappedFile.unmap] was not called, and it was not cleaned up.
   *
   * Since: 0.1
   */
  properties[PROP_IS_MAPPED] = g_param_spec_boolean ("is-mapped", NULL, NULL, TRUE, readable);

  /**
   * IpcMappedFile:is-dirty:
   *
   * Whether this process has written something that is not known to be on the disk.
   *
   * Since: 0.1
   */
  properties[PROP_IS_DIRTY] = g_param_spec_boolean ("is-dirty", NULL, NULL, FALSE, readable);

  /**
   * IpcMappedFile:dirty-bytes:
   *
   * How much of the file that is, in whole pages of 4096 bytes.
   *
   * Since: 0.1
   */
  properties[PROP_DIRTY_BYTES] = g_param_spec_uint64 ("dirty-bytes", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcMappedFile:created-at:
   *
   * When it was mapped, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_CREATED_AT] = g_param_spec_int64 ("created-at", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcMappedFile:last-accessed:
   *
   * When this object was last used to read or write, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_ACCESSED] = g_param_spec_int64 ("last-accessed", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcMappedFile:last-modified:
   *
   * When this object was last used to write, or the file was last known to be written to by others, in microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_MODIFIED] = g_param_spec_int64 ("last-modified", NULL, NULL, G_MININT64, G_MAXINT64, 0, readable);

  /**
   * IpcMappedFile:access-count:
   *
   * How often this object was used to read or write.
   *
   * Since: 0.1
   */
  properties[PROP_ACCESS_COUNT] = g_param_spec_uint64 ("access-count", NULL, NULL, 0, G_MAXUINT64, 0, readable);

  /**
   * IpcMappedFile:durability:
   *
   * What a transaction survives when it was committed.
   *
   * Since: 0.1
   */
  properties[PROP_DURABILITY] =
    g_param_spec_enum ("durability", NULL, NULL, IPC_TYPE_DURABILITY, IPC_DURABILITY_FULL,
                       G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);

  g_object_class_install_properties (object_class, N_PROPS, properties);
}

static void
install_signals (GObjectClass *klass)
{
  /**
   * IpcMappedFile::changed:
   * @self: the file
   *
   * Another process has written into the file, by means of this library. Several writes that come close together may be one emission.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CHANGED] =
    g_signal_new ("changed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * IpcMappedFile::truncated:
   * @self: the file
   *
   * Somebody has made the file shorter. [property@Ipc.MappedFile:size] says how much is left.
   *
   * Since: 0.1
   */
  signals[SIGNAL_TRUNCATED] =
    g_signal_new ("truncated", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * IpcMappedFile::replaced:
   * @self: the file
   *
   * The file was removed, or renamed, or another one has its path. This object goes on with the one that it has.
   *
   * Since: 0.1
   */
  signals[SIGNAL_REPLACED] =
    g_signal_new ("replaced", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);

  /**
   * IpcMappedFile::sync-failed:
   * @self: the file
   * @error: what went wrong
   *
   * Syncing has failed, whoever asked for it. The pages stay dirty, and are written anew the next time.
   *
   * Since: 0.1
   */
  signals[SIGNAL_SYNC_FAILED] =
    g_signal_new ("sync-failed", G_TYPE_FROM_CLASS (klass), G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
ipc_mapped_file_class_init (IpcMappedFileClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  ipc_mapped_file_class = klass;
  object_class->finalize = ipc_mapped_file_finalize;
  object_class->get_property = ipc_mapped_file_get_property;
  object_class->set_property = ipc_mapped_file_set_property;
  install_properties (object_class);
  install_signals (object_class);
}

static void
ipc_mapped_file_init (IpcMappedFile *self)
{
  g_mutex_init (&self->mutex);
  g_weak_ref_init (&self->owner, NULL);
  self->lock_fd = -1;
  self->id = g_uuid_string_random ();
  self->forks = ipc_fork_generation ();
  self->notified = g_new0 (IpcMappedFileCounts, 1);
  self->created_at = g_get_real_time ();
  atomic_init (&self->last_accessed, self->created_at);
}
