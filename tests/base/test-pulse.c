/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking at what changes without telling: while somebody listens, in the right context, and never after the end.
 */
#include "base/ipc-pulse-private.h"

#include "base/ipc-notify-private.h"
#include "ipc-test.h"

#define TEST_TYPE_THING (test_thing_get_type ())
G_DECLARE_FINAL_TYPE (TestThing, test_thing, TEST, THING, GObject)

struct _TestThing
{
  GObject parent_instance;

  IpcPulseClient pulse;
  guint n_looks;
  GThread *looked_in;
  void (*on_look) (TestThing *self);
};

G_DEFINE_FINAL_TYPE (TestThing, test_thing, G_TYPE_OBJECT)

static void
look (GObject *object)
{
  TestThing *self = TEST_THING (object);

  self->n_looks++;
  self->looked_in = g_thread_self ();
  if (self->on_look != NULL)
    self->on_look (self);
}

static gboolean
is_observed (GObject *object)
{
  return ipc_notify_is_observed (object);
}

static void
test_thing_finalize (GObject *object)
{
  ipc_pulse_remove (&TEST_THING (object)->pulse);
  ipc_pulse_remove (&TEST_THING (object)->pulse);
  G_OBJECT_CLASS (test_thing_parent_class)->finalize (object);
}

static void
test_thing_class_init (TestThingClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = test_thing_finalize;
}

static void
test_thing_init (TestThing *self)
{
}

static TestThing *
thing_new (GMainContext *context)
{
  static const IpcPulseFuncs funcs = { is_observed, look };
  TestThing *self = g_object_new (TEST_TYPE_THING, NULL);

  ipc_pulse_add (&self->pulse, context, G_OBJECT (self), &funcs);
  return self;
}

static void
nothing (void)
{
}

static void
test_only_while_observed (IpcTest *test)
{
  g_autoptr(TestThing) quiet = thing_new (NULL);
  g_autoptr(TestThing) observed = thing_new (NULL);
  gulong id = g_signal_connect (observed, "notify::whatever", G_CALLBACK (nothing), NULL);

  ipc_test_wait_for (observed->n_looks >= 3);
  g_assert_cmpuint (quiet->n_looks, ==, 0);
  g_assert_true (observed->looked_in == g_thread_self ());
  g_signal_handler_disconnect (observed, id);
  observed->n_looks = 0;
  /* somebody who connects later is found */
  g_signal_connect (quiet, "notify", G_CALLBACK (nothing), NULL);
  ipc_pulse_stir (&quiet->pulse);
  ipc_test_wait_for (quiet->n_looks >= 2);
  g_assert_cmpuint (observed->n_looks, ==, 0);
}

/* Nobody says that a handler was connected, and it is found within about a second. */
static void
test_found (IpcTest *test)
{
  g_autoptr(TestThing) thing = thing_new (NULL);
  gint64 connected_at;

  ipc_test_wait_for (thing->pulse.pulse != NULL);
  g_signal_connect (thing, "notify", G_CALLBACK (nothing), NULL);
  connected_at = g_get_monotonic_time ();
  ipc_test_wait_for (thing->n_looks > 0);
  g_assert_cmpint (g_get_monotonic_time () - connected_at, <, 10 * G_USEC_PER_SEC);
}

static gpointer
run_context (gpointer data)
{
  g_autoptr(GMainContext) context = g_main_context_new ();
  g_autoptr(TestThing) thing = thing_new (context);
  IpcTestWait wait;

  g_main_context_push_thread_default (context);
  g_signal_connect (thing, "notify", G_CALLBACK (nothing), NULL);
  ipc_test_wait_begin (&wait, "looks", G_STRLOC, IPC_TEST_WAIT_SECONDS);
  while (thing->n_looks < 2)
    g_main_context_iteration (wait.context, TRUE);
  ipc_test_wait_end (&wait);
  g_assert_true (thing->looked_in == g_thread_self ());
  g_main_context_pop_thread_default (context);
  return NULL;
}

static void
test_contexts (IpcTest *test)
{
  GThread *threads[3];

  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("context", run_context, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
}

static TestThing *victim; /* (owned) */

static void
drop_victim (TestThing *self)
{
  g_clear_object (&victim);
}

/* One goes while all are looked at; then the last one, and with it the timer. */
static void
test_goes_while_looked_at (IpcTest *test)
{
  g_autoptr(TestThing) thing = thing_new (NULL);

  victim = thing_new (NULL);
  g_signal_connect (victim, "notify", G_CALLBACK (nothing), NULL);
  g_signal_connect (thing, "notify", G_CALLBACK (nothing), NULL);
  thing->on_look = drop_victim;
  ipc_test_wait_for (victim == NULL && thing->n_looks >= 2);
  victim = g_object_ref (thing);
  ipc_test_wait_for (victim == NULL);
}

static gpointer
unref_thread (gpointer thing)
{
  g_object_unref (thing);
  return NULL;
}

/* The last reference goes in another thread, while the timer ticks in this one. */
static void
test_goes_elsewhere (IpcTest *test)
{
  for (guint i = 0; i < 20; i++)
    {
      TestThing *thing = thing_new (NULL);
      gpointer weak = thing;
      GThread *thread;

      g_signal_connect (thing, "notify", G_CALLBACK (nothing), NULL);
      g_object_add_weak_pointer (weak, &weak);
      thread = g_thread_new ("unref", unref_thread, thing);
      ipc_test_settle ();
      g_thread_join (thread);
      g_assert_null (g_atomic_pointer_get (&weak));
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/pulse/only-while-observed", test_only_while_observed);
  ipc_test_add ("/base/pulse/found", test_found);
  ipc_test_add ("/base/pulse/contexts", test_contexts);
  ipc_test_add ("/base/pulse/goes-while-looked-at", test_goes_while_looked_at);
  ipc_test_add ("/base/pulse/goes-elsewhere", test_goes_elsewhere);
  return ipc_test_run ();
}
