/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ZeroMQ over its ipc transport. Requests: REQ and REP; many outstanding: DEALER on
 * both sides (REQ has one); one way: PUSH and PULL; broadcast: XPUB and SUB, where
 * the publisher waits for a full subscriber instead of dropping.
 */
#include <errno.h>
#include <zmq.h>

#include "bench.h"

static const char *const workloads[] = { "w1", "w2",          "w3",           "w4a",       "w4b",
                                         "w5", "clients-100", "clients-1000", "broadcast", NULL };

static void *context;

static const char *
version (void)
{
  static char text[32];
  int major, minor, patch;

  zmq_version (&major, &minor, &patch);
  g_snprintf (text, sizeof text, "%d.%d.%d", major, minor, patch);
  return text;
}

static void
check (int result, const char *what)
{
  if (result < 0)
    bench_fail ("%s: %s", what, zmq_strerror (errno));
}

static void *
new_socket (Bench *bench, int type)
{
  void *socket = zmq_socket (context, type);
  int high_water = (int) bench_window (bench);

  if (socket == NULL)
    bench_fail ("zmq_socket: %s", zmq_strerror (errno));
  check (zmq_setsockopt (socket, ZMQ_SNDHWM, &high_water, sizeof high_water), "ZMQ_SNDHWM");
  check (zmq_setsockopt (socket, ZMQ_RCVHWM, &high_water, sizeof high_water), "ZMQ_RCVHWM");
  return socket;
}

static void *
bind_socket (Bench *bench, int type)
{
  void *socket = new_socket (bench, type);
  g_autofree char *endpoint = g_strconcat ("ipc://", bench->path, NULL);
  int backlog = 4096;

  check (zmq_setsockopt (socket, ZMQ_BACKLOG, &backlog, sizeof backlog), "ZMQ_BACKLOG");
  check (zmq_bind (socket, endpoint), "zmq_bind");
  return socket;
}

static void *
connect_socket (Bench *bench, int type)
{
  void *socket = new_socket (bench, type);
  g_autofree char *endpoint = g_strconcat ("ipc://", bench->path, NULL);

  if (type == ZMQ_SUB)
    check (zmq_setsockopt (socket, ZMQ_SUBSCRIBE, "", 0), "ZMQ_SUBSCRIBE");
  check (zmq_connect (socket, endpoint), "zmq_connect");
  return socket;
}

static void
send_payload (Bench *bench, void *socket)
{
  check (zmq_send (socket, bench->payload, bench->workload->size, 0), "zmq_send");
}

/* FALSE: nothing there (with ZMQ_DONTWAIT). */
static gboolean
receive (void *socket, int flags)
{
  zmq_msg_t message;

  zmq_msg_init (&message);
  int size = zmq_msg_recv (&message, socket, flags);
  int error = errno;
  zmq_msg_close (&message);
  if (size < 0 && error != EAGAIN)
    bench_fail ("zmq_msg_recv: %s", zmq_strerror (error));
  return size >= 0;
}

static void
answer (Bench *bench, void *socket)
{
  for (;;)
    {
      receive (socket, 0);
      send_payload (bench, socket);
    }
}

static void
take (Bench *bench, void *socket)
{
  for (;;)
    {
      receive (socket, 0);
      bench_count (bench, 1);
    }
}

static void
publish (Bench *bench)
{
  void *socket = bind_socket (bench, ZMQ_XPUB);
  int yes = 1;

  check (zmq_setsockopt (socket, ZMQ_XPUB_NODROP, &yes, sizeof yes), "ZMQ_XPUB_NODROP");
  check (zmq_setsockopt (socket, ZMQ_XPUB_VERBOSE, &yes, sizeof yes), "ZMQ_XPUB_VERBOSE");
  bench_ready (bench);
  for (guint i = 0; i < bench->workload->clients; i++)
    receive (socket, 0); /* a subscription */
  for (;;)
    send_payload (bench, socket);
}

static void
server (Bench *bench)
{
  context = zmq_ctx_new ();
  if (bench->workload->kind == BENCH_BROADCAST)
    publish (bench);

  gboolean one_way = bench->workload->kind == BENCH_ONE_WAY;
  gboolean pipelined = bench->workload->outstanding > 1;
  void *socket = bind_socket (bench, one_way ? ZMQ_PULL : pipelined ? ZMQ_DEALER : ZMQ_REP);
  bench_ready (bench);
  if (one_way)
    take (bench, socket);
  answer (bench, socket);
}

static void **
connect_all (Bench *bench, int type)
{
  void **sockets = g_new (void *, bench->workload->clients);

  for (guint i = 0; i < bench->workload->clients; i++)
    sockets[i] = connect_socket (bench, type);
  bench_ready (bench);
  return sockets;
}

static void
request_in_turn (Bench *bench)
{
  void **sockets = connect_all (bench, ZMQ_REQ);

  for (guint i = 0;; i = i + 1 == bench->workload->clients ? 0 : i + 1)
    {
      send_payload (bench, sockets[i]);
      receive (sockets[i], 0);
      bench_count (bench, 1);
    }
}

static void
request_pipelined (Bench *bench)
{
  void *socket = connect_socket (bench, ZMQ_DEALER);

  bench_ready (bench);
  for (guint i = 0; i < bench->workload->outstanding; i++)
    send_payload (bench, socket);
  for (;;)
    {
      receive (socket, 0);
      bench_count (bench, 1);
      send_payload (bench, socket);
    }
}

static void
subscribe (Bench *bench)
{
  void **sockets = connect_all (bench, ZMQ_SUB);
  int n = (int) bench->workload->clients;
  g_autofree zmq_pollitem_t *items = g_new0 (zmq_pollitem_t, n);

  for (int i = 0; i < n; i++)
    items[i] = (zmq_pollitem_t) { .socket = sockets[i], .events = ZMQ_POLLIN };
  for (;;)
    {
      check (zmq_poll (items, n, -1), "zmq_poll");
      for (int i = 0; i < n; i++)
        while ((items[i].revents & ZMQ_POLLIN) != 0 && receive (sockets[i], ZMQ_DONTWAIT))
          bench_count (bench, 1);
    }
}

static void
push (Bench *bench)
{
  void *socket = connect_socket (bench, ZMQ_PUSH);

  bench_ready (bench);
  for (;;)
    send_payload (bench, socket);
}

static void
client (Bench *bench)
{
  context = zmq_ctx_new ();
  check (zmq_ctx_set (context, ZMQ_MAX_SOCKETS, (int) bench->workload->clients + 16), "ZMQ_MAX_SOCKETS");
  if (bench->workload->kind == BENCH_BROADCAST)
    subscribe (bench);
  if (bench->workload->kind == BENCH_ONE_WAY)
    push (bench);
  if (bench->workload->outstanding > 1)
    request_pipelined (bench);
  request_in_turn (bench);
}

const BenchPeer bench_peer_zeromq = { "zeromq", "ZeroMQ, ipc transport", version, workloads, server, client };
