/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory/ipc-segment-private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"

#define LAYOUT 2u
#define MAX_WAITERS 1024u       /* for the lock, in all processes */
#define MAX_LISTENERS 256u      /* main contexts of processes */

/* What precedes the section. */
typedef struct
{
  _Atomic guint64 n_changes;
  _Atomic guint32 state;        /* IpcSegmentState, (owner of the lock) */
  guint8 room[52];
} Block;

G_STATIC_ASSERT (sizeof (Block) == 64);

#define LOCK_OFFSET(section_size) (sizeof (Block) + (((section_size) + 63) & ~(gsize) 63))

static guint8 *
get_section (const IpcSharedFile *file)
{
  return ipc_shared_file_get_body (file) + sizeof (Block);
}

static guint8 *
get_lock (const IpcSharedFile *file)
{
  return ipc_shared_file_get_body (file) + LOCK_OFFSET (ipc_section_get_size ());
}

static guint8 *
get_listeners (const IpcSharedFile *file)
{
  return get_lock (file) + ipc_slots_get_size (1, MAX_WAITERS);
}

static Block *
get_block (const IpcSegment *self)
{
  return (Block *) ipc_shared_file_get_body (&self->object.file);
}

/* Up to the bytes, which begin with a page. */
static guint64
get_head_size (void)
{
  guint64 page = (guint64) sysconf (_SC_PAGESIZE);
  guint64 size = IPC_SHARED_HEADER_SIZE + LOCK_OFFSET (ipc_section_get_size ()) + ipc_slots_get_size (1, MAX_WAITERS) +
                 ipc_listeners_get_size (MAX_LISTENERS);

  return (size + page - 1) & ~(page - 1);
}

/* ---- what is said of the file ---- */

static gboolean
check_geometry (const IpcSharedFile *file, const char *name, GError **error)
{
  if (file->info.size == get_head_size () && file->info.geometry[0] >= 1 && file->info.geometry[0] <= IPC_SEGMENT_MAX_SIZE)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
               "segment \"%s\": %" G_GUINT64_FORMAT " bytes behind %" G_GUINT64_FORMAT " of its head, which should be %" G_GUINT64_FORMAT,
               name, file->info.geometry[0], file->info.size, get_head_size ());
  return FALSE;
}

/* A view of the section that cannot take its lock. */
static void
init_section (IpcSection *section, const IpcSharedFile *file)
{
  ipc_section_init (section, get_section (file), NULL);
}

static void
touch (const IpcSharedFile *file)
{
  IpcSection section;

  init_section (&section, file);
  ipc_section_stamp (&section);
}

static gint64
get_last_accessed (const IpcSharedFile *file)
{
  IpcSection section;
  IpcSectionStatistics statistics;

  init_section (&section, file);
  ipc_section_count (&section, &statistics);
  return statistics.last_access;
}

static void
wake (const IpcSharedFile *file, IpcPresence *presence)
{
  IpcListeners listeners;
  IpcSlots lock;

  ipc_slots_init (&lock, get_lock (file), 1, MAX_WAITERS, presence, ipc_shared_file_get_deleted_word (file));
  ipc_slots_wake (&lock, true);
  ipc_listeners_init (&listeners, get_listeners (file), MAX_LISTENERS, presence);
  ipc_listeners_ring (&listeners, IPC_LISTENERS_NONE);
}

const IpcSharedObjectClass ipc_segment_class = {
  .what = "segment",
  .kind = IPC_SHARED_KIND_MEMORY,
  .layout = LAYOUT,
  .max_size = 1024 * 1024,
  .has_generation = TRUE,
  .keeps_descriptor = TRUE,
  .check = check_geometry,
  .touch = touch,
  .get_last_accessed = get_last_accessed,
  .wake = wake,
};

/* ---- making and opening ---- */

/* In the file that has no name yet. */
static void
fill (uint8_t *body, const IpcSharedInfo *info, const void *data)
{
  IpcSection section;

  ipc_section_init (&section, body + sizeof (Block), NULL);
  ipc_section_set_length (&section, info->geometry[0]);
  ipc_section_stamp (&section);
}

static IpcSegment *
segment_new (void)
{
  IpcSegment *self = g_new0 (IpcSegment, 1);

  ipc_shared_object_init (&self->object);
  self->generation = ipc_fork_generation ();
  g_mutex_init (&self->mutex);
  return self;
}

static gboolean
prepare (IpcSegment *self, gboolean writable, GError **error)
{
  const IpcSharedFile *file = &self->object.file;
  IpcPresence *presence = self->object.presence;
  gboolean can_lock = self->object.knows_owners && self->object.is_writable;

  self->writable = writable;
  self->data_offset = self->is_foreign ? 0 : file->info.size;
  ipc_section_init (&self->section, get_section (file), can_lock ? presence : NULL);
  ipc_slots_init (&self->lock, get_lock (file), 1, MAX_WAITERS, presence, ipc_shared_file_get_deleted_word (file));
  ipc_listeners_init (&self->listeners, get_listeners (file), MAX_LISTENERS, presence);
  return self->object.file.fd < 0 || ipc_segment_map (self, ipc_segment_get_size (self), error) != NULL;
}

/* OPENED: or else ERROR is set. */
static IpcSegment *
set_up (IpcSegment *self, gboolean opened, gboolean writable, GError **error)
{
  if (opened && prepare (self, writable, error))
    return self;
  ipc_segment_close (self);
  return NULL;
}

IpcSegment *
ipc_segment_attach (int folder_fd, const char *name, gboolean writable, GError **error)
{
  IpcSegment *self = segment_new ();
  gboolean opened = ipc_shared_object_attach (&self->object, &ipc_segment_class, folder_fd, name, error);

  return set_up (self, opened, writable, error);
}

IpcSegment *
ipc_segment_observe (int folder_fd, const char *name, GError **error)
{
  IpcSegment *self = segment_new ();
  gboolean opened = ipc_shared_object_observe (&self->object, &ipc_segment_class, folder_fd, name, error);

  return set_up (self, opened, FALSE, error);
}

IpcSegment *
ipc_segment_create (int folder_fd, const char *name, guint64 size, gboolean writable, GError **error)
{
  const IpcSharedInfo info = { .size = get_head_size (), .geometry = { size } };
  IpcSegment *self = segment_new ();
  gboolean made = ipc_shared_object_create (&self->object, &ipc_segment_class, folder_fd, name, &info, fill, error);

  return set_up (self, made, writable, error);
}

IpcSegment *
ipc_segment_create_anonymous (int folder_fd, guint64 size, GError **error)
{
  const IpcSharedInfo info = { .size = get_head_size (), .geometry = { size } };
  IpcSegment *self = segment_new ();
  gboolean made = ipc_shared_object_create_anonymous (&self->object, &ipc_segment_class, folder_fd, &info, fill, error);

  return set_up (self, made, TRUE, error);
}

/* ---- descriptors that somebody sent ---- */

static gboolean
is_sealed_against_writing (int fd)
{
  int seals = fcntl (fd, F_GET_SEALS);

  return seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0;
}

static gboolean
adopt_foreign (IpcSegment *self, int folder_fd, int fd, GError **error)
{
  struct stat status;
  IpcSharedInfo info = { .size = get_head_size () };

  if (fstat (fd, &status) == 0)
    info.geometry[0] = (guint64) status.st_size;
  if (S_ISREG (status.st_mode) && (info.geometry[0] == 0 || info.geometry[0] > IPC_SEGMENT_MAX_SIZE))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "segment: the descriptor is of a file of %" G_GUINT64_FORMAT " bytes",
                   info.geometry[0]);
      return FALSE;
    }
  self->is_foreign = TRUE;
  return ipc_shared_object_wrap (&self->object, &ipc_segment_class, folder_fd, fd, &info, fill, error);
}

IpcSegment *
ipc_segment_adopt (int folder_fd, int fd, GError **error)
{
  IpcSegment *self = segment_new ();
  g_autoptr(GError) reason = NULL;
  int flags = fcntl (fd, F_GETFL);
  gboolean writable = (flags & O_ACCMODE) == O_RDWR && !is_sealed_against_writing (fd);
  gboolean adopted;

  if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) != 0)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "segment: descriptor %d is not open for reading", fd);
      ipc_segment_close (self);
      return NULL;
    }
  adopted = ipc_shared_object_adopt (&self->object, &ipc_segment_class, folder_fd, fd, writable, &reason);
  if (!adopted && g_error_matches (reason, IPC_ERROR, IPC_ERROR_WRONG_TYPE))
    {
      ipc_segment_close (self);
      self = segment_new ();
      adopted = adopt_foreign (self, folder_fd, fd, error);
    }
  else if (!adopted)
    g_propagate_error (error, g_steal_pointer (&reason));
  if (adopted && prepare (self, writable, error))
    return self;
  /* It is the caller's still. */
  self->object.file.fd = -1;
  ipc_segment_close (self);
  return NULL;
}

/* In a forked child, locks and descriptors of the parent are gone already. */
void
ipc_segment_close (IpcSegment *self)
{
  IpcMap *map = atomic_load (&self->map);

  g_clear_pointer (&map, ipc_map_unref);
  if (self->generation != ipc_fork_generation ())
    self->object.file.fd = -1;
  ipc_shared_object_close (&self->object);
  g_mutex_clear (&self->mutex);
  g_free (self);
}

/* ---- the block ---- */

guint64
ipc_segment_get_generation (const IpcSegment *self)
{
  return self->object.file.info.geometry[1];
}

guint64
ipc_segment_count_changes (const IpcSegment *self)
{
  return atomic_load (&get_block (self)->n_changes);
}

void
ipc_segment_add_change (IpcSegment *self)
{
  atomic_fetch_add (&get_block (self)->n_changes, 1);
}

_Atomic guint32 *
ipc_segment_get_state (const IpcSegment *self)
{
  return &get_block (self)->state;
}
