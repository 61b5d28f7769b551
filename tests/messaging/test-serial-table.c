/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of what is under way, beside a GHashTable that does the same. */
#include "messaging/ipc-serial-table-private.h"

#include "ipc-test.h"

/* The serials have to stay where they are. */
static guint64 *
serial_new (guint64 serial)
{
  return g_memdup2 (&serial, sizeof serial);
}

static void
assert_same (IpcSerialTable *table, GHashTable *model)
{
  g_autoptr (GPtrArray) list = ipc_serial_table_list (table);
  GHashTableIter iter;
  gpointer serial, value;

  g_assert_cmpuint (ipc_serial_table_size (table), ==, g_hash_table_size (model));
  g_assert_cmpuint (list->len, ==, g_hash_table_size (model));
  g_hash_table_iter_init (&iter, model);
  while (g_hash_table_iter_next (&iter, &serial, &value))
    {
      g_assert_true (ipc_serial_table_lookup (table, GPOINTER_TO_SIZE (serial)) == value);
      g_assert_true (g_ptr_array_find (list, value, NULL));
    }
}

static void
put (IpcSerialTable *table, GHashTable *model, guint64 serial)
{
  guint64 *value = serial_new (serial);

  ipc_serial_table_insert (table, value, value);
  g_hash_table_insert (model, GSIZE_TO_POINTER (serial), value);
}

static void
take (IpcSerialTable *table, GHashTable *model, guint64 serial)
{
  gpointer value = g_hash_table_lookup (model, GSIZE_TO_POINTER (serial));

  g_assert_true (ipc_serial_table_remove (table, serial) == value);
  g_assert_null (ipc_serial_table_lookup (table, serial));
  g_hash_table_remove (model, GSIZE_TO_POINTER (serial));       /* frees it */
}

static void
test_empty (IpcTest *test)
{
  IpcSerialTable table = { 0 };
  guint64 one = 1;

  g_assert_null (ipc_serial_table_lookup (&table, 1));
  g_assert_null (ipc_serial_table_lookup (&table, 0));
  g_assert_null (ipc_serial_table_remove (&table, 1));
  ipc_serial_table_insert (&table, &one, &table);
  g_assert_null (ipc_serial_table_lookup (&table, 0));
  g_assert_null (ipc_serial_table_remove (&table, 0));
  g_assert_null (ipc_serial_table_remove (&table, 9));
  g_assert_true (ipc_serial_table_remove (&table, 1) == &table);
  g_assert_cmpuint (ipc_serial_table_size (&table), ==, 0);
  ipc_serial_table_clear (&table);
}

static void
test_window (IpcTest *test)
{
  g_autoptr (GHashTable) model = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  IpcSerialTable table = { 0 };

  /* One that stays, and a window of others that moves on. */
  put (&table, model, 1);
  for (guint64 serial = 2; serial < 5000; serial++)
    {
      put (&table, model, serial);
      if (serial > 65)
        take (&table, model, serial - 63);
    }
  assert_same (&table, model);
  g_assert_cmpuint (table.n_places, <=, 256);
  ipc_serial_table_clear (&table);
}

static void
test_collisions (IpcTest *test)
{
  g_autoptr (GHashTable) model = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  IpcSerialTable table = { 0 };

  for (guint64 i = 1; i <= 1024; i++)
    put (&table, model, i << 32);
  assert_same (&table, model);
  for (guint64 i = 1; i <= 1024; i += 2)
    take (&table, model, i << 32);
  assert_same (&table, model);
  for (guint64 i = 2; i <= 1024; i += 2)
    take (&table, model, i << 32);
  /* What was large and is empty holds no memory. */
  g_assert_null (table.places);
  g_assert_null (table.others);
}

static void
test_random (IpcTest *test)
{
  g_autoptr (GRand) rand = ipc_test_rand_new ();
  g_autoptr (GHashTable) model = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  IpcSerialTable table = { 0 };

  for (guint i = 0; i < 100000; i++)
    {
      guint64 serial = (guint64) g_rand_int_range (rand, 1, 200) * (g_rand_boolean (rand) ? 1 : 64);

      if (g_hash_table_contains (model, GSIZE_TO_POINTER (serial)))
        take (&table, model, serial);
      else
        put (&table, model, serial);
      if (i % 1000 == 0)
        assert_same (&table, model);
    }
  assert_same (&table, model);
  ipc_serial_table_clear (&table);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add ("/messaging/serial-table/empty", test_empty);
  ipc_test_add ("/messaging/serial-table/window", test_window);
  ipc_test_add ("/messaging/serial-table/collisions", test_collisions);
  ipc_test_add ("/messaging/serial-table/random", test_random);
  return ipc_test_run ();
}
