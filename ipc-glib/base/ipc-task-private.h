/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* A GTask that is tagged and named after the function that it is for. */
GTask *ipc_task_new_named (gpointer source, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data,
                           gpointer tag, const char *name);
#define ipc_task_new(source, cancellable, callback, user_data, function) \
  ipc_task_new_named (source, cancellable, callback, user_data, (gpointer) function, G_STRINGIFY (function))

/* Takes both. */
void   ipc_task_fail      (GTask *task, GError *error);

/* Resolves IPC_TIMEOUT_DEFAULT and refuses what is below it. TIMEOUT in ms; *DEADLINE monotonic
 * microseconds, 0 for never. A timeout too long for the clock is for ever. */
gboolean ipc_timeout_to_deadline (gint timeout, gint default_timeout, gint64 *deadline, GError **error);

/* What poll(2) wants: milliseconds from now to DEADLINE, rounded up; -1 for 0. */
int      ipc_deadline_to_poll    (gint64 deadline);
