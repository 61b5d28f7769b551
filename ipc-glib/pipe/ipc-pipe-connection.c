/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipe/ipc-pipe-connection-private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "core/ipc-quiet-write.h"
#include "pipe/ipc-pipe-hello-private.h"
#include "pipe/ipc-pipe-pair-private.h"

struct _IpcPipeConnection
{
  IpcConnection parent_instance;

  /* of a client that has not been taken in yet */
  char *token;                  /* (nullable) (owned) */
  int pairs_fd;                 /* (owned) -1: none */
  int next_fd;                  /* (owned) what it will write to; -1: it does */
};

G_DEFINE_FINAL_TYPE (IpcPipeConnection, ipc_pipe_connection, IPC_TYPE_CONNECTION)

/* ---- reading and writing ---- */

static short
look (int fd)
{
  struct pollfd one = { .fd = fd };

  poll (&one, 1, 0);
  return one.revents;
}

/*
 * Before the HELLO of the server nothing to be read may mean: it has not opened our pair yet; it has gone; it has
 * started anew, and does not know us; or it does not let us in. The last it tells by a preamble without a HELLO.
 */
static gssize
read_nothing (IpcConnection *self)
{
  if ((look (self->fd) & POLLHUP) != 0)
    {
      if (self->got_preamble)
        return 0;
      errno = ECONNRESET;
    }
  else
    errno = (look (self->out_fd) & POLLERR) != 0 ? ECONNRESET : EAGAIN;
  return -1;
}

static gssize
pipe_read (IpcConnection *connection, gpointer room, gsize size, IpcFdsRead *fds)
{
  gssize got = read (connection->fd, room, size);

  if (got == 0 && IPC_PIPE_CONNECTION (connection)->token != NULL)
    return read_nothing (connection);
  return got;
}

static gssize
pipe_write (IpcConnection *self, struct iovec *iov, int n, const int *fds, guint n_fds)
{
  return ipc_quiet_writev (self->out_fd, iov, n);
}

/* A pipe cannot be shut down. A thread that polls it sees a byte, which nobody handles any more. */
static void
pipe_shutdown (IpcConnection *self, gboolean input_only)
{
  char path[64];
  int fd;

  if (self->reader == NULL || self->reader == g_thread_self ())
    return;
  snprintf (path, sizeof path, "/proc/self/fd/%d", self->fd);
  fd = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return;
  ipc_quiet_writev (fd, &(struct iovec){ "", 1 }, 1);
  close (fd);
}

static void
pipe_refuse (IpcConnection *self)
{
  ipc_quiet_writev (self->out_fd, &(struct iovec){ (void *) ipc_preamble, IPC_PREAMBLE_SIZE }, 1);
}

/* ---- HELLO ---- */

static void
pipe_describe (IpcConnection *connection, GVariantBuilder *hello)
{
  IpcPipeConnection *self = IPC_PIPE_CONNECTION (connection);

  if (self->token != NULL)
    g_variant_builder_add (hello, "{sv}", "token", g_variant_new_string (self->token));
}

static void
close_fd (int *fd)
{
  if (*fd >= 0)
    ipc_fork_close (*fd);
  *fd = -1;
}

/* The server has our pair, and has taken its names away. */
static gboolean
pipe_greeted (IpcConnection *connection, GError **error)
{
  IpcPipeConnection *self = IPC_PIPE_CONNECTION (connection);

  if (self->token == NULL)
    return TRUE;
  ipc_hub_remove (&connection->out_watch);
  ipc_fork_close (connection->out_fd);
  connection->out_fd = self->next_fd;
  self->next_fd = -1;
  g_clear_pointer (&self->token, g_free);
  close_fd (&self->pairs_fd);
  if (ipc_connection_watch_output_locked (connection, error))
    return TRUE;
  g_prefix_error (error, "%s: ", connection->peer_name);
  return FALSE;
}

/* ---- the object ---- */

static void
ipc_pipe_connection_finalize (GObject *object)
{
  IpcPipeConnection *self = IPC_PIPE_CONNECTION (object);

  if (self->token != NULL && IPC_CONNECTION (self)->generation == ipc_fork_generation ())
    {
      ipc_pipe_pair_unlink (self->pairs_fd, self->token);
      close_fd (&self->pairs_fd);
      close_fd (&self->next_fd);
    }
  g_free (self->token);

  G_OBJECT_CLASS (ipc_pipe_connection_parent_class)->finalize (object);
}

static void
ipc_pipe_connection_class_init (IpcPipeConnectionClass *klass)
{
  IpcConnectionClass *connection_class = IPC_CONNECTION_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = ipc_pipe_connection_finalize;
  connection_class->read = pipe_read;
  connection_class->write = pipe_write;
  connection_class->shutdown = pipe_shutdown;
  connection_class->refuse = pipe_refuse;
  connection_class->describe = pipe_describe;
  connection_class->greeted = pipe_greeted;
}

static void
ipc_pipe_connection_init (IpcPipeConnection *self)
{
  self->pairs_fd = self->next_fd = -1;
}

static IpcConnection *
make (int read_fd, int write_fd, gboolean is_server_side, const char *address, const IpcConnectionLimits *limits)
{
  IpcConnection *connection = g_object_new (IPC_TYPE_PIPE_CONNECTION, NULL);

  ipc_connection_set_up (connection, read_fd, is_server_side, address, limits);
  connection->out_fd = write_fd;
  connection->is_own_user = TRUE;
  return connection;
}

IpcConnection *
ipc_pipe_connection_new_for_server (int read_fd, int write_fd, const char *address, const IpcConnectionLimits *limits)
{
  return make (read_fd, write_fd, TRUE, address, limits);
}

IpcConnection *
ipc_pipe_connection_new_for_client (int pipe_fd, int pairs_fd, const char *address, const IpcConnectionLimits *limits, GError **error)
{
  g_autofree char *token = ipc_pipe_token_new (error);
  IpcPipeConnection *self;
  int read_fd, write_fd;

  if (token == NULL || !ipc_pipe_pair_make (pairs_fd, token, &read_fd, &write_fd, error))
    {
      g_prefix_error (error, "%s: ", address);
      ipc_fork_close (pipe_fd);
      ipc_fork_close (pairs_fd);
      return NULL;
    }
  self = IPC_PIPE_CONNECTION (make (read_fd, pipe_fd, FALSE, address, limits));
  self->token = g_steal_pointer (&token);
  self->pairs_fd = pairs_fd;
  self->next_fd = write_fd;
  return IPC_CONNECTION (self);
}
