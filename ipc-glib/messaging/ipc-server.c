/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server as an object: its properties and signals. Its life is in
 * ipc-server-life.c, what it sends in ipc-server-calls.c. How peers reach it is
 * its subclass's business.
 */
#include "messaging/ipc-server-private.h"

#include "base/ipc-notify-private.h"
#include "base/ipc-scope-private.h"
#include "core/ipc-fork.h"
#include "core/ipc-name.h"
#include "ipc-enums.h"

#define DEFAULT_MAX_CLIENTS 256u
#define DEFAULT_MAX_CLIENTS_PER_UID 32u
#define DEFAULT_MAX_TOTAL_BYTES (32u * 1024 * 1024)

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
  PROP_MAX_FDS,
  PROP_REQUEST_TIMEOUT,
  PROP_KEEP_ALIVE_INTERVAL,
  PROP_MODE,
  PROP_OVERFLOW_POLICY,
  PROP_MAX_TOTAL_BYTES,
  PROP_TOTAL_BYTES,
  PROP_MESSAGES_RECEIVED,
  PROP_MESSAGES_SENT,
  PROP_MESSAGES_DROPPED,
  PROP_BYTES_RECEIVED,
  PROP_BYTES_SENT,
  PROP_QUEUED_BYTES,
  PROP_GROUP,
  PROP_MAX_CLIENTS_PER_UID,
  N_PROPS
} IpcServerProperty;

static GParamSpec *properties[N_PROPS];
guint ipc_server_signals[IPC_SERVER_N_SIGNALS];

G_DEFINE_ABSTRACT_TYPE (IpcServer, ipc_server, G_TYPE_OBJECT)

static void
ipc_server_dispose (GObject *object)
{
  IpcServer *self = IPC_SERVER (object);

  ipc_server_unlisten (self);
  ipc_server_forget_peers (self);
  ipc_server_forget_drops (self);
  ipc_ledger_close (self->ledger);
  g_mutex_lock (&self->lock);
  g_hash_table_remove_all (self->by_id);
  g_mutex_unlock (&self->lock);
  g_hash_table_remove_all (self->unopened);
  ipc_handler_table_clear (&self->handlers);
  ipc_out_log_clear (&self->log);

  G_OBJECT_CLASS (ipc_server_parent_class)->dispose (object);
}

static void
ipc_server_finalize (GObject *object)
{
  IpcServer *self = IPC_SERVER (object);

  ipc_ledger_unref (self->ledger);
  g_mutex_clear (&self->drops_lock);
  g_clear_object (&self->connections);
  g_clear_pointer (&self->by_id, g_hash_table_unref);
  g_clear_pointer (&self->unopened, g_hash_table_unref);
  g_clear_object (&self->scope);
  g_clear_pointer (&self->uid_counts, g_hash_table_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_free (self->group);
  g_free (self->address);
  g_mutex_clear (&self->lock);

  G_OBJECT_CLASS (ipc_server_parent_class)->finalize (object);
}

static void
ipc_server_constructed (GObject *object)
{
  IpcServer *self = IPC_SERVER (object);

  G_OBJECT_CLASS (ipc_server_parent_class)->constructed (object);
  /* Choosing the default one makes its directory, which only names are in need of. */
  if (self->scope == NULL && ipc_name_check (self->address, NULL))
    self->scope = g_object_ref (ipc_scope_get_default ());
}

static void
ipc_server_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  IpcServer *self = IPC_SERVER (object);

  switch ((IpcServerProperty) id)
    {
    case PROP_ADDRESS:
      g_value_set_string (value, self->address);
      break;
    case PROP_SCOPE:
      g_value_set_object (value, self->scope);
      break;
    case PROP_CONNECTIONS:
      g_value_set_object (value, self->connections);
      break;
    case PROP_IS_RUNNING:
      g_value_set_boolean (value, self->is_running);
      break;
    case PROP_N_CLIENTS:
      g_value_set_uint (value, ipc_server_get_n_clients (self));
      break;
    case PROP_MAX_CLIENTS:
      g_value_set_uint (value, self->max_clients);
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
    case PROP_MODE:
      g_value_set_uint (value, self->mode);
      break;
    case PROP_OVERFLOW_POLICY:
      g_value_set_enum (value, self->limits.overflow_policy);
      break;
    case PROP_MAX_TOTAL_BYTES:
      g_value_set_uint64 (value, self->max_total_bytes);
      break;
    case PROP_TOTAL_BYTES:
      g_value_set_uint64 (value, ipc_server_get_total_bytes (self));
      break;
    case PROP_MESSAGES_RECEIVED:
    case PROP_MESSAGES_SENT:
    case PROP_MESSAGES_DROPPED:
    case PROP_BYTES_RECEIVED:
    case PROP_BYTES_SENT:
    case PROP_QUEUED_BYTES:
      g_value_set_uint64 (value, ipc_server_get_counter (self, id - PROP_MESSAGES_RECEIVED));
      break;
    case PROP_GROUP:
      g_value_set_string (value, self->group);
      break;
    case PROP_MAX_CLIENTS_PER_UID:
      g_value_set_uint (value, self->max_clients_per_uid);
      break;
    case N_PROPS:
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ipc_server_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  IpcServer *self = IPC_SERVER (object);

  switch ((IpcServerProperty) id)
    {
    case PROP_ADDRESS:
      self->address = g_value_dup_string (value);
      if (self->address == NULL)
        self->address = g_strdup ("");
      break;
    case PROP_SCOPE:
      self->scope = g_value_dup_object (value);
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
    case PROP_MAX_FDS:
      ipc_server_set_max_fds (self, g_value_get_uint (value));
      break;
    case PROP_REQUEST_TIMEOUT:
      ipc_server_set_request_timeout (self, g_value_get_int (value));
      break;
    case PROP_KEEP_ALIVE_INTERVAL:
      ipc_server_set_keep_alive_interval (self, g_value_get_int (value));
      break;
    case PROP_MODE:
      ipc_server_set_mode (self, g_value_get_uint (value));
      break;
    case PROP_OVERFLOW_POLICY:
      ipc_server_set_overflow_policy (self, g_value_get_enum (value));
      break;
    case PROP_GROUP:
      ipc_server_set_group (self, g_value_get_string (value));
      break;
    case PROP_MAX_CLIENTS_PER_UID:
      ipc_server_set_max_clients_per_uid (self, g_value_get_uint (value));
      break;
    case PROP_MAX_TOTAL_BYTES:
      ipc_server_set_max_total_bytes (self, g_value_get_uint64 (value));
      break;
    case PROP_CONNECTIONS:
    case PROP_IS_RUNNING:
    case PROP_N_CLIENTS:
    case PROP_TOTAL_BYTES:
    case PROP_MESSAGES_RECEIVED:
    case PROP_MESSAGES_SENT:
    case PROP_MESSAGES_DROPPED:
    case PROP_BYTES_RECEIVED:
    case PROP_BYTES_SENT:
    case PROP_QUEUED_BYTES:
    case N_PROPS:
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
   * The directory that names are in; the default one if none is given. %NULL if none is given and
   * the address is not a name: then none is needed.
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
  properties[PROP_MAX_CLIENTS] = g_param_spec_uint ("max-clients", NULL, NULL, 1, IPC_CEILING_MAX_CLIENTS, DEFAULT_MAX_CLIENTS, write);
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
   * IpcServer:max-fds:
   *
   * How many descriptors a message may have, in both directions; the smaller limit of both sides holds. For clients
   * that come from now on.
   *
   * It is 0 by default: descriptors that clients send take room in the table of the server, which has an end, and a
   * server that is not written for them has no use for them.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_FDS] = g_param_spec_uint ("max-fds", NULL, NULL, 0, IPC_CEILING_MAX_FDS, 0, write);
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
   * IpcServer:keep-alive-interval:
   *
   * How long nothing may come from a client before it is asked with PING whether it is still there, in milliseconds;
   * 0 is never. A client from which nothing comes for as long again is dropped with %IPC_ERROR_TIMED_OUT.
   *
   * The kernel tells at once of a client that dies; this is for one that is stopped, hangs, or whose socket is kept
   * open by another process that it was passed to. A busy connection is never asked. Clients that speak JSON are not
   * asked either, and not judged. A client answers from its main loop, or while it is in a call that waits: one that
   * does neither for twice as long as this is taken for dead.
   *
   * For clients that connect from now on.
   *
   * Since: 0.1
   */
  properties[PROP_KEEP_ALIVE_INTERVAL] = g_param_spec_int ("keep-alive-interval", NULL, NULL, 0, G_MAXINT, 0, write);
  /**
   * IpcServer:mode:
   *
   * The permissions of the file that clients reach the server by; wider ones than the
   * default 0600 only let somebody in together with [signal@Ipc.Server::authorize-client].
   * Clients need the right to write. The directories on the way to the file have to let them through as well, which
   * those of a scope do not.
   *
   * Since: 0.1
   */
  properties[PROP_MODE] = g_param_spec_uint ("mode", NULL, NULL, 0, G_MAXUINT, 0600, write);
  /**
   * IpcServer:overflow-policy:
   *
   * What becomes of an event for a client that does not take what was sent to it before. It takes effect at once.
   *
   * Since: 0.1
   */
  properties[PROP_OVERFLOW_POLICY] = g_param_spec_enum ("overflow-policy", NULL, NULL, IPC_TYPE_OVERFLOW_POLICY,
                                                        IPC_OVERFLOW_POLICY_REJECT, write);
  /**
   * IpcServer:max-total-bytes:
   *
   * How many bytes the server holds for all clients together: what they do not take, what is not whole, requests that
   * are kept unanswered. It is at least `max-message-size` and `max-queued-bytes` together, whatever is set.
   *
   * Above half of it, a client that holds more than an equal share of a quarter is not read from, and full for
   * events. Above it, the client that holds most is disconnected with %IPC_ERROR_FULL.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_TOTAL_BYTES] = g_param_spec_uint64 ("max-total-bytes", NULL, NULL, 65536, G_MAXINT64, DEFAULT_MAX_TOTAL_BYTES, write);
  /**
   * IpcServer:total-bytes:
   *
   * How many bytes the server holds for all clients together now; see [property@Ipc.Server:max-total-bytes].
   *
   * Since: 0.1
   */
  properties[PROP_TOTAL_BYTES] = g_param_spec_uint64 ("total-bytes", NULL, NULL, 0, G_MAXUINT64, 0, read);
  /**
   * IpcServer:messages-received:
   *
   * Messages that have come from all clients, those that are gone included.
   *
   * This and the other statistics are notified at most ten times a second.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGES_RECEIVED] = g_param_spec_uint64 ("messages-received", NULL, NULL, 0, G_MAXUINT64, 0, read);
  /**
   * IpcServer:messages-sent:
   *
   * Messages that were queued for clients: a broadcast counts once for each.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGES_SENT] = g_param_spec_uint64 ("messages-sent", NULL, NULL, 0, G_MAXUINT64, 0, read);
  /**
   * IpcServer:messages-dropped:
   *
   * Events that were dropped, see [property@Ipc.Server:overflow-policy].
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGES_DROPPED] = g_param_spec_uint64 ("messages-dropped", NULL, NULL, 0, G_MAXUINT64, 0, read);
  /**
   * IpcServer:bytes-received:
   *
   * Bytes that have come from all clients, those that are gone included.
   *
   * Since: 0.1
   */
  properties[PROP_BYTES_RECEIVED] = g_param_spec_uint64 ("bytes-received", NULL, NULL, 0, G_MAXUINT64, 0, read);
  /**
   * IpcServer:bytes-sent:
   *
   * Bytes that the kernel has taken for all clients, those that are gone included.
   *
   * Since: 0.1
   */
  properties[PROP_BYTES_SENT] = g_param_spec_uint64 ("bytes-sent", NULL, NULL, 0, G_MAXUINT64, 0, read);
  /**
   * IpcServer:queued-bytes:
   *
   * Bytes that wait to be written to all clients together.
   *
   * Since: 0.1
   */
  properties[PROP_QUEUED_BYTES] = g_param_spec_uint64 ("queued-bytes", NULL, NULL, 0, G_MAXUINT64, 0, read);
  /**
   * IpcServer:group:
   *
   * The group that the file is given to that clients reach the server by, for a [property@Ipc.Server:mode]
   * of 0660; %NULL leaves it to the group of this process. This process has to be in the group, or be root:
   * otherwise starting fails with %IPC_ERROR_PERMISSION_DENIED, and with %IPC_ERROR_NOT_FOUND if there is no such
   * group. For the next start.
   *
   * Whoever is in the group only gets as far as [signal@Ipc.Server::authorize-client].
   *
   * Since: 0.1
   */
  properties[PROP_GROUP] = g_param_spec_string ("group", NULL, NULL, NULL, write);
  /**
   * IpcServer:max-clients-per-uid:
   *
   * How many clients there may be of each user other than the own one, whom
   * [signal@Ipc.Server::authorize-client] lets in. One more is turned away with %IPC_ERROR_FULL.
   *
   * Since: 0.1
   */
  properties[PROP_MAX_CLIENTS_PER_UID] = g_param_spec_uint ("max-clients-per-uid", NULL, NULL, 1, IPC_CEILING_MAX_CLIENTS,
                                                            DEFAULT_MAX_CLIENTS_PER_UID, write);
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
  ipc_server_signals[IPC_SERVER_SIGNAL_CLIENT_CONNECTED] = g_signal_new ("client-connected", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
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
  ipc_server_signals[IPC_SERVER_SIGNAL_CLIENT_DISCONNECTED] = g_signal_new ("client-disconnected", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
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
  ipc_server_signals[IPC_SERVER_SIGNAL_MESSAGE_RECEIVED] = ipc_message_signal_new (type, TRUE);
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
  ipc_server_signals[IPC_SERVER_SIGNAL_AUTHORIZE_CLIENT] = g_signal_new ("authorize-client", type, G_SIGNAL_RUN_LAST, 0, accumulate_authorization, NULL, NULL,
                                                   IPC_TYPE_AUTHORIZATION, 1, IPC_TYPE_CONNECTION);
  /**
   * IpcServer::overloaded:
   * @self: the server
   *
   * A client was turned away because there are too many, or the process is out of descriptors.
   *
   * While there is no descriptor for one more client, those that come wait in the kernel, and are let in, in their
   * order, as soon as descriptors are there again. That is told once each time it begins.
   *
   * Since: 0.1
   */
  ipc_server_signals[IPC_SERVER_SIGNAL_OVERLOADED] = g_signal_new ("overloaded", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  /**
   * IpcServer::message-dropped:
   * @self: the server
   * @connection: the client that it was for
   * @message: the event
   *
   * An event was dropped, and whoever sent it was not told by an error: one that [method@Ipc.Server.broadcast] did
   * not queue for this client, or one that [property@Ipc.Server:overflow-policy] gave up.
   *
   * It comes later, from the main loop. What was sent through the JSON dialect is read back from what had been
   * written. If more than 65,536 of them, or 4 MiB of payload, wait to be told, those beyond are only counted in
   * [property@Ipc.Server:messages-dropped].
   *
   * Since: 0.1
   */
  ipc_server_signals[IPC_SERVER_SIGNAL_MESSAGE_DROPPED] = g_signal_new ("message-dropped", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                  G_TYPE_NONE, 2, IPC_TYPE_CONNECTION, IPC_TYPE_MESSAGE);
  /**
   * IpcServer::path-lost:
   * @self: the server
   *
   * The file that clients reach the server by was removed, renamed or replaced by somebody else.
   *
   * Clients that are there stay. New ones cannot come; to have the file again, stop the server and start
   * it. That is told once for each start.
   *
   * Since: 0.1
   */
  ipc_server_signals[IPC_SERVER_SIGNAL_PATH_LOST] = g_signal_new ("path-lost", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
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
  self->context = g_main_context_ref_thread_default ();
  self->generation = ipc_fork_generation ();
  self->limits = (IpcConnectionLimits){
    .max_message_size = IPC_DEFAULT_MAX_MESSAGE_SIZE,
    .max_queued_bytes = IPC_DEFAULT_MAX_QUEUED_BYTES,
    .request_timeout = IPC_DEFAULT_REQUEST_TIMEOUT,
    .overflow_policy = IPC_OVERFLOW_POLICY_REJECT,
    .handshake_timeout = IPC_DEFAULT_HANDSHAKE_TIMEOUT,
    .memfd = TRUE,
  };
  self->max_clients = DEFAULT_MAX_CLIENTS;
  self->max_clients_per_uid = DEFAULT_MAX_CLIENTS_PER_UID;
  self->mode = 0600;
  self->connections = g_list_store_new (IPC_TYPE_CONNECTION);
  self->by_id = g_hash_table_new_full (g_int64_hash, g_int64_equal, NULL, g_object_unref);
  self->unopened = g_hash_table_new_full (NULL, NULL, g_object_unref, NULL);
  g_mutex_init (&self->lock);
  g_mutex_init (&self->drops_lock);
  g_queue_init (&self->drops);
  self->max_total_bytes = DEFAULT_MAX_TOTAL_BYTES;
  self->ledger = ipc_ledger_new (self, self->context, DEFAULT_MAX_TOTAL_BYTES, ipc_server_notify_statistics, ipc_notify_is_observed,
                                 ipc_server_relieve);
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

  return G_LIST_MODEL (self->connections);
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

  return self->address;
}

/**
 * ipc_server_get_scope: (get-property scope)
 * @self: the server
 *
 * The directory that names are in.
 *
 * Returns: (transfer none) (nullable): the scope, or %NULL if the address is not a name and none was given
 *
 * Since: 0.1
 */
IpcScope *
ipc_server_get_scope (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), NULL);

  return self->scope;
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

  return self->is_running;
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
  guint n;

  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  g_mutex_lock (&self->lock);
  n = g_hash_table_size (self->by_id);
  g_mutex_unlock (&self->lock);
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

  return self->max_clients;
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

  max_clients = CLAMP (max_clients, 1, IPC_CEILING_MAX_CLIENTS);
  if (self->max_clients == max_clients)
    return;
  self->max_clients = max_clients;
  g_object_notify (G_OBJECT (self), "max-clients");
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

  return self->limits.max_message_size;
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
  if (self->limits.max_message_size == max_message_size)
    return;
  self->limits.max_message_size = max_message_size;
  ipc_server_update_budget (self);
  g_object_notify (G_OBJECT (self), "max-message-size");
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

  return self->limits.max_queued_bytes;
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
  if (self->limits.max_queued_bytes == max_queued_bytes)
    return;
  self->limits.max_queued_bytes = max_queued_bytes;
  ipc_server_update_budget (self);
  g_object_notify (G_OBJECT (self), "max-queued-bytes");
}

/**
 * ipc_server_get_max_fds: (get-property max-fds)
 * @self: the server
 *
 * How many descriptors a message may have.
 *
 * Returns: the limit
 *
 * Since: 0.1
 */
guint
ipc_server_get_max_fds (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return self->limits.max_fds;
}

/**
 * ipc_server_set_max_fds: (set-property max-fds)
 * @self: the server
 * @max_fds: the limit
 *
 * Sets how many descriptors a message may have.
 *
 * Since: 0.1
 */
void
ipc_server_set_max_fds (IpcServer *self, guint max_fds)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  max_fds = MIN (max_fds, IPC_CEILING_MAX_FDS);
  if (self->limits.max_fds == max_fds)
    return;
  self->limits.max_fds = max_fds;
  g_object_notify (G_OBJECT (self), "max-fds");
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

  return self->limits.request_timeout;
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
  GHashTableIter iter;
  gpointer connection;

  g_return_if_fail (IPC_IS_SERVER (self));

  request_timeout = MAX (request_timeout, -1);
  if (self->limits.request_timeout == request_timeout)
    return;
  self->limits.request_timeout = request_timeout;
  g_mutex_lock (&self->lock);
  g_hash_table_iter_init (&iter, self->by_id);
  while (g_hash_table_iter_next (&iter, NULL, &connection))
    ipc_connection_set_request_timeout (connection, request_timeout);
  g_mutex_unlock (&self->lock);
  g_object_notify (G_OBJECT (self), "request-timeout");
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

  return self->mode;
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

  if (self->mode == mode)
    return;
  self->mode = mode;
  g_object_notify (G_OBJECT (self), "mode");
}

/* ---- running ---- */

/**
 * ipc_server_get_keep_alive_interval: (get-property keep-alive-interval)
 * @self: the server
 *
 * How long nothing may come from the peer before it is asked whether it is still there.
 *
 * Returns: milliseconds, 0 is never
 *
 * Since: 0.1
 */
gint
ipc_server_get_keep_alive_interval (IpcServer *self)
{
  g_return_val_if_fail (IPC_IS_SERVER (self), 0);

  return self->limits.keep_alive_interval;
}

/**
 * ipc_server_set_keep_alive_interval: (set-property keep-alive-interval)
 * @self: the server
 * @keep_alive_interval: milliseconds, 0 is never
 *
 * Sets how long nothing may come from the peer before it is asked whether it is still there.
 *
 * Since: 0.1
 */
void
ipc_server_set_keep_alive_interval (IpcServer *self, gint keep_alive_interval)
{
  g_return_if_fail (IPC_IS_SERVER (self));

  keep_alive_interval = MAX (keep_alive_interval, 0);
  if (self->limits.keep_alive_interval == keep_alive_interval)
    return;
  self->limits.keep_alive_interval = keep_alive_interval;
  g_object_notify (G_OBJECT (self), "keep-alive-interval");
}
