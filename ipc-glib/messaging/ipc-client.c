/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client: how it gets from closed to open, and its handlers. How a server is
 * reached is its subclass's business.
 *
 * Opening is one GTask: try to reach the server; while it is not there, wait for
 * its file to appear (wait-for-server); start the connection and wait for HELLO.
 */
#include "messaging/ipc-client-private.h"

#include <poll.h>
#include <unistd.h>

#include "base/ipc-scope-private.h"
#include "base/ipc-task-private.h"
#include "core/ipc-fork.h"
#include "ipc-enums.h"
#include "messaging/ipc-credentials-private.h"
#include "messaging/ipc-handler-table-private.h"

#define BUSY_RETRY_MS 5

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
 * fail as [class@Ipc.Connection] says. The client can be opened again.
 *
 * ## Caveats
 *
 * Dropping the last reference to an open client closes it. In a child that forked
 * without exec, every call fails with %IPC_ERROR_FORKED.
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
  guint server_uid;
  gboolean wait_for_server;
  IpcHandlerTable handlers;

  GMutex lock;
  IpcClientState state;         /* (mutex lock) */
  IpcConnection *connection;    /* (nullable) (owned) (mutex lock) */
  GTask *opening;               /* (nullable) (owned) */
  IpcDirectoryWatch *watch;     /* (nullable) (owned) while waiting for a server */
  GSource *retry;               /* (nullable) (owned) while a server is busy */
} IpcClientPrivate;

typedef enum
{
  PROP_ADDRESS = 1,
  PROP_SCOPE,
  PROP_STATE,
  PROP_CONNECTION,
  PROP_WAIT_FOR_SERVER,
  PROP_SERVER_UID,
  PROP_MAX_MESSAGE_SIZE,
  PROP_MAX_QUEUED_BYTES,
  PROP_REQUEST_TIMEOUT,
} IpcClientProperty;

enum
{
  SIGNAL_MESSAGE_RECEIVED,
  SIGNAL_CLOSED,
  N_SIGNALS
};

static GParamSpec *properties[PROP_REQUEST_TIMEOUT + 1];
static guint signals[N_SIGNALS];

G_DEFINE_ABSTRACT_TYPE_WITH_PRIVATE (IpcClient, ipc_client, G_TYPE_OBJECT)

#define PRIVATE(self) ((IpcClientPrivate *) ipc_client_get_instance_private (self))

/* ---- state ---- */

static gboolean
notify_state (gpointer data)
{
  g_object_notify_by_pspec (data, properties[PROP_STATE]);
  g_object_notify_by_pspec (data, properties[PROP_CONNECTION]);
  return G_SOURCE_REMOVE;
}

/* Somebody is to be told of what happens. A program that only blocks has no main loop to tell it in. */
static gboolean
has_handlers (IpcClient *self)
{
  return g_signal_handler_find (self, G_SIGNAL_MATCH_ID, g_signal_lookup ("notify", G_TYPE_OBJECT), 0, NULL, NULL, NULL) != 0 ||
         g_signal_handler_find (self, G_SIGNAL_MATCH_ID, signals[SIGNAL_CLOSED], 0, NULL, NULL, NULL) != 0;
}

static void
notify_state_later (IpcClient *self)
{
  g_autoptr (GSource) source = g_idle_source_new ();

  g_source_set_static_name (source, "[ipc-glib] client state");
  g_source_set_callback (source, notify_state, g_object_ref (self), g_object_unref);
  g_source_attach (source, PRIVATE (self)->context);
}

static void
tell_state (IpcClient *self)
{
  if (!has_handlers (self))
    return;
  if (g_main_context_is_owner (PRIVATE (self)->context))
    notify_state (self);
  else
    notify_state_later (self);
}

/* Takes a reference to CONNECTION (nullable). Notifies in the client's context: at once if that is this one. */
static void
set_state (IpcClient *self, IpcClientState state, IpcConnection *connection)
{
  IpcClientPrivate *priv = PRIVATE (self);
  IpcConnection *before;
  gboolean changed;

  g_mutex_lock (&priv->lock);
  changed = priv->state != state || priv->connection != connection;
  before = priv->connection;
  priv->state = state;
  priv->connection = connection != NULL ? g_object_ref (connection) : NULL;
  g_mutex_unlock (&priv->lock);
  g_clear_object (&before);
  if (changed)
    tell_state (self);
}

IpcHandlerTable *
ipc_client_get_handlers (IpcClient *self)
{
  return &PRIVATE (self)->handlers;
}

IpcConnection *
ipc_client_ref_connection (IpcClient *self, GError **error)
{
  IpcClientPrivate *priv = PRIVATE (self);
  IpcConnection *connection = NULL;

  if (!ipc_error_check_fork (priv->generation, priv->address, error))
    return NULL;
  g_mutex_lock (&priv->lock);
  if (priv->connection != NULL)
    connection = g_object_ref (priv->connection);
  g_mutex_unlock (&priv->lock);
  if (connection == NULL)
    g_set_error (error, IPC_ERROR, IPC_ERROR_NOT_CONNECTED, "client of \"%s\": not open", priv->address);
  return connection;
}

/* ---- opening ---- */

static void try_to_open (IpcClient *self);

static void
stop_waiting (IpcClient *self)
{
  IpcClientPrivate *priv = PRIVATE (self);

  g_clear_pointer (&priv->watch, ipc_directory_watch_free);
  if (priv->retry != NULL)
    g_source_destroy (priv->retry);
  g_clear_pointer (&priv->retry, g_source_unref);
}

/* ERROR (nullable) (transfer full). */
static void
finish_opening (IpcClient *self, GError *error)
{
  IpcClientPrivate *priv = PRIVATE (self);
  g_autoptr (GTask) task = g_steal_pointer (&priv->opening);

  stop_waiting (self);
  if (task == NULL)
    {
      g_clear_error (&error);
      return;
    }
  /* What would cancel it holds the task, and so the client. */
  if (g_task_get_task_data (task) != NULL)
    g_source_destroy (g_task_get_task_data (task));
  if (error != NULL)
    {
      set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
      g_task_return_error (task, error);
    }
  else
    g_task_return_boolean (task, TRUE);
}

static void
server_appeared (const char *name, gboolean gone, gpointer user_data)
{
  IpcClient *self = user_data;

  /* Nothing more would come from it; the next attempt looks for the directory anew. */
  if (gone)
    g_clear_pointer (&PRIVATE (self)->watch, ipc_directory_watch_free);
  try_to_open (self);
}

static gboolean
retry_cb (gpointer user_data)
{
  try_to_open (user_data);
  return G_SOURCE_REMOVE;
}

static void
retry_soon (IpcClient *self)
{
  IpcClientPrivate *priv = PRIVATE (self);

  if (priv->retry != NULL)
    g_source_destroy (priv->retry);
  g_clear_pointer (&priv->retry, g_source_unref);
  priv->retry = g_timeout_source_new (BUSY_RETRY_MS);
  g_source_set_static_name (priv->retry, "[ipc-glib] busy server");
  g_source_set_callback (priv->retry, retry_cb, self, NULL);
  g_source_attach (priv->retry, priv->context);
}

static gboolean
is_admissible (IpcClient *self, IpcConnection *connection, GError **error)
{
  IpcClientPrivate *priv = PRIVATE (self);
  uid_t uid;

  if (!ipc_credentials_are_known (connection->credentials))
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "%s: the kernel does not say who the server is", priv->address);
      return FALSE;
    }
  uid = g_credentials_get_unix_user (connection->credentials, NULL);
  if (uid == priv->server_uid)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_PERMISSION_DENIED, "%s: the server has uid %u, expected %u", priv->address, uid, priv->server_uid);
  return FALSE;
}

static IpcConnection *
reach (IpcClient *self, GError **error)
{
  g_autoptr (IpcConnection) connection = NULL;
  IpcClientPrivate *priv = PRIVATE (self);

  connection = IPC_CLIENT_GET_CLASS (self)->reach (self, error);
  if (connection == NULL || !is_admissible (self, connection, error))
    return NULL;
  ipc_connection_set_context (connection, priv->context);
  return g_steal_pointer (&connection);
}

static void
connection_opened (gpointer owner, IpcConnection *connection)
{
  IpcClient *self = owner;

  if (PRIVATE (self)->connection != connection)
    return;
  set_state (self, IPC_CLIENT_STATE_OPEN, connection);
  finish_opening (self, NULL);
}

static void
connection_closed (gpointer owner, IpcConnection *connection, const GError *error)
{
  IpcClient *self = owner;
  IpcClientPrivate *priv = PRIVATE (self);

  if (priv->connection != connection)
    return;
  if (priv->opening != NULL)
    {
      finish_opening (self, error != NULL ? g_error_copy (error)
                                          : g_error_new (IPC_ERROR, IPC_ERROR_CLOSED, "client of \"%s\": closed while opening", priv->address));
      return;
    }
  set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
  if (connection->was_opened)
    g_signal_emit (self, signals[SIGNAL_CLOSED], 0, error);
}

static gboolean
connection_message (gpointer owner, IpcConnection *connection, IpcMessage *message)
{
  IpcClient *self = owner;
  gboolean taken = ipc_emit_message_received (self, signals[SIGNAL_MESSAGE_RECEIVED], NULL, message);

  return ipc_handler_run (ipc_handler_table_find (&PRIVATE (self)->handlers, message->type), NULL, connection, message) || taken;
}

static gboolean
connection_handles (gpointer owner, const char *message_type)
{
  return ipc_handler_table_find (&PRIVATE ((IpcClient *) owner)->handlers, message_type) != NULL;
}

static const IpcConnectionOwnerFuncs owner_funcs = { connection_opened, connection_message, connection_handles, connection_closed };

static gboolean
may_wait (IpcClient *self, const GError *error)
{
  return PRIVATE (self)->wait_for_server && (g_error_matches (error, IPC_ERROR, IPC_ERROR_NO_SERVER));
}

static void
start_connection (IpcClient *self, IpcConnection *connection)
{
  GError *error = NULL;

  stop_waiting (self);
  ipc_connection_set_owner (connection, self, &owner_funcs);
  set_state (self, IPC_CLIENT_STATE_OPENING, connection);
  if (!ipc_connection_start (connection, &error))
    finish_opening (self, error);
}

static void
try_to_open (IpcClient *self)
{
  IpcClientPrivate *priv = PRIVATE (self);
  g_autoptr (IpcClient) alive G_GNUC_UNUSED = g_object_ref (self);
  g_autoptr (IpcConnection) connection = NULL;
  GError *error = NULL;

  if (priv->opening == NULL)
    return;
  /* Watched before it is looked for, so that it cannot appear in between. */
  if (priv->wait_for_server && priv->watch == NULL)
    {
      priv->watch = IPC_CLIENT_GET_CLASS (self)->watch (self, priv->context, server_appeared, self, &error);
      if (priv->watch == NULL)
        {
          finish_opening (self, error);
          return;
        }
    }
  connection = reach (self, &error);
  if (connection != NULL)
    start_connection (self, connection);
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_BUSY))
    {
      g_clear_error (&error);
      retry_soon (self);
    }
  else if (may_wait (self, error))
    {
      g_clear_error (&error);
      set_state (self, IPC_CLIENT_STATE_WAITING, NULL);
    }
  else
    finish_opening (self, error);
}

static gboolean
opening_cancelled (GCancellable *cancellable, gpointer user_data)
{
  GTask *task = user_data;
  IpcClient *self = g_task_get_source_object (task);
  IpcClientPrivate *priv = PRIVATE (self);
  g_autoptr (IpcConnection) connection = priv->connection != NULL ? g_object_ref (priv->connection) : NULL;

  if (priv->opening != task)
    return G_SOURCE_REMOVE;
  if (connection != NULL)
    {
      ipc_connection_set_owner (connection, NULL, &owner_funcs);
      ipc_connection_close (connection);
    }
  finish_opening (self, g_error_new (G_IO_ERROR, G_IO_ERROR_CANCELLED, "client of \"%s\": opening was cancelled", priv->address));
  return G_SOURCE_REMOVE;
}

static gboolean
begin_opening (IpcClient *self, GError **error)
{
  IpcClientPrivate *priv = PRIVATE (self);
  gboolean busy;

  if (!ipc_error_check_fork (priv->generation, priv->address, error))
    return FALSE;
  g_mutex_lock (&priv->lock);
  busy = priv->state != IPC_CLIENT_STATE_CLOSED;
  if (!busy)
    priv->state = IPC_CLIENT_STATE_OPENING;
  g_mutex_unlock (&priv->lock);
  if (!busy)
    return TRUE;
  g_set_error (error, IPC_ERROR, IPC_ERROR_ALREADY, "client of \"%s\": open already, or opening", priv->address);
  return FALSE;
}

/* In the client's own context, whatever context the caller is in. */
static gboolean
open_in_context (gpointer user_data)
{
  GTask *task = user_data;
  IpcClient *self = g_task_get_source_object (task);
  IpcClientPrivate *priv = PRIVATE (self);
  GCancellable *cancellable = g_task_get_cancellable (task);

  priv->opening = g_object_ref (task);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_STATE]);
  if (cancellable != NULL)
    {
      g_autoptr (GSource) source = g_cancellable_source_new (cancellable);

      g_source_set_static_name (source, "[ipc-glib] open cancelled");
      g_source_set_callback (source, G_SOURCE_FUNC (opening_cancelled), g_object_ref (task), g_object_unref);
      g_source_attach (source, priv->context);
      g_task_set_task_data (task, g_source_ref (source), (GDestroyNotify) g_source_unref);
    }
  try_to_open (self);
  return G_SOURCE_REMOVE;
}

/**
 * ipc_client_open_async:
 * @self: the client
 * @cancellable: (nullable): cancels it
 * @callback: (scope async): called when it is open
 * @user_data: for @callback
 *
 * Connects to the server.
 *
 * With [property@Ipc.Client:wait-for-server], waits for as long as it takes until there is one.
 *
 * Since: 0.1
 */
void
ipc_client_open_async (IpcClient *self, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  GError *error = NULL;

  g_return_if_fail (IPC_IS_CLIENT (self));

  task = ipc_task_new (self, cancellable, callback, user_data, ipc_client_open_async);
  if (g_task_return_error_if_cancelled (task))
    return;
  /* Cancelling closes what is being opened; once it is open it is too late. */
  g_task_set_check_cancellable (task, FALSE);
  if (!begin_opening (self, &error))
    {
      g_task_return_error (task, error);
      return;
    }
  g_main_context_invoke_full (PRIVATE (self)->context, G_PRIORITY_DEFAULT, open_in_context, g_object_ref (task), g_object_unref);
}

/**
 * ipc_client_open_finish:
 * @self: the client
 * @result: the result
 * @error: where to put an error
 *
 * Ends [method@Ipc.Client.open_async].
 *
 * Errors: %IPC_ERROR_NO_SERVER; %IPC_ERROR_PERMISSION_DENIED if the server does not admit this process, or is
 * not of the expected user; %IPC_ERROR_FULL if the server has too many clients; %IPC_ERROR_VERSION;
 * %IPC_ERROR_TIMED_OUT; %IPC_ERROR_ALREADY; and those of a bad address, see [method@Ipc.Server.start].
 *
 * Returns: %TRUE if it is open
 *
 * Since: 0.1
 */
gboolean
ipc_client_open_finish (IpcClient *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/* ---- opening in the calling thread ---- */

static void
note_event (const char *name, gboolean gone, gpointer watch_is_over)
{
  *(gboolean *) watch_is_over |= gone;
}

static gboolean
wait_for_event (IpcDirectoryWatch *watch, int timeout, GCancellable *cancellable, GError **error)
{
  GPollFD cancel_fd = { -1, 0, 0 };
  struct pollfd fds[2] = { { .fd = watch != NULL ? ipc_directory_watch_get_fd (watch) : -1, .events = POLLIN }, { .fd = -1, .events = POLLIN } };

  if (g_cancellable_make_pollfd (cancellable, &cancel_fd))
    fds[1].fd = cancel_fd.fd;
  poll (fds, 2, timeout);
  if (cancel_fd.fd >= 0)
    g_cancellable_release_fd (cancellable);
  if (watch != NULL && (fds[0].revents & POLLIN) != 0)
    ipc_directory_watch_dispatch (watch);
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

static IpcConnection *
reach_sync (IpcClient *self, GCancellable *cancellable, GError **error)
{
  IpcClientPrivate *priv = PRIVATE (self);
  g_autoptr (GMainContext) nowhere = NULL;
  IpcDirectoryWatch *watch = NULL;
  gboolean watch_is_over = FALSE;
  IpcConnection *connection;

  /* Attached to a context that nobody runs: this thread polls it. */
  if (priv->wait_for_server)
    nowhere = g_main_context_new ();
  for (;;)
    {
      g_autoptr (GError) reason = NULL;
      gboolean busy;

      if (watch_is_over)
        g_clear_pointer (&watch, ipc_directory_watch_free);
      watch_is_over = FALSE;
      if (nowhere != NULL && watch == NULL)
        watch = IPC_CLIENT_GET_CLASS (self)->watch (self, nowhere, note_event, &watch_is_over, error);
      if (nowhere != NULL && watch == NULL)
        return NULL;
      connection = reach (self, &reason);
      busy = g_error_matches (reason, G_IO_ERROR, G_IO_ERROR_BUSY);
      if (connection == NULL && (busy || may_wait (self, reason)))
        {
          if (!busy)
            set_state (self, IPC_CLIENT_STATE_WAITING, NULL);
          if (wait_for_event (watch, busy ? BUSY_RETRY_MS : -1, cancellable, error))
            continue;
        }
      else if (connection == NULL)
        g_propagate_error (error, g_steal_pointer (&reason));
      break;
    }
  g_clear_pointer (&watch, ipc_directory_watch_free);
  return connection;
}

static gboolean
is_open (IpcConnection *connection, gpointer data)
{
  return connection->state == IPC_CONNECTION_OPEN;
}

static gboolean
open_connection_sync (IpcClient *self, IpcConnection *connection, GCancellable *cancellable, GError **error)
{
  gint64 deadline = g_get_monotonic_time () + IPC_HANDSHAKE_TIMEOUT_US;

  ipc_connection_set_owner (connection, self, &owner_funcs);
  set_state (self, IPC_CLIENT_STATE_OPENING, connection);
  return ipc_connection_check_may_block (connection, error) &&
         ipc_connection_start (connection, error) &&
         ipc_connection_wait (connection, is_open, NULL, deadline, "no HELLO", cancellable, error);
}

/**
 * ipc_client_open:
 * @self: the client
 * @cancellable: (nullable): cancels it
 * @error: where to put an error
 *
 * Connects to the server, waiting in this thread; see [method@Ipc.Client.open_finish] for the errors.
 *
 * Returns: %TRUE if it is open
 *
 * Since: 0.1
 */
gboolean
ipc_client_open (IpcClient *self, GCancellable *cancellable, GError **error)
{
  IpcClientPrivate *priv = PRIVATE (self);
  g_autoptr (IpcConnection) connection = NULL;

  g_return_val_if_fail (IPC_IS_CLIENT (self), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (g_cancellable_set_error_if_cancelled (cancellable, error) || !begin_opening (self, error))
    return FALSE;
  connection = reach_sync (self, cancellable, error);
  if (connection != NULL && open_connection_sync (self, connection, cancellable, error))
    {
      /* If it is closed by now, whoever runs the main loop says so. */
      g_mutex_lock (&priv->lock);
      if (priv->connection == connection)
        priv->state = IPC_CLIENT_STATE_OPEN;
      g_mutex_unlock (&priv->lock);
      tell_state (self);
      return TRUE;
    }
  if (connection != NULL)
    {
      ipc_connection_set_owner (connection, NULL, &owner_funcs);
      ipc_connection_close (connection);
    }
  set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
  return FALSE;
}

/**
 * ipc_client_close:
 * @self: the client
 *
 * Closes the connection, or stops opening it; see [method@Ipc.Connection.close].
 *
 * [signal@Ipc.Client::closed] comes later, from the main loop. Closing a closed client does nothing.
 *
 * Since: 0.1
 */
void
ipc_client_close (IpcClient *self)
{
  IpcClientPrivate *priv = PRIVATE (self);
  g_autoptr (IpcConnection) connection = NULL;

  g_return_if_fail (IPC_IS_CLIENT (self));

  if (priv->generation != ipc_fork_generation ())
    return;
  g_mutex_lock (&priv->lock);
  if (priv->connection != NULL)
    connection = g_object_ref (priv->connection);
  g_mutex_unlock (&priv->lock);
  if (connection != NULL && priv->opening == NULL && !has_handlers (self))
    {
      /* With nobody to be told there need not be a main loop. */
      ipc_connection_set_owner (connection, NULL, &owner_funcs);
      ipc_connection_close (connection);
      set_state (self, IPC_CLIENT_STATE_CLOSED, NULL);
    }
  else if (connection != NULL)
    ipc_connection_close (connection);
  else if (priv->opening != NULL)
    finish_opening (self, g_error_new (IPC_ERROR, IPC_ERROR_CLOSED, "client of \"%s\": closed while opening", priv->address));
}

/* ---- the object ---- */

static void
ipc_client_dispose (GObject *object)
{
  IpcClient *self = IPC_CLIENT (object);
  IpcClientPrivate *priv = PRIVATE (self);

  /* An opening task holds a reference, so there is none now. */
  stop_waiting (self);
  if (priv->connection != NULL)
    {
      ipc_connection_set_owner (priv->connection, NULL, &owner_funcs);
      ipc_connection_close (priv->connection);
      g_clear_object (&priv->connection);
    }
  ipc_handler_table_clear (&priv->handlers);

  G_OBJECT_CLASS (ipc_client_parent_class)->dispose (object);
}

static void
ipc_client_finalize (GObject *object)
{
  IpcClientPrivate *priv = PRIVATE (IPC_CLIENT (object));

  g_clear_object (&priv->scope);
  g_clear_pointer (&priv->context, g_main_context_unref);
  g_free (priv->address);
  g_mutex_clear (&priv->lock);

  G_OBJECT_CLASS (ipc_client_parent_class)->finalize (object);
}

static void
ipc_client_constructed (GObject *object)
{
  IpcClientPrivate *priv = PRIVATE (IPC_CLIENT (object));

  G_OBJECT_CLASS (ipc_client_parent_class)->constructed (object);
  if (priv->scope == NULL)
    priv->scope = g_object_ref (ipc_scope_get_default ());
}

static void
ipc_client_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  IpcClient *self = IPC_CLIENT (object);
  IpcClientPrivate *priv = PRIVATE (self);

  switch ((IpcClientProperty) id)
    {
    case PROP_ADDRESS:
      g_value_set_string (value, priv->address);
      break;
    case PROP_SCOPE:
      g_value_set_object (value, priv->scope);
      break;
    case PROP_STATE:
      g_value_set_enum (value, ipc_client_get_state (self));
      break;
    case PROP_CONNECTION:
      g_value_set_object (value, ipc_client_get_connection (self));
      break;
    case PROP_WAIT_FOR_SERVER:
      g_value_set_boolean (value, priv->wait_for_server);
      break;
    case PROP_SERVER_UID:
      g_value_set_uint (value, priv->server_uid);
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
    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
    }
}

static void
ipc_client_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  IpcClient *self = IPC_CLIENT (object);
  IpcClientPrivate *priv = PRIVATE (self);

  switch ((IpcClientProperty) id)
    {
    case PROP_ADDRESS:
      priv->address = g_value_dup_string (value);
      if (priv->address == NULL)
        priv->address = g_strdup ("");
      break;
    case PROP_SCOPE:
      priv->scope = g_value_dup_object (value);
      break;
    case PROP_WAIT_FOR_SERVER:
      ipc_client_set_wait_for_server (self, g_value_get_boolean (value));
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
    case PROP_REQUEST_TIMEOUT:
      ipc_client_set_request_timeout (self, g_value_get_int (value));
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
   * The directory that names are in; the default one if none is given.
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
   * IpcClient:request-timeout:
   *
   * The default timeout of requests, in milliseconds; -1 is for ever.
   *
   * Since: 0.1
   */
  properties[PROP_REQUEST_TIMEOUT] = g_param_spec_int ("request-timeout", NULL, NULL, -1, G_MAXINT, IPC_DEFAULT_REQUEST_TIMEOUT, write);
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
  signals[SIGNAL_MESSAGE_RECEIVED] = ipc_message_signal_new (type, FALSE);
  /**
   * IpcClient::closed:
   * @self: the client
   * @error: (nullable): why, or %NULL if one of the sides closed it in an orderly way
   *
   * The connection, which was open, is closed.
   *
   * Since: 0.1
   */
  signals[SIGNAL_CLOSED] = g_signal_new ("closed", type, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_ERROR);
}

static void
ipc_client_init (IpcClient *self)
{
  IpcClientPrivate *priv = PRIVATE (self);

  priv->context = g_main_context_ref_thread_default ();
  priv->generation = ipc_fork_generation ();
  priv->limits = (IpcConnectionLimits){ IPC_DEFAULT_MAX_MESSAGE_SIZE, IPC_DEFAULT_MAX_QUEUED_BYTES, IPC_DEFAULT_REQUEST_TIMEOUT };
  priv->server_uid = geteuid ();
  g_mutex_init (&priv->lock);
}

const IpcConnectionLimits *
ipc_client_get_limits (IpcClient *self)
{
  return &PRIVATE (self)->limits;
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

  return PRIVATE (self)->address;
}

/**
 * ipc_client_get_scope: (get-property scope)
 * @self: the client
 *
 * The directory that names are in.
 *
 * Returns: (transfer none): the scope
 *
 * Since: 0.1
 */
IpcScope *
ipc_client_get_scope (IpcClient *self)
{
  g_return_val_if_fail (IPC_IS_CLIENT (self), NULL);

  return PRIVATE (self)->scope;
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
  IpcClientPrivate *priv = PRIVATE (self);
  IpcClientState state;

  g_return_val_if_fail (IPC_IS_CLIENT (self), IPC_CLIENT_STATE_CLOSED);

  g_mutex_lock (&priv->lock);
  state = priv->state;
  g_mutex_unlock (&priv->lock);
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
  g_return_val_if_fail (IPC_IS_CLIENT (self), NULL);

  return PRIVATE (self)->connection;
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

  return PRIVATE (self)->wait_for_server;
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
  if (PRIVATE (self)->wait_for_server == wait_for_server)
    return;
  PRIVATE (self)->wait_for_server = wait_for_server;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_WAIT_FOR_SERVER]);
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

  return PRIVATE (self)->server_uid;
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

  if (PRIVATE (self)->server_uid == server_uid)
    return;
  PRIVATE (self)->server_uid = server_uid;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_SERVER_UID]);
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

  return PRIVATE (self)->limits.max_message_size;
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
  if (PRIVATE (self)->limits.max_message_size == max_message_size)
    return;
  PRIVATE (self)->limits.max_message_size = max_message_size;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_MESSAGE_SIZE]);
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

  return PRIVATE (self)->limits.max_queued_bytes;
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
  if (PRIVATE (self)->limits.max_queued_bytes == max_queued_bytes)
    return;
  PRIVATE (self)->limits.max_queued_bytes = max_queued_bytes;
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_MAX_QUEUED_BYTES]);
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

  return PRIVATE (self)->limits.request_timeout;
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
  if (PRIVATE (self)->limits.request_timeout == request_timeout)
    return;
  PRIVATE (self)->limits.request_timeout = request_timeout;
  connection = ipc_client_ref_connection (self, NULL);
  if (connection != NULL)
    ipc_connection_set_request_timeout (connection, request_timeout);
  g_object_notify_by_pspec (G_OBJECT (self), properties[PROP_REQUEST_TIMEOUT]);
}
