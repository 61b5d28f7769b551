/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "queue/ipc-queue-doorbell-private.h"

#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-safe-path.h"

#define LAYOUT 1u
#define NAME "doorbell"
#define SUFFIX ".processes"
#define MAX_WAITERS 1024u
#define MAX_LISTENERS 1024u
#define TURN_NS (30 * G_GINT64_CONSTANT (1000000000))
#define BOOT_ID "/proc/sys/kernel/random/boot_id"

typedef struct
{
  _Atomic gint64 last_accessed; /* µs UTC */
  guint8 room[56];
} Block;

G_STATIC_ASSERT (sizeof (Block) == 64);

#define SLOTS_SIZE ipc_slots_get_size (1, MAX_WAITERS)
#define LISTENERS_SIZE ipc_listeners_get_size (MAX_LISTENERS)
#define FILE_SIZE (IPC_SHARED_HEADER_SIZE + sizeof (Block) + SLOTS_SIZE + 2 * LISTENERS_SIZE)

static Block *
get_block (const IpcSharedFile *file)
{
  return (Block *) ipc_shared_file_get_body (file);
}

static gboolean
check_geometry (const IpcSharedFile *file, const char *name, GError **error)
{
  if (file->info.size == FILE_SIZE)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_CORRUPT, "doorbell \"%s\": %" G_GUINT64_FORMAT " bytes", name, file->info.size);
  return FALSE;
}

static void
touch (const IpcSharedFile *file)
{
  atomic_store_explicit (&get_block (file)->last_accessed, g_get_real_time (), memory_order_relaxed);
}

static gint64
get_last_accessed (const IpcSharedFile *file)
{
  return atomic_load_explicit (&get_block (file)->last_accessed, memory_order_relaxed);
}

/* It is not deleted as long as it is used. */
static void
wake (const IpcSharedFile *file, IpcPresence *presence)
{
}

static const IpcSharedObjectClass doorbell_class = {
  .what = "doorbell",
  .kind = IPC_SHARED_KIND_DOORBELL,
  .layout = LAYOUT,
  .max_size = 1 << 20,
  .check = check_geometry,
  .touch = touch,
  .get_last_accessed = get_last_accessed,
  .wake = wake,
};

/* ---- the folder ---- */

/* What is left of earlier starts of the machine: folders with nothing but files in them. */
static void
sweep (int folder_fd, const char *boot)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", folder_fd);
  g_autoptr(GDir) dir = g_dir_open (path, 0, NULL);
  const char *name, *entry;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *old_path = g_build_filename (path, name, NULL);
      g_autoptr(GDir) old = strcmp (name, boot) != 0 ? g_dir_open (old_path, 0, NULL) : NULL;

      while (old != NULL && (entry = g_dir_read_name (old)) != NULL)
        {
          g_autofree char *file = g_build_filename (name, entry, NULL);

          unlinkat (folder_fd, file, 0);
        }
      if (old != NULL)
        unlinkat (folder_fd, name, AT_REMOVEDIR);
    }
}

static void
read_boot_id (IpcQueueDoorbell *self)
{
  g_autofree char *text = NULL;

  if (g_file_get_contents (BOOT_ID, &text, NULL, NULL))
    g_strlcpy (self->boot, g_strstrip (text), sizeof self->boot);
  else
    g_strlcpy (self->boot, "unknown", sizeof self->boot);
}

/* The folder of this start of the machine; -1 on error. */
static int
open_folder (IpcQueueDoorbell *self, const char *path, GError **error)
{
  g_autofree char *folder = g_strconcat (path, SUFFIX, NULL);
  g_autofree char *parent = g_path_get_dirname (folder);
  g_autofree char *base = g_path_get_basename (folder);
  int parent_fd, folder_fd = -1, boot_fd = -1;
  IpcFault fault = { 0 };

  if (!ipc_directory_open (parent, IPC_DIRECTORY_TRUSTED, FALSE, &parent_fd, &fault))
    {
      ipc_error_set_fault (error, &fault, path);
      return -1;
    }
  if (ipc_directory_open_sub (parent_fd, base, TRUE, &folder_fd, &fault) &&
      ipc_directory_open_sub (folder_fd, self->boot, TRUE, &boot_fd, &fault))
    sweep (folder_fd, self->boot);
  else
    ipc_error_set_fault (error, &fault, folder);
  if (folder_fd >= 0)
    close (folder_fd);
  close (parent_fd);
  return boot_fd;
}

/* ---- opening ---- */

static gboolean
attach (IpcQueueDoorbell *self, int folder_fd, GError **error)
{
  const IpcSharedInfo info = { .size = FILE_SIZE };
  g_autoptr(GError) reason = NULL;

  while (!ipc_shared_object_attach (&self->object, &doorbell_class, folder_fd, NAME, &reason))
    {
      if (!g_error_matches (reason, IPC_ERROR, IPC_ERROR_NOT_FOUND))
        break;
      g_clear_error (&reason);
      if (ipc_shared_object_create (&self->object, &doorbell_class, folder_fd, NAME, &info, NULL, &reason))
        return TRUE;
      if (!g_error_matches (reason, IPC_ERROR, IPC_ERROR_EXISTS))
        break;
      g_clear_error (&reason);
    }
  if (reason == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

static gboolean
listen_to (IpcQueueDoorbell *self, GError **error)
{
  IpcFault fault = { 0 };

  if (!ipc_bell_open (&self->bell, self->object.presence, &fault))
    {
      ipc_error_set_fault (error, &fault, "doorbell");
      return FALSE;
    }
  if (ipc_listeners_add (&self->messages, self->bell.number, &self->messages_entry) &&
      ipc_listeners_add (&self->queues, self->bell.number, &self->queues_entry))
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED, "there are %u others that have the database open", MAX_LISTENERS);
  return FALSE;
}

static void
set_up (IpcQueueDoorbell *self)
{
  uint8_t *memory = ipc_shared_file_get_body (&self->object.file) + sizeof (Block);
  IpcPresence *presence = self->object.presence;

  ipc_slots_init (&self->writer, memory, 1, MAX_WAITERS, presence, ipc_shared_file_get_deleted_word (&self->object.file));
  ipc_listeners_init (&self->messages, memory + SLOTS_SIZE, MAX_LISTENERS, presence);
  ipc_listeners_init (&self->queues, memory + SLOTS_SIZE + LISTENERS_SIZE, MAX_LISTENERS, presence);
}

static void
name_epoch (IpcQueueDoorbell *self)
{
  guint64 id[2];

  ipc_presence_get_id (self->object.presence, (guint8 *) id);
  g_snprintf (self->epoch, sizeof self->epoch, "%s/%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x", self->boot, id[0], id[1]);
}

gboolean
ipc_queue_doorbell_open (IpcQueueDoorbell *self, const char *path, GError **error)
{
  gboolean attached;
  int folder_fd;

  memset (self, 0, sizeof *self);
  ipc_shared_object_init (&self->object);
  self->bell.fd = -1;
  self->messages_entry = self->queues_entry = IPC_LISTENERS_NONE;
  read_boot_id (self);
  folder_fd = open_folder (self, path, error);
  if (folder_fd < 0)
    return FALSE;
  attached = attach (self, folder_fd, error);
  close (folder_fd);
  if (!attached)
    return FALSE;
  set_up (self);
  name_epoch (self);
  if (listen_to (self, error))
    return TRUE;
  ipc_queue_doorbell_close (self);
  return FALSE;
}

void
ipc_queue_doorbell_close (IpcQueueDoorbell *self)
{
  if (self->object.attachment.fd >= 0 && self->object.attachment.generation == ipc_fork_generation ())
    {
      if (self->messages_entry != IPC_LISTENERS_NONE)
        ipc_listeners_remove (&self->messages, self->messages_entry);
      if (self->queues_entry != IPC_LISTENERS_NONE)
        ipc_listeners_remove (&self->queues, self->queues_entry);
      if (self->bell.fd >= 0)
        ipc_bell_close (&self->bell);
    }
  ipc_shared_object_close (&self->object);
}

/* ---- the turn ---- */

gboolean
ipc_queue_doorbell_enter (IpcQueueDoorbell *self, GError **error)
{
  if (ipc_slots_acquire (&self->writer, ipc_futex_now () + TURN_NS, NULL, &self->slot) == IPC_SLOTS_ACQUIRED)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_TIMED_OUT, "another process has been writing to the queues for %d ms", (int) (TURN_NS / 1000000));
  return FALSE;
}

void
ipc_queue_doorbell_leave (IpcQueueDoorbell *self)
{
  ipc_slots_release (&self->writer, self->slot);
}

/* ---- telling and hearing ---- */

void
ipc_queue_doorbell_ring (IpcQueueDoorbell *self, gboolean queues)
{
  atomic_thread_fence (memory_order_seq_cst);
  if (queues)
    ipc_listeners_ring (&self->queues, self->queues_entry);
  else
    ipc_listeners_ring (&self->messages, self->messages_entry);
}

void
ipc_queue_doorbell_arm (IpcQueueDoorbell *self, gboolean queues)
{
  if (queues)
    ipc_listeners_arm (&self->queues, self->queues_entry);
  else
    ipc_listeners_arm (&self->messages, self->messages_entry);
  atomic_thread_fence (memory_order_seq_cst);
}

gboolean
ipc_queue_doorbell_was_rung (IpcQueueDoorbell *self, gboolean queues)
{
  return queues ? !ipc_listeners_is_armed (&self->queues, self->queues_entry) : !ipc_listeners_is_armed (&self->messages, self->messages_entry);
}

IpcOwner
ipc_queue_doorbell_get_me (const IpcQueueDoorbell *self)
{
  return ipc_presence_get_me (self->object.presence);
}

gboolean
ipc_queue_doorbell_is_alive (IpcQueueDoorbell *self, IpcOwner owner)
{
  return ipc_presence_is_alive (self->object.presence, owner);
}

gboolean
ipc_queue_doorbell_watch (IpcQueueDoorbell *self, IpcOwner owner)
{
  uint32_t expected;
  _Atomic uint32_t *word = ipc_presence_watch (self->object.presence, owner, &expected);

  if (word == NULL)
    return FALSE;
  ipc_presence_ring_at (self->object.presence, word, expected);
  return TRUE;
}
