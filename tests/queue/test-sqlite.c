/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Queues in a database: which files are refused, what several processes see of one another, and what is left when they are killed.
 */
#include "queue-test.h"

#include <glib/gstdio.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test-namespace.h"
#include "queue/ipc-queue-database-private.h"

#define KILLS 500               /* more with $IPC_TEST_KILLS */

static IpcQueueManager *
open_manager (const char *uri)
{
  g_autoptr(GError) error = NULL;
  IpcQueueManager *manager = ipc_queue_manager_new_for_uri (uri, &error);

  g_assert_no_error (error);
  return manager;
}

/* (transfer full): "jobs", made if it is not there. */
static IpcMessageQueue *
open_jobs (IpcQueueManager *manager)
{
  IpcMessageQueue *queue = ipc_queue_manager_open_queue (manager, "jobs", NULL, NULL);
  g_autoptr(GError) error = NULL;

  if (queue == NULL)
    queue = ipc_queue_manager_create_queue (manager, "jobs", NULL, &error);
  g_assert_no_error (error);
  return queue;
}

static char *
make_uri (IpcTest *test)
{
  return g_strdup_printf ("sqlite:%s/queues.db", test->directory);
}

/* ---- files ---- */

static void
expect_refusal (const char *path, int code)
{
  g_autofree char *uri = g_strdup_printf ("sqlite:%s", path);
  g_autoptr(GError) error = NULL;
  IpcQueueManager *manager = ipc_queue_manager_new_for_uri (uri, &error);

  g_assert_error (error, IPC_ERROR, code);
  g_assert_null (manager);
  g_assert_nonnull (strstr (error->message, path));
}

/* The same, and the file is as it was, and alone. */
static void
expect_untouched (const char *path, int code)
{
  g_autofree char *before = NULL, *after = NULL;
  g_autofree char *log = g_strconcat (path, "-wal", NULL);
  gsize before_size, after_size;

  g_assert_true (g_file_get_contents (path, &before, &before_size, NULL));
  expect_refusal (path, code);
  g_assert_true (g_file_get_contents (path, &after, &after_size, NULL));
  g_assert_cmpmem (before, before_size, after, after_size);
  g_assert_false (g_file_test (log, G_FILE_TEST_EXISTS));
}

static void
execute (const char *path, const char *sql)
{
  sqlite3 *db;
  char *message = NULL;

  g_assert_cmpint (sqlite3_open (path, &db), ==, SQLITE_OK);
  sqlite3_exec (db, sql, NULL, NULL, &message);
  g_assert_cmpstr (message, ==, NULL);
  sqlite3_close (db);
}

static void
test_foreign_files (IpcTest *test)
{
  g_autofree char *text = ipc_test_path (test, "text.db");
  g_autofree char *other = ipc_test_path (test, "other.db");
  g_autofree char *log = ipc_test_path (test, "log.db");
  g_autofree char *folder = ipc_test_path (test, "folder.db");
  g_autofree char *fifo = ipc_test_path (test, "fifo.db");
  g_autofree char *link = ipc_test_path (test, "link.db");
  g_autofree char *nowhere = ipc_test_path (test, "nowhere/x.db");
  g_autofree char *uri = NULL;
  g_autoptr(GError) error = NULL;

  g_assert_true (g_file_set_contents (text, "this is a text that is longer than the header of a database, which has a hundred bytes, "
                                            "so that it is not taken for an empty one", -1, NULL));
  execute (other, "CREATE TABLE t (x); PRAGMA application_id = 4711;");
  execute (log, "PRAGMA journal_mode = WAL; CREATE TABLE t (x);");
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_cmpint (mkfifo (fifo, 0600), ==, 0);
  g_assert_cmpint (symlink (other, link), ==, 0);
  expect_untouched (text, IPC_ERROR_WRONG_TYPE);
  expect_untouched (other, IPC_ERROR_WRONG_TYPE);
  expect_untouched (log, IPC_ERROR_WRONG_TYPE);
  expect_refusal (folder, IPC_ERROR_WRONG_TYPE);
  expect_refusal (fifo, IPC_ERROR_WRONG_TYPE);
  expect_refusal (link, IPC_ERROR_UNSAFE_PATH);
  uri = g_strdup_printf ("sqlite:%s", nowhere);
  g_assert_null (ipc_queue_manager_new_for_uri (uri, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND);
}

/* (transfer full): a database with one message, which nobody has open. */
static char *
make_database (IpcTest *test, const char *name)
{
  char *path = ipc_test_path (test, name);
  g_autofree char *uri = g_strdup_printf ("sqlite:%s", path);
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);

  queue_test_publish (queue, "x");
  return path;
}

static void
test_versions (IpcTest *test)
{
  g_autofree char *path = make_database (test, "later.db");
  g_autofree char *uri = NULL;

  execute (path, "PRAGMA user_version = 2");
  expect_untouched (path, IPC_ERROR_VERSION);
  execute (path, "PRAGMA user_version = 1");
  uri = g_strdup_printf ("sqlite:%s", path);
  g_object_unref (open_manager (uri));
}

/* What somebody has written into a row is an error of that queue, and the row stays. */
static void
test_bad_rows (IpcTest *test)
{
  static const char *const changes[] = {
    "UPDATE ready SET priority = 77",
    "UPDATE message SET format = 9",
    "UPDATE message SET type = ''",
    "UPDATE message SET format = 1, payload = x'ff'",
    "UPDATE message SET headers = x'0102'",
    "UPDATE message SET payload = NULL",
    "UPDATE ready SET attempt = -5",
  };

  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    {
      g_autofree char *name = g_strdup_printf ("%u.db", i);
      g_autofree char *path = make_database (test, name);
      g_autofree char *uri = g_strdup_printf ("sqlite:%s", path);
      g_autoptr(IpcQueueManager) manager = NULL;
      g_autoptr(IpcMessageQueue) queue = NULL;
      g_autoptr(GError) error = NULL;

      execute (path, changes[i]);
      manager = open_manager (uri);
      queue = open_jobs (manager);
      g_assert_null (ipc_message_queue_consume (queue, 0, NULL, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
      g_clear_error (&error);
      g_assert_null (ipc_message_queue_peek (queue, 10, NULL, &error));
      g_assert_error (error, IPC_ERROR, IPC_ERROR_CORRUPT);
      g_assert_cmpuint (ipc_message_queue_get_n_ready (queue), ==, 1);
    }
}

/* A name that nobody could have given is not shown. */
static void
test_bad_names (IpcTest *test)
{
  g_autofree char *path = make_database (test, "names.db");
  g_autofree char *uri = g_strdup_printf ("sqlite:%s", path);
  g_autoptr(IpcQueueManager) manager = NULL;

  execute (path, "UPDATE queue SET name = '../jobs'; INSERT INTO queue (name, created_at) VALUES ('fine', 0)");
  manager = open_manager (uri);
  g_assert_cmpuint (ipc_manager_get_n_items (IPC_MANAGER (manager)), ==, 1);
}

static void
test_default_place (IpcTest *test)
{
  g_autofree char *path = NULL;
  g_autofree char *wanted = NULL;
  g_autoptr(IpcQueueManager) manager = NULL;
  struct stat status;

  path = g_build_filename (g_get_user_state_dir (), "ipc-glib", "queues.db", NULL);
  wanted = g_strdup_printf ("sqlite:%s", path);
  manager = open_manager ("sqlite:");
  g_assert_cmpstr (ipc_queue_manager_get_uri (manager), ==, wanted);
  g_assert_cmpint (stat (path, &status), ==, 0);
  g_assert_cmpint (status.st_mode & 07777, ==, 0600);
  for (IpcQueueFeature feature = IPC_QUEUE_FEATURE_DURABLE; feature <= IPC_QUEUE_FEATURE_SUBSCRIBE; feature++)
    g_assert_true (ipc_queue_manager_supports (manager, feature));
}

/* What was published is there when the database is opened again, however large it is. */
static void
test_kept (IpcTest *test)
{
  g_autofree char *uri = make_uri (test);
  g_autofree char *large = g_strnfill (3000000, 'x');

  for (guint round = 0; round < 2; round++)
    {
      g_autoptr(IpcQueueManager) manager = open_manager (uri);
      g_autoptr(IpcMessageQueue) queue = open_jobs (manager);

      if (round == 0)
        {
          g_autoptr(IpcDelivery) taken = NULL;

          queue_test_publish_full (queue, "taken", IPC_PRIORITY_HIGH, 0, 0, NULL);
          queue_test_publish (queue, large);
          queue_test_publish_full (queue, "urgent", IPC_PRIORITY_CRITICAL, 0, 0, "one");
          queue_test_expect (queue, "urgent");
          taken = queue_test_take (queue, "taken");
          continue;
        }
      /* What nobody settled goes back in a thread. */
      ipc_test_wait_for (ipc_message_queue_get_n_ready (queue) == 2);
      queue_test_expect (queue, "taken");
      queue_test_expect (queue, large);
      queue_test_expect_none (queue);
      queue_test_publish_full (queue, "urgent", IPC_PRIORITY_CRITICAL, 0, 0, "one");
      queue_test_expect_none (queue);
      g_assert_cmpuint (ipc_message_queue_get_total_messages (queue), ==, 3);
    }
}

/* Nothing is written where nobody will find it. */
static void
test_removed (IpcTest *test)
{
  g_autofree char *uri = make_uri (test);
  g_autofree char *path = ipc_test_path (test, "queues.db");
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(IpcMessage) message = ipc_message_new_text ("job", "x");
  g_autoptr(GError) error = NULL;

  queue_test_publish (queue, "x");
  g_assert_cmpint (g_unlink (path), ==, 0);
  g_assert_cmpuint (ipc_message_queue_publish (queue, message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error), ==, 0);
  g_assert_error (error, IPC_ERROR, IPC_ERROR_DELETED);
}

/* ---- processes ---- */

/* URI: takes one message, says so, and has it. */
static int
hold (char **arguments)
{
  g_autoptr(IpcQueueManager) manager = open_manager (arguments[0]);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(IpcDelivery) delivery = ipc_message_queue_consume (queue, -1, NULL, NULL);

  ipc_test_tell ("%s", queue_test_get_text (delivery));
  g_free (ipc_test_hear ());
  return 0;
}

/* URI: does what it hears. */
static int
obey (char **arguments)
{
  g_autoptr(IpcQueueManager) manager = open_manager (arguments[0]);
  g_autoptr(IpcMessageQueue) queue = NULL;
  char *line;

  for (; (line = ipc_test_hear ()) != NULL; g_free (line))
    {
      if (g_str_has_prefix (line, "publish "))
        queue_test_publish (queue, line + strlen ("publish "));
      else if (strcmp (line, "open") == 0)
        queue = open_jobs (manager);
      else if (strcmp (line, "other") == 0)
        g_object_unref (ipc_queue_manager_create_queue (manager, "other", NULL, NULL));
      else if (strcmp (line, "delete") == 0)
        g_assert_true (ipc_queue_manager_delete_queue (manager, "jobs", NULL, NULL));
      ipc_test_tell ("done");
    }
  return 0;
}

#define LATER_S 172800         /* two days */

/* For the children of this process all clocks but that of the day are two days ahead. */
static gboolean
enter_later_time (void)
{
  g_autofree char *offsets = g_strdup_printf ("monotonic %d 0\nboottime %d 0\n", LATER_S, LATER_S);

  return ipc_test_namespace_enter (CLONE_NEWTIME) && ipc_test_namespace_write ("/proc/self/timens_offsets", offsets);
}

/* What is due in an hour is not due for this one; and it has a message. */
static int
work_later (const char *uri)
{
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(IpcDelivery) held = NULL;

  queue_test_expect_none (queue);
  queue_test_publish (queue, "held");
  held = queue_test_take (queue, "held");
  queue_test_publish_full (queue, "soon", IPC_PRIORITY_NORMAL, 0, 50, NULL);
  ipc_test_tell ("done");
  g_free (ipc_test_hear ());
  return 0;
}

/* URI: the same, two days later; or says that it cannot. */
static int
live_later (char **arguments)
{
  int status = 1;
  pid_t pid;

  if (!enter_later_time ())
    {
      ipc_test_tell ("cannot");
      return 0;
    }
  pid = fork ();
  if (pid == 0)
    _exit (work_later (arguments[0]));
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  return WIFEXITED (status) ? WEXITSTATUS (status) : 1;
}

static void
order (IpcTestPeer *peer, const char *what)
{
  ipc_test_peer_write_line (peer, what);
  ipc_test_peer_expect (peer, "done");
}

static void
count_copy (IpcMessageQueue *queue, IpcMessage *message, gpointer n)
{
  g_assert_true (g_str_has_prefix (ipc_message_get_text (message), "copy"));
  ++*(guint *) n;
}

static void
count_signal (IpcMessageQueue *queue, gpointer n)
{
  ++*(guint *) n;
}

static void
test_shared (IpcTest *test)
{
  g_autofree char *uri = make_uri (test);
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("obey", (const char *const[]){ uri, NULL });
  g_autoptr(IpcSubscription) subscription = NULL;
  g_autoptr(IpcDelivery) delivery = NULL;
  g_auto(IpcTestAsync) async = { 0 };
  g_autoptr(GError) error = NULL;
  guint n_copies = 0, n_deleted = 0;

  order (peer, "open");
  /* Who waits is woken, in the main context, */
  ipc_message_queue_consume_async (queue, -1, NULL, ipc_test_async_cb, &async);
  ipc_test_settle ();
  ipc_test_peer_write_line (peer, "publish one");
  delivery = ipc_message_queue_consume_finish (queue, ipc_test_async_wait (&async), &error);
  g_assert_no_error (error);
  g_assert_cmpstr (queue_test_get_text (delivery), ==, "one");
  queue_test_ack (delivery);
  ipc_test_peer_expect (peer, "done");
  g_clear_object (&delivery);
  /* and in a thread; */
  ipc_test_peer_write_line (peer, "publish two");
  delivery = ipc_message_queue_consume (queue, 20000, NULL, &error);
  g_assert_no_error (error);
  queue_test_ack (delivery);
  ipc_test_peer_expect (peer, "done");
  /* who subscribes gets each; */
  subscription = ipc_message_queue_subscribe (queue, count_copy, &n_copies, NULL);
  for (guint i = 0; i < 20; i++)
    order (peer, "publish copy");
  ipc_test_wait_for (n_copies == 20);
  queue_test_publish (queue, "copy of our own");
  ipc_test_wait_for (n_copies == 21);
  ipc_subscription_stop (subscription);
  order (peer, "publish not a copy");
  /* and the list has what others make. */
  order (peer, "other");
  ipc_test_wait_for (ipc_manager_get_n_items (IPC_MANAGER (manager)) == 2);
  g_signal_connect (queue, "deleted", G_CALLBACK (count_signal), &n_deleted);
  order (peer, "delete");
  ipc_test_wait_for (n_deleted == 1 && ipc_manager_get_n_items (IPC_MANAGER (manager)) == 1);
  g_assert_null (ipc_message_queue_consume (queue, 0, NULL, &error));
  g_assert_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND);
  g_assert_cmpuint (n_copies, ==, 21);
}

static int
compare_times (gconstpointer a, gconstpointer b)
{
  const gint64 *first = a, *second = b;

  return *first < *second ? -1 : *first > *second;
}

/* What a process had is with another one as soon as the kernel has told of its death. */
static void
test_killed_consumer (IpcTest *test)
{
  g_autofree char *uri = make_uri (test);
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(GArray) times = g_array_new (FALSE, FALSE, sizeof (gint64));

  ipc_queue_manager_set_max_retries (manager, 1000);
  for (guint i = 0; i < 10; i++)
    {
      g_autoptr(IpcTestPeer) peer = ipc_test_peer_spawn ("hold", (const char *const[]){ uri, NULL });
      g_autoptr(IpcDelivery) delivery = NULL;
      g_auto(IpcTestAsync) async = { 0 };
      gint64 begin, time;

      queue_test_publish (queue, "x");
      ipc_test_peer_expect (peer, "x");
      ipc_message_queue_consume_async (queue, 20000, NULL, ipc_test_async_cb, &async);
      /* It has to have looked, or else it would see at once that the other one is dead. */
      ipc_test_settle ();
      g_assert_cmpuint (ipc_message_queue_get_n_unacked (queue), ==, 1);
      begin = g_get_monotonic_time ();
      ipc_test_peer_signal (peer, SIGKILL);
      delivery = ipc_message_queue_consume_finish (queue, ipc_test_async_wait (&async), NULL);
      time = g_get_monotonic_time () - begin;
      g_array_append_val (times, time);
      g_assert_nonnull (delivery);
      g_assert_cmpuint (ipc_delivery_get_attempt (delivery), ==, 2);
      g_assert_true (ipc_delivery_get_redelivered (delivery));
      queue_test_ack (delivery);
      g_assert_cmpint (ipc_test_peer_wait (peer), ==, -SIGKILL);
    }
  g_test_message ("first %" G_GINT64_FORMAT " us, last %" G_GINT64_FORMAT " us", g_array_index (times, gint64, 0),
                  g_array_index (times, gint64, times->len - 1));
  /* Not by a sweep, which comes once a second. */
  g_array_sort (times, compare_times);
  g_assert_cmpint (g_array_index (times, gint64, times->len / 2), <, 500000);
}

/* ---- the storm ---- */

/* URI NUMBER: publishes numbers of its own, and says which are acknowledged. */
static G_NORETURN int
storm_publish (char **arguments)
{
  g_autoptr(IpcQueueManager) manager = open_manager (arguments[0]);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);

  ipc_queue_manager_set_durability (manager, IPC_DURABILITY_NORMAL);
  for (guint i = 0;; i++)
    {
      g_autofree char *text = g_strdup_printf ("%s.%u", arguments[1], i);

      if (ipc_message_queue_get_n_messages (queue) > 200)
        {
          g_usleep (1000);
          continue;
        }
      queue_test_publish (queue, text);
      ipc_test_tell ("p %s", text);
    }
}

/* URI NUMBER: takes them, and says which it has had, and which are acknowledged. */
static G_NORETURN int
storm_consume (char **arguments)
{
  g_autoptr(IpcQueueManager) manager = open_manager (arguments[0]);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);

  ipc_queue_manager_set_durability (manager, IPC_DURABILITY_NORMAL);
  ipc_queue_manager_set_max_retries (manager, 1000000);
  for (;;)
    {
      g_autoptr(IpcDelivery) delivery = ipc_message_queue_consume (queue, -1, NULL, NULL);

      ipc_test_tell ("t %s %d", queue_test_get_text (delivery), ipc_delivery_get_redelivered (delivery));
      queue_test_ack (delivery);
      ipc_test_tell ("a %s", queue_test_get_text (delivery));
    }
}

typedef struct
{
  gboolean published;           /* it was said */
  guint n_taken;
  guint n_acked;
} Fate;

typedef struct
{
  const char *uri;
  GHashTable *fates;            /* text → Fate */
  IpcTestPeer *peers[4];
  guint n_started;
} Storm;

static Fate *
get_fate (Storm *storm, const char *text)
{
  Fate *fate = g_hash_table_lookup (storm->fates, text);

  if (fate == NULL)
    {
      fate = g_new0 (Fate, 1);
      g_hash_table_insert (storm->fates, g_strdup (text), fate);
    }
  return fate;
}

/* What comes a second time says so; what was acknowledged does not come again. */
static void
note_line (Storm *storm, const char *line)
{
  g_auto(GStrv) words = g_strsplit (line, " ", -1);
  Fate *fate = get_fate (storm, words[1]);

  switch (line[0])
    {
    case 'p':
      fate->published = TRUE;
      break;
    case 't':
      g_assert_cmpuint (fate->n_acked, ==, 0);
      if (fate->n_taken > 0)
        g_assert_cmpstr (words[2], ==, "1");
      fate->n_taken++;
      break;
    case 'a':
      fate->n_acked++;
      break;
    default:
      g_assert_not_reached ();
    }
}

static void
start (Storm *storm, guint i)
{
  g_autofree char *number = g_strdup_printf ("%u", storm->n_started++);

  storm->peers[i] = ipc_test_peer_spawn (i % 2 == 0 ? "storm-publish" : "storm-consume", (const char *const[]){ storm->uri, number, NULL });
}

/* Kills it, and reads what it has said. */
static void
stop (Storm *storm, guint i)
{
  char *line;

  ipc_test_peer_signal (storm->peers[i], SIGKILL);
  for (; (line = ipc_test_peer_read_line (storm->peers[i])) != NULL; g_free (line))
    note_line (storm, line);
  g_assert_cmpint (ipc_test_peer_wait (storm->peers[i]), ==, -SIGKILL);
  g_clear_pointer (&storm->peers[i], ipc_test_peer_free);
}

static void
test_storm (IpcTest *test)
{
  g_autofree char *uri = make_uri (test);
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(GHashTable) fates = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  const char *text = g_getenv ("IPC_TEST_KILLS");
  guint n_kills = text != NULL ? (guint) atoi (text) : KILLS;
  Storm storm = { uri, fates, { NULL }, 0 };
  GHashTableIter iter;
  gpointer key, value;
  guint n_published = 0;

  ipc_test_set_deadline (60 + n_kills / 2);
  ipc_queue_manager_set_max_retries (manager, 1000000);
  for (guint i = 0; i < G_N_ELEMENTS (storm.peers); i++)
    start (&storm, i);
  for (guint i = 0; i < n_kills; i++)
    {
      guint which = (guint) g_rand_int_range (rand, 0, G_N_ELEMENTS (storm.peers));
      g_autofree char *line = ipc_test_peer_read_line (storm.peers[which]);

      /* Any time after it has begun. */
      note_line (&storm, line);
      g_usleep ((gulong) g_rand_int_range (rand, 0, 3000));
      stop (&storm, which);
      start (&storm, which);
    }
  for (guint i = 0; i < G_N_ELEMENTS (storm.peers); i++)
    stop (&storm, i);
  for (;;)
    {
      g_autoptr(IpcDelivery) delivery = ipc_message_queue_consume (queue, 0, NULL, NULL);
      g_autofree char *line = NULL;

      if (delivery == NULL)
        break;
      line = g_strdup_printf ("t %s %d", queue_test_get_text (delivery), ipc_delivery_get_redelivered (delivery));
      note_line (&storm, line);
      queue_test_ack (delivery);
    }
  g_hash_table_iter_init (&iter, fates);
  while (g_hash_table_iter_next (&iter, &key, &value))
    {
      Fate *fate = value;

      n_published += fate->published;
      if (fate->published && fate->n_taken == 0)
        g_error ("%s is lost", (char *) key);
    }
  g_test_message ("%u kills, %u messages", n_kills, n_published);
  g_assert_cmpuint (n_published, >, n_kills / 10);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (queue), ==, 0);
}

/* ---- forks ---- */

static void
test_fork (IpcTest *test)
{
  g_autofree char *uri = make_uri (test);
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(IpcDelivery) delivery = NULL;
  int status;
  pid_t pid;

  queue_test_publish (queue, "x");
  delivery = queue_test_take (queue, "x");
  pid = fork ();
  if (pid == 0)
    {
      g_autoptr(GError) error = NULL;
      gboolean fine = !ipc_delivery_ack (delivery, NULL, &error) && g_error_matches (error, IPC_ERROR, IPC_ERROR_FORKED);

      g_object_unref (delivery);
      g_object_unref (queue);
      g_object_unref (manager);
      _exit (fine ? 0 : 1);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  queue_test_ack (delivery);
  queue_test_publish (queue, "y");
  queue_test_expect (queue, "y");
}

/* Delays and leases are the same for all, whatever a clock says somewhere. */
static void
test_time_namespace (IpcTest *test)
{
  g_autofree char *uri = make_uri (test);
  g_autoptr(IpcQueueManager) manager = open_manager (uri);
  g_autoptr(IpcMessageQueue) queue = open_jobs (manager);
  g_autoptr(IpcDelivery) delivery = NULL;
  g_autoptr(IpcTestPeer) peer = NULL;
  g_autofree char *answer = NULL;
  g_autoptr(GError) error = NULL;

  queue_test_publish_full (queue, "in an hour", IPC_PRIORITY_NORMAL, 0, 3600000, NULL);
  peer = ipc_test_peer_spawn ("later", (const char *const[]){ uri, NULL });
  answer = ipc_test_peer_read_line (peer);
  if (g_strcmp0 (answer, "cannot") == 0)
    {
      g_test_skip ("no time namespaces here");
      return;
    }
  g_assert_cmpstr (answer, ==, "done");
  delivery = ipc_message_queue_consume (queue, 20000, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (queue_test_get_text (delivery), ==, "soon");
  queue_test_ack (delivery);
  queue_test_expect_none (queue);
  ipc_test_peer_write_line (peer, "go");
  g_assert_cmpint (ipc_test_peer_wait (peer), ==, 0);
  queue_test_expect (queue, "held");
  queue_test_expect_none (queue);
  g_assert_cmpuint (ipc_message_queue_get_n_messages (queue), ==, 1);
}

int
main (int argc, char **argv)
{
  static const IpcTestRole roles[] = {
    { "hold", hold }, { "obey", obey }, { "storm-publish", storm_publish }, { "storm-consume", storm_consume },
    { "later", live_later }, { NULL, NULL },
  };

  ipc_test_init (&argc, &argv, roles);
  g_setenv ("XDG_STATE_HOME", g_getenv ("XDG_RUNTIME_DIR"), TRUE);
  ipc_test_add ("/queue/sqlite/foreign-files", test_foreign_files);
  ipc_test_add ("/queue/sqlite/versions", test_versions);
  ipc_test_add ("/queue/sqlite/bad-rows", test_bad_rows);
  ipc_test_add ("/queue/sqlite/bad-names", test_bad_names);
  ipc_test_add ("/queue/sqlite/default-place", test_default_place);
  ipc_test_add ("/queue/sqlite/kept", test_kept);
  ipc_test_add ("/queue/sqlite/removed", test_removed);
  ipc_test_add ("/queue/sqlite/shared", test_shared);
  ipc_test_add ("/queue/sqlite/killed-consumer", test_killed_consumer);
  ipc_test_add ("/queue/sqlite/storm", test_storm);
  ipc_test_add ("/queue/sqlite/fork", test_fork);
  ipc_test_add ("/queue/sqlite/time-namespace", test_time_namespace);
  return ipc_test_run ();
}
