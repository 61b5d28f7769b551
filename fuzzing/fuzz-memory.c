/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is read from the file of a segment, which others may have written anything into. The first byte says what comes: a whole file,
 * or one whose header adds up, with the geometry and the contents that follow, also from where what keeps writes whole begins.
 * Whatever opens is then used: looked at, read, written, made larger, locked and deleted.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ipc-scope-private.h"
#include "memory/ipc-shared-memory-private.h"

#define NAME "x"
#define BLOCK 64u               /* what precedes the section */
#define MAX_SIZE 20000u

static char *folder;            /* (owned) for the life of the program */
static IpcScope *scope;         /* (owned) */
static int folder_fd = -1;
static IpcPresence *presence;   /* so that it is not made anew each time */
static gsize head_size;

static void
find_head_size (void)
{
  IpcSegment *segment = ipc_segment_create (folder_fd, NAME, 1, TRUE, NULL);

  g_assert_nonnull (segment);
  head_size = segment->object.file.info.size;
  ipc_segment_close (segment);
  unlinkat (folder_fd, NAME, 0);
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_autoptr(GError) error = NULL;

  folder = g_dir_make_tmp ("ipc-fuzz-XXXXXX", &error);
  g_assert_no_error (error);
  scope = ipc_scope_new_for_directory (folder, &error);
  g_assert_no_error (error);
  folder_fd = ipc_scope_open_folder (scope, IPC_SCOPE_BULK_FOLDER, TRUE, &error);
  g_assert_no_error (error);
  presence = ipc_presence_attach (folder_fd, NULL);
  g_assert_nonnull (presence);
  find_head_size ();
  return 0;
}

/* As long as the program runs cleanly, nothing is left. */
__attribute__ ((destructor)) static void
clean_up (void)
{
  g_autofree char *bulk = NULL;

  if (folder_fd < 0)
    return;
  bulk = g_build_filename (folder, IPC_SCOPE_BULK_FOLDER, NULL);
  unlinkat (folder_fd, ".presence", 0);
  unlinkat (folder_fd, "." NAME ".lock", 0);
  unlinkat (folder_fd, NAME, 0);
  g_rmdir (bulk);
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

typedef struct
{
  const Input *input;
  gsize at;
  guint64 length;
} Body;

/* Its length is right unless the input says otherwise: or else little would be reached. */
static void
fill_body (uint8_t *body, const IpcSharedInfo *info, const void *data)
{
  const Body *self = data;
  gsize room = info->size - IPC_SHARED_HEADER_SIZE;
  IpcSection section;

  if (room >= BLOCK + ipc_section_get_size ())
    {
      ipc_section_init (&section, body + BLOCK, NULL);
      ipc_section_set_length (&section, self->length);
    }
  if (self->at < room)
    memcpy (body + self->at, self->input->data, MIN (self->input->size, room - self->at));
}

/* Owner ids of this table, and of this process, are likely: so the contents are read as if they meant something. */
static void
write_shared (Input *input)
{
  IpcSharedInfo info = { .kind = IPC_SHARED_KIND_MEMORY, .layout = 2, .size = head_size };
  guint8 how = (guint8) take (input, 1);
  Body body = { .input = input };
  IpcSharedFile file;
  IpcFault fault;

  info.geometry[0] = take (input, 2) % MAX_SIZE;
  info.geometry[1] = how & 1 ? take (input, 8) : 1;
  ipc_presence_get_id (presence, (guint8 *) &info.geometry[2]);
  if (how & 2)
    info.geometry[2] ^= take (input, 8);
  if (how & 4)
    info.size = IPC_SHARED_HEADER_SIZE + take (input, 2);
  body.length = how & 8 ? take (input, 8) : info.geometry[0];
  if (how & 16)
    body.at = take (input, 2);
  else
    body.at = how & 32 ? BLOCK : 0;
  if (ipc_shared_file_create (folder_fd, NAME, &info, fill_body, &body, &file, &fault))
    ipc_shared_file_close (&file);
}

/* ---- using it ---- */

static void
check_looks (IpcSharedMemory *memory)
{
  ipc_shared_memory_get_size (memory);
  ipc_shared_memory_get_access_count (memory);
  ipc_shared_memory_get_n_attached (memory);
  ipc_shared_memory_get_is_consistent (memory);
  ipc_shared_memory_get_is_deleted (memory);
  ipc_shared_memory_get_is_sealed (memory);
  g_assert_cmpint (ipc_shared_memory_get_last_accessed (memory), <=, g_get_real_time ());
}

static void
check_bytes (IpcSharedMemory *memory, gsize size)
{
  static guint8 buffer[2 * MAX_SIZE];
  const gsize offsets[] = { 0, size / 2, size - 1, MAX_SIZE - 1 };

  for (guint i = 0; i < G_N_ELEMENTS (offsets); i++)
    {
      gsize length = offsets[i] < size ? MIN (size - offsets[i], sizeof buffer) : 1;

      ipc_shared_memory_read_into (memory, offsets[i], buffer, length, NULL);
      ipc_shared_memory_write_data (memory, offsets[i], buffer, length, NULL);
      ipc_shared_memory_add_int64 (memory, offsets[i], 1, NULL, NULL);
    }
}

static void
check_works (IpcSharedMemory *memory)
{
  gsize size = ipc_shared_memory_get_size (memory);

  check_bytes (memory, size);
  ipc_shared_memory_resize (memory, size + 1, NULL);
  check_bytes (memory, ipc_shared_memory_get_size (memory));
  if (ipc_shared_memory_lock (memory, 0, NULL, NULL))
    g_assert_true (ipc_shared_memory_unlock (memory, NULL));
  else
    ipc_shared_memory_unlock (memory, NULL);
  ipc_shared_memory_mark_consistent (memory, NULL);
  ipc_shared_memory_notify_changed (memory, NULL);
  ipc_shared_memory_seal (memory, NULL);
}

/* Takes SEGMENT. */
static IpcSharedMemory *
wrap (IpcSegment *segment, IpcAccess access)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();

  /* Those who are said to write never come to an end. */
  segment->section.patience = 1000;
  return ipc_shared_memory_new_for_segment (scope, NULL, context, NAME, access, segment);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  Input input = { data, size };
  IpcSegment *segment;

  if (take (&input, 1) & 1)
    write_raw (&input);
  else
    write_shared (&input);
  segment = ipc_segment_observe (folder_fd, NAME, NULL);
  if (segment != NULL)
    {
      g_autoptr(IpcSharedMemory) memory = wrap (segment, IPC_ACCESS_READ);

      check_looks (memory);
    }
  segment = ipc_segment_attach (folder_fd, NAME, TRUE, NULL);
  if (segment != NULL)
    {
      g_autoptr(IpcSharedMemory) memory = wrap (segment, IPC_SHARED_MEMORY_ACCESS_ALL);

      check_looks (memory);
      check_works (memory);
    }
  ipc_shared_object_remove_idle (&ipc_segment_class, folder_fd, NAME, 0, NULL);
  ipc_shared_object_delete (&ipc_segment_class, folder_fd, NAME, NULL);
  unlinkat (folder_fd, NAME, 0);
  return 0;
}
