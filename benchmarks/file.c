/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipc-bench-file: mapped files beside what one would write without this library.
 *
 * Writing beside memcpy() into a shared map; syncing beside fdatasync() of as many pages that were written through a map; transactions
 * beside pwrite() and fdatasync() of the same bytes, which is no transaction, and beside SQLite and LMDB where they are there. Rounds are
 * interleaved, and what is printed are medians.
 */
#include <ipc-glib/ipc-glib.h>

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef HAVE_LMDB
#include <lmdb.h>
#endif
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif

#define LITTLE 64u
#define BLOCK 4096u
#define PAGES 12000u
#define SIZE (PAGES * BLOCK)
#define WRITES 2000u            /* of a round */
#define SLOTS 256u              /* blocks that transactions go to */

static int n_rounds = 101;
static gboolean check = FALSE;
static gboolean all_reached = TRUE;
static char *where = NULL;

static const GOptionEntry entries[] = {
  { "rounds", 0, 0, G_OPTION_ARG_INT, &n_rounds, "How often each is measured (101)", "N" },
  { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Exit with 1 if a target is missed", NULL },
  { "directory", 0, 0, G_OPTION_ARG_FILENAME, &where, "On which disk (that of the present directory)", "DIR" },
  G_OPTION_ENTRY_NULL
};

static IpcMappedFile *file;
static guint8 *bare;            /* a map of another file, as one would do it by hand */
static int bare_fd;
static guint8 block[BLOCK];
static guint turn;

/* Where nothing waits for a disk, what others do to the machine is left out. */
static clockid_t clock_id = CLOCK_MONOTONIC;

static double
now (void)
{
  struct timespec time;

  clock_gettime (clock_id, &time);
  return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

static double
get_median (double *values, int n)
{
  qsort (values, (size_t) n, sizeof *values, compare_doubles);
  return values[n / 2];
}

/* ---- what is measured ---- */

static gsize
get_place (guint i, guint n, gsize unit)
{
  return (gsize) ((i * 2654435761u) % n) * unit;
}

static void
write_bare (guint unused)
{
  for (guint i = 0; i < WRITES; i++)
    memcpy (bare + get_place (turn++, SIZE / LITTLE, LITTLE), block, LITTLE);
}

static void
write_file (guint unused)
{
  for (guint i = 0; i < WRITES; i++)
    ipc_mapped_file_write_data (file, get_place (turn++, SIZE / LITTLE, LITTLE), block, LITTLE, NULL);
}

static void
dirty_bare (guint n)
{
  for (guint i = 0; i < n; i++)
    bare[(gsize) i * BLOCK] += 1;
}

static void
dirty_file (guint n)
{
  guint8 byte = (guint8) turn++;

  for (guint i = 0; i < n; i++)
    ipc_mapped_file_write_data (file, (gsize) i * BLOCK, &byte, 1, NULL);
}

static void
sync_bare (guint n)
{
  if (fdatasync (bare_fd) != 0)
    g_error ("fdatasync: %s", g_strerror (errno));
}

static void
sync_file (guint n)
{
  if (!ipc_mapped_file_sync (file, 0, 0, NULL, NULL))
    g_error ("sync failed");
}

/* To what was never written before: a database does not write what is there already. */
static void
change_block (void)
{
  static guint64 number;

  number++;
  for (guint i = 0; i < BLOCK; i += 512)
    memcpy (block + i, &number, sizeof number);
}

static void
update_bare (guint unused)
{
  change_block ();
  if (pwrite (bare_fd, block, BLOCK, (off_t) get_place (turn++, SLOTS, BLOCK)) != BLOCK || fdatasync (bare_fd) != 0)
    g_error ("pwrite: %s", g_strerror (errno));
}

static void
update_file (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autoptr(IpcMappedFileTransaction) transaction = ipc_mapped_file_begin (file, NULL);

      change_block ();
      if (!ipc_mapped_file_transaction_write_data (transaction, get_place (turn++, SLOTS, BLOCK), block, BLOCK, NULL) ||
          !ipc_mapped_file_transaction_commit (transaction, NULL, NULL))
        g_error ("commit failed");
    }
}

#ifdef HAVE_SQLITE
static sqlite3 *database;
static sqlite3_stmt *statement;

static void
run_sql (const char *sql)
{
  char *problem = NULL;

  if (sqlite3_exec (database, sql, NULL, NULL, &problem) != SQLITE_OK)
    g_error ("%s: %s", sql, problem);
}

static void
open_sqlite (const char *directory)
{
  g_autofree char *path = g_build_filename (directory, "sqlite", NULL);

  if (sqlite3_open (path, &database) != SQLITE_OK)
    g_error ("cannot open %s", path);
  run_sql ("PRAGMA journal_mode=WAL; CREATE TABLE t (i INTEGER PRIMARY KEY, b BLOB);"
           "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 255) INSERT INTO t SELECT i, zeroblob (4096) FROM n;");
  if (sqlite3_prepare_v2 (database, "UPDATE t SET b = ? WHERE i = ?", -1, &statement, NULL) != SQLITE_OK)
    g_error ("%s", sqlite3_errmsg (database));
}

static void
update_sqlite (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      change_block ();
      sqlite3_bind_blob (statement, 1, block, BLOCK, SQLITE_STATIC);
      sqlite3_bind_int (statement, 2, (int) (get_place (turn++, SLOTS, BLOCK) / BLOCK));
      if (sqlite3_step (statement) != SQLITE_DONE)
        g_error ("%s", sqlite3_errmsg (database));
      sqlite3_reset (statement);
    }
}

static void
close_sqlite (void)
{
  sqlite3_finalize (statement);
  sqlite3_close (database);
}
#endif

#ifdef HAVE_LMDB
static MDB_env *environment;
static MDB_dbi table;

static void
check_lmdb (int problem)
{
  if (problem != 0)
    g_error ("%s", mdb_strerror (problem));
}

/* Without flags, each commit is synced. */
static void
update_lmdb (guint n)
{
  for (guint i = 0; i < n; i++)
    {
      guint number = (guint) (get_place (turn++, SLOTS, BLOCK) / BLOCK);
      MDB_val key = { sizeof number, &number }, value = { BLOCK, block };
      MDB_txn *transaction;

      change_block ();
      check_lmdb (mdb_txn_begin (environment, NULL, 0, &transaction));
      check_lmdb (mdb_put (transaction, table, &key, &value, 0));
      check_lmdb (mdb_txn_commit (transaction));
    }
}

static void
open_lmdb (const char *directory)
{
  g_autofree char *path = g_build_filename (directory, "lmdb", NULL);
  MDB_txn *transaction;

  check_lmdb (mdb_env_create (&environment));
  check_lmdb (mdb_env_set_mapsize (environment, SIZE));
  check_lmdb (mdb_env_open (environment, path, MDB_NOSUBDIR, 0600));
  check_lmdb (mdb_txn_begin (environment, NULL, 0, &transaction));
  check_lmdb (mdb_dbi_open (transaction, NULL, MDB_INTEGERKEY, &table));
  check_lmdb (mdb_txn_commit (transaction));
  update_lmdb (SLOTS);
}
#endif

/* ---- measuring ---- */

typedef struct
{
  const char *name;
  void (*prepare) (guint n);    /* (nullable) not counted */
  void (*run) (guint n);
  guint n;
} Way;

/* Median microseconds of each of the N_WAYS, a round of one after a round of the other. */
static void
measure (const Way *ways, guint n_ways, double *medians)
{
  g_autofree double *times = g_new (double, n_ways * (gsize) n_rounds);

  for (int round = -2; round < n_rounds; round++)
    for (guint i = 0; i < n_ways; i++)
      {
        /* What is left for a disk to do is left by this one to that one, and the next time by that one to this one. */
        guint way = (i + (guint) (round + 2)) % n_ways;
        double start;

        if (ways[way].prepare != NULL)
          ways[way].prepare (ways[way].n);
        start = now ();
        ways[way].run (ways[way].n);
        if (round >= 0)
          times[way * (gsize) n_rounds + round] = (now () - start) * 1e6;
      }
  for (guint way = 0; way < n_ways; way++)
    medians[way] = get_median (times + way * (gsize) n_rounds, n_rounds);
}

/* TARGET is what the first may take at most, as a multiple of the second. */
static void
compare (const char *what, const Way ways[2], double scale, double target)
{
  double medians[2], ratio;

  measure (ways, 2, medians);
  ratio = medians[0] / medians[1];
  g_print ("%-40s %10.3f  %-18s %10.3f  %-18s %6.2f, target <= %.2f%s\n", what, medians[0] / scale, ways[0].name, medians[1] / scale, ways[1].name,
           ratio, target, ratio <= target ? "" : "  missed");
  all_reached &= ratio <= target;
}

static void
compare_all (const char *directory)
{
  static const guint pages[] = { 1, 100, 10000 };
  int rounds = n_rounds;

  g_print ("median us\n");
  /* What costs most about a page that was synced is the fault when it is written to for the first time, and not counted here. */
  dirty_bare (PAGES);
  dirty_file (PAGES);
  n_rounds = rounds * 5;
  clock_id = CLOCK_THREAD_CPUTIME_ID;
  compare ("64 B write", (const Way[]){ { "write_data", NULL, write_file, 1 }, { "memcpy", NULL, write_bare, 1 } }, WRITES, 2);
  clock_id = CLOCK_MONOTONIC;
  for (guint i = 0; i < G_N_ELEMENTS (pages); i++)
    {
      g_autofree char *what = g_strdup_printf ("sync of %u pages", pages[i]);

      n_rounds = pages[i] > 1000 ? rounds / 5 : rounds;
      compare (what, (const Way[]){ { "sync", dirty_file, sync_file, pages[i] }, { "fdatasync", dirty_bare, sync_bare, pages[i] } }, 1, 1.1);
    }
  n_rounds = rounds * 5;
  compare ("4 KiB, durable", (const Way[]){ { "commit", NULL, update_file, 1 }, { "pwrite+fdatasync", NULL, update_bare, 1 } }, 1, 1.3);
#ifdef HAVE_LMDB
  open_lmdb (directory);
  compare ("4 KiB, durable", (const Way[]){ { "commit", NULL, update_file, 1 }, { "LMDB", NULL, update_lmdb, 1 } }, 1, 1 / 1.7);
  mdb_env_close (environment);
#endif
#ifdef HAVE_SQLITE
  open_sqlite (directory);
  run_sql ("PRAGMA synchronous=FULL");
  compare ("4 KiB, durable", (const Way[]){ { "commit", NULL, update_file, 1 }, { "SQLite FULL", NULL, update_sqlite, 1 } }, 1, 1);
  run_sql ("PRAGMA synchronous=NORMAL");
  ipc_mapped_file_set_durability (file, IPC_DURABILITY_NORMAL);
  compare ("4 KiB, survives kill -9", (const Way[]){ { "commit", NULL, update_file, 50 }, { "SQLite NORMAL", NULL, update_sqlite, 50 } }, 50, 0.2);
  close_sqlite ();
#endif
}

static void
open_bare (const char *directory)
{
  g_autofree char *path = g_build_filename (directory, "bare", NULL);

  bare_fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (bare_fd < 0 || posix_fallocate (bare_fd, 0, SIZE) != 0)
    g_error ("cannot make %s", path);
  bare = mmap (NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bare_fd, 0);
  memset (bare, 1, SIZE);
  sync_bare (0);
}

static void
clean_up (const char *directory)
{
  static const char *const names[] = { "bare", "file", ".file.journal", "sqlite", "sqlite-wal", "sqlite-shm", "lmdb", "lmdb-lock" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_build_filename (directory, names[i], NULL);
      g_unlink (path);
    }
  g_rmdir (directory);
}

int
main (int argc, char **argv)
{
  g_autoptr(GOptionContext) context = g_option_context_new ("- mapped files beside what one would write without this library");
  g_autoptr(IpcMappedFileManager) manager = NULL;
  g_autofree char *directory = NULL, *path = NULL;
  g_autoptr(GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    {
      g_printerr ("%s\n", error->message);
      return 2;
    }
  directory = g_build_filename (where != NULL ? where : ".", "ipc-bench-file-XXXXXX", NULL);
  if (g_mkdtemp (directory) == NULL)
    g_error ("cannot make %s", directory);
  path = g_build_filename (directory, "file", NULL);
  manager = ipc_mapped_file_manager_new (NULL);
  file = ipc_mapped_file_manager_map_file (manager, path, SIZE, 0, &error);
  if (file == NULL)
    g_error ("%s", error->message);
  memset (ipc_mapped_file_peek (file, NULL), 1, SIZE);
  ipc_mapped_file_mark_dirty (file, 0, SIZE, NULL);
  ipc_mapped_file_sync (file, 0, 0, NULL, NULL);
  open_bare (directory);
  compare_all (directory);
  ipc_mapped_file_unmap (file, NULL);
  g_object_unref (file);
  clean_up (directory);
  return check && !all_reached;
}
