/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What clients and servers do with one another, with each of their system calls failing: see sweep.h.
 *
 * Both are in this process, so that each call of both sides fails once. Where a client blocks, the server has a thread,
 * and only the calls of the client fail.
 */
#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "messaging/ipc-client-private.h"
#include "messaging/ipc-shared-payload-private.h"

#define LARGE (IPC_SHARED_PAYLOAD_MIN + 4321)
#define N_LARGE (IPC_SHARED_PAYLOAD_AFTER + 2)
#define BLOCKED_MS 300          /* so long a call that blocks may wait for what does not come */

/* ── Requests ── */

static void
begin_request (Sweep *self)
{
  g_autoptr (IpcMessage) request = ipc_message_new_text ("echo", "how do you do");

  ipc_client_request_async (self->client, request, IPC_TIMEOUT_DEFAULT, NULL, ipc_test_async_cb, &self->async);
}

static void
finish_request (Sweep *self)
{
  g_autoptr (IpcMessage) reply = ipc_client_request_finish (self->client, self->async.result, &self->error);

  g_assert_true ((reply != NULL) == (self->error == NULL));
  if (reply != NULL)
    g_assert_cmpstr (ipc_message_get_text (reply), ==, "how do you do");
  ipc_test_async_clear (&self->async);
  sweep_check_client (self);
}

static const SweepOperation ask = {
  .name = "request",
  .prepare = sweep_prepare_open_client,
  .begin = begin_request,
  .is_over = sweep_has_answer,
  .finish = finish_request,
};

/* ── Replies that come later ── */

static void
prepare_held (Sweep *self)
{
  g_autoptr (IpcMessage) message = ipc_message_new_text ("hold", "how do you do");

  sweep_prepare_open_client (self);
  ipc_client_request_async (self->client, message, IPC_TIMEOUT_DEFAULT, NULL, ipc_test_async_cb, &self->async);
  ipc_test_wait_for (self->service->held->len == 1);
}

static void
begin_reply (Sweep *self)
{
  IpcMessage *held = g_ptr_array_index (self->service->held, 0);
  g_autoptr (IpcMessage) reply = ipc_message_new_text ("held_response", ipc_message_get_text (held));

  ipc_connection_reply (g_ptr_array_index (self->service->holders, 0), held, reply, &self->error);
  g_assert_no_error (self->error);      /* it is only queued */
  g_ptr_array_set_size (self->service->held, 0);
  g_ptr_array_set_size (self->service->holders, 0);
}

static const SweepOperation reply_later = {
  .name = "reply",
  .prepare = prepare_held,
  .begin = begin_reply,
  .is_over = sweep_has_answer,
  .finish = finish_request,
};

/* ── Events ── */

/* What came of a number of events, with their payloads as they were sent. */
typedef struct
{
  guint n;
  GBytes *payload;              /* (owned) */
} Arrivals;

static IpcMessage *
count_arrival (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  Arrivals *arrivals = data;

  g_assert_true (g_bytes_equal (ipc_message_get_payload (message), arrivals->payload));
  arrivals->n++;
  return NULL;
}

static void
begin_arrivals (Sweep *self, gsize size)
{
  Arrivals *arrivals = g_new0 (Arrivals, 1);
  guint8 *bytes = g_malloc (size);

  for (gsize i = 0; i < size; i++)
    bytes[i] = (guint8) (i ^ (i >> 8));
  arrivals->payload = g_bytes_new_take (bytes, size);
  ipc_server_add_handler (self->service->server, "event", count_arrival, arrivals, NULL);
  self->data = arrivals;
}

static void
end_arrivals (Sweep *self)
{
  Arrivals *arrivals = self->data;

  ipc_server_remove_handler (self->service->server, "event");
  g_bytes_unref (arrivals->payload);
  g_clear_pointer (&self->data, g_free);
}

/* All that was sent, or the connection is closed, and both sides know. */
static gboolean
has_arrived (Sweep *self, guint n)
{
  return ((Arrivals *) self->data)->n == n || (sweep_is_closed (self) && ipc_server_get_n_clients (self->service->server) == 1);
}

static void
prepare_send (Sweep *self)
{
  sweep_prepare_open_client (self);
  begin_arrivals (self, 100);
}

static void
begin_send (Sweep *self)
{
  Arrivals *arrivals = self->data;
  g_autoptr (IpcMessage) message = ipc_message_new ("event", arrivals->payload);

  ipc_client_send (self->client, message, &self->error);
  g_assert_no_error (self->error);
}

static gboolean
one_has_arrived (Sweep *self)
{
  return has_arrived (self, 1);
}

static void
finish_send (Sweep *self)
{
  /* What failed after the last one had arrived has closed the connection, and both sides are to know. */
  ipc_test_settle ();
  end_arrivals (self);
  sweep_check_client (self);
}

static const SweepOperation send_event = {
  .name = "send",
  .prepare = prepare_send,
  .begin = begin_send,
  .is_over = one_has_arrived,
  .finish = finish_send,
};

/* ── Lines ── */

typedef struct
{
  guint n;
  int fd;                       /* (owned) */
} Lines;

static IpcMessage *
count_line (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  g_assert_cmpstr (ipc_message_get_text (message), ==, "all the same");
  ((Lines *) data)->n++;
  return NULL;
}

static void
prepare_line (Sweep *self)
{
  Lines *lines = g_new0 (Lines, 1);

  sweep_prepare_open_client (self);
  lines->fd = open (self->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_no_errno (lines->fd);
  ipc_server_add_handler (self->service->server, "line", count_line, lines, NULL);
  self->data = lines;
}

/* Who wrote it has left: the server sweeps, too. */
static void
begin_line (Sweep *self)
{
  Lines *lines = self->data;

  g_assert_cmpint (write (lines->fd, "all the same\n", 13), ==, 13);
  close (lines->fd);
}

/* It comes, in any case: nobody would be told that it does not. */
static gboolean
line_has_come (Sweep *self)
{
  return ((Lines *) self->data)->n == 1;
}

static void
finish_line (Sweep *self)
{
  ipc_server_remove_handler (self->service->server, "line");
  g_clear_pointer (&self->data, g_free);
  sweep_check_client (self);
}

static const char *const hears[] = { "epoll_wait", "fdopendir", "openat", "poll", "read", NULL };
static const SweepOperation line = {
  .name = "line",
  .transport = "pipe",
  .prepare = prepare_line,
  .begin = begin_line,
  .is_over = line_has_come,
  .finish = finish_line,
  .calls = hears,
  .stride = 2,
};

/* ── Payloads in a memfd ── */

static void
prepare_large (Sweep *self)
{
  sweep_prepare_open_client (self);
  begin_arrivals (self, LARGE);
}

/* One message, often enough that it pays to share it. It is there without, too: only the connection can fail. */
static void
begin_large (Sweep *self)
{
  Arrivals *arrivals = self->data;
  g_autoptr (IpcMessage) message = ipc_message_new ("event", arrivals->payload);

  for (guint i = 0; i < N_LARGE; i++)
    {
      guint before = arrivals->n;

      if (!ipc_client_send (self->client, message, NULL))
        return;
      while (arrivals->n == before && !has_arrived (self, N_LARGE))
        g_main_context_iteration (NULL, TRUE);
    }
}

static gboolean
all_have_arrived (Sweep *self)
{
  return has_arrived (self, N_LARGE);
}

static const char *const shares[] = { "fcntl", "fstat", "fstatfs", "memfd_create", "mmap", "recvmsg", "sendmsg", "write", NULL };
static const SweepOperation send_memfd = {
  .name = "send-memfd",
  .transport = "socket",
  .prepare = prepare_large,
  .begin = begin_large,
  .is_over = all_have_arrived,
  .finish = finish_send,
  .calls = shares,
  .stride = 3,
};

/* ── Descriptors ── */

static IpcMessage *
return_descriptors (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  return ipc_message_new_full ("returned", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, ipc_message_get_fd_list (message));
}

static void
prepare_descriptors (Sweep *self)
{
  g_object_set (self->service->server, "max-fds", 4, NULL);
  sweep_prepare_client (self);
  g_object_set (self->client, "max-fds", 4, NULL);
  g_assert_true (client_try_open (self->client, NULL));
  ipc_server_add_handler (self->service->server, "descriptors", return_descriptors, NULL, NULL);
}

static void
begin_descriptors (Sweep *self)
{
  g_autoptr (GUnixFDList) list = g_unix_fd_list_new ();
  g_autoptr (IpcMessage) message = NULL;

  g_unix_fd_list_append (list, STDIN_FILENO, NULL);
  g_unix_fd_list_append (list, STDERR_FILENO, NULL);
  message = ipc_message_new_full ("descriptors", IPC_PAYLOAD_FORMAT_BYTES, NULL, NULL, list);
  ipc_client_request_async (self->client, message, IPC_TIMEOUT_DEFAULT, NULL, ipc_test_async_cb, &self->async);
}

static void
finish_descriptors (Sweep *self)
{
  g_autoptr (IpcMessage) reply = ipc_client_request_finish (self->client, self->async.result, &self->error);

  g_assert_true ((reply != NULL) == (self->error == NULL));
  if (reply != NULL)
    g_assert_cmpint (g_unix_fd_list_get_length (ipc_message_get_fd_list (reply)), ==, 2);
  g_clear_pointer (&reply, ipc_message_unref);
  ipc_test_async_clear (&self->async);
  ipc_server_remove_handler (self->service->server, "descriptors");
  sweep_check_client (self);
}

static const SweepOperation send_descriptors = {
  .name = "send-descriptors",
  .transport = "socket",
  .prepare = prepare_descriptors,
  .begin = begin_descriptors,
  .is_over = sweep_has_answer,
  .finish = finish_descriptors,
};

/* ── Broadcasts ── */

#define LISTENERS 3

typedef struct
{
  IpcClient *clients[LISTENERS]; /* (owned) */
  guint n_heard[LISTENERS];
} Listeners;

static void
hear (IpcClient *client, IpcMessage *message, guint *n_heard)
{
  (*n_heard)++;
}

static void
prepare_broadcast (Sweep *self)
{
  Listeners *listeners = g_new0 (Listeners, 1);

  sweep_set_path (self, "broadcaster");
  self->other = service_start_at (self->path);
  for (guint i = 0; i < LISTENERS; i++)
    {
      listeners->clients[i] = client_open (self->path);
      g_signal_connect (listeners->clients[i], "message-received", G_CALLBACK (hear), &listeners->n_heard[i]);
    }
  self->data = listeners;
}

static void
begin_broadcast (Sweep *self)
{
  g_autoptr (IpcMessage) news = ipc_message_new_text ("news", "there are none");
  guint n_dropped;

  g_assert_cmpuint (ipc_server_broadcast (self->other->server, news, &n_dropped), ==, LISTENERS);
  g_assert_cmpuint (n_dropped, ==, 0);
}

/* Each has it, or is closed. */
static gboolean
all_have_heard (Sweep *self)
{
  Listeners *listeners = self->data;
  guint n_open = 0;

  for (guint i = 0; i < LISTENERS; i++)
    {
      gboolean is_open = ipc_client_get_state (listeners->clients[i]) == IPC_CLIENT_STATE_OPEN;

      if (is_open && listeners->n_heard[i] == 0)
        return FALSE;
      n_open += is_open;
    }
  return ipc_server_get_n_clients (self->other->server) == n_open;
}

/* What fails once is about one of them. */
static void
finish_broadcast (Sweep *self)
{
  Listeners *listeners = self->data;
  guint n_lost = 0;

  for (guint i = 0; i < LISTENERS; i++)
    {
      g_assert_cmpuint (listeners->n_heard[i], <=, 1);
      n_lost += listeners->n_heard[i] == 0;
      self->client = g_steal_pointer (&listeners->clients[i]);
      sweep_drop_client (self);
    }
  g_assert_cmpuint (n_lost, <=, self->fault == NULL ? 0 : self->fault->times == 1 ? 1 : LISTENERS);
  g_clear_pointer (&self->data, g_free);
  g_clear_pointer (&self->other, service_free);
}

static const SweepOperation broadcast = {
  .name = "broadcast",
  .prepare = prepare_broadcast,
  .begin = begin_broadcast,
  .is_over = all_have_heard,
  .finish = finish_broadcast,
};

/* ── In a thread that waits ── */

static void
prepare_remote_client (Sweep *self)
{
  sweep_prepare_remote (self);
  g_assert_true (ipc_client_open (self->client, NULL, NULL));
}

static void
begin_blocking_request (Sweep *self)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (IpcMessage) message = ipc_message_new_text ("echo", "how do you do");
  g_autoptr (IpcMessage) answer = ipc_client_request (self->client, message, BLOCKED_MS, cancellable, &self->error);

  g_assert_true ((answer != NULL) == (self->error == NULL));
}

static const SweepOperation blocking_request = {
  .name = "blocking-request",
  .prepare = prepare_remote_client,
  .begin = begin_blocking_request,
  .finish = sweep_check_remote,
  .in_this_thread = TRUE,
  .stride = 3,
};

int
main (int argc, char **argv)
{
  static const SweepOperation *const operations[] = { &ask, &reply_later, &send_event, &line, &send_memfd, &send_descriptors, &broadcast,
                                                      &blocking_request, NULL };

  return sweep_run (&argc, &argv, operations);
}
