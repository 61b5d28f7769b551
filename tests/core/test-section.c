/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bytes that are read and written as wholes: by threads and processes at the same time, by those that are killed at random
 * and after each of their instructions, and by those that are stopped. All bytes of what is written are the same, so that
 * what is torn is seen.
 */
#include "core/ipc-section-quick.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test-step.h"
#include "ipc-test.h"

#define LENGTH (256 * 1024u)
#define SMALL 64u
#define LARGE (IPC_SECTION_ATOMIC + 64) /* more than is redone */
#define STEPPED 256u            /* the same for those who are killed step by step */
#define MS 1000000

/* ── A section in memory that processes share ── */

typedef struct
{
  int directory_fd;
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
map (gsize size)
{
  guint8 *memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

  g_assert_true (memory != MAP_FAILED);
  return memory;
}

static void
table_init (Table *table, IpcTest *test)
{
  table->directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_no_errno (table->directory_fd);
  table->memory = map (ipc_section_get_size ());
  table->data = (IpcSectionData){ .bytes = map (LENGTH), .length = LENGTH, .writable = true };
  view_init (table);
  ipc_section_set_length (&table->section, LENGTH);
}

static void
table_clear (Table *table)
{
  ipc_presence_detach (table->presence);
  munmap (table->memory, ipc_section_get_size ());
  munmap (table->data.bytes, LENGTH);
  close (table->directory_fd);
}

/* As the library does: what is little quickly, if that is possible. */
static IpcSectionOutcome
put (Table *table, guint64 offset, const guint8 *from, gsize size)
{
  if (ipc_section_write_quickly (&table->section, table->data.bytes, offset, from, size))
    return IPC_SECTION_DONE;
  return ipc_section_write (&table->section, &table->data, offset, from, size);
}

static IpcSectionOutcome
get (Table *table, guint64 offset, guint8 *to, gsize size)
{
  if (ipc_section_read_quickly (&table->section, table->data.bytes, offset, to, size))
    return IPC_SECTION_DONE;
  return ipc_section_read (&table->section, &table->data, offset, to, size);
}

static IpcSectionOutcome
write_all (Table *table, guint64 offset, guint8 value, gsize size)
{
  g_autofree guint8 *bytes = g_malloc (size);

  memset (bytes, value, size);
  return put (table, offset, bytes, size);
}

/* What is read must be the same byte all over, which is *VALUE then. */
static IpcSectionOutcome
read_all (Table *table, guint64 offset, gsize size, guint8 *value)
{
  g_autofree guint8 *bytes = g_malloc (size);
  IpcSectionOutcome outcome = get (table, offset, bytes, size);

  *value = bytes[0];
  for (gsize i = 1; outcome == IPC_SECTION_DONE && i < size; i++)
    g_assert_cmpuint (bytes[i], ==, *value);
  return outcome;
}

static void
assert_reads (Table *table, guint64 offset, gsize size, guint8 expected)
{
  guint8 value;

  g_assert_cmpint (read_all (table, offset, size, &value), ==, IPC_SECTION_DONE);
  g_assert_cmpuint (value, ==, expected);
}

/* ── One at a time ── */

static void
test_read_and_write (IpcTest *test)
{
  IpcSectionStatistics statistics;
  guint64 begin, end;
  Table table;

  table_init (&table, test);
  assert_reads (&table, 0, LENGTH, 0);
  g_assert_cmpint (write_all (&table, 100, 7, SMALL), ==, IPC_SECTION_DONE);
  g_assert_cmpint (write_all (&table, LENGTH - LARGE, 8, LARGE), ==, IPC_SECTION_DONE);
  assert_reads (&table, 100, SMALL, 7);
  assert_reads (&table, 0, 100, 0);
  assert_reads (&table, 100 + SMALL, 100, 0);
  assert_reads (&table, LENGTH - LARGE, LARGE, 8);
  g_assert_false (ipc_section_get_torn (&table.section, &begin, &end));
  ipc_section_count (&table.section, &statistics);
  g_assert_cmpuint (statistics.n_writes, ==, 2);
  g_assert_cmpuint (statistics.n_reads, ==, 5);
  g_assert_cmpint (ABS (statistics.last_access - g_get_real_time ()), <, 60 * G_USEC_PER_SEC);
  g_assert_cmpuint (ipc_section_get_writer (&table.section), ==, 0);
  g_assert_cmpint (ipc_section_lock (&table.section, &table.data), ==, IPC_SECTION_DONE);
  g_assert_cmpuint (ipc_section_get_writer (&table.section), ==, ipc_presence_get_me (table.presence));
  ipc_section_unlock (&table.section);
  table_clear (&table);
}

/* Who cannot take the lock reads all the same, and nothing else. */
static void
test_without_lock (IpcTest *test)
{
  IpcSection owner;
  Table table;

  table_init (&table, test);
  g_assert_cmpint (write_all (&table, 0, 7, SMALL), ==, IPC_SECTION_DONE);
  owner = table.section;
  ipc_section_init (&table.section, table.memory, NULL);
  assert_reads (&table, 0, SMALL, 7);
  g_assert_cmpint (write_all (&table, 0, 8, SMALL), ==, IPC_SECTION_UNSUPPORTED);
  g_assert_cmpint (ipc_section_accept (&table.section, &table.data), ==, IPC_SECTION_UNSUPPORTED);
  assert_reads (&table, 0, SMALL, 7);
  table.section = owner;
  table_clear (&table);
}

/* ── At the same time ── */

typedef struct
{
  Table *table;
  gsize size;
  guint8 value;
  guint n;
} Job;

static gpointer
write_thread (gpointer data)
{
  Job *job = data;

  for (guint i = 0; i < job->n; i++)
    g_assert_cmpint (write_all (job->table, 0, job->value, job->size), ==, IPC_SECTION_DONE);
  return NULL;
}

static gpointer
read_thread (gpointer data)
{
  Job *job = data;
  guint8 value;

  for (guint i = 0; i < job->n; i++)
    g_assert_cmpint (read_all (job->table, 0, job->size, &value), ==, IPC_SECTION_DONE);
  return NULL;
}

static void
test_threads (IpcTest *test)
{
  const gsize sizes[] = { SMALL, LARGE, LENGTH };
  const guint counts[] = { 20000, 2000, 200 };
  Table table;

  ipc_test_set_deadline (120);
  table_init (&table, test);
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      GThread *threads[4];
      Job jobs[4];

      g_assert_cmpint (write_all (&table, 0, 9, LENGTH), ==, IPC_SECTION_DONE);
      for (guint k = 0; k < 4; k++)
        {
          jobs[k] = (Job){ &table, sizes[i], (guint8) (k + 1), counts[i] };
          threads[k] = g_thread_new ("section", k < 2 ? write_thread : read_thread, &jobs[k]);
        }
      for (guint k = 0; k < 4; k++)
        g_thread_join (threads[k]);
    }
  table_clear (&table);
}

/* ── With others that die ── */

static pid_t
start_writer (Table *table, gsize size)
{
  pid_t pid = fork ();

  if (pid != 0)
    return pid;
  view_init (table);
  for (guint8 i = 1;; i = (guint8) (i + 1))
    if (write_all (table, 0, i, size) != IPC_SECTION_DONE)
      _exit (1);
}

static void
end (pid_t pid)
{
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

static guint
get_n_kills (void)
{
  const char *n = g_getenv ("IPC_TEST_KILLS");

  return n != NULL ? (guint) g_ascii_strtoull (n, NULL, 10) : 200;
}

/* While it writes, what is read is whole; and after it was killed, too, or known to be torn. */
static void
kill_writer (Table *table, GRand *rand, gsize size, guint *n_torn)
{
  pid_t pid = start_writer (table, size);
  guint8 value;

  do
    g_assert_cmpint (read_all (table, 0, size, &value), ==, IPC_SECTION_DONE);
  while (value == 0);
  for (guint i = (guint) g_rand_int_range (rand, 0, 20); i > 0; i--)
    g_assert_cmpint (read_all (table, 0, size, &value), ==, IPC_SECTION_DONE);
  end (pid);
  if (read_all (table, 0, size, &value) == IPC_SECTION_DONE)
    return;
  g_assert_cmpuint (size, >, IPC_SECTION_ATOMIC);
  *n_torn += 1;
}

static void
test_random_kills (IpcTest *test)
{
  g_autoptr (GRand) rand = ipc_test_rand_new ();
  guint n_torn = 0, n = get_n_kills ();
  Table table;

  ipc_test_set_deadline (60 + n / 5);
  table_init (&table, test);
  for (guint i = 0; i < n; i++)
    {
      gsize size = i % 2 == 0 ? SMALL : LENGTH;

      kill_writer (&table, rand, size, &n_torn);
      g_assert_cmpint (write_all (&table, 0, 0, LENGTH), ==, IPC_SECTION_DONE);
      assert_reads (&table, 0, LENGTH, 0);
    }
  g_test_message ("%u of %u were killed while they wrote much", n_torn, n);
  table_clear (&table);
}

#ifdef IPC_TEST_CAN_STEP
typedef struct
{
  Table *table;
  gsize size;
  gboolean reads;
  gboolean carefully;           /* not quickly, although that is possible */
} Walker;

static guint8 bytes[LARGE];

static void
prepare_cb (gpointer data)
{
  Walker *walker = data;

  view_init (walker->table);
  walker->table->section.redoes = SMALL;
  memset (bytes, 2, LARGE);
}

/* Nothing that allocates in between, as only the steps of the section are to be counted. */
static IpcSectionOutcome
go (Walker *walker)
{
  Table *table = walker->table;

  if (!walker->carefully)
    return walker->reads ? get (table, 0, bytes, walker->size) : put (table, 0, bytes, walker->size);
  return walker->reads ? ipc_section_read (&table->section, &table->data, 0, bytes, walker->size) :
                         ipc_section_write (&table->section, &table->data, 0, bytes, walker->size);
}

static void
walk_cb (gpointer data)
{
  if (go (data) != IPC_SECTION_DONE)
    _exit (2);
}

typedef struct
{
  guint n_old;
  guint n_new;
  guint n_torn;
} Counts;

static void
judge (Table *table, gsize size, Counts *counts)
{
  guint64 begin, torn_end;
  guint8 value;

  if (read_all (table, 0, size, &value) == IPC_SECTION_TORN)
    {
      counts->n_torn++;
      g_assert_true (ipc_section_get_torn (&table->section, &begin, &torn_end));
      g_assert_cmpuint (begin, ==, 0);
      g_assert_cmpuint (torn_end, ==, size);
      /* What is beside it is not. */
      assert_reads (table, size, SMALL, 1);
    }
  else if (value == 1)
    counts->n_old++;
  else
    counts->n_new++;
}

static gboolean
walk_and_kill (Walker walker, guint n, Counts *counts)
{
  Table *table = walker.table;
  gboolean ended;
  pid_t pid;

  g_assert_cmpint (write_all (table, 0, 1, 2 * LARGE), ==, IPC_SECTION_DONE);
  pid = ipc_test_step_start (prepare_cb, walk_cb, &walker);
  ended = ipc_test_step_on (pid, n);
  ipc_test_step_kill (pid);
  judge (table, walker.size, counts);
  return ended;
}

static void
walk (IpcTest *test, gsize size, gboolean reads, gboolean carefully, Counts *counts)
{
  guint stride = ipc_test_step_get_stride ();
  gboolean ended = FALSE;
  Table table;
  guint n;

  ipc_test_set_deadline (300);
  table_init (&table, test);
  for (n = 1 + (guint) g_random_int_range (0, (gint32) stride); !ended; n += stride)
    {
      g_assert_cmpuint (n, <, 100000);
      ended = walk_and_kill ((Walker){ &table, size, reads, carefully }, n, counts);
    }
  g_test_message ("killed after every %u. of %u instructions: %u old, %u new, %u torn", stride, n - stride, counts->n_old, counts->n_new,
                  counts->n_torn);
  g_assert_cmpuint (n, >, 50);
  table_clear (&table);
}

static void
test_step_killed_small (IpcTest *test)
{
  Counts counts = { 0 };

  walk (test, SMALL, FALSE, GPOINTER_TO_INT (test->data), &counts);
  g_assert_cmpuint (counts.n_torn, ==, 0);
  g_assert_cmpuint (counts.n_old, >, 0);
  g_assert_cmpuint (counts.n_new, >, 0);
}

static void
test_step_killed_large (IpcTest *test)
{
  Counts counts = { 0 };

  walk (test, STEPPED, FALSE, TRUE, &counts);
  g_assert_cmpuint (counts.n_old, >, 0);
  g_assert_cmpuint (counts.n_torn, >, 0);
  g_assert_cmpuint (counts.n_new, >, 0);
}

static void
test_step_killed_reader (IpcTest *test)
{
  Counts counts = { 0 };

  walk (test, SMALL, TRUE, GPOINTER_TO_INT (test->data), &counts);
  g_assert_cmpuint (counts.n_torn + counts.n_new, ==, 0);
}

/* Its sequence number is the first word. */
static void
step_into_write (Table *table, pid_t pid)
{
  const _Atomic guint64 *sequence = (const _Atomic guint64 *) table->memory;

  for (guint i = 0; (atomic_load (sequence) & 1) == 0; i++)
    {
      g_assert_cmpuint (i, <, 100000);
      g_assert_false (ipc_test_step_on (pid, 1));
    }
}

static pid_t
stop_in_write (Table *table, gsize size)
{
  static Walker walker;
  pid_t pid;

  walker = (Walker){ .table = table, .size = size };
  pid = ipc_test_step_start (prepare_cb, walk_cb, &walker);
  step_into_write (table, pid);
  return pid;
}

/* Who is stopped is not dead: others wait for it, but not for ever, and not for what it does not touch. */
static void
test_stopped (IpcTest *test)
{
  guint8 value;
  Table table;
  pid_t pid;

  table_init (&table, test);
  g_assert_cmpint (write_all (&table, 0, 1, LENGTH), ==, IPC_SECTION_DONE);
  pid = stop_in_write (&table, SMALL);
  table.section.patience = 20 * MS;
  g_assert_cmpint (read_all (&table, 0, SMALL, &value), ==, IPC_SECTION_BUSY);
  g_assert_cmpint (write_all (&table, LARGE, 3, SMALL), ==, IPC_SECTION_BUSY);
  assert_reads (&table, SMALL, LARGE, 1);
  g_assert_cmpuint (ipc_section_get_writer (&table.section), !=, 0);
  ipc_test_step_kill (pid);
  assert_reads (&table, 0, SMALL, 2);
  table_clear (&table);
}

/* What is torn is whole again when it was written, or when somebody says so; several tears are one. */
static void
test_mended (IpcTest *test)
{
  guint64 begin, torn_end;
  guint8 value;
  Table table;

  table_init (&table, test);
  ipc_test_step_kill (stop_in_write (&table, LARGE));
  g_assert_cmpint (read_all (&table, LARGE - 1, 2, &value), ==, IPC_SECTION_TORN);
  g_assert_cmpint (write_all (&table, 0, 1, LARGE - 1), ==, IPC_SECTION_DONE);
  g_assert_cmpint (read_all (&table, 0, LARGE - 1, &value), ==, IPC_SECTION_TORN);
  g_assert_cmpint (write_all (&table, 0, 1, LARGE), ==, IPC_SECTION_DONE);
  assert_reads (&table, 0, LARGE, 1);
  g_assert_false (ipc_section_get_torn (&table.section, &begin, &torn_end));
  ipc_test_step_kill (stop_in_write (&table, LARGE));
  g_assert_cmpint (read_all (&table, 0, 1, &value), ==, IPC_SECTION_TORN);
  g_assert_cmpint (ipc_section_accept (&table.section, &table.data), ==, IPC_SECTION_DONE);
  g_assert_false (ipc_section_get_torn (&table.section, &begin, &torn_end));
  g_assert_cmpint (read_all (&table, 0, 1, &value), ==, IPC_SECTION_DONE);
  table_clear (&table);
}

/* To settle what a dead writer left takes a map that can be written, and all of it. */
static void
test_what_is_mapped (IpcTest *test)
{
  IpcSectionData whole;
  guint8 value;
  Table table;

  table_init (&table, test);
  whole = table.data;
  ipc_test_step_kill (stop_in_write (&table, LARGE));
  table.data.writable = false;
  g_assert_cmpint (read_all (&table, 0, 1, &value), ==, IPC_SECTION_READ_ONLY);
  table.data.writable = true;
  table.data.length = SMALL;
  g_assert_cmpint (read_all (&table, 0, 1, &value), ==, IPC_SECTION_GROWN);
  table.data = whole;
  g_assert_cmpint (read_all (&table, 0, 1, &value), ==, IPC_SECTION_TORN);
  table_clear (&table);
}
#endif

/* ── With others that write what they like ── */

/* Whatever is in the memory, nothing outside of the data is touched, and nobody waits for ever. */
static void
test_scribbled (IpcTest *test)
{
  g_autoptr (GRand) rand = ipc_test_rand_new ();
  Table table;

  table_init (&table, test);
  table.section.patience = MS / 10;
  for (guint i = 0; i < 2000; i++)
    {
      IpcSectionStatistics statistics;
      guint64 begin, torn_end;
      guint8 some[SMALL];

      for (guint k = 0; k < 16; k++)
        {
          gsize at = (gsize) g_rand_int_range (rand, 0, k % 2 == 0 ? 64 : (gint32) ipc_section_get_size ());

          table.memory[at] = (guint8) g_rand_int_range (rand, 0, k % 4 == 0 ? 2 : 256);
        }
      get (&table, 100, some, SMALL);
      put (&table, LENGTH - SMALL, some, SMALL);
      ipc_section_accept (&table.section, &table.data);
      ipc_section_get_torn (&table.section, &begin, &torn_end);
      ipc_section_count (&table.section, &statistics);
    }
  table_clear (&table);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/core/section/read-and-write", test_read_and_write);
  ipc_test_add ("/core/section/without-lock", test_without_lock);
  ipc_test_add ("/core/section/threads", test_threads);
  ipc_test_add ("/core/section/random-kills", test_random_kills);
  ipc_test_add ("/core/section/scribbled", test_scribbled);
#ifdef IPC_TEST_CAN_STEP
  ipc_test_add_data ("/core/section/step-killed/small", GINT_TO_POINTER (FALSE), test_step_killed_small);
  ipc_test_add_data ("/core/section/step-killed/small-carefully", GINT_TO_POINTER (TRUE), test_step_killed_small);
  ipc_test_add ("/core/section/step-killed/large", test_step_killed_large);
  ipc_test_add_data ("/core/section/step-killed/reader", GINT_TO_POINTER (FALSE), test_step_killed_reader);
  ipc_test_add_data ("/core/section/step-killed/reader-carefully", GINT_TO_POINTER (TRUE), test_step_killed_reader);
  ipc_test_add ("/core/section/stopped", test_stopped);
  ipc_test_add ("/core/section/mended", test_mended);
  ipc_test_add ("/core/section/what-is-mapped", test_what_is_mapped);
#endif
  return ipc_test_run ();
}
