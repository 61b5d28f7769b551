/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening sockets that somebody else made and this process was given: by the
 * service manager, as sd_listen_fds(3) says, or by its number.
 *
 * What was given stays open, for the next start, and is kept from programs that
 * this one runs. The path it is bound to is never touched.
 */
#pragma once

#include "socket/ipc-socket-address-private.h"

/* A duplicate, guarded (core/ipc-fork.h), of the descriptor that ADDRESS (a FD or SYSTEMD one) means: a Unix stream socket that listens. -1 with
 * NOT_FOUND, WRONG_TYPE, INVALID_DATA (what the environment says) or INVALID_ARGUMENT (two of that name). */
int ipc_socket_activation_open (const IpcSocketAddress *address, GError **error);
