/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file/ipc-file-map-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "base/ipc-scope-private.h"

/* ---- those that there are ---- */

static GMutex registry;
static GList *maps;             /* (mutex registry) (element-type IpcFileMap) (not owned) */

/* Those of a parent process are not ours. */
static gboolean
is_it (const IpcFileMap *self, IpcScope *scope, const IpcFileOpened *opened, gboolean writable)
{
  return self->forks == ipc_fork_generation () && self->opened.device == opened->device && self->opened.inode == opened->inode &&
         self->writable == writable && strcmp (ipc_scope_get_directory (self->scope), ipc_scope_get_directory (scope)) == 0;
}

static IpcFileMap *
find_locked (IpcScope *scope, const IpcFileOpened *opened, gboolean writable)
{
  for (GList *link = maps; link != NULL; link = link->next)
    {
      IpcFileMap *self = link->data;

      if (!is_it (self, scope, opened, writable))
        continue;
      self->ref_count++;
      return self;
    }
  return NULL;
}

/* (transfer full) (nullable) */
static IpcFileMap *
find (IpcScope *scope, const IpcFileOpened *opened, gboolean writable)
{
  IpcFileMap *found;

  g_mutex_lock (&registry);
  found = find_locked (scope, opened, writable);
  g_mutex_unlock (&registry);
  return found;
}

/* (transfer full): SELF, or one that another thread has opened meanwhile. */
static IpcFileMap *
enter (IpcFileMap *self)
{
  IpcFileMap *other;

  g_mutex_lock (&registry);
  other = find_locked (self->scope, &self->opened, self->writable);
  if (other == NULL)
    maps = g_list_prepend (maps, self);
  g_mutex_unlock (&registry);
  if (other == NULL)
    return self;
  ipc_file_map_close (self);
  return other;
}

/* ---- the bytes ---- */

static IpcMap *
map_bytes (IpcFileMap *self, guint64 size)
{
  int protection = self->writable ? PROT_READ | PROT_WRITE : PROT_READ;

  return ipc_map_new (mmap (NULL, size, protection, MAP_SHARED, self->opened.fd, 0), size, self->writable);
}

/* The first map is as large as the file, as most never grow. */
static gboolean
map_locked (IpcFileMap *self, guint64 size, GError **error)
{
  IpcMap *newest = atomic_load (&self->map);
  IpcMap *map = NULL;

  if (size == 0 || (newest != NULL && size <= newest->reserved))
    return TRUE;
  if (newest != NULL)
    map = map_bytes (self, size * 2);
  if (map == NULL)
    map = map_bytes (self, size);
  if (map == NULL)
    {
      ipc_error_set_errno (error, errno, "file \"%s\": cannot map its %" G_GUINT64_FORMAT " bytes", self->opened.path, size);
      return FALSE;
    }
  map->older = newest;
  atomic_store_explicit (&self->map, map, memory_order_release);
  return TRUE;
}

static gboolean
restore_locked (IpcFileMap *self, GError **error)
{
  for (IpcMap *map = atomic_load (&self->map); map != NULL; map = map->older)
    {
      if (!ipc_guard_is_broken (map->guard))
        continue;
      atomic_fetch_add (&self->n_broken, 1);
      if (!ipc_map_restore (map, self->opened.fd))
        {
          ipc_error_set_errno (error, errno, "file \"%s\": cannot be mapped again", self->opened.path);
          return FALSE;
        }
    }
  return TRUE;
}

static gboolean
refresh_locked (IpcFileMap *self, GError **error)
{
  struct statx status;
  guint64 size;

  /* Nothing of its times: who asks for them makes the next write note a finer one (Linux 6.13). */
  if (statx (self->opened.fd, "", AT_EMPTY_PATH, STATX_SIZE, &status) != 0)
    {
      ipc_error_set_errno (error, errno, "cannot look at file \"%s\"", self->opened.path);
      return FALSE;
    }
  size = MIN (status.stx_size, IPC_FILE_MAX_SIZE);
  if (!restore_locked (self, error) || !map_locked (self, size, error))
    return FALSE;
  atomic_store (&self->size, size);
  if (size > atomic_load (&self->known))
    atomic_store (&self->known, size);
  return TRUE;
}

gboolean
ipc_file_map_refresh (IpcFileMap *self, GError **error)
{
  gboolean done;

  g_mutex_lock (&self->mutex);
  done = refresh_locked (self, error);
  g_mutex_unlock (&self->mutex);
  return done;
}

void
ipc_file_map_fail_bounds (IpcFileMap *self, guint64 offset, guint64 length, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_OUT_OF_BOUNDS,
               "file \"%s\": offset %" G_GUINT64_FORMAT ", length %" G_GUINT64_FORMAT ", of %" G_GUINT64_FORMAT " bytes", self->opened.path, offset,
               length, atomic_load (&self->size));
}

void
ipc_file_map_fail_truncated (IpcFileMap *self, guint64 offset, guint64 length, GError **error)
{
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT,
               "file \"%s\": offset %" G_GUINT64_FORMAT ", length %" G_GUINT64_FORMAT ": it was truncated by another process, from %" G_GUINT64_FORMAT
               " to %" G_GUINT64_FORMAT " bytes", self->opened.path, offset, length, atomic_load (&self->known), atomic_load (&self->size));
}

/* ---- changing the size ---- */

/* Nobody in this process looks at what goes. */
static gboolean
check_unseen (IpcFileMap *self, GError **error)
{
  for (IpcMap *map = atomic_load (&self->map); map != NULL; map = map->older)
    if (atomic_load (&map->ref_count) > 1)
      {
        g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "file \"%s\" cannot become smaller while there are views of it", self->opened.path);
        return FALSE;
      }
  return TRUE;
}

static gboolean
shrink_locked (IpcFileMap *self, guint64 size, GError **error)
{
  int result;

  if (!check_unseen (self, error))
    return FALSE;
  do
    result = ftruncate (self->opened.fd, (off_t) size);
  while (result != 0 && errno == EINTR);
  if (result != 0)
    {
      ipc_error_set_errno (error, errno, "file \"%s\" cannot become smaller", self->opened.path);
      return FALSE;
    }
  atomic_store (&self->known, size);
  return TRUE;
}

static gboolean
resize_locked (IpcFileMap *self, guint64 size, guint64 max_size, GError **error)
{
  guint64 present;

  if (!refresh_locked (self, error))
    return FALSE;
  present = atomic_load (&self->size);
  if (size < present && !shrink_locked (self, size, error))
    return FALSE;
  if (size > present && (!ipc_file_check_size (self->opened.path, size, max_size, error) ||
                         !ipc_file_allocate (self->opened.fd, self->opened.path, present, size, error)))
    return FALSE;
  return refresh_locked (self, error);
}

gboolean
ipc_file_map_resize (IpcFileMap *self, guint64 size, guint64 max_size, GError **error)
{
  gboolean done;

  g_mutex_lock (&self->mutex);
  done = resize_locked (self, size, max_size, error);
  g_mutex_unlock (&self->mutex);
  return done;
}

/* ---- opening and closing ---- */

static gboolean
open_board (IpcFileMap *self, GError **error)
{
  int folder_fd = ipc_scope_open_folder (self->scope, IPC_FILE_FOLDER, TRUE, error);
  gboolean opened = folder_fd >= 0 && ipc_file_board_open (&self->board, folder_fd, self->opened.device, self->opened.inode, error);

  if (folder_fd >= 0)
    close (folder_fd);
  if (!opened)
    g_prefix_error (error, "file \"%s\": ", self->opened.path);
  return opened;
}

/* Takes OPENED on success. */
static IpcFileMap *
file_map_new (IpcScope *scope, IpcFileOpened *opened, gboolean writable, GError **error)
{
  IpcFileMap *self = g_new0 (IpcFileMap, 1);

  self->ref_count = 1;
  self->scope = g_object_ref (scope);
  self->writable = writable;
  self->forks = ipc_fork_generation ();
  ipc_shared_object_init (&self->board.object);
  g_mutex_init (&self->mutex);
  g_mutex_init (&self->sync_mutex);
  g_mutex_init (&self->journal_mutex);
  self->opened = *opened;
  if (!ipc_dirty_init (&self->dirty))
    g_set_error (error, IPC_ERROR, IPC_ERROR_NO_SPACE, "file \"%s\": no memory to map it", opened->path);
  else if (open_board (self, error))
    {
      *opened = (IpcFileOpened){ .directory_fd = -1, .fd = -1 };
      return self;
    }
  self->opened = (IpcFileOpened){ .directory_fd = -1, .fd = -1 };
  ipc_file_map_close (self);
  return NULL;
}

/* What a crash has left undone may make the file longer. */
static gboolean
recover (IpcFileMap *self, GError **error)
{
  g_autoptr(GError) reason = NULL;

  if (ipc_file_map_lock_journal (self, FALSE, &reason))
    ipc_file_map_unlock_journal (self);
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

static IpcFileMap *
open_map (IpcScope *scope, IpcFileOpened *opened, gboolean writable, const IpcFileWanted *wanted, GError **error)
{
  IpcFileMap *self = find (scope, opened, writable);
  gboolean is_new = self == NULL;
  IpcFileOpened *present = is_new ? NULL : opened;

  if (is_new)
    self = file_map_new (scope, opened, writable, error);
  if (self == NULL)
    return NULL;
  if (!recover (self, error) || !ipc_file_opened_measure (present != NULL ? present : &self->opened, writable, wanted, error) ||
      !ipc_file_map_refresh (self, error))
    {
      ipc_file_map_close (self);
      return NULL;
    }
  return is_new ? enter (self) : self;
}

IpcFileMap *
ipc_file_map_open (IpcScope *scope, const char *path, gboolean writable, const IpcFileWanted *wanted, GError **error)
{
  IpcFileOpened opened;
  IpcFileMap *self;

  if (!ipc_file_opened_init (&opened, path, writable, wanted, error))
    return NULL;
  self = open_map (scope, &opened, writable, wanted, error);
  ipc_file_opened_clear (&opened, FALSE);
  return self;
}

static gboolean
drop (IpcFileMap *self)
{
  gboolean last;

  g_mutex_lock (&registry);
  last = --self->ref_count == 0;
  if (last)
    maps = g_list_remove (maps, self);
  g_mutex_unlock (&registry);
  return last;
}

static void
close_board (IpcFileMap *self, gboolean forked)
{
  int folder_fd = forked || self->board.object.presence == NULL ? -1 : ipc_scope_open_folder (self->scope, IPC_FILE_FOLDER, FALSE, NULL);

  ipc_file_board_close (&self->board, folder_fd);
  if (folder_fd >= 0)
    close (folder_fd);
}

void
ipc_file_map_close (IpcFileMap *self)
{
  gboolean forked = self->forks != ipc_fork_generation ();
  IpcMap *map;

  if (!drop (self))
    return;
  map = atomic_load (&self->map);
  g_clear_pointer (&map, ipc_map_unref);
  ipc_journal_close (self->journal);
  close_board (self, forked);
  ipc_dirty_clear (&self->dirty);
  ipc_file_opened_clear (&self->opened, forked);
  g_object_unref (self->scope);
  g_mutex_clear (&self->mutex);
  g_mutex_clear (&self->sync_mutex);
  g_mutex_clear (&self->journal_mutex);
  g_free (self);
}
