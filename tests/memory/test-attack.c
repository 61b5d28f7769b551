/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another process of the same user does to the file of a segment what it likes: it cuts it off, and writes anything over what is not
 * the bytes. Whoever uses the library gets errors then, or nonsense; nobody is killed, and nothing outside of the map is touched.
 */
#include "memory-test.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/ipc-section.h"
#include "memory/ipc-shared-memory-private.h"

#define SIZE 200000u

typedef struct
{
  IpcSharedMemoryManager *manager; /* (owned) */
  IpcSharedMemory *segment;        /* (owned) */
  char *path;                      /* (owned) */
  gsize head;
} Fixture;

static void
fixture_init (Fixture *self, IpcTest *test)
{
  self->manager = memory_test_manager_new (test->directory);
  self->segment = memory_test_create (self->manager, "x", SIZE);
  self->path = memory_test_path (test, "x");
  self->head = ipc_shared_memory_get_fd_offset (self->segment);
}

static void
fixture_clear (Fixture *self)
{
  ipc_test_assert_finalized (self->segment);
  ipc_test_assert_finalized (self->manager);
  g_free (self->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Fixture, fixture_clear)

/* ── Cut off ── */

static void
test_cut_bytes (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GBytes) view = NULL;
  g_autoptr(GError) error = NULL;
  const guint8 *bytes;

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  view = ipc_shared_memory_get_bytes (fixture.segment, 0, SIZE, &error);
  bytes = g_bytes_get_data (view, NULL);
  g_assert_no_errno (truncate (fixture.path, (off_t) fixture.head + 4096));
  /* What is there is there. */
  memory_test_assert_value (fixture.segment, 0, 3, 4096);
  memory_test_fails (ipc_shared_memory_read (fixture.segment, 0, SIZE, &error) != NULL, &error, IPC_ERROR_CORRUPT);
  memory_test_fails (ipc_shared_memory_write_data (fixture.segment, 0, "x", 1, &error), &error, IPC_ERROR_CORRUPT);
  memory_test_fails (ipc_shared_memory_add_int64 (fixture.segment, 0, 1, NULL, &error), &error, IPC_ERROR_CORRUPT);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, 2 * SIZE, &error), &error, IPC_ERROR_CORRUPT);
  memory_test_fails (ipc_shared_memory_seal (fixture.segment, &error), &error, IPC_ERROR_CORRUPT);
  g_assert_cmpuint (bytes[SIZE - 1], ==, 0);
  g_assert_cmpuint (bytes[4095], ==, 3);
}

/* Nobody has looked there since. */
static void
test_cut_before_growing (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  g_assert_no_errno (truncate (fixture.path, (off_t) fixture.head + 4096));
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, 2 * SIZE, &error), &error, IPC_ERROR_CORRUPT);
}

static void
test_cut_all (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(IpcSharedMemory) item = NULL;
  g_autoptr(GError) error = NULL;
  guint8 byte;

  fixture_init (&fixture, test);
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
  item = g_list_model_get_item (ipc_manager_get_items (IPC_MANAGER (fixture.manager)), 0);
  g_assert_no_errno (truncate (fixture.path, 0));
  /* There are no bytes any more, as far as it says. */
  g_assert_false (ipc_shared_memory_read_into (fixture.segment, 0, &byte, 1, &error));
  g_clear_error (&error);
  g_assert_false (ipc_shared_memory_write_data (fixture.segment, 0, "x", 1, &error));
  g_clear_error (&error);
  memory_test_fails (ipc_shared_memory_resize (fixture.segment, 2 * SIZE, &error), &error, IPC_ERROR_CORRUPT);
  memory_test_fails (ipc_shared_memory_lock (fixture.segment, -1, NULL, &error), &error, IPC_ERROR_CORRUPT);
  memory_test_fails (ipc_shared_memory_try_lock (fixture.segment, &error), &error, IPC_ERROR_CORRUPT);
  ipc_shared_memory_lock_async (fixture.segment, -1, NULL, ipc_test_async_cb, &async);
  memory_test_fails (ipc_shared_memory_lock_finish (fixture.segment, ipc_test_async_wait (&async), &error), &error, IPC_ERROR_CORRUPT);
  ipc_shared_memory_get_access_count (item);
  ipc_shared_memory_get_n_attached (item);
  ipc_shared_memory_manager_get_total_size (fixture.manager);
  ipc_shared_memory_mark_consistent (fixture.segment, NULL);
  ipc_shared_memory_notify_changed (fixture.segment, NULL);
  g_assert_nonnull (ipc_shared_memory_get_id (item));
}

/* ── All the time ── */

#define HEAD_OF_HEAD 8192       /* the header and where most of what matters begins */

static guint8 *
map_head (const char *path, gsize size)
{
  int fd = open (path, O_RDWR | O_CLOEXEC);
  guint8 *map = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

  g_assert_true (map != MAP_FAILED);
  close (fd);
  return map;
}

static int
play_cutter (char **arguments)
{
  off_t size = (off_t) g_ascii_strtoll (arguments[1], NULL, 10);
  struct stat status;

  if (stat (arguments[0], &status) != 0)
    return 1;
  ipc_test_tell ("ready");
  for (guint i = 0;; i++)
    {
      const off_t shorter[] = { 0, size, size + 4096, 4096, size - 4096 };

      if (truncate (arguments[0], shorter[i % G_N_ELEMENTS (shorter)]) != 0 || truncate (arguments[0], status.st_size) != 0)
        return 1;
    }
}

/* Everything but what says which file it is, so that it goes on being opened. */
static int
play_scribbler (char **arguments)
{
  gsize size = (gsize) g_ascii_strtoull (arguments[1], NULL, 10);
  guint8 *map = map_head (arguments[0], size);
  g_autoptr(GRand) rand = g_rand_new_with_seed ((guint32) g_ascii_strtoull (arguments[2], NULL, 10));

  ipc_test_tell ("ready");
  for (;;)
    {
      gsize at = (gsize) g_rand_int_range (rand, 4096, g_rand_boolean (rand) ? HEAD_OF_HEAD : (gint32) size);

      map[at] = (guint8) g_rand_int_range (rand, 0, g_rand_boolean (rand) ? 2 : 256);
    }
  return 0;
}

/* The length goes up and down between the moments at which it is looked at. */
static int
play_flipper (char **arguments)
{
  gsize at = (gsize) g_ascii_strtoull (arguments[1], NULL, 10);
  _Atomic guint64 *length = (_Atomic guint64 *) (map_head (arguments[0], at + 8) + at);

  ipc_test_tell ("ready");
  for (;;)
    {
      atomic_store (length, SIZE);
      atomic_store (length, (guint64) 4 * SIZE);
    }
  return 0;
}

/* Whoever looks finds that somebody has died just now, and left what is to be written. */
static int
play_dying_writer (char **arguments)
{
  gsize at = (gsize) g_ascii_strtoull (arguments[1], NULL, 10);
  _Atomic guint64 *control = (_Atomic guint64 *) (map_head (arguments[0], at + 64) + at);

  atomic_store (&control[1], 0);
  atomic_store (&control[2], 8);
  atomic_store (&control[3], 1);
  ipc_test_tell ("ready");
  for (;;)
    atomic_store (&control[0], 1);
  return 0;
}

/* Whatever comes of it. */
static void
use (IpcSharedMemory *segment, GRand *rand)
{
  static guint8 buffer[4 * SIZE];
  gsize offset = (gsize) g_rand_int_range (rand, 0, 4 * SIZE);
  gsize length = (gsize) g_rand_int_range (rand, 0, (gint32) (4 * SIZE - offset));
  gint64 number;

  ipc_shared_memory_read_into (segment, offset, buffer, length, NULL);
  ipc_shared_memory_write_data (segment, offset, buffer, length / 16, NULL);
  ipc_shared_memory_read_int64 (segment, offset, &number, NULL);
  ipc_shared_memory_add_int64 (segment, offset, 1, NULL, NULL);
  ipc_shared_memory_get_is_consistent (segment);
  ipc_shared_memory_get_last_accessed (segment);
  ipc_shared_memory_get_access_count (segment);
  ipc_shared_memory_get_n_attached (segment);
  ipc_shared_memory_notify_changed (segment, NULL);
  if (ipc_shared_memory_lock (segment, 0, NULL, NULL))
    ipc_shared_memory_mark_consistent (segment, NULL);
  ipc_shared_memory_unlock (segment, NULL);
}

static void
use_manager (IpcTest *test, Fixture *fixture)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) opened = ipc_shared_memory_manager_open_segment (manager, "x", 0, NULL);
  g_autoptr(GError) error = NULL;

  ipc_shared_memory_manager_get_total_size (manager);
  ipc_shared_memory_manager_get_average_segment_size (fixture->manager);
  ipc_shared_memory_manager_get_total_access_count (fixture->manager);
  if (opened != NULL)
    ipc_shared_memory_resize (opened, ipc_shared_memory_get_size (opened) + 4096, NULL);
}

static void
be_patient (IpcSharedMemory *segment)
{
  IpcSegment *attached = atomic_load (&segment->attached);

  /* Those who are thought to write never come to an end. */
  attached->section.patience = 100000;
}

static void
run_attack (IpcTest *test, const char *role, gsize where, guint n)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_autofree char *number = g_strdup_printf ("%" G_GSIZE_FORMAT, where);
  g_autofree char *seed = g_strdup_printf ("%u", g_rand_int (rand));
  g_autoptr(IpcTestPeer) peer = NULL;

  ipc_test_set_deadline (120);
  fixture_init (&fixture, test);
  peer = ipc_test_peer_spawn (role, (const char *const[]){ fixture.path, number, seed, NULL });
  ipc_test_peer_expect (peer, "ready");
  be_patient (fixture.segment);
  for (guint i = 0; i < n; i++)
    {
      use (fixture.segment, rand);
      if (i % 50 != 0)
        continue;
      use_manager (test, &fixture);
      ipc_test_iterate (2);
    }
  ipc_test_peer_kill (peer);
}

static gsize
get_head_size (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "head", 1);

  return ipc_shared_memory_get_fd_offset (segment);
}

static void
test_cut_all_the_time (IpcTest *test)
{
  run_attack (test, "cutter", get_head_size (test), 1000);
}

static void
test_scribbled_all_the_time (IpcTest *test)
{
  run_attack (test, "scribbler", get_head_size (test), 1000);
}

static gsize
find_length (IpcSharedMemory *segment)
{
  IpcSegment *attached = atomic_load (&segment->attached);
  const guint64 *words = (const guint64 *) attached->object.file.map;

  for (gsize i = 4096 / sizeof *words; i < attached->object.file.info.size / sizeof *words; i++)
    if (words[i] == SIZE)
      return i * sizeof *words;
  g_assert_not_reached ();
}

static void
test_length_flips (IpcTest *test)
{
  g_autoptr(IpcSharedMemoryManager) manager = memory_test_manager_new (test->directory);
  g_autoptr(IpcSharedMemory) segment = memory_test_create (manager, "head", SIZE);

  run_attack (test, "flipper", find_length (segment), 3000);
}

/* ── The length, looked at closely ── */

/* It says more than the file has. */
static void
test_length_too_large (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemoryManager) other = NULL;
  g_autoptr(GError) error = NULL;
  IpcSegment *segment;
  const guint64 lengths[] = { 4 * SIZE, (guint64) 1 << 46, ((guint64) 1 << 46) + 1, G_MAXUINT64, 0 };

  fixture_init (&fixture, test);
  other = memory_test_manager_new (test->directory);
  segment = atomic_load (&fixture.segment->attached);
  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      guint8 byte;

      ipc_section_set_length (&segment->section, lengths[i]);
      memory_test_fails (ipc_shared_memory_read_into (fixture.segment, SIZE, &byte, 1, &error), &error,
                         lengths[i] > SIZE ? IPC_ERROR_CORRUPT : IPC_ERROR_OUT_OF_BOUNDS);
      memory_test_fails (ipc_shared_memory_manager_open_segment (other, "x", 0, &error) != NULL, &error, IPC_ERROR_CORRUPT);
    }
  ipc_section_set_length (&segment->section, SIZE);
  memory_test_write_value (fixture.segment, 0, 3, SIZE);
}

/* It said more when the bounds were checked than when it is mapped. */
static void
test_length_between (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  IpcSegment *segment;
  IpcMap *map;

  fixture_init (&fixture, test);
  segment = atomic_load (&fixture.segment->attached);
  map = ipc_segment_get_map (segment, 4 * SIZE, &error);
  g_assert_null (map);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
}

/* What a dead writer is said to have written is not where it says. */
static void
test_bad_intention (IpcTest *test)
{
  const guint64 words[] = { 0, 1, 4096, SIZE - 1, SIZE, SIZE + 1, (guint64) 1 << 46, G_MAXUINT64 };
  g_auto(Fixture) fixture = { 0 };
  IpcSegment *segment;
  _Atomic guint64 *control;

  fixture_init (&fixture, test);
  segment = atomic_load (&fixture.segment->attached);
  control = (_Atomic guint64 *) segment->section.memory;
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    for (guint k = 0; k < G_N_ELEMENTS (words); k++)
      for (guint kind = 0; kind < 3; kind++)
        {
          guint8 byte;

          atomic_store (&control[0], atomic_load (&control[0]) | 1);
          atomic_store (&control[1], words[i]);
          atomic_store (&control[2], words[k]);
          atomic_store (&control[3], kind);
          ipc_shared_memory_write_data (fixture.segment, 0, "x", 1, NULL);
          ipc_shared_memory_read_into (fixture.segment, SIZE - 1, &byte, 1, NULL);
          g_assert_true (ipc_shared_memory_mark_consistent (fixture.segment, NULL));
          memory_test_write_value (fixture.segment, 0, 3, SIZE);
          memory_test_assert_value (fixture.segment, 0, 3, SIZE);
        }
}

/* It is to be settled again each time: after some, that is an error. */
static void
test_tries (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(GError) error = NULL;
  IpcSegment *segment;
  guint n_tries = 0;

  fixture_init (&fixture, test);
  segment = atomic_load (&fixture.segment->attached);
  for (guint i = 0; i < IPC_SHARED_MEMORY_MAX_TRIES; i++)
    {
      g_assert_true (ipc_shared_memory_resolve (fixture.segment, segment, IPC_SECTION_READ_ONLY, 0, 1, &n_tries, &error));
      g_assert_no_error (error);
    }
  memory_test_fails (ipc_shared_memory_resolve (fixture.segment, segment, IPC_SECTION_READ_ONLY, 0, 1, &n_tries, &error), &error,
                     IPC_ERROR_CORRUPT);
}

/* Whatever comes of it, it comes to an end. */
static void
test_dies_all_the_time (IpcTest *test)
{
  g_auto(Fixture) fixture = { 0 };
  g_autoptr(IpcSharedMemory) reader = NULL;
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autoptr(GError) error = NULL;
  g_autofree char *at = NULL;
  IpcSegment *segment;
  guint8 byte;

  fixture_init (&fixture, test);
  segment = atomic_load (&fixture.segment->attached);
  at = g_strdup_printf ("%" G_GSIZE_FORMAT, (gsize) (segment->section.memory - segment->object.file.map));
  reader = ipc_shared_memory_manager_open_segment (fixture.manager, "x", IPC_ACCESS_READ, &error);
  g_assert_no_error (error);
  peer = ipc_test_peer_spawn ("dying-writer", (const char *const[]){ fixture.path, at, NULL });
  ipc_test_peer_expect (peer, "ready");
  be_patient (reader);
  be_patient (fixture.segment);
  ipc_shared_memory_read_into (reader, 0, &byte, 1, NULL);
  ipc_shared_memory_read_into (fixture.segment, 0, &byte, 1, NULL);
  ipc_shared_memory_write_data (fixture.segment, 0, "x", 1, NULL);
  ipc_shared_memory_mark_consistent (fixture.segment, NULL);
  ipc_test_peer_kill (peer);
}

int
main (int argc, char *argv[])
{
  const IpcTestRole roles[] = { { "cutter", play_cutter }, { "scribbler", play_scribbler }, { "flipper", play_flipper },
                                { "dying-writer", play_dying_writer }, { NULL } };

  ipc_test_init (&argc, &argv, roles);
  ipc_test_add ("/memory/attack/cut/bytes", test_cut_bytes);
  ipc_test_add ("/memory/attack/cut/before-growing", test_cut_before_growing);
  ipc_test_add ("/memory/attack/cut/all", test_cut_all);
  ipc_test_add ("/memory/attack/cut/all-the-time", test_cut_all_the_time);
  ipc_test_add ("/memory/attack/scribbled/all-the-time", test_scribbled_all_the_time);
  ipc_test_add ("/memory/attack/length/flips", test_length_flips);
  ipc_test_add ("/memory/attack/length/too-large", test_length_too_large);
  ipc_test_add ("/memory/attack/length/between", test_length_between);
  ipc_test_add ("/memory/attack/bad-intention", test_bad_intention);
  ipc_test_add ("/memory/attack/tries", test_tries);
  ipc_test_add ("/memory/attack/dies-all-the-time", test_dies_all_the_time);
  return ipc_test_run ();
}
