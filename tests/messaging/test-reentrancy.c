/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What handlers may do: from within every signal and handler, everything that could pull the ground from under it.
 * Each combination plays the same short life of a server and a client; nothing may crash, hang or stay behind.
 */
#include <string.h>

#include "pair.h"

/* ── A life ── */

typedef struct _Life Life;

typedef struct
{
  const char *name;
  void (*run) (Life *life);
} Action;

struct _Life
{
  Pair pair;
  gpointer weak[4];
  const Action *action; /* (nullable) once it is done */
  gpointer instance;    /* what is connected to (not owned), and */
  gulong handler_id;    /* the handler */
  gboolean ran;
  IpcTestAsync open;
  Answer answers[4];
  gboolean asked; /* whether answers[3] is to come */
};

/* Connected swapped, so that it fits every signal; the value is for authorize-client. */
static guint
act (Life *self)
{
  const Action *action = g_steal_pointer (&self->action);

  if (action)
    {
      self->ran = TRUE;
      action->run (self);
    }
  return IPC_AUTHORIZATION_GRANTED;
}

static IpcMessage *
act_in_handler (IpcServer *server, IpcConnection *connection, IpcMessage *request, gpointer data, GError **error)
{
  g_autofree char *type = g_strdup (ipc_message_get_message_type (request));

  act (data);
  /* what it was given is its own until it returns */
  g_assert_cmpstr (ipc_message_get_message_type (request), ==, type);
  g_assert_true (IPC_IS_CONNECTION (connection));
  return pair_echo (server, connection, request, NULL, error);
}

/* ── What is done ── */

static void
do_nothing (Life *self)
{
}

static void
close_near (Life *self)
{
  if (self->pair.client && ipc_client_get_connection (self->pair.client))
    ipc_connection_close (ipc_client_get_connection (self->pair.client));
}

static IpcConnection *
get_far (Life *self)
{
  return self->pair.server ? g_list_model_get_item (ipc_server_get_connections (self->pair.server), 0) : NULL;
}

static void
close_far (Life *self)
{
  g_autoptr(IpcConnection) far = get_far (self);

  if (far)
    ipc_connection_close (far);
}

static void
close_client (Life *self)
{
  if (self->pair.client)
    ipc_client_close (self->pair.client);
}

static void
stop_server (Life *self)
{
  if (self->pair.server)
    ipc_server_stop (self->pair.server);
}

static void
start_again (Life *self)
{
  stop_server (self);
  if (self->pair.server)
    g_assert_true (ipc_server_start (self->pair.server, NULL));
}

static void
unref_server (Life *self)
{
  g_clear_object (&self->pair.server);
}

static void
unref_client (Life *self)
{
  g_clear_object (&self->pair.client);
}

static void
unref_all (Life *self)
{
  unref_server (self);
  unref_client (self);
}

static void
send_both_ways (Life *self)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("more", "text");

  if (self->pair.client)
    ipc_client_send (self->pair.client, message, NULL);
  if (self->pair.server)
    ipc_server_broadcast (self->pair.server, message, NULL);
}

static void
ask_from_within (Life *self)
{
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "text");
  IpcConnection *near = self->pair.client ? ipc_client_get_connection (self->pair.client) : NULL;

  if (!near)
    return;
  self->asked = TRUE;
  ipc_connection_request_with_callback (near, message, -1, NULL, answer_cb, &self->answers[3]);
}

static void
disconnect_handler (Life *self)
{
  if (self->handler_id)
    g_signal_handler_disconnect (self->instance, self->handler_id);
  else
    {
      if (self->pair.server)
        ipc_server_remove_handler (self->pair.server, "echo");
      if (self->pair.client)
        ipc_client_remove_handler (self->pair.client, "echo");
    }
  self->handler_id = 0;
}

static void
run_nested (Life *self)
{
  ipc_test_iterate (30);
}

static void
close_in_nested (Life *self)
{
  ipc_test_iterate (1);
  close_client (self);
  ipc_test_iterate (30);
  unref_all (self);
  ipc_test_iterate (30);
}

static const Action actions[] = {
  { "nothing", do_nothing },
  { "close-near", close_near },
  { "close-far", close_far },
  { "close-client", close_client },
  { "stop-server", stop_server },
  { "start-again", start_again },
  { "unref-server", unref_server },
  { "unref-client", unref_client },
  { "unref-all", unref_all },
  { "send", send_both_ways },
  { "ask", ask_from_within },
  { "disconnect", disconnect_handler },
  { "nested", run_nested },
  { "close-in-nested", close_in_nested },
};

/* ── Where it is done ── */

typedef enum
{
  AT_SERVER,
  AT_CLIENT,
  AT_NEAR,
  AT_FAR,
  AT_SERVER_HANDLER,
  AT_CLIENT_HANDLER,
} Place;

typedef struct
{
  Place place;
  const char *signal;
} Where;

static const Where wheres[] = {
  { AT_SERVER, "authorize-client" },
  { AT_SERVER, "client-connected" },
  { AT_SERVER, "client-disconnected" },
  { AT_SERVER, "message-received" },
  { AT_SERVER, "message-received::echo" },
  { AT_SERVER, "notify::n-clients" },
  { AT_SERVER, "notify::is-running" },
  { AT_CLIENT, "message-received" },
  { AT_CLIENT, "closed" },
  { AT_CLIENT, "notify::state" },
  { AT_CLIENT, "notify::connection" },
  { AT_NEAR, "message-received" },
  { AT_NEAR, "closed" },
  { AT_NEAR, "congested" },
  { AT_NEAR, "drained" },
  { AT_NEAR, "notify::is-open" },
  { AT_NEAR, "notify::messages-received" },
  { AT_FAR, "message-received" },
  { AT_FAR, "closed" },
  { AT_FAR, "notify::is-open" },
  { AT_SERVER_HANDLER, NULL },
  { AT_CLIENT_HANDLER, NULL },
};

static void
listen (Life *self, const Where *where, gpointer instance)
{
  self->instance = instance;
  self->handler_id = g_signal_connect_swapped (instance, where->signal, G_CALLBACK (act), self);
}

static void
life_init (Life *self, IpcTest *test, const Where *where, const Action *action)
{
  memset (self, 0, sizeof *self);
  pair_init (&self->pair, test);
  self->action = action;
  self->weak[0] = self->pair.server;
  self->weak[1] = self->pair.client;
  ipc_client_set_max_queued_bytes (self->pair.client, 50000);
  ipc_server_add_handler (self->pair.server, "echo", where->place == AT_SERVER_HANDLER ? act_in_handler : pair_echo,
                          self, NULL);
  ipc_client_add_handler (self->pair.client, "echo", where->place == AT_CLIENT_HANDLER ? act_in_handler : pair_echo,
                          self, NULL);
  if (where->place == AT_SERVER)
    listen (self, where, self->pair.server);
  else if (where->place == AT_CLIENT)
    listen (self, where, self->pair.client);
  for (guint i = 0; i < 2; i++)
    g_object_add_weak_pointer (self->weak[i], &self->weak[i]);
}

/* Those that exist by now. */
static void
watch_connections (Life *self, const Where *where)
{
  IpcConnection *near = self->pair.client ? ipc_client_get_connection (self->pair.client) : NULL;
  g_autoptr(IpcConnection) far = get_far (self);

  self->weak[2] = near;
  self->weak[3] = far;
  for (guint i = 2; i < 4; i++)
    if (self->weak[i])
      g_object_add_weak_pointer (self->weak[i], &self->weak[i]);
  if (near && where->place == AT_NEAR)
    listen (self, where, near);
  if (far && where->place == AT_FAR)
    listen (self, where, far);
}

static void
begin (Life *self)
{
  g_autoptr(GError) error = NULL;

  ipc_server_start (self->pair.server, &error);
  g_assert_no_error (error);
  if (self->pair.client)
    {
      ipc_client_open_async (self->pair.client, NULL, ipc_test_async_cb, &self->open);
      ipc_test_async_wait (&self->open);
      ipc_test_async_clear (&self->open);
    }
  ipc_test_settle ();
}

/* Asks in both directions, and says more than is taken at once. */
static void
talk (Life *self)
{
  g_autoptr(IpcMessage) question = ipc_message_new_text ("echo", "text");
  g_autofree char *text = g_strnfill (20000, 'x');
  g_autoptr(IpcMessage) news = ipc_message_new_text ("news", text);
  IpcConnection *near = self->pair.client ? ipc_client_get_connection (self->pair.client) : NULL;
  g_autoptr(IpcConnection) far = get_far (self);
  guint n_asked = 0;

  if (near)
    ipc_connection_request_with_callback (near, question, -1, NULL, answer_cb, &self->answers[n_asked++]);
  if (far)
    ipc_connection_request_with_callback (far, question, -1, NULL, answer_cb, &self->answers[n_asked++]);
  if (near)
    while (ipc_connection_send (near, news, NULL))
      ;
  if (far)
    ipc_connection_send (far, news, NULL);
  g_clear_object (&far);
  for (guint i = 0; i < n_asked; i++)
    ipc_test_wait_for (self->answers[i].n_callbacks == 1);
  ipc_test_settle ();
}

static void
life_clear (Life *self)
{
  pair_clear (&self->pair);
  ipc_test_wait_for (!self->weak[0] && !self->weak[1] && !self->weak[2] && !self->weak[3]);
  ipc_test_wait_for (!self->asked || self->answers[3].n_callbacks == 1);
  for (guint i = 0; i < G_N_ELEMENTS (self->answers); i++)
    answer_clear (&self->answers[i]);
}

static void
play (IpcTest *test, const Where *where, const Action *action)
{
  Life life;

  g_test_message ("%s", action->name);
  life_init (&life, test, where, action);
  begin (&life);
  watch_connections (&life, where);
  talk (&life);
  /* what is told every tenth of a second */
  if (where->place == AT_NEAR && g_str_equal (where->signal, "notify::messages-received"))
    ipc_test_wait_for (life.ran);
  if (life.pair.client)
    ipc_client_close (life.pair.client);
  ipc_test_settle ();
  g_assert_true (life.ran);
  life_clear (&life);
}

static void
test_where (IpcTest *test)
{
  const Where *where = test->data;

  for (guint i = 0; i < G_N_ELEMENTS (actions); i++)
    play (test, where, &actions[i]);
}

/* ── Depth ── */

#define DEEP 10000

typedef struct
{
  guint n;
  const char *top; /* (not owned) where the stack was the first time */
  gsize deepest;
} Depth;

/* Clang and GCC alike; the frame of the caller is near enough. */
static void
note_depth (Depth *self)
{
  const char *here = __builtin_frame_address (0);

  if (!self->top)
    self->top = here;
  self->deepest = MAX (self->deepest, (gsize) ABS (self->top - here));
  self->n++;
}

static IpcMessage *
send_back (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  Depth *depth = data;

  note_depth (depth);
  if (depth->n < DEEP)
    pair_send_text (connection, "ball", "");
  return NULL;
}

/* A ball that both sides send back at once: no stack grows with the number of returns. */
static void
test_echo_events (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  Depth depth = { 0 };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "ball", send_back, &depth, NULL);
  ipc_client_add_handler (pair.client, "ball", send_back, &depth, NULL);
  pair_open (&pair);
  pair_send_text (pair.near, "ball", "");
  ipc_test_wait_for (depth.n == DEEP);
  g_assert_cmpuint (depth.deepest, <, 65536);
}

typedef struct
{
  Depth depth;
  IpcMessage *message;
} Chain;

static void
ask_next (IpcConnection *connection, IpcMessage *reply, const GError *error, gpointer data)
{
  Chain *chain = data;

  g_assert_no_error (error);
  note_depth (&chain->depth);
  if (chain->depth.n < DEEP)
    ipc_connection_request_with_callback (connection, chain->message, -1, NULL, ask_next, chain);
}

static void
test_echo_requests (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "");
  Chain chain = { .message = message };

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "echo", pair_echo, NULL, NULL);
  pair_open (&pair);
  ipc_connection_request_with_callback (pair.near, message, -1, NULL, ask_next, &chain);
  ipc_test_wait_for (chain.depth.n == DEEP);
  g_assert_cmpuint (chain.depth.deepest, <, 65536);
}

/* Failing at once and asking again is no recursion either. */
static void
ask_in_vain (IpcConnection *connection, IpcMessage *reply, const GError *error, gpointer data)
{
  Chain *chain = data;

  g_assert_nonnull (error);
  note_depth (&chain->depth);
  if (chain->depth.n < DEEP)
    ipc_connection_request_with_callback (connection, chain->message, -1, NULL, ask_in_vain, chain);
}

static void
test_failing_requests (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("echo", "");
  Chain chain = { .message = message };

  pair_init_open (&pair, test);
  ipc_connection_close (pair.near);
  ipc_connection_request_with_callback (pair.near, message, -1, NULL, ask_in_vain, &chain);
  ipc_test_wait_for (chain.depth.n == DEEP);
  g_assert_cmpuint (chain.depth.deepest, <, 65536);
}

/* ── Loops in loops ── */

#define N_NESTED 60

typedef struct
{
  GString *log;
  guint n;
} Nested;

static IpcMessage *
wait_for_the_rest (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  Nested *self = data;
  g_autofree char *text = g_strdup (ipc_message_get_text (message));

  g_string_append_printf (self->log, "%s ", text);
  self->n++;
  ipc_test_wait_for (self->n == N_NESTED);
  /* after all the others, it is still what it was */
  g_assert_cmpstr (ipc_message_get_text (message), ==, text);
  g_assert_cmpstr (ipc_message_get_message_type (message), ==, "nested");
  return NULL;
}

static void
test_nested_handlers (IpcTest *test)
{
  static const guint sizes[] = { 0, 1000, 200000 };

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      g_auto(Pair) pair = { 0 };
      g_autoptr(GString) log = g_string_new (NULL);
      g_autoptr(GString) expected = g_string_new (NULL);
      g_autofree char *filler = g_strnfill (sizes[i], 'x');
      Nested nested = { log, 0 };

      pair_init (&pair, test);
      ipc_server_add_handler (pair.server, "nested", wait_for_the_rest, &nested, NULL);
      ipc_client_set_max_queued_bytes (pair.client, G_MAXINT);
      pair_open (&pair);
      for (guint j = 0; j < N_NESTED; j++)
        {
          g_autofree char *text = g_strdup_printf ("%u%s", j, filler);

          g_string_append_printf (expected, "%s ", text);
          pair_send_text (pair.near, "nested", text);
        }
      ipc_test_wait_for (nested.n == N_NESTED);
      g_assert_true (g_string_equal (log, expected));
    }
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (wheres); i++)
    {
      static const char *const places[] = { "server", "client", "near", "far", "server-handler", "client-handler" };
      g_autofree char *path = g_strdup_printf ("/messaging/reentrancy/%s%s%s", places[wheres[i].place],
                                               wheres[i].signal ? "/" : "",
                                               wheres[i].signal ? wheres[i].signal : "");

      ipc_test_add_data (path, &wheres[i], test_where);
    }
  ipc_test_add ("/messaging/reentrancy/echo-events", test_echo_events);
  ipc_test_add ("/messaging/reentrancy/echo-requests", test_echo_requests);
  ipc_test_add ("/messaging/reentrancy/failing-requests", test_failing_requests);
  ipc_test_add ("/messaging/reentrancy/nested-handlers", test_nested_handlers);
  return ipc_test_run ();
}
