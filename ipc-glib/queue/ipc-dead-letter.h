/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined(IPC_GLIB_INSIDE) && !defined(IPC_GLIB_COMPILATION)
#error "Only <ipc-glib/ipc-glib.h> can be included directly."
#endif

#include "ipc-message.h"

G_BEGIN_DECLS

#define IPC_TYPE_DEAD_LETTER (ipc_dead_letter_get_type ())
IPC_AVAILABLE_IN_0_1
G_DECLARE_FINAL_TYPE (IpcDeadLetter, ipc_dead_letter, IPC, DEAD_LETTER, GObject)

IPC_AVAILABLE_IN_0_1
IpcMessage  *ipc_dead_letter_get_message    (IpcDeadLetter *self);
IPC_AVAILABLE_IN_0_1
guint64      ipc_dead_letter_get_id         (IpcDeadLetter *self);
IPC_AVAILABLE_IN_0_1
const char  *ipc_dead_letter_get_queue_name (IpcDeadLetter *self);
IPC_AVAILABLE_IN_0_1
const char  *ipc_dead_letter_get_reason     (IpcDeadLetter *self);
IPC_AVAILABLE_IN_0_1
guint        ipc_dead_letter_get_attempts   (IpcDeadLetter *self);
IPC_AVAILABLE_IN_0_1
IpcPriority  ipc_dead_letter_get_priority   (IpcDeadLetter *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_dead_letter_get_created_at (IpcDeadLetter *self);
IPC_AVAILABLE_IN_0_1
gint64       ipc_dead_letter_get_died_at    (IpcDeadLetter *self);

G_END_DECLS
