/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file/ipc-file-board-private.h"

#include "base/ipc-error-private.h"

#define LAYOUT 1u
#define MAX_LISTENERS 256u      /* main contexts of processes */
#define ATTEMPTS 16

typedef struct
{
  _Atomic guint32 sequence;
  guint32 room;
  _Atomic gint64 last_accessed; /* µs UTC */
  guint8 more_room[48];
} Block;

G_STATIC_ASSERT (sizeof (Block) == 64);

static Block *
get_block (const IpcSharedFile *file)
{
  return (Block *) ipc_shared_file_get_body (file);
}

static guint64
get_size (void)
{
  return IPC_SHARED_HEADER_SIZE + sizeof (Block) + ipc_listeners_get_size (MAX_LISTENERS);
}

static void
init_listeners (IpcListeners *listeners, const IpcSharedFile *file, IpcPresence *presence)
{
  ipc_listeners_init (listeners, ipc_shared_file_get_body (file) + sizeof (Block), MAX_LISTENERS, presence);
  listeners->rings_lightly = TRUE;
}

/* ---- what is said of the file ---- */

static gboolean
check_geometry (const IpcSharedFile *file, const char *name, GError **error)
{
  if (file->info.size == get_size ())
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "board \"%s\": %" G_GUINT64_FORMAT " bytes, should be %" G_GUINT64_FORMAT, name,
               file->info.size, get_size ());
  return FALSE;
}

static void
touch (const IpcSharedFile *file)
{
  atomic_store (&get_block (file)->last_accessed, g_get_real_time ());
}

static gint64
get_last_accessed (const IpcSharedFile *file)
{
  return atomic_load (&get_block (file)->last_accessed);
}

static void
wake (const IpcSharedFile *file, IpcPresence *presence)
{
  IpcListeners listeners;

  init_listeners (&listeners, file, presence);
  ipc_listeners_ring (&listeners, IPC_LISTENERS_NONE);
}

const IpcSharedObjectClass ipc_file_board_class = {
  .what = "board of a mapped file",
  .kind = IPC_SHARED_KIND_FILE,
  .layout = LAYOUT,
  .max_size = 1024 * 1024,
  .check = check_geometry,
  .touch = touch,
  .get_last_accessed = get_last_accessed,
  .wake = wake,
};

/* ---- opening ---- */

static gboolean
attach_or_create (IpcFileBoard *self, int folder_fd, GError **error)
{
  const IpcSharedInfo info = { .size = get_size () };

  for (int i = 0; i < ATTEMPTS; i++)
    {
      g_autoptr(GError) reason = NULL;

      if (ipc_shared_object_attach (&self->object, &ipc_file_board_class, folder_fd, self->name, &reason))
        return TRUE;
      if (g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        {
          g_clear_error (&reason);
          if (ipc_shared_object_create (&self->object, &ipc_file_board_class, folder_fd, self->name, &info, NULL, &reason))
            return TRUE;
        }
      /* It is of a table of processes that is not there any more, or damaged, and nothing is kept in it. */
      if (g_error_matches (reason, IPC_ERROR, IPC_ERROR_CORRUPT) &&
          ipc_shared_object_delete (&ipc_file_board_class, folder_fd, self->name, NULL))
        continue;
      if (!g_error_matches (reason, IPC_ERROR, IPC_ERROR_EXISTS))
        {
          g_propagate_error (error, g_steal_pointer (&reason));
          return FALSE;
        }
    }
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "board \"%s\": other processes make and remove it all the time", self->name);
  return FALSE;
}

gboolean
ipc_file_board_open (IpcFileBoard *self, int folder_fd, dev_t device, ino_t inode, GError **error)
{
  ipc_shared_object_init (&self->object);
  g_snprintf (self->name, sizeof self->name, "%" G_GINT64_MODIFIER "x-%" G_GINT64_MODIFIER "x", (guint64) device, (guint64) inode);
  if (!attach_or_create (self, folder_fd, error))
    return FALSE;
  init_listeners (&self->listeners, &self->object.file, self->object.presence);
  self->sequence = &get_block (&self->object.file)->sequence;
  return TRUE;
}

void
ipc_file_board_close (IpcFileBoard *self, int folder_fd)
{
  ipc_shared_object_close (&self->object);
  if (folder_fd >= 0)
    ipc_shared_object_remove_idle (&ipc_file_board_class, folder_fd, self->name, 0, NULL);
}
