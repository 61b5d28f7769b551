/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What changes a section other than by writing into it: adding to a number, growing, sealing; also by processes that are killed after
 * each of their instructions.
 */
#include "core/ipc-section-quick.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc-test-step.h"
#include "ipc-test.h"

#define LENGTH 4096u
#define MOST (16 * LENGTH)

typedef struct
{
  int directory_fd;
  int fd;                       /* of the bytes */
  IpcPresence *presence;
  guint8 *memory;
  IpcSectionData data;
  IpcSection section;
} Table;

static void
view_init (Table *table)
{
  IpcFault fault = { 0 };

  table->presence = ipc_presence_attach (table->directory_fd, &fault);
  if (table->presence == NULL)
    g_error ("%s", fault.message);
  ipc_section_init (&table->section, table->memory, table->presence);
}

static guint8 *
map (int fd, gsize size)
{
  guint8 *memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0);

  g_assert_true (memory != MAP_FAILED);
  return memory;
}

static void
table_init (Table *table, IpcTest *test)
{
  table->directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_no_errno (table->directory_fd);
  table->fd = memfd_create ("test", MFD_CLOEXEC);
  g_assert_no_errno (ftruncate (table->fd, LENGTH));
  table->memory = map (-1, ipc_section_get_size ());
  table->data = (IpcSectionData){ .bytes = map (table->fd, MOST), .length = LENGTH, .writable = true };
  view_init (table);
  ipc_section_set_length (&table->section, LENGTH);
}

static void
table_clear (Table *table)
{
  ipc_presence_detach (table->presence);
  munmap (table->memory, ipc_section_get_size ());
  munmap (table->data.bytes, MOST);
  close (table->directory_fd);
  close (table->fd);
}

static IpcSectionOutcome
add (Table *table, guint64 offset, gint64 summand, gint64 *sum)
{
  return ipc_section_add (&table->section, &table->data, offset, summand, sum);
}

/* ── Adding ── */

static void
test_add (IpcTest *test)
{
  IpcSectionStatistics statistics;
  gint64 sum = 77, read;
  Table table;

  table_init (&table, test);
  g_assert_cmpint (add (&table, 1, 5, &sum), ==, IPC_SECTION_DONE);
  g_assert_cmpint (sum, ==, 5);
  g_assert_cmpint (add (&table, 1, -7, &sum), ==, IPC_SECTION_DONE);
  g_assert_cmpint (sum, ==, -2);
  g_assert_cmpint (add (&table, LENGTH - 8, G_MAXINT64, &sum), ==, IPC_SECTION_DONE);
  g_assert_cmpint (add (&table, LENGTH - 8, 1, &sum), ==, IPC_SECTION_DONE);
  g_assert_cmpint (sum, ==, G_MININT64);
  g_assert_cmpint (ipc_section_read (&table.section, &table.data, 1, &read, sizeof read), ==, IPC_SECTION_DONE);
  g_assert_cmpint (read, ==, -2);
  ipc_section_count (&table.section, &statistics);
  g_assert_cmpuint (statistics.n_writes, ==, 4);
  table_clear (&table);
}

typedef struct
{
  Table *table;
  gint64 summand;
} Job;

static gpointer
add_thread (gpointer data)
{
  Job *job = data;

  for (guint i = 0; i < 20000; i++)
    {
      gint64 sum;

      g_assert_cmpint (add (job->table, 8, job->summand, &sum), ==, IPC_SECTION_DONE);
    }
  return NULL;
}

static void
test_add_in_threads (IpcTest *test)
{
  GThread *threads[4];
  Job jobs[4];
  gint64 sum;
  Table table;

  table_init (&table, test);
  for (guint i = 0; i < 4; i++)
    {
      jobs[i] = (Job){ &table, i + 1 };
      threads[i] = g_thread_new ("add", add_thread, &jobs[i]);
    }
  for (guint i = 0; i < 4; i++)
    g_thread_join (threads[i]);
  g_assert_cmpint (add (&table, 8, 0, &sum), ==, IPC_SECTION_DONE);
  g_assert_cmpint (sum, ==, 20000 * (1 + 2 + 3 + 4));
  table_clear (&table);
}

/* ── Sealed ── */

static void
test_sealed (IpcTest *test)
{
  guint8 byte = 5;
  gint64 sum = 77;
  Table table;

  table_init (&table, test);
  g_assert_cmpint (ipc_section_write (&table.section, &table.data, 0, &byte, 1), ==, IPC_SECTION_DONE);
  g_assert_cmpint (ipc_section_lock (&table.section, &table.data), ==, IPC_SECTION_DONE);
  ipc_section_set_sealed (&table.section, true);
  /* Who reads waits for nobody then, not even for who has the lock. */
  byte = 0;
  g_assert_cmpint (ipc_section_read (&table.section, &table.data, 0, &byte, 1), ==, IPC_SECTION_DONE);
  g_assert_cmpuint (byte, ==, 5);
  ipc_section_unlock (&table.section);
  g_assert_true (ipc_section_is_sealed (&table.section));
  g_assert_cmpint (ipc_section_write (&table.section, &table.data, 0, &byte, 1), ==, IPC_SECTION_SEALED);
  g_assert_cmpint (add (&table, 8, 1, &sum), ==, IPC_SECTION_SEALED);
  g_assert_cmpint (sum, ==, 77);
  ipc_section_set_sealed (&table.section, false);
  g_assert_cmpint (ipc_section_write (&table.section, &table.data, 0, &byte, 1), ==, IPC_SECTION_DONE);
  table_clear (&table);
}

/* ── Killed ── */

#ifdef IPC_TEST_CAN_STEP
static void
prepare_cb (gpointer data)
{
  view_init (data);
}

static void
add_cb (gpointer data)
{
  gint64 sum;

  if (add (data, 8, 1, &sum) != IPC_SECTION_DONE)
    _exit (2);
}

/* As segments do it. */
static void
grow_cb (gpointer data)
{
  Table *table = data;

  if (ipc_section_lock (&table->section, &table->data) != IPC_SECTION_DONE || posix_fallocate (table->fd, LENGTH, MOST - LENGTH) != 0)
    _exit (2);
  ipc_section_set_length (&table->section, MOST);
  ipc_section_stamp (&table->section);
  ipc_section_unlock (&table->section);
}

/* TRUE: it had come to the end. */
static gboolean
kill_after (Table *table, IpcTestStepFunc walk, guint n)
{
  pid_t pid = ipc_test_step_start (prepare_cb, walk, table);
  gboolean ended = ipc_test_step_on (pid, n);

  ipc_test_step_kill (pid);
  return ended;
}

/* It was added, or was not; never twice. */
static void
test_step_killed_add (IpcTest *test)
{
  guint n_added = 0, n = ipc_test_step_get_first ();
  gboolean ended;
  gint64 before = 0, sum;
  Table table;

  ipc_test_set_deadline (300);
  table_init (&table, test);
  do
    {
      ended = kill_after (&table, add_cb, n);
      g_assert_cmpint (add (&table, 8, 0, &sum), ==, IPC_SECTION_DONE);
      g_assert_true (sum == before || sum == before + 1);
      n_added += sum != before;
      before = sum;
      n += ipc_test_step_get_stride ();
      g_assert_cmpuint (n, <, 100000);
    }
  while (!ended);
  g_test_message ("killed after every %u. of %u instructions: %u had added", ipc_test_step_get_stride (), n, n_added);
  g_assert_cmpuint (n_added, >, 0);
  table_clear (&table);
}

/* It has grown, and has the bytes, or has not. */
static void
test_step_killed_grow (IpcTest *test)
{
  guint n_grown = 0, n = ipc_test_step_get_first ();
  gboolean ended;
  Table table;

  ipc_test_set_deadline (300);
  table_init (&table, test);
  do
    {
      struct stat status;

      ended = kill_after (&table, grow_cb, n);
      g_assert_cmpint (ipc_section_lock (&table.section, &table.data), ==, IPC_SECTION_DONE);
      g_assert_no_errno (fstat (table.fd, &status));
      g_assert_true (ipc_section_get_length (&table.section) == LENGTH || ipc_section_get_length (&table.section) == MOST);
      g_assert_cmpuint (ipc_section_get_length (&table.section), <=, (guint64) status.st_size);
      n_grown += ipc_section_get_length (&table.section) == MOST;
      ipc_section_set_length (&table.section, LENGTH);
      ipc_section_unlock (&table.section);
      g_assert_no_errno (ftruncate (table.fd, LENGTH));
      n += ipc_test_step_get_stride ();
      g_assert_cmpuint (n, <, 100000);
    }
  while (!ended);
  g_test_message ("killed after every %u. of %u instructions: %u had grown", ipc_test_step_get_stride (), n, n_grown);
  g_assert_cmpuint (n_grown, >, 0);
  table_clear (&table);
}
#endif

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/section-changes/add", test_add);
  ipc_test_add ("/core/section-changes/add-in-threads", test_add_in_threads);
  ipc_test_add ("/core/section-changes/sealed", test_sealed);
#ifdef IPC_TEST_CAN_STEP
  ipc_test_add ("/core/section-changes/step-killed/add", test_step_killed_add);
  ipc_test_add ("/core/section-changes/step-killed/grow", test_step_killed_grow);
#endif
  return ipc_test_run ();
}
