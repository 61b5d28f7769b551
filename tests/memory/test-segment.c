/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A segment in one process: what is read is what was written, what cannot be read or written is said so and changes nothing, and
 * views stay where they are.
 */
#include "memory-test.h"

#include <string.h>

#define SIZE 10000

typedef struct
{
  IpcSharedMemoryManager *manager; /* (owned) */
  IpcSharedMemory *segment;        /* (owned) */
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test)
{
  self->manager = memory_test_manager_new (test->directory);
  self->segment = memory_test_create (self->manager, "x", SIZE);
}

static void
fixture_clear (Fixture *self)
{
  ipc_test_assert_finalized (self->segment);
  ipc_test_assert_finalized (self->manager);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

/* (transfer full) */
static IpcSharedMemory *
open_for (Fixture *self, IpcAccess access)
{
  g_autoptr(GError) error = NULL;
  IpcSharedMemory *segment = ipc_shared_memory_manager_open_segment (self->manager, "x", access, &error);

  g_assert_no_error (error);
  g_assert_cmpint (ipc_shared_memory_get_access (segment), ==, access);
  return segment;
}

/* ── Reading and writing ── */

static void
test_new (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  gint64 before = g_get_real_time (), created;

  fixture_init (&fixture, test);
  created = ipc_shared_memory_get_created_at (fixture.segment);
  g_assert_cmpint (created, >=, before);
  g_assert_cmpint (created, <=, g_get_real_time ());
  g_assert_cmpint (ipc_shared_memory_get_last_accessed (fixture.segment), >=, created);
  g_assert_cmpstr (ipc_shared_memory_get_name (fixture.segment), ==, "x");
  g_assert_true (g_uuid_string_is_valid (ipc_shared_memory_get_id (fixture.segment)));
  g_assert_cmpuint (ipc_shared_memory_get_size (fixture.segment), ==, SIZE);
  g_assert_cmpint (ipc_shared_memory_get_access (fixture.segment), ==, IPC_ACCESS_READ | IPC_ACCESS_WRITE);
  g_assert_cmpuint (ipc_shared_memory_get_access_count (fixture.segment), ==, 0);
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (fixture.segment), ==, 1);
  g_assert_false (ipc_shared_memory_get_is_deleted (fixture.segment));
  g_assert_false (ipc_shared_memory_get_is_sealed (fixture.segment));
  g_assert_true (ipc_shared_memory_get_is_consistent (fixture.segment));
  g_assert_cmpuint (ipc_shared_memory_get_fd_offset (fixture.segment) % 4096, ==, 0);
  memory_test_assert_value (fixture.segment, 0, 0, SIZE);
}

static void
test_properties (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autofree char *name = NULL;
  g_autofree char *id = NULL;
  guint64 size, access_count, generation;
  gint64 created_at, last_accessed;
  gboolean is_deleted, is_sealed, is_consistent;
  guint n_attached, access;

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 1, 1);
  g_object_get (fixture.segment, "id", &id, "name", &name, "size", &size, "access", &access, "created-at", &created_at, "last-accessed",
                &last_accessed, "access-count", &access_count, "n-attached", &n_attached, "generation", &generation, "is-deleted", &is_deleted,
                "is-sealed", &is_sealed, "is-consistent", &is_consistent, NULL);
  g_assert_cmpstr (id, ==, ipc_shared_memory_get_id (fixture.segment));
  g_assert_cmpstr (name, ==, "x");
  g_assert_cmpuint (size, ==, SIZE);
  g_assert_cmpuint (access, ==, IPC_ACCESS_READ | IPC_ACCESS_WRITE);
  g_assert_cmpint (created_at, ==, ipc_shared_memory_get_created_at (fixture.segment));
  g_assert_cmpint (last_accessed, >=, created_at);
  g_assert_cmpuint (access_count, ==, 1);
  g_assert_cmpuint (n_attached, ==, 1);
  g_assert_cmpuint (generation, ==, ipc_shared_memory_get_generation (fixture.segment));
  g_assert_false (is_deleted);
  g_assert_false (is_sealed);
  g_assert_true (is_consistent);
}

static void
test_read_and_write (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GBytes) text = g_bytes_new_static ("hello", 5);
  g_autoptr(GBytes) read = NULL;
  g_autoptr(GBytes) nothing = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  g_assert_true (ipc_shared_memory_write (fixture.segment, SIZE - 5, text, &error));
  g_assert_no_error (error);
  read = ipc_shared_memory_read (fixture.segment, SIZE - 5, 5, &error);
  g_assert_no_error (error);
  g_assert_true (g_bytes_equal (read, text));
  memory_test_assert_value (fixture.segment, 0, 0, SIZE - 5);
  memory_test_write_value (fixture.segment, 0, 7, SIZE);
  memory_test_assert_value (fixture.segment, 0, 7, SIZE);
  /* No bytes are no fault, also right behind the last one. */
  nothing = ipc_shared_memory_read (fixture.segment, SIZE, 0, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (nothing), ==, 0);
  g_assert_true (ipc_shared_memory_write_data (fixture.segment, SIZE, NULL, 0, &error));
  g_assert_true (ipc_shared_memory_read_into (fixture.segment, 0, NULL, 0, &error));
  g_assert_no_error (error);
}

/* What was read is a copy. */
static void
test_copy (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GBytes) read = NULL;
  const guint8 *bytes;

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 1, 100);
  read = ipc_shared_memory_read (fixture.segment, 0, 100, NULL);
  memory_test_write_value (fixture.segment, 0, 2, 100);
  bytes = g_bytes_get_data (read, NULL);
  g_assert_cmpuint (bytes[0], ==, 1);
  g_assert_cmpuint (bytes[99], ==, 1);
}

static void
test_access_count (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemoryManager) other = NULL;
  g_autoptr(IpcSharedMemory) same = NULL;
  guint8 byte;

  fixture_init (&fixture, test);
  other = memory_test_manager_new (test->directory);
  same = memory_test_open (other, "x");
  g_assert_true (same != fixture.segment);
  g_assert_cmpstr (ipc_shared_memory_get_id (same), ==, ipc_shared_memory_get_id (fixture.segment));
  memory_test_write_value (fixture.segment, 0, 1, 1);
  memory_test_write_value (same, 0, 2, SIZE);
  g_assert_true (ipc_shared_memory_read_into (same, 0, &byte, 1, NULL));
  g_assert_cmpuint (byte, ==, 2);
  memory_test_assert_value (fixture.segment, 0, 2, SIZE);
  g_assert_cmpuint (ipc_shared_memory_get_access_count (fixture.segment), ==, 4);
  g_assert_cmpuint (ipc_shared_memory_get_access_count (same), ==, 4);
  g_assert_cmpuint (ipc_shared_memory_manager_get_total_access_count (other), ==, 4);
}

/* ── What is out of bounds ── */

static void
assert_out_of_bounds (IpcSharedMemory *segment, gsize offset, gsize length)
{
  static guint8 bytes[SIZE + 1];
  g_autoptr(GError) error = NULL;
  g_autofree char *told = g_strdup_printf ("offset %" G_GSIZE_FORMAT ", length %" G_GSIZE_FORMAT, offset, length);

  g_assert_null (ipc_shared_memory_read (segment, offset, length, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_OUT_OF_BOUNDS);
  if (strstr (error->message, told) == NULL || strstr (error->message, "\"x\"") == NULL)
    g_error ("\"%s\" does not say \"%s\"", error->message, told);
  g_clear_error (&error);
  memory_test_fails (ipc_shared_memory_read_into (segment, offset, bytes, length, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  memory_test_fails (ipc_shared_memory_write_data (segment, offset, bytes, length, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  memory_test_fails (ipc_shared_memory_get_bytes (segment, offset, length, &error) != NULL, &error, IPC_ERROR_OUT_OF_BOUNDS);
}

static void
assert_no_number (IpcSharedMemory *segment, gsize offset)
{
  g_autoptr(GError) error = NULL;
  gint64 number = 5;
  gdouble real = 5;

  memory_test_fails (ipc_shared_memory_read_int64 (segment, offset, &number, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  memory_test_fails (ipc_shared_memory_write_int64 (segment, offset, 1, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  memory_test_fails (ipc_shared_memory_add_int64 (segment, offset, 1, &number, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  memory_test_fails (ipc_shared_memory_read_double (segment, offset, &real, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  memory_test_fails (ipc_shared_memory_write_double (segment, offset, 1, &error), &error, IPC_ERROR_OUT_OF_BOUNDS);
  /* Only success sets them. */
  g_assert_cmpint (number, ==, 5);
  g_assert_cmpfloat (real, ==, 5);
}

static void
test_bounds (IpcTest *test)
{
  const struct
  {
    gsize offset;
    gsize length;
  } bad[] = {
    { SIZE, 1 },
    { SIZE - 1, 2 },
    { SIZE + 1, 0 },
    { 0, SIZE + 1 },
    { 1, G_MAXSIZE },
    { G_MAXSIZE, 1 },
    { G_MAXSIZE - 1, 2 },
    { G_MAXSIZE, G_MAXSIZE },
    { 0, G_MAXSIZE },
    { G_MAXSIZE - 4095, 4096 },
  };
  g_auto(Fixture) fixture = { 0 };

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_out_of_bounds (fixture.segment, bad[i].offset, bad[i].length);
  for (gsize offset = SIZE - 7; offset <= SIZE + 1; offset++)
    assert_no_number (fixture.segment, offset);
  assert_no_number (fixture.segment, G_MAXSIZE);
  assert_no_number (fixture.segment, G_MAXSIZE - 7);
  memory_test_assert_value (fixture.segment, 0, 3, SIZE);
}

/* ── What is not allowed ── */

static void
test_read_only (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemory) segment = NULL;
  g_autoptr(GBytes) bytes = g_bytes_new_static ("x", 1);
  g_autoptr(GError) error = NULL;
  const int code = IPC_ERROR_PERMISSION_DENIED;

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  segment = open_for (&fixture, IPC_ACCESS_READ);
  memory_test_assert_value (segment, 0, 3, SIZE);
  memory_test_fails (ipc_shared_memory_write (segment, 0, bytes, &error), &error, code);
  memory_test_fails (ipc_shared_memory_write_data (segment, 0, "x", 1, &error), &error, code);
  memory_test_fails (ipc_shared_memory_write_int64 (segment, 0, 1, &error), &error, code);
  memory_test_fails (ipc_shared_memory_add_int64 (segment, 0, 1, NULL, &error), &error, code);
  memory_test_fails (ipc_shared_memory_write_double (segment, 0, 1, &error), &error, code);
  memory_test_fails (ipc_shared_memory_notify_changed (segment, &error), &error, code);
  memory_test_fails (ipc_shared_memory_mark_consistent (segment, &error), &error, code);
  memory_test_fails (ipc_shared_memory_resize (segment, 2 * SIZE, &error), &error, code);
  memory_test_fails (ipc_shared_memory_seal (segment, &error), &error, code);
  g_assert_nonnull (ipc_shared_memory_peek (segment, NULL));
  /* Others may keep others out, also if they only read. */
  g_assert_true (ipc_shared_memory_lock (segment, 0, NULL, &error));
  g_assert_true (ipc_shared_memory_unlock (segment, &error));
  g_assert_no_error (error);
  memory_test_assert_value (fixture.segment, 0, 3, SIZE);
  g_assert_false (ipc_shared_memory_get_is_sealed (fixture.segment));
}

static void
test_write_only (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemory) segment = NULL;
  g_autoptr(GError) error = NULL;
  const int code = IPC_ERROR_PERMISSION_DENIED;
  gint64 number;
  guint8 byte;

  fixture_init (&fixture, test);
  segment = open_for (&fixture, IPC_ACCESS_WRITE);
  memory_test_write_value (segment, 0, 3, SIZE);
  memory_test_fails (ipc_shared_memory_read (segment, 0, 1, &error) != NULL, &error, code);
  memory_test_fails (ipc_shared_memory_read_into (segment, 0, &byte, 1, &error), &error, code);
  memory_test_fails (ipc_shared_memory_get_bytes (segment, 0, 1, &error) != NULL, &error, code);
  memory_test_fails (ipc_shared_memory_read_int64 (segment, 0, &number, &error), &error, code);
  memory_test_fails (ipc_shared_memory_add_int64 (segment, 0, 1, &number, &error), &error, code);
  memory_test_assert_value (fixture.segment, 0, 3, SIZE);
}

/* One with a name is sealed for all that use the library. */
static void
test_sealed (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemoryManager) other = NULL;
  g_autoptr(IpcSharedMemory) same = NULL;
  g_autoptr(GError) error = NULL;
  const int code = IPC_ERROR_PERMISSION_DENIED;

  fixture_init (&fixture, test);
  other = memory_test_manager_new (test->directory);
  same = memory_test_open (other, "x");
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  g_assert_true (ipc_shared_memory_seal (same, &error));
  g_assert_true (ipc_shared_memory_seal (fixture.segment, &error));
  g_assert_no_error (error);
  g_assert_true (ipc_shared_memory_get_is_sealed (fixture.segment));
  memory_test_fails (ipc_shared_memory_write_data (fixture.segment, 0, "x", 1, &error), &error, code);
  memory_test_fails (ipc_shared_memory_add_int64 (fixture.segment, 0, 1, NULL, &error), &error, code);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, 2 * SIZE, &error), &error, code);
  memory_test_assert_value (same, 0, 3, SIZE);
  g_assert_cmpuint (ipc_shared_memory_get_size (same), ==, SIZE);
}

/* ── Numbers ── */

static void
test_numbers (IpcTest *test)
{
  const gint64 numbers[] = { 0, 1, -1, G_MAXINT64, G_MININT64, 0x0102030405060708 };
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  gint64 number;
  gdouble real;

  fixture_init (&fixture, test);
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++)
    for (gsize offset = 0; offset < 9; offset++)
      {
        g_assert_true (ipc_shared_memory_write_int64 (fixture.segment, offset, numbers[i], &error));
        g_assert_true (ipc_shared_memory_read_int64 (fixture.segment, offset, &number, &error));
        g_assert_cmpint (number, ==, numbers[i]);
      }
  g_assert_true (ipc_shared_memory_read_into (fixture.segment, 8, &number, sizeof number, &error));
  g_assert_cmpint (number, ==, numbers[G_N_ELEMENTS (numbers) - 1]);
  g_assert_true (ipc_shared_memory_write_double (fixture.segment, SIZE - 8, -0.1, &error));
  g_assert_true (ipc_shared_memory_read_double (fixture.segment, SIZE - 8, &real, &error));
  g_assert_no_error (error);
  g_assert_cmpfloat (real, ==, -0.1);
}

static void
test_add (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  gint64 sum;

  fixture_init (&fixture, test);
  g_assert_true (ipc_shared_memory_add_int64 (fixture.segment, 3, 40, &sum, &error));
  g_assert_cmpint (sum, ==, 40);
  g_assert_true (ipc_shared_memory_add_int64 (fixture.segment, 3, -42, &sum, &error));
  g_assert_cmpint (sum, ==, -2);
  g_assert_true (ipc_shared_memory_add_int64 (fixture.segment, 3, 0, NULL, &error));
  g_assert_true (ipc_shared_memory_write_int64 (fixture.segment, 3, G_MAXINT64, &error));
  g_assert_true (ipc_shared_memory_add_int64 (fixture.segment, 3, 1, &sum, &error));
  g_assert_cmpint (sum, ==, G_MININT64);
  g_assert_true (ipc_shared_memory_read_int64 (fixture.segment, 3, &sum, &error));
  g_assert_no_error (error);
  g_assert_cmpint (sum, ==, G_MININT64);
  memory_test_assert_value (fixture.segment, 11, 0, 100);
}

/* ── Views ── */

static void
test_views (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  IpcSharedMemory *segment = memory_test_create (manager, "x", SIZE);
  g_autoptr(GBytes) view = NULL;
  g_autoptr(GError) error = NULL;
  const guint8 *bytes;
  gsize size;

  view = ipc_shared_memory_get_bytes (segment, 100, SIZE - 100, &error);
  g_assert_no_error (error);
  bytes = g_bytes_get_data (view, &size);
  g_assert_cmpuint (size, ==, SIZE - 100);
  memory_test_write_value (segment, 100, 4, 10);
  g_assert_cmpuint (bytes[0], ==, 4);
  g_assert_cmpuint (bytes[10], ==, 0);
  g_assert_true (ipc_shared_memory_resize (segment, 100 * SIZE, &error));
  memory_test_write_value (segment, 100, 5, 10);
  g_assert_cmpuint (bytes[0], ==, 5);
  /* It outlives its segment, also in the folder. */
  g_assert_true (ipc_shared_memory_manager_delete_segment (manager, "x", &error));
  ipc_test_assert_finalized (segment);
  g_assert_cmpuint (bytes[9], ==, 5);
  g_assert_cmpuint (bytes[SIZE - 101], ==, 0);
}

static void
test_peek (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  guint8 *bytes, *larger;
  gsize size;

  fixture_init (&fixture, test);
  bytes = ipc_shared_memory_peek (fixture.segment, &size);
  g_assert_cmpuint (size, ==, SIZE);
  bytes[0] = 9;
  memory_test_assert_value (fixture.segment, 0, 9, 1);
  g_assert_true (ipc_shared_memory_resize (fixture.segment, 50 * SIZE, &error));
  larger = ipc_shared_memory_peek (fixture.segment, &size);
  g_assert_cmpuint (size, ==, 50 * SIZE);
  memory_test_write_value (fixture.segment, 0, 8, 1);
  g_assert_cmpuint (bytes[0], ==, 8);
  g_assert_cmpuint (larger[0], ==, 8);
  g_assert_cmpuint (larger[50 * SIZE - 1], ==, 0);
}

/* ── Growing ── */

static void
test_resize (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemoryManager) other = NULL;
  g_autoptr(IpcSharedMemory) same = NULL;
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  other = memory_test_manager_new (test->directory);
  same = memory_test_open (other, "x");
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  for (gsize size = SIZE + 1; size < 100 * SIZE; size = size * 3 / 2)
    {
      gsize before = ipc_shared_memory_get_size (same);

      g_assert_true (ipc_shared_memory_resize (fixture.segment, size, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (ipc_shared_memory_get_size (same), ==, size);
      memory_test_assert_value (same, before, 0, size - before);
      memory_test_write_value (same, before, 3, size - before);
      memory_test_assert_value (fixture.segment, 0, 3, size);
    }
}

static void
test_resize_errors (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, SIZE - 1, &error), &error, IPC_ERROR_INVALID_ARGUMENT);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, 0, &error), &error, IPC_ERROR_INVALID_ARGUMENT);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, G_MAXSIZE, &error), &error, IPC_ERROR_TOO_LARGE);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, G_MAXSIZE - 4095, &error), &error, IPC_ERROR_TOO_LARGE);
  ipc_shared_memory_manager_set_max_segment_size (fixture.manager, 2 * SIZE);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, 2 * SIZE + 1, &error), &error, IPC_ERROR_LIMIT_EXCEEDED);
  g_assert_cmpuint (ipc_shared_memory_get_size (fixture.segment), ==, SIZE);
  memory_test_assert_value (fixture.segment, 0, 3, SIZE);
  g_assert_true (ipc_shared_memory_resize (fixture.segment, 2 * SIZE, &error));
  g_assert_true (ipc_shared_memory_resize (fixture.segment, 2 * SIZE, &error));
}

/* ── Arguments that only a program with a fault in it passes ── */

static void
test_nothing (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  guint8 byte;

  fixture_init (&fixture, test);
  g_test_expect_message ("ipc-glib", G_LOG_LEVEL_CRITICAL, "*");
  g_assert_false (ipc_shared_memory_read_into (NULL, 0, &byte, 1, NULL));
  g_test_expect_message ("ipc-glib", G_LOG_LEVEL_CRITICAL, "*");
  g_assert_false (ipc_shared_memory_read_into ((gpointer) fixture.manager, 0, &byte, 1, NULL));
  g_test_expect_message ("ipc-glib", G_LOG_LEVEL_CRITICAL, "*");
  g_assert_false (ipc_shared_memory_write_data (fixture.segment, 0, NULL, 1, NULL));
  g_test_expect_message ("ipc-glib", G_LOG_LEVEL_CRITICAL, "*");
  g_assert_false (ipc_shared_memory_read_int64 (fixture.segment, 0, NULL, NULL));
  g_test_assert_expected_messages ();
}

int
main (int argc, char *argv[])
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/memory/segment/new", test_new);
  ipc_test_add ("/memory/segment/properties", test_properties);
  ipc_test_add ("/memory/segment/read-and-write", test_read_and_write);
  ipc_test_add ("/memory/segment/copy", test_copy);
  ipc_test_add ("/memory/segment/access-count", test_access_count);
  ipc_test_add ("/memory/segment/bounds", test_bounds);
  ipc_test_add ("/memory/segment/read-only", test_read_only);
  ipc_test_add ("/memory/segment/write-only", test_write_only);
  ipc_test_add ("/memory/segment/sealed", test_sealed);
  ipc_test_add ("/memory/segment/numbers", test_numbers);
  ipc_test_add ("/memory/segment/add", test_add);
  ipc_test_add ("/memory/segment/views", test_views);
  ipc_test_add ("/memory/segment/peek", test_peek);
  ipc_test_add ("/memory/segment/resize", test_resize);
  ipc_test_add ("/memory/segment/resize-errors", test_resize_errors);
  ipc_test_add ("/memory/segment/nothing", test_nothing);
  return ipc_test_run ();
}
