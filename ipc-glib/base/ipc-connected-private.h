/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether a signal handler was ever connected to an object, at the price of a load.
 *
 * Asking GObject (g_signal_handler_find(), g_signal_has_handler_pending()) takes a lock of the whole process and a look
 * into two hash tables, and what it said is worth nothing as soon as anything of the application has run. GObject itself
 * does not ask: since 2.32 it keeps a bit for that in every instance, beside the reference count, where g_signal_emit()
 * looks. Nothing public tells of it, so it is found out at the first question where that bit is, with an object of our
 * own; where there is none, every object counts as one that may have handlers.
 *
 * It is never the only thing that is asked: see ipc_emit_message_received().
 */
#pragma once

#include <glib-object.h>

#include "base/ipc-once-private.h"

/* The bit; 0: there is none. */
extern guint ipc_connected_bit;

/* Finds out about the bit. Before the first question. */
void ipc_connected_learn (void);

/* Where GObject has room for it: on 64 bits there is a gap. */
#define IPC_CONNECTED_WORD_AT (G_STRUCT_OFFSET (GObject, ref_count) + sizeof (guint))
#define IPC_CONNECTED_HAS_WORD (G_STRUCT_OFFSET (GObject, qdata) >= IPC_CONNECTED_WORD_AT + sizeof (guint))

static inline guint
ipc_connected_get_word (gpointer object)
{
  return IPC_READ_ONCE (*(guint *) (gpointer) ((guint8 *) object + IPC_CONNECTED_WORD_AT));
}

/* TRUE: nobody has ever connected anything to OBJECT. FALSE: perhaps. */
static inline gboolean
ipc_connected_is_never (gpointer object)
{
  return IPC_CONNECTED_HAS_WORD && ipc_connected_bit != 0 && (ipc_connected_get_word (object) & ipc_connected_bit) == 0;
}
