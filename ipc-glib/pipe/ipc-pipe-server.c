/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server on a named pipe: who comes to it, and what becomes of that. The pipe itself is ipc-pipe-path.c, what comes out of
 * it ipc-pipe-channel.c, the rest is messaging's.
 */
#include "ipc-pipe-server.h"

#include "base/ipc-backoff-private.h"
#include "base/ipc-local-servers-private.h"
#include "messaging/ipc-server-private.h"
#include "pipe/ipc-pipe-address-private.h"
#include "pipe/ipc-pipe-channel-private.h"
#include "pipe/ipc-pipe-connection-private.h"
#include "pipe/ipc-pipe-hello-private.h"
#include "pipe/ipc-pipe-pair-private.h"
#include "pipe/ipc-pipe-path-private.h"

#define MANY_WAITING 1024u      /* from so many on those that have given up are looked for */
#define RETRY_BASE_MS 10
#define RETRY_LIMIT_MS 1000

/**
 * IpcPipeServer:
 *
 * A server on a named pipe (FIFO), which any shell can write to.
 *
 * Its address is a name (`[A-Za-z0-9._-]`, 1 to 64 of them, not starting with `.` or `-`) in
 * [property@Ipc.Server:scope], or an absolute path.
 *
 * ## Lines
 *
 * After `echo hello > PIPE` the server has a message of type `line` with the text `hello`: each line is one, and the last one
 * counts without a newline, too, once nobody has the pipe open any more. A line that is a JSON object with a `message_type` is
 * a message of that type, as clients that speak JSON send them. Nothing goes back to whoever writes lines: what a
 * handler returns is ignored.
 *
 * All of them come through one connection, whose [property@Ipc.Connection:wire-format] is %IPC_WIRE_FORMAT_LINES. It is not
 * among the [property@Ipc.Server:connections], sending to it fails with %IPC_ERROR_UNSUPPORTED, and closing it does nothing.
 *
 * A line that is longer than [property@Ipc.Server:max-message-size], no UTF-8, or has a NUL byte, is left out;
 * [signal@Ipc.PipeServer::line-dropped] tells, and the next line comes whole.
 *
 * ## Clients
 *
 * A [class@Ipc.PipeClient] says through the same pipe that it is there, and gets a pair of pipes of its own, which have no
 * names. Everything works over it that works over a socket, but what a pipe cannot do: there are no
 * [property@Ipc.Connection:credentials], as only this user gets so far; and messages with descriptors fail with
 * %IPC_ERROR_UNSUPPORTED.
 *
 * ## Threads
 *
 * See [class@Ipc.Server].
 *
 * ## When a process dies
 *
 * A client that dies is noticed at once; what it leaves in the directory of the server is removed when nobody has the pipe
 * open, or by the next start. If the server dies, the pipe stays, and what was in it is lost. The next server takes it over:
 * a shell that waits in `echo > PIPE` meanwhile goes on then.
 *
 * ## Caveats
 *
 * The kernel keeps writes of up to 4,096 bytes (`PIPE_BUF`) whole; longer lines of several writers at once may come in pieces of
 * each. [class@Ipc.PipeClient] has no such limit.
 *
 * A server that stops removes the pipe. `echo > PIPE` makes a regular file where there is none, which the next server refuses
 * with %IPC_ERROR_WRONG_TYPE: scripts should ask `[ -p PIPE ]` first.
 *
 * [property@Ipc.Server:mode] and [property@Ipc.Server:group] may let others write lines. They cannot become clients.
 *
 * A program that reads the pipe without being asked, as `cat` does, takes lines away from the server.
 *
 * Since: 0.1
 */

struct _IpcPipeServer
{
  IpcServer parent_instance;

  IpcPipePath path;
  char *local_key;              /* (nullable) (owned) what the process knows it by, while it runs */
  GQueue waiting;               /* (element-type GBytes) HELLOs of those that there were no descriptors for */
  guint many_waiting;
  GSource *retry;               /* (nullable) (owned) */
  IpcBackoff backoff;
};

struct _IpcPipeServerClass
{
  IpcServerClass parent_class;
};

G_DEFINE_FINAL_TYPE (IpcPipeServer, ipc_pipe_server, IPC_TYPE_SERVER)

static guint line_dropped_signal;

/* ---- clients ---- */

/* FALSE: there are no descriptors for it, and it waits. */
static gboolean
take_client (IpcPipeServer *self, GBytes *hello)
{
  IpcServer *server = IPC_SERVER (self);
  g_autoptr (IpcConnection) connection = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *token = ipc_pipe_hello_get_token (hello, &error);
  IpcPipePairTaken taken = IPC_PIPE_PAIR_LOST;
  int read_fd, write_fd;

  if (token != NULL)
    taken = ipc_pipe_pair_take (self->path.pairs_fd, token, &read_fd, &write_fd, &error);
  if (taken == IPC_PIPE_PAIR_LOST)
    g_debug ("%s: a client was lost: %s", server->address, error->message);
  if (taken != IPC_PIPE_PAIR_TAKEN)
    return taken == IPC_PIPE_PAIR_LOST;
  connection = ipc_pipe_connection_new_for_server (read_fd, write_fd, server->address, &server->limits);
  ipc_server_take (server, g_object_ref (connection));
  ipc_connection_feed (connection, hello);
  return TRUE;
}

static void retry_later (IpcPipeServer *self);

static void
clear_retry (IpcPipeServer *self)
{
  if (self->retry != NULL)
    g_source_destroy (self->retry);
  g_clear_pointer (&self->retry, g_source_unref);
}

static void
take_waiting (IpcPipeServer *self)
{
  while (!g_queue_is_empty (&self->waiting))
    {
      g_autoptr (GBytes) hello = g_queue_pop_head (&self->waiting);

      if (take_client (self, hello))
        continue;
      g_queue_push_head (&self->waiting, g_steal_pointer (&hello));
      retry_later (self);
      return;
    }
  ipc_backoff_reset (&self->backoff);
}

static gboolean
retry_cb (gpointer data)
{
  g_autoptr (IpcPipeServer) self = g_object_ref (data);

  clear_retry (self);
  take_waiting (self);
  return G_SOURCE_REMOVE;
}

static void
retry_later (IpcPipeServer *self)
{
  if (self->retry != NULL || !IPC_SERVER (self)->is_running)
    return;
  self->retry = g_timeout_source_new ((guint) (ipc_backoff_next (&self->backoff) / 1000));
  g_source_set_static_name (self->retry, "[ipc-glib] clients wait for descriptors");
  g_source_set_callback (self->retry, retry_cb, self, NULL);
  g_source_attach (self->retry, IPC_SERVER (self)->context);
}

static gboolean
still_waits (IpcPipeServer *self, GBytes *hello)
{
  g_autofree char *token = ipc_pipe_hello_get_token (hello, NULL);

  return token != NULL && ipc_pipe_pair_exists (self->path.pairs_fd, token);
}

static void
forget_gone (IpcPipeServer *self)
{
  for (GList *next, *link = self->waiting.head; link != NULL; link = next)
    {
      next = link->next;
      if (still_waits (self, link->data))
        continue;
      g_bytes_unref (link->data);
      g_queue_delete_link (&self->waiting, link);
    }
  self->many_waiting = MAX (MANY_WAITING, 2 * g_queue_get_length (&self->waiting));
}

/* However many they are: each has a pair of pipes in our directory, which is more than its HELLO is here. */
static void
let_wait (IpcPipeServer *self, GBytes *hello)
{
  gboolean is_first = g_queue_is_empty (&self->waiting);

  if (!still_waits (self, hello))
    return;
  if (g_queue_get_length (&self->waiting) >= self->many_waiting)
    forget_gone (self);
  g_queue_push_tail (&self->waiting, g_bytes_ref (hello));
  retry_later (self);
  if (!is_first)
    return;
  g_debug ("%s: no descriptor is left for another client", IPC_SERVER (self)->address);
  g_signal_emit (self, ipc_server_signals[IPC_SERVER_SIGNAL_OVERLOADED], 0);
}

static void
channel_hello (gpointer owner, GBytes *hello)
{
  IpcPipeServer *self = owner;

  if (!g_queue_is_empty (&self->waiting) || !take_client (self, hello))
    let_wait (self, hello);
}

/* ---- lines ---- */

static void
channel_lost (gpointer owner, const GError *error)
{
  g_debug ("%s: a line was dropped", IPC_SERVER (owner)->address);
  g_signal_emit (owner, line_dropped_signal, 0, error);
}

static void
channel_quiet (gpointer owner)
{
  IpcPipeServer *self = owner;
  IpcConnection *channel = IPC_SERVER (self)->channel;

  if (channel != NULL && g_queue_is_empty (&self->waiting))
    ipc_pipe_pairs_sweep (self->path.pairs_fd, channel->fd);
}

static const IpcPipeChannelFuncs channel_funcs = { channel_hello, channel_lost, channel_quiet };

/* ---- listening ---- */

static void
ipc_pipe_server_unlisten (IpcServer *server)
{
  IpcPipeServer *self = IPC_PIPE_SERVER (server);

  clear_retry (self);
  g_queue_clear_full (&self->waiting, (GDestroyNotify) g_bytes_unref);
  if (self->local_key != NULL)
    ipc_local_servers_remove (self->local_key);
  g_clear_pointer (&self->local_key, g_free);
  ipc_server_unwatch_path (server);
  ipc_pipe_path_clear (&self->path);
}

static gboolean
open_path (IpcPipeServer *self, GError **error)
{
  IpcServer *server = IPC_SERVER (self);
  g_auto (IpcPathAddress) address = { 0 };
  g_autofree char *path = NULL;
  gid_t gid;
  int directory_fd;

  if (!ipc_pipe_address_parse (server->address, &address, error) || !ipc_server_find_gid (server, &gid, error))
    return FALSE;
  path = ipc_path_address_get_path (&address, IPC_PIPE_FOLDER, server->scope);
  directory_fd = ipc_path_address_open_directory (&address, IPC_PIPE_FOLDER, server->scope, TRUE, error);
  return directory_fd >= 0 && ipc_pipe_path_open (&self->path, directory_fd, address.basename, path, server->mode, gid, error);
}

static gboolean
ipc_pipe_server_listen (IpcServer *server, GError **error)
{
  IpcPipeServer *self = IPC_PIPE_SERVER (server);
  IpcConnection *channel;

  if (!open_path (self, error))
    return FALSE;
  channel = ipc_pipe_channel_new (self->path.read_fd, server->address, &server->limits, &channel_funcs);
  self->path.read_fd = -1;
  if (!ipc_server_take_channel (server, channel, error))
    {
      ipc_pipe_path_clear (&self->path);
      return FALSE;
    }
  self->local_key = ipc_local_servers_key_of_file (self->path.path.device, self->path.path.inode);
  ipc_local_servers_add (self->local_key, server->context);
  ipc_server_watch_path (server, &self->path.path);
  return TRUE;
}

static void
ipc_pipe_server_peer_changed (IpcServer *server)
{
  IpcPipeServer *self = IPC_PIPE_SERVER (server);

  /* Not from within: whoever changes may be in the middle of something. */
  if (!g_queue_is_empty (&self->waiting) && self->retry != NULL)
    g_source_set_ready_time (self->retry, 0);
}

/* ---- the object ---- */

static void
ipc_pipe_server_finalize (GObject *object)
{
  ipc_backoff_clear (&IPC_PIPE_SERVER (object)->backoff);

  G_OBJECT_CLASS (ipc_pipe_server_parent_class)->finalize (object);
}

static void
ipc_pipe_server_class_init (IpcPipeServerClass *klass)
{
  IpcServerClass *server_class = IPC_SERVER_CLASS (klass);

  G_OBJECT_CLASS (klass)->finalize = ipc_pipe_server_finalize;
  server_class->listen = ipc_pipe_server_listen;
  server_class->unlisten = ipc_pipe_server_unlisten;
  server_class->peer_changed = ipc_pipe_server_peer_changed;

  /**
   * IpcPipeServer::line-dropped:
   * @self: the server
   * @error: why: %IPC_ERROR_TOO_LARGE or %IPC_ERROR_INVALID_DATA
   *
   * A line that somebody wrote is no message, and was left out. It counts as one of
   * [property@Ipc.Server:messages-dropped].
   *
   * Since: 0.1
   */
  line_dropped_signal = g_signal_new ("line-dropped", IPC_TYPE_PIPE_SERVER, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1,
                                      G_TYPE_ERROR);
}

static void
ipc_pipe_server_init (IpcPipeServer *self)
{
  ipc_pipe_path_init (&self->path);
  g_queue_init (&self->waiting);
  self->many_waiting = MANY_WAITING;
  ipc_backoff_init (&self->backoff, RETRY_BASE_MS, RETRY_LIMIT_MS);
}

/**
 * ipc_pipe_server_new:
 * @address: a name or an absolute path
 *
 * Makes a server on a named pipe. It does not look at @address yet: a bad one is an error of [method@Ipc.Server.start].
 *
 * Returns: (transfer full): the server
 *
 * Since: 0.1
 */
IpcPipeServer *
ipc_pipe_server_new (const char *address)
{
  return g_object_new (IPC_TYPE_PIPE_SERVER, "address", address, NULL);
}
