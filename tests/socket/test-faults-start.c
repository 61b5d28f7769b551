/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What makes servers and finds them, with each of its system calls failing: see sweep.h.
 */
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ── Starting ── */

static void
prepare_server (Sweep *self)
{
  sweep_set_path (self, "started");
  self->other = service_new (self->path);
}

static void
begin_start (Sweep *self)
{
  ipc_server_start (self->other->server, &self->error);
}

/* The same server starts now, if it did not before; and serves. */
static void
finish_start (Sweep *self)
{
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (ipc_server_get_is_running (self->other->server), ==, self->error == NULL);
  if (self->error != NULL && (self->fault == NULL || self->fault->error != EADDRINUSE))
    g_assert_false (g_error_matches (self->error, IPC_ERROR, IPC_ERROR_ADDRESS_IN_USE));
  if (self->error != NULL)
    ipc_server_start (self->other->server, &error);
  g_assert_no_error (error);
  self->client = client_open (self->path);
  client_check (self->client);
  sweep_drop_client (self);
  g_clear_pointer (&self->other, service_free);
}

static const SweepOperation start = {
  .name = "start",
  .prepare = prepare_server,
  .begin = begin_start,
  .finish = finish_start,
  .stride = 3,
};

/* A pair of pipes, too, of a client that waited. */
static void
leave_stale_pipe (const char *path)
{
  g_autofree char *directory = g_path_get_dirname (path);
  g_autofree char *pairs = g_build_filename (directory, ".started.d", NULL);
  g_autofree char *in = g_build_filename (pairs, "0123456789abcdef0123456789abcdef.in", NULL);
  g_autofree char *out = g_build_filename (pairs, "0123456789abcdef0123456789abcdef.out", NULL);

  g_assert_no_errno (mkfifo (path, 0600));
  g_assert_no_errno (mkdir (pairs, 0700));
  g_assert_no_errno (mkfifo (in, 0600));
  g_assert_no_errno (mkfifo (out, 0600));
}

static void
prepare_stale (Sweep *self)
{
  prepare_server (self);
  if (transport_is_pipe ())
    leave_stale_pipe (self->path);
  else
    raw_leave_stale (self->path);
}

static const SweepOperation start_stale = {
  .name = "start-stale",
  .prepare = prepare_stale,
  .begin = begin_start,
  .finish = finish_start,
  .stride = 7,
};

/* ── What is somebody else's is never taken away ── */

static void
prepare_foreign (Sweep *self)
{
  prepare_server (self);
  self->data = GINT_TO_POINTER (raw_listen (self->path));
}

/* A pipe that somebody reads who does not know of the lock. */
static void
prepare_read_pipe (Sweep *self)
{
  int fd;

  prepare_server (self);
  g_assert_no_errno (mkfifo (self->path, 0600));
  fd = open (self->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_no_errno (fd);
  self->data = GINT_TO_POINTER (fd);
}

static void
take_refusal (Sweep *self)
{
  g_assert_false (ipc_server_get_is_running (self->other->server));
  if (self->fault == NULL)
    assert_ipc_error (self->error, IPC_ERROR_ADDRESS_IN_USE, self->needle);
  if (self->fault == NULL)
    g_clear_error (&self->error);
  g_clear_pointer (&self->other, service_free);
}

static void
finish_foreign (Sweep *self)
{
  int fd = GPOINTER_TO_INT (self->data);
  g_autoptr (Raw) raw = NULL;

  take_refusal (self);
  raw = raw_connect (self->path);
  raw_free (raw_accept (fd));
  g_assert_no_errno (unlink (self->path));
  close (fd);
}

static void
finish_read_pipe (Sweep *self)
{
  int fd = GPOINTER_TO_INT (self->data);
  int writer;
  char byte;

  take_refusal (self);
  writer = open (self->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (write (writer, "x", 1), ==, 1);
  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
  close (writer);
  close (fd);
  g_assert_no_errno (unlink (self->path));
}

/* Only those that the look at it makes; it takes its time. */
static const char *const looks[] = { "connect", "fstatat", "socket", NULL };
static const SweepOperation start_foreign = {
  .name = "start-foreign",
  .transport = "socket",
  .prepare = prepare_foreign,
  .begin = begin_start,
  .finish = finish_foreign,
  .calls = looks,
  .lie = ECONNREFUSED,
  .must_fail = TRUE,
  .stride = 53,
};

/* It looks 20 times, a millisecond each. */
static const char *const pipe_looks[] = { "flock", "fstat", "fstatat", "mkdirat", "open", "openat", NULL };
static const SweepOperation start_read_pipe = {
  .name = "start-foreign",
  .transport = "pipe",
  .prepare = prepare_read_pipe,
  .begin = begin_start,
  .finish = finish_read_pipe,
  .calls = pipe_looks,
  .must_fail = TRUE,
  .stride = 23,
};

/* ── Sockets without a file of ours ── */

static const SweepOperation start_abstract = {
  .name = "start-abstract",
  .transport = "socket",
  .prepare = sweep_prepare_abstract,
  .begin = begin_start,
  .finish = finish_start,
};

/* The client knows the socket by its path; the server by the number of a descriptor. */
static void
prepare_activated (Sweep *self)
{
  g_autofree char *address = NULL;
  int fd;

  sweep_set_path (self, "activated");
  fd = raw_listen (self->path);
  address = g_strdup_printf ("fd:%d", fd);
  self->data = GINT_TO_POINTER (fd);
  self->other = service_new (address);
  self->needle = "descriptor";
}

static void
finish_activated (Sweep *self)
{
  finish_start (self);
  close (GPOINTER_TO_INT (self->data));
  g_assert_no_errno (unlink (self->path));
}

static const SweepOperation start_activated = {
  .name = "start-activated",
  .transport = "socket",
  .prepare = prepare_activated,
  .begin = begin_start,
  .finish = finish_activated,
};

/* ── Stopping ── */

static void
prepare_running (Sweep *self)
{
  sweep_set_path (self, "stopped");
  self->other = service_start_at (self->path);
  self->client = client_open (self->path);
  client_check (self->client);
}

static void
begin_stop (Sweep *self)
{
  ipc_server_stop (self->other->server);
}

static gboolean
is_stopped (Sweep *self)
{
  return ipc_server_get_n_clients (self->other->server) == 0 && ipc_client_get_state (self->client) == IPC_CLIENT_STATE_CLOSED;
}

/* It starts again, whatever happened. */
static void
finish_stop (Sweep *self)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (ipc_server_get_is_running (self->other->server));
  sweep_drop_client (self);
  ipc_server_start (self->other->server, &error);
  g_assert_no_error (error);
  self->client = client_open (self->path);
  client_check (self->client);
  sweep_drop_client (self);
  g_clear_pointer (&self->other, service_free);
}

static const SweepOperation stop = {
  .name = "stop",
  .prepare = prepare_running,
  .begin = begin_stop,
  .is_over = is_stopped,
  .finish = finish_stop,
  .stride = 2,
};

/* With a request that is answered only after it was asked to stop. */
static void
prepare_busy (Sweep *self)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("hold", "on");

  prepare_running (self);
  ipc_client_request_async (self->client, request, IPC_TIMEOUT_DEFAULT, NULL, ipc_test_async_cb, &self->async);
  ipc_test_wait_for (self->other->held->len == 1);
}

static void
begin_stop_async (Sweep *self)
{
  IpcTestAsync *stopping = g_new0 (IpcTestAsync, 1);

  self->data = stopping;
  ipc_server_stop_async (self->other->server, NULL, ipc_test_async_cb, stopping);
  service_release (self->other);
}

static gboolean
has_stopped (Sweep *self)
{
  return ((IpcTestAsync *) self->data)->n_callbacks == 1 && self->async.n_callbacks == 1 && is_stopped (self);
}

static void
finish_stop_async (Sweep *self)
{
  IpcTestAsync *stopping = self->data;
  g_autoptr (IpcMessage) reply = ipc_client_request_finish (self->client, self->async.result, &self->error);

  g_assert_true ((reply != NULL) == (self->error == NULL));
  g_assert_true (ipc_server_stop_finish (self->other->server, stopping->result, NULL));
  ipc_test_async_clear (&self->async);
  ipc_test_async_clear (stopping);
  g_free (stopping);
  finish_stop (self);
}

static const SweepOperation stop_async = {
  .name = "stop-async",
  .prepare = prepare_busy,
  .begin = begin_stop_async,
  .is_over = has_stopped,
  .finish = finish_stop_async,
  .stride = 2,
};

int
main (int argc, char **argv)
{
  static const SweepOperation *const operations[] = { &start, &start_stale, &start_foreign, &start_read_pipe, &start_abstract,
                                                      &start_activated, &stop, &stop_async, NULL };

  return sweep_run (&argc, &argv, operations);
}
