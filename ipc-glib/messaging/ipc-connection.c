/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The connection as an object: properties, signals, sending and closing. See
 * ipc-connection-private.h for the other files that make it up.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "core/ipc-fork.h"
#include "ipc-enums.h"
#include "messaging/ipc-connection-private.h"
#include "messaging/ipc-credentials-private.h"

/**
 * IpcConnection:
 *
 * One peer, and what goes to and comes from it.
 *
 * A server has one for each client ([property@Ipc.Server:connections]), a client
 * has one while it is open ([property@Ipc.Client:connection]). Either side sends
 * events and requests. Messages arrive in the order in which they were sent, each at
 * most once.
 *
 * ## Threads
 *
 * Sending, asking, answering and closing work from any thread. Signals come in
 * the main context that was the thread-default one when the server or client was
 * made. [method@Ipc.Connection.request] and [method@Ipc.Connection.flush] block
 * the calling thread and need no main loop.
 *
 * ## When a process dies
 *
 * The kernel closes the socket of a dead process: what it had written before
 * is still delivered, then [signal@Ipc.Connection::closed] comes. Requests under
 * way fail with %IPC_ERROR_UNCERTAIN if a byte of them had reached the kernel,
 * with %IPC_ERROR_NOT_CONNECTED otherwise; nothing is ever sent twice.
 *
 * ## Caveats
 *
 * [property@Ipc.Connection:credentials] are those of the process that called
 * connect(2); it may have passed the socket on since. In a child that forked
 * without exec, every call fails with %IPC_ERROR_FORKED.
 *
 * Since: 0.1
 */

typedef enum
{
  PROP_ID = 1,
  PROP_CREDENTIALS,
  PROP_IS_OPEN,
  PROP_WIRE_FORMAT,
  PROP_TRANSPORT,
  PROP_QUEUED_BYTES,
  PROP_MESSAGES_RECEIVED,
  PROP_MESSAGES_SENT,
  PROP_MESSAGES_DROPPED,
  PROP_BYTES_RECEIVED,
  PROP_BYTES_SENT,
  PROP_LAST_ACTIVITY,
  PROP_PEER_PIDFD,
} IpcConnectionProperty;

enum
{
  SIGNAL_CLOSED,
  SIGNAL_CONGESTED,
  SIGNAL_DRAINED,
  SIGNAL_REQUEST_CANCELLED,
  N_SIGNALS
};

static GParamSpec *properties[PROP_PEER_PIDFD + 1];
static guint signals[N_SIGNALS];
static guint notify_signal;
guint ipc_connection_message_received;
gpointer ipc_connection_latest_class;

G_DEFINE_ABSTRACT_TYPE (IpcConnection, ipc_connection, G_TYPE_OBJECT)

/* ---- signals ---- */

typedef void (*MessageCallback) (gpointer instance, IpcMessage *message, gpointer user_data);
typedef void (*ConnectionMessageCallback) (gpointer instance, IpcConnection *connection, IpcMessage *message, gpointer user_data);

/*
 * What calls C handlers. GLib's own marshaller would copy the boxed message for
 * each emission; here it is lent, as the documentation says. Bindings do not
 * come this way: their closures get a copy of their own.
 */
static void
marshal_message_va (GClosure *closure, GValue *return_value, gpointer instance, va_list args, gpointer data, int n_params, GType *param_types)
{
  GCClosure *c_closure = (GCClosure *) closure;
  gpointer func = data != NULL ? data : c_closure->callback;
  gpointer user_data = closure->data;
  va_list copy;

  va_copy (copy, args);
  if (n_params == 2)
    {
      IpcConnection *connection = va_arg (copy, gpointer);
      IpcMessage *message = va_arg (copy, gpointer);

      if (G_CCLOSURE_SWAP_DATA (closure))
        ((ConnectionMessageCallback) func) (user_data, connection, message, instance);
      else
        ((ConnectionMessageCallback) func) (instance, connection, message, user_data);
    }
  else
    {
      IpcMessage *message = va_arg (copy, gpointer);

      if (G_CCLOSURE_SWAP_DATA (closure))
        ((MessageCallback) func) (user_data, message, instance);
      else
        ((MessageCallback) func) (instance, message, user_data);
    }
  va_end (copy);
}

guint
ipc_message_signal_new (GType type, gboolean with_connection)
{
  guint id;

  if (with_connection)
    id = g_signal_new ("message-received", type, G_SIGNAL_RUN_LAST | G_SIGNAL_DETAILED, 0, NULL, NULL, NULL,
                       G_TYPE_NONE, 2, IPC_TYPE_CONNECTION, IPC_TYPE_MESSAGE);
  else
    id = g_signal_new ("message-received", type, G_SIGNAL_RUN_LAST | G_SIGNAL_DETAILED, 0, NULL, NULL, NULL,
                       G_TYPE_NONE, 1, IPC_TYPE_MESSAGE);
  g_signal_set_va_marshaller (id, type, marshal_message_va);
  return id;
}

/* Somebody who listens, with any detail or none; g_signal_has_handler_pending() is only about one detail. */
static gboolean
has_handler (gpointer instance, guint signal_id)
{
  return g_signal_handler_find (instance, G_SIGNAL_MATCH_ID, signal_id, 0, NULL, NULL, NULL) != 0;
}

/* Somebody who listens whatever the detail. */
static gboolean
has_plain_handler (gpointer instance, guint signal_id)
{
  return g_signal_handler_find (instance, G_SIGNAL_MATCH_ID | G_SIGNAL_MATCH_DETAIL, signal_id, 0, NULL, NULL, NULL) != 0;
}

/* Only what somebody connected to is a quark: a peer must not make new ones. */
static GQuark
get_detail (IpcMessage *message)
{
  GQuark *known = message->type_quark;

  if (known != NULL && *known != 0)
    return *known;
  if (known == NULL)
    return g_quark_try_string (message->type);
  return *known = g_quark_try_string (message->type);
}

gboolean
ipc_emit_message_if_heard (gpointer instance, guint signal_id, IpcHearing *hearing, IpcConnection *connection, IpcMessage *message)
{
  GQuark detail;

  if (*hearing != IPC_HEARING_SOMEBODY)
    *hearing = has_handler (instance, signal_id) ? IPC_HEARING_SOMEBODY : IPC_HEARING_NOBODY;
  if (*hearing == IPC_HEARING_NOBODY)
    return FALSE;
  detail = get_detail (message);
  /* Whether the request was heard decides how it is answered; an event is emitted just in case. */
  if (message->is_request && !has_plain_handler (instance, signal_id) &&
      (detail == 0 || !g_signal_has_handler_pending (instance, signal_id, detail, TRUE)))
    return FALSE;
  if (connection != NULL)
    g_signal_emit (instance, signal_id, detail, connection, message);
  else
    g_signal_emit (instance, signal_id, detail, message);
  return TRUE;
}

void
ipc_connection_emit_closed (IpcConnection *self, const GError *error)
{
  g_signal_emit (self, signals[SIGNAL_CLOSED], 0, error);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_IS_OPEN]);
}

void
ipc_connection_emit_request_cancelled (IpcConnection *self, IpcMessage *request)
{
  g_signal_emit (self, signals[SIGNAL_REQUEST_CANCELLED], 0, request);
}

void
ipc_connection_emit_congested (IpcConnection *self)
{
  g_signal_emit (self, signals[SIGNAL_CONGESTED], 0);
}

void
ipc_connection_emit_drained (IpcConnection *self)
{
  g_signal_emit (self, signals[SIGNAL_DRAINED], 0);
}

gboolean
ipc_connection_has_observers (IpcConnection *self)
{
  return has_handler (self, notify_signal) || has_handler (self, signals[SIGNAL_CLOSED]);
}

void
ipc_connection_notify_statistics (IpcConnection *self)
{
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGES_RECEIVED]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGES_SENT]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MESSAGES_DROPPED]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_BYTES_RECEIVED]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_BYTES_SENT]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_QUEUED_BYTES]);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_LAST_ACTIVITY]);
}

/* ---- the object ---- */

void
ipc_connection_set_up (IpcConnection *self, int fd, gboolean is_server_side, const char *peer_name, const IpcConnectionLimits *limits)
{
  IPC_WRITE_ONCE (ipc_connection_latest_class, IPC_CONNECTION_GET_CLASS (self));
  self->fd = self->out_fd = fd;
  ipc_fork_guard_fd (fd);
  self->is_server_side = is_server_side;
  self->peer_name = g_strdup (peer_name);
  self->limits = *limits;
  self->peer_max_message_size = limits->max_message_size;
}

void
ipc_connection_set_context (IpcConnection *self, GMainContext *context)
{
  g_main_context_ref (context);
  g_main_context_unref (self->context);
  self->context = context;
}

void
ipc_connection_set_request_timeout (IpcConnection *self, gint request_timeout)
{
  g_mutex_lock (&self->lock);
  IPC_WRITE_ONCE (self->limits.request_timeout, request_timeout);
  g_mutex_unlock (&self->lock);
}

void
ipc_connection_set_owner (IpcConnection *self, gpointer owner, const IpcConnectionOwnerFuncs *funcs)
{
  self->owner_funcs = funcs;
  g_weak_ref_set (&self->owner, owner);
}

void
ipc_connection_disown (IpcConnection *self)
{
  g_weak_ref_set (&self->owner, NULL);
}

void
ipc_connection_set_ledger (IpcConnection *self, IpcLedger *ledger)
{
  self->ledger = ipc_ledger_ref (ledger);
  self->outbox.budget = &ledger->budget;
  self->is_counted = TRUE;
  g_atomic_int_inc (&ledger->budget.n_holders);
}

void
ipc_connection_add_statistics (IpcConnection *self, IpcStatistics *sum)
{
  g_mutex_lock (&self->lock);
  sum->messages_received += IPC_READ_ONCE (self->messages_received);
  sum->messages_sent += self->messages_sent;
  sum->messages_dropped += self->messages_dropped;
  sum->bytes_received += IPC_READ_ONCE (self->bytes_received);
  sum->bytes_sent += self->bytes_sent;
  sum->queued_bytes += ipc_outbox_get_load (&self->outbox);
  g_mutex_unlock (&self->lock);
}

static void
ipc_connection_finalize (GObject *object)
{
  IpcConnection *self = IPC_CONNECTION (object);

  ipc_connection_close_fd_locked (self);
  if (self->peer_pidfd >= 0 && self->generation == ipc_fork_generation ())
    {
      ipc_fork_close (self->peer_pidfd);
    }
  ipc_request_clear (self);
  ipc_inbox_clear (&self->inbox);
  ipc_outbox_clear (&self->outbox);
  ipc_connection_discharge_locked (self);
  g_clear_pointer (&self->validator, ipc_json_validator_free);
  g_queue_clear_full (&self->deferred, (GDestroyNotify) g_bytes_unref);
  g_clear_pointer (&self->ledger, ipc_ledger_unref);
  ipc_fd_queue_clear (&self->fds);
  ipc_fd_queue_clear (&self->deferred_fds);
  g_clear_object (&self->credentials);
  g_clear_pointer (&self->peer_context, g_main_context_unref);
  g_clear_pointer (&self->context, g_main_context_unref);
  g_clear_error (&self->error);
  g_clear_error (&self->refusal);
  g_free (self->peer_name);
  g_weak_ref_clear (&self->owner);
  g_cond_clear (&self->changed);
  g_mutex_clear (&self->lock);

  G_OBJECT_CLASS (ipc_connection_parent_class)->finalize (object);
}

static void
ipc_connection_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  IpcConnection *self = IPC_CONNECTION (object);

  switch ((IpcConnectionProperty) id)
    {
    case PROP_ID:
      g_value_set_uint64 (value, ipc_connection_get_id (self));
      break;
    case PROP_CREDENTIALS:
      g_value_set_object (value, ipc_connection_get_credentials (self));
      break;
    case PROP_IS_OPEN:
      g_value_set_boolean (value, ipc_connection_get_is_open (self));
      break;
    case PROP_WIRE_FORMAT:
      g_value_set_enum (value, ipc_connection_get_wire_format (self));
      break;
    case PROP_TRANSPORT:
      g_value_set_enum (value, ipc_connection_get_transport (self));
      break;
    case PROP_QUEUED_BYTES:
      g_value_set_uint64 (value, ipc_connection_get_queued_bytes (self));
      break;
    case PROP_MESSAGES_RECEIVED:
      g_value_set_uint64 (value, ipc_connection_get_messages_received (self));
      break;
    case PROP_MESSAGES_SENT:
      g_value_set_uint64 (value, ipc_connection_get_messages_sent (self));
      break;
    case PROP_MESSAGES_DROPPED:
      g_value_set_uint64 (value, ipc_connection_get_messages_dropped (self));
      break;
    case PROP_BYTES_RECEIVED:
      g_value_set_uint64 (value, ipc_connection_get_bytes_received (self));
      break;
    case PROP_BYTES_SENT:
      g_value_set_uint64 (value, ipc_connection_get_bytes_sent (self));
      break;
    case PROP_LAST_ACTIVITY:
      g_value_set_int64 (value, ipc_connection_get_last_activity (self));
      break;
    case PROP_PEER_PIDFD:
      g_value_set_int (value, ipc_connection_get_peer_pidfd (self));
      break;
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
install_properties (GObjectClass *object_class)
{
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  /**
   * IpcConnection:id:
   *
   * A number that no other connection of this process has.
   *
   * Since: 0.1
   */
  properties[PROP_ID] = g_param_spec_uint64 ("id", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * IpcConnection:credentials:
   *
   * Who the peer is, as the kernel says.
   *
   * Since: 0.1
   */
  properties[PROP_CREDENTIALS] = g_param_spec_object ("credentials", NULL, NULL, G_TYPE_CREDENTIALS, flags);
  /**
   * IpcConnection:is-open:
   *
   * Whether messages can be sent.
   *
   * Since: 0.1
   */
  properties[PROP_IS_OPEN] = g_param_spec_boolean ("is-open", NULL, NULL, FALSE, flags);
  /**
   * IpcConnection:wire-format:
   *
   * The dialect that is spoken.
   *
   * Since: 0.1
   */
  properties[PROP_WIRE_FORMAT] = g_param_spec_enum ("wire-format", NULL, NULL, IPC_TYPE_WIRE_FORMAT, IPC_WIRE_FORMAT_UNKNOWN, flags);
  /**
   * IpcConnection:transport:
   *
   * What carries the messages.
   *
   * Since: 0.1
   */
  properties[PROP_TRANSPORT] = g_param_spec_enum ("transport", NULL, NULL, IPC_TYPE_TRANSPORT, IPC_TRANSPORT_AUTO, flags);
  /**
   * IpcConnection:queued-bytes:
   *
   * Bytes that wait to be written, because the peer does not take them.
   *
   * This and the other statistics are notified at most ten times a second.
   *
   * Since: 0.1
   */
  properties[PROP_QUEUED_BYTES] = g_param_spec_uint64 ("queued-bytes", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * IpcConnection:messages-received:
   *
   * Messages that have come.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGES_RECEIVED] = g_param_spec_uint64 ("messages-received", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * IpcConnection:messages-sent:
   *
   * Messages that were queued to be sent.
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGES_SENT] = g_param_spec_uint64 ("messages-sent", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * IpcConnection:messages-dropped:
   *
   * Events that were dropped for this client, see [property@Ipc.Server:overflow-policy].
   *
   * Since: 0.1
   */
  properties[PROP_MESSAGES_DROPPED] = g_param_spec_uint64 ("messages-dropped", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * IpcConnection:bytes-received:
   *
   * Bytes that have come.
   *
   * Since: 0.1
   */
  properties[PROP_BYTES_RECEIVED] = g_param_spec_uint64 ("bytes-received", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * IpcConnection:bytes-sent:
   *
   * Bytes that the kernel has taken.
   *
   * Since: 0.1
   */
  properties[PROP_BYTES_SENT] = g_param_spec_uint64 ("bytes-sent", NULL, NULL, 0, G_MAXUINT64, 0, flags);
  /**
   * IpcConnection:last-activity:
   *
   * When something last came from the peer: microseconds since 1970, UTC.
   *
   * Since: 0.1
   */
  properties[PROP_LAST_ACTIVITY] = g_param_spec_int64 ("last-activity", NULL, NULL, 0, G_MAXINT64, 0, flags);
  /**
   * IpcConnection:peer-pidfd:
   *
   * A pidfd of the process at the other end, or -1; see [method@Ipc.Connection.get_peer_pidfd].
   *
   * Since: 0.1
   */
  properties[PROP_PEER_PIDFD] = g_param_spec_int ("peer-pidfd", NULL, NULL, -1, G_MAXINT, -1, flags);
  g_object_class_install_properties (object_class, G_N_ELEMENTS (properties), properties);
}

static void
install_signals (GType type)
{
  /**
   * IpcConnection::message-received:
   * @self: the connection
   * @message: the message
   *
   * A message has come. Its type is the detail: connect to `message-received::ping`
   * for those of type `ping`.
   *
   * In C, @message is lent for the time of the call.
   *
   * Since: 0.1
   */
  ipc_connection_message_received = ipc_message_signal_new (type, FALSE);
  /**
   * IpcConnection::closed:
   * @self: the connection
   * @error: (nullable): why, or %NULL if one of the sides closed it in an orderly way
   *
   * The connection is closed; nothing comes after this.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CLOSED] = g_signal_new ("closed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
  /**
   * IpcConnection::congested:
   * @self: the connection
   *
   * A message was refused with %IPC_ERROR_FULL, or dropped as [property@Ipc.Server:overflow-policy] has it: the peer
   * does not take what was sent to it.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CONGESTED] = g_signal_new ("congested", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  /**
   * IpcConnection::drained:
   * @self: the connection
   *
   * After [signal@Ipc.Connection::congested]: half of the queue has gone, and there is room again.
   *
   * Since: 0.1
   */
  signals[SIGNAL_DRAINED] = g_signal_new ("drained", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 0);
  /**
   * IpcConnection::request-cancelled:
   * @self: the connection
   * @request: a request that has not been answered yet
   *
   * The peer does not wait for the answer any more. Answering it is still right, and harmless.
   *
   * Since: 0.1
   */
  signals[SIGNAL_REQUEST_CANCELLED] = g_signal_new ("request-cancelled", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                                    G_TYPE_NONE, 1, IPC_TYPE_MESSAGE);
}

static void
ipc_connection_class_init (IpcConnectionClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = ipc_connection_finalize;
  object_class->get_property = ipc_connection_get_property;
  install_properties (object_class);
  install_signals (G_TYPE_FROM_CLASS (klass));
  ipc_connected_learn ();
  notify_signal = g_signal_lookup ("notify", G_TYPE_OBJECT);
}

static void
ipc_connection_init (IpcConnection *self)
{
  static gint64 last_id;        /* (atomic) */

  self->id = (guint64) __atomic_add_fetch (&last_id, 1, __ATOMIC_RELAXED);
  self->context = g_main_context_ref_thread_default ();
  self->generation = ipc_fork_generation ();
  self->fd = self->out_fd = -1;
  self->peer_pidfd = -1;
  self->last_activity = g_get_real_time ();
  g_weak_ref_init (&self->owner, NULL);
  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  g_queue_init (&self->deferred);
  g_queue_init (&self->waiters);
}

/**
 * ipc_connection_get_id: (get-property id)
 * @self: the connection
 *
 * A number that no other connection of this process has.
 *
 * Returns: the number
 *
 * Since: 0.1
 */
guint64
ipc_connection_get_id (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  return self->id;
}

/**
 * ipc_connection_get_credentials: (get-property credentials)
 * @self: the connection
 *
 * Who the peer is, as the kernel says.
 *
 * Returns: (transfer none) (nullable): the credentials
 *
 * Since: 0.1
 */
GCredentials *
ipc_connection_get_credentials (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), NULL);

  return self->credentials;
}

/**
 * ipc_connection_get_peer_pidfd: (get-property peer-pidfd)
 * @self: the connection
 *
 * A pidfd of the process that made the other end of the connection: it always means that very
 * process, unlike a process id, which is given to another one later. It becomes readable when the process ends.
 *
 * It is asked of the kernel the first time that somebody wants it, and takes a descriptor from then on. It
 * belongs to the connection and is closed with it; duplicate it to keep it longer.
 *
 * Returns: the descriptor, or -1 if the kernel has none (before Linux 6.5), the connection was closed before
 *   anybody asked, or the process is out of descriptors
 *
 * Since: 0.1
 */
int
ipc_connection_get_peer_pidfd (IpcConnection *self)
{
  int pidfd;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), -1);

  if (self->generation != ipc_fork_generation ())
    return -1;
  g_mutex_lock (&self->lock);
  if (self->peer_pidfd < 0 && self->fd >= 0)
    {
      self->peer_pidfd = ipc_credentials_open_pidfd (self->fd);
      if (self->peer_pidfd >= 0)
        ipc_fork_guard_fd (self->peer_pidfd);
    }
  pidfd = self->peer_pidfd;
  g_mutex_unlock (&self->lock);
  return pidfd;
}

/**
 * ipc_connection_get_is_open: (get-property is-open)
 * @self: the connection
 *
 * Whether messages can be sent.
 *
 * Returns: %TRUE if it is open
 *
 * Since: 0.1
 */
gboolean
ipc_connection_get_is_open (IpcConnection *self)
{
  gboolean open;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), FALSE);

  g_mutex_lock (&self->lock);
  open = self->state == IPC_CONNECTION_OPEN;
  g_mutex_unlock (&self->lock);
  return open;
}

/**
 * ipc_connection_get_wire_format: (get-property wire-format)
 * @self: the connection
 *
 * The dialect that is spoken.
 *
 * Returns: the dialect
 *
 * Since: 0.1
 */
IpcWireFormat
ipc_connection_get_wire_format (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), IPC_WIRE_FORMAT_UNKNOWN);

  return IPC_READ_ONCE (self->wire_format);
}

/**
 * ipc_connection_get_transport: (get-property transport)
 * @self: the connection
 *
 * What carries the messages.
 *
 * Returns: the transport
 *
 * Since: 0.1
 */
IpcTransport
ipc_connection_get_transport (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), IPC_TRANSPORT_AUTO);

  return IPC_TRANSPORT_STREAM;
}

/**
 * ipc_connection_get_queued_bytes: (get-property queued-bytes)
 * @self: the connection
 *
 * Bytes that wait to be written.
 *
 * Returns: the number of bytes
 *
 * Since: 0.1
 */
guint64
ipc_connection_get_queued_bytes (IpcConnection *self)
{
  guint64 queued;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  g_mutex_lock (&self->lock);
  queued = ipc_outbox_get_load (&self->outbox);
  g_mutex_unlock (&self->lock);
  return queued;
}

/**
 * ipc_connection_get_messages_received: (get-property messages-received)
 * @self: the connection
 *
 * Messages that have come.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_connection_get_messages_received (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  return IPC_READ_ONCE (self->messages_received);
}

/**
 * ipc_connection_get_messages_sent: (get-property messages-sent)
 * @self: the connection
 *
 * Messages that were queued to be sent.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_connection_get_messages_sent (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  return IPC_READ_ONCE (self->messages_sent);
}

/**
 * ipc_connection_get_messages_dropped: (get-property messages-dropped)
 * @self: the connection
 *
 * Events that were dropped for this client.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_connection_get_messages_dropped (IpcConnection *self)
{
  guint64 n;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  g_mutex_lock (&self->lock);
  n = self->messages_dropped;
  g_mutex_unlock (&self->lock);
  return n;
}

/**
 * ipc_connection_get_bytes_received: (get-property bytes-received)
 * @self: the connection
 *
 * Bytes that have come.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_connection_get_bytes_received (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  return IPC_READ_ONCE (self->bytes_received);
}

/**
 * ipc_connection_get_bytes_sent: (get-property bytes-sent)
 * @self: the connection
 *
 * Bytes that the kernel has taken.
 *
 * Returns: their number
 *
 * Since: 0.1
 */
guint64
ipc_connection_get_bytes_sent (IpcConnection *self)
{
  guint64 n;

  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  g_mutex_lock (&self->lock);
  n = self->bytes_sent;
  g_mutex_unlock (&self->lock);
  return n;
}

/**
 * ipc_connection_get_last_activity: (get-property last-activity)
 * @self: the connection
 *
 * When something last came from the peer.
 *
 * Returns: microseconds since 1970, UTC
 *
 * Since: 0.1
 */
gint64
ipc_connection_get_last_activity (IpcConnection *self)
{
  g_return_val_if_fail (IPC_IS_CONNECTION (self), 0);

  return IPC_READ_ONCE (self->last_activity);
}

/* ---- closing ---- */

/**
 * ipc_connection_close:
 * @self: the connection
 *
 * Closes the connection, from any thread. What is queued is still written, for up to five seconds.
 *
 * Nothing that comes from the peer is handled any more. Requests under way fail.
 * [signal@Ipc.Connection::closed] comes later, from the main loop. Closing twice
 * does nothing, nor does closing what the lines of a named pipe come through: only its server stops that.
 *
 * Since: 0.1
 */
void
ipc_connection_close (IpcConnection *self)
{
  gboolean linger;

  g_return_if_fail (IPC_IS_CONNECTION (self));

  if (self->generation != ipc_fork_generation ())
    return;
  g_mutex_lock (&self->lock);
  if (self->state >= IPC_CONNECTION_CLOSING || self->is_channel)
    {
      g_mutex_unlock (&self->lock);
      return;
    }
  if (self->state == IPC_CONNECTION_OPEN)
    ipc_connection_flush_locked (self);
  linger = self->outbox.queued > 0 && self->state == IPC_CONNECTION_OPEN;
  if (linger)
    {
      IPC_WRITE_ONCE (self->state, IPC_CONNECTION_CLOSING);
      self->calls_due = g_get_monotonic_time () + IPC_LINGER_TIMEOUT_US;
      ipc_connection_update_events_locked (self);
      ipc_hub_attend_at (&self->watch, self->calls_due);
      ipc_hub_attend (&self->watch);    /* who waits for room waits in vain */
      ipc_request_end_sync_after_locked (self, 0);
      /* A thread that polls for its answer has to look up. */
      if (self->reader != NULL && self->reader != g_thread_self ())
        IPC_CONNECTION_GET_CLASS (self)->shutdown (self, TRUE);
    }
  g_mutex_unlock (&self->lock);
  if (!linger)
    ipc_connection_shut (self, NULL, FALSE);
}
