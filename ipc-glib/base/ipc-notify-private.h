/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether anybody listens: what changes all the time is only worth looking at while somebody does.
 */
#pragma once

#include <glib-object.h>

/* To SIGNAL_ID, with any detail or none. Any thread. */
gboolean ipc_notify_has_handler (gpointer object, guint signal_id);
/* To changes of any property. */
gboolean ipc_notify_is_observed (gpointer object);
