/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets in the abstract namespace: names without a file. They need no cleaning
 * up, and have no owner and no permissions: whoever is in the network namespace
 * can take a name that is free, and connect to one that is taken.
 */
#pragma once

#include <gio/gio.h>

/* A descriptor that listens, guarded (core/ipc-fork.h), or -1 with ADDRESS_IN_USE. */
int ipc_socket_abstract_listen  (const char *name, int backlog, GError **error);
/* As ipc_socket_path_connect(). */
int ipc_socket_abstract_connect (const char *name, GMainContext **context, GError **error);
