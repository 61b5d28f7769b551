/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floor of named pipes: two of them, blocking read() and write(), nothing else.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench-socket.h"

static const char *const workloads[] = { "w1", "w2", "w3", "w4a", "w4b", "w5", NULL };

static const char *
version (void)
{
  return "blocking";
}

static char *
name_of (Bench *bench, const char *end)
{
  return g_strconcat (bench->path, end, NULL);
}

static void
make (Bench *bench, const char *end)
{
  g_autofree char *path = name_of (bench, end);

  if (mkfifo (path, 0600) != 0)
    bench_fail ("%s: %s", path, g_strerror (errno));
}

static int
open_one (Bench *bench, const char *end, int flags)
{
  g_autofree char *path = name_of (bench, end);
  int fd = open (path, flags | O_CLOEXEC);

  if (fd < 0)
    bench_fail ("%s: %s", path, g_strerror (errno));
  return fd;
}

/* How many whole messages have come; at least one. PARTIAL: bytes of one that has not come whole. */
static guint
receive (int fd, guint8 *buffer, gsize message_size, gsize *partial)
{
  guint n = 0;

  for (; n == 0; n = (guint) (*partial / message_size))
    *partial += bench_read (fd, buffer, BENCH_READ_SIZE);
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
  int in, out;

  make (bench, ".in");
  make (bench, ".out");
  bench_ready (bench);
  in = open_one (bench, ".in", O_RDONLY);
  out = open_one (bench, ".out", O_WRONLY);
  for (;;)
    {
      guint n = receive (in, buffer, bench->workload->size, &partial);

      if (bench->workload->kind == BENCH_ONE_WAY)
        bench_count (bench, n);
      else
        write_messages (bench, out, n);
    }
}

static void
client (Bench *bench)
{
  g_autofree guint8 *buffer = g_malloc (BENCH_READ_SIZE);
  gsize partial = 0;
  int out = open_one (bench, ".in", O_WRONLY), in = open_one (bench, ".out", O_RDONLY);

  bench_ready (bench);
  if (bench->workload->kind == BENCH_ONE_WAY)
    for (;;)
      write_messages (bench, out, 1);
  write_messages (bench, out, bench->workload->outstanding);
  for (;;)
    {
      guint n = receive (in, buffer, bench->workload->size, &partial);

      bench_count (bench, n);
      write_messages (bench, out, n);
    }
}

const BenchPeer bench_peer_fifo = { "fifo", "a pair of named pipes, blocking", version, workloads, server, client };
