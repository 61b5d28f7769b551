/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server: its peers, its handlers and its limits. How peers reach it is its
 * subclass's business.
 */
#include "messaging/ipc-server-private.h"

#include <string.h>
#include <unistd.h>

#include "base/ipc-scope-private.h"
#include "base/ipc-task-private.h"
#include "core/ipc-fork.h"
#include "ipc-enums.h"
#include "messaging/ipc-credentials-private.h"

#define DEFAULT_MAX_CLIENTS 256u
#define CEILING_MAX_CLIENTS 65536u
#define MAX_UNOPENED 64u        /* peers that have not said what they want yet */

/**
 * IpcServer:
 *
 * What clients connect to.
 *
 * Make one of a subclass, [class@Ipc.SocketServer] for instance, give it handlers
 * by message type ([method@Ipc.Server.add_handler]) or connect to
 * [signal@Ipc.Server::message-received], and [method@Ipc.Server.start] it.
 *
 * Peers are judged by what the kernel says of them, before a byte of theirs is
 * read: by default only the own user is let in; [signal@Ipc.Server::authorize-client]
 * decides otherwise.
 *
 * ## Threads
 *
 * A server is used in the main context that was the thread-default one when it
 * was made: handlers and signals come there. [method@Ipc.Server.send_to] and
 * [method@Ipc.Server.broadcast], and everything of [class@Ipc.Connection], work from
 * any thread.
 *
 * ## When a process dies
 *
 * A client that dies is noticed at once: [signal@Ipc.Server::client-disconnected].
 * If the server dies, the kernel closes its connections and frees its address;
 * the next server of that address takes it over.
 *
 * ## Caveats
 *
 * Dropping the last reference to a running server stops it. In a child that
 * forked without exec, a server does nothing more.
 *
 * Since: 0.1
 */

typedef struct
{
  GMainContext *context;        /* (owned) */
  unsigned generation;
  char *address;                /* (owned) */
  IpcScope *scope;              /* (owned) */
  IpcConnectionLimits limits;
  guint max_clients;
  guint mode;
  gboolean is_running;
  GListStore *connections;      /* (owned) those that are open */
  GMutex lock;
  GHashTable *by_id;            /* (owned) (mutex lock) guint64 → IpcConnection (owned), those that are open */
  GHashTable *unopened;         /* (owned) IpcConnection (owned) before HELLO */
  IpcHandlerTable handlers;
  GTask *stopping;              /* (nullable) (owned) */
  GSource *stop_timeout;        /* (nullable) (owned) */
  GSource *stop_cancelled;      /* (nullable) (owned) */
} IpcServerPrivate;

typedef enum
{
  PROP_ADDRESS = 1,
  PROP_SCOPE,
  PROP_CONNECTIONS,
  PROP_IS_RUNNING,
  PROP_N_CLIENTS,
  PROP_MAX_CLIENTS,
  PROP_MAX_MESSAGE_SIZE,
  PROP_MAX_QUEUED_BYTES,
  PROP_REQUEST_TIMEOUT,
  PROP_MODE,
} IpcServerProperty;

enum
{
  SIGNAL_CLIENT_CONNECTED,
  SIGNAL_CLIENT_DISCONNECTED,
  SIGNAL_MESSAGE_RECEIVED,
  SIGNAL_AUTHORIZE_CLIENT,
  SIGNAL_OVERLOADED,
  N_SIGNALS
};

static GParamSpec *properties[PROP_MODE + 1];
static guint signals[N_SIGNALS];

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (IpcServer, ipc_server, G_TYPE_OBJECT)

#define PRIVATE(self) ((IpcServerPrivate *) ipc_server_get_instance_private (self))

/* ---- peers ---- */

static void
clear_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static void
finish_stop_if_done (IpcServer *self)
{
  IpcServerPrivate *priv = PRIVATE (self);

  if (priv->stopping == NULL || g_hash_table_size (priv->by_id) > 0 || g_hash_table_size (priv->unopened) > 0)
    return;
  clear_source (&priv->stop_timeout);
  clear_source (&priv->stop_cancelled);
  g_task_return_boolean (priv->stopping, TRUE);
  g_clear_object (&priv->stopping);
}

static void
peer_opened (gpointer owner, IpcConnection *connection)
{
  IpcServer *self = owner;
  IpcServerPrivate *priv = PRIVATE (self);

  if (!g_hash_table_remove (priv->unopened, connection))
    return;
  g_mutex_lock (&priv->lock);
  g_hash_table_insert (priv->by_id, &connection->id, g_object_ref (connection));
  g_mutex_unlock (&priv->lock);
  g_list_store_append (priv->connections, connection);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_CLIENTS]);
  g_signal_emit (self, signals[SIGNAL_CLIENT_CONNECTED], 0, connection);
}

static void
peer_closed (gpointer owner, IpcConnection *connection, const GError *error)
{
  IpcServer *self = owner;
  IpcServerPrivate *priv = PRIVATE (self);
  gboolean was_open;
  guint position;

  g_mutex_lock (&priv->lock);
  was_open = g_hash_table_remove (priv->by_id, &connection->id);
  g_mutex_unlock (&priv->lock);
  if (was_open)
    {
      if (g_list_store_find (priv->connections, connection, &position))
        g_list_store_remove (priv->connections, position);
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_N_CLIENTS]);
    }
  else if (!g_hash_table_remove (priv->unopened, connection))
    return;
  /* Somebody who just went away before saying anything is no news. */
  if (was_open || (error != NULL && connection->refusal == NULL))
    g_signal_emit (self, signals[SIGNAL_CLIENT_DISCONNECTED], 0, connection, error);
  finish_stop_if_done (self);
}

static gboolean
peer_message (gpointer owner, IpcConnection *connection, IpcMessage *message)
{
  IpcServer *self = owner;
  gboolean taken = ipc_emit_message_received (self, signals[SIGNAL_MESSAGE_RECEIVED], connection, message);

  return ipc_handler_run (ipc_handler_table_find (&PRIVATE (self)->handlers, message->type), self, connection, message) || taken;
}

static gboolean
peer_handles (gpointer owner, const char *message_type)
{
  return ipc_handler_table_find (&PRIVATE ((IpcServer *) owner)->handlers, message_type) != NULL;
}

static const IpcConnectionOwnerFuncs owner_funcs = { peer_opened, peer_message, peer_handles, peer_closed };

static gboolean
is_authorized (IpcServer *self, IpcConnection *connection)
{
  IpcAuthorization verdict = IPC_AUTHORIZATION_UNDECIDED;

  if (!ipc_credentials_are_known (connection->credentials))
    return FALSE;
  if (!g_signal_has_handler_pending (self, signals[SIGNAL_AUTHORIZE_CLIENT], 0, FALSE))
    return g_credentials_get_unix_user (connection->credentials, NULL) == geteuid ();
  g_signal_emit (self, signals[SIGNAL_AUTHORIZE_CLIENT], 0, connection, &verdict);
  return verdict == IPC_AUTHORIZATION_GRANTED;
}

/* Those that will be clients as soon as they introduce themselves. */
static guint
count_admitted (IpcServerPrivate *priv)
{
  GHashTableIter iter;
  gpointer peer;
  guint n = 0;

  g_hash_table_iter_init (&iter, priv->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    if (((IpcConnection *) peer)->refusal == NULL)
      n++;
  return n;
}

void
ipc_server_take (IpcServer *self, IpcConnection *connection)
{
  IpcServerPrivate *priv = PRIVATE (self);
  g_autoptr (IpcConnection) taken G_GNUC_UNUSED = connection;
  g_autoptr (GError) error = NULL;

  /* A handler may have stopped the server, or have kept the connection: it is closed in any case. */
  if (!is_authorized (self, connection) || !priv->is_running)
    {
      g_debug ("%s: a peer was not let in", priv->address);
      ipc_connection_close (connection);
      return;
    }
  if (g_hash_table_size (priv->unopened) >= MAX_UNOPENED)
    {
      ipc_connection_close (connection);
      g_signal_emit (self, signals[SIGNAL_OVERLOADED], 0);
      return;
    }
  if (g_hash_table_size (priv->by_id) + count_admitted (priv) >= priv->max_clients)
    {
      connection->refusal = g_error_new (IPC_ERROR, IPC_ERROR_FULL, "%s: the limit of %u clients is reached", priv->address, priv->max_clients);
      g_signal_emit (self, signals[SIGNAL_OVERLOADED], 0);
    }
  ipc_connection_set_context (connection, priv->context);
  ipc_connection_set_owner (connection, self, &owner_funcs);
  g_hash_table_add (priv->unopened, g_object_ref (connection));
  if (!ipc_connection_start (connection, &error))
    {
      g_debug ("%s: %s", priv->address, error->message);
      g_hash_table_remove (priv->unopened, connection);
    }
}

/* ---- the object ---- */

static void
forget_peers (IpcServer *self)
{
  IpcServerPrivate *priv = PRIVATE (self);
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer peer;

  g_hash_table_iter_init (&iter, priv->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    g_ptr_array_add (peers, g_object_ref (peer));
  g_hash_table_iter_init (&iter, priv->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    g_ptr_array_add (peers, g_object_ref (peer));
  for (guint i = 0; i < peers->len; i++)
    ipc_connection_close (g_ptr_array_index (peers, i));
}

static void
stop_listening (IpcServer *self)
{
  IpcServerPrivate *priv = PRIVATE (self);

  if (!priv->is_running)
    return;
  priv->is_running = FALSE;
  if (priv->generation == ipc_fork_generation ())
    IPC_SERVER_GET_CLASS (self)->unlisten (self);
}

static void
ipc_server_dispose (GObject *object)
{
  IpcServer *self = IPC_SERVER (object);
  IpcServerPrivate *priv = PRIVATE (self);

  stop_listening (self);
  forget_peers (self);
  g_mutex_lock (&priv->lock);
  g_hash_table_remove_all (priv->by_id);
  g_mutex_unlock (&priv->lock);
  g_hash_table_remove_all (priv->unopened);
  ipc_handler_table_clear (&priv->handlers);

  G_OBJECT_CLASS (ipc_server_parent_class)->dispose (object);
}

static void
ipc_server_finalize (GObject *object)
{
  IpcServerPrivate *priv = PRIVATE (IPC_SERVER (object));

  g_clear_object (&priv->connections);
  g_clear_pointer (&priv->by_id, g_hash_table_unref);
  g_clear_pointer (&priv->unopened, g_hash_table_unref);
  g_clear_object (&priv->scope);
  g_clear_pointer (&priv->context, g_main_context_unref);
  g_free (priv->address);
  g_mutex_clear (&priv->lock);

  G_OBJECT_CLASS (ipc_server_parent_class)->finalize (object);
}

static void
ipc_server_constructed (GObject *object)
{
  IpcServerPrivate *priv = PRIVATE (IPC_SERVER (object));

  G_OBJECT_CLASS (ipc_server_parent_class)->constructed (object);
  if (priv->scope == NULL)
    priv->scope = g_object_ref (ipc_scope_get_default ());
}

static void
ipc_server_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  IpcServer *self = IPC_SERVER (object);
  IpcServerPrivate *priv = PRIVATE (self);

  switch ((IpcServerProperty) id)
    {
    case PROP_ADDRESS:
      g_value_set_string (value, priv->address);
      break;
    case PROP_SCOPE:
      g_value_set_object (value, priv->scope);
      break;
    case PROP_CONNECTIONS:
      g_value_set_object (value, priv->connections);
      break;
    case PROP_IS_RUNNING:
      g_value_set_boolean (value, priv->is_running);
      break;
    case PROP_N_CLIENTS:
      g_value_set_uint (value, ipc_server_get_n_clients (self));
      break;
    case PROP_MAX_CLIENTS:
      g_value_set_uint (value, priv->max_clients);
      break;
    case PROP_MAX_MESSAGE_SIZE:
      g_value_set_uint (value, priv->limits.max_message_size);
      break;
    case PROP_MAX_QUEUED_BYTES:
      g_value_set_uint (value, priv->limits.max_queued_bytes);
      break;
    case PROP_REQUEST_TIMEOUT:
      g_value_set_int (value, priv->limits.request_timeout);
      break;
    case PROP_MODE:
      g_value_set_uint (value, priv->mode);
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ipc_server_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  IpcServer *self = IPC_SERVER (object);
  IpcServerPrivate *priv = PRIVATE (self);

  switch ((IpcServerProperty) id)
    {
    case PROP_ADDRESS:
      priv->address = g_value_dup_string (value);
      if (priv->address == NULL)
        priv->address = g_strdup ("");
      break;
    case PROP_SCOPE:
      priv->scope = g_value_dup_object (value);
      break;
    case PROP_MAX_CLIENTS:
      ipc_server_set_max_clients (self, g_value_get_uint (value));
      break;
    case PROP_MAX_MESSAGE_SIZE:
      ipc_server_set_max_message_size (self, g_value_get_uint (value));
      break;
    case PROP_MAX_QUEUED_BYTES:
      ipc_server_set_max_queued_bytes (self, g_value_get_uint (value));
      break;
    case PROP_REQUEST_TIMEOUT:
      ipc_server_set_request_timeout (self, g_value_get_int (value));
      break;
    case PROP_MODE:
      ipc_server_set_mode (self, g_value_get_uint (value));
      break;
    case PROP_CONNECTIONS:
    case PROP_IS_RUNNING:
    case PROP_N_CLIENTS:
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
   * IpcServer:address:
   *
   * Where the server can be reached.
   *
   * Since: 0.1
   */
  properties[PROP_ADDRESS] = g_param_spec_string ("address", NULL, NULL, NULL, construct);
  /**
   * IpcServer:scope:
   *
   * The directory that names are in; the default one if none is given.
   *
   * Since: 0.1
   */
  properties[PROP_SCOPE] = g_param_spec_object ("scope", NULL, NULL, IPC_TYPE_SCOPE, construct);
  /**
   * IpcServer:connections:
   *
   * The clients: a list of [class@Ipc.Connection].
   *
   * Since: 0.1
   */
  properties[PROP_CONNECTIONS] = g_param_spec_object ("connections", NULL, NULL, G_TYPE_LIST_MODEL, read);
  /**
   * IpcServer:is-running:
   *
   * Whether clients can connect.
   *
   * Since: 0.1
   */
  properties[PROP_IS_RUNNING] = g_param_spec_boolean ("is-running", NULL, NULL, FALSE, read);
  /**
   * IpcServer:n-clients:
   *
   * How many clients there are.
   *
   * Since: 0.1
   */
  properties[PROP_N_CLIENTS] = g_param_spec_uint ("n-clients", NULL, NULL, 0, G_MAXUINT, 0, read);
  /**
   * IpcServer:max-clients:
   *
   * How many clients there may be. One more is turned away with %IPC_ERROR_FULL.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_CLIENTS] = g_param_spec_uint ("max-clients", NULL, NULL, 1, CEILING_MAX_CLIENTS, DEFAULT_MAX_CLIENTS, write);
  /**
   * IpcServer:max-message-size:
   *
   * How many bytes of type, headers and payload a message may have, in both
   * directions. For clients that connect from now on. A peer that sends more is dropped.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_MESSAGE_SIZE] = g_param_spec_uint ("max-message-size", NULL, NULL, 1024, IPC_CEILING_MAX_MESSAGE_SIZE,
                                                         IPC_DEFAULT_MAX_MESSAGE_SIZE, write);
  /**
   * IpcServer:max-queued-bytes:
   *
   * How many bytes may wait to be written to one client; sending more fails with
   * %IPC_ERROR_FULL. For clients that connect from now on.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_QUEUED_BYTES] = g_param_spec_uint ("max-queued-bytes", NULL, NULL, 1024, G_MAXINT, IPC_DEFAULT_MAX_QUEUED_BYTES, write);
  /**
   * IpcServer:request-timeout:
   *
   * The default timeout of requests to clients, in milliseconds; -1 is for ever. Also
   * how long [method@Ipc.Server.stop_async] waits for what is pending.
   *
   * Since: 0.1
   */
  properties[PROP_REQUEST_TIMEOUT] = g_param_spec_int ("request-timeout", NULL, NULL, -1, G_MAXINT, IPC_DEFAULT_REQUEST_TIMEOUT, write);
  /**
   * IpcServer:mode:
   *
   * The permissions of the file that clients reach the server by; wider ones than the
   * default 0600 only let somebody in together with [signal@Ipc.Server::authorize-client].
   *
   * Since: 0.1
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", NULL, NULL, 0, G_MAXUINT, 0600, write);
  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

/* The first handler that decides has the say; one who does not, or fails, is passed over. */
static gboolean
accumulate_authorization (GSignalInvocationHint *hint, GValue *result, const GValue *one, gpointer data)
{
  gint verdict = g_value_get_enum (one);

  if (verdict != IPC_AUTHORIZATION_GRANTED && verdict != IPC_AUTHORIZATION_DENIED)
    return TRUE;
  g_value_set_enum (result, verdict);
  return FALSE;
}

static void
install_signals (GType type)
{
  /**
   * IpcServer::client-connected:
   * @self: the server
   * @connection: the client
   *
   * A client was let in and has introduced itself.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CLIENT_CONNECTED] = g_signal_new ("client-connected", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                   G_TYPE_NONE, 1, IPC_TYPE_CONNECTION);
  /**
   * IpcServer::client-disconnected:
   * @self: the server
   * @connection: the client
   * @error: (nullable): why it was dropped, or %NULL if it just left
   *
   * A client is gone.
   *
   * A peer that was dropped for what it said before it was a client is reported
   * as well: with @error, and without a [signal@Ipc.Server::client-connected] before.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CLIENT_DISCONNECTED] = g_signal_new ("client-disconnected", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                      G_TYPE_NONE, 2, IPC_TYPE_CONNECTION, G_TYPE_ERROR);
  /**
   * IpcServer::message-received:
   * @self: the server
   * @connection: the client
   * @message: the message
   *
   * A message has come from a client, before its handler gets it. The type is the
   * detail: connect to `message-received::ping` for those of type `ping`.
   *
   * In C, @message is lent for the time of the call.
   *
   * Since: 0.1
   */
  signals[SIGNAL_MESSAGE_RECEIVED] = ipc_message_signal_new (type, TRUE);
  /**
   * IpcServer::authorize-client:
   * @self: the server
   * @connection: who wants in; nothing has been read from it, its [property@Ipc.Connection:credentials] are known
   *
   * Asks whether a peer is let in. With a handler connected, only
   * %IPC_AUTHORIZATION_GRANTED lets it in; the first handler that decides has the say.
   *
   * Returns: the decision
   *
   * Since: 0.1
   */
  signals[SIGNAL_AUTHORIZE_CLIENT] = g_signal_new ("authorize-client", type, G_SIGNAL_RUN_LAST, 0, accumulate_authorization, NULL, NULL,
                                                   IPC_TYPE_AUTHORIZATION, 1, IPC_TYPE_CONNECTION);
  /**
   * IpcServer::overloaded:
   * @self: the server
   *
   * A client was turned away because there are too many.
   *
   * Since: 0.1
   */
  signals[SIGNAL_OVERLOADED] = g_signal_new ("overloaded", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
}

static void
ipc_server_class_init (IpcServerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->constructed = ipc_server_constructed;
  object_class->dispose = ipc_server_dispose;
  object_class->finalize = ipc_server_finalize;
  object_class->get_property = ipc_server_get_property;
  object_class->set_property = ipc_server_set_property;
  install_properties (object_class);
  install_signals (G_TYPE_FROM_CLASS (klass));
}

static void
ipc_server_init (IpcServer *self)
{
  IpcServerPrivate *priv = PRIVATE (self);

  priv->context = g_main_context_ref_thread_default ();
  priv->generation = ipc_fork_generation ();
  priv->limits = (IpcConnectionLimits){ IPC_DEFAULT_MAX_MESSAGE_SIZE, IPC_DEFAULT_MAX_QUEUED_BYTES, IPC_DEFAULT_REQUEST_TIMEOUT };
  priv->max_clients = DEFAULT_MAX_CLIENTS;
  priv->mode = 0600;
  priv->connections = g_list_store_new (IPC_TYPE_CONNECTION);
  priv->by_id = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_object_unref);
  priv->unopened = g_hash_table_new_full (NULL, NULL, g_object_unref, NULL);
  g_mutex_init (&priv->lock);
}

GMainContext *
ipc_server_get_context (IpcServer *self)
{
  return PRIVATE (self)->context;
}

const IpcConnectionLimits *
ipc_server_get_limits (IpcServer *self)
{
  return &PRIVATE (self)->limits;
}

/**
 * ipc_server_get_connections: (get-property connections)
 * @self: the server
 *
 * The clients: a list of [class@Ipc.Connection].
 *
 * Returns: (transfer none): the list
 *
 * Since: 0.1
 */
GListModel *
ipc_server_get_connections (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), NULL);

  return G_LIST_MODEL (PRIVATE (self)->connections);
}

/**
 * ipc_server_get_address: (get-property address)
 * @self: the server
 *
 * Where the server can be reached.
 *
 * Returns: the address
 *
 * Since: 0.1
 */
const char *
ipc_server_get_address (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), NULL);

  return PRIVATE (self)->address;
}

/**
 * ipc_server_get_scope: (get-property scope)
 * @self: the server
 *
 * The directory that names are in.
 *
 * Returns: (transfer none): the scope
 *
 * Since: 0.1
 */
IpcScope *
ipc_server_get_scope (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), NULL);

  return PRIVATE (self)->scope;
}

/**
 * ipc_server_get_is_running: (get-property is-running)
 * @self: the server
 *
 * Whether clients can connect.
 *
 * Returns: %TRUE if it runs
 *
 * Since: 0.1
 */
gboolean
ipc_server_get_is_running (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), FALSE);

  return PRIVATE (self)->is_running;
}

/**
 * ipc_server_get_n_clients: (get-property n-clients)
 * @self: the server
 *
 * How many clients there are.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint
ipc_server_get_n_clients (IpcServer *self)
{
  IpcServerPrivate *priv = PRIVATE (self);
  guint n;

  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  g_mutex_lock (&priv->lock);
  n = g_hash_table_size (priv->by_id);
  g_mutex_unlock (&priv->lock);
  return n;
}

/**
 * ipc_server_get_max_clients: (get-property max-clients)
 * @self: the server
 *
 * How many clients there may be.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_server_get_max_clients (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return PRIVATE (self)->max_clients;
}

/**
 * ipc_server_set_max_clients: (set-property max-clients)
 * @self: the server
 * @max_clients: the limit
 *
 * Sets how many clients there may be.
 *
 * Since: 0.1
 */
void
ipc_server_set_max_clients (IpcServer *self, guint max_clients)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  max_clients = CLAMP (max_clients, 1, CEILING_MAX_CLIENTS);
  if (PRIVATE (self)->max_clients == max_clients)
    return;
  PRIVATE (self)->max_clients = max_clients;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_CLIENTS]);
}

/**
 * ipc_server_get_max_message_size: (get-property max-message-size)
 * @self: the server
 *
 * How many bytes a message may have.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_server_get_max_message_size (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return PRIVATE (self)->limits.max_message_size;
}

/**
 * ipc_server_set_max_message_size: (set-property max-message-size)
 * @self: the server
 * @max_message_size: the limit
 *
 * Sets how many bytes a message may have.
 *
 * Since: 0.1
 */
void
ipc_server_set_max_message_size (IpcServer *self, guint max_message_size)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  max_message_size = CLAMP (max_message_size, 1024, IPC_CEILING_MAX_MESSAGE_SIZE);
  if (PRIVATE (self)->limits.max_message_size == max_message_size)
    return;
  PRIVATE (self)->limits.max_message_size = max_message_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_MESSAGE_SIZE]);
}

/**
 * ipc_server_get_max_queued_bytes: (get-property max-queued-bytes)
 * @self: the server
 *
 * How many bytes may wait to be written to one client.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_server_get_max_queued_bytes (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return PRIVATE (self)->limits.max_queued_bytes;
}

/**
 * ipc_server_set_max_queued_bytes: (set-property max-queued-bytes)
 * @self: the server
 * @max_queued_bytes: the limit
 *
 * Sets how many bytes may wait to be written to one client.
 *
 * Since: 0.1
 */
void
ipc_server_set_max_queued_bytes (IpcServer *self, guint max_queued_bytes)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  max_queued_bytes = CLAMP (max_queued_bytes, 1024, G_MAXINT);
  if (PRIVATE (self)->limits.max_queued_bytes == max_queued_bytes)
    return;
  PRIVATE (self)->limits.max_queued_bytes = max_queued_bytes;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_QUEUED_BYTES]);
}

/**
 * ipc_server_get_request_timeout: (get-property request-timeout)
 * @self: the server
 *
 * The default timeout of requests to clients.
 *
 * Returns: milliseconds, or -1 for ever
 *
 * Since: 0.1
 */
gint
ipc_server_get_request_timeout (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return PRIVATE (self)->limits.request_timeout;
}

/**
 * ipc_server_set_request_timeout: (set-property request-timeout)
 * @self: the server
 * @request_timeout: milliseconds, or -1 for ever
 *
 * Sets the default timeout of requests to clients.
 *
 * Since: 0.1
 */
void
ipc_server_set_request_timeout (IpcServer *self, gint request_timeout)
{
  IpcServerPrivate *priv = PRIVATE (self);
  GHashTableIter iter;
  gpointer connection;

  g_return_if_fail (IPC_IS_SERVER (self));

  request_timeout = MAX (request_timeout, -1);
  if (PRIVATE (self)->limits.request_timeout == request_timeout)
    return;
  priv->limits.request_timeout = request_timeout;
  g_mutex_lock (&priv->lock);
  g_hash_table_iter_init (&iter, priv->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &connection))
    ipc_connection_set_request_timeout (connection, request_timeout);
  g_mutex_unlock (&priv->lock);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_REQUEST_TIMEOUT]);
}

/**
 * ipc_server_get_mode: (get-property mode)
 * @self: the server
 *
 * The permissions of the file that clients reach the server by.
 *
 * Returns: the mode, as of chmod(2)
 *
 * Since: 0.1
 */
guint
ipc_server_get_mode (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return PRIVATE (self)->mode;
}

/**
 * ipc_server_set_mode: (set-property mode)
 * @self: the server
 * @mode: the mode, as of chmod(2); starting with one over 0777 fails
 *
 * Sets the permissions of the file that clients reach the server by.
 *
 * Since: 0.1
 */
void
ipc_server_set_mode (IpcServer *self, guint mode)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  if (PRIVATE (self)->mode == mode)
    return;
  PRIVATE (self)->mode = mode;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MODE]);
}

/* ---- running ---- */

/**
 * ipc_server_start:
 * @self: the server
 * @error: where to put an error
 *
 * Lets clients in from now on.
 *
 * Errors: %IPC_ERROR_INVALID_NAME, %IPC_ERROR_INVALID_ARGUMENT or %IPC_ERROR_UNSUPPORTED for a bad address or
 * mode; %IPC_ERROR_ADDRESS_IN_USE, naming the owner, if another server has the address; %IPC_ERROR_UNSAFE_PATH and
 * %IPC_ERROR_WRONG_TYPE for what is at the path or on the way to it, which is left alone;
 * %IPC_ERROR_ALREADY if it runs.
 *
 * Returns: %TRUE if it runs
 *
 * Since: 0.1
 */
gboolean
ipc_server_start (IpcServer *self, GError **error)
{
  IpcServerPrivate *priv = PRIVATE (self);

  g_return_val_if_fail (IPC_IS_SERVER (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (!ipc_error_check_fork (priv->generation, priv->address, error))
    return FALSE;
  if (priv->is_running || priv->stopping != NULL)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_ALREADY, "server \"%s\" %s", priv->address, priv->is_running ? "runs already" : "is about to stop");
      return FALSE;
    }
  if (priv->mode > 0777)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT, "server \"%s\": mode %#o, allowed are 0 to 0777", priv->address, priv->mode);
      return FALSE;
    }
  if (!IPC_SERVER_GET_CLASS (self)->listen (self, error))
    return FALSE;
  priv->is_running = TRUE;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_IS_RUNNING]);
  return TRUE;
}

/**
 * ipc_server_stop:
 * @self: the server
 *
 * Lets no more clients in and closes all connections. What is queued is still written.
 *
 * [signal@Ipc.Server::client-disconnected] comes later, from the main loop. Stopping a server that does not run
 * does nothing.
 *
 * Since: 0.1
 */
void
ipc_server_stop (IpcServer *self)
{
  IpcServerPrivate *priv = PRIVATE (self);

  g_return_if_fail (IPC_IS_SERVER (self));

  if (!priv->is_running && priv->stopping == NULL)
    return;
  if (priv->is_running)
    {
      stop_listening (self);
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_IS_RUNNING]);
    }
  forget_peers (self);
}

static gboolean
stop_now (gpointer data)
{
  forget_peers (IPC_SERVER (data));
  return G_SOURCE_REMOVE;
}

static gboolean
stop_cancelled (GCancellable *cancellable, gpointer self)
{
  forget_peers (self);
  return G_SOURCE_REMOVE;
}

static void
arm_stop_timeout (IpcServer *self)
{
  IpcServerPrivate *priv = PRIVATE (self);

  if (priv->limits.request_timeout < 0)
    return;
  priv->stop_timeout = g_timeout_source_new ((guint) priv->limits.request_timeout);
  g_source_set_static_name (priv->stop_timeout, "[ipc-glib] stop");
  g_source_set_callback (priv->stop_timeout, stop_now, self, NULL);
  g_source_attach (priv->stop_timeout, priv->context);
}

/**
 * ipc_server_stop_async:
 * @self: the server
 * @cancellable: (nullable): stops waiting, and closes all connections at once
 * @callback: (scope async): called when all connections are closed
 * @user_data: for @callback
 *
 * Stops in an orderly way: lets no more clients in, tells those that are there
 * to send no more requests, waits until all requests that have come are
 * answered and all replies written, for at most [property@Ipc.Server:request-timeout], and closes the connections.
 *
 * Since: 0.1
 */
void
ipc_server_stop_async (IpcServer *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  IpcServerPrivate *priv = PRIVATE (self);
  g_autoptr (GTask) task = NULL;
  g_autoptr (GPtrArray) peers = g_ptr_array_new_with_free_func (g_object_unref);
  GHashTableIter iter;
  gpointer peer;

  g_return_if_fail (IPC_IS_SERVER (self));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_server_stop_async);
  if (priv->stopping != NULL)
    {
      g_task_return_new_error (task, IPC_ERROR, IPC_ERROR_ALREADY, "server \"%s\" is about to stop already", priv->address);
      return;
    }
  if (g_cancellable_is_cancelled (cancellable))
    {
      ipc_server_stop (self);
      g_task_return_error_if_cancelled (task);
      return;
    }
  if (priv->is_running)
    {
      stop_listening (self);
      g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_IS_RUNNING]);
    }
  priv->stopping = g_steal_pointer (&task);
  g_hash_table_iter_init (&iter, priv->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    g_ptr_array_add (peers, g_object_ref (peer));
  for (guint i = 0; i < peers->len; i++)
    ipc_connection_drain (g_ptr_array_index (peers, i));
  g_ptr_array_set_size (peers, 0);
  g_hash_table_iter_init (&iter, priv->unopened);
  while (g_hash_table_iter_next (&iter, &peer, NULL))
    g_ptr_array_add (peers, g_object_ref (peer));
  for (guint i = 0; i < peers->len; i++)
    ipc_connection_close (g_ptr_array_index (peers, i));
  arm_stop_timeout (self);
  if (cancellable != NULL)
    {
      priv->stop_cancelled = g_cancellable_source_new (cancellable);
      g_source_set_static_name (priv->stop_cancelled, "[ipc-glib] stop cancelled");
      g_source_set_callback (priv->stop_cancelled, G_SOURCE_FUNC (stop_cancelled), self, NULL);
      g_source_attach (priv->stop_cancelled, priv->context);
    }
  finish_stop_if_done (self);
}

/**
 * ipc_server_stop_finish:
 * @self: the server
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Server.stop_async].
 *
 * Returns: %TRUE if the server stopped
 *
 * Since: 0.1
 */
gboolean
ipc_server_stop_finish (IpcServer *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- handlers and sending ---- */

/**
 * ipc_server_add_handler:
 * @self: the server
 * @message_type: (nullable): the type, or %NULL for every type that has no handler of its own
 * @handler: (scope notified) (closure user_data) (destroy destroy): handles the messages
 * @user_data: for @handler
 * @destroy: (nullable): frees @user_data
 *
 * Has messages of a type handled, in place of the handler before.
 *
 * A request that nobody handles is answered with %IPC_ERROR_UNKNOWN_TYPE.
 *
 * Since: 0.1
 */
void
ipc_server_add_handler (IpcServer *self, const char *message_type, IpcMessageHandler handler, gpointer user_data, GDestroyNotify destroy)
{
  g_return_if_fail (IPC_IS_SERVER (self));
  g_return_if_fail (handler != NULL);

  ipc_handler_table_add (&PRIVATE (self)->handlers, message_type, handler, user_data, destroy);
}

/**
 * ipc_server_remove_handler:
 * @self: the server
 * @message_type: (nullable): the type, or %NULL
 *
 * Removes the handler of a type.
 *
 * Returns: %TRUE if there was one
 *
 * Since: 0.1
 */
gboolean
ipc_server_remove_handler (IpcServer *self, const char *message_type)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), FALSE);

  return ipc_handler_table_remove (&PRIVATE (self)->handlers, message_type);
}

/**
 * ipc_server_get_client:
 * @self: the server
 * @id: an [property@Ipc.Connection:id]
 *
 * Finds a client.
 *
 * Returns: (transfer none) (nullable): the client, or %NULL if there is none of that id
 *
 * Since: 0.1
 */
IpcConnection *
ipc_server_get_client (IpcServer *self, guint64 id)
{
  IpcServerPrivate *priv = PRIVATE (self);
  IpcConnection *connection;

  g_return_val_if_fail (IPC_IS_SERVER (self), NULL);

  g_mutex_lock (&priv->lock);
  connection = g_hash_table_lookup (priv->by_id, &id);
  g_mutex_unlock (&priv->lock);
  return connection;
}

/**
 * ipc_server_send_to:
 * @self: the server
 * @id: an [property@Ipc.Connection:id]
 * @message: the message
 * @error: where to put an error
 *
 * Sends an event to one client, from any thread; see [method@Ipc.Connection.send].
 *
 * Returns: %TRUE if it was queued; %FALSE with %IPC_ERROR_NOT_FOUND if there is no client of that id
 *
 * Since: 0.1
 */
gboolean
ipc_server_send_to (IpcServer *self, guint64 id, IpcMessage *message, GError **error)
{
  IpcServerPrivate *priv = PRIVATE (self);
  g_autoptr (IpcConnection) connection = NULL;

  g_return_val_if_fail (IPC_IS_SERVER (self), FALSE);
  g_return_val_if_fail (message != NULL, FALSE);

  g_mutex_lock (&priv->lock);
  connection = g_hash_table_lookup (priv->by_id, &id);
  if (connection != NULL)
    g_object_ref (connection);
  g_mutex_unlock (&priv->lock);
  if (connection != NULL)
    return ipc_connection_send (connection, message, error);
  g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_FOUND, "server \"%s\" has no client %" G_GUINT64_FORMAT, priv->address, id);
  return FALSE;
}

/**
 * ipc_server_broadcast:
 * @self: the server
 * @message: the message
 * @n_dropped: (out) (optional): for how many clients it was not queued
 *
 * Sends an event to all clients, from any thread.
 *
 * It is not queued for a client whose queue is full, that takes only smaller messages, or that is about to go.
 *
 * Returns: for how many clients it was queued
 *
 * Since: 0.1
 */
guint
ipc_server_broadcast (IpcServer *self, IpcMessage *message, guint *n_dropped)
{
  IpcServerPrivate *priv = PRIVATE (self);
  guint queued = 0, dropped = 0;
  GHashTableIter iter;
  gpointer connection;

  g_return_val_if_fail (IPC_IS_SERVER (self), 0);
  g_return_val_if_fail (message != NULL, 0);

  g_mutex_lock (&priv->lock);
  g_hash_table_iter_init (&iter, priv->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &connection))
    if (ipc_connection_send (connection, message, NULL))
      queued++;
    else
      dropped++;
  g_mutex_unlock (&priv->lock);
  if (n_dropped != NULL)
    *n_dropped = dropped;
  return queued;
}
