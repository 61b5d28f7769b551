/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench-socket.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <glib-unix.h>

static int
new_socket (Bench *bench, struct sockaddr_un *address)
{
  int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (fd < 0)
    bench_fail ("socket: %s", g_strerror (errno));
  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (g_strlcpy (address->sun_path, bench->path, sizeof address->sun_path) >= sizeof address->sun_path)
    bench_fail ("%s is too long for a socket", bench->path);
  return fd;
}

int
bench_listen (Bench *bench)
{
  struct sockaddr_un address;
  int fd = new_socket (bench, &address);

  if (bind (fd, (struct sockaddr *) &address, sizeof address) != 0 || listen (fd, 4096) != 0)
    bench_fail ("%s: %s", bench->path, g_strerror (errno));
  return fd;
}

int
bench_accept (int listener)
{
  int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);

  if (fd < 0)
    bench_fail ("accept: %s", g_strerror (errno));
  return fd;
}

int
bench_connect (Bench *bench)
{
  struct sockaddr_un address;
  int fd = new_socket (bench, &address);

  if (connect (fd, (struct sockaddr *) &address, sizeof address) != 0)
    bench_fail ("%s: %s", bench->path, g_strerror (errno));
  return fd;
}

void
bench_set_blocking (int fd, gboolean blocking)
{
  g_autoptr (GError) error = NULL;

  if (!g_unix_set_fd_nonblocking (fd, !blocking, &error))
    bench_fail ("%s", error->message);
}

void
bench_write_all (int fd, const guint8 *data, gsize size)
{
  while (size > 0)
    {
      ssize_t n = write (fd, data, size);

      if (n < 0)
        bench_fail ("write: %s", g_strerror (errno));
      data += n;
      size -= (gsize) n;
    }
}

gsize
bench_read (int fd, guint8 *buffer, gsize size)
{
  ssize_t n = read (fd, buffer, size);

  if (n < 0 && errno == EAGAIN)
    return 0;
  if (n < 0)
    bench_fail ("read: %s", g_strerror (errno));
  if (n == 0)
    bench_fail ("the other half is gone");
  return (gsize) n;
}
