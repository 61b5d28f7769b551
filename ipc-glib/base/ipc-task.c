/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-task-private.h"

#include <time.h>

#include "ipc-error.h"

#define COARSE_FROM_MS 1000
#define LONGEST_TICK_US 10000   /* at CONFIG_HZ=100 */

GTask *
ipc_task_new_named (gpointer source, GCancellable *cancellable, GAsyncReadyCallback callback, gpointer user_data,
                    gpointer tag, const char *name)
{
  GTask *task = g_task_new (source, cancellable, callback, user_data);

  (g_task_set_source_tag) (task, tag);
  (g_task_set_name) (task, name);
  return task;
}

/* Where a few milliseconds do not matter, the clock of the last tick is five times cheaper. It is never ahead, and so
 * that nothing ends too early, a tick is added. */
static gint64
now_for (gint timeout)
{
  struct timespec now;

  if (timeout < COARSE_FROM_MS)
    return g_get_monotonic_time ();
  clock_gettime (CLOCK_MONOTONIC_COARSE, &now);
  return (gint64) now.tv_sec * G_USEC_PER_SEC + now.tv_nsec / 1000 + LONGEST_TICK_US;
}

void
ipc_task_fail (GTask *task, GError *error)
{
  g_task_return_error (task, error);
  g_object_unref (task);
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
  *deadline = timeout == -1 ? 0 : now_for (timeout) + (gint64) timeout * 1000;
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
