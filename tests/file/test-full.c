/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk that is full: a small tmpfs, in a mount namespace of a process that may have one. What finds no room says NO_SPACE, changes
 * nothing, and works when there is some; and whatever is touched, nobody is killed by a SIGBUS.
 */
#include "file-test.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc-mapped-file-transaction.h"
#include "ipc-test-disk.h"

#define DISK_KIB 4096u
#define SMALL 100000u
#define LARGE 1300000u          /* more than a journal has room for */
#define HOLE_AT 40960u
#define HOLE 40960u

#define PATH IPC_TEST_DISK "/x"

static void
make_hole (void)
{
  int fd = open (PATH, O_RDWR | O_CLOEXEC);

  g_assert_no_errno (fallocate (fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HOLE_AT, HOLE));
  close (fd);
}

/* ── What is done there ── */

typedef struct
{
  IpcMappedFileManager *manager;
  IpcMappedFile *file;
} Fixture;

static gboolean
transact (IpcMappedFile *file, guint8 value, gsize size, GError **error)
{
  g_autoptr(IpcMappedFileTransaction) transaction = ipc_mapped_file_begin (file, NULL);
  g_autofree guint8 *bytes = g_malloc (size);

  memset (bytes, value, size);
  g_assert_true (ipc_mapped_file_transaction_write_data (transaction, 0, bytes, size, NULL));
  return ipc_mapped_file_transaction_commit (transaction, NULL, error);
}

static void
map (Fixture *self, gsize size)
{
  self->file = file_test_map (self->manager, PATH, size);
  file_test_write_value (self->file, 0, 1, size);
}

static void
full_make (Fixture *self, GError **error)
{
  ipc_test_disk_fill ();
  self->file = ipc_mapped_file_manager_map_file (self->manager, PATH, SMALL, 0, error);
  file_test_fails (self->file != NULL, error, IPC_ERROR_NO_SPACE);
  g_assert_cmpint (g_access (PATH, F_OK), !=, 0);
  ipc_test_disk_free ();
  map (self, SMALL);
}

static void
full_grow (Fixture *self, GError **error)
{
  map (self, SMALL);
  ipc_test_disk_fill ();
  file_test_fails (ipc_mapped_file_resize (self->file, 2 * SMALL, error), error, IPC_ERROR_NO_SPACE);
  g_assert_cmpuint (ipc_mapped_file_get_size (self->file), ==, SMALL);
  file_test_assert_value (self->file, 0, 1, SMALL);
  file_test_write_value (self->file, 0, 2, SMALL);
  g_assert_true (ipc_mapped_file_sync (self->file, 0, 0, NULL, error));
  ipc_test_disk_free ();
  g_assert_true (ipc_mapped_file_resize (self->file, 2 * SMALL, error));
  file_test_assert_value (self->file, SMALL, 0, SMALL);
}

static void
full_first_commit (Fixture *self, GError **error)
{
  map (self, SMALL);
  ipc_test_disk_fill ();
  file_test_fails (transact (self->file, 2, SMALL, error), error, IPC_ERROR_NO_SPACE);
  file_test_assert_value (self->file, 0, 1, SMALL);
  ipc_test_disk_free ();
  g_assert_true (transact (self->file, 2, SMALL, error));
  file_test_assert_value (self->file, 0, 2, SMALL);
}

/* With a journal, one needs nothing more. */
static void
full_commit (Fixture *self, GError **error)
{
  map (self, SMALL);
  g_assert_true (transact (self->file, 2, SMALL, error));
  ipc_test_disk_fill ();
  for (guint8 i = 0; i < 30; i++)
    {
      ipc_mapped_file_set_durability (self->file, i % 2 == 0 ? IPC_DURABILITY_FULL : IPC_DURABILITY_NORMAL);
      g_assert_true (transact (self->file, i, SMALL, error));
      file_test_assert_value (self->file, 0, i, SMALL);
    }
}

static void
full_large_commit (Fixture *self, GError **error)
{
  map (self, LARGE);
  g_assert_true (transact (self->file, 2, 1000, error));
  ipc_test_disk_fill ();
  file_test_fails (transact (self->file, 3, LARGE, error), error, IPC_ERROR_NO_SPACE);
  file_test_assert_value (self->file, 0, 2, 1000);
  file_test_assert_value (self->file, 1000, 1, LARGE - 1000);
  g_assert_true (transact (self->file, 4, 1000, error));
  ipc_test_disk_free ();
  g_assert_true (transact (self->file, 3, LARGE, error));
  file_test_assert_value (self->file, 0, 3, LARGE);
}

static void
full_sparse (Fixture *self, GError **error)
{
  g_autoptr(IpcMappedFile) reader = NULL;

  g_assert_no_errno (close (open (PATH, O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
  file_test_truncate (PATH, SMALL);
  ipc_test_disk_fill ();
  self->file = ipc_mapped_file_manager_map_file (self->manager, PATH, 0, 0, error);
  file_test_fails (self->file != NULL, error, IPC_ERROR_NO_SPACE);
  ipc_test_disk_free ();
  map (self, SMALL);
}

/* Somebody has made it after it was mapped. */
static void
full_hole (Fixture *self, GError **error)
{
  guint8 *bytes;

  map (self, SMALL);
  make_hole ();
  ipc_test_disk_fill ();
  file_test_fails (ipc_mapped_file_write_data (self->file, HOLE_AT + 100, "x", 1, error), error, IPC_ERROR_NO_SPACE);
  file_test_fails (ipc_mapped_file_read_into (self->file, HOLE_AT, &(guint8){ 0 }, 1, error), error, IPC_ERROR_NO_SPACE);
  file_test_assert_value (self->file, 0, 1, HOLE_AT);
  file_test_assert_value (self->file, HOLE_AT + HOLE, 1, SMALL - HOLE_AT - HOLE);
  file_test_write_value (self->file, 0, 2, HOLE_AT);
  /* Who writes there himself is not killed either. */
  bytes = ipc_mapped_file_peek (self->file, NULL);
  bytes[HOLE_AT] = 1;
  file_test_assert_value (self->file, 0, 2, HOLE_AT);
  ipc_test_disk_free ();
  file_test_write_value (self->file, HOLE_AT, 3, HOLE);
  file_test_assert_value (self->file, HOLE_AT, 3, HOLE);
  file_test_assert_value (self->file, 0, 2, HOLE_AT);
}

/* It reads as zero where nobody may fill it, as it does by other means. */
static void
full_hole_read_only (Fixture *self, GError **error)
{
  g_autoptr(IpcMappedFile) reader = NULL;
  g_autoptr(IpcMappedFileManager) other = file_test_manager_new ("/scope");

  map (self, SMALL);
  reader = ipc_mapped_file_manager_map_file (other, PATH, 0, IPC_ACCESS_READ, error);
  make_hole ();
  ipc_test_disk_fill ();
  file_test_assert_value (reader, HOLE_AT, 0, HOLE);
  file_test_assert_value (reader, 0, 1, HOLE_AT);
  file_test_assert_value (reader, HOLE_AT + HOLE, 1, SMALL - HOLE_AT - HOLE);
  ipc_test_disk_free ();
  file_test_write_value (self->file, HOLE_AT, 3, HOLE);
  file_test_assert_value (reader, HOLE_AT, 3, HOLE);
  g_assert_true (ipc_mapped_file_unmap (reader, error));
}

/* What is in the journal already is done when there is room; until then, nobody reads half of it. */
static void
full_hole_commit (Fixture *self, GError **error)
{
  guint8 byte;

  map (self, SMALL);
  g_assert_true (transact (self->file, 2, SMALL, error));
  make_hole ();
  ipc_test_disk_fill ();
  file_test_fails (transact (self->file, 3, SMALL, error), error, IPC_ERROR_NO_SPACE);
  file_test_fails (ipc_mapped_file_read_into (self->file, 0, &byte, 1, error), error, IPC_ERROR_NO_SPACE);
  file_test_fails (ipc_mapped_file_read_into (self->file, SMALL - 1, &byte, 1, error), error, IPC_ERROR_NO_SPACE);
  file_test_fails (ipc_mapped_file_write_data (self->file, 0, "x", 1, error), error, IPC_ERROR_NO_SPACE);
  ipc_test_disk_free ();
  file_test_assert_value (self->file, 0, 3, SMALL);
  g_assert_true (transact (self->file, 4, SMALL, error));
  file_test_assert_value (self->file, 0, 4, SMALL);
}

/* ── Both sides ── */

static const struct
{
  const char *name;
  void (*run) (Fixture *self, GError **error);
} cases[] = {
  { "make", full_make },
  { "grow", full_grow },
  { "first-commit", full_first_commit },
  { "commit", full_commit },
  { "large-commit", full_large_commit },
  { "sparse", full_sparse },
  { "hole", full_hole },
  { "hole-read-only", full_hole_read_only },
  { "hole-commit", full_hole_commit },
};

static void
run (guint i)
{
  Fixture fixture = { .manager = file_test_manager_new ("/scope") };
  g_autoptr(GError) error = NULL;

  cases[i].run (&fixture, &error);
  g_assert_no_error (error);
  ipc_mapped_file_unmap (fixture.file, &error);
  g_assert_no_error (error);
  g_object_unref (fixture.file);
  g_object_unref (fixture.manager);
}

static int
full_role (char **arguments)
{
  if (!ipc_test_disk_enter (arguments[0], DISK_KIB))
    return 0;
  run ((guint) g_ascii_strtoull (arguments[1], NULL, 10));
  ipc_test_tell ("done");
  return 0;
}

static void
test_case (IpcTest *test)
{
  g_autofree char *number = g_strdup_printf ("%u", GPOINTER_TO_UINT (test->data));
  const char *arguments[] = { test->directory, number, NULL };
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("full", arguments);

  ipc_test_disk_expect_done (peer);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = { { "full", full_role }, { NULL, NULL } };

  ipc_test_init (&argc, &argv, roles);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/file/full/%s", cases[i].name);

      ipc_test_add_data (path, GUINT_TO_POINTER (i), test_case);
    }
  return ipc_test_run ();
}
