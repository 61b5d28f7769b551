/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pipe/ipc-pipe-channel-private.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define LINE "line"
#define RETRY_US G_USEC_PER_SEC

struct _IpcPipeChannel
{
  IpcConnection parent_instance;

  const IpcPipeChannelFuncs *funcs;
  IpcLines lines;
};

G_DEFINE_FINAL_TYPE (IpcPipeChannel, ipc_pipe_channel, IPC_TYPE_CONNECTION)

/* Nothing ends it but the server: whatever the kernel has, it may have less of it later, and no event says so. */
static gssize
channel_read (IpcConnection *self, gpointer room, gsize size, IpcFdsRead *fds)
{
  gssize got = read (self->fd, room, size);

  if (got >= 0 || errno == EINTR || errno == EAGAIN)
    return got;
  g_debug ("%s: cannot read: %s", self->peer_name, g_strerror (errno));
  ipc_hub_attend_at (&self->watch, g_get_monotonic_time () + RETRY_US);
  errno = EAGAIN;
  return -1;
}

static gssize
channel_write (IpcConnection *self, struct iovec *iov, int n, const int *fds, guint n_fds)
{
  errno = EPIPE;
  return -1;
}

static void
channel_shutdown (IpcConnection *self, gboolean input_only)
{
}

static void
channel_refuse (IpcConnection *self)
{
}

/* ---- what came ---- */

static void
deliver_line (IpcConnection *self, const IpcLinesPart *part)
{
  IpcMessage message;

  if (ipc_json_deliver (self, part->bytes, part->size))
    return;
  ipc_message_begin (&message, IPC_PAYLOAD_FORMAT_TEXT, LINE, strlen (LINE));
  message.payload = part->bytes;
  message.payload_size = part->size;
  message.timestamp = g_get_real_time ();
  ipc_connection_deliver (self, &message, NULL);
  ipc_message_end (&message);
}

static void
tell_lost (IpcPipeChannel *self, gpointer owner, const IpcFault *fault)
{
  IpcConnection *connection = IPC_CONNECTION (self);
  g_autoptr (GError) error = NULL;

  ipc_error_set_fault (&error, fault, connection->peer_name);
  g_mutex_lock (&connection->lock);
  connection->messages_dropped++;
  g_mutex_unlock (&connection->lock);
  self->funcs->lost (owner, error);
}

/* The handlers may run the loop, and come back here: PART is not in what that changes. */
static void
handle (IpcPipeChannel *self, IpcLinesEvent event, IpcLinesPart *part, const IpcFault *fault)
{
  GObject *owner = ipc_connection_get_owner (IPC_CONNECTION (self));

  if (owner != NULL && event == IPC_LINES_LINE)
    deliver_line (IPC_CONNECTION (self), part);
  else if (owner != NULL && event == IPC_LINES_HELLO)
    {
      g_autoptr (GBytes) hello = g_bytes_new (part->bytes, part->size);

      /* It counts for the connection that it opens. */
      IPC_ADD_ONCE (IPC_CONNECTION (self)->bytes_received, -(guint64) part->size);
      self->funcs->hello (owner, hello);
    }
  else if (owner != NULL && event == IPC_LINES_BAD)
    tell_lost (self, owner, fault);
  free (part->owned);
}

static IpcStep
channel_step (IpcConnection *connection)
{
  IpcPipeChannel *self = IPC_PIPE_CHANNEL (connection);
  IpcLinesEvent event;
  IpcLinesPart part;
  gsize size, taken;
  IpcFault fault;
  const guint8 *bytes = ipc_inbox_peek (&connection->inbox, &size);

  event = ipc_lines_feed (&self->lines, bytes, size, &taken, &part, &fault);
  if (taken > 0)
    ipc_inbox_skip (&connection->inbox, taken);
  if (event != IPC_LINES_MORE)
    {
      handle (self, event, &part, &fault);
      return IPC_STEP_DONE;
    }
  /* Its events tell of changes only, so it is read until there is nothing. */
  connection->readable = TRUE;
  return IPC_STEP_MORE;
}

/* The last writer has left. There will be others. */
static void
channel_pause (IpcConnection *connection)
{
  IpcPipeChannel *self = IPC_PIPE_CHANNEL (connection);
  GObject *owner = ipc_connection_get_owner (connection);
  IpcLinesPart part;
  IpcFault fault;
  IpcLinesEvent event = ipc_lines_finish (&self->lines, &part, &fault);

  if (event != IPC_LINES_MORE)
    handle (self, event, &part, &fault);
  if (owner != NULL)
    self->funcs->quiet (owner);
}

/* ---- the object ---- */

static void
ipc_pipe_channel_finalize (GObject *object)
{
  ipc_lines_clear (&IPC_PIPE_CHANNEL (object)->lines);

  G_OBJECT_CLASS (ipc_pipe_channel_parent_class)->finalize (object);
}

static void
ipc_pipe_channel_class_init (IpcPipeChannelClass *klass)
{
  IpcConnectionClass *connection_class = IPC_CONNECTION_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = ipc_pipe_channel_finalize;
  connection_class->read = channel_read;
  connection_class->write = channel_write;
  connection_class->shutdown = channel_shutdown;
  connection_class->refuse = channel_refuse;
  connection_class->step = channel_step;
  connection_class->pause = channel_pause;
}

static void
ipc_pipe_channel_init (IpcPipeChannel *self)
{
}

IpcConnection *
ipc_pipe_channel_new (int read_fd, const char *address, const IpcConnectionLimits *limits, const IpcPipeChannelFuncs *funcs)
{
  IpcPipeChannel *self = g_object_new (IPC_TYPE_PIPE_CHANNEL, NULL);
  IpcConnection *connection = IPC_CONNECTION (self);

  ipc_connection_set_up (connection, read_fd, TRUE, address, limits);
  connection->wire_format = IPC_WIRE_FORMAT_LINES;
  ipc_lines_init (&self->lines, limits->max_message_size);
  self->funcs = funcs;
  return connection;
}
