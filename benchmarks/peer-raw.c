/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor: a Unix socket, blocking read() and write(), nothing else. Each
 * message is a write of its own; a read takes whatever has come, so that several
 * messages may be had at once.
 */
#include "bench-socket.h"

static const char *const workloads[] = { "w1", "w2", "w3", "w4a", "w4b", "w5", NULL };

static const char *
version (void)
{
  return "blocking";
}

/* Waits for at least one whole message. PARTIAL: bytes of one that has not come whole. */
static guint
receive (int fd, guint8 *buffer, gsize message_size, gsize *partial)
{
  guint n;

  do
    {
      *partial += bench_read (fd, buffer, BENCH_READ_SIZE);
      n = (guint) (*partial / message_size);
    }
  while (n == 0);
  *partial %= message_size;
  return n;
}

static void
write_messages (Bench *bench, int fd, guint n)
{
  for (guint i = 0; i < n; i++)
    bench_write_all (fd, bench->payload, bench->workload->size);
}

static void
server (Bench *bench)
{
  g_autofree guint8 *buffer = g_malloc (BENCH_READ_SIZE);
  gsize partial = 0;
  int listener = bench_listen (bench);

  bench_ready (bench);
  int fd = bench_accept (listener);
  for (;;)
    {
      guint n = receive (fd, buffer, bench->workload->size, &partial);

      if (bench->workload->kind == BENCH_ONE_WAY)
        bench_count (bench, n);
      else
        write_messages (bench, fd, n);
    }
}

static void
send_requests (Bench *bench, int fd)
{
  g_autofree guint8 *buffer = g_malloc (BENCH_READ_SIZE);
  gsize partial = 0;

  write_messages (bench, fd, bench->workload->outstanding);
  for (;;)
    {
      guint n = receive (fd, buffer, bench->workload->size, &partial);

      bench_count (bench, n);
      write_messages (bench, fd, n);
    }
}

static void
client (Bench *bench)
{
  int fd = bench_connect (bench);

  bench_ready (bench);
  if (bench->workload->kind == BENCH_REQUEST)
    send_requests (bench, fd);
  for (;;)
    bench_write_all (fd, bench->payload, bench->workload->size);
}

const BenchPeer bench_peer_raw = { "raw", "Unix socket, blocking", version, workloads, server, client };
