/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which handler a type has, how long it lives, and what it may do to its own table.
 */
#include "messaging/ipc-handler-table-private.h"

#include <string.h>

#include "ipc-test.h"

/* What a handler of these tests is known by. */
typedef struct
{
  IpcHandlerTable *table;
  const char *type; /* (nullable) its own */
  guint n_runs;
  guint n_destroyed;
  void (*on_run) (gpointer data);
  void (*on_destroy) (gpointer data);
} Marker;

static IpcMessage *
run_marker (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  Marker *self = data;

  self->n_runs++;
  if (self->on_run)
    self->on_run (self);
  /* not freed by what it did */
  g_assert_cmpuint (self->n_destroyed, ==, 0);
  return NULL;
}

static void
destroy_marker (gpointer data)
{
  Marker *self = data;

  g_assert_cmpuint (self->n_destroyed++, ==, 0);
  if (self->on_destroy)
    self->on_destroy (self);
}

static void
add (IpcHandlerTable *table, const char *type, Marker *marker)
{
  marker->table = table;
  marker->type = type;
  ipc_handler_table_add (table, type, run_marker, marker, destroy_marker);
}

static gpointer
find (IpcHandlerTable *table, const char *type)
{
  IpcHandler *handler = ipc_handler_table_find (table, type);

  return handler ? handler->user_data : NULL;
}

static gboolean
run (IpcHandlerTable *table, const char *type)
{
  g_autoptr(IpcMessage) message = ipc_message_new (type, NULL);

  return ipc_handler_run (ipc_handler_table_find (table, type), NULL, NULL, message);
}

static void
test_empty (IpcTest *test)
{
  IpcHandlerTable table = { 0 };

  g_assert_null (ipc_handler_table_find (&table, "a"));
  g_assert_false (ipc_handler_table_remove (&table, "a"));
  g_assert_false (ipc_handler_table_remove (&table, NULL));
  g_assert_false (run (&table, "a"));
  ipc_handler_table_clear (&table);
}

static void
test_types (IpcTest *test)
{
  IpcHandlerTable table = { 0 };
  Marker a = { 0 }, b = { 0 }, any = { 0 };

  add (&table, "a", &a);
  add (&table, "b", &b);
  g_assert_true (find (&table, "a") == &a);
  g_assert_true (find (&table, "b") == &b);
  g_assert_null (find (&table, "A"));
  g_assert_null (find (&table, ""));
  add (&table, NULL, &any);
  g_assert_true (find (&table, "a") == &a);
  g_assert_true (find (&table, "c") == &any);
  g_assert_true (find (&table, "") == &any);
  g_assert_true (ipc_handler_table_remove (&table, "a"));
  g_assert_false (ipc_handler_table_remove (&table, "a"));
  g_assert_cmpuint (a.n_destroyed, ==, 1);
  g_assert_true (find (&table, "a") == &any);
  g_assert_true (run (&table, "a"));
  g_assert_cmpuint (any.n_runs, ==, 1);
  g_assert_true (ipc_handler_table_remove (&table, NULL));
  g_assert_null (find (&table, "a"));
  ipc_handler_table_clear (&table);
  g_assert_cmpuint (b.n_destroyed, ==, 1);
  g_assert_cmpuint (any.n_destroyed, ==, 1);
}

static void
test_replaces (IpcTest *test)
{
  static const char *const types[] = { "a", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      IpcHandlerTable table = { 0 };
      Marker first = { 0 }, second = { 0 };

      add (&table, types[i], &first);
      add (&table, types[i], &second);
      g_assert_cmpuint (first.n_destroyed, ==, 1);
      g_assert_true (run (&table, "a"));
      g_assert_cmpuint (first.n_runs, ==, 0);
      g_assert_cmpuint (second.n_runs, ==, 1);
      ipc_handler_table_clear (&table);
      g_assert_cmpuint (second.n_destroyed, ==, 1);
    }
}

static void
test_no_destroy (IpcTest *test)
{
  IpcHandlerTable table = { 0 };
  Marker marker = { 0 };

  ipc_handler_table_add (&table, "a", run_marker, &marker, NULL);
  ipc_handler_table_add (&table, "a", run_marker, &marker, NULL);
  g_assert_true (run (&table, "a"));
  g_assert_true (ipc_handler_table_remove (&table, "a"));
  ipc_handler_table_clear (&table);
}

/* ── Changes from within ── */

static void
remove_self (gpointer data)
{
  Marker *self = data;

  g_assert_true (ipc_handler_table_remove (self->table, self->type));
}

static void
clear_table (gpointer data)
{
  Marker *self = data;

  ipc_handler_table_clear (self->table);
}

static Marker other;

static void
replace_self (gpointer data)
{
  Marker *self = data;

  add (self->table, self->type, &other);
}

/* Whatever a handler does to its table, it lives until it returns, and no longer. */
static void
test_changed_while_running (IpcTest *test)
{
  void (*const changes[]) (gpointer) = { remove_self, clear_table, replace_self };
  static const char *const types[] = { "a", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (changes); i++)
    for (guint j = 0; j < G_N_ELEMENTS (types); j++)
      {
        IpcHandlerTable table = { 0 };
        Marker marker = { .on_run = changes[i] };

        memset (&other, 0, sizeof other);
        add (&table, types[j], &marker);
        g_assert_true (run (&table, "a"));
        g_assert_cmpuint (marker.n_runs, ==, 1);
        g_assert_cmpuint (marker.n_destroyed, ==, 1);
        g_assert_cmpint (run (&table, "a"), ==, changes[i] == replace_self);
        g_assert_cmpuint (other.n_runs, ==, changes[i] == replace_self);
        ipc_handler_table_clear (&table);
        g_assert_cmpuint (other.n_destroyed, ==, changes[i] == replace_self);
      }
}

static void
run_again (gpointer data)
{
  Marker *self = data;

  if (self->n_runs < 5)
    run (self->table, "a");
  else if (self->n_runs == 5)
    remove_self (self);
}

static void
test_recursion (IpcTest *test)
{
  IpcHandlerTable table = { 0 };
  Marker marker = { .on_run = run_again };

  add (&table, "a", &marker);
  g_assert_true (run (&table, "a"));
  g_assert_cmpuint (marker.n_runs, ==, 5);
  g_assert_cmpuint (marker.n_destroyed, ==, 1);
  ipc_handler_table_clear (&table);
}

static void
look_up (gpointer data)
{
  Marker *self = data;

  ipc_handler_table_remove (self->table, "z");
  g_assert_true (find (self->table, self->type ? self->type : "a") != self);
}

/* What is freed is not found any more, and its destroy function may use the table. */
static void
test_destroy_reenters (IpcTest *test)
{
  static const char *const types[] = { "a", NULL };

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    {
      IpcHandlerTable table = { 0 };
      Marker first = { .on_destroy = look_up }, second = { .on_destroy = look_up }, third = { .on_destroy = look_up };

      add (&table, types[i], &first);
      add (&table, types[i], &second);
      g_assert_cmpuint (first.n_destroyed, ==, 1);
      g_assert_true (find (&table, "a") == &second);
      g_assert_true (ipc_handler_table_remove (&table, types[i]));
      g_assert_cmpuint (second.n_destroyed, ==, 1);
      add (&table, types[i], &third);
      ipc_handler_table_clear (&table);
      g_assert_cmpuint (third.n_destroyed, ==, 1);
    }
}

/* ── Against the model ── */

static void
test_random (IpcTest *test)
{
  static const char *const types[] = { NULL, "a", "b", "ab", "c", "\xc3\xa9" };
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_autofree Marker *markers = g_new0 (Marker, 3000);
  Marker *model[G_N_ELEMENTS (types)] = { NULL };
  IpcHandlerTable table = { 0 };

  for (guint i = 0; i < 3000; i++)
    {
      guint which = (guint) g_rand_int_range (rand, 0, G_N_ELEMENTS (types));
      guint looked_up = (guint) g_rand_int_range (rand, 1, G_N_ELEMENTS (types));
      Marker *before = model[which];

      if (g_rand_boolean (rand))
        {
          add (&table, types[which], &markers[i]);
          model[which] = &markers[i];
        }
      else
        {
          g_assert_cmpint (ipc_handler_table_remove (&table, types[which]), ==, before != NULL);
          model[which] = NULL;
        }
      if (before)
        g_assert_cmpuint (before->n_destroyed, ==, 1);
      g_assert_true (find (&table, types[looked_up]) == (model[looked_up] ? model[looked_up] : model[0]));
    }
  ipc_handler_table_clear (&table);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/handler-table/empty", test_empty);
  ipc_test_add ("/messaging/handler-table/types", test_types);
  ipc_test_add ("/messaging/handler-table/replaces", test_replaces);
  ipc_test_add ("/messaging/handler-table/no-destroy", test_no_destroy);
  ipc_test_add ("/messaging/handler-table/changed-while-running", test_changed_while_running);
  ipc_test_add ("/messaging/handler-table/recursion", test_recursion);
  ipc_test_add ("/messaging/handler-table/destroy-reenters", test_destroy_reenters);
  ipc_test_add ("/messaging/handler-table/random", test_random);
  return ipc_test_run ();
}
