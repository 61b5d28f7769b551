/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of a client, shared by the files that make it up:
 *
 *   ipc-client.c            the object: properties, signals
 *   ipc-client-state.c      the state, and who is told of it
 *   ipc-client-open.c       opening on the main loop, losing a connection, closing
 *   ipc-client-open-sync.c  opening in a thread that waits
 *   ipc-client-wait.c       what is waited for between two attempts
 *   ipc-client-calls.c      handlers, and the calls that go to the connection
 *
 * `lock` guards what other threads may touch. What is not marked belongs to the
 * thread that runs the context, except while a thread is in ipc_client_open().
 */
#pragma once

#include "base/ipc-backoff-private.h"
#include "base/ipc-directory-watch-private.h"
#include "ipc-client.h"
#include "messaging/ipc-connection-private.h"
#include "messaging/ipc-handler-table-private.h"

#define IPC_RECONNECT_BASE_MS 50
#define IPC_RECONNECT_LIMIT_MS 5000

typedef enum
{
  IPC_CLIENT_SIGNAL_MESSAGE_RECEIVED,
  IPC_CLIENT_SIGNAL_CLOSED,
  IPC_CLIENT_N_SIGNALS,
} IpcClientSignal;

typedef enum
{
  IPC_CLIENT_CHANGED_STATE = 1 << 0,
  IPC_CLIENT_CHANGED_CONNECTION = 1 << 1,
} IpcClientChanges;

typedef struct _IpcClientWatch IpcClientWatch;

struct _IpcClient
{
  GObject parent_instance;

  GMainContext *context;        /* (owned) */
  unsigned generation;
  char *address;                /* (owned) */
  IpcScope *scope;              /* (nullable) (owned) */
  IpcConnectionLimits limits;
  guint server_uid;
  gboolean wait_for_server;
  gboolean reconnect;
  IpcHandlerTable handlers;

  GMutex lock;
  IpcClientState state;         /* (mutex lock) */
  IpcConnection *connection;    /* (nullable) (owned) (mutex lock) */
  gboolean close_wanted;        /* (mutex lock) from close() until it is closed: no way leads forward */
  GCancellable *interrupt;      /* (nullable) (owned) (mutex lock) while a thread is in ipc_client_open() */
  gint64 opened_at;             /* (mutex lock) monotonic µs */

  GTask *opening;               /* (nullable) (owned) */
  gboolean reconnecting;        /* from the loss of a connection until it is open again, or gives up */
  gboolean server_is_absent;    /* nobody was there the last time: its coming is the moment to try again */
  guint n_refusals;             /* in a row, of the kind that a dying server may be mistaken for */
  gint64 busy_since;            /* monotonic µs; 0 unless the server had no room in its queue the last time */
  IpcBackoff backoff;
  gint64 lasting;               /* µs that a connection has to last for the back-off to begin anew */
  IpcClientWatch *watch;        /* (nullable) (owned) while waiting for a server */
  GSource *retry;               /* (nullable) (owned) the next attempt */
};

/* What a transport adds to a client. */
struct _IpcClientClass
{
  GObjectClass parent_class;

  /* Reaches the server without blocking: a connection that is set up and not started. NO_SERVER: it is not there;
   * G_IO_ERROR_BUSY: it is there and will take us in a moment. */
  IpcConnection     *(*reach) (IpcClient *self, GError **error);
  /* Watches for the server to appear. */
  IpcDirectoryWatch *(*watch) (IpcClient *self, GMainContext *context, IpcDirectoryWatchFunc func, gpointer user_data, GError **error);
};

extern guint ipc_client_signals[IPC_CLIENT_N_SIGNALS];

/* ipc-client-state.c */
/* Takes a reference to CONNECTION (nullable). Notifies in the client's context: at once if that is this one.
 * FALSE: the client is to be closed, and STATE is another one than CLOSED: nothing was changed. */
gboolean ipc_client_set_state    (IpcClient *self, IpcClientState state, IpcConnection *connection);
void     ipc_client_tell         (IpcClient *self, IpcClientChanges changes);
/* Somebody is to be told of what happens. A program that only blocks has no main loop to tell it in. */
gboolean ipc_client_has_handlers (IpcClient *self);
/* CLOSED becomes OPENING. INTERRUPT (nullable) (transfer full): of a thread that waits. FALSE with ALREADY. */
gboolean ipc_client_begin_opening (IpcClient *self, GCancellable *interrupt, GError **error);
gboolean ipc_client_is_close_wanted (IpcClient *self);

/* ipc-client-open.c */
/* One try: reaches the server, and starts the connection. */
void     ipc_client_attempt      (IpcClient *self);
IpcConnection *ipc_client_reach  (IpcClient *self, GError **error);
void     ipc_client_adopt        (IpcClient *self, IpcConnection *connection);
/* The connection has nobody to tell of its end any more. */
void     ipc_client_abandon      (IpcClient *self, IpcConnection *connection);
GError  *ipc_client_new_closed_error (IpcClient *self);

/* ipc-client-wait.c */
/* Opening begins anew. */
void     ipc_client_reset_attempts (IpcClient *self);
/* Whether ERROR is that the server will take us in a moment. Where it says so for as long as its HELLO may take, ERROR
 * becomes TIMED_OUT. */
gboolean ipc_client_is_busy      (IpcClient *self, GError **error);
/* Whether opening goes on after ERROR. IN_HANDSHAKE: the server had been reached. */
gboolean ipc_client_may_wait     (IpcClient *self, const GError *error, gboolean in_handshake);
/* Whether reconnecting does. */
gboolean ipc_client_may_reconnect (IpcClient *self, const GError *error, gboolean in_handshake);
/* With wait-for-server: has a server that appears tried at once. */
gboolean ipc_client_watch        (IpcClient *self, GError **error);
void     ipc_client_unwatch      (IpcClient *self);
/* The next attempt is in DELAY µs, unless one is due already. */
void     ipc_client_retry_in     (IpcClient *self, gint64 delay);
/* Ends all that would lead to another attempt. Any thread. */
void     ipc_client_stop_waiting (IpcClient *self);

/* ipc-client-calls.c */
/* The connection, with a reference; NULL with NOT_CONNECTED. Any thread. */
IpcConnection *ipc_client_ref_connection (IpcClient *self, GError **error);
