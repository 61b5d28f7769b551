/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-directory-watch-private.h"
#include "ipc-client.h"
#include "messaging/ipc-connection-private.h"
#include "messaging/ipc-handler-table-private.h"

typedef enum
{
  IPC_CLIENT_SIGNAL_MESSAGE_RECEIVED,
  IPC_CLIENT_SIGNAL_CLOSED,
  IPC_CLIENT_N_SIGNALS,
} IpcClientSignal;

struct _IpcClient
{
  GObject parent_instance;

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

/* ipc-client-open.c */
/* Ends what waits for a server. */
void ipc_client_stop_waiting (IpcClient *self);
/* The connection has nobody to tell of its end any more. */
void ipc_client_abandon (IpcClient *self, IpcConnection *connection);

/* ipc-client-calls.c */
/* The connection, with a reference; NULL with NOT_CONNECTED. Any thread. */
IpcConnection *ipc_client_ref_connection (IpcClient *self, GError **error);
