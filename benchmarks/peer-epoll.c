/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor of anything with an event loop: Unix sockets that do not block, and
 * one epoll per process. What has come is taken in one read, and all replies to it
 * leave in one write; a one-way message is a write of its own.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bench-socket.h"

#define MAX_EVENTS 256

static const char *const workloads[] = { "w1", "w2",          "w3",           "w4a",       "w4b",
                                         "w5", "clients-100", "clients-1000", "broadcast", NULL };

typedef struct
{
  int fd;
  gsize partial; /* bytes of a message that has not come whole */
  gsize offset;  /* bytes of the message being sent that have gone */
} Peer;

typedef void (*MessagesFunc) (Bench *bench, Peer *peer, guint n);

static guint8 buffer[BENCH_READ_SIZE];
static int epoll_fd = -1;
static Peer *peers;
static guint n_peers;

static const char *
version (void)
{
  return "level-triggered";
}

static void
watch (Peer *peer, guint32 events, int operation)
{
  struct epoll_event event = { .events = events, .data.ptr = peer };

  if (epoll_ctl (epoll_fd, operation, peer->fd, &event) != 0)
    bench_fail ("epoll_ctl: %s", g_strerror (errno));
}

static Peer *
add_peer (int fd)
{
  Peer *peer = &peers[n_peers++];

  bench_set_blocking (fd, FALSE);
  peer->fd = fd;
  watch (peer, EPOLLIN, EPOLL_CTL_ADD);
  return peer;
}

static void
make_peers (Bench *bench)
{
  peers = g_new0 (Peer, bench->workload->clients);
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (epoll_fd < 0)
    bench_fail ("epoll_create1: %s", g_strerror (errno));
}

static void
on_readable (Bench *bench, Peer *peer, MessagesFunc func)
{
  peer->partial += bench_read (peer->fd, buffer, sizeof buffer);

  guint n = (guint) (peer->partial / bench->workload->size);
  peer->partial %= bench->workload->size;
  if (n > 0)
    func (bench, peer, n);
}

static void
run_loop (Bench *bench, MessagesFunc func)
{
  struct epoll_event events[MAX_EVENTS];

  for (;;)
    {
      int n = epoll_wait (epoll_fd, events, MAX_EVENTS, -1);

      for (int i = 0; i < n; i++)
        on_readable (bench, events[i].data.ptr, func);
    }
}

/* FALSE: no room; call again when there is. */
static gboolean
send_one (Bench *bench, Peer *peer)
{
  while (peer->offset < bench->workload->size)
    {
      ssize_t n = write (peer->fd, bench->payload + peer->offset, bench->workload->size - peer->offset);

      if (n < 0 && errno == EAGAIN)
        return FALSE;
      if (n < 0)
        bench_fail ("write: %s", g_strerror (errno));
      peer->offset += (gsize) n;
    }
  peer->offset = 0;
  return TRUE;
}

static void
wait_for_room (Peer *peer)
{
  struct epoll_event event;

  watch (peer, EPOLLOUT, EPOLL_CTL_MOD);
  do
    if (epoll_wait (epoll_fd, &event, 1, -1) < 0)
      bench_fail ("epoll_wait: %s", g_strerror (errno));
  while ((event.events & EPOLLOUT) == 0 || event.data.ptr != peer);
  watch (peer, EPOLLIN, EPOLL_CTL_MOD);
}

/* N short messages in one write; with at most 64 outstanding there is always room. */
static void
send_together (Bench *bench, Peer *peer, guint n)
{
  gsize size = bench->workload->size * n;

  for (guint i = 0; i < n; i++)
    memcpy (buffer + i * bench->workload->size, bench->payload, bench->workload->size);
  if (write (peer->fd, buffer, size) != (ssize_t) size)
    bench_fail ("a short write");
}

static void
count_messages (Bench *bench, Peer *peer, guint n)
{
  bench_count (bench, n);
}

/* The next request is the next client's; with one client, its own. */
static void
on_replies (Bench *bench, Peer *peer, guint n)
{
  guint next = (guint) (peer - peers) + 1;

  bench_count (bench, n);
  send_together (bench, &peers[next == n_peers ? 0 : next], n);
}

static void
broadcast (Bench *bench)
{
  for (;;)
    for (guint i = 0; i < n_peers; i++)
      while (!send_one (bench, &peers[i]))
        wait_for_room (&peers[i]);
}

static void
server (Bench *bench)
{
  int listener = bench_listen (bench);

  make_peers (bench);
  bench_ready (bench);
  for (guint i = 0; i < bench->workload->clients; i++)
    add_peer (bench_accept (listener));

  if (bench->workload->kind == BENCH_BROADCAST)
    broadcast (bench);
  run_loop (bench, bench->workload->kind == BENCH_REQUEST ? send_together : count_messages);
}

static void
send_for_ever (Bench *bench, Peer *peer)
{
  for (;;)
    while (!send_one (bench, peer))
      wait_for_room (peer);
}

static void
client (Bench *bench)
{
  make_peers (bench);
  for (guint i = 0; i < bench->workload->clients; i++)
    add_peer (bench_connect (bench));

  bench_ready (bench);
  if (bench->workload->kind == BENCH_ONE_WAY)
    send_for_ever (bench, &peers[0]);
  if (bench->workload->kind == BENCH_REQUEST)
    send_together (bench, &peers[0], bench->workload->outstanding);
  run_loop (bench, bench->workload->kind == BENCH_REQUEST ? on_replies : count_messages);
}

const BenchPeer bench_peer_epoll = { "epoll", "Unix sockets and epoll", version, workloads, server, client };
