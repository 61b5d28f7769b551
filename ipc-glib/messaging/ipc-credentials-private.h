/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* Who made the socket's other end, as the kernel recorded it. NULL with an error if it does not say. */
GCredentials *ipc_credentials_get      (int socket_fd, GError **error);

/* FALSE for what stands for "unknown": no credentials, pid 0 (outside our PID namespace), the overflow uid. */
gboolean      ipc_credentials_are_known (GCredentials *credentials);

/* A descriptor (close-on-exec) that means the process at the socket's other end; -1 where the kernel has none. */
int           ipc_credentials_open_pidfd (int socket_fd);
/* The number of the socket option that is asked for it. Tests set one that no kernel has. */
extern int    ipc_credentials_pidfd_option;
