/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A peer that says anything to a server, through a real connection. Whatever it was, the connection is gone in the
 * end, was announced and taken back at most once, and somebody honest is served. See protocol.h for the input.
 */
#include "protocol.h"

#include <sys/socket.h>
#include <unistd.h>

#include "messaging/ipc-server-private.h"
#include "socket/ipc-socket-connection-private.h"

static IpcServer *server;
static IpcClient *honest;
static guint n_connected, n_disconnected;

static void
count (IpcServer *emitter, IpcConnection *connection, guint *n)
{
  (*n)++;
}

static void
count_gone (IpcServer *emitter, IpcConnection *connection, const GError *error, gpointer data)
{
  n_disconnected++;
}

int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  g_autofree char *directory = fuzz_directory ();

  fuzz_be_strict ();
  server = fuzz_start_server (directory, "server");
  honest = fuzz_open_client (server);
  g_signal_connect (server, "client-connected", G_CALLBACK (count), &n_connected);
  g_signal_connect (server, "client-disconnected", G_CALLBACK (count_gone), NULL);
  return 0;
}

static gboolean
is_gone (gpointer connection)
{
  return *(gpointer *) connection == NULL;
}

/* The one end is the server's, the other one is returned. */
static int
attach (gpointer *connection)
{
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_no_errno (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
  *connection = ipc_socket_connection_new (fds[0], TRUE, "fuzz", &server->limits, &error);
  g_assert_no_error (error);
  g_object_add_weak_pointer (*connection, connection);
  ipc_server_take (server, *connection);
  g_assert_nonnull (*connection);
  return fds[1];
}

static gboolean
has_ended (gpointer fd)
{
  return !fuzz_drain (*(int *) fd);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  gpointer connection;
  int lowest, fd;

  if (size < FUZZ_PREFIX_SIZE)
    return 0;
  n_connected = n_disconnected = 0;
  lowest = fuzz_lowest_fd ();
  fd = attach (&connection);
  if (data[1] & FUZZ_HANDSHAKE)
    g_assert_true (fuzz_write_handshake (fd, data[1]));
  fuzz_dribble (fd, data, size);
  if (data[1] & FUZZ_HALF_CLOSE)
    {
      shutdown (fd, SHUT_WR);
      fuzz_settle ();
      fuzz_release ();
      fuzz_run_until (has_ended, &fd);
    }
  close (fd);
  fuzz_settle ();
  fuzz_release ();
  fuzz_run_until (is_gone, &connection);
  g_assert_cmpuint (n_connected, <=, 1);
  g_assert_cmpuint (n_disconnected, <=, 1);
  g_assert_cmpuint (n_connected, <=, n_disconnected);
  g_assert_cmpuint (ipc_server_get_n_clients (server), ==, 1);
  g_assert_cmpint (fuzz_lowest_fd (), ==, lowest);
  fuzz_check_honest (honest);
  return 0;
}
