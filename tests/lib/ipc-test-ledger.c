/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a process has at one moment, as the kernel tells it, so that a later look can name what was left behind.
 * Whoever opens a ledger keeps other threads from opening descriptors meanwhile.
 */
#include "ipc-test-private.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_SECONDS 3

struct _IpcTestLedger
{
  GHashTable *fds;     /* (owned) (element-type utf8 utf8) number to what it is */
  GHashTable *threads; /* (owned) (element-type utf8 utf8) id to name */
  gboolean children;
};

/* GLib keeps these for a while, or for ever. */
static gboolean
is_thread_of_glib (const char *name)
{
  return g_str_has_prefix (name, "pool-") || g_str_equal (name, "gmain") || g_str_equal (name, "gdbus");
}

static char *
describe_fd (const char *number)
{
  g_autofree char *path = g_build_filename ("/proc/self/fd", number, NULL);
  char *target = g_file_read_link (path, NULL);

  return target ? target : g_strdup ("?");
}

static GHashTable *
list_fds (void)
{
  GHashTable *fds = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  DIR *directory = opendir ("/proc/self/fd");
  struct dirent *entry;

  g_assert_nonnull (directory);
  while ((entry = readdir (directory)))
    {
      if (entry->d_name[0] != '.' && atoi (entry->d_name) != dirfd (directory))
        g_hash_table_insert (fds, g_strdup (entry->d_name), describe_fd (entry->d_name));
    }
  closedir (directory);
  return fds;
}

static GHashTable *
list_threads (void)
{
  GHashTable *threads = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  DIR *directory = opendir ("/proc/self/task");
  struct dirent *entry;

  g_assert_nonnull (directory);
  while ((entry = readdir (directory)))
    {
      g_autofree char *path = g_build_filename ("/proc/self/task", entry->d_name, "comm", NULL);
      g_autofree char *name = NULL;

      /* a thread may end between the two looks */
      if (entry->d_name[0] == '.' || !g_file_get_contents (path, &name, NULL, NULL))
        continue;
      g_strchomp (name);
      if (!is_thread_of_glib (name))
        g_hash_table_insert (threads, g_strdup (entry->d_name), g_steal_pointer (&name));
    }
  closedir (directory);
  return threads;
}

static gboolean
has_children (void)
{
  siginfo_t info;

  return waitid (P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

IpcTestLedger *
ipc_test_ledger_new (void)
{
  IpcTestLedger *self = g_new0 (IpcTestLedger, 1);

  self->fds = list_fds ();
  self->threads = list_threads ();
  self->children = has_children ();
  return self;
}

void
ipc_test_ledger_free (IpcTestLedger *self)
{
  g_hash_table_unref (self->fds);
  g_hash_table_unref (self->threads);
  g_free (self);
}

static void
describe_surplus (GString *text, const char *what, GHashTable *before, GHashTable *now)
{
  GHashTableIter iter;
  const char *key, *value;

  g_hash_table_iter_init (&iter, now);
  while (g_hash_table_iter_next (&iter, (gpointer *) &key, (gpointer *) &value))
    {
      if (g_strcmp0 (g_hash_table_lookup (before, key), value) != 0)
        g_string_append_printf (text, " %s %s (%s)", what, key, value);
    }
}

/* (nullable): what there is now and was not then. */
static char *
find_surplus (IpcTestLedger *self)
{
  g_autoptr(IpcTestLedger) now = ipc_test_ledger_new ();
  GString *text = g_string_new (NULL);

  describe_surplus (text, "descriptor", self->fds, now->fds);
  describe_surplus (text, "thread", self->threads, now->threads);
  if (now->children && !self->children)
    g_string_append (text, " a child process");
  return g_string_free (text, text->len == 0);
}

/* What is closed from the main loop, or by a thread that is just ending, may need a moment. */
static void
iterate_for_a_moment (void)
{
  g_autoptr(GSource) moment = g_timeout_source_new (5);

  g_source_set_callback (moment, ipc_test_keep_source, NULL, NULL);
  g_source_attach (moment, NULL);
  g_main_context_iteration (NULL, TRUE);
  g_source_destroy (moment);
}

void
ipc_test_ledger_check (IpcTestLedger *self)
{
  gint64 end = g_get_monotonic_time () + SETTLE_SECONDS * G_USEC_PER_SEC;
  g_autofree char *surplus = NULL;

  ipc_test_settle ();
  while ((surplus = find_surplus (self)) && g_get_monotonic_time () < end)
    {
      g_clear_pointer (&surplus, g_free);
      iterate_for_a_moment ();
    }
  if (surplus)
    g_error ("%s left behind:%s", g_test_get_path (), surplus);
}

guint
ipc_test_count_fds (void)
{
  g_autoptr(GHashTable) fds = list_fds ();

  return g_hash_table_size (fds);
}
