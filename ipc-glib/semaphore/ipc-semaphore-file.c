/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "semaphore/ipc-semaphore-file-private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-name.h"

#define LAYOUT 1u
#define ATTEMPTS 200            /* to attach to what others remove meanwhile, */
#define NAP_NS 1000000          /* with so long in between */

/* What precedes the slots. */
typedef struct
{
  _Atomic gint64 last_accessed; /* µs UTC; acquiring is stamped into the slots */
  guint8 room[56];
} Block;

G_STATIC_ASSERT (sizeof (Block) == 64);
G_STATIC_ASSERT (IPC_SHARED_ID_SIZE == 2 * sizeof (guint64));

static Block *
get_block (const IpcSemaphoreFile *self)
{
  return (Block *) ipc_shared_file_get_body (&self->file);
}

static guint64
get_size (guint64 n_permits, guint64 n_waiters)
{
  return IPC_SHARED_HEADER_SIZE + sizeof (Block) + ipc_slots_get_size ((unsigned) n_permits, (unsigned) n_waiters);
}

static void
touch (IpcSemaphoreFile *self)
{
  atomic_store_explicit (&get_block (self)->last_accessed, g_get_real_time (), memory_order_relaxed);
}

/* ---- opening ---- */

/* The geometry is of the private copy, and so is the size that it is compared with. */
static gboolean
check_geometry (const IpcSharedFile *file, const char *name, GError **error)
{
  const guint64 *geometry = file->info.geometry;

  if (geometry[0] >= 1 && geometry[0] <= IPC_SLOTS_MAX && geometry[1] >= 1 && geometry[1] <= IPC_SLOTS_MAX_WAITERS &&
      file->info.size == get_size (geometry[0], geometry[1]))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
               "semaphore \"%s\": %" G_GUINT64_FORMAT " permits and %" G_GUINT64_FORMAT " waiters in %" G_GUINT64_FORMAT " bytes",
               name, geometry[0], geometry[1], file->info.size);
  return FALSE;
}

static gboolean
open_file (IpcSharedFile *file, int folder_fd, const char *name, gboolean writable, GError **error)
{
  IpcFault fault = { 0 };

  if (!ipc_name_check (name, &fault) ||
      !ipc_shared_file_open (folder_fd, name, IPC_SHARED_SEMAPHORE, LAYOUT, get_size (IPC_SLOTS_MAX, IPC_SLOTS_MAX_WAITERS), writable,
                             file, &fault))
    {
      ipc_error_set_fault (error, &fault, "semaphore");
      return FALSE;
    }
  if (check_geometry (file, name, error))
    return TRUE;
  ipc_shared_file_close (file);
  return FALSE;
}

/* A map does not need it, and a descriptor for each semaphore in a list would be one too many. */
static void
close_descriptor (IpcSharedFile *file)
{
  ipc_fork_close (file->fd);
  file->fd = -1;
}

static gboolean
attach_presence (IpcSemaphoreFile *self, int folder_fd, GError **error)
{
  IpcFault fault = { 0 };

  self->presence = ipc_presence_attach (folder_fd, &fault);
  if (self->presence != NULL)
    return TRUE;
  ipc_error_set_fault (error, &fault, "semaphore");
  return FALSE;
}

static void
set_up (IpcSemaphoreFile *self)
{
  const guint64 *geometry = self->file.info.geometry;
  guint8 id[IPC_SHARED_ID_SIZE];

  ipc_presence_get_id (self->presence, id);
  self->knows_owners = memcmp (&geometry[2], id, sizeof id) == 0;
  self->n_permits = (guint) geometry[0];
  ipc_slots_init (&self->slots, ipc_shared_file_get_body (&self->file) + sizeof (Block), self->n_permits, (unsigned) geometry[1],
                  self->presence, ipc_shared_file_get_deleted_word (&self->file));
}

/* From its file to being attached. FALSE without an error: it is being removed, or was, and is to be looked for again. */
static gboolean
attach_to_file (IpcSemaphoreFile *self, const char *name, GError **error)
{
  IpcFault fault = { 0 };

  set_up (self);
  if (!self->knows_owners)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
                   "semaphore \"%s\": the table of processes that it was made with (.presence) is not there any more", name);
      return FALSE;
    }
  if (!ipc_attachment_take (&self->attachment, self->file.fd, ipc_presence_get_index (self->presence), &fault))
    {
      if (fault.code != IPC_FAULT_NOT_FOUND)
        ipc_error_set_fault (error, &fault, name);
      return FALSE;
    }
  /* Whoever removed it did so before we had the lock, or will see it. */
  if (ipc_shared_file_is_deleted (&self->file))
    {
      ipc_attachment_drop (&self->attachment);
      return FALSE;
    }
  touch (self);
  close_descriptor (&self->file);
  return TRUE;
}

static void
nap (void)
{
  const struct timespec time = { .tv_nsec = NAP_NS };

  nanosleep (&time, NULL);
}

static gboolean
fail_busy (const char *name, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "semaphore \"%s\": another process has been removing it for %d ms", name,
               (int) (ATTEMPTS * (NAP_NS / 1000000)));
  return FALSE;
}

static void
init (IpcSemaphoreFile *self)
{
  *self = (IpcSemaphoreFile){ .file.fd = -1, .attachment = IPC_ATTACHMENT_INIT };
}

gboolean
ipc_semaphore_file_attach (IpcSemaphoreFile *self, int folder_fd, const char *name, GError **error)
{
  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      init (self);
      if (open_file (&self->file, folder_fd, name, TRUE, &reason) && attach_presence (self, folder_fd, &reason) &&
          attach_to_file (self, name, &reason))
        return TRUE;
      ipc_semaphore_file_close (self);
      if (reason != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
      nap ();
    }
  return fail_busy (name, error);
}

gboolean
ipc_semaphore_file_observe (IpcSemaphoreFile *self, int folder_fd, const char *name, GError **error)
{
  init (self);
  if (!open_file (&self->file, folder_fd, name, FALSE, error) || !attach_presence (self, folder_fd, error))
    {
      ipc_semaphore_file_close (self);
      return FALSE;
    }
  set_up (self);
  close_descriptor (&self->file);
  return TRUE;
}

/* ---- making ---- */

static void
fill (uint8_t *body, const IpcSharedInfo *info, const void *data)
{
  atomic_store (&((Block *) body)->last_accessed, info->created_at);
}

static gboolean
create_file (IpcSemaphoreFile *self, int folder_fd, const char *name, guint n_permits, GError **error)
{
  IpcSharedInfo info = {
    .kind = IPC_SHARED_SEMAPHORE,
    .layout = LAYOUT,
    .size = get_size (n_permits, IPC_SLOTS_MAX_WAITERS),
    .geometry = { n_permits, IPC_SLOTS_MAX_WAITERS },
  };
  IpcFault fault = { 0 };

  ipc_presence_get_id (self->presence, (guint8 *) &info.geometry[2]);
  if (ipc_name_check (name, &fault) && ipc_shared_file_create (folder_fd, name, &info, fill, NULL, &self->file, &fault))
    return TRUE;
  ipc_error_set_fault (error, &fault, "semaphore");
  return FALSE;
}

gboolean
ipc_semaphore_file_create (IpcSemaphoreFile *self, int folder_fd, const char *name, guint n_permits, GError **error)
{
  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      init (self);
      if (attach_presence (self, folder_fd, &reason) && create_file (self, folder_fd, name, n_permits, &reason) &&
          attach_to_file (self, name, &reason))
        return TRUE;
      ipc_semaphore_file_close (self);
      if (reason != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
      /* It had a name, and somebody took it for a leftover before we were attached. */
      nap ();
    }
  return fail_busy (name, error);
}

void
ipc_semaphore_file_close (IpcSemaphoreFile *self)
{
  gboolean forked = self->attachment.fd >= 0 && self->attachment.generation != ipc_fork_generation ();

  if (self->attachment.fd >= 0 && !forked)
    touch (self);
  ipc_attachment_drop (&self->attachment);
  ipc_shared_file_close (&self->file);
  g_clear_pointer (&self->presence, ipc_presence_detach);
}

/* ---- removing ---- */

static void
wake_all (IpcSharedFile *file, int folder_fd)
{
  IpcSemaphoreFile self;

  init (&self);
  self.file = *file;
  /* Without it they notice by themselves, a little later. */
  if (!attach_presence (&self, folder_fd, NULL))
    return;
  set_up (&self);
  ipc_slots_wake (&self.slots, true);
  ipc_presence_detach (self.presence);
}

static gboolean
has_name (const IpcSharedFile *file, int folder_fd, const char *name)
{
  struct stat status;

  return !ipc_shared_file_is_deleted (file) && fstatat (folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_ino == file->inode && status.st_dev == file->device;
}

/* FALSE also if it has its name still: somebody else is about to take away that name, of this or of an earlier one. */
static gboolean
delete_file (IpcSharedFile *file, int folder_fd, const char *name)
{
  for (int i = 0; i < ATTEMPTS; i++)
    {
      if (ipc_shared_file_delete (folder_fd, name, file))
        return TRUE;
      if (!has_name (file, folder_fd, name))
        return FALSE;
      nap ();
    }
  return FALSE;
}

gboolean
ipc_semaphore_file_delete (int folder_fd, const char *name, GError **error)
{
  IpcSharedFile file;
  gboolean deleted;

  if (!open_file (&file, folder_fd, name, TRUE, error))
    return FALSE;
  deleted = delete_file (&file, folder_fd, name);
  if (deleted)
    wake_all (&file, folder_fd);
  else if (has_name (&file, folder_fd, name))
    fail_busy (name, error);
  ipc_shared_file_close (&file);
  return deleted;
}

static gboolean
is_idle (IpcSharedFile *file, gint64 idle_timeout)
{
  IpcSemaphoreFile self = { .file = *file, .n_permits = (guint) file->info.geometry[0] };
  gint64 idle;

  self.slots = (IpcSlots){ .memory = ipc_shared_file_get_body (file) + sizeof (Block), .n_slots = self.n_permits };
  idle = g_get_real_time () - ipc_semaphore_file_get_last_accessed (&self);
  return idle / 1000 >= idle_timeout;
}

gboolean
ipc_semaphore_file_remove_idle (int folder_fd, const char *name, gint64 idle_timeout, GError **error)
{
  IpcAttachment all = IPC_ATTACHMENT_INIT;
  IpcFault fault = { 0 };
  IpcSharedFile file;
  gboolean removed = FALSE;

  if (!open_file (&file, folder_fd, name, TRUE, error))
    return FALSE;
  if (ipc_attachment_take_all (&all, file.fd, &fault))
    removed = is_idle (&file, idle_timeout) && ipc_shared_file_delete (folder_fd, name, &file);
  else if (fault.code != IPC_FAULT_NONE)
    ipc_error_set_fault (error, &fault, name);
  ipc_attachment_drop (&all);
  ipc_shared_file_close (&file);
  return removed;
}

/* ---- looking ---- */

gboolean
ipc_semaphore_file_is_same (const IpcSemaphoreFile *self, const IpcSemaphoreFile *other)
{
  return memcmp (self->file.info.id, other->file.info.id, IPC_SHARED_ID_SIZE) == 0 && self->file.inode == other->file.inode &&
         self->file.device == other->file.device;
}

gboolean
ipc_semaphore_file_has_name (const IpcSemaphoreFile *self, int folder_fd, const char *name)
{
  return has_name (&self->file, folder_fd, name);
}

/* What others wrote is only believed as far as it makes sense: not before it was made, and not in the future. */
gint64
ipc_semaphore_file_get_last_accessed (IpcSemaphoreFile *self)
{
  gint64 last = atomic_load_explicit (&get_block (self)->last_accessed, memory_order_relaxed);

  for (guint i = 0; i < self->n_permits; i++)
    {
      gint64 since;

      ipc_slots_get_holder (&self->slots, i, &since);
      last = MAX (last, since);
    }
  return CLAMP (last, MIN (self->file.info.created_at, g_get_real_time ()), g_get_real_time ());
}

static gboolean
may_live (IpcSemaphoreFile *self, IpcOwner owner)
{
  return !self->knows_owners || ipc_presence_is_alive (self->presence, owner);
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
