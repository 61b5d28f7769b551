/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * See sweep.h for what it does. All but the operations that block is one thread: client, server and bystander.
 */
#include "sweep.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ipc-error-private.h"
#include "fault-kinds.h"
#include "fault-tell.h"

#define SERVED "served"
#define PAIRS ".served.d"       /* of a pipe */
#define FEW 3u                  /* in a row, of what the kernel would not go on with for ever */
#define MOST 400u
#define PATIENCE_US 50000       /* so long an operation may be held up by what goes on failing */
#define SECONDS 10

static void
tell_what_was_tried (int signal_number)
{
  const char *now = fault_get_now ();

  if (write (STDERR_FILENO, now, strlen (now)) < 0 || write (STDERR_FILENO, "\n", 1) < 0)
    _exit (134);
  signal (signal_number, SIG_DFL);
  raise (signal_number);
}

/* ── What has to hold ── */

/* The kernel says these when nothing is wrong. */
static gboolean
is_harmless (const Fault *fault)
{
  return fault->error == FAULT_NONE || fault->error == FAULT_SHORT || fault->error == EINTR ||
         (fault->error == EAGAIN && !g_str_equal (fault->call, "connect"));
}

/* What became of the other side, where what failed is not told as it is. */
static gboolean
is_about_the_other (const GError *error)
{
  static const IpcError codes[] = { IPC_ERROR_NO_SERVER, IPC_ERROR_NOT_CONNECTED, IPC_ERROR_UNCERTAIN, IPC_ERROR_CLOSED,
                                    IPC_ERROR_TIMED_OUT, IPC_ERROR_ADDRESS_IN_USE,
                                    IPC_ERROR_PERMISSION_DENIED };      /* it closed before it had said HELLO */

  for (gsize i = 0; i < G_N_ELEMENTS (codes); i++)
    if (g_error_matches (error, IPC_ERROR, codes[i]))
      return TRUE;
  return FALSE;
}

/* What the kernel calls no space, or too many files, is a limit of the user's. */
static gboolean
is_about_watches (const Fault *fault, const GError *error)
{
  return g_str_has_prefix (fault->call, "inotify") && g_error_matches (error, IPC_ERROR, IPC_ERROR_LIMIT_EXCEEDED);
}

static gboolean
has_right_code (const Fault *fault, const GError *error)
{
  g_autoptr (GError) like = NULL;

  ipc_error_set_errno (&like, fault->error, "like");
  return g_error_matches (error, like->domain, like->code) || is_about_the_other (error) || is_about_watches (fault, error);
}

static void
check_error (Sweep *self)
{
  if (self->error == NULL)
    return;
  if (self->fault == NULL || (is_harmless (self->fault) && !self->operation->must_fail))
    fault_complain ("failed: %s", self->error->message);
  else if (!has_right_code (self->fault, self->error))
    fault_complain ("says %s %d: %s", g_quark_to_string (self->error->domain), self->error->code, self->error->message);
  else if (strstr (self->error->message, self->needle) == NULL)
    fault_complain ("does not name \"%s\": %s", self->needle, self->error->message);
}

static gboolean
may_stay (const char *name)
{
  return g_str_equal (name, SERVED) || g_str_equal (name, PAIRS) || (name[0] == '.' && g_str_has_suffix (name, ".lock"));
}

static void
remove_left (Sweep *self, const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  /* What could not be removed is still there, and only that. */
  if (self->fault == NULL || !g_str_equal (self->fault->call, "unlinkat"))
    fault_complain ("%s is left", path);
  ipc_test_remove_tree (path);
}

static void
check_folder (Sweep *self, const char *folder)
{
  g_autoptr (GDir) directory = g_dir_open (folder, 0, NULL);
  const char *name;

  while (directory != NULL && (name = g_dir_read_name (directory)) != NULL)
    if (!may_stay (name))
      remove_left (self, folder, name);
}

static void
check_directory (Sweep *self)
{
  g_autofree char *pairs = g_build_filename (self->directory, PAIRS, NULL);

  check_folder (self, self->directory);
  check_folder (self, pairs);
}

static void
check_bystander (Sweep *self)
{
  ipc_test_wait_for (ipc_server_get_n_clients (self->service->server) == 1);
  client_check (self->bystander);
}

/* An acceptor that was short of them may not have its second one back yet. */
static void
check_fds (guint n_fds)
{
  ipc_test_settle ();
  ipc_test_wait_for (ipc_test_count_fds () <= n_fds);
}

/* ── One time ── */

static void
run_until_over (Sweep *self)
{
  gint64 start = g_get_monotonic_time ();

  while (!self->operation->is_over (self))
    {
      if (g_get_monotonic_time () - start > PATIENCE_US)
        fault_disarm ();
      if (g_get_monotonic_time () - start > SECONDS * G_USEC_PER_SEC)
        g_error ("%s: is not over after %d s", fault_get_now (), SECONDS);
      g_main_context_iteration (NULL, TRUE);
    }
}

/* How many calls failed. */
static guint
run_once (Sweep *self, const Fault *fault)
{
  const Fault none = { .call = "read", .error = FAULT_NONE, .in_this_thread = self->operation->in_this_thread };
  guint fired;

  self->fault = fault;
  fault_describe (self->operation->name, fault);
  self->operation->prepare (self);
  fault_arm (fault != NULL ? fault : &none);
  self->operation->begin (self);
  if (self->operation->is_over != NULL)
    run_until_over (self);
  fired = fault_disarm ();
  self->operation->finish (self);
  check_error (self);
  g_clear_error (&self->error);
  check_directory (self);
  return fired;
}

static guint
run_checked (Sweep *self, guint n_fds, const Fault *fault)
{
  guint fired = run_once (self, fault);

  check_bystander (self);
  check_fds (n_fds);
  if (fired > 0)
    run_once (self, NULL);
  return fired;
}

/* ── All of them ── */

static gboolean
tries_all (void)
{
  return g_strcmp0 (g_getenv ("IPC_TEST_FAULTS_ALL"), "1") == 0;
}

/* Each call in turn, from the first on, or from one that is another each time. */
static guint
sweep_error (Sweep *self, guint n_fds, const FaultKind *kind, int error, guint times)
{
  static guint in_turn = 0;
  Fault fault = { .call = kind->call, .error = error, .times = times, .in_this_thread = self->operation->in_this_thread };
  guint n = 0;

  for (fault.first = 1 + in_turn++ % self->step; fault.first <= MOST; fault.first += self->step)
    {
      if (run_checked (self, n_fds, &fault) == 0)
        break;
      n++;
    }
  g_assert_cmpuint (fault.first, <=, MOST);
  return n;
}

/* An operation that starts again for ever after EINTR is right. */
static guint
sweep_kind (Sweep *self, guint n_fds, const FaultKind *kind)
{
  static guint in_turn = 0;
  guint n = 0, n_errors = 0;

  while (n_errors < FAULT_KIND_ERRORS && kind->errors[n_errors] != 0)
    n_errors++;
  in_turn++;
  for (guint i = 0; i < n_errors; i++)
    {
      const Fault like = { .call = kind->call, .error = kind->errors[i] };

      if (kind->errors[i] == self->operation->lie)
        continue;
      n += sweep_error (self, n_fds, kind, kind->errors[i], 1);
      if (tries_all () || in_turn % n_errors == i)
        n += sweep_error (self, n_fds, kind, kind->errors[i], is_harmless (&like) ? FEW : 0);
    }
  return n;
}

static gboolean
is_swept (const SweepOperation *operation, const char *call)
{
  return operation->calls == NULL || g_strv_contains (operation->calls, call);
}

/* After a time when nothing failed: each error is to be tried once, at least. */
static guint
choose_step (Sweep *self, const char *call)
{
  if (tries_all () || (!transport_is_pipe () && self->operation->transport == NULL))
    return 1;
  return MAX (1, MIN (self->operation->stride, fault_count (call)));
}

static void
sweep_all (Sweep *self)
{
  gsize n_kinds;
  const FaultKind *kinds = fault_kinds (&n_kinds);
  g_autofree guint *steps = g_new0 (guint, n_kinds);
  guint n_fds;
  guint n = 0;

  run_once (self, NULL);        /* what is made once in the life of a process is there then */
  run_once (self, NULL);
  for (gsize i = 0; i < n_kinds; i++)
    steps[i] = choose_step (self, kinds[i].call);
  check_bystander (self);
  n_fds = ipc_test_count_fds ();
  for (gsize i = 0; i < n_kinds; i++)
    {
      self->step = steps[i];
      if (is_swept (self->operation, kinds[i].call))
        n += sweep_kind (self, n_fds, &kinds[i]);
    }
  g_test_message ("%u failures", n);
  g_assert_cmpuint (n, >, 0);
}

/* A GSocketService and a main loop warn of it, and go on. (Whether a call of g_poll() counts as ours depends on how
 * everything was compiled.) */
static gboolean
is_expected (const char *message)
{
  return g_str_has_prefix (message, "fail: Error accepting connection") || g_str_has_prefix (message, "poll(2) failed due to");
}

static gboolean
is_fatal (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  return !is_expected (message);
}

static void
write_log (const char *domain, GLogLevelFlags level, const char *message, gpointer data)
{
  if (!is_expected (message))
    g_log_default_handler (domain, level, message, data);
}

static gboolean
tick (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static void
test_operation (IpcTest *test)
{
  Sweep self = { .operation = test->data, .directory = test->directory };
  g_autofree char *path = ipc_test_path (test, SERVED);
  guint timer = g_timeout_add (20, tick, NULL);
  guint gio_handler, glib_handler;

  ipc_test_set_deadline (tries_all () ? 600 : 120);
  g_test_log_set_fatal_handler (is_fatal, NULL);
  gio_handler = g_log_set_handler ("GLib-GIO", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL, write_log, NULL);
  glib_handler = g_log_set_handler ("GLib", G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL, write_log, NULL);
  signal (SIGABRT, tell_what_was_tried);
  signal (SIGTRAP, tell_what_was_tried);        /* which is how GLib ends a program */
  self.service = service_start_at (path);
  self.bystander = client_open (path);
  client_check (self.bystander);
  sweep_all (&self);
  g_source_remove (timer);
  ipc_client_close (self.bystander);
  ipc_test_wait_for (ipc_server_get_n_clients (self.service->server) == 0);
  g_object_unref (self.bystander);
  service_free (self.service);
  g_log_remove_handler ("GLib", glib_handler);
  g_log_remove_handler ("GLib-GIO", gio_handler);
  g_free (self.path);
}

static void
add_operation (const SweepOperation *operation)
{
  g_autofree char *path = g_strdup_printf ("/%s/faults/%s", transport_get_name (), operation->name);

  if (operation->transport == NULL || g_str_equal (operation->transport, transport_get_name ()))
    ipc_test_add_data (path, operation, test_operation);
}

int
sweep_run (int *argc, char ***argv, const SweepOperation *const *operations)
{
  ipc_test_init (argc, argv, NULL);
  for (gsize i = 0; operations[i] != NULL; i++)
    add_operation (operations[i]);
  return ipc_test_run ();
}

/* ── For operations ── */

void
sweep_set_path (Sweep *self, const char *name)
{
  g_free (self->path);
  self->path = g_build_filename (self->directory, name, NULL);
  self->needle = name;
}
