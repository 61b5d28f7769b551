/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-task-private.h"

#include "ipc-error.h"

GTask *
ipc_task_new_named (gpointer source, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data,
                    gpointer tag, const char *name)
{
  GTask *task = g_task_new (source, cancellable, callback, user_data);

  (g_task_set_source_tag) (task, tag);
  (g_task_set_name) (task, name);
  return task;
}

gboolean
ipc_timeout_to_deadline (gint timeout, gint default_timeout, gint64 *deadline, GError **error)
{
  if (timeout == -2)
    timeout = default_timeout;
  if (timeout < -1)
    {
      g_set_error (error, IPC_ERROR, IPC_ERROR_INVALID_ARGUMENT,
                   "timeout of %d ms: allowed are -2 (the default), -1 (for ever), 0 and more", timeout);
      return FALSE;
    }
  *deadline = timeout == -1 ? 0 : g_get_monotonic_time () + (gint64) timeout * 1000;
  return TRUE;
}

int
ipc_deadline_to_poll (gint64 deadline)
{
  gint64 left;

  if (deadline == 0)
    return -1;
  left = deadline - g_get_monotonic_time ();
  if (left <= 0)
    return 0;
  return (int) MIN ((left + 999) / 1000, G_MAXINT);
}
