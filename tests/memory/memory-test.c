/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "memory-test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

IpcSharedMemoryManager *
memory_test_manager_new (const char *directory)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(IpcScope) scope = ipc_scope_new_for_directory (directory, &error);

  g_assert_no_error (error);
  return ipc_shared_memory_manager_new (scope);
}

IpcSharedMemory *
memory_test_create (IpcSharedMemoryManager *manager, const char *name, gsize size)
{
  g_autoptr(GError) error = NULL;
  IpcSharedMemory *segment = ipc_shared_memory_manager_create_segment (manager, name, size, 0, &error);

  g_assert_no_error (error);
  g_assert_nonnull (segment);
  return segment;
}

IpcSharedMemory *
memory_test_open (IpcSharedMemoryManager *manager, const char *name)
{
  g_autoptr(GError) error = NULL;
  IpcSharedMemory *segment = ipc_shared_memory_manager_open_segment (manager, name, 0, &error);

  g_assert_no_error (error);
  g_assert_nonnull (segment);
  return segment;
}

char *
memory_test_path (IpcTest *test, const char *name)
{
  return g_build_filename (test->directory, "memory", name, NULL);
}

void
memory_test_assert_fails (gboolean result, GError **error, GQuark domain, int code)
{
  g_assert_false (result);
  g_assert_error (*error, domain, code);
  g_clear_error (error);
}

void
memory_test_write_value (IpcSharedMemory *segment, gsize offset, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (size);

  memset (bytes, value, size);
  ipc_shared_memory_write_data (segment, offset, bytes, size, &error);
  g_assert_no_error (error);
}

void
memory_test_assert_value (IpcSharedMemory *segment, gsize offset, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = ipc_shared_memory_read (segment, offset, size, &error);
  const guint8 *data;

  g_assert_no_error (error);
  g_assert_cmpuint (g_bytes_get_size (bytes), ==, size);
  data = g_bytes_get_data (bytes, NULL);
  for (gsize i = 0; i < size; i++)
    g_assert_cmpuint (data[i], ==, value);
}

void
memory_test_fill (gpointer block, gsize size, guint64 seed)
{
  guint64 *words = block;

  for (gsize i = 0; i < size / sizeof *words; i++)
    words[i] = seed * (2 * i + 1);
}

gboolean
memory_test_is_whole (gconstpointer block, gsize size)
{
  const guint64 *words = block;

  for (gsize i = 1; i < size / sizeof *words; i++)
    if (words[i] != words[0] * (2 * i + 1))
      return FALSE;
  return TRUE;
}

/* ── The other process ── */

typedef struct
{
  IpcSharedMemoryManager *manager; /* (owned) */
  IpcSharedMemory *segment;        /* (owned) */
  const char *name;
  gint timeout;
  gsize size;
  GThread *waiting;                /* (owned) (nullable) */
} Peer;

/* ERROR is set by what says DONE. */
static void
answer (gboolean done, GError **error, const char *text)
{
  if (done)
    ipc_test_tell ("%s", text);
  else
    ipc_test_tell ("error %d", (*error)->code);
}

static gpointer
lock_thread (gpointer data)
{
  Peer *self = data;
  g_autoptr(GError) error = NULL;

  answer (ipc_shared_memory_lock (self->segment, self->timeout, NULL, &error), &error, "got");
  return NULL;
}

static void
join (Peer *self)
{
  g_clear_pointer (&self->waiting, g_thread_join);
}

static void
start_lock (Peer *self, gint timeout)
{
  join (self);
  self->timeout = timeout;
  self->waiting = g_thread_new ("lock", lock_thread, self);
}

static void
try_lock (Peer *self)
{
  g_autoptr(GError) error = NULL;
  gboolean got = ipc_shared_memory_try_lock (self->segment, &error);

  answer (error == NULL, &error, got ? "got" : "none");
}

static void
write_value (Peer *self, gsize offset, guint8 value, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (size);

  memset (bytes, value, size);
  answer (ipc_shared_memory_write_data (self->segment, offset, bytes, size, &error), &error, "written");
}

static void
read_value (Peer *self, gsize offset, gsize size)
{
  g_autoptr(GError) error = NULL;
  g_autofree guint8 *bytes = g_malloc (size);
  g_autofree char *text = NULL;
  gboolean done = ipc_shared_memory_read_into (self->segment, offset, bytes, size, &error);

  text = done ? g_strdup_printf ("%u", bytes[0]) : NULL;
  for (gsize i = 1; done && i < size; i++)
    if (bytes[i] != bytes[0])
      {
        g_free (text);
        text = g_strdup ("mixed");
        break;
      }
  answer (done, &error, text);
}

static void
add (Peer *self, gsize offset, gint64 summand)
{
  g_autoptr(GError) error = NULL;
  gint64 sum = 0;
  gboolean done = ipc_shared_memory_add_int64 (self->segment, offset, summand, &sum, &error);
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, sum);

  answer (done, &error, text);
}

static void
notify (Peer *self, guint n)
{
  g_autoptr(GError) error = NULL;
  gboolean done = TRUE;

  for (guint i = 0; i < n && done; i++)
    done = ipc_shared_memory_notify_changed (self->segment, &error);
  answer (done, &error, "notified");
}

static G_NORETURN void
storm (Peer *self, gsize size)
{
  guint64 *block = g_malloc (size);
  guint64 seed = (guint64) getpid ();

  ipc_test_tell ("storming");
  for (;;)
    {
      memory_test_fill (block, size, ++seed);
      if (!ipc_shared_memory_write_data (self->segment, 0, block, size, NULL))
        _exit (1);
    }
}

/* ── In the middle of a write ── */

static gpointer withheld;       /* what cannot be read yet */
static gsize withheld_size;

static void
stop_and_give (int number)
{
  kill (getpid (), SIGSTOP);
  if (mprotect (withheld, withheld_size, PROT_READ) != 0)
    _exit (1);
}

/* The second half of what is written is only there when it has been stopped. */
static void
stop_in_write (Peer *self, gsize size)
{
  const struct sigaction action = { .sa_handler = stop_and_give };
  g_autoptr(GError) error = NULL;
  guint8 *bytes = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  g_assert_true (bytes != MAP_FAILED);
  memset (bytes, 1, size);
  withheld = bytes + size / 2;
  withheld_size = size - size / 2;
  g_assert_no_errno (sigaction (SIGSEGV, &action, NULL));
  g_assert_no_errno (mprotect (withheld, withheld_size, PROT_NONE));
  answer (ipc_shared_memory_write_data (self->segment, 0, bytes, size, &error), &error, "written");
  munmap (bytes, size);
}

/* With the lock it makes two writes that belong together. */
static G_NORETURN void
locking_storm (Peer *self)
{
  ipc_test_tell ("storming");
  for (gint64 i = 1;; i++)
    {
      g_autoptr(GError) error = NULL;

      if (!ipc_shared_memory_lock (self->segment, -1, NULL, &error) && !g_error_matches (error, IPC_ERROR, IPC_ERROR_OWNER_DIED))
        _exit (1);
      ipc_shared_memory_write_int64 (self->segment, 0, i, NULL);
      ipc_shared_memory_write_int64 (self->segment, 64, i, NULL);
      if (error != NULL)
        ipc_shared_memory_mark_consistent (self->segment, NULL);
      ipc_shared_memory_unlock (self->segment, NULL);
    }
}

/* ── A child of the other process ── */

static void
is_forked (gboolean result, GError **error)
{
  if (result || !g_error_matches (*error, IPC_ERROR, IPC_ERROR_FORKED))
    g_error ("%s", *error != NULL ? (*error)->message : "no error in a forked child");
  g_clear_error (error);
}

static void
check_reads_and_writes (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = g_bytes_new_static ("x", 1);
  gdouble real;
  gint64 number;
  guint8 byte;

  is_forked (ipc_shared_memory_read (segment, 0, 1, &error) != NULL, &error);
  is_forked (ipc_shared_memory_read_into (segment, 0, &byte, 1, &error), &error);
  is_forked (ipc_shared_memory_get_bytes (segment, 0, 1, &error) != NULL, &error);
  is_forked (ipc_shared_memory_write (segment, 0, bytes, &error), &error);
  is_forked (ipc_shared_memory_write_data (segment, 0, "x", 1, &error), &error);
  is_forked (ipc_shared_memory_read_int64 (segment, 0, &number, &error), &error);
  is_forked (ipc_shared_memory_write_int64 (segment, 0, 1, &error), &error);
  is_forked (ipc_shared_memory_add_int64 (segment, 0, 1, NULL, &error), &error);
  is_forked (ipc_shared_memory_read_double (segment, 0, &real, &error), &error);
  is_forked (ipc_shared_memory_write_double (segment, 0, 1, &error), &error);
  g_assert_null (ipc_shared_memory_peek (segment, NULL));
}

static void
check_the_rest (IpcSharedMemory *segment)
{
  g_autoptr(GError) error = NULL;

  is_forked (ipc_shared_memory_lock (segment, -1, NULL, &error), &error);
  is_forked (ipc_shared_memory_try_lock (segment, &error), &error);
  is_forked (ipc_shared_memory_unlock (segment, &error), &error);
  is_forked (ipc_shared_memory_mark_consistent (segment, &error), &error);
  is_forked (ipc_shared_memory_notify_changed (segment, &error), &error);
  is_forked (ipc_shared_memory_resize (segment, 1 << 20, &error), &error);
  is_forked (ipc_shared_memory_seal (segment, &error), &error);
  is_forked (ipc_shared_memory_dup_fd (segment, &error) >= 0, &error);
  g_assert_cmpuint (ipc_shared_memory_get_n_attached (segment), ==, 0);
}

static void
check_manager (Peer *self)
{
  g_autoptr(GError) error = NULL;

  is_forked (ipc_shared_memory_manager_create_segment (self->manager, "child", 1, 0, &error) != NULL, &error);
  is_forked (ipc_shared_memory_manager_open_segment (self->manager, self->name, 0, &error) != NULL, &error);
  is_forked (ipc_shared_memory_manager_delete_segment (self->manager, self->name, &error), &error);
}

/* It asks everything of what its parent has, drops it, and lives on. */
static G_NORETURN void
play_child (Peer *self)
{
  check_reads_and_writes (self->segment);
  check_the_rest (self->segment);
  check_manager (self);
  g_object_unref (self->segment);
  g_object_unref (self->manager);
  ipc_test_tell ("forked");
  alarm (25);
  for (;;)
    pause ();
}

static void
fork_and_check (Peer *self)
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    play_child (self);
}

/* ── What it is told ── */

static gint64
number (char **words, guint i)
{
  g_assert_cmpuint (i, <, g_strv_length (words));
  return g_ascii_strtoll (words[i], NULL, 10);
}

static gboolean
obey_bytes (Peer *self, char **words)
{
  g_autoptr(GError) error = NULL;

  if (g_str_equal (words[0], "write"))
    write_value (self, (gsize) number (words, 1), (guint8) number (words, 2), (gsize) number (words, 3));
  else if (g_str_equal (words[0], "read"))
    read_value (self, (gsize) number (words, 1), (gsize) number (words, 2));
  else if (g_str_equal (words[0], "add"))
    add (self, (gsize) number (words, 1), number (words, 2));
  else if (g_str_equal (words[0], "resize"))
    answer (ipc_shared_memory_resize (self->segment, (gsize) number (words, 1), &error), &error, "resized");
  else if (g_str_equal (words[0], "size"))
    ipc_test_tell ("%" G_GSIZE_FORMAT, ipc_shared_memory_get_size (self->segment));
  else if (g_str_equal (words[0], "notify"))
    notify (self, (guint) number (words, 1));
  else if (g_str_equal (words[0], "stop-in-write"))
    stop_in_write (self, (gsize) number (words, 1));
  else if (g_str_equal (words[0], "storm"))
    storm (self, (gsize) number (words, 1));
  else
    return FALSE;
  return TRUE;
}

static void
obey (Peer *self, char **words)
{
  g_autoptr(GError) error = NULL;

  if (g_str_equal (words[0], "lock"))
    start_lock (self, (gint) number (words, 1));
  else if (g_str_equal (words[0], "try"))
    try_lock (self);
  else if (g_str_equal (words[0], "unlock"))
    answer (ipc_shared_memory_unlock (self->segment, &error), &error, "unlocked");
  else if (g_str_equal (words[0], "consistent"))
    answer (ipc_shared_memory_mark_consistent (self->segment, &error), &error, "marked");
  else if (g_str_equal (words[0], "locking-storm"))
    locking_storm (self);
  else if (g_str_equal (words[0], "fork"))
    fork_and_check (self);
  else if (g_str_equal (words[0], "delete"))
    answer (ipc_shared_memory_manager_delete_segment (self->manager, self->name, &error), &error, "deleted");
  else if (!obey_bytes (self, words))
    g_error ("what is \"%s\"?", words[0]);
}

int
memory_test_role (char **arguments)
{
  Peer self = { .manager = memory_test_manager_new (arguments[0]), .name = arguments[1] };

  self.segment = memory_test_open (self.manager, self.name);
  ipc_test_tell ("ready");
  for (;;)
    {
      g_autofree char *line = ipc_test_hear ();
      g_auto(GStrv) words = NULL;

      if (line == NULL || g_str_equal (line, "quit"))
        break;
      words = g_strsplit (line, " ", -1);
      obey (&self, words);
    }
  join (&self);
  g_object_unref (self.segment);
  g_object_unref (self.manager);
  return 0;
}

IpcTestPeer *
memory_test_spawn (const char *directory, const char *name)
{
  const char *const arguments[] = { directory, name, NULL };
  IpcTestPeer *peer = ipc_test_peer_spawn ("memory-peer", arguments);

  ipc_test_peer_expect (peer, "ready");
  return peer;
}

void
memory_test_command (IpcTestPeer *peer, const char *command, const char *expected)
{
  ipc_test_peer_write_line (peer, command);
  if (expected != NULL)
    ipc_test_peer_expect (peer, expected);
}

static gboolean
is_stopped (IpcTestPeer *peer)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", (int) ipc_test_peer_get_pid (peer));
  g_autofree char *status = NULL;

  /* The state stands behind the name, which is in brackets. */
  return g_file_get_contents (path, &status, NULL, NULL) && g_str_has_prefix (strrchr (status, ')'), ") T");
}

void
memory_test_wait_stopped (IpcTestPeer *peer)
{
  ipc_test_wait_for (is_stopped (peer));
}
