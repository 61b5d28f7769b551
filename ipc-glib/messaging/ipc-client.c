/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client as an object: its properties and signals. How it is opened and closed
 * is in ipc-client-open.c, what it sends in ipc-client-calls.c. How a server is
 * reached is its subclass's business.
 */
#include "messaging/ipc-client-private.h"

#include <unistd.h>

#include "base/ipc-scope-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-name.h"
#include "ipc-enums.h"

/**
 * IpcClient:
 *
 * What connects to a server.
 *
 * Make one of a subclass, [class@Ipc.SocketClient] for instance, and open it. The
 * calls here are those of its [property@Ipc.Client:connection]; a client that is
 * not open fails them with %IPC_ERROR_NOT_CONNECTED.
 *
 * The server is judged as well: a client talks only to one of the user
 * [property@Ipc.Client:server-uid], by default the own one.
 *
 * ## Threads
 *
 * A client is used in the main context that was the thread-default one when it
 * was made: signals come there. [method@Ipc.Client.send] and the requests work
 * from any thread; [method@Ipc.Client.open] and [method@Ipc.Client.request] block
 * the calling thread and need no main loop.
 *
 * ## When a process dies
 *
 * If the server dies, [signal@Ipc.Client::closed] comes, and requests under way
 * fail as [class@Ipc.Connection] says. The client can be opened again, or does that
 * itself:
 *
 * ## Reconnecting
 *
 * With [property@Ipc.Client:reconnect], a client that has been open and loses its
 * connection, for whatever reason but [method@Ipc.Client.close], tries to get it
 * back: first after 50 ms, then after twice as long each time, up to 5 s, always
 * ± 25 %, so that a thousand clients of a server do not come back in one instant.
 * A connection that lasted for 5 s makes it begin with 50 ms again. With
 * [property@Ipc.Client:wait-for-server] as well, a server that appears in its directory is
 * tried at once. Handlers and signal connections stay; nothing is ever sent twice.
 *
 * When a connection is lost, this happens, in this order, all in the main loop:
 *
 * 1. each request under way fails, in the order in which they were made: with %IPC_ERROR_UNCERTAIN if a byte of it
 *    had reached the kernel, else with %IPC_ERROR_NOT_CONNECTED; then what waits to be sent or flushed fails;
 * 2. the connection emits [signal@Ipc.Connection::closed], and notifies `is-open`;
 * 3. the client notifies `state`, now %IPC_CLIENT_STATE_WAITING (without `reconnect`, %IPC_CLIENT_STATE_CLOSED), and
 *    `connection`, now %NULL;
 * 4. the client emits [signal@Ipc.Client::closed].
 *
 * Each attempt that reaches a server notifies `state` (%IPC_CLIENT_STATE_OPENING) and `connection`, a new one; then
 * `state` is either %IPC_CLIENT_STATE_OPEN, or %IPC_CLIENT_STATE_WAITING again with `connection` %NULL. Until it is
 * open all calls fail with %IPC_ERROR_NOT_CONNECTED: such a message was not sent, and is safe to repeat.
 *
 * It goes on for as long as the failures are such that pass: nobody there, no answer, a full server
 * (%IPC_ERROR_FULL), a server that goes away in the middle, a shortage of the system. It gives up if the server
 * is of another user or refuses this one (%IPC_ERROR_PERMISSION_DENIED), speaks another version of the protocol
 * (%IPC_ERROR_VERSION) or none of it (%IPC_ERROR_INVALID_DATA), or if what is at the address is no socket. Then
 * `state` becomes %IPC_CLIENT_STATE_CLOSED, and [signal@Ipc.Client::closed] comes once more, with that error; the same
 * with %NULL after [method@Ipc.Client.close]. So the last `closed` is the one that comes in the state
 * %IPC_CLIENT_STATE_CLOSED.
 *
 * A server that stops in an orderly way (see [method@Ipc.Server.stop_async]) takes no new requests before it closes:
 * they fail with %IPC_ERROR_NOT_CONNECTED while the client is still open, and those under way are answered. Closing just the
 * [property@Ipc.Client:connection] of a client that reconnects makes it connect anew.
 *
 * ## Caveats
 *
 * Dropping the last reference to an open client closes it. In a child that forked
 * without exec, every call fails with %IPC_ERROR_FORKED.
 *
 * Since: 0.1
 */

typedef enum
{
  PROP_ADDRESS = 1,
  PROP_SCOPE,
  PROP_STATE,
  PROP_CONNECTION,
  PROP_WAIT_FOR_SERVER,
  PROP_RECONNECT,
  PROP_SERVER_UID,
  PROP_MAX_MESSAGE_SIZE,
  PROP_MAX_QUEUED_BYTES,
  PROP_MAX_FDS,
  PROP_REQUEST_TIMEOUT,
  PROP_KEEP_ALIVE_INTERVAL,
} IpcClientProperty;

static GParamSpec *properties[PROP_KEEP_ALIVE_INTERVAL + 1];
guint ipc_client_signals[IPC_CLIENT_N_SIGNALS];

G_DEFINE_ABSTRACT_TYPE (IpcClient, ipc_client, G_TYPE_OBJECT)

static void
ipc_client_dispose (GObject *object)
{
  IpcClient *self = IPC_CLIENT (object);

  /* An opening task holds a reference, so there is none now. */
  ipc_client_stop_waiting (self);
  if (self->connection != NULL)
    {
      ipc_client_abandon (self, self->connection);
      g_clear_object (&self->connection);
    }
  ipc_handler_table_clear (&self->handlers);

  G_OBJECT_CLASS (ipc_client_parent_class)->dispose (object);
}

static void
ipc_client_finalize (GObject *object)
{
  IpcClient *self = IPC_CLIENT (object);

  g_clear_object (&self->scope);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_free (self->address);
  ipc_backoff_clear (&self->backoff);
  g_mutex_clear (&self->lock);

  G_OBJECT_CLASS (ipc_client_parent_class)->finalize (object);
}

static void
ipc_client_constructed (GObject *object)
{
  IpcClient *self = IPC_CLIENT (object);

  G_OBJECT_CLASS (ipc_client_parent_class)->constructed (object);
  /* Choosing the default one makes its directory, which only names are in need of. */
  if (self->scope == NULL && ipc_name_check (self->address, NULL))
    self->scope = g_object_ref (ipc_scope_get_default ());
}

static void
ipc_client_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  IpcClient *self = IPC_CLIENT (object);

  switch ((IpcClientProperty) id)
    {
    case PROP_ADDRESS:
      g_value_set_string (value, self->address);
      break;
    case PROP_SCOPE:
      g_value_set_object (value, self->scope);
      break;
    case PROP_STATE:
      g_value_set_enum (value, ipc_client_get_state (self));
      break;
    case PROP_CONNECTION:
      g_value_set_object (value, ipc_client_get_connection (self));
      break;
    case PROP_WAIT_FOR_SERVER:
      g_value_set_boolean (value, self->wait_for_server);
      break;
    case PROP_RECONNECT:
      g_value_set_boolean (value, self->reconnect);
      break;
    case PROP_SERVER_UID:
      g_value_set_uint (value, self->server_uid);
      break;
    case PROP_MAX_MESSAGE_SIZE:
      g_value_set_uint (value, self->limits.max_message_size);
      break;
    case PROP_MAX_QUEUED_BYTES:
      g_value_set_uint (value, self->limits.max_queued_bytes);
      break;
    case PROP_MAX_FDS:
      g_value_set_uint (value, self->limits.max_fds);
      break;
    case PROP_REQUEST_TIMEOUT:
      g_value_set_int (value, self->limits.request_timeout);
      break;
    case PROP_KEEP_ALIVE_INTERVAL:
      g_value_set_int (value, self->limits.keep_alive_interval);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ipc_client_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  IpcClient *self = IPC_CLIENT (object);

  switch ((IpcClientProperty) id)
    {
    case PROP_ADDRESS:
      self->address = g_value_dup_string (value);
      if (self->address == NULL)
        self->address = g_strdup ("");
      break;
    case PROP_SCOPE:
      self->scope = g_value_dup_object (value);
      break;
    case PROP_WAIT_FOR_SERVER:
      ipc_client_set_wait_for_server (self, g_value_get_boolean (value));
      break;
    case PROP_RECONNECT:
      ipc_client_set_reconnect (self, g_value_get_boolean (value));
      break;
    case PROP_SERVER_UID:
      ipc_client_set_server_uid (self, g_value_get_uint (value));
      break;
    case PROP_MAX_MESSAGE_SIZE:
      ipc_client_set_max_message_size (self, g_value_get_uint (value));
      break;
    case PROP_MAX_QUEUED_BYTES:
      ipc_client_set_max_queued_bytes (self, g_value_get_uint (value));
      break;
    case PROP_MAX_FDS:
      ipc_client_set_max_fds (self, g_value_get_uint (value));
      break;
    case PROP_REQUEST_TIMEOUT:
      ipc_client_set_request_timeout (self, g_value_get_int (value));
      break;
    case PROP_KEEP_ALIVE_INTERVAL:
      ipc_client_set_keep_alive_interval (self, g_value_get_int (value));
      break;
    case PROP_STATE:
    case PROP_CONNECTION:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags read = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;
  const GParamFlags write = G_PARAM_READWRITE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS;
  const GParamFlags construct = G_PARAM_READWRITE | G_PARAM_CONSTRUCT_ONLY | G_PARAM_STATIC_STRINGS;

  /**
   * IpcClient:address:
   *
   * Where the server is.
   *
   * Since: 0.1
   */
  properties[PROP_ADDRESS] = g_param_spec_string ("address", NULL, NULL, NULL, construct);
  /**
   * IpcClient:scope:
   *
   * The directory that names are in; the default one if none is given. %NULL if none is given and
   * the address is not a name: then none is needed.
   *
   * Since: 0.1
   */
  properties[PROP_SCOPE] = g_param_spec_object ("scope", NULL, NULL, IPC_TYPE_SCOPE, construct);
  /**
   * IpcClient:state:
   *
   * Where the client is between closed and open.
   *
   * Since: 0.1
   */
  properties[PROP_STATE] = g_param_spec_enum ("state", NULL, NULL, IPC_TYPE_CLIENT_STATE, IPC_CLIENT_STATE_CLOSED, read);
  /**
   * IpcClient:connection:
   *
   * The connection, while there is one.
   *
   * Since: 0.1
   */
  properties[PROP_CONNECTION] = g_param_spec_object ("connection", NULL, NULL, IPC_TYPE_CONNECTION, read);
  /**
   * IpcClient:wait-for-server:
   *
   * Whether opening waits for a server to appear, instead of failing with %IPC_ERROR_NO_SERVER.
   *
   * Since: 0.1
   */
  properties[PROP_WAIT_FOR_SERVER] = g_param_spec_boolean ("wait-for-server", NULL, NULL, FALSE, write);
  /**
   * IpcClient:reconnect:
   *
   * Whether a connection that is lost is to come back by itself; see "Reconnecting" above.
   *
   * Turned off while the client reconnects, it makes the next attempt the last one.
   *
   * Since: 0.1
   */
  properties[PROP_RECONNECT] = g_param_spec_boolean ("reconnect", NULL, NULL, FALSE, write);
  /**
   * IpcClient:server-uid:
   *
   * The user that the server has to be of; by default the own effective one.
   *
   * Since: 0.1
   */
  properties[PROP_SERVER_UID] = g_param_spec_uint ("server-uid", NULL, NULL, 0, G_MAXUINT, 0, write);
  /**
   * IpcClient:max-message-size:
   *
   * How many bytes of type, headers and payload a message may have, in both
   * directions; the smaller limit of both sides holds. For the next time it is opened.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_MESSAGE_SIZE] = g_param_spec_uint ("max-message-size", NULL, NULL, 1024, IPC_CEILING_MAX_MESSAGE_SIZE,
                                                         IPC_DEFAULT_MAX_MESSAGE_SIZE, write);
  /**
   * IpcClient:max-queued-bytes:
   *
   * How many bytes may wait to be written; sending more fails with %IPC_ERROR_FULL. For the next time it is opened.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_QUEUED_BYTES] = g_param_spec_uint ("max-queued-bytes", NULL, NULL, 1024, G_MAXINT, IPC_DEFAULT_MAX_QUEUED_BYTES, write);
  /**
   * IpcClient:max-fds:
   *
   * How many descriptors a message may have, in both directions; the smaller limit of both sides holds. For the next
   * time it is opened.
   *
   * It is 16 by default, so that the server decides. Setting it, to whatever but 0, also agrees to large payloads in
   * memory that is shared with the server, where the server sends the same one again and again; each read then costs a
   * little more.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_FDS] = g_param_spec_uint ("max-fds", NULL, NULL, 0, IPC_CEILING_MAX_FDS, IPC_DEFAULT_CLIENT_MAX_FDS, write);
  /**
   * IpcClient:request-timeout:
   *
   * The default timeout of requests, in milliseconds; -1 is for ever.
   *
   * Since: 0.1
   */
  properties[PROP_REQUEST_TIMEOUT] = g_param_spec_int ("request-timeout", NULL, NULL, -1, G_MAXINT, IPC_DEFAULT_REQUEST_TIMEOUT, write);
  /**
   * IpcClient:keep-alive-interval:
   *
   * How long nothing may come from the server before it is asked with PING whether it is still there, in
   * milliseconds; 0 is never. If nothing comes for as long again, the connection is closed with %IPC_ERROR_TIMED_OUT.
   *
   * The kernel tells at once of a server that dies; this is for one that is stopped or hangs. A busy connection is
   * never asked. It works from the main loop. For the next time it is opened.
   *
   * Since: 0.1
   */
  properties[PROP_KEEP_ALIVE_INTERVAL] = g_param_spec_int ("keep-alive-interval", NULL, NULL, 0, G_MAXINT, 0, write);
  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
ipc_client_class_init (IpcClientClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GType type = G_TYPE_FROM_CLASS (klass);

  object_class->constructed = ipc_client_constructed;
  object_class->dispose = ipc_client_dispose;
  object_class->finalize = ipc_client_finalize;
  object_class->get_property = ipc_client_get_property;
  object_class->set_property = ipc_client_set_property;
  install_properties (object_class);

  /**
   * IpcClient::message-received:
   * @self: the client
   * @message: the message
   *
   * A message has come from the server, before its handler gets it. The type is the
   * detail: connect to `message-received::ping` for those of type `ping`.
   *
   * In C, @message is lent for the time of the call.
   *
   * Since: 0.1
   */
  ipc_client_signals[IPC_CLIENT_SIGNAL_MESSAGE_RECEIVED] = ipc_message_signal_new (type, FALSE);
  /**
   * IpcClient::closed:
   * @self: the client
   * @error: (nullable): why, or %NULL if one of the sides closed it in an orderly way
   *
   * The connection, which was open, is closed.
   *
   * [property@Ipc.Client:state] says whether it may come back: with [property@Ipc.Client:reconnect] it is
   * %IPC_CLIENT_STATE_WAITING, and this signal comes once more if that is given up, or the client is closed
   * meanwhile.
   *
   * Since: 0.1
   */
  ipc_client_signals[IPC_CLIENT_SIGNAL_CLOSED] = g_signal_new ("closed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
ipc_client_init (IpcClient *self)
{
  self->context = g_main_context_ref_thread_default ();
  self->generation = ipc_fork_generation ();
  self->limits = (IpcConnectionLimits){
    .max_message_size = IPC_DEFAULT_MAX_MESSAGE_SIZE,
    .max_queued_bytes = IPC_DEFAULT_MAX_QUEUED_BYTES,
    .request_timeout = IPC_DEFAULT_REQUEST_TIMEOUT,
    .handshake_timeout = IPC_DEFAULT_HANDSHAKE_TIMEOUT,
    .max_fds = IPC_DEFAULT_CLIENT_MAX_FDS,
    .memfd = TRUE,
  };
  self->server_uid = geteuid ();
  self->lasting = (gint64) IPC_RECONNECT_LIMIT_MS * 1000;
  ipc_backoff_init (&self->backoff, IPC_RECONNECT_BASE_MS, IPC_RECONNECT_LIMIT_MS);
  g_mutex_init (&self->lock);
}

/**
 * ipc_client_get_address: (get-property address)
 * @self: the client
 *
 * Where the server is.
 *
 * Returns: the address
 *
 * Since: 0.1
 */
const char *
ipc_client_get_address (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), NULL);

  return self->address;
}

/**
 * ipc_client_get_scope: (get-property scope)
 * @self: the client
 *
 * The directory that names are in.
 *
 * Returns: (transfer none) (nullable): the scope, or %NULL if the address is not a name and none was given
 *
 * Since: 0.1
 */
IpcScope *
ipc_client_get_scope (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), NULL);

  return self->scope;
}

/**
 * ipc_client_get_state: (get-property state)
 * @self: the client
 *
 * Where the client is between closed and open.
 *
 * Returns: the state
 *
 * Since: 0.1
 */
IpcClientState
ipc_client_get_state (IpcClient *self)
{
  IpcClientState state;

  g_return_val_if_fail (IPC_IS_CLIENT (self), IPC_CLIENT_STATE_CLOSED);

  g_mutex_lock (&self->lock);
  state = self->state;
  g_mutex_unlock (&self->lock);
  return state;
}

/**
 * ipc_client_get_connection: (get-property connection)
 * @self: the client
 *
 * The connection, while there is one.
 *
 * Returns: (transfer none) (nullable): the connection
 *
 * Since: 0.1
 */
IpcConnection *
ipc_client_get_connection (IpcClient *self)
{
  IpcConnection *connection;

  g_return_val_if_fail (IPC_IS_CLIENT (self), NULL);

  g_mutex_lock (&self->lock);
  connection = self->connection;
  g_mutex_unlock (&self->lock);
  return connection;
}

/**
 * ipc_client_get_wait_for_server: (get-property wait-for-server)
 * @self: the client
 *
 * Whether opening waits for a server to appear.
 *
 * Returns: %TRUE if it waits
 *
 * Since: 0.1
 */
gboolean
ipc_client_get_wait_for_server (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), FALSE);

  return self->wait_for_server;
}

/**
 * ipc_client_set_wait_for_server: (set-property wait-for-server)
 * @self: the client
 * @wait_for_server: whether it waits
 *
 * Sets whether opening waits for a server to appear.
 *
 * Since: 0.1
 */
void
ipc_client_set_wait_for_server (IpcClient *self, gboolean wait_for_server)
{
  g_return_if_fail (IPC_IS_CLIENT (self));

  wait_for_server = !!wait_for_server;
  if (self->wait_for_server == wait_for_server)
    return;
  self->wait_for_server = wait_for_server;
  g_object_notify (G_OBJECT (self), "wait-for-server");
}

/**
 * ipc_client_get_reconnect: (get-property reconnect)
 * @self: the client
 *
 * Whether a connection that is lost is to come back by itself.
 *
 * Returns: %TRUE if it is
 *
 * Since: 0.1
 */
gboolean
ipc_client_get_reconnect (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), FALSE);

  return self->reconnect;
}

/**
 * ipc_client_set_reconnect: (set-property reconnect)
 * @self: the client
 * @reconnect: whether it reconnects
 *
 * Sets whether a connection that is lost is to come back by itself.
 *
 * Since: 0.1
 */
void
ipc_client_set_reconnect (IpcClient *self, gboolean reconnect)
{
  g_return_if_fail (IPC_IS_CLIENT (self));

  reconnect = !!reconnect;
  if (self->reconnect == reconnect)
    return;
  self->reconnect = reconnect;
  g_object_notify (G_OBJECT (self), "reconnect");
}

/**
 * ipc_client_get_server_uid: (get-property server-uid)
 * @self: the client
 *
 * The user that the server has to be of.
 *
 * Returns: the uid
 *
 * Since: 0.1
 */
guint
ipc_client_get_server_uid (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), 0);

  return self->server_uid;
}

/**
 * ipc_client_set_server_uid: (set-property server-uid)
 * @self: the client
 * @server_uid: the uid
 *
 * Sets the user that the server has to be of.
 *
 * Since: 0.1
 */
void
ipc_client_set_server_uid (IpcClient *self, guint server_uid)
{
  g_return_if_fail (IPC_IS_CLIENT (self));

  if (self->server_uid == server_uid)
    return;
  self->server_uid = server_uid;
  g_object_notify (G_OBJECT (self), "server-uid");
}

/**
 * ipc_client_get_max_message_size: (get-property max-message-size)
 * @self: the client
 *
 * How many bytes a message may have.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_client_get_max_message_size (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), 0);

  return self->limits.max_message_size;
}

/**
 * ipc_client_set_max_message_size: (set-property max-message-size)
 * @self: the client
 * @max_message_size: the limit
 *
 * Sets how many bytes a message may have.
 *
 * Since: 0.1
 */
void
ipc_client_set_max_message_size (IpcClient *self, guint max_message_size)
{
  g_return_if_fail (IPC_IS_CLIENT (self));

  max_message_size = CLAMP (max_message_size, 1024, IPC_CEILING_MAX_MESSAGE_SIZE);
  if (self->limits.max_message_size == max_message_size)
    return;
  self->limits.max_message_size = max_message_size;
  g_object_notify (G_OBJECT (self), "max-message-size");
}

/**
 * ipc_client_get_max_queued_bytes: (get-property max-queued-bytes)
 * @self: the client
 *
 * How many bytes may wait to be written.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_client_get_max_queued_bytes (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), 0);

  return self->limits.max_queued_bytes;
}

/**
 * ipc_client_set_max_queued_bytes: (set-property max-queued-bytes)
 * @self: the client
 * @max_queued_bytes: the limit
 *
 * Sets how many bytes may wait to be written.
 *
 * Since: 0.1
 */
void
ipc_client_set_max_queued_bytes (IpcClient *self, guint max_queued_bytes)
{
  g_return_if_fail (IPC_IS_CLIENT (self));

  max_queued_bytes = CLAMP (max_queued_bytes, 1024, G_MAXINT);
  if (self->limits.max_queued_bytes == max_queued_bytes)
    return;
  self->limits.max_queued_bytes = max_queued_bytes;
  g_object_notify (G_OBJECT (self), "max-queued-bytes");
}

/**
 * ipc_client_get_max_fds: (get-property max-fds)
 * @self: the client
 *
 * How many descriptors a message may have.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_client_get_max_fds (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), 0);

  return self->limits.max_fds;
}

/**
 * ipc_client_set_max_fds: (set-property max-fds)
 * @self: the client
 * @max_fds: the limit
 *
 * Sets how many descriptors a message may have.
 *
 * Since: 0.1
 */
void
ipc_client_set_max_fds (IpcClient *self, guint max_fds)
{
  g_return_if_fail (IPC_IS_CLIENT (self));

  max_fds = MIN (max_fds, IPC_CEILING_MAX_FDS);
  self->limits.memfd = max_fds > 0;
  if (self->limits.max_fds == max_fds)
    return;
  self->limits.max_fds = max_fds;
  g_object_notify (G_OBJECT (self), "max-fds");
}

/**
 * ipc_client_get_request_timeout: (get-property request-timeout)
 * @self: the client
 *
 * The default timeout of requests.
 *
 * Returns: milliseconds, or -1 for ever
 *
 * Since: 0.1
 */
gint
ipc_client_get_request_timeout (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), 0);

  return self->limits.request_timeout;
}

/**
 * ipc_client_set_request_timeout: (set-property request-timeout)
 * @self: the client
 * @request_timeout: milliseconds, or -1 for ever
 *
 * Sets the default timeout of requests.
 *
 * Since: 0.1
 */
void
ipc_client_set_request_timeout (IpcClient *self, gint request_timeout)
{
  g_autoptr (IpcConnection) connection = NULL;

  g_return_if_fail (IPC_IS_CLIENT (self));

  request_timeout = MAX (request_timeout, -1);
  if (self->limits.request_timeout == request_timeout)
    return;
  self->limits.request_timeout = request_timeout;
  connection = ipc_client_ref_connection (self, NULL);
  if (connection != NULL)
    ipc_connection_set_request_timeout (connection, request_timeout);
  g_object_notify (G_OBJECT (self), "request-timeout");
}

/**
 * ipc_client_get_keep_alive_interval: (get-property keep-alive-interval)
 * @self: the client
 *
 * How long nothing may come from the peer before it is asked whether it is still there.
 *
 * Returns: milliseconds, 0 is never
 *
 * Since: 0.1
 */
gint
ipc_client_get_keep_alive_interval (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), 0);

  return self->limits.keep_alive_interval;
}

/**
 * ipc_client_set_keep_alive_interval: (set-property keep-alive-interval)
 * @self: the client
 * @keep_alive_interval: milliseconds, 0 is never
 *
 * Sets how long nothing may come from the peer before it is asked whether it is still there.
 *
 * Since: 0.1
 */
void
ipc_client_set_keep_alive_interval (IpcClient *self, gint keep_alive_interval)
{
  g_return_if_fail (IPC_IS_CLIENT (self));

  keep_alive_interval = MAX (keep_alive_interval, 0);
  if (self->limits.keep_alive_interval == keep_alive_interval)
    return;
  self->limits.keep_alive_interval = keep_alive_interval;
  g_object_notify (G_OBJECT (self), "keep-alive-interval");
}
