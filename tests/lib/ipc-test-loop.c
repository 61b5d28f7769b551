/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting with a deadline. All of it runs the thread-default main context of the caller; none of it sleeps.
 */
#include "ipc-test-private.h"

#define TICK_MS 10

gboolean
ipc_test_keep_source (gpointer user_data)
{
  return G_SOURCE_CONTINUE;
}

static gboolean
wait_timed_out (gpointer user_data)
{
  IpcTestWait *self = user_data;

  g_error ("%s: never came true: %s", self->where, self->what);
  return G_SOURCE_REMOVE;
}

static GSource *
attach_timeout (IpcTestWait *self, guint interval_ms, GSourceFunc func)
{
  GSource *source = g_timeout_source_new (interval_ms);

  g_source_set_callback (source, func, self, NULL);
  g_source_set_static_name (source, G_STRFUNC);
  g_source_attach (source, self->context);
  return source;
}

void
ipc_test_wait_begin (IpcTestWait *self, const char *what, const char *where, guint seconds)
{
  self->what = what;
  self->where = where;
  self->context = g_main_context_ref_thread_default ();
  self->timeout = attach_timeout (self, seconds * 1000, wait_timed_out);
  self->tick = attach_timeout (self, TICK_MS, ipc_test_keep_source);
  /* a loop that is never idle must not starve it */
  g_source_set_priority (self->timeout, G_PRIORITY_HIGH);
}

static void
drop_source (GSource *source)
{
  g_source_destroy (source);
  g_source_unref (source);
}

void
ipc_test_wait_end (IpcTestWait *self)
{
  drop_source (self->timeout);
  drop_source (self->tick);
  g_main_context_unref (self->context);
}

void
ipc_test_iterate (guint n)
{
  g_autoptr(GMainContext) context = g_main_context_ref_thread_default ();

  while (n-- > 0 && g_main_context_iteration (context, FALSE))
    ;
}

void
ipc_test_settle (void)
{
  /* not for ever: something may be always ready */
  ipc_test_iterate (10000);
}

void
ipc_test_async_cb (GObject *source, GAsyncResult *result, gpointer async)
{
  IpcTestAsync *self = async;

  g_assert_cmpuint (++self->n_callbacks, ==, 1);
  g_assert_true (G_IS_ASYNC_RESULT (result));
  g_set_object (&self->source, source);
  g_set_object (&self->result, result);
}

GAsyncResult *
ipc_test_async_wait (IpcTestAsync *self)
{
  ipc_test_wait_for (self->result != NULL);
  return self->result;
}

void
ipc_test_async_clear (IpcTestAsync *self)
{
  g_clear_object (&self->source);
  g_clear_object (&self->result);
  self->n_callbacks = 0;
}
