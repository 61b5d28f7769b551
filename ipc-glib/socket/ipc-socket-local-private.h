/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys that the servers of this process are known by (base/ipc-local-servers-private.h), of sockets that are no file
 * of ours.
 */
#pragma once

#include "base/ipc-local-servers-private.h"

/* Of a name in the abstract namespace. */
char *ipc_socket_local_key_of_abstract (const char *name, gsize size) G_GNUC_WARN_UNUSED_RESULT;
/* Of whatever a socket that somebody else made is bound to; NULL if that cannot be told. */
char *ipc_socket_local_key_of_socket   (int listen_fd) G_GNUC_WARN_UNUSED_RESULT;
