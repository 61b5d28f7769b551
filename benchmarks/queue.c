/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ipc-bench-queue: message queues beside POSIX message queues and Redis Streams.
 *
 * The store in memory through the synchronous API, beside mq_send() and mq_receive(), which have no acknowledgement; the store in a database
 * beside Redis at the same durability (FULL beside `appendfsync always`, NORMAL beside `everysec`), single and in batches; one process that
 * publishes beside one that consumes; and what a backlog costs. Rounds are interleaved, and what is printed are medians, messages a second.
 */
#include <ipc-glib/ipc-glib.h>

#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_RABBITMQ
#include "queue-rabbitmq.h"
#endif
#ifdef HAVE_HIREDIS
#include <hiredis/hiredis.h>
#endif

#define SIZE 100u       /* of a message */
#define BATCH 100u
#define MAX_ROUNDS 32

static int n_rounds = 5;
static double seconds = 0.5;
static int backlog = 0;
static gboolean check = FALSE;
static char *directory;

static const GOptionEntry entries[] = {
  { "rounds", 0, 0, G_OPTION_ARG_INT, &n_rounds, "How often each rate is measured (5)", "N" },
  { "seconds", 0, 0, G_OPTION_ARG_DOUBLE, &seconds, "How long each round takes (0.5)", "S" },
  { "backlog", 0, 0, G_OPTION_ARG_INT, &backlog, "Also beside N messages that wait (0: not)", "N" },
  { "directory", 0, 0, G_OPTION_ARG_FILENAME, &directory, "Where the databases are (a temporary directory)", "PATH" },
  { "check", 0, 0, G_OPTION_ARG_NONE, &check, "Exit with 1 if a target is missed", NULL },
  G_OPTION_ENTRY_NULL
};

static gboolean all_reached = TRUE;
static char payload[SIZE];

static double
now (void)
{
  return (double) g_get_monotonic_time () / 1e6;
}

G_NORETURN static void
die (const char *what, const GError *error)
{
  fprintf (stderr, "%s: %s\n", what, error != NULL ? error->message : g_strerror (errno));
  exit (1);
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

static double
median (double *values, int n)
{
  qsort (values, (size_t) n, sizeof *values, compare_doubles);
  return values[n / 2];
}

static void
target (const char *what, double value, double limit)
{
  gboolean reached = value >= limit;

  printf ("  %-66s %8.2f  >= %.2f  %s\n", what, value, limit, reached ? "reached" : "MISSED");
  all_reached &= reached;
}

/* ---- what is measured ---- */

typedef struct _Row Row;

/* A consumer in the main loop that acknowledges without waiting. */
typedef struct
{
  guint n_acked;
  IpcConsumer *consumer;
} Taking;

struct _Row
{
  const char *name;
  guint (*step) (Row *row);     /* how many messages */
  double rates[MAX_ROUNDS];
  double rate;                  /* the median */

  IpcQueueManager *manager;
  IpcMessageQueue *queue;
  IpcMessage *message;
  GPtrArray *batch;
  mqd_t mq;
  void *redis;
  void *rabbit;
  Taking taking;
};

/* Half a second at a time, so that whatever else the machine does is spread over all rows. */
static double
measure (Row *row)
{
  double began = now ();
  guint64 n = 0;

  while (now () - began < seconds)
    n += row->step (row);
  return (double) n / (now () - began);
}

static guint
publish (Row *row)
{
  g_autoptr (GError) error = NULL;

  if (ipc_message_queue_publish (row->queue, row->message, IPC_PRIORITY_NORMAL, 0, 0, NULL, NULL, &error) == 0)
    die ("publish", error);
  return 1;
}

static guint
publish_batch (Row *row)
{
  g_autoptr (GError) error = NULL;

  if (ipc_message_queue_publish_many (row->queue, row->batch, IPC_PRIORITY_NORMAL, 0, 0, NULL, &error) < 0)
    die ("publish", error);
  return BATCH;
}

static guint
consume (Row *row)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (IpcDelivery) delivery = ipc_message_queue_consume (row->queue, 100, NULL, &error);

  /* The other process is the slower one. */
  if (g_error_matches (error, IPC_ERROR, IPC_ERROR_TIMED_OUT))
    return 0;
  if (delivery == NULL || !ipc_delivery_ack (delivery, NULL, &error))
    die ("consume", error);
  return 1;
}

static guint
cycle (Row *row)
{
  return publish (row) + consume (row) - 1;
}

static void
acked_cb (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  if (!ipc_delivery_ack_finish (IPC_DELIVERY (source), result, &error))
    die ("ack", error);
  ((Taking *) data)->n_acked++;
}

static void
taken_cb (IpcMessageQueue *queue, IpcDelivery *delivery, gpointer data)
{
  ipc_delivery_ack_async (delivery, NULL, acked_cb, data);
}

static guint
consume_batch (Row *row)
{
  Taking *taking = &row->taking;
  guint before = taking->n_acked;

  if (taking->consumer == NULL)
    taking->consumer = ipc_message_queue_start_consuming (row->queue, BATCH, taken_cb, taking, NULL);
  while (taking->n_acked - before < BATCH)
    g_main_context_iteration (NULL, TRUE);
  return taking->n_acked - before;
}

/* ---- POSIX ---- */

static guint
cycle_mq (Row *row)
{
  char buffer[SIZE];

  if (mq_send (row->mq, payload, SIZE, 0) < 0 || mq_receive (row->mq, buffer, SIZE, NULL) < 0)
    die ("mq", NULL);
  return 1;
}

static mqd_t
open_mq (void)
{
  g_autofree char *name = g_strdup_printf ("/ipc-bench-%d", (int) getpid ());
  struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = SIZE };
  mqd_t mq = mq_open (name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600, &attributes);

  mq_unlink (name);
  return mq;
}

/* ---- Redis ---- */

#ifdef HAVE_HIREDIS
static redisReply *
check_reply (Row *row, redisReply *reply)
{
  if (reply == NULL || reply->type == REDIS_REPLY_ERROR)
    {
      fprintf (stderr, "redis: %s\n", reply != NULL ? reply->str : ((redisContext *) row->redis)->errstr);
      exit (1);
    }
  return reply;
}

static guint
redis_publish (Row *row)
{
  freeReplyObject (check_reply (row, redisCommand (row->redis, "XADD jobs * p %b", payload, (size_t) SIZE)));
  return 1;
}

static guint
redis_publish_batch (Row *row)
{
  redisReply *reply;

  for (guint i = 0; i < BATCH; i++)
    redisAppendCommand (row->redis, "XADD jobs * p %b", payload, (size_t) SIZE);
  for (guint i = 0; i < BATCH; i++)
    {
      if (redisGetReply (row->redis, (void **) &reply) != REDIS_OK)
        reply = NULL;
      freeReplyObject (check_reply (row, reply));
    }
  return BATCH;
}

static guint
redis_take (Row *row, guint max)
{
  redisReply *reply = check_reply (row, redisCommand (row->redis, "XREADGROUP GROUP g me COUNT %u STREAMS jobs >", max));
  redisReply *items = reply->type == REDIS_REPLY_ARRAY ? reply->element[0]->element[1] : NULL;
  guint n = items != NULL ? (guint) items->elements : 0;

  for (guint i = 0; i < n; i++)
    redisAppendCommand (row->redis, "XACK jobs g %s", items->element[i]->element[0]->str);
  for (guint i = 0; i < n; i++)
    {
      redisReply *ack;

      if (redisGetReply (row->redis, (void **) &ack) != REDIS_OK)
        ack = NULL;
      freeReplyObject (check_reply (row, ack));
    }
  freeReplyObject (reply);
  return n;
}

static guint
redis_consume (Row *row)
{
  return redis_take (row, 1);
}

static guint
redis_consume_batch (Row *row)
{
  return redis_take (row, BATCH);
}

static pid_t
start_redis (const char *policy, char **path)
{
  g_autofree char *socket_name = g_strdup_printf ("redis-%s.sock", policy);
  g_autofree char *folder = g_build_filename (directory, policy, NULL);
  pid_t parent = getpid (), pid;

  *path = g_build_filename (directory, socket_name, NULL);
  g_mkdir_with_parents (folder, 0700);
  pid = fork ();
  if (pid == 0)
    {
      prctl (PR_SET_PDEATHSIG, SIGKILL);
      if (getppid () == parent)
        execlp ("redis-server", "redis-server", "--port", "0", "--unixsocket", *path, "--dir", folder, "--appendonly", "yes", "--appendfsync", policy,
                "--save", "", "--daemonize", "no", "--loglevel", "warning", (char *) NULL);
      _exit (127);
    }
  return pid;
}

static redisContext *
connect_redis (const char *path)
{
  for (guint i = 0; i < 500; i++)
    {
      redisContext *context = redisConnectUnix (path);

      if (context != NULL && context->err == 0)
        {
          freeReplyObject (redisCommand (context, "XGROUP CREATE jobs g $ MKSTREAM"));
          return context;
        }
      if (context != NULL)
        redisFree (context);
      g_usleep (10000);
    }
  return NULL;
}
#endif

/* ---- rows of the library ---- */

static void
open_queue (Row *row, const char *uri, IpcDurability durability)
{
  g_autoptr (GError) error = NULL;

  row->manager = ipc_queue_manager_new_for_uri (uri, &error);
  if (row->manager == NULL)
    die (uri, error);
  g_object_set (row->manager, "durability", durability, "max-queue-size", (guint) G_MAXINT, "max-queue-bytes", (guint64) G_MAXINT64, NULL);
  row->queue = ipc_queue_manager_open_queue (row->manager, "jobs", NULL, NULL);
  if (row->queue == NULL)
    row->queue = ipc_queue_manager_create_queue (row->manager, "jobs", NULL, &error);
  if (row->queue == NULL)
    die ("create", error);
  row->message = ipc_message_new_text ("job", payload);
  row->batch = g_ptr_array_new ();
  for (guint i = 0; i < BATCH; i++)
    g_ptr_array_add (row->batch, row->message);
}

static char *
make_uri (const char *name)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);

  return g_strconcat ("sqlite:", path, NULL);
}

/* ---- interleaved ---- */

static void
run (Row *rows, guint n)
{
  for (int round = 0; round < n_rounds; round++)
    for (guint i = 0; i < n; i++)
      rows[i].rates[round] = measure (&rows[i]);
  for (guint i = 0; i < n; i++)
    {
      rows[i].rate = median (rows[i].rates, n_rounds);
      printf ("  %-40s %12.0f\n", rows[i].name, rows[i].rate);
    }
  fflush (stdout);
}

static void
run_memory (double *rate)
{
  Row rows[] = { { .name = "memory: publish, consume, ack", .step = cycle }, { .name = "POSIX: mq_send, mq_receive", .step = cycle_mq } };

  open_queue (&rows[0], "memory:", IPC_DURABILITY_FULL);
  rows[1].mq = open_mq ();
  if (rows[1].mq == (mqd_t) -1)
    printf ("  (no POSIX message queues here: %s)\n", g_strerror (errno));
  run (rows, rows[1].mq == (mqd_t) -1 ? 1 : 2);
  *rate = rows[0].rate;
  if (rows[1].mq != (mqd_t) -1)
    target ("memory: beside POSIX", rows[0].rate / rows[1].rate, 1.0);
}

static void
run_pair (const char *label, IpcDurability durability, const char *policy, double memory_rate)
{
  g_autofree char *uri = make_uri (label);
  Row rows[8] = {
    { .name = "sqlite: publish", .step = publish },
    { .name = "sqlite: consume, ack", .step = consume },
    { .name = "sqlite: publish 100", .step = publish_batch },
    { .name = "sqlite: consume, ack, prefetch 100", .step = consume_batch },
  };
  guint n = 4;

  open_queue (&rows[0], uri, durability);
  for (guint i = 1; i < 4; i++)
    {
      rows[i].manager = rows[0].manager;
      rows[i].queue = rows[0].queue;
      rows[i].message = rows[0].message;
      rows[i].batch = rows[0].batch;
    }
#ifdef HAVE_HIREDIS
  {
    g_autofree char *path = NULL;
    pid_t pid = start_redis (policy, &path);
    redisContext *redis = connect_redis (path);
    static const struct
    {
      const char *name;
      guint (*step) (Row *row);
    } peers[] = { { "redis: XADD", redis_publish }, { "redis: XREADGROUP, XACK", redis_consume },
                  { "redis: XADD, pipeline of 100", redis_publish_batch }, { "redis: XREADGROUP 100, XACK", redis_consume_batch } };

    for (guint i = 0; redis != NULL && i < G_N_ELEMENTS (peers); i++, n++)
      rows[n] = (Row){ .name = peers[i].name, .step = peers[i].step, .redis = redis };
    /* There is always enough to take. */
    for (guint i = 0; i < 4000; i++)
      {
        publish_batch (&rows[0]);
        if (redis != NULL)
          redis_publish_batch (&rows[4]);
      }
    printf ("%s beside appendfsync %s\n", label, policy);
    run (rows, n);
    ipc_consumer_stop (rows[3].taking.consumer);
    for (guint i = 0; n == 8 && i < 4; i++)
      target (rows[i].name, rows[i].rate / rows[i + 4].rate, 1.0);
    if (n == 8)
      target ("memory: cycles, beside XADD and XREADGROUP in pipelines", memory_rate * (1 / rows[6].rate + 1 / rows[7].rate), 10.0);
    kill (pid, SIGKILL);
    waitpid (pid, NULL, 0);
  }
#else
  for (guint i = 0; i < 4000; i++)
    publish_batch (&rows[0]);
  printf ("%s\n", label);
  run (rows, n);
#endif
}

/* ---- two processes ---- */

static double
run_child (const char *uri, guint (*step) (Row *row), _Atomic gint *go, _Atomic gint64 *count)
{
  Row row = { .step = step };
  double began;

  open_queue (&row, uri, IPC_DURABILITY_FULL);
  while (atomic_load (go) == 0)
    g_usleep (100);
  began = now ();
  while (now () - began < 4 * seconds)
    atomic_fetch_add (count, (gint64) step (&row));
  _exit (0);
}

/* What all the STEPS together do, a second. */
static double
run_together (const char *uri, guint (*steps[2]) (Row *row))
{
  _Atomic gint64 *shared = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t pids[2] = { -1, -1 };
  double rate;

  for (guint i = 0; i < 2; i++)
    if (steps[i] != NULL && (pids[i] = fork ()) == 0)
      {
        prctl (PR_SET_PDEATHSIG, SIGKILL);
        run_child (uri, steps[i], (_Atomic gint *) shared + 16, shared);
      }
  g_usleep (200000);
  atomic_store ((_Atomic gint *) shared + 16, 1);
  for (guint i = 0; i < 2; i++)
    if (pids[i] > 0)
      waitpid (pids[i], NULL, 0);
  rate = (double) atomic_load (shared) / (4 * seconds);
  munmap (shared, 4096);
  return rate;
}

/* Before the library has any thread in this process. */
static void
run_two_processes (void)
{
  g_autofree char *uri = make_uri ("two");
  double publisher[MAX_ROUNDS], consumer[MAX_ROUNDS], both[MAX_ROUNDS], sum;

  for (int round = 0; round < n_rounds; round++)
    {
      publisher[round] = run_together (uri, (guint (*[2]) (Row *)){ publish, NULL });
      consumer[round] = run_together (uri, (guint (*[2]) (Row *)){ consume, NULL });
      both[round] = run_together (uri, (guint (*[2]) (Row *)){ publish, consume });
    }
  sum = median (publisher, n_rounds) + median (consumer, n_rounds);
  printf ("two processes, FULL\n  alone: publish %.0f, consume and ack %.0f; together %.0f\n", median (publisher, n_rounds),
          median (consumer, n_rounds), median (both, n_rounds));
  target ("together, beside the sum of each alone", median (both, n_rounds) / sum, 0.5);
}

/* ---- RabbitMQ ---- */

#ifdef HAVE_RABBITMQ
static guint
rabbit_publish_batch (Row *row)
{
  rabbit_publish (row->rabbit, payload, SIZE, BATCH);
  return BATCH;
}

static guint
rabbit_consume_batch (Row *row)
{
  rabbit_consume (row->rabbit, BATCH);
  return BATCH;
}

static void
run_rabbitmq (void)
{
  g_autofree char *uri = make_uri ("rabbit");
  g_autofree char *folder = g_build_filename (directory, "rabbitmq", NULL);
  Row rows[4] = {
    { .name = "sqlite: publish 100", .step = publish_batch },
    { .name = "sqlite: consume, ack, prefetch 100", .step = consume_batch },
    { .name = "rabbitmq: publish 100, persistent, confirmed", .step = rabbit_publish_batch },
    { .name = "rabbitmq: consume, ack, prefetch 100", .step = rabbit_consume_batch },
  };
  Rabbit *rabbit;

  g_mkdir_with_parents (folder, 0700);
  rabbit = rabbit_start (folder);
  if (rabbit == NULL)
    {
      printf ("(no RabbitMQ here)\n");
      return;
    }
  open_queue (&rows[0], uri, IPC_DURABILITY_FULL);
  rows[1].queue = rows[0].queue;
  rows[2].rabbit = rows[3].rabbit = rabbit;
  for (guint i = 0; i < 2000; i++)
    {
      publish_batch (&rows[0]);
      rabbit_publish_batch (&rows[2]);
    }
  printf ("FULL beside RabbitMQ\n");
  run (rows, 4);
  ipc_consumer_stop (rows[1].taking.consumer);
  for (guint i = 0; i < 2; i++)
    target (rows[i].name, rows[i].rate / rows[i + 2].rate, 5.0);
  rabbit_stop (rabbit);
}
#endif

/* ---- a backlog ---- */

static void
run_backlog (void)
{
  g_autofree char *empty_uri = make_uri ("empty");
  g_autofree char *full_uri = make_uri ("full");
  Row rows[] = { { .name = "publish, consume, ack; nothing waits", .step = cycle }, { .name = "the same, beside the backlog", .step = cycle } };

  open_queue (&rows[0], empty_uri, IPC_DURABILITY_NORMAL);
  open_queue (&rows[1], full_uri, IPC_DURABILITY_NORMAL);
  for (int i = 0; i < backlog; i += (int) BATCH)
    publish_batch (&rows[1]);
  printf ("a backlog of %d, NORMAL\n", backlog);
  run (rows, 2);
  target ("with the backlog, beside without", rows[1].rate / rows[0].rate, 0.8);
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  double memory_rate = 0;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error))
    die ("arguments", error);
  n_rounds = CLAMP (n_rounds, 1, MAX_ROUNDS);
  memset (payload, 'x', SIZE - 1);
  if (directory == NULL)
    directory = g_dir_make_tmp ("ipc-bench-queue-XXXXXX", &error);
  if (directory == NULL)
    die ("directory", error);
  run_two_processes ();
  printf ("in memory\n");
  run_memory (&memory_rate);
  run_pair ("FULL", IPC_DURABILITY_FULL, "always", memory_rate);
  run_pair ("NORMAL", IPC_DURABILITY_NORMAL, "everysec", memory_rate);
#ifdef HAVE_RABBITMQ
  run_rabbitmq ();
#endif
  if (backlog > 0)
    run_backlog ();
  g_spawn_sync (NULL, (char *[]){ "rm", "-rf", directory, NULL }, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
  return check && !all_reached ? 1 : 0;
}
