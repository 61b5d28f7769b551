/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * nng over its ipc transport. Requests: req0 and rep0; many outstanding: pair0;
 * one way: push0 and pull0; broadcast: pub0 and sub0, which drop what is too much:
 * what arrives is counted.
 */
#include <poll.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "bench.h"

typedef int (*OpenFunc) (nng_socket *socket);

static const char *const workloads[] = { "w1", "w2",          "w3",           "w4a",       "w4b",
                                         "w5", "clients-100", "clients-1000", "broadcast", NULL };

static const char *
version (void)
{
  return nng_version ();
}

static void
check (int result, const char *what)
{
  if (result != 0)
    bench_fail ("%s: %s", what, nng_strerror (result));
}

static nng_socket
new_socket (Bench *bench, OpenFunc func)
{
  nng_socket socket;

  check (func (&socket), "open");
  if (func == nng_pair0_open) /* as many as are outstanding; it has no queue by default */
    {
      check (nng_socket_set_int (socket, NNG_OPT_SENDBUF, (int) bench->workload->outstanding), NNG_OPT_SENDBUF);
      check (nng_socket_set_int (socket, NNG_OPT_RECVBUF, (int) bench->workload->outstanding), NNG_OPT_RECVBUF);
    }
  check (nng_socket_set_size (socket, NNG_OPT_RECVMAXSZ, 0), NNG_OPT_RECVMAXSZ);
  return socket;
}

static nng_socket
listen_socket (Bench *bench, OpenFunc func)
{
  nng_socket socket = new_socket (bench, func);
  g_autofree char *url = g_strconcat ("ipc://", bench->path, NULL);

  check (nng_listen (socket, url, NULL, 0), "nng_listen");
  return socket;
}

static nng_socket
dial_socket (Bench *bench, OpenFunc func)
{
  nng_socket socket = new_socket (bench, func);
  g_autofree char *url = g_strconcat ("ipc://", bench->path, NULL);

  check (nng_dial (socket, url, NULL, 0), "nng_dial");
  return socket;
}

static void
send_payload (Bench *bench, nng_socket socket)
{
  check (nng_send (socket, (void *) bench->payload, bench->workload->size, 0), "nng_send");
}

/* FALSE: nothing there (with NNG_FLAG_NONBLOCK). */
static gboolean
receive (nng_socket socket, int flags)
{
  nng_msg *message;
  int result = nng_recvmsg (socket, &message, flags);

  if (result == NNG_EAGAIN)
    return FALSE;
  check (result, "nng_recvmsg");
  nng_msg_free (message);
  return TRUE;
}

static void
answer (Bench *bench, nng_socket socket)
{
  for (;;)
    {
      receive (socket, 0);
      send_payload (bench, socket);
    }
}

static void
take (Bench *bench, nng_socket socket)
{
  for (;;)
    {
      receive (socket, 0);
      bench_count (bench, 1);
    }
}

static void
send_for_ever (Bench *bench, nng_socket socket)
{
  bench_ready (bench);
  for (;;)
    send_payload (bench, socket);
}

static void
server (Bench *bench)
{
  if (bench->workload->kind == BENCH_BROADCAST)
    send_for_ever (bench, listen_socket (bench, nng_pub0_open));

  gboolean one_way = bench->workload->kind == BENCH_ONE_WAY;
  gboolean pipelined = bench->workload->outstanding > 1;
  nng_socket socket = listen_socket (bench, one_way ? nng_pull0_open : pipelined ? nng_pair0_open : nng_rep0_open);
  bench_ready (bench);
  if (one_way)
    take (bench, socket);
  answer (bench, socket);
}

static nng_socket *
dial_all (Bench *bench, OpenFunc func)
{
  nng_socket *sockets = g_new (nng_socket, bench->workload->clients);

  for (guint i = 0; i < bench->workload->clients; i++)
    sockets[i] = dial_socket (bench, func);
  return sockets;
}

static void
request_in_turn (Bench *bench)
{
  nng_socket *sockets = dial_all (bench, nng_req0_open);

  bench_ready (bench);
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
  nng_socket socket = dial_socket (bench, nng_pair0_open);

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
  nng_socket *sockets = dial_all (bench, nng_sub0_open);
  guint n = bench->workload->clients;
  g_autofree struct pollfd *poll_fds = g_new0 (struct pollfd, n);

  for (guint i = 0; i < n; i++)
    {
      check (nng_socket_set (sockets[i], NNG_OPT_SUB_SUBSCRIBE, "", 0), NNG_OPT_SUB_SUBSCRIBE);
      check (nng_socket_get_int (sockets[i], NNG_OPT_RECVFD, &poll_fds[i].fd), NNG_OPT_RECVFD);
      poll_fds[i].events = POLLIN;
    }
  bench_ready (bench);
  for (;;)
    {
      poll (poll_fds, n, -1);
      for (guint i = 0; i < n; i++)
        while ((poll_fds[i].revents & POLLIN) != 0 && receive (sockets[i], NNG_FLAG_NONBLOCK))
          bench_count (bench, 1);
    }
}

static void
client (Bench *bench)
{
  if (bench->workload->kind == BENCH_BROADCAST)
    subscribe (bench);
  if (bench->workload->kind == BENCH_ONE_WAY)
    send_for_ever (bench, dial_socket (bench, nng_push0_open));
  if (bench->workload->outstanding > 1)
    request_pipelined (bench);
  request_in_turn (bench);
}

const BenchPeer bench_peer_nng = { "nng", "nng, ipc transport", version, workloads, server, client };
