/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Each client gets what was sent to all and what was sent to it, in order and as it was, however fast the others are;
 * with each policy, frames and objects beside one another.
 */
#include "pair.h"

#include <stdlib.h>
#include <string.h>

#define N_CLIENTS 6u
#define N_JSON 1u               /* of them */
#define ROUNDS 600u

typedef struct
{
  Pair pair;
  Raw raws[N_CLIENTS];
  IpcConnection *connections[N_CLIENTS]; /* not owned */
  GQueue expected[N_CLIENTS];            /* (element-type utf8) (owned) the numbers of what was queued */
  guint n;
  guint number;
} Crowd;

static void
connected_cb (IpcServer *server, IpcConnection *connection, gpointer data)
{
  Crowd *self = data;

  self->connections[self->n++] = connection;
}

static void
crowd_init (Crowd *self, IpcTest *test, IpcOverflowPolicy policy)
{
  memset (self, 0, sizeof *self);
  pair_init (&self->pair, test);
  ipc_server_set_overflow_policy (self->pair.server, policy);
  ipc_server_set_max_queued_bytes (self->pair.server, 32u * 1024 * 1024);
  g_assert_true (ipc_server_start (self->pair.server, NULL));
  g_signal_connect (self->pair.server, "client-connected", G_CALLBACK (connected_cb), self);
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      if (i < N_JSON && !transport_is_pipe ())
        {
          raw_connect (&self->raws[i], self->pair.path);
          raw_write_text (&self->raws[i], "\n");
        }
      else
        raw_connect_binary (&self->raws[i], self->pair.path, 1024 * 1024);
      ipc_test_wait_for (self->n == i + 1);
    }
}

static void
crowd_clear (Crowd *self)
{
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      raw_clear (&self->raws[i]);
      g_queue_clear_full (&self->expected[i], g_free);
    }
  pair_clear (&self->pair);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Crowd, crowd_clear)

/* "NUMBER:xxxx" */
static char *
make_text (Crowd *self, GRand *rand)
{
  static const gint32 sizes[] = { 1, 100, 3000, 20000 };
  g_autofree char *filler = g_strnfill ((gsize) g_rand_int_range (rand, 0, sizes[g_rand_int_range (rand, 0, G_N_ELEMENTS (sizes))]), 'x');

  return g_strdup_printf ("%u:%s", self->number++, filler);
}

static void
send_something (Crowd *self, GRand *rand)
{
  g_autofree char *text = make_text (self, rand);
  g_autoptr(IpcMessage) message = ipc_message_new_text (g_rand_boolean (rand) ? "one" : "other-type", text);
  guint to = (guint) g_rand_int_range (rand, 0, 3 * N_CLIENTS);

  if (to < N_CLIENTS)
    {
      g_assert_true (ipc_connection_send (self->connections[to], message, NULL));
      g_queue_push_tail (&self->expected[to], g_strdup (text));
      return;
    }
  g_assert_cmpuint (ipc_server_broadcast (self->pair.server, message, NULL), ==, N_CLIENTS);
  for (guint i = 0; i < N_CLIENTS; i++)
    g_queue_push_tail (&self->expected[i], g_strdup (text));
}

static char *
read_text (Crowd *self, guint i)
{
  g_autoptr(GBytes) body = NULL;
  IpcFrame frame;
  gsize size;
  const char *bytes;

  if (i < N_JSON && !transport_is_pipe ())
    {
      g_autoptr(JsonObject) object = raw_read_object (&self->raws[i]);

      return g_strdup (json_object_get_string_member (object, "payload"));
    }
  raw_read_frame (&self->raws[i], &frame, &body);
  g_assert_cmpint (frame.kind, ==, IPC_FRAME_EVENT);
  bytes = g_bytes_get_data (body, &size);
  return g_strndup (bytes + frame.type_length, size - frame.type_length);
}

static void
read_some (Crowd *self, guint i, guint n)
{
  while (n-- > 0 && !g_queue_is_empty (&self->expected[i]))
    {
      g_autofree char *expected = g_queue_pop_head (&self->expected[i]);
      g_autofree char *text = read_text (self, i);

      g_assert_cmpstr (text, ==, expected);
    }
}

static void
test_policy (IpcTest *test)
{
  g_autoptr(GRand) rand = ipc_test_rand_new ();
  g_auto(Crowd) crowd;

  crowd_init (&crowd, test, (IpcOverflowPolicy) GPOINTER_TO_INT (test->data));
  for (guint i = 0; i < ROUNDS; i++)
    {
      send_something (&crowd, rand);
      /* the last one never reads, until the end */
      if (g_rand_int_range (rand, 0, 4) == 0)
        read_some (&crowd, (guint) g_rand_int_range (rand, 0, N_CLIENTS - 1), (guint) g_rand_int_range (rand, 0, 100));
    }
  for (guint i = 0; i < N_CLIENTS; i++)
    read_some (&crowd, i, G_MAXUINT);
}

/* ── From several threads ── */

#define N_TELLERS 3u
#define N_NEWS 400u

typedef struct
{
  IpcServer *server;
  guint teller;
} Teller;

static gpointer
tell (gpointer data)
{
  Teller *self = data;

  for (guint i = 0; i < N_NEWS; i++)
    {
      g_autofree char *text = g_strdup_printf ("%u %u", self->teller, i);
      g_autoptr(IpcMessage) message = ipc_message_new_text ("news", text);

      g_assert_cmpuint (ipc_server_broadcast (self->server, message, NULL), ==, N_CLIENTS);
    }
  return NULL;
}

/* All of it, and that of each thread in its order. */
static void
test_threads (IpcTest *test)
{
  g_auto(Crowd) crowd;
  Teller tellers[N_TELLERS];
  GThread *threads[N_TELLERS];

  crowd_init (&crowd, test, IPC_OVERFLOW_POLICY_REJECT);
  for (guint i = 0; i < N_TELLERS; i++)
    {
      tellers[i] = (Teller){ crowd.pair.server, i };
      threads[i] = g_thread_new ("teller", tell, &tellers[i]);
    }
  for (guint i = 0; i < N_CLIENTS; i++)
    {
      guint next[N_TELLERS] = { 0 };

      for (guint j = 0; j < N_TELLERS * N_NEWS; j++)
        {
          g_autofree char *text = read_text (&crowd, i);
          guint teller = (guint) (text[0] - '0');

          g_assert_cmpuint (teller, <, N_TELLERS);
          g_assert_cmpuint ((guint) atoi (text + 2), ==, next[teller]++);
        }
    }
  for (guint i = 0; i < N_TELLERS; i++)
    g_thread_join (threads[i]);
}

int
main (int argc, char **argv)
{
  ipc_test_init (&argc, &argv, NULL);
  ipc_test_add_data ("/messaging/broadcast/reject", GINT_TO_POINTER (IPC_OVERFLOW_POLICY_REJECT), test_policy);
  ipc_test_add_data ("/messaging/broadcast/drop-oldest", GINT_TO_POINTER (IPC_OVERFLOW_POLICY_DROP_OLDEST), test_policy);
  ipc_test_add_data ("/messaging/broadcast/drop-newest", GINT_TO_POINTER (IPC_OVERFLOW_POLICY_DROP_NEWEST), test_policy);
  ipc_test_add_data ("/messaging/broadcast/disconnect", GINT_TO_POINTER (IPC_OVERFLOW_POLICY_DISCONNECT), test_policy);
  ipc_test_add ("/messaging/broadcast/threads", test_threads);
  return ipc_test_run ();
}
