/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipc-bench-memory: shared memory beside what one would write without this library.
 *
 * Writing and reading, alone, beside memcpy() and beside a robust mutex of POSIX around it; views beside what GBytes cost; and a reader
 * beside a writer in another process that never pauses. Rounds are interleaved, and what is printed are medians.
 */
#include <ipc-glib/ipc-glib.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LITTLE 64u
#define MUCH (1u << 20)
#define N_PATTERNS 4            /* of what is written while somebody reads */
#define PAGE 4096u
#define VERIFY_ALL 8u           /* each such read is added up, of the others a word a page is looked at */

static int n_rounds = 301;
static double seconds = 0.25;
static gboolean check = FALSE;

static const GOptionEntry entries[] = {
  { "rounds", 0, 0, G_OPTION_ARG_INT, &n_rounds, "How often each is measured, and a thirtieth of it with two processes (301)", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "How long each round with two processes takes (0.25)", "S" },
  { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Exit with 1 if a target is missed", NULL },
  G_OPTION_ENTRY_NULL
};

/* What the processes share besides. */
typedef struct
{
  _Atomic gint ready;
  _Atomic gint go;
  _Atomic gint stop;
  _Alignas (128) _Atomic guint64 n_writes;
  _Alignas (128) _Atomic guint64 n_reads;
  _Atomic guint64 n_torn;
} Shared;

/* A mapping that a mutex guards, as one would do it by hand. */
typedef struct
{
  pthread_mutex_t mutex;
  _Alignas (4096) guint8 bytes[MUCH];
} Guarded;

static Shared *shared;
static Guarded *guarded;
static guint8 *bare;
static char *directory;
static guint8 *patterns[N_PATTERNS];
static guint8 *buffer;
static gboolean all_reached = TRUE;

static double
now (void)
{
  struct timespec time;

  clock_gettime (CLOCK_MONOTONIC, &time);
  return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

/* Of this thread: what other programs do meanwhile is not counted. */
static double
cpu_now (void)
{
  struct timespec time;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &time);
  return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

static double
get_median (const double *values, guint n)
{
  g_autofree double *sorted = g_memdup2 (values, n * sizeof *values);

  qsort (sorted, n, sizeof *sorted, compare_doubles);
  return sorted[n / 2];
}

static void
target (const char *what, double value, double limit, gboolean at_most)
{
  gboolean reached = at_most ? value <= limit : value >= limit;

  printf ("  %-58s %8.2f  %s %.2f  %s\n", what, value, at_most ? "<=" : ">=", limit, reached ? "reached" : "MISSED");
  all_reached &= reached;
}

static void
die (const char *what, GError *error)
{
  fprintf (stderr, "%s: %s\n", what, error != NULL ? error->message : g_strerror (errno));
  exit (1);
}

/* ---- The kinds ---- */

typedef struct
{
  const char *name;
  void (*write) (IpcSharedMemory *segment, const void *from, gsize size);
  void (*read)  (IpcSharedMemory *segment, void *to, gsize size);
} Kind;

/* The compiler is not to know that nobody else looks. */
static inline void
forget (void)
{
  __asm__ __volatile__ ("" ::: "memory");
}

static void
write_bare (IpcSharedMemory *segment, const void *from, gsize size)
{
  memcpy (bare, from, size);
  forget ();
}

static void
read_bare (IpcSharedMemory *segment, void *to, gsize size)
{
  memcpy (to, bare, size);
  forget ();
}

static void
lock_guarded (void)
{
  if (pthread_mutex_lock (&guarded->mutex) == EOWNERDEAD)
    pthread_mutex_consistent (&guarded->mutex);
}

static void
write_guarded (IpcSharedMemory *segment, const void *from, gsize size)
{
  lock_guarded ();
  memcpy (guarded->bytes, from, size);
  pthread_mutex_unlock (&guarded->mutex);
}

static void
read_guarded (IpcSharedMemory *segment, void *to, gsize size)
{
  lock_guarded ();
  memcpy (to, guarded->bytes, size);
  pthread_mutex_unlock (&guarded->mutex);
}

static void
write_segment (IpcSharedMemory *segment, const void *from, gsize size)
{
  GError *error = NULL;

  if (!ipc_shared_memory_write_data (segment, 0, from, size, &error))
    die ("write", error);
}

static void
read_segment (IpcSharedMemory *segment, void *to, gsize size)
{
  GError *error = NULL;

  if (!ipc_shared_memory_read_into (segment, 0, to, size, &error))
    die ("read", error);
}

enum
{
  BARE,
  GUARDED,
  SEGMENT,
  N_KINDS
};

static const Kind kinds[N_KINDS] = {
  { "memcpy()", write_bare, read_bare },
  { "robust mutex", write_guarded, read_guarded },
  { "ipc-glib", write_segment, read_segment },
};

/* ---- Making ---- */

static void *
map (gsize size)
{
  void *memory;
  int fd = memfd_create ("ipc-bench", MFD_CLOEXEC);

  if (fd < 0 || posix_fallocate (fd, 0, (off_t) size) != 0)
    die ("memfd_create", NULL);
  memory = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (memory == MAP_FAILED)
    die ("mmap", NULL);
  close (fd);
  return memory;
}

static Guarded *
guarded_new (void)
{
  Guarded *self = map (sizeof *self);
  pthread_mutexattr_t attributes;

  pthread_mutexattr_init (&attributes);
  pthread_mutexattr_setpshared (&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust (&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init (&self->mutex, &attributes);
  return self;
}

/* Each process has one of its own. */
static IpcSharedMemory *
open_segment (gboolean is_new)
{
  GError *error = NULL;
  IpcScope *scope = ipc_scope_new_for_directory (directory, &error);
  IpcSharedMemoryManager *manager = scope != NULL ? ipc_shared_memory_manager_new (scope) : NULL;
  IpcSharedMemory *segment = NULL;

  if (manager != NULL && is_new)
    segment = ipc_shared_memory_manager_create_segment (manager, "bench", MUCH, 0, &error);
  else if (manager != NULL)
    segment = ipc_shared_memory_manager_open_segment (manager, "bench", 0, &error);
  if (segment == NULL)
    die ("segment", error);
  g_object_unref (manager);
  g_object_unref (scope);
  return segment;
}

static pid_t
start (void)
{
  pid_t parent = getpid (), pid;

  fflush (stdout);
  pid = fork ();
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (getppid () != parent)
        _exit (1);
    }
  else if (pid < 0)
    die ("fork", NULL);
  return pid;
}

/* ---- Alone ---- */

/* ns for a write and a read. So few that nobody is likely to come between. */
static double
measure_cycle (const Kind *kind, IpcSharedMemory *segment, gsize size)
{
  guint n = size == LITTLE ? 5000 : 4;
  double began;

  for (guint i = 0; i < (n + 9) / 10; i++)
    {
      kind->write (segment, patterns[0], size);
      kind->read (segment, buffer, size);
    }
  began = cpu_now ();
  for (guint i = 0; i < n; i++)
    {
      kind->write (segment, patterns[0], size);
      kind->read (segment, buffer, size);
    }
  return (cpu_now () - began) * 1e9 / n;
}

static void
bench_cycles (IpcSharedMemory *segment, gsize size, double limit)
{
  g_autofree double *values = g_new (double, (gsize) (N_KINDS * n_rounds));
  g_autofree double *ratios = g_new (double, (gsize) (N_KINDS * n_rounds));

  for (int round = 0; round < n_rounds; round++)
    {
      for (int k = 0; k < N_KINDS; k++)
        values[k * n_rounds + round] = measure_cycle (&kinds[k], segment, size);
      for (int k = 0; k < N_KINDS; k++)
        ratios[k * n_rounds + round] = values[k * n_rounds + round] / values[BARE * n_rounds + round];
    }
  printf ("write and read %" G_GSIZE_FORMAT " bytes, alone, ns (by memcpy() of the same round)\n", size);
  for (int k = 0; k < N_KINDS; k++)
    printf ("  %-20s %10.1f  (%.2f)\n", kinds[k].name, get_median (values + k * n_rounds, (guint) n_rounds),
            get_median (ratios + k * n_rounds, (guint) n_rounds));
  target ("ipc-glib / memcpy()", get_median (ratios + SEGMENT * n_rounds, (guint) n_rounds), limit, TRUE);
}

/* ---- Views ---- */

static void
ignore (gpointer data)
{
}

static GBytes *parent;

static GBytes *
make_static (IpcSharedMemory *segment, gsize offset)
{
  return g_bytes_new_with_free_func (bare + offset, LITTLE, ignore, bare);
}

static GBytes *
make_slice (IpcSharedMemory *segment, gsize offset)
{
  return g_bytes_new_from_bytes (parent, offset, LITTLE);
}

static GBytes *
make_copy (IpcSharedMemory *segment, gsize offset)
{
  return g_bytes_new (bare + offset, LITTLE);
}

static GBytes *
make_view (IpcSharedMemory *segment, gsize offset)
{
  return ipc_shared_memory_get_bytes (segment, offset, LITTLE, NULL);
}

/* A slice does what a view does: it keeps what the bytes are in for as long as they are there. */
static const struct
{
  const char *name;
  GBytes *(*make) (IpcSharedMemory *segment, gsize offset);
} views[] = {
  { "GBytes that keep nothing", make_static },
  { "a copy, g_bytes_new()", make_copy },
  { "a slice, g_bytes_new_from_bytes()", make_slice },
  { "a view, get_bytes()", make_view },
};

#define N_VIEWS G_N_ELEMENTS (views)
#define SLICE (N_VIEWS - 2)
#define VIEW (N_VIEWS - 1)

static double
measure_views (guint kind, IpcSharedMemory *segment)
{
  const guint n = 5000;
  double began = cpu_now ();

  for (guint i = 0; i < n; i++)
    g_bytes_unref (views[kind].make (segment, i % 64));
  return (cpu_now () - began) * 1e9 / n;
}

static void
bench_views (IpcSharedMemory *segment)
{
  g_autofree double *values = g_new (double, N_VIEWS * (gsize) n_rounds);
  g_autofree double *ratios = g_new (double, (gsize) n_rounds);

  parent = g_bytes_new_static (bare, PAGE);
  for (int round = 0; round < n_rounds; round++)
    {
      for (guint k = 0; k < N_VIEWS; k++)
        values[(gsize) k * (gsize) n_rounds + (gsize) round] = measure_views (k, segment);
      ratios[round] = values[VIEW * (gsize) n_rounds + (gsize) round] / values[SLICE * (gsize) n_rounds + (gsize) round];
    }
  printf ("64 bytes made and dropped, ns\n");
  for (guint k = 0; k < N_VIEWS; k++)
    printf ("  %-34s %8.1f\n", views[k].name, get_median (values + (gsize) k * (gsize) n_rounds, (guint) n_rounds));
  target ("view / slice", get_median (ratios, (guint) n_rounds), 1.05, TRUE);
  g_clear_pointer (&parent, g_bytes_unref);
}

/* ---- A writer that never pauses ---- */

/* A page begins with the number of its pattern, and the last word is the sum of all others. */
static void
fill_patterns (void)
{
  GRand *random = g_rand_new_with_seed (1);

  for (guint64 i = 0; i < N_PATTERNS; i++)
    {
      guint64 *words = (guint64 *) (patterns[i] = g_malloc (MUCH)), sum = 0;

      for (guint j = 0; j < MUCH / 8 - 1; j++)
        sum += words[j] = j * 8 % PAGE == 0 ? i : (guint64) g_rand_int (random) << 32 | g_rand_int (random);
      words[MUCH / 8 - 1] = sum;
    }
  g_rand_free (random);
}

static gboolean
is_whole (const guint64 *words, gboolean all)
{
  guint64 sum = 0;

  for (guint j = PAGE / 8; j < MUCH / 8; j += PAGE / 8)
    if (words[j] != words[0])
      return FALSE;
  for (guint j = 0; all && j < MUCH / 8 - 1; j++)
    sum += words[j];
  return !all || sum == words[MUCH / 8 - 1];
}

G_NORETURN static void
run_side (const Kind *kind, gboolean writes)
{
  IpcSharedMemory *segment = open_segment (FALSE);

  kind->read (segment, buffer, MUCH);
  atomic_fetch_add (&shared->ready, 1);
  while (!atomic_load (&shared->go))
    usleep (50);
  for (guint64 n = 1; !atomic_load (&shared->stop); n++)
    if (writes)
      {
        kind->write (segment, patterns[n % N_PATTERNS], MUCH);
        atomic_store_explicit (&shared->n_writes, n, memory_order_relaxed);
      }
    else
      {
        kind->read (segment, buffer, MUCH);
        if (kind != &kinds[BARE] && !is_whole ((const guint64 *) buffer, n % VERIFY_ALL == 0))
          atomic_fetch_add (&shared->n_torn, 1);
        atomic_store_explicit (&shared->n_reads, n, memory_order_relaxed);
      }
  _exit (0);
}

typedef struct
{
  double writes; /* a second */
  double reads;
} Rates;

static Rates
measure_sides (const Kind *kind, IpcSharedMemory *segment, gboolean writes, gboolean reads)
{
  pid_t pids[2] = { 0, 0 };
  double began, took;
  Rates rates;

  atomic_store (&shared->ready, 0);
  atomic_store (&shared->go, 0);
  atomic_store (&shared->stop, 0);
  atomic_store (&shared->n_writes, 0);
  atomic_store (&shared->n_reads, 0);
  kind->write (segment, patterns[0], MUCH);
  if (writes && (pids[0] = start ()) == 0)
    run_side (kind, TRUE);
  if (reads && (pids[1] = start ()) == 0)
    run_side (kind, FALSE);
  while (atomic_load (&shared->ready) < writes + reads)
    usleep (50);
  atomic_store (&shared->go, 1);
  began = now ();
  usleep ((useconds_t) (seconds * 1e6));
  rates = (Rates){ .writes = (double) atomic_load (&shared->n_writes), .reads = (double) atomic_load (&shared->n_reads) };
  took = now () - began;
  atomic_store (&shared->stop, 1);
  for (guint i = 0; i < G_N_ELEMENTS (pids); i++)
    if (pids[i] != 0)
      waitpid (pids[i], NULL, 0);
  return (Rates){ rates.writes / took, rates.reads / took };
}

static void
bench_contention (const Kind *kind, IpcSharedMemory *segment, gboolean is_target)
{
  guint n = MAX ((guint) n_rounds / 30, 3);
  g_autofree double *writers = g_new (double, n);
  g_autofree double *readers = g_new (double, n);
  g_autofree double *writes = g_new (double, n);
  g_autofree double *reads = g_new (double, n);

  for (guint round = 0; round < n; round++)
    {
      Rates writer = measure_sides (kind, segment, TRUE, FALSE);
      Rates reader = measure_sides (kind, segment, FALSE, TRUE);
      Rates both = measure_sides (kind, segment, TRUE, TRUE);

      writes[round] = both.writes;
      reads[round] = both.reads;
      writers[round] = both.writes / writer.writes;
      readers[round] = both.reads / reader.reads;
    }
  printf ("one writes 1 MiB all the time, another one reads it: %s, a second (share of the rate alone)\n", kind->name);
  printf ("  writer %8.0f  (%.2f)\n  reader %8.0f  (%.2f)\n", get_median (writes, n), get_median (writers, n),
          get_median (reads, n), get_median (readers, n));
  if (!is_target)
    return;
  target ("writer / alone", get_median (writers, n), 0.25, FALSE);
  target ("reader / alone", get_median (readers, n), 0.25, FALSE);
  target ("torn reads", (double) atomic_load (&shared->n_torn), 0, TRUE);
}

/* ---- All together ---- */

/* The segment, the table of processes, and the folder that they are in. */
static void
remove_directory (const char *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);

  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *file = g_build_filename (path, name, NULL);
      if (g_unlink (file) < 0 && errno == EISDIR)
        remove_directory (file);
    }
  g_clear_pointer (&dir, g_dir_close);
  g_rmdir (path);
}

/* Where shared memory is in memory, also if temporary files are not. */
static char *
make_directory (void)
{
  char *path = g_strdup ("/dev/shm/ipc-bench-XXXXXX");

  if (g_mkdtemp (path) == NULL)
    die (path, NULL);
  return path;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- shared memory beside what one would write without this library");
  GError *error = NULL;
  IpcSharedMemory *segment;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    die ("ipc-bench-memory", error);
  shared = map (sizeof *shared);
  guarded = guarded_new ();
  bare = map (MUCH);
  buffer = g_malloc0 (MUCH);
  fill_patterns ();
  directory = make_directory ();
  segment = open_segment (TRUE);
  bench_cycles (segment, LITTLE, 4.0);
  bench_cycles (segment, MUCH, 1.1);
  bench_views (segment);
  for (int k = BARE; k < N_KINDS; k++)
    bench_contention (&kinds[k], segment, k == SEGMENT);
  g_object_unref (segment);
  remove_directory (directory);
  return check && !all_reached;
}
