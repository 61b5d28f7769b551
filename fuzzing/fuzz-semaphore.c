/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is read from the file of a semaphore, which others may have written anything into. The first byte says what
 * comes: a whole file, or one whose header adds up, with the geometry and the contents that follow. Whatever
 * opens is then used: looked at, listed, acquired from, released and deleted, by a process that is somebody else's owner.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/ipc-futex.h"
#include "semaphore/ipc-semaphore-file-private.h"

#define NAME "x"
#define MAX_USED 64u

static char *folder;            /* (owned) for the life of the program */
static int folder_fd = -1;
static IpcPresence *presence;   /* so that it is not made anew each time */

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_autoptr(GError) error = NULL;

  folder = g_dir_make_tmp ("ipc-fuzz-XXXXXX", &error);
  g_assert_no_error (error);
  folder_fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  presence = ipc_presence_attach (folder_fd, NULL);
  g_assert_nonnull (presence);
  return 0;
}

/* As long as the program runs cleanly, nothing is left. */
__attribute__ ((destructor)) static void
clean_up (void)
{
  if (folder == NULL)
    return;
  unlinkat (folder_fd, ".presence", 0);
  unlinkat (folder_fd, "." NAME ".lock", 0);
  unlinkat (folder_fd, NAME, 0);
  g_rmdir (folder);
}

/* ---- making the file ---- */

typedef struct
{
  const uint8_t *data;
  size_t size;
} Input;

static guint64
take (Input *input, size_t n)
{
  guint64 value = 0;

  for (size_t i = 0; i < n && input->size > 0; i++)
    {
      value |= (guint64) *input->data++ << (8 * i);
      input->size--;
    }
  return value;
}

static void
write_raw (const Input *input)
{
  int fd = openat (folder_fd, NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

  g_assert_cmpint (write (fd, input->data, input->size), ==, (gssize) input->size);
  close (fd);
}

static void
fill_body (uint8_t *body, const IpcSharedInfo *info, const void *data)
{
  const Input *input = data;

  memcpy (body, input->data, MIN (input->size, info->size - IPC_SHARED_HEADER_SIZE));
}

/* Owner ids of this table, and of this process, are likely: so the contents are read as if they meant something. */
static void
write_shared (Input *input)
{
  IpcSharedInfo info = { .kind = IPC_SHARED_KIND_SEMAPHORE, .layout = 1 };
  guint8 how = (guint8) take (input, 1);
  guint64 n_permits = take (input, how & 1 ? 8 : 1);
  guint64 n_waiters = take (input, how & 2 ? 8 : 1);
  IpcSharedFile file;
  IpcFault fault;

  info.geometry[0] = n_permits;
  info.geometry[1] = n_waiters;
  ipc_presence_get_id (presence, (guint8 *) &info.geometry[2]);
  if (how & 4)
    info.geometry[2] ^= take (input, 8);
  info.size = IPC_SHARED_HEADER_SIZE + 64 + ipc_slots_get_size ((guint) MIN (n_permits, 512), (guint) MIN (n_waiters, 512));
  if (how & 8)
    info.size = IPC_SHARED_HEADER_SIZE + take (input, 2);
  if (ipc_shared_file_create (folder_fd, NAME, &info, fill_body, input, &file, &fault))
    ipc_shared_file_close (&file);
}

/* ---- using it ---- */

static void
check_looks (IpcSemaphoreFile *file)
{
  IpcSlotsStatistics statistics;
  gint64 last_accessed = ipc_semaphore_file_get_last_accessed (file);

  g_assert_cmpuint (file->n_permits, >=, 1);
  g_assert_cmpuint (file->n_permits, <=, IPC_SLOTS_MAX);
  g_assert_cmpint (last_accessed, <=, g_get_real_time ());
  ipc_slots_count (&file->slots, &statistics);
  g_assert_cmpuint (statistics.held, <=, file->n_permits);
  g_assert_cmpuint (statistics.waiters, <=, file->slots.n_waiters);
  g_assert_cmpuint (ipc_semaphore_file_count_held (file), <=, file->n_permits);
  for (guint i = 0; i < file->n_permits; i++)
    {
      char label[IPC_PRESENCE_LABEL];
      IpcOwner owner;
      gint64 since;

      if (ipc_semaphore_file_get_holder (file, i, &owner, &since))
        ipc_presence_get_label (file->object.presence, owner, label);
    }
}

static void
check_works (IpcSemaphoreFile *file)
{
  unsigned slots[MAX_USED], slot;
  guint n = 0;

  ipc_slots_recover (&file->slots);
  while (n < MAX_USED && ipc_slots_try (&file->slots, &slots[n]))
    {
      g_assert_cmpuint (slots[n], <, file->n_permits);
      n++;
    }
  if (ipc_slots_acquire (&file->slots, ipc_futex_now () + 1000, NULL, &slot) == IPC_SLOTS_ACQUIRED)
    ipc_slots_release (&file->slots, slot);
  /* What was had is there to be given back; nobody else is there to take it. */
  while (n-- > 0)
    g_assert_true (ipc_slots_release (&file->slots, slots[n]));
  ipc_slots_wake (&file->slots, true);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  Input input = { data, size };
  IpcSemaphoreFile file;

  if (take (&input, 1) & 1)
    write_raw (&input);
  else
    write_shared (&input);
  if (ipc_semaphore_file_observe (&file, folder_fd, NAME, NULL))
    {
      check_looks (&file);
      ipc_semaphore_file_close (&file);
    }
  if (ipc_semaphore_file_attach (&file, folder_fd, NAME, NULL))
    {
      check_looks (&file);
      check_works (&file);
      ipc_semaphore_file_close (&file);
    }
  ipc_shared_object_remove_idle (&ipc_semaphore_file_class, folder_fd, NAME, 0, NULL);
  ipc_shared_object_delete (&ipc_semaphore_file_class, folder_fd, NAME, NULL);
  unlinkat (folder_fd, NAME, 0);
  return 0;
}
