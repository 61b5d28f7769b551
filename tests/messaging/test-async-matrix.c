/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every asynchronous call, disturbed in every way at every iteration of the loop: it calls back exactly once, with the
 * result or an error that says what happened, and leaves nothing behind.
 */
#include <string.h>

#include "pair.h"

#define MAX_ITERATIONS 20

typedef enum
{
  DISTURB_NOT,
  DISTURB_BEFORE, /* cancelled before it is called */
  DISTURB_CANCEL,
  DISTURB_UNREF,  /* the caller's references go */
  DISTURB_CLOSE,  /* by this side */
  DISTURB_PEER,   /* the other side closes */
} Disturbance;

static const char *const disturbance_names[] = { "normal", "pre-cancelled", "cancelled", "dropped", "closed",
                                                 "closed-by-peer" };

typedef struct _World World;

/* One kind of call. */
typedef struct
{
  const char *name;
  void (*set_up) (World *world);
  void (*begin) (World *world, GCancellable *cancellable);
  gboolean (*finish) (World *world, GError **error); /* after the callback */
  void (*unref) (World *world);
  void (*close) (World *world);
  void (*close_peer) (World *world);
  void (*resume) (World *world); /* (nullable) what it waits for comes about */
} Call;

struct _World
{
  const Call *call;
  Pair pair;
  Raw raw;
  IpcConnection *stalled; /* (owned) (nullable) the server's, to RAW */
  GPtrArray *kept;        /* (owned) requests that wait for resume() */
  gboolean resumed;
  IpcTestAsync async;
  Answer answer;
};

/* ── The world of requests ── */

static IpcMessage *
make_answer (void)
{
  return ipc_message_new_text ("answer", "text");
}

static IpcMessage *
keep (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  World *self = data;

  if (self->resumed)
    return make_answer ();
  g_ptr_array_add (self->kept, ipc_message_ref (request));
  return NULL;
}

static void
answer_all (World *self)
{
  g_autoptr(IpcMessage) message = make_answer ();

  self->resumed = TRUE;
  for (guint i = 0; i < self->kept->len; i++)
    {
      IpcMessage *request = self->kept->pdata[i];

      ipc_connection_reply (IPC_CONNECTION (ipc_message_get_token (request)->connection), request, message, NULL);
    }
  g_ptr_array_set_size (self->kept, 0);
}

static void
set_up_pair (World *self)
{
  ipc_server_add_handler (self->pair.server, "keep", keep, self, NULL);
  pair_open (&self->pair);
}

static void
unref_client (World *self)
{
  g_clear_object (&self->pair.client);
  g_clear_object (&self->pair.near);
}

static void
close_client (World *self)
{
  ipc_client_close (self->pair.client);
}

static void
stop_server (World *self)
{
  ipc_server_stop (self->pair.server);
}

/* ── The calls ── */

static void
set_up_open (World *self)
{
  g_assert_true (ipc_server_start (self->pair.server, NULL));
}

static void
begin_open (World *self, GCancellable *cancellable)
{
  ipc_client_open_async (self->pair.client, cancellable, ipc_test_async_cb, &self->async);
}

static gboolean
finish_open (World *self, GError **error)
{
  return ipc_client_open_finish (IPC_CLIENT (self->async.source), self->async.result, error);
}

/* The server is not there yet. */
static void
set_up_wait (World *self)
{
  ipc_client_set_wait_for_server (self->pair.client, TRUE);
}

static void
start_server (World *self)
{
  g_assert_true (ipc_server_start (self->pair.server, NULL));
}

static void
start_and_stop_server (World *self)
{
  start_server (self);
  stop_server (self);
}

static void
begin_request (World *self, GCancellable *cancellable)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("keep", "");

  ipc_client_request_async (self->pair.client, message, -1, cancellable, ipc_test_async_cb, &self->async);
}

static gboolean
finish_request (World *self, GError **error)
{
  g_autoptr(IpcMessage) reply = ipc_client_request_finish (IPC_CLIENT (self->async.source), self->async.result, error);

  return reply != NULL;
}

static void
begin_request_of_connection (World *self, GCancellable *cancellable)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("keep", "");

  ipc_connection_request_async (self->pair.near, message, -1, cancellable, ipc_test_async_cb, &self->async);
}

static gboolean
finish_request_of_connection (World *self, GError **error)
{
  g_autoptr(IpcMessage) reply = ipc_connection_request_finish (IPC_CONNECTION (self->async.source), self->async.result,
                                                               error);

  return reply != NULL;
}

static void
begin_request_with_callback (World *self, GCancellable *cancellable)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("keep", "");

  ipc_connection_request_with_callback (self->pair.near, message, -1, cancellable, answer_cb, &self->answer);
}

static gboolean
finish_request_with_callback (World *self, GError **error)
{
  if (self->answer.error)
    g_propagate_error (error, g_error_copy (self->answer.error));
  return self->answer.reply != NULL;
}

/* A peer that takes nothing until resume(). */
static void
set_up_stalled (World *self)
{
  g_autofree char *text = g_strnfill (5000, 'x');
  g_autoptr(IpcMessage) message = ipc_message_new_text ("x", text);

  ipc_server_set_max_queued_bytes (self->pair.server, 20000);
  g_assert_true (ipc_server_start (self->pair.server, NULL));
  raw_connect_binary (&self->raw, self->pair.path, 1 << 24);
  ipc_test_wait_for (ipc_server_get_n_clients (self->pair.server) == 1);
  self->stalled = g_list_model_get_item (ipc_server_get_connections (self->pair.server), 0);
  while (ipc_connection_send (self->stalled, message, NULL))
    ;
}

static void
begin_send (World *self, GCancellable *cancellable)
{
  g_autofree char *text = g_strnfill (10000, 'x');
  g_autoptr(IpcMessage) message = ipc_message_new_text ("x", text);

  ipc_connection_send_async (self->stalled, message, cancellable, ipc_test_async_cb, &self->async);
}

static gboolean
finish_send (World *self, GError **error)
{
  return ipc_connection_send_finish (IPC_CONNECTION (self->async.source), self->async.result, error);
}

static void
begin_flush (World *self, GCancellable *cancellable)
{
  ipc_connection_flush_async (self->stalled, cancellable, ipc_test_async_cb, &self->async);
}

static gboolean
finish_flush (World *self, GError **error)
{
  return ipc_connection_flush_finish (IPC_CONNECTION (self->async.source), self->async.result, error);
}

static void
unref_stalled (World *self)
{
  g_clear_object (&self->stalled);
}

static void
close_stalled (World *self)
{
  ipc_connection_close (self->stalled);
}

static void
close_raw (World *self)
{
  raw_close (&self->raw);
}

static void
take_all (World *self)
{
  if (self->raw.fd >= 0)
    raw_drain (&self->raw, G_MAXUINT16);
}

/* Something is asked, so that there is something to wait for. */
static void
set_up_stop (World *self)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("keep", "");

  set_up_pair (self);
  ipc_connection_request_with_callback (self->pair.near, message, -1, NULL, answer_cb, &self->answer);
  ipc_test_wait_for (self->kept->len == 1);
}

static void
begin_stop (World *self, GCancellable *cancellable)
{
  ipc_server_stop_async (self->pair.server, cancellable, ipc_test_async_cb, &self->async);
}

static gboolean
finish_stop (World *self, GError **error)
{
  return ipc_server_stop_finish (IPC_SERVER (self->async.source), self->async.result, error);
}

static void
unref_server (World *self)
{
  g_clear_object (&self->pair.server);
  g_clear_object (&self->pair.far);
}

static const Call calls[] = {
  { "open", set_up_open, begin_open, finish_open, unref_client, close_client, stop_server, NULL },
  { "open-waiting", set_up_wait, begin_open, finish_open, unref_client, close_client, start_and_stop_server,
    start_server },
  { "request", set_up_pair, begin_request, finish_request, unref_client, close_client, stop_server, answer_all },
  { "connection-request", set_up_pair, begin_request_of_connection, finish_request_of_connection, unref_client,
    close_client, stop_server,
    answer_all },
  { "request-with-callback", set_up_pair, begin_request_with_callback, finish_request_with_callback, unref_client,
    close_client, stop_server,
    answer_all },
  { "send", set_up_stalled, begin_send, finish_send, unref_stalled, close_stalled, close_raw, take_all },
  { "flush", set_up_stalled, begin_flush, finish_flush, unref_stalled, close_stalled, close_raw, take_all },
  { "stop", set_up_stop, begin_stop, finish_stop, unref_server, stop_server, close_client, answer_all },
};

/* ── One run ── */

static void
world_init (World *self, const Call *call, IpcTest *test)
{
  memset (self, 0, sizeof *self);
  self->call = call;
  self->kept = g_ptr_array_new_with_free_func ((GDestroyNotify) ipc_message_unref);
  pair_init (&self->pair, test);
  call->set_up (self);
}

static void
world_clear (World *self)
{
  g_ptr_array_unref (self->kept);
  raw_clear (&self->raw);
  ipc_test_async_clear (&self->async);
  if (self->stalled)
    pair_wait_finalized (g_steal_pointer (&self->stalled));
  pair_clear (&self->pair);
  answer_clear (&self->answer);
}

static gboolean
has_called_back (World *self)
{
  if (self->call->begin == begin_request_with_callback)
    return self->answer.n_callbacks == 1;
  return self->async.n_callbacks == 1;
}

static void
disturb (World *self, Disturbance disturbance, GCancellable *cancellable)
{
  switch (disturbance)
    {
    case DISTURB_CANCEL:
      g_cancellable_cancel (cancellable);
      break;
    case DISTURB_UNREF:
      self->call->unref (self);
      break;
    case DISTURB_CLOSE:
      self->call->close (self);
      break;
    case DISTURB_PEER:
      self->call->close_peer (self);
      break;
    case DISTURB_NOT:
    case DISTURB_BEFORE:
    default:
      break;
    }
}

/* Which errors say what happened. */
static gboolean
is_plausible (Disturbance disturbance, const GError *error)
{
  switch (disturbance)
    {
    case DISTURB_BEFORE:
    case DISTURB_CANCEL:
      return g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    case DISTURB_UNREF:
    case DISTURB_CLOSE:
      return g_error_matches (error, IPC_ERROR, IPC_ERROR_CLOSED) ||
        g_error_matches (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED) ||
             g_error_matches (error, IPC_ERROR, IPC_ERROR_UNCERTAIN);
    case DISTURB_PEER:
      return is_plausible (DISTURB_CLOSE, error) || g_error_matches (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED) ||
             g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SERVER);
    case DISTURB_NOT:
    default:
      return FALSE;
    }
}

static void
check_outcome (World *self, Disturbance disturbance, guint k)
{
  g_autoptr(GError) error = NULL;
  gboolean success = self->call->finish (self, &error);

  g_assert_true (success == (error == NULL));
  if (success ? disturbance == DISTURB_BEFORE : !is_plausible (disturbance, error))
    g_error ("%s, %s at iteration %u: %s", self->call->name, disturbance_names[disturbance], k,
             error ? error->message : "succeeded");
}

static void
run (IpcTest *test, const Call *call, Disturbance disturbance, guint k)
{
  g_autoptr(GCancellable) cancellable = g_cancellable_new ();
  World world;

  world_init (&world, call, test);
  if (disturbance == DISTURB_BEFORE)
    g_cancellable_cancel (cancellable);
  /* most callers have none */
  call->begin (&world, disturbance <= DISTURB_CANCEL && disturbance != DISTURB_NOT ? cancellable : NULL);
  g_assert_false (has_called_back (&world));
  ipc_test_iterate (k);
  disturb (&world, disturbance, cancellable);
  /* what is cancelled or closed does not wait for anybody; what was only dropped goes on */
  if (call->resume && (disturbance == DISTURB_NOT || disturbance == DISTURB_UNREF))
    call->resume (&world);
  if (disturbance == DISTURB_CLOSE && call->begin == begin_flush)
    call->resume (&world);
  /* a server that waits for its clients is not closed by them */
  if (disturbance == DISTURB_PEER && call->begin == begin_open && call->resume)
    close_client (&world);
  ipc_test_wait_for (has_called_back (&world));
  check_outcome (&world, disturbance, k);
  ipc_test_settle ();
  g_assert_true (has_called_back (&world));
  world_clear (&world);
}

static void
test_call (IpcTest *test)
{
  const Call *call = test->data;
  guint n_fds;

  ipc_test_settle ();
  n_fds = ipc_test_count_fds ();
  run (test, call, DISTURB_NOT, 0);
  run (test, call, DISTURB_BEFORE, 0);
  for (Disturbance disturbance = DISTURB_CANCEL; disturbance <= DISTURB_PEER; disturbance++)
    for (guint k = 0; k <= MAX_ITERATIONS; k++)
      run (test, call, disturbance, k);
  ipc_test_settle ();
  g_assert_cmpuint (ipc_test_count_fds (), ==, n_fds);
}

/* ── Cancellables that outlive their calls ── */

/* A cancellable may be kept for years; what it once was for is not kept with it, and cancelling it does no harm. */
static void
test_cancel_afterwards (IpcTest *test)
{
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autoptr(GCancellable) cancellable = g_cancellable_new ();
      World world;

      world_init (&world, &calls[i], test);
      calls[i].begin (&world, cancellable);
      if (calls[i].resume)
        calls[i].resume (&world);
      ipc_test_wait_for (has_called_back (&world));
      check_outcome (&world, DISTURB_NOT, 0);
      world_clear (&world);
      ipc_test_settle ();
      g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 1);
      g_cancellable_cancel (cancellable);
      ipc_test_settle ();
    }
}

static gpointer
cancel_in_thread (gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

/* From another thread, while the loop runs, at no moment in particular. */
static void
test_cancel_in_thread (IpcTest *test)
{
  for (guint round = 0; round < 25; round++)
    for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
      {
        g_autoptr(GCancellable) cancellable = g_cancellable_new ();
        GThread *thread;
        World world;

        world_init (&world, &calls[i], test);
        thread = g_thread_new ("cancel", cancel_in_thread, cancellable);
        calls[i].begin (&world, cancellable);
        if (calls[i].resume)
          calls[i].resume (&world);
        ipc_test_wait_for (has_called_back (&world));
        g_thread_join (thread);
        check_outcome (&world, DISTURB_CANCEL, 0);
        world_clear (&world);
      }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      g_autofree char *path = g_strconcat ("/messaging/async-matrix/", calls[i].name, NULL);

      ipc_test_add_data (path, &calls[i], test_call);
    }
  ipc_test_add ("/messaging/async-matrix/cancel-afterwards", test_cancel_afterwards);
  ipc_test_add ("/messaging/async-matrix/cancel-in-thread", test_cancel_in_thread);
  return ipc_test_run ();
}
