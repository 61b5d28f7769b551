/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hearing of changes in shared memory: in the right context, once until it is armed anew, and never after the end. */
#include "base/ipc-listening-private.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc-test.h"

#define N 4u

/* ── Listeners in memory that processes share ── */

typedef struct
{
  int directory_fd;
  IpcPresence *presence;
  guint8 *memory;
  IpcListeners listeners;
} Table;

static void
view_init (Table *table)
{
  IpcFault fault = { 0 };

  table->presence = ipc_presence_attach (table->directory_fd, &fault);
  if (table->presence == NULL)
    g_error ("%s", fault.message);
  ipc_listeners_init (&table->listeners, table->memory, N, table->presence);
}

static void
table_init (Table *table, IpcTest *test)
{
  table->directory_fd = open (test->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_no_errno (table->directory_fd);
  table->memory = mmap (NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  g_assert_true (table->memory != MAP_FAILED);
  view_init (table);
}

static void
table_clear (Table *table)
{
  ipc_presence_detach (table->presence);
  munmap (table->memory, 4096);
  close (table->directory_fd);
}

static void
ring (Table *table)
{
  ipc_listeners_ring (&table->listeners, IPC_LISTENERS_NONE);
}

static void
ring_in_process (Table *table)
{
  pid_t pid = fork ();

  if (pid == 0)
    {
      view_init (table);
      ring (table);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

/* ── What listens ── */

#define TEST_TYPE_EAR (test_ear_get_type ())
G_DECLARE_FINAL_TYPE (TestEar, test_ear, TEST, EAR, GObject)

struct _TestEar
{
  GObject parent_instance;

  IpcListening listening;
  gint n_rung;            /* (atomic) */
  GThread *rung_in;
  gboolean goes;          /* drops the last reference when it is rung */
};

G_DEFINE_FINAL_TYPE (TestEar, test_ear, G_TYPE_OBJECT)

static void
test_ear_finalize (GObject *object)
{
  ipc_listening_stop (&TEST_EAR (object)->listening);
  ipc_listening_stop (&TEST_EAR (object)->listening);
  G_OBJECT_CLASS (test_ear_parent_class)->finalize (object);
}

static void
test_ear_class_init (TestEarClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_ear_finalize;
}

static void
test_ear_init (TestEar *self)
{
}

static void
rung (GObject *object)
{
  TestEar *self = TEST_EAR (object);

  self->rung_in = g_thread_self ();
  g_atomic_int_inc (&self->n_rung);
  if (self->goes)
    g_object_unref (self);
}

/* CONTEXT is NULL for the one of the thread. */
static TestEar *
ear_new (Table *table, GMainContext *context)
{
  g_autoptr(GMainContext) its = context != NULL ? g_main_context_ref (context) : g_main_context_ref_thread_default ();
  TestEar *self = g_object_new (TEST_TYPE_EAR, NULL);

  g_assert_true (ipc_listening_start (&self->listening, its, table->presence, &table->listeners, G_OBJECT (self), rung));
  return self;
}

/* ── The tests ── */

static void
test_rung (IpcTest *test)
{
  Table table;
  TestEar *ear;

  table_init (&table, test);
  ear = ear_new (&table, NULL);
  ipc_test_settle ();
  g_assert_cmpint (ear->n_rung, ==, 0);
  ring_in_process (&table);
  ipc_test_wait_for (ear->n_rung > 0);
  g_assert_true (ear->rung_in == g_thread_self ());
  g_object_unref (ear);
  table_clear (&table);
}

/* Nothing calls while nobody has armed it, however often somebody rings. */
static void
test_armed_anew (IpcTest *test)
{
  Table table;
  TestEar *ear;
  gint n;

  table_init (&table, test);
  ear = ear_new (&table, NULL);
  g_assert_true (ipc_listeners_is_armed (&table.listeners, ear->listening.entry));
  ring (&table);
  ipc_test_wait_for (ear->n_rung > 0);
  g_assert_false (ipc_listeners_is_armed (&table.listeners, ear->listening.entry));
  n = ear->n_rung;
  ring (&table);
  ipc_test_settle ();
  g_assert_cmpint (ear->n_rung, ==, n);
  ipc_listening_arm (&ear->listening);
  ipc_test_settle ();
  g_assert_cmpint (ear->n_rung, ==, n);
  ring (&table);
  ipc_test_wait_for (ear->n_rung > n);
  g_object_unref (ear);
  table_clear (&table);
}

static void
test_others (IpcTest *test)
{
  IpcListening stranger = { 0 };
  TestEar *one, *two;
  Table table;

  table_init (&table, test);
  one = ear_new (&table, NULL);
  two = ear_new (&table, NULL);
  ipc_listening_ring_others (&one->listening, &table.listeners);
  ipc_test_wait_for (two->n_rung > 0);
  g_assert_cmpint (one->n_rung, ==, 0);
  /* Who does not listen rings all. */
  ipc_listening_arm (&stranger);
  ipc_listening_ring_others (&stranger, &table.listeners);
  ipc_test_wait_for (one->n_rung > 0);
  ipc_listening_stop (&stranger);
  g_object_unref (one);
  g_object_unref (two);
  table_clear (&table);
}

static void
test_too_many (IpcTest *test)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();
  TestEar *ears[N], *late;
  Table table;

  table_init (&table, test);
  for (guint i = 0; i < N; i++)
    ears[i] = ear_new (&table, NULL);
  late = g_object_new (TEST_TYPE_EAR, NULL);
  g_assert_false (ipc_listening_start (&late->listening, context, table.presence, &table.listeners, G_OBJECT (late), rung));
  /* It is as if it had not been started. */
  ipc_listening_arm (&late->listening);
  ring (&table);
  for (guint i = 0; i < N; i++)
    ipc_test_wait_for (ears[i]->n_rung > 0);
  g_assert_cmpint (late->n_rung, ==, 0);
  g_object_unref (late);
  /* Who goes makes room. */
  g_object_unref (ears[0]);
  ears[0] = ear_new (&table, NULL);
  for (guint i = 0; i < N; i++)
    g_object_unref (ears[i]);
  table_clear (&table);
}

/* The one goes while it is told, and with it another one that was rung. */
static void
test_goes (IpcTest *test)
{
  Table table;
  TestEar *ear, *other;
  gpointer weak;

  table_init (&table, test);
  weak = ear = ear_new (&table, NULL);
  other = ear_new (&table, NULL);
  ear->goes = TRUE;
  g_object_add_weak_pointer (weak, &weak);
  ring (&table);
  ipc_test_wait_for (weak == NULL);
  ipc_test_wait_for (other->n_rung > 0);
  ipc_listening_arm (&other->listening);
  ring (&table);
  /* Nothing is told any more. */
  g_object_unref (other);
  ipc_test_settle ();
  table_clear (&table);
}

typedef struct
{
  Table *table;
  GMainContext *context;
  TestEar *ear;
  gint stop;              /* (atomic) */
} Elsewhere;

static gpointer
iterate_thread (gpointer data)
{
  Elsewhere *self = data;

  g_main_context_push_thread_default (self->context);
  while (!g_atomic_int_get (&self->stop))
    g_main_context_iteration (self->context, TRUE);
  g_main_context_pop_thread_default (self->context);
  return NULL;
}

static void
test_context (IpcTest *test)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  Elsewhere elsewhere = { .context = context };
  GThread *thread;
  Table table;
  TestEar *ear;

  table_init (&table, test);
  ear = ear_new (&table, context);
  thread = g_thread_new ("elsewhere", iterate_thread, &elsewhere);
  ring (&table);
  ipc_test_wait_for (g_atomic_int_get (&ear->n_rung) > 0);
  g_atomic_int_set (&elsewhere.stop, TRUE);
  g_main_context_wakeup (context);
  g_thread_join (thread);
  g_assert_true (ear->rung_in == thread);
  g_object_unref (ear);
  table_clear (&table);
}

/* What a forked child does with it touches nothing of its parent's. */
static void
test_fork (IpcTest *test)
{
  Table table;
  TestEar *ear;
  int status;
  pid_t pid;
  gint n;

  table_init (&table, test);
  ear = ear_new (&table, NULL);
  ring (&table);
  ipc_test_wait_for (ear->n_rung > 0);
  pid = fork ();
  if (pid == 0)
    {
      ipc_listening_arm (&ear->listening);
      ipc_listening_stop (&ear->listening);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_cmpint (status, ==, 0);
  g_assert_false (ipc_listeners_is_armed (&table.listeners, ear->listening.entry));
  n = ear->n_rung;
  ipc_listening_arm (&ear->listening);
  ring (&table);
  ipc_test_wait_for (ear->n_rung > n);
  g_object_unref (ear);
  table_clear (&table);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/listening/rung", test_rung);
  ipc_test_add ("/base/listening/armed-anew", test_armed_anew);
  ipc_test_add ("/base/listening/others", test_others);
  ipc_test_add ("/base/listening/too-many", test_too_many);
  ipc_test_add ("/base/listening/goes", test_goes);
  ipc_test_add ("/base/listening/context", test_context);
  ipc_test_add ("/base/listening/fork", test_fork);
  return ipc_test_run ();
}
