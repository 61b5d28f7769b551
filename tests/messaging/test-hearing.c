/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whoever connects to message-received hears the very next message, even if that lies in the inbox already; with and
 * without what GObject keeps in its instances, and whatever was connected before.
 *
 * The messages leave in one write, and are read in one.
 */
#include "base/ipc-connected-private.h"
#include "pair.h"

#define N 100u                  /* several turns */
#define AT 37u                  /* in the middle of one */

typedef enum
{
  WHO_SERVER,
  WHO_FAR,
} Who;

typedef enum
{
  BEFORE_NOTHING,
  BEFORE_ANOTHER_SIGNAL,        /* GObject's bit is set when it begins */
  BEFORE_ALL_GONE,              /* somebody was connected, and is not any more */
} Before;

typedef struct
{
  Who who;
  Before before;
  gboolean blind;               /* without the bit */
  gboolean detailed;
  gboolean requests;
} Case;

typedef struct
{
  const Case *kind;
  Pair *pair;
  guint n_handled;
  guint n_heard;
  guint n_answers;
  gulong id;
} State;

static void
on_far_message (IpcConnection *connection, IpcMessage *message, gpointer data)
{
  ((State *) data)->n_heard++;
}

static void
on_server_message (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data)
{
  ((State *) data)->n_heard++;
}

static gpointer
get_instance (State *state, IpcConnection *connection)
{
  return state->kind->who == WHO_SERVER ? (gpointer) state->pair->server : (gpointer) connection;
}

static void
listen_to (State *state, gpointer instance)
{
  state->id = g_signal_connect (instance, state->kind->detailed ? "message-received::m" : "message-received",
                                state->kind->who == WHO_SERVER ? G_CALLBACK (on_server_message) : G_CALLBACK (on_far_message), state);
}

/* Its own message was emitted before it ran; those that follow are heard until it is over. */
static IpcMessage *
handle (IpcServer *server, IpcConnection *connection, IpcMessage *message, gpointer data, GError **error)
{
  State *state = data;

  state->n_handled++;
  if (state->n_handled == AT)
    listen_to (state, get_instance (state, connection));
  if (state->n_handled == 2 * AT)
    g_signal_handler_disconnect (get_instance (state, connection), state->id);
  return state->kind->requests ? ipc_message_new ("reply", NULL) : NULL;
}

static void
count_answer (IpcConnection *connection, IpcMessage *reply, const GError *error, gpointer data)
{
  g_assert_no_error (error);
  ((State *) data)->n_answers++;
}

static void
do_nothing (void)
{
}

static void
prepare (State *state)
{
  gpointer instance = get_instance (state, state->pair->far);

  if (state->kind->before == BEFORE_ANOTHER_SIGNAL)
    g_signal_connect (instance, "notify", do_nothing, NULL);
  if (state->kind->before != BEFORE_ALL_GONE)
    return;
  listen_to (state, instance);
  g_signal_handler_disconnect (instance, state->id);
}

static void
test_case (IpcTest *test)
{
  g_auto(Pair) pair = { 0 };
  State state = { .kind = test->data, .pair = &pair };
  g_autoptr(IpcMessage) message = ipc_message_new_text ("m", "text");
  guint bit = ipc_connected_bit;

  pair_init (&pair, test);
  ipc_server_add_handler (pair.server, "m", handle, &state, NULL);
  pair_open (&pair);
  bit = ipc_connected_bit;
  if (state.kind->blind)
    ipc_connected_bit = 0;
  prepare (&state);
  for (guint i = 0; i < N; i++)
    if (state.kind->requests)
      ipc_connection_request_with_callback (pair.near, message, -1, NULL, count_answer, &state);
    else
      g_assert_true (ipc_connection_send (pair.near, message, NULL));
  ipc_test_wait_for (state.n_handled == N && (!state.kind->requests || state.n_answers == N));
  ipc_connected_bit = bit;
  g_assert_cmpuint (state.n_heard, ==, AT);
}

static void
add_case (const Case *kind)
{
  static const char *const befores[] = { "", "-after-another", "-after-all-gone" };
  g_autofree char *path = g_strdup_printf ("/messaging/hearing/%s%s%s%s%s", kind->who == WHO_SERVER ? "server" : "connection", befores[kind->before],
                                           kind->blind ? "-blind" : "", kind->detailed ? "-detailed" : "", kind->requests ? "-requests" : "");

  ipc_test_add_data (path, kind, test_case);
}

int
main (int argc, char **argv)
{
  static Case cases[48];

  ipc_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      cases[i] = (Case){ (Who) (i & 1), (Before) (i / 16), (i & 2) != 0, (i & 4) != 0, (i & 8) != 0 };
      add_case (&cases[i]);
    }
  return ipc_test_run ();
}
