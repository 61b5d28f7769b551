/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/ipc-directory-watch-private.h"
#include "ipc-client.h"
#include "messaging/ipc-connection-private.h"
#include "messaging/ipc-handler-table-private.h"

struct _IpcClient
{
  GObject parent_instance;
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

const IpcConnectionLimits *ipc_client_get_limits (IpcClient *self);
IpcHandlerTable           *ipc_client_get_handlers (IpcClient *self);
/* The connection, with a reference; NULL with NOT_CONNECTED. Any thread. */
IpcConnection             *ipc_client_ref_connection (IpcClient *self, GError **error);
