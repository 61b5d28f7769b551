/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How clients reach their servers, with each system call of both sides failing: see sweep.h.
 */
#include "sweep.h"

#include <errno.h>
#include <string.h>

/* ── Opening ── */

static void
begin_open (Sweep *self)
{
  ipc_client_open_async (self->client, NULL, ipc_test_async_cb, &self->async);
}

static void
finish_open (Sweep *self)
{
  gboolean opened = ipc_client_open_finish (self->client, self->async.result, &self->error);

  g_assert_true (opened == (self->error == NULL));
  ipc_test_async_clear (&self->async);
  sweep_check_client (self);
}

static const SweepOperation open_async = {
  .name = "open",
  .prepare = sweep_prepare_client,
  .begin = begin_open,
  .is_over = sweep_has_answer,
  .finish = finish_open,
  .stride = 3,
};

/* ── By other addresses ── */

static void
prepare_name (Sweep *self)
{
  self->needle = "named";
  self->other = service_start_at ("named");
  sweep_make_client (self, "named");
}

static void
finish_other (Sweep *self)
{
  finish_open (self);
  g_clear_pointer (&self->other, service_free);
}

static const SweepOperation open_name = {
  .name = "open-name",
  .prepare = prepare_name,
  .begin = begin_open,
  .is_over = sweep_has_answer,
  .finish = finish_other,
  .stride = 9,
};

static void
prepare_abstract_client (Sweep *self)
{
  g_autoptr (GError) error = NULL;

  sweep_prepare_abstract (self);
  ipc_server_start (self->other->server, &error);
  g_assert_no_error (error);
  sweep_make_client (self, self->path);
}

static const SweepOperation open_abstract = {
  .name = "open-abstract",
  .transport = "socket",
  .prepare = prepare_abstract_client,
  .begin = begin_open,
  .is_over = sweep_has_answer,
  .finish = finish_other,
};

/* ── Waiting for a server ── */

static void
prepare_waiting (Sweep *self)
{
  sweep_set_path (self, "awaited");
  self->other = service_new (self->path);
  sweep_make_client (self, self->path);
  g_object_set (self->client, "wait-for-server", TRUE, NULL);
}

static void
start_again (Sweep *self)
{
  g_autoptr (GError) error = NULL;

  if (!ipc_server_get_is_running (self->other->server) && !ipc_server_start (self->other->server, &error) && strstr (error->message, "awaited") == NULL)
    g_error ("does not name the server: %s", error->message);
}

static void
begin_waiting (Sweep *self)
{
  begin_open (self);
  ipc_test_iterate (2);
  start_again (self);
}

static gboolean
has_found (Sweep *self)
{
  start_again (self);
  return sweep_has_answer (self);
}

/* Only what concerns the client; starting has a sweep of its own. */
static const char *const waiting[] = { "connect", "epoll_create1", "epoll_ctl", "getsockopt", "inotify_add_watch", "inotify_init1", "mkfifoat", "read",
                                       "recv", "recvmsg", "send", "sendmsg", "writev", NULL };
static const SweepOperation wait_for_server = {
  .name = "wait-for-server",
  .prepare = prepare_waiting,
  .begin = begin_waiting,
  .is_over = has_found,
  .finish = finish_other,
  .calls = waiting,
  .lie = ECONNREFUSED,
  .stride = 3,
};

/* ── Coming back ── */

static void
prepare_reconnect (Sweep *self)
{
  sweep_set_path (self, "awaited");
  self->other = service_start_at (self->path);
  sweep_make_client (self, self->path);
  g_assert_true (client_try_open (self->client, NULL));
  g_object_set (self->client, "wait-for-server", TRUE, "reconnect", TRUE, NULL);
  client_check (self->client);
}

static void
begin_reconnect (Sweep *self)
{
  ipc_server_stop (self->other->server);
  while (ipc_client_get_state (self->client) == IPC_CLIENT_STATE_OPEN)
    g_main_context_iteration (NULL, TRUE);
}

static gboolean
is_back (Sweep *self)
{
  IpcClientState state = ipc_client_get_state (self->client);

  start_again (self);
  return state == IPC_CLIENT_STATE_OPEN || state == IPC_CLIENT_STATE_CLOSED;
}

static void
finish_reconnect (Sweep *self)
{
  /* It gives up only where it is told that it may not. */
  if (sweep_is_closed (self))
    g_assert_true (self->fault != NULL && (self->fault->error == EACCES || self->fault->error == EPERM));
  ipc_server_start (self->other->server, NULL);
  sweep_check_client (self);
  g_clear_pointer (&self->other, service_free);
}

static const char *const coming_back[] = { "connect", "epoll_ctl", "getsockopt", "inotify_add_watch", "inotify_init1", "mkfifoat", "open", "recv",
                                           "recvmsg", "send", "writev", NULL };
static const SweepOperation reconnect = {
  .name = "reconnect",
  .prepare = prepare_reconnect,
  .begin = begin_reconnect,
  .is_over = is_back,
  .finish = finish_reconnect,
  .calls = coming_back,
  .stride = 5,
};

/* ── In a thread that waits ── */

static void
begin_blocking_open (Sweep *self)
{
  g_assert_true (ipc_client_open (self->client, NULL, &self->error) == (self->error == NULL));
}

/* Over a pipe nothing comes that would tell of it; nor is it waited for. */
static void
finish_blocking_open (Sweep *self)
{
  if (self->fault != NULL && g_str_equal (self->fault->call, "writev"))
    g_assert_false (g_error_matches (self->error, IPC_ERROR, IPC_ERROR_TIMED_OUT));
  sweep_check_remote (self);
}

static const SweepOperation blocking_open = {
  .name = "blocking-open",
  .prepare = sweep_prepare_remote,
  .begin = begin_blocking_open,
  .finish = finish_blocking_open,
  .in_this_thread = TRUE,
  .stride = 7,
};

int
main (int argc, char **argv)
{
  static const SweepOperation *const operations[] = { &open_async, &open_name, &open_abstract, &wait_for_server, &reconnect, &blocking_open, NULL };

  return sweep_run (&argc, &argv, operations);
}
