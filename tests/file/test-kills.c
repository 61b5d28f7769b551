/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A process that is killed before and after each of its system calls, in all that it can do with a mapped file. Whenever that is: whoever
 * has the file mapped, and whoever maps it next, finds what was there before or what was to be there, never some of both; what was
 * written without a transaction is there; and the next transaction works.
 *
 * Where there are many of them, some are chosen at random: of each operation a quarter of $IPC_TEST_KILLS.
 */
#include "file-crash.h"
#include "ipc-test-step.h"

#include <stdlib.h>

#define KILLS 6

static void
ready_cb (gpointer data)
{
  const FileCrashOperation *operation = data;

  if (operation->ready != NULL)
    operation->ready ();
}

static void
walk_cb (gpointer data)
{
  const FileCrashOperation *operation = data;

  g_assert_true (operation->walk (NULL));
}

typedef struct
{
  IpcMappedFileManager *manager;
  IpcMappedFile *file;
} Watcher;

static void
watch (Watcher *self)
{
  self->manager = file_test_manager_new (file_crash.directory);
  self->file = file_test_map (self->manager, file_crash.path, 0);
}

static void
end_watch (Watcher *self)
{
  g_autoptr(GError) error = NULL;

  ipc_mapped_file_unmap (self->file, &error);
  g_assert_no_error (error);
  g_object_unref (self->file);
  g_object_unref (self->manager);
}

/* It is killed at the begin or end number STOP_AT. TRUE: it had come to its end. */
static gboolean
run_once (const FileCrashOperation *operation, guint stop_at, gboolean is_watched, guint n_found[2])
{
  Watcher watcher;
  gboolean ended;
  guint8 seen = 0, found;
  pid_t pid;

  if (operation->prepare != NULL)
    operation->prepare ();
  pid = ipc_test_step_start (ready_cb, walk_cb, (gpointer) operation);
  file_crash.gap += operation->writes_gap ? 1 : 0;
  if (is_watched)
    watch (&watcher);
  ended = ipc_test_step_calls (pid, stop_at, NULL, NULL);
  ipc_test_step_kill (pid);
  if (is_watched)
    seen = file_crash_check (watcher.file);
  found = file_crash_check_next (operation);
  if (is_watched)
    {
      g_assert_cmpuint (seen, ==, found);
      end_watch (&watcher);
    }
  if (operation->is_there || (ended && operation->is_commit))
    g_assert_cmpuint (found, ==, FILE_CRASH_NEW);
  n_found[found]++;
  return ended;
}

static guint
count_stops (const FileCrashOperation *operation)
{
  guint n = 1;
  pid_t pid;

  if (operation->prepare != NULL)
    operation->prepare ();
  pid = ipc_test_step_start (ready_cb, walk_cb, (gpointer) operation);
  file_crash.gap += operation->writes_gap ? 1 : 0;
  while (!ipc_test_step_calls (pid, 1, NULL, NULL))
    n++;
  ipc_test_step_kill (pid);
  file_crash_check_next (operation);
  return n;
}

static guint
get_stride (guint n_stops)
{
  const char *wanted = g_getenv ("IPC_TEST_KILLS");

  return MAX (n_stops / (wanted != NULL ? MAX (atoi (wanted) / 4, 1) : KILLS), 1);
}

static void
test_operation (IpcTest *test)
{
  const FileCrashOperation *operation = test->data;
  guint n_found[2] = { 0, 0 }, stride, stop_at;
  GRand *rand = ipc_test_rand_new ();

  ipc_test_set_deadline (120);
  file_crash_start (test);
  stride = get_stride (count_stops (operation));
  stop_at = 1 + (guint) g_rand_int_range (rand, 0, (gint32) stride);
  while (!run_once (operation, stop_at, !operation->is_alone && g_rand_boolean (rand), n_found))
    stop_at += stride;
  file_crash_end ();
  g_rand_free (rand);
  g_test_message ("%u were killed before it was there, %u after that", n_found[FILE_CRASH_OLD], n_found[FILE_CRASH_NEW]);
  g_assert_true (n_found[FILE_CRASH_OLD] > 0 || operation->is_there);
  g_assert_true (n_found[FILE_CRASH_NEW] > 0 || (!operation->is_there && !operation->is_commit));
}

int
main (int argc, char **argv)
{
  file_crash_use_memory ();
  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; file_crash_operations[i].name != NULL; i++)
    {
      g_autofree char *path = g_strdup_printf ("/file/kills/%s", file_crash_operations[i].name);

      ipc_test_add_data (path, &file_crash_operations[i], test_operation);
    }
  return ipc_test_run ();
}
