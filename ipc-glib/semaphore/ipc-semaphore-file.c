/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "semaphore/ipc-semaphore-file-private.h"

#include "base/ipc-error-private.h"

#define LAYOUT 1u

/* What precedes the slots. */
typedef struct
{
  _Atomic gint64 last_accessed; /* µs UTC; acquiring is stamped into the slots */
  guint8 room[56];
} Block;

G_STATIC_ASSERT (sizeof (Block) == 64);

static Block *
get_block (const IpcSharedFile *file)
{
  return (Block *) ipc_shared_file_get_body (file);
}

#define GET_SIZE(n_permits, n_waiters) \
  (IPC_SHARED_HEADER_SIZE + sizeof (Block) + ipc_slots_get_size ((unsigned) (n_permits), (unsigned) (n_waiters)))

/* Slots and entries have 64 and 32 bytes; see ipc_slots_get_size(). */
#define MAX_SIZE (IPC_SHARED_HEADER_SIZE + 4096u + IPC_SLOTS_MAX * 64u + IPC_SLOTS_MAX_WAITERS * 32u)

/* ---- what is said of the file ---- */

static gboolean
check_geometry (const IpcSharedFile *file, const char *name, GError **error)
{
  const guint64 *geometry = file->info.geometry;

  if (geometry[0] >= 1 && geometry[0] <= IPC_SLOTS_MAX && geometry[1] >= 1 && geometry[1] <= IPC_SLOTS_MAX_WAITERS &&
      file->info.size == GET_SIZE (geometry[0], geometry[1]))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
               "semaphore \"%s\": %" G_GUINT64_FORMAT " permits and %" G_GUINT64_FORMAT " waiters in %" G_GUINT64_FORMAT " bytes",
               name, geometry[0], geometry[1], file->info.size);
  return FALSE;
}

static void
touch (const IpcSharedFile *file)
{
  atomic_store_explicit (&get_block (file)->last_accessed, g_get_real_time (), memory_order_relaxed);
}

/* Enough of a view to read the stamps. */
static gint64
read_last_accessed (const IpcSharedFile *file)
{
  IpcSlots slots = { .memory = ipc_shared_file_get_body (file) + sizeof (Block), .n_slots = (unsigned) file->info.geometry[0] };
  gint64 last = atomic_load_explicit (&get_block (file)->last_accessed, memory_order_relaxed);

  for (guint i = 0; i < slots.n_slots; i++)
    {
      gint64 since;

      ipc_slots_get_holder (&slots, i, &since);
      last = MAX (last, since);
    }
  return last;
}

static void
init_slots (IpcSlots *slots, const IpcSharedFile *file, IpcPresence *presence)
{
  ipc_slots_init (slots, ipc_shared_file_get_body (file) + sizeof (Block), (unsigned) file->info.geometry[0],
                  (unsigned) file->info.geometry[1], presence, ipc_shared_file_get_deleted_word (file));
}

static void
wake (const IpcSharedFile *file, IpcPresence *presence)
{
  IpcSlots slots;

  init_slots (&slots, file, presence);
  ipc_slots_wake (&slots, true);
}

const IpcSharedObjectClass ipc_semaphore_file_class = {
  .what = "semaphore",
  .kind = IPC_SHARED_KIND_SEMAPHORE,
  .layout = LAYOUT,
  .max_size = MAX_SIZE,
  .check = check_geometry,
  .touch = touch,
  .get_last_accessed = read_last_accessed,
  .wake = wake,
};

/* ---- opening and making ---- */

static gboolean
set_up (IpcSemaphoreFile *self, gboolean opened)
{
  if (!opened)
    return FALSE;
  self->n_permits = (guint) self->object.file.info.geometry[0];
  init_slots (&self->slots, &self->object.file, self->object.presence);
  return TRUE;
}

gboolean
ipc_semaphore_file_attach (IpcSemaphoreFile *self, int folder_fd, const char *name, GError **error)
{
  return set_up (self, ipc_shared_object_attach (&self->object, &ipc_semaphore_file_class, folder_fd, name, error));
}

gboolean
ipc_semaphore_file_observe (IpcSemaphoreFile *self, int folder_fd, const char *name, GError **error)
{
  return set_up (self, ipc_shared_object_observe (&self->object, &ipc_semaphore_file_class, folder_fd, name, error));
}

static void
fill (uint8_t *body, const IpcSharedInfo *info, const void *data)
{
  atomic_store (&((Block *) body)->last_accessed, info->created_at);
}

gboolean
ipc_semaphore_file_create (IpcSemaphoreFile *self, int folder_fd, const char *name, guint n_permits, GError **error)
{
  const IpcSharedInfo info = {
    .size = GET_SIZE (n_permits, IPC_SLOTS_MAX_WAITERS),
    .geometry = { n_permits, IPC_SLOTS_MAX_WAITERS },
  };

  return set_up (self, ipc_shared_object_create (&self->object, &ipc_semaphore_file_class, folder_fd, name, &info, fill, error));
}

void
ipc_semaphore_file_close (IpcSemaphoreFile *self)
{
  ipc_shared_object_close (&self->object);
}

/* ---- looking ---- */

gint64
ipc_semaphore_file_get_last_accessed (const IpcSemaphoreFile *self)
{
  return ipc_shared_object_get_last_accessed (&self->object);
}

static gboolean
may_live (IpcSemaphoreFile *self, IpcOwner owner)
{
  return !self->object.knows_owners || ipc_presence_is_alive (self->object.presence, owner);
}

gboolean
ipc_semaphore_file_get_holder (IpcSemaphoreFile *self, guint slot, IpcOwner *owner, gint64 *since)
{
  *owner = ipc_slots_get_holder (&self->slots, slot, since);
  return *owner != 0 && may_live (self, *owner);
}

guint
ipc_semaphore_file_count_held (IpcSemaphoreFile *self)
{
  IpcOwner known = 0;
  gboolean known_lives = FALSE;
  guint n = 0;

  for (guint i = 0; i < self->n_permits; i++)
    {
      gint64 since;
      IpcOwner owner = ipc_slots_get_holder (&self->slots, i, &since);

      if (owner == 0)
        continue;
      /* A process often has several, and to ask costs a system call. */
      if (owner != known)
        {
          known = owner;
          known_lives = may_live (self, owner);
        }
      n += known_lives;
    }
  return n;
}
