/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-shared-object-private.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-name.h"

#define ATTEMPTS 200            /* to attach to what others remove meanwhile, */
#define NAP_NS 1000000          /* with so long in between */

G_STATIC_ASSERT (IPC_SHARED_ID_SIZE == 2 * sizeof (guint64));
G_STATIC_ASSERT (IPC_SHARED_GEOMETRY == 4);

static void
nap (void)
{
  const struct timespec time = { .tv_nsec = NAP_NS };

  nanosleep (&time, NULL);
}

static gboolean
fail_busy (const IpcSharedObjectClass *klass, const char *name, GError **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "%s \"%s\": another process has been removing it for %d ms", klass->what, name,
               (int) (ATTEMPTS * (NAP_NS / 1000000)));
  return FALSE;
}

/* ---- opening ---- */

static gboolean
open_file (const IpcSharedObjectClass *klass, IpcSharedFile *file, int folder_fd, const char *name, gboolean writable, GError **error)
{
  IpcFault fault = { 0 };

  if (!ipc_name_check (name, &fault) ||
      !ipc_shared_file_open (folder_fd, name, klass->kind, klass->layout, klass->max_size, writable, file, &fault))
    {
      ipc_error_set_fault (error, &fault, klass->what);
      return FALSE;
    }
  if (klass->check (file, name, error))
    return TRUE;
  ipc_shared_file_close (file);
  return FALSE;
}

static void
drop_descriptor (IpcSharedObject *self)
{
  ipc_fork_close (self->file.fd);
  self->file.fd = -1;
}

static gboolean
attach_presence (IpcSharedObject *self, int folder_fd, GError **error)
{
  IpcFault fault = { 0 };

  self->presence = ipc_presence_attach (folder_fd, &fault);
  if (self->presence != NULL)
    return TRUE;
  ipc_error_set_fault (error, &fault, self->klass->what);
  return FALSE;
}

static void
compare_presence (IpcSharedObject *self)
{
  guint8 id[IPC_SHARED_ID_SIZE];

  ipc_presence_get_id (self->presence, id);
  self->knows_owners = memcmp (&self->file.info.geometry[2], id, sizeof id) == 0;
}

/* FALSE without an error: it is being removed, or was, and is to be looked for again. */
static gboolean
take_attachment (IpcSharedObject *self, const char *name, GError **error)
{
  IpcFault fault = { 0 };

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
  if (self->is_writable)
    self->klass->touch (&self->file);
  return TRUE;
}

static gboolean
attach_to_file (IpcSharedObject *self, const char *name, GError **error)
{
  compare_presence (self);
  if (!self->knows_owners)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
                   "%s \"%s\": the table of processes that it was made with (.presence) is not there any more", self->klass->what, name);
      return FALSE;
    }
  self->is_writable = TRUE;
  if (!take_attachment (self, name, error))
    return FALSE;
  if (!self->klass->keeps_descriptor)
    drop_descriptor (self);
  return TRUE;
}

void
ipc_shared_object_init (IpcSharedObject *self)
{
  *self = (IpcSharedObject){ .file.fd = -1, .attachment = IPC_ATTACHMENT_INIT };
}

static void
init (IpcSharedObject *self, const IpcSharedObjectClass *klass)
{
  ipc_shared_object_init (self);
  self->klass = klass;
}

gboolean
ipc_shared_object_attach (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, const char *name, GError **error)
{
  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      init (self, klass);
      if (open_file (klass, &self->file, folder_fd, name, TRUE, &reason) && attach_presence (self, folder_fd, &reason) &&
          attach_to_file (self, name, &reason))
        return TRUE;
      ipc_shared_object_close (self);
      if (reason != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
      nap ();
    }
  return fail_busy (klass, name, error);
}

gboolean
ipc_shared_object_observe (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, const char *name, GError **error)
{
  init (self, klass);
  if (!open_file (klass, &self->file, folder_fd, name, FALSE, error) || !attach_presence (self, folder_fd, error))
    {
      ipc_shared_object_close (self);
      return FALSE;
    }
  compare_presence (self);
  drop_descriptor (self);
  return TRUE;
}

/* The file is there. */
static gboolean
complete_adoption (IpcSharedObject *self, int folder_fd, GError **error)
{
  if (!self->klass->check (&self->file, "(anonymous)", error) || !attach_presence (self, folder_fd, error))
    {
      /* The descriptor is the caller's still. */
      self->file.fd = -1;
      ipc_shared_object_close (self);
      return FALSE;
    }
  compare_presence (self);
  if (self->knows_owners)
    take_attachment (self, "(anonymous)", NULL);
  return TRUE;
}

gboolean
ipc_shared_object_adopt (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, int fd, gboolean writable, GError **error)
{
  IpcFault fault = { 0 };

  init (self, klass);
  if (!ipc_shared_file_adopt (fd, klass->kind, klass->layout, klass->max_size, writable, &self->file, &fault))
    {
      ipc_error_set_fault (error, &fault, klass->what);
      return FALSE;
    }
  self->is_writable = writable;
  return complete_adoption (self, folder_fd, error);
}

/* ---- making ---- */

static void
complete_info (IpcSharedObject *self, IpcSharedInfo *info)
{
  info->kind = self->klass->kind;
  info->layout = self->klass->layout;
  if (self->klass->has_generation)
    info->geometry[1] = ipc_presence_count_up (self->presence);
  ipc_presence_get_id (self->presence, (guint8 *) &info->geometry[2]);
}

static gboolean
create_file (IpcSharedObject *self, int folder_fd, const char *name, const IpcSharedInfo *wanted, IpcSharedFill fill, GError **error)
{
  IpcSharedInfo info = *wanted;
  IpcFault fault = { 0 };

  complete_info (self, &info);
  if (ipc_name_check (name, &fault) && ipc_shared_file_create (folder_fd, name, &info, fill, NULL, &self->file, &fault))
    return TRUE;
  ipc_error_set_fault (error, &fault, self->klass->what);
  return FALSE;
}

gboolean
ipc_shared_object_create (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, const char *name,
                          const IpcSharedInfo *info, IpcSharedFill fill, GError **error)
{
  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      init (self, klass);
      if (attach_presence (self, folder_fd, &reason) && create_file (self, folder_fd, name, info, fill, &reason) &&
          attach_to_file (self, name, &reason))
        return TRUE;
      ipc_shared_object_close (self);
      if (reason != NULL)
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
      /* It had a name, and somebody took it for a leftover before we were attached. */
      nap ();
    }
  return fail_busy (klass, name, error);
}

gboolean
ipc_shared_object_create_anonymous (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, const IpcSharedInfo *wanted,
                                    IpcSharedFill fill, GError **error)
{
  IpcSharedInfo info = *wanted;
  IpcFault fault = { 0 };

  init (self, klass);
  if (!attach_presence (self, folder_fd, error))
    return FALSE;
  complete_info (self, &info);
  if (!ipc_shared_file_create_anonymous (&info, fill, NULL, &self->file, &fault))
    ipc_error_set_fault (error, &fault, klass->what);
  else if (attach_to_file (self, "(anonymous)", error))
    return TRUE;
  ipc_shared_object_close (self);
  return FALSE;
}

gboolean
ipc_shared_object_wrap (IpcSharedObject *self, const IpcSharedObjectClass *klass, int folder_fd, int fd, const IpcSharedInfo *wanted,
                        IpcSharedFill fill, GError **error)
{
  IpcSharedInfo info = *wanted;
  IpcFault fault = { 0 };

  init (self, klass);
  if (!attach_presence (self, folder_fd, error))
    return FALSE;
  complete_info (self, &info);
  if (!ipc_shared_file_wrap (fd, &info, fill, NULL, &self->file, &fault))
    {
      ipc_error_set_fault (error, &fault, klass->what);
      ipc_shared_object_close (self);
      return FALSE;
    }
  compare_presence (self);
  self->is_writable = TRUE;
  take_attachment (self, "(anonymous)", NULL);
  return TRUE;
}

void
ipc_shared_object_close (IpcSharedObject *self)
{
  gboolean forked = self->attachment.fd >= 0 && self->attachment.generation != ipc_fork_generation ();

  if (self->attachment.fd >= 0 && !forked && self->is_writable)
    self->klass->touch (&self->file);
  ipc_attachment_drop (&self->attachment);
  ipc_shared_file_close (&self->file);
  g_clear_pointer (&self->presence, ipc_presence_detach);
}

/* ---- removing ---- */

static void
wake_all (const IpcSharedObjectClass *klass, const IpcSharedFile *file, int folder_fd)
{
  IpcPresence *presence = ipc_presence_attach (folder_fd, NULL);

  /* Without it they notice by themselves, a little later. */
  if (presence == NULL)
    return;
  klass->wake (file, presence);
  ipc_presence_detach (presence);
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
ipc_shared_object_delete (const IpcSharedObjectClass *klass, int folder_fd, const char *name, GError **error)
{
  IpcSharedFile file;
  gboolean deleted;

  if (!open_file (klass, &file, folder_fd, name, TRUE, error))
    return FALSE;
  deleted = delete_file (&file, folder_fd, name);
  if (deleted)
    wake_all (klass, &file, folder_fd);
  else if (has_name (&file, folder_fd, name))
    fail_busy (klass, name, error);
  ipc_shared_file_close (&file);
  return deleted;
}

static gint64
get_last_accessed (const IpcSharedObjectClass *klass, const IpcSharedFile *file)
{
  gint64 now = g_get_real_time ();

  /* Not before it was made, and not in the future. */
  return CLAMP (klass->get_last_accessed (file), MIN (file->info.created_at, now), now);
}

gboolean
ipc_shared_object_remove_idle (const IpcSharedObjectClass *klass, int folder_fd, const char *name, gint64 idle_timeout, GError **error)
{
  IpcAttachment all = IPC_ATTACHMENT_INIT;
  IpcFault fault = { 0 };
  IpcSharedFile file;
  gboolean removed = FALSE;

  if (!open_file (klass, &file, folder_fd, name, TRUE, error))
    return FALSE;
  if (ipc_attachment_take_all (&all, file.fd, &fault))
    removed = (g_get_real_time () - get_last_accessed (klass, &file)) / 1000 >= idle_timeout && ipc_shared_file_delete (folder_fd, name, &file);
  else if (fault.code != IPC_FAULT_NONE)
    ipc_error_set_fault (error, &fault, name);
  ipc_attachment_drop (&all);
  ipc_shared_file_close (&file);
  return removed;
}

/* ---- looking ---- */

gboolean
ipc_shared_object_is_same (const IpcSharedObject *self, const IpcSharedObject *other)
{
  return memcmp (self->file.info.id, other->file.info.id, IPC_SHARED_ID_SIZE) == 0 && self->file.inode == other->file.inode &&
         self->file.device == other->file.device;
}

gboolean
ipc_shared_object_has_name (const IpcSharedObject *self, int folder_fd, const char *name)
{
  return has_name (&self->file, folder_fd, name);
}

guint
ipc_shared_object_count_attached (const IpcSharedObject *self, int folder_fd, const char *name)
{
  int fd = ipc_fork_open (openat (folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status;
  guint n = 0;

  if (fd < 0)
    return 0;
  if (fstat (fd, &status) == 0 && status.st_ino == self->file.inode && status.st_dev == self->file.device)
    n = ipc_attachment_count (fd);
  ipc_fork_close (fd);
  return n;
}

gint64
ipc_shared_object_get_last_accessed (const IpcSharedObject *self)
{
  return get_last_accessed (self->klass, &self->file);
}
