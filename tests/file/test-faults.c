/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All that can be done with a mapped file, with each of its system calls failing in turn. Whatever failed:
 *
 *  - it is survived, or ends with an error that names the file and has the code of what failed; what only interrupts it makes no
 *    difference;
 *  - what is in the file is what was there before, if it failed, and what was to be there, if not, also for whoever maps it next;
 *  - what was not synced is dirty, and told of with `sync-failed`;
 *  - it works the next time, and no descriptor and no map is left.
 *
 * What only interrupts is always tried, and of what fails one error a call, at random; IPC_TEST_FAULTS_ALL=1 makes that all of
 * them, and each call failing from then on.
 */
#include "file-crash.h"

#include <errno.h>
#include <string.h>

#include "base/ipc-error-private.h"
#include "fault-kinds.h"
#include "fault-tell.h"

#define MOST 400u

/* The kernel says these when nothing is wrong. */
static gboolean
is_harmless (int error)
{
  return error == FAULT_SHORT || error == EINTR;
}

/* What was said to be on the disk has to be there. */
static gboolean
is_promise (const Fault *fault)
{
  return !is_harmless (fault->error) && (g_str_equal (fault->call, "fdatasync") || g_str_equal (fault->call, "msync"));
}

static void
check_error (const Fault *fault, const GError *error)
{
  g_autoptr(GError) like = NULL;

  if (is_harmless (fault->error))
    {
      fault_complain ("failed: %s", error->message);
      return;
    }
  ipc_error_set_errno (&like, fault->error, "like");
  if (!g_error_matches (error, like->domain, like->code))
    fault_complain ("says %s %d: %s", g_quark_to_string (error->domain), error->code, error->message);
  if (strstr (error->message, file_crash.path) == NULL)
    fault_complain ("does not name the file: %s", error->message);
}

/* ── What is in it ── */

static void
failed_cb (IpcMappedFile *file, GError *error, guint *n)
{
  (*n)++;
}

static void
check_value (guint8 value, guint8 wanted)
{
  if (value != wanted)
    fault_complain ("the blocks have %u, not %u", value, wanted);
}

/* By the object that it failed for. */
static void
check_now (const FileCrashOperation *operation, gboolean done, guint n_told)
{
  if (operation->is_commit)
    check_value (file_crash_check (file_crash.file), done ? FILE_CRASH_NEW : FILE_CRASH_OLD);
  if (operation->is_sync && ipc_mapped_file_get_is_dirty (file_crash.file) == done)
    fault_complain (done ? "is dirty" : "is not dirty");
  if (operation->is_sync && n_told != (done ? 0 : 1))
    fault_complain ("sync-failed %u times", n_told);
}

static void
do_again (const FileCrashOperation *operation)
{
  g_autoptr(GError) error = NULL;

  if (!operation->walk (&error))
    fault_complain ("failed once more: %s", error->message);
}

/* ── One time ── */

/* How many calls failed. */
static guint
run_once (const FileCrashOperation *operation, const Fault *fault, gboolean again)
{
  g_autoptr(GError) error = NULL;
  guint fired, n_told = 0;
  gboolean done;
  guint8 found;

  fault_describe (operation->name, fault);
  if (operation->prepare != NULL)
    operation->prepare ();
  if (operation->ready != NULL)
    operation->ready ();
  if (file_crash.file != NULL)
    g_signal_connect (file_crash.file, "sync-failed", G_CALLBACK (failed_cb), &n_told);
  fault_arm (fault);
  done = operation->walk (&error);
  fired = fault_disarm ();
  ipc_test_settle ();
  g_assert_true (done == (error == NULL));
  if (error != NULL)
    check_error (fault, error);
  else if (fired > 0 && is_promise (fault))
    fault_complain ("nobody was told");
  check_now (operation, done, n_told);
  if (!done && again)
    {
      do_again (operation);
      done = TRUE;
    }
  if (file_crash.file != NULL)
    g_signal_handlers_disconnect_by_data (file_crash.file, &n_told);
  file_crash_drop ();
  found = file_crash_check_next (operation);
  if (operation->is_commit || operation->is_there)
    check_value (found, done || operation->is_there ? FILE_CRASH_NEW : FILE_CRASH_OLD);
  return fired;
}

/* ── All of them ── */

/* Of files of the test. */
static guint
count_maps (void)
{
  g_autofree char *text = NULL;
  guint n = 0;

  g_assert_true (g_file_get_contents ("/proc/self/maps", &text, NULL, NULL));
  for (const char *at = text; (at = strstr (at, file_crash.directory)) != NULL; at++)
    n++;
  return n;
}

static guint
sweep_error (const FileCrashOperation *operation, const char *call, int error, guint times)
{
  Fault fault = { .call = call, .error = error, .times = times };

  for (fault.first = 1; fault.first <= MOST; fault.first++)
    {
      guint n_fds = ipc_test_count_fds (), n_maps = count_maps ();

      if (run_once (operation, &fault, fault.first % 2 == 0) == 0)
        return fault.first - 1;
      if (ipc_test_count_fds () > n_fds)
        fault_complain ("%u descriptors are left", ipc_test_count_fds () - n_fds);
      if (count_maps () > n_maps)
        fault_complain ("%u maps are left", count_maps () - n_maps);
    }
  g_assert_not_reached ();
}

/* How many calls failed. */
static guint
sweep_kind (const FileCrashOperation *operation, const FaultKind *kind, GRand *rand)
{
  gboolean all = g_strcmp0 (g_getenv ("IPC_TEST_FAULTS_ALL"), "1") == 0;
  guint n = 0, n_errors = 0, n_harmless = 0, chosen;

  for (; n_errors < FAULT_KIND_ERRORS && kind->errors[n_errors] != 0; n_errors++)
    n_harmless += is_harmless (kind->errors[n_errors]) ? 1 : 0;
  /* Those that are harmless come first. */
  chosen = n_harmless + g_rand_int (rand) % MAX (n_errors - n_harmless, 1);
  for (guint i = 0; i < n_errors; i++)
    if (all || i < n_harmless || i == chosen)
      n += sweep_error (operation, kind->call, kind->errors[i], 1);
  /* And from then on, as of a disk that is dead. */
  for (guint i = n_harmless; all && i < n_errors; i++)
    n += sweep_error (operation, kind->call, kind->errors[i], 0);
  return n;
}

static void
test_operation (IpcTest *test)
{
  const FileCrashOperation *operation = test->data;
  gsize n_kinds;
  const FaultKind *kinds = fault_kinds (&n_kinds);
  const Fault none = { .call = "read", .error = FAULT_NONE };
  g_autofree gboolean *is_called = g_new0 (gboolean, n_kinds);
  GRand *rand = ipc_test_rand_new ();
  guint n = 0;

  ipc_test_set_deadline (120);
  file_crash_start (test);
  /* What is made once in the life of a process is there then. */
  run_once (operation, &none, FALSE);
  run_once (operation, &none, FALSE);
  for (gsize i = 0; i < n_kinds; i++)
    is_called[i] = fault_count (kinds[i].call) > 0;
  for (gsize i = 0; i < n_kinds; i++)
    n += is_called[i] ? sweep_kind (operation, &kinds[i], rand) : 0;
  file_crash_end ();
  g_rand_free (rand);
  g_test_message ("%u failures", n);
  g_assert_cmpuint (n, >, 0);
}

int
main (int argc, char **argv)
{
  file_crash_use_memory ();
  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; file_crash_operations[i].name != NULL; i++)
    {
      g_autofree char *path = g_strdup_printf ("/file/faults/%s", file_crash_operations[i].name);

      ipc_test_add_data (path, &file_crash_operations[i], test_operation);
    }
  return ipc_test_run ();
}
