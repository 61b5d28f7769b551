/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/ipc-notify-private.h"

gboolean
ipc_notify_has_handler (gpointer object, guint signal_id)
{
  return g_signal_handler_find (object, G_SIGNAL_MATCH_ID, signal_id, 0, NULL, NULL, NULL) != 0;
}

gboolean
ipc_notify_is_observed (gpointer object)
{
  static guint notify_signal;   /* (atomic) */

  if (g_atomic_int_get (&notify_signal) == 0)
    g_atomic_int_set (&notify_signal, g_signal_lookup ("notify", G_TYPE_OBJECT));
  return ipc_notify_has_handler (object, notify_signal);
}
