/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is known of handlers without asking GObject for them.
 */
#include "base/ipc-connected-private.h"

#include <gio/gio.h>

#include "ipc-test.h"

static void
do_nothing (void)
{
}

static gboolean
is_known (void)
{
  ipc_connected_learn ();
  if (ipc_connected_bit == 0)
    g_test_skip ("this GLib keeps no such bit");
  return ipc_connected_bit != 0;
}

/* On 64 bits every GLib so far has it; if one comes that has not, all that is lost is speed. */
static void
test_bit (IpcTest *test)
{
  if (!is_known ())
    return;
  g_assert_cmpuint (ipc_connected_bit & (ipc_connected_bit - 1), ==, 0);
}

static void
test_any_signal (IpcTest *test)
{
  static const char *const signals[] = { "change-state", "activate", "notify", "notify::state" };

  if (!is_known ())
    return;
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    for (guint after = 0; after < 2; after++)
      {
        g_autoptr(GSimpleAction) action = g_simple_action_new ("a", NULL);
        g_autoptr(GSimpleAction) other = g_simple_action_new ("b", NULL);
        gulong id;

        g_assert_true (ipc_connected_is_never (action));
        id = g_signal_connect_data (action, signals[i], do_nothing, NULL, NULL, after ? G_CONNECT_AFTER : 0);
        g_assert_false (ipc_connected_is_never (action));
        g_assert_true (ipc_connected_is_never (other));
        /* it is about ever */
        g_signal_handler_disconnect (action, id);
        g_assert_false (ipc_connected_is_never (action));
      }
}

static void
test_closures_and_objects (IpcTest *test)
{
  g_autoptr(GSimpleAction) with_closure = g_simple_action_new ("a", NULL);
  g_autoptr(GSimpleAction) with_object = g_simple_action_new ("b", NULL);

  if (!is_known ())
    return;
  g_signal_connect_closure (with_closure, "activate", g_cclosure_new (do_nothing, NULL, NULL), FALSE);
  g_assert_false (ipc_connected_is_never (with_closure));
  g_signal_connect_object (with_object, "activate", do_nothing, with_closure, 0);
  g_assert_false (ipc_connected_is_never (with_object));
}

/* What else an object has does not look like a handler: that would cost speed. */
static void
test_other_use (IpcTest *test)
{
  g_autoptr(GSimpleAction) action = g_simple_action_new ("a", NULL);
  gpointer weak = action;

  if (!is_known ())
    return;
  g_object_add_weak_pointer (G_OBJECT (action), &weak);
  g_object_set_data (G_OBJECT (action), "key", action);
  g_object_ref (action);
  g_object_unref (action);
  g_action_activate (G_ACTION (action), NULL);
  g_assert_true (ipc_connected_is_never (action));
  g_object_remove_weak_pointer (G_OBJECT (action), &weak);
}

static void
test_unknown (IpcTest *test)
{
  g_autoptr(GSimpleAction) action = g_simple_action_new ("a", NULL);
  guint bit;

  ipc_connected_learn ();
  bit = ipc_connected_bit;
  ipc_connected_bit = 0;
  g_assert_false (ipc_connected_is_never (action));
  ipc_connected_bit = bit;
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/base/connected/bit", test_bit);
  ipc_test_add ("/base/connected/any-signal", test_any_signal);
  ipc_test_add ("/base/connected/closures-and-objects", test_closures_and_objects);
  ipc_test_add ("/base/connected/other-use", test_other_use);
  ipc_test_add ("/base/connected/unknown", test_unknown);
  return ipc_test_run ();
}
