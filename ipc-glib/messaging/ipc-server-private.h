/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "ipc-server.h"
#include "messaging/ipc-connection-private.h"
#include "messaging/ipc-handler-table-private.h"

struct _IpcServer
{
  GObject parent_instance;
};

/* What a transport adds to a server. */
struct _IpcServerClass
{
  GObjectClass parent_class;

  /* Makes the address reachable; new peers go to ipc_server_take(). */
  gboolean (*listen)   (IpcServer *self, GError **error);
  /* The address is not reachable any more; not called unless listen() succeeded. */
  void     (*unlisten) (IpcServer *self);
};

GMainContext              *ipc_server_get_context (IpcServer *self);
const IpcConnectionLimits *ipc_server_get_limits  (IpcServer *self);

/* Judges a new peer by its credentials before a byte is read, and starts it or turns it away.
 * CONNECTION (transfer full) is set up and not started. */
void                       ipc_server_take        (IpcServer *self, IpcConnection *connection);
