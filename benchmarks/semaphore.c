/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipc-bench-semaphore: semaphores beside those of the system.
 *
 * Uncontended and contended rates, how long it takes until one who waits has a permit that is released, or whose holder is
 * killed, and what a thousand asynchronous waits cost. Rounds are interleaved, and what is printed are medians.
 */
#include <ipc-glib/ipc-glib.h>

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <malloc.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ipc-slots.h"

#define MAX_PROCESSES 8
#define N_PENDING 1000

static int n_rounds = 5;
static int n_wakes = 200;
static double seconds = 0.5;
static gboolean check = FALSE;

static const GOptionEntry entries[] = {
  { "rounds", 0, 0, G_OPTION_ARG_INT, &n_rounds, "How often each rate is measured (5)", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "How long each contended round takes (0.5)", "S" },
  { "wakes", 0, 0, G_OPTION_ARG_INT, &n_wakes, "How often each way to be woken is measured (200)", "N" },
  { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Exit with 1 if a target is missed", NULL },
  G_OPTION_ENTRY_NULL
};

/* What the processes share. */
typedef struct
{
  _Atomic gint go;
  _Atomic gint stop;
  _Atomic gint64 released_at;   /* ns */
  _Atomic gint n_ready;
  _Atomic gint taken;
  struct
  {
    _Alignas (128) _Atomic guint64 n;
  } counts[MAX_PROCESSES];
  _Alignas (128) sem_t sem;
  _Alignas (128) guint8 table[64 * 1024];
} Shared;

static Shared *shared;
static char *directory;
static IpcSemaphoreManager *manager;
static gboolean all_reached = TRUE;

static gint64
now_ns (void)
{
  return ipc_futex_now ();
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

static double
percentile (double *values, guint n, double share)
{
  qsort (values, n, sizeof *values, compare_doubles);
  return values[MIN (n - 1, (guint) (n * share))];
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

/* ── The kinds ── */

typedef struct
{
  IpcSlots slots;
  IpcSemaphore *semaphore;
  int sysv;
} View;

typedef struct
{
  const char *name;
  guint64 (*cycle) (View *view, guint n);       /* acquire and release N times */
} Kind;

static guint64
cycle_core (View *view, guint n)
{
  unsigned slot;

  for (guint i = 0; i < n; i++)
    {
      ipc_slots_acquire (&view->slots, 0, NULL, &slot);
      ipc_slots_release (&view->slots, slot);
    }
  return n;
}

static guint64
cycle_public (View *view, guint n)
{
  for (guint i = 0; i < n; i++)
    ipc_permit_unref (ipc_semaphore_acquire (view->semaphore, -1, NULL, NULL));
  return n;
}

static guint64
cycle_sem (View *view, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      sem_wait (&shared->sem);
      sem_post (&shared->sem);
    }
  return n;
}

static guint64
cycle_sysv (View *view, guint n)
{
  struct sembuf take = { 0, -1, SEM_UNDO }, give = { 0, 1, SEM_UNDO };

  for (guint i = 0; i < n; i++)
    {
      semop (view->sysv, &take, 1);
      semop (view->sysv, &give, 1);
    }
  return n;
}

enum
{
  CORE,
  PUBLIC,
  SEM,
  SYSV,
  N_KINDS
};

static const Kind kinds[N_KINDS] = {
  { "core", cycle_core },
  { "public C API", cycle_public },
  { "sem_t", cycle_sem },
  { "SysV, SEM_UNDO", cycle_sysv },
};

/* The table of permits is part of what is shared; each process looks at it by itself. */
static void
view_init (View *view, guint n_permits)
{
  GError *error = NULL;
  IpcFault fault;
  int fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  IpcPresence *presence = ipc_presence_attach (fd, &fault);

  if (presence == NULL)
    die (fault.message, NULL);
  close (fd);
  ipc_slots_init (&view->slots, shared->table, n_permits, 64, presence, (_Atomic guint32 *) (shared->table + sizeof shared->table - 64));
  view->semaphore = ipc_semaphore_manager_open_semaphore (ipc_semaphore_manager_new (ipc_scope_new_for_directory (directory, &error)), "bench", &error);
  if (view->semaphore == NULL)
    die ("open", error);
}

static int
new_sysv (guint n_permits)
{
  union
  {
    int val;
    void *room;
  } value = { .val = (int) n_permits };
  int id = semget (IPC_PRIVATE, 1, 0600);

  if (id < 0 || semctl (id, 0, SETVAL, value) < 0)
    die ("semget", NULL);
  return id;
}

static void
renew (guint n_permits)
{
  GError *error = NULL;
  IpcSemaphore *semaphore;

  memset (shared->table, 0, sizeof shared->table);
  sem_init (&shared->sem, 1, n_permits);
  ipc_semaphore_manager_delete_semaphore (manager, "bench", NULL);
  semaphore = ipc_semaphore_manager_create_semaphore (manager, "bench", n_permits, &error);
  if (semaphore == NULL)
    die ("create", error);
  g_object_unref (semaphore);
  atomic_store (&shared->go, 0);
  atomic_store (&shared->stop, 0);
  atomic_store (&shared->n_ready, 0);
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

static void
await (_Atomic gint *word, gint value)
{
  while (atomic_load (word) < value)
    usleep (50);
}

/* ── Rates ── */

typedef struct
{
  double rate;          /* all processes, a second */
  double spread;        /* the quickest by the slowest */
} Contention;

static Contention
contend (const Kind *kind, guint n_processes, guint n_permits)
{
  pid_t pids[MAX_PROCESSES];
  guint64 total = 0, most = 0, least = G_MAXUINT64;
  int sysv = new_sysv (n_permits);
  gint64 began;
  double took;

  renew (n_permits);
  for (guint i = 0; i < n_processes; i++)
    if ((pids[i] = start ()) == 0)
      {
        View view = { .sysv = sysv };
        guint64 n = 0;

        view_init (&view, n_permits);
        atomic_fetch_add (&shared->n_ready, 1);
        await (&shared->go, 1);
        while (!atomic_load (&shared->stop))
          atomic_store_explicit (&shared->counts[i].n, n += kind->cycle (&view, 1), memory_order_relaxed);
        _exit (0);
      }
    else
      atomic_store (&shared->counts[i].n, 0);
  await (&shared->n_ready, (gint) n_processes);
  began = now_ns ();
  atomic_store (&shared->go, 1);
  usleep ((useconds_t) (seconds * 1e6));
  for (guint i = 0; i < n_processes; i++)
    {
      guint64 n = atomic_load (&shared->counts[i].n);

      total += n;
      most = MAX (most, n);
      least = MIN (least, n);
    }
  took = (double) (now_ns () - began) / 1e9;
  atomic_store (&shared->stop, 1);
  for (guint i = 0; i < n_processes; i++)
    waitpid (pids[i], NULL, 0);
  semctl (sysv, 0, IPC_RMID);
  return (Contention){ (double) total / took, (double) most / (double) MAX (least, 1) };
}

/* In a process of its own, as those who use it are. ns a cycle. */
static double
measure_alone (const Kind *kind)
{
  int sysv = new_sysv (4);
  pid_t pid;

  renew (4);
  if ((pid = start ()) == 0)
    {
      View view = { .sysv = sysv };
      guint n = kind == &kinds[SYSV] ? 200000 : 5000000;
      gint64 began;

      view_init (&view, 4);
      kind->cycle (&view, n / 20);
      began = now_ns ();
      kind->cycle (&view, n);
      atomic_store (&shared->counts[0].n, (guint64) ((double) (now_ns () - began) * 1000 / n));
      _exit (0);
    }
  waitpid (pid, NULL, 0);
  semctl (sysv, 0, IPC_RMID);
  return (double) atomic_load (&shared->counts[0].n) / 1000;
}

static void
bench_alone (void)
{
  g_autofree double *all = g_new (double, (gsize) (N_KINDS * n_rounds));
  double median[N_KINDS];

  for (int round = 0; round < n_rounds; round++)
    for (guint k = 0; k < N_KINDS; k++)
      all[(int) k * n_rounds + round] = measure_alone (&kinds[k]);
  printf ("acquire and release, uncontended, ns\n");
  for (guint k = 0; k < N_KINDS; k++)
    {
      median[k] = percentile (all + (int) k * n_rounds, (guint) n_rounds, 0.5);
      printf ("  %-20s %8.1f  (%.1f to %.1f)\n", kinds[k].name, median[k], all[(int) k * n_rounds], all[((int) k + 1) * n_rounds - 1]);
    }
  target ("core / sem_t", median[CORE] / median[SEM], 1.0, TRUE);
  target ("public / sem_t", median[PUBLIC] / median[SEM], 3.0, TRUE);
  target ("SysV / public", median[SYSV] / median[PUBLIC], 5.0, FALSE);
}

static void
bench_contended (guint n_processes, guint n_permits)
{
  g_autofree double *rates = g_new (double, (gsize) (N_KINDS * n_rounds));
  g_autofree double *spreads = g_new (double, (gsize) (N_KINDS * n_rounds));
  double rate[N_KINDS], spread[N_KINDS];

  for (int round = 0; round < n_rounds; round++)
    for (guint k = 0; k < N_KINDS; k++)
      {
        Contention contention = contend (&kinds[k], n_processes, n_permits);

        rates[(int) k * n_rounds + round] = contention.rate;
        spreads[(int) k * n_rounds + round] = contention.spread;
      }
  printf ("%u processes, %u permits, 10^6 a second (quickest / slowest process)\n", n_processes, n_permits);
  for (guint k = 0; k < N_KINDS; k++)
    {
      rate[k] = percentile (rates + (int) k * n_rounds, (guint) n_rounds, 0.5);
      spread[k] = percentile (spreads + (int) k * n_rounds, (guint) n_rounds, 0.5);
      printf ("  %-20s %8.2f  (%.2f)\n", kinds[k].name, rate[k] / 1e6, spread[k]);
    }
  target ("core / sem_t", rate[CORE] / rate[SEM], 1.5, FALSE);
  target ("public / sem_t", rate[PUBLIC] / rate[SEM], 1.5, FALSE);
  target ("quickest / slowest process, public", spread[PUBLIC], 2.0, TRUE);
}

/* ── Being woken ── */

typedef enum
{
  WAKE_FUTEX,           /* sem_t */
  WAKE_BLOCKED,         /* a thread in acquire() */
  WAKE_ASYNC,           /* a main loop */
  WAKE_SOURCE,          /* a main loop, in which is nothing of this library: a GSource on a pipe */
  N_WAKES
} Wake;

static const char *const wakes[] = { "sem_t, blocked thread", "blocked thread", "main loop", "main loop, bare pipe" };
static int wake_pipe[2];

/* Who waits in a main loop, and when it went on. */
typedef struct
{
  IpcPermit *permit;
  gint64 at;
} Woken;

static void
woken_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  Woken *woken = data;

  woken->permit = ipc_semaphore_acquire_finish (IPC_SEMAPHORE (source), result, NULL);
  woken->at = now_ns ();
}

static gboolean
pipe_cb (int fd, GIOCondition condition, gpointer data)
{
  Woken *woken = data;
  char byte;

  woken->at = now_ns ();
  return read (fd, &byte, 1) == 1 ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* Left to itself the kernel has them share a processor now and then, which saves the wake-up of another one. */
typedef enum
{
  ANYWHERE,
  TOGETHER,             /* on one processor */
  APART,                /* each on its own */
} Place;

static cpu_set_t allowed;

static void
stay (Place place, guint who)
{
  guint wanted = place == APART ? who : 0, n = 0;
  cpu_set_t set = allowed;

  if (place != ANYWHERE)
    for (int i = 0; i < CPU_SETSIZE; i++)
      if (CPU_ISSET (i, &allowed) && n++ != wanted)
        CPU_CLR (i, &set);
  if (CPU_COUNT (&set) > 0)
    sched_setaffinity (0, sizeof set, &set);
}

/* A process that holds it, and gives it back, again and again; or one that is killed while it holds it. */
static void
hold (Wake wake, gboolean dies, Place place)
{
  View view = { 0 };

  stay (place, 1);
  view_init (&view, 1);
  for (gint n = 1;; n++)
    {
      IpcPermit *permit = NULL;

      if (wake == WAKE_FUTEX)
        sem_wait (&shared->sem);
      else if (wake != WAKE_SOURCE)
        permit = ipc_semaphore_acquire (view.semaphore, -1, NULL, NULL);
      atomic_store (&shared->n_ready, n);
      await (&shared->go, n);
      /* The other one is asleep by then. */
      usleep (3000);
      atomic_store (&shared->released_at, now_ns ());
      if (dies)
        raise (SIGKILL);
      if (wake == WAKE_FUTEX)
        sem_post (&shared->sem);
      else if (wake != WAKE_SOURCE)
        ipc_permit_unref (permit);
      else if (write (wake_pipe[1], "", 1) != 1)
        die ("write", NULL);
      await (&shared->taken, n);
    }
}

static pid_t
start_holder (Wake wake, gboolean dies, Place place)
{
  pid_t pid;

  atomic_store (&shared->go, 0);
  atomic_store (&shared->n_ready, 0);
  atomic_store (&shared->taken, 0);
  if ((pid = start ()) == 0)
    hold (wake, dies, place);
  return pid;
}

/* µs from the N-th release of the holder, or its death. */
static double
wake_once (Wake wake, gint n, IpcSemaphore *semaphore)
{
  Woken woken = { NULL };

  await (&shared->n_ready, n);
  if (wake == WAKE_ASYNC)
    ipc_semaphore_acquire_async (semaphore, -1, NULL, woken_cb, &woken);
  else if (wake == WAKE_SOURCE)
    g_unix_fd_add (wake_pipe[0], G_IO_IN, pipe_cb, &woken);
  atomic_store (&shared->go, n);
  if (wake == WAKE_FUTEX)
    sem_wait (&shared->sem);
  else if (wake == WAKE_BLOCKED)
    woken.permit = ipc_semaphore_acquire (semaphore, -1, NULL, NULL);
  else
    while (woken.at == 0)
      g_main_context_iteration (NULL, TRUE);
  if (wake == WAKE_FUTEX || wake == WAKE_BLOCKED)
    woken.at = now_ns ();
  if (wake == WAKE_FUTEX)
    sem_post (&shared->sem);
  else if (wake != WAKE_SOURCE)
    ipc_permit_unref (woken.permit);
  atomic_store (&shared->taken, n);
  return (double) (woken.at - atomic_load (&shared->released_at)) / 1000;
}

static void
end_holder (pid_t pid)
{
  kill (pid, SIGKILL);
  waitpid (pid, NULL, 0);
}

/* In blocks, each with a process of its own, so that what the machine does meanwhile meets all of them. */
#define BLOCK 20

static void
measure_wakes (Wake wake, gboolean dies, Place place, IpcSemaphore *semaphore, double *results)
{
  pid_t pid = 0;

  /* Who was killed last may have had it, and nobody gives that back. */
  if (wake == WAKE_FUTEX)
    sem_init (&shared->sem, 1, 1);
  for (int i = 0; i < BLOCK; i++)
    {
      if (dies || pid == 0)
        pid = start_holder (wake, dies, place);
      results[i] = wake_once (wake, dies ? 1 : i + 1, semaphore);
      if (dies)
        waitpid (pid, NULL, 0);
    }
  if (!dies)
    end_holder (pid);
}

static void
bench_wakes (gboolean dies, Place place)
{
  static const char *const where[] = { "", ", on one processor", ", on another processor" };
  int n = (n_wakes + BLOCK - 1) / BLOCK * BLOCK;
  g_autofree double *all = g_new (double, (gsize) (N_WAKES * n));
  double median[N_WAKES], late[N_WAKES];
  Wake first = dies ? WAKE_BLOCKED : WAKE_FUTEX, end = dies ? WAKE_SOURCE : N_WAKES;
  GError *error = NULL;
  IpcSemaphore *semaphore;

  renew (1);
  semaphore = ipc_semaphore_manager_open_semaphore (manager, "bench", &error);
  if (semaphore == NULL)
    die ("open", error);
  sched_getaffinity (0, sizeof allowed, &allowed);
  if (pipe2 (wake_pipe, O_CLOEXEC) != 0)
    die ("pipe2", NULL);
  stay (place, 0);
  for (int i = 0; i < n; i += BLOCK)
    for (Wake wake = first; wake < end; wake++)
      measure_wakes (wake, dies, place, semaphore, all + (int) wake * n + i);
  stay (ANYWHERE, 0);
  close (wake_pipe[0]);
  close (wake_pipe[1]);
  printf ("from %s until the one who waits has the permit%s, µs: median, 99%%\n", dies ? "the kill -9 of the holder" : "the release",
          where[place]);
  for (Wake wake = first; wake < end; wake++)
    {
      late[wake] = percentile (all + (int) wake * n, (guint) n, 0.99);
      median[wake] = percentile (all + (int) wake * n, (guint) n, 0.5);
      printf ("  %-22s %8.1f %8.1f\n", wakes[wake], median[wake], late[wake]);
    }
  if (dies)
    {
      target ("blocked thread, 99%, ms", late[WAKE_BLOCKED] / 1000, 5.0, TRUE);
      target ("main loop, 99%, ms", late[WAKE_ASYNC] / 1000, 5.0, TRUE);
    }
  else
    {
      if (place == APART)
        target ("main loop / sem_t", median[WAKE_ASYNC] / median[WAKE_FUTEX], 1.3, TRUE);
      target ("main loop / bare pipe", median[WAKE_ASYNC] / median[WAKE_SOURCE], 1.3, TRUE);
    }
  g_object_unref (semaphore);
}

/* ── Many ── */

static guint n_acquired;

static void
pending_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  ipc_permit_unref (ipc_semaphore_acquire_finish (IPC_SEMAPHORE (source), result, NULL));
  n_acquired++;
}

static guint
count_threads (void)
{
  GDir *dir = g_dir_open ("/proc/self/task", 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir) != NULL)
    n++;
  g_dir_close (dir);
  return n;
}

static void
bench_pending (void)
{
  GError *error = NULL;
  IpcSemaphore *semaphore;
  IpcPermit *permit;
  gsize before, bytes;
  guint threads;
  gint64 began;

  renew (1);
  semaphore = ipc_semaphore_manager_open_semaphore (manager, "bench", &error);
  if (semaphore == NULL)
    die ("open", error);
  permit = ipc_semaphore_try_acquire (semaphore, NULL);
  /* The first one sets up what all of them share. */
  ipc_semaphore_acquire_async (semaphore, -1, NULL, pending_cb, NULL);
  threads = count_threads ();
  before = mallinfo2 ().uordblks;
  for (guint i = 1; i < N_PENDING; i++)
    ipc_semaphore_acquire_async (semaphore, -1, NULL, pending_cb, NULL);
  bytes = mallinfo2 ().uordblks - before;
  threads = count_threads () - threads;
  began = now_ns ();
  ipc_permit_unref (permit);
  while (n_acquired < N_PENDING)
    g_main_context_iteration (NULL, TRUE);
  printf ("%u asynchronous waits pending: %.2f µs each until the last one has had its turn\n", N_PENDING,
          (double) (now_ns () - began) / 1000 / N_PENDING);
  target ("bytes each", (double) bytes / (N_PENDING - 1), 1024, TRUE);
  target ("threads", threads, 0, TRUE);
  g_object_unref (semaphore);
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("- semaphores beside those of the system");
  GError *error = NULL;
  IpcScope *scope;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    die ("ipc-bench-semaphore", error);
  directory = g_dir_make_tmp ("ipc-bench-XXXXXX", &error);
  scope = directory != NULL ? ipc_scope_new_for_directory (directory, &error) : NULL;
  if (scope == NULL)
    die ("directory", error);
  shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  manager = ipc_semaphore_manager_new (scope);
  bench_alone ();
  bench_contended (2, 1);
  bench_contended (8, 1);
  bench_contended (8, 3);
  bench_wakes (FALSE, APART);
  bench_wakes (FALSE, TOGETHER);
  bench_wakes (TRUE, ANYWHERE);
  bench_pending ();
  return check && !all_reached;
}
